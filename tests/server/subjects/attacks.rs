//! What is refused, forgotten or forged.

use super::touched;
use crate::fixture::{drained, running, settled, verify};

#[test]
fn subjects_that_cannot_be_told_apart_are_refused_where_they_are_declared() {
    let cluster = running();
    // a build of PostgreSQL without ICU has no such collation
    let icu = "CREATE COLLATION public.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)";
    let icu = cluster.sql("postgres", icu).error.is_none();
    let collation = if icu { "public.ci" } else { "\"C\"" };
    cluster.admin(&format!(
        "CREATE TABLE public.odd (id int PRIMARY KEY, f float8, j jsonb, t text COLLATE {collation}, secret airlock.encrypted('pii'));
         INSERT INTO public.odd VALUES (1, 1, '1', 'A', 'x')"
    ));
    for (subject, said) in [
        ("f", "double precision"),
        ("j", "jsonb"),
        ("id,id", "twice"),
        ("secret", "encrypted"),
        ("nope", "does not exist"),
    ] {
        let error = cluster.admin_error(&format!(
            "SELECT airlock.create_scope('acme', 'public.odd', '{{\"id\": \"clear\"}}', subject => '{{{subject}}}')"
        ));
        assert_eq!(error.code(), "AL010", "{subject}: {error:?}");
        assert!(error.text().contains(said) && !error.get('H').is_empty(), "{subject}: {error:?}");
    }
    // letters that are equal under the column's collation have other bytes: it may have been anybody
    cluster.admin("SELECT airlock.create_scope('acme', 'public.odd', '{\"id\": \"clear\"}', subject => '{t}')");
    cluster.connect_as("acme", "ci").query("SELECT id FROM acme.odd").ok();
    settled(&cluster, "ci", 1);
    drained(&cluster);
    assert_eq!(cluster.admin("SELECT bool_and(anybody) FROM airlock_catalog.read_subject s JOIN airlock_catalog.read_record r USING (id) WHERE r.application_name = 'ci'").value(), if icu { "t" } else { "f" });
}

#[test]
fn questions_that_name_nobody_get_one_clear_error() {
    let cluster = running();
    for (call, code, said) in [
        ("who_saw('public.customers', '1', '2')", "22023", "(id)"),
        ("who_saw('public.customers', VARIADIC '{}')", "22023", "(id)"),
        ("who_saw('public.customers', NULL)", "22023", "(id)"),
        ("who_saw('public.customers', 'x')", "22P02", "bigint"),
        ("who_saw(0, 'x')", "42704", "does not exist"),
    ] {
        let error = cluster.admin_error(&format!("SELECT * FROM airlock.{call}"));
        assert_eq!(error.code(), code, "{call}: {error:?}");
        assert!(error.text().contains(said), "{call}: {error:?}");
    }
    cluster.admin("CREATE TABLE public.bare (a int)");
    assert_eq!(cluster.admin_error("SELECT * FROM airlock.who_saw('public.bare', '1')").code(), "22023");
    // for auditors, who need no right on the table; for nobody else
    cluster.admin("CREATE ROLE auditor LOGIN IN ROLE airlock_auditor");
    assert_eq!(
        cluster
            .sql("auditor", "SELECT count(*) FROM airlock.who_saw('public.customers', '1') WHERE subprocessor = 'acme'")
            .value(),
        "0"
    );
    for role in ["clerk", "app", "acme"] {
        let code = cluster.sql(role, "SELECT * FROM airlock.who_saw('public.customers', '1')").code().to_string();
        assert!(["42501", "AL007"].contains(&code.as_str()), "{role}: {code}");
    }
    for table in ["read_subject", "read_private"] {
        assert_eq!(cluster.sql("auditor", &format!("SELECT * FROM airlock_catalog.{table}")).code(), "42501");
    }
}

#[test]
fn an_epoch_is_forgotten_and_the_log_still_verifies() {
    let cluster = running();
    let read = |name: &str, id: u32| {
        let mut conn = cluster.connect_as("acme", name);
        conn.query(&format!("SELECT city FROM acme.customers WHERE id = {id}")).ok();
        drop(conn);
        settled(&cluster, name, 1)[0].get("id").to_string()
    };
    let first = read("first epoch", 5);
    assert_eq!(cluster.admin_error("SELECT airlock.destroy_subject_key(1)").code(), "55000", "the present epoch");
    // a session that was there before goes over to the new key
    let mut there = cluster.connect_as("acme", "there");
    there.query("SELECT city FROM acme.customers WHERE id = 1").ok();
    assert_eq!(cluster.admin("SELECT airlock.rotate_subject_key()").value(), "2");
    there.query("SELECT city FROM acme.customers WHERE id = 6").ok();
    let second = settled(&cluster, "there", 2)[1].get("id").to_string();
    assert_eq!(touched(&cluster, &first), (vec![5], vec![]));
    assert_eq!(touched(&cluster, &second), (vec![6], vec![]));
    // the same person has another name in each epoch
    read("again", 5);
    drained(&cluster);
    let names = "SELECT count(DISTINCT s.tokens) FROM airlock_catalog.read_subject s JOIN airlock_catalog.read_record r USING (id) WHERE r.application_name IN ('first epoch', 'again')";
    assert_eq!(cluster.admin(names).value(), "2");
    cluster.admin("SELECT airlock.destroy_subject_key(1)");
    assert_eq!(cluster.admin_error("SELECT airlock.destroy_subject_key(1)").code(), "55000");
    assert_eq!(cluster.admin_error("SELECT airlock.destroy_subject_key(9)").code(), "42704");
    let (exact, possible) = touched(&cluster, &first);
    assert!(exact.is_empty() && possible.len() == 105, "it may have been anybody: {exact:?}");
    assert_eq!(touched(&cluster, &second), (vec![6], vec![]));
    assert_eq!(verify(&mut cluster.connect("postgres")), (true, None, String::new()));
    let epochs = cluster.admin("SELECT epoch, state FROM airlock.subject_epochs ORDER BY 1");
    assert_eq!(
        epochs.rows.concat().into_iter().flatten().collect::<Vec<_>>().join(" "),
        "1 forgotten 2 present",
        "{epochs:?}"
    );
}

#[test]
fn attack_the_parts_of_a_record_changed_taken_away_or_added() {
    let cluster = running();
    let mut conn = cluster.connect_as("acme", "parts");
    for id in 1..6 {
        conn.query(&format!("SELECT city FROM acme.customers WHERE id = {id}")).ok();
    }
    let ids: Vec<String> = settled(&cluster, "parts", 5).iter().map(|r| r.get("id").to_string()).collect();
    drained(&cluster);
    let mut admin = cluster.connect("postgres");
    assert_eq!(verify(&mut admin), (true, None, String::new()));
    let third: i64 = ids[2].parse().unwrap();
    for (change, said) in [
        (format!("UPDATE airlock_catalog.read_subject SET tokens = '{{}}', seen = 0 WHERE id = {third}"), "changed"),
        (format!("UPDATE airlock_catalog.read_subject SET tokens = (SELECT tokens FROM airlock_catalog.read_subject WHERE id = {}) WHERE id = {third}", ids[0]), "changed"),
        (format!("UPDATE airlock_catalog.read_subject SET anybody = true WHERE id = {third}"), "changed"),
        (format!("UPDATE airlock_catalog.read_subject SET tokens = ARRAY[tokens] WHERE id = {third}"), "changed"),
        (format!("UPDATE airlock_catalog.read_subject SET salt = salt || '\\x00' WHERE id = {third}"), "changed"),
        (format!("DELETE FROM airlock_catalog.read_subject WHERE id = {third}"), "missing"),
        (format!("UPDATE airlock_catalog.read_subject SET id = 1 WHERE id = {third}"), "added"),
        (format!("INSERT INTO airlock_catalog.read_subject SELECT id, scope + 1, domain, epoch, seen, scanned, anybody, tokens, listed, seen_filter, scanned_filter, salt, settled_on FROM airlock_catalog.read_subject WHERE id = {third}"), "changed"),
        (format!("INSERT INTO airlock_catalog.read_private VALUES ({third}, '\\x00', now() AT TIME ZONE 'UTC')"), "changed"),
        (format!("DELETE FROM airlock_catalog.read_private WHERE id = {third}"), "missing"),
        (format!("UPDATE airlock_catalog.read_record SET subjects = NULL WHERE id = {third}"), "hash"),
    ] {
        // one connection, so that it is undone whatever is found
        admin.query("BEGIN").ok();
        admin.query(&change).ok();
        let (ok, bad, message) = verify(&mut admin);
        admin.query("ROLLBACK").ok();
        let id = if said == "added" && change.contains("id = 1 ") { 1 } else { third };
        assert!(!ok && bad == Some(id) && message.contains(said), "{change}: {bad:?} {message}");
    }
    assert_eq!(verify(&mut admin), (true, None, String::new()));
    let behind = "INSERT INTO airlock_catalog.read_private VALUES (999999, '\\x00', now() AT TIME ZONE 'UTC')";
    admin.query("BEGIN").ok();
    admin.query(behind).ok();
    assert_eq!(verify(&mut admin).1, Some(999_999));
    admin.query("ROLLBACK").ok();
}

/// Whatever becomes of tables, columns and foreign keys, a read that was found stays found, or is at least possible.
#[test]
fn attack_links_between_tables_that_change_afterwards() {
    let cluster = running();
    let read = |name: &str, sql: &str| {
        let mut conn = cluster.connect_as("acme", name);
        conn.query(sql).ok();
        drop(conn);
        settled(&cluster, name, 1)[0].get("id").to_string()
    };
    let certainty = |id: &str, relation: &str, key: &str| {
        let sql = format!("SELECT certainty FROM airlock.who_saw('public.{relation}', '{key}') WHERE id = {id}");
        cluster.admin(&sql).rows.first().and_then(|r| r[0].clone()).unwrap_or_default()
    };
    let scope = |table: &str, subject: &str| {
        cluster.admin(&format!(
            "SELECT airlock.create_scope('acme', 'public.{table}', '{{\"x\": \"clear\"}}', subject => '{{{subject}}}')"
        ));
    };
    // the referred table, which no scope knows, is renamed
    cluster.admin(
        "CREATE TABLE public.par (id int PRIMARY KEY); INSERT INTO public.par VALUES (1), (2);
        CREATE TABLE public.chi (x int, p int REFERENCES public.par); INSERT INTO public.chi VALUES (1, 1), (2, 2)",
    );
    scope("chi", "p");
    let before = read("par", "SELECT x FROM acme.chi WHERE x = 1");
    cluster.admin("ALTER TABLE public.par RENAME TO parent");
    let after = read("parent", "SELECT x FROM acme.chi WHERE x = 1");
    for id in [&before, &after] {
        assert_eq!((certainty(id, "parent", "1"), certainty(id, "parent", "2")), ("exact".into(), String::new()));
    }
    // the column is renamed, and the scope made anew
    cluster.admin("CREATE TABLE public.ren (id int PRIMARY KEY, x int); INSERT INTO public.ren VALUES (1, 1)");
    scope("ren", "id");
    let before = read("ren", "SELECT x FROM acme.ren");
    cluster.admin("ALTER TABLE public.ren RENAME COLUMN id TO cid");
    assert_ne!(certainty(&before, "ren", "1"), "");
    cluster.admin("SELECT airlock.replace_scope('acme', 'public.ren', '{\"x\": \"clear\"}', subject => '{cid}')");
    let after = read("ren anew", "SELECT x FROM acme.ren");
    assert_ne!(certainty(&before, "ren", "1"), "");
    assert_eq!((certainty(&after, "ren", "1"), certainty(&after, "ren", "2")), ("exact".into(), String::new()));
    // a foreign key that came later, at either end
    cluster.admin(
        "CREATE TABLE public.root (id int PRIMARY KEY); INSERT INTO public.root VALUES (7);
        CREATE TABLE public.c3 (id int PRIMARY KEY, x int); INSERT INTO public.c3 VALUES (7, 1);
        CREATE TABLE public.o3 (x int, c int REFERENCES public.c3); INSERT INTO public.o3 VALUES (1, 7)",
    );
    scope("o3", "c");
    let id = read("c3", "SELECT x FROM acme.o3");
    cluster.admin("ALTER TABLE public.c3 ADD FOREIGN KEY (id) REFERENCES public.root");
    assert_eq!((certainty(&id, "c3", "7"), certainty(&id, "root", "7")), ("exact".into(), "exact".into()));
    cluster.admin("CREATE TABLE public.late (x int, cust bigint); INSERT INTO public.late VALUES (1, 8)");
    scope("late", "cust");
    let id = read("late", "SELECT x FROM acme.late");
    assert_eq!(certainty(&id, "customers", "8"), "");
    cluster.admin("ALTER TABLE public.late ADD FOREIGN KEY (cust) REFERENCES public.customers");
    assert_eq!((certainty(&id, "customers", "8"), certainty(&id, "customers", "9")), ("exact".into(), String::new()));
    // another type
    cluster.admin("CREATE TABLE public.ty (id int PRIMARY KEY, x int); INSERT INTO public.ty VALUES (7, 1)");
    scope("ty", "id");
    let id = read("ty", "SELECT x FROM acme.ty");
    cluster.admin("SELECT airlock.drop_scope('acme', 'public.ty'); ALTER TABLE public.ty ALTER id TYPE text");
    assert_eq!((certainty(&id, "ty", "7"), certainty(&id, "ty", "8")), ("exact".into(), String::new()));
    // keys that are equal across types
    cluster.admin("CREATE TABLE public.pc (code char(5) PRIMARY KEY); INSERT INTO public.pc VALUES ('ab');
        CREATE TABLE public.oc (x int, cust varchar(10) REFERENCES public.pc); INSERT INTO public.oc VALUES (1, 'ab  ');
        CREATE TABLE public.pd (d date PRIMARY KEY); INSERT INTO public.pd VALUES ('1990-01-02');
        CREATE TABLE public.od (x int, d timestamp REFERENCES public.pd); INSERT INTO public.od VALUES (1, '1990-01-02')");
    scope("oc", "cust");
    scope("od", "d");
    let (text, date) = (read("oc", "SELECT x FROM acme.oc"), read("od", "SELECT x FROM acme.od"));
    assert_eq!((certainty(&text, "pc", "ab"), certainty(&date, "pd", "1990-01-02")), ("exact".into(), "exact".into()));
    // two persons in a row, and one of two columns; by another column of the person's table; without a subject
    cluster.admin("CREATE TABLE public.msg (x int, sender bigint REFERENCES public.customers, receiver bigint REFERENCES public.customers);
        INSERT INTO public.msg VALUES (1, 42, 43);
        CREATE TABLE public.acct (x int, cust bigint REFERENCES public.customers, branch int); INSERT INTO public.acct VALUES (1, 42, 1);
        ALTER TABLE public.customers ADD UNIQUE (city, id);
        CREATE TABLE public.bare (x int, c bigint REFERENCES public.customers); INSERT INTO public.bare VALUES (1, 42);
        SELECT airlock.create_scope('acme', 'public.bare', '{\"x\": \"clear\"}')");
    scope("msg", "sender,receiver");
    scope("acct", "cust,branch");
    for (table, name) in [("msg", "pairs"), ("acct", "account"), ("bare", "bare")] {
        let id = read(name, &format!("SELECT x FROM acme.{table}"));
        assert_eq!(certainty(&id, "customers", "42"), "possible", "{table}");
    }
    // a partition's own scope, asked by the whole; and scopes that meet when one table becomes the other's child
    cluster.admin(
        "CREATE TABLE public.pq (id int PRIMARY KEY, x int) PARTITION BY RANGE (id);
        CREATE TABLE public.pq1 PARTITION OF public.pq FOR VALUES FROM (0) TO (10); INSERT INTO public.pq VALUES (1, 1);
        CREATE TABLE public.pr (emp int, id int, x int); CREATE TABLE public.pr1 (emp int, id int PRIMARY KEY, x int);
        INSERT INTO public.pr VALUES (5, 6, 1); INSERT INTO public.pr1 VALUES (3, 4, 1)",
    );
    scope("pq1", "id");
    scope("pr", "emp");
    scope("pr1", "id");
    let id = read("pq", "SELECT x FROM acme.pq1");
    assert_eq!((certainty(&id, "pq", "1"), certainty(&id, "pq", "2")), ("exact".into(), String::new()));
    cluster.admin("ALTER TABLE public.pr1 INHERIT public.pr");
    // one person's rows under two subjects: nothing is read until one scope is gone
    assert_eq!(cluster.sql("acme", "SELECT a.x, (SELECT count(*) FROM acme.pr1) FROM acme.pr a").code(), "AL010");
    cluster.admin("SELECT airlock.drop_scope('acme', 'public.pr1')");
    let id = read("pr", "SELECT x FROM acme.pr");
    assert_eq!(certainty(&id, "pr", "5"), "exact");
    assert_ne!(certainty(&id, "pr", "3"), "");
}
