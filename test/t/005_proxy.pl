
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

# How many attempts a refusal costs where there is time for all of them.
{
	my $session = VeltClient->new($nodes[0]);

	add_server(
		$session,
		'patient',
		options => {
			api_url => $api->url,
			sslrootcert => "$certs/ca.crt",
			proxy => $proxy,
			retry_timeout => '1min'
		});
	for my $status (407, 403)
	{
		$api->reset;
		$api->config({ proxy => { status => $status } });
		fails_with($session, 'SELECT * FROM patient.api_keys',
			'08001', "a proxy that replies $status");
		is(scalar record(), 1, 'is asked once');
	}

	$api->reset;
	$api->config({ proxy => { status => 502 } });
	$session->send('SELECT count(*) FROM patient.api_keys');
	$api->wait_for('proxy.requests.length', 1);
	$api->config({ proxy => { status => undef } });
	is_deeply($session->result->{rows},
		[ [25] ], 'a proxy that replies 502 may yet let it pass');
	is(scalar record(), 2, 'and is asked again');
	is($api->stats('requests.total'), 1, 'for the one request');

	# libcurl makes the new connection within the attempt
	$api->reset;
	$api->config({ proxy => { status => 407 } });
	$api->faults([ { nth => 1, do => { close => 'before_headers' } } ]);
	fails_with($session, 'SELECT * FROM patient.api_keys',
		'08001', 'a proxy that refuses to replace a lost connection');
	is($api->stats('faults'), 1, 'which was lost');
	is(scalar record(), 1, 'is asked once');
	$api->faults([]);
	$api->config({ proxy => { status => undef } });
	$session->close;
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
