
=pod

=head1 NAME

VeltResults - what the benchmarks measured, as lines, a page and a plot

=head1 SYNOPSIS

  use VeltResults;

  my $results = VeltResults->new($runs, $own_s, $peer_s);
  print "$_\n" for $results->add('keys', 'what was done', $rows, @rivals);
  $results->write($directory, $node, $directory_of_the_benchmarks);

Of several runs it shows the median, and the least and the most behind it;
ratios are those of runs next to each other.

=cut

package VeltResults;

use strict;
use warnings;

use POSIX qw(strftime);
use PostgreSQL::Test::Utils;
use VeltBench;

sub new
{
	my ($class, $runs, $own_s, $peer_s) = @_;
	return bless {
		runs => $runs, own_s => $own_s, peer_s => $peer_s, works => [], protocols => [], growth => [],
		load => [ load() ]
	}, $class;
}

sub load { return (split ' ', slurp_file('/proc/loadavg'))[0]; }

# Microseconds, in a unit that suits them.
sub duration
{
	my ($us) = @_;
	return sprintf '%.2f s', $us / 1e6 if $us >= 1e6;
	return sprintf '%.1f ms', $us / 1e3 if $us >= 1e3;
	return sprintf '%.0f µs', $us;
}

sub spread
{
	my ($median, $least, $most) = @_;
	return sprintf '%s (%s–%s)', map { duration($_) } $median, $least, $most;
}

sub number
{
	my ($n) = @_;
	$n = sprintf '%.0f', $n;
	1 while $n =~ s/^(\d+)(\d{3})/$1,$2/;
	return $n;
}

# Two significant digits at least.
sub ratio
{
	my ($x) = @_;
	return sprintf $x >= 100 ? '%.0f' : $x >= 10 ? '%.1f' : '%.2f', $x;
}

# ----------
# Works
# ----------

# A row for each rival, whose time is compared with velt_fdw's.
sub add
{
	my ($self, $work, $case, $rows, @rivals) = @_;
	my ($velt) = grep { $_->{name} eq 'velt_fdw' } @rivals;
	my @lines;

	for my $rival (@rivals)
	{
		my %row = (
			work => $work, case => $case, rows => $rows,
			name => $rival->{name}, runs => scalar @{ $rival->{runs} },
			wall => [ VeltBench::figure($rival, 'wall') ],
			cpu => (VeltBench::figure($rival, 'cpu'))[0] / $rows,
			requests => (VeltBench::figure($rival, 'requests'))[0],
			bytes => (VeltBench::figure($rival, 'bytes'))[0]);
		my @ratios = sort { $a <=> $b } VeltBench::ratios($rival, $velt);

		$row{ratio} = [ VeltBench::median(@ratios), @ratios[ 0, -1 ] ];
		if ($rival->{name} eq 'floor and json-c')
		{
			my @cpu = VeltBench::ratios($rival, $velt, 'cpu');
			$self->{parse_ratio} = 1 / VeltBench::median(@cpu);
		}
		push @{ $self->{works} }, \%row;
		push @lines,
		  sprintf '%-48s %-36s %6s x  %-34s cpu/row %7.2f us, %s requests, %s bytes, %d runs',
		  $case, $row{name}, ratio($row{ratio}->[0]), spread(@{ $row{wall} }),
		  $row{cpu}, number($row{requests}), number($row{bytes}), $row{runs};
	}
	push @{ $self->{load} }, load();
	return @lines;
}

# ----------
# Protocols, growth
# ----------

# times: by name a list of pairs, of the first query's and the 100th's
sub add_protocol
{
	my ($self, $protocol, $times) = @_;
	my @lines;

	for my $name (sort keys %$times)
	{
		my %row = (protocol => $protocol, name => $name);
		for my $i (0, 1)
		{
			my @values = sort { $a <=> $b } map { $_->[$i] } @{ $times->{$name} };
			$row{ (qw(first later))[$i] } =
			  [ VeltBench::median(@values), @values[ 0, -1 ] ];
		}
		push @{ $self->{protocols} }, \%row;
		push @lines, sprintf '%-16s %-10s first %-34s 100th %s', $protocol, $name,
		  spread(@{ $row{first} }), spread(@{ $row{later} });
	}
	return @lines;
}

sub add_growth
{
	my ($self, $name, $rows, @figures) = @_;
	my $rival = { runs => \@figures };
	my %row = (name => $name, rows => $rows, runs => scalar @figures,
		wall => [ VeltBench::figure($rival, 'wall') ],
		cpu => (VeltBench::figure($rival, 'cpu'))[0] / $rows);

	if (defined $figures[0]->{peak})
	{
		$row{peak} = (VeltBench::figure($rival, 'peak'))[0];
		$row{first} = (VeltBench::figure($rival, 'first'))[0];
	}
	push @{ $self->{growth} }, \%row;
	return sprintf '%9s rows, %-36s %-34s cpu/row %6.2f us%s', number($rows), $name,
	  spread(@{ $row{wall} }), $row{cpu},
	  $row{peak} ? sprintf(', first row %s, peak %s kB', duration($row{first}),
		number($row{peak})) : '';
}

# ----------
# The page
# ----------

sub write
{
	my ($self, $directory, $node, $sources) = @_;

	push @{ $self->{load} }, load();
	open(my $page, '>:utf8', "$directory/results.md") or die $!;
	local $self->{page} = $page;
	{
		no utf8;
		my $text = join '', $self->head($node), $self->works_text,
		  $self->protocols_text, $self->growth_text;
		utf8::decode($text);
		print $page $text;
	}
	close $page or die $!;
	$self->plot($directory, $sources);
	return;
}

sub head
{
	my ($self, $node) = @_;
	my ($cpu) = slurp_file('/proc/cpuinfo') =~ /^model name\s*: (.*)$/m;
	my $processors = () = slurp_file('/proc/cpuinfo') =~ /^processor/mg;
	my @load = sort { $a <=> $b } @{ $self->{load} };
	my $versions = join ', ',
	  $node->safe_psql('postgres', 'SELECT velt_fdw_version()'),
	  map { version($_) } 'python3 --version', 'nginx -v', 'jq --version',
	  'uname -sr | cut -d. -f1,2';

	return "# Benchmarks\n\n"
	  . 'Made by `test/run bench` on ' . strftime('%Y-%m-%d', gmtime)
	  . ", all in one run, against the simulator of the tests on loopback.\n\n"
	  . "- Machine: $cpu, $processors processors; load " . $load[0] . ' to '
	  . $load[-1] . " while it ran.\n- Versions: $versions.\n"
	  . "- Figures: the median of $self->{runs} runs, or as many as a table "
	  . 'says, with the least and the most behind it: of what is slow no run began '
	  . "after $self->{own_s} s of a work, of a peer after $self->{peer_s} s. "
	  . "All rivals of a work run in turn; ratios are those of neighbours.\n\n"
	  . "![Wall times relative to velt_fdw, and growth with rows](results.svg)\n\n";
}

sub version
{
	my ($command) = @_;
	my ($line) = split /\n/, qx{$command 2>&1};
	$line =~ s/^nginx version: //;
	return $line;
}

# The first word of a work's heading is its own.
my %headings = (
	keys => 'All keys',
	tokens => 'All tokens',
	lookup => 'Local rows joined',
	limit => 'A few rows',
	join => 'Keys joined with their tokens',
	union => 'Several workspaces');

sub works_text
{
	my ($self) = @_;
	my ($text, $work) = ('', '');

	for my $row (@{ $self->{works} })
	{
		if ($row->{work} ne $work)
		{
			$work = $row->{work};
			$text .= "\n## $headings{$work}\n"
			  . "| work | by | time, velt_fdw = 1 | wall time | CPU per row | "
			  . "requests | bytes | runs |\n|---|---|---|---|---|---|---|---|\n";
		}
		$text .= sprintf "| %s | %s | %s (%s–%s) | %s | %.2f µs | %s | %s | %d |\n",
		  $row->{case}, $row->{name}, (map { ratio($_) } @{ $row->{ratio} }),
		  spread(@{ $row->{wall} }), $row->{cpu}, number($row->{requests}),
		  number($row->{bytes}), $row->{runs};
	}
	return $text
	  . sprintf "\nThe CPU time of a backend that scans 100,000 keys is %s of that "
	  . "of the floor with json-c's own parsing of the same bytes.\n",
	  ratio($self->{parse_ratio});
}

sub protocols_text
{
	my ($self) = @_;
	my $text = "\n## One request: a session's first query, and its 100th\n"
	  . "| over | by | first | 100th |\n|---|---|---|---|\n";

	for my $row (@{ $self->{protocols} })
	{
		$text .= sprintf "| %s | %s | %s | %s |\n", $row->{protocol},
		  $row->{name}, spread(@{ $row->{first} }), spread(@{ $row->{later} });
	}
	return $text;
}

sub growth_text
{
	my ($self) = @_;
	my $text = "\n## From 1,000 to 1,000,000 keys, 0 ms\n"
	  . "| keys | by | wall time | CPU per row | first row | peak memory | runs |\n"
	  . "|---|---|---|---|---|---|---|\n";

	for my $row (@{ $self->{growth} })
	{
		$text .= sprintf "| %s | %s | %s | %.2f µs | %s | %s | %d |\n",
		  number($row->{rows}), $row->{name}, spread(@{ $row->{wall} }),
		  $row->{cpu}, $row->{first} ? duration($row->{first}) : '',
		  $row->{peak} ? number($row->{peak}) . ' kB' : '', $row->{runs};
	}
	return $text . "\nEach in a new session, over the first connection; peak "
	  . "memory is VmHWM of the backend, what it shares with others included.\n";
}

# ----------
# The plot
# ----------

my @who = ('floor', 'velt_fdw', 'plpython3u, kept connections, threads',
	'plpython3u, urllib', 'curl, jq and \copy');

sub plot
{
	my ($self, $directory, $sources) = @_;
	my $data = "$PostgreSQL::Test::Utils::tmp_check/results";
	my (%ratios, @cases, %growth);

	for my $row (@{ $self->{works} })
	{
		push @cases, $row->{case} unless grep { $_ eq $row->{case} } @cases;
		$ratios{ $row->{case} }->{ $row->{name} } = $row->{ratio}->[0];
	}
	$growth{ $_->{rows} }->{ $_->{name} } = $_->{wall}->[0] / 1e6
	  for @{ $self->{growth} };
	table("$data.works", \%ratios, @cases);
	table("$data.growth", \%growth, sort { $a <=> $b } keys %growth);
	system_or_bail('gnuplot', '-e', "data='$data'; out='$directory/results.svg'",
		"$sources/results.gnuplot");
	return;
}

# Tab-separated, NaN for what was not measured.
sub table
{
	my ($path, $values, @lines) = @_;

	open(my $file, '>', $path) or die $!;
	# gnuplot takes a backslash for the first of two characters
	print $file join("\t", 'case', map { s/\\/\\\\/r } @who), "\n";
	for my $line (@lines)
	{
		print $file join("\t", $line,
			map { $values->{$line}->{$_} // 'NaN' } @who), "\n";
	}
	close $file or die $!;
	return;
}

1;
