//! Certificates and keys that cannot be had, or not as they are: what is said, and what goes on all the same.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyferry_emulator::{
    CertificateSpec, Conversion, DEFAULT_CLIENT, Fault, Jwk, KeySpec, Logged, Misbehaviour, Permission, Refusal,
    Settings, Stored,
};
use rustix::process::Signal;

use super::authority::{LEGACY, OF_EC, OF_RSA, REFUSED};
use super::{ALL, config, world};
use crate::harness::{SOON, World, at_once, end, until_holds};

/// Long enough for everything good to arrive on a busy machine.
const PATIENT: &[&str] = &["--timeout", "3s"];

/// What was asked with a token: path and query.
fn asked(world: &World) -> Vec<String> {
    let requests = world.emulator.requests().into_iter().filter(|request| request.bearer);
    requests.map(|request| format!("{}?{}", request.path, request.query)).collect()
}

#[test]
fn a_key_that_the_vault_keeps_is_explained() {
    let issued = OF_EC.issue(90);
    let world = world(issued.without_key());
    for parts in ["{fullchain: tls.crt, key: tls.key}", "{bundle: tls.pem}", "{leaf: tls.crt, pfx: web.p12}"] {
        let ended = world.init(&config(&world, parts), &["--timeout", "1s"]);
        let pieces =
            ["the vault gives no private key", "its policy is not exportable", "take fullchain, leaf, chain or ca"];
        ended.expect(65, &pieces);
        ended.expect(65, &["az keyvault certificate show --vault-name demo --name web --query policy"]);
        assert_eq!((world.read("tls.crt"), world.read("tls.key")), (None, None), "all or nothing");
    }
    let ended = end(&mut world.keyferry(&config(&world, "{ca: ca.crt}"), &["get", "keyvault:demo/certificates/web"]));
    ended.expect(65, &["there is no bundle"]);
    let ended = world.init(&config(&world, "{fullchain: tls.crt, leaf: leaf.crt, chain: chain.crt, ca: ca.crt}"), &[]);
    ended.expect(0, &[]);
    assert_eq!(world.read("tls.crt"), Some(issued.fullchain()));
    assert_eq!(world.read("ca.crt"), Some(OF_EC.root()));
}

#[test]
fn a_key_of_another_certificate_is_told_of() {
    let (one, other) = (OF_EC.issue(90), OF_EC.issue(90));
    let mixed = format!("{}{}", one.key, other.fullchain());
    let world = world(CertificateSpec::new("web", Stored::Pem(mixed)));
    let ended = world.init(&config(&world, ALL), &["--timeout", "1s"]);
    ended.expect(65, &["the stored private key belongs to none of the stored certificates"]);
    assert_eq!(world.read("tls.key"), None);
}

#[test]
fn a_secret_that_is_no_certificate_is_told_of() {
    let world = World::new();
    world.emulator.put_secret("demo", "web", "hunter2");
    let ended = world.init(&config(&world, ALL), &["--timeout", "1s"]);
    ended.expect(65, &["neither PEM nor base64 of PKCS#12"]);
    ended.expect(65, &["(plain-secret): of this name there is only a secret", "write 'secrets/web' instead of"]);
    assert!(!ended.stderr.contains("hunter2"));
    assert_eq!(asked(&world).iter().filter(|path| path.contains("outContentType")).count(), 0);
}

#[test]
fn a_container_that_cannot_be_opened_is_converted_by_the_service() {
    let issued = OF_RSA.issue(90);
    let world = World::with(Settings { conversion: Conversion::Done, ..Settings::default() });
    let version = world.emulator.put_certificate("demo", issued.as_pfx(REFUSED));
    world.init(&config(&world, ALL), &[]).expect(0, &[]);
    super::assert_is_good(&world.out(), &issued, &OF_RSA.root());
    // The version that was looked at, whatever is the latest meanwhile.
    let converted = format!("/secrets/web/{version}?api-version=2025-07-01&outContentType=application/x-pem-file");
    assert_eq!(asked(&world), ["/secrets/web?api-version=7.6", &converted]);
}

#[test]
fn a_container_that_was_converted_can_be_had_as_it_is() {
    let issued = OF_RSA.issue(90);
    let world = World::with(Settings { conversion: Conversion::Done, ..Settings::default() });
    let spec = issued.as_pfx(REFUSED);
    let Stored::Pfx { base64, .. } = &spec.stored else { panic!("{:?}", spec.stored) };
    let stored = STANDARD.decode(base64).unwrap();
    world.emulator.put_certificate("demo", spec);
    world.init(&config(&world, "{pfx: web.p12, key: tls.key}"), &[]).expect(0, &[]);
    assert_eq!(std::fs::read(world.out().join("web.p12")).unwrap(), stored);
    assert_eq!(world.read("tls.key"), Some(issued.key));
}

#[test]
fn where_the_service_does_not_convert_the_container_is_to_blame() {
    let issued = OF_RSA.issue(90);
    for conversion in [Conversion::Ignored, Conversion::VersionUnknown] {
        let world = World::with(Settings { conversion, ..Settings::default() });
        world.emulator.put_certificate("demo", issued.as_pfx(REFUSED));
        let ended = end(&mut world.keyferry(&config(&world, ALL), &["get", "web"]));
        ended.expect(65, &["uses RC4, which keyferry does not read", "application/x-pem-file in its policy"]);
        assert_eq!(asked(&world).len(), 2, "{conversion:?}: {:#?}", asked(&world));
        assert!(ended.stdout.is_empty());
    }
}

#[test]
fn a_conversion_that_fails_for_a_while_is_tried_again() {
    let issued = OF_RSA.issue(90);
    for trouble in [Misbehaviour::Status { status: 503 }, Misbehaviour::Throttle { retry_after: Some("1".to_owned()) }]
    {
        let world = world(issued.as_pfx(REFUSED));
        world.emulator.put_secret("demo", "other", "fine");
        world.emulator.fault(Fault::vault(trouble).of_secret("web").with_bearer(true).every(2).times(1));
        let config = format!("{}  other: keyvault:demo/secrets/other\n", block(&world));
        let agent = world.run(&config);
        until_holds(&world.out().join("other"), "fine");
        until_holds(&world.out().join("tls.key"), &issued.key);
        let (_, lines) = agent.stop();
        let spoiled = world.emulator.requests().into_iter().filter(|request| request.fault.is_some());
        assert!(
            spoiled.map(|request| request.query).eq(["api-version=2025-07-01&outContentType=application/x-pem-file"])
        );
        assert!(!lines.iter().any(|line| line.contains("unusable content")), "{lines:#?}");
    }
}

fn block(world: &World) -> String {
    world.config("secrets:\n  web: {from: keyvault:demo/certificates/web, parts: {fullchain: tls.crt, key: tls.key}}\n")
}

#[test]
fn a_conversion_that_never_works_holds_nobody_else_back() {
    let issued = OF_RSA.issue(90);
    let mut spec = issued.as_pfx(REFUSED);
    // Without it the emulator answers 500, as a service does that chokes on a container.
    if let Stored::Pfx { pem, .. } = &mut spec.stored {
        *pem = None;
    }
    let spec = CertificateSpec { leaf_der: super::tls::leaf(&issued.leaf).to_vec(), ..spec };
    let world = world(spec);
    for name in ["a", "b"] {
        world.emulator.put_secret("demo", name, "fine");
    }
    let config = format!("{}  a: keyvault:demo/secrets/a\n  b: keyvault:demo/secrets/b\n", block(&world));
    let ended = world.init(&config, PATIENT);
    ended.expect(69, &["uses RC4, which keyferry does not read"]);
    assert!(!ended.stderr.contains("demo.vault.localhost failed"), "the vault is not to blame: {ended:#?}");
    assert_eq!((world.read("a").as_deref(), world.read("b").as_deref()), (Some("fine"), Some("fine")));
}

#[test]
fn a_bad_new_version_keeps_the_last_good_one() {
    let (good, other, next) = (OF_EC.issue(90), OF_EC.issue(90), OF_EC.issue(90));
    let bad = [
        ("no private key", other.without_key()),
        ("belongs to none", CertificateSpec::new("web", Stored::Pem(format!("{}{}", good.key, other.fullchain())))),
        (
            "no whole PEM block",
            CertificateSpec {
                leaf_der: super::tls::leaf(&other.leaf).to_vec(),
                ..CertificateSpec::new("web", Stored::Pem("gone".to_owned()))
            },
        ),
    ];
    for (reason, spec) in bad {
        let world = world(good.as_pfx(LEGACY));
        let agent = world.run(&format!("refresh: {{interval: 1s, settle: 0s}}\n{}", block(&world)));
        until_holds(&world.out().join("tls.key"), &good.key);
        let before = std::fs::read_link(world.out().join("..data")).unwrap();
        world.emulator.put_certificate("demo", spec);
        agent.wait_for("cannot be fetched", 1);
        for _ in 0..2 {
            let seen = world.bearers();
            agent.signal(Signal::HUP);
            let more = |log: &[Logged]| log.iter().filter(|one| one.bearer && one.status.is_some()).count() > seen;
            assert!(world.emulator.wait_until(SOON, more));
        }
        assert_eq!(std::fs::read_link(world.out().join("..data")).unwrap(), before);
        assert_eq!(world.read("tls.crt"), Some(good.fullchain()));
        world.emulator.put_certificate("demo", next.as_pem());
        agent.signal(Signal::HUP);
        until_holds(&world.out().join("tls.key"), &next.key);
        let (_, lines) = agent.stop();
        let warnings: Vec<&String> = lines.iter().filter(|line| line.contains("WARN")).collect();
        assert_eq!(warnings.len(), 1, "one line: {lines:#?}");
        assert!(warnings[0].contains(reason) && warnings[0].contains("the last good value stays"), "{warnings:#?}");
    }
}

type Spoil = fn(&World);

#[test]
fn each_kind_of_object_is_mended_by_its_own_command() {
    fn deny(world: &World, permission: Permission, refusal: Refusal) {
        world.emulator.deny(DEFAULT_CLIENT, "demo", permission, None, refusal);
    }
    let cases: &[(&str, Spoil, i32, &[&str])] = &[
        (
            "certificates",
            |world| assert!(world.emulator.delete_certificate("demo", "web")),
            69,
            &["missing (SecretNotFound)", "az keyvault certificate recover --vault-name demo --name web"],
        ),
        (
            "certificates",
            |world| assert!(world.emulator.update_certificate("demo", "web", None, |one| one.enabled = false)),
            69,
            &["disabled", "az keyvault certificate set-attributes --vault-name demo --name web --enabled true"],
        ),
        (
            "certificates",
            |world| {
                let begun = CertificateSpec { in_creation: true, ..OF_EC.issue(90).as_pem() };
                assert!(world.emulator.delete_certificate("demo", "web"));
                world.emulator.put_certificate("demo", begun);
            },
            69,
            &["missing", "az keyvault certificate pending show --vault-name demo --name web"],
        ),
        (
            "certificates",
            |world| deny(world, Permission::Get, Refusal::ForbiddenByRbac),
            77,
            &["denied (ForbiddenByRbac)", "Key Vault Certificate User", "through the certificate's secret"],
        ),
        (
            "certificates",
            |world| deny(world, Permission::Get, Refusal::AccessDenied),
            77,
            &["denied (AccessDenied)", "--secret-permissions get", "through the certificate's secret"],
        ),
        (
            "keys",
            |world| assert!(world.emulator.delete_key("demo", "web")),
            69,
            &["missing (KeyNotFound)", "az keyvault key recover --vault-name demo --name web"],
        ),
        (
            "keys",
            |world| assert!(world.emulator.update_key("demo", "web", None, |one| one.enabled = false)),
            69,
            &["disabled (KeyDisabled)", "az keyvault key set-attributes --vault-name demo --name web --enabled true"],
        ),
        (
            "keys",
            |world| deny(world, Permission::GetKey, Refusal::ForbiddenByRbac),
            77,
            &["denied (ForbiddenByRbac)", "Key Vault Reader"],
        ),
        (
            "keys",
            |world| deny(world, Permission::GetKey, Refusal::AccessDenied),
            77,
            &["denied (AccessDenied)", "--key-permissions get"],
        ),
    ];
    let issued = OF_EC.issue(90);
    at_once(cases, |(collection, spoil, code, pieces)| {
        let world = World::new();
        if *collection == "keys" {
            let jwk = Jwk::ec("P-256", "AQ", "AQ");
            world.emulator.put_key("demo", KeySpec::new("web", jwk));
        } else {
            world.emulator.put_certificate("demo", issued.as_pfx(LEGACY));
        }
        spoil(&world);
        let ended = world.init(&world.config(&format!("secrets: {{bad: keyvault:demo/{collection}/web}}\n")), PATIENT);
        ended.expect(*code, pieces);
        assert!(!ended.stderr.contains("az keyvault secret"), "{ended:#?}");
    });
}

#[test]
fn permissions_for_certificates_alone_are_not_needed() {
    let issued = OF_EC.issue(90);
    let world = world(issued.as_pfx(LEGACY));
    for permission in [Permission::GetCertificate, Permission::GetKey, Permission::List] {
        world.emulator.deny(DEFAULT_CLIENT, "demo", permission, None, Refusal::ForbiddenByRbac);
    }
    world.init(&config(&world, ALL), &[]).expect(0, &[]);
    assert_eq!(world.read("tls.key"), Some(issued.key));
}

#[test]
fn no_piece_of_a_key_is_in_a_log() {
    let (one, other) = (OF_RSA.issue(90), OF_RSA.issue(90));
    let mixed = CertificateSpec::new("web", Stored::Pem(format!("{}{}", one.key, other.fullchain())));
    let torn = CertificateSpec {
        leaf_der: super::tls::leaf(&one.leaf).to_vec(),
        ..CertificateSpec::new("web", Stored::Pem(one.pem().replacen("-----END PRIVATE KEY-----", "", 1)))
    };
    let (stored, refused) = (one.as_pfx(LEGACY), one.as_pfx(REFUSED));
    let Stored::Pfx { base64, .. } = &stored.stored else { panic!("it is a PFX") };
    let pieces: Vec<String> = one.key.lines().filter(|line| line.len() == 64).map(str::to_owned).collect();
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).chain([&base64[64..128]]).collect();
    assert!(pieces.len() > 20);
    for spec in [one.as_pem(), stored.clone(), refused, mixed, torn, one.without_key()] {
        let world = world(spec);
        let ended = world.init(&config(&world, ALL), &["--log-level", "trace", "--timeout", "1s"]);
        for piece in &pieces {
            assert!(!ended.stderr.contains(piece), "{:?}", ended.code);
        }
    }
}
