//! AKS identity bindings: the cluster's token proxy in Entra's place.

use std::fs;
use std::path::PathBuf;

use keyferry_emulator::{
    Assertion, DEFAULT_CLIENT, DEFAULT_TENANT, Fault, IDENTITY_BINDING_AUDIENCE, Misbehaviour, Service,
};

use super::{HASTY, PATIENT, Variables, assert_published, command, init, world};
use crate::harness::{Running, Trap, World};

/// What the webhook and the binding set in a pod, whose token is for the proxy.
fn bound(world: &World) -> Variables {
    world.write_token(&Assertion { audience: IDENTITY_BINDING_AUDIENCE.to_owned(), ..Assertion::default() });
    fs::write(ca_file(world), world.emulator.token_proxy_ca_pem()).unwrap();
    let mut variables = world.emulator.token_proxy_environment(&ca_file(world));
    variables.insert("AZURE_CLIENT_ID", DEFAULT_CLIENT.to_owned());
    variables.insert("AZURE_TENANT_ID", DEFAULT_TENANT.to_owned());
    variables.insert("AZURE_FEDERATED_TOKEN_FILE", world.token_file().display().to_string());
    variables
}

fn ca_file(world: &World) -> PathBuf {
    world.root.path().join("proxy-ca.pem")
}

/// Requests to Entra and to the token proxy.
fn asked(world: &World) -> (usize, usize) {
    (world.requests_to(Service::Entra).len(), world.requests_to(Service::TokenProxy).len())
}

#[test]
fn a_bound_pod_signs_in_at_the_proxy_and_nowhere_else() {
    let world = world();
    let trap = Trap::set();
    let mut variables = bound(&world);
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        variables.insert(name, format!("http://{}", trap.address));
    }
    let ended = init(&world, "", &variables, PATIENT);
    assert_published(&world, &ended);
    ended.expect(
        0,
        &["identity 'default' is workload identity (client 2", "through the cluster's token proxy), because"],
    );
    assert_eq!(asked(&world), (0, 1));
    // The authority may stand in a variable too.
    variables.remove("AZURE_KUBERNETES_CA_FILE");
    variables.insert("AZURE_KUBERNETES_CA_DATA", world.emulator.token_proxy_ca_pem());
    init(&world, "", &variables, PATIENT).expect(0, &[]);
    assert_eq!(asked(&world), (0, 2));
    assert_eq!(trap.caught(), Vec::<Vec<u8>>::new());
}

#[test]
fn a_proxy_that_names_no_authority_has_the_configured_one() {
    let world = world();
    let mut variables = bound(&world);
    variables.remove("AZURE_KUBERNETES_CA_FILE");
    let ca = world.root.path().join("ca.pem");
    let both = format!("{}{}", world.emulator.ca_pem(), world.emulator.token_proxy_ca_pem());
    fs::write(&ca, both).unwrap();
    let ended = init(&world, "", &variables, PATIENT);
    assert_published(&world, &ended);
    assert_eq!(asked(&world), (0, 1));
}

#[test]
fn a_token_file_of_ones_own_is_for_entra() {
    let world = world();
    let variables = bound(&world);
    let direct = world.root.path().join("direct");
    fs::write(&direct, world.emulator.federated_token(&Assertion::default())).unwrap();
    let identity = format!("identity: {{workload: {{tokenFile: {}}}}}", direct.display());
    assert_published(&world, &init(&world, &identity, &variables, PATIENT));
    assert_eq!(asked(&world), (1, 0));
}

#[test]
fn a_new_authority_of_the_proxys_is_trusted_at_once() {
    let world = world();
    let variables = bound(&world);
    let running = Running::start(&mut command(&world, "refresh: {interval: 1s}", &variables, &["run"]));
    running.wait_for("published generation 1", 1);
    let renewed = world.emulator.renew_token_proxy_ca().unwrap();
    fs::write(ca_file(&world), renewed).unwrap();
    world.emulator.put_secret("demo", "a", "newer");
    world.emulator.revoke_tokens();
    running.wait_for("published generation 2", 1);
    // In the middle of its replacement the file may be empty: the authority that was in it is still trusted.
    fs::write(ca_file(&world), "").unwrap();
    world.emulator.put_secret("demo", "a", "newest");
    world.emulator.revoke_tokens();
    running.wait_for("published generation 3", 1);
    assert_eq!(asked(&world), (0, 3));
}

#[test]
fn what_the_proxy_answers_is_what_entra_would() {
    let world = world();
    let variables = bound(&world);
    world.emulator.fault(Fault::token_proxy(Misbehaviour::Status { status: 503 }).times(1));
    assert_published(&world, &init(&world, "", &variables, PATIENT));
    let throttled = Misbehaviour::Throttle { retry_after: Some("60".to_owned()) };
    let throttled = world.emulator.fault(Fault::token_proxy(throttled));
    init(&world, "", &variables, HASTY).expect(69, &["throttled (AADSTS90055)"]);
    world.emulator.clear_fault(throttled);
    world.write_token(&Assertion::default());
    init(&world, "", &variables, HASTY).expect(77, &["denied (AADSTS700212)", "audience"]);
    // Whoever redirects does not get the token.
    let trap = Trap::set();
    let to = format!("https://{}/", trap.address);
    world.emulator.fault(Fault::token_proxy(Misbehaviour::Redirect { to }));
    init(&world, "", &variables, HASTY).expect(69, &["unavailable (http-302)"]);
    assert_eq!(trap.caught(), Vec::<Vec<u8>>::new());
}

#[test]
fn a_proxy_that_is_not_the_clusters_is_told() {
    let world = world();
    let variables = bound(&world);
    fs::write(ca_file(&world), world.emulator.ca_pem()).unwrap();
    let ended = init(&world, "", &variables, HASTY);
    ended.expect(
        69,
        &["unavailable (token-proxy-certificate): the cluster's token proxy: ", "AZURE_KUBERNETES_CA_FILE"],
    );
    fs::write(ca_file(&world), world.emulator.token_proxy_ca_pem()).unwrap();
    let mut other = variables.clone();
    other.insert("AZURE_KUBERNETES_SNI_NAME", "other.example.org".to_owned());
    init(&world, "", &other, HASTY).expect(69, &["unavailable (token-proxy-"]);
    world.emulator.stop(Service::TokenProxy).unwrap();
    let ended = init(&world, "", &variables, HASTY);
    ended.expect(69, &["(token-proxy-unreachable): the cluster's token proxy: the connection was refused"]);
    fs::remove_file(ca_file(&world)).unwrap();
    init(&world, "", &variables, HASTY).expect(77, &["missing (token-proxy-ca-missing)"]);
    fs::write(ca_file(&world), "hunter2").unwrap();
    init(&world, "", &variables, HASTY).expect(77, &["misconfigured (token-proxy-ca-malformed)"]);
    let mut both = variables;
    both.insert("AZURE_KUBERNETES_CA_DATA", "hunter2".to_owned());
    init(&world, "", &both, HASTY).expect(78, &["both AZURE_KUBERNETES_CA_FILE and AZURE_KUBERNETES_CA_DATA are set"]);
    assert_eq!(asked(&world), (0, 0));
}
