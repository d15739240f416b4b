//! `keyferry get`: one value to standard output.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout as within;

use super::{Ended, init, start, stdout};
use crate::agent::Event;
use crate::cli::Global;
use crate::failure::Kind;
use crate::process;
use crate::secret::Part;
use crate::status::View;

/// A person waits: an outage is waited out no longer than this.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn get(
    global: &Global,
    what: &str,
    show: bool,
    environment: &BTreeMap<String, String>,
) -> Result<(), Ended> {
    stdout::may_be_written(show, "secret")?;
    let config = start::single(global, what, environment)?;
    let (agent, _) = start::agent(&config, environment, &start::metrics()?)?;
    let (view, mut followed) = (agent.view(), agent.view());
    let (tell, events) = mpsc::channel(1);
    let mut running = pin!(agent.run(events));
    tokio::select! {
        () = &mut running => return Err(init::why(&view.borrow(), &config)),
        _ = within(PATIENCE, followed.wait_for(is_decided)) => {}
    }
    tell.send(Event::Stop).await.ok();
    running.await;
    let view = view.borrow();
    let mut secrets = view.snapshot.iter().flat_map(|snapshot| snapshot.secrets.values());
    let Some(value) = secrets.find_map(|secret| secret.part(Part::Value).or_else(|| secret.part(Part::Bundle))) else {
        return Err(init::why(&view, &config));
    };
    let newline: &[u8] = if process::stdout_is_terminal() { b"\n" } else { b"" };
    stdout::write(&[value.expose(), newline])
}

/// Whether everything is there, or has been heard of and something fails in a way that does not mend in a moment.
pub(super) fn is_decided(view: &View) -> bool {
    let passes = |kind| matches!(kind, Kind::Outage | Kind::Throttled);
    let mut failures = view.status.unfetched().filter_map(|(_, status)| status.failure.as_ref());
    view.is_fresh() || view.is_published() && failures.any(|failure| !passes(failure.kind))
}
