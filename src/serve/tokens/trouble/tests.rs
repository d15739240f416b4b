#![expect(clippy::disallowed_methods, reason = "some instant is needed to count from")]

use super::*;
use crate::failure::{Blame, Code};

fn failure(kind: Kind, after: Option<u64>) -> Failure {
    let failure = Failure::new(Blame::Identity, kind, Code::new("AADSTS1")).because("detail");
    Failure { after: after.map(Duration::from_secs), ..failure }
}

fn scope() -> Scope {
    Scope::parse("https://cognitiveservices.azure.com/.default").unwrap()
}

#[test]
fn what_passes_is_tried_again_and_what_does_not_is_not() {
    for (kind, status, code, after) in [
        (Kind::Throttled, 429, "too_many_requests", Some("2")),
        (Kind::Outage, 503, "temporarily_unavailable", Some("2")),
        (Kind::Content, 503, "temporarily_unavailable", Some("2")),
        (Kind::Denied, 400, "unauthorized_client", None),
        (Kind::Missing, 400, "unauthorized_client", None),
        (Kind::Disabled, 400, "unauthorized_client", None),
        (Kind::Misconfigured, 400, "invalid_request", None),
    ] {
        let refusal = refusal(&failure(kind, None), Duration::from_millis(1001));
        assert_eq!((refusal.status.as_u16(), refusal.code), (status, code), "{kind:?}");
        let (name, value) = refusal.header.unzip();
        assert_eq!(name, after.map(|_| RETRY_AFTER), "{kind:?}");
        assert_eq!(value, after.map(HeaderValue::from_static), "{kind:?}");
        assert_eq!(refusal.message, "keyferry cannot get the token (AADSTS1): its log says what to do");
    }
}

#[test]
fn a_failure_stands_for_as_long_as_it_wants_within_bounds() {
    let now = Instant::now();
    for (kind, after, seconds) in [
        (Kind::Throttled, None, 1),
        (Kind::Throttled, Some(0), 1),
        (Kind::Throttled, Some(17), 17),
        (Kind::Throttled, Some(3600), 300),
        (Kind::Throttled, Some(u64::MAX), 300),
        (Kind::Outage, None, 1),
        (Kind::Denied, None, 5),
        (Kind::Misconfigured, None, 5),
    ] {
        let mut troubles = Troubles::default();
        let (stands, _) = troubles.failed(&scope(), &failure(kind, after), now);
        assert_eq!(stands.as_secs(), seconds, "{kind:?} {after:?}");
        let before = now + stands.saturating_sub(Duration::from_millis(1));
        assert_eq!(troubles.standing(&scope(), before).map(|(_, left)| left.as_millis()), Some(1));
        assert!(troubles.standing(&scope(), now + stands).is_none());
        let other = Scope::parse("https://ai.azure.com/.default").unwrap();
        assert!(troubles.standing(&other, now).is_none(), "of another scope nothing is known");
    }
}

#[test]
fn the_same_trouble_is_news_once_and_so_is_its_end() {
    let now = Instant::now();
    let mut troubles = Troubles::default();
    assert!(!troubles.mended(&scope()));
    assert!(troubles.failed(&scope(), &failure(Kind::Outage, None), now).1);
    assert!(!troubles.failed(&scope(), &failure(Kind::Outage, Some(9)), now).1);
    assert!(troubles.failed(&scope(), &failure(Kind::Denied, None), now).1);
    assert!(troubles.mended(&scope()));
    assert!(!troubles.mended(&scope()));
    assert!(troubles.standing(&scope(), now).is_none());
}
