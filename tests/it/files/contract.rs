//! What a publish does when nobody disturbs it.

#![expect(clippy::disallowed_methods, reason = "tests look at files with the standard library")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use keyferry::ports::Sink;

use super::desk::{Desk, changed, child, finish, generations, identity, mode, own_names, root_or_skip, snapshot};

#[test]
fn files_links_and_modes_are_as_kubelet_makes_them() {
    let desk = Desk::new().made(0o755);
    let mut sink = desk.sink();
    assert_eq!(sink.name(), desk.dir().to_str().unwrap());
    let files = [("db-password", "hunter2"), ("openai/key", "k"), ("openai/deep/er", ""), ("tls.crt", "-----BEGIN")];
    let published = desk.publish(&mut sink, &files);
    assert_eq!(published.generation, 1);
    assert_eq!(changed(&published), ["db-password", "openai/deep/er", "openai/key", "tls.crt"]);
    assert_eq!(published.repaired, Vec::<String>::new());
    desk.assert_shows(&files);
    assert_eq!(fs::read_link(desk.dir().join("openai")).unwrap().to_str(), Some("..data/openai"));
    let target = fs::read_link(desk.dir().join("..data")).unwrap();
    assert!(target.to_str().unwrap().starts_with("..g1-"), "{target:?}");
    assert_eq!(mode(&desk.dir().join("db-password")), 0o400);
    assert_eq!(mode(&desk.generation()), 0o700);
    assert_eq!(mode(&desk.dir().join("openai/deep")), 0o700);
    assert_eq!(mode(desk.dir()), 0o755, "the directory itself is the user's");
    assert_eq!(own_names(desk.dir()).len(), 3, "..data, ..lock and the generation");
}

#[test]
fn every_mode_is_set_whatever_the_umask() {
    for (file, dir) in [(0o400, 0o700), (0o440, 0o750), (0o550, 0o750), (0o500, 0o700)] {
        for umask in [0o000, 0o022, 0o077, 0o177, 0o377] {
            let desk = Desk::new().made(0o755);
            let mut command = child("files::contract::child_publishes");
            command.env("DIR", desk.dir()).env("MODE", file.to_string()).env("UMASK", umask.to_string());
            finish(command);
            desk.assert_shows(&[("a/b", "1"), ("c", "2")]);
            assert_eq!(mode(&desk.dir().join("c")), file, "umask {umask:o}");
            assert_eq!(mode(&desk.dir().join("a/b")), file, "umask {umask:o}");
            assert_eq!(mode(&desk.dir().join("a")), dir, "umask {umask:o}");
            assert_eq!(mode(&desk.generation()), dir, "umask {umask:o}");
        }
    }
}

#[test]
#[ignore = "a process of the test above: the umask is the whole process's"]
fn child_publishes() {
    let number = |name| std::env::var(name).unwrap().parse().unwrap();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(number("UMASK")));
    let mut settings = super::desk::settings(std::env::var_os("DIR").unwrap().as_ref());
    settings.mode = number("MODE");
    let mut sink = keyferry::files::FilesSink::new(&settings);
    sink.check().unwrap();
    super::desk::try_publish(&mut sink, &settings.dir, &[("a/b", "1"), ("c", "2")]).unwrap();
}

#[test]
fn what_did_not_change_is_not_touched() {
    let desk = Desk::new().made(0o755);
    let mut sink = desk.sink();
    desk.publish(&mut sink, &[("a", "1"), ("b", "1"), ("sub/c", "1")]);
    let (a, c) = (identity(&desk.dir().join("a")), identity(&desk.dir().join("sub/c")));
    for value in ["2", "3", "4"] {
        let published = desk.publish(&mut sink, &[("a", "1"), ("b", value), ("sub/c", "1")]);
        assert_eq!(changed(&published), ["b"]);
        assert_eq!(published.repaired, Vec::<String>::new());
        assert_eq!(identity(&desk.dir().join("a")), a);
        assert_eq!(identity(&desk.dir().join("sub/c")), c);
    }
    desk.assert_shows(&[("a", "1"), ("b", "4"), ("sub/c", "1")]);
}

#[test]
fn the_same_again_changes_nothing_at_all() {
    let desk = Desk::new().made(0o755);
    let mut sink = desk.sink();
    let files = [("a", "1"), ("sub/b", "2")];
    let first = desk.publish(&mut sink, &files);
    let before = (desk.generation(), fs::metadata(desk.dir()).unwrap().ctime_nsec(), own_names(desk.dir()));
    let again = desk.publish(&mut sink, &files);
    assert_eq!((again.generation, changed(&again), &again.repaired), (first.generation, vec![], &vec![]));
    assert_eq!((desk.generation(), fs::metadata(desk.dir()).unwrap().ctime_nsec(), own_names(desk.dir())), before);
}

#[test]
fn a_removed_secret_takes_its_file_and_its_name_along() {
    let desk = Desk::new().made(0o755);
    let mut sink = desk.sink();
    desk.publish(&mut sink, &[("a", "1"), ("b", "2"), ("sub/c", "3"), ("sub/d", "4")]);
    // What is not keyferry's stays.
    fs::write(desk.root.path().join("mine"), "x").unwrap();
    std::os::unix::fs::symlink("../mine", desk.dir().join("theirs")).unwrap();
    let published = desk.publish(&mut sink, &[("b", "2"), ("sub/d", "4")]);
    assert_eq!(changed(&published), ["a", "sub/c"]);
    assert_eq!(published.generation, 2);
    assert_eq!(fs::read_to_string(desk.dir().join("theirs")).unwrap(), "x");
    fs::remove_file(desk.dir().join("theirs")).unwrap();
    desk.assert_shows(&[("b", "2"), ("sub/d", "4")]);
    let published = desk.publish(&mut sink, &[]);
    assert_eq!(changed(&published), ["b", "sub/d"]);
    desk.assert_shows(&[]);
    desk.publish(&mut sink, &[("a", "5")]);
    desk.assert_shows(&[("a", "5")]);
}

#[test]
fn a_name_may_turn_from_a_file_into_a_directory_and_back() {
    let desk = Desk::new().made(0o755);
    let mut sink = desk.sink();
    desk.publish(&mut sink, &[("a", "1")]);
    desk.publish(&mut sink, &[("a/b", "2")]);
    desk.assert_shows(&[("a/b", "2")]);
    desk.publish(&mut sink, &[("a", "3")]);
    desk.assert_shows(&[("a", "3")]);
}

#[test]
fn the_generation_before_stays_until_its_time_or_the_next_one() {
    let desk = Desk::new().made(0o755);
    let mut sink = desk.sink();
    let start = Instant::now();
    let publish = |sink: &mut keyferry::files::FilesSink, value, now| {
        sink.publish(&snapshot(desk.dir(), [("a", value), ("still", "same")]), now).unwrap()
    };
    publish(&mut sink, "1", start);
    assert_eq!(sink.sweep_due(), None);
    publish(&mut sink, "2", start);
    let still = identity(&desk.dir().join("still"));
    assert_eq!(generations(desk.dir()).len(), 2);
    assert_eq!(sink.sweep_due(), Some(start + Duration::from_secs(30)));
    // Neither an early sweep nor a publish of the same takes it away.
    sink.sweep(start + Duration::from_secs(29)).unwrap();
    publish(&mut sink, "2", start + Duration::from_secs(29));
    assert_eq!(generations(desk.dir()).len(), 2);
    publish(&mut sink, "3", start);
    assert_eq!(generations(desk.dir()).len(), 2, "the one of two publishes ago is gone");
    sink.sweep(start + Duration::from_secs(30)).unwrap();
    assert_eq!(generations(desk.dir()).len(), 1);
    assert_eq!(sink.sweep_due(), None);
    // Sweeping was our own doing: it is not taken for somebody else's, and what stays keeps its inode.
    assert_eq!(publish(&mut sink, "3", start).repaired, Vec::<String>::new());
    assert_eq!(publish(&mut sink, "4", start).repaired, Vec::<String>::new());
    assert_eq!(identity(&desk.dir().join("still")), still);
    desk.assert_shows(&[("a", "4"), ("still", "same")]);
}

#[test]
fn a_missing_directory_is_made_for_those_who_may_read() {
    let mut desk = Desk::new();
    desk.sink().check().unwrap();
    assert!(!desk.dir().exists(), "a check makes nothing");
    desk.publish(&mut desk.sink(), &[("a", "1")]);
    assert_eq!(mode(desk.dir()), 0o700);
    desk.assert_shows(&[("a", "1")]);

    desk.settings.dir = desk.root.path().join("group/");
    desk.settings.mode = 0o440;
    desk.publish(&mut desk.sink(), &[("a", "1")]);
    assert_eq!(mode(desk.dir()), 0o750);
    assert_eq!(mode(&desk.dir().join("a")), 0o440);
}

#[test]
fn a_check_leaves_nothing_that_a_reader_could_see() {
    let desk = Desk::new().made(0o755);
    let mut sink = desk.sink();
    sink.check().unwrap();
    assert_eq!(own_names(desk.dir()), ["..lock"]);
    desk.publish(&mut sink, &[("a", "1")]);
    let before = (desk.generation(), own_names(desk.dir()));
    sink.check().unwrap();
    assert_eq!((desk.generation(), own_names(desk.dir())), before);
    desk.assert_shows(&[("a", "1")]);
}

#[test]
fn group_and_setgid_directories() {
    if !root_or_skip() {
        return;
    }
    let mut desk = Desk::new().made(0o777);
    desk.settings.mode = 0o440;
    desk.settings.group = Some(3000);
    desk.publish(&mut desk.sink(), &[("a", "1"), ("sub/b", "2")]);
    for path in ["..data/", "a", "sub", "sub/b"] {
        assert_eq!(fs::metadata(desk.dir().join(path)).unwrap().gid(), 3000, "{path}");
    }
    assert_eq!((mode(&desk.generation()), mode(&desk.dir().join("sub"))), (0o750, 0o750));

    // fsGroup: the directory's group is inherited, although keyferry is not in it.
    let mut desk = Desk::new().made(0o777);
    std::os::unix::fs::chown(desk.dir(), None, Some(3000)).unwrap();
    super::desk::chmod(desk.dir(), 0o2777);
    desk.settings.mode = 0o440;
    let published = desk.publish(&mut desk.sink(), &[("a", "1"), ("sub/b", "2")]);
    assert_eq!(published.repaired, Vec::<String>::new());
    for path in ["..data/", "a", "sub", "sub/b"] {
        assert_eq!(fs::metadata(desk.dir().join(path)).unwrap().gid(), 3000, "{path}");
    }
    assert_eq!((mode(&desk.generation()), mode(&desk.dir().join("sub"))), (0o750, 0o750));
    let adopted = desk.publish(&mut desk.sink(), &[("a", "1"), ("sub/b", "2")]);
    assert_eq!((changed(&adopted), adopted.generation), (vec![], 1));
}

#[test]
fn an_access_list_that_a_directory_hands_down_lets_nobody_in() {
    let mut desk = Desk::new().made(0o777);
    // Version 2; entries of tag, permissions and id: owner, a uid, owning group, mask, others.
    let entries: [(u16, u16, u32); 5] =
        [(1, 7, u32::MAX), (2, 7, super::desk::THEIRS), (4, 5, u32::MAX), (16, 7, u32::MAX), (32, 7, u32::MAX)];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        list.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
        list.extend(id.to_le_bytes());
    }
    let set = rustix::fs::setxattr(desk.dir(), "system.posix_acl_default", &list, rustix::fs::XattrFlags::empty());
    if let Err(errno) = set {
        crate::harness::skip(&format!("no access lists here: {errno}"));
        return;
    }
    desk.settings.mode = 0o440;
    desk.publish(&mut desk.sink(), &[("sub/a", "1")]);
    for path in ["..data/", "sub", "sub/a"] {
        let mut found = [0_u8; 256];
        let got = rustix::fs::getxattr(desk.dir().join(path), "system.posix_acl_access", &mut found);
        assert_eq!(got, Err(rustix::io::Errno::NODATA), "{path}");
    }
}
