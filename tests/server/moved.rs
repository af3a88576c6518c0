//! A database that is taken to another server, by dump or by pg_upgrade: what it holds beforehand, what each of its
//! users sees there, and that all of it holds at the other end.

use crate::cluster::Cluster;
use crate::fixture::{self, drained, settled, verify};
use crate::process::eventually;
use crate::protocol::Row;

/// What the fixture has not: numbers that shift when columns come without the dropped ones before them, a partitioned
/// table, a scope whose filter looks into other tables and its own, a right to decrypt that comes with membership, a scope that was replaced and one that was dropped.
const MORE: &str = "
    CREATE TABLE public.visits (gone text, customer bigint NOT NULL, dropped int, year int NOT NULL, dropped_too int,
        ssn airlock.encrypted_eq('pii'), remark airlock.encrypted('pii')) PARTITION BY RANGE (year);
    CREATE TABLE public.visits_old PARTITION OF public.visits FOR VALUES FROM (2000) TO (2010);
    ALTER TABLE public.visits DROP COLUMN gone, DROP COLUMN dropped, DROP COLUMN dropped_too;
    CREATE TABLE public.visits_new PARTITION OF public.visits FOR VALUES FROM (2010) TO (2030);
    INSERT INTO public.visits SELECT g, 2001 + g, 'CANARYMASK_e' || lpad(g::text, 4, '0'), 'CANARYCOL_e' FROM generate_series(1, 20) g;
    ALTER TABLE public.visits OWNER TO app; ALTER TABLE public.visits_old OWNER TO app; ALTER TABLE public.visits_new OWNER TO app;
    INSERT INTO public.visits VALUES (21, 2022, 'CANARYMASK_e0021', 'CANARYCOL_e');
    CREATE ROLE readers; CREATE ROLE reader LOGIN IN ROLE readers;
    GRANT SELECT ON public.customers TO readers; SELECT airlock.grant_decrypt('pii', 'readers');
    CREATE ROLE matcher LOGIN; GRANT SELECT ON public.customers TO matcher; SELECT airlock.grant_match('pii', 'matcher');
    SELECT airlock.create_scope('acme', 'public.visits', '{\"customer\": \"clear\"}');
    SELECT airlock.replace_scope('acme', 'public.visits', '{\"customer\": {\"mask\": \"pseudonym\"}, \"year\": \"clear\",
        \"ssn\": {\"mask\": \"pseudonym\"}}', row_filter => 'year BETWEEN 2003 AND 2025 AND customer IN (2, 3, 4, 21) IS NOT FALSE AND (year > 1999 OR year::text LIKE ''19%'')');
    SELECT airlock.create_scope('acme', 'public.consents', '{\"customer\": {\"mask\": \"pseudonym\"}}'); SELECT airlock.drop_scope('acme', 'public.consents');
    SELECT airlock.create_scope('globex', 'public.visits', '{\"year\": \"clear\"}', row_filter => 'EXISTS (SELECT * FROM public.consents
        JOIN public.customers c ON c.id = consents.customer WHERE c.id = visits.customer AND given AND c.born < ''2000-01-01'')
        AND customer NOT IN (SELECT v.customer FROM public.visits v WHERE v.year IN (2003, 2004))');
    CREATE ROLE initech LOGIN;
    SELECT airlock.create_subprocessor('initech', role => 'initech', legal_name => 'Initech', contract => 'DPA-3', purposes => '{mail}');
    SELECT airlock.create_scope('initech', 'public.customers', '{\"id\": \"clear\"}'); SELECT airlock.suspend('initech', 'breach');";

/// Who asks what, with which outcome: each must answer the same before and after.
const QUESTIONS: [(&str, &str, &str); 15] = [
    ("acme", "SELECT * FROM acme.customers ORDER BY id", ""),
    ("acme_bob", "SELECT id, email, ssn FROM acme.customers ORDER BY id", ""),
    ("acme", "SELECT * FROM acme.visits ORDER BY year", ""),
    ("acme", "SELECT v.year FROM acme.visits v JOIN acme.visits w USING (customer, ssn) WHERE v.year > 2010 ORDER BY 1", ""),
    ("globex", "SELECT * FROM globex.customers ORDER BY id", ""),
    ("globex", "SELECT * FROM globex.visits ORDER BY year", ""),
    ("acme", "SELECT note FROM public.customers", "42501"),
    ("initech", "SELECT * FROM initech.customers", "AL006"),
    ("app", "SELECT id, ssn::text, airlock.decrypt(pay, NULL::numeric), airlock.decrypt(diary) FROM public.customers ORDER BY id", ""),
    ("app", "SELECT customer, airlock.decrypt(ssn), remark::text FROM public.visits ORDER BY year", ""),
    ("app", "SELECT id FROM public.customers WHERE ssn = 'CANARYMASK_e0007'", ""),
    ("app", "SELECT c.id, v.year FROM public.customers c JOIN public.visits v ON v.ssn = c.ssn ORDER BY 1", ""),
    ("matcher", "SELECT id FROM public.customers WHERE ssn = 'CANARYMASK_e0007'", ""),
    ("reader", "SELECT diary::text FROM public.customers ORDER BY id", ""),
    ("clerk", "SELECT ssn::text FROM public.customers", "AL004"),
];

/// The log's rows with all their columns, in its order.
fn rows(cluster: &Cluster) -> Vec<String> {
    cluster.admin("SELECT r::text FROM airlock_catalog.read_record r ORDER BY id").first()
}

/// How many of the questions the access log records: those to scoped views, refused or not.
fn recorded() -> usize {
    let scoped = |sql: &str| ["acme.", "globex.", "initech."].iter().any(|schema| sql.contains(schema));
    QUESTIONS.iter().filter(|(_, sql, _)| scoped(sql)).count()
}

fn answers(cluster: &Cluster, name: &str) -> Vec<Vec<Row>> {
    let ask = |(user, sql, code): &(&str, &str, &str)| {
        let answer = cluster.connect_as(user, name).query(sql);
        assert_eq!(answer.code(), *code, "{user}: {sql}: {:?}", answer.error);
        assert_eq!(answer.received > 0, code.is_empty(), "{user}: {sql}");
        answer.rows
    };
    QUESTIONS.iter().map(ask).collect()
}

/// The database before it is moved.
pub struct Moved {
    answers: Vec<Vec<Row>>,
    log: Vec<String>,
    shown: Vec<String>,
}

/// A cluster with all of it, its log settled to the last record.
pub fn source() -> (Cluster, Moved) {
    let cluster = fixture::running();
    cluster.admin(MORE);
    let answers = answers(&cluster, "before");
    let different = |row: &Row, i: usize| row[i].as_deref().unwrap_or_default().to_string();
    assert_ne!(different(&answers[0][0], 3), different(&answers[4][0], 2), "two sub-processors, two pseudonyms");
    drained(&cluster);
    assert_eq!(cluster.admin("SELECT count(*) FROM airlock.access_log WHERE hash IS NULL").value(), "0");
    let shown = shown(&cluster);
    drained(&cluster);
    let moved = Moved { answers, log: rows(&cluster), shown };
    assert_eq!(moved.shown.len(), recorded());
    assert!(verify(&mut cluster.connect("postgres")).0);
    (cluster, moved)
}

/// What the access log shows of the reads before the move.
fn shown(cluster: &Cluster) -> Vec<String> {
    cluster.admin("SELECT l::text FROM airlock.access_log l WHERE application_name = 'before' ORDER BY id").first()
}

/// Errors that doctor finds; the tests' clusters run without fsync, which is one.
pub fn errors(cluster: &Cluster) -> Vec<Row> {
    cluster.admin("SELECT * FROM airlock.doctor() WHERE severity = 'error' AND \"check\" <> 'fsync'").rows
}

/// Everything holds on this server, and the log goes on behind what it held.
#[track_caller]
pub fn arrived(cluster: &Cluster, moved: &Moved) {
    fixture::open(cluster);
    assert_eq!(rows(cluster)[..moved.log.len()], moved.log[..], "each old record, with its id and hash");
    assert_eq!(shown(cluster), moved.shown);
    // the seam: one record behind the last, which says where the log comes from
    let last = moved.log.len();
    let seam = cluster.admin(&format!("SELECT kind, detail FROM airlock_catalog.read_record WHERE id = {last} + 1"));
    let system = cluster.admin("SELECT system_identifier FROM pg_control_system()").value();
    let said = format!("log continues in system {system} on timeline 1 after record {last}");
    assert_eq!(seam.rows, [vec![Some("configuration".to_string()), Some(said)]]);

    let after = answers(cluster, "after");
    for ((before, after), (user, sql, _)) in moved.answers.iter().zip(&after).zip(QUESTIONS) {
        assert_eq!(before, after, "{user}: {sql}");
    }
    let new = settled(cluster, "after", recorded());
    assert!(new.iter().all(|r| r.get("id").parse::<usize>().is_ok_and(|id| id > last)), "{new:#?}");
    goes_on(cluster);

    drained(cluster);
    let gapless = "SELECT min(id) = 1 AND max(id) = count(*) FROM airlock_catalog.read_record";
    assert_eq!(cluster.admin(gapless).value(), "t");
    let (ok, bad, message) = verify(&mut cluster.connect("postgres"));
    assert!(ok, "{message} at {bad:?}");
    eventually("doctor finds no error", || {
        let errors = errors(cluster);
        // the worker makes its slot behind the first turn; nothing else may be wrong even for a moment
        assert!(errors.iter().all(|e| e[1].as_deref() == Some("slot")), "{errors:#?}");
        errors.is_empty().then_some(())
    });
}

/// New values, keys, contracts and scopes: the numbers they take are free, and old and new meet.
fn goes_on(cluster: &Cluster) {
    let mut app = cluster.connect("app");
    app.query("INSERT INTO public.visits VALUES (7, 2029, 'CANARYMASK_e0007', 'new')").ok();
    let sql = "SELECT v.year FROM public.visits v JOIN public.customers c ON c.ssn = v.ssn WHERE c.id = 7 AND v.remark::text = 'new'";
    assert_eq!(app.query(sql).value(), "2029", "a value sealed here is equal to one sealed before");
    cluster.admin(
        "SELECT airlock.create_key('later'); CREATE TABLE public.later (id int, secret airlock.encrypted('later'));
         INSERT INTO public.later VALUES (1, 'CANARYMASK_e');
         SELECT airlock.create_scope('globex', 'public.later', '{\"id\": \"clear\", \"secret\": \"clear\"}')",
    );
    assert_eq!(cluster.sql("globex", "SELECT secret FROM globex.later").value(), "CANARYMASK_e");
    assert_eq!(cluster.admin("SELECT airlock.suspend('globex', 'over')").tags, ["SELECT 1"]);
    assert_eq!(cluster.sql("globex", "SELECT secret FROM globex.later").code(), "AL006");
}
