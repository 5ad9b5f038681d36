
=pod

=head1 NAME

VeltQueries - random queries over the foreign tables and local ones

=head1 SYNOPSIS

  use VeltQueries;

  # always the same, for a major version of PostgreSQL
  my $query = VeltQueries::make($seed, $number, $version);
  $query->{sql};              # with $1, ... if there are parameters
  $query->{order};            # list, set, or part: what of the rows is certain
  $query->{all};              # of a part: the query that it is a part of
  $query->{types};            # of the parameters
  $query->{executions};       # lists of their values, as SQL
  $query->{after};            # a query that shows what was changed, or nothing
  $query->{settings};         # settings that a plan depends on, as SQL
  VeltBlocks::unused();       # building blocks that no query has used so far

A query is put together from the blocks of L<VeltBlocks>.  What its tables
have is for the caller to know: he makes them twice, as foreign tables and as
copies of these.

=cut

package VeltQueries;

use strict;
use warnings;

use Carp;
use VeltBlocks;

use parent qw(VeltChanges);

# A query that has nothing to do with these is of no interest.
my $foreign =
  qr/\b(api|loose|all)_keys |_tokens |\b(key_kinds|workspaces|family) /;

my $executions = 10;    # more than the five custom plans of "auto"
my $most_parameters = 5;
# A join without an equality multiplies rows, of which not too many are to be
# shown one by one.
my $most_multiplied = 100;

# ----------
# Text from blocks
# ----------

sub expand
{
	my ($self, $text, $column) = @_;

	$text =~ s/(?<!')\{\}(?!')/$column/g if defined $column;
	$text =~ s{<(\w+)([\w \[\]]*)>}{$self->block($1, $2, $column)}ge;
	return $text;
}

sub block
{
	my ($self, $name, $arguments, $column) = @_;
	my $method = $self->can("make_$name");

	return $self->$method($arguments, $column) if $method;
	croak "no block \"$name\"" unless $BLOCKS{$name};
	return $self->expand(choose("blocks of $name", @{ $BLOCKS{$name} }),
		$column);
}

# A value, or a parameter that stands for values like it.
sub make_parameter
{
	my ($self, $arguments) = @_;
	my ($type, $value) = $arguments =~ /(\S+) (\S+)/;
	my $list = $self->{parameters};

	return $self->block($value, '')
	  unless $list && @$list < $most_parameters && chance(0.6);
	push @$list, [ $type, $value ];
	return '$' . @$list;
}

# Conditions on keys that have nothing to do with each other leave no rows:
# half the time it is one that all of a query's have in common.
sub make_known
{
	my ($self) = @_;
	my $key = $self->block('some_known', '');

	$self->{known} //= $key;
	return chance(0.5) ? $self->{known} : $key;
}

sub make_alias
{
	my ($self) = @_;
	return 'x' . ++$self->{aliases};
}

# ----------
# Tables and columns
#
# A source is what stands in FROM: its text, its name, and its columns, each
# with its kind.  "costly": to be asked only for keys, or only once.
# ----------

sub table
{
	my ($self, $name) = @_;
	my ($alias, @columns) = @{ $TABLES{$name} };
	my $costly = $alias =~ s/\*//;

	$alias .= ++$self->{aliases};
	return {
		text => "$name $alias",
		alias => $alias,
		table => $name,
		costly => $costly,
		columns => columns_of($alias, @columns)
	};
}

# References to pairs of expression and kind.
sub columns_of
{
	my ($alias, @columns) = @_;
	my @pairs;

	while (my ($name, $kind) = splice @columns, 0, 2)
	{
		push @pairs, [ "$alias.$name", $kind ];
	}
	return \@pairs;
}

sub any_table
{
	my ($self) = @_;
	return $self->table(choose('tables', @TABLES));
}

sub any_source
{
	my ($self) = @_;

	return $self->any_table if $self->{depth} > 1 || chance(0.8);
	if ($self->{ctes} && @{ $self->{ctes} } && chance(0.5))
	{
		my $cte = $self->{ctes}->[ rand @{ $self->{ctes} } ];
		my $alias = $self->make_alias;

		return {
			text => "$cte->{name} $alias",
			alias => $alias,
			columns => columns_of($alias, @{ $cte->{columns} })
		};
	}
	my $text = $self->block('derived', '');
	my ($alias) = $text =~ / AS (\w+)(?:\(key\))?$/;
	return {
		text => $text,
		alias => $alias,
		columns =>
		  columns_of($alias, @{ $self->{derived} // [ key => 'key' ] })
	};
}

# (SELECT ... FROM one table WHERE ...) AS alias
sub make_selection
{
	my ($self) = @_;
	my ($text, $columns) = $self->simple_select($self->any_table);

	$self->{derived} = $columns;
	return "($text) AS " . $self->make_alias;
}

# (SELECT ... FROM two sources joined) AS alias: its expressions may be of the
# side that an outer join makes NULL.
sub make_joined
{
	my ($self) = @_;
	local $self->{depth} = $self->{depth} + 1;
	my @sources = ($self->keyed_source);
	my $source = $self->keyed_source;
	my ($text) =
	  $self->join_on($self->block('outer_join', ''), \@sources, $source);
	my (%columns, @columns);

	push @{ $columns{ $_->[1] } }, $_
	  for map { @{ $_->{columns} } } @sources, $source;
	delete $columns{loose};
	for my $kind (sort keys %columns)
	{
		my $column = $columns{$kind}->[ rand @{ $columns{$kind} } ];

		push @columns, $self->computed($column, 0.5) . " AS $kind";
	}
	$self->{derived} = [ map { $_ => $_ } sort keys %columns ];
	return
		'(SELECT '
	  . join(', ', @columns)
	  . " FROM $sources[0]->{text} $text) AS "
	  . $self->make_alias;
}

# One that can be joined without multiplying rows.
sub keyed_source
{
	my ($self) = @_;

	while (1)
	{
		my $source = $self->any_source;

		return $source if grep { $_->[1] eq 'key' } @{ $source->{columns} };
	}
}

# A column, or an expression of the same kind.
sub computed
{
	my ($self, $column, $chance) = @_;
	my ($name, $kind) = @$column;

	return $name unless $EXPRESSIONS{$kind} && chance($chance);
	return $self->expand(
		choose("expressions of $kind", @{ $EXPRESSIONS{$kind} }), $name);
}

# One table's columns under names of their kinds, maybe a part of its rows.
sub simple_select
{
	my ($self, $table, @scope) = @_;
	my %seen;
	my @columns =
	  grep { !$seen{ $_->[1] }++ && $_->[1] ne 'loose' }
	  @{ $table->{columns} };
	my $list =
	  join ', ', map { $self->computed($_, 0.2) . " AS $_->[1]" } @columns;
	my $text = "SELECT $list FROM $table->{text}"
	  . $self->where([$table], @scope);

	# a part only of rows of which all columns say which come first
	$text .= ' ORDER BY ' . join(', ', 1 .. @columns) . ' LIMIT <digit>'
	  if chance(0.2);
	return ($self->expand($text), [ map { ($_->[1] => $_->[1]) } @columns ]);
}

sub make_list
{
	my ($self) = @_;

	$self->{derived} = undef;
	return $self->expand(choose('blocks of list', @{ $BLOCKS{list} }));
}

# Two or three tables' keys and workspaces under each other.
sub make_union
{
	my ($self) = @_;
	my @branches;

	for (1 .. 2 + chance(0.3))
	{
		my $table = $self->table(
			choose('tables', qw(api_keys auth_tokens key_kinds customers)));
		my ($key) = grep { $_->[1] eq 'key' } @{ $table->{columns} };
		my ($workspace) =
		  grep { $_->[1] eq 'workspace' } @{ $table->{columns} };

		push @branches,
		  "SELECT $key->[0] AS key, $workspace->[0] AS workspace"
		  . " FROM $table->{text}"
		  . $self->where([$table]);
	}
	my $text = join chance(0.8) ? ' UNION ALL ' : ' UNION ', @branches;
	$self->{derived} = [ key => 'key', workspace => 'workspace' ];
	return "($text) AS " . $self->make_alias;
}

# ----------
# Conditions
# ----------

# A condition on a column of one of the sources.
sub condition
{
	my ($self, @sources) = @_;
	my $source = $sources[ rand @sources ];
	my @columns = @{ $source->{columns} };
	# keys are what it is all about
	my @keys = grep { $_->[1] eq 'key' } @columns;
	my ($column, $kind) =
	  @{ @keys && chance(0.5) ? $keys[0] : $columns[ rand @columns ] };

	return $self->block('quantified', '', $column)
	  if $kind eq 'key' && $self->{depth} < 1 && chance(0.2);
	return $self->expand(
		choose("conditions of $kind", @{ $CONDITIONS{$kind} }), $column);
}

# WHERE and some conditions on the sources; with a scope around them, mostly
# one that has to do with that.
sub where
{
	my ($self, $sources, @scope) = @_;
	my @conditions;

	push @conditions, $self->block('gate') if chance(0.15);
	push @conditions, $self->condition(@$sources) while chance(0.45);
	push @conditions, $self->connection(\@scope, $sources->[0]) if @scope;
	@conditions = ('(' . join(' OR ', @conditions) . ')')
	  if @conditions > 1 && !@scope && chance(0.2);
	return '' unless @conditions;
	return ' WHERE ' . join ' AND ', @conditions;
}

# A condition that connects a source with others, by an equality if it can
# be: else what would be multiplied is noted.
sub connection
{
	my ($self, $others, $source, %args) = @_;
	my @pairs;

	for my $column (@{ $source->{columns} })
	{
		for my $other (map { @{ $_->{columns} } } @$others)
		{
			my $weight = $column->[1] eq 'key' ? 20 : 1;

			push @pairs, ([ $column, $other ]) x $weight
			  if $column->[1] eq $other->[1] && $JOINS{ $column->[1] };
		}
	}
	return $self->loose_connection($others, $source) unless @pairs;
	my ($column, $other) = @{ $pairs[ rand @pairs ] };
	my $kind = $column->[1];
	my @blocks =
	  $args{plain} ? '{} = <other>' : @{ $JOINS{$kind} };

	$self->{multiplied} *= 20 unless $kind eq 'key';
	return $self->joined('joins of ' . $kind, \@blocks, $column, $other);
}

sub loose_connection
{
	my ($self, $others, $source) = @_;
	my @texts = grep { $_->[1] =~ /^(key|name|type|workspace|loose)$/ }
	  @{ $source->{columns} };
	my @others = grep { $_->[1] =~ /^(key|name|type|workspace)$/ }
	  map { @{ $_->{columns} } } @$others;

	$self->{multiplied} *= 20;
	return 'true' unless @texts && @others;
	return $self->joined('loose', \@LOOSE_JOINS, $texts[ rand @texts ],
		$others[ rand @others ]);
}

sub joined
{
	my ($self, $name, $blocks, $column, $other) = @_;
	my $text = choose($name, @$blocks);

	$text =~ s/<other>/$other->[0]/g;
	return $self->expand($text, $column->[0]);
}

# ----------
# Subqueries
# ----------

# SELECT of anything that has to do with the column at hand.
sub make_correlated
{
	my ($self, undef, $column) = @_;
	local $self->{depth} = $self->{depth} + 1;
	my $table = $self->any_table;
	my ($key) = grep { $_->[1] eq 'key' } @{ $table->{columns} };

	# costly ones would be asked for each row
	$table = $self->table('api_keys') unless $key;
	($key) = grep { $_->[1] eq 'key' } @{ $table->{columns} };
	my $where = $self->where([$table]);
	$where = $where ? "$where AND " : ' WHERE ';
	return "SELECT FROM $table->{text}$where"
	  . $self->joined('joins of key', [ @{ $JOINS{key} }[ 0 .. 13 ] ],
		$key, [$column]);
}

# SELECT of keys, or of one ("single").
sub make_uncorrelated
{
	my ($self, $arguments) = @_;
	local $self->{depth} = $self->{depth} + 1;
	my $table = $self->table(
		choose('tables', qw(api_keys auth_tokens customers wanted)));
	my ($key) = grep { $_->[1] eq 'key' } @{ $table->{columns} };
	my $value = $arguments =~ /single/ ? "min($key->[0])" : $key->[0];

	return "SELECT $value FROM $table->{text}" . $self->where([$table]);
}

# LATERAL (SELECT ...) AS alias: what it selects, or counts, depends on the
# sources before it.
sub lateral
{
	my ($self, @scope) = @_;
	local $self->{depth} = $self->{depth} + 1;
	my $table =
	  $self->table(choose('tables', qw(api_keys auth_tokens customers)));
	my $alias = $self->make_alias;
	my ($text, $columns);

	if (chance(0.4))
	{
		$text = "SELECT count(*) AS number FROM $table->{text}"
		  . $self->where([$table], @scope);
		$columns = [ number => 'number' ];
	}
	else
	{
		($text, $columns) = $self->simple_select($table, @scope);
	}
	return {
		text => "LATERAL ($text) AS $alias",
		alias => $alias,
		columns => columns_of($alias, @$columns)
	};
}

# ----------
# FROM
# ----------

# Text, and the sources in it.
sub from
{
	my ($self) = @_;
	my @sources = ($self->any_source);
	my $text = $sources[0]->{text};

	for (1 .. choose('joins', 0, 0, 1, 1, 1, 2, 2, 3))
	{
		# enough rows
		last if $self->{multiplied} > $most_multiplied;
		my ($more, @joined) = $self->join_of(@sources);

		$text .= "\n  $more";
		push @sources, @joined;
	}
	return ($text, @sources);
}

# JOIN source ON ...: text, and what it joins.
sub join_of
{
	my ($self, @sources) = @_;
	my $join = $self->block('join', '');
	my $optional = $join =~ /FULL|RIGHT/;
	my @keys = grep { $_->[1] eq 'key' } map { @{ $_->{columns} } } @sources;
	my $source =
		@keys && !$optional && chance(0.15)
	  ? $self->lateral({ columns => \@keys })
	  : $self->any_source;

	if ($join eq 'CROSS JOIN')
	{
		# with conditions, or in place of a lateral one's
		$self->{multiplied} *= 20;
		push @{ $self->{where} }, $self->connection(\@sources, $source)
		  if chance(0.7);
		return ("CROSS JOIN $source->{text}", $source);
	}
	return $self->join_on($join, \@sources, $source)
	  unless chance(0.12);

	# a join as the other side
	my $inner = $self->any_table;
	my ($text) = $self->join_on(
		choose('nested', 'JOIN', 'LEFT JOIN'), [$source], $inner);
	($text) = $self->join_on($join, \@sources, $source,
		"($source->{text} $text)");
	return ($text, $source, $inner);
}

sub join_on
{
	my ($self, $join, $sources, $source, $text) = @_;
	my $full = $join eq 'FULL JOIN';
	# a full join needs an equality
	my @conditions =
	  $self->connection($sources, $source, plain => $full);

	if ($full && $conditions[0] !~ /^\S+ = \S+$/)
	{
		$join = 'LEFT JOIN';
		$full = 0;
	}
	push @conditions, $self->same_workspace($sources, $source)
	  if !$full && chance(0.3);
	push @conditions, $self->condition(@$sources, $source)
	  while chance($full ? 0.1 : 0.3);
	$text //= $source->{text};
	return ("$join $text ON " . join(' AND ', @conditions), $source);
}

# By this the partitions of two tables can be joined one by one.
sub same_workspace
{
	my ($self, $sources, $source) = @_;
	my ($one, $other) = map {
		my @columns = grep { $_->[1] eq 'workspace' } map { @{ $_->{columns} } } @$_;

		$columns[ rand @columns ];
	} [$source], $sources;

	return $one && $other ? "$one->[0] = $other->[0]" : ();
}

# WITH: common table expressions, or nothing.
sub with
{
	my ($self) = @_;
	my @ctes;

	while (chance(@ctes ? 0.3 : 0.12))
	{
		my ($text, $columns) = $self->simple_select($self->any_table);
		my $name = 'cte' . @ctes;

		push @ctes,
		  $self->expand("$name AS <materialized> ") . "($text)";
		push @{ $self->{ctes} }, { name => $name, columns => $columns };
	}
	return @ctes ? 'WITH ' . join(', ', @ctes) . "\n" : '';
}

# ----------
# SELECT
# ----------

# A column as it is shown: json has no order, and of a loose equality it
# depends on the plan which of the equals is seen.
sub shown
{
	my ($column, $kind) = @{ $_[0] };

	return "$column\::text" if $kind =~ /other|domains|number/;
	return "$column COLLATE \"C\"" if $kind eq 'loose';
	return $column;
}

sub some_columns
{
	my (@columns) = @_;
	my @some = grep { chance(0.5) } @columns;

	@some = $columns[ rand @columns ] unless @some;
	return map { shown($_) } @some;
}

# Lists of what is selected and of what it is grouped by.
sub targets
{
	my ($self, @sources) = @_;
	my @columns = map { @{ $_->{columns} } } @sources;
	my @tables = grep { $_->{table} } @sources;
	my @targets = some_columns(@columns);

	if ($self->{multiplied} > $most_multiplied)
	{
		my $row = join ', ', map { shown($_) } @columns;

		return [ 'count(*)', "sum(hashtext(ROW($row)::text)::bigint)" ];
	}
	return $self->grouping_sets(@columns) if chance(0.12);
	if (chance(0.25))
	{
		my @groups = chance(0.6) ? (some_columns(@columns))[ 0 .. 0 ] : ();
		my @aggregates = map {
			$self->block('aggregate', '', shown($columns[ rand @columns ]))
		} 1 .. 2;

		return [ @groups, @aggregates ], @groups;
	}
	push @targets,
	  $self->block('whole', '', $tables[ rand @tables ]->{alias})
	  if @tables && chance(0.25);
	push @targets, $self->scalar_subquery(@columns) if chance(0.15);
	return \@targets;
}

# Lists like those of targets: of two expressions that are grouped by in turn.
sub grouping_sets
{
	my ($self, @columns) = @_;
	my ($first, $second) = map {
		$_->[1] =~ /loose|other|domains|number/ ? shown($_) : $self->computed($_, 0.5)
	} map { $columns[ rand @columns ] } 1 .. 2;
	my $groups = $self->block('grouping', '');

	# a constant would be the number of a column
	($first, $second) = map { /^'|^\d/ ? "lower($_)" : $_ } $first, $second;
	$groups =~ s/FIRST/$first/g;
	$groups =~ s/SECOND/$second/g;
	return [
		$first, $second, "GROUPING($first, $second)",
		map { $self->block('aggregate', '', shown($columns[ rand @columns ])) }
		  1 .. 2
	  ],
	  $groups;
}

# Of the tokens or keys that belong to a key at hand.
sub scalar_subquery
{
	my ($self, @columns) = @_;
	my ($key) = grep { $_->[1] eq 'key' } @columns or return 'NULL';

	return $self->block('scalar', '', $key->[0]);
}

# LIMIT and OFFSET, or nothing.
sub limit
{
	my ($self) = @_;

	return '' unless chance(0.3);
	my $text = '';
	$text .= ' LIMIT <limit>' if chance(0.9);
	$text .= ' OFFSET <limit>' if chance(0.3);
	return $self->expand($text);
}

sub select_query
{
	my ($self) = @_;
	my $text = $self->with;
	my ($from, @sources) = $self->from;
	my @where = @{ $self->{where} };
	push @where, $self->condition(@sources) while chance(0.4);
	my ($targets, @groups) = $self->targets(@sources);
	my $distinct = !@groups && chance(0.1) ? 'DISTINCT ' : '';

	$text .= "SELECT $distinct" . join(', ', @$targets) . "\n  FROM $from";
	$text .= "\n WHERE " . join(' AND ', @where) if @where;
	$text .= ' GROUP BY ' . join(', ', @groups) if @groups;
	$text .= ' HAVING count(*) > 1' if @groups && chance(0.2);
	my $single =
	  grep { /^(count|min|max|sum|string_agg|bool_or)\(/ } @$targets;
	# rows of the first table, unless a join makes them NULL
	my $locked;

	$locked = $sources[0]->{alias}
	  if !$distinct && !$single && $sources[0]->{table}
	  && $from !~ /RIGHT|FULL/ && chance(@sources == 1 ? 0.2 : 0.07);
	return $self->finish($text, scalar @$targets, $locked);
}

# ORDER BY, LIMIT, FOR UPDATE; and what is certain then.
sub finish
{
	my ($self, $text, $ntargets, $locked) = @_;
	my $limit = $self->limit;
	my $all = join ', ', 1 .. $ntargets;

	return (sql => "$text\n ORDER BY $all$limit", order => 'list')
	  if chance($limit ? 0.3 : 0.15);
	return (
		sql => "$text\n ORDER BY 1 FETCH FIRST "
		  . $self->expand('<digit>')
		  . ' ROWS WITH TIES',
		order => 'set') if chance(0.04);
	return (sql => $text . $limit, all => $text, order => 'part') if $limit;
	return (sql => "$text FOR UPDATE OF $locked", order => 'set') if $locked;
	return (sql => $text, order => 'set');
}

# ----------
# A query with all that belongs to it
# ----------

sub make
{
	my ($seed, $number, $version) = @_;
	my ($self, %query);

	# each is found again without those before it
	srand($seed * 100_000 + $number);
	do
	{
		$self = bless {
			aliases => 0, depth => 0, multiplied => 1, where => [],
			version => $version,
			parameters => chance(0.25) ? [] : undef
		}, __PACKAGE__;
		%query = chance(0.12) ? $self->change_query : $self->select_query;
	} until $query{sql} =~ $foreign;
	$query{settings} =
	  [ map { $self->block('setting', '') } 1 .. int rand 4 ];
	$self->add_executions(\%query, @{ $self->{parameters} // [] });
	return \%query;
}

sub add_executions
{
	my ($self, $query, @parameters) = @_;

	$query->{types} = [ map { $_->[0] } @parameters ];
	return unless @parameters;
	# values have no parameters of their own
	$self->{parameters} = undef;
	for (1 .. $executions)
	{
		push @{ $query->{executions} },
		  [ map { $self->block($_->[1], '') } @parameters ];
	}
	push @{ $query->{settings} },
	  'plan_cache_mode = ' . $self->block('plan_cache_mode', '');
	return;
}

1;
