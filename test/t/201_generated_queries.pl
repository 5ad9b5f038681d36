
# Random queries have the same rows over foreign tables as over local copies
# of them, whatever the planner makes of them.
#
# VELT_TEST_SEED=n: other queries; a failure says of which seed it is.
# VELT_TEST_QUERIES=n: how many; a hundred take two seconds or three.
# VELT_TEST_FULL=1: very many.
# VELT_TEST_QUERY=n: that one alone, in every phase, with its plan.

use strict;
use warnings;

use List::Util qw(max);
use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltQueries;
use VeltTest;

my $default_seed = 1;
my $default_queries = $ENV{VELT_TEST_FULL} ? 10_000 : 500;
my $most_reported = 3;
my $most_rows_reported = 10;

my $seed = $ENV{VELT_TEST_SEED} // $default_seed;
my $only = $ENV{VELT_TEST_QUERY};
my $queries = $ENV{VELT_TEST_QUERIES} // $default_queries;

# ----------
# Data: whatever makes conditions interesting
# ----------

my $keys = 40;

sub key_id { return sprintf 'velt_api_key_%06d', $_[0]; }

# Names that are missing, null or empty; types that are missing or unknown.
sub key_row
{
	my ($n) = @_;
	my %row = (
		id => key_id($n),
		apiKeyName => "Key $n",
		type => $n % 2 ? 'testing' : 'production');

	delete $row{apiKeyName} if $n % 5 == 0;
	$row{apiKeyName} = undef if $n % 11 == 0;
	$row{apiKeyName} = '' if $n % 7 == 0;
	delete $row{type} if $n % 13 == 0;
	$row{type} = 'other' if $n % 17 == 0;
	return \%row;
}

# Keys without tokens, and tokens without names or domains.
sub token_rows
{
	my ($n) = @_;
	my @rows = map {
		{
			token => "token-$n-$_",
			name => "Token $_",
			domains => [ "example-$n.com", "app.example-$n.com" ]
		}
	} 1 .. $n % 4;

	delete $rows[0]->{name} if $n % 3 == 0 && @rows;
	$rows[-1]->{name} = '' if $n % 5 == 1 && @rows;
	$rows[0]->{domains} = [] if $n % 4 == 3;
	delete $rows[-1]->{domains} if $n % 6 == 1 && @rows;
	return \@rows;
}

my %data = (
	key_list => [ map { key_row($_) } 1 .. $keys ],
	tokens => { map { key_id($_) => token_rows($_) } 1 .. $keys },
	# listed, but asked for its tokens it is not there
	vanished => [ key_id(9) ]);

# Local rows: duplicates, NULLs, and keys that do not exist.
my $local_tables = q{
	CREATE SCHEMA shared;
	SET search_path = shared;
	CREATE TABLE customers AS
	SELECT CASE WHEN n % 9 = 0 THEN NULL
	            WHEN n % 7 = 0 THEN 'velt_api_key_099' || lpad(n::text, 3, '0')
	            WHEN n = 20 THEN ''
	            ELSE 'velt_api_key_' || lpad((n * 5 % 23 + 1)::text, 6, '0')
	       END AS key,
	       CASE WHEN n % 6 > 0 THEN 'Key ' || n % 8 END AS company,
	       (ARRAY['production', 'testing', NULL])[n % 3 + 1] AS plan,
	       CASE WHEN n % 5 > 0 THEN 'workspace_demo'
	            WHEN n > 10 THEN 'workspace_other' END AS workspace,
	       nullif(n % 10, 0) AS seats
	  FROM generate_series(1, 26) n
	 UNION ALL
	SELECT 'velt_api_key_000002', 'Key 2', 'production', 'workspace_demo', 2
	  FROM generate_series(1, 2);
	CREATE TABLE wanted (key text, note text);
	INSERT INTO wanted VALUES
	  ('velt_api_key_000003', 'Key 3'), ('velt_api_key_000003', ''),
	  ('velt_api_key_000008', NULL), ('velt_api_key_000099', 'unknown'),
	  ('', 'empty'), (NULL, 'Key 1');
	CREATE TABLE single AS
	SELECT 'velt_api_key_' || lpad((n * 3 % 43)::text, 6, '0') AS key,
	       CASE WHEN n % 4 > 0 THEN 'workspace_demo' END AS workspace,
	       'Key ' || n % 7 AS note, n
	  FROM generate_series(1, 20) n;
	CREATE TABLE ranged (LIKE single) PARTITION BY RANGE (n);
	CREATE TABLE ranged_low PARTITION OF ranged FOR VALUES FROM (1) TO (8);
	CREATE TABLE ranged_high
	  (gone text, note text, n int, key text, workspace text);
	ALTER TABLE ranged_high DROP gone;
	ALTER TABLE ranged
	  ATTACH PARTITION ranged_high FOR VALUES FROM (8) TO (20);
	CREATE TABLE ranged_others PARTITION OF ranged DEFAULT
	  PARTITION BY LIST (note);
	CREATE TABLE ranged_other PARTITION OF ranged_others DEFAULT;
	CREATE TABLE listed (LIKE single) PARTITION BY LIST (workspace);
	CREATE TABLE listed_demo PARTITION OF listed
	  FOR VALUES IN ('workspace_demo');
	CREATE TABLE listed_other PARTITION OF listed DEFAULT;
	CREATE TABLE inherited (LIKE single);
	CREATE TABLE inheriting (more text) INHERITS (inherited);
	INSERT INTO ranged SELECT * FROM single;
	INSERT INTO listed SELECT * FROM single;
	INSERT INTO inherited SELECT * FROM single WHERE n % 2 = 0;
	INSERT INTO inheriting SELECT * FROM single WHERE n % 2 = 1;
	ANALYZE customers, wanted, single, ranged, listed, inherited, inheriting;
	CREATE FUNCTION volatile_key() RETURNS text LANGUAGE plpgsql VOLATILE
	  AS $$BEGIN RETURN 'velt_api_key_000004'; END$$;
	CREATE FUNCTION stable_key(n int) RETURNS text LANGUAGE plpgsql STABLE
	  AS $$BEGIN RETURN (SELECT key FROM shared.wanted OFFSET n LIMIT 1);
	  END$$;
};

# Beside those that IMPORT makes.
my $foreign_tables = q{
	SET search_path = velt;
	CREATE FOREIGN TABLE key_kinds (
	  kind varchar OPTIONS (column_name 'type'),
	  workspace varchar OPTIONS (column_name 'workspace_id'),
	  gone int,
	  key varchar OPTIONS (column_name 'id'))
	  SERVER velt OPTIONS (resource 'api_keys', page_size '7');
	ALTER FOREIGN TABLE key_kinds DROP COLUMN gone;
	CREATE FOREIGN TABLE other_tokens (
	  domains text[], api_key text, workspace_id text)
	  SERVER other OPTIONS (resource 'auth_tokens');
	CREATE TABLE all_keys (workspace_id text, type text, id text)
	  PARTITION BY LIST (workspace_id);
	CREATE FOREIGN TABLE demo_keys (id text, type text, workspace_id text)
	  SERVER velt OPTIONS (resource 'api_keys');
	ALTER TABLE all_keys
	  ATTACH PARTITION demo_keys FOR VALUES IN ('workspace_demo');
	CREATE TABLE other_keys PARTITION OF all_keys DEFAULT;
	INSERT INTO other_keys VALUES
	  ('workspace_other', 'testing', 'velt_api_key_000003'),
	  ('workspace_other', 'testing', 'velt_api_key_000300');
	CREATE TABLE family (id text, type text);
	CREATE FOREIGN TABLE family_keys () INHERITS (family)
	  SERVER velt OPTIONS (resource 'api_keys');
	INSERT INTO family VALUES ('velt_api_key_000005', 'parent');
	CREATE COLLATION shared.loose
	  (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
	CREATE FOREIGN TABLE loose_keys (id text COLLATE shared.loose, type text)
	  SERVER velt OPTIONS (resource 'api_keys');
};

# ----------
# Two sessions, which differ in where they find the tables
# ----------

my $api = VeltSimulator->new(
	config => { workspaces => { $workspace => \%data } });
my $node = start_node(
	conf => join "\n",
	'jit = off', 'statement_timeout = 60s',
	"velt_test.key = '" . key_id(7) . "'",
	# plans can be shown in full
	'session_preload_libraries = auto_explain',
	'auto_explain.log_min_duration = 0', 'auto_explain.log_verbose = on',
	# a crash is one query's failure
	'restart_after_crash = on');
my $version = $node->pg_version->major;
my ($foreign, $local);

sub connect_both
{
	# one that came just before the server noticed a crash is lost again
	poll_until(
		'the server takes connections',
		sub {
			return eval {
				($foreign, $local) = map { VeltClient->new($node) } 1 .. 2;
				$foreign->query('SET search_path = velt, shared');
				$local->query('SET search_path = copies, shared');
				1;
			};
		});
	return;
}

connect_both();
$foreign->query($local_tables);
add_server($foreign, $_, options => { api_url => $api->url })
  for qw(velt other);
$foreign->query($foreign_tables);
$foreign->query('CREATE SCHEMA copies');
# with the same partitions and children, as a row tells of which it is
$foreign->query(q{
	CREATE TABLE copies.all_keys (LIKE velt.all_keys)
	  PARTITION BY LIST (workspace_id);
	CREATE TABLE copies.demo_keys PARTITION OF copies.all_keys
	  FOR VALUES IN ('workspace_demo');
	CREATE TABLE copies.other_keys PARTITION OF copies.all_keys DEFAULT;
	INSERT INTO copies.all_keys SELECT * FROM velt.all_keys;
	CREATE TABLE copies.family (LIKE velt.family);
	CREATE TABLE copies.family_keys () INHERITS (copies.family);
	INSERT INTO copies.family SELECT * FROM ONLY velt.family;
	INSERT INTO copies.family_keys SELECT * FROM velt.family_keys});
for my $table (qw(api_keys auth_tokens workspaces key_kinds other_tokens
	loose_keys))
{
	$foreign->query("CREATE TABLE copies.$table AS TABLE velt.$table");
}
connect_both();

my ($counts) = $local->query('SELECT (SELECT count(*) FROM api_keys),
	(SELECT count(*) FROM auth_tokens), (SELECT count(*) FROM workspaces)');
my $tokens = 0;
$tokens += @{ token_rows($_) } for grep { $_ != 9 } 1 .. $keys;
is_deeply($counts, [ $keys, $tokens, 1 ], 'the copies are complete');

# ----------
# Running
# ----------

# Rows as lines, or an error.
sub rows
{
	my ($session, $sql) = @_;

	$session->send($sql);
	my $result = $session->result;
	die "the server has crashed in: $sql\n" if $result->{lost};
	return { error => $result->{error} } if $result->{error};
	return {
		rows => [
			map { join ' | ', map { $_ // 'NULL' } @$_ } @{ $result->{rows} }
		]
	};
}

# The statements that give a query's rows, prepared if it has parameters.
sub statements
{
	my ($session, $query, $name) = @_;

	return $query->{$name} unless @{ $query->{types} };
	my $prepared = rows($session, "PREPARE generated_$name ("
		  . join(', ', @{ $query->{types} })
		  . ") AS $query->{$name}");

	# what is wrong with it, its execution would not show
	return $query->{$name} if $prepared->{error};
	return map { "EXECUTE generated_$name (" . join(', ', @$_) . ')' }
	  @{ $query->{executions} };
}

# What each execution comes to; locks are gone afterwards.
sub results
{
	my ($session, $query, $name) = @_;
	my @results;

	$session->query('BEGIN');
	$session->query("SET LOCAL $_") for @{ $query->{settings} };
	for my $statement (statements($session, $query, $name))
	{
		push @results, rows($session, $statement);
		$results[-1]->{statement} = $statement;
		last if $results[-1]->{error};
		push @results,
		  { %{ rows($session, $query->{after}) },
			statement => $query->{after} }
		  if $query->{after};
	}
	$session->query('ROLLBACK; DEALLOCATE ALL');
	return @results;
}

# Runs a query in both; returns what differed, or nothing.
sub compare
{
	my ($query, $seen) = @_;
	my @here = results($foreign, $query, 'sql');
	my @there = results($local, $query, 'sql');
	my @all =
	  $query->{order} eq 'part' ? results($local, $query, 'all') : ();

	for my $i (0 .. max($#here, $#there))
	{
		my $error = $there[$i]->{error};
		my $difference =
		  difference($query, $here[$i], $there[$i], $all[$i]);

		return $difference . "in: $here[$i]->{statement}\n" if $difference;
		$seen->{executed}++;
		$seen->{with_rows}++ if @{ $there[$i]->{rows} // [] };
		$seen->{failed}{"$error->{message}\n$query->{sql}"} = 1 if $error;
	}
	return;
}

sub difference
{
	my ($query, $here, $there, $all) = @_;

	if ($here->{error} || $there->{error})
	{
		my ($this, $that) =
		  map { $_ ? "$_->{sqlstate} $_->{text}" : '' }
		  map { $_->{error} } $here, $there;

		return if substr($this, 0, 5) eq substr($that, 0, 5);
		return "foreign: @{[ $this || 'no error' ]}\n"
		  . "local: @{[ $that || 'no error' ]}\n";
	}
	my ($is, $wanted) = ($here->{rows}, $there->{rows});
	return 'foreign: ' . @$is . ' rows, local: ' . @$wanted . " rows\n"
	  if $query->{order} eq 'part' && @$is != @$wanted;
	return differing_rows($is, $all->{rows}, 1)
	  if $query->{order} eq 'part';
	my $differing = differing_rows($is, $wanted, 0);
	return $differing if $differing || $query->{order} eq 'set';
	return "rows are in another order\n" if "@$is" ne "@$wanted";
	return;
}

# As multisets; "part": the second may have more.
sub differing_rows
{
	my ($is, $wanted, $part) = @_;
	my (%count, @more, @fewer);

	$count{$_}++ for @$is;
	$count{$_}-- for @$wanted;
	@more = grep { $count{$_} > 0 } sort keys %count;
	@fewer = grep { $count{$_} < 0 && !$part } sort keys %count;
	my @lines = (
		(map { "too many: $_ ($count{$_})\n" } @more),
		(map { "missing: $_ ($count{$_})\n" } @fewer));

	splice @lines, $most_rows_reported, @lines, "...\n"
	  if @lines > $most_rows_reported;
	return join '', @lines;
}

sub report
{
	my ($number, $query, $difference) = @_;
	my ($statement, $plan);

	$foreign->query('BEGIN');
	$foreign->query("SET LOCAL $_") for @{ $query->{settings} };
	($statement) = statements($foreign, $query, 'sql');
	$plan = eval { rows($foreign, "EXPLAIN (VERBOSE, COSTS OFF) $statement") };
	# a plan that is none took the server with it
	connect_both() unless $plan;
	my @lines = $plan ? @{ $plan->{rows} // [ $plan->{error}->{text} ] } : ();
	$foreign->query('ROLLBACK; DEALLOCATE ALL');
	return join "\n", "VELT_TEST_SEED=$seed VELT_TEST_QUERY=$number",
	  (map { "SET $_;" } @{ $query->{settings} }), "$query->{sql};",
	  $difference, @lines, '';
}

# ----------
# Phases: what the API leaves open, and what a plan depends on
# ----------

my $analyze = 'ANALYZE ' . join ', ', map { "velt.$_" }
  qw(api_keys auth_tokens workspaces key_kinds other_tokens loose_keys
  all_keys family demo_keys family_keys);

my @phases = (
	{ name => 'as documented', modes => {} },
	{
		name => 'unknown ids are an error, small pages, requests for free',
		modes => { unknown_ids => 'not_found' },
		sql => q{ALTER SERVER velt OPTIONS (page_size '7', request_cost '0');
			ALTER SERVER other OPTIONS (request_cost '0', max_concurrency '2')}
	},
	{
		name => 'with statistics',
		modes => { order => 'shuffled' },
		sql => q{ALTER SERVER velt OPTIONS (DROP page_size, DROP request_cost);
			ALTER SERVER other OPTIONS (DROP request_cost); } . $analyze
	},
	{
		name => 'unknown ids are an error, with statistics',
		modes => {
			unknown_ids => 'not_found', page_cap => 15, error_http => '200'
		},
		sql => q{ALTER SERVER velt OPTIONS (request_cost '10')}
	});

sub run_phase
{
	my ($phase, $seen, @numbers) = @_;
	my @reports;

	$api->config({ modes => undef });
	$api->config({ modes => $phase->{modes} });
	$foreign->query($phase->{sql}) if $phase->{sql};
	for my $number (@numbers)
	{
		my $query = VeltQueries::make($seed, $number, $version);
		my $difference = eval { compare($query, $seen) };

		if ($@)
		{
			$difference = $@;
			connect_both();
		}

		push @reports, report($number, $query, $difference) if $difference;
		diag(report($number, $query, '')) if $only && !$difference;
	}
	is(scalar @reports, 0, "$phase->{name}: the rows are equal")
	  or diag(join "\n", map { $_ // () } @reports[ 0 .. $most_reported - 1 ]);
	is($api->stats('bad_requests'), 0, "$phase->{name}: no bad request");
	return;
}

my %seen = (executed => 0, with_rows => 0, failed => {});

for my $i (0 .. $#phases)
{
	run_phase($phases[$i], \%seen,
		$only // grep { $_ % @phases == $i } 1 .. $queries);
}
note("seed $seed: $seen{executed} executions, $seen{with_rows} with rows");

# ----------
# All of it was there
# ----------

unless ($only)
{
	# A query that is an error here and there tests little.
	is(join("\n", sort keys %{ $seen{failed} }), '', 'the queries are valid');
	cmp_ok($seen{with_rows}, '>', $seen{executed} / 2,
		'most of them have rows');
}
is(join("\n", VeltBlocks::unused()), '', 'every building block was used')
  if !$only && $seed eq $default_seed && $queries >= $default_queries;

done_testing();
