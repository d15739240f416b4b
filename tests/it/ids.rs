//! Azure's errors name tenants, objects, subscriptions and addresses. Of what keyferry was not told by its user, nothing
//! gets into its log, at any level.

use std::collections::BTreeSet;

use keyferry_emulator::{
    Assertion, ConnectionPermission, ConnectionSpec, DEFAULT_CLIENT, DEFAULT_SUBSCRIPTION, DEFAULT_TENANT, Fault,
    Misbehaviour, Permission, Refusal, Service, Workspace,
};
use serde_json::json;

use crate::harness::{Ended, World, at_once, end};

pub(crate) const ONLY_IN_BODIES: &str = "c0ffee00-1234-4abc-8def-0123456789ab";

/// Everything in a text that has the form of an id.
fn ids(text: &str) -> BTreeSet<String> {
    let form = |window: &[u8]| {
        window.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
    };
    let found = text.as_bytes().windows(36).filter(|window| form(window));
    found.map(|id| String::from_utf8_lossy(id).to_ascii_lowercase()).collect()
}

/// A pod that asks for one of each.
fn world() -> World {
    let world = World::new();
    world.emulator.put_secret("demo", "a", "a1");
    world.emulator.put_connection("ws", ConnectionSpec::api_key("aoai", "k1"));
    world
}

fn init(world: &World) -> Ended {
    let config = world.config(&format!(
        "workspace: {}\nsecrets:\n  a: keyvault:demo/secrets/a\n  key: azureml://connections/aoai/credentials/key\n  \
         token: \"entra:https://cognitiveservices.localhost/.default\"\n",
        Workspace::from("ws").id()
    ));
    end(&mut world.keyferry(&config, &["init", "--timeout", "3s", "--log-level", "trace"]))
}

#[track_caller]
pub(crate) fn assert_only_own_ids(trouble: &str, ended: &Ended) {
    assert_ne!(ended.code, Some(0), "{trouble}: {ended:#?}");
    let own = [DEFAULT_CLIENT, DEFAULT_TENANT, DEFAULT_SUBSCRIPTION].map(str::to_owned);
    let foreign: Vec<String> = ids(&ended.stderr).into_iter().filter(|id| !own.contains(id)).collect();
    assert_eq!(foreign, [] as [String; 0], "{trouble}: {ended:#?}");
    for piece in ["appid=", "oid=", "iss=", "location=", "sts.windows.net", "Trace ID", "Correlation", "correlation"] {
        assert!(!ended.stderr.contains(piece), "{trouble}: {piece:?} in {ended:#?}");
    }
}

#[test]
fn the_search_finds_ids() {
    assert_eq!(ids(&format!("oid={};x", ONLY_IN_BODIES.to_uppercase())), BTreeSet::from([ONLY_IN_BODIES.to_owned()]));
    assert!(ids("c0ffee00-1234-4abc-8def-0123456789a").is_empty());
}

/// The id in every text of an error in the form of each service, under a code that is one or has the id's form.
pub(crate) fn full_of_ids(status: u16, code: &str) -> Misbehaviour {
    let id = format!("The client '{ONLY_IN_BODIES}' with object id '{ONLY_IN_BODIES}'");
    let error = json!({
        "code": code, "message": id, "target": id, "details": [{"code": id, "message": id}],
        "innererror": {"code": code, "message": id}, "innerError": null, "additionalInfo": [{"info": id}],
    });
    let mut body = json!({"error": error, "correlation": {"operation": id}, "environment": id});
    if code == ONLY_IN_BODIES {
        // As Entra and the managed identities' services write it.
        body = json!({"error": code, "error_description": id, "statusCode": status, "message": id});
    }
    let challenge = format!("Bearer authorization=\"https://login.localhost/{ONLY_IN_BODIES}\", resource=\"{id}\"");
    let headers = [("x-ms-request-id", id), ("WWW-Authenticate", challenge), ("x-ms-failure-cause", "gateway".into())];
    let headers = headers.map(|(name, value)| (name.to_owned(), value)).to_vec();
    Misbehaviour::Raw { status, headers, body: body.to_string() }
}

type Trouble = (&'static str, Box<dyn Fn(&World) + Sync>);

#[test]
fn what_only_an_error_names_is_never_told() {
    let deny = |refusal| -> Box<dyn Fn(&World) + Sync> {
        Box::new(move |world| world.emulator.deny(DEFAULT_CLIENT, "demo", Permission::Get, None, refusal))
    };
    let entra = |code, error: &'static str| -> Box<dyn Fn(&World) + Sync> {
        Box::new(move |world| {
            let message = format!("Tenant '{ONLY_IN_BODIES}', application '{ONLY_IN_BODIES}'.");
            let (status, error) = (400, error.to_owned());
            world.emulator.fault(Fault::entra(Misbehaviour::EntraError { status, error, code, message }));
        })
    };
    let raw = |service, status, code: &'static str| -> Box<dyn Fn(&World) + Sync> {
        Box::new(move |world| {
            world.emulator.fault(Fault::new(service, full_of_ids(status, code)));
        })
    };
    let mut troubles: Vec<Trouble> = vec![
        ("rbac", deny(Refusal::ForbiddenByRbac)),
        ("policy", deny(Refusal::AccessDenied)),
        ("firewall", deny(Refusal::ForbiddenByFirewall)),
        ("connection", deny(Refusal::ForbiddenByConnection)),
        ("other tenant", Box::new(|world| world.emulator.add_vault_in("demo", ONLY_IN_BODIES))),
        ("missing", Box::new(|world| assert!(world.emulator.delete_secret("demo", "a")))),
        (
            "listsecrets",
            Box::new(|world| {
                world.emulator.deny_connections(DEFAULT_CLIENT, "ws", ConnectionPermission::ListSecrets, None);
            }),
        ),
        ("no connection", Box::new(|world| assert!(world.emulator.delete_connection("ws", "aoai")))),
        (
            "another subject",
            Box::new(|world| {
                let subject = format!("system:serviceaccount:{ONLY_IN_BODIES}:demo");
                world.write_token(&Assertion { subject, ..Assertion::default() });
            }),
        ),
        ("AADSTS700016", entra(700_016, "unauthorized_client")),
        ("AADSTS90002", entra(90_002, "invalid_tenant")),
        ("AADSTS500011", entra(500_011, "invalid_resource")),
        ("AADSTS7000215", entra(7_000_215, "invalid_client")),
        ("AADSTS53003", entra(53_003, "access_denied")),
    ];
    for service in [Service::Entra, Service::Vault, Service::ResourceManager] {
        for status in [400, 401, 403, 404, 409, 429, 500] {
            troubles.push(("raw", raw(service, status, "AuthorizationFailed")));
            troubles.push(("raw", raw(service, status, ONLY_IN_BODIES)));
        }
    }
    for troubles in troubles.chunks(9) {
        at_once(troubles, |(trouble, befall)| {
            let world = world();
            befall(&world);
            assert_only_own_ids(trouble, &init(&world));
        });
    }
}
