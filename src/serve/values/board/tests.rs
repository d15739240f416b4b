use std::collections::BTreeMap;

use super::*;
use crate::secret::{Secret, SecretValue, Version};

/// A whole of these names and values.
pub(in crate::serve) fn whole(generation: u64, values: &[(&str, &str)]) -> Arc<Snapshot> {
    let secret = |(name, value): &(&str, &str)| {
        let value = SecretValue::new(value.as_bytes().to_vec());
        (SecretName::parse(name).unwrap(), Arc::new(Secret::plain(Version::Upstream("v1".to_owned()), value)))
    };
    let secrets = values.iter().map(secret).collect();
    let (layouts, env) = (Arc::default(), Arc::default());
    let (unknown, rendered) = (BTreeSet::new(), BTreeMap::new());
    let (absent, tokens) = (BTreeSet::new(), BTreeSet::new());
    Arc::new(Snapshot { generation: Generation(generation), secrets, unknown, absent, tokens, layouts, env, rendered })
}

/// What is shown after these, one after the other.
pub(in crate::serve) fn shown(wholes: &[Arc<Snapshot>]) -> Arc<Shown> {
    let mut publisher = Publisher::default();
    for whole in wholes {
        publisher.publish(whole, crate::clock::system()().tick).unwrap();
    }
    publisher.board().borrow().clone().unwrap()
}

fn name(name: &str) -> SecretName {
    SecretName::parse(name).unwrap()
}

fn changes(shown: &Shown, seen: u64) -> Result<Vec<(u64, Vec<String>)>, Forgotten> {
    let told = |change: &Change| (change.generation.0, change.names.iter().map(ToString::to_string).collect());
    shown.changes_after(Generation(seen)).map(|changes| changes.map(told).collect())
}

#[test]
fn each_name_knows_since_when_it_is_what_it_is() {
    let shown = shown(&[
        whole(3, &[("a", "1"), ("b", "1")]),
        whole(4, &[("a", "2"), ("b", "1")]),
        whole(7, &[("a", "2"), ("b", "1")]),
        whole(9, &[("a", "2"), ("c", "1")]),
    ]);
    assert_eq!(shown.since(&name("a")), Generation(4));
    assert_eq!(shown.since(&name("b")), Generation(9), "when it went");
    assert_eq!(shown.since(&name("c")), Generation(9));
    let of = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(changes(&shown, 3), Ok(vec![(4, of(&["a"])), (9, of(&["b", "c"]))]));
    assert_eq!(changes(&shown, 4), Ok(vec![(9, of(&["b", "c"]))]));
    assert_eq!(changes(&shown, 9), Ok(vec![]));
    assert_eq!(changes(&shown, 2), Err(Forgotten), "before this run has shown anything");
    assert_eq!(changes(&shown, 10), Err(Forgotten), "nobody can have seen it");
}

#[test]
fn so_many_changes_are_remembered() {
    let wholes: Vec<_> =
        (1..=REMEMBERED as u64 + 10).map(|number| whole(number, &[("a", &number.to_string())])).collect();
    let shown = shown(&wholes);
    assert_eq!(changes(&shown, 9), Err(Forgotten));
    assert_eq!(changes(&shown, 10).map(|changes| changes.len()), Ok(REMEMBERED));
}

#[test]
fn a_look_at_the_same_whole_is_no_news() {
    let mut publisher = Publisher::default();
    let tick = crate::clock::system()().tick;
    let first = publisher.publish(&whole(1, &[("a", "1")]), tick).unwrap();
    assert_eq!(first.changed, [PathBuf::from("a")]);
    let mut board = publisher.board();
    board.mark_unchanged();
    assert_eq!(publisher.publish(&whole(1, &[("a", "1")]), tick).unwrap().changed.len(), 0);
    assert!(!board.has_changed().unwrap());
    let gone = publisher.publish(&whole(2, &[]), tick).unwrap();
    assert_eq!((gone.changed.len(), gone.removed), (0, vec![PathBuf::from("a")]));
}
