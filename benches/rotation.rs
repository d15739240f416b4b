//! From the moment a secret rotates to the moment its new bytes can be read: `keyferry run` with `refresh.interval: 1s` and
//! `settle: 0s` against the embedded emulator at 20 ms a request. At most the interval and one fetch, wherever in the interval
//! the rotation falls; where the vault's list is read first, one more request.
//!
//! `cargo bench --bench rotation`; about four minutes.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "this is a benchmark")]
#![expect(clippy::disallowed_methods, reason = "a benchmark asks for the time")]

#[path = "sidecar/mod.rs"]
mod sidecar;

use std::fs;
use std::time::{Duration, Instant};

use sidecar::Sidecar;

const ROTATIONS: u32 = 100;
const LATENCY: Duration = Duration::from_millis(20);

fn main() {
    for secrets in [1, 10] {
        measure(secrets);
    }
}

fn measure(secrets: usize) {
    let sidecar = Sidecar::start(secrets, LATENCY, "refresh: {interval: 1s, settle: 0s}");
    let file = sidecar.out().join("s0");
    let mut took: Vec<Duration> = (1..=ROTATIONS)
        .map(|round| {
            // Anywhere in the interval: the golden ratio spreads them evenly.
            std::thread::sleep(Duration::from_secs(1).mul_f64(f64::from(round) * 0.618_034 % 1.0));
            let value = format!("value {round}");
            sidecar.emulator.put_secret("demo", "s0", &value);
            let begun = Instant::now();
            while fs::read_to_string(&file).unwrap() != value {
                assert!(begun.elapsed() < Duration::from_mins(1), "it never came");
                std::thread::sleep(Duration::from_micros(500));
            }
            begun.elapsed()
        })
        .collect();
    took.sort_unstable();
    let millis = |at: usize| took[at].as_secs_f64() * 1e3;
    println!(
        "{ROTATIONS} rotations of one of {secrets}: min {:.0} ms, median {:.0} ms, p99 {:.0} ms, max {:.0} ms",
        millis(0),
        millis(49),
        millis(98),
        millis(99)
    );
}
