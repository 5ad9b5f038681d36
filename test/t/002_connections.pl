
# Connections, TLS sessions and handles are used again and again; what is open
# or in flight at a time stays within its bounds, and so does memory.

use strict;
use warnings;

use JSON::PP;
use MIME::Base64 qw(encode_base64);
use PostgreSQL::Test::Utils;
use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltFaults;
use VeltTest;

# Where distributions have nginx, and users do not look.
$ENV{PATH} .= ':/usr/sbin';

my $node = start_node();
my $admin = VeltClient->new($node);

# ----------
# One connection, scan after scan
# ----------

my $api = VeltSimulator->new(
	config => { workspaces => { $workspace => { keys => 250 } } });
add_server($admin, 'velt', options => { api_url => $api->url });
{
	my $session = VeltClient->new($node);

	for my $scan (1 .. 10)
	{
		is($session->value('SELECT count(*) FROM velt.api_keys'),
			250, "scan $scan has all rows");
	}
	is($api->stats('requests.apikeys/get'), 30, '10 scans of 3 pages');
	is($api->stats('connections'), 1, 'over one connection');
	is($api->stats('requests.total'), 30, 'and nothing else was asked');

	$session->query('SELECT * FROM velt.workspaces');
	$session->query('SELECT * FROM velt.api_keys LIMIT 1');
	$session->query('BEGIN');
	$session->query('SELECT * FROM velt.api_keys LIMIT 1');
	$session->query('ROLLBACK');
	is($api->stats('connections'),
		1, 'so do scans of other tables, cut short, in transactions');

	my $other = VeltClient->new($node);
	$other->query('SELECT * FROM velt.workspaces');
	is($api->stats('connections'), 2, 'another backend has its own');
	$_->close for $session, $other;
	poll_until('the connections have ended with their backends',
		sub { !$api->stats('open_connections') });
}

# ----------
# Fan-out
# ----------

add_server(
	$admin, 'narrow',
	options => { api_url => $api->url, max_concurrency => 3 });
{
	my $session = VeltClient->new($node);
	my $fifty = q{SELECT array_agg(format('velt_api_key_%s',
		lpad(n::text, 6, '0'))) FROM generate_series(1, 50) n};
	my $keys = $session->value($fifty);

	$api->config({ latency_ms => 20 });
	for my $scan (1 .. 3)
	{
		$api->reset;
		is( $session->value(
				"SELECT count(DISTINCT api_key) FROM velt.auth_tokens
				  WHERE api_key = ANY ("
				  . literal($keys) . ')'),
			50,
			"fan-out $scan has the tokens of 50 keys");
		is($api->stats('requests.total'), 50, 'with a request a key');
		is($api->stats('max_in_flight'), 8, 'of which 8 are in flight');
		cmp_ok(
			$api->stats('connections'), '<=',
			$scan == 1 ? 8 : 0,
			$scan == 1 ?
			  'over no more than 8 connections' : 'over the same connections');
	}

	# the bound is on the session, not on each of its scans
	$api->reset;
	is( $session->value(
			"SELECT count(*) FROM (SELECT api_key FROM narrow.auth_tokens
			  WHERE api_key = ANY (" . literal($keys) . ")
			 UNION ALL SELECT api_key FROM narrow.auth_tokens
			  WHERE api_key = ANY (" . literal($keys) . ")
			 UNION ALL SELECT id FROM narrow.api_keys) AS u"),
		450,
		'several scans of a session');
	is($api->stats('max_in_flight'),
		3, 'together have max_concurrency in flight');

	$api->reset;
	$session->query('BEGIN');
	for my $name (qw(a b c))
	{
		$session->query("DECLARE $name CURSOR FOR TABLE narrow.auth_tokens");
		$session->query("FETCH 1 FROM $name");
	}
	for my $name (qw(c a b c))
	{
		$session->query("FETCH 20 FROM $name");
	}
	$session->query('COMMIT');
	is($api->stats('max_in_flight'), 3, 'and so do its cursors');
	cmp_ok($api->stats('connections'), '<=', 3, 'over as many connections');
	wait_until_idle($api);
	$api->config({ latency_ms => 0 });
	$session->close;
}

# ----------
# Connections that end
# ----------

# A right answer, after which the server hangs up: with no word of it.
sub last_answer
{
	my $body = encode_json(
		{
			result => {
				status => 'success',
				message => '',
				data => [ { id => 'last', apiKeyName => '', type => '' } ]
			}
		});

	return encode_base64(
		"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
		  . 'content-length: '
		  . length($body)
		  . "\r\n\r\n$body",
		'');
}

{
	my $session = VeltClient->new($node);

	poll_until('no connection is open',
		sub { !$api->stats('open_connections') });
	$api->reset;
	$api->faults([ { nth => 1, do => { raw_base64 => last_answer() } } ]);
	is($session->value('SELECT id FROM velt.api_keys'),
		'last', 'an answer, and the server closes the idle connection');
	poll_until('the server has closed it',
		sub { !$api->stats('open_connections') });
	is($session->value('SELECT count(*) FROM velt.api_keys'),
		250, 'the next query does not fail for it');
	is($api->stats('connections'), 2, 'but has a new connection');

	# closed while the request was on its way: nothing was answered yet, so
	# that it is sent again, if anything may be
	add_server($admin, 'patient',
		options => { api_url => $api->url, retry_timeout => '30s' });
	$session->query('SELECT * FROM patient.workspaces');
	$api->reset;
	$api->faults([ { nth => 1, do => { close => 'before_headers' } } ]);
	is($session->value('SELECT count(*) FROM patient.api_keys'),
		250, 'a connection that closes when it is used again fails no query');
	is($api->stats('faults'), 1, 'and it did close');
	$api->faults([]);

	$api->config({ modes => { http10_close => JSON::PP::true } });
	$session->query('SELECT * FROM velt.api_keys');
	$api->reset;
	is($session->value('SELECT count(*) FROM velt.api_keys'),
		250, 'a server with one answer a connection');
	is($api->stats('connections'), 3, 'has a connection a page');
	$api->config({ modes => { http10_close => undef } });
	$session->close;
	poll_until('no connection is open',
		sub { !$api->stats('open_connections') });
}

add_server(
	$admin, 'unkept',
	options => { api_url => $api->url, keep_connections => 'false' });
{
	my $session = VeltClient->new($node);

	$api->reset;
	$session->query('BEGIN');
	$session->query('SELECT * FROM unkept.workspaces') for 1 .. 3;
	is($api->stats('connections'),
		1, 'keep_connections false: one connection for a transaction');
	is($api->stats('open_connections'), 1, 'which is kept in it');
	$session->query('COMMIT');
	poll_until('it is closed with the transaction',
		sub { !$api->stats('open_connections') });

	$session->query('SELECT * FROM unkept.workspaces') for 1 .. 3;
	is($api->stats('connections'), 4, 'and one for each transaction');
	poll_until('they are all closed',
		sub { !$api->stats('open_connections') });

	$session->query('BEGIN');
	$session->query('SELECT * FROM unkept.workspaces');
	$session->error('SELECT 1/0');
	$session->query('ROLLBACK');
	poll_until('a rollback closes it too',
		sub { !$api->stats('open_connections') });

	$session->query('SELECT * FROM velt.workspaces');
	is($api->stats('open_connections'), 1, 'kept otherwise, by default');
	$session->close;
}

# ----------
# What is sent
# ----------

{
	my $session = VeltClient->new($node);

	$api->reset;
	$session->query('SELECT * FROM velt.api_keys');
	my $plain = $api->stats('body_bytes');
	like($api->stats('last_headers.accept-encoding'),
		qr/\bgzip\b/, 'compression is accepted');
	is($api->stats('last_headers.content-type'),
		'application/json', 'the body is said to be JSON');
	is($api->stats('last_method'), 'POST', 'and posted');
	unlike(join(' ', keys %{ $api->stats('last_headers') }),
		qr/\bexpect\b/, 'without asking for leave');

	$api->config({ modes => { compress => JSON::PP::true } });
	$api->reset;
	is($session->value('SELECT count(*) FROM velt.api_keys'),
		250, 'compressed answers');
	cmp_ok($api->stats('body_bytes'), '<', $plain / 5, 'are smaller');
	$api->config({ modes => { compress => undef } });
	$session->close;
}

# ----------
# TLS
# ----------

my $directory = tempdir();
my $front = VeltSimulator->new(
	nginx => $directory,
	config => { latency_ms => 20 });
add_server(
	$admin, 'front',
	options => {
		api_url => $front->ready->{tls_url},
		sslrootcert => $front->ready->{ca},
		max_concurrency => 20
	});
{
	my $session = VeltClient->new($node);

	is($session->value('SELECT count(*) FROM front.auth_tokens'),
		50, 'a fan-out to a server that offers HTTP/2');
	is($front->stats('requests.authtokens/get'), 25, 'has a request a key');
	is(join(' ', keys %{ $front->stats('http_versions') }),
		'HTTP/1.1', 'nothing but HTTP/1.1 is spoken');
	cmp_ok($front->stats('max_in_flight'),
		'>', 8, 'with many requests at a time');
	cmp_ok($front->stats('max_in_flight'), '<=', 20, 'but not too many');
	my $connections = $front->stats('front_connections');
	cmp_ok($connections, '<=', 20, 'each over a connection of its own');

	$session->query('SELECT * FROM front.auth_tokens') for 1 .. 3;
	cmp_ok($front->stats('front_connections'),
		'<=', 20, 'which later scans use again');
	$session->close;
}
$front->stop;

# A TLS 1.3 ticket is good for one handshake, as OpenSSL has it, and the next
# one comes after that: who connects meanwhile begins a session.  So what of a
# fan-out takes one up is settled only while the server does not answer.
VeltSimulator::certs("$directory/certs");
{
	my $tls = serve_tls("$directory/certs", 'server');
	my $session = VeltClient->new($node);
	my $two = tokens_of('resumed', 1, 2);

	# A fan-out of two requests which are both on their way, or their
	# connections are, before either is answered.
	my $at_once = sub {
		my ($name) = @_;

		$tls->reset;
		$tls->pause;
		$session->send($two);
		poll_until('both have sent something',
			sub { sockets_with_input($tls->url) == 2 });
		$tls->continue;
		is(scalar @{ $session->result->{rows} }, 4, $name);
		is($tls->stats('requests.total'), 2, 'has a request a key');
	};

	add_server(
		$admin,
		'resumed',
		options => {
			api_url => $tls->url,
			sslrootcert => "$directory/certs/ca.crt"
		});
	$session->query('SELECT id FROM resumed.workspaces');
	is($tls->stats('connections'), 1, 'a connection over HTTP/1.1 and TLS');
	is($tls->stats('resumed'), 0, 'begins a TLS session');

	# that it is of another handle makes it the transport's session
	$at_once->('a fan-out over it and a second one');
	is($tls->stats('connections'), 1, 'which is made');
	is($tls->stats('resumed'), 1, 'and takes the session up');

	$tls->config({ modes => { http10_close => JSON::PP::true } });
	$session->query($two);
	poll_until('the server has closed them',
		sub { !$tls->stats('open_connections') });
	$tls->config({ modes => { http10_close => undef } });
	$at_once->('a fan-out over connections that are made together');
	is($tls->stats('connections'), 2, 'as none is left');
	is($tls->stats('resumed'), 2, 'and take sessions up');
	$session->close;
	$tls->stop;
}

# ----------
# Memory
# ----------

{
	my $session = VeltClient->new($node);
	my %peak;

	$admin->query("ALTER USER MAPPING FOR CURRENT_USER SERVER velt
		OPTIONS (SET workspace_id 'large')");
	for my $keys (1000, 100000)
	{
		$api->config(
			{
				workspaces => { large => { token => $token, keys => $keys } }
			});
		# without a sort, whose memory would be the server's
		my ($row) = $session->query(
			'SELECT count(id), count(api_key_name), max(id)'
			  . ' FROM velt.api_keys');
		is_deeply($row, [ $keys, $keys, sprintf 'velt_api_key_%06d', $keys ],
			"$keys rows");
		$peak{$keys} = memory_kb($session->pid, 'VmRSS');
	}
	my $growth = $peak{100000} - $peak{1000};
	note "resident memory grew by $growth kB";
	cmp_ok($growth, '<', 2048, 'a hundred times the rows take no more memory');
	$session->close;
}

$admin->close;
done_testing();
