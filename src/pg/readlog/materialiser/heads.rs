//! The log's head, kept in a file outside the database (`airlock.head_file`) by the log's worker, and compared with the log
//! when the worker starts: a server that was set back to an earlier moment, and a log that was rewritten, know less than
//! that file.

use super::store::spi;
use crate::pg::error::log;
use crate::pg::gucs;
use crate::pure::chain::Hash;
use crate::pure::error::Result;
use crate::pure::head::Head;
use crate::pure::keyring::ChainKey;
use pgrx::Spi;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Least time between two writes.
const EVERY: Duration = Duration::from_secs(1);
/// Longest file that is read: a line has some 200 bytes.
const MOST: u64 = 1024;

/// What the log has at a head's place.
#[derive(Debug, PartialEq, Eq)]
pub enum Fit {
    /// The same record.
    Same,
    /// Nothing any more: it was erased after its time.
    Erased,
    /// Something else, in words that go on from the head's name.
    Not(String),
}

/// Compares a head with the log, whose last record is this.
pub fn fit(head: &Head, last_id: i64) -> Result<Fit> {
    if head.id > last_id {
        let which = match head.id - last_id {
            1 => format!("record {} is", head.id),
            _ => format!("records {} to {} are", last_id + 1, head.id),
        };
        return Ok(Fit::Not(format!("{which} not in this log, which ends with record {last_id}")));
    }
    if head.id == 0 {
        return Ok(Fit::Same);
    }
    let sql = "SELECT (SELECT r.hash FROM airlock_catalog.read_record r WHERE r.id = $1), \
               (SELECT r.id FROM airlock_catalog.read_record r ORDER BY r.id LIMIT 1)";
    let (hash, first) = Spi::connect(|client| {
        client.select(sql, Some(1), &[head.id.into()]).and_then(|t| t.first().get_two::<Vec<u8>, i64>()).map_err(spi)
    })?;
    let same = hash.as_deref().map(|hash| hash == head.hash.as_slice());
    Ok(match (same, first) {
        (Some(true), _) => Fit::Same,
        (Some(false), _) => Fit::Not(format!("record {} is another in this log", head.id)),
        (None, Some(first)) if head.id < first => Fit::Erased,
        (None, _) => Fit::Not(format!("record {} is missing in this log", head.id)),
    })
}

/// Why the head file shows that this log, which ends with `last_id`, is not the one that was written; `None` when it shows
/// nothing of the kind, or there is no such file.
pub fn fork(key: &ChainKey, last_id: i64) -> Result<Option<String>> {
    let path = gucs::head_file();
    if path.is_empty() {
        return Ok(None);
    }
    let text = match read(Path::new(&path)) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Ok(Some(format!("the head file \"{path}\" cannot be read: {error}"))),
    };
    let said = match Head::open(key, &text) {
        Err(error) => Some(format!("{}: \"{path}\"", error.message)),
        Ok(head) => match fit(&head, last_id)? {
            Fit::Same | Fit::Erased => None,
            Fit::Not(what) => Some(format!("{what}, as the head file \"{path}\" shows")),
        },
    };
    Ok(said)
}

/// The head in the file, where there is one that can be read.
pub fn kept(key: &ChainKey) -> Option<Head> {
    read(Path::new(&gucs::head_file())).ok().and_then(|text| Head::open(key, &text).ok())
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MOST).read_to_string(&mut text)?;
    Ok(text)
}

/// Keeps the newest head in the file, not more often than once a second.
#[derive(Default)]
pub struct Keeper {
    waiting: Option<String>,
    written: Option<Instant>,
    said: String,
}

impl Keeper {
    /// The log's head is this now; call it where [`Keeper::keep`] follows behind the commit.
    pub fn note(&mut self, key: &ChainKey, id: i64, hash: Hash, system: u64, timeline: u32, at: i64) {
        if !gucs::head_file().is_empty() {
            self.waiting = Some(Head { system, timeline, id, at, hash }.text(key));
        }
    }

    /// Writes what waits, if it is time; what cannot be written is said once in the server log, and tried again.
    pub fn keep(&mut self) {
        if self.waiting.is_none() || self.written.is_some_and(|at| at.elapsed() < EVERY) {
            return;
        }
        self.written = Some(Instant::now());
        let path = gucs::head_file();
        let Some(line) = self.waiting.as_deref().filter(|_| !path.is_empty()) else {
            self.waiting = None;
            return;
        };
        match write(Path::new(&path), line) {
            Ok(()) => {
                self.waiting = None;
                self.said.clear();
            }
            Err(error) => {
                let what = format!("pg_airlock: the head file \"{path}\" cannot be written: {error}");
                if self.said != what {
                    log(&what);
                    self.said = what;
                }
            }
        }
    }
}

/// Replaces the file by one with this line, so that a crash leaves the old one or the new one.
fn write(path: &Path, line: &str) -> std::io::Result<()> {
    let Some(directory) = path.parent().filter(|_| path.is_absolute()) else {
        return Err(std::io::Error::new(ErrorKind::InvalidInput, "airlock.head_file is no absolute path"));
    };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(line.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    std::fs::File::open(directory)?.sync_all()
}
