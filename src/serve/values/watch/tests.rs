use super::*;
use crate::ports::Sink as _;
use crate::serve::slots::{Most, Share, Slots};
use crate::serve::values::board::Publisher;
use crate::serve::values::board::tests::whole;

struct Stage {
    publisher: Publisher,
    watcher: Watcher,
    stop: watch::Sender<()>,
}

fn stage(at: At, visible: Visible) -> Stage {
    let publisher = Publisher::default();
    let (stop, stopped) = watch::channel(());
    let slot = Slots::new(Most::shared(8, 1)).take(Share::Strangers).unwrap();
    let watcher = Watcher { board: publisher.board(), run: "run".into(), visible, at, _slot: slot, stopped };
    Stage { publisher, watcher, stop }
}

impl Stage {
    fn publish(&mut self, generation: u64, values: &[(&str, &str)]) {
        self.publisher.publish(&whole(generation, values), crate::clock::system()().tick).unwrap();
    }

    async fn next(&mut self) -> Option<String> {
        self.watcher.next().await.map(|event| String::from_utf8(event.to_vec()).unwrap())
    }
}

fn change(generation: u64, names: &[&str]) -> String {
    let data = json!({"generation": generation, "names": names});
    format!("id: run-{generation}\nevent: change\ndata: {data}\n\n")
}

#[tokio::test(start_paused = true)]
async fn each_change_is_told_once_and_in_order() {
    let mut stage = stage(At::Begin, Visible::All);
    stage.publish(1, &[("a", "1"), ("b", "1")]);
    assert_eq!(stage.next().await.unwrap(), "id: run-1\n\n");
    stage.publish(2, &[("a", "2"), ("b", "1")]);
    stage.publish(3, &[("a", "2"), ("b", "2")]);
    assert_eq!(stage.next().await.unwrap(), change(2, &["a"]) + &change(3, &["b"]));
    stage.publish(4, &[("a", "3"), ("b", "3")]);
    assert_eq!(stage.next().await.unwrap(), change(4, &["a", "b"]));
    assert_eq!(stage.next().await.unwrap(), "id: run-4\n\n", "still there");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_rotations_are_a_thousand_changes_for_each() {
    let mut stage = stage(At::Begin, Visible::All);
    stage.publish(1, &[("a", "1")]);
    let Stage { mut publisher, watcher, stop } = stage;
    let slots = Slots::new(Most::shared(16, 1));
    let follow = |_| {
        let (board, run, slot) = (watcher.board.clone(), "run".into(), slots.take(Share::Anybody).unwrap());
        let mut own =
            Watcher { board, run, visible: Visible::All, at: At::Begin, _slot: slot, stopped: watcher.stopped.clone() };
        tokio::spawn(async move {
            let mut told = String::new();
            while !told.contains("id: run-1001\n") {
                told.push_str(std::str::from_utf8(&own.next().await.unwrap()).unwrap());
            }
            told
        })
    };
    let following: Vec<_> = (0..10).map(follow).collect();
    for generation in 2..=1001 {
        // Whoever keeps up is let have its turn, in its own time.
        for _ in 0..generation % 7 {
            tokio::task::yield_now().await;
        }
        let value = generation.to_string();
        publisher.publish(&whole(generation, &[("a", &value)]), crate::clock::system()().tick).unwrap();
    }
    let expected: String = (2..=1001).map(|generation| change(generation, &["a"])).collect();
    for told in following {
        assert_eq!(told.await.unwrap().trim_start_matches("id: run-1\n\n"), expected);
    }
    drop(stop);
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_seen_is_not_told_of() {
    let mut stage = stage(At::Begin, Visible::Only([SecretName::parse("b").unwrap()].into()));
    stage.publish(1, &[("a", "1"), ("b", "1")]);
    stage.next().await.unwrap();
    stage.publish(2, &[("a", "2"), ("b", "1")]);
    stage.publish(3, &[("a", "3"), ("b", "2")]);
    assert_eq!(stage.next().await.unwrap(), change(3, &["b"]));
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_back_goes_on_where_it_was() {
    let mut headers = HeaderMap::new();
    assert_eq!(at(&headers, "run"), At::Begin);
    headers.insert("last-event-id", "run-2".parse().unwrap());
    assert_eq!(at(&headers, "run"), At::Return(Generation(2)));
    assert_eq!(at(&headers, "another"), At::Elsewhere);
    let mut stage = stage(At::Return(Generation(2)), Visible::All);
    for generation in 1..=4 {
        stage.publish(generation, &[("a", &generation.to_string())]);
    }
    assert_eq!(stage.next().await.unwrap(), change(3, &["a"]) + &change(4, &["a"]));
    for text in ["run-", "run-x", "run-18446744073709551616", "run", "", "2"] {
        headers.insert("last-event-id", text.parse().unwrap());
        assert_eq!(at(&headers, "run"), At::Elsewhere, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_was_elsewhere_is_told_to_look_again_and_goes_on() {
    for at in [At::Elsewhere, At::Return(Generation(0)), At::Return(Generation(99))] {
        let mut stage = stage(at, Visible::All);
        stage.publish(5, &[("a", "1")]);
        assert_eq!(stage.next().await.unwrap(), "id: run-5\nevent: resync\ndata: {\"generation\":5}\n\n");
        stage.publish(6, &[("a", "2")]);
        assert_eq!(stage.next().await.unwrap(), change(6, &["a"]));
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_falls_behind_is_told_and_let_go() {
    let mut stage = stage(At::Begin, Visible::All);
    stage.publish(1, &[("a", "1")]);
    stage.next().await.unwrap();
    for generation in 2..=400 {
        stage.publish(generation, &[("a", &generation.to_string())]);
    }
    assert_eq!(stage.next().await.unwrap(), "id: run-400\nevent: resync\ndata: {\"generation\":400}\n\n");
    assert_eq!(stage.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_everything() {
    let Stage { publisher, mut watcher, stop } = stage(At::Begin, Visible::All);
    drop(stop);
    assert_eq!(watcher.next().await, None);
    drop(publisher);
}
