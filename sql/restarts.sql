--
-- Page tokens that the API no longer accepts: lists that start again, and
-- those that cannot, as rows of theirs were returned.
--
\getenv url VELT_SIM_URL
-- what was asked of the API since the last time
\set requests '$VELT_SIM stats requests && $VELT_SIM reset'
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 25, "tokens_per_key": 2}}}'
SET client_min_messages = warning;
CREATE EXTENSION velt_fdw;
RESET client_min_messages;
CREATE SCHEMA velt_restarts;
SET search_path = velt_restarts;
CREATE SERVER velt FOREIGN DATA WRAPPER velt_fdw
  OPTIONS (api_url :'url', page_size '10');
CREATE USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (workspace_id 'workspace_demo',
           auth_token 'demo-token-0123456789abcdef');
IMPORT FOREIGN SCHEMA workspace FROM SERVER velt INTO velt_restarts;

-- ----------
-- Keys
-- ----------
-- the second page is refused when rows of the first one were returned
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "nth": 2, "do": {"error": "INVALID_ARGUMENT", "message": "Invalid pageToken"}}]'
SELECT count(*) FROM api_keys;
\echo :SQLSTATE
\echo `:requests`
-- behind an empty page, none was
\! $VELT_SIM config '{"modes": {"empty_pages": 1}}'
SELECT count(*), count(DISTINCT id) FROM api_keys;
\echo `:requests`
-- ... but if it is refused again, or later
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "nth": [2, 4], "do": {"error": "NOT_FOUND"}}]'
SELECT count(*) FROM api_keys;
\echo :SQLSTATE
\echo `:requests`
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "nth": [2, 5], "do": {"status": 410}}]'
SELECT count(*) FROM api_keys;
\echo :SQLSTATE
\echo `:requests`
-- both rounds count
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "nth": 2, "do": {"error": "INVALID_ARGUMENT"}}]'
ALTER SERVER velt OPTIONS (max_requests '7');
SELECT count(*) FROM api_keys;
\echo `:requests`
ALTER SERVER velt OPTIONS (SET max_requests '8');
SELECT count(*) FROM api_keys;
\echo `:requests`
ALTER SERVER velt OPTIONS (DROP max_requests);
\! $VELT_SIM config '{"modes": null}'
-- credentials that are refused are not a page token
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "nth": 2, "do": {"error": "PERMISSION_DENIED"}}]'
SELECT count(*) FROM api_keys;
\echo :SQLSTATE
\echo `:requests`
-- a page of a filter, which is not asked for in halves
\! $VELT_SIM config '{"modes": {"page_cap": 2}}'
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "nth": 2, "do": {"error": "INVALID_ARGUMENT"}}]'
SELECT count(*) FROM api_keys
 WHERE id IN ('velt_api_key_000001', 'velt_api_key_000002', 'velt_api_key_000003');
\echo :SQLSTATE
\echo `:requests`
\! $VELT_SIM config '{"modes": null}'
\! $VELT_SIM faults '[]'
-- a cursor that was left for long
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM api_keys;
MOVE 10 IN c;
\! $VELT_SIM config '{"modes": {"token_epoch": 1}}'
FETCH 1 FROM c;
\echo :SQLSTATE
\echo `:requests`
ROLLBACK;
SELECT count(*) FROM api_keys;
\echo `:requests`

-- ----------
-- Tokens of all keys: the list starts again before rows are returned
-- ----------
ALTER SERVER velt OPTIONS (SET page_size '2');
\! $VELT_SIM config '{"latency_ms": {"authtokens/get": 100}}'
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "nth": 2, "do": {"error": "INVALID_ARGUMENT"}}]'
SELECT count(*), count(DISTINCT token) FROM auth_tokens;
-- two that were asked for before may have been cancelled before they left
\set listed `$VELT_SIM stats requests.apikeys/get`
\set asked `$VELT_SIM stats requests.authtokens/get`
SELECT :listed = 2 + 13 AS listed, :asked BETWEEN 25 AND 27 AS asked;
\! $VELT_SIM faults '[]'
\! $VELT_SIM config '{"latency_ms": null}'
BEGIN;
DECLARE c CURSOR FOR SELECT api_key FROM auth_tokens;
MOVE 1 IN c;
\! $VELT_SIM config '{"modes": {"token_epoch": 2}}'
\set VERBOSITY sqlstate
MOVE ALL IN c;
\set VERBOSITY default
ROLLBACK;
\! $VELT_SIM reset

-- ----------
-- Keys joined with their tokens
-- ----------
ALTER SERVER velt OPTIONS (SET page_size '10');
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "nth": 2, "do": {"error": "INVALID_ARGUMENT"}}]'
-- no key of the first page meets the condition
SELECT count(*), count(DISTINCT token) FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id
 WHERE right(k.id, 2)::int > 12;
\echo `:requests`
SELECT count(*), count(t.token) FROM api_keys k LEFT JOIN auth_tokens t ON t.api_key = k.id AND k.type = 'none'
 WHERE right(k.id, 2)::int > 12;
\echo `:requests`
-- each time that it is scanned
SELECT n, c.count FROM generate_series(1, 2) n,
  LATERAL (SELECT count(*) FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id
            WHERE right(k.id, 2)::int > 12 + 0 * n OFFSET 0) c;
\echo `:requests`
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "nth": [2, 4], "do": {"error": "INVALID_ARGUMENT"}}]'
SELECT count(*) FROM api_keys k JOIN auth_tokens t ON t.api_key = k.id
 WHERE right(k.id, 2)::int > 12;
\echo :SQLSTATE
\echo `:requests`
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "nth": 2, "do": {"error": "INVALID_ARGUMENT"}}]'
-- a row was returned
SELECT count(*) FROM api_keys k LEFT JOIN auth_tokens t ON t.api_key = k.id AND k.type = 'none';
\echo :SQLSTATE
\echo `:requests`

-- ----------
-- ANALYZE
-- ----------
ANALYZE api_keys;
\echo `:requests`
ANALYZE auth_tokens;
\echo `:requests`
SELECT relname, reltuples FROM pg_class
 WHERE oid IN ('api_keys'::regclass, 'auth_tokens'::regclass) ORDER BY 1;
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "nth": [2, 4], "do": {"error": "INVALID_ARGUMENT"}}]'
ANALYZE api_keys;
\echo :SQLSTATE
\echo `:requests`
ANALYZE auth_tokens;
\echo `:requests`
\! $VELT_SIM faults '[]'

RESET search_path;
SET client_min_messages = warning;
DROP EXTENSION velt_fdw CASCADE;
DROP SCHEMA velt_restarts CASCADE;
