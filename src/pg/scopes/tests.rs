//! In-backend tests of scopes: what the views are, which column rights they cost, what is refused at which path.

#[pgrx::pg_schema]
#[allow(clippy::disallowed_methods, clippy::unwrap_used, missing_docs)] // reason: tests write, and may fail loudly
mod tests {
    use crate::pg::registry;
    use crate::pg::sys::fingerprint;
    use pgrx::prelude::*;

    /// Two sub-processors, some tables in a schema that nobody may use, `pg_temp.said(sql)`.
    fn set_up() {
        for sql in [
            "CREATE FUNCTION pg_temp.said(sql text) RETURNS text LANGUAGE plpgsql AS $f$
               DECLARE m text; d text; h text;
               BEGIN EXECUTE sql; RETURN 'ok'; EXCEPTION WHEN OTHERS THEN
                 GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
                 RETURN concat_ws(' | ', SQLSTATE, m, d, h); END $f$",
            "CREATE ROLE sco_acme LOGIN",
            "CREATE ROLE sco_beta LOGIN",
            "SELECT airlock.create_key('sco_pii')",
            "SELECT airlock.create_subprocessor('sco_acme', 'sco_acme', 'Acme', 'C', '{analytics,support}')",
            "SELECT airlock.create_subprocessor('sco_beta', 'sco_beta', 'Beta', 'C', '{stats}')",
            "CREATE SCHEMA sco",
            "CREATE TYPE sco.mood AS ENUM ('ok', 'bad')",
            "CREATE DOMAIN sco.short AS varchar(10)",
            "CREATE TABLE sco.people (id int PRIMARY KEY, name text NOT NULL, code sco.short, born date, seen timestamptz,
               ok boolean, mood sco.mood, spot point, ssn airlock.encrypted_eq('sco_pii'))",
            "CREATE TABLE sco.orders (id int PRIMARY KEY, person int REFERENCES sco.people, total numeric)",
        ] {
            run(sql);
        }
    }

    fn run(sql: &str) {
        Spi::run(sql).unwrap();
    }

    fn text(sql: &str) -> String {
        Spi::get_one::<String>(sql).unwrap().unwrap_or_else(|| "NULL".into())
    }

    fn said(sql: &str) -> String {
        Spi::get_one_with_args::<String>("SELECT pg_temp.said($1)", &[sql.into()]).unwrap().unwrap()
    }

    fn scope(rules: &str, more: &str) -> String {
        format!("SELECT airlock.create_scope('sco_acme', 'sco.people', '{rules}'{more})")
    }

    fn refused(sql: &str, words: &[&str]) {
        let answer = said(sql);
        assert!(words.iter().all(|word| answer.contains(word)), "{sql}: {answer}");
    }

    /// Columns of sco.people on which the view owner holds SELECT.
    const GRANTED: &str = "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute
        WHERE attrelid = 'sco.people'::regclass AND attacl::text LIKE '%airlock_view_owner=r/%'";

    #[pg_test]
    fn scope_makes_two_barrier_views_and_grants_no_column_more() {
        set_up();
        let rules = r#"{"ssn": {"mask": "partial", "right": 4}, "name": {"mask": "redact"}, "born": {"mask": "age_band"},
            "code": {"mask": "pseudonym"}, "spot": {"mask": "nullify"}, "mood": "clear", "id": "clear"}"#;
        assert_eq!(said(&scope(rules, ", 'ok', '{id}'")), "ok");
        // jsonb has no order: the columns come in the table's
        let columns = "SELECT string_agg(attname || ' ' || atttypid::regtype, ',' ORDER BY attnum) FROM pg_attribute
            WHERE attrelid = 'sco_acme.people'::regclass";
        assert_eq!(text(columns), "id integer,name text,code text,born text,mood sco.mood,spot point,ssn text");
        assert_eq!(text(GRANTED), "id,name,code,born,ok,mood,ssn");
        let views = "SELECT string_agg(concat(c.relowner::regrole, c.reloptions), ' ') FROM airlock_catalog.scope s
            JOIN pg_class c ON c.oid IN (s.view, s.inner_view) WHERE s.dropped_at IS NULL";
        assert_eq!(text(views), "airlock_view_owner{security_barrier=true} airlock_view_owner{security_barrier=true}");
        assert_eq!(text("SELECT concat(has_table_privilege('sco_acme', 'sco_acme.people', 'SELECT'), has_table_privilege('sco_beta', 'sco_acme.people', 'SELECT'))"), "tf");
        // views reach their tables by number: the owner needs no right on the schema
        assert_eq!(text("SELECT has_schema_privilege('airlock_view_owner', 'sco', 'USAGE')::text"), "false");
        let rules = "SELECT string_agg(concat_ws(' ', column_name, plain_type, encrypted, domain, mask_key_version), ',' ORDER BY ordinal)
            FROM airlock_catalog.rule WHERE until IS NULL AND (encrypted OR domain IS NOT NULL)";
        assert_eq!(text(rules), "code text f sco.people.code 1,ssn text t");
        let known = registry::current().unwrap();
        let id: i32 = Spi::get_one("SELECT id FROM airlock_catalog.scope WHERE dropped_at IS NULL").unwrap().unwrap();
        assert!(known.scopes.contains_key(&id) && known.rules.values().filter(|r| r.scope.id == id).count() == 7);
    }

    #[pg_test]
    fn scope_refusals_name_their_path() {
        set_up();
        for (rules, more, words) in [
            ("[]", "", &["AL010", "at $ |"][..]),
            ("{}", "", &["AL010", "at $ |"]),
            (r#"{"nope": "clear"}"#, "", &["AL010", "at $.nope"]),
            (r#"{"*": "clear"}"#, "", &["AL010", "at $.\"*\""]),
            (r#"{"name": {"mask": "nope"}}"#, "", &["AL010", "at $.name.mask"]),
            (r#"{"name": {"mask": "partial", "right": "4"}}"#, "", &["AL010", "at $.name.right"]),
            (r#"{"id": {"mask": "redact"}}"#, "", &["AL010", "at $.id.mask"]),
            (r#"{"id": {"mask": "bucket", "step": 10}}"#, "", &["AL010", "at $.id", "allow_duplicates"]),
            (r#"{"id": "clear"}"#, ", subject => '{nope}'", &["AL010", "at subject"]),
            (r#"{"id": "clear"}"#, ", subject => '{ssn}'", &["AL010", "at subject", "encrypted"]),
            (r#"{"id": "clear"}"#, ", purposes => '{analytics,nope}'", &["AL010", "at purposes[1]"]),
            (r#"{"id": "clear"}"#, ", purposes => '{NULL}'", &["AL010", "at purposes"]),
            (r#"{"id": "clear"}"#, ", row_filter => 'ssn::int > 5'", &["AL010", "at row_filter", "casts a column"]),
        ] {
            refused(&scope(rules, more), words);
        }
        refused("SELECT airlock.create_scope('sco_nope', 'sco.people', '{}')", &["42704", "sco_nope"]);
        refused("SELECT airlock.create_scope('sco_acme', 99999::regclass, '{}')", &["42704", "99999"]);
        assert_eq!(text("SELECT count(*)::text FROM airlock_catalog.scope"), "0");
    }

    #[pg_test]
    fn scope_is_for_tables_of_ones_own() {
        set_up();
        for sql in [
            "CREATE VIEW sco.v AS SELECT 1 AS id",
            "CREATE MATERIALIZED VIEW sco.m AS SELECT 1 AS id",
            "CREATE TEMP TABLE sco_temp (id int)",
            "CREATE TABLE sco.secured (id int)",
            "ALTER TABLE sco.secured ENABLE ROW LEVEL SECURITY",
        ] {
            run(sql);
        }
        for (relation, word) in [
            ("sco.v", "a view"),
            ("sco.m", "a materialized view"),
            ("sco_temp", "not open to scopes"),
            ("sco.secured", "row security"),
            ("pg_catalog.pg_class", "not open to scopes"),
            ("airlock_catalog.key", "not open to scopes"),
            ("airlock.keys", "not open to scopes"),
        ] {
            let sql = format!("SELECT airlock.create_scope('sco_acme', '{relation}', '{{\"id\": \"clear\"}}')");
            refused(&sql, &["AL010", "at relation", word]);
        }
    }

    #[pg_test]
    fn scope_maker_must_be_able_to_share() {
        set_up();
        run("CREATE ROLE sco_admin LOGIN IN ROLE airlock_admin");
        run("GRANT USAGE ON SCHEMA sco TO sco_admin");
        let try_it = || {
            run("SET LOCAL ROLE sco_admin");
            let answer = said(&scope(r#"{"id": "clear"}"#, ""));
            run("RESET ROLE");
            answer
        };
        let answer = try_it();
        assert!(answer.contains("42501") && answer.contains("WITH GRANT OPTION"), "{answer}");
        run("GRANT SELECT ON sco.people TO sco_admin WITH GRANT OPTION");
        assert_eq!(try_it(), "ok");
    }

    #[pg_test]
    fn row_filter_is_one_expression_that_no_setting_moves() {
        set_up();
        for filter in [
            "",
            "nope = 1",
            "ok, ok",
            "ok AS x",
            "ok x",
            "ok FROM pg_class",
            "ok WHERE ok",
            "ok ORDER BY 1",
            "ok LIMIT 1",
            "DISTINCT ok",
            "ok GROUP BY 1",
            "ok; SELECT 1",
            "ok) OR (ok",
            "ok UNION SELECT true",
            "$1",
            "id",
            "EXISTS (SELECT 1)",
            "id IN (SELECT 1)",
            "count(*) > 1",
            "row_number() OVER () > 1",
            "generate_series(1, 2) > 1",
            "random() > 0.5",
            "name = CURRENT_USER",
            "born < CURRENT_DATE",
            "born < now()",
            "seen > now() - interval '1 day'",
            "seen < clock_timestamp()",
            "mood::text = 'ok'",
            "name::date < '2000-01-01'",
            "extract(year FROM seen) = 2000",
            "people IS NOT NULL",
            "ctid IS NOT NULL",
            "airlock.mask_redact(name) = 'x'",
            "born = '01/02/2020'",
            "pg_sleep(1) IS NULL",
        ] {
            let sql = "SELECT airlock.create_scope('sco_acme', 'sco.people', '{\"id\": \"clear\"}', $1)";
            let call = format!("DO $d$ BEGIN EXECUTE {} USING {}; END $d$", quoted(sql), quoted(filter));
            refused(&call, &["AL010", "at row_filter"]);
        }
        run("SET LOCAL datestyle = 'German'");
        let filter =
            "ok AND mood IN ('ok') AND born < '2020-01-02' AND seen < now() AND code LIKE 'a%' AND coalesce(id, 0) > 1";
        assert_eq!(said(&scope(r#"{"id": "clear"}"#, &format!(", {}", quoted(filter)))), "ok");
        let stored = text("SELECT row_filter FROM airlock_catalog.scope WHERE dropped_at IS NULL");
        assert!(stored.contains("'2020-01-02'::date"), "{stored}");
        assert_eq!(text(GRANTED), "id,code,born,seen,ok,mood");
    }

    fn quoted(text: &str) -> String {
        crate::pure::name::literal(text)
    }

    #[pg_test]
    fn scope_replaced_keeps_history_and_takes_rights_back() {
        set_up();
        run(&scope(r#"{"id": "clear", "name": {"mask": "redact"}, "born": "clear"}"#, ", 'ok', view_name => 'folk'"));
        run("SELECT airlock.create_scope('sco_beta', 'sco.people', '{\"born\": \"clear\"}')");
        run("UPDATE airlock_catalog.rule SET since = '2020-01-01'");
        refused(&scope(r#"{"id": "clear"}"#, ""), &["42710", "airlock.replace_scope"]);
        run("SELECT airlock.replace_scope('sco_acme', 'sco.people', '{\"id\": \"clear\", \"name\": {\"mask\": \"initials\"}}')");
        assert_eq!(text("SELECT view::text FROM airlock.scopes WHERE subprocessor = 'sco_acme'"), "sco_acme.folk");
        assert_eq!(text(GRANTED), "id,name,born", "beta still needs born, nobody needs ok");
        let since = "SELECT string_agg(column_name || (since = '2020-01-01')::text, ',' ORDER BY column_name) FROM airlock_catalog.rule r
            JOIN airlock.scopes s ON s.scope_no = r.scope WHERE s.subprocessor = 'sco_acme'";
        assert_eq!(text(since), "idtrue,namefalse");
        assert_eq!(text("SELECT count(*)::text FROM airlock_catalog.rule WHERE until IS NOT NULL"), "3");
        run("CREATE VIEW sco.dependent AS SELECT * FROM sco_acme.folk");
        refused("SELECT airlock.drop_scope('sco_acme', 'sco.people')", &["55000", "view sco.dependent"]);
        run("DROP VIEW sco.dependent");
        run("SELECT airlock.drop_scope('sco_acme', 'sco.people')");
        assert_eq!(text(GRANTED), "born");
        run("SELECT airlock.drop_scope('sco_beta', 'sco.people')");
        assert_eq!(text(GRANTED), "NULL");
        refused("SELECT airlock.drop_scope('sco_beta', 'sco.people')", &["42704"]);
        refused(
            "SELECT airlock.replace_scope('sco_beta', 'sco.people', '{\"id\": \"clear\"}')",
            &["42704", "create_scope"],
        );
    }

    #[pg_test]
    fn preview_leaves_nothing_behind() {
        set_up();
        run(&scope(r#"{"id": "clear", "name": {"mask": "redact"}, "born": "clear"}"#, ""));
        run("INSERT INTO sco.people (id, name, ok) VALUES (1, 'Ada', true)");
        let before = text(GRANTED);
        let lines =
            "SELECT string_agg(step || ': ' || what, E'\\n') FROM airlock.preview_scope('sco_acme', 'sco.people',
            '{\"id\": \"clear\", \"name\": \"clear\", \"ssn\": \"clear\"}', 'ok')";
        let lines = text(lines);
        for line in [
            "newly exposed: \"name\": clear, was {",
            "newly exposed: \"ssn\": clear, decrypted",
            "no longer exposed: \"born\"",
            "column: \"ssn\": text (of encrypted text)",
            "sample: {\"id\":\"1\",\"name\":\"Ada\"",
            "sql: DROP VIEW \"sco_acme\".\"people\"",
            "sql: CREATE VIEW \"sco_acme\".\"people\" WITH (security_barrier = true)",
        ] {
            assert!(lines.contains(line), "{line} in\n{lines}");
        }
        assert_eq!(text(GRANTED), before);
        assert_eq!(text("SELECT count(*)::text FROM airlock_catalog.scope"), "1");
        assert_eq!(text("SELECT count(*)::text FROM airlock_catalog.rule WHERE until IS NULL"), "3");
        refused(
            "SELECT * FROM airlock.preview_scope('sco_acme', 'sco.people', '{\"nope\": \"clear\"}')",
            &["AL010", "at $.nope"],
        );
    }

    #[pg_test]
    fn foreign_keys_join_or_the_maker_says_so() {
        set_up();
        run(&scope(r#"{"id": {"mask": "pseudonym"}}"#, ""));
        let orders = |rules: &str| format!("SELECT airlock.create_scope('sco_acme', 'sco.orders', '{rules}')");
        refused(&orders(r#"{"person": "clear"}"#), &["AL010", "at $.person", "sco.people.id"]);
        assert_eq!(said(&orders(r#"{"person": {"mask": "pseudonym"}}"#)), "ok");
        assert_eq!(text("SELECT string_agg(domain, ' ') FROM airlock_catalog.rule"), "sco.people.id sco.people.id");
    }

    #[pg_test]
    fn partition_child_scope() {
        set_up();
        run("CREATE TABLE sco.parts (id int) PARTITION BY RANGE (id)");
        run("CREATE TABLE sco.part PARTITION OF sco.parts FOR VALUES FROM (0) TO (9)");
        let of = |who: &str, table: &str| {
            format!("SELECT airlock.create_scope('{who}', 'sco.{table}', '{{\"id\": \"clear\"}}')")
        };
        run(&of("sco_acme", "parts"));
        refused(&of("sco_acme", "part"), &["AL010", "at relation", "\"parts\""]);
        run(&of("sco_beta", "part"));
        refused(&of("sco_beta", "parts"), &["AL010", "at relation", "\"part\""]);
    }

    #[pg_test]
    fn hostile_names_stay_names() {
        set_up();
        run(r#"CREATE TABLE sco."a""; DROP TABLE x; --" ("i""d" int PRIMARY KEY, "it's" text)"#);
        let sql = r#"SELECT airlock.create_scope('sco_acme', 'sco."a""; DROP TABLE x; --"', '{"i\"d": "clear", "it''s": {"mask": "redact"}}', '"it''s" <> ''x''', '{"i\"d"}')"#;
        assert_eq!(said(sql), "ok");
        assert_eq!(text("SELECT string_agg(attname, '|' ORDER BY attnum) FROM pg_attribute WHERE attrelid = (SELECT view FROM airlock.scopes)"), "i\"d|it's");
    }

    #[pg_test]
    fn fingerprint_tells_drift() {
        set_up();
        run(&scope(r#"{"id": "clear", "name": {"mask": "redact"}}"#, ""));
        let stored = text("SELECT fingerprint FROM airlock_catalog.scope WHERE dropped_at IS NULL");
        let oid = |column: &str| {
            Spi::get_one::<pg_sys::Oid>(&format!("SELECT {column}::oid FROM airlock_catalog.scope")).unwrap().unwrap()
        };
        let now = || fingerprint::of(oid("view"), oid("inner_view")).unwrap();
        assert_eq!(now(), stored);
        run("SET LOCAL search_path = sco, sco_acme");
        assert_eq!(now(), stored, "whatever the search path is");
        let select = text("SELECT rtrim(pg_get_viewdef(view), ';') FROM airlock_catalog.scope");
        let replace =
            |text: &str| format!("CREATE OR REPLACE VIEW sco_acme.people WITH (security_barrier = true) AS {text}");
        for (change, back) in [
            (
                "ALTER VIEW sco_acme.people SET (security_barrier = false)",
                "ALTER VIEW sco_acme.people SET (security_barrier = true)",
            ),
            ("ALTER VIEW sco_acme.people RENAME TO persons", "ALTER VIEW sco_acme.persons RENAME TO people"),
            (&replace(&select.replace("'*'", "'-'")), &replace(&select)),
            ("ALTER VIEW sco_acme.people RENAME name TO other", "ALTER VIEW sco_acme.people RENAME other TO name"),
            (&replace(&select.replace(" FROM ", " FROM ONLY ")), &replace(&select)),
            (&replace(&format!("{select} WHERE id > 0")), &replace(&select)),
            (&replace(&format!("{select} LIMIT 5")), &replace(&select)),
        ] {
            assert_ne!(change, replace(&select));
            run(change);
            assert_ne!(fingerprint::of(oid("view"), oid("inner_view")).ok().as_ref(), Some(&stored), "{change}");
            run(back);
            assert_eq!(now(), stored, "{back}");
        }
    }

    /// ANALYZE by a superuser runs the index expressions of everybody's tables, with the superuser as the outer user.
    #[pg_test]
    fn an_index_expression_administers_nothing() {
        set_up();
        for sql in [
            "CREATE ROLE sco_mallory LOGIN",
            "GRANT airlock_admin TO sco_mallory",
            "CREATE SCHEMA sco_m AUTHORIZATION sco_mallory",
            "SET LOCAL ROLE sco_mallory",
            "CREATE TABLE sco_m.own (a text)",
            "CREATE TABLE sco_m.outcome (code text)",
            "CREATE FUNCTION sco_m.attempt(sql text) RETURNS void LANGUAGE plpgsql AS $f$
               BEGIN EXECUTE sql; INSERT INTO sco_m.outcome VALUES ('ok');
               EXCEPTION WHEN OTHERS THEN INSERT INTO sco_m.outcome VALUES (SQLSTATE); END $f$",
            "CREATE FUNCTION sco_m.attack() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN
               PERFORM sco_m.attempt($$SELECT airlock.create_scope('sco_acme', 'sco.people', '{\"name\": \"clear\"}')$$);
               PERFORM sco_m.attempt($$SELECT airlock.encrypt_column('sco_m.own', 'a', 'sco_pii')$$);
               RETURN 1; END $f$",
            "CREATE TABLE sco_m.bait (id int)",
            "CREATE FUNCTION sco_m.f(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'",
            "INSERT INTO sco_m.bait VALUES (1)",
            "CREATE INDEX ON sco_m.bait (sco_m.f(id))",
            "CREATE OR REPLACE FUNCTION sco_m.f(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN sco_m.attack(); END'",
            "RESET ROLE",
            "ANALYZE sco_m.bait",
        ] {
            run(sql);
        }
        assert_eq!(text("SELECT string_agg(DISTINCT code, ' ') FROM sco_m.outcome"), "42501");
        assert_eq!(text("SELECT (count(*) > 1)::text FROM sco_m.outcome"), "true");
        assert_eq!(text("SELECT count(*)::text FROM airlock_catalog.scope"), "0");
    }

    #[pg_test]
    fn json_that_cannot_be_read_is_refused_by_path() {
        set_up();
        let deep = format!("{{\"id\": {}{}}}", "[".repeat(300), "]".repeat(300));
        for rules in [deep.as_str(), "{\"id\": {\"mask\": \"bucket\", \"step\": 1e400}}"] {
            refused(&scope(rules, ""), &["AL010", "\"rules\" cannot be read", "at $"]);
            let alter = format!("SELECT airlock.alter_subprocessor('sco_acme', '{rules}')");
            refused(&alter, &["AL010", "\"changes\" cannot be read", "at $"]);
            let create = format!(
                "SELECT airlock.create_subprocessor('sco_new', 'sco_new', 'A', 'C', '{{p}}', details => '{rules}')"
            );
            run("DROP ROLE IF EXISTS sco_new");
            run("CREATE ROLE sco_new LOGIN");
            refused(&create, &["AL010", "\"details\" cannot be read", "at $"]);
        }
    }

    #[pg_test]
    fn a_view_is_not_waited_for_longer_than_five_seconds() {
        use crate::pg::sys::sql::{impatient, run as execute, undone};
        let inside = || {
            let mut timeout = String::new();
            let done = impatient(|| {
                timeout = text("SELECT current_setting('lock_timeout')");
                Ok(())
            });
            (done.unwrap(), timeout)
        };
        for (own, expected) in [("0", "5s"), ("2s", "2s"), ("1min", "5s")] {
            run(&format!("SET LOCAL lock_timeout = '{own}'"));
            assert_eq!(inside(), (true, expected.to_string()));
            assert_eq!(text("SELECT current_setting('lock_timeout')"), own, "it comes back");
        }
        let locked = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'lock_not_available'; END $$";
        assert!(!undone(|| impatient(|| execute(locked, &[]).map(|_| ()))).unwrap());
    }
}
