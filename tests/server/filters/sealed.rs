//! Row filters and conditions over encrypted columns: they see the values, the sub-processor and everybody else do not.

use super::{damage, replace};
use crate::cluster::Cluster;
use crate::fixture::{leaked, logged, running, ACME_RULES, VISIBLE};

fn count(cluster: &Cluster) -> usize {
    let answer = cluster.sql("acme", "SELECT * FROM acme.customers").ok();
    assert_eq!(leaked(&answer), None);
    answer.received
}

fn one(cluster: &Cluster, sql: &str) -> String {
    cluster.admin(sql).value()
}

const FILTER: &str = "SELECT row_filter FROM airlock.scopes WHERE subprocessor = 'acme'";
const VIEW: &str = "SELECT pg_get_viewdef(inner_view) FROM airlock_catalog.scope WHERE dropped_at IS NULL AND subprocessor = (SELECT id FROM airlock_catalog.subprocessor WHERE name = 'acme')";

#[test]
fn the_value_decides_and_stays_hidden() {
    let cluster = running();
    cluster.admin("CREATE TABLE public.sealed (customer bigint, code airlock.encrypted('pii')); ALTER TABLE public.sealed OWNER TO app");
    cluster.sql("app", "INSERT INTO public.sealed SELECT g, 'code' || g % 3 FROM generate_series(1, 100) g").ok();
    for (filter, rows, shown) in [
        ("pay < 2000", 90, "(pay < (2000)::numeric)"),
        ("ssn LIKE 'CANARYMASK%'", 90, "(ssn ~~ 'CANARYMASK%'::text)"),
        ("pay BETWEEN 1001 AND 1010", 9, "((pay >= (1001)::numeric) AND (pay <= (1010)::numeric))"),
        ("upper(ssn) = 'CANARYMASK_E0007'", 1, "(upper(ssn) = 'CANARYMASK_E0007'::text)"),
        ("ssn = 'CANARYMASK_e0007' OR ssn IN ('CANARYMASK_e0008', 'x')", 2, "ssn = ANY"),
        ("diary IS NOT NULL AND customers.consent", 90, "(diary IS NOT NULL)"),
        ("CASE WHEN pay > 2000 THEN false ELSE true END", 90, "CASE WHEN (pay > (2000)::numeric)"),
        ("EXISTS (SELECT FROM public.customers o WHERE o.id = customers.id AND o.pay < 2000)", 90, "(o.pay < "),
        ("EXISTS (SELECT FROM public.sealed s WHERE s.customer = id AND s.code = 'code1' AND consent)", 30, "(s.code = "),
        ("id IN (SELECT s.customer FROM public.sealed s WHERE s.code = 'code1' AND pay < 2000)", 30, "(s.code = "),
        ("id IN (SELECT s.customer FROM public.sealed s JOIN public.customers c ON s.code <> c.ssn AND s.customer = c.id WHERE consent)", 90, "(s.code <> c.ssn)"),
    ] {
        replace(&cluster, filter);
        assert_eq!(count(&cluster), rows, "{filter}");
        let text = one(&cluster, FILTER);
        assert!(text.contains(shown) && !text.contains("disclose"), "{text}");
        let view = one(&cluster, VIEW);
        assert!(view.contains("airlock.disclose_filter("), "{view}");
        // what is shown can be written again
        replace(&cluster, &text);
        assert_eq!((one(&cluster, FILTER), count(&cluster)), (text, rows), "{filter}");
    }
    assert_eq!(one(&cluster, "SELECT coalesce(string_agg(d::text, chr(10)), '') FROM airlock.doctor() d WHERE severity = 'error' AND \"check\" <> 'fsync'"), "");
    // only what the filter names is opened
    replace(&cluster, "pay < 2000");
    let opens = "SELECT attname FROM airlock_catalog.scope c, unnest(c.filter_opens) o JOIN pg_attribute a ON atttypmod = o AND attrelid = 'public.customers'::regclass WHERE view = 'acme.customers'::regclass AND dropped_at IS NULL";
    assert_eq!(one(&cluster, opens), "pay");
    // the log says what was read to decide, and nobody who is hidden was seen
    cluster.connect_as("acme", "sealed").query("SELECT id FROM acme.customers").ok();
    let log = logged(&cluster, "sealed");
    assert_eq!(log[0].rows(), Some(VISIBLE), "{log:?}");
    let seen = |id: u32| {
        one(
            &cluster,
            &format!("SELECT count(*) FROM airlock.who_saw('public.customers', '{id}') WHERE certainty = 'exact'"),
        )
    };
    assert_eq!(seen(10), "0");
    assert_ne!(seen(11), "0", "control");
}

#[test]
fn nobody_opens_by_hand_and_what_does_not_open_ends_the_read() {
    let cluster = running();
    replace(&cluster, "pay < 2000");
    let scope = one(&cluster, "SELECT scope_no FROM airlock.scopes WHERE subprocessor = 'acme'");
    for who in ["acme", "app", "postgres"] {
        let call = format!("SELECT airlock.disclose_filter(pay, {scope}, NULL::numeric) FROM public.customers");
        let answer = cluster.sql(who, &call);
        assert!(matches!(answer.code(), "AL005" | "AL007" | "42501"), "{who}: {answer:?}");
        assert_eq!(answer.received, 0);
    }
    // the right number, but another column's
    cluster.admin("GRANT USAGE ON SCHEMA airlock TO acme; GRANT SELECT ON public.customers TO acme");
    for column in ["diary", "ssn", "pay"] {
        let call = format!(
            "SELECT airlock.disclose_filter(c.{column}, {scope}, NULL::text) FROM public.customers c, acme.customers v"
        );
        let answer = cluster.sql("acme", &call);
        assert_eq!((answer.code(), answer.received), ("AL007", 0), "{answer:?}");
    }
    // a row that is hidden decides too
    damage(&cluster, "pay", 10);
    let answer = cluster.sql("acme", "SELECT id FROM acme.customers");
    assert_eq!(answer.code(), "AL003", "{answer:?}");
    assert!(answer.received <= VISIBLE && leaked(&answer).is_none(), "{answer:?}");
    let counted = cluster.sql("acme", "SELECT count(*) FROM acme.customers");
    assert_eq!((counted.code(), counted.received), ("AL003", 0));
    assert_eq!(cluster.sql("globex", "SELECT id FROM globex.customers").ok().received, VISIBLE);
    for refused in [
        "airlock.disclose_filter(pay, 1, NULL::numeric) < 2000",
        "airlock.disclose_filter(id, 1, NULL::numeric) < 2000",
        "airlock.decrypt(ssn) = 'x'",
        "id IN (SELECT * FROM (SELECT 1) s)",
        "ssn::int > 5",
        "pay::text::int > 5",
        "EXISTS (SELECT FROM public.customers c WHERE c IS NULL)",
    ] {
        let sql = format!(
            "SELECT airlock.replace_scope('acme', 'public.customers', '{ACME_RULES}', row_filter => '{}')",
            refused.replace('\'', "''")
        );
        assert_eq!(cluster.admin_error(&sql).code(), "AL010", "{refused}");
    }
}

/// Values that are bound to their row open with it; and a condition decides by a column that the view does not have.
#[test]
fn bound_columns_and_conditions() {
    let cluster = running();
    cluster.admin(
        "CREATE TABLE public.staff (id int PRIMARY KEY, tenant int, name text, pay airlock.encrypted('money'));
         ALTER TABLE public.staff OWNER TO app",
    );
    cluster.sql("app", "SELECT airlock.encrypt_column('public.staff', 'name', 'pii', bind => '{tenant,id}')").ok();
    cluster
        .sql("app", "INSERT INTO public.staff SELECT g, g % 2, 'name' || g, g * 100 FROM generate_series(1, 20) g")
        .ok();
    let rules = |when: &str| {
        format!(
            r#"{{"id": "clear", "name": {{"when": "{when}", "then": "clear", "else": {{"mask": "redact", "keep_length": true}}}}}}"#
        )
    };
    let make = |function: &str, when: &str, filter: &str| {
        format!(
            "SELECT airlock.{function}('acme', 'public.staff', '{}', row_filter => '{}')",
            rules(when).replace('\'', "''"),
            filter.replace('\'', "''")
        )
    };
    cluster.admin(&make("create_scope", "pay < 500", "name <> 'name3'"));
    let names = || {
        let answer = cluster.sql("acme", "SELECT string_agg(name, ',' ORDER BY id) FROM acme.staff WHERE id < 7").ok();
        answer.value()
    };
    assert_eq!(names(), "name1,name2,name4,*****,*****");
    let plans: Vec<String> = cluster
        .admin(&make("preview_scope", "name LIKE '%4'", "pay < 2000"))
        .rows
        .iter()
        .map(|row| format!("{row:?}"))
        .collect();
    assert!(plans.iter().any(|line| line.contains("decrypted to decide")), "{plans:?}");
    assert!(!plans.iter().any(|line| line.contains("name4")), "{plans:?}");
    cluster.admin(&make("replace_scope", "name LIKE '%4'", "pay < 500"));
    assert_eq!(names(), "*****,*****,*****,name4");
    // a risk is looked for among all rows then
    let risk =
        cluster.admin("SELECT string_agg(finding::text, ' ') FROM airlock.link_risk('acme', 'globex') finding").value();
    assert!(risk.contains("was left out") || !risk.contains("staff"), "{risk}");
    // no key, no row: not a smaller answer
    cluster.admin("SELECT airlock.lock()");
    let answer = cluster.sql("acme", "SELECT id FROM acme.staff");
    assert_eq!((answer.code(), answer.received), ("AL001", 0), "{answer:?}");
}

/// A function that names its argument in an error would tell of a hidden row, and of a column that is not shown.
#[test]
fn an_error_of_the_filter_quotes_no_value() {
    let cluster = running();
    let quoted = "date field value out of range";
    let control = cluster.sql("app", "SELECT make_date(id::int, 2, 30) FROM public.customers");
    assert!(control.error.is_some_and(|e| e.get('M').contains(quoted)));
    let mut acme = cluster.connect_as("acme", "hushed");
    let own = acme.query("SELECT 1 / (id - id) FROM acme.customers");
    assert_eq!(
        own.error.map(|e| e.get('M').to_string()).as_deref(),
        Some("division by zero"),
        "a filter of which all is known"
    );
    let unknown = r#"{"id": {"when": "make_date(id::int, 2, 30) IS NULL", "then": "clear", "allow_duplicates": true}}"#;
    for (rules, filter) in [
        (ACME_RULES, "consent OR make_date(id::int, 2, 30) > '2000-01-01'"),
        (ACME_RULES, "consent OR chr(-id::int) IS NULL"),
        (ACME_RULES, "consent OR chr(id::int + 2000030) IS NULL"),
        (ACME_RULES, "consent OR to_tsquery('simple', (email || ' -30 ') || email) IS NULL"),
        (unknown, "consent"),
        (
            ACME_RULES,
            "consent OR EXISTS (SELECT FROM public.consents c WHERE make_date(c.customer::int, 2, 30) IS NULL)",
        ),
    ] {
        cluster.admin(&format!(
            "SELECT airlock.replace_scope('acme', 'public.customers', '{rules}', row_filter => '{}')",
            filter.replace('\'', "''")
        ));
        for read in ["SELECT id FROM acme.customers", "COPY (SELECT id FROM acme.customers) TO STDOUT"] {
            let answer = acme.query(read);
            let error = answer.error.as_ref().unwrap_or_else(|| panic!("{filter}: {answer:?}"));
            assert!(["22", "42", "54"].iter().any(|class| error.code().starts_with(class)), "{error:?}");
            assert!(error.get('M').contains("cannot be used") && error.get('D').contains("not shown"), "{error:?}");
            let text = format!("{error:?}");
            assert!(!["-30", "20001", "CANARY"].iter().any(|value| text.contains(value)), "{error:?}");
        }
        acme.query("BEGIN").ok();
        acme.query("DECLARE c CURSOR FOR SELECT id FROM acme.customers ORDER BY id DESC").ok();
        let error = acme.query("FETCH ALL FROM c");
        assert!(error.error.is_some_and(|e| e.get('M').contains("cannot be used")));
        acme.query("ROLLBACK").ok();
    }
    assert!(
        !cluster.log().lines().any(|line| line.contains(quoted) && line.contains("acme")),
        "nor in the server's log"
    );
    acme.query("SELECT 'the session goes on'").ok();
}
