//! What both views of a scope are, as a hash that says the same on every PostgreSQL major: `doctor()` compares it with what
//! was stored when the views were made.
//!
//! `pg_get_viewdef` prints the same view in another way from 16 on, so the views' expressions are printed one by one here.
#![allow(unsafe_code)] // ◆ parse trees of views

use super::sql::{self, arg};
use super::{compat, list};
use crate::pure::error::{Error, Kind, Result};
use data_encoding::HEXLOWER;
use pgrx::pg_sys;
use sha2::{Digest, Sha256};
use std::ffi::CStr;

/// What a fingerprint of this kind begins with. Those of 0.1.0 have no such mark.
const MARK: &str = "2:";
/// That of views which were found changed.
pub const CHANGED: &str = "2:changed";

/// The fingerprint of a scope's two views: names, owner, options, columns, expressions, filter, and the expressions of
/// generated columns beneath, which can be changed under a view (from 17 on). Runs under fixed settings.
///
/// # Errors
/// `42704` when one of the views is gone, `55000` when one is not of the form that scopes have.
pub fn of(view: pg_sys::Oid, inner: pg_sys::Oid) -> Result<String> {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    };
    for oid in [view, inner] {
        head(oid)?.iter().for_each(|text| part(text));
        // SAFETY: inside a transaction; the relation was there a moment ago, an ERROR ends the transaction.
        sql::settled(|| unsafe { body(oid) })?.iter().for_each(|text| part(text));
    }
    generated(inner)?.iter().for_each(|text| part(text));
    Ok(format!("{MARK}{}", HEXLOWER.encode(&hash.finalize())))
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

/// Schema, name, kind, owner and options.
fn head(oid: pg_sys::Oid) -> Result<Vec<String>> {
    let parts = sql::look(
        "SELECT n.nspname::pg_catalog.text, c.relname::pg_catalog.text, c.relkind::pg_catalog.text,
                pg_catalog.pg_get_userbyid(c.relowner)::pg_catalog.text, pg_catalog.array_to_string(c.reloptions, ',')
           FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1",
        &[arg(oid)],
        |row| (1..=5).map(|i| Ok(row.get::<String>(i)?.unwrap_or_default())).collect::<Result<Vec<_>>>(),
    )?;
    parts.ok_or_else(|| Error::new(Kind::Undefined, "a view of the scope does not exist"))
}

/// The one relation that a view of ours reads, its columns with their expressions, its condition.
///
/// # Safety
/// `oid` is a relation, inside a transaction.
unsafe fn body(oid: pg_sys::Oid) -> Result<Vec<String>> {
    let other = || Error::new(Kind::State, "a view of the scope is not of the form that scopes have");
    // SAFETY: the view's rule is copied before it is changed; nodes are looked at as what their tags say.
    unsafe {
        let relation = pg_sys::table_open(oid, pg_sys::AccessShareLock as i32);
        let query = match (*(*relation).rd_rel).relkind as u8 == pg_sys::RELKIND_VIEW {
            true => pg_sys::copyObjectImpl(pg_sys::get_view_query(relation).cast()).cast::<pg_sys::Query>(),
            false => std::ptr::null_mut(),
        };
        // the columns' own names: renaming one leaves the rule as it was
        let desc = (*relation).rd_att;
        let names: Vec<String> =
            (0..(*desc).natts as usize).map(|i| owned(compat::attribute(desc, i).attname.data.as_ptr())).collect();
        pg_sys::table_close(relation, pg_sys::NoLock as i32);
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
        let context = pg_sys::deparse_context_for(name, base);
        let print = |node: *mut pg_sys::Node| {
            // the base's place differs: 15 keeps two placeholders before it
            pg_sys::ChangeVarNodes(node, index, 1, 0);
            owned(pg_sys::deparse_expression(node, context, true, false))
        };
        let mut parts = vec![owned(schema), owned(name)];
        for target in list::<pg_sys::TargetEntry>(query.targetList) {
            parts.push(names.get((*target).resno as usize - 1).cloned().ok_or_else(other)?);
            parts.push(print((*target).expr.cast()));
        }
        let condition = (*query.jointree).quals;
        parts.push(if condition.is_null() { String::new() } else { print(condition) });
        Ok(parts)
    }
}

/// SELECT … FROM … WHERE …, and no more.
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
    let nodes = [q.havingQual, q.limitOffset, q.limitCount, q.setOperations];
    q.commandType == pg_sys::CmdType::CMD_SELECT
        && !q.jointree.is_null()
        && lists.iter().all(|l| l.is_null())
        && nodes.iter().all(|n| n.is_null())
}

/// Generated columns that the inner view reads, with their expressions.
fn generated(inner: pg_sys::Oid) -> Result<Option<String>> {
    let read = sql::settled(|| {
        sql::look(
            "SELECT pg_catalog.string_agg(pg_catalog.format('%s = %s', a.attname, pg_catalog.pg_get_expr(f.adbin, f.adrelid)), E'\\n'
                      ORDER BY a.attname COLLATE pg_catalog.\"C\")
               FROM pg_catalog.pg_rewrite w
               JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid
                AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjsubid > 0
               JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid AND a.attgenerated <> ''
               JOIN pg_catalog.pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
              WHERE w.ev_class = $1",
            &[arg(inner)],
            |row| row.get::<String>(1),
        )
    })?;
    Ok(read.flatten())
}

/// The fingerprint as 0.1.0 took it, on 15.
fn first(view: pg_sys::Oid, inner: pg_sys::Oid) -> Result<String> {
    let mut hash = Sha256::new();
    for oid in [view, inner] {
        let text = sql::settled(|| {
            sql::look("SELECT pg_catalog.pg_get_viewdef($1)", &[arg(oid)], |row| row.get::<String>(1))
        })?;
        for part in head(oid)?.into_iter().chain(text.flatten()) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
    }
    Ok(HEXLOWER.encode(&hash.finalize()))
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
