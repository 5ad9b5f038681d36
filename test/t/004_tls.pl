
# TLS: who is believed, what files are good for it, and that nothing is sent
# to anybody else.

use strict;
use warnings;

use IO::Socket::INET;
use JSON::PP;
use POSIX qw(mkfifo);
use PostgreSQL::Test::Utils;
use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltTest;

# What this server takes 127.0.0.1 for: an address for documentation.
my $elsewhere = '203.0.113.7';
my $node = start_node(
	env => {
		LD_PRELOAD => compile_shim('network.c'),
		VELT_TEST_PEER => $elsewhere
	});
my $session = VeltClient->new($node);
my $query = 'SELECT count(*) FROM velt.api_keys';

my $certs = tempdir();
VeltSimulator::certs($certs);
write_file("$certs/garbage", "-----BEGIN CERTIFICATE-----\nno\n");
write_file("$certs/empty", '');
mkfifo("$certs/fifo", 0600) or die "could not make a FIFO: $!";
mkdir "$certs/directory" or die "could not make a directory: $!";
write_file("$certs/unreadable", slurp_file("$certs/ca.crt"));
chmod 0, "$certs/unreadable";

my $good = serve_tls($certs, 'server');
add_server(
	$session,
	'velt',
	options => {
		api_url => $good->url,
		sslrootcert => "$certs/ca.crt"
	});

# Gives the server these options and no other ones, but for retry_timeout;
# names of files are those among the certificates.
sub set_options
{
	my (%options) = @_;
	my %now = map { $_->[0] => 1 } $session->query(
		"SELECT option_name FROM pg_foreign_server,
			pg_options_to_table(srvoptions)
		  WHERE srvname = 'velt' AND option_name <> 'retry_timeout'");
	my @changes = map { "DROP $_" } sort keys %now;

	for my $name (grep { /^ssl/ } keys %options)
	{
		$options{$name} = "$certs/$options{$name}";
	}
	$session->query('ALTER SERVER velt OPTIONS (' . join(', ', @changes) . ')')
	  if @changes;
	$session->query(
		'ALTER SERVER velt '
		  . option_list(%options) =~ s/(\w+) '/ADD $1 '/gr);
	return;
}

# No request comes to the simulator of a query that fails so.
sub refused
{
	my ($api, $sqlstate, $name, %options) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	set_options(api_url => $api->url, %options);
	$api->reset;
	my $error = fails_with($session, $query, $sqlstate, $name);
	is($api->stats('requests.total') + $api->stats('bad_requests'),
		0, 'and nothing was asked');
	return $error;
}

# ----------
# The server's certificate
# ----------

is($session->value($query), 25, 'a good certificate');
is($good->stats('requests.total'), 1, 'a request was made');
refused($good, 'HV00N', 'an authority that the system does not know');
for my $bad (qw(untrusted expired wronghost))
{
	my $api = serve_tls($certs, $bad);
	my $error = refused($api, 'HV00N', "$bad certificate",
		sslrootcert => 'ca.crt');

	is($error->{message},
		'could not fetch "api_keys" from foreign server "velt"',
		'the message');
	like($error->{detail}, qr/certificate|host name/i, 'says why');
	$api->stop;
}

# By its name, which the certificate has: TLS says who it is, so the address
# does not matter.
set_options(
	api_url => $good->url =~ s/127\.0\.0\.1/localhost/r,
	sslrootcert => 'ca.crt');
is($session->value($query), 25, 'a good certificate, by name');

# ----------
# Files
# ----------

for my $bad (qw(missing directory fifo garbage empty unreadable))
{
	my $error =
	  refused($good, 'HV00N', "sslrootcert: $bad", sslrootcert => $bad);

	like($error->{text}, qr/sslrootcert|\Q$certs\E/, 'which is named');
}
for my $bad (qw(missing directory fifo garbage empty unreadable))
{
	refused(
		$good, 'HV00N', "sslcert: $bad",
		sslrootcert => 'ca.crt',
		sslcert => $bad,
		sslkey => 'client.key');
	refused(
		$good, 'HV00N', "sslkey: $bad",
		sslrootcert => 'ca.crt',
		sslcert => 'client.crt',
		sslkey => $bad);
}
refused(
	$good, 'HV00N', 'an encrypted sslkey, without a prompt',
	sslrootcert => 'ca.crt',
	sslcert => 'client.crt',
	sslkey => 'client-encrypted.key');
refused(
	$good, 'HV00N', 'the key of another certificate',
	sslrootcert => 'ca.crt',
	sslcert => 'client.crt',
	sslkey => 'server.key');
refused(
	$good, 'HV00N', 'no key with the certificate',
	sslrootcert => 'ca.crt',
	sslcert => 'client.crt');

# A file may become good without a word to anybody.
set_options(
	api_url => $good->url,
	sslrootcert => 'later.crt');
fails_with($session, $query, 'HV00N', 'a file that is not there yet');
write_file("$certs/later.crt", slurp_file("$certs/ca.crt"));
is($session->value($query), 25, 'and is there for the next query');

# ----------
# The client's certificate
# ----------

my $strict = serve_tls($certs, 'server',
	tls => { client_ca => "$certs/ca.crt" });
set_options(
	api_url => $strict->url,
	sslrootcert => 'ca.crt',
	sslcert => 'client.crt',
	sslkey => 'client.key');
is($session->value($query), 25, 'the certificate that the server demands');

write_file("$certs/both.pem",
	slurp_file("$certs/client.crt") . slurp_file("$certs/client.key"));
set_options(
	api_url => $strict->url,
	sslrootcert => 'ca.crt',
	sslcert => 'both.pem');
is($session->value($query), 25, 'with its key in the same file');

# With TLS 1.3 it does so after the handshake, as the client sees it: before or
# after the request is sent.
refused(
	$strict, '08001|08006', 'a server that hangs up without a certificate',
	sslrootcert => 'ca.crt');
$strict->stop;

# ----------
# A server that says why
# ----------

# The server says only after the TLS 1.3 handshake, as the client sees it,
# that it does not like the client; that is no lost connection all the same.

# A query of openssl's server, which has these options, by a foreign server
# with those: the error that it ends with, as it is no Velt API, and what
# openssl shows.
sub talk_to_openssl
{
	my ($options, %options) = @_;
	my ($url, $openssl) =
	  serve_openssl($certs, '-cipher', 'ALL:@SECLEVEL=0', @$options);

	set_options(
		api_url => $url,
		sslrootcert => 'ca.crt',
		request_timeout => '500ms',
		%options);
	my $error = $session->error($query);
	# it has shown all of it when it waits for the next one
	$openssl->shows(qr/ERROR|DONE|CONNECTION CLOSED/);
	$openssl->stop;
	return ($error, $openssl->shown);
}

my @demanding =
  ('-Verify', 1, '-CAfile', "$certs/ca.crt", '-verify_return_error');
for my $version ('-tls1_2', '-tls1_3')
{
	my ($error, $shown) = talk_to_openssl([ @demanding, $version ]);
	like($error->{sqlstate}, qr/^(HV00N|08001)$/,
		"no certificate where one is demanded ($version)")
	  or diag($error->{text});
	unlike($shown, qr/x-velt/, 'is not let in');

	($error, $shown) = talk_to_openssl(
		[ @demanding, $version ],
		sslcert => 'untrusted.crt',
		sslkey => 'untrusted.key');
	like($error->{sqlstate}, qr/^(HV00N|08001)$/,
		"a certificate that the server does not believe ($version)")
	  or diag($error->{text});
	unlike($shown, qr/x-velt/, 'is not let in');

	($error, $shown) = talk_to_openssl(
		[ @demanding, $version ],
		sslcert => 'client.crt',
		sslkey => 'client.key');
	is($error->{sqlstate}, '08006', "the right certificate ($version)");
	like($shown, qr/x-velt-auth-token/, 'is let in');
}

my ($error, $shown) = talk_to_openssl(['-tls1_1']);
is($error->{sqlstate}, '08001', 'a server that has TLS 1.1 only');
unlike($shown, qr/x-velt/, 'is sent nothing');

# ----------
# Without TLS
# ----------

# What arrives there is what would have been sent to another machine.
my $listener = IO::Socket::INET->new(
	Listen => 5,
	LocalAddr => '127.0.0.1',
	Timeout => $PostgreSQL::Test::Utils::timeout_default)
  or die "could not listen: $!";
set_options(api_url => 'http://localhost:' . $listener->sockport);
$error = fails_with($session, $query, '08001',
	'without TLS to what turns out to be another machine');
like($error->{detail}, qr/\Q$elsewhere\E/, 'which is named');
my $connection = $listener->accept or die "there was no connection: $!";
is(sysread($connection, my $received, 65536),
	0, 'not a byte is sent to it');

for my $address ($elsewhere, 'api.velt.dev', '127.0.0.1.nip.io', '0.0.0.0')
{
	fails_with(
		$session,
		"ALTER SERVER velt OPTIONS (SET api_url 'http://$address')",
		'HV024', "without TLS to $address");
}

$session->close;
done_testing();
