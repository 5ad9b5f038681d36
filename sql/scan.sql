--
-- Scans: which rows come up, and how many requests they cost.
--
\getenv url VELT_SIM_URL
-- what was asked of the API since the last time
\set requests '$VELT_SIM stats requests && $VELT_SIM reset'
\set asked '$VELT_SIM stats keys_asked'
\set filters '$VELT_SIM stats filters'
\! $VELT_SIM config '{"workspaces": {"ws_100": {"keys": 100}, "ws_101": {"keys": 101}, "ws_250": {"keys": 250}, "ws_empty": {"keys": 0}, "ws_gone": {"keys": 5, "vanished": ["velt_api_key_000002", "velt_api_key_000004"]}}}'
SET client_min_messages = warning;
CREATE EXTENSION velt_fdw;
RESET client_min_messages;
CREATE SCHEMA velt_scan;
SET search_path = velt_scan;
CREATE SERVER velt FOREIGN DATA WRAPPER velt_fdw OPTIONS (api_url :'url');
CREATE USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (workspace_id 'workspace_demo',
           auth_token 'demo-token-0123456789abcdef');
IMPORT FOREIGN SCHEMA workspace FROM SERVER velt INTO velt_scan;

-- ----------
-- workspaces
-- ----------
SELECT id, name, owner_id, owner_email, owner_name, owner_avatar, auth_token
  FROM workspaces;
\echo `:requests`
SELECT count(*), min(key), max(value ->> 'apiKeyName')
  FROM workspaces, jsonb_each(api_key_list);
\echo `:requests`
SELECT owner_avatar = '' AS empty_is_not_null FROM workspaces
 WHERE id = 'workspace_demo';
SELECT id FROM workspaces WHERE id = 'another';
\echo `:requests`

-- ----------
-- api_keys, over pages
-- ----------
SELECT * FROM api_keys ORDER BY id LIMIT 4;
\echo `:requests`
SELECT count(*), count(DISTINCT id), min(id), max(id) FROM api_keys;
\echo `:requests`
CREATE FOREIGN TABLE keys_by_seven (id text) SERVER velt
  OPTIONS (resource 'api_keys', page_size '7');
SELECT count(*), count(DISTINCT id), min(id), max(id) FROM keys_by_seven;
\! $VELT_SIM stats page_sizes
\echo `:requests`
-- the table's page size goes before the server's
ALTER SERVER velt OPTIONS (page_size '10');
SELECT count(*) FROM api_keys;
\! $VELT_SIM stats page_sizes
\echo `:requests`
SELECT count(*) FROM keys_by_seven;
\echo `:requests`
ALTER SERVER velt OPTIONS (SET page_size '1');
SELECT count(*), min(id), max(id) FROM api_keys;
\echo `:requests`
ALTER SERVER velt OPTIONS (DROP page_size);
ALTER USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (SET workspace_id 'ws_100', SET auth_token 'token-ws_100');
SELECT count(*), count(DISTINCT id), min(id), max(id) FROM api_keys;
\echo `:requests`
ALTER USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (SET workspace_id 'ws_101', SET auth_token 'token-ws_101');
SELECT count(*), count(DISTINCT id), min(id), max(id) FROM api_keys;
\echo `:requests`
ALTER USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (SET workspace_id 'ws_250', SET auth_token 'token-ws_250');
SELECT count(*), count(DISTINCT id), min(id), max(id) FROM api_keys;
\echo `:requests`
SELECT count(*), count(DISTINCT id), min(id), max(id) FROM keys_by_seven;
\echo `:requests`
SELECT count(*), count(DISTINCT api_key), count(DISTINCT token)
  FROM auth_tokens;
\echo `:requests`
ALTER USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (SET workspace_id 'ws_empty', SET auth_token 'token-ws_empty');
SELECT * FROM api_keys;
\echo `:requests`
SELECT * FROM auth_tokens;
\echo `:requests`
SELECT id, api_key_list FROM workspaces;
\echo `:requests`
ALTER USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (SET workspace_id 'workspace_demo',
           SET auth_token 'demo-token-0123456789abcdef');

-- ----------
-- auth_tokens
-- ----------
SELECT * FROM auth_tokens WHERE api_key = 'velt_api_key_000003'
 ORDER BY name;
\echo `:asked`
\echo `:requests`
SELECT count(*), count(DISTINCT api_key), min(token), max(name)
  FROM auth_tokens;
\set keys `:asked`
SELECT count(*), count(DISTINCT key), min(key), max(key)
  FROM jsonb_array_elements_text(:'keys') AS key;
\echo `:requests`
-- a domain's tokens
SELECT api_key, name FROM auth_tokens
 WHERE 'app.example-7.com' = ANY (domains) ORDER BY 1, 2;
\echo `:requests`

-- ----------
-- Filters: what is asked for, and what is not
-- ----------
SELECT id, api_key_name FROM api_keys WHERE id = 'velt_api_key_000007';
\echo `:filters`
\! $VELT_SIM stats page_sizes
\echo `:requests`
SELECT id FROM api_keys
 WHERE id IN ('velt_api_key_000009', 'velt_api_key_000008',
              'velt_api_key_000009', NULL, '', 'velt_api_key_000008', 'nope')
 ORDER BY 1;
\echo `:filters`
\! $VELT_SIM stats page_sizes
\echo `:requests`
SELECT id FROM api_keys
 WHERE id = ANY ('{velt_api_key_000001,velt_api_key_000002}'::text[])
   AND id IN ('velt_api_key_000002', 'velt_api_key_000003')
   AND 'velt_api_key_000002' = id;
\echo `:filters`
\echo `:requests`
-- a condition that the API cannot check is checked here
SELECT id, type FROM api_keys
 WHERE id IN ('velt_api_key_000001', 'velt_api_key_000002')
   AND type = 'production';
\echo `:filters`
\echo `:requests`
-- a hundred in a request
SELECT count(*) FROM api_keys WHERE id = ANY (
  ARRAY(SELECT format('velt_api_key_%s', lpad(n::text, 6, '0'))
          FROM generate_series(1, 250) n));
\set asked_for `:filters`
SELECT jsonb_array_length(filter) FROM jsonb_array_elements(:'asked_for') filter
 ORDER BY 1;
\echo `:requests`
-- one key a request
SELECT api_key, count(*) FROM auth_tokens
 WHERE api_key IN ('velt_api_key_000005', NULL, 'velt_api_key_000004', '',
                   'velt_api_key_000005')
 GROUP BY 1 ORDER BY 1;
\set keys `:asked`
SELECT key FROM jsonb_array_elements_text(:'keys') AS key ORDER BY 1;
\echo `:requests`
-- nothing that could be asked for
SELECT * FROM api_keys WHERE id = NULL;
SELECT * FROM api_keys WHERE id = '';
SELECT * FROM api_keys WHERE id = ANY ('{}');
SELECT * FROM api_keys WHERE id = ANY (NULL::text[]);
SELECT * FROM api_keys WHERE id IN (NULL, NULL);
SELECT * FROM api_keys WHERE id = 'a' AND id = 'b';
SELECT * FROM api_keys WHERE id = (SELECT NULL::text);
SELECT * FROM api_keys WHERE id = ANY (ARRAY(SELECT 'a' WHERE false));
SELECT * FROM auth_tokens WHERE api_key = NULL;
SELECT * FROM auth_tokens WHERE api_key = ANY ('{}');
SELECT * FROM auth_tokens WHERE api_key = (SELECT NULL::text);
SELECT * FROM workspaces WHERE false;
\echo `:requests`
-- what is no equality of texts is none of the API's business
CREATE FOREIGN TABLE padded (id char(24)) SERVER velt
  OPTIONS (resource 'api_keys');
CREATE FOREIGN TABLE varied (id varchar(30), name text
  OPTIONS (column_name 'api_key_name'))
  SERVER velt OPTIONS (resource 'api_keys');
SELECT id FROM padded WHERE id = 'velt_api_key_000007';
SELECT id FROM api_keys WHERE id LIKE 'velt\_api\_key\_00002_' ORDER BY 1;
SELECT count(*) FROM api_keys WHERE id <> ALL ('{velt_api_key_000001}');
SELECT id FROM api_keys WHERE lower(id) = 'velt_api_key_000001';
SELECT count(*) FROM api_keys WHERE id IS NULL;
SELECT name FROM varied WHERE name = 'Key 3';
\echo `:filters`
\echo `:requests`
-- while this is one
SELECT id FROM varied WHERE id = 'velt_api_key_000007';
\echo `:filters`
\echo `:requests`

-- ----------
-- Keys that do not exist
-- ----------
SELECT * FROM auth_tokens WHERE api_key = 'nope';
\echo `:requests`
SELECT api_key, count(*) FROM auth_tokens
 WHERE api_key IN ('nope', 'velt_api_key_000001', 'neither')
 GROUP BY 1;
\echo `:requests`
SELECT * FROM api_keys WHERE id = 'nope';
\echo `:requests`
-- a new session cannot know whether the workspace exists, and asks once
\c -
SET search_path = velt_scan;
SELECT * FROM auth_tokens WHERE api_key = 'nope';
\echo `:requests`
SELECT * FROM auth_tokens WHERE api_key = 'nope';
SELECT * FROM auth_tokens WHERE api_key IN ('nope', 'neither');
\echo `:requests`
\c -
SET search_path = velt_scan;
SELECT * FROM auth_tokens WHERE api_key IN ('nope', 'neither');
\echo `:requests`
-- unless it has been told already
\c -
SET search_path = velt_scan;
SELECT count(*) FROM auth_tokens
 WHERE api_key IN ('nope', 'velt_api_key_000001');
\echo `:requests`
\c -
SET search_path = velt_scan;
SELECT count(*) FROM api_keys;
SELECT * FROM auth_tokens WHERE api_key = 'nope';
\echo `:requests`
-- the same where the API answers NOT_FOUND to filters
\! $VELT_SIM config '{"modes": {"unknown_ids": "not_found"}}'
SELECT id FROM api_keys WHERE id = 'nope';
\echo `:requests`
SELECT id FROM api_keys WHERE id IN ('velt_api_key_000001', 'a_nope',
  'velt_api_key_000002', 'velt_api_key_000003') ORDER BY 1;
\set asked_for `:filters`
SELECT filter FROM jsonb_array_elements(:'asked_for') filter ORDER BY 1;
\! $VELT_SIM stats page_sizes.length
\echo `:requests`
\c -
SET search_path = velt_scan;
SELECT id FROM api_keys WHERE id IN ('nope', 'neither');
\echo `:requests`
\! $VELT_SIM config '{"modes": null}'
-- listed, and gone when it is asked for its tokens
ALTER USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (SET workspace_id 'ws_gone', SET auth_token 'token-ws_gone');
SELECT api_key, name FROM auth_tokens ORDER BY 1;
\echo `:requests`
-- an empty report does not hide a workspace that is not there
ALTER USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (SET workspace_id 'ws_nowhere');
SELECT * FROM auth_tokens WHERE api_key = 'nope';
\echo :SQLSTATE
\echo `:requests`
SELECT * FROM api_keys WHERE id IN ('nope', 'neither');
\echo :SQLSTATE
\echo `:requests`
ALTER USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (SET workspace_id 'workspace_demo',
           SET auth_token 'demo-token-0123456789abcdef');

-- ----------
-- Among others
-- ----------
CREATE TABLE prices (type text, price int);
INSERT INTO prices VALUES ('testing', 0), ('production', 10), ('other', 99);
ANALYZE prices;
SELECT type, price, count(*) FROM prices JOIN api_keys USING (type)
 GROUP BY 1, 2 ORDER BY 1;
\echo `:requests`
SELECT type, count(k.id) FROM prices LEFT JOIN api_keys k USING (type)
 GROUP BY 1 ORDER BY 1;
\echo `:requests`
SELECT type FROM prices p
 WHERE EXISTS (SELECT FROM api_keys k WHERE k.type = p.type) ORDER BY 1;
\echo `:requests`
SELECT type FROM prices p
 WHERE NOT EXISTS (SELECT FROM api_keys k WHERE k.type = p.type);
\echo `:requests`
SELECT EXISTS (SELECT FROM api_keys);
\echo `:requests`
SELECT count(*) FROM api_keys;
\echo `:requests`
SELECT count(*) FROM auth_tokens WHERE api_key = 'velt_api_key_000001';
\echo `:requests`
SELECT k, k IS NOT NULL AS complete FROM api_keys k
 WHERE id = 'velt_api_key_000002';
SELECT t FROM auth_tokens t WHERE api_key = 'velt_api_key_000003'
 ORDER BY name;
SELECT row_to_json(k) FROM api_keys k WHERE id = 'velt_api_key_000002';
\echo `:requests`
SELECT tableoid::regclass, id FROM api_keys WHERE id = 'velt_api_key_000002';
\echo `:requests`
SELECT id FROM api_keys WHERE id = 'velt_api_key_000002' FOR UPDATE;
\echo `:requests`
CREATE TABLE copied AS SELECT * FROM api_keys;
SELECT count(*) FROM copied;
\echo `:requests`

-- one page is enough for these
ALTER USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (SET workspace_id 'ws_250', SET auth_token 'token-ws_250');
SELECT id FROM api_keys LIMIT 3;
\echo `:requests`
SELECT id FROM api_keys LIMIT 1 OFFSET 99;
\echo `:requests`
SELECT count(*) FROM (SELECT FROM api_keys LIMIT 0) k;
\echo `:requests`
SELECT EXISTS (SELECT FROM api_keys WHERE type = 'production');
\echo `:requests`

-- ----------
-- Again and again
-- ----------
SET enable_material = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_memoize = off;
SELECT n, count(k.id) FROM generate_series(1, 3) n
  LEFT JOIN keys_by_seven k ON substr(k.id, 18) <= lpad(n::text, 2, '0')
 GROUP BY 1 ORDER BY 1;
\echo `:requests`
RESET ALL;
SET search_path = velt_scan;
-- with a parameter that changes; NULL and what is no key cost little
SELECT n, (SELECT api_key_name FROM api_keys k
            WHERE k.id = 'velt_api_key_00000' || n)
  FROM (VALUES (1), (NULL), (2), (2)) v (n) ORDER BY 1;
\set asked_for `:filters`
SELECT filter FROM jsonb_array_elements(:'asked_for') filter ORDER BY 1;
\echo `:requests`
SELECT n, (SELECT count(*) FROM auth_tokens t
            WHERE t.api_key = 'velt_api_key_00000' || n)
  FROM (VALUES (1), (NULL), (2)) v (n) ORDER BY 1;
\echo `:requests`

-- ----------
-- Cursors
-- ----------
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM api_keys;
\echo `:requests`
FETCH 2 FROM c;
\echo `:requests`
MOVE 97 IN c;
FETCH c;
-- the first page is used up, and nobody has asked for more
\echo `:requests`
FETCH c;
-- the second is here; at most one more is on its way
\! $VELT_SIM wait requests.total 1
MOVE ALL IN c;
FETCH c;
\echo `:requests`
CLOSE c;
-- closed with pages left
DECLARE c CURSOR FOR SELECT id FROM api_keys;
FETCH c;
CLOSE c;
\echo `:requests`
DECLARE c CURSOR FOR SELECT api_key FROM auth_tokens;
FETCH c \gset
CLOSE c;
SELECT id FROM api_keys WHERE id = 'velt_api_key_000250';
COMMIT;
\! $VELT_SIM reset
-- two at once, and one that outlives its transaction
BEGIN;
DECLARE a CURSOR FOR SELECT id FROM api_keys;
DECLARE b CURSOR FOR SELECT id FROM keys_by_seven;
FETCH a;
FETCH b;
FETCH a;
FETCH b;
\echo `:requests`
DECLARE h CURSOR WITH HOLD FOR SELECT id FROM api_keys ORDER BY id;
COMMIT;
\echo `:requests`
FETCH 2 FROM h;
\echo `:requests`
CLOSE h;
BEGIN;
DECLARE s SCROLL CURSOR FOR SELECT id FROM keys_by_seven;
FETCH 8 FROM s;
FETCH BACKWARD 1 FROM s;
FETCH FIRST FROM s;
ROLLBACK;
\! $VELT_SIM reset
ALTER USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (SET workspace_id 'workspace_demo',
           SET auth_token 'demo-token-0123456789abcdef');

-- ----------
-- Prepared statements
-- ----------
PREPARE by_id (text) AS SELECT id, type FROM api_keys WHERE id = $1;
PREPARE by_ids (text[]) AS
  SELECT api_key, count(*) FROM auth_tokens WHERE api_key = ANY ($1)
   GROUP BY 1 ORDER BY 1;
SET plan_cache_mode = force_custom_plan;
EXECUTE by_id ('velt_api_key_000001');
EXECUTE by_id (NULL);
EXECUTE by_ids ('{velt_api_key_000001,NULL,velt_api_key_000001}');
EXECUTE by_ids ('{}');
EXECUTE by_ids (NULL);
\echo `:filters`
\echo `:requests`
SET plan_cache_mode = force_generic_plan;
EXECUTE by_id ('velt_api_key_000002');
EXECUTE by_id (NULL);
EXECUTE by_ids ('{velt_api_key_000001,NULL,velt_api_key_000001}');
EXECUTE by_ids ('{}');
EXECUTE by_ids (NULL);
\echo `:filters`
\echo `:requests`
-- a plan knows nothing of the mapping, and follows the table
ALTER USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (SET workspace_id 'ws_gone', SET auth_token 'token-ws_gone');
EXECUTE by_ids ('{velt_api_key_000003,velt_api_key_000006}');
\echo `:requests`
ALTER FOREIGN TABLE api_keys ALTER type OPTIONS (column_name 'api_key_name');
EXECUTE by_id ('velt_api_key_000002');
\echo `:requests`
ALTER FOREIGN TABLE api_keys ALTER type OPTIONS (DROP column_name);
DEALLOCATE ALL;
RESET plan_cache_mode;

-- ----------
-- Whose mapping
-- ----------
CREATE ROLE regress_velt_owner;
CREATE ROLE regress_velt_reader;
GRANT USAGE ON SCHEMA velt_scan TO regress_velt_owner, regress_velt_reader;
GRANT CREATE ON SCHEMA velt_scan TO regress_velt_owner;
GRANT SELECT ON api_keys, auth_tokens
  TO regress_velt_owner, regress_velt_reader;
CREATE USER MAPPING FOR regress_velt_owner SERVER velt
  OPTIONS (workspace_id 'ws_101', auth_token 'token-ws_101');
SET ROLE regress_velt_owner;
CREATE VIEW owners_keys AS SELECT * FROM api_keys;
GRANT SELECT ON owners_keys TO regress_velt_reader;
SELECT workspace_id, count(*) FROM api_keys GROUP BY 1;
\echo `:requests`
-- without a mapping: nothing of one's own, but the view's owner has one
SET ROLE regress_velt_reader;
\set VERBOSITY sqlstate
SELECT count(*) FROM api_keys;
SELECT count(*) FROM workspaces;
\set VERBOSITY default
\echo `:requests`
SELECT workspace_id, count(*) FROM owners_keys GROUP BY 1;
\echo `:requests`
RESET ROLE;
SELECT workspace_id, count(*) FROM owners_keys GROUP BY 1;
SELECT workspace_id, count(*) FROM api_keys GROUP BY 1;
\echo `:requests`
-- a mapping for all others
CREATE USER MAPPING FOR PUBLIC SERVER velt
  OPTIONS (workspace_id 'ws_100', auth_token 'token-ws_100');
SET ROLE regress_velt_reader;
SELECT workspace_id, count(*) FROM api_keys GROUP BY 1;
SELECT workspace_id, count(*) FROM owners_keys GROUP BY 1;
SET ROLE regress_velt_owner;
SELECT workspace_id, count(*) FROM api_keys GROUP BY 1;
RESET ROLE;
\echo `:requests`
-- it is gone, and so is what it opened
DROP USER MAPPING FOR PUBLIC SERVER velt;
SET ROLE regress_velt_reader;
\set VERBOSITY sqlstate
SELECT count(*) FROM api_keys;
\set VERBOSITY default
RESET ROLE;
\echo `:requests`

-- ----------
-- Several workspaces
-- ----------
CREATE SERVER velt_b FOREIGN DATA WRAPPER velt_fdw OPTIONS (api_url :'url');
CREATE USER MAPPING FOR CURRENT_USER SERVER velt_b
  OPTIONS (workspace_id 'ws_101', auth_token 'token-ws_101');
CREATE FOREIGN TABLE api_keys_b (id text, type text, workspace_id text)
  SERVER velt_b OPTIONS (resource 'api_keys');
SELECT workspace_id, type, count(*) FROM (
  SELECT id, type, workspace_id FROM api_keys UNION ALL TABLE api_keys_b) k
 GROUP BY 1, 2 ORDER BY 1, 2;
\echo `:requests`
CREATE TABLE all_keys (id text, type text, workspace_id text)
  PARTITION BY LIST (workspace_id);
CREATE FOREIGN TABLE all_keys_a PARTITION OF all_keys
  FOR VALUES IN ('ws_gone') SERVER velt
  OPTIONS (resource 'api_keys', workspace_id 'ws_gone');
CREATE FOREIGN TABLE all_keys_b PARTITION OF all_keys
  FOR VALUES IN ('ws_101') SERVER velt_b
  OPTIONS (resource 'api_keys', workspace_id 'ws_101');
SELECT workspace_id, count(*) FROM all_keys GROUP BY 1 ORDER BY 1;
\echo `:requests`
SELECT count(*) FROM all_keys WHERE workspace_id = 'ws_gone';
\echo `:requests`
SELECT workspace_id, id FROM all_keys WHERE id = 'velt_api_key_000001'
 ORDER BY 1;
\echo `:requests`
-- the partition's bound says one thing, the mapping another
ALTER USER MAPPING FOR CURRENT_USER SERVER velt_b
  OPTIONS (SET workspace_id 'ws_100', SET auth_token 'token-ws_100');
SELECT count(*) FROM all_keys WHERE workspace_id = 'ws_101';
\echo :SQLSTATE
ANALYZE all_keys_b;
\echo :SQLSTATE
\echo `:requests`

-- ----------
-- For reading only
-- ----------
INSERT INTO api_keys (id) VALUES ('new');
UPDATE api_keys SET type = 'production';
DELETE FROM api_keys;
DELETE FROM auth_tokens WHERE api_key = 'velt_api_key_000001';
TRUNCATE api_keys;
COPY workspaces FROM stdin;
\.
INSERT INTO all_keys VALUES ('new', 'testing', 'ws_gone');
SELECT table_name, is_insertable_into FROM information_schema.tables
 WHERE table_schema = 'velt_scan' AND table_name = 'api_keys';
\echo `:requests`

RESET search_path;
SET client_min_messages = warning;
DROP EXTENSION velt_fdw CASCADE;
DROP SCHEMA velt_scan CASCADE;
DROP ROLE regress_velt_owner, regress_velt_reader;
