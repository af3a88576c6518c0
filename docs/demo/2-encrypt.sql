\echo What the owner has:
SELECT id, name, born, class, fare, embarked, survived, consent FROM passengers WHERE id IN (2, 3, 7, 300) ORDER BY id;
SELECT airlock.create_key('pii');
SELECT airlock.create_key('money', plaintext_type => 'numeric');
SELECT airlock.encrypt_column('passengers', 'name', key => 'pii', searchable => true);
SELECT airlock.encrypt_column('passengers', 'fare', key => 'money');
\echo What is stored from now on, in the table, its dumps, its WAL:
SELECT id, name, fare FROM passengers WHERE id = 2;
SELECT airlock.grant_decrypt('pii', 'controller'), airlock.grant_decrypt('money', 'controller');
\echo The owner may decrypt, and find by the exact value:
SELECT id, airlock.decrypt(name) AS name, airlock.decrypt(fare, NULL::numeric) AS fare FROM passengers WHERE name = 'Abbott, Mr. Rossmore Edward';
