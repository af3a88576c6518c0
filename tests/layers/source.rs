//! Just enough of Rust's lexer to look at source as code: without comments, with or without strings, and the paths in it.

use std::collections::BTreeSet;

/// One file, in the views that the rules need. Line numbers are the same in all.
pub struct Source {
    /// Path from the package's root, with `/`.
    pub path: String,
    /// As it is.
    pub raw: String,
    /// Without comments.
    pub with_strings: String,
    /// Without comments and contents of strings.
    pub whole_code: String,
    /// The same, without the unit tests at the foot.
    pub code: String,
}

impl Source {
    pub fn new(path: &str, raw: &str) -> Self {
        let whole_code = strip(raw, true);
        // by the house's habit the tests are the last item, or a file of their own
        let code = match whole_code.find("#[cfg(test)]\nmod tests") {
            _ if path.ends_with("/tests.rs") || path.contains("/tests/") => String::new(),
            Some(foot) => whole_code[..foot].to_owned(),
            None => whole_code.clone(),
        };
        Source { path: path.into(), raw: raw.into(), with_strings: strip(raw, false), whole_code, code }
    }

    /// Module path: `["pure", "record", "codec"]` for `src/pure/record/codec.rs`, `["pure"]` for `src/pure/mod.rs`.
    pub fn module(&self) -> Vec<String> {
        let path = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let path = path.strip_suffix(".rs").unwrap_or(path);
        let path = path.strip_suffix("/mod").unwrap_or(path);
        path.split('/').map(String::from).collect()
    }

    /// First line where the code outside tests names this word or path, also through `use a::{b, c}`.
    pub fn find(&self, wanted: &str) -> Option<usize> {
        let wanted: Vec<&str> = wanted.split("::").collect();
        let hit = |path: &[String]| match wanted.len() {
            1 => path.iter().any(|p| p == wanted[0]),
            n => path.len() >= n && path[..n].iter().zip(&wanted).all(|(a, b)| a == b),
        };
        paths(&self.code).into_iter().find(|(path, _)| hit(path)).map(|(_, line)| line)
    }

    /// Lines of the whole code with this word.
    pub fn lines_with_word(&self, word: &str) -> Vec<usize> {
        let lines = self.whole_code.lines().enumerate();
        lines.filter(|(_, l)| words(l).any(|w| w.1 == word)).map(|(i, _)| i + 1).collect()
    }

    /// Lines of `unsafe {` and `unsafe impl`, wherever the brace stands.
    pub fn unsafe_blocks(&self) -> Vec<usize> {
        let code = &self.whole_code;
        let blocks = words(code).filter(|(at, word)| {
            let after = code[at + word.len()..].trim_start();
            *word == "unsafe" && (after.starts_with('{') || after.starts_with("impl"))
        });
        blocks.map(|(at, _)| code[..at].matches('\n').count() + 1).collect()
    }
}

/// Names directly below `half` (`"pure"` or `"pg"`) that the code outside tests imports or spells out.
pub fn imports(source: &Source, half: &str) -> BTreeSet<String> {
    let module = source.module();
    // a folder's `mod.rs` and a file `x.rs` beside a folder `x` are both the module x
    let mut found = BTreeSet::new();
    for (path, _) in paths(&source.code) {
        let supers = path.iter().take_while(|p| *p == "super").count();
        let full: Vec<String> = match path[0].as_str() {
            "crate" => path[1..].to_vec(),
            "super" if supers <= module.len() => {
                module[..module.len() - supers].iter().chain(&path[supers..]).cloned().collect()
            }
            "self" => module.iter().chain(&path[1..]).cloned().collect(),
            _ => continue,
        };
        if full.len() > 1 && full[0] == half {
            found.insert(full[1].clone());
        }
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Words and where they start.
fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.split(|c| !is_word(c)).filter(|w| !w.is_empty()).map(|w| (w.as_ptr() as usize - code.as_ptr() as usize, w))
}

/// Every path in the code with its line; `a::{b, c::d}` gives `a::b` and `a::c::d`.
fn paths(code: &str) -> Vec<(Vec<String>, usize)> {
    let chars: Vec<char> = code.chars().collect();
    let (mut at, mut line, mut found) = (0, 1, Vec::new());
    while at < chars.len() {
        if chars[at] == '\n' {
            line += 1;
        }
        if is_word(chars[at]) {
            let start = at;
            path(&chars, &mut at, &[], line, &mut found);
            line += chars[start..at].iter().filter(|c| **c == '\n').count();
        } else {
            at += 1;
        }
    }
    found
}

fn skip_space(chars: &[char], at: &mut usize) {
    while chars.get(*at).is_some_and(|c| c.is_whitespace()) {
        *at += 1;
    }
}

fn path(chars: &[char], at: &mut usize, before: &[String], line: usize, found: &mut Vec<(Vec<String>, usize)>) {
    let mut parts = before.to_vec();
    loop {
        let start = *at;
        while chars.get(*at).is_some_and(|c| is_word(*c)) {
            *at += 1;
        }
        if *at > start {
            parts.push(chars[start..*at].iter().collect());
        }
        let end = *at;
        skip_space(chars, at);
        if chars.get(*at) != Some(&':') || chars.get(*at + 1) != Some(&':') {
            *at = end;
            break;
        }
        *at += 2;
        skip_space(chars, at);
        if chars.get(*at) == Some(&'{') {
            *at += 1;
            loop {
                skip_space(chars, at);
                match chars.get(*at) {
                    None => return,
                    Some('}') => {
                        *at += 1;
                        return;
                    }
                    Some(c) if is_word(*c) => path(chars, at, &parts, line, found),
                    Some(_) => *at += 1,
                }
            }
        }
        if !chars.get(*at).is_some_and(|c| is_word(*c)) {
            break; // `a::*`, `a::<T>`
        }
    }
    if !parts.is_empty() {
        found.push((parts, line));
    }
}

/// The text with comments (and, if asked, the contents of strings) blanked; line breaks stay.
fn strip(raw: &str, strings: bool) -> String {
    let chars: Vec<char> = raw.chars().collect();
    let mut out = String::with_capacity(raw.len());
    let blank = |out: &mut String, from: usize, to: usize, keep: bool| {
        let part = &chars[from..to.min(chars.len())];
        out.extend(part.iter().map(|&c| if keep || c == '\n' { c } else { ' ' }));
    };
    let mut at = 0;
    while at < chars.len() {
        let end = match (chars[at], chars.get(at + 1)) {
            ('/', Some('/')) => chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |n| at + n),
            ('/', Some('*')) => comment_end(&chars, at),
            _ => at,
        };
        if end > at {
            blank(&mut out, at, end, false);
            at = end;
            continue;
        }
        match string_end(&chars, at) {
            Some(end) => {
                blank(&mut out, at, end, !strings);
                at = end;
            }
            None => {
                out.push(chars[at]);
                at += 1;
            }
        }
    }
    out
}

fn comment_end(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

/// Where the string or character literal that starts here ends; `None` if none does.
fn string_end(chars: &[char], at: usize) -> Option<usize> {
    let after_word = at > 0 && is_word(chars[at - 1]);
    match chars[at] {
        '"' => Some(quoted_end(chars, at + 1, '"')),
        '\'' => match (chars.get(at + 1), chars.get(at + 2)) {
            (Some('\\'), _) => Some(quoted_end(chars, at + 1, '\'')),
            (Some(_), Some('\'')) => Some(at + 3),
            _ => None, // a lifetime
        },
        'r' | 'b' | 'c' if !after_word => {
            let raw = at + chars[at..].iter().take(2).take_while(|c| matches!(c, 'r' | 'b' | 'c')).count();
            let hashes = chars[raw..].iter().take_while(|c| **c == '#').count();
            if chars.get(raw + hashes) != Some(&'"') || !chars[at..raw].contains(&'r') {
                return None; // b"…" and c"…": the quote itself comes next
            }
            let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            let body = raw + hashes + 1;
            let found = chars[body..].windows(close.len()).position(|w| w == close);
            Some(found.map_or(chars.len(), |n| body + n + close.len()))
        }
        _ => None,
    }
}

fn quoted_end(chars: &[char], mut at: usize, quote: char) -> usize {
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            c if c == quote => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

#[test]
fn strips_comments_strings_and_tests() {
    let text = "a // \"x\nb /* /* */ \" */ c \"// \\\" d\" e r#\"f\"g\"# 'h' '\\'' &'i j b\"k\" b'l'\n#[cfg(test)]\nmod tests { m }";
    let s = Source::new("src/pure/x.rs", text);
    let seen: Vec<&str> = words(&s.whole_code).map(|w| w.1).collect();
    assert_eq!(seen, ["a", "b", "c", "e", "i", "j", "b", "b", "cfg", "test", "mod", "tests", "m"]);
    assert!(!s.code.contains("tests") && s.with_strings.contains("// \\\" d"));
    assert_eq!(s.whole_code.lines().count(), text.lines().count());
}

#[test]
fn reads_paths() {
    let s = Source::new(
        "src/pure/a/b.rs",
        "use crate::pure::{c::{self, D}, e}; super::f::<G>::h(); self::i(); super :: super :: j",
    );
    let found = imports(&s, "pure");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a", "c", "e", "j"]);
    assert_eq!(s.module(), ["pure", "a", "b"]);
    assert_eq!(Source::new("src/pure/mod.rs", "").module(), ["pure"]);
}
