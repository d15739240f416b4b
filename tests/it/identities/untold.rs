//! What a service that gives tokens says of tenants, applications and objects is never told.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use keyferry_emulator::{DEFAULT_CLIENT, DEFAULT_TENANT, Fault, Service};

use super::{HASTY, Variables, init, world};
use crate::harness::{World, at_once};
use crate::ids::{ONLY_IN_BODIES, assert_only_own_ids, full_of_ids};

type Platform = (Service, fn(&World) -> Variables);

#[test]
fn what_a_platform_s_error_names_is_never_told() {
    let platforms: [Platform; 3] = [
        (Service::Imds, |world| world.emulator.imds_environment()),
        (Service::AppService, |world| world.emulator.app_service_environment()),
        (Service::AzureMl, |world| world.emulator.azure_ml_environment()),
    ];
    let cases: Vec<_> = platforms
        .iter()
        .flat_map(|platform| [400, 401, 403, 404, 410, 429, 500].map(|status| (platform, status)))
        .collect();
    at_once(&cases, |((service, variables), status)| {
        let world = world();
        for code in ["invalid_request", ONLY_IN_BODIES] {
            let fault = world.emulator.fault(Fault::new(*service, full_of_ids(*status, code)));
            let ended = init(&world, "identity: {managed: {}}", &variables(&world), HASTY);
            assert_only_own_ids(&format!("{service:?} {status} {code}"), &ended);
            world.emulator.clear_fault(fault);
        }
    });
}

#[test]
fn what_the_token_proxy_s_error_names_is_never_told() {
    at_once(&[400, 401, 403, 500], |status| {
        let world = world();
        let ca = world.root.path().join("proxy-ca.pem");
        fs::write(&ca, world.emulator.token_proxy_ca_pem()).unwrap();
        let mut variables = world.emulator.token_proxy_environment(&ca);
        variables.insert("AZURE_CLIENT_ID", DEFAULT_CLIENT.to_owned());
        variables.insert("AZURE_TENANT_ID", DEFAULT_TENANT.to_owned());
        variables.insert("AZURE_FEDERATED_TOKEN_FILE", world.token_file().display().to_string());
        world.emulator.fault(Fault::token_proxy(full_of_ids(*status, ONLY_IN_BODIES)));
        assert_only_own_ids(&format!("{status}"), &init(&world, "", &variables, HASTY));
    });
}

#[test]
fn what_the_azure_cli_complains_of_is_never_told() {
    let world = world();
    let az = world.root.path().join("az");
    for complaint in ["AADSTS53003: blocked", "AADSTS500011: The resource principal", "az login", "something else"] {
        let script = format!("#!/bin/sh\necho 'ERROR: {complaint} {ONLY_IN_BODIES}' >&2; exit 1\n");
        fs::write(&az, script).unwrap();
        fs::set_permissions(&az, fs::Permissions::from_mode(0o700)).unwrap();
        let ended = init(&world, "identity: {azureCli: {}}", &Variables::new(), HASTY);
        assert_only_own_ids(complaint, &ended);
    }
}
