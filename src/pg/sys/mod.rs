//! The small set of guards and conversions through which the pg half touches Postgres.
#![allow(unsafe_code)] // ◆ fmgr calling convention, memory contexts

pub mod array;
pub mod attempt;
pub mod catalog;
pub mod compat;
pub mod composite;
pub mod cursor;
pub mod depends;
pub mod filter;
pub mod fingerprint;
pub mod flat;
pub mod json;
pub mod labels;
pub mod latch;
mod opened;
pub mod parallel;
mod quiet;
pub mod raw;
pub mod reads;
pub mod roles;
pub mod scan;
pub mod sessions;
pub mod settings;
pub mod sql;
pub mod subquery;
pub mod switch;
pub mod trigger;
pub mod tuples;
pub mod write;

use crate::pure::error::{Error, Kind, Result};
use pgrx::{pg_sys, FromDatum, IntoDatum};

/// Declares a version-1 C function that Postgres can call: `sql_function!(name, |args| body)`.
///
/// The body returns `Result<impl Return>`; an error is raised with its own SQLSTATE after every destructor has run. The
/// SQL declaration, with volatility, strictness and parallel label, stands in `sql/functions.sql` or `sql/types.sql`.
#[macro_export]
macro_rules! sql_function {
    ($(#[$meta:meta])* $name:ident, $body:expr) => {
        $(#[$meta])*
        ///
        /// # Safety
        /// Called by Postgres' function manager only.
        #[allow(unsafe_code)]
        #[no_mangle]
        pub unsafe extern "C-unwind" fn $name(fcinfo: pgrx::pg_sys::FunctionCallInfo) -> pgrx::pg_sys::Datum {
            let body = $crate::pg::sys::body($body);
            // SAFETY: the outermost Rust frame; fcinfo comes from the function manager.
            unsafe { $crate::pg::sys::call(fcinfo, body) }
        }
        const _: () = {
            /// Tells the function manager that the function above follows calling convention 1.
            #[allow(unsafe_code, non_snake_case)]
            #[export_name = concat!("pg_finfo_", stringify!($name))]
            pub extern "C" fn info() -> &'static pgrx::pg_sys::Pg_finfo_record {
                const V1: pgrx::pg_sys::Pg_finfo_record = pgrx::pg_sys::Pg_finfo_record { api_version: 1 };
                &V1
            }
        };
    };
}

/// The arguments of a SQL function.
#[derive(Clone, Copy)]
pub struct Args(pg_sys::FunctionCallInfo);

impl Args {
    /// How many arguments the call has.
    pub fn count(&self) -> usize {
        // SAFETY: fcinfo is valid for the whole call.
        unsafe { (*self.0).nargs as usize }
    }

    /// Argument `i`, or `None` when it is NULL.
    pub fn get<T: FromDatum>(&self, i: usize) -> Option<T> {
        // SAFETY: the SQL declaration fixes number and types of the arguments; the contract test pins it.
        unsafe { pgrx::fcinfo::pg_getarg(self.0, i) }
    }

    /// Argument `i`, which must not be NULL; 22023 with the argument's name otherwise.
    pub fn need<T: FromDatum>(&self, i: usize, name: &str) -> Result<T> {
        self.get(i).ok_or_else(|| Error::new(Kind::InvalidArgument, format!("argument \"{name}\" must not be null")))
    }

    /// Argument `i` as a datum with its NULL flag.
    pub fn datum(&self, i: usize) -> Option<pg_sys::Datum> {
        // SAFETY: as `get`.
        unsafe { pgrx::fcinfo::pg_getarg_datum(self.0, i) }
    }

    /// The bytes of a varlena argument, detoasted; `None` when NULL.
    pub fn in_place(&self, i: usize) -> Option<&[u8]> {
        // SAFETY: arguments live as long as the call, as what they are detoasted into does.
        self.datum(i).map(|datum| unsafe { varlena_in_place(datum) })
    }

    /// The bytes of a varlena argument, detoasted and copied; `None` when NULL.
    pub fn bytes(&self, i: usize) -> Option<Vec<u8>> {
        self.datum(i).map(varlena_bytes)
    }

    /// The actual type of argument `i` at this call site (for "any" and polymorphic arguments).
    pub fn type_of(&self, i: usize) -> pg_sys::Oid {
        // SAFETY: fn_expr is valid or NULL, which gives InvalidOid.
        unsafe { pg_sys::get_fn_expr_argtype((*self.0).flinfo, i as i32) }
    }

    /// The typmod that this call site knows for argument `i`; -1 when unknown.
    pub fn typmod_of(&self, i: usize) -> i32 {
        // SAFETY: fn_expr, when there is one, is a FuncExpr or OpExpr whose args are a list of expressions.
        unsafe {
            let expr = (*(*self.0).flinfo).fn_expr;
            if expr.is_null() {
                return -1;
            }
            let list = match (*expr).type_ {
                pg_sys::NodeTag::T_FuncExpr => (*expr.cast::<pg_sys::FuncExpr>()).args,
                pg_sys::NodeTag::T_OpExpr => (*expr.cast::<pg_sys::OpExpr>()).args,
                _ => return -1,
            };
            if list.is_null() || (*list).length as usize <= i {
                return -1;
            }
            typmod_of_expression(pg_sys::list_nth(list, i as i32).cast::<pg_sys::Node>())
        }
    }

    /// The raw call, for what the methods here do not cover.
    pub fn raw(&self) -> pg_sys::FunctionCallInfo {
        self.0
    }

    /// Per-call-site state, made on the first call and dropped with the call site's memory context.
    #[allow(clippy::mut_from_ref)] // reason: the state hangs on the call site, of which Args is a handle
    pub fn site<T: 'static>(&self, make: impl FnOnce() -> T) -> &mut T {
        // SAFETY: fn_extra is ours alone; the value lives in fn_mcxt and is dropped by its reset callback. One backend
        // is one thread and the reference does not outlive the call.
        unsafe {
            let flinfo = (*self.0).flinfo;
            if (*flinfo).fn_extra.is_null() {
                let value = make();
                (*flinfo).fn_extra =
                    pgrx::PgMemoryContexts::For((*flinfo).fn_mcxt).leak_and_drop_on_delete(value).cast();
            }
            &mut *(*flinfo).fn_extra.cast::<T>()
        }
    }
}

/// The typmod that an expression is known to have; -1 for none.
///
/// # Safety
/// `expr` is an analysed expression.
pub unsafe fn typmod_of_expression(mut expr: *mut pg_sys::Node) -> i32 {
    // SAFETY: the tag is checked before the cast.
    unsafe {
        loop {
            let typmod = pg_sys::exprTypmod(expr);
            if typmod >= 0 {
                return typmod;
            }
            if (*expr).type_ == pg_sys::NodeTag::T_RelabelType {
                expr = (*expr.cast::<pg_sys::RelabelType>()).arg.cast();
                continue;
            }
            // a domain hides the typmod that it was made with
            let mut typmod = -1;
            pg_sys::getBaseTypeAndTypmod(pg_sys::exprType(expr), &mut typmod);
            return typmod;
        }
    }
}

/// What a SQL function may return.
pub trait Return {
    /// The datum, or `None` for NULL.
    fn into_return(self) -> Option<pg_sys::Datum>;
}

/// A datum returned as it is.
pub struct Raw(pub pg_sys::Datum);

impl Return for Raw {
    fn into_return(self) -> Option<pg_sys::Datum> {
        Some(self.0)
    }
}

impl Return for Option<Raw> {
    fn into_return(self) -> Option<pg_sys::Datum> {
        self.map(|r| r.0)
    }
}

/// A value of any type pgrx converts.
pub struct Sql<T>(pub T);

impl<T: IntoDatum> Return for Sql<T> {
    fn into_return(self) -> Option<pg_sys::Datum> {
        self.0.into_datum()
    }
}

impl Return for () {
    fn into_return(self) -> Option<pg_sys::Datum> {
        Some(pg_sys::Datum::from(0))
    }
}

/// Gives the closure of a SQL function its type, which a `let` alone would leave open. Used by [`sql_function!`].
pub fn body<R: Return, F: FnOnce(Args) -> Result<R>>(body: F) -> F {
    body
}

/// Calls the body of a SQL function and stores NULL or the datum. Used by [`sql_function!`].
///
/// # Safety
/// The outermost Rust frame of a function called by the function manager.
pub unsafe fn call<R: Return>(fcinfo: pg_sys::FunctionCallInfo, body: impl FnOnce(Args) -> Result<R>) -> pg_sys::Datum {
    // SAFETY: the caller is the outermost frame; fcinfo is valid.
    unsafe {
        let result = crate::pg::error::run(|| body(Args(fcinfo)).map(Return::into_return));
        (*fcinfo).isnull = result.is_none();
        result.unwrap_or(pg_sys::Datum::from(0))
    }
}

/// One row of a set-returning function.
pub type Row = Vec<Option<pg_sys::Datum>>;

/// Shorthand: any value as a nullable datum.
pub fn d<T: IntoDatum>(value: T) -> Option<pg_sys::Datum> {
    value.into_datum()
}

/// Returns `rows` from a set-returning function in materialize mode; the declared result type decides the columns.
pub fn return_set(args: Args, rows: Vec<Row>) -> Result<Option<Raw>> {
    // SAFETY: InitMaterializedSRF checks that the caller expects a set and fills in setResult and setDesc.
    unsafe {
        pg_sys::InitMaterializedSRF(args.raw(), 0);
        let info = (*args.raw()).resultinfo.cast::<pg_sys::ReturnSetInfo>();
        for row in rows {
            let mut values: Vec<pg_sys::Datum> = row.iter().map(|v| v.unwrap_or(pg_sys::Datum::from(0))).collect();
            let mut nulls: Vec<bool> = row.iter().map(Option::is_none).collect();
            pg_sys::tuplestore_putvalues((*info).setResult, (*info).setDesc, values.as_mut_ptr(), nulls.as_mut_ptr());
        }
    }
    Ok(None)
}

/// Copies the bytes of a varlena datum, detoasted.
pub fn varlena_bytes(datum: pg_sys::Datum) -> Vec<u8> {
    // SAFETY: the caller's datum is a non-null varlena.
    unsafe { varlena_in_place(datum).to_vec() }
}

/// The bytes of a varlena datum: in place where it is plain, else of a detoasted copy in the current memory context.
///
/// # Safety
/// The datum is a varlena and not null, and neither what it lies in nor the context goes away before the bytes do.
pub unsafe fn varlena_in_place<'a>(datum: pg_sys::Datum) -> &'a [u8] {
    let value = datum.cast_mut_ptr::<pg_sys::varlena>();
    // SAFETY: as the caller promises; one that is compressed or in TOAST is made plain before it is looked into.
    unsafe {
        let plain = pgrx::varatt_is_4b_u(value) || pgrx::varatt_is_1b(value) && !pgrx::varatt_is_1b_e(value);
        let value = if plain { value } else { pg_sys::pg_detoast_datum_packed(value) };
        pgrx::varlena::varlena_to_byte_slice(value)
    }
}

/// The first bytes of a varlena datum, at most `most`: of one that lies in TOAST uncompressed, no more is read.
pub fn varlena_head(datum: pg_sys::Datum, most: i32) -> Vec<u8> {
    // SAFETY: as `varlena_bytes`.
    unsafe {
        let slice = pg_sys::pg_detoast_datum_slice(datum.cast_mut_ptr(), 0, most);
        pgrx::varlena::varlena_to_byte_slice(slice).to_vec()
    }
}

/// A palloc'd varlena holding `bytes`, as a datum (for bytea and the encrypted types).
pub fn varlena(bytes: &[u8]) -> pg_sys::Datum {
    // SAFETY: palloc gives room for header and bytes; sizes above 1 GB raise in palloc.
    unsafe {
        let size = bytes.len() + pg_sys::VARHDRSZ;
        let pointer = pg_sys::palloc(size).cast::<pg_sys::varlena>();
        pgrx::set_varsize_4b(pointer, size as i32);
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), pgrx::vardata_4b(pointer).cast::<u8>().cast_mut(), bytes.len());
        pg_sys::Datum::from(pointer)
    }
}

/// The function of schema `airlock` with that name and these argument types; `None` in a database that has none, as one
/// that an older release set up.
pub fn function_oid(name: &std::ffi::CStr, arguments: &[pg_sys::Oid]) -> Option<pg_sys::Oid> {
    // SAFETY: syscache look-ups; the vector lives until the context is reset.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"airlock".as_ptr(), true);
        let types = pg_sys::buildoidvector(arguments.as_ptr(), arguments.len() as i32);
        let found = pg_sys::GetSysCacheOid(
            pg_sys::SysCacheIdentifier::PROCNAMEARGSNSP as i32,
            pg_sys::Anum_pg_proc_oid as i16,
            pg_sys::Datum::from(name.as_ptr()),
            pg_sys::Datum::from(types),
            pg_sys::Datum::from(schema),
            pg_sys::Datum::from(0),
        );
        (found != pg_sys::InvalidOid).then_some(found)
    }
}

/// One of the functions of schema `airlock` with that name, whatever its arguments.
pub fn function_oid_by_name(name: &str) -> Option<pg_sys::Oid> {
    let name = std::ffi::CString::new(name).ok()?;
    let none = pg_sys::Datum::from(0);
    // SAFETY: syscache look-ups inside a transaction; the list is released, and its tuples not used afterwards.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"airlock".as_ptr(), true);
        let cache = pg_sys::SysCacheIdentifier::PROCNAMEARGSNSP as std::ffi::c_int;
        let list = pg_sys::SearchSysCacheList(cache, 1, pg_sys::Datum::from(name.as_ptr()), none, none);
        let members = (*list).members.as_slice((*list).n_members as usize);
        let forms = members
            .iter()
            .map(|m| &*pg_sys::GETSTRUCT(std::ptr::addr_of_mut!((**m).tuple)).cast::<pg_sys::FormData_pg_proc>());
        let found =
            forms.filter(|form| form.pronamespace == schema).map(|form| form.oid).min_by_key(|oid| oid.to_u32());
        pg_sys::ReleaseCatCacheList(list);
        found
    }
}

/// Schema and name of a relation, empty for one that is gone.
pub fn name_of_relation(relation: pg_sys::Oid) -> (String, String) {
    // SAFETY: syscache look-ups that give NULL for what is gone, else a NUL-terminated string.
    unsafe {
        let text = |name: *mut std::ffi::c_char| match name.is_null() {
            true => String::new(),
            false => std::ffi::CStr::from_ptr(name).to_string_lossy().into_owned(),
        };
        (text(pg_sys::get_namespace_name(pg_sys::get_rel_namespace(relation))), text(pg_sys::get_rel_name(relation)))
    }
}

/// Name of a role, or its number when it is gone.
pub fn role_name(role: pg_sys::Oid) -> String {
    // SAFETY: noerr = true gives NULL for an unknown role.
    unsafe {
        let name = pg_sys::GetUserNameFromId(role, true);
        if name.is_null() {
            return role.to_u32().to_string();
        }
        std::ffi::CStr::from_ptr(name).to_string_lossy().into_owned()
    }
}

/// Microseconds since 2000-01-01 UTC, now.
pub fn now() -> i64 {
    // SAFETY: reads the clock.
    unsafe { pg_sys::GetCurrentTimestamp() }
}

/// When the client's statement began, microseconds since 2000-01-01 UTC.
pub fn statement_start() -> i64 {
    // SAFETY: a variable of the backend.
    unsafe { pg_sys::GetCurrentStatementStartTimestamp() }
}

/// Whether a row with this xmin was written by the transaction at hand, or by one within it.
pub fn is_own_transaction(xmin: u32) -> bool {
    // SAFETY: compares with what this backend has; any number will do.
    unsafe { pg_sys::TransactionIdIsCurrentTransactionId(xmin.into()) }
}

/// Whether the postmaster is loading shared_preload_libraries right now.
pub fn preloading() -> bool {
    // SAFETY: a flag of the postmaster, read on the main thread.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress }
}

/// Whether pg_upgrade has started this server.
pub fn binary_upgrade() -> bool {
    // SAFETY: a flag of the postmaster, read on the main thread.
    unsafe { pg_sys::IsBinaryUpgrade }
}

/// Refuses made-up settings under our prefix; after all of ours are defined.
pub fn reserve_prefix() {
    // SAFETY: a static NUL-terminated string.
    unsafe { pg_sys::MarkGUCPrefixReserved(c"airlock".as_ptr()) }
}

/// This backend's place in shared arrays, and its process id.
pub fn backend() -> (i32, i32) {
    // SAFETY: a variable of the backend.
    unsafe { (compat::backend_place(), pg_sys::MyProcPid) }
}

/// `maintenance_work_mem`, in bytes.
pub fn maintenance_memory() -> usize {
    // SAFETY: a setting of the backend.
    usize::try_from(unsafe { pg_sys::maintenance_work_mem }).unwrap_or(1024).saturating_mul(1024)
}

/// Today's date in UTC, as days since 2000-01-01.
pub fn today() -> i32 {
    i32::try_from(now().div_euclid(86_400_000_000)).unwrap_or(i32::MAX)
}

/// The pointers of a Postgres list (of nodes, not of integers).
///
/// # Safety
/// `list` is NULL or a valid pointer list, unchanged while the vector is used.
pub unsafe fn list<T>(list: *mut pg_sys::List) -> Vec<*mut T> {
    if list.is_null() {
        return Vec::new();
    }
    // SAFETY: elements 0 … length-1 are initialised.
    unsafe { (0..(*list).length as usize).map(|i| (*(*list).elements.add(i)).ptr_value.cast::<T>()).collect() }
}

/// The OIDs in a list of OIDs.
///
/// # Safety
/// `list` is NULL or such a list, valid for the call.
pub unsafe fn list_of_oids(list: *mut pg_sys::List) -> Vec<pg_sys::Oid> {
    if list.is_null() {
        return Vec::new();
    }
    // SAFETY: elements 0 … length-1 are initialised.
    unsafe { (0..(*list).length as usize).map(|i| (*(*list).elements.add(i)).oid_value).collect() }
}
