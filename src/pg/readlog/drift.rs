//! The cheap half of "a scope that no longer matches its catalog objects raises": owner and security_barrier of both
//! views, at every statement. `doctor()` compares the whole definition.
#![allow(unsafe_code)] // ◆ relation cache

use crate::pg::registry::Registry;
use crate::pure::error::{Error, Kind, Result};
use pgrx::pg_sys;

/// AL010 when a view of one of these scopes has another owner or has lost its security barrier.
pub fn check(registry: &Registry, scopes: &[i32]) -> Result<()> {
    let owner = view_owner();
    for scope in scopes.iter().filter_map(|id| registry.scopes.get(id)) {
        for view in [scope.view, scope.inner_view] {
            if !intact(view, owner) {
                return Err(Error::new(Kind::ScopeRefused, format!("the views of scope {} were changed", scope.id))
                    .detail("a view lost its security_barrier or belongs to another role")
                    .hint("an administrator must look at SELECT * FROM airlock.doctor() and call replace_scope"));
            }
        }
    }
    Ok(())
}

/// OID of `airlock_view_owner`, or InvalidOid.
pub fn view_owner() -> pg_sys::Oid {
    // SAFETY: syscache look-up inside a transaction; missing is fine.
    unsafe { pg_sys::get_role_oid(c"airlock_view_owner".as_ptr(), true) }
}

fn intact(view: pg_sys::Oid, owner: pg_sys::Oid) -> bool {
    // SAFETY: the relation is opened, looked at and closed; rd_options of a view is a ViewOptions.
    unsafe {
        let relation = pg_sys::try_relation_open(view, pg_sys::AccessShareLock as i32);
        if relation.is_null() {
            return false;
        }
        let form = &*(*relation).rd_rel;
        let options = (*relation).rd_options.cast::<pg_sys::ViewOptions>();
        let good = form.relkind == pg_sys::RELKIND_VIEW as std::ffi::c_char
            && form.relowner == owner
            && !options.is_null()
            && (*options).security_barrier;
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        good
    }
}
