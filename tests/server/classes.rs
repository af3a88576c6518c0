//! Classes of columns: a label says what a column is, a class what holds for it by default, a scope takes it once and for all.

mod labels;
mod moved;

use crate::cluster::Cluster;
use crate::fixture::{drained, running, settled, ACME_RULES, VISIBLE};
use crate::protocol::Fields;

fn label(cluster: &Cluster, column: &str, class: &str) {
    cluster.admin(&format!("SECURITY LABEL FOR airlock ON COLUMN public.customers.{column} IS '{class}'"));
}

/// A statement of the administrator that is refused: SQLSTATE, DETAIL; the message and hint hold these words.
#[track_caller]
fn refused(cluster: &Cluster, sql: &str, words: &[&str]) -> (String, String) {
    let error: Fields = cluster.admin_error(sql);
    let said = format!("{} | {}", error.get('M'), error.get('H'));
    assert!(words.iter().all(|word| said.contains(word)), "{sql}: {said}");
    assert!(!error.get('H').is_empty(), "{sql}: {said}");
    (error.code().to_string(), error.get('D').to_string())
}

fn scope(what: &str, rules: &str) -> String {
    let call = format!(
        "airlock.{what}_scope('acme', 'public.customers', '{rules}', row_filter => 'consent', subject => '{{id}}')"
    );
    if what == "preview" {
        format!("SELECT * FROM {call}")
    } else {
        format!("SELECT {call}")
    }
}

/// The masks of acme's live rules, by column.
fn masks(cluster: &Cluster) -> String {
    cluster
        .admin(
            "SELECT jsonb_object_agg(\"column\", mask) FROM airlock.field_access WHERE subprocessor = 'acme' AND \"column\" IN ('email', 'phone', 'city')",
        )
        .value()
}

/// What doctor() has to say about classes: object, message, fix.
fn findings(cluster: &Cluster) -> Vec<[String; 3]> {
    let sql = "SELECT severity, object, message, fix FROM airlock.doctor() WHERE \"check\" = 'class' ORDER BY object, message";
    let row = |row: Vec<Option<String>>| {
        let mut fields = row.into_iter().map(Option::unwrap_or_default);
        assert_eq!(fields.next().as_deref(), Some("warning"));
        [(); 3].map(|()| fields.next().unwrap())
    };
    cluster.admin(sql).rows.into_iter().map(row).collect()
}

#[test]
fn default_is_the_mask_of_the_longest_class_and_stays_what_it_became() {
    let cluster = running();
    for (column, class) in
        [("email", "pii.contact.email"), ("phone", "pii.contact"), ("city", "place"), ("ssn", "pii.id")]
    {
        label(&cluster, column, class);
    }
    for set in [
        r#"'pii', '{"mask": "redact"}'"#,
        r#"'pii.contact', '{"mask": "partial", "right": 2}'"#,
        r#"'pii.contact.email', '{"mask": "email", "null_as": "none"}'"#,
        r#"'pii.contact.email', '{"mask": "pseudonym", "domain": "mail"}', subprocessor => 'globex'"#,
        r#"'pii.id', NULL, forbid_clear => true"#,
        r#"'place', '{"mask": "initials"}'"#,
    ] {
        cluster.admin(&format!("SELECT airlock.set_class({set})"));
    }
    let rules = r#"{"id": "clear", "email": "default", "phone": "default", "city": "default", "ssn": "default"}"#;
    let preview = cluster.admin(&scope("preview", rules)).rows;
    let lines: Vec<String> =
        preview.iter().map(|r| format!("{}: {}", r[0].as_deref().unwrap(), r[1].as_deref().unwrap())).collect();
    for line in [
        "column: \"email\": text (of text), class pii.contact.email",
        "column: \"ssn\": text (of encrypted text), class pii.id",
        "column: \"id\": bigint (of bigint)",
        r#"newly exposed: "email": {"mask":"email","show":"domain"}, was {"#,
    ] {
        assert!(lines.iter().any(|l| l.starts_with(line)), "{line} in {lines:#?}");
    }
    cluster.admin(&scope("replace", rules));
    // the definition keeps the word, the rules have the masks, the sub-processor sees them
    let definition = cluster.admin("SELECT definition FROM airlock.scopes WHERE subprocessor = 'acme'").value();
    assert_eq!(definition.matches("\"default\"").count(), 4, "{definition}");
    let before = masks(&cluster);
    assert!(
        before.contains(r#""email": {"mask": "email", "show": "domain"}"#) && before.contains(r#""mask": "initials""#),
        "{before}"
    );
    let read = "SELECT email, phone, city, ssn FROM acme.customers WHERE id = 7";
    let row = cluster.sql("acme", read).ok().rows.remove(0);
    let fields: Vec<&str> = row.iter().map(|f| f.as_deref().unwrap()).collect();
    assert_eq!((fields[0], &fields[1][14..], fields[2], fields[3]), ("***@example.com", "07", "L.", "********"));
    // for another sub-processor another mask, with its domain
    cluster.admin("SELECT airlock.replace_scope('globex', 'public.customers', '{\"email\": \"default\"}', row_filter => 'consent')");
    let globex = "SELECT mask->>'mask', domain FROM airlock_catalog.rule r JOIN airlock_catalog.scope c ON c.id = r.scope AND c.dropped_at IS NULL
        JOIN airlock_catalog.subprocessor s ON s.id = c.subprocessor WHERE s.name = 'globex' AND r.until IS NULL";
    assert_eq!(cluster.admin(globex).rows, [[Some("pseudonym".to_string()), Some("mail".to_string())]]);
    // a domain that came with a default goes with it
    cluster
        .admin(r#"SELECT airlock.set_class('pii.contact.email', '{"mask": "pseudonym"}', subprocessor => 'globex')"#);
    cluster.admin("SELECT airlock.replace_scope('globex', 'public.customers', '{\"email\": \"default\"}', row_filter => 'consent')");
    assert_eq!(
        cluster.admin(globex).rows,
        [[Some("pseudonym".to_string()), Some("public.customers.email".to_string())]]
    );

    // neither a label nor a class changes a scope
    assert_eq!(findings(&cluster), Vec::<[String; 3]>::new());
    label(&cluster, "city", "pii.id");
    cluster.admin(r#"SELECT airlock.set_class('pii.contact', '{"mask": "redact"}')"#);
    cluster.admin("SELECT airlock.drop_class('pii.contact.email')");
    cluster.admin("SECURITY LABEL FOR airlock ON COLUMN public.customers.ssn IS NULL");
    assert_eq!(masks(&cluster), before);
    assert_eq!(cluster.sql("acme", read).ok().rows[0], row);
    let found = findings(&cluster);
    let of = |column: &str| {
        let object = format!("acme: public.customers.{column}");
        let found: Vec<_> = found.iter().filter(|f| f[0] == object).collect();
        assert_eq!(found.len(), 1, "{column}: {found:#?}");
        assert!(found[0][2].contains("SELECT airlock.replace_scope('acme', 'public.customers', …)"), "{found:?}");
        found[0][1].clone()
    };
    assert!(of("email").contains("class \"pii.contact.email\": that is another mask by now"), "{found:#?}");
    assert!(of("phone").contains("another mask by now"), "{found:#?}");
    assert!(of("city").contains("is \"pii.id\" by now"), "{found:#?}");
    assert!(of("ssn").contains("no class any more"), "{found:#?}");
    assert_eq!(found.len(), 4, "{found:#?}");
    // what the fix says, with the definition as it stands
    cluster.admin("SECURITY LABEL FOR airlock ON COLUMN public.customers.ssn IS 'pii.id'");
    cluster.admin(&scope("replace", rules));
    assert_eq!(findings(&cluster), Vec::<[String; 3]>::new());
    assert_ne!(masks(&cluster), before);
    let kept = cluster.admin("SELECT changed->'defaults' FROM airlock.scope_history ORDER BY id DESC LIMIT 1").value();
    assert!(
        kept.contains(r#""city": {"mask": "initials"}"#) && kept.contains(r#""city": {"mask": "redact"}"#),
        "{kept}"
    );
}

#[test]
fn default_without_a_default_is_refused_at_its_path() {
    let cluster = running();
    let rules = r#"{"id": "clear", "email": "default"}"#;
    for what in ["replace", "preview"] {
        let (code, path) = refused(
            &cluster,
            &scope(what, rules),
            &["no class", "SECURITY LABEL FOR airlock ON COLUMN \"public\".\"customers\".\"email\""],
        );
        assert_eq!((code.as_str(), path.as_str()), ("AL010", "at $.email"));
    }
    label(&cluster, "email", "pii.contact");
    let (code, path) = refused(
        &cluster,
        &scope("replace", rules),
        &["\"pii.contact\"", "\"acme\"", "airlock.set_class('pii.contact'"],
    );
    assert_eq!((code.as_str(), path.as_str()), ("AL010", "at $.email"));
    cluster.admin(r#"SELECT airlock.set_class('pii', '{"mask": "date_trunc", "unit": "year"}')"#);
    let (code, path) =
        refused(&cluster, &scope("replace", rules), &["default mask of class \"pii.contact\"", "does not take"]);
    assert_eq!((code.as_str(), path.as_str()), ("AL010", "at $.email"));
    // a default that only another sub-processor has is no default
    cluster.admin("SELECT airlock.drop_class('pii')");
    cluster.admin(r#"SELECT airlock.set_class('pii', '{"mask": "email"}', subprocessor => 'globex')"#);
    assert_eq!(refused(&cluster, &scope("replace", rules), &["\"acme\""]).0, "AL010");
    cluster.admin(r#"SELECT airlock.set_class('pii', '{"mask": "email"}', subprocessor => 'acme')"#);
    cluster.admin(&scope("replace", rules));
    // the word is none inside a mask, and no other word is one
    let constant = r#"{"id": "clear", "email": {"mask": "constant", "value": "default"}}"#;
    cluster.admin(&scope("replace", constant));
    assert_eq!(cluster.sql("acme", "SELECT DISTINCT email FROM acme.customers").value(), "default");
    assert_eq!(refused(&cluster, &scope("replace", r#"{"email": "defaults"}"#), &["is no exposure"]).1, "at $.email");
}

#[test]
fn a_class_forbids_clear_for_itself_and_what_is_under_it() {
    let cluster = running();
    label(&cluster, "city", "place.town");
    let clear = r#"{"id": "clear", "city": "clear"}"#;
    let masked = r#"{"id": "clear", "city": {"mask": "initials"}}"#;
    cluster.admin(&scope("replace", clear));
    assert_eq!(findings(&cluster).len(), 1, "a class that nobody set");
    let forbidden = |by: &str| {
        cluster.admin("SELECT airlock.drop_scope('acme', 'public.customers')");
        for what in ["create", "preview"] {
            let (code, path) =
                refused(&cluster, &scope(what, clear), &[&format!("class \"{by}\" forbids"), "\"default\" or a mask"]);
            assert_eq!((code.as_str(), path.as_str()), ("AL010", "at $.city"), "{by}");
            cluster.admin(&scope(what, masked));
        }
        assert_eq!(refused(&cluster, &scope("replace", clear), &[by]), ("AL010".into(), "at $.city".into()));
    };
    cluster.admin("SELECT airlock.set_class('place', forbid_clear => true)");
    let found = findings(&cluster);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0][0], "acme: public.customers.city");
    assert!(found[0][1].contains("clear, which class \"place\" forbids by now"), "{found:#?}");
    let shown = "SELECT city FROM acme.customers WHERE id = 7";
    assert!(
        ["Oslo", "Lund", "Bergen"].contains(&cluster.sql("acme", shown).value().as_str()),
        "the scope is as it was"
    );
    forbidden("place");
    assert_eq!(findings(&cluster), Vec::<[String; 3]>::new());
    // neither a sub-class nor what is set for one sub-processor takes it back
    cluster.admin("SELECT airlock.set_class('place.town', forbid_clear => false)");
    cluster.admin("SELECT airlock.set_class('place', forbid_clear => false, subprocessor => 'acme')");
    forbidden("place");
    cluster.admin("SELECT airlock.drop_class('place')");
    cluster.admin(&scope("replace", clear));
    // for one sub-processor only
    cluster.admin("SELECT airlock.set_class('place.town', forbid_clear => true, subprocessor => 'acme')");
    assert_eq!(findings(&cluster).len(), 1);
    forbidden("place.town");
    cluster.admin(r#"SELECT airlock.replace_scope('globex', 'public.customers', '{"id": "clear", "city": "clear"}')"#);
    // a filter or a subject shows nothing
    label(&cluster, "consent", "place");
    label(&cluster, "id", "place.number");
    cluster.admin("SELECT airlock.set_class('place', forbid_clear => true)");
    cluster.admin(&scope("replace", r#"{"phone": "clear"}"#));
}

/// Labels do not come down to partitions in PostgreSQL, and a table shows the rows of all of them.
#[test]
fn a_class_holds_for_partitions_and_children() {
    let cluster = running();
    cluster.admin(
        "CREATE TABLE public.visits (id int, note text, who text) PARTITION BY RANGE (id);
         CREATE TABLE public.visits_1 PARTITION OF public.visits FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (id);
         CREATE TABLE public.visits_11 PARTITION OF public.visits_1 FOR VALUES FROM (0) TO (5);
         CREATE TABLE public.base (id int, note text); CREATE TABLE public.derived () INHERITS (public.base);
         SECURITY LABEL FOR airlock ON COLUMN public.visits.who IS 'pii.name';
         SECURITY LABEL FOR airlock ON COLUMN public.visits_11.note IS 'pii.health';
         SECURITY LABEL FOR airlock ON COLUMN public.derived.note IS 'pii.health'",
    );
    cluster.admin(r#"SELECT airlock.set_class('pii', '{"mask": "redact"}', forbid_clear => true)"#);
    let of = |table: &str, rules: &str| format!("SELECT airlock.create_scope('acme', 'public.{table}', '{rules}')");
    for (table, column) in [
        ("visits", "note"),
        ("visits_1", "note"),
        ("visits_11", "note"),
        ("base", "note"),
        ("derived", "note"),
        ("visits", "who"),
        ("visits_1", "who"),
        ("visits_11", "who"),
    ] {
        let (code, path) =
            refused(&cluster, &of(table, &format!("{{\"{column}\": \"clear\"}}")), &["class \"pii\" forbids"]);
        assert_eq!((code, path), ("AL010".into(), format!("at $.{column}")), "{table}");
    }
    // a partition has its table's class; a table does not have that of a partition
    for (table, rules, code) in [
        ("visits_11", r#"{"who": "default", "note": "default", "id": "clear"}"#, ""),
        ("visits", r#"{"who": "default", "note": "default"}"#, "AL010"),
        ("visits", r#"{"who": "default", "note": {"mask": "redact"}}"#, ""),
        ("base", r#"{"id": "clear"}"#, ""),
    ] {
        assert_eq!(cluster.sql("postgres", &of(table, rules)).code(), code, "{table} {rules}");
        if code.is_empty() {
            cluster.admin(&format!("SELECT airlock.drop_scope('acme', 'public.{table}')"));
        }
    }
    cluster.admin(&of("visits", r#"{"who": "default", "note": {"mask": "redact"}}"#));
    let exposed =
        "SELECT relation, column_name, exposed_to::text FROM airlock.classified_columns ORDER BY relation::text, 2";
    let rows: Vec<String> = cluster
        .admin(exposed)
        .rows
        .into_iter()
        .map(|r| r.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(rows, ["derived note {}", "visits who {acme}", "visits_11 note {acme}"]);
}

#[test]
fn what_is_set_for_a_class_is_checked_and_kept() {
    let cluster = running();
    cluster.admin("CREATE ROLE officer LOGIN; GRANT airlock_admin TO officer; CREATE ROLE auditor LOGIN; GRANT airlock_auditor TO auditor");
    for (arguments, code, detail) in [
        ("'PII'", "22023", ""),
        ("''", "22023", ""),
        ("'pii''; DROP TABLE x; --'", "22023", ""),
        ("NULL", "22023", ""),
        ("'pii', '\"clear\"'", "AL010", "at $"),
        ("'pii', 'null'", "AL010", "at $"),
        ("'pii', '{\"mask\": \"nope\"}'", "AL010", "at $.mask"),
        ("'pii', '{\"mask\": \"partial\", \"right\": \"x\"}'", "AL010", "at $.right"),
        ("'pii', '{\"mask\": \"date_trunc\", \"unit\": \"aeon\"}'", "AL010", "at $.unit"),
        ("'pii', '{\"when\": \"true\", \"then\": \"clear\"}'", "AL010", "at $"),
        ("'pii', subprocessor => 'nobody'", "42704", ""),
    ] {
        let answer = cluster.sql("officer", &format!("SELECT airlock.set_class({arguments})"));
        assert_eq!(answer.code(), code, "{arguments}: {answer:?}");
        assert_eq!(answer.error.unwrap().get('D'), detail, "{arguments}");
    }
    let mut officer = cluster.connect("officer");
    officer.query(r#"SELECT airlock.set_class('pii', '{"mask": "redact"}')"#).ok();
    officer.query(r#"SELECT airlock.set_class('pii', '{"mask": "redact"}')"#).ok();
    cluster.admin(r#"SELECT airlock.set_class('pii', '{"mask": "redact", "keep_length": true}', true)"#);
    officer.query(r#"SELECT airlock.set_class('pii', '{"mask": "email"}', subprocessor => 'acme')"#).ok();
    officer.query("SELECT airlock.drop_class('pii', 'acme')").ok();
    assert_eq!(officer.query("SELECT airlock.drop_class('pii', 'acme')").code(), "42704");
    assert_eq!(officer.query("SELECT airlock.drop_class('pi')").code(), "42704");
    let text = |rows: Vec<Vec<Option<String>>>| -> Vec<String> {
        rows.into_iter().map(|r| r.into_iter().map(|f| f.unwrap_or("-".into())).collect::<Vec<_>>().join(" ")).collect()
    };
    let history = "SELECT class, subprocessor, mask->>'mask', forbid_clear, login_role, acting_role, until IS NULL, until_login_role FROM airlock.class_history ORDER BY id";
    let wanted = [
        "pii - redact f officer officer f postgres",
        "pii - redact t postgres postgres t -",
        "pii acme email f officer officer f officer",
    ];
    assert_eq!(text(cluster.sql("auditor", history).ok().rows), wanted);
    let now = "SELECT class, subprocessor, mask, forbid_clear FROM airlock.classes";
    assert_eq!(text(cluster.sql("officer", now).ok().rows), [r#"pii - {"mask": "redact", "keep_length": true} t"#]);
    for (user, sql) in [
        ("auditor", "SELECT airlock.set_class('pii')"),
        ("app", "SELECT airlock.drop_class('pii')"),
        ("clerk", "SELECT airlock.propose_scope('acme', 'public.customers')"),
        ("clerk", "SELECT * FROM airlock.classes"),
        ("app", "SELECT * FROM airlock.class_history"),
        ("app", "SELECT * FROM airlock.classified_columns"),
        ("officer", "SELECT * FROM airlock_catalog.column_label"),
        ("officer", "DELETE FROM airlock_catalog.class"),
    ] {
        assert_eq!(cluster.sql(user, sql).code(), "42501", "{user}: {sql}");
    }
    // two at once take turns
    let mut other = cluster.connect("officer");
    officer.query("BEGIN; SELECT airlock.set_class('pii', forbid_clear => true)").ok();
    other.begin("SELECT airlock.set_class('pii')");
    crate::process::eventually("the second waits", || {
        (cluster.admin("SELECT count(*) FROM pg_locks WHERE NOT granted").value() == "1").then_some(())
    });
    officer.query("COMMIT").ok();
    other.finish().ok();
    assert_eq!(text(cluster.admin(now).rows), ["pii - - f"]);
}

#[test]
fn a_proposal_is_a_scope_to_begin_with() {
    let cluster = running();
    for (column, class) in [
        ("email", "pii.contact"),
        ("phone", "pii.contact"),
        ("born", "pii.contact"),
        ("ssn", "pii.id"),
        ("note", "secret"),
    ] {
        label(&cluster, column, class);
    }
    cluster.admin(r#"SELECT airlock.set_class('pii', '{"mask": "redact"}', forbid_clear => true), airlock.set_class('secret', forbid_clear => true)"#);
    let propose = |who: &str| cluster.admin(&format!("SELECT airlock.propose_scope('{who}', 'public.customers')"));
    let answer = propose("acme");
    let notice = answer.notices.iter().find(|n| n.get('D').contains("born")).expect("a notice about born");
    assert!(notice.get('D').contains("does not take"), "{notice:?}");
    let rules = answer.value();
    assert_eq!(rules, r#"{"ssn": "default", "email": "default", "phone": "default"}"#);
    cluster.admin(&scope("replace", &rules));
    assert_eq!(cluster.sql("acme", "SELECT * FROM acme.customers").ok().columns, ["email", "phone", "ssn"]);
    cluster.admin(r#"SELECT airlock.set_class('secret', '{"mask": "nullify"}', subprocessor => 'globex')"#);
    assert!(propose("globex").value().contains(r#""note": "default""#));
    assert!(!propose("acme").value().contains("note"));
    assert_eq!(cluster.admin("SELECT airlock.propose_scope('acme', 'public.consents')").value(), "{}");
    for (arguments, code) in [
        ("'nobody', 'public.customers'", "42704"),
        ("'acme', 99999::regclass", "42704"),
        ("'acme', 'pg_class'", "AL010"),
    ] {
        assert_eq!(
            cluster.admin_error(&format!("SELECT airlock.propose_scope({arguments})")).code(),
            code,
            "{arguments}"
        );
    }
}

#[test]
fn registers_name_the_class() {
    let cluster = running();
    label(&cluster, "email", "pii.contact");
    label(&cluster, "ssn", "pii.id");
    label(&cluster, "note", "secret");
    cluster.admin("SELECT airlock.set_class('pii.id', forbid_clear => true)");
    cluster.connect_as("acme", "reads").query("SELECT id, city FROM acme.customers").ok();
    assert_eq!(settled(&cluster, "reads", 1)[0].rows(), Some(VISIBLE));
    drained(&cluster);
    let rows = |sql: &str| -> Vec<String> {
        let rows = cluster.admin(sql).rows.into_iter();
        rows.map(|r| r.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join(" ")).collect()
    };
    assert_eq!(
        rows("SELECT * FROM airlock.classified_columns"),
        [
            "customers email pii.contact f f {acme,globex}",
            "customers note secret f f {}",
            "customers ssn pii.id t t {acme}"
        ]
    );
    let access = "SELECT \"column\", class, reads FROM airlock.field_access WHERE subprocessor = 'acme' AND \"column\" IN ('id', 'email', 'ssn')";
    assert_eq!(rows(access), ["id  1", "email pii.contact 0", "ssn pii.id 0"]);
    let record = "SELECT f->>'class' FROM jsonb_path_query(airlock.processing_record(), '$.subprocessors[*] ? (@.name == \"acme\").fields[*]') f WHERE f->>'column' = 'email'";
    assert_eq!(rows(record), ["pii.contact"]);
    let csv = rows("SELECT * FROM airlock.processing_record_csv()");
    assert!(csv[0].ends_with(",\"reads\",\"where\",\"class\""), "{csv:?}");
    assert!(csv.iter().any(|l| l.contains("\"ssn\"") && l.ends_with(",\"pii.id\"")), "{csv:#?}");
    let page = cluster.admin("SELECT airlock.report()").value();
    assert!(page.contains("<th scope=\"row\">email<small>pii.contact</small></th>"), "{page}");
    assert!(page.contains("<th scope=\"row\">city</th>"), "{page}");
    // and goes with the label
    cluster.admin("SECURITY LABEL FOR airlock ON COLUMN public.customers.email IS NULL");
    cluster.admin("SELECT airlock.replace_scope('acme', 'public.customers', '{\"id\": \"clear\"}'); ALTER TABLE public.customers DROP COLUMN note");
    assert_eq!(rows("SELECT column_name FROM airlock.classified_columns"), ["ssn"]);
    assert!(ACME_RULES.contains("ssn"));
}
