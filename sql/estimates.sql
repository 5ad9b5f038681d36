--
-- Estimates: what ANALYZE counts, and what the planner makes of it.
--
\getenv url VELT_SIM_URL
\set calm '$VELT_SIM config "{\\"workspaces\\": null}" && $VELT_SIM reset'
\set requests '$VELT_SIM stats requests.total && $VELT_SIM reset'
SET client_min_messages = warning;
CREATE EXTENSION velt_fdw;
RESET client_min_messages;
CREATE SCHEMA velt_estimates;
SET search_path = velt_estimates;
CREATE SERVER velt FOREIGN DATA WRAPPER velt_fdw OPTIONS (api_url :'url');
CREATE USER MAPPING FOR CURRENT_USER SERVER velt
  OPTIONS (workspace_id 'workspace_demo',
           auth_token 'demo-token-0123456789abcdef');
IMPORT FOREIGN SCHEMA workspace FROM SERVER velt INTO velt_estimates;

-- A number beside what it should be: that itself if it is no worse than a
-- factor away.
CREATE FUNCTION about(found numeric, expected numeric, factor numeric = 2)
RETURNS text IMMUTABLE LANGUAGE sql AS $$
  SELECT CASE WHEN greatest(found, 1) BETWEEN greatest(expected, 1) / factor
                                          AND greatest(expected, 1) * factor
              THEN 'about ' || expected ELSE found || ', not ' || expected END
$$;
CREATE VIEW counted AS
  SELECT relname::text AS "table", reltuples::numeric AS n FROM pg_class
   WHERE relnamespace = 'velt_estimates'::regnamespace AND relkind = 'f';
CREATE VIEW distinct_values AS
  SELECT tablename::text AS "table", attname::text AS "column",
         CASE WHEN n_distinct < 0 THEN -n_distinct * n ELSE n_distinct END::numeric AS n,
         null_frac, most_common_vals::text::text[] AS common, most_common_freqs AS freqs
    FROM pg_stats JOIN counted ON "table" = tablename
   WHERE schemaname = 'velt_estimates';

-- ----------
-- What ANALYZE counts
-- ----------

-- So many keys, whose numbers of tokens are those in turn.  Up to 300 keys
-- are asked for their tokens; what the others have is inferred.
CREATE FUNCTION analyzed(keys int, tokens int[], OUT tokens_in_all text,
  OUT keys_with_tokens text, OUT different_names text, OUT first_names text)
LANGUAGE plpgsql AS $$
DECLARE
  all_tokens numeric;
  with_tokens numeric;
BEGIN
  SELECT sum(t), count(*) FILTER (WHERE t > 0) INTO all_tokens, with_tokens
    FROM generate_series(0, keys - 1) i, LATERAL
      (SELECT tokens[1 + i % cardinality(tokens)] AS t) of_key;
  ANALYZE auth_tokens;
  tokens_in_all := about(n, all_tokens, 1.25)
    FROM counted WHERE "table" = 'auth_tokens';
  SELECT about(n, with_tokens) INTO keys_with_tokens
    FROM distinct_values WHERE ("table", "column") = ('auth_tokens', 'api_key');
  -- of each key the first token is "Token 1", the second one "Token 2", ...
  SELECT about(n, (SELECT max(t) FROM unnest(tokens) t)),
         about((100 * freqs[array_position(common, 'Token 1')])::int,
               round(100 * with_tokens / all_tokens)) || ' %'
    INTO different_names, first_names
    FROM distinct_values WHERE ("table", "column") = ('auth_tokens', 'name');
END $$;
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 45, "tokens_per_key": 5}}}'
SELECT * FROM analyzed(45, '{5}');
\echo `:requests`
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 300, "tokens_per_key": [2, 0, 2]}}}'
SELECT * FROM analyzed(300, '{2, 0, 2}');
\echo `:requests`
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 1000, "tokens_per_key": 1}}}'
SELECT * FROM analyzed(1000, '{1}');
\echo `:requests`
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 1000, "tokens_per_key": 2}}}'
SELECT * FROM analyzed(1000, '{2}');
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 1000, "tokens_per_key": [2, 0, 2]}}}'
SELECT * FROM analyzed(1000, '{2, 0, 2}');
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 10000, "tokens_per_key": 2}}}'
\set ok `$VELT_SIM reset`
SELECT * FROM analyzed(10000, '{2}');
\echo `:requests`
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 10000, "tokens_per_key": [1, 2, 3, 4, 5, 6, 7, 8, 9]}}}'
SELECT * FROM analyzed(10000, '{1, 2, 3, 4, 5, 6, 7, 8, 9}');
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 30000, "tokens_per_key": 5}}}'
SELECT * FROM analyzed(30000, '{5}');
-- keys are unique
ANALYZE api_keys;
SELECT "column", n_distinct FROM (SELECT attname AS "column", n_distinct
  FROM pg_stats WHERE schemaname = 'velt_estimates' AND tablename = 'api_keys') s
 WHERE "column" IN ('id', 'type') ORDER BY 1;
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 45, "tokens_per_key": 0}}}'
ANALYZE auth_tokens;
SELECT n FROM counted WHERE "table" = 'auth_tokens';
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 0}}}'
\set ok `$VELT_SIM reset`
ANALYZE auth_tokens, api_keys;
\echo `:requests`
SELECT * FROM counted ORDER BY 1;

-- No more than 300 pages, and 300 keys' tokens.
\! $VELT_SIM config '{"workspaces": {"workspace_demo": {"keys": 310}}}'
ALTER SERVER velt OPTIONS (page_size '1');
\set ok `$VELT_SIM reset`
ANALYZE api_keys;
\echo `:requests`
ANALYZE auth_tokens;
\echo `:requests`
ALTER SERVER velt OPTIONS (DROP page_size);

\set ok `:calm`
RESET search_path;
SET client_min_messages = warning;
DROP EXTENSION velt_fdw CASCADE;
DROP SCHEMA velt_estimates CASCADE;
