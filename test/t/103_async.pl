
# Appends that wait for several scans at once: of several servers, of one
# session, with other nodes among them.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time);

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltFaults;
use VeltTest;

# Three servers: 30, 20 and 10 keys, with 1 token each.
my %keys = (a => 30, b => 20, c => 10);
my @names = sort keys %keys;
my %api = map {
	$_ => VeltSimulator->new(
		config => {
			workspaces => {
				"workspace_$_" => {
					token => $token,
					keys => $keys{$_},
					key_prefix => "${_}_"
				}
			}
		})
} @names;

my $node = start_node();
my $admin = VeltClient->new($node);
for my $name (@names)
{
	add_server(
		$admin, $name,
		options => {
			api_url => $api{$name}->url,
			retry_timeout => '1min',
			page_size => 10
		},
		mapping => { workspace_id => "workspace_$name" });
}
my $session = VeltClient->new($node);

# An error of the API that is not tried again.
my $final = { error => 'INTERNAL', details => 'final' };

sub ids_of
{
	my ($name, $from, $to) = @_;
	return map { sprintf '%s_%06d', $name, $_ } $from // 1 .. $to // $keys{$name};
}

sub all_ids { return map { ids_of($_) } @names; }

sub sorted { return join ' ', sort map { ref $_ ? $_->[0] : $_ } @_; }

sub union { return join ' UNION ALL ', map { "SELECT id FROM $_.api_keys" } @_; }

sub each_api
{
	my ($method, @args) = @_;
	$api{$_}->$method(@args) for @names;
	return;
}

# Requests of each server, in the order of their names.
sub requests
{
	my ($endpoint) = @_;
	return join ' ', map { $api{$_}->stats('requests.' . ($endpoint // 'total')) }
	  @names;
}

sub async_scans
{
	my ($sql) = @_;
	return scalar grep { $_->{'Async Capable'} } scans(plan_of($session, $sql));
}

# All that the query gives, and what it costs.
sub exact
{
	my ($sql, $expected, $requests, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	each_api('reset');
	is(sorted($session->query($sql)), sorted(@$expected), "$name: rows");
	is(requests(), $requests, "$name: requests");
	return;
}

# ----------
# What is waited for together
# ----------

my $plan = join "\n", map { $_->[0] } $session->query('EXPLAIN ' . union(@names));
is(scalar(() = $plan =~ /Async Foreign Scan/g), 3, 'EXPLAIN shows async scans');
exact(union(@names), [ all_ids() ], '3 2 1', 'UNION ALL of three servers');

$session->query('CREATE TABLE parts (workspace_id text, id text)
	PARTITION BY LIST (workspace_id)');
$session->query("CREATE FOREIGN TABLE part_$_ PARTITION OF parts
	FOR VALUES IN ('workspace_$_') SERVER $_
	OPTIONS (resource 'api_keys', workspace_id 'workspace_$_')")
  for @names;
is(async_scans('TABLE parts'), 3, 'partitions are scanned so');
exact('SELECT id FROM parts', [ all_ids() ], '3 2 1', 'partitions');
exact("SELECT id FROM parts WHERE workspace_id = 'workspace_b'",
	[ ids_of('b') ], '0 2 0', 'one partition');

for my $how ([ 'UNION ALL', union(@names) ], [ 'partitions', 'SELECT id FROM parts' ])
{
	my ($name, $sql) = @$how;

	# nothing comes before all have been asked
	each_api('reset');
	each_api('faults',
		[ { nth => 1, do => { stall => 'before_headers', for_ms => 500 } } ]);
	my $started = time;
	$session->send($sql);
	poll_until('all servers have been asked',
		sub { !grep { $api{$_}->stats('in_flight') < 1 } @names });
	ok(!$session->has_answer, "$name: all servers are asked at once");
	my $result = $session->result;
	my $elapsed = time - $started;
	is(sorted(@{ $result->{rows} }), sorted(all_ids()), "$name: rows");
	is(requests(), '3 2 1', "$name: requests");
	note sprintf '%s: %.2f s', $name, $elapsed;
	cmp_ok($elapsed, '<', 1.4, "$name: in less time than one after the other");
	each_api('faults', []);
}

# Time is that of the slowest, also page after page.
{
	each_api('config', { latency_ms => 300 });
	my $started = time;
	exact(union(@names), [ all_ids() ], '3 2 1', 'page after page');
	my $elapsed = time - $started;
	note sprintf 'page after page: %.2f s', $elapsed;
	cmp_ok($elapsed, '>=', 0.9, 'as long as the slowest');
	cmp_ok($elapsed, '<', 1.6, 'and not as all of them');
	each_api('config', { latency_ms => 0 });
}

# ----------
# Of one session
# ----------

exact('SELECT id FROM a.api_keys UNION ALL SELECT id FROM a.workspaces',
	[ ids_of('a'), 'workspace_a' ],
	'4 0 0', 'two scans of a session');
my $five =
  'SELECT id FROM a.api_keys UNION ALL SELECT api_key FROM a.auth_tokens
   UNION ALL SELECT id FROM b.api_keys UNION ALL SELECT id FROM a.api_keys
   UNION ALL SELECT api_key FROM b.auth_tokens';
exact($five, [ (ids_of('a')) x 3, (ids_of('b')) x 2 ],
	'39 24 0', 'five scans of two sessions');
{
	# how many idle connections are kept is chance: up to max_concurrency
	my $without_connections = sub {
		$session->query('SELECT velt_fdw_disconnect_all()');
		return descriptors($session->pid);
	};
	my $before = $without_connections->();

	$session->query($five) for 1 .. 10;
	is($without_connections->(), $before, 'which leave no descriptor open');
	poll_until('no connection is open',
		sub { !grep { $api{$_}->stats('open_connections') } @names });
}
{
	$api{a}->faults(
		[ { endpoint => 'workspace/get', do => { stall => 'in_body', for_ms => 300 } } ]);
	exact('SELECT id FROM a.workspaces UNION ALL SELECT id FROM a.api_keys',
		[ ids_of('a'), 'workspace_a' ],
		'4 0 0', 'the first of two stalls');
	exact('SELECT id FROM a.api_keys UNION ALL SELECT id FROM a.workspaces',
		[ ids_of('a'), 'workspace_a' ],
		'4 0 0', 'the second of two stalls');
	$api{a}->faults([]);
}

# ----------
# Not all at the same pace
# ----------

{
	each_api('reset');
	$api{a}->faults([ { do => { stall => 'before_headers' } } ]);
	is(sorted($session->query(union(@names) . ' LIMIT 30')),
		sorted(ids_of('b'), ids_of('c')),
		'who stalls does not hold up who has rows');
	wait_until_idle($api{a});
	is(requests(), '1 2 1', 'LIMIT: requests');
	is($api{a}->stats('aborted'), 1, 'and is not waited for');

	# so within a session
	each_api('reset');
	$api{a}->faults(
		[ { endpoint => 'workspace/get', do => { stall => 'before_headers' } } ]);
	is( sorted(
			$session->query(
				'SELECT id FROM a.workspaces UNION ALL
				 SELECT id FROM a.api_keys LIMIT 30')),
		sorted(ids_of('a')),
		'so within a session');

	# cursors, one in the middle of the other
	$session->query('BEGIN');
	$session->query("DECLARE $_ CURSOR FOR " . union(@names)) for qw(one two);
	$api{a}->faults(
		[ { nth => [ 1, 2 ], do => { stall => 'before_headers', for_ms => 1500 } } ]);
	$api{a}->reset;
	my %got;
	push @{ $got{$_} }, $session->query("FETCH 7 FROM $_")
	  for qw(one two one two two one);
	is(scalar(grep { $_->[0] =~ /^a/ } map { @$_ } values %got),
		0, 'cursors have what there is');
	push @{ $got{$_} }, $session->query("FETCH ALL FROM $_") for qw(two one);
	is(sorted(@{ $got{$_} }), sorted(all_ids()), "cursor $_ has the exact rows")
	  for sort keys %got;
	$session->query('COMMIT');
	each_api('faults', []);

	# a failure that passes
	$api{b}->faults([ { nth => 2, do => { status => 503 } } ]);
	exact(union(@names), [ all_ids() ], '3 3 1', 'one has to try again');
	$api{b}->faults([]);
}

{
	each_api('reset');
	is(scalar $session->query(union(@names) . ' LIMIT 5'),
		5, 'LIMIT over an Append');
	my @counts = split / /, requests();
	cmp_ok((sort @counts)[-1], '<=', 1, 'asks nobody for more than a page');
}

# with others: a table, a scan that is not asynchronous, one without a request
$session->query("CREATE TABLE local AS SELECT 'local'::text AS id");
exact(union(qw(a b)) . ' UNION ALL TABLE local',
	[ ids_of('a'), ids_of('b'), 'local' ],
	'3 2 0', 'with a local table');
exact(union(qw(a b)) . " UNION ALL SELECT id FROM c.api_keys WHERE id = ANY ('{}')",
	[ ids_of('a'), ids_of('b') ],
	'3 2 0', 'with a scan that asks for nothing');

# ----------
# Ends
# ----------

for my $where (qw(before_headers in_body))
{
	each_api('reset');
	each_api('faults', [ { do => { stall => $where } } ]);
	$session->send(union(@names));
	poll_until('all servers have been asked',
		sub { !grep { $api{$_}->stats('in_flight') < 1 } @names });
	poll_until('the Append waits', sub {
		my $event = $admin->value(
			'SELECT wait_event FROM pg_stat_activity WHERE pid = '
			  . $session->pid);
		return defined $event && $event eq 'AppendReady';
	});
	cancelled_in_time($admin, $session, "Append, $where");
	wait_until_idle($_) for values %api;
	is(join(' ', map { $api{$_}->stats('aborted') } @names),
		'1 1 1', 'nothing is left in flight');
	each_api('faults', []);
	exact(union(@names), [ all_ids() ], '3 2 1', 'after a cancel');
}
{
	each_api('faults', [ { do => { stall => 'in_headers' } } ]);
	$session->query("SET statement_timeout = '100ms'");
	my $started = time;
	fails_with($session, union(@names), '57014', 'statement_timeout');
	cmp_ok(time - $started, '<', 1, 'in time');
	$session->query('RESET statement_timeout');
	wait_until_idle($_) for values %api;
	each_api('faults', []);
	exact(union(@names), [ all_ids() ], '3 2 1', 'after a timeout');
}

# one fails, while the others are at work
for my $failing (@names)
{
	each_api('faults', [ { do => { stall => 'before_headers' } } ]);
	$api{$failing}->faults([ { do => $final } ]);
	my $error = fails_with($session, union(@names), '08006', "$failing fails");
	like($error->{message}, qr/server "$failing"/, 'and is named');
	like($error->{context}, qr/"$failing\.api_keys"/, 'with its table');
	wait_until_idle($_) for values %api;
	each_api('faults', []);
	exact(union(@names), [ all_ids() ], '3 2 1', 'after an error');
}
{
	# in the midst of rows, and caught
	$api{a}->faults([ { nth => 3, do => $final } ]);
	$session->query('BEGIN');
	$session->query('SAVEPOINT s');
	$api{a}->reset;
	fails_with($session, union(@names), '08006', 'an error in a transaction');
	$session->query('ROLLBACK TO s');
	$api{a}->faults([]);
	exact(union(@names), [ all_ids() ], '3 2 1', 'which goes on');
	$session->query('COMMIT');
}

# ----------
# Over again
# ----------

{
	my @wanted = map { ids_of($_, 3, 4) } @names;
	my $values = join ', ', map { "('$_')" } @wanted;
	my $correlated = "SELECT v.id, (SELECT count(*) FROM ("
	  . union(@names) . ") u WHERE u.id = v.id) FROM (VALUES $values) v (id)";

	is_deeply(
		[ sort { $a->[0] cmp $b->[0] } $session->query($correlated) ],
		[ map { [ $_, 1 ] } @wanted ],
		'a correlated Append');

	# with other servers' rows in flight when it is left
	each_api('config', { latency_ms => 5 });
	my $exists = "SELECT v.id FROM (VALUES $values) v (id) WHERE EXISTS
		(SELECT FROM (" . union(@names) . ") u WHERE u.id >= v.id OFFSET 0)";
	is(sorted($session->query($exists)), sorted(@wanted), 'left and rescanned');
	my $some = 'SELECT n, count(l.id) FROM generate_series(1, 6) n, LATERAL
		(SELECT id FROM (' . union(@names) . ') u
		  WHERE length(u.id) > n LIMIT n * 9) l GROUP BY n ORDER BY n';
	is_deeply(
		[ $session->query($some) ],
		[ map { [ $_, $_ * 9 ] } 1 .. 6 ],
		'of which each loop wants more');
	each_api('config', { latency_ms => 0 });

	# without change: kept
	$session->query("SET $_ = off")
	  for qw(enable_material enable_hashjoin enable_mergejoin);
	my $join = 'SELECT u.id FROM generate_series(1, 3) n LEFT JOIN ('
	  . union(@names) . ') u ON length(u.id) > n';
	exact($join, [ (all_ids()) x 3 ], '3 2 1', 'rescanned without change');
	$session->query('RESET ALL');
}

{
	my $all = union(@names);
	my $by_id = join ' UNION ALL ',
	  map { "SELECT id FROM $_.api_keys WHERE id = ANY (\$1)" } @names;

	$session->query("PREPARE plain AS $all");
	$session->query("PREPARE by_id (text[]) AS $by_id");
	for my $mode (qw(force_custom_plan force_generic_plan auto))
	{
		$session->query("SET plan_cache_mode = $mode");
		for my $n (1 .. 6)
		{
			exact('EXECUTE plain', [ all_ids() ], '3 2 1', "prepared, $mode $n");
			my @wanted = map { sprintf '%s_%06d', $_, $n } @names;
			exact("EXECUTE by_id ('{" . join(',', @wanted) . "}')",
				[@wanted], '1 1 1', "with a parameter, $mode $n");
		}
	}
	$session->query('RESET ALL');
}

# ----------
# Appends in Appends
# ----------

{
	my $two = 'SELECT id FROM (' . union(qw(a b)) . ' LIMIT 1000) x';
	my $three = "SELECT id FROM ($two UNION ALL SELECT id FROM c.api_keys
		UNION ALL SELECT id FROM a.workspaces LIMIT 1000) y";
	my $nested = "$three UNION ALL SELECT api_key FROM c.auth_tokens
		UNION ALL SELECT id FROM b.api_keys";
	my @rows = (all_ids(), 'workspace_a', ids_of('c'), ids_of('b'));

	my $appends = () = join("\n",
		map { $_->[0] } $session->query("EXPLAIN $nested")) =~ /Append/g;
	is($appends, 3, 'three Appends, one in the other');
	is(async_scans($nested), 6, 'of asynchronous scans');
	exact($nested, \@rows, '4 4 12', 'nested Appends');
	each_api('config', { latency_ms => 10 });
	exact($nested, \@rows, '4 4 12', 'nested Appends that wait');
	each_api('config', { latency_ms => 0 });
	my ($most) = sort { $b <=> $a } map { $_->{'Velt Requests'} }
	  scans(plan_of($session, $nested, 'ANALYZE'));
	is($most, 11, 'EXPLAIN ANALYZE counts for each scan');
	is(scalar $session->query("SELECT id FROM ($nested) n LIMIT 7"),
		7, 'LIMIT over all of them');
	$session->query('BEGIN');
	$session->query("DECLARE n CURSOR FOR $nested");
	my @got = map { $session->query('FETCH 9 FROM n') } 1 .. 20;
	is(sorted(@got), sorted(@rows), 'a cursor over all of them');
	$session->query('COMMIT');
}

# ----------
# Switched off
# ----------

{
	$session->query("ALTER FOREIGN TABLE b.api_keys
		OPTIONS (ADD async_capable 'false')");
	is(async_scans(union(@names)), 2, 'async_capable false on a table');
	exact(union(@names), [ all_ids() ], '3 2 1', 'one of three');
	exact('SELECT id FROM a.api_keys UNION ALL SELECT id FROM b.api_keys
		UNION ALL SELECT id FROM b.workspaces',
		[ ids_of('a'), ids_of('b'), 'workspace_b' ],
		'3 3 0', 'one of two of a session');
	$session->query("ALTER SERVER a OPTIONS (ADD async_capable 'false')");
	is(async_scans(union(@names)), 1, 'async_capable false on a server');
	exact(union(@names), [ all_ids() ], '3 2 1', 'two of three');
	$session->query("ALTER FOREIGN TABLE a.api_keys
		OPTIONS (ADD async_capable 'true')");
	is(async_scans(union(@names)), 2, 'a table has the last word');
	$session->query("ALTER SERVER $_ OPTIONS (ADD async_capable 'false')")
	  for qw(b c);
	$session->query("ALTER FOREIGN TABLE a.api_keys
		OPTIONS (SET async_capable 'false')");
	is(async_scans(union(@names)), 0, 'false everywhere');
	exact(union(@names), [ all_ids() ], '3 2 1', 'none');
	$session->query("ALTER SERVER $_ OPTIONS (DROP async_capable)") for @names;
	$session->query("ALTER FOREIGN TABLE $_.api_keys
		OPTIONS (DROP async_capable)")
	  for qw(a b);
	$session->query('SET enable_async_append = off');
	is(async_scans(union(@names)), 0, 'enable_async_append off');
}

# Nothing of all this is left open.
is(join(' ', map { $api{$_}->stats('in_flight') } @names),
	'0 0 0', 'nothing is in flight in the end');

$_->close for $admin, $session;
done_testing();
