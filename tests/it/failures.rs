//! What goes wrong, and how it is told: every trouble has its own message, with the secret, who signs in and what to
//! do; its own exit code; and takes no other secret with it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use keyferry_emulator::{
    App, Assertion, DEFAULT_CLIENT, Fault, Misbehaviour, Permission, Refusal, SecretSpec, Service,
};
use rustix::process::Signal;

use crate::harness::{Ended, World, at_once, until_holds};

/// Long enough for everything good to arrive on a busy machine.
const PATIENCE: &str = "6s";
const WAITED: Duration = Duration::from_secs(6);

/// A pod with a good secret, and whatever a test spoils.
fn world() -> World {
    let world = World::new();
    world.emulator.put_secret("demo", "good", "fine");
    world.emulator.put_secret("demo", "bad", "never seen");
    world
}

/// Fetches `good` and the one that is bad.
fn init(world: &World, bad: &str) -> Ended {
    let ended =
        world.init(&world.config(&format!("secrets:\n  good: keyvault:demo/secrets/good\n  bad: {bad}\n")), PATIENT);
    assert_eq!(world.read("good").as_deref(), Some("fine"), "the good one is published: {ended:#?}");
    assert_eq!(world.read("bad"), None, "{ended:#?}");
    ended
}

const PATIENT: &[&str] = &["--timeout", PATIENCE];

/// A vault with an identity of its own, so that the default one stays good; `workload` is its YAML.
fn init_as(world: &World, workload: &str) -> Ended {
    world.emulator.put_secret("other", "bad", "never seen");
    let config = format!(
        "{}  other: {{url: \"{}\", identity: {{workload: {{{workload}}}}}}}\nfiles: {{dir: {}}}\n\
         secrets:\n  good: keyvault:demo/secrets/good\n  bad: keyvault:other/secrets/bad\n",
        world.preamble(&["demo"]),
        world.emulator.vault_url("other"),
        world.out().display(),
    );
    let ended = world.init(&config, PATIENT);
    assert_eq!(world.read("good").as_deref(), Some("fine"), "the good one is published: {ended:#?}");
    assert_eq!(world.read("bad"), None, "{ended:#?}");
    ended
}

/// Asserts how it ended and what the line about the bad secret says.
#[track_caller]
fn assert_told(ended: &Ended, code: i32, pieces: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:#?}");
    let line = ended.about("bad");
    for piece in pieces {
        assert!(line.contains(piece), "no {piece:?} in {line:?}");
    }
    assert!(!ended.stderr.contains("never seen"));
    assert!(!ended.last_words().iter().any(|word| word.starts_with("secret good")), "{ended:#?}");
}

fn fifo(path: &Path) {
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
}

const CREDENTIALS: &str = "az identity federated-credential list";

#[test]
fn a_token_file_that_is_no_good() {
    type Spoil = fn(&World, &Path);
    let cases: &[(&str, Spoil, &[&str])] = &[
        ("token-file-missing", |_, _| {}, &["does not exist", "azure.workload.identity/use"]),
        ("token-file-empty", |_, file| fs::write(file, " \n").unwrap(), &["is empty", "ls -lL /"]),
        ("token-file-unreadable", |_, file| fs::create_dir(file).unwrap(), &["is no regular file", "ls -lL /"]),
        ("token-file-unreadable", |_, file| fifo(file), &["is no regular file", "ls -lL /"]),
        ("token-file-malformed", |_, file| fs::write(file, "hunter2").unwrap(), &["three parts", "ls -lL /"]),
        ("token-file-malformed", |_, file| fs::write(file, [0xff, 0xfe]).unwrap(), &["three parts", "ls -lL /"]),
        ("AADSTS50027", |_, file| fs::write(file, "a.b.c").unwrap(), &["cannot verify the token", CREDENTIALS]),
    ];
    at_once(cases, |(code, spoil, pieces)| {
        let world = world();
        let file = world.root.path().join("bad-token");
        spoil(&world, &file);
        let ended = init_as(&world, &format!("tokenFile: {}", file.display()));
        assert_told(&ended, 77, &[pieces, &[*code, DEFAULT_CLIENT][..]].concat());
        assert!(!ended.stderr.contains("hunter2"));
        assert!(ended.took >= WAITED, "the kubelet may still put it right: {ended:#?}");
    });
}

#[test]
fn a_token_that_entra_does_not_accept() {
    let cases: &[(&str, Assertion, &[&str])] = &[
        (
            "AADSTS700024",
            Assertion { issued_at: -7200, ..Assertion::default() },
            &["not valid at this time", "the file is stale", "date -u +%s"],
        ),
        (
            "AADSTS700213",
            Assertion { subject: "system:serviceaccount:demo:other".to_owned(), ..Assertion::default() },
            &["the token's subject is 'system:serviceaccount:demo:other'", CREDENTIALS],
        ),
        (
            "AADSTS7002138",
            Assertion { subject: "system:serviceaccount:demo:App".to_owned(), ..Assertion::default() },
            &["the token's subject is 'system:serviceaccount:demo:App'", "case counts", CREDENTIALS],
        ),
        (
            "AADSTS700211",
            Assertion { issuer: "https://oidc.localhost/another/".to_owned(), ..Assertion::default() },
            &["the token's issuer is 'https://oidc.localhost/another/'", CREDENTIALS],
        ),
        (
            "AADSTS700212",
            Assertion { audience: "https://vault.localhost".to_owned(), ..Assertion::default() },
            &["the token's audience is 'https://vault.localhost'", "api://AzureADTokenExchange", CREDENTIALS],
        ),
        (
            "AADSTS700027",
            Assertion { foreign_key: true, ..Assertion::default() },
            &["cannot verify the token", "published keys", CREDENTIALS],
        ),
    ];
    at_once(cases, |(code, assertion, pieces)| {
        let world = world();
        let file = world.root.path().join("bad-token");
        fs::write(&file, world.emulator.federated_token(assertion)).unwrap();
        let ended = init_as(&world, &format!("tokenFile: {}", file.display()));
        assert_told(&ended, 77, &[pieces, &[*code, DEFAULT_CLIENT][..]].concat());
        // A credential that was just made takes minutes to work.
        assert!(ended.took >= WAITED, "{ended:#?}");
        // Entra's own text is not shown.
        assert!(!ended.stderr.contains("presented assertion"), "{ended:#?}");
    });
}

#[test]
fn an_identity_that_is_not_there_cannot_mend_and_ends_at_once() {
    let stranger = "99999999-9999-4999-8999-999999999999";
    let cases: &[(&str, &str, &[&str])] = &[
        ("AADSTS90002", "tenantId", &["there is no tenant 99999999", "az account show"]),
        ("AADSTS700016", "clientId", &["client 99999999", "is not an application", "az ad sp show --id 99999999"]),
    ];
    at_once(cases, |(code, member, pieces)| {
        let world = world();
        let ended = init_as(&world, &format!("{member}: {stranger}"));
        assert_told(&ended, 77, &[pieces, &[*code][..]].concat());
        assert!(ended.took < WAITED, "{ended:#?}");
    });
    // The same for the whole pod, where only a local file is left to fetch.
    let world = World::new();
    let local = world.root.path().join("local");
    fs::write(&local, "fine").unwrap();
    let config =
        world.config(&format!("secrets:\n  good: file:{}\n  bad: keyvault:demo/secrets/bad\n", local.display()));
    let mut command = world.keyferry(&config, &["init", "--log-format", "text"]);
    let ended = crate::harness::end(command.env("AZURE_TENANT_ID", stranger));
    assert_told(&ended, 77, &["AADSTS90002", stranger, "az account show"]);
    assert_eq!(world.read("good").as_deref(), Some("fine"));
    assert!(ended.took < Duration::from_mins(1), "not the five minutes of the default: {ended:#?}");
}

#[test]
fn a_clock_that_is_off_is_said_to_be() {
    let cases: &[(i64, &str)] = &[(600, "behind"), (-600, "ahead of")];
    at_once(cases, |(skew, direction)| {
        let world = World::new();
        world.write_token(&Assertion { lifetime: 300, ..Assertion::default() });
        world.emulator.set_clock_skew(*skew);
        let local = world.root.path().join("local");
        fs::write(&local, "fine").unwrap();
        let secrets = format!("secrets:\n  good: file:{}\n  bad: keyvault:demo/secrets/bad\n", local.display());
        let ended = world.init(&world.config(&secrets), PATIENT);
        assert_told(&ended, 77, &["AADSTS700024", "this machine's clock is", direction, "the authority's"]);
        let minutes = ["9m 5", "10m"].iter().any(|minutes| ended.about("bad").contains(minutes));
        assert!(minutes, "by how much: {ended:#?}");
        assert_eq!(world.read("good").as_deref(), Some("fine"));
    });
}

#[test]
fn a_rotated_token_file_is_read_for_the_next_exchange() {
    let world = world();
    let running = world.run(&world.config("secrets: {good: keyvault:demo/secrets/good}\nrefresh: {settle: 0s}\n"));
    until_holds(&world.out().join("good"), "fine");
    // What the kubelet projects anew replaces the file; the old token is gone with its time.
    world.write_token(&Assertion { lifetime: 7200, ..Assertion::default() });
    world.emulator.revoke_tokens();
    world.emulator.put_secret("demo", "good", "finer");
    running.signal(Signal::HUP);
    until_holds(&world.out().join("good"), "finer");
    let exchanges = world.requests_to(Service::Entra);
    assert_eq!(exchanges.len(), 2, "{exchanges:#?}");
    assert_ne!(exchanges[0].assertion, exchanges[1].assertion);
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn a_vault_that_is_not_there() {
    // The emulator answers for a vault that it does not know as little as it can: it ends the handshake.
    let world = world();
    let config = format!(
        "{}files: {{dir: {}}}\nsecrets:\n  good: keyvault:demo/secrets/good\n  bad: keyvault:nowhere/secrets/bad\n",
        world.preamble(&["demo", "nowhere"]),
        world.out().display()
    );
    let ended = world.init(&config, PATIENT);
    assert_told(&ended, 69, &["unavailable (tls)", "az keyvault show --name nowhere"]);
    assert_eq!(world.read("good").as_deref(), Some("fine"));
}

#[test]
fn a_vault_whose_name_does_not_resolve() {
    let world = World::new();
    let local = world.root.path().join("local");
    fs::write(&local, "fine").unwrap();
    world.emulator.add_audience("https://vault.keyferry-test.invalid");
    let config = format!(
        "cloud: {{authorityHost: \"{}\", vaultSuffix: vault.keyferry-test.invalid}}\ntls: {{caFile: {}}}\n\
         files: {{dir: {}}}\nsecrets:\n  good: file:{}\n  \
         bad: keyvault:https://nowhere.vault.keyferry-test.invalid/secrets/bad\n",
        world.emulator.authority(),
        world.root.path().join("ca.pem").display(),
        world.out().display(),
        local.display()
    );
    let ended = world.init(&config, &["--timeout", "20s"]);
    assert_told(&ended, 69, &["unavailable (dns)", "does not resolve", "az keyvault show --name nowhere"]);
    assert_eq!(world.read("good").as_deref(), Some("fine"));
}

#[test]
fn a_host_that_is_not_trusted_or_cannot_be_reached() {
    type Spoil = fn(&World, String) -> String;
    let untrusted: Spoil = |world, config| config.replace(&ca(world), "tls: {}");
    let cases: &[(&str, Spoil, &[&str])] = &[
        ("certificate", untrusted, &["from an authority that is not trusted here", "tls.caFile"]),
        ("refused", |world, config| world.emulator.stop_entra().map(|()| config).unwrap(), &["AZURE_AUTHORITY_HOST"]),
        ("refused", |world, config| world.emulator.stop_vaults().map(|()| config).unwrap(), &["az keyvault show"]),
    ];
    at_once(cases, |(code, spoil, pieces)| {
        let world = World::new();
        let local = world.root.path().join("local");
        fs::write(&local, "fine").unwrap();
        let secrets = format!("secrets:\n  good: file:{}\n  bad: keyvault:demo/secrets/bad\n", local.display());
        let config = spoil(&world, world.config(&secrets));
        let ended = world.init(&config, PATIENT);
        assert_told(&ended, 69, &[pieces, &[&*format!("unavailable ({code})")][..]].concat());
        assert_eq!(world.read("good").as_deref(), Some("fine"));
        assert!(!ended.stderr.contains("api-version"), "no URL: {ended:#?}");
    });
}

fn ca(world: &World) -> String {
    format!("tls: {{caFile: {}}}", world.root.path().join("ca.pem").display())
}

#[test]
fn a_secret_that_cannot_be_had() {
    type Spoil = fn(&World);
    fn deny(world: &World, refusal: Refusal) {
        world.emulator.deny(DEFAULT_CLIENT, "demo", Permission::Get, Some("bad"), refusal);
    }
    let cases: &[(&str, i32, Spoil, &[&str])] = &[
        (
            "missing (SecretNotFound)",
            69,
            |world| assert!(world.emulator.delete_secret("demo", "bad")),
            &["az keyvault secret list --vault-name demo", "az keyvault secret recover --vault-name demo --name bad"],
        ),
        (
            "disabled (SecretDisabled)",
            69,
            |world| assert!(world.emulator.update_secret("demo", "bad", None, |secret| secret.enabled = false)),
            &["az keyvault secret set-attributes --vault-name demo --name bad --enabled true"],
        ),
        (
            "denied (ForbiddenByRbac)",
            77,
            |world| deny(world, Refusal::ForbiddenByRbac),
            &["az role assignment create --role \"Key Vault Secrets User\"", DEFAULT_CLIENT],
        ),
        (
            "denied (AccessDenied)",
            77,
            |world| deny(world, Refusal::AccessDenied),
            &["az keyvault set-policy --name demo", DEFAULT_CLIENT],
        ),
    ];
    at_once(cases, |(what, code, spoil, pieces)| {
        let world = world();
        spoil(&world);
        let ended = init(&world, "keyvault:demo/secrets/bad");
        assert_told(&ended, *code, &[pieces, &[*what][..]].concat());
        assert!(ended.took >= WAITED, "somebody may put it right: {ended:#?}");
    });
}

#[test]
fn a_vault_that_lets_nobody_in_from_here() {
    let cases: &[(&str, Refusal, &[&str])] = &[
        ("denied (ForbiddenByFirewall)", Refusal::ForbiddenByFirewall, &["az keyvault network-rule add --name other"]),
        (
            "denied (ForbiddenByConnection)",
            Refusal::ForbiddenByConnection,
            &["private endpoint", "az keyvault show --name other"],
        ),
    ];
    at_once(cases, |(what, refusal, pieces)| {
        let world = world();
        world.emulator.put_secret("other", "bad", "never seen");
        world.emulator.deny(DEFAULT_CLIENT, "other", Permission::Get, None, *refusal);
        let config = format!(
            "{}files: {{dir: {}}}\nsecrets:\n  good: keyvault:demo/secrets/good\n  bad: keyvault:other/secrets/bad\n",
            world.preamble(&["demo", "other"]),
            world.out().display()
        );
        let ended = world.init(&config, PATIENT);
        assert_told(&ended, 77, &[pieces, &[*what][..]].concat());
        assert_eq!(world.read("good").as_deref(), Some("fine"));
    });
}

#[test]
fn content_that_is_not_what_was_asked_for() {
    let cases: &[(&str, &str, &str)] = &[
        ("property: user", "never seen", "no JSON object"),
        ("property: user", "[\"never seen\"]", "no JSON object"),
        ("property: user", "{\"User\": \"never seen\"}", "no property 'user'"),
        ("property: user", "{\"user\": null, \"x\": \"never seen\"}", "'user' is null"),
        ("decode: base64", "never seen", "not valid base64"),
        ("decode: hex", "never seen", "not valid hexadecimal"),
    ];
    at_once(cases, |(cut, value, what)| {
        let world = world();
        world.emulator.put_secret("demo", "bad", value);
        let ended = init(&world, &format!("{{from: keyvault:demo/secrets/bad, {cut}}}"));
        assert_told(&ended, 65, &["unusable content", what, "'property' and 'decode'"]);
    });
}

#[test]
fn a_local_file_that_cannot_be_read() {
    type Spoil = fn(&Path);
    let cases: &[(Spoil, i32, &[&str])] = &[
        (|_| {}, 69, &["missing (file-missing)", "create /"]),
        (|file| fs::create_dir(file).unwrap(), 65, &["no regular file", "ls -l /"]),
        (fifo, 65, &["no regular file", "ls -l /"]),
        (|file| fs::write(file, vec![b'x'; 5 << 20]).unwrap(), 65, &["longer than 4 MiB", "ls -l /"]),
    ];
    at_once(cases, |(spoil, code, pieces)| {
        let world = world();
        let file = world.root.path().join("file");
        spoil(&file);
        let ended = init(&world, &format!("file:{}", file.display()));
        assert_told(&ended, *code, pieces);
    });
}

#[test]
fn of_several_troubles_the_worst_decides_how_it_ends() {
    let world = world();
    world.emulator.put_secret("demo", "text", "no JSON");
    world.emulator.put_secret("demo", "denied", "x");
    world.emulator.deny(DEFAULT_CLIENT, "demo", Permission::Get, Some("denied"), Refusal::ForbiddenByRbac);
    let mut secrets = "secrets:\n  good: keyvault:demo/secrets/good\n".to_owned();
    for (line, code) in [
        ("  missing: keyvault:demo/secrets/missing\n", 69),
        ("  text: {from: keyvault:demo/secrets/text, property: a}\n", 65),
        ("  denied: keyvault:demo/secrets/denied\n", 77),
    ] {
        secrets.push_str(line);
        let ended = world.init(&world.config(&secrets), &["--timeout", "5s"]);
        assert_eq!(ended.code, Some(code), "{ended:#?}");
        assert_eq!(world.read("good").as_deref(), Some("fine"));
        let lines = ended.last_words().len();
        assert_eq!(lines, secrets.lines().count() - 2, "a line each: {ended:#?}");
    }
}

#[test]
fn what_is_optional_may_be_missing_or_disabled_but_not_denied() {
    let world = world();
    let secrets = "secrets:
  good: keyvault:demo/secrets/good
  missing: {from: keyvault:demo/secrets/missing, optional: true}
  bad: {from: keyvault:demo/secrets/bad, optional: true}
";
    world.emulator.update_secret("demo", "bad", None, |secret| secret.enabled = false);
    world.init(&world.config(secrets), &[]).expect(0, &["optional secret missing", "optional secret bad"]);
    assert_eq!(world.read("good").as_deref(), Some("fine"));
    assert_eq!((world.read("missing"), world.read("bad")), (None, None));

    world.emulator.deny(DEFAULT_CLIENT, "demo", Permission::Get, Some("bad"), Refusal::ForbiddenByRbac);
    let ended = world.init(&world.config(secrets), PATIENT);
    assert_told(&ended, 77, &["ForbiddenByRbac"]);
    assert_eq!(world.read("good").as_deref(), Some("fine"));
}

/// Fifty secrets, and how their config begins.
fn fifty() -> (World, String) {
    let world = World::new();
    let mut text = "secrets:\n".to_owned();
    for number in 0..50 {
        world.emulator.put_secret("demo", &format!("s{number}"), &format!("value {number}"));
        text.push_str(&format!("  s{number}: keyvault:demo/secrets/s{number}\n"));
    }
    (world, text)
}

fn assert_fifty(world: &World) {
    for number in 0..50 {
        assert_eq!(world.read(&format!("s{number}")), Some(format!("value {number}")));
    }
}

#[test]
fn throttling_is_waited_out_with_few_requests() {
    let cases = [None, Some("1"), Some("0")];
    at_once(&cases, |retry_after| {
        let (world, secrets) = fifty();
        let throttle = Misbehaviour::Throttle { retry_after: retry_after.map(str::to_owned) };
        world.emulator.fault(Fault::vault(throttle).with_bearer(true).times(52));
        world.init(&world.config(&secrets), &["--timeout", "50s"]).expect(0, &["throttled (Throttled)", "works again"]);
        assert_fifty(&world);
        // The first fifty are on their way when the first is turned away; then probes go alone.
        assert!(world.bearers() <= 50 + 52 + 5, "{}", world.bearers());
        assert_eq!(world.requests_to(Service::Entra).len(), 1);
    });
}

#[test]
fn a_signing_key_that_is_not_found_now_and_then_is_tried_again() {
    let (world, secrets) = fifty();
    world.emulator.fault(Fault::vault(Misbehaviour::SigningKeyUnresolved).with_bearer(true).every(3));
    world.init(&world.config(&secrets), &["--timeout", "50s"]).expect(0, &["AKV10046"]);
    assert_fifty(&world);
    assert_eq!(world.requests_to(Service::Entra).len(), 1, "the token is good");
    assert!(world.bearers() <= 90, "{}", world.bearers());
}

#[test]
fn ten_rejected_tokens_cost_one_exchange() {
    let world = World::new();
    let mut secrets = "refresh: {settle: 0s}\nsecrets:\n".to_owned();
    for number in 0..10 {
        world.emulator.put_secret("demo", &format!("s{number}"), "old");
        secrets.push_str(&format!("  s{number}: keyvault:demo/secrets/s{number}\n"));
    }
    let running = world.run(&world.config(&secrets));
    until_holds(&world.out().join("s9"), "old");
    world.emulator.clear_log();
    for number in 0..10 {
        world.emulator.put_secret("demo", &format!("s{number}"), "new");
    }
    world.emulator.revoke_tokens();
    running.signal(Signal::HUP);
    for number in 0..10 {
        until_holds(&world.out().join(format!("s{number}")), "new");
    }
    assert_eq!(world.requests_to(Service::Entra).len(), 1);
    let refused = world.requests_to(Service::Vault).iter().filter(|request| request.status == Some(401)).count();
    assert!(refused <= 10, "{refused}");
    let (code, lines) = running.stop();
    assert_eq!(code, Some(0));
    assert!(!lines.iter().any(|line| line.contains("WARN")), "nobody needs to hear of it: {lines:#?}");
}

#[test]
fn what_passes_is_waited_out() {
    let html = || Misbehaviour::Raw { status: 400, headers: Vec::new(), body: "<html>Bad Request</html>".to_owned() };
    let faults = [
        Fault::vault(Misbehaviour::HtmlBadGateway).with_bearer(true),
        Fault::vault(html()).with_bearer(true),
        Fault::vault(Misbehaviour::Reset).with_bearer(true),
        Fault::vault(Misbehaviour::CutBody).with_bearer(true),
        Fault::vault(Misbehaviour::Status { status: 500 }).with_bearer(true),
        Fault::vault(Misbehaviour::Status { status: 503 }).with_bearer(true),
        Fault::vault(Misbehaviour::Status { status: 503 }).with_bearer(false),
        Fault::vault(Misbehaviour::CutBody).with_bearer(false),
        Fault::vault(Misbehaviour::NoTls),
        Fault::entra(Misbehaviour::HtmlBadGateway),
        Fault::entra(Misbehaviour::Reset),
        Fault::entra(Misbehaviour::CutBody),
        Fault::entra(Misbehaviour::Status { status: 503 }),
        Fault::entra(Misbehaviour::Throttle { retry_after: Some("1".to_owned()) }),
    ];
    at_once(&faults, |fault| {
        let world = world();
        world.emulator.fault(fault.clone().times(2));
        let config = world.config("secrets: {good: keyvault:demo/secrets/good, bad: keyvault:demo/secrets/bad}\n");
        let ended = world.init(&config, &["--timeout", "55s"]);
        assert_eq!(ended.code, Some(0), "{fault:?}: {ended:#?}");
        assert_eq!(world.read("good").as_deref(), Some("fine"));
        assert!(world.emulator.requests().len() <= 16, "{fault:?}: {:#?}", world.emulator.requests());
        assert!(!ended.stderr.contains("<html>"));
    });
}

#[test]
fn a_secret_that_never_answers_does_not_keep_the_others_from_being_published() {
    let world = world();
    world.emulator.fault(Fault::vault(Misbehaviour::NeverAnswer).of_secret("bad").with_bearer(true));
    let ended = init(&world, "keyvault:demo/secrets/bad");
    assert_told(&ended, 69, &["there was no answer yet"]);
}

#[test]
fn an_identity_of_its_own_signs_in_beside_the_other() {
    let world = world();
    let client = "77777777-7777-4777-8777-777777777777";
    world.emulator.add_app(App { client_id: client.to_owned(), ..App::default() });
    world.emulator.put_secret_with("other", SecretSpec::new("bad", "seen"));
    let config = format!(
        "{}  other: {{url: \"{}\", identity: {{workload: {{clientId: {client}}}}}}}\nfiles: {{dir: {}}}\n\
         secrets:\n  good: keyvault:demo/secrets/good\n  bad: keyvault:other/secrets/bad\n",
        world.preamble(&["demo"]),
        world.emulator.vault_url("other"),
        world.out().display(),
    );
    let ended = world.init(&config, PATIENT);
    assert_told(&ended, 77, &["ForbiddenByRbac", client]);
    world.emulator.allow(client, "other", Permission::Get, None);
    world.init(&config, &[]).expect(0, &[]);
    assert_eq!(world.read("bad").as_deref(), Some("seen"));
}

#[test]
fn a_token_file_that_appears_under_run_is_found_by_itself() {
    let world = world();
    fs::remove_file(world.token_file()).unwrap();
    let running = world.run(&world.config("secrets: {good: keyvault:demo/secrets/good}\n"));
    running.wait_for("token-file-missing", 1);
    fs::write(world.token_file(), "").unwrap();
    running.wait_for("token-file-empty", 1);
    world.write_token(&Assertion::default());
    until_holds(&world.out().join("good"), "fine");
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn the_configuration_says_how_long_init_tries() {
    let world = world();
    let config = world.config("startup: {timeout: 4s}\nsecrets: {bad: keyvault:demo/secrets/missing}\n");
    let ended = world.init(&config, &[]);
    ended.expect(69, &["secret bad", "SecretNotFound"]);
    assert!((4..30).contains(&ended.took.as_secs()), "{ended:#?}");
}

#[test]
fn what_somebody_has_changed_is_put_right_under_run_and_told() {
    let world = world();
    let config = "refresh: {interval: 1s, settle: 0s}\nsecrets: {good: keyvault:demo/secrets/good}\n";
    let running = world.run(&world.config(config));
    until_holds(&world.out().join("good"), "fine");
    let file = fs::canonicalize(world.out().join("good")).unwrap();
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    fs::write(&file, "planted").unwrap();
    running.wait_for("was not as keyferry had left it", 1);
    until_holds(&world.out().join("good"), "fine");
    assert_eq!(running.stop().0, Some(0));
}
