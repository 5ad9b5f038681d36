
=pod

=head1 NAME

VeltBlocks - what random queries are put together from

=head1 DESCRIPTION

In a block, <name> stands for a block of that name, or for what a method
C<make_name> of L<VeltQueries> makes; {} for the column that a condition is
about.  A block that is to come more often is there more often.

=cut

package VeltBlocks;

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT = qw(%TABLES @TABLES @TARGETS %CONDITIONS %JOINS @LOOSE_JOINS
  %EXPRESSIONS %BLOCKS
  choose chance unused);

# ----------
# Building blocks
# ----------

# table => alias, and what its columns are.  An asterisk: every scan without
# a key asks for each key's tokens.
our %TABLES = (
	api_keys =>
	  [ k => id => 'key', api_key_name => 'name', type => 'type',
		workspace_id => 'workspace' ],
	auth_tokens =>
	  [ 't*' => api_key => 'key', name => 'name', domains => 'domains',
		token => 'other', workspace_id => 'workspace' ],
	workspaces =>
	  [ w => id => 'workspace', name => 'name', owner_avatar => 'name',
		api_key_list => 'other' ],
	# written by hand: of varchar, of another server, of another equality
	key_kinds =>
	  [ g => kind => 'type', workspace => 'workspace', key => 'key' ],
	other_tokens =>
	  [ 'o*' => domains => 'domains', api_key => 'key',
		workspace_id => 'workspace' ],
	loose_keys => [ l => id => 'loose', type => 'type' ],
	# with a foreign table among their partitions or children
	all_keys =>
	  [ a => workspace_id => 'workspace', type => 'type', id => 'key' ],
	family => [ f => id => 'key', type => 'type' ],
	# not foreign
	customers =>
	  [ c => key => 'key', company => 'name', plan => 'type',
		workspace => 'workspace', seats => 'number' ],
	wanted => [ n => key => 'key', note => 'name' ],
	(
		map {
			$_ => [
				p => key => 'key', workspace => 'workspace', note => 'name',
				n => 'number' ]
		} qw(listed ranged inherited single)));

# Tables that are changed: with partitions, children, or neither.
our @TARGETS = (qw(listed ranged) x 3, qw(inherited inherited single));

# How often each is taken.
our @TABLES = (
	('api_keys') x 8, ('auth_tokens') x 8, ('customers') x 5, ('wanted') x 2,
	('key_kinds') x 2, ('loose_keys') x 2, ('all_keys') x 2,
	qw(workspaces other_tokens family listed ranged));

# What a column may have to meet, by what it is.
our %CONDITIONS = (
	key => [
		('{} = <key>') x 4, '<key> = {}', ('{} IN (<keys>)') x 4,
		'{} = ANY (<array>)', '{} = ANY (<array>)',
		'({} = <key> OR {} = <key>)', '({} = <key> OR {} IN (<keys>))',
		'({} = <key> OR {} IS NULL)', '({} = <key> OR {} LIKE \'%3\')',
		'{} = ANY (ARRAY(SELECT key FROM wanted))',
		'{} = (SELECT max(key) FROM wanted)',
		'{} IN (<keys>) AND {} = ANY (<array>)',
		'{} IN (<keys>) AND {} <> <known>',
		'{} IS NULL', '{} IS NOT NULL', '{} <> <key>', '{} > <known>',
		'{} LIKE \'velt%00_\'', '{} <> ALL (<array>)', '{} = ALL (<array>)',
		'NOT {} IN (<keys>)',
		'{} IS NOT DISTINCT FROM <key>', '{} BETWEEN <known> AND <known>',
		'{} = upper(<key>)', '{} = current_setting(\'velt_test.key\')',
		'{} = volatile_key()', '{} = stable_key(<digit>)',
		'coalesce({}, <known>) = <known>', '({} = <key>) IS NOT TRUE',
		'CASE WHEN {} = <known> THEN true ELSE <truth> END'
	],
	name => [
		'{} IS NULL', '{} = \'\'', '{} LIKE \'%2%\'', '{} <> \'Token 1\'',
		'{} IS NOT NULL', '{} IN (\'Key 3\', \'\', \'Token 1\')',
		'length({}) > <digit>'
	],
	type => [
		('{} = <type>') x 3, '{} IN (<type>, NULL)', '{} IS NULL',
		'{} IS DISTINCT FROM <type>', '({} = <type> OR {} = <type>)'
	],
	workspace => [
		('{} = <workspace>') x 3, '{} IN (<workspace>, <workspace>)',
		'{} <> <workspace>', '{} IS NULL', '({} = <workspace>) IS NOT FALSE',
		'{} = (SELECT min(workspace) FROM customers)'
	],
	domains => [
		'{} = \'{}\'', 'cardinality({}) > 0', '{} IS NULL',
		'\'app.example-<digit>.com\' = ANY ({})',
		'{} && ARRAY[\'example-4.com\', \'example-5.com\']'
	],
	loose => [
		('{} = upper(<known>)') x 2, '{} = <key>', '{} IN (<keys>)',
		'{} IN (upper(<known>), <known>)', '{} = ANY (<array>)'
	],
	number => [ '{} > <digit>', '{} IS NULL', '{} = <digit>' ],
	other => [ '{} IS NOT NULL', '{} IS NULL' ]);

# What brings two tables together, by what both columns are.
our %JOINS = (
	key => [
		('{} = <other>') x 12, '<other> = {}',
		'({} = <other> OR {} = <known>)', '{} IN (<other>, <key>)',
		'{} = ANY (ARRAY[<other>, <key>])', '{} = coalesce(<other>, <key>)',
		'{} = <other> AND {} IN (<keys>)'
	],
	type => ['{} = <other>'],
	name => ['{} = <other>'],
	workspace => ['{} = <other>']);

# What two tables can have to do with each other beside that.
our @LOOSE_JOINS = (
	'{} > <other>', '({} = <other>) IS NOT TRUE',
	'({} = <other> OR <other> IS NULL)', '{} <> <other>');

# What a subquery makes of a column.
our %EXPRESSIONS = (
	key => [ 'coalesce({}, <known>)', '{} || \'\'', 'lower({})', '<known>',
		'CASE WHEN {} IS NULL THEN <known> ELSE {} END' ],
	name => [ '\'found\'', '{} || \'x\'', 'coalesce({}, \'none\')',
		'upper({})' ],
	type => [ 'coalesce({}, <type>)', 'lower({})', '\'testing\'' ],
	workspace => [ 'coalesce({}, <workspace>)', '{} || \'\'' ],
	number => [ 'coalesce({}, 0)', '{} + 1', '7' ]);

our %BLOCKS = (
	some_known => [ ('\'velt_api_key_00000<digit>\'') x 3,
		'\'velt_api_key_0000<tens><digit>\'' ],
	value => [ ('<known>') x 12, '\'velt_api_key_0999<tens><digit>\'', '\'\'',
		'\'nope\'', 'NULL' ],
	values => [ '<value>', '<value>, <value>',
		'<value>, <known>, <known>, <value>, <known>, <value>' ],
	strings => [ '<known>', '<known>, <known>, NULL', '', '\'nope\', <known>',
		'<known>, \'\', <known>, <known>' ],
	type_value =>
	  [ ("'production'") x 4, ("'testing'") x 4, qw('other' NULL) ],
	workspace_value =>
	  [ ('\'workspace_demo\'') x 5, '\'workspace_other\'', '\'\'', 'NULL' ],
	count => [ ('<digit>') x 6, 0, 'NULL', '4<digit>', 1, 3 ],
	digit => [ 1 .. 9 ],
	tens => [ 0 .. 3 ],
	truth => [qw(true false NULL)],

	# what may be a parameter of a prepared statement
	key => ['<parameter text value>'],
	keys => [ '<values>', '<values>', '<key>, <key>' ],
	array => ['<parameter text[] array_value>'],
	array_value =>
	  [ ('ARRAY[<strings>]::text[]') x 6, '\'{}\'', 'NULL::text[]' ],
	type => ['<parameter text type_value>'],
	workspace => ['<parameter text workspace_value>'],
	limit => [ ('<parameter bigint count>') x 4, '(SELECT <digit>)' ],

	join => [ ('JOIN') x 4, ('LEFT JOIN') x 4, 'RIGHT JOIN', 'FULL JOIN',
		'CROSS JOIN' ],
	outer_join => [ ('LEFT JOIN') x 3, 'RIGHT JOIN', 'RIGHT JOIN',
		'FULL JOIN', 'JOIN' ],
	# in place of a table
	derived => [ ('<selection>') x 4, ('<joined>') x 6, '<union>', '<list>',
		'<list>' ],
	list => [
		'(VALUES (<known>), (NULL), (<value>), (<known>)) AS <alias>(key)',
		'unnest(ARRAY[<strings>]::text[]) AS <alias>(key)'
	],
	materialized => [ '', 'MATERIALIZED', 'NOT MATERIALIZED' ],
	quantified => [
		('EXISTS (<correlated>)') x 4, ('NOT EXISTS (<correlated>)') x 4,
		('{} IN (<uncorrelated>)') x 3, ('{} NOT IN (<uncorrelated>)') x 2,
		'{} = ANY (ARRAY(<uncorrelated>))', '{} = (<uncorrelated single>)'
	],
	scalar => [
		'(SELECT max(name) FROM auth_tokens s WHERE s.api_key = {})',
		'(SELECT s.type FROM api_keys s WHERE s.id = {} AND s.type = <type>)',
		'(SELECT count(*) FROM customers b JOIN api_keys s '
		  . 'ON s.type = b.plan AND s.id = {})',
		'(SELECT count(*) FROM wanted b LEFT JOIN auth_tokens s '
		  . 'ON s.name > b.note AND s.api_key = {})'
	],
	# a condition of no table
	gate => [
		'<known> < current_setting(\'velt_test.key\')', '<key> IS NOT NULL',
		'<key> <> current_setting(\'velt_test.key\')'
	],
	# of a table as a whole
	whole => [
		'{}::text', '({} IS NULL)', 'row_to_json({})::text',
		'{}.tableoid::regclass::text', '({}.ctid IS NOT NULL)' ],
	aggregate => [ 'count(*)', 'count({})', 'count(DISTINCT {})', 'min({})',
		'max({})', 'string_agg({}, \',\' ORDER BY {})',
		'count(*) FILTER (WHERE {} IS NULL)', 'bool_or({} IS NULL)' ],
	grouping => [ ('GROUPING SETS ((FIRST), (SECOND))') x 2,
		'GROUPING SETS ((FIRST), (FIRST, SECOND), ())',
		'ROLLUP (FIRST, SECOND)', 'CUBE (FIRST, SECOND)',
		'FIRST, ROLLUP (SECOND)' ],
	# of the row that TARGET stands for
	change => [ 'note = TARGET.note || \'*\'', 'note = \'changed\'',
		'n = coalesce(TARGET.n, 0) + 10', 'workspace = \'workspace_other\'',
		'n = -TARGET.n, note = TARGET.key' ],
	# which a MERGE that has nothing to do fails for in PostgreSQL itself
	update => [ ('<change>') x 6,
		'(note, n) = (SELECT max(s.api_key_name), 5 FROM api_keys s '
		  . 'WHERE s.id = TARGET.key)' ],
	statement => [ ('UPDATE') x 2, qw(DELETE MERGE) ],
	matched => [ ('UPDATE SET <change>') x 3, 'DELETE', 'DO NOTHING' ],
	setting => [
		('enable_partitionwise_join = on') x 3, 'geqo_threshold = 2',
		'enable_partitionwise_aggregate = on',
		'enable_nestloop = off', 'enable_hashjoin = off',
		'enable_material = off', 'enable_mergejoin = off',
		'enable_memoize = off',
		'enable_hashagg = off', 'enable_sort = off',
		'join_collapse_limit = 1', 'from_collapse_limit = 1',
		'enable_async_append = off', 'cursor_tuple_fraction = 1',
		'random_page_cost = 0', 'velt_fdw.enable_batch_join = off' ],
	plan_cache_mode => [qw(auto auto force_generic_plan force_custom_plan)]);

# ----------
# Chance
# ----------

my %used;

# One of a list, which is known by a name; remembers that it was taken.
sub choose
{
	my ($name, @blocks) = @_;
	my $i = int rand @blocks;

	$used{"$name: $blocks[$i]"} = 1;
	return $blocks[$i];
}

sub chance { return rand() < $_[0]; }

sub unused
{
	my @all;

	push @all, map { "tables: $_" } @TABLES;
	push @all, map { "targets: $_" } @TARGETS;
	push @all, map { "loose: $_" } @LOOSE_JOINS;
	for my $kind ([ conditions => \%CONDITIONS ], [ joins => \%JOINS ],
		[ expressions => \%EXPRESSIONS ], [ blocks => \%BLOCKS ])
	{
		my ($name, $table) = @$kind;

		for my $part (sort keys %$table)
		{
			push @all, map { "$name of $part: $_" } @{ $table->{$part} };
		}
	}
	my %unused = map { $_ => 1 } grep { !$used{$_} } @all;
	return sort keys %unused;
}

1;
