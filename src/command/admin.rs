//! The admin endpoint, joined with the loop.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::Ended;
use crate::agent::Event;
use crate::clock;
use crate::config::Config;
use crate::exit::Exit;
use crate::metrics::Metrics;
use crate::ports::Pulse;
use crate::serve::{Admin, Listener};
use crate::status::View;

/// A loop that has not turned for so long hangs; no probe waits longer than a few seconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the loop.
struct Loop(mpsc::Sender<Event>);

impl Pulse for Loop {
    async fn beats(&self) -> bool {
        let (answer, answered) = oneshot::channel();
        let asked = async { self.0.send(Event::Pulse(answer)).await.is_ok() && answered.await.is_ok() };
        timeout(PATIENCE, asked).await.unwrap_or(false)
    }
}

/// Opens the port, if the configuration wants one, and says whether metrics name secrets there.
pub(super) async fn open(config: &Config) -> Result<Option<(Listener, bool)>, Ended> {
    let Some(admin) = &config.admin else { return Ok(None) };
    let wrong = |reason| Ended::new(Exit::Config, format!("admin.listen {reason}; choose another address or port"));
    let listener = Listener::open(admin.listen).await.map_err(wrong)?;
    let address = listener.address().map(|address| address.to_string()).unwrap_or_default();
    tracing::info!(address, "probes are answered at http://{address}: /livez, /readyz, /metrics");
    Ok(Some((listener, admin.secret_names)))
}

/// Answers until nobody holds the other end of `stopped`.
pub(super) async fn serve(
    (listener, secret_names): (Listener, bool),
    (tell, metrics): (mpsc::Sender<Event>, Metrics),
    view: watch::Receiver<View>,
    stopped: watch::Receiver<()>,
) {
    let admin = Admin { pulse: Loop(tell), metrics, secret_names, view, clock: clock::system() };
    admin.serve(listener, stopped).await;
}
