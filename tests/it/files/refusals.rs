//! Where publishing cannot work: what, where and what to do about it, and nothing that was published is lost.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests look at files with the standard library"
)]

use std::fs;
use std::os::unix::fs::{chown, lchown, symlink};
use std::path::Path;
use std::process::Command;

use keyferry::files::FilesSink;
use keyferry::ports::{Sink, SinkError};

use super::desk::{
    Desk, Mount, OURS, THEIRS, changed, child, child_as, finish, generations, own_names, root_or_skip, settings,
    try_publish,
};

/// Asserts that both a check and a publish refuse, and say why and what helps.
fn assert_refused(sink: &mut FilesSink, dir: &Path, reason: &str, fix: &str) -> SinkError {
    for result in [sink.check(), try_publish(sink, dir, &[("a", "s3cret")]).map(drop)] {
        let error = result.unwrap_err();
        assert!(error.reason.contains(reason), "{error}");
        assert!(error.fix.contains(fix), "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    sink.check().unwrap_err()
}

#[test]
fn a_missing_parent_is_named() {
    let desk = Desk::new();
    let dir = desk.root.path().join("not/there");
    let error = assert_refused(&mut FilesSink::new(&settings(&dir)), &dir, "nor its parent", "medium: Memory");
    assert!(error.reason.contains("/not"), "{error}");
    assert_eq!(error.path, dir);
    let root = Path::new("/");
    assert_refused(&mut FilesSink::new(&settings(root)), root, "no directory of its own", "below a volume");
}

#[test]
fn a_file_or_a_link_where_the_directory_should_be_is_not_replaced() {
    let desk = Desk::new();
    fs::write(desk.dir(), "mine").unwrap();
    assert_refused(&mut desk.sink(), desk.dir(), "it is a file", "remove it");
    fs::remove_file(desk.dir()).unwrap();

    let elsewhere = desk.root.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, desk.dir()).unwrap();
    assert_refused(&mut desk.sink(), desk.dir(), "it is a symbolic link", "own path");
    let with_slash = desk.root.path().join("app/");
    assert_refused(&mut FilesSink::new(&settings(&with_slash)), desk.dir(), "it is a symbolic link", "own path");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    // A link further up is the user's own way to write the path.
    symlink(desk.root.path(), desk.root.path().join("up")).unwrap();
    let through = desk.root.path().join("up/real");
    try_publish(&mut FilesSink::new(&settings(&through)), &through, &[("a", "1")]).unwrap();
    super::desk::assert_shows(&through, &[("a", "1")]);
}

/// Root's links and keyferry's own are the user's way to write the path; another uid's would lead secrets where it likes.
#[test]
fn a_link_of_another_uid_is_not_followed_anywhere_in_the_path() {
    if !root_or_skip() {
        return;
    }
    let desk = Desk::new();
    let root = desk.root.path();
    fs::create_dir_all(root.join("real/below")).unwrap();
    chown(root.join("real/below"), Some(OURS), Some(OURS)).unwrap();
    let link = |text: &str, name: &str, uid: u32| {
        symlink(text, root.join(name)).unwrap();
        lchown(root.join(name), Some(uid), Some(uid)).unwrap();
    };
    link(root.join("real").to_str().unwrap(), "theirs", THEIRS);
    link("real", "relative", THEIRS);
    link("theirs", "through", 0);
    link("./real/../real//below/..", "roots", 0);
    link("roots", "ours", OURS);
    link("../../../../../../../../../../../../dev/shm", "real/above", 0);
    let tries = |dir: &Path| {
        let mut command = child_as(OURS, OURS, "files::refusals::child_tries");
        command.env("DIR", dir);
        finish(command)
    };
    for (path, culprit) in [
        ("theirs/below/app", "theirs"),
        ("relative/below/app", "relative"),
        ("through/below/app", "theirs"),
        ("ours/../theirs/below/app", "theirs"),
    ] {
        let dir = root.join(path);
        let refused = tries(&dir);
        let culprit = root.join(culprit);
        let reason = format!("leads through {}, a symbolic link of uid {THEIRS}", culprit.display());
        assert!(refused.contains(&reason), "{refused}");
        assert!(refused.contains(&format!("chown -h {OURS} {}", culprit.display())), "{refused}");
    }
    assert_eq!(fs::read_dir(root.join("real/below")).unwrap().count(), 0);
    let up = root.join("real/above").join(root.strip_prefix("/dev/shm").unwrap()).join("ours/below/app");
    for dir in [root.join("roots/below/app"), root.join("ours/below/app"), up] {
        assert!(tries(&dir).contains("published"), "{}", dir.display());
        super::desk::assert_shows(&dir, &[("a", "1")]);
    }
}

#[test]
fn links_that_lead_nowhere_or_in_circles_are_told_of() {
    let desk = Desk::new();
    let root = desk.root.path();
    symlink("circle", root.join("circle")).unwrap();
    symlink("not-there", root.join("dangling")).unwrap();
    fs::write(root.join("file"), "mine").unwrap();
    symlink("file", root.join("to-a-file")).unwrap();
    for (path, reason, fix) in [
        ("circle/app", "more than 40 symbolic links", "own path"),
        ("dangling/app", "nor its parent", "medium: Memory"),
        ("file/app", "/file is a file", "below a volume"),
        ("file/further/app", "/file is a file", "below a volume"),
        ("to-a-file/app", "/file is a file", "below a volume"),
    ] {
        let dir = root.join(path);
        let error = assert_refused(&mut FilesSink::new(&settings(&dir)), &dir, reason, fix);
        assert!(!error.fix.contains("tried again"), "{error}");
    }
}

#[test]
fn a_disk_is_refused_unless_allowed() {
    let disk = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let kind = rustix::fs::statfs(disk).unwrap().f_type;
    if kind == 0x0102_1994 {
        crate::harness::skip("the target directory is on tmpfs");
        return;
    }
    let mut desk = Desk::within(disk);
    // Missing or there: neither is used.
    assert_refused(&mut desk.sink(), desk.dir(), "not on tmpfs", "allowDisk: true");
    assert!(!desk.dir().exists());
    fs::create_dir(desk.dir()).unwrap();
    assert_refused(&mut desk.sink(), desk.dir(), "not on tmpfs", "medium: Memory");
    assert_eq!(fs::read_dir(desk.dir()).unwrap().count(), 0);
    desk.settings.allow_disk = true;
    let mut sink = desk.sink();
    sink.check().unwrap();
    desk.publish(&mut sink, &[("a", "1"), ("b", "1")]);
    assert_eq!(changed(&desk.publish(&mut sink, &[("a", "1"), ("b", "2")])), ["b"]);
    desk.assert_shows(&[("a", "1"), ("b", "2")]);
}

#[test]
fn a_full_volume_loses_nothing_and_works_again_when_there_is_room() {
    if !root_or_skip() {
        return;
    }
    let mount = Mount::tmpfs("size=64k");
    let desk = Desk::within(mount.path());
    let mut sink = desk.sink();
    let (small, page) = ("1".repeat(3000), "2".repeat(40_000));
    desk.publish(&mut sink, &[("a", &small), ("b", &small)]);
    let before = generations(desk.dir());
    for _ in 0..3 {
        let error = try_publish(&mut sink, desk.dir(), &[("a", &page), ("b", &page)]).unwrap_err();
        assert!(error.reason.contains("no space left"), "{error}");
        assert!(error.fix.contains("sizeLimit") && !error.reason.contains("inodes"), "{error}");
        assert!(!error.to_string().contains("222"), "{error}");
        desk.assert_shows(&[("a", &small), ("b", &small)]);
        assert_eq!(generations(desk.dir()), before, "the unfinished generation is gone");
    }
    // The size that fits goes on, and nothing of what was left over counts as a change.
    let published = desk.publish(&mut sink, &[("a", &page), ("b", &small)]);
    assert_eq!(changed(&published), ["a"]);
    assert_eq!(published.repaired, Vec::<String>::new());
    desk.assert_shows(&[("a", &page), ("b", &small)]);
    mount.again("remount,size=1m");
    let published = desk.publish(&mut sink, &[("a", &page), ("b", &page)]);
    assert_eq!(changed(&published), ["b"]);
    desk.assert_shows(&[("a", &page), ("b", &page)]);
}

#[test]
fn a_volume_without_inodes_is_a_full_volume() {
    if !root_or_skip() {
        return;
    }
    let mount = Mount::tmpfs("nr_inodes=16");
    let desk = Desk::within(mount.path());
    let mut sink = desk.sink();
    desk.publish(&mut sink, &[("a", "1")]);
    let many: Vec<String> = (0..16).map(|number| format!("n{number}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "x")).collect();
    let error = try_publish(&mut sink, desk.dir(), &many).unwrap_err();
    assert!(error.reason.contains("no space left"), "{error}");
    assert!(error.reason.contains("out of inodes") && error.fix.contains("nr_inodes"), "{error}");
    assert_eq!(fs::read_to_string(desk.dir().join("a")).unwrap(), "1");
    desk.publish(&mut sink, &[("a", "2")]);
    desk.assert_shows(&[("a", "2")]);
}

#[test]
fn a_read_only_volume_says_so_and_shows_what_it_had() {
    if !root_or_skip() {
        return;
    }
    let mount = Mount::tmpfs("size=1m");
    let desk = Desk::within(mount.path());
    let mut sink = desk.sink();
    desk.publish(&mut sink, &[("a", "1")]);
    // As long as it is held, the kernel refuses to make it read-only.
    drop(sink);
    mount.again("remount,ro");
    let mut sink = desk.sink();
    assert_refused(&mut sink, desk.dir(), "read-only", "readOnly: true");
    assert_refused(
        &mut FilesSink::new(&settings(&mount.path().join("new"))),
        &mount.path().join("new"),
        "read-only",
        "",
    );
    desk.assert_shows(&[("a", "1")]);
    mount.again("remount,rw");
    desk.publish(&mut sink, &[("a", "2")]);
    desk.assert_shows(&[("a", "2")]);
}

#[test]
fn a_replaced_volume_is_noticed_and_filled_again() {
    let desk = Desk::new().made(0o755);
    let mut sink = desk.sink();
    desk.publish(&mut sink, &[("a", "1")]);
    fs::rename(desk.dir(), desk.root.path().join("old")).unwrap();
    fs::create_dir(desk.dir()).unwrap();
    let published = desk.publish(&mut sink, &[("a", "1")]);
    assert_eq!(changed(&published), ["a"]);
    assert!(published.repaired.iter().any(|told| told.contains("directory itself was replaced")), "{published:?}");
    desk.assert_shows(&[("a", "1")]);
    fs::rename(desk.dir(), desk.root.path().join("older")).unwrap();
    desk.publish(&mut sink, &[("a", "1")]);
    desk.assert_shows(&[("a", "1")]);
}

#[test]
fn a_second_writer_is_kept_out_until_the_first_has_gone() {
    let desk = Desk::new().made(0o777);
    let mut first = desk.sink();
    desk.publish(&mut first, &[("a", "1")]);
    assert_refused(&mut desk.sink(), desk.dir(), "another keyferry", "its own directory");
    let refused = |mut command: Command| {
        command.env("DIR", desk.dir());
        finish(command)
    };
    assert!(refused(child("files::refusals::child_tries")).contains("another keyferry"));
    desk.assert_shows(&[("a", "1")]);
    drop(first);
    desk.publish(&mut desk.sink(), &[("a", "2")]);
    desk.assert_shows(&[("a", "2")]);
}

#[test]
fn who_may_only_read_the_directory_cannot_lock_keyferry_out() {
    let desk = Desk::new().made(0o777);
    let handle = fs::File::open(desk.dir()).unwrap();
    rustix::fs::flock(&handle, rustix::fs::FlockOperation::LockExclusive).unwrap();
    desk.publish(&mut desk.sink(), &[("a", "1")]);
    desk.assert_shows(&[("a", "1")]);
}

#[test]
#[ignore = "a process of other tests: publishes, and prints the refusal"]
fn child_tries() {
    let mut settings = settings(std::env::var_os("DIR").unwrap().as_ref());
    settings.group = std::env::var("GROUP").ok().map(|group| group.parse().unwrap());
    settings.mode = 0o440;
    let mut sink = FilesSink::new(&settings);
    let result = sink.check().and_then(|()| try_publish(&mut sink, &settings.dir, &[("a", "1")]));
    println!("result: {result:?}");
    match (sink.check(), result) {
        (Err(error), _) | (_, Err(error)) => println!("{error}"),
        _ => println!("published"),
    }
}

#[test]
fn a_group_that_is_not_ours_needs_a_line_in_the_pod_spec() {
    if !root_or_skip() {
        return;
    }
    let desk = Desk::new().made(0o777);
    let with_group = |gid, group: u32| {
        let mut command = child_as(OURS, gid, "files::refusals::child_tries");
        command.env("DIR", desk.dir()).env("GROUP", group.to_string());
        finish(command)
    };
    let refused = with_group(OURS, 3000);
    assert!(refused.contains("group 3000 is none of keyferry's own groups"), "{refused}");
    assert!(refused.contains("securityContext: {fsGroup: 3000}"), "{refused}");
    assert!(refused.contains("supplementalGroups: [3000]"), "{refused}");
    assert_eq!(own_names(desk.dir()), ["..lock"]);
    assert!(with_group(3000, 3000).contains("published"));
    // Another uid takes over what is not its own by making it anew.
    desk.assert_shows(&[("a", "1")]);
}

#[test]
fn a_directory_that_is_not_ours_to_write_says_so() {
    if !root_or_skip() {
        return;
    }
    for (mode, missing) in [(0o755, false), (0o755, true), (0o700, false)] {
        let desk = Desk::new();
        let desk = if missing { desk } else { desk.made(mode) };
        let mut command = child_as(OURS, OURS, "files::refusals::child_tries");
        command.env("DIR", desk.dir());
        let refused = finish(command);
        assert!(refused.contains("permission denied"), "{refused}");
        assert!(refused.contains("fsGroup"), "{refused}");
    }
}

#[test]
fn names_are_as_long_as_the_file_system_takes_them() {
    let desk = Desk::new().made(0o755);
    let mut sink = desk.sink();
    let (fits, too_long) = ("n".repeat(255), "n".repeat(256));
    desk.publish(&mut sink, &[(&fits, "1")]);
    desk.assert_shows(&[(&fits, "1")]);
    for path in [too_long.clone(), format!("sub/{too_long}")] {
        let error = try_publish(&mut sink, desk.dir(), &[(&fits, "1"), (&path, "2")]).unwrap_err();
        assert!(error.reason.contains("too long"), "{error}");
        assert!(error.fix.contains("255 bytes"), "{error}");
        assert!(error.path.ends_with(&path), "{error}");
        assert_eq!(fs::read_to_string(desk.dir().join(&fits)).unwrap(), "1");
    }
    desk.publish(&mut sink, &[(&fits, "3")]);
    desk.assert_shows(&[(&fits, "3")]);
}

#[test]
fn no_path_leaves_the_directory() {
    let desk = Desk::new().made(0o755);
    let mut sink = desk.sink();
    for path in ["../out", "..data", "..data/x", "a/../../out", "/dev/shm/keyferry-out"] {
        let error = try_publish(&mut sink, desk.dir(), &[("a", "1"), (path, "2")]).unwrap_err();
        assert!(error.reason.contains("leave the directory"), "{error}");
    }
    assert!(!desk.root.path().join("out").exists() && !Path::new("/dev/shm/keyferry-out").exists());
    desk.publish(&mut sink, &[("a", "1")]);
    desk.assert_shows(&[("a", "1")]);
}

#[test]
fn what_another_uid_put_in_the_way_of_a_sticky_directory_is_named() {
    if !root_or_skip() {
        return;
    }
    let desk = Desk::new().made(0o1777);
    fs::write(desk.dir().join("a"), "theirs").unwrap();
    let mut command = child_as(OURS, OURS, "files::refusals::child_tries");
    command.env("DIR", desk.dir());
    let refused = finish(command);
    assert!(refused.contains("sticky bit"), "{refused}");
    assert!(refused.contains("/app/a"), "{refused}");
    assert_eq!(fs::read_to_string(desk.dir().join("a")).unwrap(), "theirs");
}
