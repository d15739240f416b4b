//! What `get` and `env` do: the loop until everything wanted is there, or it is known that it will not be soon.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout as within;

use super::start::{self, Started};
use super::{Ended, init};
use crate::agent::Event;
use crate::config::Config;
use crate::failure::Kind;
use crate::status::View;

/// A person waits, or a script: an outage is waited out no longer than this.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Where that was not enough.
pub(super) const TO_LEARN: &str = "keyferry check tells which";

/// What is known once that is decided. `config` publishes nothing.
pub(super) async fn look(config: &Config, environment: &BTreeMap<String, String>) -> Result<View, Ended> {
    let Started { agent, .. } = start::agent(config, environment, None)?;
    let (view, mut followed) = (agent.view(), agent.view());
    let (tell, events) = mpsc::channel(1);
    let mut running = pin!(agent.run(events));
    tokio::select! {
        () = &mut running => return Err(init::why(&view.borrow(), config, TO_LEARN)),
        _ = within(PATIENCE, followed.wait_for(is_decided)) => {}
    }
    tell.send(Event::Stop).await.ok();
    running.await;
    let view = view.borrow();
    Ok(view.clone())
}

/// Whether everything is there, or has been heard of and something fails in a way that does not mend in a moment.
fn is_decided(view: &View) -> bool {
    let passes = |kind| matches!(kind, Kind::Outage | Kind::Throttled);
    let mut failures = view.status.unfetched().filter_map(|(_, status)| status.failure.as_ref());
    view.is_fresh() || view.is_published() && failures.any(|failure| !passes(failure.kind))
}
