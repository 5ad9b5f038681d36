
=pod

=head1 NAME

VeltDocs - runs what the documentation shows, as it stands there

=head1 SYNOPSIS

  use VeltDocs;

  my $docs = VeltDocs->new('reporting.md');         # of docs/
  $docs->run($node, 'tables', dbname => 'postgres');  # dies on an error
  my ($status, $out, $err) = $docs->try($node, 'psql', env => {...});
  is_deeply([ $docs->untried ], []);

Every block of code is preceded by a comment that HTML does not show: who runs
it, a role's name or "admin" for the superuser or "shell"; and its name.

  <!-- reporter: tables -->

Of a block for reading only, "nobody: example", nothing is expected.

=cut

package VeltDocs;

use strict;
use warnings;

use Carp;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use IPC::Run;
use PostgreSQL::Test::Utils;

my $directory = abs_path(dirname(__FILE__) . '/../../docs');

sub new
{
	my ($class, $file) = @_;
	my $text = slurp_file("$directory/$file");
	my $self = bless { file => $file, blocks => {}, tried => {} }, $class;

	for my $part (split /^```\n/m, $text)
	{
		my ($comment, $body) = $part =~ /^([^\n]*)\n```\w+\n(.*)/ms or next;

		croak "$file: a block of code without a name, after: $comment"
		  unless $comment =~ /^<!-- (\w+): ([\w-]+) -->$/;
		croak "$file: two blocks named $2" if $self->{blocks}->{$2};
		$self->{blocks}->{$2} = { who => $1, text => $body };
	}
	croak "$file: no blocks of code" unless %{ $self->{blocks} };
	return $self;
}

sub text
{
	my ($self, $name) = @_;
	my $block = $self->{blocks}->{$name}
	  or croak "$self->{file} has no block $name";

	return $block->{text};
}

# Exit status, standard output, standard error.  user: who runs it, if it is not
# a role of that name; env: for the shell; replace:
# what it has in common with no other machine, an address or a path, and what
# that is here.
sub try
{
	my ($self, $node, $name, %args) = @_;
	my $text = $self->text($name);
	my $who = $args{user} // $self->{blocks}->{$name}->{who};
	my $dbname = $args{dbname} // 'postgres';
	my @command = qw(psql -X -q -A -t -v ON_ERROR_STOP=1 -v VERBOSITY=verbose);

	for my $there (sort keys %{ $args{replace} // {} })
	{
		$text =~ s/\Q$there\E/$args{replace}->{$there}/
		  or croak "$self->{file}: $name has no $there";
	}
	local %ENV = (
		%ENV,
		PGHOST => $node->host,
		PGPORT => $node->port,
		PGDATABASE => $dbname,
		%{ $args{env} // {} });
	delete $ENV{PGUSER} unless ($args{env} // {})->{PGUSER};
	@command = ('sh', '-e') if $who eq 'shell';
	push @command, '-U', $who unless $who =~ /^(shell|admin)$/;
	$self->{tried}->{$name}++;
	my ($out, $err) = ('', '');
	IPC::Run::run(\@command, '<', \$text, '>', \$out, '2>', \$err,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	chomp($out, $err);
	return ($? >> 8, $out, $err);
}

# What it prints; it is not to fail.
sub run
{
	my ($self, $node, $name, %args) = @_;
	my ($status, $out, $err) = $self->try($node, $name, %args);

	croak "$self->{file}: $name failed: $err" if $status || $err =~ /ERROR/;
	return $out;
}

# Names of blocks that no test has run.
sub untried
{
	my ($self) = @_;
	my $blocks = $self->{blocks};

	return sort grep { $blocks->{$_}->{who} ne 'nobody' && !$self->{tried}->{$_} }
	  keys %$blocks;
}

1;
