//! Canary KEY: neither the root key nor any secret or key made from it is found where somebody could look, in raw, hex,
//! base64 or decimal form (as plans print bytes, signed and unsigned), while all is logged, plans are printed, and errors and
//! timeouts are provoked with keys in reach. A key that somebody passes through SQL is found in each of these places.

use crate::cluster::{Cluster, DATABASE};
use crate::fixture;
use crate::key_memory::{held, needles, Needles};
use crate::process::hex;
use crate::protocol::Conn;
use data_encoding::BASE64_NOPAD;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Every key in every spelling.
fn spelled(keys: Needles) -> Needles {
    let mut all = Needles::new();
    for (name, key) in keys.into_iter().filter(|(_, key)| key.len() == 32) {
        let numbers = |signed: bool| {
            let one = |b: &u8| if signed { (*b as i8).to_string() } else { b.to_string() };
            key.iter().map(one).collect::<Vec<_>>().join(" ").into_bytes()
        };
        all.push((format!("{name}, hex"), hex(&key).into_bytes()));
        all.push((format!("{name}, upper hex"), hex(&key).to_uppercase().into_bytes()));
        all.push((format!("{name}, base64"), BASE64_NOPAD.encode(&key).into_bytes()));
        all.push((format!("{name}, decimal"), numbers(false)));
        all.push((format!("{name}, signed decimal"), numbers(true)));
        all.push((name, key));
    }
    all
}

/// Those in a text, as it is and without its white space: plans are broken into lines of 78 characters, in the middle of a
/// number too.
fn in_text(text: &[u8], keys: &Needles) -> BTreeSet<String> {
    let joined = |bytes: &[u8]| bytes.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect::<Vec<_>>();
    // raw bytes may be white space
    let together =
        keys.iter().filter(|(_, key)| key.len() > 32).map(|(name, key)| (name.clone(), joined(key))).collect();
    let found = held(text, keys).into_iter().map(String::from).collect::<BTreeSet<_>>();
    found.into_iter().chain(held(&joined(text), &together).into_iter().map(String::from)).collect()
}

fn loud() -> Cluster {
    let mut cluster = fixture::stopped();
    for (name, value) in [
        ("log_statement", "all"),
        ("log_min_messages", "debug1"),
        ("log_min_error_statement", "debug5"),
        ("log_error_verbosity", "verbose"),
        ("log_parameter_max_length", "-1"),
        ("log_parameter_max_length_on_error", "-1"),
        ("log_duration", "on"),
        ("shared_buffers", "4MB"),
    ] {
        cluster.set(name, value);
    }
    cluster.start();
    // not for the server: it would shut the scoped views, which is another test
    for setting in ["debug_print_parse", "debug_print_rewritten", "debug_print_plan"] {
        cluster.admin(&format!("ALTER ROLE postgres SET {setting} = on; ALTER ROLE app SET {setting} = on"));
    }
    fixture::open(&cluster);
    cluster
}

/// Sends each statement, whatever comes of it; what the client was told.
fn said(conn: &mut Conn, statements: &[&str]) -> String {
    statements.iter().map(|sql| conn.query(sql).everything() + "\n").collect()
}

/// All rows of all catalogs, as text.
fn catalogs(cluster: &Cluster) -> String {
    let tables = "SELECT c.oid::regclass FROM pg_class c WHERE c.relkind IN ('r', 'v') AND c.relnamespace::regnamespace::text
                    IN ('pg_catalog', 'airlock_catalog', 'airlock', 'airlock_scope', 'acme', 'globex', 'information_schema')
                    AND NOT (c.relkind = 'v' AND c.relnamespace::regnamespace::text IN ('airlock_scope', 'acme', 'globex'))";
    let mut conn = cluster.connect("postgres");
    let names = cluster.admin(tables).first();
    assert!(names.len() > 100, "{names:?}");
    names.iter().map(|name| conn.query(&format!("SELECT t::text FROM {name} t")).everything() + "\n").collect()
}

/// The needles in files below a directory.
fn in_files(dir: &Path, needles: &Needles) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("read a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(in_files(&path, needles));
        } else if let Ok(bytes) = fs::read(&path) {
            found.extend(held(&bytes, needles).into_iter().map(|name| format!("{name} in {}", path.display())));
        }
    }
    found
}

#[test]
fn no_key_is_shown_logged_kept_or_stored_whatever_is_provoked() {
    let cluster = loud();
    let text = fs::read_to_string(cluster.dir.join("root.key")).unwrap();
    let mut shown = String::new();
    // the controller: keys made, turned, used; values damaged; time over in the middle
    let mut admin = cluster.connect("postgres");
    shown += &said(
        &mut admin,
        &[
            "SET client_min_messages = debug1",
            "SELECT airlock.create_key('more'), airlock.rotate_key('pii')",
            "SELECT airlock.grant_decrypt('more', 'app')",
            "CREATE TABLE public.damaged (id int, v airlock.encrypted('pii'))",
            "INSERT INTO public.damaged VALUES (1, 'x')",
            "UPDATE public.damaged SET v = (SELECT diary FROM public.customers LIMIT 1)",
            "SELECT 'airlock:1:AAAA'::airlock.encrypted",
            "SELECT * FROM airlock.doctor()",
            "SELECT count(*) FROM airlock.self_test('acme')",
            "SELECT airlock.preview_scope('acme', 'public.customers', '{\"id\": \"clear\"}')",
            "SELECT count(*) FROM airlock.access_log",
            "CALL airlock.reencrypt('public.customers')",
        ],
    );
    let mut app = cluster.connect("app");
    shown += &said(
        &mut app,
        &[
            "SET client_min_messages = log",
            "SELECT ssn::text, pay::text, diary::text FROM public.customers",
            "SELECT airlock.decrypt(ssn)::int FROM public.customers",
            "SELECT count(*) FROM public.customers WHERE ssn = 'x'",
            "SET statement_timeout = '20ms'",
            "DO $$ BEGIN LOOP PERFORM ssn::text, diary::text FROM public.customers; END LOOP; END $$",
        ],
    );
    // the sub-processor, with all that it may set and more
    for options in ["", "-c client_min_messages=log -c debug_print_plan=on", "-c plan_cache_mode=force_generic_plan"] {
        let mut acme = cluster.login("acme", DATABASE, &[("options", options)]).expect("connect");
        shown += &said(
            &mut acme,
            &[
                "SELECT * FROM acme.customers",
                "SELECT ssn::int FROM acme.customers",
                "SELECT 1 / (id - id) FROM acme.customers WHERE ssn <> ''",
                "SELECT email::pg_lsn FROM acme.customers",
                "PREPARE p AS SELECT ssn FROM acme.customers WHERE ssn = $1",
                "EXECUTE p('x')",
                "SET debug_print_plan = on",
                "SHOW ALL",
                "SELECT pg_get_viewdef(c.oid) FROM pg_class c WHERE relkind = 'v'",
                "SELECT airlock.disclose(1, 'x'::text)",
            ],
        );
    }
    cluster.admin("ALTER ROLE acme SET statement_timeout = '1ms'");
    let mut acme = cluster.connect("acme");
    shown += &said(
        &mut acme,
        &["SELECT a.ssn, b.ssn FROM acme.customers a, acme.customers b, acme.customers c ORDER BY 1, 2"],
    );
    cluster.admin("CHECKPOINT");
    let catalogs = catalogs(&cluster);
    let plain = needles(&cluster, &text);
    let keys = spelled(plain);
    assert!(keys.len() > 100, "{}", keys.len());
    assert_eq!(in_text(shown.as_bytes(), &keys), BTreeSet::new(), "told a client");
    assert_eq!(in_text(catalogs.as_bytes(), &keys), BTreeSet::new(), "in a catalog");
    assert_eq!(in_text(&fs::read(cluster.dir.join("log")).unwrap(), &keys), BTreeSet::new(), "in the server's log");
    assert_eq!(in_files(&cluster.data(), &keys), Vec::<String>::new(), "in the data directory");
    // it was as loud as it should have been
    let log = cluster.log();
    for word in
        ["PLANNEDSTMT", "rewritten parse tree", "canceling statement due to statement timeout", "statement: SELECT"]
    {
        assert!(log.contains(word), "{word}");
    }
    assert!(shown.contains("PLANNEDSTMT"), "plans reached a client that may see them");
}

#[test]
fn control_a_key_that_passes_through_sql_is_found_everywhere() {
    let cluster = loud();
    let key: Vec<u8> = (0..32).map(|i| i * 5 + 97).collect();
    let keys = spelled(vec![("key".into(), key.clone())]);
    let mut admin = cluster.connect("postgres");
    let shown = said(
        &mut admin,
        &[
            "SET client_min_messages = log",
            &format!("CREATE FUNCTION public.naive(v text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN md5(v || '{}'); END $$", hex(&key)),
            &format!("SELECT count(*) FROM public.customers WHERE md5(email)::bytea <> '\\x{}'::bytea", hex(&key)),
            "CHECKPOINT",
        ],
    );
    assert!(in_text(shown.as_bytes(), &keys).contains("key, signed decimal"), "a plan prints bytes signed");
    assert!(in_text(catalogs(&cluster).as_bytes(), &keys).contains("key, hex"));
    assert!(in_text(&fs::read(cluster.dir.join("log")).unwrap(), &keys).contains("key, hex"));
    let files = in_files(&cluster.data(), &keys);
    assert!(files.iter().any(|f| f.starts_with("key, hex in")), "{files:?}");
}
