
# A proxy sees where the connection goes, and nothing of what is said on it;
# none is used but the one in the server's options.

use strict;
use warnings;

use IO::Socket::INET;
use JSON::PP;
use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltTest;

my $certs = tempdir();
VeltSimulator::certs($certs);
my $api = serve_tls($certs, 'server');
my $address = $api->url =~ s{^https://}{}r;
my $proxy = $api->ready->{proxy};

# The proxy of the environment's choice, with a record of its own.
my $trap = VeltSimulator->new;
my @variables = qw(http_proxy https_proxy all_proxy);
my %environment =
  map { ($_ => $trap->ready->{proxy}, uc $_ => $trap->ready->{proxy}) }
  @variables;

# Unused, as it was bound and nobody listens.
my $unused = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'tcp')
  or die "could not bind a socket: $!";

my @nodes = (
	start_node(name => 'plain'),
	start_node(name => 'proxied', env => \%environment),
	start_node(
		name => 'unproxied',
		env => { no_proxy => '*', NO_PROXY => '127.0.0.1,localhost' }));

sub record { return @{ $api->stats('proxy.requests') }; }

sub error_without_rows
{
	my ($session, $sqlstate, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$api->reset;
	my $error = fails_with($session, 'SELECT * FROM through.api_keys',
		$sqlstate, $name);
	is($api->stats('requests.total'), 0, 'and no request came through');
	unlike($error->{text}, qr/\Q$token\E/, 'the message has no token');
	return $error;
}

for my $node (@nodes)
{
	my $where = $node->name;
	my $session = VeltClient->new($node);
	my %options =
	  (api_url => $api->url, sslrootcert => "$certs/ca.crt");

	add_server($session, 'direct', options => {%options});
	add_server($session, 'through',
		options => { %options, proxy => $proxy });
	add_server($session, 'loopback', options => { api_url => $trap->url });
	$api->reset;
	$trap->reset;

	# without the option
	is($session->value('SELECT count(*) FROM direct.auth_tokens'),
		50, "$where: without a proxy");
	is(scalar record(), 0, 'there is none');
	is($session->value('SELECT count(*) FROM loopback.api_keys'),
		25, "$where: without TLS");

	# with it
	is($session->value('SELECT count(*) FROM through.auth_tokens'),
		50, "$where: through a proxy");
	my @requests = record();
	cmp_ok(scalar @requests, '>=', 1, 'it is asked for a connection');
	cmp_ok(scalar @requests, '<=', 8, 'or for as many as are in flight');
	my @lines = map { $_->{line} } @requests;
	is_deeply(
		\@lines,
		[ ("CONNECT $address HTTP/1.1") x @lines ],
		'to the API, and for nothing else');
	is_deeply(
		[
			grep { /velt-|^(content|authorization|cookie|accept)/ }
			map { keys %{ $_->{headers} } } @requests
		],
		[],
		'with no header that is for the API');
	my $said = JSON::PP->new->encode(\@requests);
	unlike($said, qr/\Q$_\E/, 'it hears of no credentials')
	  for $token, $workspace;

	$session->query('SELECT * FROM through.workspaces');
	is(scalar record(), scalar @lines,
		'the connection through it is kept as any other');

	# refusals
	$session->query('ALTER SERVER through OPTIONS (ADD page_size \'50\')');
	for my $status (407, 502, 403)
	{
		$api->config({ proxy => { status => $status } });
		error_without_rows($session, '08001',
			"$where: a proxy that replies $status");
		cmp_ok(scalar record(), '>=', 1, 'was asked');
	}
	$api->config({ proxy => { status => undef } });
	is($session->value('SELECT count(*) FROM through.api_keys'),
		25, 'the proxy lets it pass again');

	$session->query('ALTER SERVER through OPTIONS (SET proxy '
		  . literal('http://127.0.0.1:' . $unused->sockport)
		  . ')');
	error_without_rows($session, '08001',
		"$where: a proxy that is not there");
	is(scalar record(), 0, 'and no other is asked');

	is($trap->stats('proxy.requests.length'),
		0, "$where: the environment's proxy is never asked");
	$session->close;
}

done_testing();
