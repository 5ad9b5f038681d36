
# File descriptors: many servers and roles in one session, together with other
# extensions that need descriptors; and the error when all are in use.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltTest;

# Return how many descriptors a session may use, by fd.c and foreign/wait.c,
# and one for the set that it waits with.
sub most_descriptors
{
	my ($max_files_per_process) = @_;

	return int($max_files_per_process / 3 / 2) + 1;
}

# Servers NAME1 to NAMEn of the simulator, each with a foreign table
# TABLE1 to TABLEn of auth tokens.
sub add_servers
{
	my ($session, $api, $name, $n, %options) = @_;
	my $options = option_list(
		api_url => $api->url,
		retry_timeout => '0',
		%options) =~ s/'/''/gr;

	$session->query(
		"DO \$\$ BEGIN FOR i IN 1..$n LOOP
		   EXECUTE format('CREATE SERVER $name%s FOREIGN DATA WRAPPER velt_fdw $options', i);
		   EXECUTE format('CREATE USER MAPPING FOR PUBLIC SERVER $name%s
		     OPTIONS (workspace_id ''$workspace'', auth_token ''$token'')', i);
		   EXECUTE format('CREATE FOREIGN TABLE tokens_$name%s (api_key text)
		     SERVER $name%s OPTIONS (resource ''auth_tokens'')', i, i);
		   EXECUTE format('CREATE FOREIGN TABLE keys_$name%s (id text)
		     SERVER $name%s OPTIONS (resource ''api_keys'')', i, i);
		   EXECUTE format('GRANT SELECT ON tokens_$name%s, keys_$name%s TO PUBLIC', i, i);
		 END LOOP; END \$\$");
	return;
}

sub union_all
{
	my ($table, $n) = @_;

	return join ' UNION ALL ', map { "SELECT * FROM $table$_" } 1 .. $n;
}

my $api = VeltSimulator->new(
	config => {
		workspaces => {
			$workspace => { token => $token, keys => 10, tokens_per_key => 2 }
		}
	});

# ----------
# As it comes: max_files_per_process is 1,000
# ----------

my $node = start_node(conf => "max_connections = 100\n");
my $admin = VeltClient->new($node);
my $most = most_descriptors(1000);
my $dblink = sprintf "host=%s port=%d dbname=postgres", $node->host, $node->port;

$admin->query('CREATE EXTENSION dblink');
add_servers($admin, $api, 's', 100, max_concurrency => 64);
{
	my $session = VeltClient->new($node);
	my $before = descriptors($session->pid);

	$api->reset;
	$session->query("SELECT * FROM tokens_s1");
	cmp_ok(descriptors($session->pid), '>', $before, 'connections are kept');
	$session->query('SELECT velt_fdw_disconnect_all()');
	is(descriptors($session->pid), $before,
		'without them a session has no descriptor at all');
	is($api->stats('requests.total'), 11, 'requests');
	$session->close;
}

{
	my $session = VeltClient->new($node);
	my $largest = 0;
	my @rows;

	$api->reset;
	for my $i (1 .. 100)
	{
		push @rows, $session->query("SELECT * FROM tokens_s$i");
		my $now = descriptors($session->pid);
		$largest = $now if $now > $largest;
	}
	is(scalar @rows, 2000, 'a session uses 100 servers, with 64 at once');
	is($api->stats('requests.total'), 1100, 'requests');
	cmp_ok($largest, '<=', $most + descriptors($admin->pid),
		'within half of what extensions may use');
	is( $session->value('SELECT count(*) FROM ' . '(' . union_all('tokens_s', 20) . ') x'),
		400,
		'one statement uses 20 servers, with 64 at once');

	$session->query("SELECT dblink_connect('c$_', '$dblink')") for 1 .. 60;
	is( $session->value('SELECT sum(n) FROM (SELECT * FROM '
			  . "dblink('c60', 'SELECT 1') AS d(n int)) x"),
		1,
		'there is room for 60 connections of dblink');
	is($session->value("SELECT count(*) FROM tokens_s100"), 20, 'and still for this');
	$session->query('SET work_mem = 64');
	is( $session->value('SELECT count(*) FROM (SELECT * FROM '
			  . '(SELECT generate_series(1, 30000) % 1000 AS n ORDER BY 1) a, '
			  . '(SELECT api_key FROM tokens_s50 LIMIT 1) b ORDER BY 1, 2) c'),
		30000,
		'and for temporary files');
	$session->close;
}

# A pooled session in which each tenant has a role of its own.
$admin->query(
	"DO \$\$ BEGIN FOR i IN 1..500 LOOP
	   EXECUTE format('CREATE ROLE tenant%s', i);
	   EXECUTE format('CREATE USER MAPPING FOR tenant%s SERVER s%s
	     OPTIONS (workspace_id ''$workspace'', auth_token ''$token'')', i, i % 100 + 1);
	 END LOOP; END \$\$");
{
	my $session = VeltClient->new($node);
	my $rows = 0;

	$api->reset;
	for my $i (1 .. 500)
	{
		$session->query("SET ROLE tenant$i");
		$rows += $session->query('SELECT * FROM keys_s' . ($i % 100 + 1));
	}
	is($rows, 5000, 'a session uses 500 roles');
	is($api->stats('requests.total'), 500, 'requests');
	$session->query('RESET ROLE');
	is($session->value('SELECT count(*) FROM velt_fdw_get_connections()'),
		500, 'all of which it remembers');
	cmp_ok(
		$session->value('SELECT sum(open_connections) FROM velt_fdw_get_connections()'),
		'<=', $most, 'some with their HTTP connections');
	$session->close;
}

# One table over many workspaces.
{
	my $session = VeltClient->new($node);

	add_servers($session, $api, 'p', 300);
	$session->query('CREATE TABLE parts (n int, id text) PARTITION BY LIST (n)');
	$session->query(
		"DO \$\$ BEGIN FOR i IN 1..300 LOOP
		   EXECUTE format('CREATE FOREIGN TABLE part%s PARTITION OF parts FOR VALUES IN (%s)
		     SERVER p%s OPTIONS (resource ''api_keys'')', i, i, i);
		   EXECUTE format('ALTER FOREIGN TABLE part%s ALTER n OPTIONS (json_pointer ''/none'')', i);
		 END LOOP; END \$\$");
	$api->reset;
	is($session->value('SELECT count(id) FROM parts'),
		3000, 'one table has 300 workspaces');
	is($api->stats('requests.total'), 300, 'requests');
	is( scalar(
			grep { /Async Foreign Scan/ }
			map { $_->[0] } $session->query('EXPLAIN SELECT id FROM parts')),
		300,
		'all of them asynchronous');
	$api->reset;
	$session->query('ANALYZE parts');
	is($api->stats('requests.total'), 600, 'and is analyzed, with its parts');

	$api->reset;
	is( $session->value('SELECT count(*) FROM (' . join(' UNION ALL ',
				('SELECT id FROM keys_p1') x 400) . ') x'),
		4000,
		'one statement has 400 branches of one server');
	is($api->stats('requests.total'), 400, 'requests');
	$session->close;
}

# ----------
# Child processes
# ----------

{
	my $session = VeltClient->new($node);
	my $file = tempdir() . '/descriptors';
	my $inherited = sub {
		$session->query("COPY (SELECT 1) TO PROGRAM 'ls -l /proc/self/fd >$file'");
		return join "\n", sort map { m{ -> (.*)} ? $1 =~ s/\d+/N/gr : () } split /\n/, slurp_file($file);
	};
	my $before = $inherited->();

	$session->query('BEGIN');
	$session->query('DECLARE c CURSOR FOR TABLE tokens_s1');
	$session->query('FETCH 3 FROM c');
	is($inherited->(), $before,
		'COPY TO PROGRAM passes on no descriptor of connections in use');
	is(scalar $session->query('FETCH ALL FROM c'), 17, 'which go on');
	$session->query('COMMIT');
	$session->close;
}
$node->stop;

# ----------
# Few: max_files_per_process is 100
# ----------

$node = start_node(
	name => 'few',
	conf => "max_connections = 100\nmax_files_per_process = 100\n");
$admin = VeltClient->new($node);
$most = most_descriptors(100);
$dblink = sprintf "host=%s port=%d dbname=postgres", $node->host, $node->port;
$admin->query('CREATE EXTENSION dblink');
add_servers($admin, $api, 's', 30, max_concurrency => 64);
{
	my $session = VeltClient->new($node);
	my $before = descriptors($session->pid);

	$api->reset;
	is( $session->value('SELECT count(*) FROM (' . union_all('tokens_s', 30) . ') x'),
		600,
		'30 servers, with 64 at once each, share few descriptors');
	is($api->stats('requests.total'), 330, 'requests');
	cmp_ok(descriptors($session->pid) - $before, '<=', $most, 'descriptors');

	# dblink takes all that this leaves, and then what this lets go
	my $taken = 0;
	my $take_all = sub {
		$taken++
		  while eval { $session->query("SELECT dblink_connect('c$taken', '$dblink')") };
		# which from PostgreSQL 18 on may be what it waits with
		like($@, qr/could not establish connection|Too many open files/,
			'dblink has all it can have');
	};
	$take_all->();
	cmp_ok($taken, '>=', int($most / 2), 'half of them are left to others');
	is($session->value('SELECT count(*) FROM tokens_s1'),
		20, 'with none left the idle connections of others serve');

	$session->query('SELECT velt_fdw_disconnect_all()');
	$take_all->();
	$api->reset;
	my $error = fails_with($session, 'TABLE tokens_s1', '53400',
		'without any it is an error');
	like($error->{text}, qr/could not fetch "auth_tokens" from foreign server "s1"/,
		'about the table');
	like($error->{text}, qr/max_files_per_process/, 'with a hint at the setting');
	like($error->{text}, qr/max_concurrency/, 'and at the option');
	is( join(' ', map { "$_->[0] $_->[1]" }
			$session->query("SELECT step, ok FROM velt_fdw_check('s1')")),
		'options t connect f',
		'velt_fdw_check does not blame the options');
	is($api->stats('requests.total'), 0, 'nothing is requested');

	$session->query("SELECT dblink_disconnect('c$_')") for 0 .. 8;
	is($session->value('SELECT count(*) FROM tokens_s1'),
		20, 'with a few it works again');
	$session->close;
}

done_testing();
