//! In-backend tests of keys and sub-processors: what is stored, what is refused with which SQLSTATE.

#[pgrx::pg_schema]
#[allow(clippy::disallowed_methods, clippy::unwrap_used, missing_docs)] // reason: tests write, and may fail loudly
mod tests {
    use crate::pg::keys::ring;
    use crate::pg::sys::roles;
    use crate::pg::{admin, registry, shared};
    use crate::pure::error::Kind;
    use pgrx::prelude::*;

    /// `pg_temp.said(sql)`: `ok`, or SQLSTATE and what the error says.
    fn set_up() {
        run("CREATE FUNCTION pg_temp.said(sql text) RETURNS text LANGUAGE plpgsql AS $f$
               DECLARE m text; d text; h text;
               BEGIN EXECUTE sql; RETURN 'ok'; EXCEPTION WHEN OTHERS THEN
                 GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
                 RETURN concat_ws(' | ', SQLSTATE, m, d, h); END $f$");
        run("CREATE ROLE adm_acme LOGIN");
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

    /// Each statement is refused with a text that holds all the words.
    fn refused(cases: &[(&str, &[&str])]) {
        for (sql, words) in cases {
            let answer = said(sql);
            assert!(words.iter().all(|word| answer.contains(word)), "{sql}: {answer}");
        }
    }

    const ACME: &str =
        "SELECT airlock.create_subprocessor('adm_acme', 'adm_acme', 'Acme GmbH', 'DPA-1', '{analytics}')";

    #[pg_test]
    fn keys_first_use_stores_the_check_value_and_makes_the_log_key() {
        run("SELECT airlock.create_key('adm_pii')");
        assert_eq!(text("SELECT count(*) || ' ' || max(generation) FROM airlock_catalog.root_key"), "1 1");
        let versions = "SELECT string_agg(use || version || state, ' ' ORDER BY use) FROM airlock_catalog.key_version
                         WHERE owner = (SELECT uuid FROM airlock_catalog.key WHERE name = 'adm_pii') OR use = 'log'";
        assert_eq!(text(versions), "log1active match1active seal1active");
        let key = ring::key_by_name("adm_pii").unwrap();
        assert!(ring::active_seal(key.key_no).is_ok() && ring::match_key(&key).is_ok() && ring::log_key(None).is_ok());
    }

    #[pg_test]
    fn keys_arguments_are_checked() {
        set_up();
        refused(&[
            ("SELECT airlock.create_key('Bad')", &["22023", "\"Bad\""]),
            ("SELECT airlock.create_key('airlock_x')", &["22023", "reserved"]),
            ("SELECT airlock.create_key(NULL)", &["22023", "\"name\""]),
            ("SELECT airlock.create_key('adm_x', 'json')", &["22023", "boolean, smallint"]),
            ("SELECT airlock.create_key('adm_x', 'text', 257)", &["22023", "257"]),
            ("SELECT airlock.create_key('adm_x', 'text', -1)", &["22023"]),
            ("SELECT airlock.grant_decrypt('adm_nope', 'adm_acme')", &["42704", "create_key('adm_nope')"]),
        ]);
        assert_eq!(said("SELECT airlock.create_key('adm_x', 'DECIMAL', 0)"), "ok");
        refused(&[("SELECT airlock.create_key('adm_x')", &["42710", "\"adm_x\""])]);
    }

    #[pg_test]
    fn keys_grants_open_match_and_end() {
        set_up();
        run("SELECT airlock.create_key('adm_pii')");
        let role = roles::by_name("adm_acme").unwrap();
        let may = || {
            let key = ring::key_by_name("adm_pii").unwrap();
            (ring::may_decrypt(&key, role).is_ok(), ring::may_match(&key, role).is_ok())
        };
        assert_eq!(may(), (false, false));
        run("SELECT airlock.grant_match('adm_pii', 'adm_acme')");
        assert_eq!(may(), (false, true));
        run("SELECT airlock.grant_decrypt('adm_pii', 'adm_acme')");
        run("SELECT airlock.revoke_match('adm_pii', 'adm_acme')");
        assert_eq!(may(), (true, true), "decrypt implies match");
        assert_eq!(text("SELECT has_schema_privilege('adm_acme', 'airlock', 'USAGE')::text"), "true");
        run("SELECT airlock.revoke_decrypt('adm_pii', 'adm_acme')");
        assert_eq!(may(), (false, false));
        run("SELECT airlock.revoke_decrypt('adm_pii', 'adm_acme')"); // as REVOKE, no error
    }

    #[pg_test]
    fn keys_a_grant_or_version_edited_by_hand_is_found_out() {
        set_up();
        run("CREATE ROLE adm_thief LOGIN");
        run("SELECT airlock.create_key('adm_pii'), airlock.create_key('adm_other')");
        run("SELECT airlock.grant_decrypt('adm_pii', 'adm_acme')");
        run("UPDATE airlock_catalog.key_grant SET role = 'adm_thief'");
        shared::forget();
        let key = ring::key_by_name("adm_pii").unwrap();
        assert_eq!(ring::may_decrypt(&key, roles::by_name("adm_thief").unwrap()).unwrap_err().kind, Kind::NotAuthentic);
        // the wrapped secret of one key in the place of another's
        run("UPDATE airlock_catalog.key_version v SET wrapped = o.wrapped, commitment = o.commitment
               FROM airlock_catalog.key_version o, airlock_catalog.key k
              WHERE o.use = 'seal' AND v.use = 'seal' AND o.owner <> v.owner AND k.uuid = o.owner AND k.name = 'adm_other'");
        shared::forget();
        assert_eq!(ring::active_seal(key.key_no).err().unwrap().kind, Kind::NotAuthentic);
    }

    #[pg_test]
    fn subprocessor_gets_label_schema_and_mask_key() {
        set_up();
        run(ACME);
        assert_eq!(text("SELECT label FROM pg_shseclabel WHERE objoid = 'adm_acme'::regrole"), "subprocessor:adm_acme");
        assert_eq!(
            text("SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'adm_acme'"),
            "airlock_view_owner"
        );
        let can = "SELECT concat(has_schema_privilege('adm_acme', 'adm_acme', 'USAGE'), has_schema_privilege('adm_acme', 'adm_acme', 'CREATE'),
                                 has_schema_privilege('adm_acme', 'airlock', 'USAGE'))";
        assert_eq!(text(can), "tff");
        let registered = registry::current().unwrap().subprocessors["adm_acme"].clone();
        assert!(registered.contract.require_tls);
        assert!(ring::mask_key(&registered.uuid, 1).is_ok());
        // call sites keep what comes of it weakly: it goes with the ring
        let kept =
            ring::rule_key(&registered.uuid, 1, "pseudonym", "d").map(|key| std::rc::Rc::downgrade(&key)).unwrap();
        assert!(kept.upgrade().is_some());
        crate::pg::shared::forget();
        ring::drop_stale();
        assert!(kept.upgrade().is_none());
        refused(&[(ACME, &["42710"]), ("SELECT airlock.grant_decrypt('adm_pii', 'adm_acme')", &["42704"])]);
        run("SELECT airlock.create_key('adm_pii')");
        refused(&[(
            "SELECT airlock.grant_decrypt('adm_pii', 'adm_acme')",
            &["22023", "belongs to sub-processor \"adm_acme\""],
        )]);
    }

    #[pg_test]
    fn subprocessor_arguments_are_checked() {
        set_up();
        run("CREATE SCHEMA adm_taken");
        let with = |name: &str, rest: &str| {
            format!("SELECT airlock.create_subprocessor('{name}', 'adm_acme', 'A', 'C', {rest})")
        };
        refused(&[
            (&with("Acme", "'{p}'"), &["22023", "sub-processor name"]),
            (&with("airlock_x", "'{p}'"), &["22023", "reserved"]),
            (&with("adm_acme", "'{}'"), &["22023", "at least one purpose"]),
            (&with("adm_acme", "'{p,\" \"}'"), &["22023", "empty purpose"]),
            (&with("adm_acme", "'{p,p}'"), &["22023", "twice"]),
            (&with("adm_acme", "'{NULL}'"), &["22023", "null"]),
            (&with("adm_acme", "'{p}', networks => '{10.0.0.1/8}'"), &["22023", "10.0.0.1/8"]),
            (&with("adm_acme", "'{p}', details => '{\"dpa\": {\"signd\": 1}}'"), &["AL010", "at $.dpa.signd"]),
            (&with("adm_taken", "'{p}'"), &["42710", "schema \"adm_taken\"", "ALTER SCHEMA"]),
            ("SELECT airlock.create_subprocessor('adm_acme', 99999::regrole, 'A', 'C', '{p}')", &["42704", "99999"]),
            ("SELECT airlock.create_subprocessor('adm_acme', 'adm_acme', ' ', 'C', '{p}')", &["22023", "legal_name"]),
        ]);
    }

    #[pg_test]
    fn subprocessor_role_must_be_an_ordinary_one() {
        set_up();
        for sql in [
            "CREATE ROLE adm_strong SUPERUSER LOGIN",
            "CREATE ROLE adm_maker CREATEROLE CREATEDB",
            "CREATE ROLE adm_reader LOGIN IN ROLE pg_read_all_data",
            "CREATE ROLE adm_deputy LOGIN IN ROLE airlock_admin",
            "CREATE ROLE adm_climber LOGIN IN ROLE adm_maker",
            "CREATE ROLE adm_owner LOGIN",
            "CREATE TABLE adm_owned ()",
            "ALTER TABLE adm_owned OWNER TO adm_owner",
            "CREATE ROLE adm_keyed LOGIN",
            "SELECT airlock.create_key('adm_pii'), airlock.grant_match('adm_pii', 'adm_keyed')",
            "CREATE ROLE adm_mine LOGIN",
            "GRANT adm_mine TO CURRENT_USER",
            ACME,
            "CREATE ROLE adm_under LOGIN IN ROLE adm_acme",
            "CREATE ROLE adm_over LOGIN",
            "GRANT adm_over TO adm_acme",
        ] {
            run(sql);
        }
        for (role, words) in [
            ("adm_strong", ["22023", "SUPERUSER"]),
            ("adm_maker", ["22023", "ALTER ROLE \"adm_maker\" NOCREATEROLE NOCREATEDB"]),
            ("adm_reader", ["22023", "REVOKE \"pg_read_all_data\" FROM \"adm_reader\""]),
            ("adm_deputy", ["22023", "airlock_admin"]),
            ("adm_climber", ["22023", "adm_maker"]),
            ("airlock_auditor", ["22023", "group role"]),
            ("adm_owner", ["22023", "owns 1 object"]),
            ("adm_keyed", ["22023", "revoke_match('adm_pii', 'adm_keyed')"]),
            ("adm_mine", ["22023", "would be contained with it"]),
            ("adm_acme", ["42710", "adm_acme"]),
            ("adm_under", ["22023", "REVOKE \"adm_acme\" FROM \"adm_under\""]),
            ("adm_over", ["22023", "REVOKE \"adm_over\" FROM \"adm_acme\""]),
        ] {
            let sql = format!("SELECT airlock.create_subprocessor('adm_new', '{role}', 'A', 'C', '{{p}}')");
            refused(&[(&sql, &words)]);
        }
    }

    #[pg_test]
    fn subprocessor_states_go_one_way() {
        set_up();
        run(ACME);
        refused(&[
            ("SELECT airlock.resume('adm_acme', 'x')", &["55000", "active"]),
            ("SELECT airlock.suspend('adm_acme', ' ')", &["22023", "reason"]),
            ("SELECT airlock.suspend('adm_nope', 'x')", &["42704"]),
        ]);
        assert_eq!(text("SELECT airlock.suspend('adm_acme', 'breach')::text"), "0");
        refused(&[("SELECT airlock.suspend('adm_acme', 'x')", &["55000", "airlock.resume('adm_acme'"])]);
        assert_eq!(registry::current().unwrap().subprocessors["adm_acme"].contract.state.label(), "suspended");
        run("SELECT airlock.resume('adm_acme', 'cleared')");
        run("SELECT airlock.terminate('adm_acme', 'over')");
        for call in [
            "suspend('adm_acme', 'x')",
            "resume('adm_acme', 'x')",
            "terminate('adm_acme', 'x')",
            "alter_subprocessor('adm_acme', '{}')",
        ] {
            refused(&[(&format!("SELECT airlock.{call}"), &["55000", "final"])]);
        }
        assert_eq!(
            text("SELECT state || state_reason FROM airlock.subprocessors WHERE name = 'adm_acme'"),
            "terminatedover"
        );
    }

    #[pg_test]
    fn subprocessor_changes_are_read_by_path() {
        set_up();
        run(ACME);
        let row = "SELECT concat_ws('|', contract, purposes, valid_until, networks, require_tls) FROM airlock.subprocessors WHERE name = 'adm_acme'";
        run(
            r#"SELECT airlock.alter_subprocessor('adm_acme', '{"valid_until": "2031-05-06", "networks": ["10.0.0.0/8"], "require_tls": false}')"#,
        );
        assert_eq!(text(row), "DPA-1|{analytics}|2031-05-06|{10.0.0.0/8}|f");
        run(
            r#"SELECT airlock.alter_subprocessor('adm_acme', '{"valid_until": null, "networks": null, "contract": "DPA-2"}')"#,
        );
        assert_eq!(text(row), "DPA-2|{analytics}|{}|f");
        refused(&[
            (r#"SELECT airlock.alter_subprocessor('adm_acme', '{"contrat": "x"}')"#, &["AL010", "at $.contrat"]),
            (r#"SELECT airlock.alter_subprocessor('adm_acme', '{"purposes": []}')"#, &["AL010", "at $.purposes"]),
        ]);
    }

    #[pg_test]
    fn subprocessor_session_administers_nothing_whatever_it_is_granted() {
        set_up();
        run(ACME);
        run("GRANT airlock_admin TO adm_acme");
        run("SET LOCAL ROLE adm_acme");
        let outcome = admin::act(|| Ok(())).unwrap_err();
        run("RESET ROLE");
        assert_eq!(outcome.kind, Kind::OutsideScope);
        assert!(admin::act(|| Ok(())).is_ok());
    }

    #[pg_test]
    fn subprocessor_role_in_use_is_for_those_who_may_change_roles() {
        set_up();
        for sql in [
            "CREATE ROLE adm_deputy LOGIN IN ROLE airlock_admin",
            "CREATE ROLE adm_hr LOGIN CREATEROLE IN ROLE airlock_admin",
            "CREATE ROLE adm_team",
            // from 16 on CREATEROLE is not enough to change a role
            "DO $$ BEGIN IF current_setting('server_version_num')::int >= 160000 THEN
               EXECUTE 'GRANT adm_team TO adm_hr WITH ADMIN TRUE, INHERIT FALSE, SET FALSE'; END IF; END $$",
            "CREATE ROLE adm_person LOGIN IN ROLE adm_team",
            "CREATE ROLE adm_group",
            "CREATE ROLE adm_junior LOGIN IN ROLE adm_group",
            "CREATE TABLE adm_table ()",
            "CREATE ROLE adm_app LOGIN",
            "GRANT SELECT ON adm_table TO adm_app",
        ] {
            run(sql);
        }
        let register =
            |role: &str| format!("SELECT airlock.create_subprocessor('{role}', '{role}', 'A', 'C', '{{p}}')");
        run("SET LOCAL ROLE adm_deputy");
        for (role, use_) in [
            ("adm_team", "members: 1"),
            ("adm_junior", "roles that it is a member of: 1"),
            ("adm_app", "objects that it holds privileges on: 1"),
        ] {
            refused(&[(&register(role), &["42501", use_, "must register it, or use a new role"])]);
        }
        assert_eq!(said(&register("adm_acme")), "ok", "a new role");
        run("SET LOCAL ROLE adm_hr");
        assert_eq!(said(&register("adm_team")), "ok");
        run("RESET ROLE");
        assert_eq!(said(&register("adm_app")), "ok");
    }
}
