use proptest::prelude::*;

use super::*;

#[test]
fn a_quarter_is_left_or_ten_minutes_but_never_more_than_half() {
    for (life, renewed) in [(86_400, 64_800), (3600, 2700), (2400, 1800), (1800, 1200), (1200, 600), (600, 300), (2, 1)]
    {
        assert_eq!(renew_after(Duration::from_secs(life)), Duration::from_secs(renewed), "{life}");
    }
    assert_eq!(renew_after(Duration::ZERO), Duration::ZERO);
}

proptest! {
    #[test]
    fn it_lies_between_half_of_the_life_and_its_end(seconds in 0..u64::MAX, nanos in 0..1_000_000_000_u32) {
        let life = Duration::new(seconds, nanos);
        let renewed = renew_after(life);
        prop_assert!(renewed <= life && renewed >= life / 2);
    }
}
