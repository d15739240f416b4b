//! Connections of workspaces, through the resource manager: every kind of authentication, rotation at the cost of a look,
//! and how each trouble is told.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use keyferry_emulator::{
    Bucket, ConnectionPermission, ConnectionSpec, DEFAULT_CLIENT, DEFAULT_SUBSCRIPTION, Fault, Logged, Misbehaviour,
    Operation, Service, Settings, Workspace,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::harness::{Ended, SOON, Trap, World, at_once, end, until_holds};

/// Long enough for everything good to arrive on a busy machine.
const PATIENT: &[&str] = &["--timeout", "20s", "--log-level", "trace"];
/// Long enough to be sure that it will not.
const HASTY: &[&str] = &["--timeout", "3s", "--log-level", "trace"];
/// What the messages' commands name.
const AT: &str = "--workspace-name ws --resource-group \"demo\" --subscription 44444444-4444-4444-8444-444444444444";

fn id(workspace: &str) -> String {
    Workspace::from(workspace).id()
}

/// A configuration of these secrets, with the workspace `ws`.
fn config(world: &World, secrets: &str) -> String {
    world.config(&format!("workspace: {}\nrefresh: {{settle: 0s, connectionInterval: 1s}}\n{secrets}", id("ws")))
}

/// One connection with one key.
fn aoai() -> World {
    let world = World::new();
    world.emulator.put_connection("ws", ConnectionSpec::api_key("aoai", "k1"));
    world
}

const KEY: &str = "secrets: {key: azureml://connections/aoai/credentials/key}\n";

fn of(world: &World, method: &str) -> Vec<Logged> {
    world.requests_to(Service::ResourceManager).into_iter().filter(|request| request.method == method).collect()
}

/// How often it was looked at, and how often the values were read.
fn asked(world: &World) -> (usize, usize) {
    (of(world, "GET").len(), of(world, "POST").len())
}

#[track_caller]
fn until_asked(world: &World, method: &str, times: usize) {
    let many = |log: &[Logged]| {
        let asked = log
            .iter()
            .filter(|one| one.service == Service::ResourceManager && one.method == method && one.status.is_some());
        asked.count() >= times
    };
    assert!(world.emulator.wait_until(SOON, many), "{method} was never asked for {times} times");
}

/// The names of a connection's credentials, and their values.
type Names = &'static [(&'static str, &'static str)];

/// What README says of each kind of authentication: the names that its credentials go by.
fn kinds() -> Vec<(&'static str, Value, Names)> {
    vec![
        ("ApiKey", json!({"key": "v1", "endpoint": "e1"}), &[("key", "v1"), ("endpoint", "e1")]),
        ("AccountKey", json!({"key": "v2"}), &[("key", "v2")]),
        (
            "CustomKeys",
            json!({"keys": {"OPENAI_API_KEY": "v3", "a b/c%?#": "v4", "key": "v5", "Ünïcode": "v6"}}),
            &[("OPENAI_API_KEY", "v3"), ("a b%2Fc%25%3F%23", "v4"), ("key", "v5"), ("Ünïcode", "v6")],
        ),
        (
            "UsernamePassword",
            json!({"username": "v7", "password": "v8", "securityToken": "v9"}),
            &[("username", "v7"), ("password", "v8"), ("securityToken", "v9")],
        ),
        ("PAT", json!({"pat": "v10"}), &[("pat", "v10")]),
        ("SAS", json!({"sas": "?sv=v11&sig=%2B"}), &[("sas", "?sv=v11&sig=%2B")]),
        (
            "AccessKey",
            json!({"accessKeyId": "v12", "secretAccessKey": "v13"}),
            &[("accessKeyId", "v12"), ("secretAccessKey", "v13")],
        ),
        (
            "ServicePrincipal",
            json!({"clientId": "v14", "clientSecret": "v15", "tenantId": "v16"}),
            &[("clientId", "v14"), ("clientSecret", "v15"), ("tenantId", "v16")],
        ),
        (
            "ManagedIdentity",
            json!({"clientId": "v17", "resourceId": "v18"}),
            &[("clientId", "v17"), ("resourceId", "v18")],
        ),
        (
            "OAuth2",
            json!({
                "authUrl": "v19", "clientId": "v20", "clientSecret": "v21", "developerToken": "v22", "password": "v23",
                "refreshToken": "v24", "tenantId": "v25", "username": "v26",
            }),
            &[
                ("authUrl", "v19"),
                ("clientId", "v20"),
                ("clientSecret", "v21"),
                ("developerToken", "v22"),
                ("password", "v23"),
                ("refreshToken", "v24"),
                ("tenantId", "v25"),
                ("username", "v26"),
            ],
        ),
        // One that nobody has heard of yet: what is there can be had.
        (
            "AgenticIdentityToken",
            json!({"token": "v27", "lifetime": 5, "scopes": ["v28"]}),
            &[("token", "v27"), ("lifetime", "5"), ("scopes", "[\"v28\"]")],
        ),
    ]
}

#[test]
fn every_kind_of_authentication_gives_its_credentials() {
    let world = World::new();
    let mut secrets = "secrets:\n".to_owned();
    let mut expected = Vec::new();
    for (auth_type, credentials, names) in kinds() {
        world.emulator.put_connection("ws", ConnectionSpec::new(auth_type, auth_type, credentials));
        for (name, value) in names {
            let file = format!("s{}", expected.len());
            writeln!(secrets, "  {file}: \"azureml://connections/{auth_type}/credentials/{name}\"").unwrap();
            expected.push((file, auth_type, *name, *value));
        }
    }
    let ended = world.init(&config(&world, &secrets), PATIENT);
    for (file, auth_type, name, value) in expected {
        assert_eq!(world.read(&file).as_deref(), Some(value), "{auth_type} {name}: {ended:#?}");
    }
    ended.expect(0, &[]);
    assert_eq!(asked(&world), (0, kinds().len()), "each is one request, and nothing is looked at before it was read");
}

#[test]
fn the_readme_names_the_credentials_of_every_kind() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let rows: Vec<&str> = readme.lines().skip_while(|line| !line.starts_with("| authentication type")).collect();
    let own = ["endpoint", "token", "lifetime", "scopes"];
    for (auth_type, _, names) in
        kinds().into_iter().filter(|(kind, ..)| !["CustomKeys", "AgenticIdentityToken"].contains(kind))
    {
        let row = rows.iter().find(|row| row.contains(&format!("`{auth_type}`"))).unwrap();
        for (name, _) in names.iter().filter(|(name, _)| !own.contains(name)) {
            assert!(row.contains(&format!("`{name}`")), "{name} in {row}");
        }
    }
}

#[test]
fn a_credential_that_is_not_there_is_told_by_what_is() {
    let world = World::new();
    let mut cases: Vec<(&str, Option<Value>, &str)> =
        kinds().into_iter().map(|(auth_type, credentials, _)| (auth_type, Some(credentials), auth_type)).collect();
    cases.push(("AAD", None, "entra:<scope>"));
    cases.push(("None", None, "the connection has no credentials"));
    cases.push(("Nulls", Some(json!({"nope": null})), "the connection's credential 'nope' is null"));
    let mut secrets = "secrets:\n".to_owned();
    for (auth_type, credentials, _) in &cases {
        let spec = ConnectionSpec::without_credentials(&format!("c-{auth_type}"), auth_type);
        world.emulator.put_connection("ws", ConnectionSpec { credentials: credentials.clone(), ..spec });
        writeln!(secrets, "  {auth_type}: azureml://connections/c-{auth_type}/credentials/nope").unwrap();
    }
    let ended = world.init(&config(&world, &secrets), HASTY);
    ended.expect(65, &[]);
    for (auth_type, credentials, piece) in cases {
        let told = ended.about(auth_type);
        let piece = if auth_type.starts_with("Agentic") { "case counts" } else { piece };
        let piece = if auth_type == "ManagedIdentity" { "can have 'clientId' and 'resourceId'" } else { piece };
        assert!(told.contains(piece) && told.contains("az ml connection show --name c-"), "{told}");
        // What is there is not told by its own name, which may be anybody's guess of a secret, nor by its value.
        for value in credentials.iter().flat_map(|credentials| credentials.as_object().unwrap().values()) {
            assert!(!value.is_string() || !told.contains(value.as_str().unwrap()), "{told}");
        }
    }
}

#[test]
fn target_metadata_and_the_whole() {
    let world = World::new();
    let spec = ConnectionSpec {
        category: "AzureOpenAi".to_owned(),
        target: Some("https://contoso.openai.azure.com/".to_owned()),
        metadata: json!({"ApiVersion": "2024-02-01", "a/b": "slash", "nested": {"x": [1]}, "flag": true}),
        ..ConnectionSpec::api_key("aoai", "k1")
    };
    world.emulator.put_connection("ws", spec);
    let secrets = "secrets:
  target: azureml://connections/aoai/target
  version: azureml://connections/aoai/metadata/ApiVersion
  slash: azureml://connections/aoai/metadata/a%2Fb
  nested: azureml://connections/aoai/metadata/nested
  flag: azureml://connections/aoai/metadata/flag
  whole: azureml://connections/aoai
  member: {from: 'azureml://connections/aoai', property: name}
  injected: ${{azureml://connections/aoai/credentials/key}}
";
    world.init(&config(&world, secrets), PATIENT).expect(0, &[]);
    for (file, value) in [
        ("target", "https://contoso.openai.azure.com/"),
        ("version", "2024-02-01"),
        ("slash", "slash"),
        ("nested", "{\"x\":[1]}"),
        ("flag", "true"),
        ("member", "aoai"),
        ("injected", "k1"),
    ] {
        assert_eq!(world.read(file).as_deref(), Some(value), "{file}");
    }
    let whole: Value = serde_json::from_str(&world.read("whole").unwrap()).unwrap();
    assert_eq!(whole["properties"]["credentials"]["key"], "k1");
    assert_eq!(asked(&world), (0, 1), "eight names of one connection are one request");
    let lacking = "secrets:
  metadata: azureml://connections/aoai/metadata/apiversion
";
    let ended = world.init(&config(&world, lacking), HASTY);
    ended.expect(65, &["the connection has no metadata 'apiversion'"]);
    let told = ended.about("metadata");
    assert!(told.contains(&format!("az ml connection show --name aoai {AT}")), "{told}");
}

#[test]
fn the_workspace_is_the_configurations_or_the_references_in_any_case() {
    let world = aoai();
    world.emulator.put_connection("other", ConnectionSpec::api_key("aoai", "o1"));
    let group = Workspace { resource_group: "Rg.(1)_".to_owned(), ..Workspace::from("ws") };
    world.emulator.put_connection(group, ConnectionSpec::api_key("aoai", "g1"));
    let sub = DEFAULT_SUBSCRIPTION;
    let secrets = format!(
        "secrets:
  short: azureml://connections/aoai/credentials/key
  loud: azureml://CONNECTIONS/AOAI/Credentials/key
  named: azureml://subscriptions/{sub}/resourceGroups/demo/workspaces/ws/connections/aoai/credentials/key
  louder: azureml://SUBSCRIPTIONS/{sub}/resourcegroups/DEMO/Workspaces/WS/connections/Aoai/credentials/key
  provider: azureml:/{}/connections/aoai/credentials/key
  other: azureml://subscriptions/{sub}/resourceGroups/demo/workspaces/other/connections/aoai/credentials/key
  group: azureml://subscriptions/{sub}/resourceGroups/Rg.(1)_/workspaces/ws/connections/aoai/credentials/key
",
        id("ws")
    );
    world.init(&config(&world, &secrets), PATIENT).expect(0, &[]);
    for (file, value) in [
        ("short", "k1"),
        ("loud", "k1"),
        ("named", "k1"),
        ("louder", "k1"),
        ("provider", "k1"),
        ("other", "o1"),
        ("group", "g1"),
    ] {
        assert_eq!(world.read(file).as_deref(), Some(value), "{file}");
    }
    assert_eq!(asked(&world), (0, 3), "however they are spelled, these are three connections");
    let ended = world.init(&world.config(KEY), HASTY);
    ended.expect(78, &["'workspace"]);
}

fn answers(world: &World, body: &Value) {
    let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    world.emulator.fault(Fault::resource_manager(Misbehaviour::Raw { status: 200, headers, body: body.to_string() }));
}

#[test]
fn nothing_has_to_be_there() {
    let all_null = json!({
        "id": null, "name": null, "type": null, "tags": null, "location": null, "systemData": null,
        "properties": {
            "authType": null, "credentials": {"key": "k1", "other": null}, "category": null, "expiryTime": null,
            "group": null, "target": null, "metadata": null, "isSharedToAll": null, "sharedUserList": null,
        },
    });
    let sparse = json!({"properties": {"credentials": {"key": "k1"}}, "systemData": {"lastModifiedAt": null}});
    for body in [all_null, sparse] {
        let world = aoai();
        answers(&world, &body);
        let agent = world.run(&config(&world, KEY));
        until_holds(&world.out().join("key"), "k1");
        // Nothing says when it was modified: it is read each time.
        until_asked(&world, "POST", 3);
        assert_eq!(asked(&world).0, 0);
        assert_eq!(agent.stop().0, Some(0));
        assert_eq!(world.read("key").as_deref(), Some("k1"));
    }
    let null = |member: &str| {
        let mut body = json!({"properties": {"authType": "ApiKey", "credentials": {"key": "k1"}, "target": "t"}});
        *body.pointer_mut(member).unwrap() = Value::Null;
        body
    };
    let cases = [
        (null("/properties"), "secrets: {key: azureml://connections/aoai/target}\n", "the answer is no connection"),
        (null("/properties/credentials"), KEY, "the connection has no credentials"),
        (null("/properties/credentials/key"), KEY, "the connection's credential 'key' is null"),
        (
            null("/properties/target"),
            "secrets: {key: azureml://connections/aoai/target}\n",
            "the connection has no target",
        ),
        (json!([]), KEY, "the answer is no connection"),
        (Value::Null, KEY, "the answer is no connection"),
    ];
    at_once(&cases, |(body, secrets, piece)| {
        let world = aoai();
        answers(&world, body);
        let ended = world.init(&config(&world, secrets), HASTY);
        ended.expect(65, &[piece]);
    });
}

#[test]
fn the_category_says_nothing() {
    let world = World::new();
    let spec = |category: &str, spec: ConnectionSpec| ConnectionSpec { category: category.to_owned(), ..spec };
    world.emulator.put_connection("ws", spec("CustomKeys", ConnectionSpec::api_key("key", "k1")));
    world.emulator.put_connection("ws", spec("ApiKey", ConnectionSpec::custom_keys("keys", &[("own", "k2")])));
    world.emulator.put_connection("ws", spec("NobodyKnowsIt", ConnectionSpec::api_key("odd", "k3")));
    let secrets = "secrets:
  key: azureml://connections/key/credentials/key
  keys: azureml://connections/keys/credentials/own
  odd: azureml://connections/odd/credentials/key
";
    world.init(&config(&world, secrets), PATIENT).expect(0, &[]);
    assert_eq!(["key", "keys", "odd"].map(|file| world.read(file).unwrap()), ["k1", "k2", "k3"]);
}

#[test]
fn a_rotation_arrives_and_what_is_unchanged_costs_a_look() {
    let world = aoai();
    let agent = world.run(&config(&world, KEY));
    until_holds(&world.out().join("key"), "k1");
    until_asked(&world, "GET", 3);
    assert_eq!(asked(&world).1, 1, "its values were read once");
    world.emulator.put_connection("ws", ConnectionSpec::api_key("aoai", "k2"));
    until_holds(&world.out().join("key"), "k2");
    let (looks, _) = asked(&world);
    until_asked(&world, "GET", looks + 2);
    assert_eq!(asked(&world).1, 2);
    // The same value put again: it is read, and nothing is published.
    world.emulator.put_connection("ws", ConnectionSpec::api_key("aoai", "k2"));
    until_asked(&world, "POST", 3);
    until_asked(&world, "GET", asked(&world).0 + 1);
    assert_eq!(asked(&world).1, 3);
    assert_eq!(agent.count("published generation"), 2);
    assert!(of(&world, "POST").iter().all(|one| one.path.ends_with("/connections/aoai/listsecrets")));
    assert!(world.requests_to(Service::ResourceManager).iter().all(|one| one.query == "api-version=2024-04-01"));
    assert_eq!(agent.stop().0, Some(0));
}

#[test]
fn where_only_the_values_may_be_read_they_are_and_the_denial_is_learnt_once() {
    let world = World::with(Settings { default_access: false, ..Settings::default() });
    world.emulator.put_connection("ws", ConnectionSpec::api_key("aoai", "k1"));
    world.emulator.allow_connections(DEFAULT_CLIENT, "ws", ConnectionPermission::ListSecrets, None);
    let agent = world.run(&config(&world, KEY));
    until_holds(&world.out().join("key"), "k1");
    until_asked(&world, "POST", 4);
    world.emulator.put_connection("ws", ConnectionSpec::api_key("aoai", "k2"));
    until_holds(&world.out().join("key"), "k2");
    let (looks, reads) = asked(&world);
    assert!((looks, reads >= 5) == (1, true), "{looks} looks and {reads} reads");
    assert_eq!(agent.count("cannot be fetched"), 0, "that is nobody's trouble");
    assert_eq!(agent.stop().0, Some(0));
}

#[test]
fn what_was_gone_for_a_while_is_read_again_though_it_is_unchanged() {
    let world = aoai();
    let agent = world.run(&config(&world, KEY));
    until_asked(&world, "GET", 1);
    // As Azure Machine Learning says it of a connection that is not there.
    let body =
        r#"{"error":{"code":"UserError","message":"m","innerError":{"code":"NotFoundError","innerError":null}}}"#;
    let gone = Misbehaviour::Raw { status: 404, headers: Vec::new(), body: body.to_owned() };
    let gone = world.emulator.fault(Fault::resource_manager(gone).of_operation(Operation::GetConnection));
    agent.wait_for("secret key (azureml://connections/aoai/credentials/key) cannot be fetched: missing", 1);
    world.emulator.clear_fault(gone);
    // Its value may have been removed meanwhile (onRevoked): that it is unchanged would bring nothing back.
    agent.wait_for("secret key is fetched again", 1);
    assert_eq!(asked(&world).1, 2);
    assert_eq!(agent.stop().0, Some(0));
}

#[test]
fn throttling_is_obeyed() {
    let throttle = |retry_after: Option<&str>| Misbehaviour::Throttle { retry_after: retry_after.map(str::to_owned) };
    at_once(&[None, Some("2")], |retry_after| {
        let world = aoai();
        world.emulator.fault(Fault::resource_manager(throttle(*retry_after)).times(1));
        world.init(&config(&world, KEY), PATIENT).expect(0, &["throttled (SubscriptionRequestsThrottled)"]);
        assert_eq!(world.read("key").as_deref(), Some("k1"));
        let reads = of(&world, "POST");
        assert_eq!(reads.len(), 2);
        let waited = reads[1].at.saturating_sub(reads[0].at);
        assert!(waited >= Duration::from_millis(1500), "{waited:?}");
        let world = aoai();
        let retry_after = retry_after.map(|_| "60");
        world.emulator.fault(Fault::resource_manager(throttle(retry_after)));
        let ended = world.init(&config(&world, KEY), HASTY);
        ended.expect(
            69,
            &[
                "Azure Resource Manager failed: throttled (SubscriptionRequestsThrottled)",
                "az monitor activity-log list",
            ],
        );
        assert!(ended.about("key").contains("refresh.connectionInterval"), "{ended:#?}");
        assert!(retry_after.is_none() || of(&world, "POST").len() == 1, "{ended:#?}");
    });
}

#[test]
fn a_small_bucket_of_writes_is_enough_for_many_connections() {
    let write_bucket = Bucket { size: 3, per_second: 4 };
    let world = World::with(Settings { write_bucket, ..Settings::default() });
    let mut secrets = "secrets:\n".to_owned();
    for number in 0..12 {
        world.emulator.put_connection("ws", ConnectionSpec::api_key(&format!("c-{number}"), &format!("v{number}")));
        writeln!(secrets, "  s{number}: azureml://connections/c-{number}/credentials/key").unwrap();
    }
    // What was fetched is not to be asked for again meanwhile.
    let config = config(&world, &secrets).replace("connectionInterval: 1s", "connectionInterval: 1h");
    let ended = world.init(&config, PATIENT);
    ended.expect(0, &[]);
    let told = ended.stderr.matches("Azure Resource Manager failed").count();
    assert!(told <= 3, "{told} {ended:#?}");
    assert!(asked(&world).1 <= 30, "{:?}", asked(&world));
}

#[test]
fn a_token_that_is_refused_once_is_made_anew() {
    let world = aoai();
    world.emulator.fault(Fault::resource_manager(Misbehaviour::Status { status: 401 }).times(1));
    world.init(&config(&world, KEY), PATIENT).expect(0, &[]);
    assert_eq!((asked(&world), world.requests_to(Service::Entra).len()), ((0, 2), 2));
    let agent = world.run(&config(&world, KEY));
    until_asked(&world, "GET", 1);
    world.emulator.revoke_tokens();
    world.emulator.put_connection("ws", ConnectionSpec::api_key("aoai", "k2"));
    until_holds(&world.out().join("key"), "k2");
    assert_eq!(agent.count("failed"), 0);
    assert_eq!(world.requests_to(Service::Entra).len(), 4);
    assert_eq!(agent.stop().0, Some(0));
}

/// What goes wrong in a world, with which code that ends, and what is said of it.
type Trouble = (&'static str, fn(&World), i32, &'static [&'static str]);

const TROUBLES: &[Trouble] = &[
    (
        "connection missing",
        |world| assert!(world.emulator.delete_connection("ws", "aoai")),
        69,
        &[
            "missing (NotFoundError)",
            "no connection 'aoai' in workspace ws",
            "az ml connection list --workspace-name ws",
        ],
    ),
    (
        "listsecrets denied",
        |world| world.emulator.deny_connections(DEFAULT_CLIENT, "ws", ConnectionPermission::ListSecrets, None),
        77,
        &[
            "denied (AuthorizationFailed)",
            "az role assignment create --role \"Azure Machine Learning Workspace Connection Secrets Reader\" --assignee",
            DEFAULT_CLIENT,
            "--scope \"/subscriptions/44444444-4444-4444-8444-444444444444/resourceGroups/demo/providers/",
        ],
    ),
    (
        "token refused",
        |world| {
            world.emulator.fault(Fault::resource_manager(Misbehaviour::Status { status: 401 }));
        },
        77,
        &[
            "denied (InvalidAuthenticationToken)",
            "az account show --subscription 44444444-4444-4444-8444-444444444444 --query tenantId",
        ],
    ),
    (
        "down",
        |world| world.emulator.stop(Service::ResourceManager).unwrap(),
        69,
        &["unavailable (refused)", "Azure Resource Manager must be reachable"],
    ),
    (
        "failing",
        |world| {
            world.emulator.fault(Fault::resource_manager(Misbehaviour::Status { status: 503 }));
        },
        69,
        &["unavailable (ServiceUnavailable)", "tried again by itself"],
    ),
    (
        "a page of a gateway",
        |world| {
            world.emulator.fault(Fault::resource_manager(Misbehaviour::HtmlBadGateway));
        },
        69,
        &["unavailable (http-502)", "tried again by itself"],
    ),
    (
        "redirected",
        |world| {
            let to = "https://management.localhost/elsewhere".to_owned();
            world.emulator.fault(Fault::resource_manager(Misbehaviour::Redirect { to }));
        },
        69,
        &["unavailable (http-302)"],
    ),
];

#[test]
fn each_trouble_is_told_with_what_to_do() {
    at_once(TROUBLES, |(trouble, befall, code, pieces)| {
        let world = aoai();
        befall(&world);
        let ended = world.init(&config(&world, KEY), HASTY);
        ended.expect(*code, &[]);
        let told = ended.about("key");
        for piece in *pieces {
            assert!(told.contains(piece), "{trouble}: no {piece:?} in {told}");
        }
    });
}

#[test]
fn a_place_that_is_not_there_is_told_by_what_it_is() {
    let world = aoai();
    let sub = DEFAULT_SUBSCRIPTION;
    let secrets = format!(
        "secrets:
  workspace: azureml://subscriptions/{sub}/resourceGroups/demo/workspaces/nope/connections/aoai/credentials/key
  subscription: azureml://subscriptions/99999999-9999-4999-8999-999999999999/resourceGroups/demo/workspaces/ws/connections/aoai/credentials/key
"
    );
    let ended = world.init(&config(&world, &secrets), HASTY);
    ended.expect(69, &[]);
    for (secret, pieces) in [
        ("workspace", ["missing (ResourceNotFound)", "az ml workspace show --name nope --resource-group \"demo\""]),
        ("subscription", ["missing (SubscriptionNotFound)", "az account show --subscription 99999999-9999-4999"]),
    ] {
        let told = ended.about(secret);
        assert!(pieces.iter().all(|piece| told.contains(piece)), "{told}");
    }
    // Without a resource manager there is nobody to ask, and that is known before anything is fetched.
    let config =
        config(&world, KEY).replace(&format!(", resourceManager: \"{}\"", world.emulator.management_url()), "");
    world.init(&config, HASTY).expect(78, &["resourceManager"]);
}

#[test]
fn forty_references_are_no_more_requests_than_there_are_things() {
    let world = World::new();
    let mut secrets = "secrets:\n".to_owned();
    let mut distinct = 0;
    for connection in ["c-0", "c-1", "c-2"] {
        world.emulator.put_connection("ws", ConnectionSpec::custom_keys(connection, &[("a", "va"), ("b", "vb")]));
    }
    for number in 0..20 {
        let (connection, key) = (number % 3, if number % 2 == 0 { "a" } else { "b" });
        writeln!(secrets, "  c{number}: azureml://connections/c-{connection}/credentials/{key}").unwrap();
    }
    for number in 0..20 {
        // Every fifth is a second name of the one before.
        let (vault, name) = (["demo", "other"][number / 10], number - usize::from(number % 5 == 4));
        distinct += usize::from(number % 5 != 4);
        world.emulator.put_secret(vault, &format!("s{name}"), &format!("v{name}"));
        writeln!(secrets, "  s{number}: keyvault:{vault}/secrets/s{name}").unwrap();
    }
    let rest = config(&world, &secrets);
    let other = format!("vaults:\n  other: {{url: \"{}\"}}\n", world.emulator.vault_url("other"));
    world.init(&rest.replace("vaults:\n", &other), PATIENT).expect(0, &[]);
    let with_token = |log: &Logged| log.bearer;
    let requests = world.emulator.requests();
    assert_eq!(requests.iter().filter(|one| with_token(one)).count(), 3 + distinct);
    assert_eq!(world.requests_to(Service::Entra).len(), 2, "a token for the vaults and one for the resource manager");
    // Besides, each vault is greeted once without a token, to hear its challenge.
    let greetings = requests.iter().filter(|one| one.service == Service::Vault && !one.bearer).count();
    assert_eq!((greetings, requests.len()), (2, 3 + distinct + 2 + 2));
}

#[test]
fn get_gives_one_value_of_a_connection_and_a_token() {
    let world = aoai();
    let get = |what: &str| end(&mut world.keyferry(&config(&world, KEY), &["get", what]));
    for what in ["key", "azureml://connections/aoai/credentials/key", "${{azureml://connections/aoai/credentials/key}}"]
    {
        let got = get(what);
        got.expect(0, &[]);
        assert_eq!(got.stdout, b"k1", "{what}");
    }
    let token = get("entra:https://cognitiveservices.localhost/.default");
    token.expect(0, &[]);
    assert!(!token.stdout.is_empty() && token.stdout.iter().all(u8::is_ascii_graphic));
    get("azureml://connections/aoai/credentials/nope").expect(65, &["an ApiKey connection can have 'key'"]);
    get("azureml://connections/nope/target").expect(69, &["there is no connection 'nope' in workspace ws"]);
}

#[test]
fn no_version_is_made_from_a_value() {
    let world = aoai();
    let mut command = world.keyferry(&config(&world, KEY), &["init", "--timeout", "20s", "--log-level", "trace"]);
    let ended: Ended = end(&mut command);
    ended.expect(0, &[]);
    let digest = hex::encode(Sha256::digest("k1"));
    let shown = fs::read_dir(world.out()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    for text in shown.chain([ended.stderr]) {
        assert!(!text.to_ascii_lowercase().contains(&digest[..8]), "{text}");
    }
}

#[test]
fn what_is_elsewhere_is_reached_through_the_proxy_alone() {
    let world = aoai();
    let elsewhere = "keyferry-test.invalid";
    world.emulator.add_audience("https://management.keyferry-test.invalid");
    world.emulator.add_audience("https://vault.keyferry-test.invalid");
    let here = world.emulator.authority();
    let caught = |authority: &str, no_proxy: Option<&str>| {
        let trap = Trap::set();
        let config = format!(
            "cloud: {{authorityHost: \"{authority}\", vaultSuffix: vault.{elsewhere}, resourceManager: \
             \"https://management.{elsewhere}\"}}\ntls: {{caFile: {}}}\nfiles: {{dir: {}}}\nworkspace: {}\nsecrets:\n  \
             key: azureml://connections/aoai/credentials/key\n  \
             s: 'keyvault:https://demo.vault.{elsewhere}/secrets/s'\n",
            world.root.path().join("ca.pem").display(),
            world.out().display(),
            id("ws"),
        );
        let mut process = world.keyferry(&config, &["init", "--timeout", "3s"]);
        process.env("AZURE_AUTHORITY_HOST", authority).env("HTTPS_PROXY", format!("http://{}", trap.address));
        if let Some(no_proxy) = no_proxy {
            process.env("NO_PROXY", no_proxy);
        }
        assert_eq!(end(&mut process).code, Some(69));
        let first = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            assert!(!text.to_ascii_lowercase().contains("authorization"), "{text}");
            text.lines().next().unwrap_or_default().to_owned()
        };
        let mut hosts: Vec<String> = trap.caught().into_iter().map(first).collect();
        hosts.sort();
        hosts.dedup();
        hosts
    };
    let connect = |host: &str| format!("CONNECT {host}.{elsewhere}:443 HTTP/1.1");
    // The token comes from this machine, past the proxy; where it is for is beyond it.
    assert_eq!(caught(&here, None), [connect("demo.vault"), connect("management")]);
    assert_eq!(caught(&here, Some(".vault.keyferry-test.invalid")), [connect("management")]);
    assert_eq!(caught(&here, Some("example.org,keyferry-test.invalid")), [] as [String; 0]);
    let authority = format!("https://login.{elsewhere}");
    // Nobody has a token: the resource manager is not even greeted.
    assert_eq!(caught(&authority, None), [connect("demo.vault"), connect("login")]);
    assert_eq!(caught(&authority, Some("login.keyferry-test.invalid")), [connect("demo.vault")]);
}
