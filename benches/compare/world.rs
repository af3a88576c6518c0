//! The servers that are compared: with the library, without, with pgaudit; in memory, or on the disk.

use crate::cluster::{run_directory, Cluster, Postgres, DATABASE};
use crate::load::script;
use crate::process::eventually;
use crate::protocol::Conn;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Where a server has its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// tmpfs: a flush costs nothing.
    Memory,
    /// A disk, with all its flushes.
    Disk,
}

impl Place {
    /// The run's directory there.
    pub fn directory(self) -> PathBuf {
        let (variable, default) = match self {
            Place::Memory => ("AIRLOCK_BENCH_MEMORY", "/dev/shm"),
            Place::Disk => ("AIRLOCK_BENCH_DISK", "/var/tmp"),
        };
        run_directory(Path::new(&std::env::var(variable).unwrap_or_else(|_| default.into())))
    }

    /// Removes what the run left in both.
    pub fn tidy() {
        for place in [Place::Memory, Place::Disk] {
            let _ = std::fs::remove_dir_all(place.directory());
        }
    }
}

/// What a server has preloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The extension.
    Airlock,
    /// Nothing.
    Bare,
    /// pgaudit, which writes statements that read to the server's log.
    Pgaudit,
}

/// Rooms enough that nothing is measured but the work: no checkpoint, no vacuum, no read from the disk in a round.
const SETTINGS: [(&str, &str); 11] = [
    ("fsync", "on"),
    ("max_connections", "60"),
    ("shared_buffers", "2GB"),
    ("max_wal_size", "64GB"),
    ("checkpoint_timeout", "1d"),
    ("autovacuum", "off"),
    ("jit", "off"),
    ("work_mem", "64MB"),
    ("maintenance_work_mem", "512MB"),
    ("max_parallel_workers_per_gather", "0"),
    ("log_checkpoints", "off"),
];

/// A read that is recorded faster than the log's worker settles it must not be refused in the middle of a round.
const LOG_SETTINGS: [(&str, &str); 4] = [
    ("airlock.backlog_limit", "1000000"),
    ("airlock.backlog_share", "100"),
    ("airlock.backlog_age", "86400"),
    ("airlock.max_silence", "86400"),
];

/// A running server with the database of the bench.
pub fn server(postgres: &Postgres, place: Place, kind: Kind) -> Cluster {
    let mut cluster = stopped(postgres, place, kind);
    begin(&mut cluster, kind);
    cluster
}

/// The same, not started yet.
pub fn stopped(postgres: &Postgres, place: Place, kind: Kind) -> Cluster {
    let cluster = Cluster::initdb_at(&place.directory(), postgres.clone(), &[]);
    for (name, value) in SETTINGS {
        cluster.set(name, value);
    }
    match kind {
        Kind::Airlock => {
            cluster.preload();
            for (name, value) in LOG_SETTINGS {
                cluster.set(name, value);
            }
        }
        // initdb_at names a root key, a setting that a server without the library takes as a placeholder
        Kind::Bare => {}
        Kind::Pgaudit => {
            cluster.set("shared_preload_libraries", "pgaudit");
            cluster.set("pgaudit.log", "read");
        }
    }
    cluster
}

/// Starts it, and makes the database.
pub fn begin(cluster: &mut Cluster, kind: Kind) {
    cluster.start();
    cluster.login("postgres", "postgres", &[]).expect("connect").query(&format!("CREATE DATABASE {DATABASE}")).ok();
    if kind == Kind::Airlock {
        cluster.admin("CREATE EXTENSION pg_airlock; SELECT airlock.create_key('pii')");
    }
}

/// Persons, and a role `plain` that reads them through views of the usual kind.
pub fn persons(cluster: &Cluster, rows: u64) {
    script(
        cluster,
        "postgres",
        &format!(
            "CREATE ROLE plain LOGIN; CREATE SCHEMA plain; GRANT USAGE ON SCHEMA plain TO plain;
             CREATE TABLE public.person (id bigint PRIMARY KEY, name text, email text, phone text, code text, amount integer);
             INSERT INTO public.person
             SELECT g, 'First' || g % 1000 || ' Last' || g, 'person.' || g || '@example.com', '+33 6 ' || lpad((g % 100000000)::text, 8, '0'),
                    'C-' || lpad(g::text, 10, '0'), g % 1000 FROM generate_series(1, {rows}) g;
             {}
             GRANT SELECT ON ALL TABLES IN SCHEMA plain TO plain;",
            PLAIN_VIEWS
        ),
    );
    // hint bits and visibility are there before anybody reads
    script(cluster, "postgres", "VACUUM (FREEZE, ANALYZE) public.person");
}

/// What somebody would write by hand: outputs of the same shape as those of the scopes below.
const PLAIN_VIEWS: &str = "
    CREATE VIEW plain.masked WITH (security_barrier) AS SELECT id, 'CONFIDENTIAL'::text AS name, '***@' || split_part(email, '@', 2) AS email,
        repeat('*', length(phone) - 4) || right(phone, 4) AS phone, encode(sha256(convert_to('salt' || code, 'UTF8')), 'hex') AS code FROM public.person;
    CREATE VIEW plain.keyless WITH (security_barrier) AS SELECT id, 'CONFIDENTIAL'::text AS name, '***@' || split_part(email, '@', 2) AS email,
        repeat('*', length(phone) - 4) || right(phone, 4) AS phone, amount FROM public.person;
    CREATE VIEW plain.clear WITH (security_barrier) AS SELECT id, name, email, phone, amount FROM public.person;";

/// The scopes: a sub-processor of its own for each, since one has one scope of a table.
const SCOPES: [(&str, &str, &str); 4] = [
    (
        "masked",
        r#"{"id": "clear", "name": {"mask": "constant", "value": "CONFIDENTIAL"}, "email": {"mask": "email"},
            "phone": {"mask": "partial", "right": 4}, "code": {"mask": "pseudonym"}}"#,
        "",
    ),
    (
        "keyless",
        r#"{"id": "clear", "name": {"mask": "constant", "value": "CONFIDENTIAL"}, "email": {"mask": "email"},
            "phone": {"mask": "partial", "right": 4}, "amount": "clear"}"#,
        "",
    ),
    ("clear", r#"{"id": "clear", "name": "clear", "email": "clear", "phone": "clear", "amount": "clear"}"#, ""),
    (
        "tracked",
        r#"{"id": "clear", "name": "clear", "email": "clear", "phone": "clear", "amount": "clear"}"#,
        ", subject => '{id}'",
    ),
];

/// The same persons through scopes. `wide_keyless` reads what `keyless` does, with two parallel workers.
pub fn scopes(cluster: &Cluster) {
    for (name, rules, more) in SCOPES {
        script(
            cluster,
            "postgres",
            &format!(
                "CREATE ROLE {name} LOGIN;
                 SELECT airlock.create_subprocessor('{name}', role => '{name}', legal_name => '{name}', contract => 'DPA', purposes => '{{bench}}');
                 SELECT airlock.create_scope('{name}', 'public.person', '{rules}'{more});"
            ),
        );
    }
    for like in ["keyless", "masked"] {
        let role = format!("wide_{like}");
        let sql = format!(
            "CREATE ROLE {role} LOGIN IN ROLE {like}; ALTER ROLE {role} SET max_parallel_workers_per_gather = 2"
        );
        script(cluster, "postgres", &sql);
    }
    opened(cluster, "clear");
}

/// Waits until a sub-processor's reads pass.
pub fn opened(cluster: &Cluster, subprocessor: &str) {
    eventually("scoped reads pass", || {
        let mut conn = cluster.login(subprocessor, DATABASE, &[]).ok()?;
        let answer = conn.query(&format!("SELECT FROM {subprocessor}.person LIMIT 0"));
        assert!(matches!(answer.code(), "" | "AL005"), "the first scoped read failed: {:?}", answer.error);
        answer.error.is_none().then_some(())
    });
}

/// Waits until the log's worker has settled all that was read up to now, so that it takes nothing from who is measured next.
pub fn settled(cluster: &Cluster) {
    static TURN: AtomicU32 = AtomicU32::new(0);
    let name = format!("settled {}", TURN.fetch_add(1, Ordering::SeqCst));
    // the worker keeps the order, and this is the last
    cluster.connect_as("postgres", &name).query("SELECT count(*) FROM airlock.unsettled_records()").ok();
    let last = format!(
        "SELECT count(*) FROM (SELECT application_name FROM airlock_catalog.read_record ORDER BY id DESC LIMIT 20) r
          WHERE application_name = '{name}'"
    );
    let mut conn = cluster.connect("postgres");
    let start = Instant::now();
    while conn.query(&last).value() != "1" {
        assert!(start.elapsed() < Duration::from_secs(600), "the log is not settled");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Keeps the log's worker out of its table until the session is dropped. Readers do not notice.
pub fn held(cluster: &Cluster) -> Conn {
    let mut gate = cluster.connect("postgres");
    gate.query("BEGIN; LOCK TABLE airlock_catalog.read_record IN SHARE MODE").ok();
    gate
}

/// A session with settings of its own.
pub fn session(cluster: &Cluster, user: &str, settings: &str) -> Conn {
    let mut conn = cluster.connect(user);
    if !settings.is_empty() {
        conn.query(settings).ok();
    }
    conn
}
