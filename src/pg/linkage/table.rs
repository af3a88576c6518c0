//! The rows of a shared table, for the controller: each column's value as it was before any mask, what is encrypted opened.

use crate::pg::admin::caller;
use crate::pg::encrypted::open_stored;
use crate::pg::encrypted::value::{datum_to_value, Plain};
use crate::pg::keys::ring::{self, ColumnInfo, Number};
use crate::pg::sys::catalog::{self, Relation};
use crate::pg::sys::cursor::{self, Cells};
use crate::pg::sys::sql::{self, arg};
use crate::pg::sys::{switch, varlena_bytes};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::{qualified, shown};
use crate::pure::scope::sample;
use crate::pure::scope::TableShape;
use pgrx::pg_sys;
use std::rc::Rc;
use zeroize::Zeroizing;

/// A table as it is now.
pub struct Table {
    /// What the catalog says of it.
    pub relation: Relation,
    /// Its columns and keys.
    pub shape: TableShape,
    /// Its owner.
    owner: pg_sys::Oid,
}

/// What a cell of a row holds.
pub enum Cell {
    /// SQL's NULL.
    Null,
    /// A value that masks know.
    Value(Plain),
    /// Of a type without masks: its text.
    Text(Zeroizing<String>),
    /// Encrypted, and it does not open: retired key, damaged, of another place.
    Unreadable,
}

/// How a column is read.
struct Place {
    /// Number in the statement.
    number: usize,
    encrypted: Option<Rc<ColumnInfo>>,
    /// Of the columns that its values are bound to.
    bound: Vec<usize>,
}

/// A statement that reads columns of a table.
pub struct Query {
    places: Vec<Place>,
    /// Columns of the statement.
    read: Vec<String>,
}

/// Which rows are read, and what is asked of each.
#[derive(Default)]
pub struct Which<'a> {
    /// Rows that pass one of these; `None` passes all. All rows where there are none.
    pub filters: Vec<Option<&'a str>>,
    /// Conditions of masks.
    pub conditions: Vec<&'a str>,
    /// At most so many.
    pub most: Option<u64>,
}

impl Table {
    /// `None` when there is no such table any more. It keeps its name until the transaction ends: another one under it would be
    /// read with this one's rights.
    pub fn find(oid: pg_sys::Oid) -> Result<Option<Table>> {
        catalog::hold(oid);
        let Some(relation) = catalog::relation(oid)?.filter(|r| r.kind == "r" || r.kind == "p") else {
            return Ok(None);
        };
        let owner = sql::first("SELECT c.relowner FROM pg_catalog.pg_class c WHERE c.oid = $1", &[arg(oid)], |row| {
            row.need::<pg_sys::Oid>(1)
        })?;
        let Some(owner) = owner else { return Ok(None) };
        Ok(Some(Table { shape: catalog::shape(&relation)?, relation, owner }))
    }

    /// Its name, quoted where it must be.
    pub fn name(&self) -> String {
        format!("{}.{}", plain_name(&self.relation.schema), plain_name(&self.relation.name))
    }

    /// A statement for these columns, which are all there.
    ///
    /// # Errors
    /// 42704 for one that is not; XX001, AL001, AL003 as for the catalog of encrypted columns.
    pub fn query(&self, columns: &[String]) -> Result<Query> {
        let mut read: Vec<String> = Vec::new();
        let mut number = |name: &String| {
            let at = read.iter().position(|known| known == name).unwrap_or_else(|| {
                read.push(name.clone());
                read.len() - 1
            });
            at + 1
        };
        let mut places = Vec::with_capacity(columns.len());
        for name in columns {
            let column = self.shape.column(name).ok_or_else(|| {
                Error::new(Kind::Undefined, format!("column {} does not exist in {}", shown(name), shown(&self.name())))
            })?;
            let (mut encrypted, mut bound) = (None, Vec::new());
            if let Some(sealed) = &column.encrypted {
                if let Some(Number::Column(info)) = ring::number(sealed.column_no)? {
                    bound = info.bind.iter().map(&mut number).collect();
                    encrypted = Some(info);
                }
            }
            places.push(Place { number: number(name), encrypted, bound });
        }
        Ok(Query { places, read })
    }

    /// Whether the caller may SELECT the column, and decrypt it where it is encrypted.
    pub fn readable(&self, column: &str) -> Result<bool> {
        let may = sql::first(
            "SELECT pg_catalog.has_column_privilege($1::pg_catalog.oid, $2::pg_catalog.oid, $3, 'SELECT')",
            &[arg(caller()), arg(self.relation.oid), arg(column)],
            |row| row.get::<bool>(1),
        )?;
        Ok(may.flatten() == Some(true) && self.opens(column)?)
    }

    /// Whether the caller may see the column's plaintext: it is not encrypted, or under a key that the caller may decrypt with.
    pub fn opens(&self, column: &str) -> Result<bool> {
        let Some(sealed) = self.shape.column(column).and_then(|column| column.encrypted.as_ref()) else {
            return Ok(true);
        };
        Ok(match ring::number(sealed.column_no)? {
            Some(Number::Column(info)) => ring::may_decrypt(&info.key, caller()).is_ok(),
            _ => false,
        })
    }

    /// Reads rows: for each its cells, in the order in which columns were asked for, and which of the filters, and then of the
    /// conditions, it passes. Until `each` says that it has enough.
    ///
    /// # Errors
    /// 42501 for an owner without USAGE on the schema; 55000 for what PostgreSQL says against a row.
    pub fn rows(
        &self,
        query: &Query,
        which: &Which,
        mut each: impl FnMut(&[Cell], &[bool]) -> Result<bool>,
    ) -> Result<()> {
        let place = (self.relation.schema.as_str(), self.relation.name.as_str());
        let select = sample::rows(place, &query.read, (&which.filters, &which.conditions), which.most)?;
        // not as the views' owner: planning runs functions that the table's owner put into indexes, and they get that
        // owner's rights and nothing more
        let user = self.owner;
        let what = format!("a row of {}", qualified(&self.relation.schema, &self.relation.name));
        let first = query.read.len() + 1;
        // views and partitions that are foreign may run code of the table's owner
        switch::as_table_owner(user, || {
            cursor::each(&what, &select, &[], |row| {
                let cells = query.places.iter().map(|place| place.read(row)).collect::<Result<Vec<Cell>>>()?;
                let passes = (0..which.filters.len() + which.conditions.len())
                    .map(|i| Ok(row.get::<bool>(first + i)?.unwrap_or(false)))
                    .collect::<Result<Vec<bool>>>()?;
                each(&cells, &passes)
            })
        })
    }
}

/// A name as SQL prints it where it need not be quoted.
fn plain_name(name: &str) -> String {
    let plain = |(i, c): (usize, char)| c == '_' || c.is_ascii_lowercase() || i > 0 && c.is_ascii_digit();
    if !name.is_empty() && name.chars().enumerate().all(plain) {
        name.to_string()
    } else {
        crate::pure::name::ident(name)
    }
}

impl Place {
    fn read(&self, row: &Cells) -> Result<Cell> {
        let Some((datum, oid)) = row.datum(self.number)? else { return Ok(Cell::Null) };
        let Some(column) = &self.encrypted else {
            return Ok(match datum_to_value(datum, oid)? {
                Some(value) => Cell::Value(Plain(value)),
                None => Cell::Text(cursor::printed(datum, oid)?),
            });
        };
        let mut fields = Vec::with_capacity(self.bound.len());
        for number in &self.bound {
            fields.push((row.datum(*number)?.map(|(datum, _)| datum), row.type_of(*number)));
        }
        match open_stored(column, &varlena_bytes(datum), &fields) {
            Ok(value) => Ok(Cell::Value(Plain(value))),
            Err(error) if matches!(error.kind, Kind::NotAuthentic | Kind::KeyVersion) => Ok(Cell::Unreadable),
            Err(error) => Err(error),
        }
    }
}
