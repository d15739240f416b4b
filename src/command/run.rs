//! `keyferry run`: the loop until a signal ends it.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, watch};

use super::follow::Follower;
use super::serve::{self, Serving};
use super::start::{self, Started};
use super::{Ended, admin, tokens};
use crate::cli::Global;
use crate::exit::Exit;
use crate::process::{self, Signals};

pub(super) async fn run(global: &Global, environment: &BTreeMap<String, String>) -> Result<(), Ended> {
    let signals = Signals::register().map_err(|error| Ended::new(Exit::Bug, format!("no signals: {error}")))?;
    process::allow_descriptors();
    let (config, file) = start::configuration(global, environment)?;
    start::tell_identities(&config);
    start::tell_unpublished(&config);
    // What is read from here on is watched before.
    let follower = Follower::new(config.clone(), file, (global, environment));
    let serving = serve::open(&config).await?;
    let Started { agent, source, metrics } = start::agent(&config, environment, serving.as_ref().map(Serving::sink))?;
    let brokering = tokens::open(&config).await?;
    let listener = admin::open(&config).await?;
    tracing::info!(
        secrets = config.secrets.len(),
        directories = config.files.len(),
        "keyferry {} runs",
        env!("CARGO_PKG_VERSION")
    );
    let (tell, events) = mpsc::channel(1);
    let (stop, stopped) = watch::channel(());
    let (view, asked) = (agent.view(), (tell.clone(), metrics));
    let probed = async {
        if let Some(listener) = listener {
            admin::serve(listener, asked.clone(), view.clone(), stopped.clone()).await;
        }
    };
    let served = async {
        if let Some(serving) = serving {
            serving.serve(asked.clone(), view.clone(), stopped.clone()).await;
        }
    };
    let brokered = async {
        if let Some(brokering) = brokering {
            brokering.serve(&source, asked.1.clone(), stopped.clone()).await;
        }
    };
    let turning = async {
        agent.run(events).await;
        drop(stop);
    };
    tokio::join!(turning, follower.follow(signals, &source, tell), probed, served, brokered);
    tracing::info!("stopped");
    Ok(())
}
