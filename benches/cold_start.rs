//! Cold start, measured: `keyferry init` of the static build beside a minimal hand-written fetcher (`floor.rs`), in
//! turn, against the embedded emulator at 20 ms a request. Prints minimum and median of wall time, CPU time and peak
//! memory, as the kernel accounts them for each finished process. `just bench` builds both and runs this.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "this is a benchmark")]
#![expect(clippy::disallowed_methods, reason = "a benchmark asks for the time")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use keyferry_emulator::{Assertion, DEFAULT_CLIENT, DEFAULT_TENANT, Emulator, Service, Settings};
use nix::sys::resource::{UsageWho, getrusage};

const RUNS: usize = 21;
const TARGET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/x86_64-unknown-linux-musl/release");

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--measure") {
        return measure(&arguments[at + 1..]);
    }
    let keyferry = Path::new(TARGET).join("keyferry");
    println!("keyferry, static: {} bytes", fs::metadata(&keyferry).unwrap().len());
    for (secrets, latency) in [(100, 20), (100, 0), (1000, 20)] {
        compare(secrets, Duration::from_millis(latency));
    }
}

fn compare(secrets: usize, latency: Duration) {
    let root = PathBuf::from(format!("/dev/shm/keyferry-bench-{}", std::process::id()));
    fs::create_dir(&root).unwrap();
    let emulator = Emulator::start(Settings { latency, ..Settings::default() }).unwrap();
    fs::write(root.join("ca.pem"), emulator.ca_pem()).unwrap();
    fs::write(root.join("token"), emulator.federated_token(&Assertion::default())).unwrap();
    let mut config = format!(
        "cloud: {{vaultSuffix: vault.localhost}}\ntls: {{caFile: {0}/ca.pem}}\nvaults: {{demo: {{url: \"{1}\"}}}}\n\
         files: {{dir: {0}/out}}\nsecrets:\n",
        root.display(),
        emulator.vault_url("demo")
    );
    for number in 0..secrets {
        emulator.put_secret("demo", &format!("s{number}"), &"x".repeat(200));
        writeln!(config, "  s{number}: keyvault:demo/secrets/s{number}").unwrap();
    }
    let environment = [
        ("AZURE_CLIENT_ID", DEFAULT_CLIENT.to_owned()),
        ("AZURE_TENANT_ID", DEFAULT_TENANT.to_owned()),
        ("AZURE_FEDERATED_TOKEN_FILE", root.join("token").display().to_string()),
        ("AZURE_AUTHORITY_HOST", emulator.authority()),
        ("KEYFERRY_ALLOW_CUSTOM_CLOUD", "1".to_owned()),
        ("KEYFERRY_CONFIG_YAML", config),
        ("FLOOR_VAULT", emulator.vault_url("demo")),
        ("FLOOR_SECRETS", secrets.to_string()),
        ("FLOOR_OUT", root.join("floor").display().to_string()),
        ("FLOOR_CA", root.join("ca.pem").display().to_string()),
    ];
    println!("\n{secrets} secrets at {} ms a request, {RUNS} runs each, in turn", latency.as_millis());
    let contestants = [
        ("keyferry init", format!("{TARGET}/keyferry"), vec!["init", "--log-level", "warn"]),
        ("hand-written", format!("{TARGET}/examples/floor"), vec![]),
    ];
    let mut results = [Vec::new(), Vec::new()];
    let mut requests = [0, 0];
    for run in 0..=RUNS {
        for (number, (_, binary, arguments)) in contestants.iter().enumerate() {
            for out in ["out", "floor"] {
                drop(fs::remove_dir_all(root.join(out)));
            }
            emulator.clear_log();
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.arg("--measure").arg(binary).args(arguments).env_clear().envs(environment.iter().cloned());
            let output = command.stderr(Stdio::inherit()).output().unwrap();
            assert!(output.status.success());
            requests[number] = emulator.requests().len();
            let figures: Vec<f64> = String::from_utf8(output.stdout)
                .unwrap()
                .split_whitespace()
                .map(|figure| figure.parse().unwrap())
                .collect();
            // The first of each warms up.
            if run > 0 {
                results[number].push(figures);
            }
        }
    }
    println!(
        "{:<14} {:>20} {:>20} {:>18} {:>9}",
        "", "wall ms (min, med)", "cpu ms (min, med)", "peak KiB (med)", "requests"
    );
    for (number, (name, ..)) in contestants.iter().enumerate() {
        let column = |which: usize| {
            let mut values: Vec<f64> = results[number].iter().map(|figures| figures[which]).collect();
            values.sort_by(f64::total_cmp);
            (values[0], values[values.len() / 2])
        };
        let ((wall, wall_median), (cpu, cpu_median), (_, peak)) = (column(0), column(1), column(2));
        println!(
            "{name:<14} {wall:>10.1}{wall_median:>10.1} {cpu:>10.1}{cpu_median:>10.1} {peak:>18.0} {:>9}",
            requests[number]
        );
    }
    println!("connections to the vault in all: {}", emulator.connections(Service::Vault));
    fs::remove_dir_all(&root).unwrap();
}

/// Runs one command and prints its wall time and CPU time in milliseconds and its peak memory in KiB.
fn measure(command: &[String]) {
    let begun = Instant::now();
    let status = Command::new(&command[0]).args(&command[1..]).stdout(Stdio::null()).status().unwrap();
    let wall = begun.elapsed().as_secs_f64() * 1e3;
    assert!(status.success(), "{status}");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let millis = |time: nix::sys::time::TimeVal| {
        let seconds = i32::try_from(time.tv_sec()).unwrap();
        f64::from(seconds) * 1e3 + f64::from(i32::try_from(time.tv_usec()).unwrap()) / 1e3
    };
    println!("{wall} {} {}", millis(usage.user_time()) + millis(usage.system_time()), usage.max_rss());
}
