//! Contestants measured in turn, and what is read off the rounds: medians, ratios of pairs, their spread.

/// Median and range of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The smallest.
    pub low: f64,
    /// The largest.
    pub high: f64,
}

impl Spread {
    /// Of at least one figure.
    pub fn of(figures: &[f64]) -> Spread {
        assert!(!figures.is_empty(), "nothing was measured");
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median =
            if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) };
        Spread { median, low: sorted[0], high: sorted[sorted.len() - 1] }
    }
}

/// Runs all contestants in each round, once more before the first without counting it. Every second round goes the other
/// way, so that none always profits from what its neighbour left warm. The figures by contestant.
pub fn interleaved<const N: usize>(rounds: usize, mut contestants: [&mut dyn FnMut() -> f64; N]) -> [Vec<f64>; N] {
    let mut figures = [const { Vec::new() }; N];
    contestants.iter_mut().for_each(|run| {
        run();
    });
    for round in 0..rounds {
        for turn in 0..N {
            let who = if round % 2 == 0 { turn } else { N - 1 - turn };
            figures[who].push(contestants[who]());
        }
    }
    figures
}

/// One series over another, round by round: what disturbs the machine for longer than a round disturbs both.
pub fn ratios(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    ours.iter().zip(theirs).map(|(o, t)| o / t).collect()
}

/// What is left of a series without what another one costs, round by round.
pub fn net(figures: &[f64], base: &[f64]) -> Vec<f64> {
    figures.iter().zip(base).map(|(f, b)| f - b).collect()
}
