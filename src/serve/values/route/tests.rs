use super::*;

fn route(method: &str, target: &str, accept: &str) -> Result<Asked, (u16, &'static str)> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, accept.parse().unwrap());
    let uri: Uri = target.parse().unwrap();
    asked(&method.parse().unwrap(), &uri, &headers).map_err(|refusal| (refusal.status.as_u16(), refusal.code))
}

fn get(target: &str) -> Result<Asked, (u16, &'static str)> {
    route("GET", target, "*/*")
}

fn wish(name: &str) -> Wish {
    Wish { name: SecretName::parse(name).unwrap(), part: None, wait: None, json: false }
}

#[test]
fn what_is_there_is_found() {
    assert_eq!(get("/v1/secrets"), Ok(Asked::Secrets));
    assert_eq!(get("/v1/watch"), Ok(Asked::Watch));
    assert_eq!(get("/v1/status"), Ok(Asked::Status));
    assert_eq!(get("/v1/secrets/db"), Ok(Asked::Secret(wish("db"))));
    assert_eq!(route("HEAD", "/v1/secrets/db", "*/*"), Ok(Asked::Secret(wish("db"))));
    assert_eq!(
        route("GET", "/v1/secrets/db", "application/json"),
        Ok(Asked::Secret(Wish { json: true, ..wish("db") }))
    );
    let (part, wait) = (Some(Part::Key), Some(Duration::from_mins(1)));
    assert_eq!(get("/v1/secrets/web?part=key&wait=60s"), Ok(Asked::Secret(Wish { part, wait, ..wish("web") })));
    assert_eq!(route("POST", "/v1/refresh", "*/*"), Ok(Asked::Refresh));
}

#[test]
fn the_variables_are_written_as_is_wanted() {
    let cases = [
        ("", "*/*", Syntax::Json),
        ("", "", Syntax::Json),
        ("", "application/json", Syntax::Json),
        ("", "text/plain", Syntax::Dotenv),
        ("", "text/html, TEXT/PLAIN;q=0.5", Syntax::Dotenv),
        ("", "application/x-sh", Syntax::Sh),
        ("?format=sh", "application/json", Syntax::Sh),
        ("?format=dotenv", "", Syntax::Dotenv),
        ("?format=envfile", "", Syntax::EnvFile),
    ];
    for (query, accept, syntax) in cases {
        assert_eq!(route("GET", &format!("/v1/env{query}"), accept), Ok(Asked::Env(syntax)), "{query} {accept}");
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v1/env/",
        "//v1/env",
        "/V1/env",
        "/v1/../v1/env",
        "/v1/%65nv",
        "/v1/secret",
        "/v2/env",
        "*",
        "/metrics",
        "/v1/watch/x",
        "/v1/envx",
    ] {
        assert_eq!(get(path), Err((404, "NotFound")), "{path}");
    }
    for path in [
        "/v1/secrets/",
        "/v1/secrets/..",
        "/v1/secrets/../env",
        "/v1/secrets/a/b",
        "/v1/secrets/%64b",
        "/v1/secrets/a%00",
        "/v1/secrets/a%2fb",
        "/v1/secrets//",
        "/v1/secrets/A_b%20",
    ] {
        assert_eq!(get(path), Err((404, "SecretNotFound")), "{path}");
    }
}

#[test]
fn a_method_is_for_what_it_does() {
    for (method, path, allowed) in
        [("POST", "/v1/env", "GET, HEAD"), ("DELETE", "/v1/secrets/a", "GET, HEAD"), ("GET", "/v1/refresh", "POST")]
    {
        let refusal = asked(&method.parse().unwrap(), &path.parse().unwrap(), &HeaderMap::new()).unwrap_err();
        assert_eq!(refusal.code, "MethodNotAllowed");
        assert_eq!(refusal.header, Some((ALLOW, HeaderValue::from_static(allowed))), "{method} {path}");
    }
    for method in ["OPTIONS", "TRACE", "CONNECT", "PUT", "PATCH", "get"] {
        assert_eq!(route(method, "/v1/secrets/a", ""), Err((405, "MethodNotAllowed")), "{method}");
    }
}

#[test]
fn parameters_are_known_and_given_once() {
    let cases = [
        ("/v1/env?fmt=json", "UnknownParameter"),
        ("/v1/env?wait=1s", "UnknownParameter"),
        ("/v1/secrets?name=a", "UnknownParameter"),
        ("/v1/secrets/a?format=json", "UnknownParameter"),
        ("/v1/watch?Wait=1s", "UnknownParameter"),
        ("/v1/env?format=json&format=sh", "RepeatedParameter"),
        ("/v1/env?format=yaml", "WrongParameter"),
        ("/v1/env?format", "WrongParameter"),
        ("/v1/secrets/a?part=secret", "WrongParameter"),
        ("/v1/secrets/a?part=value", "WrongParameter"),
        ("/v1/secrets/a?wait=", "WrongParameter"),
        ("/v1/secrets/a?wait=-1s", "WrongParameter"),
        ("/v1/secrets/a?wait=6m", "WrongParameter"),
        ("/v1/secrets/a?wait=99999999999999999999y", "WrongParameter"),
        ("/v1/secrets/a?wait=1%73", "WrongParameter"),
    ];
    for (target, code) in cases {
        assert_eq!(get(target), Err((400, code)), "{target}");
    }
}

#[test]
fn metrics_name_routes_and_never_secrets() {
    assert_eq!(name("/v1/secrets/db-password"), "secret");
    assert_eq!(name("/v1/secrets"), "secrets");
    assert_eq!(name("/v1/db-password"), "other");
}
