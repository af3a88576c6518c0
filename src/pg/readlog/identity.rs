//! Is this session a sub-processor's? Answered from shared catalogs only (role labels, memberships), so it holds in
//! every database of the cluster, and kept behind one comparison, so it costs others nothing.
//!
//! A sub-processor's role carries the security label `subprocessor:NAME` of provider `airlock`. The session belongs to
//! it when its authenticated login, its session user or its current user is that role or a member of it, by whatever
//! path. A superuser is nobody's member, whatever was granted, but for the sub-processor's own role made one, and while
//! he has taken the role on.
#![allow(unsafe_code)] // ◆ shared catalog scan, role look-ups on every statement
#![allow(ffi_unwind_calls)] // reason: three reads of a variable, which cannot raise

use crate::pg::shared::{self, AsOf};
use crate::pg::sys::raw;
use crate::pure::error::{Error, Kind, Result};
use pgrx::{pg_sys, FromDatum};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// The label provider's name.
pub const PROVIDER: &std::ffi::CStr = c"airlock";
/// What a sub-processor's label begins with.
pub const LABEL: &str = "subprocessor:";

/// `pg_shseclabel` (`SharedSecLabelRelationId`).
const SHSECLABEL: pg_sys::Oid = pg_sys::Oid::from_u32(3592);

/// Whose session this is.
#[derive(Clone, PartialEq, Eq)]
pub enum Who {
    /// Not a sub-processor's.
    Other,
    /// The sub-processor of that name.
    Subprocessor(Rc<str>),
    /// Under two sub-processors at once: may do nothing.
    Ambiguous(Rc<str>, Rc<str>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    login: pg_sys::Oid,
    session: pg_sys::Oid,
    current: pg_sys::Oid,
    generation: (u64, u64),
}

/// How many answers are kept: definer functions and foreign keys switch users back and forth within a statement.
const KEPT: usize = 8;

#[derive(Default)]
struct Answers {
    stamps: Vec<(Stamp, Who)>,
    /// The login that was nobody's when this session began to ask.
    free_login: Option<pg_sys::Oid>,
}

static DIRTY: AtomicBool = AtomicBool::new(true);
/// The session that was found to be nobody's last: most ask for no other. In variables of the process, for to read one that is
/// thread-local costs a call, in each hook.
static OTHER: LastOther = LastOther {
    login: AtomicU32::new(0),
    session: AtomicU32::new(0),
    current: AtomicU32::new(0),
    generation: AsOf::never(),
};

/// A [`Stamp`].
struct LastOther {
    login: AtomicU32,
    session: AtomicU32,
    current: AtomicU32,
    generation: AsOf,
}

impl LastOther {
    fn is(&self, now: &Stamp) -> bool {
        self.login.load(Relaxed) == now.login.to_u32()
            && self.session.load(Relaxed) == now.session.to_u32()
            && self.current.load(Relaxed) == now.current.to_u32()
            && self.generation.is(now.generation)
    }

    fn keep(&self, now: &Stamp) {
        self.login.store(now.login.to_u32(), Relaxed);
        self.session.store(now.session.to_u32(), Relaxed);
        self.current.store(now.current.to_u32(), Relaxed);
        self.generation.set(now.generation);
    }

    fn forget(&self) {
        // no session has this login
        self.login.store(pg_sys::InvalidOid.to_u32(), Relaxed);
    }
}

thread_local! {
    static ANSWERS: RefCell<Answers> = const { RefCell::new(Answers { stamps: Vec::new(), free_login: None }) };
}

/// Roles or memberships changed somewhere: look again. Called by the cache invalidation callback; only sets a flag.
pub fn roles_changed() {
    DIRTY.store(true, Relaxed);
}

fn stamp() -> Stamp {
    // SAFETY: these read backend-local variables and cannot raise once a session is up.
    unsafe {
        Stamp {
            login: raw::raw_authenticated_user(),
            session: raw::raw_session_user(),
            current: raw::raw_current_user(),
            generation: shared::generation(),
        }
    }
}

fn known(now: &Stamp) -> Option<Who> {
    if DIRTY.load(Relaxed) {
        return None;
    }
    ANSWERS.with(|a| a.borrow().stamps.iter().find(|(s, _)| s == now).map(|(_, w)| w.clone()))
}

/// Whether the answer is known already and is "nobody's": the fast path of every hook. Never raises, reads no catalog.
pub fn known_other() -> bool {
    if DIRTY.load(Relaxed) {
        return false;
    }
    let now = stamp();
    OTHER.is(&now) || kept_as_other(&now)
}

/// The same by all answers that are kept.
#[cold]
#[inline(never)] // what it needs would be saved by each hook
fn kept_as_other(now: &Stamp) -> bool {
    let known = ANSWERS.with(|a| a.borrow().stamps.iter().any(|(s, w)| s == now && *w == Who::Other));
    if known {
        OTHER.keep(now);
    }
    known
}

/// Whose session this is, looked up when anything moved since the last time. Must run inside a transaction.
///
/// A session whose own login becomes a sub-processor's while it is open is ended (FATAL): cursors it opened before may
/// hold rows that no hook will see again.
pub fn who() -> Result<Who> {
    let now = stamp();
    if let Some(known) = known(&now) {
        return Ok(known);
    }
    // cleared first: an invalidation that arrives while we look must make us look again
    let was_dirty = DIRTY.swap(false, Relaxed);
    if was_dirty {
        // and so are the answers: an ERROR in the look-up passes by what follows, and must leave nothing to answer from
        ANSWERS.with(|a| a.borrow_mut().stamps.clear());
        OTHER.forget();
    }
    let (found, by_login) = match look_up(&now) {
        Ok(found) => found,
        Err(e) => {
            roles_changed();
            return Err(e);
        }
    };
    let turned = ANSWERS.with(|a| {
        let mut answers = a.borrow_mut();
        let newest = answers.stamps.first().map(|(s, _)| s.generation);
        if newest != Some(now.generation) || answers.stamps.len() >= KEPT {
            answers.stamps.clear();
            OTHER.forget();
        }
        answers.stamps.push((now, found.clone()));
        if !by_login {
            answers.free_login = Some(now.login);
        }
        by_login && answers.free_login == Some(now.login)
    });
    if turned {
        let error = Error::new(Kind::OutsideScope, "this login became a sub-processor's while its session was open")
            .hint("connect again");
        // SAFETY: FATAL ends the process from here; no frame is left to unwind.
        unsafe { crate::pg::error::report(pgrx::PgLogLevel::FATAL as i32, error) };
    }
    Ok(found)
}

/// The name of the session's sub-processor: `None` for other sessions, AL007 for a login under two.
pub fn subprocessor() -> Result<Option<Rc<str>>> {
    match who()? {
        Who::Other => Ok(None),
        Who::Subprocessor(name) => Ok(Some(name)),
        Who::Ambiguous(a, b) => Err(Error::new(
            Kind::OutsideScope,
            format!("this login falls under two sub-processors, \"{a}\" and \"{b}\""),
        )
        .hint("give each sub-processor a login of its own, and REVOKE one of the two roles from this one")),
    }
}

/// Whose it is, and whether by the login itself rather than by a role taken on later.
fn look_up(stamp: &Stamp) -> Result<(Who, bool)> {
    let mut found: Option<Rc<str>> = None;
    let mut by_login = false;
    for (role, name) in labelled_roles() {
        // GRANT acme TO a superuser must not lock him out: nothing contains a superuser, and somebody has to REVOKE it
        let member = |of: pg_sys::Oid| crate::pg::keys::is_member(of, role) && (of == role || !is_superuser(of));
        if ![stamp.login, stamp.session, stamp.current].into_iter().any(member) {
            continue;
        }
        by_login |= member(stamp.login);
        match &found {
            None => found = Some(name.into()),
            Some(first) => return Ok((Who::Ambiguous(first.clone(), name.into()), by_login)),
        }
    }
    Ok((found.map_or(Who::Other, Who::Subprocessor), by_login))
}

fn is_superuser(role: pg_sys::Oid) -> bool {
    // SAFETY: a cached syscache look-up.
    unsafe { pg_sys::superuser_arg(role) }
}

/// All roles that carry a sub-processor's label, with the name in it.
pub fn labelled_roles() -> Vec<(pg_sys::Oid, String)> {
    let mut roles = Vec::new();
    // SAFETY: a scan of the shared catalog pg_shseclabel under the catalog snapshot; an ERROR ends the transaction. The
    // snapshot is taken anew: the generation moves before a commit's invalidations are sent, and one from earlier in
    // this statement would not see the label that the new generation stands for.
    unsafe {
        pg_sys::InvalidateCatalogSnapshot();
        let relation = pg_sys::table_open(SHSECLABEL, pg_sys::AccessShareLock as i32);
        let scan = pg_sys::systable_beginscan(
            relation,
            pg_sys::InvalidOid,
            false,
            std::ptr::null_mut(),
            0,
            std::ptr::null_mut(),
        );
        let desc = (*relation).rd_att;
        loop {
            let tuple = pg_sys::systable_getnext(scan);
            if tuple.is_null() {
                break;
            }
            let mut values = [pg_sys::Datum::from(0); 4];
            let mut nulls = [true; 4];
            pg_sys::heap_deform_tuple(tuple, desc, values.as_mut_ptr(), nulls.as_mut_ptr());
            let text = |i: usize| String::from_datum(values[i], nulls[i]).unwrap_or_default();
            let class = pg_sys::Oid::from_datum(values[1], nulls[1]);
            if class != Some(pg_sys::AuthIdRelationId) || text(2).as_bytes() != PROVIDER.to_bytes() {
                continue;
            }
            if let (Some(role), Some(name)) =
                (pg_sys::Oid::from_datum(values[0], nulls[0]), text(3).strip_prefix(LABEL))
            {
                roles.push((role, name.to_string()));
            }
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
    }
    roles
}

/// Labels a role as the sub-processor's, or removes the label with `None`. The caller has checked every right.
pub fn set_label(role: pg_sys::Oid, name: Option<&str>) -> Result<()> {
    let label = name.map(|n| std::ffi::CString::new(format!("{LABEL}{n}"))).transpose();
    let label = label.map_err(|_| Error::new(Kind::InvalidArgument, "a name holds a zero byte"))?;
    let object = pg_sys::ObjectAddress { classId: pg_sys::AuthIdRelationId, objectId: role, objectSubId: 0 };
    // SAFETY: catalog update inside the caller's transaction; a NULL label deletes.
    unsafe {
        pg_sys::SetSecurityLabel(&object, PROVIDER.as_ptr(), label.as_ref().map_or(std::ptr::null(), |l| l.as_ptr()));
        pg_sys::CommandCounterIncrement();
    }
    shared::changed();
    Ok(())
}
