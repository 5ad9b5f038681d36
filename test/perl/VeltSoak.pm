
=pod

=head1 NAME

VeltSoak - sessions that run a mix of queries at once, and judge what comes

=head1 SYNOPSIS

  use VeltSoak;

  my $soak = VeltSoak->new($node, $scenarios, \@workers);
  $soak->at($time, sub { ... });         # called by the loop when it is due
  $soak->run_until(sub { ... });         # the loop: all sessions at once
  $soak->allow(['42501'], 'hasty');      # a moment in which that may happen
  $soak->disallow($moment);

One process for all of them: who disturbs them knows to the millisecond what
each is about.  A query that succeeds has to be exactly right; one that fails
has to have a reason that was there while its scenario ran.

=cut

package VeltSoak;

use strict;
use warnings;

use IO::Select;
use List::Util qw(first max min);
use Time::HiRes qw(time);
use VeltTest;

# A query that takes longer than this hangs: with all its attempts and waits
# none takes a third of it.
our $longest_s = 30;

# Between two scenarios of a session, on average half of it; longer than an
# attempt on a server that is not there.
my $think_s = 0.05;

# Memory is looked at no more often.
my $sample_s = 0.2;

# A cancel that comes too late for a query may meet one of the next.
my $late_s = 2;

# At most so many examples of what is wrong are kept.
my $most_examples = 10;

# Faults of single requests are there all the time: what they come to where
# requests are made again, and where they are not.
my %faults_give = (
	steady => [qw(53000 08P01)],
	patient => [qw(53000 08P01)],
	hasty => [qw(53000 08P01 08006)]);

# workers: { number, server, spared } each
sub new
{
	my ($class, $node, $scenarios, $workers) = @_;
	my $self = bless {
		node => $node,
		scenarios => $scenarios,
		workers => $workers,
		select => IO::Select->new,
		timers => [],
		moments => [],
		resting => 0,    # no scenario is begun
		queries => 0,
		worst_s => 0,
		succeeded => {},    # scenario => how often
		failed => {},       # SQLSTATE => how often
		ended => { cancel => [], terminate => [] },    # seconds each took
		wrong => [],
		unexplained => [],
		hanging => []
	}, $class;

	connect_worker($self, $_) for @$workers;
	return $self;
}

# ----------
# Sessions
# ----------

sub connect_worker
{
	my ($self, $worker) = @_;
	my $session = VeltSoak::Session->new($self->{node});

	$session->query($_) for $self->{scenarios}->preparations($worker);
	$worker->{session} = $session;
	$worker->{steps} = [];
	$worker->{resume} = time;
	delete @$worker{qw(sent disturbed)};
	$self->{select}->add($session->socket);
	return;
}

sub reconnect
{
	my ($self, $worker) = @_;

	$self->{select}->remove($worker->{session}->socket);
	$worker->{session}->close;
	connect_worker($self, $worker);
	return;
}

sub busy { return grep { defined $_->{sent} } @{ $_[0]->{workers} }; }

# Whether nothing goes on, and nothing is to come of what was done.
sub is_quiet
{
	my ($self) = @_;
	return !$self->busy && !grep { $_->{disturbed} } @{ $self->{workers} };
}

# ----------
# The loop
# ----------

sub at
{
	my ($self, $time, $what) = @_;

	push @{ $self->{timers} }, [ $time, $what ];
	return;
}

sub run_until
{
	my ($self, $condition) = @_;

	until ($condition->())
	{
		my $now = time;
		my @due = grep { $_->[0] <= $now } @{ $self->{timers} };

		@{ $self->{timers} } = grep { $_->[0] > $now } @{ $self->{timers} };
		$_->[1]->() for sort { $a->[0] <=> $b->[0] } @due;
		$self->begin($_) for grep { $self->is_ready($_) } @{ $self->{workers} };
		$self->wait_for_answers;
		$self->end_hanging;
	}
	return;
}

sub is_ready
{
	my ($self, $worker) = @_;
	return
	     !$self->{resting}
	  && !defined $worker->{sent}
	  && !$worker->{disturbed}
	  && $worker->{resume} <= time;
}

sub wait_for_answers
{
	my ($self) = @_;
	my $next = min(0.02 + time, map { $_->[0] } @{ $self->{timers} });
	my %ready = map { ($_ => 1) } $self->{select}->can_read(max(0, $next - time));

	for my $worker (@{ $self->{workers} })
	{
		next unless $ready{ $worker->{session}->socket };
		my $result = $worker->{session}->take or next;
		$self->answered($worker, $result);
	}
	return;
}

# For as long as a worker hangs nothing else can be said of it: it is ended.
sub end_hanging
{
	my ($self) = @_;

	for my $worker ($self->busy)
	{
		next if time - $worker->{sent} < $longest_s;
		push @{ $self->{hanging} },
		  "backend $worker->{number}: $worker->{steps}->[0]->{sql}";
		kill 'TERM', $worker->{session}->pid;
		$self->answered($worker,
			{ rows => [], lost => time, answered => time });
	}
	return;
}

# ----------
# A scenario, step by step
# ----------

sub begin
{
	my ($self, $worker) = @_;
	my $scenario = $self->{scenarios}->draw($worker);

	$worker->{scenario} = $scenario->{name};
	$worker->{servers} = $scenario->{servers} // [ $worker->{server} ];
	$worker->{steps} = $scenario->{steps};
	$worker->{failed} = 0;
	$worker->{begun} = time;
	$self->take_step($worker);
	return;
}

sub take_step
{
	my ($self, $worker) = @_;

	$worker->{sent} = time;
	$self->{queries}++;
	# where nobody reads any more, that is seen when the answer is read
	eval { $worker->{session}->send($worker->{steps}->[0]->{sql}); };
	return;
}

sub answered
{
	my ($self, $worker, $result) = @_;
	my $idle = !defined $worker->{sent};

	$self->judge($worker, $result) unless $idle;
	$self->settle($worker, $result);
	if ($result->{lost})
	{
		# a terminate is the one thing that ends a connection
		$self->unexplained($worker, 'the connection was lost', '')
		  unless had($worker, 'terminate');
		$self->reconnect($worker);
		return;
	}
	return if $idle;
	shift @{ $worker->{steps} };
	$worker->{steps} = [] if $worker->{failed};
	# nothing is to be left of a transaction
	push @{ $worker->{steps} }, { sql => 'ROLLBACK' }
	  if !@{ $worker->{steps} } && $worker->{session}->{status} ne 'I';
	return $self->take_step($worker) if @{ $worker->{steps} };
	$self->finish($worker);
	return;
}

sub finish
{
	my ($self, $worker) = @_;

	delete $worker->{sent};
	$worker->{resume} = time + rand $think_s;
	$self->{succeeded}->{ $worker->{scenario} }++ unless $worker->{failed};
	return if !$worker->{spared} || time - ($worker->{sampled} // 0) < $sample_s;
	$worker->{sampled} = time;
	my %kb = map { ($_ => memory_kb($worker->{session}->pid, $_)) }
	  qw(RssAnon RssFile RssShmem VmHWM);
	push @{ $worker->{samples} }, [ time, $kb{RssAnon} ];
	$worker->{peak_kb} = $kb{VmHWM} - $kb{RssFile} - $kb{RssShmem};
	return;
}

# ----------
# What came of a step
# ----------

sub judge
{
	my ($self, $worker, $result) = @_;
	my $step = $worker->{steps}->[0];
	my $code = $result->{error} ? $result->{error}->{sqlstate} : '';
	my $problem;

	$self->{worst_s} =
	  max($self->{worst_s}, $result->{answered} - $worker->{sent});
	return if !$code && $result->{lost};
	if ($code && $code ne ($step->{fails} // ''))
	{
		$self->{failed}->{$code}++;
		# after some errors a scenario goes on
		$worker->{failed} = 1
		  unless $step->{fails} && ($worker->{session}->{status} // '') eq 'E';
		$self->unexplained($worker, "$code $result->{error}->{text}",
			$step->{sql})
		  unless $self->is_allowed($worker, $code);
		return;
	}
	return if $code;
	$problem = "no error $step->{fails}" if $step->{fails};
	$problem //= $step->{check}->($result->{rows},
		sub { $self->is_allowed($worker, @_) })
	  if $step->{check};
	return unless $problem;
	push @{ $self->{wrong} },
	  "backend $worker->{number}, $worker->{scenario}: $problem\n$step->{sql}"
	  if @{ $self->{wrong} } < $most_examples;
	return;
}

sub unexplained
{
	my ($self, $worker, $what, $sql) = @_;

	push @{ $self->{unexplained} },
	  sprintf("%.3f backend %d, %s since %.3f: %s\n%s",
		time, $worker->{number}, $worker->{scenario} // 'idle',
		$worker->{begun} // 0, $what, $sql)
	  if @{ $self->{unexplained} } < $most_examples;
	return;
}

sub had { return ($_[0]->{"had_$_[1]"} // 0) > time - $late_s; }

# Whether that may have happened to the scenario at hand.
sub is_allowed
{
	my ($self, $worker, $code) = @_;
	my %server = map { ($_ => 1) } @{ $worker->{servers} };

	return 1 if $code eq '57014' && had($worker, 'cancel');
	return 1 if $code eq '57P01' && had($worker, 'terminate');
	return 1 if grep { $_ eq $code } map { @{ $faults_give{$_} } } keys %server;
	my $moment = first
	{
		$_->{codes}->{$code}
		  && (!$_->{server} || $server{ $_->{server} })
		  && ($_->{to} // time) >= $worker->{begun};
	}
	@{ $self->{moments} };
	return 0 unless $moment;
	$moment->{seen}++;
	return 1;
}

# From now on these errors may happen, to all or with one server.
sub allow
{
	my ($self, $codes, $server) = @_;
	my $moment = { codes => { map { ($_ => 1) } @$codes }, server => $server };

	push @{ $self->{moments} }, $moment;
	return $moment;
}

sub disallow
{
	my ($self, $moment) = @_;

	$moment->{to} = time;
	# nothing goes on for so long
	@{ $self->{moments} } =
	  grep { !$_->{to} || $_->{to} > time - 3 * $longest_s } @{ $self->{moments} };
	return;
}

# ----------
# What was done to a session
# ----------

# how: cancel or terminate
sub disturb
{
	my ($self, $worker, $how, $at) = @_;

	$worker->{disturbed} = { how => $how, at => $at };
	$worker->{"had_$how"} = $at;
	return;
}

# A cancel has to end the query it meets, whatever else does; a terminate the
# session.
sub settle
{
	my ($self, $worker, $result) = @_;
	my $disturbed = $worker->{disturbed} or return;

	return unless $disturbed->{how} eq 'cancel' || $result->{lost};
	my $code = ($result->{error} // { sqlstate => 'no error' })->{sqlstate};
	push @{ $self->{ended}->{ $disturbed->{how} } },
	  {
		s => $result->{answered} - $disturbed->{at},
		hit => $code =~ /^57/ ? 1 : 0,
		what => "$code: " . ($worker->{steps}->[0] // { sql => 'idle' })->{sql}
	  };
	delete $worker->{disturbed};
	return;
}

# ----------
# A session whose answers are taken as they come
# ----------

package VeltSoak::Session;

use parent -norequire, 'VeltClient';
use Time::HiRes qw(time);

sub socket { return $_[0]->{socket}; }

# What a statement says in full, or nothing as long as there is more to come.
sub take
{
	my ($self) = @_;
	my $result = $self->{taken} //= { rows => [] };
	my $lost = !sysread($self->{socket}, $self->{inbox}, 65536,
		length $self->{inbox});

	while (my ($type, $body) = $self->next_message)
	{
		push @{ $result->{rows} }, VeltClient::columns($body) if $type eq 'D';
		$result->{error} = VeltClient::report($body) if $type eq 'E';
		next if $type ne 'Z';
		$self->{status} = $body;
		$result->{answered} = time;
		return delete $self->{taken};
	}
	return unless $lost;
	$result->{lost} = $result->{answered} = time;
	return delete $self->{taken};
}

1;
