//! The endpoint for tokens, joined with who makes them.

use std::sync::Arc;

use tokio::sync::watch;

use super::Ended;
use super::serve::{Opened, on_loopback};
use super::sources::Sources;
use crate::clock;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::reference::Scope;
use crate::secret::SecretValue;
use crate::serve::{Door, Listener, Tokens};

/// A port that is open, and what the configuration says of it.
pub(super) struct Brokering<'a> {
    listener: Listener,
    door: Door,
    address: String,
    config: &'a Config,
    scopes: &'a [Scope],
}

/// Opens the port, if the configuration wants one.
pub(super) async fn open(config: &Config) -> Result<Option<Brokering<'_>>, Ended> {
    let Some(tokens) = &config.serve.tokens else { return Ok(None) };
    let callers = (&tokens.callers, config.serve.allow_disk);
    let opened = on_loopback("serve.tokens", tokens.listen, callers, Door::for_identity_header).await?;
    let Opened { listener, door, address, whom } = opened;
    let scopes = &tokens.scopes;
    let named: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
    tracing::info!(address, "tokens are given at http://{address}: {whom}, for {}", named.join(", "));
    Ok(Some(Brokering { listener, door, address, config, scopes }))
}

impl Brokering<'_> {
    /// By what an Azure SDK finds it: App Service's own variables.
    pub(super) fn variables(&self) -> [(&'static str, SecretValue); 2] {
        let endpoint = format!("http://{}/msi/token", self.address);
        [
            ("IDENTITY_ENDPOINT", SecretValue::new(endpoint.into_bytes())),
            ("IDENTITY_HEADER", self.door.identity_header()),
        ]
    }

    /// Answers until nobody holds the other end of `stopped`.
    pub(super) async fn serve(self, source: &Arc<Sources>, metrics: Metrics, stopped: watch::Receiver<()>) {
        let (mint, scopes, identities) = (Arc::clone(source), self.scopes.to_vec(), self.config.identities.clone());
        let tokens = Tokens::new(mint, scopes, identities, self.door, (clock::system(), metrics));
        tokens.serve(self.listener, stopped).await;
    }
}
