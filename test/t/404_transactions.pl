
# Transactions that are prepared, fail in parts, wait for locks or time out;
# cursors that outlive theirs; and the server's own upkeep beside them.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltFaults;
use VeltTest;

my $api = VeltSimulator->new(
	config =>
	  { workspaces => { $workspace => { keys => 250, tokens_per_key => 1 } } });
my $node = start_node(conf => <<'CONF');
max_prepared_transactions = 2
autovacuum_naptime = 1s
CONF
my $admin = VeltClient->new($node);
my $version = $admin->value('SHOW server_version_num');
my $count = 'SELECT count(*) FROM velt.api_keys';

# An error of the API that is not tried again.
my $final = { error => 'INTERNAL', details => 'final' };

# All answers of a fan-out but the first stay away.
my $stalled = {
	endpoint => 'authtokens/get',
	nth => [ 2 .. 300 ],
	do => { stall => 'in_body' }
};

add_server($admin, 'velt', options => { api_url => $api->url });
$admin->query('CREATE TABLE local (id text)');

# A session in a transaction, with a cursor whose requests are under way.
sub in_the_midst
{
	my ($first) = @_;
	my $session = VeltClient->new($node);

	$api->reset;
	$api->faults([$stalled]);
	$session->query('BEGIN');
	$session->query($first) if $first;
	$session->query('DECLARE c CURSOR FOR TABLE velt.auth_tokens');
	$session->query('FETCH 1 FROM c');
	$api->wait_for('in_flight', 7);
	return $session;
}

# They have been broken off, and with them their connections.
sub nothing_left
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	wait_until_idle($api);
	cmp_ok($api->stats('aborted'), '>=', 7, "$name: no request is left");
	$api->faults([]);
	return;
}

sub no_connections
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	poll_until('all connections are closed',
		sub { !$api->stats('open_connections') });
	pass("$name: no connection is left");
	return;
}

# ----------
# Prepared transactions
# ----------

{
	my $session =
	  in_the_midst('INSERT INTO local SELECT id FROM velt.api_keys');

	$session->query(q{PREPARE TRANSACTION 'filled'});
	nothing_left('it is prepared');
	is($session->value($count), 250, 'the session goes on');
	$session->close;
	is($admin->value('SELECT count(*) FROM local'), 0, 'not committed yet');
	$api->reset;
	$admin->query(q{COMMIT PREPARED 'filled'});
	is($admin->value('SELECT count(*) FROM local'),
		250, 'another session commits');
	is($api->stats('requests.total'), 0, 'at no cost');

	$session = VeltClient->new($node);
	$session->query('BEGIN');
	$session->query('DECLARE held CURSOR WITH HOLD FOR TABLE velt.api_keys');
	fails_with($session, q{PREPARE TRANSACTION 'held'},
		'0A000', 'not with a cursor with hold');
	is($api->stats('requests.total'), 0, 'which has not fetched anything');

	$admin->query(q{ALTER SERVER velt OPTIONS (ADD keep_connections 'false')});
	$session->query('BEGIN');
	$session->query($count);
	cmp_ok($api->stats('open_connections'), '>=', 1, 'connected');
	$session->query(q{PREPARE TRANSACTION 'closed'});
	no_connections('prepared, with keep_connections false');
	$session->query(q{ROLLBACK PREPARED 'closed'});
	$admin->query('ALTER SERVER velt OPTIONS (DROP keep_connections)');
	$session->close;
}

# ----------
# Parts that fail
# ----------

{
	my $session = VeltClient->new($node);
	my $block = <<'SQL';
DO $$
DECLARE
	failed int := 0;
BEGIN
	FOR i IN 1 .. 100 LOOP
		BEGIN
			PERFORM count(*) FROM velt.workspaces;
		EXCEPTION WHEN connection_failure THEN
			failed := failed + 1;
		END;
	END LOOP;
	IF failed <> 50 THEN
		RAISE EXCEPTION '% scans failed', failed;
	END IF;
END
$$
SQL

	$api->faults([ { every => 2, do => $final } ]);
	$api->reset;
	$session->query($block);
	is($api->stats('requests.total'), 100, 'scans in 100 exception blocks');
	is($api->stats('connections'), 1, 'have one connection');

	$session->query('BEGIN');
	for my $try (1 .. 50)
	{
		$session->query("SAVEPOINT s; TABLE velt.workspaces; SAVEPOINT t");
		$session->error('TABLE velt.workspaces');
		$session->query($try % 2
			? 'ROLLBACK TO t; RELEASE s' : 'ROLLBACK TO s');
	}
	$session->query('COMMIT');
	is($api->stats('requests.total'), 200, 'so have 100 between savepoints');
	is($api->stats('connections'), 1, 'the same one');
	$api->faults([]);
	is(counters($session, 'velt')->{requests}, 200, 'all are accounted for');
	$session->close;
}

# ----------
# Cursors, and where they are
# ----------

{
	my $session = VeltClient->new($node);

	$session->query('BEGIN');
	for my $scroll ('', 'NO SCROLL')
	{
		$session->query("DECLARE c $scroll CURSOR FOR TABLE velt.api_keys");
		$session->query('FETCH 5 FROM c');
		$api->reset;
		$session->query('SAVEPOINT s');
		fails_with($session, 'FETCH BACKWARD 2 FROM c',
			'55000', "a cursor does not go back unless it is to: $scroll");
		$session->query('ROLLBACK TO s');
		fails_with($session, 'FETCH 1 FROM c',
			'55000', 'nor on, then');
		is($api->stats('requests.total'), 0, 'it costs nothing');
		$session->query('ROLLBACK TO s');
		$session->query('CLOSE c');
	}
	$session->query('COMMIT');

	# a server that is altered, and goes, below the rows of a held cursor
	add_server($session, 'passing', options => { api_url => $api->url });
	$session->query('BEGIN');
	$session->query('DECLARE held SCROLL CURSOR WITH HOLD FOR
		SELECT id FROM passing.api_keys ORDER BY id');
	my @rows = $session->query('FETCH 5 FROM held');
	$api->reset;
	$session->query('COMMIT');
	wait_until_idle($api);
	is($api->stats('requests.total'), 0, 'a sorted cursor has all before');
	$session->query(q{ALTER SERVER passing
		OPTIONS (SET api_url 'http://127.0.0.1:1')});
	push @rows, $session->query('FETCH 95 FROM held');
	$session->query('DROP SERVER passing CASCADE');
	push @rows, $session->query('FETCH ALL FROM held');
	is(scalar @rows, 250, 'held rows outlive their server');
	is_deeply([ $session->query('FETCH FIRST FROM held') ],
		[ $rows[0] ], 'there and back');
	is($api->stats('requests.total'), 0, 'at no cost');
	$session->query('DROP SCHEMA passing CASCADE');
	$session->close;
}

# a loop over a scan that commits, and rolls back, in the midst of it
{
	my $session = VeltClient->new($node);

	$session->query('CREATE TABLE taken (id text)');
	$session->query(q{CREATE PROCEDURE take() LANGUAGE plpgsql AS $$
		DECLARE
			key record;
			n int := 0;
		BEGIN
			FOR key IN SELECT id FROM velt.api_keys LOOP
				INSERT INTO taken VALUES (key.id);
				n := n + 1;
				IF n % 50 = 0 THEN
					COMMIT;
				ELSIF n % 77 = 0 THEN
					ROLLBACK;
				END IF;
			END LOOP;
		END
		$$});
	$api->reset;
	$session->query('CALL take()');
	# without 51 to 77, 151 to 154 and 201 to 231
	is($session->value('SELECT count(DISTINCT id) FROM taken'),
		188, 'a procedure that commits in its loop');
	is($api->stats('requests.total'), 3, 'scans once');
	$api->faults([ { nth => 2, do => $final } ]);
	$api->reset;
	my $error =
	  fails_with($session, 'CALL take()', '08006', 'it fails at a commit');
	like($error->{context}, qr/at COMMIT/, 'for which all rows are fetched');
	$api->faults([]);

	# what a transaction does at its end
	$session->query(q{CREATE FUNCTION has_key() RETURNS trigger
		LANGUAGE plpgsql AS $$
		BEGIN
			IF NOT EXISTS (SELECT FROM velt.api_keys WHERE id = NEW.id) THEN
				RAISE EXCEPTION 'no key %', NEW.id;
			END IF;
			RETURN NULL;
		END
		$$});
	$session->query('CREATE CONSTRAINT TRIGGER has_key AFTER INSERT ON taken
		DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION has_key()');
	$admin->query(q{ALTER SERVER velt OPTIONS (ADD keep_connections 'false')});
	for my $end (
		[ COMMIT => 'velt_api_key_000001' ],
		[ q{PREPARE TRANSACTION 'checked'} => 'velt_api_key_000002' ],
		[ COMMIT => 'none' ])
	{
		my ($sql, $key) = @$end;

		$session->query('BEGIN');
		$session->query("INSERT INTO taken VALUES ('$key')");
		$api->reset;
		if ($key eq 'none')
		{
			fails_with($session, $sql, 'P0001', 'a deferred trigger fails');
		}
		else
		{
			$session->query($sql);
		}
		is($api->stats('requests.total'), 1, "$sql: a deferred trigger scans");
		no_connections("$sql, with keep_connections false");
	}
	$session->query(q{COMMIT PREPARED 'checked'});
	$admin->query('ALTER SERVER velt OPTIONS (DROP keep_connections)');
	$session->close;
}

# ----------
# Timeouts, with requests under way
# ----------

for my $timeout (
	[ idle_in_transaction_session_timeout => '25P03' ],
	$version >= 170000 ? [ transaction_timeout => '25P04' ] : ())
{
	my ($name, $sqlstate) = @$timeout;
	my $session = in_the_midst();

	$session->query("SET $name = 200") if $name =~ /^idle/;
	if ($name eq 'transaction_timeout')
	{
		$session->query("SET LOCAL $name = 200");
		$session->send('FETCH ALL FROM c');
	}
	my $result = $session->result;
	is($result->{error}->{sqlstate}, $sqlstate, $name);
	ok($result->{lost}, "$name: the session is ended");
	nothing_left($name);
	no_connections($name);
}

{
	my $session = VeltClient->new($node);

	is($session->value($count), 250, 'a session with a connection');
	$session->query('SET idle_session_timeout = 100');
	is($session->result->{error}->{sqlstate}, '57P05',
		'idle_session_timeout');
	no_connections('idle_session_timeout');
}

# lock_timeout is for locks, not for the network
{
	my $session = VeltClient->new($node);

	$session->query('SET lock_timeout = 50');
	$api->faults([ { nth => 1, do => { latency_ms => 300 } } ]);
	$api->reset;
	is($session->value($count), 250, 'lock_timeout: not for an answer');
	$session->close;

	$admin->query('BEGIN');
	$admin->query('LOCK TABLE local');
	$session = in_the_midst();
	$session->query('SET lock_timeout = 100');
	$session->query('SAVEPOINT s');
	fails_with($session, 'TABLE local', '55P03', 'lock_timeout: for a lock');
	is($api->stats('aborted'), 0, 'lock_timeout: a scan goes on beside it');
	$session->query('ROLLBACK TO s');
	fails_with($session, 'TABLE local', '55P03', 'lock_timeout: once more');
	$session->query('ROLLBACK');
	nothing_left('lock_timeout');
	is($session->value($count), 250, 'and the session goes on');
	$session->close;
	$admin->query('ROLLBACK');
}

# a client that has gone, as the server notices while it waits
{
	my $session = in_the_midst();
	my $pid = $session->pid;

	$session->query(q{SET client_connection_check_interval = '50ms'});
	$session->send('FETCH ALL FROM c');
	wait_until_waiting($admin, $session);
	$session->close;
	poll_until('the session has ended', sub { !-e "/proc/$pid" });
	nothing_left('client_connection_check_interval');
	no_connections('client_connection_check_interval');
}

# ----------
# Notifications
# ----------

{
	my $session = VeltClient->new($node);

	$session->query('LISTEN news');
	$session->query($count);
	$api->reset;
	$api->pause;
	$session->send($count);
	wait_until_waiting($admin, $session);
	$admin->query(qq{NOTIFY news, '$_'}) for 1 .. 50;
	ok(!$session->has_answer, 'a scan waits through notifications');
	$api->continue;
	is($session->result->{rows}->[0]->[0], 250, 'and has all rows');
	is($api->stats('requests.total'), 3, 'with a request a page');
	is($api->stats('connections'), 0, 'over the connection there was');
	$session->close;
}

# ----------
# Upkeep: what looks at all tables does not look at foreign ones
# ----------

{
	my $session = VeltClient->new($node);
	my $vacuumed = sub {
		my ($table) = @_;

		return $admin->value("SELECT least(autovacuum_count, autoanalyze_count)
			FROM pg_stat_all_tables WHERE relname = '$table'");
	};

	$admin->query('CREATE TABLE parted (workspace_id text, id text)
		PARTITION BY LIST (workspace_id)');
	$admin->query("CREATE FOREIGN TABLE parted_demo
		PARTITION OF parted FOR VALUES IN ('$workspace')
		SERVER velt OPTIONS (resource 'api_keys')");
	$admin->query('CREATE MATERIALIZED VIEW inventory
		WITH (autovacuum_vacuum_insert_threshold = 1) AS TABLE velt.api_keys');
	$admin->query('CREATE TABLE busy (n int)
		WITH (autovacuum_vacuum_insert_threshold = 1,
		      autovacuum_analyze_threshold = 1)');
	$session->query('BEGIN');
	$session->query('DECLARE c CURSOR FOR SELECT id FROM velt.api_keys');
	$session->query('FETCH 5 FROM c');
	wait_until_idle($api);
	$api->reset;
	$admin->query('INSERT INTO busy SELECT generate_series(1, 1000)');
	poll_until('autovacuum has seen to the local tables',
		sub { $vacuumed->('busy') && $vacuumed->('inventory') });
	is($api->stats('requests.total'), 0,
		'autovacuum and autoanalyze ask for nothing, beside an open scan');
	is(scalar $session->query('FETCH ALL FROM c'), 245, 'which goes on');
	$session->query('COMMIT');
	$session->close;

	$api->reset;
	$admin->query('VACUUM');
	is($api->stats('requests.total'), 0, 'nor does VACUUM of all');
	$node->command_ok([ 'vacuumdb', '--analyze-in-stages', 'postgres' ],
		'vacuumdb');
	# from 19 on it takes partitioned tables, in three stages
	is($api->stats('requests.total'), $version < 190000 ? 0 : 9,
		'which leaves foreign tables out');
	$api->reset;
	$admin->query('ANALYZE');
	is($api->stats('requests.total'), 3,
		'ANALYZE of all asks for partitions, and no others');
	is($admin->value(q{SELECT string_agg(relname, ' ' ORDER BY relname)
			FROM pg_class WHERE relkind = 'f' AND reltuples >= 0}),
		undef, 'of which it keeps the statistics of the whole alone');
}

# A planner that may call a function for its estimate does.
for my $volatility (qw(VOLATILE STABLE))
{
	my $requests = $volatility eq 'STABLE' ? 3 : 0;

	$admin->query("CREATE OR REPLACE FUNCTION newest() RETURNS text
		LANGUAGE sql $volatility AS 'SELECT max(id) FROM velt.api_keys'");
	$api->reset;
	$admin->query('EXPLAIN SELECT FROM local WHERE id > newest()');
	is($api->stats('requests.total'), $requests,
		"EXPLAIN with a function that is $volatility");
}

$admin->close;
done_testing();
