//! How many values two columns would have in common by accident, told from the characters that stand in each place of their
//! texts: numbers of five digits meet often, names never. Keeps sets of characters, no value.

use std::collections::BTreeMap;

/// Longer texts meet by accident never.
const LONGEST: usize = 64;
/// What all characters beyond ASCII count for.
const OTHERS: f64 = 64.0;

/// The characters of a column's texts, by length and place.
#[derive(Clone, Debug, Default)]
pub struct Alphabet {
    lengths: BTreeMap<usize, Places>,
    texts: u64,
}

#[derive(Clone, Debug, Default)]
struct Places {
    texts: u64,
    /// Of each place a bit per ASCII character, and whether there are others.
    seen: Vec<(u128, bool)>,
}

impl Alphabet {
    /// Takes in the text of one row.
    pub fn push(&mut self, text: &str) {
        self.texts += 1;
        let length = text.chars().count();
        if length > LONGEST {
            return;
        }
        let places = self.lengths.entry(length).or_default();
        places.texts += 1;
        places.seen.resize(length, (0, false));
        for (seen, c) in places.seen.iter_mut().zip(text.chars()) {
            match u32::from(c) {
                ascii @ 0..=127 => seen.0 |= 1 << ascii,
                _ => seen.1 = true,
            }
        }
    }

    /// How many values both would have in common if these were so many texts drawn at random; never more than either has.
    pub fn expected(&self, values: u64, other: &Alphabet, others: u64) -> f64 {
        let share = |alphabet: &Alphabet, places: &Places, values: u64| {
            places.texts as f64 / alphabet.texts.max(1) as f64 * values as f64
        };
        let mut expected = 0.0;
        for (length, a) in &self.lengths {
            let Some(b) = other.lengths.get(length) else { continue };
            let possible: f64 = a.seen.iter().zip(&b.seen).map(|(x, y)| either(*x, *y)).product();
            let (n, m) = (share(self, a, values), share(other, b, others));
            expected += (n * m / possible.max(1.0)).min(n).min(m);
        }
        expected
    }
}

/// Characters that one or the other has there.
fn either(x: (u128, bool), y: (u128, bool)) -> f64 {
    let others = if x.1 || y.1 { OTHERS } else { 0.0 };
    f64::from((x.0 | y.0).count_ones()) + others
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: impl Iterator<Item = String>) -> (Alphabet, u64) {
        let mut alphabet = Alphabet::default();
        let mut n = 0;
        texts.for_each(|text| {
            alphabet.push(&text);
            n += 1;
        });
        (alphabet, n)
    }

    fn expected(a: &(Alphabet, u64), b: &(Alphabet, u64)) -> f64 {
        a.0.expected(a.1, &b.0, b.1)
    }

    #[test]
    fn numbers_that_lie_close_meet_and_names_do_not() {
        let dense = of((1..=999).map(|n| n.to_string()));
        let found = expected(&dense, &dense);
        assert!((990.0..=999.0).contains(&found), "{found}");
        let sparse = of((0..1000_u64).map(|n| (100_000_000 + n * 7_919_773 % 900_000_000).to_string()));
        assert!(expected(&sparse, &sparse) < 0.01);
        let names = of((0..1000).map(|n| format!("person{n}@example.com")));
        assert!(expected(&names, &dense) < 0.001);
    }

    #[test]
    fn what_is_long_or_foreign_never_meets_by_accident() {
        let long = of((0..100).map(|n| format!("{}{n:03}", "x".repeat(80))));
        assert!(expected(&long, &long).abs() < f64::EPSILON);
        let foreign = of((0..100).map(|n| format!("Łódź {n:02}")));
        // two places of it vary in ten ways, those beyond ASCII count as many
        assert!(expected(&foreign, &foreign) < 1.0);
        assert!(expected(&(Alphabet::default(), 0), &foreign).abs() < f64::EPSILON);
    }
}
