
=pod

=head1 NAME

VeltClient - a session with a server, told in time and in full

=head1 SYNOPSIS

  use VeltClient;

  my $session = VeltClient->new($node, user => 'postgres');
  my @rows = $session->query('SELECT a, b FROM t');    # dies on an error
  my $value = $session->value('SELECT 1');
  my $error = $session->error('SELECT 1/0');           # dies without one
  $error->{sqlstate};           # message, detail, hint, context, severity

  $session->send('SELECT pg_sleep(10)');               # does not wait
  $other->query("SELECT pg_cancel_backend(" . $session->pid . ")");
  my $result = $session->result;
  $result->{error};             # undef if there was none
  $result->{rows};              # of all its statements
  $result->{notices};           # like errors
  $result->{answered};          # when the error, or the end, came in
  $result->{lost};              # when the connection ended, if it did

It speaks the protocol itself, the simple query and no more: psql in between
would add its own time to the milliseconds that are measured, and would have
to be taken apart again for the SQLSTATE.

=cut

package VeltClient;

use strict;
use warnings;

use Carp;
use IO::Select;
use IO::Socket::UNIX;
use PostgreSQL::Test::Utils ();
use Time::HiRes qw(time);

my $protocol_version = 196608;    # 3.0

# Fields of ErrorResponse and NoticeResponse.
my %field_names = (
	S => 'severity',
	C => 'sqlstate',
	M => 'message',
	D => 'detail',
	H => 'hint',
	W => 'context');

sub new
{
	my ($class, $node, %args) = @_;
	my $path = $node->host . '/.s.PGSQL.' . $node->port;
	my $socket = IO::Socket::UNIX->new(Peer => $path)
	  or croak "could not connect to $path: $!";
	my $self = bless { socket => $socket, inbox => '' }, $class;
	my $parameters = pack('N(Z*)*x',
		$protocol_version,
		user => $args{user} // (getpwuid $>)[0],
		database => $args{dbname} // 'postgres');

	$self->write_all(pack('N', 4 + length $parameters) . $parameters);
	my $result = $self->result;
	croak "could not log in: $result->{error}->{message}"
	  if $result->{error};
	return $self;
}

# Of the server's process.
sub pid { return $_[0]->{pid}; }

sub send
{
	my ($self, $sql) = @_;
	my $message = pack('Z*', $sql);

	utf8::encode($message) if utf8::is_utf8($message);
	$self->write_all('Q' . pack('N', 4 + length $message) . $message);
	return;
}

# Whether there is more of an answer than notices, and than what comes with
# them: the names of columns that have no rows yet.
sub has_answer
{
	my ($self) = @_;

	while (IO::Select->new($self->{socket})->can_read(0))
	{
		sysread($self->{socket}, $self->{inbox}, 65536,
			length $self->{inbox})
		  or return 1;
	}
	while (my ($type, $body) = $self->next_message)
	{
		push @{ $self->{notices} }, report($body) if $type eq 'N';
		if ($type !~ /^[NST]$/)
		{
			$self->{inbox} =
			  pack('aN', $type, 4 + length $body) . $body . $self->{inbox};
			return 1;
		}
	}
	return 0;
}

# All that a query says, up to the moment the server is ready for the next
# one, or is gone.
sub result
{
	my ($self) = @_;
	my $result = { rows => [], notices => delete $self->{notices} // [] };

	for (;;)
	{
		my ($type, $body) = $self->message;

		if (!defined $type)
		{
			$result->{lost} = time;
			$result->{answered} //= $result->{lost};
			return $result;
		}
		elsif ($type eq 'D')
		{
			push @{ $result->{rows} }, columns($body);
		}
		elsif ($type eq 'N')
		{
			push @{ $result->{notices} }, report($body);
		}
		elsif ($type eq 'E')
		{
			$result->{answered} = time;
			$result->{error} = report($body);
		}
		elsif ($type eq 'K')
		{
			$self->{pid} = unpack('N', $body);
		}
		elsif ($type eq 'Z')
		{
			$result->{answered} //= time;
			return $result;
		}
	}
}

# Rows, as references to arrays; NULL is undef.
sub query
{
	my ($self, $sql) = @_;

	$self->send($sql);
	my $result = $self->result;
	croak "$result->{error}->{message} in: $sql" if $result->{error};
	croak "the connection was lost in: $sql" if $result->{lost};
	return @{ $result->{rows} };
}

sub value
{
	my ($self, $sql) = @_;
	my ($row) = $self->query($sql);

	return $row && $row->[0];
}

sub error
{
	my ($self, $sql) = @_;

	$self->send($sql);
	my $result = $self->result;
	croak "the connection was lost in: $sql"
	  if $result->{lost} && !$result->{error};
	croak "no error in: $sql" unless $result->{error};
	return $result->{error};
}

sub close
{
	my ($self) = @_;
	my $socket = delete $self->{socket} or return;

	local $SIG{PIPE} = 'IGNORE';
	syswrite $socket, 'X' . pack('N', 4);
	return CORE::close($socket);
}

sub DESTROY
{
	my ($self) = @_;
	local ($@, $!, $?);
	$self->close;
	return;
}

# ----------
# Messages
# ----------

sub write_all
{
	my ($self, $bytes) = @_;

	local $SIG{PIPE} = 'IGNORE';
	while (length $bytes)
	{
		my $written = syswrite $self->{socket}, $bytes;

		croak "could not write to the server: $!" unless $written;
		substr($bytes, 0, $written) = '';
	}
	return;
}

# Type and body of the next message, or nothing when there are no more.
sub message
{
	my ($self) = @_;
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;

	for (;;)
	{
		if (my @message = $self->next_message)
		{
			return @message;
		}
		$! = 0;
		if (!IO::Select->new($self->{socket})->can_read($deadline - time))
		{
			# by a signal, such as that of a child that was stopped
			next if $!{EINTR};
			croak 'the server did not answer in time';
		}
		sysread($self->{socket}, $self->{inbox}, 65536,
			length $self->{inbox})
		  or return;
	}
}

# The first message that has come, or nothing as long as none is complete.
sub next_message
{
	my ($self) = @_;

	return if length $self->{inbox} < 5;
	my $length = 1 + unpack('x N', $self->{inbox});
	return if length $self->{inbox} < $length;
	my $message = substr($self->{inbox}, 0, $length, '');
	return (substr($message, 0, 1), substr($message, 5));
}

sub columns
{
	my ($body) = @_;
	my ($count, $rest) = unpack('n a*', $body);
	my @values;

	for (1 .. $count)
	{
		my $length = unpack('l>', substr($rest, 0, 4, ''));

		push @values, $length < 0 ? undef : substr($rest, 0, $length, '');
	}
	return \@values;
}

sub report
{
	my ($body) = @_;
	my %report = map { $_ => '' } values %field_names;

	for my $field (split /\0/, $body)
	{
		my $name = $field_names{ substr $field, 0, 1 };

		$report{$name} = substr $field, 1 if $name;
	}
	$report{text} = join "\n",
	  grep { length } @report{qw(message detail hint context)};
	return \%report;
}

1;
