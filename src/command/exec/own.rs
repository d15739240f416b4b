//! The variables as keyferry makes them itself, with an identity of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::given::Given;
use super::latest::Latest;
use super::{Ended, Told, told};
use crate::agent::Agent;
use crate::command::init;
use crate::command::sources::Sources;
use crate::command::start::{self, Started};
use crate::config::Config;
use crate::exit::Exit;
use crate::metrics::Metrics;
use crate::snapshot::Snapshot;

/// Where the deadline was too near.
const TO_LEARN: &str = "give it more time (startup.timeout) to learn which";

/// An agent that publishes to nobody else.
pub(super) struct Own<'a> {
    config: &'a Config,
    agent: Agent<Sources>,
    newest: watch::Receiver<Option<Arc<Snapshot>>>,
}

impl<'a> Own<'a> {
    /// With it comes what makes its tokens, and what counts.
    pub(super) fn new(
        config: &'a Config,
        environment: &BTreeMap<String, String>,
    ) -> Result<(Self, Arc<Sources>, Metrics), Ended> {
        start::tell_identities(config);
        let latest = Latest::default();
        let newest = latest.follow();
        let Started { agent, source, metrics } = start::agent(config, environment, Some(Box::new(latest)))?;
        Ok((Self { config, agent, newest }, source, metrics))
    }

    /// Tells the first variables once every secret is there, or why they will not be; then whatever is new.
    pub(super) async fn give(self, tell: watch::Sender<Told>) {
        let Self { config, agent, mut newest } = self;
        let (view, mut followed) = (agent.view(), agent.view());
        // As long as this lives, it goes on.
        let (_events, events) = mpsc::channel(1);
        let telling = async {
            let fetched = followed.wait_for(|view| view.is_fresh() || init::cannot_mend(view));
            timeout(config.startup_timeout, fetched).await.ok();
            if !view.borrow().is_fresh() {
                return told(&tell, Err(init::why(&view.borrow(), config, TO_LEARN)));
            }
            loop {
                let snapshot = newest.borrow_and_update().clone();
                if let Some(snapshot) = snapshot {
                    told(&tell, Given::of(&snapshot));
                }
                if newest.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = agent.run(events) => told(&tell, Err(Ended::new(Exit::Bug, "the loop has ended"))),
            () = telling => {}
        }
    }
}
