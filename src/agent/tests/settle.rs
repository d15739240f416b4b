//! A set that is written one after the other while the agent looks.

use std::path::PathBuf;

use super::*;
use crate::agent::revise::Revised;
use crate::config::OnRevoked;
use stage::STALE;

fn new(value: &'static str) -> Step {
    Step::GivesAged(value, seconds(0.5))
}

/// Two of one directory; the first changes when it is asked for the second time, the second just after.
fn pair(second: Step) -> Vec<(String, Vec<Step>)> {
    vec![one("a.a", [Step::Gives("a1"), second]), one("a.b", [Step::Gives("b1"), Step::Gives("b1"), new("b2")])]
}

/// Everything has come once, and is about to be asked for again.
async fn sleep_until_slot(stage: &Stage) {
    sleep(seconds(0.2)).await;
    let view = stage.view.borrow().clone();
    let slot = view.status.names.values().filter_map(|status| status.next).min().unwrap();
    sleep(slot.since(stage::wall(stage.begun.elapsed()))).await;
}

fn counts(stage: &Stage) -> [usize; 2] {
    [stage.asked("a.a"), stage.asked("a.b")]
}

fn all_shown(stage: &Stage) -> Vec<Vec<String>> {
    stage.shown().into_iter().map(|(_, values)| values.into_values().collect()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_set_that_is_written_across_a_look_is_not_torn() {
    let stage = Stage::begin(pair(new("a2")), 0);
    sleep_until_slot(&stage).await;
    sleep(seconds(1.0)).await;
    assert_eq!((all_shown(&stage).len(), counts(&stage)), (1, [2, 2]));
    sleep(SETTLE).await;
    assert_eq!(all_shown(&stage), [["a1", "b1"], ["a2", "b2"]]);
    assert_eq!(counts(&stage), [2, 3], "and no further look for what the look has brought");
    sleep(INTERVAL / 10 * 9).await;
    assert_eq!(counts(&stage), [2, 3], "the next one is at the next slot");
}

#[tokio::test(start_paused = true)]
async fn what_changed_long_ago_or_does_not_say_when_costs_nothing_more() {
    for second in [Step::Gives("a2"), Step::GivesAged("a2", SETTLE), Step::GivesAged("a2", Duration::MAX)] {
        let stage = Stage::begin(pair(second.clone()), 0);
        sleep(INTERVAL + seconds(10.0)).await;
        assert_eq!((all_shown(&stage).len(), counts(&stage)), (2, [2, 2]), "{second:?}");
    }
    // Nor does a first value, however new it is.
    let stage = Stage::begin(vec![one("a.a", [new("a1")]), one("a.b", [new("b1")])], 0);
    sleep(seconds(10.0)).await;
    assert_eq!(counts(&stage), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_settle_looks_at_nobody() {
    let stage = Stage::begin(pair(new("a2")), 0);
    sleep(seconds(1.0)).await;
    let plan = stage.plan.clone();
    let revised = Revised { plan, settle: Duration::ZERO, stale: STALE };
    stage.tell.send(Event::Revised(Box::new(revised))).await.unwrap();
    sleep(INTERVAL + seconds(5.0)).await;
    assert_eq!((stage.values(), counts(&stage)), (vec!["a2".into(), "b1".into()], [2, 2]));
}

#[tokio::test(start_paused = true)]
async fn one_list_looks_at_all_the_others() {
    let changed = |value| [Step::GivesChanged(value, 100)];
    let stage = Stage::begin(
        vec![
            one("a.a", [Step::GivesChanged("a1", 100), new("a2")]),
            one("a.b", [Step::GivesChanged("b1", 100), Step::GivesChanged("b2", 200)]),
            one("a.c", changed("c")),
            one("a.d", changed("d")),
        ],
        0,
    );
    stage.lists([vec![("a", 200), ("b", 100), ("c", 100), ("d", 100)], vec![("b", 200), ("c", 100), ("d", 100)]]);
    sleep(INTERVAL + seconds(3.0)).await;
    let asked = ["a.a", "a.b", "a.c", "a.d"].map(|name| stage.asked(name));
    assert_eq!((asked, stage.listed()), ([2, 2, 1, 1], 2));
    assert_eq!(all_shown(&stage), [["a1", "b1", "c", "d"], ["a2", "b2", "c", "d"]]);
}

#[tokio::test(start_paused = true)]
async fn other_directories_are_no_company() {
    let apart = |plan: &mut Plan| {
        let layouts = plan.layouts.values().flat_map(Clone::clone);
        let apart = layouts.map(|(path, content)| {
            let dir = if path.ends_with("a.a") { "/dir" } else { "/other" };
            (PathBuf::from(dir), BTreeMap::from([(path, content)]))
        });
        plan.layouts = Arc::new(apart.collect());
    };
    let stage = Stage::with(pair(new("a2")), 0, apart, OnRevoked::Keep);
    sleep(INTERVAL + seconds(5.0)).await;
    assert_eq!((stage.values()[0].as_str(), counts(&stage)), ("a2", [2, 2]));
}

#[tokio::test(start_paused = true)]
async fn who_hangs_when_looked_at_holds_nobody_back() {
    let hangs = takes(seconds(8.0), new("b2"));
    let stage = Stage::begin(
        vec![one("a.a", [Step::Gives("a1"), new("a2")]), one("a.b", [Step::Gives("b1"), Step::Gives("b1"), hangs])],
        0,
    );
    sleep_until_slot(&stage).await;
    sleep(SETTLE + seconds(0.1)).await;
    assert_eq!(stage.values(), ["a2", "b1"]);
    sleep(seconds(10.0)).await;
    assert_eq!(stage.values(), ["a2", "b2"]);
}

#[tokio::test(start_paused = true)]
async fn what_settles_already_waits_for_the_look() {
    // One changed long ago and settles; then somebody writes a set.
    let late = takes(seconds(1.0), new("a2"));
    let stage = Stage::begin(
        vec![
            one("a.a", [Step::Gives("a1"), late]),
            one("a.b", [Step::Gives("b1"), Step::Gives("b1"), new("b2")]),
            one("a.c", [Step::Gives("c1"), Step::Gives("c2")]),
        ],
        0,
    );
    sleep(seconds(10.0)).await;
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(seconds(5.0)).await;
    assert_eq!(all_shown(&stage), [["a1", "b1", "c1"], ["a2", "b2", "c2"]]);
    assert_eq!(stage.asked("a.c"), 3);
}

#[tokio::test(start_paused = true)]
async fn who_comes_by_a_look_brings_a_look_at_its_company_elsewhere() {
    // The second stands in both directories.
    let both = |plan: &mut Plan| {
        let files = plan.layouts.values().next().unwrap().clone();
        let without = |name: &str| {
            let files = files.iter().filter(|(path, _)| !path.ends_with(name));
            files.map(|(path, content)| (path.clone(), content.clone())).collect::<BTreeMap<_, _>>()
        };
        plan.layouts = Arc::new(BTreeMap::from([("/dir".into(), without("a.c")), ("/other".into(), without("a.a"))]));
    };
    let third = one("a.c", [Step::Gives("c1"), Step::Gives("c1"), new("c2")]);
    let scripts = pair(new("a2")).into_iter().chain([third]).collect();
    let stage = Stage::with(scripts, 0, both, OnRevoked::Keep);
    sleep_until_slot(&stage).await;
    sleep(seconds(10.0)).await;
    assert_eq!((counts(&stage), stage.asked("a.c")), ([2, 3], 3));
    assert_eq!(all_shown(&stage), [["a1", "b1", "c1"], ["a2", "b2", "c2"]]);
}
