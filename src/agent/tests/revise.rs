//! Another plan under the turning loop.

use super::*;
use crate::agent::revise::Revised;
use stage::{STALE, object};

/// The stage's plan without some names.
fn without(stage: &Stage, names: &[&str]) -> Event {
    let mut plan = stage.plan.clone();
    for name in names {
        plan.names.remove(&SecretName::parse(name).unwrap());
        plan.objects.remove(&object(name));
    }
    Event::Revised(Box::new(Revised { plan, settle: SETTLE, stale: STALE }))
}

#[tokio::test(start_paused = true)]
async fn what_is_new_comes_together_and_what_is_gone_goes_with_it() {
    let stage = Stage::begin(
        vec![
            one("a.a", [Step::Gives("a")]),
            one("a.old", [Step::Gives("old")]),
            one("a.b", [takes(seconds(1.0), Step::Gives("b"))]),
            one("a.c", [takes(seconds(3.0), Step::Gives("c"))]),
        ],
        0,
    );
    sleep(seconds(4.0)).await;
    stage.tell.send(without(&stage, &["a.b", "a.c"])).await.unwrap();
    sleep(SETTLE + seconds(0.1)).await;
    assert_eq!(stage.values(), ["a", "old"]);
    let asked = stage.asked("a.a");
    stage.tell.send(without(&stage, &["a.old"])).await.unwrap();
    sleep(seconds(2.9)).await;
    assert_eq!(stage.values(), ["a", "old"], "nothing is shown before all that is new has come");
    sleep(SETTLE + seconds(0.2)).await;
    assert_eq!(stage.values(), ["a", "b", "c"]);
    assert_eq!(stage.asked("a.a"), asked, "what stays is not asked for again");
    assert_eq!(stage.lines_with("the configuration has changed: added a.b, a.c; removed a.old"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_new_and_hangs_holds_nobody_back_for_long() {
    let hangs = takes(seconds(1e6), Step::Gives("never"));
    let stage = Stage::begin(
        vec![one("a.a", [Step::Gives("1"), Step::Gives("2")]), one("dead.b", [Step::Gives("b"), hangs])],
        0,
    );
    sleep(seconds(1.0)).await;
    stage.tell.send(without(&stage, &["dead.b"])).await.unwrap();
    sleep(SETTLE + seconds(0.1)).await;
    stage.tell.send(without(&stage, &[])).await.unwrap();
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(seconds(9.5)).await;
    assert_eq!(stage.values(), ["1"]);
    sleep(seconds(0.6) + SETTLE).await;
    assert_eq!(stage.values(), ["2"]);
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_removes_what_is_being_fetched_drops_what_comes() {
    let slow = takes(seconds(5.0), Step::Gives("late"));
    let stage = Stage::begin(vec![one("a.a", [Step::Gives("1")]), one("a.b", [Step::Gives("b"), slow])], 0);
    sleep(seconds(1.0)).await;
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(seconds(1.0)).await;
    stage.tell.send(without(&stage, &["a.b"])).await.unwrap();
    sleep(SETTLE + seconds(0.1)).await;
    assert_eq!(stage.values(), ["1"]);
    sleep(seconds(10.0)).await;
    assert_eq!(stage.values(), ["1"], "it is nobody's value");
    assert!(!stage.view.borrow().status.names.contains_key(&SecretName::parse("a.b").unwrap()));
    sleep(INTERVAL).await;
    assert_eq!(stage.asked("a.b"), 2, "nobody asks for it any more");
}

#[tokio::test(start_paused = true)]
async fn what_somebody_knows_to_have_changed_is_asked_for_at_once() {
    let missing = fails(Blame::Object, Kind::Missing, "file-missing");
    let stage = Stage::begin(vec![one("a.a", [Step::Gives("1"), missing, Step::Gives("2")])], 0);
    sleep(seconds(10.0)).await;
    for asked in [2, 3] {
        stage.tell.send(Event::Changed(vec![object("a.a"), object("z.unknown")])).await.unwrap();
        sleep(seconds(0.01)).await;
        assert_eq!(stage.asked("a.a"), asked, "also after a failure");
    }
    sleep(SETTLE).await;
    assert_eq!(stage.values(), ["2"]);
}
