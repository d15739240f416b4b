use hyper::{Request, StatusCode};

use super::{Route, route};

fn asked(method: &str, target: &str, body: &str) -> Result<Route, StatusCode> {
    let request = Request::builder().method(method).uri(target).body(body.to_owned()).unwrap();
    route(&request).map_err(|said| said.status)
}

#[test]
fn only_what_is_there_is_answered() {
    assert_eq!(asked("GET", "/livez", ""), Ok(Route::Live));
    assert_eq!(asked("HEAD", "/readyz", ""), Ok(Route::Ready));
    assert_eq!(asked("GET", "/readyz?verbose", ""), Ok(Route::Ready));
    assert_eq!(asked("GET", "/metrics", ""), Ok(Route::Metrics));
    for path in ["/", "/livez/", "//livez", "/LIVEZ", "/livez/../readyz", "/%6civez", "/v1/secrets", "/readyz%00", "*"]
    {
        assert_eq!(asked("GET", path, ""), Err(StatusCode::NOT_FOUND), "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "FOO"] {
        assert_eq!(asked(method, "/readyz", ""), Err(StatusCode::METHOD_NOT_ALLOWED), "{method}");
    }
    assert_eq!(asked("GET", "/livez", "body"), Err(StatusCode::BAD_REQUEST));
    assert_eq!(asked("GET", "http://vault.azure.net/livez", ""), Err(StatusCode::BAD_REQUEST));
    assert_eq!(asked("CONNECT", "vault.azure.net:443", ""), Err(StatusCode::BAD_REQUEST));
}
