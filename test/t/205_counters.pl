# What queries cost, in figures that no other load of the machine changes: the
# works of the benchmarks (test/bench), counted instead of timed.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use IO::Compress::Gzip qw(gzip);
use MIME::Base64 qw(encode_base64);
use POSIX qw(sysconf _SC_CLK_TCK);
use PostgreSQL::Test::Utils;
use Test::More;
use VeltClient;
use VeltSimulator;
use VeltTest;

# ---- requests and bytes

my $api = VeltSimulator->new(
	config => {
		workspaces => {
			map { ("w$_" => { token => 'token', keys => 1000,
						production_every => 10 }) } 1 .. 4
		}
	});
my $node = start_node();
my $session = VeltClient->new($node);
for my $n (1 .. 4)
{
	add_server($session, "w$n", options => { api_url => $api->url },
		mapping => { workspace_id => "w$n", auth_token => 'token' });
}
$session->query('SET search_path = w1, public');
$session->query(q{
	CREATE TABLE public.customers AS
	SELECT 'velt_api_key_' || to_char(n, 'FM000000') AS key
	FROM generate_series(1, 1000) n});
$session->query('ANALYZE public.customers');

# The query takes so many requests, and so many bytes of content at most.
sub costs
{
	my ($work, $query, $requests, $bytes) = @_;

	$api->reset;
	$session->query($query);
	is($api->stats('requests.total'), $requests, "$work: $requests requests");
	cmp_ok($api->stats('body_bytes'), '<=', $bytes, "... and $bytes bytes");
	return;
}

costs('all keys', 'SELECT count(api_key_name) FROM api_keys', 10, 75_000);
costs('all tokens', 'SELECT count(token) FROM auth_tokens', 1010, 310_000);
# by 100 keys
costs(
	'local rows joined with keys',
	'SELECT count(api_key_name) FROM customers JOIN api_keys ON id = key',
	10, 75_000);
costs(
	'local rows joined with tokens',
	'SELECT count(token) FROM customers JOIN auth_tokens ON api_key = key',
	1000, 240_000);
costs('a few rows', 'SELECT * FROM api_keys LIMIT 10', 1, 1000);
costs(
	'production keys joined with their tokens',
	"SELECT count(token) FROM api_keys JOIN auth_tokens ON api_key = id "
	  . "WHERE type = 'production'", 110, 100_000);
costs(
	'several workspaces',
	'SELECT count(api_key_name) FROM ('
	  . join(' UNION ALL ', map { "SELECT * FROM w$_.api_keys" } 1 .. 4)
	  . ') AS k', 40, 300_000);

# ---- columns

# A row of 16 MB, of which a table shows as many values as it can have columns.
my $ncolumns = 1590;
my $row = join(',',
	(map { "\"m$_\":\"v\"" } 1 .. $ncolumns),
	('"other":"value"') x 1_000_000);
my $reply = '{"result":{"status":"success","data":[{"id":"k",' . $row . '}]}}';
my $zipped;

gzip(\$reply => \$zipped) or die;
$api->faults(
	[
		{
			endpoint => 'apikeys/get',
			do => {
				status => 200,
				body_base64 => encode_base64($zipped, ''),
				headers => { 'content-encoding' => 'gzip' }
			}
		}
	]);
for ([ narrow => 1 ], [ wide => $ncolumns ])
{
	my ($table, $n) = @$_;

	$session->query("CREATE FOREIGN TABLE $table ("
		  . join(', ',
			map { "m$_ text OPTIONS (json_pointer '/m$_')" } 1 .. $n)
		  . ") SERVER w1 OPTIONS (resource 'api_keys')");
}

# What the backend has used of a processor, in ms.
sub cpu_ms
{
	my $stat = slurp_file('/proc/' . $session->pid . '/stat');
	my @fields = split ' ', $stat =~ s/.*\) //sr;

	return ($fields[11] + $fields[12]) * 1000 / sysconf(_SC_CLK_TCK);
}

# How much of that a query takes, the least of three times.
sub query_cpu_ms
{
	my ($query) = @_;
	my $least;

	for (1 .. 3)
	{
		my $before = cpu_ms();

		is($session->value($query), '1', $query);
		my $ms = cpu_ms() - $before;
		$least = $ms if !defined $least || $ms < $least;
	}
	return $least;
}

my $narrow = query_cpu_ms('SELECT count(t) FROM narrow AS t');
my $wide = query_cpu_ms('SELECT count(t) FROM wide AS t');
cmp_ok($wide, '<', 3 * $narrow + 200,
	"$ncolumns values of a row take $wide ms, where one takes $narrow");
$api->faults([]);

# ---- instructions

# What gcc 12 makes of it takes 1,630: each row is scanned as it arrives and
# again when it is read.  Compilers differ.
my $most = 2000;
my $bench = abs_path("$FindBin::RealBin/../bench");
my $src = abs_path("$FindBin::RealBin/../../src");
my $program = tempdir() . '/rows';

system_or_bail('sh', '-c',
	"cc -std=gnu11 -O2 -D_GNU_SOURCE -I'$src' -o '$program' '$bench/rows.c' "
	  . "'$src'/client/*.c \$(pkg-config --cflags --libs libcurl json-c zlib)");
# no sanitizer that is loaded into all else works in there
my ($rows, $said) = run_command(
	[
		'env', '-u', 'LD_PRELOAD', 'valgrind', '--tool=callgrind', '--callgrind-out-file=/dev/null',
		'--toggle-collect=read_page', $program, '10'
	]);
my ($instructions) = $said =~ /Collected : ([0-9]+)/;
is($rows, 1000, 'rows are read under callgrind');
cmp_ok($instructions / 1000, '>', 100, 'which counts what they take');
cmp_ok($instructions / 1000, '<=', $most,
	"a row takes $most instructions at most");

done_testing();
