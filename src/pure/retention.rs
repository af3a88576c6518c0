//! What the log's worker says when it erases what was kept for long enough: records of its own in the chain, by which
//! `verify_log()` tells what was erased by the rules from what somebody took away.

use crate::pure::chain::Hash;
use crate::pure::record::RecordKind;
use crate::pure::seam::Place;

/// In every such record's detail.
pub const MARK: &str = "were erased after ";

/// What was erased: always from the log's beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Erased {
    /// Whole records, the last with its link, and the place that the log was at then.
    Records {
        /// Id of the last of them.
        last: i64,
        /// Its link, from which the chain goes on.
        hash: Hash,
        /// Where the log was then.
        place: Option<Place>,
    },
    /// Constants and parameters of the records up to this one.
    Values(i64),
    /// Data subjects of the records up to this one.
    Subjects(i64),
}

impl Erased {
    /// The detail of a `configuration` record, for what was kept for so many days.
    pub fn detail(&self, days: i32) -> String {
        match self {
            Erased::Records { last, hash, place } => {
                let hash = data_encoding::HEXLOWER.encode(hash);
                let place = place.map_or(String::new(), |place| format!(" {place}"));
                format!("records up to {last} {MARK}{days} days; record {last} had the hash {hash}{place}")
            }
            Erased::Values(last) => {
                format!("constants and parameters of records up to {last} {MARK}{days} days")
            }
            Erased::Subjects(last) => format!("data subjects of records up to {last} {MARK}{days} days"),
        }
    }

    /// What a record's detail says was erased; `None` for other records.
    pub fn read(kind: RecordKind, detail: &str) -> Option<Erased> {
        if kind != RecordKind::Configuration {
            return None;
        }
        let (what, rest) = detail.split_once(MARK)?;
        let (days, rest) = rest.split_once(" days")?;
        let days = days.parse().ok()?;
        let (what, last) = what.trim_end().rsplit_once(' ')?;
        let last = last.parse().ok()?;
        let erased = match what {
            "constants and parameters of records up to" => Erased::Values(last),
            "data subjects of records up to" => Erased::Subjects(last),
            "records up to" => {
                let (_, rest) = rest.split_once(" had the hash ")?;
                let (hash, place) = rest.split_at_checked(64)?;
                let hash = data_encoding::HEXLOWER.decode(hash.as_bytes()).ok()?.try_into().ok()?;
                let place = match place.is_empty() {
                    true => None,
                    false => Some(Place::read(place.strip_prefix(' ')?)?),
                };
                Erased::Records { last, hash, place }
            }
            _ => return None,
        };
        (erased.detail(days) == detail).then_some(erased)
    }
}

/// How long the records of a sub-processor are kept, in days; `None` is for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The records.
    pub records: Option<i32>,
    /// Their constants and parameters; no longer than the records.
    pub values: Option<i32>,
    /// Their data subjects; no longer than the records.
    pub subjects: Option<i32>,
}

/// After how many days what was settled on one day may go: when the last of those whose it is lets it. `None`: it stays.
///
/// `present` are the periods of the sub-processors of that day; where there are none, those of all sub-processors count.
pub fn period(present: &[Option<i32>], all: &[Option<i32>]) -> Option<i32> {
    let whose = if present.is_empty() { all } else { present };
    whose.iter().copied().collect::<Option<Vec<i32>>>()?.into_iter().max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read_back_and_nothing_else_is() {
        let place = Some(Place { system: 7, timeline: 2 });
        for erased in [
            Erased::Records { last: 900, hash: [0xab; 32], place },
            Erased::Records { last: 900, hash: [0; 32], place: None },
            Erased::Values(7),
            Erased::Subjects(i64::MAX),
        ] {
            let detail = erased.detail(90);
            assert_eq!(Erased::read(RecordKind::Configuration, &detail), Some(erased.clone()), "{detail}");
            assert_eq!(Erased::read(RecordKind::Finding, &detail), None);
            assert_eq!(Erased::read(RecordKind::Configuration, &format!("{detail} ")), None);
            assert_eq!(Erased::read(RecordKind::Configuration, &format!("some {detail}")), None);
        }
        let records = Erased::Records { last: 5, hash: [1; 32], place: None }.detail(1);
        for other in ["", MARK, "records up to 5 were erased after 1 days", &records[..records.len() - 1]] {
            assert_eq!(Erased::read(RecordKind::Configuration, other), None, "{other}");
        }
        // the seams of the log are another thing
        assert_eq!(
            crate::pure::seam::Seam::read(
                RecordKind::Configuration,
                &Erased::Records { last: 5, hash: [1; 32], place }.detail(1)
            ),
            None
        );
    }

    #[test]
    fn a_day_stays_as_long_as_the_longest_of_its_sub_processors() {
        assert_eq!(period(&[Some(30), Some(90)], &[None]), Some(90));
        assert_eq!(period(&[Some(30), None], &[]), None);
        assert_eq!(period(&[], &[Some(30), Some(60)]), Some(60));
        assert_eq!(period(&[], &[Some(30), None]), None);
        assert_eq!(period(&[], &[]), None);
    }
}
