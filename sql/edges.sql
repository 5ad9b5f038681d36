--
-- Where things meet: parallel plans, volatile limits, odd values, statistics.
--
\getenv url VELT_SIM_URL
\set calm '$VELT_SIM faults "[]" && $VELT_SIM reset'
\set requests '$VELT_SIM stats requests.total && $VELT_SIM reset'
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS velt_edges CASCADE;
CREATE EXTENSION IF NOT EXISTS velt_fdw;
RESET client_min_messages;
CREATE SCHEMA velt_edges;
SET search_path = velt_edges, public;
CREATE SERVER velt_edges FOREIGN DATA WRAPPER velt_fdw
  OPTIONS (api_url :'url', retry_timeout '0');
CREATE USER MAPPING FOR CURRENT_USER SERVER velt_edges
  OPTIONS (workspace_id 'workspace_demo',
           auth_token 'demo-token-0123456789abcdef');
IMPORT FOREIGN SCHEMA workspace FROM SERVER velt_edges INTO velt_edges;
\set ok `:calm`

-- ----------
-- A check beside a parallel plan: its subtransaction is none of a worker's
-- ----------
CREATE TABLE local AS SELECT i FROM generate_series(1, 1000) i;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT (SELECT count(*) FROM local), bool_and(ok), count(*)
  FROM velt_fdw_check('velt_edges');
SELECT count(*) FROM local WHERE (SELECT bool_and(ok) FROM velt_fdw_check('velt_edges'));
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
\set ok `:calm`

-- ----------
-- Who counts the calls of a LIMIT sees one
-- ----------
CREATE SEQUENCE calls;
SELECT count(*) FROM (SELECT id FROM api_keys LIMIT nextval('calls')) s;
SELECT last_value FROM calls;

-- ----------
-- varchar(n) drops trailing blanks: its equality is not the API's
-- ----------
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "do": {"json": {"result": {"status": "success", "data": [{"id": "k1", "apiKeyName": "n"}, {"id": "k1 ", "apiKeyName": "m"}]}}, "status": 200}}]'
CREATE FOREIGN TABLE short_keys (id varchar(2), api_key_name text)
  SERVER velt_edges OPTIONS (resource 'api_keys');
SELECT api_key_name FROM short_keys WHERE id = 'k1' ORDER BY 1;
EXPLAIN (VERBOSE, COSTS OFF) SELECT api_key_name FROM short_keys WHERE id = 'k1';
\set ok `:calm`

-- ----------
-- What a message quotes of a value is cut, and steers nothing
-- ----------
CREATE FOREIGN TABLE numbers (id int) SERVER velt_edges
  OPTIONS (resource 'api_keys');
\! $VELT_SIM faults '[{"do": {"json": {"result": {"status": "success", "data": [{"id": "\u001b[31m\nFATAL: \u202egnorw"}]}}, "status": 200}}]'
SELECT id FROM numbers;
CREATE FUNCTION message_length(query text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE message text;
BEGIN
  EXECUTE query;
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
  RETURN octet_length(message);
END $$;
\set long `$VELT_SIM faults '[{"do": {"json": {"result": {"status": "success", "data": [{"id": "'"$(printf %060000d 0 | tr 0 z)"'"}]}}, "status": 200}}]'`
SELECT message_length('SELECT id FROM numbers') BETWEEN 100 AND 500 AS cut;
\set ok `:calm`

-- ----------
-- A key that can be none costs no request
-- ----------
SELECT count(*) FROM auth_tokens WHERE api_key IN ('', repeat('x', 100000));
\echo `:requests`

-- ----------
-- Statistics: bounded, extrapolated, without secrets
-- ----------
ANALYZE workspaces, api_keys, auth_tokens;
\echo `:requests`
SELECT relname, reltuples FROM pg_class
 WHERE relnamespace = 'velt_edges'::regnamespace AND relkind = 'f'
   AND reltuples > 0 ORDER BY 1;
SELECT attname, n_distinct, avg_width FROM pg_stats
 WHERE schemaname = 'velt_edges' AND tablename = 'api_keys' ORDER BY 1;
SELECT count(*) AS shown FROM pg_stats s
 WHERE schemaname = 'velt_edges' AND s::text ~ 'workspace_demo|demo-token';
SELECT count(*) AS tokens_shown
  FROM auth_tokens t, pg_stats s
 WHERE s.schemaname = 'velt_edges' AND strpos(s::text, t.token) > 0;
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 1000, "tokens_per_key": 3}}}' > /dev/null
\set ok `:calm`
ANALYZE auth_tokens;
\echo `:requests`
SELECT reltuples FROM pg_class WHERE oid = 'auth_tokens'::regclass;
-- a row of the list of keys that is none, has no key, or no text for one
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "nth": 1, "do": {"edit": [["/result/data/3", "velt_api_key_000004"]]}}]'
ANALYZE auth_tokens;
\echo `:requests`
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "nth": 1, "do": {"edit": [["/result/data/3/id"]]}}]'
ANALYZE auth_tokens;
\set ok `$VELT_SIM reset`
SELECT count(*) FROM auth_tokens;
\set ok `:calm`
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "nth": 1, "do": {"edit": [["/result/data/3/id", "\ud800"]]}}]'
ANALYZE auth_tokens;
-- text that is one, but no key that the API could know
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "nth": 1, "do": {"edit": [["/result/data/3/id", "a\u0000b"], ["/result/data/4/id", ""]]}}]'
ANALYZE auth_tokens;
\set ok `:calm`
-- rows that are none
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "nth": 2, "do": {"edit": [["/result/data/3", 4]]}}]'
ANALYZE api_keys;
\set ok `:calm`
\! $VELT_SIM faults '[{"endpoint": "authtokens/get", "nth": 20, "do": {"edit": [["/result/data/authTokens/1", 4]]}}]'
ANALYZE auth_tokens;
\set ok `:calm`
-- values that do not fit
CREATE FOREIGN TABLE numbered (name text OPTIONS (column_name 'api_key_name'),
  id int) SERVER velt_edges OPTIONS (resource 'api_keys');
ANALYZE numbered;
-- and the statistics are what they were
SELECT reltuples BETWEEN 2900 AND 3000 AS kept
  FROM pg_class WHERE oid = 'auth_tokens'::regclass;

RESET search_path;
SET client_min_messages = warning;
DROP EXTENSION velt_fdw CASCADE;
DROP SCHEMA velt_edges CASCADE;
