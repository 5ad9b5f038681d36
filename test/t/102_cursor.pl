
# Scans that are read in parts, with pauses, or more than once: they cost what
# they have to, and have the rows that they should.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time);

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltFaults;
use VeltTest;

my $keys = 500;

my $api = VeltSimulator->new(
	config => {
		workspaces => { $workspace => { keys => $keys, tokens_per_key => 1 } }
	});
my $node = start_node(conf => 'max_connections = 40');
my $admin = VeltClient->new($node);
add_server($admin, 'velt', options => { api_url => $api->url });

sub ids_of { return join ' ', sort map { $_->[0] } @_; }
sub ids { return join ' ', map { key_id($_) } @_; }

# ----------
# A cursor that nobody fetches from: its time does not run
# ----------

{
	# More than both timeouts, and more than a machine under load needs for
	# what is to be done within them.
	my $idle_s = 2.5;
	my %timeouts = (request_timeout => '1s', retry_timeout => '1s');

	add_server($admin, 'brief',
		options => { api_url => $api->url, page_size => 10, %timeouts });
	# its answers take more time than it is driven for
	my $slow = VeltSimulator->new(
		config => {
			workspaces => { $workspace => { keys => 20, tokens_per_key => 1 } }
		});
	for my $schema (qw(slow again))
	{
		add_server($admin, $schema,
			options => { api_url => $slow->url, %timeouts });
	}
	my $append = 'SELECT api_key FROM slow.auth_tokens WHERE api_key IN (%s)
		UNION ALL SELECT api_key FROM again.auth_tokens WHERE api_key IN (%s)';

	# what the answers about keys 2, 3, ... are, while the first is fetched
	my @cases = (
		{
			name => 'pages',
			query => 'SELECT id FROM brief.api_keys',
			fetch => 25,
			all => [ 1 .. $keys ]
		},
		{
			name => 'an answer that comes meanwhile',
			keys => [ 1, 2 ],
			do => { stall => 'in_body', for_ms => 700 }
		},
		{
			name => 'an answer that comes afterwards',
			keys => [ 3, 4 ],
			do => { stall => 'before_headers', for_ms => 1000 * $idle_s + 300 }
		},
		{
			name => 'a connection that is reset meanwhile',
			keys => [ 5, 6 ],
			do => { latency_ms => 700, reset => 'before_headers' },
			again => 1
		},
		{
			name => 'an answer that is cut off meanwhile',
			keys => [ 7, 8 ],
			do => { latency_ms => 700, truncate => 20 },
			again => 1
		},
		{
			# the last wait before the pause is for both, and ended by the other
			name => 'an Append, and a connection that is reset meanwhile',
			keys => [ 10, 10 ],
			more => [ 11, 12 ],
			all => [ 10 .. 12 ],
			do => { latency_ms => 700, reset => 'before_headers' },
			again => 1
		});

	$slow->faults(
		[
			map {
				{
					endpoint => 'authtokens/get',
					key => key_id($_->{keys}->[1]),
					times => 1,
					do => $_->{do}
				}
			} grep { $_->{do} } @cases,
			{ keys => [ 11, 11 ], do => { latency_ms => 50 } },
			{ keys => [ 12, 12 ], do => { latency_ms => 50 } }
		]);
	for my $case (@cases)
	{
		my $list = key_list(@{ $case->{keys} // [] });

		$case->{all} //= [ @{ $case->{keys} }, @{ $case->{more} // [] } ];
		$case->{query} //=
		  $case->{more}
		  ? sprintf($append, $list, key_list(@{ $case->{more} }))
		  : "SELECT api_key FROM slow.auth_tokens WHERE api_key IN ($list)";
		# all but the row that is missing
		$case->{fetch} //= @{ $case->{all} } - 1;
		$case->{session} = VeltClient->new($node);
		$case->{session}->query('BEGIN');
		$case->{session}->query("DECLARE c CURSOR FOR $case->{query}");
		$case->{rows} =
		  [ $case->{session}->query("FETCH $case->{fetch} FROM c") ];
		is(scalar @{ $case->{rows} }, $case->{fetch}, "$case->{name}: begun");
	}
	my $pids = join ', ', map { $_->{session}->pid } @cases;
	poll_until(
		'the cursors have been idle',
		sub {
			return 't' eq $admin->value(
				"SELECT bool_and(state = 'idle in transaction' AND
					clock_timestamp() - state_change > interval '${idle_s}s')
				   FROM pg_stat_activity WHERE pid IN ($pids)");
		});
	for my $case (@cases)
	{
		$case->{resumed} = time;
		$case->{session}->send('FETCH ALL FROM c');
	}
	my @results = answers(map { $_->{session} } @cases);
	for my $case (@cases)
	{
		my $result = shift @results;

		is(($result->{error} // { text => '' })->{text},
			'', "$case->{name}: no error after a pause");
		is(ids_of(@{ $case->{rows} }, @{ $result->{rows} }),
			ids(@{ $case->{all} }), "$case->{name}: the exact rows");
		# a second of backoff would be the penalty of what was not its fault
		cmp_ok($result->{answered} - $case->{resumed},
			'<', 1, "$case->{name}: which it has not to wait for")
		  if $case->{again};
		$case->{session}->close;
	}
	my %asked = asked($slow);
	for my $case (grep { $_->{keys} } @cases)
	{
		is( $asked{ key_id($case->{keys}->[1]) },
			$case->{again} ? 2 : 1,
			"$case->{name}: requests");
	}
	is($api->stats('requests.total'), 50, 'and a request a page');
}

my $session = VeltClient->new($node);

# ----------
# Rescans
# ----------

# A nested loop that runs its inner side as often as it has to.
$session->query("SET $_ = off")
  for qw(enable_material enable_memoize enable_hashjoin enable_mergejoin);

sub rescan
{
	my ($loops, $table) = @_;

	return "SELECT n, k.id FROM generate_series(1, $loops) n
		LEFT JOIN $table k ON length(k.id) > n";
}

{
	my $plan = plan_of($session, rescan(4, 'velt.api_keys'));
	is($plan->{'Node Type'}, 'Nested Loop', 'a plan with rescans');
	is($plan->{Plans}->[1]->{'Node Type'}, 'Foreign Scan', 'of a foreign scan');

	$api->reset;
	my @rows = $session->query(rescan(4, 'velt.api_keys'));
	is(scalar @rows, 4 * $keys, 'a rescan has all rows again');
	for my $n (1 .. 4)
	{
		is(ids_of(map { [ $_->[1] ] } grep { $_->[0] == $n } @rows),
			ids(1 .. $keys), "loop $n has the exact rows");
	}
	is($api->stats('requests.total'), 5, 'which are asked for once');

	$api->reset;
	@rows = $session->query(rescan(4, 'velt.auth_tokens')
		  =~ s/k\.id/k.api_key/gr);
	is(scalar @rows, 4 * $keys, 'so has one of a fan-out');
	is($api->stats('requests.authtokens/get'), $keys, 'with a request a key');

	# only begun, then begun anew
	$api->reset;
	is($session->value('SELECT count(*) FROM generate_series(1, 5) n
			WHERE EXISTS (SELECT FROM velt.api_keys k WHERE length(k.id) > n)'),
		5, 'a scan that is left after its first row, and rescanned');
	cmp_ok($api->stats('requests.total'), '<=', 5, 'begins with no more pages');
	is_deeply(
		[
			map { $_->[1] } $session->query(
				'SELECT n, count(l.id) FROM generate_series(1, 5) n,
					LATERAL (SELECT k.id FROM velt.api_keys k
					  OFFSET 0 LIMIT n * 70) l GROUP BY n ORDER BY n')
		],
		[ map { $_ * 70 } 1 .. 5 ],
		'a scan of which each loop wants more');
}

# A scan that has to begin anew: it is told of another key.
{
	my $lateral = 'SELECT v.n, l.api_key FROM (VALUES %s) v (n, id),
		LATERAL (SELECT t.api_key FROM velt.auth_tokens t
		  WHERE t.api_key = v.id OFFSET 0) l';
	my @wanted = (7, 3, 9, 3, 100);
	my $n = 0;
	my $values = join ', ',
	  map { sprintf q{(%d, '%s')}, ++$n, key_id($_) } @wanted;

	$api->reset;
	my @rows = $session->query(sprintf $lateral, $values);
	my %asked = asked($api);
	is( join(' ', map { $_->[1] } sort { $a->[0] <=> $b->[0] } @rows),
		ids(@wanted), 'a changed parameter has its own rows');
	is(join(' ', sort keys %asked), ids(3, 7, 9, 100), 'which are asked for');
	cmp_ok($api->stats('requests.total'), '<=', 5, 'once a loop at the most');

	# both: replayed in the inner loop, anew in the outer one
	$api->reset;
	@rows = $session->query(
		"SELECT v.n, m, l.api_key FROM (VALUES $values) v (n, id),
			LATERAL (SELECT m, t.api_key FROM generate_series(1, 3) m
			  LEFT JOIN velt.auth_tokens t
			    ON t.api_key = v.id AND length(t.api_key) > m OFFSET 0) l");
	is( join(' ', map { $_->[2] }
			sort { $a->[0] <=> $b->[0] || $a->[1] <=> $b->[1] } @rows),
		ids(map { ($_) x 3 } @wanted),
		'and keeps them as long as it does not change');
	cmp_ok($api->stats('requests.total'), '<=', 5, 'at no further cost');
}

# More than work_mem.
{
	$api->config({ workspaces => { $workspace => { keys => 3000 } } });
	$session->query('SET work_mem = 64');
	$api->reset;
	my $plan = plan_of($session, rescan(3, 'velt.api_keys'), 'ANALYZE, BUFFERS');
	my ($scan) = scans($plan);
	cmp_ok($scan->{'Temp Written Blocks'}, '>', 0, 'rows go to a file');
	is($scan->{'Actual Loops'}, 3, 'that is read again');
	is($scan->{'Velt Requests'}, 30, 'and not asked for again');
	is($api->stats('requests.total'), 30, 'indeed');
	is_deeply(
		[
			$session->query(
				'SELECT n, count(id), count(DISTINCT id), min(id), max(id) FROM ('
				  . rescan(3, 'velt.api_keys') . ') r GROUP BY n ORDER BY n')
		],
		[ map { [ $_, 3000, 3000, key_id(1), key_id(3000) ] } 1 .. 3 ],
		'with the exact rows');
	$session->query('RESET work_mem');
	$api->config({ workspaces => { $workspace => { keys => $keys } } });
}

# There and back.
{
	$session->query('BEGIN');
	$session->query('DECLARE c SCROLL CURSOR FOR SELECT id FROM velt.api_keys');
	$api->reset;
	my @first = $session->query('FETCH 150 FROM c');
	my $requests = $api->stats('requests.total');
	my @back = $session->query('FETCH BACKWARD 149 FROM c');
	is(ids_of(@back), ids(1 .. 149), 'a cursor goes back');
	is($api->stats('requests.total'), $requests, 'at no cost');
	$session->query('MOVE ABSOLUTE 0 IN c');
	is(ids_of($session->query('FETCH ALL FROM c')),
		ids(1 .. $keys), 'and starts over');
	is($api->stats('requests.total'), 5, 'with a request a page in all');
	$session->query('COMMIT');
}
$session->query('RESET ALL');

# ----------
# No more than is wanted
# ----------

{
	$api->reset;
	is(scalar $session->query('SELECT id FROM velt.api_keys LIMIT 5'),
		5, 'a limit within the first page');
	is($api->stats('requests.total'), 1, 'takes one request');
	is($api->stats('page_sizes.0'), 5, 'of a page of its own size');
	$api->reset;
	is( scalar $session->query(
			"SELECT id FROM velt.api_keys WHERE type <> 'none' LIMIT 5"),
		5,
		'also where rows are left out');
	is($api->stats('requests.total'), 1, 'it takes one');
	$api->reset;
	is(scalar $session->query('SELECT id FROM velt.api_keys LIMIT 0'),
		0, 'LIMIT 0');
	is($api->stats('requests.total'), 0, 'takes none');

	$session->query('BEGIN');
	$session->query('DECLARE c CURSOR FOR SELECT id FROM velt.api_keys');
	is($api->stats('requests.total'), 0, 'a cursor asks for nothing');
	$session->query('FETCH 5 FROM c');
	$session->query('FETCH 95 FROM c');
	is($api->stats('requests.total'), 1, 'before a row is fetched');
	$session->query('FETCH 1 FROM c');
	wait_until_idle($api);
	cmp_ok($api->stats('requests.total'),
		'<=', 3, 'and is one page ahead at the most');
	$session->query('FETCH 98 FROM c');
	wait_until_idle($api);
	cmp_ok($api->stats('requests.total'),
		'<=', 3, 'which is not used up as long as rows are left');
	$session->query('CLOSE c');
	$session->query('COMMIT');
}

# ----------
# Fan-outs
# ----------

{
	add_server($admin, 'wide',
		options => { api_url => $api->url, max_concurrency => 32 });
	$api->reset;
	$api->faults(
		[ { key => key_id(5), do => { stall => 'before_headers' } } ]);
	$session->query('BEGIN');
	$session->query(
		'DECLARE c CURSOR FOR ' . tokens_of('wide', 1 .. 100));
	my @rows = $session->query('FETCH 99 FROM c');
	is(ids_of(@rows), ids(1 .. 4, 6 .. 100),
		'one of 32 that stalls holds up none of the other rows');
	is($api->stats('in_flight'), 1, 'and stalls');
	is($api->stats('requests.total'), 100, 'a request a key');
	cmp_ok($api->stats('max_in_flight'), '<=', 32, 'as many at a time as may be');
	$session->query('ROLLBACK');
	wait_until_idle($api);
	is($api->stats('aborted'), 1, 'it ends with the cursor');
	$api->faults([]);
}

{
	$session->query('BEGIN');
	$session->query(
		'DECLARE c CURSOR FOR SELECT api_key FROM velt.auth_tokens');
	$api->reset;
	my @rows = $session->query('FETCH 1 FROM c');
	wait_until_idle($api);
	# the page that the first row came with makes room for another one
	my $listed = $api->stats('requests.apikeys/get');
	cmp_ok($api->stats('requests.authtokens/get'),
		'<=', 9, 'a fan-out of 500 keys is asked for as it is consumed');
	cmp_ok($listed, '<=', 2, 'and so is its list of keys');
	push @rows, $session->query('FETCH 20 FROM c');
	wait_until_idle($api);
	cmp_ok($api->stats('requests.authtokens/get'), '<=', 29, 'step by step');
	push @rows, $session->query('FETCH ALL FROM c');
	$session->query('COMMIT');
	is(ids_of(@rows), ids(1 .. $keys), 'to the last row');
	is($api->stats('requests.authtokens/get'), $keys, 'with a request a key');
	is($api->stats('requests.apikeys/get'), 5, 'and five for the list');
	cmp_ok($api->stats('max_in_flight'), '<=', 8, 'eight at a time');
}

# ----------
# An API that takes fewer keys in a request
# ----------

{
	my $query =
	  'SELECT id FROM velt.api_keys WHERE id IN (' . key_list(1 .. 240) . ')';
	my $changes = sub {
		my ($result) = @_;

		return map { $_->{message} =~ /now has at most (\d+) keys$/ ? $1 : () }
		  @{ $result->{notices} };
	};

	$api->config({ modes => { filter_cap => 10 }, latency_ms => 20 });
	$api->reset;
	$session->query('SET client_min_messages = debug1');
	$session->send($query);
	my $result = $session->result;
	is(ids_of(@{ $result->{rows} }), ids(1 .. 240),
		'keys by id, of which the API takes fewer at a time');
	is(join(' ', $changes->($result)), '15 8', 'each change of the size is a line');
	# all eight of 30, and one of 15, before there is a size that works
	is($api->stats('requests.total'), 8 + 1 + 32, 'few requests are refused');
	is($api->stats('bad_requests'), 9, 'which are those');
	is($api->stats('max_in_flight'), 8, 'others are under way together');

	$api->reset;
	$session->send($query);
	$result = $session->result;
	is(ids_of(@{ $result->{rows} }), ids(1 .. 240), 'and the same later');
	is(join(' ', $changes->($result)), '', 'without a change');
	is($api->stats('requests.total'), 30, 'costs what it has to');
	is($api->stats('bad_requests'), 0, 'and no more');
	$session->query('RESET client_min_messages');
	$api->config({ modes => undef, latency_ms => 0 });
}

$_->close for $admin, $session;
done_testing();
