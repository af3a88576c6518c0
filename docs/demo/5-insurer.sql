\set VERBOSITY verbose
\echo Its contract names two purposes, so the insurer must say which:
SELECT count(*) FROM insurer.passengers;
SET airlock.purpose = 'claims';
SELECT * FROM insurer.passengers WHERE name LIKE 'Allen%' OR fare > 500 ORDER BY id;
BEGIN;
SELECT count(*), sum(fare) FROM insurer.passengers;
ROLLBACK;
