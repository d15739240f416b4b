//! Any sequence of publishes, restarts and disturbances ends in exactly what is wanted.

#![expect(clippy::disallowed_methods, reason = "tests look at files with the standard library")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use keyferry::ports::Sink;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

use super::desk::{Desk, changed, chmod, names, own_names};

const PATHS: [&str; 7] = ["a", "b", "c.pem", "sub/a", "sub/b", "sub/deep/er", "other/x"];

#[derive(Debug, Clone)]
enum Step {
    Publish(Vec<(&'static str, &'static str)>),
    Restart,
    Sweep,
    /// Removes, or replaces by a directory, the entry of that index.
    Disturb(usize, bool),
    /// Changes the file of that index in the generation.
    Touch(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let files = btree_map(select(&PATHS[..]), select(vec!["", "1", "2", "a longer value"]), 0..PATHS.len())
        .prop_map(|files| files.into_iter().collect());
    let step = prop_oneof![
        6 => files.prop_map(Step::Publish),
        2 => Just(Step::Restart),
        1 => Just(Step::Sweep),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(index, dir)| Step::Disturb(index, dir)),
        2 => any::<usize>().prop_map(Step::Touch),
    ];
    vec(step, 1..20)
}

/// What somebody put where keyferry needs no name any more is theirs, and stays.
fn remove_foreign(dir: &Path) {
    for name in names(dir).into_iter().filter(|name| !name.starts_with("..")) {
        if !dir.join(&name).is_symlink() {
            fs::remove_dir_all(dir.join(name)).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_published_last_is_what_is_there(steps in steps()) {
        let desk = Desk::new().made(0o777);
        let mut sink = desk.sink();
        let mut wanted: Vec<(&str, &str)> = Vec::new();
        let mut disturbed = false;
        let mut generation = 0;
        for step in steps {
            match step {
                Step::Publish(files) => {
                    let published = desk.publish(&mut sink, &files);
                    remove_foreign(desk.dir());
                    desk.assert_shows(&files);
                    prop_assert!(published.generation >= generation || disturbed);
                    if !disturbed {
                        prop_assert_eq!(&published.repaired, &Vec::<String>::new());
                        let mut differing: Vec<&str> = files.iter().filter(|file| !wanted.contains(file)).map(|file| file.0)
                            .chain(wanted.iter().map(|file| file.0).filter(|path| !files.iter().any(|file| file.0 == *path)))
                            .collect();
                        differing.sort_by_key(|path| std::path::PathBuf::from(path));
                        differing.dedup();
                        prop_assert_eq!(changed(&published), differing);
                    }
                    (wanted, disturbed, generation) = (files, false, published.generation);
                }
                Step::Restart => {
                    drop(sink);
                    sink = desk.sink();
                }
                Step::Sweep => sink.sweep(Instant::now() + Duration::from_mins(1)).unwrap(),
                Step::Disturb(index, dir) => {
                    let names = names(desk.dir());
                    if names.is_empty() {
                        continue;
                    }
                    let path = desk.dir().join(&names[index % names.len()]);
                    let moved = desk.root.path().join("moved");
                    fs::rename(&path, &moved).unwrap();
                    if moved.is_symlink() || moved.is_file() { fs::remove_file(&moved).unwrap() } else { fs::remove_dir_all(&moved).unwrap() }
                    if dir {
                        fs::create_dir(&path).unwrap();
                        fs::write(path.join("x"), "").unwrap();
                    }
                    disturbed = true;
                }
                Step::Touch(index) => {
                    if let Some((path, _)) = wanted.get(index % wanted.len().max(1)) {
                        let path = desk.dir().join("..data").join(path);
                        if path.is_file() {
                            chmod(&path, 0o600);
                            fs::write(&path, "touched").unwrap();
                            disturbed = true;
                        }
                    }
                }
            }
        }
        let published = desk.publish(&mut sink, &wanted);
        prop_assert!(disturbed || changed(&published).is_empty());
        remove_foreign(desk.dir());
        desk.assert_shows(&wanted);
        let again = desk.publish(&mut sink, &wanted);
        prop_assert_eq!((changed(&again), again.repaired.clone()), (vec![], vec![]));
        let own: Vec<String> = own_names(desk.dir()).into_iter().filter(|name| name.starts_with("..tmp-")).collect();
        prop_assert_eq!(own, Vec::<String>::new());
    }
}
