
# Statements that wait for rows of another session, and check them again once
# that has committed (EvalPlanQual), have the same result over foreign tables
# as over local copies of them, whatever the planner makes of them.
#
# VELT_TEST_FULL=1: 2,000 statements instead of 80; this takes minutes.
# VELT_TEST_SEED=n: other statements; a failure says of which seed it is.
# VELT_TEST_QUERIES=n: how many.
# VELT_TEST_QUERY=n: that one alone, with its plan.

use strict;
use warnings;

use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltRechecks;
use VeltTest;

my $default_seed = 1;
my $default_cases = 80;
my $full_cases = 2000;
my $most_reported = 3;
my $vacuum_every = 50;

my $full = $ENV{VELT_TEST_FULL};
my $seed = $ENV{VELT_TEST_SEED} // $default_seed;
my $only = $ENV{VELT_TEST_QUERY};
my $cases =
  $ENV{VELT_TEST_QUERIES} // ($full ? $full_cases : $default_cases);

# ----------
# Data
# ----------

sub key_id { return sprintf 'velt_api_key_%06d', $_[0]; }

# Keys without a type, and up to three tokens each.
my @keys = map {
	{
		id => key_id($_),
		apiKeyName => "Key $_",
		$_ % 7 ? (type => $_ % 2 ? 'testing' : 'production') : ()
	}
} 1 .. 20;
my %tokens = map {
	my $n = $_;
	(key_id($n) => [
			map { { token => "token-$n-$_", name => "Token $_", domains => [] } }
			  1 .. $n % 4
		])
} 1 .. 20;

# Of twelve customers one has no key and one a key that does not exist.
my $local_tables = q{
	CREATE SCHEMA shared;
	SET search_path = shared;
	CREATE TABLE customers (n int, g int, key text, v bigint, note text);
	CREATE INDEX ON customers (n);
	CREATE TABLE saved AS
	SELECT n, n % 3 AS g, CASE WHEN n = 5 THEN NULL WHEN n = 6 THEN 'none'
	       ELSE 'velt_api_key_' || lpad((n * 2 % 9 + 1)::text, 6, '0') END AS key,
	       n % 4 AS v, CASE n % 3 WHEN 0 THEN 'testing' END AS note
	  FROM generate_series(1, 12) n;
	CREATE FUNCTION tokens_of(text) RETURNS bigint LANGUAGE plpgsql STABLE
	  AS $$BEGIN RETURN (SELECT count(t.token) FROM api_keys k
		LEFT JOIN auth_tokens t ON t.api_key = k.id WHERE k.id = $1); END$$;
};

# ----------
# Sessions: one that changes rows, and two that wait for it, which differ in
# where they find the tables
# ----------

my $api = VeltSimulator->new(
	config => {
		workspaces =>
		  { $workspace => { key_list => \@keys, tokens => \%tokens } }
	});
my $node = start_node(
	conf => join "\n",
	'jit = off', 'statement_timeout = 20s', 'autovacuum = off',
	# a crash is one statement's failure
	'restart_after_crash = on');
my ($admin, $changer, $foreign, $local);

sub connect_all
{
	# one that came just before the server noticed a crash is lost again
	poll_until(
		'the server takes connections',
		sub {
			return eval {
				($admin, $changer, $foreign, $local) =
				  map { VeltClient->new($node) } 1 .. 4;
				$_->query('SET search_path = shared') for $admin, $changer;
				$foreign->query('SET search_path = velt, shared');
				$local->query('SET search_path = copies, shared');
				1;
			};
		});
	return;
}

connect_all();
$admin->query($local_tables);
add_server($admin, 'velt', options => { api_url => $api->url });
$admin->query('CREATE SCHEMA copies');
$admin->query("CREATE TABLE copies.$_ AS TABLE velt.$_; ANALYZE copies.$_")
  for qw(api_keys auth_tokens);

# ----------
# Running
# ----------

my %seen = (waited => 0, with_rows => 0, failed => {}, plans => {});

# Waits until the statement waits for the changed rows; false if it ends
# without.
sub waits_for_changes
{
	my ($session) = @_;
	my ($pid, $other) = ($session->pid, $changer->pid);
	my $waits;

	poll_until(
		'the statement waits or ends',
		sub {
			$waits = $admin->value(
				"SELECT $other = ANY (pg_blocking_pids($pid))") eq 't';
			return $waits || $session->has_answer;
		});
	return $waits;
}

# Returns the rows that the statement returns and those that it leaves in the
# table, as text.  Its changes are rolled back.
sub run
{
	my ($session, $case) = @_;

	$admin->query('DELETE FROM customers');
	$admin->query('INSERT INTO customers TABLE saved');
	$changer->query('BEGIN');
	$changer->query($_) for @{ $case->{changes} };
	$session->query('BEGIN');
	$session->query("SET LOCAL $_") for @{ $case->{settings} };
	$session->send($case->{sql});
	my $waited = waits_for_changes($session);
	$changer->query('COMMIT');
	my $result = $session->result;
	die "the server has crashed\n" if $result->{lost};
	my $error = $result->{error};
	my @table =
	  $error ? () : $session->query('SELECT * FROM customers');
	$session->query('ROLLBACK');
	return {
		waited => $waited,
		error => $error,
		sqlstate => ($error // {})->{sqlstate} // '',
		text => join "\n", ($error ? $error->{text} : ()),
		lines('returned', @{ $result->{rows} }), lines('left', @table)
	};
}

sub lines
{
	my ($name, @rows) = @_;

	return sort map { "$name: " . join ' | ', map { $_ // 'NULL' } @$_ } @rows;
}

# Runs a case over both; returns what differed, or nothing.
sub compare
{
	my ($case) = @_;
	my ($is, $expected) = map { run($_, $case) } $foreign, $local;

	$seen{waited}++ if $is->{waited};
	$seen{with_rows}++ if $expected->{text} =~ /^returned/m;
	$seen{failed}{"$expected->{text}\n$case->{sql}"} = 1
	  if $expected->{error};
	return if $is->{text} eq $expected->{text} && !$is->{error};
	return "foreign:\n$is->{text}\nlocal:\n$expected->{text}\n";
}

sub plan_of
{
	my ($case) = @_;

	$foreign->query('BEGIN');
	$foreign->query("SET LOCAL $_") for @{ $case->{settings} };
	my @lines =
	  map { $_->[0] } $foreign->query("EXPLAIN (COSTS OFF) $case->{sql}");
	$foreign->query('ROLLBACK');
	return join "\n", @lines;
}

# Counts scans and joins by kind and place: "tree" is what rows are checked in
# again, to which the subplans belong.
sub note_plan
{
	my ($plan) = @_;
	my ($tree, @below) =
	  split /^ *(?=(?:SubPlan|InitPlan|CTE) )/m, $plan;

	for my $part ([ tree => $tree ], map { [ subplan => $_ ] } @below)
	{
		my ($where, $text) = @$part;

		$seen{plans}{"$1 $where"}++ while $text =~ /Velt Join Type: (\w+)/g;
		# API keys with their tokens, in one scan
		$seen{plans}{"Joined $where"}++ if $text =~ /Relations: /;
		$seen{plans}{"Scan $where"}++ if $text =~ /Foreign Scan on/;
	}
	return;
}

my @reports;

for my $number ($only // 1 .. $cases)
{
	my $case = VeltRechecks::make($seed, $number);
	my $plan = '';
	my $difference = eval {
		$plan = plan_of($case);
		note_plan($plan);
		compare($case);
	};

	if ($@)
	{
		$difference = $@;
		connect_all();
	}
	push @reports, join "\n",
	  "VELT_TEST_SEED=$seed VELT_TEST_QUERY=$number",
	  (map { "SET $_;" } @{ $case->{settings} }),
	  (map { "other session: $_;" } @{ $case->{changes} }), "$case->{sql};",
	  $difference // '', $plan
	  if $difference || $only;
	$admin->query('VACUUM customers') if $number % $vacuum_every == 0;
	diag($reports[-1]) if $only;
}
is(scalar @reports, 0, 'the results are equal')
  or diag(join "\n", map { $_ // () } @reports[ 0 .. $most_reported - 1 ]);
is($api->stats('bad_requests'), 0, 'no bad request');
note("seed $seed: $cases statements, $seen{waited} waited, "
	  . "$seen{with_rows} with rows");
note(join ', ', map { "$_: $seen{plans}{$_}" } sort keys %{ $seen{plans} });

# ----------
# All of it was there
# ----------

unless ($only)
{
	# A statement that is an error here and there tests little.
	is(join("\n", sort keys %{ $seen{failed} }), '', 'the statements are valid');
	cmp_ok($seen{waited}, '>', $cases / 2, 'most of them wait');
	cmp_ok($seen{with_rows}, '>', $cases / 2, 'most of them have rows');
}
if (!$only && $seed eq $default_seed && $cases >= $default_cases)
{
	my @kinds = map { ("$_ tree", "$_ subplan") } qw(Inner Left Semi Anti Scan);

	is(join(', ', grep { !$seen{plans}{$_} } @kinds, 'Joined subplan'),
		'', 'every kind of scan and join was in every place');
	is(join("\n", VeltRechecks::unused()),
		'', 'every building block was used')
	  if $cases >= $full_cases;
}

done_testing();
