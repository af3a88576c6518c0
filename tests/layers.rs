//! The architecture, read off the source: house laws 1, 2, 3, 6, 7 and 8 and the import rules of the design's layout.
//!
//! Rules are about files that exist; a rule for a file still to come waits for it. Comments, strings and the unit tests
//! at the foot of a file do not count as code. Each check is also shown bad source (module `can_fail`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may fail loudly

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[path = "layers/source.rs"]
mod source;
use source::{imports, Source};

// -- the rules --------------------------------------------------------------------------------------------------------

/// Which module of the pure half may use which others; all may use `error`. From the layout's section 5, widened where
/// a module holds types another needs: a scope's columns have a plaintext type, wrapping keys is authenticated
/// encryption, a chain link is a MAC. A module that is not listed may use `error` only.
const PURE: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("name", &[]),
    ("plaintext", &[]),
    ("normalise", &[]),
    ("subprocessor", &["name"]),
    ("contain", &["name"]),
    ("class", &["name"]),
    ("scope", &["class", "name", "mask", "plaintext", "subprocessor"]),
    ("mask", &["envelope", "keyring", "plaintext"]),
    ("envelope", &["aead", "keyring", "plaintext", "tag"]),
    ("aead", &[]),
    ("keyring", &["aead"]),
    ("key_source", &[]),
    ("tag", &["keyring", "plaintext"]),
    ("subjects", &["keyring", "plaintext"]),
    ("record", &["aead", "keyring", "subjects"]),
    ("chain", &["keyring"]),
    ("report", &["chain", "record"]),
    ("seam", &["record"]),
    ("self_test", &["name"]),
    ("retention", &["chain", "record", "seam"]),
    ("head", &["chain", "keyring"]),
    ("lag", &[]),
    ("linkage", &["mask", "plaintext"]),
    ("history", &[]),
    ("index", &["name"]),
    ("page", &[]),
    ("nonces", &["aead", "envelope"]),
];

/// What the pure half never names: Postgres, the other half, I/O, clocks, randomness, threads.
const NOT_PURE: &[&str] = &[
    "pgrx",
    "pg_sys",
    "pgrx_tests",
    "libc",
    "crate::pg",
    "std::fs",
    "std::io",
    "std::env",
    "std::process",
    "std::thread",
    "std::os",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "SystemTime",
    "Instant",
    "getrandom",
    "rand",
    "println",
    "eprintln",
    "dbg",
];

/// The only files that may hold `unsafe`, the ◆ files of the layout; `*` stands for one file name.
const UNSAFE: &[&str] = &[
    "src/pg/sys/*.rs",
    "src/pg/shared.rs",
    "src/pg/error.rs",
    "src/pg/encrypted/inout.rs",
    "src/pg/encrypted/cast.rs",
    "src/pg/encrypted/needle.rs",
    "src/pg/encrypted/search.rs",
    "src/pg/encrypted/ddl.rs",
    "src/pg/encrypted/bind.rs",
    "src/pg/encrypted/bound_ddl.rs",
    "src/pg/encrypted/created_as.rs",
    "src/pg/encrypted/value.rs",
    "src/pg/encrypted/held.rs",
    "src/pg/jobs/*.rs",
    "src/pg/encrypted/scan.rs",
    "src/pg/encrypted/twin.rs",
    "src/pg/columns/target.rs",
    "src/pg/columns/dependents.rs",
    "src/pg/columns/indexes.rs",
    "src/pg/columns/history.rs",
    "src/pg/columns/nonces.rs",
    "src/pg/columns/scrub.rs",
    "src/pg/columns/bind.rs",
    "src/pg/readlog/*.rs",
    "src/pg/readlog/subjects/*.rs",
    "src/pg/keys/memory.rs",
    "src/pg/keys/root.rs",
    "src/pg/keys/proof.rs",
    "src/pg/keys/memory/tests.rs",
    "src/pg/keys/command.rs",
    "src/pg/keys/source.rs",
    "src/pg/masks.rs",
    "src/pg/gate.rs",
    "src/pg/gate/lookup.rs",
    "src/pg/contain.rs",
    "src/pg/self_test/*.rs",
    "src/pg/mod.rs",
];

/// Where the majors differ, and nowhere else.
const MAJORS: &str = "src/pg/sys/compat.rs";

/// Modules of the pg half that only `pg/mod.rs` may name.
const LEAVES: &[&str] = &["scopes", "reports", "doctor"];

/// The one file that doubles quotes, so that text becomes SQL in one place.
const QUOTES: &str = "src/pure/name.rs";

const LIB_LINES: usize = 90;
const FILE_LINES: usize = 450;

// -- the tests --------------------------------------------------------------------------------------------------------

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below a folder, in order; none if the folder is not there.
fn sources(folder: &str) -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => walk(&path, found),
                false if path.extension().is_some_and(|e| e == "rs") => found.push(path),
                false => {}
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    found.sort();
    let name = |path: &Path| path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
    found.iter().map(|path| Source::new(&name(path), &fs::read_to_string(path).unwrap())).collect()
}

fn check(folder: &str, rule: impl Fn(&Source) -> Vec<String>) {
    let broken: Vec<String> = sources(folder).iter().flat_map(rule).collect();
    assert!(broken.is_empty(), "\n  {}\n", broken.join("\n  "));
}

#[test]
fn law_1_lib_is_a_table_of_contents() {
    let lib = root().join("src/lib.rs");
    let Ok(text) = fs::read_to_string(lib) else { return };
    assert!(text.lines().count() <= LIB_LINES, "src/lib.rs has more than {LIB_LINES} lines");
}

#[test]
fn law_2_the_pure_half_is_pure() {
    check("src/pure", not_pure);
}

#[test]
fn law_2_the_pure_half_forbids_unsafe() {
    let Ok(text) = fs::read_to_string(root().join("src/pure/mod.rs")) else { return };
    assert!(text.lines().any(|line| line.trim() == "#![forbid(unsafe_code)]"));
}

#[test]
fn law_3_files_are_short_and_have_a_room() {
    for folder in ["src", "tests", "benches"] {
        check(folder, too_long);
    }
    check("src", |s| {
        let vague = ["utils", "util", "helpers", "helper", "common", "misc"];
        let found = s.module().into_iter().filter(|room| vague.contains(&room.as_str()));
        found.map(|room| format!("{}: no room is called {room}", s.path)).collect()
    });
}

#[test]
fn law_6_unsafe_is_fenced() {
    check("src", unfenced);
}

#[test]
fn law_6_unsafe_says_why() {
    check("src", without_reason);
}

#[test]
fn law_7_majors_differ_in_one_file() {
    check("src", major_elsewhere);
}

#[test]
fn law_8_quotes_are_doubled_in_one_file() {
    check("src", quotes_elsewhere);
}

#[test]
fn imports_inside_pure_follow_the_table() {
    check("src/pure", forbidden_import);
}

#[test]
fn imports_inside_pure_have_no_circle() {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources("src/pure") {
        let from = room(&source);
        let to = imports(&source, "pure").into_iter().filter(|to| *to != from && is_room(to));
        uses.entry(from.clone()).or_default().extend(to);
    }
    // take away what uses nothing that is left, until all is gone
    while let Some(free) = uses.iter().find(|(_, to)| !to.iter().any(|t| uses.contains_key(t))).map(|u| u.0.clone()) {
        uses.remove(&free);
    }
    assert!(uses.is_empty(), "these modules use each other in a circle: {uses:?}");
}

#[test]
fn imports_table_names_no_circle_and_only_its_own_modules() {
    let mut left: BTreeMap<&str, &[&str]> = PURE.iter().copied().collect();
    assert!(left.values().flat_map(|to| to.iter()).all(|to| left.contains_key(to)));
    while let Some(free) = left.iter().find(|(_, to)| !to.iter().any(|t| left.contains_key(t))).map(|u| *u.0) {
        left.remove(free);
    }
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn leaves_of_pg_are_named_by_mod_only() {
    check("src/pg", leaf_used);
}

// -- the checks -------------------------------------------------------------------------------------------------------

/// First folder or file name below `src/pure`: `record` for `src/pure/record/codec.rs`.
fn room(source: &Source) -> String {
    source.module().get(1).cloned().unwrap_or_default()
}

/// Whether a name below `crate::pure` is a module: not a type, and not an item of the file that a nested module means.
fn is_room(name: &str) -> bool {
    let folder = root().join("src/pure");
    PURE.iter().any(|row| row.0 == name) || folder.join(format!("{name}.rs")).exists() || folder.join(name).exists()
}

fn not_pure(s: &Source) -> Vec<String> {
    let found = NOT_PURE.iter().filter_map(|word| s.find(word).map(|line| (word, line)));
    found.map(|(word, line)| format!("{}:{line}: the pure half names {word}", s.path)).collect()
}

fn too_long(s: &Source) -> Vec<String> {
    let lines = s.raw.lines().count();
    (lines > FILE_LINES).then(|| format!("{}: {lines} lines, more than {FILE_LINES}", s.path)).into_iter().collect()
}

fn matches(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((before, after)) => path
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after))
            .is_some_and(|name| !name.is_empty() && !name.contains('/')),
    }
}

fn unfenced(s: &Source) -> Vec<String> {
    if UNSAFE.iter().any(|pattern| matches(pattern, &s.path)) {
        return Vec::new();
    }
    // the unit tests too: unsafe in a test is unsafe
    let lines = s.lines_with_word("unsafe").into_iter().map(|n| format!("{}:{n}: unsafe outside the ◆ files", s.path));
    let allowed = s.whole_code.contains("allow(unsafe_code)").then(|| format!("{}: allows unsafe code", s.path));
    lines.chain(allowed).collect()
}

fn without_reason(s: &Source) -> Vec<String> {
    let raw: Vec<&str> = s.raw.lines().collect();
    let reason = |line: usize| {
        // on the line itself, within three lines above, or at the head of a longer comment that ends there
        let mut first = line.saturating_sub(3);
        while first > 0 && raw[first].trim_start().starts_with("//") && raw[first - 1].trim_start().starts_with("//") {
            first -= 1;
        }
        raw[first..=line].iter().any(|l| l.contains("SAFETY:"))
    };
    let bare = s.unsafe_blocks().into_iter().filter(|n| !reason(n - 1));
    bare.map(|n| format!("{}:{n}: unsafe without a SAFETY line", s.path)).collect()
}

fn major_elsewhere(s: &Source) -> Vec<String> {
    if s.path == MAJORS {
        return Vec::new();
    }
    let lines = s.with_strings.lines().enumerate();
    let found = lines.filter(|(_, l)| l.replace(' ', "").contains("feature=\"pg1"));
    found.map(|(i, _)| format!("{}:{}: a major's feature outside {MAJORS}", s.path, i + 1)).collect()
}

fn quotes_elsewhere(s: &Source) -> Vec<String> {
    let doubling = [r#"replace('"'"#, r#"replace("\"""#, r#"replace('\''"#, r#"replace("'""#];
    if s.path == QUOTES {
        return Vec::new();
    }
    let code = s.with_strings.replace(' ', "");
    let found = doubling.iter().filter(|d| code.contains(*d));
    found.map(|d| format!("{}: quotes by hand ({d}…); use {QUOTES}", s.path)).collect()
}

fn forbidden_import(s: &Source) -> Vec<String> {
    let from = room(s);
    let allowed = PURE.iter().find(|row| row.0 == from).map_or(&[][..], |row| row.1);
    if from == "mod" || from.is_empty() {
        return Vec::new();
    }
    let bad = imports(s, "pure").into_iter().filter(|to| *to != from && to != "error" && is_room(to));
    bad.filter(|to| !allowed.contains(&to.as_str()))
        .map(|to| format!("{}: {from} may not use {to} (see PURE in tests/layers.rs)", s.path))
        .collect()
}

fn leaf_used(s: &Source) -> Vec<String> {
    if s.path == "src/pg/mod.rs" {
        return Vec::new();
    }
    let own = s.module().get(1).cloned().unwrap_or_default();
    let used = imports(s, "pg").into_iter().filter(|to| *to != own && LEAVES.contains(&to.as_str()));
    used.map(|to| format!("{}: {to} is nobody's to import", s.path)).collect()
}

/// Every check refuses what it is there for.
mod can_fail {
    use super::*;

    fn bad(check: impl Fn(&Source) -> Vec<String>, path: &str, text: &str) -> usize {
        check(&Source::new(path, text)).len()
    }

    #[test]
    fn purity() {
        assert_eq!(bad(not_pure, "src/pure/a.rs", "use pgrx::prelude::*;"), 1);
        assert_eq!(bad(not_pure, "src/pure/a.rs", "fn f() { crate::pg::x() }"), 1);
        assert_eq!(bad(not_pure, "src/pure/a.rs", "use std::{env, fs};"), 2);
        assert_eq!(bad(not_pure, "src/pure/a.rs", "let now = std::time::Instant::now();"), 1);
        assert_eq!(bad(not_pure, "src/pure/a.rs", "// pgrx\nconst A: &str = \"pgrx\"; fn grand() {}"), 0);
        assert_eq!(bad(not_pure, "src/pure/a.rs", "#[cfg(test)]\nmod tests { use rand::x; }"), 0);
    }

    #[test]
    fn fences() {
        assert_eq!(bad(unfenced, "src/pg/doctor.rs", "fn f() { unsafe { g() } }"), 1);
        assert_eq!(bad(unfenced, "src/pg/doctor.rs", "#![allow(unsafe_code)]"), 1);
        assert_eq!(bad(unfenced, "src/pg/doctor.rs", "#[cfg(test)]\nmod tests { unsafe fn f() {} }"), 1);
        assert_eq!(bad(unfenced, "src/pg/sys/mod.rs", "unsafe { g() }"), 0);
        assert_eq!(bad(unfenced, "src/pg/sys/deep/mod.rs", "unsafe { g() }"), 1);
        assert_eq!(bad(unfenced, "src/pure/a.rs", "// unsafe\n#![forbid(unsafe_code)]"), 0);
        assert_eq!(bad(without_reason, "src/pg/shared.rs", "a\nb\nc\nunsafe { g() }"), 1);
        assert_eq!(bad(without_reason, "src/pg/shared.rs", "unsafe impl Sync for A {}"), 1);
        assert_eq!(bad(without_reason, "src/pg/shared.rs", "let a =\n    unsafe\n{ g() };"), 1);
        assert_eq!(bad(without_reason, "src/pg/shared.rs", "// SAFETY: held\nlet a = unsafe { g() };"), 0);
        assert_eq!(bad(without_reason, "src/pg/shared.rs", "// SAFETY: 1\n// 2\n// 3\n// 4\n// 5\nunsafe { g() }"), 0);
        assert_eq!(bad(without_reason, "src/pg/shared.rs", "// SAFETY: old\n\n\n\nunsafe { g() }"), 1);
        assert_eq!(bad(without_reason, "src/pg/shared.rs", "pub unsafe fn f() {}"), 0);
    }

    #[test]
    fn majors_quotes_and_length() {
        assert_eq!(bad(major_elsewhere, "src/pg/a.rs", "#[cfg(feature = \"pg15\")]"), 1);
        assert_eq!(bad(major_elsewhere, "src/pg/a.rs", "#[cfg(any(feature=\"pg16\", feature=\"pg17\"))]"), 1);
        assert_eq!(bad(major_elsewhere, "src/pg/a.rs", "#[cfg(feature = \"pg_test\")]"), 0);
        assert_eq!(bad(major_elsewhere, MAJORS, "#[cfg(feature = \"pg15\")]"), 0);
        assert_eq!(bad(quotes_elsewhere, "src/pg/a.rs", "name.replace('\"', \"\\\"\\\"\")"), 1);
        assert_eq!(bad(quotes_elsewhere, "src/pg/a.rs", "v.replace('\\'', \"''\")"), 1);
        assert_eq!(bad(quotes_elsewhere, "src/pg/a.rs", "v.replace('a', \"b\")"), 0);
        assert_eq!(bad(too_long, "src/pg/a.rs", &"x\n".repeat(451)), 1);
        assert_eq!(bad(too_long, "src/pg/a.rs", &"x\n".repeat(450)), 0);
    }

    #[test]
    fn import_rules() {
        assert_eq!(bad(forbidden_import, "src/pure/aead.rs", "use crate::pure::keyring::Secret;"), 1);
        assert_eq!(bad(forbidden_import, "src/pure/aead.rs", "use super::keyring::Secret;"), 1);
        assert_eq!(
            bad(forbidden_import, "src/pure/aead.rs", "use crate::pure::{error::Error, scope, tag::{a, b}};"),
            2
        );
        assert_eq!(bad(forbidden_import, "src/pure/scope/parse.rs", "use super::super::record::Record;"), 1);
        assert_eq!(bad(forbidden_import, "src/pure/scope/parse.rs", "fn f() { crate::pure::chain::g() }"), 1);
        assert_eq!(
            bad(forbidden_import, "src/pure/scope/parse.rs", "use super::render::x; use crate::pure::mask::Mask;"),
            0
        );
        assert_eq!(bad(forbidden_import, "src/pure/record/codec.rs", "use super::Record; use crate::pure::aead;"), 0);
        assert_eq!(bad(forbidden_import, "src/pure/unlisted.rs", "use crate::pure::name;"), 1);
        assert_eq!(bad(leaf_used, "src/pg/gate.rs", "use crate::pg::{shared, doctor};"), 1);
        assert_eq!(bad(leaf_used, "src/pg/readlog/wal.rs", "super::super::reports::f()"), 1);
        assert_eq!(bad(leaf_used, "src/pg/doctor.rs", "use crate::pg::doctor::x; use crate::pure::scope;"), 0);
        assert_eq!(bad(leaf_used, "src/pg/mod.rs", "use crate::pg::doctor;"), 0);
    }
}
