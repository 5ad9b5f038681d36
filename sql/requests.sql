--
-- Conditions and limits, row by row: the filters, page sizes and numbers of
-- requests that they come to.
--
\getenv url VELT_SIM_URL
-- what was asked of the API since the last time
\set requests '$VELT_SIM stats requests && $VELT_SIM reset'
\set filters '$VELT_SIM stats filters'
\set page_sizes '$VELT_SIM stats page_sizes && $VELT_SIM reset'
\set in_flight '$VELT_SIM stats max_in_flight'
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 45, "tokens_per_key": 2}}}'
SET client_min_messages = warning;
CREATE EXTENSION velt_fdw;
CREATE EXTENSION IF NOT EXISTS citext;
RESET client_min_messages;
CREATE SCHEMA velt_requests;
SET search_path = velt_requests, public;
CREATE SERVER velt FOREIGN DATA WRAPPER velt_fdw OPTIONS (api_url :'url');
CREATE USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (workspace_id 'workspace_demo',
           auth_token 'demo-token-0123456789abcdef');
IMPORT FOREIGN SCHEMA workspace FROM SERVER velt INTO velt_requests;
CREATE FUNCTION key_id(n int) RETURNS text LANGUAGE sql IMMUTABLE AS
  $$ SELECT 'velt_api_key_' || lpad(n::text, 6, '0') $$;
CREATE FUNCTION key_ids(n int) RETURNS text[] LANGUAGE sql IMMUTABLE AS
  $$ SELECT array_agg(velt_requests.key_id(i)) FROM generate_series(1, n) i $$;
CREATE TABLE numbers AS SELECT n, key_id(n) AS id FROM generate_series(1, 3) n;
ANALYZE numbers;

-- ----------
-- Many keys at once: as many requests as they need, under way together
-- ----------
\! $VELT_SIM config '{"latency_ms": 200}'
SELECT count(*) FROM api_keys WHERE id = ANY (key_ids(250));
\echo `:in_flight`
\echo `:requests`
SELECT count(*) FROM api_keys WHERE id = ANY (key_ids(30));
\echo `:requests`
SELECT count(*) FROM api_keys WHERE id = ANY (key_ids(31));
\echo `:in_flight`
\echo `:requests`
-- a key a request, and eight of those; the keys are not listed
SELECT count(*) FROM auth_tokens WHERE api_key = ANY (key_ids(8));
\echo `:in_flight`
\echo `:requests`
SELECT count(*) FROM auth_tokens WHERE api_key = ANY (key_ids(20));
\echo `:in_flight`
\echo `:requests`
ALTER SERVER velt OPTIONS (max_concurrency '2');
SELECT count(*) FROM api_keys WHERE id = ANY (key_ids(250));
\echo `:in_flight`
\echo `:requests`
ALTER SERVER velt OPTIONS (DROP max_concurrency);
\! $VELT_SIM config '{"latency_ms": null}'
-- each page of a filter is asked for with all of it
\! $VELT_SIM config '{"modes": {"page_cap": 2}}'
SELECT count(*) FROM api_keys WHERE id = ANY (key_ids(5));
\echo `:filters`
\echo `:page_sizes`
\! $VELT_SIM config '{"modes": null}'

-- ----------
-- Values that are known when the scan begins
-- ----------
-- an initplan's
SELECT type FROM api_keys WHERE id = (SELECT max(id) FROM numbers);
SELECT id FROM api_keys WHERE id = ANY (ARRAY(SELECT id FROM numbers)) ORDER BY 1;
SELECT id FROM api_keys WHERE id IN ((SELECT min(id) FROM numbers), 'nope');
SELECT id FROM api_keys
 WHERE id = (SELECT id FROM numbers WHERE n = 4) OR id = (SELECT id FROM numbers WHERE n = 2);
\echo `:filters`
\echo `:requests`
SELECT count(*) FROM auth_tokens WHERE api_key = (SELECT max(id) FROM numbers);
SELECT count(*) FROM auth_tokens WHERE api_key = ANY (ARRAY(SELECT id FROM numbers));
SELECT count(*) FROM auth_tokens WHERE api_key = ANY (ARRAY(SELECT id FROM numbers WHERE n > 9));
\echo `:requests`
-- one table's for another
SELECT count(*) FROM auth_tokens
 WHERE api_key = ANY (ARRAY(SELECT id FROM api_keys WHERE type = 'production'));
\echo `:requests`
-- a stable expression's
CREATE FUNCTION stable_id() RETURNS text LANGUAGE plpgsql STABLE AS
  $$ BEGIN RETURN (SELECT max(id) FROM velt_requests.numbers); END $$;
SET velt_test.id = 'velt_api_key_000009';
SELECT id FROM api_keys WHERE id = current_setting('velt_test.id');
SELECT id FROM api_keys WHERE id = stable_id();
SELECT id FROM api_keys WHERE id IN (stable_id(), current_setting('velt_test.id'));
SELECT id FROM api_keys WHERE id = ANY (string_to_array(current_setting('velt_test.id'), ','));
\echo `:filters`
\echo `:requests`
-- a row's around it
SELECT n, (SELECT type FROM api_keys k WHERE k.id = numbers.id) FROM numbers;
\echo `:filters`
\echo `:requests`
SELECT n, t.count FROM numbers,
       LATERAL (SELECT count(*) FROM auth_tokens t WHERE t.api_key = numbers.id OFFSET 0) t;
\echo `:requests`
-- not a volatile one's, which may be another for each row
CREATE FUNCTION volatile_id() RETURNS text LANGUAGE plpgsql VOLATILE AS
  $$ BEGIN RETURN 'velt_api_key_000001'; END $$;
SELECT id FROM api_keys WHERE id = volatile_id();
SELECT id FROM api_keys WHERE id IN (volatile_id(), 'nope');
SELECT id FROM api_keys WHERE id = volatile_id() OR id = 'nope';
SELECT count(*) FROM auth_tokens WHERE api_key = volatile_id();
\echo `:filters`
\echo `:requests`
-- but it takes nothing from what stands beside it
SELECT id FROM api_keys WHERE id = 'velt_api_key_000001' AND id = volatile_id();
\echo `:filters`
\echo `:requests`

-- ----------
-- Where equality is not that of texts
-- ----------
CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE FOREIGN TABLE loose_keys (id text COLLATE loose)
  SERVER velt OPTIONS (resource 'api_keys');
CREATE FOREIGN TABLE citext_keys (id citext)
  SERVER velt OPTIONS (resource 'api_keys');
CREATE FOREIGN TABLE padded_keys (id char(30), workspace_id char(30))
  SERVER velt OPTIONS (resource 'api_keys');
CREATE FOREIGN TABLE name_keys (id name)
  SERVER velt OPTIONS (resource 'api_keys');
CREATE FOREIGN TABLE loose_tokens (api_key text COLLATE loose, workspace_id text COLLATE loose)
  SERVER velt OPTIONS (resource 'auth_tokens');
SELECT id FROM loose_keys WHERE id = 'VELT_API_KEY_000001';
SELECT id FROM loose_keys WHERE id IN ('VELT_API_KEY_000001', 'nope');
SELECT id FROM api_keys WHERE id = 'VELT_API_KEY_000001' COLLATE loose;
SELECT id FROM citext_keys WHERE id = 'VELT_API_KEY_000001';
SELECT id FROM api_keys WHERE id::citext = 'VELT_API_KEY_000001';
SELECT id = 'velt_api_key_000001' AS padded FROM padded_keys WHERE id = 'velt_api_key_000001   ';
SELECT id FROM name_keys WHERE id = 'velt_api_key_000001';
SELECT count(*) FROM api_keys WHERE id::varchar(13) = 'velt_api_key_';
SELECT id FROM api_keys WHERE id ~~ 'velt_api_key_000001';
SELECT id FROM api_keys WHERE id <= 'velt_api_key_000001';
SELECT id FROM api_keys WHERE id ^@ 'velt_api_key_000001';
SELECT id FROM api_keys WHERE id ~<=~ 'velt_api_key_000001';
SELECT id FROM api_keys WHERE id IS NOT DISTINCT FROM 'velt_api_key_000001';
SELECT count(*) FROM api_keys WHERE id = ALL ('{velt_api_key_000001}');
SELECT count(*) FROM api_keys WHERE id = ALL ('{}');
SELECT count(*) FROM api_keys WHERE NOT id = 'velt_api_key_000001';
SELECT count(*) FROM api_keys WHERE (id = 'velt_api_key_000001') IS NOT TRUE;
SELECT count(*) FROM api_keys WHERE id = api_key_name;
\echo `:filters`
\echo `:requests`
-- the same of a workspace
SELECT count(*) FROM loose_tokens WHERE workspace_id = 'WORKSPACE_DEMO';
SELECT count(*) FROM padded_keys WHERE workspace_id = 'workspace_demo  ';
\echo `:requests`
-- and of a key that has none of these there is one request
SELECT count(*) FROM loose_tokens WHERE api_key = 'velt_api_key_000001' COLLATE "C";
\echo `:requests`

-- ----------
-- The page shrinks to a limit
-- ----------
SELECT count(*) FROM (SELECT id FROM api_keys LIMIT 5) k;
SELECT count(*) FROM (SELECT id FROM api_keys LIMIT 5 OFFSET 6) k;
SELECT count(*) FROM (SELECT id FROM api_keys LIMIT (SELECT 7)) k;
SELECT count(*) FROM (SELECT id FROM api_keys FETCH FIRST 8 ROWS ONLY) k;
SELECT count(*) FROM (SELECT id, id || '!' FROM api_keys LIMIT 9) k;
SELECT count(*) FROM (SELECT id FROM api_keys WHERE workspace_id = 'workspace_demo' LIMIT 10) k;
SELECT count(*) FROM (SELECT k FROM api_keys k LIMIT 11) k;
SELECT n FROM numbers WHERE id IN (SELECT id FROM api_keys LIMIT 12) ORDER BY 1;
WITH k AS (SELECT id FROM api_keys LIMIT 13) SELECT count(*) FROM k;
CREATE VIEW all_keys AS SELECT * FROM api_keys;
SELECT count(*) FROM (SELECT id FROM all_keys LIMIT 14) k;
SELECT count(*) FROM ((SELECT id FROM api_keys LIMIT 15) UNION ALL (SELECT id FROM api_keys LIMIT 16)) k;
\echo `:page_sizes`
-- no further than what the table allows, and not where there is none
SELECT count(*) FROM (SELECT id FROM api_keys LIMIT NULL) k;
SELECT count(*) FROM (SELECT id FROM api_keys LIMIT ALL OFFSET 5) k;
SELECT count(*) FROM (SELECT id FROM api_keys OFFSET 5) k;
SELECT count(*) FROM (SELECT id FROM api_keys LIMIT 101) k;
SELECT count(*) FROM (SELECT id FROM api_keys LIMIT 9223372036854775807 OFFSET 5) k;
\echo `:page_sizes`
-- the API has fewer: the page is full, and the last
SELECT count(*) FROM (SELECT id FROM api_keys LIMIT 45) k;
SELECT count(*) FROM (SELECT id FROM api_keys LIMIT 46) k;
SELECT count(*) FROM (SELECT id FROM api_keys LIMIT 5 OFFSET 45) k;
\echo `:requests`
-- nothing to ask for
SELECT id FROM api_keys LIMIT 0;
SELECT id FROM api_keys LIMIT 0 OFFSET 5;
SELECT id FROM api_keys WHERE workspace_id = 'other' LIMIT 5;
SELECT id FROM api_keys LIMIT -1;
SELECT id FROM api_keys LIMIT 5 OFFSET -1;
\echo `:requests`
SELECT id FROM api_keys WHERE id = NULL LIMIT 5;
SELECT name FROM auth_tokens WHERE api_key = NULL LIMIT 5 OFFSET 1;
SELECT id FROM api_keys WHERE false LIMIT 5;
SELECT id FROM api_keys WHERE workspace_id = 'a' AND workspace_id = NULL LIMIT 5;
PREPARE key_or_none AS SELECT id FROM api_keys WHERE id = $1 LIMIT 5;
EXECUTE key_or_none (NULL);
\echo `:requests`
-- prepared
PREPARE part_of_keys AS SELECT id FROM api_keys LIMIT $1 OFFSET $2;
SET plan_cache_mode = force_generic_plan;
EXECUTE part_of_keys (2, 3);
EXECUTE part_of_keys (2, NULL);
EXECUTE part_of_keys (0, 3);
SET plan_cache_mode = force_custom_plan;
EXECUTE part_of_keys (2, 3);
EXECUTE part_of_keys (2, NULL);
EXECUTE part_of_keys (0, 3);
RESET plan_cache_mode;
\echo `:page_sizes`
CREATE FUNCTION some_keys(n int) RETURNS SETOF text LANGUAGE plpgsql AS
  $$ BEGIN RETURN QUERY SELECT id FROM velt_requests.api_keys LIMIT n; END $$;
SELECT count(*) FROM some_keys(4);
\echo `:page_sizes`

-- ----------
-- It does not where a row of the scan is not one that the limit counts
-- ----------
-- a condition that is checked here
SELECT count(*) FROM (SELECT id FROM api_keys WHERE type = 'production' LIMIT 5) k;
SELECT count(*) FROM (SELECT id FROM api_keys WHERE id > 'a' AND workspace_id = 'workspace_demo' LIMIT 5) k;
-- sorted, grouped, made distinct
SELECT count(*) FROM (SELECT id FROM api_keys ORDER BY id DESC LIMIT 5) k;
SELECT count(*) FROM (SELECT id FROM api_keys ORDER BY api_key_name FETCH FIRST 5 ROWS WITH TIES) k;
SELECT count(*) FROM (SELECT DISTINCT id FROM api_keys LIMIT 5) k;
SELECT count(*) FROM (SELECT DISTINCT ON (type) id FROM api_keys LIMIT 5) k;
SELECT count(*) FROM (SELECT id FROM api_keys GROUP BY id LIMIT 5) k;
SELECT count(*) FROM (SELECT type FROM api_keys GROUP BY GROUPING SETS ((type), ()) LIMIT 5) k;
SELECT count(n) FROM (SELECT count(*) AS n FROM api_keys HAVING count(*) > 1 LIMIT 5) k;
SELECT max(max) FROM (SELECT max(id) FROM api_keys LIMIT 5) k;
SELECT max(n) FROM (SELECT row_number() OVER () AS n FROM api_keys LIMIT 5) k;
-- more rows than the scan's, or from elsewhere
SELECT max(n) FROM (SELECT id, generate_series(1, 2) AS n FROM api_keys LIMIT 5) k;
SELECT max(n) FROM (SELECT id, generate_series(1, 0) AS n FROM api_keys LIMIT 5) k;
SELECT count(*) FROM (SELECT id FROM api_keys UNION SELECT id FROM numbers LIMIT 5) k;
SELECT count(*) FROM (SELECT id FROM api_keys EXCEPT SELECT id FROM numbers LIMIT 5) k;
SELECT count(*) FROM (SELECT id FROM api_keys INTERSECT SELECT id FROM numbers LIMIT 5) k;
SELECT count(*) FROM (SELECT n FROM numbers JOIN api_keys ON type <> numbers.id LIMIT 5) k;
SELECT count(*) FROM (SELECT k.id FROM api_keys k LEFT JOIN numbers ON n = length(k.type) LIMIT 5) k;
SELECT count(*) FROM (SELECT id FROM (SELECT id FROM api_keys WHERE type = 'testing' OFFSET 0) k LIMIT 5) k;
SELECT count(*) FROM (SELECT id FROM api_keys k
  WHERE NOT EXISTS (SELECT FROM numbers WHERE numbers.id = k.id) LIMIT 5) k;
-- locked
SELECT id FROM api_keys LIMIT 1 FOR UPDATE;
-- who counts the calls sees one
CREATE SEQUENCE calls;
SELECT count(*) FROM (SELECT id FROM api_keys LIMIT nextval('calls')) k;
SELECT last_value FROM calls;
\echo `:page_sizes`
-- of a filter it is the number of keys all the same
SELECT count(*) FROM (SELECT id FROM api_keys WHERE id = ANY (key_ids(20)) LIMIT 5) k;
\echo `:page_sizes`

-- ----------
-- Tokens: a limit caps how many keys are asked about
-- ----------
SELECT count(*) FROM (SELECT name FROM auth_tokens LIMIT 2) t;
\echo `:requests`
SELECT count(*) FROM (SELECT name FROM auth_tokens LIMIT 6) t;
\set asked `$VELT_SIM stats requests.authtokens/get`
SELECT :asked BETWEEN 3 AND 6 AS no_more_than_rows;
\! $VELT_SIM reset
SELECT count(*) FROM (SELECT name FROM auth_tokens WHERE api_key = ANY (key_ids(20)) LIMIT 2) t;
\set asked `$VELT_SIM stats requests.authtokens/get`
SELECT :asked BETWEEN 1 AND 2 AS no_more_than_rows;
\! $VELT_SIM reset

RESET search_path;
SET client_min_messages = warning;
DROP EXTENSION velt_fdw CASCADE;
DROP SCHEMA velt_requests CASCADE;
DROP EXTENSION citext CASCADE;
