
# docs/reporting.md as it stands: run by pg_cron, with and without background
# workers, by the system's cron, and by hand when it fails.
#
# pg_cron 1.4 starts jobs at full minutes only, and that is waited for once:
# both servers have their jobs at the same minute, and what else there is to
# test is tested in between.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltDocs;
use VeltTest;

my ($libdir) = run_command([ 'pg_config', '--pkglibdir' ]);
my ($version) = run_command([ 'pg_config', '--version' ]);

($version) = $version =~ /(\d+)/;

# test/run installs it with every PostgreSQL that Debian has it for: up to 18.
# Without, the test fails there, and does not keep quiet.
plan skip_all => "there is no pg_cron for PostgreSQL $version"
  if $version > 18 && !-f "$libdir/pg_cron.so";

my $docs = VeltDocs->new('reporting.md');
my $id = 'workspace_abc123';
my $secret = 'your-workspace-token';

# What was there yesterday: a customer each, and one who has none; a token
# that any domain may use.
my %yesterday = (
	token => $secret,
	key_list => [ map { api_key($_) } qw(aurora birch cobalt dune) ],
	tokens => {
		key_aurora => [ auth_token('web', 'canary-one', 'aurora.example') ],
		key_birch => [ auth_token('web', 'canary-two', 'birch.example') ],
		key_cobalt => [ auth_token('old', 'canary-three', 'cobalt.example') ],
		key_dune => [ auth_token('any', 'canary-four') ]
	});

# And today: a key less, a key more; a name, a token by the same name and a
# token by another are new.
my %today = (
	token => $secret,
	key_list => [
		api_key('aurora', 'Aurora Inc.'),
		map { api_key($_) } qw(birch cobalt ember)
	],
	tokens => {
		key_aurora => [ auth_token('web', 'canary-one', 'aurora.example') ],
		key_birch => [ auth_token('web', 'canary-five', 'birch.example') ],
		key_cobalt => [ auth_token('new', 'canary-six', 'cobalt.example') ],
		key_ember => [ auth_token('any', 'canary-seven') ]
	});
my $drift = <<'END';
customer whose key is gone|key_dune|dune|
key added|key_ember||Ember
key of no customer|key_ember||Ember
key removed|key_dune|Dune|
key renamed|key_aurora|Aurora|Aurora Inc.
token added|key_cobalt||new {cobalt.example}
token removed|key_cobalt|old {cobalt.example}|
token reset|key_birch|web {birch.example}|web {birch.example}
unrestricted token|key_ember||any
END
chomp $drift;

sub api_key
{
	my ($name, $label) = @_;
	return {
		id => "key_$name",
		apiKeyName => $label // ucfirst $name,
		type => 'production'
	};
}

sub auth_token
{
	my ($name, $value, @domains) = @_;
	return { token => $value, name => $name, domains => \@domains };
}

# ----------
# Two servers, a database that goes well and one that does not
# ----------

sub new_api
{
	return VeltSimulator->new(
		config => { workspaces => { $id => {%yesterday} } });
}

# All that the documentation takes for granted, and what it then says.
sub set_up
{
	my ($node, $dbname, $api) = @_;
	my $admin = VeltClient->new($node, dbname => $dbname);

	$admin->query('CREATE EXTENSION IF NOT EXISTS velt_fdw');
	add_server(
		$admin, 'velt',
		options => { api_url => $api->url },
		mapping => { workspace_id => $id, auth_token => $secret });
	$admin->query('CREATE TABLE customers (name text, api_key text)');
	$admin->query("INSERT INTO customers SELECT n, 'key_' || n
		FROM unnest('{aurora,birch,cobalt,dune}'::text[]) n");
	$admin->query("INSERT INTO customers VALUES ('none', NULL)");
	if ($admin->value("SELECT count(*) FROM pg_roles
			WHERE rolname = 'reporter'"))
	{
		my $text = $docs->text('roles') =~ s/^CREATE ROLE .*\n//r;
		$admin->query($text);
	}
	else
	{
		$docs->run($node, 'roles', dbname => $dbname);
	}
	$docs->run($node, $_, dbname => $dbname)
	  for qw(inventory tables drift findings now failure procedure);
	return $admin;
}

my %servers;
for my $mode (qw(workers connections))
{
	my $server = $servers{$mode} = { api => new_api(), bad => new_api() };
	my $node = $server->{node} = start_node(
		name => $mode,
		conf => join "\n",
		"shared_preload_libraries = 'pg_cron'",
		'cron.use_background_workers = ' . ($mode eq 'workers' ? 'on' : 'off'));

	$node->append_conf('postgresql.conf', "cron.host = '" . $node->host . "'");
	$node->restart;
	$server->{admin} = set_up($node, 'postgres', $server->{api});
	$server->{admin}->query('CREATE DATABASE bad');
	$server->{bad_admin} = set_up($node, 'bad', $server->{bad});
	$docs->run($node, 'cron');
	$docs->run($node, 'schedule');

	# the first snapshot, of which there is no drift yet
	my $reporter = $server->{reporter} =
	  VeltClient->new($node, user => 'reporter');
	$reporter->query('CALL report.take_snapshot()');
	is($reporter->value('SELECT count(*) FROM report.drift'),
		0, "$mode: one snapshot makes no drift");
	is_deeply(
		[ $reporter->query('SELECT finding, api_key FROM report.finding') ],
		[ [ 'unrestricted token', 'key_dune' ] ],
		'but it may have something to tell');
	$server->{api}->config({ workspaces => { $id => {%today} } });

	my $bad = VeltClient->new($node, dbname => 'bad', user => 'reporter');
	$bad->query('CALL report.take_snapshot()');
	$bad->close;
	$server->{bad}->faults(
		[ { key => 'key_cobalt', do => { error => 'PERMISSION_DENIED', message => 'not any more' } } ]);

	# one that does not come to an end, and one where no job can start
	$server->{slow} = new_api();
	$server->{admin}->query("CREATE DATABASE $_") for qw(slow closed);
	set_up($node, 'slow', $server->{slow});
	$server->{slow}->faults([ { do => { stall => 'in_body' } } ]);
	$server->{admin}->query("ALTER ROLE reporter IN DATABASE slow
		SET statement_timeout = '1s'");
	$server->{admin}->query('ALTER DATABASE closed ALLOW_CONNECTIONS false');

	# a role without a mapping of its own
	my $admin = $server->{admin};
	$admin->query('CREATE ROLE stranger LOGIN');
	$admin->query('GRANT USAGE ON SCHEMA cron, velt TO stranger');
	$admin->query('GRANT SELECT ON velt.api_keys TO stranger');
	my $stranger = VeltClient->new($node, user => 'stranger');
	$stranger->query("SELECT cron.schedule('stranger', '0 0 1 1 *',
		'SELECT count(*) FROM velt.api_keys')");
	$stranger->close;
}

# All jobs at one full minute, once, with some seconds left to say so to both.
my $minute = $servers{workers}->{admin}->value(
	q{SELECT to_char(date_trunc('minute', now() AT TIME ZONE 'UTC'
		+ interval '65 s'), 'MI HH24 DD MM *')});
for my $server (values %servers)
{
	my $admin = $server->{admin};

	$_->reset for @{$server}{qw(api bad)};
	$admin->query("SELECT cron.schedule_in_database('bad snapshot',
		'0 0 1 1 *', 'CALL report.take_snapshot()', 'bad', 'reporter')");
	$admin->query("SELECT cron.schedule_in_database('slow snapshot',
		'0 0 1 1 *', 'CALL report.take_snapshot()', 'slow', 'reporter')");
	$admin->query("SELECT cron.schedule_in_database('closed',
		'0 0 1 1 *', 'SELECT 1', 'closed', 'reporter')");
	$admin->query("UPDATE cron.job SET schedule = '$minute'");
}

# ----------
# By hand, while pg_cron waits for the minute
# ----------

my $api = new_api();
my $node = $servers{workers}->{node};
$servers{workers}->{admin}->query('CREATE DATABASE by_hand');
my $admin = set_up($node, 'by_hand', $api);
my $reporter =
  VeltClient->new($node, user => 'reporter', dbname => 'by_hand');
my $call = 'CALL report.take_snapshot()';

# For a look while that one is busy.
my $observer =
  VeltClient->new($node, user => 'reporter', dbname => 'by_hand');

sub runs
{
	return join ' ',
	  map { $_->[0] } $observer->query(
		"SELECT coalesce(sqlstate, CASE WHEN ok THEN 'ok' ELSE 'unfinished' END)
		   FROM report.run ORDER BY id");
}

sub rows_of_run
{
	my ($which) = @_;
	return join ' ', map { $observer->value(
			"SELECT count(*) FROM report.${_}_snapshot WHERE run =
				(SELECT id FROM report.run ORDER BY id $which LIMIT 1)") }
	  qw(key token);
}

$api->reset;
$reporter->query($call);
is(rows_of_run('DESC'), '4 4', 'a snapshot has keys and tokens');
is($api->stats('requests.total'), 5, 'of one scan');
is($reporter->value('SELECT ok FROM report.run'), 't', 'and is complete');

# What a person would see: the last first.
sub failures
{
	my $query = $docs->text('failures') =~ s/\*/id, sqlstate, may_pass, message/r;

	return join "\n",
	  map { join ' ', map { $_ // '' } @$_ } $observer->query($query);
}

sub locks
{
	return $admin->value("SELECT count(*) FROM pg_locks
		WHERE locktype = 'advisory'");
}

is($docs->run($node, 'overdue', dbname => 'by_hand') =~ s/\|.*//r,
	'f', 'which is not overdue');
$docs->run($node, 'limits', dbname => 'by_hand', replace => { 5000 => 4 });
is( VeltClient->new($node, user => 'reporter')->value('SHOW statement_timeout'),
	'30min', 'a limit of time');
fails_with($reporter, $call, '54000', 'and one of requests');
$admin->query('ALTER SERVER velt OPTIONS (DROP max_requests)');
$admin->query('TRUNCATE report.run RESTART IDENTITY CASCADE');
is($docs->run($node, 'overdue', dbname => 'by_hand'),
	't|', 'without any run one is overdue');
$reporter->query($call);
$admin->query("UPDATE report.run SET finished = now() - interval '26 hours'");
like($docs->run($node, 'overdue', dbname => 'by_hand'),
	qr/^t\|./, 'and after a day');

# What may pass by itself.
for my $case (
	[ '08006', { error => 'INTERNAL', details => 'final' } ],
	[ '53000', { status => 429 } ])
{
	my ($sqlstate, $fault) = @$case;

	$api->faults([ { key => 'key_cobalt', do => $fault } ]);
	my $error = fails_with($reporter, $call, $sqlstate, "a failed run, $sqlstate");
	like($error->{message}, qr/could not fetch "auth_tokens"/, 'says why');
	like($error->{detail}, qr/^foreign table "velt.auth_tokens"/m, 'and where');
	is(rows_of_run('DESC'), '0 0', 'and leaves nothing of its snapshot');
	$api->faults([]);
	$api->reset;
	$reporter->query($call);
	is($api->stats('requests.total'), 5, 'the next run asks again');
	is($reporter->value('SELECT count(*) FROM report.drift'),
		0, 'and finds no drift, as what failed does not count');
}
is(runs(), 'ok 08006 ok 53000 ok', 'all on record');

# What needs a person.
$api->config({ workspaces => { $id => { token => 'another' } } });
fails_with($reporter, $call, '42501', 'a failed run, 42501');
my $message = $reporter->value('SELECT message FROM report.run
	ORDER BY id DESC LIMIT 1');
like($message, qr/^could not fetch "api_keys" from foreign server "velt"$/,
	'its message is on record');
$api->reset;
my $error = fails_with($reporter, $call, '42501', 'the next run fails, too');
like($error->{message}, qr/^run 6 needs a person: \Q$message\E$/,
	'and says that it is for a person');
like($error->{detail}, qr/PERMISSION_DENIED.*^foreign table "velt.api_keys"/ms,
	'with what the API said of which table');
like($error->{hint}, qr/token.*Set acknowledged/, 'and what to do');
is($api->stats('requests.total'), 0, 'without a request');
like($docs->run($node, 'failures', dbname => 'by_hand'),
	qr/\A6\|[^|]*\|42501\|f\|could not fetch .*PERMISSION_DENIED.*^4\|[^|]*\|53000\|t\|/ms,
	'who looks for failures finds them');
$api->config({ workspaces => { $id => { token => $secret } } });
fails_with($reporter, $call, '42501', 'it is for a person to say');
$docs->run($node, 'acknowledge', dbname => 'by_hand');
$reporter->query($call);
is(runs(), 'ok 08006 ok 53000 ok 42501 ok', 'then it goes on');

# One run at a time, and what becomes of one that is stopped.
my $second = VeltClient->new($node, user => 'reporter', dbname => 'by_hand');
my $before = runs();
$api->faults([ { do => { stall => 'in_body' } } ]);
$reporter->send($call);
wait_until_waiting($admin, $reporter);
$api->reset;
$error = fails_with($second, $call, '55P03', 'a second run meanwhile');
is($error->{message}, 'another run is under way', 'says so');
is($api->stats('requests.total'), 0, 'asks nothing');
$docs->run($node, 'acknowledge', dbname => 'by_hand');
is(failures(), '', 'one that is under way has not failed');
is(runs(), "$before unfinished", 'and the second leaves no trace');
$admin->query('SELECT pg_cancel_backend(' . $reporter->pid . ')');
is($reporter->result->{error}->{sqlstate}, '57014', 'a cancelled run');
is(runs(), "$before 57014", 'is on record');
is(rows_of_run('DESC'), '0 0', 'and leaves nothing');
like(failures(), qr/^8 57014 t canceling/, 'who looks for failures finds it');
is(locks(), 0, 'nor a lock');

$reporter->send($call);
wait_until_waiting($admin, $reporter);
$admin->query('SELECT pg_terminate_backend(' . $reporter->pid . ')');
$reporter->result;
$reporter = $second;
poll_until('the lock is gone with its session', sub { !locks() });
is(failures() =~ s/\n.*//sr, '9  t died', 'so does one whose session dies');
$api->faults([]);
$second = VeltClient->new($node, user => 'reporter', dbname => 'by_hand');
$api->faults([ { do => { stall => 'in_body' } } ]);
$reporter->send($call);
wait_until_waiting($admin, $reporter);
like(failures(), qr/\A9  t died\n8 /, 'it is told from one under way');
$admin->query('SELECT pg_cancel_backend(' . $reporter->pid . ')');
$reporter->result;
$api->faults([]);

# A key that comes twice, as pages have shifted, and under another name.
$api->config(
	{
		workspaces => {
			$id => {
				key_list => [
					@{ $yesterday{key_list} },
					api_key('birch', 'Birch & Sons')
				]
			}
		}
	});
$reporter->query($call);
is(rows_of_run('DESC'), '4 4', 'a key that comes twice is there once');
$reporter->query('REFRESH MATERIALIZED VIEW CONCURRENTLY report.inventory');
is_deeply(
	[ $reporter->query("SELECT tokens FROM report.inventory
		WHERE id = 'key_birch'") ],
	[ [1] ],
	'and so in the inventory');
$api->config({ workspaces => { $id => {%yesterday} } });
$reporter->query($call);

# From the system's cron.
my @where = (dbname => 'by_hand', env => { PGUSER => 'reporter' });
$api->config({ workspaces => { $id => {%today} } });
my ($status, $out, $err) = $docs->try($node, 'psql', @where);
is($status, 0, 'psql: exit status of a run that went well');
is($out, $drift, 'what has changed');
is($err, '', 'and nothing else');
$api->config({ workspaces => { $id => { token => 'another' } } });
($status, $out, $err) = $docs->try($node, 'psql', @where);
is($status, 3, 'of one that failed');
is($out, '', 'no findings');
like($err, qr/ERROR:  42501: could not fetch "api_keys"/, 'but an error');
($status) = $docs->try($node, 'psql', @where,
	env => { PGUSER => 'reporter', PGPORT => 1 });
is($status, 2, 'where there is no server');

$admin->query("UPDATE report.run SET started = now() - interval '91 days'
	WHERE id < 7");
$docs->run($node, 'retention', dbname => 'by_hand');
is(rows_of_run('ASC'), '4 4', 'old snapshots are deleted, younger ones kept');
is($reporter->value('SELECT count(DISTINCT run) FROM report.token_snapshot'),
	4, 'with all that belongs to them');

# What fails behind the scan fails the run.
$docs->run($node, 'acknowledge', dbname => 'by_hand');
$api->config({ workspaces => { $id => {%yesterday} } });
$admin->query('REVOKE SELECT ON customers FROM reporter');
fails_with($reporter, $call, '42501', 'no privilege on the customers');
is(runs() =~ s/.* //r, '42501', 'is on record');
is(rows_of_run('DESC'), '0 0', 'the snapshot does not stay without findings');
$admin->query('GRANT SELECT ON customers TO reporter');
$api->reset;
$error = fails_with($reporter, $call, '42501', 'and it is for a person');
like($error->{message}, qr/needs a person: permission denied for/, 'to mend');
is($api->stats('requests.total'), 0, 'without a request');
$docs->run($node, 'acknowledge', dbname => 'by_hand');

# A value that does not fit: which it is.
$api->faults(
	[
		{
			endpoint => 'apikeys/get',
			do => { edit => [ [ '/result/data/1/apiKeyName', "a\0b" ] ] }
		}
	]);
fails_with($reporter, $call, '22P05', 'a value that does not fit');
like($reporter->value('SELECT detail FROM report.failure'),
	qr/^column "api_key_name" of foreign table "velt.api_keys", .*key_birch/m,
	'column and row are on record');
$api->faults([]);
$docs->run($node, 'acknowledge', dbname => 'by_hand');

# What else can change: a type, a token's name, its domains but not their order.
sub findings
{
	return join "\n",
	  map { join '|', map { $_ // '' } @$_ } $reporter->query(
		'SELECT finding, api_key, was, is_now FROM report.finding
		  WHERE run = (SELECT max(id) FROM report.run) ORDER BY 1, 2, 3, 4');
}

my %tokens = (
	key_aurora => [ auth_token('web', 'canary-one', qw(a.example b.example)) ],
	key_birch => [
		auth_token('web', 'canary-two', 'birch.example'),
		auth_token('app', 'canary-eight', 'birch.example')
	],
	key_cobalt => [ auth_token('old', undef), auth_token(undef, undef) ],
	key_dune => []);
my @list = map { api_key($_) } qw(aurora birch cobalt dune);
$api->config(
	{ workspaces => { $id => { key_list => \@list, tokens => \%tokens } } });
$reporter->query($call);
is(rows_of_run('DESC'), '4 5', 'tokens without a value');
like(findings(), qr/^unrestricted token\|key_cobalt\|\|old\nunrestricted token\|key_cobalt\|\|$/m,
	'are unrestricted');
$reporter->query('REFRESH MATERIALIZED VIEW CONCURRENTLY report.inventory');
is( join("\n", map { join '|', @$_ } $reporter->query(
			'SELECT id, tokens, unrestricted FROM report.inventory ORDER BY 1')),
	"key_aurora|1|0\nkey_birch|2|0\nkey_cobalt|2|2\nkey_dune|0|0",
	'and so in the inventory');
$tokens{key_aurora} =
  [ auth_token('web', 'canary-one', qw(b.example a.example)) ];
$tokens{key_birch} = [
	auth_token('site', 'canary-two', 'birch.example'),
	auth_token('app', 'canary-eight')
];
$list[3]->{type} = 'testing';
$api->config(
	{ workspaces => { $id => { key_list => \@list, tokens => \%tokens } } });
$reporter->query($call);
is(findings(), <<'END' =~ s/\n\z//r, 'each has its finding');
key of another type|key_dune|production|testing
token for other domains|key_birch|app {birch.example}|app {}
token renamed|key_birch|web {birch.example}|site {birch.example}
unrestricted token|key_birch||app
unrestricted token|key_cobalt||old
unrestricted token|key_cobalt||
END

# A key that comes twice with two names, always.
$list[4] = api_key('birch', 'Birch & Sons');
for my $order ([ 0 .. 4 ], [ 4, 0 .. 3 ])
{
	$api->config(
		{ workspaces => { $id => { key_list => [ @list[@$order] ] } } });
	$reporter->query($call);
	unlike(findings(), qr/renamed/, 'it has not changed its name');
}
pop @list;

# A key that is on no page, as pages have shifted, but there.
$api->config({ workspaces => { $id => { key_list => \@list } } });
$reporter->query($call);
$api->reset;
$api->faults(
	[
		{
			endpoint => 'apikeys/get',
			nth => 1,
			do => { edit => [ ['/result/data/1'] ] }
		}
	]);
$reporter->query($call);
$api->faults([]);
is(rows_of_run('DESC'), '4 5', 'a key that no page has is there all the same');
unlike(findings(), qr/^key/m, 'and not reported');
is($api->stats('requests.apikeys/get'), 2, 'for one request more');
is_deeply($api->stats('filters'), [ ['key_birch'] ], 'for that key');
is($api->stats('requests.total'), 6, 'and one for its tokens');

# A name that is not for a terminal.
$api->config(
	{
		workspaces => {
			$id => {
				key_list =>
				  [ @list[ 0 .. 2 ], api_key('dune', "D\e[2J\n\x{9b}une") ]
			}
		}
	});
(undef, $out) = $docs->try($node, 'psql', @where);
like($out, qr/^key renamed\|key_dune\|Dune\|D\?\[2J\?\?une$/m,
	'psql: control characters are not mailed');
$api->config({ workspaces => { $id => { key_list => \@list } } });

# Another workspace is no drift.
$api->config(
	{
		workspaces => {
			$id => { key_list => \@list },
			elsewhere => { token => 'token-elsewhere', keys => 2 }
		}
	});
my $map = 'ALTER USER MAPPING FOR reporter SERVER velt';
$admin->query("$map OPTIONS (SET workspace_id 'elsewhere',
	SET auth_token 'token-elsewhere')");
$reporter->query($call);
is($reporter->value('SELECT workspace_id FROM report.run
	ORDER BY id DESC LIMIT 1'), 'elsewhere', 'another workspace is on record');
is($reporter->value('SELECT count(*) FROM report.drift'), 0, 'and no drift');
$api->config({ workspaces => { elsewhere => { keys => 150 } } });
$reporter->query($call);
$api->config({ workspaces => { elsewhere => { keys => 0 } } });
$api->reset;
$reporter->query($call);
is($reporter->value("SELECT count(*) FROM report.drift
	WHERE finding = 'key removed'"), 150, 'all keys of a workspace are gone');
is($api->stats('requests.total'), 3, 'for a request for each hundred of them');
$admin->query("$map OPTIONS (SET workspace_id '$id', SET auth_token '$secret')");
$api->config({ workspaces => { $id => { key_list => [ @list[ 0 .. 2 ] ] } } });
$admin->query($call);
is($reporter->value("SELECT string_agg(finding, ',') FROM report.drift"),
	'key removed', 'back, it is compared with its own, whoever calls');

# What the API says of the credentials, it says without them.
$api->faults(
	[ { do => { error => 'INVALID_ARGUMENT', message => "not $secret" } } ]);
fails_with($reporter, $call, '22023', 'an error that repeats what was sent');
like($reporter->value('SELECT detail FROM report.failure'),
	qr/: not <auth_token>/, 'is on record without');
$api->faults([]);
$docs->run($node, 'acknowledge', dbname => 'by_hand');

# Where it cannot commit.
$reporter->query('BEGIN');
fails_with($reporter, $call, '2D000', 'in a transaction block it fails');
$reporter->query('ROLLBACK');
is(locks(), 0, 'without a lock that stays');
$second->query($call);
is(runs() =~ s/.* //r, 'ok', 'nor in the way of others');

# ----------
# By pg_cron
# ----------

# Of each job, by name: how it ends, as whom, and with what message.
my @outcomes = (
	[ 'bad snapshot', 'failed', 'reporter', qr/could not fetch "auth_tokens"/ ],
	[ 'closed', 'failed', 'reporter', qr/./ ],
	[ 'slow snapshot', 'failed', 'reporter', qr/statement timeout/ ],
	[ 'stranger', 'failed', 'stranger', qr/user mapping not found/ ],
	[ 'velt inventory', 'succeeded', 'reporter', qr/^REFRESH/ ],
	[ 'velt snapshot', 'succeeded', 'reporter', qr/^(?:CALL|1 row)/ ]);

sub outcomes
{
	my ($server) = @_;
	return $server->{admin}->query(
		q{SELECT jobname, status, d.username, return_message
		    FROM cron.job_run_details d JOIN cron.job USING (jobid)
		   WHERE status IN ('succeeded', 'failed') ORDER BY jobname, runid});
}

for my $mode (sort keys %servers)
{
	my $server = $servers{$mode};
	my ($this, $its_reporter) = @{$server}{qw(node reporter)};

	poll_until("pg_cron has run its jobs ($mode)",
		sub { scalar(outcomes($server)) >= @outcomes });
	my @got = outcomes($server);
	is(scalar @got, scalar @outcomes, "$mode: each job has run once");
	for my $wanted (@outcomes)
	{
		my ($name, @columns) = @$wanted;
		my $message = pop @columns;
		my ($job) = grep { $_->[0] eq $name } @got;

		is_deeply([ @{$job}[ 1, 2 ] ], \@columns, "$name: @columns");
		like($job->[3], $message, 'with its message');
	}

	# the good database
	is( join("\n", map { join '|', map { $_ // '' } @$_ } $its_reporter->query(
				'SELECT finding, api_key, was, is_now FROM report.finding
				  WHERE run = 2 ORDER BY 1, 2')),
		$drift,
		'the drift');
	is_deeply(
		[ $its_reporter->query('SELECT * FROM report.inventory ORDER BY id') ],
		[
			[ 'key_aurora', 'Aurora Inc.', 'production', 1, 0 ],
			(map { [ "key_$_", ucfirst $_, 'production', 1, 0 ] }
				  qw(birch cobalt)),
			[ 'key_ember', 'Ember', 'production', 1, 1 ]
		],
		'the inventory');
	is($server->{api}->stats('requests.total'),
		11,
		'five requests for each, one for the key that is gone, none of a stranger'
	);
	like($docs->run($this, 'outcome'),
		qr/^velt snapshot\|succeeded\|reporter\|/m, 'who looks for it finds it');
	like($docs->run($this, 'outcome'),
		qr/^closed\|failed\|reporter\|/m, 'and what could not start');
	unlike($docs->run($this, 'outcome'),
		qr/stranger/, 'and no other role\'s jobs');

	# the bad one
	my $bad = VeltClient->new($this, dbname => 'bad', user => 'reporter');
	is_deeply(
		[ $bad->query('SELECT id, ok, sqlstate, finished IS NOT NULL
			FROM report.run') ],
		[ [ 1, 't', undef, 't' ], [ 2, 'f', '42501', 't' ] ],
		'a failed run is on record');
	is($bad->value('SELECT count(*) FROM report.key_snapshot WHERE run = 2'),
		0, 'and nothing of its snapshot');
	$bad->close;

	my $slow = VeltClient->new($this, dbname => 'slow', user => 'reporter');
	is($slow->value('SELECT sqlstate FROM report.run'),
		'57014', 'so is one that took too long');
	$slow->close;

	# tokens
	for my $dbname (qw(postgres bad), $mode eq 'workers' ? 'by_hand' : ())
	{
		my ($dump) = run_command(
			[ 'pg_dump', '--data-only', '--inserts', '--schema=report', '-d',
				$this->connstr($dbname) ]);
		like($dump, qr/INSERT INTO report.token_snapshot/, 'a dump has digests');
		unlike($dump, qr/canary|63616e617279|\Q$secret\E/,
			'and no tokens, nor in hexadecimal');
	}
	unlike(slurp_file($this->logfile), qr/canary/, 'nor has the log');

	# the end
	my $its_admin = $server->{admin};
	$its_admin->query('REVOKE USAGE ON FOREIGN SERVER velt FROM reporter');
	is($its_reporter->value('SELECT count(*) FROM velt.api_keys'),
		4, 'a role without USAGE goes on');
	$docs->run($this, $_) for qw(unschedule retire);
	$server->{api}->reset;
	$its_admin->query('SET ROLE reporter');
	fails_with($its_admin, $_, '42704', "one without a mapping does not: $_")
	  for 'SELECT count(*) FROM velt.api_keys',
	  'REFRESH MATERIALIZED VIEW report.inventory';
	$its_admin->query('RESET ROLE');
	is($server->{api}->stats('requests.total'), 0, 'nor asks anything');
	is($its_admin->value("SELECT count(*) FROM cron.job
		WHERE username = 'reporter'"), 0, 'and has no jobs');
	poll_until(
		'its sessions end',
		sub {
			!$its_admin->value("SELECT count(*) FROM pg_stat_activity
				WHERE usename = 'reporter'");
		});
}

is_deeply([ $docs->untried ], [], 'nothing in the document was left out');
done_testing();
