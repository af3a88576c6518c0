//! Conditional masks: what a column shows depends on its row, and what decides is shown to nobody.

use crate::fixture::running;

const RULES: &str = r#"{"id": "clear",
    "email": {"when": "consent", "then": "clear", "else": {"mask": "email"}},
    "ssn": {"when": "consent AND id > 10", "then": {"mask": "partial", "right": 4}},
    "born": {"when": "consent", "then": "clear", "else": {"mask": "date_shift", "days": 30}, "null_as": "1900-01-01"}}"#;

#[test]
fn each_row_is_shown_by_its_own_rule() {
    let cluster = running();
    cluster.admin(
        "SELECT airlock.create_key('numbers'), airlock.create_key('births', plaintext_type => 'date');
         CREATE TABLE public.people (id int PRIMARY KEY, email varchar(60), ssn airlock.encrypted('numbers'), born airlock.encrypted('births'), consent boolean);
         ALTER TABLE people OWNER TO app",
    );
    cluster
        .sql(
            "app",
            "INSERT INTO people SELECT g, 'CANARY' || g || '@example.com', '123-45-' || 1000 + g, date '1980-01-01' + g,
                    CASE g % 3 WHEN 0 THEN true WHEN 1 THEN false END FROM generate_series(1, 30) g;
             INSERT INTO people VALUES (31, NULL, NULL, NULL, true)",
        )
        .ok();
    let create = |rules: &str, more: &str| {
        format!("SELECT airlock.create_scope('acme', 'public.people', '{}'{more})", rules.replace('\'', "''"))
    };
    for (rules, path) in [
        (r#"{"email": {"when": "no_such", "then": "clear"}}"#, "at $.email.when"),
        (r#"{"email": {"when": "ssn::int = 1", "then": "clear"}}"#, "at $.email.when"),
        (r#"{"email": {"when": "random() < 0.5", "then": "clear"}}"#, "at $.email.when"),
        (r#"{"email": {"when": "consent); DROP TABLE people; --", "then": "clear"}}"#, "at $.email.when"),
        (r#"{"email": {"when": "EXISTS (SELECT FROM people)", "then": "clear"}}"#, "at $.email.when"),
        (r#"{"born": {"when": "consent", "then": "clear", "else": {"mask": "age_band"}}}"#, "at $.born"),
    ] {
        let answer = cluster.sql("postgres", &create(rules, ""));
        let error = answer.error.as_ref().unwrap_or_else(|| panic!("{rules} was allowed"));
        assert_eq!((error.code(), error.get('D')), ("AL010", path), "{rules}: {error:?}");
        assert!(!error.get('H').is_empty(), "{rules}");
    }
    cluster.admin(&create(RULES, ", subject => '{id}'"));
    let one = |sql: &str| cluster.sql("acme", sql).ok().value();
    // true: clear; false or unknown: masked
    assert_eq!(one("SELECT count(*) FROM acme.people WHERE email = 'CANARY' || id || '@example.com' AND born = date '1980-01-01' + id"), "10");
    assert_eq!(
        one("SELECT count(*) FROM acme.people WHERE email = '***@example.com' AND born <> date '1980-01-01' + id"),
        "20"
    );
    assert_eq!(one("SELECT count(*) FROM acme.people WHERE ssn = '*******' || 1000 + id AND id > 10"), "7");
    assert_eq!(one("SELECT count(*) FROM acme.people WHERE ssn IS NULL"), "24");
    assert_eq!(one("SELECT born::text || coalesce(email, ' none') FROM acme.people WHERE id = 31"), "1900-01-01 none");
    // the masked value decides, and what is masked is nowhere
    assert_eq!(one("SELECT count(*) FROM acme.people WHERE email LIKE 'CANARY%'"), "10");
    let types = "SELECT string_agg(format_type(atttypid, atttypmod), ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'acme.people'::regclass AND attnum > 0";
    assert_eq!(cluster.admin(types).value(), "integer,text,text,date");
    assert_eq!(cluster.sql("acme", "SELECT consent FROM acme.people").code(), "42703", "what decides is not shown");
    for probe in [
        "SELECT email::int FROM acme.people WHERE id % 3 <> 0",
        "SELECT count(1 / (CASE WHEN email LIKE '%CANARY4@%' THEN 0 ELSE 1 END)) FROM acme.people",
    ] {
        let answer = cluster.sql("acme", probe);
        assert!(!answer.everything().contains("CANARY4"), "{probe}: {answer:?}");
    }
    // what is on record, in the register, in the history: what decides as well
    cluster.connect_as("acme", "decided").query("SELECT ssn FROM acme.people").ok();
    let beneath =
        "SELECT array_to_string(base_columns, ' ') FROM airlock.access_log WHERE application_name = 'decided'";
    assert_eq!(cluster.admin(beneath).value(), "public.people.ssn public.people.id public.people.consent");
    let fields = "SELECT \"column\" || ' ' || exposure || ' ' || coalesce(condition, '-') FROM airlock.field_access WHERE relation = 'public.people'::regclass AND \"column\" IN ('id', 'email') ORDER BY 1";
    assert_eq!(
        cluster.admin(fields).first(),
        ["email clear consent", "email masked (consent) IS NOT TRUE", "id clear -"]
    );
    // said again, nothing is new; another condition is
    let preview = |rules: &str| {
        let sql = create(rules, ", subject => '{id}'")
            .replace("SELECT airlock.create_scope", "SELECT step || ': ' || what FROM airlock.preview_scope");
        cluster.admin(&sql).first()
    };
    assert!(!preview(RULES).iter().any(|line| line.starts_with("newly exposed")), "{:?}", preview(RULES));
    let wider = preview(&RULES.replace(
        "\"when\": \"consent\", \"then\": \"clear\", \"else\": {\"mask\": \"email\"}",
        "\"when\": \"id > 0\", \"then\": \"clear\"",
    ));
    assert!(
        wider.iter().any(|line| line.starts_with("newly exposed: \"email\": clear where")
            && line.contains("id > 0")
            && line.contains("was clear where consent or")),
        "{wider:?}"
    );
    // a sample is what acme will see; of what is encrypted only to who may decrypt
    cluster.admin("CREATE ROLE officer LOGIN; GRANT airlock_admin TO officer; GRANT SELECT ON people TO officer WITH GRANT OPTION");
    let sample = |role: &str| {
        let sql = create(RULES, ", subject => '{id}', row_filter => 'id < 4'")
            .replace("SELECT airlock.create_scope", "SELECT what FROM airlock.preview_scope");
        cluster.sql(role, &format!("{sql} WHERE step = 'sample' ORDER BY what")).ok().first()
    };
    let seen = cluster.sql("acme", "SELECT json_build_object('id', id::text, 'email', email, 'ssn', ssn, 'born', born)::text FROM acme.people WHERE id < 4 ORDER BY 1");
    let plain = |rows: Vec<String>| rows.into_iter().map(|row| row.replace([' ', '\n'], "")).collect::<Vec<_>>();
    cluster.admin("SELECT airlock.grant_decrypt('numbers', 'officer'), airlock.grant_decrypt('births', 'officer')");
    // what is keyed is under a key of the preview's own: of row 3 it is clear, of the others another shift
    let (shown, seen) = (plain(sample("officer")), plain(seen.ok().first()));
    let but_born = |row: &String| row.split(",\"born\"").next().unwrap().to_string();
    assert_eq!(shown.iter().map(but_born).collect::<Vec<_>>(), seen.iter().map(but_born).collect::<Vec<_>>());
    assert!(shown[2] == seen[2] && shown[..2] != seen[..2], "{shown:?} {seen:?}");
    cluster.admin("SELECT airlock.revoke_decrypt('births', 'officer')");
    assert_eq!(sample("officer").len(), 3);
    assert!(
        sample("officer").iter().all(|row| row.contains(r#""born":"(encrypted: you may not decrypt)""#)),
        "{:?}",
        sample("officer")
    );
    // a column that decides is something the scope rests on
    let dropped = cluster.sql("app", "ALTER TABLE people DROP COLUMN consent");
    assert_eq!(dropped.code(), "2BP01", "{dropped:?}");
    cluster.admin(&create(RULES, ", subject => '{id}'").replace("create_scope", "replace_scope"));
    assert_eq!(one("SELECT count(*) FROM acme.people WHERE email LIKE 'CANARY%'"), "10");
    cluster.admin("SELECT airlock.drop_scope('acme', 'public.people')");
    let rights = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'public.people'::regclass AND has_column_privilege('airlock_view_owner', attrelid, attnum, 'SELECT') AND attnum > 0";
    assert_eq!(cluster.admin(rights).value(), "0");
}
