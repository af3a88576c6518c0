//! What each mask declares about itself (C7): one row of `airlock.masks` each.

use crate::pure::plaintext::PlainType;

/// What becomes of distinct values (C7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uniqueness {
    /// A permutation: distinct values stay distinct.
    Exact,
    /// Collision odds at 10^9 values below 10^-6.
    Practical,
    /// A permutation of well-formed values; the others are all one.
    Formed,
    /// Distinct values may meet.
    Lossy,
}

impl Uniqueness {
    /// The word in `airlock.masks`.
    pub fn label(self) -> &'static str {
        match self {
            Uniqueness::Exact => "exact",
            Uniqueness::Practical => "practical",
            Uniqueness::Formed => "formed",
            Uniqueness::Lossy => "lossy",
        }
    }
}

/// The declared properties of a mask (C7), one row of `airlock.masks`.
#[derive(Debug)]
pub struct Properties {
    /// The name in a scope definition.
    pub name: &'static str,
    /// Whether it needs the sub-processor's mask key.
    pub keyed: bool,
    /// Whether `a <= b` implies `mask(a) <= mask(b)`.
    pub keeps_order: bool,
    /// What becomes of distinct values.
    pub uniqueness: Uniqueness,
    /// What the output still tells.
    pub leaks: &'static str,
    /// The column types it takes, for people.
    pub types: &'static str,
    /// The same, for the check.
    pub accepts: &'static [PlainType],
    /// The result type: `same`, or the name of one.
    pub result: &'static str,
    /// The arguments it takes.
    pub arguments: &'static [&'static str],
}

use PlainType as T;

const ANY: &[T] = &[
    T::Bool,
    T::Int2,
    T::Int4,
    T::Int8,
    T::Float4,
    T::Float8,
    T::Numeric,
    T::Text,
    T::Date,
    T::Timestamp,
    T::Timestamptz,
    T::Uuid,
    T::Jsonb,
    T::Bytea,
    T::Inet,
    T::Json,
];
const TEXTS: &[T] = &[T::Text];
const DATES: &[T] = &[T::Date, T::Timestamp, T::Timestamptz];
const NUMBERS: &[T] = &[T::Int2, T::Int4, T::Int8, T::Numeric, T::Float4, T::Float8];
const INTEGERS: &[T] = &[T::Int2, T::Int4, T::Int8];
const CLAMPED: &[T] =
    &[T::Int2, T::Int4, T::Int8, T::Numeric, T::Float4, T::Float8, T::Date, T::Timestamp, T::Timestamptz];
const HASHED: &[T] = &[T::Text, T::Int2, T::Int4, T::Int8, T::Numeric, T::Uuid, T::Date, T::Bytea];
const DATE_NAMES: &str = "date, timestamp, timestamptz";

/// What most masks have in common.
const LOSSY: Properties = Properties {
    name: "nullify",
    keyed: false,
    keeps_order: false,
    uniqueness: Uniqueness::Lossy,
    leaks: "nothing",
    types: "any type",
    accepts: ANY,
    result: "same",
    arguments: &[],
};

/// In the order of [`Mask`]'s variants and of [`Mask::properties`].
pub(super) static ALL: [Properties; 26] = [
    LOSSY,
    Properties { name: "constant", arguments: &["value"], ..LOSSY },
    Properties {
        name: "redact",
        leaks: "the length if it is kept",
        types: "text",
        accepts: TEXTS,
        result: "text",
        arguments: &["fill", "keep_length", "keep_space"],
        ..LOSSY
    },
    Properties {
        name: "partial",
        leaks: "length, both ends",
        types: "text",
        accepts: TEXTS,
        result: "text",
        arguments: &["left", "right", "fill", "min_hidden"],
        ..LOSSY
    },
    Properties {
        name: "email",
        leaks: "what is shown",
        types: "text",
        accepts: TEXTS,
        result: "text",
        arguments: &["show"],
        ..LOSSY
    },
    Properties {
        name: "phone",
        leaks: "country, punctuation, last digits",
        types: "text",
        accepts: TEXTS,
        result: "text",
        arguments: &["country", "right"],
        ..LOSSY
    },
    Properties {
        name: "card",
        leaks: "first digits (BIN), last digits, length",
        types: "text",
        accepts: TEXTS,
        result: "text",
        arguments: &["bin", "right"],
        ..LOSSY
    },
    Properties {
        name: "iban",
        leaks: "country, length, last characters",
        types: "text",
        accepts: TEXTS,
        result: "text",
        arguments: &["right"],
        ..LOSSY
    },
    Properties {
        name: "initials",
        leaks: "first letters, word count",
        types: "text",
        accepts: TEXTS,
        result: "text",
        arguments: &["max"],
        ..LOSSY
    },
    Properties {
        name: "ip_prefix",
        leaks: "the network",
        types: "inet, cidr, text",
        accepts: &[T::Inet, T::Text],
        arguments: &["v4", "v6"],
        ..LOSSY
    },
    Properties {
        name: "url",
        leaks: "scheme, host; the path if it is kept",
        types: "text",
        accepts: TEXTS,
        result: "text",
        arguments: &["path"],
        ..LOSSY
    },
    Properties {
        name: "date_trunc",
        keeps_order: true,
        leaks: "the unit, infinity",
        types: DATE_NAMES,
        accepts: DATES,
        arguments: &["unit"],
        ..LOSSY
    },
    Properties {
        name: "age_band",
        leaks: "the band",
        types: DATE_NAMES,
        accepts: DATES,
        result: "text",
        arguments: &["width", "cap", "year"],
        ..LOSSY
    },
    Properties {
        name: "bucket",
        keeps_order: true,
        leaks: "the bucket",
        types: "smallint, integer, bigint, numeric, real, double precision",
        accepts: NUMBERS,
        arguments: &["step"],
        ..LOSSY
    },
    Properties {
        name: "round_sig",
        keeps_order: true,
        leaks: "size; values of few digits pass whole",
        types: "smallint, integer, bigint, numeric, real, double precision",
        accepts: NUMBERS,
        result: "same",
        arguments: &["digits"],
        ..LOSSY
    },
    Properties {
        name: "clamp",
        keeps_order: true,
        leaks: "values between the bounds",
        types: "smallint, integer, bigint, numeric, real, double precision, date, timestamp, timestamptz",
        accepts: CLAMPED,
        result: "same",
        arguments: &["low", "high"],
        ..LOSSY
    },
    Properties {
        name: "json",
        leaks: "structure and values along kept paths",
        types: "json, jsonb",
        accepts: &[T::Json, T::Jsonb],
        result: "same",
        arguments: &["keep"],
        ..LOSSY
    },
    Properties {
        name: "regex",
        leaks: "what the pattern captures",
        types: "text",
        accepts: TEXTS,
        result: "text",
        arguments: &["pattern", "replace"],
        ..LOSSY
    },
    Properties {
        name: "pseudonym",
        keyed: true,
        uniqueness: Uniqueness::Practical,
        leaks: "equality",
        types: "text, smallint, integer, bigint, numeric, uuid, date, bytea",
        accepts: HASHED,
        result: "text",
        arguments: &["length", "fold"],
        ..LOSSY
    },
    Properties {
        name: "pseudonym_int",
        keyed: true,
        uniqueness: Uniqueness::Exact,
        leaks: "equality, sign",
        types: "smallint, integer, bigint",
        accepts: INTEGERS,
        result: "bigint, or integer with 32 bits",
        arguments: &["bits"],
        ..LOSSY
    },
    Properties {
        name: "pseudonym_uuid",
        keyed: true,
        uniqueness: Uniqueness::Practical,
        leaks: "equality",
        types: "uuid",
        accepts: &[T::Uuid],
        result: "same",
        arguments: &[],
        ..LOSSY
    },
    Properties {
        name: "fpe",
        keyed: true,
        uniqueness: Uniqueness::Formed,
        leaks: "equality, length, punctuation",
        types: "text",
        accepts: TEXTS,
        result: "text",
        arguments: &["alphabet"],
        ..LOSSY
    },
    Properties {
        name: "fake",
        keyed: true,
        leaks: "equality, blurred",
        types: "text",
        accepts: TEXTS,
        result: "text",
        arguments: &["kind", "locale"],
        ..LOSSY
    },
    Properties {
        name: "hash_bucket",
        keyed: true,
        leaks: "the group",
        types: "text, smallint, integer, bigint, numeric, uuid, date, bytea",
        accepts: HASHED,
        result: "integer",
        arguments: &["buckets"],
        ..LOSSY
    },
    Properties {
        name: "date_shift",
        keyed: true,
        leaks: "distances between a subject's dates, time of day",
        types: DATE_NAMES,
        accepts: DATES,
        arguments: &["days"],
        ..LOSSY
    },
    Properties {
        name: "noise",
        keyed: true,
        leaks: "size",
        types: "smallint, integer, bigint, numeric, real, double precision",
        accepts: NUMBERS,
        arguments: &["abs", "ratio"],
        ..LOSSY
    },
];

impl Properties {
    /// The properties of the mask of that name.
    pub fn of(name: &str) -> Option<&'static Properties> {
        ALL.iter().find(|properties| properties.name == name)
    }
}
