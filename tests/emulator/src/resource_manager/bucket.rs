//! Token buckets: how many requests each client may make at once, reads apart from writes.

use std::collections::HashMap;
use std::time::Duration;

use super::refusal::ManagerRefusal;

/// A thousandth of a request, so that a bucket fills by the millisecond.
const ONE: u64 = 1000;
/// What a bucket that never fills again says about retrying.
const LONG: u64 = 300;

/// How large a client's bucket is, and how fast it fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Requests that a full bucket allows at once.
    pub size: u32,
    /// Requests it regains each second; with 0 it stays empty once it is.
    pub per_second: u32,
}

/// A request that was allowed: the header that tells what is left, and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) counter: &'static str,
    pub(crate) remaining: u64,
}

/// The buckets in use, by subscription, client and whether it is that of writes.
#[derive(Debug, Default)]
pub(crate) struct Buckets(HashMap<(String, String, bool), Level>);

#[derive(Debug)]
struct Level {
    left: u64,
    at: Duration,
}

impl Buckets {
    /// Takes one request out of a bucket.
    pub(crate) fn spend(
        &mut self,
        bucket: Bucket,
        write: bool,
        subscription: &str,
        client: &str,
        now: Duration,
    ) -> Result<Spent, ManagerRefusal> {
        let full = u64::from(bucket.size) * ONE;
        let key = (subscription.to_ascii_lowercase(), client.to_ascii_lowercase(), write);
        let level = self.0.entry(key).or_insert(Level { left: full, at: now });
        let elapsed = u64::try_from(now.saturating_sub(level.at).as_millis()).unwrap_or(u64::MAX);
        level.left = level.left.saturating_add(elapsed.saturating_mul(bucket.per_second.into())).min(full);
        level.at += Duration::from_millis(elapsed);
        let Some(left) = level.left.checked_sub(ONE) else {
            let retry_after = match u64::from(bucket.per_second) * ONE {
                0 => LONG,
                refill => (ONE - level.left).div_ceil(refill),
            };
            return Err(ManagerRefusal::Throttled { write, retry_after });
        };
        level.left = left;
        let counter = if write {
            "x-ms-ratelimit-remaining-subscription-writes"
        } else {
            "x-ms-ratelimit-remaining-subscription-reads"
        };
        Ok(Spent { counter, remaining: left / ONE })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_fills_and_does_not_overflow() {
        let mut buckets = Buckets::default();
        let bucket = Bucket { size: 2, per_second: 1 };
        let mut spend = |write, client: &str, millis| {
            buckets.spend(bucket, write, "s", client, Duration::from_millis(millis)).map(|spent| spent.remaining)
        };
        assert_eq!([spend(true, "a", 0), spend(true, "A", 0)], [Ok(1), Ok(0)]);
        assert_eq!(spend(true, "a", 400), Err(ManagerRefusal::Throttled { write: true, retry_after: 1 }));
        assert_eq!([spend(false, "a", 400), spend(true, "b", 400)], [Ok(1), Ok(1)], "they are apart");
        assert_eq!(spend(true, "a", 1000), Ok(0));
        assert_eq!(spend(true, "a", 60_000), Ok(1));
    }

    #[test]
    fn a_bucket_that_does_not_fill_says_to_wait_long() {
        let refused =
            Buckets::default().spend(Bucket { size: 0, per_second: 0 }, false, "s", "a", Duration::from_secs(9));
        assert_eq!(refused, Err(ManagerRefusal::Throttled { write: false, retry_after: LONG }));
    }
}
