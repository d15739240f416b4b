//! Access tokens for unmodified Azure SDKs: keyferry plays the services that give a managed identity's tokens, on loopback,
//! for the scopes of the configuration and nothing else. Who asks and in which way is looked at first (`route`); a token
//! that cannot be had is a `trouble`, which is answered as an SDK understands it.

mod answer;
mod query;
mod route;
mod trouble;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use tokio::sync::watch;

use super::body::Body;
use super::door::{Caller, Door};
use super::guard::{self, Refusal};
use super::listen::{Answers, End, Limits, Listener};
use super::slots::{Most, Share};
use crate::advice;
use crate::config::{DEFAULT_IDENTITY, Identity};
use crate::failure::Failure;
use crate::metrics::Metrics;
use crate::moment::Clock;
use crate::ports::{Mint, Minted};
use crate::reference::{IdentityName, Object, Scope};
use route::{APP_SERVICE, IMDS, Offer, Shape};
use trouble::Troubles;

/// An application asks once an hour; one that starts many workers asks for each.
const CONNECTIONS: usize = 256;

/// Gives tokens to whom its door lets in.
pub struct Tokens<M> {
    mint: Arc<M>,
    scopes: Vec<Scope>,
    identities: BTreeMap<IdentityName, Identity>,
    door: Door,
    clock: Clock,
    metrics: Metrics,
    identity: IdentityName,
    troubles: Mutex<Troubles>,
}

impl<M: Mint> Tokens<M> {
    /// Tokens of the identity `default` for these scopes.
    pub fn new(
        mint: Arc<M>,
        scopes: Vec<Scope>,
        identities: BTreeMap<IdentityName, Identity>,
        door: Door,
        (clock, metrics): (Clock, Metrics),
    ) -> Self {
        let identity = IdentityName(DEFAULT_IDENTITY.to_owned());
        Self { mint, scopes, identities, door, clock, metrics, identity, troubles: Mutex::default() }
    }

    /// Answers at a port, until nobody holds the other end of `stopped`.
    pub async fn serve(self, listener: Listener, stopped: watch::Receiver<()>) {
        let limits = Limits { connections: Most::shared(CONNECTIONS, self.door.users()), lifetime: None };
        listener.serve(Arc::new(self), limits, stopped).await;
    }

    fn client(&self) -> Option<&str> {
        self.identities.get(&self.identity).and_then(Identity::client)
    }

    /// What is asked for, by somebody who may.
    fn admit<B: hyper::body::Body>(
        &self,
        shape: Option<Shape>,
        request: &Request<B>,
        caller: &Caller,
    ) -> Result<(Shape, &Scope), Refusal> {
        guard::check(request)?;
        let nothing = || {
            let message = format!("there is nothing here: ask for {IMDS} or {APP_SERVICE}");
            Refusal::new(StatusCode::NOT_FOUND, "not_found", message)
        };
        let shape = shape.ok_or_else(nothing)?;
        shape.check(request, self.door.wants_token())?;
        self.door.admit(caller, request.headers())?;
        let offer = Offer { scopes: &self.scopes, client: self.client() };
        Ok((shape, shape.wanted(request.uri().query(), offer)?))
    }

    async fn give(&self, shape: Shape, scope: &Scope) -> Result<Response<Body>, Refusal> {
        let minted = self.minted(scope).await?;
        let text = answer::written(shape, &minted, (scope, self.client()), (self.clock)().wall);
        let unusable = || {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", "the token that came is no text")
        };
        text.map(answer::granted).ok_or_else(unusable)
    }

    async fn minted(&self, scope: &Scope) -> Result<Minted, Refusal> {
        let troubles = || self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((failure, stands)) = troubles().standing(scope, (self.clock)().tick) {
            return Err(trouble::refusal(failure, stands));
        }
        match self.mint.mint(&self.identity, scope).await {
            Ok(minted) => {
                if troubles().mended(scope) {
                    tracing::info!(%scope, "tokens for {scope} are given again");
                }
                Ok(minted)
            }
            Err(failure) => {
                let (stands, is_news) = troubles().failed(scope, &failure, (self.clock)().tick);
                if is_news {
                    self.tell(scope, &failure);
                }
                Err(trouble::refusal(&failure, stands))
            }
        }
    }

    fn tell(&self, scope: &Scope, failure: &Failure) {
        let object = Object::Token { identity: self.identity.clone(), scope: scope.clone() };
        let told = advice::told(failure, &object, &self.identities);
        tracing::warn!(%scope, code = failure.code.as_str(), "no token can be given for {scope}: {told}");
    }
}

impl<M: Mint> Answers for Tokens<M> {
    type Caller = Caller;

    async fn meet(&self, end: End<'_>) -> (Caller, Share) {
        self.door.meet(end).await
    }

    async fn answer(&self, request: Request<Incoming>, caller: &Caller) -> Response<Body> {
        let shape = Shape::of(request.uri().path());
        let given = match self.admit(shape, &request, caller) {
            Ok((shape, scope)) => self.give(shape, scope).await,
            Err(refusal) => Err(refusal),
        };
        let response = given.unwrap_or_else(|refusal| answer::refused(shape.unwrap_or(Shape::Imds), refusal));
        self.metrics.answered(shape.map_or("other", Shape::name), response.status().as_u16());
        response
    }
}

impl<M> fmt::Debug for Tokens<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}
