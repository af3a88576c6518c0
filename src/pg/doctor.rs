//! `airlock.doctor()`: what is wrong with the set-up, and what to type. It looks only, and it must work where nothing
//! else does: library not preloaded, keys locked, the wrong database, a standby.

mod bound;
mod classes;
mod columns;
mod keys;
mod log;
mod memory;
mod roles;
mod server;
#[cfg(any(test, feature = "pg_test"))]
mod tests;
mod version;
mod views;

use crate::pg::readlog::materialiser::spi;
use crate::pg::sys::{self, d};
use crate::pure::error::{Error, Result};
use crate::sql_function;
use pgrx::datum::DatumWithOid;
use pgrx::Spi;

sql_function!(
    /// `airlock.doctor(OUT severity, check, object, message, fix)`: one row per finding, the worst first; one row that says
    /// so when nothing is wrong. `error`: something refuses to work or a promise does not hold; `warning`: a second lock
    /// is missing; `info`: worth knowing.
    airlock_doctor,
    |args| {
        let mut report = Report::default();
        server::examine(&mut report)?;
        memory::examine(&mut report)?;
        version::examine(&mut report)?;
        keys::examine(&mut report)?;
        log::examine(&mut report)?;
        roles::examine(&mut report)?;
        views::examine(&mut report)?;
        classes::examine(&mut report)?;
        columns::examine(&mut report)?;
        bound::examine(&mut report)?;
        let rows = report.finished().into_iter();
        let rows = rows.map(|f| vec![d(f.severity.label()), d(f.check), d(f.object), d(f.message), d(f.fix)]);
        sys::return_set(args, rows.collect())
    }
);

sql_function!(
    /// `airlock.version() → text`: the version of the loaded library, as in `0.2.0`. That of the extension's SQL objects is
    /// `pg_extension.extversion`; `doctor()` compares the two.
    airlock_version,
    |_args| { Ok(sys::Sql(version::LIBRARY)) }
);

/// How bad it is; the order is that of the report.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    Error,
    Warning,
    Info,
}

impl Severity {
    fn label(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        }
    }
}

struct Finding {
    severity: Severity,
    check: &'static str,
    object: String,
    message: String,
    fix: String,
}

/// What was found so far.
#[derive(Default)]
struct Report(Vec<Finding>);

impl Report {
    fn add(
        &mut self,
        severity: Severity,
        check: &'static str,
        object: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let (object, message, fix) = (object.into(), message.into(), fix.into());
        self.0.push(Finding { severity, check, object, message, fix });
    }

    fn error(
        &mut self,
        check: &'static str,
        object: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(Severity::Error, check, object, message, fix);
    }

    fn warning(
        &mut self,
        check: &'static str,
        object: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(Severity::Warning, check, object, message, fix);
    }

    fn info(
        &mut self,
        check: &'static str,
        object: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(Severity::Info, check, object, message, fix);
    }

    /// An error of ours as a finding: its detail belongs to the message, its hint is the fix.
    fn failure(&mut self, check: &'static str, object: impl Into<String>, error: Error) {
        let message = match error.detail {
            Some(detail) => format!("{}: {detail}", error.message),
            None => error.message,
        };
        self.error(check, object, message, error.hint.unwrap_or_default());
    }

    fn finished(mut self) -> Vec<Finding> {
        if !self.0.iter().any(|f| f.severity < Severity::Info) {
            self.info("all", "", "all checks passed", "");
        }
        self.0.sort_by_key(|f| f.severity);
        self.0
    }
}

/// A row of texts.
type Texts = Vec<String>;

/// Runs a query whose columns are all text, with text parameters; NULL comes as an empty text.
fn query(sql: &str, columns: usize, parameters: &[&str]) -> Result<Vec<Texts>> {
    let parameters: Vec<DatumWithOid> = parameters.iter().map(|p| (*p).into()).collect();
    Spi::connect(|client| {
        let table = client.select(sql, None, &parameters).map_err(spi)?;
        let row = |tuple: pgrx::spi::SpiHeapTupleData| {
            (1..=columns).map(|i| tuple.get::<String>(i).map(Option::unwrap_or_default).map_err(spi)).collect()
        };
        table.map(row).collect()
    })
}

/// The first column of the first row; empty when there is none.
fn value(sql: &str, parameters: &[&str]) -> Result<String> {
    Ok(query(sql, 1, parameters)?.into_iter().next().and_then(|row| row.into_iter().next()).unwrap_or_default())
}

/// A setting's value as SHOW prints it; empty when there is none of that name.
fn setting(name: &str) -> Result<String> {
    value("SELECT pg_catalog.current_setting($1, true)", &[name])
}
