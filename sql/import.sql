--
-- IMPORT FOREIGN SCHEMA, and foreign tables written by hand.
--
\getenv url VELT_SIM_URL
-- what was asked of the API since the last time
\set requests '$VELT_SIM stats requests && $VELT_SIM reset'
SET client_min_messages = warning;
CREATE EXTENSION velt_fdw;
RESET client_min_messages;
CREATE SERVER velt FOREIGN DATA WRAPPER velt_fdw OPTIONS (api_url :'url');
CREATE SERVER "Velt ""odd"" server's" FOREIGN DATA WRAPPER velt_fdw
  OPTIONS (api_url :'url');
CREATE USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (workspace_id 'workspace_demo',
           auth_token 'demo-token-0123456789abcdef');
CREATE USER MAPPING FOR CURRENT_USER SERVER "Velt ""odd"" server's"
  OPTIONS (workspace_id 'workspace_demo',
           auth_token 'demo-token-0123456789abcdef');
CREATE SCHEMA velt_import;
CREATE SCHEMA "velt_import Two";

-- ----------
-- All of it
-- ----------
IMPORT FOREIGN SCHEMA workspace FROM SERVER velt INTO velt_import;
SELECT foreign_table_name, foreign_server_name, option_name, option_value
  FROM information_schema.foreign_tables
  LEFT JOIN information_schema.foreign_table_options
       USING (foreign_table_schema, foreign_table_name)
 WHERE foreign_table_schema = 'velt_import' ORDER BY 1, 3;
SELECT table_name, ordinal_position AS n, column_name, data_type,
       udt_name, is_nullable
  FROM information_schema.columns
 WHERE table_schema = 'velt_import' ORDER BY 1, 2;
SELECT count(*) AS column_options FROM information_schema.column_options
 WHERE table_schema = 'velt_import';
\d velt_import.api_keys
-- a second time they are there already
IMPORT FOREIGN SCHEMA workspace FROM SERVER velt INTO velt_import;

-- ----------
-- Some of it
-- ----------
IMPORT FOREIGN SCHEMA workspace LIMIT TO (auth_tokens, workspaces, nonesuch)
  FROM SERVER "Velt ""odd"" server's" INTO "velt_import Two"
  OPTIONS (import_secrets 'false');
SELECT foreign_table_name, foreign_server_name
  FROM information_schema.foreign_tables
 WHERE foreign_table_schema = 'velt_import Two' ORDER BY 1;
SELECT table_name, column_name FROM information_schema.columns
 WHERE table_schema = 'velt_import Two' ORDER BY 1, ordinal_position;
IMPORT FOREIGN SCHEMA workspace EXCEPT (auth_tokens, workspaces)
  FROM SERVER "Velt ""odd"" server's" INTO "velt_import Two"
  OPTIONS (import_secrets 'on');
SELECT foreign_table_name FROM information_schema.foreign_tables
 WHERE foreign_table_schema = 'velt_import Two' ORDER BY 1;
-- names that match nothing
IMPORT FOREIGN SCHEMA workspace LIMIT TO ("API_KEYS", "api keys")
  FROM SERVER velt INTO "velt_import Two";
SET client_min_messages = warning;
DROP SCHEMA "velt_import Two" CASCADE;
CREATE SCHEMA "velt_import Two";
RESET client_min_messages;
IMPORT FOREIGN SCHEMA workspace EXCEPT (workspaces, "Auth_Tokens")
  FROM SERVER velt INTO "velt_import Two";
SELECT foreign_table_name FROM information_schema.foreign_tables
 WHERE foreign_table_schema = 'velt_import Two' ORDER BY 1;
SET client_min_messages = warning;
DROP SCHEMA "velt_import Two" CASCADE;
CREATE SCHEMA "velt_import Two";
RESET client_min_messages;
IMPORT FOREIGN SCHEMA workspace EXCEPT (api_keys) FROM SERVER velt
  INTO "velt_import Two" OPTIONS (import_secrets 'true');
SELECT table_name, column_name FROM information_schema.columns
 WHERE table_schema = 'velt_import Two'
   AND column_name IN ('auth_token', 'token') ORDER BY 1;

-- ----------
-- What it refuses
-- ----------
IMPORT FOREIGN SCHEMA public FROM SERVER velt INTO velt_import;
\echo :SQLSTATE
IMPORT FOREIGN SCHEMA "Workspace" FROM SERVER velt INTO velt_import;
IMPORT FOREIGN SCHEMA workspace FROM SERVER velt INTO velt_import
  OPTIONS (import_secret 'false');
\echo :SQLSTATE
\set VERBOSITY sqlstate
IMPORT FOREIGN SCHEMA workspace FROM SERVER velt INTO velt_import
  OPTIONS (import_secrets 'perhaps');
\set VERBOSITY default

-- ----------
-- By hand
-- ----------
SET search_path = velt_import;
-- in another order, under other names
CREATE FOREIGN TABLE key_types (
  type text,
  ws text OPTIONS (column_name 'workspace_id'),
  "The Name" varchar OPTIONS (column_name 'api_key_name'),
  id text,
  again text OPTIONS (json_pointer '/id'),
  everything jsonb OPTIONS (json_pointer '')
) SERVER velt OPTIONS (resource 'api_keys');
-- the name says one thing, the option another
CREATE FOREIGN TABLE swapped (
  id text OPTIONS (column_name 'api_key_name'),
  api_key_name text OPTIONS (json_pointer '/id')
) SERVER velt OPTIONS (resource 'api_keys');
CREATE FOREIGN TABLE nothing () SERVER velt OPTIONS (resource 'api_keys');
-- it matches nothing, which matters when it is used
CREATE FOREIGN TABLE unmatched (
  id text,
  color text
) SERVER velt OPTIONS (resource 'api_keys');
CREATE FOREIGN TABLE unmatched_option (
  id text OPTIONS (column_name 'apiKeyName')
) SERVER velt OPTIONS (resource 'api_keys');
CREATE FOREIGN TABLE other_case ("ID" text) SERVER velt
  OPTIONS (resource 'api_keys');

-- No command so far has made a request.
\echo `:requests`

SELECT * FROM key_types ORDER BY id LIMIT 3;
\echo `:requests`
SELECT type, count(*) FROM key_types GROUP BY 1 ORDER BY 1;
\echo `:requests`
SELECT * FROM swapped WHERE api_key_name < 'velt_api_key_000003' ORDER BY 2;
\echo `:requests`
SELECT count(*) FROM nothing;
\echo `:requests`

SELECT color FROM unmatched;
\echo :SQLSTATE
EXPLAIN (COSTS OFF) SELECT count(*) FROM unmatched;
SELECT * FROM unmatched_option;
SELECT * FROM other_case;
\echo :SQLSTATE
-- which is easily mended
ALTER FOREIGN TABLE unmatched ALTER color OPTIONS (json_pointer '/color');
SELECT * FROM unmatched WHERE id = 'velt_api_key_000001';
ALTER FOREIGN TABLE unmatched ALTER color OPTIONS (SET json_pointer '/type');
SELECT * FROM unmatched WHERE id = 'velt_api_key_000001';
ALTER FOREIGN TABLE other_case RENAME "ID" TO id;
SELECT * FROM other_case WHERE id = 'velt_api_key_000001';
\echo `:requests`

-- columns that are gone, before and behind others
ALTER FOREIGN TABLE key_types DROP type;
ALTER FOREIGN TABLE key_types DROP again;
ALTER FOREIGN TABLE key_types ADD kind text OPTIONS (column_name 'type');
ALTER FOREIGN TABLE key_types DROP everything;
SELECT * FROM key_types WHERE id = 'velt_api_key_000002';
SELECT k FROM key_types k WHERE id = 'velt_api_key_000002';
ALTER FOREIGN TABLE unmatched DROP id, DROP color;
SELECT count(*) FROM unmatched;
\echo `:requests`

-- imported tables are tables as any other
SELECT id, api_key_name FROM api_keys ORDER BY 1 LIMIT 2;
\echo `:requests`

-- and the secrets are where they were asked for
SELECT id, auth_token FROM "velt_import Two".workspaces;
\echo `:requests`

RESET search_path;
SET client_min_messages = warning;
DROP EXTENSION velt_fdw CASCADE;
DROP SCHEMA velt_import, "velt_import Two" CASCADE;
