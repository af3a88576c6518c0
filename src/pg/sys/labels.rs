//! A function of this extension against what it was declared to be: from the caches, without a query.
#![allow(unsafe_code)] // ◆ syscache look-ups

use crate::pure::labels::{declared, Declared, Labels};
use pgrx::{pg_sys, FromDatum};
use std::ffi::CStr;

/// What is wrong with a function.
pub enum Wrong {
    /// It is not as declared: how it is.
    Labels(Declared, String),
    /// It belongs to another role than the schema.
    Owner,
    /// No function of that name and types is declared.
    Unknown,
}

/// What is wrong with a function of schema `airlock`; `None` when nothing is, and for functions of other schemas.
pub fn wrong(function: pg_sys::Oid) -> Option<Wrong> {
    // SAFETY: the tuple is looked at while it is held, its values are copied.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"airlock".as_ptr(), true);
        let key = pg_sys::SysCacheIdentifier::PROCOID as i32;
        let tuple = pg_sys::SearchSysCache1(key, pg_sys::Datum::from(function));
        if tuple.is_null() {
            return Some(Wrong::Unknown);
        }
        let form = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_proc>();
        let attribute = |n: u32| {
            let mut null = false;
            let value = pg_sys::SysCacheGetAttr(key, tuple, n as pg_sys::AttrNumber, &mut null);
            (value, null)
        };
        let text = |n: u32| {
            let (value, null) = attribute(n);
            String::from_datum(value, null).unwrap_or_default()
        };
        let wrong = if form.pronamespace == schema {
            let types = form.proargtypes.values.as_slice(form.pronargs as usize);
            let types: Vec<String> = types.iter().map(|t| type_text(*t)).collect();
            let name = owned(form.proname.data.as_ptr());
            let (settings, null) = attribute(pg_sys::Anum_pg_proc_proconfig);
            let settings = Vec::<Option<String>>::from_datum(settings, null).unwrap_or_default();
            let language = pg_sys::get_language_name(form.prolang, true);
            let labels = Labels {
                volatility: form.provolatile as u8 as char,
                strict: form.proisstrict,
                parallel: form.proparallel as u8 as char,
                leakproof: form.proleakproof,
                cost: form.procost,
                rows: form.proretset.then_some(form.prorows),
                definer: form.prosecdef,
                settings: settings.into_iter().flatten().collect(),
                other: form.prosupport != pg_sys::InvalidOid || form.prokind as u8 != pg_sys::PROKIND_FUNCTION,
                language: owned(language),
                library: text(pg_sys::Anum_pg_proc_probin),
                source: text(pg_sys::Anum_pg_proc_prosrc),
            };
            judge(&name, &types, &labels, form.proowner == owner_of(schema))
        } else {
            None
        };
        pg_sys::ReleaseSysCache(tuple);
        wrong
    }
}

fn judge(name: &str, types: &[String], labels: &Labels, owned: bool) -> Option<Wrong> {
    let Some(declared) = declared(name, types) else { return Some(Wrong::Unknown) };
    let now = labels.to_string();
    match (now == declared.labels, owned) {
        (false, _) => Some(Wrong::Labels(declared, now)),
        (true, false) => Some(Wrong::Owner),
        (true, true) => None,
    }
}

/// What the cache's invalidation callback calls a function by.
pub fn hash(function: pg_sys::Oid) -> u32 {
    let (key, none) = (pg_sys::SysCacheIdentifier::PROCOID as i32, pg_sys::Datum::from(0));
    // SAFETY: hashes a number.
    unsafe { pg_sys::GetSysCacheHashValue(key, pg_sys::Datum::from(function), none, none, none) }
}

/// Its name in `pg_type`, of PostgreSQL's own types.
unsafe fn type_text(oid: pg_sys::Oid) -> String {
    let key = pg_sys::SysCacheIdentifier::TYPEOID as i32;
    // SAFETY: as above.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(key, pg_sys::Datum::from(oid));
        if tuple.is_null() {
            return String::new();
        }
        let form = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_type>();
        let own = form.typnamespace.to_u32() == pg_sys::PG_CATALOG_NAMESPACE;
        let name = if own { owned(form.typname.data.as_ptr()) } else { String::new() };
        pg_sys::ReleaseSysCache(tuple);
        name
    }
}

unsafe fn owner_of(schema: pg_sys::Oid) -> pg_sys::Oid {
    let key = pg_sys::SysCacheIdentifier::NAMESPACEOID as i32;
    // SAFETY: as above.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(key, pg_sys::Datum::from(schema));
        if tuple.is_null() {
            return pg_sys::InvalidOid;
        }
        let owner = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_namespace>()).nspowner;
        pg_sys::ReleaseSysCache(tuple);
        owner
    }
}

/// # Safety
/// NULL or a NUL-terminated text.
unsafe fn owned(text: *const std::ffi::c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(text).to_string_lossy().into_owned() }
}
