//! Where a root key lies: the value of `airlock.root_key_source`, read and checked. The key itself never comes here.
//!
//! | form | the key is |
//! |---|---|
//! | `file:/path` | in a file that only the server's user can read |
//! | `credential:NAME` | in systemd's credential of that name |
//! | `env:NAME` | in a variable of the server's environment |
//! | `command:LINE` | what the shell command prints |
//! | `unwrap:/path LINE` | what the shell command prints when it is given the file: a key service opens the wrapped key |

use crate::pure::error::{Error, Kind, Result};

/// A place from which the root key is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// An absolute path.
    File(String),
    /// A file name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// The name of an environment variable.
    Env(String),
    /// A shell command whose standard output is the key.
    Command(String),
    /// A shell command that gets the file on its standard input and prints the key.
    Unwrap {
        /// The wrapped key, an absolute path without white space.
        blob: String,
        /// The command.
        command: String,
    },
}

/// All forms, for hints.
const FORMS: &str = "airlock.root_key_source = 'file:/absolute/path', 'credential:NAME', 'env:NAME', 'command:LINE' or 'unwrap:/absolute/path LINE'; then reload";

impl KeySource {
    /// Reads the setting's value.
    ///
    /// # Errors
    /// [`Kind::Locked`], with the right form in the hint. The value is not repeated: a command may hold a token.
    pub fn parse(source: &str) -> Result<Self> {
        if source.trim().is_empty() {
            return Err(Error::new(Kind::Locked, "there is no root key")
                .detail("the setting airlock.root_key_source is empty")
                .hint("put 32 random bytes into a file that only the server's user can read (openssl rand -hex 32), set airlock.root_key_source = 'file:/path' and reload"));
        }
        let (kind, rest) = source.split_once(':').unwrap_or((source, ""));
        match kind {
            "file" => Ok(KeySource::File(absolute(rest, "airlock.root_key_source = 'file:/absolute/path'")?)),
            "credential" => match rest {
                "" | "." | ".." => Err(wrong("names no credential")),
                _ if rest.contains('/') || rest.len() > 255 => Err(wrong("names a credential that no file can have")),
                _ => Ok(KeySource::Credential(rest.to_string())),
            },
            "env" => {
                let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
                if rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_digit()) || !rest.chars().all(letter) {
                    return Err(wrong("names no environment variable"));
                }
                Ok(KeySource::Env(rest.to_string()))
            }
            "command" => match rest.trim() {
                "" => Err(wrong("holds no command")),
                line => Ok(KeySource::Command(line.to_string())),
            },
            "unwrap" => {
                let form = "airlock.root_key_source = 'unwrap:/absolute/path LINE': the file, a blank, the command";
                let (blob, command) = rest.trim().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
                let blob = absolute(blob, form)?;
                match command.trim() {
                    "" => Err(wrong("holds no command after the wrapped key's file").hint(form)),
                    line => Ok(KeySource::Unwrap { blob, command: line.to_string() }),
                }
            }
            _ => Err(wrong("has an unknown kind")),
        }
    }

    /// Whether reading it runs a program: then processes share what came back, and take turns at asking.
    pub fn runs_command(&self) -> bool {
        matches!(self, KeySource::Command(_) | KeySource::Unwrap { .. })
    }
}

fn wrong(what: &str) -> Error {
    Error::new(Kind::Locked, format!("airlock.root_key_source {what}")).hint(FORMS)
}

fn absolute(path: &str, form: &str) -> Result<String> {
    match path.starts_with('/') {
        true => Ok(path.to_string()),
        false => Err(wrong("must name an absolute path").hint(form)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_form() {
        let unwrap = |blob: &str, command: &str| KeySource::Unwrap { blob: blob.into(), command: command.into() };
        for (text, want, runs) in [
            ("file:/etc/k e y", KeySource::File("/etc/k e y".into()), false),
            ("file:/a:b", KeySource::File("/a:b".into()), false),
            ("credential:root.key", KeySource::Credential("root.key".into()), false),
            ("env:_AIRLOCK_9", KeySource::Env("_AIRLOCK_9".into()), false),
            ("command: vault read -field=k a:b ", KeySource::Command("vault read -field=k a:b".into()), true),
            ("unwrap:/k/blob  kms decrypt", unwrap("/k/blob", "kms decrypt"), true),
            ("unwrap: /k/blob\tkms decrypt ", unwrap("/k/blob", "kms decrypt"), true),
        ] {
            let parsed = KeySource::parse(text).unwrap();
            assert_eq!((parsed.runs_command(), parsed), (runs, want), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest_with_the_setting_in_the_hint_and_repeats_no_value() {
        for text in [
            "",
            "  ",
            "/etc/secretword",
            "secretword",
            "FILE:/etc/secretword",
            "file:",
            "file:secretword",
            "file: /secretword",
            "credential:",
            "credential:..",
            "credential:../secretword",
            "credential:a/secretword",
            "env:",
            "env:9secretword",
            "env:secretword-x",
            "env:secretwörd",
            "command:",
            "command:  ",
            "unwrap:",
            "unwrap:secretword cat",
            "unwrap:/secretword",
            "unwrap:/secretword  ",
            "pipe:secretword",
        ] {
            let error = KeySource::parse(text).unwrap_err();
            assert_eq!(error.kind, Kind::Locked, "{text}");
            assert!(error.hint.as_ref().is_some_and(|h| h.contains("airlock.root_key_source = ")), "{text}: {error:?}");
            assert!(!format!("{error:?}").contains("secretw"), "{text}: {error:?}");
        }
    }
}
