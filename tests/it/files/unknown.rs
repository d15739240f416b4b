//! Secrets of which nothing is known yet: what an earlier run published of them stays, as it is, and nobody else's.
#![expect(clippy::disallowed_methods, reason = "tests look at files with the standard library")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use keyferry::files::FilesSink;
use keyferry::plan::Content;
use keyferry::ports::{Published, Sink};
use keyferry::render::Recipe;
use keyferry::secret::SecretValue;
use keyferry::snapshot::{Made, Rendered, Snapshot};

use super::desk::{Desk, changed, identity, snapshot};

/// The snapshot of these files, in which nothing is known of some.
fn partly(dir: &Path, files: &[(&str, &str)], unknown: &[&str]) -> Arc<Snapshot> {
    let whole = snapshot(dir, files.iter().copied());
    let names: BTreeSet<_> = whole.layouts[dir]
        .iter()
        .filter(|(path, _)| unknown.contains(&path.to_str().unwrap()))
        .filter_map(|(_, content)| match content {
            Content::Secret { secret, .. } => Some(secret.clone()),
            Content::Rendered { .. } => None,
        })
        .collect();
    let known = whole.secrets.iter().filter(|(name, _)| !names.contains(*name));
    let secrets: BTreeMap<_, _> = known.map(|(name, secret)| (name.clone(), Arc::clone(secret))).collect();
    let (layouts, rendered) = (Arc::clone(&whole.layouts), BTreeMap::new());
    let (unknown, absent, tokens, env) = (names, BTreeSet::new(), BTreeSet::new(), Arc::default());
    Arc::new(Snapshot { generation: whole.generation, secrets, unknown, absent, tokens, layouts, env, rendered })
}

fn publish(desk: &Desk, sink: &mut impl Sink, files: &[(&str, &str)], unknown: &[&str]) -> Published {
    sink.publish(&partly(desk.dir(), files, unknown), Instant::now()).unwrap()
}

#[test]
fn what_an_earlier_run_published_stays_until_something_newer_is_known() {
    let desk = Desk::new().made(0o777);
    desk.publish(&mut desk.sink(), &[("a", "1"), ("b", "2")]);
    let inode = identity(&desk.dir().join("b"));

    // A restart, and nothing is known of b, nor of c, which was never published.
    let mut sink = desk.sink();
    let wanted = [("a", "1"), ("b", "other"), ("c", "3")];
    let published = publish(&desk, &mut sink, &wanted, &["b", "c"]);
    assert_eq!((changed(&published), published.kept.clone()), (vec![], vec!["b".into()]));
    desk.assert_shows(&[("a", "1"), ("b", "2")]);
    assert_eq!(identity(&desk.dir().join("b")), inode);

    // Something else changes meanwhile: it is taken along.
    let published = publish(&desk, &mut sink, &[("a", "new"), ("b", "other"), ("c", "3")], &["b", "c"]);
    assert_eq!((changed(&published), published.kept.clone()), (vec!["a"], vec!["b".into()]));
    desk.assert_shows(&[("a", "new"), ("b", "2")]);

    // It turns out to be what it was: nothing is touched.
    let published = publish(&desk, &mut sink, &[("a", "new"), ("b", "2"), ("c", "3")], &["c"]);
    assert_eq!((changed(&published), published.kept.clone()), (vec![], vec![]));
    assert_eq!(identity(&desk.dir().join("b")).0, inode.0);

    // And then it is another.
    publish(&desk, &mut sink, &[("a", "new"), ("b", "other"), ("c", "3")], &[]);
    desk.assert_shows(&[("a", "new"), ("b", "other"), ("c", "3")]);
}

#[test]
fn what_somebody_else_has_changed_is_not_kept() {
    let desk = Desk::new().made(0o777);
    desk.publish(&mut desk.sink(), &[("a", "1"), ("b", "2")]);
    fs::hard_link(desk.generation().join("b"), desk.dir().join("second-name")).unwrap();
    let published = publish(&desk, &mut desk.sink(), &[("a", "1"), ("b", "2")], &["b"]);
    assert_eq!(published.kept, Vec::<std::path::PathBuf>::new());
    assert!(published.repaired.iter().any(|sentence| sentence.contains('b')), "{:?}", published.repaired);
    fs::remove_file(desk.dir().join("second-name")).unwrap();
    desk.assert_shows(&[("a", "1")]);
}

#[test]
fn what_an_earlier_run_published_stays_under_another_mode_and_group() {
    for mode in [0o440, 0o600, 0o400] {
        let mut desk = Desk::new().made(0o777);
        desk.publish(&mut desk.sink(), &[("a", "1"), ("sub/b", "2")]);
        desk.settings.mode = mode;
        let mut sink = desk.sink();
        let files = [("a", "other"), ("sub/b", "other")];
        let published = publish(&desk, &mut sink, &files, &["a", "sub/b"]);
        assert_eq!(published.kept, ["a", "sub/b"].map(std::path::PathBuf::from), "{mode:o}");
        desk.assert_shows(&[("a", "1"), ("sub/b", "2")]);
        assert_eq!(super::desk::mode(&desk.dir().join("sub/b")), mode);
        let again = publish(&desk, &mut sink, &files, &["a", "sub/b"]);
        assert_eq!((changed(&again), again.repaired.clone()), (vec![], vec![]), "{mode:o}");
    }
}

#[test]
fn what_another_uid_has_published_is_not_replaced_by_nothing() {
    if !super::desk::root_or_skip() {
        return;
    }
    let desk = Desk::new().made(0o777);
    desk.publish(&mut desk.sink(), &[("a", "1"), ("b", "2")]);
    let all = [desk.dir().join("..data"), desk.generation(), desk.generation().join("a"), desk.generation().join("b")];
    for path in all {
        std::os::unix::fs::lchown(path, Some(10001), Some(10001)).unwrap();
    }
    let mut sink = desk.sink();
    let files = [("a", "other"), ("b", "other")];
    let error = sink.publish(&partly(desk.dir(), &files, &["a", "b"]), Instant::now()).unwrap_err();
    assert!(error.to_string().contains("under one uid"), "{error}");
    assert_eq!(fs::read_to_string(desk.dir().join("a")).unwrap(), "1", "nothing published is lost");
    // As soon as something is known, that is published, and what is gone is said to be.
    let published = publish(&desk, &mut sink, &files, &["b"]);
    assert!(published.repaired.iter().any(|sentence| sentence.contains("b of an earlier run")), "{published:?}");
    desk.assert_shows(&[("a", "other")]);
}

/// The snapshot of one file of this mode that is made of several secrets.
fn made(dir: &Path, made: Made, mode: u32) -> Arc<Snapshot> {
    let recipe = Arc::new(Recipe::EnvFile(Arc::default()));
    let layout = BTreeMap::from([("e".into(), Content::Rendered { recipe, mode })]);
    let rendered = BTreeMap::from([(dir.join("e"), Rendered { made, failure: None })]);
    let whole = Arc::into_inner(snapshot(dir, [])).unwrap();
    Arc::new(Snapshot { layouts: Arc::new(BTreeMap::from([(dir.to_owned(), layout)])), rendered, ..whole })
}

#[test]
fn what_is_to_stay_stays_under_the_mode_that_a_reload_gives_it() {
    let desk = Desk::new().made(0o777);
    let bytes = |text: &str| Made::Bytes(Arc::new(SecretValue::new(text.into())));
    let publish = |sink: &mut FilesSink, snapshot| sink.publish(&snapshot, Instant::now()).unwrap();
    let path = desk.dir().join("e");
    let shows = |mode: u32| {
        desk.assert_shows(&[("e", "good")]);
        assert_eq!(super::desk::mode(&path), mode);
    };
    publish(&mut desk.sink(), made(desk.dir(), bytes("good"), 0o400));
    // Another run, which knows nothing of it yet.
    let mut sink = desk.sink();
    publish(&mut sink, made(desk.dir(), Made::AsItIs, 0o400));
    for mode in [0o440, 0o400] {
        let published = publish(&mut sink, made(desk.dir(), Made::AsItIs, mode));
        assert_eq!((changed(&published), published.kept.len()), (vec!["e"], 1));
        shows(mode);
        let again = publish(&mut sink, made(desk.dir(), Made::AsItIs, mode));
        assert_eq!((changed(&again), again.kept.len(), again.repaired.len()), (vec![], 1, 0));
    }
    // What this run has made itself, and cannot make under the new mode.
    publish(&mut sink, made(desk.dir(), bytes("good"), 0o400));
    publish(&mut sink, made(desk.dir(), Made::AsItIs, 0o440));
    shows(0o440);
    // But not what somebody else has written meanwhile.
    fs::write(desk.generation().join("e"), "evil").unwrap();
    let error = sink.publish(&made(desk.dir(), Made::AsItIs, 0o400), Instant::now()).unwrap_err();
    assert!(error.to_string().contains("not as this process would have published them"), "{error}");
}
