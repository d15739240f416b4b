//! What the loop counts, in paused time.

use std::sync::atomic::Ordering;

use tokio::time::sleep;

use super::stage::{INTERVAL, SETTLE, STALE, Stage, Step, Turn, ear, fails, object, one, seconds, takes};
use crate::agent::*;
use crate::failure::{Blame, Kind};

fn value(stage: &Stage, series: &str) -> String {
    stage.series(series).unwrap_or_else(|| panic!("there is no {series}"))
}

async fn refresh(stage: &Stage) {
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(seconds(0.2)).await;
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_counts_and_is_known_to_fail_until_it_succeeds() {
    let (hook, _) = ear([Turn::Fails("nobody listens")]);
    let steps = vec![Step::Gives("1"), Step::Gives("2")];
    let stage = Stage::with_hooks(vec![one("a.web", steps)], 0, vec![(&["a.web"], hook)]);
    sleep(seconds(10.0)).await;
    assert_eq!(value(&stage, r#"keyferry_hook_failing{kind="http"}"#), "0");
    assert_eq!(stage.series("keyferry_hook_total"), None);
    refresh(&stage).await;
    sleep(SETTLE).await;
    assert_eq!(value(&stage, r#"keyferry_hook_total{kind="http",outcome="error"}"#), "1");
    assert_eq!(value(&stage, r#"keyferry_hook_failing{kind="http"}"#), "1");
    sleep(seconds(120.0)).await;
    assert_eq!(value(&stage, r#"keyferry_hook_total{kind="http",outcome="error"}"#), "1");
    assert_eq!(value(&stage, r#"keyferry_hook_total{kind="http",outcome="ok"}"#), "1");
    assert_eq!(value(&stage, r#"keyferry_hook_failing{kind="http"}"#), "0");
}

#[tokio::test(start_paused = true)]
async fn publishes_count_by_what_they_did() {
    let stage = Stage::begin(vec![one("a.web", [Step::Gives("1")])], 1);
    sleep(seconds(60.0)).await;
    assert_eq!(value(&stage, r#"keyferry_publish_total{outcome="error"}"#), "1");
    assert_eq!(value(&stage, r#"keyferry_publish_total{outcome="ok"}"#), "1");
    assert_eq!(value(&stage, r#"keyferry_generation{dir="/dir"}"#), "1");
    assert_eq!(value(&stage, "keyferry_ready"), "1");
    let attempts = stage.attempts.load(Ordering::SeqCst);
    refresh(&stage).await;
    let looks = stage.attempts.load(Ordering::SeqCst) - attempts;
    assert!(looks > 0, "what is there is looked at after a cycle");
    assert!(stage.series(r#"keyferry_publish_total{outcome="unchanged"}"#).is_some());
    assert_eq!(value(&stage, r#"keyferry_publish_total{outcome="ok"}"#), "1");
}

#[tokio::test(start_paused = true)]
async fn fetches_count_by_what_they_brought_and_how_long_they_took() {
    let denied = takes(seconds(3.0), fails(Blame::Object, Kind::Denied, "ForbiddenByRbac"));
    let stage = Stage::begin(
        vec![one("a.db", [denied]), one("b.web", [takes(seconds(2.0), Step::Gives("1")), Step::Unchanged])],
        0,
    );
    sleep(seconds(3.5)).await;
    assert_eq!(value(&stage, r#"keyferry_fetch_total{source="vault",outcome="ok"}"#), "1");
    assert_eq!(value(&stage, r#"keyferry_fetch_total{source="vault",outcome="denied"}"#), "1");
    assert_eq!(value(&stage, r#"keyferry_fetch_duration_seconds_sum{source="vault"}"#), "5.0");
    assert_eq!(value(&stage, r#"keyferry_secret_failing{secret="a.db",kind="denied"}"#), "1");
    assert_eq!(stage.series(r#"keyferry_secret_failing{secret="b.web""#), None);
    sleep(INTERVAL * 2).await;
    assert!(stage.series(r#"keyferry_fetch_total{source="vault",outcome="unchanged"}"#).is_some());
}

#[tokio::test(start_paused = true)]
async fn the_age_of_a_value_begins_anew_with_the_next_one_only() {
    let steps = vec![Step::Gives("1"), Step::Gives("1"), Step::Gives("2")];
    let stage = Stage::begin(vec![one("a.web", steps)], 0);
    let age = || value(&stage, r#"keyferry_secret_age_seconds{secret="a.web"}"#).parse::<f64>().unwrap();
    sleep(seconds(100.0)).await;
    assert!((99.0..101.0).contains(&age()), "{}", age());
    refresh(&stage).await;
    assert!(age() > 99.0, "it is the same value: {}", age());
    sleep(seconds(10.0)).await;
    refresh(&stage).await;
    assert!(age() < 2.0, "{}", age());
}

#[tokio::test(start_paused = true)]
async fn a_value_that_a_reload_leaves_in_place_grows_older() {
    let dead = fails(Blame::Object, Kind::Missing, "SecretNotFound");
    let stage = Stage::begin(vec![one("a.web", [Step::Gives("1")]), one("a.new", [dead])], 0);
    sleep(seconds(100.0)).await;
    let mut plan = stage.plan.clone();
    let (web, new) = (SecretName::parse("a.web").unwrap(), SecretName::parse("a.new").unwrap());
    let elsewhere = plan.names.remove(&new).unwrap();
    plan.names.insert(web, elsewhere);
    plan.objects.remove(&object("a.web"));
    stage.tell.send(Event::Revised(Box::new(Revised { plan, settle: SETTLE, stale: STALE }))).await.unwrap();
    sleep(seconds(20.0)).await;
    assert_eq!(stage.values(), ["1"]);
    let age: f64 = value(&stage, r#"keyferry_secret_age_seconds{secret="a.web"}"#).parse().unwrap();
    assert!((119.0..121.0).contains(&age), "{age}");
}

#[tokio::test(start_paused = true)]
async fn a_value_that_is_taken_away_has_no_age() {
    let steps = vec![Step::Gives("1"), fails(Blame::Object, Kind::Denied, "ForbiddenByRbac")];
    let stage = Stage::with(vec![one("a.web", steps)], 0, |_| {}, OnRevoked::Remove);
    sleep(INTERVAL * 4).await;
    assert_eq!(value(&stage, r#"keyferry_secret_revoked{secret="a.web"}"#), "1");
    assert_eq!(value(&stage, r#"keyferry_secret_origin{secret="a.web",origin="none"}"#), "1");
    assert_eq!(stage.series("keyferry_secret_age_seconds"), None);
}
