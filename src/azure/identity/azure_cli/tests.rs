#![expect(clippy::disallowed_methods, reason = "tests write files and look at clocks")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

const NOW: u64 = 1_700_000_000;

fn token(succeeded: bool, stdout: &str, stderr: &str) -> Result<(Vec<u8>, u64), Failure> {
    let [stdout, stderr] = [stdout, stderr].map(|text| SecretValue::new(text.as_bytes().to_vec()));
    let output = Output { succeeded, stdout, stderr };
    let token = output.token(UnixTime::from_seconds(NOW).unwrap());
    token.map(|(token, life)| (token.expose().to_vec(), life.as_secs()))
}

#[test]
fn the_epoch_is_preferred_to_local_time() {
    let both = r#"{"accessToken": "a.b.c", "expiresOn": "2001-01-01 00:00:00.000000", "expires_on": 1700003600, "tenant": "t"}"#;
    assert_eq!(token(true, both, "WARNING: a warning"), Ok((b"a.b.c".to_vec(), 3600)));
    let local = r#"{"accessToken": "a.b.c", "expiresOn": "2030-01-01 00:00:00.000000"}"#;
    assert_eq!(token(true, local, ""), Ok((b"a.b.c".to_vec(), UNTOLD_LIFE.as_secs())));
}

#[test]
fn what_it_cannot_do_is_told_apart_and_never_repeated() {
    let table = [
        (false, "", "ERROR: Please run 'az login' to setup account. hunter2", "az-not-logged-in"),
        (false, "", "ERROR: AADSTS50076: hunter2 must use multi-factor", "AADSTS50076"),
        (false, "", "ERROR: AADSTS: hunter2", "az-failed"),
        (false, "", "ERROR: hunter2 Connection refused", "az-failed"),
        (false, r#"{"accessToken": "hunter2"}"#, "", "az-failed"),
        (true, "hunter2", "", "az-bad-answer"),
        (true, r#"{"accessToken": ""}"#, "", "az-bad-answer"),
        (true, r#"{"accessToken": "hunter2\r\nX: y", "expires_on": 1700003600}"#, "", "az-bad-answer"),
        (true, r#"{"accessToken": "hunter2", "expires_on": 1600000000}"#, "", "az-bad-answer"),
        (true, r#"{"accessToken": "hunter2", "expires_on": 18446744073709551615}"#, "", "az-bad-answer"),
    ];
    for (succeeded, stdout, stderr, code) in table {
        let failure = token(succeeded, stdout, stderr).unwrap_err();
        assert_eq!((failure.blame, failure.code.as_str()), (Blame::Identity, code), "{stdout}{stderr}");
        assert!(!format!("{failure} {failure:?}").contains("hunter2"), "{failure:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_is_ended_with_all_it_has_started() {
    // It waits for what it has started, or leaves it behind with the pipes in its hands.
    for then in ["wait", "exit 0"] {
        let folder = tempfile::tempdir().unwrap();
        let (program, pid) = (folder.path().join("az"), folder.path().join("pid"));
        let script = format!("#!/bin/sh\n/bin/sleep 1000 &\necho $! > {}\n{then}\n", pid.display());
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        let mut running = Running { child: command(&program).spawn().unwrap(), ended: false };
        let pid = loop {
            if let Some(pid) = fs::read_to_string(&pid).ok().filter(|pid| pid.ends_with('\n')) {
                break pid.trim().to_owned();
            }
            std::thread::yield_now();
        };
        // The paused clock jumps to the deadline as soon as nothing but the pipes is waited for.
        let failure = running.within(PATIENCE).await.unwrap_err();
        assert_eq!((failure.kind, failure.code.as_str()), (Kind::Outage, "az-timeout"));
        drop(running);
        // Whoever adopts what it has started may be slow to reap it.
        let is_dead = || fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "));
        while !is_dead() {
            std::thread::yield_now();
        }
    }
}

fn command(program: &std::path::Path) -> Command {
    AzureCli { program: program.to_owned(), tenant: None }.command("scope")
}
