use hyper::Request;

use super::*;

fn checked(target: &str, headers: &[(&str, &str)], body: &str) -> Result<(), (u16, &'static str)> {
    let mut request = Request::builder().uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    check(&request.body(body.to_owned()).unwrap()).map_err(|refusal| (refusal.status.as_u16(), refusal.code))
}

#[test]
fn a_host_is_this_machine_as_everybody_writes_it() {
    for host in ["localhost", "LocalHost:8210", "127.0.0.1", "127.0.0.1:1", "127.9.9.9:65535", "[::1]", "[::1]:8210"] {
        assert_eq!(checked("/", &[("host", host)], ""), Ok(()), "{host}");
    }
    let others = [
        "evil.example",
        "localhost.",
        "localhost.evil.example",
        "evil.localhost",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "127.0.0.1.",
        "127.0.0.1.nip.io",
        "0.0.0.0",
        "169.254.169.254",
        "10.0.0.1",
        "[::ffff:127.0.0.1]",
        "[::]",
        "::1",
        "localhost:",
        "localhost:x",
        "localhost:123456",
        "user@localhost",
        "localhost, evil.example",
        "",
        "[::1",
        "localhost:80:80",
        "127.0.0.1\t",
    ];
    for host in others {
        assert_eq!(checked("/", &[("host", host)], "").map_err(|error| error.1), Err("HostNotLocal"), "{host:?}");
    }
    assert_eq!(checked("/", &[], ""), Err((400, "HostMissing")));
    assert_eq!(checked("/", &[("host", "localhost"), ("host", "localhost")], ""), Err((400, "HostMissing")));
}

#[test]
fn what_came_through_others_is_refused() {
    let foreign = [
        ("Origin", "http://localhost"),
        ("Origin", "null"),
        ("Forwarded", "for=10.0.0.1"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("x-forwarded-host", "localhost"),
        ("X-FORWARDED-PROTO", ""),
        ("X-Real-IP", "127.0.0.1"),
        ("Via", "1.1 proxy"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Sec-Fetch-Mode", "no-cors"),
    ];
    for header in foreign {
        let refused = checked("/", &[("host", "localhost"), header], "");
        assert_eq!(refused, Err((403, "ForwardedOrCrossOrigin")), "{header:?}");
    }
    let own = [("user-agent", "curl"), ("accept", "*/*"), ("x-request-id", "1"), ("traceparent", "00-1-1-00")];
    assert_eq!(checked("/", &[&[("host", "localhost")], &own[..]].concat(), ""), Ok(()));
}

#[test]
fn a_request_is_for_a_path_and_without_a_body() {
    let host = [("host", "localhost")];
    assert_eq!(checked("http://localhost/v1/env", &host, ""), Err((400, "NoProxy")));
    assert_eq!(checked("http://169.254.169.254/", &host, ""), Err((400, "NoProxy")));
    assert_eq!(checked("/", &host, "x"), Err((400, "BodyNotAllowed")));
}

#[test]
fn it_is_meant() {
    let with = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(MEANT, value.parse().unwrap());
        }
        check_meant(&headers).is_ok()
    };
    assert!(with(&["true"]));
    for values in [&[][..], &["1"], &["True"], &["true, true"], &["true", "true"], &["false", "true"], &[""]] {
        assert!(!with(values), "{values:?}");
    }
}
