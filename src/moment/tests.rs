use super::*;

#[test]
fn a_while_is_told_by_its_two_greatest_units() {
    let table = [
        (0, "0s"),
        (59, "59s"),
        (61, "1m 1s"),
        (3_661, "1h 1m"),
        (86_400, "1day"),
        (90_061, "1day 1h"),
        (6 * 31_557_600 + 2 * 2_630_016 + 86_461, "6years 2months"),
    ];
    for (seconds, words) in table {
        assert_eq!(roughly(Duration::from_secs(seconds)), words);
    }
    assert_eq!(roughly(Duration::from_millis(1_999)), "1s");
    assert!(roughly(Duration::MAX).split(' ').count() <= 2);
}
