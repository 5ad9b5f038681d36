
# Queries that nobody would write, by sqlsmith: foreign tables, alone and
# joined with each other and with local ones.  Whatever they do, none may end
# in a crash or an internal error, and nothing may be left in flight.
#
# sqlsmith.pl [QUERIES [SEED]]

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VeltClient;
use VeltSimulator;
use VeltTest;

my $queries = $ARGV[0] // 20000;
my $seed = $ARGV[1] // int(rand(1_000_000));

# What the planner is left with; each takes its share of the queries.
my @plannings = (
	[ 'as it is', {} ],
	[ 'batches and nested loops',
		{ enable_hashjoin => 'off', enable_mergejoin => 'off' } ],
	[ 'no batches', { 'velt_fdw.enable_batch_join' => 'off' } ],
	[ 'merges', { enable_hashjoin => 'off', enable_nestloop => 'off' } ],
	[ 'joins by the thousand',
		{ enable_partitionwise_join => 'on', from_collapse_limit => 20,
			join_collapse_limit => 20 } ]);

# Internal errors that PostgreSQL's own functions raise, when asked for what
# does not exist.
my @of_postgres = (
	qr/^amvalidate, .*: cache lookup failed for operator class/,
	qr/^coerce_type, .*: failed to find conversion function from unknown/,
	qr/^intervaltypmod(?:out|leastfield), .*: invalid INTERVAL typmod/,
	qr/^xml_ereport, .*: invalid XPath expression/);

# Nodes of plans that the queries have to reach, or they prove nothing.
my @nodes = (
	'Foreign Scan',
	'Async Foreign Scan',
	'Custom Scan (Velt Batch Join)',
	'Relations:',
	'Velt Filter:');

# A second is as long as sqlsmith lets a query run.
my $seconds = 60 + $queries;

my $api = VeltSimulator->new(
	config => {
		latency_ms => 1,
		workspaces => {
			$workspace => { token => $token, keys => 120, tokens_per_key => 2 },
			other => { token => 'other', keys => 7, tokens_per_key => 1 }
		}
	});
my $node = start_node(
	conf => join "\n",
	'log_error_verbosity = verbose',
	'log_min_error_statement = error',
	"lc_messages = 'C'",
	# how each plan is shown is tried, too
	"shared_preload_libraries = 'auto_explain'",
	'auto_explain.log_min_duration = 0',
	'auto_explain.log_analyze = on',
	'auto_explain.log_timing = off',
	'auto_explain.log_verbose = on');

set_up();
hide_what_never_parses();
note "seed $seed";
for my $i (0 .. $#plannings)
{
	my ($name, $settings) = @{ $plannings[$i] };

	smith($name, $settings, int($queries / @plannings), $seed + $i);
}
look_at_log();
done_testing();

# ----------
# What the queries find
# ----------

# sqlsmith takes any column for any other of its type: short tables of few
# types make it join on keys.
sub set_up
{
	my $session = VeltClient->new($node);

	$session->query($_) for 'CREATE ROLE smith LOGIN',
	  'CREATE SCHEMA local', 'GRANT USAGE ON SCHEMA local TO smith';
	add_server($session, 'velt', options => { api_url => $api->url });
	add_server($session, 'other', options => { api_url => $api->url },
		mapping => { workspace_id => 'other', auth_token => 'other' });
	add_mapping($session, 'velt', user => 'smith');
	add_mapping($session, 'other', user => 'smith', workspace_id => 'other',
		auth_token => 'other');
	for my $statement (split /;\n/, tables())
	{
		$session->query($statement);
	}
	$session->query("GRANT USAGE ON SCHEMA $_ TO smith"),
	  $session->query("GRANT ALL ON ALL TABLES IN SCHEMA $_ TO smith")
	  for qw(velt other local);
	$session->query('ANALYZE velt.api_keys');
	$session->query('ANALYZE velt.auth_tokens');
	$session->close;
	return;
}

# sqlsmith 1.4 does not know what is a range: half of its queries would fail
# for that before there is a plan.  It finds functions and operators in the
# catalog, where they are removed; nothing else in here needs them.
sub hide_what_never_parses
{
	$node->safe_psql('postgres', <<'SQL');
CREATE TEMP TABLE hidden AS
    SELECT oid FROM pg_type
     WHERE typtype IN ('r', 'm')
        OR typname IN ('anyrange', 'anymultirange', 'anycompatiblerange',
                       'anycompatiblemultirange', 'anyenum', 'unknown');
DELETE FROM pg_operator WHERE oprleft IN (TABLE hidden)
    OR oprright IN (TABLE hidden);
DELETE FROM pg_proc
 WHERE prorettype IN (TABLE hidden)
    OR EXISTS (SELECT FROM unnest(proargtypes) AS argument
                WHERE argument IN (TABLE hidden));
SQL
	return;
}

sub tables
{
	return <<'SQL';
CREATE FOREIGN TABLE velt.k (id text) SERVER velt
    OPTIONS (resource 'api_keys');
CREATE FOREIGN TABLE velt.t (api_key varchar, domains text[]) SERVER velt
    OPTIONS (resource 'auth_tokens');
CREATE FOREIGN TABLE velt.cheap (id text) SERVER velt
    OPTIONS (resource 'api_keys', page_size '7');
CREATE FOREIGN TABLE velt.raw (raw jsonb OPTIONS (json_pointer ''),
    api_key text) SERVER velt OPTIONS (resource 'auth_tokens');
CREATE TABLE local.customers AS
    SELECT n, 'velt_api_key_' || lpad((n % 130)::text, 6, '0') AS api_key
      FROM generate_series(1, 300) n;
CREATE TABLE local.keys AS SELECT DISTINCT api_key FROM local.customers;
CREATE INDEX ON local.customers (api_key);
CREATE TABLE local.none (api_key text);
CREATE TABLE local.parts (id text, workspace_id text)
    PARTITION BY LIST (workspace_id);
CREATE TABLE local.part PARTITION OF local.parts FOR VALUES IN ('local');
CREATE FOREIGN TABLE velt.part PARTITION OF local.parts
    FOR VALUES IN ('workspace_demo') SERVER velt OPTIONS (resource 'api_keys');
CREATE FOREIGN TABLE other.part PARTITION OF local.parts
    FOR VALUES IN ('other') SERVER other OPTIONS (resource 'api_keys');
INSERT INTO local.part SELECT api_key, 'local' FROM local.keys LIMIT 5;
CREATE VIEW local.joined AS
    SELECT k.id, k.type, t.name, t.domains FROM velt.api_keys k
      LEFT JOIN velt.auth_tokens t ON t.api_key = k.id;
CREATE VIEW local.owned AS
    SELECT c.n, t.api_key FROM local.customers c
      JOIN velt.auth_tokens t USING (api_key);
CREATE VIEW local.unrestricted AS
    SELECT k.id FROM velt.api_keys k WHERE EXISTS (SELECT FROM velt.auth_tokens t
     WHERE t.api_key = k.id AND t.domains = '{}');
ANALYZE local.customers;
ANALYZE local.keys
SQL
}

# ----------
# The queries
# ----------

sub smith
{
	my ($name, $settings, $count, $number) = @_;
	my $options = join ' ', map { "-c $_=$settings->{$_}" } sort keys %$settings;
	my $log = '';

	local $ENV{PGOPTIONS} = $options;
	my $done = IPC::Run::run(
		[
			'sqlsmith', '--exclude-catalog', '--verbose', "--seed=$number",
			"--max-queries=$count",
			'--target=' . $node->connstr('postgres') . ' user=smith'
		],
		'>', \$log, '2>&1', IPC::Run::timeout($seconds));
	ok($done, "$name: $count queries, seed $number")
	  or diag(substr $log, -2000);
	note "$name: $1" if $log =~ /.*^(error rate: .*?)$/ms;
	wait_until_idle($api);
	is($api->stats('in_flight'), 0, "$name: no request in flight");
	is( $node->safe_psql('postgres', 'SELECT count(*) FROM pg_stat_activity'
			  . " WHERE usename = 'smith'"),
		0,
		"$name: no backend goes on");
	return;
}

# ----------
# What came of them
# ----------

sub look_at_log
{
	my (%count, %offence, %seen, $line);
	my $crashed = 0;

	open(my $log, '<', $node->logfile) or die "could not read the log: $!";
	while ($line = <$log>)
	{
		$crashed++ if $line =~ /terminated by signal|PANIC: /;
		index($line, $_) >= 0 && $seen{$_}++ for @nodes;
		next unless $line =~ /\b(?:ERROR|FATAL):  ([0-9A-Z]{5}): (.*)/;
		$count{$1}++;
		note_offence(\%offence, $2, $log) if $1 eq 'XX000';
	}
	close $log;
	note 'errors: ', join ', ',
	  map { "$_ $count{$_}" } sort { $count{$b} <=> $count{$a} } keys %count;
	note 'requests: ', $api->stats('requests.total');
	for my $node (@nodes)
	{
		ok($seen{$node}, "in plans: $node " . ($seen{$node} // 0));
	}
	is($crashed, 0, 'no server process has crashed');
	is(scalar keys %offence, 0, 'no internal error')
	  or diag(join "\n", sort(keys %offence),
		map { "\n$_\n$offence{$_}" } sort keys %offence);
	return;
}

# The first query for each message and place.
sub note_offence
{
	my ($offence, $message, $log) = @_;
	my ($location, $statement) = ('', '');

	while (my $line = <$log>)
	{
		$location = $1 if $line =~ /LOCATION:  (.*)/;
		last if $statement ne '' && $line !~ /^\t/;
		$statement .= $1 if $line =~ /(?:STATEMENT:  |^\t)(.*\n)/;
	}
	return if grep { "$location: $message" =~ $_ } @of_postgres;
	$offence->{"$message ($location)"} //= $statement;
	return;
}
