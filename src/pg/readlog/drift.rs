//! A scope whose views are not as they were made discloses nothing (AL010): another owner, no security barrier, other
//! columns or expressions, another filter, a gate that is gone, row security beneath, a function that is not as the extension
//! declares it, another scope of the same rows. Looked at before a statement reads through them, and remembered until
//! PostgreSQL says that one of those relations or functions changed.
#![allow(unsafe_code)] // ◆ invalidation callbacks

use super::materialiser::before_0_2;
use crate::pg::registry::{Registry, Scope};
use crate::pg::shared;
use crate::pg::sys::{depends, fingerprint, labels};
use crate::pure::error::{Error, Kind, Result};
use pgrx::pg_sys;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};

/// What was found to be right.
#[derive(Default)]
struct Seen {
    generation: (u64, u64),
    scopes: HashSet<i32>,
    relations: HashSet<pg_sys::Oid>,
    /// Functions, as their cache calls them.
    functions: HashSet<u32>,
    /// What the relations of scopes inherit from.
    ancestors: HashMap<pg_sys::Oid, Vec<pg_sys::Oid>>,
}

thread_local! {
    static SEEN: RefCell<Seen> = RefCell::new(Seen::default());
    /// One of the relations may have changed.
    static STALE: Cell<bool> = const { Cell::new(true) };
}

/// Hears of changed relations from now on; once per backend.
pub fn watch() {
    // SAFETY: the callback lives as long as the library; it sets a flag and nothing else.
    unsafe {
        pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), pg_sys::Datum::from(0));
        // the name of a schema is in no relation's entry
        let schemas = pg_sys::SysCacheIdentifier::NAMESPACEOID as std::ffi::c_int;
        pg_sys::CacheRegisterSyscacheCallback(schemas, Some(schema_changed), pg_sys::Datum::from(0));
        let functions = pg_sys::SysCacheIdentifier::PROCOID as std::ffi::c_int;
        pg_sys::CacheRegisterSyscacheCallback(functions, Some(function_changed), pg_sys::Datum::from(0));
    }
}

unsafe extern "C-unwind" fn function_changed(_: pg_sys::Datum, _: std::ffi::c_int, hash: u32) {
    let ours = SEEN.with(|s| s.try_borrow().map_or(true, |s| s.functions.contains(&hash)));
    if ours || hash == 0 {
        STALE.with(|s| s.set(true));
    }
}

unsafe extern "C-unwind" fn schema_changed(_: pg_sys::Datum, _: std::ffi::c_int, _: u32) {
    STALE.with(|s| s.set(true));
}

unsafe extern "C-unwind" fn relation_changed(_: pg_sys::Datum, relation: pg_sys::Oid) {
    // while it is being written it is better looked at anew
    let ours = SEEN.with(|s| s.try_borrow().map_or(true, |s| s.relations.contains(&relation)));
    if ours || relation == pg_sys::InvalidOid {
        STALE.with(|s| s.set(true));
    }
}

/// AL010 when the views of one of these scopes are not as they were made.
pub fn check(registry: &Registry, scopes: &[i32]) -> Result<()> {
    // a plan that was made before takes no new lock, and would not hear of it
    // SAFETY: what any lock does; the callbacks above set a flag.
    unsafe { pg_sys::AcceptInvalidationMessages() };
    let stale = STALE.with(|s| s.replace(false));
    SEEN.with(|s| {
        let mut seen = s.borrow_mut();
        if stale || seen.generation != shared::generation() {
            *seen = Seen { generation: shared::generation(), ..Seen::default() };
        }
    });
    for scope in scopes.iter().filter_map(|id| registry.scopes.get(id)) {
        if SEEN.with(|s| s.borrow().scopes.contains(&scope.id)) {
            continue;
        }
        // noted first: what changes while it is looked at makes it stale
        let beneath = [scope.view, scope.inner_view, scope.relation].into_iter().chain(scope.filter_relations.clone());
        SEEN.with(|s| s.borrow_mut().relations.extend(beneath));
        let wrong = match changed(scope)? {
            Some(what) => Some((format!("the views of scope {} were changed", scope.id), what)),
            None if relabelled(scope) => Some((
                format!("the functions of scope {} were changed", scope.id),
                "a function that its views call is not as the extension declares it",
            )),
            None if overlaps(registry, scope) => Some((
                format!("scope {} is not the only one of its rows", scope.id),
                "its relation became a parent, partition or child of another one that the sub-processor has a scope of",
            )),
            None => None,
        };
        if let Some((message, what)) = wrong {
            STALE.with(|s| s.set(true));
            return Err(Error::new(Kind::ScopeRefused, message).detail(what).hint(
                "an administrator must look at SELECT * FROM airlock.doctor() and put it back, or call replace_scope or drop_scope",
            ));
        }
        SEEN.with(|s| s.borrow_mut().scopes.insert(scope.id));
    }
    Ok(())
}

/// What is wrong with the scope's views; `None` when nothing is.
fn changed(scope: &Scope) -> Result<Option<&'static str>> {
    let owner = view_owner();
    if ![scope.view, scope.inner_view].into_iter().all(|view| intact(view, owner)) {
        return Ok(Some("a view lost its security_barrier, belongs to another role or is gone"));
    }
    let Some(stored) = scope.fingerprint.as_deref().filter(|stored| fingerprint::is_known(stored)) else {
        // of 0.1.0, until ALTER EXTENSION … UPDATE
        return Ok(None);
    };
    match fingerprint::of(scope.view, scope.inner_view) {
        Ok(now) if now == stored => Ok(None),
        Ok(_) => {
            Ok(Some("a view, or a relation beneath it, was renamed, replaced or altered since the scope was made"))
        }
        Err(error) if matches!(error.kind, Kind::State | Kind::Undefined) => {
            Ok(Some("a view is not of the form that scopes have"))
        }
        Err(error) => Err(error),
    }
}

/// Whether a function that the scope's views call is not as it was declared. The objects of 0.1.0 were declared otherwise.
fn relabelled(scope: &Scope) -> bool {
    if before_0_2() {
        return false;
    }
    let functions = [scope.view, scope.inner_view].into_iter().flat_map(depends::functions_of);
    let functions: Vec<pg_sys::Oid> = functions.collect();
    SEEN.with(|s| s.borrow_mut().functions.extend(functions.iter().map(|function| labels::hash(*function))));
    functions.into_iter().any(|function| labels::wrong(function).is_some())
}

/// Whether the sub-processor has another scope of a relation that the scope's inherits from, or that inherits from it: two
/// exposures of the same rows. `create_scope` refuses that, `ALTER TABLE` does not.
fn overlaps(registry: &Registry, scope: &Scope) -> bool {
    let scopes = registry.scopes.values().filter(|other| other.subprocessor.id == scope.subprocessor.id);
    let relations: Vec<pg_sys::Oid> = scopes.map(|other| other.relation).collect();
    let mine = above(scope.relation);
    relations
        .into_iter()
        .any(|other| other != scope.relation && (mine.contains(&other) || above(other).contains(&scope.relation)))
}

/// All that a relation is a partition or an inheritance child of. Each is watched: one that is no scope's may come below another.
fn above(relation: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    if let Some(known) = SEEN.with(|s| s.borrow().ancestors.get(&relation).cloned()) {
        return known;
    }
    let mut found = Vec::new();
    let mut next = vec![relation];
    while let Some(of) = next.pop() {
        SEEN.with(|s| s.borrow_mut().relations.insert(of));
        for parent in depends::parents(of) {
            if !found.contains(&parent) {
                found.push(parent);
                next.push(parent);
            }
        }
    }
    SEEN.with(|s| s.borrow_mut().ancestors.insert(relation, found.clone()));
    found
}

/// OID of `airlock_view_owner`, or InvalidOid.
pub fn view_owner() -> pg_sys::Oid {
    // SAFETY: syscache look-up inside a transaction; missing is fine.
    unsafe { pg_sys::get_role_oid(c"airlock_view_owner".as_ptr(), true) }
}

fn intact(view: pg_sys::Oid, owner: pg_sys::Oid) -> bool {
    // SAFETY: the relation is opened, looked at and closed; rd_options of a view is a ViewOptions.
    unsafe {
        let relation = pg_sys::try_relation_open(view, pg_sys::AccessShareLock as i32);
        if relation.is_null() {
            return false;
        }
        let form = &*(*relation).rd_rel;
        let options = (*relation).rd_options.cast::<pg_sys::ViewOptions>();
        let good = form.relkind == pg_sys::RELKIND_VIEW as std::ffi::c_char
            && form.relowner == owner
            && !options.is_null()
            && (*options).security_barrier;
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        good
    }
}
