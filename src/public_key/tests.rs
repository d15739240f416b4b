use std::io::Write as _;
use std::process::{Command, Stdio};

use super::*;

/// Runs openssl with a text for its standard input.
fn openssl(line: &str, input: &[u8]) -> Vec<u8> {
    let mut command = Command::new("openssl");
    command.args(line.split_whitespace()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("openssl is installed");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {line}");
    output.stdout
}

fn pem(json: &str) -> Result<String, Unusable> {
    let jwk: Jwk = serde_json::from_str(json).unwrap();
    jwk.to_pem().map(|text| String::from_utf8(text.expose().to_vec()).unwrap())
}

/// The last bytes of a public key in DER: its point.
fn coordinates(private: &[u8], size: usize) -> [String; 2] {
    let der = openssl("pkey -pubout -outform DER", private);
    let point = &der[der.len() - 2 * size..];
    [&point[..size], &point[size..]].map(|digits| URL_SAFE_NO_PAD.encode(digits))
}

#[test]
fn keys_on_curves_are_written_as_openssl_writes_them() {
    for (crv, curve, size) in
        [("P-256", "P-256", 32), ("P-384", "P-384", 48), ("P-521", "P-521", 66), ("P-256K", "secp256k1", 32)]
    {
        let options =
            format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:{curve} -pkeyopt ec_param_enc:named_curve");
        let private = openssl(&options, b"");
        let [x, y] = coordinates(&private, size);
        for kty in ["EC", "EC-HSM"] {
            let json = format!(r#"{{"kid":"k","kty":"{kty}","key_ops":["sign"],"crv":"{crv}","x":"{x}","y":"{y}"}}"#);
            assert_eq!(pem(&json).unwrap().into_bytes(), openssl("pkey -pubout", &private), "{crv} {kty}");
        }
    }
}

#[test]
fn rsa_keys_are_written_as_openssl_writes_them() {
    let private = openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048", b"");
    let modulus = String::from_utf8(openssl("rsa -noout -modulus", &private)).unwrap();
    let n = URL_SAFE_NO_PAD.encode(hex::decode(modulus.trim().strip_prefix("Modulus=").unwrap()).unwrap());
    for (kty, e) in [("RSA", "AQAB"), ("RSA-HSM", "AAEAAQ")] {
        let json = format!(r#"{{"kty":"{kty}","n":"{n}","e":"{e}"}}"#);
        assert_eq!(pem(&json).unwrap().into_bytes(), openssl("pkey -pubout", &private));
    }
}

#[test]
fn short_coordinates_are_filled_up() {
    let text = pem(r#"{"kty":"EC","crv":"P-256","x":"AQ","y":"AAAC"}"#).unwrap();
    let blocks = crate::pem::blocks(text.as_bytes()).unwrap();
    let point = &blocks[0].1.expose()[26..];
    assert_eq!((point.len(), point[0], point[32], point[64]), (65, 4, 1, 2));
}

#[test]
fn what_has_no_public_half_is_told_apart() {
    let large = URL_SAFE_NO_PAD.encode([1; MOST_RSA_BYTES + 1]);
    let table = [
        (r#"{"kty":"oct-HSM"}"#, Unusable::Symmetric),
        (r#"{"kty":"oct","n":"AQ"}"#, Unusable::Symmetric),
        (r#"{"kty":"OKP","crv":"Ed25519","x":"AQ"}"#, Unusable::Kind),
        (r#"{"kty":"rsa","n":"AQ","e":"AQ"}"#, Unusable::Kind),
        (r#"{"kty":"RSA","e":"AQAB"}"#, Unusable::Number("n")),
        (r#"{"kty":"RSA","n":"","e":"AQAB"}"#, Unusable::Number("n")),
        (r#"{"kty":"RSA","n":"AA","e":"AQAB"}"#, Unusable::Number("n")),
        (r#"{"kty":"RSA","n":"AQ==","e":"AQAB"}"#, Unusable::Number("n")),
        (r#"{"kty":"RSA","n":"AQ","e":"+/"}"#, Unusable::Number("e")),
        (&format!(r#"{{"kty":"RSA","n":"{large}","e":"AQAB"}}"#), Unusable::Number("n")),
        (r#"{"kty":"EC","x":"AQ","y":"AQ"}"#, Unusable::Curve),
        (r#"{"kty":"EC","crv":"P-192","x":"AQ","y":"AQ"}"#, Unusable::Curve),
        (r#"{"kty":"EC","crv":"P-256","x":"AQ"}"#, Unusable::Number("y")),
        (&format!(r#"{{"kty":"EC","crv":"P-256","x":"{large}","y":"AQ"}}"#), Unusable::Number("x")),
    ];
    for (json, expected) in table {
        assert_eq!(pem(json), Err(expected), "{json}");
    }
}
