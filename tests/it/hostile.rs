//! Upstreams and configurations that mean harm: no token and no assertion leaves for anybody else, nothing is believed
//! that cannot be, and neighbours stay unharmed.

use std::fs;
use std::time::Duration;

use keyferry_emulator::{DEFAULT_TENANT, Emulator, Fault, Misbehaviour, Service, Settings};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Ended, Running, SOON, Trap, World, at_once, end, eventually, until_holds};

/// A pod with one good secret in `demo`.
fn world() -> World {
    let world = World::new();
    world.emulator.put_secret("demo", "good", "fine");
    world
}

/// `good` from `demo`, and `bad` from the vault `other`.
fn with_other(world: &World) -> String {
    world.emulator.put_secret("other", "bad", "worse");
    format!(
        "{}files: {{dir: {}}}\nrefresh: {{settle: 0s}}\n\
         secrets:\n  good: keyvault:demo/secrets/good\n  bad: keyvault:other/secrets/bad\n",
        world.preamble(&["demo", "other"]),
        world.out().display()
    )
}

#[track_caller]
fn assert_good(world: &World) {
    assert_eq!(world.read("good").as_deref(), Some("fine"));
}

/// Requests to the vault `other`: all of them, and those with a token.
fn to_other(world: &World) -> (usize, usize) {
    let requests = world.emulator.requests();
    let other: Vec<_> = requests.iter().filter(|request| request.vault.as_deref() == Some("other")).collect();
    (other.len(), other.iter().filter(|request| request.bearer).count())
}

#[test]
fn a_cloud_that_nobody_agreed_to_gets_nothing() {
    let world = world();
    let stranger = Emulator::start(Settings::default()).unwrap();
    let config = world.config("secrets: {good: keyvault:demo/secrets/good}\n");
    let strange = config.replace(&world.emulator.authority(), &stranger.authority());
    let public = "cloud: public\nsecrets: {good: 'keyvault:https://contoso.vault.azure.net/secrets/good'}\n";
    for command in ["init", "run"] {
        let refused = |config: &str, consent: Option<&str>, pieces: &[&str]| {
            let mut process = world.keyferry(config, &[command]);
            process.env_remove("KEYFERRY_ALLOW_CUSTOM_CLOUD");
            if let Some(consent) = consent {
                process.env("KEYFERRY_ALLOW_CUSTOM_CLOUD", consent);
            }
            end(&mut process).expect(78, pieces);
        };
        for consent in [None, Some(""), Some("0")] {
            refused(&strange, consent, &["must be agreed to", "--allow-custom-cloud"]);
            refused(&config, consent, &["must be agreed to"]);
        }
        refused(&config, Some("yes"), &["KEYFERRY_ALLOW_CUSTOM_CLOUD is 1 or 0"]);
        // An authority from the environment does not turn a known cloud into another.
        refused(public, Some("1"), &["AZURE_AUTHORITY_HOST"]);
    }
    assert_eq!((stranger.counters().entra_connections, world.emulator.counters().entra_connections), (0, 0));
    assert_eq!(world.emulator.requests().len(), 0);
}

fn challenge(header: &str) -> Misbehaviour {
    let headers = header.split('\n').map(|one| ("WWW-Authenticate".to_owned(), one.to_owned())).collect();
    Misbehaviour::Raw {
        status: 401,
        headers,
        body: r#"{"error":{"code":"Unauthorized","message":"AKV10000"}}"#.to_owned(),
    }
}

/// Challenges that no honest vault of the configured cloud and tenant makes.
fn strange_challenges() -> Vec<String> {
    let authority = format!("https://login.localhost/{DEFAULT_TENANT}");
    let stranger = "https://login.localhost/99999999-9999-4999-8999-999999999999";
    let honest = format!("Bearer authorization=\"{authority}\", resource=\"https://vault.localhost\"");
    [
        format!("Bearer authorization=\"{authority}\", resource=\"https://vault.azure.net\""),
        format!("Bearer authorization=\"{authority}\", resource=\"https://net\""),
        format!("Bearer authorization=\"{authority}\", resource=\"https://localhost\""),
        format!("Bearer authorization=\"{authority}\", resource=\"https://vault.localhost.evil.example\""),
        format!("Bearer authorization=\"{authority}\", scope=\"https://management.azure.com/.default\""),
        format!("Bearer authorization={authority},resource=https://graph.microsoft.com"),
        format!("bearer authorization=\"{authority}\", resource=\"https://net\""),
        format!("Bearer authorization=\"{stranger}\", resource=\"https://vault.localhost\""),
        format!("Bearer\tauthorization=\"{authority}\",\tresource=\"https://net\""),
        format!("Bearer authorization=\"{authority}\", resource=\"https://net\"\n{honest}"),
        format!("{honest}\nBearer authorization=\"{authority}\", resource=\"https://net\""),
        format!("{honest}, Bearer authorization=\"{authority}\", resource=\"https://net\""),
    ]
    .into()
}

#[test]
fn a_vault_that_asks_for_other_tokens_gets_none_and_init_ends() {
    at_once(&strange_challenges(), |header| {
        let world = world();
        let config = with_other(&world);
        world.emulator.fault(Fault::vault(challenge(header)).of_vault("other"));
        let ended = world.init(&config, &["--timeout", "40s"]);
        assert_eq!(ended.code, Some(78), "{header}: {ended:#?}");
        assert!(ended.about("bad").contains("misconfigured (other-"), "{header}: {ended:#?}");
        assert!(ended.took < Duration::from_secs(30), "it cannot mend: {ended:#?}");
        assert_eq!(to_other(&world).1, 0, "{header}");
        assert_good(&world);
    });
}

#[test]
fn a_vault_that_asks_for_other_tokens_gets_none_later_either() {
    let headers = strange_challenges();
    at_once(&headers[..1], |header| {
        let world = world();
        let config = with_other(&world);
        let fault = world.emulator.fault(Fault::vault(challenge(header)).of_vault("other"));
        let running = world.run(&config);
        until_holds(&world.out().join("good"), "fine");
        // The token is there now. The vault is asked again, and again without.
        assert!(world.emulator.wait_until(SOON, |requests| {
            requests.iter().filter(|request| request.vault.as_deref() == Some("other")).count() >= 2
        }));
        assert_eq!(to_other(&world).1, 0);
        world.emulator.clear_fault(fault);
        until_holds(&world.out().join("bad"), "worse");
        // Who was honest at first and is not any more gets no second token.
        let before = to_other(&world).1;
        world.emulator.fault(Fault::vault(challenge(header)).of_vault("other"));
        running.signal(Signal::HUP);
        running.wait_for("vault other", 3);
        let known = to_other(&world).0;
        assert!(world.emulator.wait_until(SOON, |requests| {
            requests.iter().filter(|request| request.vault.as_deref() == Some("other")).count() > known
        }));
        assert_eq!(to_other(&world).1, before + 1, "the one that was refused");
        assert_eq!(running.stop().0, Some(0));
        assert_eq!(world.read("bad").as_deref(), Some("worse"), "the last good value stays");
    });
}

#[test]
fn a_vault_that_asks_for_nothing_that_makes_sense_gets_no_token() {
    let challenges = [
        "",
        "Bearer",
        "Bearer ",
        "Bearer ,,=,=\"",
        "Basic realm=\"x\"",
        "Bearer authorization=\"https://\"",
        "Bearer resource=\"https://vault.localhost\u{e9}\"",
    ];
    at_once(&challenges, |header| {
        let world = world();
        let config = with_other(&world);
        let fault = world.emulator.fault(Fault::vault(challenge(header)).of_vault("other").with_bearer(false));
        let running = world.run(&config);
        running.wait_for("vault other", 1);
        until_holds(&world.out().join("good"), "fine");
        assert_eq!(to_other(&world).1, 0, "{header}");
        world.emulator.clear_fault(fault);
        until_holds(&world.out().join("bad"), "worse");
        assert_eq!(running.stop().0, Some(0));
    });
}

#[test]
fn a_vault_that_wants_no_token_is_none() {
    for status in [200, 302, 404, 503] {
        let world = world();
        let config = with_other(&world);
        let answer =
            Misbehaviour::Raw { status, headers: Vec::new(), body: "<html>sign in to the network</html>".into() };
        world.emulator.fault(Fault::vault(answer).of_vault("other").with_bearer(false));
        let running = world.run(&config);
        running.wait_for("vault other", 1);
        until_holds(&world.out().join("good"), "fine");
        assert_eq!(to_other(&world).1, 0, "{status}");
        assert_eq!(running.stop().0, Some(0));
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let trap = Trap::set();
    let stranger = Emulator::start(Settings::default()).unwrap();
    let to = [
        format!("https://{}/", trap.address),
        format!("http://{}/", trap.address),
        format!("{}{DEFAULT_TENANT}/oauth2/v2.0/token", stranger.authority()),
        format!("{}/secrets/bad?api-version=7.6", stranger.vault_url("other")),
    ];
    let cases: Vec<(Service, u16, &String)> = [Service::Vault, Service::Entra]
        .into_iter()
        .flat_map(|service| [302, 307, 308].map(|status| (service, status)))
        .flat_map(|(service, status)| to.iter().map(move |to| (service, status, to)))
        .collect();
    at_once(&cases, |(service, status, to)| {
        let world = world();
        let local = world.root.path().join("local");
        fs::write(&local, "fine").unwrap();
        let answer = Misbehaviour::Raw {
            status: *status,
            headers: vec![("Location".to_owned(), (*to).clone())],
            body: String::new(),
        };
        world.emulator.fault(Fault::new(*service, answer));
        let secrets = format!("secrets: {{good: 'file:{}', bad: keyvault:demo/secrets/good}}\n", local.display());
        let ended = world.init(&world.config(&secrets), &["--timeout", "6s"]);
        assert_eq!(ended.code, Some(69), "{ended:#?}");
        assert!(ended.about("bad").contains(&format!("http-{status}")), "{ended:#?}");
        assert!(ended.about("bad").contains("something on the way redirects"), "{ended:#?}");
        assert_good(&world);
    });
    assert_eq!(trap.caught().len(), 0);
    assert_eq!((stranger.counters().entra_connections, stranger.counters().vault_connections), (0, 0));
}

/// The most memory the process has ever had, in KiB.
fn peak_memory(running: &Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_body_without_end_is_not_read_to_its_end() {
    const HUGE: u64 = 64 << 20;
    let cases = [
        Fault::vault(Misbehaviour::HugeBody { bytes: HUGE }).of_secret("bad").with_bearer(true),
        Fault::vault(Misbehaviour::HugeBody { bytes: HUGE }).of_vault("other").with_bearer(false),
        Fault::entra(Misbehaviour::HugeBody { bytes: HUGE }),
    ];
    at_once(&cases, |fault| {
        let world = world();
        let config = with_other(&world);
        let fault = world.emulator.fault(fault.clone());
        let running = world.run(&config);
        running.wait_for("answer-too-long", 1);
        let peak = peak_memory(&running);
        assert!(peak < 48 << 10, "{peak} KiB");
        world.emulator.clear_fault(fault);
        until_holds(&world.out().join("good"), "fine");
        until_holds(&world.out().join("bad"), "worse");
        assert_eq!(running.stop().0, Some(0));
    });
}

fn hostile_numbers() -> Vec<Value> {
    vec![
        json!(-1),
        json!(0),
        json!(9_007_199_254_740_992_u64),
        json!(9_223_372_036_854_775_808_u64),
        json!(u64::MAX),
        json!(1e308),
        json!(1.5),
        json!("soon"),
        json!("9223372036854775808"),
        Value::Null,
        json!([1]),
        json!({"a": 1}),
        json!(true),
    ]
}

#[test]
fn a_time_that_is_none_does_not_spoil_the_value() {
    let world = world();
    let mut config = world.config("secrets:\n  good: keyvault:demo/secrets/good\n");
    let mut names = Vec::new();
    let places =
        ["/attributes/exp", "/attributes/nbf", "/attributes/created", "/attributes/updated", "/attributes", "/tags"];
    for at in places {
        for value in hostile_numbers() {
            let name = format!("s{}", names.len());
            world.emulator.put_secret("demo", &name, &format!("value of {name}"));
            let edit = Misbehaviour::Member { at: at.to_owned(), value: value.clone() };
            world.emulator.fault(Fault::vault(edit).of_secret(&name).with_bearer(true));
            config.push_str(&format!("  {name}: keyvault:demo/secrets/{name}\n"));
            names.push((name, at, value));
        }
    }
    let ended = world.init(&config, &["--timeout", "30s"]);
    for (name, at, value) in names {
        assert_eq!(world.read(&name), Some(format!("value of {name}")), "{at} {value}: {ended:#?}");
    }
    ended.expect(0, &[]);
    assert_good(&world);
}

#[test]
fn the_schedule_survives_times_that_are_none() {
    // The expiry pulls a refresh forward: a hostile one must neither stop the refreshes nor make them race.
    let world = world();
    let mut config =
        world.config("refresh: {interval: 1s, settle: 0s}\nsecrets:\n  good: keyvault:demo/secrets/good\n");
    for (number, value) in hostile_numbers().into_iter().enumerate() {
        let name = format!("s{number}");
        world.emulator.put_secret("demo", &name, "old");
        let edit = Misbehaviour::Member { at: "/attributes/exp".to_owned(), value };
        world.emulator.fault(Fault::vault(edit).of_secret(&name).with_bearer(true));
        config.push_str(&format!("  {name}: keyvault:demo/secrets/{name}\n"));
    }
    let count = hostile_numbers().len();
    let running = world.run(&config);
    until_holds(&world.out().join("s0"), "old");
    for number in 0..count {
        world.emulator.put_secret("demo", &format!("s{number}"), "new");
    }
    for number in 0..count {
        until_holds(&world.out().join(format!("s{number}")), "new");
    }
    assert_eq!(running.stop().0, Some(0));
    let requests = world.emulator.requests();
    let seconds = usize::try_from(requests.last().unwrap().at.as_secs()).unwrap() + 2;
    assert!(requests.len() <= seconds * (count + 1) + 3, "{} requests in {seconds} s", requests.len());
}

#[test]
fn a_lifetime_of_a_token_that_is_none() {
    let usable =
        |value: &Value| value.as_u64().is_some_and(|seconds| seconds > 0) || *value == json!("9223372036854775808");
    at_once(&hostile_numbers(), |value| {
        let world = world();
        let local = world.root.path().join("local");
        fs::write(&local, "fine").unwrap();
        world.emulator.fault(Fault::entra(Misbehaviour::Member { at: "/expires_in".to_owned(), value: value.clone() }));
        let secrets = format!("secrets: {{good: 'file:{}', bad: keyvault:demo/secrets/good}}\n", local.display());
        let ended = world.init(&world.config(&secrets), &["--timeout", "3s"]);
        if usable(value) {
            ended.expect(0, &[]);
        } else {
            assert_eq!(ended.code, Some(69), "{value}: {ended:#?}");
            assert!(ended.about("bad").contains("bad-token-answer"), "{ended:#?}");
            assert!(world.emulator.requests().len() <= 6, "{:#?}", world.emulator.requests());
        }
        assert_good(&world);
    });
}

#[test]
fn a_retry_after_that_is_none() {
    let texts = [
        "-1",
        "0",
        "9007199254740992",
        "9223372036854775808",
        "1e308",
        "soon",
        "",
        "1.5",
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "Wed, 32 Oct 2099 07:28:00 GMT",
    ];
    at_once(&texts, |text| {
        for service in [Service::Vault, Service::Entra] {
            let world = world();
            let throttle = Misbehaviour::Throttle { retry_after: Some((*text).to_owned()) };
            world.emulator.fault(Fault::new(service, throttle).times(1));
            let ended =
                world.init(&world.config("secrets: {good: keyvault:demo/secrets/good}\n"), &["--timeout", "30s"]);
            assert_eq!(ended.code, Some(0), "{text}: {ended:#?}");
            assert!(world.emulator.requests().len() <= 6, "{:#?}", world.emulator.requests());
        }
    });
}

#[test]
fn a_retry_after_without_end_holds_back_its_vault_alone() {
    for text in ["4294967295", "86400", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let world = world();
        let config = with_other(&world);
        let throttle = Misbehaviour::Throttle { retry_after: Some(text.to_owned()) };
        world.emulator.fault(Fault::vault(throttle).of_vault("other").with_bearer(true));
        let ended = world.init(&config, &["--timeout", "3s"]);
        assert_eq!(ended.code, Some(69));
        assert!(ended.about("bad").contains("throttled"), "{ended:#?}");
        assert_good(&world);
        assert_eq!(to_other(&world).1, 1, "it is obeyed");
    }
}

#[test]
fn an_answer_that_is_no_secret() {
    let bodies = [
        "",
        "null",
        "[]",
        "{}",
        "\"x\"",
        "0",
        "<html>200</html>",
        "{\"value\":null}",
        "{\"value\":\"x\"}",
        "{\"value\":1,\"id\":\"https://v/secrets/bad/0123456789abcdef0123456789abcdef\"}",
        "{\"value\":\"x\",\"id\":\"https://v/secrets/bad/\"}",
        "{\"value\":\"x\",\"id\":\"https://v/secrets/bad/../../etc/passwd\"}",
        "{\"value\":\"\\ud800\",\"id\":\"https://v/secrets/bad/0123456789abcdef0123456789abcdef\"}",
        "{\"value\":\"x\",\"id\":\"https://v/secrets/bad/0123456789abcdef0123456789abcdef\"",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    ];
    at_once(&bodies, |body| {
        let world = world();
        let config = with_other(&world);
        let raw = Misbehaviour::Raw { status: 200, headers: Vec::new(), body: (*body).to_owned() };
        world.emulator.fault(Fault::vault(raw).of_secret("bad").with_bearer(true));
        let ended = world.init(&config, &["--timeout", "6s"]);
        assert_eq!(ended.code, Some(69), "{body}: {ended:#?}");
        assert!(ended.about("bad").contains("unavailable (bad-answer)"), "{ended:#?}");
        assert_good(&world);
        assert!(world.emulator.requests().len() <= 8, "{:#?}", world.emulator.requests());
    });
}

#[test]
fn long_values_and_every_way_to_write_a_character() {
    let world = world();
    let mut config = world.config("secrets:\n  good: keyvault:demo/secrets/good\n");
    for (name, length) in [("long", 25_000), ("longer", 200_000)] {
        let value: String = (0..=255).map(char::from).chain("ÿ€😀\u{2028}".chars()).cycle().take(length).collect();
        world.emulator.put_secret("demo", name, &value);
        config.push_str(&format!("  {name}: keyvault:demo/secrets/{name}\n"));
        // The same with every character escaped.
        let escaped: String = value.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        let id = "https://demo.vault.localhost/secrets/x/0123456789abcdef0123456789abcdef";
        let body = format!("{{\"value\":\"{escaped}\",\"id\":\"{id}\"}}");
        world.emulator.put_secret("demo", &format!("{name}-escaped"), "");
        let raw = Misbehaviour::Raw { status: 200, headers: Vec::new(), body };
        world.emulator.fault(Fault::vault(raw).of_secret(&format!("{name}-escaped")).with_bearer(true));
        config.push_str(&format!("  {name}-escaped: keyvault:demo/secrets/{name}-escaped\n"));
    }
    world.init(&config, &["--timeout", "30s"]).expect(0, &[]);
    for name in ["long", "longer"] {
        assert_eq!(world.read(name), world.read(&format!("{name}-escaped")));
        assert!(world.read(name).unwrap().contains("\u{0}\u{1}"));
    }
}

#[test]
fn a_proxy_gets_nothing_that_stays_on_the_machine() {
    let world = world();
    let trap = Trap::set();
    let through = |config: &str, no_proxy: Option<&str>| -> Ended {
        let mut process = world.keyferry(config, &["init", "--timeout", "4s"]);
        for variable in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
            process.env(variable, format!("http://{}", trap.address));
        }
        if let Some(no_proxy) = no_proxy {
            process.env("NO_PROXY", no_proxy);
        }
        end(&mut process)
    };
    let config = world.config("secrets: {good: keyvault:demo/secrets/good}\n");
    for no_proxy in [None, Some(""), Some("example.org")] {
        through(&config, no_proxy).expect(0, &[]);
    }
    assert_eq!(trap.caught().len(), 0);
    // What is elsewhere goes through it, and all that the proxy learns is where to.
    world.emulator.add_audience("https://vault.keyferry-test.invalid");
    let config = format!(
        "cloud: {{authorityHost: \"{}\", vaultSuffix: vault.keyferry-test.invalid}}\ntls: {{caFile: {}}}\n\
         files: {{dir: {}}}\nsecrets: {{bad: 'keyvault:https://elsewhere.vault.keyferry-test.invalid/secrets/bad'}}\n",
        world.emulator.authority(),
        world.root.path().join("ca.pem").display(),
        world.out().display(),
    );
    assert_eq!(through(&config, None).code, Some(69));
    let caught = eventually(SOON, || Some(trap.caught()).filter(|caught| !caught.is_empty())).unwrap();
    for bytes in caught {
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("CONNECT elsewhere.vault.keyferry-test.invalid:443 HTTP/1.1\r\n"), "{text}");
        assert!(!text.to_ascii_lowercase().contains("authorization"), "{text}");
    }
    // A host that NO_PROXY names does not.
    let count = trap.caught().len();
    through(&config, Some("keyferry-test.invalid"));
    assert_eq!(trap.caught().len(), count);
}
