-- The user's own side: who was given which API key.  Of 22 customers, two
-- have a key that is gone; of the demo's 25 keys, five are nobody's.
CREATE TABLE customers (
    name    text PRIMARY KEY,
    plan    text NOT NULL,
    api_key text UNIQUE
);

INSERT INTO customers
SELECT name,
       (ARRAY['free', 'team', 'enterprise'])[1 + n % 3],
       'velt_api_key_' || lpad((CASE WHEN n <= 20 THEN n
                                     ELSE n + 100 END)::text, 6, '0')
  FROM unnest(ARRAY['Aurora', 'Birch', 'Cobalt', 'Dune', 'Ember', 'Fjord',
                    'Granite', 'Harbor', 'Indigo', 'Juniper', 'Kestrel',
                    'Larch', 'Meridian', 'Nimbus', 'Osprey', 'Prairie',
                    'Quartz', 'Ridge', 'Sable', 'Tundra', 'Umber',
                    'Vesper'])
       WITH ORDINALITY AS customer (name, n);

ANALYZE customers;
