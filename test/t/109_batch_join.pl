
# Batched joins: how many requests and how long, what is in flight, memory,
# ends of waits, and rows that change while they are waited for.

use strict;
use warnings;

use JSON::PP;
use List::Util qw(max min sum0);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltTest;

my $latency_ms = 20;
my $limit_ms = 50;
my $tries = 5;

my $api = VeltSimulator->new(
	config => {
		workspaces => {
			$workspace => { token => $token, keys => 2000, tokens_per_key => 2 }
		}
	});
my $node = start_node();
my $admin = VeltClient->new($node);
add_server($admin, 'velt', options => { api_url => $api->url });
add_server($admin, 'wide',
	options => { api_url => $api->url, max_concurrency => 32 });
$admin->query(
	"CREATE FUNCTION key_of(int) RETURNS text IMMUTABLE LANGUAGE sql AS
	 \$\$SELECT 'velt_api_key_' || lpad(\$1::text, 6, '0')\$\$");
$admin->query(
	"CREATE TABLE customers AS SELECT i AS n, key_of(i) AS key,
		NULL::text AS note, 'customer ' || i AS name
	 FROM generate_series(1, 1000) i");
$admin->query('ANALYZE customers');
# or it may seem that there are no other keys than those of customers
$admin->query('ANALYZE wide.auth_tokens');
# or listing half as many pages as there are takes fewer requests
$admin->query('ANALYZE velt.api_keys');

# The query has a batched join.
sub is_batched
{
	my ($session, $sql, $name) = @_;
	my $plan = join "\n", map { $_->[0] } $session->query("EXPLAIN $sql");
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	like($plan, qr/Custom Scan \(Velt Batch Join\)/, "$name: is batched");
	return;
}

# The first column of the first row, and the milliseconds that took.
sub timed
{
	my ($session, $sql) = @_;
	my $started = time;
	my $value = $session->value($sql);

	return ($value, 1000 * (time - $started));
}

sub keys_asked
{
	my $stats = $api->stats;

	return scalar @{ $stats->{keys_asked} } if @{ $stats->{keys_asked} };
	return sum0(map { scalar @$_ } @{ $stats->{filters} });
}

# ----------
# Requests and time
# ----------

{
	my $session = VeltClient->new($node);
	my $query = 'SELECT count(k.type) FROM customers c
		LEFT JOIN velt.api_keys k ON k.id = c.key';
	my ($rows, $ms, $loop_ms);

	is_batched($session, $query, '1,000 keys');
	$api->config({ latency_ms => $latency_ms });
	$api->reset;
	($rows, $ms) = timed($session, $query);
	is($rows, 1000, '1,000 keys: rows');
	cmp_ok($api->stats('requests.total'), '<=', 37, '1,000 keys: requests');
	is(keys_asked(), 1000, '1,000 keys: each asked for once');

	# a second try, as the first opened connections
	$ms = min($ms, (timed($session, $query))[1]);
	$session->query("SET $_ = off")
	  for qw(velt_fdw.enable_batch_join enable_hashjoin enable_mergejoin
	  enable_material enable_memoize);
	$api->reset;
	($rows, $loop_ms) = timed($session, $query);
	is($rows, 1000, 'a nested loop: rows');
	is($api->stats('requests.total'), 1000, 'a nested loop: requests');
	note sprintf '%.0f ms, %.0f ms as a nested loop', $ms, $loop_ms;
	cmp_ok($ms, '<=', $loop_ms / 20,
		'1,000 keys take a twentieth of the time');
	$session->close;
}

# Against a scan that has all keys beforehand: a loaded machine delays both.
{
	my $session = VeltClient->new($node);
	my $query = 'SELECT count(t.name) FROM customers c
		JOIN wide.auth_tokens t ON t.api_key = c.key';
	my $scan = 'SELECT count(name) FROM wide.auth_tokens
		WHERE api_key = ANY (ARRAY(SELECT key FROM customers))';
	my $ideal_ms = 1000 / 32 * $latency_ms;
	my (@joins, @scans);

	is_batched($session, $query, 'tokens');
	for (1 .. 3)
	{
		for my $how ([ $query, \@joins ], [ $scan, \@scans ])
		{
			$api->reset;
			my ($rows, $ms) = timed($session, $how->[0]);
			is($rows, 2000, 'tokens: rows');
			push @{ $how->[1] }, $ms;
			is($api->stats('requests.total'), 1000, 'tokens: requests');
			cmp_ok($api->stats('max_in_flight'), '<=', 32,
				'tokens: no more in flight than max_concurrency');
		}
	}
	note sprintf 'tokens: %s ms; a scan %s ms; not less than %.0f',
	  join(' ', map { sprintf '%.0f', $_ } @joins),
	  join(' ', map { sprintf '%.0f', $_ } @scans), $ideal_ms;
	cmp_ok(
		min(@joins), '<=',
		1.25 * max(min(@scans), 32 * $latency_ms),
		'tokens: at most a quarter more time than full rounds take');
	$session->close;
}
$api->config({ latency_ms => 0 });

# ----------
# What is in flight, and the ends of waits
# ----------

my $stalling = 'SELECT c.n, k.type FROM customers c
	LEFT JOIN velt.api_keys k ON k.id = c.key';

# A cursor that has joined all but those rows whose keys are never answered: the
# first batch of 10 keys is one request, the second of 80 is three.
sub stall_cursor
{
	my $session = VeltClient->new($node);

	$api->faults(
		[
			{
				endpoint => 'apikeys/get',
				nth => [ 5 .. 20 ],
				do => { stall => 'before_headers' }
			}
		]);
	$api->reset;
	$session->query('BEGIN');
	$session->query("DECLARE c CURSOR FOR $stalling");
	is(scalar(my @first = $session->query('FETCH 10 FROM c')),
		10, 'the first batch');
	is($api->stats('requests.total'), 1, 'is of one request');
	is(scalar(my @second = $session->query('FETCH 1 FROM c')),
		1, 'the second batch');
	return $session;
}

{
	my $session = stall_cursor();

	# half of its keys are answered, and all that follow are asked for
	$session->query('FETCH 31 FROM c');
	cmp_ok($api->wait_for('in_flight', 7),
		'>=', 7, 'keys of the third are in flight while it is joined');
	is(scalar(my @rest = $session->query('FETCH 48 FROM c')),
		48, 'and it is joined to the end');
	$session->send('FETCH 1 FROM c');
	wait_until_waiting($admin, $session);
	cmp_ok($api->stats('max_in_flight'), '<=', 8,
		'no more in flight than max_concurrency');
	$admin->query('SELECT pg_cancel_backend(' . $session->pid . ')');
	is($session->result->{error}->{sqlstate}, '57014', 'it can be cancelled');
	$session->query('ROLLBACK');
	wait_until_idle($api);
	$api->faults([]);
	is($session->value("SELECT count(*) FROM ($stalling) q"),
		1000, 'and the session used again');
	$session->close;
}

# What ends the wait, and how long it takes: the best of some tries, as on a
# loaded machine any may be late.  001_cancel.pl has it in earnest.
sub test_end
{
	my ($name, $sqlstate, $end, $expected_ms) = @_;
	my @latencies;

	for (1 .. $tries)
	{
		my $session = VeltClient->new($node);

		$api->faults(
			[
				{
					endpoint => 'apikeys/get',
					nth => [ 2 .. 20 ],
					do => { stall => 'before_headers' }
				}
			]);
		$api->reset;
		$session->query("SET statement_timeout = $expected_ms")
		  if $expected_ms;
		my $started = time;
		$session->send($stalling);
		if ($end)
		{
			$api->wait_for('in_flight', 1);
			wait_until_waiting($admin, $session);
			$started = time;
			$admin->send("SELECT $end(" . $session->pid . ')');
		}
		my $result = $session->result;
		push @latencies,
		  1000 * ($result->{answered} - $started) - $expected_ms;
		$admin->result if $end;
		is(($result->{error} // {})->{sqlstate}, $sqlstate,
			"$name ends the wait");
		wait_until_idle($api);
		$api->faults([]);
		next if $result->{lost} || $sqlstate eq '57P01';
		$session->query('RESET statement_timeout');
		is($session->value("SELECT count(*) FROM ($stalling) q"),
			1000, "$name: the session is as good as new");
		$session->close;
	}
	note sprintf '%s: %s ms', $name,
	  join ' ', map { sprintf '%.1f', $_ } @latencies;
	cmp_ok(min(@latencies), '<=', $limit_ms, "$name is not late");
	return;
}

test_end('a cancel', '57014', 'pg_cancel_backend', 0);
test_end('a terminate', '57P01', 'pg_terminate_backend', 0);
test_end('statement_timeout', '57014', undef, 300);

# ----------
# Ends between rows
# ----------

# An error in a condition, on outer rows alone and on pairs; cursors before and
# after a subtransaction that is rolled back; cursors that are closed.
{
	my $session = VeltClient->new($node);
	my $declare = 'CURSOR FOR SELECT c.n, k.id FROM customers c
		LEFT JOIN velt.api_keys k ON k.id = c.key';

	$session->query('SET enable_hashjoin = off');
	$session->query('SET enable_mergejoin = off');
	is_batched($session, $stalling, 'ends');
	for my $error (
		[ outer => '1 / (c.n - 500) < 2' ],
		[ pair => '1 / (c.n - 500) < length(k.type)' ])
	{
		my ($name, $condition) = @$error;

		$session->query('BEGIN');
		$session->query("DECLARE outside $declare");
		$session->query('FETCH 1 FROM outside');
		$session->query("DECLARE failing $declare AND $condition");
		$session->query('SAVEPOINT s');
		$session->query("DECLARE inside $declare");
		$session->query('FETCH 20 FROM inside');
		fails_with($session, 'FETCH ALL FROM failing',
			'22012', "an error in a condition on $name");
		$session->query('ROLLBACK TO s');
		fails_with($session, 'FETCH 1 FROM failing',
			'55000', "$name: the cursor has failed");
		$session->query('ROLLBACK TO s');
		is(scalar(my @rows = $session->query('FETCH ALL FROM outside')),
			999, "$name: one beside it goes on");
		$session->query('CLOSE failing');
		$session->query("DECLARE again $declare");
		$session->query('FETCH 30 FROM again');
		$session->query('CLOSE again');
		wait_until_idle($api);
		is($session->value("SELECT count(*) FROM ($stalling) q"),
			1000, "$name: and so does the transaction");
		$session->query('COMMIT');
	}
	$session->close;
}

# ----------
# Memory
# ----------

sub million
{
	my ($rows) = @_;

	return "SELECT count(k.id) FROM (SELECT generate_series(1, $rows) AS i) g
		JOIN velt.api_keys k ON k.id = 'velt_api_key_' || lpad((i % 1000 + 1)::text, 6, '0')";
}

{
	my $session = VeltClient->new($node);

	# of keys that nobody has counted there may be as many as rows
	$session->query("SET enable_$_ = off") for qw(hashjoin mergejoin);
	# which has memory of its own
	$session->query('SET jit = off');
	is_batched($session, million(1_000_000), 'a million rows');
	$session->query(million(2000));
	my $before = memory_kb($session->pid, 'VmRSS');
	$api->reset;
	is($session->value(million(1_000_000)),
		1_000_000, 'a million rows: all are joined');
	is(keys_asked(), 1000, 'a million rows: each key is asked for once');
	my $growth = memory_kb($session->pid, 'VmHWM') - $before;
	note "a million rows: memory grew by $growth kB at most";
	cmp_ok($growth, '<', 8192, 'a million rows: memory is bounded');

	# where not all keys can be remembered
	$session->query("SET work_mem = '64kB'");
	$before = memory_kb($session->pid, 'VmRSS');
	$api->reset;
	is($session->value(million(20_000)),
		20_000, 'little memory: all rows are joined');
	note 'little memory: ' . keys_asked() . ' keys asked for, in '
	  . $api->stats('requests.total') . ' requests';
	cmp_ok($api->stats('requests.total'),
		'<', 2000, 'little memory: keys are still asked for together');
	$session->close;
}

{
	my $session = VeltClient->new($node);
	my $rescans = "SELECT count(k.id) FROM customers c
		JOIN velt.api_keys k ON k.id = c.key WHERE c.n <= 3 + 0 * v.i";
	my $asking = "SELECT count(k.id) FROM customers c
		JOIN velt.api_keys k ON k.id = c.key AND k.type <> v.i::text
		WHERE c.n <= 3";

	for my $how ([ 'rescans', $rescans, 10_000, 1 ],
		[ 'rescans that ask anew', $asking, 2000, 2000 ])
	{
		my ($name, $query, $times, $requests) = @$how;

		# the process's memory, seen from within
		$query = "SELECT sum(n), max(kb) - min(kb) FROM (
			SELECT ($query) AS n, CASE WHEN i % 500 = 0
				THEN substring(pg_read_file('/proc/self/status')
					FROM 'RssAnon:\\s+([0-9]+) kB')::int END AS kb
			FROM generate_series(1, $times) v (i)) q";
		is_batched($session, $query, $name);
		$api->reset;
		my ($row) = $session->query($query);
		is($row->[0], 3 * $times, "$name: rows");
		is($api->stats('requests.total'), $requests, "$name: requests");
		note "$name: memory grew by $row->[1] kB";
		cmp_ok($row->[1], '<', 128, "$name: no memory is left of each");
	}
	$session->close;
}

# Rows of one key that work_mem does not hold.
{
	my $session = VeltClient->new($node);
	my $rows = 500_000;
	my $joined = "(VALUES (1), (2), (NULL)) v (n)
		LEFT JOIN velt.auth_tokens t ON t.api_key = key_of(v.n)";
	my $count =
	  "SELECT count(*), count(t.token), count(DISTINCT v.n) FROM $joined";
	my $exists = "SELECT count(*) FROM (VALUES (1), (2), (1)) v (n)
		WHERE EXISTS (SELECT FROM velt.auth_tokens t
			WHERE t.api_key = key_of(v.n))";
	my $failing = "SELECT count(1 / (n - 1)) FROM $joined";

	$session->query("SET enable_$_ = off") for qw(hashjoin mergejoin);
	$session->query('SET work_mem = \'1MB\'');
	$session->query('SET jit = off');
	is_batched($session, $_, 'many rows of a key') for $count, $exists;
	$api->faults(
		[
			{
				endpoint => 'authtokens/get',
				key => 'velt_api_key_000001',
				do => {
					status => 200,
					body_parts => [
						[
							'{"result": {"status": "success", "data":
								{"apiKey": "velt_api_key_000001", "authTokens": [',
							1
						],
						[ '{"token":"t"},', $rows - 1 ],
						[ '{"token":"t"}]}}}', 1 ],
					],
				},
			},
		]);
	my $before = memory_kb($session->pid, 'VmRSS');
	my ($counts) = $session->query($count);
	is_deeply($counts, [ $rows + 3, $rows + 2, 2 ],
		'many rows of a key: all are joined');
	is($session->value($exists), 3, 'many rows of a key: EXISTS');
	my $growth = memory_kb($session->pid, 'VmHWM') - $before;
	note "many rows of a key: memory grew by $growth kB at most";
	my ($plan) =
	  $session->query("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) $count");
	cmp_ok(decode_json($plan->[0])->[0]->{Plan}->{'Temp Written Blocks'},
		'>', 0, 'many rows of a key: are spilled');
	is($session->error($failing)->{sqlstate}, '22012', 'an error among them');
	is($session->value('SELECT count(*) FROM pg_ls_tmpdir()'),
		0, 'many rows of a key: no temporary file is left');
	cmp_ok($growth, '<', 25 * 1024, 'many rows of a key: memory is bounded');
	$session->close;
}

# ----------
# Rows that another session changes meanwhile
# ----------

# One session changes a row, or some, another's query waits for it; then it
# goes on with the row as it is now.  Returns what the query returned.
sub with_change
{
	my ($case) = @_;
	my ($name, $query) = @$case{qw(name query)};
	my $changed = $case->{changed} // 2;
	my $changer = VeltClient->new($node);
	my $session = VeltClient->new($node);
	my $pid = $session->pid;
	my $result;

	$admin->query("UPDATE customers SET key = key_of(n), note = NULL,
		name = 'customer ' || n WHERE n <= 5");
	is_batched($session, $query, $name);
	$changer->query('BEGIN');
	$changer->query(
		"UPDATE customers SET $case->{change} WHERE n IN ($changed)");
	$session->send($query);
	poll_until(
		'the query waits for the row',
		sub {
			($admin->value(
				"SELECT wait_event_type FROM pg_stat_activity WHERE pid = $pid"
			) // '') eq 'Lock';
		});
	$api->reset;
	$changer->query('COMMIT');
	$result = $session->result;
	is(($result->{error} // {})->{message}, undef, "$name: no error");
	is($api->stats('requests.total'),
		$case->{requests} // 0, "$name: requests to check the row again");
	$_->close for $changer, $session;
	return join ' ', sort map {
		join ',', map { $_ // 'null' } @$_
	} @{ $result->{rows} };
}

my @changes = (
	{
		name => 'inner join',
		change => q(name = 'changed'),
		query => 'UPDATE customers c SET note = k.type
			FROM velt.api_keys k WHERE k.id = c.key AND c.n <= 3
			RETURNING c.n, c.name, c.note',
		rows =>
		  '1,customer 1,testing 2,changed,production 3,customer 3,testing'
	},
	{
		name => 'inner join, no match any more',
		change => q(key = 'none'),
		query => 'UPDATE customers c SET note = k.type
			FROM velt.api_keys k WHERE k.id = c.key AND c.n <= 3
			RETURNING c.n, c.note',
		rows => '1,testing 3,testing'
	},
	{
		name => 'a condition on both',
		change => q(name = 'production'),
		query => 'UPDATE customers c SET note = k.type
			FROM velt.api_keys k WHERE k.id = c.key AND c.n <= 3
			AND k.type <> c.name RETURNING c.n, c.note',
		rows => '1,testing 3,testing'
	},
	{
		name => 'left join',
		change => q(name = 'changed'),
		query => 'SELECT c.n, c.name, k.type FROM customers c
			LEFT JOIN velt.api_keys k ON k.id = c.key
			WHERE c.n <= 3 FOR UPDATE OF c',
		rows =>
		  '1,customer 1,testing 2,changed,production 3,customer 3,testing'
	},
	{
		name => 'left join, no match any more',
		change => q(key = 'none'),
		query => 'SELECT c.n, c.key, k.id FROM customers c
			LEFT JOIN velt.api_keys k ON k.id = c.key
			WHERE c.n IN (2, 3) FOR UPDATE OF c',
		rows => '2,none,null 3,velt_api_key_000003,velt_api_key_000003'
	},
	{
		name => 'left join, a condition on the result',
		change => q(key = 'none'),
		query => 'SELECT c.n, k.id FROM customers c
			LEFT JOIN velt.api_keys k ON k.id = c.key
			WHERE c.n IN (2, 3) AND coalesce(k.type, c.name) < $$t$$
			FOR UPDATE OF c',
		rows => '2,null'
	},
	{
		name => 'left join without match',
		change => q(name = 'changed'),
		query => q{SELECT c.n, c.name, k.id FROM customers c
			LEFT JOIN velt.api_keys k ON k.id = c.key || 'x'
			WHERE c.n IN (2, 3) FOR UPDATE OF c},
		rows => '2,changed,null 3,customer 3,null'
	},
	{
		name => 'semi-join',
		change => q(name = 'changed'),
		query => q{UPDATE customers c SET note = 'known' WHERE c.n <= 3 AND
			EXISTS (SELECT FROM velt.api_keys k WHERE k.id = c.key)
			RETURNING c.n, c.name},
		rows => '1,customer 1 2,changed 3,customer 3'
	},
	{
		name => 'semi-join, no match any more',
		change => q(key = 'none'),
		query => q{UPDATE customers c SET note = 'known' WHERE c.n <= 3 AND
			EXISTS (SELECT FROM velt.api_keys k WHERE k.id = c.key)
			RETURNING c.n},
		rows => '1 3'
	},
	{
		name => 'anti-join',
		change => q(name = 'changed'),
		query => q{DELETE FROM customers c WHERE c.n IN (2, 4) AND
			NOT EXISTS (SELECT FROM velt.api_keys k
				WHERE k.id = c.key || 'x')
			RETURNING c.n, c.name},
		rows => '2,changed 4,customer 4'
	},
	{
		name => 'stacked joins',
		change => q(name = 'changed'),
		query => 'UPDATE customers c SET note = k.type || t.name
			FROM velt.api_keys k, velt.auth_tokens t
			WHERE k.id = c.key AND t.api_key = c.key AND c.n IN (2, 3)
			AND t.name = $$Token 1$$
			RETURNING c.n, c.name, c.note',
		rows =>
		  '2,changed,productionToken 1 3,customer 3,testingToken 1'
	},
	{
		name => 'a table with a column that matches nothing',
		change => q(name = 'changed'),
		query => 'UPDATE customers c SET note = p.type
			FROM painted p WHERE p.id = c.key AND c.n <= 3
			RETURNING c.n, c.name, c.note',
		rows =>
		  '1,customer 1,testing 2,changed,production 3,customer 3,testing'
	});
$admin->query(q{CREATE FOREIGN TABLE painted (id text, type text, color text)
	SERVER velt OPTIONS (resource 'api_keys')});

# The join of a subquery runs for each row that is checked again: here with
# keys that are known after the first.  It is left early.
my $subquery = 'c.n <= 3 AND (SELECT k.type FROM customers d
	JOIN velt.api_keys k ON k.id = d.key
	WHERE d.n IN (2, 3) AND d.note IS NULL AND d.name <> c.n::text
	LIMIT 1) IS NOT NULL';
push @changes, map {
	{
		%$_,
		change => q(name = 'changed'),
		changed => '2, 3',
		requests => 1,
		rows => '1,customer 1 2,changed 3,changed'
	}
  } (
	{
		name => 'a subquery of UPDATE',
		query => "UPDATE customers c SET note = 'found' WHERE $subquery
			RETURNING c.n, c.name"
	},
	{
		name => 'a subquery of DELETE',
		query => "DELETE FROM customers c WHERE $subquery
			RETURNING c.n, c.name"
	},
	{
		name => 'a subquery of FOR UPDATE',
		query => "SELECT c.n, c.name FROM customers c WHERE $subquery
			FOR UPDATE"
	});

# the table anew for each, as one deletes
$admin->query('CREATE TABLE saved AS TABLE customers');
for my $change (@changes)
{
	$admin->query('TRUNCATE customers');
	$admin->query('INSERT INTO customers TABLE saved');
	is(with_change($change), $change->{rows}, "$change->{name}: rows");
}

done_testing();
