//! Tokens of a real cluster: signed by its own RSA key, which Entra knows from the cluster's JWKS.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use keyferry_emulator::{App, DEFAULT_TENANT, Error};
use serde_json::{Value, json as value};

use crate::client::{API, Rig, json};

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const SUBJECT: &str = "system:serviceaccount:default:app";

/// A cluster as its API server is one: a key, and its id.
pub(crate) struct Cluster(RsaKeyPair);

impl Cluster {
    pub(crate) fn new() -> Self {
        Self(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    /// What `/openid/v1/jwks` says.
    pub(crate) fn jwks(&self) -> Value {
        // The modulus in the DER of a key of 2048 bits whose exponent is 65537.
        let der = self.0.public_key().as_ref();
        assert_eq!((der.len(), &der[265..]), (270, &[2, 3, 1, 0, 1][..]));
        let n = URL_SAFE_NO_PAD.encode(&der[9..265]);
        value!({"keys": [{"use": "sig", "kty": "RSA", "kid": "its-key", "alg": "RS256", "n": n, "e": "AQAB"}]})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encoded(header), encoded(claims));
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn header() -> Value {
    value!({"alg": "RS256", "kid": "its-key"})
}

fn claims() -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    value!({
        "aud": ["api://AzureADTokenExchange"], "iss": ISSUER, "sub": SUBJECT,
        "iat": now, "nbf": now, "exp": now + 3600,
        "kubernetes.io": {"namespace": "default", "serviceaccount": {"name": "app", "uid": "1"}},
    })
}

fn with(mut object: Value, member: &str, value: Value) -> Value {
    object[member] = value;
    object
}

/// An emulator that trusts a subject of the cluster.
fn rig(cluster: &Cluster) -> Rig {
    let rig = Rig::new();
    rig.emulator.trust_issuer(ISSUER, &cluster.jwks().to_string()).unwrap();
    rig.emulator.add_app(App { issuer: ISSUER.to_owned(), subject: SUBJECT.to_owned(), ..App::default() });
    rig
}

#[test]
fn a_pod_of_another_cluster_is_granted_a_token_that_the_vault_takes() {
    let cluster = Cluster::new();
    let rig = rig(&cluster);
    rig.emulator.put_secret("demo", "a", "1");
    let assertion = cluster.sign(&header(), &claims());
    let token = rig.token_with(&[("client_assertion", &assertion)]);
    assert_eq!(rig.get(&format!("/secrets/a?{API}"), &token).status(), 200);
    assert_eq!(rig.ask_entra(DEFAULT_TENANT, &[]).status(), 200, "its own cluster is trusted as before");
}

#[test]
fn each_wrong_claim_has_its_own_error() {
    let cluster = Cluster::new();
    let rig = rig(&cluster);
    let claim = |member: &str, value: Value| cluster.sign(&header(), &with(claims(), member, value));
    let of_header = |member: &str, value: Value| cluster.sign(&with(header(), member, value), &claims());
    let long_ago = 1_700_000_000;
    let of_its_own_cluster = rig.emulator.federated_token(&keyferry_emulator::Assertion {
        issuer: ISSUER.to_owned(),
        subject: SUBJECT.to_owned(),
        ..Default::default()
    });
    for (what, assertion, code) in [
        ("another issuer", claim("iss", "https://other.example".into()), 700_211),
        ("the issuer with a slash", claim("iss", format!("{ISSUER}/").into()), 700_211),
        ("another audience", claim("aud", value!(["https://kubernetes.default.svc"])), 700_212),
        ("another subject", claim("sub", "system:serviceaccount:default:other".into()), 700_213),
        ("the subject but for case", claim("sub", SUBJECT.to_uppercase().into()), 7_002_138),
        ("expired", with_times(&cluster, long_ago), 700_024),
        ("another cluster's key", Cluster::new().sign(&header(), &claims()), 700_027),
        ("a key that is not published", of_header("kid", "another".into()), 700_027),
        ("no key named", of_header("kid", Value::Null), 700_027),
        ("another algorithm", of_header("alg", "none".into()), 50027),
        ("signed by the emulator's cluster", of_its_own_cluster, 50027),
    ] {
        let refused = json(rig.ask_entra(DEFAULT_TENANT, &[("client_assertion", &assertion)]));
        assert_eq!(refused["error_codes"], value!([code]), "{what}");
    }
}

/// A token that was issued at some time.
fn with_times(cluster: &Cluster, issued: u64) -> String {
    let claims = with(with(claims(), "nbf", issued.into()), "exp", (issued + 3600).into());
    cluster.sign(&header(), &claims)
}

#[test]
fn a_wrong_subject_is_told_with_what_the_token_says() {
    let cluster = Cluster::new();
    let rig = rig(&cluster);
    let claims = with(claims(), "sub", "system:serviceaccount:default:other".into());
    let refused = json(rig.ask_entra(DEFAULT_TENANT, &[("client_assertion", &cluster.sign(&header(), &claims))]));
    let text = refused["error_description"].as_str().unwrap();
    assert!(text.contains("presented assertion subject 'system:serviceaccount:default:other'"), "{text}");
}

#[test]
fn trust_in_an_issuer_can_be_renewed_when_its_keys_rotate() {
    let (old, new) = (Cluster::new(), Cluster::new());
    let rig = rig(&old);
    let code = |cluster: &Cluster| {
        let assertion = cluster.sign(&header(), &claims());
        json(rig.ask_entra(DEFAULT_TENANT, &[("client_assertion", &assertion)]))["error_codes"][0].clone()
    };
    assert_eq!((code(&old), code(&new)), (Value::Null, 700_027.into()));
    rig.emulator.trust_issuer(ISSUER, &new.jwks().to_string()).unwrap();
    assert_eq!((code(&old), code(&new)), (700_027.into(), Value::Null));
    assert!(matches!(rig.emulator.trust_issuer(ISSUER, "{}"), Err(Error::NotJwks(_))));
    assert_eq!(code(&new), Value::Null, "what cannot be read changes nothing");
}
