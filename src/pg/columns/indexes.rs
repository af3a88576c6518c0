//! The indexes of a column, read from the catalog; what becomes of each is decided by [`crate::pure::index`].
//!
//! Expressions and predicates are deparsed under the caller's search path, under which their statements run again, as
//! ALTER TABLE itself does it; everything else is named with its schema.
#![allow(unsafe_code)] // ◆ expression trees of indexes

use super::dependents::{inspect, FAMILY};
use crate::pg::error::notice;
use crate::pg::sys::sql::{arg, first, rows, Row};
use crate::pg::sys::{list, roles, sql};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::index::{fate, Becomes, Constraint, Fate, Index, Part, Use};
use crate::pure::name::{ident, literal, qualified};
use pgrx::pg_sys;
use std::ffi::CStr;

/// What is to be done about the indexes of a column.
#[derive(Default)]
pub struct Plan {
    /// Statements before its type changes.
    pub before: Vec<String>,
    /// Statements after.
    pub after: Vec<String>,
    /// Indexes that cannot move, and why.
    pub refused: Vec<String>,
    /// One of them could if tags had 16 bytes.
    pub wants_wide: bool,
    told: Vec<(String, Vec<String>)>,
}

impl Plan {
    /// Whether no index moves.
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// A notice for each index that moved to `key`.
    pub fn tell(&self, key: &str) {
        for (name, changed) in &self.told {
            let mut said = Error::new(Kind::State, format!("index {name} is on {key} now"));
            if !changed.is_empty() {
                said = said.detail(changed.join("; "));
            }
            notice(said);
        }
    }
}

/// An index in the catalog.
struct Found {
    oid: pg_sys::Oid,
    /// The index it is attached to.
    parent: Option<pg_sys::Oid>,
    /// The column's number in the index's table.
    column: i16,
    /// Keys; what follows is INCLUDE.
    keys: usize,
    /// The current role could make an index there.
    creatable: bool,
    index: Index,
}

/// What is to be done about the indexes that have something to do with the column.
pub fn plan(relation: pg_sys::Oid, column: &str, becomes: Becomes) -> Result<Plan> {
    let mut plan = Plan::default();
    for Found { index, creatable, .. } in parents_first(read(relation, column)?) {
        match fate(&index, &ident(column), becomes) {
            Fate::Stays => {}
            Fate::Replaced { .. } if !creatable => {
                let role = roles::name(roles::current()).unwrap_or_default();
                let grant = format!("GRANT CREATE ON SCHEMA {} TO {}", index.schema, ident(&role));
                plan.refused
                    .push(format!("index {}: made anew, for which the current role needs: {grant}", index.qualified()));
            }
            Fate::Replaced { before, after, changed } => {
                plan.before.extend(before);
                plan.after.extend(after);
                plan.told.push((index.qualified(), changed));
            }
            Fate::Refused(reason) => {
                plan.refused.push(format!("index {}: {reason}", index.qualified()));
                plan.wants_wide |=
                    matches!(fate(&index, &ident(column), Becomes::Searchable { wide: true }), Fate::Replaced { .. });
            }
        }
    }
    Ok(plan)
}

/// An index is attached to a parent that is there.
fn parents_first(mut found: Vec<Found>) -> Vec<Found> {
    let mut ordered: Vec<Found> = Vec::with_capacity(found.len());
    while !found.is_empty() {
        let before = ordered.len();
        let (ready, waiting): (Vec<Found>, Vec<Found>) = found
            .into_iter()
            .partition(|f| f.parent.is_none_or(|parent| ordered.iter().any(|done| done.oid == parent)));
        ordered.extend(ready);
        found = waiting;
        if ordered.len() == before {
            // parents outside the column's family: not of a table whose column can be changed
            ordered.append(&mut found);
        }
    }
    ordered
}

fn read(relation: pg_sys::Oid, column: &str) -> Result<Vec<Found>> {
    let sql = format!(
        "{FAMILY}
         SELECT x.indexrelid, col.attnum, n.nspname::pg_catalog.text, c.relname::pg_catalog.text,
                tn.nspname::pg_catalog.text, t.relname::pg_catalog.text, t.relkind = 'p',
                i.inhparent, pn.nspname::pg_catalog.text, p.relname::pg_catalog.text,
                m.amname::pg_catalog.text, x.indisunique, x.indnullsnotdistinct, x.indisprimary, x.indisexclusion,
                x.indisreplident, x.indisclustered, k.conname::pg_catalog.text, coalesce(k.condeferrable, false),
                x.indnkeyatts, c.reloptions,
                CASE WHEN c.reltablespace <> 0 THEN (SELECT s.spcname FROM pg_catalog.pg_tablespace s WHERE s.oid = c.reltablespace)
                     WHEN c.relkind <> 'I' THEN (SELECT s.spcname FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace s ON s.oid = d.dattablespace
                                                  WHERE d.datname = pg_catalog.current_database()) END::pg_catalog.text,
                coalesce(pg_catalog.obj_description(k.oid, 'pg_constraint'), pg_catalog.obj_description(x.indexrelid, 'pg_class')),
                pg_catalog.has_schema_privilege(n.oid, 'CREATE')
           FROM pg_catalog.pg_index x
           JOIN col ON x.indrelid = col.attrelid
           JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
           JOIN pg_catalog.pg_class t ON t.oid = x.indrelid JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
           JOIN pg_catalog.pg_am m ON m.oid = c.relam
           LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = x.indexrelid AND k.contype = ANY ('{{p,u,x}}')
           LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = x.indexrelid
           LEFT JOIN pg_catalog.pg_class p ON p.oid = i.inhparent LEFT JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
          WHERE col.attnum = ANY (x.indkey)
             OR EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = x.indexrelid
                  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = col.attrelid AND d.refobjsubid = col.attnum)
          ORDER BY n.nspname, c.relname"
    );
    let mut found = inspect(|| rows(&sql, &[arg(relation), arg(column)], index))?;
    for Found { oid, column, keys, index, .. } in &mut found {
        (index.keys, index.include, index.predicate) = parts(*oid, *column, *keys)?;
    }
    Ok(found)
}

/// One row of the query above, its parts still missing.
fn index(row: &Row) -> Result<Found> {
    let (schema, name): (String, String) = (row.need(3)?, row.need(4)?);
    let parent = row.get::<String>(9)?.zip(row.get::<String>(10)?);
    let constraint = row.get::<String>(18)?;
    let option = |text: String| match text.split_once('=') {
        Some((name, value)) => format!("{} = {}", ident(name), literal(value)),
        None => ident(&text),
    };
    let deferrable = row.need(19)?;
    let index = Index {
        schema: ident(&schema),
        name,
        table: qualified(&row.need::<String>(5)?, &row.need::<String>(6)?),
        partitioned: row.need(7)?,
        parent: parent.map(|(schema, name)| qualified(&schema, &name)),
        method: row.need(11)?,
        unique: row.need(12)?,
        nulls_not_distinct: row.need(13)?,
        primary: row.need(14)?,
        exclusion: row.need(15)?,
        replica_identity: row.need(16)?,
        clustered: row.need(17)?,
        constraint: constraint.map(|name| Constraint { name, deferrable }),
        keys: Vec::new(),
        include: Vec::new(),
        predicate: None,
        options: row.get::<Vec<String>>(21)?.unwrap_or_default().into_iter().map(option).collect(),
        tablespace: row.get(22)?,
        comment: row.get(23)?,
    };
    Ok(Found {
        oid: row.need(1)?,
        parent: row.get(8)?,
        column: row.need(2)?,
        keys: row.need::<i16>(20)? as usize,
        creatable: row.need(24)?,
        index,
    })
}

/// Keys, INCLUDE columns, and WHERE with whether it uses the column.
type Parts = (Vec<Part>, Vec<String>, Option<(String, bool)>);

/// One column of the index: its number in the table, 0 for an expression, and the rest of it.
type Column = (i16, Part);

fn parts(index: pg_sys::Oid, column: i16, keys: usize) -> Result<Parts> {
    // newer servers keep a number of their own among the options of columns
    let sql = "SELECT x.indkey[s.n - 1], coalesce(o.opcdefault OR o.opcname = 'varchar_ops', true), EXISTS (SELECT FROM pg_catalog.unnest(a.attoptions) p (o) WHERE p.o !~ '^pg_attver='),
                      v.nspname::pg_catalog.text, o.opcname::pg_catalog.text, w.nspname::pg_catalog.text, l.collname::pg_catalog.text,
                      coalesce(x.indoption[s.n - 1], 0::pg_catalog.int2), nullif(a.attstattarget::pg_catalog.int4, -1)
                 FROM pg_catalog.pg_index x CROSS JOIN pg_catalog.generate_series(1, x.indnatts::pg_catalog.int4) s (n)
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indexrelid AND a.attnum = s.n
                 LEFT JOIN pg_catalog.pg_opclass o ON o.oid = x.indclass[s.n - 1]
                 LEFT JOIN pg_catalog.pg_namespace v ON v.oid = o.opcnamespace
                 LEFT JOIN pg_catalog.pg_collation l ON l.oid = x.indcollation[s.n - 1]
                 LEFT JOIN pg_catalog.pg_namespace w ON w.oid = l.collnamespace
                WHERE x.indexrelid = $1 ORDER BY s.n";
    let mut columns: Vec<Column> = inspect(|| {
        rows(sql, &[arg(index)], |row| {
            let named = |schema: Option<String>, name: Option<String>| Some(qualified(&schema?, &name?));
            let option: i16 = row.need(8)?;
            let part = Part {
                text: String::new(),
                uses: Use::No,
                usual: row.need(2)?,
                parameters: row.need(3)?,
                class: named(row.get(4)?, row.get(5)?).unwrap_or_default(),
                collation: named(row.get(6)?, row.get(7)?),
                descending: option & 1 != 0,
                nulls_first: option & 2 != 0,
                statistics: row.get(9)?,
            };
            Ok((row.need(1)?, part))
        })
    })?;
    let (mut expressions, predicate) = trees(index, column);
    expressions.reverse();
    for (i, (number, part)) in columns.iter_mut().enumerate() {
        // no operator in these two statements: they run under the caller's search path
        let text = "SELECT pg_catalog.pg_get_indexdef($1, $2, false)";
        part.text = first(text, &[arg(index), arg(i as i32 + 1)], |row| row.need(1))?.unwrap_or_default();
        part.uses = match *number {
            0 => expressions.pop().unwrap_or(Use::Expression),
            n if n == column => Use::Column,
            _ => Use::No,
        };
    }
    let text = "SELECT pg_catalog.pg_get_expr(x.indpred, x.indrelid) FROM pg_catalog.pg_index x WHERE x.indexrelid OPERATOR(pg_catalog.=) $1";
    let wher = sql::first(text, &[arg(index)], |row| row.get::<String>(1))?.flatten();
    let include = columns.split_off(keys.min(columns.len()));
    Ok((
        columns.into_iter().map(|(_, part)| part).collect(),
        include.into_iter().map(|(_, part)| part.text).collect(),
        wher.map(|text| (text, predicate)),
    ))
}

/// What each expression of an index has to do with the column, and whether its predicate uses it.
fn trees(index: pg_sys::Oid, column: i16) -> (Vec<Use>, bool) {
    // SAFETY: the index exists and its table is locked; the lists hold expressions over its table, range table entry 1.
    unsafe {
        let relation = pg_sys::index_open(index, pg_sys::AccessShareLock as i32);
        let expressions = list::<pg_sys::Node>(pg_sys::RelationGetIndexExpressions(relation));
        let found = expressions.into_iter().map(|node| of(node, column)).collect();
        let predicate = list::<pg_sys::Node>(pg_sys::RelationGetIndexPredicate(relation));
        let uses = predicate.into_iter().any(|node| of(node, column) != Use::No);
        pg_sys::relation_close(relation, pg_sys::AccessShareLock as i32);
        (found, uses)
    }
}

/// # Safety
/// An expression over one table.
unsafe fn of(node: *mut pg_sys::Node, column: i16) -> Use {
    // SAFETY: as the caller promises; the set of attributes is offset so that system columns fit in.
    unsafe {
        let mut used = std::ptr::null_mut();
        pg_sys::pull_varattnos(node, 1, &mut used);
        let has = |n: i32| pg_sys::bms_is_member(n - pg_sys::FirstLowInvalidHeapAttributeNumber, used);
        match has(i32::from(column)) || has(0) {
            false => Use::No,
            true if is_tag(node) => Use::Tag,
            true => Use::Expression,
        }
    }
}

/// Whether it is `airlock.match_tag(column)` or its wide sister.
///
/// # Safety
/// As [`of`].
unsafe fn is_tag(node: *mut pg_sys::Node) -> bool {
    // SAFETY: the tag tells the type of the node; names are palloc'd, NULL for a function that is gone.
    unsafe {
        if (*node).type_ != pg_sys::NodeTag::T_FuncExpr {
            return false;
        }
        let call = &*node.cast::<pg_sys::FuncExpr>();
        let args = list::<pg_sys::Node>(call.args);
        let name = pg_sys::get_func_name(call.funcid);
        let airlock = pg_sys::get_namespace_oid(c"airlock".as_ptr(), true);
        matches!(args[..], [only] if (*only).type_ == pg_sys::NodeTag::T_Var)
            && !name.is_null()
            && [c"match_tag", c"match_tag16"].contains(&CStr::from_ptr(name))
            && pg_sys::get_func_namespace(call.funcid) == airlock
    }
}
