//! Each list with its dangerous neighbours.

use super::*;

fn refused(result: Result<()>) -> Error {
    let error = result.unwrap_err();
    assert_eq!(error.kind, Kind::OutsideScope);
    assert!(error.hint.is_some());
    error
}

#[test]
fn reading_statements_run() {
    for s in [
        Statement::Select,
        Statement::CopyQueryToStdout,
        Statement::DeclareCursor { hold: false },
        Statement::Fetch,
        Statement::ClosePortal,
        Statement::Prepare,
        Statement::Execute,
        Statement::Deallocate,
        Statement::Discard,
        Statement::ConstraintsSet,
        Statement::Unlisten,
        Statement::Reset { name: None },
        Statement::Reset { name: Some("role") },
        Statement::Show { name: "all" },
        Statement::Set { name: "application_name", is_local: false },
        Statement::Set { name: "TRANSACTION", is_local: false },
    ] {
        assert_eq!(statement(&s), Ok(()), "{s:?}");
    }
    use TransactionKind as T;
    for kind in [T::Begin, T::Commit, T::Rollback, T::Savepoint, T::Release, T::RollbackTo] {
        assert_eq!(statement(&Statement::Transaction(kind)), Ok(()));
    }
}

#[test]
fn everything_else_is_refused_with_its_tag() {
    use TransactionKind as T;
    for (s, tag) in [
        (Statement::SelectLocking, "SELECT FOR UPDATE"),
        (Statement::Insert, "INSERT"),
        (Statement::Update, "UPDATE"),
        (Statement::Delete, "DELETE"),
        (Statement::Merge, "MERGE"),
        (Statement::CopyOther, "COPY"),
        (Statement::DeclareCursor { hold: true }, "DECLARE CURSOR WITH HOLD"),
        (Statement::Explain, "EXPLAIN"),
        (Statement::Transaction(T::Prepare), "PREPARE TRANSACTION"),
        (Statement::Transaction(T::CommitPrepared), "COMMIT PREPARED"),
        (Statement::Transaction(T::RollbackPrepared), "ROLLBACK PREPARED"),
        (Statement::Other("LOCK TABLE"), "LOCK TABLE"),
        (Statement::Other("CREATE TABLE AS"), "CREATE TABLE AS"),
        (Statement::Other("LISTEN"), "LISTEN"),
        (Statement::Other("DO"), "DO"),
        (Statement::Set { name: "debug_print_plan", is_local: true }, "setting"),
    ] {
        assert!(refused(statement(&s)).message.starts_with(tag), "{s:?}");
    }
}

#[test]
fn drivers_can_set_what_they_set() {
    for name in [
        "client_encoding",
        "DateStyle",
        "TimeZone",
        "IntervalStyle",
        "extra_float_digits",
        "application_name",
        "standard_conforming_strings",
        "client_min_messages",
        "bytea_output",
        "search_path",
        "SESSION CHARACTERISTICS",
        "session_authorization",
        "role",
        "jit",
        "airlock.purpose",
    ] {
        assert_eq!(setting(name), Ok(()), "{name}");
    }
}

#[test]
fn settings_that_leak_or_last_are_refused() {
    for name in [
        "debug_print_plan",
        "debug_print_parse",
        "debug_print_rewritten",
        "debug_pretty_print",
        "statement_timeout",
        "lock_timeout",
        "transaction_timeout",
        "idle_in_transaction_session_timeout",
        "TRANSACTION SNAPSHOT",
        "jit_dump_bitcode",
        "synchronous_commit",
        "work_mem",
        "row_security",
        "session_replication_role",
        "x.a",
        "airlock.release",
        "airlock.purpose2",
        "",
        "force_parallel_mode",
        "session_preload_libraries",
        "local_preload_libraries",
    ] {
        refused(setting(name));
    }
    assert!(refused(setting("Statement_Timeout")).hint.unwrap().contains("ALTER ROLE"));
}

#[test]
fn lists_are_sorted_into_lower_case_and_single() {
    for list in [&SETTINGS[..], &VOLATILE[..], &NEVER[..]] {
        let unique: std::collections::BTreeSet<_> = list.iter().collect();
        assert_eq!(unique.len(), list.len());
        assert!(list.iter().all(|name| *name == name.to_ascii_lowercase()));
    }
    assert!(VOLATILE.iter().all(|name| !NEVER.contains(name)));
}

fn builtin(name: &str, volatility: Volatility) -> Function<'_> {
    Function { schema: "pg_catalog", name, builtin: true, volatility }
}

#[test]
fn quiet_functions_may_be_called() {
    for name in ["random", "clock_timestamp", "gen_random_uuid", "pg_table_size", "pg_advisory_unlock_all"] {
        assert_eq!(function(&builtin(name, Volatility::Volatile)), Ok(()), "{name}");
    }
    // psql's \d and tab completion, JDBC's metadata
    for name in ["pg_get_viewdef", "format_type", "pg_table_is_visible", "obj_description", "current_setting"] {
        assert_eq!(function(&builtin(name, Volatility::Stable)), Ok(()), "{name}");
    }
    assert_eq!(function(&builtin("lower", Volatility::Immutable)), Ok(()));
    let app = Function { schema: "app", name: "label", builtin: false, volatility: Volatility::Stable };
    assert_eq!(function(&app), Ok(()));
}

#[test]
fn functions_with_effects_are_refused() {
    for name in [
        "pg_sleep",
        "pg_sleep_for",
        "pg_notify",
        "pg_advisory_lock",
        "pg_advisory_xact_lock_shared",
        "pg_try_advisory_lock",
        "pg_export_snapshot",
        "pg_logical_emit_message",
        "pg_terminate_backend",
        "pg_cancel_backend",
        "pg_read_file",
        "lo_get",
        "lo_export",
        "loread",
        "nextval",
        "query_to_xml",
        "ts_stat",
        "ts_rewrite",
        "set_config",
        "pg_stat_reset",
        "binary_upgrade_set_missing_value",
        "a_function_of_postgresql_19",
    ] {
        refused(function(&builtin(name, Volatility::Volatile)));
    }
    for name in ["txid_current", "pg_current_xact_id", "table_to_xml", "schema_to_xml", "database_to_xmlschema"] {
        refused(function(&builtin(name, Volatility::Stable)));
    }
}

#[test]
fn own_functions_are_refused_whatever_they_claim() {
    for schema in ["airlock", "airlock_catalog", "airlock_scope"] {
        for volatility in [Volatility::Immutable, Volatility::Stable, Volatility::Volatile] {
            refused(function(&Function { schema, name: "disclose", builtin: false, volatility }));
        }
    }
}

#[test]
fn other_peoples_volatile_functions_are_refused() {
    let f = Function { schema: "public", name: "random", builtin: false, volatility: Volatility::Volatile };
    refused(function(&f));
    let f = Function { schema: "public", name: "dblink_get_result", builtin: false, volatility: Volatility::Stable };
    refused(function(&f));
    let f = Function { schema: "public", name: "crosstab", builtin: false, volatility: Volatility::Stable };
    refused(function(&f));
}
