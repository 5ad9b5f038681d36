
=pod

=head1 NAME

VeltBench - what the benchmarks share

=head1 SYNOPSIS

  use VeltBench;

  my $node = VeltBench::start_node();
  my $session = VeltBench::session($node, 'name', $url, $workspace, $token);
  my $us = VeltBench::time_query($session, 'SELECT ...');
  VeltBench::say_line("text");

=cut

package VeltBench;

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# The modules note every query; only the results are of interest here.
# In INIT, as that is where PostgreSQL::Test::Utils puts the handles in place.
my $out;

INIT
{
	open($out, '>&', Test::More->builder->output) or die $!;
	Test::More->builder->output('/dev/null');
	$out->autoflush(1);
}

sub say_line
{
	print $out @_, "\n";
	return;
}

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	return ($sorted[ $#sorted / 2 ] + $sorted[ @sorted / 2 ]) / 2;
}

# "1.02 (median of 11 pairs, 0.98 to 1.07)"
sub ratio_text
{
	my @ratios = sort { $a <=> $b } @_;
	return sprintf '%.2f (median of %d pairs, %.2f to %.2f)',
	  median(@ratios), scalar @ratios, $ratios[0], $ratios[-1];
}

sub start_node
{
	my $node = PostgreSQL::Test::Cluster->new('bench');
	$node->init;
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION velt_fdw');
	return $node;
}

# A server of that name, a schema of that name with its tables.
sub add_server
{
	my ($node, $name, $url, $workspace, $token, @options) = @_;
	my $options = join ', ', "api_url '$url'", @options;

	$node->safe_psql('postgres', qq{
		CREATE SERVER $name FOREIGN DATA WRAPPER velt_fdw OPTIONS ($options);
		CREATE USER MAPPING FOR CURRENT_USER SERVER $name
			OPTIONS (workspace_id '$workspace', auth_token '$token');
		CREATE SCHEMA $name;
		IMPORT FOREIGN SCHEMA workspace FROM SERVER $name INTO $name;
	});
	return;
}

# A warm session that has the server's tables in its path.
sub session
{
	my ($node, $name, @args) = @_;

	add_server($node, $name, @args) if @args;
	my $session = $node->background_psql('postgres');
	$session->query_safe("SET search_path = $name");
	return $session;
}

# A query's wall time in microseconds, by the backend's own clock.
sub time_query
{
	my ($session, $query) = @_;
	return $session->query_safe(
		"SELECT clock_timestamp() AS start \\gset\n$query \\g /dev/null\n"
		  . "SELECT extract(epoch FROM clock_timestamp() - :'start'::timestamptz) * 1e6");
}

# Compiles a program beside the benchmarks; returns its path.
sub compile
{
	my ($dir, $name, $arguments) = @_;
	my $program = "$PostgreSQL::Test::Utils::tmp_check/$name";

	system_or_bail('sh', '-c',
		"cc -std=gnu11 -O2 -o '$program' '$dir/$name.c' $arguments");
	return $program;
}

1;
