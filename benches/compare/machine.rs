//! What the figures were measured on, and how often its disk flushes.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Processor, cores, memory, kernel, as a list.
pub fn described() -> String {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|l| l.starts_with(name)).and_then(|l| l.split_once(':'));
        line.map_or_else(|| "unknown".into(), |(_, value)| value.trim().to_string())
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let memory = field("/proc/meminfo", "MemTotal").split(' ').next().and_then(|kb| kb.parse::<u64>().ok());
    format!(
        "- processor: {}, {cores} cores\n- memory: {} GB\n- kernel: {}",
        field("/proc/cpuinfo", "model name"),
        memory.unwrap_or_default().div_ceil(1 << 20),
        fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
    )
}

/// How busy the machine is before the bench begins: figures of a busy one say less.
pub fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_string()
}

/// Today.
pub fn date() -> String {
    let output = Command::new("date").arg("+%Y-%m-%d").output().expect("date");
    String::from_utf8_lossy(&output.stdout).trim().to_string()
}

/// Flushes per second in a directory: one page written in place and fdatasync, as a commit does.
pub fn flushes_per_second(directory: &Path, time: Duration) -> f64 {
    let path = directory.join("flushes");
    let file = File::create(&path).expect("create a file");
    // the space is there before, as in a WAL file
    file.write_all_at(&vec![0; 1 << 20], 0).and_then(|()| file.sync_all()).expect("write a file");
    let (page, start, mut flushes) = ([1; 8192], Instant::now(), 0_u64);
    while start.elapsed() < time {
        file.write_all_at(&page, flushes % 128 * 8192).and_then(|()| file.sync_data()).expect("flush a file");
        flushes += 1;
    }
    let rate = flushes as f64 / start.elapsed().as_secs_f64();
    let _ = fs::remove_file(path);
    rate
}
