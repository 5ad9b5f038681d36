
# docs/reporting.md as it stands, but for pg_cron, which has a test of its own:
# run by hand, as any scheduler does, and by the system's cron; and what is to
# be done when it fails.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltReporting;
use VeltTest;

my $api = new_api();
my $node = start_node();
my $admin = set_up_report($node, $api);
my $reporter = VeltClient->new($node, user => 'reporter');
my $call = 'CALL report.take_snapshot()';

# For a look while that one is busy.
my $observer = VeltClient->new($node, user => 'reporter');

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
is($reporter->value('SELECT count(*) FROM report.drift'),
	0, 'one snapshot makes no drift');
is(findings($reporter), 'unrestricted token|key_dune||any',
	'but it may have something to tell');

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

is($docs->run($node, 'overdue') =~ s/\|.*//r, 'f', 'which is not overdue');
$docs->run($node, 'limits', replace => { 5000 => 4 });
is( VeltClient->new($node, user => 'reporter')->value('SHOW statement_timeout'),
	'30min', 'a limit of time');
fails_with($reporter, $call, '54000', 'and one of requests');
$admin->query('ALTER SERVER velt OPTIONS (DROP max_requests)');
$admin->query('TRUNCATE report.run RESTART IDENTITY CASCADE');
is($docs->run($node, 'overdue'), 't|', 'without any run one is overdue');
$reporter->query($call);
$admin->query("UPDATE report.run SET finished = now() - interval '26 hours'");
like($docs->run($node, 'overdue'), qr/^t\|./, 'and after a day');

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
like($docs->run($node, 'failures'),
	qr/\A6\|[^|]*\|42501\|f\|could not fetch .*PERMISSION_DENIED.*^4\|[^|]*\|53000\|t\|/ms,
	'who looks for failures finds them');
$api->config({ workspaces => { $id => { token => $secret } } });
fails_with($reporter, $call, '42501', 'it is for a person to say');
$docs->run($node, 'acknowledge');
$reporter->query($call);
is(runs(), 'ok 08006 ok 53000 ok 42501 ok', 'then it goes on');

# One run at a time, and what becomes of one that is stopped.
my $second = VeltClient->new($node, user => 'reporter');
my $before = runs();
$api->faults([ { do => { stall => 'in_body' } } ]);
$reporter->send($call);
wait_until_waiting($admin, $reporter);
$api->reset;
$error = fails_with($second, $call, '55P03', 'a second run meanwhile');
is($error->{message}, 'another run is under way', 'says so');
is($api->stats('requests.total'), 0, 'asks nothing');
$docs->run($node, 'acknowledge');
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
$second = VeltClient->new($node, user => 'reporter');
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
my @where = (env => { PGUSER => 'reporter' });
$api->config({ workspaces => { $id => {%today} } });
my ($status, $out, $err) = $docs->try($node, 'psql', @where);
is($status, 0, 'psql: exit status of a run that went well');
is($out, $drift, 'what has changed');
is($err, '', 'and nothing else');
$reporter->query('REFRESH MATERIALIZED VIEW CONCURRENTLY report.inventory');
is_deeply(
	[ $reporter->query('SELECT * FROM report.inventory ORDER BY id') ],
	\@inventory, 'the inventory of the same day');
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
$docs->run($node, 'retention');
is(rows_of_run('ASC'), '4 4', 'old snapshots are deleted, younger ones kept');
is($reporter->value('SELECT count(DISTINCT run) FROM report.token_snapshot'),
	4, 'with all that belongs to them');

# What fails behind the scan fails the run.
$docs->run($node, 'acknowledge');
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
$docs->run($node, 'acknowledge');

# A limit of time ends what would not end, and may pass by itself.
$api->faults([ { do => { stall => 'in_body' } } ]);
$reporter->query("SET statement_timeout = '1s'");
$error = fails_with($reporter, $call, '57014', 'a run that takes too long');
like($error->{message}, qr/statement timeout/, 'says so');
$reporter->query('RESET statement_timeout');
is(runs() =~ s/.* //r, '57014', 'and is on record');
$api->faults([]);
$reporter->query($call);
is(runs() =~ s/.* //r, 'ok', 'the next goes well');
$docs->run($node, 'acknowledge');

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
$docs->run($node, 'acknowledge');

# What else can change: a type, a token's name, its domains but not their order.
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
like(
	findings($reporter),
	qr/^unrestricted token\|key_cobalt\|\|old\nunrestricted token\|key_cobalt\|\|$/m,
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
is(findings($reporter), <<'END' =~ s/\n\z//r, 'each has its finding');
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
	unlike(findings($reporter), qr/renamed/, 'it has not changed its name');
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
unlike(findings($reporter), qr/^key/m, 'and not reported');
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
is($api->stats('requests.total'), 6, 'for a request for each 30 of them');
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
$docs->run($node, 'acknowledge');

# Where it cannot commit.
$reporter->query('BEGIN');
fails_with($reporter, $call, '2D000', 'in a transaction block it fails');
$reporter->query('ROLLBACK');
is(locks(), 0, 'without a lock that stays');
$second->query($call);
is(runs() =~ s/.* //r, 'ok', 'nor in the way of others');

# ----------
# Who has the tokens
# ----------

$admin->query('CREATE ROLE stranger LOGIN');
$admin->query('GRANT USAGE ON SCHEMA velt TO stranger');
$admin->query('GRANT SELECT ON velt.api_keys TO stranger');
my $stranger = VeltClient->new($node, user => 'stranger');
$api->reset;
$error = fails_with($stranger, 'SELECT count(*) FROM velt.api_keys',
	'42704', 'a role without a mapping of its own');
like($error->{message}, qr/user mapping not found/, 'has none to use');
is($api->stats('requests.total'), 0, 'and asks nothing');

keeps_no_token($node, 'postgres');
unlike(slurp_file($node->logfile), qr/canary/, 'nor has the log');
$api->config({ workspaces => { $id => {%today} } });
role_goes($node, $admin, $reporter, $api, 'retire');

is_deeply([ $docs->untried ],
	[ sort @cron_blocks ],
	'nothing in the document was left out but what is of pg_cron');
done_testing();
