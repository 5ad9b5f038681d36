
# Whatever a server sends, and however long it goes on, the backend that reads
# it ends when it is told to, ends an attempt in time, and needs no more memory
# than its settings say.
#
# VELT_TEST_FULL=1 interrupts each statement 20 times in each way, which takes
# an hour, and shows a table: SQLSTATE, wall and processor time in ms, and MB of
# memory of the statement; how late request_timeout ends it; median and worst
# lateness in ms by way, in the order of their names.  VELT_TEST_ROW is a
# pattern of the statements to run.

use strict;
use warnings;

use List::Util qw(max min);
use Test::More;
use Time::HiRes qw(time usleep);

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltHostile;
use VeltTest;

my $full = $ENV{VELT_TEST_FULL} // 0;
my $only = $ENV{VELT_TEST_ROW} // '';
my $tries = $full ? 20 : 1;

# The promise for an idle machine.  Time in which a process was ready to
# run and did not is taken off.  On a busy machine the backend's own processor
# time is what counts.
my $limit_ms = $full ? 50 : 1000;
my $cpu_limit_ms = $full ? 50 : 100;

# Of max_response_size, and of replies that are just within.
my $response_mb = $full ? 64 : 17;
my $mb = $response_mb - 1;
my $request_timeout_ms = 1000;
my $short_timeout_ms = 100;

# Interruptions come within so much of a statement.
my $most_ms = 2000;

# Other memory of a backend, with 32 HTTP connections.
my $other_mb = 16;

# ----------
# Statements
# ----------

my $ok = "HTTP/1.1 200 OK\r\n";
my $gzip = "content-encoding: gzip\r\n";
my $chunked = "transfer-encoding: chunked\r\n\r\n";

# A gzip member without content.
my $empty = pack('H*', '1f8b0800000000000003030000000000' . '00000000');

sub value { return rows(plain => $mb, '{"id":"k","x":' . $_[0], $_[1], "$_[2]}"); }
sub bomb { return rows($_[0], $_[1], '{},', ' ', '{}'); }

my @all = (
	# before the body
	{ name => '1xx responses', ends => '54000',
		api => [ bytes(flood => '', "HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n") ] },
	{ name => 'header lines', ends => '54000',
		api => [ bytes(flood => $ok, "a: b\r\n") ] },
	{ name => 'a header line', ends => '54000',
		api => [ bytes(flood => "${ok}a: ", 'b') ] },
	{ name => 'chained codings', ends => '08P01',
		api => [ bytes(flood => "${ok}content-encoding: gzip, gzip\r\n\r\n", $empty) ] },
	{ name => 'codings in two lines', ends => '08P01',
		api => [ bytes(flood => "$ok$gzip$gzip\r\n", $empty) ] },
	{ name => 'brotli', ends => '08P01',
		api => [ bytes(flood => "${ok}content-encoding: br\r\n\r\n", 'x') ] },

	# compressed
	{ name => 'a gzip bomb', ends => '', busy => 1, api => [ bomb(gzip => $mb) ] },
	{ name => 'a gzip bomb of 500 MB', ends => '54000', busy => 1,
		api => [ bomb(gzip => 500) ] },
	{ name => '8 gzip bombs', table => 'auth_tokens', ends => '', busy => 1,
		quick => 'cancel shutdown', api => [ fan => 8, bomb(gzip => $mb) ] },
	{ name => '32 gzip bombs', table => 'auth_tokens', ends => '', busy => 1,
		api => [ fan => 32, bomb(gzip => $mb) ] },
	{ name => '32 gzip bombs of 500 MB', table => 'auth_tokens', ends => '54000',
		busy => 1, api => [ fan => 32, bomb(gzip => 500) ] },
	{ name => '32 gzip bombs without an end', table => 'auth_tokens', ends => '08006',
		busy => 1, quick => 'terminate', limit => 4,
		api => [ fan => 32, bomb(held => 3) ] },
	{ name => 'empty gzip members', ends => '08006', busy => 1,
		api => [ bytes(flood => "$ok$gzip\r\n", $empty) ] },
	{ name => 'zero bytes behind gzip', ends => '08006', busy => 1, quick => 'timeout',
		api => [ bytes(flood => "$ok$gzip\r\n$empty", "\0") ] },

	# framing
	{ name => 'a chunk extension', ends => '08006', busy => 1, quick => 'cancel',
		api => [ bytes(flood => "$ok${chunked}5;", 'x') ] },
	{ name => 'chunks of a byte', ends => '08006|54000', busy => 1, quick => 'terminate',
		api => [ bytes(flood => "$ok$chunked", "1\r\n \r\n") ] },
	{ name => 'chunks of a byte with extensions', ends => '08006|54000', busy => 1,
		api => [ bytes(flood => "$ok$chunked", "1;x\r\n \r\n") ] },
	{ name => 'trailers', ends => '54000',
		api => [ bytes(flood => "$ok${chunked}0\r\n", "a: b\r\n") ] },
	{ name => 'a byte at a time', ends => '08006', busy => 1,
		api => [ bytes(trickle => "${ok}content-length: 100000\r\n\r\n", ' ') ] },
	{ name => 'a chunk at a time', ends => '08006', busy => 1,
		api => [ bytes(trickle => "$ok$chunked", "1\r\n \r\n") ] },

	# values
	{ name => 'digits as int', type => 'int', ends => '22P02', busy => 1,
		quick => 'cancel', api => [ value('', '1', '') ] },
	{ name => 'digits as timestamptz', type => 'timestamptz', ends => '22P02', busy => 1,
		api => [ value('"', '1', '"') ] },
	{ name => 'escapes that no jsonb has', type => 'jsonb', ends => '22P02', busy => 1,
		quick => 'cancel', api => [ value('"', '\u0000', '"') ] },
	{ name => 'an array as jsonb', type => 'jsonb', ends => '22P02', busy => 1,
		api => [ value('[', '0,', '0]') ] },
	{ name => 'a string as varchar(5)', type => 'varchar(5)', ends => '22001', busy => 1,
		api => [ value('"', 'x', '"') ] },
	{ name => 'elements that no text has',
		values => 2 * $mb, type => 'text[]', ends => '22P05', busy => 1,
		api => [ value('[', '"ab",', '"\u0000"]') ] },
	{ name => 'an array as timestamptz[]',
		type => 'timestamptz[]', ends => '22007', busy => 1,
		api => [ value('[', '"2026-01-01",', '"x"]') ] },
	{ name => 'an array as text[]', type => 'text[]', ends => '', busy => 1,
		quick => 'terminate', values => 10 * $mb, api => [ value('[', '"a",', 'null]') ] },
	{ name => 'an element of text[]', type => 'text[]', ends => '', busy => 1,
		values => 4 * $mb, api => [ value('["', 'a', '"]') ] },
	{ name => 'an array as int[]', type => 'int[]', ends => '', busy => 1,
		values => $mb, api => [ value('[', '100000000,       ', '0]') ] },
	{ name => 'text', type => 'text', ends => '', busy => 1, values => $mb,
		quick => 'cancel', api => [ value('"', 'x', '"') ] },
	{ name => 'escapes as text', type => 'text', ends => '', busy => 1,
		quick => 'timeout', values => $mb, api => [ value('"', '\u0061', '"') ] },
	{ name => 'escapes as text in LATIN1', type => 'text', ends => '', busy => 1,
		database => 'latin', quick => 'cancel', values => 3 * $mb,
		api => [ value('"', '\u00e9', '"') ] },
	{ name => 'text in LATIN1', type => 'text', ends => '', busy => 1,
		database => 'latin', values => 3 * $mb, api => [ value('"', 'x', '"') ] },
	{ name => 'text that LATIN1 lacks', type => 'text', ends => '22P05', busy => 1,
		database => 'latin', values => 3 * $mb, api => [ value('"', 'x', '\u20ac"') ] },
	{ name => 'json', type => 'json', ends => '', busy => 1,
		quick => 'cancel', values => $mb,
		api => [ value('[', '{"a":"b","c":[1,2,3]},', '0]') ] },

	# rows
	{ name => '1,590 columns', columns => 1590, ends => '', busy => 1, quick => 'cancel',
		api => [ rows(plain => $mb, '{"id":"k",', '"c1591":0,', '"c1":0}') ] },
	{ name => '1,590 columns of nested values', columns => 1590, ends => '', busy => 1,
		api => [ rows(plain => $mb, '{"id":"k","n":[', '[[{"c2":0}]],', '0]}') ] },
	{ name => '6 million keys', ends => '08P01', busy => 1, quick => 'timeout',
		api => [ rows(plain => $mb, '', '{"id":"a"},', '{"id":"b"}') ] },
	{ name => 'the tokens of 6 million keys', table => 'auth_tokens',
		ends => '08P01', busy => 1,
		api => [ rows(listed => $mb, '', '{"id":"a"},', '{"id":"b"}') ] },
	{ name => '22 million tokens', table => 'auth_tokens', ends => '', busy => 1,
		api => [ fan => 1, rows(plain => $mb, '', '{},', '{}') ] },
);

@all = grep { $only ? $_->{name} =~ /$only/ : $full || $_->{quick} || !$_->{busy} } @all;

# ----------
# Servers
# ----------

my $hostile = VeltHostile->new;
my $node = start_node();
my $admin = VeltClient->new($node);
$admin->query("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C'
	TEMPLATE template0");

my %admins = (postgres => $admin, latin => VeltClient->new($node, dbname => 'latin'));
$admins{latin}->query('CREATE EXTENSION velt_fdw');

for my $n (0 .. $#all)
{
	my $row = $all[$n];
	my $session = $admins{ $row->{database} //= 'postgres' };
	my $columns = $row->{columns};

	$row->{schema} = "s$n";
	add_server($session, "s$n",
		options => {
			api_url => $hostile->url(@{ $row->{api} }),
			request_timeout => '60s',
			max_response_size => ($row->{limit} //= $response_mb) . 'MB',
			max_concurrency => 32
		});
	$row->{sql} = "SELECT count(*) FROM s$n." . ($row->{table} // 'api_keys');
	next unless $columns || $row->{type};
	my @columns = $columns
	  ? map { "c$_ text OPTIONS (json_pointer '/c$_')" } 1 .. $columns
	  : "x $row->{type} OPTIONS (json_pointer '/x')";
	$session->query("CREATE FOREIGN TABLE s$n.t (" . join(', ', @columns)
		  . ") SERVER s$n OPTIONS (resource 'api_keys')");
	# not count(*), which copies the row
	$row->{sql} = "SELECT 1 FROM s$n.t WHERE "
	  . ($columns ? 't IS DISTINCT FROM NULL' : 'x IS NOT NULL');
}
$_->close for values %admins;

# ----------
# Measuring
# ----------

# The processor time that a process has used, and the time it waited for one.
sub times_of
{
	my ($pid) = @_;

	open(my $file, '<', "/proc/$pid/schedstat") or return;
	my $line = <$file> // return;
	return map { $_ / 1e6 } (split ' ', $line)[ 0, 1 ];
}

sub cpu_ms { return (times_of(@_))[0]; }
sub waited_ms { return (times_of(@_))[1] // 0; }

sub connect_to
{
	my ($row) = @_;
	my $session = VeltClient->new($node, dbname => $row->{database});

	$session->query('SET max_parallel_workers_per_gather = 0; SET jit = off');
	# loads the library
	$session->query("SELECT * FROM velt_fdw_get_connections()");
	return $session;
}

sub set_timeout
{
	my ($row, $ms) = @_;
	my $admin = VeltClient->new($node, dbname => $row->{database});

	$admin->query("ALTER SERVER $row->{schema}
		OPTIONS (SET request_timeout '${ms}ms')");
	$admin->close;
	return;
}

# Runs the statement to its end, or to that of its time.
sub run_whole
{
	my ($row, $timeout_ms) = @_;
	set_timeout($row, $timeout_ms);
	my $session = connect_to($row);
	my $pid = $session->pid;

	write_file("/proc/$pid/clear_refs", "5\n");
	my $memory = memory_kb($pid, 'VmRSS');
	my $cpu = cpu_ms($pid);
	my $waited = waited_ms($pid);
	my $started = time;

	$session->send($row->{sql});
	my $result = $session->result;
	my $whole = {
		ms => 1000 * ($result->{answered} - $started),
		cpu => cpu_ms($pid) - $cpu,
		waited => waited_ms($pid) - $waited,
		mb => (memory_kb($pid, 'VmHWM') - $memory) / 1024,
		sqlstate => ($result->{error} // {})->{sqlstate} // '',
		text => ($result->{error} // {})->{text} // ''
	};
	$session->close;
	return $whole;
}

# Checks that request_timeout ends the attempt, also while bytes are processed;
# a conversion does not count.  Returns how late that was, in ms.
sub in_time
{
	my ($row, $whole, $endless) = @_;
	my $timeout_ms = $endless ? $request_timeout_ms : $short_timeout_ms;
	my $name = "$row->{name}: request_timeout";

	return '    -' unless $endless || $whole->{cpu} > 4 * $timeout_ms;
	my $timed = $endless ? $whole : run_whole($row, $timeout_ms);
	my $late = $timed->{ms} - $timed->{waited} - $timeout_ms;

	like($timed->{sqlstate}, $row->{type} ? qr/^(?:08006|$row->{ends})$/ : qr/^08006$/,
		"$name ends it");
	return '    *' if $timed->{sqlstate} ne '08006';
	cmp_ok($late, '<=', $limit_ms, "$name: within $limit_ms ms");
	return sprintf '%5.0f', $late;
}

# ----------
# Interruptions
# ----------

# Waits until the statement has used so much processor time.
sub reach
{
	my ($session, $pid, $cpu) = @_;

	usleep(200)
	  until $session->has_answer || (cpu_ms($pid) // 'inf') >= $cpu;
	return;
}

# Waits for the end of a statement that was due; returns how late it came.
sub lateness
{
	my ($session, $due, $cpu, $waited) = @_;
	my $pid = $session->pid;
	my $result = $session->result;
	my ($cpu_after, $waited_after) = times_of($pid);

	is($result->{error}->{message}, 'canceling statement due to user request',
		'a cancel is not about the value')
	  if $result->{error} && $result->{error}->{sqlstate} eq '57014'
	  && $result->{error}->{message} !~ /timeout/;
	return {
		ms => 1000 * ($result->{answered} - $due),
		cpu => $cpu_after ? $cpu_after - $cpu : 0,
		slack => $waited_after ? $waited_after - $waited : 0,
		sqlstate => ($result->{error} // {})->{sqlstate} // ''
	};
}

sub signal
{
	my ($row, $signal, $whole) = @_;
	my $session = connect_to($row);
	my $pid = $session->pid;
	my $goal = cpu_ms($pid) + rand(min($whole->{cpu}, $most_ms));

	$session->send($row->{sql});
	reach($session, $pid, $goal);
	my ($cpu, $waited) = times_of($pid);
	my $started = time;
	kill $signal, $pid or die "process $pid: $!";
	return lateness($session, $started, $cpu, $waited);
}

sub statement_timeout
{
	my ($row, $whole) = @_;
	my $session = connect_to($row);
	my $pid = $session->pid;
	my $ms = 1 + int rand(min($whole->{ms}, $most_ms));

	$session->query("SET statement_timeout = $ms");
	my $waited = waited_ms($pid);
	my $due = time + $ms / 1000;
	$session->send($row->{sql});
	usleep(200) until time >= $due || $session->has_answer;
	my $cpu = cpu_ms($pid);
	return lateness($session, $due, $cpu, $waited);
}

sub fast_shutdown
{
	my ($row, $whole) = @_;
	my $session = connect_to($row);
	my $pid = $session->pid;
	my $goal = cpu_ms($pid) + rand(min($whole->{cpu}, $most_ms));
	my $file = $node->data_dir . '/postmaster.pid';

	$session->send($row->{sql});
	reach($session, $pid, $goal);
	my ($cpu, $waited) = times_of($pid);
	my $started = time;
	kill 'INT', $node->{_pid} or die "postmaster: $!";
	my $late = lateness($session, $started, $cpu, $waited);
	poll_until('the server has stopped', sub { !-e $file });
	$node->_update_pid(0);
	$node->start;
	return $late;
}

my %ways = (
	cancel => [ '57014', sub { signal($_[0], 'INT', $_[1]) } ],
	terminate => [ '57P01', sub { signal($_[0], 'TERM', $_[1]) } ],
	timeout => [ '57014', \&statement_timeout ],
	shutdown => [ '57P01', \&fast_shutdown ]);

sub median { return (sort { $a <=> $b } @_)[ @_ / 2 ]; }

# Interrupts the statement in one way; returns median and worst.
sub interrupt
{
	my ($row, $way, $whole) = @_;
	my ($sqlstate, $try) = @{ $ways{$way} };
	my $name = "$row->{name}: $way";
	my (@late, %others);

	for (1 .. 3 * $tries)
	{
		my $late = $try->($row, $whole);

		if ($late->{sqlstate} eq $sqlstate)
		{
			push @late, $late;
		}
		else
		{
			$others{ $late->{sqlstate} }++;
		}
		last if @late == $tries;
	}
	my @ms = map { max(0, $_->{ms} - $_->{slack}) } @late;
	my $worst = max(-1, map { $_->{ms} - $_->{slack} } @late);
	my $cpu = max(0, map { $_->{cpu} } @late);

	cmp_ok(scalar @late, '>', 0, "$name: it was interrupted")
	  or diag(join ' ', %others);
	cmp_ok($worst, '<=', $limit_ms, "$name: it ends within $limit_ms ms");
	cmp_ok($cpu, '<=', $cpu_limit_ms, "$name: it takes $cpu_limit_ms ms of the processor");
	return @ms ? sprintf('%5.0f %5.0f', median(@ms), $worst) : '    -     -';
}

# ----------
# All of it
# ----------

my @table;

for my $row (@all)
{
	my $endless = $row->{ends} && $row->{ends} =~ /08006/;
	my $whole = run_whole($row, $endless ? $request_timeout_ms : 60_000);
	my $name = $row->{name};
	my @line = sprintf '%-34s %-5s %6.0f %6.0f %6.0f', $name, $whole->{sqlstate},
	  $whole->{ms}, $whole->{cpu}, $whole->{mb};

	like($whole->{sqlstate}, qr/^(?:$row->{ends})$/, "$name: how it ends")
	  or diag($whole->{text});
	cmp_ok($whole->{mb}, '<',
		2 * $row->{limit} + ($row->{values} // 0) + $other_mb, "$name: its memory");
	push @line, in_time($row, $whole, $endless);
	if ($row->{busy})
	{
		set_timeout($row, 60_000);
		for my $way ($full ? sort keys %ways : split / /, $row->{quick} // 'cancel')
		{
			push @line, interrupt($row, $way, $whole);
		}
	}
	push @table, join '  ', @line;
	note $table[-1];
}
note join "\n", '', @table;

done_testing();
