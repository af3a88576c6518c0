-- Every callable function, with its labels written out. C symbols are airlock_NAME. Administrative functions run with
-- the rights of the extension's owner (SECURITY DEFINER, fixed search_path) and check their caller in Rust.

---------------------------------------------------------------- keys
CREATE FUNCTION airlock.create_key(name text, plaintext_type text DEFAULT 'text', pad integer DEFAULT 16, normalise text DEFAULT 'none') RETURNS integer
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_create_key';
CREATE FUNCTION airlock.grant_decrypt(key text, role regrole) RETURNS void
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_grant_decrypt';
CREATE FUNCTION airlock.revoke_decrypt(key text, role regrole) RETURNS void
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_revoke_decrypt';
CREATE FUNCTION airlock.grant_match(key text, role regrole) RETURNS void
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_grant_match';
CREATE FUNCTION airlock.revoke_match(key text, role regrole) RETURNS void
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_revoke_match';

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

---------------------------------------------------------------- encrypted columns (run as the caller, who must own the table)
CREATE FUNCTION airlock.encrypt_column(relation regclass, column_name name, key text, searchable boolean DEFAULT false, "unique" boolean DEFAULT false,
    bind text[] DEFAULT NULL) RETURNS void
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_encrypt_column';
CREATE FUNCTION airlock.decrypt_column(relation regclass, column_name name) RETURNS void
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_decrypt_column';
-- commits after each batch, so it can be neither SECURITY DEFINER nor carry settings
CREATE PROCEDURE airlock.reencrypt(relation regclass, column_name name DEFAULT NULL, batch_rows integer DEFAULT 10000,
    rows_per_second integer DEFAULT NULL, max_lag_mb integer DEFAULT NULL)
  LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_reencrypt';
-- for the owner of the table, and for administrators
CREATE FUNCTION airlock.verify_column(relation regclass, column_name name, OUT ok boolean, OUT part regclass, OUT sqlstate text,
    OUT count bigint, OUT first tid[], OUT message text) RETURNS SETOF record
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_verify_column';
CREATE FUNCTION airlock.nonce_audit(relation regclass, column_name name DEFAULT NULL, OUT ok boolean, OUT checked bigint, OUT repeated bigint,
    OUT copies bigint, OUT most_per_n1 bigint, OUT places text[], OUT message text) RETURNS SETOF record
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_nonce_audit';
CREATE FUNCTION airlock.scrub(relation regclass, OUT part regclass, OUT pages bigint, OUT rewritten bigint, OUT dead bigint, OUT held bigint,
    OUT dropped bigint, OUT clean boolean, OUT lsn pg_lsn, OUT done_at timestamptz, OUT todo text) RETURNS SETOF record
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_scrub';

CREATE PROCEDURE airlock.encrypt_column_online(relation regclass, column_name name, key text, searchable boolean DEFAULT false,
    "unique" boolean DEFAULT false, batch_rows integer DEFAULT 10000, rows_per_second integer DEFAULT NULL, max_lag_mb integer DEFAULT NULL,
    swap boolean DEFAULT true)
  LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_encrypt_column_online';
-- its trigger: seals what the row holds anyway into a column of the row, so anybody may attach it
CREATE FUNCTION airlock.seal_twin() RETURNS trigger
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_seal_twin';
-- the trigger of tables with row-bound columns; who may attach it could bind a copied value to another row
CREATE FUNCTION airlock.bind_row() RETURNS trigger
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_bind_row';

---------------------------------------------------------------- sub-processors
CREATE FUNCTION airlock.create_subprocessor(name text, role regrole, legal_name text, contract text, purposes text[],
    valid_until date DEFAULT NULL, networks text[] DEFAULT NULL, require_tls boolean DEFAULT true, details jsonb DEFAULT '{}') RETURNS integer
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_create_subprocessor';
CREATE FUNCTION airlock.alter_subprocessor(name text, changes jsonb) RETURNS void
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_alter_subprocessor';
CREATE FUNCTION airlock.suspend(name text, reason text) RETURNS integer
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_suspend';
CREATE FUNCTION airlock.resume(name text, reason text) RETURNS void
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_resume';
CREATE FUNCTION airlock.terminate(name text, reason text) RETURNS integer
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_terminate';

-- the life of a mask key
CREATE FUNCTION airlock.rotate_mask_key(subprocessor text, reason text) RETURNS integer
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_rotate_mask_key';
CREATE FUNCTION airlock.destroy_mask_key(subprocessor text, reason text, version integer DEFAULT NULL) RETURNS integer
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_destroy_mask_key';

---------------------------------------------------------------- scopes
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
CREATE FUNCTION airlock.drop_scope(subprocessor text, relation regclass) RETURNS void
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_drop_scope';

---------------------------------------------------------------- classes of columns
-- NULL as mask: it says none, so that of the class above holds; of a sub-processor: that of the class itself
CREATE FUNCTION airlock.set_class(class text, mask jsonb DEFAULT NULL, forbid_clear boolean DEFAULT false, subprocessor text DEFAULT NULL) RETURNS void
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_set_class';
CREATE FUNCTION airlock.drop_class(class text, subprocessor text DEFAULT NULL) RETURNS void
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_drop_class';
-- rules to begin with: "default" for each column whose class has a default mask for the sub-processor
CREATE FUNCTION airlock.propose_scope(subprocessor text, relation regclass) RETURNS jsonb
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_propose_scope';

---------------------------------------------------------------- what the views call
CREATE FUNCTION airlock.gate(scope integer) RETURNS boolean
  STABLE CALLED ON NULL INPUT PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_gate';
-- of a scope without data subject: parallel workers may scan its rows, for nobody has to note whose they are
CREATE FUNCTION airlock.gate_parallel(scope integer) RETURNS boolean
  STABLE CALLED ON NULL INPUT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_gate_parallel';
CREATE FUNCTION airlock.disclose(rule integer, value "any") RETURNS text
  STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 20 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_disclose';
CREATE FUNCTION airlock.disclose(rule integer, value "any", result anyelement) RETURNS anyelement
  STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 20 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_disclose';
CREATE FUNCTION airlock.disclose(rule integer, value "any", result anyelement, VARIADIC bound "any") RETURNS anyelement
  STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 20 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_disclose';
-- an encrypted column that a row filter or a condition names
CREATE FUNCTION airlock.disclose_filter(value "any", scope integer, result anyelement) RETURNS anyelement
  STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 20 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_disclose_filter';
CREATE FUNCTION airlock.disclose_filter(value "any", scope integer, result anyelement, VARIADIC bound "any") RETURNS anyelement
  STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 20 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_disclose_filter';

---------------------------------------------------------------- masks without a key
CREATE FUNCTION airlock.mask_nullify(value anyelement) RETURNS anyelement
  IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_nullify';
CREATE FUNCTION airlock.mask_constant(value anyelement, constant anyelement) RETURNS anyelement
  IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_constant';
CREATE FUNCTION airlock.mask_redact(value text, fill text DEFAULT '*', keep_length boolean DEFAULT false, keep_space boolean DEFAULT false) RETURNS text
  IMMUTABLE STRICT PARALLEL SAFE COST 8 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_redact';
CREATE FUNCTION airlock.mask_partial(value text, "left" integer DEFAULT 0, "right" integer DEFAULT 0, fill text DEFAULT '*', min_hidden integer DEFAULT 4) RETURNS text
  IMMUTABLE STRICT PARALLEL SAFE COST 8 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_partial';
CREATE FUNCTION airlock.mask_initials(value text, max integer DEFAULT 3) RETURNS text
  IMMUTABLE STRICT PARALLEL SAFE COST 8 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_initials';
CREATE FUNCTION airlock.mask_date_trunc(value date, unit text) RETURNS date
  IMMUTABLE STRICT PARALLEL SAFE COST 3 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_date_trunc';
CREATE FUNCTION airlock.mask_date_trunc(value timestamp without time zone, unit text) RETURNS timestamp without time zone
  IMMUTABLE STRICT PARALLEL SAFE COST 3 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_date_trunc';
CREATE FUNCTION airlock.mask_date_trunc(value timestamp with time zone, unit text) RETURNS timestamp with time zone
  IMMUTABLE STRICT PARALLEL SAFE COST 3 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_date_trunc';
CREATE FUNCTION airlock.mask_age_band(value date, year integer, width integer DEFAULT 10, cap integer DEFAULT 90) RETURNS text
  IMMUTABLE STRICT PARALLEL SAFE COST 3 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_age_band';
CREATE FUNCTION airlock.mask_age_band(value timestamp without time zone, year integer, width integer DEFAULT 10, cap integer DEFAULT 90) RETURNS text
  IMMUTABLE STRICT PARALLEL SAFE COST 3 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_age_band';
CREATE FUNCTION airlock.mask_age_band(value timestamp with time zone, year integer, width integer DEFAULT 10, cap integer DEFAULT 90) RETURNS text
  IMMUTABLE STRICT PARALLEL SAFE COST 3 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_age_band';
CREATE FUNCTION airlock.mask_bucket(value smallint, step numeric) RETURNS smallint
  IMMUTABLE STRICT PARALLEL SAFE COST 3 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_bucket';
CREATE FUNCTION airlock.mask_bucket(value integer, step numeric) RETURNS integer
  IMMUTABLE STRICT PARALLEL SAFE COST 3 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_bucket';
CREATE FUNCTION airlock.mask_bucket(value bigint, step numeric) RETURNS bigint
  IMMUTABLE STRICT PARALLEL SAFE COST 3 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_bucket';
CREATE FUNCTION airlock.mask_bucket(value numeric, step numeric) RETURNS numeric
  IMMUTABLE STRICT PARALLEL SAFE COST 20 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_bucket';
CREATE FUNCTION airlock.mask_bucket(value real, step numeric) RETURNS real
  IMMUTABLE STRICT PARALLEL SAFE COST 20 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_bucket';
CREATE FUNCTION airlock.mask_bucket(value double precision, step numeric) RETURNS double precision
  IMMUTABLE STRICT PARALLEL SAFE COST 20 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_bucket';
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

---------------------------------------------------------------- the access log and reports
-- records in WAL that the materialiser has not reached yet, as seen from this query's own cursor row
CREATE FUNCTION airlock.unsettled_records() RETURNS SETOF airlock_catalog.read_record
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 10 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_unsettled_records';
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
CREATE FUNCTION airlock.verify_log(OUT ok boolean, OUT checked bigint, OUT first_bad_id bigint, OUT message text) RETURNS SETOF record
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_verify_log';
-- how large a breach is: what a sub-processor received in a time, by relation; the first row is the whole
CREATE FUNCTION airlock.breach_report(subprocessor text, "from" timestamptz, "to" timestamptz, OUT relation text, OUT columns jsonb, OUT reads bigint,
    OUT rows_sent bigint, OUT subjects_at_least bigint, OUT subjects_at_most bigint, OUT certainty text, OUT passed_over bigint, OUT first_read timestamptz,
    OUT last_read timestamptz, OUT purposes text[], OUT client_addrs text[], OUT login_roles text[], OUT unfinished_reads bigint, OUT unknown_subjects bigint,
    OUT forgotten_subjects bigint, OUT settled_to timestamptz, OUT message text) RETURNS SETOF record
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_breach_report';
-- a page for a privacy officer, of one sub-processor or of all
CREATE FUNCTION airlock.report(subprocessor text DEFAULT NULL) RETURNS text
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_report';
CREATE FUNCTION airlock.doctor(OUT severity text, OUT "check" text, OUT object text, OUT message text, OUT fix text) RETURNS SETOF record
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_doctor';
-- attacks in a session of the sub-processor's role, rolled back; the result is kept
CREATE FUNCTION airlock.self_test(subprocessor text, OUT class text, OUT probe text, OUT ok boolean, OUT message text) RETURNS SETOF record
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_self_test';
-- the loaded library's version; that of these SQL objects is pg_extension.extversion
CREATE FUNCTION airlock.version() RETURNS text
  STABLE CALLED ON NULL INPUT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_version';
-- the properties every mask declares
CREATE FUNCTION airlock.mask_properties(OUT mask text, OUT keyed boolean, OUT types text, OUT keeps_order boolean, OUT uniqueness text, OUT leaks text, OUT result text) RETURNS SETOF record
  IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_mask_properties';

---------------------------------------------------------------- what recipients can do with what they were given
-- whether two sub-processors can join their copies, tried on at most so many rows of each table
CREATE FUNCTION airlock.link_risk(a text, b text, sample_rows integer DEFAULT 100000, OUT kind text, OUT relation_a text, OUT column_a text, OUT mask_a text,
    OUT relation_b text, OUT column_b text, OUT mask_b text, OUT values_a bigint, OUT values_b bigint, OUT shared bigint, OUT message text) RETURNS SETOF record
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_link_risk';
-- whose keyed mask made a value that leaked, and from which row: for administrators who may read what names the row
CREATE FUNCTION airlock.trace(pseudonym text, subprocessor text DEFAULT NULL, OUT subprocessor text, OUT relation text, OUT column_name text, OUT mask text,
    OUT in_force boolean, OUT shown_from timestamptz, OUT shown_until timestamptz, OUT subject jsonb) RETURNS SETOF record
  VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_trace';
