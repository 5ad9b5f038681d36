# velt_fdw beside what people use without it, and beside the floor: a bare
# libcurl program that fetches the same (floor.c).  All that are compared run
# in turn, against the simulator.
#
# Usage, in the environment of "test/run bench": report.pl DIRECTORY RUNS
# [WORK...].  Works: keys, tokens, lookup, limit, join, union, protocols,
# growth; all of them are written to DIRECTORY/results.md and results.svg, too.
#
# Each gets all its runs, the slowest too, which takes an hour and a quarter.
# For a quicker look, no rival begins a run that has used VELT_BENCH_SECONDS of
# a work already, or a peer VELT_BENCH_PEER_SECONDS (by default as many); each
# runs once in any case, and once before, to check its rows.

use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Utils;
use VeltBench;
use VeltResults;
use VeltSimulator;

my ($directory, $runs, @wanted) = @ARGV;
my $own_s = $ENV{VELT_BENCH_SECONDS} // 9**9;
my $peer_s = $ENV{VELT_BENCH_PEER_SECONDS} // $own_s;
my $key_columns = 'id, api_key_name, type';
my $token_columns = 'api_key, token, name, domains';

my $floor = VeltBench::compile($FindBin::RealBin, 'floor',
	'$(pkg-config --cflags --libs libcurl json-c zlib)');
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
$node->safe_psql('postgres', slurp_file("$FindBin::RealBin/peers.sql"));
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
	my ($options, $workspace, $columns, $from, $times) = @_;
	my ($session) = velt_session($options, $workspace);

	return VeltBench::query('velt_fdw', $session, $columns, $from, $times);
}

# What PostgreSQL itself takes: the query on a local table, of other rows.
sub local_rival
{
	my ($columns, $from, $times) = @_;
	my $rival = VeltBench::query('PostgreSQL, a local table',
		$node->background_psql('postgres'), $columns, $from, $times);

	$rival->{check} = sub { return };
	return $rival;
}

my %peer_names = (keepalive => 'plpython3u, kept connections, threads',
	urllib => 'plpython3u, urllib', script => 'curl, jq and \copy');

# A PL/Python peer in a session of its own.
sub python
{
	my ($kind, $columns, $from, $times, $at) = @_;
	my $session = $node->background_psql('postgres');

	$at //= $url;
	$from =~ s/KIND/'$kind', '$at'/g;
	my $rival =
	  VeltBench::query($peer_names{$kind}, $session, $columns, $from, $times);
	return { %$rival, peer => 1 };
}

# With the columns and the table that it loads.
sub script
{
	my ($columns, $from, @arguments) = @_;
	return script_at($url, $columns, $from, @arguments);
}

sub script_at
{
	my ($at, $columns, $from, @arguments) = @_;
	my $rival = VeltBench::program($peer_names{script}, $node, $columns, $from,
		"$FindBin::RealBin/peer.sh", $at, @arguments);

	return { %$rival, peer => 1 };
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

	VeltBench::check($rows, $api, @rivals);
	$api->config({ latency_ms => $latency_ms });
	VeltBench::race($runs, $rows, $own_s, $peer_s, $api, @rivals);
	$api->config({ latency_ms => 0 });
	note($work, $case, $rows, @rivals);
	return;
}

sub note
{
	my ($work, $case, $rows, @rivals) = @_;

	VeltBench::say_line($_)
	  for $results->add($work, $case, $rows, @rivals);
	$_->{end}->() for @rivals;
	return;
}

# ----------
# Works
# ----------

sub keys_work
{
	my $peer = "peer_keys(KIND, 'k100000', 'token')";

	for my $ms (0, 5, 20)
	{
		my $times = $ms == 0 ? 3 : 1;

		compare('keys', "100,000 keys, $ms ms", 100_000, $ms,
			floor_for($times, '', 'k100000'),
			velt({}, 'k100000', $key_columns, 'api_keys', $times),
			($ms == 0 ? parsing_floor($times) : ()),
			python('keepalive', $key_columns, $peer, $times),
			python('urllib', $key_columns, $peer, $times),
			script($key_columns, 'peer_keys', 'keys', 'k100000', 'token'));
	}
	return;
}

sub parsing_floor
{
	my ($times) = @_;
	return {
		%{ floor_for($times, '-j', 'k100000') }, name => 'floor and json-c' };
}

sub tokens_work
{
	for my $many (1, 8, 32)
	{
		my $peer = "peer_tokens(KIND, 'k1000', 'token', NULL, $many)";

		compare('tokens', "tokens of 1,000 keys, 20 ms, $many at once", 1000, 20,
			floor_for(1, "-t -c $many", 'k1000'),
			velt({ server => ["max_concurrency '$many'"] }, 'k1000',
				$token_columns, 'auth_tokens'),
			python('keepalive', $token_columns, $peer),
			python('urllib', $token_columns, $peer),
			script($token_columns, 'peer_tokens', 'tokens', $many, 'k1000', 'token'));
	}
	return;
}

# One of the PL/Python peers is asked as velt_fdw asks: for all at once; the
# other as one thinks of first: for each row.
sub lookup_work
{
	my $options = { server => ["max_concurrency '32'"] };
	my $at_once = "customers c JOIN %s(KIND, 'k1000', 'token', "
	  . '(SELECT array_agg(DISTINCT key) FROM customers), 32) x ON %s = c.key';
	my $by_row =
	  "customers c, LATERAL %s(KIND, 'k1000', 'token', ARRAY[c.key], 1) x";

	compare('lookup', '1,000 local rows joined with keys, 20 ms', 1000, 20,
		floor_for(1, '-k 1000 -c 32', 'k1000'),
		velt($options, 'k1000', $key_columns,
			'customers c JOIN api_keys k ON k.id = c.key'),
		python('keepalive', $key_columns, sprintf $at_once, 'peer_keys_named', 'id'),
		python('urllib', $key_columns, sprintf $by_row, 'peer_keys_named'),
		script($key_columns, 'customers c JOIN peer_keys k ON k.id = c.key',
			'named', 32, 'k1000', 'token'));
	compare('lookup', '1,000 local rows joined with tokens, 20 ms', 1000, 20,
		floor_for(1, '-t -k 1000 -c 32', 'k1000'),
		velt($options, 'k1000', $token_columns,
			'customers c JOIN auth_tokens t ON t.api_key = c.key'),
		python('keepalive', $token_columns, sprintf $at_once, 'peer_tokens', 'api_key'),
		python('urllib', $token_columns, sprintf $by_row, 'peer_tokens'),
		script($token_columns, 'customers c JOIN peer_tokens t ON t.api_key = c.key',
			'tokens-named', 32, 'k1000', 'token'));
	return;
}

# In the list of columns a function of PL/Python stops with the limit, in FROM
# it runs to its end.
sub limit_work
{
	my $peer = "peer_keys(KIND, 'k100000', 'token')";
	my $lazy = "(SELECT (k).* FROM (SELECT $peer AS k LIMIT 10) x) y";

	for my $ms (0, 5, 20)
	{
		compare('limit', "LIMIT 10 of 100,000 keys, $ms ms", 10, $ms,
			floor_for(20, '-o -s 10', 'k100000'),
			velt({}, 'k100000', $key_columns,
				'(SELECT * FROM api_keys LIMIT 10) x', 20),
			($ms == 0 ? local_rival('key', '(SELECT * FROM customers LIMIT 10) x', 20)
				: ()),
			python('keepalive', $key_columns, $lazy, 20),
			python('urllib', $key_columns, "(SELECT * FROM $peer LIMIT 10) x"),
			script($key_columns, 'peer_keys', 'first', 10, 'k100000', 'token'));
	}
	return;
}

sub join_work
{
	my $columns = 'api_key, api_key_name, token, name, domains';
	my $peer =
	  "(WITH k AS MATERIALIZED (SELECT * FROM peer_keys(KIND, 'k1000', 'token') "
	  . "WHERE type = 'production') SELECT k.api_key_name, t.* FROM k JOIN "
	  . "peer_tokens(KIND, 'k1000', 'token', (SELECT array_agg(id) FROM k), 8) t "
	  . 'ON t.api_key = k.id) x';

	compare('join', 'production keys (a tenth of 1,000) with their tokens, 20 ms',
		100, 20,
		floor_for(1, '-t -p -c 8', 'k1000'),
		velt({}, 'k1000', $columns,
			'api_keys k JOIN auth_tokens t ON t.api_key = k.id '
			  . "WHERE k.type = 'production'"),
		python('keepalive', $columns, $peer), python('urllib', $columns, $peer),
		script($columns, 'peer_keys k JOIN peer_tokens t ON t.api_key = k.id',
			'join', 8, 'k1000', 'token', 'production'));
	return;
}

sub union_work
{
	my @workspaces = map { "u$_" } 1 .. 4;
	my ($session, @names) = velt_session({}, @workspaces);
	my $ours = join ' UNION ALL ',
	  map { "SELECT id, api_key_name, type FROM $_.api_keys" } @names;
	my $list = join ', ', map { "'$_'" } @workspaces;
	my $one_by_one = join ' UNION ALL ',
	  map { "SELECT * FROM peer_keys(KIND, '$_', 'token')" } @workspaces;

	compare('union', '40,000 keys of four workspaces, 20 ms', 40_000, 20,
		floor_for(1, '', @workspaces),
		VeltBench::query('velt_fdw', $session, $key_columns, "($ours) x"),
		python('keepalive', $key_columns,
			"peer_keys_of_all(KIND, ARRAY[$list], 'token')"),
		python('urllib', $key_columns, "($one_by_one) x"),
		script($key_columns, 'peer_keys', 'keys', map { ($_, 'token') } @workspaces));
	return;
}

# The first query of a session, and the 100th: one request for one key.
# Without TLS it is the same server, by the same name.
sub protocols_work
{
	my $ready = $api->ready;
	my $plain = $ready->{cached_url} =~ s/127\.0\.0\.1/localhost/r;

	for my $protocol ([ 'plain HTTP', $plain ],
		[ 'TLS', $ready->{tls_http1_url}, $ready->{ca} ])
	{
		my ($name, $at, $ca) = @$protocol;
		my @rivals = (first_floor($at, $ca), first_velt($at, $ca),
			map { first_python($_, $at, $ca) } qw(keepalive urllib));

		for my $round (0 .. $runs)
		{
			for my $rival ($round % 2 ? @rivals : reverse @rivals)
			{
				my $figures = $rival->{run}->();
				# before, the answers have to come into nginx's cache
				push @{ $rival->{runs} }, $figures if $round > 0;
			}
		}
		VeltBench::say_line($_) for $results->add_protocol($name, @rivals);
	}
	return;
}

sub first_floor
{
	my ($at, $ca) = @_;
	my $options = '-k 1' . ($ca ? " -a $ca" : '');

	return {
		name => 'floor',
		run => sub {
			my $rival = VeltBench::floor($floor, 1, $options, $at, 'k1000 token');
			my @walls = map { $rival->{run}->()->{wall} } 1 .. 100;
			$rival->{end}->();
			return { first => $walls[0], later => $walls[-1] };
		}
	};
}

sub first_velt
{
	my ($at, $ca) = @_;
	my $options = { url => $at, server => [ $ca ? "sslrootcert '$ca'" : () ] };
	my ($session, $schema) = velt_session($options, 'k1000');

	$session->quit;
	return first_query('velt_fdw',
		"SELECT * FROM $schema.api_keys WHERE id = 'velt_api_key_000001'");
}

sub first_python
{
	my ($kind, $at, $ca) = @_;

	return first_query($peer_names{$kind},
		"SELECT * FROM peer_keys_named('$kind', '$at', 'k1000', 'token', "
		  . "ARRAY['velt_api_key_000001'], 1, "
		  . ($ca ? "'$ca'" : 'NULL') . ')');
}

# Each run in a new session, which has measured something else before.
sub first_query
{
	my ($name, $query) = @_;
	my $measure = "SELECT wall, nrows FROM measure(\$\$$query\$\$)";

	return {
		name => $name,
		run => sub {
			my $session = $node->background_psql('postgres');

			$session->query_safe('SELECT wall FROM measure($$SELECT 1$$)');
			my @walls;
			for (1 .. 100)
			{
				my ($wall, $rows) = split /\|/, $session->query_safe($measure);
				die "$name: $rows rows, not 1\n" if $rows != 1;
				push @walls, $wall;
			}
			$session->quit;
			return { first => $walls[0], later => $walls[-1] };
		}
	};
}

# From 1,000 to 1,000,000 rows.  nginx answers from a cache: a million keys
# are more than the simulator remembers, and making them up takes longer than
# to read.  What is asked for, the simulator has counted before.
sub growth_work
{
	for my $rows (1000, 10_000, 100_000, 1_000_000)
	{
		my @counted = growing($rows, $url);
		my @rivals = growing($rows, $api->ready->{cached_url});

		VeltBench::check($rows, $api, @counted);
		VeltBench::check($rows, $api, @rivals);
		for my $i (0 .. $#rivals)
		{
			@{ $rivals[$i] }{qw(requests bytes)} =
			  @{ $counted[$i] }{qw(requests bytes)};
			$counted[$i]->{end}->();
		}
		VeltBench::race($runs, $rows, $own_s, $peer_s, undef, @rivals);
		note('growth', VeltResults::number($rows) . ' keys', $rows, @rivals);
	}
	return;
}

sub growing
{
	my ($rows, $at) = @_;
	my $times = $rows < 100_000 ? 5 : 1;

	return (
		VeltBench::floor($floor, $times, $at, "k$rows", 'token'),
		velt({ url => $at }, "k$rows", $key_columns, 'api_keys', $times),
		(map { python($_, $key_columns, "peer_keys(KIND, 'k$rows', 'token')",
				$times, $at) } qw(keepalive urllib)),
		script_at($at, $key_columns, 'peer_keys', 'keys', "k$rows", 'token'));
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
