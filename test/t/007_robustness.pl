
# Scans that end as they should not, and sessions that go on; mappings that
# change, and roles that share a session with the server but nothing else.

use strict;
use warnings;

use JSON::PP;
use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltTest;

my $other_workspace = 'workspace_other';
my $other_token = 'other-token-0123456789abcdef';

my $api = VeltSimulator->new(
	config => {
		workspaces => {
			$workspace => { keys => 250, tokens_per_key => 1 },
			$other_workspace => { token => $other_token, keys => 7 }
		}
	});
my $node = start_node();
my $admin = VeltClient->new($node);
add_server($admin, 'velt', options => { api_url => $api->url });
my $count = 'SELECT count(*) FROM velt.api_keys';

# An error of the API that is not tried again.
my $final = { error => 'INTERNAL', details => 'final' };

sub no_connections
{
	poll_until('all connections are closed',
		sub { !$api->stats('open_connections') });
	return;
}

# Whose credentials the last request had.
sub last_credentials
{
	my $headers = $api->stats('last_headers');

	return "$headers->{'x-velt-workspace-id'} $headers->{'x-velt-auth-token'}";
}

# ----------
# Terminated backends
# ----------

for my $try (
	[ 'idle cursor' ],
	[ 'waiting scan', 1, 'apikeys/get' ],
	[ 'waiting fan-out', 8, 'authtokens/get' ])
{
	my ($how, $in_flight, $endpoint) = @$try;
	my $session = VeltClient->new($node);

	$api->reset;
	if ($in_flight)
	{
		$api->faults(
			[ { endpoint => $endpoint, do => { stall => 'in_body' } } ]);
		$session->send('TABLE velt.auth_tokens');
		$api->wait_for('in_flight', $in_flight);
	}
	else
	{
		$session->query('BEGIN');
		$session->query('DECLARE c CURSOR FOR TABLE velt.auth_tokens');
		is(scalar $session->query('FETCH 1 FROM c'), 1, 'a cursor in use');
	}
	cmp_ok($api->stats('open_connections'), '>=', 1, "$how: connected");
	$admin->query('SELECT pg_terminate_backend(' . $session->pid . ')');
	is($session->result->{error}->{sqlstate}, '57P01', "$how: terminated");
	no_connections();
	wait_until_idle($api);
	is($api->stats('open_connections'), 0, "$how: no connection is left");
	$api->faults([]);
}

# ----------
# Errors in the middle
# ----------

{
	my $session = VeltClient->new($node);

	$session->query("CREATE FOREIGN TABLE velt.numbers
		(api_key text, name int) SERVER velt
		OPTIONS (resource 'auth_tokens')");
	$api->faults(
		[ { endpoint => 'authtokens/get', nth => 30, do => $final } ]);
	for my $try (1 .. 3)
	{
		$api->reset;
		fails_with($session, 'SELECT count(*) FROM velt.auth_tokens',
			'08006', "a request of a fan-out fails, try $try");
		wait_until_idle($api);
		cmp_ok($api->stats('requests.authtokens/get'),
			'<', 250, 'the others are not made');
		is($session->value($count), 250, 'the session goes on');
	}
	$api->faults([]);
	$api->reset;
	fails_with($session, 'TABLE velt.numbers',
		'22P02', 'a value of a fan-out does not convert');
	wait_until_idle($api);
	fails_with($session, 'SELECT 1 / (length(api_key) - 19)
		FROM velt.auth_tokens', '22012', 'the query itself fails');
	wait_until_idle($api);
	is($session->value('SELECT count(*) FROM velt.auth_tokens'),
		250, 'the session has all rows of the next fan-out');
	cmp_ok($api->stats('max_in_flight'),
		'<=', 8, 'what failed takes no room in the next one');

	# a scan that fails beside one that does not
	$session->query('BEGIN');
	$session->query('DECLARE c CURSOR FOR TABLE velt.auth_tokens');
	my @rows = $session->query('FETCH 5 FROM c');
	$session->query('SAVEPOINT s');
	$api->faults([ { endpoint => 'apikeys/get', do => $final } ]);
	fails_with($session, $count, '08006', 'another scan fails');
	$api->faults([]);
	$session->query('ROLLBACK TO s');
	push @rows, $session->query('FETCH ALL FROM c');
	my %keys = map { $_->[0] => 1 } @rows;
	is(scalar keys %keys, 250, 'the first one has all rows');
	$session->query('COMMIT');
	$session->close;
}

# ----------
# Cursors and savepoints
# ----------

{
	my $session = VeltClient->new($node);
	my @rows;

	$session->query('BEGIN');
	$session->query('DECLARE before CURSOR FOR SELECT id FROM velt.api_keys');
	push @rows, $session->query('FETCH 5 FROM before');
	$session->query('SAVEPOINT s');
	push @rows, $session->query('FETCH 150 FROM before');
	$session->query(
		'DECLARE within CURSOR FOR SELECT api_key FROM velt.auth_tokens');
	$session->query('FETCH 5 FROM within');
	$session->error('SELECT 1/0');
	$session->query('ROLLBACK TO s');
	push @rows, $session->query('FETCH ALL FROM before');
	my %keys = map { $_->[0] => 1 } @rows;
	is(scalar @rows, 250, 'a cursor goes on behind a savepoint');
	is(scalar keys %keys, 250, 'and shows no row twice');
	wait_until_idle($api);
	fails_with($session, 'FETCH 1 FROM within', '34000',
		'one declared after it has gone');
	$session->query('ROLLBACK');

	# a failed portal does not come back
	$api->reset;
	$api->faults(
		[ { endpoint => 'apikeys/get', nth => 2, do => $final } ]);
	$session->query('BEGIN');
	$session->query('DECLARE c CURSOR FOR TABLE velt.api_keys');
	$session->query('FETCH 100 FROM c');
	$session->query('SAVEPOINT s');
	fails_with($session, 'FETCH 100 FROM c', '08006', 'a cursor fails');
	$session->query('ROLLBACK TO s');
	fails_with($session, 'FETCH 1 FROM c', '55000',
		'and stays so after a rollback');
	$session->query('ROLLBACK');
	$api->faults([]);

	$session->query('BEGIN');
	$session->query('DECLARE held CURSOR WITH HOLD FOR
		TABLE velt.auth_tokens');
	$session->query('FETCH 5 FROM held');
	$session->query('COMMIT');
	is(scalar $session->query('FETCH ALL FROM held'),
		245, 'a cursor with hold has the rest after commit');
	$session->query('CLOSE held');
	is($session->value($count), 250, 'and the session goes on');
	$session->close;
}

# Subtransactions by the hundred.
{
	my $session = VeltClient->new($node);
	my $loop = <<'SQL';
DO $$
DECLARE
	failed int := 0;
BEGIN
	FOR i IN 1 .. %d LOOP
		BEGIN
			CASE i %% 3
				WHEN 0 THEN PERFORM count(*) FROM velt.workspaces;
				WHEN 1 THEN PERFORM count(name) FROM velt.numbers;
				ELSE PERFORM 1 / (length(api_key) - 19)
					FROM velt.auth_tokens;
			END CASE;
		EXCEPTION WHEN OTHERS THEN
			failed := failed + 1;
		END;
	END LOOP;
	IF failed <> %d THEN
		RAISE EXCEPTION '%% scans failed', failed;
	END IF;
END
$$
SQL

	$api->faults([ { endpoint => 'workspace/get', do => $final } ]);
	$session->query(sprintf $loop, 50, 50);
	my @before =
	  (descriptors($session->pid), memory_kb($session->pid, 'RssAnon'));
	$session->query(sprintf $loop, 500, 500);
	my @after =
	  (descriptors($session->pid), memory_kb($session->pid, 'RssAnon'));
	# a transfer that is broken off takes its connection with it, and how
	# many are open between two scans is chance: up to max_concurrency
	cmp_ok($after[0] - $before[0],
		'<=', 8, '500 failed scans in subtransactions leave no descriptor');
	note 'memory grew by ', $after[1] - $before[1], ' kB';
	cmp_ok($after[1] - $before[1], '<', 1024, 'and no memory');
	$api->faults([]);
	wait_until_idle($api);
	cmp_ok($api->stats('open_connections'), '<=', 8, 'and no connection');
	is($session->value($count), 250, 'and the session goes on');
	$session->close;
}

# ----------
# Objects that change or go
# ----------

{
	my $session = VeltClient->new($node);

	add_server($session, 'doomed', options => { api_url => $api->url });
	$session->query('BEGIN');
	$session->query('DECLARE c CURSOR FOR TABLE doomed.auth_tokens');
	$session->query('FETCH 5 FROM c');
	$session->query('SAVEPOINT s');
	fails_with($session, 'DROP SERVER doomed CASCADE',
		'55006', 'a server is not dropped under an open cursor');
	$session->query('ROLLBACK TO s');
	is(scalar $session->query('FETCH 100 FROM c'),
		100, 'which goes on');
	$session->query('DROP USER MAPPING FOR CURRENT_USER SERVER doomed');
	is(scalar $session->query('FETCH ALL FROM c'),
		145, 'also without its mapping');
	$session->query('SAVEPOINT s');
	fails_with($session, 'TABLE doomed.api_keys', '42704',
		'that is missed by the next scan');
	$session->query('ROLLBACK TO s');
	$session->query('CLOSE c');
	$session->query('DROP SERVER doomed CASCADE');
	fails_with($session, 'TABLE doomed.api_keys', '42P01',
		'with the server its tables are gone');
	$session->query('ROLLBACK');
	is($session->value('SELECT count(*) FROM doomed.api_keys'),
		250, 'a rollback brings them back');

	# another session drops it, while this one has connections
	$admin->query('DROP SERVER doomed CASCADE');
	fails_with($session, 'TABLE doomed.api_keys', '42P01',
		'another session has dropped the server');
	is($session->value($count), 250, 'and this one goes on');

	# servers that come and go
	my $before;
	for my $round (1 .. 20)
	{
		$session->query('DROP SCHEMA IF EXISTS doomed CASCADE');
		add_server($session, 'doomed', options => { api_url => $api->url });
		$session->query('TABLE doomed.workspaces');
		$session->query('DROP SERVER doomed CASCADE');
		$session->query($count);
		$before //= descriptors($session->pid);
	}
	is(descriptors($session->pid),
		$before, 'servers that come and go leave no descriptor');
	$session->close;
	no_connections();
}

{
	my $session = VeltClient->new($node);
	my $demo = "$workspace $token";
	my $other = "$other_workspace $other_token";
	my $change = "ALTER USER MAPPING FOR CURRENT_USER SERVER velt
		OPTIONS (SET workspace_id '%s', SET auth_token '%s')";

	$session->query("PREPARE prepared AS $count");
	for (1 .. 6)
	{
		$session->query('EXECUTE prepared');
	}
	$session->query('BEGIN');
	$session->query('DECLARE c CURSOR FOR TABLE velt.auth_tokens');
	$session->query('FETCH 5 FROM c');
	is(last_credentials(), $demo, 'the mapping as it was');
	$session->query(sprintf $change, $other_workspace, $other_token);
	is($session->value($count), 7,
		'an altered mapping takes effect at the next statement');
	is(last_credentials(), $other, 'with its token');
	is($session->value('EXECUTE prepared'),
		7, 'of a prepared statement too');
	is(scalar $session->query('FETCH ALL FROM c'),
		245, 'an open cursor keeps to what it began with');
	$session->query('SAVEPOINT s');
	$session->query(sprintf $change, $other_workspace, 'wrong');
	fails_with($session, $count, '42501', 'altered again');
	$session->query('ROLLBACK TO s');
	is($session->value($count), 7, 'a savepoint has the mapping back');
	$session->query('ROLLBACK');
	is($session->value($count), 250, 'and so has a rollback');
	is(last_credentials(), $demo, 'with its token');

	# by another session
	$admin->query(sprintf $change, $other_workspace, $other_token);
	is($session->value('EXECUTE prepared'),
		7, 'a mapping that another session has altered');
	$admin->query(sprintf $change, $workspace, $token);
	is($session->value('EXECUTE prepared'), 250, 'and altered back');

	# the server's options
	$session->query('BEGIN');
	$session->query("ALTER SERVER velt OPTIONS (ADD page_size '50')");
	$api->reset;
	is($session->value('EXECUTE prepared'), 250, 'an altered server');
	is($api->stats('page_sizes.0'), 50, 'takes effect as well');
	$session->query('ROLLBACK');
	$api->reset;
	is($session->value('EXECUTE prepared'), 250, 'and a rollback of that');
	is($api->stats('page_sizes.0'), 100, 'as well');
	$session->close;
	no_connections();
}

# ----------
# A session with other business
# ----------

{
	my $session = VeltClient->new($node);
	my $force =
	  $session->value('SHOW server_version_num') >= 160000
	  ? 'debug_parallel_query'
	  : 'force_parallel_mode';

	$session->query("CREATE TABLE local AS
		SELECT format('velt_api_key_%s', lpad(n::text, 6, '0')) AS id, n
		  FROM generate_series(1, 10000) n");
	$session->query('ANALYZE local');
	$session->query("SET $_")
	  for 'parallel_setup_cost = 0', 'parallel_tuple_cost = 0',
	  'min_parallel_table_scan_size = 0', 'max_parallel_workers_per_gather = 2',
	  "$force = on";
	my $join = 'SELECT count(*), sum(l.n) FROM local l
		JOIN velt.api_keys k ON k.id = l.id
		WHERE (SELECT count(*) FROM local) = 10000';
	my $plan = join "\n", map { $_->[0] } $session->query("EXPLAIN $join");
	like($plan, qr/Gather/, 'a query with parallel workers');
	$api->reset;
	is_deeply([ $session->query($join) ],
		[ [ 250, 250 * 251 / 2 ] ], 'has the right result');
	is($api->stats('connections'), 1, 'the scan is the leader\'s own');
	is($session->value($count), 250, 'so is a scan alone');
	is($api->stats('connections'), 1, 'over its connection');
	$session->query('DROP TABLE local');

	$session->query('DECLARE held CURSOR WITH HOLD FOR TABLE velt.api_keys');
	$session->query('PREPARE prepared AS TABLE velt.api_keys');
	$session->query('EXECUTE prepared');
	$session->query('DISCARD ALL');
	is($session->value($count), 250, 'a scan after DISCARD ALL');
	is($api->stats('connections'), 1, 'over the same connection');
	$session->close;
	no_connections();
}

# ----------
# Roles
# ----------

{
	my $session = VeltClient->new($node);
	my %credentials = (
		alice => "$workspace $token",
		bob => "$other_workspace $other_token");
	my %rows = (alice => 250, bob => 7);

	$session->query("CREATE ROLE $_") for qw(alice bob carol);
	$session->query('CREATE SERVER shared FOREIGN DATA WRAPPER velt_fdw '
		  . option_list(api_url => $api->url, retry_timeout => '0'));
	$session->query('CREATE SCHEMA shared');
	$session->query('IMPORT FOREIGN SCHEMA workspace
		FROM SERVER shared INTO shared');
	$session->query('GRANT USAGE, CREATE ON SCHEMA shared TO PUBLIC');
	$session->query(
		'GRANT SELECT ON ALL TABLES IN SCHEMA shared TO PUBLIC');
	for my $role (sort keys %credentials)
	{
		my ($id, $its_token) = split / /, $credentials{$role};

		add_mapping(
			$session, 'shared',
			user => $role,
			workspace_id => $id,
			auth_token => $its_token);
	}

	# wherever the scans of both are open at a time, too
	$api->reset;
	my @wrong;
	$session->query('BEGIN');
	for my $round (1 .. 10)
	{
		for my $role (sort keys %credentials)
		{
			$session->query("SET LOCAL ROLE $role");
			my $rows = $session->value('SELECT count(*) FROM shared.api_keys');
			push @wrong, "$role: $rows rows" if $rows != $rows{$role};
			push @wrong, "$role: " . last_credentials()
			  if last_credentials() ne $credentials{$role};
			$session->query("DECLARE ${role}_$round CURSOR FOR
				SELECT workspace_id FROM shared.api_keys");
			$session->query("FETCH 1 FROM ${role}_$round");
		}
	}
	for my $role (sort keys %credentials)
	{
		for my $round (1 .. 10)
		{
			my ($id) = split / /, $credentials{$role};

			push @wrong, "cursor of $role" if grep { $_->[0] ne $id }
				$session->query("FETCH ALL FROM ${role}_$round");
		}
	}
	$session->query('COMMIT');
	is("@wrong", '', 'two roles with two mappings never share');

	$session->query('SET ROLE carol');
	fails_with($session, 'TABLE shared.api_keys', '42704',
		'a role without a mapping has no part in theirs');
	$session->query('SET ROLE alice');
	$session->query('CREATE VIEW shared.keys AS TABLE shared.api_keys');
	$session->query('GRANT SELECT ON shared.keys TO PUBLIC');
	for my $role (qw(bob carol))
	{
		$session->query("SET ROLE $role");
		is($session->value('SELECT count(*) FROM shared.keys'),
			250, 'a view has its owner\'s rows');
		is(last_credentials(), $credentials{alice}, 'by its owner\'s mapping');
	}
	is_deeply(
		[
			$session->query(
				'SELECT count(*) FROM shared.keys UNION ALL
				 SELECT count(*) FROM shared.keys')
		],
		[ [250], [250] ],
		'as often as it is used');
	$session->query('SET ROLE bob');
	is( $session->value(
			'SELECT count(*) FROM (SELECT workspace_id FROM shared.keys
			  UNION SELECT workspace_id FROM shared.api_keys) AS u'),
		2,
		'two mappings in one query');
	$session->query('RESET ROLE');
	$session->close;
	no_connections();

	# through PUBLIC
	$session = VeltClient->new($node);
	$session->query("DROP USER MAPPING FOR $_ SERVER shared")
	  for sort keys %credentials;
	add_mapping($session, 'shared', user => 'PUBLIC');
	$api->reset;
	for my $role (qw(alice bob carol))
	{
		$session->query("SET ROLE $role");
		is($session->value('SELECT count(*) FROM shared.workspaces'),
			1, "$role has the mapping of PUBLIC");
		is(last_credentials(), $credentials{alice}, 'and its token');
	}
	is($api->stats('connections'), 1, 'and one connection with the others');

	$session->query('RESET ROLE');
	add_mapping(
		$session, 'shared',
		user => 'bob',
		workspace_id => $other_workspace,
		auth_token => $other_token);
	$session->query('SET ROLE bob');
	is($session->value('SELECT count(*) FROM shared.api_keys'),
		7, 'a mapping of one\'s own comes before it, at once');
	$session->close;
}

$admin->close;

# ----------
# A server without a postmaster, as it is used for repairs
# ----------

{
	my @postgres = (
		'postgres', '--single', '-j', '-D' => $node->data_dir,
		'-c' => 'log_min_messages=error', 'postgres');
	my ($out, $err) = ('', '');

	$node->stop;
	$api->reset;
	# which ends a command at an empty line
	IPC::Run::run(\@postgres, '<', \"$count;\n\n", '>', \$out, '2>', \$err);
	like($out, qr/count = "250"/, 'it scans as any other');
	is($err =~ /ERROR/ ? $err : '', '', 'and nothing goes wrong');
	is($api->stats('requests.total'), 3, 'in so many requests');
}

done_testing();
