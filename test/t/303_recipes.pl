
# docs/recipes.md as it stands; and a role that tries to get at a token.

use strict;
use warnings;

use JSON::PP;
use File::Path qw(make_path);
use PostgreSQL::Test::Utils;
use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltDocs;
use VeltFaults;
use VeltTest;

my $docs = VeltDocs->new('recipes.md');
my $id = 'workspace_abc123';
my $secret = 'your-workspace-token';
my $directory = tempdir();
VeltSimulator::certs($directory);

my @keys = map {
	{
		id => 'key_' . lc $_,
		apiKeyName => $_,
		type => /^[AB]/ ? 'production' : 'testing'
	}
} qw(Aurora Birch Cobalt Dune);

# Tokens that can be told from anything else.
my %tokens = map {
	my ($key, $domain) = @$_;

	$key => [
		{
			token => "canary-$key",
			name => 'web',
			domains => $domain ? [$domain] : []
		}
	  ]
  } [ 'key_aurora', 'aurora.example' ], ['key_birch'],
  [ 'key_cobalt', 'cobalt.example' ], ['key_dune'];
my %config = (
	workspaces => {
		$id => {
			name => 'Example',
			token => $secret,
			key_list => \@keys,
			tokens => \%tokens
		}
	});

my $api = VeltSimulator->new(config => {%config});
my $node = start_node();
my $admin = VeltClient->new($node);
add_server(
	$admin, 'velt',
	options => { api_url => $api->url },
	mapping => { workspace_id => $id, auth_token => $secret });
$admin->query('CREATE TABLE customers (name text, api_key text)');
$admin->query("INSERT INTO customers VALUES ('Aurora', 'key_aurora'),
	('Birch', 'key_birch'), ('Cobalt', 'key_cobalt'), ('Ember', 'key_ember')");

# A recipe prints this, for so many requests.
sub gives
{
	my ($name, $expected, $requests) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$api->reset;
	is($docs->run($node, $name), $expected, $name);
	is($api->stats('requests.total'), $requests, "$name: requests")
	  if defined $requests;
	return;
}

# ----------
# Queries
# ----------

gives('inventory', "production|2|2\ntesting|2|2", 5);

gives('known', '', 1);
gives('drift', '', 1);
$api->config(
	{
		workspaces => {
			$id => {
				key_list => [
					{ %{ $keys[0] }, apiKeyName => 'Aurora Inc.' },
					@keys[ 1, 2 ],
					{ %{ $keys[3] }, id => 'key_ember' }
				]
			}
		}
	});
gives('drift', "added|key_ember||Dune
removed|key_dune|Dune|
renamed|key_aurora|Aurora|Aurora Inc.", 1);
$api->config({ workspaces => { $id => { key_list => \@keys } } });

gives('some-customers', "Aurora|web|{aurora.example}\nBirch|web|{}", 2);
is_deeply([ sort @{ $api->stats('keys_asked') } ],
	[qw(key_aurora key_birch)], 'of their keys only');
gives('strays', "Ember|key_ember|\n||key_dune", 1);

gives('unrestricted', 'key_birch|Birch|web', 3);
my ($status, $out, $err) = $docs->try($node, 'alert');
is($status, 3, 'alert: exit status');
like($err, qr/any domain may use: key_birch \(web\), key_dune \(web\)/,
	'the tokens by name');
$api->config(
	{
		workspaces => {
			$id => {
				tokens => {
					map { $_ => [ { %{ $tokens{$_}[0] }, domains => ['x'] } ] }
					  keys %tokens
				}
			}
		}
	});
($status) = $docs->try($node, 'alert');
is($status, 0, 'no alert where there is nothing');
$api->config({ workspaces => { $id => { tokens => \%tokens } } });

gives(
	'jsonb',
	join("\n", map { join '|', 'Example', @{$_}{qw(id apiKeyName type)} } @keys),
	1);
gives('operations', '');
gives('operations-now', "4\nvelt|1|0.0", 1);

# ----------
# The demo's session
# ----------

my $demo_api = VeltSimulator->new;
my $demo = "$FindBin::RealBin/../demo";

# A file of the demo, as test/run psql has it.
sub demo
{
	my ($file) = @_;
	local $ENV{VELT_SIM_URL} = $demo_api->url;
	my ($out, $error) = run_command(
		[ qw(psql -X -q -A -t -v ON_ERROR_STOP=1 -d),
			$node->connstr('demo'), '-f', "$demo/$file" ]);

	is($error, '', "the demo: $file");
	return $out;
}

$admin->query('CREATE DATABASE demo');
demo($_) for qw(connect.sql customers.sql);
for my $name (
	qw(inventory known drift some-customers strays unrestricted jsonb
	operations operations-now))
{
	($status, $out, $err) = $docs->try($node, $name, dbname => 'demo');
	is("$status$err", '0', "$name: in the demo as it stands");
}
($status) = $docs->try($node, 'alert', dbname => 'demo');
is($status, 3, 'alert: in the demo as it stands');

# A token without domains, and one that has them as null.
is(scalar split(/\n/, demo('query-3-tokens.sql')), 4, 'unrestricted tokens');
$demo_api->faults(
	[
		{
			key => 'velt_api_key_000002',
			do => { edit => [ [ '/result/data/authTokens/0/domains', undef ] ] }
		}
	]);
like(demo('query-3-tokens.sql'), qr/^velt_api_key_000002\|/,
	'no domains are no restriction');
like($docs->run($node, 'unrestricted', dbname => 'demo'),
	qr/^velt_api_key_000002\|/, 'in the recipe neither');

# ----------
# Nothing but the views
# ----------

$docs->run($node, 'analyst');
$admin->query('SET ROLE velt_owner');
$admin->query("ANALYZE velt_safe.$_") for qw(api_keys auth_tokens workspaces);
$admin->query('RESET ROLE');
$admin->query('ANALYZE velt.auth_tokens');

my $analyst = VeltClient->new($node, user => 'analyst');
$analyst->query('SET client_min_messages = debug5');
my $heard = '';

# All that the analyst gets to hear, in rows and messages.
sub hear
{
	my ($sql) = @_;

	$analyst->send($sql);
	my $result = $analyst->result;
	$heard .= join ' ', map { $_ // '' } map { @$_ } @{ $result->{rows} };
	$heard .= join ' ', map { $_->{text} }
	  grep { defined } $result->{error}, @{ $result->{notices} };
	return $result;
}

sub refused
{
	my ($sql, $sqlstate) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $error = hear($sql)->{error} // { sqlstate => 'none' };

	is($error->{sqlstate}, $sqlstate // '42501', "refused: $sql");
	return;
}

sub allowed
{
	my ($sql, @expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $result = hear($sql);

	is(($result->{error} // { text => '' })->{text}, '', $sql);
	is(join("\n", map { join '|', map { $_ // '' } @$_ } @{ $result->{rows} }),
		join("\n", @expected), 'its rows')
	  if @expected;
	return;
}

allowed('SELECT id, type FROM reporting.api_keys ORDER BY id',
	'key_aurora|production', 'key_birch|production');
allowed('SELECT count(*) FROM reporting.auth_tokens', '4');
allowed('SELECT t::text FROM reporting.auth_tokens t');
allowed('SELECT to_jsonb(t) FROM reporting.auth_tokens t');
allowed('EXPLAIN (ANALYZE, VERBOSE) TABLE reporting.auth_tokens');
refused('SELECT token FROM reporting.auth_tokens', '42703');

# What is below the views.
for my $schema (qw(velt velt_safe))
{
	refused("SELECT * FROM $schema.$_") for qw(auth_tokens workspaces);
	refused("COPY (SELECT * FROM $schema.auth_tokens) TO STDOUT");
}
refused('CREATE OR REPLACE VIEW reporting.api_keys AS
	SELECT id, api_key_name, type FROM velt_safe.api_keys');
refused('ALTER VIEW reporting.api_keys RESET (security_barrier)');
refused('GRANT SELECT ON velt_safe.auth_tokens TO analyst');
refused("SET ROLE $_") for 'velt_owner', (getpwuid $>)[0];
refused('GRANT velt_owner TO analyst');
refused('CREATE TABLE reporting.mine ()');

# The server, from aside.
$admin->query('CREATE SCHEMA playground AUTHORIZATION analyst');
my $mine = "OPTIONS (workspace_id '$id', auth_token 'x')";
refused("CREATE FOREIGN TABLE playground.t (token text) SERVER velt
	OPTIONS (resource 'auth_tokens')");
refused("CREATE FOREIGN TABLE playground.t (raw jsonb
	OPTIONS (json_pointer '')) SERVER velt OPTIONS (resource 'workspaces')");
refused('IMPORT FOREIGN SCHEMA workspace FROM SERVER velt INTO playground');
refused("CREATE USER MAPPING FOR analyst SERVER velt $mine");
refused("ALTER USER MAPPING FOR velt_owner SERVER velt
	OPTIONS (SET workspace_id 'other')");
refused("CREATE USER MAPPING FOR PUBLIC SERVER velt $mine");
refused('CREATE SERVER mine FOREIGN DATA WRAPPER velt_fdw');
refused("ALTER SERVER velt OPTIONS (SET api_url 'http://localhost:1')");
refused("SELECT * FROM velt_fdw_check('velt')");
refused('ALTER FOREIGN TABLE velt_safe.auth_tokens ADD COLUMN token text');

# Catalogues, statistics, files.
allowed('SELECT umoptions FROM pg_user_mappings WHERE umoptions IS NOT NULL',
	'');
refused('SELECT umoptions FROM pg_user_mapping');
refused('SELECT * FROM pg_statistic');
allowed("SELECT most_common_vals FROM pg_stats WHERE attname = 'token'", '');
allowed('SELECT * FROM velt_fdw_get_connections()');
allowed('SELECT * FROM pg_stat_activity');
allowed('SELECT * FROM pg_foreign_server');
refused("SELECT pg_read_file('PG_VERSION')");
refused("COPY playground.t FROM PROGRAM 'id'");
refused('SET log_statement = none');

# Functions that tell what they are shown, before the view's own condition.
allowed(
	"CREATE FUNCTION playground.tell(text) RETURNS boolean
	LANGUAGE plpgsql COST 0.0000001
	AS \$\$ BEGIN RAISE NOTICE 'shown: %', \$1; RETURN true; END \$\$");
allowed('SELECT count(*) FROM reporting.api_keys WHERE playground.tell(id)',
	'2');
like($heard, qr/shown: key_aurora/, 'it is shown what the view has');
unlike($heard, qr/shown: key_(cobalt|dune)/, 'and nothing else');
allowed('SELECT count(*) FROM reporting.auth_tokens t
	WHERE playground.tell(t::text)', '4');
refused('SELECT id::int FROM reporting.api_keys', '22P02');
refused('SELECT domains::int[] FROM reporting.auth_tokens', '22P02');

# Errors of the API, which may repeat what they were sent.
$api->config({ modes => { echo_secrets => JSON::PP::true } });
$api->faults([ { do => { error => 'INVALID_ARGUMENT' } } ]);
refused('TABLE reporting.auth_tokens', '22023');
$api->faults([]);
$api->config({ modes => { echo_secrets => undef } });

like($heard, qr/INVALID_ARGUMENT/, 'all that was said');
unlike($heard, qr/canary|\Q$secret\E/, 'is without a token');
$analyst->close;

# ----------
# A token in a file, as Kubernetes puts it there
# ----------

make_path("$directory/..first", "$directory/..second");
write_file("$directory/..first/auth-token", "$secret\n");
write_file("$directory/..second/auth-token", "second\n");
symlink '..first', "$directory/..data" or die "could not link: $!";
symlink '..data/auth-token', "$directory/auth-token"
  or die "could not link: $!";
$docs->run($node, 'token-file',
	replace => { '/run/secrets/velt' => $directory });
$admin->query('ALTER SERVER velt_file OPTIONS (ADD api_url '
	  . literal($api->url) . ", ADD retry_timeout '0')");
$admin->query("CREATE FOREIGN TABLE file_keys (id text) SERVER velt_file
	OPTIONS (resource 'api_keys')");
is($admin->value('SELECT count(*) FROM file_keys'), 4, 'a token in a file');
$api->config({ workspaces => { $id => { token => 'second' } } });
fails_with($admin, 'SELECT count(*) FROM file_keys',
	'42501', 'is not good any more');
symlink '..second', "$directory/..next" or die "could not link: $!";
rename "$directory/..next", "$directory/..data"
  or die "could not rename: $!";
is($admin->value('SELECT count(*) FROM file_keys'),
	4, 'until the secret is updated');
$api->config({ workspaces => { $id => { token => $secret } } });

# ----------
# A proxy, and an authority that nobody else knows
# ----------

my $company = serve_tls($directory, 'server', config => {%config});
$docs->run(
	$node, 'proxy',
	replace => {
		'http://proxy.example.com:3128' => $company->ready->{proxy},
		'/etc/ssl/certs/company-ca.pem' => "$directory/ca.crt",
		'FOREIGN DATA WRAPPER velt_fdw
    OPTIONS (' => 'FOREIGN DATA WRAPPER velt_fdw
    OPTIONS (api_url ' . literal($company->url) . ', '
	}) =~ /^auth\|t\|/m or fail('the check of a server behind a proxy');
cmp_ok($company->stats('proxy.requests.length'),
	'>=', 1, 'it is asked for a tunnel');
is($company->stats('requests.workspace/get'), 1, 'which leads to the API');

# ----------
# Several workspaces
# ----------

my %region = map {
	my ($name, $count) = @$_;
	$name => VeltSimulator->new(
		config => {
			workspaces => {
				"workspace_$name" => {
					token => "token-of-$name",
					keys => $count,
					key_prefix => "$name-"
				}
			}
		})
} [ eu => 2 ], [ us => 3 ];
$docs->run($node, 'partitions');
$admin->query("ALTER SERVER velt_$_ OPTIONS (ADD api_url "
	  . literal($region{$_}->url) . ')')
  for sort keys %region;
my $all = $docs->text('all-workspaces');

gives('all-workspaces', "workspace_eu|2\nworkspace_us|3");
is($region{$_}->stats('requests.total'), 1, "$_: one request")
  for sort keys %region;
is(scalar(grep { $_->{'Async Capable'} } scans(plan_of($admin, $all =~ s/;//r))),
	2, 'both at once');
{
	# neither answers before the other is asked
	$region{$_}->faults([ { do => { stall => 'before_headers' } } ])
	  for keys %region;
	my $session = VeltClient->new($node);
	$session->send($all);
	$_->wait_for('in_flight', 1) for values %region;
	pass('both are asked before one has answered');
	$admin->query('SELECT pg_cancel_backend(' . $session->pid . ')');
	$session->result;
	wait_until_idle($_) for values %region;
	$_->faults([]) for values %region;
}

$_->reset for values %region;
gives('one-workspace', "eu-000001|Key 1\neu-000002|Key 2");
is(join(' ', map { $region{$_}->stats('requests.total') } qw(eu us)),
	'1 0', 'the other workspace is not asked');

$admin->query("ALTER USER MAPPING FOR CURRENT_USER SERVER velt_us
	OPTIONS (SET workspace_id 'workspace_eu')");
$_->reset for values %region;
fails_with($admin, 'SELECT count(*) FROM all_keys',
	'22023', 'another workspace behind a partition is an error');
is($region{us}->stats('requests.total'), 0, 'and is not asked');

is_deeply([ $docs->untried ], [], 'nothing in the document was left out');
$admin->close;
done_testing();
