//! What CREATE TABLE AS, SELECT INTO and CREATE MATERIALIZED VIEW would store: refused before they run, unless each
//! result column of an encrypted type is an encrypted column, as it is.
#![allow(unsafe_code)] // ◆ analysed queries

use super::ddl::{self, each, is_ours, quoted, type_oids};
use crate::pg::keys::ring::{self, Number};
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
            let mut found = Found { ours, literal: false, opened: false };
            stored_parts(query.cast(), (&raw mut found).cast());
            if found.literal {
                return Err(Error::new(
                    Kind::InvalidObject,
                    "a literal of an encrypted type cannot be stored in a definition",
                )
                .hint("compare with airlock.decrypt(c) in the queries that read the view"));
            }
            if found.opened {
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

/// What a materialized view must not hold.
struct Found {
    ours: (pg_sys::Oid, pg_sys::Oid),
    literal: bool,
    opened: bool,
}

/// Walks an analysed query for constants of our types and calls of `airlock.decrypt` (a view below is not seen here:
/// `decrypt` itself refuses there).
unsafe extern "C-unwind" fn stored_parts(node: *mut pg_sys::Node, context: *mut c_void) -> bool {
    if node.is_null() {
        return false;
    }
    // SAFETY: the context is a Found that nothing else refers to; the walkers visit valid nodes.
    unsafe {
        let found = &mut *context.cast::<Found>();
        match (*node).type_ {
            NodeTag::T_Const => {
                let constant = &*node.cast::<pg_sys::Const>();
                found.literal |= !constant.constisnull && is_ours(constant.consttype, found.ours);
                false
            }
            NodeTag::T_Query => pg_sys::query_tree_walker(node.cast(), Some(stored_parts), context, 0),
            tag => {
                if tag == NodeTag::T_FuncExpr {
                    found.opened |= is_decrypt((*node.cast::<pg_sys::FuncExpr>()).funcid);
                }
                pg_sys::expression_tree_walker(node, Some(stored_parts), context)
            }
        }
    }
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
