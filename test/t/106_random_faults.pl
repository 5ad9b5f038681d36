
# Requests that fail at random: the result is exact every time, at the cost of
# one request more a failure.
#
# VELT_TEST_FULL=1: scans of 1,000 pages with failures in 5 of 100 requests,
# and fan-outs of 1,000 keys with the same, 20 times; this takes minutes.
# Otherwise there are fewer pages and failures, as a scan has to wait a second
# or more for each failure of its pages, one after the other.

use strict;
use warnings;

use List::Util qw(min);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltFaults;
use VeltTest;

my %size =
  $ENV{VELT_TEST_FULL}
  ? (pages => 1000, page_share => 0.05, keys => 1000, share => 0.05, runs => 20)
  : (pages => 200, page_share => 0.02, keys => 1000, share => 0.05, runs => 3);

# So many runs of either kind are at work at a time.
my $side_by_side = min($size{runs}, 10);
my $page_size = 10;

# In the full form the longest run may take as long as 1,000 * 0.05 retries of
# up to 1.5 s, and longer waits for what fails again.
$PostgreSQL::Test::Utils::timeout_default = 600 if $ENV{VELT_TEST_FULL};

my $node = start_node(conf => 'max_connections = 40');
my $admin = VeltClient->new($node);

# ----------
# Failures
# ----------

my @failures = (
	{ status => 503 },
	{ status => 500, body => 'no' },
	{ status => 502, body => '<html>' },
	{ error => 'UNAVAILABLE' },
	{ error => 'INTERNAL', http => 200 },
	{ error => 'ABORTED' },
	{ reset => 'before_headers' },
	{ reset => 'in_headers' },
	{ reset => 'in_body' },
	{ close => 'before_headers' },
	{ close => 'after_headers' },
	{ truncate => 30 },
	{ latency_ms => 20, reset => 'after_headers' },
	{ latency_ms => 20, status => 504 });

# A share of all requests to an endpoint fails, in all of these ways.
sub rules
{
	my ($endpoint, $share, $seed) = @_;

	return [
		map {
			{
				endpoint => $endpoint,
				probability => $share / @failures,
				seed => "$seed $_",
				do => $failures[$_]
			}
		} 0 .. $#failures
	];
}

# ----------
# Runs
# ----------

# Two kinds, each with a simulator and a session of its own.
my %kinds = (
	pages => {
		endpoint => 'apikeys/get',
		share => $size{page_share},
		keys => $size{pages} * $page_size,
		requests => $size{pages},
		expected => [
			$size{pages} * $page_size, $size{pages} * $page_size,
			key_id(1), key_id($size{pages} * $page_size)
		],
		query => "SELECT count(*), count(DISTINCT id), min(id), max(id),
			count(*) FILTER (WHERE api_key_name <> 'Key ' || right(id, 6)::int)
		  FROM %s.api_keys"
	},
	keys => {
		endpoint => 'authtokens/get',
		share => $size{share},
		keys => $size{keys},
		requests => $size{keys},
		expected => [
			2 * $size{keys}, $size{keys}, key_id(1), key_id($size{keys})
		],
		query => "SELECT count(*), count(DISTINCT api_key), min(api_key),
			max(api_key), count(*) - count(DISTINCT token)
		  FROM %s.auth_tokens WHERE api_key = ANY (ARRAY(
			SELECT 'velt_api_key_' || lpad(n::text, 6, '0')
			  FROM generate_series(1, $size{keys}) n))"
	});

my @lanes;
for my $number (1 .. $side_by_side)
{
	for my $name (sort keys %kinds)
	{
		my $kind = $kinds{$name};
		my $schema = "${name}_$number";
		my $api = VeltSimulator->new(
			config => {
				workspaces => {
					$workspace => { keys => $kind->{keys}, tokens_per_key => 2 }
				}
			});

		add_server(
			$admin, $schema,
			options => {
				api_url => $api->url,
				page_size => $page_size,
				max_concurrency => 64,
				retry_timeout => '10min'
			});
		push @lanes,
		  {
			name => $name,
			kind => $kind,
			schema => $schema,
			api => $api,
			query => sprintf($kind->{query}, $schema)
		  };
	}
}

# Starts the lane's query with failures as the seed has them.
sub begin
{
	my ($lane, $seed) = @_;
	my $kind = $lane->{kind};

	$lane->{session} = VeltClient->new($node);
	$lane->{seed} = $seed;
	$lane->{api}->faults(rules($kind->{endpoint}, $kind->{share}, $seed));
	$lane->{api}->reset;
	$lane->{started} = time;
	$lane->{session}->send($lane->{query});
	return;
}

sub finish
{
	my ($lane, $result) = @_;
	my $what = "$lane->{name}, seed $lane->{seed}";
	my $stats = $lane->{api}->stats;
	my $counters = counters($lane->{session}, $lane->{schema});
	my $kind = $lane->{kind};

	is(($result->{error} // { text => '' })->{text}, '', "$what: no error");
	is_deeply($result->{rows}, [ [ @{ $kind->{expected} }, 0 ] ],
		"$what: the exact result");
	cmp_ok($stats->{faults}, '>', 0, "$what: some requests have failed");
	is($stats->{requests}->{total}, $kind->{requests} + $stats->{faults},
		"$what: each is made again, and nothing else");
	is($counters->{requests}, $stats->{requests}->{total},
		"$what: all are counted");
	is($counters->{retries}, $stats->{faults}, "$what: as retries");
	is($stats->{in_flight}, 0, "$what: nothing is left in flight");
	note sprintf '%s: %d requests, %d failed, %.1f s', $what,
	  $stats->{requests}->{total}, $stats->{faults},
	  $result->{answered} - $lane->{started};
	$lane->{session}->close;
	return;
}

for (my $first = 1; $first <= $size{runs}; $first += $side_by_side)
{
	my @seeds = map { $first + int($_ / keys %kinds) } 0 .. $#lanes;
	my @busy = grep { $seeds[$_] <= $size{runs} } 0 .. $#lanes;

	begin($lanes[$_], $seeds[$_]) for @busy;
	my @results = answers(map { $lanes[$_]->{session} } @busy);
	finish($lanes[$_], shift @results) for @busy;
}

# ----------
# The same, without anybody to try again
# ----------

{
	my $lane = $lanes[0];
	my $session = VeltClient->new($node);
	my $exact = "@{ $lane->{kind}->{expected} } 0";
	my %outcomes;

	$admin->query("ALTER SERVER $lane->{schema}
		OPTIONS (SET retry_timeout '0')");
	$lane->{api}->faults(rules($lane->{kind}->{endpoint}, 0.0007, 'last'));
	for my $try (1 .. 20)
	{
		$session->send($lane->{query});
		my $result = $session->result;
		my $outcome =
		    $result->{error}                   ? $result->{error}->{sqlstate}
		  : "@{ $result->{rows}->[0] }" eq $exact ? 'exact'
		  :                                         'wrong';
		$outcomes{$outcome}++;
	}
	note join ', ', map { "$_: $outcomes{$_}" } sort keys %outcomes;
	is(join(' ', grep { !/^(exact|08006)$/ } sort keys %outcomes),
		'', 'without retries a scan has its result or an error');
	cmp_ok($outcomes{'08006'} // 0, '>', 0, 'as was seen');
	$session->close;
}

$admin->close;
done_testing();
