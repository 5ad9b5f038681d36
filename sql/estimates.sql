--
-- Estimates: what ANALYZE counts, and what the planner makes of it.
--
\getenv url VELT_SIM_URL
\set calm '$VELT_SIM config "{\\"workspaces\\": null}" && $VELT_SIM reset'
\set requests '$VELT_SIM stats requests.total && $VELT_SIM reset'
SET client_min_messages = warning;
CREATE EXTENSION velt_fdw;
RESET client_min_messages;
CREATE SCHEMA velt_estimates;
SET search_path = velt_estimates;
CREATE SERVER velt FOREIGN DATA WRAPPER velt_fdw OPTIONS (api_url :'url');
CREATE USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (workspace_id 'workspace_demo',
           auth_token 'demo-token-0123456789abcdef');
IMPORT FOREIGN SCHEMA workspace FROM SERVER velt INTO velt_estimates;

-- A number beside what it should be: that itself if it is no worse than a
-- factor away.
CREATE FUNCTION about(found numeric, expected numeric, factor numeric = 2)
RETURNS text IMMUTABLE LANGUAGE sql AS $$
  SELECT CASE WHEN greatest(found, 1) BETWEEN greatest(expected, 1) / factor
                                          AND greatest(expected, 1) * factor
              THEN 'about ' || expected ELSE found || ', not ' || expected END
$$;
CREATE VIEW counted AS
  SELECT relname::text AS "table", reltuples::numeric AS n FROM pg_class
   WHERE relnamespace = 'velt_estimates'::regnamespace AND relkind = 'f';
CREATE VIEW distinct_values AS
  SELECT tablename::text AS "table", attname::text AS "column",
         CASE WHEN n_distinct < 0 THEN -n_distinct * n ELSE n_distinct END::numeric AS n
    FROM pg_stats JOIN counted ON "table" = tablename
   WHERE schemaname = 'velt_estimates';

-- ----------
-- What is assumed of a workspace that nobody has looked at
-- ----------
CREATE FUNCTION plan_of(query text, options text) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
  plan jsonb;
BEGIN
  EXECUTE format('EXPLAIN (FORMAT JSON, %s) %s', options, query) INTO plan;
  RETURN plan #> '{0,Plan}';
END $$;
CREATE FUNCTION planned_rows(query text) RETURNS jsonb LANGUAGE sql AS $$
  SELECT plan_of(query, 'COSTS ON') -> 'Plan Rows'
$$;
SELECT planned_rows('SELECT * FROM workspaces') AS workspaces,
       planned_rows('SELECT * FROM api_keys') AS keys,
       planned_rows($$SELECT * FROM api_keys WHERE id = 'k'$$) AS key,
       planned_rows($$SELECT * FROM api_keys WHERE id IN ('k', 'l', 'm')$$) AS three,
       planned_rows('SELECT * FROM auth_tokens') AS tokens,
       planned_rows($$SELECT * FROM auth_tokens WHERE api_key = 'k'$$) AS of_key,
       planned_rows($$SELECT * FROM auth_tokens WHERE api_key IN ('k', 'l', 'm')$$) AS of_three,
       planned_rows($$SELECT * FROM auth_tokens WHERE workspace_id = 'w'$$) AS of_workspace;
-- keys are unique, and of one workspace
CREATE TABLE clients (workspace text PRIMARY KEY, key text);
INSERT INTO clients SELECT 'w' || i, 'k' || i FROM generate_series(1, 10) i;
ANALYZE clients;
SELECT planned_rows('SELECT * FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id') AS tokens,
       planned_rows('SELECT * FROM clients c JOIN api_keys k ON k.id = c.key') AS keys,
       planned_rows('SELECT * FROM clients c JOIN auth_tokens t ON t.api_key = c.key') AS their_tokens,
       planned_rows('SELECT * FROM clients c JOIN api_keys k ON k.workspace_id = c.workspace') AS of_each;
\echo `:requests`

-- ----------
-- What ANALYZE counts
-- ----------

-- So many keys, whose numbers of tokens are those in turn.  Up to 300 keys
-- are asked for their tokens; what the others have is inferred.
CREATE FUNCTION analyzed(keys int, tokens int[], OUT tokens_in_all text,
  OUT keys_with_tokens text, OUT different_names text, OUT first_names text)
LANGUAGE plpgsql AS $$
DECLARE
  all_tokens numeric;
  with_tokens numeric;
BEGIN
  SELECT sum(t), count(*) FILTER (WHERE t > 0) INTO all_tokens, with_tokens
    FROM generate_series(0, keys - 1) i, LATERAL
      (SELECT tokens[1 + i % cardinality(tokens)] AS t) of_key;
  ANALYZE auth_tokens;
  tokens_in_all := about(n, all_tokens, 1.25)
    FROM counted WHERE "table" = 'auth_tokens';
  SELECT about(n, with_tokens) INTO keys_with_tokens
    FROM distinct_values WHERE ("table", "column") = ('auth_tokens', 'api_key');
  -- of each key the first token is "Token 1", the second one "Token 2", ...
  SELECT about(n, (SELECT max(t) FROM unnest(tokens) t)) INTO different_names
    FROM distinct_values WHERE ("table", "column") = ('auth_tokens', 'name');
  first_names := about(planned_rows(
      $q$SELECT * FROM auth_tokens WHERE name = 'Token 1'$q$)::numeric,
    with_tokens);
END $$;
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 45, "tokens_per_key": 5}}}'
SELECT * FROM analyzed(45, '{5}');
\echo `:requests`
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 300, "tokens_per_key": [2, 0, 2]}}}'
SELECT * FROM analyzed(300, '{2, 0, 2}');
\echo `:requests`
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 1000, "tokens_per_key": 1}}}'
SELECT * FROM analyzed(1000, '{1}');
\echo `:requests`
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 1000, "tokens_per_key": 2}}}'
SELECT * FROM analyzed(1000, '{2}');
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 1000, "tokens_per_key": [2, 0, 2]}}}'
SELECT * FROM analyzed(1000, '{2, 0, 2}');
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 10000, "tokens_per_key": 2}}}'
\set ok `$VELT_SIM reset`
SELECT * FROM analyzed(10000, '{2}');
\echo `:requests`
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 10000, "tokens_per_key": [1, 2, 3, 4, 5]}}}'
SELECT * FROM analyzed(10000, '{1, 2, 3, 4, 5}');
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 30000, "tokens_per_key": 5}}}'
SELECT * FROM analyzed(30000, '{5}');
-- keys are unique
ANALYZE api_keys;
SELECT "column", n_distinct FROM (SELECT attname AS "column", n_distinct
  FROM pg_stats WHERE schemaname = 'velt_estimates' AND tablename = 'api_keys') s
 WHERE "column" IN ('id', 'type') ORDER BY 1;
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 45, "tokens_per_key": 0}}}'
ANALYZE auth_tokens;
SELECT n FROM counted WHERE "table" = 'auth_tokens';
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 0}}}'
\set ok `$VELT_SIM reset`
ANALYZE auth_tokens, api_keys;
\echo `:requests`
SELECT * FROM counted ORDER BY 1;
SELECT planned_rows('SELECT * FROM api_keys') AS keys,
       planned_rows('SELECT * FROM auth_tokens') AS tokens;

-- No more than 300 pages, and 300 keys' tokens.
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 310}}}'
ALTER SERVER velt OPTIONS (page_size '1');
\set ok `$VELT_SIM reset`
ANALYZE api_keys;
\echo `:requests`
ANALYZE auth_tokens;
\echo `:requests`
ALTER SERVER velt OPTIONS (DROP page_size);

-- ----------
-- What the planner makes of it
-- ----------

-- Every foreign scan and join of a query's plan whose rows were estimated
-- wrong by more than a factor of two; nothing is as good as one.
CREATE FUNCTION misestimated(node jsonb) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  planned numeric := greatest((node ->> 'Plan Rows')::numeric, 1);
  actual numeric := greatest((node ->> 'Actual Rows')::numeric, 1);
  child jsonb;
BEGIN
  IF node ->> 'Node Type' ~ 'Foreign Scan|Custom Scan|Join|Nested Loop' AND
     (node -> 'Actual Loops')::int > 0 AND
     actual NOT BETWEEN planned / 2 AND planned * 2
  THEN
    RETURN NEXT format('%s of %s: %s rows, not %s', node ->> 'Node Type',
      coalesce(node ->> 'Relation Name', node ->> 'Join Type'), actual, planned);
  END IF;
  FOR child IN SELECT jsonb_array_elements(node -> 'Plans') LOOP
    -- the first match may end a scan
    CONTINUE WHEN node ->> 'Node Type' = 'Nested Loop' AND
      node ->> 'Join Type' IN ('Semi', 'Anti') AND
      child ->> 'Parent Relationship' = 'Inner';
    RETURN QUERY SELECT misestimated(child);
  END LOOP;
END $$;
CREATE TABLE queries (n serial, query text);
INSERT INTO queries (query) VALUES
  ('SELECT * FROM workspaces'),
  ('SELECT * FROM api_keys'),
  ($$SELECT * FROM api_keys WHERE type = 'production'$$),
  ($$SELECT * FROM api_keys WHERE type <> 'production'$$),
  ($$SELECT * FROM api_keys WHERE type = 'production' AND id > 'velt_api_key_000030'$$),
  ($$SELECT * FROM api_keys WHERE api_key_name IS NULL$$),
  ($$SELECT * FROM api_keys WHERE id = 'velt_api_key_000007'$$),
  ($$SELECT * FROM api_keys WHERE id = 'nobody''s'$$),
  ($$SELECT * FROM api_keys WHERE id IN ('velt_api_key_000001', 'velt_api_key_000002', 'velt_api_key_000003')$$),
  ($$SELECT * FROM api_keys WHERE id = 'velt_api_key_000001' OR id = 'velt_api_key_000002'$$),
  ('SELECT * FROM api_keys WHERE id = ANY (ARRAY(SELECT key FROM orders))'),
  ($$SELECT * FROM api_keys WHERE id = ANY (string_to_array('velt_api_key_000001', ' '))$$),
  ($$SELECT * FROM api_keys WHERE id = ANY ('{}')$$),
  ('SELECT * FROM api_keys WHERE id = NULL'),
  ('SELECT * FROM api_keys WHERE false'),
  ($$SELECT * FROM api_keys WHERE workspace_id = 'workspace_demo'$$),
  ('SELECT * FROM auth_tokens'),
  ($$SELECT * FROM auth_tokens WHERE api_key = 'velt_api_key_000003'$$),
  ($$SELECT * FROM auth_tokens WHERE api_key IN ('velt_api_key_000001', 'velt_api_key_000003')$$),
  ($$SELECT * FROM auth_tokens WHERE api_key = ANY (ARRAY(SELECT id FROM api_keys WHERE type = 'production'))$$),
  ($$SELECT * FROM auth_tokens WHERE name = 'Token 1'$$),
  ($$SELECT * FROM auth_tokens WHERE domains <> '{}'$$),
  ($$SELECT * FROM auth_tokens WHERE api_key = 'velt_api_key_000003' AND workspace_id = 'workspace_demo'$$),
  ('SELECT * FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id'),
  ($$SELECT * FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id WHERE k.type = 'production'$$),
  ($$SELECT * FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id WHERE k.id = 'velt_api_key_000003'$$),
  ('SELECT * FROM api_keys k LEFT JOIN auth_tokens t ON t.api_key = k.id'),
  ('SELECT * FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id AND t.workspace_id = k.workspace_id'),
  ('SELECT * FROM workspaces w JOIN api_keys k ON k.workspace_id = w.id'),
  ('SELECT * FROM tenants n JOIN api_keys k ON k.workspace_id = n.workspace'),
  ('SELECT * FROM tenants n JOIN auth_tokens t ON t.workspace_id = n.workspace'),
  ('SELECT * FROM customers c JOIN api_keys k ON k.id = c.key'),
  ('SELECT * FROM customers c JOIN auth_tokens t ON t.api_key = c.key'),
  ('SELECT * FROM orders o JOIN api_keys k ON k.id = o.key'),
  ('SELECT * FROM orders o JOIN auth_tokens t ON t.api_key = o.key'),
  ('SELECT * FROM customers c JOIN api_keys k ON k.id = c.key JOIN auth_tokens t ON t.api_key = k.id'),
  ($$SELECT * FROM customers c JOIN api_keys k ON k.id = c.key WHERE k.type = 'production'$$),
  ('SELECT * FROM customers c LEFT JOIN api_keys k ON k.id = c.key'),
  ('SELECT * FROM api_keys k WHERE EXISTS (SELECT FROM customers c WHERE c.key = k.id)'),
  ('SELECT * FROM api_keys k WHERE NOT EXISTS (SELECT FROM customers c WHERE c.key = k.id)'),
  ('SELECT * FROM customers c WHERE EXISTS (SELECT FROM auth_tokens t WHERE t.api_key = c.key)');
-- customers of every third key, with ten orders each
CREATE TABLE customers (key text PRIMARY KEY, name text);
CREATE TABLE orders (key text);
CREATE TABLE tenants AS
  SELECT 'workspace_demo' AS workspace FROM generate_series(1, 3);
ANALYZE tenants;
CREATE PROCEDURE fill(keys int) LANGUAGE sql AS $$
  TRUNCATE customers, orders;
  INSERT INTO customers SELECT format('velt_api_key_%s', lpad(i::text, 6, '0')), 'Customer ' || i
    FROM generate_series(1, keys, 3) i;
  INSERT INTO orders SELECT key FROM customers, generate_series(1, 10);
$$;
CREATE VIEW wrong AS
  SELECT query, misestimated(plan_of(query, 'ANALYZE, TIMING OFF')) FROM queries ORDER BY n;

\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 45, "tokens_per_key": [1, 2, 3]}}}'
CALL fill(45);
ANALYZE workspaces, api_keys, auth_tokens, customers, orders;
TABLE wrong;
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 900, "tokens_per_key": [5, 6, 7]}}}'
CALL fill(900);
ANALYZE workspaces, api_keys, auth_tokens, customers, orders;
TABLE wrong;

-- ----------
-- One listing, or many look-ups
-- ----------
\set looked_up 'SELECT :n <= 3 AS looked_up'
CREATE TABLE few AS SELECT * FROM customers ORDER BY key LIMIT 3;
CREATE TABLE many AS
  SELECT format('velt_api_key_%s', lpad(i::text, 6, '0')) AS key
    FROM generate_series(1, 5000) i;
ANALYZE few, many;
-- three of 900 keys
\set ok `$VELT_SIM reset`
SELECT count(*) FROM few JOIN api_keys k ON k.id = few.key;
\set n `:requests`
:looked_up;
SELECT count(*) FROM few JOIN auth_tokens t ON t.api_key = few.key;
\set n `:requests`
:looked_up;
-- thousands: the list has nine pages
SELECT count(*) FROM many JOIN api_keys k ON k.id = many.key;
\echo `:requests`
SELECT count(*) FROM many LEFT JOIN api_keys k ON k.id = many.key;
\echo `:requests`
SELECT count(*) FROM many JOIN auth_tokens t ON t.api_key = many.key;
\echo `:requests`

-- ----------
-- What it costs
-- ----------
CREATE FUNCTION cost(query text) RETURNS numeric LANGUAGE sql AS $$
  SELECT (plan_of(query, 'COSTS ON') -> 'Total Cost')::numeric
$$;
\set keys 'cost($$SELECT * FROM api_keys$$)'
\set tokens 'cost($$SELECT * FROM auth_tokens$$)'
SELECT :keys AS keys, :tokens AS tokens \gset of_8_
SELECT :of_8_keys BETWEEN 9 * 1000 AND 10 * 1000 AS nine_pages,
       :of_8_tokens > 900 / 8 * 1000 AS nine_hundred_keys,
       cost($$SELECT * FROM api_keys WHERE id = ANY ('{}')$$) < 1000 AS no_request;
ALTER SERVER velt OPTIONS (max_concurrency '1');
SELECT round(:keys / :of_8_keys, 1) AS keys_one_by_one,
       :tokens / :of_8_tokens BETWEEN 2 AND 8 AS tokens_one_by_one;
ALTER SERVER velt OPTIONS (DROP max_concurrency, ADD page_size '10');
SELECT round(:keys / :of_8_keys, 1) AS smaller_pages;
ALTER SERVER velt OPTIONS (DROP page_size, ADD request_cost '4000');
SELECT round(:keys / :of_8_keys, 1) AS dearer_keys,
       round(:tokens / :of_8_tokens, 1) AS dearer_tokens;
ALTER SERVER velt OPTIONS (SET request_cost '0');
SELECT :tokens < 100 AS free;
ALTER SERVER velt OPTIONS (DROP request_cost);

-- ----------
-- Whose workspace ANALYZE looks at, and how it ends
-- ----------
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 9}, "ws_owner": {"keys": 5}}}'
CREATE ROLE regress_velt_owner;
CREATE FOREIGN TABLE owned (id text) SERVER velt OPTIONS (resource 'api_keys');
ALTER FOREIGN TABLE owned OWNER TO regress_velt_owner;
-- the owner has no mapping
\set VERBOSITY sqlstate
ANALYZE owned;
\set VERBOSITY default
CREATE USER MAPPING FOR regress_velt_owner SERVER velt
  OPTIONS (workspace_id 'ws_owner', auth_token 'token-ws_owner');
ANALYZE api_keys, owned;
SELECT * FROM counted WHERE "table" IN ('api_keys', 'owned') ORDER BY 1;
-- waits end, for keys, tokens and rows
SET statement_timeout = '300ms';
\! $VELT_SIM faults '[{"do": {"stall": "in_body"}}]'
ANALYZE owned;
ANALYZE auth_tokens;
\! $VELT_SIM faults '[{"endpoint": "authtokens/get", "nth": 5, "do": {"stall": "before_headers"}}]'
\set ok `$VELT_SIM reset`
-- on a busy machine it takes a while to come so far
SET statement_timeout = '3s';
ANALYZE auth_tokens;
RESET statement_timeout;
\! $VELT_SIM faults '[]'
-- and what was under way with them
\! $VELT_SIM wait aborted 1
-- failures are errors, of rows, keys and tokens
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "do": {"error": "PERMISSION_DENIED"}}]'
\set ok `$VELT_SIM reset`
\set VERBOSITY terse
ANALYZE owned;
\echo :LAST_ERROR_SQLSTATE
ANALYZE auth_tokens;
\echo :LAST_ERROR_SQLSTATE
\! $VELT_SIM stats requests
\! $VELT_SIM faults '[{"endpoint": "authtokens/get", "nth": 5, "do": {"error": "PERMISSION_DENIED"}}]'
ANALYZE auth_tokens;
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
\! $VELT_SIM faults '[]'
-- an interrupted ANALYZE leaves what there was
SELECT * FROM counted WHERE "table" IN ('api_keys', 'owned') ORDER BY 1;
ALTER FOREIGN TABLE owned OWNER TO CURRENT_USER;
DROP USER MAPPING FOR regress_velt_owner SERVER velt;
DROP ROLE regress_velt_owner;

\set ok `:calm`
RESET search_path;
SET client_min_messages = warning;
DROP EXTENSION velt_fdw CASCADE;
DROP SCHEMA velt_estimates CASCADE;
