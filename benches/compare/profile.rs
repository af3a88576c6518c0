//! Where the time goes: the functions of a session, or of the log's worker, while it does one thing over and over.

use crate::cases::Bench;
use crate::cluster::Cluster;
use crate::load::script;
use crate::process::{run, signal};
use crate::protocol::Conn;
use crate::world::Place;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What a session does, by name.
const STATEMENTS: [(&str, &str, &str); 10] = [
    ("scan", "masked", "SELECT count(name), count(email), count(phone), count(code) FROM masked.person"),
    ("mask-email", "masked", "SELECT count(email) FROM masked.person"),
    ("mask-pseudonym", "masked", "SELECT count(code) FROM masked.person"),
    ("subject", "tracked", "SELECT sum(amount) FROM tracked.person"),
    ("decrypt", "app", "SELECT count(airlock.decrypt(v)) FROM public.sealed"),
    ("insert", "app", "INSERT INTO public.filled SELECT g, lpad(g::text, 11, '0') FROM generate_series(1, 20000) g"),
    ("copy-out", "clear", "COPY (SELECT * FROM clear.person) TO STDOUT"),
    ("lookup-simple", "keyless", "SELECT name, email, amount FROM keyless.person WHERE id = 42"),
    ("verify", "postgres", "SELECT * FROM airlock.verify_log()"),
    ("who-saw", "postgres", "SELECT * FROM airlock.who_saw('public.person', '42')"),
];

/// What [`Recording::through`] found, as PROFILES.md has it.
static SECTIONS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Measures all, says where the lists are, and writes the short ones down.
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
    jobs(cluster, &directory, bench.rows / 5);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/PROFILES.md");
    std::fs::write(&path, format!("{HEAD}{}", SECTIONS.lock().expect("the sections").concat())).expect("write a file");
    println!("{}", path.display());
}

/// The beginning of PROFILES.md.
const HEAD: &str = "# Profiles\n\nWritten by `make profile`: where the processor's time goes, sampled 997 times a second, by object and by function, \
what is below one percent left out. [NOTES.md](NOTES.md) says what was made of it.\n";

/// COPY into an encrypted column, a job that seals every row anew, and one that encrypts a column while it is used.
fn jobs(cluster: &Cluster, directory: &Path, rows: u64) {
    let file = Place::Memory.directory().join("rows");
    let file = file.display();
    let rows = format!("SELECT g, lpad(g::text, 11, '0') FROM generate_series(1, {rows}) g");
    cluster.admin(&format!("COPY ({rows}) TO '{file}'"));
    let mut conn = cluster.connect("postgres");
    let recording = Recording::start(directory, "copy-in", conn.pid);
    recording.through(|| {
        conn.query(&format!("COPY public.filled FROM '{file}'")).ok();
    });
    let recording = Recording::start(directory, "reencrypt", conn.pid);
    recording.through(|| {
        // else there would be nothing to do
        cluster.admin("SELECT airlock.rotate_key('pii')");
        conn.query("CALL airlock.reencrypt('public.sealed')").ok();
    });
    let recording = Recording::start(directory, "encrypt-online", conn.pid);
    recording.through(|| {
        cluster.admin(&format!(
            "DROP TABLE IF EXISTS public.becoming; CREATE TABLE public.becoming (id bigint PRIMARY KEY, v text); INSERT INTO public.becoming {rows}"
        ));
        conn.query("CALL airlock.encrypt_column_online('public.becoming', 'v', key => 'pii')").ok();
    });
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
        let objects = list(&["--no-children", "-g", "none", "--percent-limit", "1", "--sort", "dso"]);
        let callers = list(&["--children", "-g", "none", "--percent-limit", "2"]);
        let path = self.data.with_extension("txt");
        std::fs::write(&path, format!("{own}\n# with what they call\n{callers}")).expect("write a list");
        println!("{}", path.display());
        let top: Vec<&str> = own.lines().filter(|l| l.contains('%')).take(12).collect();
        top.iter().for_each(|line| println!("{}", line.trim_end()));
        let name = path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        SECTIONS.lock().expect("the sections").push(section(&name, &objects, &top));
    }
}

/// One profile: the shares of the objects, and the functions with most of the time.
fn section(name: &str, objects: &str, top: &[&str]) -> String {
    let entries = |lines: &mut dyn Iterator<Item = &str>, skip: usize| -> Vec<(String, f64)> {
        lines
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                let share = words.next()?.strip_suffix('%')?.parse().ok()?;
                let rest: Vec<&str> = words.skip(skip).collect();
                Some((rest.join(" "), share))
            })
            .collect()
    };
    let objects = entries(&mut objects.lines(), 0);
    let objects: Vec<String> = objects.iter().map(|(name, share)| format!("{name} {share:.0} %")).collect();
    // command, object and the kind of symbol stand before the name; a number is a static function of a stripped server
    let functions = entries(&mut top.iter().copied(), 3);
    let functions: Vec<String> = functions
        .iter()
        .filter(|(name, share)| *share >= 1.0 && !name.starts_with("0x"))
        .map(|(name, share)| format!("`{name}` {share:.1} %"))
        .collect();
    format!("\n## {name}\n\n{}\n\n{}\n", objects.join(", "), functions.join(", "))
}
