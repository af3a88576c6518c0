//! What must not happen to a column that encrypted values are bound to. Their associated data hold its values, and the
//! catalog its name: renamed, dropped or of another type, no value would open, and no row could be written.
#![allow(unsafe_code)] // ◆ parse trees, a relation's description

use super::ddl::{is_ours, type_oids};
use super::plain_type_of;
use crate::pg::keys::ring;
use crate::pg::sys::compat;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::literal;
use crate::pure::plaintext::PlainType;
use pgrx::pg_sys::{self, AlterTableType, NodeTag, ObjectType};
use std::ffi::{c_char, CStr};

/// 55000 for RENAME of a column that others are bound to.
///
/// # Safety
/// A statement of the parser, inside a transaction that is not aborted.
pub(super) unsafe fn rename(stmt: &pg_sys::RenameStmt) -> Result<()> {
    if stmt.renameType != ObjectType::OBJECT_COLUMN {
        return Ok(());
    }
    // SAFETY: as the caller promises.
    match unsafe { bound_to(stmt.relation, stmt.subname)? } {
        None => Ok(()),
        Some(found) => Err(found.refuse("be renamed")),
    }
}

/// 55000 for DROP COLUMN and ALTER COLUMN TYPE of such a column; one integer type may become another.
///
/// # Safety
/// As [`rename`]; `command` is one of ALTER TABLE.
pub(super) unsafe fn alter(relation: *mut pg_sys::RangeVar, command: *mut pg_sys::Node) -> Result<()> {
    // SAFETY: as the caller promises; the definition of ALTER COLUMN TYPE is a ColumnDef.
    unsafe {
        if (*command).type_ != NodeTag::T_AlterTableCmd {
            return Ok(());
        }
        let command = &*command.cast::<pg_sys::AlterTableCmd>();
        let what = match command.subtype {
            AlterTableType::AT_DropColumn => "be dropped",
            AlterTableType::AT_AlterColumnType => "change its type",
            _ => return Ok(()),
        };
        let Some(found) = bound_to(relation, command.name)? else { return Ok(()) };
        if command.subtype == AlterTableType::AT_AlterColumnType && !command.def.is_null() {
            let definition = &*command.def.cast::<pg_sys::ColumnDef>();
            let new = pg_sys::LookupTypeNameOid(std::ptr::null_mut(), definition.typeName, true);
            if definition.raw_default.is_null() && is_integer(found.type_oid) && is_integer(new) {
                return Ok(());
            }
        }
        Err(found.refuse(what))
    }
}

/// Integers are bound as one type, so that a key can be widened.
fn is_integer(oid: pg_sys::Oid) -> bool {
    oid != pg_sys::InvalidOid && matches!(plain_type_of(oid), Some(PlainType::Int2 | PlainType::Int4 | PlainType::Int8))
}

/// A column and the encrypted one that is bound to it.
struct Found {
    table: String,
    column: String,
    type_oid: pg_sys::Oid,
    encrypted: String,
}

impl Found {
    fn refuse(&self, what: &str) -> Error {
        let Found { table, column, encrypted, .. } = self;
        Error::new(
            Kind::State,
            format!(
                "column \"{column}\" of table \"{table}\" cannot {what}: encrypted column \"{encrypted}\" is bound to it"
            ),
        )
        .hint(format!(
            "SELECT airlock.decrypt_column({}, {}) first (or drop that column), and encrypt_column again afterwards",
            literal(table),
            literal(encrypted)
        ))
    }
}

/// The first encrypted column of a table whose values are bound to that column.
unsafe fn bound_to(relation: *mut pg_sys::RangeVar, column: *const c_char) -> Result<Option<Found>> {
    let Some(ours) = type_oids() else { return Ok(None) };
    if relation.is_null() || column.is_null() {
        return Ok(None);
    }
    // SAFETY: as `rename`. The statement locks the relation itself; a description that changes before that is seen by
    // the trigger, which raises.
    unsafe {
        let missing_ok = pg_sys::RVROption::RVR_MISSING_OK;
        let oid = pg_sys::RangeVarGetRelidExtended(relation, 0, missing_ok, None, std::ptr::null_mut());
        // of another's table nothing is told, and PostgreSQL refuses the statement
        if oid == pg_sys::InvalidOid || !compat::owns_relation(oid, pg_sys::GetUserId()) {
            return Ok(None);
        }
        let relation = pg_sys::try_relation_open(oid, pg_sys::AccessShareLock as i32);
        if relation.is_null() {
            return Ok(None);
        }
        let column = CStr::from_ptr(column).to_string_lossy().into_owned();
        let (mut type_oid, mut bound) = (pg_sys::InvalidOid, None);
        let desc = (*relation).rd_att;
        let kind = (*(*relation).rd_rel).relkind as u8;
        for i in 0..if matches!(kind, b'r' | b'p' | b'f') { (*desc).natts as usize } else { 0 } {
            let attribute = compat::attribute(desc, i);
            if attribute.attisdropped {
                continue;
            }
            let name = CStr::from_ptr(attribute.attname.data.as_ptr()).to_string_lossy().into_owned();
            if name == column {
                type_oid = attribute.atttypid;
            }
            if is_ours(attribute.atttypid, ours)
                && attribute.atttypmod >= 0
                && ring::binding(attribute.atttypmod)?.contains(&column)
            {
                bound.get_or_insert(name);
            }
        }
        let table = CStr::from_ptr((*(*relation).rd_rel).relname.data.as_ptr()).to_string_lossy().into_owned();
        pg_sys::relation_close(relation, pg_sys::AccessShareLock as i32);
        Ok(bound.map(|encrypted| Found { table, column, type_oid, encrypted }))
    }
}
