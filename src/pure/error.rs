//! The one error of the pure half. `pg/error.rs` alone turns it into a SQLSTATE, message, detail and hint.
//!
//! Texts follow PostgreSQL's style guide: the message in lower case without a full stop, names quoted, the hint says
//! what to type. No text may hold a key, a plaintext, a nonce or a row's value.

use std::fmt;

/// What went wrong, by SQLSTATE. The first ten are the extension's own class `AL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `AL001`: no root key, or not the one this database was set up with.
    Locked,
    /// `AL002`: the key version is retired or destroyed.
    KeyVersion,
    /// `AL003`: the ciphertext does not authenticate here.
    NotAuthentic,
    /// `AL004`: the role has no right to decrypt, or to match.
    NoRight,
    /// `AL005`: the read log is not available.
    LogUnavailable,
    /// `AL006`: the sub-processor is suspended, terminated or expired.
    Suspended,
    /// `AL007`: outside the scope.
    OutsideScope,
    /// `AL008`: the purpose is missing or not in the contract.
    Purpose,
    /// `AL009`: this connection is not allowed (TLS, network).
    Connection,
    /// `AL010`: the scope definition is refused.
    ScopeRefused,
    /// `22023`: an argument has a value that is not allowed.
    InvalidArgument,
    /// `22P02`: text that is no value of the type; the value itself is never shown.
    InvalidText,
    /// `22003`: a number outside the type's range.
    OutOfRange,
    /// `42501`: insufficient privilege.
    Privilege,
    /// `42704`: no such key, sub-processor, scope.
    Undefined,
    /// `42710`: a key, sub-processor or scope of that name exists.
    Duplicate,
    /// `42809`: an object of a kind that this is not for.
    WrongObject,
    /// `42804`: types or keys that do not go together.
    Mismatch,
    /// `42883`: a comparison that the type does not have.
    NoOperator,
    /// `42P16`: a table definition that is not allowed, such as an encrypted column without a key.
    InvalidTable,
    /// `42P17`: an object definition that is not allowed, such as a literal in stored DDL.
    InvalidObject,
    /// `25001`: it cannot run inside a transaction block.
    TransactionBlock,
    /// `25006`: the server is a standby and changes nothing.
    ReadOnly,
    /// `55000`: the object is not in a state that allows this.
    State,
    /// `55006`: somebody else is at it.
    InUse,
    /// `0A000`: not supported.
    Unsupported,
    /// `XX001`: the extension's own catalog holds something that cannot be.
    Corrupt,
}

impl Kind {
    /// The five characters of the SQLSTATE.
    pub fn sqlstate(self) -> &'static str {
        match self {
            Kind::Locked => "AL001",
            Kind::KeyVersion => "AL002",
            Kind::NotAuthentic => "AL003",
            Kind::NoRight => "AL004",
            Kind::LogUnavailable => "AL005",
            Kind::Suspended => "AL006",
            Kind::OutsideScope => "AL007",
            Kind::Purpose => "AL008",
            Kind::Connection => "AL009",
            Kind::ScopeRefused => "AL010",
            Kind::InvalidArgument => "22023",
            Kind::InvalidText => "22P02",
            Kind::OutOfRange => "22003",
            Kind::Privilege => "42501",
            Kind::Undefined => "42704",
            Kind::Duplicate => "42710",
            Kind::WrongObject => "42809",
            Kind::Mismatch => "42804",
            Kind::NoOperator => "42883",
            Kind::InvalidTable => "42P16",
            Kind::InvalidObject => "42P17",
            Kind::TransactionBlock => "25001",
            Kind::ReadOnly => "25006",
            Kind::State => "55000",
            Kind::InUse => "55006",
            Kind::Unsupported => "0A000",
            Kind::Corrupt => "XX001",
        }
    }
}

/// An error with all that the user is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Decides the SQLSTATE.
    pub kind: Kind,
    /// Primary message.
    pub message: String,
    /// DETAIL, when there is more to say.
    pub detail: Option<String>,
    /// HINT: what to type.
    pub hint: Option<String>,
}

/// `Result` with the pure half's error.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error with a primary message only.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), detail: None, hint: None }
    }

    /// Adds the DETAIL.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds the HINT.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// `AL010` at a JSON path of the scope definition, such as `$.email.right`.
    pub fn scope(path: &str, message: impl Into<String>) -> Self {
        Error::new(Kind::ScopeRefused, message).detail(format!("at {path}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.sqlstate(), self.message)
    }
}

impl std::error::Error for Error {}
