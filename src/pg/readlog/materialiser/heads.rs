//! The log's head, kept in a file outside the database (`airlock.head_file`) by the log's worker, and compared with the log
//! when the worker starts: a server that was set back to an earlier moment, and a log that was rewritten, know less than
//! that file.

use super::store::{spi, Cursor};
use crate::pg::error::log;
use crate::pg::gucs;
use crate::pg::readlog::{replicated, wal};
use crate::pure::chain::Hash;
use crate::pure::error::Result;
use crate::pure::head::Head;
use crate::pure::keyring::ChainKey;
use pgrx::Spi;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
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

/// What the head file shows of a log that is not the one that was written.
pub struct Fork {
    /// In words.
    pub what: String,
    /// The file's text, by which it is accepted; empty where there is none to be read.
    pub text: String,
}

/// Compares the head file with the log, as far as this cursor; `None` where it shows nothing amiss, or there is no such file
/// and never was.
pub fn fork(key: &ChainKey, cursor: &Cursor) -> Result<Option<Fork>> {
    let path = gucs::head_file();
    if path.is_empty() {
        return Ok(None);
    }
    let none = |what: String| Ok(Some(Fork { what, text: String::new() }));
    let text = match read(Path::new(&path)) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return match cursor.head_path.as_deref() == Some(path.as_str()) {
                true => none(format!("the head file \"{path}\", which was kept there, is gone")),
                false => Ok(None),
            }
        }
        Err(error) => return none(format!("the head file \"{path}\" cannot be read: {error}")),
    };
    let what = match Head::open(key, &text) {
        Err(error) => format!("{}: \"{path}\"", error.message),
        Ok(head) => match fit(&head, cursor.last_id)? {
            Fit::Same | Fit::Erased => return Ok(None),
            Fit::Not(what) => format!("{what}, as the head file \"{path}\" shows"),
        },
    };
    Ok(Some(Fork { what, text }))
}

/// The head in the file, where there is one that can be read.
pub fn kept(key: &ChainKey) -> Option<Head> {
    read(Path::new(&gucs::head_file())).ok().and_then(|text| Head::open(key, &text).ok())
}

/// Waits for nothing, whatever lies there: a pipe has no end.
fn read(path: &Path) -> std::io::Result<String> {
    let file = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::new(ErrorKind::InvalidInput, "it is no ordinary file"));
    }
    let mut text = String::new();
    file.take(MOST).read_to_string(&mut text)?;
    Ok(text)
}

/// Keeps the newest head in the file that it was compared with, not more often than once a second.
pub struct Keeper {
    path: String,
    waiting: Option<String>,
    /// Behind the commit that made the head so.
    behind: u64,
    written: Option<Instant>,
    /// Whether the file has been written since.
    there: bool,
    said: String,
}

impl Keeper {
    /// For the file of now, which the log was compared with.
    pub fn for_now() -> Keeper {
        let path = gucs::head_file();
        Keeper { path, waiting: None, behind: 0, written: None, there: false, said: String::new() }
    }

    /// Whether the setting names another file than the one that the log was compared with.
    pub fn is_stale(&self) -> bool {
        self.path != gucs::head_file()
    }

    /// Where the head is kept, once it is.
    pub fn place(&self) -> Option<String> {
        self.there.then(|| self.path.clone())
    }

    /// The log's head is this now; call it where [`Keeper::keep`] follows behind the commit.
    pub fn note(&mut self, key: &ChainKey, id: i64, hash: Hash, system: u64, timeline: u32, at: i64) {
        if !self.path.is_empty() {
            self.waiting = Some(Head { system, timeline, id, at, hash }.text(key));
            self.behind = 0;
        }
    }

    /// Writes what waits, if it is time; what cannot be written is said once in the server log, and tried again. Where records
    /// are durable on a standby only, so is what the file says of them.
    pub fn keep(&mut self) {
        let Some(line) = self.waiting.as_deref().filter(|_| !self.is_stale()) else { return };
        if self.behind == 0 {
            self.behind = wal::inserted();
        }
        let early = gucs::durability() == gucs::Durability::Remote && replicated::confirmed() < self.behind;
        if early || self.written.is_some_and(|at| at.elapsed() < EVERY) {
            return;
        }
        self.written = Some(Instant::now());
        match write(Path::new(&self.path), line) {
            Ok(()) => {
                (self.waiting, self.there) = (None, true);
                self.said.clear();
            }
            Err(error) => {
                let what = format!("pg_airlock: the head file \"{}\" cannot be written: {error}", self.path);
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
    // made anew: what somebody put there is not written through
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(&beside)?;
    file.write_all(line.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    std::fs::File::open(directory)?.sync_all()
}
