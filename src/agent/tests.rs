//! The loop in paused time.
#![expect(clippy::disallowed_methods, reason = "paused time is asked of the runtime")]

mod hooks;
mod lists;
mod metrics;
mod policy;
mod revise;
mod scenarios;
mod settle;
mod stage;
mod staleness;

use std::sync::atomic::Ordering;

use tokio::time::sleep;

use super::*;
use crate::failure::{Blame, Kind};
use stage::{INTERVAL, SETTLE, Stage, Step, fails, one, seconds, takes, times_out};

#[tokio::test(start_paused = true)]
async fn the_first_whole_waits_for_everyone_once_and_then_shows_what_there_is() {
    let stage = Stage::begin(
        vec![
            one("dead.a", [times_out()]),
            one("well.a", [Step::Gives("1"), Step::Gives("2")]),
            one("well.b", [Step::Gives("b")]),
        ],
        0,
    );
    sleep(seconds(9.9)).await;
    assert_eq!(stage.shown(), []);
    sleep(seconds(0.2)).await;
    assert_eq!(stage.values(), ["1", "b"], "a time limit later at most");
    // From then on the dead one's attempts hold nobody back.
    sleep(INTERVAL + seconds(5.0)).await;
    assert_eq!(stage.values(), ["2", "b"]);
    assert!(stage.asked("dead.a") > 10);
    assert_eq!(stage.lines_with("vault dead.vault.azure.net failed"), 1);
}

#[tokio::test(start_paused = true)]
async fn who_waits_behind_a_shut_gate_has_been_heard_of() {
    // More than are ever in flight: the last fifty are not asked before the gate shuts.
    let dead = (0..150).map(|number| one(&format!("dead.s{number}"), [times_out()]));
    let stage = Stage::begin(dead.chain([one("well.a", [Step::Gives("1")])]).collect(), 0);
    sleep(seconds(12.0)).await;
    assert_eq!(stage.values(), ["1"]);
    let view = stage.view.borrow().clone();
    assert!(view.status.unfetched().all(|(_, status)| status.failure.is_some()), "and the reason is known for each");
    assert_eq!(stage.lines_with("failed"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_has_come_is_known_though_others_hang() {
    let stage = Stage::begin(vec![one("dead.a", [times_out()]), one("well.a", [Step::Gives("1")])], 0);
    sleep(seconds(2.0)).await;
    let view = stage.view.borrow().clone();
    let unfetched: Vec<String> = view.status.unfetched().map(|(name, _)| name.to_string()).collect();
    assert_eq!(unfetched, ["dead.a"]);
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_published_when_it_comes() {
    let slow = takes(seconds(7.0), Step::Gives("late"));
    let dead = fails(Blame::Host, Kind::Outage, "refused");
    let stage = Stage::begin(vec![one("a.a", [dead, slow]), one("b.a", [Step::Gives("1")])], 0);
    sleep(seconds(0.1)).await;
    assert_eq!(stage.values(), ["1"]);
    sleep(seconds(1.2 + 7.0 + 2.1)).await;
    assert_eq!(stage.values(), ["late", "1"]);
    let when = stage.shown()[1].0;
    assert!(when >= seconds(0.8 + 7.0 + 2.0), "a change settles: {when:?}");
    assert_eq!(stage.lines_with("works again"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failing_sink_is_asked_again_and_nothing_is_lost() {
    let stage = Stage::begin(vec![one("a.a", [Step::Gives("1"), Step::Gives("2")])], 4);
    sleep(seconds(0.5)).await;
    stage.tell.send(Event::Refresh).await.unwrap();
    // Tries at 0, 1, 3, 7 and 15 s.
    sleep(seconds(14.0)).await;
    assert_eq!((stage.values().len(), stage.attempts.load(Ordering::SeqCst)), (0, 4));
    assert!(!stage.view.borrow().is_published());
    sleep(seconds(2.0)).await;
    assert_eq!(stage.values(), ["2"], "the newest, not the first");
    assert_eq!(stage.shown().len(), 1);
    assert!(stage.view.borrow().is_published());
    assert_eq!(stage.lines_with("it is full"), 1);
    assert_eq!(stage.lines_with("published generation 1"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_wish_for_freshness_is_granted_at_once() {
    let stage = Stage::begin(vec![one("a.a", [Step::Gives("1"), Step::Gives("2")])], 0);
    sleep(seconds(10.0)).await;
    assert_eq!(stage.asked("a.a"), 1);
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(seconds(0.01)).await;
    assert_eq!(stage.asked("a.a"), 2);
    sleep(SETTLE).await;
    assert_eq!(stage.values(), ["2"]);
}

#[tokio::test(start_paused = true)]
async fn two_changes_of_one_moment_are_one_generation() {
    let late = takes(seconds(1.5), Step::Gives("b2"));
    let stage = Stage::begin(
        vec![one("a.a", [Step::Gives("a1"), Step::Gives("a2")]), one("a.b", [Step::Gives("b1"), late])],
        0,
    );
    sleep(seconds(1.0)).await;
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(seconds(3.0)).await;
    let shown: Vec<Vec<String>> = stage.shown().into_iter().map(|(_, values)| values.into_values().collect()).collect();
    assert_eq!(shown, [["a1", "b1"], ["a2", "b2"]]);
}

#[tokio::test(start_paused = true)]
async fn the_end_publishes_what_settles_and_waits_for_nobody() {
    let stage = Stage::begin(
        vec![one("a.a", [Step::Gives("1"), Step::Gives("2")]), one("b.a", [Step::Gives("b"), times_out()])],
        0,
    );
    sleep(seconds(1.0)).await;
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(seconds(0.5)).await;
    assert_eq!(stage.values(), ["1", "b"], "it settles");
    let shown = stage.stop().await;
    let last: Vec<String> = shown.lock().unwrap().last().unwrap().1.values().cloned().collect();
    assert_eq!(last, ["2", "b"]);
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_nobody_can_tell_it_anything_any_more() {
    let Stage { tell, task, .. } = Stage::begin(vec![one("a.a", [times_out()])], 0);
    sleep(seconds(1.0)).await;
    drop(tell);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_trouble_is_one_line_and_its_end_is_one_line() {
    let denied = || fails(Blame::Object, Kind::Denied, "ForbiddenByRbac");
    let missing = || fails(Blame::Object, Kind::Missing, "SecretNotFound");
    let stage = Stage::begin(
        vec![
            one("a.a", [denied(), denied(), denied(), missing(), missing(), Step::Gives("1")]),
            one("a.b", [Step::Gives("2")]),
        ],
        0,
    );
    sleep(Duration::from_mins(10)).await;
    assert_eq!(stage.values(), ["1", "2"]);
    assert_eq!(stage.lines_with("secret a.a (keyvault:https://a.vault.azure.net/secrets/a) cannot be fetched"), 2);
    assert_eq!(stage.lines_with("secret a.a is fetched again"), 1);
    assert_eq!(stage.lines_with("secret a.b"), 0, "nothing was wrong with it: {:?}", stage.lines);
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_fifty_is_one_line_and_its_end_is_one_line() {
    let steps = || [Step::Gives("1"), fails(Blame::Host, Kind::Outage, "refused"), Step::Gives("1")];
    let stage = Stage::begin((0..50).map(|number| one(&format!("a.s{number}"), steps())).collect(), 0);
    sleep(seconds(1.0)).await;
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(Duration::from_mins(2)).await;
    assert_eq!(stage.lines_with("failed"), 1);
    assert_eq!(stage.lines_with("works again"), 1);
    assert_eq!(stage.shown().len(), 1, "nothing has changed");
}

#[tokio::test(start_paused = true)]
async fn half_an_outage_is_not_a_line_per_answer() {
    // Every other one of a wave is refused; those that went through with it are no proof that it is over.
    let scripts = (0..50).map(|number| {
        let refused = takes(seconds(0.01 * f64::from(number)), fails(Blame::Host, Kind::Outage, "http-503"));
        let answered = takes(seconds(0.01 * f64::from(number)), Step::Gives("1"));
        let second = if number % 2 == 0 { refused } else { answered };
        one(&format!("a.s{number}"), [Step::Gives("1"), second, Step::Gives("1")])
    });
    let stage = Stage::begin(scripts.collect(), 0);
    sleep(seconds(1.0)).await;
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(Duration::from_mins(1)).await;
    assert_eq!(stage.lines_with("failed"), 1, "{:?}", stage.lines);
    assert_eq!(stage.lines_with("works again"), 1);
}

#[tokio::test(start_paused = true)]
async fn one_secret_that_the_vault_fails_on_holds_the_others_back_for_moments_only() {
    let sick = fails(Blame::Host, Kind::Outage, "http-500");
    let stage = Stage::begin(
        vec![one("a.sick", [sick]), one("a.well", [Step::Gives("1"), Step::Gives("2"), Step::Gives("3")])],
        0,
    );
    // By now the sick one is tried once a minute only.
    sleep(seconds(250.0)).await;
    let tried = stage.asked("a.sick");
    assert!((7..=12).contains(&tried), "{tried}");
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(seconds(1.3)).await;
    assert_eq!(stage.asked("a.well"), 2, "nobody else has ever failed there");
    sleep(seconds(0.1 + 30.0)).await;
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(seconds(1.3)).await;
    assert_eq!(stage.asked("a.well"), 3);
}
