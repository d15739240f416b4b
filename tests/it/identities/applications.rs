//! Applications with a secret or a certificate of their own.

use std::fs;
use std::path::PathBuf;

use keyferry_emulator::{DEFAULT_TENANT, Fault, Misbehaviour, Permission, Service};

use super::{HASTY, PATIENT, Variables, assert_published, command, init, world};
use crate::harness::{Running, Trap, World, at_once};

const CLIENT: &str = "88888888-8888-4888-8888-888888888888";
const SECRET: &str = "8Q~correct.horse_battery-staple";

/// An application that may read, with its variables but without its credential.
fn application(world: &World) -> Variables {
    world.emulator.allow(CLIENT, "demo", Permission::Get, None);
    Variables::from([("AZURE_TENANT_ID", DEFAULT_TENANT.to_owned()), ("AZURE_CLIENT_ID", CLIENT.to_owned())])
}

fn with_secret(world: &World) -> Variables {
    world.emulator.add_client_secret(DEFAULT_TENANT, CLIENT, SECRET);
    let mut variables = application(world);
    variables.insert("AZURE_CLIENT_SECRET", SECRET.to_owned());
    variables
}

/// The application's certificate and key, and the file that they are in.
fn with_certificate(world: &World) -> (Variables, PathBuf) {
    let pem = world.emulator.make_client_certificate(DEFAULT_TENANT, CLIENT).unwrap();
    let file = world.root.path().join("app.pem");
    fs::write(&file, pem).unwrap();
    let mut variables = application(world);
    variables.insert("AZURE_CLIENT_CERTIFICATE_PATH", file.display().to_string());
    (variables, file)
}

fn exchanges(world: &World) -> usize {
    world.requests_to(Service::Entra).len()
}

#[test]
fn a_secret_in_a_variable_signs_in() {
    let world = world();
    let variables = with_secret(&world);
    for identity in ["", "identity: {clientSecret: {}}"] {
        let ended = init(&world, identity, &variables, PATIENT);
        assert_published(&world, &ended);
        let who = format!("identity 'default' is client secret (client {CLIENT} of tenant {DEFAULT_TENANT}), because ");
        ended.expect(0, &[&who]);
    }
}

#[test]
fn a_secret_in_a_file_is_read_at_every_exchange() {
    let world = world();
    world.emulator.add_client_secret(DEFAULT_TENANT, CLIENT, SECRET);
    let mut variables = application(&world);
    // The file is what was asked for, whatever the variable says.
    variables.insert("AZURE_CLIENT_SECRET", "hunter2".to_owned());
    let file = world.root.path().join("secret");
    fs::write(&file, format!("{SECRET}\r\n")).unwrap();
    let identity = format!("refresh: {{interval: 1s}}\nidentity: {{clientSecret: {{secretFile: {}}}}}", file.display());
    let running = Running::start(&mut command(&world, &identity, &variables, &["run", "--log-level", "trace"]));
    running.wait_for("published generation 1", 1);
    let newer = "another8Q~secret";
    world.emulator.remove_client_secrets(DEFAULT_TENANT, CLIENT);
    world.emulator.add_client_secret(DEFAULT_TENANT, CLIENT, newer);
    fs::write(&file, newer).unwrap();
    world.emulator.put_secret("demo", "a", "newer");
    world.emulator.revoke_tokens();
    running.wait_for("published generation 2", 1);
    assert_eq!(exchanges(&world), 2);
    let (_, lines) = running.stop();
    assert!(!lines.iter().any(|line| line.contains(SECRET) || line.contains(newer)), "{lines:#?}");
}

#[test]
fn a_secret_that_is_not_good_is_told() {
    let world = world();
    let mut variables = with_secret(&world);
    variables.insert("AZURE_CLIENT_SECRET", "hunter2".to_owned());
    let ended = init(&world, "", &variables, HASTY);
    ended.expect(77, &["denied (AADSTS7000215)", &format!("az ad app credential reset --id {CLIENT}")]);
    variables.insert("AZURE_CLIENT_SECRET", " \n".to_owned());
    init(&world, "", &variables, HASTY).expect(77, &["misconfigured (secret-variable)"]);
    let missing = world.root.path().join("missing");
    let in_file = |path: &std::path::Path| format!("identity: {{clientSecret: {{secretFile: {}}}}}", path.display());
    init(&world, &in_file(&missing), &variables, HASTY).expect(77, &["missing (secret-file-missing)"]);
    let empty = world.root.path().join("empty");
    fs::write(&empty, "\n").unwrap();
    init(&world, &in_file(&empty), &variables, HASTY).expect(77, &["missing (secret-file-empty)"]);
    init(&world, &in_file(world.root.path()), &variables, HASTY).expect(77, &["denied (secret-file-unreadable)"]);
}

#[test]
fn a_certificate_signs_in_and_a_renewed_one_too() {
    let world = world();
    let (variables, file) = with_certificate(&world);
    let ended = init(&world, "", &variables, PATIENT);
    assert_published(&world, &ended);
    ended.expect(0, &["identity 'default' is client certificate (client 8"]);
    let identity =
        format!("refresh: {{interval: 1s}}\nidentity: {{clientCertificate: {{certificateFile: {}}}}}", file.display());
    let running = Running::start(&mut command(&world, &identity, &application(&world), &["run"]));
    world.emulator.clear_log();
    world.emulator.put_secret("demo", "a", "newer");
    running.wait_for("published generation 2", 1);
    fs::write(&file, world.emulator.make_client_certificate(DEFAULT_TENANT, CLIENT).unwrap()).unwrap();
    world.emulator.put_secret("demo", "a", "newest");
    world.emulator.revoke_tokens();
    running.wait_for("published generation 3", 1);
    // An assertion is used once.
    let assertions: Vec<_> = world.requests_to(Service::Entra).into_iter().filter_map(|one| one.assertion).collect();
    assert!(assertions.len() >= 2 && assertions[0] != assertions[1], "{assertions:?}");
}

#[test]
fn a_certificate_that_is_not_good_is_told() {
    let good = world();
    let (_, file) = with_certificate(&good);
    let good = fs::read_to_string(file).unwrap();
    let (key, certificate) = good.split_at(good.find("-----BEGIN CERTIFICATE").unwrap());
    let ec = {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        format!("{}{}", key.serialize_pem(), certificate.pem())
    };
    let cases = [
        (good.clone(), "denied (AADSTS700027)", "az ad app credential list"),
        (key.to_owned(), "denied (certificate-malformed)", "openssl pkcs12"),
        (certificate.to_owned(), "denied (certificate-without-key)", "openssl pkcs12"),
        (
            certificate.replace("CERTIFICATE", "ENCRYPTED PRIVATE KEY"),
            "denied (certificate-encrypted)",
            "openssl pkcs12",
        ),
        (ec, "denied (certificate-not-rsa)", "--create-cert"),
        (String::new(), "missing (certificate-empty)", "PEM"),
    ];
    at_once(&cases, |(pem, what, advice)| {
        let world = world();
        let (variables, file) = with_certificate(&world);
        fs::write(&file, pem).unwrap();
        init(&world, "", &variables, HASTY).expect(77, &[what, advice]);
    });
}

#[test]
fn an_assertion_of_a_wrong_clock_is_told() {
    let world = world();
    let (variables, _) = with_certificate(&world);
    world.emulator.set_clock_skew(3600);
    let ended = init(&world, "", &variables, HASTY);
    ended.expect(77, &["denied (AADSTS700024): this machine's clock is", "behind the authority's", "date -u"]);
}

#[test]
fn an_authority_that_is_in_trouble_is_told() {
    let world = world();
    let (certificate, _) = with_certificate(&world);
    for variables in [with_secret(&world), certificate] {
        let throttled = Misbehaviour::Throttle { retry_after: Some("60".to_owned()) };
        let throttled = world.emulator.fault(Fault::entra(throttled));
        init(&world, "", &variables, HASTY).expect(69, &["throttled (AADSTS90055)"]);
        world.emulator.clear_fault(throttled);
        let trap = Trap::set();
        let to = format!("https://{}/", trap.address);
        let redirected = world.emulator.fault(Fault::entra(Misbehaviour::Redirect { to }));
        init(&world, "", &variables, HASTY).expect(69, &["unavailable (http-302)"]);
        world.emulator.clear_fault(redirected);
        assert_eq!(trap.caught(), Vec::<Vec<u8>>::new());
        world.emulator.stop(Service::Entra).unwrap();
        init(&world, "", &variables, HASTY).expect(69, &["unavailable (refused)", "signs in at the authority"]);
        world.emulator.start_again(Service::Entra).unwrap();
    }
}
