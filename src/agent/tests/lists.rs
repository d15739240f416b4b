//! Lists in place of objects, in the loop.

use std::sync::atomic::Ordering;

use tokio::time::sleep;

use super::stage::{INTERVAL, Stage, Step, fails, one, seconds, takes};
use crate::failure::{Blame, Kind};

fn three() -> Stage {
    let changed = |value| [Step::GivesChanged(value, 100)];
    let again = [Step::GivesChanged("c1", 100), Step::GivesChanged("c2", 200)];
    Stage::begin(vec![one("a.a", changed("a1")), one("a.b", changed("b1")), one("a.c", again)], 0)
}

fn counts(stage: &Stage) -> [usize; 4] {
    [stage.asked("a.a"), stage.asked("a.b"), stage.asked("a.c"), stage.listed()]
}

#[tokio::test(start_paused = true)]
async fn what_a_list_proves_is_looked_at_without_being_asked_for() {
    let stage = three();
    let unchanged = vec![("a", 100), ("b", 100), ("c", 100)];
    stage.lists([
        unchanged.clone(),
        vec![("a", 100), ("b", 100), ("c", 200)],
        vec![("a", 100), ("b", 100), ("c", 200)],
    ]);
    sleep(seconds(1.0)).await;
    let checked = || {
        let view = stage.view.borrow().clone();
        view.status.names.values().map(|status| status.checked.unwrap()).collect::<Vec<_>>()
    };
    let before = checked();
    sleep(INTERVAL).await;
    assert_eq!((counts(&stage), stage.shown().len()), ([1, 1, 1, 1], 1));
    assert!(checked().iter().zip(&before).all(|(now, before)| now > before), "looked at is looked at");
    sleep(INTERVAL).await;
    assert_eq!(counts(&stage), [1, 1, 2, 2], "one has changed");
    assert_eq!((stage.values(), stage.shown().len()), (vec!["a1".into(), "b1".into(), "c2".into()], 2));
    sleep(INTERVAL).await;
    assert_eq!((counts(&stage), stage.shown().len()), ([1, 1, 2, 3], 2));
    assert!(stage.view.borrow().status.names.values().all(|status| status.next.is_some()));
    assert_eq!(stage.lines_with("list"), 0, "nothing to tell anybody");
}

#[tokio::test(start_paused = true)]
async fn who_may_not_read_the_list_is_told_once_and_misses_nothing() {
    let stage = three();
    sleep(INTERVAL * 10 + seconds(1.0)).await;
    let [a, b, c, lists] = counts(&stage);
    assert_eq!(lists, 1);
    assert!(a == b && b == c && (10..=11).contains(&a), "{a} {b} {c}");
    assert_eq!(stage.lines_with("may not read the list https://a.vault.azure.net/secrets"), 1);
    assert_eq!(stage.values()[2], "c2");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_gone_from_the_list_says_itself_what_is_the_matter() {
    let gone = [Step::GivesChanged("c", 100), fails(Blame::Object, Kind::Missing, "SecretNotFound")];
    let stays = |value| [Step::GivesChanged(value, 100)];
    let stage = Stage::begin(vec![one("a.a", stays("a")), one("a.b", stays("b")), one("a.c", gone)], 0);
    stage.lists([vec![("a", 100), ("b", 100)]]);
    sleep(INTERVAL + seconds(1.0)).await;
    assert_eq!(counts(&stage)[..2], [1, 1]);
    assert_eq!(stage.lines_with("SecretNotFound"), 1, "{:?}", stage.lines);
    assert_eq!(stage.values(), ["a", "b", "c"], "the last good value stays");
}

#[tokio::test(start_paused = true)]
async fn a_cycle_is_not_over_between_a_list_and_what_follows_from_it() {
    // What follows comes with the same value: the look at the files is all that is left to do.
    let steps = |value| [Step::GivesChanged(value, 100)];
    let again = takes(seconds(0.5), Step::GivesChanged("c", 200));
    let again = [Step::GivesChanged("c", 100), again];
    let stage = Stage::begin(vec![one("a.a", steps("a")), one("a.b", steps("b")), one("a.c", again)], 0);
    stage.lists([vec![("a", 100), ("b", 100), ("c", 200)]]);
    sleep(seconds(1.0)).await;
    let before = stage.attempts.load(Ordering::SeqCst);
    sleep(INTERVAL).await;
    assert_eq!((counts(&stage), stage.attempts.load(Ordering::SeqCst) - before), ([1, 1, 2, 1], 1), "once for both");
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_left_alone_is_told_of_once() {
    let stage = three();
    stage.lists((0..3).map(|_| vec![]));
    sleep(INTERVAL * 8).await;
    assert_eq!((stage.listed(), stage.lines_with("left alone"), stage.lines_with("list")), (3, 1, 1));
}
