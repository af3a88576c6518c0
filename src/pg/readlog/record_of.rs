//! The facts of a read, taken from the plan and the session, never from SQL text: which registered views, which of
//! their columns (named anywhere in the statement), who, from where.
#![allow(unsafe_code)] // ◆ plan nodes, backend status entry
#![allow(ffi_unwind_calls)] // reason: reads of the session's role variables, which cannot raise

use super::columns::{Column, Use};
use crate::pg::registry::Registry;
use crate::pg::self_test;
use crate::pg::sys::compat::Access;
use crate::pg::sys::raw::{raw_authenticated_user, raw_current_user, raw_session_user};
use crate::pg::sys::{list, now, reads, role_name};
use crate::pure::name::ident;
use crate::pure::normalise::apart;
use crate::pure::record::{Record, RecordKind, StatementId, MAX_STATEMENT};
use crate::pure::self_test::MARK;
use crate::pure::subprocessor::Connection;
use pgrx::pg_sys;
use std::collections::BTreeSet;
use std::ffi::CStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most columns a relation can have (`MaxHeapAttributeNumber`).
const WIDEST: i16 = 1600;

/// The scopes that a plan reads, with the views and columns it names.
#[derive(Default)]
pub struct Facts {
    /// Scope numbers, each once.
    pub scopes: Vec<i32>,
    /// `schema.view`
    pub views: Vec<String>,
    /// `schema.view.column`
    pub columns: Vec<String>,
    /// Those of them that reach the result.
    pub returned: Vec<String>,
    /// Those of them that decide which rows do.
    pub filtered: Vec<String>,
    /// `schema.table.column`
    pub base_columns: Vec<String>,
}

/// Finds the registered views among what a plan needs rights on, and what the plan's query does with their columns.
///
/// # Safety
/// The entries' bitmapsets are valid.
pub unsafe fn facts(registry: &Registry, accesses: &[Access], known: Option<&Use>) -> Facts {
    let mut facts = Facts::default();
    let add = |list: &mut Vec<String>, name: &str| {
        if !list.iter().any(|n| n == name) {
            list.push(name.to_string());
        }
    };
    for access in accesses {
        let Some(scope) = registry.scope_of_view(access.relid) else { continue };
        let (view, table) = (relation_name(access.relid), relation_name(scope.relation));
        if !facts.scopes.contains(&scope.id) {
            facts.scopes.push(scope.id);
            facts.views.push(view.clone());
            // SAFETY: the statement holds locks on what it reads.
            for (relation, number) in unsafe { of_filter(scope.inner_view) } {
                if let Some(name) = column_name(relation.into(), number) {
                    add(&mut facts.base_columns, &format!("{}.{name}", relation_name(relation.into())));
                }
            }
        }
        // SAFETY: as the caller promises.
        for number in unsafe { columns_of(access) } {
            let Some(name) = column_name(access.relid, number) else { continue };
            let column = format!("{view}.{name}");
            add(&mut facts.columns, &column);
            // a view's column has the name of the table's
            add(&mut facts.base_columns, &format!("{table}.{name}"));
            if registry.conditional.contains(&scope.id) {
                // SAFETY: as above.
                for (inner, number) in unsafe { of_expression(access.relid, number) } {
                    if let Some(name) = column_name(inner.into(), number) {
                        add(&mut facts.base_columns, &format!("{table}.{name}"));
                    }
                }
            }
            let has = |set: &BTreeSet<Column>| [number, 0].iter().any(|n| set.contains(&(access.relid.to_u32(), *n)));
            match known {
                Some(known) if has(&known.named) => {
                    if has(&known.returned) {
                        add(&mut facts.returned, &column);
                    }
                    if has(&known.filtered) {
                        add(&mut facts.filtered, &column);
                    }
                }
                _ => add(&mut facts.returned, &column),
            }
        }
    }
    facts
}

/// The name of a column, as SQL prints it; `None` for one that is not there.
fn column_name(relation: pg_sys::Oid, number: i16) -> Option<String> {
    // SAFETY: a syscache look-up that gives NULL for what is not there.
    let name = unsafe { pg_sys::get_attname(relation, number, true) };
    // SAFETY: the name is a NUL-terminated string.
    (!name.is_null()).then(|| quoted(&unsafe { text(name) }))
}

/// `schema.name` of a relation, quoted where SQL needs it.
pub fn relation_name(relid: pg_sys::Oid) -> String {
    // SAFETY: syscache look-ups that give NULL for what is gone.
    unsafe {
        let schema = text(pg_sys::get_namespace_name(pg_sys::get_rel_namespace(relid)));
        format!("{}.{}", quoted(&schema), quoted(&text(pg_sys::get_rel_name(relid))))
    }
}

/// As SQL prints a name: quoted only where it must be, so that it equals `format('%I')`.
fn quoted(name: &str) -> String {
    let Ok(c) = std::ffi::CString::new(name) else { return ident(name) };
    // SAFETY: quote_identifier returns its argument or a palloc'd copy.
    unsafe { text(pg_sys::quote_identifier(c.as_ptr())) }
}

/// The numbers of the columns that are named.
unsafe fn columns_of(access: &Access) -> Vec<i16> {
    let mut numbers: Vec<i16> = Vec::new();
    // SAFETY: selectedCols is a bitmapset or NULL; relnatts bounds what a whole-row reference stands for.
    unsafe {
        let mut member = -1;
        loop {
            member = pg_sys::bms_next_member(access.selected, member);
            if member < 0 {
                break;
            }
            let number = member + pg_sys::FirstLowInvalidHeapAttributeNumber;
            if number > 0 {
                numbers.push(number as i16);
            } else if number == 0 {
                numbers.extend((1..=WIDEST).take_while(|n| !pg_sys::get_attname(access.relid, *n, true).is_null()));
            }
        }
        numbers
    }
}

/// The intent record of a statement, but for purpose and number, and the constants that were taken out of it.
pub fn intent(facts: Facts, subprocessor: &str, contract: &str, source: &str) -> (Record, Vec<String>) {
    let (statement, constants) = apart(source, MAX_STATEMENT);
    let record = Record {
        subprocessor: subprocessor.to_string(),
        contract: contract.to_string(),
        views: facts.views,
        columns: facts.columns,
        returned: facts.returned,
        filtered: facts.filtered,
        base_columns: facts.base_columns,
        scopes: facts.scopes,
        statement,
        detail: self_test::running().then(|| MARK.to_string()),
        ..of_session(RecordKind::Intent)
    };
    (record, constants)
}

/// A record that says who this session is, and from where.
pub fn of_session(kind: RecordKind) -> Record {
    // SAFETY: backend-local variables of a connected backend.
    unsafe {
        let id = StatementId { backend_start: pg_sys::MyStartTimestamp, pid: pg_sys::MyProcPid, n: 0 };
        let database = pg_sys::get_database_name(pg_sys::MyDatabaseId);
        Record {
            login_role: role_name(raw_authenticated_user()),
            session_role: role_name(raw_session_user()),
            acting_role: role_name(raw_current_user()),
            client_addr: address().map(|a| a.to_string()),
            tls: tls(),
            application_name: text(pg_sys::application_name),
            database: if database.is_null() { String::new() } else { text(database) },
            ..Record::new(kind, now(), id)
        }
    }
}

/// The statement's own part of the text it came in: a simple query message may hold several.
///
/// # Safety
/// `source` is NULL or a NUL-terminated string; location and length are the plan's, -1 and 0 when unknown.
pub unsafe fn statement_text(source: *const std::ffi::c_char, location: i32, length: i32) -> String {
    if source.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    let bytes = unsafe { CStr::from_ptr(source) }.to_bytes();
    let rest = bytes.get(usize::try_from(location).unwrap_or(0)..).unwrap_or(bytes);
    let own = usize::try_from(length).ok().filter(|n| *n > 0).and_then(|n| rest.get(..n)).unwrap_or(rest);
    String::from_utf8_lossy(own).into_owned()
}

/// What the contract needs to know of the connection.
pub fn connection() -> Connection {
    Connection { address: address(), tls: tls().is_some() }
}

/// The client's address; `None` for a local socket.
fn address() -> Option<IpAddr> {
    // SAFETY: MyBEEntry is this backend's own status entry, written by nobody else; the address family says what the
    // storage holds.
    unsafe {
        let entry = pg_sys::MyBEEntry;
        if entry.is_null() {
            return None;
        }
        let storage = std::ptr::addr_of!((*entry).st_clientaddr.addr);
        match i32::from((*storage).ss_family) {
            libc::AF_INET => {
                let v4 = storage.cast::<libc::sockaddr_in>().read_unaligned();
                Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr))))
            }
            libc::AF_INET6 => {
                let v6 = storage.cast::<libc::sockaddr_in6>().read_unaligned();
                Some(IpAddr::V6(Ipv6Addr::from(v6.sin6_addr.s6_addr)).to_canonical())
            }
            _ => None,
        }
    }
}

/// TLS version and cipher, `None` without TLS.
fn tls() -> Option<String> {
    // SAFETY: as `address`; st_sslstatus is set when st_ssl is.
    unsafe {
        let entry = pg_sys::MyBEEntry;
        if entry.is_null() || !(*entry).st_ssl || (*entry).st_sslstatus.is_null() {
            return None;
        }
        let status = &*(*entry).st_sslstatus;
        Some(format!("{} {}", text(status.ssl_version.as_ptr()), text(status.ssl_cipher.as_ptr())))
    }
}

unsafe fn text(pointer: *const std::ffi::c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: the caller's pointer is a NUL-terminated string.
    unsafe { CStr::from_ptr(pointer).to_string_lossy().into_owned() }
}

/// The columns that a scope's row filter reads, of the base relation and of those that its subqueries look into: the
/// conditions of the inner view.
///
/// # Safety
/// Inside a transaction; `view` is a view that the caller holds a lock on.
unsafe fn of_filter(view: pg_sys::Oid) -> BTreeSet<Column> {
    // SAFETY: the relation is opened, looked at and closed; the rule's query lives in its cache entry until then.
    unsafe {
        let relation = pg_sys::try_relation_open(view, pg_sys::AccessShareLock as i32);
        if relation.is_null() {
            return BTreeSet::new();
        }
        let query = pg_sys::get_view_query(relation);
        let quals = if (*query).jointree.is_null() { std::ptr::null_mut() } else { (*(*query).jointree).quals };
        let read = reads::of(quals, (*query).rtable);
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        read.columns
    }
}

/// The columns of the inner view that a column of the outer one is made of, what decides between two rules included.
///
/// # Safety
/// As [`of_filter`].
unsafe fn of_expression(view: pg_sys::Oid, number: i16) -> BTreeSet<Column> {
    // SAFETY: as in `of_filter`.
    unsafe {
        let relation = pg_sys::try_relation_open(view, pg_sys::AccessShareLock as i32);
        if relation.is_null() {
            return BTreeSet::new();
        }
        let query = pg_sys::get_view_query(relation);
        let targets = list::<pg_sys::TargetEntry>((*query).targetList);
        let target = targets.into_iter().find(|target| (**target).resno == number);
        let expression = target.map_or(std::ptr::null_mut(), |target| (*target).expr.cast());
        let read = reads::of(expression, (*query).rtable);
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        read.columns
    }
}
