
=pod

=head1 NAME

VeltObjects - a database with all that can be made of foreign tables in it

=head1 SYNOPSIS

  use VeltObjects;

  make_roles($node);
  make_objects($node, 'production', $api, $file);   # a token's file
  works($node, 'production', $api);               # tests
  is_deeply(definitions($node, 'copy'), definitions($node, 'production'));

For tests of what carries databases elsewhere.

=cut

package VeltObjects;

use strict;
use warnings;

use Exporter qw(import);
use PostgreSQL::Test::Utils;
use Test::More;
use VeltClient;
use VeltTest;

our @EXPORT = qw(@secrets make_roles make_objects definitions
  requests_of works mappings_seen populated);

# Tokens: with all that may have to be quoted, and each another.
our @secrets = (q{first-'";\\$$--'-token}, 'second-token-0123456789',
	'third-token-0123456789');

# What is the cluster's, not a database's.
sub make_roles
{
	my ($node) = @_;

	$node->safe_psql('postgres', q{
		CREATE ROLE velt_owner;
		CREATE ROLE reader LOGIN;
		CREATE ROLE backup LOGIN IN ROLE pg_read_all_data;
		ALTER ROLE reader SET velt_fdw.enable_batch_join = off;
	});
	return;
}

# A database, which asks the simulator for workspaces 1, 2 and 3, the last one
# with a token in a file.  Makes requests for what is filled.
sub make_objects
{
	my ($node, $database, $api, $file) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$api->config(
		{
			workspaces => {
				map {
					(
						"workspace_$_" => {
							token => $secrets[ $_ - 1 ],
							keys => 10 * $_,
							key_prefix => "key-$_-"
						})
				} 1 .. 3
			}
		});
	write_file($file, "$secrets[2]\n");
	my $session = VeltClient->new($node, dbname => $database);
	make_servers($session, $api->url, $file);
	make_tables($session);
	make_uses($session);
	$session->close;
	return;
}

sub make_servers
{
	my ($session, $url, $file) = @_;
	my @names = qw(velt velt_public velt_file);

	# where no search path leads
	$session->query('CREATE SCHEMA extensions');
	$session->query('CREATE EXTENSION velt_fdw SCHEMA extensions');
	$session->query("CREATE SERVER $_ TYPE 'velt' FOREIGN DATA WRAPPER velt_fdw "
		  . option_list(api_url => $url, retry_timeout => '0',
			request_cost => '500', page_size => '50'))
	  for @names;
	$session->query(q{COMMENT ON SERVER velt IS 'the workspace''s'});
	$session->query('ALTER SERVER velt_public OWNER TO velt_owner');
	$session->query('GRANT USAGE ON FOREIGN SERVER velt TO reader');
	add_mapping($session, 'velt', user => $_,
		workspace_id => 'workspace_1', auth_token => $secrets[0])
	  for qw(CURRENT_USER velt_owner);
	add_mapping($session, 'velt_public', user => 'PUBLIC',
		workspace_id => 'workspace_2', auth_token => $secrets[1]);
	add_mapping($session, 'velt_file', user => 'CURRENT_USER',
		workspace_id => 'workspace_3', auth_token_file => $file);
	return;
}

sub make_tables
{
	my ($session) = @_;

	for my $name (qw(velt velt_file))
	{
		$session->query("CREATE SCHEMA $name");
		$session->query(
			"IMPORT FOREIGN SCHEMA workspace FROM SERVER $name INTO $name");
	}
	$session->query(q{
		CREATE SCHEMA local;
		CREATE TYPE local.key_type AS ENUM ('production', 'testing');
		CREATE FOREIGN TABLE local.kinds (
			"the Key" text OPTIONS (column_name 'id') NOT NULL,
			kind local.key_type OPTIONS (column_name 'type') DEFAULT 'testing',
			raw jsonb OPTIONS (json_pointer ''),
			CHECK (length("the Key") > 3)
		) SERVER velt OPTIONS (resource 'api_keys', page_size '20');
		COMMENT ON COLUMN local.kinds.raw IS 'all of it';
		CREATE TABLE local.every_key (workspace_id text, id text)
			PARTITION BY LIST (workspace_id);
		CREATE FOREIGN TABLE local.keys_2
			PARTITION OF local.every_key FOR VALUES IN ('workspace_2')
			SERVER velt_public
			OPTIONS (resource 'api_keys', workspace_id 'workspace_2');
		CREATE TABLE local.keys_of_others
			PARTITION OF local.every_key DEFAULT;
		INSERT INTO local.every_key VALUES ('workspace_0', 'key-0');
		GRANT USAGE ON SCHEMA velt, local TO velt_owner, reader;
		GRANT SELECT ON ALL TABLES IN SCHEMA velt TO velt_owner;
		GRANT SELECT (id, type) ON velt.api_keys TO reader});
	return;
}

# What people make of the tables.
sub make_uses
{
	my ($session) = @_;

	$session->query(q{
		CREATE VIEW local.production AS
			SELECT id, api_key_name FROM velt.api_keys
			 WHERE type = 'production';
		ALTER VIEW local.production OWNER TO velt_owner;
		GRANT SELECT ON local.production TO reader;
		CREATE VIEW local.invoked WITH (security_invoker) AS
			SELECT k.id, t.name FROM velt.api_keys k
			  LEFT JOIN velt.auth_tokens t ON t.api_key = k.id;
		CREATE FUNCTION local.keys() RETURNS bigint LANGUAGE sql STABLE
			BEGIN ATOMIC SELECT count(*) FROM velt.api_keys; END;
		CREATE FUNCTION local.tokens(text) RETURNS SETOF velt.auth_tokens
			LANGUAGE sql
			AS 'SELECT * FROM velt.auth_tokens WHERE api_key = $1';
		CREATE FUNCTION local.owners() RETURNS bigint
			LANGUAGE plpgsql SECURITY DEFINER
			SET velt_fdw.enable_batch_join = off AS
			'BEGIN RETURN (SELECT count(*) FROM velt.auth_tokens); END';
		ALTER FUNCTION local.owners() OWNER TO velt_owner;
		CREATE MATERIALIZED VIEW local.inventory AS
			SELECT id, type FROM velt.api_keys;
		CREATE UNIQUE INDEX ON local.inventory (id);
		CREATE MATERIALIZED VIEW local.summary AS
			SELECT type, count(*) FROM local.inventory GROUP BY type;
		CREATE MATERIALIZED VIEW local.unfilled AS
			SELECT api_key FROM velt.auth_tokens WITH NO DATA;
		CREATE TABLE local.filled AS
			SELECT now() AS taken, * FROM velt.api_keys});
	return;
}

# All that pg_dump has to say of it but what is stored: a list of statements.
sub definitions
{
	my ($node, $database) = @_;
	my ($dump) =
	  run_command([ 'pg_dump', '--schema-only', '-d',
			$node->connstr($database) ]);

	# with it a random word, from the minor releases of August 2025 on
	$dump =~ s/^(?:--|\\(?:un)?restrict) ?.*\n|^\n//mg;
	return [ split /(?<=;)\n/, $dump ];
}

# How many, since it was asked last.
sub requests_of
{
	my ($api) = @_;
	my $requests = $api->stats('requests.total');

	$api->reset;
	return $requests;
}

# Each kind of use, in one database as in another: a value, the requests that
# it takes, and whose token they have.
sub works
{
	my ($node, $database, $api) = @_;
	my $session = VeltClient->new($node, dbname => $database);
	my @uses = (
		[ '(SELECT count(*) FROM velt.api_keys)', 10, 1, 0 ],
		[ '(SELECT count(*) FROM velt_file.api_keys)', 30, 1, 2 ],
		[ '(SELECT count(*) FROM local.every_key)', 21, 1, 1 ],
		[ q{(SELECT max("the Key") FROM local.kinds)}, 'key-1-000010', 1, 0 ],
		[ '(SELECT count(*) FROM local.production)', 5, 1, 0 ],
		[ '(SELECT count(name) FROM local.invoked)', 10, 11, 0 ],
		[ q{(local.tokens('key-1-000001')).name}, 'Token 1', 1, 0 ],
		[ 'local.keys()', 10, 1, 0 ],
		[ 'local.owners()', 10, 11, 0 ],
		[ '(SELECT count(*) FROM local.filled)', 10, 0 ]);

	requests_of($api);
	for my $use (@uses)
	{
		my ($what, $value, $requests, $secret) = @$use;

		is($session->value("SELECT $what"), $value, "$database: $what");
		is($api->stats('last_headers.x-velt-auth-token'),
			$secrets[$secret], "$database: $what: whose token")
		  if defined $secret;
		is(requests_of($api), $requests, "$database: $what: requests");
	}
	$session->close;
	$session = VeltClient->new($node, dbname => $database, user => 'reader');
	is($session->value('SELECT count(id) FROM local.production'),
		5, "$database: another role");
	is($session->value('SHOW velt_fdw.enable_batch_join'),
		'off', "$database: with its setting");
	is(requests_of($api), 1, "$database: requests of that");
	$session->close;
	return;
}

# What who sees of the mappings.
sub mappings_seen
{
	my ($node, $database) = @_;
	my $session = VeltClient->new($node, dbname => $database);
	my @seen;

	for my $role ((getpwuid $>)[0], qw(velt_owner reader backup))
	{
		$session->query("SET ROLE $role");
		push @seen, map { join '|', $role, map { $_ // 'hidden' } @$_ }
		  $session->query('SELECT srvname, usename, umoptions
			FROM pg_user_mappings ORDER BY 1, 2');
	}
	$session->close;
	return join "\n", @seen;
}

# Materialized views, and whether they are filled.
sub populated
{
	my ($node, $database) = @_;

	return $node->safe_psql($database,
		q{SELECT relname, relispopulated FROM pg_class WHERE relkind = 'm'
		  ORDER BY relname});
}

1;
