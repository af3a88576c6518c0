//! The self test of a sub-processor: what is tried in a session of its role, and what the outcome of each attempt says.
//!
//! A probe is ok only when it was really tried: an attempt that ended for another reason than the one that it looks for,
//! locked keys or a suspension say, gives no verdict. Verdicts hold no value of any row.

mod list;

pub use list::{answered, probes, Facts, Other, View};

/// What a read's record says of a read that the self test made.
pub const MARK: &str = "self test";

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Class of attack, a letter.
    pub class: char,
    /// What is tried, in words.
    pub name: String,
    /// How.
    pub sql: String,
    /// What is to come of it.
    pub expect: Expect,
    /// What containment says when asked by itself, so that a missing grant does not stand in for it.
    pub also: Also,
    /// Which of the scopes it is about, by place; the purpose that is claimed for it is one of that scope's.
    pub view: Option<usize>,
}

/// What is to come of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It is refused, by containment or for want of a right.
    Refused,
    /// The same of a utility command that SPI would refuse by itself.
    RefusedUtility,
    /// It is answered, with a row or none.
    Answered,
    /// Its one value is true.
    True,
    /// It fails with an error that quotes a value; the statement says whether the value `$1` is one that the view shows.
    QuotesShown(String),
    /// What it answers spells no key.
    NoKey,
}

/// A second question, which needs no grant to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Also {
    /// None.
    Nothing,
    /// Would a read of this relation be refused if the right were granted?
    Relation(u32),
    /// Would a call of this function?
    Function(u32),
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered with so many rows; the first value, where it was asked for.
    Ran(u64, Option<String>),
    /// It was refused with that SQLSTATE and message.
    Failed(String, String),
}

/// A verdict: `None` when the attempt says nothing.
pub type Verdict = (Option<bool>, String);

/// What stands in the way of an answer: locked keys, no log, a suspension, a purpose, a network; a lock, a cancel, the server's
/// means.
fn is_obstacle(code: &str) -> bool {
    ["AL001", "AL002", "AL005", "AL006", "AL008", "AL009", "55P03", "40P01"].contains(&code)
        || ["53", "57"].iter().any(|class| code.starts_with(class))
}

/// What an attempt is worth. `also`: whether containment by itself refuses, where the probe asks.
pub fn judge(expect: &Expect, outcome: &Outcome, also: Option<bool>) -> Verdict {
    match outcome {
        Outcome::Failed(code, message) if is_obstacle(code) => (None, format!("not tested: {code} {message}")),
        // what is not on this server cannot be reached on it
        Outcome::Failed(code, _) if ["42883", "42704", "42P01", "3F000"].contains(&code.as_str()) => {
            (None, format!("not tested: there is no such object ({code})"))
        }
        _ => match expect {
            Expect::Refused | Expect::RefusedUtility => refused(outcome, also),
            Expect::Answered => match outcome {
                Outcome::Ran(rows, _) => (Some(true), format!("answered, {rows} rows")),
                Outcome::Failed(code, message) => (Some(false), failed(code, message)),
            },
            Expect::True => match outcome {
                Outcome::Ran(0, _) => (None, "not tested: the view shows no row with a value".into()),
                Outcome::Ran(_, Some(value)) if value == "t" => (Some(true), "it sees what the view shows".into()),
                Outcome::Ran(..) => (Some(false), "it sees something else than the view shows".into()),
                Outcome::Failed(code, message) => (Some(false), failed(code, message)),
            },
            Expect::QuotesShown(_) => match outcome {
                Outcome::Ran(0, _) => (None, "not tested: the view shows no row with a value".into()),
                Outcome::Ran(..) => (None, "not tested: the cast raises no error".into()),
                Outcome::Failed(code, message) => (Some(false), failed(code, message)),
            },
            Expect::NoKey => match outcome {
                Outcome::Ran(rows, _) => (Some(true), format!("none of {rows} texts spells a key")),
                Outcome::Failed(code, _) if code == "42501" || code == "AL007" => {
                    (Some(true), format!("refused with {code}"))
                }
                Outcome::Failed(code, message) => (Some(false), failed(code, message)),
            },
        },
    }
}

fn refused(outcome: &Outcome, also: Option<bool>) -> Verdict {
    match (outcome, also) {
        (Outcome::Ran(..), _) => (Some(false), "it was not refused".into()),
        (Outcome::Failed(code, _), Some(false)) => {
            (Some(false), format!("containment would let it pass, were the right granted; refused with {code}"))
        }
        (Outcome::Failed(code, message), also) if code == "AL007" || code == "42501" => {
            let twice = if code == "42501" && also == Some(true) { ", and outside the scope with it" } else { "" };
            (Some(true), format!("refused with {code}: {message}{twice}"))
        }
        (Outcome::Failed(code, _), _) => (Some(false), format!("it passed containment and failed later, with {code}")),
    }
}

/// Only messages of ours and of missing rights are passed on: others may quote a value.
fn failed(code: &str, message: &str) -> String {
    if code.starts_with("AL") || code == "42501" {
        return format!("failed with {code}: {message}");
    }
    format!("failed with {code}")
}

/// What the error of a cast says of a masked column. `shown`: whether the value that it quotes is one that the view shows.
pub fn judge_quoted(shown: &Outcome) -> Verdict {
    match shown {
        Outcome::Ran(_, Some(value)) if value == "t" => (Some(true), "the error quotes what the view shows".into()),
        Outcome::Ran(..) => (Some(false), "the error quotes something that the view does not show".into()),
        Outcome::Failed(code, message) => judge(&Expect::True, &Outcome::Failed(code.clone(), message.clone()), None),
    }
}

/// The value that an error's message quotes last.
pub fn quoted(message: &str) -> Option<&str> {
    let (_, value) = message.split_once(": \"")?;
    value.strip_suffix('"')
}

/// How many verdicts are good, bad, none.
pub fn count<'a>(verdicts: impl IntoIterator<Item = &'a Option<bool>>) -> [i32; 3] {
    verdicts.into_iter().fold([0; 3], |mut counts, ok| {
        counts[match ok {
            Some(true) => 0,
            Some(false) => 1,
            None => 2,
        }] += 1;
        counts
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(code: &str) -> Outcome {
        Outcome::Failed(code.into(), "CANARY".into())
    }

    fn ok(expect: &Expect, outcome: &Outcome, also: Option<bool>) -> Option<bool> {
        judge(expect, outcome, also).0
    }

    #[test]
    fn refused_is_what_containment_or_a_missing_right_refuses() {
        for (outcome, also, expected) in [
            (failed("AL007"), None, Some(true)),
            (failed("42501"), None, Some(true)),
            (failed("42501"), Some(true), Some(true)),
            // the grant is missing today, and containment would not notice it tomorrow
            (failed("42501"), Some(false), Some(false)),
            (failed("AL007"), Some(false), Some(false)),
            // it ran, or got as far as what it wanted to do
            (Outcome::Ran(0, None), Some(true), Some(false)),
            (failed("55000"), None, Some(false)),
            (failed("22P02"), None, Some(false)),
            // no verdict
            (failed("AL001"), Some(true), None),
            (failed("57014"), None, None),
            (failed("42883"), None, None),
        ] {
            assert_eq!(ok(&Expect::Refused, &outcome, also), expected, "{outcome:?} {also:?}");
            assert_eq!(ok(&Expect::RefusedUtility, &outcome, also), expected, "{outcome:?} {also:?}");
        }
    }

    #[test]
    fn a_broken_scope_gives_no_verdict() {
        for code in ["AL001", "AL002", "AL005", "AL006", "AL008", "AL009", "55P03", "53200", "57014"] {
            for expect in
                [Expect::Refused, Expect::Answered, Expect::True, Expect::QuotesShown(String::new()), Expect::NoKey]
            {
                assert_eq!(ok(&expect, &failed(code), Some(true)), None, "{code} {expect:?}");
            }
        }
    }

    #[test]
    fn predicates_see_the_mask_or_there_is_no_row() {
        let value = |v: &str| Outcome::Ran(1, Some(v.into()));
        assert_eq!(ok(&Expect::True, &value("t"), None), Some(true));
        assert_eq!(ok(&Expect::True, &value("f"), None), Some(false));
        assert_eq!(ok(&Expect::True, &Outcome::Ran(1, None), None), Some(false));
        assert_eq!(ok(&Expect::True, &Outcome::Ran(0, None), None), None);
        assert_eq!(ok(&Expect::True, &failed("AL007"), None), Some(false));
    }

    #[test]
    fn no_verdict_quotes_what_is_not_ours() {
        for expect in
            [Expect::Answered, Expect::True, Expect::QuotesShown(String::new()), Expect::NoKey, Expect::Refused]
        {
            for code in ["22P02", "XX000", "22012"] {
                let (_, message) = judge(&expect, &failed(code), None);
                assert!(!message.contains("CANARY"), "{expect:?} {code}: {message}");
            }
        }
    }

    #[test]
    fn the_quoted_value_is_the_last_thing_said() {
        assert_eq!(quoted("invalid input syntax for type pg_lsn: \"a\"b: \"c\""), Some("a\"b: \"c"));
        assert_eq!(quoted("invalid input syntax for type pg_lsn: \"\""), Some(""));
        assert_eq!(quoted("something else"), None);
    }

    #[test]
    fn verdicts_are_counted() {
        assert_eq!(count(&[Some(true), None, Some(false), Some(true)]), [2, 1, 1]);
        assert_eq!(count(&[]), [0, 0, 0]);
    }
}
