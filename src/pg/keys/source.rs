//! The sources of the root key as plain I/O: a file, a credential of systemd, an environment variable, a command. What
//! it is and whether it may be used is decided elsewhere (`pure::key_source`, `root`).
//!
//! Every failure says where it looked, never what it found, and what to type.
#![allow(unsafe_code)] // ◆ geteuid

use super::command::{self, Failure, Text, MOST};
use super::memory::Locked;
use crate::pg::gucs;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::key_source::KeySource;
use crate::pure::keyring::RootKey;
use std::fs::File;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::time::Duration;
use zeroize::Zeroizing;

/// Largest wrapped key that is given to a command.
const MOST_WRAPPED: u64 = 65_536;

/// What to type where a file is at fault.
const FILE: &str = "openssl rand -hex 32 makes a key; its file must be readable by the server's user only; airlock.root_key_source = 'file:/absolute/path', then reload";

fn locked(message: impl Into<String>) -> Error {
    Error::new(Kind::Locked, message)
}

/// Reads the root key from where it lies, now. A command is run, whoever else runs it.
///
/// # Errors
/// `AL001`.
pub fn read(source: &KeySource) -> Result<Locked<RootKey>> {
    let text = match source {
        KeySource::File(path) => file(path, "root key file", 0o077, FILE)?,
        KeySource::Credential(name) => credential(name)?,
        KeySource::Env(name) => environment(name)?,
        KeySource::Command(_) | KeySource::Unwrap { .. } => {
            if !command::possible() {
                return Err(locked("the root key command cannot be run at this moment").hint("begin a new session"));
            }
            let blob = wrapped(source)?;
            run(source, blob).map_err(|failure| explain(failure, source))?
        }
    };
    key(&text).map_err(|e| named(e, source))
}

/// The key that a text holds.
pub fn key(text: &Text) -> Result<Locked<RootKey>> {
    Locked::new(|| RootKey::parse(text.bytes()))
}

/// A text that is no key: the hint names the setting.
fn named(error: Error, source: &KeySource) -> Error {
    let (what, hint) = match source {
        KeySource::File(path) => (path.clone(), FILE.to_string()),
        KeySource::Credential(name) => (
            format!("credential {name}"),
            format!("let the file that LoadCredential={name}:… names hold what openssl rand -hex 32 prints, and restart the server; airlock.root_key_source = 'credential:{name}'"),
        ),
        KeySource::Env(name) => (
            format!("environment variable {name}"),
            format!("start the server with {name} set to what openssl rand -hex 32 prints; airlock.root_key_source = 'env:{name}'"),
        ),
        KeySource::Command(_) | KeySource::Unwrap { .. } => return explain(Failure::NotAKey, source),
    };
    error.detail(format!("{what} does not hold 32 bytes as raw bytes, hex or base64")).hint(hint)
}

/// Opens a file and makes sure that it is a regular one, belongs to the server's user or root, is open to nobody else
/// (`forbidden` are the mode's bits), and is small.
fn open(path: &str, what: &str, forbidden: u32, most: u64, hint: &str) -> Result<File> {
    let unreadable =
        |e: std::io::Error| locked(format!("the {what} cannot be read: {}", e.kind())).detail(path).hint(hint);
    // opened first and then looked at, so that what is checked is what is read; no wait on a FIFO
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
        .map_err(unreadable)?;
    let facts = file.metadata().map_err(unreadable)?;
    if !facts.is_file() {
        return Err(locked(format!("the {what} is not a regular file")).detail(path).hint(hint));
    }
    // SAFETY: geteuid always succeeds.
    check_owner(path, what, facts.uid(), unsafe { libc::geteuid() })?;
    if facts.mode() & forbidden != 0 {
        return Err(locked(format!("the {what} can be used by group or others"))
            .detail(format!("{path} has mode {:04o}", facts.mode() & 0o7777))
            .hint(format!("chmod 0400 {path}")));
    }
    if facts.len() > most {
        return Err(locked(format!("the {what} is too large")).detail(path).hint(hint));
    }
    Ok(file)
}

/// AL001 unless the file belongs to the server's effective user or to root: any other owner could put another key
/// there, or read it and pass it on.
fn check_owner(path: &str, what: &str, owner: u32, server: u32) -> Result<()> {
    if owner == server || owner == 0 {
        return Ok(());
    }
    Err(locked(format!("the {what} belongs to another user"))
        .detail(format!("{path} belongs to user id {owner}; the server runs as user id {server}"))
        .hint(format!("chown {server} {path}, and take what is in it for known to its owner until now")))
}

fn file(path: &str, what: &str, forbidden: u32, hint: &str) -> Result<Locked<Text>> {
    let mut file = open(path, what, forbidden, MOST as u64, hint)?;
    let mut text = Locked::new(|| Ok(Text::empty()))?;
    while text.bytes().len() <= MOST {
        match text.read_from(&mut file) {
            Ok(0) => return Ok(text),
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(locked(format!("the {what} cannot be read: {}", e.kind())).detail(path).hint(hint)),
        }
    }
    Err(locked(format!("the {what} is too large")).detail(path).hint(hint))
}

/// systemd gives the service's user the file by ownership, or by an access list: then the mode shows the list's mask in the
/// group's place, so the group may read here. Nobody else gets into the directory.
fn credential(name: &str) -> Result<Locked<Text>> {
    let hint = format!(
        "LoadCredential={name}:/absolute/path in the [Service] section of the server's systemd unit, then restart it; airlock.root_key_source = 'credential:{name}'"
    );
    let Some(directory) = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|d| !d.is_empty()) else {
        return Err(locked("the server was given no credentials")
            .detail("CREDENTIALS_DIRECTORY is not set in the server's environment")
            .hint(hint));
    };
    let path = std::path::Path::new(&directory).join(name);
    file(&path.to_string_lossy(), "root key credential", 0o037, &hint)
}

fn environment(name: &str) -> Result<Locked<Text>> {
    let Some(value) = std::env::var_os(name) else {
        return Err(locked("the root key is not in the server's environment")
            .detail(format!("environment variable {name} is not set"))
            .hint(format!("start the server with {name} set to what openssl rand -hex 32 prints; better: airlock.root_key_source = 'file:/absolute/path', then reload")));
    };
    let value = Zeroizing::new(value.into_vec());
    Locked::new(|| {
        let mut text = Text::empty();
        text.copy(&value);
        Ok(text)
    })
}

/// The wrapped key that a command is to open; `None` for a command that finds the key itself. It is no secret, but who
/// can write it can lock the database.
///
/// # Errors
/// `AL001`.
pub fn wrapped(source: &KeySource) -> Result<Option<File>> {
    let KeySource::Unwrap { blob, .. } = source else { return Ok(None) };
    let hint = "put the wrapped root key there, readable by the server's user and writable by nobody else; airlock.root_key_source = 'unwrap:/absolute/path LINE', then reload";
    let file = open(blob, "wrapped root key file", 0o022, MOST_WRAPPED, hint)?;
    // for the command, which may wait
    // SAFETY: a file of ours.
    unsafe { libc::fcntl(std::os::fd::AsRawFd::as_raw_fd(&file), libc::F_SETFL, 0) };
    Ok(Some(file))
}

/// Runs the source's command, whose output must be a key.
pub fn run(source: &KeySource, blob: Option<File>) -> std::result::Result<Locked<Text>, Failure> {
    let (KeySource::Command(line) | KeySource::Unwrap { command: line, .. }) = source else {
        return Err(Failure::Start);
    };
    let text = command::run(line, blob, limit())?;
    match key(&text) {
        Ok(_) => Ok(text),
        Err(_) => Err(Failure::NotAKey),
    }
}

/// Longest that a command may take.
pub fn limit() -> Duration {
    Duration::from_secs(gucs::root_key_timeout())
}

/// AL001 for a command that gave no key. Neither the command nor anything it printed is shown: both may hold secrets.
pub fn explain(failure: Failure, source: &KeySource) -> Error {
    let by_hand = "run the command of airlock.root_key_source by hand, as the server's user, until it prints the key and nothing else; sessions ask again within 10 seconds, without a restart";
    let seconds = limit().as_secs();
    let (detail, hint) = match failure {
        Failure::Start => ("/bin/sh could not be started".to_string(), "free processes and memory for the server's user; then the source is asked again"),
        Failure::Exit(126) => ("it ended with exit status 126: a program cannot be executed".to_string(), by_hand),
        Failure::Exit(127) => ("it ended with exit status 127: a program was not found".to_string(), by_hand),
        Failure::Exit(code) => (format!("it ended with exit status {code}"), by_hand),
        Failure::Signal(signal) => (format!("signal {signal} ended it"), by_hand),
        Failure::TooLong => (
            format!("it had not ended after {seconds} seconds and was killed"),
            "run the command of airlock.root_key_source by hand, as the server's user; if it needs longer, raise airlock.root_key_timeout and reload",
        ),
        Failure::TooMuch => (format!("it printed more than {MOST} bytes"), by_hand),
        Failure::NotAKey => ("what it printed is not 32 bytes as raw bytes, hex or base64".to_string(), by_hand),
        Failure::Stopped => ("it was stopped before it had ended".to_string(), by_hand),
    };
    let what = match source {
        KeySource::Unwrap { .. } => "the command that unwraps the root key failed",
        _ => "the root key command failed",
    };
    locked(what).detail(detail).hint(hint)
}

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
#[allow(clippy::unwrap_used)] // reason: a test fails by panicking
mod tests {
    use pgrx::prelude::*;

    #[pg_test]
    fn keys_root_key_file_belongs_to_the_server_or_root() {
        assert!(super::check_owner("/k", "file", 26, 26).is_ok());
        assert!(super::check_owner("/k", "file", 0, 26).is_ok());
        let error = super::check_owner("/k", "file", 1000, 26).err().unwrap();
        assert!(error.kind == crate::pure::error::Kind::Locked);
    }
}
