//! In-backend tests of what spans modules: the contract of all SQL objects, and how the test server is set up.
#![allow(missing_docs, clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)] // reason: tests may fail loudly, and write

/// Lines of the test server's postgresql.conf; `AIRLOCK_TEST_SETTINGS` adds one.
#[must_use]
pub fn server_settings() -> Vec<&'static str> {
    let more = std::env::var("AIRLOCK_TEST_SETTINGS").unwrap_or_default();
    vec![
        "shared_preload_libraries = 'pg_airlock'",
        "airlock.database = 'pgrx_tests'",
        "airlock.root_key_source = 'file:/var/tmp/pgtest-root.key'",
        String::leak(more),
    ]
}

#[pgrx::pg_schema]
mod tests {
    use pgrx::prelude::*;

    /// Every object of the extension with all that decides who may do what with it: one line each.
    const OBJECTS: &str = r#"
        WITH member AS (
          SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
           WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'pg_airlock')
        SELECT line FROM (
          SELECT format('function %s -> %s %s %s parallel %s%s%s%s acl %s', p.oid::regprocedure, pg_get_function_result(p.oid),
                   CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
                   CASE WHEN p.proisstrict THEN 'strict' ELSE 'null-input' END, p.proparallel,
                   CASE WHEN p.proleakproof THEN ' LEAKPROOF' END, CASE WHEN p.prosecdef THEN ' definer' END,
                   ' ' || array_to_string(p.proconfig, ';'),
                   (SELECT string_agg(coalesce(nullif(a.grantee, 0)::regrole::text, 'public') || '=' || a.privilege_type, ',' ORDER BY a.grantee::regrole::text)
                      FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee <> p.proowner)) AS line
            FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
           WHERE p.pronamespace <> 'tests'::regnamespace
          UNION ALL
          SELECT format('%s %s acl %s', CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence' ELSE c.relkind::text END,
                   c.oid::regclass,
                   (SELECT string_agg(coalesce(nullif(a.grantee, 0)::regrole::text, 'public') || '=' || a.privilege_type, ',' ORDER BY a.grantee::regrole::text, a.privilege_type)
                      FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a WHERE a.grantee <> c.relowner))
            FROM member m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid
          UNION ALL
          SELECT format('cast %s -> %s %s %s', k.castsource::regtype, k.casttarget::regtype, k.castcontext, k.castfunc::regprocedure)
            FROM member m JOIN pg_cast k ON m.classid = 'pg_cast'::regclass AND k.oid = m.objid
          UNION ALL
          SELECT format('operator %s %s merges %s hashes %s', o.oid::regoperator, o.oprcode, o.oprcanmerge, o.oprcanhash)
            FROM member m JOIN pg_operator o ON m.classid = 'pg_operator'::regclass AND o.oid = m.objid
          UNION ALL
          SELECT format('type %s storage %s typmod %s', t.oid::regtype, t.typstorage, t.typmodin)
            FROM member m JOIN pg_type t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid WHERE t.typtype = 'b' AND t.typelem = 0
          UNION ALL
          SELECT format('schema %s owner %s acl %s', n.nspname, CASE WHEN n.nspowner = 10 THEN 'installer' ELSE n.nspowner::regrole::text END,
                   (SELECT string_agg(coalesce(nullif(a.grantee, 0)::regrole::text, 'public') || '=' || a.privilege_type, ',' ORDER BY a.grantee::regrole::text)
                      FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a WHERE a.grantee <> n.nspowner))
            FROM pg_namespace n WHERE n.nspname IN ('airlock', 'airlock_catalog', 'airlock_scope')
          UNION ALL
          SELECT format('opclass %s', o.opcname) FROM member m JOIN pg_opclass o ON m.classid = 'pg_opclass'::regclass AND o.oid = m.objid
          UNION ALL
          SELECT format('role %s login %s super %s inherit %s createdb %s createrole %s replication %s bypassrls %s', r.rolname, r.rolcanlogin, r.rolsuper,
                   r.rolinherit, r.rolcreatedb, r.rolcreaterole, r.rolreplication, r.rolbypassrls)
            FROM pg_roles r WHERE r.rolname LIKE 'airlock\_%'
        ) objects ORDER BY line COLLATE pg_catalog."C""#;

    /// The catalog is a contract. After a wanted change: copy what the failure prints into tests/golden/contract.txt.
    #[pg_test]
    fn every_sql_object_is_as_the_contract_says() {
        let now: Vec<String> = Spi::connect(|c| {
            c.select(OBJECTS, None, &[]).unwrap().map(|row| row.get::<String>(1).unwrap().unwrap()).collect()
        });
        let now = now.join("\n");
        let contract = include_str!("../../tests/golden/contract.txt");
        let extra: Vec<&str> = now.lines().filter(|l| !contract.lines().any(|k| k == *l)).collect();
        let missing: Vec<&str> = contract.lines().filter(|k| !k.is_empty() && !now.lines().any(|l| l == *k)).collect();
        if !extra.is_empty() || !missing.is_empty() {
            std::fs::write("/tmp/pg_airlock-contract.txt", &now).unwrap();
        }
        assert!(
            extra.is_empty() && missing.is_empty(),
            "not in the contract:\n{}\nin the contract only:\n{}",
            extra.join("\n"),
            missing.join("\n")
        );
    }

    /// Nothing that opens a value may be folded, indexed or pushed below a barrier.
    #[pg_test]
    fn nothing_that_decrypts_is_immutable_or_leakproof() {
        let bad = Spi::get_one::<i64>(
            "SELECT count(*) FROM pg_proc WHERE pronamespace = 'airlock'::regnamespace
               AND (proleakproof OR (provolatile = 'i' AND proname ~ '^(decrypt|disclose|gate|eq|ne|to_encrypted|.*coerce|.*_in|.*_recv)$'))",
        );
        assert_eq!(bad.unwrap(), Some(0));
    }

    /// Sealing folded at plan time would repeat a nonce.
    #[pg_test]
    fn what_seals_is_volatile() {
        let bad = Spi::get_one::<i64>(
            "SELECT count(*) FROM pg_proc WHERE pronamespace = 'airlock'::regnamespace
               AND proname ~ '(coerce|^to_encrypted)' AND provolatile <> 'v'",
        );
        assert_eq!(bad.unwrap(), Some(0));
    }

    /// An ordinary session cannot get past the gate: no record, no row.
    #[pg_test(error = "a scoped view works only in a sub-processor's session")]
    fn gate_is_shut_outside_a_subprocessors_session() {
        Spi::run("SELECT airlock.gate(1)").unwrap();
    }

    /// `disclose` called by hand finds nothing armed.
    #[pg_test]
    fn disclose_by_hand_is_refused_with_its_sqlstate() {
        Spi::run(
            "DO $$ BEGIN PERFORM airlock.disclose(1, 'x'::text); RAISE 'was allowed';
             EXCEPTION WHEN SQLSTATE 'AL007' THEN NULL; END $$",
        )
        .unwrap();
    }
}
