//! A scope to begin with, made of the classes of a relation's columns.

use super::plan;
use crate::pg::admin::act;
use crate::pg::classes;
use crate::pg::error::notice;
use crate::pg::sys::{catalog, Sql};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::scope::defaults::propose;
use crate::sql_function;
use pgrx::{pg_sys, JsonB};

sql_function!(
    /// `airlock.propose_scope(subprocessor text, relation regclass) → jsonb`: rules for `create_scope` to begin with: `"default"`
    /// for each column whose class has a default mask for that sub-processor; no other column. A NOTICE names columns whose
    /// type the mask of their class does not take.
    ///
    /// Errors: `42704` unknown sub-processor or relation; `AL010` a relation that cannot be shared.
    airlock_propose_scope,
    |args| {
        let (name, relation): (String, pg_sys::Oid) = (args.need(0, "subprocessor")?, args.need(1, "relation")?);
        act(|| proposal(&name, relation)).map(|rules| Sql(JsonB(rules)))
    }
);

fn proposal(name: &str, relation: pg_sys::Oid) -> Result<serde_json::Value> {
    let subprocessor = plan::subprocessor(name)?;
    let relation = catalog::relation(relation)?.ok_or_else(|| plan::no_relation(relation))?;
    plan::check_kind("relation", &relation)?;
    let (rules, left_out) = propose(&classes::of(relation.oid, subprocessor.id)?, &catalog::shape(&relation)?);
    if !left_out.is_empty() {
        let message = "columns whose type the default mask of their class does not take are left out";
        notice(Error::new(Kind::Mismatch, message).detail(left_out.join("\n")).hint("write a mask for them, or none"));
    }
    Ok(rules)
}
