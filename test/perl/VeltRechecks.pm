
=pod

=head1 NAME

VeltRechecks - random statements whose rows another session has changed

=head1 SYNOPSIS

  use VeltRechecks;

  my $case = VeltRechecks::make($seed, $number);  # always the same
  $case->{changes};           # by the other session, before it commits
  $case->{sql};               # the statement that has to wait for it
  $case->{settings};          # settings that its plan depends on, as SQL
  VeltRechecks::unused();     # building blocks that no case has used so far

A statement updates, deletes, merges or locks rows of the table C<customers>.
Once the other session has committed, PostgreSQL checks its conditions again
with the rows as they are now, and with the rows of the other tables that they
were joined with.

Where a row of C<customers> matches several rows, such as a key's tokens, the
plan decides with which of them it is checked again.  So a join or semi-join
in the statement itself compares C<customers> by equality alone.  A subquery
that is evaluated for each row (a scalar one, or one below OR) may have any
condition.

=cut

package VeltRechecks;

use strict;
use warnings;

use Carp;
use VeltBlocks qw(choose chance);

# Alias c: the rows that are changed; d: other customers in a subquery.  A
# block that is listed several times is chosen more often.
my %BLOCKS = (
	statement => [
		('UPDATE customers c SET <set> WHERE <where> RETURNING <row>') x 3,
		'UPDATE customers c SET v = c.v + 1, note = k.type FROM api_keys k '
		  . 'WHERE k.id = c.key AND <where> RETURNING <row>, k.type',
		'UPDATE customers c SET v = c.v + 1, note = k.type '
		  . 'FROM customers b LEFT JOIN api_keys k ON k.id = b.key '
		  . 'WHERE b.n = c.n AND <where> RETURNING <row>, k.id',
		'UPDATE customers c SET <set> FROM <joined> AND <where> '
		  . 'RETURNING <row>',
		'DELETE FROM customers c WHERE <where> RETURNING <row>',
		'DELETE FROM customers c USING <joined> AND <where> RETURNING <row>',
		('SELECT <row>, <more> FROM customers c <join> WHERE <where> '
		  . '<order> FOR <lock> OF c') x 3,
		'SELECT <row>, k.id, k.type FROM customers c JOIN api_keys k '
		  . 'ON k.id = c.key WHERE <where> FOR <lock>',
		'SELECT <row>, l.* FROM customers c, LATERAL (<lateral>) l '
		  . 'WHERE <where> FOR <lock> OF c',
		('MERGE INTO customers c USING <merged>') x 2,
		'WITH changed AS (UPDATE customers c SET <set> WHERE <where> '
		  . 'RETURNING <row>) SELECT x.*, k.type FROM changed x '
		  . 'LEFT JOIN api_keys k ON k.id = x.key',
		'WITH locked AS (SELECT <row> FROM customers c WHERE <where> '
		  . 'FOR UPDATE) SELECT x.*, k.type FROM locked x '
		  . 'LEFT JOIN api_keys k ON k.id = x.key'
	],
	row => ['c.n, c.g, c.key, c.v, c.note'],

	# new values of a row
	set => [
		('v = c.v + 1') x 3,
		'note = (SELECT type FROM api_keys WHERE id = c.key), v = c.v + 1',
		'v = (SELECT count(*) FROM <inner> WHERE d.g = c.g)',
		'(v, note) = (SELECT count(*), max(k.type) FROM <inner keys> '
		  . 'WHERE d.g = c.g)'
	],

	# tables joined with c by an equality
	joined => [
		'auth_tokens t WHERE t.api_key = c.key',
		'api_keys k JOIN auth_tokens t ON t.api_key = k.id '
		  . 'WHERE k.id = c.key',
		'api_keys k LEFT JOIN auth_tokens t ON t.api_key = k.id '
		  . 'WHERE k.id = c.key',
		'<inner> WHERE d.g = c.g',
		'(SELECT d.n, count(*) AS number FROM <inner> GROUP BY d.n) s '
		  . 'WHERE s.n = c.n',
		'<cte> WHERE q.n = c.n'
	],
	join => [
		('') x 3,
		('LEFT JOIN api_keys k ON k.id = c.key') x 2,
		'LEFT JOIN api_keys k ON k.id = c.key AND k.type = <type>',
		'LEFT JOIN (api_keys k JOIN auth_tokens t ON t.api_key = k.id) '
		  . 'ON k.id = c.key',
		'LEFT JOIN auth_tokens t ON t.api_key = c.key',
		'JOIN api_keys k ON k.id = c.key',
		'JOIN <inner> ON d.g = c.g'
	],
	more => [
		'1', '(SELECT type FROM api_keys WHERE id = c.key)',
		'(SELECT count(*) FROM <inner> WHERE d.g = c.g)'
	],
	order => [ '', '', 'ORDER BY c.n LIMIT 1<digit>' ],
	lock => [ 'UPDATE', 'UPDATE', 'NO KEY UPDATE', 'SHARE' ],
	lateral => [
		'SELECT k.id, k.type FROM api_keys k WHERE k.id = c.key',
		'SELECT k.type FROM api_keys k WHERE k.id = c.key LIMIT 1',
		'SELECT count(*) FROM <inner> WHERE d.g = c.g',
		'SELECT d.g, 1 FROM <inner> WHERE d.g = c.g LIMIT 1'
	],
	merged => [
		'(SELECT id, type FROM api_keys) s ON s.id = c.key AND <where> '
		  . '<matched> WHEN NOT MATCHED AND s.id < \'velt_api_key_000004\' '
		  . 'THEN INSERT (n, g, key, v) VALUES (100, 9, s.id, 0)',
		'(SELECT d.n, k.type FROM customers d LEFT JOIN api_keys k '
		  . 'ON k.id = d.key) s ON s.n = c.n <matched>',
		'(SELECT d.n, min(k.type) AS type FROM <inner keys> GROUP BY d.n) s '
		  . 'ON s.n = c.n <matched>'
	],
	matched => [
		'WHEN MATCHED AND <sublink> THEN UPDATE SET v = c.v + 1, note = s.type',
		'WHEN MATCHED AND <plain> THEN DELETE '
		  . 'WHEN MATCHED THEN UPDATE SET v = c.v + 1',
		'WHEN MATCHED THEN UPDATE SET v = c.v + 1, note = s.type',
		'WHEN MATCHED AND <sublink> THEN DO NOTHING WHEN MATCHED THEN DELETE'
	],

	# conditions
	where => [
		'<plain>', '<plain> AND <semi>', ('<plain> AND <sublink>') x 4,
		'<sublink> AND <sublink>', '<semi> AND <sublink>', '<semi>',
		'<semi> AND <semi>'
	],
	plain => [
		('c.n <= <digit>') x 3, 'c.n <= 1<digit>', 'c.g = 1', 'c.v >= 0',
		'c.note IS NULL', 'c.key IS NOT NULL'
	],
	semi => [
		('EXISTS (SELECT FROM api_keys k WHERE k.id = c.key)') x 2,
		('NOT EXISTS (SELECT FROM api_keys k WHERE k.id = c.key '
		  . 'AND k.type = <type>)') x 2,
		'EXISTS (SELECT FROM auth_tokens t WHERE t.api_key = c.key '
		  . 'AND t.name = \'Token 1\')',
		'NOT EXISTS (SELECT FROM auth_tokens t WHERE t.api_key = c.key)',
		'c.key IN (SELECT k.id FROM api_keys k JOIN auth_tokens t '
		  . 'ON t.api_key = k.id)',
		'c.n IN (SELECT d.n FROM <inner>)',
		'c.g IN (SELECT d.g FROM <inner> WHERE d.key IS NOT NULL)',
		'c.n IN (SELECT q.n FROM <cte>)',
		'c.key = ANY (ARRAY(SELECT id FROM api_keys WHERE type = <type>))',
		'c.v < (SELECT count(*) FROM <inner>)'
	],
	sublink => [
		('(SELECT 1 FROM <inner> WHERE d.g = c.g LIMIT 1) IS NOT NULL') x 3,
		'(SELECT d.g FROM <inner> WHERE d.g = c.g OFFSET 1 LIMIT 1) = c.g',
		'(SELECT count(*) FROM <inner> WHERE d.g = c.g) > <digit>',
		'(SELECT min(k.type) FROM <inner keys> WHERE d.g = c.g) = <type>',
		'(SELECT max(k.type) FROM <inner keys> WHERE d.v >= c.v) IS NOT NULL',
		('(EXISTS (SELECT FROM <inner> WHERE d.g = c.g AND d.n <> c.n) '
		  . 'OR c.n = <digit>)') x 2,
		'(NOT EXISTS (SELECT FROM <inner> WHERE d.key = c.key '
		  . 'AND d.n > c.n) OR c.n = <digit>)',
		'(c.key IN (SELECT k.id FROM <inner keys>) OR c.g = 1)',
		'(c.key IN (SELECT d.key FROM <inner> WHERE d.g = c.g) OR c.n = 1)',
		'c.key NOT IN (SELECT d.key FROM <inner> WHERE d.key > \'\' '
		  . 'AND d.n > <digit>)',
		'(c.n IN (SELECT q.n FROM <cte>) OR c.g = 1)',
		'(EXISTS (SELECT FROM <cte> WHERE q.key = c.key) OR c.n = <digit>)',
		'coalesce((SELECT type FROM api_keys WHERE id = c.key), \'\') '
		  . '<> <type>',
		'tokens_of(c.key) >= 0',
		'tokens_of(c.key) < <digit>'
	],

	# customers d and something that they are joined with
	inner => [
		('<inner keys>') x 3,
		'customers d JOIN auth_tokens t ON t.api_key = d.key',
		'customers d LEFT JOIN auth_tokens t ON t.api_key = d.key '
		  . 'AND t.name = \'Token 2\'',
		'(SELECT * FROM customers o WHERE EXISTS '
		  . '(SELECT FROM api_keys k WHERE k.id = o.key)) d',
		'(SELECT * FROM customers o WHERE NOT EXISTS '
		  . '(SELECT FROM auth_tokens t WHERE t.api_key = o.key)) d'
	],
	'inner keys' => [
		('customers d JOIN api_keys k ON k.id = d.key') x 3,
		'customers d LEFT JOIN api_keys k ON k.id = d.key',
		'customers d LEFT JOIN api_keys k ON k.id = d.key '
		  . 'AND k.type <> <type>',
		'customers d JOIN api_keys k ON k.id = d.key '
		  . 'JOIN auth_tokens t ON t.api_key = k.id',
		'customers d JOIN api_keys k ON k.id = d.key '
		  . 'LEFT JOIN auth_tokens t ON t.api_key = d.key'
	],

	# WITH q AS (...), for whatever reads FROM q
	cte => ['q'],
	query => [
		'SELECT d.n, d.key FROM <inner>',
		'SELECT right(k.id, 2)::int AS n, k.id AS key FROM api_keys k '
		  . 'JOIN auth_tokens t ON t.api_key = k.id',
		'SELECT right(k.id, 2)::int AS n, k.id AS key FROM api_keys k '
		  . 'WHERE k.type = <type>'
	],
	materialized => [ '', 'MATERIALIZED', 'MATERIALIZED' ],

	# changes by the other session
	change => [
		('UPDATE customers SET n = n WHERE <rows>') x 3,
		'UPDATE customers SET g = (g + 1) % 3 WHERE <rows>',
		'UPDATE customers SET key = <key> WHERE <rows>',
		'UPDATE customers SET key = \'velt_api_key_00000<digit>\' '
		  . 'WHERE <rows>',
		'UPDATE customers SET note = <type> WHERE <rows>',
		'UPDATE customers SET v = v + <digit> WHERE <rows>',
		'DELETE FROM customers WHERE <rows>'
	],
	rows => [ 'n IN (2, 3)', 'n <= 4', 'n % 2 = 0', 'n = <digit>' ],
	key => [ 'NULL', '\'none\'', 'key || \'x\'' ],
	type => [ "'production'", "'testing'" ],
	digit => [ 1 .. 9 ],
	setting => [
		('enable_hashjoin = off') x 3, ('enable_mergejoin = off') x 2,
		'enable_material = off', 'enable_memoize = off', 'enable_sort = off',
		'enable_nestloop = off', 'velt_fdw.enable_batch_join = off'
	]);

my %used;

sub expand
{
	my ($text) = @_;

	1 while $text =~ s{<([\w ]+)>}{block($1)}e;
	return $text;
}

sub block
{
	my ($name) = @_;
	my $blocks = $BLOCKS{$name} or croak "no block \"$name\"";
	my $block = choose('rechecks', @$blocks);

	$used{"$name: $block"} = 1;
	return $block;
}

sub unused
{
	my @all = map { my $name = $_; map { "$name: $_" } @{ $BLOCKS{$name} } }
	  keys %BLOCKS;
	my %unused = map { $_ => 1 } grep { !$used{$_} } @all;

	return sort keys %unused;
}

sub make
{
	my ($seed, $number) = @_;

	# each is found again without those before it
	srand($seed * 100_000 + $number);
	my $sql = expand('<statement>');
	if ($sql =~ /\bq WHERE|FROM q\b/)
	{
		my $with = expand('q AS <materialized> (<query>)');

		$sql = $sql =~ s/^WITH // ? "WITH $with, $sql" : "WITH $with $sql";
	}
	return {
		sql => $sql,
		changes => [ map { expand('<change>') } 1 .. (chance(0.2) ? 2 : 1) ],
		settings => [ map { expand('<setting>') } 1 .. int rand 4 ]
	};
}

1;
