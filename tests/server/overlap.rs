//! Two scopes of one sub-processor that come to show the same rows, since ALTER TABLE made one relation a parent of the other:
//! both are shut until an administrator has looked. `create_scope` refuses the same.

use crate::cluster::Cluster;
use crate::fixture::running;
use crate::protocol::Conn;

fn scope(of: &str, relation: &str) -> String {
    format!("SELECT airlock.create_scope('{of}', 'public.{relation}', '{{\"id\": \"clear\"}}')")
}

/// What each relation's view gives the session: its rows, or the error's code.
fn reads<'a>(conn: &mut Conn, of: &str, relations: &[&'a str]) -> Vec<(&'a str, String)> {
    let read = |relation: &&'a str| {
        let answer = conn.query(&format!("SELECT id FROM {of}.{relation}"));
        let told = if answer.error.is_some() { answer.code().to_string() } else { answer.received.to_string() };
        (*relation, told)
    };
    relations.iter().map(read).collect()
}

fn told<'a>(what: &[(&'a str, &str)]) -> Vec<(&'a str, String)> {
    what.iter().map(|(relation, told)| (*relation, told.to_string())).collect()
}

/// What doctor() says about the views: which, and what to type.
fn found(cluster: &Cluster) -> Vec<Vec<Option<String>>> {
    let sql =
        "SELECT object, message, fix FROM airlock.doctor() WHERE \"check\" = 'view' AND severity = 'error' ORDER BY 1";
    cluster.admin(sql).rows
}

#[test]
fn a_partition_that_is_attached_shuts_both_scopes() {
    let cluster = running();
    cluster.admin("CREATE TABLE public.orders (id integer) PARTITION BY LIST (id); CREATE TABLE public.orders_1 PARTITION OF public.orders FOR VALUES IN (1); \
        CREATE TABLE public.orders_2 (id integer); INSERT INTO public.orders VALUES (1); INSERT INTO public.orders_2 VALUES (2), (2)");
    cluster.admin(
        &[("acme", "orders"), ("acme", "orders_2"), ("globex", "orders_2")].map(|(of, r)| scope(of, r)).join(";"),
    );
    let both = ["orders", "orders_2"];
    let (mut acme, mut globex) = (cluster.connect("acme"), cluster.connect("globex"));
    acme.query("PREPARE p AS SELECT id FROM acme.orders").ok();
    // sessions that know one of the two
    let (mut above, mut below) = (cluster.connect("acme"), cluster.connect("acme"));
    let open = told(&[("orders", "1"), ("orders_2", "2")]);
    assert_eq!(reads(&mut acme, "acme", &both), open);
    assert_eq!(reads(&mut globex, "globex", &["orders_2"]), told(&[("orders_2", "2")]));
    assert_eq!(reads(&mut above, "acme", &["orders"]), open[..1]);
    assert_eq!(reads(&mut below, "acme", &["orders_2"]), open[1..]);
    let attach = "ALTER TABLE public.orders ATTACH PARTITION public.orders_2 FOR VALUES IN (2)";
    cluster.admin(attach);
    let shut = told(&[("orders", "AL010"), ("orders_2", "AL010")]);
    assert_eq!(reads(&mut above, "acme", &["orders"]), shut[..1]);
    assert_eq!(reads(&mut below, "acme", &["orders_2"]), shut[1..]);
    assert_eq!(reads(&mut acme, "acme", &both), shut);
    let answer = acme.query("EXECUTE p");
    assert_eq!((answer.code(), answer.received), ("AL010", 0), "{answer:?}");
    let error = answer.error.unwrap();
    assert!(error.get('H').contains("doctor()") && error.get('H').contains("drop_scope"), "{error:?}");
    // another one's, and other scopes, go on
    assert_eq!(reads(&mut globex, "globex", &["orders_2"]), told(&[("orders_2", "2")]));
    assert_eq!(acme.query("SELECT id FROM acme.customers").ok().received, 90);
    let said = found(&cluster);
    assert_eq!(said.len(), 1, "{said:?}");
    let [object, message, fix] = said[0].clone().try_into().unwrap();
    assert_eq!(object.as_deref(), Some("acme.orders_2"));
    assert!(message.unwrap().contains("scope of public.orders:"), "{said:?}");
    assert!(fix.unwrap().contains("drop_scope('acme', 'public.orders_2')"), "{said:?}");
    // to make it anew is refused, as to make it is
    let anew = "SELECT airlock.replace_scope('acme', 'public.orders', '{\"id\": \"clear\"}')";
    assert_eq!(cluster.admin_error(anew).code(), "AL010");
    cluster.admin("ALTER TABLE public.orders DETACH PARTITION public.orders_2");
    assert_eq!(reads(&mut acme, "acme", &both), open);
    assert_eq!(found(&cluster), Vec::<Vec<_>>::new());
    // an administrator looks, and keeps one: a partition's rows are the parent's
    cluster.admin(attach);
    assert_eq!(reads(&mut above, "acme", &["orders"]), shut[..1]);
    cluster.admin("SELECT airlock.drop_scope('acme', 'public.orders_2')");
    for conn in [&mut acme, &mut above] {
        assert_eq!(reads(conn, "acme", &["orders"]), told(&[("orders", "3")]));
    }
    assert_eq!(acme.query("EXECUTE p").ok().received, 3);
    assert_eq!(found(&cluster), Vec::<Vec<_>>::new());
}

/// Also through relations that no scope is of: none of the two relations itself is altered.
#[test]
fn inheritance_that_comes_later_shuts_both_scopes() {
    let cluster = running();
    cluster.admin("CREATE TABLE public.a (id integer); CREATE TABLE public.b (id integer); CREATE TABLE public.c () INHERITS (public.b); \
        CREATE TABLE public.d () INHERITS (public.c); INSERT INTO public.a VALUES (1); INSERT INTO public.d VALUES (4), (4)");
    cluster.admin(&[("acme", "a"), ("acme", "d"), ("globex", "a")].map(|(of, r)| scope(of, r)).join(";"));
    let (mut above, mut below, mut globex) =
        (cluster.connect("acme"), cluster.connect("acme"), cluster.connect("globex"));
    let open = told(&[("a", "1"), ("d", "2")]);
    for conn in [&mut above, &mut below] {
        conn.query("SET plan_cache_mode = force_generic_plan").ok();
    }
    assert_eq!(reads(&mut above, "acme", &["a"]), open[..1]);
    assert_eq!(reads(&mut below, "acme", &["d"]), open[1..]);
    assert_eq!(reads(&mut globex, "globex", &["a"]), open[..1]);
    cluster.admin("ALTER TABLE public.b INHERIT public.a");
    assert_eq!(reads(&mut above, "acme", &["a"]), told(&[("a", "AL010")]));
    assert_eq!(reads(&mut below, "acme", &["d"]), told(&[("d", "AL010")]));
    assert_eq!(reads(&mut globex, "globex", &["a"]), told(&[("a", "3")]), "its one scope follows");
    assert_eq!(found(&cluster).len(), 1);
    cluster.admin("ALTER TABLE public.c NO INHERIT public.b");
    assert_eq!(reads(&mut above, "acme", &["a", "d"]), open);
    assert_eq!(reads(&mut below, "acme", &["a", "d"]), open);
    // made while the two are apart, and met by a third relation
    cluster.admin("ALTER TABLE public.c INHERIT public.b");
    for conn in [&mut above, &mut below] {
        assert_eq!(reads(conn, "acme", &["a", "d"]), told(&[("a", "AL010"), ("d", "AL010")]));
    }
    cluster.admin("SELECT airlock.drop_scope('acme', 'public.a')");
    assert_eq!(reads(&mut below, "acme", &["d"]), open[1..]);
}
