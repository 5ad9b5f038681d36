
# On a machine that lacks something, make and test/run name the package.  A
# file that exists and does not work counts as missing.

use strict;
use warnings;

use File::Path qw(make_path);
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir();
my $real = $ENV{PG_CONFIG} || 'pg_config';
my ($major) = `$real --version` =~ /^PostgreSQL (\d+)/
  or die 'pg_config has no version';
delete @ENV{ 'MAKEFLAGS', 'MAKELEVEL' };
my $server_dev = "postgresql-server-dev-$major";

# An executable file.
sub script
{
	my ($name, $text) = @_;

	append_to_file("$dir/$name", "#!/bin/sh\n$text\n");
	chmod 0755, "$dir/$name";
	return "$dir/$name";
}

# A pg_config that differs from the real one in some of what it says.
sub pg_config
{
	my ($name, %says) = @_;

	return script($name, join "\n", 'case $1 in',
		(map { "--$_) echo $says{$_} ;;" } keys %says),
		"*) exec $real \"\$@\" ;;", 'esac');
}

# The command fails, and its output matches.
sub refuses
{
	my ($command, $pattern, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $said = '';
	my $succeeded = IPC::Run::run($command, '<', \undef, '>&', \$said);

	ok(!$succeeded, "$name: fails");
	like($said, $pattern, "$name: says why");
	return;
}

# ----------
# make
# ----------

my $headless = pg_config('headless', 'includedir-server' => "$dir/none");
my $client = pg_config('client', pgxs => "$dir/none/pgxs.mk");

refuses([ 'make', '-n', "PG_CONFIG=$dir/none" ],
	qr/install postgresql-server-dev-NN/, 'no pg_config');
refuses([ 'make', '-n', "PG_CONFIG=$client" ],
	qr{lacks \Q$dir\E/none/pgxs\.mk: install $server_dev,}, 'no PGXS');
refuses([ 'make', '-n', "PG_CONFIG=$headless" ],
	qr{lacks \Q$dir\E/none/postgres\.h: install $server_dev,},
	'no server headers');
refuses([ 'make', '-n', 'PKG_CONFIG=false' ],
	qr/install libcurl4-openssl-dev, libjson-c-dev, zlib1g-dev and pkgconf/,
	'no libraries');
command_ok([ 'make', '-n', $_, "PG_CONFIG=$headless", 'PKG_CONFIG=false' ],
	"make $_ needs no headers")
  for qw(clean installcheck uninstall);
command_ok([ 'make', '-n', 'dist', "PG_CONFIG=$dir/none" ],
	'make dist needs no PostgreSQL');

# ----------
# test/run
# ----------

# For a PostgreSQL from elsewhere than Debian, no package can be installed.
my $bindir = "$dir/bin";
make_path($bindir);
script('bin/postgres', ': extension_destdir');

# Headers that need one that is absent, where PGXS has them and where Debian's.
my $broken = "$dir/postgresql";
for ("$broken/server", "$broken/$major/server")
{
	make_path($_);
	append_to_file("$_/postgres.h", "#include \"absent.h\"\n");
}

for (
	[ 'server', qr/has no server, as \Q$dir\E\/none\/postgres would be/,
		bindir => "$dir/none" ],
	[ 'rules', qr/has no rules to build extensions/,
		pgxs => "$dir/none/pgxs.mk" ],
	[ 'headers', qr/has no server headers in \Q$dir\E\/none/,
		'includedir-server' => "$dir/none" ],
	[ 'whole headers', qr/cannot be built for: .*absent\.h/,
		pkgincludedir => $broken,
		'includedir-server' => "$broken/server" ],
	[ 'recent version', qr/is older than 15/,
		version => 'PostgreSQL 14.1' ])
{
	my ($what, $pattern, %says) = @$_;
	my $chosen = pg_config("without $what" =~ s/ /_/gr,
		bindir => $bindir, %says);

	local $ENV{PG_CONFIG} = $chosen;
	refuses([ 'test/run', 'demo' ],
		qr/PG_CONFIG=\Q$chosen\E cannot be used: PostgreSQL \d+ .*$pattern/,
		"PG_CONFIG of a PostgreSQL without $what");
}

{
	local $ENV{PYTHON} = script('python3', 'echo it is too old; false');
	refuses([ 'test/run', 'demo' ],
		qr/PYTHON=\Q$dir\E\/python3 cannot be used: it is too old/,
		'PYTHON that does not work');
}

# Calls a function of test/run and returns what it sets.
sub finds
{
	my ($function, $variable) = @_;
	my $said = '';

	IPC::Run::run(
		[ 'bash', '-euc', "root=. lib=test/lib
			source test/lib/common.sh
			source test/lib/packages.sh
			$function
			echo \"\${$variable}\"" ], '>', \$said);
	chomp $said;
	return $said;
}

{
	local $ENV{PATH} = "$dir:$ENV{PATH}";
	delete local $ENV{PYTHON};
	is(finds('find_python', 'PYTHON'), '/usr/bin/python3',
		'a python3 that does not work is passed over, first in the path');
}

# pkg-config knows the libraries, but their files do not exist.
{
	my $pkg_config = script('pkg-config', 'echo -lno_such_library');
	local $ENV{PATH} = "$dir:$ENV{PATH}";
	delete local $ENV{PYTHON};

	is(finds('need_build', 'missing[*]'),
		'libcurl4-openssl-dev libjson-c-dev zlib1g-dev',
		'what does not link is missing, whatever pkg-config says');
}

done_testing();
