//! What both views of a scope are, as a hash that says the same on every PostgreSQL major: compared with what was stored
//! when the views were made, before a sub-processor reads through them and by `doctor()`.
//!
//! `pg_get_viewdef` prints the same view in another way from 16 on, so the views' expressions are printed one by one here.
//! From the caches alone, without a query: it runs inside hooks, in a session that may query next to nothing.
#![allow(unsafe_code)] // ◆ parse trees of views

use super::sql::{self, arg};
use super::{compat, list, reads};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::scope::INNER_SCHEMA;
use data_encoding::HEXLOWER;
use pgrx::pg_sys;
use sha2::{Digest, Sha256};
use std::ffi::CStr;

/// What a fingerprint of this kind begins with. Those of 0.1.0 have no such mark.
const MARK: &str = "2:";
/// That of views which were found changed.
pub const CHANGED: &str = "2:changed";

/// The fingerprint of a scope's two views: names, owner, options, columns, expressions, filter; and of the relation
/// beneath whether its rows are filtered for the views' owner, and the expressions of its generated columns, which can be
/// changed under a view (from 17 on). Of relations that the filter's subqueries name the same, and whose they are. Runs
/// under fixed settings.
///
/// # Errors
/// `42704` when one of the views is gone, `55000` when one is not of the form that scopes have.
pub fn of(view: pg_sys::Oid, inner: pg_sys::Oid) -> Result<String> {
    let mut hash = Sha256::new();
    for oid in [view, inner] {
        // SAFETY: inside a transaction; whatever raises ends it.
        for part in sql::settled(|| unsafe { parts(oid) })? {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
    }
    Ok(format!("{MARK}{}", HEXLOWER.encode(&hash.finalize())))
}

/// Whether a stored fingerprint is of the kind that [`of`] gives: those of 0.1.0 are compared by queries only.
pub fn is_known(stored: &str) -> bool {
    stored.starts_with(MARK)
}

/// Whether the views are as they were when `stored` was taken; `None` when that cannot be said, because it was taken by
/// 0.1.0 and the server is not of the only major that it knew.
pub fn same(stored: &str, view: pg_sys::Oid, inner: pg_sys::Oid) -> Result<Option<bool>> {
    if stored.starts_with(MARK) {
        return match of(view, inner) {
            Ok(now) => Ok(Some(now == stored)),
            Err(error) if error.kind == Kind::State => Ok(Some(false)),
            Err(error) => Err(error),
        };
    }
    match pg_sys::PG_VERSION_NUM / 10_000 {
        15 => first(view, inner).map(|now| Some(now == stored)),
        _ => Ok(None),
    }
}

/// A view's name, kind, owner and options; the one relation that it reads, its columns with their expressions, its
/// condition.
///
/// # Safety
/// Inside a transaction.
unsafe fn parts(oid: pg_sys::Oid) -> Result<Vec<String>> {
    let gone = || Error::new(Kind::Undefined, "a view of the scope does not exist");
    let other = || Error::new(Kind::State, "a view of the scope is not of the form that scopes have");
    // SAFETY: the view's rule is copied before it is changed; nodes are looked at as what their tags say.
    unsafe {
        let relation = pg_sys::try_relation_open(oid, pg_sys::AccessShareLock as i32);
        if relation.is_null() {
            return Err(gone());
        }
        let mut parts = head(relation);
        let query = match (*(*relation).rd_rel).relkind as u8 == pg_sys::RELKIND_VIEW {
            true => pg_sys::copyObjectImpl(pg_sys::get_view_query(relation).cast()).cast::<pg_sys::Query>(),
            false => std::ptr::null_mut(),
        };
        // the columns' own names: renaming one leaves the rule as it was
        let desc = (*relation).rd_att;
        let names: Vec<String> =
            (0..(*desc).natts as usize).map(|i| owned(compat::attribute(desc, i).attname.data.as_ptr())).collect();
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        let query = query.as_ref().filter(|q| plain(q)).ok_or_else(other)?;
        let from = list::<pg_sys::Node>((*query.jointree).fromlist);
        let [from] = from.as_slice() else { return Err(other()) };
        if (**from).type_ != pg_sys::NodeTag::T_RangeTblRef {
            return Err(other());
        }
        let index = (*from.cast::<pg_sys::RangeTblRef>()).rtindex;
        let entry = list::<pg_sys::RangeTblEntry>(query.rtable).get(index as usize - 1).copied().ok_or_else(other)?;
        // neither ONLY nor TABLESAMPLE
        let whole = (*entry).inh && (*entry).tablesample.is_null();
        if (*entry).rtekind != pg_sys::RTEKind::RTE_RELATION || !whole {
            return Err(other());
        }
        let base = (*entry).relid;
        let name = pg_sys::get_rel_name(base);
        let schema = pg_sys::get_namespace_name(pg_sys::get_rel_namespace(base));
        if name.is_null() || schema.is_null() {
            return Err(other());
        }
        // until 16 a rule makes a view of an empty table
        let view = pg_sys::get_rel_relkind(base) as u8 == pg_sys::RELKIND_VIEW;
        if view && owned(schema) != INNER_SCHEMA {
            return Err(other());
        }
        let context = pg_sys::deparse_context_for(name, base);
        let mut read = reads::Reads::default();
        let mut print = |node: *mut pg_sys::Node| {
            let found = reads::of(node, query.rtable);
            read.columns.extend(found.columns);
            read.named.extend(found.named);
            // the base's place differs: 15 keeps two placeholders before it
            pg_sys::ChangeVarNodes(node, index, 1, 0);
            owned(pg_sys::deparse_expression(node, context, true, false))
        };
        parts.extend([owned(schema), owned(name)]);
        for target in list::<pg_sys::TargetEntry>(query.targetList) {
            parts.push(names.get((*target).resno as usize - 1).cloned().ok_or_else(other)?);
            parts.push(print((*target).expr.cast()));
        }
        let condition = (*query.jointree).quals;
        parts.push(if condition.is_null() { String::new() } else { print(condition) });
        if !query.limitOffset.is_null() {
            parts.push(format!("OFFSET {}", print(query.limitOffset)));
        }
        parts.extend(beneath(base, &read, context));
        let mut others: Vec<Vec<String>> = read
            .named
            .iter()
            .filter(|other| **other != base.to_u32())
            .map(|other| aside((*other).into(), &read))
            .collect();
        // by name: numbers are others after a dump
        others.sort();
        parts.extend(others.into_iter().flatten());
        Ok(parts)
    }
}

/// Schema, name, kind, owner and options.
///
/// # Safety
/// An open relation.
unsafe fn head(relation: pg_sys::Relation) -> Vec<String> {
    // SAFETY: rd_options of a view is a ViewOptions, NULL where none is set.
    unsafe {
        let form = &*(*relation).rd_rel;
        let view = form.relkind as u8 == pg_sys::RELKIND_VIEW;
        let options = (*relation).rd_options.cast::<pg_sys::ViewOptions>().as_ref().filter(|_| view);
        let options =
            options.map(|o| format!("{} {} {}", o.security_barrier, o.security_invoker, o.check_option as i32));
        vec![
            owned(pg_sys::get_namespace_name(form.relnamespace)),
            owned(form.relname.data.as_ptr()),
            char::from(form.relkind as u8).to_string(),
            owned(pg_sys::GetUserNameFromId(form.relowner, true)),
            options.unwrap_or_default(),
        ]
    }
}

/// Of a relation that only the filter's subqueries name: what [`head`] says of it, and [`beneath`].
///
/// # Safety
/// A relation that the view reads.
unsafe fn aside(other: pg_sys::Oid, read: &reads::Reads) -> Vec<String> {
    // SAFETY: the relation is opened, looked at and closed.
    unsafe {
        let relation = pg_sys::try_relation_open(other, pg_sys::AccessShareLock as i32);
        if relation.is_null() {
            return Vec::new();
        }
        let mut parts = head(relation);
        let context = pg_sys::deparse_context_for((*(*relation).rd_rel).relname.data.as_ptr(), other);
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        parts.extend(beneath(other, read, context));
        parts
    }
}

/// Of a relation beneath: row security, and the generated columns that are read, with their expressions.
///
/// # Safety
/// A relation that the view reads.
unsafe fn beneath(base: pg_sys::Oid, read: &reads::Reads, context: *mut pg_sys::List) -> Vec<String> {
    // SAFETY: the relation is opened, looked at and closed; its constraints are its own.
    unsafe {
        let relation = pg_sys::try_relation_open(base, pg_sys::AccessShareLock as i32);
        if relation.is_null() {
            return Vec::new();
        }
        let form = &*(*relation).rd_rel;
        let mut parts = vec![format!("{} {}", form.relrowsecurity, form.relforcerowsecurity)];
        let desc = (*relation).rd_att;
        let defaults = match (*desc).constr.as_ref() {
            Some(c) if !c.defval.is_null() => std::slice::from_raw_parts(c.defval, c.num_defval as usize),
            _ => &[],
        };
        for default in defaults {
            let attribute = compat::attribute(desc, default.adnum as usize - 1);
            if attribute.attgenerated == 0 || !read.columns.contains(&(base.to_u32(), default.adnum)) {
                continue;
            }
            let node = pg_sys::stringToNode(default.adbin).cast();
            let expression = owned(pg_sys::deparse_expression(node, context, true, false));
            parts.push(format!("{} = {expression}", owned(attribute.attname.data.as_ptr())));
        }
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        parts[1..].sort();
        parts
    }
}

/// SELECT … FROM … WHERE …, a fence, and no more.
fn plain(q: &pg_sys::Query) -> bool {
    let lists = [
        q.cteList,
        q.groupClause,
        q.groupingSets,
        q.windowClause,
        q.distinctClause,
        q.sortClause,
        q.rowMarks,
        q.returningList,
    ];
    let nodes = [q.havingQual, q.limitCount, q.setOperations];
    q.commandType == pg_sys::CmdType::CMD_SELECT
        && !q.jointree.is_null()
        && lists.iter().all(|l| l.is_null())
        && nodes.iter().all(|n| n.is_null())
}

/// The fingerprint as 0.1.0 took it, on 15.
fn first(view: pg_sys::Oid, inner: pg_sys::Oid) -> Result<String> {
    let mut hash = Sha256::new();
    for oid in [view, inner] {
        let text = sql::settled(|| {
            sql::look("SELECT pg_catalog.pg_get_viewdef($1)", &[arg(oid)], |row| row.get::<String>(1))
        })?;
        for part in first_head(oid)?.into_iter().chain(text.flatten()) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
    }
    Ok(HEXLOWER.encode(&hash.finalize()))
}

/// The same of a relation, by a query, with its options as they are written.
fn first_head(oid: pg_sys::Oid) -> Result<Vec<String>> {
    let parts = sql::look(
        "SELECT n.nspname::pg_catalog.text, c.relname::pg_catalog.text, c.relkind::pg_catalog.text,
                pg_catalog.pg_get_userbyid(c.relowner)::pg_catalog.text, pg_catalog.array_to_string(c.reloptions, ',')
           FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1",
        &[arg(oid)],
        |row| (1..=5).map(|i| Ok(row.get::<String>(i)?.unwrap_or_default())).collect::<Result<Vec<_>>>(),
    )?;
    parts.ok_or_else(|| Error::new(Kind::Undefined, "a view of the scope does not exist"))
}

/// # Safety
/// `text` is NULL or a NUL-terminated string.
unsafe fn owned(text: *const std::ffi::c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(text).to_string_lossy().into_owned() }
}
