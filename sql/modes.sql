--
-- What the API's documentation leaves open: whichever way a server takes it,
-- the rows are the same.
--
\getenv url VELT_SIM_URL
-- what was asked of the API since the last time
\set requests '$VELT_SIM stats requests && $VELT_SIM reset'
SET client_min_messages = warning;
CREATE EXTENSION velt_fdw;
RESET client_min_messages;
CREATE SCHEMA velt_modes;
SET search_path = velt_modes;
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 45, "vanished": ["velt_api_key_000044"], "name": "Gr\u00fc\u00dfe/\"\\\ud83d\ude00\t<&>", "extra": {"extra": [1.50, -0e0, null, {"a/b": [[]]}]}}}}'
CREATE SERVER velt FOREIGN DATA WRAPPER velt_fdw OPTIONS (api_url :'url');
CREATE USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (workspace_id 'workspace_demo',
           auth_token 'demo-token-0123456789abcdef');
IMPORT FOREIGN SCHEMA workspace FROM SERVER velt INTO velt_modes;
ALTER FOREIGN TABLE api_keys OPTIONS (page_size '20');
CREATE FOREIGN TABLE whole (id text, doc jsonb OPTIONS (json_pointer ''))
  SERVER velt OPTIONS (resource 'workspaces');

-- All that can be asked, and a checksum of it.
CREATE VIEW answers AS
  SELECT 'workspaces' AS what, count(*), md5(string_agg(w::text, '|')) AS sum
    FROM workspaces w
  UNION ALL
  SELECT 'whole', count(*), md5(string_agg(w::text, '|')) FROM whole w
  UNION ALL
  SELECT 'all keys', count(*), md5(string_agg(k::text, '|' ORDER BY k.id COLLATE "C"))
    FROM api_keys k
  UNION ALL
  SELECT 'some keys', count(*), md5(string_agg(k::text, '|' ORDER BY k.id COLLATE "C"))
    FROM api_keys k
   WHERE id IN ('velt_api_key_000003', 'velt_api_key_000031', 'nope',
                'velt_api_key_000045')
  UNION ALL
  SELECT 'no key', count(*), md5(string_agg(k::text, '|')) FROM api_keys k
   WHERE id = 'nope'
  UNION ALL
  SELECT 'all tokens', count(*),
         md5(string_agg(t::text, '|' ORDER BY t.api_key COLLATE "C", t.name))
    FROM auth_tokens t
  UNION ALL
  SELECT 'tokens of a key', count(*), md5(string_agg(t::text, '|' ORDER BY name))
    FROM auth_tokens t WHERE api_key = 'velt_api_key_000007'
  UNION ALL
  SELECT 'of no key', count(*), md5(string_agg(t::text, '|'))
    FROM auth_tokens t WHERE api_key = 'nope';

-- As documented: 1 + 1 + 3 + 1 + 1 + (1 + 45) + 1 + 1
CREATE TABLE expected AS SELECT * FROM answers;
SELECT what, count FROM expected ORDER BY what COLLATE "C";
\echo `:requests`
-- and what every mode is compared with
CREATE VIEW differences AS
  SELECT what, e.count, a.count AS here FROM expected e
    FULL JOIN answers a USING (what)
   WHERE (e.count, e.sum) IS DISTINCT FROM (a.count, a.sum);
SELECT * FROM differences;
\echo `:requests`

-- which header has the token
\! $VELT_SIM config '{"modes": {"token_header": "old"}}'
SELECT * FROM differences;
\echo `:requests`
\! $VELT_SIM config '{"modes": {"token_header": "new"}}'
SELECT * FROM differences;
\echo `:requests`
\! $VELT_SIM config '{"modes": {"token_header": "both"}}'
SELECT * FROM differences;
\! $VELT_SIM stats last_headers.x-velt-auth-token
\! $VELT_SIM stats last_headers.x-velt-workspace-auth-token
\! $VELT_SIM stats last_headers.x-velt-workspace-id
\! $VELT_SIM stats last_headers.content-type
\echo `:requests`
-- the administrator knows
ALTER SERVER velt OPTIONS (auth_header 'X-Velt-Auth-Token');
\! $VELT_SIM config '{"modes": {"token_header": "old"}}'
SELECT * FROM differences;
\! $VELT_SIM stats last_headers.x-velt-auth-token
\! $VELT_SIM stats last_headers.x-velt-workspace-auth-token 2>&1
\echo `:requests`
ALTER SERVER velt OPTIONS (SET auth_header 'x-velt-workspace-auth-token');
\! $VELT_SIM config '{"modes": {"token_header": "new"}}'
SELECT * FROM differences;
\! $VELT_SIM stats last_headers.x-velt-auth-token 2>&1
\echo `:requests`
ALTER SERVER velt OPTIONS (SET auth_header 'X-Some-Gateway_Token');
\! $VELT_SIM config '{"modes": {"token_header": "x-some-gateway_token"}}'
SELECT * FROM differences;
\! $VELT_SIM stats last_headers.x-velt-auth-token 2>&1
\! $VELT_SIM stats last_headers.x-velt-workspace-auth-token 2>&1
\echo `:requests`
ALTER SERVER velt OPTIONS (DROP auth_header);
\! $VELT_SIM config '{"modes": null}'

-- an unknown id in a filter
\! $VELT_SIM config '{"modes": {"unknown_ids": "not_found"}}'
SELECT * FROM differences;
\echo `:requests`
\! $VELT_SIM config '{"modes": null}'

-- the HTTP status of an error
\! $VELT_SIM config '{"modes": {"error_http": "200"}}'
SELECT * FROM differences;
\echo `:requests`
\! $VELT_SIM config '{"modes": {"error_http": "200", "unknown_ids": "not_found"}}'
SELECT * FROM differences;
\echo `:requests`
\! $VELT_SIM config '{"modes": null}'

-- how the last page says that it is the last
\! $VELT_SIM config '{"modes": {"last_token": "null"}}'
SELECT * FROM differences;
\echo `:requests`
\! $VELT_SIM config '{"modes": {"last_token": "empty"}}'
SELECT * FROM differences;
\echo `:requests`
-- by an empty one behind it: 45 keys are three pages of 15
\! $VELT_SIM config '{"modes": {"last_token": "absent", "trailing_page": true}}'
ALTER FOREIGN TABLE api_keys OPTIONS (SET page_size '15');
SELECT * FROM differences;
\echo `:requests`
ALTER FOREIGN TABLE api_keys OPTIONS (SET page_size '20');
\! $VELT_SIM config '{"modes": null}'

-- empty pages, and pages that are smaller than asked for
\! $VELT_SIM config '{"modes": {"empty_pages": 3}}'
SELECT * FROM differences;
\echo `:requests`
\! $VELT_SIM config '{"modes": {"empty_pages": 0, "page_cap": 2}}'
SELECT * FROM differences;
\! $VELT_SIM stats bad_requests
\echo `:requests`
\! $VELT_SIM config '{"modes": null}'

-- the order of keys
\! $VELT_SIM config '{"modes": {"order": "reversed"}}'
SELECT * FROM differences;
SELECT id FROM api_keys LIMIT 1;
\echo `:requests`
\! $VELT_SIM config '{"modes": {"order": "shuffled"}}'
SELECT * FROM differences;
SELECT id <> 'velt_api_key_000001' AS shuffled FROM api_keys LIMIT 1;
\echo `:requests`
\! $VELT_SIM config '{"modes": null}'

-- how a response is wrapped
\! $VELT_SIM config '{"modes": {"compress": true}}'
SELECT * FROM differences;
\echo `:requests`
\! $VELT_SIM config '{"modes": {"compress": false, "chunked": true}}'
SELECT * FROM differences;
\echo `:requests`
\! $VELT_SIM config '{"modes": {"compress": true, "chunked": true}}'
SELECT * FROM differences;
\echo `:requests`
\! $VELT_SIM config '{"modes": {"compress": false, "chunked": false, "http10_close": true}}'
SELECT * FROM differences;
\echo `:requests`
\! $VELT_SIM config '{"modes": null}'

-- how JSON is written
\! $VELT_SIM config '{"modes": {"pretty": true}}'
SELECT * FROM differences;
\echo `:requests`
\! $VELT_SIM config '{"modes": {"pretty": false, "escape": true}}'
SELECT * FROM differences;
SELECT name = E'Gr\u00fc\u00dfe/"\\\U0001F600\t<&>' AS right_name FROM workspaces;
\echo `:requests`
-- much at a time
\! $VELT_SIM config '{"modes": {"pretty": true, "escape": true, "compress": true, "chunked": true, "http10_close": true, "order": "shuffled", "page_cap": 7, "empty_pages": 1, "trailing_page": true, "last_token": "null", "unknown_ids": "not_found", "error_http": "200", "token_header": "both"}}'
SELECT * FROM differences;
\! $VELT_SIM stats bad_requests
\echo `:requests`

-- behind a path
\! $VELT_SIM config '{"modes": null, "base_path": "/some/path"}'
SELECT url || '/some/path' AS path, url || '/some/path/' AS slash
  FROM (VALUES (:'url')) v (url) \gset
ALTER SERVER velt OPTIONS (SET api_url :'path');
SELECT * FROM differences;
\set last_path `$VELT_SIM stats last_path`
SELECT :'last_path' LIKE '/some/path/v2/workspace/%' AS asked_there;
\echo `:requests`
ALTER SERVER velt OPTIONS (SET api_url :'slash');
SELECT * FROM differences;
\echo `:requests`

RESET search_path;
SET client_min_messages = warning;
DROP EXTENSION velt_fdw CASCADE;
DROP SCHEMA velt_modes CASCADE;
