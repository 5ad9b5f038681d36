/* An older version, made up: nothing was released before 1.0.  For the test
 * of updates, which a release to come has to pass with real ones. */

\echo Use "CREATE EXTENSION velt_fdw" to load this file. \quit

CREATE FUNCTION velt_fdw_handler()
RETURNS fdw_handler
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT;

CREATE FUNCTION velt_fdw_validator(text[], oid)
RETURNS void
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT;

CREATE FOREIGN DATA WRAPPER velt_fdw
  HANDLER velt_fdw_handler
  VALIDATOR velt_fdw_validator;

-- volatile, and without comment
CREATE FUNCTION velt_fdw_version()
RETURNS text
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT;

-- with fewer columns
CREATE FUNCTION velt_fdw_get_connections(
    OUT server_name text, OUT valid boolean)
RETURNS SETOF record
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT PARALLEL RESTRICTED;

CREATE FUNCTION velt_fdw_disconnect(server_name text)
RETURNS boolean
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT PARALLEL RESTRICTED;
