
# docs/several-machines.md as it stands: a hub that asks two workers, which ask
# an API each.  The hub takes as long as the slowest of them, not as all.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltDocs;
use VeltFaults;
use VeltTest;

my $docs = VeltDocs->new('several-machines.md');
my %keys = (eu => 200, us => 300);
my @names = sort keys %keys;
my (%api, %worker);

for my $name (@names)
{
	$api{$name} = VeltSimulator->new(
		config => {
			workspaces => {
				"workspace_$name" => {
					token => "token-of-$name",
					keys => $keys{$name},
					key_prefix => "$name-"
				}
			}
		});
	my $node = $worker{$name} = start_node(name => $name);
	my $admin = VeltClient->new($node);
	add_server(
		$admin, 'velt',
		options => { api_url => $api{$name}->url },
		mapping => {
			workspace_id => "workspace_$name",
			auth_token => "token-of-$name"
		});
	$admin->close;
	# the document has one worker's; the other's differs in the name
	$docs->run($node, 'worker', user => 'admin',
		replace => $name eq 'eu' ? {}
		: { workspace_eu => "workspace_$name", 'token-of-eu' => "token-of-$name" });
}

my $hub = start_node(name => 'hub');
$docs->run(
	$hub, 'hub',
	user => 'admin',
	replace => {
		map {
			my $node = $worker{$_};
			"host '$_.example.com', port '5432'" =>
			  "host '" . $node->host . "', port '" . $node->port . "'"
		} @names
	});
my $session = VeltClient->new($hub);

sub requests
{
	return join ' ', map { $api{$_}->stats('requests.total') } @names;
}

sub reset_all
{
	$_->reset for values %api;
	return;
}

# Seconds that a query takes.
sub seconds
{
	my ($sql) = @_;
	my $started = time;

	$session->query($sql);
	return time - $started;
}

# ----------
# The document
# ----------

reset_all();
is($docs->run($hub, 'query', user => 'admin'),
	"workspace_eu|200\nworkspace_us|300\nworkspace_us|Key 2",
	'the hub has all keys');
is(requests(), '3 4', 'for a request a page, and one of one key each');
is_deeply([ $docs->untried ], [], 'nothing in the document was left out');

my $all = 'SELECT count(id) FROM all_keys';
is(scalar(grep { $_->{'Async Capable'} } scans(plan_of($session, $all))),
	2, 'workers are asked together');

reset_all();
is($session->value("$all WHERE workspace_id = 'workspace_us'"),
	300, 'one workspace');
is(requests(), '0 3', 'leaves out the other worker');

# ----------
# Time
# ----------

# By itself: neither API answers before both have been asked.
reset_all();
$_->faults([ { nth => 1, do => { stall => 'before_headers', for_ms => 1000 } } ])
  for values %api;
$session->send($all);
poll_until('both have been asked',
	sub { !grep { $api{$_}->stats('in_flight') < 1 } @names });
ok(!$session->has_answer, 'both workers are at work at once');
is($session->result->{rows}[0][0], 500, 'and give all rows');
$_->faults([]) for values %api;

# With pages that take their time: 2 of them in one, 3 in the other.
$_->config({ latency_ms => 400 }) for values %api;
my %alone = map { $_ => seconds("$all WHERE workspace_id = 'workspace_$_'") } @names;
reset_all();
my $together = seconds($all);
note sprintf 'alone: %.2f s and %.2f s; together: %.2f s', @alone{@names}, $together;
is(requests(), '2 3', 'the same requests');
cmp_ok($together, '>=', 1.2, 'not less than the slowest');
cmp_ok($together, '<', $alone{eu} + $alone{us} - 0.4,
	'the time of the slowest, not the sum');
$_->config({ latency_ms => 0 }) for values %api;

# ----------
# Failures
# ----------

$api{eu}->faults([ { do => { error => 'INTERNAL', details => 'final' } } ]);
my $error = fails_with($session, $all, '08006', 'a worker that fails');
like($error->{message},
	qr/^could not fetch "api_keys" from foreign server "velt"$/, 'says why');
like($error->{detail}, qr/INTERNAL/, 'with the detail');
unlike($error->{text}, qr/token-of/, 'and without the token');
$api{eu}->faults([]);
wait_until_idle($_) for values %api;
is($session->value($all), 500, 'and is asked again by the next query');

# A cancel on the hub reaches the APIs.
reset_all();
$_->faults([ { do => { stall => 'in_body' } } ]) for values %api;
$session->send($all);
poll_until('both have been asked',
	sub { !grep { $api{$_}->stats('in_flight') < 1 } @names });
my $admin = VeltClient->new($hub);
$admin->query('SELECT pg_cancel_backend(' . $session->pid . ')');
is($session->result->{error}->{sqlstate}, '57014', 'a cancel on the hub');
wait_until_idle($_) for values %api;
is(join(' ', map { $api{$_}->stats('aborted') } @names),
	'1 1', 'ends the requests of the workers');
$_->faults([]) for values %api;
is($session->value($all), 500, 'the next query works');

$_->close for $admin, $session;
done_testing();
