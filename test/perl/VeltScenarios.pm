
=pod

=head1 NAME

VeltScenarios - what sessions of a soak run, and what has to come of it

=head1 SYNOPSIS

  use VeltScenarios;

  my $scenarios = VeltScenarios->new($session, { hasty => 24, ... });
  my $scenario = $scenarios->draw($worker);    # name, servers, steps

A query is written once, and run twice: with <v> as the schema of the foreign
tables, and as that of local tables which have what the simulator makes up.

=cut

package VeltScenarios;

use strict;
use warnings;

use List::Util qw(shuffle);
use VeltTest;

our $tokens_per_key = 2;

# Of plans; without one of them something was not tried.
our @nodes = (
	'Foreign Scan',
	'Async Foreign Scan',
	'Custom Scan (Velt Batch Join)',
	'Relations:',
	'Velt Filter:');

# Every so many keys that queries name there is none.
my $unknown_every = 6;

# Name, how many in a round, and the sub that makes its steps.
my @scenarios = (
	[ 'a scan of pages', 3, \&scan ],
	[ 'a fan-out', 2, \&fan_out ],
	[ 'the workspace', 2, \&workspace_row ],
	[ 'a filter by id', 4, \&filter ],
	[ 'tokens by key', 4, \&tokens ],
	[ 'one scan of both tables', 3, \&joined ],
	[ 'a batched join', 3, \&batched ],
	[ 'LIMIT', 2, \&limited ],
	[ 'a cursor', 2, \&cursor ],
	[ 'a held cursor', 1, \&held_cursor ],
	[ 'ANALYZE', 1, \&analyzed ],
	[ 'IMPORT FOREIGN SCHEMA', 1, \&imported ],
	[ 'a prepared statement', 4, \&executed ],
	[ 'EXPLAIN', 2, \&explained ],
	[ 'velt_fdw_check', 1, \&checked ],
	[ 'velt_fdw_get_connections', 1, \&connections ],
	[ 'velt_fdw_disconnect', 1, \&disconnected ],
	[ 'a materialized view', 1, \&materialized ],
	[ 'partitions of two servers', 2, \&partitions ],
	[ 'failures behind savepoints', 2, \&savepoints ]);

# keys: by server, how many its workspace has
sub new
{
	my ($class, $session, $keys) = @_;
	my $self = bless { session => $session, keys => $keys, expected => {}, planned => {} },
	  $class;

	$self->make_copies($_) for sort keys %$keys;
	$self->make_tables;
	return $self;
}

sub planned { return $_[0]->{planned}; }

sub names { return map { $_->[0] } @scenarios; }

# All of them, in an order of its own for each session, over and over.
sub draw
{
	my ($self, $worker) = @_;
	my $deck = $worker->{deck} //= [];

	push @$deck, shuffle map { ($_) x $_->[1] } @scenarios unless @$deck;
	my ($name, undef, $make) = @{ shift @$deck };
	local $self->{server} = $worker->{server};
	my @steps = $make->($self, $worker);
	my %scenario = (name => $name, steps => \@steps);

	$scenario{servers} = [qw(patient hasty)] if $make == \&partitions;
	return \%scenario;
}

# ----------
# Tables
# ----------

sub workspace_of { return "ws_$_[0]"; }

# The simulator's data, as its README has them.
sub make_copies
{
	my ($self, $server) = @_;
	my $workspace = workspace_of($server);
	my $copy = "copy_$server";

	$self->{session}->query($_)
	  for "CREATE SCHEMA $copy",
	  "CREATE TABLE $copy.api_keys AS
		SELECT '${server}_' || lpad(n::text, 6, '0') AS id,
			'Key ' || n AS api_key_name,
			CASE WHEN n % 2 = 0 THEN 'production' ELSE 'testing' END AS type,
			'$workspace' AS workspace_id, n
		  FROM generate_series(1, $self->{keys}->{$server}) n",
	  "CREATE TABLE $copy.auth_tokens AS
		SELECT id AS api_key, left(encode(sha256(convert_to(
				format('%s/%s/%s', workspace_id, id, m), 'UTF8')), 'hex'), 32)
				AS token,
			'Token ' || m AS name,
			CASE WHEN n % 3 = 0 AND m = 1 THEN '{}' ELSE ARRAY[
				format('example-%s.com', n), format('app.example-%s.com', n)]
				END AS domains,
			workspace_id
		  FROM $copy.api_keys, generate_series(1, $tokens_per_key) m",
	  "CREATE TABLE $copy.workspaces AS
		SELECT '$workspace' AS id, 'Workspace $workspace' AS name,
			'owner\@example.com' AS owner_email,
			(SELECT jsonb_object_agg(id, 1) FROM $copy.api_keys) AS api_key_list";
	return;
}

sub make_tables
{
	my ($self) = @_;
	my $session = $self->{session};
	my @servers = sort keys %{ $self->{keys} };

	$session->query('CREATE SCHEMA local');
	$session->query('CREATE TABLE local.customers (n int, server text, api_key text)');
	# some twice, some unknown, some NULL
	$session->query("INSERT INTO local.customers
		SELECT n, '$_', CASE WHEN n % 9 > 0
			THEN '${_}_' || lpad((n % 20 * 2)::text, 6, '0') END
		  FROM generate_series(1, 40) n") for @servers;
	$session->query('ANALYZE local.customers');
	$session->query("CREATE TABLE local.$_ (id text, type text, workspace_id text)"
		  . ' PARTITION BY LIST (workspace_id)') for qw(parts copies);
	for my $server (qw(patient hasty))
	{
		my $bound = "FOR VALUES IN ('" . workspace_of($server) . "')";

		$session->query("CREATE FOREIGN TABLE local.${server}_part PARTITION OF
			local.parts $bound SERVER $server OPTIONS (resource 'api_keys')");
		$session->query("CREATE TABLE local.${server}_copy PARTITION OF local.copies $bound");
		$session->query("INSERT INTO local.copies
			SELECT id, type, workspace_id FROM copy_$server.api_keys");
	}
	for my $server (@servers)
	{
		$session->query("CREATE FOREIGN TABLE $server.wrong (id integer)
			SERVER $server OPTIONS (resource 'api_keys')");
		$session->query("CREATE FOREIGN TABLE $server.few (id text) SERVER $server
			OPTIONS (resource 'api_keys', page_size '5', max_requests '2')");
	}
	return;
}

# What a session begins with.
sub preparations
{
	my ($self, $worker) = @_;
	my $v = $worker->{server};
	my $view = "local.view_$worker->{number}";

	return (
		"SET client_min_messages = 'warning'",
		"CREATE MATERIALIZED VIEW IF NOT EXISTS $view AS
			SELECT k.id, k.type, count(t.token) AS tokens FROM $v.api_keys k
			  LEFT JOIN $v.auth_tokens t ON t.api_key = k.id
			 GROUP BY k.id, k.type WITH NO DATA",
		"PREPARE key_of(text) AS SELECT id, type FROM $v.api_keys WHERE id = \$1",
		"PREPARE tokens_of(text[]) AS SELECT api_key, token FROM $v.auth_tokens
			WHERE api_key = ANY (\$1)",
		"PREPARE of_type(text) AS SELECT k.id, t.name FROM $v.api_keys k
			JOIN $v.auth_tokens t ON t.api_key = k.id WHERE k.type = \$1");
}

# ----------
# Steps
# ----------

# Of a query or another statement, with the server's names in it.
sub named
{
	my ($self, $sql, $schema) = @_;

	$sql =~ s/<v>/$schema \/\/ $self->{server}/ge;
	$sql =~ s/<s>/$self->{server}/g;
	return $sql;
}

sub text { return join "\n", sort map { join '|', map { $_ // '~' } @$_ } @{ $_[0] }; }

# What the local tables have.
sub expected
{
	my ($self, $sql) = @_;
	my $query = $self->named($sql, "copy_$self->{server}");

	return $self->{expected}->{$query} //= text([ $self->{session}->query($query) ]);
}

# Exactly these rows, by the same query of the local tables, or another.
sub rows
{
	my ($self, $sql, $as) = @_;
	my $expected = $self->expected($as // $sql);

	return {
		sql => $self->named($sql),
		check => sub {
			my $rows = text($_[0]);
			return if $rows eq $expected;
			return "not the right rows:\n$rows\nbut:\n$expected";
		}
	};
}

# Only that it is done.
sub done { return { sql => $_[0]->named($_[1]) }; }

sub fails { return { sql => $_[0]->named($_[1]), fails => $_[2] }; }

sub shows
{
	my ($self, $sql, $pattern) = @_;

	return {
		sql => $self->named($sql),
		check => sub {
			my $text = join "\n", map { $_->[0] } @{ $_[0] };
			return $text =~ $pattern ? undef : "not like $pattern:\n$text";
		}
	};
}

# Rows of the column id that are all there are, or so many of them; none that
# was seen before.
sub some_keys
{
	my ($self, $sql, $count, $seen) = @_;
	my %known = map { ($_ => 1) } split /\n/, $self->expected('SELECT id FROM <v>.api_keys');

	return {
		sql => $self->named($sql),
		check => sub {
			my @ids = map { $_->[0] } @{ $_[0] };
			return "not $count rows" if @ids != $count;
			return 'a row twice' if grep { $seen->{$_}++ } @ids;
			return 'an unknown row' if grep { !$known{$_} } @ids;
			return;
		}
	};
}

# ----------
# Values
# ----------

sub key
{
	my ($self) = @_;
	my $n = 1 + int rand $self->{keys}->{ $self->{server} };

	$n += 100_000 if rand() < 1 / $unknown_every;
	return sprintf '%s_%06d', $self->{server}, $n;
}

sub keys_list { return map { $_[0]->key } 1 .. $_[1]; }

sub in_quotes { return join ', ', map { literal($_) } @_; }

sub one_of { return $_[ rand @_ ]; }

# ----------
# The scenarios
# ----------

sub scan
{
	return $_[0]->rows(
		'SELECT id, api_key_name, type, workspace_id FROM <v>.api_keys');
}

sub fan_out
{
	return $_[0]->rows(
		'SELECT api_key, token, name, domains, workspace_id FROM <v>.auth_tokens');
}

sub workspace_row
{
	return $_[0]->rows('SELECT id, name, owner_email,
		(SELECT count(*) FROM jsonb_object_keys(api_key_list)) FROM <v>.workspaces');
}

sub filter
{
	my ($self) = @_;
	my ($one, $other, @more) = $self->keys_list(2 + int rand 4);

	return $self->rows('SELECT id, type FROM <v>.api_keys WHERE '
		  . one_of(
			'id = ' . literal($one),
			"id = '$one' OR id = '$other'",
			'id IN (' . in_quotes($one, $other, @more) . ')',
			"id IN (" . in_quotes($one, $other) . ") AND type = 'testing'"));
}

sub tokens
{
	my ($self) = @_;
	my @list = $self->keys_list(1 + int rand 8);

	return $self->rows('SELECT api_key, token, domains FROM <v>.auth_tokens WHERE '
		  . one_of(
			'api_key = ' . literal($list[0]),
			"api_key = ANY ('{" . join(',', @list) . "}')",
			"api_key = ANY (ARRAY(SELECT id FROM <v>.api_keys
				WHERE type = 'production'))"));
}

sub joined
{
	return $_[0]->rows(
		one_of(
			"SELECT k.id, k.type, t.token FROM <v>.api_keys k
				JOIN <v>.auth_tokens t ON t.api_key = k.id
				WHERE k.type = 'production'",
			"SELECT k.id, t.name FROM <v>.api_keys k LEFT JOIN <v>.auth_tokens t
				ON t.api_key = k.id AND t.domains = '{}'",
			"SELECT k.id FROM <v>.api_keys k WHERE EXISTS (SELECT
				FROM <v>.auth_tokens t WHERE t.api_key = k.id AND t.domains = '{}')",
			"SELECT count(*), count(DISTINCT t.token) FROM <v>.api_keys k
				JOIN <v>.auth_tokens t ON t.api_key = k.id"));
}

sub batched
{
	return $_[0]->rows(
		one_of(
			"SELECT c.n, t.token FROM local.customers c
				JOIN <v>.auth_tokens t USING (api_key) WHERE c.server = '<s>'",
			"SELECT c.n, k.type FROM local.customers c
				LEFT JOIN <v>.api_keys k ON k.id = c.api_key
				WHERE c.server = '<s>' AND c.n < 12",
			"SELECT c.n FROM local.customers c WHERE c.server = '<s>' AND c.n < 8
				AND NOT EXISTS (SELECT FROM <v>.auth_tokens t
				WHERE t.api_key = c.api_key)",
			"SELECT count(*) FROM (SELECT c.n FROM local.customers c
				LEFT JOIN <v>.auth_tokens t USING (api_key)
				WHERE c.server = '<s>' LIMIT 5) s"));
}

sub limited
{
	my ($self) = @_;
	my $limit = 1 + int rand 22;

	return $self->some_keys("SELECT id FROM <v>.api_keys LIMIT $limit", $limit);
}

sub cursor
{
	my ($self) = @_;
	my $seen = {};
	my @steps = (
		$self->done('BEGIN'),
		$self->done('DECLARE c CURSOR FOR SELECT id FROM <v>.api_keys'),
		$self->some_keys('FETCH 3 FROM c', 3, $seen),
		one_of(scan($self), joined($self), filter($self)),
		$self->some_keys('FETCH 9 FROM c', 9, $seen));

	push @steps, $self->done('CLOSE c') if rand() < 0.5;
	return (@steps, $self->done(one_of('COMMIT', 'ROLLBACK')));
}

sub held_cursor
{
	my ($self) = @_;
	my $query = 'SELECT api_key, name FROM <v>.auth_tokens WHERE api_key IN ('
	  . in_quotes($self->keys_list(5)) . ')';

	return (
		$self->done('CLOSE ALL'),
		$self->done("DECLARE c CURSOR WITH HOLD FOR $query"),
		$self->rows('FETCH ALL FROM c', $query),
		$self->done('CLOSE c'));
}

sub analyzed
{
	my ($self) = @_;
	my $table = one_of('api_keys', 'auth_tokens');

	return (
		$self->done("ANALYZE <v>.$table"),
		$self->rows(
			"SELECT reltuples FROM pg_class WHERE oid = '<v>.$table'::regclass",
			"SELECT count(*) FROM <v>.$table"));
}

sub imported
{
	my ($self, $worker) = @_;
	my $schema = "import_$worker->{number}";

	return (
		$self->done('BEGIN'),
		$self->done("CREATE SCHEMA $schema"),
		$self->done("IMPORT FOREIGN SCHEMA workspace FROM SERVER <s> INTO $schema"),
		$self->rows("SELECT id FROM $schema.api_keys", 'SELECT id FROM <v>.api_keys'),
		$self->done('ROLLBACK'));
}

sub executed
{
	my ($self) = @_;
	my $key = literal($self->key);
	my $list = "'{" . join(',', $self->keys_list(1 + int rand 5)) . "}'";
	my $type = literal(one_of(qw(production testing)));

	return one_of(
		$self->rows("EXECUTE key_of($key)",
			"SELECT id, type FROM <v>.api_keys WHERE id = $key"),
		$self->rows("EXECUTE tokens_of($list)",
			"SELECT api_key, token FROM <v>.auth_tokens WHERE api_key = ANY ($list)"),
		$self->rows("EXECUTE of_type($type)",
			"SELECT k.id, t.name FROM <v>.api_keys k JOIN <v>.auth_tokens t
				ON t.api_key = k.id WHERE k.type = $type"));
}

# Also tells what the other scenarios' queries come to.
sub explained
{
	my ($self) = @_;
	my $query = one_of(\&joined, \&batched, \&filter, \&partitions)->($self)->{sql};

	return (
		{
			sql => "EXPLAIN (VERBOSE) $query",
			check => sub {
				my $plan = join "\n", map { $_->[0] } @{ $_[0] };

				index($plan, $_) >= 0 && $self->{planned}->{$_}++ for @nodes;
				return $plan =~ /Velt Endpoint: POST/ ? undef : "it shows $plan";
			}
		},
		$self->shows('EXPLAIN (ANALYZE) SELECT * FROM <v>.api_keys',
			qr/Velt Requests: [1-9]/));
}

# A step that fails is a row, which begins with an SQLSTATE.
sub checked
{
	my ($self) = @_;

	return {
		sql => $self->named("SELECT * FROM velt_fdw_check('<s>')"),
		check => sub {
			my ($rows, $is_allowed) = @_;
			my ($step, $ok, $detail) = @{ $rows->[-1] // [ '', 't', '' ] };

			return $step eq 'auth' ? undef : "it ends with \"$step\"" if $ok eq 't';
			return "$step: $detail"
			  unless $detail =~ /^([0-9A-Z]{5}):/ && $is_allowed->($1);
			return;
		}
	};
}

sub connections
{
	my ($self) = @_;

	return {
		sql => 'SELECT server_name, workspace_id, open_connections, requests,
			retries, bytes_received FROM velt_fdw_get_connections()',
		check => sub {
			my %seen;

			for my $row (@{ $_[0] })
			{
				my ($server, undef, $open, $requests, $retries, $bytes) = @$row;

				return "$server twice" if $seen{$server}++;
				return join ' ', @$row
				  if $open < 0 || $open > 64 || $retries > $requests || $bytes < 0;
			}
			return;
		}
	};
}

# One backend keeps what it has for as long as it lives.
sub disconnected
{
	my ($self, $worker) = @_;
	my $all = rand() < 0.5;
	my $which = $all ? '' : "WHERE server_name = '<s>'";

	return connections($self) if $worker->{number} == 1;
	return (
		$self->done($all ? 'SELECT velt_fdw_disconnect_all()'
			: "SELECT velt_fdw_disconnect('<s>')"),
		$self->rows("SELECT server_name FROM velt_fdw_get_connections() $which",
			'SELECT LIMIT 0'));
}

sub materialized
{
	my ($self, $worker) = @_;
	my $view = "local.view_$worker->{number}";

	return (
		$self->done("REFRESH MATERIALIZED VIEW $view"),
		$self->rows("SELECT id, type, tokens FROM $view",
			"SELECT id, type, $tokens_per_key FROM <v>.api_keys"));
}

sub partitions
{
	my ($self) = @_;

	return $self->rows(
		'SELECT id, type, workspace_id FROM local.parts',
		'SELECT id, type, workspace_id FROM local.copies');
}

sub savepoints
{
	my ($self) = @_;

	return (
		$self->done('BEGIN'),
		$self->done('SAVEPOINT s'),
		$self->fails('SELECT id FROM <v>.wrong', '22P02'),
		$self->done('ROLLBACK TO s'),
		filter($self),
		$self->done('SAVEPOINT t'),
		$self->fails('SELECT id FROM <v>.few', '54000'),
		$self->done('ROLLBACK TO s'),
		tokens($self),
		$self->done(one_of('COMMIT', 'ROLLBACK')));
}

1;
