//! An idle sidecar: `keyferry run` with 100 unchanged secrets and `refresh.interval: 15m`, for 60 seconds in which nothing is
//! due. Prints how often it woke up, the CPU time it took and its memory, as the kernel accounts them in /proc.
//!
//! `cargo bench --bench idle`; after `just static` of the static build. Private dirty memory needs root to be read.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "this is a benchmark")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads /proc")]

#[path = "sidecar/mod.rs"]
mod sidecar;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use sidecar::Sidecar;

const SECRETS: usize = 100;
const IDLE: Duration = Duration::from_mins(1);

/// Of all threads together.
#[derive(Debug, Clone, Copy)]
struct Used {
    threads: usize,
    switches: u64,
    cpu: Duration,
}

fn main() {
    println!("{}", sidecar::binary().display());
    let sidecar = Sidecar::start(SECRETS, Duration::ZERO, "refresh: {interval: 15m}");
    // What the start leaves behind, connections and the like, is gone by then.
    std::thread::sleep(Duration::from_secs(10));
    let proc = PathBuf::from(format!("/proc/{}", sidecar.child.id()));
    let (before, after) = loop {
        let (before, requests) = (used(&proc), sidecar.emulator.requests().len());
        std::thread::sleep(IDLE);
        let after = used(&proc);
        if sidecar.emulator.requests().len() == requests {
            break (before, after);
        }
        println!("its slot fell into this minute: once more");
    };
    println!(
        "{SECRETS} secrets, {} s with nothing due: {} voluntary context switches, {:.3} ms CPU, {} threads, {} KiB RSS, \
         {} KiB private dirty",
        IDLE.as_secs(),
        after.switches - before.switches,
        after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e3,
        after.threads,
        field(&fs::read_to_string(proc.join("status")).unwrap(), "VmRSS:").unwrap(),
        fs::read_to_string(proc.join("smaps_rollup"))
            .ok()
            .and_then(|text| field(&text, "Private_Dirty:"))
            .map_or_else(|| "unknown".to_owned(), |kib| kib.to_string()),
    );
}

fn used(proc: &std::path::Path) -> Used {
    let mut used = Used { threads: 0, switches: 0, cpu: Duration::ZERO };
    for task in fs::read_dir(proc.join("task")).unwrap().map(|task| task.unwrap().path()) {
        let status = fs::read_to_string(task.join("status")).unwrap();
        let nanos = fs::read_to_string(task.join("schedstat")).unwrap();
        used.threads += 1;
        used.switches += field(&status, "voluntary_ctxt_switches:").unwrap();
        used.cpu += Duration::from_nanos(nanos.split_whitespace().next().unwrap().parse().unwrap());
    }
    used
}

/// The number after a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}
