//! Whose column it is: who may change or look at it, and what the catalog says of it.
#![allow(unsafe_code)] // ◆ ownership, locks, arguments of type name

use super::dependents::failed;
use crate::pg::admin::may_change;
use crate::pg::readlog::identity;
use crate::pg::sys::{compat, role_name, roles, Args};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::qualified;
use pgrx::spi::SpiError;
use pgrx::{pg_sys, Spi};
use std::ffi::CStr;

/// What the catalog says of the column.
pub struct Facts {
    /// Its table's schema.
    pub schema: String,
    /// Its table.
    pub table: String,
    /// Position in the table.
    number: i16,
    /// Its type.
    pub type_oid: pg_sys::Oid,
    /// Its typmod.
    pub typmod: i32,
    /// `format_type` of it.
    pub type_text: String,
    /// Plain base type with a length or precision limit that an encrypted column does not keep.
    pub limited: bool,
    /// Whether it is of a domain.
    pub domain: bool,
}

impl Facts {
    /// The table, qualified and quoted.
    pub fn relation(&self) -> String {
        qualified(&self.schema, &self.table)
    }
}

/// Relation and column of a function that changes it: the caller owns the table, which is locked from now on.
///
/// # Errors
/// AL007 in a sub-processor's session; 42501 for who does not own it; 25006 on a standby.
pub fn target(args: Args) -> Result<(pg_sys::Oid, String)> {
    outside_scopes()?;
    may_change()?;
    let relation = args.need::<pg_sys::Oid>(0, "relation")?;
    let column = column_name(args)?
        .ok_or_else(|| Error::new(Kind::InvalidArgument, "argument \"column_name\" must not be null"))?;
    own(relation)?;
    // SAFETY: an ERROR ends the transaction; the lock lasts as long as it.
    unsafe { pg_sys::LockRelationOid(relation, pg_sys::AccessExclusiveLock as i32) };
    own(relation)?;
    Ok((relation, column))
}

/// AL007 in a sub-processor's session.
pub fn outside_scopes() -> Result<()> {
    match identity::subprocessor()? {
        None => Ok(()),
        Some(name) => Err(Error::new(
            Kind::OutsideScope,
            format!("columns are not changed or looked through in a session of sub-processor \"{name}\""),
        )),
    }
}

/// Argument 1, of type name.
pub fn column_name(args: Args) -> Result<Option<String>> {
    let Some(name) = args.datum(1) else { return Ok(None) };
    // SAFETY: an argument of type name is a NameData, which ends with a NUL.
    let column = unsafe { CStr::from_ptr((*name.cast_mut_ptr::<pg_sys::NameData>()).data.as_ptr()) };
    Ok(Some(column.to_string_lossy().into_owned()))
}

/// The relation's own name; 42704 when it is gone.
pub fn relation_name(relation: pg_sys::Oid) -> Result<String> {
    // SAFETY: a syscache look-up; the text is palloc'd.
    unsafe {
        let name = pg_sys::get_rel_name(relation);
        if name.is_null() {
            return Err(Error::new(Kind::Undefined, format!("there is no relation with OID {}", relation.to_u32())));
        }
        Ok(CStr::from_ptr(name).to_string_lossy().into_owned())
    }
}

/// The relation, qualified and quoted.
pub fn full_name(relation: pg_sys::Oid) -> Result<String> {
    let name = relation_name(relation)?;
    // SAFETY: syscache look-ups; the text is palloc'd.
    unsafe {
        let schema = pg_sys::get_namespace_name(pg_sys::get_rel_namespace(relation));
        if schema.is_null() {
            return Ok(name);
        }
        Ok(qualified(&CStr::from_ptr(schema).to_string_lossy(), &name))
    }
}

fn owned(relation: pg_sys::Oid) -> bool {
    // SAFETY: a syscache look-up for a relation that was just found.
    unsafe { compat::owns_relation(relation, roles::current()) }
}

/// 42501 unless the current role owns the table.
pub fn own(relation: pg_sys::Oid) -> Result<()> {
    let name = relation_name(relation)?;
    if owned(relation) {
        return Ok(());
    }
    Err(Error::new(Kind::Privilege, format!("must be owner of table \"{name}\""))
        .hint(format!("run this as the table's owner; the current role is \"{}\"", role_name(roles::current()))))
}

/// 42501 unless the current role owns the table or is a member of `airlock_admin`. AL007 in a sub-processor's session.
pub fn own_or_administer(relation: pg_sys::Oid) -> Result<()> {
    outside_scopes()?;
    let name = relation_name(relation)?;
    let admin = || roles::by_name("airlock_admin").is_some_and(|admin| roles::has_rights_of(roles::current(), admin));
    if owned(relation) || admin() {
        return Ok(());
    }
    Err(Error::new(Kind::Privilege, format!("must be owner of table \"{name}\" or a member of airlock_admin"))
        .hint(format!("the current role is \"{}\"", role_name(roles::current()))))
}

/// What the catalog says of the column.
///
/// # Errors
/// 55000 for what is no ordinary column of an ordinary table; 42704 when there is none.
pub fn facts(relation: pg_sys::Oid, column: &str) -> Result<Facts> {
    let sql = "SELECT n.nspname::pg_catalog.text, c.relname::pg_catalog.text, c.relkind::pg_catalog.text, a.attnum, a.atttypid, a.atttypmod,
        pg_catalog.format_type(a.atttypid, a.atttypmod), a.attgenerated::pg_catalog.text, a.attidentity::pg_catalog.text,
        c.relispartition OR coalesce(a.attinhcount, 0) > 0, t.typtype = 'd'
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = $2 AND NOT a.attisdropped
      LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
     WHERE c.oid = $1";
    let found = Spi::connect_mut(|c| -> std::result::Result<_, SpiError> {
        let row = c.update(sql, Some(1), &[relation.into(), column.into()])?.first();
        let text = |i| row.get::<String>(i).map(Option::unwrap_or_default);
        let facts = Facts {
            schema: text(1)?,
            table: text(2)?,
            number: row.get::<i16>(4)?.unwrap_or(0),
            type_oid: row.get::<pg_sys::Oid>(5)?.unwrap_or(pg_sys::InvalidOid),
            typmod: row.get::<i32>(6)?.unwrap_or(-1),
            type_text: text(7)?,
            limited: row.get::<i32>(6)?.unwrap_or(-1) >= 0,
            domain: row.get::<bool>(11)?.unwrap_or(false),
        };
        Ok((facts, text(3)?, text(8)?, text(9)?, row.get::<bool>(10)?.unwrap_or(false)))
    });
    let (facts, kind, generated, identity, inherited) = found.map_err(failed)?;
    let table = &facts.table;
    let refused = |message: String| Err(Error::new(Kind::State, message));
    if kind != "r" && kind != "p" {
        return refused(format!("\"{table}\" is not a table"));
    }
    if relation.to_u32() < pg_sys::FirstNormalObjectId
        || ["airlock", "airlock_catalog", "airlock_scope"].contains(&&*facts.schema)
    {
        return refused(format!("\"{table}\" is a system table"));
    }
    if facts.number == 0 {
        return Err(Error::new(Kind::Undefined, format!("column \"{column}\" of table \"{table}\" does not exist")));
    }
    if facts.number < 0 {
        return refused(format!("column \"{column}\" of table \"{table}\" is a system column"));
    }
    if inherited {
        return refused(format!("column \"{column}\" of table \"{table}\" comes from a parent table"))
            .map_err(|e| e.hint("run this on the parent: its children follow"));
    }
    if !generated.is_empty() || !identity.is_empty() {
        return refused(format!("column \"{column}\" of table \"{table}\" is generated"));
    }
    Ok(facts)
}
