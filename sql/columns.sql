--
-- Columns that match nothing of the resource: queries that use them fail, after
-- the privilege check; all others work.
--
\getenv url VELT_SIM_URL
-- the requests made since the last time
\set requests '$VELT_SIM stats requests && $VELT_SIM reset'
SET client_min_messages = warning;
CREATE EXTENSION velt_fdw;
RESET client_min_messages;
CREATE SERVER velt FOREIGN DATA WRAPPER velt_fdw OPTIONS (api_url :'url');
CREATE USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (workspace_id 'workspace_demo',
           auth_token 'demo-token-0123456789abcdef');
CREATE SCHEMA velt_columns;
SET search_path = velt_columns;

CREATE FOREIGN TABLE keys (id text, type text, color text)
  SERVER velt OPTIONS (resource 'api_keys');
CREATE FOREIGN TABLE tokens (api_key text, name text, color text)
  SERVER velt OPTIONS (resource 'auth_tokens');
CREATE TABLE customers AS
  SELECT n, format('velt_api_key_%s', lpad(n::text, 6, '0')) AS key
    FROM generate_series(1, 3) AS n;
ANALYZE customers;
CREATE TABLE parent (id text, workspace_id text)
  PARTITION BY LIST (workspace_id);
CREATE TABLE of_others PARTITION OF parent FOR VALUES IN ('workspace_other');
CREATE FOREIGN TABLE of_ours PARTITION OF parent
  FOR VALUES IN ('workspace_demo')
  SERVER velt OPTIONS (resource 'api_keys', workspace_id 'workspace_demo');
INSERT INTO of_others VALUES ('another', 'workspace_other');
-- a column that the partition of the API does not have
ALTER TABLE parent ADD color text DEFAULT 'red';

-- ----------
-- Queries that do not use it
-- ----------
SELECT count(*) FROM keys;
SELECT id FROM keys ORDER BY id LIMIT 1;
SELECT id FROM keys WHERE id = 'velt_api_key_000002';
SELECT count(*), count(id), min(workspace_id) FROM parent;
SELECT count(color) FROM parent WHERE workspace_id = 'workspace_other';
\echo `:requests`
-- joins: pushed down, in batches, and with the partitions
SELECT k.type, count(t.name) FROM keys k JOIN tokens t ON t.api_key = k.id
 GROUP BY 1 ORDER BY 1;
SELECT c.n, k.type, t.name FROM customers c LEFT JOIN keys k ON k.id = c.key
  LEFT JOIN tokens t ON t.api_key = c.key ORDER BY 1, 3;
SELECT c.n, p.id FROM customers c LEFT JOIN parent p ON p.id = c.key
 ORDER BY 1;
\echo `:requests`
EXPLAIN (COSTS OFF) SELECT id FROM keys;
PREPARE ids AS SELECT count(id) FROM keys;
EXECUTE ids;
\echo `:requests`

-- PostgreSQL copies whole rows of the tables that are only read or only locked
-- to check changed rows of others again: the query itself does not use them.
BEGIN;
SELECT id FROM keys WHERE id = 'velt_api_key_000002' FOR UPDATE;
SELECT count(*) FROM (SELECT id FROM parent FOR UPDATE) p;
SELECT c.n, k.id FROM customers c JOIN keys k ON k.id = c.key ORDER BY 1
   FOR UPDATE;
WITH changed AS (UPDATE customers c SET n = n FROM keys k WHERE k.id = c.key
                 RETURNING c.n, k.type)
SELECT * FROM changed ORDER BY 1;
WITH changed AS (UPDATE customers c SET n = n FROM parent p WHERE p.id = c.key
                 RETURNING c.n, p.tableoid::regclass)
SELECT * FROM changed ORDER BY 1;
UPDATE customers c SET n = n FROM (
  SELECT * FROM keys UNION ALL SELECT api_key, name, color FROM tokens) u
 WHERE u.id = c.key;
DELETE FROM customers c USING keys k LEFT JOIN tokens t ON t.api_key = k.id
 WHERE k.id = c.key;
ROLLBACK;
MERGE INTO customers c USING keys k ON k.id = c.key
 WHEN MATCHED THEN UPDATE SET n = n;
\echo `:requests`

-- For ANALYZE, it is NULL.
ANALYZE keys, parent;
ANALYZE keys (color);
SELECT tablename, attname, inherited, round(null_frac) AS nulls FROM pg_stats
 WHERE schemaname = 'velt_columns' ORDER BY 1, 2, 3;
\echo `:requests`

-- ----------
-- Queries that use it
-- ----------
SELECT color FROM keys;
\echo :SQLSTATE
EXPLAIN SELECT color FROM keys;
SELECT * FROM parent;
\set VERBOSITY terse
SELECT * FROM keys;
SELECT count(color) FROM parent;
SELECT id FROM keys WHERE color IS NULL;
SELECT id FROM keys WHERE id = 'velt_api_key_000001' AND color = 'red';
SELECT id FROM parent WHERE color = 'red';
SELECT id FROM keys ORDER BY color;
PREPARE colors AS SELECT color FROM keys;
EXECUTE colors;
-- in a row as a whole
SELECT k FROM keys k;
SELECT count(p) FROM parent p;
SELECT id FROM keys k WHERE k IS NOT NULL;
SELECT id FROM keys k ORDER BY k;
-- in joins
SELECT t.color FROM keys k JOIN tokens t ON t.api_key = k.id;
SELECT k FROM keys k JOIN tokens t ON t.api_key = k.id;
SELECT k.id FROM keys k JOIN tokens t ON t.api_key = k.id AND t.name < k.color;
SELECT c.n, k.color FROM customers c LEFT JOIN keys k ON k.id = c.key;
SELECT c.n FROM customers c LEFT JOIN tokens t ON t.api_key = c.key
 WHERE t IS NULL;
-- together with the copy of a row
SELECT id, k FROM keys k FOR UPDATE;
SELECT id FROM keys k ORDER BY k FOR UPDATE;
SELECT id FROM keys k WHERE k IS NOT NULL FOR UPDATE;
SELECT p FROM parent p FOR UPDATE;
SELECT id, color FROM keys FOR UPDATE;
SELECT c.n, l FROM customers c, keys k, LATERAL (SELECT k OFFSET 0) l
   FOR UPDATE OF c;
SELECT c.n, (SELECT to_json(k)) FROM customers c, keys k FOR UPDATE OF c;
UPDATE customers c SET n = n FROM keys k WHERE k.id = c.key RETURNING k;
UPDATE customers c SET n = n FROM parent p WHERE p.id = c.key RETURNING p;
UPDATE customers c SET n = length(k::text) FROM keys k WHERE k.id = c.key;
UPDATE customers c SET n = n FROM (
  SELECT * FROM keys UNION ALL SELECT api_key, name, color FROM tokens) u
 WHERE u.id = c.key RETURNING u;
MERGE INTO customers c USING keys k ON k.id = c.key
 WHEN MATCHED THEN UPDATE SET n = length(k::text);
MERGE INTO customers c USING keys k ON k.id = c.key
 WHEN MATCHED AND k IS NOT NULL THEN DELETE;
-- none of them made a request
\echo `:requests`

-- ----------
-- Privileges come first
-- ----------
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_velt_reader;
RESET client_min_messages;
CREATE ROLE regress_velt_reader;
CREATE VIEW everything WITH (security_barrier) AS SELECT * FROM keys;
CREATE VIEW invoked WITH (security_invoker) AS SELECT * FROM keys;
GRANT USAGE ON SCHEMA velt_columns TO regress_velt_reader;
GRANT SELECT ON everything, invoked TO regress_velt_reader;
GRANT SELECT (id) ON keys TO regress_velt_reader;
SET ROLE regress_velt_reader;
SELECT color FROM keys;
SELECT keys FROM keys;
SELECT name FROM tokens;
SELECT color FROM tokens;
EXPLAIN SELECT color FROM tokens;
SELECT * FROM parent;
SELECT color FROM invoked;
EXECUTE colors;
-- a view reads with the privileges of its owner
SELECT count(id) FROM everything;
SELECT color FROM everything;
-- this query passes the check
\set VERBOSITY sqlstate
SELECT id FROM keys;
RESET ROLE;
\echo `:requests`

-- ----------
-- Mended
-- ----------
\set VERBOSITY default
ALTER FOREIGN TABLE of_ours ALTER color OPTIONS (json_pointer '/type');
SELECT * FROM parent WHERE id <= 'velt_api_key_000002' ORDER BY id;
SELECT p FROM parent p WHERE id = 'velt_api_key_000001' FOR UPDATE;
DROP VIEW everything, invoked;
ALTER FOREIGN TABLE keys DROP color;
SELECT k FROM keys k WHERE id = 'velt_api_key_000001' FOR UPDATE;
\echo `:requests`

-- A column that is computed where rows are written is as any other here.
CREATE FOREIGN TABLE generated (
  id text,
  color text GENERATED ALWAYS AS (upper(id)) STORED,
  type text GENERATED ALWAYS AS (lower(id)) STORED
) SERVER velt OPTIONS (resource 'api_keys');
SELECT id, type FROM generated WHERE id = 'velt_api_key_000001';
\set VERBOSITY terse
SELECT color FROM generated;
\echo `:requests`

RESET search_path;
SET client_min_messages = warning;
DROP EXTENSION velt_fdw CASCADE;
DROP SCHEMA velt_columns CASCADE;
DROP OWNED BY regress_velt_reader;
DROP ROLE regress_velt_reader;
