
=pod

=head1 NAME

VeltChanges - random statements that change local tables

=head1 DESCRIPTION

The part of L<VeltQueries> for UPDATE, DELETE and MERGE.  What a statement does
to a row is the same for all source rows that match it.

=cut

package VeltChanges;

use strict;
use warnings;

use VeltBlocks;

sub change_query
{
	my ($self) = @_;
	my $statement = $self->block('statement', '');
	my $target = $self->table(choose('targets', @TARGETS));
	my $text =
		$statement eq 'MERGE'
	  ? $self->merge($target)
	  : $self->update_or_delete($statement, $target);

	$text =~ s/TARGET/$target->{alias}/g;
	return (
		sql => $text,
		after => "SELECT tableoid::regclass::text, * FROM $target->{table}",
		order => 'set');
}

sub update_or_delete
{
	my ($self, $statement, $target) = @_;
	my ($from, @sources) = $self->from;
	my @where = (
		@{ $self->{where} }, $self->connection(\@sources, $target));

	push @where, $self->condition(@sources, $target) while chance(0.3);
	return join "\n", $statement eq 'UPDATE'
	  ? (
		"UPDATE $target->{text} SET " . $self->block('update', ''),
		" FROM $from")
	  : ("DELETE FROM $target->{text}", " USING $from"),
	  ' WHERE ' . join(' AND ', @where), ' RETURNING ' . returned($target);
}

sub returned
{
	my ($target) = @_;

	return "$target->{alias}.tableoid::regclass::text, $target->{alias}.*, "
	  . "$target->{alias}::text";
}

# No row may be changed twice: there is one source row for each key.
sub merge
{
	my ($self, $target) = @_;
	local $self->{depth} = 1;
	my ($from, @sources) = $self->from;
	my ($key) =
	  grep { $_->[1] eq 'key' } map { @{ $_->{columns} } } @sources;
	my $alias = $self->make_alias;
	my @where = @{ $self->{where} };
	my $text = "api_keys $alias";

	if ($key && chance(0.7))
	{
		$text = "(SELECT DISTINCT $key->[0] AS id FROM $from";
		$text .= ' WHERE ' . join ' AND ', @where if @where;
		$text .= ") AS $alias";
	}
	my @on = "$target->{alias}.key = $alias.id";
	push @on, $self->condition($target) while chance(0.3);
	my @lines = (
		"MERGE INTO $target->{text}", "USING $text ON " . join(' AND ', @on));
	push @lines, 'WHEN MATCHED AND '
	  . $self->condition($target) . ' THEN '
	  . $self->block('matched', '')
	  if chance(0.4);
	push @lines, 'WHEN MATCHED THEN ' . $self->block('matched', '');
	push @lines,
	  "WHEN NOT MATCHED THEN INSERT (key, n) VALUES ($alias.id, 3)"
	  if chance(0.5);
	push @lines, 'RETURNING merge_action(), ' . returned($target)
	  if chance(0.5) && $self->{version} >= 17;
	return join "\n ", @lines;
}

1;
