
# Dumps, and what comes of them elsewhere: docs/operations.md as it stands.
# Nothing of the definitions is lost, no token gets to who may not see it, and
# only what has to asks the API.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltDocs;
use VeltObjects;
use VeltTest;

my $docs = VeltDocs->new('operations.md');
my $directory = tempdir();
my $api = VeltSimulator->new;
my $node = start_node();

make_roles($node);
make_objects($node, 'production', $api, "$directory/token");
my $wanted = definitions($node, 'production');

# The simulator answers all of them; another one's refuse connections.
sub requests { return requests_of($api); }

# A block of the document, which makes so many requests.
sub block
{
	my ($name, $requests, %args) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	requests();
	$docs->run($node, $name, dbname => 'production', %args);
	is(requests(), $requests, "$name: requests");
	return;
}

# Runs a program on the node; exit status, standard output and error.
sub try
{
	my ($on, @command) = @_;
	my ($out, $err) = ('', '');
	local %ENV = (
		%ENV,
		PGHOST => $on->host,
		PGPORT => $on->port,
		PGDATABASE => 'production');

	IPC::Run::run(\@command, '>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}

# ----------
# What a dump has
# ----------

chdir $directory or die "could not change directory: $!";
block('dump', 0);
works($node, 'production', $api);
is(scalar(grep { /E'first-''";\\\\\$\$--''-token'/ } @$wanted),
	2, "the superuser's dump has tokens");
is(scalar(grep { /third-/ } @$wanted), 0, 'but only the path of a file');
requests();
my ($status, $by_all) = try($node, 'pg_dumpall');
is($status, 0, 'pg_dumpall');
is(requests(), 0, 'asks for nothing');

($status, my $by_backup, my $err) = try($node, 'pg_dump', '-U', 'backup');
is("$status$err", '0', 'a role that reads all dumps it');
like($by_backup, qr/^CREATE USER MAPPING FOR velt_owner SERVER velt;$/m,
	'with mappings');
unlike($by_backup, qr/(?:first|second|third)-/, 'and without tokens');
is(requests(), 0, 'nor a request');

# ----------
# As it is
# ----------

is((try($node, 'createdb', 'whole'))[0], 0, 'a database');
is((try($node, qw(pg_restore -d whole velt.dump)))[0], 0, 'takes a dump');
is($api->stats('last_headers.x-velt-auth-token'),
	$secrets[0], 'a materialized view is refreshed with its owner\'s token');
is($api->stats('requests.apikeys/get'), 1, 'it costs what a refresh costs');
is(requests(), 1, 'of the others, one has none, one is of the first');
is_deeply(definitions($node, 'whole'), $wanted, 'nothing of it is lost');
is(mappings_seen($node, 'whole'), mappings_seen($node, 'production'),
	'nobody sees more of the mappings');
is(populated($node, 'whole'), "inventory|t\nsummary|t\nunfilled|f", 'filled views');
works($node, 'whole', $api);

requests();
is((try($node, qw(createdb -T production twin)))[0], 0, 'a template');
is(requests(), 0, 'asks for nothing');
is(mappings_seen($node, 'twin'), mappings_seen($node, 'production'),
	'gives credentials away as well');
works($node, 'twin', $api);

# ----------
# With nothing of value, and no request
# ----------

block('restore', 0);
is($node->safe_psql('copy', 'SELECT count(*) FROM pg_user_mappings'),
	0, 'no credentials');
is(populated($node, 'copy'), "inventory|f\nsummary|f\nunfilled|f", 'empty views');
is($node->safe_psql('copy', 'SELECT count(*) FROM local.filled'),
	10, 'local tables are filled');
is($node->safe_psql('copy', 'SELECT count(*) FROM pg_class
		WHERE relname = \'inventory_id_idx\''), 1, 'and indexes are there');
is_deeply(
	definitions($node, 'copy'),
	[ grep { !/^CREATE USER MAPPING/ } @$wanted ],
	'and so are all other definitions');

($status, undef, $err) = $docs->try($node, 'refresh', dbname => 'production');
like($err, qr/user mapping not found/, 'a refresh without a mapping');
is(requests(), 0, 'asks for nothing');
my $session = VeltClient->new($node, dbname => 'copy');
add_mapping($session, 'velt', workspace_id => 'workspace_2',
	auth_token => $secrets[1]);
$session->close;
block('refresh', 1);
is(populated($node, 'copy'), "inventory|t\nsummary|t\nunfilled|f", 'later: filled');
is($node->safe_psql('copy', 'SELECT count(*) FROM local.inventory'),
	20, 'from a workspace of its own');

# ----------
# What goes wrong
# ----------

write_file("$directory/backup.sql", $by_backup);
is((try($node, 'createdb', 'partial'))[0], 0, 'another database');
requests();
(undef, undef, $err) = try($node, qw(psql -Xqd partial -f backup.sql));
is_deeply(
	[ sort map { s/not found for\K.*//r } $err =~ /ERROR:  (.*)/g ],
	[
		'materialized view "inventory" has not been populated',
		('option "workspace_id" is required') x 4,
		'user mapping not found for'
	],
	'a dump without tokens: all that fails') or diag $err;
is(requests(), 0, 'no request');

# the API is out of reach: nobody listens on its port any more
my $url = $api->url;
$api->stop;
is((try($node, 'createdb', 'alone'))[0], 0, 'a database far from the API');
($status, undef, $err) = try($node, qw(pg_restore -d alone velt.dump));
is($status, 1, 'a restore says that something failed');
is_deeply(
	[ $err =~ /ERROR:  (.*)/g ],
	[
		'could not fetch "api_keys" from foreign server "velt"',
		'materialized view "inventory" has not been populated'
	],
	'which is what it has to ask for') or diag $err;
like($err, qr/^pg_restore: warning: errors ignored on restore: 2$/m,
	'and no more');
is_deeply(definitions($node, 'alone'), $wanted, 'all is there');
is(populated($node, 'alone'), "inventory|f\nsummary|f\nunfilled|f",
	'but what is in views');
is((try($node, 'createdb', 'none'))[0], 0, 'another');
($status) = try($node, qw(pg_restore -1 -d none velt.dump));
is($status, 1, 'in one transaction');
is($node->safe_psql('none', 'SELECT count(*) FROM pg_foreign_server'),
	0, 'nothing is restored');

# ----------
# With the rows of foreign tables
# ----------

$api = VeltSimulator->new(
	config => {
		workspaces => {
			workspace_1 =>
			  { token => $secrets[0], keys => 10, key_prefix => 'key-1-' }
		}
	});
$node->safe_psql('production',
	"ALTER SERVER velt OPTIONS (SET api_url '" . $api->url . "')");
my @with_rows = qw(pg_dump --include-foreign-data=velt);
($status, my $dump) = try($node, @with_rows);
is($status, 0, 'a dump with the rows of a server');
is(join(' ', map { $api->stats("requests.$_") }
	qw(workspace/get apikeys/get authtokens/get)),
	'1 3 10', 'scans each of its tables once, and no other');
is(() = $dump =~ /^key-1-[0-9]{6}\t[0-9a-f]{32}\tToken/mg,
	10, 'it has the tokens of all API keys');
is((try($node, 'createdb', 'rows'))[0], 0, 'another database');
write_file("$directory/rows.sql", $dump);
(undef, undef, $err) = try($node, qw(psql -Xqd rows -f rows.sql));
like($err, qr/ERROR:  cannot insert into foreign table "auth_tokens"/,
	'which does not take them');

requests();
($status, undef, $err) = try($node, @with_rows, '-U', 'backup');
is($status, 1, 'a role without a mapping does not get them');
like($err, qr/user mapping not found for .*"backup"/, 'as it is told');
is(requests(), 0, 'nor asks');
$api->faults([ { do => { error => 'INTERNAL', details => 'final' } } ]);
($status, undef, $err) = try($node, @with_rows);
is($status, 1, 'a dump fails if a scan does');
like($err, qr/could not fetch "\w+" from foreign server "velt"/, 'and says why');
$api->faults([]);

# ----------
# In another cluster
# ----------

my $elsewhere = start_node(name => 'elsewhere');
write_file("$directory/all.sql", (try($node, 'pg_dumpall'))[1]);
requests();
(undef, undef, $err) = try($elsewhere, qw(psql -Xqd postgres -f all.sql));
like($by_all, qr/E'first-/, 'a dump of all has tokens');
is_deeply(definitions($elsewhere, 'production'),
	definitions($node, 'production'), 'another cluster takes it as well');
is($elsewhere->safe_psql('production', 'SELECT count(*) FROM local.inventory'),
	10, 'and fills views');
is($api->stats('requests.total'), 2, 'with a request in each database');

is_deeply([ $docs->untried ], [qw(publish publish-again subscribe)],
	'of the document, the rest is for 403_replicas');
chdir '/';
done_testing();
