
# What a session waits for, as pg_stat_activity shows it to others: by phase
# from PostgreSQL 17 on, before as a wait of an extension.

use strict;
use warnings;

use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltTest;

# How long a session may take to come to where it stalls.
my $patience_s = 30;

my $node = start_node();
my $admin = VeltClient->new($node);
my $named = $admin->value('SHOW server_version_num') >= 170000;

my $api = VeltSimulator->new;
add_server(
	$admin,
	'velt',
	options => { api_url => $api->url, retry_timeout => '1min' });
add_server($admin, 'connecting',
	options => { api_url => $api->ready->{stall_url} });
add_server($admin, 'paced',
	options => { api_url => $api->url, max_requests_per_minute => 1 });

my @phases = (
	{
		name => 'a connection',
		event => 'VeltConnect',
		query => 'SELECT * FROM connecting.api_keys'
	},
	{
		name => 'a response',
		event => 'VeltRequest',
		query => 'SELECT * FROM velt.api_keys',
		fault => { stall => 'before_headers' }
	},
	{
		name => 'its headers',
		event => 'VeltResponse',
		query => 'SELECT * FROM velt.api_keys',
		fault => { stall => 'in_headers' }
	},
	{
		name => 'its body',
		event => 'VeltResponse',
		query => 'SELECT * FROM velt.api_keys',
		fault => { stall => 'in_body' }
	},
	{
		name => 'another attempt',
		event => 'VeltBackoff',
		query => 'SELECT * FROM velt.api_keys',
		fault => { status => 503, headers => { 'retry-after' => '30' } }
	},
	{
		name => 'its turn',
		event => 'VeltBackoff',
		query => 'SELECT * FROM paced.auth_tokens'
	});

# What the session waits for.
sub seen
{
	my ($session) = @_;

	return join ' ',
	  map { $_ // 'nothing' } @{
		(
			$admin->query(
				'SELECT wait_event_type, wait_event
				   FROM pg_stat_activity WHERE pid = ' . $session->pid)
		)[0]
	  };
}

for my $phase (@phases)
{
	my $session = VeltClient->new($node);
	my $expected = 'Extension ' . ($named ? $phase->{event} : 'Extension');
	my $seen;

	$api->reset;
	$api->faults($phase->{fault} ? [ { do => $phase->{fault} } ] : []);
	$session->send($phase->{query});
	# other phases come first, and pass
	{
		local $PostgreSQL::Test::Utils::timeout_default = $patience_s;

		eval {
			poll_until($expected,
				sub { ($seen = seen($session)) eq $expected });
		};
	}
	is($seen, $expected, "a session that waits for $phase->{name}");
	# where all waits have one name, the request may have to come yet
	$api->wait_for('faults', 1) if $phase->{fault};
	# what is stalled stays so
	is(seen($session), $expected, 'and goes on to wait');
	is($api->stats('faults'),
		$phase->{fault} ? 1 : 0, 'as the simulator has it');
	$admin->query('SELECT pg_cancel_backend(' . $session->pid . ')');
	is($session->result->{error}->{sqlstate}, '57014', 'until a cancel');
	isnt(seen($session), $expected, 'and no longer');
	$session->close;
}

if ($named)
{
	my @events = map { $_->[0] } $admin->query(
		"SELECT name FROM pg_wait_events
		  WHERE type = 'Extension' AND name LIKE 'Velt%' ORDER BY 1");

	is_deeply(
		\@events,
		[qw(VeltBackoff VeltConnect VeltRequest VeltResponse)],
		'each is known once, for all sessions');
}

$admin->close;
done_testing();
