
# Scans, failures and cancels in a server under valgrind's memcheck: no error
# with our code on the stack, nothing that is lost, and nothing that remains of
# a statement, however often it is repeated.
#
# valgrind.pl [REPETITIONS]
#
# Each statement is run by two sessions, by one of them so many times more.  At
# its end valgrind tells how many bytes a process had, to the byte.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use POSIX ();
use Test::More;
use VeltClient;
use VeltSimulator;
use VeltTest;

my $repetitions = $ARGV[0] // 1000;

# Before memory is looked at: what is made once is there, and tables that
# double have room.
my $warm_up = 10;

# What a repetition may leave: less than the smallest thing there is.
my $bytes_each = 8;

# ... and a session more than another: a block of some cache.
my $bytes_in_all = 16 * 1024;

# A process is some twenty times slower.
$PostgreSQL::Test::Utils::timeout_default = 600;

my $true = JSON::PP::true;
my $logs = "$ENV{TESTLOGDIR}/valgrind";
my $api = VeltSimulator->new(
	config => {
		workspaces => {
			$workspace => { token => $token, keys => 30, tokens_per_key => 1 }
		}
	});

sub body { return { status => 200, body => $_[0] }; }

# Name, SQLSTATE or nothing, statement, and what the API does.
my @statements = (
	[ 'a scan of pages', '', 'SELECT * FROM velt.small' ],
	[ 'a fan-out', '', 'SELECT * FROM velt.auth_tokens' ],
	[ 'a filter', '', "SELECT * FROM velt.api_keys WHERE id = 'velt_api_key_000001'" ],
	[ 'a scan ended by LIMIT', '', 'SELECT * FROM velt.small LIMIT 1' ],
	[ 'one scan of both tables', '',
		'SELECT * FROM velt.api_keys k JOIN velt.auth_tokens t ON t.api_key = k.id' ],
	[ 'a batched join', '',
		'SELECT * FROM owned o LEFT JOIN velt.auth_tokens t USING (api_key)' ],
	[ 'rescans', '', 'SELECT (SELECT count(*) FROM velt.auth_tokens t
		 WHERE t.api_key = o.api_key) FROM owned o LIMIT 3' ],
	[ 'a union of servers', '',
		'SELECT id FROM velt.api_keys UNION ALL SELECT id FROM other.api_keys' ],
	[ 'EXPLAIN', '', 'EXPLAIN (VERBOSE) SELECT * FROM velt.api_keys' ],
	[ 'a value that does not convert', '22P02', 'SELECT * FROM velt.wrong' ],
	[ 'a limit of requests', '54000', 'SELECT * FROM velt.few' ],
	[ 'an error of the API', '28000', 'SELECT * FROM velt.api_keys',
		{ error => 'UNAUTHENTICATED' } ],
	[ 'an error amid a fan-out', '08006', 'SELECT * FROM velt.auth_tokens',
		{ status => 503 }, 'authtokens/get' ],
	[ 'an error amid a batched join', '42501',
		'SELECT * FROM owned o LEFT JOIN velt.auth_tokens t USING (api_key)',
		{ error => 'PERMISSION_DENIED' }, 'authtokens/get' ],
	[ 'no JSON', '08P01', 'SELECT * FROM velt.api_keys', body('{"result":tru}') ],
	[ 'half a response', '08P01', 'SELECT * FROM velt.api_keys', body('{"result":{"a') ],
	[ 'a bomb', '54000', 'SELECT * FROM velt.api_keys', { nest => 1000 } ],
	[ 'a NUL', '22P05', 'SELECT * FROM velt.api_keys',
		body('{"result":{"status":"success","data":[{"id":"\\u0000"}]}}') ],
	[ 'a row that is none', '08P01', 'SELECT * FROM velt.api_keys',
		body('{"result":{"status":"success","data":[{"id":"a"},7]}}') ],
	[ 'a page token again', '08P01', 'SELECT * FROM velt.small', { repeat_token => $true } ],
	[ 'a redirect', '08P01', 'SELECT * FROM velt.api_keys',
		{ status => 302, headers => { Location => '/' } } ],
	[ 'a reset', '08006', 'SELECT * FROM velt.api_keys', { reset => 'in_body' } ],
	[ 'a response cut short', '08006', 'SELECT * FROM velt.api_keys', { truncate => 30 } ],
	[ 'endless headers', '54000', 'SELECT * FROM velt.api_keys', { endless_headers => $true } ],
	[ 'a timeout amid a scan', '57014',
		"SET statement_timeout = '30ms'; SELECT * FROM velt.api_keys",
		{ stall => 'in_body' } ],
	[ 'a refused connection', '08001', 'SELECT * FROM nobody.api_keys' ]);

# ----------
# The server
# ----------

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding', 'UTF8', '--locale', 'C.UTF-8' ]);
$node->append_conf('postgresql.conf', "autovacuum = off\njit = off\n"
	  . "max_parallel_workers_per_gather = 0");
mkdir $logs or die "could not make $logs: $!";
my $server = start_server();
set_up();

for my $statement (@statements)
{
	try_statement(@$statement);
}
wait_until_idle($api);
stop_server();
look_at_errors();
done_testing();

# In a process of ours: pg_ctl would start its own.
sub start_server
{
	my $pid = fork // die "could not fork: $!";

	if ($pid == 0)
	{
		open(STDERR, '>>', $node->logfile);
		open(STDOUT, '>&', \*STDERR);
		exec 'setpriv', '--pdeathsig', 'INT', 'valgrind', '--quiet',
		  '--leak-check=full', '--show-leak-kinds=definite',
		  '--errors-for-leak-kinds=definite', '--num-callers=40',
		  '--error-limit=no', '--verbose', "--log-file=$logs/%p",
		  $node->config_data('--bindir') . '/postgres', '-D', $node->data_dir;
		POSIX::_exit(127);
	}
	poll_until('the server is up',
		sub { -S $node->host . '/.s.PGSQL.' . $node->port });
	poll_until('it takes connections',
		sub { eval { VeltClient->new($node)->close; 1 } });
	return $pid;
}

sub stop_server
{
	kill 'INT', $server;
	waitpid $server, 0;
	is($?, 0, 'the server has ended well');
	return;
}

END
{
	my $status = $?;
	kill 'QUIT', $server if $server;
	$? = $status;
}

sub set_up
{
	my $session = VeltClient->new($node);

	$session->query('CREATE EXTENSION velt_fdw');
	add_server($session, 'velt', options => { api_url => $api->url });
	add_server($session, 'other', options => { api_url => $api->url });
	# what listens there speaks no HTTP, and is gone at once
	my $gone = VeltSimulator->new;
	my $url = $gone->url;
	$gone->stop;
	add_server($session, 'nobody', options => { api_url => $url });
	$session->query($_) for
	  "CREATE FOREIGN TABLE velt.small (id text, type text) SERVER velt
		OPTIONS (resource 'api_keys', page_size '7')",
	  "CREATE FOREIGN TABLE velt.few (id text) SERVER velt
		OPTIONS (resource 'api_keys', page_size '7', max_requests '2')",
	  "CREATE FOREIGN TABLE velt.wrong (id integer) SERVER velt
		OPTIONS (resource 'api_keys')",
	  "CREATE TABLE owned AS SELECT 'velt_api_key_' || lpad(n::text, 6, '0')
		AS api_key FROM generate_series(1, 40) n",
	  'ANALYZE owned';
	$session->close;
	return;
}

# ----------
# Statements
# ----------

sub try_statement
{
	my ($name, $sqlstate, $sql, $do, $endpoint) = @_;
	my @rule = $do ? { do => $do } : ();

	$rule[0]->{endpoint} = $endpoint if $endpoint;
	$api->faults(\@rule);
	my ($few, $few_failed) = bytes_left($sqlstate, $sql, $warm_up);
	my ($many, $many_failed) = bytes_left($sqlstate, $sql, $warm_up + $repetitions);
	$api->faults([]);

	is($few_failed + $many_failed, 0, "$name: the same outcome every time");
	note "$name: $few bytes, and after $repetitions more ", $many - $few;
	cmp_ok($many - $few, '<', $bytes_in_all + $repetitions * $bytes_each,
		"$name: nothing remains");
	return;
}

# What a session had at its end that ran the statement so often; and how often
# that came out otherwise.
sub bytes_left
{
	my ($sqlstate, $sql, $times) = @_;
	my $session = VeltClient->new($node);
	my $pid = $session->pid;
	my $odd = 0;

	for (1 .. $times)
	{
		$session->send($sql);
		my $result = $session->result;
		die "the connection was lost: $sql" if $result->{lost};
		$odd++ if ($result->{error} // { sqlstate => '' })->{sqlstate} ne $sqlstate;
	}
	$session->close;
	my $bytes;
	poll_until("valgrind's last words on $pid",
		sub { ($bytes) = slurp_file("$logs/$pid") =~ /in use at exit: ([0-9,]+) bytes/; });
	$bytes =~ tr/,//d;
	return ($bytes, $odd);
}

# ----------
# What valgrind saw
# ----------

# Records that have a function of ours on the stack.  The server itself, built
# without valgrind in mind, has some of its own.
sub look_at_errors
{
	my %seen;

	for my $file (glob "$logs/*")
	{
		my $text = slurp_file($file);

		$text =~ s/^==[0-9]+== ?//mg;
		for my $record (split /\n\s*\n/, $text)
		{
			next unless $record =~ /^ +(?:at|by) 0x/m;
			next unless $record =~ /velt_fdw\.so|: velt[_A-Z]/;
			$record =~ s/0x[0-9A-F]+/0x/g;
			$record =~ s/[0-9,]+ (?:\([^)]*\) )?(?:bytes|blocks)|record [0-9,]+ of [0-9,]+/N/g;
			$seen{$record}++;
		}
	}
	is(scalar keys %seen, 0, 'no error, and nothing lost')
	  or diag(join "\n\n", map { "$seen{$_} times:\n$_" } sort keys %seen);
	return;
}
