
# A hot standby reads foreign tables as the primary does, until it is promoted
# and after; and what was fetched is replicated like any table, which foreign
# tables are not.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltDocs;
use VeltFaults;
use VeltTest;

my $other_workspace = 'workspace_other';
my $other_token = 'other-token-0123456789abcdef';

my $api = VeltSimulator->new(
	config => {
		workspaces => {
			$workspace => { keys => 250, tokens_per_key => 1 },
			$other_workspace => { token => $other_token, keys => 7 }
		}
	});
my $docs = VeltDocs->new('operations.md');

# Logical for the second part; changes do not wait for queries of a standby.
my $primary = start_node(
	name => 'primary',
	conf => <<'CONF');
wal_level = logical
max_wal_senders = 5
max_replication_slots = 5
max_standby_streaming_delay = 0
CONF
my $admin = VeltClient->new($primary);
my $count = 'SELECT count(*) FROM velt.api_keys';

add_server($admin, 'velt', options => { api_url => $api->url });
$admin->query('CREATE TABLE customers AS SELECT id FROM velt.api_keys');
$admin->query('CREATE MATERIALIZED VIEW inventory AS TABLE velt.api_keys');
$admin->query('CREATE ROLE reader');

$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
my $observer = VeltClient->new($standby);

sub catch_up
{
	$primary->wait_for_catchup($standby, 'replay');
	return;
}

# ----------
# A standby
# ----------

{
	my $session = VeltClient->new($standby);

	is($session->value('SELECT pg_is_in_recovery()'), 't', 'a standby');
	$api->reset;
	is($session->value($count), 250, 'scans');
	is($api->stats('requests.total'), 3, 'with a request a page');
	is($session->value('SELECT count(*) FROM velt.auth_tokens'),
		250, 'fans out');
	is($api->stats('requests.authtokens/get'), 250, 'with a request a key');
	is($session->value("SELECT count(*) FROM customers c
			JOIN velt.auth_tokens t ON t.api_key = c.id
			WHERE c.id < 'velt_api_key_000011'"),
		10, 'joins its tables');
	is($api->stats('requests.authtokens/get'), 260, 'by their keys');
	is($session->value("SELECT bool_and(ok) FROM velt_fdw_check('velt')"),
		't', 'and checks the server');

	# What writes is the server's to refuse.
	my %writes = (
		'ANALYZE velt.api_keys' => '25006',
		'IMPORT FOREIGN SCHEMA workspace FROM SERVER velt INTO public'
		  => '25006',
		'CREATE TABLE copy AS TABLE velt.api_keys' => '25006',
		'CREATE TEMP TABLE copy AS TABLE velt.api_keys' => '25006',
		'INSERT INTO customers SELECT id FROM velt.api_keys' => '25006',
		'REFRESH MATERIALIZED VIEW inventory' => '25006',
		'DROP SERVER velt CASCADE' => '25006',
		"ALTER USER MAPPING FOR CURRENT_USER SERVER velt
			OPTIONS (SET auth_token 'another')" => '25006');
	$api->reset;
	for my $sql (sort keys %writes)
	{
		fails_with($session, $sql, $writes{$sql}, $sql =~ s/\s+/ /gr);
	}
	is($api->stats('requests.total'), 0, 'none of them asks the API');

	# Credentials come with the rest, to be seen by the same.
	my $seen = q{SELECT string_agg(umoptions::text, '') FROM pg_user_mappings};
	is($session->value($seen), $admin->value($seen), 'it has the credentials');
	$session->query('SET ROLE reader');
	is($session->value($seen), undef, 'and hides them as the primary does');
	$session->query('RESET ROLE');
	$session->query("PREPARE c AS $count");
	$session->query('EXECUTE c') for 1 .. 6;
	$admin->query("ALTER USER MAPPING FOR CURRENT_USER SERVER velt OPTIONS (
		SET workspace_id '$other_workspace', SET auth_token '$other_token')");
	catch_up();
	is($session->value('EXECUTE c'), 7, 'others, as soon as they come');
	is($api->stats('last_headers.x-velt-auth-token'),
		$other_token, 'in a session that has connections');
	$admin->query("ALTER USER MAPPING FOR CURRENT_USER SERVER velt OPTIONS (
		SET workspace_id '$workspace', SET auth_token '$token')");
	catch_up();
	is($session->value('EXECUTE c'), 250, 'and back');
	$session->close;
}

# ----------
# Conflicts with what is replayed
# ----------

for my $how ('waits', 'idles')
{
	my $session = VeltClient->new($standby);

	$admin->query("CREATE FOREIGN TABLE velt.doomed (api_key text)
		SERVER velt OPTIONS (resource 'auth_tokens')");
	catch_up();
	$api->reset;
	$api->faults(
		[ { endpoint => 'authtokens/get', nth => [ 2 .. 300 ],
			do => { stall => 'in_body' } } ]);
	$session->query('BEGIN');
	$session->query('DECLARE c CURSOR FOR TABLE velt.doomed');
	$session->query('FETCH 1 FROM c');
	$session->send('FETCH ALL FROM c') if $how eq 'waits';
	$api->wait_for('in_flight', 7);
	$admin->query('DROP FOREIGN TABLE velt.doomed');
	my $result = $session->result;
	is($result->{error}->{sqlstate}, '40001',
		"a scan that $how gives way to what is replayed");
	like($result->{error}->{text}, qr/conflict with recovery/, 'as it is told');
	wait_until_idle($api);
	cmp_ok($api->stats('aborted'), '>=', 7, 'no request is left');
	$api->faults([]);
	if ($how eq 'waits')
	{
		$session->query('ROLLBACK');
		is($session->value($count), 250, 'the session goes on');
	}
	else
	{
		ok($result->{lost}, 'the session is ended');
		poll_until('all connections are closed',
			sub { !$api->stats('open_connections') });
	}
	catch_up();
	$session->close;
}

# ----------
# Promotion, with a scan that waits and a cursor that is open
# ----------

{
	my ($waiting, $idle) = map { VeltClient->new($standby) } 1 .. 2;

	$api->reset;
	$idle->query('BEGIN');
	$idle->query('DECLARE c CURSOR FOR SELECT id FROM velt.api_keys');
	my @rows = $idle->query('FETCH 50 FROM c');
	wait_until_idle($api);
	$api->pause;
	$waiting->send('SELECT id FROM velt.api_keys');
	wait_until_waiting($observer, $waiting);
	$standby->promote;
	poll_until('it is promoted',
		sub { $observer->value('SELECT pg_is_in_recovery()') eq 'f' });
	ok(!$waiting->has_answer, 'a scan waits through a promotion');
	$api->continue;
	is(scalar @{ $waiting->result->{rows} }, 250, 'and has all rows');
	push @rows, $idle->query('FETCH ALL FROM c');
	is(scalar @rows, 250, 'so has a cursor');
	$idle->query('COMMIT');
	is($api->stats('requests.total'), 6, 'with no more requests than ever');
	$idle->query('ANALYZE velt.api_keys');
	is($idle->value('CREATE TABLE copy AS TABLE velt.api_keys;
		SELECT count(*) FROM copy'), 250, 'the session can write');
	$_->close for $waiting, $idle;
}

# ----------
# Logical replication, to what knows nothing of the API
# ----------

fails_with($admin, 'CREATE PUBLICATION foreign_table FOR TABLE velt.api_keys',
	'22023', 'a foreign table cannot be published');
$admin->query('CREATE PUBLICATION everything FOR ALL TABLES');
is_deeply([ $admin->query(q{SELECT tablename FROM pg_publication_tables
		WHERE pubname = 'everything'}) ],
	[ ['customers'] ], 'all tables are those that have rows');
$admin->query('DROP PUBLICATION everything');

$api->reset;
$docs->run($primary, 'publish');
is($api->stats('requests.total'), 3, 'what is published is fetched');
$standby->safe_psql('postgres', 'CREATE DATABASE dashboard');
$docs->run($standby, 'subscribe', dbname => 'dashboard', user => 'admin',
	replace => {
		'host=primary.example.com dbname=postgres' =>
		  $primary->connstr('postgres') =~ s/'/''/gr
	});
$standby->wait_for_subscription_sync($primary, 'velt_keys', 'dashboard');
my $subscriber = VeltClient->new($standby, dbname => 'dashboard');
is($subscriber->value('SELECT count(*) FROM published_keys'),
	250, 'a subscriber has it');
is($subscriber->value('SELECT count(*) FROM pg_extension
	WHERE extname = \'velt_fdw\''), 0, 'without the extension');

$api->config({ workspaces => { $workspace => { keys => 240 } } });
$docs->run($primary, 'publish-again');
$primary->wait_for_catchup('velt_keys');
is($subscriber->value('SELECT count(*) FROM published_keys'),
	240, 'and what has become of it');
is($api->stats('requests.total'), 6, 'for no more requests');

# A worker that applies changes scans as well, if a trigger makes it.
$subscriber->query('CREATE EXTENSION velt_fdw');
add_server($subscriber, 'velt', options => { api_url => $api->url });
$subscriber->query('CREATE TABLE seen (n int)');
$subscriber->query('CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN
		INSERT INTO public.seen SELECT count(*) FROM velt.api_keys;
		RETURN NULL;
	END $$');
$subscriber->query('CREATE TRIGGER look AFTER UPDATE ON published_keys
	FOR EACH ROW EXECUTE FUNCTION look()');
$subscriber->query('ALTER TABLE published_keys ENABLE ALWAYS TRIGGER look');
$api->reset;
$admin->query(q{UPDATE published_keys SET type = 'another'
	WHERE id = 'velt_api_key_000001'});
$primary->wait_for_catchup('velt_keys');
is($subscriber->value('TABLE seen'), 240, 'a trigger on a subscriber');
is($api->stats('requests.total'), 3, 'scans');
$subscriber->query('DROP SUBSCRIPTION velt_keys');
is_deeply([ $docs->untried ], [qw(dump refresh restore)],
	'of the document, the rest is for 401_dump');

$_->close for $subscriber, $observer, $admin;
done_testing();
