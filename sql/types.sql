--
-- Values: from JSON to columns of any type, exactly or not at all.
--
\getenv url VELT_SIM_URL
-- what was asked of the API since the last time
\set requests '$VELT_SIM stats requests && $VELT_SIM reset'
SET client_min_messages = warning;
CREATE EXTENSION velt_fdw;
RESET client_min_messages;
CREATE SCHEMA velt_types;
SET search_path = velt_types;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
CREATE SERVER velt FOREIGN DATA WRAPPER velt_fdw
  OPTIONS (api_url :'url', retry_timeout '0');
CREATE USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (workspace_id 'workspace_demo',
           auth_token 'demo-token-0123456789abcdef');
IMPORT FOREIGN SCHEMA workspace FROM SERVER velt INTO velt_types;

-- The fault rule that answers with these rows, byte by byte.
CREATE FUNCTION reply(rows text) RETURNS text LANGUAGE sql AS $$
  SELECT json_build_array(json_build_object('do', json_build_object(
    'status', 200, 'body',
    '{"result": {"status": "success", "data": ' || rows || '}}')))::text
$$;

CREATE DOMAIN short_text AS varchar(5);
CREATE DOMAIN required AS text NOT NULL;
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN small_list AS int[] CHECK (cardinality(VALUE) < 4);
CREATE DOMAIN object AS jsonb CHECK (jsonb_typeof(VALUE) = 'object');
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE pair AS (a int, b text);

-- ----------
-- One row, read in many ways
-- ----------
SELECT reply($json$[{"id": "k1",
  "string": "text", "empty": "", "spaces": "  a  ", "null": null,
  "int": 42, "negative": -7, "fraction": 2.50, "exponent": 1.5e3,
  "big": 123456789012345678901234567890.000000000000000000001,
  "int64": 9223372036854775807, "beyond": 9223372036854775808,
  "huge": 1e400, "tiny": -0.0e-5, "digits": "0042",
  "true": true, "false": false, "yes": "yes",
  "time": "2026-06-01T12:34:56.789+02:00", "date": "2026-06-01",
  "uuid": "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
  "mood": "happy", "pair": "(1,\"x y\")", "bytes": "\\xdeadbeef",
  "interval": "1 day 02:00", "address": "192.168.0.1/24",
  "object": {"b": 1.0, "a": [1, {"c": "d"}], "b2": "\u00e9\u2026\ud83d\ude00"},
  "array": [ 1,2 , 3 ], "strings": ["a", null, "", "b,\"c\\", "NULL", "é"],
  "mixed": [1, "2", true, 1e2], "nested": [[1, 2], [3, 4]],
  "objects": [{"a": 1}, [], "s", null, 1.50], "nothing": [], "void": {},
  "a/b": {"m~n": [10, 20, {"": "deep"}]}, "": "no name", "0": "zero",
  "unicode": "\u0041\u00e9 é \u20ac € \ud83d\ude00 😀 \u202e",
  "escapes": "\"\\\/\b\f\n\r\t", "long": "0123456789"}]$json$) AS reply \gset
\set ok `$VELT_SIM faults :'reply'`

-- strings
CREATE FOREIGN TABLE texts (
  string text OPTIONS (json_pointer '/string'),
  empty text OPTIONS (json_pointer '/empty'),
  "null" text OPTIONS (json_pointer '/null'),
  missing text OPTIONS (json_pointer '/missing'),
  spaces text OPTIONS (json_pointer '/spaces'),
  "varchar" varchar OPTIONS (json_pointer '/string'),
  varchar4 varchar(4) OPTIONS (json_pointer '/string'),
  char6 char(6) OPTIONS (json_pointer '/string'),
  "char" "char" OPTIONS (json_pointer '/string'),
  name name OPTIONS (json_pointer '/string'),
  short short_text OPTIONS (json_pointer '/string'),
  required required OPTIONS (json_pointer '/string')
) SERVER velt OPTIONS (resource 'api_keys');
\pset null '<null>'
\x on
SELECT *, char6 || '.' AS char6_dot FROM texts;
\echo `:requests`

-- other scalars as text: their JSON text
CREATE FOREIGN TABLE scalars (
  int text OPTIONS (json_pointer '/int'),
  fraction varchar OPTIONS (json_pointer '/fraction'),
  exponent text OPTIONS (json_pointer '/exponent'),
  big text OPTIONS (json_pointer '/big'),
  huge text OPTIONS (json_pointer '/huge'),
  tiny text OPTIONS (json_pointer '/tiny'),
  "true" text OPTIONS (json_pointer '/true'),
  "false" text OPTIONS (json_pointer '/false'),
  object text OPTIONS (json_pointer '/object'),
  "array" text OPTIONS (json_pointer '/array'),
  void text OPTIONS (json_pointer '/void')
) SERVER velt OPTIONS (resource 'api_keys');
SELECT * FROM scalars;
\echo `:requests`

-- numbers and others
CREATE FOREIGN TABLE others (
  "int" int OPTIONS (json_pointer '/int'),
  negative smallint OPTIONS (json_pointer '/negative'),
  digits int OPTIONS (json_pointer '/digits'),
  int64 bigint OPTIONS (json_pointer '/int64'),
  beyond numeric OPTIONS (json_pointer '/beyond'),
  big numeric OPTIONS (json_pointer '/big'),
  rounded numeric(40,2) OPTIONS (json_pointer '/big'),
  fraction numeric OPTIONS (json_pointer '/fraction'),
  exponent float8 OPTIONS (json_pointer '/exponent'),
  exponent_numeric numeric OPTIONS (json_pointer '/exponent'),
  positive positive OPTIONS (json_pointer '/int'),
  positive_null positive OPTIONS (json_pointer '/null'),
  "true" bool OPTIONS (json_pointer '/true'),
  "false" bool OPTIONS (json_pointer '/false'),
  yes bool OPTIONS (json_pointer '/yes'),
  "time" timestamptz OPTIONS (json_pointer '/time'),
  "time3" timestamptz(1) OPTIONS (json_pointer '/time'),
  date date OPTIONS (json_pointer '/date'),
  uuid uuid OPTIONS (json_pointer '/uuid'),
  mood mood OPTIONS (json_pointer '/mood'),
  pair pair OPTIONS (json_pointer '/pair'),
  bytes bytea OPTIONS (json_pointer '/bytes'),
  "interval" interval OPTIONS (json_pointer '/interval'),
  address inet OPTIONS (json_pointer '/address')
) SERVER velt OPTIONS (resource 'api_keys');
SELECT * FROM others;
SELECT (pair).b, date + 1 AS tomorrow, big + 1 AS more, yes AND "false" AS no
  FROM others;
\echo `:requests`
CREATE FOREIGN TABLE huge (n numeric OPTIONS (json_pointer '/huge'))
  SERVER velt OPTIONS (resource 'api_keys');
SELECT n = 10::numeric ^ 400 AS exact, length(n::text) FROM huge;
\echo `:requests`

-- JSON keeps what it is
CREATE FOREIGN TABLE documents (
  object json OPTIONS (json_pointer '/object'),
  objectb jsonb OPTIONS (json_pointer '/object'),
  domain object OPTIONS (json_pointer '/object'),
  "array" json OPTIONS (json_pointer '/array'),
  string json OPTIONS (json_pointer '/string'),
  stringb jsonb OPTIONS (json_pointer '/string'),
  empty jsonb OPTIONS (json_pointer '/empty'),
  "null" jsonb OPTIONS (json_pointer '/null'),
  missing json OPTIONS (json_pointer '/missing'),
  big jsonb OPTIONS (json_pointer '/big'),
  fraction json OPTIONS (json_pointer '/fraction'),
  "true" jsonb OPTIONS (json_pointer '/true')
) SERVER velt OPTIONS (resource 'api_keys');
SELECT * FROM documents;
SELECT "null" IS NULL AS null_is_null, missing IS NULL AS missing_is_null,
       jsonb_typeof(big), objectb ->> 'b2' AS b2 FROM documents;
\echo `:requests`

-- arrays, element by element
CREATE FOREIGN TABLE arrays (
  "array" int[] OPTIONS (json_pointer '/array'),
  two int[][] OPTIONS (json_pointer '/array'),
  strings text[] OPTIONS (json_pointer '/strings'),
  varchars varchar(5)[] OPTIONS (json_pointer '/strings'),
  mixed text[] OPTIONS (json_pointer '/mixed'),
  objects jsonb[] OPTIONS (json_pointer '/objects'),
  objects_text text[] OPTIONS (json_pointer '/objects'),
  nested json[] OPTIONS (json_pointer '/nested'),
  nothing text[] OPTIONS (json_pointer '/nothing'),
  "null" int[] OPTIONS (json_pointer '/null'),
  missing text[] OPTIONS (json_pointer '/missing'),
  domain small_list OPTIONS (json_pointer '/array'),
  domains positive[] OPTIONS (json_pointer '/array'),
  as_json json OPTIONS (json_pointer '/strings')
) SERVER velt OPTIONS (resource 'api_keys');
SELECT * FROM arrays;
SELECT cardinality(strings), strings[2] IS NULL AS null_element,
       strings[3] = '' AS empty_element, array_ndims(nothing) FROM arrays;
\echo `:requests`

-- pointers
CREATE FOREIGN TABLE pointers (
  id text,
  key text OPTIONS (json_pointer '/id'),
  slash jsonb OPTIONS (json_pointer '/a~1b'),
  tilde int OPTIONS (json_pointer '/a~1b/m~0n/0'),
  second int OPTIONS (json_pointer '/a~1b/m~0n/1'),
  deep text OPTIONS (json_pointer '/a~1b/m~0n/2/'),
  behind text OPTIONS (json_pointer '/a~1b/m~0n/3'),
  dash text OPTIONS (json_pointer '/a~1b/m~0n/-'),
  leading_zero text OPTIONS (json_pointer '/a~1b/m~0n/01'),
  no_name text OPTIONS (json_pointer '/'),
  zero text OPTIONS (json_pointer '/0'),
  into_string text OPTIONS (json_pointer '/string/0'),
  into_null text OPTIONS (json_pointer '/null/a'),
  into_missing text OPTIONS (json_pointer '/missing/a/b'),
  "case" text OPTIONS (json_pointer '/STRING'),
  array_item int OPTIONS (json_pointer '/nested/1/0')
) SERVER velt OPTIONS (resource 'api_keys');
SELECT * FROM pointers;
\echo `:requests`
CREATE FOREIGN TABLE whole (doc jsonb OPTIONS (json_pointer ''))
  SERVER velt OPTIONS (resource 'api_keys');
SELECT doc ->> 'id' AS id, doc -> 'a/b' AS "a/b", doc -> 'null' AS "null",
       (SELECT count(*) FROM jsonb_object_keys(doc)) AS members FROM whole;
\echo `:requests`
\x off

-- characters
CREATE FOREIGN TABLE characters (
  unicode text OPTIONS (json_pointer '/unicode'),
  escapes text OPTIONS (json_pointer '/escapes'),
  unicode_varchar varchar(20) OPTIONS (json_pointer '/unicode'),
  unicode_json json OPTIONS (json_pointer '/unicode')
) SERVER velt OPTIONS (resource 'api_keys');
SELECT unicode = U&'A\00E9 \00E9 \20AC \20AC \+01F600 \+01F600 \202E' AS unicode,
       unicode = unicode_varchar AS same,
       unicode = unicode_json #>> '{}' AS same_in_json,
       escapes = E'"\\/\b\f\n\r\t' AS escapes, length(unicode) FROM characters;
\echo `:requests`

-- a resource's own columns may have other types, too
CREATE FOREIGN TABLE own (
  id varchar(2), api_key_name jsonb, type mood, workspace_id name,
  again jsonb OPTIONS (column_name 'workspace_id')
) SERVER velt OPTIONS (resource 'api_keys');
SELECT reply('[{"id": "k1", "apiKeyName": {"a": 1}, "type": "sad"}, {"id": "k2", "type": null}]') AS reply \gset
\set ok `$VELT_SIM faults :'reply'`
SELECT * FROM own;
\echo `:requests`
\! $VELT_SIM faults '[]'
CREATE FOREIGN TABLE own_tokens (
  api_key jsonb, domains jsonb, list text OPTIONS (column_name 'domains'),
  first text OPTIONS (json_pointer '/domains/0'), workspace_id varchar(20)
) SERVER velt OPTIONS (resource 'auth_tokens');
SELECT * FROM own_tokens WHERE list LIKE '%example-7.%';
\echo `:requests`
CREATE FOREIGN TABLE own_workspace (
  id text, email text OPTIONS (json_pointer '/owner/email'), owner jsonb
  OPTIONS (json_pointer '/owner'),
  first_key json OPTIONS (json_pointer '/apiKeyList/velt_api_key_000001')
) SERVER velt OPTIONS (resource 'workspaces');
SELECT * FROM own_workspace;
\echo `:requests`

-- more columns than bits in a machine's word
SELECT string_agg(format('c%s int OPTIONS (json_pointer ''/m/%s'')', n, n - 1),
                  ', ' ORDER BY n) AS columns FROM generate_series(1, 150) n \gset
CREATE FOREIGN TABLE wide (:columns) SERVER velt
  OPTIONS (resource 'api_keys');
SELECT reply(format('[{"id": "k1", "m": [%s]}]', string_agg(n::text, ',' ORDER BY n)))
    AS reply FROM generate_series(1, 150) n \gset
\set ok `$VELT_SIM faults :'reply'`
SELECT c1, c63, c64, c65, c128, c129, c150 FROM wide;
SELECT (SELECT sum(value::int) FROM jsonb_each_text(to_jsonb(w))) FROM wide w;
\echo `:requests`

-- ----------
-- What does not fit
-- ----------
\pset null ''
SELECT reply($json$[{"id": "good", "n": "1", "s": "short"},
  {"id": "bad", "n": "one", "s": "too long", "f": 1.5, "neg": -1,
   "big": 9223372036854775808, "huge": 1e400, "arr": [1, "two"], "obj": {},
   "list": [1,2,3,4], "date": "2026-02-30", "deep": [[1], [2, 3]]}]$json$)
    AS reply \gset
\set ok `$VELT_SIM faults :'reply'`
CREATE FOREIGN TABLE misfits (
  id text,
  n int OPTIONS (json_pointer '/n'),
  s varchar(5) OPTIONS (json_pointer '/s'),
  s5 char(5) OPTIONS (json_pointer '/s'),
  short short_text OPTIONS (json_pointer '/s'),
  f int OPTIONS (json_pointer '/f'),
  neg positive OPTIONS (json_pointer '/neg'),
  missing required OPTIONS (json_pointer '/missing'),
  big bigint OPTIONS (json_pointer '/big'),
  tiny smallint OPTIONS (json_pointer '/big'),
  huge float8 OPTIONS (json_pointer '/huge'),
  arr int[] OPTIONS (json_pointer '/arr'),
  obj int OPTIONS (json_pointer '/obj'),
  not_array text[] OPTIONS (json_pointer '/n'),
  list small_list OPTIONS (json_pointer '/list'),
  deep int[] OPTIONS (json_pointer '/deep'),
  mood mood OPTIONS (json_pointer '/s'),
  uuid uuid OPTIONS (json_pointer '/n'),
  date date OPTIONS (json_pointer '/date'),
  object object OPTIONS (json_pointer '/n'),
  short_items varchar(2)[] OPTIONS (json_pointer '/arr')
) SERVER velt OPTIONS (resource 'api_keys');
SELECT n FROM misfits;
\echo :SQLSTATE
-- a column that nobody asks for hurts nobody
SELECT id FROM misfits;
BEGIN;
DECLARE c CURSOR FOR SELECT n FROM misfits;
FETCH c;
ROLLBACK;
SELECT s FROM misfits;
\echo :SQLSTATE
SELECT s5 FROM misfits;
SELECT short FROM misfits;
SELECT f FROM misfits;
\echo :SQLSTATE
SELECT neg FROM misfits;
\echo :SQLSTATE
SELECT missing FROM misfits;
\echo :SQLSTATE
SELECT big FROM misfits;
\echo :SQLSTATE
SELECT tiny FROM misfits;
\echo :SQLSTATE
\set VERBOSITY sqlstate
SELECT huge FROM misfits;
\set VERBOSITY default
SELECT arr FROM misfits;
\echo :SQLSTATE
SELECT short_items FROM misfits;
\echo :SQLSTATE
SELECT obj FROM misfits;
SELECT not_array FROM misfits;
\echo :SQLSTATE
SELECT list FROM misfits;
\echo :SQLSTATE
SELECT deep FROM misfits;
SELECT mood FROM misfits;
SELECT uuid FROM misfits;
SELECT date FROM misfits;
\echo :SQLSTATE
SELECT object FROM misfits;
\echo :SQLSTATE
-- one request each, and every session is fit for the next
\echo `:requests`
-- in a condition, too, and in what is not shown
SELECT id FROM misfits WHERE n = 1;
SELECT count(n) FROM misfits;
SELECT * FROM misfits m ORDER BY m LIMIT 1;
\echo `:requests`

-- ----------
-- Text that no database holds
-- ----------
SELECT reply($json$[{"id": "nul", "v": "a\u0000b"}]$json$) AS reply \gset
\set ok `$VELT_SIM faults :'reply'`
CREATE FOREIGN TABLE odd (
  id text,
  v text OPTIONS (json_pointer '/v'),
  v20 varchar(20) OPTIONS (json_pointer '/v'),
  j json OPTIONS (json_pointer '/v'),
  jb jsonb OPTIONS (json_pointer '/v'),
  l text[] OPTIONS (json_pointer '/l'),
  b bytea OPTIONS (json_pointer '/v')
) SERVER velt OPTIONS (resource 'api_keys');
SELECT v FROM odd;
\echo :SQLSTATE
SELECT v20 FROM odd;
\echo :SQLSTATE
SELECT b FROM odd;
\set VERBOSITY sqlstate
SELECT jb FROM odd;
\set VERBOSITY default
-- json is text that nobody has looked into
SELECT id, j FROM odd;
\echo `:requests`
SELECT reply($json$[{"id": "high", "v": "a\ud83d", "l": ["a", "\ud83db"]}]$json$) AS reply \gset
\set ok `$VELT_SIM faults :'reply'`
SELECT v FROM odd;
\echo :SQLSTATE
SELECT l FROM odd;
\echo :SQLSTATE
\set VERBOSITY sqlstate
SELECT jb FROM odd;
\set VERBOSITY default
SELECT id FROM odd;
SELECT reply($json$[{"id": "low", "v": "\ude00\ud83d", "l": []}]$json$) AS reply \gset
\set ok `$VELT_SIM faults :'reply'`
SELECT v FROM odd;
\echo :SQLSTATE
SELECT reply($json$[{"id": "k\u0000", "v": "x"}, {"id": "\ud83d", "v": "y"}]$json$) AS reply \gset
\set ok `$VELT_SIM faults :'reply'`
SELECT v FROM odd;
SELECT id FROM odd;
\echo :SQLSTATE
\echo `:requests`
-- the row's key is as the API wrote it, and made safe
SELECT reply($json$[{"id": "k\u001b[31m\"\n", "v": "x"}]$json$) AS reply \gset
\set ok `$VELT_SIM faults :'reply'`
CREATE FOREIGN TABLE odd_int (v int OPTIONS (json_pointer '/v'))
  SERVER velt OPTIONS (resource 'api_keys');
SELECT v FROM odd_int;
SELECT reply(format('[{"id": "%s", "v": "x"}]', repeat('0123456789', 100))) AS reply \gset
\set ok `$VELT_SIM faults :'reply'`
\set VERBOSITY terse
SELECT v FROM odd_int;
\set VERBOSITY default
SELECT length(:'LAST_ERROR_MESSAGE') < 100 AS short;
SELECT reply('[{"v": "x"}, {"id": 5}]') AS reply \gset
\set ok `$VELT_SIM faults :'reply'`
SELECT v FROM odd_int;
SELECT id, v FROM odd;
\echo `:requests`

-- ----------
-- A member that is there twice
-- ----------
SELECT reply('[{"id": "k1", "n": 1, "other": {"x": 1, "x": 2}, "n": 2}]') AS reply \gset
\set ok `$VELT_SIM faults :'reply'`
CREATE FOREIGN TABLE twice (
  id text,
  n int OPTIONS (json_pointer '/n'),
  x int OPTIONS (json_pointer '/other/x'),
  other json OPTIONS (json_pointer '/other')
) SERVER velt OPTIONS (resource 'api_keys');
\set VERBOSITY sqlstate
SELECT n FROM twice;
SELECT x FROM twice;
-- which is nobody's business where it is not wanted
SELECT id, other FROM twice;
SELECT reply('[{"id": "k1", "\u0069d": "k2"}]') AS reply \gset
\set ok `$VELT_SIM faults :'reply'`
SELECT id FROM twice;
\set VERBOSITY default
\echo `:requests`

-- ----------
-- Secrets are in no message
-- ----------
\! $VELT_SIM faults '[]'
CREATE DOMAIN number_text AS text CHECK (VALUE::int > 0);
CREATE DOMAIN number_list AS text[] CHECK (VALUE[1]::int > 0);
CREATE FOREIGN TABLE secrets (api_key text, token int) SERVER velt
  OPTIONS (resource 'auth_tokens');
CREATE FOREIGN TABLE secrets_by_name (
  api_key text, t int OPTIONS (column_name 'token')
) SERVER velt OPTIONS (resource 'auth_tokens');
CREATE FOREIGN TABLE secrets_by_pointer (
  api_key text,
  t int OPTIONS (json_pointer '/token'),
  short short_text OPTIONS (json_pointer '/token'),
  number number_text OPTIONS (json_pointer '/token'),
  a int[] OPTIONS (json_pointer '/token'),
  list number_list OPTIONS (json_pointer '/token'),
  element int OPTIONS (json_pointer '/token/0')
) SERVER velt OPTIONS (resource 'auth_tokens');
CREATE FOREIGN TABLE secrets_in_all (
  api_key text,
  t int OPTIONS (json_pointer ''), b bool OPTIONS (json_pointer ''),
  a int[] OPTIONS (json_pointer ''), m mood OPTIONS (json_pointer ''),
  v varchar(3) OPTIONS (json_pointer ''), n text OPTIONS (column_name 'name')
) SERVER velt OPTIONS (resource 'auth_tokens');
CREATE FOREIGN TABLE workspace_secrets (
  auth_token int, everything uuid OPTIONS (json_pointer ''), id int
) SERVER velt OPTIONS (resource 'workspaces');
SELECT token FROM secrets WHERE api_key = 'velt_api_key_000003';
\echo :SQLSTATE
SELECT t FROM secrets_by_name WHERE api_key = 'velt_api_key_000003';
\echo :SQLSTATE
SELECT t FROM secrets_by_pointer WHERE api_key = 'velt_api_key_000003';
SELECT short FROM secrets_by_pointer WHERE api_key = 'velt_api_key_000003';
\echo :SQLSTATE
SELECT number FROM secrets_by_pointer WHERE api_key = 'velt_api_key_000003';
\echo :SQLSTATE
SELECT a FROM secrets_by_pointer WHERE api_key = 'velt_api_key_000003';
\echo `:requests`
SELECT t FROM secrets_in_all WHERE api_key = 'velt_api_key_000003';
SELECT b FROM secrets_in_all WHERE api_key = 'velt_api_key_000003';
SELECT a FROM secrets_in_all WHERE api_key = 'velt_api_key_000003';
SELECT m FROM secrets_in_all WHERE api_key = 'velt_api_key_000003';
SELECT v FROM secrets_in_all WHERE api_key = 'velt_api_key_000003';
\echo :SQLSTATE
SELECT n FROM secrets_in_all WHERE api_key = 'velt_api_key_000003';
\echo `:requests`
-- also if the API makes something else of it one day
\! $VELT_SIM faults '[{"endpoint": "authtokens/get", "do": {"edit": [["/result/data/authTokens/0/token", ["hush-hush"]]]}}]'
SELECT a FROM secrets_by_pointer WHERE api_key = 'velt_api_key_000003';
\echo :SQLSTATE
SELECT list FROM secrets_by_pointer WHERE api_key = 'velt_api_key_000003';
\echo :SQLSTATE
SELECT element FROM secrets_by_pointer WHERE api_key = 'velt_api_key_000003';
\! $VELT_SIM faults '[]'
\echo `:requests`
SELECT auth_token FROM workspace_secrets;
SELECT everything FROM workspace_secrets;
-- the workspace's id is part of the credentials
SELECT id FROM workspace_secrets;
\echo `:requests`
-- nor is the token where another member repeats it
\! $VELT_SIM faults '[{"do": {"edit": [["/result/data/0/id", "k demo-token-0123456789abcdef"], ["/result/data/0/apiKeyName", "<demo-token-0123456789abcdef>"]]}}]'
CREATE FOREIGN TABLE repeated (id text, api_key_name int)
  SERVER velt OPTIONS (resource 'api_keys');
SELECT api_key_name FROM repeated;
\echo :SQLSTATE
\echo `:requests`
\! $VELT_SIM faults '[]'

RESET search_path;
SET client_min_messages = warning;
DROP EXTENSION velt_fdw CASCADE;
DROP SCHEMA velt_types CASCADE;
