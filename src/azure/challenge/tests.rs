use azure_core::http::headers::HeaderValue;

use super::*;

const TENANT: &str = "11111111-1111-1111-1111-111111111111";

fn verify(challenge: &str, tenant: &str) -> Result<(), String> {
    let cloud = Cloud {
        authority: "https://login.microsoftonline.com".to_owned(),
        vault_suffix: "vault.azure.net".to_owned(),
        vault_audience: "https://vault.azure.net".to_owned(),
        resource_manager: None,
        resource_manager_audience: None,
        custom: false,
    };
    let identity = IdentityName("default".to_owned());
    let expected = Expected::new(&cloud, BTreeMap::from([(identity.clone(), tenant.to_owned())]));
    let mut headers = Headers::new();
    headers.insert(WWW_AUTHENTICATE, HeaderValue::from(challenge.to_owned()));
    expected.hear(&headers, &identity).map_err(|failure| failure.code.as_str().to_owned())
}

#[test]
fn honest_challenges_are_let_through() {
    for authority in ["https://login.windows.net", "https://login.microsoftonline.com"] {
        for rest in [
            ", resource=\"https://vault.azure.net\"",
            " resource=\"https://vault.azure.net\"",
            ", scope=\"https://vault.azure.net/.default\"",
            ", resource = \"https://vault.azure.net\"",
            ",resource\t=https://vault.azure.net, error=invalid_token",
        ] {
            let challenge = format!("Bearer authorization=\"{authority}/{TENANT}\"{rest}");
            assert_eq!(verify(&challenge, TENANT), Ok(()), "{challenge}");
        }
    }
}

#[test]
fn who_does_not_say_what_is_asked_for_gets_nothing() {
    let authority = format!("Bearer authorization=\"https://login.windows.net/{TENANT}\"");
    for silent in
        ["", "Bearer", "Bearer ,,=,=\"", "Negotiate", "Bearer resource", "PoP nonce=\"a, resource=x\"", &authority]
    {
        assert_eq!(verify(silent, TENANT), Err("no-challenge".to_owned()), "{silent}");
    }
}

#[test]
fn challenges_for_others_are_not() {
    let table = [
        ("https://management.azure.com", TENANT, "other-audience"),
        ("https://net", TENANT, "other-audience"),
        ("https://azure.net", TENANT, "other-audience"),
        ("https://evil.vault.azure.net", TENANT, "other-audience"),
        ("https://vault.azure.net", "22222222-2222-2222-2222-222222222222", "other-tenant"),
        ("https://vault.azure.net", "common", "other-tenant"),
    ];
    for (resource, tenant, code) in table {
        let challenge =
            format!("Bearer authorization=\"https://login.microsoftonline.com/{tenant}\", resource=\"{resource}\"");
        assert_eq!(verify(&challenge, TENANT), Err(code.to_owned()), "{challenge}");
    }
}

#[test]
fn one_strange_challenge_among_honest_ones_is_enough() {
    let honest =
        format!("Bearer authorization=\"https://login.windows.net/{TENANT}\", resource=\"https://vault.azure.net\"");
    let strange = honest.replace("vault.azure", "management.azure");
    for challenge in [
        format!("{honest}, {strange}"),
        format!("{strange}, {honest}"),
        format!("PoP nonce=\"a, b\", {strange}"),
        strange.replace("Bearer ", "bearer\t"),
        strange.replace('"', ""),
        strange.replace("resource", "RESOURCE"),
        strange.replace("resource=", "resource = "),
        format!("{honest}, {}", strange.replace("resource=", "resource\t=")),
    ] {
        assert_eq!(verify(&challenge, TENANT), Err("other-audience".to_owned()), "{challenge}");
    }
    assert_eq!(verify(&format!("PoP nonce=\"a, resource=x\", {honest}"), TENANT), Ok(()));
}

#[test]
fn a_tenant_named_by_its_domain_cannot_be_compared() {
    let challenge =
        format!("Bearer authorization=\"https://login.windows.net/{TENANT}\", resource=\"https://vault.azure.net\"");
    assert_eq!(verify(&challenge, "contoso.onmicrosoft.com"), Ok(()));
}
