#![expect(clippy::disallowed_methods, reason = "files are what is looked at")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[test]
fn the_kernel_gives_a_quarter_of_the_stack_s_limit_within_bounds() {
    for (stack, expected) in [
        (None, 6 << 20),
        (Some(u64::MAX), 6 << 20),
        (Some(64 << 20), 6 << 20),
        (Some(8 << 20), 2 << 20),
        (Some(1 << 20), 256 << 10),
        (Some(64 << 10), 128 << 10),
    ] {
        assert_eq!(most(stack), expected, "{stack:?}");
    }
}

#[test]
fn what_is_refused_is_what_the_kernel_refuses() {
    let most = most(getrlimit(Resource::Stack).current);
    let each = 100 << 10;
    for (count, fits_it) in [(1, true), (most / each - 1, true), (most / each + 1, false)] {
        let mut command = Command::new("/bin/true");
        command.env_clear();
        for number in 0..count {
            command.env(format!("V{number}"), "x".repeat(usize::try_from(each).unwrap()));
        }
        // What is cleared is not told by `get_envs`.
        let lengths = command.get_envs().map(|(name, value)| (name.to_owned(), value.unwrap().len())).collect();
        let checked = fit(&command, &lengths, most);
        assert_eq!(checked.is_ok(), fits_it, "{count}: {checked:?}");
        assert_eq!(command.status().is_ok(), fits_it, "{count}");
        if let Err(reason) = checked {
            assert!(reason.contains("such as V") && reason.contains("of 100 KiB"), "{reason}");
        }
    }
}

#[test]
fn a_program_is_there_if_it_may_be_executed() {
    let path = Some(OsStr::new("/no/such:/usr/bin:/bin"));
    for (program, path) in [("/bin/sh", None), ("sh", path), ("sh", None)] {
        assert!(found(OsStr::new(program), path).unwrap().ends_with("sh"), "{program}");
    }
    let nowhere = OsStr::new("/no/such");
    for (program, path, piece) in [
        ("/no/such/program", None, "is not there any more"),
        ("/etc/passwd/program", None, "is not there any more"),
        ("sh", Some(nowhere), "is not there any more"),
        ("/etc", None, "is no file any more"),
        ("/etc/passwd", None, "is no file any more"),
    ] {
        let reason = found(OsStr::new(program), path).unwrap_err();
        assert!(reason.starts_with(&format!("'{program}' {piece}")), "{reason}");
    }
}

#[test]
fn a_script_needs_its_interpreter() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("app");
    for (text, expected) in [
        ("#!/bin/sh\n", Ok(())),
        ("#! /usr/bin/env sh\n", Ok(())),
        ("#!/bin/sh", Ok(())),
        ("neither", Ok(())),
        ("#!/no/such/python -E\nprint()\n", Err("is a script for '/no/such/python', which cannot be executed")),
        ("#!\n", Err("is a script for '', which")),
        ("#!/bin/sh\r\n", Err("which cannot be executed")),
        ("", Err("is empty")),
    ] {
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        match (found(script.as_os_str(), None), expected) {
            (Ok(_), Ok(())) => {}
            (Err(reason), Err(piece)) => assert!(reason.contains(piece), "{reason}"),
            (found, _) => panic!("{text:?}: {found:?}"),
        }
    }
}

#[test]
fn the_next_of_path_is_taken_where_the_first_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("sh");
    fs::write(&script, "#!/no/such/python\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", dir.path().display());
    assert!(!found(OsStr::new("sh"), Some(OsStr::new(&path))).unwrap().starts_with(dir.path()));
}
