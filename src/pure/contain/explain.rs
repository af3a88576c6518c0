//! EXPLAIN in a sub-processor's session: of a plain SELECT, where each scoped view that it reads allows it, and with
//! options that print nothing which rows could change.
//!
//! | option | |
//! |---|---|
//! | COSTS, FORMAT, VERBOSE | allowed: such plans are made without sizes and statistics, and a plan's expressions are the view's, which can be read |
//! | ANALYZE | refused: it prints how many rows each node gave and each filter removed, those of the row filter too |
//! | BUFFERS, WAL, TIMING, SUMMARY, MEMORY, SERIALIZE | refused: pages, bytes and times of work on hidden rows, or of planning |
//! | SETTINGS, GENERIC_PLAN, and any other | refused |
//!
//! Options that are off print nothing: tools send all that they know.

use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::shown;

/// Options that print what the plan is.
const SHOWN: [&str; 3] = ["costs", "format", "verbose"];
/// Options that PostgreSQL 15 to 18 know besides, with the value that turns them off.
const OFF: [(&str, &[&str]); 9] = [
    ("analyze", FALSE),
    ("buffers", FALSE),
    ("generic_plan", FALSE),
    ("memory", FALSE),
    ("serialize", &["none"]),
    ("settings", FALSE),
    ("summary", FALSE),
    ("timing", FALSE),
    ("wal", FALSE),
];
/// As `defGetBoolean` reads it.
const FALSE: &[&str] = &["false", "off", "0"];

/// May EXPLAIN have this option? The name as the parser gives it, the value as text; `None` where it has none, which is on.
///
/// # Errors
/// `AL007` with the option and what to type instead.
pub fn option(name: &str, value: Option<&str>) -> Result<()> {
    let off = |words: &[&str]| value.is_some_and(|v| words.iter().any(|word| word.eq_ignore_ascii_case(v)));
    if SHOWN.contains(&name) || OFF.iter().any(|(known, words)| *known == name && off(words)) {
        return Ok(());
    }
    let message = format!("EXPLAIN option {} is outside the scope of a sub-processor", shown(name));
    let error = Error::new(Kind::OutsideScope, message);
    Err(match name {
        "analyze" => error
            .detail("it would count the rows that are hidden")
            .hint("EXPLAIN (FORMAT TEXT) SELECT … shows the plan without running it"),
        _ => error.hint("the options COSTS, FORMAT and VERBOSE are allowed"),
    })
}

/// May a query that reads these scoped views be explained? Each with whether its scope allows it.
///
/// # Errors
/// `AL007`: one does not, or it reads none.
pub fn views(read: &[(String, bool)]) -> Result<()> {
    match read.iter().find(|(_, allowed)| !allowed) {
        _ if read.iter().all(|(_, allowed)| !allowed) => Err(refused()),
        None => Ok(()),
        Some((view, _)) => Err(refused().detail(format!("the scope of {view} does not allow it"))),
    }
}

/// `AL007` of EXPLAIN where nothing allows it.
pub fn refused() -> Error {
    Error::new(Kind::OutsideScope, "EXPLAIN is outside the scope of a sub-processor")
        .hint("run the query itself: plans and estimates tell of rows that are hidden")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_show_the_plan() {
        for (name, value) in [
            ("costs", None),
            ("costs", Some("off")),
            ("verbose", None),
            ("verbose", Some("true")),
            ("format", Some("json")),
            ("analyze", Some("false")),
            ("analyze", Some("OFF")),
            ("buffers", Some("0")),
            ("wal", Some("off")),
            ("timing", Some("off")),
            ("summary", Some("off")),
            ("settings", Some("off")),
            ("memory", Some("off")),
            ("generic_plan", Some("off")),
            ("serialize", Some("none")),
        ] {
            assert_eq!(option(name, value), Ok(()), "{name} {value:?}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (name, value) in [
            ("analyze", None),
            ("analyze", Some("true")),
            ("analyze", Some("1")),
            // what PostgreSQL would not understand is not off
            ("analyze", Some("of")),
            ("analyze", Some("")),
            ("buffers", None),
            ("wal", Some("on")),
            ("timing", Some("on")),
            ("summary", None),
            ("settings", None),
            ("memory", None),
            ("generic_plan", None),
            ("serialize", None),
            ("serialize", Some("text")),
            ("serialize", Some("off")),
            // not in 18, or another extension's; nothing is known of what off means
            ("plan_advice", None),
            ("io", Some("off")),
            ("ANALYZE", Some("off")),
            ("", None),
        ] {
            let error = option(name, value).unwrap_err();
            assert_eq!(error.kind, Kind::OutsideScope, "{name} {value:?}");
            assert!(error.hint.is_some());
        }
    }

    #[test]
    fn all_views_must_allow_it_and_there_must_be_one() {
        let view = |name: &str, allowed| (name.to_string(), allowed);
        assert_eq!(views(&[view("a.x", true)]), Ok(()));
        assert_eq!(views(&[view("a.x", true), view("a.y", true)]), Ok(()));
        assert_eq!(views(&[]).unwrap_err(), refused());
        assert_eq!(views(&[view("a.x", false)]).unwrap_err(), refused());
        for read in [[view("a.x", true), view("a.y", false)], [view("a.y", false), view("a.x", true)]] {
            assert!(views(&read).unwrap_err().detail.unwrap().contains("a.y"));
        }
    }
}
