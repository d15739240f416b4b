//! The endpoints for values, joined with the loop.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::Ended;
use crate::agent::Event;
use crate::config::Config;
use crate::config::admin::Listen;
use crate::config::serve::{Allow, Callers};
use crate::exit::Exit;
use crate::metrics::Metrics;
use crate::ports::{Refresh, Sink};
use crate::secret::SecretValue;
use crate::serve::{Door, Listener, Publisher, Values, token_file};
use crate::status::View;
use crate::{clock, process};

/// What is open, and what is shown there.
pub(super) struct Serving {
    publisher: Publisher,
    /// What tells this run's tags from every other's.
    run: [u8; 16],
    doors: Vec<(Listener, Door)>,
}

/// Asks the loop.
struct Loop(mpsc::Sender<Event>);

impl Refresh for Loop {
    async fn refresh(&self) {
        // One that has ended refreshes nothing any more.
        drop(self.0.send(Event::Refresh).await);
    }
}

/// Opens the socket and the port that the configuration wants.
pub(super) async fn open(config: &Config) -> Result<Option<Serving>, Ended> {
    let wrong = |reason| Ended::new(Exit::Config, reason);
    if !config.serve.has_values() {
        return Ok(None);
    }
    let mut doors = Vec::new();
    if let Some(socket) = &config.serve.socket {
        let name = "serve.socket";
        let listener = Listener::open_socket(&socket.path).await;
        let listener = listener.map_err(|reason| wrong(format!("{name}.path {reason}")))?;
        tracing::info!("values are served at the socket {} {}", socket.path.display(), to(&socket.allow));
        doors.push((listener, Door::for_uids(name, socket.allow.clone(), process::uid())));
    }
    if let Some(http) = &config.serve.http {
        let Opened { listener, door, address, whom } =
            on_loopback("serve.http", http.listen, (&http.callers, config.serve.allow_disk), Door::for_bearer).await?;
        tracing::info!(address, "values are served at http://{address}: {whom}");
        doors.push((listener, door));
    }
    let run = process::salt().ok_or_else(|| Ended::new(Exit::Bug, "the kernel gives no random bytes"))?;
    Ok(Some(Serving { publisher: Publisher::default(), run, doors }))
}

/// A port that is open, and who may come in there.
pub(super) struct Opened {
    pub(super) listener: Listener,
    pub(super) door: Door,
    pub(super) address: String,
    /// The same in words.
    pub(super) whom: String,
}

/// Opens a port; `for_token` makes the door of those who know what the token file holds.
pub(super) async fn on_loopback(
    name: &'static str,
    listen: SocketAddr,
    (callers, allow_disk): (&Callers, bool),
    for_token: fn(&'static str, SecretValue) -> Door,
) -> Result<Opened, Ended> {
    let wrong = |reason| Ended::new(Exit::Config, reason);
    let listener = Listener::open(Listen::At(listen)).await;
    let listener =
        listener.map_err(|reason| wrong(format!("{name}.listen {reason}; choose another address or port")))?;
    let address = listener.address().map(|address| address.to_string()).unwrap_or_default();
    let (door, whom) = match callers {
        Callers::Uids(allow) => (Door::for_uids(name, allow.clone(), process::uid()), to(allow)),
        Callers::Bearer(file) => {
            let token =
                token_file::write(file, allow_disk).map_err(|reason| wrong(format!("{name}.tokenFile {reason}")))?;
            (for_token(name, token), format!("to whoever can read {}", file.display()))
        }
    };
    Ok(Opened { listener, door, address, whom })
}

/// Who may call, in words.
fn to(allow: &Allow) -> String {
    match allow {
        Allow::Own => format!("to uid {}, keyferry's own", process::uid()),
        Allow::Uids(uids) => {
            let uids: Vec<String> = uids.keys().map(ToString::to_string).collect();
            format!("to uid {}", uids.join(", "))
        }
    }
}

impl Serving {
    /// What the loop publishes to.
    pub(super) fn sink(&self) -> Box<dyn Sink> {
        Box::new(self.publisher.clone())
    }

    /// Answers until nobody holds the other end of `stopped`.
    pub(super) async fn serve(
        self,
        (tell, metrics): (mpsc::Sender<Event>, Metrics),
        view: watch::Receiver<View>,
        stopped: watch::Receiver<()>,
    ) {
        let users = self.doors.iter().map(|(_, door)| door.users()).sum();
        let values = Values::new(&self.publisher, (self.run, users), (view, clock::system(), metrics), stopped);
        let values = Arc::new(values);
        let mut serving = JoinSet::new();
        for (listener, door) in self.doors {
            serving.spawn(Arc::clone(&values).serve(listener, door));
        }
        values.refresh(&Loop(tell)).await;
        while serving.join_next().await.is_some() {}
    }
}
