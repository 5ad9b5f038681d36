--
-- Custom and generic plans: the same filter, and the same requests.
--
\getenv url VELT_SIM_URL
\set calm '$VELT_SIM reset'
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 45}}}'
SET client_min_messages = warning;
CREATE EXTENSION velt_fdw;
RESET client_min_messages;
CREATE SCHEMA velt_plans;
SET search_path = velt_plans;
CREATE SERVER velt FOREIGN DATA WRAPPER velt_fdw OPTIONS (api_url :'url');
CREATE USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (workspace_id 'workspace_demo',
           auth_token 'demo-token-0123456789abcdef');
IMPORT FOREIGN SCHEMA workspace FROM SERVER velt INTO velt_plans;

PREPARE by_id (text) AS
  SELECT id, type FROM api_keys WHERE id = $1;
PREPARE by_two (text, text) AS
  SELECT id, type FROM api_keys WHERE id IN ($1, $2, 'velt_api_key_000001');
PREPARE by_any (text[]) AS
  SELECT id, type FROM api_keys WHERE id = ANY ($1);
PREPARE by_both (text, text[]) AS
  SELECT id FROM api_keys WHERE id = ANY ($2) AND (id = $1 OR id = 'nope');
PREPARE by_varchar (varchar) AS
  SELECT id FROM api_keys WHERE id = $1;
PREPARE by_char (char(30)) AS
  SELECT id FROM api_keys WHERE id = $1;
PREPARE tokens_of (text) AS
  SELECT api_key, name FROM auth_tokens WHERE api_key = $1;
PREPARE tokens_of_any (text[]) AS
  SELECT api_key, name FROM auth_tokens WHERE api_key = ANY ($1);
PREPARE of_workspace (text) AS
  SELECT count(*) FROM api_keys WHERE workspace_id = $1;
PREPARE of_workspaces (text[]) AS
  SELECT count(*) FROM auth_tokens WHERE workspace_id = ANY ($1);
PREPARE some_keys (bigint) AS
  SELECT id FROM api_keys LIMIT $1;
PREPARE later_keys (bigint, bigint) AS
  SELECT id FROM api_keys LIMIT $1 OFFSET $2;
PREPARE some_of (text[], bigint) AS
  SELECT id FROM api_keys WHERE id = ANY ($1) LIMIT $2;

-- ----------
-- Plans
-- ----------
-- without what PostgreSQL says from 19 on: that a table is not scanned
CREATE FUNCTION explain_verbose(query text) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
  line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF, VERBOSE) ' || query LOOP
    IF line !~ '^ *Replaces: ' THEN
      RETURN NEXT line;
    END IF;
  END LOOP;
END $$;
SET plan_cache_mode = force_custom_plan;
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE by_id ('velt_api_key_000002');
SELECT explain_verbose('EXECUTE by_id (NULL)');
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE by_two ('velt_api_key_000002', NULL);
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE by_any ('{velt_api_key_000002,nope}');
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE by_both ('velt_api_key_000002', '{a,b}');
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE by_varchar ('velt_api_key_000002');
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE by_char ('velt_api_key_000002');
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE tokens_of_any ('{velt_api_key_000002}');
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE of_workspace ('workspace_demo');
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE some_keys (5);
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE later_keys (5, 2);
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE by_id ('velt_api_key_000002');
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE by_two ('velt_api_key_000002', NULL);
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE by_any ('{velt_api_key_000002,nope}');
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE by_both ('velt_api_key_000002', '{a,b}');
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE by_varchar ('velt_api_key_000002');
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE by_char ('velt_api_key_000002');
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE tokens_of_any ('{velt_api_key_000002}');
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE of_workspace ('workspace_demo');
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE some_keys (5);
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE later_keys (5, 2);
RESET plan_cache_mode;

-- ----------
-- Requests: each execution under either mode, and what it came to.  Rows are
-- counted; they are compared elsewhere.
-- ----------
CREATE FUNCTION many_keys(n int) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
  SELECT array_agg('velt_api_key_' || lpad(i::text, 6, '0'))
    FROM generate_series(1, n) i
$$;
CREATE TABLE executions (n int GENERATED ALWAYS AS IDENTITY, execution text);
INSERT INTO executions (execution) VALUES
  ('by_id (''velt_api_key_000002'')'), ('by_id (''nope'')'), ('by_id ('''')'),
  ('by_id (NULL)'),
  ('by_two (''velt_api_key_000002'', NULL)'),
  ('by_two (''velt_api_key_000001'', ''velt_api_key_000001'')'),
  ('by_any (''{velt_api_key_000002,velt_api_key_000003,NULL}'')'),
  ('by_any (''{}'')'), ('by_any (NULL)'), ('by_any (''{NULL}'')'),
  ('by_any (many_keys(30))'), ('by_any (many_keys(31))'),
  ('by_any (many_keys(250))'),
  ('by_both (''velt_api_key_000002'', ''{velt_api_key_000002,b}'')'),
  ('by_both (''velt_api_key_000003'', ''{velt_api_key_000002,b}'')'),
  ('by_varchar (''velt_api_key_000002'')'),
  ('by_char (''velt_api_key_000002'')'),
  ('tokens_of (''velt_api_key_000002'')'), ('tokens_of (NULL)'),
  ('tokens_of_any (''{velt_api_key_000002,velt_api_key_000003}'')'),
  ('tokens_of_any (''{velt_api_key_000002,velt_api_key_000002,NULL,""}'')'),
  ('tokens_of_any (''{}'')'),
  ('of_workspace (''workspace_demo'')'), ('of_workspace (''other'')'),
  ('of_workspace (NULL)'),
  ('of_workspaces (''{workspace_demo,other}'')'),
  ('of_workspaces (''{other}'')'), ('of_workspaces (''{}'')'),
  ('some_keys (5)'), ('some_keys (0)'), ('some_keys (NULL)'),
  ('some_keys (44)'), ('later_keys (5, 2)'), ('later_keys (5, NULL)'),
  ('later_keys (NULL, 3)'), ('later_keys (0, 3)'), ('later_keys (1, 100)'),
  ('later_keys (9223372036854775807, 9223372036854775807)'),
  ('some_of (''{velt_api_key_000002,velt_api_key_000003}'', 1)');

-- The number of rows, and what EXPLAIN says of requests, filters and pages.
CREATE FUNCTION run(execution text, OUT rows bigint, OUT requests bigint)
LANGUAGE plpgsql AS $$
DECLARE
  plan jsonb;
BEGIN
  EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, FORMAT JSON) EXECUTE '
          || execution INTO plan;
  -- with decimals from PostgreSQL 18 on
  rows := trunc((plan #>> '{0,Plan,Actual Rows}')::numeric);
  SELECT coalesce(sum(value::text::int), 0) INTO requests
    FROM jsonb_path_query(plan, 'strict $.**."Velt Requests"') value;
END $$;
CREATE TABLE results AS
  SELECT n, mode, r.* FROM executions,
         (VALUES ('auto'), ('force_custom_plan'), ('force_generic_plan')) m (mode),
         LATERAL (SELECT set_config('plan_cache_mode', mode, false) OFFSET 0) s,
         LATERAL run(execution) r
   WHERE set_config IS NOT NULL;
RESET plan_cache_mode;
SELECT execution, rows, requests
  FROM results JOIN executions USING (n) WHERE mode = 'force_custom_plan'
 ORDER BY n;
-- the other modes differ
SELECT execution, o.mode, o.rows, o.requests
  FROM results c JOIN results o USING (n) JOIN executions USING (n)
 WHERE c.mode = 'force_custom_plan'
   AND (c.rows, c.requests) <> (o.rows, o.requests);

-- ----------
-- What was sent, by plans of either kind
-- ----------
\set ok `:calm`
SET plan_cache_mode = force_custom_plan;
EXECUTE by_two ('velt_api_key_000003', 'velt_api_key_000002');
EXECUTE by_any ('{velt_api_key_000003,velt_api_key_000002,NULL,velt_api_key_000003}');
EXECUTE by_both ('velt_api_key_000002', '{velt_api_key_000002,b}');
EXECUTE some_keys (3);
EXECUTE later_keys (2, 3);
EXECUTE some_of ('{velt_api_key_000002,velt_api_key_000003}', 1);
\! $VELT_SIM stats filters
\! $VELT_SIM stats page_sizes
\set ok `:calm`
SET plan_cache_mode = force_generic_plan;
EXECUTE by_two ('velt_api_key_000003', 'velt_api_key_000002');
EXECUTE by_any ('{velt_api_key_000003,velt_api_key_000002,NULL,velt_api_key_000003}');
EXECUTE by_both ('velt_api_key_000002', '{velt_api_key_000002,b}');
EXECUTE some_keys (3);
EXECUTE later_keys (2, 3);
EXECUTE some_of ('{velt_api_key_000002,velt_api_key_000003}', 1);
\! $VELT_SIM stats filters
\! $VELT_SIM stats page_sizes
RESET plan_cache_mode;

-- ----------
-- Left to itself the sixth plan is generic, as it costs no more
-- ----------
DEALLOCATE by_id;
PREPARE by_id (text) AS SELECT id, type FROM api_keys WHERE id = $1;
\set ok `:calm`
EXECUTE by_id ('velt_api_key_000001') \g /dev/null
EXECUTE by_id ('velt_api_key_000002') \g /dev/null
EXECUTE by_id ('velt_api_key_000003') \g /dev/null
EXECUTE by_id ('velt_api_key_000004') \g /dev/null
EXECUTE by_id ('velt_api_key_000005') \g /dev/null
EXECUTE by_id ('velt_api_key_000006') \g /dev/null
EXECUTE by_id ('velt_api_key_000007');
\! $VELT_SIM stats filters
SELECT generic_plans, custom_plans FROM pg_prepared_statements
 WHERE name = 'by_id';
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE by_id ('velt_api_key_000007');

-- ----------
-- Expressions are compiled for what takes processor time, not for requests
-- ----------
CREATE FUNCTION compiled(query text, OUT costly bool, OUT compiled bool)
LANGUAGE plpgsql AS $$
DECLARE
  plan json;
BEGIN
  EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) ' || query INTO plan;
  costly := (plan->0->'Plan'->>'Total Cost')::float > current_setting('jit_above_cost')::float;
  compiled := plan->0->'JIT' IS NOT NULL;
END
$$;
CREATE TABLE some_keys AS SELECT 'velt_api_key_' || to_char(n, 'FM000000') AS key FROM generate_series(1, 9) n;
ANALYZE some_keys;
SET jit = on;
SET jit_above_cost = 1000;
SELECT * FROM compiled('SELECT count(token) FROM auth_tokens WHERE name <> api_key');
SELECT * FROM compiled('SELECT count(token) FROM api_keys JOIN auth_tokens ON api_key = id WHERE type = name');
SELECT * FROM compiled('SELECT (SELECT count(token) FROM auth_tokens) + sum(n) FROM generate_series(1, 3) n');
SELECT * FROM compiled('SELECT count(token) FROM (TABLE auth_tokens UNION ALL TABLE auth_tokens UNION ALL TABLE auth_tokens) t');
SELECT * FROM compiled('SELECT count(token) FROM some_keys LEFT JOIN auth_tokens ON api_key = key AND name > key');
-- as often as it is done in the same session
SELECT count(*) FROM (SELECT compiled('SELECT count(token) FROM auth_tokens') FROM generate_series(1, 5)) c;
SELECT costly, compiled = pg_jit_available() AS "compiled, if that can be"
  FROM compiled('SELECT sum(n) FROM generate_series(1, 1000000) n');
SET jit_above_cost = 0;
SELECT costly, compiled = pg_jit_available() AS "compiled, if that can be"
  FROM compiled('SELECT count(token) FROM auth_tokens');
RESET jit_above_cost;
RESET jit;
\! $VELT_SIM reset

RESET search_path;
SET client_min_messages = warning;
DROP EXTENSION velt_fdw CASCADE;
DROP SCHEMA velt_plans CASCADE;
