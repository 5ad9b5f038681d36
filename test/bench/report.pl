# velt_fdw beside what people use without it, and beside the floor: a bare
# libcurl program that fetches the same (floor.c).  All that are compared run
# in turn, against the simulator.
#
# Usage, in the environment of "test/run bench": report.pl DIRECTORY RUNS
# [WORK...].  Works: keys, tokens, lookup, limit, join, union, protocols,
# growth; all of them are written to DIRECTORY/results.md and results.svg, too.
#
# What is slow gets fewer runs: none begins after it has used
# VELT_BENCH_SECONDS (600) of a work, or a peer VELT_BENCH_PEER_SECONDS (60).

use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Utils;
use VeltBench;
use VeltResults;
use VeltSimulator;

my ($directory, $runs, @wanted) = @ARGV;
my $own_s = $ENV{VELT_BENCH_SECONDS} // 600;
my $peer_s = $ENV{VELT_BENCH_PEER_SECONDS} // 60;
my $keys_of = 'count(id), count(api_key_name), count(type)';
my $tokens_of = 'count(token), count(name), count(domains)';

my $floor = VeltBench::compile($FindBin::RealBin, 'floor',
	'$(pkg-config --cflags --libs libcurl json-c)');
my $api = VeltSimulator->new(
	config => {
		workspaces => {
			(map { ("k$_" => { token => 'token', keys => $_,
						production_every => 10 }) }
				1000, 10_000, 100_000, 1_000_000),
			(map { ("u$_" => { token => 'token', keys => 10_000 }) } 1 .. 4)
		}
	},
	nginx => PostgreSQL::Test::Utils::tempdir_short(),
	nginx_cache => 1);
my $url = $api->url;
my $node = VeltBench::start_node($FindBin::RealBin);
$node->safe_psql('postgres', slurp_file("$FindBin::RealBin/peers.sql") . q{
	CREATE TABLE peer_keys (id text, api_key_name text, type text);
	CREATE TABLE peer_tokens (api_key text, token text, name text, domains text[]);
	CREATE FUNCTION wanted() RETURNS text[] LANGUAGE sql AS
		$$ SELECT array_agg('velt_api_key_' || to_char(n * 7 % 1000 + 1, 'FM000000'))
		   FROM generate_series(1, 1000) n $$;
	CREATE TABLE customers AS SELECT unnest(wanted()) AS key;
	ANALYZE customers;
});
@ENV{qw(PGHOST PGPORT PGDATABASE)} = ($node->host, $node->port, 'postgres');
my $results = VeltResults->new($runs, $own_s, $peer_s);
my $nservers = 0;

# ----------
# Who takes part
# ----------

# A session of its own, with a server for each workspace: the first's tables
# are in its path, the others' in schemas of their names.
sub velt_session
{
	my ($options, @workspaces) = @_;
	my $number = ++$nservers;
	my @names = map { "s${number}_$_" } @workspaces;

	VeltBench::add_server($node, $names[$_], $options->{url} // $url,
		$workspaces[$_], 'token', @{ $options->{server} // [] })
	  for 0 .. $#workspaces;
	my $session = VeltBench::session($node, $names[0]);
	$session->query_safe('SET search_path = ' . join ', ', $names[0], 'public');
	return ($session, @names);
}

sub velt
{
	my ($options, $workspace, $query, $times) = @_;
	my ($session) = velt_session($options, $workspace);

	return VeltBench::query('velt_fdw', $session, $query, $times);
}

# What PostgreSQL itself takes: the query on a local table.
sub local_rival
{
	my ($query, $times) = @_;

	return VeltBench::query('PostgreSQL, a local table',
		$node->background_psql('postgres'), $query, $times);
}

my %peer_names = (keepalive => 'plpython3u, kept connections, threads',
	urllib => 'plpython3u, urllib', script => 'curl, jq and \copy');

# A PL/Python peer in a session of its own.
sub python
{
	my ($kind, $query) = @_;
	my $session = $node->background_psql('postgres');

	$query =~ s/KIND/'$kind', '$url'/g;
	return {
		%{ VeltBench::query($peer_names{$kind}, $session, $query) },
		peer => 1, kind => $kind
	};
}

sub script
{
	my (@arguments) = @_;
	my $rival = VeltBench::program($peer_names{script},
		"$FindBin::RealBin/peer.sh", $url, @arguments);

	return { %$rival, peer => 1, kind => 'script' };
}

sub floor_for
{
	my ($times, $options, @workspaces) = @_;
	return VeltBench::floor($floor, $times, $options, $url,
		map { "$_ token" } @workspaces);
}

# Races them at a latency, and notes the outcome.
sub compare
{
	my ($work, $case, $rows, $latency_ms, @rivals) = @_;

	$api->config({ latency_ms => $latency_ms });
	if ($latency_ms == 0)
	{
		$_->{warm} = 1 for grep { ($_->{kind} // '') ne 'script' } @rivals;
	}
	VeltBench::race($runs, $own_s, $peer_s, $api, @rivals);
	$api->config({ latency_ms => 0 });
	VeltBench::say_line($_)
	  for $results->add($work, $case, $rows, @rivals);
	return;
}

# ----------
# Works
# ----------

sub keys_work
{
	my $peer = "SELECT $keys_of FROM peer_keys(KIND, 'k100000', 'token')";

	# where no latency drowns it, the second run in a row is the steady one
	for my $ms (0, 5, 20)
	{
		compare('keys', "100,000 keys, $ms ms", 100_000, $ms,
			floor_for($ms == 0 ? 2 : 1, '', 'k100000'),
			velt({}, 'k100000', "SELECT $keys_of FROM api_keys",
				$ms == 0 ? 2 : 1),
			($ms == 0 ? parsing_floor() : ()),
			python('keepalive', $peer), python('urllib', $peer),
			($ms == 5 ? () : script('keys', 'k100000', 'token')));
	}
	return;
}

sub parsing_floor
{
	return { %{ floor_for(2, '-j', 'k100000') }, name => 'floor and json-c' };
}

sub tokens_work
{
	for my $many (1, 8, 32)
	{
		my $peer = "SELECT $tokens_of FROM peer_tokens(KIND, 'k1000', 'token',"
		  . " (SELECT array_agg(id) FROM peer_keys(KIND, 'k1000', 'token')), $many)";
		$peer =~ s/count\(token\)/count(auth_token)/;
		compare('tokens', "tokens of 1,000 keys, 20 ms, $many at once", 1000, 20,
			floor_for(1, "-t -c $many", 'k1000'),
			velt({ server => ["max_concurrency '$many'"] }, 'k1000',
				"SELECT $tokens_of FROM auth_tokens"),
			python('keepalive', $peer),
			($many == 1 ? python('urllib', $peer) : ()),
			script('tokens', $many, 'k1000', 'token'));
	}
	return;
}

sub lookup_work
{
	my $options = { server => ["max_concurrency '32'"] };
	my $keys = "SELECT $keys_of FROM customers c, LATERAL "
	  . "peer_key(KIND, 'k1000', 'token', c.key)";
	my $tokens = "SELECT count(auth_token), count(name), count(domains) FROM "
	  . "customers c, LATERAL peer_tokens(KIND, 'k1000', 'token', ARRAY[c.key], 1)";

	compare('lookup', '1,000 local rows joined with keys, 20 ms', 1000, 20,
		velt($options, 'k100000',
			"SELECT $keys_of FROM customers c JOIN api_keys k ON k.id = c.key"),
		python('keepalive', $keys), python('urllib', $keys));
	compare('lookup', '1,000 local rows joined with tokens, 20 ms', 1000, 20,
		floor_for(1, '-t -c 32', 'k1000'),
		velt($options, 'k1000',
			"SELECT $tokens_of FROM customers c JOIN auth_tokens t ON t.api_key = c.key"),
		python('keepalive', $tokens), python('urllib', $tokens));
	return;
}

sub limit_work
{
	my $ten_of = 'SELECT count(*) FROM (SELECT * FROM %s LIMIT 10) x';
	my $peer = sprintf $ten_of, "peer_keys(KIND, 'k100000', 'token')";

	for my $ms (0, 5, 20)
	{
		# a session's first is another work
		compare('limit', "LIMIT 10 of 100,000 keys, $ms ms", 10, $ms,
			floor_for(20, '-o -s 10', 'k100000'),
			velt({}, 'k100000', sprintf($ten_of, 'api_keys'), 20),
			($ms == 0 ?
				(local_rival(sprintf($ten_of, 'customers'), 20),
					python('keepalive', $peer)) : ()));
	}
	return;
}

sub join_work
{
	my $peer =
	  'SELECT count(auth_token), count(name), count(domains) FROM '
	  . "peer_tokens(KIND, 'k1000', 'token', (SELECT array_agg(id) FROM "
	  . "peer_keys(KIND, 'k1000', 'token') WHERE type = 'production'), 8)";

	compare('join', 'production keys (a tenth of 1,000) with their tokens, 20 ms',
		100, 20,
		floor_for(1, '-t -p -c 8', 'k1000'),
		velt({}, 'k1000',
			"SELECT $tokens_of FROM (SELECT k.id, k.api_key_name, t.token, "
			  . 't.name, t.domains FROM api_keys k JOIN auth_tokens t '
			  . "ON t.api_key = k.id WHERE k.type = 'production') x"),
		python('keepalive', $peer), python('urllib', $peer),
		script('tokens', 8, 'k1000', 'token', 'production'));
	return;
}

sub union_work
{
	my @workspaces = map { "u$_" } 1 .. 4;
	my ($session, @names) = velt_session({}, @workspaces);
	my $ours = join ' UNION ALL ',
	  map { "SELECT id, api_key_name, type FROM $_.api_keys" } @names;
	my $peer = join ' UNION ALL ',
	  map { "SELECT * FROM peer_keys(KIND, '$_', 'token')" } @workspaces;

	compare('union', '40,000 keys of four workspaces, 20 ms', 40_000, 20,
		floor_for(1, '', @workspaces),
		VeltBench::query('velt_fdw', $session, "SELECT $keys_of FROM ($ours) x"),
		python('keepalive', "SELECT $keys_of FROM ($peer) x"),
		python('urllib', "SELECT $keys_of FROM ($peer) x"),
		script('keys', map { ($_, 'token') } @workspaces));
	return;
}

# The first query of a session, and the 100th.
sub protocols_work
{
	my $ca = $api->ready->{ca};
	my @protocols = (
		[ 'plain HTTP', $url, '' ],
		[ 'TLS, HTTP/1.1', $api->ready->{tls_http1_url}, "-a $ca" ],
		[ 'TLS, HTTP/2', $api->ready->{tls_url}, "-a $ca" ]);

	for my $protocol (@protocols)
	{
		my ($name, $at, $options) = @$protocol;
		my %times = map { $_ => [] } qw(floor velt_fdw);

		for (1 .. $runs)
		{
			my @lines = qx{'$floor' -n 100 -o -s 1 $options $at k1000 token};
			push @{ $times{floor} }, [ map { (split ' ')[2] } @lines[ 0, 99 ] ];
			my ($session) = velt_session(
				{ url => $at, server => [ $ca ? "sslrootcert '$ca'" : () ] },
				'k1000');
			my $query = 'SELECT time_of($$SELECT * FROM api_keys LIMIT 1$$)';
			$session->query_safe('SELECT time_of($$SELECT 1$$)');
			my $first = $session->query_safe($query);
			$session->query_safe("$query FROM generate_series(1, 98)");
			push @{ $times{velt_fdw} },
			  [ $first, $session->query_safe($query) ];
			$session->quit;
		}
		VeltBench::say_line($_) for $results->add_protocol($name, \%times);
	}
	return;
}

# From 1,000 to 1,000,000 rows: time, CPU, memory, time to first row; each in
# a session of its own.  nginx answers from a cache: a million keys are more
# than the simulator remembers, and making them up takes longer than to read.
sub growth_work
{
	my $cached = $api->ready->{cached_url};
	my %sources = (
		velt_fdw => 'api_keys',
		keepalive => "peer_keys('keepalive', '$cached', 'WORKSPACE', 'token')",
		urllib => "peer_keys('urllib', '$cached', 'WORKSPACE', 'token')");

	for my $rows (1000, 10_000, 100_000, 1_000_000)
	{
		my $floor_rival =
		  VeltBench::floor($floor, 1, $cached, "k$rows", 'token');

		$floor_rival->{warm} = 1;
		for my $who (qw(velt_fdw keepalive urllib))
		{
			my @figures;
			my $source = $sources{$who} =~ s/WORKSPACE/k$rows/r;
			my $most = $rows == 1_000_000 && $who ne 'velt_fdw' ? 1 : $runs;

			grow($rows, $cached, $source);
			push @figures, grow($rows, $cached, $source) for 1 .. $most;
			VeltBench::say_line(
				$results->add_growth($peer_names{$who} // $who, $rows, @figures));
		}
		VeltBench::race($runs, $own_s, $peer_s, $api, $floor_rival);
		VeltBench::say_line($results->add_growth('floor', $rows,
			@{ $floor_rival->{runs} }));
	}
	return;
}

sub grow
{
	my ($rows, $at, $source) = @_;
	my ($session) = velt_session({ url => $at }, "k$rows");
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	my $first = $session->query_safe(
		"SELECT time_of_first(\$\$SELECT * FROM $source\$\$)");
	my $cpu = VeltBench::cpu_us($pid);
	my $wall = $session->query_safe(
		"SELECT time_of(\$\$SELECT $keys_of FROM $source\$\$)");
	$cpu = VeltBench::cpu_us($pid) - $cpu;
	my $peak = VeltBench::memory_kb($pid, 'VmHWM');
	$session->quit;
	return { first => $first, wall => $wall, cpu => $cpu, peak => $peak };
}

my @works = (
	keys => \&keys_work, tokens => \&tokens_work, lookup => \&lookup_work,
	limit => \&limit_work, join => \&join_work, union => \&union_work,
	protocols => \&protocols_work, growth => \&growth_work);
my %works = @works;
for my $name (@wanted)
{
	die "there is no work \"$name\"\n" unless $works{$name};
}
for my $name (grep { !ref } @works)
{
	$works{$name}->() if !@wanted || grep { $_ eq $name } @wanted;
}
$results->write($directory, $node, $FindBin::RealBin) unless @wanted;
$node->stop;
