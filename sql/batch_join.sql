--
-- API keys and their tokens joined with other tables: many keys are asked for
-- together.
--
\getenv url VELT_SIM_URL
-- what was asked of the API since the last time
\set requests '$VELT_SIM stats requests && $VELT_SIM reset'
\set keys_asked '$VELT_SIM stats keys_asked | grep -o velt_api_key_[0-9]* | sort | xargs && $VELT_SIM reset'
\set filters '$VELT_SIM stats filters && $VELT_SIM reset'
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 250, "tokens_per_key": 2, "vanished": ["velt_api_key_000005", "velt_api_key_000010", "velt_api_key_000015"]}}}'
SET client_min_messages = warning;
CREATE EXTENSION velt_fdw;
RESET client_min_messages;
CREATE SCHEMA velt_batch;
CREATE SCHEMA velt_batch_local;
CREATE SCHEMA velt_batch_here;
SET search_path = velt_batch, velt_batch_here;
CREATE SERVER velt FOREIGN DATA WRAPPER velt_fdw OPTIONS (api_url :'url');
CREATE USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (workspace_id 'workspace_demo',
           auth_token 'demo-token-0123456789abcdef');
IMPORT FOREIGN SCHEMA workspace FROM SERVER velt INTO velt_batch;

-- the same, here
CREATE TABLE velt_batch_local.api_keys AS SELECT * FROM api_keys;
CREATE TABLE velt_batch_local.auth_tokens AS SELECT * FROM auth_tokens;
-- 30 customers have keys, of which 5 have the same one; 3 have none, 2 an
-- empty one, 2 one that there is not
CREATE TABLE velt_batch_here.customers (n int PRIMARY KEY, key text, name text);
INSERT INTO customers
  SELECT i, 'velt_api_key_' || lpad((CASE WHEN i % 7 = 0 THEN 7 ELSE i END)::text, 6, '0'), 'customer ' || i
    FROM generate_series(1, 30) i;
INSERT INTO customers VALUES (31, NULL, 'a'), (32, NULL, 'b'), (33, NULL, 'c'),
  (34, '', 'd'), (35, '', 'e'), (36, 'none', 'f'), (37, 'nobody', 'customer 1');
ANALYZE customers;
CREATE TABLE velt_batch_here.many AS
  SELECT i AS n, 'velt_api_key_' || lpad(i::text, 6, '0') AS key FROM generate_series(1, 250) i;
ANALYZE many;
\! $VELT_SIM reset

-- The rows are those of local copies: how many, and by which batched joins.
CREATE FUNCTION velt_batch_here.same_as_local(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  here text[];
  there text[];
  plan json;
  joins text;
BEGIN
  EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
  SELECT string_agg(type[1], ', ') FROM regexp_matches(plan::text, '"Velt Join Type": "([^"]*)"', 'g') type INTO joins;
  EXECUTE format('SELECT array_agg(q::text ORDER BY q::text) FROM (%s) q', query) INTO there;
  SET LOCAL search_path = velt_batch_local, velt_batch_here;
  EXECUTE format('SELECT array_agg(q::text ORDER BY q::text) FROM (%s) q', query) INTO here;
  SET LOCAL search_path = velt_batch, velt_batch_here;
  RETURN CASE WHEN here IS NOT DISTINCT FROM there
              THEN format('%s rows, batched: %s', coalesce(cardinality(here), 0), coalesce(joins, 'nothing'))
              ELSE format('%s instead of %s', there, here) END;
END $$;

-- The batched joins of a statement's plan, which is shown in full.
CREATE FUNCTION velt_batch_here.batched_joins(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  plan json;
BEGIN
  EXECUTE 'EXPLAIN (VERBOSE, FORMAT JSON) ' || statement INTO plan;
  RETURN (SELECT string_agg(type[1], ', ') FROM regexp_matches(plan::text, '"Velt Join Type": "([^"]*)"', 'g') type);
END $$;

-- What a plan came to, without what differs between versions.
CREATE FUNCTION velt_batch_here.explain_analyze(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF, ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF) ' || query LOOP
    RETURN NEXT regexp_replace(line, '(actual rows=\d+)\.00', '\1');
  END LOOP;
END $$;

-- ----------
-- Types of joins
-- ----------
EXPLAIN (COSTS OFF, VERBOSE)
SELECT c.name, k.api_key_name FROM customers c JOIN api_keys k ON k.id = c.key
 WHERE k.type = 'production';
\echo `:requests`
-- each key is asked for once, and none that cannot be
SELECT same_as_local('SELECT * FROM customers c JOIN api_keys k ON k.id = c.key');
\echo `$VELT_SIM stats filters`
\echo `:requests`
SELECT same_as_local('SELECT * FROM customers c JOIN auth_tokens t ON t.api_key = c.key');
\echo `:requests`
SELECT same_as_local('SELECT * FROM customers c LEFT JOIN api_keys k ON k.id = c.key');
SELECT same_as_local('SELECT * FROM customers c LEFT JOIN auth_tokens t ON t.api_key = c.key');
\echo `:requests`
EXPLAIN (COSTS OFF)
SELECT name FROM customers c WHERE EXISTS (SELECT FROM auth_tokens t WHERE t.api_key = c.key);
SELECT same_as_local('SELECT name FROM customers c WHERE EXISTS (SELECT FROM auth_tokens t WHERE t.api_key = c.key)');
SELECT same_as_local('SELECT name FROM customers c WHERE key IN (SELECT api_key FROM auth_tokens)');
SELECT same_as_local('SELECT name FROM customers c WHERE NOT EXISTS (SELECT FROM auth_tokens t WHERE t.api_key = c.key)');
\echo `:requests`
-- keys of rows here: their duplicates are removed first
EXPLAIN (COSTS OFF)
SELECT id FROM api_keys WHERE id IN (SELECT key FROM customers);
SELECT same_as_local('SELECT * FROM api_keys WHERE id IN (SELECT key FROM customers)');
\echo `:requests`
SELECT same_as_local('SELECT * FROM auth_tokens WHERE api_key IN (SELECT key FROM customers WHERE n < 9)');
\echo `:requests`
SELECT same_as_local('SELECT * FROM api_keys k WHERE EXISTS (SELECT FROM customers c WHERE c.key = k.id)');
-- not batched, but right
SELECT same_as_local('SELECT * FROM customers c FULL JOIN api_keys k ON k.id = c.key');
SELECT same_as_local('SELECT * FROM customers c RIGHT JOIN api_keys k ON k.id = c.key');
SELECT same_as_local('SELECT * FROM api_keys k WHERE NOT EXISTS (SELECT FROM customers c WHERE c.key = k.id)');
SELECT same_as_local('SELECT * FROM api_keys k WHERE id NOT IN (SELECT key FROM customers WHERE n < 30)');
SELECT same_as_local('SELECT c.name, (SELECT k.type FROM api_keys k WHERE k.id = c.key) FROM customers c');
SELECT same_as_local('SELECT c.name, t.* FROM customers c, LATERAL (SELECT name FROM auth_tokens t WHERE t.api_key = c.key ORDER BY 1 LIMIT 1) t');
SELECT same_as_local('SELECT c.name, t.* FROM customers c, LATERAL (SELECT count(*) FROM auth_tokens t WHERE t.api_key = c.key) t');
\! $VELT_SIM reset

-- ----------
-- Cost
-- ----------
-- one row expected, 25 there: this is not the place for a request a row
EXPLAIN (COSTS OFF)
SELECT m.n, k.type FROM many m JOIN api_keys k ON k.id = m.key WHERE m.n % 10 = 1;
SELECT same_as_local('SELECT m.n, k.type FROM many m JOIN api_keys k ON k.id = m.key WHERE m.n % 10 = 1');
\echo `:requests`
-- a round of requests is a round, whoever makes it
EXPLAIN (COSTS OFF)
SELECT c.n, t.name FROM customers c JOIN auth_tokens t ON t.api_key = c.key WHERE c.n < 9;
-- listing all keys is fewer requests
CREATE TABLE velt_batch_here.strangers AS SELECT 'key ' || i AS key FROM generate_series(1, 20000) i;
ANALYZE strangers;
EXPLAIN (COSTS OFF) SELECT s.key, k.type FROM strangers s JOIN api_keys k ON k.id = s.key;

-- ----------
-- Conditions
-- ----------
SELECT same_as_local('SELECT * FROM customers c JOIN auth_tokens t ON t.api_key = c.key AND t.name <> c.name');
SELECT same_as_local('SELECT * FROM customers c LEFT JOIN auth_tokens t ON t.api_key = c.key AND t.domains = ''{}'' AND c.n > 3');
-- rows that nothing can match bring no key
\! $VELT_SIM reset
EXPLAIN (COSTS OFF) SELECT c.n, t.name FROM customers c LEFT JOIN auth_tokens t ON t.api_key = c.key AND c.n <= 3;
SELECT same_as_local('SELECT c.n, t.name FROM customers c LEFT JOIN auth_tokens t ON t.api_key = c.key AND c.n <= 3');
\echo `:keys_asked`
SELECT same_as_local('SELECT c.n FROM customers c WHERE NOT EXISTS (SELECT FROM auth_tokens t WHERE t.api_key = c.key AND c.n BETWEEN 3 AND 4)');
\echo `:keys_asked`
SELECT same_as_local('SELECT * FROM customers c LEFT JOIN auth_tokens t ON t.api_key = c.key WHERE coalesce(t.name, c.name) <> ''customer 1''');
SELECT same_as_local('SELECT * FROM customers c LEFT JOIN auth_tokens t ON t.api_key = c.key WHERE t.name IS NULL');
SELECT same_as_local('SELECT c.n, x.n, k.type, upper(k.id) FROM customers c LEFT JOIN (customers d LEFT JOIN api_keys k ON k.id = d.key) x (n, key, name, id, kname, type) ON x.n = c.n + 30 LEFT JOIN api_keys k ON k.id = c.key AND x.name IS NULL');
SELECT same_as_local('SELECT c.n, k.type, t.name AS token FROM customers c LEFT JOIN api_keys k ON k.id = c.key LEFT JOIN auth_tokens t ON t.api_key = k.id ORDER BY k.type, t.name, c.n');
SELECT same_as_local('SELECT k.type, count(*), min(c.name) FROM customers c LEFT JOIN api_keys k ON k.id = c.key GROUP BY k.type HAVING count(*) > 1');
SELECT same_as_local('SELECT DISTINCT k.type || c.name AS x FROM customers c LEFT JOIN api_keys k ON k.id = c.key');
SELECT same_as_local('SELECT name FROM customers c WHERE EXISTS (SELECT FROM api_keys k WHERE k.id = c.key AND k.type < c.name)');
SELECT same_as_local('SELECT name FROM customers c WHERE NOT EXISTS (SELECT FROM api_keys k WHERE k.id = c.key AND k.type = ''production'')');
SELECT same_as_local('SELECT * FROM customers c LEFT JOIN api_keys k ON k.id = c.key AND k.api_key_name = (SELECT max(name) FROM customers d WHERE d.n = c.n)');
SELECT same_as_local('SELECT * FROM customers c JOIN api_keys k ON k.id = c.key AND (k.type = ''testing'' OR EXISTS (SELECT FROM customers d WHERE d.n = c.n + 1 AND d.key > k.id))');
SELECT same_as_local('SELECT * FROM customers c JOIN api_keys k ON k.id = c.key AND k.type > (SELECT min(name) FROM customers)');
\! $VELT_SIM reset
-- remote filters: only keys that meet them are asked for
CREATE FUNCTION velt_batch_here.every_third() RETURNS text[] STABLE LANGUAGE sql AS
  $f$SELECT array_agg('velt_api_key_' || lpad(i::text, 6, '0')) FROM generate_series(3, 250, 3) i$f$;
EXPLAIN (COSTS OFF, VERBOSE)
SELECT c.name FROM customers c LEFT JOIN auth_tokens t ON t.api_key = c.key AND t.api_key = ANY (velt_batch_here.every_third())
 WHERE c.n < 9;
SELECT same_as_local('SELECT * FROM customers c LEFT JOIN auth_tokens t ON t.api_key = c.key AND t.api_key = ANY (every_third()) WHERE c.n < 9');
\echo `:keys_asked`
SELECT same_as_local('SELECT * FROM customers c JOIN auth_tokens t ON t.api_key = c.key AND t.api_key = ANY (ARRAY(SELECT key FROM customers)) WHERE c.n IN (3, 9, 14, 21, 31)');
\echo `:keys_asked`
SELECT same_as_local('SELECT * FROM customers c LEFT JOIN api_keys k ON k.id = c.key AND k.id = ANY (ARRAY(SELECT unnest(every_third()))) WHERE c.n IN (3, 9, 14, 21, 31)');
\echo `:filters`
SELECT same_as_local('SELECT * FROM customers c LEFT JOIN api_keys k ON k.id = c.key AND k.workspace_id = ''workspace_demo''');
\echo `:requests`
SELECT same_as_local('SELECT * FROM customers c LEFT JOIN api_keys k ON k.id = c.key AND k.workspace_id = ''workspace_other''');
\echo `:requests`
SELECT same_as_local('SELECT * FROM customers c LEFT JOIN api_keys k ON k.id = c.key AND k.workspace_id = c.name');
\! $VELT_SIM reset
-- keys of other types, and expressions
CREATE COLLATION velt_batch_here.anycase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE velt_batch_here.others (v varchar(30), b char(19), d text COLLATE "C", i int, x text COLLATE velt_batch_here.anycase);
INSERT INTO others SELECT key, key, key, n, upper(key) FROM customers;
ANALYZE others;
SELECT same_as_local('SELECT * FROM others o JOIN api_keys k ON k.id = o.v');
SELECT same_as_local('SELECT * FROM others o JOIN api_keys k ON k.id = o.b');
SELECT same_as_local('SELECT * FROM others o JOIN api_keys k ON k.id = o.d');
SELECT same_as_local('SELECT * FROM others o JOIN api_keys k ON k.id = ''velt_api_key_'' || lpad(o.i::text, 6, ''0'')');
SELECT same_as_local('SELECT * FROM others o LEFT JOIN api_keys k ON k.id = nullif(lower(o.v), ''velt_api_key_000003'')');
SELECT same_as_local('SELECT * FROM others o JOIN customers c ON c.n = o.i JOIN api_keys k ON k.id = coalesce(o.v, c.name)');
-- not where equality means something else, or the value is not known before
SELECT same_as_local('SELECT * FROM others o JOIN api_keys k ON k.id = o.x');
SELECT same_as_local('SELECT * FROM others o JOIN api_keys k ON k.id LIKE o.v');
SELECT same_as_local('SELECT * FROM others o JOIN api_keys k ON k.id = left(k.id, 13) || lpad(o.i::text, 6, ''0'')');
EXPLAIN (COSTS OFF)
SELECT 1 FROM customers c JOIN api_keys k ON k.id = c.key || clock_timestamp()::text;
\! $VELT_SIM reset

-- ----------
-- Columns
-- ----------
SELECT same_as_local('SELECT c, k FROM customers c LEFT JOIN api_keys k ON k.id = c.key');
SELECT same_as_local('SELECT k.* FROM customers c JOIN api_keys k ON k.id = c.key');
SELECT same_as_local('SELECT c.name FROM customers c JOIN api_keys k ON k.id = c.key');
SELECT same_as_local('SELECT 1 AS one FROM customers c JOIN api_keys k ON k.id = c.key');
SELECT same_as_local('SELECT count(*) FROM customers c LEFT JOIN auth_tokens t ON t.api_key = c.key');
SELECT same_as_local('SELECT c.n, k IS NULL AS none, (k).type, upper(k.type) FROM customers c LEFT JOIN api_keys k ON k.id = c.key');
-- expressions from below an outer join are NULL with it
SELECT same_as_local('SELECT c.n, x.one, x.type FROM customers c LEFT JOIN (SELECT 1 AS one, coalesce(type, ''?'') AS type, id FROM api_keys) x ON x.id = c.key');
SELECT same_as_local('SELECT x.one, c.n, k.type FROM (VALUES (1), (2)) v (i) LEFT JOIN (SELECT 1 AS one, n, key FROM customers) c (one, n, key) ON c.n = v.i
  LEFT JOIN api_keys k ON k.id = c.key LEFT JOIN (SELECT 7 AS one, n FROM customers) x ON x.n = c.n');
\! $VELT_SIM reset

-- expressions of the side that the join makes NULL, which are computed with the join, above it or below it
SELECT same_as_local('SELECT a, b, max(c) FROM (SELECT c.name || ''x'' AS a, c.n AS b, lower(k.type) AS c FROM api_keys k RIGHT JOIN customers c ON c.key = k.id) q GROUP BY GROUPING SETS ((a), (b))');
SELECT same_as_local('SELECT a, b, count(*) FROM (SELECT k.type AS a, coalesce(k.id, c.key) AS b FROM customers c LEFT JOIN api_keys k ON k.id = c.key WHERE k.type IS DISTINCT FROM c.name) q GROUP BY ROLLUP (a, b)');
SELECT same_as_local('SELECT q.*, upper(found) FROM customers c LEFT JOIN (SELECT k.id, ''found'' AS found, coalesce(k.type, ''none'') AS kind FROM api_keys k) q ON q.id = c.key');
SELECT same_as_local('SELECT c.n, q.kind, q.token, count(*) FROM customers c LEFT JOIN (SELECT d.n, coalesce(k.type, ''none'') AS kind, k.id || t.name AS token FROM customers d LEFT JOIN api_keys k ON k.id = d.key LEFT JOIN auth_tokens t ON t.api_key = k.id) q ON q.n = c.n + 25 GROUP BY CUBE (c.n, q.kind, q.token)');
\! $VELT_SIM reset
-- ----------
-- First rows early
-- ----------
SELECT count(*) FROM (SELECT k.type FROM customers c JOIN api_keys k ON k.id = c.key LIMIT 1) q;
\echo `$VELT_SIM stats filters.length`
\echo `:requests`
SELECT explain_analyze('SELECT m.n, k.type FROM many m LEFT JOIN api_keys k ON k.id = m.key AND k.type > '''' OFFSET 5 LIMIT 1');
\! $VELT_SIM reset

-- ----------
-- System columns: as those of the table alone
-- ----------
SELECT c.ctid, c.tableoid::regclass, k.ctid, k.tableoid::regclass, k.id
  FROM customers c LEFT JOIN api_keys k ON k.id = c.key WHERE c.n IN (1, 31) ORDER BY c.n;
SELECT ctid, tableoid::regclass, id FROM api_keys WHERE id = 'velt_api_key_000001';
\! $VELT_SIM reset
-- keys of next rows are asked for while rows are looked at
BEGIN;
DECLARE c CURSOR FOR SELECT m.n, k.type FROM many m LEFT JOIN api_keys k ON k.id = m.key;
FETCH 1 FROM c;
\echo `$VELT_SIM stats requests.total`
MOVE 9 FROM c;
\echo `$VELT_SIM stats requests.total`
FETCH 1 FROM c;
\echo `$VELT_SIM wait requests.total 4; $VELT_SIM stats requests.total`
COMMIT;
\! $VELT_SIM reset

-- ----------
-- As part of a query
-- ----------
-- several, stacked
EXPLAIN (COSTS OFF)
SELECT c.name, k.type, t.name FROM customers c LEFT JOIN api_keys k ON k.id = c.key
  LEFT JOIN auth_tokens t ON t.api_key = c.key AND t.name > k.type;
SELECT same_as_local('SELECT c.name, k.type, t.name AS token FROM customers c LEFT JOIN api_keys k ON k.id = c.key
  LEFT JOIN auth_tokens t ON t.api_key = c.key AND t.name > k.type');
\echo `:requests`
SELECT same_as_local('SELECT c.name, k.type, l.type AS other FROM customers c JOIN api_keys k ON k.id = c.key
  LEFT JOIN customers d ON d.n = c.n + 1 LEFT JOIN api_keys l ON l.id = d.key');
SELECT same_as_local('SELECT c.name FROM customers c WHERE EXISTS (SELECT FROM api_keys k WHERE k.id = c.key)
   AND NOT EXISTS (SELECT FROM auth_tokens t WHERE t.api_key = c.key)');
SELECT same_as_local('SELECT c.name, x.* FROM customers c
  LEFT JOIN (customers d JOIN api_keys k ON k.id = d.key) x ON x.name = c.name');
-- the outer side is foreign, too
EXPLAIN (COSTS OFF)
SELECT k.id, t.name FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id
 WHERE k.id = ANY (every_third()) AND t.name <> 'x' FOR UPDATE OF k;
SELECT k.id, t.name FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id
 WHERE k.id = ANY (ARRAY(SELECT key FROM customers WHERE n < 3)) FOR UPDATE OF k;
\! $VELT_SIM reset
-- partitions
CREATE TABLE velt_batch_here.parts (n int, key text) PARTITION BY RANGE (n);
CREATE TABLE velt_batch_here.part1 PARTITION OF parts FOR VALUES FROM (1) TO (20);
CREATE TABLE velt_batch_here.part2 PARTITION OF parts FOR VALUES FROM (20) TO (100);
INSERT INTO parts SELECT n, key FROM customers;
ANALYZE parts;
SELECT same_as_local('SELECT * FROM parts p LEFT JOIN api_keys k ON k.id = p.key');
\echo `:requests`
SET enable_partitionwise_join = on;
SELECT same_as_local('SELECT * FROM parts p LEFT JOIN api_keys k ON k.id = p.key');
RESET enable_partitionwise_join;
CREATE TABLE velt_batch_here.by_workspace (workspace_id text, key text, n int) PARTITION BY LIST (workspace_id);
CREATE TABLE velt_batch_here.by_workspace1 PARTITION OF by_workspace FOR VALUES IN ('workspace_demo');
CREATE TABLE velt_batch_here.by_workspace2 PARTITION OF by_workspace FOR VALUES IN ('workspace_other');
INSERT INTO by_workspace SELECT CASE WHEN n % 2 = 0 THEN 'workspace_demo' ELSE 'workspace_other' END, key, n FROM customers;
ANALYZE by_workspace;
CREATE TABLE velt_batch.keys (id text, type text, workspace_id text) PARTITION BY LIST (workspace_id);
CREATE FOREIGN TABLE velt_batch.keys1 PARTITION OF velt_batch.keys FOR VALUES IN ('workspace_demo') SERVER velt OPTIONS (resource 'api_keys', workspace_id 'workspace_demo');
CREATE TABLE velt_batch.keys2 PARTITION OF velt_batch.keys FOR VALUES IN ('workspace_other');
INSERT INTO velt_batch.keys VALUES ('velt_api_key_000003', 'other', 'workspace_other');
CREATE TABLE velt_batch_local.keys AS SELECT * FROM velt_batch.keys;
SET enable_partitionwise_join = on;
SET enable_hashjoin = off; SET enable_mergejoin = off;
SELECT same_as_local('SELECT b, k FROM by_workspace b LEFT JOIN keys k ON k.id = b.key AND k.workspace_id = b.workspace_id');
RESET enable_hashjoin; RESET enable_mergejoin;
SELECT same_as_local('SELECT b.n, k.type FROM by_workspace b JOIN keys k ON k.id = b.key AND k.workspace_id = b.workspace_id');
RESET enable_partitionwise_join;
\! $VELT_SIM reset
-- a foreign table with children, and one that cannot have rows
CREATE FOREIGN TABLE velt_batch.parent (id text, type text) SERVER velt OPTIONS (resource 'api_keys');
CREATE FOREIGN TABLE velt_batch.parent_tokens (api_key text, name text) SERVER velt OPTIONS (resource 'auth_tokens');
CREATE TABLE velt_batch_local.parent AS SELECT * FROM parent;
CREATE TABLE velt_batch_local.parent_tokens AS SELECT * FROM parent_tokens;
ALTER FOREIGN TABLE velt_batch.parent ADD CHECK (type <> 'x');
SET constraint_exclusion = on;
SELECT same_as_local('SELECT * FROM customers c LEFT JOIN parent k ON k.id = c.key AND k.type = ''x''');
SELECT same_as_local('SELECT * FROM parent_tokens t LEFT JOIN parent k ON k.id = t.api_key AND k.type = ''x''');
RESET constraint_exclusion;
CREATE TABLE velt_batch.child () INHERITS (velt_batch.parent);
CREATE TABLE velt_batch.child_tokens () INHERITS (velt_batch.parent_tokens);
SELECT same_as_local('SELECT * FROM customers c LEFT JOIN parent k ON k.id = c.key');
SELECT same_as_local('SELECT * FROM parent k JOIN parent_tokens t ON t.api_key = k.id');
SELECT same_as_local('SELECT * FROM customers c LEFT JOIN ONLY parent k ON k.id = c.key');
\! $VELT_SIM reset
-- parallel workers below
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SET enable_indexscan = off; SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF)
SELECT k.type FROM many m JOIN api_keys k ON k.id = m.key WHERE m.n > 25;
SELECT same_as_local('SELECT m.n, k.type FROM many m JOIN api_keys k ON k.id = m.key WHERE m.n > 25');
\echo `:requests`
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size;
RESET enable_indexscan; RESET enable_bitmapscan;
-- rescans: what was answered is not asked for again
SET enable_material = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
EXPLAIN (COSTS OFF)
SELECT count(*) FROM (VALUES ('a'), ('b'), ('c')) v (x) LEFT JOIN (SELECT c.name, k.type FROM customers c JOIN api_keys k ON k.id = c.key OFFSET 0) y ON y.name > v.x;
SELECT same_as_local('SELECT count(*) FROM (VALUES (''a''), (''b''), (''c'')) v (x) LEFT JOIN (SELECT c.name, k.type FROM customers c JOIN api_keys k ON k.id = c.key OFFSET 0) y ON y.name > v.x');
\echo `:requests`
RESET enable_material; RESET enable_hashjoin; RESET enable_mergejoin;
-- nor with other parameters of the outer side
SELECT same_as_local('SELECT v.i, (SELECT count(k.type) FROM customers c JOIN api_keys k ON k.id = c.key WHERE c.n % 3 = v.i) FROM generate_series(0, 2) v (i)');
\echo `:requests`
-- but with others of the Velt table
SELECT same_as_local('SELECT v.i, (SELECT count(k.type) FROM customers c JOIN api_keys k ON k.id = c.key AND k.api_key_name > v.i::text AND c.n > 0) FROM generate_series(1, 3) v (i)');
\echo `:requests`
SELECT same_as_local('SELECT v.i, (SELECT count(t.name) FROM customers c JOIN auth_tokens t ON t.api_key = c.key AND t.api_key = ANY (every_third() || (''velt_api_key_00000'' || v.i)) WHERE c.n < 5) FROM generate_series(1, 3) v (i)');
\echo `:keys_asked`
SELECT same_as_local('SELECT v.i, x.* FROM generate_series(1, 3) v (i), LATERAL (SELECT c.n, k.type FROM customers c LEFT JOIN api_keys k ON k.id = c.key AND c.n > v.i LIMIT 100) x');
SELECT same_as_local('SELECT v.i, x.* FROM generate_series(1, 3) v (i), LATERAL (SELECT k.type FROM customers c JOIN api_keys k ON k.id = c.key AND c.n > v.i ORDER BY c.n LIMIT 1) x');
\! $VELT_SIM reset
-- parameters
PREPARE named (text, text) AS
  SELECT count(*), count(k.type) FROM customers c LEFT JOIN api_keys k ON k.id = c.key AND k.type = $1
   WHERE c.name <> $2;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF, VERBOSE) EXECUTE named ('production', 'x');
EXECUTE named ('production', 'customer 2');
EXECUTE named ('testing', 'customer 2');
EXECUTE named (NULL, 'x');
SET plan_cache_mode = force_custom_plan;
EXECUTE named ('production', 'customer 2');
RESET plan_cache_mode;
-- conditions of no table, below an outer join: the scan is behind a gate
PREPARE gated (text) AS
  SELECT count(*), count(k.type) FROM customers c
    LEFT JOIN (SELECT * FROM api_keys WHERE $1 <> 'nothing') k ON k.id = c.key;
SET plan_cache_mode = force_generic_plan;
EXECUTE gated ('all');
EXECUTE gated ('nothing');
PREPARE twice (text, text) AS
  SELECT count(*), count(k.type) FROM customers c LEFT JOIN api_keys k ON k.id = c.key AND k.id = $1 AND k.id = $2;
EXECUTE twice ('velt_api_key_000007', 'velt_api_key_000007');
EXECUTE twice ('velt_api_key_000007', 'velt_api_key_000001');
RESET plan_cache_mode;
PREPARE keyed (text[], text) AS
  SELECT c.n, k.id FROM customers c LEFT JOIN api_keys k ON k.id = c.key || $2 AND k.id = ANY ($1) WHERE c.n < 4 ORDER BY 1;
SET plan_cache_mode = force_generic_plan;
EXECUTE keyed ('{velt_api_key_000001,velt_api_key_000003}', '');
EXECUTE keyed ('{velt_api_key_000002}', '');
EXECUTE keyed ('{velt_api_key_000002}', NULL);
EXECUTE keyed (NULL, '');
RESET plan_cache_mode;
\! $VELT_SIM reset
-- backwards
BEGIN;
EXPLAIN (COSTS OFF) DECLARE s SCROLL CURSOR FOR SELECT c.n, k.id FROM customers c LEFT JOIN api_keys k ON k.id = c.key ORDER BY 1;
EXPLAIN (COSTS OFF) DECLARE s SCROLL CURSOR FOR SELECT c.n, k.id FROM customers c LEFT JOIN api_keys k ON k.id = c.key;
DECLARE s SCROLL CURSOR FOR SELECT c.n, k.id FROM customers c LEFT JOIN api_keys k ON k.id = c.key;
FETCH 2 FROM s;
FETCH LAST FROM s;
FETCH BACKWARD 2 FROM s;
FETCH ABSOLUTE 1 FROM s;
\echo `:requests`
DECLARE w CURSOR FOR SELECT c.n FROM customers c JOIN api_keys k ON k.id = c.key WHERE c.n < 4 FOR UPDATE OF c;
FETCH 2 FROM w;
UPDATE customers SET name = 'current' WHERE CURRENT OF w;
SELECT n FROM customers WHERE name = 'current';
ROLLBACK;
\! $VELT_SIM reset
-- rows that are to be locked or changed
EXPLAIN (COSTS OFF, VERBOSE)
UPDATE customers c SET name = k.type FROM api_keys k WHERE k.id = c.key;
BEGIN;
UPDATE customers c SET name = k.type FROM api_keys k WHERE k.id = c.key;
UPDATE customers c SET name = c.name || ' ' || t.api_key FROM auth_tokens t WHERE t.api_key = c.key AND t.name LIKE '%1' AND c.n < 4 RETURNING c.name, t.name, t IS NULL;
SELECT name, count(*) FROM customers GROUP BY 1 ORDER BY 1;
DELETE FROM customers c USING api_keys k WHERE k.id = c.key AND k.type = 'testing';
DELETE FROM customers c WHERE NOT EXISTS (SELECT FROM api_keys k WHERE k.id = c.key);
SELECT count(*) FROM customers;
UPDATE customers c SET name = 'token' WHERE EXISTS (SELECT FROM auth_tokens t WHERE t.api_key = c.key);
SELECT name, count(*) FROM customers GROUP BY 1 ORDER BY 1;
ROLLBACK;
BEGIN;
MERGE INTO customers c USING api_keys k ON k.id = c.key
  WHEN MATCHED AND k.type = 'production' THEN DELETE WHEN MATCHED THEN UPDATE SET name = k.type;
SELECT count(*), count(*) FILTER (WHERE name = 'testing') FROM customers;
MERGE INTO customers c USING (SELECT * FROM api_keys WHERE id < 'velt_api_key_000005') k ON k.id = c.key
  WHEN MATCHED THEN UPDATE SET name = 'merged' WHEN NOT MATCHED THEN INSERT VALUES (100 + right(k.id, 1)::int, k.id, 'new');
SELECT name, count(*) FROM customers WHERE name IN ('merged', 'new') GROUP BY 1 ORDER BY 1;
ROLLBACK;
-- also of tables with partitions, where no batched join can pass on which row it was
CREATE TABLE velt_batch_here.ledger (n int, key text, name text) PARTITION BY RANGE (n);
CREATE TABLE velt_batch_here.ledger_low PARTITION OF ledger FOR VALUES FROM (1) TO (16);
CREATE TABLE velt_batch_here.ledger_high PARTITION OF ledger DEFAULT;
INSERT INTO ledger SELECT * FROM customers;
ANALYZE ledger;
\! $VELT_SIM reset
SELECT batched_joins('UPDATE ledger l SET name = k.type FROM api_keys k WHERE k.id = l.key');
SELECT batched_joins('DELETE FROM ledger l USING auth_tokens t WHERE t.api_key = l.key');
SELECT batched_joins('MERGE INTO ledger l USING api_keys k ON k.id = l.key WHEN MATCHED THEN DELETE');
-- unless the batched join is of other tables
SELECT batched_joins('UPDATE ledger l SET name = k.type FROM customers c JOIN api_keys k ON k.id = c.key WHERE l.n = c.n');
BEGIN;
UPDATE ledger l SET name = k.type FROM api_keys k WHERE k.id = l.key;
DELETE FROM ledger l USING auth_tokens t WHERE t.api_key = l.key AND t.name LIKE '%1' AND l.name = 'testing';
MERGE INTO ledger l USING api_keys k ON k.id = l.key AND l.n < 10 WHEN MATCHED THEN UPDATE SET n = 40 + l.n;
SELECT tableoid::regclass, name, count(*) FROM ledger GROUP BY 1, 2 ORDER BY 1, 2;
ROLLBACK;
\! $VELT_SIM reset
SELECT c.n, k.type FROM customers c LEFT JOIN api_keys k ON k.id = c.key WHERE c.n IN (1, 2, 31) ORDER BY 1 FOR UPDATE OF c;
SELECT c.n, k.type FROM customers c JOIN api_keys k ON k.id = c.key WHERE c.n < 3 ORDER BY 1 FOR SHARE;
\! $VELT_SIM reset
-- the owner of a view is who asks
CREATE ROLE velt_batch_reader;
GRANT USAGE ON SCHEMA velt_batch, velt_batch_here TO velt_batch_reader;
GRANT SELECT ON customers TO velt_batch_reader;
CREATE VIEW velt_batch.owned WITH (security_barrier) AS SELECT id, type FROM api_keys WHERE type <> 'x';
CREATE VIEW velt_batch.plain AS SELECT id, type FROM api_keys;
GRANT SELECT ON velt_batch.owned, velt_batch.plain TO velt_batch_reader;
SET ROLE velt_batch_reader;
EXPLAIN (COSTS OFF) SELECT c.n, k.type FROM customers c LEFT JOIN plain k ON k.id = c.key;
SELECT c.n, k.type FROM customers c LEFT JOIN plain k ON k.id = c.key ORDER BY 1 LIMIT 2;
SELECT c.n, k.type FROM customers c LEFT JOIN owned k ON k.id = c.key ORDER BY 1 LIMIT 2;
SELECT c.n FROM customers c JOIN api_keys k ON k.id = c.key;
RESET ROLE;
DROP OWNED BY velt_batch_reader;
DROP ROLE velt_batch_reader;
\! $VELT_SIM reset

-- ----------
-- EXPLAIN and settings
-- ----------
CREATE FUNCTION velt_batch_here.batch_node(format text, options text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  line text;
  plan text := '';
BEGIN
  FOR line IN EXECUTE format('EXPLAIN (COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF, FORMAT %s%s)
    SELECT k.type FROM customers c JOIN api_keys k ON k.id = c.key', format, options) LOOP
    plan := plan || regexp_replace(line, '(actual rows=\d+)\.00', '\1') || E'\n';
  END LOOP;
  RETURN QUERY SELECT regexp_replace(trim(l), '(Bytes[- ]Received)(": |: |>)[0-9]+', '\1\2N') FROM regexp_split_to_table(plan, E'\n') l WHERE l LIKE '%Velt%' OR l LIKE '%Custom%' OR l LIKE '%POST%';
END $$;
SELECT batch_node('TEXT', ', ANALYZE');
SELECT batch_node('JSON', ', ANALYZE, VERBOSE');
SELECT batch_node('XML', ', ANALYZE');
SELECT batch_node('YAML', '');
\! $VELT_SIM reset
-- all requests are in flight before the first is answered
\! $VELT_SIM config '{"latency_ms": 100}'
SELECT explain_analyze('SELECT c.n FROM customers c JOIN auth_tokens t ON t.api_key = c.key WHERE c.n < 9');
\! $VELT_SIM config '{"latency_ms": null}'
\echo `:requests`
-- never executed
SELECT explain_analyze('SELECT c.n FROM customers c LEFT JOIN auth_tokens t ON t.api_key = c.key AND t.name > ''a'' LIMIT 0');
\echo `:requests`
SET velt_fdw.enable_batch_join = off;
EXPLAIN (COSTS OFF, SETTINGS)
SELECT k.type FROM customers c JOIN api_keys k ON k.id = c.key;
SELECT same_as_local('SELECT * FROM customers c LEFT JOIN api_keys k ON k.id = c.key');
SELECT same_as_local('SELECT * FROM customers c LEFT JOIN auth_tokens t ON t.api_key = c.key');
RESET velt_fdw.enable_batch_join;
SET velt_fdw.no_such_setting = 1;
-- before the library is loaded
\c -
SET search_path = velt_batch, velt_batch_here;
SET velt_fdw.enable_batch_join = off;
SET velt_fdw.no_such_setting = 1;
EXPLAIN (COSTS OFF) SELECT k.type FROM customers c JOIN api_keys k ON k.id = c.key;
SHOW velt_fdw.enable_batch_join;
SHOW velt_fdw.no_such_setting;
RESET velt_fdw.enable_batch_join;
EXPLAIN (COSTS OFF) SELECT k.type FROM customers c JOIN api_keys k ON k.id = c.key;
\! $VELT_SIM reset

-- ----------
-- Errors, and strange answers
-- ----------
ALTER SERVER velt OPTIONS (ADD retry_timeout '0');
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "nth": 2, "do": {"error": "INTERNAL", "message": "broken"}}]'
SELECT m.n, k.type FROM many m LEFT JOIN api_keys k ON k.id = m.key AND k.type > 'a' OFFSET 249;
\! $VELT_SIM reset
\! $VELT_SIM faults '[{"endpoint": "authtokens/get", "key": "velt_api_key_000004", "do": {"status": 503}}]'
\set SHOW_CONTEXT always
SELECT c.n, t.name FROM customers c JOIN auth_tokens t ON t.api_key = c.key WHERE c.n = 4;
\echo :LAST_ERROR_SQLSTATE
\set SHOW_CONTEXT errors
-- others go on
SELECT same_as_local('SELECT * FROM customers c JOIN auth_tokens t ON t.api_key = c.key WHERE c.n < 4 OR c.n > 30');
\! $VELT_SIM faults '[]'
-- rows that were not asked for, of no key, and twice the same
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "do": {"edit": [["/result/data/0", {"id": "velt_api_key_000200", "type": "testing"}], ["/result/data/1", {"type": "testing"}], ["/result/data/2", {"id": null, "type": "testing"}]]}}]'
SELECT count(*), count(k.id), count(DISTINCT k.id) FROM customers c LEFT JOIN api_keys k ON k.id = c.key;
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "do": {"edit": [["/result/data/0/id", "velt_api_key_000002"]]}}]'
SELECT c.n, k.id FROM customers c LEFT JOIN api_keys k ON k.id = c.key WHERE c.n < 3 ORDER BY 1;
SELECT c.n, k.id FROM customers c LEFT JOIN api_keys k ON k.id = c.key WHERE c.n = 3 ORDER BY 1;
\! $VELT_SIM reset
\! $VELT_SIM faults '[{"endpoint": "authtokens/get", "key": "velt_api_key_000002", "do": {"edit": [["/result/data/apiKey", "velt_api_key_000001"]]}}]'
SELECT c.n, t.name FROM customers c JOIN auth_tokens t ON t.api_key = c.key WHERE c.n = 2;
\! $VELT_SIM faults '[]'
-- filters answered in pages, empty ones among them; one of no key not at all
\! $VELT_SIM config '{"modes": {"page_cap": 3, "empty_pages": 1}}'
SELECT same_as_local('SELECT * FROM customers c LEFT JOIN api_keys k ON k.id = c.key');
\! $VELT_SIM config '{"modes": {"unknown_ids": "not_found", "order": "shuffled"}}'
SELECT same_as_local('SELECT * FROM customers c LEFT JOIN api_keys k ON k.id = c.key');
SELECT same_as_local('SELECT * FROM customers c LEFT JOIN auth_tokens t ON t.api_key = c.key');
\! $VELT_SIM config '{"modes": {"error_http": "200"}}'
SELECT same_as_local('SELECT * FROM customers c LEFT JOIN api_keys k ON k.id = c.key');
\! $VELT_SIM config '{"modes": {"page_cap": 0, "empty_pages": 0, "unknown_ids": "omit", "order": "sorted", "error_http": "mapped"}}'
-- limits of requests
ALTER FOREIGN TABLE auth_tokens OPTIONS (ADD max_requests '20');
SELECT count(*) FROM customers c JOIN auth_tokens t ON t.api_key = c.key WHERE c.n < 20;
SELECT count(*) FROM customers c JOIN auth_tokens t ON t.api_key = c.key;
ALTER FOREIGN TABLE auth_tokens OPTIONS (DROP max_requests);
-- a value that does not fit
CREATE FOREIGN TABLE velt_batch.numbers (id text, type int) SERVER velt OPTIONS (resource 'api_keys');
SELECT c.n, k.type FROM customers c JOIN numbers k ON k.id = c.key;
-- another workspace than the table is for
ALTER FOREIGN TABLE api_keys OPTIONS (workspace_id 'workspace_other');
SELECT c.n, k.type FROM customers c JOIN api_keys k ON k.id = c.key;
ALTER FOREIGN TABLE api_keys OPTIONS (DROP workspace_id);
-- a workspace that does not exist is not one without such keys
ALTER USER MAPPING FOR CURRENT_USER SERVER velt OPTIONS (SET workspace_id 'workspace_none');
\! $VELT_SIM reset
SELECT c.n, t.name FROM customers c LEFT JOIN auth_tokens t ON t.api_key = c.key WHERE c.n < 3;
\echo `:requests`
ALTER USER MAPPING FOR CURRENT_USER SERVER velt OPTIONS (SET workspace_id 'workspace_demo');
-- below an Append that waits for several at once
SELECT same_as_local('SELECT id FROM api_keys UNION ALL SELECT k.type FROM customers c JOIN api_keys k ON k.id = c.key UNION ALL SELECT name FROM auth_tokens');
SELECT same_as_local('SELECT * FROM (SELECT id FROM api_keys UNION ALL SELECT key FROM customers) u JOIN auth_tokens t ON t.api_key = u.id');
\! $VELT_SIM reset
-- wide rows are few at a time, but not asked for one by one
SELECT count(k.id), sum(length(w.wide)) FROM (SELECT key, repeat(md5(key), 320) AS wide FROM many OFFSET 0) w JOIN api_keys k ON k.id = w.key;
\set n `$VELT_SIM stats requests.total`
SELECT :n <= 10 AS few;
\! $VELT_SIM reset

RESET search_path;
SET client_min_messages = warning;
DROP EXTENSION velt_fdw CASCADE;
DROP SCHEMA velt_batch, velt_batch_local, velt_batch_here CASCADE;
