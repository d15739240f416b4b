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
