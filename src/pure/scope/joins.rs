//! Foreign keys: the default domain of a keyed mask, and whether two exposed ends still join.

use serde_json::Value;

use super::resolve::{ExposedColumn, Request};
use super::{Exposure, ForeignKey, Rule, TableShape};
use crate::pure::error::{Error, Result};
use crate::pure::mask::{Mask, Uniqueness};
use crate::pure::name::{ident, json_path, shown};

/// A column of the database by its full name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    schema: String,
    table: String,
    column: String,
}

impl Place {
    fn new(schema: &str, table: &str, column: &str) -> Self {
        Place { schema: schema.into(), table: table.into(), column: column.into() }
    }

    /// `public.customers.id`. A part with a dot or a quote is quoted, so no two columns share a text.
    fn text(&self) -> String {
        let part = |name: &str| if name.contains(['.', '"']) { ident(name) } else { name.to_string() };
        [&self.schema, &self.table, &self.column].map(|name| part(name)).join(".")
    }
}

/// Default domain of a column: the root of its foreign key chain, `public.customers.id`, else the column itself.
pub(super) fn default_domain(table: &TableShape, column: &str) -> String {
    let mut chain = vec![Place::new(&table.schema, &table.name, column)];
    while let Some(next) = chain.last().and_then(|at| parent(table, at)) {
        if let Some(begin) = chain.iter().position(|place| *place == next) {
            // keys in a circle: every member must find the same root
            return chain[begin..].iter().min().map(Place::text).unwrap_or_default();
        }
        chain.push(next);
    }
    chain.last().map(Place::text).unwrap_or_default()
}

/// Whether the column's own name is its default domain: no foreign key leads from it elsewhere.
pub fn is_root(table: &TableShape, column: &str) -> bool {
    default_domain(table, column) == Place::new(&table.schema, &table.name, column).text()
}

/// What a scope's subject stands for: of each of its columns the root of the foreign key chain, in the same order. Tables
/// that refer to the same persons by foreign keys so name them alike.
pub fn subject_domains(table: &TableShape, subject: &[String]) -> Vec<String> {
    subject.iter().map(|column| default_domain(table, column)).collect()
}

/// The column that `at` references. Of several the first by name, so that the catalog's order does not matter.
fn parent(table: &TableShape, at: &Place) -> Option<Place> {
    let own = table.foreign_keys.iter().filter(|_| at.schema == table.schema && at.table == table.name);
    let others = table.other_keys.iter().filter(|o| o.schema == at.schema && o.table == at.table).map(|o| &o.key);
    own.chain(others).flat_map(pairs).filter(|(from, to)| *from == at.column && to != at).map(|(_, to)| to).min()
}

/// Referencing column and referenced place, pair by pair.
fn pairs(key: &ForeignKey) -> impl Iterator<Item = (&str, Place)> {
    let to = key.ref_columns.iter().map(|column| Place::new(&key.ref_schema, &key.ref_table, column));
    key.columns.iter().map(String::as_str).zip(to)
}

/// Checks every foreign key with both ends exposed to this sub-processor: both clear, or both under the same mask,
/// arguments and domain, and that not lossy.
///
/// # Errors
/// `AL010` at the rule at hand, unless the referencing rule says `allow_broken_join`. Where the referencing rule is
/// in an older scope, the rule at hand may say it instead: rules that exist are never edited.
pub(super) fn check(request: &Request<'_>) -> Result<()> {
    let table = request.table;
    for rule in &request.scope.rules {
        let here = Place::new(&table.schema, &table.name, &rule.column);
        let mine = End::of_rule(table, rule);
        for key in &table.foreign_keys {
            for (_, to) in pairs(key).filter(|(from, _)| *from == rule.column) {
                let theirs = exposed_end(request, &to);
                if theirs.is_some_and(|theirs| !mine.joins(&theirs)) && !rule.allow_broken_join {
                    return Err(broken(rule, "references", &to, mine.mask.is_some()));
                }
            }
        }
        for other in &table.other_keys {
            for (from, _) in pairs(&other.key).filter(|(_, to)| *to == here) {
                let from = Place::new(&other.schema, &other.table, from);
                let Some(theirs) = existing(request, &from) else { continue };
                let allowed = rule.allow_broken_join || theirs.allow_broken_join;
                if !mine.joins(&theirs) && !allowed {
                    return Err(broken(rule, "is referenced by", &from, mine.mask.is_some()));
                }
            }
        }
    }
    Ok(())
}

fn broken(rule: &Rule, how: &str, other: &Place, masked: bool) -> Error {
    let message = format!(
        "column {} {how} {}, which this sub-processor sees differently: the two would not join",
        shown(&rule.column),
        shown(&other.text())
    );
    let way_out = if masked { ", or add \"allow_broken_join\": true to this rule" } else { "" };
    Error::scope(&json_path("$", &rule.column), message).hint(format!(
        "expose both as \"clear\", or both under the same keyed mask with equal arguments and \"domain\"{way_out}"
    ))
}

/// One end of a foreign key as the sub-processor sees it.
struct End {
    /// `None` is clear.
    mask: Option<Value>,
    domain: Option<String>,
    lossy: bool,
    allow_broken_join: bool,
}

impl End {
    fn of_rule(table: &TableShape, rule: &Rule) -> End {
        End {
            mask: rule.exposure.mask_json(),
            domain: rule_domain(table, rule),
            lossy: is_lossy(rule),
            allow_broken_join: rule.allow_broken_join,
        }
    }

    fn of_existing(column: &ExposedColumn) -> End {
        let text = column.exposure.trim();
        let json = if text.is_empty() || text == "clear" {
            Value::from("clear")
        } else {
            // what cannot be read equals no mask, so it never joins
            serde_json::from_str(text).unwrap_or(Value::Null)
        };
        let mut end = End { mask: None, domain: column.domain.clone(), lossy: false, allow_broken_join: false };
        if let Value::Object(mut members) = json {
            end.allow_broken_join = members.remove("allow_broken_join") == Some(Value::Bool(true));
            let domain = members.remove("domain").and_then(|d| d.as_str().map(String::from));
            end.domain = end.domain.or(domain);
            members.remove("allow_duplicates");
            members.remove("null_as");
            end.mask = Some(Value::Object(members));
        } else if json != "clear" {
            (end.mask, end.lossy) = (Some(Value::Null), true);
        }
        end
    }

    /// Equal values stay equal and different ones different, on both sides in the same way.
    fn joins(&self, other: &End) -> bool {
        self.mask == other.mask && self.domain == other.domain && !self.lossy && !other.lossy
    }
}

/// The domain of `date_shift` where the rule gives none: one for all scopes, so that distances are true across them.
const SHIFTED: &str = "subject";

/// The domain that a rule fixes: its own label or the default; `None` where no key takes part.
pub(super) fn rule_domain(table: &TableShape, rule: &Rule) -> Option<String> {
    let default = || match &rule.exposure {
        Exposure::Masked(Mask::DateShift { .. }) => SHIFTED.to_owned(),
        _ => default_domain(table, &rule.column),
    };
    let domain = || rule.domain.clone().unwrap_or_else(default);
    rule.exposure.keyed().then(domain)
}

/// Whether different values can come out equal, by the mask's declaration; under a condition two masks may meet.
pub(super) fn is_lossy(rule: &Rule) -> bool {
    match &rule.exposure {
        _ if rule.condition.is_some() => true,
        Exposure::Clear => false,
        Exposure::Masked(mask) => match mask.properties().uniqueness {
            Uniqueness::Exact | Uniqueness::Practical | Uniqueness::Formed => false,
            Uniqueness::Lossy => true,
        },
    }
}

/// The other end as this sub-processor sees it: in the scope at hand when the key points into its own table.
fn exposed_end(request: &Request<'_>, at: &Place) -> Option<End> {
    if at.schema == request.table.schema && at.table == request.table.name {
        let rule = request.scope.rules.iter().find(|rule| rule.column == at.column)?;
        Some(End::of_rule(request.table, rule))
    } else {
        existing(request, at)
    }
}

/// A column in this sub-processor's other scopes. The table at hand is left out: its old scope is being replaced.
fn existing(request: &Request<'_>, at: &Place) -> Option<End> {
    if at.schema == request.table.schema && at.table == request.table.name {
        return None;
    }
    let found = |c: &&ExposedColumn| c.schema == at.schema && c.table == at.table && c.column == at.column;
    request.existing.iter().find(found).map(End::of_existing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pure::scope::OtherKey;

    fn key(column: &str, ref_table: &str, ref_column: &str) -> ForeignKey {
        ForeignKey {
            columns: vec![column.into()],
            ref_schema: "public".into(),
            ref_table: ref_table.into(),
            ref_columns: vec![ref_column.into()],
        }
    }

    fn other(table: &str, key: ForeignKey) -> OtherKey {
        OtherKey { schema: "public".into(), table: table.into(), key }
    }

    fn items() -> TableShape {
        TableShape { schema: "public".into(), name: "items".into(), ..TableShape::default() }
    }

    #[test]
    fn a_column_without_a_key_is_its_own_domain() {
        assert_eq!(default_domain(&items(), "id"), "public.items.id");
        let odd = TableShape { schema: "a.b".into(), name: "c\"d".into(), ..TableShape::default() };
        assert_eq!(default_domain(&odd, "e"), "\"a.b\".\"c\"\"d\".e");
    }

    #[test]
    fn the_chain_is_followed_to_its_root() {
        let mut table = items();
        table.foreign_keys = vec![key("customer", "orders", "customer")];
        assert_eq!(default_domain(&table, "customer"), "public.orders.customer");
        table.other_keys = vec![other("orders", key("customer", "customers", "id"))];
        assert_eq!(default_domain(&table, "customer"), "public.customers.id");
        assert_eq!(default_domain(&table, "id"), "public.items.id");
    }

    #[test]
    fn a_key_into_the_own_table_has_the_key_as_root() {
        let mut table = items();
        table.foreign_keys = vec![key("parent", "items", "id"), key("id", "items", "id")];
        assert_eq!(default_domain(&table, "parent"), "public.items.id");
        assert_eq!(default_domain(&table, "id"), "public.items.id");
    }

    #[test]
    fn a_circle_has_one_root_from_everywhere() {
        let mut table = items();
        table.foreign_keys = vec![key("b", "bees", "i")];
        table.other_keys = vec![other("bees", key("i", "items", "b")), other("ants", key("x", "items", "b"))];
        assert_eq!(default_domain(&table, "b"), "public.bees.i");
        let mut bees = TableShape { schema: "public".into(), name: "bees".into(), ..TableShape::default() };
        bees.foreign_keys = vec![key("i", "items", "b")];
        bees.other_keys = vec![other("items", key("b", "bees", "i"))];
        assert_eq!(default_domain(&bees, "i"), "public.bees.i");
    }

    #[test]
    fn exposure_text_that_cannot_be_read_never_joins() {
        let column = |exposure: &str| ExposedColumn {
            schema: "s".into(),
            table: "t".into(),
            column: "c".into(),
            exposure: exposure.into(),
            domain: None,
        };
        let clear = End::of_existing(&column("clear"));
        assert!(clear.joins(&End::of_existing(&column("\"clear\""))));
        assert!(clear.joins(&End::of_existing(&column(""))));
        assert!(!clear.joins(&End::of_existing(&column("{broken"))));
        assert!(!clear.joins(&End::of_existing(&column("null"))));
    }
}
