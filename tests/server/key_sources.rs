//! The sources of the root key on a running server: each opens the database, each failure is AL001 with its reason and
//! what to type while everything without a key goes on, and what is repaired opens without a restart. Commands: how
//! often they run, how long, with what, and what becomes of them when nobody waits any more.

use crate::cluster::{give, server_user, Cluster};
use crate::fixture::{self, VISIBLE};
use crate::process::{eventually, process, run, signal};
use crate::protocol::{Answer, Fields};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

/// Microseconds between two runs of a failing command, less what its own clock may be off.
const INTERVAL: i64 = 9_950_000;

fn opened(cluster: &Cluster) -> Answer {
    cluster.sql("app", "SELECT ssn::text FROM public.customers WHERE id = 1")
}

/// Changes the setting; back when new sessions have it.
fn source(cluster: &Cluster, value: &str) {
    cluster.set("airlock.root_key_source", value);
    reload(cluster, "airlock.root_key_source", value);
}

fn reload(cluster: &Cluster, name: &str, value: &str) {
    cluster.admin("SELECT pg_reload_conf()");
    eventually("the setting is in force", || (cluster.admin(&format!("SHOW {name}")).value() == value).then_some(()));
}

/// A shell script of the server's user.
fn script(cluster: &Cluster, name: &str, body: &str) -> PathBuf {
    let path = cluster.dir.join(name);
    // never written in place: a shell that runs it reads on
    let new = cluster.dir.join(format!("{name}.new"));
    fs::write(&new, format!("#!/bin/sh\n{body}\n")).unwrap();
    give(&new, 0o700);
    fs::rename(&new, &path).unwrap();
    path
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// A directory of the server's user, for what scripts write.
fn notes(cluster: &Cluster) -> PathBuf {
    let notes = cluster.dir.join("notes");
    fs::create_dir_all(&notes).unwrap();
    give(&notes, 0o700);
    notes
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(String::from).collect()
}

/// Everything that needs no key goes on.
fn the_rest_works(cluster: &Cluster) {
    assert_eq!(cluster.sql("clerk", "SELECT count(*) FROM public.customers").value(), "100");
    let sealed = cluster.sql("clerk", "SELECT ssn FROM public.customers WHERE id = 1").value();
    assert!(sealed.starts_with("airlock:1:"), "ciphertext can be read: {sealed}");
    assert!(run(cluster.client("pg_dump", "postgres").arg("app")).contains(&sealed), "and dumped");
}

#[test]
fn each_source_opens_the_database() {
    let mut cluster = fixture::stopped();
    let key = fs::read_to_string(cluster.dir.join("root.key")).unwrap();
    let credentials = cluster.dir.join("credentials");
    fs::create_dir(&credentials).unwrap();
    fs::write(credentials.join("airlock"), format!("{key}\n")).unwrap();
    // as systemd leaves it where it uses an access list: root's, with the list's mask in the group's place
    fs::set_permissions(credentials.join("airlock"), fs::Permissions::from_mode(0o440)).unwrap();
    give(&credentials, 0o500);
    if let Some((_, group)) = server_user() {
        std::os::unix::fs::chown(credentials.join("airlock"), Some(0), Some(group)).unwrap();
    }
    cluster.environment =
        vec![("CREDENTIALS_DIRECTORY".into(), shown(&credentials)), ("AIRLOCK_KEY".into(), format!(" {key} "))];
    cluster.start();
    fixture::open(&cluster);
    let dir = shown(&cluster.dir);
    run(Command::new("sh").arg("-c").arg(format!(
        "cd {dir} && printf %s \"$(cat root.key)\" | sed 's/../\\\\x&/g' | xargs -0 printf > root.raw && base64 -w0 root.raw > root.base64"
    )));
    for file in ["root.raw", "root.base64"] {
        give(&cluster.dir.join(file), 0o400);
    }
    assert_eq!(fs::read(cluster.dir.join("root.raw")).unwrap().len(), 32);
    let first = opened(&cluster).value();
    for value in [
        format!("file:{dir}/root.raw"),
        "credential:airlock".to_string(),
        "env:AIRLOCK_KEY".to_string(),
        format!("command:cat {dir}/root.key"),
        format!("command:cat {dir}/root.raw"),
        format!("command:echo noise >&2; cat {dir}/root.base64; echo"),
        format!("unwrap:{dir}/root.base64 base64 -d"),
    ] {
        source(&cluster, &value);
        assert_eq!(opened(&cluster).value(), first, "{value}");
        assert_eq!(cluster.sql("acme", "SELECT ssn FROM acme.customers").ok().received, VISIBLE, "{value}");
        let doctor = cluster.admin("SELECT severity, message FROM airlock.doctor() WHERE \"check\" = 'root key'");
        let warned = doctor.rows.iter().any(|r| r[0].as_deref() == Some("warning"));
        assert_eq!(
            (warned, doctor.rows.len()),
            match value.starts_with("env:") {
                true => (true, 1),
                false => (false, 0),
            },
            "{value}: {doctor:?}"
        );
    }
}

/// The blocks of docs/operations.md about a key service, with its directory put in place of ours: the commands are run,
/// the setting is used.
#[test]
fn the_key_service_of_the_operations_page_unwraps_the_root_key() {
    let page = include_str!("../../docs/operations.md");
    let section = page.split("### A key service").nth(1).expect("the section").split("\n## ").next().unwrap();
    let block = |kind: &str| section.split(&format!("```{kind}\n")).nth(1).and_then(|b| b.split("```").next()).unwrap();
    let cluster = fixture::running();
    let dir = shown(&cluster.dir);
    let here = |text: &str| text.replace("/etc/pg_airlock", &dir);
    run(Command::new("sh").arg("-ec").arg(here(block("sh"))));
    for file in ["service.key", "root.wrapped"] {
        give(&cluster.dir.join(file), 0o400);
    }
    let setting = here(block("ini"));
    let value = setting.trim().strip_prefix("airlock.root_key_source = '").and_then(|v| v.strip_suffix('\'')).unwrap();
    let before = opened(&cluster).value();
    // the root key itself lies nowhere any more
    let key = fs::read_to_string(cluster.dir.join("root.key")).unwrap();
    fs::remove_file(cluster.dir.join("root.key")).unwrap();
    source(&cluster, value);
    assert_eq!(opened(&cluster).value(), before);
    assert!(!fs::read(cluster.dir.join("root.wrapped")).unwrap().windows(32).any(|w| w == &key.as_bytes()[..32]));
    // without its key the service unwraps nothing
    fs::remove_file(cluster.dir.join("service.key")).unwrap();
    cluster
        .admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pg_airlock materialiser'");
    source(&cluster, &format!("{value} "));
    assert_eq!(opened(&cluster).code(), "AL001");
    assert!(!cluster.log().contains(key.trim()));
}

#[test]
fn each_failure_says_why_and_what_to_type_and_is_repaired_without_a_restart() {
    let mut cluster = fixture::stopped();
    let dir = shown(&cluster.dir);
    cluster.environment = vec![("AIRLOCK_BAD".into(), "GARBAGE.SECRET".into())];
    cluster.set("airlock.root_key_timeout", "2");
    cluster.start();
    fixture::open(&cluster);
    let key = fs::read_to_string(cluster.dir.join("root.key")).unwrap();
    for (name, text, mode) in
        [("open.key", &*key, 0o440), ("bad.key", "GARBAGE.SECRET", 0o400), ("shared.blob", &*key, 0o622)]
    {
        fs::write(cluster.dir.join(name), text).unwrap();
        give(&cluster.dir.join(name), mode);
    }
    let left = notes(&cluster).join("left");
    let slow = script(&cluster, "slow", &format!("sleep 1000 & echo $! > {}; wait", shown(&left)));
    let right = format!("file:{dir}/root.key");
    let setting = "airlock.root_key_source";
    for (value, says, hint) in [
        ("".into(), "is empty", setting),
        ("pipe:x".into(), "unknown kind", setting),
        (format!("file:{dir}/none"), "cannot be read", setting),
        (format!("file:{dir}"), "not a regular file", setting),
        (format!("file:{dir}/open.key"), "0440", "chmod 0400"),
        (format!("file:{dir}/bad.key"), "32 bytes", setting),
        ("credential:airlock".into(), "CREDENTIALS_DIRECTORY", "LoadCredential=airlock:"),
        ("env:AIRLOCK_NONE".into(), "AIRLOCK_NONE is not set", setting),
        ("env:AIRLOCK_BAD".into(), "32 bytes", setting),
        ("command:echo STDERR.SECRET >&2; exit 3".into(), "exit status 3", setting),
        ("command:no-such-program-anywhere".into(), "was not found", setting),
        ("command:kill -9 $$".into(), "signal 9", setting),
        ("command:echo GARBAGE.SECRET".into(), "32 bytes", setting),
        ("command:exec yes GARBAGE.SECRET".into(), "more than 1024 bytes", setting),
        (format!("command:{}", shown(&slow)), "not ended after 2 seconds", "airlock.root_key_timeout"),
        (format!("command:echo {}", "ab".repeat(32)), "not the root key of generation 1", setting),
        (format!("unwrap:{dir}/none cat"), "cannot be read", setting),
        (format!("unwrap:{dir}/shared.blob cat"), "0622", "chmod 0400"),
        (format!("unwrap:{dir}/bad.key exit 1"), "exit status 1", setting),
    ] {
        source(&cluster, &value);
        let answer = opened(&cluster);
        let error = answer.error.clone().unwrap_or_default();
        let text = format!("{}; {}", error.get('M'), error.get('D'));
        assert!(error.code() == "AL001" && text.contains(says), "{value}: {error:?}");
        assert!(error.get('H').contains(hint), "{value}: {error:?}");
        assert!(!answer.everything().contains("SECRET"), "{value}: {answer:?}");
        let doctor = cluster.admin(
            "SELECT message, fix FROM airlock.doctor() WHERE severity = 'error' AND object = 'airlock.root_key_source'",
        );
        assert!(doctor.rows[0][0].as_ref().unwrap().contains(says), "{value}: {doctor:?}");
        assert!(doctor.rows[0][1].as_ref().unwrap().contains(hint), "{value}: {doctor:?}");
        assert_eq!(cluster.sql("acme", "SELECT ssn FROM acme.customers").code(), "AL001", "{value}");
        assert_eq!(cluster.sql("clerk", "SELECT count(*) FROM public.customers").value(), "100", "{value}");
    }
    the_rest_works(&cluster);
    let sleeper = fs::read_to_string(&left).unwrap().trim().parse().unwrap();
    eventually("what the slow command started is gone, as it is", || {
        process(sleeper).is_none_or(|(state, _)| state == 'Z').then_some(())
    });
    source(&cluster, &right);
    opened(&cluster).ok();
    fixture::open(&cluster);
    // what the commands printed is nowhere
    let log = cluster.log();
    assert!(!log.contains("STDERR.SECRET\n") && !log.contains(key.trim()));
    let printed = log.lines().filter(|l| l.contains("SECRET") && !l.contains("parameter \"airlock.root_key_source\""));
    assert_eq!(printed.collect::<Vec<_>>(), Vec::<&str>::new());
}

/// The lines that a script wrote with the time of its start, in microseconds.
fn times(path: &Path) -> Vec<i64> {
    lines(path).iter().filter_map(|l| l.parse::<i64>().ok()).map(|nanoseconds| nanoseconds / 1000).collect()
}

/// Many sessions at once, each with some statements that need the key; what their errors say.
fn storm(cluster: &Cluster) -> Vec<Fields> {
    thread::scope(|scope| {
        let sessions: Vec<_> = (0..20)
            .map(|_| {
                scope.spawn(|| {
                    let mut app = cluster.connect("app");
                    (0..5)
                        .filter_map(|_| app.query("SELECT ssn::text FROM public.customers WHERE id = 1").error)
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        sessions.into_iter().flat_map(|s| s.join().unwrap()).collect()
    })
}

#[test]
fn a_failing_command_runs_at_most_once_in_ten_seconds_however_many_ask() {
    let mut cluster = fixture::stopped();
    let calls = notes(&cluster).join("calls");
    let count = format!("date +%s%N >> {}", shown(&calls));
    let command = script(&cluster, "key", &format!("{count}; exit 5"));
    cluster.set("airlock.root_key_source", &format!("command:{}", shown(&command)));
    cluster.start();
    let errors = storm(&cluster);
    assert_eq!(errors.len(), 100, "nothing opens");
    assert!(errors.iter().all(|e| e.code() == "AL001" && e.get('D').contains("exit status 5")), "{errors:?}");
    assert!(errors.iter().any(|e| e.get('D').contains("seconds from now")), "{errors:?}");
    let several = || (times(&calls).len() >= 3).then_some(());
    eventually("the command is tried again", || {
        storm(&cluster);
        several()
    });
    let times = times(&calls);
    assert!(times.windows(2).all(|w| w[1] - w[0] >= INTERVAL), "{times:?}");
    the_rest_works(&cluster);
    // repaired: no restart, no reload
    script(&cluster, "key", &format!("{count}; cat {}", shown(&cluster.dir.join("root.key"))));
    eventually("the database opens", || opened(&cluster).error.is_none().then_some(()));
    fixture::open(&cluster);
}

#[test]
fn a_good_command_runs_once_for_all_sessions() {
    let mut cluster = fixture::stopped();
    let calls = notes(&cluster).join("calls");
    let good = format!("echo >> {}; sleep 0.5; cat {}", shown(&calls), shown(&cluster.dir.join("root.key")));
    let command = script(&cluster, "key", &good);
    cluster.set("airlock.root_key_source", &format!("command:{}", shown(&command)));
    cluster.start();
    assert_eq!(storm(&cluster), []);
    fixture::open(&cluster);
    // keys that change do not ask again either
    cluster.admin("SELECT airlock.create_key('another')");
    assert_eq!(storm(&cluster), []);
    assert_eq!(lines(&calls).len(), 1, "the first session asked, for all");
    cluster.restart();
    assert_eq!(storm(&cluster), []);
    assert_eq!(lines(&calls).len(), 2);
    // and the doctor finds out what comes at the next restart
    script(&cluster, "key", "exit 1");
    let found = eventually("the doctor asks", || {
        let answer =
            cluster.admin("SELECT message FROM airlock.doctor() WHERE severity = 'error' AND \"check\" = 'root key'");
        answer.rows.first().and_then(|r| r[0].clone())
    });
    assert!(found.contains("sessions go on with the key in memory"), "{found}");
    assert_eq!(storm(&cluster), []);
    // a session that died hard takes the shared memory along, not the key
    let victim = cluster.connect("app");
    signal("KILL", &[victim.pid as u32]);
    eventually("the server is back", || {
        cluster.log().contains("reinitializing").then(|| cluster.login("app", "app", &[]).ok()).flatten()
    });
    assert_eq!(storm(&cluster), []);
}

#[test]
fn another_key_from_the_command_is_refused_and_asked_for_again() {
    let mut cluster = fixture::stopped();
    let served = cluster.dir.join("served");
    fs::write(&served, "cd".repeat(32)).unwrap();
    give(&served, 0o400);
    cluster.set("airlock.root_key_source", &format!("command:cat {}", shown(&served)));
    cluster.start();
    for _ in 0..3 {
        let error = opened(&cluster).error.unwrap();
        assert!(error.code() == "AL001" && error.get('M').contains("not the root key of generation 1"), "{error:?}");
    }
    fs::remove_file(&served).unwrap();
    fs::copy(cluster.dir.join("root.key"), &served).unwrap();
    give(&served, 0o400);
    eventually("the right key is found", || opened(&cluster).error.is_none().then_some(()));
}

#[test]
fn a_waiting_query_can_be_cancelled_and_a_session_ended_and_the_command_ends_with_them() {
    let mut cluster = fixture::stopped();
    let pids = notes(&cluster).join("pids");
    let command =
        script(&cluster, "key", &format!("sleep 1000 & echo $$ $! > {}.new; mv {0}.new {0}; wait", shown(&pids)));
    cluster.set("airlock.root_key_source", &format!("command:{}", shown(&command)));
    cluster.set("airlock.root_key_timeout", "300");
    // no log worker in this database: it would be the one that asks
    cluster.set("airlock.database", "postgres");
    cluster.start();
    let started = || {
        let pids = eventually("the command runs", || lines(&pids).first().cloned());
        pids.split(' ').map(|p| p.parse::<u32>().unwrap()).collect::<Vec<_>>()
    };
    let gone = |pids: Vec<u32>, what: &str| {
        let alive = |pid: &u32| process(*pid).is_some_and(|(state, _)| state != 'Z');
        eventually(what, || (!pids.iter().any(alive)).then_some(()));
    };
    let sql = "SELECT ssn::text FROM public.customers WHERE id = 1";
    let mut first = cluster.connect("app");
    first.begin(sql);
    let children = started();
    assert_eq!(children.len(), 2);
    assert!(children.iter().all(|p| process(*p).is_some()), "they run: {children:?}");
    let mut second = cluster.connect("app");
    second.begin(sql);
    first.cancel();
    assert_eq!(first.finish().code(), "57014");
    gone(children, "the cancelled command is gone");
    assert_eq!(first.query("SELECT 1").value(), "1");
    // who only waits can be cancelled too
    second.cancel();
    assert_eq!(second.finish().code(), "57014");
    fs::remove_file(&pids).unwrap();
    second.begin(sql);
    let children = started();
    cluster.admin(&format!("SELECT pg_terminate_backend({})", second.pid));
    assert_eq!(second.finish().code(), "57P01");
    gone(children, "the command of the session that was ended is gone");
    // somebody else's turn then
    fs::remove_file(&pids).unwrap();
    first.query("SET statement_timeout = '60s'").ok();
    first.begin(sql);
    let children = started();
    first.cancel();
    assert_eq!(first.finish().code(), "57014");
    gone(children, "the next command is gone");
    the_rest_works(&cluster);
}

#[test]
fn the_command_gets_none_of_the_backends_files_and_sockets() {
    let mut cluster = fixture::stopped();
    let notes = notes(&cluster);
    let (seen, key) = (shown(&notes.join("seen")), shown(&cluster.dir.join("root.key")));
    let body = format!("ls -l /proc/$$/fd > {seen}; cat /proc/self/status >> {seen}; cat {key}");
    let command = script(&cluster, "key", &body);
    cluster.set("airlock.root_key_source", &format!("command:exec {}", shown(&command)));
    cluster.set("airlock.database", "postgres");
    cluster.start();
    let mut app = cluster.connect("app");
    app.query("SELECT ssn::text FROM public.customers WHERE id = 1").ok();
    let held = |pid: i32| {
        let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        links.filter_map(|l| fs::read_link(l.path()).ok()).map(|l| shown(&l)).collect::<Vec<_>>()
    };
    let own = held(app.pid);
    assert!(own.iter().any(|l| l.starts_with("socket:")), "control: the backend has sockets: {own:?}");
    let seen = fs::read_to_string(notes.join("seen")).unwrap();
    let files: Vec<&str> = seen.lines().filter_map(|l| l.split_once(" -> ").map(|(_, to)| to)).collect();
    assert!(files.len() >= 3 && files.iter().filter(|f| **f == "/dev/null").count() == 2, "{seen}");
    let data = shown(&cluster.data());
    assert!(
        !files.iter().any(|f| f.starts_with("socket:") || f.starts_with(&data) || f.contains("anon_inode")),
        "{seen}"
    );
    // signals 32 and 33 are the C library's own, which lets nobody change them: whoever started us may ignore them
    let mask = |name: &str| {
        let bits = seen.lines().find_map(|l| l.strip_prefix(name)).unwrap().trim();
        u64::from_str_radix(bits, 16).unwrap() & !(3 << 31)
    };
    // of a child of the shell, which blocks signals itself while it forks
    assert_eq!((mask("SigBlk:"), mask("SigIgn:")), (0, 0), "no signal is blocked or ignored");
}
