//! `airlock.report()`: what the privacy officer's page says, out of the register, the catalog and the log.

use super::verify::verify;
use crate::pg::admin::existing_subprocessor;
use crate::pg::readlog::audit;
use crate::pg::sys::sql::{self, arg, Row};
use crate::pg::sys::Sql;
use crate::pure::error::Result;
use crate::pure::report::{html, Day, Due, Field, Finding, Recipient, Report};
use crate::sql_function;

/// How far back the plot goes, in days.
const DAYS: i32 = 90;

sql_function!(
    /// `airlock.report(subprocessor text DEFAULT NULL) → text`: one HTML page without script or reference to anything outside: who receives
    /// which fields and how, reads by day, what is due, what is wrong. Of one sub-processor, or of all. The call is itself
    /// recorded, and checks the whole log.
    ///
    /// Errors: `42704` no such sub-processor; `AL001` the keys are locked; `AL005` the call cannot be recorded.
    airlock_report,
    |args| {
        let only: Option<String> = args.get(0);
        if let Some(name) = &only {
            existing_subprocessor(name)?;
        }
        audit::note("report", &only.iter().map(String::as_str).collect::<Vec<_>>())?;
        sql::settled(|| page(only)).map(Sql)
    }
);

fn page(only: Option<String>) -> Result<String> {
    let log = verify()?;
    let about = "SELECT pg_catalog.current_database()::pg_catalog.text, \
                 pg_catalog.to_char(pg_catalog.clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')";
    let (database, at) = sql::look(about, &[], |row| Ok((text(row, 1)?, text(row, 2)?)))?.unwrap_or_default();
    Ok(html(&Report {
        recipients: recipients(&only)?,
        fields: fields(&only)?,
        days: days(&only)?,
        due: due(&only)?,
        findings: if only.is_none() { findings()? } else { Vec::new() },
        log: (log.ok && log.first_bad.is_none(), log.message),
        database,
        at,
        only,
    }))
}

fn text(row: &Row, column: usize) -> Result<String> {
    Ok(row.get::<String>(column)?.unwrap_or_default())
}

fn recipients(only: &Option<String>) -> Result<Vec<Recipient>> {
    sql::rows(
        "SELECT s.name, s.legal_name, s.contract, s.state, s.purposes, pg_catalog.to_char(s.valid_until, 'YYYY-MM-DD'), s.details ->> 'country',
                pg_catalog.to_char(t.tested_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') || pg_catalog.format(': %s passed, %s failed, %s not tested', t.passed, t.failed, t.not_tested), t.failed = 0
           FROM airlock_catalog.subprocessor s
           LEFT JOIN LATERAL (SELECT * FROM airlock_catalog.self_test x WHERE x.subprocessor = s.name ORDER BY x.id DESC LIMIT 1) t ON true WHERE $1 IS NULL OR s.name = $1 ORDER BY s.name",
        &[arg(only.clone())],
        |row| {
            Ok(Recipient {
                name: text(row, 1)?,
                legal_name: text(row, 2)?,
                contract: text(row, 3)?,
                state: text(row, 4)?,
                purposes: row.get(5)?.unwrap_or_default(),
                valid_until: row.get(6)?,
                country: row.get(7)?,
                tested: row.get::<String>(8)?.zip(row.get::<bool>(9)?),
            })
        },
    )
}

fn fields(only: &Option<String>) -> Result<Vec<Field>> {
    sql::rows(
        "SELECT f.subprocessor, f.relation::pg_catalog.text, f.\"column\", coalesce(f.mask ->> 'mask', f.mask::pg_catalog.text), f.encrypted,
                pg_catalog.to_char(f.last_read AT TIME ZONE 'UTC', 'YYYY-MM-DD'), f.reads, f.condition, f.class
           FROM airlock.field_access f WHERE $1 IS NULL OR f.subprocessor = $1",
        &[arg(only.clone())],
        |row| {
            Ok(Field {
                recipient: text(row, 1)?,
                relation: text(row, 2)?,
                column: text(row, 3)?,
                mask: row.get(4)?,
                encrypted: row.get(5)?.unwrap_or(false),
                last_read: row.get(6)?,
                reads: row.get(7)?.unwrap_or(0),
                condition: row.get(8)?,
                class: row.get(9)?,
            })
        },
    )
}

/// What self tests read is left out: it left nowhere. Days without reads count: a line that leaves them out says that somebody reads all the time.
fn days(only: &Option<String>) -> Result<Vec<Day>> {
    sql::rows(
        "WITH today AS (SELECT (pg_catalog.clock_timestamp() AT TIME ZONE 'UTC')::pg_catalog.date AS day),
         reads AS (
           SELECT (r.logged_at AT TIME ZONE 'UTC')::pg_catalog.date AS day, r.subprocessor, count(*) FILTER (WHERE r.kind <> 'outcome') AS reads,
                  coalesce(sum(r.rows_sent), 0) AS rows
             FROM airlock_catalog.read_record r, today t
            WHERE r.kind IN ('exact', 'intent', 'open', 'outcome') AND r.detail IS DISTINCT FROM 'self test' AND r.logged_at >= ((t.day - $2 + 1)::pg_catalog.timestamp AT TIME ZONE 'UTC')
              AND ($1 IS NULL OR r.subprocessor = $1) GROUP BY 1, 2)
         SELECT pg_catalog.to_char(g.day, 'YYYY-MM-DD'), n.subprocessor, coalesce(r.reads, 0)::pg_catalog.int8, coalesce(r.rows, 0)::pg_catalog.int8
           FROM today t, LATERAL (SELECT t.day - i AS day FROM pg_catalog.generate_series(0, $2 - 1) i) g
          CROSS JOIN (SELECT DISTINCT subprocessor FROM reads) n LEFT JOIN reads r ON r.day = g.day AND r.subprocessor = n.subprocessor ORDER BY 1, 2",
        &[arg(only.clone()), arg(DAYS)],
        |row| Ok(Day { day: text(row, 1)?, recipient: text(row, 2)?, reads: row.need(3)?, rows: row.need(4)? }),
    )
}

fn due(only: &Option<String>) -> Result<Vec<Due>> {
    sql::rows(
        "SELECT d.subprocessor, d.what, pg_catalog.to_char(d.on_day, 'YYYY-MM-DD'), d.overdue FROM airlock.due('90 days') d
          WHERE $1 IS NULL OR d.subprocessor = $1",
        &[arg(only.clone())],
        |row| {
            let overdue = row.get(4)?.unwrap_or(false);
            Ok(Due { recipient: text(row, 1)?, what: text(row, 2)?, on_day: text(row, 3)?, overdue })
        },
    )
}

fn findings() -> Result<Vec<Finding>> {
    sql::rows(
        "SELECT d.severity, pg_catalog.concat_ws(' ', d.\"check\", d.object), d.message, d.fix FROM airlock.doctor() d WHERE d.\"check\" <> 'all'",
        &[],
        |row| Ok(Finding { severity: text(row, 1)?, object: text(row, 2)?, message: text(row, 3)?, fix: text(row, 4)? }),
    )
}
