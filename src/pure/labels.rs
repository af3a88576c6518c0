//! What the extension declares its functions to be: volatility, strictness, cost and the rest, as one text, taken from the SQL that
//! makes them. There is no second list of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

const SQL: &str = include_str!("../../sql/functions.sql");
const CREATE: &str = "CREATE FUNCTION airlock.";

/// A function as `sql/functions.sql` declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declared {
    /// From its name to the end, without the semicolon.
    pub text: &'static str,
    /// What stands behind the type of its result, as [`Labels`] prints it.
    pub labels: &'static str,
}

impl Declared {
    /// The statement that makes it so again, labels that are not named included.
    pub fn repair(&self) -> String {
        let text = self.text.replace("'MODULE_PATHNAME'", &format!("'{LIBRARY}'"));
        format!("CREATE OR REPLACE FUNCTION airlock.{text}")
    }
}

/// What `MODULE_PATHNAME` stands for.
pub const LIBRARY: &str = "$libdir/pg_airlock";

/// What a catalog says of a function.
#[derive(Clone, Debug)]
pub struct Labels {
    /// `i`, `s` or `v`.
    pub volatility: char,
    /// NULL gives NULL.
    pub strict: bool,
    /// `s`, `r` or `u`.
    pub parallel: char,
    /// May be called on rows that a view hides.
    pub leakproof: bool,
    /// Of a call.
    pub cost: f32,
    /// How many rows it is taken to give; `None` unless it gives a set.
    pub rows: Option<f32>,
    /// Runs with its owner's rights.
    pub definer: bool,
    /// Its settings, as `name=value`.
    pub settings: Vec<String>,
    /// Has a support function, or what else none of ours has.
    pub other: bool,
    /// Its language.
    pub language: String,
    /// Its library; of other languages than C, empty.
    pub library: String,
    /// Its symbol, or source.
    pub source: String,
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.volatility {
            'i' => "IMMUTABLE",
            's' => "STABLE",
            _ => "VOLATILE",
        })?;
        f.write_str(if self.strict { " STRICT" } else { " CALLED ON NULL INPUT" })?;
        f.write_str(match self.parallel {
            's' => " PARALLEL SAFE",
            'r' => " PARALLEL RESTRICTED",
            _ => " PARALLEL UNSAFE",
        })?;
        if self.leakproof {
            f.write_str(" LEAKPROOF")?;
        }
        // those that are not written
        if self.cost != 1.0 {
            write!(f, " COST {}", self.cost)?;
        }
        if let Some(rows) = self.rows.filter(|rows| *rows != 1000.0) {
            write!(f, " ROWS {rows}")?;
        }
        if self.definer {
            f.write_str(" SECURITY DEFINER")?;
        }
        for setting in &self.settings {
            write!(f, " SET {}", setting.replacen('=', " = ", 1))?;
        }
        if self.other {
            f.write_str(" SUPPORT …")?;
        }
        let library = if self.library == LIBRARY { "MODULE_PATHNAME" } else { &self.library };
        // a body may be long, and is none of the reader's business
        let source = if self.language == "c" { &self.source } else { "…" };
        write!(f, " LANGUAGE {} AS '{library}', '{source}'", self.language)
    }
}

/// What is declared of the function of schema `airlock` with that name and these types of its arguments, as
/// `pg_type` calls them.
pub fn declared(name: &str, types: &[String]) -> Option<Declared> {
    static ALL: OnceLock<BTreeMap<String, Declared>> = OnceLock::new();
    ALL.get_or_init(|| SQL.split(CREATE).skip(1).filter_map(read).collect()).get(&signature(name, types)).copied()
}

fn signature(name: &str, types: &[String]) -> String {
    format!("{name}({})", types.join(","))
}

/// A statement, up to the next one.
fn read(text: &'static str) -> Option<(String, Declared)> {
    let text = &text[..text.find(';')?];
    let (name, rest) = text.split_once('(')?;
    let (arguments, rest) = arguments(rest)?;
    // the labels begin a line of their own
    let (_, labels) = rest.strip_prefix(" RETURNS ")?.split_once('\n')?;
    let types: Vec<String> = arguments.into_iter().filter_map(kind).collect();
    Some((signature(name, &types), Declared { text, labels: labels.trim_start() }))
}

/// The arguments up to the parenthesis that ends them, and what comes behind.
fn arguments(text: &'static str) -> Option<(Vec<&'static str>, &'static str)> {
    let (mut found, mut begin, mut quoted) = (Vec::new(), 0, None);
    for (i, c) in text.char_indices() {
        match (quoted, c) {
            (Some(q), c) => quoted = (q != c).then_some(q),
            (None, '\'' | '"') => quoted = Some(c),
            (None, ',' | ')') => {
                found.push(text[begin..i].trim());
                begin = i + 1;
                if c == ')' {
                    return Some((found, &text[begin..]));
                }
            }
            _ => {}
        }
    }
    None
}

/// The type of an argument; `None` for what is not given by the caller.
fn kind(argument: &str) -> Option<String> {
    let argument = argument.strip_prefix("VARIADIC ").unwrap_or(argument);
    if argument.is_empty() || argument.starts_with("OUT ") {
        return None;
    }
    let (_, kind) = argument.split_once(' ')?;
    let kind = kind.split(" DEFAULT ").next().unwrap_or(kind).trim();
    Some(match kind.strip_suffix("[]") {
        Some(element) => format!("_{}", internal(element)),
        None => internal(kind).to_string(),
    })
}

/// What `pg_type` calls a type: how the server prints one depends on the reader's settings.
fn internal(kind: &str) -> &str {
    match kind {
        "smallint" => "int2",
        "integer" => "int4",
        "bigint" => "int8",
        "real" => "float4",
        "double precision" => "float8",
        "boolean" => "bool",
        "timestamp without time zone" => "timestamp",
        "timestamp with time zone" => "timestamptz",
        other => other.trim_matches('"'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, types: &[&str]) -> Option<&'static str> {
        declared(name, &types.iter().map(|t| t.to_string()).collect::<Vec<_>>()).map(|d| d.labels)
    }

    #[test]
    fn every_function_of_the_script_is_known() {
        let all: Vec<(String, Declared)> = SQL.split(CREATE).skip(1).map(|text| read(text).unwrap()).collect();
        assert!(all.len() > 80, "{}", all.len());
        for (signature, d) in &all {
            assert!(d.labels.contains(" PARALLEL ") && d.labels.contains(" LANGUAGE "), "{signature}: {}", d.labels);
            assert!(!d.labels.contains("  ") && !d.labels.contains('\n'), "{signature}: {}", d.labels);
            assert_eq!(all.iter().filter(|(other, _)| other == signature).count(), 1, "{signature}");
        }
    }

    #[test]
    fn by_name_and_types() {
        let disclose =
            "STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 20 LANGUAGE c AS 'MODULE_PATHNAME', 'airlock_disclose'";
        assert_eq!(of("disclose", &["int4", "any", "anyelement", "any"]), Some(disclose));
        assert_eq!(of("disclose", &["int4"]), None);
        assert!(of("mask_partial", &["text", "int4", "int4", "text", "int4"]).unwrap().starts_with("IMMUTABLE STRICT"));
        assert!(of("mask_json", &["jsonb", "_text"]).is_some());
        let stamp = "timestamp";
        assert!(of("mask_clamp", &[stamp, stamp, stamp]).is_some());
        assert!(
            of("doctor", &[]).is_some_and(|l| l.contains("SECURITY DEFINER SET search_path = pg_catalog, pg_temp "))
        );
        let gate = declared("gate", &["int4".to_string()]).unwrap();
        assert_eq!(
            gate.repair(),
            "CREATE OR REPLACE FUNCTION airlock.gate(scope integer) RETURNS boolean\n  STABLE CALLED ON NULL INPUT PARALLEL \
             RESTRICTED LANGUAGE c AS '$libdir/pg_airlock', 'airlock_gate'"
        );
    }

    #[test]
    fn each_label_shows() {
        let gate = Labels {
            volatility: 's',
            strict: false,
            parallel: 'r',
            leakproof: false,
            cost: 1.0,
            rows: None,
            definer: false,
            settings: vec![],
            other: false,
            language: "c".into(),
            library: LIBRARY.into(),
            source: "airlock_gate".into(),
        };
        assert_eq!(Some(gate.to_string().as_str()), of("gate", &["int4"]));
        let changes: [fn(&mut Labels); 12] = [
            |l| l.volatility = 'i',
            |l| l.strict = true,
            |l| l.parallel = 's',
            |l| l.leakproof = true,
            |l| l.cost = 0.5,
            |l| l.rows = Some(10.0),
            |l| l.definer = true,
            |l| l.settings.push("search_path=public".into()),
            |l| l.other = true,
            |l| l.language = "sql".into(),
            |l| l.library = "$libdir/other".into(),
            |l| l.source = "airlock_disclose".into(),
        ];
        let mut seen = vec![gate.to_string()];
        for change in changes {
            let mut changed = gate.clone();
            change(&mut changed);
            assert!(!seen.contains(&changed.to_string()), "{changed}");
            seen.push(changed.to_string());
        }
    }
}
