//! Encrypted columns: what input, casts and length coercion make of a value, and how it is opened again.
//!
//! ```text
//! literal, untyped $1 ─ input, typmod -1 ─▶ carrier ─ length coercion, the column's typmod ─▶ stored value
//! text, int, date …   ─ assignment cast with the column's typmod ──────────────────────────▶ stored value
//! COPY, jsonb_populate_record, apply worker ─ input with the column's typmod ──────────────▶ stored value
//! ```
//!
//! A typmod is a column number (values are sealed for that column) or, outside column definitions, a key's number (the
//! carrier is checked against the key's plaintext type and stays a carrier).

pub mod advice;
pub mod bind;
mod bound_ddl;
pub mod cast;
mod created_as;
pub mod ddl;
pub mod equality;
pub mod held;
pub mod inout;
pub mod needle;
pub mod scan;
pub mod search;
pub mod twin;
pub mod value;

#[cfg(any(test, feature = "pg_test"))]
mod tests;

use ddl::is_ours;
pub use ddl::{is_encrypted, type_oids};
pub use value::{datum_to_value, inet_datum, inet_of, plain_type_of, value_to_datum, value_to_text};

use crate::pg::gucs::{encrypted_input, EncryptedInput};
use crate::pg::keys::entropy;
use crate::pg::keys::ring::{self, ColumnInfo, KeyInfo, Number, Opener, SealVersion};
use crate::pg::readlog::identity;
use crate::pg::sys::Args;
use crate::pure::envelope::{self, Row, Sealing};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::plaintext::{decode, encode, is_padded, Value};
use crate::pure::tag::{self, MatchTag};
use pgrx::pg_sys::Oid;
use std::ops::Range;
use std::rc::Rc;
use value::{parse, Plain};
use zeroize::Zeroizing;

/// Which of the two types.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `airlock.encrypted`
    Plain,
    /// `airlock.encrypted_eq`: its values carry a match tag
    Searchable,
}

/// AL007 in a sub-processor's session: it can build no ciphertext and open none but through its views.
fn refuse_subprocessor() -> Result<()> {
    if identity::known_other() {
        return Ok(());
    }
    match identity::subprocessor()? {
        None => Ok(()),
        Some(name) => Err(Error::new(
            Kind::OutsideScope,
            format!("encrypted values are outside the scope of sub-processor \"{name}\""),
        )
        .hint("read the views that were granted; they decrypt what the scope allows")),
    }
}

/// What text given to the type means: a carrier, a value sealed for the column, or, in ciphertext mode, itself.
fn take(text: &str, typmod: i32, form: Form) -> Result<Vec<u8>> {
    match taken_as_it_is(text, form)? {
        Some(bytes) => Ok(bytes),
        None if typmod < 0 => carrier(text),
        None => place(text, typmod, form),
    }
}

/// In ciphertext mode the stored value that the text is; otherwise nothing, and 22P02 if it looks like one.
fn taken_as_it_is(text: &str, form: Form) -> Result<Option<Vec<u8>>> {
    if encrypted_input() == EncryptedInput::Ciphertext {
        let bytes = envelope::from_text(text)?;
        check_form(&bytes, form)?;
        return Ok(Some(bytes));
    }
    if envelope::looks_like_ciphertext(text) {
        return Err(ciphertext_given());
    }
    Ok(None)
}

fn ciphertext_given() -> Error {
    Error::new(Kind::InvalidText, "ciphertext was given as the plaintext of an encrypted column").hint(
        "Leave out a column that was read and not changed. For a restore: SET airlock.encrypted_input = ciphertext. \
         To copy a value: airlock.decrypt(c).",
    )
}

/// Text for a typmod: sealed for a column, checked and still a carrier for a key.
fn place(text: &str, typmod: i32, form: Form) -> Result<Vec<u8>> {
    match number(typmod)? {
        Number::Column(column) => seal(&column, &Plain(parse(text, column.key.plain_type)?).0, form),
        Number::Key(key) => {
            drop(Plain(parse(text, key.plain_type)?));
            carrier(text)
        }
    }
}

/// What a typmod names; 42704 when the catalog does not know it.
fn number(typmod: i32) -> Result<Number> {
    ring::number(typmod)?.ok_or_else(|| unknown_number(typmod))
}

fn unknown_number(typmod: i32) -> Error {
    Error::new(Kind::Undefined, format!("there is no key or encrypted column with number {typmod}")).hint(
        "Write the key's name, airlock.encrypted('pii'). In a restore the rows of airlock_catalog come with the dump of \
         the whole database; SET airlock.encrypted_input = ciphertext stores values before they have come.",
    )
}

/// A literal on its way: its text under this backend's ephemeral key.
fn carrier(text: &str) -> Result<Vec<u8>> {
    Ok(envelope::seal_carrier(&*ring::carrier_key()?, &entropy::random()?, text.as_bytes()))
}

/// The text in a carrier of this backend; AL003 for any other.
fn carried(bytes: &[u8]) -> Result<Zeroizing<String>> {
    let text = envelope::open_carrier(&*ring::carrier_key()?, bytes)?;
    // what was sealed was UTF-8
    let text = std::str::from_utf8(&text)
        .map_err(|_| Error::new(Kind::NotAuthentic, "a literal of an encrypted column is damaged"))?;
    Ok(Zeroizing::new(text.to_string()))
}

/// Which of the two types that is, if it is one.
fn form_of(oid: pgrx::pg_sys::Oid) -> Option<Form> {
    let (plain, searchable) = type_oids()?;
    match oid {
        _ if oid == plain => Some(Form::Plain),
        _ if oid == searchable => Some(Form::Searchable),
        _ => None,
    }
}

/// Seals a value of the key's plaintext type for a column; where that is bound, the trigger seals it for its row.
fn seal(column: &ColumnInfo, value: &Value, form: Form) -> Result<Vec<u8>> {
    seal_in(column, value, None, form)
}

/// Seals it for a row of the column, or for none.
fn seal_in(column: &ColumnInfo, value: &Value, row: Option<&Row>, form: Form) -> Result<Vec<u8>> {
    let key = &column.key;
    let version = ring::active_seal(key.key_no)?;
    let tag = match form {
        Form::Plain => None,
        Form::Searchable => Some(match_tag(column, value)?),
    };
    let plain = encode(value, key.pad);
    version.keys.seal(|with, nonce| {
        let sealing = Sealing {
            key: with,
            version_id: version.version_id,
            column_uuid: &column.uuid,
            plain_type: key.plain_type,
            tag,
            padded: is_padded(key.plain_type, key.pad),
        };
        match row {
            None => envelope::seal(&sealing, nonce, &plain),
            Some(row) => envelope::seal_bound(&sealing, row, nonce, &plain),
        }
    })
}

/// The match tag of a value in a column.
fn match_tag(column: &ColumnInfo, value: &Value) -> Result<MatchTag> {
    let wide = tag::wide(&*ring::match_key(&column.key)?, value, column.key.normalise);
    Ok(if column.wide { MatchTag::Wide(wide) } else { MatchTag::Narrow(tag::narrow(&wide)) })
}

/// A stored value's structure fits the type: a tag for `encrypted_eq`, none for `encrypted`.
fn check_form(bytes: &[u8], form: Form) -> Result<()> {
    let header = envelope::parse(bytes)?;
    if header.tag.is_some() == (form == Form::Searchable) {
        return Ok(());
    }
    Err(Error::new(Kind::NotAuthentic, "ciphertext is of the other encrypted type")
        .detail("Values of airlock.encrypted_eq carry a match tag, values of airlock.encrypted carry none."))
}

/// Opens a stored value of this column, which is bound to no row. AL002, AL003.
fn open(column: &ColumnInfo, bytes: &[u8]) -> Result<Value> {
    match column.bind.is_empty() {
        true => open_in(column, bytes, None),
        false => Err(rowless(column)),
    }
}

fn rowless(column: &ColumnInfo) -> Error {
    Error::new(Kind::NotAuthentic, "the column is bound to its row, and the row is not given")
        .detail(origin(column))
        .hint(format!("give the bound columns as last arguments: {}", bind::call(column)))
}

/// Opens a stored value of this column and row, or one that is bound to no row. AL002, AL003.
fn open_in(column: &ColumnInfo, bytes: &[u8], row: Option<&Row>) -> Result<Value> {
    let header = envelope::parse(bytes).map_err(|e| read_from(column, e))?;
    open_by(column, &*version_of(column, &header)?, &header, row)
}

/// The version that sealed a value of this column. AL003 where it is of another key.
fn version_of(column: &ColumnInfo, header: &envelope::Header<'_>) -> Result<Rc<SealVersion>> {
    let version = ring::seal_version(header.version_id)?;
    if version.key.key_no != column.key.key_no {
        return Err(read_from(column, Error::new(Kind::NotAuthentic, "ciphertext does not authenticate here")
            .hint("The value is sealed under another key: it was moved from another column. To copy a value, write SET d = airlock.decrypt(c).")));
    }
    Ok(version)
}

fn open_by(
    column: &ColumnInfo,
    version: &SealVersion,
    header: &envelope::Header<'_>,
    row: Option<&Row>,
) -> Result<Value> {
    let plain_type = column.key.plain_type;
    let plain = version.keys.open(header.nonce(), |key| header.open(row, key, &column.uuid, plain_type))?;
    decode(plain_type, plain.map_err(|e| read_from(column, e))?, header.padded)
}

/// An error with where the value was read in its detail.
fn read_from(column: &ColumnInfo, e: Error) -> Error {
    let why = e.detail.clone().map_or(String::new(), |why| why + " ");
    e.detail(why + &origin(column))
}

/// Where a value was read, for the detail of an error.
fn origin(column: &ColumnInfo) -> String {
    format!("The value was read from encrypted column number {}, key \"{}\".", column.column_no, column.key.name)
}

/// Opens a stored value of the column that `typmod` names, for a role that must have the right to; for `None` whoever calls
/// has checked. Those arguments of the call that `bound` says are the row that it is bound to, where it is.
///
/// # Errors
/// AL003 when the typmod names no column, or the value is not of that column and row; AL004 without the right; AL001, AL002
/// by the state of the keys; 22023 when the row has another number of columns.
pub fn open_value(bytes: &[u8], typmod: i32, reader: Option<Oid>, args: Args, bound: Range<usize>) -> Result<Value> {
    // all that is wrong with the call is told before anything of the value
    let called = || {
        let column = column_of(typmod)?;
        reader.map_or(Ok(()), |role| ring::may_decrypt(&column.key, role))?;
        row_given(&column, args, &bound).map(|_| column)
    };
    let header = match envelope::parse(bytes) {
        Ok(header) => header,
        Err(e) => return Err(read_from(&*called()?, e)),
    };
    let opener = ring::lately((typmod, header.version_id), reader, || {
        let column = called()?;
        let version = version_of(&column, &header)?;
        Ok(Opener { column, version, reader })
    })?;
    let row = row_given(&opener.column, args, &bound)?;
    open_by(&opener.column, &opener.version, &header, row.as_ref())
}

/// The row that a call gives by these arguments. AL003 where the column needs one and there are none.
fn row_given(column: &ColumnInfo, args: Args, bound: &Range<usize>) -> Result<Option<Row>> {
    match (bound.is_empty(), column.bind.is_empty()) {
        (false, _) => bind::row_of(args, bound.clone(), column).map(Some),
        (true, true) => Ok(None),
        (true, false) => Err(rowless(column)),
    }
}

/// Opens a stored value of this column, of the row whose bound columns these are (`None`: NULL), with their types. Checks no right: whoever
/// calls shows nothing of it, or has checked.
///
/// # Errors
/// AL003, AL002, AL001; 42804 for a type that nothing can be bound to.
pub fn open_stored(
    column: &ColumnInfo,
    bytes: &[u8],
    bound: &[(Option<pgrx::pg_sys::Datum>, pgrx::pg_sys::Oid)],
) -> Result<Value> {
    open_in(column, bytes, bind::row_of_fields(bound)?.as_ref())
}

/// Opens a stored value of this column and row, and throws it away: whether it is authentic here, and of the right type.
/// Checks no right, for nothing is shown.
///
/// # Errors
/// AL003, its DETAIL says what is wrong, as does that of AL002; AL001.
pub fn authenticate(column: &ColumnInfo, bytes: &[u8], row: Option<&Row>, form: Form) -> Result<()> {
    let header = envelope::parse(bytes)?;
    check_form(bytes, form)?;
    let version = ring::seal_version(header.version_id)?;
    if version.key.key_no != column.key.key_no {
        return Err(Error::new(Kind::NotAuthentic, "ciphertext does not authenticate here").detail(format!(
            "It is sealed under key \"{}\", not this column's: it was moved here.",
            version.key.name
        )));
    }
    let plain_type = column.key.plain_type;
    let plain = version.keys.open(header.nonce(), |key| header.open(row, key, &column.uuid, plain_type))?;
    decode(plain_type, plain?, header.padded).map(|value| drop(Plain(value)))
}

/// The column that a typmod names. AL003 for a key's number, or when the call site knows none.
fn column_of(typmod: i32) -> Result<Rc<ColumnInfo>> {
    if typmod >= 0 {
        if let Number::Column(column) = number(typmod)? {
            return Ok(column);
        }
    }
    Err(Error::new(Kind::NotAuthentic, "the column of an encrypted value is not known here")
        .detail("CASE, UNION of two columns, window functions, array_agg, parameters and untyped variables lose it.")
        .hint("decrypt the column itself, then compute"))
}

/// The key whose version sealed a stored value; AL003 when it is of no key here.
fn key_of(version_id: u32) -> Result<Rc<KeyInfo>> {
    ring::key_of_version(version_id)?
        .ok_or_else(|| Error::new(Kind::NotAuthentic, "the value is sealed by a key that is not of this database"))
}
