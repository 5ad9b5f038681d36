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
-- a workspace that does not exist is not one without such keys
ALTER USER MAPPING FOR CURRENT_USER SERVER velt OPTIONS (SET workspace_id 'workspace_none');
\! $VELT_SIM reset
SELECT c.n, t.name FROM customers c LEFT JOIN auth_tokens t ON t.api_key = c.key WHERE c.n < 3;
\echo `:requests`
ALTER USER MAPPING FOR CURRENT_USER SERVER velt OPTIONS (SET workspace_id 'workspace_demo');
-- wide rows are few at a time, but not asked for one by one
SELECT count(k.id), sum(length(w.wide)) FROM (SELECT key, repeat(md5(key), 320) AS wide FROM many OFFSET 0) w JOIN api_keys k ON k.id = w.key;
\set n `$VELT_SIM stats requests.total`
SELECT :n <= 10 AS few;
\! $VELT_SIM reset

RESET search_path;
SET client_min_messages = warning;
DROP EXTENSION velt_fdw CASCADE;
DROP SCHEMA velt_batch, velt_batch_local, velt_batch_here CASCADE;
