//! What `keyferry exec` costs beside a command that is started directly, with 10 secrets at 0 ms a request: wall time and CPU
//! time to the end of `/bin/true`, in turn, minimum and median; and what stays resident beside a command that runs.
//!
//! `cargo bench --bench exec`; after `just static` of the static build.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "this is a benchmark")]
#![expect(clippy::disallowed_methods, reason = "a benchmark asks for the time and reads /proc")]

#[path = "sidecar/mod.rs"]
mod sidecar;

use std::fs;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use rustix::process::{Pid, Signal, kill_process};
use sidecar::Sidecar;

const SECRETS: usize = 10;
const RUNS: usize = 51;

fn main() {
    println!("{}", sidecar::binary().display());
    let socket = format!("/dev/shm/keyferry-bench-{}.sock", std::process::id());
    let variables: Vec<String> = (0..SECRETS).map(|number| format!("V{number}: {{secret: s{number}}}")).collect();
    let env = format!("env: {{{}}}", variables.join(", "));
    let rest = format!("serve: {{socket: {{path: {socket}}}}}\n{env}\nrefresh: {{interval: 15m}}");
    let sidecar = Sidecar::start(SECRETS, Duration::ZERO, &rest);
    let from = format!("unix:{socket}");
    let exec = |options: &[&str], command: &[&str]| {
        let mut exec = sidecar.pod.keyferry("exec");
        exec.args(options).arg("--").args(command);
        if options.contains(&"--from") {
            // The application's container has no identity and no configuration.
            exec.env_clear();
        }
        exec
    };
    let contestants: [(&str, &[&str]); 4] =
        [("directly", &[]), ("exec", &[]), ("exec --once", &["--once"]), ("exec --from", &["--from", &from])];
    let mut results = vec![Vec::new(); contestants.len()];
    for _ in 0..RUNS {
        for ((name, options), results) in contestants.iter().zip(&mut results) {
            let mut command =
                if *name == "directly" { Command::new("/bin/true") } else { exec(options, &["/bin/true"]) };
            let (cpu, begun) = (children(), Instant::now());
            assert!(command.stdin(Stdio::null()).status().unwrap().success());
            results.push((begun.elapsed(), children().saturating_sub(cpu)));
        }
    }
    sidecar.emulator.clear_log();
    assert!(exec(&[], &["/bin/true"]).status().unwrap().success());
    let requests = sidecar.emulator.requests().len();
    println!("{SECRETS} secrets at 0 ms a request ({requests} requests), {RUNS} runs each, in turn: minimum / median");
    for ((name, _), results) in contestants.iter().zip(&mut results) {
        let mut of = |part: fn(&(Duration, Duration)) -> Duration| {
            results.sort_by_key(part);
            format!("{:.1} / {:.1} ms", millis(part(&results[0])), millis(part(&results[RUNS / 2])))
        };
        println!("{name:12} wall {}, CPU {}", of(|one| one.0), of(|one| one.1));
    }
    for options in [&[][..], &["--on-change", "restart"], &["--on-change", "restart", "--from", &from]] {
        let mut command = exec(options, &["/bin/sh", "-c", "echo; exec sleep 1000"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        // Once the command says something, keyferry has nothing more to do.
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        std::thread::sleep(Duration::from_secs(2));
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().trim();
        println!("resident beside a command, exec {}: {rss}", options.join(" "));
        kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), Signal::TERM).unwrap();
        child.wait().unwrap();
    }
    drop(fs::remove_file(socket));
}

/// The CPU time of all children that have ended.
fn children() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let micros = |time: nix::sys::time::TimeVal| u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap();
    Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
