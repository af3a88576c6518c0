//! The read log: its worker, its slot, its cursor, its tables.

use super::{setting, value, Report};
use crate::pg::keys::{ring, root};
use crate::pg::readlog::materialiser::{self, heads, look_at_slot, Cursor, Slot, NAME, SLOT};
use crate::pg::readlog::{replicated, wal};
use crate::pg::shared::{self, Fallback};
use crate::pg::{gucs, sys};
use crate::pure::error::Result;
use crate::pure::seam::{FORKED, MISSING};
use std::os::unix::fs::MetadataExt;

/// After so long (µs) a head that is not the newest is not being kept.
const STALE: i64 = 60_000_000;

pub(super) fn examine(report: &mut Report) -> Result<()> {
    tables(report)?;
    seams(report)?;
    if !shared::preloaded() {
        return Ok(());
    }
    if wal::in_recovery() {
        report.info(
            "standby",
            "",
            "the server is in recovery: scoped reads are refused here",
            "read on the primary server",
        );
        return Ok(());
    }
    let here = value("SELECT pg_catalog.current_database()::pg_catalog.text", &[])? == gucs::database();
    // before the first key there is no log, and without the root key the worker waits: both are said elsewhere
    let unlocked = root::root().is_ok_and(|r| r.generation > 0);
    if !here || !unlocked {
        return Ok(());
    }
    let worker = worker(report)?;
    durability(report)?;
    if !gap(report)? {
        slot(report, worker)?;
        head_file(report)?;
    }
    release(report);
    Ok(())
}

/// Whether the head is kept outside as it should be.
fn head_file(report: &mut Report) -> Result<()> {
    let path = gucs::head_file();
    if path.is_empty() {
        return Ok(());
    }
    let object = "airlock.head_file";
    let directory = setting("data_directory")?;
    if std::path::Path::new(&path).starts_with(&directory) {
        report.warning(
            "head file",
            object,
            format!("\"{path}\" lies in the data directory: whoever sets that back sets it back too"),
            "name a file elsewhere, on storage that backups of the server do not restore",
        );
    }
    let open = std::path::Path::new(&path).parent().and_then(|parent| parent.metadata().ok());
    if open.is_some_and(|directory| directory.mode() & 0o022 != 0) {
        report.warning(
            "head file",
            object,
            format!("others than the server's user may write to the directory of \"{path}\", and so put another file in its place"),
            "chmod go-w on the directory",
        );
    }
    let Some(cursor) = Cursor::latest()? else { return Ok(()) };
    let Ok((_, keys)) = ring::log_key(None) else { return Ok(()) };
    let late = match heads::kept(&keys.1) {
        Some(head) => head.id < cursor.last_id && sys::now().saturating_sub(head.at) > STALE,
        None => true,
    };
    if late && cursor.last_id > 0 {
        report.warning(
            "head file",
            object,
            format!("the log's head is not kept in \"{path}\""),
            "the server's user must be able to write into that directory; the server log says what went wrong",
        );
    }
    Ok(())
}

/// Whether records can be on a standby before answers leave.
fn durability(report: &mut Report) -> Result<()> {
    if gucs::durability() == gucs::Durability::Local {
        return Ok(());
    }
    let object = "airlock.durability";
    if let Err(error) = replicated::possible() {
        report.failure("durability", object, error);
        return Ok(());
    }
    let sql = "SELECT pg_catalog.count(*)::pg_catalog.text FROM pg_catalog.pg_stat_replication r WHERE r.sync_state IN ('sync', 'quorum')";
    if value(sql, &[])? == "0" {
        report.error(
            "durability",
            object,
            "no synchronous standby is connected: scoped reads wait for one",
            "see pg_stat_replication and synchronous_standby_names; without a standby: airlock.durability = 'local'",
        );
    }
    Ok(())
}

/// Where reads are recorded before they run, and not when their answer leaves.
fn release(report: &mut Report) {
    let object = "airlock.release";
    if gucs::release() == gucs::Release::Intent {
        report.info(
            "release",
            object,
            "reads are recorded before they run: one flush for each, and rows as the executor counts them",
            "airlock.release = 'wire', then reload",
        );
        return;
    }
    let (replaced, bare) = (shared::fallbacks(Fallback::Replaced), shared::fallbacks(Fallback::NoClient));
    if replaced > 0 {
        let message = format!("another library sends in place of ours: {replaced} reads since the server was started were recorded before they ran (kind intent or final)");
        report.warning(
            "release",
            object,
            message,
            "find out which of shared_preload_libraries or LOAD replaces PqCommMethods, and leave it out",
        );
    }
    if bare > 0 {
        let message = format!("sessions without a client of their own read for a sub-processor: {bare} reads since the server was started were recorded before they ran");
        report.info(
            "release",
            object,
            message,
            "nothing, if background jobs or replication connections are meant to read as a sub-processor",
        );
    }
}

/// Whether the worker is there and alive.
fn worker(report: &mut Report) -> Result<bool> {
    let sql = "SELECT a.pid::pg_catalog.text FROM pg_catalog.pg_stat_get_activity(NULL) a JOIN pg_catalog.pg_stat_activity s USING (pid) WHERE s.backend_type = $1";
    let pid = value(sql, &[NAME])?;
    let look = "see the server log; the worker is started again every 5 seconds";
    if pid.is_empty() {
        let most = setting("max_worker_processes")?;
        report.error(
            "worker",
            NAME,
            "the log's worker is not running: scoped reads are refused when its last sign of life is too old",
            format!("{look}. Nothing there: raise max_worker_processes (it is {most}) and restart the server"),
        );
        return Ok(false);
    }
    let silent = sys::now().abs_diff(shared::heartbeat());
    let backlog = materialiser::backlog();
    if shared::heartbeat() == 0 || silent > gucs::max_silence().unsigned_abs() {
        let waits = value("SELECT pg_catalog.concat_ws(' ', s.wait_event_type, s.wait_event) FROM pg_catalog.pg_stat_activity s WHERE s.pid = $1::pg_catalog.int4", &[&pid])?;
        let message = match shared::heartbeat() {
            0 => "the log's worker runs but has not settled anything since the server was started".to_string(),
            _ => format!("the log's worker has given no sign of life for {} seconds", silent / 1_000_000),
        };
        report.error(
            "worker",
            NAME,
            format!("{message}; it waits for: {waits}"),
            format!("a lock: SELECT * FROM pg_locks WHERE pid = {pid} AND NOT granted; else {look}"),
        );
    } else if backlog.percent() >= 50 {
        let message = format!(
            "the log's worker has {} MB of WAL to read, of {} MB allowed, up to {} seconds old, of {} allowed",
            backlog.bytes >> 20,
            gucs::backlog_limit() >> 20,
            backlog.age / 1_000_000,
            gucs::backlog_age() / 1_000_000
        );
        let fix = "wait, or raise airlock.backlog_limit or airlock.backlog_age and reload";
        match backlog.over() {
            true => report.error("backlog", NAME, message, fix),
            false => report.warning("backlog", NAME, message, fix),
        }
    }
    for name in super::query("SELECT s.name FROM airlock_catalog.subprocessor s ORDER BY 1", 1, &[])? {
        if let Err(error) = materialiser::share(&name[0]) {
            report.failure("backlog", format!("sub-processor {}", name[0]), error);
        }
    }
    Ok(true)
}

/// Whether the log cannot go on from its cursor.
fn gap(report: &mut Report) -> Result<bool> {
    let Some(cursor) = Cursor::latest()? else { return Ok(false) };
    let Ok((_, keys)) = ring::log_key(None) else { return Ok(false) };
    let accept = "SELECT airlock.accept_log_gap('REASON') lets the log go on: it says from where, and verify_log() names the place from then on";
    if let Some(reason) = cursor.misfit(&keys.1) {
        report.error(
            "gap",
            "airlock_catalog.log_cursor",
            format!("{reason}; reads since then may be missing from the log, scoped reads are refused"),
            format!("bring back the WAL; or {accept}"),
        );
        return Ok(true);
    }
    // while the worker settles, the file is its own, and may be ahead of the cursor that this query sees
    if shared::slot_ok() || shared::heartbeat() == 0 {
        return Ok(false);
    }
    let Some(heads::Fork { what: reason, .. }) = heads::fork(&keys.1, &cursor)? else { return Ok(false) };
    report.error(
        "gap",
        "airlock.head_file",
        format!(
            "{reason}: the log was rewritten, or the server set back to an earlier moment; scoped reads are refused"
        ),
        format!("find out what happened; then {accept}"),
    );
    Ok(true)
}

fn slot(report: &mut Report, worker: bool) -> Result<()> {
    let most = setting("max_replication_slots")?;
    match look_at_slot()? {
        Slot::Keeps(from) => {
            let kept = wal::flushed().saturating_sub(from);
            if !worker && kept > gucs::backlog_limit() {
                let message = format!("replication slot \"{SLOT}\" keeps {} MB of WAL that nobody reads", kept >> 20);
                report.warning("slot", SLOT, message, "get the log's worker running again");
            }
            if value("SELECT s.wal_status FROM pg_catalog.pg_replication_slots s WHERE s.slot_name = $1", &[SLOT])?
                == "unreserved"
            {
                report.warning(
                    "slot",
                    SLOT,
                    "the log's WAL is about to be removed",
                    "ALTER SYSTEM SET max_slot_wal_keep_size = -1",
                );
            }
            let limit = setting("max_slot_wal_keep_size")?;
            if limit != "-1" {
                let message = format!("max_slot_wal_keep_size is {limit}: behind a worker that stands still, WAL with read records is removed");
                report.info(
                    "slot",
                    "max_slot_wal_keep_size",
                    message,
                    "airlock.backlog_limit below it, so that reads stop first",
                );
            }
            // no connection ever holds the slot, so it counts as idle; the setting came with 18
            let idle = setting("idle_replication_slot_timeout")?;
            if !idle.is_empty() && idle != "0" {
                let message = format!(
                    "idle_replication_slot_timeout is {idle}: a checkpoint invalidates the slot on a quiet server"
                );
                report.warning(
                    "slot",
                    "idle_replication_slot_timeout",
                    message,
                    "ALTER SYSTEM SET idle_replication_slot_timeout = 0, then SELECT pg_reload_conf()",
                );
            }
        }
        Slot::Missing => {
            let used = value("SELECT pg_catalog.count(*)::pg_catalog.text FROM pg_catalog.pg_replication_slots", &[])?;
            let message = format!("replication slot \"{SLOT}\" is missing ({used} of {most} slots are used)");
            report.error(
                "slot",
                SLOT,
                message,
                "the log's worker makes it; raise max_replication_slots and restart the server if all are used",
            );
        }
        Slot::Lost => {
            // the column came with 17
            let reason = value("SELECT pg_catalog.to_jsonb(s) OPERATOR(pg_catalog.->>) 'invalidation_reason' FROM pg_catalog.pg_replication_slots s WHERE s.slot_name = $1", &[SLOT])?;
            let (message, fix) = match reason.as_str() {
                "idle_timeout" => {
                    ("was invalidated for being idle", "ALTER SYSTEM SET idle_replication_slot_timeout = 0")
                }
                _ => ("was invalidated", "ALTER SYSTEM SET max_slot_wal_keep_size = -1"),
            };
            let (message, fix) = (
                format!("replication slot \"{SLOT}\" {message}"),
                format!("{fix}, then SELECT pg_reload_conf(); the log's worker makes the slot anew"),
            );
            report.error("slot", SLOT, message, fix);
        }
        Slot::Taken => report.error(
            "slot",
            SLOT,
            format!("replication slot \"{SLOT}\" is used by somebody else"),
            format!("end that connection, then SELECT pg_drop_replication_slot('{SLOT}')"),
        ),
    }
    if let Err(error) = materialiser::health() {
        if worker && report.0.iter().all(|f| !matches!(f.check, "worker" | "backlog" | "slot" | "durability")) {
            report.failure("log", "airlock.access_log", error);
        }
    }
    Ok(())
}

/// Where the log went on without its cursor.
fn seams(report: &mut Report) -> Result<()> {
    let sql = "SELECT r.id::pg_catalog.text, r.detail FROM airlock_catalog.read_record r \
               WHERE r.kind IN ('configuration', 'finding') AND r.kind = 'finding' AND (pg_catalog.starts_with(r.detail, $1) OR pg_catalog.starts_with(r.detail, $2)) ORDER BY r.id";
    for row in super::query(sql, 2, &[MISSING, FORKED])? {
        report.error(
            "log seam",
            format!("record {}", row[0]),
            row[1].clone(),
            "airlock.audit_log has who accepted a gap; where nobody did, find out who removed the cursor row, and verify_head() a head that was kept elsewhere",
        );
    }
    Ok(())
}

/// Nothing may run when the log is written.
fn tables(report: &mut Report) -> Result<()> {
    let sql = "WITH log AS (SELECT c.oid FROM pg_catalog.pg_class c WHERE c.oid = 'airlock_catalog.log_cursor'::pg_catalog.regclass \
                 OR c.relnamespace = 'airlock_catalog'::pg_catalog.regnamespace AND c.relname ~ '^read_(record|private|subject)' AND c.relkind IN ('r', 'p')) \
               SELECT t.tgrelid::pg_catalog.regclass::pg_catalog.text, pg_catalog.format('DROP TRIGGER %I ON %s', t.tgname, t.tgrelid::pg_catalog.regclass) \
               FROM pg_catalog.pg_trigger t JOIN log ON log.oid = t.tgrelid \
               UNION ALL SELECT r.ev_class::pg_catalog.regclass::pg_catalog.text, pg_catalog.format('DROP RULE %I ON %s', r.rulename, r.ev_class::pg_catalog.regclass) \
               FROM pg_catalog.pg_rewrite r JOIN log ON log.oid = r.ev_class";
    for row in super::query(sql, 2, &[])? {
        report.error(
            "log tables",
            row[0].clone(),
            "a table of the read log has a trigger or rule: its worker refuses to write",
            row[1].clone(),
        );
    }
    let sql = "SELECT c.oid::pg_catalog.regclass::pg_catalog.text, pg_catalog.substring(c.relname::pg_catalog.text, '^read_(?:record|private|subject)') \
               FROM pg_catalog.pg_class c WHERE c.relnamespace = 'airlock_catalog'::pg_catalog.regnamespace AND c.relkind = 'r' \
               AND c.relname ~ '^read_(record|private|subject)_[0-9]+$' AND NOT c.relispartition ORDER BY 1";
    for row in super::query(sql, 2, &[])? {
        report.error(
            "log tables",
            row[0].clone(),
            "a day of the read log is detached: its records are not in the log",
            format!("ALTER TABLE airlock_catalog.{} ATTACH PARTITION {} FOR VALUES FROM (…) TO (…)", row[1], row[0]),
        );
    }
    Ok(())
}
