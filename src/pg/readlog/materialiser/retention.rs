//! Erases what was kept for long enough: whole partitions, the oldest first, and a record in the chain that says so.

use super::holds::Held;
use super::partitions::{self, Partition};
use super::store::{self, spi};
use crate::pg::admin::unknown_subprocessor;
use crate::pg::error::log;
use crate::pg::sys;
use crate::pg::sys::sql::{self, arg};
use crate::pg::sys::tuples::{self, Tuple};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::record::RecordKind;
use crate::pure::retention::{period, Erased, Kept, MARK};
use crate::pure::seam::Place;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::{pg_sys, Spi};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The partition of what is of no day.
const FIRST: &str = "airlock_catalog.read_record_first";

/// How often it is looked for what may be erased, but for each new day.
const EVERY: Duration = Duration::from_secs(600);

/// When it was last looked for what may be erased.
#[derive(Default)]
pub struct Eraser(Option<(i32, Instant)>);

impl Eraser {
    /// Whether it is time to look: at the start, on each new day, and now and then for what could not be erased.
    pub fn due(&self) -> bool {
        !super::before_0_2() && self.0.is_none_or(|(day, at)| day != sys::today() || at.elapsed() >= EVERY)
    }

    /// Erases what was kept long enough; what to say of it.
    pub fn erase(&mut self) -> Result<Vec<String>> {
        self.0 = Some((sys::today(), Instant::now()));
        let mut said = Vec::new();
        let Some(held) = Held::kept_so()? else { return Ok(said) };
        for due in due(&held)? {
            let place = match due.erased {
                Some(Erased::Records { last, .. }) => store::last_place(last)?,
                _ => None,
            };
            match due.erase()? {
                Ok(()) => said.extend(due.with(place)),
                Err(why) => {
                    log(format!("pg_airlock: a partition of the log could not be erased: {why}"));
                    break;
                }
            }
        }
        Ok(said)
    }
}

/// A partition that may go, and what is to be said of it.
pub struct Due {
    /// Its table.
    table: &'static str,
    partition: String,
    /// What to say, but for the place of records; nothing of a day without any.
    pub erased: Option<Erased>,
    /// After how many days.
    pub days: i32,
}

/// The periods of all sub-processors, by name; none for those whose records are held.
fn kept(held: &Held) -> Result<HashMap<String, Kept>> {
    let sql = "SELECT s.name, s.log_days, s.values_days, s.subjects_days FROM airlock_catalog.subprocessor s";
    Spi::connect(|client| {
        let mut found = HashMap::new();
        for row in client.select(sql, None, &[]).map_err(spi)? {
            let days = |i: usize| row.get::<i32>(i).map_err(spi);
            let records = days(2)?;
            // never longer than the record that they are of
            let part = |own: Option<i32>| match (own, records) {
                (Some(own), Some(records)) => Some(own.min(records)),
                (own, records) => own.or(records),
            };
            let kept = Kept { records, values: part(days(3)?), subjects: part(days(4)?) };
            let name = row.get::<String>(1).map_err(spi)?.unwrap_or_default();
            let kept = if held.all || held.subprocessors.contains(&name) { Kept::default() } else { kept };
            found.insert(name, kept);
        }
        Ok(found)
    })
}

/// What may go today: of each table the oldest partitions up to the first that stays.
fn due(held: &Held) -> Result<Vec<Due>> {
    let (kept, today) = (kept(held)?, sys::today());
    if kept.values().all(|k| *k == Kept::default()) {
        return Ok(Vec::new());
    }
    let mut due = Vec::new();
    let periods = kept.values().flat_map(|k| [k.records, k.values, k.subjects]).flatten();
    let least = periods.min().unwrap_or(i32::MAX);
    let days = days(today.saturating_sub(least))?;
    type Period = fn(&Kept) -> Option<i32>;
    let kinds: [(&'static str, Period); 3] =
        [("read_private", |k| k.values), ("read_subject", |k| k.subjects), ("read_record", |k| k.records)];
    for (table, of) in kinds {
        let all: Vec<Option<i32>> = kept.values().map(of).collect();
        let there = partitions::of(table)?;
        for day in &days {
            let newest = day.partition.day >= today;
            let present = day.present.iter().map(|name| kept.get(name).and_then(of)).collect::<Vec<_>>();
            let Some(period) = period(&present, &all).filter(|period| !newest && day.partition.day + period < today)
            else {
                break;
            };
            let partition = match table {
                "read_record" => Some(day.partition.name.clone()),
                _ => there.iter().find(|p| p.day == day.partition.day).map(|p| p.name.clone()),
            };
            let erased = day.last.map(|(last, hash)| match table {
                "read_record" => Erased::Records { last, hash, place: None },
                "read_private" => Erased::Values(last),
                _ => Erased::Subjects(last),
            });
            due.extend(partition.map(|partition| Due { table, partition, erased, days: period }));
        }
    }
    Ok(due)
}

/// A partition of records, whose they are, and the last of them.
struct Day {
    partition: Partition,
    present: Vec<String>,
    last: Option<(i64, [u8; 32])>,
}

/// The partitions of records that are of a day before this one, the oldest first.
fn days(before: i32) -> Result<Vec<Day>> {
    let mut all = Vec::new();
    let last = format!("SELECT max(r.logged_at) FROM {FIRST} r");
    let first = Spi::connect(|client| {
        client
            .select(last.as_str(), Some(1), &[])
            .and_then(|t| t.first().get_one::<TimestampWithTimeZone>())
            .map_err(spi)
    })?;
    if let Some(first) = first {
        let day = i32::try_from(first.into_inner().div_euclid(86_400_000_000)).unwrap_or(i32::MAX);
        if day >= before {
            // only from the beginning on
            return Ok(Vec::new());
        }
        all.push(Partition { oid: pg_sys::InvalidOid, name: FIRST.into(), day });
    }
    all.extend(partitions::of("read_record")?.into_iter().filter(|p| p.day < before));
    all.into_iter().map(look).collect()
}

fn look(partition: Partition) -> Result<Day> {
    let table = partition.name.clone();
    Spi::connect(|client| {
        // from name to name through the index, for a day may have millions of rows
        let sql = format!(
            "WITH RECURSIVE names (name) AS (SELECT min(r.subprocessor) FROM {table} r \
               UNION ALL SELECT (SELECT min(r.subprocessor) FROM {table} r WHERE r.subprocessor > n.name) FROM names n WHERE n.name IS NOT NULL) \
             SELECT n.name FROM names n WHERE n.name <> ''"
        );
        let mut present = Vec::new();
        for row in client.select(sql.as_str(), None, &[]).map_err(spi)? {
            present.extend(row.get::<String>(1).map_err(spi)?);
        }
        let sql = format!("SELECT r.id, r.hash FROM {table} r ORDER BY r.id DESC LIMIT 1");
        let mut last = None;
        for row in client.select(sql.as_str(), None, &[]).map_err(spi)? {
            let hash = row.get::<Vec<u8>>(2).map_err(spi)?.and_then(|h| h.try_into().ok());
            last = row.get::<i64>(1).map_err(spi)?.zip(hash);
        }
        Ok(Day { partition, present, last })
    })
}

impl Due {
    /// What to say, for records with the place that the log was at with the last of them.
    pub fn with(&self, at: Option<Place>) -> Option<String> {
        let mut erased = self.erased.clone()?;
        if let Erased::Records { place, .. } = &mut erased {
            *place = at;
        }
        Some(erased.detail(self.days))
    }

    /// Takes the partition away, in the caller's transaction. `Err` says why it could not be, and nothing is changed.
    pub fn erase(&self) -> Result<std::result::Result<(), String>> {
        let (parent, name) = (self.table, &self.partition);
        sql::attempted(|| {
            let done = sql::impatient(|| {
                let statement = match self.partition == FIRST {
                    true => format!("TRUNCATE {name}"),
                    false => format!("DROP TABLE {name}"),
                };
                sql::run(&statement, &[]).map(|_| ())
            })?;
            let busy = || Error::new(Kind::State, format!("somebody reads airlock_catalog.{parent}"));
            if done {
                Ok(())
            } else {
                Err(busy())
            }
        })
    }
}

/// All that the log says was erased, the oldest first; `as_seen`: by what the running query sees, as [`tuples::each_as_seen`].
pub fn erased(as_seen: bool) -> Result<Vec<Erased>> {
    let sql = "SELECT r.detail FROM airlock_catalog.read_record r WHERE r.kind IN ('audit', 'configuration', 'finding') AND r.kind = 'configuration' \
               AND pg_catalog.strpos(r.detail, $1) > 0 ORDER BY r.id";
    let mut found = Vec::new();
    let note = |row: &Tuple| {
        found.extend(Erased::read(RecordKind::Configuration, row.text(1)?.unwrap_or_default()));
        Ok(true)
    };
    match as_seen {
        true => tuples::each_as_seen(sql, &[MARK.into()], note)?,
        false => tuples::each(sql, &[MARK.into()], note)?,
    }
    Ok(found)
}

/// Stores the periods of a sub-processor.
///
/// # Errors
/// 42704 when there is none of that name.
pub fn set(subprocessor: &str, kept: Kept) -> Result<()> {
    let changed = sql::run(
        "UPDATE airlock_catalog.subprocessor SET log_days = $2, values_days = $3, subjects_days = $4 WHERE name = $1",
        &[arg(subprocessor), arg(kept.records), arg(kept.values), arg(kept.subjects)],
    )?;
    match changed {
        1 => Ok(()),
        _ => Err(unknown_subprocessor(subprocessor)),
    }
}
