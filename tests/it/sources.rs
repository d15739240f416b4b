//! Every source by every identity: one `init` each, which publishes the value. README has the table.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use keyferry_emulator::{
    Assertion, CertificateSpec, ConnectionPermission, ConnectionSpec, DEFAULT_CLIENT, DEFAULT_SYSTEM_IDENTITY,
    DEFAULT_TENANT, IDENTITY_BINDING_AUDIENCE, ManagedIdentity, Permission, Service, Settings, Stored, Workspace,
};

use crate::harness::{World, at_once, binary, end};

const CLIENT: &str = "88888888-8888-4888-8888-888888888888";
const SECRET: &str = "8Q~correct.horse_battery-staple";

/// The sources, as README lists them: a reference, and how what is published begins.
const SOURCES: [(&str, &str, &str); 5] = [
    ("secret", "keyvault:demo/secrets/secret", "hunter2"),
    (
        "certificate",
        "{from: keyvault:demo/certificates/certificate, parts: {bundle: certificate}}",
        "-----BEGIN PRIVATE",
    ),
    ("key", "keyvault:demo/keys/certificate", "-----BEGIN PUBLIC KEY-----"),
    ("connection", "azureml://connections/aoai/credentials/key", "k1"),
    ("token", "\"entra:https://cognitiveservices.localhost/.default\"", ""),
];

/// Who signs in: the configuration's `identity`, the variables around it, and whom the services know it as.
struct Who {
    identity: String,
    variables: Vec<(&'static str, String)>,
    client: String,
    service: Option<Service>,
}

/// How each identity is set up in a world, by the names that README gives them.
type Setup = fn(&World) -> Who;

const IDENTITIES: [(&str, Setup); 11] = [
    ("workload", workload),
    ("workload through the token proxy", token_proxy),
    ("managed at IMDS, system-assigned", |world| managed(world, Service::Imds, false)),
    ("managed at IMDS, user-assigned", |world| managed(world, Service::Imds, true)),
    ("managed at App Service, system-assigned", |world| managed(world, Service::AppService, false)),
    ("managed at App Service, user-assigned", |world| managed(world, Service::AppService, true)),
    ("managed in Azure ML, system-assigned", |world| managed(world, Service::AzureMl, false)),
    ("managed in Azure ML, user-assigned", |world| managed(world, Service::AzureMl, true)),
    ("client secret", client_secret),
    ("client certificate", client_certificate),
    ("Azure CLI", azure_cli),
];

fn application(identity: &str, more: Vec<(&'static str, String)>) -> Who {
    let mut variables = vec![("AZURE_TENANT_ID", DEFAULT_TENANT.to_owned()), ("AZURE_CLIENT_ID", CLIENT.to_owned())];
    variables.extend(more);
    let identity = format!("identity: {{{identity}: {{}}}}");
    Who { identity, variables, client: CLIENT.to_owned(), service: Some(Service::Entra) }
}

fn workload(world: &World) -> Who {
    let variables = world.environment().into_iter().collect();
    let identity = "identity: {workload: {}}".to_owned();
    Who { identity, variables, client: DEFAULT_CLIENT.to_owned(), service: Some(Service::Entra) }
}

fn token_proxy(world: &World) -> Who {
    world.write_token(&Assertion { audience: IDENTITY_BINDING_AUDIENCE.to_owned(), ..Assertion::default() });
    let authority = world.root.path().join("proxy-ca.pem");
    fs::write(&authority, world.emulator.token_proxy_ca_pem()).unwrap();
    let mut who = workload(world);
    who.variables.extend(world.emulator.token_proxy_environment(&authority));
    Who { service: Some(Service::TokenProxy), ..who }
}

fn managed(world: &World, service: Service, by_user: bool) -> Who {
    let variables = match service {
        Service::Imds => world.emulator.imds_environment(),
        Service::AppService => world.emulator.app_service_environment(),
        _ => world.emulator.azure_ml_environment(),
    };
    let (identity, client) = if by_user {
        let app = ManagedIdentity::user_assigned("app");
        world.emulator.add_managed_identity(app.clone());
        (format!("identity: {{managed: {{clientId: {}}}}}", app.client_id), app.client_id)
    } else {
        ("identity: {managed: {}}".to_owned(), DEFAULT_SYSTEM_IDENTITY.to_owned())
    };
    Who { identity, variables: variables.into_iter().collect(), client, service: Some(service) }
}

fn client_secret(world: &World) -> Who {
    world.emulator.add_client_secret(DEFAULT_TENANT, CLIENT, SECRET);
    application("clientSecret", vec![("AZURE_CLIENT_SECRET", SECRET.to_owned())])
}

fn client_certificate(world: &World) -> Who {
    let file = world.root.path().join("app.pem");
    fs::write(&file, world.emulator.make_client_certificate(DEFAULT_TENANT, CLIENT).unwrap()).unwrap();
    application("clientCertificate", vec![("AZURE_CLIENT_CERTIFICATE_PATH", file.display().to_string())])
}

/// An `az` that prints a token for what it is asked for, as IMDS gives it.
fn azure_cli(world: &World) -> Who {
    let mut script = "#!/bin/sh\ncase \"$*\" in\n".to_owned();
    let names = world.emulator.names();
    for audience in [&*names.vault_audience, "https://management.localhost", &names.cognitive_audience] {
        let token = imds_token(world, audience);
        let answer = format!("{{\"accessToken\": \"{token}\", \"expires_on\": 4102444800}}");
        writeln!(script, "*'{audience}/.default'*) echo '{answer}' ;;").unwrap();
    }
    script += "*) echo 'ERROR: another scope' >&2; exit 1 ;;\nesac\n";
    let az = world.root.path().join("az");
    fs::write(&az, script).unwrap();
    fs::set_permissions(&az, fs::Permissions::from_mode(0o700)).unwrap();
    let identity = "identity: {azureCli: {}}".to_owned();
    let client = DEFAULT_SYSTEM_IDENTITY.to_owned();
    Who { identity, variables: Vec::new(), client, service: None }
}

fn imds_token(world: &World, audience: &str) -> String {
    let mut stream = TcpStream::connect(world.emulator.address(Service::Imds)).unwrap();
    let path = format!("/metadata/identity/oauth2/token?api-version=2018-02-01&resource={audience}");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: imds\r\nMetadata: true\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, rest) = answer.split_once(r#""access_token":""#).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// One of each in Azure, which nobody but the client may read.
fn world() -> World {
    let world = World::with(Settings { default_access: false, ..Settings::default() });
    world.emulator.put_secret("demo", "secret", "hunter2");
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(["demo.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    let pem = format!("{}{}", key.serialize_pem(), certificate.pem());
    world.emulator.put_certificate("demo", CertificateSpec::new("certificate", Stored::Pem(pem)));
    world.emulator.put_connection("ws", ConnectionSpec::api_key("aoai", "k1"));
    world
}

fn allow(world: &World, client: &str) {
    world.emulator.allow(client, "demo", Permission::Get, None);
    world.emulator.allow(client, "demo", Permission::GetKey, None);
    world.emulator.allow_connections(client, "ws", ConnectionPermission::ListSecrets, None);
}

fn fresh(world: &World, name: &str) -> PathBuf {
    let dir = world.root.path().join(name);
    fs::create_dir(&dir).unwrap();
    dir
}

fn by(identity: &str, setup: Setup) {
    let world = world();
    let who = setup(&world);
    allow(&world, &who.client);
    for (source, reference, begins) in SOURCES {
        world.emulator.clear_log();
        let out = fresh(&world, &format!("{source}-out"));
        let config = format!(
            "{}{}\nworkspace: {}\nfiles: {{dir: {}}}\nsecrets: {{{source}: {reference}}}\n",
            world.preamble(&["demo"]),
            who.identity,
            Workspace::from("ws").id(),
            out.display()
        );
        let mut process = binary(&["init", "--timeout", "20s", "--log-level", "trace"]);
        process
            .env("KEYFERRY_ALLOW_CUSTOM_CLOUD", "1")
            .env("AZURE_AUTHORITY_HOST", world.emulator.authority())
            .env("PATH", world.root.path())
            .env("KEYFERRY_CONFIG_YAML", config)
            .envs(who.variables.iter().map(|(name, value)| (*name, value)));
        let ended = end(&mut process);
        let value = fs::read_to_string(out.join(source)).unwrap_or_default();
        assert_eq!(ended.code, Some(0), "{source} by {identity}: {ended:#?}");
        assert!(!value.is_empty() && value.starts_with(begins), "{source} by {identity}: {ended:#?}");
        if let Some(service) = who.service {
            let tokens = world.requests_to(service);
            let clients: Vec<_> = tokens.iter().filter_map(|one| one.client_id.as_deref()).collect();
            assert_eq!(clients, [who.client.as_str()], "{source} by {identity}: one token is enough");
        }
    }
}

#[test]
fn every_source_by_every_identity() {
    // A few at a time, as many as there are cores.
    for identities in IDENTITIES.chunks(3) {
        at_once(identities, |(identity, setup)| by(identity, *setup));
    }
}

#[test]
fn what_may_not_be_read_is_told_by_the_role_that_is_lacking() {
    let world = world();
    let secrets = SOURCES.map(|(source, reference, _)| format!("{source}: {reference}")).join(", ");
    let config = format!("workspace: {}\nsecrets: {{{secrets}}}\n", Workspace::from("ws").id());
    let ended = world.init(&world.config(&config), &["--timeout", "3s"]);
    assert_eq!(ended.code, Some(77), "{ended:#?}");
    for (source, role) in [
        ("secret", "Key Vault Secrets User"),
        ("certificate", "Key Vault Certificate User"),
        ("key", "Key Vault Reader"),
        ("connection", "Azure Machine Learning Workspace Connection Secrets Reader"),
    ] {
        let told = ended.about(source);
        let create = format!("az role assignment create --role \"{role}\" --assignee {DEFAULT_CLIENT} --scope ");
        assert!(told.contains(&create), "{told}");
    }
    // Nobody needs a role for a token; and what is disabled is so for every kind of object.
    assert!(fs::read(world.out().join("token")).is_ok());
    allow(&world, DEFAULT_CLIENT);
    world.emulator.update_secret("demo", "secret", None, |secret| secret.enabled = false);
    world.emulator.update_certificate("demo", "certificate", None, |certificate| certificate.enabled = false);
    let ended = world.init(&world.config(&config), &["--timeout", "3s"]);
    assert_eq!(ended.code, Some(69), "{ended:#?}");
    for source in ["secret", "certificate", "key"] {
        let told = ended.about(source);
        assert!(
            told.contains("disabled (") && told.contains(&format!("az keyvault {source} set-attributes")),
            "{told}"
        );
    }
}
