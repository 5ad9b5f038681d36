
# Neither credentials nor values of secret columns are in a message, a log
# line, a plan, a wait event or a statistic.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use VeltTest;

# What looks different as JSON and in a URL.
my $id = 'ws/"space"\id%41+&<1>';
my $secret = 'T0p/"secret"\token%41+=&<2>~ab{c}d';
my $wrong = 'Wr0ng/"one"\else%42-=*<3>~gh[i]j';

# As much of a secret as nobody should see in a row.
my $window = 8;

# The last bytes that fit into a message of remote text are around here.
my $message_bytes = 500;

my $node = start_node();
my $api = VeltSimulator->new(
	config => {
		workspaces => {
			$id => {
				token => $secret,
				keys => 3,
				tokens_per_key => 2,
				name => "about $secret"
			}
		},
		modes => { echo_secrets => JSON::PP::true }
	});

my $admin = VeltClient->new($node);
my %server = (options => { api_url => $api->url });
add_server($admin, 'velt', %server,
	mapping => { workspace_id => $id, auth_token => $secret });
add_server($admin, 'wrong', %server,
	mapping => { workspace_id => $id, auth_token => $wrong });

# From here on no statement has a secret in it, and everything is logged.
my $log_start = -s $node->logfile;
my $session = VeltClient->new($node);
$session->query("SET $_")
  for 'log_statement = none', 'log_min_messages = debug5',
  'client_min_messages = debug5', 'log_error_verbosity = verbose',
  'log_min_duration_statement = 0', 'debug_print_parse = on',
  'debug_print_rewritten = on', 'debug_print_plan = on';

my @key_tokens =
  map { $_->[0] } $session->query('SELECT token FROM velt.auth_tokens');
is(scalar @key_tokens, 6, 'the tokens of the API keys are rows');
is($session->value('SELECT auth_token FROM velt.workspaces'),
	$secret, 'so is the token of the workspace');

# ----------
# Seeing a secret, however it is spelled
# ----------

# Without escapes, whatever number of them was put on another.
sub unescaped
{
	my ($text) = @_;

	for (1 .. 4)
	{
		$text =~ s/\\+u00([0-9a-f]{2})/chr hex $1/gie;
		$text =~ s/%([0-9a-f]{2})/chr hex $1/gie;
		$text =~ s{\\+(["\\/])}{$1}g;
	}
	return $text;
}

# As a plan's constants are printed.
sub as_numbers { return join ' ', map { ord } split //, $_[0]; }

# A part of the secret that is in the text, or ''.
sub part_shown
{
	my ($text, $whole) = @_;
	my @texts = ($text, unescaped($text));

	for my $spelled ($whole, unescaped($whole))
	{
		for my $start (0 .. length($spelled) - $window)
		{
			my $part = substr($spelled, $start, $window);

			for my $where (@texts)
			{
				return $part if index($where, $part) >= 0;
			}
			return $part if index($text, as_numbers($part)) >= 0;
		}
	}
	return '';
}

sub shows_nothing
{
	my ($text, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @parts = grep { length }
	  map { part_shown($text, $_) } $id, $secret, $wrong, @key_tokens;

	is("@parts", '', $name) or diag(substr $text, 0, 500);
	return;
}

# The test itself: it sees what it looks for.
isnt(part_shown($_, $secret), '', 'a secret is seen')
  for "a $secret", encode_json([$secret]), '%74oken%2541%2b=', 'T0p\/\"sec',
  '\u0054\u0030p/\u0022sec', as_numbers($secret);
is(part_shown('"token": "T0p', $secret), '', 'where there is one');

# The query fails so, and all that is said of it shows nothing.
sub fails_discreetly
{
	my ($sql, $sqlstate, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$session->send($sql);
	my $result = $session->result;
	my $error = $result->{error} // { sqlstate => 'none', text => '' };
	is($error->{sqlstate}, $sqlstate, "$name fails") or diag($error->{text});
	shows_nothing(
		join("\n", map { $_->{text} } $error, @{ $result->{notices} }),
		"$name shows nothing");
	return $error;
}

# ----------
# What a server replies
# ----------

my $error = fails_discreetly('SELECT * FROM wrong.api_keys',
	'42501', 'an echo of the credentials');
like($error->{detail}, qr/<auth_token>/, 'it says what it leaves out');
like($error->{detail}, qr/<workspace_id>/, 'and what else');
fails_discreetly('SELECT * FROM wrong.workspaces', '28000', 'another echo');
fails_discreetly('SELECT * FROM wrong.auth_tokens',
	'42501', 'an echo to a fan-out');

my $envelope = { error => { status => 'INVALID_ARGUMENT' } };
my %replies = (
	'an unknown status' => [ { json => { error => { status => $secret } } } ],
	'an error with details' => [
		{
			error => 'INTERNAL',
			message => $secret,
			details => [ { reason => $secret } ]
		},
		'08006'
	],
	'a page that is no API reply' =>
	  [ { status => 500, body => "<h1>$secret</h1>" }, '08006' ],
	'a page that is not found' =>
	  [ { status => 404, body => "<h1>$secret</h1>" }, '42704' ],
	'a request id' => [
		{
			error => 'INTERNAL',
			details => 'final',
			headers => { 'x-request-id' => $secret }
		},
		'08006'
	],
	'a redirection' => [
		{ status => 302, headers => { location => "https://x/$secret" } },
		'08P01'
	],
	'bad JSON' => [ { status => 200, body => "{\"result\": $secret" } ],
	'a string with a raw line feed' =>
	  [ { status => 200, body => qq({"result": "$secret\n"}) } ],
	'a bad result.status' => [ { edit => [ [ '/result/status', $secret ] ] } ],
	'a member of the wrong type' =>
	  [ { edit => [ [ '/result/data', $secret ] ] } ],
	'an object of the wrong type' =>
	  [ { edit => [ [ '/result', $secret ] ] } ],
	'a page token of the wrong type' =>
	  [ { edit => [ [ '/result/nextPageToken', [$secret] ] ] } ],
	'rows of the wrong type' =>
	  [ { edit => [ [ '/result/data/0', $secret ] ] } ],
	'a broken header' => [ { headers => { 'content-encoding' => $secret } } ]);
for my $name (sort keys %replies)
{
	my ($do, $sqlstate) = @{ $replies{$name} };

	$do->{status} //= 400 if $do->{json};
	$sqlstate //= $do->{json} ? '22023' : '08P01';
	$api->faults([ { do => $do } ]);
	fails_discreetly('SELECT * FROM velt.api_keys', $sqlstate, $name);
}

# A secret on the edge of what is shown is not shown in part.
for my $before (map { $message_bytes - $_ } 1, 10, 20, length $secret, 64)
{
	$api->faults(
		[
			{
				do => {
					error => 'INVALID_ARGUMENT',
					message => ('x' x $before) . $secret
				}
			}
		]);
	fails_discreetly('SELECT * FROM velt.api_keys',
		'22023', "a message with a secret behind $before bytes");
}

# The other key's tokens are secrets of the reply's own.
$api->faults(
	[
		{
			endpoint => 'authtokens/get',
			do => { edit => [ [ '/result/data/apiKey', $secret ] ] }
		}
	]);
fails_discreetly('SELECT * FROM velt.auth_tokens',
	'08P01', 'tokens of another key than asked for');
$api->faults([]);

# ----------
# Values that do not convert
# ----------

$session->query('CREATE SCHEMA hand');
$session->query("CREATE TYPE hand.color AS ENUM ('red')");
$session->query(
	"CREATE DOMAIN hand.short AS text CHECK (length(VALUE) < 4)");
$session->query('CREATE TYPE hand.pair AS (a int, b int)');

# A table with one column, which cannot take what it is given.
my $tables = 0;

sub refuses
{
	my ($resource, $column, $sqlstate, $name) = @_;
	my $table = 'hand.t' . ++$tables;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$session->query("CREATE FOREIGN TABLE $table ($column)
		SERVER velt OPTIONS (resource '$resource')");
	return fails_discreetly("SELECT * FROM $table", $sqlstate,
		"$name: $resource ($column)");
}

refuses('auth_tokens', "token $_->[0]", $_->[1], 'a secret column')
  for [ 'int', '22P02' ], [ 'date', '22007' ], [ 'hand.color', '22P02' ],
  [ 'hand.short', '23514' ], [ 'varchar(5)', '22001' ],
  [ 'hand.pair', '22P02' ], [ 'inet', '22P02' ], [ 'int[]', '22P02' ];
refuses('workspaces', "auth_token $_->[0]", $_->[1], 'a secret column')
  for [ 'int', '22P02' ], [ 'timestamptz', '22007' ], [ 'uuid', '22P02' ],
  [ 'hand.color', '22P02' ], [ 'bytea', '22P02' ];
refuses(@$_, '22P02', 'a secret by its pointer')
  for [ 'workspaces', "x int OPTIONS (json_pointer '/authToken')" ],
  [ 'workspaces', "x int OPTIONS (json_pointer '')" ],
  [ 'auth_tokens', "x int OPTIONS (json_pointer '')" ],
  [ 'auth_tokens', "x int OPTIONS (json_pointer '/token')" ],
  [ 'auth_tokens', "x hand.color OPTIONS (column_name 'token')" ],
  [ 'workspaces', "x int[] OPTIONS (json_pointer '')" ];
refuses('workspaces', "$_->[0]", '22P02', 'a column with the token in it')
  for ['name int'], ['name hand.color'];

# Errors of other classes, whose text is of the type's own making.
$session->query(q{CREATE FUNCTION hand.refuse(value text, code text)
	RETURNS bool LANGUAGE plpgsql AS $$
	BEGIN
		RAISE EXCEPTION 'no %', value
		USING ERRCODE = code, DETAIL = value, HINT = 'Not ' || value;
	END $$});
for my $sqlstate (qw(P0001 53200 54000 XX000 42501))
{
	my $domain = "hand.refuses_\L$sqlstate";
	my $error;

	$session->query("CREATE DOMAIN $domain AS text
		CHECK (hand.refuse(VALUE, '$sqlstate'))");
	for my $secret_column ([ 'auth_tokens', 'token' ],
		[ 'workspaces', 'auth_token' ], [ 'workspaces', 'name' ])
	{
		my ($resource, $column) = @$secret_column;

		$error = refuses($resource, "$column $domain", $sqlstate,
			'a secret in an error of another class');
		is($error->{message}, 'could not convert value', 'its message');
		unlike($error->{text}, qr/^no |^Not /m, 'and nothing of the text');
	}
	$error = refuses('api_keys', "id $domain", $sqlstate,
		'an ordinary value in such an error');
	like($error->{message}, qr/^no velt_api_key_/, 'which stays as it was');
	like($error->{context}, qr/column "id"/, 'but for its context');
}

# The token within other values, in every spelling that is undone somewhere.
my $percent = join '', map { sprintf '%%%02x', ord } split //, $secret;
for my $value ($secret, "$secret and more", encode_json([$secret]), $percent)
{
	$api->faults(
		[
			{
				endpoint => 'apikeys/get',
				do => { edit => [ [ '/result/data/0/apiKeyName', $value ] ] }
			},
			{
				endpoint => 'authtokens/get',
				do => {
					edit =>
					  [ [ '/result/data/authTokens/0/domains', [$value] ] ]
				}
			}
		]);
	refuses('api_keys', 'api_key_name int',
		'22P02', 'a value with the token in it');
	refuses('auth_tokens', 'domains int[]',
		'22P02', 'an element with the token in it');
}

# The key of a row is named in a message.
$api->faults(
	[
		{
			do => {
				edit => [
					[ '/result/data/0/id', $secret ],
					[ '/result/data/0/apiKeyName', 'ordinary' ]
				]
			}
		}
	]);
$error = refuses('api_keys', 'id text, api_key_name int',
	'22P02', 'a row with the token as its key');
like($error->{text}, qr/ordinary/, 'a value that is no secret is shown');
$api->faults([]);

# A database that lacks a character of a secret.
$session->query("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C'
	TEMPLATE template0");
{
	my $outer = $session;

	$session = VeltClient->new($node, dbname => 'latin');
	$session->query('CREATE EXTENSION velt_fdw');
	# the mapping's text is not to be in the log
	my $quiet = VeltClient->new($node, dbname => 'latin');
	$quiet->query("SET $_")
	  for 'log_statement = none', 'log_min_messages = fatal';
	add_server($quiet, 'velt', %server,
		mapping => { workspace_id => $id, auth_token => $secret });
	$quiet->close;
	$session->query("SET $_")
	  for 'log_statement = none', 'log_min_messages = debug5',
	  'client_min_messages = debug5';
	$api->faults(
		[
			{
				do => {
					edit => [
						[ '/result/data/authToken', "$secret \x{20ac}" ]
					]
				}
			}
		]);
	$error = fails_discreetly('SELECT auth_token FROM velt.workspaces',
		'22P05', 'a secret with a character that the database lacks');
	unlike($error->{text}, qr/0xe2/, 'not even that one is shown');
	$api->faults([]);
	$session->close;
	$session = $outer;
}

# ----------
# Plans
# ----------

for my $format (qw(text json xml yaml))
{
	for my $table (qw(workspaces api_keys auth_tokens))
	{
		my $plan = join "\n", map { $_->[0] } $session->query(
			"EXPLAIN (ANALYZE, VERBOSE, SETTINGS, BUFFERS, FORMAT $format)
			 SELECT * FROM velt.$table");

		like($plan, qr/Velt.Requests/, "EXPLAIN of $table as $format");
		shows_nothing($plan, 'shows nothing');
	}
}
shows_nothing(
	join("\n",
		map { $_->[0] } $session->query(
			"EXPLAIN (ANALYZE, VERBOSE) SELECT a.token
			   FROM velt.api_keys k JOIN velt.auth_tokens a ON a.api_key = k.id
			  WHERE a.workspace_id = (SELECT id FROM velt.workspaces)")),
	'EXPLAIN of a join shows nothing');

# ----------
# Views of the server
# ----------

$session->query('SET client_min_messages = warning');
$api->faults([ { do => { stall => 'in_body' } } ]);
$session->send('SELECT * FROM velt.workspaces');
wait_until_waiting($admin, $session);
$api->wait_for('in_flight', 1);
my $activity = $admin->value(
	'SELECT a::text FROM pg_stat_activity a WHERE pid = ' . $session->pid);
like($activity, qr/velt\.workspaces/, 'a waiting session is seen');
shows_nothing($activity, 'but not its secrets');
$admin->query('SELECT pg_cancel_backend(' . $session->pid . ')');
is($session->result->{error}->{sqlstate}, '57014', 'it was cancelled');
$api->faults([]);

$session->query("CREATE FOREIGN TABLE hand.everything
	(api_key text, token text, everything jsonb OPTIONS (json_pointer ''))
	SERVER velt OPTIONS (resource 'auth_tokens')");
$session->query('ANALYZE velt.workspaces, velt.auth_tokens, hand.everything');
my $statistics = join "\n",
  map { join ' ', map { $_ // '' } @$_ }
  $session->query('SELECT s::text FROM pg_stats s
	WHERE schemaname IN (\'velt\', \'hand\')');
shows_nothing($statistics, 'statistics show nothing');
my $rows = $session->query("SELECT 1 FROM pg_stats
	WHERE schemaname = 'velt' AND tablename = 'auth_tokens'
	  AND attname = 'token' AND n_distinct = -1 AND null_frac = 0
	  AND avg_width BETWEEN 32 AND 36");
is($rows, 1, 'but there are some, of secret columns too');

for my $call (
	"velt_fdw_check('velt')", "velt_fdw_check('wrong')",
	'velt_fdw_get_connections()')
{
	$session->send("SELECT f::text FROM $call AS f");
	my $result = $session->result;

	is(($result->{error} // { text => '' })->{text}, '', "$call works");
	# the workspace's id is what it is there to tell
	my $text = join "\n", map { $_->[0] } @{ $result->{rows} };
	is(join('', map { part_shown($text, $_) } $secret, $wrong),
		'', "$call shows no token");
}
$session->close;

# ----------
# The log
# ----------

my $log = slurp_file($node->logfile, $log_start);
for my $expected ('rewritten parse tree', 'could not fetch "api_keys"',
	'FOREIGNSCAN', 'CONTEXT:')
{
	like($log, qr/\Q$expected/, "the log is detailed: $expected");
}
my @lines = grep { part_shown($_, $secret) } split /^(?=[0-9-]{10} )/m, $log;
diag($_) for @lines;
shows_nothing($log, 'the log shows nothing');

# What is refused as an option is not shown either.
for my $option ("auth_token 'two words-$secret'",
	"workspace_id 'two words-$secret'")
{
	shows_nothing(
		$admin->error(
			"ALTER USER MAPPING FOR CURRENT_USER SERVER velt
			 OPTIONS (SET $option)")->{text},
		'a refused option is not shown');
}

$admin->close;
done_testing();
