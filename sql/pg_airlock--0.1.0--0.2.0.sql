-- From 0.1.0 to 0.2.0. Install the library and restart the server first: what is declared here has to be in it.
\echo Use "ALTER EXTENSION pg_airlock UPDATE TO '0.2.0'" to load this file. \quit

-- the loaded library's version; that of these SQL objects is pg_extension.extversion
CREATE FUNCTION airlock.version() RETURNS text
  STABLE CALLED ON NULL INPUT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_version';

-- what doctor() compares a scope's views with, in a form that is the same on every major
CREATE FUNCTION airlock.renew_fingerprints() RETURNS void
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_renew_fingerprints';
SELECT airlock.renew_fingerprints();
DROP FUNCTION airlock.renew_fingerprints();

-- pg_restore with several jobs fills tables of extensions in any order
ALTER TABLE airlock_catalog.key_version DROP CONSTRAINT IF EXISTS key_version_root_generation_fkey;
ALTER TABLE airlock_catalog.encrypted_column DROP CONSTRAINT IF EXISTS encrypted_column_key_no_fkey;
ALTER TABLE airlock_catalog.key_grant DROP CONSTRAINT IF EXISTS key_grant_key_no_fkey;
ALTER TABLE airlock_catalog.scope DROP CONSTRAINT IF EXISTS scope_subprocessor_fkey;
ALTER TABLE airlock_catalog.rule DROP CONSTRAINT IF EXISTS rule_scope_fkey;

-- equality by index: what text is normalised to, how wide a column's tags are
ALTER TABLE airlock_catalog.key ADD COLUMN normalise text NOT NULL DEFAULT 'none' CHECK (normalise IN ('none', 'lower', 'digits'));
ALTER TABLE airlock_catalog.encrypted_column ADD COLUMN tag_bytes integer NOT NULL DEFAULT 8 CHECK (tag_bytes IN (8, 16));
DROP FUNCTION airlock.create_key(text, text, integer);
DROP FUNCTION airlock.encrypt_column(regclass, name, text, boolean);
CREATE FUNCTION airlock.create_key(name text, plaintext_type text DEFAULT 'text', pad integer DEFAULT 16, normalise text DEFAULT 'none') RETURNS integer
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_create_key';

-- the life of keys: rotate, re-encrypt, retire, destroy; another root key; locking
ALTER TABLE airlock_catalog.root_key ADD COLUMN source text, ADD COLUMN source_mac bytea;
-- one row per kind of job and table (and column, where it is about one): how far it is, and from where it goes on
CREATE TABLE airlock_catalog.job (
  kind        text NOT NULL,
  relation    regclass NOT NULL,
  column_name text NOT NULL,              -- '' for all encrypted columns
  state       text NOT NULL CHECK (state IN ('running', 'done', 'failed')),
  phase       text NOT NULL DEFAULT '',
  pass        integer NOT NULL DEFAULT 0,
  position    bigint NOT NULL DEFAULT 0,  -- the next block of the pass
  total       bigint NOT NULL DEFAULT 0,  -- blocks of the pass
  done        bigint NOT NULL DEFAULT 0,  -- rows changed
  locked      bigint NOT NULL DEFAULT 0,  -- rows of the pass that others had locked
  error       text,
  pid         integer,
  started_by  text NOT NULL,
  started_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  updated_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  ended_at    timestamptz,
  PRIMARY KEY (kind, relation, column_name)
);
SELECT pg_catalog.pg_extension_config_dump('airlock_catalog.job'::pg_catalog.regclass, '');
CREATE FUNCTION airlock.rotate_key(key text) RETURNS integer
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_rotate_key';
CREATE FUNCTION airlock.retire_key_version(key text, version integer, wait_seconds integer DEFAULT 10) RETURNS void
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_retire_key_version';
CREATE FUNCTION airlock.destroy_key_version(key text, version integer, wait_seconds integer DEFAULT 10) RETURNS void
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_destroy_key_version';
-- for superusers only: the server reads the source with its own rights
CREATE FUNCTION airlock.rotate_root_key(new_source text) RETURNS integer
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_rotate_root_key';
CREATE FUNCTION airlock.lock() RETURNS void
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_lock';
CREATE FUNCTION airlock.unlock() RETURNS void
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_unlock';
-- commits after each batch, so it can be neither SECURITY DEFINER nor carry settings
CREATE PROCEDURE airlock.reencrypt(relation regclass, column_name name DEFAULT NULL, batch_rows integer DEFAULT 10000,
    rows_per_second integer DEFAULT NULL, max_lag_mb integer DEFAULT NULL)
  LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_reencrypt';
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

-- since when a column is encrypted
ALTER TABLE airlock_catalog.encrypted_column
  ADD COLUMN encrypted_at timestamptz, ADD COLUMN encrypted_lsn pg_lsn, ADD COLUMN scrubbed_at timestamptz, ADD COLUMN scrubbed_lsn pg_lsn,
  ADD COLUMN bind text[] NOT NULL DEFAULT '{}';
CREATE OR REPLACE VIEW airlock.encrypted_columns AS
SELECT a.attrelid::regclass AS relation, a.attname AS "column", k.name AS key, k.plaintext_type,
       a.atttypid = 'airlock.encrypted_eq'::regtype AS searchable, a.atttypmod AS column_no,
       e.encrypted_at, e.encrypted_lsn, e.scrubbed_at, e.scrubbed_lsn, e.bind
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'm')
  LEFT JOIN airlock_catalog.encrypted_column e ON e.column_no = a.atttypmod
  LEFT JOIN airlock_catalog.key k ON k.key_no = e.key_no
 WHERE a.atttypid IN ('airlock.encrypted'::regtype, 'airlock.encrypted_eq'::regtype) AND NOT a.attisdropped;

-- what looks through whole columns and tables
CREATE FUNCTION airlock.verify_column(relation regclass, column_name name, OUT ok boolean, OUT part regclass, OUT sqlstate text,
    OUT count bigint, OUT first tid[], OUT message text) RETURNS SETOF record
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_verify_column';
CREATE FUNCTION airlock.nonce_audit(relation regclass, column_name name DEFAULT NULL, OUT ok boolean, OUT checked bigint, OUT repeated bigint,
    OUT copies bigint, OUT most_per_n1 bigint, OUT places text[], OUT message text) RETURNS SETOF record
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_nonce_audit';
CREATE FUNCTION airlock.scrub(relation regclass, OUT part regclass, OUT pages bigint, OUT rewritten bigint, OUT dead bigint, OUT held bigint,
    OUT dropped bigint, OUT clean boolean, OUT lsn pg_lsn, OUT done_at timestamptz, OUT todo text) RETURNS SETOF record
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_scrub';
CREATE FUNCTION airlock.encrypt_column(relation regclass, column_name name, key text, searchable boolean DEFAULT false, "unique" boolean DEFAULT false,
    bind text[] DEFAULT NULL) RETURNS void
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_encrypt_column';
CREATE PROCEDURE airlock.encrypt_column_online(relation regclass, column_name name, key text, searchable boolean DEFAULT false,
    "unique" boolean DEFAULT false, batch_rows integer DEFAULT 10000, rows_per_second integer DEFAULT NULL, max_lag_mb integer DEFAULT NULL,
    swap boolean DEFAULT true)
  LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_encrypt_column_online';
-- its trigger: seals what the row holds anyway into a column of the row, so anybody may attach it
CREATE FUNCTION airlock.seal_twin() RETURNS trigger
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_seal_twin';

-- binds an unbound value of a bound column to a row, as the trigger does: for the rewrite by encrypt_column
CREATE FUNCTION airlock.encrypted_bind(airlock.encrypted, VARIADIC "any") RETURNS airlock.encrypted VOLATILE CALLED ON NULL INPUT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_encrypted_bind';
CREATE FUNCTION airlock.encrypted_eq_bind(airlock.encrypted_eq, VARIADIC "any") RETURNS airlock.encrypted_eq VOLATILE CALLED ON NULL INPUT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_encrypted_eq_bind';
-- of a column that is bound to its row: the bound columns follow, decrypt(ssn, NULL::text, id)
CREATE FUNCTION airlock.decrypt(airlock.encrypted, anyelement, VARIADIC "any") RETURNS anyelement STABLE CALLED ON NULL INPUT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_decrypt_as';
CREATE FUNCTION airlock.decrypt(airlock.encrypted_eq, anyelement, VARIADIC "any") RETURNS anyelement STABLE CALLED ON NULL INPUT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_decrypt_as';
-- the trigger of tables with row-bound columns; who may attach it could bind a copied value to another row
CREATE FUNCTION airlock.bind_row() RETURNS trigger
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_bind_row';
CREATE FUNCTION airlock.disclose(rule integer, value "any", result anyelement, VARIADIC bound "any") RETURNS anyelement
  STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 20 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_disclose';
-- of a scope without data subject: parallel workers may scan its rows, for nobody has to note whose they are
CREATE FUNCTION airlock.gate_parallel(scope integer) RETURNS boolean
  STABLE CALLED ON NULL INPUT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_gate_parallel';
ALTER FUNCTION airlock.disclose(integer, "any") PARALLEL SAFE;
ALTER FUNCTION airlock.disclose(integer, "any", anyelement) PARALLEL SAFE;
-- an encrypted column that a row filter or a condition names
CREATE FUNCTION airlock.disclose_filter(value "any", scope integer, result anyelement) RETURNS anyelement
  STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 20 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_disclose_filter';
CREATE FUNCTION airlock.disclose_filter(value "any", scope integer, result anyelement, VARIADIC bound "any") RETURNS anyelement
  STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 20 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_disclose_filter';

-- the log by days: its table becomes the first partition of another, with what newer records say
ALTER TABLE airlock_catalog.read_record RENAME TO read_record_first;
ALTER TABLE airlock_catalog.read_record_first ADD COLUMN returned text[] NOT NULL DEFAULT '{}', ADD COLUMN filtered text[] NOT NULL DEFAULT '{}',
  ADD COLUMN base_columns text[] NOT NULL DEFAULT '{}', ADD COLUMN private bytea, ADD COLUMN subjects bytea,
  ADD COLUMN scopes integer[] NOT NULL DEFAULT '{}', ADD COLUMN settled_on date NOT NULL DEFAULT '2000-01-01',
  DROP CONSTRAINT read_record_pkey;
ALTER INDEX airlock_catalog.read_record_statement RENAME TO read_record_first_statement;
ALTER INDEX airlock_catalog.read_record_time RENAME TO read_record_first_time;
ALTER INDEX airlock_catalog.read_record_subprocessor RENAME TO read_record_first_subprocessor;
DROP INDEX airlock_catalog.read_record_notes;
CREATE UNIQUE INDEX read_record_first_id ON airlock_catalog.read_record_first (id);
CREATE INDEX read_record_first_beginnings ON airlock_catalog.read_record_first (id) WHERE kind IN ('intent', 'open');
CREATE INDEX read_record_first_notes ON airlock_catalog.read_record_first (id) WHERE kind IN ('audit', 'configuration', 'finding');

CREATE TABLE airlock_catalog.read_record (
  id               bigint NOT NULL,
  kind             text NOT NULL,
  logged_at        timestamptz NOT NULL,
  backend_start    timestamptz NOT NULL,
  backend_pid      integer NOT NULL,
  statement_no     bigint NOT NULL,
  subprocessor     text NOT NULL,
  contract         text NOT NULL,
  login_role       text NOT NULL,
  session_role     text NOT NULL,
  acting_role      text NOT NULL,
  client_addr      text,
  tls              text,
  application_name text NOT NULL,
  database         text NOT NULL,
  views            text[] NOT NULL,
  columns          text[] NOT NULL,
  purpose          text,
  statement        text NOT NULL,
  outcome          text,
  sqlstate         text,
  rows_sent        bigint,
  bytes_sent       bigint,
  duration_us      bigint,
  detail           text,
  hash             bytea,
  -- columns that reach the result; that decide which rows do; the base relations' beneath
  returned         text[] NOT NULL DEFAULT '{}',
  filtered         text[] NOT NULL DEFAULT '{}',
  base_columns     text[] NOT NULL DEFAULT '{}',
  -- SHA-256 of the parts that are kept apart, in read_private and read_subject
  private          bytea,
  subjects         bytea,
  scopes           integer[] NOT NULL DEFAULT '{}',
  settled_on       date NOT NULL DEFAULT '2000-01-01'
) PARTITION BY RANGE (settled_on);

ALTER TABLE airlock_catalog.read_record ATTACH PARTITION airlock_catalog.read_record_first FOR VALUES FROM (MINVALUE) TO ('2000-01-02');

-- constants and parameters of a read's statement, encrypted (src/pure/record/private.rs)
CREATE TABLE airlock_catalog.read_private (
  id         bigint NOT NULL,             -- of the read_record
  sealed     bytea NOT NULL,
  settled_on date NOT NULL
) PARTITION BY RANGE (settled_on);

-- data subjects whose rows a read touched, by scope (src/pure/subjects.rs)
CREATE TABLE airlock_catalog.read_subject (
  id             bigint NOT NULL,         -- of the read_record
  scope          integer NOT NULL,
  domain         text,                    -- NULL: the scope declares no subject
  epoch          integer NOT NULL,
  seen           bigint NOT NULL,
  scanned        bigint NOT NULL,
  anybody        boolean NOT NULL,
  tokens         uuid[] NOT NULL,         -- of those seen, then of those scanned only
  listed         integer NOT NULL,        -- how many of them were seen
  seen_filter    bytea[] NOT NULL,
  scanned_filter bytea[] NOT NULL,
  salt           bytea NOT NULL,
  settled_on     date NOT NULL
) PARTITION BY RANGE (settled_on);

-- every change of a sub-processor (relation NULL) or of one of its scopes; append only
CREATE TABLE airlock_catalog.change (
  id           bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  changed_at   timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  login_role   text NOT NULL DEFAULT SESSION_USER,
  acting_role  text NOT NULL,
  subprocessor text NOT NULL,
  relation     text,
  action       text NOT NULL,
  reason       text,
  changed      jsonb NOT NULL,            -- member → [before, after]
  before       jsonb,
  after        jsonb
);

-- classes of columns: what holds for their columns by default, for all or (subprocessor) for one; append only, until NULL: in force
CREATE TABLE airlock_catalog.class (
  id                integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  class             text NOT NULL,
  subprocessor      integer,
  mask              jsonb,                 -- NULL: it says none
  forbid_clear      boolean NOT NULL,
  since             timestamptz NOT NULL DEFAULT pg_catalog.now(),
  login_role        text NOT NULL DEFAULT SESSION_USER,
  acting_role       text NOT NULL,
  until             timestamptz,
  until_login_role  text,
  until_acting_role text
);
CREATE UNIQUE INDEX class_in_force ON airlock_catalog.class (class, (coalesce(subprocessor, 0))) WHERE until IS NULL;

-- what came of each self test; append only. The log says so too
CREATE TABLE airlock_catalog.self_test (
  id           bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  tested_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  login_role   text NOT NULL DEFAULT SESSION_USER,
  acting_role  text NOT NULL,
  subprocessor text NOT NULL,
  library      text NOT NULL,             -- version of the library that was tried
  passed       integer NOT NULL,
  failed       integer NOT NULL,
  not_tested   integer NOT NULL,
  results      jsonb NOT NULL             -- class, probe, ok, message
);

-- who wants which records kept, whatever their period; subprocessor NULL: all of them
CREATE TABLE airlock_catalog.log_hold (
  id             integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  subprocessor   integer,
  reason         text NOT NULL,
  since          timestamptz NOT NULL DEFAULT pg_catalog.now(),
  held_by        text NOT NULL,
  released_at    timestamptz,
  released_by    text,
  release_reason text
);

SELECT pg_catalog.pg_extension_config_dump('airlock_catalog.log_hold', '');
SELECT pg_catalog.pg_extension_config_dump('airlock_catalog.log_hold_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('airlock_catalog.change', '');
SELECT pg_catalog.pg_extension_config_dump('airlock_catalog.change_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('airlock_catalog.class', '');
SELECT pg_catalog.pg_extension_config_dump('airlock_catalog.class_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('airlock_catalog.self_test', '');
SELECT pg_catalog.pg_extension_config_dump('airlock_catalog.self_test_id_seq', '');
ALTER TABLE airlock_catalog.log_cursor ADD COLUMN head_path text, ADD COLUMN accepted_head text;
-- data subjects: what a scope's subject stands for, a key for their names
ALTER TABLE airlock_catalog.scope ADD COLUMN subject_domains text[] NOT NULL DEFAULT '{}',
  ADD COLUMN filter_relations regclass[] NOT NULL DEFAULT '{}', ADD COLUMN fence boolean NOT NULL DEFAULT false,
  ADD COLUMN allow_explain boolean NOT NULL DEFAULT false CHECK (fence OR NOT allow_explain),
  ADD COLUMN filter_opens integer[] NOT NULL DEFAULT '{}', ADD COLUMN filter_quotes boolean NOT NULL DEFAULT true;
UPDATE airlock_catalog.scope SET filter_quotes = false WHERE row_filter IS NULL;
CREATE FUNCTION airlock.judge_filters() RETURNS void
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_judge_filters';
SELECT airlock.judge_filters();
DROP FUNCTION airlock.judge_filters();
ALTER TABLE airlock_catalog.rule ADD COLUMN condition text, ADD COLUMN class text, ADD COLUMN class_default jsonb;
ALTER TABLE airlock_catalog.key_version DROP CONSTRAINT key_version_use_check;
ALTER TABLE airlock_catalog.key_version ADD CONSTRAINT key_version_use_check CHECK (use IN ('seal', 'match', 'mask', 'log', 'subject'));
ALTER TABLE airlock_catalog.subprocessor ADD COLUMN log_days integer CHECK (log_days > 0), ADD COLUMN values_days integer CHECK (values_days > 0),
  ADD COLUMN subjects_days integer CHECK (subjects_days > 0), ADD COLUMN rows_per_day bigint CHECK (rows_per_day > 0),
  ADD COLUMN connections_per_day bigint CHECK (connections_per_day > 0);
-- true, once it is on record that this statement reads the log
CREATE FUNCTION airlock.note_log_read() RETURNS boolean
  STABLE CALLED ON NULL INPUT PARALLEL UNSAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_note_log_read';
-- what was taken out of a read's statement
CREATE FUNCTION airlock.statement_values(id bigint, OUT constants text[], OUT parameters text[], OUT cut boolean) RETURNS SETOF record
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_statement_values';
-- who read a person's rows: the values of the relation's subject columns, or of its primary key, in the order of the table
CREATE FUNCTION airlock.who_saw(relation regclass, VARIADIC subject text[], OUT logged_at timestamptz, OUT subprocessor text,
    OUT columns text[], OUT purpose text, OUT certainty text, OUT id bigint, OUT views text[], OUT login_role text) RETURNS SETOF record
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_who_saw';
-- days for which the log keeps a sub-processor's records, and of them constants and data subjects; NULL: for ever
CREATE FUNCTION airlock.set_log_retention(subprocessor text, records integer DEFAULT NULL, "values" integer DEFAULT NULL, subjects integer DEFAULT NULL) RETURNS void
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_set_log_retention';
CREATE FUNCTION airlock.rotate_subject_key() RETURNS integer
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_rotate_subject_key';
CREATE FUNCTION airlock.destroy_subject_key(epoch integer) RETURNS void
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_destroy_subject_key';
-- the log's last record, as a line to keep outside; and whether the log still contains what such a line says
CREATE FUNCTION airlock.log_head(OUT id bigint, OUT hash bytea, OUT head text) RETURNS SETOF record
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_log_head';
CREATE FUNCTION airlock.verify_head(head text, OUT ok boolean, OUT message text) RETURNS SETOF record
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_verify_head';
-- lets a log go on that cannot without a gap; the gap and the reason are in the log from then on
CREATE FUNCTION airlock.accept_log_gap(reason text) RETURNS void
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_accept_log_gap';
-- keeps a sub-processor's records (NULL: everybody's) beyond their period, until the hold is released
CREATE FUNCTION airlock.hold_log(reason text, subprocessor text DEFAULT NULL) RETURNS integer
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_hold_log';
CREATE FUNCTION airlock.release_log_hold(hold integer, reason text) RETURNS void
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_release_log_hold';
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

CREATE OR REPLACE VIEW airlock.subprocessors AS
SELECT s.name, s.role, s.legal_name, s.contract, s.purposes, s.valid_until, s.networks, s.require_tls, s.state, s.state_reason,
       s.state_since, s.details, s.created_at, s.created_by,
       (SELECT count(*) FROM airlock_catalog.scope c WHERE c.subprocessor = s.id AND c.dropped_at IS NULL) AS scopes,
       s.log_days, s.values_days, s.subjects_days, s.rows_per_day, s.connections_per_day
  FROM airlock_catalog.subprocessor s;

-- versions of the sub-processors' mask keys, and how many rules in force are under each
CREATE OR REPLACE VIEW airlock.mask_keys AS
SELECT s.name AS subprocessor, v.version, v.state, v.root_generation, v.activated_at,
       (SELECT count(*) FROM airlock_catalog.rule r JOIN airlock_catalog.scope c ON c.id = r.scope
         WHERE c.subprocessor = s.id AND c.dropped_at IS NULL AND r.until IS NULL AND r.mask_key_version = v.version) AS rules
  FROM airlock_catalog.subprocessor s JOIN airlock_catalog.key_version v ON v.owner = s.uuid AND v.use = 'mask'
 ORDER BY s.name, v.version;

CREATE OR REPLACE VIEW airlock.scopes AS
SELECT s.name AS subprocessor, c.relation, c.view, c.row_filter, c.subject, c.purposes, c.definition, c.id AS scope_no, c.created_at, c.created_by,
       c.filter_relations, c.fence, c.allow_explain
  FROM airlock_catalog.scope c JOIN airlock_catalog.subprocessor s ON s.id = c.subprocessor
 WHERE c.dropped_at IS NULL;


-- of the new table's rows; the view keeps its identity, and what others made of it
CREATE FUNCTION airlock.unsettled_records_by_days() RETURNS SETOF airlock_catalog.read_record
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 10 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_unsettled_records';
-- the access log: records written at the wire
CREATE OR REPLACE VIEW airlock.access_log WITH (security_barrier) AS
WITH unsettled AS MATERIALIZED (SELECT u.* FROM airlock.unsettled_records_by_days() u)
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
DROP FUNCTION airlock.unsettled_records();
ALTER FUNCTION airlock.unsettled_records_by_days() RENAME TO unsettled_records;
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
CREATE OR REPLACE VIEW airlock.field_access AS
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
CREATE VIEW airlock.field_history AS
SELECT s.name AS subprocessor, c.relation, r.column_name AS "column", CASE WHEN r.mask IS NULL THEN 'clear' ELSE 'masked' END AS exposure,
       r.mask, r.encrypted, r.since, coalesce(r.until, c.dropped_at) AS until, r.condition
  FROM airlock_catalog.rule r
  JOIN airlock_catalog.scope c ON c.id = r.scope
  JOIN airlock_catalog.subprocessor s ON s.id = c.subprocessor
 ORDER BY s.name, c.relation::text, r.column_name, r.since;
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
-- end of the access log

-- masks that came with 0.2.0
-- the life of a mask key
CREATE FUNCTION airlock.rotate_mask_key(subprocessor text, reason text) RETURNS integer
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_rotate_mask_key';
CREATE FUNCTION airlock.destroy_mask_key(subprocessor text, reason text, version integer DEFAULT NULL) RETURNS integer
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_destroy_mask_key';

DROP FUNCTION airlock.create_scope(text, regclass, jsonb, text, text[], text[], name);
DROP FUNCTION airlock.replace_scope(text, regclass, jsonb, text, text[], text[], name);
DROP FUNCTION airlock.preview_scope(text, regclass, jsonb, text, text[], text[], name);
CREATE FUNCTION airlock.create_scope(subprocessor text, relation regclass, rules jsonb, row_filter text DEFAULT NULL,
    subject text[] DEFAULT NULL, purposes text[] DEFAULT NULL, view_name name DEFAULT NULL, fence boolean DEFAULT false,
    allow_explain boolean DEFAULT false) RETURNS regclass
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_create_scope';
CREATE FUNCTION airlock.replace_scope(subprocessor text, relation regclass, rules jsonb, row_filter text DEFAULT NULL,
    subject text[] DEFAULT NULL, purposes text[] DEFAULT NULL, view_name name DEFAULT NULL, fence boolean DEFAULT false,
    allow_explain boolean DEFAULT false) RETURNS regclass
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_replace_scope';
CREATE FUNCTION airlock.preview_scope(subprocessor text, relation regclass, rules jsonb, row_filter text DEFAULT NULL,
    subject text[] DEFAULT NULL, purposes text[] DEFAULT NULL, view_name name DEFAULT NULL, fence boolean DEFAULT false,
    allow_explain boolean DEFAULT false, OUT step text, OUT what text) RETURNS SETOF record
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_preview_scope';
-- NULL as mask: it says none, so that of the class above holds; of a sub-processor: that of the class itself
CREATE FUNCTION airlock.set_class(class text, mask jsonb DEFAULT NULL, forbid_clear boolean DEFAULT false, subprocessor text DEFAULT NULL) RETURNS void
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_set_class';
CREATE FUNCTION airlock.drop_class(class text, subprocessor text DEFAULT NULL) RETURNS void
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_drop_class';
-- rules to begin with: "default" for each column whose class has a default mask for the sub-processor
CREATE FUNCTION airlock.propose_scope(subprocessor text, relation regclass) RETURNS jsonb
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_propose_scope';

-- how large a breach is: what a sub-processor received in a time, by relation; the first row is the whole
CREATE FUNCTION airlock.breach_report(subprocessor text, "from" timestamptz, "to" timestamptz, OUT relation text, OUT columns jsonb, OUT reads bigint,
    OUT rows_sent bigint, OUT subjects_at_least bigint, OUT subjects_at_most bigint, OUT certainty text, OUT passed_over bigint, OUT first_read timestamptz,
    OUT last_read timestamptz, OUT purposes text[], OUT client_addrs text[], OUT login_roles text[], OUT unfinished_reads bigint, OUT unknown_subjects bigint,
    OUT forgotten_subjects bigint, OUT settled_to timestamptz, OUT message text) RETURNS SETOF record
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_breach_report';
-- attacks in a session of the sub-processor's role, rolled back; the result is kept
CREATE FUNCTION airlock.self_test(subprocessor text, OUT class text, OUT probe text, OUT ok boolean, OUT message text) RETURNS SETOF record
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_self_test';
-- whether two sub-processors can join their copies, tried on at most so many rows of each table
CREATE FUNCTION airlock.link_risk(a text, b text, sample_rows integer DEFAULT 100000, OUT kind text, OUT relation_a text, OUT column_a text, OUT mask_a text,
    OUT relation_b text, OUT column_b text, OUT mask_b text, OUT values_a bigint, OUT values_b bigint, OUT shared bigint, OUT message text) RETURNS SETOF record
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_link_risk';
-- whose keyed mask made a value that leaked, and from which row: for administrators who may read what names the row
CREATE FUNCTION airlock.trace(pseudonym text, subprocessor text DEFAULT NULL, OUT subprocessor text, OUT relation text, OUT column_name text, OUT mask text,
    OUT in_force boolean, OUT shown_from timestamptz, OUT shown_until timestamptz, OUT subject jsonb) RETURNS SETOF record
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_trace';
-- a page for a privacy officer, of one sub-processor or of all
CREATE FUNCTION airlock.report(subprocessor text DEFAULT NULL) RETURNS text
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_report';
CREATE FUNCTION airlock.mask_email(value text, show text DEFAULT 'domain') RETURNS text
  IMMUTABLE STRICT PARALLEL SAFE COST 8 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_email';
CREATE FUNCTION airlock.mask_phone(value text, country boolean DEFAULT true, "right" integer DEFAULT 2) RETURNS text
  IMMUTABLE STRICT PARALLEL SAFE COST 8 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_phone';
CREATE FUNCTION airlock.mask_card(value text, bin integer DEFAULT 0, "right" integer DEFAULT 4) RETURNS text
  IMMUTABLE STRICT PARALLEL SAFE COST 8 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_card';
CREATE FUNCTION airlock.mask_iban(value text, "right" integer DEFAULT 0) RETURNS text
  IMMUTABLE STRICT PARALLEL SAFE COST 8 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_iban';
CREATE FUNCTION airlock.mask_ip_prefix(value inet, v4 integer DEFAULT 24, v6 integer DEFAULT 48) RETURNS inet
  IMMUTABLE STRICT PARALLEL SAFE COST 3 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_ip_prefix';
CREATE FUNCTION airlock.mask_ip_prefix(value text, v4 integer DEFAULT 24, v6 integer DEFAULT 48) RETURNS text
  IMMUTABLE STRICT PARALLEL SAFE COST 8 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_ip_prefix';
CREATE FUNCTION airlock.mask_url(value text, path boolean DEFAULT false) RETURNS text
  IMMUTABLE STRICT PARALLEL SAFE COST 20 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_url';
CREATE FUNCTION airlock.mask_regex(value text, pattern text, replace text) RETURNS text
  IMMUTABLE STRICT PARALLEL SAFE COST 20 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_regex';
CREATE FUNCTION airlock.mask_json(value json, keep text[]) RETURNS json
  IMMUTABLE STRICT PARALLEL SAFE COST 250 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_json';
CREATE FUNCTION airlock.mask_json(value jsonb, keep text[]) RETURNS jsonb
  IMMUTABLE STRICT PARALLEL SAFE COST 250 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_json';
CREATE FUNCTION airlock.mask_round_sig(value smallint, digits integer DEFAULT 1) RETURNS smallint
  IMMUTABLE STRICT PARALLEL SAFE COST 3 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_round_sig';
CREATE FUNCTION airlock.mask_round_sig(value integer, digits integer DEFAULT 1) RETURNS integer
  IMMUTABLE STRICT PARALLEL SAFE COST 3 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_round_sig';
CREATE FUNCTION airlock.mask_round_sig(value bigint, digits integer DEFAULT 1) RETURNS bigint
  IMMUTABLE STRICT PARALLEL SAFE COST 3 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_round_sig';
CREATE FUNCTION airlock.mask_round_sig(value numeric, digits integer DEFAULT 1) RETURNS numeric
  IMMUTABLE STRICT PARALLEL SAFE COST 20 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_round_sig';
CREATE FUNCTION airlock.mask_round_sig(value real, digits integer DEFAULT 1) RETURNS real
  IMMUTABLE STRICT PARALLEL SAFE COST 20 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_round_sig';
CREATE FUNCTION airlock.mask_round_sig(value double precision, digits integer DEFAULT 1) RETURNS double precision
  IMMUTABLE STRICT PARALLEL SAFE COST 20 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_round_sig';
CREATE FUNCTION airlock.mask_clamp(value smallint, low smallint DEFAULT NULL, high smallint DEFAULT NULL) RETURNS smallint
  IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE COST 3 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_clamp';
CREATE FUNCTION airlock.mask_clamp(value integer, low integer DEFAULT NULL, high integer DEFAULT NULL) RETURNS integer
  IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE COST 3 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_clamp';
CREATE FUNCTION airlock.mask_clamp(value bigint, low bigint DEFAULT NULL, high bigint DEFAULT NULL) RETURNS bigint
  IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE COST 3 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_clamp';
CREATE FUNCTION airlock.mask_clamp(value numeric, low numeric DEFAULT NULL, high numeric DEFAULT NULL) RETURNS numeric
  IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE COST 3 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_clamp';
CREATE FUNCTION airlock.mask_clamp(value real, low real DEFAULT NULL, high real DEFAULT NULL) RETURNS real
  IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE COST 3 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_clamp';
CREATE FUNCTION airlock.mask_clamp(value double precision, low double precision DEFAULT NULL, high double precision DEFAULT NULL) RETURNS double precision
  IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE COST 3 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_clamp';
CREATE FUNCTION airlock.mask_clamp(value date, low date DEFAULT NULL, high date DEFAULT NULL) RETURNS date
  IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE COST 3 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_clamp';
CREATE FUNCTION airlock.mask_clamp(value timestamp without time zone, low timestamp without time zone DEFAULT NULL, high timestamp without time zone DEFAULT NULL) RETURNS timestamp without time zone
  IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE COST 3 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_clamp';
CREATE FUNCTION airlock.mask_clamp(value timestamp with time zone, low timestamp with time zone DEFAULT NULL, high timestamp with time zone DEFAULT NULL) RETURNS timestamp with time zone
  IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE COST 3 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_clamp';
-- the view keeps its identity
CREATE FUNCTION airlock.mask_properties_with_result(OUT mask text, OUT keyed boolean, OUT types text, OUT keeps_order boolean, OUT uniqueness text, OUT leaks text, OUT result text) RETURNS SETOF record
  IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_properties';
CREATE OR REPLACE VIEW airlock.masks AS SELECT m.* FROM airlock.mask_properties_with_result() m;
DROP FUNCTION airlock.mask_properties();
ALTER FUNCTION airlock.mask_properties_with_result() RENAME TO mask_properties;
-- end of the masks

-- from here on as in a fresh installation: sql/equality.sql
-- Equality of encrypted columns. encrypted_eq compares by match tag; encrypted has = and <> only to say what to do instead.
-- Neither has an operator class: over literals on their way an order would be inconsistent, so ORDER BY, GROUP BY, DISTINCT and
-- UNIQUE of the column itself are errors when parsed. match_tag(column) has all of these.
CREATE FUNCTION airlock.match_tag(airlock.encrypted_eq) RETURNS bigint IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_match_tag';
CREATE FUNCTION airlock.match_tag16(airlock.encrypted_eq) RETURNS uuid IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_match_tag16';
-- what plans are made of
CREATE FUNCTION airlock.match_needle(number integer, value "any") RETURNS bigint STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_match_needle';
CREATE FUNCTION airlock.match_needle16(number integer, value "any") RETURNS uuid STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_match_needle16';
CREATE FUNCTION airlock.match_needle_each(number integer, "values" "any") RETURNS bigint[] STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_match_needle_each';
CREATE FUNCTION airlock.match_needle16_each(number integer, "values" "any") RETURNS uuid[] STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_match_needle16_each';
CREATE FUNCTION airlock.may_match(a integer, b integer) RETURNS boolean STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_may_match';
CREATE FUNCTION airlock.disclose_needle(rule integer, column_no integer, value "any") RETURNS bigint STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_disclose_needle';
CREATE FUNCTION airlock.disclose_needle16(rule integer, column_no integer, value "any") RETURNS uuid STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_disclose_needle16';
CREATE FUNCTION airlock.disclose_needles(rule integer, column_no integer, "values" "any") RETURNS bigint[] STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_disclose_needles';
CREATE FUNCTION airlock.disclose_needles16(rule integer, column_no integer, "values" "any") RETURNS uuid[] STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_disclose_needles16';
-- to be compared with match_tag by hand
CREATE FUNCTION airlock.match_needle(key text, value text) RETURNS bigint STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_match_needle_of';
CREATE FUNCTION airlock.match_needles(key text, "values" text[]) RETURNS bigint[] STABLE STRICT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_match_needles_of';

CREATE FUNCTION airlock.match_support(internal) RETURNS internal STABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_match_support';
CREATE FUNCTION airlock.not_comparable_support(internal) RETURNS internal STABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_not_comparable_support';

-- on either side whatever can be sealed; varchar and char go as text
DO $operators$
DECLARE
  pair pg_catalog.text[];
  op pg_catalog.text;
  o pg_catalog.text[];
BEGIN
  FOR pair IN
    SELECT ARRAY['airlock.encrypted_eq', 'airlock.encrypted_eq']
    UNION ALL
    SELECT p FROM pg_catalog.unnest(ARRAY['text', 'int2', 'int4', 'int8', 'numeric', 'float4', 'float8', 'bool', 'date',
             'timestamp', 'timestamptz', 'uuid', 'jsonb', 'bytea']) t (name),
           LATERAL (VALUES (ARRAY['airlock.encrypted_eq', 'pg_catalog.' OPERATOR(pg_catalog.||) t.name]),
                           (ARRAY['pg_catalog.' OPERATOR(pg_catalog.||) t.name, 'airlock.encrypted_eq'])) v (p)
  LOOP
    FOREACH o SLICE 1 IN ARRAY ARRAY[['eq', '=', '<>', 'eqsel', 'eqjoinsel'], ['ne', '<>', '=', 'neqsel', 'neqjoinsel']] LOOP
      EXECUTE pg_catalog.format('CREATE OR REPLACE FUNCTION airlock.%1$s(%2$s, %3$s) RETURNS pg_catalog.bool STABLE STRICT PARALLEL RESTRICTED
          LANGUAGE c SUPPORT airlock.match_support AS ''MODULE_PATHNAME'', ''airlock_%1$s''', o[1], pair[1], pair[2]);
      -- as another's commutator it may be there already, without a function
      IF NOT EXISTS (SELECT FROM pg_catalog.pg_operator p WHERE p.oprcode OPERATOR(pg_catalog.<>) 0::pg_catalog.oid
            AND p.oid OPERATOR(pg_catalog.=) pg_catalog.to_regoperator(pg_catalog.format('pg_catalog.%s(%s,%s)', o[2], pair[1], pair[2]))) THEN
        EXECUTE pg_catalog.format('CREATE OPERATOR pg_catalog.%1$s (LEFTARG = %2$s, RIGHTARG = %3$s, FUNCTION = airlock.%4$s,
            COMMUTATOR = OPERATOR(pg_catalog.%1$s), NEGATOR = OPERATOR(pg_catalog.%5$s), RESTRICT = %6$s, JOIN = %7$s)',
            o[2], pair[1], pair[2], o[1], o[3], o[4], o[5]);
      END IF;
    END LOOP;
  END LOOP;
  FOREACH pair SLICE 1 IN ARRAY ARRAY[['airlock.encrypted', 'airlock.encrypted'], ['airlock.encrypted', 'pg_catalog.text'],
      ['pg_catalog.text', 'airlock.encrypted']] LOOP
    EXECUTE pg_catalog.format('CREATE FUNCTION airlock.not_comparable(%s, %s) RETURNS pg_catalog.bool STABLE STRICT PARALLEL RESTRICTED
        LANGUAGE c SUPPORT airlock.not_comparable_support AS ''MODULE_PATHNAME'', ''airlock_not_comparable''', pair[1], pair[2]);
    FOREACH op IN ARRAY ARRAY['=', '<>'] LOOP
      EXECUTE pg_catalog.format('CREATE OPERATOR pg_catalog.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = airlock.not_comparable)', op, pair[1], pair[2]);
    END LOOP;
  END LOOP;
END
$operators$;

-- from here on as in a fresh installation: sql/privileges.sql
-- Last of all: what nobody granted, nobody has. Views' functions run with the reader's rights, so EXECUTE protects
-- nothing on gate, disclose and decrypt: they check in Rust. Sub-processors get no USAGE on schema airlock.
REVOKE ALL ON ALL ROUTINES IN SCHEMA airlock FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA airlock, airlock_catalog FROM PUBLIC;
ALTER SCHEMA airlock_scope OWNER TO airlock_view_owner;

GRANT USAGE ON SCHEMA airlock TO airlock_admin, airlock_auditor;
GRANT EXECUTE ON FUNCTION airlock.gate(integer), airlock.gate_parallel(integer), airlock.disclose(integer, "any"), airlock.disclose(integer, "any", anyelement),
  airlock.disclose(integer, "any", anyelement, VARIADIC "any") TO PUBLIC;
DO $grants$
DECLARE
  f pg_catalog.regprocedure;
BEGIN
  -- masks without a key, which hold no secret; input, output, casts, decrypt and = of the encrypted types: whoever may write the
  -- column needs them; what opens checks in Rust
  FOR f IN SELECT p.oid FROM pg_catalog.pg_proc p WHERE p.pronamespace OPERATOR(pg_catalog.=) 'airlock'::pg_catalog.regnamespace
             AND p.proname OPERATOR(pg_catalog.~) '^(mask_|encrypted_|to_encrypted|decrypt$|eq$|ne$|match_tag|match_needle|may_match$|disclose_needle|disclose_filter$|not_comparable$)' LOOP
    EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO PUBLIC', f);
  END LOOP;
END
$grants$;
GRANT EXECUTE ON FUNCTION airlock.encrypt_column(regclass, name, text, boolean, boolean, text[]), airlock.decrypt_column(regclass, name) TO PUBLIC;
GRANT EXECUTE ON PROCEDURE airlock.reencrypt(regclass, name, integer, integer, integer),
  airlock.encrypt_column_online(regclass, name, text, boolean, boolean, integer, integer, integer, boolean) TO PUBLIC;
GRANT EXECUTE ON FUNCTION airlock.seal_twin() TO PUBLIC;
GRANT EXECUTE ON FUNCTION airlock.verify_column(regclass, name), airlock.nonce_audit(regclass, name), airlock.scrub(regclass) TO PUBLIC;
GRANT EXECUTE ON FUNCTION
  airlock.create_key(text, text, integer, text), airlock.grant_decrypt(text, regrole), airlock.revoke_decrypt(text, regrole),
  airlock.grant_match(text, regrole), airlock.revoke_match(text, regrole),
  airlock.rotate_key(text), airlock.retire_key_version(text, integer, integer), airlock.destroy_key_version(text, integer, integer),
  airlock.lock(), airlock.unlock(), airlock.rotate_subject_key(), airlock.destroy_subject_key(integer), airlock.set_log_retention(text, integer, integer, integer),
  airlock.accept_log_gap(text), airlock.hold_log(text, text), airlock.release_log_hold(integer, text),
  airlock.create_subprocessor(text, regrole, text, text, text[], date, text[], boolean, jsonb), airlock.alter_subprocessor(text, jsonb),
  airlock.rotate_mask_key(text, text), airlock.destroy_mask_key(text, text, integer),
  airlock.suspend(text, text), airlock.resume(text, text), airlock.terminate(text, text),
  airlock.create_scope(text, regclass, jsonb, text, text[], text[], name, boolean, boolean), airlock.replace_scope(text, regclass, jsonb, text, text[], text[], name, boolean, boolean),
  airlock.preview_scope(text, regclass, jsonb, text, text[], text[], name, boolean, boolean), airlock.drop_scope(text, regclass),
  airlock.link_risk(text, text, integer), airlock.trace(text, text),
  airlock.set_class(text, jsonb, boolean, text), airlock.drop_class(text, text), airlock.propose_scope(text, regclass),
  airlock.self_test(text)
  TO airlock_admin;
GRANT EXECUTE ON FUNCTION airlock.doctor(), airlock.version(), airlock.due(interval), airlock.processing_record(), airlock.processing_record_csv(),
  airlock.breach_report(text, timestamptz, timestamptz)
  TO airlock_admin, airlock_auditor;
GRANT EXECUTE ON FUNCTION airlock.report(text), airlock.verify_log(), airlock.log_head(), airlock.verify_head(text), airlock.unsettled_records(), airlock.note_log_read(), airlock.who_saw(regclass, text[]) TO airlock_auditor;
GRANT SELECT ON airlock.keys, airlock.mask_keys, airlock.encrypted_columns, airlock.subprocessors, airlock.scopes, airlock.field_access, airlock.masks, airlock.subject_epochs, airlock.log_holds,
  airlock.subprocessor_history, airlock.scope_history, airlock.field_history, airlock.unused_fields,
  airlock.classes, airlock.class_history, airlock.classified_columns, airlock.self_tests TO airlock_admin, airlock_auditor;
GRANT SELECT ON airlock.access_log, airlock.audit_log TO airlock_auditor;
-- constants are data: for whoever administers, and on record
GRANT EXECUTE ON FUNCTION airlock.statement_values(bigint) TO airlock_admin;
-- shows each reader what is its own
GRANT SELECT ON airlock.progress TO PUBLIC;
