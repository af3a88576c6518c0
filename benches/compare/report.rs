//! The table: one line per question, Markdown.

use crate::rounds::{ratios, Spread};

/// What a line has to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// The ratio, at most.
    AtMost(f64),
    /// The ratio, at least.
    AtLeast(f64),
    /// Our own figure, at most.
    OursAtMost(f64),
    /// Our own figure, at least.
    OursAtLeast(f64),
    /// There to be seen.
    Open,
}

impl Target {
    fn met(self, ours: f64, ratio: Option<f64>) -> Option<bool> {
        match (self, ratio) {
            (Target::AtMost(most), Some(ratio)) => Some(ratio <= most),
            (Target::AtLeast(least), Some(ratio)) => Some(ratio >= least),
            (Target::OursAtMost(most), _) => Some(ours <= most),
            (Target::OursAtLeast(least), _) => Some(ours >= least),
            (Target::AtMost(_) | Target::AtLeast(_), None) | (Target::Open, _) => None,
        }
    }

    fn text(self, unit: &str) -> String {
        match self {
            Target::AtMost(most) => format!("≤ {} ×", bound(most)),
            Target::AtLeast(least) => format!("≥ {} ×", bound(least)),
            Target::OursAtMost(most) => format!("≤ {} {unit}", bound(most)),
            Target::OursAtLeast(least) => format!("≥ {} {unit}", bound(least)),
            Target::Open => "–".into(),
        }
    }
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    what: String,
    unit: &'static str,
    ours: Spread,
    theirs: Option<f64>,
    ratio: Option<Spread>,
    target: Target,
}

impl Line {
    /// Two series, measured in pairs.
    pub fn pair(what: impl Into<String>, unit: &'static str, ours: &[f64], theirs: &[f64], target: Target) -> Line {
        Line {
            what: what.into(),
            unit,
            ours: Spread::of(ours),
            theirs: Some(Spread::of(theirs).median),
            ratio: Some(Spread::of(&ratios(ours, theirs))),
            target,
        }
    }

    /// One series, with nothing beside it.
    pub fn alone(what: impl Into<String>, unit: &'static str, ours: &[f64], target: Target) -> Line {
        Line { what: what.into(), unit, ours: Spread::of(ours), theirs: None, ratio: None, target }
    }

    /// As a row of Markdown.
    pub fn markdown(&self) -> String {
        let dash = || "–".to_string();
        // a line without a ratio shows how its own figure varied
        let spread = self.ratio.unwrap_or(self.ours);
        format!(
            "| {} | {} {} | {} | {} | {} to {} | {} | {} |",
            self.what,
            figure(self.ours.median),
            self.unit,
            self.theirs.map_or_else(dash, |t| format!("{} {}", figure(t), self.unit)),
            self.ratio.map_or_else(dash, |r| format!("**{}**", figure(r.median))),
            figure(spread.low),
            figure(spread.high),
            self.target.text(self.unit),
            match self.target.met(self.ours.median, self.ratio.map(|r| r.median)) {
                Some(true) => "met",
                Some(false) => "**missed**",
                None => "–",
            }
        )
    }
}

/// The head of the table.
pub const HEAD: &str = "| what | ours | theirs | ratio | spread | target | met |\n|---|---|---|---|---|---|---|";

/// A target as it was set: 1.2, not 1.200.
fn bound(value: f64) -> String {
    if value >= 1_000.0 {
        figure(value)
    } else {
        value.to_string()
    }
}

/// Three digits that say something; thousands with separators.
pub fn figure(value: f64) -> String {
    let size = value.abs();
    if size >= 1_000.0 {
        let digits = format!("{:.0}", size);
        let mut grouped = String::new();
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i) % 3 == 0 {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        return if value < 0.0 { format!("-{grouped}") } else { grouped };
    }
    let decimals = match size {
        s if s >= 100.0 => 0,
        s if s >= 10.0 => 1,
        s if s >= 2.0 || s == 0.0 => 2,
        // ratios near 1 are held against 0.99 and 1.03
        s if s >= 0.1 => 3,
        _ => 4,
    };
    format!("{value:.decimals$}")
}
