//! Access tokens: a small cache over exchanges. One flight per identity and scope, a failure shared by all who waited,
//! exactly the rejected token evicted, no timer.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::flight::Flights;
use crate::failure::{Blame, Code, Failure, Kind};
use crate::moment::{Clock, later};
use crate::reference::IdentityName;
use crate::secret::SecretValue;

/// How long before its end a token is made anew; at most half its life.
const RENEWED_BEFORE_END: Duration = Duration::from_mins(5);

/// An access token and until when it is used.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) value: SecretValue,
    renew_at: Instant,
}

impl Token {
    /// A token that lives so long from `now`.
    pub(super) fn new(value: SecretValue, life: Duration, now: Instant) -> Self {
        let used = life.saturating_sub(RENEWED_BEFORE_END.min(life / 2));
        Self { value, renew_at: later(now, used) }
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
type Cache = Arc<Mutex<HashMap<Key, Arc<Token>>>>;

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

    /// A good token that is there already.
    fn cached(&self, identity: &IdentityName, scope: &str) -> Option<Arc<Token>> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let token = cache.get(&(identity.clone(), scope.to_owned()))?;
        ((self.clock)().tick < token.renew_at).then(|| Arc::clone(token))
    }

    /// A good token: the one that is there, the one that is on its way, or a new one.
    pub(super) async fn get(&self, identity: &IdentityName, scope: &str) -> Result<Arc<Token>, Failure> {
        if let Some(token) = self.cached(identity, scope) {
            return Ok(token);
        }
        let unknown = || Failure::new(Blame::Identity, Kind::Misconfigured, Code::new("no-such-identity"));
        let exchange = Arc::clone(self.exchanges.get(identity).ok_or_else(unknown)?);
        let key = (identity.clone(), scope.to_owned());
        let flight = || {
            let (key, cache, clock) = (key.clone(), Arc::clone(&self.cache), Arc::clone(&self.clock));
            async move {
                let token = Arc::new(exchange.exchange(&key.1, &clock).await?);
                cache.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&token));
                Ok(token)
            }
        };
        let ended = || Err(Failure::new(Blame::Identity, Kind::Outage, Code::new("ended")));
        self.flights.join(&key, flight).await.unwrap_or_else(ended)
    }

    /// Somebody refused this token: it is not used again. A newer one stays.
    pub(super) fn reject(&self, rejected: &Arc<Token>) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.retain(|_, token| !Arc::ptr_eq(token, rejected));
    }
}
