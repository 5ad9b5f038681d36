
# A token in a file on the server: who may name one, who may use one, what a
# file has to be, and that nobody gets to see what is in it.

use strict;
use warnings;

use JSON::PP;
use POSIX qw(mkfifo);
use PostgreSQL::Test::Utils;
use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltTest;

my $node = start_node();
my $directory = tempdir();
my $file = write_file("$directory/token", "$token\n");

my $certs = tempdir();
VeltSimulator::certs($certs);
my $api = serve_tls($certs, 'server');

my $admin = VeltClient->new($node);
$admin->query("CREATE ROLE $_ LOGIN")
  for qw(owner reader mapped stranger);
$admin->query('GRANT pg_read_server_files TO reader');
$admin->query(
	'GRANT USAGE ON FOREIGN DATA WRAPPER velt_fdw TO owner, reader');

my $log_start = -s $node->logfile;

# ----------
# What a file has to be
# ----------

add_server(
	$admin, 'velt',
	options => { api_url => $api->url, sslrootcert => "$certs/ca.crt" },
	mapping => { auth_token_file => $file });
my $query = 'SELECT count(*) FROM velt.api_keys';

is($admin->value($query), 25, 'a token from a file');
is($api->stats('last_headers.x-velt-auth-token'),
	$token, 'is sent without its newline');

write_file($file, $token);
is($admin->value($query), 25, 'a token without a newline');

# Each of these is a change behind the back of a session with connections.
sub refuses_file
{
	my ($content, $sqlstate, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	write_file($file, $content);
	$api->reset;
	my $error = fails_with($admin, $query, $sqlstate, $name);
	like($error->{text}, qr/\Q$file\E/, 'the file is named');
	is($api->stats('requests.total'), 0, 'no request is made');
	return $error;
}

refuses_file(@$_)
  for [ '', 'HV024', 'an empty file' ],
  [ "\n", 'HV024', 'an empty line' ],
  [ "$token\n\n", 'HV024', 'two newlines' ],
  [ "$token\r\n", 'HV024', 'a carriage return' ],
  [ "$token $token", 'HV024', 'a space' ],
  [ " $token", 'HV024', 'a leading space' ],
  [ "$token\tx", 'HV024', 'a tab' ],
  [ "$token\nx-other: $token", 'HV024', 'another header' ],
  [ "$token\0", 'HV024', 'a NUL' ],
  [ "$token\x7f", 'HV024', 'a DEL' ],
  [ "$token\xc3\xa9", 'HV024', 'a letter that is not ASCII' ],
  [ 't' x 8193, 'HV024', '8193 characters' ],
  [ 't' x 16385, 'HV024', 'a byte more than 16 kB' ],
  [ 't' x 100000, 'HV024', '100 kB' ];

$api->config({ workspaces => { $workspace => { token => 't' x 8192 } } });
write_file($file, ('t' x 8192) . "\n");
is($admin->value($query), 25, '8192 characters are a token');
$api->config({ workspaces => { $workspace => { token => $token } } });

# The file's name stays, and becomes that of something else.
sub refuses_replacement
{
	my ($sqlstate, $name, $make) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	unlink $file;
	$make->();
	$api->reset;
	my $error = fails_with($admin, $query, $sqlstate, $name);
	like($error->{text}, qr/\Q$file\E/, 'the file is named');
	is($api->stats('requests.total'), 0, 'no request is made');
	rmdir $file or unlink $file;
	return;
}

refuses_replacement('58P01', 'no file', sub { });
refuses_replacement('HV024', 'a directory', sub { mkdir $file });
refuses_replacement('HV024', 'a FIFO nobody writes to',
	sub { mkfifo($file, 0600) });
refuses_replacement('HV024', 'a device',
	sub { symlink '/dev/zero', $file });
refuses_replacement('58P01', 'a symbolic link to nothing',
	sub { symlink "$directory/nothing", $file });
refuses_replacement(
	'42501',
	'a file that the server may not read',
	sub {
		write_file($file, $token);
		chmod 0, $file;
	});

write_file("$directory/elsewhere", "$token\n");
symlink "$directory/elsewhere", $file or die "could not make a link: $!";
is($admin->value($query), 25, 'a symbolic link to a file');
unlink $file;
write_file($file, $token);

my $error = fails_with($admin,
	"ALTER USER MAPPING FOR CURRENT_USER SERVER velt
	  OPTIONS (SET auth_token_file 'token')", 'HV024', 'a relative path');
$error = fails_with($admin,
	"ALTER USER MAPPING FOR CURRENT_USER SERVER velt
	  OPTIONS (ADD auth_token 'x')", 'HV024', 'a token, and a file too');

# Nothing is opened before there is a request to make.
unlink $file;
is($admin->value("SELECT count(*) FROM velt.api_keys WHERE false"),
	0, 'no request, no file');
$admin->query("EXPLAIN $query");
pass_on($admin, "ALTER USER MAPPING FOR CURRENT_USER SERVER velt
	OPTIONS (SET workspace_id '$workspace')", 'options are only looked at');
write_file($file, $token);

# ----------
# A rewritten file
# ----------

{
	$api->config(
		{
			workspaces => { $workspace => { token => 'second-0123456789' } }
		});
	fails_with($admin, $query, '42501', 'a token that is no longer right');
	write_file($file, "second-0123456789\n");
	is($admin->value($query), 25, 'a rewritten file, at the next statement');

	# of a transaction too
	$admin->query('BEGIN');
	$admin->query($query);
	$api->config({ workspaces => { $workspace => { token => $token } } });
	write_file("$directory/new", $token);
	rename "$directory/new", $file or die "could not rename a file: $!";
	is($admin->value($query), 25,
		'a file put in its place, in the same transaction');
	$admin->query('COMMIT');
}

# ----------
# Who may name a file
# ----------

my $names_file = option_list(
	workspace_id => $workspace,
	auth_token_file => $file);
my $has_token = option_list(
	workspace_id => $workspace,
	auth_token => $token);

sub as { return VeltClient->new($node, user => $_[0]); }

# A statement that is allowed.
sub pass_on
{
	my ($session, $sql, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$session->send($sql);
	my $result = $session->result;
	is(($result->{error} // { text => '' })->{text}, '', $name);
	return;
}

my ($owner, $reader, $mapped, $stranger) =
  map { as($_) } qw(owner reader mapped stranger);
my $https = 'OPTIONS (api_url ' . literal($api->url) . q{, retry_timeout '0')};

$owner->query("CREATE SERVER owned FOREIGN DATA WRAPPER velt_fdw $https");
$owner->query('GRANT USAGE ON FOREIGN SERVER owned TO mapped');
$reader->query("CREATE SERVER readable FOREIGN DATA WRAPPER velt_fdw $https");
$reader->query('GRANT USAGE ON FOREIGN SERVER readable TO mapped');

fails_with($owner,
	"CREATE USER MAPPING FOR owner SERVER owned $names_file",
	'42501', 'a server\'s owner may not name a file');
fails_with($owner, "CREATE USER MAPPING FOR PUBLIC SERVER owned $names_file",
	'42501', 'for nobody');
fails_with($mapped,
	"CREATE USER MAPPING FOR mapped SERVER owned $names_file",
	'42501', 'nor may a role with USAGE');
fails_with(
	$mapped,
	'CREATE USER MAPPING FOR mapped SERVER owned '
	  . option_list(
		workspace_id => $workspace,
		auth_token_file => '/etc/passwd'),
	'42501',
	'whatever file');
$mapped->query("CREATE USER MAPPING FOR mapped SERVER owned $has_token");
fails_with(
	$mapped,
	"ALTER USER MAPPING FOR mapped SERVER owned
	  OPTIONS (DROP auth_token, ADD auth_token_file '$file')",
	'42501',
	'also not later');
pass_on($reader, "CREATE USER MAPPING FOR reader SERVER readable $names_file",
	'a role that may read files may');
pass_on($admin, "CREATE USER MAPPING FOR mapped SERVER readable $names_file",
	'and a superuser may, for others');
fails_with($stranger,
	"CREATE USER MAPPING FOR stranger SERVER readable $names_file",
	'42501', 'a stranger has no business with the server');

# What is there already.
fails_with($mapped, "ALTER USER MAPPING FOR mapped SERVER readable $_->[0]",
	'42501', "who has a mapping with a file may not $_->[1]")
  for [ "OPTIONS (SET auth_token_file '/etc/passwd')", 'redirect it' ],
  [ "OPTIONS (SET workspace_id 'other')", 'alter what has it' ];
fails_with($stranger,
	"ALTER USER MAPPING FOR mapped SERVER readable
	  OPTIONS (SET auth_token_file '/etc/passwd')",
	'42501', 'nor may a stranger');
pass_on(
	$mapped,
	"ALTER USER MAPPING FOR mapped SERVER readable
	  OPTIONS (DROP auth_token_file, ADD auth_token '$token')",
	'but may give it up');
$admin->query('DROP USER MAPPING FOR mapped SERVER readable');

# ----------
# Who may use one
# ----------

sub import_for
{
	my ($server, $role) = @_;

	$admin->query("CREATE SCHEMA ${server}_$role");
	$admin->query("IMPORT FOREIGN SCHEMA workspace
		FROM SERVER $server INTO ${server}_$role");
	$admin->query("GRANT USAGE ON SCHEMA ${server}_$role TO PUBLIC");
	$admin->query(
		"GRANT SELECT ON ALL TABLES IN SCHEMA ${server}_$role TO $role");
	return "SELECT count(*) FROM ${server}_$role.api_keys";
}

# The server's owner is who decides where the token goes.
for my $server (qw(owned readable))
{
	$admin->query("ALTER SERVER $server
		OPTIONS (ADD sslrootcert '$certs/ca.crt')");
	$admin->query("DROP USER MAPPING IF EXISTS FOR mapped SERVER $server");
	$admin->query(
		"CREATE USER MAPPING FOR mapped SERVER $server $names_file");
}
my $by_owner = import_for('owned', 'mapped');
my $by_reader = import_for('readable', 'mapped');

$api->reset;
my $refusal = fails_with($mapped, $by_owner, '42501',
	'a file is not for a server whose owner may not read it');
is($api->stats('connections'), 0, 'which is not even connected to');
unlike($refusal->{text}, qr/\Q$file\E/, 'the file is not named');
is($mapped->value($by_reader), 25, 'it is for one whose owner may');

# A change of owner, or of the owner's privileges, counts at once.
$admin->query('ALTER SERVER owned OWNER TO CURRENT_USER');
is($mapped->value($by_owner), 25, 'a superuser takes the server over');
$admin->query('ALTER SERVER owned OWNER TO owner');
fails_with($mapped, $by_owner, '42501', 'and gives it back');
$admin->query('GRANT pg_read_server_files TO owner');
is($mapped->value($by_owner), 25, 'the owner may read files now');

# Redirecting it needs what reading it does.
pass_on($owner, "ALTER SERVER owned OPTIONS (SET api_url '"
	  . $api->url . "')", 'an owner who may read files alters the server');
$admin->query('REVOKE pg_read_server_files FROM owner');
$api->reset;
fails_with($mapped, $by_owner, '42501', 'and may not any more');
is($api->stats('requests.total'), 0, 'no request is made');
fails_with($owner,
	"ALTER SERVER owned OPTIONS (SET api_url 'https://elsewhere.invalid')",
	'42501', 'the server has a file of its own, and is not to be altered');
$admin->query('ALTER SERVER owned OPTIONS (DROP sslrootcert)');
pass_on($owner,
	"ALTER SERVER owned OPTIONS (SET api_url 'https://elsewhere.invalid')",
	'an owner may redirect a server');
fails_with($mapped, $by_owner, '42501', 'but not the token in a file');

for my $role ($owner, $mapped)
{
	fails_with($role, "ALTER SERVER readable
		OPTIONS (SET api_url 'https://elsewhere.invalid')",
		'42501', 'nobody else redirects a server');
}
fails_with($stranger, $by_reader, '42501', 'a stranger may not read');
$admin->query('GRANT SELECT ON readable_mapped.api_keys TO stranger');
fails_with($stranger, $by_reader, '42704', 'or has no mapping');

# A view is its owner's.
$admin->query('GRANT CREATE ON SCHEMA readable_mapped TO mapped');
$mapped->query('CREATE VIEW readable_mapped.keys AS
	TABLE readable_mapped.api_keys');
$mapped->query('GRANT SELECT ON readable_mapped.keys TO stranger');
is($stranger->value('SELECT count(*) FROM readable_mapped.keys'),
	25, 'but may look at a view of who has');

# ----------
# What is seen of it
# ----------

is($stranger->value('SELECT count(*) FROM pg_user_mappings
	WHERE umoptions IS NOT NULL'),
	0, 'a stranger sees no options');
is($mapped->value("SELECT count(*) FROM pg_user_mappings
	WHERE srvname = 'readable' AND umoptions::text LIKE '%$file%'"),
	1, 'the mapped role sees the path');
is($mapped->value("SELECT count(*) FROM pg_user_mappings
	WHERE srvname = 'readable' AND umoptions::text LIKE '%$token%'"),
	0, 'and not what is in the file');

# What is not a token is not shown either, nor is it logged.
my $canary = 'canary-0f1e2d3c4b5a6978';
for my $content ("$canary\n\n", " $canary", "$canary\0", $canary x 1000,
	$canary)
{
	write_file($file, $content);
	unlike($mapped->error($by_reader)->{text},
		qr/canary/, 'a message shows nothing of the file');
}

# A role that may not see the options of the mapping sees no path; the log
# has it.
write_file($file, '');
for my $state (qw(HV024 58P01))
{
	like($mapped->error($by_reader)->{text},
		qr/\Q$file\E/, "$state: the mapped role sees the path");
	my $start = -s $node->logfile;
	my $error = fails_with($stranger,
		'SELECT count(*) FROM readable_mapped.keys',
		$state, "$state: a view of whose owner's mapping");
	unlike($error->{text}, qr/\Q$file\E/, 'shows no path');
	like($error->{text}, qr/auth_token_file of the user mapping/, 'but what failed');
	poll_until('the log has the path',
		sub { slurp_file($node->logfile, $start) =~ /DETAIL:.*\Q$file\E/ });
	unlink $file;
}
my $log = slurp_file($node->logfile, $log_start);
like($log, qr/could not use auth_token_file/, 'the log has the messages');
unlike($log, qr/canary|second-0123456789/, 'and nothing of the file');

$_->close for $admin, $owner, $reader, $mapped, $stranger;
done_testing();
