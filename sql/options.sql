--
-- Options of servers, user mappings, foreign tables and columns: which values
-- and combinations are taken, who may set them, and what is said otherwise.
-- Nothing in here may make a request.
--
\getenv url VELT_SIM_URL
SET client_min_messages = warning;
CREATE EXTENSION velt_fdw;
RESET client_min_messages;

-- ----------
-- Servers: every option at both ends of its range
-- ----------
CREATE SERVER velt_low FOREIGN DATA WRAPPER velt_fdw OPTIONS (
  api_url 'https://velt.example',
  auth_header 'x',
  connect_timeout '100ms',
  request_timeout '100ms',
  retry_timeout '0',
  max_concurrency '1',
  max_requests_per_minute '1',
  max_requests '1',
  max_response_size '64kB',
  page_size '1',
  keys_per_request '1',
  request_cost '0',
  async_capable 'false',
  keep_connections 'off',
  proxy 'http://proxy.example:3128',
  sslrootcert '/etc/velt/ca.pem',
  sslcert '/etc/velt/client.pem',
  sslkey '/etc/velt/client.key');
CREATE SERVER velt_high FOREIGN DATA WRAPPER velt_fdw OPTIONS (
  api_url 'https://velt.example:8443/some/path/',
  auth_header 'X-My_Token!#$%&''*+.^`|~9',
  connect_timeout '10min',
  request_timeout '1h',
  retry_timeout '24h',
  max_concurrency '64',
  max_requests_per_minute '2147483647',
  max_requests '2147483647',
  max_response_size '512MB',
  page_size '100',
  keys_per_request '100',
  request_cost '1e300',
  async_capable 'yes',
  keep_connections '1',
  proxy 'https://proxy.example');
-- other ways to write the same
ALTER SERVER velt_high OPTIONS (
  SET connect_timeout '600 s', SET request_timeout '3600000ms',
  SET retry_timeout '1d', SET max_response_size '536870912B',
  SET request_cost '12.5');
ALTER SERVER velt_high OPTIONS (SET retry_timeout '0s',
  SET connect_timeout '0.1s', SET max_response_size '65536 B');
-- none is required
CREATE SERVER velt FOREIGN DATA WRAPPER velt_fdw;
SELECT srvname, option_name, option_value
  FROM pg_foreign_server, pg_options_to_table(srvoptions)
 WHERE srvname LIKE 'velt%' ORDER BY 1, option_name COLLATE "C";

-- below and above
ALTER SERVER velt OPTIONS (connect_timeout '99ms');
ALTER SERVER velt OPTIONS (connect_timeout '600001ms');
ALTER SERVER velt OPTIONS (request_timeout '99ms');
ALTER SERVER velt OPTIONS (request_timeout '3600001ms');
ALTER SERVER velt OPTIONS (retry_timeout '-1ms');
ALTER SERVER velt OPTIONS (retry_timeout '86400001ms');
ALTER SERVER velt OPTIONS (max_concurrency '0');
ALTER SERVER velt OPTIONS (max_concurrency '65');
ALTER SERVER velt OPTIONS (max_requests_per_minute '0');
ALTER SERVER velt OPTIONS (max_requests '0');
ALTER SERVER velt OPTIONS (max_response_size '65535B');
ALTER SERVER velt OPTIONS (max_response_size '536870913B');
ALTER SERVER velt OPTIONS (page_size '0');
ALTER SERVER velt OPTIONS (page_size '101');
ALTER SERVER velt OPTIONS (keys_per_request '0');
ALTER SERVER velt OPTIONS (keys_per_request '101');
ALTER SERVER velt OPTIONS (request_cost '-0.1');
-- beyond what an integer holds
\set VERBOSITY sqlstate
ALTER SERVER velt OPTIONS (max_requests_per_minute '2147483648');
ALTER SERVER velt OPTIONS (request_timeout '1000d');
ALTER SERVER velt OPTIONS (max_response_size '1TB');
\set VERBOSITY default

-- durations and sizes carry a unit
ALTER SERVER velt OPTIONS (connect_timeout '10');
ALTER SERVER velt OPTIONS (request_timeout '1000');
ALTER SERVER velt OPTIONS (retry_timeout '10');
ALTER SERVER velt OPTIONS (max_response_size '65536');
ALTER SERVER velt OPTIONS (connect_timeout '0');
ALTER SERVER velt_low OPTIONS (SET connect_timeout '0x7FF');
ALTER SERVER velt OPTIONS (connect_timeout '');
ALTER SERVER velt OPTIONS (retry_timeout '');
-- a known one
ALTER SERVER velt OPTIONS (connect_timeout '10 parsecs');
ALTER SERVER velt OPTIONS (request_timeout '64MB');
ALTER SERVER velt OPTIONS (retry_timeout 's');
ALTER SERVER velt OPTIONS (max_response_size '30s');
ALTER SERVER velt OPTIONS (max_response_size '64mb');

-- no number, no boolean
ALTER SERVER velt OPTIONS (max_concurrency 'many');
ALTER SERVER velt OPTIONS (max_concurrency '8MB');
ALTER SERVER velt OPTIONS (max_requests_per_minute '');
ALTER SERVER velt OPTIONS (page_size 'all');
ALTER SERVER velt OPTIONS (request_cost 'cheap');
ALTER SERVER velt OPTIONS (request_cost 'NaN');
ALTER SERVER velt OPTIONS (request_cost 'Infinity');
ALTER SERVER velt OPTIONS (async_capable 'perhaps');
ALTER SERVER velt OPTIONS (keep_connections '');
\echo :SQLSTATE

-- paths are absolute
ALTER SERVER velt OPTIONS (sslrootcert 'ca.pem');
ALTER SERVER velt OPTIONS (sslcert '');
ALTER SERVER velt OPTIONS (sslkey './client.key', sslcert '/client.pem');
-- a key is of no use without its certificate
ALTER SERVER velt OPTIONS (sslkey '/client.key');
\echo :SQLSTATE

-- ----------
-- URLs
-- ----------

-- without TLS: this machine only, in any spelling that libcurl reads so
ALTER SERVER velt OPTIONS (api_url 'http://localhost');
ALTER SERVER velt OPTIONS (SET api_url 'http://localhost:8080/path');
ALTER SERVER velt OPTIONS (SET api_url 'HTTP://127.0.0.1:1');
ALTER SERVER velt OPTIONS (SET api_url 'http://127.255.255.254');
ALTER SERVER velt OPTIONS (SET api_url 'http://[::1]:65535');
ALTER SERVER velt OPTIONS (SET api_url 'http://127.1');
ALTER SERVER velt OPTIONS (SET api_url 'http://0x7f.1');
ALTER SERVER velt OPTIONS (SET api_url 'http://2130706433');
SELECT srvoptions FROM pg_foreign_server WHERE srvname = 'velt';
ALTER SERVER velt OPTIONS (SET api_url 'http://api.velt.dev');
ALTER SERVER velt OPTIONS (SET api_url 'http://localhost.evil.example');
ALTER SERVER velt OPTIONS (SET api_url 'http://127.0.0.1.evil.example');
ALTER SERVER velt OPTIONS (SET api_url 'http://127.evil.example');
ALTER SERVER velt OPTIONS (SET api_url 'http://126.255.255.255');
ALTER SERVER velt OPTIONS (SET api_url 'http://128.0.0.1');
ALTER SERVER velt OPTIONS (SET api_url 'http://0.0.0.0');
ALTER SERVER velt OPTIONS (SET api_url 'http://2147483648');
ALTER SERVER velt OPTIONS (SET api_url 'http://[::2]');
ALTER SERVER velt OPTIONS (SET api_url 'http://[::ffff:127.0.0.1]');
-- what two parsers may read in two ways
\set VERBOSITY sqlstate
ALTER SERVER velt OPTIONS (SET api_url 'http://127.0.0.1\@evil.example');
ALTER SERVER velt OPTIONS (SET api_url 'http://127.0.0.1@evil.example');
ALTER SERVER velt OPTIONS (SET api_url 'https://user@velt.example');
ALTER SERVER velt OPTIONS (SET api_url 'https://user:secret@velt.example');
-- a password is not repeated
SELECT :'LAST_ERROR_MESSAGE' LIKE '%secret%' AS password_shown;
ALTER SERVER velt OPTIONS (SET api_url 'https://velt.example?x=y');
ALTER SERVER velt OPTIONS (SET api_url 'https://velt.example/path?');
ALTER SERVER velt OPTIONS (SET api_url 'https://velt.example#fragment');
ALTER SERVER velt OPTIONS (SET api_url 'https://velt.example/#');
ALTER SERVER velt OPTIONS (SET api_url 'https://velt.example /');
ALTER SERVER velt OPTIONS (SET api_url E'https://velt.example\r\nx: y');
ALTER SERVER velt OPTIONS (SET api_url E'https://v\xC3\xABlt.example');
ALTER SERVER velt OPTIONS (SET api_url 'ftp://velt.example');
-- in libcurl's words
ALTER SERVER velt OPTIONS (SET api_url '');
ALTER SERVER velt OPTIONS (SET api_url 'velt.example');
ALTER SERVER velt OPTIONS (SET api_url 'https://');
ALTER SERVER velt OPTIONS (SET api_url 'https://velt.example:65536');
ALTER SERVER velt OPTIONS (SET api_url 'http://127.0.0.1%2eevil.example');
ALTER SERVER velt OPTIONS (SET api_url 'http://[::1%25lo]');
ALTER SERVER velt OPTIONS (SET api_url 'file:///etc/passwd');
\set VERBOSITY default
-- all of them were refused
SELECT srvoptions FROM pg_foreign_server WHERE srvname = 'velt';

-- a proxy is a host and a port
ALTER SERVER velt OPTIONS (DROP api_url);
ALTER SERVER velt OPTIONS (proxy 'http://user:secret@proxy.example:3128');
ALTER SERVER velt OPTIONS (proxy 'http://proxy.example:3128/path');
\set VERBOSITY sqlstate
ALTER SERVER velt OPTIONS (proxy 'socks5://proxy.example:1080');
ALTER SERVER velt OPTIONS (proxy 'proxy.example');
ALTER SERVER velt OPTIONS (proxy '');
\set VERBOSITY default
ALTER SERVER velt OPTIONS (proxy 'http://proxy.example?secret');
\echo :SQLSTATE
-- and not for what stays on this machine
ALTER SERVER velt OPTIONS (proxy 'http://localhost:3128',
  api_url 'http://localhost');
\echo :SQLSTATE
ALTER SERVER velt OPTIONS (proxy 'http://proxy.example:3128');
ALTER SERVER velt OPTIONS (api_url 'http://[::1]');
ALTER SERVER velt OPTIONS (DROP proxy, ADD api_url 'http://[::1]');
ALTER SERVER velt OPTIONS (proxy 'https://proxy.example');
ALTER SERVER velt OPTIONS (DROP api_url);
SELECT srvoptions FROM pg_foreign_server WHERE srvname = 'velt';

-- ----------
-- The header that carries the token
-- ----------
ALTER SERVER velt OPTIONS (auth_header '');
ALTER SERVER velt OPTIONS (auth_header 'x-token:');
ALTER SERVER velt OPTIONS (auth_header 'x token');
ALTER SERVER velt OPTIONS (auth_header E'x-token\r\nx-other');
ALTER SERVER velt OPTIONS (auth_header E'x-token\x7f');
ALTER SERVER velt OPTIONS (auth_header E'x-t\xC3\xB6ken');
-- names that have a meaning already, in any case
ALTER SERVER velt OPTIONS (auth_header 'Host');
ALTER SERVER velt OPTIONS (auth_header 'CONTENT-LENGTH');
ALTER SERVER velt OPTIONS (auth_header 'content-type');
ALTER SERVER velt OPTIONS (auth_header 'Transfer-Encoding');
ALTER SERVER velt OPTIONS (auth_header 'Connection');
ALTER SERVER velt OPTIONS (auth_header 'Accept-Encoding');
ALTER SERVER velt OPTIONS (auth_header 'Expect');
ALTER SERVER velt OPTIONS (auth_header 'User-Agent');
ALTER SERVER velt OPTIONS (auth_header 'Proxy-Authorization');
ALTER SERVER velt OPTIONS (auth_header 'Cookie');
ALTER SERVER velt OPTIONS (auth_header 'X-Velt-Workspace-Id');
\echo :SQLSTATE
ALTER SERVER velt_low OPTIONS (SET auth_header 'Max-Forwards');
ALTER SERVER velt OPTIONS (auth_header 'X-Velt-Auth-Token');
ALTER SERVER velt OPTIONS (SET auth_header 'x-velt-workspace-auth-token');

-- ----------
-- User mappings
-- ----------
CREATE ROLE regress_velt_user;
CREATE ROLE regress_velt_file_reader IN ROLE pg_read_server_files;

-- what is required
CREATE USER MAPPING FOR regress_velt_user SERVER velt;
\echo :SQLSTATE
CREATE USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (workspace_id 'w');
\echo :SQLSTATE
CREATE USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (auth_token 'hush-hush');
\echo :SQLSTATE
CREATE USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (workspace_id 'w', auth_token 'hush-hush', auth_token_file '/token');
\echo :SQLSTATE

-- a credential is part of a header: no other byte may be in it
\set VERBOSITY terse
CREATE USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (workspace_id '', auth_token 'hush-hush');
CREATE USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (workspace_id 'w w', auth_token 'hush-hush');
CREATE USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (workspace_id E'w\r\nx-injected: 1', auth_token 'hush-hush');
CREATE USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (workspace_id E'w\n', auth_token 'hush-hush');
CREATE USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (workspace_id E'w\x7f', auth_token 'hush-hush');
CREATE USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (workspace_id E'w\xC3\xA9', auth_token 'hush-hush');
\set VERBOSITY default
CREATE USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (workspace_id 'w', auth_token '');
CREATE USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (workspace_id 'w', auth_token 'hush hush');
CREATE USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (workspace_id 'w', auth_token E'hush\rhush');
CREATE USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (workspace_id 'w', auth_token E'hush-hush\n');
CREATE USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (workspace_id 'w', auth_token E'\thush-hush');
CREATE USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (workspace_id 'w', auth_token E'hush\x7fhush');
CREATE USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (workspace_id 'w', auth_token E'hush\xC3\xA9');
\echo :SQLSTATE
-- up to 8192 characters of it
SELECT repeat('h', 8192) AS longest, repeat('h', 8193) AS too_long \gset
CREATE USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (workspace_id :'too_long', auth_token 'hush-hush');
CREATE USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (workspace_id 'w', auth_token :'too_long');
CREATE USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (workspace_id :'longest', auth_token :'longest');
DROP USER MAPPING FOR regress_velt_user SERVER velt;
CREATE USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (workspace_id '~', auth_token '!');

-- ALTER checks what comes out of it
ALTER USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (DROP workspace_id);
ALTER USER MAPPING FOR regress_velt_user SERVER velt OPTIONS (DROP auth_token);
ALTER USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (auth_token_file '/token');
ALTER USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (DROP auth_token, ADD auth_token_file 'token');
ALTER USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (DROP auth_token, ADD auth_token_file '/token');
ALTER USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (SET workspace_id 'w');
SELECT umoptions FROM pg_user_mappings
 WHERE srvname = 'velt' AND usename = 'regress_velt_user';
DROP USER MAPPING FOR regress_velt_user SERVER velt;

-- ----------
-- Foreign tables and columns
-- ----------
CREATE SCHEMA velt_options;
SET search_path = velt_options;
CREATE FOREIGN TABLE t (id text) SERVER velt;
\echo :SQLSTATE
CREATE FOREIGN TABLE t (id text) SERVER velt OPTIONS (resource 'api_key');
\echo :SQLSTATE
CREATE FOREIGN TABLE t (id text) SERVER velt OPTIONS (resource '');
CREATE FOREIGN TABLE t (id text) SERVER velt
  OPTIONS (resource 'api_keys', page_size '0');
CREATE FOREIGN TABLE t (id text) SERVER velt
  OPTIONS (resource 'api_keys', page_size '101');
CREATE FOREIGN TABLE t (id text) SERVER velt
  OPTIONS (resource 'api_keys', max_requests '0');
CREATE FOREIGN TABLE t (id text) SERVER velt
  OPTIONS (resource 'api_keys', async_capable 'often');
CREATE FOREIGN TABLE t (id text) SERVER velt
  OPTIONS (resource 'api_keys', workspace_id 'w w');
CREATE FOREIGN TABLE t (
  id text,
  label text OPTIONS (column_name 'api_key_name'),
  everything jsonb OPTIONS (json_pointer ''),
  odd text OPTIONS (json_pointer '/a~1b/~0/0//')
) SERVER velt OPTIONS (resource 'api_keys', page_size '1', max_requests '1',
  async_capable 'false', workspace_id 'w');
ALTER FOREIGN TABLE t OPTIONS (DROP resource);
\echo :SQLSTATE
ALTER FOREIGN TABLE t OPTIONS (SET resource 'nothing');
ALTER FOREIGN TABLE t OPTIONS (SET resource 'workspaces', DROP workspace_id,
  SET page_size '100', SET max_requests '2147483647');
ALTER FOREIGN TABLE t ALTER label OPTIONS (SET column_name '');
ALTER FOREIGN TABLE t ALTER label OPTIONS (json_pointer '/apiKeyName');
\echo :SQLSTATE
ALTER FOREIGN TABLE t ALTER id OPTIONS (json_pointer 'id');
ALTER FOREIGN TABLE t ALTER id OPTIONS (json_pointer '/a~2');
ALTER FOREIGN TABLE t ALTER id OPTIONS (json_pointer '/a~');
\echo :SQLSTATE
ALTER FOREIGN TABLE t ALTER label
  OPTIONS (DROP column_name, ADD json_pointer '/apiKeyName');
ALTER FOREIGN TABLE t ALTER odd OPTIONS (DROP json_pointer);
\d t
DROP FOREIGN TABLE t;

-- ----------
-- Names
-- ----------

-- a slip of the keyboard
ALTER SERVER velt OPTIONS (max_concurency '8');
ALTER SERVER velt OPTIONS (timeout '8s');
ALTER SERVER velt OPTIONS (SET max_concurency '8');
-- an option of something else; its value is in no message
CREATE SERVER velt_other FOREIGN DATA WRAPPER velt_fdw
  OPTIONS (auth_token 'hush-hush');
\echo :SQLSTATE
CREATE SERVER velt_other FOREIGN DATA WRAPPER velt_fdw
  OPTIONS (workspace_id 'w');
CREATE USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (workspace_id 'w', auth_token 'hush-hush', page_size '10');
CREATE USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (workspace_id 'w', auth_tokens 'hush-hush');
CREATE FOREIGN TABLE t (id text) SERVER velt
  OPTIONS (resource 'api_keys', api_url 'https://velt.example');
CREATE FOREIGN TABLE t (id text OPTIONS (page_size '1')) SERVER velt
  OPTIONS (resource 'api_keys');
-- nothing near
ALTER SERVER velt OPTIONS (use_remote_estimate 'true');
CREATE USER MAPPING FOR regress_velt_user SERVER velt
  OPTIONS (workspace_id 'w', "user" 'hush-hush');
CREATE FOREIGN TABLE t (id text) SERVER velt
  OPTIONS (resource 'api_keys', schema_name 'public');
CREATE FOREIGN TABLE t (id text OPTIONS (type 'text')) SERVER velt
  OPTIONS (resource 'api_keys');
-- the wrapper itself has none
ALTER FOREIGN DATA WRAPPER velt_fdw OPTIONS (api_url 'https://velt.example');
ALTER FOREIGN DATA WRAPPER velt_fdw OPTIONS (nonsense 'true');
\echo :SQLSTATE

-- ----------
-- Who may set what
-- ----------
GRANT USAGE ON FOREIGN DATA WRAPPER velt_fdw
  TO regress_velt_user, regress_velt_file_reader;
GRANT CREATE, USAGE ON SCHEMA velt_options TO regress_velt_user;

SET ROLE regress_velt_user;
CREATE SERVER velt_own FOREIGN DATA WRAPPER velt_fdw
  OPTIONS (api_url 'https://velt.example', max_concurrency '2');
ALTER SERVER velt_own OPTIONS (SET max_concurrency '3', ADD page_size '5');
CREATE SERVER velt_other FOREIGN DATA WRAPPER velt_fdw
  OPTIONS (api_url 'http://localhost');
\echo :SQLSTATE
ALTER SERVER velt_own OPTIONS (SET api_url 'http://localhost');
ALTER SERVER velt_own OPTIONS (SET api_url 'HTTP://127.0.0.1');
ALTER SERVER velt_own OPTIONS (proxy 'http://proxy.example:3128');
\echo :SQLSTATE
ALTER SERVER velt_own OPTIONS (sslrootcert '/etc/velt/ca.pem');
\echo :SQLSTATE
ALTER SERVER velt_own OPTIONS (sslcert '/etc/velt/client.pem');
ALTER SERVER velt_own OPTIONS (sslcert '/c', sslkey '/etc/velt/client.key');
CREATE USER MAPPING FOR CURRENT_USER SERVER velt_own
  OPTIONS (workspace_id 'w', auth_token_file '/etc/passwd');
\echo :SQLSTATE
CREATE USER MAPPING FOR CURRENT_USER SERVER velt_own
  OPTIONS (workspace_id 'w', auth_token 'hush-hush');
ALTER USER MAPPING FOR CURRENT_USER SERVER velt_own
  OPTIONS (DROP auth_token, ADD auth_token_file '/etc/passwd');
ALTER USER MAPPING FOR CURRENT_USER SERVER velt_own
  OPTIONS (SET auth_token 'hush');
CREATE FOREIGN TABLE t (id text) SERVER velt_own
  OPTIONS (resource 'api_keys', page_size '3');
DROP FOREIGN TABLE t;

-- nor alter what has it
RESET ROLE;
ALTER SERVER velt_own OPTIONS (SET api_url 'http://localhost');
SET ROLE regress_velt_user;
ALTER SERVER velt_own OPTIONS (SET page_size '6');
\echo :SQLSTATE
ALTER SERVER velt_own OPTIONS (SET api_url 'http://127.0.0.1');
ALTER SERVER velt_own OPTIONS (SET api_url 'https://velt.example');
RESET ROLE;
ALTER SERVER velt_own OPTIONS (proxy 'http://proxy.example:3128');
SET ROLE regress_velt_user;
ALTER SERVER velt_own OPTIONS (SET page_size '6');
RESET ROLE;
ALTER SERVER velt_own OPTIONS (DROP proxy, ADD sslrootcert '/etc/ca.pem');
SET ROLE regress_velt_user;
ALTER SERVER velt_own OPTIONS (SET page_size '6');
ALTER SERVER velt_own OPTIONS (SET api_url 'https://other.example');
RESET ROLE;
ALTER USER MAPPING FOR regress_velt_user SERVER velt_own
  OPTIONS (DROP auth_token, ADD auth_token_file '/etc/velt/token');
SET ROLE regress_velt_user;
ALTER USER MAPPING FOR CURRENT_USER SERVER velt_own
  OPTIONS (SET workspace_id 'x');
\echo :SQLSTATE

-- files are for who may read them, and nothing else is
SET ROLE regress_velt_file_reader;
CREATE SERVER velt_files FOREIGN DATA WRAPPER velt_fdw
  OPTIONS (sslrootcert '/ca', sslcert '/c', sslkey '/k', page_size '5');
ALTER SERVER velt_files OPTIONS (SET page_size '6');
CREATE USER MAPPING FOR CURRENT_USER SERVER velt_files
  OPTIONS (workspace_id 'w', auth_token_file '/etc/velt/token');
ALTER USER MAPPING FOR CURRENT_USER SERVER velt_files
  OPTIONS (SET workspace_id 'x');
ALTER SERVER velt_files OPTIONS (api_url 'http://localhost');
ALTER SERVER velt_files OPTIONS (proxy 'http://proxy.example:3128');
RESET ROLE;

SELECT srvname, srvoptions FROM pg_foreign_server
 WHERE srvname IN ('velt_own', 'velt_files') ORDER BY 1;
SELECT srvname, usename, umoptions FROM pg_user_mappings
 WHERE srvname LIKE 'velt%' ORDER BY 1, 2;

-- Nobody has asked the API for anything.
ALTER SERVER velt OPTIONS (DROP auth_header, ADD api_url :'url');
\! $VELT_SIM stats requests
\! $VELT_SIM stats connections

RESET search_path;
SET client_min_messages = warning;
DROP EXTENSION velt_fdw CASCADE;
DROP SCHEMA velt_options CASCADE;
DROP ROLE regress_velt_user, regress_velt_file_reader;
