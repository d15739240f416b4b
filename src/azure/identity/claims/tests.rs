use super::*;

fn token(payload: &str) -> String {
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
}

#[test]
fn what_a_code_is_about_is_told() {
    let own =
        token(r#"{"iss":"https://oidc.example/","sub":"system:serviceaccount:shop:app","aud":["a://b","c"],"exp":1}"#);
    for (code, expected) in [
        ("AADSTS700211", Some("the token's issuer is 'https://oidc.example/'")),
        ("AADSTS700212", Some("the token's audience is 'a://b, c'")),
        (
            "AADSTS70021",
            Some(
                "the token's issuer is 'https://oidc.example/', the token's subject is 'system:serviceaccount:shop:app', \
                  the token's audience is 'a://b, c'",
            ),
        ),
        ("AADSTS700213", Some("the token's subject is 'system:serviceaccount:shop:app'")),
        ("AADSTS700024", None),
        ("http-403", None),
    ] {
        assert_eq!(told(own.as_bytes(), about(code)).as_deref(), expected, "{code}");
    }
}

#[test]
fn what_is_no_plain_name_is_not_told() {
    let long = format!(r#"{{"sub":"{}"}}"#, "x".repeat(LONGEST + 1));
    for payload in [
        "{}",
        r#"{"sub":"https://oidc.example/11111111-1111-1111-1111-111111111111/"}"#,
        r#"{"sub":1}"#,
        r#"{"sub":["a",1]}"#,
        "[]",
        "",
        r#"{"sub":"a\nb"}"#,
        r#"{"sub":"ä"}"#,
        &long,
    ] {
        assert_eq!(told(token(payload).as_bytes(), about("AADSTS700213")), None, "{payload}");
    }
    for token in ["", "a", "a.%.c", "a.e30.c.d", "..", "a.b"] {
        assert_eq!(told(token.as_bytes(), about("AADSTS700213")), None, "{token}");
    }
}
