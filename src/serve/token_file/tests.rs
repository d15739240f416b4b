#![expect(clippy::disallowed_methods, reason = "what is written is a file")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use super::*;

#[test]
fn each_start_has_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    let first = write(&path, true).unwrap();
    assert_eq!(fs::read(&path).unwrap(), first.expose());
    assert_eq!(first.expose().len(), 43);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o440);
    let second = write(&path, true).unwrap();
    assert!(!first.ct_eq(&second));
    assert_eq!(fs::read(&path).unwrap(), second.expose());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else stays");
}

#[test]
fn nobody_s_file_is_destroyed() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("file"), "somebody's").unwrap();
    fs::create_dir(at("dir")).unwrap();
    symlink(at("file"), at("link")).unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    for name in ["file", "dir", "link", "dangling"] {
        let refused = write(&at(name), true).map(drop).unwrap_err();
        assert!(refused.contains("is there already"), "{refused}");
    }
    assert_eq!(fs::read_to_string(at("file")).unwrap(), "somebody's");
    assert!(!at("nowhere").exists());
    let refused = write(&at("no/such/dir"), true).map(drop).unwrap_err();
    assert!(refused.contains("mount a volume"), "{refused}");
}

#[test]
fn what_a_crash_has_left_is_in_nobody_s_way_and_nobody_s_file_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    let planted = dir.path().join(format!(".token.{}", std::process::id()));
    fs::write(&planted, "somebody's").unwrap();
    drop(write(&path, true).unwrap());
    assert_eq!(fs::read_to_string(planted).unwrap(), "somebody's");
    let before = fs::metadata(&path).unwrap().ino();
    drop(write(&path, true).unwrap());
    assert_ne!(
        fs::metadata(&path).unwrap().ino(),
        before,
        "it is put in the old one's place, whose readers keep theirs"
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn where_it_cannot_be_put_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("taken")).unwrap();
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let handle = openat(CWD, dir.path(), flags, Mode::empty()).unwrap();
    // Somebody has made a directory of that name since it was looked.
    put(&handle, OsStr::new("taken"), &SecretValue::new(b"x".to_vec())).unwrap_err();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn it_is_written_to_no_disk_unless_that_is_wanted() {
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    drop(write(&memory.path().join("token"), false).unwrap());
    // Whatever this is, it is no memory of ours.
    let elsewhere = Path::new("/proc/self/token");
    let refused = write(elsewhere, false).map(drop).unwrap_err();
    assert!(refused.contains("is not on tmpfs") && refused.ends_with("or set `allowDisk: true`"), "{refused}");
    let tried = write(elsewhere, true).map(drop).unwrap_err();
    assert!(tried.contains("cannot be written"), "{tried}");
}
