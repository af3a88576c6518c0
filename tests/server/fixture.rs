//! What most tests stand on: one database with an encrypted table, two sub-processors and canaries. Built once per
//! run, copied per test.
//!
//! | role | is |
//! |---|---|
//! | postgres | the superuser |
//! | app | the controller's application: owns the tables, may decrypt |
//! | clerk | an ordinary role with SELECT on the tables |
//! | acme, globex | two sub-processors; acme_bob is a member of acme |
//!
//! Canaries: `CANARYROW` in rows outside the filter (id 10, 20 … 100), `CANARYMASK` under a mask, `CANARYCOL` in
//! columns without a rule; then `p` for plain, `e` for encrypted columns.

use crate::cluster::{Cluster, Postgres, DATABASE};
use crate::process::eventually;
use crate::protocol::{Answer, Conn};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::OnceLock;

/// Rows of acme.customers.
pub const VISIBLE: usize = 90;
/// What a sub-processor must never see.
pub const CANARIES: [&str; 3] = ["CANARYROW", "CANARYMASK", "CANARYCOL"];
/// acme's rules; replace_scope in tests starts from them.
pub const ACME_RULES: &str = r#"{"id": "clear", "country": "clear", "city": "clear", "email": {"mask": "pseudonym"},
    "phone": {"mask": "partial", "right": 2}, "born": {"mask": "date_trunc", "unit": "year"},
    "ssn": {"mask": "partial", "right": 4}, "pay": "clear"}"#;

const ROLES: &str = "
    CREATE ROLE app LOGIN; CREATE ROLE clerk LOGIN; CREATE ROLE acme LOGIN; CREATE ROLE globex LOGIN;
    CREATE ROLE acme_bob LOGIN IN ROLE acme; CREATE ROLE pooled LOGIN;";

const TABLES: &str = "
    CREATE EXTENSION pg_airlock;
    SELECT airlock.create_key('pii'), airlock.create_key('money', plaintext_type => 'numeric');
    CREATE TABLE public.customers (
        id bigint PRIMARY KEY, country text, city text, email text, phone text, born date, note text, consent boolean NOT NULL,
        ssn airlock.encrypted_eq('pii'), pay airlock.encrypted('money'), diary airlock.encrypted('pii'));
    INSERT INTO public.customers
    SELECT g, CASE WHEN hidden THEN 'CANARYROW_p' ELSE (ARRAY['NO', 'SE', 'DK'])[g % 3 + 1] END,
           CASE WHEN hidden THEN 'CANARYROW_p' ELSE (ARRAY['Oslo', 'Lund', 'Bergen'])[g % 3 + 1] END,
           CASE WHEN hidden THEN 'CANARYROW_p' ELSE 'CANARYMASK_p' END || g || '@example.com',
           CASE WHEN hidden THEN 'CANARYROW_p' ELSE 'CANARYMASK_p' END || lpad(g::text, 4, '0'),
           date '1950-06-15' + g * 100, 'CANARYCOL_p', NOT hidden,
           CASE WHEN hidden THEN 'CANARYROW_e' ELSE 'CANARYMASK_e' END || lpad(g::text, 4, '0'),
           CASE WHEN hidden THEN 666000 ELSE 1000 END + g, 'CANARYCOL_e'
      FROM (SELECT g, g % 10 = 0 AS hidden FROM generate_series(1, 100) g) s;
    CREATE TABLE public.consents (customer bigint PRIMARY KEY, given boolean NOT NULL);
    INSERT INTO public.consents SELECT id, consent FROM public.customers;
    ALTER TABLE public.customers OWNER TO app; ALTER TABLE public.consents OWNER TO app;
    GRANT SELECT ON public.customers, public.consents TO clerk;
    SELECT airlock.grant_decrypt('pii', 'app'), airlock.grant_decrypt('money', 'app');";

const SUBPROCESSORS: &str = "
    SELECT airlock.create_subprocessor('acme', role => 'acme', legal_name => 'Acme Analytics GmbH',
        contract => 'DPA-1', purposes => '{product analytics}');
    SELECT airlock.create_subprocessor('globex', role => 'globex', legal_name => 'Globex Corp.',
        contract => 'DPA-2', purposes => '{support}');
    SELECT airlock.create_scope('globex', 'public.customers', '{\"id\": {\"mask\": \"pseudonym\"}, \"country\": \"clear\",
        \"email\": {\"mask\": \"pseudonym\"}}', row_filter => 'consent');";

fn template() -> &'static Cluster {
    static TEMPLATE: OnceLock<Cluster> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let mut cluster = Cluster::initdb(Postgres::main());
        cluster.preload();
        cluster.start();
        cluster.login("postgres", "postgres", &[]).expect("connect").query(&format!("CREATE DATABASE {DATABASE}")).ok();
        for sql in [ROLES, TABLES, SUBPROCESSORS] {
            cluster.admin(sql);
        }
        cluster.admin(&format!(
            "SELECT airlock.create_scope('acme', 'public.customers', '{ACME_RULES}', row_filter => 'consent', subject => '{{id}}')"
        ));
        cluster.stop();
        cluster
    })
}

/// A stopped copy of the fixture on the installation under test.
pub fn stopped() -> Cluster {
    template().copy(Postgres::main())
}

/// A stopped copy of the fixture on another installation.
pub fn stopped_on(postgres: Postgres) -> Cluster {
    template().copy(postgres)
}

/// A running copy of the fixture whose log is open.
pub fn running() -> Cluster {
    let mut cluster = stopped();
    cluster.start();
    open(&cluster);
    cluster
}

/// Waits until the log worker has given its first sign of life, so that scoped reads pass.
#[track_caller]
pub fn open(cluster: &Cluster) {
    eventually("scoped reads pass", || {
        let mut conn = cluster.login("globex", DATABASE, &[("application_name", "first")]).ok()?;
        let answer = conn.query("SELECT FROM globex.customers LIMIT 0");
        assert!(matches!(answer.code(), "" | "AL005"), "the first scoped read failed: {:?}", answer.error);
        answer.error.is_none().then_some(())
    });
}

/// One row of the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// All columns by name, NULL as `None`.
    columns: Vec<(String, Option<String>)>,
}

impl Logged {
    /// A column; empty for NULL.
    #[track_caller]
    pub fn get(&self, name: &str) -> &str {
        let found = self.columns.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("access_log has no {name}"));
        found.1.as_deref().unwrap_or_default()
    }

    /// `rows_sent`; `None` while it is not known.
    pub fn rows(&self) -> Option<usize> {
        self.get("rows_sent").parse().ok()
    }
}

/// What the access log says about sessions that called themselves so, in its order.
pub fn logged(cluster: &Cluster, application_name: &str) -> Vec<Logged> {
    let answer = cluster
        .admin(&format!("SELECT * FROM airlock.access_log WHERE application_name = '{application_name}' ORDER BY id"));
    let named = |row: Vec<Option<String>>| Logged { columns: answer.columns.iter().cloned().zip(row).collect() };
    answer.rows.into_iter().map(named).collect()
}

/// The same, once there are `count` rows and each has its outcome.
#[track_caller]
pub fn settled(cluster: &Cluster, application_name: &str, count: usize) -> Vec<Logged> {
    eventually(&format!("{count} reads of {application_name} with their outcome"), || {
        let rows = logged(cluster, application_name);
        assert!(rows.len() <= count, "more reads logged than made: {rows:#?}");
        (rows.len() == count && rows.iter().all(|r| !r.get("outcome").is_empty())).then_some(rows)
    })
}

/// Waits until all that was read up to now is in the table.
#[track_caller]
pub fn drained(cluster: &Cluster) {
    static TURN: AtomicU32 = AtomicU32::new(0);
    let name = format!("drained {}", TURN.fetch_add(1, SeqCst));
    // the worker keeps the order, and this is the last
    cluster.connect_as("postgres", &name).query("SELECT * FROM airlock.unsettled_records()").ok();
    let there = format!("SELECT count(*) FROM airlock_catalog.read_record WHERE application_name = '{name}'");
    eventually("the log is settled", || (cluster.admin(&there).value() == "1").then_some(()));
}

/// `verify_log()`: ok, first bad id, message.
pub fn verify(conn: &mut Conn) -> (bool, Option<i64>, String) {
    let answer = conn.query("SELECT ok, first_bad_id, message FROM airlock.verify_log()").ok();
    let bad = answer.rows.iter().find(|r| r[0].as_deref() != Some("t"));
    match bad {
        None => (true, None, String::new()),
        Some(r) => (false, r[1].as_ref().and_then(|id| id.parse().ok()), r[2].clone().unwrap_or_default()),
    }
}

/// The canary that reached the client, if one did.
pub fn leaked(answer: &Answer) -> Option<String> {
    let everything = answer.everything();
    everything.lines().find(|line| CANARIES.iter().any(|c| line.contains(c))).map(str::to_string)
}
