--
-- API keys joined with their tokens: one scan.
--
\getenv url VELT_SIM_URL
-- what was asked of the API since the last time
\set requests '$VELT_SIM stats requests && $VELT_SIM reset'
-- 45 keys; every fifth has vanished, so that there are none of its tokens
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 45, "tokens_per_key": 2, "vanished": ["velt_api_key_000005", "velt_api_key_000010", "velt_api_key_000015"]}}}'
SET client_min_messages = warning;
CREATE EXTENSION velt_fdw;
RESET client_min_messages;
CREATE SCHEMA velt_join;
SET search_path = velt_join;
CREATE SERVER velt FOREIGN DATA WRAPPER velt_fdw OPTIONS (api_url :'url');
CREATE USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (workspace_id 'workspace_demo',
           auth_token 'demo-token-0123456789abcdef');
IMPORT FOREIGN SCHEMA workspace FROM SERVER velt INTO velt_join;

-- the same, here
CREATE SCHEMA velt_join_local;
CREATE TABLE velt_join_local.api_keys AS SELECT * FROM api_keys;
CREATE TABLE velt_join_local.auth_tokens AS SELECT * FROM auth_tokens;
\! $VELT_SIM reset
CREATE FUNCTION same_as_local(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  here text[];
  there text[];
  path text := current_setting('search_path');
BEGIN
  EXECUTE format('SELECT array_agg(q::text ORDER BY q::text) FROM (%s) q', query) INTO there;
  SET LOCAL search_path = velt_join_local;
  EXECUTE format('SELECT array_agg(q::text ORDER BY q::text) FROM (%s) q', query) INTO here;
  PERFORM set_config('search_path', path, true);
  RETURN CASE WHEN here IS NOT DISTINCT FROM there
              THEN format('%s rows', coalesce(cardinality(here), 0))
              ELSE format('%s instead of %s', there, here) END;
END $$;

-- ----------
-- Inner join
-- ----------
EXPLAIN (COSTS OFF, VERBOSE)
SELECT k.id, k.api_key_name, t.name, t.domains
  FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id
 WHERE k.type = 'production';
\echo `:requests`
SELECT same_as_local('SELECT k.id, k.api_key_name, t.name, t.domains
  FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id');
\echo `:requests`
-- the tokens of testing keys are not asked for
SELECT same_as_local('SELECT k.id, k.api_key_name, t.name, t.domains
  FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id
 WHERE k.type = ''production''');
\echo `:requests`
-- nor more keys listed than those that can match
SELECT same_as_local('SELECT t.name, k.type
  FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id
 WHERE t.api_key IN (''velt_api_key_000001'', ''velt_api_key_000003'', ''velt_api_key_none'')');
\echo `:requests`
SELECT same_as_local('SELECT t.name, k.type
  FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id
 WHERE k.workspace_id = ''workspace_other''');
\echo `:requests`
-- a condition on both, on a token, on nothing but the key
SELECT same_as_local('SELECT k.id, t.name
  FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id AND t.name <> k.api_key_name
 WHERE t.domains = ''{}'' AND t.api_key > ''velt_api_key_000040''');
\echo `:requests`
-- rows as a whole, and no column at all
SELECT same_as_local('SELECT k, t.name, t FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id');
SELECT same_as_local('SELECT count(*) FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id');
\echo `:requests`

-- ----------
-- Outer joins
-- ----------
EXPLAIN (COSTS OFF, VERBOSE)
SELECT k.id, t.name FROM api_keys k
  LEFT JOIN auth_tokens t ON t.api_key = k.id AND k.type = 'production'
 WHERE k.id > 'velt_api_key_000030';
-- which tokens are asked for, and not which keys there are
SELECT same_as_local('SELECT k.id, k.type, t.name FROM api_keys k
  LEFT JOIN auth_tokens t ON t.api_key = k.id AND k.type = ''production''');
\echo `:requests`
SELECT same_as_local('SELECT k.id, t.name FROM api_keys k
  LEFT JOIN auth_tokens t ON t.api_key = k.id AND t.api_key = ''velt_api_key_000001''');
\echo `:requests`
SELECT same_as_local('SELECT k.id, t.name FROM api_keys k
  LEFT JOIN auth_tokens t ON t.api_key = k.id AND t.domains = ''{}''
 WHERE k.type = ''testing''');
\echo `:requests`
SELECT same_as_local('SELECT k.id, coalesce(t.name, ''none'') FROM api_keys k
  LEFT JOIN auth_tokens t ON t.api_key = k.id WHERE t.name IS NULL OR k.type = t.name');
\echo `:requests`
SELECT same_as_local('SELECT k, t FROM api_keys k
  LEFT JOIN auth_tokens t ON t.api_key = k.id AND t.domains = ''{}''');
\echo `:requests`
-- keys that do not match leave their tokens alone, but not out
SELECT same_as_local('SELECT t.name, t.api_key, k.id, k.type FROM auth_tokens t
  LEFT JOIN api_keys k ON t.api_key = k.id AND k.type = ''production''');
\echo `:requests`
SELECT same_as_local('SELECT t.name, k.type FROM api_keys k
  RIGHT JOIN auth_tokens t ON t.api_key = k.id
 WHERE t.api_key = ANY (''{velt_api_key_000001,velt_api_key_000002}'')');
\echo `:requests`
-- not in one scan
EXPLAIN (COSTS OFF)
SELECT 1 FROM api_keys k FULL JOIN auth_tokens t ON t.api_key = k.id;
SELECT same_as_local('SELECT k.id, t.name FROM api_keys k FULL JOIN auth_tokens t ON t.api_key = k.id');
\echo `:requests`

-- ----------
-- Semi-joins and anti-joins
-- ----------
EXPLAIN (COSTS OFF, VERBOSE)
SELECT k.id FROM api_keys k
 WHERE EXISTS (SELECT FROM auth_tokens t WHERE t.api_key = k.id AND t.domains = '{}');
SELECT same_as_local('SELECT k.id FROM api_keys k
 WHERE EXISTS (SELECT FROM auth_tokens t WHERE t.api_key = k.id AND t.domains = ''{}'')');
\echo `:requests`
SELECT same_as_local('SELECT k.id FROM api_keys k WHERE type = ''production''
   AND id IN (SELECT api_key FROM auth_tokens)');
\echo `:requests`
SELECT same_as_local('SELECT k.id FROM api_keys k
 WHERE NOT EXISTS (SELECT FROM auth_tokens t WHERE t.api_key = k.id)');
\echo `:requests`
SELECT same_as_local('SELECT k.id FROM api_keys k
 WHERE NOT EXISTS (SELECT FROM auth_tokens t WHERE t.api_key = k.id AND t.domains = ''{}'')
   AND k.type = ''testing''');
\echo `:requests`
SELECT same_as_local('SELECT t.name FROM auth_tokens t
 WHERE EXISTS (SELECT FROM api_keys k WHERE k.id = t.api_key AND k.type = ''testing'')');
\echo `:requests`
-- the tokens of keys that match are of no use
SELECT same_as_local('SELECT t.name FROM auth_tokens t
 WHERE NOT EXISTS (SELECT FROM api_keys k WHERE k.id = t.api_key AND k.type = ''testing'')');
\echo `:requests`
SELECT same_as_local('SELECT t.name FROM auth_tokens t
 WHERE NOT EXISTS (SELECT FROM api_keys k WHERE k.id = t.api_key AND k.api_key_name = t.name)');
\echo `:requests`

-- ----------
-- As part of a query
-- ----------
CREATE TABLE customers (name text, key text);
INSERT INTO customers
  SELECT 'customer ' || i, 'velt_api_key_' || lpad(i::text, 6, '0')
    FROM generate_series(1, 9) i;
ANALYZE customers;
CREATE TABLE velt_join_local.customers AS SELECT * FROM customers;
SELECT same_as_local('SELECT c.name, k.type, t.name AS token FROM customers c
  LEFT JOIN (api_keys k JOIN auth_tokens t ON t.api_key = k.id) ON k.id = c.key');
SELECT same_as_local('SELECT k.id, (SELECT count(*) FROM api_keys l
   JOIN auth_tokens t ON t.api_key = l.id WHERE l.id = k.id)
  FROM api_keys k WHERE k.id < ''velt_api_key_000004''');
SELECT same_as_local('SELECT k.id, x.* FROM api_keys k LEFT JOIN
   (SELECT 1 AS one, t.api_key FROM auth_tokens t WHERE t.domains = ''{}'') x ON x.api_key = k.id');
-- rescans
SET enable_material = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
SELECT same_as_local('SELECT count(*) FROM customers c JOIN
   (api_keys k JOIN auth_tokens t ON t.api_key = k.id) ON c.name <> t.name');
\echo `:requests`
RESET enable_material; RESET enable_hashjoin; RESET enable_mergejoin;
-- parameters
PREPARE of_type (text, text) AS
  SELECT count(*) FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id
   WHERE k.type = $1 AND t.name <> $2;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE of_type ('production', 'x');
EXECUTE of_type ('production', 'x');
EXECUTE of_type (NULL, 'x');
\echo `:requests`
RESET plan_cache_mode;
-- rows that are to be locked or changed
EXPLAIN (COSTS OFF)
UPDATE customers SET name = t.name FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id
 WHERE customers.key = k.id;
BEGIN;
UPDATE customers SET name = k.type || ' ' || t.name
  FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id
 WHERE customers.key = k.id AND t.domains = '{}';
SELECT name FROM customers ORDER BY key LIMIT 4;
ROLLBACK;
-- what must not be evaluated by the scan is not
EXPLAIN (COSTS OFF)
SELECT 1 FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id WHERE k.type = clock_timestamp()::text;
-- limits of both tables bind
ALTER FOREIGN TABLE auth_tokens OPTIONS (max_requests '10');
SELECT count(*) FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id;
ALTER FOREIGN TABLE auth_tokens OPTIONS (DROP max_requests);
ALTER FOREIGN TABLE api_keys OPTIONS (workspace_id 'workspace_other');
SELECT count(*) FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id;
ALTER FOREIGN TABLE api_keys OPTIONS (DROP workspace_id);
-- a key that is unknown
SELECT k.id, t.name FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id
 WHERE k.id IN ('velt_api_key_none', 'velt_api_key_000001');

RESET search_path;
SET client_min_messages = warning;
DROP EXTENSION velt_fdw CASCADE;
DROP SCHEMA velt_join, velt_join_local CASCADE;
