//! What a subquery of a row filter must not be, and who must not write one.

use crate::cluster::Cluster;
use crate::fixture::running;
use crate::protocol::Answer;

const PREPARED: &str = "
    CREATE VIEW public.seen AS SELECT customer FROM public.consents;
    CREATE MATERIALIZED VIEW public.kept AS SELECT customer FROM public.consents;
    CREATE TABLE public.secured (customer bigint); ALTER TABLE public.secured ENABLE ROW LEVEL SECURITY;
    CREATE TABLE public.sealed (customer bigint, code airlock.encrypted_eq('pii'));
    CREATE TABLE public.tagged (customer bigint, place public.place);
    CREATE FUNCTION public.mine(bigint) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true';
    CREATE SEQUENCE public.counter; CREATE TABLE public.\"old\" (customer bigint);
    CREATE ROLE maker LOGIN IN ROLE airlock_admin";

fn prepared() -> Cluster {
    let cluster = running();
    cluster.admin("CREATE TYPE public.place AS (x int, y int)");
    cluster.admin(PREPARED);
    cluster
}

fn make(cluster: &Cluster, who: &str, filter: &str) -> Answer {
    let filter = filter.replace('\'', "''");
    cluster.sql(
        who,
        &format!("SELECT airlock.create_scope('initech', 'public.customers', '{{\"id\": \"clear\"}}', row_filter => '{filter}')"),
    )
}

fn initech(cluster: &Cluster) {
    cluster.admin("CREATE ROLE initech LOGIN; SELECT airlock.create_subprocessor('initech', role => 'initech', legal_name => 'Initech', contract => 'DPA-3', purposes => '{mail}')");
}

#[test]
fn a_subquery_is_exists_or_in_over_tables_and_nothing_else() {
    let cluster = prepared();
    initech(&cluster);
    for (filter, word) in [
        ("id = (SELECT max(customer) FROM public.consents)", "as a value"),
        ("(SELECT given FROM public.consents WHERE customer = id)", "as a value"),
        ("id = ANY (ARRAY(SELECT customer FROM public.consents))", "as a value"),
        ("(id, consent) = (SELECT customer, given FROM public.consents)", "as a value"),
        ("id > ALL (SELECT customer FROM public.consents)", "ALL"),
        ("EXISTS (WITH w AS (SELECT customer FROM public.consents) SELECT FROM w WHERE customer = id)", "WITH"),
        ("id IN (SELECT customer FROM public.consents UNION SELECT 1)", "UNION"),
        ("id IN (SELECT max(customer) FROM public.consents)", "aggregate"),
        ("id IN (SELECT customer FROM public.consents GROUP BY customer)", "GROUP BY"),
        ("EXISTS (SELECT FROM public.consents HAVING true)", "HAVING"),
        ("id IN (SELECT row_number() OVER () FROM public.consents)", "window"),
        ("EXISTS (SELECT generate_series(1, customer) FROM public.consents WHERE customer = id)", "set"),
        ("id IN (SELECT DISTINCT customer FROM public.consents)", "DISTINCT"),
        ("id IN (SELECT DISTINCT ON (given) customer FROM public.consents)", "DISTINCT"),
        ("id IN (SELECT customer FROM public.consents ORDER BY 1)", "ORDER BY"),
        ("EXISTS (SELECT FROM public.consents WHERE customer = id LIMIT 1)", "LIMIT"),
        ("EXISTS (SELECT FROM public.consents WHERE customer = id OFFSET 0)", "LIMIT"),
        ("EXISTS (SELECT FROM public.consents WHERE customer = id FOR UPDATE)", "locks"),
        ("EXISTS (SELECT 1)", "without a table"),
        ("EXISTS (SELECT 1 WHERE id > 3)", "without a table"),
        ("id IN (VALUES (1), (2))", "no table"),
        ("id IN (SELECT g FROM generate_series(1, 9) g)", "no table"),
        ("id IN (SELECT s.customer FROM (SELECT customer FROM public.consents) s)", "no table"),
        ("id IN (SELECT v.i FROM public.consents c, (VALUES (1)) v (i) WHERE c.given)", "no table"),
        ("id IN (SELECT v.i FROM public.consents c, LATERAL (SELECT c.customer) v (i))", "no table"),
        ("id IN (SELECT customer FROM ONLY public.consents)", "ONLY"),
        ("id IN (SELECT customer FROM public.consents TABLESAMPLE system (10))", "TABLESAMPLE"),
        ("id IN (SELECT c.customer FROM public.consents c JOIN public.consents d USING (customer))", "USING"),
        ("id IN (SELECT customer FROM public.consents c NATURAL JOIN public.consents d)", "NATURAL"),
        ("id IN (SELECT j.x FROM (public.consents c (x, y) JOIN public.secured s ON s.customer = x) j)", "named join"),
        ("id IN (SELECT x FROM public.consents c (x))", "other names"),
        ("id IN (SELECT \"old\".customer FROM public.consents \"old\")", "\"old\""),
        ("id IN (SELECT customer FROM public.\"old\")", "\"old\""),
        ("id IN (SELECT \"new\".customer FROM public.consents \"new\")", "\"new\""),
        ("EXISTS (SELECT FROM public.consents)", "no column"),
        ("EXISTS (SELECT FROM public.consents WHERE id = 5)", "no column"),
        // tables that are nobody's to share
        ("id IN (SELECT customer FROM public.seen)", "a view"),
        ("id IN (SELECT customer FROM public.kept)", "a materialized view"),
        ("id IN (SELECT customer FROM public.secured)", "row security"),
        ("id IN (SELECT last_value FROM public.counter)", "a sequence"),
        ("consent IN (SELECT relhasindex FROM pg_catalog.pg_class)", "not open"),
        ("id IN (SELECT subprocessor FROM airlock_catalog.scope)", "not open"),
        ("id IN (SELECT id FROM acme.customers)", "a view"),
        // columns and functions, as outside
        ("consent IN (SELECT * FROM (SELECT code FROM public.sealed) s)", "cannot be read"),
        ("EXISTS (SELECT FROM public.sealed WHERE customer = id AND code::int > 3)", "casts a column"),
        (
            "EXISTS (SELECT FROM public.sealed s WHERE customer = id AND airlock.decrypt(s.code) = 'x')",
            "cannot be read",
        ),
        ("EXISTS (SELECT FROM public.tagged WHERE customer = id AND place IS NOT NULL)", "not built in"),
        ("EXISTS (SELECT FROM public.consents c WHERE c IS NOT NULL)", "whole row"),
        ("EXISTS (SELECT FROM public.consents c WHERE customers IS NOT NULL AND c.given)", "whole row"),
        ("EXISTS (SELECT FROM public.consents c WHERE c.ctid IS NOT NULL)", "system column"),
        ("EXISTS (SELECT FROM public.consents c WHERE public.mine(c.customer))", "not built in"),
        ("EXISTS (SELECT FROM public.consents c JOIN public.consents d ON public.mine(d.customer))", "not built in"),
        ("id IN (SELECT abs(customer + random()::bigint) FROM public.consents)", "not IMMUTABLE"),
        ("EXISTS (SELECT FROM public.consents WHERE customer::text = CURRENT_USER)", "session"),
        // and no more than one expression
        ("EXISTS (SELECT FROM public.nowhere)", "cannot be read"),
        ("EXISTS (SELECT FROM consents WHERE customer = id)", "cannot be read"),
        ("EXISTS (SELECT FROM public.consents WHERE nope)", "cannot be read"),
        ("EXISTS (SELECT FROM public.consents) ; SELECT (true", "cannot be read"),
        ("EXISTS (DELETE FROM public.consents)", "cannot be read"),
    ] {
        let answer = make(&cluster, "postgres", filter);
        let error = answer.error.as_ref().unwrap_or_else(|| panic!("allowed: {filter}"));
        assert_eq!(error.code(), "AL010", "{filter}: {error:?}");
        assert!(error.get('M').contains(word), "{filter}: {error:?}");
        assert!(error.get('D').contains("row_filter"), "{filter}: {error:?}");
        assert!(!error.get('H').is_empty(), "{filter}: {error:?}");
    }
    let error = make(&cluster, "postgres", "EXISTS (SELECT FROM consents WHERE customer = id)");
    assert!(error.error.is_some_and(|e| e.get('H').contains("public.consents")));
    // the twin
    make(&cluster, "postgres", "EXISTS (SELECT * FROM public.consents WHERE customer = id AND given)").ok();
    assert_eq!(cluster.sql("initech", "SELECT id FROM initech.customers").ok().received, 90);
    assert_eq!(cluster.admin("SELECT rolname FROM pg_roles WHERE rolname = 'airlock_view_owner' AND has_table_privilege(oid, 'public.consents', 'SELECT')").received, 0);
}

/// Which rows a scope shows tells about the rows of the other table, so its maker must be allowed to share those too.
#[test]
fn who_may_not_share_the_other_table_makes_no_scope_with_it() {
    let cluster = prepared();
    initech(&cluster);
    let filter = "EXISTS (SELECT FROM public.consents c WHERE c.customer = customers.id AND c.given)";
    cluster.admin("GRANT SELECT ON public.customers TO maker WITH GRANT OPTION");
    for right in [
        "",
        "GRANT SELECT ON public.consents TO maker",
        "GRANT SELECT (customer, given) ON public.consents TO maker WITH GRANT OPTION",
    ] {
        if !right.is_empty() {
            cluster.admin(right);
        }
        let answer = make(&cluster, "maker", filter);
        let error = answer.error.as_ref().unwrap_or_else(|| panic!("allowed: {right}"));
        assert_eq!(error.code(), "42501", "{right}: {error:?}");
        assert!(error.get('M').contains("consents") && error.get('H').contains("WITH GRANT OPTION"), "{error:?}");
        let preview = filter.replace('\'', "''");
        let preview = cluster.sql("maker", &format!("SELECT * FROM airlock.preview_scope('initech', 'public.customers', '{{\"id\": \"clear\"}}', row_filter => '{preview}')"));
        assert_eq!(preview.code(), "42501");
    }
    assert_eq!(
        cluster
            .admin("SELECT airlock.filter_relations FROM airlock.scopes airlock WHERE subprocessor = 'initech'")
            .received,
        0
    );
    cluster.admin("GRANT SELECT ON public.consents TO maker WITH GRANT OPTION");
    make(&cluster, "maker", filter).ok();
    assert_eq!(cluster.sql("initech", "SELECT id FROM initech.customers").ok().received, 90);
}

/// A cast of a column fails on a value that is none, in a hidden row as well, and PostgreSQL quotes the value.
#[test]
fn a_filter_casts_no_column_to_what_it_may_not_be() {
    let cluster = prepared();
    cluster.admin("ALTER TABLE public.customers ADD COLUMN tags text[]");
    initech(&cluster);
    for filter in [
        "email::integer > 0",
        "CAST(email AS date) > now()::date",
        "id::text::integer > 0",
        "(CASE WHEN consent THEN email ELSE '1' END)::bigint = id",
        "ARRAY[email]::integer[] IS NOT NULL",
        "tags::integer[] IS NOT NULL",
        "CASE email WHEN '1' THEN true ELSE tags::date[] IS NULL END",
        "EXISTS (SELECT FROM public.consents c WHERE c.customer = customers.email::bigint)",
    ] {
        let answer = make(&cluster, "postgres", filter);
        let error = answer.error.as_ref().unwrap_or_else(|| panic!("{filter} was allowed"));
        assert_eq!((error.code(), error.get('D')), ("AL010", "at row_filter"), "{filter}: {error:?}");
        assert!(!error.get('H').is_empty(), "{filter}: {error:?}");
    }
    make(&cluster, "postgres", "id::text LIKE '1%' OR id = '5'::text::integer OR email::varchar = 'x'").ok();
}
