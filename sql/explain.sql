--
-- EXPLAIN: what a plan shows of the API, and that plans ask for nothing.
--
\getenv url VELT_SIM_URL
-- what was asked of the API since the last time
\set requests '$VELT_SIM stats requests && $VELT_SIM reset'
SET client_min_messages = warning;
CREATE EXTENSION velt_fdw;
RESET client_min_messages;
CREATE SCHEMA velt_explain;
SET search_path = velt_explain;
CREATE SERVER velt FOREIGN DATA WRAPPER velt_fdw OPTIONS (api_url :'url');
CREATE USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (workspace_id 'workspace_demo',
           auth_token 'demo-token-0123456789abcdef');
IMPORT FOREIGN SCHEMA workspace FROM SERVER velt INTO velt_explain;
CREATE FOREIGN TABLE keys_by_seven (id text) SERVER velt
  OPTIONS (resource 'api_keys', page_size '7');

-- Plans and what became of them, without what differs between versions.
CREATE FUNCTION explain(query text, options text DEFAULT 'VERBOSE')
RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  line text;
BEGIN
  FOR line IN EXECUTE format('EXPLAIN (COSTS OFF, %s) %s', options, query)
  LOOP
    line := regexp_replace(line, '(actual rows=\d+)\.00', '\1');
    line := regexp_replace(line, '\(returns \$0\)', '');
    line := regexp_replace(line, '(Init|Sub)Plan \w+_1\M', '\1Plan 1',
                           'g');
    line := regexp_replace(line, '\(InitPlan 1\)\.col1|\$0', '$n', 'g');
    line := regexp_replace(line, '(Velt Bytes Received: )[1-9]\d*', '\1N');
    RETURN NEXT rtrim(line);
  END LOOP;
END $$;
CREATE FUNCTION explain_analyze(query text, more text DEFAULT '')
RETURNS SETOF text LANGUAGE sql AS $$
  SELECT explain(query, 'ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF' || more)
$$;
-- the top node
CREATE FUNCTION explain_json(query text, options text DEFAULT 'COSTS OFF',
  OUT plan jsonb) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('EXPLAIN (FORMAT JSON, %s) %s', options, query) INTO plan;
  plan := plan #> '{0,Plan}';
END $$;

-- ----------
-- Plans
-- ----------
EXPLAIN (COSTS OFF) SELECT * FROM workspaces;
EXPLAIN (COSTS OFF) SELECT * FROM api_keys;
EXPLAIN (COSTS OFF) SELECT * FROM auth_tokens;
EXPLAIN (COSTS OFF) SELECT * FROM auth_tokens WHERE api_key = 'k';
EXPLAIN (COSTS OFF) SELECT * FROM api_keys WHERE id = 'k' AND type = 't';

-- only what is needed is looked for in a row
EXPLAIN (COSTS OFF, VERBOSE) SELECT id FROM api_keys;
EXPLAIN (COSTS OFF, VERBOSE) SELECT count(*) FROM api_keys;
EXPLAIN (COSTS OFF, VERBOSE) SELECT id FROM api_keys WHERE type = 't';
EXPLAIN (COSTS OFF, VERBOSE) SELECT name FROM workspaces;
EXPLAIN (COSTS OFF, VERBOSE) SELECT name FROM auth_tokens ORDER BY api_key;
EXPLAIN (COSTS OFF, VERBOSE) SELECT k FROM api_keys k;
EXPLAIN (COSTS OFF, VERBOSE) SELECT tableoid FROM keys_by_seven;

-- remote filters, and the local check of the same
EXPLAIN (COSTS OFF, VERBOSE)
  SELECT id FROM api_keys WHERE id = 'k';
EXPLAIN (COSTS OFF, VERBOSE)
  SELECT id FROM api_keys WHERE id IN ('k', 'it''s', NULL);
EXPLAIN (COSTS OFF, VERBOSE)
  SELECT id FROM api_keys WHERE id = current_setting('work_mem');
EXPLAIN (COSTS OFF, VERBOSE)
  SELECT name FROM auth_tokens
   WHERE api_key = ANY (string_to_array('a b', ' ')) AND 'k' = api_key;
SELECT explain($$
  SELECT id FROM api_keys WHERE id = (SELECT 'k'::text OFFSET 0)$$);
SELECT explain($$
  SELECT name FROM auth_tokens
   WHERE api_key = ANY (ARRAY(SELECT id FROM api_keys WHERE type = 't'))$$);
SELECT explain($$
  SELECT n, (SELECT type FROM api_keys k WHERE k.id = n)
    FROM (VALUES ('a'), ('b')) v (n)$$);
-- where the API's equality is not the operator's
EXPLAIN (COSTS OFF, VERBOSE)
  SELECT id FROM api_keys WHERE id = random()::text;
EXPLAIN (COSTS OFF, VERBOSE)
  SELECT id FROM api_keys WHERE id = type AND id <> 'k' AND id > 'j';
EXPLAIN (COSTS OFF, VERBOSE)
  SELECT id FROM api_keys WHERE id::char(20) = 'k';

-- parameters
PREPARE by_id (text) AS SELECT type FROM api_keys WHERE id = $1;
PREPARE by_ids (text[]) AS SELECT name FROM auth_tokens WHERE api_key = ANY ($1);
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE by_id ('k');
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE by_ids ('{k,l}');
SET plan_cache_mode = force_custom_plan;
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE by_id ('k');
RESET plan_cache_mode;

-- other formats have the same keys
SELECT jsonb_pretty(plan - '{Disabled,Async Capable}'::text[])
  FROM explain_json($$SELECT name FROM auth_tokens
                       WHERE api_key IN ('k', 'l')$$, 'COSTS OFF, VERBOSE');
SELECT plan -> 'Velt Endpoint' AS "Velt Endpoint"
  FROM explain_json('SELECT name FROM auth_tokens');

-- the cost is that of requests
SELECT plan -> 'Total Cost' AS cost
  FROM explain_json('SELECT * FROM workspaces', 'COSTS ON') \gset
ALTER SERVER velt OPTIONS (request_cost '0');
SELECT plan -> 'Total Cost' AS free, plan -> 'Plan Rows' AS rows
  FROM explain_json('SELECT * FROM workspaces', 'COSTS ON') \gset
SELECT :cost - :free = 1000 AS default_is_1000, :rows AS rows;
ALTER SERVER velt OPTIONS (SET request_cost '5000');
SELECT plan -> 'Total Cost' AS cost
  FROM explain_json('SELECT * FROM workspaces', 'COSTS ON') \gset
SELECT :cost - :free = 5000 AS and_now_5000;
ALTER SERVER velt OPTIONS (DROP request_cost);

-- Nothing of this has made a request.
\echo `:requests`
-- nor does it need a mapping
CREATE ROLE regress_velt_planner;
GRANT USAGE ON SCHEMA velt_explain TO regress_velt_planner;
GRANT SELECT ON api_keys TO regress_velt_planner;
SET ROLE regress_velt_planner;
EXPLAIN (COSTS OFF) SELECT id FROM api_keys;
RESET ROLE;
\echo `:requests`

-- ----------
-- Executed plans
-- ----------
SELECT explain_analyze('SELECT * FROM workspaces');
\echo `:requests`
SELECT explain_analyze('SELECT id FROM keys_by_seven', ', VERBOSE');
\echo `:requests`
ALTER SERVER velt OPTIONS (max_concurrency '3');
SELECT explain_analyze('SELECT name FROM auth_tokens');
\echo `:requests`
SELECT explain_analyze($$SELECT id FROM api_keys WHERE id = 'nope'$$, ', VERBOSE');
\echo `:requests`
-- bytes are those of the bodies
SELECT plan -> 'Velt Bytes Received' AS bytes
  FROM explain_json('SELECT * FROM api_keys', 'ANALYZE') \gset
\set sent `$VELT_SIM stats body_bytes`
SELECT :bytes > 0 AS some, :bytes = :sent AS all;
\echo `:requests`
-- before decompression
\! $VELT_SIM config '{"modes": {"compress": true}}'
SELECT plan -> 'Velt Bytes Received' AS packed
  FROM explain_json('SELECT * FROM api_keys', 'ANALYZE') \gset
\set sent `$VELT_SIM stats body_bytes`
SELECT :packed < :bytes AS fewer, :packed = :sent AS all;
\echo `:requests`
\! $VELT_SIM config '{"modes": null}'
-- loops are added up
SELECT explain_analyze($$
  SELECT n, (SELECT api_key_name FROM api_keys k
              WHERE k.id = 'velt_api_key_00000' || n)
    FROM (VALUES (1), (2), (2)) v (n)$$);
\echo `:requests`
-- what was never executed has asked for nothing, nor has what cannot match
SELECT explain_analyze($$SELECT CASE WHEN current_schema IS NULL THEN
  (SELECT name FROM workspaces) END$$);
SELECT explain_analyze('SELECT id FROM api_keys LIMIT 0');
SELECT explain_analyze($$SELECT id FROM api_keys WHERE id = ANY ('{}')$$);
\echo `:requests`
-- stopped early
SELECT explain_analyze('SELECT id FROM keys_by_seven LIMIT 5');
\echo `:requests`
-- and the same in another format
SELECT key, value FROM explain_json('SELECT id FROM keys_by_seven',
    'ANALYZE, VERBOSE, COSTS OFF, TIMING OFF') plan, jsonb_each(plan)
 WHERE key LIKE 'Velt%' AND key <> 'Velt Bytes Received' ORDER BY key COLLATE "C";
\echo `:requests`

RESET search_path;
SET client_min_messages = warning;
DROP EXTENSION velt_fdw CASCADE;
DROP SCHEMA velt_explain CASCADE;
DROP ROLE regress_velt_planner;
