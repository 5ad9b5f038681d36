# names.pl FILE...: the public names that the tables of the documentation have,
# and those that there are.
#
# Prints each that is missing on either side.  Run at the tree's top; of a
# table the first column has the names, and its head tells what they are of.

use strict;
use warnings;

# What a table's head says -> { name => where it is in the sources }
my %there;
# ... => { name => where it is documented }
my %documented;
my %heads;
# A function -> where it is in the sources, and the columns of its result
my %results;
# ... -> its row in the documentation
my %rows;

read_options();
read_scripts();
read_resources();
note('setting', 'src/velt_fdw.c', qr/DefineCustom\w+Variable\("([^"]+)"/);
note('import option', 'src/commands/import.c',
	qr/strcmp\(def->defname, "([^"]+)"\)/);
note('line', 'src/commands/explain.c', qr/"(Velt [A-Z][A-Za-z ]+)"/);
note('wait event', 'src/pg_compat.h', qr/"(Velt[A-Z][a-z]+)"/);
note('endpoint', 'src/client/resource.c', qr/\.path = "([^"]+)"/);
read_tables($_) foreach @ARGV;

foreach my $kind (sort keys %there)
{
	print "no table has the head \"$kind\"\n" if !$heads{$kind};
	compare($kind);
}
compare_results();

sub compare
{
	my ($kind) = @_;
	my ($there, $documented) = ($there{$kind}, $documented{$kind} // {});

	print "$there->{$_}: no table has the $kind \"$_\"\n"
	  foreach grep { !$documented->{$_} } sort keys %$there;
	print "$documented->{$_}: there is no $kind \"$_\"\n"
	  foreach grep { !$there->{$_} } sort keys %$documented;
	return;
}

sub compare_results
{
	foreach my $function (sort keys %results)
	{
		my ($where, @columns) = @{ $results{$function} };
		my $row = $rows{$function} // '';

		print "$where: the table has no column \"$_\" of $function\n"
		  foreach grep { $row !~ /`[^`]*\b$_\b[^`]*`/ } @columns;
	}
	return;
}

# ----------
# The sources
# ----------

# note KIND FILE PATTERN: what the pattern matches is a name
sub note
{
	my ($kind, $file, $pattern) = @_;
	my $text = slurp($file);

	while ($text =~ /$pattern/g)
	{
		$there{$kind}->{$1} //= where($file, $text, $-[1]);
	}
	die "$file has no $kind\n" if !$there{$kind};
	return;
}

sub read_options
{
	my %kinds = (
		SERVER => 'server option',
		USER_MAPPING => 'user mapping option',
		TABLE => 'table option',
		COLUMN => 'column option');

	note($kinds{$_}, 'src/foreign/option.c', qr/\{\s*"(\w+)", $_,/)
	  foreach sort keys %kinds;
	return;
}

# What the extension's latest scripts create.  Of a function, what it takes is
# as much of its name as it is for PostgreSQL.
sub read_scripts
{
	foreach my $file (glob 'src/velt_fdw--*.sql')
	{
		my $text = slurp($file);

		while ($text =~ /^CREATE (?:OR REPLACE )?(FUNCTION|VIEW) (\w+)(\([^)]*\))?/gm)
		{
			my ($kind, $name, $arguments) = (lc $1, $2, $3);

			my $where = where($file, $text, $-[2]);

			if ($kind eq 'function')
			{
				my @taken = grep { !/^\s*OUT / } split /,/, $arguments =~ s/[()]//gr;

				$name .= '(' . join(',', @taken) . ')';
				$name =~ s/\s+/ /g;
				$results{$name} = [ $where, $arguments =~ /\bOUT (\w+)/g ];
			}
			$there{$kind}->{$name} //= $where;
		}
	}
	return;
}

# The columns of each table that IMPORT FOREIGN SCHEMA makes
sub read_resources
{
	my $file = 'src/client/resource.c';
	my $text = slurp($file);

	while ($text =~ /^static const VeltColumn (\w+)_columns\[\] = \{(.*?)^\};/gms)
	{
		my ($resource, $columns, $start) = ($1, $2, $-[2]);

		while ($columns =~ /\{\s*"(\w+)"/g)
		{
			$there{$resource}->{$1} = where($file, $text, $start + $-[1]);
		}
	}
	die "$file has no columns\n" if !$there{workspaces};
	return;
}

# ----------
# The documentation
# ----------

# Of EXPLAIN's lines only those that are ours are named so.
sub read_tables
{
	my ($file) = @_;
	my ($head, $number);
	my $before = '';

	open my $in, '<', $file or die "$file: $!";
	while (my $line = <$in>)
	{
		my ($cell) = $line =~ /^\| ([^|]*?) *\|/;

		if ($line =~ /^\|---/)
		{
			($head) = $before =~ /^\| `?([^|`]*?)`? *\|/;
			$heads{$head // ''} = 1;
		}
		elsif (defined $cell && defined $head)
		{
			foreach ($cell =~ /`([^`]+)`/g)
			{
				next if $head eq 'line' && !/^Velt /;
				$documented{$head}->{$_} //= "$file:$.";
				$rows{$_} = $line if $head eq 'function';
			}
		}
		$head = undef if $line !~ /^\|/;
		$before = $line;
	}
	close $in;
	return;
}

sub where
{
	my ($file, $text, $offset) = @_;

	return "$file:" . (1 + (substr($text, 0, $offset) =~ tr/\n//));
}

sub slurp
{
	my ($file) = @_;

	open my $in, '<', $file or die "$file: $!";
	local $/;
	return <$in>;
}
