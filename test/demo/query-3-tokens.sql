-- Which tokens of production keys can be used from any domain?
SELECT k.id AS key, k.api_key_name, t.name AS token
  FROM velt.api_keys k
  JOIN velt.auth_tokens t ON t.api_key = k.id
 WHERE k.type = 'production' AND coalesce(t.domains, '{}') = '{}'
 ORDER BY k.id;
