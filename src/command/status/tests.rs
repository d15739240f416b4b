use super::*;

fn secret(name: &str) -> SecretReport {
    SecretReport {
        name: name.to_owned(),
        reference: format!("keyvault:main/secrets/{name}"),
        required: true,
        origin: "primary".to_owned(),
        version: Some("0123456789abcdef0123456789abcdef".to_owned()),
        age_seconds: Some(3 * 3600 + 62),
        last_success: None,
        expires: None,
        next_refresh: Some("2026-01-01T00:12:30Z".to_owned()),
        stale: false,
        revoked: false,
        error: None,
    }
}

#[test]
fn it_is_a_table_and_what_is_wrong() {
    let denied = SecretReport {
        origin: "none".to_owned(),
        version: None,
        age_seconds: None,
        next_refresh: None,
        error: Some("denied (ForbiddenByRbac)".to_owned()),
        ..secret("api")
    };
    let token = SecretReport {
        reference: "entra:https://x/.default".to_owned(),
        version: Some("#2".to_owned()),
        expires: Some("2026-01-01T01:00:00Z".to_owned()),
        ..secret("token")
    };
    let directories = vec![DirectoryReport { dir: "/run/app".to_owned(), generation: Some(3), error: None }];
    let report = Report { ready: false, secrets: vec![secret("db"), denied, token], directories, hooks: Vec::new() };
    let now = SystemTime::UNIX_EPOCH.elapsed().map(|_| humantime::parse_rfc3339("2026-01-01T00:00:00Z").unwrap());
    let now = now.unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let expected = "\
NAME    REFERENCE                   VERSION    AGE    EXPIRES IN   NEXT IN   STATE
db      keyvault:main/secrets/db    01234567   3h1m   -            12m30s    ok
api     keyvault:main/secrets/api   -          -      -            -         failing, no value
token   entra:https://x/.default    #2         3h1m   1h           12m30s    ok

DIRECTORY   GENERATION
/run/app    3

api: denied (ForbiddenByRbac)
'keyferry check' says what to do about it.

Not ready: not every required secret has been published.
";
    assert_eq!(shown(&report, now), expected);
}

#[test]
fn a_port_is_asked_beside_this_process() {
    let of = |listen: &str| beside(Listen::parse(listen).unwrap()).to_string();
    assert_eq!(of(":8211"), "127.0.0.1:8211");
    assert_eq!(of("0.0.0.0:1"), "127.0.0.1:1");
    assert_eq!(of("[::]:1"), "[::1]:1");
    assert_eq!(of("10.0.0.1:1"), "10.0.0.1:1");
}
