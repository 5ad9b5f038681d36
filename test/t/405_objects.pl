
# Servers, mappings, tables and the extension that are dropped, altered and
# made anew below sessions that use them; whose credentials are taken, whoever
# asks; and the leader, who scans while its workers do the rest.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltFaults;
use VeltTest;

my $other_workspace = 'workspace_other';
my $other_token = 'other-token-0123456789abcdef';

my $api = VeltSimulator->new(
	config => {
		workspaces => {
			$workspace => { keys => 250, tokens_per_key => 1 },
			$other_workspace =>
			  { token => $other_token, keys => 7, tokens_per_key => 1 }
		}
	});
my $node = start_node();
my $admin = VeltClient->new($node);
my %server = (options => { api_url => $api->url });
my $count = 'SELECT count(*) FROM velt.api_keys';

add_server($admin, 'velt', %server);

# A value, as of one or the other workspace: by the rows, and by the token and
# the number of the requests.
sub of
{
	my ($session, $sql, $whose, $requests, $name) = @_;
	my ($rows, $its_token) =
	  $whose eq 'demo' ? (250, $token) : (7, $other_token);
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$api->reset;
	is($session->value($sql), $rows, $name);
	is($api->stats('last_headers.x-velt-auth-token'), $its_token,
		"$name: whose token");
	is($api->stats('requests.total'), $requests, "$name: requests");
	return;
}

# ----------
# All that there is is dropped, and made anew
# ----------

for my $drop (
	'DROP EXTENSION velt_fdw CASCADE',
	'DROP SERVER velt CASCADE',
	'DROP USER MAPPING FOR CURRENT_USER SERVER velt')
{
	my $session = VeltClient->new($node);
	my ($what) = $drop =~ /^DROP ([A-Z ]+) /;
	my $mapping = $what =~ /^USER MAPPING/;

	$what = 'USER MAPPING' if $mapping;
	$session->query("SET plan_cache_mode = force_generic_plan");
	$session->query("PREPARE c AS $count");
	$session->query('EXECUTE c');
	$session->query('BEGIN');
	$session->query('DECLARE c CURSOR FOR TABLE velt.auth_tokens');
	$session->query('FETCH 5 FROM c');
	if ($mapping)
	{
		$admin->query($drop);
	}
	else
	{
		$session->query('SAVEPOINT s');
		fails_with($session, $drop, '55006',
			"$what: its own session's cursor is in the way");
		$session->query('ROLLBACK TO s');
		$admin->query(q{SET lock_timeout = '50ms'});
		fails_with($admin, $drop, '55P03', "$what: so is another's");
		$admin->query('RESET lock_timeout');
		$admin->send($drop);
		my $observer = VeltClient->new($node);
		poll_until('it waits', sub { $observer->value(
			'SELECT count(*) FROM pg_locks WHERE NOT granted') });
		$observer->close;
	}
	is(scalar $session->query('FETCH ALL FROM c'),
		245, "$what: the cursor has all rows");
	$session->query('COMMIT');
	is($admin->result->{error}, undef, "$what: dropped") unless $mapping;
	poll_until('all connections are closed',
		sub {
			$session->query('SELECT 1');
			return !$api->stats('open_connections');
		}) unless $mapping;

	$api->reset;
	fails_with($session, 'EXECUTE c', $mapping ? '42704' : '42P01',
		"$what: a prepared statement misses it");
	is_deeply([ $session->query('SELECT * FROM velt_fdw_get_connections()') ],
		[], "$what: no connection is left") unless $what eq 'EXTENSION';
	fails_with($session, "SELECT velt_fdw_check('velt')", '42883',
		"$what: the functions are gone") if $what eq 'EXTENSION';
	is($api->stats('requests.total'), 0, "$what: nothing is asked");

	# with other credentials, in the same session
	$admin->query('CREATE EXTENSION velt_fdw') if $what eq 'EXTENSION';
	if ($mapping)
	{
		add_mapping($admin, 'velt',
			workspace_id => $other_workspace, auth_token => $other_token);
	}
	else
	{
		$admin->query('DROP SCHEMA velt CASCADE');
		add_server($admin, 'velt', %server,
			mapping => {
				workspace_id => $other_workspace, auth_token => $other_token
			});
	}
	of($session, 'EXECUTE c', 'other', 1, "$what: made anew");
	$admin->query("ALTER USER MAPPING FOR CURRENT_USER SERVER velt OPTIONS (
		SET workspace_id '$workspace', SET auth_token '$token')");
	of($session, 'EXECUTE c', 'demo', 3, "$what: altered");
	$session->close;
}

# ----------
# Tables that are altered below a plan that is kept
# ----------

for my $mode (qw(force_generic_plan force_custom_plan))
{
	my $session = VeltClient->new($node);

	$admin->query(q{CREATE FOREIGN TABLE velt.altered (id text)
		SERVER velt OPTIONS (resource 'api_keys')});
	$session->query("SET plan_cache_mode = $mode");
	$session->query('PREPARE c AS SELECT count(id) FROM velt.altered');
	of($session, 'EXECUTE c', 'demo', 3, "$mode: a table");
	$admin->query(q{ALTER FOREIGN TABLE velt.altered
		OPTIONS (ADD page_size '50')});
	of($session, 'EXECUTE c', 'demo', 5, "$mode: of smaller pages");
	$admin->query(q{ALTER FOREIGN TABLE velt.altered
		OPTIONS (ADD max_requests '2')});
	$api->reset;
	fails_with($session, 'EXECUTE c', '54000', "$mode: of few requests");
	cmp_ok($api->stats('requests.total'), '<=', 2, "$mode: and no more");
	$admin->query(qq{ALTER FOREIGN TABLE velt.altered
		OPTIONS (DROP max_requests, ADD workspace_id '$other_workspace')});
	$api->reset;
	fails_with($session, 'EXECUTE c', '22023', "$mode: of another workspace");
	is($api->stats('requests.total'), 0, "$mode: which is not asked");
	$admin->query(q{ALTER FOREIGN TABLE velt.altered
		OPTIONS (DROP workspace_id, DROP page_size, SET resource 'auth_tokens')});
	fails_with($session, 'EXECUTE c', 'HV005', "$mode: of another resource");
	$admin->query(q{ALTER FOREIGN TABLE velt.altered
		ALTER id OPTIONS (ADD column_name 'api_key')});
	of($session, 'EXECUTE c', 'demo', 253, "$mode: and its column");
	$admin->query('DROP FOREIGN TABLE velt.altered');
	$session->close;
}

# ----------
# Whose mapping
# ----------

{
	my $session = VeltClient->new($node);

	$session->query("CREATE ROLE $_") for qw(alice bob carol);
	$session->query('GRANT USAGE, CREATE ON SCHEMA velt TO PUBLIC');
	$session->query('GRANT SELECT ON ALL TABLES IN SCHEMA velt TO PUBLIC');
	add_mapping($session, 'velt', user => 'alice');
	add_mapping($session, 'velt', user => 'bob',
		workspace_id => $other_workspace, auth_token => $other_token);

	# what is alice's
	my $join = 'SELECT count(*) FROM velt.api_keys k
		JOIN velt.auth_tokens t ON t.api_key = k.id';
	$session->query('SET ROLE alice');
	$session->query("CREATE VIEW velt.defined (n) AS $join");
	$session->query(
		"CREATE VIEW velt.invoked (n) WITH (security_invoker) AS $join");
	$session->query('CREATE VIEW velt.defined_invoked AS TABLE velt.invoked');
	$session->query('CREATE VIEW velt.invoked_defined WITH (security_invoker)
		AS TABLE velt.defined');
	$session->query("CREATE FUNCTION velt.definer() RETURNS bigint
		LANGUAGE sql SECURITY DEFINER AS '$count'");
	$session->query("CREATE FUNCTION velt.definer_invoked() RETURNS bigint
		LANGUAGE plpgsql SECURITY DEFINER
		AS 'BEGIN RETURN (SELECT n FROM velt.invoked); END'");
	$session->query("CREATE FUNCTION velt.invoker() RETURNS bigint
		LANGUAGE plpgsql AS 'BEGIN RETURN ($count); END'");
	$session->query("CREATE MATERIALIZED VIEW velt.kept AS $join WITH NO DATA");
	$session->query("GRANT SELECT ON velt.$_ TO PUBLIC")
	  for qw(defined invoked defined_invoked invoked_defined);

	my %of_alice = (
		'TABLE velt.defined' => 253,
		'TABLE velt.invoked_defined' => 253,
		'SELECT velt.definer()' => 3,
		'SELECT velt.definer_invoked()' => 253);
	my %of_role = (
		'TABLE velt.invoked' => 253,
		# as PostgreSQL has it: an invoker's view is so within any other
		'TABLE velt.defined_invoked' => 253,
		$join => 253,
		'SELECT velt.invoker()' => 3);
	for my $sql (sort keys %of_alice)
	{
		for my $role (qw(bob carol alice))
		{
			$session->query("SET ROLE $role");
			of($session, $sql, 'demo', $of_alice{$sql}, "$role: $sql");
		}
	}
	for my $sql (sort keys %of_role)
	{
		my ($short) = $sql =~ /^(.{1,30})/;

		$session->query('SET ROLE bob');
		of($session, $sql, 'other', $of_role{$sql} > 3 ? 8 : 1, "bob: $short");
		$session->query('SET ROLE alice');
		of($session, $sql, 'demo', $of_role{$sql}, "alice: $short");
		$session->query('SET ROLE carol');
		$api->reset;
		fails_with($session, $sql, '42704', "carol: $short");
		is($api->stats('requests.total'), 0, 'she has no mapping');
	}

	# a refresh, whoever starts it
	$session->query('RESET ROLE');
	$api->reset;
	$session->query('REFRESH MATERIALIZED VIEW velt.kept');
	is($session->value('TABLE velt.kept'), 250, 'a refresh is the owner\'s');
	is($api->stats('last_headers.x-velt-auth-token'), $token, 'by her token');

	# plans that are kept across SET ROLE, in and out of transactions
	for my $mode (qw(force_generic_plan force_custom_plan))
	{
		$session->query("SET plan_cache_mode = $mode");
		$session->query("PREPARE keys AS $count");
		$session->query("PREPARE pairs AS $join");
		for my $local ('', 'LOCAL')
		{
			$session->query('BEGIN') if $local;
			for my $round (1 .. 2)
			{
				$session->query("SET $local ROLE alice");
				of($session, 'EXECUTE keys', 'demo', 3,
					"$mode, $local: keys of alice");
				of($session, 'EXECUTE pairs', 'demo', 253,
					"$mode, $local: pairs of alice");
				$session->query("SET $local ROLE bob");
				of($session, 'EXECUTE keys', 'other', 1,
					"$mode, $local: keys of bob");
				of($session, 'EXECUTE pairs', 'other', 8,
					"$mode, $local: pairs of bob");
			}
			$session->query("SET $local ROLE carol");
			fails_with($session, 'EXECUTE pairs', '42704',
				"$mode, $local: pairs of nobody");
			$session->query('ROLLBACK') if $local;
		}
		$session->query('RESET ROLE');
		$session->query('DEALLOCATE ALL');
	}
	$session->close;
}

# ----------
# Workers of a parallel query leave the API to their leader
# ----------

{
	my $session = VeltClient->new($node);

	$session->query('CREATE TABLE local AS
		SELECT n, n % 300 AS key FROM generate_series(1, 100000) n');
	$session->query('ANALYZE local');
	$session->query("SET $_") for 'parallel_setup_cost = 0',
	  'parallel_tuple_cost = 0', 'min_parallel_table_scan_size = 0',
	  'max_parallel_workers_per_gather = 2';

	my $join = "SELECT count(*) FROM local l JOIN velt.api_keys k
		ON k.id = 'velt_api_key_' || lpad(l.key::text, 6, '0')";
	my %parallel = (
		'a join' => [ $join, 83350 ],
		'two scans' => [ 'SELECT sum(n) FROM (SELECT count(*) AS n FROM local
			UNION ALL SELECT count(*) FROM velt.api_keys) u', 100250 ],
		'a subquery' => [ 'SELECT count(*) FROM local
			WHERE n <= (SELECT count(*) FROM velt.api_keys)', 250 ]);
	my $workers = sub {
		my ($sql, $name) = @_;
		my $text = encode_json(plan_of($session, $sql, 'ANALYZE'));

		like($text, qr/"Workers Launched":"?[12]\b/, "$name: there are workers");
		return $text;
	};

	$session->query('SET velt_fdw.enable_batch_join = off');
	$session->query('TABLE velt.workspaces');
	for my $name (sort keys %parallel)
	{
		my ($sql, $value) = @{ $parallel{$name} };

		$workers->($sql, $name);
		$api->reset;
		is($session->value($sql), $value, "$name: rows");
		is($api->stats('requests.total'), 3, "$name: requests");
		is($api->stats('connections'), 0, "$name: the leader's connection");
	}

	# workers' rows, gathered by a join that asks for their keys
	$session->query('RESET velt_fdw.enable_batch_join');
	like($workers->($join, 'a batched join'),
		qr/Velt Batch Key/, 'indeed a batched join');
	$api->reset;
	is($session->value($join), 83350, 'a batched join: rows');
	my %asked;
	$asked{$_}++ for map { @$_ } @{ $api->stats('filters') };
	is(scalar keys %asked, 300, 'a batched join: all keys');
	is(scalar(grep { $_ > 1 } values %asked), 0, 'a batched join: once each');

	# unless a function that is said to be parallel safe makes them scan
	$session->query(q{CREATE FUNCTION kind(key int) RETURNS text
		LANGUAGE plpgsql PARALLEL SAFE COST 1000 AS $$
		BEGIN
			RETURN (SELECT type FROM velt.api_keys
				WHERE id = 'velt_api_key_' || lpad(key::text, 6, '0'));
		END
		$$});
	my $kinds = q{SELECT count(*) FROM local
		WHERE n <= 200 AND kind(key) = 'production'};
	my $connections = $api->stats('open_connections');
	$workers->($kinds, 'a function');
	$api->reset;
	is($session->value($kinds), 100, 'a function: rows');
	is($api->stats('requests.total'), 200, 'a function: requests');
	poll_until('the workers\' connections are closed',
		sub { $api->stats('open_connections') <= $connections });
	$api->faults([
		{ nth => 100, do => { error => 'INTERNAL', details => 'final' } }]);
	$api->reset;
	fails_with($session, $kinds, '08006', 'a function: it fails');
	$api->faults([ { nth => [ 10 .. 200 ], do => { stall => 'in_body' } } ]);
	$api->reset;
	$session->send($kinds);
	$api->wait_for('in_flight', 1);
	$admin->query('SELECT pg_cancel_backend(' . $session->pid . ')');
	is($session->result->{error}->{sqlstate}, '57014',
		'a function: it is cancelled');
	wait_until_idle($api);
	$api->faults([]);
	$session->close;
}

$admin->close;
done_testing();
