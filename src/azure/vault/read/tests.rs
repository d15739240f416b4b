use super::*;
use crate::moment::UnixTime;

const VERSION: &str = "0123456789abcdef0123456789abcdef";

fn body(attributes: &str) -> String {
    format!(r#"{{"value":"v","id":"https://a.vault.azure.net/secrets/n/{VERSION}","attributes":{attributes}}}"#)
}

#[test]
fn whatever_a_time_is_the_value_comes() {
    for hostile in ["-1", "9007199254740992", "9223372036854775808", "1e308", "\"soon\"", "null", "{}", "1.5", "[]"] {
        let fetched = secret(
            body(&format!(r#"{{"enabled":true,"exp":{hostile},"updated":{hostile},"nbf":{hostile}}}"#)).as_bytes(),
        );
        let fetched = fetched.unwrap_or_else(|failure| panic!("{hostile}: {failure}"));
        assert_eq!(fetched.expires, None, "{hostile}");
    }
    let exp = |exp: &str| secret(body(&format!(r#"{{"exp":{exp}}}"#)).as_bytes()).unwrap().expires;
    assert_eq!(exp("0"), UnixTime::from_seconds(0));
    assert_eq!(exp("1700000000"), UnixTime::from_seconds(1_700_000_000));
    assert!(secret(body("null").as_bytes()).is_ok());
}

#[test]
fn what_is_no_secret_is_refused() {
    for bad in [
        "",
        "<html>",
        "[]",
        "{}",
        r#"{"value":null}"#,
        r#"{"value":"v"}"#,
        r#"{"value":"v","id":"https://a.vault.azure.net/secrets/n"}"#,
        r#"{"value":5,"id":"x"}"#,
    ] {
        let failure = secret(bad.as_bytes()).unwrap_err();
        assert_eq!((failure.blame, failure.kind), (Blame::Object, Kind::Outage), "{bad}");
    }
}
