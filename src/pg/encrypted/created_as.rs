//! What CREATE TABLE AS, SELECT INTO and CREATE MATERIALIZED VIEW would store: refused before they run, unless each
//! result column of an encrypted type is an encrypted column, as it is.
#![allow(unsafe_code)] // ◆ analysed queries
#![allow(ffi_unwind_calls)] // reason: the tree walkers' callbacks call back into the walkers, see raw.rs

use super::ddl::{self, each, is_ours, quoted, type_oids};
use crate::pg::keys::ring::{self, Number};
use crate::pg::sys::{compat, raw};
use crate::pure::error::{Error, Kind, Result};
use pgrx::pg_sys::{self, NodeTag};
use std::ffi::{c_void, CStr};

/// CREATE TABLE AS, SELECT INTO, CREATE MATERIALIZED VIEW: each result column of our types must be some column's.
pub(super) unsafe fn check(stmt: *mut pg_sys::Node) -> Result<()> {
    let Some(ours) = type_oids() else { return Ok(()) };
    // SAFETY: after parse analysis the query is a Query; for EXECUTE its utility statement names a prepared one.
    unsafe {
        let stmt = &*stmt.cast::<pg_sys::CreateTableAsStmt>();
        let query = stmt.query.cast::<pg_sys::Query>();
        if query.is_null() || (*query).type_ != NodeTag::T_Query {
            return Ok(());
        }
        if stmt.objtype == pg_sys::ObjectType::OBJECT_MATVIEW {
            ddl::stores_this();
            let (types, functions) = stored_parts(query);
            if types.into_iter().any(|oid| is_ours(oid, ours)) {
                return Err(Error::new(
                    Kind::InvalidObject,
                    "a literal of an encrypted type cannot be stored in a definition",
                )
                .hint("compare with airlock.decrypt(c) in the queries that read the view"));
            }
            if functions.into_iter().any(is_decrypt) {
                return Err(Error::new(
                    Kind::InvalidObject,
                    "a materialized view would store decrypted values in the clear",
                )
                .hint("select the encrypted column itself, and decrypt in the queries that read the view"));
            }
        }
        let targets = if (*query).commandType != pg_sys::CmdType::CMD_UTILITY {
            (*query).targetList
        } else if !(*query).utilityStmt.is_null() && (*(*query).utilityStmt).type_ == NodeTag::T_ExecuteStmt {
            let name = (*(*query).utilityStmt.cast::<pg_sys::ExecuteStmt>()).name;
            let prepared = pg_sys::FetchPreparedStatement(name, false);
            if prepared.is_null() {
                return Ok(());
            }
            pg_sys::FetchPreparedStatementTargetList(prepared)
        } else {
            return Ok(());
        };
        each(targets, |node| {
            let entry = &*node.cast::<pg_sys::TargetEntry>();
            let expression = entry.expr.cast::<pg_sys::Node>();
            if entry.resjunk || !is_ours(pg_sys::exprType(expression), ours) {
                return Ok(());
            }
            let name = if entry.resname.is_null() { "a column".into() } else { quoted(entry.resname) };
            let typmod = pg_sys::exprTypmod(expression);
            if typmod < 0 {
                return Err(no_column(&name));
            }
            match ring::number(typmod) {
                Ok(Some(Number::Key(_))) => Err(no_column(&name)),
                // its row cannot be checked without the root key, but it is a column's
                Err(e) if e.kind == Kind::Locked => Ok(()),
                other => other.map(drop),
            }
        })
    }
}

fn no_column(what: &str) -> Error {
    Error::new(Kind::InvalidTable, format!("{what} of an encrypted type is no encrypted column's"))
        .detail("Only a column itself, as it is, brings its column number along.")
        .hint("CREATE TABLE with airlock.encrypted('pii') first, then INSERT … SELECT with airlock.decrypt(c) or plain values")
}

/// What an analysed query would store: the types of its constants that are not NULL, and the functions that it calls by
/// name. A view below is not seen here: `decrypt` itself refuses there.
///
/// The walk only collects; what asks the catalogs comes after it. Any role may send a tree so deep that the walkers
/// raise "stack depth limit exceeded", and no guard may stand between that and the one around the whole walk.
unsafe fn stored_parts(query: *mut pg_sys::Query) -> (Vec<pg_sys::Oid>, Vec<pg_sys::Oid>) {
    type Found = (Vec<pg_sys::Oid>, Vec<pg_sys::Oid>);
    unsafe extern "C-unwind" fn walk(node: *mut pg_sys::Node, found: *mut c_void) -> bool {
        if node.is_null() {
            return false;
        }
        // SAFETY: Postgres walks its own tree; `found` is the pair below.
        unsafe {
            match (*node).type_ {
                NodeTag::T_Query => return compat::raw_query_tree_walker(node.cast(), Some(walk), found, 0),
                NodeTag::T_Const => {
                    let constant = &*node.cast::<pg_sys::Const>();
                    if !constant.constisnull {
                        (*found.cast::<Found>()).0.push(constant.consttype);
                    }
                }
                NodeTag::T_FuncExpr => (*found.cast::<Found>()).1.push((*node.cast::<pg_sys::FuncExpr>()).funcid),
                _ => {}
            }
            compat::raw_expression_tree_walker(node, Some(walk), found)
        }
    }
    let mut found: Found = (Vec::new(), Vec::new());
    let context = std::ptr::addr_of_mut!(found).cast();
    // SAFETY: the walk ends before `found` is used again; the callback's frames own nothing.
    unsafe { raw::guarded(|| compat::raw_query_tree_walker(query, Some(walk), context, 0)) };
    for oids in [&mut found.0, &mut found.1] {
        oids.sort_unstable_by_key(|o| o.to_u32());
        oids.dedup();
    }
    found
}

/// Whether a function is `airlock.decrypt`.
fn is_decrypt(function: pg_sys::Oid) -> bool {
    // SAFETY: syscache look-ups; get_func_name gives NULL for an unknown function.
    unsafe {
        let name = pg_sys::get_func_name(function);
        !name.is_null()
            && CStr::from_ptr(name) == c"decrypt"
            && pg_sys::get_func_namespace(function) == pg_sys::get_namespace_oid(c"airlock".as_ptr(), true)
    }
}
