//! How work is given to a server: a statement of one session, pgbench, an answer that is thrown away.

use crate::cluster::{Cluster, DATABASE};
use crate::process::run;
use crate::protocol::Conn;
use std::fs;
use std::process::Stdio;
use std::time::Instant;

/// Milliseconds that a statement takes in this session.
#[track_caller]
pub fn milliseconds(conn: &mut Conn, sql: &str) -> f64 {
    let start = Instant::now();
    conn.query(sql).ok();
    start.elapsed().as_secs_f64() * 1e3
}

/// Milliseconds of a statement, and how many parallel workers were seen at it.
pub fn with_workers(cluster: &Cluster, conn: &mut Conn, sql: &str) -> (f64, usize) {
    let mut watch = cluster.connect("postgres");
    let count = format!("SELECT count(*) FROM pg_stat_activity WHERE leader_pid = {}", conn.pid);
    let start = Instant::now();
    conn.begin(sql);
    std::thread::sleep(std::time::Duration::from_millis(30));
    let workers = watch.query(&count).value().parse().expect("a count");
    conn.finish().ok();
    (start.elapsed().as_secs_f64() * 1e3, workers)
}

/// Milliseconds of a processor that a session's process takes for some work: whoever else wants the machine counts less.
fn processor_time(conn: &mut Conn, work: impl FnOnce(&mut Conn)) -> f64 {
    let path = format!("/proc/{}/schedstat", conn.pid);
    let nanoseconds = || -> f64 {
        let text = fs::read_to_string(&path).expect("the kernel's schedstat");
        text.split(' ').next().and_then(|n| n.parse().ok()).expect("a number")
    };
    let before = nanoseconds();
    work(conn);
    (nanoseconds() - before) / 1e6
}

/// Look-ups of one session in a turn.
pub const LOOKUPS: u64 = 10_000;

/// Milliseconds of a processor that a session's process takes for that many look-ups: `sql` with a key as `$1`, from 1 to
/// `keys`. The client's wake-ups, which a virtual machine makes dear, are not in it.
pub fn lookups(conn: &mut Conn, protocol: &str, sql: &str, keys: u64) -> f64 {
    let prepared = protocol == "prepared";
    if prepared {
        conn.parse("", sql);
        conn.sync().ok();
    }
    processor_time(conn, |conn| each(conn, prepared, sql, keys, LOOKUPS))
}

/// The same work, so many times, by whatever clock.
pub fn repeated(conn: &mut Conn, protocol: &str, sql: &str, keys: u64, times: u64) {
    let prepared = protocol == "prepared";
    if prepared {
        conn.parse("", sql);
        conn.sync().ok();
    }
    each(conn, prepared, sql, keys, times);
}

fn each(conn: &mut Conn, prepared: bool, sql: &str, keys: u64, times: u64) {
    for n in 0..times {
        // far from each other, as keys at random are
        let key = (n * 7_919 % keys + 1).to_string();
        if prepared {
            conn.bind("", "", &[Some(&key)]).execute("", 0);
            conn.sync().ok();
        } else {
            conn.query(&sql.replace("$1", &key)).ok();
        }
    }
}

/// Runs statements of the superuser by psql, which waits however long they take.
#[track_caller]
pub fn script(cluster: &Cluster, user: &str, sql: &str) {
    let mut psql = cluster.client("psql", user);
    run(psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", DATABASE, "-c", sql]));
}

/// The same, timed, in milliseconds; its answer is thrown away by the client.
#[track_caller]
pub fn thrown_away(cluster: &Cluster, user: &str, sql: &str) -> f64 {
    let mut psql = cluster.client("psql", user);
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", DATABASE, "-c", sql]).stdout(Stdio::null());
    let start = Instant::now();
    let status = psql.status().expect("run psql");
    assert!(status.success(), "psql failed: {sql}");
    start.elapsed().as_secs_f64() * 1e3
}

/// A run of pgbench.
#[derive(Clone, Copy, Debug)]
pub struct Pgbench<'a> {
    /// As whom.
    pub user: &'a str,
    /// Its script.
    pub script: &'a str,
    /// `simple` or `prepared`.
    pub protocol: &'a str,
    /// Sessions at a time.
    pub clients: usize,
    /// How long.
    pub seconds: u64,
}

impl Pgbench<'_> {
    /// Transactions per second, without the time of connecting.
    #[track_caller]
    pub fn transactions(&self, cluster: &Cluster) -> f64 {
        let path = cluster.dir.join("script.sql");
        fs::write(&path, self.script).expect("write a script");
        let mut pgbench = cluster.client("pgbench", self.user);
        pgbench.args(["-n", "--random-seed=1", "-M", self.protocol, "-c", &self.clients.to_string()]);
        pgbench.args(["-j", &self.clients.min(2).to_string(), "-T", &self.seconds.to_string(), "-f"]);
        let output = run(pgbench.arg(&path).arg(DATABASE));
        let tps = output.lines().find_map(|l| l.strip_prefix("tps = ")).and_then(|l| l.split(' ').next());
        tps.and_then(|t| t.parse().ok()).unwrap_or_else(|| panic!("pgbench said nothing of tps:\n{output}"))
    }
}
