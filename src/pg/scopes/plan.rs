//! From arguments and catalogs to a view plan: who may share, what may be shared, and then `pure::scope` decides.

use super::others::{self, Locked};
use super::store::{self, Live};
use crate::pg::admin::sees_all;
use crate::pg::classes;
use crate::pg::sys::catalog::{self, Relation};
use crate::pg::sys::filter::{self, Filter};
use crate::pg::sys::role_name;
use crate::pg::sys::sql::{self, arg};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::{ident, json_path, shown};
use crate::pure::scope::defaults::{check_clear, expand, Classified, Taken};
use crate::pure::scope::fence::Fence;
use crate::pure::scope::joins::is_root;
use crate::pure::scope::parse::parse;
use crate::pure::scope::reads::OtherRelation;
use crate::pure::scope::resolve::{resolve, Request, ViewPlan};
use crate::pure::scope::{Exposure, Scope, TableShape, INNER_SCHEMA, VIEW_OWNER};
use crate::pure::subprocessor::State;
use pgrx::pg_sys;
use std::collections::BTreeMap;

/// The arguments of create, replace and preview.
pub struct Wanted {
    pub subprocessor: String,
    pub relation: pg_sys::Oid,
    pub rules: serde_json::Value,
    pub row_filter: Option<String>,
    pub subject: Vec<String>,
    pub purposes: Vec<String>,
    pub view_name: Option<String>,
    pub fence: Fence,
    pub caller: pg_sys::Oid,
}

/// A sub-processor whose row is locked.
pub struct Subprocessor {
    pub id: i32,
    pub role: pg_sys::Oid,
    state: State,
    purposes: Vec<String>,
}

/// A scope that can be made.
pub struct Planned {
    pub subprocessor: Subprocessor,
    pub shape: TableShape,
    pub scope: Scope,
    pub view: ViewPlan,
    /// Relations that the row filter's subqueries name, by number.
    pub filter_relations: Vec<pg_sys::Oid>,
    /// What its row filter and conditions need to be told of.
    pub filtering: Filtering,
    /// Those of them that are not the scope's own, with the columns that are read.
    pub others: Vec<OtherRelation>,
    /// The scope that stands in its place now.
    pub existing: Option<Live>,
    /// Classes of the columns.
    pub classified: Classified,
    /// What each `"default"` became, by column.
    pub taken: BTreeMap<String, Taken>,
}

/// Of the row filter and the conditions of masks together.
#[derive(Default)]
pub struct Filtering {
    /// Numbers of the encrypted columns that they open.
    pub opens: Vec<i32>,
    /// An error of theirs may quote a value.
    pub quotes: bool,
}

impl Filtering {
    fn add(&mut self, read: &Filter) {
        self.opens.extend(&read.opens);
        self.opens.sort_unstable();
        self.opens.dedup();
        self.quotes |= read.quotes;
    }
}

/// Schemas whose relations are nobody's to share.
const CLOSED: [&str; 5] = ["pg_catalog", "information_schema", "airlock", "airlock_catalog", INNER_SCHEMA];
/// Fewer distinct values than this, and pseudonyms can be told apart by how often each occurs.
const FEW: f64 = 1000.0;
/// As does a value that makes up more than this share of the rows.
const FREQUENT: f32 = 0.01;

/// The sub-processor of that name, its row locked so that administrators take turns.
pub fn subprocessor(name: &str) -> Result<Subprocessor> {
    let found = sql::first(
        "SELECT s.id, s.role::pg_catalog.oid, s.state, s.purposes FROM airlock_catalog.subprocessor s WHERE s.name = $1 FOR UPDATE",
        &[arg(name)],
        |row| Ok((row.need(1)?, row.need(2)?, row.need::<String>(3)?, row.need(4)?)),
    )?;
    let (id, role, state, purposes) = found.ok_or_else(|| {
        Error::new(Kind::Undefined, format!("sub-processor {} does not exist", shown(name)))
            .hint("SELECT airlock.create_subprocessor(…) first; see TABLE airlock.subprocessors")
    })?;
    let corrupt = || Error::new(Kind::Corrupt, format!("sub-processor {} has an unknown state", shown(name)));
    Ok(Subprocessor { id, role, state: State::from_label(&state).ok_or_else(corrupt)?, purposes })
}

/// Holds everything against the catalogs. Takes the locks, changes nothing.
pub fn plan(wanted: &Wanted) -> Result<Planned> {
    sees_all()?;
    let subprocessor = subprocessor(&wanted.subprocessor)?;
    if subprocessor.state == State::Terminated {
        return Err(Error::new(Kind::State, format!("sub-processor {} is terminated", shown(&wanted.subprocessor)))
            .hint("termination is final: a terminated sub-processor gets no new scope"));
    }
    let locked = Locked::take(wanted, store::live(subprocessor.id, wanted.relation)?.as_ref())?;
    let relation = catalog::relation(wanted.relation)?.ok_or_else(|| no_relation(wanted.relation))?;
    check_kind("relation", &relation)?;
    check_rights(wanted.caller, &relation)?;
    check_relatives(wanted, &subprocessor, &relation)?;
    check_purposes(wanted, &subprocessor)?;

    let shape = catalog::shape(&relation)?;
    let classified = classes::of(relation.oid, subprocessor.id)?;
    let (rules, taken) = expand(&wanted.rules, &classified, &shape, &wanted.subprocessor)?;
    let mut scope = parse(&rules, &shape)?;
    check_clear(&scope, &classified)?;
    // jsonb keeps no order: the view's columns come in that of the table
    scope.rules.sort_by_key(|rule| shape.columns.iter().position(|c| c.name == rule.column));
    let mut filtering = Filtering::default();
    conditions(&mut scope, relation.oid, &mut filtering)?;
    let filter = wanted.row_filter.as_deref().map(|text| filter::analyse(relation.oid, text, 0)).transpose()?;
    filter.iter().for_each(|filter| filtering.add(filter));
    let looked_into = others::check(wanted.caller, filter.as_ref(), &locked)?;
    let existing = store::live(subprocessor.id, relation.oid)?;
    if let Some(live) = &existing {
        keep_domains(&mut scope, live, &shape);
    }
    let view_name = view_name(wanted, existing.as_ref(), &shape)?;
    let others = store::exposed(subprocessor.id, relation.oid)?;
    let view = resolve(&Request {
        subprocessor: &wanted.subprocessor,
        scope: &scope,
        table: &shape,
        view_schema: &wanted.subprocessor,
        view_name: &view_name,
        row_filter: filter.as_ref().map(|f| f.sql.as_str()),
        filter_columns: filter.as_ref().map_or(&[], |f| f.columns.as_slice()),
        subject: &wanted.subject,
        existing: &others,
    })?;
    check_place(wanted, existing.as_ref(), &view)?;
    let filter_relations = filter.map_or_else(Vec::new, |filter| filter.relations);
    let others = looked_into;
    Ok(Planned { subprocessor, shape, scope, view, filter_relations, filtering, others, existing, classified, taken })
}

/// 42704: there is no relation of that number.
pub fn no_relation(relation: pg_sys::Oid) -> Error {
    Error::new(Kind::Undefined, format!("relation {} does not exist", relation.to_u32()))
}

/// Reads the conditions of masks as row filters are read: the view gets PostgreSQL's own words for them.
fn conditions(scope: &mut Scope, relation: pg_sys::Oid, filtering: &mut Filtering) -> Result<()> {
    for rule in &mut scope.rules {
        let path = json_path(&json_path("$", &rule.column), "when");
        let Some(condition) = &mut rule.condition else { continue };
        let read = filter::analyse(relation, &condition.text, 0).map_err(|error| {
            let message = format!("the condition is refused: {}", error.message);
            Error { hint: error.hint, ..Error::scope(&path, message) }
        })?;
        if !read.relations.is_empty() {
            return Err(Error::scope(&path, "the condition holds a subquery")
                .hint("keep a flag in the table and ask for that; a row_filter may look into other tables"));
        }
        filtering.add(&read);
        (condition.text, condition.columns) = (read.sql, read.columns);
    }
    Ok(())
}

/// A column that was renamed with its table keeps its pseudonyms: the domain that it had by default, which is a name, goes on
/// as it was. Not where foreign keys lead to another column: its domain is theirs.
fn keep_domains(scope: &mut Scope, live: &Live, shape: &TableShape) {
    for rule in scope.rules.iter_mut().filter(|rule| rule.domain.is_none() && is_root(shape, &rule.column)) {
        let Exposure::Masked(mask) = &rule.exposure else { continue };
        let same = |old: &&store::LiveRule| {
            old.column == rule.column && old.mask.as_ref().and_then(|m| m.get("mask")) == Some(&mask.name().into())
        };
        // a label that was given is taken back by leaving it out
        let given = live.definition.get(&rule.column);
        let by_default = given.is_some_and(|given| given.get("domain").is_none() && given.get("when").is_none());
        if let Some(old) = live.rules.iter().find(same).filter(|_| by_default && mask.keyed()) {
            rule.domain.clone_from(&old.domain);
        }
    }
}

/// Ordinary and partitioned tables that outlive the session, outside the system's schemas, without row security. `path` is
/// the argument that names the relation.
pub fn check_kind(path: &str, relation: &Relation) -> Result<()> {
    let refused = |message: String, hint: String| Error::scope(path, message).hint(hint);
    let name = shown(&relation.name);
    if CLOSED.contains(&relation.schema.as_str())
        || relation.schema.starts_with("pg_")
        || relation.oid.to_u32() < pg_sys::FirstNormalObjectId
    {
        return Err(refused(
            format!("schema {} is not open to scopes", shown(&relation.schema)),
            "scopes are for tables of your own".into(),
        ));
    }
    let what = match relation.kind.as_str() {
        "r" | "p" => None,
        "v" => Some("a view"),
        "m" => Some("a materialized view"),
        "f" => Some("a foreign table"),
        "S" => Some("a sequence"),
        _ => Some("no table"),
    };
    if let Some(what) = what {
        return Err(refused(
            format!("{name} is {what}"),
            "name the table itself: rights, keys and masks are checked there".into(),
        ));
    }
    if relation.persistence == "t" {
        return Err(refused(format!("{name} is a temporary table"), "use a table that stays".into()));
    }
    if relation.row_security {
        let table = format!("{}.{}", ident(&relation.schema), ident(&relation.name));
        return Err(refused(
            format!("row security is enabled on {name}"),
            format!("its policies would be applied for {VIEW_OWNER} instead of the reader: put the condition into row_filter and ALTER TABLE {table} DISABLE ROW LEVEL SECURITY, or use a table without policies"),
        ));
    }
    Ok(())
}

/// An administrator of airlock can share only what the role could share with GRANT. Of a relation that the row filter looks
/// into, what is shared is whether it has a row.
pub fn check_rights(caller: pg_sys::Oid, relation: &Relation) -> Result<()> {
    if catalog::may_share(caller, relation.oid)? {
        return Ok(());
    }
    let (role, table) = (role_name(caller), format!("{}.{}", ident(&relation.schema), ident(&relation.name)));
    Err(Error::new(Kind::Privilege, format!("role {} may not share {}", shown(&role), shown(&relation.name)))
        .detail("a scope gives rows away: its maker must own the relation or hold SELECT on it with grant option")
        .hint(format!("GRANT SELECT ON {table} TO {} WITH GRANT OPTION", ident(&role))))
}

/// Two views of the same rows, one through a partition, would be two exposures of one column.
fn check_relatives(wanted: &Wanted, subprocessor: &Subprocessor, relation: &Relation) -> Result<()> {
    for relative in catalog::relatives(relation.oid)? {
        if store::live(subprocessor.id, relative)?.is_some() {
            let other = catalog::relation(relative)?.map(|r| r.name).unwrap_or_default();
            return Err(Error::scope(
                "relation",
                format!(
                    "sub-processor {} has a scope of {}, which shares rows with {}",
                    shown(&wanted.subprocessor),
                    shown(&other),
                    shown(&relation.name)
                ),
            )
            .hint("a parent and its partitions or children show the same rows: drop one scope first"));
        }
    }
    Ok(())
}

/// A scope narrows the contract's purposes and never widens them.
fn check_purposes(wanted: &Wanted, subprocessor: &Subprocessor) -> Result<()> {
    for (i, purpose) in wanted.purposes.iter().enumerate() {
        if !subprocessor.purposes.contains(purpose) {
            let known: Vec<String> = subprocessor.purposes.iter().map(|p| shown(p)).collect();
            return Err(Error::scope(
                &format!("purposes[{i}]"),
                format!("purpose {} is not in the contract", shown(purpose)),
            )
            .hint(format!(
                "the contract's purposes are {}; airlock.alter_subprocessor changes them",
                known.join(", ")
            )));
        }
    }
    Ok(())
}

/// The name asked for, else the one the scope's view has now, else the table's.
fn view_name(wanted: &Wanted, existing: Option<&Live>, shape: &TableShape) -> Result<String> {
    if let Some(name) = &wanted.view_name {
        return Ok(name.clone());
    }
    let old = match existing.and_then(|old| old.view) {
        Some(view) => catalog::relation(view)?.filter(|r| r.schema == wanted.subprocessor).map(|r| r.name),
        None => None,
    };
    Ok(old.unwrap_or_else(|| shape.name.clone()))
}

/// The schema is still ours, and the name free or held by the view that is being replaced.
fn check_place(wanted: &Wanted, existing: Option<&Live>, view: &ViewPlan) -> Result<()> {
    let schema = &view.view_schema;
    match catalog::schema_owner(schema)? {
        Some(owner) if owner == VIEW_OWNER => {}
        found => {
            let what = if found.is_some() { "belongs to another role" } else { "does not exist" };
            return Err(Error::new(Kind::State, format!("schema {} of the sub-processor {what}", shown(schema)))
                .hint(format!("CREATE SCHEMA {0} AUTHORIZATION {VIEW_OWNER}, or ALTER SCHEMA {0} OWNER TO {VIEW_OWNER} after a look at what is in it", ident(schema))));
        }
    }
    let taken = catalog::relation_named(schema, &view.view_name)?;
    if taken.is_none() || taken == existing.and_then(|old| old.view) {
        return Ok(());
    }
    let place = format!("{}.{}", ident(schema), ident(&view.view_name));
    let hint = if wanted.view_name.is_some() {
        "take another view_name"
    } else {
        "give a view_name: another table of that name is shared already"
    };
    Err(Error::new(Kind::Duplicate, format!("relation {place} exists already")).hint(hint))
}

/// Where a pseudonym would not hide much, by the statistics of ANALYZE: they are estimates, and so is this.
pub fn frequencies(relation: pg_sys::Oid, planned: &Planned) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for rule in &planned.scope.rules {
        let encrypted = planned.shape.column(&rule.column).is_some_and(|c| c.encrypted.is_some());
        let keyed = matches!(&rule.exposure, Exposure::Masked(mask) if mask.keyed());
        if encrypted || !keyed {
            continue;
        }
        let statistics = sql::first(
            "SELECT s.n_distinct, s.most_common_freqs[1], c.reltuples
               FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
               JOIN pg_catalog.pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = $2::pg_catalog.name
              WHERE c.oid = $1 ORDER BY s.inherited DESC",
            &[arg(relation), arg(rule.column.as_str())],
            |row| Ok((row.get::<f32>(1)?, row.get::<f32>(2)?, row.get::<f32>(3)?)),
        )?;
        let Some((distinct, frequent, rows)) = statistics else { continue };
        let distinct = f64::from(distinct.unwrap_or_default());
        // negative: a share of the rows
        let distinct = if distinct < 0.0 { -distinct * f64::from(rows.unwrap_or_default().max(0.0)) } else { distinct };
        let name = shown(&rule.column);
        if distinct > 0.0 && distinct < FEW {
            lines.push(format!(
                "{name}: about {distinct:.0} distinct values, so a pseudonym can be guessed by how often it occurs"
            ));
        }
        if frequent.is_some_and(|f| f > FREQUENT) {
            let share = frequent.unwrap_or_default() * 100.0;
            lines.push(format!("{name}: one value makes up about {share:.0} % of the rows and can be told by that"));
        }
    }
    Ok(lines)
}

/// The columns' plaintext types as the catalog stores them.
pub fn plain_type(shape: &TableShape, column: &str) -> Option<&'static str> {
    shape.column(column).and_then(|c| c.plain).map(|plain| plain.sql_name())
}
