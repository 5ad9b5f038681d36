# indent.pl --check | --apply: PostgreSQL's format of C sources, as pgindent
# has it.
#
# Run at the tree's top, with $CC and $CPPFLAGS as the extension is compiled.
# --check prints what is different, --apply changes it.  What is done before
# and after pg_bsd_indent is pgindent's, which not every Debian has.

use strict;
use warnings;

use File::Find;
use File::Temp;

my @options = qw(-bad -bap -bbb -bc -bl -cli1 -cp33 -cdb -nce -d0 -di12 -nfc1
  -i4 -l79 -lp -lpl -nip -npro -sac -tpg -ts4);

my @includes = qw(-Isrc -Itest/unit -Itest/fuzz);

# A comment that begins so is left as it is.
my $dashes = '---X_X';

my $apply = ($ARGV[0] // '') eq '--apply';
my $scratch = File::Temp->newdir;
my $indent = find_indent();
my @files;
my $ndifferent = 0;

find({ no_chdir => 1, wanted => sub { push @files, $_ if /\.[ch]$/ } },
	'src', 'test');
@files = sort @files;
spill("$scratch/typedefs", map { "$_\n" } typedefs());

foreach my $file (@files)
{
	my $source = slurp($file);
	my $result = indented($file, $source);

	next if defined $result && $result eq $source;
	$ndifferent++;
	next if !defined $result;
	if ($apply)
	{
		spill($file, $result);
		print "$file\n";
	}
	else
	{
		show_difference($file, $result);
	}
}
exit($ndifferent > 0 && !$apply);

# PostgreSQL has it from 16 on; before, it may have a package of its own.
sub find_indent
{
	foreach my $candidate (map({ "$_/pg_bsd_indent" } split(/:/, $ENV{PATH})),
		reverse sort glob('/usr/lib/postgresql/*/bin/pg_bsd_indent'))
	{
		return $candidate if -x $candidate;
	}
	die "there is no pg_bsd_indent: install postgresql-server-dev-17 or later,"
	  . " or in Debian 12 pg-bsd-indent\n";
}

# Those that the sources use, as the compiler says, but those that are also
# what something else is called: "text *" would be a declaration everywhere.
sub typedefs
{
	my (%types, %others, $tag);

	compile();
	open my $dump, '-|', "objdump -Wi $scratch/*.o" or die "objdump: $!";
	while (<$dump>)
	{
		if (/\(DW_TAG_(\w+)\)/)
		{
			$tag = $1;
		}
		elsif (/DW_AT_name +: (?:\(.*?\): )?(\S+)/)
		{
			my $name = $1;

			$types{$name} = 1 if $tag eq 'typedef';
			$others{$name} = 1
			  if $tag =~ /^(?:variable|formal_parameter|member)$/;
		}
	}
	close $dump or die "objdump failed\n";
	die "no debugging information tells of a typedef\n" if !$types{VeltError};
	return ('bool', grep { !$others{$_} } sort keys %types);
}

# Each to an object of its own, in as many processes as there are processors.
sub compile
{
	my $command = "$ENV{CC} -g -O0 -w -c $ENV{CPPFLAGS} @includes";
	my $n = 0;

	open my $pipe, '|-', 'xargs -P "$(nproc)" -I{} sh -c {}' or die "xargs: $!";
	print $pipe "$command -o $scratch/", $n++, ".o $_\n"
	  foreach grep { /\.c$/ } @files;
	close $pipe or die "could not compile\n";
}

# undef, and a message, if it is beyond pg_bsd_indent
sub indented
{
	my ($file, $source) = @_;

	$source =~ s!^([ \t]*)//(.*)$!$1/* $2 */!gm;
	$source =~ s!/\* +---!/*$dashes!g;

	# It leaves a copy in the current directory.
	spill("$scratch/source.c", $source);
	my $said = qx(cd $scratch && $indent @options -Utypedefs source.c 2>&1);
	if ($? || $said)
	{
		foreach (split /\n/, $said || 'pg_bsd_indent fails')
		{
			# "Error@17: Unbalanced parens"
			my $line = s/^(\w+)\@(\d+)/$1/ ? ":$2" : '';
			print "$file$line: $_\n";
		}
		return;
	}

	$source = slurp("$scratch/source.c");
	$source =~ s!/\*$dashes!/* ---!g;
	$source =~ s!\*/(/\*.*\*/)$!*/\t$1!gm;
	# a function's result that is a pointer
	$source =~ s!^([A-Za-z_]\S*)[ \t]+\*$!$1 *!gm;
	return $source;
}

sub show_difference
{
	my ($file, $result) = @_;

	spill("$scratch/result", $result);
	foreach (qx(diff -U0 $file $scratch/result))
	{
		next if /^(?:---|\+\+\+) /;
		print s/^\@\@ -(\d+).*/$file:$1/r;
	}
}

sub slurp
{
	my ($file) = @_;

	open my $in, '<', $file or die "$file: $!";
	local $/;
	return <$in>;
}

sub spill
{
	my ($file, @text) = @_;

	open my $out, '>', $file or die "$file: $!";
	print $out @text;
	close $out or die "$file: $!";
}
