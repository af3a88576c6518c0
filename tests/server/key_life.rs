//! Rotate, retire, destroy; another root key; `lock()`.

use crate::cluster::{give, Cluster};
use crate::fixture;
use crate::jobs::{digest, old, table};
use crate::process::{eventually, hex};
use crate::sentinel::{base64, places};
use std::fs;
use std::path::PathBuf;

fn running() -> Cluster {
    let mut cluster = fixture::stopped();
    cluster.set("max_prepared_transactions", "5");
    cluster.start();
    fixture::open(&cluster);
    table(&cluster);
    cluster
}

/// States of a key's sealing versions, in order.
fn states(cluster: &Cluster, key: &str) -> Vec<String> {
    let sql = format!("SELECT state FROM airlock.keys WHERE name = '{key}' AND use = 'seal' ORDER BY version");
    cluster.admin(&sql).first()
}

#[test]
fn rotations_take_turns_and_rewrite_nothing() {
    let cluster = running();
    let before = digest(&cluster);
    let file = "SELECT pg_relation_filenode('public.items') || ' ' || pg_relation_size('public.items')";
    let size = cluster.admin(file).value();
    // a session that has sealed and opened under the old version
    let mut app = cluster.connect("app");
    app.query("UPDATE public.items SET note = 'x' WHERE id = 1").ok();
    let mut numbers: Vec<i32> = std::thread::scope(|scope| {
        let rotations: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| cluster.admin("SELECT airlock.rotate_key('work')").value().parse().unwrap()))
            .collect();
        rotations.into_iter().map(|r| r.join().unwrap()).collect()
    });
    numbers.sort_unstable();
    assert_eq!(numbers, [2, 3, 4, 5]);
    let wanted = ["decrypt-only", "decrypt-only", "decrypt-only", "decrypt-only", "active"];
    assert_eq!(states(&cluster, "work"), wanted);
    assert_eq!(cluster.admin(file).value(), size);
    // old values open, new ones are of the new version, in a session that knew the old one too
    app.query("UPDATE public.items SET note = 'note 1', changed = -1 WHERE id = 1").ok();
    assert_eq!(digest(&cluster), before);
    assert_eq!(old(&cluster, "note::airlock.encrypted", "work"), 1999);
    // tags do not hang on the sealing version: a new value is found beside old ones
    app.query("INSERT INTO public.items (id, secret) VALUES (9001, 'secret 42')").ok();
    assert_eq!(app.query("SELECT id FROM public.items WHERE secret = 'secret 42' ORDER BY id").first(), ["42", "9001"]);
    // rolled back, nothing happened
    cluster.admin("BEGIN; SELECT airlock.rotate_key('work'); ROLLBACK");
    assert_eq!(states(&cluster, "work"), wanted);
    for (user, sql, code) in [
        ("postgres", "SELECT airlock.rotate_key('none')", "42704"),
        ("app", "SELECT airlock.rotate_key('work')", "42501"),
        ("postgres", "SELECT airlock.retire_key_version('work', 5)", "55000"),
        ("postgres", "SELECT airlock.retire_key_version('work', 6)", "42704"),
        ("postgres", "SELECT airlock.retire_key_version('work', 1, -1)", "22023"),
        ("postgres", "SELECT airlock.destroy_key_version('work', 1)", "55000"),
    ] {
        assert_eq!(cluster.sql(user, sql).code(), code, "{user}: {sql}");
    }
}

#[test]
fn a_version_is_retired_only_when_no_value_needs_it() {
    let cluster = running();
    let retire = "SELECT airlock.retire_key_version('work', 1)";
    let still = |place: &str| {
        let answer = cluster.admin_error(retire);
        assert_eq!((answer.get('C'), answer.get('M')), ("55000", "version 1 of key \"work\" is still needed"));
        assert!(answer.get('D').contains(place), "{place}: {}", answer.get('D'));
        assert!(answer.get('H').starts_with("CALL airlock.reencrypt('public."), "{}", answer.get('H'));
    };
    cluster.admin(
        "SET ROLE app; CREATE TABLE public.parts (id int, secret airlock.encrypted('work')) PARTITION BY RANGE (id);
         CREATE TABLE public.part_1 PARTITION OF public.parts FOR VALUES FROM (0) TO (100);
         INSERT INTO public.parts VALUES (1, 'x'); CREATE MATERIALIZED VIEW public.kept AS SELECT secret FROM public.parts;
         RESET ROLE; SELECT airlock.rotate_key('work')",
    );
    for place in [
        "public.items.secret (3000 values)",
        "public.items.note (2000 values)",
        "public.items.list (3000 values)",
        "public.items.big (6 values)",
        "public.part_1.secret (1 values)",
        "public.kept.secret (1 values)",
    ] {
        still(place);
    }
    assert!(!cluster.admin_error(retire).get('D').contains("money"), "another key's columns are not looked at");
    cluster.admin("CALL airlock.reencrypt('public.items')");
    still("public.part_1.secret (1 values), public.kept.secret (1 values)");
    cluster.admin("CALL airlock.reencrypt('public.parts')");
    still("public.kept.secret (1 values)");
    cluster.admin("REFRESH MATERIALIZED VIEW public.kept");
    // a place that nobody can look into is named
    cluster.admin("CREATE TABLE public.rows_of (r public.part_1)");
    let refused = cluster.admin_error(retire);
    assert_eq!(refused.get('M'), "cannot prove that version 1 of key \"work\" is not needed any more");
    assert!(refused.get('D').contains("\"r\" of public.rows_of"), "{}", refused.get('D'));
    cluster.admin("DROP TABLE public.rows_of");
    let mut temporary = cluster.connect("app");
    temporary.query("CREATE TEMP TABLE mine AS SELECT secret FROM public.items").ok();
    assert!(cluster.admin_error(retire).get('D').contains("another session's temporary table"));
    drop(temporary);
    eventually("the session is gone", || cluster.sql("postgres", retire).error.is_none().then_some(()));
    assert_eq!(states(&cluster, "work"), ["retired", "active"]);
    assert_eq!(cluster.admin_error(retire).get('M'), "version 1 of key \"work\" is retired, not decrypt-only");
}

#[test]
fn transactions_from_before_are_waited_for() {
    let cluster = running();
    cluster.admin("SELECT airlock.rotate_key('work')");
    cluster.admin("CALL airlock.reencrypt('public.items')");
    let retire = |wait: u32| format!("SELECT airlock.retire_key_version('work', 1, wait_seconds => {wait})");
    let mut other = cluster.connect("app");
    // it has written nothing, so it has no transaction id, but could hold a value
    other.query("BEGIN; SELECT secret FROM public.items LIMIT 1").ok();
    let pid = other.query("SELECT pg_backend_pid()").value();
    let refused = cluster.admin_error(&retire(0));
    assert_eq!(refused.get('M'), "transactions may still write values of version 1 of key \"work\"");
    assert!(refused.get('D').contains(&format!("process {pid}, since ")), "{}", refused.get('D'));
    // while it is waited for it writes one: the second look finds it
    cluster.admin("CREATE TABLE public.late (v airlock.encrypted('work')); ALTER TABLE public.late OWNER TO app");
    let mut admin = cluster.connect("postgres");
    admin.begin(&retire(60));
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%retire_key_version%' AND wait_event = 'Extension' AND pid <> pg_backend_pid()";
    eventually("it waits", || (cluster.admin(waits).value() == "1").then_some(()));
    other.query("INSERT INTO public.items (id, secret) VALUES (9002, 'new')").ok();
    let old_value = "SET airlock.encrypted_input = ciphertext; INSERT INTO public.late VALUES ";
    let kept = kept_value(&cluster);
    cluster.admin(&format!("{old_value}('{kept}')"));
    other.query("COMMIT").ok();
    let answer = admin.finish();
    assert_eq!(answer.code(), "55000");
    assert!(answer.error.unwrap().get('D').contains("public.late.v (1 values)"));
    cluster.admin("TRUNCATE public.late");
    // prepared transactions do not end by themselves
    other.query("BEGIN; INSERT INTO public.items (id) VALUES (9003); PREPARE TRANSACTION 'two'").ok();
    let refused = cluster.admin_error(&retire(0));
    assert!(refused.get('D').contains("Prepared transaction 'two'"), "{}", refused.get('D'));
    other.query("ROLLBACK PREPARED 'two'").ok();
    cluster.admin(&retire(10));
    assert_eq!(states(&cluster, "work"), ["retired", "active"]);
}

/// A value of `public.late.v` as version 1 would have sealed it: made in a copy of the past, by rolling the states back.
fn kept_value(cluster: &Cluster) -> String {
    let mut admin = cluster.connect("postgres");
    admin.query("BEGIN").ok();
    let key = "FROM airlock_catalog.key k WHERE k.uuid = v.owner AND k.name = 'work' AND v.use = 'seal'";
    for (version, state) in [(2, "decrypt-only"), (1, "active")] {
        let sql = format!("UPDATE airlock_catalog.key_version v SET state = '{state}' {key} AND v.version = {version}");
        admin.query(&sql).ok();
    }
    // a rotation that is rolled back makes this session's keys reload
    admin.query("SELECT airlock.grant_match('work', 'app')").ok();
    let value = admin.query("INSERT INTO public.late VALUES ('old') RETURNING v").value();
    admin.query("ROLLBACK").ok();
    value
}

#[test]
fn a_destroyed_version_opens_nothing_and_says_so() {
    let cluster = running();
    cluster.admin("CREATE TABLE public.late (v airlock.encrypted('work')); ALTER TABLE public.late OWNER TO app");
    let kept = cluster.admin("INSERT INTO public.late VALUES ('straggler') RETURNING v").value();
    cluster.admin("TRUNCATE public.late; SELECT airlock.rotate_key('work')");
    cluster.admin("CALL airlock.reencrypt('public.items')");
    cluster.admin("SELECT airlock.retire_key_version('work', 1)");
    // a straggler is refused by name, keeps the version from being destroyed, and can be repaired
    let late = format!("SET airlock.encrypted_input = ciphertext; INSERT INTO public.late VALUES ('{kept}')");
    cluster.admin(&late);
    let read = "SELECT airlock.decrypt(v) FROM public.late";
    let error = cluster.sql("app", read).error.unwrap();
    assert_eq!((error.get('C'), error.get('M')), ("AL002", "version 1 of key \"work\" is retired"));
    let destroy = "SELECT airlock.destroy_key_version('work', 1)";
    cluster.admin(&late);
    assert!(cluster.admin_error(destroy).get('D').contains("public.late.v (2 values)"));
    let mut app = cluster.connect("app");
    app.query("CALL airlock.reencrypt('public.late')").ok();
    assert_eq!(app.query("SELECT count(*) FROM public.late WHERE airlock.decrypt(v) = 'straggler'").value(), "2");
    // what the job opened it for, its session may not
    cluster.admin(&late);
    assert_eq!(app.query(read).code(), "AL002");
    app.query("CALL airlock.reencrypt('public.late')").ok();
    app.query("SELECT airlock.decrypt(v) FROM public.late").ok();

    let said = cluster.admin(destroy).notices;
    assert!(said.iter().any(|n| n.get('M').contains("that is final") && n.get('D').contains("Backups")), "{said:?}");
    assert_eq!(states(&cluster, "work"), ["destroyed", "active"]);
    let wrapped = "SELECT count(*) FROM airlock_catalog.key_version WHERE state = 'destroyed' AND wrapped IS NULL";
    assert_eq!(cluster.admin(wrapped).value(), "1");
    cluster.admin(&format!("TRUNCATE public.late; {late}"));
    let error = cluster.sql("app", read).error.unwrap();
    assert_eq!((error.get('C'), error.get('M')), ("AL002", "version 1 of key \"work\" is destroyed"));
    assert_eq!(cluster.sql("app", "CALL airlock.reencrypt('public.late')").code(), "AL002");
    cluster.admin("TRUNCATE public.late");
    assert_eq!(cluster.sql("app", "SELECT count(*) FROM public.items WHERE secret = 'secret 8'").value(), "1");
}

/// Another root key beside the first.
fn new_root_key(cluster: &Cluster, name: &str) -> (PathBuf, [u8; 32]) {
    let mut random = [0_u8; 32];
    std::io::Read::read_exact(&mut fs::File::open("/dev/urandom").unwrap(), &mut random).unwrap();
    let path = cluster.dir.join(name);
    fs::write(&path, hex(&random)).unwrap();
    give(&path, 0o400);
    (path, random)
}

fn raw_root_key(cluster: &Cluster) -> [u8; 32] {
    let text = fs::read_to_string(cluster.dir.join("root.key")).unwrap();
    std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
}

/// Everything that needs a key, by each role: an application's read and write, a search, a scoped view, a new column.
#[track_caller]
fn all_works(cluster: &Cluster, n: u32) {
    let mut app = cluster.connect("app");
    assert_eq!(app.query("SELECT airlock.decrypt(secret) FROM public.items WHERE id = 7").value(), "secret 7");
    app.query(&format!("INSERT INTO public.items (id, secret, money) VALUES (1{n}000, 'new {n}', {n})")).ok();
    assert_eq!(app.query(&format!("SELECT id FROM public.items WHERE secret = 'new {n}'")).value(), format!("1{n}000"));
    app.query(&format!(
        "CREATE TABLE public.made_{n} (v airlock.encrypted('work')); INSERT INTO public.made_{n} VALUES ('v')"
    ))
    .ok();
    let name = format!("after {n}");
    let answer = cluster.connect_as("acme", &name).query("SELECT pay, email FROM acme.customers WHERE id = 1").ok();
    assert_eq!(answer.rows[0][0].as_deref(), Some("1001"));
    fixture::settled(cluster, &name, 1);
    assert_eq!(fixture::verify(&mut cluster.connect("postgres")), (true, None, String::new()));
}

#[test]
fn the_root_key_is_rotated_without_a_gap() {
    let mut cluster = running();
    let pseudonym =
        |cluster: &Cluster| cluster.sql("globex", "SELECT email FROM globex.customers ORDER BY email LIMIT 1").value();
    let (before, masked) = (digest(&cluster), pseudonym(&cluster));
    all_works(&cluster, 1);
    let mut live = cluster.connect("app");
    live.query("SELECT airlock.decrypt(secret) FROM public.items WHERE id = 1").ok();
    let (path, _) = new_root_key(&cluster, "second.key");
    let source = format!("file:{}", path.display());
    let rotate = |source: &str| format!("SELECT airlock.rotate_root_key('{source}')");

    // refused, and nothing changed: no file, the same key, a key or a row that was changed
    assert_eq!(cluster.admin_error(&rotate("file:/nowhere")).get('C'), "AL001");
    let same = format!("file:{}", cluster.dir.join("root.key").display());
    assert_eq!(cluster.admin_error(&rotate(&same)).get('C'), "55000");
    for (spoil, repair) in [
        ("UPDATE airlock_catalog.key_version SET wrapped = set_byte(wrapped, 40, get_byte(wrapped, 40) # 1) WHERE use = 'mask'", ""),
        ("UPDATE airlock_catalog.key_version SET commitment = set_byte(commitment, 0, get_byte(commitment, 0) # 1) WHERE use = 'match'", ""),
        ("UPDATE airlock_catalog.encrypted_column SET mac = set_byte(mac, 0, get_byte(mac, 0) # 1)", ""),
        ("ALTER ROLE app RENAME TO application", "ALTER ROLE application RENAME TO app"),
    ] {
        cluster.admin(spoil);
        assert_eq!(cluster.admin_error(&rotate(&source)).get('C'), "AL003", "{spoil}");
        cluster.admin(if repair.is_empty() { spoil } else { repair });
        assert_eq!(cluster.admin("SELECT max(generation) FROM airlock_catalog.root_key").value(), "1");
    }
    assert_eq!(cluster.sql("app", &rotate(&source)).code(), "42501");
    // the server would read, or run, what the source names: not for administrators who are no superusers, whoever let them
    cluster.admin("GRANT airlock_admin TO clerk");
    assert_eq!(cluster.sql("clerk", &rotate(&source)).code(), "42501");
    cluster.admin("GRANT EXECUTE ON FUNCTION airlock.rotate_root_key(text) TO clerk");
    let error = cluster.sql("clerk", &rotate(&source)).error.unwrap();
    assert_eq!(error.get('M'), "must be superuser to rotate the root key");

    let answer = cluster.admin(&rotate(&source));
    assert!(answer
        .notices
        .iter()
        .any(|n| n.get('H').contains(&format!("ALTER SYSTEM SET airlock.root_key_source = '{source}'"))));
    // the setting names the old root key still: it leads to the new one, in sessions old and new, and the log goes on
    assert_eq!(live.query("SELECT airlock.decrypt(secret) FROM public.items WHERE id = 7").value(), "secret 7");
    all_works(&cluster, 2);
    let wrapped = "SELECT DISTINCT root_generation FROM airlock_catalog.key_version";
    assert_eq!(cluster.admin(wrapped).value(), "2");
    let doctor = "SELECT severity || ': ' || fix FROM airlock.doctor() WHERE \"check\" = 'root key'";
    assert_eq!(
        cluster.admin(doctor).value(),
        format!("warning: ALTER SYSTEM SET airlock.root_key_source = '{source}'; SELECT pg_reload_conf()")
    );
    cluster.restart();
    fixture::open(&cluster);
    all_works(&cluster, 3);

    // the new root key alone
    cluster.admin(&format!("ALTER SYSTEM SET airlock.root_key_source = '{source}'"));
    cluster.admin("SELECT pg_reload_conf()");
    let first = cluster.dir.join("root.key");
    fs::rename(&first, cluster.dir.join("away")).unwrap();
    eventually("the setting is read", || (cluster.admin(doctor).first().is_empty()).then_some(()));
    all_works(&cluster, 4);
    cluster.restart();
    fixture::open(&cluster);
    all_works(&cluster, 5);
    assert_eq!(pseudonym(&cluster), masked);

    // the old root key alone
    fs::rename(cluster.dir.join("away"), &first).unwrap();
    fs::rename(&path, cluster.dir.join("second.away")).unwrap();
    cluster.admin("ALTER SYSTEM RESET airlock.root_key_source");
    cluster.restart();
    let error = cluster.sql("app", "SELECT airlock.decrypt(secret) FROM public.items WHERE id = 1").error.unwrap();
    assert_eq!(error.get('C'), "AL001");
    assert_eq!(error.get('M'), "this is the root key of generation 1, which generation 2 replaced");
    assert!(error.get('H').starts_with("point airlock.root_key_source at"));
    // whoever edits the way to the new one is found out
    fs::rename(cluster.dir.join("second.away"), &path).unwrap();
    cluster.admin("UPDATE airlock_catalog.root_key SET source = source || '.evil' WHERE generation = 2");
    let error = cluster.connect("app").query("SELECT airlock.decrypt(secret) FROM public.items WHERE id = 1").error;
    assert_eq!(error.unwrap().get('C'), "AL003");
    cluster.admin("UPDATE airlock_catalog.root_key SET source = replace(source, '.evil', '') WHERE generation = 2");
    fixture::open(&cluster);
    cluster.admin("DELETE FROM public.items WHERE id > 9999");
    assert_eq!(digest(&cluster), before);
}

#[test]
fn locked_keys_are_locked_everywhere_until_they_are_unlocked() {
    let mut cluster = running();
    let read = "SELECT airlock.decrypt(secret) FROM public.items WHERE id = 7";
    let mut app = cluster.connect("app");
    let mut acme = cluster.connect_as("acme", "locked");
    assert_eq!(app.query(read).value(), "secret 7");
    acme.query("SELECT id FROM acme.customers WHERE id = 1").ok();
    assert_eq!(cluster.sql("app", "SELECT airlock.lock()").code(), "42501");
    // not undone by a rollback
    cluster.admin("BEGIN; SELECT airlock.lock(); ROLLBACK");
    for session in [&mut app, &mut cluster.connect("app")] {
        for sql in [
            read,
            "INSERT INTO public.items (id, note) VALUES (9004, 'x')",
            "SELECT id FROM public.items WHERE secret = 'x'",
        ] {
            let error = session.query(sql).error.unwrap();
            assert_eq!(
                (error.get('C'), error.get('M')),
                ("AL001", "the keys were locked by an administrator"),
                "{sql}"
            );
        }
        session.query("SELECT count(secret) FROM public.items").ok();
    }
    assert!(matches!(acme.query("SELECT id FROM acme.customers WHERE id = 1").code(), "AL001" | "AL005"));
    assert_eq!(cluster.admin_error("CALL airlock.reencrypt('public.items')").get('C'), "AL001");
    cluster.admin("SELECT airlock.unlock()");
    assert_eq!(app.query(read).value(), "secret 7");
    fixture::open(&cluster);
    all_works(&cluster, 1);
    cluster.admin("SELECT airlock.lock()");
    cluster.restart();
    assert_eq!(cluster.sql("app", read).value(), "secret 7", "a restart unlocks");
}

/// The memory of a process that it may write, as one long text.
fn memory(pid: &str) -> Vec<u8> {
    use std::os::unix::fs::FileExt;
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let file = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut all = Vec::new();
    for line in maps.lines().filter(|l| l.contains(" rw-p ")) {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        let mut bytes = vec![0; (to - from) as usize];
        if file.read_exact_at(&mut bytes, from).is_ok() {
            all.extend(bytes);
        }
    }
    all
}

#[test]
fn an_idle_backend_wipes_the_root_key_when_the_keys_are_locked() {
    let cluster = running();
    let key = raw_root_key(&cluster);
    // within a transaction too, which may stay open for hours
    for begin in ["", "BEGIN"] {
        let mut app = cluster.connect("app");
        app.query(begin).ok();
        app.query("SELECT airlock.decrypt(secret) FROM public.items WHERE id = 7").ok();
        let pid = app.query("SELECT pg_backend_pid()").value();
        let holds = || memory(&pid).windows(32).any(|w| w == key);
        assert!(holds(), "control: a backend that opens values holds it");
        cluster.admin("SELECT airlock.lock()");
        eventually("the idle backend has wiped it", || (!holds()).then_some(()));
        cluster.admin("SELECT airlock.unlock()");
    }
}

#[test]
fn the_life_of_keys_leaves_no_key_and_no_plaintext_on_disk() {
    let cluster = running();
    let sentinel = format!("SENTINEL.life.{}", std::process::id());
    cluster.sql("app", &format!("UPDATE public.items SET note = '{sentinel}', secret = '{sentinel}'")).ok();
    let (path, second) = new_root_key(&cluster, "second.key");
    let mut needles = vec![sentinel.clone().into_bytes()];
    for key in [raw_root_key(&cluster), second] {
        needles.extend([key.to_vec(), hex(&key).into_bytes(), base64(&key).into_bytes()]);
    }
    for step in [
        "SELECT airlock.rotate_key('work')".to_string(),
        "CALL airlock.reencrypt('public.items')".into(),
        "SELECT airlock.retire_key_version('work', 1)".into(),
        "SELECT airlock.destroy_key_version('work', 1)".into(),
        format!("SELECT airlock.rotate_root_key('file:{}')", path.display()),
    ] {
        cluster.admin(&step);
        cluster.admin("CHECKPOINT");
        for needle in &needles {
            assert_eq!(places(&cluster, needle), Vec::<&str>::new(), "{step}");
        }
    }
    assert_eq!(
        cluster.sql("app", &format!("SELECT count(*) FROM public.items WHERE secret = '{sentinel}'")).value(),
        "3000"
    );
}
