
=pod

=head1 NAME

VeltTest - what the TAP tests have in common

=head1 SYNOPSIS

  use VeltTest;

  my $node = start_node();                        # with the extension
  my $node = start_node(conf => 'work_mem = 1MB',
      env => { LD_PRELOAD => compile_shim('network.c') });
  my $session = VeltClient->new($node);
  add_server($session, 'velt', options => { api_url => $api->url });
  $session->query('SELECT * FROM velt.api_keys');
  fails_with($session, 'SELECT * FROM velt.workspaces', '08001', 'refused');

=cut

package VeltTest;

use strict;
use warnings;

use Carp;
use Cwd qw(abs_path);
use Exporter qw(import);
use File::Basename qw(dirname);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use VeltClient;
use VeltSimulator;

our @EXPORT = qw(
  $workspace $token
  start_node compile_shim
  add_server add_mapping option_list literal
  fails_with poll_until wait_until_waiting wait_until_idle
  descriptors threads memory_kb sockets_with_input
  tempdir write_file serve_tls serve_openssl
);

# What the simulator has without configuration.
our $workspace = 'workspace_demo';
our $token = 'demo-token-0123456789abcdef';

my $poll_interval_us = 1000;

# ----------
# Servers
# ----------

# A running server that has the extension.  conf: lines of its configuration;
# env: of its processes.
sub start_node
{
	my (%args) = @_;
	my $node = PostgreSQL::Test::Cluster->new($args{name} // 'main');

	$node->init(
		extra => [ '--encoding', 'UTF8', '--locale', 'C.UTF-8' ]);
	$node->append_conf('postgresql.conf', $args{conf}) if $args{conf};
	{
		local %ENV = (%ENV, %{ $args{env} // {} });
		$node->start;
	}
	$node->safe_psql('postgres', 'CREATE EXTENSION velt_fdw');
	return $node;
}

# Makes a shared object of a C file beside the tests; returns what LD_PRELOAD
# has to be for it.
sub compile_shim
{
	my ($source) = @_;
	my $directory = abs_path(dirname(__FILE__) . '/../t');
	my $object = tempdir() . '/shim.so';

	system_or_bail($ENV{CC} // 'cc',
		'-shared', '-fPIC', '-o', $object, "$directory/$source", '-ldl');
	# behind a sanitizer, which has to come first
	return join ':', grep { $_ } $ENV{LD_PRELOAD}, $object;
}

# ----------
# Foreign servers
# ----------

sub literal
{
	my ($value) = @_;

	$value =~ s/'/''/g;
	return "'$value'";
}

# An OPTIONS clause, or nothing.
sub option_list
{
	my (%options) = @_;

	return '' unless %options;
	return 'OPTIONS ('
	  . join(', ', map { "$_ " . literal($options{$_}) } sort keys %options)
	  . ')';
}

# A server with a mapping and a schema of that name, as the session's user.
# options: of the server; mapping: of the user mapping, beside the workspace
# that the simulator has.  Errors are final unless options say otherwise: a
# test of a refusal is not to wait for further attempts.
sub add_server
{
	my ($session, $name, %args) = @_;

	$session->query("CREATE SERVER $name FOREIGN DATA WRAPPER velt_fdw "
		  . option_list(retry_timeout => '0', %{ $args{options} // {} }));
	add_mapping($session, $name, %{ $args{mapping} // {} });
	$session->query("CREATE SCHEMA $name");
	$session->query(
		"IMPORT FOREIGN SCHEMA workspace FROM SERVER $name INTO $name");
	return;
}

# Default: for the session's user, to the simulator's workspace.
sub add_mapping
{
	my ($session, $server, %options) = @_;
	my $user = delete $options{user} // 'CURRENT_USER';

	$options{workspace_id} //= $workspace;
	$options{auth_token} //= $token unless $options{auth_token_file};
	$session->query("CREATE USER MAPPING FOR $user SERVER $server "
		  . option_list(%options));
	return;
}

# The query fails so, or in one of several ways: 'A|B'; returns the error.
sub fails_with
{
	my ($session, $sql, $sqlstate, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$session->send($sql);
	my $result = $session->result;
	my $error = $result->{error} // { sqlstate => 'none', text => '' };

	like($error->{sqlstate}, qr/^(?:$sqlstate)$/, $name)
	  or diag("$sql\n" . ($error->{text} || 'no error'));
	return $error;
}

# ----------
# Conditions
# ----------

# Waits for what comes by itself, and dies if it does not.
sub poll_until
{
	my ($what, $condition) = @_;
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;

	until ($condition->())
	{
		croak "waited in vain: $what" if time > $deadline;
		usleep($poll_interval_us);
	}
	return;
}

# Until the session's query waits for the network, as an observer sees it.
sub wait_until_waiting
{
	my ($observer, $session) = @_;
	my $pid = $session->pid;

	poll_until(
		"process $pid waits for the network",
		sub {
			my $type = $observer->value(
				"SELECT wait_event_type FROM pg_stat_activity WHERE pid = $pid"
			);

			croak 'the query ended instead of waiting: '
			  . ($session->result->{error} // { text => 'no error' })->{text}
			  if $session->has_answer;
			return defined $type && $type eq 'Extension';
		});
	return;
}

# Until the simulator has seen the ends of all transfers.
sub wait_until_idle
{
	my ($api) = @_;

	poll_until('no request in flight', sub { !$api->stats('in_flight') });
	return;
}

# ----------
# Processes
# ----------

# How many sockets, files, epoll sets, timers and the like it has.  Those of
# the cluster are left out: the server keeps its tables open as it likes.
sub descriptors
{
	my ($pid) = @_;
	my @targets = map { readlink($_) // () } glob "/proc/$pid/fd/*";

	croak "could not look at the descriptors of $pid" unless @targets;
	return scalar grep { !m{/pgdata/} } @targets;
}

# The ids of its threads.
sub threads
{
	my ($pid) = @_;
	my @tasks = glob "/proc/$pid/task/*";

	return map { m{([^/]+)$} } @tasks;
}

# How many sockets of the server at this URL, on 127.0.0.1, have bytes that it
# has not read; also those of connections that it has not accepted.
sub sockets_with_input
{
	my ($url) = @_;
	my ($port) = $url =~ /:([0-9]+)$/ or croak "no port in $url";
	my $own = sprintf '0100007F:%04X', $port;
	my $count = 0;

	for my $line (split /\n/, slurp_file('/proc/net/tcp'))
	{
		# number, own address, the other's, state, output and input queued
		my (undef, $local, undef, $state, $queued) = split ' ', $line;

		$count++
		  if $local eq $own && $state eq '01' && $queued !~ /:00000000$/;
	}
	return $count;
}

# A line of the process's status, such as VmRSS, in kB.
sub memory_kb
{
	my ($pid, $line) = @_;

	slurp_file("/proc/$pid/status") =~ /^\Q$line\E:\s+([0-9]+) kB$/m
	  or croak "process $pid has no $line";
	return $1;
}

# ----------
# Other servers
# ----------

# A simulator that speaks TLS with a certificate of VeltSimulator::certs.
sub serve_tls
{
	my ($directory, $certificate, %args) = @_;

	return VeltSimulator->new(
		%args,
		tls => {
			cert => "$directory/$certificate.crt",
			key => "$directory/$certificate.key",
			%{ $args{tls} // {} }
		});
}

# openssl's own server, which has one connection after the other and shows what
# it is sent.  Returns its URL and an object: ->shows(pattern) waits for it,
# ->shown, and ->stop.
sub serve_openssl
{
	my ($directory, @options) = @_;
	my $timer = IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default);
	my $self = bless { input => '', output => '', timer => $timer },
	  'VeltTest::OpenSSL';

	# setpriv: it ends with the test, however that ends
	$self->{process} = IPC::Run::start(
		[
			'setpriv', '--pdeathsig', 'TERM', 'openssl', 's_server',
			'-accept', '127.0.0.1:0',
			'-cert', "$directory/server.crt",
			'-key', "$directory/server.key",
			@options
		],
		\$self->{input}, \$self->{output}, '2>&1', $timer);
	$self->shows(qr/^ACCEPT [0-9.]+:[0-9]+\n/m);
	my ($port) = $self->shown =~ /^ACCEPT [0-9.]+:([0-9]+)/m;
	return ("https://127.0.0.1:$port", $self);
}

sub VeltTest::OpenSSL::shown { return $_[0]->{output}; }

sub VeltTest::OpenSSL::shows
{
	my ($self, $pattern) = @_;

	pump_until($self->{process}, $self->{timer}, \$self->{output}, $pattern)
	  or croak "openssl did not show $pattern: $self->{output}";
	return;
}

sub VeltTest::OpenSSL::stop { return $_[0]->{process}->kill_kill; }

# ----------
# Files
# ----------

# Removed with the test.
sub tempdir { return abs_path(PostgreSQL::Test::Utils::tempdir()); }

sub write_file
{
	my ($path, $content) = @_;

	open(my $file, '>', $path) or croak "could not write $path: $!";
	print $file $content;
	close($file) or croak "could not write $path: $!";
	return $path;
}

1;
