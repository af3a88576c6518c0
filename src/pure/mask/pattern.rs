//! `regex`: a text that is wholly of a pattern becomes its replacement, built from captures.
//!
//! The engine is the one under Rust's `regex` crate: linear time, no look-around, no back-references. The pattern is
//! anchored as a syntax tree and not as a text, so nothing in it (a comment, an unbalanced bracket, an alternative) can
//! reach past its anchors.

use super::text::{FORMAT_LIMIT, FULL};
use regex_automata::meta::{Config, Regex};
use regex_syntax::hir::{Hir, Look};
use std::fmt;

/// Most bytes of a pattern, and of a replacement.
const MOST: usize = 1000;
/// Most memory of a compiled pattern.
const SIZE: usize = 1 << 20;

/// A pattern and what takes the place of a value.
#[derive(Clone)]
pub struct Pattern {
    pattern: String,
    replace: String,
    regex: Regex,
    parts: Vec<Part>,
}

/// A piece of the replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Group(usize),
}

/// What is wrong with a pattern or a replacement.
#[derive(Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The pattern, and why.
    Pattern(String),
    /// The replacement, and why.
    Replace(String),
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        (&self.pattern, &self.replace) == (&other.pattern, &other.replace)
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} → {:?}", self.pattern, self.replace)
    }
}

impl Pattern {
    /// Compiles a pattern (the syntax of the `regex` crate) and its replacement: `$1` or `${1}` is a group by number,
    /// `${name}` or `$name` one by name, `$$` a dollar sign.
    ///
    /// # Errors
    /// A pattern that does not compile or is too large; a replacement that names group 0, which is the value, or a group
    /// that the pattern does not have.
    pub fn new(pattern: &str, replace: &str) -> Result<Pattern, Wrong> {
        for (text, wrong) in [(pattern, Wrong::Pattern as fn(String) -> Wrong), (replace, Wrong::Replace)] {
            if text.len() > MOST {
                return Err(wrong(format!("it is longer than {MOST} bytes")));
            }
        }
        let said = |error: &dyn fmt::Display| {
            // the last line says what is wrong, those before show where
            let text = error.to_string();
            Wrong::Pattern(text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_string())
        };
        let hir = regex_syntax::parse(pattern).map_err(|error| said(&error))?;
        let anchored = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
        let config = Config::new().nfa_size_limit(Some(SIZE)).hybrid_cache_capacity(SIZE);
        let regex = Regex::builder()
            .configure(config)
            .build_from_hir(&anchored)
            .map_err(|_| Wrong::Pattern("it is too large when compiled".to_string()))?;
        let parts = parts(replace, &regex)?;
        Ok(Pattern { pattern: pattern.to_string(), replace: replace.to_string(), regex, parts })
    }

    /// The pattern as it was given.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The replacement as it was given.
    pub fn replace(&self) -> &str {
        &self.replace
    }

    /// `regex`: the replacement where the pattern matches the whole value; [`FULL`] otherwise, and where the result would
    /// hold the value.
    pub fn mask(&self, value: &str) -> String {
        if value.len() > FORMAT_LIMIT {
            return FULL.to_string();
        }
        let mut captures = self.regex.create_captures();
        self.regex.captures(value, &mut captures);
        if !captures.is_match() {
            return FULL.to_string();
        }
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Group(group) => {
                    let span = captures.get_group(*group).map(|span| span.range());
                    out.push_str(span.and_then(|range| value.get(range)).unwrap_or_default());
                }
            }
            // C12: a replacement that repeats a group would multiply the value
            if out.len() > 4 * FORMAT_LIMIT {
                return FULL.to_string();
            }
        }
        match out.contains(value) {
            true => FULL.to_string(),
            false => out,
        }
    }
}

/// Reads a replacement.
fn parts(replace: &str, regex: &Regex) -> Result<Vec<Part>, Wrong> {
    let info = regex.group_info();
    let anonymous = regex_automata::PatternID::ZERO;
    let mut parts = Vec::new();
    let mut rest = replace;
    while let Some((before, after)) = rest.split_once('$') {
        let mut text = before.to_string();
        if let Some(after) = after.strip_prefix('$') {
            text.push('$');
            rest = after;
            parts.push(Part::Text(text));
            continue;
        }
        parts.push(Part::Text(text));
        let (name, after) = match after.strip_prefix('{') {
            Some(braced) => {
                braced.split_once('}').ok_or_else(|| Wrong::Replace("a \"${\" has no \"}\"".to_string()))?
            }
            None => {
                let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
                after.split_at(end)
            }
        };
        let group = match name.parse::<usize>() {
            Ok(number) => Some(number).filter(|number| *number < info.group_len(anonymous)),
            Err(_) => info.to_index(anonymous, name),
        };
        parts.push(match group {
            Some(0) => return Err(Wrong::Replace("\"$0\" is the value itself".to_string())),
            Some(group) => Part::Group(group),
            None => return Err(Wrong::Replace(format!("the pattern has no group \"{name}\""))),
        });
        rest = after;
    }
    parts.push(Part::Text(rest.to_string()));
    parts.retain(|part| *part != Part::Text(String::new()));
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(pattern: &str, replace: &str, value: &str) -> String {
        Pattern::new(pattern, replace).expect("a pattern").mask(value)
    }

    #[test]
    fn the_whole_value_must_match() {
        let passport = |value| masked("([A-Z]{2})-[0-9]{7}", "$1-*******", value);
        assert_eq!(passport("AB-1234567"), "AB-*******");
        for value in ["", "AB-12345678", "x AB-1234567", "AB-1234567\n", "AB-１２３４５６７", "ab-1234567"] {
            assert_eq!(passport(value), FULL, "{value:?}");
        }
        // the alternative that matches the whole counts, not the first
        assert_eq!(masked("a|(a)b", "<$1>", "ab"), "<a>");
        // nothing in a pattern reaches its anchors
        assert_eq!(masked("(?x) (a)b # comment", "$1", "ab"), "a");
        assert_eq!(masked("(?x) (a)b # comment", "$1", "abc"), FULL);
        assert_eq!(masked("(?m)^(a)b$", "$1", "ab\nab"), FULL);
    }

    #[test]
    fn a_result_that_holds_the_value_is_full() {
        assert_eq!(masked("(.*)", "<$1>", "secret"), FULL);
        assert_eq!(masked("(?P<all>.*)", "${all}", "secret"), FULL);
        assert_eq!(masked("(.)(.*)", "$1$2", "secret"), FULL);
        assert_eq!(masked("(.)(.*)", "$2$1", "secret"), "ecrets");
        assert_eq!(masked("(.*)", "x", ""), FULL, "an empty value is in everything");
    }

    #[test]
    fn replacements() {
        assert_eq!(masked("(?P<first>.)(.)(.)", "${first}$$${3}-${2}_", "abc"), "a$c-b_");
        for (replace, said) in [
            ("$0", "\"$0\" is the value itself"),
            ("${0}", "\"$0\" is the value itself"),
            ("$2", "the pattern has no group \"2\""),
            ("$1a", "the pattern has no group \"1a\""),
            ("${name}", "the pattern has no group \"name\""),
            ("${1", "a \"${\" has no \"}\""),
            ("$", "the pattern has no group \"\""),
        ] {
            assert_eq!(Pattern::new("(.)", replace).unwrap_err(), Wrong::Replace(said.to_string()), "{replace}");
        }
        assert!(matches!(Pattern::new("(.)", &"x".repeat(1001)), Err(Wrong::Replace(_))));
    }

    #[test]
    fn patterns_that_are_refused() {
        for pattern in ["(", "a{100000}", "(?=a)", r"(a)\1", "((a{100}){100}){100}", &"a".repeat(1001)] {
            assert!(matches!(Pattern::new(pattern, "x"), Err(Wrong::Pattern(_))), "{pattern}");
        }
    }

    /// Patterns that take other engines exponential time.
    #[test]
    fn attack_pattern_that_runs_away() {
        let value = "a".repeat(60_000);
        for pattern in ["(a+)+b", "(a|aa)+b", "(.*)*(.*)*(.*)*b", "(x+x+)+y"] {
            assert_eq!(masked(pattern, "$1", &value), FULL, "{pattern}");
        }
        assert_eq!(masked("(a+)", "$1$1", &"a".repeat(FORMAT_LIMIT + 1)), FULL);
    }
}
