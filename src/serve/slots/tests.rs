use proptest::prelude::*;

use super::*;

#[test]
fn a_share_is_no_more_than_a_share() {
    let slots = Slots::new(Most { in_all: 5, of_each: 2 });
    let hoarded: Vec<Slot> = (0..10).filter_map(|_| slots.take(Share::Strangers)).collect();
    assert_eq!(hoarded.len(), 2);
    let known: Vec<Slot> = (0..10).filter_map(|uid| slots.take(Share::Uid(uid))).collect();
    assert_eq!(known.len(), 3, "there are five in all");
    drop(hoarded);
    assert!(slots.take(Share::Uid(0)).is_some(), "a second one of the same");
}

proptest! {
    #[test]
    fn whatever_is_taken_and_given_back_it_stays_within_bounds(moves in prop::collection::vec((0u32..4, any::<bool>()), 0..200)) {
        let slots = Slots::new(Most { in_all: 6, of_each: 3 });
        let mut held: Vec<(u32, Slot)> = Vec::new();
        for (uid, take) in moves {
            if take {
                let own = held.iter().filter(|(other, _)| *other == uid).count();
                let slot = slots.take(Share::Uid(uid));
                prop_assert_eq!(slot.is_some(), own < 3 && held.len() < 6);
                held.extend(slot.map(|slot| (uid, slot)));
            } else if let Some(at) = held.iter().position(|(other, _)| *other == uid) {
                held.remove(at);
            }
        }
        drop(held);
        prop_assert!(slots.taken.lock().unwrap().is_empty());
    }
}
