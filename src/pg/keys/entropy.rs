//! Nonces and new keys, from the operating system through a small pool that notices a fork.
//!
//! Never `rand`: it has no fork protection, and two backends that draw the same nonce under one key are the catastrophe
//! of GCM. The pool is a backend's own: it lies in pages that a fork leaves empty in the child (`memory`), and remembers
//! whose it is; marker gone or forked since → a new one. Nothing is drawn in the postmaster.

use super::memory::{lineage, Locked};
use crate::pure::error::{Error, Kind, Result};
use std::cell::RefCell;
use zeroize::Zeroize;

/// Bytes drawn from the operating system at once: a call per nonce costs several times the cipher.
const POOL: usize = 4096;

struct Pool {
    lineage: u64,
    next: usize,
    bytes: [u8; POOL],
}

impl Pool {
    /// For a process that has drawn nothing yet.
    fn empty(lineage: u64) -> Pool {
        Pool { lineage, next: POOL, bytes: [0; POOL] }
    }

    fn draw<const N: usize>(&mut self) -> Result<[u8; N]> {
        const { assert!(N <= POOL) };
        if self.next + N > POOL {
            getrandom::fill(&mut self.bytes)
                .map_err(|_| Error::new(Kind::State, "the operating system gives no random bytes"))?;
            self.next = 0;
        }
        let mut out = [0; N];
        let taken = &mut self.bytes[self.next..self.next + N];
        out.copy_from_slice(taken);
        taken.zeroize();
        self.next += N;
        Ok(out)
    }
}

thread_local! {
    static ENTROPY: RefCell<Option<Locked<Pool>>> = const { RefCell::new(None) };
}

/// `N` fresh random bytes; never the same bytes twice, not in a forked child either. 55000 when the operating system
/// has none to give.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    ENTROPY.with(|cell| {
        let mut cell = cell.borrow_mut();
        let lineage = lineage();
        if let Some(pool) = cell.as_mut().filter(|pool| Locked::alive(pool) && pool.lineage == lineage) {
            return pool.draw();
        }
        cell.insert(Locked::new(|| Ok(Pool::empty(lineage)))?).draw()
    })
}

/// A random positive number for the catalog: 1 … 2^31-1.
pub fn number() -> Result<i32> {
    loop {
        let n = i32::from_be_bytes(random::<4>()?) & i32::MAX;
        if n > 0 {
            return Ok(n);
        }
    }
}

/// A random version 4 UUID (RFC 9562).
pub fn uuid() -> Result<[u8; 16]> {
    let mut u = random::<16>()?;
    u[6] = (u[6] & 0x0F) | 0x40;
    u[8] = (u[8] & 0x3F) | 0x80;
    Ok(u)
}

#[cfg(test)]
mod tests {
    use super::super::memory::tests::in_child;
    use super::*;

    #[test]
    fn no_bytes_come_twice() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..10_000 {
            assert!(seen.insert(random::<24>().unwrap()));
        }
    }

    /// Whether three children and the parent, all forked from the same state, draw different bytes.
    fn differs(mut draw: impl FnMut() -> [u8; 24]) -> bool {
        draw(); // so that there is something to inherit
        let mut all: Vec<Vec<u8>> = (0..3).map(|_| in_child(|| draw().to_vec())).collect();
        all.push(draw().to_vec());
        assert!(all.iter().all(|bytes| bytes.len() == 24));
        all.iter().collect::<std::collections::HashSet<_>>().len() == all.len()
    }

    #[test]
    fn forked_children_draw_other_bytes_than_the_parent_and_each_other() {
        assert!(differs(|| random().unwrap()));
    }

    #[test]
    fn control_a_pool_without_fork_protection_is_caught() {
        let mut unprotected = Pool::empty(lineage());
        assert!(!differs(|| unprotected.draw().unwrap()));
    }

    #[test]
    fn either_protection_alone_suffices() {
        // the marker: a child whose other protection does not tell
        let mut pool = Locked::new(|| Ok(Pool::empty(0))).unwrap();
        assert!(differs(move || {
            if !Locked::alive(&pool) {
                pool = Locked::new(|| Ok(Pool::empty(0))).unwrap();
            }
            pool.draw().unwrap()
        }));
        // the count of forks: a kernel that cannot wipe
        let mut pool = Pool::empty(lineage());
        assert!(differs(move || {
            if pool.lineage != lineage() {
                pool = Pool::empty(lineage());
            }
            pool.draw().unwrap()
        }));
    }
}
