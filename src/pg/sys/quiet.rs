//! Whether an expression of a scope can raise an error that quotes a value. A row filter runs on rows that it hides, and some
//! built-in functions name what they cannot work with (`make_date(2024, 2, 30)`: "date field value out of range:
//! 2024-02-30"). Scopes with any other than those known here have such errors said without their text.
#![allow(unsafe_code)] // ◆ expression trees

use crate::pg::encrypted::search;
use pgrx::pg_sys::{self, NodeTag};
use std::ffi::CStr;

/// Estimators of comparisons and of LIKE: what an operator that has one does not quote.
const COMPARE: [u32; 10] = [
    pg_sys::F_EQSEL,
    pg_sys::F_NEQSEL,
    pg_sys::F_SCALARLTSEL,
    pg_sys::F_SCALARLESEL,
    pg_sys::F_SCALARGTSEL,
    pg_sys::F_SCALARGESEL,
    pg_sys::F_LIKESEL,
    pg_sys::F_NLIKESEL,
    pg_sys::F_ICLIKESEL,
    pg_sys::F_ICNLIKESEL,
];
/// Functions of pg_catalog whose errors, if they have any, name no argument.
const FUNCTIONS: [&CStr; 16] = [
    c"lower",
    c"upper",
    c"length",
    c"char_length",
    c"character_length",
    c"octet_length",
    c"left",
    c"right",
    c"btrim",
    c"ltrim",
    c"rtrim",
    c"starts_with",
    c"abs",
    c"now",
    c"transaction_timestamp",
    c"statement_timestamp",
];

/// Whether all that an analysed expression calls is known to quote nothing, subqueries included.
///
/// # Safety
/// An analysed expression whose functions are built in, but for calls for which `ours` holds.
pub(super) unsafe fn is_quiet(expression: *mut pg_sys::Node, ours: impl Fn(*mut pg_sys::Node) -> bool) -> bool {
    let all = |tag: NodeTag, holds: &dyn Fn(*mut pg_sys::Node) -> bool| {
        // SAFETY: as the caller promises.
        unsafe { search::collect(expression, tag) }.into_iter().all(holds)
    };
    // SAFETY: the tag says which struct a node is.
    let compares = |operator: pg_sys::Oid| COMPARE.contains(&unsafe { pg_sys::get_oprrest(operator) }.to_u32());
    // SAFETY: as above.
    unsafe {
        all(NodeTag::T_OpExpr, &|node| compares((*node.cast::<pg_sys::OpExpr>()).opno))
            && all(NodeTag::T_ScalarArrayOpExpr, &|node| compares((*node.cast::<pg_sys::ScalarArrayOpExpr>()).opno))
            && all(NodeTag::T_FuncExpr, &|node| ours(node) || is_known(&*node.cast::<pg_sys::FuncExpr>()))
            && all(NodeTag::T_ArrayCoerceExpr, &|_| false)
    }
}

/// A conversion that PostgreSQL put in by itself, or one of the list.
unsafe fn is_known(call: &pg_sys::FuncExpr) -> bool {
    if call.funcformat == pg_sys::CoercionForm::COERCE_IMPLICIT_CAST {
        return true;
    }
    // SAFETY: a syscache look-up; NULL for an unknown function.
    unsafe {
        let name = pg_sys::get_func_name(call.funcid);
        !name.is_null() && FUNCTIONS.contains(&CStr::from_ptr(name))
    }
}
