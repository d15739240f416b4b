//! A fleet of 10,000 pods with 20 secrets each, in simulated time, against one vault of these 20 with Azure's limit: how many
//! requests come in each 10 seconds, and how long it takes until everybody has everything.
//!
//! `just fleet`, or `cargo bench --bench fleet`. A line for each scenario; the curves are written to `target/fleet/`, as a
//! table and as a picture.
#![expect(clippy::print_stdout, clippy::expect_used, reason = "this is a benchmark")]
#![expect(clippy::disallowed_methods, reason = "a benchmark writes files and needs some instant to begin at")]
#![expect(unreachable_pub, reason = "the simulation is shared with a test")]

#[path = "fleet/drawing.rs"]
mod drawing;
#[path = "fleet/simulation.rs"]
mod simulation;
#[path = "fleet/vault.rs"]
mod vault;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use simulation::{Count, Fleet, INTERVAL, Size};
use vault::{Counting, Vault, WINDOW};

const PODS: usize = 10_000;
const SECRETS: usize = 20;
/// Azure's, in a window.
const LIMIT: usize = 4_000;
const OUTAGE: Duration = Duration::from_mins(10);
/// Whoever is not whole by then is given up.
const AT_MOST: Duration = Duration::from_mins(30);

/// The ways in which the limit may be counted, and whether a refusal says when to come again.
const VAULTS: [(&str, Counting, bool); 5] = [
    ("windows", Counting::Windows, false),
    ("windows-retry-after", Counting::Windows, true),
    ("sliding", Counting::Sliding, false),
    ("sliding-retry-after", Counting::Sliding, true),
    ("sliding-refused-count", Counting::SlidingWithRefused, false),
];

fn main() {
    println!("{PODS} pods, {SECRETS} secrets each, {LIMIT} requests in 10 s at most, looked at every 15 minutes\n");
    println!(
        "{:<32} {:>8} {:>8} {:>8} {:>10} {:>12} {:>9} {:>9} {:>7}",
        "", "answered", "refused", "down", "of it 429", "highest 10 s", "mean 10 s", "whole in", "allowed"
    );
    let ways = [("list", true), ("gets", false)];
    for (way, list) in ways {
        steady(way, list);
    }
    for (way, list) in ways {
        for (name, counting, tells_when) in VAULTS {
            let vault = || Vault::new(LIMIT, counting, tells_when);
            cold_start(&format!("cold-start-{way}-{name}"), list, vault());
            outage(&format!("outage-{way}-{name}"), list, vault());
        }
    }
    println!("\ncurves: {}", dir().display());
}

fn size(list: bool) -> Size {
    Size { pods: PODS, secrets: SECRETS, in_vault: 20, list }
}

fn steady(way: &str, list: bool) {
    let mut fleet = Fleet::start_whole(size(list), Vault::new(LIMIT, Counting::Sliding, false), Instant::now());
    fleet.pass(INTERVAL * 4);
    report(&format!("steady-{way}"), since(&fleet, INTERVAL * 2), "", "");
}

fn cold_start(name: &str, list: bool, vault: Vault) {
    let mut fleet = Fleet::start(size(list), vault, Instant::now());
    let took = fleet.pass_until_whole(AT_MOST);
    // With GETs alone whoever is whole comes again at its slot, long before the last has come for the first time.
    let whole = seconds(SECRETS * PODS) / INTERVAL.as_secs_f64();
    let allowed = if list { seconds(SECRETS * PODS) } else { -INTERVAL.as_secs_f64() * (1.0 - whole).ln() };
    report(name, &fleet.curve, &shown(took), &format!("{allowed:.0} s"));
}

fn outage(name: &str, list: bool, vault: Vault) {
    let mut fleet = Fleet::start_whole(size(list), vault, Instant::now());
    let back = INTERVAL * 2 + OUTAGE;
    fleet.vault.fail_until(back);
    fleet.pass(back);
    let lacking = fleet.lacks_what_is_due();
    let took = fleet.pass_until_whole(back + AT_MOST).map(|at| at.saturating_sub(back));
    // With GETs alone all the others go on to come at their slots.
    let others = if list { 0.0 } else { seconds(SECRETS * PODS) / INTERVAL.as_secs_f64() };
    report(name, since(&fleet, INTERVAL * 2), &shown(took), &format!("{:.0} s", seconds(lacking) / (1.0 - others)));
}

/// How long the vault takes for so many requests.
fn seconds(requests: usize) -> f64 {
    let number = |count: usize| f64::from(u32::try_from(count).expect("not so many"));
    number(requests) / number(LIMIT) * WINDOW.as_secs_f64()
}

fn shown(took: Option<Duration>) -> String {
    took.map_or_else(|| "> 1800 s".to_owned(), |took| format!("{:.0} s", took.as_secs_f64()))
}

fn since(fleet: &Fleet, begin: Duration) -> &[Count] {
    let window = usize::try_from(begin.as_millis() / WINDOW.as_millis()).expect("a short time");
    fleet.curve.get(window..).unwrap_or_default()
}

fn report(name: &str, curve: &[Count], whole: &str, allowed: &str) {
    let sum = |of: fn(&Count) -> usize| curve.iter().map(of).sum::<usize>();
    let (answered, refused, failed) = (sum(|it| it.answered), sum(|it| it.refused), sum(|it| it.failed));
    let highest = curve.iter().map(Count::sent).max().unwrap_or_default();
    let share = refused * 100 / (answered + refused).max(1);
    let mean = (answered + refused + failed) / curve.len().max(1);
    println!(
        "{name:<32} {answered:>8} {refused:>8} {failed:>8} {share:>8} % {highest:>12} {mean:>9} {whole:>9} {allowed:>7}"
    );
    let mut table = "seconds\tanswered\trefused\tdown\n".to_owned();
    for (window, Count { answered, refused, failed }) in curve.iter().enumerate() {
        writeln!(table, "{}\t{answered}\t{refused}\t{failed}", window * 10).expect("a text grows");
    }
    fs::create_dir_all(dir()).expect("a directory");
    fs::write(dir().join(format!("{name}.tsv")), table).expect("a file");
    fs::write(dir().join(format!("{name}.svg")), drawing::svg(name, curve, LIMIT)).expect("a file");
}

fn dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/fleet")
}
