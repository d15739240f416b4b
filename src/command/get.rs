//! `keyferry get`: one value to standard output.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout as within;

use super::{Ended, init, start};
use crate::agent::Event;
use crate::cli::Global;
use crate::exit::Exit;
use crate::failure::Kind;
use crate::process;
use crate::secret::Part;
use crate::status::View;

/// A person waits: an outage is waited out no longer than this.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn get(
    global: &Global,
    what: &str,
    show: bool,
    environment: &BTreeMap<String, String>,
) -> Result<(), Ended> {
    let terminal = process::stdout_is_terminal();
    if !show && (terminal || process::is_first_process()) {
        let whose = if terminal { "a terminal" } else { "the container's log" };
        return Err(Ended::new(
            Exit::Usage,
            format!("standard output is {whose}: to write the secret there, add --show"),
        ));
    }
    let config = start::single(global, what, environment)?;
    let (agent, _) = start::agent(&config, environment)?;
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
    let mut stdout = std::io::stdout().lock();
    let newline: &[u8] = if terminal { b"\n" } else { b"" };
    stdout
        .write_all(value.expose())
        .and_then(|()| stdout.write_all(newline))
        .and_then(|()| stdout.flush())
        .map_err(|error| Ended::new(Exit::CannotWrite, format!("standard output cannot be written: {error}")))
}

/// Whether the value is there, or its failure is none that mends in a moment.
fn is_decided(view: &View) -> bool {
    let passes = |kind| matches!(kind, Kind::Outage | Kind::Throttled);
    view.is_fresh()
        || view
            .status
            .unfetched()
            .any(|(_, status)| status.failure.as_ref().is_some_and(|failure| !passes(failure.kind)))
}
