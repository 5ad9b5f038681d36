
# ALTER EXTENSION ... UPDATE: from every version that leads to this one, to
# exactly what CREATE EXTENSION makes, below tables in use.  As there are no
# older versions yet, test/upgrade has one that is made up.

use strict;
use warnings;

use File::Copy qw(copy);
use File::Path qw(make_path);
use PostgreSQL::Test::Utils;
use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltTest;

my $api = VeltSimulator->new;
my $node = start_node();
my $admin = VeltClient->new($node);

# What the server has, and the older version, in a place of their own: the
# other tests' is left alone.
sub offer_older_version
{
	my ($sharedir) = run_command([ 'pg_config', '--sharedir' ]);
	my ($libdir) = run_command([ 'pg_config', '--pkglibdir' ]);
	my ($option, $setting) = @{
		($admin->query("SELECT name, setting FROM pg_settings WHERE name
			IN ('extension_destdir', 'extension_control_path')"))[0]
	};
	my $path = tempdir();
	my ($from, $to) = ("$setting$sharedir", "$path$sharedir");

	if ($option eq 'extension_control_path')
	{
		($from, $to) = ($setting =~ s/:\$system$//r, $path);
	}
	else
	{
		make_path("$path$libdir");
		copy("$setting$libdir/velt_fdw.so", "$path$libdir")
		  or die "could not copy the library: $!";
	}
	make_path("$to/extension");
	for my $file (glob("$from/extension/velt_fdw*"),
		glob("$FindBin::RealBin/../upgrade/*.sql"))
	{
		copy($file, "$to/extension") or die "could not copy $file: $!";
	}
	$path .= ':$system' if $option eq 'extension_control_path';
	$admin->query("ALTER SYSTEM SET $option = '$path'");
	$admin->query('SELECT pg_reload_conf()');
	poll_until('the new setting',
		sub { $admin->value("SHOW $option") eq $path });
	return;
}

# All that there is to say of the extension's objects.
sub objects
{
	my ($session) = @_;

	return map { join ' | ', map { $_ // 'null' } @$_ } $session->query(q{
		SELECT pg_describe_object(classid, objid, objsubid) AS object,
		       CASE classid WHEN 'pg_proc'::regclass
		            THEN pg_get_functiondef(objid) END,
		       w.fdwhandler::regproc, w.fdwvalidator::regproc, w.fdwoptions,
		       coalesce(w.fdwacl, p.proacl),
		       obj_description(objid, classid::regclass::name)
		  FROM pg_depend d
		  LEFT JOIN pg_proc p
		         ON classid = 'pg_proc'::regclass AND p.oid = objid
		  LEFT JOIN pg_foreign_data_wrapper w
		         ON classid = 'pg_foreign_data_wrapper'::regclass
		            AND w.oid = objid
		 WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
		       AND refobjid = (SELECT oid FROM pg_extension
		                        WHERE extname = 'velt_fdw')
		 ORDER BY object});
}

my @wanted = objects($admin);
cmp_ok(scalar @wanted, '>=', 8, 'the extension has objects');
is(scalar(grep { /\| null$/ } @wanted), 0, 'each with a comment');

offer_older_version();
my ($default) = slurp_file("$FindBin::RealBin/../../velt_fdw.control") =~
  /^default_version = '(.*)'$/m;
# pg_available_extension_versions would do, but for extension_destdir, which
# it knows nothing of.
my @paths = $admin->query("SELECT source, path
	FROM pg_extension_update_paths('velt_fdw')
	WHERE target = '$default' AND path IS NOT NULL ORDER BY source");
is_deeply(
	[ map { $_->[0] } @paths ],
	['0.9'],
	'older versions that lead to this one: a new one is to be listed here');

for my $path (@paths)
{
	my ($version, $steps) = @$path;
	my $database = 'from_' . $version =~ tr/./_/r;

	$admin->query("CREATE DATABASE $database TEMPLATE template0");
	my $session = VeltClient->new($node, dbname => $database);
	$session->query("CREATE EXTENSION velt_fdw VERSION '$version'");
	isnt(join("\n", objects($session)),
		join("\n", @wanted), "$version is another version");
	add_server($session, 'velt', options => { api_url => $api->url });
	$session->query('CREATE VIEW keys AS SELECT id FROM velt.api_keys');
	$session->query('PREPARE keys AS SELECT count(*) FROM keys');
	is($session->value('EXECUTE keys'), 25, "$version: its tables can be used");

	$session->query('ALTER EXTENSION velt_fdw UPDATE');
	is( $session->value("SELECT extversion FROM pg_extension
			WHERE extname = 'velt_fdw'"),
		$default,
		"$steps");
	is_deeply([ objects($session) ],
		\@wanted, 'the objects are what CREATE EXTENSION makes');
	is($session->value('EXECUTE keys'),
		25, 'tables made before it are as they were, in the session');
	is($session->value("SELECT bool_and(ok) FROM velt_fdw_check('velt')"),
		't', 'new functions work');
	$session->close;
	$session = VeltClient->new($node, dbname => $database);
	is($session->value('SELECT count(*) FROM velt.auth_tokens'),
		50, 'and in a new one');
	$session->close;
}

# What a report of a fault begins with: the versions of all parts.
my ($server) = $admin->value('SHOW server_version') =~ /^([0-9a-z.]+)/;
like(
	$admin->value('SELECT velt_fdw_version()'),
	qr{^velt_fdw \Q$default\E, libcurl/[0-9.]+ .*, json-c [0-9.]+, built against PostgreSQL \Q$server\E},
	'the library is of the version that its objects are of');

fails_with($admin, "ALTER EXTENSION velt_fdw UPDATE TO '0.9'",
	'22023', 'there is no way back');

$admin->close;
done_testing();
