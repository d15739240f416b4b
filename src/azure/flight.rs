//! One flight at a time per key: whoever comes while it is under way waits for its outcome and shares it, good or bad.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

pub(super) struct Flights<K, V> {
    under_way: Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>,
}

impl<K: Clone + Eq + Hash + Send + 'static, V: Clone + Send + Sync + 'static> Flights<K, V> {
    /// Waits for the flight of this key, which `start` begins if none is under way. The flight goes on when whoever
    /// began it is gone. None only when the runtime ends under it.
    pub(super) async fn join<F>(&self, key: &K, start: impl FnOnce() -> F) -> Option<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut outcome = {
            let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(outcome) = under_way.get(key) {
                outcome.clone()
            } else {
                let (tell, outcome) = watch::channel(None);
                let flight = start();
                under_way.insert(key.clone(), outcome.clone());
                let (flights, key) = (Arc::clone(&self.under_way), key.clone());
                tokio::spawn(async move {
                    let value = flight.await;
                    // First nobody can join it any more, then its outcome is told: whoever comes next flies anew.
                    flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
                    tell.send_replace(Some(value));
                });
                outcome
            }
        };
        outcome.wait_for(Option::is_some).await.ok().and_then(|value| value.clone())
    }
}

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self { under_way: Arc::default() }
    }
}

impl<K, V> fmt::Debug for Flights<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flights")
    }
}
