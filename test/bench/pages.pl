# A scan of 100,000 API keys (1,000 pages) against the floor: a bare libcurl
# loop that fetches the same pages over one connection and only looks for the
# next page token.  Both in turn, in one run: the ratio of each pair, and the
# median of the ratios.  Also how much the backend grows from 1,000 rows on.
#
# Usage, in the environment of "test/run bench": pages.pl [PAIRS]

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VeltSimulator;

# The modules note every query; only the results are of interest here.
open(my $out, '>&', Test::More->builder->output) or die $!;
Test::More->builder->output('/dev/null');

my $pairs = shift @ARGV // 11;
my $keys = 100_000;
my $scan = 'SELECT count(id), count(api_key_name), count(type) FROM api_keys';
my $floor = "$PostgreSQL::Test::Utils::tmp_check/floor";

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	return ($sorted[ $#sorted / 2 ] + $sorted[ @sorted / 2 ]) / 2;
}

# Resident anonymous memory of a backend, in kB.
sub resident
{
	my ($pid) = @_;
	my ($kb) = slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m;
	return $kb;
}

# One scan's wall time, in microseconds, by the backend's own clock.
sub scan_time
{
	my ($session) = @_;
	my $times = $session->query_safe(
		"SELECT clock_timestamp() AS start \\gset\n$scan \\g /dev/null\n"
		  . "SELECT extract(epoch FROM clock_timestamp() - :'start'::timestamptz) * 1e6");
	return $times;
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
	my ($name, $url, $session) = @_;
	my (@ours, @floors, @ratios);

	scan_time($session);
	floor_time($url);
	for (1 .. $pairs)
	{
		push @floors, floor_time($url);
		push @ours, scan_time($session);
		push @ratios, $ours[-1] / $floors[-1];
	}
	printf $out "%-28s velt_fdw %7.1f ms  floor %7.1f ms  ratio %.2f (median of %d pairs, %.2f to %.2f)\n",
	  $name, median(@ours) / 1000, median(@floors) / 1000, median(@ratios),
	  $pairs, (sort { $a <=> $b } @ratios)[ 0, -1 ];
}

sub session_for
{
	my ($node, $name, $url) = @_;

	$node->safe_psql('postgres', qq{
		CREATE SERVER $name FOREIGN DATA WRAPPER velt_fdw OPTIONS (api_url '$url');
		CREATE USER MAPPING FOR CURRENT_USER SERVER $name
			OPTIONS (workspace_id 'big', auth_token 'big-token');
		CREATE SCHEMA $name;
		IMPORT FOREIGN SCHEMA workspace FROM SERVER $name INTO $name;
	});
	my $session = $node->background_psql('postgres');
	$session->query_safe("SET search_path = $name");
	return $session;
}

system_or_bail(
	'sh', '-c',
	"cc -O2 -o '$floor' '$FindBin::RealBin/floor.c' \$(pkg-config --cflags --libs libcurl)");
my $api = VeltSimulator->new(
	config => { workspaces => {
		big => { token => 'big-token', keys => $keys },
		small => { token => 'small-token', keys => 1000 } } },
	nginx => PostgreSQL::Test::Utils::tempdir_short(),
	nginx_cache => 1);
my $node = PostgreSQL::Test::Cluster->new('bench');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION velt_fdw');

my $session = session_for($node, 'sim', $api->url);
compare('simulator (Python), plain', $api->url, $session);

my $cached = session_for($node, 'cached', $api->ready->{cached_url});
compare('nginx with cache, plain', $api->ready->{cached_url}, $cached);

# memory: a session that has scanned 1,000 rows, then 100,000
$node->safe_psql('postgres', qq{
	CREATE SERVER small FOREIGN DATA WRAPPER velt_fdw OPTIONS (api_url '@{[$api->url]}');
	CREATE USER MAPPING FOR CURRENT_USER SERVER small
		OPTIONS (workspace_id 'small', auth_token 'small-token');
	CREATE FOREIGN TABLE small_keys (id text, api_key_name text, type text)
		SERVER small OPTIONS (resource 'api_keys');
});
my $fresh = $node->background_psql('postgres');
my $pid = $fresh->query_safe('SELECT pg_backend_pid()');
$fresh->query_safe('SELECT count(id), count(api_key_name), count(type) FROM small_keys') for 1 .. 3;
my $before = resident($pid);
$fresh->query_safe('SET search_path = sim');
$fresh->query_safe($scan);
printf $out "resident memory after 1,000 rows %d kB, after 100,000 rows %d kB: %+d kB\n",
  $before, resident($pid), resident($pid) - $before;

$_->quit for $session, $cached, $fresh;
$node->stop;
