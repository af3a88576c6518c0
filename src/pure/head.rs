//! The log's head as it is kept outside the database: one line that says how far the log went, and by which hash.
//!
//! `airlock-head:1:<system identifier>:<timeline>:<record id>:<time>:<hash>:<MAC>`: numbers in decimal, the time in
//! microseconds since 2000-01-01 UTC, hash and MAC in lower-case hex. The MAC is
//! `HMAC-SHA-256(chain key, len(label) | label | the line up to the MAC's colon)`. Whoever has such a line can tell later
//! whether the log still contains that record, or was rewritten or set back since.

use crate::pure::chain::Hash;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::keyring::ChainKey;
use data_encoding::HEXLOWER;
use subtle::ConstantTimeEq;

const LABEL: &[u8] = b"pg_airlock/exported-head/1";
const PREFIX: &str = "airlock-head:1";

/// How far the log went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The cluster.
    pub system: u64,
    /// Its timeline.
    pub timeline: u32,
    /// Id of the last record.
    pub id: i64,
    /// When the head was taken (µs since 2000).
    pub at: i64,
    /// The record's link in the chain.
    pub hash: Hash,
}

impl Head {
    /// The line.
    pub fn text(&self, key: &ChainKey) -> String {
        let body = self.body();
        format!("{body}:{}", HEXLOWER.encode(&mac(key, &body)))
    }

    /// The head that a line holds; white space around it does not count.
    ///
    /// # Errors
    /// 22P02 for what is no such line; AL003 for one that was not made under this key.
    pub fn open(key: &ChainKey, text: &str) -> Result<Head> {
        let text = text.trim();
        let (head, stored) = Self::read(text).ok_or_else(|| {
            Error::new(Kind::InvalidText, "this is no head of a read log")
                .hint("it is one line, as airlock.log_head() gives it")
        })?;
        match bool::from(mac(key, &head.body()).ct_eq(&stored)) {
            true => Ok(head),
            false => Err(Error::new(Kind::NotAuthentic, "this head is not one of this log")
                .detail("It was changed, or comes from another installation of pg_airlock.")),
        }
    }

    fn body(&self) -> String {
        let hash = HEXLOWER.encode(&self.hash);
        format!("{PREFIX}:{}:{}:{}:{}:{hash}", self.system, self.timeline, self.id, self.at)
    }

    /// Head and MAC of a line that is written as [`Head::text`] writes it.
    fn read(text: &str) -> Option<(Head, Hash)> {
        let (body, stored) = text.rsplit_once(':')?;
        let mut fields = body.strip_prefix(PREFIX)?.strip_prefix(':')?.split(':');
        let head = Head {
            system: fields.next()?.parse().ok()?,
            timeline: fields.next()?.parse().ok()?,
            id: fields.next()?.parse().ok()?,
            at: fields.next()?.parse().ok()?,
            hash: bytes(fields.next()?)?,
        };
        (head.body() == body).then_some((head, bytes(stored)?))
    }
}

fn bytes(hex: &str) -> Option<Hash> {
    HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()
}

fn mac(key: &ChainKey, body: &str) -> Hash {
    key.mac(&[&(LABEL.len() as u32).to_be_bytes(), LABEL, body.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pure::keyring::Secret;

    fn key(byte: u8) -> ChainKey {
        ChainKey::derive(&Secret::new([byte; 32]))
    }

    fn head() -> Head {
        Head { system: 7_301_882_113_337, timeline: 2, id: 900, at: 848_000_000_000_000, hash: [0xab; 32] }
    }

    #[test]
    fn a_line_reads_back_under_its_key_only() {
        let line = head().text(&key(1));
        assert_eq!(Head::open(&key(1), &line), Ok(head()));
        assert_eq!(Head::open(&key(1), &format!(" {line}\n")), Ok(head()));
        assert_eq!(Head::open(&key(2), &line).map_err(|e| e.kind), Err(Kind::NotAuthentic));
    }

    /// Whatever is changed in it.
    #[test]
    fn attack_changed_line() {
        let line = head().text(&key(1));
        for place in 0..line.len() {
            let mut bytes = line.clone().into_bytes();
            bytes[place] = if bytes[place] == b'1' { b'2' } else { b'1' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            let error = Head::open(&key(1), &changed).map_err(|e| e.kind);
            assert!(matches!(error, Err(Kind::NotAuthentic | Kind::InvalidText)), "{changed}: {error:?}");
        }
        for other in [
            "",
            ":",
            "airlock-head:1",
            &line[1..],
            &line[..line.len() - 1],
            &line.to_uppercase(),
            &line.replace(":2:", ":02:"),
        ] {
            assert_eq!(Head::open(&key(1), other).map_err(|e| e.kind), Err(Kind::InvalidText), "{other}");
        }
    }
}
