//! Probes on a plan: every row that a scan of a scope's table gives is noted with its person, and, where a filter above
//! the scan may drop it, noted as seen only once it has passed.
//!
//! A probe takes the place of a node's `ExecProcNodeReal`, which `ExecProcNodeFirst` puts into `ExecProcNode`. A scan's
//! `ss_ScanTupleSlot` holds the whole row, also where the subject's columns are projected away. A filter that is not
//! leakproof stays above the barrier views: the outermost node that a scan reaches through nodes with one row in flight
//! (SubqueryScan, Result, Append) tells by returning a row that the row just scanned has passed.
//!
//! EXISTS and IN of a row filter become joins. The outer side of a join has one row in flight too, as has the inner one of a
//! nested loop, so these belong to such a chain. Where PostgreSQL joins in another way, a row that was scanned may or may not
//! have passed the filter, and its person is one that may have been seen; as is that of a row which a hash join kept in a
//! file, for it comes back when the scan is at its end and nothing is in flight.
//!
//! Whatever cannot be looked into makes the read one of "anybody": foreign and custom scans, an index that gives rows by
//! itself without the subject's columns, a bitmap scan that does not fetch the row.
#![allow(unsafe_code)] // ◆ plan state nodes
#![allow(ffi_unwind_calls)] // reason: the executor's own calls, made as C makes them; no frame here owns anything meanwhile

use super::value::{locate_in_index, locate_in_table, read, Place, Read};
use super::{Collector, Persons};
use crate::pg::readlog::armed::Run;
use crate::pg::sys::{list, raw};
use crate::pure::subjects::{append, Already};
use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag as T;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::rc::Rc;

type Node = *mut pg_sys::PlanState;

/// What happens when a node returns a row.
enum What {
    /// It scans a table.
    Scan { of: Vec<Target>, fetches: bool },
    /// It filters what scans beneath it gave.
    Filter(Vec<(Rc<Persons>, usize)>),
}

/// How the person of a row that a scan gave is noted.
#[derive(Clone, Copy)]
enum Note {
    /// Nothing above can drop the row.
    Seen,
    /// The filter at this place may.
    Filtered(usize),
    /// Something above may, and it does not show.
    Perhaps,
}

/// For whom a scan's rows are noted.
struct Target {
    persons: Rc<Persons>,
    places: Option<Vec<Place>>,
    note: Note,
}

struct Probe {
    run: Run,
    original: pg_sys::ExecProcNodeMtd,
    what: What,
}

/// By address of the node, looked up for every row.
type Probes = HashMap<u64, Box<Probe>, BuildHasherDefault<Already>>;

thread_local! {
    /// By address of the node.
    static PROBES: RefCell<Probes> = RefCell::new(Probes::default());
    /// The person of the row at hand.
    static PERSON: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The run ended: its nodes are gone.
pub fn forget(run: Run) {
    PROBES.with(|p| p.borrow_mut().retain(|_, probe| probe.run != run));
}

/// No run is left.
pub fn forget_all() {
    PROBES.with(|p| p.borrow_mut().clear());
}

/// Puts probes on the plan of a run that has started, for the scopes of its read.
///
/// # Safety
/// ExecutorStart of `desc` has just returned.
pub unsafe fn trace(desc: *mut pg_sys::QueryDesc, collector: &Collector) {
    let persons = collector.persons();
    let joined = persons.iter().any(|p| p.joined);
    let mut walk = Walk { run: desc as usize, persons, opaque: false, joined, joins: 0, gathers: 0 };
    // SAFETY: the plan's state trees, just made; entries of es_subplanstates may be NULL.
    unsafe {
        walk.down((*desc).planstate, &mut None);
        // a row filter's subplan may run beneath a Gather, by the worker that has the row
        walk.gathers = usize::from(joined && (*(*desc).plannedstmt).parallelModeNeeded);
        for plan in list::<pg_sys::PlanState>((*(*desc).estate).es_subplanstates) {
            walk.down(plan, &mut None);
        }
    }
    if walk.opaque {
        walk.persons.iter().for_each(|p| p.unknown.set(true));
    }
}

/// The outermost node of a chain with one row in flight, and the scans beneath that it filters.
struct Chain {
    top: Node,
    /// Whether a node of it can drop a row.
    filters: bool,
    /// Joins of it above the node at hand.
    joins: usize,
    scans: Vec<(Rc<Persons>, usize)>,
}

struct Walk {
    run: Run,
    persons: Vec<Rc<Persons>>,
    /// There is a node that shows no rows of tables.
    opaque: bool,
    /// A row filter among those of the read looks into tables.
    joined: bool,
    /// Joins above the node at hand.
    joins: usize,
    /// Nodes above the one at hand whose rows come from parallel workers, which note nobody.
    gathers: usize,
}

impl Walk {
    /// A node and what is beneath it; `chain` is the one that it hangs on, if any.
    unsafe fn down(&mut self, node: Node, chain: &mut Option<Chain>) {
        if node.is_null() {
            return;
        }
        // SAFETY: the tag says which struct the node is.
        unsafe {
            match (*node).type_ {
                T::T_SubqueryScanState | T::T_ResultState => {
                    let subquery = (*node).type_ == T::T_SubqueryScanState;
                    let below = match subquery {
                        true => (*node.cast::<pg_sys::SubqueryScanState>()).subplan,
                        false => (*node).lefttree,
                    };
                    let filters = !(*node).qual.is_null();
                    self.through(node, below, filters, chain);
                }
                T::T_NestLoopState | T::T_MergeJoinState | T::T_HashJoinState if self.joined => {
                    self.join(node, chain);
                }
                T::T_AppendState => {
                    let append = node.cast::<pg_sys::AppendState>();
                    let count = usize::try_from((*append).as_nplans).unwrap_or(0);
                    for i in 0..count {
                        self.down(*(*append).appendplans.add(i), chain);
                    }
                }
                T::T_MergeAppendState => {
                    let merge = node.cast::<pg_sys::MergeAppendState>();
                    let count = usize::try_from((*merge).ms_nplans).unwrap_or(0);
                    for i in 0..count {
                        self.down(*(*merge).mergeplans.add(i), &mut None);
                    }
                }
                T::T_SeqScanState
                | T::T_SampleScanState
                | T::T_IndexScanState
                | T::T_IndexOnlyScanState
                | T::T_BitmapHeapScanState
                | T::T_TidScanState
                | T::T_TidRangeScanState => self.scan(node, chain),
                T::T_ForeignScanState | T::T_CustomScanState => {
                    self.opaque = true;
                    self.down((*node).lefttree, &mut None);
                }
                T::T_GatherState | T::T_GatherMergeState => {
                    self.gathers += 1;
                    self.down((*node).lefttree, &mut None);
                    self.gathers -= 1;
                }
                _ => {
                    self.down((*node).lefttree, &mut None);
                    self.down((*node).righttree, &mut None);
                }
            }
        }
    }

    /// On through a node with one row in flight.
    unsafe fn through(&mut self, node: Node, below: Node, filters: bool, chain: &mut Option<Chain>) {
        // SAFETY: nodes of this plan.
        unsafe {
            match chain {
                Some(chain_) => {
                    chain_.filters |= filters;
                    self.down(below, chain);
                }
                None => {
                    let scans = Vec::new();
                    let mut mine = Some(Chain { top: node, filters, joins: 0, scans });
                    self.down(below, &mut mine);
                    if let Some(Chain { top, scans, .. }) = mine.filter(|mine| !mine.scans.is_empty()) {
                        self.probe(top, What::Filter(scans));
                    }
                }
            }
        }
    }

    /// The sides of a join that have one row in flight hang on the chain, or begin one.
    unsafe fn join(&mut self, node: Node, chain: &mut Option<Chain>) {
        // SAFETY: the tag says which struct the node is; all joins begin with a JoinState.
        unsafe {
            if chain.is_none() {
                let mut mine = Some(Chain { top: node, filters: true, joins: 0, scans: Vec::new() });
                self.join(node, &mut mine);
                if let Some(Chain { top, scans, .. }) = mine.filter(|mine| !mine.scans.is_empty()) {
                    self.probe(top, What::Filter(scans));
                }
                return;
            }
            let (outer, inner) = in_chain((*node).type_, (*node.cast::<pg_sys::JoinState>()).jointype);
            self.joins += 1;
            for (side, in_chain) in [((*node).lefttree, outer), ((*node).righttree, inner)] {
                if !in_chain {
                    self.down(side, &mut None);
                    continue;
                }
                if let Some(chain) = chain {
                    chain.filters = true;
                    chain.joins += 1;
                }
                self.down(side, chain);
                if let Some(chain) = chain {
                    chain.joins -= 1;
                }
            }
            self.joins -= 1;
        }
    }

    unsafe fn scan(&mut self, node: Node, chain: &mut Option<Chain>) {
        // SAFETY: all scans begin with a ScanState; its relation is open until ExecutorEnd.
        unsafe {
            let relation = (*node.cast::<pg_sys::ScanState>()).ss_currentRelation;
            if relation.is_null() {
                return;
            }
            let mut of = Vec::new();
            for persons in self.persons.clone() {
                let Some(known) = &persons.subject else { continue };
                if !is_of((*relation).rd_id, persons.relation) {
                    continue;
                }
                // the gate keeps workers away from scopes with a subject; a row filter may look into their tables
                self.opaque |= self.gathers > 0;
                let places = match (*node).type_ {
                    T::T_IndexOnlyScanState => {
                        let index = (*node.cast::<pg_sys::IndexOnlyScanState>()).ioss_RelationDesc;
                        if index.is_null() {
                            None
                        } else {
                            locate_in_index(relation, index, &known.columns)
                        }
                    }
                    _ => locate_in_table(relation, &known.columns),
                };
                // a filter that was not made a join is a condition of the scan itself
                let aside = persons.joined && self.joins > 0 && (*node).subPlan.is_null();
                let note = match chain.as_mut().filter(|chain| chain.filters) {
                    Some(chain) if chain.joins > 0 || !aside => {
                        let place = persons.place();
                        chain.scans.push((persons.clone(), place));
                        Note::Filtered(place)
                    }
                    _ if aside => Note::Perhaps,
                    _ => Note::Seen,
                };
                of.push(Target { persons, places, note });
            }
            // more than one, where scopes of a table and of what became its partition meet
            if !of.is_empty() {
                self.probe(node, What::Scan { of, fetches: (*node).type_ != T::T_IndexOnlyScanState });
            }
        }
    }

    unsafe fn probe(&self, node: Node, what: What) {
        // SAFETY: a node of this run, not yet executed.
        unsafe {
            let original = (*node).ExecProcNodeReal;
            if address(original) == address(Some(step)) {
                return;
            }
            if address((*node).ExecProcNode) == address(original) {
                (*node).ExecProcNode = Some(step);
            }
            (*node).ExecProcNodeReal = Some(step);
            let probe = Box::new(Probe { run: self.run, original, what });
            PROBES.with(|p| p.borrow_mut().insert(node as u64, probe));
        }
    }
}

fn address(function: pg_sys::ExecProcNodeMtd) -> usize {
    function.map_or(0, |f| f as *const () as usize)
}

/// Whether a table is the scope's, or one of its partitions or children. Locks nothing: a reader of one table must not wait for
/// those of another.
pub fn is_of(table: pg_sys::Oid, relation: pg_sys::Oid) -> bool {
    table == relation || raw::has_parents(table) && raw::descendants(relation).contains(&table)
}

/// Whether a row that a join returns is made of the one that its outer, its inner side gave last.
fn in_chain(node: T, kind: pg_sys::JoinType::Type) -> (bool, bool) {
    use pg_sys::JoinType as J;
    match kind {
        J::JOIN_INNER => (true, node == T::T_NestLoopState),
        J::JOIN_SEMI | J::JOIN_ANTI | J::JOIN_LEFT => (true, false),
        _ => (false, false),
    }
}

/// A node's turn.
unsafe extern "C-unwind" fn step(node: Node) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the probe lives until ExecutorEnd of this run, and is reached by a raw pointer: the original may raise, and
    // nothing may be borrowed then.
    unsafe {
        let probe = PROBES.with(|p| p.borrow().get(&(node as u64)).map(|probe| std::ptr::from_ref::<Probe>(probe)));
        let Some(probe) = probe.map(|probe| &*probe) else {
            // the probe is gone and the node is not: no row without one
            lost()
        };
        let Some(original) = probe.original else { lost() };
        let slot = original(node);
        let empty = slot.is_null() || (*slot).tts_flags & pg_sys::TTS_FLAG_EMPTY as u16 != 0;
        match &probe.what {
            What::Filter(scans) if !empty => scans.iter().for_each(|(persons, place)| persons.passed(*place)),
            What::Filter(scans) => scans.iter().for_each(|(persons, place)| persons.dropped(*place)),
            What::Scan { of, .. } if empty => of.iter().for_each(|target| {
                if let Note::Filtered(place) = target.note {
                    target.persons.dropped(place);
                }
            }),
            What::Scan { of, fetches } => {
                let row = (*node.cast::<pg_sys::ScanState>()).ss_ScanTupleSlot;
                // a bitmap scan of pages that all may see, when nobody wants a column, gives rows it has not fetched
                let fetched = !*fetches || (*row).tts_tid.ip_posid != 0;
                for target in of {
                    match &target.places {
                        Some(places) if fetched => look(node, row, &target.persons, places, target.note),
                        _ => target.persons.unknown.set(true),
                    }
                }
            }
        }
        slot
    }
}

/// Notes the person of a row.
unsafe fn look(node: Node, row: *mut pg_sys::TupleTableSlot, persons: &Persons, places: &[Place], note: Note) {
    // SAFETY: the scan's own slot and expression context; the context is switched back, or reset by the error.
    unsafe {
        let context = (*(*node).ps_ExprContext).ecxt_per_tuple_memory;
        let before = std::mem::replace(&mut *std::ptr::addr_of_mut!(pg_sys::CurrentMemoryContext), context);
        PERSON.with(|p| p.borrow_mut().clear());
        let found = read(row, places, |value| PERSON.with(|p| append(&mut p.borrow_mut(), value)));
        pg_sys::CurrentMemoryContext = before;
        if found == Read::Nobody {
            return;
        }
        PERSON.with(|p| {
            let person = p.borrow();
            match note {
                Note::Seen => persons.saw(&person),
                Note::Filtered(place) => persons.scanned(place, &person),
                Note::Perhaps => persons.perhaps(&person),
            }
        });
    }
}

/// Ends a statement whose probe is gone.
unsafe fn lost() -> ! {
    // SAFETY: the frames between here and the executor own nothing.
    unsafe {
        crate::pg::error::raise(crate::pure::error::Error::new(
            crate::pure::error::Kind::LogUnavailable,
            "a scan lost the probe that notes whose rows it reads",
        ))
    }
}
