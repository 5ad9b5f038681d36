
# Text in databases of other encodings than the API's UTF-8: values convert,
# filters convert back, and what has no equivalent is an error that says so.

use strict;
use warnings;

use Encode qw(encode);
use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltTest;

# Each key's id is the text that it is about.  "café" is there in both of its
# spellings, which are different keys.
my %names = (
	ascii => 'plain',
	latin => "caf\x{e9}",
	decomposed => "cafe\x{301}",
	umlaut => "Gr\x{fc}\x{df}e",
	japanese => "\x{65e5}\x{672c}",
	emoji => "\x{1f600}");

my $api = VeltSimulator->new(config => { workspaces => { $workspace => {} } });
my $node = start_node();
my $admin = VeltClient->new($node);

# The workspace has just these keys, of those above.
sub serve_keys
{
	my @ids = map { $names{$_} } @_;

	$api->config({ workspaces => { $workspace => undef } });
	$api->config(
		{
			workspaces => {
				$workspace => {
					token => $token,
					key_list => [
						map { { id => $_, apiKeyName => "name of $_",
							type => 'testing' } } @ids ],
					tokens => {
						map {
							$_ => [ { token => "t", name => "token of $_",
								domains => [ "$_.example" ] } ]
						} @ids
					}
				}
			}
		});
	$api->reset;
	return;
}

# A session with a database of this encoding, which is its own, too.
sub session
{
	my ($name, $encoding) = @_;

	$admin->query("CREATE DATABASE $name ENCODING '$encoding'
		LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
	my $session = VeltClient->new($node, dbname => $name);
	$session->query('CREATE EXTENSION velt_fdw');
	add_server($session, 'velt', options => { api_url => $api->url });
	is($session->value('SHOW client_encoding'), $encoding,
		"$name: the session speaks $encoding");
	return $session;
}

# The first column of all rows, as bytes.
sub column { return [ map { $_->[0] } $_[0]->query($_[1]) ]; }

# In every encoding that has all of the texts: rows, filters, and that both
# are those of a local table.
sub check_database
{
	my ($name, $encoding, $perl_encoding, @keys) = @_;
	my $session = session($name, $encoding);
	my @texts = map { $names{$_} } @keys;
	my @bytes = sort map { encode($perl_encoding, $_) } @texts;

	serve_keys(@keys);
	is_deeply(column($session, 'SELECT id FROM velt.api_keys ORDER BY 1'),
		\@bytes, "$name: ids");
	is_deeply(
		column($session, 'SELECT domains[1] FROM velt.auth_tokens ORDER BY 1'),
		[ sort map { "$_.example" } @bytes ], "$name: elements of arrays");
	is( $session->value(
			q{SELECT count(*) FROM velt.workspaces, jsonb_each(api_key_list)
			   WHERE value ->> 'id' = key}),
		scalar @bytes,
		"$name: json");
	for my $key (@keys)
	{
		check_filter($session, $name, $key,
			encode($perl_encoding, $names{$key}));
	}
	$session->query("CREATE SCHEMA copies;
		CREATE TABLE copies.api_keys AS TABLE velt.api_keys;
		CREATE TABLE copies.auth_tokens AS TABLE velt.auth_tokens");
	like_local($session, $name, $_)
	  for "SELECT * FROM %s.api_keys WHERE id > 'b' ORDER BY id",
	  'SELECT * FROM %s.auth_tokens JOIN %1$s.api_keys ON id = api_key
	    ORDER BY api_key',
	  'SELECT length(id), octet_length(id), upper(id), id LIKE \'caf_\'
	    FROM %s.api_keys ORDER BY id',
	  'SELECT t.name FROM %s.auth_tokens t
	    WHERE api_key = ANY (ARRAY(SELECT id FROM copies.api_keys))
	    ORDER BY 1';
	return $session;
}

# A filter goes out as UTF-8, and finds the row.
sub check_filter
{
	my ($session, $name, $key, $bytes) = @_;

	$api->reset;
	is_deeply(
		column($session, "SELECT api_key_name FROM velt.api_keys
			WHERE id = '$bytes'"),
		["name of $bytes"], "$name: $key is found");
	is_deeply($api->stats('filters'), [ [ $names{$key} ] ],
		"$name: $key is sent");
	is_deeply(
		column($session, "SELECT name FROM velt.auth_tokens
			WHERE api_key IN ('$bytes', '$bytes')"),
		["token of $bytes"], "$name: so are its tokens");
	is_deeply($api->stats('keys_asked'), [ $names{$key} ],
		"$name: for which it asked once");
	return;
}

sub like_local
{
	my ($session, $name, $sql) = @_;
	my ($here, $there) =
	  map { [ $session->query(sprintf $sql, $_) ] } 'velt', 'copies';

	is_deeply($here, $there, "$name: as local: " . $sql =~ s/\s+/ /gr);
	return;
}

# ----------
# Encodings that have the characters
# ----------

my $utf8 =
  check_database('utf8', 'UTF8', 'UTF-8', sort keys %names);
my $latin =
  check_database('latin', 'LATIN1', 'iso-8859-1', qw(ascii latin umlaut));
my $japanese =
  check_database('japanese', 'EUC_JP', 'euc-jp', qw(ascii japanese));
# no encoding at all: the API's bytes
my $raw = check_database('raw', 'SQL_ASCII', 'UTF-8', sort keys %names);

# A client of yet another encoding than the database's.
serve_keys(qw(ascii latin));
$utf8->query("SET client_encoding = 'LATIN1'");
check_filter($utf8, 'a client of LATIN1', 'latin', "caf\xe9");
$latin->query("SET client_encoding = 'UTF8'");
check_filter($latin, 'a client of UTF8', 'latin', "caf\xc3\xa9");
$latin->query('RESET client_encoding');
$utf8->query('RESET client_encoding');

# ----------
# Characters that the database lacks
# ----------

for my $case ([ $latin, 'latin', 'japanese' ], [ $latin, 'latin', 'emoji' ],
	[ $latin, 'latin', 'decomposed' ], [ $japanese, 'japanese', 'emoji' ])
{
	my ($session, $name, $key) = @$case;

	serve_keys('ascii', $key);
	my $error = fails_with($session, 'SELECT * FROM velt.api_keys', '22P05',
		"$name: a key with $key");
	like($error->{context}, qr/column "id" of foreign table "velt\.api_keys"/,
		"$name: the error names the column");
	unlike($error->{text}, qr/[^\x00-\x7f]/,
		"$name: the error has no byte that the client could not read");
	fails_with($session, 'SELECT * FROM velt.auth_tokens', '22P05',
		"$name: its token");
	# what is not looked at is not converted
	is($session->value('SELECT count(*) FROM velt.api_keys'),
		2, "$name: counting needs no conversion");
	is_deeply(column($session, "SELECT id FROM velt.api_keys
			WHERE id = 'plain'"),
		['plain'], "$name: nor does a filter of another key");
}

# What the API says of an error is shown, if not in its letters.
$api->faults(
	[ { do => { error => 'PERMISSION_DENIED', message => "no $names{japanese}!" } } ]);
for my $case ([ $utf8, encode('UTF-8', $names{japanese}) ],
	[ $latin, '??????' ], [ $japanese, '??????' ])
{
	my ($session, $shown) = @$case;
	my $error = fails_with($session, 'SELECT * FROM velt.api_keys', '42501',
		'an error in Japanese');

	like($error->{detail}, qr/no \Q$shown\E!/, 'can be read');
}
$api->faults([]);

# ----------
# Filters that have no UTF-8: they name no key, as in a local table
# ----------

serve_keys(qw(ascii latin));

sub check_no_key
{
	my ($session, $name, $bytes) = @_;
	my $shown = sprintf '%s: %vd', $name, $bytes;

	$api->reset;
	for my $condition ("= '$bytes'", "IN ('$bytes', '$bytes!')",
		"= (SELECT max(key) FROM odd)")
	{
		for my $column (
			'id FROM %s.api_keys WHERE id',
			'name FROM %s.auth_tokens WHERE api_key',
			'id FROM %s.api_keys WHERE workspace_id')
		{
			like_local($session, $shown, "SELECT $column $condition");
		}
	}
	is($api->stats('requests.total'), 0, "$shown: nobody is asked");
	# beside others they are in nobody's way
	like_local($session, $shown,
		"SELECT id FROM %s.api_keys WHERE id IN ('$bytes', 'plain')");
	is_deeply($api->stats('filters'), [ ['plain'] ], "$shown: only the other");
	# nor does it depend on the plan of a join
	for my $off (qw(hashjoin nestloop))
	{
		$session->query("SET enable_$off = off; SET enable_mergejoin = off");
		like_local($session, "$shown, without $off",
			'SELECT o.n, k.id FROM odd o LEFT JOIN %s.api_keys k
			  ON k.id = o.key ORDER BY 1');
		$session->query("RESET enable_$off; RESET enable_mergejoin");
	}
	return;
}

for my $case (
	[ $raw, 'raw', "caf\xe9", "\xff", "caf\xc3", "\xed\xa0\x80" ],
	# of a row of the standard that is empty
	[ $japanese, 'japanese', "\xa9\xa1" ])
{
	my ($session, $name, @all) = @$case;

	for my $bytes (@all)
	{
		$session->query("DROP TABLE IF EXISTS odd");
		$session->query("CREATE TABLE odd AS
			SELECT 1 AS n, '$bytes'::text AS key UNION ALL SELECT 2, NULL");
		check_no_key($session, $name, $bytes);
	}
}

done_testing();
