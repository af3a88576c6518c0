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
    const OBJECTS: &str = include_str!("../../tests/golden/contract.sql");

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
               AND (proleakproof AND proname !~ '^match_tag(16)?$' OR (provolatile = 'i' AND proname ~ '^(decrypt|disclose|gate|eq|ne|to_encrypted|.*coerce|.*_in|.*_recv)$'))",
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
