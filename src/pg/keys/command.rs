//! Runs the command of a root key source inside a backend: a shell in a process group of its own, a limit of time and of
//! output, and an end of it all when the query is cancelled or the backend ends.
//!
//! A backend leaves SIGCHLD at its default, so the child can be waited for by id, as `system()` does. Its error output
//! goes nowhere: nobody knows what a failing key tool prints.
#![allow(unsafe_code)] // ◆ fork, signals, the latch

use super::memory::{self, Locked};
use pgrx::pg_sys;
use std::ffi::c_int;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};
use std::time::{Duration, Instant};
use zeroize::Zeroize;

/// Most bytes that a source may hold: 32 bytes as hex or base64, with some white space.
pub const MOST: usize = 1024;

/// How often a child that has closed its output is looked after.
const PAUSE: Duration = Duration::from_millis(20);

/// What a source holds, in locked memory.
pub struct Text {
    bytes: [u8; MOST + 1],
    len: usize,
}

impl Text {
    /// Nothing yet.
    pub fn empty() -> Text {
        Text { bytes: [0; MOST + 1], len: 0 }
    }

    /// What was read; more than [`MOST`] bytes when there is too much.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Room for what is still to be read, up to one byte too many.
    fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.len..]
    }

    /// Reads once; how many bytes came.
    pub fn read_from(&mut self, from: &mut impl Read) -> std::io::Result<usize> {
        let read = from.read(self.room())?;
        self.len += read;
        Ok(read)
    }

    /// Takes a copy, cut one byte behind what is allowed.
    pub fn copy(&mut self, bytes: &[u8]) {
        let len = bytes.len().min(MOST + 1);
        self.bytes[..len].copy_from_slice(&bytes[..len]);
        self.len = len;
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// Why a command gave no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It could not be started.
    Start,
    /// It ended with this status.
    Exit(u8),
    /// A signal ended it.
    Signal(u8),
    /// It did not end in time.
    TooLong,
    /// It printed more than a key can be.
    TooMuch,
    /// What it printed is no key.
    NotAKey,
    /// The query was cancelled, or the session ended, while it ran.
    Stopped,
}

/// A child that is not reaped yet; dropped, it and its process group are killed.
struct Running(Child);

/// The process group to be killed should this process end by FATAL, which drops nothing; 0 for none.
static GROUP: AtomicI32 = AtomicI32::new(0);

impl Drop for Running {
    fn drop(&mut self) {
        if GROUP.swap(0, SeqCst) != 0 {
            kill(self.0.id() as i32);
            let _ = self.0.wait();
        }
    }
}

fn kill(group: i32) {
    // SAFETY: the group of our own child, which is not reaped yet, so its id is nobody else's.
    unsafe { libc::kill(-group, libc::SIGKILL) };
}

/// Whether a command can be run and waited for at this moment: not in a critical section, nor when the process ends.
pub fn possible() -> bool {
    // SAFETY: variables of this process.
    unsafe { pg_sys::CritSectionCount == 0 && !pg_sys::proc_exit_inprogress && !pg_sys::MyLatch.is_null() }
}

/// Runs `line` by the shell, with `input` as its standard input, and gives what it printed.
///
/// # Errors
/// Why there is none. After [`Failure::Stopped`] the caller checks for interrupts.
pub fn run(line: &str, input: Option<File>, limit: Duration) -> Result<Locked<Text>, Failure> {
    let deadline = Instant::now() + limit;
    let mut text = Locked::new(|| Ok(Text::empty())).map_err(|_| Failure::Start)?;
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(line).process_group(0);
    command.stdin(input.map_or_else(Stdio::null, Stdio::from)).stdout(Stdio::piped()).stderr(Stdio::null());
    // SAFETY: system calls only, in the child, before it becomes the shell.
    unsafe { command.pre_exec(bare) };
    let mut child = command.spawn().map_err(|_| Failure::Start)?;
    let output = child.stdout.take();
    GROUP.store(child.id() as i32, SeqCst);
    let mut running = Running(child);
    let mut output = output.ok_or(Failure::Start)?;
    let descriptor = output.as_raw_fd();
    // SAFETY: a pipe end of ours.
    unsafe { libc::fcntl(descriptor, libc::F_SETFL, libc::O_NONBLOCK) };
    loop {
        match text.read_from(&mut output) {
            Ok(0) => break,
            Ok(_) if text.bytes().len() > MOST => return Err(Failure::TooMuch),
            Ok(_) => continue,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => return Err(Failure::Start),
        }
        wait(Some(descriptor), left(deadline)?)?;
    }
    let status = loop {
        match running.0.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => wait(None, left(deadline)?.min(PAUSE))?,
            Err(_) => return Err(Failure::Start),
        }
    };
    GROUP.store(0, SeqCst);
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(text),
        (Some(code), _) => Err(Failure::Exit(code as u8)),
        (None, signal) => Err(Failure::Signal(signal.unwrap_or(0) as u8)),
    }
}

fn left(deadline: Instant) -> Result<Duration, Failure> {
    deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()).ok_or(Failure::TooLong)
}

/// In the child: nothing of the backend's files and sockets goes along, nor the signals it ignores, and a key tool that
/// crashes leaves no core.
fn bare() -> std::io::Result<()> {
    // SAFETY: system calls that a child may make before exec.
    unsafe {
        for signal in 1..32 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::setrlimit(libc::RLIMIT_CORE, &none);
        #[cfg(target_os = "linux")]
        if libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) == 0 {
            return Ok(());
        }
        // a kernel before 5.11
        let mut files = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut files);
        for descriptor in 3..files.rlim_cur.min(1 << 20) as c_int {
            libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC);
        }
    }
    Ok(())
}

/// Waits until there is something to read, or for the time; sees to interrupts.
///
/// # Errors
/// [`Failure::Stopped`] when the query is to be cancelled or the backend to end. Other interrupts raise by themselves.
pub fn wait(descriptor: Option<RawFd>, time: Duration) -> Result<(), Failure> {
    let readable = descriptor.map_or(0, |_| pg_sys::WL_SOCKET_READABLE);
    let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH | readable;
    let milliseconds = i64::try_from(time.as_millis()).unwrap_or(i64::MAX).clamp(1, 60_000);
    // SAFETY: this process's latch; flags that signal handlers set. pgrx guards the calls: an ERROR unwinds, so that
    // a child is killed on the way.
    unsafe {
        pg_sys::WaitLatchOrSocket(
            pg_sys::MyLatch,
            events as c_int,
            descriptor.unwrap_or(pg_sys::PGINVALID_SOCKET as RawFd),
            milliseconds,
            pg_sys::PG_WAIT_EXTENSION,
        );
        pg_sys::ResetLatch(pg_sys::MyLatch);
        let set = |flag: *const c_int| flag.read_volatile() != 0;
        if set(&raw const pg_sys::QueryCancelPending) || set(&raw const pg_sys::ProcDiePending) {
            return Err(Failure::Stopped);
        }
        if set(&raw const pg_sys::InterruptPending) {
            pg_sys::ProcessInterrupts();
        }
    }
    Ok(())
}

/// Sees to it that this process's keys are wiped, and its command killed, when it ends. Once per process.
pub fn at_exit() {
    // SAFETY: the callback does not raise.
    unsafe { pg_sys::on_proc_exit(Some(ended), pg_sys::Datum::from(0)) };
}

/// The process ends; by FATAL nothing was dropped.
unsafe extern "C-unwind" fn ended(_: c_int, _: pg_sys::Datum) {
    let group = GROUP.swap(0, SeqCst);
    if group != 0 {
        kill(group);
    }
    super::turns::abandon();
    memory::wipe();
}
