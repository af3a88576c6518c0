//! Whose rows a read touches: what the tracer collects while it runs, and the part of the record that it becomes.
//!
//! One [`Collector`] per read, one [`Persons`] per scope in it. `trace` puts probes on the plan's scans; `value` reads the
//! subject's columns from a row; what is kept of it, and for how many, is `pure::subjects`' to decide.

mod indexes;
mod trace;
mod value;

pub use indexes::fetch_rows;
pub use trace::{forget, forget_all, trace};
pub use value::{canonical_of_texts, locate_in_table};

use crate::pg::keys::memory::Locked;
use crate::pg::keys::ring::subjects as keys;
use crate::pg::registry::{Registry, Subject};
use crate::pure::error::Result;
use crate::pure::keyring::SubjectKey;
use crate::pure::subjects::{Set, Touched};
use pgrx::pg_sys;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// The data subjects that one read touches.
#[derive(Default)]
pub struct Collector(RefCell<Vec<Rc<Persons>>>);

/// Those of one scope.
struct Persons {
    scope: i32,
    relation: pg_sys::Oid,
    /// Its row filter looks into tables, so a join may be what leaves a row out.
    joined: bool,
    subject: Option<Known>,
    sets: RefCell<Sets>,
    unknown: Cell<bool>,
}

/// A declared subject, with the key of the present epoch.
struct Known {
    domain: String,
    columns: Vec<String>,
    epoch: u32,
    key: Rc<Locked<SubjectKey>>,
}

#[derive(Default)]
struct Sets {
    seen: Set,
    scanned: Set,
    /// Rows that a scan gave and the filter above it has not passed yet, one place per filter.
    in_flight: Vec<InFlight>,
}

#[derive(Default)]
struct InFlight {
    there: bool,
    hash: u64,
    person: Vec<u8>,
}

impl Collector {
    /// One for a read of these scopes. Reads catalogs; AL001 where the keys are locked.
    pub fn new(registry: &Registry, scopes: &[i32]) -> Result<Collector> {
        let collector = Collector::default();
        collector.add(registry, scopes)?;
        Ok(collector)
    }

    /// Takes in scopes that a statement inside the read reads.
    pub fn add(&self, registry: &Registry, scopes: &[i32]) -> Result<()> {
        for id in scopes {
            let Some(scope) = registry.scopes.get(id) else { continue };
            if self.0.borrow().iter().any(|p| p.scope == *id) {
                continue;
            }
            let subject = scope.subject.as_ref().map(known).transpose()?.flatten();
            let persons = Persons {
                scope: *id,
                relation: scope.relation,
                joined: !scope.filter_relations.is_empty(),
                subject,
                sets: RefCell::default(),
                unknown: Cell::new(false),
            };
            self.0.borrow_mut().push(Rc::new(persons));
        }
        Ok(())
    }

    /// What there is to say now, by scope. Touches no catalog.
    pub fn touched(&self) -> Vec<Touched> {
        let mut all: Vec<Touched> = self.0.borrow().iter().map(|persons| persons.touched()).collect();
        all.sort_by_key(|t| t.scope);
        all
    }

    fn persons(&self) -> Vec<Rc<Persons>> {
        self.0.borrow().clone()
    }
}

/// The subject under the present epoch's key; `None` when no epoch has begun.
fn known(subject: &Subject) -> Result<Option<Known>> {
    let Some(epoch) = keys::epoch()? else { return Ok(None) };
    let (domain, columns) = (subject.domain.clone(), subject.columns.clone());
    let key = keys::key(epoch, &domain)?;
    Ok(Some(Known { domain, columns, epoch, key }))
}

impl Persons {
    /// A scan gave a row of this person, and nothing above it can drop it.
    fn saw(&self, person: &[u8]) {
        let Some(known) = &self.subject else { return };
        let hash = known.key.hash(person);
        self.sets.borrow_mut().seen.insert(hash, person);
    }

    /// A scan gave a row of this person, and whether the row filter drops it cannot be told.
    fn perhaps(&self, person: &[u8]) {
        let Some(known) = &self.subject else { return };
        let hash = known.key.hash(person);
        self.sets.borrow_mut().scanned.insert(hash, person);
    }

    /// A scan gave a row of this person to the filter at this place.
    fn scanned(&self, place: usize, person: &[u8]) {
        let Some(known) = &self.subject else { return };
        let hash = known.key.hash(person);
        let mut sets = self.sets.borrow_mut();
        sets.scanned.insert(hash, person);
        if let Some(row) = sets.in_flight.get_mut(place) {
            row.there = true;
            row.hash = hash;
            row.person.clear();
            row.person.extend_from_slice(person);
        }
    }

    /// The row in flight at this place passed its filter.
    fn passed(&self, place: usize) {
        let mut sets = self.sets.borrow_mut();
        let Sets { seen, in_flight, .. } = &mut *sets;
        if let Some(row) = in_flight.get_mut(place).filter(|row| row.there) {
            row.there = false;
            seen.insert(row.hash, &row.person);
        }
    }

    /// The scan below this place is at its end: the filter dropped what it had.
    fn dropped(&self, place: usize) {
        if let Some(row) = self.sets.borrow_mut().in_flight.get_mut(place) {
            row.there = false;
        }
    }

    /// A place for a filter.
    fn place(&self) -> usize {
        let mut sets = self.sets.borrow_mut();
        sets.in_flight.push(InFlight::default());
        sets.in_flight.len() - 1
    }

    fn touched(&self) -> Touched {
        let Some(known) = &self.subject else { return Touched::undeclared(self.scope) };
        let mut sets = self.sets.borrow_mut();
        let Sets { seen, scanned, in_flight } = &mut *sets;
        // the filter was at work on it when an error came, whose text may hold its values
        for row in in_flight.iter_mut().filter(|row| row.there) {
            seen.insert(row.hash, &row.person);
        }
        Touched::new(self.scope, (&known.domain, known.epoch), &known.key, seen, scanned, self.unknown.get())
    }
}
