-- What people write without velt_fdw: set-returning functions in PL/Python,
-- over urllib, or over kept connections; both with a pool of threads.
-- kind: urllib or keepalive.

CREATE EXTENSION plpython3u;

CREATE FUNCTION peer_keys(kind text, url text, workspace text, auth text)
RETURNS TABLE (id text, api_key_name text, type text)
LANGUAGE plpython3u AS $$
import peer
return peer.keys(peer.client(GD, kind, url, workspace, auth))
$$;

CREATE FUNCTION peer_keys_of_all(kind text, url text, workspaces text[],
                                 auth text)
RETURNS TABLE (id text, api_key_name text, type text)
LANGUAGE plpython3u AS $$
import peer
return peer.keys_of_all([peer.client(GD, kind, url, workspace, auth)
                         for workspace in workspaces])
$$;

CREATE FUNCTION peer_keys_named(kind text, url text, workspace text, auth text,
                                wanted text[], threads int,
                                ca text DEFAULT NULL)
RETURNS TABLE (id text, api_key_name text, type text)
LANGUAGE plpython3u AS $$
import peer
return peer.keys_named(peer.client(GD, kind, url, workspace, auth, ca), wanted,
                       threads)
$$;

-- wanted: NULL for all
CREATE FUNCTION peer_tokens(kind text, url text, workspace text, auth text,
                            wanted text[], threads int)
RETURNS TABLE (api_key text, token text, name text, domains text[])
LANGUAGE plpython3u AS $$
import peer
return peer.tokens(peer.client(GD, kind, url, workspace, auth), wanted,
                   threads)
$$;

CREATE FUNCTION peer_version() RETURNS text LANGUAGE plpython3u AS $$
import platform
return "Python " + platform.python_version()
$$;

-- Into these the script loads what it has fetched.
CREATE TABLE peer_keys (id text, api_key_name text, type text);
CREATE TABLE peer_tokens (api_key text, token text, name text, domains text[]);

-- A thousand local rows, in another order than the keys'.
CREATE TABLE customers AS
    SELECT 'velt_api_key_' || to_char(n * 7 % 1000 + 1, 'FM000000') AS key
      FROM generate_series(1, 1000) n;
ANALYZE customers;

-- Reads all rows of a query: how many, and after how many microseconds there
-- were the first and all.  It is planned as a query is, not as a cursor of which
-- a tenth may be read.
CREATE FUNCTION measure(query text, OUT first float8, OUT wall float8,
                        OUT nrows bigint)
LANGUAGE plpgsql SET cursor_tuple_fraction = 1 AS $$
DECLARE
    start timestamptz := clock_timestamp();
    rows refcursor;
    one record;
    found_one int;
BEGIN
    OPEN rows NO SCROLL FOR EXECUTE query;
    FETCH rows INTO one;
    first := extract(epoch FROM clock_timestamp() - start) * 1e6;
    found_one := FOUND::int;
    MOVE FORWARD ALL FROM rows;
    wall := extract(epoch FROM clock_timestamp() - start) * 1e6;
    GET DIAGNOSTICS nrows = ROW_COUNT;
    nrows := nrows + found_one;
    CLOSE rows;
END
$$;
