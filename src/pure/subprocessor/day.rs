//! What is counted by day (UTC): a word that holds a day and a count, and a session's place among those that read on it.

/// Bits of the count.
const COUNT: u32 = 40;

/// Adds `more` to what the word counts today, from 0 where it is of another day, unless that makes more than `most`. Gives the
/// new word and the count. Days are counted from 2000.
///
/// A word of tomorrow goes on as tomorrow's: a backend that looked at the clock just before midnight must not take back what
/// others have counted since, nor a clock that is set back over it.
pub fn add_today(word: u64, today: i32, more: i64, most: i64) -> Option<(u64, i64)> {
    let limit = (1_i64 << COUNT) - 1;
    let day = u64::try_from(today).unwrap_or(0);
    let counted = word >> COUNT;
    let (day, so_far) = match counted == day || counted == day + 1 {
        true => (counted, word as i64 & limit),
        false => (day, 0),
    };
    let total = so_far.saturating_add(more.max(0)).min(limit);
    (total <= most).then_some((day << COUNT | total as u64, total))
}

/// Which a session is of those that read for a sub-processor on a day. A pooler's may read for one after the other.
#[derive(Debug, Default)]
pub struct Places(Vec<(String, i32, i64)>);

impl Places {
    /// None yet.
    pub const fn new() -> Places {
        Places(Vec::new())
    }

    /// Its place today, from 1; `None` before its first read of the day.
    pub fn of(&self, subprocessor: &str, today: i32) -> Option<i64> {
        self.0.iter().find(|(name, day, _)| name == subprocessor && *day == today).map(|(_, _, place)| *place)
    }

    /// Notes its place. Those of other days are over.
    pub fn take(&mut self, subprocessor: &str, today: i32, place: i64) {
        self.0.retain(|(_, day, _)| *day == today);
        self.0.push((subprocessor.to_string(), today, place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_counted_from_nothing() {
        let (word, total) = add_today(0, 9000, 5, i64::MAX).unwrap();
        assert_eq!(total, 5);
        assert_eq!(add_today(word, 9000, 3, 8).map(|(_, total)| total), Some(8));
        assert_eq!(add_today(word, 9000, 4, 8), None);
        assert_eq!(add_today(word, 9001, 4, 8).map(|(_, total)| total), Some(4), "after midnight");
        let (tomorrow, _) = add_today(word, 9001, 7, i64::MAX).unwrap();
        assert_eq!(add_today(tomorrow, 9000, 1, 8).map(|(word, total)| (word >> COUNT, total)), Some((9001, 8)));
        assert_eq!(add_today(tomorrow, 9000, 2, 8), None, "late for yesterday, and counted");
        assert_eq!(add_today(tomorrow, 8000, 1, 8).map(|(word, total)| (word >> COUNT, total)), Some((8000, 1)));
        let full = (1_i64 << COUNT) - 1;
        let (word, total) = add_today(word, 9000, i64::MAX, i64::MAX).unwrap();
        assert_eq!((total, word >> COUNT), (full, 9000), "the day is never overrun");
        assert_eq!(add_today(word, 9000, -1, i64::MAX), Some((word, full)));
    }

    #[test]
    fn a_session_that_lives_over_midnight_takes_another_place() {
        let mut places = Places::new();
        places.take("acme", 9000, 7);
        places.take("globex", 9000, 1);
        assert_eq!(
            (places.of("acme", 9000), places.of("globex", 9000), places.of("acme", 9001)),
            (Some(7), Some(1), None)
        );
        places.take("acme", 9001, 2);
        assert_eq!((places.of("acme", 9001), places.of("globex", 9001)), (Some(2), None));
    }
}
