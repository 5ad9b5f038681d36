--
-- What a plan leaves to the API, seen by the requests that it takes.
--
\getenv url VELT_SIM_URL
-- what was asked of the API since the last time
\set requests '$VELT_SIM stats requests && $VELT_SIM reset'
\set filters '$VELT_SIM stats filters'
\set page_sizes '$VELT_SIM stats page_sizes'
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 45, "tokens_per_key": 2}}}'
SET client_min_messages = warning;
CREATE EXTENSION velt_fdw;
RESET client_min_messages;
CREATE SCHEMA velt_pushdown;
SET search_path = velt_pushdown;
CREATE SERVER velt FOREIGN DATA WRAPPER velt_fdw OPTIONS (api_url :'url');
CREATE USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (workspace_id 'workspace_demo',
           auth_token 'demo-token-0123456789abcdef');
IMPORT FOREIGN SCHEMA workspace FROM SERVER velt INTO velt_pushdown;

-- ----------
-- OR is IN
-- ----------
SELECT id FROM api_keys
 WHERE id = 'velt_api_key_000002' OR 'velt_api_key_000001' = id OR id = NULL
 ORDER BY 1;
\echo `:filters`
\echo `:requests`
SELECT api_key, count(*) FROM auth_tokens
 WHERE api_key IN ('velt_api_key_000001', 'velt_api_key_000002')
    OR api_key = 'velt_api_key_000003'
 GROUP BY 1 ORDER BY 1;
\echo `:requests`
-- unless something else may be true as well
SELECT count(*) FROM api_keys
 WHERE id = 'velt_api_key_000002' OR type = 'testing';
\echo `:filters`
\echo `:requests`

-- ----------
-- Another workspace's rows
-- ----------
SELECT count(*) FROM api_keys WHERE workspace_id = 'workspace_other';
SELECT count(*) FROM auth_tokens WHERE workspace_id = 'workspace_other';
SELECT count(*) FROM auth_tokens
 WHERE api_key = 'velt_api_key_000001' AND workspace_id = 'workspace_other';
SELECT count(*) FROM api_keys WHERE workspace_id = (SELECT 'a'::text OFFSET 0);
PREPARE of_workspace (text) AS
  SELECT count(*) FROM api_keys WHERE workspace_id = $1;
SET plan_cache_mode = force_generic_plan;
EXECUTE of_workspace ('workspace_other');
EXECUTE of_workspace (NULL);
\echo `:requests`
EXECUTE of_workspace ('workspace_demo');
RESET plan_cache_mode;
SELECT count(*) FROM api_keys WHERE workspace_id = 'workspace_demo';
SELECT count(*) FROM api_keys WHERE workspace_id <> 'workspace_demo';
\echo `:requests`

-- ----------
-- LIMIT
-- ----------
SELECT id FROM api_keys LIMIT 3;
\echo `:page_sizes`
\echo `:requests`
SELECT id FROM api_keys LIMIT 2 OFFSET 5;
\echo `:page_sizes`
\echo `:requests`
-- no more than a page can have, and no more than was allowed
SELECT count(*) FROM (SELECT id FROM api_keys LIMIT 1000) k;
\echo `:page_sizes`
\echo `:requests`
ALTER FOREIGN TABLE api_keys OPTIONS (page_size '10');
SELECT count(*) FROM (SELECT id FROM api_keys LIMIT 12) k;
\echo `:page_sizes`
\echo `:requests`
ALTER FOREIGN TABLE api_keys OPTIONS (DROP page_size);
-- rows that fall away, or must be sorted first
SELECT id FROM api_keys WHERE type = 'production' LIMIT 1;
SELECT id FROM api_keys ORDER BY id DESC LIMIT 1;
SELECT count(*) FROM api_keys LIMIT 1;
SELECT DISTINCT type FROM api_keys ORDER BY 1 LIMIT 1;
\echo `:page_sizes`
\echo `:requests`
-- no tokens beyond those of a key that has enough
SELECT name FROM auth_tokens LIMIT 1;
\echo `:requests`

-- ----------
-- Keys from the other side, one by one: those that come again are not asked for again
-- ----------
CREATE TABLE orders AS
  SELECT 'velt_api_key_' || lpad((i % 3 + 1)::text, 6, '0') AS key
    FROM generate_series(1, 9) i;
ANALYZE orders;
SET velt_fdw.enable_batch_join = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
EXPLAIN (COSTS OFF) SELECT o.key, k.type FROM orders o LEFT JOIN api_keys k ON k.id = o.key;
SELECT count(*), count(DISTINCT k.id) FROM orders o LEFT JOIN api_keys k ON k.id = o.key;
\echo `:requests`
RESET velt_fdw.enable_batch_join;
RESET enable_hashjoin;
RESET enable_mergejoin;

-- ----------
-- The page size is that of every list
-- ----------
ALTER SERVER velt OPTIONS (page_size '20');
SELECT count(*) FROM auth_tokens;
\echo `:requests`
ALTER SERVER velt OPTIONS (DROP page_size);

RESET search_path;
SET client_min_messages = warning;
DROP EXTENSION velt_fdw CASCADE;
DROP SCHEMA velt_pushdown CASCADE;
