//! Every change of a sub-processor and of a scope is kept with who, when and why; what is granted and never read is listed
//! with the statement that takes it back, and that statement does.

use crate::cluster::Cluster;
use crate::fixture::{drained, running, settled};

fn last(cluster: &Cluster, view: &str) -> Vec<Option<String>> {
    let relation = if view == "scope_history" { "relation" } else { "NULL" };
    let reason = if view == "scope_history" { "NULL" } else { "reason" };
    cluster
        .admin(&format!(
            "SELECT subprocessor, {relation}, action, {reason}, changed::text, login_role, acting_role FROM airlock.{view} ORDER BY id DESC LIMIT 1"
        ))
        .rows
        .remove(0)
}

fn row(fields: [&str; 7]) -> Vec<Option<String>> {
    fields.iter().map(|f| (!f.is_empty()).then(|| f.to_string())).collect()
}

#[test]
fn changes_are_kept_with_who_and_why() {
    let cluster = running();
    cluster.admin(
        "CREATE ROLE officer LOGIN; GRANT airlock_admin TO officer; CREATE ROLE office LOGIN; GRANT officer TO office",
    );
    let count = || {
        cluster.admin("SELECT (SELECT count(*) FROM airlock.subprocessor_history) + (SELECT count(*) FROM airlock.scope_history)").value()
    };
    let created = cluster
        .admin("SELECT action, changed->'legal_name' FROM airlock.subprocessor_history WHERE subprocessor = 'acme'")
        .rows;
    assert_eq!(created, [[Some("create".to_string()), Some("[null, \"Acme Analytics GmbH\"]".to_string())]]);
    let mut office = cluster.connect("office");
    office.query("SET ROLE officer").ok();
    office.query(r#"SELECT airlock.alter_subprocessor('acme', '{"contract": "DPA-9", "rows_per_day": 5000, "legal_name": "Acme Analytics GmbH"}')"#).ok();
    let changed = r#"{"contract": ["DPA-1", "DPA-9"], "rows_per_day": [null, 5000]}"#;
    assert_eq!(last(&cluster, "subprocessor_history"), row(["acme", "", "alter", "", changed, "office", "officer"]));
    for (call, action, changed) in [
        ("suspend('acme', 'breach')", "suspend", r#"{"state": ["active", "suspended"]}"#),
        ("resume('acme', 'breach')", "resume", r#"{"state": ["suspended", "active"]}"#),
    ] {
        office.query(&format!("SELECT airlock.{call}")).ok();
        assert_eq!(
            last(&cluster, "subprocessor_history"),
            row(["acme", "", action, "breach", changed, "office", "officer"])
        );
    }
    office.query("SELECT airlock.set_log_retention('acme', 90)").ok();
    assert_eq!(last(&cluster, "subprocessor_history")[4].as_deref(), Some(r#"{"log_days": [null, 90]}"#));
    // what was not committed, or refused, is no change
    let before = count();
    cluster.admin("BEGIN; SELECT airlock.suspend('acme', 'x'); ROLLBACK");
    assert!(!cluster.sql("postgres", "SELECT airlock.resume('acme', 'is active')").code().is_empty());
    assert!(!cluster.sql("postgres", r#"SELECT airlock.alter_subprocessor('acme', '{"x": 1}')"#).code().is_empty());
    cluster.admin("SELECT * FROM airlock.preview_scope('acme', 'public.customers', '{\"id\": \"clear\"}')");
    assert_eq!(count(), before);
    // a scope, by column
    cluster.admin(r#"SELECT airlock.replace_scope('acme', 'public.customers', '{"id": "clear", "email": {"mask": "email"}}', row_filter => 'consent')"#);
    let changed = last(&cluster, "scope_history");
    assert_eq!(changed[..3], row(["acme", "public.customers", "replace", "", "", "", ""])[..3]);
    let text = changed[4].clone().unwrap();
    assert!(
        text.contains(r#""rules.email": [{"mask": "pseudonym"}, {"mask": "email"}]"#)
            && text.contains(r#""rules.ssn": ["#),
        "{text}"
    );
    assert!(!text.contains("rules.id") && !text.contains("row_filter"), "{text}");
    cluster.admin("SELECT airlock.drop_scope('acme', 'public.customers')");
    assert_eq!(last(&cluster, "scope_history")[2].as_deref(), Some("drop"));
    // which field, from when to when
    let field =
        "SELECT count(*), count(until) FROM airlock.field_history WHERE subprocessor = 'acme' AND \"column\" = 'email'";
    assert_eq!(cluster.admin(field).rows, [[Some("2".to_string()), Some("2".to_string())]]);
    for user in ["acme", "clerk"] {
        assert!(
            ["42501", "AL007"].contains(&cluster.sql(user, "SELECT * FROM airlock.scope_history").code()),
            "{user}"
        );
    }
    cluster.admin("GRANT airlock_auditor TO clerk");
    assert!(cluster.sql("clerk", "SELECT * FROM airlock.subprocessor_history").ok().received > 5);
}

#[test]
fn what_is_never_read_is_listed_with_what_takes_it_back() {
    let cluster = running();
    cluster.connect_as("acme", "reads").query("SELECT id, city, ssn FROM acme.customers").ok();
    settled(&cluster, "reads", 1);
    drained(&cluster);
    let unused =
        cluster.admin("SELECT subprocessor, columns::text, statement FROM airlock.unused_fields ORDER BY 1").rows;
    assert_eq!(unused.len(), 2, "{unused:?}");
    assert_eq!(unused[0][..2], [Some("acme".to_string()), Some("{born,country,email,pay,phone}".to_string())]);
    assert!(
        unused[1][2].as_ref().unwrap().starts_with("SELECT airlock.drop_scope('globex', 'customers')"),
        "{unused:?}"
    );
    for row in &unused {
        cluster.admin(row[2].as_ref().unwrap());
    }
    let left = cluster.admin("SELECT \"column\" FROM airlock.field_access WHERE subprocessor = 'acme'").first();
    assert_eq!(left, ["id", "city", "ssn"]);
    let mut acme = cluster.connect("acme");
    assert_eq!(acme.query("SELECT id, city, ssn FROM acme.customers").ok().received, 90, "filter and subject stay");
    assert_eq!(cluster.admin("SELECT count(*) FROM airlock.unused_fields").value(), "0");
    let subject = cluster
        .admin("SELECT subject::text FROM airlock_catalog.scope WHERE dropped_at IS NULL AND view IS NOT NULL")
        .first();
    assert_eq!(subject, ["{id}"]);
}

#[test]
fn what_is_due_and_the_record_of_processing() {
    let cluster = running();
    let details = r#"{"country": "NO", "reviewed": "2020-01-31", "review_every": "1 year", "certificates": [{"name": "ISO 27001", "valid_until": "2020-06-30"},
        {"name": "SOC 2", "valid_until": "2999-01-01"}], "objection_until": "2999-01-01"}"#;
    cluster.admin(&format!(r#"SELECT airlock.alter_subprocessor('acme', '{{"details": {details}, "valid_until": "2999-12-31", "legal_name": "=HYPERLINK(\"x\")"}}')"#));
    cluster.admin(
        r#"SELECT airlock.alter_subprocessor('globex', '{"details": {"review_every": "when we feel like it"}}')"#,
    );
    let due = |horizon: &str| {
        cluster.admin(&format!("SELECT subprocessor, what, on_day, overdue FROM airlock.due({horizon})")).rows
    };
    let row = |what: &str, day: &str, overdue: &str| ["acme", what, day, overdue].map(|f| Some(f.to_string())).to_vec();
    let past = [row("certificate ISO 27001 ends", "2020-06-30", "t"), row("review every 1 year", "2021-01-31", "t")];
    assert_eq!(due(""), past);
    assert_eq!(due("interval '2000 years'").len(), 5);
    cluster.admin("SELECT airlock.terminate('acme', 'over')");
    assert_eq!(due("interval '2000 years'").len(), 0);
    let record = cluster
        .admin(
            "SELECT jsonb_path_query_array(airlock.processing_record(), '$.subprocessors[*].name')::text, \
         jsonb_path_query_array(airlock.processing_record(), '$.subprocessors[0].fields[*].column')::text, \
         airlock.processing_record() #>> '{subprocessors,0,details,country}'",
        )
        .rows;
    assert_eq!(
        record[0],
        [
            Some(r#"["acme", "globex"]"#.into()),
            Some(r#"["born", "city", "country", "email", "id", "pay", "phone", "ssn"]"#.to_string()),
            Some("NO".into())
        ]
    );
    let csv = cluster.admin("SELECT * FROM airlock.processing_record_csv()").first();
    assert!(csv[0].starts_with("\"sub-processor\",\"legal name\",\"country\""), "{csv:?}");
    assert_eq!(csv.len(), 1 + 8 + 3);
    assert!(csv[1].starts_with(r#""acme","'=HYPERLINK(""x"")","NO","DPA-1","product analytics","2999-12-31","terminated","public.customers","born","masked","#), "{csv:?}");
    for sql in
        ["SELECT * FROM airlock.due()", "SELECT airlock.processing_record()", "SELECT airlock.processing_record_csv()"]
    {
        assert!(["42501", "AL007"].contains(&cluster.sql("globex", sql).code()), "{sql}");
        assert_eq!(cluster.sql("clerk", sql).code(), "42501", "{sql}");
    }
}
