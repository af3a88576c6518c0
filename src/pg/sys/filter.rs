//! `row_filter`: a text of the user's becomes one analysed boolean expression and then canonical text. What goes into a
//! view is what PostgreSQL's own deparser writes, never what the user wrote.
//!
//! The expression may hold columns of the relation, encrypted ones too (`sys::opened`), constants, built-in functions that no
//! setting of the reader can move, and EXISTS and IN over other tables (`sys::subquery`): an exhaustive walk whose last arm
//! refuses. It is read under the fixed settings of `sys::sql::settled`, so every relation outside pg_catalog is named and
//! printed with its schema.
#![allow(unsafe_code)] // ◆ parser, analyser, parse trees

use super::opened::Opening;
use super::{list, quiet, sql};
use crate::pg::encrypted::{self, search};
use crate::pure::error::{Error, Result};
use crate::pure::name::shown;
use crate::pure::scope::reads::{check_columns, Unfit};
use pgrx::{pg_guard, pg_sys, PgList};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{c_void, CStr, CString};

/// Longest filter in bytes.
const LONGEST: usize = 8192;
/// `now()`, `transaction_timestamp()`, `statement_timestamp()`: STABLE, yet nothing that a reader can set moves them.
const CLOCKS: [u32; 3] = [1299, 2647, 2648];
/// The JSON path of every refusal here: the argument's name.
const PATH: &str = "row_filter";

/// A filter that was read.
pub struct Filter {
    /// Canonical text of the expression, in which encrypted columns stand as others do. Read once more, it is the same.
    pub sql: String,
    /// The same as it stands in a view of the scope: with the calls that open encrypted columns.
    pub bound: String,
    /// Numbers of the encrypted columns that it opens, in order.
    pub opens: Vec<i32>,
    /// An error of it may quote a value.
    pub quotes: bool,
    /// Columns of the relation that it reads, in order.
    pub columns: Vec<String>,
    /// Relations that its subqueries name, by number; the filtered one too where it is among them.
    pub relations: Vec<pg_sys::Oid>,
    /// Of those but the filtered one: the columns that are read, in order.
    pub others: Vec<(pg_sys::Oid, Vec<String>)>,
}

/// Reads `text` as a boolean expression over the columns of `relation`, for the views of a scope of that number.
///
/// # Errors
/// `AL010` at `row_filter`: not one expression, unknown columns, subqueries other than EXISTS and IN over tables,
/// aggregates, functions that are not built in and IMMUTABLE (the clocks of the transaction and the statement excepted).
/// `AL001`, `AL003` from the keyring.
pub fn analyse(relation: pg_sys::Oid, text: &str, scope: i32) -> Result<Filter> {
    if text.len() > LONGEST {
        return Err(refused(
            format!("the row filter is longer than {LONGEST} bytes"),
            "keep a flag in the table and filter on it",
        ));
    }
    let text = CString::new(text).map_err(|_| refused("the row filter holds a zero byte".into(), FORM))?;
    // SAFETY: inside a subtransaction that is rolled back, the trees live in the caller's memory context.
    sql::refusable(|| unsafe { read(relation, &text, scope) })?.map_err(|said| {
        let hint = if said.starts_with("relation ") { QUALIFIED } else { FORM };
        refused(format!("the row filter cannot be read: {said}"), hint)
    })
}

const FORM: &str = "write one boolean expression over the table's columns, such as 'consent AND country = ''FR'''";

const QUALIFIED: &str = "write the schema before the name of another table, such as public.consents";

pub(super) fn refused(message: String, hint: impl Into<String>) -> Error {
    Error::scope(PATH, message).hint(hint)
}

/// # Safety
/// Inside a transaction; the relation is locked.
unsafe fn read(relation: pg_sys::Oid, text: &CStr, scope: i32) -> Result<Filter> {
    let opening = Opening::new(scope);
    // SAFETY: plain use of deparser and walkers; an ERROR ends the subtransaction around us, which closes the relation.
    unsafe {
        let rel = pg_sys::table_open(relation, pg_sys::AccessShareLock as i32);
        let context = pg_sys::deparse_context_for((*(*rel).rd_rel).relname.data.as_ptr(), relation);
        let print = |node| owned(pg_sys::deparse_expression(node, context, false, false));
        let (state, node) = analysed(rel, text, opening.as_ref())?;
        let mut walk = Walk::new(relation, list((*state).p_rtable), opening.as_ref());
        walk.node(node)?;
        walk.functions = true;
        walk.node(node)?;
        let quotes = !quiet::is_quiet(node, |node| walk.opened(node).is_some());
        let bound = print(node);
        let sql = match opening.filter(|_| !walk.opens.is_empty()).map(Opening::as_columns) {
            Some(columns) => print(analysed(rel, text, Some(&columns))?.1),
            None => bound.clone(),
        };
        let filter = Filter { bound, quotes, ..walk.found(sql)? };
        pg_sys::free_parsestate(state);
        pg_sys::table_close(rel, pg_sys::AccessShareLock as i32);
        Ok(filter)
    }
}

/// The text as an expression over the relation's columns, and the state that it was analysed in.
unsafe fn analysed(
    rel: pg_sys::Relation,
    text: &CStr,
    opening: Option<&Opening>,
) -> Result<(*mut pg_sys::ParseState, *mut pg_sys::Node)> {
    // SAFETY: plain use of parser and analyser, as PL/pgSQL and CHECK constraints do it. The state is not used for analysis
    // once this returns, so it does not look for `opening` again.
    unsafe {
        let raw = expression(pg_sys::raw_parser(text.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_PLPGSQL_EXPR))?;
        let state = pg_sys::make_parsestate(std::ptr::null_mut());
        (*state).p_sourcetext = text.as_ptr();
        if let Some(opening) = opening {
            opening.attach(state);
        }
        let (lock, alias) = (pg_sys::AccessShareLock as i32, std::ptr::null_mut());
        let item = pg_sys::addRangeTableEntryForRelation(state, rel, lock, alias, false, true);
        pg_sys::addNSItemToQuery(state, item, false, true, true);
        let node = pg_sys::transformExpr(state, raw, pg_sys::ParseExprKind::EXPR_KIND_WHERE);
        let node = pg_sys::coerce_to_boolean(state, node, c"row_filter".as_ptr());
        pg_sys::assign_expr_collations(state, node);
        Ok((state, node))
    }
}

/// The one expression of a parsed text: a SELECT with one unnamed target and nothing else at all.
///
/// # Safety
/// `parsed` is what raw_parser gave.
unsafe fn expression(parsed: *mut pg_sys::List) -> Result<*mut pg_sys::Node> {
    let not_one = || refused("the row filter is not one expression".into(), FORM);
    // SAFETY: each node is looked at as the type its tag says.
    unsafe {
        let statements = PgList::<pg_sys::RawStmt>::from_pg(parsed);
        let statement = statements.get_ptr(0).filter(|_| statements.len() == 1).ok_or_else(not_one)?;
        let select = (*statement).stmt.cast::<pg_sys::SelectStmt>();
        if select.is_null() || (*select).type_ != pg_sys::NodeTag::T_SelectStmt {
            return Err(not_one());
        }
        let s = &*select;
        let lists = [
            s.distinctClause,
            s.fromClause,
            s.groupClause,
            s.windowClause,
            s.valuesLists,
            s.sortClause,
            s.lockingClause,
        ];
        let nodes = [s.whereClause, s.havingClause, s.limitOffset, s.limitCount];
        let bare = lists.iter().all(|l| l.is_null())
            && nodes.iter().all(|n| n.is_null())
            && s.intoClause.is_null()
            && s.withClause.is_null()
            && s.op == pg_sys::SetOperation::SETOP_NONE;
        let targets = PgList::<pg_sys::ResTarget>::from_pg(s.targetList);
        let target = targets.get_ptr(0).filter(|_| bare && targets.len() == 1).ok_or_else(not_one)?;
        if !(*target).name.is_null() || !(*target).indirection.is_null() || (*target).val.is_null() {
            return Err(not_one());
        }
        Ok((*target).val)
    }
}

/// The walk over an analysed expression: twice, so that a column that cannot be used is named before a function over it is.
pub(super) struct Walk<'a> {
    opening: Option<&'a Opening>,
    /// Numbers of the encrypted columns that are opened.
    opens: BTreeSet<i32>,
    /// The relation that is filtered.
    relation: pg_sys::Oid,
    /// Range tables, from the relation's own to that of the subquery at hand.
    pub(super) levels: Vec<Vec<*mut pg_sys::RangeTblEntry>>,
    /// Relations that subqueries name.
    pub(super) named: BTreeSet<u32>,
    /// Columns by relation.
    columns: BTreeMap<u32, BTreeSet<i16>>,
    /// Whether functions are looked at too.
    functions: bool,
}

impl<'a> Walk<'a> {
    fn new(relation: pg_sys::Oid, table: Vec<*mut pg_sys::RangeTblEntry>, opening: Option<&'a Opening>) -> Walk<'a> {
        let (named, columns, opens) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
        Walk { opening, opens, relation, levels: vec![table], named, columns, functions: false }
    }

    /// Of a call that opens an encrypted column: its columns, and the number.
    unsafe fn opened(&self, node: *mut pg_sys::Node) -> Option<(Vec<*mut pg_sys::Node>, i32)> {
        // SAFETY: a node of the expression.
        self.opening.and_then(|opening| unsafe { opening.columns(node) })
    }

    /// What was found.
    unsafe fn found(&self, sql: String) -> Result<Filter> {
        let names = |relation: pg_sys::Oid| -> Vec<String> {
            let numbers = self.columns.get(&relation.to_u32()).into_iter().flatten();
            // SAFETY: numbers of Vars of this relation.
            numbers.map(|n| unsafe { attribute(relation, *n) }).collect()
        };
        let mut others = Vec::new();
        let relations: Vec<pg_sys::Oid> = self.named.iter().map(|oid| (*oid).into()).collect();
        for relation in relations.iter().copied() {
            let columns = names(relation);
            // SAFETY: a syscache look-up of a relation that is locked.
            let name = unsafe { pg_sys::get_rel_name(relation) };
            // SAFETY: a NUL-terminated name, or NULL for what is gone.
            let name = if name.is_null() { String::new() } else { unsafe { owned(name) } };
            check_columns(&name, columns.len())?;
            if relation != self.relation {
                others.push((relation, columns));
            }
        }
        let (bound, opens) = (String::new(), self.opens.iter().copied().collect());
        Ok(Filter { sql, bound, opens, quotes: true, columns: names(self.relation), relations, others })
    }

    /// A column of the relation, or of one that a subquery names.
    unsafe fn column(&mut self, var: &pg_sys::Var, opened: bool) -> Result<()> {
        let level = self.levels.len().checked_sub(1 + var.varlevelsup as usize);
        let level = level.and_then(|level| self.levels.get(level));
        let entry = usize::try_from(var.varno - 1).ok().and_then(|i| level?.get(i)).copied();
        // SAFETY: entries of a range table; a column's relation is locked.
        unsafe {
            // any other kind is refused where it stands in FROM; columns that a join makes of two, here
            let Some(entry) = entry.filter(|entry| (**entry).rtekind == pg_sys::RTEKind::RTE_RELATION) else {
                return Err(Unfit::Using.refused());
            };
            let relation = (*entry).relid;
            if var.varattno == 0 {
                return Err(refused("the row filter uses a whole row".into(), "name the columns"));
            }
            if var.varattno < 0 {
                return Err(refused("the row filter uses a system column".into(), "use a column of the table"));
            }
            let name = shown(&attribute(relation, var.varattno));
            let base = pg_sys::getBaseType(var.vartype);
            let sealed = encrypted::is_encrypted(base);
            if sealed && !opened {
                // such as those of SELECT *, or before ALTER EXTENSION UPDATE
                return Err(refused(
                    format!("column {name} is encrypted"),
                    "name the column in a comparison, or filter on one that is not encrypted",
                ));
            }
            if !sealed && !built_in(base) {
                return Err(refused(
                    format!("the type of column {name} is not built in"),
                    "filter on a column of a built-in or enum type: functions of other types may do anything",
                ));
            }
            // of the filtered relation it is refused with all its other columns of this kind
            if relation != self.relation && pg_sys::get_attgenerated(relation, var.varattno) as u8 == b'v' {
                return Err(refused(
                    format!("column {name} is a virtual generated column"),
                    "make it GENERATED ALWAYS AS (…) STORED, or use the columns that it is computed from",
                ));
            }
            self.columns.entry(relation.to_u32()).or_default().insert(var.varattno);
        }
        Ok(())
    }

    /// One node of the expression and all below it: what is not listed is refused.
    pub(super) unsafe fn node(&mut self, node: *mut pg_sys::Node) -> Result<()> {
        use pg_sys::NodeTag as T;
        if node.is_null() {
            return Ok(());
        }
        // SAFETY: each node is looked at as the type its tag says; depth is bounded by max_stack_depth.
        unsafe {
            pg_sys::check_stack_depth();
            if let Some((columns, number)) = self.opened(node) {
                self.opens.insert(number);
                return columns.into_iter().try_for_each(|var| self.column(&*var.cast::<pg_sys::Var>(), true));
            }
            if self.functions {
                check_functions(node)?;
            }
            match (*node).type_ {
                T::T_Const | T::T_CaseTestExpr => Ok(()),
                T::T_Var => self.column(&*node.cast::<pg_sys::Var>(), false),
                // a column of the subquery that IN compares with
                T::T_Param if (*node.cast::<pg_sys::Param>()).paramkind == pg_sys::ParamKind::PARAM_SUBLINK => Ok(()),
                T::T_SubLink => self.sublink(&*node.cast::<pg_sys::SubLink>()),
                T::T_List => {
                    let items: Vec<_> = PgList::<pg_sys::Node>::from_pg(node.cast()).iter_ptr().collect();
                    items.into_iter().try_for_each(|item| self.node(item))
                }
                T::T_OpExpr | T::T_DistinctExpr | T::T_NullIfExpr => self.list((*node.cast::<pg_sys::OpExpr>()).args),
                T::T_ScalarArrayOpExpr => self.list((*node.cast::<pg_sys::ScalarArrayOpExpr>()).args),
                T::T_FuncExpr => self.list((*node.cast::<pg_sys::FuncExpr>()).args),
                T::T_BoolExpr => self.list((*node.cast::<pg_sys::BoolExpr>()).args),
                T::T_ArrayExpr => self.list((*node.cast::<pg_sys::ArrayExpr>()).elements),
                T::T_CoalesceExpr => self.list((*node.cast::<pg_sys::CoalesceExpr>()).args),
                T::T_MinMaxExpr => self.list((*node.cast::<pg_sys::MinMaxExpr>()).args),
                T::T_RowCompareExpr => {
                    let row = &*node.cast::<pg_sys::RowCompareExpr>();
                    self.list(row.largs)?;
                    self.list(row.rargs)
                }
                T::T_NullTest => self.node((*node.cast::<pg_sys::NullTest>()).arg.cast()),
                T::T_BooleanTest => self.node((*node.cast::<pg_sys::BooleanTest>()).arg.cast()),
                T::T_RelabelType => self.node((*node.cast::<pg_sys::RelabelType>()).arg.cast()),
                T::T_CollateExpr => self.node((*node.cast::<pg_sys::CollateExpr>()).arg.cast()),
                T::T_CoerceViaIO => {
                    let cast = &*node.cast::<pg_sys::CoerceViaIO>();
                    check_cast(cast)?;
                    self.node(cast.arg.cast())
                }
                T::T_ArrayCoerceExpr => {
                    let array = &*node.cast::<pg_sys::ArrayCoerceExpr>();
                    self.node(array.arg.cast())?;
                    self.node(array.elemexpr.cast())
                }
                T::T_CaseExpr => {
                    let case = &*node.cast::<pg_sys::CaseExpr>();
                    self.node(case.arg.cast())?;
                    self.list(case.args)?;
                    self.node(case.defresult.cast())
                }
                T::T_CaseWhen => {
                    let when = &*node.cast::<pg_sys::CaseWhen>();
                    self.node(when.expr.cast())?;
                    self.node(when.result.cast())
                }
                T::T_SQLValueFunction => Err(refused(
                    "the row filter depends on the session (CURRENT_DATE, CURRENT_USER, …)".into(),
                    "use now() with a timestamp with time zone, or a constant",
                )),
                _ => Err(refused("the row filter holds a construct that is not supported".into(), FORM)),
            }
        }
    }

    pub(super) unsafe fn list(&mut self, list: *mut pg_sys::List) -> Result<()> {
        // SAFETY: a list of nodes of an analysed expression.
        unsafe { self.node(list.cast()) }
    }
}

/// # Safety
/// The relation is locked, `n` one of its columns.
unsafe fn attribute(relation: pg_sys::Oid, n: i16) -> String {
    // SAFETY: raises for a column that is not there; the name is palloc'd.
    unsafe { owned(pg_sys::get_attname(relation, n, false)) }
}

/// # Safety
/// A NUL-terminated text.
unsafe fn owned(text: *const std::ffi::c_char) -> String {
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(text).to_string_lossy().into_owned() }
}

/// A value that is read as another type than text fails where it is none of that, and the error quotes it, of a hidden row too.
unsafe fn check_cast(cast: &pg_sys::CoerceViaIO) -> Result<()> {
    // columns of the query around it, too
    const DEEPEST: i32 = 64;
    const TEXTS: [pg_sys::Oid; 4] = [pg_sys::TEXTOID, pg_sys::VARCHAROID, pg_sys::BPCHAROID, pg_sys::NAMEOID];
    // SAFETY: an analysed expression, and a type that exists; the name is a palloc'd text.
    unsafe {
        // an element of an array, or what a CASE looks at, stands for a column as well
        let stands_for = || !search::collect(cast.arg.cast(), pg_sys::NodeTag::T_CaseTestExpr).is_empty();
        let column = || (0..=DEEPEST).any(|level| pg_sys::contain_vars_of_level(cast.arg.cast(), level));
        if TEXTS.contains(&pg_sys::getBaseType(cast.resulttype)) || !(column() || stands_for()) {
            return Ok(());
        }
        let name = CStr::from_ptr(pg_sys::format_type_be(cast.resulttype)).to_string_lossy().into_owned();
        Err(refused(
            format!("the row filter casts a column to {name}, and the error for a value that is none would quote it"),
            "compare texts with texts, or keep the value in a column of that type",
        ))
    }
}

/// Whether a type comes with PostgreSQL, or is an enum, or an array of such.
unsafe fn built_in(base: pg_sys::Oid) -> bool {
    // SAFETY: syscache look-ups of a column's type.
    unsafe {
        let element = pg_sys::get_element_type(base);
        let of = if element == pg_sys::InvalidOid { base } else { pg_sys::getBaseType(element) };
        of.to_u32() < pg_sys::FirstNormalObjectId || pg_sys::get_typtype(of) == pg_sys::TYPTYPE_ENUM as std::ffi::c_char
    }
}

/// The functions that one node calls, as check_functions_in_node reports them.
struct Called {
    functions: [pg_sys::Oid; 32],
    n: usize,
}

/// Collects; true, which stops the walk, when there are too many to keep.
#[pg_guard]
unsafe extern "C-unwind" fn collect(function: pg_sys::Oid, context: *mut c_void) -> bool {
    // SAFETY: the context is the Called of check_functions below.
    let called = unsafe { &mut *context.cast::<Called>() };
    let Some(slot) = called.functions.get_mut(called.n) else { return true };
    *slot = function;
    called.n += 1;
    false
}

/// Every function under a node, operators and casts included, is built in and cannot be moved by a reader's setting.
unsafe fn check_functions(node: *mut pg_sys::Node) -> Result<()> {
    let mut called = Called { functions: [pg_sys::InvalidOid; 32], n: 0 };
    // SAFETY: the callback keeps to the struct it is given.
    let too_many =
        unsafe { pg_sys::check_functions_in_node(node, Some(collect), std::ptr::from_mut(&mut called).cast()) };
    if too_many {
        return Err(refused("the row filter compares rows that are too wide".into(), FORM));
    }
    for function in &called.functions[..called.n] {
        let oid = function.to_u32();
        if oid >= pg_sys::FirstNormalObjectId {
            return Err(refused(
                format!("function {} in the row filter is not built in", function_name(*function)),
                "use functions and operators that come with PostgreSQL, or keep the result in a column",
            ));
        }
        // SAFETY: the function exists, it was just resolved.
        let volatility = unsafe { pg_sys::func_volatile(*function) };
        if volatility != pg_sys::PROVOLATILE_IMMUTABLE as std::ffi::c_char && !CLOCKS.contains(&oid) {
            return Err(refused(
                format!("function {} in the row filter is not IMMUTABLE", function_name(*function)),
                "a setting of the reader could change its result: compare values of one type, and use now() as it is",
            ));
        }
    }
    Ok(())
}

fn function_name(function: pg_sys::Oid) -> String {
    // SAFETY: gives a palloc'd text, or NULL for an unknown function.
    unsafe {
        let name = pg_sys::get_func_name(function);
        if name.is_null() {
            return function.to_u32().to_string();
        }
        shown(&CStr::from_ptr(name).to_string_lossy())
    }
}
