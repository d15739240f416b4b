//! The Azure CLI: an `az` of the test's own.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use keyferry_emulator::{Fault, Misbehaviour, Service};

use super::{HASTY, PATIENT, Variables, assert_published, command, init, world};
use crate::harness::{Running, World, at_once, eventually};

/// A token as IMDS gives it, for whoever pretends to be the Azure CLI.
fn access_token(world: &World) -> String {
    let mut stream = TcpStream::connect(world.emulator.address(Service::Imds)).unwrap();
    let path = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.localhost";
    write!(stream, "GET {path} HTTP/1.1\r\nHost: imds\r\nMetadata: true\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, rest) = answer.split_once(r#""access_token":""#).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// An `az` in the PATH of the binary; what it was called with goes to the file that is returned.
fn install_az(world: &World, then: &str) -> PathBuf {
    let (az, called) = (world.root.path().join("az"), world.root.path().join("called"));
    fs::write(&az, format!("#!/bin/sh\necho \"$@\" >> {}\n{then}\n", called.display())).unwrap();
    fs::set_permissions(&az, fs::Permissions::from_mode(0o700)).unwrap();
    called
}

fn prints_a_token(world: &World) -> String {
    let token = access_token(world);
    format!("echo 'WARNING: hunter2' >&2; echo '{{\"accessToken\": \"{token}\", \"expires_on\": 4102444800}}'")
}

const CALL: &str = "account get-access-token --output json --scope https://vault.localhost/.default";

#[test]
fn the_azure_cli_signs_in_when_told_to() {
    let world = world();
    let called = install_az(&world, &prints_a_token(&world));
    let ended = init(&world, "identity: {azureCli: {}}", &Variables::new(), PATIENT);
    assert_published(&world, &ended);
    assert!(!ended.stderr.contains("hunter2"), "{ended:#?}");
    assert_eq!(fs::read_to_string(&called).unwrap(), format!("{CALL}\n"));
    let tenant = "identity: {azureCli: {tenantId: contoso.onmicrosoft.com}}";
    init(&world, tenant, &Variables::new(), PATIENT).expect(0, &[]);
    let calls = fs::read_to_string(&called).unwrap();
    assert_eq!(calls.lines().last(), Some(format!("{CALL} --tenant contoso.onmicrosoft.com").as_str()));
}

#[test]
fn an_azure_cli_that_gives_no_token_is_told() {
    let not_logged_in = "echo \"ERROR: Please run 'az login' to setup account. hunter2\" >&2; exit 1";
    let cases = [
        (None, 77, "missing (az-not-installed)", "https://aka.ms/azure-cli"),
        (Some(not_logged_in), 77, "denied (az-not-logged-in)", "log in: az login"),
        (Some("echo 'ERROR: AADSTS50076: hunter2' >&2; exit 1"), 77, "denied (AADSTS50076)", "log in anew: az login"),
        // Whatever it is, the CLI advises to log in.
        (
            Some("echo 'ERROR: AADSTS500011: hunter2. To re-authenticate, please run: az login' >&2; exit 1"),
            78,
            "misconfigured (AADSTS500011): there is no service of this audience",
            "set 'cloud' to the vault's",
        ),
        (
            Some("echo 'ERROR: AADSTS90033: hunter2' >&2; exit 1"),
            69,
            "unavailable (AADSTS90033)",
            "tried again by itself",
        ),
        (Some("echo 'hunter2 failed' >&2; exit 1"), 69, "unavailable (az-failed)", "see what it says"),
        (Some("echo hunter2"), 69, "unavailable (az-bad-answer)", "see what it says"),
        (Some("kill -9 $$"), 69, "unavailable (az-failed)", "see what it says"),
        (Some("while :; do echo hunter2; done"), 69, "unavailable (az-", "see what it says"),
    ];
    at_once(&cases, |(script, code, what, advice)| {
        let world = world();
        if let Some(script) = script {
            install_az(&world, script);
        }
        let ended = init(&world, "identity: {azureCli: {}}", &Variables::new(), HASTY);
        ended.expect(*code, &[what, advice]);
        assert!(!ended.stderr.contains("hunter2") && !ended.stderr.contains("setup account"), "{ended:#?}");
    });
}

#[test]
fn an_azure_cli_that_hangs_does_not_outlive_us() {
    let world = world();
    let pid = world.root.path().join("pid");
    install_az(&world, &format!("echo $$ > {}; exec /bin/sleep 1000", pid.display()));
    let ended = init(&world, "identity: {azureCli: {}}", &Variables::new(), HASTY);
    assert_eq!(ended.code, Some(69), "{ended:#?}");
    let pid: i32 = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    let gone = || rustix::process::test_kill_process(pid).is_err().then_some(());
    assert!(eventually(Duration::from_secs(10), gone).is_some(), "{pid:?} still runs");
}

/// Where IMDS would be, and is not.
fn nowhere(world: &World) -> Variables {
    world.emulator.stop(Service::Imds).unwrap();
    world.emulator.imds_environment()
}

#[test]
fn without_imds_the_azure_cli_is_found() {
    let world = world();
    install_az(&world, &prints_a_token(&world));
    // Another cloud's metadata service is no IMDS.
    let other = world.emulator.fault(Fault::imds(Misbehaviour::Status { status: 404 }));
    let why = "signing in by the Azure CLI's login, because IMDS does not answer here and the Azure CLI is logged in";
    let ended = init(&world, "", &world.emulator.imds_environment(), PATIENT);
    assert_published(&world, &ended);
    ended.expect(0, &[why]);
    world.emulator.clear_fault(other);
    for fault in [Misbehaviour::NeverAnswer, Misbehaviour::Reset] {
        let fault = world.emulator.fault(Fault::imds(fault));
        init(&world, "", &world.emulator.imds_environment(), PATIENT).expect(0, &[why]);
        world.emulator.clear_fault(fault);
    }
    init(&world, "", &nowhere(&world), PATIENT).expect(0, &[why]);
}

#[test]
fn an_azure_cli_that_could_not_is_not_decided_for() {
    let world = world();
    let called = install_az(&world, "echo 'az login' >&2; exit 1");
    // A moment's silence of IMDS, and nobody is logged in: the next try finds it.
    world.emulator.fault(Fault::imds(Misbehaviour::NeverAnswer).times(1));
    let ended = init(&world, "", &world.emulator.imds_environment(), PATIENT);
    assert_published(&world, &ended);
    assert_eq!(fs::read_to_string(called).unwrap().lines().count(), 1);
    ended.expect(
        0,
        &[
            "denied (az-not-logged-in): IMDS does not answer here, so the Azure CLI was asked",
            "because IMDS answers here",
        ],
    );
}

#[test]
fn without_anybody_all_that_was_tried_is_told() {
    let world = world();
    let variables = nowhere(&world);
    let ended = init(&world, "", &variables, HASTY);
    let tried = "the environment names no identity, IMDS does not answer here, and the Azure CLI is not installed";
    ended.expect(77, &["missing (no-identity): ", tried, "choose by hand: 'identity: {workload: {}}'"]);
    install_az(&world, "echo 'az login' >&2; exit 1");
    let ended = init(&world, "", &variables, HASTY);
    ended.expect(77, &["denied (az-not-logged-in)", "log in: az login"]);
}

#[test]
fn beside_a_command_its_exit_code_is_still_known() {
    let world = world();
    let refused =
        r#"echo '{"accessToken": "hunter2", "expires_on": 4102444800}'; exec > /dev/null 2>&1; /bin/sleep 0.1; exit 1"#;
    let once = world.root.path().join("once");
    let good = format!("/bin/mkdir {} || {{ {refused}; }}; {}", once.display(), prints_a_token(&world));
    let called = install_az(&world, &good);
    let args =
        ["exec", "--log-level", "debug", "--on-change", "restart", "--", "/bin/sh", "-c", "echo started >&2; read x"];
    let mut exec = command(&world, "identity: {azureCli: {}}\nrefresh: {interval: 1s}", &Variables::new(), &args);
    let stdin = std::process::Stdio::piped();
    let running = Running::start(exec.env("A", "keyvault:demo/secrets/a").stdin(stdin));
    running.wait_for("started", 1);
    // `az` is asked again: it says something, and fails when it has closed its output.
    world.emulator.revoke_tokens();
    running.wait_for("az-failed", 1);
    assert_eq!(fs::read_to_string(called).unwrap().lines().count(), 2);
    drop(running);
}
