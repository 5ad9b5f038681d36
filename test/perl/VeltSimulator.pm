
=pod

=head1 NAME

VeltSimulator - the Velt API on loopback, for TAP tests

=head1 SYNOPSIS

  use VeltSimulator;

  my $api = VeltSimulator->new(config => { latency_ms => 20 });
  $api->url;                                 # for option api_url
  $api->config({ modes => { compress => JSON::PP::true } });
  $api->faults([ { do => { status => 503 }, times => 1 } ]);
  is($api->stats('requests.apikeys/get'), 2);
  $api->wait_for('in_flight', 1);
  $api->reset;
  $api->pause;                               # until $api->continue
  $api->stop;

  VeltSimulator::certs($dir);
  VeltSimulator->new(tls => { cert => "$dir/server.crt",
      key => "$dir/server.key", client_ca => "$dir/ca.crt" });
  VeltSimulator->new(nginx => $dir)->ready->{tls_url};

It ends with the object, and with this process however that ends: it watches
the pipe that is its standard input.  F<test/simulator/README.md> explains
configuration, faults and statistics.

=cut

package VeltSimulator;

use strict;
use warnings;

use Carp;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use HTTP::Tiny;
use IO::Select;
use IPC::Open3;
use JSON::PP;
use Scalar::Util qw(weaken);
use Time::HiRes qw(sleep time);

my $script = abs_path(dirname(__FILE__) . '/../simulator/simulator.py');
my $json = JSON::PP->new->utf8->canonical->allow_nonref;

# Objects that an END block has to stop.
my %running;

sub new
{
	my ($class, %args) = @_;
	my @options = ('--exit-with-stdin');

	for my $arg (sort keys %args)
	{
		croak "VeltSimulator->new: unknown argument \"$arg\""
		  unless $arg =~ /^(config|port|tls|nginx|nginx_cache)$/;
	}
	push @options, '--config', $json->encode($args{config})
	  if $args{config};
	push @options, '--port', $args{port} if $args{port};
	push @options, '--nginx', $args{nginx} if $args{nginx};
	push @options, '--nginx-cache' if $args{nginx_cache};
	if (my $tls = $args{tls})
	{
		push @options, '--tls-cert', $tls->{cert}, '--tls-key', $tls->{key};
		push @options, '--tls-client-ca', $tls->{client_ca}
		  if $tls->{client_ca};
	}

	my %how = (timeout => timeout(), proxy => undef, http_proxy => undef);
	my $self = bless {
		http => HTTP::Tiny->new(%how),
		http_once => HTTP::Tiny->new(%how, keep_alive => 0)
	}, $class;
	# Standard error is the test's own: a mistake shows in its log.
	$self->{pid} = open3($self->{stdin}, my $stdout, '>&STDERR',
		python(), $script, 'serve', @options);
	$running{ $self->{pid} } = $self;
	weaken($running{ $self->{pid} });
	$self->{ready} = $json->decode(read_line($stdout));
	return $self;
}

# What the simulator said when it was ready: url, control, proxy, stall_url,
# tls_stall_url, tls_url, tls_http1_url, ca, cached_url, pid.
sub ready
{
	my ($self) = @_;
	return $self->{ready};
}

sub url { return $_[0]->{ready}->{url}; }
sub control { return $_[0]->{ready}->{control}; }

# All statistics, or the value of one dotted key; "length" counts a list.
sub stats
{
	my ($self, $key) = @_;
	my $value = $self->call('GET', 'stats');

	for my $step (split /\./, $key // '')
	{
		if (ref $value eq 'ARRAY')
		{
			$value = $step eq 'length' ? @$value : $value->[$step];
		}
		else
		{
			croak "no such statistic: $key"
			  unless ref $value eq 'HASH' && exists $value->{$step};
			$value = $value->{$step};
		}
	}
	return $value;
}

sub reset { return $_[0]->call('POST', 'reset'); }
sub config { return $_[0]->call('POST', 'config', $_[1]); }
sub faults { return $_[0]->call('POST', 'faults', $_[1]); }

# Wait until a statistic is at least so much; dies when that takes too long.
sub wait_for
{
	my ($self, $key, $least) = @_;
	my $deadline = time + timeout();
	my $value;

	while (($value = $self->stats($key)) < $least)
	{
		croak "$key is still $value, not $least" if time > $deadline;
		sleep 0.02;
	}
	return $value;
}

# In between it does nothing; what comes in waits.
sub pause { return $_[0]->send_signal('STOP'); }
sub continue { return $_[0]->send_signal('CONT'); }

sub send_signal
{
	my ($self, $signal) = @_;

	kill $signal, $self->{pid} or croak "could not signal the simulator: $!";
	return;
}

sub stop
{
	my ($self) = @_;
	my $pid = delete $self->{pid} or return;

	delete $running{$pid};
	# Closing its standard input ends it, unless it is paused.
	kill 'CONT', $pid;
	local $?;
	close $self->{stdin};
	waitpid $pid, 0;
	return;
}

sub DESTROY
{
	my ($self) = @_;
	local ($@, $!, $?);
	$self->stop;
	return;
}

END
{
	my $status = $?;
	$_->stop for grep { defined } values %running;
	$? = $status;
}

# Make an authority, and certificates good and bad, in a directory.
sub certs
{
	my ($dir) = @_;
	system(python(), $script, 'certs', $dir) == 0
	  or croak "could not make certificates in $dir";
	return;
}

sub call
{
	my ($self, $method, $verb, $document) = @_;
	# HTTP::Tiny writes head and body one by one.  Over a connection that has
	# been in use, the body would wait for the head to be acknowledged, which
	# the kernel delays by 40 ms.
	my $http = $self->{ defined $document ? 'http_once' : 'http' };
	my $response = $http->request(
		$method,
		"$self->{ready}->{control}/$verb",
		{ content => defined $document ? $json->encode($document) : '' });

	croak "simulator, $verb: $response->{status} $response->{content}"
	  unless $response->{success};
	return $json->decode($response->{content});
}

sub python { return $ENV{PYTHON} || 'python3'; }

sub timeout
{
	no warnings 'once';
	return $PostgreSQL::Test::Utils::timeout_default || 60;
}

sub read_line
{
	my ($handle) = @_;
	my $select = IO::Select->new($handle);
	my $deadline = time + timeout();
	my $line = '';

	until ($line =~ /\n/)
	{
		$! = 0;
		if (!$select->can_read($deadline - time))
		{
			# by a signal, such as that of a child that ended
			next if $!{EINTR};
			croak 'the simulator did not start in time';
		}
		sysread($handle, $line, 8192, length $line)
		  or croak 'the simulator did not start';
	}
	return $line;
}

1;
