//! The attacks that are one session's SQL, by the classes of the design's catalogue: A below the row filter, B catalogs,
//! C oracles, D foreign code and identity, E writing, F log and server state, I ways out.

/// How an attack must end. Whatever the verdict, no canary may reach the client.
#[derive(Clone, Copy)]
pub enum Verdict {
    /// The last statement is refused: AL007, or 42501 where it has no right anyway.
    Refused,
    /// PostgreSQL itself may refuse it first, with this SQLSTATE.
    RefusedAs(&'static str),
    /// It may run; it shows nothing.
    Silent,
    /// It runs, and gives so many rows.
    Rows(usize),
}

/// What shows that the statement is sound.
#[derive(Clone, Copy)]
pub enum Twin {
    /// Nothing: it cannot run in a transaction that is rolled back, or nobody may run it.
    None,
    /// The superuser runs the same statements, rolled back.
    Superuser,
    /// The reader runs this instead.
    Reader(&'static str),
}

/// One attack.
pub struct Attack {
    /// Class.
    pub class: char,
    /// Statements of one session.
    pub sql: &'static [&'static str],
    /// How it ends.
    pub verdict: Verdict,
    /// Why that means something.
    pub twin: Twin,
}

const fn refused(class: char, sql: &'static [&'static str]) -> Attack {
    Attack { class, sql, verdict: Verdict::Refused, twin: Twin::Superuser }
}

const fn refused_alone(class: char, sql: &'static [&'static str]) -> Attack {
    Attack { class, sql, verdict: Verdict::Refused, twin: Twin::None }
}

const fn refused_as(class: char, code: &'static str, sql: &'static [&'static str]) -> Attack {
    Attack { class, sql, verdict: Verdict::RefusedAs(code), twin: Twin::None }
}

const fn refused_but(class: char, sql: &'static [&'static str], instead: &'static str) -> Attack {
    Attack { class, sql, verdict: Verdict::Refused, twin: Twin::Reader(instead) }
}

const fn silent(class: char, sql: &'static [&'static str]) -> Attack {
    Attack { class, sql, verdict: Verdict::Silent, twin: Twin::None }
}

const fn rows(class: char, n: usize, sql: &'static [&'static str]) -> Attack {
    Attack { class, sql, verdict: Verdict::Rows(n), twin: Twin::None }
}

const READ: &str = "SELECT id FROM acme.customers";

/// All of them.
pub const ATTACKS: &[Attack] = &[
    // A: what the attacker writes sees only rows that passed the filter
    refused('A', &["CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$"]),
    silent('A', &["SELECT id FROM acme.customers WHERE set_config('x.a', concat(current_setting('x.a', true), id, city), false) IS NULL", "SELECT current_setting('x.a', true)"]),
    silent('A', &["SELECT id FROM acme.customers WHERE set_config('search_path', concat(current_setting('search_path'), city), false) IS NULL", "SHOW search_path"]),
    rows('A', 0, &["SELECT id FROM acme.customers WHERE CASE WHEN city ~ '^C' THEN city::int > 0 ELSE false END"]),
    rows('A', 0, &["SELECT id FROM acme.customers WHERE CASE WHEN country LIKE 'CAN%' THEN 1 / (id - id) > 0 ELSE false END"]),
    rows('A', 0, &["SELECT id FROM acme.customers WHERE id IN (10, 20, 30) OR pay > 600000"]),
    rows('A', 1, &["SELECT max(id) FILTER (WHERE id % 10 = 0), min(pay), max(pay), string_agg(city, ',') FROM acme.customers"]),
    refused_but('A', &["EXPLAIN SELECT id FROM acme.customers WHERE city = 'Oslo'"], READ),
    refused_but('A', &["EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT id FROM acme.customers WHERE city = 'Oslo'"], READ),
    refused('A', &["EXPLAIN SELECT 1"]),
    silent('A', &["SELECT pg_get_viewdef(oid) FROM pg_class WHERE relkind = 'v'"]),
    silent('A', &["SELECT prosrc FROM pg_proc", "SELECT ev_action::text FROM pg_rewrite"]),
    // B: catalogs and statistics
    refused('B', &["SELECT stavalues1::text FROM pg_catalog.pg_statistic WHERE starelid = 'public.customers'::regclass"]),
    silent('B', &["SELECT most_common_vals::text, histogram_bounds::text FROM pg_catalog.pg_stats WHERE tablename = 'customers'"]),
    // access counters: a look-up that finds a hidden row moves them
    refused('B', &["SELECT idx_scan FROM pg_catalog.pg_stat_all_indexes"]),
    refused('B', &["SELECT seq_tup_read FROM pg_catalog.pg_stat_user_tables"]),
    refused('B', &["SELECT heap_blks_hit FROM pg_catalog.pg_statio_all_tables"]),
    refused('B', &["SELECT tup_fetched FROM pg_catalog.pg_stat_database"]),
    refused('B', &["SELECT pg_catalog.pg_stat_get_xact_tuples_fetched('public.customers'::regclass)"]),
    refused('B', &["SELECT idx_scan FROM pg_catalog.pg_stat_xact_all_tables"]),
    silent('B', &["SELECT * FROM pg_catalog.pg_stats_ext", "SELECT * FROM pg_catalog.pg_stats_ext_exprs"]),
    refused('B', &["SELECT rolname, rolpassword FROM pg_catalog.pg_authid"]),
    refused('B', &["SELECT * FROM pg_catalog.pg_shadow"]),
    refused('B', &["SELECT * FROM pg_catalog.pg_largeobject"]),
    refused('B', &["SELECT * FROM airlock_catalog.key_version"]),
    refused('B', &["SELECT * FROM airlock_catalog.root_key"]),
    refused('B', &["SELECT * FROM airlock_catalog.read_record"]),
    refused('B', &["SELECT * FROM airlock.access_log"]),
    refused('B', &["SELECT * FROM airlock.keys"]),
    refused('B', &["SELECT * FROM airlock.scopes"]),
    refused_alone('B', &["SELECT * FROM airlock_scope.s1"]),
    refused_alone('B', &["SELECT * FROM globex.customers"]),
    silent('B', &["SELECT * FROM pg_settings", "SHOW ALL", "SELECT * FROM pg_db_role_setting"]),
    silent('B', &["SELECT query FROM pg_stat_activity", "SELECT * FROM pg_prepared_statements", "SELECT * FROM pg_cursors"]),
    // C: oracles
    rows('C', 0, &["SELECT id FROM acme.customers WHERE ssn >= 'C' AND ssn < 'D'"]),
    rows('C', 0, &["SELECT id FROM acme.customers WHERE phone LIKE 'C%' OR email ~ '@' OR born <> date_trunc('year', born)"]),
    refused_but('C', &["SELECT airlock.disclose(1, 'x'::text)"], READ),
    refused_but('C', &["SELECT airlock.disclose(r, c.ssn) FROM public.customers c, generate_series(1, 20) r"], READ),
    refused_but('C', &["SELECT airlock.gate(1)"], READ),
    refused('C', &["SELECT airlock.mask_initials('x y')"]),
    refused_but('C', &["SELECT airlock.decrypt(ssn) FROM public.customers"], READ),
    refused_but('C', &["SELECT ssn::text FROM public.customers"], READ),
    refused_but('C', &["SELECT CAST(diary AS text) FROM public.customers"], READ),
    refused_as('C', "42809", &["SET search_path = airlock, public", "SELECT (c.ssn).decrypt FROM public.customers c"]),
    refused_but('C', &["SELECT id FROM public.customers WHERE ssn = 'x'"], READ),
    refused_alone('C', &["SELECT 'x'::airlock.encrypted_eq"]),
    refused_alone('C', &["SELECT 'x'::airlock.encrypted('pii')"]),
    refused_alone('C', &["SELECT 'x'::text::airlock.encrypted"]),
    refused('C', &["SELECT airlock.create_scope('acme', 'public.consents', '{\"customer\": \"clear\", \"given\": \"clear\"}')"]),
    refused_alone('C', &["SELECT airlock.replace_scope('acme', 'public.customers', '{\"id\": \"clear\", \"note\": \"clear\"}')"]),
    refused('C', &["SELECT airlock.preview_scope('acme', 'public.consents', '{\"customer\": \"clear\"}')"]),
    refused('C', &["SELECT airlock.grant_decrypt('pii', 'clerk')"]),
    refused_alone('C', &["SELECT airlock.decrypt_column('public.customers', 'ssn')"]),
    refused('C', &["SELECT airlock.alter_subprocessor('acme', '{\"require_tls\": false}')"]),
    refused_alone('C', &["SELECT airlock.resume('acme', 'please')"]),
    refused('C', &["SELECT * FROM airlock.verify_log()"]),
    refused('C', &["SELECT * FROM airlock.unsettled_records()"]),
    refused('C', &["SELECT * FROM airlock.doctor()"]),
    // D: nothing to build with, and no other identity
    refused('D', &["CREATE DOMAIN pg_temp.text AS pg_catalog.text"]),
    refused('D', &["CREATE TYPE pg_temp.pair AS (a int, b int)"]),
    refused('D', &["CREATE TEMP TABLE t (x int)"]),
    refused_but('D', &["CREATE TEMP TABLE t AS SELECT id FROM acme.customers"], READ),
    refused_but('D', &["SELECT id INTO TEMP t FROM acme.customers"], READ),
    refused_but('D', &["PREPARE p AS SELECT id FROM acme.customers", "CREATE TEMP TABLE t AS EXECUTE p"], READ),
    refused_but('D', &["CREATE TEMP VIEW v AS SELECT id FROM acme.customers"], READ),
    refused('D', &["CREATE TEMP SEQUENCE s"]),
    refused('D', &["CREATE SCHEMA mine"]),
    refused('D', &["CREATE TABLE public.mine (x int)"]),
    refused('D', &["CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'"]),
    refused('D', &["CREATE AGGREGATE public.mine(int) (SFUNC = int4pl, STYPE = int)"]),
    refused('D', &["CREATE OPERATOR public.### (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl)"]),
    refused('D', &["CREATE ROLE mine"]),
    refused('D', &["CREATE EXTENSION pgcrypto"]),
    refused('D', &["DO $$ BEGIN PERFORM note FROM public.customers; END $$"]),
    refused('D', &["SET ROLE app", "SELECT note FROM public.customers"]),
    refused('D', &["SET ROLE clerk", "SELECT note FROM public.customers"]),
    refused('D', &["SET ROLE airlock_view_owner", "SELECT ssn FROM public.customers"]),
    refused_as('D', "25P02", &["BEGIN", "SET LOCAL ROLE app", "SELECT note FROM public.customers"]),
    refused_alone('D', &["SET SESSION AUTHORIZATION app", "SELECT note FROM public.customers"]),
    refused('D', &["SELECT public.customer_report()"]),
    silent('D', &["SELECT public.customer_report_quietly()"]),
    refused('D', &["SELECT public.customer_report_sql()"]),
    refused('D', &["SELECT id FROM public.consents, LATERAL (SELECT public.customer_report_sql()) AS r(id)"]),
    refused_alone('D', &["SET airlock.release = 'off'"]),
    refused('D', &["SET airlock.encrypted_input = 'ciphertext'"]),
    refused_alone('D', &["SET airlock.root_key_source = 'env:X'"]),
    refused('D', &["SET debug_print_plan = on"]),
    refused('D', &["SELECT set_config('debug_' || 'print_plan', 'on', false)"]),
    refused('D', &["SET statement_timeout = 0"]),
    refused('D', &["SET x.collector = 'a'"]),
    refused('D', &["LOAD 'plpgsql'"]),
    refused_but('D', &["BEGIN", "SET TRANSACTION SNAPSHOT '00000003-00000001-1'"], READ),
    // E: the views are SELECT only, and so is everything else
    refused_alone('E', &["INSERT INTO acme.customers (id) VALUES (1000)"]),
    refused_alone('E', &["UPDATE acme.customers SET country = 'XX'"]),
    refused_alone('E', &["DELETE FROM acme.customers"]),
    refused_but('E', &["SELECT id FROM acme.customers FOR UPDATE"], READ),
    refused_but('E', &["SELECT id FROM acme.customers FOR KEY SHARE"], READ),
    refused('E', &["INSERT INTO public.consents VALUES (1000, true)"]),
    refused('E', &["UPDATE public.customers SET consent = true"]),
    refused('E', &["UPDATE public.customers SET city = note RETURNING city"]),
    refused('E', &["DELETE FROM public.customers"]),
    refused('E', &["MERGE INTO public.consents c USING (VALUES (1)) v (i) ON c.customer = v.i WHEN MATCHED THEN DELETE"]),
    refused('E', &["WITH x AS (DELETE FROM public.customers RETURNING note) SELECT * FROM x"]),
    refused('E', &["TRUNCATE public.customers"]),
    refused('E', &["LOCK TABLE public.customers IN ACCESS SHARE MODE"]),
    refused('E', &["ALTER TABLE public.customers ADD COLUMN more text"]),
    refused_alone('E', &["ALTER VIEW acme.customers RESET (security_barrier)"]),
    refused_alone('E', &["CREATE OR REPLACE VIEW acme.customers AS SELECT * FROM public.customers"]),
    refused_alone('E', &["DROP VIEW acme.customers"]),
    refused('E', &["CREATE INDEX ON public.customers ((note))"]),
    refused('E', &["CREATE RULE r AS ON INSERT TO public.scratch DO ALSO NOTHING"]),
    refused('E', &["CREATE STATISTICS public.s ON country, city FROM public.customers"]),
    refused('E', &["COMMENT ON TABLE public.customers IS 'mine'"]),
    refused('E', &["ANALYZE public.customers"]),
    refused_alone('E', &["VACUUM public.customers"]),
    refused('E', &["REINDEX TABLE public.customers"]),
    refused_alone('E', &["CHECKPOINT"]),
    // F: log, transactions, what others could notice
    refused('F', &["SELECT pg_logical_emit_message(false, 'airlock', 'x')"]),
    refused('F', &["SELECT pg_logical_emit_message(false, 'airlock', 'x'::bytea)"]),
    refused('F', &["SELECT pg_advisory_lock(42)"]),
    refused('F', &["SELECT set_config('TimeZone', 'UTC', false)"]),
    refused('F', &["SELECT count(pg_advisory_lock_shared(g)) FROM generate_series(1, 10) g"]),
    refused('F', &["SELECT pg_try_advisory_xact_lock(42)"]),
    refused('F', &["SELECT pg_current_xact_id()"]),
    refused('F', &["SELECT txid_current()"]),
    refused('F', &["SELECT pg_notify('x', 'y')"]),
    refused('F', &["NOTIFY x"]),
    refused('F', &["LISTEN x"]),
    refused('F', &["SELECT pg_export_snapshot()"]),
    refused('F', &["SELECT pg_sleep(0)"]),
    refused('F', &["SELECT query_to_xml('SELECT note FROM public.customers', true, false, '')"]),
    refused('F', &["SELECT table_to_xml('public.customers', true, false, '')"]),
    refused('F', &["SELECT schema_to_xml('public', true, false, '')"]),
    refused('F', &["SELECT * FROM ts_stat('SELECT to_tsvector(note) FROM public.customers')"]),
    refused_alone('F', &["BEGIN", "SELECT id FROM acme.customers", "PREPARE TRANSACTION 'x'"]),
    refused_but('F', &["BEGIN", "DECLARE c CURSOR WITH HOLD FOR SELECT id FROM acme.customers"], READ),
    refused('F', &["SELECT pg_cancel_backend(0)"]),
    refused('F', &["SELECT pg_terminate_backend(0)"]),
    refused_alone('F', &["SELECT pg_drop_replication_slot('pg_airlock')"]),
    refused_alone('F', &["SELECT pg_create_physical_replication_slot('mine')"]),
    refused_alone('F', &["SELECT pg_switch_wal()"]),
    refused_alone('F', &["SELECT pg_reload_conf()"]),
    refused('F', &["SET synchronous_commit = off"]),
    refused_alone('F', &["ALTER SYSTEM SET shared_preload_libraries = ''"]),
    refused('F', &["ALTER ROLE acme SET work_mem = '1GB'"]),
    // I: the only way out is the own connection
    refused('I', &["COPY (SELECT 1) TO PROGRAM 'cat >/dev/null'"]),
    refused('I', &["COPY (SELECT 1) TO '/dev/null'"]),
    refused('I', &["COPY public.customers TO STDOUT"]),
    refused('I', &["COPY public.customers (note) TO STDOUT"]),
    refused_as('I', "42809", &["COPY acme.customers TO STDOUT"]),
    refused_alone('I', &["COPY public.scratch FROM STDIN"]),
    refused('I', &["COPY (DELETE FROM public.customers RETURNING note) TO STDOUT"]),
    refused('I', &["SELECT pg_read_file('PG_VERSION')"]),
    refused('I', &["SELECT pg_ls_dir('.')"]),
    refused('I', &["SELECT lo_creat(-1)"]),
    refused('I', &["SELECT lo_from_bytea(0, 'x')"]),
    refused_alone('I', &["SELECT lo_export(1, '/dev/null')"]),
    refused_but('I', &["CREATE VIEW acme_own.v AS SELECT * FROM acme.customers"], READ),
    refused_but('I', &["CREATE MATERIALIZED VIEW acme_own.m AS SELECT * FROM acme.customers"], READ),
    refused_alone('I', &["GRANT SELECT ON acme.customers TO globex"]),
    refused_alone('I', &["GRANT acme TO clerk"]),
    refused('I', &["SELECT note FROM public.customers"]),
    refused('I', &["SELECT count(*) FROM public.customers"]),
    refused('I', &["SELECT ctid, tableoid FROM ONLY public.customers TABLESAMPLE SYSTEM (100)"]),
    refused('I', &["TABLE public.consents"]),
    refused_but('I', &["SELECT c.id FROM acme.customers c JOIN public.customers b USING (id) WHERE b.note <> ''"], READ),
    refused_but('I', &["SELECT id FROM acme.customers WHERE id IN (SELECT id FROM public.customers WHERE note <> '')"], READ),
    refused('I', &["BEGIN", "DECLARE c CURSOR FOR SELECT note FROM public.customers"]),
    refused('I', &["PREPARE p AS SELECT note FROM public.customers", "EXECUTE p"]),
];

/// What a sub-processor may do, with every set of rights: the neighbours of what is refused above. `;; ` parts the
/// statements of one session.
pub const READABLE: &[&str] = &[
    "SELECT * FROM acme.customers",
    "SELECT country, count(*), avg(pay), percentile_cont(0.5) WITHIN GROUP (ORDER BY pay) FROM acme.customers GROUP BY 1 ORDER BY 2",
    "SELECT id, rank() OVER (PARTITION BY city ORDER BY pay) FROM acme.customers",
    "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT c.id FROM n JOIN acme.customers c ON c.id = n.i",
    "SELECT json_agg(c) FROM acme.customers c",
    "COPY (SELECT * FROM acme.customers) TO STDOUT (FORMAT csv, HEADER)",
    "BEGIN READ ONLY;; SELECT id FROM acme.customers;; COMMIT",
    "BEGIN ISOLATION LEVEL REPEATABLE READ;; SAVEPOINT a;; SELECT id FROM acme.customers;; ROLLBACK TO a;; RELEASE a;; ROLLBACK",
    "BEGIN;; DECLARE c SCROLL CURSOR FOR SELECT id FROM acme.customers;; FETCH 5 FROM c;; MOVE BACKWARD ALL FROM c;; FETCH ALL FROM c;; CLOSE c;; COMMIT",
    "PREPARE p(int) AS SELECT id FROM acme.customers WHERE id = $1;; EXECUTE p(3);; DEALLOCATE p",
    "SET DateStyle = 'German';; SET TimeZone = 'Asia/Tokyo';; SET search_path = acme;; SELECT * FROM customers;; RESET ALL",
    "SET application_name = 'mine';; SET client_min_messages = warning;; SHOW ALL;; DISCARD ALL",
    "SELECT random(), clock_timestamp(), gen_random_uuid(), version(), current_user, pg_backend_pid()",
    "SELECT oid::regclass, relkind FROM pg_class;; SELECT * FROM pg_attribute;; SELECT * FROM information_schema.columns",
    "SELECT pg_catalog.pg_table_is_visible(oid), pg_catalog.format_type(oid, NULL), pg_get_userbyid(1) FROM pg_class LIMIT 5",
    "SET ROLE acme;; SELECT id FROM acme.customers;; RESET ROLE",
    "VALUES (1), (2);; TABLE acme.customers;; SELECT generate_series(1, 10)",
];
