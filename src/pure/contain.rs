//! What a sub-processor's session may run: statements, settings and functions, each an allow-list whose last arm
//! refuses with `AL007`. What PostgreSQL adds later is refused until a line here names it.
//!
//! The lists hold what psql, JDBC, psycopg, asyncpg, node-postgres, Npgsql, SQLAlchemy, Django, Rails and DBeaver send
//! to connect and look around, and what poolers send to reset a session (`DISCARD ALL`; `RESET ALL`, `CLOSE ALL`,
//! `UNLISTEN *`, `SELECT pg_advisory_unlock_all()`; `SET SESSION AUTHORIZATION DEFAULT`; `RESET ROLE`).

pub mod explain;

use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::shown;

/// A statement by its kind, as the pg half reads it off the parse tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statement<'a> {
    /// SELECT, VALUES, TABLE, without INTO and without row locks. What it may read is decided by the permission check.
    Select,
    /// SELECT … FOR UPDATE, NO KEY UPDATE, SHARE, KEY SHARE.
    SelectLocking,
    /// INSERT, also inside WITH.
    Insert,
    /// UPDATE, also inside WITH.
    Update,
    /// DELETE, also inside WITH.
    Delete,
    /// MERGE, also inside WITH.
    Merge,
    /// BEGIN, COMMIT and their kin.
    Transaction(TransactionKind),
    /// SET name, also SET LOCAL, SET TRANSACTION (`name` is then `TRANSACTION`), SET SESSION CHARACTERISTICS
    /// (`SESSION CHARACTERISTICS`), and SET … TO DEFAULT; names as `VariableSetStmt` holds them.
    Set {
        /// The setting.
        name: &'a str,
        /// SET LOCAL.
        is_local: bool,
    },
    /// RESET name; `None` is RESET ALL.
    Reset {
        /// The setting.
        name: Option<&'a str>,
    },
    /// SHOW name, `all` for SHOW ALL.
    Show {
        /// The setting.
        name: &'a str,
    },
    /// COPY (query) TO STDOUT; the query is analysed like any other.
    CopyQueryToStdout,
    /// Every other COPY: FROM, of a relation, to a file or program.
    CopyOther,
    /// DECLARE CURSOR; its query is analysed like any other.
    DeclareCursor {
        /// WITH HOLD.
        hold: bool,
    },
    /// FETCH and MOVE.
    Fetch,
    /// CLOSE name, CLOSE ALL.
    ClosePortal,
    /// PREPARE; its statement is analysed like any other.
    Prepare,
    /// EXECUTE, not in CREATE TABLE AS.
    Execute,
    /// DEALLOCATE.
    Deallocate,
    /// DISCARD ALL, PLANS, SEQUENCES, TEMP.
    Discard,
    /// EXPLAIN, but for what [`explain`] allows.
    Explain,
    /// SET CONSTRAINTS.
    ConstraintsSet,
    /// UNLISTEN.
    Unlisten,
    /// Anything else, by its command tag.
    Other(&'a str),
}

/// The kinds of a transaction statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionKind {
    /// BEGIN, START TRANSACTION
    Begin,
    /// COMMIT, END
    Commit,
    /// ROLLBACK, ABORT
    Rollback,
    /// SAVEPOINT
    Savepoint,
    /// RELEASE
    Release,
    /// ROLLBACK TO
    RollbackTo,
    /// PREPARE TRANSACTION
    Prepare,
    /// COMMIT PREPARED
    CommitPrepared,
    /// ROLLBACK PREPARED
    RollbackPrepared,
}

/// May a sub-processor's session run this statement?
///
/// # Errors
/// `AL007` with the command tag and a hint.
pub fn statement(s: &Statement<'_>) -> Result<()> {
    use TransactionKind as T;
    let (tag, hint) = match s {
        Statement::Select
        | Statement::CopyQueryToStdout
        | Statement::DeclareCursor { hold: false }
        | Statement::Fetch
        | Statement::ClosePortal
        | Statement::Prepare
        | Statement::Execute
        | Statement::Deallocate
        | Statement::Discard
        | Statement::ConstraintsSet
        | Statement::Unlisten => return Ok(()),
        Statement::Transaction(T::Begin | T::Commit | T::Rollback | T::Savepoint | T::Release | T::RollbackTo) => {
            return Ok(())
        }
        // settings as such are no secret; PostgreSQL hides those that are
        Statement::Show { .. } => return Ok(()),
        // back to what the login began with, which was checked when the session was armed
        Statement::Reset { .. } => return Ok(()),
        Statement::Set { name, .. } => return setting(name),
        Statement::SelectLocking => {
            ("SELECT FOR UPDATE or SHARE", "leave the locking clause out: the views are read-only")
        }
        Statement::Insert => ("INSERT", READ_ONLY),
        Statement::Update => ("UPDATE", READ_ONLY),
        Statement::Delete => ("DELETE", READ_ONLY),
        Statement::Merge => ("MERGE", READ_ONLY),
        Statement::CopyOther => ("COPY", "write COPY (SELECT …) TO STDOUT"),
        Statement::DeclareCursor { hold: true } => {
            ("DECLARE CURSOR WITH HOLD", "declare the cursor without HOLD, inside a transaction")
        }
        Statement::Explain => return Err(explain::refused()),
        Statement::Transaction(T::Prepare) => ("PREPARE TRANSACTION", "end the transaction with COMMIT"),
        Statement::Transaction(T::CommitPrepared) => ("COMMIT PREPARED", "end transactions with COMMIT"),
        Statement::Transaction(T::RollbackPrepared) => ("ROLLBACK PREPARED", "end transactions with ROLLBACK"),
        Statement::Other(tag) => (*tag, READ_ONLY),
    };
    Err(Error::new(Kind::OutsideScope, format!("{tag} is outside the scope of a sub-processor")).hint(hint))
}

const READ_ONLY: &str = "use SELECT on the views of your own schema; ask the controller for anything else";

/// Settings that change how an answer is written or a query is planned, and nothing that others could notice. No mask,
/// view or record depends on one. Not here, and so refused: `debug_print_*` (plans hold rules), every timeout (it could
/// be raised), memory and parallel workers, everything with a prefix (a place to collect values row by row).
const SETTINGS: [&str; 67] = [
    // what drivers and tools send
    "airlock.purpose",
    "application_name",
    "array_nulls",
    "bytea_output",
    "client_encoding",
    "client_min_messages",
    "datestyle",
    "default_text_search_config",
    "escape_string_warning",
    "extra_float_digits",
    "intervalstyle",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "quote_all_identifiers",
    "role",
    "search_path",
    "seed",
    "session_authorization",
    "standard_conforming_strings",
    "timezone",
    "transform_null_equals",
    "xmlbinary",
    "xmloption",
    // transactions; not "transaction snapshot", which takes another session's
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "session characteristics",
    "transaction",
    "transaction_deferrable",
    "transaction_isolation",
    "transaction_read_only",
    // planning
    "constraint_exclusion",
    "cursor_tuple_fraction",
    "enable_async_append",
    "enable_bitmapscan",
    "enable_distinct_reordering",
    "enable_gathermerge",
    "enable_group_by_reordering",
    "enable_hashagg",
    "enable_hashjoin",
    "enable_incremental_sort",
    "enable_indexonlyscan",
    "enable_indexscan",
    "enable_material",
    "enable_memoize",
    "enable_mergejoin",
    "enable_nestloop",
    "enable_parallel_append",
    "enable_parallel_hash",
    "enable_partition_pruning",
    "enable_partitionwise_aggregate",
    "enable_partitionwise_join",
    "enable_presorted_aggregate",
    "enable_self_join_elimination",
    "enable_seqscan",
    "enable_sort",
    "enable_tidscan",
    "from_collapse_limit",
    "geqo",
    "geqo_threshold",
    "jit",
    "jit_above_cost",
    "jit_inline_above_cost",
    "jit_optimize_above_cost",
    "join_collapse_limit",
    "plan_cache_mode",
];

/// May a sub-processor's session set this? Names are compared without case, as PostgreSQL does. The same answer holds
/// for SET, start-up options and role defaults.
///
/// # Errors
/// `AL007` with the name.
pub fn setting(name: &str) -> Result<()> {
    if SETTINGS.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    let hint = if name.to_ascii_lowercase().ends_with("_timeout") {
        "leave it as it is: the controller sets it with ALTER ROLE … SET"
    } else {
        "leave it as it is, or RESET it"
    };
    Err(Error::new(Kind::OutsideScope, format!("setting {} is outside the scope of a sub-processor", shown(name)))
        .hint(hint))
}

/// A function that the user wrote into a query, by call, operator, cast or aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function<'a> {
    /// Its schema.
    pub schema: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Part of PostgreSQL itself: an OID below 16384.
    pub builtin: bool,
    /// `pg_proc.provolatile`.
    pub volatility: Volatility,
}

/// `pg_proc.provolatile`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volatility {
    /// `i`
    Immutable,
    /// `s`
    Stable,
    /// `v`
    Volatile,
}

/// Volatile built-ins that change nothing another session could notice.
const VOLATILE: [&str; 21] = [
    "clock_timestamp",
    "gen_random_uuid",
    "pg_advisory_unlock_all", // asyncpg and Npgsql reset with it; the session can hold no such lock
    "pg_database_size",
    "pg_indexes_size",
    "pg_is_in_recovery", // target_session_attrs, poolers
    "pg_jit_available",
    "pg_partition_ancestors", // psql \d
    "pg_partition_tree",      // psql \dP+
    "pg_relation_size",
    "pg_table_size", // psql \dt+
    "pg_tablespace_size",
    "pg_total_relation_size",
    "random",
    "random_normal",
    "setseed",
    "timeofday",
    "uuidv4",
    "uuidv7",
    // a tablesample method is found here too, and reads nothing by itself
    "bernoulli",
    "system",
];

/// Functions that are refused although they say they are stable (or immutable): they take a transaction id, run SQL
/// text, or read relations by name.
const NEVER: [&str; 33] = [
    "connectby",
    "crosstab",
    "crosstab2",
    "crosstab3",
    "crosstab4",
    "crosstab_hash",
    "crosstabn",
    "currval",
    "cursor_to_xml",
    "cursor_to_xmlschema",
    "database_to_xml",
    "database_to_xml_and_xmlschema",
    "database_to_xmlschema",
    "lastval",
    "nextval",
    "pg_current_xact_id",
    "pg_export_snapshot",
    "pg_notify",
    "pg_sleep",
    "query_to_xml",
    "query_to_xml_and_xmlschema",
    "query_to_xmlschema",
    "schema_to_xml",
    "schema_to_xml_and_xmlschema",
    "schema_to_xmlschema",
    "set_config",
    "setval",
    "table_to_xml",
    "table_to_xml_and_xmlschema",
    "table_to_xmlschema",
    "ts_stat",
    "txid_current",
    "xpath_table",
];

/// How counters of table and index accesses begin. A look-up below a view's row filter moves them whether the row it finds
/// is shown or hidden, so they tell whether a hidden row has a value.
const COUNTERS: [&str; 8] = [
    "pg_stat_get_blocks_",
    "pg_stat_get_db_blocks_",
    "pg_stat_get_db_tuples_",
    "pg_stat_get_io",
    "pg_stat_get_lastscan",
    "pg_stat_get_numscans",
    "pg_stat_get_tuples_",
    "pg_stat_get_xact_",
];

/// Schemas whose functions a sub-processor never names.
const OWN_SCHEMAS: [&str; 3] = ["airlock", "airlock_catalog", "airlock_scope"];

/// May a sub-processor's query name this function? What a function reads inside is the permission check's business.
///
/// # Errors
/// `AL007` with the name.
pub fn function(f: &Function<'_>) -> Result<()> {
    let named = |list: &[&str]| list.contains(&f.name);
    let hint = if OWN_SCHEMAS.contains(&f.schema) {
        "select from your views: they call it for you"
    } else if named(&NEVER) || f.name.starts_with("dblink") {
        "leave the call out: it would run SQL, read a relation by name, or change the server's state"
    } else if COUNTERS.iter().any(|counter| f.name.starts_with(counter)) {
        "leave the call, or the view that makes it, out: access counters tell of rows that are hidden"
    } else {
        match f.volatility {
            Volatility::Immutable | Volatility::Stable => return Ok(()),
            Volatility::Volatile if f.builtin && named(&VOLATILE) => return Ok(()),
            Volatility::Volatile => "leave the call out: it can have effects beyond your own answer",
        }
    };
    Err(Error::new(Kind::OutsideScope, format!("function {} is outside the scope of a sub-processor", shown(f.name)))
        .hint(hint))
}

#[cfg(test)]
mod tests;
