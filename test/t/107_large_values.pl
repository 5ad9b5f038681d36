
# Values that are converted in slices are as PostgreSQL makes them, and an error
# about a value as large as a response costs little.  111_busy_backend has the
# cancels.

use strict;
use warnings;

use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltFaults;
use VeltTest;

my $megabyte = 1 << 20;
my $size_mb = 24;

# Processor time that an error may take beyond reading the response.
my $limit_ms = 150;

my $api = VeltSimulator->new(config => { workspaces => { $workspace => { keys => 1 } } });
my $node = start_node();
my $admin = VeltClient->new($node);

my $session = new_session('postgres');

sub new_session
{
	my ($database) = @_;
	my $session = VeltClient->new($node, dbname => $database);

	$session->query('CREATE EXTENSION IF NOT EXISTS velt_fdw');
	add_server($session, 'velt', options => { api_url => $api->url });
	$session->query('CREATE SCHEMA hand');
	return $session;
}

# Sets the simulator's answer: one row with a member x, which repeats the part
# between two others up to $size_mb megabytes.  Returns the number of parts.
sub serve
{
	my ($before, $part, $after) = @_;
	my $times = int $size_mb * $megabyte / length $part;
	my $key = key_id(1);

	$api->faults(
		[
			{
				do => {
					status => 200,
					body_parts => [
						[
							'{"result":{"status":"success","data":'
							  . qq([{"id":"$key","x":$before),
							1
						],
						[ $part, $times ],
						[ "$after}]}}", 1 ]
					]
				}
			}
		]);
	return $times;
}

my $tables = 0;

sub table
{
	my ($session, $type, $pointer) = @_;
	my $table = 'hand.t' . ++$tables;

	$session->query("CREATE FOREIGN TABLE $table
		(x $type OPTIONS (json_pointer '/@{[ $pointer // 'x' ]}'))
		SERVER velt OPTIONS (resource 'api_keys')");
	return $table;
}

# The processor time that a process has used, in ms.
sub cpu_ms
{
	my ($pid) = @_;

	open(my $file, '<', "/proc/$pid/schedstat") or die "process $pid: $!";
	return (split ' ', <$file>)[0] / 1e6;
}

# Returns the processor time of a query, and its result.
sub cost_of
{
	my ($session, $sql) = @_;
	my $before = cpu_ms($session->pid);

	$session->send($sql);
	my $result = $session->result;
	return (cpu_ms($session->pid) - $before, $result);
}

# ----------
# What becomes of them
# ----------

for my $case (
	[ 'text[]', '["ab",null,"\u0063"]', '{ab,NULL,c}' ],
	[ 'int[]', '[1, null ,3]', '{1,NULL,3}' ],
	[ 'int[]', '[]', '{}' ],
	[ 'bool[]', '[true,false,null]', '{t,f,NULL}' ],
	[ 'int8[]', '[' . join(',', (null => 1) x 9) . ']',
		'{' . join(',', (NULL => 1) x 9) . '}' ],
	[ '"char"[]', '["a","b"]', '{a,b}' ],
	[ 'name[]', '["a"]', '{a}' ],
	[ 'varchar(3)[]', '["ab","abc  "]', '{ab,"abc  "}' ],
	[ 'char(3)[]', '["ab","abc  "]', '{ab,"abc  "}' ],
	[ 'numeric(4,1)[]', '[1.25,2]', '{1.3,2.0}' ],
	[ 'timestamptz[]', '["2026-01-02 03:04:05+00",null]',
		"{2026-01-02 03:04:05+00,NULL}" ],
	[ 'json[]', '[{"a": 1},"b"]', undef ])
{
	my ($type, $json, $expected) = @$case;
	my $table = table($session, $type);
	my $key = key_id(1);

	$api->faults(
		[
			{
				do => {
					status => 200,
					body => '{"result":{"status":"success","data":'
					  . qq([{"id":"$key","x":$json}]}})
				}
			}
		]);
	$expected //= '{"{\"a\": 1}","\"b\""}';
	# the same as PostgreSQL's own, byte for byte
	is($session->value("SELECT pg_column_size(x) = pg_column_size(own)
			AND (x::text = own::text) AND array_send(x) = array_send(own)
		FROM $table, CAST(" . literal($expected) . " AS $type) AS own"),
		't', "$json as $type");
}

# Characters that are stored as one, on either side of where a slice ends
# (256 kB): EUC_JIS_2004 has one for U+304B U+309A.
$admin->query("CREATE DATABASE japan ENCODING 'EUC_JIS_2004' LOCALE 'C'
	TEMPLATE template0");
{
	my $session = new_session('japan');
	my $table = table($session, 'text');

	$size_mb = 1;
	for my $before ('', 'a', 'ab', 'abc', 'abcd', 'abcde')
	{
		my $times = serve("\"$before", '\u304b\u309a', '"');

		is($session->value("SELECT length(x) FROM $table"),
			length($before) + $times, "pairs of characters behind \"$before\"");
	}
	$session->close;
}

# ----------
# Errors
# ----------

# An input function gets 512 kB and no more.
$size_mb = 0.5;
serve('"', 'x', '"');
is($session->value('SELECT length(x) FROM ' . table($session, 'bytea')),
	512 * 1024, 'as much text as an input function gets');
serve('"x', 'x', '"');
is($session->error('SELECT x FROM ' . table($session, 'bytea'))->{message},
	'value of 524289 bytes is too long for type bytea', 'more than that');

{
	my %types = (
		'int' => '22P02',
		'jsonb' => '22P02',
		'varchar(5)' => '22001',
		'char(5)[]' => '22P02',
		'int[]' => '22P02');

	$size_mb = 24;
	serve('"', '\\\\', '"');
	my ($least) = cost_of($session, 'SELECT x FROM ' . table($session, 'text', 'y'));
	for my $type (sort keys %types)
	{
		my ($cost, $result) =
		  cost_of($session, 'SELECT x FROM ' . table($session, $type));
		my $error = $result->{error} // { sqlstate => 'none', text => '' };

		is($error->{sqlstate}, $types{$type}, "no $type");
		like($error->{context}, qr/column "x" .*row of "velt_api_key_/,
			"$type: its context");
		cmp_ok(length $error->{text}, '<', 2000, "$type: of some length");
		note sprintf '%s: %.0f ms, %.0f without the value', $type, $cost, $least;
		# it was more than 20 times as much
		cmp_ok($cost, '<', 6 * $least + $limit_ms, "$type: in no time");
	}
}

$_->close for $admin, $session;
done_testing();
