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
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::start::{self, Started};
use super::{Ended, init};
use crate::agent::Event;
use crate::cli::{Exec, Global};
use crate::config::Config;
use crate::config::exec::OnRotation;
use crate::exit::Exit;
use crate::process::{self, Cores, Heard, Relay, become_it};
use crate::reference::SecretName;
use crate::render::{LONGEST_VARIABLE, Values};
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
        signal = stopped => return Err(stopped_by(signal)),
        _ = fetched => {}
    }
    let Some(snapshot) = newest.borrow_and_update().clone().filter(|_| view.borrow().is_fresh()) else {
        return Err(init::why(&view.borrow(), &config));
    };
    let wanted = Wanted { options, cores };
    let command = wanted.command(&config, &snapshot.secrets)?;
    let on_change = options.on_change.unwrap_or(config.exec.on_change);
    if options.once {
        // What has come until now would be lost with this program.
        if let Ok(Heard::Signal(signal)) = timeout(Duration::ZERO, relay.next()).await
            && keep::ends(signal)
        {
            return Err(stopped_by(signal));
        }
        return Err(wanted.not_started(&become_it(&mut { command }, cores)));
    }
    let keeper = Keeper::start(command, &wanted)?;
    let end = if on_change == OnRotation::None {
        // Nothing more is asked for: what it has it keeps, and nobody else does.
        drop((snapshot, newest));
        let stopping = async {
            tell.send(Event::Stop).await.ok();
            running.await;
        };
        tokio::join!(stopping, keeper.wait(&mut relay)).1
    } else {
        tokio::select! {
            () = &mut running => return Err(Ended::new(Exit::Bug, "the loop has ended")),
            end = keeper.follow(&mut relay, (snapshot, newest), (&config, on_change)) => end?,
        }
    };
    Err(Ended { exit: Exit::Child(end.code()), lines: Vec::new() })
}

/// As the command would have ended that has not begun.
fn stopped_by(signal: Signal) -> Ended {
    let code = u8::try_from(signal.as_raw()).unwrap_or_default().saturating_add(128);
    Ended { exit: Exit::Child(code), lines: vec!["stopped by a signal before the command was started".to_owned()] }
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
        let lacking = |name: &&SecretName| {
            !values.contains_key(*name) && config.secrets.get(*name).is_some_and(|secret| !secret.optional)
        };
        if let Some(name) = config.env.uses().map(|(name, _)| name).find(lacking) {
            return Err(unusable(format!("the secret {name} has no value any more")));
        }
        let variables = config.env.values(values).map_err(|failure| unusable(failure.to_string()))?;
        // clap wants one at the least.
        let mut words = self.options.command.iter();
        let mut command = Command::new(words.next().map(OsStr::new).unwrap_or_default());
        command.args(words);
        for name in process::variables().filter(|name| name.as_bytes().starts_with(OWN.as_bytes())) {
            command.env_remove(name);
        }
        let identity = IDENTITY.into_iter().filter(|_| self.options.strip_identity);
        // What is optional and not there is not set.
        for name in identity.chain(config.env.0.keys().map(String::as_str)) {
            command.env_remove(name);
        }
        for (name, value) in &variables {
            let bytes = SecretValue::expose(value);
            if bytes.contains(&0) {
                return Err(unusable(format!(
                    "the variable {name} would have a NUL character, which no variable can hold"
                )));
            }
            if name.len().saturating_add(bytes.len()) >= LONGEST_VARIABLE {
                return Err(unusable(format!(
                    "the variable {name} would be longer than 128 KiB, which the kernel gives no process: let it read a file"
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
