//! A function that a scope's views call and that is not as the extension declares it shuts the scope (AL010) at the next
//! statement, in open sessions, for prepared statements and open cursors too, until it is put back. Others go on.

use crate::cluster::Cluster;
use crate::fixture::{leaked, running, VISIBLE};
use crate::protocol::{Answer, Conn};

const READ: &str = "SELECT id, phone, email FROM acme.customers";
const GLOBEX: &str = "SELECT id, email FROM globex.customers";

const GATE: &str = "airlock.gate(integer)";
const DISCLOSE: &str = "airlock.disclose(integer, \"any\")";
const PARTIAL: &str = "airlock.mask_partial(text, integer, integer, text, integer)";

/// Sessions that have read before anything changes, each in a way of its own.
struct Readers {
    plain: Conn,
    /// With a plan that is kept, in a transaction that has read already.
    prepared: Conn,
    cursor: Conn,
    globex: Conn,
}

impl Readers {
    fn new(cluster: &Cluster) -> Readers {
        let (mut plain, mut prepared) = (cluster.connect("acme"), cluster.connect("acme"));
        assert_eq!(plain.query(READ).ok().received, VISIBLE);
        prepared.query("SET plan_cache_mode = force_generic_plan").ok();
        prepared.query(&format!("PREPARE p AS {READ}")).ok();
        assert_eq!(prepared.query("EXECUTE p").ok().received, VISIBLE);
        prepared.query("BEGIN ISOLATION LEVEL REPEATABLE READ").ok();
        assert_eq!(prepared.query("EXECUTE p").ok().received, VISIBLE);
        let mut cursor = cluster.connect("acme");
        cursor.query("BEGIN").ok();
        cursor.query(&format!("DECLARE c CURSOR FOR {READ}")).ok();
        assert_eq!(cursor.query("FETCH 5 FROM c").ok().received, 5);
        let mut globex = cluster.connect("globex");
        assert_eq!(globex.query(GLOBEX).ok().received, VISIBLE);
        Readers { plain, prepared, cursor, globex }
    }

    /// All are refused; globex, where it does not use the function, is not.
    #[track_caller]
    fn shut(&mut self, cluster: &Cluster, globex: bool, what: &str) {
        let answers = [
            self.plain.query(READ),
            self.prepared.query("EXECUTE p"),
            self.cursor.query("FETCH 5 FROM c"),
            cluster.sql("acme", READ),
            cluster.sql("acme", "SELECT count(*) FROM acme.customers WHERE phone LIKE '%1'"),
        ];
        for (way, answer) in answers.iter().enumerate() {
            refused(answer, &format!("{what}, by way {way}"));
        }
        let answer = self.globex.query(GLOBEX);
        match globex {
            true => refused(&answer, what),
            false => assert_eq!(answer.ok().received, VISIBLE, "{what}: globex does not use it"),
        }
        for conn in [&mut self.prepared, &mut self.cursor] {
            conn.query("ROLLBACK").ok();
        }
    }

    #[track_caller]
    fn open(&mut self, what: &str) {
        assert_eq!(self.plain.query(READ).ok().received, VISIBLE, "{what}");
        assert_eq!(self.prepared.query("EXECUTE p").ok().received, VISIBLE, "{what}");
        assert_eq!(self.globex.query(GLOBEX).ok().received, VISIBLE, "{what}");
    }
}

#[track_caller]
fn refused(answer: &Answer, what: &str) {
    assert_eq!((answer.code(), answer.received, leaked(answer)), ("AL010", 0, None), "{what}: {answer:?}");
    let error = answer.error.as_ref().unwrap();
    assert!(error.get('H').contains("airlock.doctor()") && error.get('H').contains("put it back"), "{what}: {error:?}");
}

/// What doctor() says about functions: which, and what to type.
fn labels(cluster: &Cluster) -> Vec<Vec<String>> {
    let sql = "SELECT object, message, fix FROM airlock.doctor() WHERE \"check\" = 'label' AND severity = 'error'";
    let text = |row: Vec<Option<String>>| row.into_iter().map(Option::unwrap_or_default).collect();
    cluster.admin(sql).rows.into_iter().map(text).collect()
}

#[test]
fn a_function_that_was_relabelled_shuts_the_scopes_that_call_it() {
    let cluster = running();
    assert_eq!(labels(&cluster), Vec::<Vec<String>>::new());
    for (function, of_globex) in [(GATE, false), (DISCLOSE, true), (PARTIAL, false)] {
        let volatility = if function == PARTIAL { ["STABLE", "VOLATILE"] } else { ["IMMUTABLE", "VOLATILE"] };
        let strict = if function == PARTIAL { "CALLED ON NULL INPUT" } else { "STRICT" };
        let changes = [
            "LEAKPROOF",
            volatility[0],
            volatility[1],
            "PARALLEL UNSAFE",
            strict,
            "SECURITY DEFINER",
            "COST 0.0001",
            "SET search_path = public",
            "OWNER TO app",
        ];
        for change in changes {
            let mut readers = Readers::new(&cluster);
            let what = format!("ALTER FUNCTION {function} {change}");
            cluster.admin(&what);
            readers.shut(&cluster, of_globex, &what);
            let found = labels(&cluster);
            let name = function.split_once('(').unwrap().0;
            assert!(found.len() == 1 && found[0][0].starts_with(name), "{what}: {found:?}");
            cluster.admin(&found[0][2]);
            assert_eq!(labels(&cluster), Vec::<Vec<String>>::new(), "{what}");
            readers.open(&what);
        }
    }
}

/// Another body under the same name, another name, another function with a support function.
#[test]
fn a_function_that_was_replaced_shuts_the_scopes_that_call_it() {
    let cluster = running();
    let partial = "CREATE OR REPLACE FUNCTION airlock.mask_partial(value text, \"left\" integer DEFAULT 0, \"right\" integer DEFAULT 0, \
        fill text DEFAULT '*', min_hidden integer DEFAULT 4) RETURNS text IMMUTABLE STRICT PARALLEL SAFE COST 8";
    let gate = "CREATE OR REPLACE FUNCTION airlock.gate(scope integer) RETURNS boolean STABLE CALLED ON NULL INPUT PARALLEL RESTRICTED";
    let changes = [
        (format!("{partial} LANGUAGE sql AS 'SELECT value'"), false),
        (format!("{partial} LANGUAGE plpgsql AS 'BEGIN RETURN value; END'"), false),
        // a function of the library that has these arguments too
        (format!("{partial} LANGUAGE c AS '$libdir/pg_airlock', 'airlock_mask_redact'"), false),
        (format!("{partial} SUPPORT pg_catalog.text_starts_with_support LANGUAGE c AS '$libdir/pg_airlock', 'airlock_mask_partial'"), false),
        (format!("{gate} LANGUAGE sql AS 'SELECT true'"), false),
    ];
    for (change, of_globex) in changes {
        let mut readers = Readers::new(&cluster);
        cluster.admin(&change);
        readers.shut(&cluster, of_globex, &change);
        let found = labels(&cluster);
        assert_eq!(found.len(), 1, "{change}: {found:?}");
        // a body may hold anything
        assert!(!found[0][1].contains("SELECT") && !found[0][1].contains("BEGIN"), "{found:?}");
        cluster.admin(&found[0][2]);
        readers.open(&change);
    }
    let mut readers = Readers::new(&cluster);
    cluster.admin(&format!("ALTER FUNCTION {PARTIAL} RENAME TO mask_other"));
    readers.shut(&cluster, false, "renamed");
    cluster.admin("ALTER FUNCTION airlock.mask_other(text, integer, integer, text, integer) RENAME TO mask_partial");
    readers.open("renamed");
    cluster.admin(&format!("ALTER FUNCTION {PARTIAL} SET SCHEMA public"));
    readers.prepared.query("BEGIN").ok();
    readers.cursor.query("BEGIN").ok();
    readers.cursor.query("DECLARE c CURSOR FOR SELECT 1").ok();
    refused(&readers.plain.query(READ), "moved");
    refused(&readers.prepared.query("EXECUTE p"), "moved");
    readers.prepared.query("ROLLBACK").ok();
    cluster.admin("ALTER FUNCTION public.mask_partial(text, integer, integer, text, integer) SET SCHEMA airlock");
    readers.open("moved");
}

/// globex has no subject, so another gate, which acme's view does not ask.
#[test]
fn the_gate_of_scopes_without_a_subject_is_watched_as_the_other_is() {
    let cluster = running();
    let acme = || assert_eq!(cluster.sql("acme", READ).ok().received, VISIBLE);
    for change in [
        "ALTER FUNCTION airlock.gate_parallel(integer) LEAKPROOF",
        "CREATE OR REPLACE FUNCTION airlock.gate_parallel(scope integer) RETURNS boolean STABLE CALLED ON NULL INPUT PARALLEL SAFE LANGUAGE sql AS 'SELECT true'",
    ] {
        let mut globex = cluster.connect("globex");
        assert_eq!(globex.query(GLOBEX).ok().received, VISIBLE);
        cluster.admin(change);
        refused(&globex.query(GLOBEX), change);
        acme();
        cluster.admin(&labels(&cluster)[0][2]);
        assert_eq!(globex.query(GLOBEX).ok().received, VISIBLE, "{change}");
    }
}

/// What no view of the scope calls does not matter to it, nor does what is taken back.
#[test]
fn what_a_scope_does_not_call_does_not_shut_it() {
    let cluster = running();
    let mut readers = Readers::new(&cluster);
    readers.prepared.query("COMMIT").ok();
    for other in [
        "ALTER FUNCTION airlock.mask_iban(text, integer) LEAKPROOF",
        "ALTER FUNCTION airlock.mask_bucket(bigint, numeric) COST 7",
        "ALTER FUNCTION airlock.suspend(text, text) SECURITY INVOKER",
        "CREATE FUNCTION public.nothing() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    ] {
        cluster.admin(other);
        readers.open(other);
    }
    let found = labels(&cluster);
    assert_eq!(found.len(), 3, "{found:?}");
    found.iter().for_each(|row| drop(cluster.admin(&row[2])));
    assert_eq!(labels(&cluster), Vec::<Vec<String>>::new());
    cluster.admin(&format!("BEGIN; ALTER FUNCTION {DISCLOSE} LEAKPROOF; ROLLBACK"));
    readers.open("taken back");
    assert_eq!(readers.cursor.query("FETCH 5 FROM c").ok().received, 5);
    // a scope that is made anew while the label is wrong stays shut: it is not the scope's to say what the label should be
    cluster.admin(&format!("ALTER FUNCTION {PARTIAL} LEAKPROOF"));
    readers.cursor.query("ROLLBACK");
    cluster.admin(&format!(
        "SELECT airlock.replace_scope('acme', 'public.customers', '{}', row_filter => 'consent', subject => '{{id}}')",
        crate::fixture::ACME_RULES
    ));
    refused(&readers.plain.query(READ), "made anew");
    cluster.admin(&format!("ALTER FUNCTION {PARTIAL} NOT LEAKPROOF"));
    readers.open("by its own statement");
}
