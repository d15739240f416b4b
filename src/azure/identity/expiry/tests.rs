use proptest::prelude::*;
use serde_json::json;

use super::*;

const NOW: u64 = 1_700_000_000;

fn lives(expires_on: &Value, expires_in: &Value) -> Option<u64> {
    life(Some(expires_on), Some(expires_in), UnixTime::from_seconds(NOW).unwrap()).map(|life| life.as_secs())
}

#[test]
fn every_form_that_was_seen_is_read() {
    for on in [
        json!(NOW + 3600),
        json!((NOW + 3600).to_string()),
        json!("11/14/2023 23:13:20"),
        json!("11/14/2023 23:13:20 +00:00"),
        json!("11/14/2023 11:13:20 PM +00:00"),
        json!("2023-11-14 23:13:20"),
        json!("2023-11-14T23:13:20Z"),
        json!("2023-11-14T23:13:20.1234567Z"),
        json!("2023-11-15T00:13:20+01:00"),
        json!("2023-11-14T18:13:20-05:00"),
    ] {
        assert_eq!(lives(&on, &json!(null)), Some(3600), "{on}");
    }
    assert_eq!(date("01/01/1970 12:00:00 AM"), Some(0));
    assert_eq!(date("2000-02-29 00:00:00"), Some(951_782_400));
    assert_eq!(date("2100-03-01 00:00:00"), Some(4_107_542_400));
}

#[test]
fn without_an_end_or_past_it_the_duration_counts() {
    for (on, in_, seconds) in [
        (json!(null), json!(86000), Some(86000)),
        (json!(null), json!("86000"), Some(86000)),
        (json!("soon"), json!("60"), Some(60)),
        // This machine's clock is ahead.
        (json!(NOW - 1), json!(60), Some(60)),
        (json!(NOW - 1), json!(0), None),
        (json!(null), json!(null), None),
    ] {
        assert_eq!(lives(&on, &in_), seconds, "{on} {in_}");
    }
}

#[test]
fn hostile_numbers_are_cut_or_none() {
    let week = LONGEST_LIFE.as_secs();
    for (on, in_, seconds) in [
        (json!(u64::MAX), json!(null), None),
        (json!(253_402_300_799_u64), json!(null), Some(week)),
        (json!("99999999999999999999999999"), json!(u64::MAX), Some(week)),
        (json!(-1), json!(-1), None),
        (json!(1e300), json!(1e300), None),
        (json!("9999-12-31 23:59:59"), json!(null), Some(week)),
        (json!("0000-01-01 00:00:00"), json!(null), None),
        (json!("1970-01-01T00:00:00+23:59"), json!(null), None),
        (json!("2023-13-01 00:00:00"), json!(null), None),
        (json!("2023-11-14 24:00:00"), json!(null), None),
        (json!([]), json!({}), None),
    ] {
        assert_eq!(lives(&on, &in_), seconds, "{on} {in_}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(on in "\\PC{0,40}", in_ in "[0-9.e+-]{0,30}") {
        let life = life(Some(&json!(on)), Some(&json!(in_)), UnixTime::from_seconds(NOW).unwrap());
        prop_assert!(life.is_none_or(|life| life <= LONGEST_LIFE));
    }

    #[test]
    fn no_date_makes_it_panic(text in "[0-9]{1,5}[-/][0-9]{1,3}[-/][0-9]{1,5}[ T][0-9]{1,3}:[0-9]{1,3}:[0-9]{1,3}( AM| PM)?(Z|[+-][0-9]{1,3}:[0-9]{1,3})?") {
        date(&text);
    }
}
