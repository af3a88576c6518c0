//! `airlock.verify_column` finds every value that would not open, and shows none; `airlock.nonce_audit` finds a nonce that
//! was used twice.

use crate::cluster::Cluster;
use crate::fixture::{leaked, running};
use crate::protocol::{Answer, Row};

/// Everything but the last column, which is prose.
fn verify(cluster: &Cluster, table: &str, column: &str) -> Answer {
    let sql =
        format!("SELECT ok, part, sqlstate, count, first, message FROM airlock.verify_column('{table}', '{column}')");
    let answer = cluster.sql("app", &sql).ok();
    assert_eq!(leaked(&answer), None, "{answer:?}");
    answer
}

fn row(fields: &[&str]) -> Row {
    fields.iter().map(|f| (!f.is_empty()).then(|| (*f).to_string())).collect()
}

/// The bytes of a value, changed by an expression over `b`, as the text that a restore would bring.
fn forge(cluster: &Cluster, column: &str, from: &str, change: &str, id: u32) {
    cluster.admin(&format!(
        "SET airlock.encrypted_input = ciphertext;
         UPDATE public.customers SET {column} = (SELECT 'airlock:1:' || translate(encode({change}, 'base64'), E'\\n', '')
           FROM (SELECT decode(substr(format('%s', {from}), 11), 'base64') AS b) s) WHERE id = {id}"
    ));
}

#[test]
fn a_sound_column_is_said_to_be_sound() {
    let cluster = running();
    for column in ["ssn", "pay", "diary"] {
        let answer = verify(&cluster, "public.customers", column);
        assert_eq!(answer.rows.len(), 1, "{answer:?}");
        assert_eq!(answer.rows[0][..5], row(&["t", "customers", "", "100", ""]), "{answer:?}");
    }
    cluster.admin("UPDATE public.customers SET ssn = NULL WHERE id <= 40");
    assert_eq!(verify(&cluster, "public.customers", "ssn").rows[0][3].as_deref(), Some("60"), "NULL is no value");
}

#[test]
fn every_kind_of_damage_is_found_where_it_is() {
    let cluster = running();
    // as somebody with the files, or a restore from a bad copy, would leave it
    forge(&cluster, "diary", "diary", "set_byte(b, 40, get_byte(b, 40) # 1)", 1);
    forge(&cluster, "diary", "diary", "set_bit(b, 8 * (length(b) - 1), 1 - get_bit(b, 8 * (length(b) - 1)))", 2);
    forge(&cluster, "diary", "diary", "substr(b, 1, length(b) - 1)", 3);
    forge(&cluster, "diary", "diary", "b || '\\x00'", 4);
    // the nonce, the flags
    forge(&cluster, "diary", "diary", "set_byte(b, 10, get_byte(b, 10) # 128)", 5);
    forge(&cluster, "diary", "diary", "set_byte(b, 1, get_byte(b, 1) # 8)", 6);
    // a key version of nobody, and one of another key
    forge(&cluster, "diary", "diary", "set_byte(b, 5, get_byte(b, 5) # 255)", 7);
    forge(&cluster, "diary", "pay", "b", 8);
    // the row's binding, of which this column has none
    forge(&cluster, "diary", "diary", "set_byte(b, 1, get_byte(b, 1) # 2)", 9);
    let answer = verify(&cluster, "public.customers", "diary");
    assert_eq!(answer.rows[0][..5], row(&["f", "customers", "", "100", ""]), "{answer:?}");
    assert!(answer.rows[0][5].as_ref().unwrap().starts_with("9 of 100"), "{answer:?}");
    let cause = |said: &str| {
        let found = answer.rows[1..].iter().find(|r| r[5].as_ref().unwrap().contains(said));
        let found = found.unwrap_or_else(|| panic!("no cause says {said}: {answer:?}"));
        assert_eq!(found[..3], row(&["f", "customers", "AL003"]), "{found:?}");
        (found[3].clone().unwrap(), found[4].clone().unwrap())
    };
    let (count, first) = cause("authentication tag");
    assert_eq!(count, "6", "{answer:?}");
    assert_eq!(first.matches('(').count(), 5, "the first five: {first}");
    assert_eq!(cause("not of this database").0, "1");
    assert_eq!(cause("key \"money\"").0, "1");
    assert_eq!(cause("bound to its row").0, "1");
    assert_eq!(answer.rows.len(), 5);
    // the ctids are right
    let wanted = cluster.admin("SELECT ctid FROM public.customers WHERE id = 8").value();
    assert_eq!(cause("key \"money\"").1, format!("{{\"{wanted}\"}}"));
    // and what it says is what a reader meets
    for id in 1..=9 {
        assert_eq!(
            cluster.sql("app", &format!("SELECT diary::text FROM public.customers WHERE id = {id}")).code(),
            "AL003",
            "{id}"
        );
    }
}

#[test]
fn values_swapped_between_columns_of_one_key_are_found() {
    let cluster = running();
    cluster.admin("ALTER TABLE public.customers ADD COLUMN other airlock.encrypted_eq('pii'), ADD COLUMN third airlock.encrypted('pii')");
    forge(&cluster, "other", "ssn", "b", 5);
    forge(&cluster, "third", "diary", "b", 6);
    for column in ["other", "third"] {
        let answer = verify(&cluster, "public.customers", column);
        assert!(answer.rows[1][5].as_ref().unwrap().contains("authentication tag"), "{answer:?}");
        assert_eq!(answer.rows.iter().map(|r| r[3].as_deref().unwrap()).collect::<Vec<_>>(), ["1", "1"]);
    }
}

#[test]
fn values_of_a_retired_version_are_told_from_damage() {
    let cluster = running();
    cluster.admin("SELECT airlock.create_key('old'); ALTER TABLE public.customers ADD COLUMN past airlock.encrypted('old'); UPDATE public.customers SET past = 'x' WHERE id <= 7");
    let retire = "UPDATE airlock_catalog.key_version v SET state = 'retired' FROM airlock_catalog.key k WHERE k.uuid = v.owner AND k.name = 'old' AND v.use = 'seal'";
    cluster.admin(retire);
    let answer = verify(&cluster, "public.customers", "past");
    assert_eq!(answer.rows[1][..4], row(&["f", "customers", "AL002", "7"]), "{answer:?}");
    assert!(answer.rows[1][5].as_ref().unwrap().contains("version 1 of key \"old\" is retired"), "{answer:?}");
}

#[test]
fn arrays_domains_partitions_and_long_values_are_looked_through() {
    let cluster = running();
    cluster.admin(
        "CREATE DOMAIN public.secret AS airlock.encrypted('pii');
         CREATE TABLE public.shapes (id int, many airlock.encrypted('pii')[], one public.secret, several public.secret[], long airlock.encrypted('pii')) PARTITION BY RANGE (id);
         CREATE TABLE public.shapes_a PARTITION OF public.shapes FOR VALUES FROM (0) TO (10);
         CREATE TABLE public.shapes_b PARTITION OF public.shapes FOR VALUES FROM (10) TO (20);
         CREATE TYPE public.pair AS (n int, v airlock.encrypted('pii'));
         CREATE TABLE public.pairs (p public.pair, plain int);
         ALTER TABLE public.shapes OWNER TO app; ALTER TABLE public.pairs OWNER TO app; ALTER TABLE public.shapes_a OWNER TO app; ALTER TABLE public.shapes_b OWNER TO app;
         INSERT INTO public.shapes (id, many, one, long) SELECT g, ARRAY['a', 'b', NULL, 'c'], 'd', repeat('CANARYMASK_e', 1000) FROM generate_series(1, 19) g;
         UPDATE public.shapes SET several = ARRAY['e'::text, 'f'::text]::public.secret[]",
    );
    for (column, count) in [("many", "57"), ("one", "19"), ("several", "38"), ("long", "19")] {
        let answer = verify(&cluster, "public.shapes", column);
        assert_eq!(answer.rows[0][..5], row(&["t", "shapes", "", count, ""]), "{column}: {answer:?}");
        assert_eq!(answer.rows.len(), 1, "{column}");
    }
    // one value of one partition: an element of an array was moved into another column's
    cluster.admin("UPDATE public.shapes SET one = (SELECT many[1]::text FROM public.shapes WHERE id = 1) WHERE false");
    cluster.admin(
        "SET airlock.encrypted_input = ciphertext; UPDATE public.shapes s SET one = format('%s', s.many[2]) WHERE id = 12",
    );
    let answer = verify(&cluster, "public.shapes", "one");
    assert_eq!(
        answer.rows[1][..5],
        row(&[
            "f",
            "shapes_b",
            "AL003",
            "1",
            &format!("{{\"{}\"}}", cluster.admin("SELECT ctid FROM public.shapes WHERE id = 12").value())
        ]),
        "{answer:?}"
    );
    for (table, column, code) in [
        ("pairs", "p", "0A000"),
        ("pairs", "plain", "55000"),
        ("shapes", "gone", "42704"),
        ("customers", "id", "55000"),
    ] {
        let sql = format!("SELECT airlock.verify_column('public.{table}', '{column}')");
        assert_eq!(cluster.sql("app", &sql).code(), code, "{sql}");
    }
    let audit = cluster
        .sql("app", "SELECT ok, checked, repeated, copies, message FROM airlock.nonce_audit('public.shapes')")
        .ok();
    assert_eq!(audit.rows[0][..4], row(&["t", "133", "0", "1"]), "the value that was moved is a copy: {audit:?}");
    let audit = cluster.sql("app", "SELECT ok, message FROM airlock.nonce_audit('public.pairs')").ok();
    assert!(
        audit.rows[0][0].as_deref() == Some("f") && audit.rows[0][1].as_ref().unwrap().contains("column \"p\""),
        "{audit:?}"
    );
}

#[test]
fn who_may_verify() {
    let mut cluster = running();
    cluster.admin(
        "CREATE ROLE keeper LOGIN IN ROLE airlock_admin; GRANT USAGE ON SCHEMA airlock TO clerk; ALTER TABLE public.consents OWNER TO clerk;
         ALTER TABLE public.consents ADD COLUMN c airlock.encrypted('pii'); UPDATE public.consents SET c = 'CANARYMASK_e'; ALTER TABLE public.consents ENABLE ROW LEVEL SECURITY",
    );
    for call in ["verify_column", "nonce_audit"] {
        for (user, table, column, code) in [
            ("app", "customers", "ssn", ""),
            ("keeper", "customers", "ssn", ""),
            ("clerk", "customers", "ssn", "42501"),
            ("acme", "customers", "ssn", "42501"),
            // an owner without the right to decrypt; row security hides nothing from the count
            ("clerk", "consents", "c", ""),
        ] {
            let oid = cluster.admin(&format!("SELECT 'public.{table}'::regclass::oid")).value();
            let answer = cluster.sql(user, &format!("SELECT * FROM airlock.{call}({oid}::regclass, '{column}')"));
            assert_eq!(answer.code(), code, "{user} {call} {table}: {:?}", answer.error);
            assert_eq!(leaked(&answer), None);
            if code.is_empty() {
                assert!(answer.everything().contains("100"), "{answer:?}");
            }
        }
    }
    assert_eq!(cluster.sql("clerk", "SELECT c::text FROM public.consents").code(), "AL004", "control");
    // locked: nothing is said of any value; nonces need no key
    cluster.write_key("not a key");
    cluster.restart();
    assert_eq!(cluster.sql("app", "SELECT * FROM airlock.verify_column('public.customers', 'ssn')").code(), "AL001");
    assert_eq!(cluster.sql("app", "SELECT ok FROM airlock.nonce_audit('public.customers')").value(), "t");
}

#[test]
fn a_repeated_nonce_is_found_and_a_copy_is_not_one() {
    let cluster = running();
    let audit = |column: &str| {
        let sql = format!("SELECT ok, checked, repeated, copies, places, message FROM airlock.nonce_audit('public.customers', {column})");
        cluster.sql("app", &sql).ok().rows.remove(0)
    };
    assert_eq!(audit("NULL")[..5], row(&["t", "300", "0", "0", "{}"]));
    assert_eq!(audit("'ssn'")[..5], row(&["t", "100", "0", "0", "{}"]));
    // bytes are copied between rows of one column: nothing new was sealed
    cluster
        .admin("UPDATE public.customers SET ssn = (SELECT ssn FROM public.customers WHERE id = 1) WHERE id IN (2, 3)");
    assert_eq!(audit("NULL")[..5], row(&["t", "300", "0", "2", "{}"]));
    // the same nonce over something else: what a generator that forked badly would have written
    forge(
        &cluster,
        "diary",
        "(SELECT diary FROM public.customers WHERE id = 20)",
        "set_byte(b, length(b) - 1, get_byte(b, length(b) - 1) # 1)",
        21,
    );
    forge(
        &cluster,
        "diary",
        "(SELECT diary FROM public.customers WHERE id = 20)",
        "set_byte(b, length(b) - 1, get_byte(b, length(b) - 1) # 2)",
        22,
    );
    let found = audit("NULL");
    assert_eq!(found[..4], row(&["f", "300", "2", "2"]), "{found:?}");
    for id in [20, 21, 22] {
        let place = cluster.admin(&format!("SELECT ctid FROM public.customers WHERE id = {id}")).value();
        assert!(found[4].as_ref().unwrap().contains(&format!("\\\"diary\\\" {place}")), "{id} {place}: {found:?}");
    }
    assert_eq!(audit("'ssn'")[0].as_deref(), Some("t"));
}

/// More rows than fit into the memory that a sort may take: it spills, and finds the one that repeats.
#[test]
fn the_audit_is_exact_beyond_its_memory() {
    let cluster = running();
    cluster.admin(
        "SET airlock.encrypted_input = plaintext; CREATE TABLE public.many (id int, v airlock.encrypted('pii')); ALTER TABLE public.many OWNER TO app;
         INSERT INTO public.many SELECT g, 'v' || g FROM generate_series(1, 60000) g",
    );
    let mut app = cluster.connect("app");
    app.query("SET maintenance_work_mem = '1MB'").ok();
    let ask = "SELECT ok, checked, repeated, copies FROM airlock.nonce_audit('public.many', 'v')";
    assert_eq!(app.query(ask).ok().rows[0], row(&["t", "60000", "0", "0"]));
    let spilled = "SELECT temp_files > 0 FROM pg_stat_database WHERE datname = 'app'";
    drop(app);
    crate::process::eventually("the sort spilled", || (cluster.admin(spilled).value() == "t").then_some(()));
    cluster.admin(
        "SET airlock.encrypted_input = ciphertext;
         UPDATE public.many SET v = (SELECT 'airlock:1:' || translate(encode(set_byte(b, length(b) - 1, get_byte(b, length(b) - 1) # 1), 'base64'), E'\\n', '')
           FROM (SELECT decode(substr(format('%s', v), 11), 'base64') AS b FROM public.many WHERE id = 5) s) WHERE id = 59999",
    );
    assert_eq!(cluster.sql("app", ask).ok().rows[0], row(&["f", "60000", "1", "0"]));
}
