//! What somebody else changed is put right and told, and it is only ever our own that is touched.

#![expect(clippy::disallowed_methods, reason = "tests look at files with the standard library")]

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use super::desk::{Desk, changed, chmod, generations, identity, mode, own_names, root_or_skip};
use rustix::fs::{CWD, Mode, mknodat};

const FILES: [(&str, &str); 3] = [("a", "1"), ("b", "2"), ("sub/c", "3")];

fn fifo(path: &Path) {
    mknodat(CWD, path, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// Publishes, lets somebody do something, publishes again: it is put right and told; the third time nothing is left.
fn assert_put_right(what: &str, expected: &[&str], tamper: impl FnOnce(&Desk)) {
    let desk = Desk::new().made(0o777);
    let mut sink = desk.sink();
    desk.publish(&mut sink, &FILES);
    let b = identity(&desk.dir().join("b"));
    tamper(&desk);
    let published = desk.publish(&mut sink, &FILES);
    assert!(!published.repaired.is_empty(), "{what}: {published:?}");
    assert_eq!(changed(&published), expected, "{what}: {published:?}");
    // The number moves with content and layout only.
    assert_eq!(published.generation, if expected.is_empty() { 1 } else { 2 }, "{what}");
    desk.assert_shows(&FILES);
    assert_eq!(identity(&desk.dir().join("b")), b, "{what}: the neighbour is not touched");
    assert_eq!(mode(&desk.dir().join("a")), 0o400, "{what}");
    let again = desk.publish(&mut sink, &FILES);
    assert_eq!((changed(&again), again.repaired.clone()), (vec![], vec![]), "{what}");
}

#[test]
fn a_changed_file_is_put_right() {
    assert_put_right("written to", &["a"], |desk| {
        chmod(&desk.dir().join("a"), 0o600);
        fs::write(desk.dir().join("a"), "X").unwrap();
        chmod(&desk.dir().join("a"), 0o400);
    });
    assert_put_right("mode", &["a"], |desk| chmod(&desk.dir().join("a"), 0o444));
    assert_put_right("mode and back", &["a"], |desk| {
        chmod(&desk.dir().join("a"), 0o444);
        chmod(&desk.dir().join("a"), 0o400);
    });
    assert_put_right("removed", &["a"], |desk| fs::remove_file(desk.generation().join("a")).unwrap());
    assert_put_right("in a sub-directory", &["sub/c"], |desk| {
        fs::remove_file(desk.generation().join("sub/c")).unwrap();
    });
    assert_put_right("replaced", &["a"], |desk| {
        fs::remove_file(desk.generation().join("a")).unwrap();
        fs::write(desk.generation().join("a"), "1").unwrap();
    });
    assert_put_right("a fifo", &["a"], |desk| {
        fs::remove_file(desk.generation().join("a")).unwrap();
        fifo(&desk.generation().join("a"));
    });
    assert_put_right("a hard link", &["a"], |desk| {
        fs::hard_link(desk.generation().join("a"), desk.root.path().join("copy")).unwrap();
    });
    assert_put_right("added", &[], |desk| fs::write(desk.generation().join("more"), "x").unwrap());
    assert_put_right("added below", &[], |desk| fs::write(desk.generation().join("sub/more"), "x").unwrap());
    assert_put_right("a sub-directory's mode", &[], |desk| chmod(&desk.generation().join("sub"), 0o777));
    assert_put_right("the generation's mode", &[], |desk| chmod(&desk.generation(), 0o777));
    if root_or_skip() {
        assert_put_right("owner", &["a"], |desk| chown(desk.generation().join("a"), Some(1), None).unwrap());
        assert_put_right("group", &["a"], |desk| chown(desk.generation().join("a"), None, Some(1)).unwrap());
    }
}

#[test]
fn a_changed_link_is_put_right() {
    for name in ["a", "sub", "..data"] {
        let at = |desk: &Desk| {
            fs::remove_file(desk.dir().join(name)).unwrap();
            desk.dir().join(name)
        };
        assert_put_right(&format!("{name} removed"), &[], |desk| drop(at(desk)));
        assert_put_right(&format!("{name} elsewhere"), &[], |desk| symlink("/etc", at(desk)).unwrap());
        assert_put_right(&format!("{name} dangling"), &[], |desk| symlink("..g1-0000000000000000", at(desk)).unwrap());
        assert_put_right(&format!("{name} a file"), &[], |desk| fs::write(at(desk), "x").unwrap());
        assert_put_right(&format!("{name} a fifo"), &[], |desk| fifo(&at(desk)));
        assert_put_right(&format!("{name} a socket"), &[], |desk| drop(UnixListener::bind(at(desk)).unwrap()));
        assert_put_right(&format!("{name} a directory"), &[], |desk| fs::create_dir(at(desk)).unwrap());
        assert_put_right(&format!("{name} a full directory"), &[], |desk| {
            let at = at(desk);
            fs::create_dir_all(at.join("x/y")).unwrap();
            fs::write(at.join("x/y/z"), "x").unwrap();
        });
    }
}

#[test]
fn a_moved_generation_is_replaced_and_emptied_wherever_it_is() {
    let desk = Desk::new().made(0o777);
    let mut sink = desk.sink();
    desk.publish(&mut sink, &FILES);
    let away = desk.dir().join("..away");
    let inode = identity(&desk.dir().join("a"));
    fs::rename(desk.generation(), &away).unwrap();
    let published = desk.publish(&mut sink, &FILES);
    assert_eq!((changed(&published), published.generation), (vec![], 1), "{published:?}");
    assert!(published.repaired.iter().any(|told| told.contains("moved away")), "{published:?}");
    assert_eq!(identity(&desk.dir().join("a")), inode);
    desk.publish(&mut sink, &[("a", "2")]);
    assert_eq!(fs::read_dir(&away).unwrap().count(), 0, "no secret stays behind");
    fs::remove_dir(&away).unwrap();
    desk.assert_shows(&[("a", "2")]);
}

#[test]
fn leftovers_and_plants_are_in_nobodys_way() {
    let desk = Desk::new().made(0o777);
    let outside = desk.root.path().join("outside");
    fs::create_dir_all(outside.join("deep")).unwrap();
    fs::write(outside.join("deep/precious"), "x").unwrap();
    let dir = desk.dir();
    // What another program, or an earlier keyferry, could have left under names like ours.
    symlink(&outside, dir.join("..data_tmp")).unwrap();
    symlink(&outside, dir.join("..g7-0123456789abcdef")).unwrap();
    fifo(&dir.join("..tmp-0123456789abcdef"));
    fs::hard_link(outside.join("deep/precious"), dir.join("..tmp-1123456789abcdef")).unwrap();
    fs::create_dir(dir.join("..tmp-2123456789abcdef")).unwrap();
    chmod(&dir.join("..tmp-2123456789abcdef"), 0o700);
    symlink(&outside, dir.join("..tmp-2123456789abcdef/link")).unwrap();
    fs::create_dir(dir.join("..g3-0123456789abcdef")).unwrap();
    chmod(&dir.join("..g3-0123456789abcdef"), 0o777);
    fs::write(dir.join("..g3-0123456789abcdef/not-ours"), "x").unwrap();
    fs::create_dir(dir.join("..data")).unwrap();
    fifo(&dir.join("..lock"));
    let published = desk.publish(&mut desk.sink(), &FILES);
    assert!(published.repaired.iter().any(|told| told.contains("..lock")), "{published:?}");
    desk.assert_shows(&FILES);
    assert_eq!(fs::read_to_string(outside.join("deep/precious")).unwrap(), "x");
    assert!(dir.join("..g3-0123456789abcdef/not-ours").exists(), "open to others: never ours");
    let own = own_names(dir);
    assert!(!own.iter().any(|name| name.starts_with("..tmp-")), "{own:?}");
    assert_eq!(generations(dir).len(), 2, "{own:?}");
    assert_eq!(fs::metadata(outside.join("deep/precious")).unwrap().nlink(), 1);
}

/// Before anything of keyferry's was there, what stands at one of its names is somebody's own.
#[test]
fn what_was_there_before_keyferry_is_put_aside_and_never_removed() {
    let desk = Desk::new().made(0o777);
    let dir = desk.dir();
    let long = "n".repeat(255);
    fs::write(dir.join("a"), "mine").unwrap();
    fs::write(dir.join(&long), "long").unwrap();
    symlink("/etc/hostname", dir.join("b")).unwrap();
    fs::create_dir_all(dir.join("sub/x")).unwrap();
    fs::write(dir.join("sub/x/y"), "below").unwrap();
    chmod(&dir.join("sub"), 0o700);
    fs::create_dir(dir.join("empty")).unwrap();
    // A link of ours from a crash before the first flip is no news.
    symlink("..data/later", dir.join("later")).unwrap();
    let files = [("a", "1"), ("b", "2"), ("sub/c", "3"), ("empty", "4"), ("later", "5"), (&long, "6")];
    let mut sink = desk.sink();
    let published = desk.publish(&mut sink, &files);
    desk.assert_shows(&files);
    assert_eq!(published.repaired, Vec::<String>::new());
    assert_eq!(published.aside.len(), 4, "{published:?}");
    let aside = |name: &str, what: &str| {
        let beginning = format!("there was already {what} {name} in {}: it is ", dir.display());
        let told = published.aside.iter().find_map(|told| told.strip_prefix(&beginning)).expect(&beginning);
        Path::new(told.strip_suffix(" now").unwrap()).to_owned()
    };
    let assert_there = || {
        assert_eq!(fs::read_to_string(aside("a", "a file")).unwrap(), "mine");
        assert_eq!(fs::read_to_string(aside(&long, "a file")).unwrap(), "long");
        assert_eq!(fs::read_link(aside("b", "a symbolic link")).unwrap(), Path::new("/etc/hostname"));
        assert_eq!(fs::read_to_string(aside("sub", "a directory").join("x/y")).unwrap(), "below");
    };
    assert_there();
    // Neither later publishes nor a restart take them for leftovers.
    assert_eq!(desk.publish(&mut sink, &FILES).aside, Vec::<String>::new());
    drop(sink);
    desk.publish(&mut desk.sink(), &[("a", "2")]);
    assert_there();
}

#[test]
fn a_directory_that_is_put_out_of_the_way_is_named() {
    let desk = Desk::new().made(0o777);
    let mut sink = desk.sink();
    desk.publish(&mut sink, &FILES);
    for name in ["a", "..data", "..lock"] {
        fs::remove_file(desk.dir().join(name)).unwrap();
        fs::create_dir_all(desk.dir().join(name).join("x")).unwrap();
        let published = desk.publish(&mut sink, &FILES);
        let told = published.repaired.iter().find_map(|told| told.split_once(" is ").map(|(_, rest)| rest));
        let path = told.unwrap_or_else(|| panic!("{published:?}")).strip_suffix(" now").unwrap();
        assert!(Path::new(path).join("x").is_dir(), "{published:?}");
        assert_eq!(published.aside, Vec::<String>::new());
    }
    // Closed to others and under our uid it may be a generation that a neighbour has moved: no secret stays behind.
    fs::remove_file(desk.dir().join("a")).unwrap();
    fs::create_dir_all(desk.dir().join("a/x")).unwrap();
    chmod(&desk.dir().join("a"), 0o700);
    let published = desk.publish(&mut sink, &FILES);
    assert!(published.repaired.iter().all(|told| !told.contains(" now")), "{published:?}");
}

#[test]
fn a_lock_that_is_taken_away_is_made_again() {
    let desk = Desk::new().made(0o777);
    let mut sink = desk.sink();
    desk.publish(&mut sink, &FILES);
    fs::remove_file(desk.dir().join("..lock")).unwrap();
    let published = desk.publish(&mut sink, &FILES);
    assert!(published.repaired.iter().any(|told| told.contains("..lock")), "{published:?}");
    assert!(desk.dir().join("..lock").exists());
    // Who took the directory meanwhile keeps it.
    fs::remove_file(desk.dir().join("..lock")).unwrap();
    let mut second = desk.sink();
    desk.publish(&mut second, &FILES);
    let error = super::desk::try_publish(&mut sink, desk.dir(), &FILES).unwrap_err();
    assert!(error.reason.contains("another keyferry"), "{error}");
}
