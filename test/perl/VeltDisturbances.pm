
=pod

=head1 NAME

VeltDisturbances - what happens to the sessions of a soak, and when

=head1 SYNOPSIS

  use VeltDisturbances;

  my $disturbances = VeltDisturbances->new($soak, $node, $config);
  $disturbances->go_on;                  # from now on, until
  $disturbances->come_to_rest;           # nothing goes on any more
  $disturbances->counts;                 # kind => how often
  $disturbances->stats;                  # of all simulators there were

Faults of single requests are there all the time, at a rate; the others come
one after the other, each kind in turn.

=cut

package VeltDisturbances;

use strict;
use warnings;

use List::Util qw(shuffle);
use PostgreSQL::Test::Cluster;
use Time::HiRes qw(time);
use VeltClient;
use VeltScenarios;
use VeltSimulator;
use VeltTest;

# Of all requests so many are answered wrongly.
our $share = 0.02;

# Seconds from one disturbance to the next, on average half of it.
my $pause_s = 0.6;

# What cannot be done now is tried again after so long.
my $again_s = 0.02;

# For so long nobody listens.
my $down_s = 0.8;

# For so long a setting is wrong at most: until a session has seen it.
my $wrong_s = 6;

# A query that runs for so long is not cancelled: it is to show that it ends.
my $spare_s = 5;

# A port on which nobody listens, ever.
my $nowhere = 'http://127.0.0.1:1';

my @faults = (
	{ status => 500, body => 'no' },
	{ status => 502, body => '<html>' },
	{ status => 503 },
	{ status => 429, headers => { 'Retry-After' => 1 } },
	{ error => 'UNAVAILABLE' },
	{ error => 'INTERNAL', http => 200 },
	{ reset => 'before_headers' },
	{ reset => 'in_body' },
	{ close => 'after_headers' },
	{ truncate => 30 },
	{ stall => 'before_headers' },
	{ stall => 'in_body' },
	{ stall => 'in_body', for_ms => 300 },
	{ latency_ms => 400 },
	{ drip_ms => 1 },
	{ wrong_length => 10 },
	{ status => 200, body_parts => [ [ ' ', 250_000 ], [ '{}', 1 ] ] },
	{ status => 200, body => '{"result":tru}' });

# A round; what is twice in it is done more often.
my @kinds = (
	('cancel') x 8, ('terminate') x 3,
	('change server') x 2, 'change mapping',
	'wrong token', 'wrong workspace', 'wrong address', 'restart');

my %do = (
	'cancel' => \&cancel,
	'terminate' => \&terminate,
	'change server' => \&change_server,
	'change mapping' => \&change_mapping,
	'wrong token' => \&wrong_token,
	'wrong workspace' => \&wrong_workspace,
	'wrong address' => \&wrong_address,
	'restart' => \&restart);

sub new
{
	my ($class, $seed, $workspaces) = @_;
	# out of reach for the kernel's own choice: where nobody listens for a
	# while, a connection's own end could come to be
	my $self = bless {
		seed => $seed,
		config => { latency_ms => 3, workspaces => $workspaces },
		port => PostgreSQL::Test::Cluster::get_free_port(),
		deck => [],
		counts => { map { ($_ => 0) } @kinds },
		wrong => {},    # server => that it is
		stats => {},
		starts => 0,
		resting => 1
	}, $class;

	$self->start_simulator;
	return $self;
}

sub api { return $_[0]->{api}; }
sub counts { return $_[0]->{counts}; }
sub kinds { return keys %do; }

# soak: whose sessions they are; admin: a session of its own
sub attach
{
	my ($self, $soak, $admin) = @_;

	@$self{qw(soak admin)} = ($soak, $admin);
	return;
}

# ----------
# The simulator
# ----------

sub start_simulator
{
	my ($self) = @_;
	my $number = $self->{starts}++;

	$self->{api} = VeltSimulator->new(
		port => $self->{port}, config => $self->{config});
	$self->{rules} = [
		map {
			{
				probability => $share / @faults,
				seed => "$self->{seed} $number $_",
				do => $faults[$_]
			}
		} 0 .. $#faults
	];
	$self->{api}->faults($self->{rules});
	return;
}

# For the time being nothing is answered at all.
sub hold_answers
{
	return $_[0]->{api}->faults([ { do => { stall => 'before_headers' } } ]);
}

sub answer_again { return $_[0]->{api}->faults($_[0]->{rules}); }

# Its counts are gone with it.
sub add_stats
{
	my ($self) = @_;
	my $stats = $self->{api}->stats;

	$self->{stats}->{$_} += $stats->{$_} for qw(connections aborted faults);
	$self->{stats}->{$_} += $stats->{requests}->{$_}
	  for keys %{ $stats->{requests} };
	return;
}

# All there were, with the one at hand; to be asked for once.
sub stats
{
	my ($self) = @_;

	$self->add_stats;
	return $self->{stats};
}

# ----------
# One after the other
# ----------

sub later { return $_[0]->{soak}->at($_[1] + time, $_[2]); }

sub go_on
{
	my ($self) = @_;

	@$self{qw(resting at_rest)} = (0, 0);
	$self->{soak}->{resting} = 0;
	$self->later(rand $pause_s, sub { $self->take_turn });
	return;
}

# Ends what goes on, for good; then nothing does.
sub come_to_rest
{
	my ($self) = @_;

	$self->{resting} = $self->{soak}->{resting} = 1;
	$self->{soak}->run_until(
		sub { $self->{at_rest} && !%{ $self->{wrong} } && $self->{soak}->is_quiet });
	return;
}

sub take_turn
{
	my ($self) = @_;
	my $deck = $self->{deck};

	if ($self->{resting})
	{
		$self->{at_rest} = 1;
		return;
	}
	push @$deck, shuffle @kinds unless @$deck;
	my $kind = $deck->[0];
	if ($do{$kind}->($self))
	{
		shift @$deck;
		$self->{counts}->{$kind}++;
		$self->later(rand $pause_s, sub { $self->take_turn });
		return;
	}
	# what has to wait lets another go first
	push @$deck, shift @$deck;
	$self->later($again_s, sub { $self->take_turn });
	return;
}

# ----------
# Kinds: each returns whether it could be done
# ----------

sub one_of { return $_[ rand @_ ]; }

sub cancel
{
	my ($self) = @_;
	my $worker = one_of(grep { !$_->{disturbed} && $_->{sent} > time - $spare_s }
		  $self->{soak}->busy);

	return 0 unless $worker;
	my $at = time;
	my $pid = $worker->{session}->pid;
	# one that comes before the query has begun is for nothing
	my $begun = $self->{admin}->value("SELECT pg_cancel_backend(pid)
		FROM pg_stat_activity WHERE pid = $pid AND state = 'active'");
	return 0 unless $begun;
	$self->{soak}->disturb($worker, 'cancel', $at);
	return 1;
}

sub terminate
{
	my ($self) = @_;
	my $worker = one_of(grep { !$_->{spared} && !$_->{disturbed} }
		  @{ $self->{soak}->{workers} });

	return 0 unless $worker;
	$self->{soak}->disturb($worker, 'terminate', time);
	$self->{admin}->query('SELECT pg_terminate_backend(' . $worker->{session}->pid . ')');
	return 1;
}

# "steady" is what is never altered: a session with it lasts.
sub some_server { return one_of(qw(patient hasty)); }

sub alter_server
{
	my ($self, $server, $option, $value) = @_;

	$self->{admin}->query(
		"ALTER SERVER $server OPTIONS (SET $option " . literal($value) . ')');
	return 1;
}

sub alter_mapping
{
	my ($self, $server, $option, $value) = @_;

	$self->{admin}->query("ALTER USER MAPPING FOR CURRENT_USER SERVER $server
		OPTIONS (SET $option " . literal($value) . ')');
	return 1;
}

sub change_server
{
	my ($self) = @_;
	my @change = @{
		one_of(
			[ page_size => 5 + int rand 40 ],
			[ keys_per_request => 1 + int rand 40 ],
			[ max_concurrency => 1 + int rand 16 ],
			[ keep_connections => one_of(qw(true false)) ],
			[ request_cost => one_of(1, 100, 1000) ])
	};

	return $self->alter_server(some_server(), @change);
}

# To what it is: a change for the catalogs alone.
sub change_mapping
{
	my ($self) = @_;
	my $server = some_server();

	return 0 if $self->{wrong}->{$server};
	return $self->alter_mapping($server, 'auth_token', token_of($server));
}

sub token_of { return "token-ws_$_[0]"; }

sub wrong_token
{
	my ($self) = @_;
	my $server = some_server();
	my $right = token_of($server);

	return $self->wrong_for_a_while(
		$server,
		[qw(28000 42501)],
		sub { $self->alter_mapping($server, 'auth_token', $_[0] ? 'wrong' : $right) });
}

sub wrong_workspace
{
	my ($self) = @_;
	my $server = some_server();
	my $right = VeltScenarios::workspace_of($server);

	return $self->wrong_for_a_while(
		$server,
		['42704'],
		sub { $self->alter_mapping($server, 'workspace_id', $_[0] ? 'ws_unknown' : $right) });
}

sub wrong_address
{
	my ($self) = @_;
	my $server = some_server();
	my $right = $self->{api}->url;

	return $self->wrong_for_a_while(
		$server,
		['08001'],
		sub { $self->alter_server($server, 'api_url', $_[0] ? $nowhere : $right) });
}

# set: makes it wrong, or right again
sub wrong_for_a_while
{
	my ($self, $server, $codes, $set) = @_;
	my $began = time;
	my $least = rand 0.6;

	return 0 if $self->{wrong}->{$server};
	$self->{wrong}->{$server} = 1;
	my $moment = $self->{soak}->allow($codes, $server);
	$set->(1);
	my $look;
	$look = sub {
		my $lasted = time - $began;

		return $self->later($again_s, $look)
		  if $lasted < $least || !$moment->{seen} && $lasted < $wrong_s;
		$set->(0);
		$self->{soak}->disallow($moment);
		delete $self->{wrong}->{$server};
		undef $look;
	};
	$self->later($again_s, $look);
	return 1;
}

# While it starts nobody looks at the clock: not while something is timed.
sub restart
{
	my ($self) = @_;
	my $soak = $self->{soak};

	return 0 if $self->{wrong}->{all} || grep { $_->{disturbed} } @{ $soak->{workers} };
	$self->{wrong}->{all} = 1;
	my $moment = $soak->allow([qw(08001 08006)]);
	$self->add_stats;
	$self->{api}->send_signal('KILL');
	$self->{api}->stop;
	my $start;
	$start = sub {
		return $self->later($again_s, $start)
		  if grep { $_->{disturbed} } @{ $soak->{workers} };
		$self->start_simulator;
		$soak->disallow($moment);
		delete $self->{wrong}->{all};
		undef $start;
	};
	$self->later(rand $down_s, $start);
	return 1;
}

1;
