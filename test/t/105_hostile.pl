
# Replies that no honest server sends: each is an error that says what it is,
# after which the session is as good as before, and no larger.

use strict;
use warnings;

use JSON::PP;
use List::Util qw(sum0);
use MIME::Base64 qw(encode_base64);
use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltFaults;
use VeltTest;

my $rounds = 30;

# What so many rounds of all replies may leave.
my $growth_kb = 1024;

my $api = VeltSimulator->new(
	config => {
		workspaces => { $workspace => { keys => 120, tokens_per_key => 1 } }
	});
my $node = start_node(conf => 'max_connections = 40');
my $admin = VeltClient->new($node);
add_server($admin, 'velt',
	options => {
		api_url => $api->url,
		max_response_size => '64kB',
		page_size => 10
	});
add_server($admin, 'brief',
	options => { api_url => $api->url, request_timeout => '100ms' });

# ----------
# Replies
# ----------

sub body { return { status => 200, body_base64 => encode_base64($_[0], '') }; }
sub json { return { status => 200, json => $_[0] }; }

sub raw
{
	return { raw_base64 => encode_base64(join("\r\n", @_), '') };
}

# A right answer about a key, but for what is put in place of a part of it.
sub spoilt
{
	my ($part, $instead) = @_;
	my $text = '{"result":{"status":"success","message":"m",'
	  . '"data":{"apiKey":"KEY","authTokens":[{"token":"t","name":"n",'
	  . '"domains":[]}]}}}';

	$text =~ s/\Q$part\E/$instead/ or die "no $part";
	return sub { return body($text =~ s/KEY/$_[0]/r) };
}

sub set { return { edit => [ [@_] ] }; }

my $success = '{"result":{"status":"success","data":{"apiKey":"K","authTokens":[]}}}';
my $envelope = { error => { status => 'PERMISSION_DENIED', message => 'No.' } };

# Of auth_tokens; each is the answer about a key of its own.
my @replies = (
	# no JSON
	[ '08P01', 'text', body('hello') ],
	[ '08P01', 'no body', body('') ],
	[ '08P01', 'white space', body(" \r\n") ],
	[ '08P01', 'a page', body('<!DOCTYPE html><html></html>') ],
	[ '08P01', 'cut off', body('{"result":{"status":"success","da') ],
	[ '08P01', 'cut off at the end', spoilt('}}}', '}}') ],
	[ '08P01', 'cut off in a string', spoilt('"n",', '"n') ],
	[ '08P01', 'trailing bytes', spoilt('}}}', '}}}x') ],
	[ '08P01', 'another document', spoilt('}}}', '}}}{}') ],
	[ '08P01', 'a trailing comma', spoilt(']}}}', '],}}}') ],
	[ '08P01', 'a missing comma', spoilt('"t",', '"t"') ],
	[ '08P01', 'single quotes', spoilt('"t"', "'t'") ],
	[ '08P01', 'a comment', spoilt('"t"', '/* */"t"') ],
	[ '08P01', 'NaN', spoilt('"n"', 'NaN') ],
	[ '08P01', 'Infinity', spoilt('"n"', '-Infinity') ],
	[ '08P01', 'True', spoilt('"n"', 'True') ],
	[ '08P01', 'a number with zeros', spoilt('"n"', '007') ],
	[ '08P01', 'half a number', spoilt('"n"', '1.') ],
	[ '08P01', 'a raw tab', spoilt('"n"', "\"\t\"") ],
	[ '08P01', 'a raw NUL', spoilt('"n"', "\"\0\"") ],
	[ '08P01', 'an unknown escape', spoilt('"n"', '"\x"') ],
	[ '08P01', 'half an escape', spoilt('"n"', '"\u12"') ],
	[ '08P01', 'invalid UTF-8', spoilt('"n"', "\"\xff\"") ],
	[ '08P01', 'UTF-8, cut off', spoilt('"n"', "\"\xe2\x82\"") ],
	[ '08P01', 'UTF-8, overlong', spoilt('"n"', "\"\xc0\xaf\"") ],
	[ '08P01', 'a surrogate in UTF-8', spoilt('"n"', "\"\xed\xa0\x80\"") ],
	[ '08P01', 'UTF-16', body("\xff\xfe{\0}\0") ],
	[ '08P01', 'duplicate members', spoilt('"n"', '"n","name":"o"') ],
	[ '08P01', 'two results', spoilt('{"result"', '{"result":{},"result"') ],
	[ '08P01', 'two lists', spoilt('"authTokens"', '"authTokens":[],"authTokens"') ],
	[ '22P05', 'a lone surrogate in text', spoilt('"n"', '"\ud800"') ],
	[ '22P05', 'NUL in text', spoilt('"n"', '"\u0000"') ],

	# no answer
	[ '08P01', 'null', body('null') ],
	[ '08P01', 'a string', body('"success"') ],
	[ '08P01', 'a list', body('[]') ],
	[ '08P01', 'an empty object', body('{}') ],
	[ '08P01', 'a result that is null', json({ result => undef }) ],
	[ '08P01', 'a result that is a list', json({ result => [] }) ],
	[ '08P01', 'no status', { edit => [ ['/result/status'] ] } ],
	[ '08P01', 'a status that is true', set('/result/status', JSON::PP::true) ],
	[ '08P01', 'another status', set('/result/status', 'failure') ],
	[ '08P01', 'no data', { edit => [ ['/result/data'] ] } ],
	[ '08P01', 'data that is null', set('/result/data', undef) ],
	[ '08P01', 'data that is a list', set('/result/data', []) ],
	[ '08P01', 'no list', { edit => [ ['/result/data/authTokens'] ] } ],
	[ '08P01', 'a list that is an object', set('/result/data/authTokens', {}) ],
	[ '08P01', 'a list that is a string', set('/result/data/authTokens', 't') ],
	[ '08P01', 'a row that is null', set('/result/data/authTokens/0', undef) ],
	[ '08P01', 'a row that is a string', set('/result/data/authTokens/0', 't') ],
	[ '08P01', 'a row that is a list', set('/result/data/authTokens/0', []) ],
	[ '08P01', 'another key', set('/result/data/apiKey', 'another') ],
	[ '08P01', 'a key that is a number', set('/result/data/apiKey', 7) ],
	[ '08P01', 'an error that is a string', json({ error => 'no' }) ],
	[ '08P01', 'an error without a status', json({ error => { message => 'no' } }) ],

	# HTTP
	[ '08P01', 'HTTP 204', { status => 204 } ],
	[ '08P01', 'HTTP 302', { status => 302, headers => { location => '/' } } ],
	[ '08P01', 'HTTP 304', { status => 304 } ],
	[ '08P01', '301 with an answer', { status => 301, body => $success } ],
	[ '08006', '502 with a page', { status => 502, body => '<html>no</html>' } ],
	[ '08006', '500 with a result', { status => 500, body => $success } ],
	[ '42704', '404 with a page', { status => 404, body => '<html>' } ],
	[ '42501', '200 with an error', { status => 200, json => $envelope } ],
	[ '42501', '500 with an error', { status => 500, json => $envelope } ],
	[ '08006', '100 and nothing', raw('HTTP/1.1 100 Continue', '', '') ],
	[ '08006', '103 and nothing', raw('HTTP/1.1 103 Early Hints', 'link: x', '', '') ],
	[ '08P01', '200 with an empty page',
		raw('HTTP/1.1 200 OK', 'content-length: 2', 'connection: close', '',
			'{}') ],
	[ '08P01', 'no HTTP', raw("\0\1\2\3 what is this") ],
	[ '08P01', 'HTTP/0.9', raw($success) ],
	[ '08P01', 'a length that is none',
		raw('HTTP/1.1 200 OK', 'content-length: 9', 'content-length: x', '', '{}') ],
	[ '08P01', 'two lengths',
		raw('HTTP/1.1 200 OK', 'content-length: 5',
			'content-length: ' . length $success, '', $success) ],
	[ '08P01', 'two lengths in a line',
		raw('HTTP/1.1 200 OK', 'content-length: ' . length($success) . ', 5', '',
			$success) ],
	[ '08P01', 'a length below zero',
		raw('HTTP/1.1 200 OK', 'content-length: -5', '', $success) ],
	# broken framing cannot be told from a broken connection
	[ '08006', 'chunks that are none',
		raw('HTTP/1.1 200 OK', 'transfer-encoding: chunked', '', 'zz', 'x', '') ],
	[ '08P01', 'gzip that is none',
		{ headers => { 'content-encoding' => 'gzip' } } ],
	[ '08P01', 'bytes behind gzip',
		{ status => 200, headers => { 'content-encoding' => 'gzip' },
			body_base64 => 'H4sIAAAAAAAAA6uuBQBDv6ajAgAAAAAA' } ],
	[ '08P01', 'an unknown encoding',
		{ headers => { 'content-encoding' => 'rot13' } } ],

	# its end
	[ '08006', 'nothing at all', { close => 'before_headers' } ],
	[ '08006', 'reset before headers', { reset => 'before_headers' } ],
	[ '08006', 'reset in headers', { reset => 'in_headers' } ],
	[ '08006', 'reset after headers', { reset => 'after_headers' } ],
	[ '08006', 'reset in the body', { reset => 'in_body' } ],
	[ '08006', 'closed in headers', { close => 'in_headers' } ],
	[ '08006', 'closed after headers', { close => 'after_headers' } ],
	[ '08006', 'truncated', { truncate => 40 } ],
	[ '08P01', 'a length too small', { wrong_length => -10 } ],

	# its size
	[ '54000', 'a nesting bomb', { nest => 30_000 } ],
	[ '54000', 'a nesting bomb of some depth', { nest => 1000 } ],
	[ '54000', 'a gzip bomb', { gzip_bomb_mb => 20 } ],
	[ '54000', 'a length beyond the limit', { wrong_length => 100_000 } ],
	[ '54000', 'a length far beyond it',
		raw('HTTP/1.1 200 OK', 'content-length: 99999999999', '', $success) ],
	[ '54000', 'a length of 20 digits',
		raw('HTTP/1.1 200 OK', 'content-length: 99999999999999999999', '',
			$success) ],
	[ '54000', 'an endless body', { endless_body => JSON::PP::true } ],
	[ '54000', 'endless chunks', { endless_chunks => 8192 } ],
	[ '54000', 'endless headers', { endless_headers => JSON::PP::true } ],
	[ '54000', 'a header line of some length',
		raw('HTTP/1.1 200 OK', 'x: ' . 'h' x 90_000, '', '{}') ],
	[ '54000', 'a header line of great length',
		raw('HTTP/1.1 200 OK', 'x: ' . 'h' x 200_000, '', '{}') ],
	[ '54000', 'a trailer line of great length',
		raw('HTTP/1.1 200 OK', 'transfer-encoding: chunked', '', '2', '{}', '0',
			'x: ' . 'h' x 200_000, '', '') ]);

# The same, of a server with little patience.
my @stalling = (
	[ '08006', 'a length too great', { wrong_length => 10 } ],
	[ '08006', 'a byte at a time', { drip_ms => 10 } ],
	[ '08006', 'silence', { stall => 'before_headers' } ],
	[ '08006', 'silence in the headers', { stall => 'in_headers' } ],
	[ '08006', 'silence in the body', { stall => 'in_body' } ],
	[ '08006', 'chunks of a byte', { endless_chunks => 1 } ]);

# The last key's answer is right.
my $good_key = 120;
my $number = 0;
my @rules;
for my $reply (@replies, @stalling)
{
	$reply->[3] = ++$number;
	$reply->[2] = $reply->[2]->(key_id($number)) if ref $reply->[2] eq 'CODE';
	push @rules,
	  {
		endpoint => 'authtokens/get',
		key => key_id($number),
		do => $reply->[2]
	  };
}
die 'too many replies' if $number >= $good_key;

# One row, if it was one.
sub query_of
{
	my ($schema, $n) = @_;
	return "SELECT * FROM $schema.auth_tokens WHERE api_key = "
	  . literal(key_id($n));
}

sub size_of
{
	my ($session) = @_;
	return {
		descriptors => descriptors($session->pid),
		kb => memory_kb($session->pid, 'RssAnon')
	};
}

# What cannot have come from anywhere but an error of ours.
sub clear_error
{
	my ($error, $schema, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is($error->{message},
		qq{could not fetch "auth_tokens" from foreign server "$schema"},
		"$name: the message")
	  unless $error->{sqlstate} eq '22P05';
	like($error->{context}, qr/"$schema\.auth_tokens"/, "$name: the context");
	like($error->{detail}, qr/^[A-Z].*\.$/s, "$name: a detail")
	  unless $error->{sqlstate} eq '22P05';
	cmp_ok(length $error->{text}, '<', 2000, "$name: of some length");
	return;
}

# ----------
# Each of them
# ----------

my $session = VeltClient->new($node);
$api->faults(\@rules);
$api->reset;
{
	my @not_usable;

	for my $reply (@replies)
	{
		my ($sqlstate, $name, undef, $n) = @$reply;
		my $error = fails_with($session, query_of('velt', $n), $sqlstate, $name);

		clear_error($error, 'velt', $name) if $error->{sqlstate} ne 'none';
		push @not_usable, $name
		  if eval { scalar $session->query(query_of('velt', $good_key)) } != 1;
	}
	is("@not_usable", '', 'the session is usable at once');
	my %asked = asked($api);
	is(sum0(map { $asked{ key_id($_->[3]) } // 0 } @replies),
		scalar @replies, 'none is asked for again');
}

# Answers that only look strange are right.
{
	my $right = $success =~ s/"K"/null/r;
	my @strange = (
		raw('HTTP/1.1 100 Continue', '', 'HTTP/1.1 103 Early Hints',
			'link: x', '', 'HTTP/1.1 200 OK', '', $success =~ s/"K"/null/r),
		body("\r\n\t $success \n" =~ s/"K"/null/r),
		raw('HTTP/1.1 200 OK', 'content-length: 0000000' . length $right, '',
			$right),
		raw('HTTP/1.1 200 OK', ('content-length: ' . length $right) x 2, '',
			$right),
		raw('HTTP/1.1 200 OK', 'content-length: ' . join(', ', (length $right) x 2),
			'', $right),
		spoilt('"n"', '"n","more":{"a":[1e400,-0,{"b":[]}]}')->(
			key_id($good_key)));

	for my $n (0 .. $#strange)
	{
		$api->faults(
			[ { key => key_id($good_key), do => $strange[$n] }, @rules ]);
		is( scalar $session->query(query_of('velt', $good_key)),
			$n == $#strange ? 1 : 0,
			'strange, but right ' . ($n + 1));
	}
	$api->faults(\@rules);
}

# A reply may not end what is not its own: one of a fan-out
{
	my $error = fails_with(
		$session,
		'SELECT * FROM velt.auth_tokens WHERE api_key IN ('
		  . key_list(map { $_->[3] } grep { $_->[0] eq '08P01' } @replies)
		  . ')',
		'08P01',
		'a fan-out of hostile replies');
	clear_error($error, 'velt', 'a fan-out') if $error->{sqlstate} ne 'none';
	is(scalar $session->query(query_of('velt', $good_key)),
		1, 'and then a good one');
	wait_until_idle($api);
}

# ----------
# Again and again
# ----------

{
	my (@wrong, $before);

	for my $round (1 .. $rounds)
	{
		for my $reply (@replies)
		{
			$session->send(query_of('velt', $reply->[3]));
			my $error = $session->result->{error}
			  // { sqlstate => 'none', text => '' };
			push @wrong, "$reply->[1]: $error->{sqlstate} $error->{text}"
			  if $error->{sqlstate} ne $reply->[0];
		}
		push @wrong, "round $round"
		  if 1 != $session->query(query_of('velt', $good_key));
		# what is made once is there after a few rounds
		$before = size_of($session) if $round == 5;
	}
	my $after = size_of($session);

	is(scalar @wrong, 0, "$rounds rounds: the same errors")
	  or diag($wrong[0]);
	is($after->{descriptors}, $before->{descriptors},
		"$rounds rounds: no descriptor is left");
	note 'memory grew by ', $after->{kb} - $before->{kb}, ' kB';
	cmp_ok($after->{kb} - $before->{kb},
		'<', $growth_kb, "$rounds rounds: no memory is left");
	wait_until_idle($api);
	cmp_ok($api->stats('open_connections'), '<=', 1, 'and no connection');
}

# What takes time, in sessions of their own, side by side.
{
	my @sessions = map { VeltClient->new($node) } @stalling;
	my (@wrong, @before);

	for my $round (1 .. $rounds)
	{
		$sessions[$_]->send(query_of('brief', $stalling[$_]->[3]))
		  for 0 .. $#stalling;
		for my $i (0 .. $#stalling)
		{
			my ($sqlstate, $name) = @{ $stalling[$i] };
			my $error = $sessions[$i]->result->{error} // { sqlstate => 'none' };

			if ($round == 1)
			{
				is($error->{sqlstate}, $sqlstate, $name);
				clear_error($error, 'brief', $name)
				  if $error->{sqlstate} ne 'none';
			}
			push @wrong, "$name: $error->{sqlstate}"
			  if $error->{sqlstate} ne $sqlstate;
		}
		@before = map { size_of($_) } @sessions if $round == 5;
	}
	is(scalar @wrong, 0, "$rounds timeouts: the same errors")
	  or diag($wrong[0]);
	for my $i (0 .. $#stalling)
	{
		my $after = size_of($sessions[$i]);
		my $name = $stalling[$i]->[1];

		is($after->{descriptors}, $before[$i]->{descriptors},
			"$name: no descriptor is left");
		cmp_ok($after->{kb} - $before[$i]->{kb},
			'<', $growth_kb, "$name: no memory is left");
		is(scalar $sessions[$i]->query(query_of('velt', $good_key)),
			1, "$name: the session goes on");
		$sessions[$i]->close;
	}
	wait_until_idle($api);
}

# ----------
# Lists of keys
# ----------

{
	my @lists = (
		[ '08P01', 'a page token that is repeated', { repeat_token => JSON::PP::true } ],
		[ '08P01', 'page tokens that go round', { token_cycle => 3 } ],
		[ '08P01', 'page tokens that go round a long way', { token_cycle => 20 } ],
		[ '08P01', 'a page token that is a number', set('/result/nextPageToken', 7) ],
		[ '08P01', 'a page token that is an object', set('/result/nextPageToken', {}) ],
		[ '08P01', 'data that is an object', set('/result/data', {}) ],
		[ '08P01', 'data that is a string', set('/result/data', 'keys') ],
		[ '08P01', 'a row that is null', set('/result/data/5', undef) ],
		[ '08P01', 'a row that is a list', set('/result/data/5', [ {} ]) ],
		[ '08P01', 'no data', { edit => [ ['/result/data'] ] } ],
		[ '54000', 'a bomb', { nest => 5000 } ],
		[ '08006', 'reset', { reset => 'in_body' } ]);

	for my $list (@lists)
	{
		my ($sqlstate, $name, $do) = @$list;
		my ($before, %seen);

		$api->faults([ { endpoint => 'apikeys/get', do => $do } ]);
		for my $round (1 .. $rounds)
		{
			$session->send('SELECT id FROM velt.api_keys');
			my $error = $session->result->{error} // { sqlstate => 'none' };
			$seen{ $error->{sqlstate} }++;
			$before = size_of($session) if $round == 5;
		}
		my $after = size_of($session);
		is(join(' ', %seen), "$sqlstate $rounds", "lists: $name");
		is($after->{descriptors}, $before->{descriptors},
			"lists: $name: no descriptor is left");
		cmp_ok($after->{kb} - $before->{kb},
			'<', $growth_kb, "lists: $name: no memory is left");
	}

	# the fan-out that a list is for
	for my $list (@lists)
	{
		my ($sqlstate, $name, $do) = @$list;

		$api->faults([ { endpoint => 'apikeys/get', do => $do } ]);
		fails_with($session, 'SELECT api_key FROM velt.auth_tokens',
			$sqlstate, "a fan-out: $name");
		wait_until_idle($api);
	}

	$api->faults(
		[ { endpoint => 'apikeys/get', do => { edit => [ ['/result/data/5/id'] ] } } ]);
	fails_with($session, 'SELECT api_key FROM velt.auth_tokens',
		'08P01', 'a fan-out: a row without a key');
	wait_until_idle($api);

	# empty pages without end, each with a new token
	$api->faults(
		[ { endpoint => 'apikeys/get', do => { endless_empty => JSON::PP::true } } ]);
	for my $try (1 .. 3)
	{
		$api->reset;
		fails_with($session, 'SELECT id FROM velt.api_keys',
			'54000', 'empty pages without end');
		my $requests = $api->stats('requests.total');
		cmp_ok($requests, '>=', 1000, '1,000 of them are borne');
		cmp_ok($requests, '<=', 1001, 'and no more');
	}
	$api->faults([]);
	is($session->value('SELECT count(*) FROM velt.api_keys'),
		120, 'after all of which the session has all rows');
}

# Workspaces.
for my $reply (
	[ '08P01', 'data that is a list', set('/result/data', []) ],
	[ '08P01', 'data that is null', set('/result/data', undef) ],
	[ '08P01', 'no data', { edit => [ ['/result/data'] ] } ],
	[ '08P01', 'another status', set('/result/status', 'Success') ],
	[ '08006', 'truncated', { truncate => 10 } ])
{
	my ($sqlstate, $name, $do) = @$reply;

	$api->faults([ { endpoint => 'workspace/get', do => $do } ]);
	fails_with($session, 'TABLE velt.workspaces', $sqlstate, "workspaces: $name");
}
$api->faults([]);
is(scalar $session->query('TABLE velt.workspaces'), 1, 'and a right one');

$_->close for $admin, $session;
done_testing();
