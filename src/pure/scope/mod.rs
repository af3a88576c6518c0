//! The vocabulary of scopes: what one sub-processor may see of one relation.
//!
//! [`parse`] turns JSON into a [`Scope`], [`resolve`] holds it against the table's [`TableShape`] and gives a
//! [`resolve::ViewPlan`], [`render`] writes the plan as SQL.

mod conditional;
pub mod defaults;
pub mod fence;
pub mod joins;
pub mod parse;
pub mod reads;
pub mod render;
pub mod resolve;
pub mod sample;

use crate::pure::mask::Mask;
use crate::pure::plaintext::PlainType;

/// Schema of the inner views. Nobody but the extension has USAGE on it.
pub const INNER_SCHEMA: &str = "airlock_scope";
/// Role that owns the views and holds column-level SELECT on what they read.
pub const VIEW_OWNER: &str = "airlock_view_owner";

/// What one sub-processor may see of one relation: a rule per exposed column. A column without a rule is absent.
#[derive(Clone, Debug)]
pub struct Scope {
    /// In the order of the JSON object, which is the order of the view's columns.
    pub rules: Vec<Rule>,
}

/// How one column is exposed.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The base table's column.
    pub column: String,
    /// Clear, or under a mask.
    pub exposure: Exposure,
    /// What the view shows instead of NULL, as text of the view column's type.
    pub null_as: Option<String>,
    /// For keyed masks: the label that joins columns. `None` takes the default, the root of the foreign key chain.
    pub domain: Option<String>,
    /// The controller accepts that a primary key column is no longer unique.
    pub allow_duplicates: bool,
    /// The controller accepts that a foreign key does not join in the sub-processor's views.
    pub allow_broken_join: bool,
    /// Set where the rule is one of two that share a column.
    pub condition: Option<Condition>,
}

/// When one of two rules of a column holds: the first where the condition is true, the other one elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// A boolean expression over the table's columns: as it was given, and once it is analysed in PostgreSQL's own form.
    pub text: String,
    /// The columns that it reads; none before it is analysed.
    pub columns: Vec<String>,
    /// Whether this is the rule for rows where it is false or unknown.
    pub otherwise: bool,
}

impl Condition {
    /// When the rule holds, as SQL.
    pub fn sql(&self) -> String {
        if self.otherwise {
            format!("({}) IS NOT TRUE", self.text)
        } else {
            self.text.clone()
        }
    }
}

/// Clear or masked. A third way would be absent, which is a column without a rule.
#[derive(Clone, Debug)]
pub enum Exposure {
    /// The value itself, decrypted if the column is encrypted.
    Clear,
    /// What the mask makes of it.
    Masked(Mask),
}

/// Catalog facts of a relation, read by the pg half in the transaction that makes the scope.
#[derive(Clone, Debug, Default)]
pub struct TableShape {
    /// Schema of the relation.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its columns, without system and dropped ones, in attribute order.
    pub columns: Vec<Column>,
    /// Columns of the primary key; empty without one.
    pub primary_key: Vec<String>,
    /// Columns of each other unique constraint or index.
    pub unique: Vec<Vec<String>>,
    /// Foreign keys of this relation.
    pub foreign_keys: Vec<ForeignKey>,
    /// Foreign keys of *other* relations: at least those that reference this one, and those further up the chains
    /// that begin here (simply: all others of the database). They give the root of a chain, and the joins that a
    /// scope on the referenced table can break.
    pub other_keys: Vec<OtherKey>,
}

/// One column of a relation.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Type as `format_type` prints it with typmod under `search_path = pg_catalog`, so that every type outside
    /// `pg_catalog` is qualified; of an encrypted column, the plaintext's type.
    pub sql_type: String,
    /// The type masks work on; `None` for one without masks.
    pub plain: Option<PlainType>,
    /// Set when the column is encrypted.
    pub encrypted: Option<EncryptedColumn>,
    /// Declared NOT NULL.
    pub not_null: bool,
    /// Generated and not stored (PostgreSQL 18): an expression in the place of a value.
    pub computed: bool,
}

/// Facts of an encrypted column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedColumn {
    /// The number in the type modifier, key of `airlock_catalog`'s table of encrypted columns.
    pub column_no: i32,
    /// Name of the key.
    pub key_name: String,
    /// `encrypted_eq`.
    pub searchable: bool,
    /// Columns of the same table that its values are bound to, in the order in which `disclose` takes them.
    pub bind: Vec<String>,
}

/// A foreign key of the relation at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// The referencing columns.
    pub columns: Vec<String>,
    /// Schema of the referenced relation.
    pub ref_schema: String,
    /// Its name.
    pub ref_table: String,
    /// The referenced columns, in the order of `columns`.
    pub ref_columns: Vec<String>,
}

/// A foreign key of another relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherKey {
    /// Schema of the referencing relation.
    pub schema: String,
    /// Its name.
    pub table: String,
    /// The key.
    pub key: ForeignKey,
}

impl TableShape {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }
}

impl Column {
    /// The type without its modifier: `numeric(10,2)` gives `numeric`.
    pub fn base_type(&self) -> String {
        match (self.sql_type.find('('), self.sql_type.find(')')) {
            (Some(from), Some(to)) if from < to => {
                format!("{}{}", &self.sql_type[..from], &self.sql_type[to + 1..])
            }
            _ => self.sql_type.clone(),
        }
    }

    /// `citext`, in whichever schema: equality ignores case.
    pub fn ignores_case(&self) -> bool {
        self.plain == Some(PlainType::Text) && self.sql_type.rsplit('.').next() == Some("citext")
    }
}

impl Exposure {
    /// Whether the view reads the column at all; `nullify` and `constant` do not.
    pub fn reads_column(&self) -> bool {
        match self {
            Exposure::Clear => true,
            Exposure::Masked(mask) => mask.reads_column(),
        }
    }

    /// Whether the sub-processor's mask key takes part.
    pub fn keyed(&self) -> bool {
        match self {
            Exposure::Clear => false,
            Exposure::Masked(mask) => mask.keyed(),
        }
    }

    /// Canonical JSON of the mask; `None` for clear.
    pub fn mask_json(&self) -> Option<serde_json::Value> {
        match self {
            Exposure::Clear => None,
            Exposure::Masked(mask) => Some(mask.to_json()),
        }
    }

    /// What a report calls it: `clear`, or the mask's name.
    pub fn label(&self) -> &'static str {
        match self {
            Exposure::Clear => "clear",
            Exposure::Masked(mask) => mask.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(sql_type: &str) -> Column {
        Column {
            name: "c".into(),
            sql_type: sql_type.into(),
            plain: Some(PlainType::Text),
            encrypted: None,
            not_null: false,
            computed: false,
        }
    }

    #[test]
    fn base_type_drops_the_modifier_only() {
        assert_eq!(column("numeric(10,2)").base_type(), "numeric");
        assert_eq!(column("timestamp(3) with time zone").base_type(), "timestamp with time zone");
        assert_eq!(column("text").base_type(), "text");
        assert_eq!(column(")(").base_type(), ")(");
    }

    #[test]
    fn citext_is_known_in_any_schema() {
        assert!(column("citext").ignores_case());
        assert!(column("public.citext").ignores_case());
        assert!(!column("text").ignores_case());
    }
}
