//! How old the oldest of what the log's worker has not read may be, from samples of how far WAL went when.

use std::collections::VecDeque;

/// Least time between two samples, in microseconds: what a backlog's age is exact to.
const STEP: i64 = 1_000_000;

/// Samples of WAL's end, and the time up to which all of it has been read.
#[derive(Debug)]
pub struct Lag {
    /// (position, time): all that was flushed then lies before it.
    samples: VecDeque<(u64, i64)>,
    as_of: i64,
}

impl Lag {
    /// All that was flushed at `as_of` (µs) has been read.
    pub fn new(as_of: i64) -> Lag {
        Lag { samples: VecDeque::new(), as_of }
    }

    /// WAL was flushed up to `flushed`, as was asked *after* the clock said `now`.
    pub fn note(&mut self, flushed: u64, now: i64) {
        if self.samples.back().is_none_or(|(_, last)| now.saturating_sub(*last) >= STEP || now < *last) {
            self.samples.push_back((flushed, now));
        }
    }

    /// WAL has been read up to `position`. Gives the time up to which all that was flushed then has been.
    pub fn read(&mut self, position: u64) -> i64 {
        while let Some((_, now)) = self.samples.front().filter(|(lsn, _)| *lsn <= position).copied() {
            self.as_of = now;
            self.samples.pop_front();
        }
        self.as_of
    }

    /// There was nothing left to read when the clock said `now`.
    pub fn caught_up(&mut self, now: i64) -> i64 {
        self.samples.clear();
        self.as_of = now;
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_is_that_of_the_oldest_sample_that_is_not_reached() {
        let s = 1_000_000;
        let mut lag = Lag::new(0);
        lag.note(100, s);
        lag.note(150, s + 10); // too soon after
        lag.note(200, 2 * s);
        lag.note(300, 3 * s);
        assert_eq!(lag.read(99), 0);
        assert_eq!(lag.read(100), s);
        assert_eq!(lag.read(150), s);
        assert_eq!(lag.read(250), 2 * s);
        lag.note(400, 4 * s);
        assert_eq!(lag.read(300), 3 * s);
        assert_eq!(lag.caught_up(9 * s), 9 * s);
        assert_eq!(lag.read(500), 9 * s, "what was noted before has been read");
    }

    #[test]
    fn a_clock_that_is_set_back_is_sampled_again() {
        let mut lag = Lag::new(50_000_000);
        lag.note(100, 60_000_000);
        lag.note(200, 10_000_000);
        assert_eq!(lag.read(200), 10_000_000);
    }

    #[test]
    fn samples_stay_few() {
        let mut lag = Lag::new(0);
        (0..100_000_u64).for_each(|i| lag.note(i, i as i64 * 1000));
        assert!(lag.samples.len() <= 101, "{}", lag.samples.len());
    }
}
