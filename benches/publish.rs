//! How long the files sink takes for 100 files of 200 bytes on tmpfs: all changed, one changed, none changed.
//!
//! `cargo bench --bench publish`; a median of many, because the first publishes of a directory are slower.

#![expect(clippy::disallowed_methods, clippy::expect_used, clippy::print_stdout, reason = "it measures and prints")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyferry::config::Directory;
use keyferry::files::FilesSink;
use keyferry::plan::{Content, Layouts};
use keyferry::ports::Sink;
use keyferry::reference::SecretName;
use keyferry::secret::{Part, Secret, SecretValue, Version};
use keyferry::snapshot::{Generation, Snapshot};

const FILES: usize = 100;
const SIZE: usize = 200;
const ROUNDS: usize = 2000;

fn name(number: usize) -> SecretName {
    SecretName::parse(&format!("secret-{number:03}")).expect("a name")
}

fn secret(round: usize) -> Arc<Secret> {
    let value = format!("{round:0SIZE$}").into_bytes();
    Arc::new(Secret::plain(Version::Unversioned, SecretValue::new(value)))
}

fn layouts(dir: &Path) -> Arc<Layouts> {
    let content = |secret| Content::Secret { secret, part: Part::Value };
    let layout = (0..FILES).map(|number| (PathBuf::from(name(number).as_str()), content(name(number)))).collect();
    Arc::new(BTreeMap::from([(dir.to_path_buf(), layout)]))
}

fn main() {
    let root = tempfile::tempdir_in("/dev/shm").expect("a directory on tmpfs");
    let dir = root.path().join("app");
    for (mode, group) in [(0o400, None), (0o440, Some(rustix::process::getegid().as_raw()))] {
        let rendered = BTreeMap::new();
        let settings = Directory { dir: dir.clone(), include: Vec::new(), mode, group, allow_disk: false, rendered };
        let mut sink = FilesSink::new(&settings);
        let layouts = layouts(&dir);
        let mut secrets: BTreeMap<SecretName, Arc<Secret>> =
            (0..FILES).map(|number| (name(number), secret(0))).collect();
        let mut measure = |what: &str, files: usize, changing: usize| {
            let mut times: Vec<Duration> = (1..=ROUNDS)
                .map(|round| {
                    for number in 0..changing {
                        secrets.insert(name(number), secret(round));
                    }
                    let (secrets, layouts) = (secrets.clone(), Arc::clone(&layouts));
                    let (unknown, rendered) = (BTreeSet::new(), BTreeMap::new());
                    let snapshot = Arc::new(Snapshot {
                        generation: Generation(1),
                        secrets,
                        unknown,
                        absent: BTreeSet::new(),
                        tokens: BTreeSet::new(),
                        layouts,
                        env: Arc::default(),
                        rendered,
                    });
                    let begun = Instant::now();
                    let published = sink.publish(&snapshot, begun).expect("a publish");
                    let took = begun.elapsed();
                    // As in life, where publishes are further apart than that.
                    sink.sweep(begun + Duration::from_secs(31)).expect("a sweep");
                    assert!(round == 1 || published.changed.len() == files, "{published:?}");
                    took
                })
                .collect();
            times.sort_unstable();
            println!("mode {mode:o}, {what}: median {:?}, best {:?}", times[ROUNDS / 2], times[0]);
        };
        measure("all changed", FILES, FILES);
        measure("one changed", 1, 1);
        measure("none changed", 0, 0);
    }
}
