//! Planner support: a comparison with an encrypted column becomes one of match tags, which an index on
//! `airlock.match_tag(column)` serves.
//!
//! | in the query | in the plan |
//! |---|---|
//! | `ssn = 'x'`, `ssn = $1` | `match_tag(ssn) = match_needle(column number, 'x')` |
//! | `ssn <> 'x'` | `match_tag(ssn) <> match_needle(column number, 'x')` |
//! | `a.ssn = b.ssn` | `may_match(number, number) AND match_tag(a.ssn) = match_tag(b.ssn)` |
//! | `ssn IN (…)`, `ssn = ANY ($1)` | `match_tag(ssn) = ANY (match_needle_each(column number, …))` |
//!
//! Of a unique column the wide tags are compared, by the functions of the same names with 16 at the end.
//!
//! The first three through PostgreSQL's support request, which it does not make for the last: those are found in the
//! query before it is planned. `match_tag` is leakproof, so it goes below security barriers and row security; a needle
//! goes along as long as it holds no column.
#![allow(unsafe_code)] // ◆ expression trees
#![allow(ffi_unwind_calls)] // reason: the tree walkers' callbacks call back into the walkers, see raw.rs

use super::needle::two_keys;
use super::type_oids;
use crate::pg::contain::functions_of;
use crate::pg::keys::ring::{self, Named};
use crate::pg::shared::{self, AsOf};
use crate::pg::sys::{binary_upgrade, compat, function_oid, list, raw, scan, typmod_of_expression, Args, Raw};
use crate::pure::error::{Error, Kind, Result};
use crate::sql_function;
use pgrx::pg_sys::{self, NodeTag};
use std::cell::Cell;
use std::ffi::{c_void, CStr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// `=` and `<>` of a type, each with its function; `pg_operator.dat`.
type Operators = [(u32, u32); 2];
const INT8: Operators = [(410, pg_sys::F_INT8EQ), (411, pg_sys::F_INT8NE)];
const UUID: Operators = [(2972, pg_sys::F_UUID_EQ), (2973, pg_sys::F_UUID_NE)];

sql_function!(
    /// `airlock.match_support(internal) → internal`: planner support of `airlock.eq` and `airlock.ne`. What it does not
    /// know how to turn stays as it is and is compared row by row.
    ///
    /// Errors: `42804` when the columns compared are under two keys.
    airlock_match_support,
    |args: Args| {
        let request = args.datum(0).map_or(std::ptr::null_mut(), |d| d.cast_mut_ptr::<pg_sys::Node>());
        // SAFETY: an internal argument of a support function is a request node.
        let simpler = unsafe {
            if request.is_null() || (*request).type_ != NodeTag::T_SupportRequestSimplify {
                std::ptr::null_mut()
            } else {
                simplify(&*(*request.cast::<pg_sys::SupportRequestSimplify>()).fcall)?
            }
        };
        Ok(Raw(pg_sys::Datum::from(simpler)))
    }
);

/// One side of a comparison.
struct Side {
    node: *mut pg_sys::Node,
    /// What its typmod names; `None` when the call site knows none.
    number: Option<(i32, Named)>,
}

impl Side {
    /// # Safety
    /// `node` is an analysed expression.
    unsafe fn new(node: *mut pg_sys::Node, searchable: pg_sys::Oid) -> Result<Side> {
        let mut number = None;
        // SAFETY: as the caller promises.
        unsafe {
            if pg_sys::getBaseType(pg_sys::exprType(node)) == searchable {
                let typmod = typmod_of_expression(node);
                if typmod >= 0 {
                    number = ring::named(typmod)?.map(|named| (typmod, named));
                }
            }
        }
        Ok(Side { node, number })
    }

    /// The number of the column that this side is, and whether its tags are wide.
    fn column(&self) -> Option<(i32, bool)> {
        self.number.filter(|(_, named)| named.column).map(|(number, named)| (number, named.wide))
    }
}

/// The comparison of tags that stands for a call of `airlock.eq` or `airlock.ne`; NULL for none.
unsafe fn simplify(call: &pg_sys::FuncExpr) -> Result<*mut pg_sys::Node> {
    let none = Ok(std::ptr::null_mut());
    let Some((_, searchable)) = type_oids() else { return none };
    // SAFETY: the arguments of a call are a list of expressions; the new nodes are allocated where the planner works.
    unsafe {
        let [a, b] = list::<pg_sys::Node>(call.args)[..] else { return none };
        let (a, b) = (Side::new(a, searchable)?, Side::new(b, searchable)?);
        if let (Some((_, one)), Some((_, other))) = (a.number, b.number) {
            if one.key_no != other.key_no {
                return Err(two_keys(&ring::key_name(one.key_no)?, &ring::key_name(other.key_no)?));
            }
        }
        let not = is_named(call.funcid, c"ne");
        let (column, other, (number, wide)) = match (a.column(), b.column()) {
            (Some((no_a, wide_a)), Some((no_b, wide_b))) => {
                let (int, args) = (pg_sys::INT4OID, pair(integer(no_a), integer(no_b)));
                let (Some(tags), Some(may)) = (Tags::find(wide_a && wide_b), function_oid(c"may_match", &[int, int]))
                else {
                    return none;
                };
                let asked = self::call(may, pg_sys::BOOLOID, args);
                let equal = tags.compare(not, tags.of(a.node), tags.of(b.node));
                return Ok(pg_sys::make_andclause(pair(asked, equal)).cast());
            }
            (Some(column), None) => (a, b, column),
            (None, Some(column)) => (b, a, column),
            (None, None) => return none,
        };
        let Some(tags) = Tags::find(wide) else { return none };
        let needle = self::call(tags.needle, tags.result, pair(integer(number), other.node));
        Ok(tags.compare(not, tags.of(column.node), needle))
    }
}

/// How tags of a width are got and compared.
pub(in crate::pg) struct Tags {
    operators: Operators,
    tag: pg_sys::Oid,
    needle: pg_sys::Oid,
    needles: pg_sys::Oid,
    /// Type of a tag.
    pub result: pg_sys::Oid,
    /// The array type over it.
    pub array: pg_sys::Oid,
}

impl Tags {
    /// `None` in a database that an older release set up.
    pub fn find(wide: bool) -> Option<Tags> {
        let (int, any, searchable) = (pg_sys::INT4OID, pg_sys::ANYOID, type_oids()?.1);
        let (operators, result, array) = match wide {
            false => (INT8, pg_sys::INT8OID, pg_sys::INT8ARRAYOID),
            true => (UUID, pg_sys::UUIDOID, pg_sys::UUIDARRAYOID),
        };
        let names = match wide {
            false => [c"match_tag", c"match_needle", c"match_needle_each"],
            true => [c"match_tag16", c"match_needle16", c"match_needle16_each"],
        };
        Some(Tags {
            tag: function_oid(names[0], &[searchable])?,
            needle: function_oid(names[1], &[int, any])?,
            needles: function_oid(names[2], &[int, any])?,
            operators,
            result,
            array,
        })
    }

    /// The tag of a column.
    ///
    /// # Safety
    /// `column` is an expression of the encrypted type; as [`call`].
    pub unsafe fn of(&self, column: *mut pg_sys::Node) -> *mut pg_sys::Node {
        // SAFETY: as the caller promises.
        unsafe { call(self.tag, self.result, single(column)) }
    }

    /// `a = b` of tags, or `a <> b`.
    ///
    /// # Safety
    /// Both are expressions of the tag's type.
    pub unsafe fn compare(&self, not: bool, a: *mut pg_sys::Node, b: *mut pg_sys::Node) -> *mut pg_sys::Node {
        let (operator, function) = self.operators[usize::from(not)];
        let (oid, none) = (pg_sys::Oid::from(operator), pg_sys::InvalidOid);
        // SAFETY: as the caller promises.
        unsafe {
            let clause = pg_sys::make_opclause(oid, pg_sys::BOOLOID, false, a.cast(), b.cast(), none, none);
            (*clause.cast::<pg_sys::OpExpr>()).opfuncid = pg_sys::Oid::from(function);
            clause.cast()
        }
    }

    /// Makes `any` compare the column's tag with the elements of `array`.
    ///
    /// # Safety
    /// `array` is of the tag's array type.
    unsafe fn compare_any(
        &self,
        any: &mut pg_sys::ScalarArrayOpExpr,
        not: bool,
        column: *mut pg_sys::Node,
        array: *mut pg_sys::Node,
    ) {
        let (operator, function) = self.operators[usize::from(not)];
        any.opno = pg_sys::Oid::from(operator);
        any.opfuncid = pg_sys::Oid::from(function);
        any.inputcollid = pg_sys::InvalidOid;
        // SAFETY: as the caller promises.
        any.args = unsafe { pair(self.of(column), array) };
    }

    /// `tag(column) = ANY (array)`.
    ///
    /// # Safety
    /// `array` is of the tag's array type.
    pub unsafe fn any(&self, column: *mut pg_sys::Node, array: *mut pg_sys::Node) -> *mut pg_sys::Node {
        // SAFETY: a new node, filled in; what is left zero the planner fills in.
        unsafe {
            let any = pg_sys::palloc0(std::mem::size_of::<pg_sys::ScalarArrayOpExpr>());
            let any = any.cast::<pg_sys::ScalarArrayOpExpr>();
            (*any).xpr.type_ = NodeTag::T_ScalarArrayOpExpr;
            (*any).useOr = true;
            (*any).location = -1;
            self.compare_any(&mut *any, false, column, array);
            any.cast()
        }
    }
}

/// Whether a function has that name; it is one of ours.
fn is_named(function: pg_sys::Oid, name: &CStr) -> bool {
    // SAFETY: a syscache look-up; NULL for an unknown function.
    unsafe {
        let found = pg_sys::get_func_name(function);
        !found.is_null() && CStr::from_ptr(found) == name
    }
}

unsafe fn single(node: *mut pg_sys::Node) -> *mut pg_sys::List {
    // SAFETY: a new list.
    unsafe { pg_sys::lappend(std::ptr::null_mut(), node.cast()) }
}

unsafe fn pair(a: *mut pg_sys::Node, b: *mut pg_sys::Node) -> *mut pg_sys::List {
    // SAFETY: a new list.
    unsafe { pg_sys::lappend(single(a), b.cast()) }
}

/// An integer constant.
///
/// # Safety
/// In a memory context that outlives the tree.
pub(in crate::pg) unsafe fn integer(value: i32) -> *mut pg_sys::Node {
    let (oid, datum) = (pg_sys::INT4OID, pg_sys::Datum::from(value));
    // SAFETY: a new node.
    unsafe { pg_sys::makeConst(oid, -1, pg_sys::InvalidOid, 4, datum, false, true).cast() }
}

/// A call of one of our functions, which have no collation.
///
/// # Safety
/// The arguments fit the function's declaration.
pub(in crate::pg) unsafe fn call(
    function: pg_sys::Oid,
    result: pg_sys::Oid,
    args: *mut pg_sys::List,
) -> *mut pg_sys::Node {
    let (none, form) = (pg_sys::InvalidOid, pg_sys::CoercionForm::COERCE_EXPLICIT_CALL);
    // SAFETY: a new node.
    unsafe { pg_sys::makeFuncExpr(function, result, args, none, none, form).cast() }
}

/// Whether the database has encrypted columns, as of a generation.
static WANTED: (AsOf, AtomicBool) = (AsOf::never(), AtomicBool::new(false));
thread_local! {
    /// The functions of operators that always refuse, as of the same.
    static REFUSING: Cell<[Option<pg_sys::Oid>; 3]> = const { Cell::new([None; 3]) };
}

/// Whether queries are to be looked at before they are planned: only where there are encrypted columns. One comparison,
/// once it is known.
///
/// # Errors
/// As the keyring's.
pub fn wanted() -> Result<bool> {
    let generation = shared::generation();
    let (known, wanted) = &WANTED;
    if known.is(generation) {
        return Ok(wanted.load(Relaxed));
    }
    // the last of the keyring's tables: where pg_upgrade or a script is still making them there is none to look into
    let made = scan::table_oid("key_grant").is_some() && !binary_upgrade();
    // a catalog that cannot be read is told by what needs it, not by every statement, its repair among them
    let found = made && scan::table_oid("encrypted_column").is_some() && ring::any_column().unwrap_or(false);
    if let Some((plain, _)) = type_oids().filter(|_| found) {
        let text = pg_sys::TEXTOID;
        let refusing = [[plain, plain], [plain, text], [text, plain]];
        REFUSING.with(|r| r.set(refusing.map(|types| function_oid(c"not_comparable", &types))));
    }
    wanted.store(found, Relaxed);
    known.set(generation);
    Ok(found)
}

/// Refuses a comparison that the type does not have as soon as a statement is analysed, when it is prepared or a view is
/// made of it.
///
/// # Errors
/// `42883`.
///
/// # Safety
/// `query` was just analysed.
pub unsafe fn after_analysis(query: *mut pg_sys::Query) -> Result<()> {
    let refusing = REFUSING.with(Cell::get);
    // SAFETY: as the caller promises.
    let functions = unsafe { functions_of(query) };
    if functions.into_iter().any(|function| refusing.contains(&Some(function))) {
        return Err(not_comparable());
    }
    Ok(())
}

/// Turns what compares an encrypted column with the elements of an array, all over a query that is about to be planned.
///
/// # Safety
/// `query` is the planner's own.
pub unsafe fn before_planning(query: *mut pg_sys::Query) -> Result<()> {
    let Some((_, searchable)) = type_oids() else { return Ok(()) };
    // SAFETY: the planner may scribble on its query; nodes collected are alive as long as it is.
    unsafe {
        let found = collect(query.cast(), NodeTag::T_ScalarArrayOpExpr);
        if found.is_empty() {
            return Ok(());
        }
        for node in found {
            let any = &mut *node.cast::<pg_sys::ScalarArrayOpExpr>();
            let [column, array] = list::<pg_sys::Node>(any.args)[..] else { continue };
            let side = Side::new(column, searchable)?;
            let (Some((number, wide)), Some((_, named))) = (side.column(), side.number) else { continue };
            let other = typmod_of_expression(array);
            if pg_sys::get_base_element_type(pg_sys::exprType(array)) == searchable && other >= 0 {
                if let Some(other) = ring::named(other)?.filter(|other| other.key_no != named.key_no) {
                    return Err(two_keys(&ring::key_name(named.key_no)?, &ring::key_name(other.key_no)?));
                }
            }
            let function = pg_sys::get_opcode(any.opno);
            let ours = pg_sys::get_func_namespace(function) == pg_sys::get_namespace_oid(c"airlock".as_ptr(), true);
            let not = is_named(function, c"ne");
            if !ours || !(not || is_named(function, c"eq")) {
                continue; // somebody's own operator on the type
            }
            let Some(tags) = Tags::find(wide) else { continue };
            let needles = call(tags.needles, tags.array, pair(integer(number), array));
            tags.compare_any(any, not, column, needles);
        }
    }
    Ok(())
}

/// What [`collect`] looks for and has found.
struct Search {
    tag: NodeTag,
    found: Vec<*mut pg_sys::Node>,
}

/// All nodes of a kind in a query, subqueries included, or in an expression.
///
/// The walk only collects: see `created_as::stored_parts`.
///
/// # Safety
/// `root` is an analysed query or expression.
pub(in crate::pg) unsafe fn collect(root: *mut pg_sys::Node, tag: NodeTag) -> Vec<*mut pg_sys::Node> {
    unsafe extern "C-unwind" fn walk(node: *mut pg_sys::Node, search: *mut c_void) -> bool {
        if node.is_null() {
            return false;
        }
        // SAFETY: Postgres walks its own tree; `search` is the struct below.
        unsafe {
            let search = &mut *search.cast::<Search>();
            if (*node).type_ == search.tag {
                search.found.push(node);
            }
            let context = std::ptr::from_mut(search).cast();
            if (*node).type_ == NodeTag::T_Query {
                return compat::raw_query_tree_walker(node.cast(), Some(walk), context, 0);
            }
            compat::raw_expression_tree_walker(node, Some(walk), context)
        }
    }
    let mut search = Search { tag, found: Vec::new() };
    let context = std::ptr::addr_of_mut!(search).cast();
    // SAFETY: the walk ends before `search` is used again; the callback's frames own nothing.
    unsafe { raw::guarded(|| walk(root, context)) };
    search.found
}

/// 42883 for `=` and `<>` of `airlock.encrypted`.
fn not_comparable() -> Error {
    Error::new(Kind::NoOperator, "values of type airlock.encrypted cannot be compared")
        .detail("They carry no match tag: equal values have nothing in common that could be seen without decrypting.")
        .hint("compare airlock.decrypt(column), or make the column searchable: airlock.encrypted_eq('key'), encrypt_column(…, searchable => true)")
}

sql_function!(
    /// `airlock.not_comparable(…) → boolean`: `=` and `<>` of `airlock.encrypted`, which exist to say what to do instead.
    /// Errors: `42883`, always.
    airlock_not_comparable,
    |_args| -> Result<Option<Raw>> { Err(not_comparable()) }
);
sql_function!(
    /// `airlock.not_comparable_support(internal) → internal`: raises the same as soon as a comparison is planned.
    airlock_not_comparable_support,
    |args: Args| {
        let request = args.datum(0).map_or(std::ptr::null_mut(), |d| d.cast_mut_ptr::<pg_sys::Node>());
        // SAFETY: as `airlock_match_support`.
        if unsafe { !request.is_null() && (*request).type_ == NodeTag::T_SupportRequestSimplify } {
            return Err(not_comparable());
        }
        Ok(Raw(pg_sys::Datum::from(0)))
    }
);
