
=pod

=head1 NAME

VeltBench - what the benchmarks share

=head1 SYNOPSIS

  use VeltBench;

  my $node = VeltBench::start_node();
  my $session = VeltBench::session($node, 'name', $url, $workspace, $token);
  my $us = VeltBench::time_query($session, 'SELECT ...');
  VeltBench::say_line("text");
  my @rivals = (VeltBench::floor($program, 1, '-c 8', $url, 'workspace token'),
      VeltBench::query('name', $session, 'id, type', 'api_keys'));
  VeltBench::check($rows, $api, @rivals);
  VeltBench::race(7, $rows, 600, 60, $api, @rivals);    # fills their {runs}

=cut

package VeltBench;

use strict;
use warnings;

use IPC::Open2;
use List::Util qw(sum);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(clock_gettime time);

# The modules note every query; only the results are of interest here.
# In INIT, as that is where PostgreSQL::Test::Utils puts the handles in place.
my $out;

INIT
{
	open($out, '>&', Test::More->builder->output) or die $!;
	Test::More->builder->output('/dev/null');
	$out->autoflush(1);
}

sub say_line
{
	print $out @_, "\n";
	return;
}

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	return ($sorted[ $#sorted / 2 ] + $sorted[ @sorted / 2 ]) / 2;
}

# "1.02 (median of 11 pairs, 0.98 to 1.07)"
sub ratio_text
{
	my @ratios = sort { $a <=> $b } @_;
	return sprintf '%.2f (median of %d pairs, %.2f to %.2f)',
	  median(@ratios), scalar @ratios, $ratios[0], $ratios[-1];
}

# With the directory of the benchmarks.
sub start_node
{
	my ($dir) = @_;
	my $node = PostgreSQL::Test::Cluster->new('bench');
	$node->init(extra => [ '--encoding', 'UTF8', '--locale', 'C.UTF-8' ]);
	{
		# where the peers' functions find their module
		local %ENV = (%ENV, PYTHONPATH => $dir, PYTHONDONTWRITEBYTECODE => 1);
		$node->start;
	}
	$node->safe_psql('postgres', 'CREATE EXTENSION velt_fdw');
	return $node;
}

# A server of that name, a schema of that name with its tables.
sub add_server
{
	my ($node, $name, $url, $workspace, $token, @options) = @_;
	my $options = join ', ', "api_url '$url'", @options;

	$node->safe_psql('postgres', qq{
		CREATE SERVER $name FOREIGN DATA WRAPPER velt_fdw OPTIONS ($options);
		CREATE USER MAPPING FOR CURRENT_USER SERVER $name
			OPTIONS (workspace_id '$workspace', auth_token '$token');
		CREATE SCHEMA $name;
		IMPORT FOREIGN SCHEMA workspace FROM SERVER $name INTO $name;
	});
	return;
}

# A warm session that has the server's tables in its path.
sub session
{
	my ($node, $name, @args) = @_;

	add_server($node, $name, @args) if @args;
	my $session = $node->background_psql('postgres');
	$session->query_safe("SET search_path = $name");
	return $session;
}

# A query's wall time in microseconds, by the backend's own clock.
sub time_query
{
	my ($session, $query) = @_;
	return $session->query_safe(
		"SELECT clock_timestamp() AS start \\gset\n$query \\g /dev/null\n"
		  . "SELECT extract(epoch FROM clock_timestamp() - :'start'::timestamptz) * 1e6");
}

# ----------
# Rivals: a name, how to check it, and how to run it, which returns a hash of
# figures
# ----------

# CPU time of a process in microseconds, ended threads included: the kernel's
# clock of the process, CPUCLOCK_SCHED.
sub cpu_us
{
	my ($pid) = @_;
	return clock_gettime((-$pid - 1) * 8 + 2) * 1e6;
}

# A line of the process's status, such as VmHWM, in kB.
sub memory_kb
{
	my ($pid, $line) = @_;
	my ($kb) = slurp_file("/proc/$pid/status") =~ /^$line:\s+(\d+) kB/m;
	return $kb;
}

# Rows, whatever their order, and their number.
sub digest
{
	my ($columns, $from) = @_;
	return "SELECT sum(hashtextextended(ROW($columns)::text, 0)), count(*) "
	  . "FROM $from";
}

# A query in a session, by the backend's own clocks.
sub query
{
	my ($name, $session, $columns, $from, $times) = @_;
	my $pid = $session->query_safe('SELECT pg_backend_pid()');

	$times //= 1;

	return {
		name => $name,
		# What compiling the digest takes is not to count as the query's.
		check => sub {
			return $session->query_safe(
				"SET jit = off;\n" . digest($columns, $from) . ";\nRESET jit");
		},
		peak => sub { return memory_kb($pid, 'VmHWM'); },
		end => sub { $session->quit; },
		run => sub {
			my $cpu = cpu_us($pid);
			my @lines = split /\n/, $session->query_safe(
				"SELECT measure(\$query\$SELECT $columns FROM $from\$query\$)"
				  . " FROM generate_series(1, $times)");
			return several([ map { [ /[^(),]+/g ] } @lines ],
				[qw(first wall rows)], (cpu_us($pid) - $cpu) / $times);
		}
	};
}

# The floor, by its own clocks: a process that lives as long as a session.
sub floor
{
	my ($program, $times, @arguments) = @_;
	my $pid = open2(my $out, my $in, "exec '$program' @arguments");
	my $ask = sub {
		print $in "\n" x $_[0];
		$in->flush;
		my @lines = map { [ split ' ', scalar <$out> // die 'the floor failed' ] }
		  1 .. $_[0];
		return \@lines;
	};

	$times //= 1;
	return {
		name => 'floor',
		check => sub { $ask->(1); return; },
		peak => sub { return memory_kb($pid, 'VmHWM'); },
		run => sub {
			my $lines = $ask->($times);
			return several($lines, [qw(requests bytes wall cpu first)]);
		},
		end => sub { close $in; waitpid $pid, 0; }
	};
}

# What was run several times in a row counts as one run: of each figure, the
# median; of CPU time, which may be counted too coarsely for one, the mean.
sub several
{
	my ($lines, $names, $cpu) = @_;
	my %figures = (times => scalar @$lines);

	for my $i (0 .. $#$names)
	{
		$figures{ $names->[$i] } = median(map { $_->[$i] } @$lines);
	}
	if (exists $figures{cpu})
	{
		my ($at) = grep { $names->[$_] eq 'cpu' } 0 .. $#$names;
		$cpu = sum(map { $_->[$at] } @$lines) / @$lines;
	}
	$figures{cpu} = $cpu;
	return \%figures;
}

# A program that loads a table, from its start to its end, with the CPU time
# of what it started; the table's rows are checked after each run.
sub program
{
	my ($name, $node, $columns, $from, @command) = @_;
	my $check =
	  sub { return $node->safe_psql('postgres', digest($columns, $from)); };

	return {
		name => $name,
		end => sub { },
		check => sub { system_or_bail(@command); return $check->(); },
		run => sub {
			my @before = times;
			my $start = time;
			system_or_bail(@command);
			my $wall = (time - $start) * 1e6;
			my @after = times;
			return {
				wall => $wall,
				first => $wall,
				rows => (split /\|/, $check->())[1],
				cpu => ($after[2] + $after[3] - $before[2] - $before[3]) * 1e6
			};
		}
	};
}

# Each once, untimed, whereafter none is the first to connect, to load its
# libraries, or to ask the server for an answer.  All have to return the same
# rows.  What they ask for is noted.
sub check
{
	my ($rows, $api, @rivals) = @_;
	my $expected;

	for my $rival (@rivals)
	{
		$api->reset;
		my $digest = $rival->{check}->();
		$rival->{requests} = $api->stats('requests.total');
		$rival->{bytes} = $api->stats('body_bytes');
		next unless defined $digest;
		die "$rival->{name}: rows $digest, not $rows\n"
		  unless $digest =~ /\|$rows$/;
		$expected //= $digest;
		die "$rival->{name}: other rows than those before it\n"
		  unless $digest eq $expected;
	}
	return;
}

# Runs all in turn, so many times, there and back again: what follows what,
# and who comes first, so is evenly spread.  None runs again that has used so
# many seconds, with another bound for peers.  Requests and bytes are what the
# simulator has counted, if it is asked.
sub race
{
	my ($runs, $rows, $own_s, $peer_s, $api, @rivals) = @_;

	for my $round (1 .. $runs)
	{
		for my $rival ($round % 2 ? @rivals : reverse @rivals)
		{
			next
			  if ($rival->{used_s} // 0) > ($rival->{peer} ? $peer_s : $own_s);
			$api->reset if $api;
			my $start = time;
			my $figures = $rival->{run}->();
			$rival->{used_s} += time - $start;
			count_requests($rival, $figures, $api);
			die "$rival->{name}: $figures->{rows} rows, not $rows\n"
			  if ($figures->{rows} // $rows) != $rows;
			push @{ $rival->{runs} }, $figures;
		}
	}
	return;
}

sub count_requests
{
	my ($rival, $figures, $api) = @_;
	my $times = $figures->{times} // 1;

	for my $count ([ 'requests', 'requests.total' ], [ 'bytes', 'body_bytes' ])
	{
		my ($name, $key) = @$count;
		my $counted = $api ? $api->stats($key) / $times : $rival->{$name};

		die "$rival->{name}: $figures->{$name} $name, but $counted counted\n"
		  if defined $figures->{$name} && $figures->{$name} != $counted;
		$figures->{$name} = $counted;
	}
	return;
}

# Of all runs of a rival, one figure: its median, least and most.
sub figure
{
	my ($rival, $name) = @_;
	my @values = sort { $a <=> $b } map { $_->{$name} } @{ $rival->{runs} };
	return (median(@values), $values[0], $values[-1]);
}

# The ratios of one rival's wall times to the other's, run by run.
sub ratios
{
	my ($one, $other, $name) = @_;
	my ($a, $b) = ($one->{runs}, $other->{runs});
	my $pairs = @$a < @$b ? @$a : @$b;
	$name //= 'wall';
	return map { $a->[$_]->{$name} / $b->[$_]->{$name} } 0 .. $pairs - 1;
}

# Compiles a program beside the benchmarks; returns its path.
sub compile
{
	my ($dir, $name, $arguments) = @_;
	my $program = "$PostgreSQL::Test::Utils::tmp_check/$name";

	system_or_bail('sh', '-c',
		"cc -std=gnu11 -O2 -Wall -Werror -o '$program' '$dir/$name.c' $arguments");
	return $program;
}

1;
