//! No secret byte where it does not belong: not in what is logged at any level, not in what others may see of the
//! process, and not in its memory once it is over.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use keyferry_emulator::{Assertion, DEFAULT_CLIENT, Fault, Misbehaviour, Operation, Permission, Refusal, Settings};
use rustix::process::Signal;

use crate::admin;
use crate::harness::{Running, World, at_once, end, eventually, root_or_skip, until_holds};

/// A value that nothing else looks like, with characters that every encoding treats in its own way.
fn canary(of: &str) -> String {
    let mut random = [0; 12];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()).unwrap();
    format!("cAnAry-{of}-\"ü%/+\\&=<>-{}", hex::encode(random))
}

/// Every way in which a value could be written, each long enough to be no accident.
fn spellings(value: &str) -> Vec<Vec<u8>> {
    let bytes = value.as_bytes();
    let mut spellings = vec![
        bytes.to_vec(),
        hex::encode(bytes).into_bytes(),
        hex::encode_upper(bytes).into_bytes(),
        percent(value, b"-_.~", false).into_bytes(),
        percent(value, b"-_.~", true).into_bytes(),
        percent(value, b"", false).into_bytes(),
        percent(value, b"-_.~%/+'<&>\"\\=", false).into_bytes(),
        format!("{value:?}").trim_matches('"').as_bytes().to_vec(),
        value.escape_default().to_string().into_bytes(),
        bytes.escape_ascii().to_string().into_bytes(),
        format!("{bytes:?}").trim_matches(['[', ']']).as_bytes().to_vec(),
    ];
    let json = serde_json::to_string(value).unwrap();
    let json = json.trim_matches('"');
    // In a JSON string in a JSON string, as in a log line that quotes an answer.
    let twice = serde_json::to_string(json).unwrap();
    spellings.extend([json.as_bytes().to_vec(), twice.trim_matches('"').as_bytes().to_vec()]);
    // A value within something longer that is encoded starts at any of three places; the characters at both ends then
    // depend on what is around it.
    for before in 0..3 {
        let shifted = [&vec![b'x'; before][..], bytes].concat();
        for encoded in [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            let from = if before == 0 { 0 } else { 4 };
            spellings.push(encoded.as_bytes()[from..encoded.len() - 2].to_vec());
        }
    }
    // A piece of it is a leak as well.
    spellings.push(bytes[bytes.len() - 20..].to_vec());
    spellings
}

fn percent(value: &str, kept: &[u8], lower: bool) -> String {
    let written = |byte: u8| match byte {
        _ if byte.is_ascii_alphanumeric() || kept.contains(&byte) => char::from(byte).to_string(),
        _ if lower => format!("%{byte:02x}"),
        _ => format!("%{byte:02X}"),
    };
    value.bytes().map(written).collect()
}

fn count(haystack: &[u8], needle: &[u8]) -> usize {
    // The first byte is found fast; a memory is long.
    let (first, mut from, mut found) = (needle[0], 0, 0);
    while let Some(at) = haystack[from..].iter().position(|byte| *byte == first) {
        found += usize::from(haystack[from + at..].starts_with(needle));
        from += at + 1;
    }
    found
}

#[track_caller]
fn assert_absent(place: &str, text: &[u8], secrets: &[String]) {
    for secret in secrets {
        for spelling in spellings(secret) {
            let found = count(text, &spelling);
            let shown = String::from_utf8_lossy(&spelling);
            assert_eq!(found, 0, "{shown:?} is in {place}: {}", String::from_utf8_lossy(text));
        }
    }
}

#[test]
fn the_search_finds_what_it_looks_for() {
    let secret = canary("self");
    let text = format!("GET /?a={}&b", percent(&secret, b"", false));
    let hidden = [
        secret.clone(),
        text,
        STANDARD_NO_PAD.encode(format!("user:{secret}!")),
        URL_SAFE_NO_PAD.encode(format!("{{\"value\":\"{secret}\"}}")),
        hex::encode(format!("..{secret}")),
        serde_json::to_string(&secret).unwrap(),
        format!("{secret:?}"),
    ];
    for hidden in hidden {
        let found = spellings(&secret).iter().any(|spelling| count(hidden.as_bytes(), spelling) > 0);
        assert!(found, "{hidden}");
    }
}

/// A world in which everything goes wrong once, with canaries in every value and body.
struct Troubled {
    world: World,
    config: String,
    secrets: Vec<String>,
}

fn troubled() -> Troubled {
    let world = World::new();
    let mut secrets = vec![fs::read_to_string(world.token_file()).unwrap().trim().to_owned()];
    let mut put = |name: &str, wrap: fn(&str) -> String| {
        let value = canary(name);
        world.emulator.put_secret("demo", name, &wrap(&value));
        secrets.push(value);
    };
    put("good", ToOwned::to_owned);
    put("text", ToOwned::to_owned);
    put("nearly", |value| format!("{{\"user\": {value}"));
    put("other-property", |value| serde_json::json!({"User": value, value: "user"}).to_string());
    put("no-base64", ToOwned::to_owned);
    put("no-hex", ToOwned::to_owned);
    put("denied", ToOwned::to_owned);
    put("disabled", ToOwned::to_owned);
    put("cut", ToOwned::to_owned);
    put("throttled", ToOwned::to_owned);
    put("raw", ToOwned::to_owned);
    put("not-found-key", ToOwned::to_owned);
    put("page", ToOwned::to_owned);
    put("reset", ToOwned::to_owned);
    put("odd", ToOwned::to_owned);
    world.emulator.update_secret("demo", "disabled", None, |secret| secret.enabled = false);
    world.emulator.deny(DEFAULT_CLIENT, "demo", Permission::Get, Some("denied"), Refusal::ForbiddenByRbac);
    // Bodies that repeat secrets where nobody expects them, in every member that is looked at.
    let body = |status: u16, member: &str| {
        let canary = canary("body");
        let body = serde_json::json!({
            "error": {"code": canary, "message": format!("AKV{canary}"), "innererror": {"code": canary}},
            "id": canary, "value": canary, member: canary,
        });
        let headers = [("Retry-After", canary.clone()), ("Location", format!("https://x/{canary}"))];
        let headers = headers.map(|(name, value)| (name.to_owned(), percent(&value, b"", false))).to_vec();
        (Misbehaviour::Raw { status, headers, body: body.to_string() }, canary)
    };
    for (name, status) in
        [("raw", 200), ("b302", 302), ("b400", 400), ("b401", 401), ("b403", 403), ("b404", 404), ("b500", 500)]
    {
        let (raw, canary) = body(status, "attributes");
        world.emulator.put_secret("demo", name, "x");
        world.emulator.fault(Fault::vault(raw).of_secret(name).with_bearer(true).times(2));
        secrets.push(canary);
    }
    let (raw, canary) = body(400, "error_description");
    secrets.push(canary);
    world.emulator.fault(Fault::entra(raw).times(1));
    // An access token that the vaults refuse.
    let (token, fault) = strange_token();
    secrets.push(token);
    world.emulator.fault(fault);
    world.emulator.fault(Fault::vault(Misbehaviour::CutBody).of_secret("cut").with_bearer(true).times(1));
    world
        .emulator
        .fault(Fault::vault(Misbehaviour::SigningKeyUnresolved).of_secret("not-found-key").with_bearer(true).times(1));
    world.emulator.fault(
        Fault::vault(Misbehaviour::Throttle { retry_after: None }).of_secret("throttled").with_bearer(true).times(1),
    );
    world.emulator.fault(Fault::vault(Misbehaviour::HtmlBadGateway).of_secret("page").with_bearer(true).times(1));
    world.emulator.fault(Fault::vault(Misbehaviour::Reset).of_secret("reset").with_bearer(true).times(1));
    // The value where a version belongs.
    let odd = Misbehaviour::Member { at: "/id".to_owned(), value: secrets[secrets.len() - 1].clone().into() };
    world.emulator.fault(Fault::vault(odd).of_secret("odd").with_bearer(true));
    let config = world.config(
        "admin: {listen: 127.0.0.1:0, secretNamesInMetrics: true}
refresh: {interval: 1s, settle: 0s}
secrets:
  good: keyvault:demo/secrets/good
  text: {from: keyvault:demo/secrets/text, property: user}
  nearly: {from: keyvault:demo/secrets/nearly, property: user}
  other-property: {from: keyvault:demo/secrets/other-property, property: user}
  no-base64: {from: keyvault:demo/secrets/no-base64, decode: base64}
  no-hex: {from: keyvault:demo/secrets/no-hex, decode: hex}
  denied: keyvault:demo/secrets/denied
  disabled: keyvault:demo/secrets/disabled
  cut: keyvault:demo/secrets/cut
  throttled: keyvault:demo/secrets/throttled
  not-found-key: keyvault:demo/secrets/not-found-key
  page: keyvault:demo/secrets/page
  reset: keyvault:demo/secrets/reset
  odd: keyvault:demo/secrets/odd
  raw: keyvault:demo/secrets/raw
  b302: keyvault:demo/secrets/b302
  b400: keyvault:demo/secrets/b400
  b401: keyvault:demo/secrets/b401
  b403: keyvault:demo/secrets/b403
  b404: keyvault:demo/secrets/b404
  b500: keyvault:demo/secrets/b500
",
    );
    Troubled { world, config, secrets }
}

/// An access token that is known here, given once.
fn strange_token() -> (String, Fault) {
    let token = format!("eyJ0.{}.cAnAry", percent(&canary("token"), b"", false).replace('%', "_"));
    let edit = Misbehaviour::Member { at: "/access_token".to_owned(), value: token.clone().into() };
    (token, Fault::entra(edit).times(1))
}

const TRACE: [&str; 4] = ["--log-level", "trace", "--log-format", "json"];

/// The binary with everything that could make it or its libraries talk.
fn talkative(world: &World, config: &str, args: &[&str]) -> Command {
    let trace = if args.contains(&"trace") { &[] } else { &TRACE[..] };
    let mut command = world.keyferry(config, &[args, trace].concat());
    command
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "full")
        .env("AZURE_LOG_LEVEL", "trace")
        .env("SSLKEYLOGFILE", "/dev/stderr");
    command
}

#[test]
fn nothing_is_said_by_run_or_seen_of_it() {
    let Troubled { world, config, secrets } = troubled();
    let good = secrets[1].clone();
    let running = Running::start(&mut talkative(&world, &config, &["run"]));
    until_holds(&world.out().join("good"), &good);
    until_holds(&world.out().join("cut"), &secrets[9]);
    // A rotation, a rejected token, a directory that cannot be written to, and one more canary.
    let rotated = canary("rotated");
    world.emulator.put_secret("demo", "good", &rotated);
    world.emulator.revoke_tokens();
    running.signal(Signal::HUP);
    until_holds(&world.out().join("good"), &rotated);
    for file in ["cmdline", "environ", "comm", "status"] {
        let seen = fs::read(format!("/proc/{}/{file}", running.pid())).unwrap();
        assert!(!seen.is_empty(), "{file}");
        assert_absent(file, &seen, &secrets);
    }
    for told in ["unusable content", "ForbiddenByRbac", "SecretDisabled", "bad-answer"] {
        running.wait_for(told, 1);
    }
    // In a wave that has shut the gate for another reason nobody tells of these: whoever comes next gets them too.
    for (misbehaviour, told) in [
        (Misbehaviour::CutBody, "cut-off"),
        (Misbehaviour::Throttle { retry_after: None }, "Throttled"),
        (Misbehaviour::SigningKeyUnresolved, "AKV10046"),
    ] {
        // Lists that fail are told of at another level.
        let fault = Fault::vault(misbehaviour).of_operation(Operation::Get);
        world.emulator.fault(fault.with_bearer(true).times(2));
        running.signal(Signal::HUP);
        running.wait_for(told, 1);
    }
    for path in ["/metrics", "/readyz", "/livez", "/v1/secrets/good"] {
        let (_, said) = admin::get(admin::address(&running), path);
        assert_absent(path, said.as_bytes(), &secrets);
        assert!(!said.is_empty());
    }
    let (code, lines) = running.stop();
    assert_eq!(code, Some(0));
    let log = lines.join("\n");
    assert_absent("the log", log.as_bytes(), &[secrets, vec![rotated]].concat());
}

#[test]
fn nothing_is_said_by_init_and_get() {
    let Troubled { world, config, secrets } = troubled();
    let args = ["init", "--timeout", "4s", "--log-format", "text", "--log-level", "trace"];
    let init = end(&mut talkative(&world, &config, &args));
    assert_eq!(init.code, Some(77), "{init:#?}");
    assert_absent("standard error of init", init.stderr.as_bytes(), &secrets);
    assert!(init.stdout.is_empty());
    for name in ["text", "nearly", "other-property", "no-base64", "no-hex", "denied", "b404"] {
        let get = end(&mut talkative(&world, &config, &["get", name]));
        assert_absent("standard error of get", get.stderr.as_bytes(), &secrets);
        assert_absent("standard output of get", &get.stdout, &secrets);
    }
    let get = end(&mut talkative(&world, &config, &["get", "good"]));
    get.expect(0, &[]);
    assert_eq!(get.stdout, secrets[1].as_bytes());
    assert_absent("standard error of get", get.stderr.as_bytes(), &secrets);
}

#[test]
fn nothing_is_said_by_check() {
    for shape in ["table", "json"] {
        let Troubled { world, config, secrets } = troubled();
        let mut shown = String::new();
        let told = ["http-400", "ForbiddenByRbac", "SecretDisabled", "unusable content", "bad-answer"];
        // First nobody can sign in, then a token is refused; then one secret's trouble may take the connection from others.
        for _ in 0..20 {
            let check = end(&mut talkative(&world, &config, &["check", "-o", shape]));
            assert!(matches!(check.code, Some(65 | 69 | 77)), "{check:#?}");
            assert_absent("standard output of check", &check.stdout, &secrets);
            assert_absent("standard error of check", check.stderr.as_bytes(), &secrets);
            shown += str::from_utf8(&check.stdout).unwrap();
            if told.iter().all(|told| shown.contains(told)) {
                break;
            }
        }
        assert!(told.iter().all(|told| shown.contains(told)), "{shown}");
    }
}

/// A template engine's own messages quote the values that it cannot work with.
#[test]
fn nothing_is_said_of_what_cannot_be_rendered() {
    let world = World::new();
    let secrets = [canary("good"), format!("it's {}", canary("quoted"))];
    world.emulator.put_secret("demo", "good", &secrets[0]);
    world.emulator.put_secret("demo", "quoted", &secrets[1]);
    let failing = [
        "{{ secrets.good + 1 }}",
        "{{ secrets.good - secrets.quoted }}",
        "{{ -secrets.good }}",
        "{{ secrets.good | int }}",
        "{{ secrets.good | round(secrets.good) }}",
        "{{ [1] | map(secrets.good) | list }}",
        "{{ [1] | select(secrets.good) | list }}",
        "{{ range(secrets.good) }}",
        "{{ secrets.good[secrets.quoted] }}",
        "{{ (secrets.good ~ '').upper() }}",
        "{{ secrets.good | upper(x=secrets.good) }}",
        "{% autoescape secrets.good %}{% endautoescape %}",
        "{{ secrets.good ~ secrets.absent }}",
        "{{ secrets.good * 99999999 }}",
    ];
    let template = |(number, text): (usize, &&str)| {
        let text = serde_json::to_string(text).unwrap();
        format!("  - {{dir: {}, destination: t{number}.json, contents: {text}}}\n", world.out().display())
    };
    let templates: String = failing.iter().enumerate().map(template).collect();
    let config = world.config(&format!(
        "refresh: {{interval: 1s, settle: 0s}}
secrets:
  good: keyvault:demo/secrets/good
  quoted: keyvault:demo/secrets/quoted
  absent: {{from: keyvault:demo/secrets/absent, optional: true}}
env: {{QUOTED: {{secret: quoted}}, URL: {{template: \"{{{{ secrets.good }}}}\"}}}}
templates:
{templates}"
    ));
    let config = config.replace("files: {", "files: {envFile: app.env, ");
    let init = end(&mut talkative(&world, &config, &["init"]));
    assert_eq!(init.code, Some(65), "{init:#?}");
    assert_eq!(init.last_words().len(), failing.len() + 1, "{init:#?}");
    assert_absent("standard error of init", init.stderr.as_bytes(), &secrets);
    let check = end(&mut talkative(&world, &config, &["check", "-o", "json"]));
    assert_eq!(check.code, Some(65), "{check:#?}");
    let report: serde_json::Value = serde_json::from_slice(&check.stdout).unwrap();
    let failed = report["checks"].as_array().unwrap().iter().filter(|one| one["result"] == "failed");
    assert_eq!(failed.count(), failing.len() + 1, "{report:#}");
    assert_absent("standard output of check", &check.stdout, &secrets);
    assert_absent("standard error of check", check.stderr.as_bytes(), &secrets);
    let running = Running::start(&mut talkative(&world, &config, &["run"]));
    running.wait_for("cannot be rendered", failing.len() + 1);
    let rotated = canary("rotated");
    world.emulator.put_secret("demo", "quoted", &rotated);
    running.wait_for("app.env is rendered again", 1);
    let (_, lines) = running.stop();
    assert_absent("the log", lines.join("\n").as_bytes(), &[&secrets[..], &[rotated]].concat());
}

#[test]
fn nothing_is_said_when_it_cannot_be_published() {
    let world = World::new();
    // A page holds the small one; the long one does not fit.
    let mount = world.root.path().join("small");
    fs::create_dir(&mount).unwrap();
    if !Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&mount).status().unwrap().success() {
        crate::harness::skip("no tmpfs can be mounted");
        return;
    }
    let _mounted = Mounted(mount.clone());
    let secret = canary("long");
    world.emulator.put_secret("demo", "long", &secret.repeat(2000));
    let config = format!(
        "{}files: {{dir: {}}}\nsecrets: {{long: keyvault:demo/secrets/long}}\n",
        world.preamble(&["demo"]),
        mount.display()
    );
    let init = end(&mut talkative(&world, &config, &["init", "--timeout", "3s"]));
    init.expect(73, &["no space left"]);
    assert_absent("standard error", init.stderr.as_bytes(), &[secret]);
}

struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().unwrap();
    }
}

#[test]
fn a_secret_in_the_place_of_a_reference_is_not_repeated() {
    let world = World::new();
    let secret = canary("pasted");
    let quoted = serde_json::to_string(&secret).unwrap();
    for config in [
        format!("secrets: {{a: {quoted}}}\n"),
        format!("secrets: {{a: {{from: {quoted}}}}}\n"),
        format!("secrets: {{a: {{value: {quoted}}}}}\n"),
        format!("secrets: [{quoted}]\n"),
        format!("secrets: {quoted}\n"),
        quoted.clone(),
    ] {
        let ended = end(&mut talkative(&world, &world.config(&config), &["init"]));
        ended.expect(78, &[]);
        assert_absent("the complaint", ended.stderr.as_bytes(), std::slice::from_ref(&secret));
    }
    let ended = end(&mut talkative(&world, &world.config("secrets: {}\n"), &["get", &secret]));
    ended.expect(64, &[]);
    assert_absent("the complaint", ended.stderr.as_bytes(), &[secret]);
}

/// A world that uid 10001 may live in.
fn open_to_others(world: &World) {
    for path in [world.root.path().to_owned(), world.out()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    for file in [world.token_file(), world.root.path().join("ca.pem")] {
        fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
    }
}

#[test]
fn nobody_but_root_may_look_into_the_process() {
    if !root_or_skip() {
        return;
    }
    let world = World::new();
    open_to_others(&world);
    world.emulator.put_secret("demo", "a", "one");
    // A binary that the other uid can reach, wherever the tests were built.
    let binary = world.root.path().join("keyferry");
    fs::copy(env!("CARGO_BIN_EXE_keyferry"), &binary).unwrap();
    let mut command = Command::new(&binary);
    command.env_clear().arg("run").envs(world.environment()).stderr(Stdio::piped());
    command.env("KEYFERRY_CONFIG_YAML", world.config("secrets: {a: keyvault:demo/secrets/a}\n"));
    let running = Running::start(command.uid(10001).gid(10001));
    until_holds(&world.out().join("a"), "one");
    let proc = format!("/proc/{}", running.pid());
    let status = fs::read_to_string(format!("{proc}/status")).unwrap();
    assert!(status.contains("Uid:\t10001\t10001\t10001\t10001"), "{status}");
    // The kernel gives the entries of a process that is not dumpable to root.
    for entry in ["environ", "mem", "maps", "fd", "cwd", "exe"] {
        let metadata = fs::symlink_metadata(format!("{proc}/{entry}")).unwrap();
        assert_eq!(metadata.uid(), 0, "{entry}");
    }
    let limits = fs::read_to_string(format!("{proc}/limits")).unwrap();
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(cores.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{cores}");
    // Its own uid gets nothing to see either.
    for file in ["environ", "mem", "maps"] {
        let mut command = Command::new("cat");
        let output = command.arg(format!("{proc}/{file}")).uid(10001).gid(10001).output().unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{file}");
    }
    assert_eq!(running.stop().0, Some(0));
}

/// How often each of these is in the memory of a process, and in which mappings.
fn copies(pid: u32, secrets: &[&str]) -> Vec<(usize, Vec<String>)> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut found = vec![(0, Vec::new()); secrets.len()];
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, mode) = (words.next().unwrap(), words.next().unwrap());
        if !mode.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|hex| u64::from_str_radix(hex, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        // A mapping may go away while it is looked at.
        if memory.read_exact_at(&mut bytes, from).is_err() {
            continue;
        }
        for (secret, (copies, places)) in secrets.iter().zip(&mut found) {
            let here = count(&bytes, secret.as_bytes());
            if here > 0 {
                *copies += here;
                places.push(format!("{here} in {}", words.clone().nth(3).unwrap_or("anonymous memory")));
            }
        }
    }
    found
}

#[test]
fn a_value_that_was_rotated_away_leaves_no_copy_in_memory() {
    if !root_or_skip() {
        return;
    }
    at_once(&[true, false], |http2| no_copy_stays(Settings { http2: *http2, ..Settings::default() }));
}

fn no_copy_stays(settings: Settings) {
    let world = World::with(settings);
    let (old, new) = (canary("old"), canary("new"));
    let (token, fault) = strange_token();
    world.emulator.fault(fault);
    let json = |value: &str| serde_json::json!({"password": value}).to_string();
    world.emulator.put_secret("demo", "a", &old);
    world.emulator.put_secret("demo", "b", &json(&old));
    let config = world.config(
        "refresh: {settle: 0s}
secrets: {a: keyvault:demo/secrets/a, b: {from: keyvault:demo/secrets/b, property: password}}
env: {A: {secret: a}}
templates: [{dir: OUT, destination: t.json, contents: '{\"a\": \"{{ secrets.a ~ 1 }}\", \"b\": {{ secrets.b | urlencode | tojson }}}'}]
",
    );
    let config = config.replace("OUT", world.out().to_str().unwrap()).replace("files: {", "files: {envFile: app.env, ");
    let running = world.run(&config);
    until_holds(&world.out().join("b"), &old);
    let assertion = fs::read_to_string(world.token_file()).unwrap();
    world.emulator.put_secret("demo", "a", &new);
    world.emulator.put_secret("demo", "b", &json(&new));
    running.signal(Signal::HUP);
    until_holds(&world.out().join("a"), &new);
    until_holds(&world.out().join("b"), &new);
    // The end of an old value tells it apart from the other canaries, however it was escaped; so with the assertion's
    // signature, which nobody needs once it was exchanged.
    let tail = |text: &str| text.trim()[text.trim().len() - 22..].to_owned();
    let [old, new, signature, token] = [&old, &new, &assertion, &token].map(|text| tail(text));
    let mut last = Vec::new();
    let gone = eventually(Duration::from_secs(30), || {
        last = copies(running.pid(), &[&new, &old, &signature, &token]);
        last[1..].iter().all(|(copies, _)| *copies == 0).then_some(())
    });
    assert!(gone.is_some(), "copies of the new value, the old one, the assertion, the refused token: {last:#?}");
    assert!(last[0].0 >= 2, "the search finds the values that are held: {last:#?}");
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn a_federated_token_is_not_in_the_log() {
    type Spoil = fn(String) -> String;
    let mint = |world: &World, assertion: &Assertion| world.emulator.federated_token(assertion);
    let as_it_is: Spoil = |token| token;
    let cases: &[(&str, Assertion, Spoil)] = &[
        ("AADSTS700024", Assertion { issued_at: -7200, ..Assertion::default() }, as_it_is),
        (
            "AADSTS700213",
            Assertion { subject: "system:serviceaccount:a:b".to_owned(), ..Assertion::default() },
            as_it_is,
        ),
        ("AADSTS700027", Assertion { foreign_key: true, ..Assertion::default() }, as_it_is),
        ("token-file-malformed", Assertion::default(), |token| token + "\u{0}"),
        ("token-file-malformed", Assertion::default(), |token| token.replace('.', " ")),
    ];
    at_once(cases, |(told, assertion, spoil)| {
        let world = World::new();
        world.emulator.put_secret("demo", "a", "one");
        let config = world.config("refresh: {settle: 0s}\nsecrets: {a: keyvault:demo/secrets/a}\n");
        let running = Running::start(&mut talkative(&world, &config, &["run"]));
        until_holds(&world.out().join("a"), "one");
        let good = fs::read_to_string(world.token_file()).unwrap();
        let bad = mint(&world, assertion);
        fs::write(world.token_file(), spoil(bad.clone())).unwrap();
        world.emulator.revoke_tokens();
        running.signal(Signal::HUP);
        running.wait_for(told, 1);
        let (code, lines) = running.stop();
        assert_eq!(code, Some(0));
        for part in good.trim().split('.').chain(bad.split('.')) {
            assert!(!lines.iter().any(|line| line.contains(part)), "{lines:#?}");
        }
        assert_absent("the log", lines.join("\n").as_bytes(), &[good.trim().to_owned(), bad]);
    });
}
