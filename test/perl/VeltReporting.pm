
=pod

=head1 NAME

VeltReporting - what the tests of docs/reporting.md have in common

=head1 SYNOPSIS

  use VeltReporting;

  my $api = new_api();                              # as it was yesterday
  my $admin = set_up_report($node, $api, 'bad');    # in that database
  $reporter->query('CALL report.take_snapshot()');
  $api->config({ workspaces => { $id => {%today} } });
  $reporter->query('CALL report.take_snapshot()');
  is(findings($reporter), $drift);
  keeps_no_token($node, 'bad');
  role_goes($node, $admin, $reporter, $api, 'retire');

One test is of all that any scheduler can run.  The other is of pg_cron, which
not every PostgreSQL has: @cron_blocks are its blocks of the document.

=cut

package VeltReporting;

use strict;
use warnings;

use Exporter qw(import);
use PostgreSQL::Test::Utils;
use Test::More;
use VeltClient;
use VeltDocs;
use VeltSimulator;
use VeltTest;

our @EXPORT = qw(
  $docs @cron_blocks
  $id $secret %yesterday %today $drift @inventory
  api_key auth_token
  new_api set_up_report
  findings keeps_no_token role_goes
);

our $docs = VeltDocs->new('reporting.md');
our @cron_blocks = qw(cron outcome schedule unschedule);

# ----------
# The workspace
# ----------

# What the document has
our $id = 'workspace_abc123';
our $secret = 'your-workspace-token';

# What was there yesterday: a customer each, and one who has none; a token
# that any domain may use.
our %yesterday = (
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
our %today = (
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
our $drift = <<'END';
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

# The inventory of today
our @inventory = (
	[ 'key_aurora', 'Aurora Inc.', 'production', 1, 0 ],
	(map { [ "key_$_", ucfirst $_, 'production', 1, 0 ] } qw(birch cobalt)),
	[ 'key_ember', 'Ember', 'production', 1, 1 ]);

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
# Set-up
# ----------

sub new_api
{
	return VeltSimulator->new(
		config => { workspaces => { $id => {%yesterday} } });
}

# All that the documentation takes for granted, and what it then says; returns
# a session of the superuser's.
sub set_up_report
{
	my ($node, $api, $dbname) = @_;
	my @where = (dbname => $dbname // 'postgres');
	my $admin = VeltClient->new($node, @where);

	$admin->query('CREATE EXTENSION IF NOT EXISTS velt_fdw');
	add_server(
		$admin, 'velt',
		options => { api_url => $api->url },
		mapping => { workspace_id => $id, auth_token => $secret });
	$admin->query('CREATE TABLE customers (name text, api_key text)');
	$admin->query("INSERT INTO customers SELECT n, 'key_' || n
		FROM unnest('{aurora,birch,cobalt,dune}'::text[]) n");
	$admin->query("INSERT INTO customers VALUES ('none', NULL)");
	# roles are of all databases
	if ($admin->value("SELECT count(*) FROM pg_roles
			WHERE rolname = 'reporter'"))
	{
		my $text = $docs->text('roles') =~ s/^CREATE ROLE .*\n//r;
		$admin->query($text);
	}
	else
	{
		$docs->run($node, 'roles', @where);
	}
	$docs->run($node, $_, @where)
	  for qw(inventory tables drift findings now failure procedure);
	return $admin;
}

# ----------
# Outcomes
# ----------

# Of the last run, a line each.
sub findings
{
	my ($session) = @_;

	return join "\n",
	  map { join '|', map { $_ // '' } @$_ } $session->query(
		'SELECT finding, api_key, was, is_now FROM report.finding
		  WHERE run = (SELECT max(id) FROM report.run) ORDER BY 1, 2, 3, 4');
}

# Of a backup: whoever reads it is not to have the workspace.
sub keeps_no_token
{
	my ($node, $dbname) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($dump) = run_command(
		[
			'pg_dump', '--data-only', '--inserts', '--schema=report', '-d',
			$node->connstr($dbname)
		]);

	like($dump, qr/INSERT INTO report.token_snapshot/, 'a dump has digests');
	unlike($dump, qr/canary|63616e617279|\Q$secret\E/,
		'and no tokens, nor in hexadecimal');
	return;
}

# The end, by these blocks of the document.  There are the four keys of today.
sub role_goes
{
	my ($node, $admin, $reporter, $api, @blocks) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$admin->query('REVOKE USAGE ON FOREIGN SERVER velt FROM reporter');
	is($reporter->value('SELECT count(*) FROM velt.api_keys'),
		4, 'a role without USAGE goes on');
	$docs->run($node, $_) for @blocks;
	$api->reset;
	$admin->query('SET ROLE reporter');
	fails_with($admin, $_, '42704', "one without a mapping does not: $_")
	  for 'SELECT count(*) FROM velt.api_keys',
	  'REFRESH MATERIALIZED VIEW report.inventory';
	$admin->query('RESET ROLE');
	is($api->stats('requests.total'), 0, 'nor asks anything');
	poll_until(
		'its sessions end',
		sub {
			!$admin->value("SELECT count(*) FROM pg_stat_activity
				WHERE usename = 'reporter'");
		});
	return;
}

1;
