-- Whose key is gone, and which keys are nobody's?  A join with a table of
-- our own.
SELECT c.name AS customer, c.api_key AS their_key, k.id AS key, k.type
  FROM customers c
  FULL JOIN velt.api_keys k ON k.id = c.api_key
 WHERE c.name IS NULL OR k.id IS NULL
 ORDER BY c.name, k.id;
