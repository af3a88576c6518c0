//! Every setting of the extension, in the README's order. None ever holds a secret, only where it lies.

use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};
use std::ffi::CString;

/// `airlock.encrypted_input`: what text given to an encrypted column means.
#[derive(Clone, Copy, PartialEq, Eq, PostgresGucEnum)]
pub enum EncryptedInput {
    /// It is plaintext and gets sealed; ciphertext is refused.
    #[name = c"plaintext"]
    Plaintext,
    /// It is ciphertext from a dump and is stored after a check of its structure.
    #[name = c"ciphertext"]
    Ciphertext,
}

/// `airlock.release`: what holds an answer back until its record is durable.
#[derive(Clone, Copy, PartialEq, Eq, PostgresGucEnum)]
pub enum Release {
    /// The answer is held where it would leave, until a record of what it holds is flushed.
    #[name = c"wire"]
    Wire,
    /// A record of the intended read is flushed before execution starts.
    #[name = c"intent"]
    Intent,
}

/// `airlock.durability`: when a read record counts as durable.
#[derive(Clone, Copy, PartialEq, Eq, PostgresGucEnum)]
pub enum Durability {
    /// It is on this server's disk.
    #[name = c"local"]
    Local,
    /// It is on a synchronous standby's disk too.
    #[name = c"remote"]
    Remote,
}

static DATABASE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"postgres"));
static ROOT_KEY_SOURCE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static ROOT_KEY_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(10);
static RELEASE: GucSetting<Release> = GucSetting::<Release>::new(Release::Wire);
static DURABILITY: GucSetting<Durability> = GucSetting::<Durability>::new(Durability::Local);
static HOLD_BYTES: GucSetting<i32> = GucSetting::<i32>::new(256);
static HOLD_TIME: GucSetting<i32> = GucSetting::<i32>::new(1000);
static MAX_SILENCE: GucSetting<i32> = GucSetting::<i32>::new(60);
static BACKLOG_LIMIT: GucSetting<i32> = GucSetting::<i32>::new(1024);
static BACKLOG_AGE: GucSetting<i32> = GucSetting::<i32>::new(300);
static BACKLOG_SHARE: GucSetting<i32> = GucSetting::<i32>::new(25);
static HEARTBEAT: GucSetting<i32> = GucSetting::<i32>::new(60);
static HEAD_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static ENCRYPTED_INPUT: GucSetting<EncryptedInput> = GucSetting::<EncryptedInput>::new(EncryptedInput::Plaintext);
static PURPOSE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));

/// Defines the settings. `preloaded` is false when the library was loaded late: then only `airlock.purpose` exists.
pub fn define(preloaded: bool) {
    GucRegistry::define_string_guc(
        c"airlock.purpose",
        c"The purpose of this session's reads.",
        c"Needed only by a sub-processor whose contract names more than one; compared with the contract at each read.",
        &PURPOSE,
        GucContext::Userset,
        GucFlags::default(),
    );
    if !preloaded {
        return;
    }
    GucRegistry::define_string_guc(
        c"airlock.database",
        c"The one database that holds the extension and its access log.",
        c"Needs a restart.",
        &DATABASE,
        GucContext::Postmaster,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"airlock.root_key_source",
        c"Where the root key lies: file:/path, credential:NAME, env:NAME, command:LINE or unwrap:/path LINE.",
        c"It gives 32 bytes: raw, hex or base64. A command is run by /bin/sh as the server's user; unwrap gives it the file on its standard input.",
        &ROOT_KEY_SOURCE,
        GucContext::Sighup,
        GucFlags::SUPERUSER_ONLY,
    );
    GucRegistry::define_int_guc(
        c"airlock.root_key_timeout",
        c"The root key's command is killed when it has not ended after this long.",
        c"",
        &ROOT_KEY_TIMEOUT,
        1,
        300,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_enum_guc(
        c"airlock.release",
        c"What holds an answer back until its read record is durable.",
        c"wire: the answer is held until a record of what it holds is on disk. intent: the record is on disk before execution starts.",
        &RELEASE,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_enum_guc(
        c"airlock.durability",
        c"When a read record counts as durable: on this server's disk, or on a synchronous standby's too.",
        c"remote waits for the standbys that synchronous_standby_names names, whatever synchronous_commit says.",
        &DURABILITY,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"airlock.hold_bytes",
        c"Most bytes of an answer that a session holds back for one exact record.",
        c"A larger answer is recorded as open before its first byte leaves, and its end behind its last.",
        &HOLD_BYTES,
        8,
        65536,
        GucContext::Sighup,
        GucFlags::UNIT_KB,
    );
    GucRegistry::define_int_guc(
        c"airlock.hold_time",
        c"How long a notice in the middle of an answer is held with it.",
        c"",
        &HOLD_TIME,
        0,
        60_000,
        GucContext::Sighup,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_int_guc(
        c"airlock.max_silence",
        c"Scoped reads are refused when the log worker has given no sign of life for this long.",
        c"",
        &MAX_SILENCE,
        1,
        86400,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_int_guc(
        c"airlock.backlog_limit",
        c"Scoped reads are refused when the log worker has more than this much WAL still to read.",
        c"",
        &BACKLOG_LIMIT,
        16,
        i32::MAX,
        GucContext::Sighup,
        GucFlags::UNIT_MB,
    );
    GucRegistry::define_int_guc(
        c"airlock.backlog_age",
        c"Scoped reads are refused when a read that the log worker has not settled may be older than this.",
        c"",
        &BACKLOG_AGE,
        1,
        86400,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_int_guc(
        c"airlock.backlog_share",
        c"A sub-processor's reads are refused when its own records that are not settled take this many percent of airlock.backlog_limit.",
        c"So that one that floods the log shuts nobody else out.",
        &BACKLOG_SHARE,
        1,
        100,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"airlock.heartbeat",
        c"How long the log stays without a record before its worker writes one that says so; 0 for never.",
        c"In a log with heartbeats, silence means that the worker did not run.",
        &HEARTBEAT,
        0,
        86400,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_string_guc(
        c"airlock.head_file",
        c"Where the log worker keeps the log's head, to compare the log with when it starts.",
        c"An absolute path outside the data directory, so that a restore does not bring it along.",
        &HEAD_FILE,
        GucContext::Sighup,
        GucFlags::SUPERUSER_ONLY,
    );
    GucRegistry::define_enum_guc(
        c"airlock.encrypted_input",
        c"What text given to an encrypted column means: plaintext, or ciphertext from a dump.",
        c"ciphertext is for restores and logical replication; the text is stored after a check of its structure.",
        &ENCRYPTED_INPUT,
        GucContext::Suset,
        GucFlags::NOT_WHILE_SEC_REST,
    );
}

/// `airlock.database`
pub fn database() -> String {
    text(&DATABASE)
}

/// `airlock.root_key_source`, empty when unset.
pub fn root_key_source() -> String {
    text(&ROOT_KEY_SOURCE)
}

/// `airlock.root_key_timeout`, in seconds.
pub fn root_key_timeout() -> u64 {
    ROOT_KEY_TIMEOUT.get().unsigned_abs().into()
}

/// `airlock.release`
pub fn release() -> Release {
    RELEASE.get()
}

/// `airlock.hold_bytes`, in bytes.
pub fn hold_bytes() -> u64 {
    u64::from(HOLD_BYTES.get().unsigned_abs()) << 10
}

/// `airlock.hold_time`, in microseconds.
pub fn hold_time() -> i64 {
    i64::from(HOLD_TIME.get()) * 1000
}

/// `airlock.max_silence`, in microseconds.
pub fn max_silence() -> i64 {
    i64::from(MAX_SILENCE.get()) * 1_000_000
}

/// `airlock.backlog_limit`, in bytes.
pub fn backlog_limit() -> u64 {
    (BACKLOG_LIMIT.get().max(0) as u64) << 20
}

/// `airlock.durability`
pub fn durability() -> Durability {
    DURABILITY.get()
}

/// `airlock.backlog_age`, in microseconds.
pub fn backlog_age() -> i64 {
    i64::from(BACKLOG_AGE.get()) * 1_000_000
}

/// `airlock.backlog_share` of `airlock.backlog_limit`, in bytes.
pub fn backlog_share() -> u64 {
    backlog_limit() / 100 * u64::from(BACKLOG_SHARE.get().unsigned_abs())
}

/// `airlock.heartbeat`, in seconds; `None` for never.
pub fn heartbeat() -> Option<u64> {
    u64::try_from(HEARTBEAT.get()).ok().filter(|s| *s > 0)
}

/// `airlock.head_file`, empty when unset.
pub fn head_file() -> String {
    text(&HEAD_FILE)
}

/// `airlock.encrypted_input`
pub fn encrypted_input() -> EncryptedInput {
    ENCRYPTED_INPUT.get()
}

/// `airlock.purpose`, empty when unset.
pub fn purpose() -> String {
    text(&PURPOSE)
}

fn text(setting: &GucSetting<Option<CString>>) -> String {
    setting.get().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default()
}
