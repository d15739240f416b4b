#![expect(clippy::disallowed_methods, reason = "tests write files")]

use std::fs;

use rcgen::{CertificateParams, KeyPair};

use super::*;
use crate::metrics::Metrics;

fn authority() -> String {
    let key = KeyPair::generate().unwrap();
    CertificateParams::default().self_signed(&key).unwrap().pem()
}

fn proxy(path: &str, server_name: Option<&str>, trust: Trust) -> TokenProxy {
    let host = "proxy.example".to_owned();
    let (path, server_name) = (path.to_owned(), server_name.map(str::to_owned));
    let proxy = identity::TokenProxy { host, port: 6443, path, server_name, trust };
    TokenProxy::new(&proxy, &transport::roots(Vec::new()), &Metrics::new([0; 16])).unwrap()
}

#[test]
fn the_authoritys_path_follows_the_proxys() {
    for (prefix, name, url) in [
        ("/", None, "https://proxy.example:6443/tenant/oauth2/v2.0/token?a=b"),
        ("/a/b", None, "https://proxy.example:6443/a/b/tenant/oauth2/v2.0/token?a=b"),
        ("/a/", Some("sni.example"), "https://sni.example:6443/a/tenant/oauth2/v2.0/token?a=b"),
    ] {
        let proxy = proxy(prefix, name, Trust::Data(authority()));
        assert_eq!(proxy.url("/tenant/oauth2/v2.0/token", Some("a=b")), url);
    }
}

#[test]
fn authorities_are_read_at_each_request() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.crt");
    let proxy = proxy("/", None, Trust::File(file.clone()));
    let code = || proxy.client().unwrap_err().code.as_str().to_owned();
    let trusted = || proxy.built.lock().unwrap().as_ref().map(|built| built.authorities.to_vec());
    assert_eq!(code(), "token-proxy-ca-missing");
    fs::write(&file, "").unwrap();
    assert_eq!(code(), "token-proxy-ca-empty");
    fs::write(&file, "hunter2").unwrap();
    assert_eq!(code(), "token-proxy-ca-malformed");
    let (first, second) = (authority(), authority());
    fs::write(&file, &first).unwrap();
    proxy.client().unwrap();
    assert_eq!(trusted(), Some(first.clone().into_bytes()));
    // In the middle of its replacement it may be empty: who was trusted is trusted.
    fs::write(&file, "").unwrap();
    proxy.client().unwrap();
    assert_eq!(trusted(), Some(first.into_bytes()));
    fs::write(&file, &second).unwrap();
    proxy.client().unwrap();
    assert_eq!(trusted(), Some(second.into_bytes()));
    fs::remove_file(&file).unwrap();
    assert_eq!(code(), "token-proxy-ca-missing");
}

#[test]
fn authorities_that_are_none_are_not_repeated() {
    let failure = proxy("/", None, Trust::Data("hunter2".to_owned())).client().unwrap_err();
    assert_eq!((failure.kind, failure.code.as_str()), (Kind::Misconfigured, "token-proxy-ca-malformed"));
    assert!(!format!("{failure:?}").contains("hunter2"));
}
