//! Private clusters: each in a directory of its own under `/var/tmp`, with its own socket and log, started and stopped
//! by process id. Nothing here ends a process by name.

use crate::process::{eventually, hex, kill_family, run, signal};
use crate::protocol::{Answer, Conn, Fields, Start, Target};
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{chown, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::OnceLock;

/// The database that holds the extension.
pub const DATABASE: &str = "app";

/// A PostgreSQL installation with the extension in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postgres(pub PathBuf);

impl Postgres {
    /// The one under test: `AIRLOCK_PG_BIN`, or the private copy that `make` prepared.
    pub fn main() -> Postgres {
        Self::named("AIRLOCK_PG_BIN", "main")
    }

    /// The same with a library that does not flush read records: the control of the crash test.
    pub fn no_flush() -> Postgres {
        Self::named("AIRLOCK_PG_BIN_NO_FLUSH", "no_flush")
    }

    /// The newest major supported: where the tests of moving from one major to another arrive.
    pub fn newest() -> Postgres {
        Self::named("AIRLOCK_PG_BIN_NEWEST", "newest")
    }

    fn named(variable: &str, name: &str) -> Postgres {
        let pointer = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/server").join(name);
        let bin = std::env::var(variable).or_else(|_| fs::read_to_string(&pointer)).unwrap_or_else(|_| {
            panic!(
                "set {variable} to the bin directory of a PostgreSQL with the extension, or run `make server-install`"
            )
        });
        Postgres(PathBuf::from(bin.trim()))
    }

    /// One of its programs, run as the server's user in a clean environment.
    pub fn tool(&self, name: &str) -> Command {
        self.dressed(Command::new(self.0.join(name)))
    }

    fn dressed(&self, command: Command) -> Command {
        let mut command = as_server(command);
        command.current_dir(base());
        // a relocated installation would load the system's libpq, which may be older than its programs
        let lib = self.0.parent().expect("a bin directory").join("lib");
        if lib.join("libpq.so.5").exists() {
            command.env("LD_LIBRARY_PATH", lib);
        }
        command
    }
}

/// Who runs the servers: the user `postgres` when we are root, else ourselves.
pub fn server_user() -> Option<(u32, u32)> {
    let root = fs::metadata("/proc/self").expect("/proc/self").uid() == 0;
    root.then(|| {
        let users = fs::read_to_string("/etc/passwd").expect("/etc/passwd");
        let line = users.lines().find(|l| l.starts_with("postgres:")).expect("a user postgres");
        let field = |i| line.split(':').nth(i).and_then(|f| f.parse().ok()).expect("uid and gid in /etc/passwd");
        (field(2), field(3))
    })
}

fn as_server(mut command: Command) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).env("LC_ALL", "C").env("TZ", "UTC");
    if let Some((user, group)) = server_user() {
        command.uid(user).gid(group);
    }
    command
}

/// Gives a path to the server's user.
pub fn give(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
    if let Some((user, group)) = server_user() {
        chown(path, Some(user), Some(group)).expect("chown");
    }
}

/// This run's directory.
pub fn base() -> &'static Path {
    static BASE: OnceLock<PathBuf> = OnceLock::new();
    BASE.get_or_init(|| {
        let parent = std::env::var("AIRLOCK_TEST_DIR").unwrap_or_else(|_| "/var/tmp".into());
        run_directory(Path::new(&parent))
    })
}

/// A directory of this run's below `parent`; what runs before it left, and whose process is gone, is swept away.
pub fn run_directory(parent: &Path) -> PathBuf {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let owner = entry.file_name().to_string_lossy().strip_prefix("airlock-t").and_then(|p| p.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            sweep(&entry.path());
        }
    }
    let base = parent.join(format!("airlock-t{}", std::process::id()));
    fs::create_dir_all(&base).expect("create the run's directory");
    give(&base, 0o755);
    base
}

/// Ends the servers that still run in an abandoned directory (their working directory says so), and removes it.
fn sweep(abandoned: &Path) {
    for cluster in fs::read_dir(abandoned).into_iter().flatten().flatten() {
        let data = cluster.path().join("data");
        let Ok(lines) = fs::read_to_string(data.join("postmaster.pid")) else { continue };
        let Some(pid) = lines.lines().next().and_then(|l| l.parse::<u32>().ok()) else { continue };
        if fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == data) {
            kill_family(pid);
        }
    }
    let _ = fs::remove_dir_all(abandoned);
}

/// A cluster. Dropped, it is stopped and removed (kept with `AIRLOCK_KEEP=1`).
pub struct Cluster {
    /// The installation it runs on.
    pub postgres: Postgres,
    /// Its directory: `data`, `log`, `root.key`, socket.
    pub dir: PathBuf,
    /// TCP port; also in the socket's name.
    pub port: u16,
    /// Added to the server's environment when it starts.
    pub environment: Vec<(String, String)>,
    /// Shell commands before it starts, such as `ulimit -l 0`.
    pub limits: String,
    child: Option<Child>,
}

impl Cluster {
    fn place(postgres: Postgres, base: &Path) -> Cluster {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let dir = base.join(COUNT.fetch_add(1, Ordering::SeqCst).to_string());
        fs::create_dir(&dir).expect("create a cluster's directory");
        give(&dir, 0o755);
        // a port that is free now; most clusters listen on their socket only
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr()).expect("a free port").port();
        Cluster { postgres, dir, port, environment: Vec::new(), limits: String::new(), child: None }
    }

    /// A new cluster from initdb with a root key beside it, not started.
    pub fn initdb(postgres: Postgres) -> Cluster {
        Self::initdb_with(postgres, &[])
    }

    /// The same with options of initdb.
    pub fn initdb_with(postgres: Postgres, options: &[&str]) -> Cluster {
        Self::initdb_at(base(), postgres, options)
    }

    /// The same in another of the run's directories.
    pub fn initdb_at(base: &Path, postgres: Postgres, options: &[&str]) -> Cluster {
        let cluster = Self::place(postgres, base);
        let mut initdb = cluster.postgres.tool("initdb");
        initdb.args(["-D"]).arg(cluster.data()).args(["-U", "postgres", "-A", "trust", "-E", "UTF8"]).args(options);
        run(initdb.args(["--locale=C", "--no-sync", "--no-instructions"]));
        let mut random = [0_u8; 32];
        std::io::Read::read_exact(&mut File::open("/dev/urandom").expect("urandom"), &mut random)
            .expect("random bytes");
        cluster.write_key(&hex(&random));
        // `make test` is about order, not about the disk: kill -9 leaves what was written, synced or not
        cluster.set("fsync", "off");
        cluster.set("max_connections", "50");
        cluster.set("log_line_prefix", "%m [%p] %u@%d ");
        cluster.own_settings();
        cluster
    }

    /// A copy of this stopped cluster, on the given installation.
    pub fn copy(&self, postgres: Postgres) -> Cluster {
        assert!(self.child.is_none(), "only a stopped cluster can be copied");
        let copy = Self::place(postgres, base());
        for part in ["data", "root.key"] {
            run(as_server(Command::new("cp"))
                .arg("-a")
                .arg("--reflink=auto")
                .arg(self.dir.join(part))
                .arg(copy.dir.join(part)));
        }
        copy.own_settings();
        copy
    }

    /// A base backup of this running cluster, set up as its standby.
    pub fn standby(&self) -> Cluster {
        let standby = Self::place(self.postgres.clone(), base());
        let mut backup = self.client("pg_basebackup", "postgres");
        run(backup.args(["-R", "-X", "stream", "-c", "fast", "-D"]).arg(standby.data()));
        run(as_server(Command::new("cp")).arg("-a").arg(self.dir.join("root.key")).arg(standby.dir.join("root.key")));
        standby.own_settings();
        standby
    }

    fn own_settings(&self) {
        self.set("listen_addresses", "");
        self.set("port", &self.port.to_string());
        self.set("unix_socket_directories", &self.dir.display().to_string());
        self.set("airlock.root_key_source", &format!("file:{}", self.dir.join("root.key").display()));
    }

    /// The library and its database in the settings.
    pub fn preload(&self) {
        self.set("shared_preload_libraries", "pg_airlock");
        self.set("airlock.database", DATABASE);
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Replaces the root key.
    pub fn write_key(&self, text: &str) {
        let path = self.dir.join("root.key");
        let _ = fs::remove_file(&path);
        fs::write(&path, text).expect("write the root key");
        give(&path, 0o400);
    }

    /// Adds a line to postgresql.conf, the value in quotes; the last line of a name holds.
    pub fn set(&self, name: &str, value: &str) {
        let conf = File::options().append(true).open(self.data().join("postgresql.conf"));
        let value = value.replace('\'', "''");
        writeln!(conf.expect("open postgresql.conf"), "{name} = '{value}'").expect("write postgresql.conf");
    }

    /// Starts it and waits until it takes connections.
    #[track_caller]
    pub fn start(&mut self) {
        if let Err(end) = self.try_start() {
            panic!("the server did not start ({end}):\n{}", self.log());
        }
    }

    /// Starts it; what it said when it ended instead.
    pub fn try_start(&mut self) -> Result<(), String> {
        let log = File::options().create(true).append(true).open(self.dir.join("log")).expect("open the log");
        let mut postmaster = match self.limits.as_str() {
            "" => self.postgres.tool("postgres"),
            limits => {
                let mut shell = Command::new("/bin/sh");
                shell.arg("-c").arg(format!("{limits}; exec \"$0\" \"$@\"")).arg(self.postgres.0.join("postgres"));
                self.postgres.dressed(shell)
            }
        };
        postmaster.envs(self.environment.iter().map(|(name, value)| (name, value)));
        postmaster.arg("-D").arg(self.data()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(postmaster.spawn().expect("start postgres"));
        let mut ended = None;
        eventually("the server takes connections", || {
            let status = self.child.as_mut().and_then(|c| c.try_wait().ok().flatten());
            ended = status.map(|s| s.to_string());
            (ended.is_some() || self.login("postgres", "postgres", &[]).is_ok()).then_some(())
        });
        match ended {
            Some(end) => {
                self.child = None;
                Err(end)
            }
            None => Ok(()),
        }
    }

    fn end(&mut self, name: &str) {
        if let Some(mut child) = self.child.take() {
            signal(name, &[child.id()]);
            child.wait().expect("wait for the postmaster");
        }
    }

    /// Fast shutdown.
    pub fn stop(&mut self) {
        self.end("INT");
    }

    /// Immediate shutdown, as after a power cut with an honest disk.
    pub fn stop_immediately(&mut self) {
        self.end("QUIT");
    }

    /// `kill -9` of the postmaster and all its children.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            kill_family(child.id());
            child.wait().expect("wait for the postmaster");
        }
    }

    /// Stops and starts again.
    #[track_caller]
    pub fn restart(&mut self) {
        self.stop();
        self.start();
    }

    /// Where its socket is.
    pub fn socket(&self) -> Target {
        Target::Unix(self.dir.join(format!(".s.PGSQL.{}", self.port)))
    }

    /// Its TCP address.
    pub fn tcp(&self) -> Target {
        Target::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))
    }

    /// A session with start-up parameters.
    pub fn login(&self, user: &str, database: &str, parameters: &[(&str, &str)]) -> Result<Conn, Fields> {
        Conn::open(&self.socket(), &Start { user, database, parameters: parameters.to_vec() })
    }

    /// A session in the extension's database.
    #[track_caller]
    pub fn connect(&self, user: &str) -> Conn {
        self.login(user, DATABASE, &[]).unwrap_or_else(|e| panic!("{user} cannot connect: {e:?}"))
    }

    /// A session that calls itself so; the name is in every record of its reads.
    #[track_caller]
    pub fn connect_as(&self, user: &str, name: &str) -> Conn {
        self.login(user, DATABASE, &[("application_name", name)])
            .unwrap_or_else(|e| panic!("{user} cannot connect: {e:?}"))
    }

    /// Simple query in a session of its own.
    #[track_caller]
    pub fn sql(&self, user: &str, sql: &str) -> Answer {
        self.connect(user).query(sql)
    }

    /// The same as the superuser; must succeed.
    #[track_caller]
    pub fn admin(&self, sql: &str) -> Answer {
        self.sql("postgres", sql).ok()
    }

    /// The error that a statement of the superuser ends with.
    #[track_caller]
    pub fn admin_error(&self, sql: &str) -> Fields {
        self.sql("postgres", sql).error.unwrap_or_else(|| panic!("no error: {sql}"))
    }

    /// A client program that connects to this cluster as `user`.
    pub fn client(&self, program: &str, user: &str) -> Command {
        let mut command = self.postgres.tool(program);
        command.env("PGHOST", &self.dir).env("PGPORT", self.port.to_string()).env("PGUSER", user);
        command
    }

    /// What the server wrote to its log.
    pub fn log(&self) -> String {
        fs::read(self.dir.join("log")).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("last lines of the server's log:");
            tail.iter().rev().for_each(|line| eprintln!("| {line}"));
        }
        self.stop_immediately();
        if std::env::var_os("AIRLOCK_KEEP").is_none() {
            let _ = fs::remove_dir_all(&self.dir);
        } else {
            eprintln!("kept: {}", self.dir.display());
        }
    }
}
