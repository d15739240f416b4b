//! `keyferry init`: the loop until everything is published, or the deadline.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout as within;

use super::Ended;
use super::start::{self, Started};
use crate::advice;
use crate::agent::Event;
use crate::cli::Global;
use crate::config::Config;
use crate::exit::Exit;
use crate::plan::plan;
use crate::process::{Signal, Signals};
use crate::status::View;

/// Where the deadline was too near.
const TO_LEARN: &str = "give it more time (--timeout, startup.timeout) to learn which";

pub(super) async fn init(
    global: &Global,
    timeout: Option<Duration>,
    environment: &BTreeMap<String, String>,
) -> Result<(), Ended> {
    let mut signals = Signals::register().map_err(|error| Ended::new(Exit::Bug, format!("no signals: {error}")))?;
    let (mut config, _) = start::configuration(global, environment)?;
    // Whoever would be told of a change is started when this has ended.
    config.on_change.clear();
    // Nor is there anybody yet whom tokens could be given to.
    config.serve.tokens = None;
    start::tell_identities(&config);
    start::tell_unpublished(&config);
    let Started { agent, .. } = start::agent(&config, environment, None)?;
    let (view, mut followed) = (agent.view(), agent.view());
    let (tell, events) = mpsc::channel(1);
    let timeout = timeout.unwrap_or(config.startup_timeout);
    let mut running = pin!(agent.run(events));
    let stopped = async { while signals.next().await != Signal::Stop {} };
    tokio::select! {
        () = &mut running => return Err(why(&view.borrow(), &config, TO_LEARN)),
        () = stopped => tracing::warn!("stopped by a signal before everything was fetched"),
        _ = within(timeout, followed.wait_for(|view| view.is_fresh() || cannot_mend(view))) => {}
    }
    if view.borrow().is_fresh() {
        return Ok(());
    }
    // One bad secret does not keep the others from being published.
    tell.send(Event::Stop).await.ok();
    running.await;
    // What still settled when the deadline came is published now.
    if view.borrow().is_fresh() { Ok(()) } else { Err(why(&view.borrow(), &config, TO_LEARN)) }
}

/// Whether everything has been heard of, and waiting for what is lacking would be in vain.
pub(super) fn cannot_mend(view: &View) -> bool {
    let mut unfetched = view.status.unfetched().map(|(_, status)| status.failure.as_ref()).peekable();
    // Once everything is there, nothing more comes that could be rendered.
    let unrendered = unfetched.peek().is_none() && view.failures().next().is_some();
    view.is_published() && (unrendered || unfetched.flatten().any(|failure| !failure.kind.may_mend()))
}

/// What is lacking, a line each, and what to do about it; `to_learn` is what to do where there was no answer.
pub(super) fn why(view: &View, config: &Config, to_learn: &str) -> Ended {
    let plan = plan(config);
    let mut exits = Vec::new();
    let mut lines = Vec::new();
    for (name, status) in view.status.unfetched() {
        let (Some(failure), Some(wanted)) = (&status.failure, plan.names.get(name)) else {
            exits.push(Exit::Unavailable);
            lines.push(format!(
                "secret {name} ({}): there was no answer yet when it had to end: signing in, or its host, hangs; \
                 {to_learn}",
                status.reference
            ));
            continue;
        };
        exits.push(Exit::of(failure));
        let told = advice::told(failure, &wanted.object, &config.identities);
        lines.push(format!("secret {name} ({}): {told}", status.reference));
        if let (Some(failure), Some(standby)) = (&status.standby_failure, &wanted.standby) {
            let told = advice::told(failure, standby, &config.identities);
            lines.push(format!("secret {name}, from its standby, {standby}: {told}"));
        }
    }
    for (path, failure) in view.failures() {
        exits.push(Exit::Content);
        lines.push(format!("{} cannot be rendered: {failure}", path.display()));
    }
    for failure in view.status.sinks.values().filter_map(|sink| sink.failure.as_ref()) {
        exits.push(Exit::CannotWrite);
        lines.push(failure.to_string());
    }
    Ended { exit: Exit::worst(exits.into_iter()).unwrap_or(Exit::Unavailable), lines }
}
