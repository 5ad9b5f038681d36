
# API keys joined with their tokens in one scan: what is under way when, how
# it ends, and with whom it is waited for.

use strict;
use warnings;

use List::Util qw(min);
use Test::More;
use Time::HiRes qw(time);

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltFaults;
use VeltTest;

# Two servers; every second key is in production.
my %keys = (a => 40, b => 24);
my @names = sort keys %keys;
my %api = map { $_ => simulator($_, $keys{$_}) } @names;
my $api = $api{a};
my $node = start_node();
my $admin = VeltClient->new($node);

for my $name (@names)
{
	add_server(
		$admin, $name,
		options => { api_url => $api{$name}->url, page_size => 10 },
		mapping => { workspace_id => "workspace_$name" });
}
my $session = VeltClient->new($node);

# An error of the API that is not tried again.
my $final = { error => 'INTERNAL', details => 'final' };

sub simulator
{
	my ($name, $nkeys, %config) = @_;

	return VeltSimulator->new(
		config => {
			workspaces => {
				"workspace_$name" => {
					token => $token,
					keys => $nkeys,
					key_prefix => "${name}_"
				}
			},
			%config
		});
}

sub ids_of
{
	my ($name, $from, $to) = @_;

	return map { sprintf '%s_%06d', $name, $_ } $from // 1 .. $to // $keys{$name};
}

sub sorted { return join ' ', sort map { ref $_ ? $_->[0] : $_ } @_; }

# A query of the keys that have tokens, one row a token.
sub join_of
{
	my ($name, $where) = @_;

	return "SELECT k.id FROM $name.api_keys k
		JOIN $name.auth_tokens t ON t.api_key = k.id " . ($where // '');
}

# Requests for keys and for tokens.
sub requests
{
	my ($of) = @_;

	return join ' ', map { ($of // $api)->stats("requests.$_/get") }
	  qw(apikeys authtokens);
}

# All that the query gives, and what it costs the first server.
sub exact
{
	my ($sql, $expected, $requests, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$_->reset for values %api;
	is(sorted($session->query($sql)), sorted(@$expected), "$name: rows");
	is(requests(), $requests, "$name: requests");
	return;
}

sub is_well
{
	my ($when) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$_->faults([]) for values %api;
	exact(join_of('a'), [ ids_of('a') ], '4 40', $when);
	return;
}

# How long the query takes, in s, at best.
sub best_of
{
	my ($tries, $sql) = @_;
	my @took;

	for (1 .. $tries)
	{
		my $started = time;
		$session->query($sql);
		push @took, time - $started;
	}
	return min(@took);
}

sub joined_scans
{
	my ($sql) = @_;

	return grep { $_->{Relations} } scans(plan_of($session, $sql));
}

is(scalar joined_scans(join_of('a')), 1, 'it is one scan');
exact(join_of('a'), [ ids_of('a') ], '4 40', 'a join');

# ----------
# What is under way when
# ----------

for my $case (
	[ '', 10, 'all keys' ],
	[ "WHERE k.type = 'production'", 5, 'half of the keys' ],
	[ "WHERE k.id = 'x' OR k.type = 'none'", 0, 'no key' ])
{
	my ($where, $asked, $name) = @$case;

	$api->faults(
		[ { endpoint => 'apikeys/get', nth => 2, do => { stall => 'before_headers', for_ms => 300 } } ]);
	$api->reset;
	$session->send(join_of('a', $where));
	poll_until(
		'the second page of keys is asked for, and the first one used up',
		sub {
			requests() eq "2 $asked" && $api->stats('in_flight') == 1;
		});
	pass("$name: their tokens are asked for while more keys are to come");
	ok(!$session->has_answer, "$name: the scan goes on");
	is(scalar @{ $session->result->{rows} }, $asked * 4, "$name: to its end");
	is(requests(), '4 ' . $asked * 4, "$name: requests in all");
	is(scalar grep({ $_ != 1 } values %{ { asked($api) } }),
		0, "$name: no key is asked for twice");
}
$api->faults([]);

# ----------
# In flight, and time
# ----------

{
	my $nkeys = 200;
	my $large = simulator('c', $nkeys, latency_ms => 20);
	my %seconds;

	$keys{c} = $nkeys;
	add_server(
		$admin, 'c',
		options => { api_url => $large->url, max_concurrency => 8 },
		mapping => { workspace_id => 'workspace_c' });
	my $in = join ', ', map { literal($_) } ids_of('c');
	my %queries = (
		ideal => "SELECT api_key FROM c.auth_tokens WHERE api_key IN ($in)",
		join => join_of('c'),
		left => 'SELECT k.id FROM c.api_keys k
			LEFT JOIN c.auth_tokens t ON t.api_key = k.id');

	for my $name (sort keys %queries)
	{
		$large->reset;
		$seconds{$name} = best_of(3, $queries{$name});
		is($large->stats('max_in_flight'),
			8, "$name: eight at a time, and no more");
		is($large->stats('requests.authtokens/get'), 3 * $nkeys, "$name: requests");
	}
	note join ', ', map { sprintf '%s: %.3f s', $_, $seconds{$_} }
	  sort keys %seconds;
	# two pages of keys come before, and little is lost between them
	cmp_ok($seconds{join} / $seconds{ideal}, '<', 1.5, 'in about the time of the tokens alone');
	cmp_ok($seconds{left} / $seconds{ideal}, '<', 1.5, 'so an outer join');
	my ($scan) = scans(plan_of($session, $queries{join}, 'ANALYZE'));
	is($scan->{'Velt Requests'}, $nkeys + 2, 'EXPLAIN ANALYZE counts both tables');
	# a page of keys can be on its way beside the eight
	cmp_ok($scan->{'Velt Max In Flight'}, '<=', 9, 'and what is under way');

	# ----------
	# Memory
	# ----------

	$large->config({ latency_ms => 0 });
	my %peak_kb;
	for my $n (400, 4000)
	{
		my $fresh = VeltClient->new($node);
		$large->config({ workspaces => { workspace_c => { keys => $n } } });
		is($fresh->value('SELECT count(*) FROM (' . join_of('c') . ') x'),
			$n, "$n keys");
		$peak_kb{$n} = memory_kb($fresh->pid, 'VmHWM');
		# in the midst of it
		$fresh->query('BEGIN');
		$fresh->query('DECLARE c CURSOR FOR ' . join_of('c'));
		$fresh->query('MOVE ' . $n / 2 . ' FROM c');
		cmp_ok(
			$fresh->value("SELECT sum(total_bytes) FROM pg_backend_memory_contexts
				WHERE name = 'velt_fdw keys asked for'"),
			'<=', 8192, "$n keys: few are kept");
		$fresh->close;
	}
	note join ', ', map { "$_ keys: $peak_kb{$_} kB" } sort keys %peak_kb;
	cmp_ok($peak_kb{4000} - $peak_kb{400},
		'<', 1024, 'ten times the keys need no more memory');
	$large->stop;
}

# ----------
# Failures
# ----------

# Of the second page of keys: what was asked for before is handed up first.
for my $how (
	[ 'at once', { %$final } ],
	[ 'late', { %$final, latency_ms => 100 } ],
	[ 'cut off', { truncate => 20 } ])
{
	my ($name, $do) = @$how;

	$api->faults([ { endpoint => 'apikeys/get', nth => 2, do => $do } ]);
	$api->reset;
	$session->query('BEGIN');
	$session->query('DECLARE c CURSOR FOR ' . join_of('a'));
	is(sorted($session->query('FETCH 10 FROM c')),
		sorted(ids_of('a', 1, 10)),
		"a failing page of keys, $name: rows of the one before");
	my $error = fails_with($session, 'FETCH 1 FROM c', '08006', 'then the error');
	like($error->{message}, qr/could not fetch "api_keys" from foreign server "a"/,
		'which names the keys');
	like($error->{context}, qr/"a\.api_keys"/, 'with their table');
	is(requests(), '2 10', 'nothing else was asked for');
	$session->query('ROLLBACK');
	is_well('after it');
}

# Of one key's tokens.
{
	add_server(
		$admin, 'narrow',
		options => { api_url => $api->url, max_concurrency => 2 },
		mapping => { workspace_id => 'workspace_a' });
	$api->faults(
		[
			{ endpoint => 'authtokens/get', nth => 3, do => $final },
			{ endpoint => 'authtokens/get', do => { latency_ms => 100 } }
		]);
	$api->reset;
	my $error = fails_with($session, join_of('narrow'), '08006', 'failing tokens');
	like($error->{message}, qr/could not fetch "auth_tokens" from foreign server "narrow"/,
		'are named');
	cmp_ok($api->stats('requests.authtokens/get'), '<=', 4, 'and no more is asked for');
	wait_until_idle($api);
	is_well('after failing tokens');

	# tried again, where that is allowed
	$admin->query("ALTER SERVER narrow OPTIONS (SET retry_timeout '1min')");
	$api->faults(
		[ map { { endpoint => "$_/get", nth => 1, do => { status => 503 } } } qw(apikeys authtokens) ]);
	exact(join_of('narrow'), [ ids_of('a') ], '2 41', 'requests that are tried again');
	$api->faults([]);
}

# Of a key that nobody would give.
for my $length (10_000, 100_000)
{
	$api->faults(
		[
			{
				endpoint => 'apikeys/get',
				nth => 1,
				do => { edit => [ [ '/result/data/3/id', '"\\' x ($length / 2) ] ] }
			}
		]);
	$api->reset;
	my @rows = $session->query('SELECT length(k.id), count(*), count(t.name)
		FROM a.api_keys k LEFT JOIN a.auth_tokens t ON t.api_key = k.id
		GROUP BY 1 ORDER BY 1');
	is_deeply(\@rows, [ [ 8, 39, 39 ], [ $length, 1, 0 ] ], "a key of $length characters");
	is(requests(), '4 40', 'is asked for as any other');
}
is_well('after it');

# Neither table's limit can be passed.
for my $limits ([ 20, 0 ], [ 0, 20 ], [ 20, 30 ], [ 44, 44 ], [ 43, 50 ])
{
	my @tables = qw(api_keys auth_tokens);
	my $limit = min(grep { $_ } @$limits);

	for my $i (grep { $limits->[$_] } 0, 1)
	{
		$admin->query("ALTER FOREIGN TABLE a.$tables[$i]
			OPTIONS (ADD max_requests '$limits->[$i]')");
	}
	if ($limit < 44)
	{
		$api->reset;
		my $error = fails_with($session, join_of('a'), '54000', "max_requests @$limits");
		wait_until_idle($api);
		cmp_ok($api->stats('requests.total'), '<=', $limit, 'no more are made');
		like($error->{detail}, qr/its limit of $limit\./, 'which is said');
	}
	else
	{
		is_well("max_requests @$limits");
	}
	for my $i (grep { $limits->[$_] } 0, 1)
	{
		$admin->query("ALTER FOREIGN TABLE a.$tables[$i] OPTIONS (DROP max_requests)");
	}
}

# ----------
# Cancel, terminate, statement_timeout
# ----------

my @phases = (
	[ 'the first keys', 'apikeys/get', 1, '1 0', 1 ],
	[ 'further keys', 'apikeys/get', 2, '2 10', 1 ],
	[ 'tokens', 'authtokens/get', undef, '1 8', 8 ],
	[ 'tokens and further keys', undef, [ 3 .. 100 ], undef, undef ]);

sub reach
{
	my ($phase, $where, $who) = @_;
	my ($name, $endpoint, $nth, $requests, $in_flight) = @$phase;
	my %rule = (do => { stall => $where });

	$rule{endpoint} = $endpoint if $endpoint;
	$rule{nth} = $nth if $nth;
	$api->faults([ \%rule ]);
	$api->reset;
	$who->send(join_of('a'));
	poll_until(
		"it waits for $name",
		sub {
			$requests
			  ? requests() eq $requests && $api->stats('in_flight') == $in_flight
			  : $api->stats('in_flight') == 8;
		});
	wait_until_waiting($admin, $who);
	return;
}

for my $phase (@phases)
{
	for my $where (qw(before_headers in_body))
	{
		my $name = "$phase->[0], $where";

		reach($phase, $where, $session);
		cancelled_in_time($admin, $session, $name);
		wait_until_idle($api);
		is_well("$name: after a cancel");

		my $other = VeltClient->new($node);
		reach($phase, $where, $other);
		my $started = time;
		$admin->query('SELECT pg_terminate_backend(' . $other->pid . ')');
		my $result = $other->result;
		is($result->{error}->{sqlstate}, '57P01', "$name: terminated");
		cmp_ok($result->{answered} - $started, '<', 1, "$name: in time");
		wait_until_idle($api);

		$api->reset;
		$session->query("SET statement_timeout = '100ms'");
		$started = time;
		fails_with($session, join_of('a'), '57014', "$name: statement_timeout");
		cmp_ok(time - $started, '<', 1, "$name: in time");
		$session->query('RESET statement_timeout');
		wait_until_idle($api);
		is_well("$name: after a timeout");
	}
}

# In the midst of a condition, which takes its time.
{
	$session->query('CREATE FUNCTION slow(text) RETURNS boolean IMMUTABLE
		LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN true; END $$');
	my $slow = join_of('a', 'AND slow(t.name || k.type)');
	is(scalar joined_scans($slow), 1, 'a slow condition is checked by the scan');
	$session->send($slow);
	poll_until(
		'the condition is looked at',
		sub {
			($admin->value('SELECT wait_event FROM pg_stat_activity WHERE pid = '
					  . $session->pid) // '') eq 'PgSleep';
		});
	cancelled_in_time($admin, $session, 'within a condition');
	wait_until_idle($api);
	is_well('after it');
}

# ----------
# Asynchronous
# ----------

my $union = join_of('a') . ' UNION ALL ' . join_of('b');
is(scalar(grep { $_->{'Async Capable'} } joined_scans($union)),
	2, 'joins in an Append are asynchronous');
exact($union, [ map { ids_of($_) } @names ], '4 40', 'two servers');
is(requests($api{b}), '3 24', 'and the other one');
{
	$_->config({ latency_ms => 40 }) for values %api;
	my %seconds = (map { ($_ => best_of(2, join_of($_))) } @names);
	$seconds{both} = best_of(2, $union);
	note join ', ', map { sprintf '%s: %.3f s', $_, $seconds{$_} } sort keys %seconds;
	cmp_ok($seconds{both}, '<', 0.85 * ($seconds{a} + $seconds{b}),
		'two servers take less time together than one after the other');
	$_->config({ latency_ms => 0 }) for values %api;
}

my $two = join_of('a', "AND k.type = 'production'") . ' UNION ALL '
  . join_of('a', "AND k.type = 'testing'");
my $mixed = 'SELECT id FROM a.api_keys UNION ALL ' . join_of('a')
  . ' UNION ALL SELECT api_key FROM a.auth_tokens UNION ALL ' . join_of('b');
for my $latency (0, 5)
{
	$_->config({ latency_ms => $latency }) for values %api;
	exact($two, [ ids_of('a') ], '8 40', "two joins in one session, $latency ms");
	exact($mixed, [ (ids_of('a')) x 3, ids_of('b') ],
		'12 80', "a join between plain scans, $latency ms");
	is(scalar $session->query("$two LIMIT 7"), 7, "LIMIT over them, $latency ms");
	is_deeply(
		[ $session->query("SELECT n, count(*) FROM generate_series(1, 3) n,
			LATERAL (SELECT id FROM ($two) u WHERE length(u.id) > n LIMIT n * 9) l
			GROUP BY n ORDER BY n") ],
		[ map { [ $_, $_ * 9 ] } 1 .. 3 ],
		"over and over, $latency ms");
}
$_->config({ latency_ms => 0 }) for values %api;
wait_until_idle($api);

# who stalls does not hold up who has rows
{
	$api->faults([ { endpoint => 'authtokens/get', do => { stall => 'before_headers' } } ]);
	is(sorted($session->query("$union LIMIT $keys{b}")),
		sorted(ids_of('b')), 'tokens of one that do not come');
	$api->faults([ { endpoint => 'apikeys/get', nth => 3, do => { stall => 'in_body' } } ]);
	$api->reset;
	my $n = $keys{b} + 20;
	is(scalar $session->query("$union LIMIT $n"), $n, 'keys that do not come');

	$api->reset;
	$session->send($union);
	poll_until('the Append waits', sub {
		($admin->value('SELECT wait_event FROM pg_stat_activity WHERE pid = '
				  . $session->pid) // '') eq 'AppendReady';
	});
	cancelled_in_time($admin, $session, 'an Append of joins');
	is_well('after it');

	$api->faults([ { endpoint => 'apikeys/get', nth => 2, do => $final } ]);
	$api->reset;
	fails_with($session, $union, '08006', 'one of them fails');
	is_well('after that');
}

# Beside others, in cursors of one session.
{
	$session->query('BEGIN');
	$session->query("DECLARE $_ CURSOR FOR " . join_of('a')) for qw(one two);
	$session->query('DECLARE plain CURSOR FOR SELECT api_key FROM a.auth_tokens');
	my %got;
	for my $name (qw(one two plain) x 9)
	{
		push @{ $got{$name} }, $session->query("FETCH 5 FROM $name");
	}
	is(sorted(@{ $got{$_} }), sorted(ids_of('a')), "cursor $_ has the exact rows")
	  for sort keys %got;
	$session->query('COMMIT');
}

# ----------
# Over again
# ----------

{
	$session->query("SET $_ = off")
	  for qw(enable_material enable_hashjoin enable_mergejoin);
	my $again = 'SELECT u.id FROM generate_series(1, 3) n LEFT JOIN ('
	  . join_of('a') . ') u ON length(u.id) > n';
	exact($again, [ (ids_of('a')) x 3 ], '4 40', 'rescanned without change');
	# left in the midst of it
	$api->reset;
	my @rows = $session->query('SELECT u.id FROM generate_series(1, 3) n
		LEFT JOIN (' . join_of('a') . ' LIMIT 16) u ON length(u.id) > n');
	my %times;
	$times{ $_->[0] }++ for @rows;
	is_deeply([ map { $times{$_} } sort keys %times ],
		[ (3) x 16 ], 'left and rescanned');
	wait_until_idle($api);
	cmp_ok($api->stats('requests.authtokens/get'),
		'<=', 16 + 8, 'what was there is kept');
	$session->query('RESET ALL');

	exact("SELECT v.type || ' ' || (SELECT count(*) FROM a.api_keys k
			JOIN a.auth_tokens t ON t.api_key = k.id AND k.type = v.type)
		FROM (VALUES ('production'), ('testing'), ('none'), (NULL)) v (type)
		WHERE v.type IS NOT NULL",
		[ 'production 20', 'testing 20', 'none 0' ],
		'12 40', 'with changed parameters');

	$session->query('BEGIN');
	$session->query('DECLARE s SCROLL CURSOR FOR ' . join_of('a'));
	my @all = $session->query('FETCH ALL FROM s');
	is(sorted(@all), sorted(ids_of('a')), 'a scroll cursor');
	is_deeply([ $session->query('FETCH BACKWARD ALL FROM s') ],
		[ reverse @all ], 'and back');
	$api->reset;
	$session->query('DECLARE h CURSOR WITH HOLD FOR ' . join_of('a'));
	$session->query('COMMIT');
	is(requests(), '4 40', 'WITH HOLD: all is fetched at the commit');
	is(sorted($session->query('FETCH ALL FROM h')), sorted(ids_of('a')), 'and kept');
	is(requests(), '4 40', 'WITH HOLD: once');
	$session->query('CLOSE h');
}

# ----------
# Rows that another session has changed meanwhile
# ----------

{
	$session->query('CREATE TABLE report (n bigint)');
	$session->query('INSERT INTO report VALUES (0)');
	$admin->query('BEGIN');
	$admin->query('UPDATE report SET n = 1');
	$session->send('UPDATE report SET n = n + (SELECT count(*) FROM (' . join_of('a')
		. ' WHERE report.n >= 0) x)');
	my $observer = VeltClient->new($node);
	poll_until('the row is waited for', sub {
		($observer->value('SELECT wait_event_type FROM pg_stat_activity WHERE pid = '
				  . $session->pid) // '') eq 'Lock';
	});
	$admin->query('COMMIT');
	my $result = $session->result;
	ok(!$result->{error}, 'an UPDATE of a row that was changed meanwhile')
	  or diag $result->{error}->{text};
	is($session->value('TABLE report'), 41, 'joins all rows anew');
	$observer->close;
}

# Nothing of all this is left open.
is(join(' ', map { $api{$_}->stats('in_flight') } @names),
	'0 0', 'nothing is in flight in the end');

$_->close for $admin, $session;
done_testing();
