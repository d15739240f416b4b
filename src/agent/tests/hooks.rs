//! Hooks in paused time: when they are run, with what, and whom their trouble holds back, which is nobody.

use std::sync::atomic::Ordering;

use tokio::time::sleep;

use super::stage::{Heard, INTERVAL, SETTLE, Stage, Step, Turn, ear, fails, one, seconds, takes};
use crate::agent::*;
use crate::failure::{Blame, Kind};

fn gives(values: &[&'static str]) -> Vec<Step> {
    values.iter().map(|value| Step::Gives(value)).collect()
}

/// What was heard: when, of which whole, of whom.
fn heard(heard: &Heard) -> Vec<(Duration, u64, Vec<String>)> {
    let heard = heard.lock().unwrap();
    let names = |names: &std::collections::BTreeSet<SecretName>| names.iter().map(ToString::to_string).collect();
    heard.iter().map(|(when, change)| (*when, change.generation.0, names(&change.names))).collect()
}

fn told(ear: &Heard) -> Vec<(u64, Vec<String>)> {
    heard(ear).into_iter().map(|(_, generation, names)| (generation, names)).collect()
}

async fn refresh(stage: &Stage) {
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(seconds(0.01)).await;
}

#[tokio::test(start_paused = true)]
async fn a_hook_is_run_once_for_each_change_of_its_secrets_and_never_for_the_first() {
    let (web, heard_by_web) = ear([]);
    let (all, heard_by_all) = ear([]);
    let stage = Stage::with_hooks(
        vec![one("a.web", gives(&["1", "1", "2"])), one("a.db", gives(&["1", "2"]))],
        0,
        vec![(&["a.web"], web), (&["a.db", "a.web"], all)],
    );
    sleep(seconds(60.0)).await;
    assert_eq!((told(&heard_by_web), told(&heard_by_all)), (vec![], vec![]), "the first is no change");
    refresh(&stage).await;
    assert_eq!(told(&heard_by_all), [], "nobody can see it yet");
    sleep(SETTLE).await;
    assert_eq!(told(&heard_by_all), [(2, vec!["a.db".to_owned()])]);
    assert_eq!(told(&heard_by_web), []);
    refresh(&stage).await;
    sleep(SETTLE).await;
    assert_eq!(told(&heard_by_all)[1], (3, vec!["a.web".to_owned()]));
    assert_eq!(told(&heard_by_web), [(3, vec!["a.web".to_owned()])]);
    sleep(INTERVAL * 4).await;
    assert_eq!((told(&heard_by_web).len(), told(&heard_by_all).len()), (1, 2), "nothing has changed since");
    let view = stage.view.borrow().clone();
    let status: Vec<_> = view.status.hooks.iter().map(|hook| hook.told.map(|told| told.0)).collect();
    assert_eq!(status, [Some(3), Some(3)]);
    assert_eq!(stage.lines_with("hook done: the ear; changed: a.web"), 2);
    stage.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_is_told_of_once_and_works_again() {
    let (hook, heard_by_ear) = ear([Turn::Fails("no such process"), Turn::Fails("no such process")]);
    let (well, heard_by_well) = ear([]);
    let stage = Stage::with_hooks(vec![one("a.a", gives(&["1", "2"]))], 0, vec![(&["a.a"], hook), (&["a.a"], well)]);
    sleep(seconds(1.0)).await;
    refresh(&stage).await;
    sleep(SETTLE).await;
    assert_eq!((told(&heard_by_ear).len(), told(&heard_by_well).len()), (1, 1), "nobody waits for another");
    sleep(seconds(0.5)).await;
    let failure = stage.view.borrow().status.hooks[0].failure.clone().unwrap();
    assert_eq!(failure.to_string(), "no such process; mend it");
    sleep(seconds(10.0)).await;
    let times: Vec<f64> = heard(&heard_by_ear).iter().map(|(when, ..)| when.as_secs_f64()).collect();
    assert_eq!(times.len(), 3);
    assert!((times[1] - times[0] - 1.0).abs() < 0.1 && (times[2] - times[1] - 2.0).abs() < 0.1, "{times:?}");
    assert_eq!(told(&heard_by_well).len(), 1);
    assert_eq!(stage.lines_with("hook failed: the ear: no such process; mend it; trying again"), 1);
    assert_eq!(stage.lines_with("hook works again: the ear; changed: a.a"), 1);
    let hook = stage.view.borrow().status.hooks[0].clone();
    assert_eq!((hook.told.map(|told| told.0), hook.failure), (Some(2), None));
    stage.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_newer_change_takes_along_what_could_not_be_told() {
    let (hook, heard_by_ear) = ear([Turn::Fails("x"), Turn::Fails("x"), Turn::Fails("x")]);
    let stage = Stage::with_hooks(
        vec![one("a.a", gives(&["1", "2"])), one("a.b", gives(&["1", "1", "2"]))],
        0,
        vec![(&["a.a", "a.b"], hook)],
    );
    sleep(seconds(1.0)).await;
    refresh(&stage).await;
    sleep(SETTLE + seconds(4.0)).await;
    refresh(&stage).await;
    sleep(SETTLE).await;
    let told = told(&heard_by_ear);
    assert_eq!(told.last(), Some(&(3, vec!["a.a".to_owned(), "a.b".to_owned()])));
    assert_eq!(told.len(), 4, "{told:?}");
    stage.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_publish_that_fails_delays_the_hook() {
    let (hook, heard_by_ear) = ear([]);
    let stage = Stage::with_hooks(vec![one("a.a", gives(&["1", "2"]))], 0, vec![(&["a.a"], hook)]);
    sleep(seconds(1.0)).await;
    assert_eq!(stage.values(), ["1"]);
    stage.failing.store(2, Ordering::SeqCst);
    refresh(&stage).await;
    sleep(SETTLE + seconds(2.9)).await;
    assert_eq!((stage.values(), told(&heard_by_ear)), (vec!["1".to_owned()], vec![]), "after two attempts");
    sleep(seconds(0.2)).await;
    assert_eq!((stage.values(), told(&heard_by_ear).len()), (vec!["2".to_owned()], 1));
    stage.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_hangs_holds_nobody_back_and_is_given_up() {
    let (deaf, heard_by_deaf) = ear([Turn::Takes(Duration::from_hours(1))]);
    let (well, heard_by_well) = ear([]);
    let stage = Stage::with_hooks(
        vec![one("a.a", gives(&["1", "2", "3"])), one("b.slow", [takes(seconds(3.0), Step::Gives("b"))])],
        0,
        vec![(&["a.a"], deaf), (&["a.a"], well)],
    );
    sleep(seconds(4.0)).await;
    refresh(&stage).await;
    sleep(SETTLE).await;
    refresh(&stage).await;
    sleep(SETTLE).await;
    assert_eq!(stage.values(), ["3", "b"], "publishing goes on");
    assert_eq!((told(&heard_by_deaf).len(), told(&heard_by_well).len()), (1, 2), "not twice at a time");
    sleep(seconds(10.0)).await;
    assert_eq!(stage.lines_with("it took longer than 10 seconds"), 1);
    assert_eq!(told(&heard_by_deaf).last(), Some(&(3, vec!["a.a".to_owned()])));
    assert_eq!(told(&heard_by_deaf).len(), 2, "the newer one has taken its place");
    stage.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_no_hook_and_runs_none() {
    let (deaf, heard_by_deaf) = ear([Turn::Takes(Duration::from_hours(1))]);
    let stage = Stage::with_hooks(vec![one("a.a", gives(&["1", "2", "3"]))], 0, vec![(&["a.a"], deaf)]);
    sleep(seconds(1.0)).await;
    refresh(&stage).await;
    sleep(SETTLE).await;
    refresh(&stage).await;
    // Its time is measured.
    let shown = stage.stop().await;
    assert_eq!(shown.lock().unwrap().len(), 3, "what settles is published");
    assert_eq!(told(&heard_by_deaf).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_comes_late_is_a_change_and_one_that_cannot_be_fetched_is_none() {
    let (hook, heard_by_ear) = ear([]);
    let missing = fails(Blame::Object, Kind::Missing, "SecretNotFound");
    let stage = Stage::with_hooks(
        vec![one("a.late", [missing.clone(), Step::Gives("1"), missing]), one("a.well", gives(&["1"]))],
        0,
        vec![(&["a.late", "a.well"], hook)],
    );
    sleep(INTERVAL).await;
    assert_eq!(told(&heard_by_ear), [(2, vec!["a.late".to_owned()])]);
    sleep(INTERVAL * 3).await;
    assert_eq!(told(&heard_by_ear).len(), 1, "its last good value stays");
    stage.stop().await;
}

#[tokio::test(start_paused = true)]
async fn while_nothing_is_to_be_told_nobody_wakes_up() {
    let (hook, heard_by_ear) = ear([]);
    let (failing, _) = ear([Turn::Fails("x"); 4]);
    let all: &[&str] = &["a.a"];
    let stage = Stage::with_hooks(vec![one("a.a", gives(&["1", "2"]))], 0, vec![(all, hook), (all, failing)]);
    sleep(seconds(1.0)).await;
    refresh(&stage).await;
    sleep(seconds(30.0)).await;
    assert_eq!(told(&heard_by_ear).len(), 1);
    let before = stage.looks.load(Ordering::SeqCst);
    sleep(INTERVAL / 4).await;
    let looks = stage.looks.load(Ordering::SeqCst) - before;
    assert!(looks < 12, "one cycle at most: {looks}");
    stage.stop().await;
}
