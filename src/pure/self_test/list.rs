//! The probes, written out for one sub-processor. Nothing here does harm where containment fails: no row matches, no name
//! is another object's, and whoever runs them rolls back.

use super::{Also, Expect, Probe};
use crate::pure::name::{ident, literal, qualified};

/// What the probes are about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its scopes.
    pub views: Vec<View>,
    /// Views of others.
    pub others: Vec<Other>,
    /// Roles of others.
    pub roles: Vec<String>,
    /// Functions of ours by name, and their numbers; what the probes call of them is tried only where it is there.
    pub functions: Vec<(String, u32)>,
}

/// A scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Schema and name of the view.
    pub view: (String, String),
    /// Schema and name of the relation behind it.
    pub table: (String, String),
    /// Number of that relation.
    pub table_no: u32,
    /// Schema and name of the inner view.
    pub inner: (String, String),
    /// Number of the inner view.
    pub inner_no: u32,
    /// Its columns, and whether each is masked.
    pub columns: Vec<(String, bool)>,
    /// Whether EXPLAIN is allowed.
    pub explain: bool,
}

/// Somebody else's view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Other {
    /// Schema and name.
    pub view: (String, String),
    /// Its number.
    pub number: u32,
}

/// Catalogs that hold values of rows, and names of what is secret.
const CATALOGS: [(&str, u32); 5] = [
    ("pg_statistic", 2619),
    ("pg_statistic_ext_data", 3429),
    ("pg_authid", 1260),
    ("pg_largeobject", 2613),
    ("pg_user_mapping", 1418),
];

/// Class, what, statement.
const STATEMENTS: [(char, &str, &str); 34] = [
    ('B', "print plans by SET", "SET debug_print_plan = on"),
    ('B', "print plans by set_config()", "SELECT pg_catalog.set_config('debug_print_plan', 'on', false)"),
    ('C', "cast a text to an encrypted value", "SELECT 'x'::airlock.encrypted"),
    ('D', "create a table", "CREATE TABLE airlock_self_test (a integer)"),
    ('D', "create a temporary table", "CREATE TEMPORARY TABLE airlock_self_test (a integer)"),
    (
        'D',
        "create a function",
        "CREATE FUNCTION pg_temp.airlock_self_test() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    ),
    ('D', "create a domain", "CREATE DOMAIN pg_temp.airlock_self_test AS pg_catalog.text"),
    ('D', "create a schema", "CREATE SCHEMA airlock_self_test"),
    ('D', "run code with DO", "DO 'BEGIN END'"),
    ('D', "change a setting of the extension", "SET airlock.backlog_limit = '1GB'"),
    ('D', "turn off triggers", "SET session_replication_role = replica"),
    ('F', "forge a message in WAL", "SELECT pg_catalog.pg_logical_emit_message(true, 'airlock', 'x')"),
    ('G', "prepare a transaction", "PREPARE TRANSACTION 'airlock_self_test'"),
    ('G', "export a snapshot", "SELECT pg_catalog.pg_export_snapshot()"),
    ('H', "take an advisory lock", "SELECT pg_catalog.pg_try_advisory_xact_lock(1)"),
    ('H', "take a transaction id", "SELECT pg_catalog.pg_current_xact_id()"),
    ('H', "take a transaction id, the old way", "SELECT pg_catalog.txid_current()"),
    ('H', "lift the statement timeout", "SET statement_timeout = 0"),
    ('H', "lift the timeout of idle transactions", "SET idle_in_transaction_session_timeout = 0"),
    ('H', "lift the limit of temporary files", "SET temp_file_limit = '-1'"),
    ('H', "raise work_mem", "SET work_mem = '1GB'"),
    ('H', "sleep", "SELECT pg_catalog.pg_sleep(0)"),
    ('I', "copy to a program", "COPY (SELECT 1) TO PROGRAM 'true'"),
    ('I', "copy from a program", "COPY airlock_catalog.scope FROM PROGRAM 'true'"),
    ('I', "listen", "LISTEN airlock_self_test"),
    ('I', "notify", "NOTIFY airlock_self_test"),
    ('I', "notify by pg_notify()", "SELECT pg_catalog.pg_notify('airlock_self_test', '')"),
    ('I', "make a large object", "SELECT pg_catalog.lo_create(0)"),
    ('I', "fill a large object", "SELECT pg_catalog.lo_from_bytea(0, ''::pg_catalog.bytea)"),
    ('I', "read a file of the server", "SELECT pg_catalog.pg_read_file('PG_VERSION')"),
    ('I', "list files of the server", "SELECT pg_catalog.pg_ls_dir('.')"),
    ('I', "run SQL by query_to_xml()", "SELECT pg_catalog.query_to_xml('SELECT 1', false, false, '')"),
    ('I', "run SQL by database_to_xml()", "SELECT pg_catalog.database_to_xml(false, false, '')"),
    ('X', "vacuum", "VACUUM pg_catalog.pg_class"),
];

/// What catalogs say that anybody may read. Rows of PostgreSQL's own are not ours to judge.
const TEXTS: [(&str, &str); 9] = [
    ("settings", "SELECT pg_catalog.concat_ws(' ', s.name, s.setting, s.boot_val, s.reset_val) FROM pg_catalog.pg_settings s"),
    ("settings of roles and databases", "SELECT s.setconfig::pg_catalog.text FROM pg_catalog.pg_db_role_setting s"),
    ("functions", "SELECT pg_catalog.concat_ws(' ', p.proname, p.prosrc, p.proconfig, p.proargdefaults) FROM pg_catalog.pg_proc p WHERE p.oid >= 16384"),
    ("views", "SELECT r.ev_action::pg_catalog.text || r.ev_qual::pg_catalog.text FROM pg_catalog.pg_rewrite r WHERE r.ev_class >= 16384"),
    ("view definitions", "SELECT pg_catalog.pg_get_viewdef(c.oid) FROM pg_catalog.pg_class c WHERE c.relkind IN ('v', 'm') AND c.oid >= 16384"),
    ("comments", "SELECT d.description FROM pg_catalog.pg_description d WHERE d.objoid >= 16384"),
    ("defaults and constraints", "SELECT d.adbin::pg_catalog.text FROM pg_catalog.pg_attrdef d UNION ALL SELECT pg_catalog.concat_ws(' ', c.conname, c.conbin) FROM pg_catalog.pg_constraint c"),
    ("labels", "SELECT pg_catalog.concat_ws(' ', l.provider, l.label) FROM pg_catalog.pg_shseclabel l UNION ALL SELECT l.label FROM pg_catalog.pg_seclabel l"),
    ("options of foreign objects", "SELECT pg_catalog.concat_ws(' ', s.srvname, s.srvoptions) FROM pg_catalog.pg_foreign_server s UNION ALL SELECT f.ftoptions::pg_catalog.text FROM pg_catalog.pg_foreign_table f"),
];

/// How many views and roles of others are tried; containment judges all of a kind by one rule.
const OTHERS: usize = 50;

/// What the probe is called that reads a view, as SQL names it, as it is meant to be read.
pub fn answered(view: &str) -> String {
    format!("{view} is answered")
}

/// All probes, in the order in which they are tried.
pub fn probes(facts: &Facts) -> Vec<Probe> {
    let mut list = List(Vec::new(), None);
    for (i, view) in facts.views.iter().enumerate() {
        list.1 = Some(i);
        list.of_view(view);
    }
    list.1 = None;
    for (catalog, number) in CATALOGS {
        let sql = format!("SELECT 1 FROM pg_catalog.{catalog} LIMIT 1");
        list.add('B', format!("read {catalog}"), sql, Expect::Refused, Also::Relation(number));
    }
    for (what, sql) in TEXTS {
        list.add('B', format!("find a key in {what}"), sql.into(), Expect::NoKey, Also::Nothing);
    }
    for (name, sql) in [
        ("disclose", "SELECT airlock.disclose(1, 'x'::pg_catalog.text)"),
        ("gate", "SELECT airlock.gate(1)"),
        ("decrypt", "SELECT airlock.decrypt(NULL::airlock.encrypted)"),
        ("match_tag", "SELECT airlock.match_tag(NULL::airlock.encrypted_eq)"),
        ("mask_redact", "SELECT airlock.mask_redact('x')"),
        ("create_key", "SELECT airlock.create_key('airlock_self_test')"),
        ("doctor", "SELECT 1 FROM airlock.doctor()"),
        ("self_test", "SELECT 1 FROM airlock.self_test('x')"),
    ] {
        if let Some((_, number)) = facts.functions.iter().find(|(n, _)| n == name) {
            list.add('C', format!("call airlock.{name}()"), sql.into(), Expect::Refused, Also::Function(*number));
        }
    }
    for other in facts.others.iter().take(OTHERS) {
        let view = qualified(&other.view.0, &other.view.1);
        let sql = format!("SELECT 1 FROM {view} LIMIT 1");
        list.add(
            'D',
            format!("read {view} of another sub-processor"),
            sql,
            Expect::Refused,
            Also::Relation(other.number),
        );
    }
    for role in facts.roles.iter().take(OTHERS) {
        let name = format!("become {} of another sub-processor", ident(role));
        // its own privileges are asked for first, so that nothing of ours refuses
        list.add('D', name, format!("SET ROLE {}", ident(role)), Expect::Refused, Also::Nothing);
    }
    for (class, what, sql) in STATEMENTS {
        let utility = matches!(class, 'G') && sql.starts_with("PREPARE");
        let expect = if utility { Expect::RefusedUtility } else { Expect::Refused };
        list.add(class, what.into(), sql.into(), expect, Also::Nothing);
    }
    list.0
}

/// The probes so far, and the scope that the next are about.
struct List(Vec<Probe>, Option<usize>);

impl List {
    fn add(&mut self, class: char, name: String, sql: String, expect: Expect, also: Also) {
        self.0.push(Probe { class, name, sql, expect, also, view: self.1 });
    }

    fn refused(&mut self, class: char, name: String, sql: String) {
        self.add(class, name, sql, Expect::Refused, Also::Nothing);
    }

    fn of_view(&mut self, view: &View) {
        let (v, t) = (qualified(&view.view.0, &view.view.1), qualified(&view.table.0, &view.table.1));
        let inner = qualified(&view.inner.0, &view.inner.1);
        // first, so that a scope that is broken is seen to be
        self.add('F', answered(&v), format!("SELECT * FROM {v} LIMIT 1"), Expect::Answered, Also::Nothing);
        let below = |relation: &str| format!("SELECT 1 FROM {relation} LIMIT 1");
        self.add('A', format!("read {t}, behind {v}"), below(&t), Expect::Refused, Also::Relation(view.table_no));
        self.add(
            'A',
            format!("read the inner view of {v}"),
            below(&inner),
            Expect::Refused,
            Also::Relation(view.inner_no),
        );
        self.refused('A', format!("copy {t}, behind {v}"), format!("COPY {t} TO PROGRAM 'true'"));
        if !view.explain {
            self.refused('A', format!("EXPLAIN {v}"), format!("EXPLAIN SELECT * FROM {v}"));
        }
        self.refused('A', format!("EXPLAIN ANALYZE {v}"), format!("EXPLAIN ANALYZE SELECT * FROM {v}"));
        self.refused('A', format!("EXPLAIN {t}, behind {v}"), format!("EXPLAIN SELECT 1 FROM {t}"));
        self.columns(&v, &view.columns);
        if let Some((column, _)) = view.columns.first() {
            let c = ident(column);
            self.refused('E', format!("UPDATE {v}"), format!("UPDATE {v} SET {c} = NULL WHERE false"));
        }
        self.refused('E', format!("INSERT INTO {v}"), format!("INSERT INTO {v} SELECT * FROM {v} WHERE false"));
        self.refused('E', format!("DELETE FROM {v}"), format!("DELETE FROM {v} WHERE false"));
        self.refused(
            'E',
            format!("DELETE FROM {v} in WITH"),
            format!("WITH x AS (DELETE FROM {v} WHERE false) SELECT 1"),
        );
        self.refused(
            'E',
            format!("MERGE INTO {t}, behind {v}"),
            format!("MERGE INTO {t} USING (SELECT 1) x ON false WHEN MATCHED THEN DO NOTHING"),
        );
        self.refused('E', format!("lock rows of {v}"), format!("SELECT 1 FROM {v} FOR UPDATE"));
        self.refused(
            'G',
            format!("keep a cursor on {v}"),
            format!("DECLARE airlock_self_test CURSOR WITH HOLD FOR SELECT * FROM {v}"),
        );
        self.refused('H', format!("lock {v}"), format!("LOCK TABLE {v} IN ACCESS SHARE MODE NOWAIT"));
        self.refused(
            'I',
            format!("keep a copy of {v}"),
            format!("CREATE TEMPORARY TABLE airlock_self_test AS SELECT * FROM {v} WHERE false"),
        );
        self.refused(
            'I',
            format!("pass {v} on as a view"),
            format!("CREATE VIEW airlock_self_test AS SELECT * FROM {v}"),
        );
        self.refused(
            'I',
            format!("copy {v} to a program"),
            format!("COPY (SELECT * FROM {v} WHERE false) TO PROGRAM 'true'"),
        );
        self.refused(
            'I',
            format!("read {v} by query_to_xml()"),
            format!(
                "SELECT pg_catalog.query_to_xml({}, false, false, '')",
                literal(&format!("SELECT * FROM {v} WHERE false"))
            ),
        );
    }

    fn columns(&mut self, v: &str, columns: &[(String, bool)]) {
        for (column, _) in columns.iter().filter(|(_, masked)| *masked) {
            let c = ident(column);
            let one = format!("(SELECT a.{c}::pg_catalog.text AS shown FROM {v} a WHERE a.{c} IS NOT NULL LIMIT 1)");
            // OFFSET keeps it a subplan, which ends at the first row that it finds
            let sql = format!(
                "SELECT EXISTS (SELECT FROM {v} b WHERE b.{c}::pg_catalog.text OPERATOR(pg_catalog.=) a.shown OFFSET 0) FROM {one} a"
            );
            self.add('C', format!("a predicate on {v}.{c}, which is masked"), sql, Expect::True, Also::Nothing);
            let find = format!(
                "SELECT EXISTS (SELECT FROM {v} b WHERE b.{c}::pg_catalog.text OPERATOR(pg_catalog.=) $1 OFFSET 0)"
            );
            let sql = format!("SELECT a.shown::pg_catalog.pg_lsn FROM {one} a");
            self.add(
                'C',
                format!("the error of a cast of {v}.{c}, which is masked"),
                sql,
                Expect::QuotesShown(find),
                Also::Nothing,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(schema: &str, name: &str) -> (String, String) {
        (schema.into(), name.into())
    }

    fn facts() -> Facts {
        let view = View {
            view: name("acme", "odd \"name"),
            table: name("public", "customers"),
            table_no: 7,
            inner: name("airlock_scope", "s1"),
            inner_no: 8,
            columns: vec![("id".into(), false), ("e;mail".into(), true)],
            explain: false,
        };
        Facts {
            views: vec![view],
            others: vec![Other { view: name("globex", "customers"), number: 9 }],
            roles: vec!["globex".into()],
            functions: vec![("disclose".into(), 10)],
        }
    }

    #[test]
    fn each_class_that_can_be_tried_is_there() {
        let probes = probes(&facts());
        for class in "ABCDEFGHIX".chars() {
            assert!(probes.iter().any(|p| p.class == class), "{class}");
        }
        let mut names: Vec<&str> = probes.iter().map(|p| p.name.as_str()).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all, "each name is one probe's");
    }

    #[test]
    fn names_are_quoted() {
        for probe in probes(&facts()).iter().filter(|p| p.name.contains("odd")) {
            assert!(!probe.sql.contains("odd") || probe.sql.contains("\"odd \"\"name\""), "{}", probe.sql);
            assert!(!probe.sql.contains("e;mail") || probe.sql.contains("\"e;mail\""), "{}", probe.sql);
        }
    }

    #[test]
    fn what_may_be_explained_is_not_held_against_its_scope() {
        let explained = |explain: bool| {
            let mut facts = facts();
            facts.views[0].explain = explain;
            probes(&facts).into_iter().filter(|p| p.name.starts_with("EXPLAIN")).count()
        };
        assert_eq!((explained(false), explained(true)), (3, 2));
    }

    #[test]
    fn only_masked_columns_are_compared_with_their_masks() {
        let probes = probes(&facts());
        let about: Vec<_> = probes.iter().filter(|p| p.name.contains("masked")).map(|p| p.sql.as_str()).collect();
        assert_eq!(about.len(), 2);
        assert!(about.iter().all(|sql| !sql.contains("\"id\"")));
    }

    #[test]
    fn nothing_matches_a_row_or_keeps_it() {
        for probe in probes(&facts()) {
            let sql = probe.sql.to_uppercase();
            for verb in ["UPDATE \"", "DELETE FROM", "INSERT INTO"] {
                assert!(!sql.contains(verb) || sql.contains("WHERE FALSE"), "{}", probe.sql);
            }
        }
    }
}
