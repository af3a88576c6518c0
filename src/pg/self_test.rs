//! `airlock.self_test()`: whether containment holds for a sub-processor on this server, tried by attacks in a session of its
//! own role.
//!
//! Who somebody is, is decided by the login. So neither SET ROLE nor a pretence in the administrator's session would try what
//! a sub-processor meets, and a connection back to the server would need its password. A background worker that connects as
//! the role is such a session: the same label, role settings, hooks and checks, and nothing that tells them otherwise. It has
//! no client, so nothing that it reads can leave; it hands back verdicts, which hold no value of a row. What it reads is
//! recorded as the sub-processor's, before it is read, and marked ([`MARK`]).

mod launch;
mod worker;

use crate::pg::admin::{act, caller, unknown_subprocessor};
use crate::pg::keys::ring;
use crate::pg::readlog::audit;
use crate::pg::readlog::record_of::relation_name;
use crate::pg::registry::{self, Registry, Rule, Subprocessor};
use crate::pg::shared;
use crate::pg::sys::sql::{self, arg};
use crate::pg::sys::{self, d, roles};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::mask::Mask;
use crate::pure::name::{qualified, shown};
use crate::pure::self_test::{answered, count, MARK};
use crate::pure::subprocessor::State;
use crate::sql_function;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::{pg_sys, JsonB};

pub use worker::running;

/// One row of the answer.
#[derive(Clone, Debug)]
struct Row {
    class: String,
    probe: String,
    ok: Option<bool>,
    message: String,
}

impl Row {
    fn new(class: char, probe: impl Into<String>, ok: Option<bool>, message: impl Into<String>) -> Row {
        Row { class: class.to_string(), probe: probe.into(), ok, message: message.into() }
    }
}

sql_function!(
    /// `airlock.self_test(subprocessor text, OUT class text, OUT probe text, OUT ok boolean, OUT message text)`: attacks, tried in a
    /// session of the sub-processor's role and rolled back, and what `doctor()` finds about it. `ok` is NULL for what could not
    /// be tried, such as reads while it is suspended or the keys are locked. The result is kept (`airlock.self_tests`, and the
    /// audit log, which a rollback does not take back); what is read is recorded as the sub-processor's, and marked. Takes
    /// what is committed, not what the calling transaction changed.
    ///
    /// Errors: `42704` no such sub-processor; `55000` it is terminated, has no login, the transaction has changed something, no
    /// background worker is free, or the test did not end; `AL007` in a sub-processor's session.
    airlock_self_test,
    |args| {
        let name: String = args.need(0, "subprocessor")?;
        let rows = act(|| test(&name))?.into_iter();
        let rows = rows.map(|row| vec![d(row.class), d(row.probe), d(row.ok), d(row.message)]);
        sys::return_set(args, rows.collect())
    }
);

fn test(name: &str) -> Result<Vec<Row>> {
    let state = |message: String| Error::new(Kind::State, message);
    if shared::has_changed() {
        return Err(state("self_test() tries what is committed, and this transaction has changed something".into())
            .hint("COMMIT, then call it again"));
    }
    let registry = registry::current()?;
    let subprocessor = registry.subprocessors.get(name).ok_or_else(|| unknown_subprocessor(name))?;
    if subprocessor.contract.state == State::Terminated {
        return Err(state(format!("sub-processor {} is terminated", shown(name)))
            .hint("there is nothing left to try: its role is contained no more, and reads nothing"));
    }
    let login = login_of(subprocessor.role)?.ok_or_else(|| {
        state(format!("the role of sub-processor {} and its members cannot log in", shown(name)))
            .hint("ALTER ROLE … LOGIN, or GRANT the role to a login")
    })?;
    let began = sql::first("SELECT pg_catalog.clock_timestamp()", &[], |row| row.need::<TimestampWithTimeZone>(1))?;
    let (pid, mut rows) = launch::run(name, login, subprocessor_rules(&registry, name).count())?;
    rows.extend(pseudonyms(&registry, subprocessor)?);
    rows.extend(records(&registry, name, login, pid, began, &rows)?);
    rows.extend(findings(&registry, subprocessor)?);
    keep(name, &mut rows)?;
    Ok(rows)
}

fn subprocessor_rules<'a>(registry: &'a Registry, name: &'a str) -> impl Iterator<Item = &'a Rule> {
    registry.rules.values().map(|rule| &**rule).filter(move |rule| rule.scope.subprocessor.contract.name == name)
}

/// A login of the sub-processor's: its own role, or a member of it.
fn login_of(role: pg_sys::Oid) -> Result<Option<pg_sys::Oid>> {
    let sql =
        "SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolcanlogin ORDER BY r.oid OPERATOR(pg_catalog.<>) $1, r.oid";
    let logins = sql::rows(sql, &[arg(role)], |row| row.need::<pg_sys::Oid>(1))?;
    let its = |login: &pg_sys::Oid| *login == role || roles::is_member(*login, role) && !roles::is_superuser(*login);
    Ok(logins.into_iter().find(its))
}

/// Whether anybody else's pseudonyms of the same values are others: under the keys themselves, for no value is at hand.
fn pseudonyms(registry: &Registry, mine: &Subprocessor) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut rules: Vec<_> = subprocessor_rules(registry, &mine.contract.name).collect();
    rules.sort_by_key(|rule| rule.id);
    for rule in rules {
        let Some(mask) = rule.mask.as_ref().filter(|mask| mask.keyed()) else { continue };
        let probe =
            format!("link {} of {} with another's pseudonyms", shown(&rule.column), relation_name(rule.scope.view));
        let others = registry.subprocessors.values().filter(|s| s.id != mine.id);
        let mut compared = 0;
        let mut same = None;
        let own = match sample(mine, rule.mask_key_version, mask, &rule.domain) {
            Ok(own) => own,
            Err(error) => {
                rows.push(Row::new('C', probe, None, format!("not tested: {}", error.message)));
                continue;
            }
        };
        for other in others {
            let versions =
                registry.rules.values().filter(|r| r.scope.subprocessor.id == other.id && r.mask_key_version > 0);
            let version = versions.map(|r| r.mask_key_version).max().unwrap_or(1);
            // a key that is gone makes no pseudonyms
            let Ok(theirs) = sample(other, version, mask, &rule.domain) else { continue };
            compared += 1;
            if theirs == own {
                same = Some(other.contract.name.clone());
            }
        }
        rows.push(match same {
            Some(name) => {
                Row::new('C', probe, Some(false), format!("its key is that of sub-processor {}", shown(&name)))
            }
            None if compared == 0 => Row::new('C', probe, None, "not tested: there is no other sub-processor"),
            None => Row::new('C', probe, Some(true), format!("its key is none of {compared} others'")),
        });
    }
    Ok(rows)
}

/// What the key makes of a text that stands for any.
fn sample(of: &Subprocessor, version: u32, mask: &Mask, domain: &str) -> Result<[u8; 32]> {
    Ok(ring::mask_key(&of.uuid, version)?.rule_key(mask.name(), domain).prf(&[MARK.as_bytes()]))
}

/// Whether the log says what the worker read, of each view that it was answered from.
fn records(
    registry: &Registry,
    name: &str,
    login: pg_sys::Oid,
    pid: i32,
    began: Option<TimestampWithTimeZone>,
    tried: &[Row],
) -> Result<Vec<Row>> {
    let own = registry.scopes.values().filter(|s| s.subprocessor.contract.name == name);
    let mut views: Vec<_> = own.map(|s| (relation_name(s.view), sys::name_of_relation(s.view))).collect();
    views.sort();
    let is_answered = |(_, (schema, table)): &(String, (String, String))| {
        let read = answered(&qualified(schema, table));
        tried.iter().any(|row| row.ok == Some(true) && row.probe == read)
    };
    // where nothing was read the log may be closed, and need not be asked
    let recorded = match views.iter().any(is_answered) {
        false => Vec::new(),
        true => sql::rows(
        "SELECT pg_catalog.unnest(a.views) FROM airlock.access_log a WHERE a.backend_pid = $1 AND a.logged_at >= $2 AND a.subprocessor = $3
            AND a.login_role = $4 AND a.outcome = 'ok' AND a.self_test",
        &[arg(pid), arg(began), arg(name), arg(sys::role_name(login))],
        |row| row.need::<String>(1),
    )?,
    };
    let row = |view: &(String, (String, String))| {
        let probe = format!("read {} without a record", view.0);
        match (is_answered(view), recorded.contains(&view.0)) {
            (false, _) => Row::new('F', probe, None, "not tested: it was not answered"),
            (true, true) => Row::new('F', probe, Some(true), "the log names view and login, and how it ended"),
            (true, false) => Row::new('F', probe, Some(false), "it was answered, and the log does not say so"),
        }
    };
    Ok(views.iter().map(row).collect())
}

/// What `doctor()` finds about its roles and views, and about what is granted to everybody.
fn findings(registry: &Registry, subprocessor: &Subprocessor) -> Result<Vec<Row>> {
    let name = &subprocessor.contract.name;
    let mut objects = vec![name.clone(), "PUBLIC".to_string()];
    let all = sql::rows("SELECT r.oid FROM pg_catalog.pg_roles r", &[], |row| row.need::<pg_sys::Oid>(1))?;
    objects.extend(all.into_iter().filter(|r| roles::is_member(*r, subprocessor.role)).map(sys::role_name));
    objects.extend(
        registry.scopes.values().filter(|s| s.subprocessor.id == subprocessor.id).map(|s| relation_name(s.view)),
    );
    let found = sql::rows(
        "SELECT d.severity, d.\"check\", d.object, d.message FROM airlock.doctor() d
          WHERE d.severity IN ('error', 'warning') AND d.object = ANY ($1)",
        &[arg(objects)],
        |row| {
            let text = |i| row.get::<String>(i).map(Option::unwrap_or_default);
            let probe = format!("doctor(): {} of {}", text(2)?, text(3)?);
            Ok(Row::new('D', probe, Some(false), format!("{}: {}", text(1)?, text(4)?)))
        },
    )?;
    if found.is_empty() {
        return Ok(vec![Row::new('D', "doctor(): role and views", Some(true), "nothing is wrong with them")]);
    }
    Ok(found)
}

/// Keeps the result: in a table, for whoever reports; in the log as well, where a rollback does not take it back.
fn keep(name: &str, rows: &mut Vec<Row>) -> Result<()> {
    let [passed, failed, mut untested] = count(rows.iter().map(|row| &row.ok));
    let line = format!("self_test of {}: {passed} passed, {failed} failed, {untested} not tested", shown(name));
    if let Err(error) = audit::note(&line, &[]) {
        if !matches!(error.kind, Kind::Locked | Kind::LogUnavailable) {
            return Err(error);
        }
        // the log is closed, which is worth knowing, and no reason to hide the rest
        let message = format!("the result is not in the log: {}", error.message);
        rows.push(Row::new('F', "write the log", None, message));
        untested += 1;
    }
    let results: Vec<serde_json::Value> = rows
        .iter()
        .map(|row| serde_json::json!({"class": row.class, "probe": row.probe, "ok": row.ok, "message": row.message}))
        .collect();
    sql::run(
        "INSERT INTO airlock_catalog.self_test (acting_role, subprocessor, library, passed, failed, not_tested, results)
         VALUES ($1, $2, airlock.version(), $3, $4, $5, $6)",
        &[
            arg(roles::name(caller()).unwrap_or_default()),
            arg(name),
            arg(passed),
            arg(failed),
            arg(untested),
            arg(JsonB(serde_json::Value::Array(results))),
        ],
    )?;
    Ok(())
}
