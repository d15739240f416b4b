use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};

use super::*;

fn at(seconds: u64) -> UnixTime {
    UnixTime::new(Duration::from_millis(seconds * 1000 + 400))
}

fn text(shape: Shape, token: &[u8], client: Option<&str>) -> Option<String> {
    let scope = Scope::parse("https://cognitiveservices.azure.com/.default").unwrap();
    let minted = Minted { value: SecretValue::new(token.to_vec()), expires: at(1_700_003_599) };
    let written = written(shape, &minted, (&scope, client), at(1_700_000_000))?;
    Some(String::from_utf8(written.expose().to_vec()).unwrap())
}

#[test]
fn tokens_are_written_as_azure_s_services_do() {
    // Members and their order as recorded of IMDS, and as App Service documents them.
    let imds = r#"{"access_token":"a.b.c","client_id":"id","expires_in":"3599","expires_on":"1700003599","ext_expires_in":"3599","not_before":"1700000000","resource":"https://cognitiveservices.azure.com","token_type":"Bearer"}"#;
    assert_eq!(text(Shape::Imds, b"a.b.c", Some("id")).as_deref(), Some(imds));
    let app_service = r#"{"access_token":"a.b.c","expires_on":"1700003599","resource":"https://cognitiveservices.azure.com","token_type":"Bearer","client_id":"id"}"#;
    assert_eq!(text(Shape::AppService, b"a.b.c", Some("id")).as_deref(), Some(app_service));
    for shape in [Shape::Imds, Shape::AppService] {
        assert!(!text(shape, b"a.b.c", None).unwrap().contains("client_id"));
        assert_eq!(text(shape, b"\xff", None), None, "no text");
        let odd = text(shape, b"\"\\\x01", None).unwrap();
        let read: serde_json::Value = serde_json::from_str(&odd).unwrap();
        assert_eq!(read["access_token"], "\"\\\u{1}");
    }
}

#[tokio::test]
async fn refusals_are_read_by_whoever_asked() {
    let refusal = || {
        let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "a \"reason\"");
        refusal.with(RETRY_AFTER, 7.into())
    };
    for (shape, body) in [
        (Shape::Imds, r#"{"error":"too_many_requests","error_description":"a \"reason\""}"#),
        (Shape::AppService, r#"{"statusCode":429,"message":"too_many_requests: a \"reason\""}"#),
    ] {
        let response = refused(shape, refusal());
        assert_eq!(response.status(), 429);
        let header = |name| response.headers().get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(header(RETRY_AFTER), "7");
        assert_eq!(header(CACHE_CONTROL), "no-store");
        assert_eq!(header(CONTENT_TYPE), "application/json");
        let read = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(std::str::from_utf8(&read).unwrap().trim_end(), body);
    }
}
