/* From the made-up older version to the one of this tree. */

\echo Use "ALTER EXTENSION velt_fdw UPDATE TO '1.0'" to load this file. \quit

COMMENT ON FUNCTION velt_fdw_handler() IS
'callbacks of the foreign-data wrapper velt_fdw';

COMMENT ON FUNCTION velt_fdw_validator(text[], oid) IS
'checks options of servers, user mappings and foreign tables of velt_fdw';

COMMENT ON FOREIGN DATA WRAPPER velt_fdw IS
'Velt workspaces, API keys and auth tokens';

CREATE OR REPLACE FUNCTION velt_fdw_version()
RETURNS text
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT STABLE PARALLEL SAFE;

COMMENT ON FUNCTION velt_fdw_version() IS
'versions of velt_fdw and of the libraries it uses';

-- Its type is another: it cannot be replaced.
DROP FUNCTION velt_fdw_get_connections();

CREATE FUNCTION velt_fdw_get_connections(
    OUT server_name text, OUT user_name text, OUT workspace_id text,
    OUT valid boolean, OUT open_connections integer, OUT requests bigint,
    OUT retries bigint, OUT bytes_received bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT PARALLEL RESTRICTED;

COMMENT ON FUNCTION velt_fdw_get_connections() IS
'this session''s connections to Velt, and what they have cost';

COMMENT ON FUNCTION velt_fdw_disconnect(text) IS
'closes this session''s connections to a foreign server';

CREATE FUNCTION velt_fdw_disconnect_all()
RETURNS boolean
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT PARALLEL RESTRICTED;

COMMENT ON FUNCTION velt_fdw_disconnect_all() IS
'closes all of this session''s connections to Velt';

CREATE FUNCTION velt_fdw_check(server_name text,
    OUT step text, OUT ok boolean, OUT detail text)
RETURNS SETOF record
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT PARALLEL UNSAFE; -- it catches errors in a subtransaction

COMMENT ON FUNCTION velt_fdw_check(text) IS
'tries a foreign server with your user mapping, step by step';
