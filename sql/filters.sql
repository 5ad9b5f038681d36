--
-- How many keys a request asks for: the option, and an API that takes fewer.
--
\getenv url VELT_SIM_URL
-- what was asked of the API since the last time
\set requests '$VELT_SIM stats requests && $VELT_SIM reset'
\set sizes '$VELT_SIM stats page_sizes && $VELT_SIM reset'
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 120, "tokens_per_key": 2}}}'
SET client_min_messages = warning;
CREATE EXTENSION velt_fdw;
RESET client_min_messages;
CREATE SCHEMA velt_filters;
SET search_path = velt_filters;
-- one at a time, so that it is always the same ones that are refused
CREATE SERVER velt FOREIGN DATA WRAPPER velt_fdw
  OPTIONS (api_url :'url', max_concurrency '1');
CREATE USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (workspace_id 'workspace_demo',
           auth_token 'demo-token-0123456789abcdef');
IMPORT FOREIGN SCHEMA workspace FROM SERVER velt INTO velt_filters;
CREATE TABLE customers AS
  SELECT n, 'velt_api_key_' || lpad(n::text, 6, '0') AS key
    FROM generate_series(1, 60) n;
ANALYZE customers;
CREATE FUNCTION first_keys(n int) RETURNS text[] LANGUAGE sql STABLE AS
  $$ SELECT array_agg(key) FROM velt_filters.customers c WHERE c.n <= $1 $$;

-- what everything that asks for keys by id returns: a scan, the join of keys
-- with their tokens, a batched join and one that asks row by row
CREATE VIEW answers AS
  SELECT 'scan' AS what, count(*), md5(string_agg(k::text, '|' ORDER BY id)) AS sum
    FROM api_keys k WHERE id = ANY (first_keys(60))
  UNION ALL
  SELECT 'tokens', count(*), md5(string_agg(k::text || t::text, '|' ORDER BY k.id, t.name))
    FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id
   WHERE k.id = ANY (first_keys(31))
  UNION ALL
  SELECT 'batch', count(*), md5(string_agg(c::text || k::text, '|' ORDER BY id))
    FROM customers c JOIN api_keys k ON k.id = c.key
  UNION ALL
  SELECT 'left', count(*), md5(string_agg(c::text || coalesce(k::text, ''), '|' ORDER BY n))
    FROM (SELECT n, key || CASE WHEN n % 5 = 0 THEN 'x' ELSE '' END AS key FROM customers) c
    LEFT JOIN api_keys k ON k.id = c.key
  UNION ALL
  SELECT 'lateral', count(*), md5(string_agg(k::text, '|' ORDER BY k.id))
    FROM customers c, LATERAL (SELECT * FROM api_keys WHERE id = c.key OFFSET 0) k
   WHERE c.n <= 3;
EXPLAIN (COSTS OFF) SELECT * FROM customers c JOIN api_keys k ON k.id = c.key;
CREATE TABLE expected AS SELECT * FROM answers;
SELECT what, count FROM expected ORDER BY 1;
-- 2 + 2 and 31 + 2 + 2 + 3
\echo `:requests`
CREATE VIEW differences AS
  SELECT what, e.count, a.count AS here FROM expected e
    FULL JOIN answers a USING (what)
   WHERE (e.count, e.sum) IS DISTINCT FROM (a.count, a.sum);

-- ----------
-- The option
-- ----------
SELECT count(*) FROM api_keys WHERE id = ANY (first_keys(60));
\echo `:sizes`
ALTER SERVER velt OPTIONS (keys_per_request '25');
SELECT count(*) FROM api_keys WHERE id = ANY (first_keys(60));
\echo `:sizes`
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM api_keys WHERE id = ANY ('{a,b}') LIMIT 1;
EXPLAIN (VERBOSE, COSTS OFF) SELECT n FROM customers c JOIN api_keys k ON k.id = c.key;
EXPLAIN (VERBOSE, COSTS OFF) SELECT name FROM auth_tokens WHERE api_key = ANY ('{a,b}');
SELECT count(*) FROM customers c JOIN api_keys k ON k.id = c.key;
\echo `:sizes`
-- page_size is for lists of all keys alone, keys_per_request for keys by id
ALTER SERVER velt OPTIONS (page_size '10');
SELECT count(*) FROM api_keys WHERE id = ANY (first_keys(60));
\echo `:sizes`
SELECT count(*) FROM api_keys WHERE type = 'none';
\echo `:sizes`
ALTER SERVER velt OPTIONS (SET keys_per_request '1', DROP page_size);
SELECT * FROM differences;
\echo `:requests`
ALTER SERVER velt OPTIONS (SET keys_per_request '100');
SELECT * FROM differences;
\echo `:requests`
ALTER SERVER velt OPTIONS (DROP keys_per_request);

-- ----------
-- An API that takes fewer: refused requests are halved, and the size is kept
-- ----------
\! $VELT_SIM config '{"modes": {"filter_cap": 10}}'
SELECT count(*) FROM api_keys WHERE id = ANY (first_keys(60));
\echo `:sizes`
SELECT count(*) FROM api_keys WHERE id = ANY (first_keys(60));
\echo `:sizes`
SELECT * FROM differences;
\echo `:requests`
-- what was learned ends when an option of the server is changed
ALTER SERVER velt OPTIONS (keys_per_request '12');
SELECT count(*) FROM api_keys WHERE id = ANY (first_keys(60));
\echo `:sizes`
ALTER SERVER velt OPTIONS (SET keys_per_request '10');
SELECT count(*) FROM api_keys WHERE id = ANY (first_keys(60));
\echo `:sizes`
-- a cursor that is open goes on as it began
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM api_keys WHERE id = ANY (first_keys(60));
MOVE 5 IN c;
ALTER SERVER velt OPTIONS (SET keys_per_request '5');
MOVE ALL IN c;
SELECT count(*) FROM api_keys WHERE id = ANY (first_keys(10));
\echo `:sizes`
COMMIT;
ALTER SERVER velt OPTIONS (DROP keys_per_request);
\! $VELT_SIM config '{"modes": {"filter_cap": 1}}'
SELECT * FROM differences;
\echo `:requests`
-- what was learned ends with the session's connections
SELECT public.velt_fdw_disconnect('velt');
\! $VELT_SIM config '{"modes": {"filter_cap": 10, "unknown_ids": "not_found", "page_cap": 3, "error_http": "200"}}'
SELECT * FROM differences;
\! $VELT_SIM config '{"modes": {"filter_cap": 30, "page_cap": 0}}'
SELECT * FROM differences;
\! $VELT_SIM config '{"modes": {"filter_cap": 100, "unknown_ids": "omit"}}'
ALTER SERVER velt OPTIONS (SET max_concurrency '8', keys_per_request '100');
SELECT * FROM differences;
-- several at once are refused
\! $VELT_SIM config '{"modes": {"filter_cap": 1}}'
SELECT * FROM differences;
\! $VELT_SIM reset
SELECT * FROM differences;
\echo `:requests`
\! $VELT_SIM config '{"modes": null}'
ALTER SERVER velt OPTIONS (SET max_concurrency '1', DROP keys_per_request);
\! $VELT_SIM reset

-- ----------
-- Limits: each request counts
-- ----------
\! $VELT_SIM config '{"modes": {"filter_cap": 10}}'
ALTER SERVER velt OPTIONS (max_requests '5');
SELECT count(*) FROM api_keys WHERE id = ANY (first_keys(30));
\echo :SQLSTATE
\echo `:sizes`
SELECT count(*) FROM api_keys WHERE id = ANY (first_keys(30));
\echo `:sizes`
ALTER SERVER velt OPTIONS (DROP max_requests);
-- no more than is wanted
SELECT count(*) FROM (SELECT id FROM api_keys WHERE id = ANY (first_keys(30)) LIMIT 3) k;
\echo `:sizes`
SELECT count(*) FROM (SELECT id FROM api_keys WHERE id = ANY (first_keys(30)) LIMIT 3) k;
\echo `:sizes`
\! $VELT_SIM config '{"modes": null}'

-- ----------
-- One key that is refused
-- ----------
ALTER SERVER velt OPTIONS (SET max_concurrency '1');
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "key": "velt_api_key_000007", "do": {"error": "INVALID_ARGUMENT", "message": "Odd id"}}]'
SELECT count(*) FROM api_keys WHERE id = ANY (first_keys(30));
\echo :SQLSTATE
\echo `:sizes`
SELECT count(*) FROM customers c JOIN api_keys k ON k.id = c.key;
\! $VELT_SIM reset
-- that is no reason to ask for fewer keys
SELECT count(*) FROM api_keys WHERE id = ANY ((first_keys(60))[8:]);
\echo `:sizes`
-- of tokens it is named, too
\! $VELT_SIM faults '[{"key": "velt_api_key_000007", "do": {"error": "INVALID_ARGUMENT", "message": "Odd id"}}]'
SELECT count(*) FROM auth_tokens WHERE api_key = ANY (first_keys(10));
\echo `:requests`
-- other refusals have other reasons, as have refusals by others
\! $VELT_SIM faults '[{"do": {"error": "FAILED_PRECONDITION"}}]'
SELECT count(*) FROM api_keys WHERE id = ANY (first_keys(30));
\echo `:requests`
\! $VELT_SIM faults '[{"do": {"status": 400}}]'
SELECT count(*) FROM api_keys WHERE id = ANY (first_keys(30));
\echo `:requests`
-- a body that is too long is like too many keys
\! $VELT_SIM faults '[{"nth": 1, "do": {"status": 413}}]'
SELECT count(*) FROM api_keys WHERE id = ANY (first_keys(30));
\echo `:sizes`
SELECT count(*) FROM api_keys WHERE type = 'none';
\echo :SQLSTATE
\! $VELT_SIM faults '[]'

RESET search_path;
SET client_min_messages = warning;
DROP EXTENSION velt_fdw CASCADE;
DROP SCHEMA velt_filters CASCADE;
