use proptest::prelude::*;

use super::*;

#[test]
fn a_share_is_no_more_than_a_share() {
    for users in 1..=10 {
        let slots = Slots::new(Most::shared(512, users));
        let take = |share| std::iter::from_fn(|| slots.take(share)).collect::<Vec<Slot>>();
        let strangers = take(Share::Strangers);
        assert_eq!(strangers.len(), 64);
        // Whatever the others hold, the last one has as much as the first.
        let shares: Vec<_> = (0..users).map(|uid| take(Share::Uid(u32::try_from(uid).unwrap()))).collect();
        assert!(shares.iter().all(|share| share.len() == 448 / users), "{users}");
    }
}

proptest! {
    #[test]
    fn whatever_is_taken_and_given_back_it_stays_within_bounds(moves in prop::collection::vec((0u32..4, any::<bool>()), 0..200)) {
        let slots = Slots::new(Most { in_all: 6, of_each: 3, of_strangers: 0 });
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
