//! What is in `deploy/monitoring` speaks of what is there: every metric, label and value that a rule or a panel looks for
//! is in what a running agent says. Whether rules fire when they should is for promtool to say (`.ci/promtool`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use keyferry_emulator::{DEFAULT_CLIENT, Fault, Misbehaviour, Permission, Refusal, SecretSpec};
use saphyr_parser::Parser;
use serde_json::Value;

use crate::admin::{address, get};
use crate::harness::{Running, SOON, World, binary, end, eventually};

/// What Prometheus knows of whom it scrapes, by either sample of how to.
const OF_TARGETS: [&str; 5] = ["namespace", "pod", "container", "job", "instance"];

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/monitoring").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The series of an exposition: name, and labels with their values.
type Series = (String, BTreeMap<String, String>);

/// Label matchers, or the labels of a series: `a="b",c=~"d"`.
fn labels(text: &str) -> BTreeMap<String, String> {
    let (mut found, mut rest) = (BTreeMap::new(), text);
    while let Some((name, quoted)) = rest.split_once('"') {
        let (value, after) = quoted.split_once('"').unwrap();
        found.insert(name.trim_matches([',', ' ', '=', '!', '~']).to_owned(), value.to_owned());
        rest = after;
    }
    found
}

/// Every `keyferry_…` of a text, with what stands in braces behind it.
fn series(text: &str) -> Vec<Series> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (at, _) in text.match_indices("keyferry_") {
        if text[..at].ends_with(is_name) {
            continue;
        }
        let name: String = text[at..].chars().take_while(|c| is_name(*c)).collect();
        let behind = &text[at + name.len()..];
        let inside = behind.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(inside, _)| inside);
        found.push((name, labels(inside)));
    }
    found
}

/// The labels that an expression or a text names outside of braces: `by (…)`, `$labels.…`, `{{…}}` of a legend.
fn named_labels(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for begin in ["by (", "without (", "ignoring ("] {
        for piece in text.split(begin).skip(1) {
            found.extend(piece.split(')').next().unwrap().split(',').map(|label| label.trim().to_owned()));
        }
    }
    for piece in text.split("$labels.").skip(1) {
        found.insert(piece.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect());
    }
    found
}

/// What the dashboard asks Prometheus, and how it calls what comes.
fn asked(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if name == "expr" || name == "query" => found.push(text.clone()),
                    Value::String(text) if name == "legendFormat" => {
                        let labels = text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}"));
                        found.extend(labels.map(|(label, _)| format!("$labels.{label}")));
                    }
                    value => asked(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| asked(value, found)),
        _ => {}
    }
}

/// An agent of which everything that is ever counted has happened, and what it says.
fn everything_happened(world: &World) -> (Running, String) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let ends = i64::try_from(now + 86_400).unwrap();
    world.emulator.put_secret("demo", "db", "value");
    world.emulator.put_secret("demo", "denied", "value");
    world.emulator.put_secret_with("demo", SecretSpec { exp: Some(ends), ..SecretSpec::new("tls", "value") });
    world.emulator.deny(DEFAULT_CLIENT, "demo", Permission::Get, Some("denied"), Refusal::ForbiddenByRbac);
    let throttle = Misbehaviour::Throttle { retry_after: Some("1".to_owned()) };
    world.emulator.fault(Fault { remaining: Some(1), secret: Some("tls".to_owned()), ..Fault::vault(throttle) });
    let readme = file("README.md");
    let admin = readme.split('`').find(|code| code.starts_with("admin: ")).unwrap().replace("8211", "0");
    let other = world.root.path().join("other");
    fs::create_dir(&other).unwrap();
    let running = world.run(&format!(
        "{}{admin}\nfiles: [{{dir: {}}}, {{dir: {}}}]\nonChange: [{{http: {{url: \"http://127.0.0.1:9/reload\"}}}}]\n\
         refresh: {{settle: 0s}}\nsecrets:\n  db: keyvault:demo/secrets/db\n  tls: keyvault:demo/secrets/tls\n  \
         denied: {{from: keyvault:demo/secrets/denied, optional: true}}\n",
        world.preamble(&["demo"]),
        world.out().display(),
        other.display()
    ));
    let address = ([127, 0, 0, 1], address(&running).port()).into();
    let said = |piece: &str| {
        let metrics = || Some(get(address, "/metrics").1).filter(|metrics| metrics.contains(piece));
        eventually(SOON, metrics).unwrap_or_else(|| panic!("no {piece} in {}", get(address, "/metrics").1))
    };
    said("keyferry_secret_expires_timestamp_seconds{");
    said("keyferry_publish_total{outcome=\"ok\"}");
    fs::remove_dir_all(&other).unwrap();
    fs::write(&other, "in the way").unwrap();
    world.emulator.put_secret("demo", "db", "value-2");
    running.signal(rustix::process::Signal::HUP);
    said("keyferry_publish_total{outcome=\"error\"}");
    said("keyferry_hook_total{kind=\"http\",outcome=\"error\"}");
    let metrics = said("keyferry_upstream_requests_total{service=\"vault\",code=\"429\"}");
    (running, metrics)
}

#[test]
fn rules_and_panels_look_for_what_is_there() {
    let world = World::new();
    let (running, metrics) = everything_happened(&world);
    let told: Vec<Series> = metrics
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| series(line).into_iter().take(1))
        .collect();
    let known: BTreeSet<&str> =
        told.iter().flat_map(|(_, labels)| labels.keys().map(String::as_str)).chain(OF_TARGETS).collect();
    let dashboard: Value = serde_json::from_str(&file("keyferry.json")).unwrap();
    let mut texts = Vec::new();
    asked(&dashboard, &mut texts);
    let shown = texts.join("\n");
    assert!(texts.len() > 25, "{texts:?}");
    for (place, text) in [("alerts.yaml", file("alerts.yaml")), ("keyferry.json", shown.clone())] {
        let wanted = series(&text);
        assert!(wanted.len() > 10, "{place}: {wanted:?}");
        for (name, matchers) in wanted {
            let of_name: Vec<_> = told.iter().filter(|(told, _)| *told == name).collect();
            assert!(!of_name.is_empty(), "{place}: no {name} in {metrics}");
            for (label, value) in matchers {
                if OF_TARGETS.contains(&label.as_str()) {
                    continue;
                }
                let values: BTreeSet<&str> =
                    of_name.iter().filter_map(|(_, labels)| labels.get(&label)).map(String::as_str).collect();
                // Of alternatives, one that did happen.
                let is_there = value.split('|').any(|value| values.contains(value));
                assert!(is_there, "{place}: {name} is never told with {label} {value}, but with {values:?}");
            }
        }
        for label in named_labels(&text) {
            assert!(known.contains(label.as_str()), "{place}: no label {label} in {metrics}");
        }
    }
    for (name, _) in &told {
        let name = name.trim_end_matches("_count").trim_end_matches("_sum");
        assert!(shown.contains(name), "no panel shows {name}");
    }
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn the_operator_is_given_the_same_rules() {
    let (rules, resource) = (file("alerts.yaml"), file("prometheusrule.yaml"));
    let (_, spec) = resource.split_once("\nspec:\n").unwrap();
    let spec: String =
        spec.lines().map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or_else(|| panic!("{line}")))).collect();
    assert_eq!(spec, rules[rules.find("groups:").unwrap()..]);
    for name in ["alerts.yaml", "prometheusrule.yaml", "podmonitor.yaml", "scrape.yaml"] {
        let text = file(name);
        assert!(Parser::new_from_str(&text).all(|event| event.is_ok()), "{name} is no YAML");
    }
}

#[test]
fn every_alert_is_explained_and_tested_both_ways() {
    let (rules, readme) = (file("alerts.yaml"), file("README.md"));
    let tests = format!("{}{}", file("tests/secrets.yaml"), file("tests/agent.yaml"));
    let mut alerts = 0;
    for rule in rules.split("- alert: ").skip(1) {
        let name = rule.lines().next().unwrap();
        let severity = rule.split("{severity: ").nth(1).and_then(|rest| rest.split('}').next()).unwrap();
        assert!(readme.contains(&format!("| `{name}` | {severity} |")), "{name} is not in README");
        assert!(tests.contains(&format!("- {{alertname: {name}, ")), "{name} never keeps quiet");
        assert!(tests.contains(&format!("- alertname: {name}\n")), "{name} never fires");
        assert!(rule.contains(" for: ") && rule.contains(" summary: ") && rule.contains(" description: "), "{name}");
        alerts += 1;
    }
    assert_eq!(readme.matches("| `Keyferry").count(), alerts, "README has others");
    let help = String::from_utf8(end(&mut binary(&["--help"])).stdout).unwrap();
    let commands: Vec<&str> = rules.split(" -- keyferry ").skip(1).filter_map(|rest| rest.lines().next()).collect();
    assert!(!commands.is_empty());
    for command in commands {
        assert!(help.contains(&format!("\n  {command} ")), "no command {command} in {help}");
    }
}
