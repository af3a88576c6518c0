//! Whether two recipients can join what they were given: decided from keyed hashes of the values that each was shown, never
//! from the values.
//!
//! Two columns join when they have values in common, more of them than chance explains, and each of those stands for few rows.
//! Where both recipients see the same table it need not be guessed: the rows themselves say which values belong together.
//!
//! | kind | is |
//! |---|---|
//! | [`Kind::Link`] | a value in common singles out rows: the copies join |
//! | [`Kind::Weak`] | a value in common stands for many rows: it narrows, with others it may single out |
//! | [`Kind::None`] | nothing in common, or no more than chance explains |

mod alphabet;
mod pseudonym;

pub use alphabet::Alphabet;
pub use pseudonym::shown_as;

/// The hash that stands for NULL, which joins nothing.
pub const NULL: u64 = 0;

/// A column's values: each hash with the number of rows that have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distinct {
    values: Vec<(u64, u32)>,
    rows: u64,
}

impl Distinct {
    /// Counts hashes; NULL is left out.
    pub fn of(cells: impl Iterator<Item = u64>) -> Distinct {
        let mut cells: Vec<u64> = cells.filter(|hash| *hash != NULL).collect();
        cells.sort_unstable();
        let rows = cells.len() as u64;
        let mut values: Vec<(u64, u32)> = Vec::new();
        for hash in cells {
            match values.last_mut() {
                Some((last, count)) if *last == hash => *count = count.saturating_add(1),
                _ => values.push((hash, 1)),
            }
        }
        Distinct { values, rows }
    }

    /// How many different values.
    pub fn len(&self) -> u64 {
        self.values.len() as u64
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How many rows have a value.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How many values stand in one row alone.
    pub fn singles(&self) -> u64 {
        self.values.iter().filter(|(_, count)| *count == 1).count() as u64
    }
}

/// What two columns have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Common {
    /// Values that both have.
    pub values: u64,
    /// Rows of the first that have one of them.
    pub rows_a: u64,
    /// Rows of the second.
    pub rows_b: u64,
    /// In how many of 1 pairs of rows, taken at random, both would show the same.
    pub chance: f64,
}

/// Compares two columns.
pub fn common(a: &Distinct, b: &Distinct) -> Common {
    let mut common = Common::default();
    let (mut i, mut j) = (0, 0);
    while let (Some((x, n)), Some((y, m))) = (a.values.get(i), b.values.get(j)) {
        match x.cmp(y) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                common.values += 1;
                common.rows_a += u64::from(*n);
                common.rows_b += u64::from(*m);
                common.chance += f64::from(*n) / a.rows as f64 * f64::from(*m) / b.rows as f64;
                (i, j) = (i + 1, j + 1);
            }
        }
    }
    common
}

/// Rows that both recipients see: of the same row, what each is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Aligned {
    /// Rows of which each is shown a value.
    pub rows: u64,
    /// Those of them where it is the same.
    pub agree: u64,
}

/// What is known of a pair of columns.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pair {
    /// They show the same column of the same table.
    pub same_column: bool,
    /// They stand for the same thing: the same column, or one that refers to it by a foreign key.
    pub same_meaning: bool,
    /// Neither is masked under a key, and both show a value alike.
    pub same_rule: bool,
    /// A value of it names a row, here or where it refers to.
    pub names: bool,
    /// Different values of each.
    pub values: (u64, u64),
    /// What they have in common.
    pub common: Common,
    /// Of the rows that both see; `None` for columns of two tables.
    pub aligned: Option<Aligned>,
    /// Values that they would have in common if each were made up of such characters at random.
    pub expected: f64,
}

/// What a pair of columns allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The copies join.
    Link,
    /// They do with others.
    Weak,
    /// They do not.
    None,
}

impl Kind {
    /// The word in `link_risk()`.
    pub fn label(self) -> &'static str {
        match self {
            Kind::Link => "link",
            Kind::Weak => "weak",
            Kind::None => "none",
        }
    }
}

/// Rows that one value may stand for, on average, where it still singles out.
const FEW_ROWS: f64 = 2.0;

/// More than this is no accident, where so much is expected: four standard deviations of a Poisson count, and three more for
/// counts so small that nothing follows from them.
fn beyond(found: u64, expected: f64) -> bool {
    found as f64 > expected + 4.0 * expected.sqrt() + 3.0
}

/// What a pair allows; nothing for columns that have nothing to do with each other.
pub fn judge(pair: &Pair) -> Option<Kind> {
    let told = pair.same_column || pair.same_meaning;
    let nothing = told.then_some(Kind::None);
    // one value in every row tells nothing apart
    if pair.common.values == 0 || pair.values.0 <= 1 && pair.values.1 <= 1 {
        return nothing;
    }
    let real = match pair.aligned.filter(|aligned| aligned.rows > 0) {
        Some(aligned) => {
            let chance = pair.common.chance * aligned.rows as f64;
            // a column that refers to its own table has the same persons in other rows
            let refers = pair.same_meaning && !pair.same_column;
            pair.same_column && pair.same_rule && aligned.agree == aligned.rows
                || beyond(aligned.agree, chance)
                || refers && (pair.same_rule || beyond(pair.common.values, pair.expected))
        }
        None => pair.same_meaning && pair.same_rule || beyond(pair.common.values, pair.expected),
    };
    if !real {
        return nothing;
    }
    let per_value = pair.common.rows_a.max(pair.common.rows_b) as f64 / pair.common.values as f64;
    Some(if pair.names || per_value <= FEW_ROWS { Kind::Link } else { Kind::Weak })
}

/// What there is to say of a pair.
pub fn message(pair: &Pair, kind: Kind, keyed: (bool, bool)) -> String {
    let average = |rows: u64| {
        let n = rows as f64 / pair.common.values.max(1) as f64;
        if n < 1.05 {
            "one row".to_string()
        } else {
            format!("{n:.1} rows")
        }
    };
    let per_value =
        || format!("a value in common stands for {} and {}", average(pair.common.rows_a), average(pair.common.rows_b));
    match (kind, keyed) {
        (Kind::None, _) if pair.common.values > 0 => match keyed {
            (false, false) => "what they have in common tells no rows apart".into(),
            _ => "values in common are no more than chance: masked under keys of their own, equal values are not the same rows".into(),
        },
        (Kind::None, (true, true)) => "no value in common: each is masked under a key of its own, they do not join".into(),
        (Kind::None, _) => "no value in common, they do not join".into(),
        (Kind::Link, (true, true)) => format!("keyed masks that show the same: {}; the keys are not apart", per_value()),
        (Kind::Link, _) => format!("they join: {}", per_value()),
        (Kind::Weak, _) => format!("they narrow: {}", per_value()),
    }
}

/// How many different combinations there are, and in how many of them stands one row alone.
pub fn singled_out(rows: impl Iterator<Item = u64>) -> (u64, u64) {
    // a combination of NULLs is one, too
    let distinct = Distinct::of(rows.map(|hash| if hash == NULL { 1 } else { hash }));
    (distinct.len(), distinct.singles())
}

#[cfg(test)]
mod tests;
