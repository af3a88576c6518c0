//! One read: a top-level statement and what runs inside it.

use super::{Frame, Run, State};
use crate::pg::readlog::subjects::Collector;
use crate::pg::readlog::wal::Sealer;
use crate::pg::registry::Subprocessor;
use crate::pg::sys;
use crate::pure::record::{Outcome, Record};
use crate::pure::wire::Number;
use std::rc::Rc;

/// How and when a read ended.
#[derive(Clone)]
pub struct Ended {
    /// µs since 2000.
    pub at: i64,
    /// Of the error that ended it.
    pub sqlstate: Option<String>,
    /// How, where the SQLSTATE does not say.
    pub outcome: Option<Outcome>,
}

impl Ended {
    /// Just now.
    pub fn now(sqlstate: Option<String>, outcome: Option<Outcome>) -> Ended {
        Ended { at: sys::now(), sqlstate, outcome }
    }

    /// The outcome to record.
    pub fn outcome(&self) -> Outcome {
        self.outcome.unwrap_or(match self.sqlstate.as_deref() {
            None => Outcome::Ok,
            Some("57014") => Outcome::Cancelled,
            Some("57P01" | "57P02" | "57P03") => Outcome::Terminated,
            Some(_) => Outcome::Error,
        })
    }
}

/// What one top-level statement reads.
pub struct Read {
    /// The outermost executor run: the read ends with it.
    pub root: Run,
    /// The runs that are armed, with their transaction nesting.
    pub runs: Vec<(Run, i32)>,
    /// Transaction nesting of the top-level statement.
    pub level: i32,
    /// Scopes that are read.
    pub scopes: Vec<i32>,
    /// What the contract was last checked against: the registry's generation and the day.
    pub checked: ((u64, u64), i32),
    /// The record, as it would begin.
    pub record: Record,
    /// What seals it.
    pub sealer: Rc<Sealer>,
    /// The wire counts it; else its record was durable before it began, and [`Read::rows`] counts.
    pub at_the_wire: bool,
    /// The objects of 0.1.0 are installed, which have no place for a record's parts.
    pub older: bool,
    /// What its statement holds apart from its text, for each record that says the text.
    pub private: Option<Vec<u8>>,
    /// Whose rows it touches.
    pub persons: Rc<Collector>,
    /// Rows of the executor.
    pub rows: i64,
    /// Rows that were added to the day's.
    pub added: i64,
    /// Whose it is, as when it began.
    pub contract: Option<Rc<Subprocessor>>,
    /// Set when it has ended.
    pub ended: Option<Ended>,
}

impl Read {
    /// A read that begins with this run, of no scope yet; [`State::add`] finds its place.
    pub fn new(run: Run, level: i32, record: Record, sealer: Rc<Sealer>) -> Read {
        Read {
            root: run,
            runs: vec![(run, level)],
            level,
            scopes: Vec::new(),
            checked: ((0, 0), 0),
            record,
            sealer,
            at_the_wire: false,
            older: false,
            private: None,
            persons: Rc::default(),
            rows: 0,
            added: 0,
            contract: None,
            ended: None,
        }
    }

    /// Its number within the backend.
    pub fn number(&self) -> Number {
        self.record.statement_id.n
    }

    /// Whether this run is armed.
    pub fn has(&self, run: Run) -> bool {
        self.runs.iter().any(|(r, _)| *r == run)
    }

    /// Whether this run is armed, or the read is of something inside it.
    pub fn concerns(&self, run: Run) -> bool {
        self.root == run || self.has(run)
    }

    /// Whether its record, as it stands, says all that `other` says about what is read, and by whom.
    fn says(&self, other: &Record) -> bool {
        let all = |(mine, theirs): (&Vec<String>, &Vec<String>)| theirs.iter().all(|name| mine.contains(name));
        lists(&self.record).into_iter().zip(lists(other)).all(all)
    }
}

/// The number of a record that is not of a read.
pub fn next_number() -> Number {
    super::with(State::next_number)
}

/// Where to note whose rows this run reads, if it is armed.
pub fn persons_of(run: Run) -> Option<Rc<Collector>> {
    super::STATE.with(|s| s.borrow().reads.iter().rfind(|r| r.has(run)).map(|r| r.persons.clone()))
}

/// What a record says is read.
fn lists(record: &Record) -> [&Vec<String>; 5] {
    [&record.views, &record.columns, &record.returned, &record.filtered, &record.base_columns]
}

impl State {
    /// The number of the next record of this backend.
    pub fn next_number(&mut self) -> Number {
        self.statements += 1;
        self.statements
    }

    /// The outermost executor run, or `run` if there is none yet.
    fn root_of(&self, run: Run) -> Run {
        let first = self.frames.iter().find_map(|f| if let Frame::Executor(run) = f { Some(*run) } else { None });
        first.unwrap_or(run)
    }

    /// Lets a statement inside another join that one's read, and gives its persons. `None` when it needs one of its own: the record is durable
    /// and does not name all that is read, or names another role or another statement.
    pub fn join(&mut self, run: Run, level: i32, record: &Record, scopes: &[i32]) -> Option<Rc<Collector>> {
        let root = self.root_of(run);
        if root == run {
            return None;
        }
        let wire = &self.wire;
        let may = |read: &&mut Read| {
            let who = |r: &Record| (r.subprocessor.clone(), r.acting_role.clone(), r.purpose.clone());
            let open = read.root == root && read.ended.is_none() && !wire.at_rest(read.number());
            let related = read.runs.first().is_some_and(|(r, _)| *r == root)
                || read.record.statement == record.statement && !read.record.statement.is_empty();
            let named = read.says(record) || read.at_the_wire && !wire.is_recorded(read.number());
            open && related && named && who(&read.record) == who(record)
        };
        let read = self.reads.iter_mut().find(may)?;
        let mine = &mut read.record;
        let mine = [&mut mine.views, &mut mine.columns, &mut mine.returned, &mut mine.filtered, &mut mine.base_columns];
        for (mine, theirs) in mine.into_iter().zip(lists(record)) {
            for name in theirs {
                if !mine.contains(name) {
                    mine.push(name.clone());
                }
            }
        }
        read.scopes.extend(scopes.iter().filter(|s| !read.scopes.contains(s)).copied().collect::<Vec<_>>());
        read.record.scopes.clone_from(&read.scopes);
        read.runs.push((run, level));
        let persons = read.persons.clone();
        self.outlet(run);
        Some(persons)
    }

    /// Takes up a read that begins with its first run.
    pub fn add(&mut self, mut read: Read) {
        let Some((run, _)) = read.runs.first().copied() else { return };
        read.root = self.root_of(run);
        if read.root != run {
            // the error of a statement inside may be caught, and what it read be told by the statement outside
            read.level = 1;
        }
        if read.at_the_wire {
            self.wire.read(read.number(), false);
        }
        self.reads.push(read);
        self.outlet(run);
    }

    /// What a run reads leaves through the top-level statement's portal.
    pub fn outlet(&mut self, run: Run) {
        let direct = self.frames.is_empty();
        for read in self.reads.iter().filter(|r| r.at_the_wire && r.concerns(run)) {
            self.wire.outlet(self.portal, read.number(), direct);
        }
    }

    /// Ends reads.
    pub fn end(&mut self, which: impl Fn(&Read) -> bool, how: &Ended) {
        let (wire, orphans) = (&mut self.wire, &mut self.orphans);
        self.reads.retain_mut(|read| {
            if !which(read) || read.ended.is_some() {
                return true;
            }
            read.ended = Some(how.clone());
            // the addresses may be another run's next; what goes on without its read must not
            orphans.extend(read.runs.iter().map(|(run, _)| *run).filter(|run| *run != read.root));
            read.runs.clear();
            read.root = 0;
            // one that was answered and recorded has nothing left to say
            !(read.at_the_wire && wire.end(read.number()))
        });
    }
}
