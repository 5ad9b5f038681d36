-- A workspace as a schema: what it takes, once.  With the real API, api_url
-- is not needed.
\getenv api_url VELT_SIM_URL

CREATE EXTENSION velt_fdw;

CREATE SERVER velt FOREIGN DATA WRAPPER velt_fdw
    OPTIONS (api_url :'api_url');

CREATE USER MAPPING FOR CURRENT_USER SERVER velt
    OPTIONS (workspace_id 'workspace_demo',
             auth_token 'demo-token-0123456789abcdef');

CREATE SCHEMA velt;

IMPORT FOREIGN SCHEMA workspace FROM SERVER velt INTO velt;
