//! The records with which the log's worker says where the log begins, or goes on elsewhere than where it stopped, and
//! which of them an auditor must be told about.

use crate::pure::record::{Record, RecordKind};
use std::fmt;

/// How a [`Seam::Missing`] record begins; doctor looks for it.
pub const MISSING: &str = "the log's cursor was missing";

/// How a finding begins that says what the head file knows and the log does not.
pub const FORKED: &str = "the log is not the one whose head was kept";

/// Whose WAL the log is read from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The cluster's identity.
    pub system: u64,
    /// Its timeline.
    pub timeline: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "in system {} on timeline {}", self.system, self.timeline)
    }
}

impl Place {
    /// The place of its text.
    pub fn read(text: &str) -> Option<Place> {
        let (system, timeline) = text.strip_prefix("in system ")?.split_once(" on timeline ")?;
        let place = Place { system: system.parse().ok()?, timeline: timeline.parse().ok()? };
        (place.to_string() == text).then_some(place)
    }
}

/// How the log comes to a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seam {
    /// The first record of all.
    Begins,
    /// After a restore into another cluster, behind this record.
    Restored(i64),
    /// After a promotion, from this timeline.
    Promoted(u32),
    /// The cursor was gone although the log had begun here, behind this record: what was read meanwhile may be missing.
    Missing(i64),
}

impl Seam {
    /// The kind of the record that says it.
    pub fn kind(self) -> RecordKind {
        match self {
            Seam::Missing(_) => RecordKind::Finding,
            _ => RecordKind::Configuration,
        }
    }

    /// The record's detail.
    pub fn detail(self, place: Place) -> String {
        match self {
            Seam::Begins => format!("log begins {place}"),
            Seam::Restored(id) => format!("log continues {place} after record {id}"),
            Seam::Promoted(timeline) => format!("log continues {place}, after timeline {timeline}"),
            Seam::Missing(id) => {
                format!("{MISSING}: records before this one may be missing; log continues {place} after record {id}")
            }
        }
    }

    /// The seam a record speaks of, `None` for other records.
    pub fn read(kind: RecordKind, detail: &str) -> Option<(Seam, Place)> {
        let (_, rest) = detail.split_once("in system ")?;
        let (system, rest) = rest.split_once(" on timeline ")?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (timeline, rest) = rest.split_at(digits);
        let place = Place { system: system.parse().ok()?, timeline: timeline.parse().ok()? };
        let seam = match (kind, rest.strip_prefix(" after record "), rest.strip_prefix(", after timeline ")) {
            (RecordKind::Configuration, None, None) => Seam::Begins,
            (RecordKind::Configuration, Some(id), _) => Seam::Restored(id.parse().ok()?),
            (RecordKind::Configuration, _, Some(timeline)) => Seam::Promoted(timeline.parse().ok()?),
            (RecordKind::Finding, Some(id), _) => Seam::Missing(id.parse().ok()?),
            _ => return None,
        };
        (seam.detail(place) == detail).then_some((seam, place))
    }

    /// What a log without a cursor says when it begins or goes on `here`: `last_id` records are in it, which came to
    /// `before` last, and this cluster kept WAL for a log already or not.
    pub fn without_cursor(last_id: i64, before: Option<Place>, here: Place, slot: bool) -> Seam {
        match before {
            _ if slot => Seam::Missing(last_id),
            None if last_id == 0 => Seam::Begins,
            Some(before) if last_id > 0 && before.system != here.system => Seam::Restored(last_id),
            _ => Seam::Missing(last_id),
        }
    }
}

/// Follows a log from record to record and notes its seams.
#[derive(Default)]
pub struct Seams {
    place: Option<Place>,
    /// The first record of a seam that no restore and no promotion explains.
    pub first_bad: Option<i64>,
    /// All such seams, in words.
    pub bad: Vec<String>,
    /// After which records the log was restored into another cluster.
    pub restored: Vec<i64>,
}

impl Seams {
    /// For a log whose beginning was erased: the place that it was at then.
    pub fn after(place: Option<Place>) -> Seams {
        Seams { place, ..Seams::default() }
    }

    /// Takes the next record, in the order of ids.
    pub fn feed(&mut self, id: i64, record: &Record) {
        let detail = record.detail.as_deref().unwrap_or_default();
        if record.kind == RecordKind::Finding && detail.starts_with(FORKED) {
            self.first_bad.get_or_insert(id);
            self.bad.push(format!("record {id}: {detail}"));
        }
        let Some((seam, here)) = Seam::read(record.kind, detail) else { return };
        let before = self.place.replace(here);
        let explained = match (seam, before) {
            (Seam::Begins, None) => id == 1,
            (Seam::Restored(last), Some(before)) => last.checked_add(1) == Some(id) && before.system != here.system,
            (Seam::Promoted(from), Some(before)) => {
                before.system == here.system && before.timeline <= from && from < here.timeline
            }
            _ => false,
        };
        match (explained, seam) {
            (true, Seam::Restored(last)) => self.restored.push(last),
            (true, _) => {}
            (false, _) => {
                self.first_bad.get_or_insert(id);
                self.bad.push(match seam {
                    Seam::Missing(_) => format!("record {id}: {}", seam.detail(here)),
                    _ => format!("record {id}: {}, and no restore or promotion explains it", seam.detail(here)),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pure::record::StatementId;

    const HERE: Place = Place { system: 7, timeline: 2 };

    fn walk(records: &[(i64, Seam, Place)]) -> Seams {
        let mut seams = Seams::default();
        for (id, seam, place) in records {
            let id_of = StatementId { backend_start: 0, pid: 0, n: 0 };
            seams.feed(*id, &Record { detail: Some(seam.detail(*place)), ..Record::new(seam.kind(), 0, id_of) });
        }
        seams
    }

    #[test]
    fn each_seam_reads_back() {
        for seam in [Seam::Begins, Seam::Restored(9), Seam::Promoted(1), Seam::Missing(0)] {
            assert_eq!(Seam::read(seam.kind(), &seam.detail(HERE)), Some((seam, HERE)));
        }
        for other in ["", "log begins", "log begins in system 7 on timeline 2 after all", "x in system 7 on timeline 2"]
        {
            assert_eq!(Seam::read(RecordKind::Configuration, other), None, "{other}");
        }
        assert_eq!(Seam::read(RecordKind::Intent, &Seam::Begins.detail(HERE)), None);
    }

    #[test]
    fn what_a_log_without_a_cursor_says() {
        let elsewhere = Some(Place { system: 8, timeline: 1 });
        assert_eq!(Seam::without_cursor(0, None, HERE, false), Seam::Begins);
        assert_eq!(Seam::without_cursor(5, elsewhere, HERE, false), Seam::Restored(5));
        for (last, before, slot) in
            [(0, None, true), (5, elsewhere, true), (5, Some(HERE), false), (5, Some(HERE), true), (5, None, false)]
        {
            assert_eq!(Seam::without_cursor(last, before, HERE, slot), Seam::Missing(last));
        }
    }

    #[test]
    fn restores_and_promotions_are_explained() {
        let first = Place { system: 7, timeline: 1 };
        let other = Place { system: 8, timeline: 1 };
        let seams = walk(&[(1, Seam::Begins, first), (5, Seam::Promoted(1), HERE), (9, Seam::Restored(8), other)]);
        assert_eq!((seams.first_bad, seams.restored), (None, vec![8]));
    }

    #[test]
    fn attack_log_that_began_again() {
        let first = Place { system: 7, timeline: 1 };
        for again in [Seam::Begins, Seam::Restored(4), Seam::Missing(4), Seam::Promoted(1)] {
            assert_eq!(walk(&[(1, Seam::Begins, first), (5, again, first)]).first_bad, Some(5), "{again:?}");
        }
        assert_eq!(walk(&[(1, Seam::Missing(0), first)]).first_bad, Some(1));
        assert_eq!(walk(&[(3, Seam::Begins, first)]).first_bad, Some(3));
    }
}
