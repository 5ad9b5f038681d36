# A scan of 100,000 API keys (1,000 pages) against the floor: a bare libcurl
# loop that fetches the same pages over one connection and only looks for the
# next page token.  Both in turn, in one run: the ratio of each pair, and the
# median of the ratios.  Also how much the backend grows from 1,000 rows on.
#
# Usage, in the environment of "test/run bench": pages.pl [PAIRS]

use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Utils;
use VeltBench;
use VeltSimulator;

my $pairs = shift @ARGV // 11;
my $keys = 100_000;
my $scan = 'SELECT count(id), count(api_key_name), count(type) FROM api_keys';
my $floor = VeltBench::compile($FindBin::RealBin, 'floor',
	'$(pkg-config --cflags --libs libcurl)');

# Resident anonymous memory of a backend, in kB.
sub resident
{
	my ($pid) = @_;
	my ($kb) = slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m;
	return $kb;
}

sub floor_time
{
	my ($url) = @_;
	my ($pages, $bytes, $us) = split ' ', `'$floor' $url big big-token`;
	die "the floor fetched $pages pages" unless $pages == $keys / 100;
	return $us;
}

sub compare
{
	my ($what, $url, $session, $times) = @_;
	my (@ours, @floors, @ratios);

	VeltBench::time_query($session, $scan);
	floor_time($url);
	for (1 .. $times)
	{
		push @floors, floor_time($url);
		push @ours, VeltBench::time_query($session, $scan);
		push @ratios, $ours[-1] / $floors[-1];
	}
	VeltBench::say_line(
		sprintf '1,000 pages, %-36s velt_fdw %8.1f ms, floor %8.1f ms, ratio %s',
		$what, VeltBench::median(@ours) / 1000,
		VeltBench::median(@floors) / 1000, VeltBench::ratio_text(@ratios));
	return;
}

my $api = VeltSimulator->new(
	config => { workspaces => {
		big => { token => 'big-token', keys => $keys },
		small => { token => 'small-token', keys => 1000 } } },
	nginx => PostgreSQL::Test::Utils::tempdir_short(),
	nginx_cache => 1);
my $node = VeltBench::start_node();
my $cached_url = $api->ready->{cached_url};
my $session = VeltBench::session($node, 'sim', $api->url, 'big', 'big-token');
my $cached = VeltBench::session($node, 'cached', $cached_url, 'big', 'big-token');

compare('simulator (Python), 0 ms:', $api->url, $session, $pairs);
compare('nginx with cache, 0 ms:', $cached_url, $cached, $pairs);
$api->config({ latency_ms => 20 });
compare('simulator (Python), 20 ms:', $api->url, $session, 3);
$api->config({ latency_ms => 0 });

# memory: a session that has scanned 1,000 rows, then 100,000
VeltBench::add_server($node, 'small', $api->url, 'small', 'small-token');
my $fresh = VeltBench::session($node, 'small');
my $pid = $fresh->query_safe('SELECT pg_backend_pid()');
$fresh->query_safe($scan) for 1 .. 3;
my $before = resident($pid);
$fresh->query_safe('SET search_path = sim');
$fresh->query_safe($scan);
VeltBench::say_line(
	sprintf 'resident memory after 1,000 rows %d kB, after 100,000 rows %d kB: %+d kB',
	$before, resident($pid), resident($pid) - $before);

$_->quit for $session, $cached, $fresh;
$node->stop;
