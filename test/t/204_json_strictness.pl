
# What is JSON: velt_fdw and PostgreSQL's own type json are of one opinion on
# every document, well-formed or nearly so, within velt_fdw's limits.
#
# VELT_TEST_SEED=n: other documents; a failure says of which seed it is.
# VELT_TEST_DOCUMENTS=n: how many are made up.

use strict;
use warnings;

use MIME::Base64 qw(encode_base64);
use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltTest;

my $default_seed = 1;
my $default_documents = 2000;
my $most_reported = 5;

# Rules that the simulator is given at a time.
my $batch = 200;

# client/json.h
my $max_depth = 128;

my $seed = $ENV{VELT_TEST_SEED} // $default_seed;
my $ndocuments = $ENV{VELT_TEST_DOCUMENTS} // $default_documents;

srand($seed);
note "VELT_TEST_SEED=$seed";

# ----------
# Documents, as bytes
# ----------

# Where parsers differ.
my @hard = (
	'', ' ', "\t\r\n", 'null', 'true', 'false', 'nul', 'nulll', 'True', 'NULL',
	'undefined', 'NaN', 'Infinity', '-Infinity', '-', '+1', '0', '-0', '00',
	'01', '-01', '1.', '.5', '1.5', '1.e5', '1e', '1e+', '1E5', '1e-05',
	'1e5.5', '0x10', '1_000', '1 2', '1a', '1"', '--1', '12345678901234567890',
	'1' . '0' x 400, '1e999999999', '0.' . '1' x 400, "\x{b}1", "\x{c}1",
	"1\x{a0}", "\xc2\xa01", "\xef\xbb\xbf1", '""', '"', "''", "'a'", '"a',
	'a"', '"\\"', '"\\\\"', '"\\x"', '"\\u"', '"\\u1"', '"\\u123g"',
	'"\\u12345"', '"\\U1234"', '"\\0"', '"\\\'"', '"\\/"', '"\\b\\f\\n\\r\\t"',
	'"\\v"', '"\\a"', '"\\e"', '"\\u0000"', '"\\ud800"', '"\\udc00"',
	'"\\ud800\\udc00"', '"\\udc00\\ud800"', '"\\ud836\\udeb4"', '"/"',
	(map { '"' . chr($_) . '"' } 1 .. 31, 127), "\"\xc2\x80\"", "\"\xff\"",
	"\"\xc0\xaf\"", "\"\xe0\x80\xaf\"", "\"\xed\xa0\x80\"", "\"\xed\x9f\xbf\"",
	"\"\xf4\x8f\xbf\xbf\"", "\"\xf4\x90\x80\x80\"", "\"\xf5\x80\x80\x80\"",
	"\"\xe2\x82\"", "\"\xc3\"", "\"\x80\"", "\"\xef\xbf\xbf\"", "\"\xe2\x80\xa8\"",
	'[]', '[', ']', '[[]', '[]]', '[,]', '[1,]', '[,1]', '[1,,2]', '[1 2]',
	'[1;2]', '[ ]', '[1, 2 , 3]', '(1)', '{}', '{', '}', '{}}', '{,}', '{"a"}',
	'{"a":}', '{:1}', '{"a":1,}', '{,"a":1}', '{"a":1 "b":2}', '{"a" 1}',
	'{"a"::1}', '{a:1}', '{1:1}', '{null:1}', "{'a':1}", '{"a":1;"b":2}',
	'{"a":1,"a":2}', '{"":{"":[]}}', '{"a":[}]', '[{]}', '//1', '1//', '/**/1',
	'#', '1#', '[1]x', '{}x', '"a"x', '"a""b"', '[]{}', 'truefalse', 'true false',
	'tru', 't', '\\u0031', '&', '<', "\xc3\xa4", '$', '@', '`1`', '1,', ',1', '1:2',
	'[' x $max_depth . ']' x $max_depth,
	'{"a":' x $max_depth . '1' . '}' x $max_depth);

sub pick { return $_[ int rand @_ ]; }
sub space { return pick('', '', '', '', ' ', "\n", "\t", "\r", '  '); }

sub string
{
	return '"' . join('', map {
			pick('a' .. 'e', ' ', '/', '\\"', '\\\\', '\\/', '\\n', '\\u0041',
				'\\u00e4', '\\ud83d\\ude00', '\\uD800', '\\u0000', "\xc3\xa4",
				"\xe2\x82\xac", "\xf0\x9f\x98\x80", '{', ']', ',', ':', "\x7f")
		} 0 .. rand 5) . '"';
}

sub number
{
	return pick('', '-') . pick(0, 1 + int rand 9, int(1 + rand 1e9))
	  . pick('', '', '.' . int rand 1000)
	  . pick('', '', pick('e', 'E') . pick('', '+', '-') . int rand 400);
}

sub value
{
	my ($depth) = @_;
	my $kind = int rand($depth > 0 ? 7 : 4);

	return string() if $kind < 2;
	return number() if $kind == 2;
	return pick('true', 'false', 'null') if $kind == 3;
	my @parts = map { space() . value($depth - 1) . space() } 1 .. rand 4;
	return '[' . join(',', @parts) . space() . ']' if $kind == 4;
	return '{' . join(',', map { space() . string() . space() . ":$_" } @parts)
	  . space() . '}';
}

# What a slip makes of a document.
sub mutation
{
	my ($document) = @_;
	my $at = int rand(1 + length $document);
	my $length = int rand(1 + length($document) - $at);
	my $kind = int rand 6;

	if ($kind == 0) { substr($document, $at, 1) = ''; }
	elsif ($kind == 1) { substr($document, $at, 1) = chr int rand 256; }
	elsif ($kind == 2)
	{
		substr($document, $at, 0) = pick(split(//, '{}[]":,\\0-.eEtnu '),
			"\xc3", "\x80", "\xef\xbb\xbf", "\t", "\x01");
	}
	elsif ($kind == 3) { substr($document, $at) = ''; }
	elsif ($kind == 4) { $document .= substr($document, $at, $length); }
	else { substr($document, $at, $length) = substr($document, -$length); }
	return $document;
}

# The bodies that fuzzing begins with; what is before them there is no body.
sub corpus
{
	my @documents;

	for my $file (sort glob "$FindBin::RealBin/../fuzz/corpus/page/*")
	{
		open(my $handle, '<:raw', $file) or die "could not read $file: $!";
		local $/;
		my $document = substr(<$handle>, 3);

		# a further page would be a further request
		$document =~ s/nextPageToken/nextPage/g;
		push @documents, $document;
	}
	die 'there is no corpus' unless @documents;
	return @documents;
}

my @corpus = corpus();
my @documents = (@hard, @corpus);
push @documents, mutation($_) for @corpus, @corpus, @corpus;
while (@documents < $ndocuments)
{
	my $document = space() . value(4) . space();

	$document = mutation($document) if rand() < 0.6;
	push @documents, $document;
}

# ----------
# Opinions
# ----------

my $api = VeltSimulator->new;
my $node = start_node();
my $session = VeltClient->new($node);

add_server($session, 'velt', options => { api_url => $api->url });
$session->query("CREATE FOREIGN TABLE documents
	(c json OPTIONS (json_pointer '/c'), b jsonb OPTIONS (json_pointer '/c'))
	SERVER velt OPTIONS (resource 'api_keys')");

sub verdict
{
	my ($sql) = @_;

	$session->send($sql);
	my $result = $session->result;
	die 'the connection was lost' if $result->{lost};
	return ($result->{error}, $result->{rows}->[0]);
}

# 00000, or the SQLSTATE with which PostgreSQL refuses; a NUL cannot be said.
sub of_postgres
{
	my ($document, $type) = @_;

	return '22P02' if $document =~ /\0/;
	my ($error) = verdict('SELECT ' . literal($document) . "::$type");
	return $error ? $error->{sqlstate} : '00000';
}

# The next answers of the API.
sub serve
{
	my @bodies = @_;

	$api->faults(
		[
			map {
				{
					endpoint => 'apikeys/get',
					nth => $_ + 1,
					do => { status => 200,
						body_base64 => encode_base64($bodies[$_], '') }
				}
			} 0 .. $#bodies
		]);
	$api->reset;
	return;
}

sub shown
{
	my ($document) = @_;

	$document =~ s/([^ -~])/sprintf '\\x%02x', ord $1/eg;
	return length $document > 200 ? substr($document, 0, 200) . '...' : $document;
}

my (@differing, %count, @accepted);

# A response that is the document: it is none of the API's, but for JSON or
# for what else, velt_fdw says.
sub compare_whole
{
	my @some = @_;

	serve(@some);
	for my $document (@some)
	{
		my $postgres = of_postgres($document, 'json') eq '00000';
		my ($error) = verdict('SELECT c FROM documents');
		my $detail = $error ? $error->{detail} // '' : '';
		my $ours = !$error || $detail =~ /documented shape|^The API replied/;

		# what ends the reading, whatever else is wrong with it: a limit of
		# ours, and what readers differ on
		next if $detail =~ /nests more than $max_depth levels|a member twice/;
		die 'unexpected: ' . shown($document) . ": $error->{text}"
		  if $error && !$ours && $detail !~
		  /not valid JSON|in the middle of its JSON|without a body|instead of JSON/;
		$count{ $postgres ? 'accepted' : 'refused' }++;
		push @differing, ($ours ? 'we accept: ' : 'we refuse: ') . shown($document)
		  if $ours != $postgres;
		push @accepted, $document if $postgres;
	}
	is($api->stats('requests.total'), scalar @some, 'a request each');
	return;
}

# What is accepted, as the value of a member: json has it as it stands, jsonb
# makes of it what PostgreSQL does.
sub compare_values
{
	my @some = @_;

	serve(map { ('{"result":{"status":"success","data":[{"c":' . $_ . '}]}}') x 2 } @some);
	for my $document (@some)
	{
		my ($error, $row) = verdict('SELECT c FROM documents');
		my ($text) = $document =~ /^[ \t\r\n]*(.*?)[ \t\r\n]*$/s;

		$text = undef if $text eq 'null';
		push @differing, 'json is another: ' . shown($document)
		  if $error || ($row->[0] // 'NULL') ne ($text // 'NULL');
		my ($binary_error, $binary) = verdict('SELECT b FROM documents');
		my ($expected_error, $expected) = verdict('SELECT ' . literal($text // '') . '::jsonb')
		  if defined $text;
		push @differing, 'jsonb is another: ' . shown($document)
		  if ($binary_error ? $binary_error->{sqlstate} : $binary->[0] // 'NULL') ne
			($expected_error ? $expected_error->{sqlstate} : $expected->[0] // 'NULL');
	}
	return;
}

# How deep a document nests that is JSON.
sub depth
{
	my ($document) = @_;
	my ($now, $most) = (0, 0);

	$document =~ s/"(?:[^"\\]|\\.)*"//gs;
	for my $bracket ($document =~ /[\[\]{}]/g)
	{
		$now += $bracket =~ /[\[{]/ ? 1 : -1;
		$most = $now if $now > $most;
	}
	return $most;
}

while (my @some = splice @documents, 0, $batch) { compare_whole(@some); }
# a value stands in four more
@accepted = grep { depth($_) + 4 <= $max_depth } @accepted;
my $naccepted = @accepted;
while (my @some = splice @accepted, 0, $batch) { compare_values(@some); }

note join ', ', map { "$_: $count{$_}" } sort keys %count;
is(scalar @differing, 0, 'PostgreSQL and velt_fdw agree')
  or diag("VELT_TEST_SEED=$seed\n" . join "\n",
	grep { defined } @differing[ 0 .. $most_reported - 1 ]);
# neither side is without its cases
cmp_ok($count{$_}, '>', $ndocuments / 4, "enough are $_") for qw(accepted refused);
cmp_ok($naccepted, '>', $ndocuments / 4, 'enough are values');

# ----------
# Our limit
# ----------

for my $pair ([ '[', ']' ], [ '{"a":', '}' ])
{
	my ($open, $close) = @$pair;
	my $inner = $open eq '[' ? '' : '1';
	my @bodies = map { $open x $_ . $inner . $close x $_ } $max_depth, $max_depth + 1;

	serve(@bodies);
	is(of_postgres($bodies[1], 'json'), '00000', "PostgreSQL takes $open deeper");
	fails_with($session, 'SELECT c FROM documents', '08P01', "$max_depth times $open is JSON");
	fails_with($session, 'SELECT c FROM documents', '54000', 'one more is too deep');
}

wait_until_idle($api);
$session->close;
done_testing();
