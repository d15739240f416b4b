//! The endpoint for tokens: what an Azure SDK beside keyferry gets there, and what everybody else does not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use keyferry_emulator::{DEFAULT_CLIENT, Fault, Logged, Misbehaviour, Service};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::client::{Endpoint, Reply};
use crate::admin;
use crate::harness::{Running, SOON, World, at_once, end, eventually, root_or_skip};

const COGNITIVE: &str = "https://cognitiveservices.azure.com";
const OTHER: &str = "https://ai.azure.com";
const IMDS: &str =
    "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://cognitiveservices.azure.com";
const APP_SERVICE: &str = "/msi/token?api-version=2019-08-01&resource=https://cognitiveservices.azure.com";
const METADATA: &str = "Metadata: true";
const IDENTITY_HEADER: &str = "X-IDENTITY-HEADER: anything";

/// A configuration that gives tokens and fetches nothing.
fn config(world: &World, more: &str) -> String {
    let scopes = format!("scopes: [{COGNITIVE}/.default, {OTHER}/.default]");
    format!(
        "{}admin: {{listen: \"127.0.0.1:0\"}}\nserve: {{tokens: {{listen: \"127.0.0.1:0\", {scopes}{more}}}}}\n",
        world.preamble(&["demo"])
    )
}

fn world() -> World {
    let world = World::new();
    // Other users look for the token file.
    fs::set_permissions(world.root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    world
}

fn serving(world: &World, more: &str) -> (Running, Endpoint) {
    let running = Running::start(&mut world.keyferry(&config(world, more), &["run", "--log-level", "trace"]));
    let endpoint = Endpoint::tokens(&running);
    (running, endpoint)
}

fn imds(endpoint: &Endpoint) -> Reply {
    endpoint.ask("GET", IMDS, &[METADATA])
}

fn app_service(endpoint: &Endpoint) -> Reply {
    endpoint.ask("GET", APP_SERVICE, &[IDENTITY_HEADER])
}

#[track_caller]
fn token(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["access_token"].as_str().unwrap().to_owned()
}

fn exchanges(log: &[Logged]) -> Vec<String> {
    let of = |one: &Logged| if one.service == Service::Entra { one.audience.clone() } else { None };
    log.iter().filter_map(of).collect()
}

/// What a running agent counts of its endpoint.
fn counted(running: &Running, series: &str) -> String {
    let (status, text) = admin::get(admin::address(running), "/metrics");
    assert_eq!(status, 200);
    let line = text.lines().find(|line| line.starts_with(series));
    line.unwrap_or_else(|| panic!("no {series} in {text}")).rsplit_once(' ').unwrap().1.to_owned()
}

#[test]
fn tokens_alone_are_a_configuration() {
    let world = world();
    let (running, endpoint) = serving(&world, "");
    let reply = imds(&endpoint);
    assert_eq!((reply.status, reply.header("cache-control").as_deref()), (200, Some("no-store")));
    let body = reply.json();
    let members: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    for member in ["access_token", "client_id", "expires_in", "expires_on", "ext_expires_in", "not_before", "resource"]
    {
        assert!(members.contains(&member) && body[member].is_string(), "{member}: all of IMDS's are text");
    }
    assert_eq!((&body["resource"], &body["client_id"]), (&COGNITIVE.into(), &DEFAULT_CLIENT.into()));
    assert_eq!(body["token_type"], "Bearer");
    let seconds: u64 = body["expires_in"].as_str().unwrap().parse().unwrap();
    assert!((86_300..=86_399).contains(&seconds), "{seconds}");
    let other = app_service(&endpoint).json();
    assert_eq!((&other["access_token"], &other["token_type"]), (&body["access_token"], &"Bearer".into()));
    // Made of two clocks at each answer, whose seconds need not turn together.
    let expires_on = |body: &Value| body["expires_on"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(expires_on(&other).abs_diff(expires_on(&body)) <= 1, "{other} {body}");
    assert_eq!(exchanges(&world.emulator.requests()), [format!("{COGNITIVE}/.default")], "one for all who ask");
    // There is nothing to wait for and nothing that could be lacking.
    assert!(eventually(SOON, || (admin::get(admin::address(&running), "/readyz").0 == 200).then_some(())).is_some());
    assert_eq!(counted(&running, "keyferry_endpoint_requests_total{route=\"imds-token\",code=\"200\"}"), "1");
    assert_eq!(counted(&running, "keyferry_endpoint_requests_total{route=\"app-service-token\",code=\"200\"}"), "1");
    let secret = body["access_token"].as_str().unwrap().to_owned();
    let (code, lines) = running.stop();
    assert_eq!(code, Some(0));
    let said = lines.join("\n");
    assert!(!said.contains("publishes nothing"), "{said}");
    assert!(said.contains("identity 'default' is workload identity"), "{said}");
    assert!(said.contains("for https://cognitiveservices.azure.com/.default, https://ai.azure.com/.default"), "{said}");
    for piece in secret.split('.') {
        assert!(!said.contains(piece), "a piece of the token is in the log");
    }
}

#[test]
fn the_entry_of_the_list_is_asked_for_whatever_the_caller_wrote() {
    let world = world();
    let (running, endpoint) = serving(&world, "");
    let written = ["https%3A%2F%2Fai.azure.com%2F", "https://ai.azure.com/.default", "https://ai.azure.com"];
    for resource in written {
        let target = format!("/metadata/identity/oauth2/token?api-version=2018-02-01&resource={resource}");
        let reply = endpoint.ask("GET", &target, &[METADATA]);
        assert_eq!(reply.json()["resource"], OTHER);
    }
    let named = format!("{IMDS}&client_id={}", DEFAULT_CLIENT.to_uppercase());
    token(&endpoint.ask("GET", &named, &[METADATA]));
    assert_eq!(exchanges(&world.emulator.requests()), [format!("{OTHER}/.default"), format!("{COGNITIVE}/.default")]);
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn many_at_once_are_one_exchange() {
    let world = world();
    let (running, endpoint) = serving(&world, "");
    let held = world.emulator.fault(Fault::entra(Misbehaviour::Hold));
    let asked: Vec<_> = (0..20).map(|_| endpoint.begin("GET", IMDS, &[METADATA])).collect();
    assert!(world.emulator.wait_until(SOON, |log| exchanges(log).len() == 1));
    world.emulator.clear_fault(held);
    let tokens: Vec<String> = asked.into_iter().map(|asked| token(&asked.end())).collect();
    assert!(tokens.iter().all(|one| *one == tokens[0]));
    assert_eq!(exchanges(&world.emulator.requests()).len(), 1);
    assert_eq!(running.stop().0, Some(0));
}

/// What is asked, and how it is refused: the status, and a piece of the reason.
fn refusals() -> Vec<(&'static str, String, Vec<&'static str>, u16, &'static str)> {
    let imds = |more: &str| format!("{IMDS}{more}");
    let resource = |resource: &str| format!("/metadata/identity/oauth2/token?api-version=1&resource={resource}");
    vec![
        ("no header", imds(""), vec![], 400, "Required metadata header not specified"),
        ("another value of it", imds(""), vec!["Metadata: false"], 400, "Required metadata header not specified"),
        ("no header of App Service", APP_SERVICE.to_owned(), vec![METADATA], 400, "X-IDENTITY-HEADER"),
        ("a page's script", imds(""), vec![METADATA, "Origin: https://evil.example"], 403, "origin"),
        ("a page's link", imds(""), vec![METADATA, "Sec-Fetch-Site: cross-site"], 403, "sec-fetch-site"),
        ("a proxy", imds(""), vec![METADATA, "X-Forwarded-For: 10.0.0.1"], 403, "x-forwarded-for"),
        ("another proxy", imds(""), vec![METADATA, "Forwarded: for=10.0.0.1"], 403, "forwarded"),
        ("one more", imds(""), vec![METADATA, "Via: 1.1 x"], 403, "via"),
        ("nginx", APP_SERVICE.to_owned(), vec![IDENTITY_HEADER, "X-Real-IP: 10.0.0.1"], 403, "x-real-ip"),
        ("two hosts", imds(""), vec![METADATA, "Host: 169.254.169.254"], 400, "one header Host"),
        ("a body", imds(""), vec![METADATA, "Content-Length: 1"], 400, "no body"),
        ("absolute form", format!("http://localhost{IMDS}"), vec![METADATA], 400, "no proxy"),
        (
            "a vault",
            resource("https://vault.azure.net"),
            vec![METADATA],
            400,
            "not in keyferry's 'serve.tokens.scopes'",
        ),
        ("the emulator's vault", resource("https://vault.localhost"), vec![METADATA], 400, "not in keyferry's"),
        ("two resources", imds("&resource=https://vault.azure.net"), vec![METADATA], 400, "twice"),
        ("a hidden second one", imds("&%72esource=https://vault.azure.net"), vec![METADATA], 400, "twice"),
        (
            "one more resource",
            resource("https://ai.azure.com%20https://vault.azure.net"),
            vec![METADATA],
            400,
            "not in",
        ),
        ("half an escape", resource("https://ai.azure.com%2"), vec![METADATA], 400, "malformed"),
        ("something unknown", imds("&claims=x"), vec![METADATA], 400, "not known"),
        (
            "another identity",
            imds("&client_id=33333333-3333-4333-8333-333333333333"),
            vec![METADATA],
            400,
            "Identity not found",
        ),
        (
            "an identity by its object",
            imds(&format!("&object_id={DEFAULT_CLIENT}")),
            vec![METADATA],
            400,
            "Identity not found",
        ),
        ("an identity by its resource", imds("&msi_res_id=/x"), vec![METADATA], 400, "Identity not found"),
        (
            "no api-version",
            resource(COGNITIVE).replace("api-version=1&", ""),
            vec![METADATA],
            400,
            "'api-version' is missing",
        ),
        ("no resource", resource("").replace("&resource=", ""), vec![METADATA], 400, "'resource' is missing"),
        ("an old protocol", APP_SERVICE.replace("2019-08-01", "2017-09-01"), vec![IDENTITY_HEADER], 400, "api-version"),
        ("another path", "/metadata/instance?api-version=1".to_owned(), vec![METADATA], 404, "there is nothing here"),
        ("a value", "/v1/secrets/db".to_owned(), vec![METADATA], 404, "there is nothing here"),
    ]
}

#[test]
fn nothing_else_is_answered_and_nobody_is_asked_for_it() {
    let world = world();
    let (running, endpoint) = serving(&world, "");
    at_once(&refusals(), |(what, target, headers, status, reason)| {
        let reply = endpoint.ask("GET", target, headers);
        assert_eq!(reply.status, *status, "{what}: {reply:?}");
        let body = reply.json();
        let said = if target.starts_with("/msi/") { &body["message"] } else { &body["error_description"] };
        assert!(said.as_str().unwrap().contains(reason), "{what}: {body}");
    });
    for method in ["POST", "HEAD", "OPTIONS"] {
        assert_eq!(endpoint.ask(method, IMDS, &[METADATA]).status, 405, "{method}");
    }
    for host in ["evil.example", "169.254.169.254", "2130706433"] {
        let request = format!("GET {IMDS} HTTP/1.1\r\nHost: {host}\r\n{METADATA}\r\nConnection: close\r\n\r\n");
        assert_eq!(Reply::parse(&endpoint.exchange(request.as_bytes())).status, 403, "{host}");
    }
    assert_eq!(exchanges(&world.emulator.requests()), [""; 0]);
    assert_eq!(running.stop().0, Some(0));
}

/// What the authority does, and the answer: status, error and `Retry-After`.
type Case = (Misbehaviour, u16, &'static str, Option<&'static str>);

#[test]
fn trouble_is_told_as_sdks_understand_it_and_stands_for_all_callers() {
    let entra = |status: u16, error: &str, code: u64| Misbehaviour::EntraError {
        status,
        error: error.to_owned(),
        code,
        message: "canary-text".to_owned(),
    };
    let throttle = |after: Option<&str>| Misbehaviour::Throttle { retry_after: after.map(str::to_owned) };
    let cases: [Case; 5] = [
        (throttle(Some("30")), 429, "too_many_requests", Some("30")),
        (Misbehaviour::Status { status: 503 }, 503, "temporarily_unavailable", Some("1")),
        (Misbehaviour::HtmlBadGateway, 503, "temporarily_unavailable", Some("1")),
        (entra(401, "invalid_client", 700_213), 400, "unauthorized_client", None),
        (entra(400, "invalid_resource", 500_011), 400, "invalid_request", None),
    ];
    at_once(&cases, |(fault, status, error, after)| {
        let world = world();
        let (running, endpoint) = serving(&world, "");
        world.emulator.fault(Fault::entra(fault.clone()));
        let reply = imds(&endpoint);
        assert_eq!((reply.status, &reply.json()["error"]), (*status, &json!(error)), "{fault:?}: {reply:?}");
        assert_eq!(reply.header("retry-after").as_deref(), *after, "{fault:?}");
        if *status != 503 {
            let again = app_service(&endpoint);
            assert_eq!((again.status, &again.json()["statusCode"]), (*status, &json!(status)), "{fault:?}: {again:?}");
            assert_eq!(exchanges(&world.emulator.requests()).len(), 1, "nobody is asked again at once: {fault:?}");
        }
        running.wait_for("no token can be given for https://cognitiveservices.azure.com/.default: ", 1);
        let (code, lines) = running.stop();
        assert_eq!(code, Some(0));
        assert_eq!(lines.iter().filter(|line| line.contains("no token can be given")).count(), 1, "{lines:#?}");
        assert!(!lines.iter().any(|line| line.contains("canary-text")) && !reply.text().contains("canary-text"));
    });
}

#[test]
fn when_it_is_over_tokens_are_given_again() {
    let world = world();
    let (running, endpoint) = serving(&world, "");
    let down = world.emulator.fault(Fault::entra(Misbehaviour::Status { status: 503 }));
    assert_eq!(imds(&endpoint).status, 503);
    // Another scope is another matter.
    let other = IMDS.replace(COGNITIVE, OTHER);
    assert_eq!(endpoint.ask("GET", &other, &[METADATA]).status, 503);
    world.emulator.clear_fault(down);
    assert!(eventually(SOON, || (imds(&endpoint).status == 200).then_some(())).is_some());
    running.wait_for("tokens for https://cognitiveservices.azure.com/.default are given again", 1);
    assert_eq!(running.count("no token can be given"), 2, "once for each scope");
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn a_token_whose_renewal_fails_is_given_until_its_end() {
    let world = world();
    world.emulator.set_token_lifetime_for(COGNITIVE, 8);
    let (running, endpoint) = serving(&world, "");
    let first = token(&imds(&endpoint));
    world.emulator.fault(Fault::entra(Misbehaviour::Status { status: 503 }));
    let renewed = || (imds(&endpoint), exchanges(&world.emulator.requests()).len());
    let (during, _) = eventually(SOON, || Some(renewed()).filter(|(_, exchanges)| *exchanges == 2)).unwrap();
    assert_eq!(token(&during), first, "it lasts");
    assert!(during.json()["expires_in"].as_str().unwrap().parse::<u64>().unwrap() <= 4, "and says for how long");
    assert!(eventually(SOON, || (imds(&endpoint).status == 503).then_some(())).is_some());
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn callers_are_users() {
    if !root_or_skip() {
        return;
    }
    let world = world();
    let (running, endpoint) = serving(&world, ", allow: [{uid: 1000}]");
    token(&endpoint.as_user(1000, imds));
    token(&endpoint.as_user(1000, app_service));
    let refused: Value = endpoint.as_user(1001, |endpoint| {
        let reply = imds(endpoint);
        assert_eq!(reply.status, 403);
        reply.json()
    });
    assert_eq!(refused["error_description"], "uid 1001 may not call: name it in 'serve.tokens.allow'");
    let refused = endpoint.as_user(0, app_service);
    assert_eq!((refused.status, &refused.json()["statusCode"]), (403, &json!(403)), "not even its own");
    assert_eq!(running.stop().0, Some(0));
    let (running, endpoint) = serving(&world, "");
    token(&imds(&endpoint));
    assert_eq!(endpoint.as_user(1000, imds).status, 403, "without a list it is for keyferry's own user");
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn or_callers_know_what_is_in_a_file() {
    let world = world();
    let file = world.root.path().join("identity-header");
    let more = format!(", tokenFile: {}", file.display());
    let (running, endpoint) = serving(&world, &more);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o440);
    let header = fs::read_to_string(&file).unwrap();
    let with = |header: &str| endpoint.ask("GET", APP_SERVICE, &[&format!("X-IDENTITY-HEADER: {header}")]);
    token(&with(&header));
    for wrong in [&header[1..], &format!("{header}x"), &format!("Bearer {header}"), "anything"] {
        let refused = with(wrong);
        assert_eq!(refused.status, 401, "{wrong}");
        assert!(refused.json()["message"].as_str().unwrap().starts_with("TokenMissing: "), "{refused:?}");
    }
    let bearer = format!("Authorization: Bearer {header}");
    assert_eq!(endpoint.ask("GET", APP_SERVICE, &[&bearer]).status, 400, "it is another header");
    let also = format!("X-IDENTITY-HEADER: {header}");
    let refused = endpoint.ask("GET", IMDS, &[METADATA, &also]);
    assert_eq!((refused.status, &refused.json()["error"]), (403, &json!("unauthorized_client")));
    assert!(refused.text().contains("IDENTITY_ENDPOINT"), "{refused:?}");
    running.signal(Signal::HUP);
    let (code, lines) = running.stop();
    assert_eq!(code, Some(0));
    assert!(!lines.iter().any(|line| line.contains(&header)));
}

#[test]
fn a_port_that_is_taken_ends_it() {
    let world = world();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config =
        config(&world, "").replacen("tokens: {listen: \"127.0.0.1:0\"", &format!("tokens: {{listen: \"{address}\""), 1);
    let ended = crate::harness::end(&mut world.keyferry(&config, &["run"]));
    ended.expect(78, &[&format!("serve.tokens.listen {address} cannot be listened at"), "choose another"]);
}

#[test]
fn init_gives_none() {
    let world = world();
    let ended = world.init(&config(&world, ""), &[]);
    ended.expect(0, &["the configuration publishes nothing: there are no 'secrets'"]);
    assert!(!ended.stderr.contains("tokens are given") && !ended.stderr.contains("identity 'default'"), "{ended:#?}");
}

/// What an SDK does that finds a managed identity by App Service's variables.
const ASKS: &str = "import json, os, urllib.request as u; \
    r = u.Request(os.environ['IDENTITY_ENDPOINT'] + '?api-version=2019-08-01&resource=https://cognitiveservices.azure.com', \
    headers={'X-IDENTITY-HEADER': os.environ['IDENTITY_HEADER']}); \
    print(json.load(u.urlopen(r))['token_type'], 'AZURE_CLIENT_ID' in os.environ)";

#[test]
fn a_command_finds_them_by_its_variables() {
    let world = world();
    let file = world.root.path().join("identity-header");
    for more in [String::new(), format!(", tokenFile: {}", file.display())] {
        let mut command =
            world.keyferry(&config(&world, &more), &["exec", "--strip-identity", "--", "python3", "-c", ASKS]);
        let ended = end(command.env("PATH", "/usr/bin:/bin"));
        ended.expect(0, &[]);
        assert_eq!(String::from_utf8_lossy(&ended.stdout), "Bearer False\n", "{}", ended.stderr);
    }
    let mut once = world.keyferry(&config(&world, ""), &["exec", "--once", "--", "/bin/echo", "started"]);
    let ended = end(&mut once);
    ended.expect(78, &["--once", "serve.tokens"]);
    assert!(ended.stdout.is_empty());
}
