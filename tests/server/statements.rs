//! The statement matrix of the encrypted types: every way of writing a value × literal, typed and untyped parameter ×
//! both types. Afterwards the stored bytes are values of the right column, each with a nonce of its own, or the
//! statement was refused with the right SQLSTATE and HINT. The rows are in the files below; this one runs them.

mod comes_back;
mod copied;
mod definitions;
mod prepared;
mod stored;
mod writes;

use crate::cluster::Cluster;
use crate::fixture;
use crate::protocol::{Answer, Conn};
use crate::sentinel::{files_with, places};
use data_encoding::BASE64;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use stored::{nonce, value_bytes};

/// What every value of the matrix starts with; nothing else in the cluster holds it.
const SENTINEL: &str = "SENTINEL.matrix";
/// OID of text.
const TEXT: u32 = 25;

/// The two types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Plain,
    Searchable,
}

const FORMS: [Form; 2] = [Form::Plain, Form::Searchable];

impl Form {
    /// The type without a key.
    fn bare(self) -> &'static str {
        match self {
            Form::Plain => "airlock.encrypted",
            Form::Searchable => "airlock.encrypted_eq",
        }
    }
}

/// How the value gets into the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    /// A constant in the text.
    Literal,
    /// `$1`, declared as text.
    Typed,
    /// `$1` of a type that the server chooses, sent as text.
    Untyped,
    /// The same sent in the binary format.
    Binary,
}

const INPUTS: [Input; 4] = [Input::Literal, Input::Typed, Input::Untyped, Input::Binary];

/// What must come of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    /// So many stored values, each with a nonce of its own.
    Sealed(usize),
    /// So many, some of them copies of a whole value.
    Copied(usize),
    /// SQLSTATE, and a part of the hint (empty where the refusal is PostgreSQL's own).
    Refused(&'static str, &'static str),
}

/// A row of the matrix.
///
/// In its statements `{ty}` is the type with its key, `{bare}` the type alone, `{v}` the value: the parameter in `sql`, a
/// literal in the others. `{w}` is a literal for texts that PostgreSQL stores in the clear: bodies, defaults.
#[derive(Clone, Copy)]
struct Row {
    name: &'static str,
    before: &'static [&'static str],
    sql: &'static str,
    after: &'static [&'static str],
    cells: &'static [(&'static str, &'static str)],
    expect: Expect,
    /// Where a parameter of type text has another outcome.
    typed: Option<Expect>,
    /// Where one whose type the server chooses has.
    untyped: Option<Expect>,
    literal_only: bool,
}

/// A row; there is a table `t (id int PRIMARY KEY, c {ty})`, and its `c` is looked at.
const fn row(name: &'static str, sql: &'static str, expect: Expect) -> Row {
    Row {
        name,
        before: &[],
        sql,
        after: &[],
        cells: &[("t", "c")],
        expect,
        typed: None,
        untyped: None,
        literal_only: false,
    }
}

impl Row {
    const fn before(self, before: &'static [&'static str]) -> Row {
        Row { before, ..self }
    }

    const fn after(self, after: &'static [&'static str]) -> Row {
        Row { after, ..self }
    }

    /// The stored values to look at: table, expression.
    const fn cells(self, cells: &'static [(&'static str, &'static str)]) -> Row {
        Row { cells, ..self }
    }

    const fn typed(self, expect: Expect) -> Row {
        Row { typed: Some(expect), ..self }
    }

    const fn untyped(self, expect: Expect) -> Row {
        Row { untyped: Some(expect), ..self }
    }

    /// For what takes no parameters.
    const fn literal_only(self) -> Row {
        Row { literal_only: true, ..self }
    }

    fn inputs(&self) -> &'static [Input] {
        let one = self.literal_only || !self.sql.contains("{v}");
        &INPUTS[..if one { 1 } else { INPUTS.len() }]
    }

    fn expect(&self, input: Input) -> Expect {
        let other = match input {
            Input::Literal => None,
            Input::Typed => self.typed,
            Input::Untyped | Input::Binary => self.untyped,
        };
        other.unwrap_or(self.expect)
    }
}

/// All rows of the matrix run in one cluster, by the application's role.
struct Matrix {
    cluster: Cluster,
    /// Every nonce there is, with the value that has it.
    nonces: BTreeMap<Vec<u8>, Vec<u8>>,
    /// OIDs and names of tables, and the stored values in them, to be looked for on disk.
    stored: Vec<(String, String, Vec<u8>)>,
    cases: usize,
    /// What went wrong.
    wrong: Vec<String>,
}

impl Matrix {
    fn new() -> Matrix {
        let mut cluster = fixture::stopped();
        // the statement of an error is the client's own text; `doctor` tells to keep it out of the log
        cluster.set("log_min_error_statement", "panic");
        cluster.set("shared_preload_libraries", "pg_airlock, pg_stat_statements");
        cluster.start();
        fixture::open(&cluster);
        cluster.admin("GRANT CREATE ON DATABASE app TO app; CREATE EXTENSION pg_stat_statements SCHEMA public");
        Matrix { cluster, nonces: BTreeMap::new(), stored: Vec::new(), cases: 0, wrong: Vec::new() }
    }

    fn run(&mut self, rows: &[Row]) {
        for row in rows {
            for form in FORMS {
                for input in row.inputs() {
                    let case = format!("{} × {form:?} × {input:?}", row.name);
                    if let Err(problem) = self.case(row, form, *input) {
                        self.wrong.push(format!("{case}: {problem}"));
                    }
                }
            }
        }
    }

    /// A session of the application in a schema of its own with the table `t`.
    fn session(&mut self, form: Form) -> (Conn, String) {
        self.cases += 1;
        let schema = format!("m{}", self.cases);
        let mut app = self.cluster.connect("app");
        let ty = form.bare();
        app.query(&format!("CREATE SCHEMA {schema}; SET search_path = {schema}, public")).ok();
        app.query(&format!("CREATE TABLE t (id int PRIMARY KEY, c {ty}('pii'))")).ok();
        (app, schema)
    }

    fn case(&mut self, row: &Row, form: Form, input: Input) -> Result<(), String> {
        let (mut app, schema) = self.session(form);
        let value = format!("{SENTINEL}.{}", self.cases);
        let visible = format!("visible.{}", self.cases);
        let text = |sql: &str, v: &str| {
            sql.replace("{ty}", &format!("{}('pii')", form.bare()))
                .replace("{bare}", form.bare())
                .replace("{v}", v)
                .replace("{raw}", &value)
                .replace("{w}", &format!("'{visible}'"))
        };
        let literal = format!("'{value}'");
        let run = |app: &mut Conn, statements: &[&str]| {
            for sql in statements {
                let answer = app.query(&text(sql, &literal));
                if answer.error.is_some() {
                    return Err(format!("{sql}: {:?}", answer.error));
                }
            }
            Ok(())
        };
        run(&mut app, row.before)?;
        let answer = if input == Input::Literal {
            app.query(&text(row.sql, &literal))
        } else {
            let sql = text(row.sql, "$1");
            extended(&mut app, &sql, input, &value)
        };
        let shown = answer.notices.iter().chain(&answer.error).any(|f| f.text().contains(SENTINEL));
        if shown {
            return Err(format!("the value is in an error or notice: {answer:?}"));
        }
        let (count, copied) = match row.expect(input) {
            Expect::Refused(code, hint) => return refused(&answer, code, hint),
            Expect::Sealed(count) => (count, false),
            Expect::Copied(count) => (count, true),
        };
        if answer.error.is_some() {
            return Err(format!("{:?}", answer.error));
        }
        run(&mut app, row.after)?;
        let mut found = 0;
        for (table, cell) in row.cells {
            found += self.look(&mut app, &schema, table, cell, form, copied, &[&value, &visible])?;
        }
        if found != count {
            return Err(format!("{found} values are stored, not {count}"));
        }
        Ok(())
    }

    /// Looks at the stored values of a cell: their bytes, what they decrypt to, their nonces.
    #[allow(clippy::too_many_arguments)] // reason: what a cell is, and what is known of it
    fn look(
        &mut self,
        app: &mut Conn,
        schema: &str,
        table: &str,
        cell: &str,
        form: Form,
        copied: bool,
        values: &[&str],
    ) -> Result<usize, String> {
        let rows = app
            .query(&format!("SELECT {cell}, airlock.decrypt({cell}), tableoid FROM {table} WHERE {cell} IS NOT NULL"));
        if rows.error.is_some() {
            return Err(format!("{table}.{cell}: {:?}", rows.error));
        }
        for row in &rows.rows {
            let bytes = value_bytes(row[0].as_deref().unwrap_or_default(), form)?;
            if !row[1].as_deref().is_some_and(|v| values.contains(&v)) {
                return Err(format!("{table}.{cell} decrypts to {:?}", row[1]));
            }
            match self.nonces.insert(nonce(&bytes).to_vec(), bytes.clone()) {
                None => {}
                Some(other) if copied && other == bytes => {}
                Some(other) if other == bytes => return Err(format!("{table}.{cell}: one value twice")),
                Some(_) => return Err(format!("{table}.{cell}: a nonce was used twice")),
            }
            self.stored.push((row[2].clone().unwrap_or_default(), format!("{schema}.{table}"), bytes));
        }
        Ok(rows.rows.len())
    }

    /// Every value lies on disk as it was shown, no plaintext does, and nothing went wrong before.
    fn end(mut self) {
        self.cluster.admin("VACUUM ANALYZE");
        self.cluster.admin("CHECKPOINT");
        let data = self.cluster.data();
        let paths =
            "SELECT c.oid, pg_relation_filepath(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
            WHERE nspname ~ '^m[0-9]' AND relkind IN ('r', 'm')";
        let files = self.cluster.admin(paths).rows.into_iter().map(|row| {
            let [oid, path] = [row[0].clone().unwrap_or_default(), row[1].clone().unwrap_or_default()];
            (oid, std::fs::read(data.join(path)).expect("a table's file"))
        });
        let files: BTreeMap<String, Vec<u8>> = files.collect();
        assert!(!self.stored.is_empty());
        for (oid, table, bytes) in &self.stored {
            if !files.get(oid).is_some_and(|file| memmem(file, bytes)) {
                self.wrong.push(format!("{table}: a stored value is not in its file as it was shown"));
            }
        }
        let texts = self.cluster.admin("SELECT query FROM public.pg_stat_statements");
        assert!(texts.rows.len() > 20, "pg_stat_statements keeps statements: {}", texts.rows.len());
        // statements that are not normalised are kept as they are: docs/threat-model.md
        let as_they_are = ["DO ", "CREATE ", "ALTER ", "PREPARE ", "EXECUTE ", "CALL ", "DECLARE ", "COPY "];
        let kept = texts.first().into_iter().filter(|q| q.contains(SENTINEL));
        let kept = kept.filter(|q| !as_they_are.iter().any(|word| q.starts_with(word)));
        self.wrong.extend(kept.map(|q| format!("pg_stat_statements holds {q}")));
        self.cluster.admin("SELECT public.pg_stat_statements_reset()");
        let places = places(&self.cluster, SENTINEL.as_bytes());
        if !places.is_empty() {
            let files = files_with(SENTINEL.as_bytes(), &data);
            self.wrong.push(format!("plaintext is in {places:?}: {files:?}"));
        }
        self.cluster.admin(&format!("CREATE TABLE public.control AS SELECT '{SENTINEL}'::text AS c"));
        self.cluster.admin("CHECKPOINT");
        // elsewhere is the file in which pg_stat_statements keeps texts; 18 takes the constants of CREATE TABLE AS out, too
        let mut found = crate::sentinel::places(&self.cluster, SENTINEL.as_bytes());
        found.retain(|place| *place != "elsewhere");
        assert_eq!(found, ["heap", "wal", "dump"], "control");
        let mut report = String::new();
        self.wrong.iter().for_each(|w| writeln!(report, "  {w}").expect("a string"));
        assert!(self.wrong.is_empty(), "{} of {} cases went wrong:\n{report}", self.wrong.len(), self.cases);
    }
}

/// One statement with the value as its only parameter.
fn extended(app: &mut Conn, sql: &str, input: Input, value: &str) -> Answer {
    let types: &[u32] = if input == Input::Typed { &[TEXT] } else { &[] };
    let format = i16::from(input == Input::Binary);
    app.parse_typed("", sql, types).bind_in(format, "", "", &[Some(value)]).execute("", 0);
    app.sync()
}

/// Refused with this SQLSTATE and hint, and nothing else.
fn refused(answer: &Answer, code: &str, hint: &str) -> Result<(), String> {
    let Some(error) = &answer.error else { return Err(format!("was not refused with {code}")) };
    if error.code() != code || !error.get('H').contains(hint) {
        return Err(format!("refused with {error:?}, not {code} and hint {hint:?}"));
    }
    Ok(())
}

fn memmem(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|w| w[0] == needle[0] && w == needle)
}

/// The text form of a stored value, as bytes.
fn decoded(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text.strip_prefix("airlock:1:")?.as_bytes()).ok()
}

#[test]
fn every_way_of_writing_seals_or_refuses() {
    let mut matrix = Matrix::new();
    matrix.run(writes::ROWS);
    matrix.run(definitions::ROWS);
    copied::run(&mut matrix);
    prepared::run(&mut matrix);
    matrix.end();
}
