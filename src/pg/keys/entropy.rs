//! Nonces and new keys, from the operating system through a small pool that notices a fork.
//!
//! Never `rand`: it has no fork protection, and two backends that draw the same nonce under one key are the catastrophe
//! of GCM. The pool is a backend's own: it is filled after the fork, and refilled when the process id has changed.

use crate::pure::error::{Error, Kind, Result};
use std::cell::RefCell;
use zeroize::Zeroize;

/// Bytes drawn from the operating system at once: a call per nonce costs several times the cipher.
const POOL: usize = 4096;

struct Pool {
    pid: u32,
    next: usize,
    bytes: [u8; POOL],
}

thread_local! {
    static ENTROPY: RefCell<Pool> = const { RefCell::new(Pool { pid: 0, next: POOL, bytes: [0; POOL] }) };
}

/// `N` fresh random bytes; never the same bytes twice, not in a forked child either. 55000 when the operating system
/// has none to give.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    ENTROPY.with(|cell| {
        let pool = &mut *cell.borrow_mut();
        let pid = std::process::id();
        if pool.pid != pid || pool.next + N > POOL {
            getrandom::fill(&mut pool.bytes)
                .map_err(|_| Error::new(Kind::State, "the operating system gives no random bytes"))?;
            pool.pid = pid;
            pool.next = 0;
        }
        let mut out = [0; N];
        let taken = &mut pool.bytes[pool.next..pool.next + N];
        out.copy_from_slice(taken);
        taken.zeroize();
        pool.next += N;
        Ok(out)
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
    use super::*;

    #[test]
    fn no_bytes_come_twice() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..10_000 {
            assert!(seen.insert(random::<24>().unwrap()));
        }
    }
}
