//! Key bytes in memory: only in pages that are locked and left out of core dumps. Looked for in the memory of a live
//! session and in a core dump of it. The needles are the root key in every spelling and, unwrapped by `docs/format.md`,
//! the secrets of the catalog and the keys derived from them.

use crate::cluster::Cluster;
use crate::fixture;
use crate::process::{eventually, hex, signal};
use crate::protocol::Conn;
use data_encoding::{BASE64, HEXLOWER};
use hkdf::Hkdf;
use pg_airlock::pure::aead::{open, XaesKey};
use sha2::Sha256;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// What must not be found, by name.
pub type Needles = Vec<(String, Vec<u8>)>;

fn derived(secret: &[u8], label: &str) -> Vec<u8> {
    let mut out = [0; 32];
    Hkdf::<Sha256>::new(None, secret).expand(label.as_bytes(), &mut out).unwrap();
    out.to_vec()
}

pub fn needles(cluster: &Cluster, text: &str) -> Needles {
    let root: [u8; 32] = HEXLOWER.decode(text.trim().as_bytes()).unwrap().try_into().unwrap();
    let mut needles: Needles = vec![
        ("root key".into(), root.to_vec()),
        ("root key, hex".into(), hex(&root).into_bytes()),
        ("root key, base64".into(), BASE64.encode(&root).into_bytes()),
        ("catalog key".into(), derived(&root, "pg_airlock/catalog/1")),
    ];
    let rows = cluster.admin(
        "SELECT use, owner::text, version, root_generation, encode(wrapped, 'hex') FROM airlock_catalog.key_version ORDER BY version_id",
    );
    for row in rows.rows {
        let field = |i: usize| row[i].clone().unwrap();
        let owner = HEXLOWER.decode(field(1).replace('-', "").as_bytes()).unwrap();
        let number = |i: usize| field(i).parse::<u32>().unwrap().to_be_bytes();
        let mut aad = Vec::new();
        for item in [&b"pg_airlock/wrap/1"[..], field(0).as_bytes(), &owner, &number(2), &number(3)] {
            aad.extend_from_slice(&(item.len() as u32).to_be_bytes());
            aad.extend_from_slice(item);
        }
        let wrapped = HEXLOWER.decode(field(4).as_bytes()).unwrap();
        let mut secret = wrapped[25..].to_vec();
        open(&XaesKey::new(&root), &aad, wrapped[1..25].try_into().unwrap(), &mut secret).expect("unwrapped");
        for label in ["seal", "match", "log", "chain"] {
            needles.push((format!("{} {label} key", field(0)), derived(&secret, &format!("pg_airlock/{label}/1"))));
        }
        needles.push((format!("{} secret", field(0)), secret));
    }
    needles
}

/// A mapping of a process and its flags.
struct Mapping {
    range: (u64, u64),
    line: String,
    flags: Vec<String>,
}

impl Mapping {
    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|f| f == flag)
    }
}

fn mappings(pid: i32) -> Vec<Mapping> {
    let mut found: Vec<Mapping> = Vec::new();
    let smaps = fs::read_to_string(format!("/proc/{pid}/smaps")).expect("read smaps of the session");
    for line in smaps.lines() {
        let head = line.split(' ').next().and_then(|r| r.split_once('-'));
        let at = |text: &str| u64::from_str_radix(text, 16).ok();
        if let Some((Some(from), Some(to))) = head.map(|(from, to)| (at(from), at(to))) {
            found.push(Mapping { range: (from, to), line: line.to_string(), flags: Vec::new() });
        } else if let (Some(flags), Some(last)) = (line.strip_prefix("VmFlags:"), found.last_mut()) {
            last.flags = flags.split_whitespace().map(String::from).collect();
        }
    }
    found
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|b| *b == needle[0]) {
        if bytes[from + at..].starts_with(needle) {
            return true;
        }
        from += at + 1;
    }
    false
}

/// Which of the needles are there: one pass over what may be many megabytes, unoptimised.
pub fn held<'a>(bytes: &[u8], needles: &'a Needles) -> Vec<&'a str> {
    let mut starts = vec![false; 1 << 16];
    let start = |bytes: &[u8]| usize::from(bytes[0]) << 8 | usize::from(bytes[1]);
    needles.iter().for_each(|(_, needle)| starts[start(needle)] = true);
    let mut found = BTreeSet::new();
    for (at, pair) in bytes.windows(2).enumerate() {
        if starts[start(pair)] {
            found.extend(needles.iter().filter(|(_, n)| bytes[at..].starts_with(n)).map(|(name, _)| name.as_str()));
        }
    }
    found.into_iter().collect()
}

/// Which needles lie where in a session's memory.
fn found(pid: i32, needles: &Needles) -> Vec<(String, Mapping)> {
    let memory = File::open(format!("/proc/{pid}/mem")).expect("read the memory of the session");
    let mut found = Vec::new();
    for mapping in mappings(pid) {
        if !mapping.line.split(' ').nth(1).is_some_and(|rights| rights.starts_with('r')) {
            continue;
        }
        let mut bytes = vec![0; (mapping.range.1 - mapping.range.0) as usize];
        // some mappings of the kernel cannot be read
        if memory.read_exact_at(&mut bytes, mapping.range.0).is_err() {
            continue;
        }
        for name in held(&bytes, needles) {
            let Mapping { range, line, flags } = &mapping;
            found.push((name.to_string(), Mapping { range: *range, line: line.clone(), flags: flags.clone() }));
        }
    }
    found
}

/// The needles that are in a session's memory, wherever they are.
pub fn anywhere(pid: i32, needles: &Needles) -> BTreeSet<String> {
    found(pid, needles).into_iter().map(|(name, _)| name).collect()
}

/// The fixture with little memory to look through.
fn small() -> Cluster {
    let cluster = fixture::stopped();
    cluster.set("shared_buffers", "4MB");
    cluster
}

/// A session that has sealed, opened, compared, granted; its keys are open.
fn worked(cluster: &Cluster, name: &str) -> Conn {
    let mut app = cluster.connect_as("app", name);
    for sql in [
        "SELECT ssn::text, diary::text FROM public.customers",
        "INSERT INTO public.customers (id, consent, ssn, pay) SELECT max(id) + 1, true, '123', 5 FROM public.customers",
        "SELECT count(*) FROM public.customers WHERE ssn = '123'",
    ] {
        app.query(sql).ok();
    }
    app
}

/// Every key byte of the session is in pages that are locked and not dumped; some are there at all.
fn protected(cluster: &Cluster, text: &str, key: &str) {
    let mut admin = cluster.connect("postgres");
    admin.query(&format!("SELECT airlock.create_key('{key}')")).ok();
    admin.query(&format!("SELECT airlock.grant_decrypt('{key}', 'app')")).ok();
    let app = worked(cluster, "worker");
    let needles = &needles(cluster, text);
    for (who, pid) in [("app", app.pid), ("admin", admin.pid)] {
        let found = found(pid, needles);
        let outside: Vec<_> = found
            .iter()
            .filter(|(_, m)| !(m.has("dd") && m.has("lo")))
            .map(|(name, m)| format!("{name} in {} {:?}", m.line, m.flags))
            .collect();
        assert_eq!(outside, Vec::<String>::new(), "{who}");
        // the administrator's went when its change was committed
        if who == "app" {
            assert!(found.iter().any(|(name, m)| name == "root key" && m.has("wf")), "control: the root key is found");
            assert!(found.iter().any(|(name, m)| name == "seal seal key" && m.has("wf")), "control: sealing keys are");
        }
    }
}

#[test]
fn key_bytes_of_a_live_session_lie_in_locked_undumped_pages_only() {
    let mut cluster = small();
    let text = fs::read_to_string(cluster.dir.join("root.key")).unwrap();
    cluster.start();
    fixture::open(&cluster);
    protected(&cluster, &text, "fresh");
    // and with a key that all processes share
    let value = format!("command:cat {}", cluster.dir.join("root.key").display());
    cluster.set("airlock.root_key_source", &value);
    cluster.restart();
    fixture::open(&cluster);
    protected(&cluster, &text, "another");
    let app = worked(&cluster, "sharer");
    let needles = needles(&cluster, &text);
    let shared = found(app.pid, &needles).into_iter().find(|(name, _)| name == "root key, hex");
    let (_, shared) = shared.expect("control: the shared text is found");
    assert!(shared.has("sh") && shared.has("dd") && shared.has("lo") && !shared.has("wf"), "{:?}", shared.flags);
}

/// A locked server's shared page holds no key, whoever asks after its source.
#[test]
fn nothing_brings_the_shared_key_back_while_it_is_locked() {
    let mut cluster = small();
    let text = fs::read_to_string(cluster.dir.join("root.key")).unwrap();
    // a service that says when it is asked, and takes its time where somebody wants it to
    let [asked, wait, done] = ["asked", "wait", "done"].map(|name| cluster.data().join(name));
    let command = format!(
        "command:touch {}; while test -e {}; do sleep 0.1; done; cat {}; touch {}",
        asked.display(),
        wait.display(),
        cluster.dir.join("root.key").display(),
        done.display()
    );
    cluster.set("airlock.root_key_source", &command);
    cluster.start();
    fixture::open(&cluster);
    let app = worked(&cluster, "sharer");
    let needles = needles(&cluster, &text);
    let shared = || found(app.pid, &needles).iter().any(|(name, _)| name == "root key, hex");
    assert!(shared(), "control: the shared text is found");
    cluster.admin("SELECT airlock.lock()");
    assert!(!shared());
    cluster.admin("SELECT count(*) FROM airlock.doctor()");
    assert!(!shared(), "doctor() asks the source");
    // under way while somebody locks
    fs::write(&wait, "").unwrap();
    for file in [&asked, &done] {
        fs::remove_file(file).unwrap();
    }
    cluster.admin("SELECT airlock.unlock()");
    let mut asks = cluster.connect("app");
    asks.begin("SELECT airlock.decrypt(ssn) FROM public.customers LIMIT 1");
    eventually("the source is asked", || asked.exists().then_some(()));
    cluster.admin("SELECT airlock.lock()");
    fs::remove_file(&wait).unwrap();
    let answer = asks.finish();
    assert_eq!((answer.code(), answer.received), ("AL001", 0), "{answer:?}");
    eventually("the source has answered", || done.exists().then_some(()));
    for _ in 0..10 {
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert!(!shared(), "a command that was under way");
    }
}

#[test]
fn control_a_secret_in_ordinary_memory_is_found_outside() {
    let mut cluster = small();
    cluster.start();
    let app = worked(&cluster, "ORDINARY.SECRET");
    let needles = vec![("name".to_string(), b"ORDINARY.SECRET".to_vec())];
    assert!(found(app.pid, &needles).iter().any(|(_, m)| !m.has("dd")));
}

/// The core dump of a process that is told to abort, as its server's limits and the kernel's pattern allow.
fn core(cluster: &Cluster, pid: i32) -> PathBuf {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    if pattern.starts_with('|') || pattern.contains('/') {
        let prefix = cluster.dir.join("core");
        let made = std::process::Command::new("gcore").arg("-o").arg(&prefix).arg(pid.to_string()).output();
        let made =
            made.unwrap_or_else(|e| panic!("core_pattern is {pattern}, so install gdb for this test: gcore: {e}"));
        assert!(made.status.success(), "{made:?}");
        return cluster.dir.join(format!("core.{pid}"));
    }
    signal("ABRT", &[pid as u32]);
    eventually("the core dump is written", || {
        let done = cluster.log().contains("was terminated by signal 6");
        let files = fs::read_dir(cluster.data()).ok()?.flatten().map(|e| e.path());
        let mut cores = files.filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("core")));
        cores.next().filter(|_| done)
    })
}

#[test]
fn no_key_byte_is_in_a_core_dump() {
    let mut cluster = small();
    let text = fs::read_to_string(cluster.dir.join("root.key")).unwrap();
    // the shared page as well
    cluster.set("airlock.root_key_source", &format!("command:cat {}", cluster.dir.join("root.key").display()));
    cluster.limits = "ulimit -c unlimited".into();
    cluster.start();
    fixture::open(&cluster);
    let doctor = cluster.admin("SELECT severity FROM airlock.doctor() WHERE object = 'RLIMIT_CORE'").value();
    assert_eq!(doctor, "info");
    let needles = needles(&cluster, &text);
    let app = worked(&cluster, "CORE.CONTROL");
    assert!(!found(app.pid, &needles).is_empty(), "control: its memory holds keys");
    let bytes = fs::read(core(&cluster, app.pid)).unwrap();
    assert!(holds(&bytes, b"CORE.CONTROL"), "control: the dump holds the session's memory");
    assert_eq!(held(&bytes, &needles), Vec::<&str>::new());
}

#[test]
fn no_key_byte_is_in_the_log_or_in_what_sessions_show() {
    let mut cluster = small();
    let text = fs::read_to_string(cluster.dir.join("root.key")).unwrap();
    cluster.set("log_min_messages", "debug2");
    cluster.set("airlock.root_key_source", &format!("command:cat {}", cluster.dir.join("root.key").display()));
    cluster.start();
    fixture::open(&cluster);
    let needles = needles(&cluster, &text);
    worked(&cluster, "talker");
    let mut admin = cluster.connect("postgres");
    let shown =
        ["SELECT * FROM pg_stat_activity", "SHOW ALL", "SELECT * FROM pg_settings", "SELECT * FROM airlock.doctor()"]
            .map(|sql| admin.query(sql).ok().everything());
    let log = fs::read(cluster.dir.join("log")).unwrap();
    for (name, needle) in &needles {
        assert!(!holds(&log, needle), "{name} in the log");
        assert!(!shown.iter().any(|s| holds(s.as_bytes(), needle)), "{name} in what a session shows");
    }
    // the text form of raw bytes as well
    let spelled = |needle: &[u8]| [hex(needle), BASE64.encode(needle)];
    for (name, needle) in needles.iter().filter(|(_, n)| n.len() == 32) {
        for text in spelled(needle) {
            assert!(!holds(&log, text.as_bytes()) && !shown.iter().any(|s| s.contains(&text)), "{name}");
        }
    }
}

#[test]
fn memory_that_cannot_be_locked_is_named_and_keys_work() {
    let mut cluster = fixture::stopped();
    cluster.limits = "ulimit -l 0".into();
    cluster.start();
    fixture::open(&cluster);
    let app = worked(&cluster, "unlocked");
    assert!(!mappings(app.pid).iter().any(|m| m.has("wf") && m.has("lo")), "control: nothing is locked");
    let answer = cluster.admin("SELECT severity, message, fix FROM airlock.doctor() WHERE object = 'RLIMIT_MEMLOCK'");
    let row: BTreeMap<&str, String> =
        answer.columns.iter().map(String::as_str).zip(answer.rows[0].iter().map(|v| v.clone().unwrap())).collect();
    assert_eq!(row["severity"], "warning");
    assert!(row["message"].contains("0 kB") && row["fix"].contains("LimitMEMLOCK="), "{row:?}");
    cluster.limits = String::new();
    cluster.restart();
    let answer = cluster.admin("SELECT 1 FROM airlock.doctor() WHERE object = 'RLIMIT_MEMLOCK'");
    assert_eq!(answer.rows.len(), 0, "with the usual limit there is nothing to say");
}
