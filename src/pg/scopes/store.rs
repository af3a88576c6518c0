//! The rows of scopes and rules, and the statements that make and drop their views.

use super::plan::{plain_type, Planned, Wanted};
use crate::pg::keys::{epochs, mask_life};
use crate::pg::readlog::materialiser::before_0_2;
use crate::pg::sys::fingerprint;
use crate::pg::sys::role_name;
use crate::pg::sys::sql::{self, arg, Row};
use crate::pg::sys::{catalog, filter};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::{literal, qualified, shown};
use crate::pure::scope::defaults::fill;
use crate::pure::scope::fence::Fence;
use crate::pure::scope::render::{grant_columns, render, revoke_columns, Ids, Rendered};
use crate::pure::scope::resolve::{ExposedColumn, PlanColumn, ViewPlan};
use crate::pure::scope::{Condition, VIEW_OWNER};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::{pg_sys, JsonB};
use serde_json::Value;

/// A scope that is in force.
pub struct Live {
    pub id: i32,
    pub view: Option<pg_sys::Oid>,
    pub inner_view: Option<pg_sys::Oid>,
    /// Relations that the row filter's subqueries name.
    pub filter_relations: Vec<pg_sys::Oid>,
    /// The rules as they were given, with what `"default"` stood for.
    pub definition: Value,
    pub rules: Vec<LiveRule>,
    pub fence: Fence,
}

/// A rule that is in force.
pub struct LiveRule {
    pub column: String,
    pub mask: Option<Value>,
    pub domain: Option<String>,
    /// When it holds, as SQL; `None` for always.
    pub condition: Option<String>,
    mask_key_version: Option<i32>,
    class_default: Option<Value>,
    since: TimestampWithTimeZone,
}

/// 42704: there is no such scope.
pub fn no_scope(subprocessor: &str, table: &str) -> Error {
    Error::new(Kind::Undefined, format!("sub-processor {} has no scope of {}", shown(subprocessor), shown(table)))
}

/// The scope in force of a sub-processor and relation.
pub fn live(subprocessor: i32, relation: pg_sys::Oid) -> Result<Option<Live>> {
    // 0.1.0's table has no such column
    let named = if before_0_2() { "'{}'" } else { "s.filter_relations" };
    let found = sql::first(
        &format!(
            "SELECT s.id, s.view::pg_catalog.oid, s.inner_view::pg_catalog.oid, {named}::pg_catalog.oid[], s.definition
               FROM airlock_catalog.scope s
              WHERE s.subprocessor = $1 AND s.relation = $2::pg_catalog.regclass AND s.dropped_at IS NULL"
        ),
        &[arg(subprocessor), arg(relation)],
        |row| {
            Ok(Live {
                id: row.need(1)?,
                view: row.get(2)?,
                inner_view: row.get(3)?,
                filter_relations: row.need(4)?,
                definition: json(row, 5)?.unwrap_or_default(),
                rules: Vec::new(),
                fence: Fence::default(),
            })
        },
    )?;
    let Some(mut scope) = found else { return Ok(None) };
    if !before_0_2() {
        let both = sql::first(
            "SELECT s.fence, s.allow_explain FROM airlock_catalog.scope s WHERE s.id = $1",
            &[arg(scope.id)],
            |row| Ok(Fence { fence: row.need(1)?, allow_explain: row.need(2)? }),
        )?;
        scope.fence = both.unwrap_or_default();
    }
    scope.rules = sql::rows(
        // 0.1.0's table has neither a condition nor a default
        "SELECT r.column_name, r.mask, r.domain, r.mask_key_version, r.since, pg_catalog.to_jsonb(r) ->> 'condition',
                pg_catalog.to_jsonb(r) -> 'class_default'
           FROM airlock_catalog.rule r WHERE r.scope = $1 AND r.until IS NULL ORDER BY r.ordinal",
        &[arg(scope.id)],
        |row| {
            Ok(LiveRule {
                column: row.need(1)?,
                mask: json(row, 2)?,
                domain: row.get(3)?,
                mask_key_version: row.get(4)?,
                since: row.need(5)?,
                condition: row.get(6)?,
                class_default: json(row, 7)?.filter(|default| !default.is_null()),
            })
        },
    )?;
    for rule in &scope.rules {
        if let (Some(mask), Some(given)) = (&rule.class_default, scope.definition.get_mut(&rule.column)) {
            *given = fill(given, mask);
        }
    }
    Ok(Some(scope))
}

fn json(row: &Row, column: usize) -> Result<Option<Value>> {
    Ok(row.get::<JsonB>(column)?.map(|json| json.0))
}

/// Columns of the sub-processor's scopes of other relations, for the rule about foreign keys.
pub fn exposed(subprocessor: i32, but: pg_sys::Oid) -> Result<Vec<ExposedColumn>> {
    sql::rows(
        "SELECT n.nspname::pg_catalog.text, c.relname::pg_catalog.text, r.column_name, r.mask, r.domain, s.definition, pg_catalog.to_jsonb(r) -> 'class_default'
           FROM airlock_catalog.scope s JOIN airlock_catalog.rule r ON r.scope = s.id AND r.until IS NULL
           JOIN pg_catalog.pg_class c ON c.oid = s.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE s.subprocessor = $1 AND s.relation <> $2::pg_catalog.regclass AND s.dropped_at IS NULL",
        &[arg(subprocessor), arg(but)],
        |row| {
            let column: String = row.need(3)?;
            let (definition, default) = (json(row, 6)?.unwrap_or_default(), json(row, 7)?.unwrap_or_default());
            Ok(ExposedColumn {
                schema: row.need(1)?,
                table: row.need(2)?,
                exposure: exposure(json(row, 4)?, &fill(&definition[&column], &default)),
                column,
                domain: row.get(5)?,
            })
        },
    )
}

/// The mask as `pure` wants it: with what the rule said about joins.
fn exposure(mask: Option<Value>, definition: &Value) -> String {
    if definition.get("when").is_some() {
        // shown in two ways, it joins with nothing
        return Value::Null.to_string();
    }
    let Some(mut mask) = mask else { return "clear".to_string() };
    if let (Some(members), Some(allowed)) = (mask.as_object_mut(), definition.get("allow_broken_join")) {
        members.insert("allow_broken_join".to_string(), allowed.clone());
    }
    mask.to_string()
}

/// Stores the scope, makes its views and gives the outer one.
pub fn install(wanted: &Wanted, planned: &Planned) -> Result<pg_sys::Oid> {
    let (id, rules) = insert(wanted, planned)?;
    let rendered = rendered(&planned.view, wanted, planned, (id, &rules))?;
    execute(&rendered)?;
    let missing = || Error::new(Kind::Corrupt, "a view that was just made is not there");
    let view = catalog::relation_named(&planned.view.view_schema, &planned.view.view_name)?.ok_or_else(missing)?;
    let inner = catalog::relation_named(rendered.inner_schema, &rendered.inner_name)?.ok_or_else(missing)?;
    sql::run(
        "UPDATE airlock_catalog.scope SET view = $2::pg_catalog.regclass, inner_view = $3::pg_catalog.regclass, fingerprint = $4 WHERE id = $1",
        &[arg(id), arg(view), arg(inner), arg(fingerprint::of(view, inner)?)],
    )?;
    Ok(view)
}

/// Replaces the fingerprints of 0.1.0, where it can be said whether the views were changed since.
pub fn renew_fingerprints() -> Result<()> {
    let scopes = sql::rows(
        "SELECT c.id, c.view::pg_catalog.oid, c.inner_view::pg_catalog.oid, c.fingerprint FROM airlock_catalog.scope c
           JOIN pg_catalog.pg_class v ON v.oid = c.view::pg_catalog.oid JOIN pg_catalog.pg_class i ON i.oid = c.inner_view::pg_catalog.oid
          WHERE c.dropped_at IS NULL AND c.fingerprint IS NOT NULL",
        &[],
        |row| Ok((row.need::<i32>(1)?, row.need::<pg_sys::Oid>(2)?, row.need::<pg_sys::Oid>(3)?, row.need::<String>(4)?)),
    )?;
    for (id, view, inner, stored) in scopes {
        let now = match fingerprint::same(&stored, view, inner)? {
            Some(true) => fingerprint::of(view, inner)?,
            // equal to none, wherever the views go
            Some(false) => fingerprint::CHANGED.to_string(),
            None => continue,
        };
        sql::run("UPDATE airlock_catalog.scope SET fingerprint = $2 WHERE id = $1", &[arg(id), arg(now)])?;
    }
    Ok(())
}

/// Says of 0.1.0's row filters whether their errors may quote a value; of one that is refused today, that they may.
pub fn judge_filters() -> Result<()> {
    let filters = sql::rows(
        "SELECT c.id, c.relation::pg_catalog.oid, c.row_filter FROM airlock_catalog.scope c JOIN pg_catalog.pg_class r ON r.oid = c.relation::pg_catalog.oid
          WHERE c.dropped_at IS NULL AND c.row_filter IS NOT NULL",
        &[],
        |row| Ok((row.need::<i32>(1)?, row.need::<pg_sys::Oid>(2)?, row.need::<String>(3)?)),
    )?;
    for (id, relation, text) in filters {
        if sql::settled(|| filter::analyse(relation, &text, id)).is_ok_and(|filter| !filter.quotes) {
            sql::run("UPDATE airlock_catalog.scope SET filter_quotes = false WHERE id = $1", &[arg(id)])?;
        }
    }
    Ok(())
}

/// Does all that [`install`] does, under a view name nobody uses, so that a scope which exists keeps its view and its
/// readers; gives the statements under the real name. The caller rolls it back.
pub fn rehearse(wanted: &Wanted, planned: &Planned) -> Result<Rendered> {
    if let Some(old) = &planned.existing {
        check_dependents(old)?;
        sql::run("UPDATE airlock_catalog.scope SET dropped_at = pg_catalog.now() WHERE id = $1", &[arg(old.id)])?;
    }
    let (id, rules) = insert(wanted, planned)?;
    let scratch = ViewPlan { view_name: format!("airlock preview {id}"), ..planned.view.clone() };
    execute(&rendered(&scratch, wanted, planned, (id, &rules))?)?;
    rendered(&planned.view, wanted, planned, (id, &rules))
}

fn rendered(view: &ViewPlan, wanted: &Wanted, planned: &Planned, ids: (i32, &[i32])) -> Result<Rendered> {
    let ids = Ids { scope_id: ids.0, rule_ids: ids.1 };
    let view = &opening(view, wanted.relation, planned, ids.scope_id)?;
    let mut all = render(view, &ids, &role_name(planned.subprocessor.role))?;
    let others = planned.others.iter().map(|other| grant_columns(&other.schema, &other.name, &other.columns));
    all.grants.splice(0..0, others);
    Ok(if wanted.fence.fence { all.fenced() } else { all })
}

/// The plan with the row filter and the conditions as the views of scope `id` hold them: with the calls that open encrypted
/// columns.
fn opening(view: &ViewPlan, relation: pg_sys::Oid, planned: &Planned, id: i32) -> Result<ViewPlan> {
    let mut view = view.clone();
    // 0.1.0 has one gate
    view.parallel &= !before_0_2();
    if !planned.filtering.opens.is_empty() {
        let conditions = view.columns.iter_mut().filter_map(|column| column.condition.as_mut()).map(|c| &mut c.text);
        for text in conditions.chain(&mut view.row_filter) {
            *text = filter::analyse(relation, text, id)?.bound;
        }
    }
    Ok(view)
}

fn execute(rendered: &Rendered) -> Result<()> {
    let statements = [&rendered.inner_sql, &rendered.outer_sql].into_iter().chain(&rendered.grants);
    for statement in statements {
        sql::run(statement, &[])?;
    }
    Ok(())
}

/// Inserts the scope and its rules; gives their numbers.
fn insert(wanted: &Wanted, planned: &Planned) -> Result<(i32, Vec<i32>)> {
    let newer = |column: &PlanColumn| !column.subject.is_empty() || column.condition.is_some();
    if before_0_2() && planned.view.columns.iter().any(newer) {
        let message = "the objects of the extension know no conditional masks and none per subject yet";
        return Err(Error::new(Kind::Unsupported, message).hint("ALTER EXTENSION pg_airlock UPDATE"));
    }
    let id = sql::first(
        "INSERT INTO airlock_catalog.scope (subprocessor, relation, definition, row_filter, subject, purposes)
         VALUES ($1, $2::pg_catalog.regclass, $3, $4, $5, $6) RETURNING id",
        &[
            arg(planned.subprocessor.id),
            arg(wanted.relation),
            arg(JsonB(wanted.rules.clone())),
            arg(planned.view.row_filter.clone()),
            arg(wanted.subject.clone()),
            arg(wanted.purposes.clone()),
        ],
        |row| row.need::<i32>(1),
    )?;
    let id = id.ok_or_else(|| Error::new(Kind::Corrupt, "a scope was not stored"))?;
    if !wanted.subject.is_empty() && !before_0_2() {
        // apart, for 0.1.0's table has no such column
        sql::run(
            "UPDATE airlock_catalog.scope SET subject_domains = $2 WHERE id = $1",
            &[arg(id), arg(planned.view.subject_domains.clone())],
        )?;
        epochs::ensure()?;
    }
    if !planned.filter_relations.is_empty() {
        if before_0_2() {
            return Err(Error::new(Kind::State, "a row filter of this version's catalog cannot hold a subquery")
                .hint("ALTER EXTENSION pg_airlock UPDATE first"));
        }
        sql::run(
            "UPDATE airlock_catalog.scope SET filter_relations = $2::pg_catalog.oid[]::pg_catalog.regclass[] WHERE id = $1",
            &[arg(id), arg(planned.filter_relations.clone())],
        )?;
    }
    if !before_0_2() {
        sql::run(
            "UPDATE airlock_catalog.scope SET filter_opens = $2, filter_quotes = $3 WHERE id = $1",
            &[arg(id), arg(planned.filtering.opens.clone()), arg(planned.filtering.quotes)],
        )?;
    }
    if wanted.fence.fence {
        sql::run(
            "UPDATE airlock_catalog.scope SET fence = $2, allow_explain = $3 WHERE id = $1",
            &[arg(id), arg(wanted.fence.fence), arg(wanted.fence.allow_explain)],
        )?;
    }
    let columns = planned.view.columns.iter().enumerate();
    let rules: Vec<i32> =
        columns.map(|(i, column)| insert_rule(id, i as i32 + 1, column, planned)).collect::<Result<_>>()?;
    for (rule, column) in rules.iter().zip(&planned.view.columns) {
        if let Some(taken) = planned.taken.get(&column.name) {
            // apart, for 0.1.0's table has no such columns, and no classes either
            sql::run(
                "UPDATE airlock_catalog.rule SET class = $2, class_default = $3 WHERE id = $1",
                &[arg(*rule), arg(taken.class.as_str()), arg(JsonB(taken.mask.clone()))],
            )?;
        }
    }
    Ok((id, rules))
}

/// A new row for every rule. One that says the same as the rule it replaces keeps its `since`, the date since when the
/// column is exposed so, and the mask key version, so pseudonyms stay.
fn insert_rule(scope: i32, ordinal: i32, column: &PlanColumn, planned: &Planned) -> Result<i32> {
    let condition = column.condition.as_ref().map(Condition::sql);
    let is_same = |rule: &&LiveRule| {
        (&rule.column, &rule.condition) == (&column.name, &condition)
            && (&rule.mask, &rule.domain) == (&column.mask_json, &column.domain)
    };
    let same = planned.existing.as_ref().and_then(|old| old.rules.iter().find(is_same));
    let version = match (&column.domain, same.and_then(|rule| rule.mask_key_version)) {
        (None, _) => None,
        (Some(_), None) => Some(mask_life::current(planned.subprocessor.id)?),
        (Some(_), pinned) => pinned,
    };
    let id = sql::first(
        "INSERT INTO airlock_catalog.rule
           (scope, ordinal, column_name, mask, plain_type, encrypted, domain, mask_key_version, result_type, since)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, COALESCE($10, pg_catalog.now())) RETURNING id",
        &[
            arg(scope),
            arg(ordinal),
            arg(column.name.as_str()),
            arg(column.mask_json.clone().map(JsonB)),
            arg(plain_type(&planned.shape, &column.name)),
            arg(column.encrypted),
            arg(column.domain.clone()),
            arg(version),
            arg(column.result_type.as_str()),
            arg(same.map(|rule| rule.since)),
        ],
        |row| row.need::<i32>(1),
    )?;
    let id = id.ok_or_else(|| Error::new(Kind::Corrupt, "a rule was not stored"))?;
    if condition.is_some() {
        // apart, for 0.1.0's table has no such column
        sql::run("UPDATE airlock_catalog.rule SET condition = $2 WHERE id = $1", &[arg(id), arg(condition)])?;
    }
    Ok(id)
}

/// Ends a scope: its rows get their end and stay as history, its views go.
pub fn remove(old: &Live, subprocessor: &str) -> Result<()> {
    check_dependents(old)?;
    let statements = drops(old)?;
    // a cursor in an idle transaction keeps its lock on the view, and everybody else would queue behind us
    let dropped = sql::impatient(|| statements.iter().try_for_each(|statement| sql::run(statement, &[]).map(|_| ())))?;
    if !dropped {
        return Err(Error::new(Kind::State, "sessions of the sub-processor are still reading this view")
            .detail("nothing was changed")
            .hint(format!(
                "try again later, or SELECT airlock.suspend({0}, 'why') first, which ends them, and airlock.resume({0}, 'why') afterwards",
                literal(subprocessor)
            )));
    }
    sql::run(
        "UPDATE airlock_catalog.rule SET until = pg_catalog.now() WHERE scope = $1 AND until IS NULL",
        &[arg(old.id)],
    )?;
    sql::run(
        // the views' numbers may be given to something else one day
        "UPDATE airlock_catalog.scope SET dropped_at = pg_catalog.now(), dropped_by = SESSION_USER, view = NULL, inner_view = NULL WHERE id = $1",
        &[arg(old.id)],
    )?;
    Ok(())
}

/// Views of others on ours would have to go with it; they are named instead.
fn check_dependents(old: &Live) -> Result<()> {
    let Some(view) = old.view else { return Ok(()) };
    let found = catalog::dependents(view)?;
    if found.is_empty() {
        return Ok(());
    }
    let name = catalog::relation(view)?.map(|r| r.name).unwrap_or_default();
    Err(Error::new(Kind::State, format!("other objects depend on the scope's view {}", shown(&name)))
        .detail(found.join(", "))
        .hint("DROP them first, and make them again afterwards"))
}

/// The statements that drop a scope's views, by what they are called now; none for a view that is gone already.
pub fn drops(old: &Live) -> Result<Vec<String>> {
    let mut statements = Vec::new();
    for oid in [old.view, old.inner_view].into_iter().flatten() {
        if let Some(view) = catalog::relation(oid)?.filter(|r| r.kind == "v") {
            statements.push(format!("DROP VIEW {}", qualified(&view.schema, &view.name)));
        }
    }
    Ok(statements)
}

/// Takes SELECT back from the view owner on every column that no scope of any sub-processor needs, of the relation and of
/// those that the old scope's row filter looked into.
pub fn revoke_unneeded(relation: pg_sys::Oid, old: &Live) -> Result<()> {
    let others = old.filter_relations.iter().copied().filter(|other| *other != relation);
    std::iter::once(relation).chain(others).try_for_each(take_back)
}

fn take_back(relation: pg_sys::Oid) -> Result<()> {
    let Some(facts) = catalog::relation(relation)? else { return Ok(()) };
    let named = if before_0_2() { "false" } else { "$1::pg_catalog.regclass = ANY (s.filter_relations)" };
    let scopes = sql::rows(
        &format!(
            "SELECT s.inner_view::pg_catalog.oid, s.subject, s.relation = $1::pg_catalog.regclass FROM airlock_catalog.scope s
              WHERE (s.relation = $1::pg_catalog.regclass OR {named}) AND s.dropped_at IS NULL"
        ),
        &[arg(relation)],
        |row| Ok((row.get::<pg_sys::Oid>(1)?, row.need::<Vec<String>>(2)?, row.need::<bool>(3)?)),
    )?;
    let granted = catalog::columns_granted(relation, VIEW_OWNER)?;
    let mut needed = Vec::new();
    for (inner, subject, own) in scopes {
        let read = inner.map_or(Ok(Vec::new()), |view| catalog::columns_read(view, relation))?;
        if own && read.is_empty() && subject.is_empty() {
            // a scope of constants needs a right on some column to count rows, and any of them may be it
            return Ok(());
        }
        needed.extend(read.into_iter().chain(subject.into_iter().filter(|_| own)));
    }
    let unneeded: Vec<String> = granted.into_iter().filter(|column| !needed.contains(column)).collect();
    if unneeded.is_empty() {
        return Ok(());
    }
    sql::run(&revoke_columns(&facts.schema, &facts.name, &unneeded), &[])?;
    Ok(())
}
