/* src/velt_fdw--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION velt_fdw" to load this file. \quit

CREATE FUNCTION velt_fdw_handler()
RETURNS fdw_handler
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT;

COMMENT ON FUNCTION velt_fdw_handler() IS
'callbacks of the foreign-data wrapper velt_fdw';

CREATE FUNCTION velt_fdw_validator(text[], oid)
RETURNS void
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT;

COMMENT ON FUNCTION velt_fdw_validator(text[], oid) IS
'checks options of servers, user mappings and foreign tables of velt_fdw';

CREATE FOREIGN DATA WRAPPER velt_fdw
  HANDLER velt_fdw_handler
  VALIDATOR velt_fdw_validator;

COMMENT ON FOREIGN DATA WRAPPER velt_fdw IS
'Velt workspaces, API keys and auth tokens';

CREATE FUNCTION velt_fdw_version()
RETURNS text
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT STABLE PARALLEL SAFE;

COMMENT ON FUNCTION velt_fdw_version() IS
'versions of velt_fdw and of the libraries it uses';

CREATE FUNCTION velt_fdw_get_connections(
    OUT server_name text, OUT user_name text, OUT workspace_id text,
    OUT valid boolean, OUT open_connections integer, OUT requests bigint,
    OUT retries bigint, OUT bytes_received bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT PARALLEL RESTRICTED;

COMMENT ON FUNCTION velt_fdw_get_connections() IS
'this session''s connections to Velt, and what they have cost';

CREATE FUNCTION velt_fdw_disconnect(server_name text)
RETURNS boolean
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT PARALLEL RESTRICTED;

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
