//! `keyferry run`: the loop until a signal ends it.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use super::{Ended, start};
use crate::agent::Event;
use crate::cli::Global;
use crate::exit::Exit;
use crate::process::{Signal, Signals};

pub(super) async fn run(global: &Global, environment: &BTreeMap<String, String>) -> Result<(), Ended> {
    let mut signals = Signals::register().map_err(|error| Ended::new(Exit::Bug, format!("no signals: {error}")))?;
    let config = start::configuration(global, environment)?;
    start::tell_identities(&config);
    let agent = start::agent(&config, environment)?;
    let (tell, events) = mpsc::channel(1);
    let told = async {
        loop {
            let event = match signals.next().await {
                Signal::Stop => Event::Stop,
                Signal::Refresh => Event::Refresh,
            };
            tracing::info!("signal received: {}", if event == Event::Stop { "stopping" } else { "refreshing" });
            if tell.send(event).await.is_err() || event == Event::Stop {
                return;
            }
        }
    };
    tracing::info!(
        secrets = config.secrets.len(),
        directories = config.files.len(),
        "keyferry {} runs",
        env!("CARGO_PKG_VERSION")
    );
    tokio::join!(agent.run(events), told);
    tracing::info!("stopped");
    Ok(())
}
