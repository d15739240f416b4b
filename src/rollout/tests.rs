use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::snapshot::Generation;

fn snapshot(generation: u64) -> Arc<Snapshot> {
    let (secrets, unknown, rendered) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
    let (layouts, env) = (Arc::default(), Arc::default());
    let (absent, tokens) = (BTreeSet::new(), BTreeSet::new());
    Arc::new(Snapshot { generation: Generation(generation), secrets, unknown, absent, tokens, layouts, env, rendered })
}

fn now() -> Instant {
    crate::clock::system()().tick
}

#[test]
fn the_first_whole_goes_out_at_once_and_later_ones_settle() {
    let (now, settle) = (now(), Duration::from_secs(2));
    let mut rollout = Rollout::new(2, settle);
    assert_eq!(rollout.next_wake(), None);
    rollout.offer(snapshot(1), now);
    assert_eq!(rollout.take_due(now).len(), 2);
    rollout.succeeded(0);
    rollout.succeeded(1);
    rollout.offer(snapshot(2), now);
    assert!(rollout.take_due(now).is_empty());
    rollout.offer(snapshot(3), now + Duration::from_secs(1));
    assert_eq!(rollout.next_wake(), Some(now + settle), "the second one does not wait anew");
    let due = rollout.take_due(now + settle);
    assert!(due.iter().all(|(_, snapshot)| snapshot.generation == Generation(3)));
    assert_eq!(due.len(), 2);
}

#[test]
fn a_failed_sink_is_tried_again_alone_with_the_newest_whole() {
    let begin = now();
    let mut rollout = Rollout::new(2, Duration::ZERO);
    rollout.offer(snapshot(1), begin);
    rollout.take_due(begin);
    rollout.succeeded(0);
    let mut now = begin;
    for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
        rollout.failed(1, now);
        assert_eq!(rollout.next_wake(), Some(now + Duration::from_secs(expected)));
        now += Duration::from_secs(expected);
        let due = rollout.take_due(now);
        assert_eq!(due.iter().map(|(sink, _)| *sink).collect::<Vec<_>>(), [1]);
    }
}

#[test]
fn a_sink_is_called_again_after_each_cycle_and_at_the_end() {
    let begin = now();
    let mut rollout = Rollout::new(1, Duration::from_secs(2));
    rollout.recheck(begin);
    assert!(rollout.take_due(begin).is_empty(), "there is nothing to check before the first publish");
    rollout.offer(snapshot(1), begin);
    rollout.take_due(begin);
    rollout.succeeded(0);
    assert_eq!(rollout.next_wake(), None);
    rollout.recheck(begin);
    assert_eq!(rollout.take_due(begin).len(), 1);
    rollout.succeeded(0);
    rollout.offer(snapshot(2), begin);
    assert!(rollout.take_due(begin).is_empty());
    rollout.hurry(begin);
    assert_eq!(rollout.take_due(begin).len(), 1);
}
