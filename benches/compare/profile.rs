//! Where the time goes: the functions of a session, or of the log's worker, while it does one thing over and over.

use crate::cases::Bench;
use crate::cluster::Cluster;
use crate::load::script;
use crate::process::{run, signal};
use crate::protocol::Conn;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a session does, by name.
const STATEMENTS: [(&str, &str, &str); 9] = [
    ("scan", "masked", "SELECT count(name), count(email), count(phone), count(code) FROM masked.person"),
    ("mask-email", "masked", "SELECT count(email) FROM masked.person"),
    ("mask-pseudonym", "masked", "SELECT count(code) FROM masked.person"),
    ("subject", "tracked", "SELECT sum(amount) FROM tracked.person"),
    ("decrypt", "app", "SELECT count(airlock.decrypt(v)) FROM public.sealed"),
    ("insert", "app", "INSERT INTO public.filled SELECT g, lpad(g::text, 11, '0') FROM generate_series(1, 20000) g"),
    ("copy-out", "clear", "COPY (SELECT * FROM clear.person) TO STDOUT"),
    ("lookup-simple", "keyless", "SELECT name, email, amount FROM keyless.person WHERE id = 42"),
    ("verify", "postgres", "SELECT * FROM airlock.verify_log()"),
];

/// Measures all, and says where the lists are.
pub fn all(bench: &Bench) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/profile");
    std::fs::create_dir_all(&directory).expect("create a directory");
    let cluster = bench.shared();
    script(
        cluster,
        "postgres",
        &format!(
            "CREATE ROLE app LOGIN; SELECT airlock.grant_decrypt('pii', 'app');
             CREATE TABLE public.sealed (id bigint, v airlock.encrypted('pii')); CREATE TABLE public.filled (LIKE public.sealed);
             ALTER TABLE public.sealed OWNER TO app; ALTER TABLE public.filled OWNER TO app;
             INSERT INTO public.sealed SELECT g, lpad(g::text, 11, '0') FROM generate_series(1, {}) g",
            bench.rows / 5
        ),
    );
    lookups(cluster, &directory);
    for (name, user, sql) in STATEMENTS {
        let mut conn = cluster.connect(user);
        conn.query(sql).ok();
        let recording = Recording::start(&directory, name, conn.pid);
        recording.through(|| {
            conn.query(sql).ok();
        });
    }
}

/// A prepared look-up, and the worker that settles what it leaves.
fn lookups(cluster: &Cluster, directory: &Path) {
    let mut conn = cluster.connect("keyless");
    conn.parse("one", "SELECT name, email, amount FROM keyless.person WHERE id = $1");
    conn.sync().ok();
    let once = |conn: &mut Conn| {
        conn.bind("", "one", &[Some("42")]).execute("", 0);
        conn.sync().ok();
    };
    (0..10).for_each(|_| once(&mut conn));
    let worker = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_airlock materialiser'";
    let worker = cluster.admin(worker).value().parse().expect("a process");
    let session = Recording::start(directory, "lookup-prepared", conn.pid);
    let settling = Recording::start(directory, "materialiser", worker);
    session.through(|| once(&mut conn));
    settling.through(|| once(&mut conn));
}

/// perf, attached to one process.
struct Recording {
    perf: std::process::Child,
    data: PathBuf,
}

impl Recording {
    fn start(directory: &Path, name: &str, pid: i32) -> Recording {
        let data = directory.join(name).with_extension("data");
        let mut perf = Command::new("perf");
        // a virtual machine may have no counters, but it has a clock
        perf.args(["record", "-q", "-e", "cpu-clock", "-F", "997", "-g", "-p", &pid.to_string(), "-o"]).arg(&data);
        let perf = perf.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("perf: Debian's linux-perf");
        std::thread::sleep(Duration::from_millis(300));
        Recording { perf, data }
    }

    /// The work again and again for some seconds, then the list.
    fn through(mut self, mut work: impl FnMut()) {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(3) {
            work();
        }
        signal("INT", &[self.perf.id()]);
        let _ = self.perf.wait();
        let list = |more: &[&str]| {
            let mut report = Command::new("perf");
            report.args(["report", "--stdio", "-i"]).arg(&self.data).args(more).stderr(Stdio::null());
            run(&mut report)
        };
        let own = list(&["--no-children", "-g", "none", "--percent-limit", "0.5"]);
        let callers = list(&["--children", "-g", "none", "--percent-limit", "2"]);
        let path = self.data.with_extension("txt");
        std::fs::write(&path, format!("{own}\n# with what they call\n{callers}")).expect("write a list");
        println!("{}", path.display());
        let top = own.lines().filter(|l| l.contains('%')).take(12);
        top.for_each(|line| println!("{}", line.trim_end()));
    }
}
