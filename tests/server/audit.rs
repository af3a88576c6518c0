//! Reading the log is itself on record, and what was taken out of statements is there for those who may see it only.

use crate::cluster::Cluster;
use crate::fixture::{self, running, settled};
use crate::process::eventually;
use std::fs;
use std::path::Path;

fn audited(cluster: &Cluster, application_name: &str) -> Vec<(String, String)> {
    let sql = format!(
        "SELECT what, statement FROM airlock.audit_log WHERE application_name = '{application_name}' ORDER BY id"
    );
    cluster.admin(&sql).rows.into_iter().map(|r| (r[0].clone().unwrap(), r[1].clone().unwrap())).collect()
}

#[test]
fn whoever_reads_the_log_is_on_record_before_a_row_is_shown() {
    let mut cluster = running();
    cluster.admin("CREATE ROLE auditor LOGIN IN ROLE airlock_auditor");
    cluster.connect_as("acme", "a read").query("SELECT city FROM acme.customers WHERE id = 1").ok();
    settled(&cluster, "a read", 1);
    let mut auditor = cluster.connect_as("auditor", "audits");
    auditor.query("BEGIN READ ONLY").ok();
    let log = auditor
        .query("SELECT statement FROM airlock.access_log WHERE application_name = 'a read' AND rows_sent < 100")
        .ok();
    assert_eq!(log.rows.len(), 1);
    auditor.query("ROLLBACK").ok();
    auditor.query("SELECT * FROM airlock.who_saw('public.customers', '1')").ok();
    auditor.query("SELECT count(*) FROM airlock.access_log a, airlock.access_log b, airlock.audit_log c").ok();
    assert_eq!(auditor.query("SELECT 1 / (id - id) FROM airlock.access_log").code(), "22012");
    // what is not settled is the log, too
    auditor.query("SELECT * FROM airlock.unsettled_records(); SELECT * FROM airlock.unsettled_records()").ok();
    // nothing is asked of the log, nothing is on record
    auditor.query("SELECT * FROM airlock.verify_log()").ok();
    auditor.query("SELECT * FROM airlock.subject_epochs").ok();
    // the machine loses power: what was shown was on disk
    cluster.kill();
    cluster.start();
    fixture::open(&cluster);
    let text = "SELECT statement FROM airlock.access_log WHERE application_name = ? AND rows_sent < ?";
    let found = audited(&cluster, "audits");
    assert_eq!(
        found,
        [
            ("access log".into(), text.into()),
            ("who_saw: public.customers".into(), "SELECT * FROM airlock.who_saw(?, ?)".into()),
            (
                "access log".into(),
                "SELECT count(*) FROM airlock.access_log a, airlock.access_log b, airlock.audit_log c".to_string()
            ),
            ("access log".into(), "SELECT ? / (id - id) FROM airlock.access_log".into()),
            (
                "access log".into(),
                "SELECT * FROM airlock.unsettled_records(); SELECT * FROM airlock.unsettled_records()".to_string()
            ),
        ],
        "{found:?}"
    );
    // superusers are no exception, and the record is in the chain like any other
    let before = cluster.admin("SELECT count(*) FROM airlock.audit_log WHERE login_role = 'postgres'").value();
    let after = cluster.admin("SELECT count(*) FROM airlock.audit_log WHERE login_role = 'postgres'").value();
    assert_eq!(after.parse::<u32>().unwrap(), before.parse::<u32>().unwrap() + 1);
    fixture::drained(&cluster);
    assert_eq!(fixture::verify(&mut cluster.connect("postgres")), (true, None, String::new()));
    // nobody else reads it, and their attempt shows nothing
    for role in ["clerk", "app", "acme"] {
        for view in ["access_log", "audit_log"] {
            let answer = cluster.sql(role, &format!("SELECT * FROM airlock.{view}"));
            assert!(["42501", "AL007"].contains(&answer.code()) && answer.received == 0, "{role}: {answer:?}");
        }
    }
}

/// The log cannot be read where that cannot be recorded.
#[test]
fn a_log_whose_reading_cannot_be_recorded_is_not_read() {
    let cluster = running();
    cluster.connect_as("acme", "a read").query("SELECT city FROM acme.customers WHERE id = 1").ok();
    settled(&cluster, "a read", 1);
    cluster.admin("SELECT airlock.lock()");
    for sql in [
        "SELECT * FROM airlock.access_log",
        "SELECT * FROM airlock.audit_log",
        "SELECT * FROM airlock.who_saw('public.customers', '1')",
    ] {
        let answer = cluster.sql("postgres", sql);
        assert_eq!((answer.code(), answer.received), ("AL001", 0), "{sql}");
    }
}

/// Whether any file below holds the text.
fn holds(path: &Path, text: &str) -> Option<String> {
    for entry in fs::read_dir(path).unwrap().flatten() {
        let path = entry.path();
        let found = match path.is_dir() {
            true => holds(&path, text),
            false => {
                let bytes = fs::read(&path).unwrap_or_default();
                bytes.windows(text.len()).any(|w| w == text.as_bytes()).then(|| path.display().to_string())
            }
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

#[test]
fn constants_and_parameters_are_kept_encrypted_for_whoever_administers() {
    let mut cluster = running();
    cluster.admin("CREATE ROLE officer LOGIN IN ROLE airlock_admin; CREATE ROLE auditor LOGIN IN ROLE airlock_auditor");
    let mut conn = cluster.connect_as("acme", "searches");
    conn.query("SELECT city FROM acme.customers WHERE email = 'SECRETCONSTANT' AND id = 7 -- 'SECRETCOMMENT'").ok();
    conn.extended(
        "SELECT city FROM acme.customers WHERE email = $1 AND id > $2 LIMIT 3",
        &[Some("SECRETPARAMETER"), Some("90")],
    )
    .ok();
    conn.extended("SELECT city FROM acme.customers WHERE email = $1", &[None]).ok();
    conn.query("SELECT city FROM acme.customers").ok();
    // a large answer, whose record is written before its end
    conn.query("SELECT repeat(city, 10000) FROM acme.customers WHERE email <> 'SECRETOFTHEOPEN'").ok();
    assert_eq!(conn.query("SELECT city FROM acme.customers WHERE 1 / (id - id) = 5").code(), "22012");
    drop(conn);
    let log = settled(&cluster, "searches", 6);
    assert!(log.iter().all(|r| !r.get("statement").contains("SECRET")), "{log:#?}");
    fixture::drained(&cluster);
    let values = |n: usize| {
        let sql = format!("SELECT constants, parameters, cut FROM airlock.statement_values({})", log[n].get("id"));
        let answer = cluster.sql("officer", &sql).ok();
        answer.rows.first().map(|r| r.iter().map(|v| v.clone().unwrap_or_default()).collect::<Vec<_>>().join(" "))
    };
    assert_eq!(values(0).as_deref(), Some("{'SECRETCONSTANT',7} {} f"));
    assert_eq!(values(1).as_deref(), Some("{3} {SECRETPARAMETER,90} f"));
    assert_eq!(values(2).as_deref(), Some("{} {NULL} f"));
    assert_eq!(values(3), None, "nothing was taken out");
    assert_eq!(values(4).as_deref(), Some("{10000,'SECRETOFTHEOPEN'} {} f"));
    assert_eq!(values(5).as_deref(), Some("{1,5} {} f"));
    for role in ["auditor", "clerk", "acme"] {
        let code = cluster
            .sql(role, &format!("SELECT * FROM airlock.statement_values({})", log[0].get("id")))
            .code()
            .to_string();
        assert!(["42501", "AL007"].contains(&code.as_str()), "{role}: {code}");
    }
    // recorded before it runs, it is no different
    cluster.admin("ALTER SYSTEM SET airlock.release = intent");
    cluster.admin("SELECT pg_reload_conf()");
    let mut conn = cluster.connect_as("acme", "intends");
    eventually("the mode is taken up", || (conn.query("SHOW airlock.release").value() == "intent").then_some(()));
    conn.extended("SELECT city FROM acme.customers WHERE email = $1 AND id = 3", &[Some("SECRETINTENT")]).ok();
    let intended = settled(&cluster, "intends", 1)[0].get("id").to_string();
    fixture::drained(&cluster);
    let sql = format!("SELECT constants, parameters FROM airlock.statement_values({intended})");
    assert_eq!(cluster.sql("officer", &sql).first(), ["{3}"]);
    assert_eq!(cluster.sql("officer", &sql).rows[0][1].as_deref(), Some("{SECRETINTENT}"));
    // another record's part does not pass for it
    let swap = format!(
        "UPDATE airlock_catalog.read_private SET sealed = (SELECT sealed FROM airlock_catalog.read_private WHERE id = {}) WHERE id = {}",
        log[1].get("id"),
        log[0].get("id")
    );
    let mut admin = cluster.connect("postgres");
    admin.query("BEGIN").ok();
    admin.query(&swap).ok();
    assert_eq!(admin.query(&format!("SELECT * FROM airlock.statement_values({})", log[0].get("id"))).code(), "AL003");
    admin.query("ROLLBACK").ok();
    assert_eq!(fixture::verify(&mut admin), (true, None, String::new()));
    drop(admin);
    // whom an auditor asked about is kept like that, each by itself
    let mut auditor = cluster.connect_as("auditor", "asks");
    auditor
        .query("SELECT count(*) FROM (VALUES ('1'), ('2')) AS p (p), LATERAL airlock.who_saw('public.customers', p.p)")
        .ok();
    assert_eq!(
        auditor.extended("SELECT * FROM airlock.who_saw('public.customers', $1::text)", &[Some("SECRETPERSON")]).code(),
        "22P02"
    );
    drop(auditor);
    fixture::drained(&cluster);
    let asked = "SELECT v.parameters FROM airlock.audit_log a, LATERAL airlock.statement_values(a.id) v WHERE a.application_name = 'asks' ORDER BY a.id";
    assert_eq!(cluster.admin(asked).first(), ["{1}", "{2}", "{SECRETPERSON}"]);
    // who decides how long the log is kept, too
    cluster.sql("officer", "SELECT airlock.set_log_retention('acme', 1000), airlock.rotate_subject_key()").ok();
    cluster.sql("officer", "SELECT airlock.destroy_subject_key(1)").ok();
    let decided = "SELECT what FROM airlock.audit_log WHERE login_role = 'officer' AND what NOT LIKE 'statement_values%' ORDER BY id";
    let wanted = ["set_log_retention: acme", "rotate_subject_key", "destroy_subject_key: 1"];
    assert_eq!(cluster.admin(decided).first(), wanted);
    // the reads of constants are on record; the constants nowhere in the clear, on disk or in WAL
    let noted = cluster.admin(
        "SELECT count(*) FROM airlock.audit_log WHERE what LIKE 'statement_values: %' AND login_role = 'officer'",
    );
    assert_eq!(noted.value(), "8");
    cluster.admin("CHECKPOINT");
    cluster.stop();
    for secret in
        ["SECRETCONSTANT", "SECRETPARAMETER", "SECRETOFTHEOPEN", "SECRETCOMMENT", "SECRETINTENT", "SECRETPERSON"]
    {
        assert_eq!(holds(&cluster.data(), secret), None, "{secret}");
    }
    // the control: text that is not encrypted is found this way
    assert!(holds(&cluster.data(), "CANARYCOL_p").is_some());
}
