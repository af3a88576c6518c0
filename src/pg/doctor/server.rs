//! Preloading, the right database, the root key, and settings of the server that break a promise.

use super::{query, setting, value, Report};
use crate::pg::keys::root;
use crate::pg::{gucs, shared};
use crate::pure::error::Result;
use crate::pure::name::ident;

pub(super) fn examine(report: &mut Report) -> Result<()> {
    preload(report)?;
    if shared::preloaded() {
        root_key(report);
    }
    durability(report)?;
    literals(report)?;
    environment(report);
    encoding(report)
}

fn preload(report: &mut Report) -> Result<()> {
    if !shared::preloaded() {
        let list = setting("shared_preload_libraries")?;
        let fix = match list.is_empty() {
            true => "shared_preload_libraries = 'pg_airlock' in postgresql.conf, then restart the server".to_string(),
            false => {
                format!("shared_preload_libraries = '{list}, pg_airlock' in postgresql.conf, then restart the server")
            }
        };
        report.error("preload", "shared_preload_libraries", "pg_airlock is not preloaded: no read is recorded, so scoped views and everything with a key refuse to work", fix);
        return Ok(());
    }
    let (here, there) = (value("SELECT pg_catalog.current_database()::pg_catalog.text", &[])?, gucs::database());
    if here != there {
        let known =
            !value("SELECT d.datname::pg_catalog.text FROM pg_catalog.pg_database d WHERE d.datname = $1", &[&there])?
                .is_empty();
        let message = match known {
            true => format!("the read log is kept in database \"{there}\", not in this one: no read is recorded here, scoped views refuse to work"),
            false => format!("database \"{there}\" does not exist, so the log's worker cannot start"),
        };
        report.error(
            "database",
            "airlock.database",
            message,
            format!("airlock.database = '{here}' in postgresql.conf, then restart the server"),
        );
    }
    Ok(())
}

/// The root key: read from its source again, not from what this session remembers; a command at most once in ten seconds.
fn root_key(report: &mut Report) {
    let source = gucs::root_key_source();
    if source.starts_with("env:") {
        let message = "the root key is in the server's environment: its user, root and every program it starts can read it, and so can core dumps";
        report.warning(
            "root key",
            "airlock.root_key_source",
            message,
            "airlock.root_key_source = 'file:/path', of a file with mode 0400, or 'credential:NAME'; then reload, and start the server without the variable",
        );
    }
    if let Err(mut error) = root::probe(&source) {
        if root::root().is_ok() {
            error.message += " (sessions go on with the key in memory; after a restart they are locked)";
        }
        return report.failure("root key", "airlock.root_key_source", error);
    }
    match root::root() {
        Ok(root) if root.generation == 0 => {
            let message = "no key has been created yet; the read log begins with the first";
            report.info("root key", "airlock.root_key_source", message, "SELECT airlock.create_key('pii')");
        }
        Ok(_) => {}
        Err(error) => report.failure("root key", "airlock.root_key_source", error),
    }
}

fn durability(report: &mut Report) -> Result<()> {
    if setting("wal_level")? == "minimal" {
        report.error(
            "wal_level",
            "wal_level",
            "wal_level is minimal: no replication slot can keep the log's WAL",
            "ALTER SYSTEM SET wal_level = 'replica', then restart the server",
        );
    }
    if setting("fsync")? == "off" {
        report.error(
            "fsync",
            "fsync",
            "fsync is off: a read record that was flushed can be lost",
            "ALTER SYSTEM SET fsync = on",
        );
    }
    if setting("full_page_writes")? == "off" {
        report.warning(
            "full_page_writes",
            "full_page_writes",
            "full_page_writes is off: after a power loss the log's table may be damaged",
            "ALTER SYSTEM SET full_page_writes = on",
        );
    }
    Ok(())
}

/// Settings that write plaintext literals or parameters into the server log.
fn literals(report: &mut Report) -> Result<()> {
    let prints = |name: &str, value: &str| match name {
        "log_statement" => matches!(value, "mod" | "all"),
        "log_min_duration_statement" | "log_min_duration_sample" | "auto_explain.log_min_duration" => {
            !value.is_empty() && value != "-1"
        }
        "log_transaction_sample_rate" => !value.is_empty() && value != "0",
        "log_parameter_max_length_on_error" => !value.is_empty() && value != "0",
        _ => value == "on",
    };
    let safe = |name: &str| match name {
        "log_statement" => "ddl",
        "log_transaction_sample_rate" | "log_parameter_max_length_on_error" => "0",
        "debug_print_parse" | "debug_print_rewritten" | "debug_print_plan" => "off",
        _ => "-1",
    };
    const NAMES: [&str; 9] = [
        "log_statement",
        "log_min_duration_statement",
        "log_min_duration_sample",
        "log_transaction_sample_rate",
        "log_parameter_max_length_on_error",
        "auto_explain.log_min_duration",
        "debug_print_parse",
        "debug_print_rewritten",
        "debug_print_plan",
    ];
    let message = "values written to encrypted columns appear in the server log, as literals or parameters";
    for name in NAMES {
        let now = setting(name)?;
        if prints(name, &now) {
            report.warning(
                "server log",
                name,
                format!("{name} is {now}: {message}"),
                format!("ALTER SYSTEM SET {name} = '{}'", safe(name)),
            );
        }
    }
    let sql = "SELECT pg_catalog.split_part(c.c, '=', 1), pg_catalog.substr(c.c, pg_catalog.strpos(c.c, '=') + 1), r.rolname::pg_catalog.text, d.datname::pg_catalog.text \
               FROM pg_catalog.pg_db_role_setting s CROSS JOIN pg_catalog.unnest(s.setconfig) AS c (c) \
               LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase";
    for row in query(sql, 4, &[])? {
        let (name, now) = (row[0].as_str(), row[1].as_str());
        if !NAMES.contains(&name) || !prints(name, now) {
            continue;
        }
        let (role, database) = (ident(&row[2]), ident(&row[3]));
        let whose = match (row[2].is_empty(), row[3].is_empty()) {
            (false, true) => format!("ROLE {role}"),
            (false, false) => format!("ROLE {role} IN DATABASE {database}"),
            _ => format!("DATABASE {database}"),
        };
        report.warning(
            "server log",
            whose.clone(),
            format!("{name} is {now} there: {message}"),
            format!("ALTER {whose} RESET {name}"),
        );
    }
    if setting("log_min_error_statement")? != "panic" {
        let note = "a statement that fails is logged with its literals";
        report.info(
            "server log",
            "log_min_error_statement",
            note,
            "use parameters; or ALTER SYSTEM SET log_min_error_statement = 'panic'",
        );
    }
    Ok(())
}

fn environment(report: &mut Report) {
    let set = |name| std::env::var_os(name).is_some_and(|v| !v.is_empty() && v != "0");
    for name in ["RUST_BACKTRACE", "RUST_LIB_BACKTRACE"] {
        if set(name) {
            report.warning(
                "environment",
                name,
                "backtraces of internal errors reach the client",
                format!("start the server without {name}"),
            );
        }
    }
}

fn encoding(report: &mut Report) -> Result<()> {
    let encoding = setting("server_encoding")?;
    if encoding != "UTF8" {
        report.error(
            "encoding",
            "server_encoding",
            format!("the database's encoding is {encoding}; masks and records need UTF8"),
            "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, and move there",
        );
    }
    Ok(())
}
