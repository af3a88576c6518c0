//! What was, or is, shown to whom: rules with their scopes, ended ones too, from the catalog.

use crate::pg::registry::Subject;
use crate::pg::sys::sql::{self, arg};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::mask::Mask;
use pgrx::datum::{TimestampWithTimeZone, Uuid};
use pgrx::{pg_sys, JsonB};
use std::rc::Rc;

/// A scope, in force or not any more.
pub struct Scope {
    /// Its number.
    pub id: i32,
    /// Name of the sub-processor.
    pub subprocessor: String,
    /// Owner of its mask key.
    pub uuid: [u8; 16],
    /// The base table, which may be gone.
    pub relation: pg_sys::Oid,
    /// Which rows it shows.
    pub row_filter: Option<String>,
    /// Whether that looks into other tables.
    pub looks_elsewhere: bool,
    /// Whether that or a condition opens encrypted columns: then only the scope's own views can ask it.
    pub opens: bool,
    /// Whom its rows are about, in the order of what the columns stand for.
    pub subject: Vec<String>,
}

/// One column of a scope.
pub struct Rule {
    /// Its scope.
    pub scope: Rc<Scope>,
    /// The column, by the name that it had.
    pub column: String,
    /// `None` for clear.
    pub mask: Option<Mask>,
    /// Of one of two rules of the column, when it holds.
    pub condition: Option<String>,
    /// Domain of a keyed mask.
    pub domain: String,
    /// Version of the sub-processor's mask key.
    pub mask_key_version: u32,
    /// From when on the column was shown so.
    pub since: Option<TimestampWithTimeZone>,
    /// Until when; `None`: it still is.
    pub until: Option<TimestampWithTimeZone>,
}

impl Rule {
    /// Whether the mask is keyed.
    pub fn keyed(&self) -> bool {
        self.mask.as_ref().is_some_and(Mask::keyed)
    }
}

/// Rules of one sub-processor or of all, in the order of scopes and columns; `ended` ones only where they are asked for.
pub fn load(subprocessor: Option<&str>, ended: bool) -> Result<Vec<Rule>> {
    let mut scopes: Vec<Rc<Scope>> = Vec::new();
    sql::rows(
        "SELECT c.id, s.name, s.uuid, c.relation::pg_catalog.oid, c.row_filter, c.subject, r.column_name, r.mask, r.domain,
                r.mask_key_version, r.since, COALESCE(r.until, c.dropped_at), c.subject_domains, r.condition, c.filter_relations <> '{}', c.filter_opens <> '{}'
           FROM airlock_catalog.rule r JOIN airlock_catalog.scope c ON c.id = r.scope
           JOIN airlock_catalog.subprocessor s ON s.id = c.subprocessor
          WHERE ($1 IS NULL OR s.name = $1) AND ($2 OR r.until IS NULL AND c.dropped_at IS NULL)
          ORDER BY s.name, c.id, r.ordinal",
        &[arg(subprocessor), arg(ended)],
        |row| {
            let id: i32 = row.need(1)?;
            let known = scopes.iter().rev().find(|scope| scope.id == id).cloned();
            let scope = match known {
                Some(scope) => scope,
                None => {
                    let scope = Rc::new(Scope {
                        id,
                        subprocessor: row.need(2)?,
                        uuid: *row.need::<Uuid>(3)?.as_bytes(),
                        relation: row.need(4)?,
                        row_filter: row.get(5)?,
                        looks_elsewhere: row.need(15)?,
                        opens: row.need(16)?,
                        subject: subject(row.need(6)?, row.need(13)?),
                    });
                    scopes.push(scope.clone());
                    scope
                }
            };
            let corrupt = |_| Error::new(Kind::Corrupt, "a rule's mask cannot be read");
            Ok(Rule {
                scope,
                column: row.need(7)?,
                mask: row.get::<JsonB>(8)?.map(|json| Mask::from_json(&json.0).map_err(corrupt)).transpose()?,
                domain: row.get(9)?.unwrap_or_default(),
                mask_key_version: row.get::<i32>(10)?.unwrap_or(0).unsigned_abs(),
                since: row.get(11)?,
                until: row.get(12)?,
                condition: row.get(14)?,
            })
        },
    )
}

/// As the views hand it to masks; what 0.1.0 stored, as it is.
fn subject(columns: Vec<String>, domains: Vec<String>) -> Vec<String> {
    Subject::new(columns.clone(), domains).map_or(columns, |subject| subject.columns)
}
