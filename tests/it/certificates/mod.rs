//! Certificates and keys, from a real authority through the real binary to those who use them.

mod authority;
mod keys;
mod lists;
mod rotation;
mod tls;
mod trouble;

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyferry_emulator::{CertificateSpec, Logged, Stored};

use crate::harness::{SOON, World, end, until_holds};
use authority::{Issued, LEGACY, MODERN, OF_EC, OF_RSA, openssl};

/// Every part in a file of its own.
const ALL: &str = "{fullchain: tls.crt, leaf: leaf.crt, chain: chain.crt, key: tls.key, bundle: tls.pem, ca: ca.crt}";

/// A configuration of the one certificate, with these parts and whatever else.
fn config(world: &World, parts: &str) -> String {
    world.config(&format!("secrets: {{web: {{from: keyvault:demo/certificates/web, parts: {parts}}}}}\n"))
}

fn world(spec: CertificateSpec) -> World {
    let world = World::new();
    world.emulator.put_certificate("demo", spec);
    world
}

/// openssl takes what is published for what it is.
#[track_caller]
fn assert_is_good(dir: &Path, issued: &Issued<'_>, root: &str) {
    let read = |file: &str| fs::read_to_string(dir.join(file)).unwrap();
    openssl(dir, "verify -CAfile ca.crt -untrusted chain.crt leaf.crt");
    openssl(dir, "verify -x509_strict -CAfile ca.crt -untrusted tls.crt tls.crt");
    openssl(dir, "pkey -in tls.key -check -noout");
    let public = openssl(dir, "x509 -in tls.crt -noout -pubkey");
    assert_eq!(openssl(dir, "pkey -in tls.key -pubout"), public);
    assert_eq!(openssl(dir, "pkey -in tls.pem -pubout"), public);
    openssl(dir, "verify -CAfile ca.crt -untrusted tls.pem tls.pem");
    // A TLS server's files have the leaf first, and not what its clients must have already.
    assert_eq!(read("tls.crt"), issued.fullchain());
    assert_eq!(read("tls.key"), issued.key);
    assert_eq!(read("tls.pem"), format!("{}{}", issued.key, issued.fullchain()));
    assert_eq!(read("ca.crt"), root);
    assert_eq!(tls::handshake(dir), tls::leaf(&issued.leaf));
}

#[test]
fn however_it_is_stored_everybody_can_use_it() {
    for authority in [&OF_RSA, &OF_EC] {
        let issued = authority.issue(90);
        for (how, spec) in
            [("pem", issued.as_pem()), ("legacy", issued.as_pfx(LEGACY)), ("modern", issued.as_pfx(MODERN))]
        {
            let world = world(spec);
            let ended = world.init(&config(&world, ALL), &[]);
            assert_eq!(ended.code, Some(0), "{how}: {ended:#?}");
            assert_is_good(&world.out(), &issued, &authority.root());
            assert_eq!(world.bearers(), 1, "{how}: the service's help is not needed");
        }
    }
}

#[test]
fn without_parts_it_is_named_as_in_a_secret_of_kubernetes() {
    let issued = OF_EC.issue(90);
    let world = world(issued.as_pfx(LEGACY));
    world.init(&world.config("secrets: {web: keyvault:demo/certificates/web}\n"), &[]).expect(0, &[]);
    assert_eq!(world.read("web/tls.crt"), Some(issued.fullchain()));
    assert_eq!(world.read("web/tls.key").as_ref(), Some(&issued.key));
    assert_eq!(fs::read_dir(world.out().join("web")).unwrap().count(), 2);
}

#[test]
fn its_container_is_opened_by_others_too() {
    for options in [LEGACY, MODERN] {
        let issued = OF_RSA.issue(90);
        let spec = issued.as_pfx(options);
        let Stored::Pfx { base64, .. } = &spec.stored else { panic!("{options}") };
        let stored = STANDARD.decode(base64).unwrap();
        let world = world(spec);
        world.init(&config(&world, "{pfx: web.p12}"), &[]).expect(0, &[]);
        assert_eq!(fs::read(world.out().join("web.p12")).unwrap(), stored);
        let opened = openssl(&world.out(), "pkcs12 -in web.p12 -passin pass: -nodes");
        let opened = String::from_utf8(opened).unwrap();
        for piece in [&issued.key, &issued.leaf, &OF_RSA.root()] {
            assert!(opened.contains(piece.as_str()), "{options}");
        }
    }
}

#[test]
fn its_parts_go_into_variables_and_templates() {
    let issued = OF_EC.issue(90);
    let world = world(issued.as_pfx(MODERN));
    let rest = "secrets: {web: {from: keyvault:demo/certificates/web, file: false}}\n\
                env: {TLS_KEY: {secret: web, part: key}}\n";
    let template = format!(
        "templates: [{{dir: {}, destination: all.json, contents: '{{\"leaf\": {{{{ secrets.web.leaf | tojson }}}}}}'}}]\n",
        world.out().display()
    );
    let config = world.config(&format!("{rest}{template}")).replace("files: {", "files: {envFile: app.env, ");
    world.init(&config, &[]).expect(0, &[]);
    assert_eq!(world.read("app.env"), Some(format!("TLS_KEY='{}'\n", issued.key)));
    let all: serde_json::Value = serde_json::from_str(&world.read("all.json").unwrap()).unwrap();
    assert_eq!(all["leaf"], issued.leaf);
    assert_eq!(world.read("web/tls.key"), None);
}

#[test]
fn a_certificate_stored_as_pem_has_no_container() {
    let world = world(OF_EC.issue(90).as_pem());
    let ended = world.init(&config(&world, "{key: tls.key, pfx: web.p12}"), &["--timeout", "1s"]);
    ended.expect(65, &["stored as PEM, so there is no pfx: take bundle", "application/x-pkcs12"]);
    assert_eq!(world.read("tls.key"), None, "all or nothing");
}

#[test]
fn get_prints_key_and_chain() {
    let issued = OF_EC.issue(90);
    let world = world(issued.as_pfx(MODERN));
    let expected = format!("{}{}", issued.key, issued.fullchain());
    for what in ["keyvault:demo/certificates/web", "web"] {
        let ended = end(&mut world.keyferry(&config(&world, "{ca: ca.crt}"), &["get", what]));
        assert_eq!((ended.code, String::from_utf8(ended.stdout).unwrap()), (Some(0), expected.clone()), "{what}");
    }
}

#[test]
fn a_reference_to_its_secret_gives_what_is_stored_and_a_hint() {
    let issued = OF_EC.issue(90);
    for spec in [issued.as_pfx(LEGACY), issued.as_pem()] {
        let stored = match &spec.stored {
            Stored::Pem(text) | Stored::Pfx { base64: text, .. } => text.clone(),
        };
        let world = world(spec);
        let config = world.config("refresh: {interval: 1s}\nsecrets: {web: keyvault:demo/secrets/web}\n");
        let agent = world.run(&config);
        until_holds(&world.out().join("web"), &stored);
        let asked = |requests: &[Logged]| requests.iter().filter(|one| one.bearer).count() >= 3;
        assert!(world.emulator.wait_until(SOON, asked));
        let (_, lines) = agent.stop();
        let warnings: Vec<&String> = lines.iter().filter(|line| line.contains("WARN")).collect();
        assert_eq!(warnings.len(), 1, "once: {lines:#?}");
        assert!(warnings[0].contains("holds a certificate") && warnings[0].contains("keyvault:demo/certificates/web"));
    }
}

#[test]
fn an_expired_certificate_is_published_with_a_warning() {
    let issued = OF_EC.issue(-1);
    let world = world(issued.as_pfx(LEGACY));
    let config = format!("refresh: {{interval: 7d}}\n{}", config(&world, "{fullchain: tls.crt, key: tls.key}"));
    let agent = world.run(&config);
    until_holds(&world.out().join("tls.key"), &issued.key);
    agent.signal(rustix::process::Signal::HUP);
    let again = |requests: &[Logged]| requests.iter().filter(|one| one.bearer).count() >= 2;
    assert!(world.emulator.wait_until(SOON, again));
    let (_, lines) = agent.stop();
    let warnings: Vec<&String> = lines.iter().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 1, "once: {lines:#?}");
    assert!(warnings[0].contains("secret web (keyvault:demo/certificates/web) has expired, 1day"), "{warnings:#?}");
    assert_eq!(world.bearers(), 2, "an end that is past makes nothing due");
}
