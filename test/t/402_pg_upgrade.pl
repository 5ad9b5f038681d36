
# pg_upgrade, from the PostgreSQL of OLD_PG_CONFIG, or from one of the same
# version, to this one: all is there, works, and costs no request.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Path qw(make_path);
use PostgreSQL::Test::Utils;
use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltObjects;
use VeltTest;

my $new_config = $ENV{PG_CONFIG} // 'pg_config';
my $old_config = $ENV{OLD_PG_CONFIG} // $new_config;
my $from = major($old_config);
my $to = major($new_config);
my $directory = tempdir();
my $api = VeltSimulator->new;

note "PostgreSQL $from to $to";

# The extension is where PostgreSQL has its own.
local $ENV{TEMP_CONFIG} = write_file("$directory/conf", "fsync = off\n");
my $tree = "$FindBin::RealBin/../..";
my $new_bin = installation($new_config, $tree);
my $old_bin =
  $from == $to ? $new_bin : installation($old_config, copy_tree($tree));

sub major
{
	my ($config) = @_;
	my ($version) = run_command([ $config, '--version' ]);

	return $version =~ s/^PostgreSQL ([0-9]+).*/$1/r;
}

# A copy of a PostgreSQL that has the extension installed as any other:
# pg_upgrade to 18 looks for libraries nowhere else.  Programs find the rest
# from where they are.  Returns the directory of those.
sub installation
{
	my ($config, $tree) = @_;
	my $root = "$directory/" . major($config);
	my ($bin, $lib, $share) = map { (run_command([ $config, "--$_" ]))[0] }
	  qw(bindir pkglibdir sharedir);

	make_path("$root$bin", "$root$lib", "$root$share");
	system_or_bail('cp', '-r', glob("$bin/*"), "$root$bin");
	system_or_bail('cp', '-r', glob("$share/*"), "$root$share");
	system_or_bail('cp', (grep { -f } glob("$lib/*")), "$root$lib");
	system_or_bail('make', '-s', '-C', $tree, 'with_llvm=no',
		"PG_CONFIG=$config", "DESTDIR=$root", $_)
	  for qw(all install);
	return "$root$bin";
}

# The sources alone.
sub copy_tree
{
	my ($tree) = @_;

	make_path("$directory/build");
	system_or_bail('cp', '-r', "$tree/Makefile", "$tree/velt_fdw.control",
		"$tree/src", "$directory/build");
	unlink glob("$directory/build/src/*.{o,bc}"),
	  glob("$directory/build/src/*/*.{o,bc}");
	return "$directory/build";
}

# Alike, as pg_upgrade wants them: with checksums, the default from 18 on.
sub make_cluster
{
	my ($name, $bin) = @_;
	my $node =
	  PostgreSQL::Test::Cluster->new($name, install_path => dirname($bin));

	$node->init(extra =>
		  [ '--data-checksums', '--encoding', 'UTF8', '--locale', 'C.UTF-8' ]);
	return $node;
}

sub upgrade
{
	my ($old, $new, @mode) = @_;

	chdir $directory or die "could not change directory: $!";
	my ($out, $err) = run_command(
		[
			"$new_bin/pg_upgrade", '--no-sync',
			'-b' => $old_bin,
			'-B' => $new_bin,
			'-d' => $old->data_dir,
			'-D' => $new->data_dir,
			'-p' => $old->port,
			'-P' => $new->port,
			'-s' => $new->host,
			@mode
		]);
	chdir '/';
	like($out, qr/^Upgrade Complete$/m, "pg_upgrade @mode") or diag "$out\n$err";
	return;
}

# All but what servers of two versions word differently.
sub comparable
{
	my ($definitions) = @_;
	my $queries = qr/^CREATE (?:MATERIALIZED VIEW|VIEW|FUNCTION)/;

	return [ grep { $from == $to || !/$queries/ } @$definitions ];
}

# ----------
# The old one
# ----------

my $old = make_cluster('old', $old_bin);
$old->start;
make_roles($old);
make_objects($old, 'production', $api, "$directory/token");
$old->safe_psql('production', 'ANALYZE velt.api_keys');
my $definitions = definitions($old, 'production');
my $mappings = mappings_seen($old, 'production');
my $filled = $old->safe_psql('production', 'TABLE local.filled');
like($mappings, qr/^velt_owner\|velt\|velt_owner\|hidden$/m,
	'not everybody sees a token');
$old->stop;
requests_of($api);

# ----------
# The new ones
# ----------

# Files that are linked are what matters: copies are for another version only.
for my $mode ($from == $to ? () : [], ['--link'])
{
	my $new = make_cluster(join('', 'new', @$mode), $new_bin);

	upgrade($old, $new, @$mode);
	is(requests_of($api), 0, 'pg_upgrade asks for nothing');
	$new->start;
	is_deeply(comparable(definitions($new, 'production')),
		comparable($definitions), 'nothing is lost');
	is(mappings_seen($new, 'production'), $mappings,
		'nobody sees more of the mappings');
	is($new->safe_psql('production', 'TABLE local.filled'),
		$filled, 'what was filled is as it was');
	is(populated($new, 'production'), "inventory|t\nsummary|t\nunfilled|f",
		'so are views');
	is($new->safe_psql('production',
			'SELECT count(*) FROM local.inventory'), 10, 'that need no refresh');
	is($new->safe_psql('production', q{SELECT count(*) > 0 FROM pg_stats
			WHERE schemaname = 'velt' AND tablename = 'api_keys'}),
		$to < 18 ? 'f' : 't', 'statistics are kept from 18 on');
	is(requests_of($api), 0, 'still nothing is asked');
	works($new, 'production', $api);
	$new->safe_psql('production',
		'REFRESH MATERIALIZED VIEW CONCURRENTLY local.inventory');
	is(requests_of($api), 1, 'a refresh');

	my $session = VeltClient->new($new, dbname => 'production');
	$session->send('ALTER EXTENSION velt_fdw UPDATE');
	is($session->result->{notices}->[0]->{message},
		'version "1.0" of extension "velt_fdw" is already installed',
		'the extension is up to date');
	like($session->value('SELECT extensions.velt_fdw_version()'),
		qr/PostgreSQL $to/, 'it is that of the new version');
	$session->close;
	$new->stop;
}

done_testing();
