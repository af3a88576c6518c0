//! What recipients can do with what they were given: `link_risk()` tries the join on the rows, `trace()` says whose pseudonym it
//! is. Both count and name, neither shows a value, and neither leaves one in the server's log.

mod trace;

use crate::cluster::Cluster;
use crate::fixture::running;

/// Rows of the answer by their text, NULL as an empty one.
fn rows(cluster: &Cluster, sql: &str) -> Vec<Vec<String>> {
    let answer = cluster.admin(sql);
    answer.rows.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect()).collect()
}

/// `kind, values_a, values_b, shared` of one pair of columns of customers; empty where it is not reported.
fn pair(cluster: &Cluster, column_a: &str, column_b: &str) -> Vec<String> {
    let sql = format!(
        "SELECT kind, values_a, values_b, shared FROM airlock.link_risk('acme', 'globex') WHERE column_a = '{column_a}' AND column_b = '{column_b}'
            AND relation_a = 'public.customers' AND relation_b = 'public.customers' AND kind IN ('link', 'weak', 'none')"
    );
    let found = rows(cluster, &sql);
    assert!(found.len() <= 1, "{found:?}");
    found.into_iter().next().unwrap_or_default()
}

fn replace(cluster: &Cluster, who: &str, rules: &str) {
    cluster.admin(&format!("SELECT airlock.replace_scope('{who}', 'public.customers', '{rules}', row_filter => 'consent', subject => '{{id}}')"));
}

#[test]
fn keyed_masks_join_nothing_clear_columns_do_and_masks_without_a_key_narrow() {
    let cluster = running();
    cluster.admin("UPDATE public.customers SET phone = '+1 202 55' || lpad(id::text, 5, '0')");
    // acme: id clear, email pseudonym; globex: both pseudonyms
    assert_eq!(pair(&cluster, "email", "email"), ["none", "90", "90", "0"]);
    assert_eq!(pair(&cluster, "id", "id"), ["none", "90", "90", "0"]);
    assert_eq!(pair(&cluster, "country", "country"), ["weak", "3", "3", "3"]);
    // keyed numbers and uuids and fpe as well, over an encrypted column too
    let keyed = r#"{"id": {"mask": "pseudonym_int"}, "ssn": {"mask": "pseudonym"}, "phone": {"mask": "fpe"}}"#;
    replace(&cluster, "acme", keyed);
    replace(&cluster, "globex", keyed);
    for column in ["id", "ssn", "phone"] {
        assert_eq!(pair(&cluster, column, column), ["none", "90", "90", "0"], "{column}");
    }
    // clear: they join; an encrypted column is opened for both
    let clear = r#"{"id": "clear", "ssn": "clear", "born": "clear", "city": {"mask": "partial", "left": 1}, "country": "clear"}"#;
    replace(&cluster, "acme", clear);
    replace(
        &cluster,
        "globex",
        r#"{"id": "clear", "ssn": "clear", "born": {"mask": "date_trunc", "unit": "year"}, "city": {"mask": "partial", "left": 1}, "country": {"mask": "hash_bucket", "buckets": 4}, "phone": {"mask": "pseudonym"}}"#,
    );
    assert_eq!(pair(&cluster, "id", "id"), ["link", "90", "90", "90"]);
    assert_eq!(pair(&cluster, "ssn", "ssn"), ["link", "90", "90", "90"]);
    // who has the day can make the year of it
    let years = pair(&cluster, "born", "born");
    assert_eq!((years[0].as_str(), &years[1], &years[1]), ("weak", &years[2], &years[3]), "{years:?}");
    assert_eq!(pair(&cluster, "city", "city")[0], "weak");
    assert_eq!(pair(&cluster, "country", "country")[0], "none", "a bucket under a key");
    // what stands for something else is not reported
    assert_eq!(pair(&cluster, "id", "ssn"), Vec::<String>::new());
    assert_eq!(pair(&cluster, "ssn", "phone"), Vec::<String>::new());
    // all that agrees, together, and without what joins alone
    let together = rows(&cluster, "SELECT column_a, relation_b, values_a, shared, message FROM airlock.link_risk('acme', 'globex') WHERE kind = 'combination' ORDER BY 4 DESC");
    assert_eq!(
        together[0][..4],
        ["id, city, born, ssn", "public.customers", "90", "90"].map(String::from),
        "{together:?}"
    );
    assert_eq!(together[0][4], "together they single out 90 of 90 rows that both see (100.0 %)");
    let alone = cluster.admin("SELECT count(*) FROM (SELECT 1 FROM public.customers WHERE consent GROUP BY date_trunc('year', born), airlock.mask_partial(city, 1) HAVING count(*) = 1) s").value();
    assert_eq!((together[1][0].as_str(), together[1][3].as_str()), ("city, born", alone.as_str()), "{together:?}");
    // the row filter is each scope's own: 10 rows of the two are the same
    cluster.admin(r#"SELECT airlock.replace_scope('globex', 'public.customers', '{"id": "clear"}', row_filter => 'consent AND id > 88')"#);
    assert_eq!(pair(&cluster, "id", "id"), ["link", "90", "10", "10"]);
    cluster.admin(
        r#"SELECT airlock.replace_scope('globex', 'public.customers', '{"id": "clear"}', row_filter => 'NOT consent')"#,
    );
    assert_eq!(pair(&cluster, "id", "id")[0], "none", "other rows");
    assert_eq!(crate::fixture::leaked(&cluster.admin("SELECT * FROM airlock.link_risk('acme', 'globex')")), None);
}

#[test]
fn tables_that_refer_to_each_other_join_and_numbers_that_only_look_alike_do_not() {
    let cluster = running();
    cluster.admin(
        r#"CREATE TABLE public.orders (no int PRIMARY KEY, customer bigint REFERENCES public.customers, pieces int, mail text, kind text[]);
         INSERT INTO public.orders SELECT g, g % 90 + 1, g % 100 + 1, 'CANARYMASK_p' || g || '@EXAMPLE.com ', '{x}' FROM generate_series(1, 300) g;
         SELECT airlock.replace_scope('acme', 'public.customers', '{"id": "clear", "email": "clear"}');
         SELECT airlock.drop_scope('globex', 'public.customers');
         SELECT airlock.create_scope('globex', 'public.orders', '{"no": "clear", "customer": "clear", "pieces": "clear", "mail": "clear", "kind": "clear"}')"#,
    );
    let found = || {
        rows(&cluster, "SELECT kind, relation_a, column_a, relation_b, column_b, shared FROM airlock.link_risk('acme', 'globex') ORDER BY 3")
    };
    let orders = |kind: &str, a: &str, b: &str, shared: &str| {
        [kind, "public.customers", a, "public.orders", b, shared].map(String::from).to_vec()
    };
    // written otherwise, the address is the same; no and pieces count from 1 as id does
    assert_eq!(found(), [orders("link", "email", "mail", "90"), orders("link", "id", "customer", "90")]);
    cluster.admin(r#"SELECT airlock.replace_scope('globex', 'public.orders', '{"customer": {"mask": "pseudonym"}, "pieces": "clear"}')"#);
    assert_eq!(found(), [orders("none", "id", "customer", "0")]);
    // fewer rows than there are: it says so
    let few = rows(
        &cluster,
        "SELECT kind, relation_a, message FROM airlock.link_risk('acme', 'globex', 50) WHERE kind = 'note'",
    );
    assert_eq!(few.len(), 2, "{few:?}");
    assert!(few[0][2].starts_with("the first 50 rows were compared"), "{few:?}");
}

#[test]
fn who_may_ask_and_what_is_on_record() {
    let cluster = running();
    cluster.admin("CREATE ROLE officer LOGIN IN ROLE airlock_admin; CREATE ROLE auditor LOGIN IN ROLE airlock_auditor");
    let ask = "SELECT count(*) FROM airlock.link_risk('acme', 'globex')";
    let answer = cluster.connect_as("officer", "compares").query(ask).ok();
    assert_eq!(answer.rows.len(), 1);
    for role in ["auditor", "clerk", "app", "acme"] {
        let code = cluster.sql(role, ask).code().to_string();
        assert!(["42501", "AL007"].contains(&code.as_str()), "{role}: {code}");
    }
    // EXECUTE alone is no right, and a sub-processor has none whatever it was granted
    cluster.admin("GRANT USAGE ON SCHEMA airlock TO clerk, acme; GRANT EXECUTE ON FUNCTION airlock.link_risk(text, text, integer), airlock.trace(text, text) TO clerk, acme");
    for ask in [ask, "SELECT * FROM airlock.trace('abc')"] {
        assert_eq!(cluster.sql("clerk", ask).code(), "42501");
        assert_eq!(cluster.sql("acme", ask).code(), "AL007");
    }
    for (arguments, code) in [
        ("'acme', 'acme'", "22023"),
        ("'acme', 'nobody'", "42704"),
        ("'nobody', 'acme'", "42704"),
        ("'acme', NULL", "22023"),
        ("'acme', 'globex', 0", "22023"),
        ("'acme', 'globex', 10000001", "22023"),
    ] {
        assert_eq!(
            cluster.sql("officer", &format!("SELECT * FROM airlock.link_risk({arguments})")).code(),
            code,
            "{arguments}"
        );
    }
    let noted = "SELECT what FROM airlock.audit_log WHERE application_name = 'compares'";
    assert_eq!(cluster.admin(noted).first(), ["link_risk: acme, globex"]);
    // an administrator without rights on a table does not learn of it by a table of its own choice
    cluster.admin(
        "CREATE TABLE public.guess (v text PRIMARY KEY); ALTER TABLE public.guess OWNER TO officer;
         INSERT INTO public.guess SELECT email FROM public.customers WHERE consent AND id < 9; SELECT airlock.replace_scope('acme', 'public.customers', '{\"id\": \"clear\", \"email\": \"clear\"}'); SELECT airlock.create_scope('globex', 'public.guess', '{\"v\": \"clear\"}')",
    );
    let guessed = "SELECT kind, column_b FROM airlock.link_risk('acme', 'globex') WHERE relation_b = 'public.guess'";
    assert_eq!(rows(&cluster, guessed).len(), 1, "whoever may read both");
    assert!(cluster.sql("officer", guessed).ok().rows.is_empty());
    let left =
        "SELECT count(*) FROM airlock.link_risk('acme', 'globex') WHERE kind = 'note' AND message LIKE '%left out%'";
    assert_eq!(cluster.sql("officer", left).ok().value(), "1");
    // where it cannot be recorded nothing is compared
    cluster.admin("SELECT airlock.lock()");
    assert_eq!(cluster.sql("officer", ask).code(), "AL001");
}

/// A filter that raises on a row, which would quote it.
#[test]
fn what_a_row_makes_the_filter_say_is_not_shown() {
    let cluster = running();
    cluster.admin("SELECT airlock.replace_scope('globex', 'public.customers', '{\"id\": \"clear\"}', row_filter => 'consent AND (make_date(1, 12 + id::integer, 1) IS NULL OR id > 0)')");
    let answer = cluster.sql("postgres", "SELECT * FROM airlock.link_risk('acme', 'globex')");
    assert_eq!(answer.code(), "55000", "{answer:?}");
    assert!(answer.error.as_ref().is_some_and(|e| e.get('M').contains("22008")), "{answer:?}");
    assert!(!cluster.log().contains("CANARY"), "{}", cluster.log());
    // the session goes on
    let mut conn = cluster.connect("postgres");
    assert_eq!(conn.query("SELECT * FROM airlock.link_risk('acme', 'globex')").code(), "55000");
    assert_eq!(conn.query("SELECT 1").value(), "1");
}
