//! Column definitions of the encrypted types, before their statement runs: a key becomes a fresh column number, a column
//! without a key is refused, and so is a literal that a definition would store.
//!
//! A length coercion sees the value and the typmod, nothing else, and several columns share a key: a value can be bound
//! to its column only if the typmod names the column. So `airlock.encrypted('pii')` in a column definition is rewritten
//! to `airlock.encrypted(NUMBER)`, and the number registered with its key. A column's number that is already there
//! stays: pg_dump writes it, and LIKE, partitions and CREATE TABLE AS copy it.
#![allow(unsafe_code)] // ◆ parse trees, insertion into the extension's catalog

use super::{bound_ddl, created_as};
use crate::pg::keys::ring::{self, KeyInfo, Number};
use crate::pg::keys::{entropy, rotation};
use crate::pg::shared;
use crate::pg::sys::{compat, list, scan, varlena};
use crate::pure::error::{Error, Kind, Result};
use pgrx::pg_sys::{self, NodeTag};
use pgrx::IntoDatum;
use std::cell::{Cell, RefCell};
use std::ffi::{c_void, CStr};

thread_local! {
    /// Statements of ours that run now: transaction nesting level, and whether they store what they parse.
    static RUNNING: RefCell<Vec<(i32, bool)>> = const { RefCell::new(Vec::new()) };
    /// Whether the statement last seen by [`before`] stores what it parses.
    static STORES: Cell<bool> = const { Cell::new(false) };
}

/// Whether a type is one of the two, or a domain over one.
pub fn is_encrypted(oid: pg_sys::Oid) -> bool {
    // SAFETY: a syscache look-up; a number that is no type's stays as it is.
    let base = unsafe { pg_sys::getBaseType(oid) };
    type_oids().is_some_and(|(a, b)| base == a || base == b)
}

/// The OIDs of `airlock.encrypted` and `airlock.encrypted_eq`, or `None` in a database without the extension.
pub fn type_oids() -> Option<(pg_sys::Oid, pg_sys::Oid)> {
    // SAFETY: syscache look-ups inside a transaction.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"airlock".as_ptr(), true);
        if schema == pg_sys::InvalidOid {
            return None;
        }
        let find = |name: &CStr| {
            let cache = pg_sys::SysCacheIdentifier::TYPENAMENSP as i32;
            let (name, schema) = (pg_sys::Datum::from(name.as_ptr()), pg_sys::Datum::from(schema));
            let (none, oid) = (pg_sys::Datum::from(0), pg_sys::Anum_pg_type_oid as i16);
            let found = pg_sys::GetSysCacheOid(cache, oid, name, schema, none, none);
            (found != pg_sys::InvalidOid).then_some(found)
        };
        Some((find(c"encrypted")?, find(c"encrypted_eq")?))
    }
}

/// Whether a type is one of ours, or an array of them.
pub(super) fn is_ours(oid: pg_sys::Oid, (plain, searchable): (pg_sys::Oid, pg_sys::Oid)) -> bool {
    let ours = |oid| oid == plain || oid == searchable;
    // SAFETY: a syscache look-up.
    ours(oid) || ours(unsafe { pg_sys::get_element_type(oid) })
}

/// Whether [`before`] has to see a statement of this kind.
pub fn concerns(tag: NodeTag) -> bool {
    stores(tag) || matches!(tag, NodeTag::T_CreateTableAsStmt | NodeTag::T_ExplainStmt | NodeTag::T_RenameStmt)
}

/// The statement last seen stores what it parses, although its kind does not say so: a materialized view.
pub(super) fn stores_this() {
    STORES.with(|s| s.set(true));
}

/// Whether a statement of this kind stores expressions that it parses.
fn stores(tag: NodeTag) -> bool {
    matches!(
        tag,
        NodeTag::T_CreateStmt
            | NodeTag::T_CreateForeignTableStmt
            | NodeTag::T_AlterTableStmt
            | NodeTag::T_CreateDomainStmt
            | NodeTag::T_AlterDomainStmt
            | NodeTag::T_CompositeTypeStmt
            | NodeTag::T_ViewStmt
            | NodeTag::T_RuleStmt
            | NodeTag::T_CreatePolicyStmt
            | NodeTag::T_AlterPolicyStmt
            | NodeTag::T_CreateTrigStmt
            | NodeTag::T_IndexStmt
            | NodeTag::T_CreateFunctionStmt
            | NodeTag::T_CreateStatsStmt
            | NodeTag::T_DefineStmt
            | NodeTag::T_CreatePublicationStmt
            | NodeTag::T_AlterPublicationStmt
    )
}

/// A statement that [`before`] saw begins.
pub fn enter() {
    // SAFETY: reads a backend-local variable.
    let level = unsafe { pg_sys::GetCurrentTransactionNestLevel() };
    RUNNING.with(|r| r.borrow_mut().push((level, STORES.with(Cell::get))));
}

/// It ended, by whatever way.
pub fn leave() {
    RUNNING.with(|r| r.borrow_mut().pop());
}

/// A (sub)transaction of that nesting level aborts: what began in it is over.
pub fn abort(nest_level: i32) {
    RUNNING.with(|r| r.borrow_mut().retain(|(level, _)| *level < nest_level));
}

/// Whether a literal would be stored in a definition: asked by the input functions.
pub fn defining() -> bool {
    RUNNING.with(|r| r.borrow().last().is_some_and(|(_, stores)| *stores))
}

/// Rewrites the column definitions of a statement in place and refuses what must not be defined.
///
/// # Errors
/// 42P16 for a column without a key, 42P17 for a literal in a materialized view, 42704 for an unknown key.
///
/// # Safety
/// `stmt` is a private copy of a utility statement, inside a transaction that is not aborted.
pub unsafe fn before(stmt: *mut pg_sys::Node) -> Result<()> {
    // SAFETY: the tag tells the type of the node; lists hold what the grammar puts there.
    unsafe {
        let tag = (*stmt).type_;
        let stores = match tag {
            NodeTag::T_CreateFunctionStmt => function_stores(&*stmt.cast::<pg_sys::CreateFunctionStmt>()),
            _ => stores(tag),
        };
        STORES.with(|s| s.set(stores));
        // in recovery, read-only and parallel mode the statement is about to fail by itself
        if pg_sys::RecoveryInProgress() || pg_sys::XactReadOnly || pg_sys::IsInParallelMode() {
            return Ok(());
        }
        match tag {
            NodeTag::T_CreateStmt | NodeTag::T_CreateForeignTableStmt => {
                // CreateForeignTableStmt begins with a CreateStmt
                each((*stmt.cast::<pg_sys::CreateStmt>()).tableElts, |node| column(node))
            }
            NodeTag::T_CompositeTypeStmt => {
                each((*stmt.cast::<pg_sys::CompositeTypeStmt>()).coldeflist, |node| column(node))
            }
            NodeTag::T_CreateDomainStmt => {
                let domain = &*stmt.cast::<pg_sys::CreateDomainStmt>();
                type_name(domain.typeName, "a domain")
            }
            NodeTag::T_RenameStmt => bound_ddl::rename(&*stmt.cast::<pg_sys::RenameStmt>()),
            NodeTag::T_AlterTableStmt => each((*stmt.cast::<pg_sys::AlterTableStmt>()).cmds, |node| {
                bound_ddl::alter((*stmt.cast::<pg_sys::AlterTableStmt>()).relation, node)?;
                if (*node).type_ != NodeTag::T_AlterTableCmd {
                    return Ok(());
                }
                let command = &*node.cast::<pg_sys::AlterTableCmd>();
                if command.def.is_null() || (*command.def).type_ != NodeTag::T_ColumnDef {
                    return Ok(());
                }
                let definition = &mut *command.def.cast::<pg_sys::ColumnDef>();
                if definition.colname.is_null() && !command.name.is_null() {
                    return type_name(definition.typeName, &quoted(command.name));
                }
                column(command.def)
            }),
            NodeTag::T_CreateTableAsStmt => created_as::check(stmt),
            NodeTag::T_ExplainStmt => {
                // EXPLAIN ANALYZE CREATE TABLE AS creates the table without another call of the hook
                let query = (*stmt.cast::<pg_sys::ExplainStmt>()).query.cast::<pg_sys::Query>();
                let is_query = !query.is_null() && (*query).type_ == NodeTag::T_Query;
                if !is_query
                    || (*query).utilityStmt.is_null()
                    || (*(*query).utilityStmt).type_ != NodeTag::T_CreateTableAsStmt
                {
                    return Ok(());
                }
                created_as::check((*query).utilityStmt)
            }
            _ => Ok(()),
        }
    }
}

/// Whether CREATE FUNCTION stores what it parses: a body in SQL's own syntax (BEGIN ATOMIC, RETURN), defaults of
/// parameters. A body in a string is checked now and parsed again when it runs.
unsafe fn function_stores(stmt: &pg_sys::CreateFunctionStmt) -> bool {
    let mut default = false;
    // SAFETY: the grammar puts FunctionParameter nodes there.
    unsafe {
        for parameter in list::<pg_sys::FunctionParameter>(stmt.parameters) {
            default |= !(*parameter).defexpr.is_null();
        }
    }
    default || !stmt.sql_body.is_null()
}

/// Calls `f` for each node of a list.
///
/// # Safety
/// `list` is NIL or a list of nodes.
pub(super) unsafe fn each(list: *mut pg_sys::List, mut f: impl FnMut(*mut pg_sys::Node) -> Result<()>) -> Result<()> {
    // SAFETY: a NIL list has length 0.
    unsafe {
        for i in 0..if list.is_null() { 0 } else { (*list).length } {
            f(pg_sys::list_nth(list, i).cast())?;
        }
    }
    Ok(())
}

/// A name from a parse tree, for messages.
pub(super) unsafe fn quoted(name: *const std::ffi::c_char) -> String {
    // SAFETY: a NUL-terminated string of the parser.
    format!("column \"{}\"", unsafe { CStr::from_ptr(name) }.to_string_lossy())
}

unsafe fn column(node: *mut pg_sys::Node) -> Result<()> {
    // SAFETY: table elements are ColumnDef, Constraint, TableLikeClause; OF and PARTITION OF have no type name.
    unsafe {
        if (*node).type_ != NodeTag::T_ColumnDef {
            return Ok(());
        }
        let definition = &*node.cast::<pg_sys::ColumnDef>();
        let name = if definition.colname.is_null() { "a column".into() } else { quoted(definition.colname) };
        type_name(definition.typeName, &name)
    }
}

/// Replaces the key in a definition's type by a fresh column number.
unsafe fn type_name(name: *mut pg_sys::TypeName, what: &str) -> Result<()> {
    if name.is_null() {
        return Ok(());
    }
    let Some(ours) = type_oids() else { return Ok(()) };
    // SAFETY: a TypeName of the parser, or one that Postgres made from an OID (LIKE): then it has no names and no
    // typmod expressions.
    unsafe {
        let name = &mut *name;
        if name.setof || name.pct_type {
            return Ok(());
        }
        let named = !name.names.is_null();
        let oid = if named { pg_sys::LookupTypeNameOid(std::ptr::null_mut(), name, true) } else { name.typeOid };
        if oid == pg_sys::InvalidOid || !is_ours(oid, ours) {
            return Ok(());
        }
        if name.typmods.is_null() {
            return if name.typemod >= 0 { Ok(()) } else { Err(no_key(what)) };
        }
        let unique = says_unique(name.typmods);
        if unique && oid == ours.0 {
            return Err(Error::new(Kind::InvalidTable, format!("{what} of type airlock.encrypted cannot be unique"))
                .detail("Only airlock.encrypted_eq has match tags, by which values are told apart.")
                .hint("airlock.encrypted_eq('pii', 'unique')"));
        }
        if let Some(key) = key_in(name.typmods, unique)? {
            let number = register(&key, unique, &[])?;
            let constant = pg_sys::palloc0(std::mem::size_of::<pg_sys::A_Const>()).cast::<pg_sys::A_Const>();
            (*constant).type_ = NodeTag::T_A_Const;
            (*constant).val.ival = pg_sys::Integer { type_: NodeTag::T_Integer, ival: number };
            (*constant).location = -1;
            name.typmods = pg_sys::lappend(std::ptr::null_mut(), constant.cast::<c_void>());
        }
    }
    Ok(())
}

fn no_key(what: &str) -> Error {
    Error::new(Kind::InvalidTable, format!("{what} of an encrypted type has no key"))
        .detail("What is stored under no key could not be opened when this session has ended.")
        .hint("name the key, airlock.encrypted('pii'); the keys there are: TABLE airlock.keys")
}

/// Whether the second thing in parentheses is `'unique'`, for match tags of 16 bytes.
unsafe fn says_unique(typmods: *mut pg_sys::List) -> bool {
    // SAFETY: typmods are expressions; the tags are checked before the casts.
    unsafe {
        if (*typmods).length != 2 {
            return false;
        }
        let constant = pg_sys::list_nth(typmods, 1).cast::<pg_sys::A_Const>();
        (*constant).type_ == NodeTag::T_A_Const
            && (*constant).val.node.type_ == NodeTag::T_String
            && CStr::from_ptr((*constant).val.sval.sval) == c"unique"
    }
}

/// The key that a typmod names, by name or number; `None` for a column's number, an unknown one (a restore), or
/// anything that typmod input will refuse.
unsafe fn key_in(typmods: *mut pg_sys::List, unique: bool) -> Result<Option<std::rc::Rc<KeyInfo>>> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    // SAFETY: typmods are expressions; the tags are checked before the casts.
    let text = unsafe {
        if (*typmods).length != 1 + i32::from(unique) {
            return Ok(None);
        }
        let node = pg_sys::list_nth(typmods, 0).cast::<pg_sys::Node>();
        match (*node).type_ {
            NodeTag::T_A_Const => {
                let constant = &*node.cast::<pg_sys::A_Const>();
                match constant.val.node.type_ {
                    NodeTag::T_Integer => constant.val.ival.ival.to_string(),
                    NodeTag::T_String => CStr::from_ptr(constant.val.sval.sval).to_string_lossy().into_owned(),
                    _ => return Ok(None),
                }
            }
            // encrypted(pii) without quotes, which typmods allow
            NodeTag::T_ColumnRef => {
                let fields = (*node.cast::<pg_sys::ColumnRef>()).fields;
                let first = pg_sys::list_nth(fields, 0).cast::<pg_sys::Node>();
                if (*fields).length != 1 || (*first).type_ != NodeTag::T_String {
                    return Ok(None);
                }
                CStr::from_ptr((*first.cast::<pg_sys::String>()).sval).to_string_lossy().into_owned()
            }
            _ => return Ok(None),
        }
    };
    if !digits(&text) {
        return ring::key_by_name(&text).map(Some);
    }
    let Ok(number) = text.parse::<i32>() else { return Ok(None) };
    match ring::number(number) {
        Ok(Some(Number::Key(key))) => Ok(Some(key)),
        Ok(_) => Ok(None),
        // a column's number whose row cannot be checked without the root key: a locked server takes a restore
        Err(e) if e.kind == Kind::Locked => Ok(None),
        Err(e) => Err(e),
    }
}

/// Registers a fresh column number under a key. By table access, not SPI: any role may define a column under any key,
/// and none may touch the catalog. `wide` asks for match tags of 16 bytes, `bind` names the columns that its values will be
/// bound to.
pub fn register(key: &KeyInfo, wide: bool, bind: &[String]) -> Result<i32> {
    let root = rotation::held()?;
    let number = loop {
        let number = entropy::number()?;
        if !ring::taken(number)? {
            break number;
        }
    };
    let uuid = entropy::uuid()?;
    let tag_bytes = if wide { 16u8 } else { 8 };
    let mac = root.catalog_key().column_mac(number, &uuid, &key.uuid, tag_bytes, bind);
    let missing = || Error::new(Kind::Corrupt, "table \"airlock_catalog.encrypted_column\" is not as it was made");
    let table = scan::table_oid("encrypted_column").ok_or_else(missing)?;
    // SAFETY: an insertion into a plain table of ours, in the caller's transaction; values match the columns' types, and
    // an ERROR ends the transaction, which releases the relation.
    unsafe {
        let relation = pg_sys::table_open(table, pg_sys::RowExclusiveLock as i32);
        let desc = (*relation).rd_att;
        let natts = (*desc).natts as usize;
        let mut values = vec![pg_sys::Datum::from(0); natts];
        let mut nulls = vec![true; natts];
        let (mut found, mut bound) = (0, false);
        for i in 0..natts {
            let attribute = compat::attribute(desc, i);
            let value = match CStr::from_ptr(attribute.attname.data.as_ptr()).to_bytes() {
                _ if attribute.attisdropped => continue,
                b"column_no" => number.into_datum(),
                b"uuid" => pgrx::Uuid::from_bytes(uuid).into_datum(),
                b"key_no" => key.key_no.into_datum(),
                b"mac" => Some(varlena(&mac)),
                b"bind" => {
                    bound = true;
                    bind.to_vec().into_datum()
                }
                b"created_at" => pg_sys::GetCurrentTransactionStartTimestamp().into_datum(),
                b"tag_bytes" => i32::from(tag_bytes).into_datum(),
                _ => continue,
            };
            if let Some(value) = value {
                (values[i], nulls[i]) = (value, false);
                found += 1;
            }
        }
        // 0.1.0 has neither tag_bytes nor bind, and its tags are narrow
        if found < 5 + usize::from(wide) + usize::from(bound) {
            return Err(missing());
        }
        if !bound && !bind.is_empty() {
            return Err(Error::new(Kind::State, "row binding needs the extension's objects of this version")
                .hint("ALTER EXTENSION pg_airlock UPDATE"));
        }
        let tuple = pg_sys::heap_form_tuple(desc, values.as_mut_ptr(), nulls.as_mut_ptr());
        pg_sys::CatalogTupleInsert(relation, tuple);
        pg_sys::table_close(relation, pg_sys::RowExclusiveLock as i32);
        pg_sys::CommandCounterIncrement();
    }
    shared::changed();
    Ok(number)
}
