//! Days as they happen: rotation while others are read, a vault that asks to be left alone, a token that ends in an outage.

use tokio::time::sleep;

use super::stage::{INTERVAL, SETTLE, Stage, Step, fails, one, seconds, takes};
use crate::agent::*;
use crate::failure::{Blame, Code, Kind};

fn shown(stage: &Stage) -> Vec<Vec<String>> {
    stage.shown().into_iter().map(|(_, values)| values.into_values().collect()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_rotates_in_the_middle_of_a_batch_is_whole_a_cycle_later() {
    // Both rotate after the one was read and before the other: no vault can tell that they belong together.
    let slow = takes(seconds(1.0), Step::Gives("b2"));
    let stage = Stage::begin(
        vec![
            one("a.a", [Step::Gives("a1"), Step::Gives("a1"), Step::Gives("a2")]),
            one("a.b", [Step::Gives("b1"), slow, Step::Gives("b2")]),
        ],
        0,
    );
    sleep(seconds(1.0)).await;
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(seconds(1.1) + SETTLE).await;
    assert_eq!(shown(&stage), [["a1", "b1"], ["a1", "b2"]]);
    sleep(INTERVAL + SETTLE).await;
    assert_eq!(shown(&stage), [["a1", "b1"], ["a1", "b2"], ["a2", "b2"]]);
    stage.stop().await;
}

#[tokio::test(start_paused = true)]
async fn three_that_change_within_a_second_are_one_generation() {
    let scripts = [("a.a", 0.0), ("a.b", 0.5), ("a.c", 0.95)];
    let scripts = scripts.map(|(name, late)| one(name, [Step::Gives("1"), takes(seconds(late), Step::Gives("2"))]));
    let stage = Stage::begin(scripts.into(), 0);
    sleep(seconds(1.0)).await;
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(seconds(1.0) + SETTLE * 2).await;
    assert_eq!(shown(&stage), [["1", "1", "1"], ["2", "2", "2"]]);
    stage.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_vault_that_asks_to_be_left_alone_for_seven_seconds_is_and_not_besieged_then() {
    let throttled = || {
        let failure = Failure::new(Blame::Host, Kind::Throttled, Code::new("Throttled"));
        Step::Fails(Failure { after: Some(seconds(7.0)), ..failure })
    };
    let names: Vec<String> = (0..20).map(|number| format!("a.s{number}")).collect();
    let scripts = names.iter().map(|name| one(name, [Step::Gives("1"), throttled(), Step::Gives("2")]));
    let other = one("b.well", [Step::Gives("1"), Step::Gives("2"), Step::Gives("3")]);
    let stage = Stage::begin(scripts.chain([other]).collect(), 0);
    let asked = || names.iter().map(|name| stage.asked(name)).sum::<usize>();
    sleep(seconds(1.0)).await;
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(seconds(0.01)).await;
    assert_eq!(asked(), 40);
    // Also when somebody is impatient; the other vault has said nothing of the kind.
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(seconds(6.98)).await;
    assert_eq!((asked(), stage.asked("b.well")), (40, 3));
    // 7 seconds, and up to a fifth more; by now all have been due for long.
    sleep(seconds(1.42)).await;
    assert!((41..=43).contains(&asked()), "{}", asked());
    sleep(seconds(30.0)).await;
    assert_eq!(asked(), 60);
    assert_eq!(stage.values().concat(), "2".repeat(20) + "3");
    stage.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_ends_during_an_outage_takes_nothing_away_and_comes_back() {
    let down = || fails(Blame::Host, Kind::Outage, "refused");
    let no_token = || fails(Blame::Identity, Kind::Outage, "http-503");
    let script = || {
        let mut steps = vec![Step::Gives("1"), down(), down()];
        steps.extend((0..4).map(|_| no_token()));
        [steps, vec![Step::Gives("2")]].concat()
    };
    let names = ["a.a", "a.b", "b.a", "b.b"];
    let stage = Stage::begin(names.map(|name| one(name, script())).into(), 0);
    sleep(seconds(1.0)).await;
    stage.tell.send(Event::Refresh).await.unwrap();
    sleep(Duration::from_mins(1)).await;
    assert_eq!(shown(&stage).len(), 1, "the last good values stay");
    assert_eq!(stage.lines_with("signing in with identity 'default' failed"), 1, "{:?}", stage.lines);
    assert_eq!(stage.lines_with("vault.azure.net failed"), 2, "{:?}", stage.lines);
    sleep(Duration::from_mins(30)).await;
    assert_eq!(stage.values(), ["2"; 4]);
    assert_eq!(stage.lines_with("signing in with identity 'default' works again"), 1);
    for name in names {
        assert!(stage.asked(name) <= 1 + 2 + 4 + 3, "{name}: a probe at a time");
    }
    stage.stop().await;
}
