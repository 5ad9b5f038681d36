--
-- Errors: their SQLSTATE, what they say, and that nothing is the worse for
-- them: each fault is for one request, and the next query works.
--
\getenv url VELT_SIM_URL
-- what was asked of the API since the last time; it ends all faults
\set requests '$VELT_SIM stats requests && $VELT_SIM faults "[]" && $VELT_SIM reset'
\set calm '$VELT_SIM faults "[]" && $VELT_SIM reset'
SET client_min_messages = warning;
CREATE EXTENSION velt_fdw;
RESET client_min_messages;
CREATE SCHEMA velt_errors;
SET search_path = velt_errors;
CREATE SERVER velt FOREIGN DATA WRAPPER velt_fdw
  OPTIONS (api_url :'url', retry_timeout '0');
CREATE USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (workspace_id 'workspace_demo',
           auth_token 'demo-token-0123456789abcdef');
IMPORT FOREIGN SCHEMA workspace FROM SERVER velt INTO velt_errors;

-- All that a query's error says.
CREATE FUNCTION failure(query text, OUT state text, OUT message text,
  OUT detail text, OUT hint text, OUT context text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE query;
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE,
    message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
    hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
END $$;
-- The number of rows, if it comes to that.
CREATE VIEW keys AS SELECT count(*) FROM api_keys;
CREATE VIEW tokens AS
  SELECT count(*) FROM auth_tokens WHERE api_key = 'velt_api_key_000001';
CREATE VIEW ws AS SELECT id FROM workspaces;
\pset format unaligned
\pset tuples_only on

-- ----------
-- What the API says of its own
-- ----------
ALTER USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (SET auth_token 'wrong-token');
TABLE ws;
\echo :SQLSTATE
TABLE keys;
\echo :SQLSTATE
TABLE tokens;
\echo :SQLSTATE
ALTER USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (SET workspace_id 'workspace_unknown');
TABLE ws;
\echo :SQLSTATE
TABLE keys;
\echo :SQLSTATE
TABLE tokens;
\echo :SQLSTATE
ALTER USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (SET workspace_id 'workspace_demo',
           SET auth_token 'demo-token-0123456789abcdef');
TABLE keys;
\echo `:requests`

-- every status that is documented, and those of the same family
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "UNAUTHENTICATED", "message": "Invalid auth token."}}]'
TABLE keys;
\echo :SQLSTATE
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "PERMISSION_DENIED", "message": ""}}]'
TABLE keys;
\echo :SQLSTATE
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "NOT_FOUND"}}]'
TABLE keys;
\echo :SQLSTATE
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "INVALID_ARGUMENT"}}]'
TABLE keys;
\echo :SQLSTATE
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "RESOURCE_EXHAUSTED", "message": "Rate limit exceeded. Try again after 1 minute."}}]'
TABLE keys;
\echo :SQLSTATE
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "INTERNAL"}}]'
TABLE keys;
\echo :SQLSTATE
TABLE keys;
\echo `:requests`
\set VERBOSITY sqlstate
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "FAILED_PRECONDITION"}}]'
TABLE keys;
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "OUT_OF_RANGE"}}]'
TABLE keys;
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "ALREADY_EXISTS"}}]'
TABLE keys;
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "UNIMPLEMENTED"}}]'
TABLE keys;
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "UNAVAILABLE"}}]'
TABLE keys;
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "DEADLINE_EXCEEDED"}}]'
TABLE keys;
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "ABORTED"}}]'
TABLE keys;
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "UNKNOWN"}}]'
TABLE keys;
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "CANCELLED"}}]'
TABLE keys;
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "DATA_LOSS"}}]'
TABLE keys;
TABLE keys;
\echo `:requests`

-- the envelope decides, whatever HTTP says
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "UNAUTHENTICATED", "http": 200}}]'
TABLE keys;
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "NOT_FOUND", "http": 500}}]'
TABLE keys;
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "UNAVAILABLE", "http": 404}}]'
TABLE tokens;
TABLE tokens;
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "INVALID_ARGUMENT", "http": 302}}]'
TABLE keys;
TABLE keys;
-- unless its status is one that nobody knows
\set VERBOSITY default
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "TEAPOT", "http": 403}}]'
TABLE keys;
\echo :SQLSTATE
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "TEAPOT", "http": 200}}]'
TABLE keys;
\echo :SQLSTATE
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "internal", "http": 410}}]'
TABLE keys;
\echo :SQLSTATE
\echo `:requests`
-- NOT_FOUND of a key is no rows, if the API itself says so
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "NOT_FOUND"}}]'
TABLE tokens;
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "NOT_FOUND", "http": 200}}]'
TABLE tokens;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 404, "body": "<html>not found</html>"}}]'
TABLE tokens;
\echo :SQLSTATE
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 404, "json": {"message": "NOT_FOUND"}}}]'
TABLE tokens;
\echo :SQLSTATE
\echo `:requests`
-- details say that trying again is of no use
ALTER SERVER velt OPTIONS (DROP retry_timeout);
\! $VELT_SIM faults '[{"do": {"error": "UNAVAILABLE", "details": {"reason": "for good"}}}]'
TABLE keys;
\echo :SQLSTATE
\! $VELT_SIM faults '[{"do": {"error": "RESOURCE_EXHAUSTED", "details": [1]}}]'
TABLE keys;
\echo :SQLSTATE
\echo `:requests`
ALTER SERVER velt OPTIONS (retry_timeout '0');

-- ----------
-- What HTTP says; a body that is no envelope is not repeated
-- ----------
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 401, "body": "hush-hush"}}]'
TABLE keys;
\echo :SQLSTATE
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 403, "body": "<html>hush-hush</html>"}}]'
TABLE keys;
\echo :SQLSTATE
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 404, "json": {"error": "hush-hush"}}}]'
TABLE keys;
\echo :SQLSTATE
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 407, "body": ""}}]'
TABLE keys;
\echo :SQLSTATE
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 413}}]'
TABLE keys;
\echo :SQLSTATE
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 413}}]'
SELECT id FROM api_keys WHERE id IN ('a', 'b');
\echo :SQLSTATE
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 413}}]'
SELECT state, hint FROM failure($$SELECT id FROM api_keys WHERE id = 'a'$$);
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 429, "json": {"error": {"code": 5}}}}]'
TABLE keys;
\echo :SQLSTATE
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 500, "json": ["hush-hush"]}}]'
TABLE keys;
\echo :SQLSTATE
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 302, "headers": {"location": "/v2/workspace/get"}}}]'
TABLE keys;
\echo :SQLSTATE
TABLE keys;
\echo `:requests`
\set VERBOSITY sqlstate
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 400}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 402}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 405}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 408}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 410}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 413}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 451}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 499}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 501}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 502, "body": "bad gateway"}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 503}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 504}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 511}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 599}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 300}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 301, "headers": {"location": "/"}}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 304}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 307, "headers": {"location": "/"}}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 308, "headers": {"location": "/"}}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 204}}]'
TABLE keys;
-- a right answer under a wrong status is none
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 500, "json": {"result": {"status": "success", "data": []}}}}]'
TABLE keys;
TABLE keys;
\echo `:requests`
\set VERBOSITY default

-- ----------
-- Replies that are no answer
-- ----------

-- no JSON
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "body": ""}}]'
TABLE keys;
\echo :SQLSTATE
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "body": "<html>hush-hush</html>"}}]'
TABLE keys;
\echo :SQLSTATE
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "body": "{\"result\": {\"status\": \"success\", \"data\": ["}}]'
TABLE keys;
\echo :SQLSTATE
TABLE keys;
\echo `:requests`
\set VERBOSITY sqlstate
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "body": "{\"result\": {\"status\": \"success\", \"data\": []}} {}"}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "body": "{\"result\": {\"status\": \"success\", \"data\": [],}}"}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "body": "{\"result\": {\"status\": \"success\", \"data\": [{\"id\": NaN}]}}"}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "body": "{\"result\": {\"status\": \"success\", \"data\": [{\"id\": 01}]}}"}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "body": "{\"result\": {\"status\": \"success\", \"data\": [{\"id\": \"a\tb\"}]}}"}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "body": "{\"result\": {\"status\": \"success\", \"data\": [{\"id\": \"\\x\"}]}}"}}]'
TABLE keys;
-- a byte that is no UTF-8, and a byte order mark
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "body_base64": "eyJyZXN1bHQiOiB7InN0YXR1cyI6ICJzdWNjZXNzIiwgImRhdGEiOiBbeyJpZCI6ICL/In1dfX0="}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "body_base64": "77u/eyJyZXN1bHQiOiB7InN0YXR1cyI6ICJzdWNjZXNzIiwgImRhdGEiOiBbXX19"}}]'
TABLE keys;
-- the wanted members twice
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "body": "{\"result\": {\"status\": \"success\", \"data\": [], \"data\": []}}"}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "body": "{\"result\": {\"status\": \"success\", \"data\": []}, \"result\": {\"status\": \"success\", \"data\": []}}"}}]'
TABLE keys;
TABLE keys;
\echo `:requests`
\set VERBOSITY default

-- no body, and no address to go to
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 204}}]'
TABLE keys;
\echo :SQLSTATE
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 304}}]'
TABLE keys;
\echo :SQLSTATE

-- another shape
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "json": {}}}]'
TABLE keys;
\echo :SQLSTATE
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "json": {"result": {"status": "pending", "data": []}}}}]'
TABLE keys;
\echo :SQLSTATE
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "json": {"result": {"status": "failed", "message": "Not with demo-token-0123456789abcdef\u0007."}}}}]'
TABLE keys;
\echo :SQLSTATE
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/data"]]}}]'
TABLE keys;
\echo :SQLSTATE
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/data/authTokens"]]}}]'
TABLE tokens;
\echo :SQLSTATE
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/data/3", "velt_api_key_000004"]]}}]'
TABLE keys;
\echo :SQLSTATE
-- a workspace without an id is none, also to velt_fdw_check
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/data", {}]]}}]'
TABLE ws;
\echo :SQLSTATE
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/data/id", 5]]}}]'
TABLE ws;
\echo :SQLSTATE
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/data/id", null]]}}]'
SELECT step, ok, detail FROM public.velt_fdw_check('velt') WHERE NOT ok;
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/nextPageToken", 5]]}}]'
TABLE keys;
\echo :SQLSTATE
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/data/apiKey", "velt_api_key_000002"]]}}]'
TABLE tokens;
\echo :SQLSTATE
TABLE tokens;
\echo `:requests`
\set VERBOSITY sqlstate
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "json": []}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "json": null}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "json": "success"}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "json": {"result": null}}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "json": {"error": null}}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "json": {"error": {"message": "no status"}}}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "json": {"error": {"status": 404}}}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/status"]]}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/status", true]]}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/status", "Success"]]}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/data", null]]}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/data", {}]]}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/data", "none"]]}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/data/0", null]]}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/data/0", []]]}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/nextPageToken", {"a": 1}]]}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/nextPageToken", false]]}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/data", []]]}}]'
TABLE ws;
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/data", null]]}}]'
TABLE ws;
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/data/authTokens"]]}}]'
TABLE tokens;
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/data/authTokens", {}]]}}]'
TABLE tokens;
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/data/apiKey", 1]]}}]'
TABLE tokens;
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/data", []]]}}]'
TABLE tokens;
\set ok `:calm`
-- a list of keys whose keys are none; all of them are asked for at once
ALTER SERVER velt OPTIONS (max_concurrency '32');
\! $VELT_SIM faults '[{"times": 1, "endpoint": "apikeys/get", "do": {"edit": [["/result/data/0/id"]]}}]'
SELECT state, detail FROM failure('SELECT count(*) FROM auth_tokens');
\! $VELT_SIM faults '[{"times": 1, "endpoint": "apikeys/get", "do": {"edit": [["/result/data/7/id", null]]}}]'
SELECT state, detail FROM failure('SELECT count(*) FROM auth_tokens');
\! $VELT_SIM faults '[{"times": 1, "endpoint": "apikeys/get", "do": {"edit": [["/result/data/24/id", 25]]}}]'
SELECT state, detail FROM failure('SELECT count(*) FROM auth_tokens');
\! $VELT_SIM faults '[{"times": 1, "endpoint": "apikeys/get", "do": {"edit": [["/result/data/24/id", 25]]}}]'
SELECT id FROM api_keys OFFSET 24;
\echo `:requests`
ALTER SERVER velt OPTIONS (DROP max_concurrency);
-- more rows than were asked for
ALTER SERVER velt OPTIONS (page_size '5');
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "nth": 2, "do": {"edit": [["/result/data/-", {"id": "more"}]]}}]'
SELECT state, detail FROM failure('TABLE api_keys');
\! $VELT_SIM faults '[{"do": {"edit": [["/result/data/-", {"id": "more"}]]}}]'
SELECT state, detail FROM failure($$SELECT * FROM api_keys WHERE id = 'velt_api_key_000001'$$);
ALTER SERVER velt OPTIONS (DROP page_size);
\echo `:requests`
-- what is not said is not wrong
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/data/apiKey"]]}}]'
TABLE tokens;
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/error", null], ["/result/message", 5], ["/more", [1]]]}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/error", {"status": "INTERNAL"}]]}}]'
TABLE keys;
TABLE keys;
\echo `:requests`
\set VERBOSITY default

-- Whether to look at the address: only if it may not be the API's.
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "body": "<html>"}}]'
SELECT public.velt_fdw_disconnect('velt');
SELECT state, hint FROM failure('TABLE keys');
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "json": {"hello": "world"}}}]'
SELECT state, hint FROM failure('TABLE keys');
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 301, "headers": {"location": "/"}}}]'
SELECT state, hint FROM failure('TABLE keys');
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/status", "failed"]]}}]'
SELECT state, hint FROM failure('TABLE keys');
\! $VELT_SIM faults '[{"times": 1, "do": {"edit": [["/result/data"]]}}]'
SELECT state, hint FROM failure('TABLE keys');
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 200, "body": "<html>"}}]'
SELECT state, hint FROM failure('TABLE keys');
\echo `:requests`

-- ----------
-- Pages without end
-- ----------
\! $VELT_SIM faults '[{"do": {"repeat_token": true}}]'
TABLE keys;
\echo :SQLSTATE
\echo `:requests`
\! $VELT_SIM faults '[{"do": {"token_cycle": 3}}]'
\set VERBOSITY sqlstate
TABLE keys;
\set VERBOSITY default
\set n `$VELT_SIM stats requests.total`
SELECT :n BETWEEN 4 AND 10 AS soon;
\set ok `:calm`
\! $VELT_SIM faults '[{"do": {"endless_empty": true}}]'
TABLE keys;
\echo :SQLSTATE
\echo `:requests`
-- nor with tokens that are ever so long
SELECT json_build_array(json_build_object('do', json_build_object('edit',
    json_build_array(json_build_array('/result/nextPageToken',
      repeat('t', 65537)))))) AS faults \gset
\set ok `$VELT_SIM faults :'faults'`
TABLE keys;
\echo :SQLSTATE
\echo `:requests`

-- ----------
-- Limits of ours
-- ----------
ALTER SERVER velt OPTIONS (max_response_size '64kB');
\! $VELT_SIM faults '[{"times": 1, "do": {"gzip_bomb_mb": 1}}]'
TABLE keys;
\echo :SQLSTATE
\! $VELT_SIM faults '[{"times": 1, "do": {"endless_body": true}}]'
TABLE keys;
\echo :SQLSTATE
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"endless_headers": true}}]'
\set VERBOSITY sqlstate
TABLE keys;
\set VERBOSITY default
\! $VELT_SIM faults '[{"times": 1, "do": {"nest": 10000}}]'
TABLE keys;
\echo :SQLSTATE
TABLE keys;
\echo `:requests`
ALTER SERVER velt OPTIONS (DROP max_response_size);
\! $VELT_SIM faults '[{"times": 1, "do": {"gzip_bomb_mb": 1}}]'
TABLE keys;
\echo `:requests`

-- max_requests: exactly so many
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 25, "tokens_per_key": 2}}}'
ALTER SERVER velt OPTIONS (page_size '5', max_requests '5');
TABLE keys;
\echo `:requests`
ALTER SERVER velt OPTIONS (SET max_requests '4');
TABLE keys;
\echo :SQLSTATE
\echo `:requests`
-- the table's goes before the server's
ALTER FOREIGN TABLE api_keys OPTIONS (max_requests '5');
TABLE keys;
ALTER FOREIGN TABLE api_keys OPTIONS (SET max_requests '1');
SELECT id FROM api_keys LIMIT 2;
TABLE keys;
\echo :SQLSTATE
\set ok `:calm`
ALTER FOREIGN TABLE api_keys OPTIONS (DROP max_requests);
-- all requests of a scan are counted, those for its keys too
ALTER SERVER velt OPTIONS (DROP page_size, SET max_requests '26');
SELECT count(*) FROM auth_tokens;
\echo `:requests`
ALTER SERVER velt OPTIONS (SET max_requests '25');
SELECT count(*) FROM auth_tokens;
\echo :SQLSTATE
\set n `$VELT_SIM stats requests.total`
SELECT :n <= 25 AS no_more;
\set ok `:calm`
-- each scan for itself
ALTER SERVER velt OPTIONS (SET max_requests '1');
SELECT count(*) FROM api_keys a JOIN workspaces w ON w.id = a.workspace_id;
\echo `:requests`
ALTER SERVER velt OPTIONS (DROP max_requests);

-- ----------
-- Retries used up: one SQLSTATE, and the hint that the cause has
-- ----------
ALTER SERVER velt OPTIONS (SET retry_timeout '500ms');
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 503}}]'
SELECT state, hint FROM failure('TABLE keys');
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 429, "headers": {"retry-after": "70"}}}]'
SELECT state, hint FROM failure('TABLE keys');
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 522}}]'
SELECT state, hint FROM failure('TABLE keys');
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 421}}]'
SELECT state, hint FROM failure('TABLE keys');
\! $VELT_SIM faults '[{"times": 1, "do": {"status": 501, "headers": {"retry-after": "70"}}}]'
SELECT state, hint FROM failure('TABLE keys');
\! $VELT_SIM faults '[{"times": 1, "do": {"reset": "in_body"}}]'
SELECT state, hint FROM failure('TABLE keys');
\echo `:requests`
ALTER SERVER velt OPTIONS (SET api_url 'http://127.0.0.1:1');
SELECT state, hint FROM failure('TABLE keys');
SELECT step, ok, substr(detail, 1, 5) FROM public.velt_fdw_check('velt');
ALTER SERVER velt OPTIONS (SET api_url :'url', SET retry_timeout '0');

-- ----------
-- The network; its words are libcurl's
-- ----------
\set VERBOSITY sqlstate
\! $VELT_SIM faults '[{"times": 1, "do": {"reset": "before_headers"}}]'
TABLE keys;
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"close": "before_headers"}}]'
TABLE keys;
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"close": "in_headers"}}]'
TABLE keys;
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"reset": "after_headers"}}]'
TABLE keys;
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"reset": "in_body"}}]'
TABLE keys;
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"close": "in_body"}}]'
TABLE keys;
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"truncate": 100}}]'
TABLE keys;
TABLE keys;
\echo `:requests`
-- a body that is shorter than it should be: JSON that breaks off, and bytes
-- that must not be taken for the next answer
\! $VELT_SIM faults '[{"times": 1, "do": {"wrong_length": -5}}]'
TABLE keys;
TABLE keys;
-- no HTTP, and compression that is none
\! $VELT_SIM faults '[{"times": 1, "do": {"raw_base64": "U1NILTIuMC1PcGVuU1NIXzkuMg0K"}}]'
TABLE keys;
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"headers": {"content-encoding": "gzip"}}}]'
TABLE keys;
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"headers": {"content-encoding": "velt"}}}]'
TABLE keys;
TABLE keys;
\echo `:requests`
-- gzip data of two members
ALTER SERVER velt OPTIONS (DROP retry_timeout);
\! $VELT_SIM faults '[{"do": {"status": 200, "body_base64": "H4sIAAAAAAACA6tWKkotLs0pUbKqViouSSwpLVayUiouTU5OLS5W0gEAr1ksGR4AAAAfiwgAAAAAAAIDU0pJLElUsoquVspMUbJSKkvNKYlPLMiMz06tjDdU0lEqqSxIBYqXpBaXZOalK9XG1tYCAOoEtEczAAAA", "headers": {"content-encoding": "gzip"}}}]'
SELECT id FROM api_keys;
-- ... followed by padding
\! $VELT_SIM faults '[{"do": {"status": 200, "body_base64": "H4sIAAAAAAACA6tWKkotLs0pUbKqViouSSwpLVayUiouTU5OLS5W0gEAr1ksGR4AAAAfiwgAAAAAAAIDU0pJLElUsoquVspMUbJSKkvNKYlPLMiMz06tjDdU0lEqqSxIBYqXpBaXZOalK9XG1tYCAOoEtEczAAAAAAAAAAAAAA==", "headers": {"content-encoding": "gzip"}}}]'
SELECT id FROM api_keys;
-- ... by other bytes
\! $VELT_SIM faults '[{"do": {"status": 200, "body_base64": "H4sIAAAAAAACA6tWKkotLs0pUbKqViouSSwpLVayUiouTU5OLS5W0gEAr1ksGR4AAAAfiwgAAAAAAAIDU0pJLElUsoquVspMUbJSKkvNKYlPLMiMz06tjDdU0lEqqSxIBYqXpBaXZOalK9XG1tYCAOoEtEczAAAAbW9yZQ==", "headers": {"content-encoding": "gzip"}}}]'
SELECT state, detail FROM failure('TABLE keys');
-- ... that breaks off
\! $VELT_SIM faults '[{"do": {"status": 200, "body_base64": "H4sIAAAAAAACAw3JQQqAIBAF0Lv8dZu2XiVCBh1CkpDmG8jg3XP7nuNV65UIDqOwGwKsp6Rm2JCFgnA4Sl7+aWWUVuKtI+6rOZoupxrLc2Gecw==", "headers": {"content-encoding": "gzip"}}}]'
SELECT state, detail FROM failure('TABLE keys');
\echo `:requests`
-- encoded in other ways, which the headers say
\! $VELT_SIM faults '[{"do": {"status": 200, "body_base64": "eyJyZXN1bHQiOnsic3RhdHVzIjoic3VjY2VzcyIsImRhdGEiOlt7ImlkIjoidmVsdF9hcGlfa2V5XzEiLCJ0eXBlIjoidGVzdGluZyJ9XX19", "headers": {"content-encoding": "br"}}}]'
SELECT state, detail FROM failure('TABLE keys');
\! $VELT_SIM faults '[{"do": {"status": 200, "body_base64": "H4sIAAAAAAACA5Pv5mAAASZm3pOOXA0KAqwXdv8pnb0tTtWJTdZp0oRn0ice3C3+Pe9x6OupHHyLN0gzrVm+JO3GhNamAguvuH+ZqVPCHq1VfrfacpbecqnTxYnziv89OG27KhBoJADc0wJ1WwAAAA==", "headers": {"content-encoding": "gzip, gzip"}}}]'
SELECT state, detail FROM failure('TABLE keys');
\! $VELT_SIM faults '[{"do": {"status": 200, "body_base64": "eyJyZXN1bHQiOnsic3RhdHVzIjoic3VjY2VzcyIsImRhdGEiOlt7ImlkIjoidmVsdF9hcGlfa2V5XzEiLCJ0eXBlIjoidGVzdGluZyJ9XX19", "headers": {"content-encoding": "identity"}}}]'
SELECT id FROM api_keys;
\echo `:requests`
\! $VELT_SIM faults '[]'
ALTER SERVER velt OPTIONS (retry_timeout '0');
-- nobody there
ALTER SERVER velt OPTIONS (SET api_url 'http://127.0.0.1:1');
TABLE keys;
SELECT message, hint FROM failure('TABLE keys');
ALTER SERVER velt OPTIONS (SET api_url 'http://[::1]:1');
TABLE keys;
\echo `:requests`
ALTER SERVER velt OPTIONS (SET api_url :'url');
TABLE keys;
\echo `:requests`
\set VERBOSITY default
-- time is out
ALTER SERVER velt OPTIONS (request_timeout '500ms');
\! $VELT_SIM faults '[{"times": 1, "do": {"stall": "before_headers"}}]'
TABLE keys;
\echo :SQLSTATE
\! $VELT_SIM faults '[{"times": 1, "do": {"stall": "in_body"}}]'
TABLE keys;
\echo :SQLSTATE
\! $VELT_SIM faults '[{"times": 1, "do": {"wrong_length": 5}}]'
TABLE keys;
\echo :SQLSTATE
TABLE keys;
\echo `:requests`
ALTER SERVER velt OPTIONS (DROP request_timeout);
-- the user's time is out
\! $VELT_SIM faults '[{"times": 1, "do": {"stall": "in_body"}}]'
SET statement_timeout = '500ms';
TABLE keys;
\echo :SQLSTATE
RESET statement_timeout;
TABLE keys;
\echo `:requests`

-- ----------
-- What messages may say
-- ----------

-- credentials that the other side repeats, in any spelling
\! $VELT_SIM config '{"modes": {"echo_secrets": true}}'
ALTER USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (SET auth_token E'hush/"t%6fk\\n~');
TABLE keys;
TABLE ws;
ALTER USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (SET workspace_id 'unknown-ws');
TABLE keys;
SELECT concat(message, detail, hint, context) ~ 'hush|unknown-ws|6e|006E'
  FROM failure('TABLE ws');
\! $VELT_SIM config '{"modes": null}'
ALTER USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (SET workspace_id 'workspace_demo',
           SET auth_token 'demo-token-0123456789abcdef');
\echo `:requests`
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "INTERNAL", "message": "x demo-token-0123456789abcdef y %64emo-token-0123456789abcdef", "headers": {"x-request-id": "id demo-token-0123456789abcdef"}}}]'
TABLE keys;
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "demo-token-0123456789abcdef", "message": "workspace_demo"}}]'
TABLE keys;
-- control characters, and other people's letters
\! $VELT_SIM faults '[{"times": 1, "do": {"error": "INTERNAL", "message": "a\u001b[31mb\nc\u0000d\u009be \u00fc\u20ac", "headers": {"x-request-id": "tab\there"}}}]'
TABLE keys;
-- at most 500 bytes, and no half characters
SELECT json_build_array(json_build_object('do', json_build_object(
    'error', 'INTERNAL', 'message', 'x' || repeat(U&'\00E9', 1000)))) AS faults \gset
\set ok `$VELT_SIM faults :'faults'`
SELECT octet_length(m[1]) BETWEEN 490 AND 500
  FROM failure('TABLE keys'), regexp_match(detail, U&'x\00E9+') m;
-- no id where none came
\! $VELT_SIM faults '[{"times": 1, "do": {"raw_base64": "SFRUUC8xLjEgNTAwIE9vcHMNCmNvbm5lY3Rpb246IGNsb3NlDQpjb250ZW50LWxlbmd0aDogMA0KDQo="}}]'
TABLE keys;
TABLE keys;
\set ok `:calm`

-- ----------
-- In the middle of things
-- ----------
ALTER SERVER velt OPTIONS (page_size '5');
-- some rows have come already
\! $VELT_SIM faults '[{"endpoint": "apikeys/get", "nth": 3, "do": {"error": "PERMISSION_DENIED"}}]'
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM api_keys;
MOVE 9 IN c;
FETCH c;
SAVEPOINT s;
FETCH c;
\echo :SQLSTATE
ROLLBACK TO s;
\set ok `:calm`
TABLE keys;
\echo `:requests`
COMMIT;
-- another scan's error is no business of a cursor
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM api_keys;
MOVE 4 IN c;
SAVEPOINT s;
\! $VELT_SIM faults '[{"endpoint": "workspace/get", "do": {"error": "INTERNAL"}}, {"endpoint": "authtokens/get", "do": {"reset": "in_body"}}]'
SELECT state FROM failure('TABLE ws');
SELECT state FROM failure('SELECT * FROM auth_tokens');
TABLE ws;
ROLLBACK TO s;
FETCH 2 FROM c;
MOVE 18 IN c;
FETCH 2 FROM c;
COMMIT;
\set ok `:calm`
-- many of them, one after the other
\! $VELT_SIM faults '[{"endpoint": "authtokens/get", "key": "velt_api_key_000013", "do": {"close": "in_body"}}]'
SELECT state, count(*) FROM generate_series(1, 20) n,
  LATERAL failure('SELECT ' || n || ' FROM auth_tokens') GROUP BY 1;
\set ok `:calm`
SELECT count(*) FROM auth_tokens;
\echo `:requests`

-- ----------
-- A token in a file
-- ----------
SELECT current_setting('data_directory') AS directory,
       current_setting('data_directory') || '/PG_VERSION' AS one_line,
       current_setting('data_directory') || '/postmaster.pid' AS many_lines,
       current_setting('data_directory') || '/' ||
         pg_relation_filepath('pg_proc') AS large,
       current_setting('data_directory') || '/no such file' AS missing \gset
ALTER USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (DROP auth_token, ADD auth_token_file :'one_line');
TABLE keys;
\set token `$VELT_SIM stats last_headers.x-velt-auth-token`
SELECT :'token' = (current_setting('server_version_num')::int / 10000)::text
    AS without_newline;
\echo `:requests`
ALTER USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (SET auth_token_file :'many_lines');
SELECT state, detail FROM failure('TABLE keys');
ALTER USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (SET auth_token_file :'large');
SELECT state, detail FROM failure('TABLE keys');
ALTER USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (SET auth_token_file :'directory');
SELECT state, detail FROM failure('TABLE keys');
ALTER USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (SET auth_token_file :'missing');
SELECT state FROM failure('TABLE keys');
ALTER USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (SET auth_token_file '/dev/null');
TABLE keys;
\echo :SQLSTATE
-- it goes where the server's owner wants it, so the owner must be trusted
CREATE ROLE regress_velt_owner;
CREATE ROLE regress_velt_user;
GRANT USAGE ON FOREIGN DATA WRAPPER velt_fdw TO regress_velt_owner;
GRANT USAGE ON SCHEMA velt_errors TO regress_velt_user;
GRANT SELECT ON keys, api_keys TO regress_velt_user;
ALTER SERVER velt OWNER TO regress_velt_owner;
ALTER USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (SET auth_token_file :'one_line');
CREATE USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (workspace_id 'workspace_demo', auth_token_file :'one_line');
TABLE keys;
\echo :SQLSTATE
SET ROLE regress_velt_user;
SELECT count(*) FROM api_keys;
\echo :SQLSTATE
RESET ROLE;
\echo `:requests`
GRANT pg_read_server_files TO regress_velt_owner;
SET ROLE regress_velt_user;
SELECT count(*) FROM api_keys;
RESET ROLE;
\echo `:requests`

RESET search_path;
SET client_min_messages = warning;
DROP EXTENSION velt_fdw CASCADE;
DROP SCHEMA velt_errors CASCADE;
DROP ROLE regress_velt_owner, regress_velt_user;
