//! `keyferry env`: the variables of the configuration, with their values, to standard output.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

use tokio::sync::mpsc;
use tokio::time::timeout as within;

use super::get::{PATIENCE, is_decided};
use super::{Ended, init, start, stdout};
use crate::agent::Event;
use crate::cli::{EnvFormat, Global};
use crate::exit::Exit;
use crate::reference::SecretName;
use crate::render::Syntax;

pub(super) async fn env(
    global: &Global,
    format: EnvFormat,
    show: bool,
    environment: &BTreeMap<String, String>,
) -> Result<(), Ended> {
    stdout::may_be_written(show, "secrets")?;
    let (mut config, _) = start::configuration(global, environment)?;
    if config.env.0.is_empty() {
        let line = "the configuration has no variables: write some, 'env: {NAME: {secret: <name>}}'";
        return Err(Ended::new(Exit::Config, line));
    }
    config.files.clear();
    config.on_change.clear();
    let used: BTreeSet<SecretName> = config.env.uses().map(|(name, _)| name.clone()).collect();
    config.secrets.retain(|name, _| used.contains(name));
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
    let Some(snapshot) = view.snapshot.as_ref().filter(|_| view.is_fresh()) else {
        return Err(init::why(&view, &config));
    };
    let syntax = match format {
        EnvFormat::Dotenv => Syntax::Dotenv,
        EnvFormat::Sh => Syntax::Sh,
        EnvFormat::Json => Syntax::Json,
        EnvFormat::Envfile => Syntax::EnvFile,
    };
    let written = config.env.values(&snapshot.secrets).and_then(|values| syntax.write(&values));
    let written = written.map_err(|failure| Ended::new(Exit::Content, failure.to_string()))?;
    stdout::write(&[written.expose()])
}
