//! Key memory looked at from outside: what a forked child sees, and what /proc says of the pages.
#![allow(clippy::unwrap_used)] // reason: a test fails by panicking

use super::*;

/// What `work` gives in a forked child. The child runs nothing else.
pub fn in_child(work: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    use std::io::Read;
    use std::os::fd::FromRawFd;
    // SAFETY: the child writes to the pipe and ends without unwinding or running what the parent left for its exit.
    unsafe {
        let mut ends = [0; 2];
        assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
        let pid = libc::fork();
        assert!(pid >= 0);
        if pid == 0 {
            let bytes = work();
            libc::write(ends[1], bytes.as_ptr().cast(), bytes.len());
            libc::_exit(0);
        }
        libc::close(ends[1]);
        let mut bytes = Vec::new();
        std::fs::File::from_raw_fd(ends[0]).read_to_end(&mut bytes).unwrap();
        libc::waitpid(pid, std::ptr::null_mut(), 0);
        bytes
    }
}

/// The flags that /proc shows for the mapping that holds this address.
fn flags(address: usize) -> Vec<String> {
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut inside = false;
    for line in smaps.lines() {
        if let Some((range, _)) = line.split_once(' ').filter(|(r, _)| r.contains('-')) {
            let (from, to) = range.split_once('-').unwrap();
            let at = |text| usize::from_str_radix(text, 16).unwrap();
            inside = (at(from)..at(to)).contains(&address);
        } else if let Some(flags) = line.strip_prefix("VmFlags:").filter(|_| inside) {
            return flags.split_whitespace().map(String::from).collect();
        }
    }
    Vec::new()
}

#[test]
fn keys_lie_in_pages_that_are_locked_undumped_and_wiped_by_a_fork() {
    let key = Locked::new(|| Ok([7_u8; 32])).ok().unwrap();
    let flags = flags(std::ptr::from_ref(&*key) as usize);
    assert!(["dd", "wf"].iter().all(|f| flags.iter().any(|g| g == f)), "{flags:?}");
    // where locking is refused, that is known
    assert!(flags.iter().any(|f| f == "lo") || !facts().ok().unwrap().locked, "{flags:?}");
}

#[test]
fn a_child_finds_no_key() {
    let key = Locked::new(|| Ok([7_u8; 32])).ok().unwrap();
    let at = std::ptr::from_ref(&*key);
    let seen = in_child(|| {
        let mut seen = vec![u8::from(Locked::alive(&key))];
        // SAFETY: mapped in the child too.
        seen.extend_from_slice(unsafe { &*at });
        seen
    });
    assert_eq!(seen, [0; 33]);
    assert_eq!(*key, [7; 32], "the parent keeps it");
    // control: ordinary memory is inherited
    let ordinary = vec![7_u8; 32];
    assert_eq!(in_child(|| ordinary.clone()), ordinary);
}

#[test]
fn a_child_has_pages_of_its_own() {
    let _parent = Locked::new(|| Ok([7_u8; 32])).ok().unwrap();
    let seen = in_child(|| Locked::new(|| Ok([8_u8; 32])).map_or(Vec::new(), |own| own.to_vec()));
    assert_eq!(seen, [8; 32]);
}

#[test]
fn the_end_of_a_process_wipes_its_keys() {
    let seen = in_child(|| {
        let Ok(key) = Locked::new(|| Ok([7_u8; 32])) else { return Vec::new() };
        let at = std::ptr::from_ref(&*key);
        wipe();
        let mut seen = vec![u8::from(Locked::alive(&key))];
        // SAFETY: the page stays mapped.
        seen.extend_from_slice(unsafe { &at.read_volatile() });
        // what is dropped afterwards, as thread-local values are, is not touched
        drop(key);
        seen
    });
    assert_eq!(seen, [0; 33]);
}

#[test]
fn a_place_is_wiped_when_it_is_let_go_and_used_again() {
    struct Loud<'a>(&'a std::cell::Cell<u32>, [u8; 40]);
    impl Drop for Loud<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let drops = std::cell::Cell::new(0);
    let first = Locked::new(|| Ok(Loud(&drops, [7; 40]))).ok().unwrap();
    let at = std::ptr::from_ref(&first.1);
    drop(first);
    assert_eq!(drops.get(), 1);
    // SAFETY: the page stays mapped.
    assert_eq!(unsafe { at.read_volatile() }, [0; 40]);
    let second = Locked::new(|| Ok(Loud(&drops, [8; 40]))).ok().unwrap();
    assert_eq!(std::ptr::from_ref(&second.1), at);
    let failed = Locked::<Loud<'_>>::new(|| Err(Error::new(Kind::Locked, "no")));
    assert!(failed.is_err_and(|e| e.kind == Kind::Locked));
}

#[test]
fn more_keys_than_a_chunk_holds_keep_their_values() {
    let keys: Vec<_> = (0..100_u8).map(|n| Locked::new(|| Ok([n; 1000])).ok().unwrap()).collect();
    assert!(keys.iter().enumerate().all(|(n, key)| **key == [n as u8; 1000]));
    assert!(Locked::new(|| Ok([0_u8; CHUNK])).is_err(), "a value too large for a chunk is refused");
}
