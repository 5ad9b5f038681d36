
# docs/reporting.md as it stands, run by pg_cron with and without background
# workers.
#
# pg_cron 1.4 starts jobs at full minutes only, and that is waited for once:
# both servers have their jobs at the same minute.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltReporting;
use VeltTest;

my ($libdir) = run_command([ 'pg_config', '--pkglibdir' ]);
my ($version) = run_command([ 'pg_config', '--version' ]);

($version) = $version =~ /(\d+)/;

# test/run installs it with every PostgreSQL that Debian has it for: up to 18.
# Without, the test fails there, and does not keep quiet.
plan skip_all => "there is no pg_cron for PostgreSQL $version"
  if $version > 18 && !-f "$libdir/pg_cron.so";

# A minute is long: no need to look a thousand times a second.
my $look_again_us = 50_000;

# ----------
# Two servers, a database that goes well and some that do not
# ----------

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
	$server->{admin} = set_up_report($node, $server->{api});
	$server->{admin}->query('CREATE DATABASE bad');
	$server->{bad_admin} = set_up_report($node, $server->{bad}, 'bad');
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
	set_up_report($node, $server->{slow}, 'slow');
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
# What came of them
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
		sub {
			usleep($look_again_us);
			return scalar(outcomes($server)) >= @outcomes;
		});
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
	is($its_reporter->value('SELECT max(id) FROM report.run'), 2, 'one run');
	is(findings($its_reporter), $drift, 'finds the drift');
	is_deeply(
		[ $its_reporter->query('SELECT * FROM report.inventory ORDER BY id') ],
		\@inventory,
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
	keeps_no_token($this, $_) for qw(postgres bad);
	unlike(slurp_file($this->logfile), qr/canary/, 'nor has the log');

	# the end
	my $its_admin = $server->{admin};
	role_goes($this, $its_admin, $its_reporter, $server->{api},
		qw(unschedule retire));
	is($its_admin->value("SELECT count(*) FROM cron.job
		WHERE username = 'reporter'"), 0, 'and has no jobs');
}

my %untried = map { $_ => 1 } $docs->untried;
is_deeply([ grep { $untried{$_} } @cron_blocks ],
	[], 'nothing in the document that is of pg_cron was left out');
done_testing();
