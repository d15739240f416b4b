//! Another plan under the turning loop.

use super::*;
use crate::agent::revise::Revised;
use crate::extract::Cut;
use crate::plan::Wanted;
use crate::reference::Reference;
use stage::{STALE, ear, object};

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

/// The stage's plan with another name for the same object, cut out of it otherwise.
fn with(stage: &Stage, name: &str, cut: Cut) -> Event {
    let mut plan = stage.plan.clone();
    let wanted = plan.names.values().next().unwrap().clone();
    plan.names.insert(SecretName::parse(name).unwrap(), Wanted { cut, ..wanted });
    Event::Revised(Box::new(Revised { plan, settle: SETTLE, stale: STALE }))
}

fn property(property: &str) -> Cut {
    Cut { property: Some(property.to_owned()), ..Cut::default() }
}

const JSON: &str = r#"{"one":"1","two":"2"}"#;

#[tokio::test(start_paused = true)]
async fn what_is_new_of_an_object_that_was_looked_at_is_read_and_not_looked_at() {
    let stage = Stage::begin(vec![one("a.a", [Step::Looks(JSON)])], 0);
    sleep(INTERVAL * 2).await;
    assert_eq!(stage.read("a.a"), 1, "it was read once, and then looked at");
    stage.tell.send(with(&stage, "b", property("two"))).await.unwrap();
    sleep(SETTLE + seconds(0.1)).await;
    assert_eq!(stage.values(), [JSON, "2"]);
    // The same name, cut otherwise.
    stage.tell.send(with(&stage, "b", property("one"))).await.unwrap();
    sleep(SETTLE + seconds(0.1)).await;
    assert_eq!((stage.values(), stage.read("a.a")), (vec![JSON.to_owned(), "1".to_owned()], 3));
    // What it has not got is not made up for by word that nothing has changed.
    stage.tell.send(with(&stage, "b", property("three"))).await.unwrap();
    sleep(INTERVAL).await;
    let view = stage.view.borrow().clone();
    let status = &view.status.names[&SecretName::parse("b").unwrap()];
    assert_eq!(status.failure.as_ref().map(|failure| failure.kind), Some(Kind::Content));
}

#[tokio::test(start_paused = true)]
async fn what_was_being_looked_at_for_another_plan_is_no_answer_to_a_new_name() {
    let slow = takes(seconds(5.0), Step::Unchanged);
    let stage = Stage::begin(vec![one("a.a", [Step::Gives(JSON), slow, Step::Looks(JSON)])], 0);
    sleep(INTERVAL + seconds(1.0)).await;
    let begun = stage.asked("a.a");
    stage.tell.send(with(&stage, "b", property("two"))).await.unwrap();
    sleep(seconds(5.0) + SETTLE).await;
    assert_eq!((stage.values(), stage.asked("a.a")), (vec![JSON.to_owned(), "2".to_owned()], begun + 1));
}

#[tokio::test(start_paused = true)]
async fn who_wants_everything_fresh_has_it_read() {
    let stage = Stage::begin(vec![one("a.a", [Step::Looks("1")])], 0);
    sleep(INTERVAL * 3).await;
    assert_eq!(stage.read("a.a"), 1);
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(seconds(0.1)).await;
    assert_eq!(stage.read("a.a"), 2);
    sleep(INTERVAL * 3).await;
    assert_eq!(stage.read("a.a"), 2, "and then it is looked at again");
}

#[tokio::test(start_paused = true)]
async fn what_was_gone_from_the_plan_and_is_back_is_read() {
    let stage = Stage::begin(vec![one("a.a", [Step::Gives("1")]), one("a.b", [Step::Looks("2")])], 0);
    sleep(INTERVAL * 2).await;
    stage.tell.send(without(&stage, &["a.b"])).await.unwrap();
    sleep(SETTLE + seconds(0.1)).await;
    assert_eq!(stage.values(), ["1"]);
    stage.tell.send(without(&stage, &[])).await.unwrap();
    sleep(SETTLE + seconds(0.1)).await;
    assert_eq!(stage.values(), ["1", "2"]);
}

/// The stage's plan with the name cut out of another object.
fn moved(stage: &Stage, name: &str, to: &str) -> Event {
    let mut plan = stage.plan.clone();
    plan.objects.insert(object(to), INTERVAL);
    let wanted = plan.names.get_mut(&SecretName::parse(name).unwrap()).unwrap();
    (wanted.object, wanted.reference) = (object(to), Reference::parse(&object(to).to_string()).unwrap());
    Event::Revised(Box::new(Revised { plan, settle: SETTLE, stale: STALE }))
}

/// A name, and another object that a reload may name instead.
fn stage_of_two(first: Vec<Step>, other: Vec<Step>, on_revoked: OnRevoked) -> Stage {
    let forget = |plan: &mut Plan| {
        plan.names.remove(&SecretName::parse("a.other").unwrap());
        plan.objects.remove(&object("a.other"));
    };
    Stage::with(vec![one("a.a", first), one("a.other", other)], 0, forget, on_revoked)
}

#[tokio::test(start_paused = true)]
async fn a_name_that_comes_from_elsewhere_now_is_not_stale_at_once() {
    let down = fails(Blame::Host, Kind::Outage, "refused");
    let stage = stage_of_two(vec![Step::Gives("1")], vec![down], OnRevoked::Keep);
    sleep(STALE.after * 3).await;
    stage.tell.send(moved(&stage, "a.a", "a.other")).await.unwrap();
    sleep(STALE.after.saturating_sub(INTERVAL * 2)).await;
    assert_eq!((stage.values(), stage.lines_with("stale")), (vec!["1".to_owned()], 0));
    sleep(INTERVAL * 4).await;
    assert_eq!(stage.lines_with("stale: no answer has confirmed"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_has_never_given_a_value_takes_none_away() {
    let missing = || fails(Blame::Object, Kind::Missing, "SecretNotFound");
    let stage = stage_of_two(vec![Step::Gives("1")], vec![missing()], OnRevoked::Remove);
    sleep(seconds(1.0)).await;
    stage.tell.send(moved(&stage, "a.a", "a.other")).await.unwrap();
    sleep(INTERVAL * 8).await;
    assert_eq!((stage.values(), stage.lines_with("counts as revoked")), (vec!["1".to_owned()], 0));
    // One that has, does.
    let stage = stage_of_two(vec![Step::Gives("1")], vec![Step::Gives("2"), missing()], OnRevoked::Remove);
    sleep(seconds(1.0)).await;
    stage.tell.send(moved(&stage, "a.a", "a.other")).await.unwrap();
    sleep(SETTLE + seconds(1.0)).await;
    assert_eq!(stage.values(), ["2"]);
    sleep(INTERVAL * 8).await;
    assert_eq!((stage.values().len(), stage.lines_with("counts as revoked")), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn the_end_publishes_no_half_of_a_plan_that_was_revised() {
    let hangs = takes(seconds(1e6), Step::Gives("never"));
    let stage = Stage::begin(
        vec![
            one("a.a", [Step::Gives("1"), Step::Gives("2")]),
            one("dead.b", [Step::Gives("b"), hangs]),
            one("a.c", [Step::Gives("c")]),
        ],
        0,
    );
    sleep(seconds(1.0)).await;
    stage.tell.send(without(&stage, &["dead.b", "a.c"])).await.unwrap();
    sleep(SETTLE + seconds(0.1)).await;
    stage.tell.send(without(&stage, &[])).await.unwrap();
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(seconds(1.0)).await;
    let shown = stage.stop().await;
    let last: Vec<String> = shown.lock().unwrap().last().unwrap().1.values().cloned().collect();
    assert_eq!(last, ["1"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_published_is_told_of_by_the_layout_it_was_published_in() {
    let (hook, heard) = ear([]);
    let (missing, hangs) =
        (fails(Blame::Object, Kind::Missing, "SecretNotFound"), takes(seconds(1e6), Step::Gives("never")));
    let stage = Stage::with_hooks(
        vec![one("a.a", [missing, Step::Gives("1")]), one("dead.b", [Step::Gives("b"), hangs])],
        0,
        vec![(&["a.a"], hook)],
    );
    let mut revised = stage.plan.clone();
    revised.layouts = Arc::new(BTreeMap::from([("/dir".into(), BTreeMap::new())]));
    for wanted in revised.names.values_mut().skip(1) {
        wanted.cut = property("never");
    }
    while stage.asked("a.a") < 2 {
        sleep(seconds(0.1)).await;
    }
    // While it settles there is another plan, which waits for what hangs.
    let revised = Revised { plan: revised, settle: SETTLE, stale: STALE };
    stage.tell.send(Event::Revised(Box::new(revised))).await.unwrap();
    sleep(SETTLE + seconds(1.0)).await;
    assert_eq!(stage.values(), ["1", "b"]);
    assert_eq!(heard.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_wants_everything_fresh_during_a_reading_has_it_read_once_more() {
    let slow = || takes(seconds(5.0), Step::Looks("1"));
    let stage = Stage::begin(vec![one("a.a", [Step::Looks("1"), slow(), slow(), Step::Looks("1")])], 0);
    sleep(seconds(1.0)).await;
    for _ in 0..2 {
        stage.tell.send(Event::Refresh).await.unwrap();
        sleep(seconds(1.0)).await;
    }
    sleep(INTERVAL * 2).await;
    assert_eq!(stage.read("a.a"), 3);
    assert!(stage.asked("a.a") > 3);
}
