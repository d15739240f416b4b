//! Access tokens: a small cache over exchanges. One flight per identity and scope, a failure shared by all who waited,
//! exactly the rejected token evicted, no timer. A token whose renewal fails is used until its end.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::flight::Flights;
use crate::failure::{Blame, Code, Failure, Kind};
use crate::moment::{Clock, later};
use crate::reference::IdentityName;
use crate::renewal::renew_after;
use crate::secret::SecretValue;

/// After a renewal that failed, nobody asks again for so long while the old token lasts.
const RENEWED_AGAIN: Duration = Duration::from_mins(1);
/// With less of its life left a token is not sent any more: it would arrive too late.
const TOO_LATE: Duration = Duration::from_secs(5);

/// An access token and how long it is used.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) value: SecretValue,
    /// When it is made anew.
    pub(super) renew_at: Instant,
    /// When it stops being good.
    pub(super) ends: Instant,
}

impl Token {
    /// A token that lives so long from `now`.
    pub(super) fn new(value: SecretValue, life: Duration, now: Instant) -> Self {
        Self { value, renew_at: later(now, renew_after(life)), ends: later(now, life) }
    }

    fn lasts(&self, now: Instant) -> bool {
        later(now, TOO_LATE.min(self.ends.saturating_duration_since(self.renew_at) / 2)) < self.ends
    }
}

/// How an identity makes a token: each kind of identity in its own way.
#[async_trait::async_trait]
pub(super) trait Exchange: Send + Sync {
    /// A new token for the scope, from one attempt.
    async fn exchange(&self, scope: &str, clock: &Clock) -> Result<Token, Failure>;
}

/// Whose token for what.
type Key = (IdentityName, String);
type Cache = Arc<Mutex<HashMap<Key, Kept>>>;

/// A token that was made, and until when nobody asks for its successor, because that was in vain.
struct Kept {
    token: Arc<Token>,
    put_off: Option<Instant>,
}

pub(super) struct Tokens {
    exchanges: BTreeMap<IdentityName, Arc<dyn Exchange>>,
    cache: Cache,
    flights: Flights<Key, Result<Arc<Token>, Failure>>,
    clock: Clock,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

impl Tokens {
    pub(super) fn new(exchanges: BTreeMap<IdentityName, Arc<dyn Exchange>>, clock: Clock) -> Self {
        Self { exchanges, cache: Cache::default(), flights: Flights::default(), clock }
    }

    /// A good token to send: the one that is there, the one that is on its way, or a new one.
    pub(super) async fn get(&self, identity: &IdentityName, scope: &str) -> Result<Arc<Token>, Failure> {
        let key = (identity.clone(), scope.to_owned());
        let now = (self.clock)().tick;
        if let Some(token) = self.kept(&key, |kept| {
            let put_off = kept.put_off.is_some_and(|until| now < until);
            now < kept.token.renew_at || put_off && kept.token.lasts(now)
        }) {
            return Ok(token);
        }
        let made = self.make(&key).await;
        made.or_else(|failure| self.kept(&key, |kept| kept.token.lasts((self.clock)().tick)).ok_or(failure))
    }

    /// A token to hand out, which must not be about to end: one whose renewal fails is none. But as long as any token of
    /// this identity lasts, others may well go on with theirs, and the failure is this scope's own trouble.
    pub(super) async fn renewed(&self, identity: &IdentityName, scope: &str) -> Result<Arc<Token>, Failure> {
        let key = (identity.clone(), scope.to_owned());
        let now = (self.clock)().tick;
        if let Some(token) = self.kept(&key, |kept| now < kept.token.renew_at) {
            return Ok(token);
        }
        self.make(&key).await.map_err(|failure| {
            let now = (self.clock)().tick;
            let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            let others_sign_in = cache.iter().any(|((whose, _), kept)| whose == identity && kept.token.lasts(now));
            if others_sign_in { failure.blamed_on(Blame::Object) } else { failure }
        })
    }

    /// Somebody refused this token: it is not used again. A newer one stays.
    pub(super) fn reject(&self, rejected: &Arc<Token>) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.retain(|_, kept| !Arc::ptr_eq(&kept.token, rejected));
    }

    fn kept(&self, key: &Key, is_good: impl FnOnce(&Kept) -> bool) -> Option<Arc<Token>> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.get(key).filter(|kept| is_good(kept)).map(|kept| Arc::clone(&kept.token))
    }

    async fn make(&self, key: &Key) -> Result<Arc<Token>, Failure> {
        let unknown = || Failure::new(Blame::Identity, Kind::Misconfigured, Code::new("no-such-identity"));
        let exchange = Arc::clone(self.exchanges.get(&key.0).ok_or_else(unknown)?);
        let flight = || {
            let (key, cache, clock) = (key.clone(), Arc::clone(&self.cache), Arc::clone(&self.clock));
            async move {
                let made = exchange.exchange(&key.1, &clock).await;
                let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
                match made {
                    Ok(token) => {
                        let token = Arc::new(token);
                        cache.insert(key, Kept { token: Arc::clone(&token), put_off: None });
                        Ok(token)
                    }
                    Err(failure) => {
                        if let Some(kept) = cache.get_mut(&key) {
                            kept.put_off = Some(later(clock().tick, RENEWED_AGAIN));
                        }
                        Err(failure)
                    }
                }
            }
        };
        let ended = || Err(Failure::new(Blame::Identity, Kind::Outage, Code::new("ended")));
        self.flights.join(key, flight).await.unwrap_or_else(ended)
    }
}
