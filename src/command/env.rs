//! `keyferry env`: the variables of the configuration, with their values, to standard output. They come from the agent
//! that runs, or are fetched.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::time::Duration;

use hyper::Method;
use tokio::time::sleep;

use super::{Ended, init, once, start, status, stdout};
use crate::cli::Global;
use crate::exit::Exit;
use crate::local::Silence;
use crate::reference::SecretName;
use crate::render::Syntax;

/// What an agent answers that has no value yet.
const NO_VALUE_YET: u16 = 503;
/// So often it is asked again.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) async fn env(
    global: &Global,
    syntax: Syntax,
    show: bool,
    environment: &BTreeMap<String, String>,
) -> Result<(), Ended> {
    stdout::may_be_written(show, "secrets")?;
    let (mut config, _) = start::configuration(global, environment)?;
    if config.env.0.is_empty() {
        let line = "the configuration has no variables: write some, 'env: {NAME: {secret: <name>}}'";
        return Err(Ended::new(Exit::Config, line));
    }
    if config.serve.socket.is_some() {
        let target = format!("/v1/env?format={}", syntax.name());
        let mut until = pin!(sleep(once::PATIENCE));
        loop {
            match status::at_socket(&config, Method::GET, &target).await? {
                // An outage is waited out by the agent, and so is the agent.
                Ok(reply) if reply.status == NO_VALUE_YET => tokio::select! {
                    () = &mut until => return status::answer(&reply).map(drop),
                    () = sleep(AGAIN) => {}
                },
                Ok(reply) => return stdout::write(&[status::answer(&reply)?.expose()]),
                // Where no agent runs, it is fetched.
                Err(Silence::Nobody(_) | Silence::Nowhere(_)) => break,
                Err(silence) => return Err(status::unanswered(silence)),
            }
        }
    }
    config.files.clear();
    config.on_change.clear();
    let used: BTreeSet<SecretName> = config.env.uses().map(|(name, _)| name.clone()).collect();
    config.secrets.retain(|name, _| used.contains(name));
    let view = once::look(&config, environment).await?;
    let Some(snapshot) = view.snapshot.as_ref().filter(|_| view.is_fresh()) else {
        return Err(init::why(&view, &config, once::TO_LEARN));
    };
    let written = config.env.values(&snapshot.secrets).and_then(|values| syntax.write(&values));
    let written = written.map_err(|failure| Ended::new(Exit::Content, failure.to_string()))?;
    stdout::write(&[written.expose()])
}
