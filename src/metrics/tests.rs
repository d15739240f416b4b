use std::collections::BTreeMap;

use super::*;
use crate::config::{Settings, Stale, load};
use crate::failure::{Blame, Code, Failure};
use crate::plan::plan;
use crate::ports::HookError;
use crate::status::{Origin, Status};

const SECONDS: u64 = 1_700_000_000;

fn at(seconds: u64) -> UnixTime {
    UnixTime::from_seconds(seconds).unwrap()
}

/// Of everything something: two secrets, one of which fails, in a directory with a name that needs care.
fn view() -> View {
    let text = "identity: {azureCli: {}}\nvaults: {main: {url: https://contoso.vault.azure.net}}\n\
                files: {dir: /run/keyferry}\nsecrets:\n  db-password: keyvault:main/secrets/db\n  \
                api-key: keyvault:main/secrets/api\n";
    let environment = BTreeMap::new();
    let (name, text) = ("test".to_owned(), text.to_owned());
    let read = |_: &std::path::Path| Err(String::new());
    let config = load(&Settings { name, text, environment: &environment, allow_custom_cloud: false, read }).unwrap();
    let stale = Stale { after: Duration::from_hours(24), fail_readiness: true };
    let sinks = std::iter::once("/run/\"odd\\dir\n".to_owned());
    let hooks = [("SIGHUP to nginx", "signal"), ("POST a", "http"), ("POST b", "http")];
    let hooks = hooks.into_iter().map(|(name, kind)| (name.to_owned(), kind));
    let mut status = Status::new(&plan(&config), sinks, hooks, (at(SECONDS), stale));
    for (name, status) in &mut status.names {
        status.origin = Origin::Fetched;
        (status.changed, status.checked, status.expires) =
            (Some(at(SECONDS)), Some(at(SECONDS)), Some(at(SECONDS * 2)));
        if name.as_str() == "api-key" {
            status.failure = Some(Failure::new(Blame::Object, Kind::Denied, Code::new("ForbiddenByRbac")));
            status.revoked = true;
        }
    }
    for sink in status.sinks.values_mut() {
        sink.generation = Some(7);
    }
    status.hooks[1].failure = Some(HookError::new("nobody listens", "start it"));
    View { snapshot: None, status: Arc::new(status) }
}

fn counted(salt: u8) -> Metrics {
    let metrics = Metrics::new([salt; 16]);
    metrics.fetched(Asked::List, Brought::Trouble(Kind::Throttled), Duration::from_millis(30));
    metrics.requested(Service::Vault, Some(429));
    metrics.requested(Service::ManagedIdentity, None);
    metrics.published(Shown::Changed);
    metrics.told("signal", true);
    metrics.answered("/readyz", 503);
    metrics
}

fn told(metrics: &Metrics, secret_names: bool) -> String {
    metrics.exposition(&view(), secret_names, at(SECONDS + 60)).unwrap()
}

#[test]
fn every_family_is_there_once_and_the_text_has_an_end() {
    let text = told(&counted(1), false);
    let counters = ["fetch", "upstream_requests", "publish", "hook", "endpoint_requests"].map(|name| (name, "counter"));
    let gauges = [
        "secret_age_seconds",
        "secret_expires_timestamp_seconds",
        "secret_last_success_timestamp_seconds",
        "secret_stale",
        "secret_revoked",
        "secret_failing",
        "secret_origin",
        "generation",
        "hook_failing",
        "ready",
    ];
    let others = [("build", "info"), ("fetch_duration_seconds", "histogram")];
    let gauges = gauges.map(|name| (name, "gauge"));
    let families: Vec<_> = counters.into_iter().chain(gauges).chain(others).collect();
    for (name, kind) in &families {
        let count = |begin: String| text.lines().filter(|line| line.starts_with(&begin)).count();
        assert_eq!(count(format!("# HELP keyferry_{name} ")), 1, "{name} in {text}");
        assert_eq!(count(format!("# TYPE keyferry_{name} {kind}")), 1, "{name} in {text}");
    }
    assert_eq!(text.matches("# TYPE ").count(), families.len(), "{text}");
    assert!(text.ends_with("\n# EOF\n"), "{text}");
}

#[test]
fn what_was_counted_and_what_is_known_are_told() {
    let text = told(&counted(1), true);
    for line in [
        concat!("keyferry_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        r#"keyferry_fetch_total{source="list",outcome="throttled"} 1"#,
        r#"keyferry_fetch_duration_seconds_bucket{le="0.025",source="list"} 0"#,
        r#"keyferry_fetch_duration_seconds_bucket{le="0.05",source="list"} 1"#,
        r#"keyferry_upstream_requests_total{service="vault",code="429"} 1"#,
        r#"keyferry_upstream_requests_total{service="managed_identity",code="error"} 1"#,
        r#"keyferry_publish_total{outcome="ok"} 1"#,
        r#"keyferry_hook_total{kind="signal",outcome="ok"} 1"#,
        r#"keyferry_endpoint_requests_total{route="/readyz",code="503"} 1"#,
        r#"keyferry_secret_age_seconds{secret="db-password"} 60.0"#,
        r#"keyferry_secret_expires_timestamp_seconds{secret="db-password"} 3400000000.0"#,
        r#"keyferry_secret_last_success_timestamp_seconds{secret="db-password"} 1700000000.0"#,
        r#"keyferry_secret_stale{secret="db-password"} 0"#,
        r#"keyferry_secret_revoked{secret="api-key"} 1"#,
        r#"keyferry_secret_failing{secret="api-key",kind="denied"} 1"#,
        r#"keyferry_secret_origin{secret="db-password",origin="primary"} 1"#,
        r#"keyferry_generation{dir="/run/\"odd\\dir\n"} 7"#,
        r#"keyferry_hook_failing{kind="http"} 1"#,
        r#"keyferry_hook_failing{kind="signal"} 0"#,
        "keyferry_ready 0",
    ] {
        assert!(text.lines().any(|told| told == line), "no {line} in {text}");
    }
    assert!(!text.contains(r#"keyferry_secret_failing{secret="db-password""#), "{text}");
    let late = counted(1).exposition(&view(), true, at(SECONDS + 100_000)).unwrap();
    assert!(late.contains(r#"keyferry_secret_stale{secret="db-password"} 1"#), "{late}");
}

#[test]
fn a_secret_is_named_only_where_that_was_asked_for_and_its_vault_never() {
    let metrics = counted(1);
    let (hidden, named) = (told(&metrics, false), told(&metrics, true));
    for text in [&hidden, &named] {
        for piece in ["contoso", "vault.azure.net", "keyvault:", "secrets/", "ForbiddenByRbac", "nginx", "listens"] {
            assert!(!text.contains(piece), "{piece} in {text}");
        }
    }
    for name in ["db-password", "api-key"] {
        assert!(named.contains(name) && !hidden.contains(name), "{hidden}");
    }
    assert!(!format!("{metrics:?}").contains("salt"));
}

/// The secrets' labels.
fn labels(text: &str) -> Vec<&str> {
    let line = |line: &'_ str| line.strip_prefix("keyferry_secret_stale{secret=\"").is_some();
    text.lines().filter(|told| line(told)).filter_map(|line| line.split('"').nth(1)).collect()
}

#[test]
fn a_digest_is_the_same_within_one_run_and_another_in_the_next() {
    let metrics = counted(1);
    let (first, again, next) = (told(&metrics, false), told(&metrics.clone(), false), told(&counted(2), false));
    let first = labels(&first);
    assert_eq!(first.len(), 2);
    assert_ne!(first[0], first[1]);
    assert!(first.iter().all(|label| label.len() == 12 && label.bytes().all(|byte| byte.is_ascii_hexdigit())));
    assert_eq!(first, labels(&again));
    assert!(labels(&next).iter().all(|label| !first.contains(label)), "{next}");
}

#[test]
fn what_is_optional_and_not_there_is_no_failure() {
    let mut view = view();
    let mut status = Status::clone(&view.status);
    status.names.values_mut().find(|name| name.failure.is_some()).unwrap().origin = Origin::Absent;
    let said = |kind, status: &mut Status, view: &mut View| {
        let gone = status.names.values_mut().find(|name| name.origin == Origin::Absent).unwrap();
        gone.failure = Some(Failure::new(Blame::Object, kind, Code::new("SecretNotFound")));
        view.status = Arc::new(status.clone());
        Metrics::new([1; 16]).exposition(view, true, at(SECONDS)).unwrap()
    };
    for kind in [Kind::Missing, Kind::Disabled] {
        assert!(!said(kind, &mut status, &mut view).contains("keyferry_secret_failing{"));
    }
    let outage = said(Kind::Outage, &mut status, &mut view);
    assert!(outage.contains(r#"keyferry_secret_failing{secret="api-key",kind="outage"} 1"#), "{outage}");
}
