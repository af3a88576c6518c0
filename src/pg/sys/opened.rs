//! Encrypted columns in row filters and conditions of masks. Where the text names one, the analysed tree gets the call that
//! opens it, so that the expression is about the value, in the value's type. For people the column stands there, as if it
//! were of that type.
#![allow(unsafe_code)] // ◆ analyser hook, expression trees
#![allow(ffi_unwind_calls)] // reason: the hook calls back into the analyser, see raw.rs

use super::{function_oid, typmod_of_expression};
use crate::pg::encrypted::{self, search};
use crate::pg::error::run;
use crate::pg::keys::ring::{self, Number};
use crate::pure::error::Result;
use pgrx::pg_sys::{self, NodeTag};
use std::ffi::CString;

/// Opens the encrypted columns of one expression for one scope.
#[derive(Clone, Copy)]
pub(super) struct Opening {
    scope: i32,
    /// Leave the columns, in the value's type: for printing alone.
    as_columns: bool,
    plain: pg_sys::Oid,
    bound: pg_sys::Oid,
}

impl Opening {
    /// `None` where the extension's objects are of a version without such calls: nothing is opened then.
    pub fn new(scope: i32) -> Option<Opening> {
        let [any, int, element] = [pg_sys::ANYOID, pg_sys::INT4OID, pg_sys::ANYELEMENTOID];
        Some(Opening {
            scope,
            as_columns: false,
            plain: function_oid(c"disclose_filter", &[any, int, element])?,
            bound: function_oid(c"disclose_filter", &[any, int, element, any])?,
        })
    }

    /// The same for printing.
    pub fn as_columns(self) -> Opening {
        Opening { as_columns: true, ..self }
    }

    /// Makes the analyser use it; subqueries inherit it.
    ///
    /// # Safety
    /// The parse state must not outlive `self`.
    pub unsafe fn attach(&self, state: *mut pg_sys::ParseState) {
        // SAFETY: fields of the caller's own state.
        unsafe {
            (*state).p_pre_columnref_hook = Some(column_ref);
            (*state).p_ref_hook_state = std::ptr::from_ref(self).cast_mut().cast();
        }
    }

    /// The call that opens a column of a relation; the node itself where it is anything else.
    unsafe fn open(&self, state: *mut pg_sys::ParseState, node: *mut pg_sys::Node) -> Result<*mut pg_sys::Node> {
        // SAFETY: the tag is checked before the cast; the Var is one that this state's analyser has just made.
        unsafe {
            if node.is_null() || (*node).type_ != NodeTag::T_Var || !is_sealed(node) {
                return Ok(node);
            }
            let var = &*node.cast::<pg_sys::Var>();
            let entry = pg_sys::GetRTEByRangeTablePosn(state, var.varno, var.varlevelsup as i32);
            let Some(Number::Column(column)) = ring::number(typmod_of_expression(node))? else { return Ok(node) };
            if (*entry).rtekind != pg_sys::RTEKind::RTE_RELATION {
                return Ok(node);
            }
            let plain = encrypted::value::oid_of(column.key.plain_type);
            let collation = pg_sys::get_typcollation(plain);
            if self.as_columns {
                let var = &mut *node.cast::<pg_sys::Var>();
                (var.vartype, var.vartypmod, var.varcollid) = (plain, -1, collation);
                return Ok(node);
            }
            let null = pg_sys::makeNullConst(plain, -1, collation);
            let mut args = [node, search::integer(self.scope), null.cast()]
                .into_iter()
                .fold(std::ptr::null_mut(), |list, node: *mut pg_sys::Node| pg_sys::lappend(list, node.cast()));
            for name in &column.bind {
                let Some(beside) = beside(var, (*entry).relid, name) else { return Ok(node) };
                args = pg_sys::lappend(args, beside.cast());
            }
            let function = if column.bind.is_empty() { self.plain } else { self.bound };
            Ok(search::call(function, plain, args))
        }
    }

    /// Of a call that [`Opening::open`] made: its columns, the opened one first, and that one's number. Nothing for any
    /// other node, one that a text wrote out itself included: the analyser leaves no encrypted column bare.
    ///
    /// # Safety
    /// An analysed expression.
    pub unsafe fn columns(&self, node: *mut pg_sys::Node) -> Option<(Vec<*mut pg_sys::Node>, i32)> {
        // SAFETY: the tag is checked before each cast.
        unsafe {
            if (*node).type_ != NodeTag::T_FuncExpr {
                return None;
            }
            let call = &*node.cast::<pg_sys::FuncExpr>();
            let args = super::list::<pg_sys::Node>(call.args);
            if ![self.plain, self.bound].contains(&call.funcid) || args.len() < 3 || !is_sealed(args[0]) {
                return None;
            }
            let columns: Vec<_> = args.iter().enumerate().filter(|(i, _)| *i == 0 || *i > 2).map(|(_, a)| *a).collect();
            let all = columns.iter().all(|column| (**column).type_ == NodeTag::T_Var);
            all.then(|| (columns, typmod_of_expression(args[0])))
        }
    }
}

/// Whether an expression is of an encrypted type.
unsafe fn is_sealed(node: *mut pg_sys::Node) -> bool {
    // SAFETY: an analysed expression.
    encrypted::is_encrypted(unsafe { pg_sys::exprType(node) })
}

/// Another column of the row that `var` is of.
unsafe fn beside(var: &pg_sys::Var, relation: pg_sys::Oid, name: &str) -> Option<*mut pg_sys::Var> {
    let name = CString::new(name).ok()?;
    // SAFETY: a copy of a node of ours, and a look-up of a column of a locked relation.
    unsafe {
        let number = pg_sys::get_attnum(relation, name.as_ptr());
        if number <= 0 {
            return None;
        }
        let copy = pg_sys::copyObjectImpl(std::ptr::from_ref(var).cast()).cast::<pg_sys::Var>();
        let var = &mut *copy;
        (var.varattno, var.varattnosyn) = (number, number);
        pg_sys::get_atttypetypmodcoll(relation, number, &mut var.vartype, &mut var.vartypmod, &mut var.varcollid);
        Some(copy)
    }
}

/// The analyser meets a name: what it is without this hook, opened if it is an encrypted column.
unsafe extern "C-unwind" fn column_ref(
    state: *mut pg_sys::ParseState,
    name: *mut pg_sys::ColumnRef,
) -> *mut pg_sys::Node {
    // SAFETY: the analyser's own state, and the Opening that `attach` put there; nothing is owned here.
    unsafe {
        run(|| {
            let opening = &*(*state).p_ref_hook_state.cast::<Opening>();
            (*state).p_pre_columnref_hook = None;
            let node = pg_sys::transformExpr(state, name.cast(), (*state).p_expr_kind);
            (*state).p_pre_columnref_hook = Some(column_ref);
            opening.open(state, node)
        })
    }
}
