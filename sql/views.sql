-- What admins and auditors look at. Owned by the extension's owner, granted in privileges.sql.

CREATE VIEW airlock.keys AS
SELECT k.name, k.key_no, k.plaintext_type, k.pad, v.use, v.version, v.state, v.root_generation, v.activated_at, v.retired_at
  FROM airlock_catalog.key k JOIN airlock_catalog.key_version v ON v.owner = k.uuid
 ORDER BY k.name, v.use, v.version;

CREATE VIEW airlock.encrypted_columns AS
SELECT a.attrelid::regclass AS relation, a.attname AS "column", k.name AS key, k.plaintext_type,
       a.atttypid = 'airlock.encrypted_eq'::regtype AS searchable, a.atttypmod AS column_no,
       e.encrypted_at, e.encrypted_lsn, e.scrubbed_at, e.scrubbed_lsn, e.bind
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'm')
  LEFT JOIN airlock_catalog.encrypted_column e ON e.column_no = a.atttypmod
  LEFT JOIN airlock_catalog.key k ON k.key_no = e.key_no
 WHERE a.atttypid IN ('airlock.encrypted'::regtype, 'airlock.encrypted_eq'::regtype) AND NOT a.attisdropped;

-- jobs on tables. A job that says it runs, and holds no lock in the name of the job table, was interrupted: call it again.
-- Whoever administers keys sees all, others those on tables that are theirs.
CREATE VIEW airlock.progress WITH (security_barrier) AS
SELECT j.kind, j.relation, nullif(j.column_name, '') AS "column",
       CASE WHEN j.state <> 'running' OR l.pid IS NOT NULL THEN j.state ELSE 'interrupted' END AS state,
       nullif(j.phase, '') AS phase, j.pass, j.position AS blocks_done, j.total AS blocks_total, j.done AS rows_changed,
       j.locked AS rows_locked, l.pid, j.started_by, j.started_at, j.updated_at, j.ended_at, j.error
  FROM airlock_catalog.job j
  JOIN pg_catalog.pg_class c ON c.oid = j.relation
  LEFT JOIN pg_catalog.pg_lock_status() l ON l.locktype = 'object' AND l.granted AND l.classid = 'airlock_catalog.job'::pg_catalog.regclass
        AND l.objid = j.relation AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
 WHERE pg_catalog.pg_has_role('airlock_admin', 'USAGE') OR pg_catalog.pg_has_role(c.relowner, 'USAGE')
 ORDER BY j.updated_at DESC;

CREATE VIEW airlock.subprocessors AS
SELECT s.name, s.role, s.legal_name, s.contract, s.purposes, s.valid_until, s.networks, s.require_tls, s.state, s.state_reason,
       s.state_since, s.details, s.created_at, s.created_by,
       (SELECT count(*) FROM airlock_catalog.scope c WHERE c.subprocessor = s.id AND c.dropped_at IS NULL) AS scopes,
       s.log_days, s.values_days, s.subjects_days, s.rows_per_day, s.connections_per_day
  FROM airlock_catalog.subprocessor s;

-- versions of the sub-processors' mask keys, and how many rules in force are under each
CREATE VIEW airlock.mask_keys AS
SELECT s.name AS subprocessor, v.version, v.state, v.root_generation, v.activated_at,
       (SELECT count(*) FROM airlock_catalog.rule r JOIN airlock_catalog.scope c ON c.id = r.scope
         WHERE c.subprocessor = s.id AND c.dropped_at IS NULL AND r.until IS NULL AND r.mask_key_version = v.version) AS rules
  FROM airlock_catalog.subprocessor s JOIN airlock_catalog.key_version v ON v.owner = s.uuid AND v.use = 'mask'
 ORDER BY s.name, v.version;

CREATE VIEW airlock.scopes AS
SELECT s.name AS subprocessor, c.relation, c.view, c.row_filter, c.subject, c.purposes, c.definition, c.id AS scope_no, c.created_at, c.created_by,
       c.filter_relations, c.fence, c.allow_explain
  FROM airlock_catalog.scope c JOIN airlock_catalog.subprocessor s ON s.id = c.subprocessor
 WHERE c.dropped_at IS NULL;

-- one row per read statement: what the reader's backend recorded before it read, joined to how it ended. Settled and
-- unsettled reads apart, so that conditions reach the table's indexes; an unsettled read has no settled end.
CREATE VIEW airlock.access_log WITH (security_barrier) AS
WITH unsettled AS MATERIALIZED (SELECT u.* FROM airlock.unsettled_records() u)
SELECT i.id, i.logged_at, i.subprocessor, i.login_role, i.session_role, i.acting_role, i.client_addr, i.application_name,
       i.backend_pid, i.tls, i.database, i.views, i.columns, i.purpose, i.statement,
       CASE WHEN i.kind = 'denied' OR coalesce(o.sqlstate, u.sqlstate, i.sqlstate) IN ('AL006', 'AL007', 'AL008', 'AL009') THEN 'denied'
            WHEN coalesce(o.id, u.id) IS NULL THEN i.kind ELSE 'final' END AS kind,
       coalesce(o.outcome, u.outcome, i.outcome) AS outcome, coalesce(o.sqlstate, u.sqlstate, i.sqlstate) AS sqlstate,
       coalesce(o.rows_sent, u.rows_sent, i.rows_sent) AS rows_sent, coalesce(o.bytes_sent, u.bytes_sent, i.bytes_sent) AS bytes_sent,
       coalesce(o.duration_us, u.duration_us, i.duration_us) * interval '1 microsecond' AS duration, i.hash,
       i.returned, i.filtered, i.base_columns, i.detail IS NOT DISTINCT FROM 'self test' AS self_test
  FROM airlock_catalog.read_record i
  LEFT JOIN airlock_catalog.read_record o ON o.kind IN ('outcome', 'killed')
        AND o.backend_start = i.backend_start AND o.backend_pid = i.backend_pid AND o.statement_no = i.statement_no
        AND o.settled_on >= i.settled_on
  LEFT JOIN unsettled u ON o.id IS NULL AND u.kind IN ('outcome', 'killed')
        AND u.backend_start = i.backend_start AND u.backend_pid = i.backend_pid AND u.statement_no = i.statement_no
 WHERE airlock.note_log_read() AND i.kind IN ('exact', 'intent', 'open', 'denied', 'explain')
UNION ALL
SELECT i.id, i.logged_at, i.subprocessor, i.login_role, i.session_role, i.acting_role, i.client_addr, i.application_name,
       i.backend_pid, i.tls, i.database, i.views, i.columns, i.purpose, i.statement,
       CASE WHEN i.kind = 'denied' OR coalesce(u.sqlstate, i.sqlstate) IN ('AL006', 'AL007', 'AL008', 'AL009') THEN 'denied'
            WHEN u.id IS NULL THEN i.kind ELSE 'final' END AS kind,
       coalesce(u.outcome, i.outcome) AS outcome, coalesce(u.sqlstate, i.sqlstate) AS sqlstate,
       coalesce(u.rows_sent, i.rows_sent) AS rows_sent, coalesce(u.bytes_sent, i.bytes_sent) AS bytes_sent,
       coalesce(u.duration_us, i.duration_us) * interval '1 microsecond' AS duration, i.hash,
       i.returned, i.filtered, i.base_columns, i.detail IS NOT DISTINCT FROM 'self test'
  FROM unsettled i
  LEFT JOIN unsettled u ON u.kind IN ('outcome', 'killed')
        AND u.backend_start = i.backend_start AND u.backend_pid = i.backend_pid AND u.statement_no = i.statement_no
 WHERE airlock.note_log_read() AND i.kind IN ('exact', 'intent', 'open', 'denied', 'explain');

-- who read the log, and what of it; reading this is on record as well
CREATE VIEW airlock.audit_log WITH (security_barrier) AS
SELECT a.id, a.logged_at, a.login_role, a.session_role, a.acting_role, a.client_addr, a.tls, a.application_name, a.backend_pid,
       a.detail AS what, a.statement, a.hash
  FROM airlock_catalog.read_record a
 WHERE airlock.note_log_read() AND a.kind = 'audit'
UNION ALL
SELECT u.id, u.logged_at, u.login_role, u.session_role, u.acting_role, u.client_addr, u.tls, u.application_name, u.backend_pid,
       u.detail, u.statement, u.hash
  FROM airlock.unsettled_records() u
 WHERE airlock.note_log_read() AND u.kind = 'audit';

-- epochs of the read log, each with a key of its own for the names of data subjects
CREATE VIEW airlock.subject_epochs AS
SELECT v.version AS epoch, CASE v.state WHEN 'active' THEN 'present' WHEN 'destroyed' THEN 'forgotten' ELSE 'kept' END AS state,
       v.activated_at AS since, v.retired_at AS forgotten_at
  FROM airlock_catalog.key_version v WHERE v.use = 'subject'
 ORDER BY v.version;

-- what is kept beyond its period, and why
CREATE VIEW airlock.log_holds AS
SELECT h.id, s.name AS subprocessor, h.reason, h.since, h.held_by, h.released_at, h.released_by, h.release_reason
  FROM airlock_catalog.log_hold h LEFT JOIN airlock_catalog.subprocessor s ON s.id = h.subprocessor
 ORDER BY h.id;

-- what sub-processors are and may see, change by change
CREATE VIEW airlock.subprocessor_history AS
SELECT h.id, h.changed_at, h.login_role, h.acting_role, h.subprocessor, h.action, h.reason, h.changed, h.before, h.after
  FROM airlock_catalog.change h WHERE h.relation IS NULL
 ORDER BY h.id;

CREATE VIEW airlock.scope_history AS
SELECT h.id, h.changed_at, h.login_role, h.acting_role, h.subprocessor, h.relation, h.action, h.changed, h.before, h.after
  FROM airlock_catalog.change h WHERE h.relation IS NOT NULL
 ORDER BY h.id;

-- Labels that bear on a column: its own (distance 0), those of its parents by inheritance or partitioning (above 0) and of its
-- children (below 0), for they show the same rows. Nobody but the extension looks here.
CREATE VIEW airlock_catalog.column_label AS
WITH RECURSIVE labelled AS (
  SELECT l.objoid AS relation, a.attname::text AS column_name, l.label
    FROM pg_catalog.pg_seclabel l JOIN pg_catalog.pg_attribute a ON a.attrelid = l.objoid AND a.attnum = l.objsubid AND NOT a.attisdropped
   WHERE l.provider = 'airlock' AND l.classoid = 'pg_catalog.pg_class'::regclass AND l.objsubid > 0),
down AS (
  SELECT f.relation, f.column_name, f.label, 0 AS distance, f.relation AS source FROM labelled f
   UNION SELECT i.inhrelid, d.column_name, d.label, d.distance + 1, d.source FROM down d JOIN pg_catalog.pg_inherits i ON i.inhparent = d.relation),
up AS (
  SELECT i.inhparent AS relation, f.column_name, f.label, -1 AS distance, f.relation AS source
    FROM labelled f JOIN pg_catalog.pg_inherits i ON i.inhrelid = f.relation
   UNION SELECT i.inhparent, u.column_name, u.label, u.distance - 1, u.source FROM up u JOIN pg_catalog.pg_inherits i ON i.inhrelid = u.relation)
SELECT d.relation, d.column_name, d.label, d.distance, d.source FROM down d
UNION ALL
SELECT u.relation, u.column_name, u.label, u.distance, u.source FROM up u;

-- the class of each column that has one: its own label, else the nearest parent's
CREATE VIEW airlock_catalog.column_class AS
SELECT DISTINCT ON (l.relation, l.column_name) l.relation, l.column_name, l.label AS class
  FROM airlock_catalog.column_label l WHERE l.distance >= 0
 ORDER BY l.relation, l.column_name, l.distance, l.label;

-- what holds for columns by their class, for all (subprocessor NULL) or for one
CREATE VIEW airlock.classes AS
SELECT k.class, s.name AS subprocessor, k.mask, k.forbid_clear, k.since, k.login_role, k.acting_role
  FROM airlock_catalog.class k LEFT JOIN airlock_catalog.subprocessor s ON s.id = k.subprocessor
 WHERE k.until IS NULL
 ORDER BY k.class, s.name NULLS FIRST;

CREATE VIEW airlock.class_history AS
SELECT k.id, k.class, s.name AS subprocessor, k.mask, k.forbid_clear, k.since, k.login_role, k.acting_role, k.until, k.until_login_role, k.until_acting_role
  FROM airlock_catalog.class k LEFT JOIN airlock_catalog.subprocessor s ON s.id = k.subprocessor
 ORDER BY k.id;

-- labelled columns: whether their class, or one that covers it, forbids clear for all; and whose scopes have a rule for the column,
-- or for it in a parent or child of its table
CREATE VIEW airlock.classified_columns AS
SELECT o.relation::regclass AS relation, o.column_name, o.label AS class,
       a.atttypid IN ('airlock.encrypted'::regtype, 'airlock.encrypted_eq'::regtype) AS encrypted,
       EXISTS (SELECT FROM airlock_catalog.class k WHERE k.until IS NULL AND k.subprocessor IS NULL AND k.forbid_clear
                  AND (o.label = k.class OR pg_catalog.starts_with(o.label, k.class || '.'))) AS forbid_clear,
       coalesce(e.names, '{}') AS exposed_to
  FROM airlock_catalog.column_label o
  JOIN pg_catalog.pg_attribute a ON a.attrelid = o.relation AND a.attname = o.column_name::name AND NOT a.attisdropped
  LEFT JOIN (
    SELECT l.source, l.column_name, pg_catalog.array_agg(DISTINCT s.name ORDER BY s.name) AS names
      FROM airlock_catalog.column_label l
      JOIN airlock_catalog.scope c ON c.relation = l.relation AND c.dropped_at IS NULL
      JOIN airlock_catalog.rule r ON r.scope = c.id AND r.until IS NULL AND r.column_name = l.column_name
      JOIN airlock_catalog.subprocessor s ON s.id = c.subprocessor
     GROUP BY l.source, l.column_name
  ) e ON e.source = o.relation AND e.column_name = o.column_name
 WHERE o.distance = 0
 ORDER BY o.relation::regclass::text, a.attnum;

-- when containment was last tried for whom, by whom, and what of it did not hold
CREATE VIEW airlock.self_tests AS
SELECT t.id, t.tested_at, t.login_role, t.acting_role, t.subprocessor, t.library, t.passed, t.failed, t.not_tested,
       ARRAY(SELECT pg_catalog.format('%s %s: %s', r.value ->> 'class', r.value ->> 'probe', r.value ->> 'message')
               FROM pg_catalog.jsonb_array_elements(t.results) WITH ORDINALITY AS r (value, place) WHERE r.value ->> 'ok' = 'false' ORDER BY r.place) AS failures,
       t.results
  FROM airlock_catalog.self_test t
 ORDER BY t.id;

-- fields by recipient; reads are counted from settled records, without those of the self test
CREATE VIEW airlock.field_access AS
SELECT s.name AS subprocessor, c.relation, r.column_name AS "column", CASE WHEN r.mask IS NULL THEN 'clear' ELSE 'masked' END AS exposure,
       r.mask, r.encrypted, r.since, l.last_read, coalesce(l.reads, 0) AS reads, r.condition, k.class
  FROM airlock_catalog.rule r
  JOIN airlock_catalog.scope c ON c.id = r.scope AND c.dropped_at IS NULL
  JOIN airlock_catalog.subprocessor s ON s.id = c.subprocessor
  LEFT JOIN pg_catalog.pg_class v ON v.oid = c.view
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = v.relnamespace
  LEFT JOIN airlock_catalog.column_class k ON k.relation = c.relation AND k.column_name = r.column_name
  LEFT JOIN LATERAL (
    SELECT max(a.logged_at) AS last_read, count(*) AS reads
      FROM airlock_catalog.read_record a
     WHERE a.kind IN ('exact', 'intent', 'open') AND a.detail IS DISTINCT FROM 'self test' AND a.subprocessor = s.name AND a.columns @> ARRAY[pg_catalog.format('%I.%I.%I', n.nspname, v.relname, r.column_name)]
  ) l ON true
 WHERE r.until IS NULL
 ORDER BY s.name, c.relation::text, r.ordinal;

CREATE VIEW airlock.masks AS SELECT m.* FROM airlock.mask_properties() m;

-- which field was exposed to whom, how, from when to when; until NULL: it still is
CREATE VIEW airlock.field_history AS
SELECT s.name AS subprocessor, c.relation, r.column_name AS "column", CASE WHEN r.mask IS NULL THEN 'clear' ELSE 'masked' END AS exposure,
       r.mask, r.encrypted, r.since, coalesce(r.until, c.dropped_at) AS until, r.condition
  FROM airlock_catalog.rule r
  JOIN airlock_catalog.scope c ON c.id = r.scope
  JOIN airlock_catalog.subprocessor s ON s.id = c.subprocessor
 ORDER BY s.name, c.relation::text, r.column_name, r.since;

-- what is granted and has never been read, by scope, with the statement that takes it back
CREATE VIEW airlock.unused_fields AS
SELECT f.subprocessor, f.relation, f.columns, f.since,
       CASE WHEN c.definition OPERATOR(pg_catalog.-) f.columns = '{}'
            THEN pg_catalog.format('SELECT airlock.drop_scope(%L, %L)', f.subprocessor, f.relation::text)
            ELSE pg_catalog.format('SELECT airlock.replace_scope(%L, %L, %L, row_filter => %L, subject => %L, purposes => %L%s)', f.subprocessor,
                   f.relation::text, c.definition OPERATOR(pg_catalog.-) f.columns, c.row_filter, c.subject, c.purposes,
                   CASE WHEN c.fence THEN pg_catalog.format(', fence => true, allow_explain => %L', c.allow_explain) END) END AS statement
  FROM (SELECT a.subprocessor, a.relation, pg_catalog.array_agg(DISTINCT a."column" ORDER BY a."column") AS columns, max(a.since) AS since
          FROM airlock.field_access a WHERE a.reads = 0 GROUP BY a.subprocessor, a.relation) f
  JOIN airlock_catalog.subprocessor s ON s.name = f.subprocessor
  JOIN airlock_catalog.scope c ON c.subprocessor = s.id AND c.relation = f.relation AND c.dropped_at IS NULL
 ORDER BY 1, 2::text;

-- what ends or is to be looked at again within that time, or should have been
CREATE FUNCTION airlock.due(horizon interval DEFAULT '30 days', OUT subprocessor text, OUT what text, OUT on_day date, OUT overdue boolean) RETURNS SETOF record
  STABLE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE sql AS $due$
  WITH today AS (SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date AS day),
  d AS (
    SELECT s.name, 'contract ' || s.contract || ' ends' AS what, s.valid_until AS on_day FROM airlock_catalog.subprocessor s WHERE s.state <> 'terminated'
    UNION ALL
    SELECT s.name, 'certificate ' || coalesce(c ->> 'name', '') || ' ends', (c ->> 'valid_until')::date
      FROM airlock_catalog.subprocessor s, jsonb_array_elements(s.details -> 'certificates') c WHERE s.state <> 'terminated'
    UNION ALL
    SELECT s.name, 'objection is possible until', (s.details ->> 'objection_until')::date FROM airlock_catalog.subprocessor s WHERE s.state <> 'terminated'
    UNION ALL
    -- free text: what is no such period is never due
    SELECT s.name, 'review every ' || (s.details ->> 'review_every'),
           (coalesce((s.details ->> 'reviewed')::date, s.created_at::date) + CASE WHEN s.details ->> 'review_every' ~ '^[0-9]{1,4} (day|week|month|year)s?$'
             THEN (s.details ->> 'review_every')::interval END)::date
      FROM airlock_catalog.subprocessor s WHERE s.state <> 'terminated'
  )
  SELECT d.name, d.what, d.on_day, d.on_day < t.day FROM d, today t
   WHERE d.on_day <= (t.day + coalesce(horizon, interval '0'))::date ORDER BY d.on_day, d.name, d.what
$due$;

-- the record of processing activities (GDPR Art. 30) as far as it is about sub-processors: the register, and what is computed
CREATE FUNCTION airlock.processing_record() RETURNS jsonb
  STABLE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE sql AS $record$
  SELECT jsonb_build_object('database', current_database(), 'at', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    'subprocessors', coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
      'name', s.name, 'legal_name', s.legal_name, 'role', s.role::text, 'state', s.state, 'contract', s.contract, 'purposes', s.purposes,
      'valid_until', s.valid_until, 'networks', s.networks, 'require_tls', s.require_tls, 'rows_per_day', s.rows_per_day,
      'connections_per_day', s.connections_per_day,
      'log_days', jsonb_build_object('records', s.log_days, 'values', s.values_days, 'subjects', s.subjects_days),
      'details', s.details, 'since', s.created_at,
      'fields', (SELECT jsonb_agg(jsonb_build_object('relation', f.relation::text, 'column', f."column", 'exposure', f.exposure, 'mask', f.mask,
                   'where', f.condition, 'encrypted', f.encrypted, 'since', f.since, 'last_read', f.last_read, 'reads', f.reads, 'class', f.class) ORDER BY f.relation::text, f."column")
                   FROM airlock.field_access f WHERE f.subprocessor = s.name))) ORDER BY s.name), '[]'))
    FROM airlock_catalog.subprocessor s
$record$;

-- the same as CSV (RFC 4180), a line for each field: all in quotes, and nothing that a spreadsheet would take for a formula
CREATE FUNCTION airlock.processing_record_csv() RETURNS SETOF text
  STABLE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE sql AS $csv$
  WITH cells AS (
    SELECT 0 AS line, ARRAY['sub-processor', 'legal name', 'country', 'contract', 'purposes', 'valid until', 'state', 'relation', 'column', 'exposure', 'mask',
                            'encrypted', 'since', 'last read', 'reads', 'where', 'class'] AS cell
    UNION ALL
    SELECT row_number() OVER (ORDER BY s.name, f.relation::text, f."column", f.condition),
           ARRAY[s.name, s.legal_name, s.details ->> 'country', s.contract, array_to_string(s.purposes, '; '), to_char(s.valid_until, 'YYYY-MM-DD'), s.state,
                 f.relation::text, f."column", f.exposure, f.mask::text, f.encrypted::text,
                 to_char(f.since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), to_char(f.last_read AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), f.reads::text, f.condition, f.class]
      FROM airlock_catalog.subprocessor s LEFT JOIN airlock.field_access f ON f.subprocessor = s.name
  )
  SELECT (SELECT string_agg('"' || replace(CASE WHEN c ~ '^[=+@\t\r-]' THEN '''' || c ELSE coalesce(c, '') END, '"', '""') || '"', ',' ORDER BY n)
            FROM unnest(l.cell) WITH ORDINALITY AS u (c, n))
    FROM cells l ORDER BY l.line
$csv$;
