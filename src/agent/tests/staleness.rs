//! When values count as stale, and what that does to readiness.

use super::*;
use crate::status::Readiness;
use stage::STALE;

fn readiness(stage: &Stage) -> Readiness {
    let view = stage.view.borrow();
    // As somebody who asks.
    view.readiness(view.status.began.after(tokio::time::Instant::now().duration_since(stage.begun)))
}

fn names(names: &[&str]) -> Vec<SecretName> {
    names.iter().map(|name| SecretName::parse(name).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn readiness_waits_for_each_required_secret_and_stays() {
    let missing = || fails(Blame::Object, Kind::Missing, "SecretNotFound");
    let stage =
        Stage::begin(vec![one("a.a", [missing(), Step::Gives("1"), missing()]), one("a.b", [Step::Gives("2")])], 0);
    sleep(seconds(1.0)).await;
    assert_eq!(readiness(&stage), Readiness::Waiting(names(&["a.a"])), "the other one is published all the same");
    sleep(Duration::from_mins(5)).await;
    assert_eq!(readiness(&stage), Readiness::Ready);
    sleep(Duration::from_hours(12)).await;
    assert!(stage.view.borrow().status.names.values().any(|status| status.failure.is_some()));
    assert_eq!(readiness(&stage), Readiness::Ready, "a source's trouble takes nobody out of service");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_published_is_waited_for() {
    let stage = Stage::begin(vec![one("a.a", [Step::Gives("1")])], 2);
    sleep(seconds(0.5)).await;
    assert_eq!(readiness(&stage), Readiness::Waiting(Vec::new()));
    sleep(seconds(4.0)).await;
    assert_eq!(readiness(&stage), Readiness::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_long_outage_makes_stale_once_and_its_end_fresh_once() {
    let down = || fails(Blame::Host, Kind::Outage, "refused");
    let scripts = (0..8).map(|number| {
        // One answer, and then none for a day and a half: a probe a minute at most.
        let script = std::iter::once(Step::Gives("1")).chain((0..300).map(|_| down())).chain([Step::Gives("1")]);
        one(&format!("a.s{number}"), script.collect::<Vec<_>>())
    });
    let stage = Stage::begin(scripts.collect(), 0);
    sleep(STALE.after.saturating_sub(Duration::from_mins(1))).await;
    assert_eq!((readiness(&stage), stage.lines_with("stale")), (Readiness::Ready, 0));
    sleep(Duration::from_mins(20)).await;
    let Readiness::Stale(stale) = readiness(&stage) else { panic!("{:?}", readiness(&stage)) };
    assert_eq!(stale.len(), 8);
    assert_eq!(stage.lines_with("stale: no answer has confirmed the values of a.s0"), 1, "one line for all of a look");
    sleep(Duration::from_hours(48)).await;
    assert_eq!(readiness(&stage), Readiness::Ready);
    assert!(stage.lines_with("no longer stale") >= 1);
    assert!(stage.lines_with("stale") <= 2 * 8);
}

#[tokio::test(start_paused = true)]
async fn what_is_only_looked_at_does_not_become_stale() {
    let stage = Stage::begin(vec![one("a.a", [Step::Gives("1"), Step::Unchanged])], 0);
    sleep(STALE.after * 3).await;
    assert_eq!((readiness(&stage), stage.lines_with("stale")), (Readiness::Ready, 0));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_not_stale_before_it_should_have_been_made_anew() {
    let down = fails(Blame::Host, Kind::Outage, "refused");
    let lasts = STALE.after * 2;
    let stage = Stage::begin(vec![one("a.a", [Step::GivesToken("1", lasts), down])], 0);
    sleep(lasts + STALE.after.saturating_sub(Duration::from_mins(1))).await;
    assert_eq!((readiness(&stage), stage.lines_with("stale")), (Readiness::Ready, 0));
    sleep(Duration::from_mins(2)).await;
    assert_eq!(readiness(&stage), Readiness::Stale(names(&["a.a"])));
}
