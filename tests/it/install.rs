//! `keyferry install`: the program in a volume that others share.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{Ended, as_user, binary, end, root_or_skip};

fn volume() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("keyferry-install-").tempdir().unwrap()
}

fn install(dir: &Path) -> Ended {
    end(&mut binary(&["install", dir.to_str().unwrap()]))
}

fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[test]
fn it_is_there_whole_and_can_be_started() {
    let volume = volume();
    let path = volume.path().join("keyferry");
    let narrow = format!("umask 077; exec {} install {}", env!("CARGO_BIN_EXE_keyferry"), volume.path().display());
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &narrow]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = end(&mut shell);
    ended.expect(0, &[]);
    assert!(ended.stderr.contains("keyferry is keyferry "), "{}", ended.stderr);
    assert!(ended.stdout.is_empty());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o555);
    assert!(fs::read(&path).unwrap() == fs::read(env!("CARGO_BIN_EXE_keyferry")).unwrap());
    // Where an older one runs, a newer one takes its place, and what a crash has left goes.
    fs::write(volume.path().join(".keyferry-new"), "half").unwrap();
    let mut running = Command::new(&path);
    let mut running =
        running.args(["exec", "--", "/bin/cat"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    install(volume.path()).expect(0, &[]);
    drop(running.stdin.take());
    assert!(running.wait().unwrap().success());
    assert_eq!(names(volume.path()), ["keyferry"]);
    let mut command = Command::new(&path);
    command.args(["exec", "--", "/bin/echo", "started"]).env_clear();
    let ended = end(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    assert_eq!((ended.code, &*ended.stdout), (Some(0), &b"started\n"[..]));
}

#[test]
fn where_it_cannot_be_it_says_why() {
    let volume = volume();
    end(&mut binary(&["install"])).expect(64, &["DIR"]);
    install(&volume.path().join("absent")).expect(73, &["keyferry cannot be written", "mount a volume there"]);
    install(Path::new("/dev/null")).expect(73, &["/dev/null/keyferry cannot be written"]);
    fs::create_dir(volume.path().join("keyferry")).unwrap();
    install(volume.path()).expect(73, &["is there already and is no file"]);
    assert_eq!(names(volume.path()), ["keyferry"]);
}

#[test]
fn volumes_that_do_not_suit_are_refused() {
    if !root_or_skip() {
        return;
    }
    let volume = volume();
    let mounted = |options: &str| {
        let script = format!(
            "mount -t tmpfs -o {options} tmpfs \"$1\" && \"$0\" install \"$1\"; ended=$?; ls -A \"$1\"; exit $ended"
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "/bin/sh", "-c", &script, env!("CARGO_BIN_EXE_keyferry")]).arg(volume.path());
        end(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))
    };
    for (options, reason) in
        [("size=1m", "raise the volume's 'sizeLimit'"), ("noexec", "is mounted noexec"), ("ro", "without readOnly")]
    {
        let ended = mounted(options);
        ended.expect(73, &[reason]);
        assert!(ended.stdout.is_empty(), "something is left behind: {ended:?}");
    }
    fs::set_permissions(volume.path(), fs::Permissions::from_mode(0o755)).unwrap();
    end(&mut as_user(1000, &binary(&["install", volume.path().to_str().unwrap()])))
        .expect(73, &["let this user write there"]);
}

#[test]
fn a_program_that_may_only_be_run_says_which_can_be_installed() {
    if !root_or_skip() {
        return;
    }
    let (image, volume) = (volume(), volume());
    for dir in [&image, &volume] {
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    }
    let program = image.path().join("keyferry");
    // By a process of its own: what another test starts meanwhile would have it open for writing.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_keyferry")).arg(&program).status().unwrap();
    assert!(copied.success());
    fs::set_permissions(&program, fs::Permissions::from_mode(0o111)).unwrap();
    let mut command = Command::new(&program);
    command.arg("install").arg(volume.path()).env_clear().uid(1000);
    end(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))
        .expect(77, &["cannot be read", "--target install"]);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o555)).unwrap();
    end(&mut command).expect(0, &[]);
}
