//! `gate(scope)`, `disclose(rule, value)` and `disclose_filter(value, scope)`: the functions that stand in scoped views. *No
//! record, no key, no row.*
//!
//! All run with the reader's rights, so EXECUTE protects nothing; what protects is asked here, at every call: the
//! innermost running statement is armed (its record is on disk) for the scope that the call belongs to.
#![allow(unsafe_code)] // ◆ the state of the server and of the call site

pub mod lookup;

use crate::pg::encrypted::{self, value::Plain};
use crate::pg::keys::memory::Locked;
use crate::pg::keys::ring;
use crate::pg::readlog::armed::{self, Frame};
use crate::pg::registry::{self, Rule};
use crate::pg::sys::{parallel, Args, Raw, Sql};
use crate::pg::{keys, shared};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::keyring::RuleKey;
use crate::pure::mask::value::year_of_micros;
use crate::pure::mask::{Context, Mask};
use crate::pure::plaintext::Value;
use crate::sql_function;
use pgrx::pg_sys;
use std::rc::{Rc, Weak};

sql_function!(
    /// `airlock.gate(scope integer) → boolean`: true when this statement's read of the scope is on record, an error
    /// otherwise; never false.
    ///
    /// Errors: `AL005` without preloaded library or record, `AL007` outside a sub-processor's session. While the planner
    /// of a sub-processor's statement is innermost it answers true: an estimate is wanted, and no row can follow.
    airlock_gate,
    // its label keeps it out of workers, which would note nobody
    |args| gate(args, |_| Ok(false))
);

sql_function!(
    /// `airlock.gate_parallel(scope integer) → boolean`: the same for a scope without data subject. Parallel workers ask it
    /// too, of what their leader is armed for.
    ///
    /// Errors: as `gate`; `AL005` in a worker for a scope with a subject, whose rows it could not note.
    airlock_gate_parallel,
    |args| gate(args, |scope| Ok(registry::current()?.scopes.get(&scope).is_some_and(|s| s.subject.is_none())))
);

/// `in_worker`: whether a parallel worker may read the scope.
fn gate(args: Args, in_worker: impl FnOnce(i32) -> Result<bool>) -> Result<Sql<bool>> {
    if !shared::preloaded() {
        return Err(keys::root::not_preloaded());
    }
    let scope: i32 = args.need(0, "scope")?;
    if armed::innermost() == Some(Frame::Planner) {
        return Ok(Sql(true));
    }
    if armed::covers(scope) && (!parallel::is_worker() || in_worker(scope)?) {
        return Ok(Sql(true));
    }
    Err(armed::refusal("a scoped view"))
}

/// What a call site of `disclose` keeps between rows.
struct Site {
    generation: (u64, u64),
    rule: Rc<Rule>,
    /// Weakly: the ring has it, and lets go of it when the keys are locked, while a cursor keeps this.
    key: Option<Weak<Locked<RuleKey>>>,
    typmod: i32,
    argument: pg_sys::Oid,
    result: pg_sys::Oid,
    year: i32,
    /// How many of the last arguments say whom the row is about.
    subjects: usize,
}

impl Site {
    /// The rule's key, where it has one; `None` when the ring has let go of it.
    fn held(&self) -> Option<Option<Rc<Locked<RuleKey>>>> {
        match &self.key {
            None => Some(None),
            Some(key) => key.upgrade().map(Some),
        }
    }
}

sql_function!(
    /// `airlock.disclose(rule integer, value "any" [, result anyelement [, VARIADIC bound "any"]]) → text or the type of
    /// result`: decrypts and masks in one step, so that the plaintext of a masked encrypted column never exists as a
    /// datum. `bound` are the row's columns that the value is bound to, and then, under a mask per subject, those of the
    /// scope's subject.
    ///
    /// Errors: `AL001` locked, `AL002`, `AL003`, `AL005` not armed, `AL007` when the rule is not of a scope that this
    /// statement reads, or while ANALYZE, REINDEX or a refresh runs.
    airlock_disclose,
    disclose
);

fn disclose(args: Args) -> Result<Option<Raw>> {
    let number: i32 = args.need(0, "rule")?;
    let site = args.site::<Option<Site>>(|| None);
    let generation = shared::generation();
    let same = site.as_ref().filter(|s| s.generation == generation && s.rule.id == number);
    // held through the row: what opens its value may replace the ring
    let key = match same.and_then(Site::held) {
        Some(key) => key,
        None => {
            let (fresh, key) = open_site(args, number, generation)?;
            *site = Some(fresh);
            key
        }
    };
    let Some(site) = site.as_ref() else { return Err(armed::refusal("disclose")) };
    if !armed::covers(site.rule.scope.id) {
        return Err(armed::refusal("disclose"));
    }
    let Some(datum) = args.datum(1) else { return Ok(None) };
    let subjects = args.count() - site.subjects;
    let (opened, plain);
    let value: &Value = if site.rule.encrypted {
        // wiped, for it was nowhere in the clear
        let bytes = args.in_place(1).unwrap_or_default();
        opened = Plain(encrypted::open_value(bytes, site.typmod, None, args, 3..subjects)?);
        &opened.0
    } else {
        plain = encrypted::datum_to_value(datum, site.argument)?.ok_or_else(|| {
            Error::new(Kind::Corrupt, format!("the type of column \"{}\" has no masks", site.rule.column))
        })?;
        &plain
    };
    let shown = |value: &Value| Ok(Some(Raw(encrypted::value_to_datum(value, site.result)?)));
    let Some(mask) = &site.rule.mask else { return shown(value) };
    let subject = subject_of(args, subjects)?;
    let (key, domain) = (key.as_deref().map(|key| &**key), site.rule.domain.as_str());
    match mask.apply(value, &Context { year: site.year, key, domain, subject: subject.as_deref() })? {
        None => Ok(None),
        Some(masked) => shown(&masked),
    }
}

/// The row's data subject, which the last arguments are; `None` where one of its columns is NULL.
fn subject_of(args: Args, first: usize) -> Result<Option<Vec<Value>>> {
    let value = |i: usize| args.datum(i).map(|datum| encrypted::datum_to_value(datum, args.type_of(i))).transpose();
    (first..args.count()).map(|i| value(i).map(Option::flatten)).collect()
}

/// What a call site of `disclose_filter` keeps between rows.
struct FilterSite {
    generation: (u64, u64),
    scope: i32,
    typmod: i32,
    result: pg_sys::Oid,
}

sql_function!(
    /// `airlock.disclose_filter(value "any", scope integer, result anyelement [, VARIADIC bound "any"]) → the type of result`:
    /// decrypts a value for the row filter of a scope or a condition of its masks, and for columns that these name only.
    /// The value comes first because deparsing can then show the column in the place of the call.
    ///
    /// Errors: as `disclose`; `AL007` when the scope's filter and conditions do not name the column.
    airlock_disclose_filter,
    |args| {
        let scope: i32 = args.need(1, "scope")?;
        let site = args.site::<Option<FilterSite>>(|| None);
        let generation = shared::generation();
        if site.as_ref().is_none_or(|s| (s.generation, s.scope) != (generation, scope)) {
            *site = Some(open_filter_site(args, scope, generation)?);
        }
        let Some(site) = site.as_ref().filter(|_| armed::covers(scope)) else {
            return Err(armed::refusal("disclose_filter"));
        };
        let Some(bytes) = args.in_place(0) else { return Ok(None) };
        let value = Plain(encrypted::open_value(bytes, site.typmod, None, args, 3..args.count())?);
        Ok(Some(Raw(encrypted::value_to_datum(&value.0, site.result)?)))
    }
);

fn open_filter_site(args: Args, number: i32, generation: (u64, u64)) -> Result<FilterSite> {
    check_place()?;
    let registry = registry::current()?;
    let (typmod, result) = (args.typmod_of(0), args.type_of(2));
    if !armed::covers(number) {
        return Err(armed::refusal("disclose_filter"));
    }
    let opens = registry.scopes.get(&number).is_some_and(|scope| scope.opens.contains(&typmod));
    if !opens || !encrypted::is_encrypted(args.type_of(0)) {
        return Err(Error::new(Kind::OutsideScope, format!("scope {number} filters by no such column"))
            .hint("query the view of the scope"));
    }
    Ok(FilterSite { generation, scope: number, typmod, result })
}

/// Neither without the library, nor where a table's owner has code run.
fn check_place() -> Result<()> {
    if !shared::preloaded() {
        return Err(keys::root::not_preloaded());
    }
    // SAFETY: reads a flag of this backend.
    if unsafe { pg_sys::InSecurityRestrictedOperation() } {
        return Err(Error::new(
            Kind::OutsideScope,
            "disclose is refused inside ANALYZE, REINDEX, REFRESH and index expressions",
        ));
    }
    Ok(())
}

/// What the call site keeps, and the key of its rule, which only the ring keeps.
fn open_site(args: Args, number: i32, generation: (u64, u64)) -> Result<(Site, Option<Rc<Locked<RuleKey>>>)> {
    check_place()?;
    let registry = registry::current()?;
    let unknown =
        || Error::new(Kind::OutsideScope, format!("rule {number} is not in force")).hint("query the view of the scope");
    let rule = registry.rules.get(&number).cloned().ok_or_else(unknown)?;
    if !armed::covers(rule.scope.id) {
        return Err(armed::refusal("disclose"));
    }
    if rule.encrypted && !encrypted::is_encrypted(args.type_of(1)) {
        return Err(Error::new(Kind::OutsideScope, format!("rule {number} is of an encrypted column")));
    }
    let key = match &rule.mask {
        Some(mask) if mask.keyed() => Some(rule_key(&rule, mask)?),
        _ => None,
    };
    // SAFETY: reads the start of the statement.
    let started = unsafe { pg_sys::GetCurrentStatementStartTimestamp() };
    let year = year_of_micros(started).and_then(|y| i32::try_from(y).ok()).unwrap_or(2000);
    let result = if args.count() > 2 { args.type_of(2) } else { pg_sys::TEXTOID };
    let subjects = match &rule.mask {
        Some(mask) if mask.per_subject() => {
            let columns = rule.scope.subject.as_ref().map_or(0, |subject| subject.columns.len());
            // never one noise for all
            let without = || Error::new(Kind::Corrupt, format!("rule {number} is called without the data subject"));
            Some(columns).filter(|columns| *columns > 0 && args.count() >= 3 + columns).ok_or_else(without)?
        }
        _ => 0,
    };
    let (typmod, argument) = (args.typmod_of(1), args.type_of(1));
    let weak = key.as_ref().map(Rc::downgrade);
    Ok((Site { generation, rule, key: weak, typmod, argument, result, year, subjects }, key))
}

fn rule_key(rule: &Rule, mask: &Mask) -> Result<Rc<Locked<RuleKey>>> {
    ring::rule_key(&rule.scope.subprocessor.uuid, rule.mask_key_version, mask.name(), &rule.domain)
}
