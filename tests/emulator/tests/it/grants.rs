//! Clients that prove themselves with a secret or a certificate, and what their tokens are for.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use keyferry_emulator::{DEFAULT_CLIENT, DEFAULT_TENANT};
use reqwest::blocking::Response;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json as value};

use crate::client::{API, Rig, SCOPE, json};

fn with_secret(rig: &Rig, client: &str, secret: &str) -> Response {
    let changes = [("client_id", client), ("client_secret", secret), ("client_assertion", "")];
    rig.ask_entra(DEFAULT_TENANT, &changes)
}

fn code(answer: Response) -> Value {
    json(answer)["error_codes"][0].clone()
}

#[test]
fn a_client_is_known_by_its_secrets() {
    let rig = Rig::new();
    rig.emulator.put_secret("demo", "a", "1");
    rig.emulator.add_client_secret(DEFAULT_TENANT, DEFAULT_CLIENT, "old");
    rig.emulator.add_client_secret(DEFAULT_TENANT, DEFAULT_CLIENT, "new");
    for secret in ["old", "new"] {
        let token = json(with_secret(&rig, DEFAULT_CLIENT, secret))["access_token"].as_str().unwrap().to_owned();
        assert_eq!(rig.get(&format!("/secrets/a?{API}"), &token).status(), 200);
    }
    let wrong = with_secret(&rig, DEFAULT_CLIENT, "wrong");
    assert_eq!(wrong.status(), 401);
    let wrong = json(wrong);
    assert_eq!((&wrong["error"], &wrong["error_codes"][0]), (&"invalid_client".into(), &7_000_215.into()));
    rig.emulator.remove_client_secrets(DEFAULT_TENANT, DEFAULT_CLIENT);
    assert_eq!(code(with_secret(&rig, DEFAULT_CLIENT, "new")), 7_000_215);
    assert_eq!(code(with_secret(&rig, DEFAULT_CLIENT, "")), 7_000_216);
    assert_eq!(code(with_secret(&rig, "stranger", "new")), 700_016);
    assert!(!format!("{:?}", rig.emulator.requests()).contains("old"));
}

/// Signs claims with the key of a PEM file, naming its certificate.
fn signed(pem: &str, algorithm: &str, claims: &Value) -> String {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
    let (name, thumbprint, padding): (_, _, &dyn aws_lc_rs::signature::RsaEncoding) = match algorithm {
        "PS256" => ("x5t#S256", digest(&SHA256, &der), &RSA_PSS_SHA256),
        _ => ("x5t", digest(&SHA1_FOR_LEGACY_USE_ONLY, &der), &RSA_PKCS1_SHA256),
    };
    let header = value!({"typ": "JWT", "alg": algorithm, name: URL_SAFE_NO_PAD.encode(thumbprint)});
    let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", encoded(&header), encoded(claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(padding, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn a_client_is_known_by_a_certificate_it_signs_with() {
    let rig = Rig::new();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let claims = value!({
        "aud": format!("{}{DEFAULT_TENANT}/oauth2/v2.0/token", rig.emulator.authority()),
        "iss": DEFAULT_CLIENT, "sub": DEFAULT_CLIENT, "jti": "1", "nbf": now - 5, "exp": now + 600,
    });
    let pem = rig.emulator.make_client_certificate(DEFAULT_TENANT, DEFAULT_CLIENT).unwrap();
    let ask = |assertion: &str| rig.ask_entra(DEFAULT_TENANT, &[("client_assertion", assertion)]);
    for algorithm in ["RS256", "PS256"] {
        assert_eq!(ask(&signed(&pem, algorithm, &claims)).status(), 200, "{algorithm}");
    }
    let mut fractions = claims.clone();
    fractions["exp"] = value!(f64::from(u32::try_from(now).unwrap()) + 600.5);
    assert_eq!(ask(&signed(&pem, "PS256", &fractions)).status(), 200, "as some libraries write times");
    let with = |member: &str, value: Value| {
        let mut claims = claims.clone();
        claims[member] = value;
        code(ask(&signed(&pem, "PS256", &claims)))
    };
    assert_eq!(with("aud", rig.emulator.authority().into()), 700_023);
    assert_eq!(with("sub", "another".into()), 700_021);
    assert_eq!(with("exp", (now - 1).into()), 700_024);
    let good = signed(&pem, "RS256", &claims);
    let (head, signature) = good.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    assert_eq!(code(ask(&format!("{head}.{flipped}{}", &signature[1..]))), 700_027);
    let stranger = rig.emulator.make_client_certificate(DEFAULT_TENANT, "stranger").unwrap();
    assert_eq!(code(ask(&signed(&stranger, "RS256", &claims))), 700_027);
    rig.emulator.add_client_certificate(DEFAULT_TENANT, DEFAULT_CLIENT, &stranger).unwrap();
    assert_eq!(ask(&signed(&stranger, "RS256", &claims)).status(), 200);
}

#[test]
fn a_token_is_for_one_resource_that_the_tenant_knows() {
    let rig = Rig::new();
    let ask = |scope: &str| rig.ask_entra(DEFAULT_TENANT, &[("scope", scope)]);
    for known in [
        SCOPE,
        "https://management.localhost/.default",
        "https://management.localhost//.default",
        "https://cognitiveservices.localhost/.default",
        "https://cognitiveservices.azure.com/.default",
    ] {
        assert_eq!(ask(known).status(), 200, "{known}");
    }
    assert_eq!(
        rig.emulator.requests().last().unwrap().audience.as_deref(),
        Some("https://cognitiveservices.azure.com/.default")
    );
    let unknown = json(ask("https://demo.vault.localhost/.default"));
    assert_eq!((&unknown["error"], &unknown["error_codes"][0]), (&"invalid_resource".into(), &500_011.into()));
    rig.emulator.add_audience("https://demo.vault.localhost");
    assert_eq!(ask("https://demo.vault.localhost/.default").status(), 200);
    assert_eq!(code(ask("https://vault.localhost/.default https://management.localhost/.default")), 700_022);
}

#[test]
fn the_tokens_of_one_audience_can_last_shorter_than_others() {
    let rig = Rig::new();
    rig.emulator.set_token_lifetime_for("https://management.localhost", 60);
    let lifetime = |scope: &str| json(rig.ask_entra(DEFAULT_TENANT, &[("scope", scope)]))["expires_in"].clone();
    assert_eq!(lifetime("https://management.localhost//.default"), 60);
    assert_eq!(lifetime(SCOPE), 86399);
}
