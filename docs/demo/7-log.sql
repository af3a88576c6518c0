\echo The access log: every read, also the one that was rolled back and the ones that were refused:
SELECT id, views, regexp_replace(array_to_string(columns, ' '), '\w+\.passengers\.', '', 'g') AS columns, purpose, kind, outcome, sqlstate, rows_sent
  FROM airlock.access_log ORDER BY id;
SELECT id, logged_at::timestamp(0), login_role, statement FROM airlock.access_log ORDER BY id;
\echo Nobody changed it:
SELECT * FROM airlock.verify_log();
\echo Who saw Miss Allen, passenger 15? The scope of the insurer says whose its rows are; that of the statistics office does not, so it may have:
SELECT id, subprocessor, purpose, certainty, regexp_replace(array_to_string(columns, ' '), '\w+\.passengers\.', '', 'g') AS columns
  FROM airlock.who_saw('passengers', '15') ORDER BY id;
\echo And who has read the log, these queries included:
SELECT id, login_role, what, left(statement, 80) AS statement FROM airlock.audit_log ORDER BY id;
\echo Who sees what:
SELECT subprocessor, relation, "column", exposure, mask ->> 'mask' AS mask, encrypted, reads FROM airlock.field_access;
\echo Is the set-up sound?
SELECT severity, "check", object, message FROM airlock.doctor();
