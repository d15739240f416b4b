//! The first words with a vault carry no token: its challenge is heard and compared before it gets one.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use azure_core::http::headers::Headers;
use azure_core::http::{Method, Url};

use super::bearer::Bearer;
use super::challenge::Expected;
use super::flight::Flights;
use super::refusal;
use crate::failure::{Blame, Code, Failure, Kind};
use crate::reference::{IdentityName, VaultHost};

/// A vault, and as whom.
type Key = (VaultHost, IdentityName);

#[derive(Debug)]
pub(super) struct Greetings {
    expected: Arc<Expected>,
    bearer: Arc<Bearer>,
    /// Those whose challenge was compared.
    greeted: Arc<Mutex<HashSet<Key>>>,
    flights: Flights<Key, Result<(), Failure>>,
}

impl Greetings {
    pub(super) fn new(expected: Expected, bearer: Arc<Bearer>) -> Self {
        Self { expected: Arc::new(expected), bearer, greeted: Arc::default(), flights: Flights::default() }
    }

    /// Hears the vault's challenge, unless it was heard before. Whoever begins uses his own URL, and what is wrong with
    /// the answer to that alone is his own trouble: the others try with theirs.
    pub(super) async fn greet(&self, identity: &IdentityName, vault: &VaultHost, url: &Url) -> Result<(), Failure> {
        let key = (vault.clone(), identity.clone());
        loop {
            if self.greeted.lock().unwrap_or_else(PoisonError::into_inner).contains(&key) {
                return Ok(());
            }
            let mut own = false;
            let flight = || {
                own = true;
                let (bearer, url, greeted) = (Arc::clone(&self.bearer), url.clone(), Arc::clone(&self.greeted));
                let (expected, key) = (Arc::clone(&self.expected), key.clone());
                async move {
                    // Whoever hangs in the middle of this answer hangs for everybody.
                    let hangs = |failure: Failure| {
                        if failure.code.as_str() == "timeout" { failure.blamed_on(Blame::Host) } else { failure }
                    };
                    let response = bearer.once(Method::Get, &url, None).await.map_err(hangs)?;
                    if u16::from(response.status()) != 401 {
                        // It does not even want a token: no vault, or none that is well.
                        return Err(refusal::failure(&response).blamed_on(Blame::Host));
                    }
                    expected.hear(response.headers(), &key.1)?;
                    greeted.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
                    Ok(())
                }
            };
            let ended = || Err(Failure::new(Blame::Host, Kind::Outage, Code::new("ended")));
            let outcome = self.flights.join(&key, flight).await.unwrap_or_else(ended);
            if own || !outcome.as_ref().is_err_and(|failure| failure.blame == Blame::Object) {
                return outcome;
            }
        }
    }

    /// Compares a later challenge. A vault that asks for other tokens than when it was greeted is greeted again: the
    /// next words with it carry none.
    pub(super) fn verify(&self, headers: &Headers, identity: &IdentityName, vault: &VaultHost) -> Result<(), Failure> {
        self.expected.verify(headers, identity).map(drop).inspect_err(|_| {
            let key = (vault.clone(), identity.clone());
            self.greeted.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        })
    }
}
