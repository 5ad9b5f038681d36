
# What a newcomer does wrong, one step after the other, and what that says: each
# message has the next step, or README.md has it.

use strict;
use warnings;

use File::Path qw(make_path);
use IO::Socket::INET;
use PostgreSQL::Test::Utils;
use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltTest;

my $certs = tempdir();
VeltSimulator::certs($certs);
my $api = VeltSimulator->new;
my $private = serve_tls($certs, 'server');

# Nobody listens there.
my $unused = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'tcp')
  or die "could not bind a socket: $!";

my $node = start_node();
my $admin = VeltClient->new($node);
$admin->query($_) for 'CREATE ROLE newcomer LOGIN', 'CREATE DATABASE fresh';
my $newcomer = VeltClient->new($node, user => 'newcomer');
my (@seen, @without_hint);

# The statement fails so, and its hint, or README.md, says what to do.
sub stumbles
{
	my ($session, $sql, $sqlstate, $hint) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $error = fails_with($session, $sql, $sqlstate, $sql);

	push @seen, $error->{message};
	push @without_hint, $error->{message} unless $error->{hint};
	like($error->{hint}, $hint, 'the next step') if $hint;
	return;
}

# The check ends with a step that fails so.
sub check_says
{
	my ($step, $pattern) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @steps = $admin->query("SELECT * FROM velt_fdw_check('velt')");
	my @good = grep { $_->[1] eq 't' } @steps[ 0 .. $#steps - 1 ];

	is(scalar @good, $#steps, "the check: steps before $step are good");
	is_deeply([ @{ $steps[-1] }[ 0, 1 ] ], [ $step, 'f' ], "$step is not");
	like($steps[-1][2], $pattern, 'and the next step');
	return;
}

# The tables say the same as the check.
sub queries_say
{
	my ($sqlstate, $hint) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	stumbles($admin, 'SELECT count(*) FROM velt.workspaces', $sqlstate, $hint);
	return;
}

# A page of the documentation.
sub page
{
	return slurp_file("$FindBin::RealBin/../../$_[0]");
}

# The messages that README.md has a next step for.
sub documented
{
	my ($table) = page('README.md') =~
	  /^\| message \| next \|\n\|---\|---\|\n((?:\|.*\n)+)/m
	  or die 'README.md has no table of messages';

	return $table =~ /^\| `(.*?)` \|/mg;
}

sub server { return $admin->query("ALTER SERVER velt OPTIONS ($_[0])"); }

sub mapping
{
	return $admin->query(
		"ALTER USER MAPPING FOR CURRENT_USER SERVER velt OPTIONS ($_[0])");
}

# ----------
# The files
# ----------

# Where CREATE EXTENSION looks first.
my $major = int($admin->value('SHOW server_version_num') / 10_000);
my $files = tempdir();
my $extensions = ($major >= 18 ? $files :
	  $files . $admin->value(
		"SELECT setting FROM pg_config WHERE name = 'SHAREDIR'"))
  . '/extension';
make_path($extensions);
write_file("$extensions/velt_fdw--1.0.sql",
	page('src/velt_fdw--1.0.sql'));

# The library of this server: a backend that has it loaded knows.
$admin->query('SELECT velt_fdw_version()');
my ($library) = slurp_file('/proc/' . $admin->pid . '/maps') =~
  m{ (/.*/velt_fdw\.so)$}m
  or die 'no backend has velt_fdw.so';

# Where there is one with another text, as long, in place of this.
sub changed_library
{
	my ($old, $new) = @_;
	my $content = slurp_file($library);

	$content =~ s/\Q$old\E/$new/g or die "$library has no $old";
	write_file("$files/velt_fdw.so", $content);
	return "$files/velt_fdw";
}

# CREATE EXTENSION with such files fails so.
sub lacks
{
	my ($module, $sqlstate, %args) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $session = VeltClient->new($node, dbname => 'fresh');

	write_file("$extensions/velt_fdw.control",
		"default_version = '" . ($args{version} // '1.0') . "'\n"
		  . "module_pathname = '$module'\nrelocatable = true\n");
	$session->query($major >= 18 ?
		  'SET extension_control_path = ' . literal("$files:\$system") :
		  'SET extension_destdir = ' . literal($files));
	stumbles($session, 'CREATE EXTENSION ' . ($args{name} // 'velt_fdw'),
		$sqlstate, $args{hint});
	$session->close;
	return;
}

# This machine may have the package: what is not to be there has a name that
# nothing has.
lacks($library, '0A000', name => 'velt_fdw_gone', hint => qr/installed/);
lacks('$libdir/velt_fdw_gone', '58P01');
s/_gone// for @seen, @without_hint;

lacks($library, '22023', version => '9.9');
lacks(
	changed_library(
		pack('l4', $major * 100, 100, 32, 64),
		pack('l4', ($major + 1) * 100, 100, 32, 64)),
	'XX000');
lacks(changed_library('libcurl.so.4', 'libcurl.so.9'), '58P01|XX000');
like($seen[-1], qr/: libcurl\.so\.9: /, 'it says what cannot be loaded');
lacks(changed_library('velt_fdw_check', 'velt_fdw_other'), '42883');

# ----------
# The extension, the server
# ----------

{
	my $fresh = VeltClient->new($node, dbname => 'fresh');
	stumbles($fresh, "SELECT * FROM velt_fdw_check('velt')", '42883');
	stumbles($fresh, 'CREATE SERVER velt FOREIGN DATA WRAPPER velt_fdw', '42704');
	$fresh->close;
	$fresh = VeltClient->new($node, dbname => 'fresh', user => 'newcomer');
	stumbles($fresh, 'CREATE EXTENSION velt_fdw', '42501', qr/superuser/);
	$fresh->close;
}
stumbles($newcomer, 'CREATE SERVER velt FOREIGN DATA WRAPPER velt_fdw', '42501');
stumbles($admin, "SELECT * FROM velt_fdw_check('velt')", '42704');
my $create = 'CREATE SERVER velt FOREIGN DATA WRAPPER velt_fdw';
stumbles($admin, "$create OPTIONS (api_url 'api.velt.dev')",
	'HV024', qr/"https:\/\//);
stumbles($admin, "$create OPTIONS (api_url 'http://api.velt.dev')",
	'HV024', qr/"https:\/\//);
stumbles($admin, "$create OPTIONS (connect_timeout '10')", 'HV024', qr/"30s"/);
stumbles($admin, "$create OPTIONS (timeout '10s')",
	'HV00D', qr/connect_timeout/);
stumbles($admin, "$create OPTIONS (auth_token 'x')",
	'HV00D', qr/option of a user mapping/);
$admin->query("$create OPTIONS (retry_timeout '0', api_url '"
	  . $api->url . "')");

# ----------
# The tables, the mapping
# ----------

$admin->query('CREATE SCHEMA velt');
stumbles($admin, 'SELECT * FROM velt.api_keys', '42P01');
stumbles($admin, 'IMPORT FOREIGN SCHEMA public FROM SERVER velt INTO velt',
	'HV00Q', qr/"workspace"/);
$admin->query('IMPORT FOREIGN SCHEMA workspace FROM SERVER velt INTO velt');
stumbles($admin, 'CREATE FOREIGN TABLE t (id text) SERVER velt',
	'HV00J', qr/IMPORT FOREIGN SCHEMA workspace/);
stumbles($admin,
	"CREATE FOREIGN TABLE t (id text) SERVER velt OPTIONS (resource 'keys')",
	'HV024', qr/"api_keys"/);
$admin->query("CREATE FOREIGN TABLE t (name text) SERVER velt
	OPTIONS (resource 'api_keys')");

check_says('options',
	qr/user mapping not found.*CREATE USER MAPPING FOR .* SERVER velt .*workspace_id.*auth_token/);
stumbles($admin, 'SELECT * FROM velt.api_keys', '42704');
$create = 'CREATE USER MAPPING FOR CURRENT_USER SERVER velt';
stumbles($admin, $create, 'HV00J', qr/id of a Velt workspace/);
stumbles($admin, "$create OPTIONS (workspace_id 'x')",
	'HV00J', qr/the workspace's auth token/);
stumbles($admin, "$create OPTIONS (workspace_id 'x', token 'y')",
	'HV00D', qr/auth_token/);
$admin->query("$create OPTIONS (workspace_id 'wrong', auth_token 'wrong')");

# ----------
# The credentials
# ----------

check_says('auth', qr/^42704: .*Workspace not found.*workspace_id/);
queries_say('42704', qr/workspace_id/);
mapping("SET workspace_id '$workspace'");
check_says('auth', qr/^28000: .*user mapping.*token/);
queries_say('28000', qr/user mapping.*token/);
stumbles($admin, 'SELECT count(*) FROM velt.api_keys',
	'42501', qr/the workspace's, not that of an API key/);
mapping("SET auth_token '$token'");
is_deeply(
	[
		map { [ @{$_}[ 0, 1 ] ] }
		  $admin->query("SELECT * FROM velt_fdw_check('velt')")
	],
	[ [ 'options', 't' ], [ 'connect', 't' ], [ 'auth', 't' ] ],
	'all is well');

# ----------
# The network
# ----------

for my $case (
	[ $private->url, 'HV00N', qr/sslrootcert/ ],
	[ 'https://127.0.0.1:' . $unused->sockport, '08001', qr/api_url.*reaches/ ],
	[ 'https://api.velt.invalid', '08001', qr/api_url.*reaches/ ])
{
	my ($url, $sqlstate, $hint) = @$case;

	server("SET api_url '$url'");
	check_says('connect', qr/^$sqlstate: .*$hint/);
	queries_say($sqlstate, $hint);
}
server("SET api_url '" . $api->url . "/elsewhere'");
check_says('auth', qr/^42704: .*no error of the API.*api_url/);
queries_say('42704', qr/api_url/);
server("SET api_url '" . $api->url . "'");

# ----------
# The first query, and others' first query
# ----------

stumbles($admin, 'SELECT * FROM t', 'HV005', qr/"column_name".*"json_pointer"/);
stumbles($admin, "INSERT INTO velt.api_keys VALUES ('x')", '0A000');
stumbles($newcomer, 'SELECT * FROM velt.api_keys', '42501');
stumbles($newcomer, "SELECT * FROM velt_fdw_check('velt')", '42501');
$admin->query('GRANT USAGE ON FOREIGN SERVER velt TO newcomer');
$admin->query('GRANT USAGE ON SCHEMA velt TO newcomer');
$admin->query('GRANT SELECT ON velt.api_keys TO newcomer');
stumbles($newcomer, 'SELECT * FROM velt.api_keys', '42704');
add_mapping($newcomer, 'velt');
is($newcomer->value('SELECT count(*) FROM velt.api_keys'), 25, 'at last');

# ----------
# What newcomers copy
# ----------

# The page's block that begins so does that, as a superuser in a database of
# its own; what it returns, or a query after it, are these rows.
sub copies
{
	my ($page, $beginning, $query, $expected, %replace) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($block) = page($page) =~ /^ *```sql\n( *\Q$beginning\E.*?)^ *```/ms
	  or die "$page has no block that begins with $beginning";

	for my $there (sort keys %replace)
	{
		$block =~ s/\Q$there\E/$replace{$there}/
		  or die "$page has no $there";
	}
	my @rows = split /\n/, $node->safe_psql('sixty', $block . $query);

	is_deeply([ sort @rows ], [ sort @$expected ], "$page: $beginning");
	return;
}

$admin->query('CREATE DATABASE sixty');
copies(
	'README.md',
	'CREATE EXTENSION velt_fdw',
	'',
	[
		map {
			my $n = $_;
			map {
				sprintf 'velt_api_key_%06d|Key %d|Token %d|%s', $n, $n, $_,
				  $_ == 1 && $n % 3 == 0 ? '{}' :
				  "{example-$n.com,app.example-$n.com}"
			} 1, 2
		} map { 2 * $_ } 1 .. 12
	],
	'WRAPPER velt_fdw;' => 'WRAPPER velt_fdw OPTIONS (api_url '
	  . literal($api->url) . ');',
	workspace_abc123 => $workspace,
	"auth_token '\xE2\x80\xA6'" => "auth_token '$token'");
$node->safe_psql('sixty', 'CREATE SCHEMA reporting; CREATE ROLE reporter');
copies(
	'README.md',
	'CREATE VIEW reporting.api_keys',
	'SELECT count(*) FROM reporting.api_keys', [25]);
$node->safe_psql('sixty',
	"CREATE TYPE velt.key_type AS ENUM ('testing', 'production')");
copies(
	'docs/reference.md',
	'CREATE FOREIGN TABLE velt.key_kinds',
	"SELECT key, kind, plan, raw->>'apiKeyName' FROM velt.key_kinds
		WHERE key = 'velt_api_key_000001'",
	['velt_api_key_000001|testing||Key 1']);

# ----------
# What README.md says of messages, and what psql shows
# ----------

for my $message (documented())
{
	ok(scalar(grep { /\Q$message\E/ } @seen), "README.md: $message");
}
for my $message (@without_hint)
{
	ok(scalar(grep { $message =~ /\Q$_\E/ } documented()),
		"README.md has: $message");
}

my ($described) = run_command(
	[ 'psql', '-X', '-d', $node->connstr('postgres'), '-c',
		'\df+ velt_fdw*', '-c', '\dew+', '-c', '\d velt.auth_tokens' ]);
like($described, qr/tries a foreign server with your user mapping/,
	'functions are described');
like($described, qr/\| Velt workspaces, API keys and auth tokens/,
	'and the wrapper');
like($described,
	qr/^ domains +\| text\[\] .*^Server: velt\nFDW options: \(resource 'auth_tokens'\)/ms,
	'a table is what it says');

$_->close for $admin, $newcomer;
done_testing();
