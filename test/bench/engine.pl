# How close many requests at once come to what their latency allows: tokens
# of 1,000 keys, two partitions on two servers, new TLS connections, and one
# request that stalls among many.
#
# Usage, in the environment of "test/run bench": engine.pl [RUNS]

use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Utils;
use POSIX qw(ceil);
use VeltBench;
use VeltSimulator;

my $runs = shift @ARGV // 7;
my $node = VeltBench::start_node($FindBin::RealBin);

# ---- tokens of 1,000 keys at 20 ms, 32 at a time
my $api = VeltSimulator->new(
	config => {
		latency_ms => 20,
		workspaces => { many => { token => 'many-token', keys => 1000 } }
	});
my $session = VeltBench::session($node, 'many', $api->url, 'many',
	'many-token', "max_concurrency '32'");
my $tokens = 'SELECT count(token) FROM auth_tokens';
# the keys come in 10 pages, and each but the first is asked for while
# tokens are: by the ideal they all come one after the other
my $ideal = ceil(1000 / 32) * 20 + 10 * 20;

VeltBench::time_query($session, $tokens);
$api->reset;
my @times = map { VeltBench::time_query($session, $tokens) / 1000 } 1 .. $runs;
VeltBench::say_line(
	sprintf 'tokens of 1,000 keys, 20 ms, 32 at once: %.0f ms, ideal %d ms + 10 key pages %d ms, ratio %.2f (median of %d runs); most in flight %d',
	VeltBench::median(@times), ceil(1000 / 32) * 20, 200,
	VeltBench::median(@times) / $ideal, $runs, $api->stats('max_in_flight'));

# ---- one of 32 stalls
$api->faults([
	{ endpoint => 'authtokens/get', key => 'velt_api_key_000007',
		do => { stall => 'before_headers', for_ms => 3000 } } ]);
my $rows = $session->query_safe(
	"BEGIN; DECLARE c CURSOR FOR SELECT token FROM auth_tokens;\n"
	  . "SELECT clock_timestamp() AS start \\gset\n"
	  . "FETCH 999 FROM c \\g /dev/null\n"
	  . "SELECT extract(epoch FROM clock_timestamp() - :'start'::timestamptz) * 1e3; COMMIT;");
$rows =~ /([\d.]+)/;
VeltBench::say_line(
	sprintf 'the same with one request stalled for 3 s: the other 999 rows in %.0f ms, %.2f of the time without',
	$1, $1 / VeltBench::median(@times));
$session->quit;
$api->stop;

# ---- two partitions on two servers at 50 ms a page, 5 pages each
my @apis = map {
	VeltSimulator->new(
		config => {
			latency_ms => 50,
			workspaces => { "ws$_" => { token => "token$_", keys => 500 } }
		})
} 1, 2;
VeltBench::add_server($node, "ws$_", $apis[ $_ - 1 ]->url, "ws$_", "token$_")
  for 1, 2;
$node->safe_psql('postgres', q{
	CREATE TABLE keys (id text, workspace_id text) PARTITION BY LIST (workspace_id);
	CREATE FOREIGN TABLE keys1 PARTITION OF keys FOR VALUES IN ('ws1')
		SERVER ws1 OPTIONS (resource 'api_keys', workspace_id 'ws1');
	CREATE FOREIGN TABLE keys2 PARTITION OF keys FOR VALUES IN ('ws2')
		SERVER ws2 OPTIONS (resource 'api_keys', workspace_id 'ws2');
});
$session = VeltBench::session($node, 'public');
my $all = 'SELECT count(id) FROM keys';
my $alone = 'SELECT count(id) FROM keys1';
VeltBench::time_query($session, $all);
my @ratios;
for (1 .. $runs)
{
	push @ratios,
	  VeltBench::time_query($session, $all) /
	  VeltBench::time_query($session, $alone);
}
VeltBench::say_line('two partitions on two servers, 50 ms a page: ratio to one alone '
	  . VeltBench::ratio_text(@ratios));
$session->quit;
$_->stop for @apis;
$node->stop;

# ---- 32 new TLS connections at once, driven by the client alone
my $certs = PostgreSQL::Test::Utils::tempdir();
VeltSimulator::certs($certs);
my $src = "$FindBin::RealBin/../../src";
my $step = VeltBench::compile($FindBin::RealBin, 'tls_step',
	"-D_GNU_SOURCE -I'$src' '$src'/client/*.c \$(pkg-config --cflags --libs libcurl json-c zlib)");
my $tls = VeltSimulator->new(
	config => { workspaces => { w => { token => 'token', keys => 1000 } } },
	tls => { cert => "$certs/server.crt", key => "$certs/server.key" });
my @longest =
  map { (split ' ', `'$step' @{[$tls->url]} w token $certs/ca.crt`)[1] } 1 .. $runs;
VeltBench::say_line(
	sprintf '32 new TLS connections at once: longest step of the loop %.1f ms (median of %d runs, worst %.1f ms)',
	VeltBench::median(@longest), $runs, (sort { $a <=> $b } @longest)[-1]);
