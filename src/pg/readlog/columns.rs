//! What a statement does with the columns it names: which of them reach its result, and which only decide what does (in
//! WHERE, JOIN, GROUP BY, ORDER BY, HAVING, LIMIT). Told from the analysed query, before views are expanded.
//!
//! A plan does not show this any more, and the query that it was made of is gone when it runs. So what was found is kept
//! by the query's identifier, which the plan inherits: PostgreSQL's own where that is computed, else one made of the
//! finding itself. What is not known here (a query analysed before the session was a sub-processor's, or one too deep to
//! look through) counts as returned, as does a column that the query does not name, but a function inside it does.
#![allow(unsafe_code)] // ◆ parse tree nodes
#![allow(ffi_unwind_calls)] // reason: the walker's callback calls back into the walker, see raw.rs

use super::armed;
use crate::pg::registry::Registry;
use crate::pg::sys::{compat, list, raw};
use pgrx::pg_sys::{self, NodeTag, RTEKind};
use std::cell::{Cell, RefCell};
use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashMap};
use std::ffi::{c_void, CStr};
use std::hash::{BuildHasher, Hash};
use std::rc::Rc;

/// A column of a scoped view: the view's OID, and the number; 0 is the whole row.
pub type Column = (u32, i16);

/// What was found about one query.
#[derive(Default, Hash)]
pub struct Use {
    /// What reaches the result.
    pub returned: BTreeSet<Column>,
    /// What decides which rows do, and in which order.
    pub filtered: BTreeSet<Column>,
    /// Whatever the query names.
    pub named: BTreeSet<Column>,
    /// It does more than was seen.
    unknown: bool,
}

/// Most queries to remember; then all is forgotten, and learned anew where a query is analysed again.
const MOST: usize = 4096;
/// Most steps of one analysis. Recursive queries inside recursive ones would take any number.
const STEPS: u32 = 100_000;

thread_local! {
    static USES: RefCell<HashMap<u64, Rc<Use>>> = RefCell::new(HashMap::new());
    static INLINED: Cell<bool> = const { Cell::new(false) };
    /// Random keys: nobody makes two queries that look the same.
    static KEYS: RandomState = RandomState::new();
}

/// 18 made identifiers signed.
macro_rules! identifier {
    ($of:expr) => {{
        #[allow(clippy::unnecessary_cast)] // reason: not in 18
        let identifier = $of as u64;
        identifier
    }};
}

/// What is known of the query that a plan was made of.
pub fn of(plan: &pg_sys::PlannedStmt) -> Option<Rc<Use>> {
    USES.with(|u| u.borrow().get(&identifier!(plan.queryId)).filter(|u| !u.unknown).cloned())
}

/// A query was analysed while another was planned: its body becomes part of that one's plan, and the columns it reads are
/// not what that one says. True since the last call.
pub fn was_inlined() -> bool {
    INLINED.with(|i| i.replace(false))
}

/// What was found about this plan's query is not all that it does.
pub fn distrust(plan: &pg_sys::PlannedStmt) {
    keep(identifier!(plan.queryId), Use { unknown: true, ..Use::default() });
}

/// Keeps what was found. PostgreSQL's identifiers are the same for queries that differ in what is only sorted by: then what
/// was found about either is true of both.
fn keep(identifier: u64, mut found: Use) {
    USES.with(|u| {
        let mut uses = u.borrow_mut();
        if let Some(other) = uses.get(&identifier) {
            found.returned.extend(&other.returned);
            found.filtered.extend(&other.filtered);
            found.named.extend(&other.named);
            found.unknown |= other.unknown;
        } else if uses.len() >= MOST {
            uses.clear();
        }
        uses.insert(identifier, Rc::new(found));
    });
}

/// Looks at a query of a sub-processor, and gives it an identifier if it has none.
///
/// # Safety
/// `query` is an analysed query whose views are not expanded yet.
pub unsafe fn note(query: *mut pg_sys::Query, registry: &Registry) {
    let work = Work { registry, named: RefCell::default(), left: Cell::new(STEPS) };
    // SAFETY: as the caller promises.
    let shape = unsafe { work.query(query, None) };
    let named = work.named.take();
    if named.is_empty() && shape.is_some() {
        return;
    }
    if armed::innermost() == Some(armed::Frame::Planner) {
        INLINED.with(|i| i.set(true));
    }
    let found = match shape {
        Some(shape) => Use { returned: shape.returned(), filtered: shape.filtered, named, unknown: false },
        None => Use { unknown: true, ..Use::default() },
    };
    // SAFETY: as the caller promises.
    unsafe {
        if (*query).queryId == 0 {
            (*query).queryId = KEYS.with(|keys| keys.hash_one(&found)).max(1) as _;
        }
        keep(identifier!((*query).queryId), found);
    }
}

type Set = BTreeSet<Column>;

/// What a query gives to the one around it.
#[derive(Clone, Default, PartialEq)]
struct Shape {
    /// Per column of its result: what it is made of.
    outputs: Vec<Set>,
    filtered: Set,
}

impl Shape {
    fn returned(&self) -> Set {
        self.outputs.iter().flatten().copied().collect()
    }

    /// Column `number` of the result, from 1; 0 for all.
    fn output(&self, number: i16) -> Set {
        match usize::try_from(number) {
            Ok(0) => self.returned(),
            // SEARCH and CYCLE add columns that are made of any of the others
            Ok(n) => self.outputs.get(n - 1).cloned().unwrap_or_else(|| self.returned()),
            Err(_) => Set::new(),
        }
    }
}

/// What an expression is made of, and what decided inside it.
#[derive(Clone, Default)]
struct Parts {
    values: Set,
    filters: Set,
}

impl Parts {
    fn add(&mut self, other: Parts) {
        self.values.extend(other.values);
        self.filters.extend(other.filters);
    }

    fn all(self) -> Set {
        let mut all = self.values;
        all.extend(self.filters);
        all
    }
}

/// A query that is being looked at, and those around it.
struct Level<'a> {
    tables: Vec<*mut pg_sys::RangeTblEntry>,
    around: Option<&'a Level<'a>>,
    with: RefCell<HashMap<Vec<u8>, Shape>>,
    subqueries: RefCell<HashMap<usize, Rc<Shape>>>,
    functions: RefCell<HashMap<usize, Parts>>,
}

impl<'a> Level<'a> {
    fn up(&'a self, levels: u32) -> Option<&'a Level<'a>> {
        (0..levels).try_fold(self, |level, _| level.around)
    }
}

struct Work<'r> {
    registry: &'r Registry,
    named: RefCell<Set>,
    left: Cell<u32>,
}

// Every step that cannot be taken gives None, up to the top: then nothing is known.
impl Work<'_> {
    fn step(&self) -> Option<()> {
        // SAFETY: compares addresses.
        if unsafe { pg_sys::stack_is_too_deep() } {
            return None;
        }
        self.left.set(self.left.get().checked_sub(1)?);
        Some(())
    }

    unsafe fn query(&self, query: *mut pg_sys::Query, around: Option<&Level<'_>>) -> Option<Shape> {
        self.step()?;
        // SAFETY: nodes of an analysed query; each list holds what its field's name says.
        unsafe {
            let q = &*query;
            let level = Level {
                tables: list::<pg_sys::RangeTblEntry>(q.rtable),
                around,
                with: RefCell::default(),
                subqueries: RefCell::default(),
                functions: RefCell::default(),
            };
            let mut shape = Shape::default();
            for cte in list::<pg_sys::CommonTableExpr>(q.cteList) {
                shape.filtered.extend(self.with(&level, &*cte)?.filtered);
            }
            for (i, table) in level.tables.iter().enumerate() {
                match (**table).rtekind {
                    RTEKind::RTE_SUBQUERY => shape.filtered.extend(self.subquery(&level, i)?.filtered.iter().copied()),
                    RTEKind::RTE_RELATION | RTEKind::RTE_CTE | RTEKind::RTE_JOIN => {}
                    RTEKind::RTE_VALUES => shape.filtered.extend(self.made_of(&level, i)?.filters),
                    // how many rows a function gives can be the value that it is given
                    _ => shape.filtered.extend(self.made_of(&level, i)?.all()),
                }
            }
            let deciding = [q.jointree.cast::<pg_sys::Node>(), q.havingQual, q.limitOffset, q.limitCount];
            for node in deciding {
                shape.filtered.extend(self.parts(&level, node)?.all());
            }
            let mut by_reference: HashMap<u32, Set> = HashMap::new();
            for target in list::<pg_sys::TargetEntry>(q.targetList) {
                let parts = self.parts(&level, (*target).expr.cast())?;
                shape.filtered.extend(parts.filters);
                if (*target).ressortgroupref != 0 {
                    by_reference.insert((*target).ressortgroupref, parts.values.clone());
                }
                if !(*target).resjunk {
                    shape.outputs.push(parts.values);
                }
            }
            if !q.setOperations.is_null() {
                self.set_operation(&level, q.setOperations, &mut shape)?;
            }
            let mut clauses = list::<pg_sys::SortGroupClause>(q.groupClause);
            clauses.extend(list::<pg_sys::SortGroupClause>(q.distinctClause));
            clauses.extend(list::<pg_sys::SortGroupClause>(q.sortClause));
            for window in list::<pg_sys::WindowClause>(q.windowClause) {
                clauses.extend(list::<pg_sys::SortGroupClause>((*window).partitionClause));
                clauses.extend(list::<pg_sys::SortGroupClause>((*window).orderClause));
                for bound in [(*window).startOffset, (*window).endOffset] {
                    shape.filtered.extend(self.parts(&level, bound)?.all());
                }
            }
            for clause in clauses {
                shape.filtered.extend(by_reference.get(&(*clause).tleSortGroupRef).into_iter().flatten());
            }
            Some(shape)
        }
    }

    /// A WITH query; a recursive one until it gives nothing new.
    unsafe fn with(&self, level: &Level<'_>, cte: &pg_sys::CommonTableExpr) -> Option<Shape> {
        // SAFETY: as `query`.
        unsafe {
            let name = CStr::from_ptr(cte.ctename).to_bytes().to_vec();
            if cte.cterecursive {
                level.with.borrow_mut().insert(name.clone(), Shape::default());
            }
            loop {
                let shape = self.query(cte.ctequery.cast(), Some(level))?;
                let before = level.with.borrow_mut().insert(name.clone(), shape.clone());
                if !cte.cterecursive || before.as_ref() == Some(&shape) {
                    return Some(shape);
                }
            }
        }
    }

    unsafe fn subquery(&self, level: &Level<'_>, table: usize) -> Option<Rc<Shape>> {
        if let Some(shape) = level.subqueries.borrow().get(&table) {
            return Some(shape.clone());
        }
        // SAFETY: as `query`.
        let shape = Rc::new(unsafe { self.query((**level.tables.get(table)?).subquery, Some(level))? });
        level.subqueries.borrow_mut().insert(table, shape.clone());
        Some(shape)
    }

    /// UNION and its kin: each column is made of that of all arms; but for ALL, rows are compared.
    unsafe fn set_operation(&self, level: &Level<'_>, node: *mut pg_sys::Node, shape: &mut Shape) -> Option<()> {
        self.step()?;
        // SAFETY: as `query`; the tag says which struct the node is.
        unsafe {
            if (*node).type_ == NodeTag::T_RangeTblRef {
                let table = (*node.cast::<pg_sys::RangeTblRef>()).rtindex;
                for i in 0..shape.outputs.len() {
                    let from = self.column(level, table, i as i16 + 1)?;
                    shape.outputs.get_mut(i)?.extend(from.values);
                }
                return Some(());
            }
            let operation = &*node.cast::<pg_sys::SetOperationStmt>();
            self.set_operation(level, operation.larg, shape)?;
            self.set_operation(level, operation.rarg, shape)?;
            if !operation.all || operation.op != pg_sys::SetOperation::SETOP_UNION {
                shape.filtered.extend(shape.returned());
            }
            Some(())
        }
    }

    /// What an expression is made of. A list of expressions, and a FROM clause, are expressions too.
    unsafe fn parts(&self, level: &Level<'_>, node: *mut pg_sys::Node) -> Option<Parts> {
        let mut parts = Parts::default();
        if node.is_null() {
            return Some(parts);
        }
        self.step()?;
        // SAFETY: as `query`.
        unsafe {
            let leaves = leaves(node);
            self.left.set(self.left.get().checked_sub(leaves.len() as u32)?);
            for leaf in leaves {
                if (*leaf).type_ == NodeTag::T_Var {
                    let var = &*leaf.cast::<pg_sys::Var>();
                    let level = level.up(var.varlevelsup)?;
                    parts.add(self.column(level, var.varno, var.varattno)?);
                    continue;
                }
                let link = &*leaf.cast::<pg_sys::SubLink>();
                parts.add(self.parts(level, link.testexpr)?);
                let inner = self.query(link.subselect.cast(), Some(level))?;
                if link.subLinkType == pg_sys::SubLinkType::EXISTS_SUBLINK {
                    parts.filters.extend(inner.returned());
                } else {
                    parts.values.extend(inner.returned());
                }
                parts.filters.extend(inner.filtered);
            }
        }
        Some(parts)
    }

    /// A column of a table of this level: what it is made of.
    unsafe fn column(&self, level: &Level<'_>, table: i32, number: i16) -> Option<Parts> {
        let place = usize::try_from(table).ok()?.checked_sub(1)?;
        let values = |values: Set| Some(Parts { values, filters: Set::new() });
        // SAFETY: as `query`.
        unsafe {
            let entry = *level.tables.get(place)?;
            match (*entry).rtekind {
                RTEKind::RTE_RELATION => {
                    let view = (*entry).relid;
                    if number < 0 || self.registry.scope_of_view(view).is_none() {
                        return values(Set::new());
                    }
                    let column = (view.to_u32(), number);
                    self.named.borrow_mut().insert(column);
                    values(Set::from([column]))
                }
                RTEKind::RTE_SUBQUERY => values(self.subquery(level, place)?.output(number)),
                RTEKind::RTE_CTE => {
                    let name = CStr::from_ptr((*entry).ctename).to_bytes();
                    let level = level.up((*entry).ctelevelsup)?;
                    let found = level.with.borrow().get(name).map(|shape| shape.output(number));
                    values(found?)
                }
                RTEKind::RTE_JOIN => self.one_of(level, (*entry).joinaliasvars, number),
                _ => match compat::group_expressions(entry) {
                    Some(expressions) => self.one_of(level, expressions, number),
                    None => self.made_of(level, place),
                },
            }
        }
    }

    /// Entry `number` of a list of expressions, from 1; 0 for all.
    unsafe fn one_of(&self, level: &Level<'_>, all: *mut pg_sys::List, number: i16) -> Option<Parts> {
        self.step()?;
        // SAFETY: as `query`.
        unsafe {
            match usize::try_from(number) {
                Ok(0) => self.parts(level, all.cast()),
                Ok(n) => match list::<pg_sys::Node>(all).get(n - 1) {
                    Some(node) => self.parts(level, *node),
                    None => Some(Parts::default()),
                },
                Err(_) => Some(Parts::default()),
            }
        }
    }

    /// A function, VALUES or XMLTABLE in FROM: any column of it is made of all that it is given.
    unsafe fn made_of(&self, level: &Level<'_>, table: usize) -> Option<Parts> {
        if let Some(parts) = level.functions.borrow().get(&table) {
            return Some(parts.clone());
        }
        let mut parts = Parts::default();
        let entry = *level.tables.get(table)?;
        // SAFETY: as `query`.
        unsafe {
            for function in list::<pg_sys::RangeTblFunction>((*entry).functions) {
                parts.add(self.parts(level, (*function).funcexpr)?);
            }
            parts.add(self.parts(level, (*entry).tablefunc.cast())?);
            parts.add(self.parts(level, (*entry).values_lists.cast())?);
        }
        level.functions.borrow_mut().insert(table, parts.clone());
        Some(parts)
    }
}

/// The columns and sub-selects in an expression, without what is inside the latter.
unsafe fn leaves(node: *mut pg_sys::Node) -> Vec<*mut pg_sys::Node> {
    unsafe extern "C-unwind" fn walk(node: *mut pg_sys::Node, found: *mut c_void) -> bool {
        if node.is_null() {
            return false;
        }
        // SAFETY: Postgres walks its own tree; `found` is the vector below.
        unsafe {
            match (*node).type_ {
                NodeTag::T_Var | NodeTag::T_SubLink => (*found.cast::<Vec<*mut pg_sys::Node>>()).push(node),
                NodeTag::T_Query => {}
                _ => return compat::raw_expression_tree_walker(node, Some(walk), found),
            }
        }
        false
    }
    let mut found: Vec<*mut pg_sys::Node> = Vec::new();
    let context = std::ptr::addr_of_mut!(found).cast();
    // SAFETY: the walk ends before `found` is used again; the callback's frames own nothing.
    unsafe { raw::guarded(|| walk(node, context)) };
    found
}
