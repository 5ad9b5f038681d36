
=pod

=head1 NAME

VeltFaults - what tests of failures, waits and counts have in common

=head1 SYNOPSIS

  use VeltFaults;

  my %asked = asked($api);                  # key => how often, so far
  my @timed = answers($one, $other);        # what came, and when exactly
  my @scans = scans(plan_of($session, $sql, 'ANALYZE'));
  cancelled_in_time($admin, $session, 'a wait');

=cut

package VeltFaults;

use strict;
use warnings;

use Carp;
use Exporter qw(import);
use JSON::PP;
use List::Util qw(min sum0);
use Test::More;
use Time::HiRes qw(time usleep);
use VeltTest;

our @EXPORT = qw(
  key_id key_list tokens_of asked
  answers attempts_logged counters
  plan_of scans
  cancelled_in_time
);

# Every wait ends within so much of a cancel.
my $limit_ms = 50;

# A process that is ready may have to wait for a processor.  What the kernel
# counts of that is allowed for, up to this.
my $slack_ms = 200;

my $poll_interval_us = 1000;

# ----------
# Keys
# ----------

# The simulator's n-th key.
sub key_id { return sprintf 'velt_api_key_%06d', $_[0]; }

# Several of them, for IN.
sub key_list { return join ', ', map { literal(key_id($_)) } @_; }

# A query of the tokens of keys that are given by number.
sub tokens_of
{
	my ($schema, @keys) = @_;

	return "SELECT api_key, token FROM $schema.auth_tokens
		WHERE api_key IN (" . key_list(@keys) . ')';
}

# How often the simulator was asked for the tokens of each key.
sub asked
{
	my ($api) = @_;
	my %asked;

	$asked{$_}++ for @{ $api->stats('keys_asked') };
	return %asked;
}

# ----------
# Answers
# ----------

# What several sessions answer, in the order of the arguments; {answered} is
# when it came in, although others may have been waited for.
sub answers
{
	my (@sessions) = @_;
	my %answered;

	poll_until(
		'all sessions answer',
		sub {
			for my $session (@sessions)
			{
				$answered{$session} //= time if $session->has_answer;
			}
			return keys %answered == @sessions;
		});
	return map { { %{ $_->result }, answered => $answered{$_} } } @sessions;
}

# The lines of log level debug1, one an attempt.
sub attempts_logged
{
	my ($result) = @_;

	return grep { /^velt_fdw: POST / } map { $_->{message} }
	  @{ $result->{notices} };
}

# What velt_fdw_get_connections says of a server.
sub counters
{
	my ($session, $server) = @_;
	my @names = qw(valid open_connections requests retries bytes_received);
	my ($row) = $session->query('SELECT ' . join(', ', @names)
		  . ' FROM velt_fdw_get_connections() WHERE server_name = '
		  . literal($server));
	my %counters;

	@counters{@names} = @{ $row // [] };
	return \%counters;
}

# ----------
# Plans
# ----------

# The top node.
sub plan_of
{
	my ($session, $sql, $options) = @_;
	my $text = $session->value(
		'EXPLAIN (FORMAT JSON, ' . ($options // 'COSTS OFF') . ") $sql");

	return decode_json($text)->[0]->{Plan};
}

# The foreign scans below a node, and it itself.
sub scans
{
	my ($plan) = @_;

	return (
		(grep { $_->{'Node Type'} =~ /Foreign Scan/ } $plan),
		map { scans($_) } @{ $plan->{Plans} // [] });
}

# ----------
# Cancel
# ----------

# For how long processes have been ready to run without running, in ms.
sub run_queue_ms
{
	my $waited = 0;

	for my $pid (@_)
	{
		open(my $file, '<', "/proc/$pid/schedstat") or next;
		my $line = <$file> // next;
		$waited += (split ' ', $line)[1] / 1e6;
	}
	return $waited;
}

# Cancels the query that the session waits in: it has to end in time.
sub cancelled_in_time
{
	my ($admin, $session, $name) = @_;
	my @pids = ($session->pid, $admin->pid, $$);
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	my $before = run_queue_ms(@pids);
	my $started = time;
	$admin->send('SELECT pg_cancel_backend(' . $session->pid . ')');
	my $result = $session->result;
	my $ms = 1000 * ($result->{answered} - $started);
	my $slack = min($slack_ms, run_queue_ms(@pids) - $before);
	$admin->result;

	is(($result->{error} // {})->{sqlstate}, '57014', "$name: it is a cancel");
	cmp_ok($ms - $slack, '<=', $limit_ms,
		"$name: it ends within $limit_ms ms")
	  or diag sprintf '%.1f ms, in run queues %.1f ms', $ms, $slack;
	return $result;
}

1;
