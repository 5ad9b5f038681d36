
=pod

=head1 NAME

VeltHostile - a server whose replies are too large, too long or without end

=head1 SYNOPSIS

  use VeltHostile;

  my $hostile = VeltHostile->new;
  $hostile->url(rows(gzip => 63, '', '{},', '{}'));    # for option api_url
  $hostile->url(bytes(flood => "HTTP/1.1 200 OK\r\n", "a: b\r\n"));
  $hostile->url('fan', 8, rows(plain => 63, '', '{},', '{}'));

F<test/simulator/hostile.py> explains the replies.  It ends with the object.

=cut

package VeltHostile;

use strict;
use warnings;

use Carp;
use Cwd qw(abs_path);
use Exporter qw(import);
use File::Basename qw(dirname);
use IPC::Open3;
use JSON::PP;
use MIME::Base64 qw(encode_base64url);

our @EXPORT = qw(rows bytes);

my $script = abs_path(dirname(__FILE__) . '/../simulator/hostile.py');

sub new
{
	my ($class) = @_;
	my $self = bless {}, $class;

	$self->{pid} = open3($self->{stdin}, my $stdout, '>&STDERR',
		$ENV{PYTHON} || 'python3', $script);
	my $url = <$stdout> // croak 'the hostile server did not start';
	chomp($self->{url} = $url);
	return $self;
}

sub url
{
	my ($self, @parts) = @_;
	return join '/', $self->{url}, @parts;
}

# The parts of a path for a page of so many megabytes.
sub rows
{
	my ($reply, $megabytes, @rows) = @_;
	return ($reply, $megabytes, encode(@rows));
}

# ... and for bytes without end.
sub bytes
{
	my ($reply, @bytes) = @_;
	return ($reply, encode(@bytes));
}

sub encode
{
	my (@strings) = @_;
	return encode_base64url(JSON::PP->new->ascii->encode(\@strings), '');
}

sub DESTROY
{
	my ($self) = @_;
	local ($@, $!, $?);
	my $pid = delete $self->{pid} or return;

	close $self->{stdin};
	waitpid $pid, 0;
	return;
}

1;
