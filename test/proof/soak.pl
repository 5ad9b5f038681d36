
# Eight sessions at once, each with a mix of all that velt_fdw can do, while
# queries are cancelled, sessions terminated, settings changed, the API goes
# away and comes back, and of its answers one in fifty is wrong.  Whatever
# succeeds is exact, whatever fails has a cause, and nothing grows.
#
# soak.pl [SECONDS [SEED]]
#
# The seed says what is asked and done, in which order; not to the millisecond.

use strict;
use warnings;

use List::Util qw(max min);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use VeltClient;
use VeltDisturbances;
use VeltScenarios;
use VeltSoak;
use VeltTest;

my $seconds = $ARGV[0] // 1800;
my $seed = $ARGV[1] // int(rand(1_000_000));

# The part of the time in which caches fill.
my $warm_up = 0.2;

# At so many parts of the time all come to rest, at the first and the last
# without connections.
my @rests = ($warm_up, 0.4, 0.6, 0.8, 1);

# Private memory of a backend, from the first fifth of the time after that to
# the last.
my $most_growth_kb = 1024;
my $fewest_samples = 20;

# A connection's responses take twice max_response_size at most; a session has
# a connection to each server.  The rest is for rows, plans and the like.
my $max_response_kb = 256;
my $most_peak_kb = 2 * $max_response_kb * 3 + 2048;

# Holes between what lasts come to an end, but not in so short a time: there
# large blocks are the kernel's, and leave none.
my %malloc = $seconds < 600
  ? (MALLOC_MMAP_THRESHOLD_ => 16384, MALLOC_TRIM_THRESHOLD_ => 16384)
  : ();

# From a cancel or a terminate to its effect: of half of them, and of all, with
# more processes than processors.
my $median_s = 0.05;
my $longest_s = 2;

# Each kind of disturbance happens once in so many seconds at least.
my $rare_s = 30;

# For what is to come by itself when nothing else goes on.
our $soon_s = 5;

my %keys = (steady => 60, patient => 60, hasty => 24);

# steady: asked again, and never altered.  patient: asked again.  hasty: not.
my %retry_timeout = (steady => '15s', patient => '15s', hasty => '0');

# Four live as long as the test does.
my @workers = map { { number => $_->[0], server => $_->[1], spared => $_->[2] } } (
	[ 1, 'steady', 1 ],
	[ 2, 'hasty', 1 ],
	[ 3, 'patient', 1 ],
	[ 4, 'hasty', 1 ],
	[ 5, 'patient', 0 ],
	[ 6, 'hasty', 0 ],
	[ 7, 'steady', 0 ],
	[ 8, 'hasty', 0 ]);

# Failures that have to be seen, or nothing is proved.
my @causes = qw(57014 57P01 28000|42501 42704 08001 08006 53000 08P01);

note "seed $seed";
srand $seed;
my $disturbances = VeltDisturbances->new($seed,
	{
		map {
			(
				VeltScenarios::workspace_of($_) => {
					keys => $keys{$_},
					key_prefix => "${_}_",
					tokens_per_key => $VeltScenarios::tokens_per_key
				})
		} keys %keys
	});
my $node = start_node(
	env => \%malloc,
	conf => join "\n",
	'log_error_verbosity = verbose',
	'log_min_error_statement = panic',
	"lc_messages = 'C'",
	'jit = off');
my $admin = VeltClient->new($node);
add_servers();
my $scenarios = VeltScenarios->new($admin, \%keys);
my $soak = VeltSoak->new($node, $scenarios, \@workers);
$disturbances->attach($soak, $admin);

my %rest;
my $began = time;
# a crash ends all sessions, the observer's too
ok(eval { soak(); end_sessions(); 1 }, 'the server is there to the end')
  or diag($@);
look_at_outcomes();
look_at_disturbances();
look_at_growth();
look_at_log();
done_testing();

sub soak
{
	for my $part (@rests)
	{
		my $until = $began + $part * $seconds;

		$disturbances->go_on;
		$soak->run_until(sub { time >= $until });
		$disturbances->come_to_rest;
		look_around($part);
	}
	return;
}

sub add_servers
{
	for my $server (sort keys %keys)
	{
		add_server(
			$admin, $server,
			options => {
				api_url => $disturbances->api->url,
				retry_timeout => $retry_timeout{$server},
				request_timeout => '2s',
				page_size => 20,
				keys_per_request => 30,
				max_concurrency => 8,
				max_response_size => "${max_response_kb}kB",
				keep_connections => 'true',
				request_cost => 1000
			},
			mapping => {
				workspace_id => VeltScenarios::workspace_of($server),
				auth_token => VeltDisturbances::token_of($server)
			});
	}
	return;
}

# ----------
# When nothing goes on
# ----------

sub soon
{
	my ($condition) = @_;
	local $PostgreSQL::Test::Utils::timeout_default = $soon_s;
	return eval { poll_until('it', $condition); 1 } ? 1 : 0;
}

sub look_around
{
	my ($part) = @_;
	my $api = $disturbances->api;

	push @{ $rest{in_flight} }, $part unless soon(sub { !$api->stats('in_flight') });
	push @{ $rest{orphaned} }, $part unless cancels_end_requests($api);
	return unless $part == $rests[0] || $part == $rests[-1];
	$_->{session}->query('SELECT velt_fdw_disconnect_all()') for @workers;
	push @{ $rest{connected} }, $part unless soon(sub { !$api->stats('open_connections') });
	push @{ $_->{descriptors} }, descriptors($_->{session}->pid) for @workers;
	return;
}

# What nobody answers is in flight until the session gives it up; and one that
# goes on without its query has nobody to look at the clock.
sub cancels_end_requests
{
	my ($api) = @_;

	$disturbances->hold_answers;
	$_->{session}->send("SELECT * FROM $_->{server}.auth_tokens WHERE api_key
		IN ('$_->{server}_000001', '$_->{server}_000002')") for @workers;
	$api->wait_for('in_flight', scalar @workers);
	$admin->query('SELECT pg_cancel_backend(' . $_->{session}->pid . ')')
	  for @workers;
	$_->{session}->result for @workers;
	my $ended = soon(sub { !$api->stats('in_flight') });
	$disturbances->answer_again;
	return $ended;
}

sub end_sessions
{
	my $api = $disturbances->api;
	my @pids = map { $_->{session}->pid } @workers;

	is(scalar @{ $rest{in_flight} // [] }, 0,
		'at rest: no request in flight')
	  or diag("at @{ $rest{in_flight} }");
	is(scalar @{ $rest{orphaned} // [] }, 0,
		'at rest: a cancel ends requests')
	  or diag("at @{ $rest{orphaned} }");
	is(scalar @{ $rest{connected} // [] }, 0,
		'disconnected: no connection')
	  or diag("at @{ $rest{connected} }");
	# in the midst of something, half of them without their own consent
	$api->config({ latency_ms => 200 });
	$_->{session}->send("SELECT * FROM $_->{server}.auth_tokens") for @workers;
	$api->wait_for('in_flight', 4);
	$admin->query('SELECT pg_terminate_backend(' . $_->{session}->pid . ')')
	  for grep { !$_->{spared} } @workers;
	$_->{session}->close for @workers;
	local $soon_s = $VeltSoak::longest_s;
	ok(soon(sub { !grep { -e "/proc/$_" } @pids }),
		'at the end: no process goes on');
	ok(soon(sub { !$api->stats('open_connections') && !$api->stats('in_flight') }),
		'at the end: no connection, no request');
	return;
}

# ----------
# What came of it
# ----------

sub counted
{
	my ($count) = @_;
	return join ', ', map { "$_ $count->{$_}" }
	  sort { $count->{$b} <=> $count->{$a} || $a cmp $b } keys %$count;
}

sub look_at_outcomes
{
	my @never = grep { !$soak->{succeeded}->{$_} } VeltScenarios::names();
	my @unplanned = grep { !$scenarios->planned->{$_} } @VeltScenarios::nodes;
	my $failed = join ' ', keys %{ $soak->{failed} };
	my @unseen = grep { $failed !~ /\b(?:$_)\b/ } @causes;

	note "queries: $soak->{queries}";
	note 'succeeded: ', counted($soak->{succeeded});
	note 'failed: ', counted($soak->{failed});
	note 'planned: ', counted($scenarios->planned);
	is(scalar @{ $soak->{wrong} }, 0, 'what succeeds is exact')
	  or diag(join "\n\n", @{ $soak->{wrong} });
	is(scalar @{ $soak->{unexplained} }, 0, 'what fails has a cause')
	  or diag(join "\n\n", @{ $soak->{unexplained} });
	is("@never", '', 'each scenario has succeeded');
	is(join(', ', @unplanned), '', 'each kind of plan was seen');
	is("@unseen", '', 'each cause was seen');
	is(scalar @{ $soak->{hanging} }, 0,
		"no query longer than $VeltSoak::longest_s s")
	  or diag(join "\n", @{ $soak->{hanging} });
	note sprintf 'longest query: %.1f s', $soak->{worst_s};
	return;
}

sub look_at_disturbances
{
	my $counts = $disturbances->counts;
	my $stats = $disturbances->stats;
	my $least = max(1, int($seconds / $rare_s));
	my @rare = grep { $counts->{$_} < $least } $disturbances->kinds;

	note 'disturbances: ', counted($counts);
	note 'requests: ', counted($stats);
	is(join(', ', @rare), '', "each disturbance, at least $least times");
	cmp_ok(min(@$stats{qw(workspace/get apikeys/get authtokens/get)}),
		'>', 0, 'each endpoint was asked');
	cmp_ok($stats->{faults} / $stats->{total},
		'>', 0.01, 'one in fifty answers is wrong');
	look_at_times('cancel', 'a cancelled query');
	look_at_times('terminate', 'a terminated session');
	return;
}

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	return $sorted[ $#sorted / 2 ] // 0;
}

sub look_at_times
{
	my ($how, $what) = @_;
	my @ended = @{ $soak->{ended}->{$how} };
	my $median = median(map { $_->{s} } grep { $_->{hit} } @ended);
	my $worst = max(0, map { $_->{s} } @ended);
	my @late = grep { $_->{s} > $longest_s } @ended;

	note sprintf '%s: %d, of which %d hit, median %.1f ms, worst %.1f ms',
	  $how, scalar @ended, scalar(grep { $_->{hit} } @ended),
	  1000 * $median, 1000 * $worst;
	ok($median <= $median_s && !@late, "$what ends in time")
	  or diag(join "\n", map { $_->{what} } @late);
	return;
}

# ----------
# What grows
# ----------

sub look_at_growth
{
	my $first = $began + $warm_up * $seconds;
	my $fifth = (time - $first) / 5;
	my (%memory, %peaks, %descriptors);

	for my $worker (grep { $_->{spared} } @workers)
	{
		my $name = "backend $worker->{number} ($worker->{server})";
		my @samples = grep { $_->[0] >= $first } @{ $worker->{samples} // [] };
		my $before = median(map { $_->[1] } grep { $_->[0] < $first + $fifth } @samples);
		my $after = median(map { $_->[1] } grep { $_->[0] > time - $fifth } @samples);
		my ($then, $now) = (@{ $worker->{descriptors} // [] }, 0, 0);

		my $peak = $worker->{peak_kb} - $before;

		note sprintf '%s: RssAnon %d kB, then %+d kB, at most %+d kB, %d samples; %d descriptors, then %+d',
		  $name, $before, $after - $before, $peak, scalar @samples, $then,
		  $now - $then;
		$peaks{$name} = $peak if $peak > $most_peak_kb;
		$memory{$name} = $after - $before if $after - $before >= $most_growth_kb;
		$descriptors{$name} = $now - $then if $now > $then;
		$memory{$name} = 'is unknown' if @samples < $fewest_samples;
	}
	is(counted(\%memory), '', "no backend grows by $most_growth_kb kB");
	is(counted(\%peaks), '', "no backend has $most_peak_kb kB more for a time");
	is(counted(\%descriptors), '', 'no backend has more descriptors');
	return;
}

# ----------
# What the server says
# ----------

sub look_at_log
{
	my ($crashed, %internal) = (0);

	open(my $log, '<', $node->logfile) or die "could not read the log: $!";
	while (my $line = <$log>)
	{
		$crashed++ if $line =~ /terminated by signal|PANIC: |57P02/;
		$internal{$1}++ if $line =~ /\b(?:ERROR|FATAL):  (XX\w{3}: .*)/;
	}
	close $log;
	is($crashed, 0, 'no server process has crashed');
	is(counted(\%internal), '', 'no internal error');
	return;
}
