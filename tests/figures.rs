//! How `make bench` counts and writes: rounds in turn, medians, ratios of pairs, the table. No figure of a machine.
#![allow(missing_docs)] // reason: tests

#[path = "../benches/compare/report.rs"]
mod report;
#[path = "../benches/compare/rounds.rs"]
mod rounds;

use report::{figure, Line, Target, HEAD};
use rounds::{interleaved, net, ratios, Spread};
use std::cell::RefCell;

#[test]
fn median_and_range() {
    assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Spread { median: 2.0, low: 1.0, high: 3.0 });
    assert_eq!(Spread::of(&[4.0, 1.0, 2.0, 8.0]).median, 3.0);
    assert_eq!(Spread::of(&[5.0]), Spread { median: 5.0, low: 5.0, high: 5.0 });
}

#[test]
fn rounds_take_turns_and_the_first_pass_does_not_count() {
    let seen = RefCell::new(String::new());
    let run = |name: char, figure: f64| {
        seen.borrow_mut().push(name);
        figure
    };
    let figures = interleaved(3, [&mut || run('a', 1.0), &mut || run('b', 2.0), &mut || run('c', 3.0)]);
    assert_eq!(*seen.borrow(), "abcabccbaabc");
    assert_eq!(figures, [vec![1.0; 3], vec![2.0; 3], vec![3.0; 3]]);
}

#[test]
fn ratios_are_of_pairs() {
    // the machine was twice as slow in the second round: no ratio tells of it
    let (ours, theirs) = ([10.0, 22.0, 11.0], [10.0, 20.0, 10.0]);
    assert_eq!(ratios(&ours, &theirs), [1.0, 1.1, 1.1]);
    assert_eq!(net(&ours, &theirs), [0.0, 2.0, 1.0]);
}

#[test]
fn a_line_says_whether_its_target_is_met() {
    let line = |target| Line::pair("scan", "ms", &[120.0, 130.0, 110.0], &[100.0, 100.0, 100.0], target).markdown();
    let text = "| scan | 120 ms | 100 ms | **1.200** | 1.100 to 1.300 | ≤ 1.2 × | met |";
    assert_eq!(line(Target::AtMost(1.2)), text);
    assert!(HEAD.lines().all(|l| l.matches('|').count() == text.matches('|').count()));
    assert!(line(Target::AtMost(1.1)).ends_with("| ≤ 1.1 × | **missed** |"));
    assert!(line(Target::AtLeast(1.3)).ends_with("| ≥ 1.3 × | **missed** |"));
    assert!(line(Target::Open).ends_with("| – | – |"));
    let alone = Line::alone("records", "/s", &[50_000.0, 60_000.0, 70_000.0], Target::OursAtLeast(50_000.0));
    assert_eq!(alone.markdown(), "| records | 60,000 /s | – | – | 50,000 to 70,000 | ≥ 50,000 /s | met |");
    let late = Line::alone("who_saw", "ms", &[51.0], Target::OursAtMost(50.0)).markdown();
    assert!(late.ends_with("| ≤ 50 ms | **missed** |"), "{late}");
}

#[test]
fn figures_have_three_digits_or_thousands() {
    let cases = [
        (1_234_567.8, "1,234,568"),
        (-1_234.0, "-1,234"),
        (123.4, "123"),
        (12.34, "12.3"),
        (2.346, "2.35"),
        (1.2346, "1.235"),
        (0.9949, "0.995"),
        (0.0123, "0.0123"),
        (0.0, "0.00"),
    ];
    for (value, text) in cases {
        assert_eq!(figure(value), text);
    }
}
