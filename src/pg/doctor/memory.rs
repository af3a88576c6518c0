//! How key memory is kept: locked, out of core dumps, and what of it this server refuses.

use super::Report;
use crate::pg::keys::memory;
use crate::pg::shared;
use crate::pure::error::Result;

pub(super) fn examine(report: &mut Report) -> Result<()> {
    if !shared::preloaded() {
        return Ok(());
    }
    let facts = memory::facts()?;
    if !facts.locked {
        let most = facts.may_lock.map_or("any amount".into(), |bytes| format!("{} kB", bytes / 1024));
        let risk = match swap() {
            true => "swap is on, so keys can be written to disk",
            false => "swap is off, but keys are written to disk once it is on",
        };
        report.warning(
            "key memory",
            "RLIMIT_MEMLOCK",
            format!("keys cannot be locked in memory: a process may lock {most}; {risk}"),
            "LimitMEMLOCK=64M in the [Service] section of the server's systemd unit (elsewhere: ulimit -l 65536 before it starts), then restart the server",
        );
    }
    if !facts.undumped {
        report.warning(
            "key memory",
            "core dumps",
            "keys cannot be left out of core dumps on this operating system",
            "start the server without core dumps: LimitCORE=0 in its systemd unit, or ulimit -c 0",
        );
    } else if facts.dumps {
        report.info(
            "key memory",
            "RLIMIT_CORE",
            "a crash may leave a core dump: keys are left out of it, decrypted values and statements are not",
            "LimitCORE=0 in the server's systemd unit, or ulimit -c 0 before it starts, if nobody needs core dumps",
        );
    }
    Ok(())
}

/// Whether anything can be swapped out on this machine.
fn swap() -> bool {
    std::fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() > 1)
}
