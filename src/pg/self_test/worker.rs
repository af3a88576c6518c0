//! The worker: a session of the sub-processor's role without a client, which tries the probes one by one.
//!
//! It must be a sub-processor's session before it tries anything: where the label is missing, that is the finding, and
//! probes would be ordinary statements. No statement comes from outside; the list is in `pure::self_test`.
#![allow(unsafe_code)] // ◆ background worker: signals, shared memory, transactions

use super::launch::{Shared, MAGIC};
use crate::pg::contain;
use crate::pg::error::run;
use crate::pg::keys::ring;
use crate::pg::readlog::identity;
use crate::pg::registry::{self, Registry};
use crate::pg::sys::attempt::{attempt, Attempt, Statement};
use crate::pg::sys::compat::{self, Access};
use crate::pg::sys::{function_oid_by_name, name_of_relation, role_name, roles, scan};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::self_test::{
    judge, judge_quoted, probes, quoted, Also, Expect, Facts, Other, Outcome, Probe, Verdict, View,
};
use pgrx::pg_sys;
use std::cell::Cell;
use std::ffi::{c_int, CStr, CString};
use std::sync::atomic::Ordering::SeqCst;

/// A probe that takes longer says nothing.
const PATIENCE: i32 = 5000;
/// Most texts of a catalog that are looked through.
const TEXTS: usize = 200_000;

extern "C-unwind" {
    // core's signal handler, as a function pointer
    #[link_name = "die"]
    fn raw_die(signal: c_int);
}

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this process is the worker: what it reads is marked, and recorded before it is read, since it has no client that
/// could be kept waiting.
pub fn running() -> bool {
    RUNNING.with(Cell::get)
}

/// The worker's main function.
///
/// # Safety
/// Called in a background worker that `launch` started, with the handle of the memory.
#[no_mangle]
pub unsafe extern "C-unwind" fn airlock_self_test_main(handle: pg_sys::Datum) {
    // SAFETY: the outermost Rust frame of the process.
    unsafe {
        run(|| work(handle.value() as pg_sys::dsm_handle));
    }
}

fn work(handle: pg_sys::dsm_handle) -> Result<()> {
    // SAFETY: the memory is as `launch` made it, for its magic; nobody else writes it while this process lives.
    unsafe {
        compat::signal(pg_sys::SIGTERM, raw_die);
        pg_sys::BackgroundWorkerUnblockSignals();
        let segment = pg_sys::dsm_attach(handle);
        if segment.is_null() {
            // who asked is gone
            return Ok(());
        }
        let shared = pg_sys::dsm_segment_address(segment).cast::<Shared>();
        if (*shared).magic != MAGIC {
            return Err(Error::new(Kind::Corrupt, "the self test was started by something else"));
        }
        (*shared).pid = pg_sys::MyProcPid;
        let bytes = shared.add(1).cast::<u8>();
        let length = (*shared).name as usize;
        let name = String::from_utf8_lossy(std::slice::from_raw_parts(bytes, length)).into_owned();
        pg_sys::BackgroundWorkerInitializeConnectionByOid((*shared).database, (*shared).login, 0);
        RUNNING.with(|r| r.set(true));
        set(c"application_name", c"pg_airlock self test");
        set(c"lock_timeout", c"1s");
        let rows = test(&name, (*shared).caller)?;
        let mut result = serde_json::to_vec(&rows).unwrap_or_default();
        if result.len() > (*shared).room as usize - length {
            let row = ("X", "hand back the verdicts", None::<bool>, "not tested: they are too long");
            result = serde_json::to_vec(&[row]).unwrap_or_default();
        }
        std::ptr::copy_nonoverlapping(result.as_ptr(), bytes.add(length), result.len());
        (*shared).result = result.len() as u32;
        (*shared).done.store(1, SeqCst);
    }
    Ok(())
}

fn set(name: &CStr, value: &CStr) {
    // SAFETY: NUL-terminated strings.
    unsafe {
        let (context, source) = (pg_sys::GucContext::PGC_SUSET, pg_sys::GucSource::PGC_S_OVERRIDE);
        pg_sys::SetConfigOption(name.as_ptr(), value.as_ptr(), context, source);
    }
}

/// Runs `body` in a transaction that is rolled back.
fn in_transaction<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: no transaction is open; an ERROR in the body ends the process.
    unsafe {
        pg_sys::StartTransactionCommand();
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        let result = body();
        pg_sys::AbortCurrentTransaction();
        result
    }
}

type Line = (String, String, Option<bool>, String);

fn line(class: char, probe: &str, (ok, message): Verdict) -> Line {
    (class.to_string(), probe.to_string(), ok, message)
}

fn test(name: &str, caller: i32) -> Result<Vec<Line>> {
    let identity = "be somebody else than the sub-processor";
    match in_transaction(identity::subprocessor) {
        Ok(Some(found)) if *found == *name => {}
        Ok(_) => {
            let message = "sessions of its role are not contained; see doctor(). Nothing else was tried";
            return Ok(vec![line('D', identity, (Some(false), message.into()))]);
        }
        Err(error) => {
            let message = format!("{}. Nothing else was tried", error.message);
            return Ok(vec![line('D', identity, (Some(false), message))]);
        }
    }
    let mut lines = vec![line('D', identity, (Some(true), "the login alone decides: it is contained".into()))];
    let (facts, purposes) = in_transaction(|| facts(name))?;
    let mut claimed = None;
    for probe in probes(&facts) {
        // SAFETY: looks a process id up.
        if unsafe { pg_sys::BackendPidGetProc(caller).is_null() } {
            // terminated: nobody waits for verdicts
            return Ok(lines);
        }
        if probe.view.is_some() && probe.view != claimed {
            claimed = probe.view;
            let purpose = probe.view.and_then(|i| purposes.get(i)).cloned().unwrap_or_default();
            if let Ok(purpose) = CString::new(purpose) {
                set(c"airlock.purpose", &purpose);
            }
        }
        lines.push(line(probe.class, &probe.name, tried(&probe, name)?));
    }
    Ok(lines)
}

/// Names of the scopes, of others', of functions; and for each scope a purpose that it may be read for.
fn facts(name: &str) -> Result<(Facts, Vec<String>)> {
    let registry = registry::current()?;
    let mut scopes: Vec<_> = registry.scopes.values().collect();
    scopes.sort_by_key(|scope| scope.id);
    let mut explain = Vec::new();
    scan::table("scope", |row| {
        if row.get::<bool>("allow_explain") == Some(true) {
            explain.push(row.need::<i32>("id")?);
        }
        Ok(())
    })?;
    let (mut facts, mut purposes) = (Facts::default(), Vec::new());
    for scope in scopes {
        let view = name_of_relation(scope.view);
        if scope.subprocessor.contract.name != name {
            facts.others.push(Other { view, number: scope.view.to_u32() });
            continue;
        }
        facts.views.push(View {
            view,
            table: name_of_relation(scope.relation),
            table_no: scope.relation.to_u32(),
            inner: name_of_relation(scope.inner_view),
            inner_no: scope.inner_view.to_u32(),
            columns: columns(&registry, scope.id),
            explain: explain.contains(&scope.id),
        });
        let first = scope.purposes.first().or(scope.subprocessor.contract.purposes.first());
        purposes.push(first.cloned().unwrap_or_default());
    }
    let others = registry.subprocessors.values().filter(|s| s.contract.name != name);
    facts.roles = others.filter(|s| roles::name(s.role).is_some()).map(|s| role_name(s.role)).collect();
    facts.roles.sort();
    for function in ["disclose", "gate", "decrypt", "match_tag", "mask_redact", "create_key", "doctor", "self_test"] {
        facts.functions.extend(function_oid_by_name(function).map(|oid| (function.to_string(), oid.to_u32())));
    }
    Ok((facts, purposes))
}

fn columns(registry: &Registry, scope: i32) -> Vec<(String, bool)> {
    let mut rules: Vec<_> = registry.rules.values().filter(|rule| rule.scope.id == scope).collect();
    rules.sort_by_key(|rule| rule.id);
    rules.into_iter().map(|rule| (rule.column.clone(), rule.mask.is_some())).collect()
}

fn tried(probe: &Probe, name: &str) -> Result<Verdict> {
    let Ok(sql) = CString::new(probe.sql.as_str()) else { return Ok((None, "not tested".into())) };
    let wanted = match probe.expect {
        Expect::True => 1,
        Expect::NoKey => TEXTS,
        _ => 0,
    };
    let utility = probe.expect == Expect::RefusedUtility;
    let statement = Statement { sql: &sql, parameter: None, utility, wanted, milliseconds: PATIENCE };
    let (outcome, texts, more) = outcome(attempt(&statement));
    let also = in_transaction(|| Ok(alone(probe.also, name)))?;
    if let (Expect::QuotesShown(find), Outcome::Failed(code, message)) = (&probe.expect, &outcome) {
        if let Some(value) = quoted(message).filter(|_| code == "22P02") {
            if more {
                return Ok((Some(false), "the error says more than a value that the view shows".into()));
            }
            return Ok(match CString::new(find.as_str()) {
                Ok(sql) => {
                    let parameter = Some(value);
                    let find = Statement { sql: &sql, parameter, utility: false, wanted: 1, milliseconds: PATIENCE };
                    judge_quoted(&self::outcome(attempt(&find)).0)
                }
                Err(_) => (None, "not tested".into()),
            });
        }
    }
    if probe.expect == Expect::NoKey && !texts.is_empty() {
        match in_transaction(|| ring::spelled(&texts)) {
            Ok(false) => {}
            Ok(true) => return Ok((Some(false), "a text spells a key".into())),
            Err(error) => return Ok((None, format!("not tested: {} {}", error.kind.sqlstate(), error.message))),
        }
    }
    Ok(judge(&probe.expect, &outcome, also))
}

fn outcome(attempt: Attempt) -> (Outcome, Vec<String>, bool) {
    match attempt {
        Attempt::Ran(rows, values) => {
            let first = values.first().cloned().flatten();
            (Outcome::Ran(rows, first), values.into_iter().flatten().collect(), false)
        }
        Attempt::Raised(code, message, more) => (Outcome::Failed(code, message), Vec::new(), more),
    }
}

/// Whether containment refuses it by itself, whatever is granted.
fn alone(also: Also, name: &str) -> Option<bool> {
    let refused = |result: Result<()>| result.is_err_and(|error| error.kind == Kind::OutsideScope);
    match also {
        Also::Nothing => None,
        Also::Relation(relation) => {
            let access = Access {
                relid: pg_sys::Oid::from(relation),
                required: pg_sys::ACL_SELECT as pg_sys::AclMode,
                selected: std::ptr::null_mut(),
                user: pg_sys::InvalidOid,
            };
            // SAFETY: no bitmapset stands for a read of no column.
            Some(refused(unsafe { contain::permissions(&[access], name) }))
        }
        Also::Function(function) => Some(refused(contain::function(pg_sys::Oid::from(function), false))),
    }
}
