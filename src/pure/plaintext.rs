//! Typed plaintext values and their canonical, padded bytes.
//!
//! A value is sealed as the type it is, never as text that a session setting (DateStyle, TimeZone …) can reshape, so
//! equality is by value and readers get a real `date`.

use ipnet::IpNet;
use std::fmt;

mod bytes;

pub use bytes::{canonical, decode, encode, is_padded};

/// The plaintext types an encrypted column can have, and the types masks work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlainType {
    /// `boolean`
    Bool,
    /// `smallint`
    Int2,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `real`
    Float4,
    /// `double precision`
    Float8,
    /// `numeric`
    Numeric,
    /// `text`, and what goes as text: varchar, char(n), citext
    Text,
    /// `date`
    Date,
    /// `timestamp without time zone`
    Timestamp,
    /// `timestamp with time zone`
    Timestamptz,
    /// `uuid`
    Uuid,
    /// `jsonb`
    Jsonb,
    /// `bytea`
    Bytea,
    /// `inet`, and what goes as inet: cidr. For masks only: no key seals it.
    Inet,
    /// `json`, whose text is not canonical. For masks only: no key seals it.
    Json,
}

/// One plaintext value. Deliberately without a `Debug` that shows it.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// boolean
    Bool(bool),
    /// smallint
    Int2(i16),
    /// integer
    Int4(i32),
    /// bigint
    Int8(i64),
    /// real
    Float4(f32),
    /// double precision
    Float8(f64),
    /// numeric as PostgreSQL prints it: `-12.50`, `NaN`, `Infinity`, `-Infinity`
    Numeric(String),
    /// text, UTF-8
    Text(String),
    /// days since 2000-01-01 (PostgreSQL's DateADT); i32::MIN is -infinity, i32::MAX infinity
    Date(i32),
    /// microseconds since 2000-01-01 00:00 (PostgreSQL's Timestamp); i64::MIN and i64::MAX are the infinities
    Timestamp(i64),
    /// the same in UTC
    Timestamptz(i64),
    /// sixteen bytes
    Uuid([u8; 16]),
    /// jsonb's text output (canonical: keys sorted and unique)
    Jsonb(String),
    /// bytes
    Bytea(Vec<u8>),
    /// an address with its netmask's length; host bits stay
    Inet(IpNet),
    /// json as it was written
    Json(String),
}

impl PlainType {
    /// Every type that a key can seal, in the order of its code.
    pub const ALL: [PlainType; 14] = [
        PlainType::Bool,
        PlainType::Int2,
        PlainType::Int4,
        PlainType::Int8,
        PlainType::Float4,
        PlainType::Float8,
        PlainType::Numeric,
        PlainType::Text,
        PlainType::Date,
        PlainType::Timestamp,
        PlainType::Timestamptz,
        PlainType::Uuid,
        PlainType::Jsonb,
        PlainType::Bytea,
    ];

    /// The type's number in associated data and match tags. Frozen: a changed code makes stored values unreadable. Those of
    /// the types that are for masks only are in no stored value.
    pub fn code(self) -> u8 {
        match self {
            PlainType::Bool => 1,
            PlainType::Int2 => 2,
            PlainType::Int4 => 3,
            PlainType::Int8 => 4,
            PlainType::Float4 => 5,
            PlainType::Float8 => 6,
            PlainType::Numeric => 7,
            PlainType::Text => 8,
            PlainType::Date => 9,
            PlainType::Timestamp => 10,
            PlainType::Timestamptz => 11,
            PlainType::Uuid => 12,
            PlainType::Jsonb => 13,
            PlainType::Bytea => 14,
            PlainType::Inet => 15,
            PlainType::Json => 16,
        }
    }

    /// The type of that code, if there is one.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|ty| ty.code() == code)
    }

    /// The type's name as SQL spells it.
    pub fn sql_name(self) -> &'static str {
        match self {
            PlainType::Bool => "boolean",
            PlainType::Int2 => "smallint",
            PlainType::Int4 => "integer",
            PlainType::Int8 => "bigint",
            PlainType::Float4 => "real",
            PlainType::Float8 => "double precision",
            PlainType::Numeric => "numeric",
            PlainType::Text => "text",
            PlainType::Date => "date",
            PlainType::Timestamp => "timestamp without time zone",
            PlainType::Timestamptz => "timestamp with time zone",
            PlainType::Uuid => "uuid",
            PlainType::Jsonb => "jsonb",
            PlainType::Bytea => "bytea",
            PlainType::Inet => "inet",
            PlainType::Json => "json",
        }
    }

    /// The type of that name or usual alias, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        let ty = match name.to_ascii_lowercase().as_str() {
            "boolean" | "bool" => PlainType::Bool,
            "smallint" | "int2" => PlainType::Int2,
            "integer" | "int" | "int4" => PlainType::Int4,
            "bigint" | "int8" => PlainType::Int8,
            "real" | "float4" => PlainType::Float4,
            "double precision" | "float8" => PlainType::Float8,
            "numeric" | "decimal" => PlainType::Numeric,
            "text" | "varchar" | "character varying" => PlainType::Text,
            "date" => PlainType::Date,
            "timestamp without time zone" | "timestamp" => PlainType::Timestamp,
            "timestamp with time zone" | "timestamptz" => PlainType::Timestamptz,
            "uuid" => PlainType::Uuid,
            "jsonb" => PlainType::Jsonb,
            "bytea" => PlainType::Bytea,
            "inet" => PlainType::Inet,
            "json" => PlainType::Json,
            _ => return None,
        };
        Some(ty)
    }

    /// True if values differ in length, so that the length tells of the value and is padded.
    pub fn is_variable(self) -> bool {
        matches!(self, PlainType::Numeric | PlainType::Text | PlainType::Jsonb | PlainType::Bytea)
    }
}

impl Value {
    /// The type this value is of.
    pub fn plain_type(&self) -> PlainType {
        match self {
            Value::Bool(_) => PlainType::Bool,
            Value::Int2(_) => PlainType::Int2,
            Value::Int4(_) => PlainType::Int4,
            Value::Int8(_) => PlainType::Int8,
            Value::Float4(_) => PlainType::Float4,
            Value::Float8(_) => PlainType::Float8,
            Value::Numeric(_) => PlainType::Numeric,
            Value::Text(_) => PlainType::Text,
            Value::Date(_) => PlainType::Date,
            Value::Timestamp(_) => PlainType::Timestamp,
            Value::Timestamptz(_) => PlainType::Timestamptz,
            Value::Uuid(_) => PlainType::Uuid,
            Value::Jsonb(_) => PlainType::Jsonb,
            Value::Bytea(_) => PlainType::Bytea,
            Value::Inet(_) => PlainType::Inet,
            Value::Json(_) => PlainType::Json,
        }
    }

    /// An upper bound of its canonical bytes, so that no vector has to grow and leave a copy behind.
    fn room(&self) -> usize {
        match self {
            // a missing zero before the point is added
            Value::Numeric(text) => text.len() + 1,
            Value::Text(text) | Value::Jsonb(text) | Value::Json(text) => text.len(),
            Value::Bytea(bytes) => bytes.len(),
            _ => 16,
        }
    }
}

/// Shows the type, never the value.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.plain_type().sql_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_frozen_and_names_read_back() {
        for (at, ty) in PlainType::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(ty.code()), at + 1);
            assert_eq!(PlainType::from_code(ty.code()), Some(ty));
            assert_eq!(PlainType::from_name(ty.sql_name()), Some(ty));
            assert_eq!(PlainType::from_name(&ty.sql_name().to_uppercase()), Some(ty));
        }
        assert_eq!(PlainType::from_code(0), None);
        assert_eq!(PlainType::from_code(15), None);
    }

    #[test]
    fn aliases_are_known() {
        for (alias, ty) in [
            ("bool", PlainType::Bool),
            ("int2", PlainType::Int2),
            ("int", PlainType::Int4),
            ("int4", PlainType::Int4),
            ("int8", PlainType::Int8),
            ("float4", PlainType::Float4),
            ("float8", PlainType::Float8),
            ("decimal", PlainType::Numeric),
            ("varchar", PlainType::Text),
            ("timestamp", PlainType::Timestamp),
            ("timestamptz", PlainType::Timestamptz),
        ] {
            assert_eq!(PlainType::from_name(alias), Some(ty));
        }
        for unknown in ["money", "", " text", "numeric(10,2)"] {
            assert_eq!(PlainType::from_name(unknown), None);
        }
    }

    #[test]
    fn what_masks_alone_know_is_never_sealed() {
        for (ty, name) in [(PlainType::Inet, "inet"), (PlainType::Json, "json")] {
            assert!(!PlainType::ALL.contains(&ty));
            assert_eq!((PlainType::from_code(ty.code()), PlainType::from_name(name)), (None, Some(ty)));
            assert!(decode(ty, b"10.0.0.1/8".to_vec().into(), false).is_err());
        }
    }

    #[test]
    fn debug_shows_no_value() {
        assert_eq!(format!("{:?}", Value::Text("secret".into())), "text");
        assert_eq!(format!("{:?}", Some(Value::Int4(42))), "Some(integer)");
    }
}
