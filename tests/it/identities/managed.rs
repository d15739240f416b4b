//! Managed identities: the three platforms, each in its dialect.

use std::fs;

use keyferry_emulator::{
    DEFAULT_SYSTEM_IDENTITY, DEFAULT_SYSTEM_OBJECT, ExpiresOn, Fault, ManagedIdentity, Misbehaviour, Permission,
    Service, Settings,
};
use serde_json::json;

use super::{HASTY, PATIENT, Variables, assert_published, command, init, world, world_with};
use crate::harness::{Running, Trap, World, at_once, end};

/// What the log says of the first token that a service gave.
fn token_of(world: &World, service: Service) -> Option<String> {
    world.requests_to(service).into_iter().find_map(|request| request.client_id)
}

/// What a platform sets, and the service that it stands for.
fn platforms(world: &World) -> [(Service, Variables, &'static str); 3] {
    [
        (Service::Imds, world.emulator.imds_environment(), "imds"),
        (Service::AppService, world.emulator.app_service_environment(), "identity-endpoint"),
        (Service::AzureMl, world.emulator.azure_ml_environment(), "msi-endpoint"),
    ]
}

#[test]
fn the_system_assigned_identity_of_each_platform_signs_in() {
    for identity in ["", "identity: {managed: {}}"] {
        let world = world();
        for (service, variables, _) in platforms(&world) {
            let ended = init(&world, identity, &variables, PATIENT);
            assert_published(&world, &ended);
            assert_eq!(token_of(&world, service).as_deref(), Some(DEFAULT_SYSTEM_IDENTITY));
            fs::remove_dir_all(world.out()).unwrap();
            fs::create_dir(world.out()).unwrap();
            world.emulator.clear_log();
        }
    }
}

#[test]
fn a_user_assigned_identity_is_chosen_by_each_of_its_names() {
    let world = world();
    let app = ManagedIdentity::user_assigned("app");
    world.emulator.add_managed_identity(app.clone());
    world.emulator.add_managed_identity(ManagedIdentity::user_assigned("other"));
    world.emulator.allow(&app.client_id, "demo", Permission::Get, None);
    let [imds, app_service, azure_ml] = platforms(&world);
    let (client, object, resource) = (&app.client_id, &app.object_id, &app.resource_id);
    let named = |(service, variables, _): &(Service, Variables, &str), key: &str, value: &str| {
        (*service, variables.clone(), format!("identity: {{managed: {{{key}: {value}}}}}"))
    };
    let by_variable = |(service, variables, _): &(Service, Variables, &str)| {
        let mut variables = variables.clone();
        variables.insert("AZURE_CLIENT_ID", client.clone());
        (*service, variables, String::new())
    };
    for (service, variables, identity) in [
        named(&imds, "clientId", client),
        named(&imds, "objectId", object),
        named(&imds, "resourceId", resource),
        by_variable(&imds),
        named(&app_service, "clientId", client),
        named(&app_service, "objectId", object),
        named(&app_service, "resourceId", resource),
        by_variable(&app_service),
        named(&azure_ml, "clientId", client),
        by_variable(&azure_ml),
    ] {
        world.emulator.clear_log();
        assert_published(&world, &init(&world, &identity, &variables, PATIENT));
        assert_eq!(token_of(&world, service), Some(client.clone()), "{identity}");
    }
}

#[test]
fn azure_ml_wants_the_client_id_that_it_gave() {
    let world = world_with(Settings { azure_ml_needs_client_id: true, ..Settings::default() });
    let variables = world.emulator.azure_ml_environment();
    assert_published(&world, &init(&world, "identity: {managed: {}}", &variables, PATIENT));
}

#[test]
fn the_log_says_who_signs_in_and_why() {
    let world = world();
    let [imds, app_service, _] = platforms(&world);
    let ended = init(&world, "", &app_service.1, PATIENT);
    ended.expect(
        0,
        &["identity 'default' is managed identity at App Service (system-assigned), because IDENTITY_ENDPOINT and \
           IDENTITY_HEADER are set"],
    );
    let ended = init(&world, "identity: {managed: {}}", &app_service.1, PATIENT);
    ended.expect(0, &["because the configuration's 'identity' says so"]);
    world.emulator.clear_log();
    let ended = init(&world, "", &imds.1, PATIENT);
    ended.expect(
        0,
        &[
            "identity 'default' is managed identity at IMDS (system-assigned), or else the Azure CLI's login, because \
             AZURE_POD_IDENTITY_AUTHORITY_HOST is set",
            "signing in by managed identity at IMDS (system-assigned), because IMDS answers here",
        ],
    );
    // One question whether it is there, and one for the token.
    let statuses: Vec<_> = world.requests_to(Service::Imds).iter().filter_map(|request| request.status).collect();
    assert_eq!(statuses, [400, 200]);
}

#[test]
fn every_spelling_of_an_end_is_read() {
    at_once(
        &[ExpiresOn::Text, ExpiresOn::Number, ExpiresOn::MonthFirst, ExpiresOn::YearFirst, ExpiresOn::Rfc3339],
        |spelling| {
            let world = world_with(Settings { expires_on: *spelling, ..Settings::default() });
            let variables = world.emulator.app_service_environment();
            assert_published(&world, &init(&world, "", &variables, PATIENT));
            assert_eq!(world.requests_to(Service::AppService).len(), 1, "{spelling:?}");
        },
    );
}

#[test]
fn hostile_answers_are_survived() {
    let member = |at: &str, value| Misbehaviour::Member { at: at.to_owned(), value };
    let raw = |body: &str| Misbehaviour::Raw { status: 200, headers: Vec::new(), body: body.to_owned() };
    at_once(
        &[
            (member("/expires_on", json!(u64::MAX)), true),
            (member("/expires_on", json!("99999999999999999999")), true),
            (member("/expires_on", json!("9999-99-99 99:99:99")), true),
            (member("/expires_on", json!(-1)), true),
            (member("/expires_in", json!(u64::MAX)), true),
            (member("/access_token", json!("a\r\nb")), false),
            (member("/access_token", json!(null)), false),
            (raw(""), false),
            (raw("hunter2"), false),
            (Misbehaviour::HugeBody { bytes: 1 << 30 }, false),
            (Misbehaviour::CutBody, false),
            (Misbehaviour::Reset, false),
        ],
        |(misbehaviour, is_good)| {
            let world = world();
            world.emulator.fault(Fault::imds(misbehaviour.clone()));
            let variables = world.emulator.imds_environment();
            let ended = init(&world, "identity: {managed: {}}", &variables, if *is_good { PATIENT } else { HASTY });
            assert_eq!(ended.code, Some(if *is_good { 0 } else { 69 }), "{misbehaviour:?} {ended:#?}");
            assert!(!ended.stderr.contains("hunter2"), "{ended:#?}");
        },
    );
}

#[test]
fn what_passes_is_waited_out_by_the_schedule() {
    let statuses = [404, 410, 500, 503].map(|status| Misbehaviour::Status { status });
    let others = [Misbehaviour::Throttle { retry_after: Some("1".to_owned()) }, Misbehaviour::Intercepted];
    let all: Vec<Misbehaviour> = statuses.into_iter().chain(others).collect();
    at_once(&all, |misbehaviour| {
        let world = world();
        for (service, variables, _) in platforms(&world) {
            world.emulator.clear_log();
            world.emulator.fault(Fault::new(service, misbehaviour.clone()).times(1));
            assert_published(&world, &init(&world, "identity: {managed: {}}", &variables, PATIENT));
            assert_eq!(world.requests_to(service).len(), 2, "{misbehaviour:?} at {service:?}: one try and one more");
        }
    });
}

#[test]
fn a_platform_that_does_not_answer_is_told_and_found_again() {
    let world = world();
    for (service, variables, code) in platforms(&world) {
        world.emulator.stop(service).unwrap();
        let ended = init(&world, "identity: {managed: {}}", &variables, HASTY);
        ended.expect(69, &[&format!("unavailable ({code}-unreachable): the connection was refused; ")]);
        world.emulator.start_again(service).unwrap();
    }
}

#[test]
fn a_platform_that_asks_for_patience_is_told() {
    let world = world();
    for (service, variables, code) in platforms(&world) {
        world.emulator.fault(Fault::new(service, Misbehaviour::Throttle { retry_after: Some("60".to_owned()) }));
        let ended = init(&world, "identity: {managed: {}}", &variables, HASTY);
        ended.expect(69, &[&format!("throttled ({code}-throttled); ")]);
        assert_eq!(world.requests_to(service).len(), 1, "Retry-After is obeyed");
    }
}

#[test]
fn an_identity_that_is_not_assigned_is_told() {
    let world = world();
    let identity = format!("identity: {{managed: {{clientId: {}}}}}", ManagedIdentity::user_assigned("no").client_id);
    let cases = platforms(&world);
    for (_, variables, _) in &cases {
        let ended = init(&world, &identity, variables, HASTY);
        ended.expect(77, &["missing (identity-not-found): no such managed identity", "az vm identity show"]);
    }
    // The object's id is not the client's.
    let identity = format!("identity: {{managed: {{clientId: {DEFAULT_SYSTEM_OBJECT}}}}}");
    init(&world, &identity, &cases[0].1, HASTY).expect(77, &["identity-not-found"]);
    world.emulator.set_system_identity(None);
    for name in ["one", "two"] {
        world.emulator.add_managed_identity(ManagedIdentity::user_assigned(name));
    }
    init(&world, "", &cases[0].1, HASTY).expect(77, &["misconfigured (several-identities)", "AZURE_CLIENT_ID"]);
}

#[test]
fn a_wrong_secret_of_the_platforms_is_told() {
    let world = world();
    let [_, mut app_service, mut azure_ml] = platforms(&world);
    app_service.1.insert("IDENTITY_HEADER", "hunter2".to_owned());
    azure_ml.1.insert("MSI_SECRET", "hunter2".to_owned());
    for (_, variables, code) in [app_service, azure_ml] {
        let ended = init(&world, "", &variables, HASTY);
        ended.expect(77, &[&format!("denied ({code}-refuses-the-secret); ")]);
        assert!(!ended.stderr.contains("Invalid secret"), "{ended:#?}");
    }
    let [_, mut app_service, _] = platforms(&world);
    app_service.1.insert("IDENTITY_HEADER", "hun\nter2".to_owned());
    init(&world, "", &app_service.1, HASTY)
        .expect(77, &["misconfigured (identity-endpoint-secret-malformed): IDENTITY_HEADER holds", "restart the app"]);
}

#[test]
fn what_the_platform_is_told_leaves_by_no_proxy_and_no_redirect() {
    let world = world();
    let trap = Trap::set();
    let proxy = format!("http://{}", trap.address);
    for (service, mut variables, code) in platforms(&world) {
        for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            variables.insert(name, proxy.clone());
        }
        assert_published(&world, &init(&world, "identity: {managed: {}}", &variables, PATIENT));
        let to = format!("{proxy}/metadata/identity/oauth2/token");
        let redirect = world.emulator.fault(Fault::new(service, Misbehaviour::Redirect { to }));
        let ended = init(&world, "identity: {managed: {}}", &variables, HASTY);
        ended.expect(69, &[&format!("unavailable ({code}-http-302); ")]);
        world.emulator.clear_fault(redirect);
    }
    assert_eq!(trap.caught(), Vec::<Vec<u8>>::new());
}

#[test]
fn a_public_address_is_not_asked() {
    let world = world();
    let variables = |endpoint: &str| {
        Variables::from([("IDENTITY_ENDPOINT", endpoint.to_owned()), ("IDENTITY_HEADER", "hunter2".to_owned())])
    };
    let ended = init(&world, "", &variables("http://8.8.8.8/msi/token"), HASTY);
    ended.expect(78, &["IDENTITY_ENDPOINT: only loopback, link-local and private addresses are asked"]);
    // The same address, spelled as only URL parsers know it.
    let ended = init(&world, "", &variables("http://134744072/msi/token"), HASTY);
    ended.expect(77, &["misconfigured (public-address)", "nothing was sent"]);
}

#[test]
fn a_token_that_the_vault_rejects_is_asked_for_anew() {
    let world = world();
    let variables = world.emulator.app_service_environment();
    let running = Running::start(&mut command(&world, "refresh: {interval: 1s}", &variables, &["run"]));
    running.wait_for("published generation 1", 1);
    world.emulator.put_secret("demo", "a", "newer");
    world.emulator.revoke_tokens();
    running.wait_for("published generation 2", 1);
    assert_eq!(world.requests_to(Service::AppService).len(), 2);
}

#[test]
fn an_audience_that_nobody_knows_is_its_own_secrets_trouble() {
    let world = world();
    let config = world.config(
        "secrets:\n  a: keyvault:demo/secrets/a\n  token: {from: \"entra:https://unknown.example/.default\", file: token}\n",
    );
    let cases = [
        ("AADSTS500011", world.environment()),
        ("imds-invalid-resource", world.emulator.imds_environment()),
        ("identity-endpoint-invalid-resource", world.emulator.app_service_environment()),
        ("msi-endpoint-invalid-resource", world.emulator.azure_ml_environment()),
    ];
    for (code, variables) in cases {
        let ended = end(command(&world, "", &variables, HASTY).env("KEYFERRY_CONFIG_YAML", &config));
        ended.expect(
            78,
            &[&format!("misconfigured ({code}): there is no service of this audience"), "correct the scope"],
        );
        assert_eq!(world.read("a").as_deref(), Some("fine"), "{ended:#?}");
        fs::remove_dir_all(world.out()).unwrap();
        fs::create_dir(world.out()).unwrap();
    }
}
