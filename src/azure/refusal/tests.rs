use azure_core::http::headers::Headers;

use super::*;

fn refused(status: u16, body: &str) -> (Blame, Kind, String) {
    let failure = failure(&RawResponse::from_bytes(status.into(), Headers::new(), body.as_bytes().to_vec()));
    (failure.blame, failure.kind, failure.code.to_string())
}

#[test]
fn only_the_vaults_own_word_is_a_refusal() {
    let coded = |code: &str, inner: &str| {
        format!(r#"{{"error":{{"code":"{code}","message":"m","innererror":{{"code":"{inner}"}}}}}}"#)
    };
    let table = [
        (403, coded("Forbidden", "ForbiddenByRbac"), Blame::Object, Kind::Denied, "ForbiddenByRbac"),
        (403, r#"{"error":{"code":"Forbidden"}}"#.to_owned(), Blame::Object, Kind::Denied, "Forbidden"),
        (404, coded("SecretNotFound", "x"), Blame::Object, Kind::Outage, "x"),
        (404, r#"{"error":{"code":"SecretNotFound"}}"#.to_owned(), Blame::Object, Kind::Missing, "SecretNotFound"),
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
