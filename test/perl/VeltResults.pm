
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
		runs => $runs, own_s => $own_s, peer_s => $peer_s,
		works => [], protocols => [], load => [ load() ]
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
			first => (VeltBench::figure($rival, 'first'))[0],
			cpu => (VeltBench::figure($rival, 'cpu'))[0] / $rows,
			peak => $rival->{peak} ? $rival->{peak}->() : undef,
			requests => (VeltBench::figure($rival, 'requests'))[0],
			bytes => (VeltBench::figure($rival, 'bytes'))[0]);
		my @ratios = sort { $a <=> $b } VeltBench::ratios($rival, $velt);

		$row{ratio} = [ VeltBench::median(@ratios), @ratios[ 0, -1 ] ];
		if ($rival->{name} eq 'floor and json-c')
		{
			my @cpu =
			  sort { $a <=> $b } VeltBench::ratios($velt, $rival, 'cpu');
			$self->{parse_ratio} = [ VeltBench::median(@cpu), @cpu[ 0, -1 ] ];
		}
		push @{ $self->{works} }, \%row;
		push @lines,
		  sprintf '%-48s %-37s %6s x  %-34s first %-9s cpu/row %8.2f us, %s requests, %s bytes, peak %s, %d runs',
		  $case, $row{name}, ratio($row{ratio}->[0]), spread(@{ $row{wall} }),
		  duration($row{first}), $row{cpu}, number($row{requests}),
		  number($row{bytes}), memory($row{peak}), $row{runs};
	}
	push @{ $self->{load} }, load();
	return @lines;
}

# One request: rivals whose runs have the first query's time and the 100th's.
sub add_protocol
{
	my ($self, $protocol, @rivals) = @_;
	my ($velt) = grep { $_->{name} eq 'velt_fdw' } @rivals;
	my @lines;

	for my $rival (@rivals)
	{
		my %row = (protocol => $protocol, name => $rival->{name},
			runs => scalar @{ $rival->{runs} });

		for my $nth (qw(first later))
		{
			$row{$nth} = [ VeltBench::figure($rival, $nth) ];
			$row{"${nth}_ratio"} =
			  VeltBench::median(VeltBench::ratios($rival, $velt, $nth));
		}
		push @{ $self->{protocols} }, \%row;
		push @lines, sprintf '%-16s %-37s first %6s x %-28s 100th %6s x %s',
		  $protocol, $row{name}, ratio($row{first_ratio}),
		  spread(@{ $row{first} }), ratio($row{later_ratio}),
		  spread(@{ $row{later} });
	}
	return @lines;
}

sub memory
{
	my ($kb) = @_;
	return defined $kb ? number($kb) . ' kB' : '–';
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
		  $self->protocols_text;
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
	my ($kb) = slurp_file('/proc/meminfo') =~ /^MemTotal:\s+(\d+)/m;
	my @load = sort { $a <=> $b } @{ $self->{load} };
	my $versions = join ', ',
	  $node->safe_psql('postgres', 'SELECT velt_fdw_version()'),
	  'server ' . $node->safe_psql('postgres', 'SHOW server_version'),
	  $node->safe_psql('postgres', 'SELECT peer_version()'),
	  map { version($_) } 'nginx -v', 'curl --version | cut -d" " -f1,2',
	  'jq --version', 'uname -sr | cut -d. -f1,2';

	return "# Benchmarks\n\n"
	  . 'Made by `test/run bench` on ' . strftime('%Y-%m-%d', gmtime)
	  . ", all in one run on one machine.\n\n"
	  . '- Machine: ' . ($cpu // 'a processor without a name')
	  . sprintf(', %d processors, %.0f GB', $processors, $kb / 1e6)
	  . "; load $load[0] to $load[-1] while it ran.\n- Versions: $versions.\n"
	  . $self->method_text . rivals_text()
	  . "![Wall times relative to velt_fdw, and growth with rows](results.svg)\n";
}

sub method_text
{
	my ($self) = @_;
	my $bounds = $self->bounds;

	return <<"TEXT";
- Server: the tests' simulator of the API, one Python process on loopback, which waits as long as a work says and then answers from memory. At 0 ms what it takes itself, some 40 to 70 µs a request, is a part of every time. Where a heading says so, it is nginx instead, from its cache.
- Figures: the median of $self->{runs} runs$bounds, with the least and the most behind it. All rivals of a work run in turn, there and back again; ratios are medians of those of one round. Before, each has run once untimed: none connects or loads libraries while it is timed, and all have returned the same rows, compared by a digest of all values. Each timed run has to return as many rows.
- CPU: user and system time of the backend, its threads included, or of the floor; of the script that of all programs it starts, without the backend that copies.
- Memory: the most that was resident (VmHWM) until the end of a work, of the backend, what it shares with others included, or of the floor; of the script's many processes there is none. PostgreSQL's settings are its defaults.

TEXT
}

# What cuts the runs short, if anything does.
sub bounds
{
	my ($self) = @_;
	my @bounds;

	push @bounds, "nobody began a run after $self->{own_s} s of a work"
	  if $self->{own_s} < 9**9;
	push @bounds, "no peer began a run after $self->{peer_s} s of a work"
	  if $self->{peer_s} < 9**9;
	return '' unless @bounds;
	return ', or as many as a table says (' . join(', ', @bounds) . ')';
}

sub rivals_text
{
	return <<'TEXT';
| by | does |
|---|---|
| floor | the least possible: a bare libcurl program that sends the same requests, as many at once, over kept connections, and looks for nothing in the answers but what the next requests need |
| plpython3u, kept connections, threads | functions in PL/Python: http.client, a pool of threads and their connections kept by the session; asks for several keys, or several workspaces, side by side, and in filters of 30 keys |
| plpython3u, urllib | the same functions over urllib, a connection each request; joins local rows one by one (LATERAL), unites one by one, and has its LIMIT behind a function in FROM |
| curl, jq and \copy | a shell script that loads a table: a curl for each page, as one leads to the next, and one `curl --parallel` for all other requests |

TEXT
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
	union => 'Several workspaces',
	growth => 'From 1,000 to 1,000,000 keys, 0 ms, answered by nginx from its cache');

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
			  . "| work | by | time, velt_fdw = 1 | wall time | first row | CPU per row | "
			  . "requests | bytes | peak memory | runs |\n"
			  . "|---|---|---|---|---|---|---|---|---|---|\n";
		}
		$text .= sprintf
		  "| %s | %s | %s (%s–%s) | %s | %s | %.2f µs | %s | %s | %s | %d |\n",
		  $row->{case}, $row->{name}, (map { ratio($_) } @{ $row->{ratio} }),
		  spread(@{ $row->{wall} }), duration($row->{first}), $row->{cpu},
		  number($row->{requests}), number($row->{bytes}),
		  memory($row->{peak}), $row->{runs};
	}
	return $text
	  . "\nOf growth, requests and bytes are those that the simulator has "
	  . "counted in a run of its own.\n"
	  . sprintf "\nThe CPU time of a backend that scans 100,000 keys at 0 ms is "
	  . "%s (%s–%s) of that of the floor with json-c's own parsing of the same "
	  . "bytes.\n",
	  map { ratio($_) } @{ $self->{parse_ratio} };
}

sub protocols_text
{
	my ($self) = @_;
	my $text = "\n## One request: a session's first query, and its 100th, "
	  . "answered by nginx from its cache\n"
	  . "| over | by | first, velt_fdw = 1 | first | 100th, velt_fdw = 1 | "
	  . "100th | runs |\n|---|---|---|---|---|---|---|\n";

	for my $row (@{ $self->{protocols} })
	{
		$text .= sprintf "| %s | %s | %s | %s | %s | %s | %d |\n",
		  $row->{protocol}, $row->{name}, ratio($row->{first_ratio}),
		  spread(@{ $row->{first} }), ratio($row->{later_ratio}),
		  spread(@{ $row->{later} }), $row->{runs};
	}
	return $text . "\nThe floor's first is a new process's, with all that it "
	  . "takes to get ready.\n";
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
		if ($row->{work} eq 'growth')
		{
			$growth{ $row->{rows} }->{ $row->{name} } = $row->{wall}->[0] / 1e6;
			next;
		}
		push @cases, $row->{case} unless grep { $_ eq $row->{case} } @cases;
		$ratios{ $row->{case} }->{ $row->{name} } = $row->{ratio}->[0];
	}
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
