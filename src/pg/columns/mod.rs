//! `encrypt_column` and `decrypt_column`: an existing column changes its type in the caller's transaction, by ALTER TABLE
//! as the caller, who must own the table. Indexes move to the match tag and back; what cannot move with the column, or
//! hangs on its old type, is refused by name, not dropped. Grants, NOT NULL, defaults and comments stay by themselves.
//!
//! Beside them what looks at whole columns and tables: `verify_column`, `nonce_audit`, `scrub`.

pub mod bind;
mod dependents;
pub mod history;
mod indexes;
mod nonces;
pub mod scrub;
mod target;
mod verify;

use crate::pg::encrypted::{plain_type_of, type_oids};
use crate::pg::error::notice;
use crate::pg::gucs::{encrypted_input, EncryptedInput};
use crate::pg::keys::ring::{self, Number};
use crate::pg::shared;
use crate::pg::sys::roles;
use crate::pg::sys::sql::{arg, first};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::index::Becomes;
use crate::pure::name::{ident, literal, type_name};
use crate::pure::plaintext::PlainType;
use crate::sql_function;
use dependents::{dependents, execute, forget_statistics, inspect};
pub use indexes::Plan;
use pgrx::pg_sys;
use target::{facts, target};
pub use target::{own, Facts};

sql_function!(
    /// `airlock.encrypt_column(relation regclass, column_name name, key text, searchable boolean, "unique" boolean, bind
    /// text[])`: the column's values are sealed under the key, the table is rewritten, its indexes move to the column's match
    /// tag. With `bind` each value opens in the row only whose columns of these names are as they were.
    ///
    /// Errors: `42501` not the owner; `55000` something hangs on the column that cannot move with it; `42704` no such
    /// key; `42804` the key seals another type.
    airlock_encrypt_column,
    |args: crate::pg::sys::Args| {
        let (relation, column) = target(args)?;
        let (key, searchable) = (args.need::<String>(2, "key")?, args.need(3, "searchable")?);
        // 0.1.0 declares four arguments
        let unique = args.count() > 4 && args.need::<bool>(4, "unique")?;
        let bind = if args.count() > 5 { args.get::<Vec<Option<String>>>(5) } else { None };
        encrypt(relation, &column, &key, searchable, unique, bind)
    }
);
sql_function!(
    /// `airlock.decrypt_column(relation regclass, column_name name)`: the column's values are plaintext again, indexes on
    /// its match tag are on the column.
    ///
    /// Errors: `42501` not the owner; `AL004` no right to decrypt; `55000` something hangs on the column.
    airlock_decrypt_column,
    |args: crate::pg::sys::Args| {
        let (relation, column) = target(args)?;
        decrypt(relation, &column)
    }
);

/// A column that can be encrypted as wished.
pub struct Candidate {
    /// What the catalog says of it.
    pub facts: Facts,
    /// The key that will seal it.
    pub key: std::rc::Rc<ring::KeyInfo>,
    /// What becomes of its indexes.
    pub plan: Plan,
    named: String,
}

/// Checks that a column can be encrypted under a key.
///
/// # Errors
/// As `encrypt_column`'s.
pub fn candidate(relation: pg_sys::Oid, column: &str, key: &str, searchable: bool, unique: bool) -> Result<Candidate> {
    let key = ring::key_by_name(key)?;
    if encrypted_input() == EncryptedInput::Ciphertext {
        return Err(Error::new(Kind::State, "airlock.encrypted_input is ciphertext: nothing would be sealed")
            .hint("RESET airlock.encrypted_input"));
    }
    if unique && !searchable {
        return Err(Error::new(Kind::InvalidArgument, "only a searchable column can be unique")
            .hint("searchable => true, \"unique\" => true"));
    }
    let facts = inspect(|| facts(relation, column))?;
    let named = named(&facts, column);
    sealable(&facts, column, &key)?;
    let becomes = if searchable { Becomes::Searchable { wide: unique } } else { Becomes::Opaque };
    let plan = movable(relation, column, &named, becomes)?;
    Ok(Candidate { facts, key, plan, named })
}

fn encrypt(
    relation: pg_sys::Oid,
    column: &str,
    key: &str,
    searchable: bool,
    unique: bool,
    bind: Option<Vec<Option<String>>>,
) -> Result<()> {
    let Candidate { facts, key, plan, named } = candidate(relation, column, key, searchable, unique)?;
    let bind = bind::wanted(relation, column, bind)?;
    let ty = if searchable { "airlock.encrypted_eq" } else { "airlock.encrypted" };
    let typmod = format!("{}{}", literal(&key.name), if unique { ", 'unique'" } else { "" });
    let c = ident(column);
    // text's relatives go through the cast to text: char(n) loses its padding there, as everywhere in SQL
    let using = if key.plain_type == PlainType::Text { format!(" USING {c}::pg_catalog.text") } else { String::new() };
    let (typmod, using) = match &bind[..] {
        [] => (typmod, using),
        bind => bind::rewrite(&key, ty, unique, column, bind)?,
    };
    change(
        relation,
        column,
        &plan,
        &format!("ALTER TABLE {} ALTER COLUMN {c} TYPE {ty}({typmod}){using}", facts.relation()),
    )?;
    let now = inspect(|| self::facts(relation, column))?.typmod;
    if !matches!(ring::number(now)?, Some(Number::Column(_))) {
        return Err(Error::new(Kind::State, format!("{named} got no column number"))
            .hint("is pg_airlock preloaded? SELECT * FROM airlock.doctor()"));
    }
    shared::changed();
    if !bind.is_empty() {
        bind::install(relation, &facts.schema, &facts.table, column, &bind)?;
    }
    if facts.limited {
        notice(Error::new(
            Kind::State,
            format!("the limits of type {} are no longer checked in {named}", facts.type_text),
        ));
    }
    plan.tell(if unique { "airlock.match_tag16" } else { "airlock.match_tag" });
    if searchable && plan.is_empty() {
        index(&facts, &named, &c, unique)?;
    }
    let (lsn, time) = history::encrypted(now)?;
    notice(
        Error::new(Kind::State, format!("{named} is encrypted from WAL position {lsn}, {time}"))
            .detail("WAL, its archive, backups, replicas' WAL and server logs from before then still hold the plaintext, and so do free space in pg_statistic and the file system's freed blocks. TABLE airlock.encrypted_columns keeps position and time.")
            .hint("Once this is committed: VACUUM pg_catalog.pg_statistic; SELECT * FROM airlock.scrub('pg_catalog.pg_statistic'); then take a new base backup, and expire the older ones."),
    );
    Ok(())
}

/// The index that a search needs, where none moved with the column and the current role may make one.
fn index(facts: &Facts, named: &str, column: &str, unique: bool) -> Result<()> {
    let tag = if unique { "match_tag16" } else { "match_tag" };
    let kind = if unique { "UNIQUE INDEX" } else { "INDEX" };
    let statement = format!("CREATE {kind} ON {} (airlock.{tag}({column}))", facts.relation());
    let may = first("SELECT pg_catalog.has_schema_privilege($1, 'CREATE')", &[arg(facts.schema.clone())], |row| {
        row.need::<bool>(1)
    })?;
    if may == Some(true) {
        return execute(&statement);
    }
    notice(Error::new(Kind::State, format!("there is no index on {named}: a search reads the table")).hint(statement));
    Ok(())
}

fn decrypt(relation: pg_sys::Oid, column: &str) -> Result<()> {
    let facts = inspect(|| facts(relation, column))?;
    let named = named(&facts, column);
    if !encrypted(&facts) {
        return Err(Error::new(Kind::State, format!("{named} is not encrypted"))
            .detail(format!("It is of type {}.", facts.type_text)));
    }
    let Some(Number::Column(info)) = ring::number(facts.typmod)? else {
        return Err(Error::new(Kind::Undefined, format!("the encrypted column number of {named} is unknown"))
            .hint("was the dump restored without the rows of airlock_catalog?"));
    };
    ring::may_decrypt(&info.key, roles::current())?;
    let plan = movable(relation, column, &named, Becomes::Plain)?;
    let c = ident(column);
    let ty = type_name(info.key.plain_type.sql_name());
    let using = if info.key.plain_type == PlainType::Text && info.bind.is_empty() {
        format!("airlock.decrypt({c})")
    } else {
        format!("airlock.decrypt({c}, NULL::{ty}{})", bind::arguments(&info))
    };
    change(
        relation,
        column,
        &plan,
        &format!("ALTER TABLE {} ALTER COLUMN {c} TYPE {ty} USING {using}", facts.relation()),
    )?;
    if !info.bind.is_empty() {
        bind::uninstall(relation, &facts.schema, &facts.table)?;
    }
    shared::changed();
    plan.tell("the column");
    notice(
        Error::new(Kind::State, format!("{named} holds plaintext again, of type {ty}"))
            .detail("Limits, collation and constraints from before it was encrypted are not brought back."),
    );
    Ok(())
}

fn named(facts: &Facts, column: &str) -> String {
    format!("column \"{column}\" of table \"{}\"", facts.table)
}

fn encrypted(facts: &Facts) -> bool {
    type_oids().is_some_and(|(plain, eq)| [plain, eq].contains(&facts.type_oid))
}

/// The column can be sealed under the key.
fn sealable(facts: &Facts, column: &str, key: &ring::KeyInfo) -> Result<()> {
    let named = named(facts, column);
    if encrypted(facts) {
        return Err(Error::new(Kind::State, format!("{named} is encrypted already"))
            .hint("to change its key, decrypt_column first"));
    }
    if facts.domain {
        return Err(Error::new(
            Kind::State,
            format!("{named} is of domain {}, whose constraints would be lost", facts.type_text),
        )
        .hint("ALTER TABLE … ALTER COLUMN … TYPE its base type first"));
    }
    let plain = plain_type_of(facts.type_oid);
    if plain == Some(key.plain_type) {
        return Ok(());
    }
    let wanted = key.plain_type.sql_name();
    Err(Error::new(
        Kind::Mismatch,
        format!("{named} is of type {}, key \"{}\" seals {wanted}", facts.type_text, key.name),
    )
    .hint(plain.map_or_else(
        || format!("ALTER TABLE {} ALTER COLUMN {} TYPE {wanted} first", facts.relation(), ident(column)),
        |p| {
            let name = format!("{}_{}", key.name, column.to_lowercase());
            format!("SELECT airlock.create_key({}, '{}') and use that key", literal(&name), p.sql_name())
        },
    )))
}

/// How the column's indexes move; 55000 naming everything that cannot.
fn movable(relation: pg_sys::Oid, column: &str, named: &str, becomes: Becomes) -> Result<Plan> {
    let mut found = inspect(|| dependents(relation, column))?;
    let plan = indexes::plan(relation, column, becomes)?;
    found.extend_from_slice(&plan.refused);
    if found.is_empty() {
        return Ok(plan);
    }
    let mut hint = String::from("drop them, change the column, and make those again that still have a meaning");
    if becomes == Becomes::Opaque && !plan.refused.is_empty() {
        hint.push_str("; with searchable => true indexes move to the column's match tag");
    }
    if becomes == (Becomes::Searchable { wide: false }) && plan.wants_wide {
        hint.push_str("; with \"unique\" => true unique indexes move to a match tag of 16 bytes");
    }
    Err(Error::new(Kind::State, format!("other objects depend on the type of {named}"))
        .detail(found.join("\n"))
        .hint(hint))
}

/// The change itself, its indexes out of the way before and made after.
fn change(relation: pg_sys::Oid, column: &str, plan: &Plan, alter: &str) -> Result<()> {
    plan.before.iter().try_for_each(|sql| execute(sql))?;
    forget_statistics(relation, column)?;
    execute(alter)?;
    forget_statistics(relation, column)?;
    plan.after.iter().try_for_each(|sql| execute(sql))
}
