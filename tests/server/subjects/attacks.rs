//! What is refused, forgotten or forged.

use super::touched;
use crate::fixture::{drained, running, settled, verify};

#[test]
fn subjects_that_cannot_be_told_apart_are_refused_where_they_are_declared() {
    let cluster = running();
    cluster.admin(
        "CREATE COLLATION public.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         CREATE TABLE public.odd (id int PRIMARY KEY, f float8, j jsonb, t text COLLATE public.ci, secret airlock.encrypted('pii'));
         INSERT INTO public.odd VALUES (1, 1, '1', 'A', 'x')",
    );
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
    assert_eq!(cluster.admin("SELECT bool_and(anybody) FROM airlock_catalog.read_subject s JOIN airlock_catalog.read_record r USING (id) WHERE r.application_name = 'ci'").value(), "t");
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
        (format!("UPDATE airlock_catalog.read_subject SET salt = salt || '\\x00' WHERE id = {third}"), "changed"),
        (format!("DELETE FROM airlock_catalog.read_subject WHERE id = {third}"), "missing"),
        (format!("UPDATE airlock_catalog.read_subject SET id = 1 WHERE id = {third}"), "added"),
        (format!("INSERT INTO airlock_catalog.read_subject SELECT id, scope + 1, domain, epoch, seen, scanned, anybody, tokens, listed, seen_filter, scanned_filter, salt FROM airlock_catalog.read_subject WHERE id = {third}"), "changed"),
        (format!("INSERT INTO airlock_catalog.read_private VALUES ({third}, '\\x00')"), "added"),
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
    let behind = "INSERT INTO airlock_catalog.read_private VALUES (999999, '\\x00')";
    admin.query("BEGIN").ok();
    admin.query(behind).ok();
    assert_eq!(verify(&mut admin).1, Some(999_999));
    admin.query("ROLLBACK").ok();
}
