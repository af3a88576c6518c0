\echo The access log: every read, also the one that was rolled back and the ones that were refused:
SELECT id, views, regexp_replace(array_to_string(columns, ' '), '\w+\.passengers\.', '', 'g') AS columns, purpose, kind, outcome, sqlstate, rows_sent
  FROM airlock.access_log ORDER BY id;
SELECT id, logged_at::timestamp(0), login_role, statement FROM airlock.access_log ORDER BY id;
\echo Nobody changed it:
SELECT * FROM airlock.verify_log();
\echo Who sees what:
SELECT subprocessor, relation, "column", exposure, mask ->> 'mask' AS mask, encrypted, reads FROM airlock.field_access;
\echo Is the set-up sound?
SELECT severity, "check", object, message FROM airlock.doctor();
