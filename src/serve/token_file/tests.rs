use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

#[test]
fn each_start_has_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    let first = write(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), first.expose());
    assert_eq!(first.expose().len(), 43);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o440);
    let second = write(&path).unwrap();
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
        let refused = write(&at(name)).map(drop).unwrap_err();
        assert!(refused.contains("is there already"), "{refused}");
    }
    assert_eq!(fs::read_to_string(at("file")).unwrap(), "somebody's");
    assert!(!at("nowhere").exists());
    let refused = write(&at("no/such/dir")).map(drop).unwrap_err();
    assert!(refused.contains("mount a volume"), "{refused}");
}
