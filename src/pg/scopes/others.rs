//! Relations that a row filter looks into, in EXISTS and IN: whether they may be shared by who makes the scope, and the
//! locks on them.
//!
//! Which rows a scope shows tells whether the others have a row, so their rows are shared as well: the same kinds of
//! relations, the same right as for the scope's own. All relations of a scope, of the old one too where it is replaced,
//! are locked before anything is decided, in the order of their numbers: two scopes that look into each other's relations
//! wait for one another instead of meeting in a deadlock.

use super::plan::{check_kind, check_rights, no_relation, Wanted};
use super::store::Live;
use crate::pg::sys::catalog;
use crate::pg::sys::filter::{self, Filter};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::scope::reads::OtherRelation;
use pgrx::pg_sys;

/// The relations that are locked until the transaction ends.
pub struct Locked(Vec<pg_sys::Oid>);

impl Locked {
    /// Locks all that the wanted scope and the old one read. What the filter names is looked up first, without a lock; it is
    /// read again under it.
    pub fn take(wanted: &Wanted, old: Option<&Live>) -> Result<Locked> {
        let relation = catalog::relation(wanted.relation)?.ok_or_else(|| no_relation(wanted.relation))?;
        // nobody waits for a lock on what could not be shared
        check_kind("relation", &relation)?;
        check_rights(wanted.caller, &relation)?;
        let named = match wanted.row_filter.as_deref() {
            Some(text) => filter::analyse(relation.oid, text, 0)?.relations,
            None => Vec::new(),
        };
        for oid in named.iter().filter(|oid| **oid != relation.oid) {
            let other = catalog::relation(*oid)?.ok_or_else(|| no_relation(*oid))?;
            check_kind("row_filter", &other)?;
            check_rights(wanted.caller, &other)?;
        }
        Ok(Locked(lock(relation.oid, old, &named)))
    }
}

/// Locks a scope's relation, those that its old row filter names, and `named`; gives them.
pub fn lock(relation: pg_sys::Oid, old: Option<&Live>, named: &[pg_sys::Oid]) -> Vec<pg_sys::Oid> {
    let mut all: Vec<pg_sys::Oid> = old.map(|old| old.filter_relations.clone()).unwrap_or_default();
    all.extend(named);
    all.push(relation);
    all.sort_unstable_by_key(|oid| oid.to_u32());
    all.dedup();
    all.iter().for_each(|oid| catalog::lock(*oid));
    all
}

/// Whether what the filter looks into may be shared by `caller`; gives it by name, but for the scope's own relation.
///
/// # Errors
/// `AL010` at `row_filter`: no table, temporary, of the system, or with row security; `42501` unless the caller may give
/// SELECT on it away.
pub fn check(caller: pg_sys::Oid, filter: Option<&Filter>, locked: &Locked) -> Result<Vec<OtherRelation>> {
    let Some(filter) = filter else { return Ok(Vec::new()) };
    if !filter.relations.iter().all(|relation| locked.0.contains(relation)) {
        return Err(Error::new(Kind::State, "a relation that the row filter names was replaced by another meanwhile")
            .hint("call the function again"));
    }
    let mut others = Vec::new();
    for (oid, columns) in &filter.others {
        let relation = catalog::relation(*oid)?.ok_or_else(|| no_relation(*oid))?;
        check_kind("row_filter", &relation)?;
        check_rights(caller, &relation)?;
        others.push(OtherRelation { schema: relation.schema, name: relation.name, columns: columns.clone() });
    }
    Ok(others)
}
