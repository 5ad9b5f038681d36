-- How many API keys are there, by type?
SELECT type, count(*)
  FROM velt.api_keys
 GROUP BY type
 ORDER BY type;
