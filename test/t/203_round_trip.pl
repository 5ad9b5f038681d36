
# What the API has comes up in SQL as it was: values of every class of
# characters, in every spelling JSON has for them, of every type, up to the
# limit of a response.
#
# VELT_TEST_SEED=n: other values; a failure says of which seed it is.
# VELT_TEST_ROWS=n: how many rows of each kind.

use strict;
use warnings;

use JSON::PP;
use MIME::Base64 qw(encode_base64);
use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltTest;

my $default_seed = 1;
my $default_rows = 300;
my $page_size = 100;
my $most_reported = 3;

my $seed = $ENV{VELT_TEST_SEED} // $default_seed;
my $nrows = $ENV{VELT_TEST_ROWS} // $default_rows;

srand($seed);
note "VELT_TEST_SEED=$seed";

my $api = VeltSimulator->new;
my $node = start_node();
my $session = VeltClient->new($node);

add_server($session, 'velt', options => { api_url => $api->url });

# ----------
# Characters
# ----------

# First and last code point.
my %classes = (
	ascii => [ 0x20, 0x7E ],
	controls => [ 0x01, 0x1F ],
	special => [ map { [ $_, $_ ] } map { ord } '"', '\\', '/', "'", '{', ',' ],
	delete => [ 0x7F, 0x7F ],
	c1 => [ 0x80, 0x9F ],
	latin => [ 0xA0, 0x24F ],
	combining => [ 0x300, 0x36F ],
	'right to left' => [ 0x590, 0x8FF ],
	'marks of direction' => [ 0x200B, 0x202E ],
	isolates => [ 0x2060, 0x206F ],
	cjk => [ 0x4E00, 0x9FFF ],
	hangul => [ 0xAC00, 0xD7A3 ],
	'before surrogates' => [ 0xD7FF, 0xD7FF ],
	private => [ 0xE000, 0xF8FF ],
	'byte order mark' => [ 0xFEFF, 0xFEFF ],
	noncharacters => [ [ 0xFDD0, 0xFDEF ], [ 0xFFFE, 0xFFFF ] ],
	astral => [ 0x10000, 0x1FFFF ],
	'variation selectors' => [ 0xE0100, 0xE01EF ],
	'the last' => [ 0x10FFFD, 0x10FFFF ]);
my @names = sort keys %classes;

sub pick { return $_[ int rand @_ ]; }

sub character
{
	my ($class) = @_;
	my $range = $classes{$class};

	$range = pick(@$range) if ref $range->[0];
	my ($first, $last) = @$range;
	# Perl warns of those that are for no interchange
	no warnings 'nonchar';
	return chr($first + int rand($last - $first + 1));
}

# Of one class, or of any.
sub text
{
	my ($class, $longest) = @_;

	return join '', map { character($class // pick(@names)) }
	  1 .. int rand($longest // 12);
}

# ----------
# JSON, spelled at random
# ----------

my %short = (
	'"' => '\\"', '\\' => '\\\\', '/' => '\\/', "\b" => '\\b', "\f" => '\\f',
	"\n" => '\\n', "\r" => '\\r', "\t" => '\\t');

sub unit { return sprintf pick('\\u%04x', '\\u%04X'), $_[0]; }

# With noncharacters, which Encode would replace.
sub bytes
{
	my ($text) = @_;

	utf8::encode($text);
	return $text;
}

sub spelling
{
	my ($character) = @_;
	my $code = ord $character;

	return $short{$character} if $short{$character} && rand() < 0.5;
	return $character
	  if $code >= 0x20 && $character !~ /["\\]/ && rand() < 0.6;
	return unit($code) if $code < 0x10000;
	$code -= 0x10000;
	return unit(0xD800 + ($code >> 10)) . unit(0xDC00 + ($code & 0x3FF));
}

sub json_string { return '"' . join('', map { spelling($_) } split //, $_[0]) . '"'; }

sub space { return pick('', '', '', ' ', "\n", "\t ", "\r\n"); }

sub number
{
	return pick('', '-') . pick('0', 1 + int rand(9) . join('', map { int rand 10 } 0 .. rand 30))
	  . pick('', '.' . join('', map { int rand 10 } 0 .. rand 20))
	  . pick('', '', pick('e', 'E') . pick('', '+', '-') . int rand 30);
}

# Any value; members have names of their own.
sub json_value
{
	my ($depth) = @_;
	my $kind = int rand($depth > 0 ? 8 : 6);
	my $n = 0;

	return json_string(text()) if $kind < 3;
	return number() if $kind == 3;
	return pick('true', 'false', 'null') if $kind <= 5;
	my @parts = map { space() . json_value($depth - 1) . space() } 1 .. rand 4;
	return '[' . join(',', @parts) . ']' if $kind == 6;
	return '{' . join(',', map { json_string($n++ . text()) . ":$_" } @parts) . '}';
}

# ----------
# Types: how a value is made, as JSON and as SQL
# ----------

sub sql_text
{
	my ($text) = @_;

	$text =~ s/'/''/g;
	$text =~ s/\\/\\\\/g;
	return "E'$text'";
}

sub plain { return ($_[0], "'$_[0]'"); }
sub quoted { return (json_string($_[0]), "'$_[0]'"); }
sub digits { return join '', map { int rand 10 } 1 .. $_[0]; }

sub text_value
{
	my $text = text();
	return (json_string($text), sql_text($text));
}

sub array_of
{
	my ($element) = @_;
	my (@json, @sql);

	for (1 .. rand 5)
	{
		my ($json, $sql) = rand() < 0.1 ? ('null', 'NULL') : $element->();

		push @json, space() . $json . space();
		push @sql, $sql;
	}
	return ('[' . join(',', @json) . ']', 'ARRAY[' . join(',', @sql) . ']');
}

sub document
{
	my $json = json_value(4);

	# which is no document, but a value that is not there
	return ($json, $json eq 'null' ? 'NULL' : sql_text($json));
}

sub integer { return plain(pick(0, -1, int(rand 1000), -2147483648, 2147483647)); }

sub timestamp
{
	return quoted(
		sprintf '%04d-%02d-%02dT%02d:%02d:%02d.%06d%s',
		1 + int rand 9999, 1 + int rand 12, 1 + int rand 28, int rand 24,
		int rand 60, int rand 60, int rand 1000000,
		pick('Z', '+00', '+05:30', '-11:00'));
}

my %types = (
	text => \&text_value,
	varchar => \&text_value,
	jsonb => \&document,
	json => \&document,
	'text[]' => sub { return array_of(\&text_value); },
	'integer[]' => sub { return array_of(\&integer); },
	'jsonb[]' => sub { return array_of(\&document); },
	integer => \&integer,
	bigint => sub {
		return plain(pick('9223372036854775807', '-9223372036854775808',
				'1' . digits(15)));
	},
	numeric => sub { my $n = number(); return ($n, "'$n'"); },
	'double precision' => sub {
		return plain(pick(0.5, -1.25, '1e300', '-2.5E-300', '0.1'));
	},
	boolean => sub { return plain(pick('true', 'false')); },
	timestamptz => \&timestamp,
	date => sub {
		return quoted(sprintf '%04d-%02d-%02d', 1 + int rand 9999,
			1 + int rand 12, 1 + int rand 28);
	},
	uuid => sub {
		return quoted(join '-', map { digits($_) } 8, 4, 4, 4, 12);
	},
	# a string where a number is meant, and the other way round
	bytea => sub { return quoted('\\x' . digits(2 * int rand 9)); },
	char => sub { return plain(int rand 10); });
my @types = sort keys %types;

# ----------
# Rows in a response of our own, against rows of a local table
# ----------

# Returns both as text: an object, and a list of values.
sub make_row
{
	my ($id) = @_;
	my @members = (space() . '"id":' . json_string($id));
	my @values = (sql_text($id));

	for my $i (0 .. $#types)
	{
		my ($json, $sql) = $types{ $types[$i] }->();
		my $absent = int rand 20;

		if ($absent == 0)
		{
			# missing
			push @values, 'NULL';
			next;
		}
		($json, $sql) = ('null', 'NULL') if $absent == 1;
		push @members, space() . json_string("c$i") . space() . ':' . space() . $json;
		push @values, "$sql\::$types[$i]";
	}
	return ('{' . join(',', @members) . space() . '}', join(', ', @values));
}

# Has the simulator reply with these pages, and with the last one from then on.
sub serve
{
	my (@bodies) = @_;

	$api->faults(
		[
			map {
				{
					endpoint => 'apikeys/get',
					$_ < $#bodies ? (nth => $_ + 1) : (),
					do => {
						status => 200,
						body_base64 => encode_base64(bytes($bodies[$_]), '')
					}
				}
			} 0 .. $#bodies
		]);
	return;
}

sub response
{
	my ($data, $next) = @_;

	$next = $next ? qq{,"nextPageToken":"$next"} : '';
	return qq({"result":{"status":"success","data":$data$next}});
}

sub serve_rows
{
	my @rows = @_;
	my @bodies;

	while (my @page = splice @rows, 0, $page_size)
	{
		push @bodies,
		  response('[' . join(',', map { space() . $_ } @page) . ']',
			scalar @rows);
	}
	serve(@bodies);
	return;
}

# Rows that differ, by their ids.
sub differences
{
	my ($columns) = @_;

	# a row's fields may have no equality: json
	return $session->query(
		"SELECT f.id, f::text, l::text
		   FROM (SELECT $columns FROM kept) f
		   FULL JOIN (SELECT $columns FROM local) l USING (id)
		  WHERE f::text IS DISTINCT FROM l::text ORDER BY 1");
}

sub every_type
{
	my $n = 0;
	my $columns = join ', ', map { "c$_ $types[$_]" } 0 .. $#types;
	my $foreign = join ', ',
	  map { "c$_ $types[$_] OPTIONS (json_pointer '/c$_')" } 0 .. $#types;
	my @rows = map { [ make_row("r$_") ] } 1 .. $nrows;

	$session->query("CREATE FOREIGN TABLE every (id text, $foreign)
		SERVER velt OPTIONS (resource 'api_keys')");
	$session->query("CREATE TABLE local (id text, $columns)");
	$session->query(bytes(
		'INSERT INTO local VALUES ' . join ', ', map { "($_->[1])" } @rows));
	serve_rows(map { $_->[0] } @rows);
	$session->query('CREATE TABLE kept AS SELECT * FROM every');
	is($session->value('SELECT count(*) FROM kept'), $nrows, "$nrows rows");
	for my $i (0 .. $#types)
	{
		my @wrong = differences("id, c$i");

		is(scalar @wrong, 0, "$types[$i]: the values are equal")
		  or diag("VELT_TEST_SEED=$seed\n" . join "\n",
			map { join ' | ', map { $_ // '-' } @$_ }
			  @wrong[ 0 .. min($#wrong, $most_reported - 1) ]);
		# not because all of them are NULL
		cmp_ok($session->value("SELECT count(c$i) FROM kept"),
			'>', $nrows / 2, '... and most are there');
	}
	return;
}

sub min { return $_[0] < $_[1] ? $_[0] : $_[1]; }

every_type();

# ----------
# Each class of characters, as value, element and filter; the JSON is Python's
# ----------

sub check_class
{
	my ($class) = @_;
	my @texts = map { "$_" . text($class, 20) } 'a' .. 'z';

	$api->faults([]);
	$api->config({ workspaces => { $workspace => undef } });
	$api->config(
		{
			workspaces => {
				$workspace => {
					token => $token,
					key_list => [ map { { id => $_, apiKeyName => $_ } } @texts ],
					tokens => {
						map { $_ => [ { token => 't', name => $_, domains => [ $_, '', $_ ] } ] }
						  @texts
					}
				}
			}
		});
	my @expected = map { bytes($_) } @texts;
	is_deeply(
		[ $session->query('SELECT id, api_key_name FROM velt.api_keys') ],
		[ map { [ $_, $_ ] } @expected ], "$class: text");
	is_deeply(
		[ sort { $a->[0] cmp $b->[0] } $session->query(
			'SELECT api_key, name, domains[1], domains[2], domains[3]
			   FROM velt.auth_tokens') ],
		[ map { [ $_, $_, $_, '', $_ ] } sort @expected ],
		"$class: elements of arrays, and keys of requests");

	my $text = pick(@texts);
	$api->reset;
	is_deeply(
		[ $session->query(bytes(
			'SELECT api_key_name FROM velt.api_keys WHERE id = ' . sql_text($text))) ],
		[ [ bytes($text) ] ], "$class: a filter finds its row");
	is($api->stats('requests.total'), 1, '... in one request');
	is($api->stats('filters.0.0'), $text, '... that names it');
	return;
}

for my $mode ('{}', '{"escape": true}', '{"pretty": true, "compress": true}')
{
	note "modes: $mode";
	$api->config({ modes => decode_json($mode) });
	check_class($_) for @names;
}
$api->config({ modes => undef });

# ----------
# What is no text
# ----------

sub check_refused
{
	my ($json, $name) = @_;
	my $error;

	serve(response('[{"id":"r1"},{"id":"r2","c":' . $json . '}]'));
	for my $type ('text', 'jsonb', 'text[]')
	{
		next if $type eq 'text[]' && $json !~ /^\[/ || $type eq 'text' && $json =~ /^\[/;
		$session->query("CREATE FOREIGN TABLE refusing
			(id text, c $type OPTIONS (json_pointer '/c'))
			SERVER velt OPTIONS (resource 'api_keys')");
		$error = fails_with($session, 'SELECT * FROM refusing',
			$type eq 'jsonb' && $json !~ /u0000/ ? '22P02' : '22P05',
			"$name as $type");
		like($error->{context} . ($error->{detail} // '') . $error->{message},
			qr/\bc\b.*r2|r2.*\bc\b/s, '... naming column and row');
		is($session->value('SELECT count(id) FROM refusing'), 2,
			'... unless nobody asks for it');
		$session->query('DROP FOREIGN TABLE refusing');
	}
	return;
}

check_refused('"a\\u0000b"', 'a NUL');
check_refused('["a", "\\u0000"]', 'a NUL in an array');
check_refused('"\\ud800"', 'a high surrogate');
check_refused('"\\ude00x"', 'a low surrogate');
check_refused('"\\ud83d\\ud83d\\ude00"', 'two high surrogates');
check_refused('["\\ude00\\ud83d"]', 'a pair the wrong way round');

# json keeps the text
$session->query("CREATE FOREIGN TABLE verbatim
	(id text, c json OPTIONS (json_pointer '/c'))
	SERVER velt OPTIONS (resource 'api_keys')");
for my $json ('"\\u0000"', '"\\ud800"', ' { "a" : 1e2 , "a":\\u0031}', '1.50E+3')
{
	next if $json =~ /:\\u/;
	serve(response('[{"id":"r1","c":' . $json . '}]'));
	is($session->value('SELECT c FROM verbatim'), $json, "json keeps $json");
}

# ----------
# Up to the limit
# ----------

{
	my $limit = 512 * 1024;
	my $frame = length response('[{"id":"r1","c":""}]');
	my $fill = "\x{1F600}" x (($limit - $frame) / 4);

	$fill .= 'x' x ($limit - $frame - 4 * length $fill);
	$session->query("ALTER SERVER velt OPTIONS (ADD max_response_size '512kB')");
	$session->query("CREATE FOREIGN TABLE large
		(id text, c text OPTIONS (json_pointer '/c'), j jsonb OPTIONS (json_pointer ''))
		SERVER velt OPTIONS (resource 'api_keys')");
	serve(response('[{"id":"r1","c":"' . $fill . '"}]'));
	is_deeply(
		[ $session->query("SELECT octet_length(c), md5(c), c = j ->> 'c' FROM large") ],
		[ [ $limit - $frame, $session->value(bytes(
			"SELECT md5(repeat('\x{1F600}', " . int(($limit - $frame) / 4)
			  . ") || repeat('x', " . (($limit - $frame) % 4) . '))')), 't' ] ],
		'a response of just as many bytes as may be');
	serve(response('[{"id":"r1","c":"x' . $fill . '"}]'));
	fails_with($session, 'SELECT id FROM large', '54000', 'one byte more');
}

wait_until_idle($api);
$session->close;
done_testing();
