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
-- expressions of the side that an outer join makes NULL
SELECT same_as_local('SELECT a, b, max(c), count(*) FROM (SELECT lower(k.type) AS a, k.id AS b, t.name || ''x'' AS c
  FROM api_keys k LEFT JOIN auth_tokens t ON t.api_key = k.id) q GROUP BY GROUPING SETS ((a), (b), (c))');
\echo `:requests`
-- and which another one can make NULL
SELECT same_as_local('SELECT q.* FROM generate_series(1, 2) g LEFT JOIN (SELECT k.id, coalesce(t.name, ''none'') AS name
  FROM api_keys k LEFT JOIN auth_tokens t ON t.api_key = k.id) q ON g = 1');
SELECT same_as_local('SELECT q.* FROM generate_series(1, 2) g LEFT JOIN (SELECT t.name, coalesce(k.type, ''none'') AS type
  FROM auth_tokens t LEFT JOIN api_keys k ON k.id = t.api_key AND k.type <> t.name WHERE k.id IS NULL OR k.id <> t.name) q ON g = 1');
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

-- ----------
-- What is less usual
-- ----------
-- the joins that are one scan each
CREATE FUNCTION joins_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  line text;
  joins text[];
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
    joins := joins || substring(line FROM 'Relations: .* ([A-Z]+) JOIN');
  END LOOP;
  RETURN coalesce(nullif(array_to_string(joins, ', '), ''), 'none');
END $$;
CREATE FUNCTION checked(query text) RETURNS TABLE (result text, joins text) LANGUAGE sql AS
  'SELECT same_as_local(query), joins_of(query)';

-- outer joins in and over other joins
SELECT * FROM checked($$SELECT k.id, k.type FROM api_keys k
  LEFT JOIN auth_tokens t ON t.api_key = k.id WHERE t.api_key IS NULL$$);
SELECT * FROM checked($$SELECT k.id, t FROM api_keys k
  LEFT JOIN auth_tokens t ON t.api_key = k.id AND t.name > 'n' WHERE t.name IS NULL$$);
SELECT * FROM checked($$SELECT c.name, k.id, t.name FROM customers c
  LEFT JOIN (api_keys k LEFT JOIN auth_tokens t ON t.api_key = k.id AND k.type = 'production')
         ON k.id = c.key AND t.name IS NULL$$);
SELECT * FROM checked($$SELECT c.name, x.* FROM customers c
  FULL JOIN (SELECT k.id, t.domains FROM api_keys k LEFT JOIN auth_tokens t ON t.api_key = k.id) x
         ON x.id = c.key$$);
SELECT * FROM checked($$SELECT k.id, t.name, k2.type FROM api_keys k
  JOIN auth_tokens t ON t.api_key = k.id JOIN api_keys k2 ON k2.id = t.api_key$$);
SELECT * FROM checked($$SELECT k.id, t.name, t2.name FROM api_keys k
  LEFT JOIN auth_tokens t ON t.api_key = k.id LEFT JOIN auth_tokens t2 ON t2.api_key = k.id$$);
SELECT * FROM checked($$SELECT DISTINCT k.type, count(*) OVER (PARTITION BY t.name) FROM api_keys k
  JOIN auth_tokens t ON t.api_key = k.id$$);
SELECT * FROM checked($$SELECT k.id FROM api_keys k WHERE id NOT IN (SELECT api_key FROM auth_tokens)$$);
SELECT * FROM checked($$SELECT k.id, l.name FROM api_keys k
  LEFT JOIN LATERAL (SELECT t.name, k.type AS of FROM auth_tokens t WHERE t.api_key = k.id) l
         ON l.of = 'testing'$$);
SELECT * FROM checked($$SELECT k.id, l.n FROM api_keys k,
  LATERAL (SELECT count(*) AS n FROM auth_tokens t WHERE t.api_key = k.id) l$$);
SELECT * FROM checked($$SELECT k.id, x.of FROM api_keys k
  LEFT JOIN (SELECT t.api_key, coalesce(t.name, 'none') AS of FROM auth_tokens t) x
         ON x.api_key = k.id AND k.type = 'testing'$$);

-- system columns are not made up
SELECT * FROM checked($$SELECT k.id FROM api_keys k LEFT JOIN auth_tokens t ON t.api_key = k.id
  WHERE t.tableoid IS NULL OR t.tableoid <> 'auth_tokens'::regclass$$);
SELECT * FROM checked($$SELECT k.id FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id
   AND k.tableoid = 'api_keys'::regclass$$);
SELECT * FROM checked($$SELECT k.id, t.tableoid::regclass FROM api_keys k
  LEFT JOIN auth_tokens t ON t.api_key = k.id$$);

-- rows as a whole, in conditions too
SELECT * FROM checked($$SELECT k.id, t IS NULL FROM api_keys k
  LEFT JOIN auth_tokens t ON t.api_key = k.id AND k IS NOT NULL AND length(t::text) > 20
  WHERE t IS NULL OR t::text > k::text$$);
SELECT * FROM checked($$SELECT t FROM auth_tokens t
  LEFT JOIN api_keys k ON t.api_key = k.id AND t::text > k::text WHERE k IS NULL$$);

-- tables written by hand: some columns, in other orders, of other names and types
CREATE DOMAIN kind AS text CHECK (value IN ('production', 'testing'));
CREATE DOMAIN title AS text NOT NULL;
CREATE FOREIGN TABLE keys (kind kind OPTIONS (column_name 'type'), gone int,
                           key varchar OPTIONS (column_name 'id'))
  SERVER velt OPTIONS (resource 'api_keys');
ALTER FOREIGN TABLE keys DROP COLUMN gone;
CREATE FOREIGN TABLE tokens (name title, "of key" text OPTIONS (column_name 'api_key'))
  SERVER velt OPTIONS (resource 'auth_tokens');
CREATE FOREIGN TABLE ids (id text) SERVER velt OPTIONS (resource 'api_keys');
CREATE FOREIGN TABLE of_keys (api_key text) SERVER velt OPTIONS (resource 'auth_tokens');
CREATE FOREIGN TABLE domain_keys (id kind) SERVER velt OPTIONS (resource 'api_keys');
CREATE TABLE velt_join_local.keys AS SELECT type::kind AS kind, id::varchar AS key FROM velt_join_local.api_keys;
CREATE TABLE velt_join_local.tokens AS SELECT name::text, api_key AS "of key" FROM velt_join_local.auth_tokens;
CREATE TABLE velt_join_local.ids AS SELECT id FROM velt_join_local.api_keys;
CREATE TABLE velt_join_local.of_keys AS SELECT api_key FROM velt_join_local.auth_tokens;
SELECT * FROM checked($$SELECT k, t FROM keys k LEFT JOIN tokens t
   ON t."of key" = k.key AND k.kind = 'production' AND t."of key" > 'velt_api_key_000020'$$);
SELECT * FROM checked($$SELECT k, t FROM tokens t LEFT JOIN keys k ON t."of key" = k.key AND k.kind = 'production'$$);
SELECT * FROM checked($$SELECT t.name FROM tokens t WHERE NOT EXISTS
  (SELECT FROM keys k WHERE t."of key" = k.key AND k.key > 'velt_api_key_000020')$$);
\! $VELT_SIM reset
SELECT * FROM checked($$SELECT count(*) FROM ids k JOIN of_keys t ON t.api_key = k.id$$);
\echo `:requests`
SELECT * FROM checked($$SELECT k, t FROM ids k LEFT JOIN of_keys t ON t.api_key = k.id$$);
SELECT joins_of('SELECT 1 FROM domain_keys k JOIN of_keys t ON t.api_key = k.id');
CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
SELECT joins_of('SELECT 1 FROM ids k JOIN of_keys t ON t.api_key = k.id COLLATE any_case'),
       joins_of('SELECT 1 FROM ids k JOIN of_keys t ON t.api_key = k.id COLLATE "POSIX"');

-- partitions
\! $VELT_SIM config '{"workspaces": {"workspace_b": {"keys": 7, "key_prefix": "b_", "tokens_per_key": 1, "vanished": ["b_000002"]}}}'
CREATE SERVER velt_b FOREIGN DATA WRAPPER velt_fdw OPTIONS (api_url :'url');
CREATE USER MAPPING FOR CURRENT_USER SERVER velt_b
  OPTIONS (workspace_id 'workspace_b', auth_token 'token-workspace_b');
CREATE TABLE all_keys (workspace_id text, id text, type text) PARTITION BY LIST (workspace_id);
CREATE FOREIGN TABLE all_keys_a PARTITION OF all_keys FOR VALUES IN ('workspace_demo')
  SERVER velt OPTIONS (resource 'api_keys', workspace_id 'workspace_demo');
CREATE FOREIGN TABLE all_keys_b (id text, type text, workspace_id text)
  SERVER velt_b OPTIONS (resource 'api_keys', workspace_id 'workspace_b');
ALTER TABLE all_keys ATTACH PARTITION all_keys_b FOR VALUES IN ('workspace_b');
CREATE TABLE all_tokens (name text, api_key text, workspace_id text) PARTITION BY LIST (workspace_id);
CREATE FOREIGN TABLE all_tokens_a PARTITION OF all_tokens FOR VALUES IN ('workspace_demo')
  SERVER velt OPTIONS (resource 'auth_tokens', workspace_id 'workspace_demo');
CREATE FOREIGN TABLE all_tokens_b (workspace_id text, gone int, name text, api_key text)
  SERVER velt_b OPTIONS (resource 'auth_tokens', workspace_id 'workspace_b');
ALTER FOREIGN TABLE all_tokens_b DROP COLUMN gone;
ALTER TABLE all_tokens ATTACH PARTITION all_tokens_b FOR VALUES IN ('workspace_b');
CREATE TABLE velt_join_local.all_keys AS SELECT * FROM all_keys;
CREATE TABLE velt_join_local.all_tokens AS SELECT * FROM all_tokens;
\! $VELT_SIM reset
SET enable_partitionwise_join = on;
SELECT * FROM checked($$SELECT k.workspace_id, k.id, t.name FROM all_keys k
  JOIN all_tokens t ON t.workspace_id = k.workspace_id AND t.api_key = k.id WHERE k.type = 'production'$$);
\echo `:requests`
SELECT * FROM checked($$SELECT k, t FROM all_keys k
  LEFT JOIN all_tokens t ON t.workspace_id = k.workspace_id AND t.api_key = k.id AND k.type = 'testing'$$);
SELECT * FROM checked($$SELECT k.id, x.* FROM all_keys k
  LEFT JOIN (SELECT 1 AS one, workspace_id, api_key FROM all_tokens) x
         ON x.workspace_id = k.workspace_id AND x.api_key = k.id$$);
SELECT * FROM checked($$SELECT k.id, (SELECT count(*) FROM all_keys k2 JOIN all_tokens t
    ON t.workspace_id = k2.workspace_id AND t.api_key = k2.id WHERE k2.type = k.type)
  FROM all_keys k WHERE k.id LIKE '%2'$$);
RESET enable_partitionwise_join;

-- security: a view's conditions come first, and its owner asks
CREATE FUNCTION seen(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.0001 AS
  $$ BEGIN RAISE NOTICE 'seen: %', $1; RETURN true; END $$;
CREATE VIEW some_tokens WITH (security_barrier) AS
  SELECT * FROM auth_tokens WHERE domains = '{}' AND api_key < 'velt_api_key_000004';
CREATE VIEW some_keys WITH (security_barrier) AS
  SELECT * FROM api_keys WHERE id < 'velt_api_key_000004' AND length(type) > 7;
SELECT t.name, k.type FROM some_tokens t LEFT JOIN api_keys k ON k.id = t.api_key WHERE seen(t.api_key);
SELECT t.name, k.type FROM auth_tokens t
  JOIN some_keys k ON k.id = t.api_key AND seen(k.type) AND seen(t.name);
SELECT t.name FROM some_tokens t
 WHERE NOT EXISTS (SELECT FROM some_keys k WHERE k.id = t.api_key AND seen(k.type));
-- the keys of tokens that a policy hides are not seen either
CREATE ROLE regress_velt_join_reader;
GRANT USAGE ON SCHEMA velt_join TO regress_velt_join_reader;
GRANT SELECT ON all_keys, all_tokens TO regress_velt_join_reader;
CREATE USER MAPPING FOR regress_velt_join_reader SERVER velt
  OPTIONS (workspace_id 'workspace_demo', auth_token 'demo-token-0123456789abcdef');
CREATE USER MAPPING FOR regress_velt_join_reader SERVER velt_b
  OPTIONS (workspace_id 'workspace_b', auth_token 'token-workspace_b');
ALTER TABLE all_tokens ENABLE ROW LEVEL SECURITY;
CREATE POLICY second_only ON all_tokens USING (name > 'Token 1');
SET ROLE regress_velt_join_reader;
SET enable_partitionwise_join = on;
PREPARE hidden AS SELECT t.name, k.id FROM all_tokens t
  LEFT JOIN all_keys k ON t.workspace_id = k.workspace_id AND t.api_key = k.id AND k.type <> 'testing'
 WHERE t.api_key IN ('velt_api_key_000004', 'velt_api_key_000005', 'b_000001') AND seen(t.api_key);
SELECT joins_of('EXECUTE hidden');
EXECUTE hidden;
RESET enable_partitionwise_join;
RESET ROLE;
CREATE ROLE regress_velt_join_owner;
GRANT USAGE ON FOREIGN SERVER velt TO regress_velt_join_owner;
GRANT USAGE ON SCHEMA velt_join TO regress_velt_join_owner;
GRANT SELECT ON api_keys, auth_tokens TO regress_velt_join_owner;
CREATE USER MAPPING FOR regress_velt_join_owner SERVER velt
  OPTIONS (workspace_id 'workspace_b', auth_token 'token-workspace_b');
CREATE VIEW owned_keys AS SELECT * FROM api_keys;
CREATE VIEW owned_tokens AS SELECT * FROM auth_tokens;
CREATE VIEW owned_join AS SELECT k.id, t.name FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id;
ALTER VIEW owned_keys OWNER TO regress_velt_join_owner;
ALTER VIEW owned_tokens OWNER TO regress_velt_join_owner;
ALTER VIEW owned_join OWNER TO regress_velt_join_owner;
SELECT joins_of('SELECT 1 FROM owned_keys k JOIN auth_tokens t ON t.api_key = k.id'),
       joins_of('SELECT 1 FROM owned_keys k JOIN owned_tokens t ON t.api_key = k.id'),
       joins_of('TABLE owned_join');
SELECT count(*), min(id) FROM owned_join;
SELECT count(*) FROM owned_keys k JOIN auth_tokens t ON t.api_key = k.id;

-- rows that are locked or changed, or looked at once more for that
EXPLAIN (COSTS OFF) SELECT 1 FROM customers c, api_keys k
  JOIN auth_tokens t ON t.api_key = k.id WHERE k.id = c.key FOR UPDATE OF c;
SELECT joins_of($$UPDATE customers SET name = 'x'
 WHERE key = (SELECT max(k.id) FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id)$$);
EXPLAIN (COSTS OFF) WITH j AS MATERIALIZED
  (SELECT k.id FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id)
DELETE FROM customers USING j WHERE key = j.id;
EXPLAIN (COSTS OFF) MERGE INTO customers c
 USING (SELECT k.id, t.name FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id LIMIT 5) j
    ON j.id = c.key WHEN MATCHED THEN UPDATE SET name = j.name;
SELECT joins_of('INSERT INTO customers SELECT t.name, k.id FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id');

-- a condition of no table at all
PREPARE gate (text) AS SELECT k.id, t.name FROM api_keys k
  LEFT JOIN auth_tokens t ON t.api_key = k.id AND $1 <> 'no tokens' WHERE $1 <> 'nothing';
SET plan_cache_mode = force_generic_plan;
\! $VELT_SIM reset
SELECT count(*) FROM api_keys \g /dev/null
CREATE TEMP TABLE gated AS EXECUTE gate ('all');
SELECT count(*), count(name) FROM gated;
DROP TABLE gated;
CREATE TEMP TABLE gated AS EXECUTE gate ('no tokens');
SELECT count(*), count(name) FROM gated;
\! $VELT_SIM reset
EXECUTE gate ('nothing');
\echo `:requests`
PREPARE inner_gate (text) AS SELECT count(t.name) FROM api_keys k
  JOIN auth_tokens t ON t.api_key = k.id AND $1 <> 'nothing';
EXECUTE inner_gate ('all');
\! $VELT_SIM reset
EXECUTE inner_gate ('nothing');
\echo `:requests`
-- what was prepared follows its tables
CREATE FOREIGN TABLE names (id text, name text OPTIONS (column_name 'api_key_name'))
  SERVER velt OPTIONS (resource 'api_keys');
PREPARE prepared AS SELECT max(k.name), count(*) FROM names k JOIN of_keys t ON t.api_key = k.id;
EXECUTE prepared;
ALTER FOREIGN TABLE names ALTER COLUMN name OPTIONS (SET column_name 'type');
EXECUTE prepared;
ALTER FOREIGN TABLE names ALTER COLUMN id OPTIONS (ADD json_pointer '/apiKeyName');
EXECUTE prepared;
RESET plan_cache_mode;

-- errors in the midst of it
DO $$
BEGIN
  FOR i IN 1 .. 20 LOOP
    BEGIN
      PERFORM k.id FROM api_keys k JOIN auth_tokens t
         ON t.api_key = k.id AND 1 / (right(k.id, 2)::int - i) < 2;
      RAISE 'no error';
    EXCEPTION WHEN division_by_zero THEN
    END;
  END LOOP;
END $$;
BEGIN;
DECLARE c CURSOR FOR SELECT k.id FROM api_keys k JOIN auth_tokens t
     ON t.api_key = k.id AND 1 / (right(t.api_key, 2)::int - 30 + length(t.name) * 0) < 2;
SAVEPOINT s;
SELECT 'rows' WHERE 0 < (SELECT count(*) FROM api_keys);
FETCH ALL FROM c;
ROLLBACK TO s;
SELECT same_as_local('SELECT k.id, t.name FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id');
COMMIT;
-- the server's options change while the scan begins
CREATE SEQUENCE timeouts;
ALTER SERVER velt OPTIONS (ADD request_timeout '50s');
CREATE FUNCTION change_server() RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER SERVER velt OPTIONS (SET request_timeout ''%smin'')', nextval('timeouts'));
  RETURN '{velt_api_key_000001,velt_api_key_000002}';
END $$;
CREATE FUNCTION change_server_as_if_not() RETURNS text[] LANGUAGE plpgsql STABLE AS
  $$ BEGIN RETURN change_server(); END $$;
SELECT k.id, t.name FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id
 WHERE k.id = ANY (change_server_as_if_not()) ORDER BY 1, 2;
ALTER SERVER velt OPTIONS (DROP request_timeout);

-- lists of keys as they should not be
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 4, "vanished": []}}}'
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "do": {"edit": [["/result/data/1/id", "velt_api_key_000001"], ["/result/data/2/id", null], ["/result/data/3/id"]]}}]'
SELECT k.id, k.api_key_name, t.name FROM api_keys k LEFT JOIN auth_tokens t ON t.api_key = k.id ORDER BY 2, 3;
SELECT k.api_key_name FROM api_keys k WHERE NOT EXISTS (SELECT FROM auth_tokens t WHERE t.api_key = k.id) ORDER BY 1;
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "do": {"edit": [["/result/data/1/id", ""]]}}]'
SELECT k.id, count(t.name) FROM api_keys k LEFT JOIN auth_tokens t ON t.api_key = k.id GROUP BY 1 ORDER BY 1;
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "do": {"edit": [["/result/data/1/id", 17]]}}]'
SELECT k.id, count(t.name) FROM api_keys k LEFT JOIN auth_tokens t ON t.api_key = k.id GROUP BY 1;
\! $VELT_SIM faults '[{"endpoint": "authtokens/get", "nth": 2, "do": {"edit": [["/result/data/apiKey", "another"]]}}]' && $VELT_SIM reset
SELECT k.id, t.name FROM api_keys k LEFT JOIN auth_tokens t ON t.api_key = k.id;
\! $VELT_SIM faults '[{"endpoint": "authtokens/get", "do": {"edit": [["/result/data/authTokens", []], ["/result/nextPageToken", "more"]]}}]'
SELECT k.id, t.name FROM api_keys k LEFT JOIN auth_tokens t ON t.api_key = k.id ORDER BY 1;
\! $VELT_SIM faults '[]'
SELECT k.id, count(t.name) FROM api_keys k LEFT JOIN auth_tokens t ON t.api_key = k.id GROUP BY 1 ORDER BY 1;

-- the same in every format; from PostgreSQL 18 on some say what is not disabled
CREATE FUNCTION explain(options text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  plan text;
BEGIN
  EXECUTE format('EXPLAIN (COSTS OFF, %s) %s', options, query) INTO plan;
  RETURN regexp_replace(plan, '\n[^\n]*Disabled[^\n]*', '', 'g');
END $$;
SELECT explain('VERBOSE, FORMAT JSON', $$SELECT k.id, t.name FROM api_keys k
  LEFT JOIN auth_tokens t ON t.api_key = k.id AND k.type = 'production' AND t.name <> k.type
 WHERE k.id > 'velt_api_key_000030'$$);
SELECT explain('FORMAT YAML', $$SELECT t.name FROM auth_tokens t
 WHERE NOT EXISTS (SELECT FROM api_keys k WHERE k.id = t.api_key AND k.type = 'testing')$$);
SELECT explain('FORMAT XML', 'SELECT 1 FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id');

RESET search_path;
SET client_min_messages = warning;
DROP EXTENSION velt_fdw CASCADE;
DROP SCHEMA velt_join, velt_join_local CASCADE;
DROP ROLE regress_velt_join_owner, regress_velt_join_reader;
