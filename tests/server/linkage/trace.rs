//! `trace()` among three sub-processors.

use super::{replace, rows};
use crate::cluster::Cluster;
use crate::fixture::{drained, running};
use crate::sentinel::contains;
use std::fs;

const RULES: &str = r#"{"id": {"mask": "pseudonym_int"}, "email": {"mask": "pseudonym"}, "phone": {"mask": "fpe"}, "ssn": {"mask": "pseudonym", "length": 20}, "country": {"mask": "hash_bucket", "buckets": 4}, "consent": "clear"}"#;

/// Three sub-processors with the same rules.
fn three() -> Cluster {
    let cluster = running();
    cluster.admin(
        "CREATE ROLE initech LOGIN;
         UPDATE public.customers SET phone = '+1 202 55' || lpad(id::text, 5, '0');
         SELECT airlock.create_subprocessor('initech', role => 'initech', legal_name => 'Initech', contract => 'DPA-3', purposes => '{mailing}');
         SELECT airlock.create_scope('initech', 'public.customers', '{\"id\": \"clear\"}', row_filter => 'consent')",
    );
    for who in ["acme", "globex", "initech"] {
        replace(&cluster, who, RULES);
    }
    cluster
}

/// What a sub-processor sees in a column of the row with that id: by its own read.
fn shown(cluster: &Cluster, who: &str, column: &str, id: u32) -> String {
    let order = cluster.sql(who, &format!("SELECT {column} FROM {who}.customers")).ok().first();
    let at = cluster.admin("SELECT id FROM public.customers WHERE consent").first();
    // both are scans of the whole table
    order[at.iter().position(|n| *n == id.to_string()).expect("a row")].clone()
}

fn traced(cluster: &Cluster, pseudonym: &str, of: &str) -> Vec<Vec<String>> {
    let of = if of.is_empty() { "NULL".to_string() } else { format!("'{of}'") };
    rows(cluster, &format!("SELECT subprocessor, relation, column_name, mask, in_force, subject FROM airlock.trace('{pseudonym}', {of}) ORDER BY 1"))
}

fn row(who: &str, column: &str, mask: &str, in_force: bool, id: u32) -> Vec<String> {
    let force = if in_force { "t" } else { "f" };
    vec![who.into(), "public.customers".into(), column.into(), mask.into(), force.into(), format!("{{\"id\": {id}}}")]
}

#[test]
fn the_sub_processor_and_the_row_are_found_by_every_keyed_mask() {
    let cluster = three();
    for who in ["acme", "globex", "initech"] {
        for (column, mask) in [("id", "pseudonym_int"), ("email", "pseudonym"), ("phone", "fpe"), ("ssn", "pseudonym")]
        {
            for id in [1, 57] {
                let leaked = shown(&cluster, who, column, id);
                assert_eq!(traced(&cluster, &leaked, ""), [row(who, column, mask, true, id)], "{leaked}");
            }
        }
    }
    // as a spreadsheet has it; of one sub-processor only
    let leaked = shown(&cluster, "globex", "email", 7);
    assert_eq!(
        traced(&cluster, &format!(" {} ", leaked.to_uppercase()), "globex"),
        [row("globex", "email", "pseudonym", true, 7)]
    );
    assert_eq!(traced(&cluster, &leaked, "acme"), Vec::<Vec<String>>::new());
    // what says nothing of a row, and what nobody was shown
    for not in ["0", "NO", "aaaaaaaaaaaaaaaaaaaaaaaaaa", "9000000000000000000", "-"] {
        assert_eq!(traced(&cluster, not, ""), Vec::<Vec<String>>::new(), "{not}");
    }
    // a row that the filter hides by now was shown before
    cluster.admin("UPDATE public.customers SET consent = false WHERE id = 7");
    assert_eq!(traced(&cluster, &leaked, ""), [row("globex", "email", "pseudonym", true, 7)]);
}

#[test]
fn rules_that_ended_and_sub_processors_that_left_are_found_too() {
    let cluster = three();
    let (email, ssn) = (shown(&cluster, "globex", "email", 3), shown(&cluster, "globex", "ssn", 3));
    // the same rule in a new scope is one answer, in force
    replace(&cluster, "globex", RULES);
    assert_eq!(traced(&cluster, &email, ""), [row("globex", "email", "pseudonym", true, 3)]);
    replace(&cluster, "globex", r#"{"country": "clear"}"#);
    assert_eq!(traced(&cluster, &email, ""), [row("globex", "email", "pseudonym", false, 3)]);
    assert_eq!(traced(&cluster, &ssn, "globex"), [row("globex", "ssn", "pseudonym", false, 3)]);
    let until = "SELECT shown_from < shown_until AND shown_until <= now() FROM airlock.trace";
    assert_eq!(cluster.admin(&format!("{until}('{email}')")).value(), "t");
    cluster.admin("SELECT airlock.drop_scope('globex', 'public.customers'), airlock.terminate('globex', 'over')");
    assert_eq!(traced(&cluster, &email, ""), [row("globex", "email", "pseudonym", false, 3)]);
    // a key that is gone ends no other's question
    cluster.admin("SELECT airlock.destroy_mask_key('globex', 'over')");
    let acme = shown(&cluster, "acme", "ssn", 3);
    let answer = cluster.admin(&format!("SELECT subprocessor FROM airlock.trace('{acme}')"));
    assert!(answer.notices.iter().any(|n| n.text().contains("is destroyed")), "{answer:?}");
    assert_eq!(answer.first(), ["acme"]);
    // a table without key names nothing, and still says whose it was
    cluster.admin(
        r#"CREATE TABLE public.notes (body text); INSERT INTO public.notes SELECT 'note ' || g FROM generate_series(1, 5) g;
           SELECT airlock.create_scope('acme', 'public.notes', '{"body": {"mask": "pseudonym"}}')"#,
    );
    let note = cluster.sql("acme", "SELECT body FROM acme.notes").ok().first()[2].clone();
    let found = traced(&cluster, &note, "");
    assert_eq!(found, [["acme", "public.notes", "body", "pseudonym", "t", ""].map(String::from).to_vec()]);
    // what is not there any more is said, not passed over
    cluster.admin("SELECT airlock.drop_scope('acme', 'public.notes')");
    cluster.admin("DROP TABLE public.notes");
    let answer = cluster.admin(&format!("SELECT * FROM airlock.trace('{note}')"));
    assert!(answer.rows.is_empty());
    let said = answer.notices.iter().map(|n| n.text()).collect::<String>();
    assert!(said.contains("not complete") && said.contains("not there any more"), "{said}");
}

#[test]
fn whoever_may_not_read_the_name_of_a_row_may_not_ask_and_every_question_is_on_record() {
    let mut cluster = three();
    cluster.admin("CREATE ROLE officer LOGIN IN ROLE airlock_admin");
    let leaked = shown(&cluster, "acme", "ssn", 5);
    let ask = format!("SELECT subject FROM airlock.trace('{leaked}')");
    let mut officer = cluster.connect_as("officer", "traces");
    let refused = officer.query(&ask);
    assert_eq!(refused.code(), "42501");
    let hint = refused.error.as_ref().map(|e| e.get('H').to_string()).unwrap_or_default();
    assert!(hint.contains(r#") ON "public"."customers" TO "officer""#), "{hint}");
    // with the name alone it could try values of its own choice
    cluster.admin("GRANT SELECT (id) ON public.customers TO officer");
    assert_eq!(officer.query(&ask).code(), "42501");
    cluster.admin("GRANT SELECT ON public.customers TO officer");
    assert_eq!(officer.query(&ask).ok().first(), ["{\"id\": 5}"]);
    assert_eq!(officer.query("SELECT * FROM airlock.trace('nothing', 'globex')").ok().rows.len(), 0);
    // it may not read what it found by other ways
    assert_eq!(officer.query("SELECT airlock.decrypt(ssn) FROM public.customers").code(), "AL004");
    assert_eq!(officer.query("SELECT * FROM airlock.trace('x', 'nobody')").code(), "42704");
    assert_eq!(officer.query("SELECT * FROM airlock.trace('')").code(), "22023");
    // undone and on record all the same; power fails right after the answer
    officer.query("BEGIN").ok();
    officer.query(&ask).ok();
    officer.query("ROLLBACK").ok();
    cluster.kill();
    cluster.start();
    crate::fixture::open(&cluster);
    let noted =
        cluster.admin("SELECT what FROM airlock.audit_log WHERE application_name = 'traces' ORDER BY id").first();
    let answered = ["trace: asked", "trace: 1 rows found"];
    let expected: Vec<&str> = [
        &["trace: asked", "trace: asked"],
        &answered[..],
        &["trace of globex: asked", "trace of globex: 0 rows found"],
        &answered[..],
    ]
    .concat();
    assert_eq!(noted, expected);
    // what was asked for is kept encrypted, for administrators
    drained(&cluster);
    let asked = "SELECT DISTINCT v.parameters FROM airlock.audit_log a, LATERAL airlock.statement_values(a.id) v WHERE a.what = 'trace: 1 rows found'";
    assert_eq!(cluster.admin(asked).first(), [format!("{{{leaked}}}")]);
    // no value and no key in the server's log
    let log = fs::read(cluster.dir.join("log")).unwrap();
    for never in ["CANARY", &fs::read_to_string(cluster.dir.join("root.key")).unwrap()] {
        assert!(!contains(&log, never.as_bytes()), "{never}");
    }
}

/// A damaged value is counted, and hides nothing else; a value that is bound to its row opens in it.
#[test]
fn values_that_do_not_open_are_said_and_bound_ones_open() {
    let cluster = three();
    let (five, six) = (shown(&cluster, "acme", "ssn", 5), shown(&cluster, "acme", "ssn", 6));
    let mut admin = cluster.connect("postgres");
    let sealed = admin.query("SELECT ssn FROM public.customers WHERE id = 5").value();
    // the last character but one is of the authentication tag
    let at = sealed.len() - 2;
    let other = if &sealed[at..=at] == "A" { "B" } else { "A" };
    let damaged = format!("{}{other}{}", &sealed[..at], &sealed[at + 1..]);
    admin.query("SET airlock.encrypted_input = ciphertext").ok();
    admin.query(&format!("UPDATE public.customers SET ssn = '{damaged}' WHERE id = 5")).ok();
    let said = |pseudonym: &str| {
        let answer = cluster.admin(&format!("SELECT subject FROM airlock.trace('{pseudonym}')"));
        let notices = answer.notices.iter().map(|n| n.get('M').to_string()).collect::<Vec<_>>().join("\n");
        (answer.first(), notices)
    };
    let (found, notices) = said(&five);
    assert!(
        found.is_empty() && notices.contains("1 values of column \"ssn\" of public.customers do not open"),
        "{notices}"
    );
    assert_eq!(said(&six).0, ["{\"id\": 6}"]);
    let note = "SELECT message FROM airlock.link_risk('acme', 'globex') WHERE kind = 'note' AND column_a = 'ssn'";
    assert!(cluster.admin(note).value().starts_with("1 encrypted values do not open"));
    cluster.admin(
        r#"CREATE TABLE public.bound (no int PRIMARY KEY, secret text);
           INSERT INTO public.bound SELECT g, 'secret ' || g FROM generate_series(1, 9) g;
           SELECT airlock.encrypt_column('public.bound', 'secret', 'pii', bind => '{no}');
           SELECT airlock.create_scope('acme', 'public.bound', '{"secret": {"mask": "pseudonym"}}'), airlock.create_scope('globex', 'public.bound', '{"secret": "clear"}')"#,
    );
    let secret = cluster.sql("acme", "SELECT secret FROM acme.bound").ok().first()[3].clone();
    let found = cluster.admin(&format!("SELECT subprocessor, subject FROM airlock.trace('{secret}')"));
    assert_eq!(found.rows, [[Some("acme".to_string()), Some("{\"no\": 4}".to_string())]]);
    let both = "SELECT kind, values_a, values_b, shared FROM airlock.link_risk('acme', 'globex') WHERE column_a = 'secret' AND column_b = 'secret'";
    assert_eq!(rows(&cluster, both), [["none", "9", "9", "0"].map(String::from).to_vec()]);
}
