//! What becomes of an index when its column is encrypted, or decrypted again: it stays, it is made anew on the column's
//! match tag (or on the column itself), or it is refused by name. Nothing is dropped without another in its place.
//!
//! Texts that come from the catalog (expressions, predicates, operator classes) are deparsed by Postgres and taken as
//! they are; names are quoted by [`crate::pure::name`].

use crate::pure::name::{ident, literal};

/// How a key of an index uses the column whose type changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Not at all.
    No,
    /// It is the column.
    Column,
    /// It is the column's match tag.
    Tag,
    /// An expression over it.
    Expression,
}

/// One key of an index.
#[derive(Clone, Debug)]
pub struct Part {
    /// The column, quoted, or the expression, in parentheses where it needs them.
    pub text: String,
    /// What it has to do with the column.
    pub uses: Use,
    /// The operator class is the one that orders by the type's own `=` and `<`.
    pub usual: bool,
    /// The operator class has parameters.
    pub parameters: bool,
    /// The operator class, qualified.
    pub class: String,
    /// The collation, qualified.
    pub collation: Option<String>,
    /// `DESC`
    pub descending: bool,
    /// `NULLS FIRST`
    pub nulls_first: bool,
    /// Statistics target of an expression.
    pub statistics: Option<i32>,
}

/// A constraint that an index stands behind.
#[derive(Clone, Debug)]
pub struct Constraint {
    /// Its name.
    pub name: String,
    /// `DEFERRABLE`: an index alone cannot be.
    pub deferrable: bool,
}

/// An index as the catalog describes it.
#[derive(Clone, Debug)]
pub struct Index {
    /// Schema, quoted.
    pub schema: String,
    /// Its name, as it is.
    pub name: String,
    /// Its table, qualified and quoted.
    pub table: String,
    /// Whether that table is partitioned.
    pub partitioned: bool,
    /// The index of the parent table that it is attached to, qualified and quoted.
    pub parent: Option<String>,
    /// Access method.
    pub method: String,
    /// `UNIQUE`
    pub unique: bool,
    /// `NULLS NOT DISTINCT`
    pub nulls_not_distinct: bool,
    /// Of a primary key.
    pub primary: bool,
    /// Of an exclusion constraint.
    pub exclusion: bool,
    /// `REPLICA IDENTITY USING INDEX`
    pub replica_identity: bool,
    /// `CLUSTER ON`
    pub clustered: bool,
    /// The constraint it stands behind.
    pub constraint: Option<Constraint>,
    /// Its keys.
    pub keys: Vec<Part>,
    /// `INCLUDE` columns, quoted.
    pub include: Vec<String>,
    /// `WHERE`, and whether it uses the column.
    pub predicate: Option<(String, bool)>,
    /// Storage options, `name = 'value'`.
    pub options: Vec<String>,
    /// Its tablespace; `None` for a partitioned table's that names none.
    pub tablespace: Option<String>,
    /// Its comment, or its constraint's.
    pub comment: Option<String>,
}

impl Index {
    /// `"schema"."name"`
    pub fn qualified(&self) -> String {
        format!("{}.{}", self.schema, ident(&self.name))
    }
}

/// What the column becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Becomes {
    /// `airlock.encrypted`: nothing about it can be indexed.
    Opaque,
    /// `airlock.encrypted_eq`, with tags of 16 bytes or of 8.
    Searchable {
        /// 16 bytes.
        wide: bool,
    },
    /// Plaintext of a type that has an order.
    Plain,
}

/// What becomes of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// ALTER TABLE makes it anew as it is: the column is stored in it and compared by nothing.
    Stays,
    /// Dropped before, made after.
    Replaced {
        /// The statement before; none where a parent's takes it along.
        before: Option<String>,
        /// The statements after.
        after: Vec<String>,
        /// What to tell, when more than the key has changed.
        changed: Vec<String>,
    },
    /// It stands in the way, for this reason.
    Refused(&'static str),
}

/// Decides about one index that has something to do with `column` (quoted).
pub fn fate(index: &Index, column: &str, becomes: Becomes) -> Fate {
    if let Some(reason) = refusal(index, becomes) {
        return Fate::Refused(reason);
    }
    if index.keys.iter().all(|key| key.uses == Use::No) {
        return Fate::Stays;
    }
    let mut changed = Vec::new();
    let before = match (&index.parent, &index.constraint) {
        (Some(_), _) => None,
        (None, Some(constraint)) => {
            Some(format!("ALTER TABLE {} DROP CONSTRAINT {}", index.table, ident(&constraint.name)))
        }
        (None, None) => Some(format!("DROP INDEX {}", index.qualified())),
    };
    if index.parent.is_none() && index.constraint.is_some() {
        changed.push("it is a unique index now, no constraint".to_string());
    }
    if index.method == "hash" {
        changed.push("it is a btree now".to_string());
    }
    if index.clustered {
        changed.push("CLUSTER ON is off".to_string());
    }
    Fate::Replaced { before, after: statements(index, column, becomes), changed }
}

fn refusal(index: &Index, becomes: Becomes) -> Option<&'static str> {
    let keyed = || index.keys.iter().filter(|key| key.uses != Use::No);
    if index.predicate.as_ref().is_some_and(|(_, uses)| *uses) {
        return Some("its WHERE uses the column");
    }
    if keyed().any(|key| key.uses == Use::Expression) {
        return Some("an expression over the column");
    }
    // an index that only stores the column stays
    keyed().next()?;
    if index.primary {
        return Some("a primary key");
    }
    if index.exclusion {
        return Some("an exclusion constraint");
    }
    if index.replica_identity {
        return Some("the replica identity");
    }
    if index.constraint.as_ref().is_some_and(|c| c.deferrable) {
        return Some("a deferrable constraint, which a unique index cannot be");
    }
    if !["btree", "hash"].contains(&&*index.method) {
        return Some("neither a btree nor a hash index");
    }
    if index.keys.iter().any(|key| key.parameters) || keyed().any(|key| key.uses == Use::Column && !key.usual) {
        return Some("not of the default operator class");
    }
    match becomes {
        Becomes::Opaque => Some("what is not searchable has no index"),
        Becomes::Searchable { wide: false } if index.unique => Some("unique, for which a tag of 8 bytes is too short"),
        _ => None,
    }
}

/// The statements that make the index anew, under its name and beneath its parent.
fn statements(index: &Index, column: &str, becomes: Becomes) -> Vec<String> {
    let keys: Vec<String> = index.keys.iter().map(|key| self::key(key, column, becomes)).collect();
    let mut create = format!(
        "CREATE {}INDEX {} ON {}{} USING btree ({})",
        if index.unique { "UNIQUE " } else { "" },
        ident(&index.name),
        if index.partitioned { "ONLY " } else { "" },
        index.table,
        keys.join(", ")
    );
    let mut add = |clause: String| create.push_str(&clause);
    if !index.include.is_empty() {
        add(format!(" INCLUDE ({})", index.include.join(", ")));
    }
    if index.nulls_not_distinct {
        add(" NULLS NOT DISTINCT".into());
    }
    // a hash index has options that a btree has not, and the other way round, but for this one
    let kept = |option: &&String| index.method == "btree" || option.starts_with("\"fillfactor\" ");
    let options: Vec<&str> = index.options.iter().filter(kept).map(String::as_str).collect();
    if !options.is_empty() {
        add(format!(" WITH ({})", options.join(", ")));
    }
    if let Some(tablespace) = &index.tablespace {
        add(format!(" TABLESPACE {}", ident(tablespace)));
    }
    if let Some((predicate, _)) = &index.predicate {
        add(format!(" WHERE {predicate}"));
    }
    let mut all = vec![create];
    for (i, key) in index.keys.iter().enumerate() {
        if let (Some(target), Use::No) = (key.statistics, key.uses) {
            all.push(format!("ALTER INDEX {} ALTER COLUMN {} SET STATISTICS {target}", index.qualified(), i + 1));
        }
    }
    if let Some(comment) = &index.comment {
        all.push(format!("COMMENT ON INDEX {} IS {}", index.qualified(), literal(comment)));
    }
    if let Some(parent) = &index.parent {
        all.push(format!("ALTER INDEX {parent} ATTACH PARTITION {}", index.qualified()));
    }
    all
}

fn key(key: &Part, column: &str, becomes: Becomes) -> String {
    if key.uses != Use::No {
        // tags have no order that means anything, so neither has DESC
        return match becomes {
            Becomes::Searchable { wide } => {
                format!("airlock.{}({column})", if wide { "match_tag16" } else { "match_tag" })
            }
            Becomes::Plain | Becomes::Opaque => column.to_string(),
        };
    }
    let mut text = key.text.clone();
    if let Some(collation) = &key.collation {
        text.push_str(&format!(" COLLATE {collation}"));
    }
    text.push_str(&format!(" {}", key.class));
    if key.descending {
        text.push_str(" DESC");
    }
    text.push_str(if key.nulls_first { " NULLS FIRST" } else { " NULLS LAST" });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Becomes = Becomes::Searchable { wide: true };
    const NARROW: Becomes = Becomes::Searchable { wide: false };

    fn part(text: &str, uses: Use) -> Part {
        Part {
            text: text.into(),
            uses,
            usual: true,
            parameters: false,
            class: "pg_catalog.text_ops".into(),
            collation: None,
            descending: false,
            nulls_first: false,
            statistics: None,
        }
    }

    fn plain() -> Index {
        Index {
            schema: "\"s\"".into(),
            name: "t\"x".into(),
            table: "\"s\".\"t\"".into(),
            partitioned: false,
            parent: None,
            method: "btree".into(),
            unique: false,
            nulls_not_distinct: false,
            primary: false,
            exclusion: false,
            replica_identity: false,
            clustered: false,
            constraint: None,
            keys: vec![part("c", Use::Column)],
            include: Vec::new(),
            predicate: None,
            options: Vec::new(),
            tablespace: Some("pg_default".into()),
            comment: None,
        }
    }

    fn replaced(index: &Index, becomes: Becomes) -> (Option<String>, Vec<String>, Vec<String>) {
        match fate(index, "\"c\"", becomes) {
            Fate::Replaced { before, after, changed } => (before, after, changed),
            other => panic!("{other:?}"),
        }
    }

    fn refused(index: &Index, becomes: Becomes) -> &'static str {
        match fate(index, "\"c\"", becomes) {
            Fate::Refused(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_plain_index_moves_to_the_match_tag_under_its_name() {
        let (before, after, changed) = replaced(&plain(), NARROW);
        assert_eq!(before.unwrap(), "DROP INDEX \"s\".\"t\"\"x\"");
        assert_eq!(
            after,
            ["CREATE INDEX \"t\"\"x\" ON \"s\".\"t\" USING btree (airlock.match_tag(\"c\")) TABLESPACE \"pg_default\""]
        );
        assert!(changed.is_empty());
    }

    #[test]
    fn everything_about_it_is_carried_over() {
        let mut other = part("lower(d)", Use::No);
        (other.collation, other.descending, other.nulls_first) = (Some("pg_catalog.\"C\"".into()), true, true);
        other.statistics = Some(50);
        let index = Index {
            partitioned: true,
            parent: Some("\"s\".\"up\"".into()),
            unique: true,
            nulls_not_distinct: true,
            keys: vec![part("c", Use::Column), other],
            include: vec!["\"e\"".into()],
            predicate: Some(("(d IS NOT NULL)".into(), false)),
            options: vec!["\"fillfactor\" = '70'".into(), "\"deduplicate_items\" = 'off'".into()],
            comment: Some("it's".into()),
            ..plain()
        };
        let (before, after, _) = replaced(&index, WIDE);
        assert_eq!(before, None, "the parent's DROP takes it along");
        assert_eq!(
            after,
            [
                "CREATE UNIQUE INDEX \"t\"\"x\" ON ONLY \"s\".\"t\" USING btree (airlock.match_tag16(\"c\"), lower(d) COLLATE pg_catalog.\"C\" \
                 pg_catalog.text_ops DESC NULLS FIRST) INCLUDE (\"e\") NULLS NOT DISTINCT WITH (\"fillfactor\" = '70', \
                 \"deduplicate_items\" = 'off') TABLESPACE \"pg_default\" WHERE (d IS NOT NULL)",
                "ALTER INDEX \"s\".\"t\"\"x\" ALTER COLUMN 2 SET STATISTICS 50",
                "COMMENT ON INDEX \"s\".\"t\"\"x\" IS 'it''s'",
                "ALTER INDEX \"s\".\"up\" ATTACH PARTITION \"s\".\"t\"\"x\"",
            ]
        );
    }

    #[test]
    fn a_unique_constraint_becomes_a_unique_index_of_wide_tags() {
        let constraint = Some(Constraint { name: "one".into(), deferrable: false });
        let index = Index { unique: true, constraint, ..plain() };
        let (before, after, changed) = replaced(&index, WIDE);
        assert_eq!(before.unwrap(), "ALTER TABLE \"s\".\"t\" DROP CONSTRAINT \"one\"");
        assert!(after[0].starts_with("CREATE UNIQUE INDEX") && after[0].contains("match_tag16"));
        assert_eq!(changed, ["it is a unique index now, no constraint"]);
        assert!(refused(&index, NARROW).contains("8 bytes"));
        let deferrable = Some(Constraint { name: "one".into(), deferrable: true });
        assert!(refused(&Index { constraint: deferrable, ..index }, WIDE).contains("deferrable"));
    }

    #[test]
    fn a_hash_index_becomes_a_btree() {
        let index = Index { method: "hash".into(), options: vec!["\"fillfactor\" = '90'".into()], ..plain() };
        let (_, after, changed) = replaced(&index, NARROW);
        assert!(after[0].contains("USING btree") && after[0].contains("fillfactor"));
        assert_eq!(changed, ["it is a btree now"]);
    }

    #[test]
    fn what_cannot_be_carried_over_is_refused() {
        let expression = vec![part("lower(c)", Use::Expression)];
        let like = vec![Part { usual: false, ..part("c", Use::Column) }];
        for (index, said) in [
            (Index { keys: expression, ..plain() }, "expression"),
            (Index { keys: like, ..plain() }, "operator class"),
            (Index { predicate: Some(("(c > 'm')".into(), true)), ..plain() }, "WHERE"),
            (Index { primary: true, unique: true, ..plain() }, "primary key"),
            (Index { exclusion: true, ..plain() }, "exclusion"),
            (Index { replica_identity: true, unique: true, ..plain() }, "replica identity"),
            (Index { method: "gin".into(), ..plain() }, "btree"),
        ] {
            assert!(refused(&index, WIDE).contains(said), "{said}");
        }
        assert!(refused(&plain(), Becomes::Opaque).contains("searchable"));
    }

    #[test]
    fn an_index_that_only_stores_the_column_stays() {
        let index = Index { keys: vec![part("d", Use::No)], include: vec!["\"c\"".into()], ..plain() };
        for becomes in [Becomes::Opaque, NARROW, WIDE, Becomes::Plain] {
            assert_eq!(fate(&index, "\"c\"", becomes), Fate::Stays);
        }
    }

    #[test]
    fn a_tag_index_goes_back_to_the_column() {
        let index = Index { keys: vec![Part { usual: false, ..part("airlock.match_tag(c)", Use::Tag) }], ..plain() };
        let (_, after, _) = replaced(&index, Becomes::Plain);
        assert!(after[0].contains("USING btree (\"c\")"), "{after:?}");
    }
}
