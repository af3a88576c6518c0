//! The read record: what is known about one read, its bytes, and the sealed payload that travels in the WAL.
//!
//! `record  = deterministic CBOR map (RFC 8949 section 4.2): small integer keys ascending, absent members left out`
//! `message = record | private part | subject part`, each part only where the record has its hash
//! `payload = version(1) | log key version(4, BE) | nonce(24) | XAES-256-GCM(log key, nonce, aad, message)`
//! `aad     = "airlock" | version(1) | log key version(4, BE) | database oid(4, BE) | system identifier(8, BE)`
//!
//! Decoding is strict: whatever would not be written byte for byte the same is refused, so a record has one encoding
//! and its hash in the chain is the hash of what it says.

mod codec;
mod parts;
mod payload;
pub mod private;

pub use codec::{decode, encode};
pub use parts::{hash, join, split, Parts};
pub use payload::{check_size, key_version, open, seal};

/// Newest version of the record, member 0 of the map. A new member or kind is a new version; old versions stay readable,
/// and a record that needs nothing new is still written as the old one, so that each has one encoding.
pub const RECORD_VERSION: u8 = 2;
/// Version of the sealed payload, its first byte.
pub const PAYLOAD_VERSION: u8 = 1;
/// Most bytes of normalised statement text that a record keeps; the limit to give to [`crate::pure::normalise`].
pub const MAX_STATEMENT: usize = 8 * 1024;
/// Most bytes of one encoded record. A longer payload is refused before it is copied, so a forged message of any
/// size costs the reader of the WAL nothing.
pub const MAX_RECORD: usize = 16 * 1024 * 1024;
/// WAL message prefix, and the first part of the associated data.
pub const PREFIX: &str = "airlock";

/// What a record reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// A read is about to happen; written and flushed before the first row can leave.
    Intent,
    /// How the read of an earlier `Intent` or `Open` ended.
    Outcome,
    /// A read that was refused (AL006 to AL009).
    Denied,
    /// The backend of an `Intent` or `Open` is gone and left no outcome.
    Killed,
    /// Something in the log that should not be: a forged message, a hole, a repeat.
    Finding,
    /// A scope, contract, right or setting was changed.
    Configuration,
    /// Nothing happened for a while; shows that silence is not loss.
    Heartbeat,
    /// A whole read: what was sent, written and flushed before it was. Since version 2.
    Exact,
    /// A read that has begun to be sent, and its end is not known; an `Outcome` follows. Since version 2.
    Open,
    /// Somebody read the log itself; `detail` says what of it. Since version 2.
    Audit,
    /// The plan of a read was shown, and nothing was read; written and flushed before it was. Since version 2.
    Explain,
}

impl RecordKind {
    const ALL: [(RecordKind, u8, &'static str); 11] = [
        (RecordKind::Intent, 1, "intent"),
        (RecordKind::Outcome, 2, "outcome"),
        (RecordKind::Denied, 3, "denied"),
        (RecordKind::Killed, 4, "killed"),
        (RecordKind::Finding, 5, "finding"),
        (RecordKind::Configuration, 6, "configuration"),
        (RecordKind::Heartbeat, 7, "heartbeat"),
        (RecordKind::Exact, 8, "exact"),
        (RecordKind::Open, 9, "open"),
        (RecordKind::Audit, 10, "audit"),
        (RecordKind::Explain, 11, "explain"),
    ];

    /// The word in `airlock_catalog.read_record.kind`.
    pub fn label(self) -> &'static str {
        label(&Self::ALL, self)
    }

    /// Whether an `Outcome` or `Killed` of the same statement is still to come.
    pub fn is_beginning(self) -> bool {
        matches!(self, RecordKind::Intent | RecordKind::Open)
    }

    /// The kind of a label; `None` for any other word.
    pub fn from_label(word: &str) -> Option<Self> {
        from_label(&Self::ALL, word)
    }
}

/// How a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The statement finished.
    Ok,
    /// It raised an error; `sqlstate` says which.
    Error,
    /// It was cancelled, by the user or by a timeout.
    Cancelled,
    /// The session was terminated.
    Terminated,
    /// The backend vanished without a word.
    Killed,
    /// It is not known.
    Unknown,
}

impl Outcome {
    const ALL: [(Outcome, u8, &'static str); 6] = [
        (Outcome::Ok, 1, "ok"),
        (Outcome::Error, 2, "error"),
        (Outcome::Cancelled, 3, "cancelled"),
        (Outcome::Terminated, 4, "terminated"),
        (Outcome::Killed, 5, "killed"),
        (Outcome::Unknown, 6, "unknown"),
    ];

    /// The word in `airlock.access_log.outcome`.
    pub fn label(self) -> &'static str {
        label(&Self::ALL, self)
    }

    /// The outcome of a label; `None` for any other word.
    pub fn from_label(word: &str) -> Option<Self> {
        from_label(&Self::ALL, word)
    }
}

fn label<T: Copy + PartialEq>(all: &[(T, u8, &'static str)], value: T) -> &'static str {
    all.iter().find(|row| row.0 == value).map_or("", |row| row.2)
}

fn from_label<T: Copy>(all: &[(T, u8, &'static str)], word: &str) -> Option<T> {
    all.iter().find(|row| row.2 == word).map(|row| row.0)
}

fn code<T: Copy + PartialEq>(all: &[(T, u8, &'static str)], value: T) -> u8 {
    all.iter().find(|row| row.0 == value).map_or(0, |row| row.1)
}

fn from_code<T: Copy>(all: &[(T, u8, &'static str)], code: u8) -> Option<T> {
    all.iter().find(|row| row.1 == code).map(|row| row.0)
}

/// Names one statement of one backend for ever; joins an `Intent` or `Open` to its `Outcome`. A hole in `n` is a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StatementId {
    /// When the backend started, microseconds since 2000-01-01 UTC; tells a reused pid apart.
    pub backend_start: i64,
    /// Process id of the backend.
    pub pid: i32,
    /// Number of the recorded statement within the backend, from 1, without holes.
    pub n: u64,
}

/// One record. It holds names, counts and normalised text; never a constant of the statement and never a row's value.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// What the record reports.
    pub kind: RecordKind,
    /// When, in microseconds since 2000-01-01 UTC. Clocks only inform; order is by LSN.
    pub at: i64,
    /// The statement the record is about.
    pub statement_id: StatementId,
    /// Name of the sub-processor.
    pub subprocessor: String,
    /// Its contract at that time.
    pub contract: String,
    /// Role that authenticated.
    pub login_role: String,
    /// `session_user`
    pub session_role: String,
    /// `current_user`
    pub acting_role: String,
    /// Address of the client; `None` for a local socket.
    pub client_addr: Option<String>,
    /// Protocol and cipher, such as `TLSv1.3 TLS_AES_256_GCM_SHA384`; `None` without TLS.
    pub tls: Option<String>,
    /// `application_name`, as the client claims it.
    pub application_name: String,
    /// Name of the database.
    pub database: String,
    /// Scoped views the statement reads, qualified.
    pub views: Vec<String>,
    /// Columns it names, as `view.column`.
    pub columns: Vec<String>,
    /// Those of them that reach its result. Since version 2.
    pub returned: Vec<String>,
    /// Those of them that decide which rows do, and in which order. Since version 2.
    pub filtered: Vec<String>,
    /// The columns of tables beneath, and of the scopes' row filters, as `schema.table.column`. Since version 2.
    pub base_columns: Vec<String>,
    /// The purpose the read was made for.
    pub purpose: Option<String>,
    /// Statement without its constants, at most [`MAX_STATEMENT`] bytes.
    pub statement: String,
    /// How it ended, once that is known.
    pub outcome: Option<Outcome>,
    /// SQLSTATE of the error or refusal.
    pub sqlstate: Option<String>,
    /// Rows sent to the client.
    pub rows_sent: Option<i64>,
    /// Bytes of the messages that those rows were sent in.
    pub bytes_sent: Option<i64>,
    /// Microseconds from start to end.
    pub duration_us: Option<i64>,
    /// Text of a finding or of a configuration change.
    pub detail: Option<String>,
    /// SHA-256 of its private part: the constants that were taken out of the statement, and its parameters. The chain
    /// covers the hash, so the part itself can be erased. Since version 2.
    pub private: Option<[u8; 32]>,
    /// SHA-256 of its subject part ([`crate::pure::subjects`]). Since version 2.
    pub subjects: Option<[u8; 32]>,
    /// Numbers of the scopes that are read. Since version 2.
    pub scopes: Vec<i32>,
}

impl Record {
    /// The same without the statement and what it reads, which another record of the statement says.
    pub fn without_reads(self) -> Record {
        Record {
            statement: String::new(),
            views: Vec::new(),
            columns: Vec::new(),
            returned: Vec::new(),
            filtered: Vec::new(),
            base_columns: Vec::new(),
            scopes: Vec::new(),
            private: None,
            subjects: None,
            ..self
        }
    }

    /// The version that it is written in: the oldest that has all it says.
    fn version(&self) -> u8 {
        let new = matches!(self.kind, RecordKind::Exact | RecordKind::Open | RecordKind::Audit | RecordKind::Explain);
        let lists = [&self.returned, &self.filtered, &self.base_columns];
        let parts = self.private.is_some() || self.subjects.is_some() || !self.scopes.is_empty();
        if new || parts || lists.iter().any(|list| !list.is_empty()) {
            2
        } else {
            1
        }
    }

    /// A record with everything else empty or absent.
    pub fn new(kind: RecordKind, at: i64, statement_id: StatementId) -> Self {
        Record {
            kind,
            at,
            statement_id,
            subprocessor: String::new(),
            contract: String::new(),
            login_role: String::new(),
            session_role: String::new(),
            acting_role: String::new(),
            client_addr: None,
            tls: None,
            application_name: String::new(),
            database: String::new(),
            views: Vec::new(),
            columns: Vec::new(),
            returned: Vec::new(),
            filtered: Vec::new(),
            base_columns: Vec::new(),
            purpose: None,
            statement: String::new(),
            outcome: None,
            sqlstate: None,
            rows_sent: None,
            bytes_sent: None,
            duration_us: None,
            detail: None,
            private: None,
            subjects: None,
            scopes: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_is_read_back() {
        for (kind, _, word) in RecordKind::ALL {
            assert_eq!(kind.label(), word);
            assert_eq!(RecordKind::from_label(word), Some(kind));
        }
        for (outcome, _, word) in Outcome::ALL {
            assert_eq!(outcome.label(), word);
            assert_eq!(Outcome::from_label(word), Some(outcome));
        }
        assert_eq!(RecordKind::from_label("Intent"), None);
        assert_eq!(Outcome::from_label(""), None);
    }

    #[test]
    fn codes_are_distinct_and_not_zero() {
        // 0 is what a missing table row would give: no kind may be written so
        let kinds: Vec<u8> = RecordKind::ALL.iter().map(|row| row.1).collect();
        assert_eq!(kinds, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        let outcomes: Vec<u8> = Outcome::ALL.iter().map(|row| row.1).collect();
        assert_eq!(outcomes, [1, 2, 3, 4, 5, 6]);
    }
}
