
# A value as large as a response does not keep a cancel waiting while it is
# converted, and is not searched for secrets again and again.

use strict;
use warnings;

use List::Util qw(max);
use Test::More;
use Time::HiRes qw(usleep);

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltFaults;
use VeltTest;

my $megabyte = 1 << 20;
my $size_mb = 24;

# Processor time of the backend from a cancel to its error, to which other
# processes add little.  What is promised is 50 ms; the rest is for slow and
# shared processors, and for the time this test takes to see the error.  Where
# a cancel has to wait, it is 300 ms and more.
my $limit_ms = 150;
my $tries = 3;

my $api = VeltSimulator->new(config => { workspaces => { $workspace => { keys => 1 } } });
my $node = start_node();
my $admin = VeltClient->new($node);

$admin->query("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C'
	TEMPLATE template0");
my %sessions = map { $_ => new_session($_) } qw(postgres latin);

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

# Cancels the query when it has used so much time; how much it used then, or
# undef if it was over.
sub cancel_at
{
	my ($session, $sql, $ms) = @_;
	my $pid = $session->pid;
	my $before = cpu_ms($pid);

	$session->send($sql);
	until (cpu_ms($pid) - $before >= $ms)
	{
		last if $session->has_answer;
		usleep(200);
	}
	kill 'INT', $pid or die "process $pid: $!";
	my $cancelled = cpu_ms($pid);
	usleep(200) until $session->has_answer;
	my $late = cpu_ms($pid) - $cancelled;
	my $error = $session->result->{error};

	return if !$error || $error->{sqlstate} ne '57014';
	is($error->{message}, 'canceling statement due to user request',
		'a cancel is not about the value');
	return $late;
}

# ----------
# Cancels
# ----------

for my $case (
	[ 'text', 'postgres', 'text', '"', 'x', '"' ],
	[ 'text with escapes', 'postgres', 'text', '"', '\u0061', '"' ],
	[ 'text to be converted', 'latin', 'text', '"', "\\u00e9", '"' ],
	[ 'json', 'postgres', 'json', '[', '{"a":"b","c":[1,2,3,4,5,6,7,8]},', '0]' ],
	[ 'an array of text', 'postgres', 'text[]', '[', '"0123456789abcdef",', 'null]' ],
	[ 'an array of integers', 'postgres', 'int[]', '[', '100000000,       ', '0]' ])
{
	my ($name, $database, $type, @parts) = @$case;
	my $session = $sessions{$database};
	my $sql = 'SELECT 1 FROM ' . table($session, $type) . ' WHERE x IS NOT NULL';
	my $times = serve(@parts);
	my ($cost, $result) = cost_of($session, $sql);
	my @late;

	is(scalar @{ $result->{rows} }, 1, "$name: $times parts are a row")
	  or diag($result->{error}->{text});
	for my $try (1 .. $tries)
	{
		my $late = cancel_at($session, $sql, $cost * $try / ($tries + 1));

		push @late, $late if defined $late;
	}
	note sprintf '%s: %.0f ms in all, cancels end after %s ms', $name, $cost,
	  join ' ', map { sprintf '%.0f', $_ } @late;
	cmp_ok(scalar @late, '>', 0, "$name: it was cancelled");
	cmp_ok(max(@late, 0), '<', $limit_ms, "$name: a cancel ends it");
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
	[ 'numeric(4,1)[]', '[1.25,2]', '{1.3,2.0}' ],
	[ 'timestamptz[]', '["2026-01-02 03:04:05+00",null]',
		"{2026-01-02 03:04:05+00,NULL}" ],
	[ 'json[]', '[{"a": 1},"b"]', undef ])
{
	my ($type, $json, $expected) = @$case;
	my $session = $sessions{postgres};
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

{
	my $session = $sessions{postgres};
	my %types = (
		int => '22P02',
		'varchar(5)' => '22001',
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

$_->close for $admin, values %sessions;
done_testing();
