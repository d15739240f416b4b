//! What becomes of a secret that cannot be had: every kind of trouble, for whom, and when. README has the same table.

use tokio::time::sleep;

use super::stage::{INTERVAL, Stage, Step, fails, one, seconds};
use crate::agent::*;
use crate::config::OnRevoked;
use crate::extract::Expect;
use crate::failure::{Blame, Kind};
use crate::status::Origin;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Who {
    Required,
    Optional,
    Standby,
}

const EVERYBODY: [Who; 3] = [Who::Required, Who::Optional, Who::Standby];

/// The troubles, by the names that the documentation gives them.
fn troubles() -> Vec<(&'static str, Step)> {
    vec![
        ("missing", fails(Blame::Object, Kind::Missing, "SecretNotFound")),
        ("disabled", fails(Blame::Object, Kind::Disabled, "SecretDisabled")),
        ("denied", fails(Blame::Object, Kind::Denied, "ForbiddenByRbac")),
        ("throttled", fails(Blame::Host, Kind::Throttled, "Throttled")),
        ("outage", fails(Blame::Host, Kind::Outage, "timeout")),
        ("expired", Step::GivesExpired("expired")),
        // Nothing at all, where something is expected.
        ("bad content", Step::Gives("")),
    ]
}

/// One secret, whose standby is well.
fn stage(who: Who, steps: Vec<Step>, standby: Step, on_revoked: OnRevoked) -> Stage {
    let standby_of = super::stage::object("standby.a");
    Stage::with(
        vec![one("main.a", steps), one("standby.a", [standby])],
        0,
        |plan| {
            let (standby, name) = (SecretName::parse("standby.a").unwrap(), SecretName::parse("main.a").unwrap());
            plan.names.remove(&standby);
            plan.standbys.insert(standby_of.clone());
            let wanted = plan.names.get_mut(&name).unwrap();
            wanted.required = who != Who::Optional;
            wanted.standby = (who == Who::Standby).then_some(standby_of);
            wanted.cut.expect = Some(Expect::NonEmpty);
        },
        on_revoked,
    )
}

fn origin(stage: &Stage) -> Origin {
    stage.view.borrow().status.names[&SecretName::parse("main.a").unwrap()].origin
}

#[tokio::test(start_paused = true)]
async fn on_the_first_fetch() {
    for (trouble, step) in troubles() {
        for who in EVERYBODY {
            let stage = stage(who, vec![step.clone()], Step::Gives("standby"), OnRevoked::Remove);
            sleep(seconds(3.0)).await;
            let (value, from) = match (trouble, who) {
                ("missing" | "disabled", Who::Optional) => (None, Origin::Absent),
                ("throttled" | "outage", Who::Standby) => (Some("standby"), Origin::Standby),
                ("expired", _) => (Some("expired"), Origin::Fetched),
                _ => (None, Origin::None),
            };
            let cell = format!("{trouble}, {who:?}");
            assert_eq!(stage.values(), Vec::from_iter(value.map(str::to_owned)), "{cell}");
            assert_eq!(origin(&stage), from, "{cell}");
            assert_eq!(stage.asked("standby.a"), usize::from(from == Origin::Standby), "{cell}");
            assert_eq!(stage.lines_with("has expired"), usize::from(trouble == "expired"), "{cell}");
            // What is optional and not there is as it should be; everything else is not, and is tried again.
            let well = matches!(from, Origin::Absent | Origin::Standby | Origin::Fetched);
            assert_eq!(stage.view.borrow().is_fresh(), well, "{cell}");
            let asked = stage.asked("main.a");
            sleep(INTERVAL * 2).await;
            assert!(stage.asked("main.a") > asked, "{cell}");
            assert_eq!(
                stage.asked("standby.a"),
                usize::from(from == Origin::Standby),
                "once, for it has a value: {cell}"
            );
            stage.stop().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn on_a_refresh_the_last_good_value_stays() {
    for (trouble, step) in troubles() {
        for who in EVERYBODY {
            let stage = stage(who, vec![Step::Gives("good"), step.clone()], Step::Gives("standby"), OnRevoked::Keep);
            sleep(INTERVAL * 3).await;
            let value = if trouble == "expired" { "expired" } else { "good" };
            let cell = format!("{trouble}, {who:?}");
            assert_eq!(stage.values(), [value], "{cell}");
            assert_eq!(origin(&stage), Origin::Fetched, "{cell}");
            assert_eq!(stage.asked("standby.a"), 0, "{cell}");
            let refused = matches!(trouble, "missing" | "disabled" | "denied");
            assert_eq!(stage.lines_with("counts as revoked"), usize::from(refused), "{cell}");
            stage.stop().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_revoked_is_removed_on_the_users_word_and_comes_back() {
    for (trouble, step) in troubles() {
        let refused = matches!(trouble, "missing" | "disabled" | "denied");
        let mut steps = vec![Step::Gives("good")];
        steps.extend(std::iter::repeat_n(step, 20));
        steps.push(Step::Gives("given back"));
        let stage = stage(Who::Required, steps, Step::Gives("standby"), OnRevoked::Remove);
        sleep(seconds(1.0)).await;
        stage.tell.send(Event::Refresh).await.unwrap();
        sleep(Duration::from_mins(9)).await;
        assert!(!stage.values().is_empty(), "{trouble}: nobody is believed at once");
        sleep(Duration::from_mins(10)).await;
        assert_eq!(stage.values().is_empty(), refused, "{trouble}");
        assert_eq!(stage.lines_with("its value is removed"), usize::from(refused), "{trouble}");
        assert_eq!(stage.asked("standby.a"), 0, "{trouble}");
        sleep(INTERVAL * 25).await;
        assert_eq!(stage.values(), ["given back"], "{trouble}");
        stage.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_whole_waits_for_a_standby_and_not_longer() {
    let slow = super::stage::takes(seconds(4.0), Step::Gives("standby"));
    let down = fails(Blame::Host, Kind::Outage, "refused");
    let stage = stage(Who::Standby, vec![down], slow, OnRevoked::Keep);
    sleep(seconds(3.0)).await;
    assert_eq!(stage.shown(), []);
    sleep(seconds(2.0)).await;
    assert_eq!(stage.values(), ["standby"]);
    assert_eq!(stage.lines_with("comes from its standby"), 1);
    stage.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_standby_that_fails_hides_nothing_and_delays_nobody() {
    for trouble in [
        fails(Blame::Host, Kind::Outage, "refused"),
        fails(Blame::Host, Kind::Misconfigured, "other-audience"),
        fails(Blame::Object, Kind::Denied, "ForbiddenByRbac"),
        Step::Gives(""),
    ] {
        let down = fails(Blame::Host, Kind::Outage, "timeout");
        let steps = vec![down.clone(), down.clone(), down, Step::Gives("good")];
        let stage = stage(Who::Standby, steps, trouble.clone(), OnRevoked::Keep);
        sleep(seconds(0.5)).await;
        assert_eq!(stage.shown().len(), 1, "there is nobody else to wait for: {trouble:?}");
        let failure = stage.view.borrow().status.names.values().next().unwrap().failure.clone().unwrap();
        assert_eq!(failure.code.as_str(), "timeout", "the source's own: {trouble:?}");
        sleep(seconds(60.0)).await;
        assert_eq!(stage.values(), ["good"], "{trouble:?}");
        let asked = stage.asked("standby.a");
        sleep(INTERVAL * 10).await;
        assert_eq!(stage.asked("standby.a"), asked, "nobody needs it any more: {trouble:?}");
        stage.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_standby_gave_is_replaced_as_soon_as_the_source_is_back() {
    let down = fails(Blame::Host, Kind::Outage, "timeout");
    let steps = vec![down.clone(), down, Step::Gives("good")];
    let stage = stage(Who::Standby, steps, Step::Gives("standby"), OnRevoked::Keep);
    sleep(seconds(0.5)).await;
    assert_eq!((stage.values(), origin(&stage)), (vec!["standby".to_owned()], Origin::Standby));
    sleep(seconds(30.0)).await;
    assert_eq!((stage.values(), origin(&stage)), (vec!["good".to_owned()], Origin::Fetched));
    stage.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_unchanged_stays_as_it_is_for_better_or_worse() {
    let steps = vec![Step::Gives("good"), Step::Unchanged, Step::Gives(""), Step::Unchanged];
    let stage = stage(Who::Required, steps, Step::Gives("standby"), OnRevoked::Keep);
    sleep(INTERVAL * 8).await;
    assert_eq!(stage.values(), ["good"]);
    assert_eq!(stage.lines_with("the value is empty"), 1);
    let failure = stage.view.borrow().status.names.values().next().unwrap().failure.clone().unwrap();
    assert_eq!(failure.kind, Kind::Content);
    stage.stop().await;
}
