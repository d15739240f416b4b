//! `keyferry exec`: a command with the values that its variables refer to, as Azure ML injects them, anywhere; and what
//! becomes of it on a rotation.

mod keep;
mod latest;
mod resolve;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::pin::pin;
use std::process::Command;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::start::{self, Started};
use super::{Ended, init};
use crate::agent::Event;
use crate::cli::{Exec, Global};
use crate::config::Config;
use crate::config::exec::OnRotation;
use crate::exit::Exit;
use crate::process::{Cores, Heard, Relay, become_it};
use crate::render::Values;
use crate::secret::SecretValue;
use keep::Keeper;
use latest::Latest;

/// What `--strip-identity` takes from the command: what the workload identity webhook, App Service, Container Apps, Azure ML
/// and the Azure SDKs' own configuration set for signing in.
const IDENTITY: [&str; 13] = [
    "AZURE_CLIENT_ID",
    "AZURE_TENANT_ID",
    "AZURE_AUTHORITY_HOST",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_USERNAME",
    "AZURE_PASSWORD",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "MSI_ENDPOINT",
    "MSI_SECRET",
];
/// keyferry's own variables.
const OWN: &str = "KEYFERRY_";

/// What the command is started with.
pub(super) struct Wanted<'a> {
    options: &'a Exec,
    environment: &'a BTreeMap<String, String>,
    cores: &'a Cores,
}

pub(super) async fn exec(
    global: &Global,
    options: &Exec,
    environment: &BTreeMap<String, String>,
    cores: &Cores,
) -> Result<(), Ended> {
    let mut relay = Relay::register().map_err(|error| Ended::new(Exit::Bug, format!("no signals: {error}")))?;
    let config = config(global, options, environment)?;
    start::tell_identities(&config);
    let latest = Latest::default();
    let mut newest = latest.follow();
    let Started { agent, .. } = start::agent(&config, environment, Some(Box::new(latest)))?;
    let (view, mut followed) = (agent.view(), agent.view());
    let (tell, events) = mpsc::channel(1);
    let mut running = pin!(agent.run(events));
    let fetched = timeout(config.startup_timeout, followed.wait_for(|view| view.is_fresh() || init::cannot_mend(view)));
    let stopped = async {
        loop {
            if let Heard::Signal(signal) = relay.next().await
                && keep::ends(signal)
            {
                return signal;
            }
        }
    };
    tokio::select! {
        () = &mut running => return Err(init::why(&view.borrow(), &config)),
        signal = stopped => {
            // As the command would have ended that has not begun.
            let code = u8::try_from(signal.as_raw()).unwrap_or_default().saturating_add(128);
            return Err(Ended { exit: Exit::Child(code), lines: vec!["stopped by a signal before the command was started".to_owned()] });
        }
        _ = fetched => {}
    }
    let Some(snapshot) = newest.borrow_and_update().clone().filter(|_| view.borrow().is_fresh()) else {
        return Err(init::why(&view.borrow(), &config));
    };
    let wanted = Wanted { options, environment, cores };
    let command = wanted.command(&config, &snapshot.secrets)?;
    let on_change = options.on_change.unwrap_or(config.exec.on_change);
    if options.once {
        return Err(wanted.not_started(&become_it(&mut { command }, cores)));
    }
    let keeper = Keeper::start(command, &wanted)?;
    let end = if on_change == OnRotation::None {
        // Nothing more is asked for: what it has it keeps, and nobody else does.
        tell.send(Event::Stop).await.ok();
        running.await;
        drop((snapshot, newest));
        keeper.wait(&mut relay).await
    } else {
        tokio::select! {
            () = &mut running => return Err(Ended::new(Exit::Bug, "the loop has ended")),
            end = keeper.follow(&mut relay, newest, (&config, on_change)) => end?,
        }
    };
    Err(Ended { exit: Exit::Child(end.code()), lines: Vec::new() })
}

/// The configuration with nothing to do but to make the variables.
fn config(global: &Global, options: &Exec, environment: &BTreeMap<String, String>) -> Result<Config, Ended> {
    let written = start::written(global, environment)?;
    let bounded = written.is_some();
    let config = start::meant(&written.unwrap_or_else(start::nothing), global, environment)?;
    let only: BTreeSet<String> = options.only.iter().cloned().collect();
    // Its own variables are none of the command's.
    let environment = environment.iter().filter(|(name, _)| !name.starts_with(OWN));
    let environment = environment.map(|(name, value)| (name.clone(), value.clone())).collect();
    resolve::resolve(config, &environment, (&only, bounded)).map_err(|lines| Ended { exit: Exit::Config, lines })
}

impl Wanted<'_> {
    /// The command with its variables.
    fn command(&self, config: &Config, values: &Values) -> Result<Command, Ended> {
        let unusable = |reason: String| Ended::new(Exit::Content, reason);
        let variables = config.env.values(values).map_err(|failure| unusable(failure.to_string()))?;
        // clap wants one at the least.
        let mut words = self.options.command.iter();
        let mut command = Command::new(words.next().map(OsStr::new).unwrap_or_default());
        command.args(words);
        let own = self.environment.keys().map(String::as_str).filter(|name| name.starts_with(OWN));
        let identity = IDENTITY.into_iter().filter(|_| self.options.strip_identity);
        // What is optional and not there is not set.
        for name in own.chain(identity).chain(config.env.0.keys().map(String::as_str)) {
            command.env_remove(name);
        }
        for (name, value) in &variables {
            let bytes = SecretValue::expose(value);
            if bytes.contains(&0) {
                return Err(unusable(format!(
                    "the variable {name} would have a NUL character, which no variable can hold"
                )));
            }
            command.env(name, OsStr::from_bytes(bytes));
        }
        Ok(command)
    }

    /// Why the command could not be started, as a shell would end.
    fn not_started(&self, error: &std::io::Error) -> Ended {
        let code = if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 };
        let command = self.options.command.first().map(|word| word.to_string_lossy()).unwrap_or_default();
        Ended { exit: Exit::Child(code), lines: vec![format!("{command} cannot be started: {error}")] }
    }
}
