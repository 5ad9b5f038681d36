
# Which failures lead to another attempt, how many there are, when they are
# made, and what they are made known by.

use strict;
use warnings;

use IO::Compress::Gzip qw(gzip);
use List::Util qw(max);
use MIME::Base64 qw(encode_base64);
use POSIX qw(strftime);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltFaults;
use VeltTest;

# The first wait, without a word of the server, is this to 1.5 times this.
my $backoff_s = 1;

my $certs = tempdir();
VeltSimulator::certs($certs);

my $api = VeltSimulator->new(
	config => {
		workspaces => { $workspace => { keys => 60, tokens_per_key => 1 } }
	});
# A FIFO that is not there: the look-up of stall.invalid fails at once.
my $node = start_node(
	conf => 'max_connections = 40',
	env => {
		LD_PRELOAD => compile_shim('network.c'),
		VELT_TEST_STALL => "$certs/no-fifo"
	});
my $admin = VeltClient->new($node);
my $session = VeltClient->new($node);

# A server of the name, with these options beside those of all.
sub server
{
	my ($name, %options) = @_;

	add_server($admin, $name,
		options => {
			api_url => $api->url,
			retry_timeout => '1min',
			%options
		});
	return;
}

# Rules that spoil the answers about keys, given by number.
sub spoil
{
	my (%do) = @_;

	$api->reset;
	$api->faults(
		[
			map { { endpoint => 'authtokens/get', key => key_id($_), %{ $do{$_} } } }
			sort { $a <=> $b } keys %do
		]);
	return;
}

sub gzip_of
{
	my ($text) = @_;
	my $bytes;

	gzip(\$text => \$bytes) or die 'gzip failed';
	return $bytes;
}

# A reply of these bytes, which it calls gzip.
sub compressed
{
	my ($bytes) = @_;

	return {
		status => 200,
		headers => { 'content-encoding' => 'gzip' },
		body_base64 => encode_base64($bytes, '')
	};
}

server('velt', max_concurrency => 32);

# ----------
# Failures that may pass
# ----------

{
	my $envelope = { error => { status => 'ABORTED', message => 'Again.' } };
	my @passing = (
		(
			map { [ "HTTP $_", { status => $_ } ] } 408, 421, 425, 429, 500,
			502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527, 529, 530,
			598, 599
		),
		(
			map {
				[
					"HTTP $_ with Retry-After",
					{ status => $_, headers => { 'retry-after' => '1' } }
				]
			} 413, 501, 505, 511
		),
		[
			'an unknown status, HTTP 501, with Retry-After',
			{
				error => 'TEAPOT',
				http => 501,
				headers => { 'retry-after' => '1' }
			}
		],
		[ 'HTTP 502 with a page', { status => 502, body => '<html>Bad' } ],
		[ 'HTTP 503 with a result', { status => 503, json => { result => {} } } ],
		(
			map { [ "API $_", { error => $_ } ] }
			  qw(INTERNAL UNAVAILABLE DEADLINE_EXCEEDED RESOURCE_EXHAUSTED
			  ABORTED)
		),
		[ 'API UNAVAILABLE, HTTP 200', { error => 'UNAVAILABLE', http => 200 } ],
		[ 'API INTERNAL, HTTP 400', { error => 'INTERNAL', http => 400 } ],
		[ 'API ABORTED, HTTP 501', { status => 501, json => $envelope } ],
		(map { [ "reset $_", { reset => $_ } ] }
			  qw(before_headers in_headers after_headers in_body)),
		(map { [ "closed $_", { close => $_ } ] }
			  qw(before_headers in_headers after_headers in_body)),
		[ 'cut off', { truncate => 10 } ],
		[
			'Retry-After: 0',
			{ status => 503, headers => { 'retry-after' => '0' } }
		],
		[
			'Retry-After that is none',
			{ status => 503, headers => { 'retry-after' => 'soon' } }
		],
		[
			'Retry-After in the past',
			{
				status => 503,
				headers =>
				  { 'retry-after' => 'Fri, 01 Jan 2021 00:00:00 GMT' }
			}
		]);
	my %do = map { $_ + 1 => { times => 1, do => $passing[$_]->[1] } }
	  0 .. $#passing;

	spoil(%do);
	my $started = time;
	my @rows = $session->query(tokens_of('velt', 1 .. @passing));
	my $elapsed = time - $started;
	my %asked = asked($api);

	is($asked{ key_id($_ + 1) }, 2, "$passing[$_]->[0] is tried again once")
	  for 0 .. $#passing;
	is( join(' ', sort map { $_->[0] } @rows),
		join(' ', map { key_id($_) } 1 .. @passing),
		'with the right rows');
	is($api->stats('requests.total'), 2 * @passing, 'and nothing else is asked');
	cmp_ok($elapsed, '>=', $backoff_s, 'after a wait');
	is(counters($session, 'velt')->{retries},
		scalar @passing, 'and all are counted as retries');
}

# ----------
# Failures that will not
# ----------

{
	my @final = (
		[
			'22023',
			(
				map { [ "HTTP $_", { status => $_ } ] } 400, 409, 413, 422,
				499
			),
			[
				'HTTP 409 with Retry-After',
				{ status => 409, headers => { 'retry-after' => '1' } }
			]
		],
		[ '08006', map { [ "HTTP $_", { status => $_ } ] } 501, 505, 528 ],
		[ '08001', [ 'HTTP 511', { status => 511 } ] ],
		[ '42704', map { [ "HTTP $_", { status => $_ } ] } 404, 410 ],
		[ '28000', [ 'HTTP 401', { status => 401 } ] ],
		[
			'42501',
			[ 'HTTP 403', { status => 403 } ],
			[
				'HTTP 403 with Retry-After',
				{ status => 403, headers => { 'retry-after' => '1' } }
			]
		],
		[ '08P01', map { [ "HTTP $_", { status => $_ } ] } 302, 304 ],
		[
			'08P01',
			[
				'gzip of two members',
				compressed(gzip_of('{"result":') . gzip_of('{}}'))
			],
			[ 'bytes behind gzip', compressed(gzip_of('{}') . "\0\0") ]
		],
		[
			'22023',
			map { [ "API $_", { error => $_ } ] }
			  qw(INVALID_ARGUMENT FAILED_PRECONDITION OUT_OF_RANGE
			  ALREADY_EXISTS UNIMPLEMENTED)
		],
		[
			'08006',
			map { [ "API $_", { error => $_ } ] } qw(UNKNOWN CANCELLED DATA_LOSS)
		],
		[ '28000', [ 'API UNAUTHENTICATED', { error => 'UNAUTHENTICATED' } ] ],
		[
			'42501',
			[ 'API PERMISSION_DENIED', { error => 'PERMISSION_DENIED' } ],
			[
				'API PERMISSION_DENIED, HTTP 503',
				{ error => 'PERMISSION_DENIED', http => 503 }
			],
			[
				'the same with Retry-After',
				{
					error => 'PERMISSION_DENIED',
					http => 503,
					headers => { 'retry-after' => '1' }
				}
			]
		],
		[
			'08006',
			map { [ "API $_ with details", { error => $_, details => 'final' } ] }
			  qw(INTERNAL UNAVAILABLE DEADLINE_EXCEEDED ABORTED)
		],
		[
			'53000',
			[
				'API RESOURCE_EXHAUSTED with details',
				{ error => 'RESOURCE_EXHAUSTED', details => { a => [] } }
			],
			[
				'the same with Retry-After',
				{
					error => 'RESOURCE_EXHAUSTED',
					details => [],
					headers => { 'retry-after' => '1' }
				}
			]
		]);

	for my $group (@final)
	{
		my ($sqlstate, @failures) = @$group;

		for my $failure (@failures)
		{
			spoil(1 => { do => $failure->[1] });
			fails_with($session, tokens_of('velt', 1), $sqlstate,
				$failure->[0]);
			is($api->stats('requests.total'), 1, 'is not tried again');
		}
	}
	$api->faults([]);
}

# ----------
# Waits: each in a session of its own, all at a time
# ----------

{
	my $untrusted = serve_tls($certs, 'untrusted');
	my $refusing = VeltSimulator->new;
	my $refused_url = $refusing->url;
	$refusing->stop;

	server('brief', retry_timeout => '6s');
	server('ten', retry_timeout => '10s');
	server('impatient', request_timeout => '1s');
	server('refused', api_url => $refused_url);
	server('unreachable',
		api_url => $api->ready->{stall_url},
		connect_timeout => '100ms');
	server('unknown', api_url => 'https://stall.invalid');
	server('untrusted',
		api_url => $untrusted->url,
		sslrootcert => "$certs/ca.crt");

	my $at = 3 + int time;
	my $date = strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime $at);
	my $late = strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime $at + 60);
	my $down = sub { return { do => { status => 503, @_ } } };
	my $after = sub {
		return $down->(headers => { 'retry-after' => $_[0] });
	};
	spoil(
		31 => $down->(),
		32 => { times => 1, do => { stall => 'in_body' } },
		33 => { times => 1, %{ $after->('2') } },
		34 => { times => 1, %{ $after->($date) } },
		35 => $after->('30'),
		36 => $after->($late),
		37 => $after->('99999999999'),
		38 => { do => { status => 429, headers => { 'retry-after' => '11' } } });

	my @waits = (
		{ name => 'no end', schema => 'brief', key => 31, asked => 3,
			sqlstate => '53000', least => 3,
			detail => qr/another one would be later than retry_timeout/ },
		{ name => 'timeout', schema => 'impatient', key => 32, asked => 2,
			least => 2 },
		{ name => 'seconds', schema => 'velt', key => 33, asked => 2,
			least => 2 },
		{ name => 'a date', schema => 'velt', key => 34, asked => 2,
			until => $at },
		{ name => 'too many seconds', schema => 'ten', key => 35, asked => 1,
			sqlstate => '53000', detail => qr/asked to wait 30 s, which/ },
		{ name => 'too late a date', schema => 'ten', key => 36, asked => 1,
			sqlstate => '53000', detail => qr/asked to wait \d\d s, which/ },
		{ name => 'far too many seconds', schema => 'velt', key => 37,
			asked => 1, sqlstate => '53000',
			detail => qr/asked to wait \d{5,} s, which/ },
		{ name => 'too many seconds after a 429', schema => 'ten', key => 38,
			asked => 1, sqlstate => '53000',
			detail => qr/asked to wait 11 s, which retry_timeout does not/ },
		{ name => 'connection refused', schema => 'refused', attempts => 3,
			sqlstate => '08001', least => 3 },
		{ name => 'connect timeout', schema => 'unreachable', attempts => 3,
			sqlstate => '08001', least => 3 },
		{ name => 'failed look-up', schema => 'unknown', attempts => 3,
			sqlstate => '08001', least => 3 },
		{ name => 'certificate', schema => 'untrusted', attempts => 1,
			sqlstate => 'HV00N' });

	for my $wait (@waits)
	{
		$wait->{session} = VeltClient->new($node);
		$wait->{session}->query('SET client_min_messages = debug1');
		$wait->{started} = time;
		$wait->{session}->send(tokens_of($wait->{schema}, $wait->{key} // 1));
	}
	my @results = answers(map { $_->{session} } @waits);
	my %asked = asked($api);

	for my $wait (@waits)
	{
		my $result = shift @results;
		my $error = $result->{error} // { sqlstate => 'none', text => '' };
		my $name = $wait->{name};
		my $elapsed = $result->{answered} - $wait->{started};

		is($error->{sqlstate}, $wait->{sqlstate} // 'none', "$name: SQLSTATE")
		  or diag($error->{text});
		is(scalar @{ $result->{rows} },
			$wait->{sqlstate} ? 0 : 1, "$name: rows");
		is(scalar attempts_logged($result),
			$wait->{asked} // $wait->{attempts}, "$name: attempts");
		is($asked{ key_id($wait->{key}) },
			$wait->{asked}, "$name: requests")
		  if $wait->{asked};
		cmp_ok($elapsed, '>=', $wait->{least}, "$name: time")
		  if $wait->{least};
		cmp_ok($result->{answered}, '>=', $wait->{until}, "$name: time")
		  if $wait->{until};
		is( scalar(
				grep { $_->{severity} eq 'NOTICE' } @{ $result->{notices} }),
			0,
			"$name: no wait is worth a NOTICE");
		like($error->{detail}, qr/HTTP (503|429)/, "$name: the cause is named")
		  if ($wait->{sqlstate} // '') eq '53000';
		like($error->{detail}, $wait->{detail}, "$name: and why it was the last")
		  if $wait->{detail};
		$wait->{session}->close;
	}

	is($untrusted->stats('requests.total'),
		0, 'no request is made of a server that is not believed');
	$untrusted->stop;
}

# ----------
# retry_timeout '0'
# ----------

{
	server('never', retry_timeout => '0');
	for my $failure (
		[ { status => 503 }, '08006' ],
		[ { status => 429 }, '53000' ],
		[ { status => 408 }, '08006' ],
		[ { status => 421 }, '08006' ],
		[ { status => 522 }, '08006' ],
		[ { error => 'RESOURCE_EXHAUSTED' }, '53000' ],
		[ { error => 'ABORTED' }, '08006' ],
		[ { reset => 'in_body' }, '08006' ],
		[ { close => 'before_headers' }, '08006' ],
		[ { truncate => 5 }, '08006' ])
	{
		my ($do, $sqlstate) = @$failure;

		spoil(1 => { do => $do });
		fails_with($session, tokens_of('never', 1), $sqlstate,
			'retry_timeout 0: ' . join ' ', %$do);
		is($api->stats('requests.total'), 1, 'is not tried again');
	}
}

# ----------
# A long wait
# ----------

{
	my $long = sub { return { status => 503, headers => { 'retry-after' => $_[0] } } };

	spoil(1 => { do => $long->('5') });
	$session->send(tokens_of('velt', 1));
	poll_until('a NOTICE comes', sub {
		die 'the query has ended' if $session->has_answer;
		return @{ $session->{notices} // [] };
	});
	wait_until_idle($api);
	wait_until_waiting($admin, $session);
	my $result = cancelled_in_time($admin, $session, 'a wait of 5 s');
	my ($notice, @others) = @{ $result->{notices} };

	is($notice->{severity}, 'NOTICE', 'a wait of 5 s is told of');
	like($notice->{text}, qr/"velt".* 5 seconds.*HTTP 503/s,
		'with server, time and cause');
	is(scalar @others, 0, 'once');
	is($api->stats('requests.total'), 1, 'and no request is made meanwhile');
	$api->faults([]);
	is(scalar $session->query(tokens_of('velt', 1)),
		1, 'the next query does not wait any more');

	# the same after a limit on requests, which pauses the session
	spoil(1 => { do => { status => 429, headers => { 'retry-after' => '40' } } });
	$session->send(tokens_of('velt', 1));
	$api->wait_for('faults', 1);
	wait_until_idle($api);
	wait_until_waiting($admin, $session);
	cancelled_in_time($admin, $session, 'a pause of 40 s');
	$api->faults([]);
	$session->close;
	$session = VeltClient->new($node);
}

# ----------
# Who waits does not hold up others
# ----------

{
	server('pair', max_concurrency => 2);
	spoil(1 => {
		times => 1,
		do => { status => 503, headers => { 'retry-after' => '3' } }
	});
	$session->query('BEGIN');
	$session->query('DECLARE c CURSOR FOR ' . tokens_of('pair', 1 .. 40));
	my @rows = $session->query('FETCH 39 FROM c');
	my %asked = asked($api);
	my $others = grep { $_->[0] ne key_id(1) } @rows;

	is($others, 39, 'all rows but those that have to wait');
	is($asked{ key_id(1) }, 1, 'which has not ended');
	push @rows, $session->query('FETCH ALL FROM c');
	$session->query('COMMIT');
	is( join(' ', sort map { $_->[0] } @rows),
		join(' ', map { key_id($_) } 1 .. 40),
		'these come, too');
	is($api->stats('requests.total'), 41, 'with one more request');
}

# But a limit on requests is one on all of them.
{
	server('four', max_concurrency => 4);
	$api->config({ latency_ms => 100 });
	spoil(1 => {
		times => 1,
		do => {
			status => 429,
			headers => { 'retry-after' => '2' },
			latency_ms => 0
		}
	});
	$session->send(tokens_of('four', 1 .. 20));
	$api->wait_for('faults', 1);
	my $paused = time;
	my $most = 0;
	while (time < $paused + 1)
	{
		$most = max($most, $api->stats('requests.total'));
		usleep(5000);
	}
	is($most, 4, 'a 429 pauses all but what is in flight');
	is($api->stats('in_flight'), 0, 'which ends meanwhile');
	my $result = $session->result;
	is(scalar @{ $result->{rows} }, 20, 'and the rest follows');
	is($api->stats('requests.total'), 21, 'with one more request');
	$api->config({ latency_ms => 0 });
}

# ----------
# Bounds of our own
# ----------

{
	my $interval_s = 0.05;
	my @samples;

	server('paced', max_requests_per_minute => 60 / $interval_s);
	spoil();
	my $started = time;
	$session->send(tokens_of('paced', 1 .. 25));
	$api->wait_for('requests.total', 1);
	until ($session->has_answer)
	{
		push @samples, [ $api->stats('requests.total'), time - $started ];
	}
	my $result = $session->result;
	is(scalar @{ $result->{rows} }, 25, 'a paced fan-out has its rows');
	is($api->stats('requests.total'), 25, 'with a request a key');
	# the first leaves at once, and not before the query came
	my @early = grep { $_->[0] > 1.5 + $_->[1] / $interval_s } @samples;
	is(scalar @early, 0, 'at no time are there more than its pace allows')
	  or diag("$early[0]->[0] requests after $early[0]->[1] s");
	cmp_ok(scalar @samples, '>', 10, 'as was looked at many times');
	cmp_ok($result->{answered} - $started,
		'>=', 23.5 * $interval_s, 'and it takes its time');
}

{
	server('bounded', max_requests => 6, page_size => 10);
	spoil();
	is($session->value('SELECT count(*) FROM bounded.api_keys'),
		60, '6 pages with 6 requests');
	is($api->stats('requests.total'), 6, 'are 6');
	is(scalar $session->query(tokens_of('bounded', 1 .. 6)),
		6, 'so are 6 keys');

	$api->reset;
	my $error = fails_with($session, tokens_of('bounded', 1 .. 7),
		'54000', '7 keys take more');
	like($error->{text}, qr/\b6\b/, 'the bound is named');
	cmp_ok($api->stats('requests.total'), '<=', 6, 'and are not asked for');

	$api->reset;
	fails_with($session, 'TABLE bounded.auth_tokens',
		'54000', 'a list of keys counts as well');
	cmp_ok($api->stats('requests.total'), '<=', 6, 'within the bound');

	$session->query("ALTER FOREIGN TABLE bounded.api_keys
		OPTIONS (ADD max_requests '5')");
	$api->reset;
	fails_with($session, 'SELECT count(*) FROM bounded.api_keys',
		'54000', 'a table has a bound of its own');
	cmp_ok($api->stats('requests.total'), '<=', 5, 'which holds');
	is(scalar $session->query('SELECT * FROM bounded.api_keys LIMIT 50'),
		50, 'for requests that are made');
}

# ----------
# What is told of retries
# ----------

{
	server('told', page_size => 20, sslrootcert => "$certs/ca.crt");
	$session->close;
	$session = VeltClient->new($node);
	$api->reset;
	$api->faults(
		[ { endpoint => 'apikeys/get', nth => 2, do => { status => 503 } } ]);
	my ($scan) =
	  scans(plan_of($session, 'SELECT id FROM told.api_keys', 'ANALYZE'));

	is($scan->{'Velt Requests'}, 4, 'EXPLAIN ANALYZE counts requests');
	is($scan->{'Velt Retries'}, 1, 'and retries');
	is($scan->{'Actual Rows'} + 0, 60, 'of all rows');
	is($scan->{'Velt Max In Flight'}, 1, 'one at a time');
	is($scan->{'Velt Bytes Received'},
		$api->stats('body_bytes'), 'and bytes');

	my $counters = counters($session, 'told');
	is($counters->{requests}, 4, 'velt_fdw_get_connections counts requests');
	is($counters->{retries}, 1, 'and retries');
	is($counters->{bytes_received}, $api->stats('body_bytes'), 'and bytes');
	is($counters->{open_connections}, 1, 'and connections');

	$api->reset;
	$session->query('SET client_min_messages = debug1');
	$session->send('SELECT id FROM told.api_keys');
	my $result = $session->result;
	my @lines = attempts_logged($result);

	is(scalar @lines, 4, 'a line of debug1 an attempt');
	is(scalar(grep { /apikeys\/get/ } @lines), 4, 'with the endpoint');
	is(scalar(grep { /attempt 2/ && /HTTP 200/ } @lines),
		1, 'with the number of the attempt');
	is(scalar(grep { /HTTP 503/ && /attempt 1/ } @lines),
		1, 'with what came of it');
	$session->query('SET client_min_messages = debug5');
	$session->send(tokens_of('told', 1));
	my @all = map { $_->{text} } @{ $result->{notices} },
	  @{ $session->result->{notices} };
	cmp_ok(scalar @all, '>', 5, 'and more lines of others');
	is(scalar(grep { /\Q$token\E|\Q$workspace\E/ } @all),
		0, 'none of which has a credential');
}

$_->close for $admin, $session;
done_testing();
