
# Every wait ends within 50 ms of a cancel, a terminate or statement_timeout,
# whatever it is that does not come; and nothing is left of it.

use strict;
use warnings;

use Errno;
use Fcntl;
use List::Util qw(max min sum0);
use PostgreSQL::Test::Utils;
use POSIX qw(mkfifo);
use Test::More;
use Time::HiRes qw(time);

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltTest;

my $limit_ms = 50;

# On a loaded machine the processes that are measured may be ready to run and
# have to wait for a processor: 133 ms were seen, with four tests at a time on
# two processors.  The kernel counts that (schedstat), and what it counted
# during a try is allowed for, up to this; it is never taken off the figures
# that are shown.  The cap is there because the count can be too high, and
# what is wrong in earnest takes a second.
my $slack_ms = 200;

my $cancels = 50;
my $others = 5;    # terminates, and timeouts, of a phase
my $timeout_ms = 100;

# What a cancel may leave: less than this, or the 50 of them show.
my $growth_kb = 512;

my $stall = tempdir() . '/stall';
mkfifo($stall, 0600) or die "could not make $stall: $!";
my $node = start_node(
	env => {
		LD_PRELOAD => compile_shim('network.c'),
		VELT_TEST_STALL => $stall
	});

my $api = VeltSimulator->new;
my $certs = tempdir();
VeltSimulator::certs($certs);

my $admin = VeltClient->new($node);
add_server($admin, 'velt', options => { api_url => $api->url });
add_server($admin, 'look_up',
	options => { api_url => 'https://stall.invalid' });
add_server($admin, 'connecting',
	options => { api_url => $api->ready->{stall_url} });
# With few authorities: libcurl reads all of the system's ones in one go,
# which takes it half the time that is measured here.
add_server(
	$admin,
	'hello',
	options => {
		api_url => $api->ready->{tls_stall_url},
		sslrootcert => "$certs/ca.crt"
	});
add_server($admin, 'backoff',
	options => { api_url => $api->url, retry_timeout => '1min' });
add_server($admin, 'paced',
	options => { api_url => $api->url, max_requests_per_minute => 1 });

# ----------
# Phases: where it stalls, and how to know that it has come so far
# ----------

sub stalled_answer
{
	my ($where) = @_;

	return (
		schema => 'velt',
		faults => [ { nth => 1, do => { stall => $where } } ],
		in_flight => 1);
}

my @phases = (
	{ name => 'name look-up', schema => 'look_up', after => \&end_look_ups },
	{ name => 'TCP connect', schema => 'connecting' },
	{ name => 'TLS hello', schema => 'hello' },
	{ name => 'first byte', stalled_answer('before_headers') },
	{ name => 'headers', stalled_answer('in_headers') },
	{ name => 'body', stalled_answer('in_body') },
	{
		name => 'fan-out',
		schema => 'velt',
		table => 'auth_tokens',
		faults => [
			{
				endpoint => 'authtokens/get',
				do => { stall => 'before_headers' }
			}
		],
		in_flight => 8
	},
	{
		name => 'wait for another attempt',
		schema => 'backoff',
		table => 'workspaces',
		faults => [
			{
				endpoint => 'workspace/get',
				do => { status => 503, headers => { 'retry-after' => '30' } }
			}
		],
		faulted => 1
	},
	{
		name => 'wait for a request a minute',
		schema => 'paced',
		table => 'auth_tokens'
	});

# Lets blocked look-ups fail; whoever waits in open() is woken.  Their threads
# may stay: from 8.20 on libcurl keeps some for the next ones.
sub end_look_ups
{
	poll_until(
		'the look-ups have ended',
		sub {
			my $waited_for = sysopen(my $writer, $stall, O_WRONLY | O_NONBLOCK);

			die "$stall: $!" unless $waited_for || $!{ENXIO};
			return !$waited_for;
		});
	return;
}

sub query_of
{
	my ($phase) = @_;

	return "SELECT * FROM $phase->{schema}."
	  . ($phase->{table} // 'api_keys');
}

sub reach
{
	my ($phase, $session) = @_;

	$api->reset;
	$session->send(query_of($phase));
	wait_until_waiting($admin, $session);
	for my $condition (qw(in_flight faulted))
	{
		next unless $phase->{$condition};
		$api->wait_for($condition eq 'faulted' ? 'faults' : $condition,
			$phase->{$condition});
		wait_until_idle($api) if $condition eq 'faulted';
		# what came of the answer may have to be taken still
		wait_until_waiting($admin, $session);
	}
	return;
}

# How many requests were broken off, when none is left.
sub broken_off
{
	wait_until_idle($api);
	return $api->stats('aborted');
}

sub median { return (sort { $a <=> $b } @_)[ @_ / 2 ]; }

# How long each process has been ready to run without running, in ms.
sub run_queue_ms
{
	my %waited;

	for my $pid (@_)
	{
		# one that has ended tells nothing, and so excuses nothing
		open(my $file, '<', "/proc/$pid/schedstat") or next;
		my $line = <$file> // next;
		$waited{$pid} = (split ' ', $line)[1] / 1e6;
	}
	return \%waited;
}

# Starts the clock for a session's try.
sub start_clock
{
	my ($session) = @_;
	my @pids = ($session->pid, $admin->pid, $$);

	return {
		pids => \@pids,
		before => run_queue_ms(@pids),
		started => time
	};
}

# The try is over: its latency, of which so much was not expected of it.
sub stop_clock
{
	my ($clock, $answered, $expected_ms) = @_;
	my $after = run_queue_ms(@{ $clock->{pids} });
	my $before = $clock->{before};
	my @waits = map {
		defined $after->{$_} && defined $before->{$_}
		  ? $after->{$_} - $before->{$_}
		  : 0
	} @{ $clock->{pids} };

	return {
		ms => 1000 * ($answered - $clock->{started}) - $expected_ms,
		waits => \@waits,
		gone => !defined $after->{ $clock->{pids}->[0] },
		slack => min($slack_ms, sum0(@waits))
	};
}

sub is_late { return $_[0]->{ms} - $_[0]->{slack} > $limit_ms; }

# Notes the latencies, which have to be within the limit.
sub in_time
{
	my ($what, @tries) = @_;
	my @ms = map { $_->{ms} } @tries;
	my @over = grep { $_->{ms} > $limit_ms } @tries;
	my @late = grep { is_late($_) } @over;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	note sprintf '%s: %d tries, median %.1f ms, maximum %.1f ms', $what,
	  scalar @ms, median(@ms), max(@ms);
	# as it came, and what the kernel says of backend, admin and test
	diag sprintf '%s: %.1f ms, in run queues %s ms', $what, $_->{ms},
	  join ' ', map { sprintf '%.1f', $_ } @{ $_->{waits} }
	  for @over;
	is(scalar @late, 0, "$what ends the wait within $limit_ms ms");
	return;
}

# ----------
# Cancel
# ----------

sub footprint
{
	my ($session) = @_;

	return {
		descriptors => descriptors($session->pid),
		contexts_kb => $session->value(
			'SELECT sum(total_bytes) / 1024 FROM pg_backend_memory_contexts'),
		anonymous_kb => memory_kb($session->pid, 'RssAnon')
	};
}

# One cancel, and the next query; returns what came of it.
sub cancel_once
{
	my ($phase, $session) = @_;

	reach($phase, $session);

	my $clock = start_clock($session);
	$admin->send('SELECT pg_cancel_backend(' . $session->pid . ')');
	my $result = $session->result;
	my $latency = stop_clock($clock, $result->{answered}, 0);
	$admin->result;

	my $rows = $session->value('SELECT count(*) FROM velt.api_keys');
	my $broken_off = broken_off();
	$phase->{after}->($session->pid) if $phase->{after};
	return {
		latency => $latency,
		sqlstate => ($result->{error} // {})->{sqlstate},
		rows => $rows,
		broken_off => $broken_off
	};
}

sub distinct
{
	my ($member, @outcomes) = @_;
	my %seen = map { ($_->{$member} // 'none') => 1 } @outcomes;

	return join ' ', sort keys %seen;
}

sub test_cancel
{
	my ($phase) = @_;
	my $name = $phase->{name};
	my $session = VeltClient->new($node);
	my @outcomes;

	# what is made once is there after a few
	cancel_once($phase, $session) for 1 .. 5;
	my $before = footprint($session);
	push @outcomes, cancel_once($phase, $session) for 1 .. $cancels;
	my $after = footprint($session);

	in_time("$name: a cancel", map { $_->{latency} } @outcomes);
	is(distinct('sqlstate', @outcomes), '57014', "$name: it is a cancel");
	is(distinct('rows', @outcomes),
		'25', "$name: the session's next query has all rows");
	is(distinct('broken_off', @outcomes),
		$phase->{in_flight} // 0, "$name: no transfer is left");
	# idle connections come and go, up to max_concurrency; one descriptor a
	# cancel would be many more
	cmp_ok($after->{descriptors} - $before->{descriptors},
		'<=', 8, "$name: no descriptor is left of $cancels cancels");
	for my $memory (qw(contexts_kb anonymous_kb))
	{
		my $growth = $after->{$memory} - $before->{$memory};

		note "$name: $memory grew by $growth";
		cmp_ok($growth, '<', $growth_kb,
			"$name: no memory is left of $cancels cancels ($memory)");
	}
	$session->close;
	return;
}

# ----------
# Terminate and statement_timeout
# ----------

sub test_terminate
{
	my ($phase) = @_;
	my $name = $phase->{name};
	my $doubtful = 0;
	my (@latencies, @outcomes);

	for (1 .. $others)
	{
		my $session = VeltClient->new($node);

		reach($phase, $session);
		my $clock = start_clock($session);
		$admin->send('SELECT pg_terminate_backend(' . $session->pid . ')');
		my $result = $session->result;
		my $latency = stop_clock($clock, $result->{answered}, 0);
		$admin->result;
		# a backend that has gone cannot tell any more what it waited for:
		# once, that is given the benefit of the doubt
		if (is_late($latency) && $latency->{gone} && !$doubtful++)
		{
			diag sprintf '%s: a terminate took %.1f ms, tried again', $name,
			  $latency->{ms};
			poll_until('the backend has gone',
				sub { !-e '/proc/' . $session->pid });
			wait_until_idle($api);
			redo;
		}
		push @latencies, $latency;
		push @outcomes,
		  {
			sqlstate => ($result->{error} // {})->{sqlstate},
			broken_off => broken_off()
		  };
		poll_until('the backend has gone',
			sub { !-e '/proc/' . $session->pid });
	}
	in_time("$name: a terminate", @latencies);
	is(distinct('sqlstate', @outcomes),
		'57P01', "$name: it is a terminate");
	is(distinct('broken_off', @outcomes),
		$phase->{in_flight} // 0,
		"$name: no transfer is left of a terminated backend");
	return;
}

sub test_timeout
{
	my ($phase) = @_;
	my $name = $phase->{name};
	my $session = VeltClient->new($node);
	my (@latencies, @outcomes);

	# the first query of a session has more to do than to wait
	$session->query('SELECT count(*) FROM velt.api_keys');
	for (1 .. $others)
	{
		$api->reset;
		$session->query("SET statement_timeout = $timeout_ms");
		my $clock = start_clock($session);
		$session->send(query_of($phase));
		my $result = $session->result;
		push @latencies,
		  stop_clock($clock, $result->{answered}, $timeout_ms);
		$session->query('RESET statement_timeout');
		push @outcomes,
		  {
			sqlstate => ($result->{error} // {})->{sqlstate},
			rows => $session->value('SELECT count(*) FROM velt.api_keys'),
			broken_off => broken_off()
		  };
		$phase->{after}->($session->pid) if $phase->{after};
	}
	in_time("$name: statement_timeout", @latencies);
	is(distinct('sqlstate', @outcomes), '57014', "$name: it is a timeout");
	is(distinct('rows', @outcomes),
		'25', "$name: the next query has all rows after a timeout");
	is(distinct('broken_off', @outcomes),
		$phase->{in_flight} // 0,
		"$name: no transfer is left of a timeout");
	$session->close;
	return;
}

# ----------
# All of it
# ----------

for my $phase (@phases)
{
	$api->faults($phase->{faults} // []);
	for my $test (\&test_cancel, \&test_terminate, \&test_timeout)
	{
		eval { $test->($phase); 1 } or fail("$phase->{name}: $@");
	}
}

# The thread that looks up a name is not to run the server's signal handlers.
{
	my $session = VeltClient->new($node);

	$api->faults([]);
	reach($phases[0], $session);
	my ($thread) = grep { $_ != $session->pid } threads($session->pid);
	my $status =
	  slurp_file('/proc/' . $session->pid . "/task/$thread/status");
	my ($blocked) = $status =~ /^SigBlk:\s+([0-9a-f]+)$/m;
	for my $signal (
		[ HUP => 1 ],
		[ INT => 2 ],
		[ USR1 => 10 ],
		[ ALRM => 14 ],
		[ TERM => 15 ])
	{
		my ($name, $number) = @$signal;

		ok(hex(substr $blocked, -8) & 1 << $number - 1,
			"the look-up's thread has SIG$name blocked");
	}
	$admin->query('SELECT pg_cancel_backend(' . $session->pid . ')');
	is($session->result->{error}->{sqlstate}, '57014', 'and it was cancelled');
	end_look_ups($session->pid);
	$session->close;
}

done_testing();
