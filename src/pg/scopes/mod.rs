//! Scopes: SQL to preview, create, replace and drop them.
//!
//! `plan` reads the catalogs and decides (through `pure::scope`), `store` writes rows and runs the rendered statements,
//! all in the caller's transaction. Locks are taken in one order, the sub-processor's row and then the relations (`others`),
//! so two administrators take turns instead of revoking each other's columns.

mod others;
mod plan;
mod propose;
mod store;

use crate::pg::admin::history::{kept, Of};
use crate::pg::admin::{act, caller};
use crate::pg::linkage::sample;
use crate::pg::readlog::materialiser::before_0_2;
use crate::pg::shared;
use crate::pg::sys::catalog::{self, name_argument};
use crate::pg::sys::json::need_json;
use crate::pg::sys::sql;
use crate::pg::sys::{d, return_set, Args, Sql};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::{literal, shown};
use crate::pure::scope::fence::Fence;
use crate::pure::scope::reads;
use crate::pure::scope::resolve::{newly_exposed, Exposed};
use crate::sql_function;
use pgrx::pg_sys;
use plan::{Planned, Wanted};

sql_function!(
    /// `airlock.renew_fingerprints()`, declared by the upgrade script from 0.1.0 for its own time: scopes whose views are as
    /// they were made get a fingerprint that holds on every major.
    airlock_renew_fingerprints,
    |_args| { store::renew_fingerprints() }
);
sql_function!(
    /// `airlock.judge_filters()`, declared by the upgrade script from 0.1.0 for its own time: row filters whose errors quote no
    /// value are marked so.
    airlock_judge_filters,
    |_args| { store::judge_filters() }
);

sql_function!(
    /// `airlock.create_scope(subprocessor, relation, rules, row_filter, subject, purposes, view_name, fence, allow_explain)
    /// → regclass`: makes the two views of a scope and gives the outer one.
    ///
    /// Errors: `AL010` with the JSON path of whatever is refused; `42501` unless the caller may give SELECT on the
    /// relation away; `42710` when the scope or the view exists; `42704` unknown sub-processor or relation; `25001` in a
    /// transaction that keeps its first snapshot.
    airlock_create_scope,
    |args| {
        let wanted = wanted(args)?;
        let of = Of::Scope(&wanted.subprocessor, wanted.relation);
        act(|| kept(of, "create", None, || create(&wanted))).map(Sql)
    }
);

sql_function!(
    /// `airlock.replace_scope(…same arguments…) → regclass`: the same relation under new rules; the old rules stay in
    /// the catalog with their end. Without `view_name` the view keeps its name.
    ///
    /// Errors: as `create_scope`; `42704` when there is nothing to replace; `55000` when something depends on the view or
    /// a session keeps reading it.
    airlock_replace_scope,
    |args| {
        let wanted = wanted(args)?;
        let of = Of::Scope(&wanted.subprocessor, wanted.relation);
        act(|| kept(of, "replace", None, || replace(&wanted))).map(Sql)
    }
);

sql_function!(
    /// `airlock.preview_scope(…same arguments…) → setof (step, what)`: what create or replace would do, newly expose and
    /// warn about, and the first rows as the sub-processor would see them; of encrypted columns only to who may decrypt. Everything is tried in a subtransaction and rolled back; nothing that exists is touched or locked
    /// against reads.
    airlock_preview_scope,
    |args| {
        let wanted = wanted(args)?;
        let lines = act(|| sql::undone(|| preview(&wanted)))?;
        return_set(args, lines.into_iter().map(|(step, what)| vec![d(step), d(what)]).collect())
    }
);

sql_function!(
    /// `airlock.drop_scope(subprocessor text, relation regclass)`: drops both views and takes back the column rights that
    /// no other scope needs. Errors: `42704` no such scope; `55000` when something depends on the view
    /// or a session keeps reading it.
    airlock_drop_scope,
    |args| {
        let (name, relation): (String, pg_sys::Oid) = (args.need(0, "subprocessor")?, args.need(1, "relation")?);
        act(|| kept(Of::Scope(&name, relation), "drop", None, || drop_scope(&name, relation)))
    }
);

fn wanted(args: Args) -> Result<Wanted> {
    let texts = |i: usize, name: &str| -> Result<Vec<String>> {
        let null = || Error::scope(name, format!("argument \"{name}\" must not hold a null"));
        let given = args.get::<Vec<Option<String>>>(i).unwrap_or_default();
        given.into_iter().map(|text| text.ok_or_else(null)).collect()
    };
    // the functions of 0.1.0 have seven arguments
    let flag = |i: usize| args.count() > i && args.get(i).unwrap_or(false);
    Ok(Wanted {
        subprocessor: args.need(0, "subprocessor")?,
        relation: args.need(1, "relation")?,
        rules: need_json(args, 2, "rules")?,
        row_filter: args.get(3),
        subject: texts(4, "subject")?,
        purposes: texts(5, "purposes")?,
        view_name: name_argument(args, 6),
        fence: Fence::new(flag(7), flag(8))?,
        caller: caller(),
    })
}

fn create(wanted: &Wanted) -> Result<pg_sys::Oid> {
    let planned = plan::plan(wanted)?;
    if planned.existing.is_some() {
        return Err(Error::new(
            Kind::Duplicate,
            format!(
                "sub-processor {} has a scope of {} already",
                shown(&wanted.subprocessor),
                shown(&planned.shape.name)
            ),
        )
        .detail("two exposures of one relation could add up to more than each of them")
        .hint(format!(
            "SELECT airlock.replace_scope({}, …) with all columns, old and new",
            literal(&wanted.subprocessor)
        )));
    }
    let view = store::install(wanted, &planned)?;
    shared::changed();
    Ok(view)
}

fn replace(wanted: &Wanted) -> Result<pg_sys::Oid> {
    let planned = plan::plan(wanted)?;
    let Some(old) = &planned.existing else {
        return Err(store::no_scope(&wanted.subprocessor, &planned.shape.name)
            .hint(format!("SELECT airlock.create_scope({}, …)", literal(&wanted.subprocessor))));
    };
    store::remove(old, &wanted.subprocessor)?;
    let view = store::install(wanted, &planned)?;
    store::revoke_unneeded(wanted.relation, old)?;
    shared::changed();
    Ok(view)
}

fn drop_scope(name: &str, relation: pg_sys::Oid) -> Result<()> {
    let subprocessor = plan::subprocessor(name)?;
    let old = store::live(subprocessor.id, relation)?;
    others::lock(relation, old.as_ref(), &[]);
    let old = old.ok_or_else(|| {
        let table =
            catalog::relation(relation).ok().flatten().map_or_else(|| relation.to_u32().to_string(), |r| r.name);
        store::no_scope(name, &table).hint("see TABLE airlock.scopes")
    })?;
    store::remove(&old, name)?;
    store::revoke_unneeded(relation, &old)?;
    shared::changed();
    Ok(())
}

/// Rows that a preview shows.
const SAMPLE: u64 = 3;

/// The steps, in the order in which a reader wants them: what becomes visible, what rows look like, what to think about, what
/// is run.
fn preview(wanted: &Wanted) -> Result<Vec<(&'static str, String)>> {
    let planned = plan::plan(wanted)?;
    let rendered = store::rehearse(wanted, &planned)?;
    let mut lines = Vec::new();
    let rules = planned.existing.iter().flat_map(|old| &old.rules);
    let before: Vec<Exposed> =
        rules.map(|rule| (rule.column.clone(), rule.condition.clone(), rule.mask.clone())).collect();
    lines.extend(newly_exposed(&before, &planned.view).into_iter().map(|line| ("newly exposed", line)));
    let kept = |column: &str| planned.view.columns.iter().any(|c| c.name == column);
    lines.extend(
        before.iter().filter(|(column, _, _)| !kept(column)).map(|(column, _, _)| ("no longer exposed", shown(column))),
    );
    lines.extend(columns(&planned));
    let null_as: Vec<Option<String>> = planned.view.columns.iter().map(|column| column.null_as.clone()).collect();
    // of 0.1.0's objects a rule cannot be read as it would be
    let rows = match before_0_2() {
        true => Vec::new(),
        false => sample::rows(&wanted.subprocessor, wanted.relation, &null_as, SAMPLE)?,
    };
    lines.extend(rows.into_iter().map(|row| ("sample", row)));
    lines.extend(planned.view.notes.iter().map(|note| ("note", note.clone())));
    lines.extend(reads::notes(&planned.others).into_iter().map(|note| ("note", note)));
    let was = planned.existing.as_ref().map_or(Fence::default(), |old| old.fence);
    lines.extend(wanted.fence.lines(was, !wanted.subject.is_empty()));
    lines.extend(plan::frequencies(wanted.relation, &planned)?.into_iter().map(|line| ("warning", line)));
    if let Some(old) = &planned.existing {
        lines.extend(store::drops(old)?.into_iter().map(|sql| ("sql", sql)));
    }
    lines.push(("sql", rendered.inner_sql));
    lines.push(("sql", rendered.outer_sql));
    lines.extend(rendered.grants.into_iter().map(|sql| ("sql", sql)));
    Ok(lines)
}

/// Each column of the view with its type, next to the type of the base column and its class.
fn columns(planned: &Planned) -> Vec<(&'static str, String)> {
    let base = |name: &str| planned.shape.column(name).map(|c| (c.sql_type.clone(), c.encrypted.is_some()));
    let line = |c: &crate::pure::scope::resolve::PlanColumn| {
        let (sql_type, encrypted) = base(&c.name).unwrap_or_default();
        let from = if encrypted { format!("encrypted {sql_type}") } else { sql_type };
        let when = c.condition.as_ref().map_or(String::new(), |condition| format!(" where {}", condition.sql()));
        let class = planned.classified.class(&c.name).map_or(String::new(), |class| format!(", class {class}"));
        ("column", format!("{}: {} (of {from}){class}{when}", shown(&c.name), c.result_type))
    };
    planned.view.columns.iter().map(line).collect()
}

#[cfg(any(test, feature = "pg_test"))]
mod tests;
