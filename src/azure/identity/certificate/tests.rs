use std::path::Path;

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use rustls::pki_types::pem::PemObject as _;

use super::*;

fn pair(algorithm: &'static rcgen::SignatureAlgorithm) -> (String, String) {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let certificate = CertificateParams::new(vec!["app.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    (key.serialize_pem(), certificate.pem())
}

fn read(pem: &str) -> Result<CertificateDer<'static>, Failure> {
    let file = Kept { code: "certificate", called: "certificate file", path: Path::new("/app.pem") };
    parse(&file, pem.as_bytes()).map(|(certificate, _)| certificate)
}

#[test]
fn the_keys_own_certificate_is_found_wherever_it_stands() {
    let (key, own) = pair(&PKCS_RSA_SHA256);
    let (_, authority) = pair(&PKCS_ECDSA_P256_SHA256);
    let expected = CertificateDer::from_pem_slice(own.as_bytes()).unwrap();
    for pem in [format!("{key}{own}"), format!("{own}{key}"), format!("Bag Attributes\n{authority}{own}\n{key}")] {
        assert_eq!(read(&pem).unwrap(), expected);
    }
}

#[test]
fn what_cannot_sign_is_told_apart() {
    let (key, own) = pair(&PKCS_RSA_SHA256);
    let (ec_key, ec_certificate) = pair(&PKCS_ECDSA_P256_SHA256);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\naGVsbG8=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let garbled = "-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n";
    let table = [
        (own.clone(), "certificate-without-key"),
        (format!("{garbled}{own}"), "certificate-without-key"),
        (format!("{encrypted}{own}"), "certificate-encrypted"),
        (format!("{ec_key}{ec_certificate}"), "certificate-not-rsa"),
        (key.clone(), "certificate-malformed"),
        (format!("{key}{ec_certificate}"), "certificate-of-another-key"),
        ("hunter2".to_owned(), "certificate-without-key"),
    ];
    for (pem, code) in table {
        let failure = read(&pem).unwrap_err();
        assert_eq!((failure.blame, failure.code.as_str()), (Blame::Identity, code));
        assert!(!format!("{failure:?}").contains("hunter2"));
    }
}
