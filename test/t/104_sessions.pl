
# Sessions: what changes takes effect at the next statement, nobody has what
# is another's, and what is shown of sessions, and of servers, is true.

use strict;
use warnings;

use JSON::PP;
use POSIX qw(mkfifo);
use Test::More;
use Time::HiRes qw(time);

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltFaults;
use VeltTest;

my $other_workspace = 'workspace_other';
my $other_token = 'other-token-0123456789abcdef';

my $certs = tempdir();
VeltSimulator::certs($certs);

my %workspaces = (
	$workspace => { keys => 20, tokens_per_key => 1 },
	$other_workspace => { token => $other_token, keys => 7 });
my $api = VeltSimulator->new(config => { workspaces => \%workspaces });
my $second = VeltSimulator->new(
	config => { workspaces => { $workspace => { keys => 3 } } });

# A server's end of a process takes the whole server down otherwise.
my $stall = tempdir() . '/stall';
mkfifo($stall, 0600) or die "could not make $stall: $!";
my $node = start_node(
	conf => 'restart_after_crash = on',
	env => {
		LD_PRELOAD => compile_shim('network.c'),
		VELT_TEST_STALL => $stall
	});
my $admin = VeltClient->new($node);
my $count = 'SELECT count(*) FROM velt.api_keys';

add_server($admin, 'velt', options => { api_url => $api->url });

sub alter_server
{
	my ($session, $change) = @_;
	$session->query("ALTER SERVER velt OPTIONS ($change)");
	return;
}

sub move_to
{
	my ($session, $to) = @_;
	alter_server($session, 'SET api_url ' . literal($to->url));
	return;
}

sub map_to
{
	my ($session, $id, $its_token) = @_;
	$session->query('ALTER USER MAPPING FOR CURRENT_USER SERVER velt OPTIONS ('
		  . "SET workspace_id '$id', SET auth_token '$its_token')");
	return;
}

sub closed
{
	my ($of, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	poll_until('the connections are closed',
		sub { !$of->stats('open_connections') });
	pass($name);
	return;
}

sub connections
{
	my ($session) = @_;
	return $session->query('SELECT server_name, user_name, workspace_id, valid
		FROM velt_fdw_get_connections() ORDER BY 1, 2');
}

my $me = $admin->value('SELECT current_user');

# A name is all that changes: the session stays, and tells of the new one.
{
	my $session = VeltClient->new($node);

	alter_server($admin, "SET retry_timeout '1h'");
	is($session->value($count), 20, 'a session');
	my $connections = $api->stats('connections');
	$admin->query('ALTER SERVER velt RENAME TO renamed');
	$api->faults(
		[ { do => { status => 503, headers => { 'retry-after' => '1000' } } } ]);
	$session->send($count);
	poll_until('a NOTICE comes', sub {
		die 'the query has ended' if $session->has_answer;
		return @{ $session->{notices} // [] };
	});
	my $result = cancelled_in_time($admin, $session, 'a long wait');
	like($result->{notices}->[0]->{message}, qr/"renamed"/,
		'a server that is renamed is told of by its new name');
	is($api->stats('connections'), $connections, 'and no connection is new');
	$api->faults([]);
	$admin->query('ALTER SERVER renamed RENAME TO velt');
	alter_server($admin, "SET retry_timeout '0'");
	is($session->value($count), 20, 'which goes on');
	$session->close;
}

# ----------
# Changes, with a plan that is kept
# ----------

for my $mode (qw(force_generic_plan force_custom_plan))
{
	my $session = VeltClient->new($node);

	$session->query("SET plan_cache_mode = $mode");
	$session->query("PREPARE c (text) AS $count WHERE id > \$1");
	my $execute = "EXECUTE c ('')";
	is($session->value($execute), 20, "$mode: at first");

	# by another session, and outside of a transaction
	move_to($admin, $second);
	$api->reset;
	is($session->value($execute), 3, "$mode: another api_url");
	is($api->stats('requests.total'), 0, 'the old one is asked no more');
	closed($api, 'nor is it connected');
	move_to($admin, $api);
	is($session->value($execute), 20, "$mode: and back");

	map_to($admin, $other_workspace, $other_token);
	is($session->value($execute), 7, "$mode: another mapping");
	is($api->stats('last_headers.x-velt-workspace-id'),
		$other_workspace, 'of another workspace');
	is($api->stats('last_headers.x-velt-auth-token'),
		$other_token, 'with another token');
	map_to($admin, $workspace, 'wrong-0123456789');
	fails_with($session, $execute, '42501', "$mode: a wrong token");
	map_to($admin, $workspace, $token);
	is($session->value($execute), 20, "$mode: and the right one");

	# in a transaction, by itself; and by others, in the midst of it
	$session->query('BEGIN');
	is($session->value($execute), 20, "$mode: in a transaction");
	move_to($session, $second);
	is($session->value($execute), 3, "$mode: altered in it");
	$session->query('SAVEPOINT s');
	move_to($session, $api);
	map_to($session, $other_workspace, $other_token);
	is($session->value($execute), 7, "$mode: altered again");
	$session->query('ROLLBACK TO s');
	is($session->value($execute), 3, "$mode: rolled back to a savepoint");
	$session->query('ROLLBACK');
	is($session->value($execute), 20, "$mode: rolled back");
	$session->query('BEGIN');
	$session->query($execute);
	map_to($admin, $other_workspace, $other_token);
	is($session->value($execute), 7, "$mode: altered by another meanwhile");
	map_to($admin, $workspace, $token);
	is($session->value($execute), 20, "$mode: and altered back");
	$session->query('COMMIT');

	# dropped
	$session->query('BEGIN');
	$session->query($execute);
	$admin->query('DROP USER MAPPING FOR CURRENT_USER SERVER velt');
	fails_with($session, $execute, '42704', "$mode: without a mapping");
	$session->query('ROLLBACK');
	$api->reset;
	fails_with($session, $execute, '42704', "$mode: also afterwards");
	is($api->stats('requests.total'), 0, 'nothing is asked any more');
	closed($api, 'nor connected');
	add_mapping($admin, 'velt', user => 'PUBLIC');
	is($session->value($execute), 20, "$mode: a mapping of PUBLIC");
	$admin->query('DROP USER MAPPING FOR PUBLIC SERVER velt');
	add_mapping($admin, 'velt');
	is($session->value($execute), 20, "$mode: one of its own again");

	# options that a plan depends on
	$api->reset;
	alter_server($admin, q{ADD page_size '5'});
	is($session->value($execute), 20, "$mode: another page_size");
	is($api->stats('requests.total'), 4, 'makes other pages');
	alter_server($admin, 'DROP page_size');

	# a file
	my $file = write_file(tempdir() . '/token', "$token\n");
	$admin->query('ALTER USER MAPPING FOR CURRENT_USER SERVER velt OPTIONS ('
		  . "DROP auth_token, ADD auth_token_file '$file')");
	is($session->value($execute), 20, "$mode: a token in a file");
	$session->query('BEGIN');
	$session->query($execute);
	write_file($file, 'second-0123456789');
	fails_with($session, $execute, '42501', "$mode: another in the same file");
	$session->query('ROLLBACK');
	$api->config(
		{ workspaces => { $workspace => { token => 'second-0123456789' } } });
	is($session->value($execute), 20, "$mode: which is the right one now");
	$api->config({ workspaces => { $workspace => { token => $token } } });
	$admin->query('ALTER USER MAPPING FOR CURRENT_USER SERVER velt OPTIONS ('
		  . "DROP auth_token_file, ADD auth_token '$token')");
	is($session->value($execute), 20, "$mode: and one without a file");

	# who is in the midst of a scan goes on with what it has
	$session->query('BEGIN');
	$session->query('DECLARE d CURSOR FOR TABLE velt.auth_tokens');
	$session->query('FETCH 1 FROM d');
	move_to($admin, $second);
	is(scalar $session->query('FETCH ALL FROM d'),
		19, "$mode: a scan that has begun goes on");
	is($session->value($execute), 3, 'beside one that begins');
	$session->query('COMMIT');
	closed($api, 'and ends with its transaction');
	move_to($admin, $api);
	$session->close;
}

# ----------
# Whose mapping
# ----------

{
	my $session = VeltClient->new($node);
	my %rows = (alice => 20, bob => 7);

	$session->query("CREATE ROLE $_") for qw(alice bob carol);
	$session->query('GRANT USAGE, CREATE ON SCHEMA velt TO PUBLIC');
	$session->query('GRANT SELECT ON ALL TABLES IN SCHEMA velt TO PUBLIC');
	add_mapping($session, 'velt', user => 'alice');
	add_mapping($session, 'velt', user => 'bob',
		workspace_id => $other_workspace, auth_token => $other_token);

	$api->reset;
	for my $role (qw(alice bob alice bob))
	{
		$session->query("SET ROLE $role");
		is($session->value($count), $rows{$role}, "$role has a mapping");
	}
	is($api->stats('connections'), 2, 'and each a connection');
	is(counters($session, 'velt')->{requests}, 2, 'that is used again');
	$session->query('RESET ROLE');
	is_deeply(
		[ connections($session) ],
		[
			[ 'velt', 'alice', $workspace, 't' ],
			[ 'velt', 'bob', $other_workspace, 't' ]
		],
		'as velt_fdw_get_connections shows');

	$session->query('SET ROLE alice');
	$session->query("CREATE VIEW velt.view AS $count");
	$session->query("CREATE FUNCTION velt.definer() RETURNS bigint
		SECURITY DEFINER LANGUAGE sql AS '$count'");
	$session->query("CREATE FUNCTION velt.invoker() RETURNS bigint
		LANGUAGE plpgsql AS 'BEGIN RETURN ($count); END'");
	$session->query('GRANT SELECT ON velt.view TO PUBLIC');
	for my $role (qw(bob carol))
	{
		$session->query("SET ROLE $role");
		is($session->value('TABLE velt.view'), 20, "$role sees its owner's view");
		is($session->value('SELECT velt.definer()'),
			20, 'and has SECURITY DEFINER');
	}
	for my $role (qw(alice bob alice))
	{
		$session->query("SET ROLE $role");
		is($session->value('SELECT velt.invoker()'),
			$rows{$role}, "$role invokes with a mapping of its own");
	}
	$session->query('SET ROLE carol');
	fails_with($session, 'SELECT velt.invoker()', '42704',
		'who has none has none of theirs');
	is_deeply(
		[
			$session->query("SELECT * FROM velt.view, LATERAL
				(SELECT velt.definer()) d")
		],
		[ [ 20, 20 ] ],
		'but both in one query');
	$session->query('SET ROLE bob');
	is_deeply(
		[ $session->query("TABLE velt.view UNION ALL $count") ],
		[ [20], [7] ],
		'two mappings in one query');
	$session->close;
	$admin->query('DROP OWNED BY alice, bob, carol');
}

# ----------
# Which roles see the workspace id
# ----------

{
	my $session = VeltClient->new($node);

	# "user" has a mapping and USAGE, "reader" a mapping alone, "other"
	# neither; "member" has the privileges of the owner, "distant" has not.
	$session->query("CREATE ROLE $_")
	  for qw(owner user_ reader other), 'member IN ROLE owner',
	  'distant NOINHERIT IN ROLE owner';
	my @roles = (qw(owner user_ reader other member distant), $me);
	$session->query('GRANT USAGE ON FOREIGN DATA WRAPPER velt_fdw TO owner');
	for my $server (qw(mapped public_))
	{
		add_server($session, $server, options => { api_url => $api->url });
		$session->query("DROP USER MAPPING FOR CURRENT_USER SERVER $server");
		$session->query("ALTER SERVER $server OWNER TO owner");
		$session->query("GRANT USAGE ON SCHEMA $server TO PUBLIC");
		$session->query(
			"GRANT SELECT ON ALL TABLES IN SCHEMA $server TO PUBLIC");
		$session->query(
			"GRANT USAGE ON FOREIGN SERVER $server TO user_, other");
	}
	add_mapping($session, 'mapped', user => $_) for qw(user_ reader owner);
	add_mapping($session, 'public_', user => 'PUBLIC');
	$session->query('SET ROLE user_');
	$session->query('SELECT count(*) FROM public_.api_keys');
	for my $role (qw(user_ reader owner))
	{
		$session->query("SET ROLE $role");
		$session->query('SELECT count(*) FROM mapped.api_keys');
	}

	my %sees = (
		$me => 'mapped owner, mapped reader, mapped user_, public_ public',
		owner => 'mapped owner, public_ public',
		member => 'public_ public',
		user_ => 'mapped user_',
		map { $_ => '' } qw(reader other distant));
	my $shown = q{SELECT string_agg(server_name || ' ' || user_name, ', '
		ORDER BY server_name, user_name) FROM };
	for my $role (@roles)
	{
		$session->query($role eq $me ? 'RESET ROLE' : "SET ROLE $role");
		is($session->value('SELECT count(*) FROM velt_fdw_get_connections()'),
			4, "$role sees all connections of the session");
		is( $session->value("$shown velt_fdw_get_connections()
				WHERE workspace_id IS NOT NULL") // '',
			$sees{$role},
			"$role sees the workspace id of some");
		is( $session->value("$shown (SELECT srvname, usename
				FROM pg_user_mappings WHERE umoptions IS NOT NULL
				AND srvname IN ('mapped', 'public_')) m (server_name, user_name)")
			  // '',
			$sees{$role}, 'like the options of the mappings');
	}
	is($session->value("SELECT string_agg(DISTINCT workspace_id, ' ')
			FROM velt_fdw_get_connections()"),
		$workspace, 'which it is');

	# the same of velt_fdw_check, which needs USAGE
	my @details = (
		[ user_ => 'mapped', qr/^workspace \Q$workspace\E at http/ ],
		[ owner => 'mapped', qr/^workspace \Q$workspace\E at http/ ],
		[ owner => 'public_', qr/^workspace \Q$workspace\E at http/ ],
		[ member => 'public_', qr/^workspace \Q$workspace\E at http/ ],
		[ user_ => 'public_', qr/^workspace of the PUBLIC user mapping at http/ ],
		[ other => 'public_', qr/^workspace of the PUBLIC user mapping at http/ ]);
	for my $case (@details)
	{
		my ($role, $server, $detail) = @$case;

		$session->query("SET ROLE $role");
		like($session->value("SELECT detail FROM velt_fdw_check('$server')
				WHERE step = 'options'"), $detail, "$role checks $server");
		is($session->value("SELECT bool_and(ok) FROM velt_fdw_check('$server')"),
			't', 'with success');
	}
	$session->query('RESET ROLE');

	$session->query('BEGIN');
	$session->query('DROP SERVER public_ CASCADE');
	$session->query('SET LOCAL ROLE owner');
	is_deeply(
		[
			$session->query("SELECT user_name, workspace_id
				FROM velt_fdw_get_connections() WHERE server_name = 'public_'")
		],
		[ [ 'public', undef ] ],
		'the workspace id of a dropped server is hidden');
	$session->query('ROLLBACK');
	$session->close;
	$admin->query("DROP SERVER $_ CASCADE") for qw(mapped public_);
	$admin->query('DROP OWNED BY owner, user_, reader, other, member, distant');
	$admin->query('DROP ROLE owner, user_, reader, other, member, distant');
}

# ----------
# Connections that are not kept, or not by the other side
# ----------

{
	my $session = VeltClient->new($node);

	alter_server($admin, q{ADD keep_connections 'false'});
	$api->reset;
	is($session->value($count), 20, 'keep_connections false');
	closed($api, 'no connection outlives its transaction');
	is_deeply([ connections($session) ], [], 'nor a session');
	$session->query('BEGIN');
	$session->query($count) for 1 .. 3;
	is($api->stats('connections'), 2, 'within one it does');
	$session->query('ROLLBACK');
	closed($api, 'also when that is rolled back');
	alter_server($admin, 'DROP keep_connections');
	$session->close;

	# closed while idle, or with each response
	my @closing = (
		[ 'HTTP/1.0', { modes => { http10_close => JSON::PP::true } }, [] ],
		[ 'Connection: close', {}, [ { do => { headers => { connection => 'close' } } } ] ],
		[ 'without a word', {}, [ { do => { truncate => 100_000 } } ] ]);
	for my $how (@closing)
	{
		my ($name, $config, $faults) = @$how;

		$session = VeltClient->new($node);
		$api->config($config);
		$api->faults($faults);
		$api->reset;
		for my $try (1 .. 5)
		{
			is($session->value($count), 20, "$name: scan $try");
			poll_until('it has closed its end',
				sub { $api->stats('open_connections') == 0 });
		}
		is($api->stats('requests.total'), 5, "$name: a request a scan");
		is($api->stats('connections'), 5, 'over a connection each');
		$api->config({ modes => undef });
		$api->faults([]);
		$session->close;
	}
}

# A server that goes, and one elsewhere that takes its place.
{
	my $session = VeltClient->new($node);
	my $gone = VeltSimulator->new;

	add_server($admin, 'moving', options => { api_url => $gone->url });
	my $moving = 'SELECT count(*) FROM moving.api_keys';
	is($session->value($moving), 25, 'a server');
	$gone->stop;
	fails_with($session, $moving, '08001', 'that is gone is missed');
	my $back = VeltSimulator->new;
	$admin->query('ALTER SERVER moving OPTIONS (SET api_url '
		  . literal($back->url) . ')');
	is($session->value($moving), 25, 'and found elsewhere');
	$session->close;
}

# ----------
# What is shown
# ----------

{
	my $session = VeltClient->new($node);

	is_deeply([ connections($session) ], [], 'no session before a scan');
	is($session->value("SELECT velt_fdw_disconnect('velt')"),
		'f', 'nothing to disconnect');
	is($session->value('SELECT velt_fdw_disconnect_all()'),
		'f', 'nothing at all');
	fails_with($session, "SELECT velt_fdw_disconnect('nope')",
		'42704', 'a server that does not exist');
	$session->query("EXPLAIN $count");
	is_deeply([ connections($session) ], [], 'EXPLAIN is no scan');

	$api->reset;
	$session->query('TABLE velt.auth_tokens');
	my $counters = counters($session, 'velt');
	is($counters->{valid}, 't', 'a session is valid');
	is($counters->{requests}, $api->stats('requests.total'), 'requests');
	is($counters->{requests}, 21, 'are those of the fan-out');
	is($counters->{retries}, 0, 'retries');
	is($counters->{bytes_received}, $api->stats('body_bytes'), 'bytes');
	is($counters->{open_connections},
		$api->stats('open_connections'), 'connections');
	my @types = map { $_->[0] } $session->query(
		"SELECT format('%s %s', a.name, a.type::regtype)
		   FROM pg_proc p, unnest(proargnames, proallargtypes) a (name, type)
		  WHERE proname = 'velt_fdw_get_connections'");
	is( join(', ', @types),
		'server_name text, user_name text, workspace_id text, valid boolean,'
		  . ' open_connections integer, requests bigint, retries bigint,'
		  . ' bytes_received bigint',
		'columns');

	# PUBLIC, and what is no longer valid
	add_server($admin, 'common', options => { api_url => $api->url });
	$admin->query('DROP USER MAPPING FOR CURRENT_USER SERVER common');
	add_mapping($admin, 'common', user => 'PUBLIC');
	$session->query('TABLE common.workspaces');
	is_deeply(
		[ connections($session) ],
		[
			[ 'common', 'public', $workspace, 't' ],
			[ 'velt', $me, $workspace, 't' ]
		],
		'a mapping of PUBLIC');
	$session->query('BEGIN');
	$session->query('TABLE common.workspaces');
	$session->query("ALTER SERVER common OPTIONS (ADD page_size '5')");
	is_deeply(
		[ connections($session) ],
		[
			[ 'common', 'public', $workspace, 'f' ],
			[ 'velt', $me, $workspace, 't' ]
		],
		'a session of a server that was altered');
	$session->query('ROLLBACK');

	# in use
	$session->query('BEGIN');
	$session->query('DECLARE c CURSOR FOR TABLE velt.auth_tokens');
	$session->query('FETCH 1 FROM c');
	$session->send("SELECT velt_fdw_disconnect('velt')");
	my $result = $session->result;
	is($result->{rows}->[0]->[0], 'f', 'what is in use is not disconnected');
	is(scalar @{ $result->{notices} }, 1, 'one warning');
	is($result->{notices}->[0]->{severity}, 'WARNING', 'is that');
	like($result->{notices}->[0]->{message}, qr/"velt".*in use/, 'of it');
	$session->query('TABLE common.workspaces');
	$session->send('SELECT velt_fdw_disconnect_all()');
	$result = $session->result;
	is($result->{rows}->[0]->[0], 't', 'of all, the others are');
	is(scalar @{ $result->{notices} }, 1, 'with a warning as well');
	is(scalar $session->query('FETCH ALL FROM c'), 19, 'the scan goes on');
	$session->query('COMMIT');
	is($session->value("SELECT velt_fdw_disconnect('velt')"),
		't', 'out of use it is disconnected');
	is_deeply([ connections($session) ], [], 'nothing is left');
	closed($api, 'nor connected');
	is($session->value($count), 20, 'until the next scan');
	is(counters($session, 'velt')->{requests}, 1, 'which counts anew');
	$session->close;
}

# ----------
# velt_fdw_check
# ----------

sub check
{
	my ($session, $server) = @_;
	return $session->query('SELECT * FROM velt_fdw_check(' . literal($server)
		  . ')');
}

# The steps, "step ok" or "step failed"; the last one's detail is like that.
sub checks
{
	my ($session, $server, $steps, $detail, $name) = @_;
	my @rows = check($session, $server);
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is( join(', ', map { "$_->[0] " . ($_->[1] eq 't' ? 'ok' : 'failed') } @rows),
		$steps, "check: $name");
	like($rows[-1]->[2], $detail, 'with detail');
	unlike(join("\n", map { $_->[2] } @rows),
		qr/token-0123456789/, 'and without a secret');
	return;
}

{
	my $session = VeltClient->new($node);
	my $connected = 'options ok, connect ok';
	my $tls = serve_tls($certs, 'server');
	my %servers = (
		refused => { api_url => 'http://127.0.0.1:1' },
		stalled => {
			api_url => $api->ready->{stall_url}, connect_timeout => '100ms'
		},
		look_up => {
			api_url => 'https://stall.invalid', connect_timeout => '100ms'
		},
		silent => {
			api_url => $api->ready->{tls_stall_url},
			sslrootcert => "$certs/ca.crt",
			connect_timeout => '100ms',
			retry_timeout => '1min'
		},
		tls => { api_url => $tls->url, sslrootcert => "$certs/ca.crt" },
		wrong_ca => {
			api_url => $tls->url, sslrootcert => "$certs/untrusted.crt"
		},
		no_ca =>
		  { api_url => $tls->url, sslrootcert => "$certs/missing.crt" });

	for my $name (sort keys %servers)
	{
		$admin->query("CREATE SERVER check_$name FOREIGN DATA WRAPPER velt_fdw "
			  . option_list(retry_timeout => '0', %{ $servers{$name} }));
		add_mapping($admin, "check_$name");
	}
	$api->reset;
	checks($session, 'velt', "$connected, auth ok", qr/./, 'all is well');
	is($api->stats('requests.total'), 1, 'with one request');
	is($api->stats('requests.workspace/get'), 1, 'for the workspace');
	checks($session, 'check_tls', "$connected, auth ok", qr/./, 'over TLS');
	checks($session, 'check_refused', 'options ok, connect failed',
		qr/08001/, 'connection refused');
	checks($session, 'check_stalled', 'options ok, connect failed',
		qr/08001.*No connection was made within 100 ms/, 'connect timeout');
	checks($session, 'check_look_up', 'options ok, connect failed',
		qr/08001.*look-up of the server's name did not end within 100 ms/,
		'look-up timeout');
	checks($session, 'check_silent', 'options ok, connect failed',
		qr/08001.*TLS handshake did not finish within 100 ms.*There were 3 attempts.*speaks TLS/,
		'a TLS hello without an answer');
	checks($session, 'check_wrong_ca', 'options ok, connect failed',
		qr/HV00N/, 'another authority');
	checks($session, 'check_no_ca', 'options failed',
		qr/HV00N.*missing/, 'no authority');

	map_to($admin, $workspace, 'wrong-token-0123456789');
	checks($session, 'velt', "$connected, auth failed",
		qr/28000.*UNAUTHENTICATED/, 'a bad token');
	map_to($admin, 'workspace_unknown', $token);
	checks($session, 'velt', "$connected, auth failed",
		qr/42704.*NOT_FOUND/, 'an unknown workspace');
	map_to($admin, $workspace, $token);
	for my $fault (
		[ { status => 503 }, qr/08006.*503/ ],
		[ { status => 200, body => '<html>' }, qr/08P01/ ],
		[ { reset => 'after_headers' }, qr/08006/ ],
		[ { error => 'RESOURCE_EXHAUSTED' }, qr/53000/ ])
	{
		$api->faults([ { do => $fault->[0] } ]);
		checks($session, 'velt', "$connected, auth failed",
			$fault->[1], 'an answer that is none: ' . join ' ', sort keys %{ $fault->[0] });
	}
	$api->faults([]);
	$admin->query('ALTER USER MAPPING FOR CURRENT_USER SERVER velt OPTIONS (
		DROP auth_token, ADD auth_token_file \'/nonexistent/token\')');
	checks($session, 'velt', 'options failed', qr/58P01/, 'a missing file');
	$admin->query('DROP USER MAPPING FOR CURRENT_USER SERVER velt');
	checks($session, 'velt', 'options failed', qr/42704/, 'no mapping');
	add_mapping($admin, 'velt');

	# of a caller
	$admin->query('CREATE ROLE stranger');
	$session->query('SET ROLE stranger');
	fails_with($session, "SELECT velt_fdw_check('velt')",
		'42501', 'check: a role without USAGE');
	$admin->query('GRANT USAGE ON FOREIGN SERVER velt TO stranger');
	checks($session, 'velt', 'options failed', qr/42704/,
		'a role with USAGE and no mapping');
	add_mapping($admin, 'velt', user => 'stranger',
		workspace_id => $other_workspace, auth_token => $other_token);
	checks($session, 'velt', "$connected, auth ok", qr/./, 'its own mapping');
	is($api->stats('last_headers.x-velt-workspace-id'),
		$other_workspace, 'which is used');
	$session->query('RESET ROLE');
	fails_with($session, "SELECT velt_fdw_check('nope')",
		'42704', 'check: no such server');

	# in a transaction, which it does not end; and cancelled
	$session->query('BEGIN');
	checks($session, 'check_refused', 'options ok, connect failed',
		qr/08001/, 'in a transaction');
	checks($session, 'velt', "$connected, auth ok", qr/./, 'which goes on');
	$session->query('COMMIT');
	$api->faults([ { do => { stall => 'before_headers' } } ]);
	$session->send("SELECT velt_fdw_check('velt')");
	$api->wait_for('in_flight', 1);
	wait_until_waiting($admin, $session);
	cancelled_in_time($admin, $session, 'velt_fdw_check');
	wait_until_idle($api);
	$api->faults([]);
	$session->close;
}

# ----------
# A process that is killed
# ----------

for my $how ('idle', 'in the midst of a fan-out')
{
	my $session = VeltClient->new($node);

	$api->reset;
	if ($how eq 'idle')
	{
		$session->query('TABLE velt.auth_tokens');
	}
	else
	{
		$api->faults(
			[ { endpoint => 'authtokens/get', do => { stall => 'in_body' } } ]);
		$session->send('TABLE velt.auth_tokens');
		$api->wait_for('in_flight', 8);
	}
	cmp_ok($api->stats('open_connections'), '>=', 1, "killed $how: connected");
	kill 'KILL', $session->pid;
	closed($api, 'all connections end with the process');
	wait_until_idle($api);
	is($api->stats('in_flight'), 0, 'and all requests');
	$api->faults([]);

	# and with it all sessions: the server begins anew
	my $try;
	poll_until('the server is there again',
		sub {
			$try = eval {
				my $new = VeltClient->new($node);
				$new->value('SELECT 1');
				$new;
			};
		});
	is($try->value($count), 20, 'a new session has all rows');
	$try->close;
}

done_testing();
