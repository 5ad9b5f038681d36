-- What people write without velt_fdw: set-returning functions in PL/Python,
-- over urllib, or over kept connections and a pool of threads.
-- kind: urllib or keepalive.

CREATE EXTENSION plpython3u;

CREATE FUNCTION peer_keys(kind text, url text, workspace text, token text,
                          ca text DEFAULT NULL)
RETURNS TABLE (id text, api_key_name text, type text)
LANGUAGE plpython3u AS $$
import peer
return peer.keys(peer.client(GD, kind, url, workspace, token, ca))
$$;

CREATE FUNCTION peer_key(kind text, url text, workspace text, token text,
                         key text)
RETURNS TABLE (id text, api_key_name text, type text)
LANGUAGE plpython3u AS $$
import peer
return peer.one_key(peer.client(GD, kind, url, workspace, token), key)
$$;

CREATE FUNCTION peer_tokens(kind text, url text, workspace text, token text,
                            wanted text[], threads int)
RETURNS TABLE (api_key text, auth_token text, name text, domains text[])
LANGUAGE plpython3u AS $$
import peer
return peer.tokens(peer.client(GD, kind, url, workspace, token), wanted,
                   threads)
$$;

-- How long a query takes, in microseconds.
CREATE FUNCTION time_of(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    start timestamptz := clock_timestamp();
BEGIN
    EXECUTE query;
    RETURN extract(epoch FROM clock_timestamp() - start) * 1e6;
END
$$;

-- And how long its first row.
CREATE FUNCTION time_of_first(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    start timestamptz := clock_timestamp();
    result float8;
    rows refcursor;
    one record;
BEGIN
    OPEN rows FOR EXECUTE query;
    FETCH rows INTO one;
    result := extract(epoch FROM clock_timestamp() - start) * 1e6;
    CLOSE rows;
    RETURN result;
END
$$;
