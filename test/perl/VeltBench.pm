
=pod

=head1 NAME

VeltBench - what the benchmarks share

=head1 SYNOPSIS

  use VeltBench;

  my $node = VeltBench::start_node();
  my $session = VeltBench::session($node, 'name', $url, $workspace, $token);
  my $us = VeltBench::time_query($session, 'SELECT ...');
  VeltBench::say_line("text");
  my @rivals = (VeltBench::query('name', $session, 'SELECT ...'),
      VeltBench::program('name', 'floor', ...));
  VeltBench::race(7, 600, 60, $api, @rivals);    # fills their {runs}

=cut

package VeltBench;

use strict;
use warnings;

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
# Rivals: a name, and how to run it, which returns a hash of figures
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

# A query in a session, by the backend's own clocks; the last of so many
# times.
sub query
{
	my ($name, $session, $query, $times) = @_;
	my $pid = $session->query_safe('SELECT pg_backend_pid()');

	$times //= 1;

	return {
		name => $name,
		run => sub {
			my $cpu = cpu_us($pid);
			my @walls = split /\n/, $session->query_safe(
				"SELECT time_of(\$query\$$query\$query\$)"
				  . " FROM generate_series(1, $times)");
			return { wall => $walls[-1], times => $times,
				cpu => (cpu_us($pid) - $cpu) / $times };
		}
	};
}

# The floor, by its own clocks; the last of so many times.
sub floor
{
	my ($program, $times, @arguments) = @_;

	return {
		name => 'floor',
		run => sub {
			my $lines = qx{'$program' -n $times @arguments};
			die "the floor failed" if $? != 0;
			my ($requests, $bytes, $wall, $cpu) =
			  split ' ', (split /\n/, $lines)[-1];
			return { wall => $wall, cpu => $cpu,
				requests => $requests, bytes => $bytes };
		}
	};
}

# A program, from its start to its end, with the CPU time of what it started.
sub program
{
	my ($name, @command) = @_;

	return {
		name => $name,
		run => sub {
			my @before = times;
			my $start = time;
			system_or_bail(@command);
			my $wall = time - $start;
			my @after = times;
			return {
				wall => $wall * 1e6,
				cpu => ($after[2] + $after[3] - $before[2] - $before[3]) * 1e6
			};
		}
	};
}

# Runs all in turn, so many times; none that has used so many seconds, with
# another bound for peers.  Requests and bytes are what the simulator has
# counted, where the rival does not count them itself.
sub race
{
	my ($runs, $own_s, $peer_s, $api, @rivals) = @_;

	for my $round (0 .. $runs)
	{
		for my $rival (@rivals)
		{
			# round 0 warms up what takes no time
			next if $round == 0 && !$rival->{warm};
			next
			  if ($rival->{used_s} // 0) > ($rival->{peer} ? $peer_s : $own_s);
			$api->reset;
			my $start = time;
			my $figures = $rival->{run}->();
			my $times = $figures->{times} // 1;
			$figures->{requests} //= $api->stats('requests.total') / $times;
			$figures->{bytes} //= $api->stats('body_bytes') / $times;
			$rival->{used_s} += time - $start;
			push @{ $rival->{runs} }, $figures if $round > 0;
		}
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
