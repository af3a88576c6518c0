//! Every column that one is shown against every column of the other, and all together where both see the same rows.

use super::risk::{Sheet, Shown};
use crate::pure::error::Result;
use crate::pure::linkage::{common, judge, message, singled_out, Aligned, Distinct, Kind, Pair, NULL};

/// Table, column and mask.
type Side = (Option<String>, Option<String>, Option<String>);

/// A row of `link_risk()`.
pub struct Finding {
    /// `link`, `weak`, `combination`, `none`, `note`.
    pub kind: &'static str,
    /// What the first and the second see.
    pub sides: [Side; 2],
    /// Different values that the first is shown.
    pub values_a: Option<u64>,
    /// And the second.
    pub values_b: Option<u64>,
    /// How many of them are the same; of a combination, how many rows it singles out.
    pub shared: Option<u64>,
    /// What follows.
    pub message: String,
}

/// A cell of a sheet, with its values counted.
struct Counted {
    sheet: usize,
    cell: usize,
    distinct: Distinct,
}

/// All findings. Gives way to a cancel between pairs.
pub fn compare(sheets: &[Sheet]) -> Result<Vec<Finding>> {
    let mut counted: [Vec<Counted>; 2] = [Vec::new(), Vec::new()];
    for (at, sheet) in sheets.iter().enumerate() {
        for (cell, shown) in sheet.shown.iter().enumerate() {
            pgrx::check_for_interrupts!();
            counted[shown.side].push(Counted { sheet: at, cell, distinct: distinct(sheet, cell, shown.side) });
        }
    }
    let (mut findings, mut left_out) = (Vec::new(), 0_u64);
    // of each sheet: cells of the first that agree with the second's, and whether they do so alone
    let mut agreeing: Vec<Vec<(usize, bool)>> = sheets.iter().map(|_| Vec::new()).collect();
    for a in &counted[0] {
        for b in &counted[1] {
            pgrx::check_for_interrupts!();
            let (sheet_a, sheet_b) = (&sheets[a.sheet], &sheets[b.sheet]);
            let (x, y) = (&sheet_a.shown[a.cell], &sheet_b.shown[b.cell]);
            // between tables that no foreign key joins only for who may read both: with a table of its own choice in one
            // of them an administrator could ask for any value of the other
            if a.sheet != b.sheet && x.meaning != y.meaning && !(x.readable && y.readable) {
                left_out += 1;
                continue;
            }
            let Some(found) = best(a, b, sheets, (x, y)) else { continue };
            if let (Some(cell), true) = (found.agrees, a.sheet == b.sheet) {
                agreeing[a.sheet].push((cell, found.kind == Kind::Link));
            }
            findings.push(Finding {
                kind: found.kind.label(),
                sides: [side(sheet_a, x), side(sheet_b, y)],
                values_a: Some(found.pair.values.0),
                values_b: Some(found.pair.values.1),
                shared: Some(found.pair.common.values),
                message: found.message,
            });
        }
    }
    if left_out > 0 {
        let why = format!("{left_out} pairs of columns of two tables without a foreign key were left out: comparing them takes SELECT on both, and decrypt where they are encrypted");
        findings.push(Finding { sides: [(None, None, None), (None, None, None)], ..Finding::note("", None, &why) });
    }
    for (sheet, cells) in sheets.iter().zip(agreeing) {
        findings.extend(combinations(sheet, &cells));
    }
    Ok(findings)
}

fn side(sheet: &Sheet, shown: &Shown) -> Side {
    let mask = shown.rule.mask.as_ref().map_or("clear", |mask| mask.name());
    let when = shown.rule.condition.as_ref().map_or(String::new(), |sql| format!(" where {sql}"));
    (Some(sheet.relation.clone()), Some(shown.rule.column.clone()), Some(mask.to_string() + &when))
}

fn distinct(sheet: &Sheet, cell: usize, side: usize) -> Distinct {
    Distinct::of(sheet.rows().filter(|(_, passes)| passes[side]).map(|(row, _)| row[cell]))
}

/// What a pair of columns comes to.
struct Best {
    kind: Kind,
    pair: Pair,
    message: String,
    /// The cell of the first that is the second's in every row that both see.
    agrees: Option<usize>,
}

/// As they are shown, or with the other's mask on top where that makes them the same.
fn best(a: &Counted, b: &Counted, sheets: &[Sheet], (x, y): (&Shown, &Shown)) -> Option<Best> {
    let one = a.sheet == b.sheet;
    let same_column = one && x.rule.column == y.rule.column;
    let expected = x.alphabet.expected(a.distinct.len(), &y.alphabet, b.distinct.len());
    let about = Pair {
        same_column,
        same_meaning: same_column || x.meaning == y.meaning,
        same_rule: !x.rule.keyed() && !y.rule.keyed() && x.rule.mask == y.rule.mask,
        names: x.names && y.names && x.meaning == y.meaning,
        expected,
        ..Pair::default()
    };
    let keyed = (x.rule.keyed(), y.rule.keyed());
    let sheet = &sheets[a.sheet];
    let try_with = |cells: (usize, usize), (p, q): (&Distinct, &Distinct), about: Pair, how: &str| {
        let aligned = one.then(|| align(sheet, cells));
        let pair = Pair { values: (p.len(), q.len()), common: common(p, q), aligned, ..about };
        let kind = judge(&pair)?;
        let whole = aligned.is_some_and(|al| al.rows > 0 && al.agree == al.rows) && pair.common.values > 0;
        let agrees = (whole && same_column && kind != Kind::None).then_some(cells.0);
        Some(Best { kind, pair, message: format!("{how}{}", message(&pair, kind, keyed)), agrees })
    };
    let mut found = try_with((a.cell, b.cell), (&a.distinct, &b.distinct), about, "");
    for (i, derived) in sheet.derived.iter().enumerate().filter(|_| same_column) {
        let cell = sheet.shown.len() + i;
        let about = Pair { same_rule: true, ..about };
        let more = match (derived.of, derived.like) {
            (of, like) if (of, like) == (a.cell, b.cell) => {
                let masked = distinct(sheet, cell, 0);
                try_with(
                    (cell, b.cell),
                    (&masked, &b.distinct),
                    about,
                    "the first masks its values as the second's are: ",
                )
            }
            (of, like) if (like, of) == (a.cell, b.cell) => {
                let masked = distinct(sheet, cell, 1);
                try_with(
                    (a.cell, cell),
                    (&a.distinct, &masked),
                    about,
                    "the second masks its values as the first's are: ",
                )
            }
            _ => None,
        };
        if let Some(more) = more {
            if found.as_ref().is_none_or(|found| more.kind < found.kind) {
                found = Some(more);
            }
        }
    }
    found
}

/// Of the rows that both see, in how many two cells are the same.
fn align(sheet: &Sheet, (a, b): (usize, usize)) -> Aligned {
    let mut aligned = Aligned::default();
    for (row, passes) in sheet.rows() {
        if passes == [true; 2] && row[a] != NULL && row[b] != NULL {
            aligned.rows += 1;
            aligned.agree += u64::from(row[a] == row[b]);
        }
    }
    aligned
}

/// The columns that both see alike, all together, and without those that join alone.
fn combinations(sheet: &Sheet, cells: &[(usize, bool)]) -> Vec<Finding> {
    let all: Vec<usize> = cells.iter().map(|(cell, _)| *cell).collect();
    let weak: Vec<usize> = cells.iter().filter(|(_, alone)| !alone).map(|(cell, _)| *cell).collect();
    let mut findings = Vec::new();
    for cells in [&all, &weak] {
        if cells.len() < 2 || std::ptr::eq(cells, &weak) && weak.len() == all.len() {
            continue;
        }
        let together = sheet.rows().filter(|(_, passes)| *passes == [true; 2]).map(|(row, _)| {
            let bytes: Vec<u8> = cells.iter().flat_map(|cell| row[*cell].to_be_bytes()).collect();
            sheet.key.hash(&bytes)
        });
        let (distinct, alone) = singled_out(together);
        let rows = sheet.passes.iter().filter(|passes| **passes == [true; 2]).count();
        let share = alone as f64 * 100.0 / rows.max(1) as f64;
        let column = |cell: usize| match cell.checked_sub(sheet.shown.len()) {
            None => &sheet.shown[cell].rule.column,
            Some(derived) => &sheet.shown[sheet.derived[derived].of].rule.column,
        };
        let names = cells.iter().map(|cell| column(*cell).as_str()).collect::<Vec<_>>().join(", ");
        let side = (Some(sheet.relation.clone()), Some(names), None);
        findings.push(Finding {
            kind: "combination",
            sides: [side.clone(), side],
            values_a: Some(distinct),
            values_b: Some(distinct),
            shared: Some(alone),
            message: format!("together they single out {alone} of {rows} rows that both see ({share:.1} %)"),
        });
    }
    findings
}
