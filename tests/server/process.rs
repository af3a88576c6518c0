//! Processes by id: signals, families, waiting for a condition, running a program to its end.

use std::fs;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// How long a condition is waited for before the test is given up; never what a test measures.
const PATIENCE: Duration = Duration::from_secs(90);

/// Sends a signal to processes by id.
pub fn signal(name: &str, pids: &[u32]) {
    let list: Vec<String> = pids.iter().map(u32::to_string).collect();
    // the shell's own kill: the program of that name is not on every machine
    let status = Command::new("sh").args(["-c", "kill -s \"$@\" 2>/dev/null", "sh", name]).args(list).status();
    status.expect("run kill");
}

/// State letter and parent of a process.
pub fn process(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut rest = stat.rsplit_once(") ")?.1.split(' ');
    Some((rest.next()?.chars().next()?, rest.next()?.parse().ok()?))
}

/// Its children.
pub fn children(parent: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|e| e.file_name().to_string_lossy().parse::<u32>().ok());
    pids.filter(|pid| process(*pid).is_some_and(|(_, ppid)| ppid == parent)).collect()
}

/// `kill -9` of a postmaster and all its children at once; back when none of them runs any more.
pub fn kill_family(postmaster: u32) {
    // stopped first, so that no child is born while we count them
    signal("STOP", &[postmaster]);
    let mut family = children(postmaster);
    family.push(postmaster);
    signal("KILL", &family);
    let alive = |pid: &u32| process(*pid).is_some_and(|(state, _)| state != 'Z');
    eventually("killed processes are gone", || (!family.iter().any(alive)).then_some(()));
}

/// Polls until the condition gives something.
#[track_caller]
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(15));
    }
}

/// The output of a program that must succeed.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let output = command.output().expect("start a program");
    assert!(output.status.success(), "{command:?} failed:\n{}", both(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a program printed, both ways.
pub fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
