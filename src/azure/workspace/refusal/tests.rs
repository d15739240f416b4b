use azure_core::http::headers::Headers;

use super::*;

fn refused(status: u16, body: &str) -> (Blame, Kind, String) {
    let failure = failure(&RawResponse::from_bytes(status.into(), Headers::new(), body.as_bytes().to_vec()));
    (failure.blame, failure.kind, failure.code.to_string())
}

#[test]
fn only_the_resource_managers_own_word_is_a_refusal() {
    let coded = |code: &str, inner: &str| {
        format!(r#"{{"error":{{"code":"{code}","message":"m","innerError":{{"code":"{inner}"}}}}}}"#)
    };
    let table = [
        (
            403,
            r#"{"error":{"code":"AuthorizationFailed"}}"#.to_owned(),
            Blame::Object,
            Kind::Denied,
            "AuthorizationFailed",
        ),
        (404, coded("UserError", "NotFoundError"), Blame::Object, Kind::Missing, "NotFoundError"),
        (404, r#"{"error":{"code":"ResourceNotFound"}}"#.to_owned(), Blame::Object, Kind::Missing, "ResourceNotFound"),
        // The wrong path or version of the service, not the wrong connection.
        (
            404,
            r#"{"error":{"code":"InvalidResourceType"}}"#.to_owned(),
            Blame::Object,
            Kind::Outage,
            "InvalidResourceType",
        ),
        // A gateway's page, a proxy's JSON, nothing at all: nobody has taken anything away.
        (403, "<html>403</html>".to_owned(), Blame::Object, Kind::Outage, "http-403"),
        (403, r#"{"error":"blocked"}"#.to_owned(), Blame::Object, Kind::Outage, "http-403"),
        (404, "<html>404</html>".to_owned(), Blame::Object, Kind::Outage, "http-404"),
        (404, String::new(), Blame::Object, Kind::Outage, "http-404"),
    ];
    for (status, body, blame, kind, code) in table {
        assert_eq!(refused(status, &body), (blame, kind, code.to_owned()), "{status} {body}");
    }
}
