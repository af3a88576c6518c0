//! Classes of columns: scopes that no longer agree with them, and labels that mean nothing.

use super::{query, Report};
use crate::pg::classes;
use crate::pure::class::{Class, Classes};
use crate::pure::error::Result;
use crate::pure::name::{literal, shown};
use crate::pure::scope::defaults::shows_clear;
use serde_json::Value;

pub(super) fn examine(report: &mut Report) -> Result<()> {
    if !classes::known() {
        return Ok(());
    }
    let set = in_force()?;
    drift(report, &set)?;
    unknown(report, &set)
}

/// A class in force, with the number of the sub-processor that it was set for, or an empty text.
type Set = Vec<(String, Class)>;

fn in_force() -> Result<Set> {
    let sql =
        "SELECT k.subprocessor::pg_catalog.text, k.class, k.mask::pg_catalog.text, k.forbid_clear::pg_catalog.text \
               FROM airlock_catalog.class k WHERE k.until IS NULL ORDER BY k.id";
    let class = |row: Vec<String>| match <[String; 4]>::try_from(row) {
        Ok([of, name, mask, forbids]) => {
            let (own, mask, forbid_clear) = (!of.is_empty(), serde_json::from_str(&mask).ok(), forbids == "true");
            Some((of, Class { name, own, mask, forbid_clear }))
        }
        Err(_) => None,
    };
    Ok(query(sql, 4, &[])?.into_iter().filter_map(class).collect())
}

/// Rules do not change with labels and classes, so each can say something else by now. A default that is written differently
/// counts as another one, whatever it gives.
fn drift(report: &mut Report, set: &Set) -> Result<()> {
    let sql = "SELECT s.id::pg_catalog.text, s.name, c.relation::pg_catalog.text, pg_catalog.format('%s: %s.%I', s.name, c.relation::pg_catalog.text, r.column_name), (c.definition -> r.column_name)::pg_catalog.text, \
                 r.class, r.class_default::pg_catalog.text, k.class, l.labels \
               FROM airlock_catalog.rule r JOIN airlock_catalog.scope c ON c.id = r.scope AND c.dropped_at IS NULL \
               JOIN airlock_catalog.subprocessor s ON s.id = c.subprocessor AND s.state <> 'terminated' \
               LEFT JOIN airlock_catalog.column_class k ON k.relation = c.relation AND k.column_name = r.column_name \
               LEFT JOIN (SELECT b.relation, b.column_name, pg_catalog.string_agg(DISTINCT b.label, ' ') AS labels \
                            FROM airlock_catalog.column_label b GROUP BY b.relation, b.column_name) l ON l.relation = c.relation AND l.column_name = r.column_name \
               WHERE r.until IS NULL AND (r.class_default IS NOT NULL OR l.labels IS NOT NULL) ORDER BY c.id, r.ordinal";
    for row in query(sql, 9, &[])? {
        let [id, name, relation, object, given, was, default, class, labels] = row.as_slice() else { continue };
        let met = set.iter().filter(|(of, _)| of.is_empty() || of == id).map(|(_, class)| class.clone());
        let classes = Classes(met.collect());
        let replace = format!(
            "SELECT airlock.replace_scope({}, {}, …) with the definition in airlock.scopes",
            literal(name),
            literal(relation)
        );
        let json = |text: &str| serde_json::from_str::<Value>(text).ok();
        let forbidding = labels.split(' ').find_map(|label| classes.forbids(label));
        if let Some(forbidding) = forbidding.filter(|_| json(given).is_some_and(|given| shows_clear(&given))) {
            let message = format!("the scope shows the column clear, which class {} forbids by now", shown(forbidding));
            let fix = format!("{replace}, and in it \"default\" or a mask instead of \"clear\" for this column");
            report.warning("class", object.clone(), message, fix);
            continue;
        }
        let Some(taken) = json(default) else { continue };
        let now = classes.default_of(class).cloned();
        if now.as_ref() == Some(&taken) {
            continue;
        }
        let what = match (class.as_str(), now) {
            ("", _) => "the column has no class any more".to_string(),
            (class, None) => format!("class {} has none for this sub-processor any more", shown(class)),
            (class, Some(_)) if class == was => "that is another mask by now".to_string(),
            (class, Some(_)) => format!("the column's class is {} by now, whose default is another mask", shown(class)),
        };
        let message = format!("the rule took the default of class {}: {what}", shown(was));
        report.warning(
            "class",
            object.clone(),
            message,
            format!("after a look at preview_scope with the same, {replace}"),
        );
    }
    Ok(())
}

/// A class that nobody set anything for, by a slip of the pen perhaps: it gives no mask and forbids nothing.
fn unknown(report: &mut Report, set: &Set) -> Result<()> {
    let sql = "SELECT l.label, pg_catalog.count(*)::pg_catalog.text, pg_catalog.min(l.relation::pg_catalog.regclass::pg_catalog.text || '.' || pg_catalog.quote_ident(l.column_name)) \
               FROM airlock_catalog.column_label l WHERE l.distance = 0 GROUP BY l.label ORDER BY 1";
    let classes = Classes(set.iter().map(|(_, class)| class.clone()).collect());
    for row in query(sql, 3, &[])?.into_iter().filter(|row| !classes.know(&row[0])) {
        let message = format!(
            "columns with this label ({}, such as {}): nothing is set for the class, or one above it, so it gives no mask and forbids nothing",
            row[1], row[2]
        );
        let fix = format!(
            "SELECT airlock.set_class({}, …), or SECURITY LABEL FOR airlock ON COLUMN {} IS '…'",
            literal(&row[0]),
            row[2]
        );
        report.warning("class", row[0].clone(), message, fix);
    }
    Ok(())
}
