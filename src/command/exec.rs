//! `keyferry exec`: a command with the values that its variables refer to, as Azure ML injects them, anywhere; and what
//! becomes of it on a rotation.

mod beside;
mod given;
mod keep;
mod latest;
mod own;
mod resolve;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::future::pending;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::pin::{Pin, pin};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::watch;

use super::{Ended, start, tokens};
use crate::cli::{Exec, Global};
use crate::config::Config;
use crate::config::exec::{Exec as Kept, OnRotation};
use crate::exit::Exit;
use crate::process::{self, Cores, End, Heard, Relay, become_it, fits};
use crate::reference::Reference;
use crate::render::LONGEST_VARIABLE;
use crate::secret::SecretValue;
use beside::Beside;
use given::Given;
use keep::Keeper;
use own::Own;

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
    /// The variables by which it finds the endpoint for tokens.
    tokens: Vec<(&'static str, SecretValue)>,
}

/// What there is to be given: nothing yet, the newest, or why there is none.
type Told = Option<Result<Arc<Given>, Ended>>;

fn told(tell: &watch::Sender<Told>, given: Result<Given, Ended>) {
    tell.send_replace(Some(given.map(Arc::new)));
}

pub(super) async fn exec(
    global: &Global,
    options: &Exec,
    environment: &BTreeMap<String, String>,
    cores: &Cores,
) -> Result<(), Ended> {
    let mut relay = Relay::register().map_err(|error| no_signals(&error))?;
    let (tell, newest) = watch::channel(None);
    let (_stop, stopped) = watch::channel(());
    let mut wanted = Wanted { options, cores, tokens: Vec::new() };
    let config;
    let (giving, brokered, kept): (Giving<'_>, Giving<'_>, Kept) = if let Some(socket) = &options.from {
        let (kept, patience) = kept(global, options, environment)?;
        let beside = Beside::new(&socket.0, &options.only);
        (Box::pin(beside.give(patience, tell)), Box::pin(pending()), kept)
    } else {
        config = meant(global, options, environment)?;
        let brokering = tokens::open(&config).await?;
        let (own, source, metrics) = Own::new(&config, environment)?;
        let brokered: Giving<'_> = match brokering {
            Some(brokering) => {
                wanted.tokens.extend(brokering.variables());
                Box::pin(async move { brokering.serve(&source, metrics, stopped).await })
            }
            None => Box::pin(pending()),
        };
        (Box::pin(own.give(tell)), brokered, config.exec.clone())
    };
    let mut running = pin!(wanted.start(&mut relay, (newest, giving), &kept));
    let end = tokio::select! {
        end = &mut running => end?,
        () = brokered => {
            // What runs is not left alone for it.
            tracing::error!("the endpoint for tokens has ended");
            running.await?
        }
    };
    Err(Ended { exit: Exit::Child(end.code()), lines: Vec::new() })
}

/// What goes on beside the command.
type Giving<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// What is given first.
async fn first(newest: &mut watch::Receiver<Told>, giving: impl Future<Output = ()>) -> Result<Arc<Given>, Ended> {
    tokio::select! {
        _ = newest.wait_for(Option::is_some) => {}
        () = giving => {}
    }
    let given = newest.borrow_and_update().clone();
    given.unwrap_or_else(|| Err(Ended::new(Exit::Bug, "nothing was given")))
}

/// A signal that ends what has not begun.
async fn ending(relay: &mut Relay) -> Signal {
    loop {
        if let Heard::Signal(signal) = relay.next().await
            && keep::ends(signal)
        {
            return signal;
        }
    }
}

fn no_signals(error: &std::io::Error) -> Ended {
    Ended::new(Exit::Bug, format!("no signals: {error}"))
}

/// As the command would have ended that has not begun.
fn stopped_by(signal: Signal) -> Ended {
    let code = u8::try_from(signal.as_raw()).unwrap_or_default().saturating_add(128);
    Ended { exit: Exit::Child(code), lines: vec!["stopped by a signal before the command was started".to_owned()] }
}

/// The configuration with nothing to do but to make the variables.
fn meant(global: &Global, options: &Exec, environment: &BTreeMap<String, String>) -> Result<Config, Ended> {
    let written = start::written(global, environment)?;
    let bounded = written.is_some();
    let config = start::meant(&written.unwrap_or_else(start::nothing), global, environment)?;
    if options.once && config.serve.tokens.is_some() {
        let line = "with --once nothing stays that could give the tokens of 'serve.tokens': leave one of them out";
        return Err(Ended::new(Exit::Config, line));
    }
    resolve::resolve(config, &of_command(environment), (&only(options), bounded))
}

/// How the command is kept whose variables come from an agent, and how long that is waited for. Who signs in, from where and
/// what is rendered is the agent's own.
fn kept(global: &Global, options: &Exec, environment: &BTreeMap<String, String>) -> Result<(Kept, Duration), Ended> {
    let written = start::written(global, environment)?.unwrap_or_else(start::nothing);
    let kept = start::kept(&written, global, environment)?;
    resolve::nothing(&of_command(environment), &only(options)).map(|()| kept)
}

/// Whether this process's variables refer to something, so that no configuration is needed.
pub(super) fn has_references(environment: &BTreeMap<String, String>) -> bool {
    of_command(environment).values().any(|value| Reference::marked(value).is_some())
}

/// The configuration with what they refer to, and what is wrong with which of them.
pub(super) fn with_references(
    config: Config,
    environment: &BTreeMap<String, String>,
    bounded: bool,
) -> (Config, Vec<(String, String)>) {
    resolve::with_references(config, &of_command(environment), bounded)
}

fn only(options: &Exec) -> BTreeSet<String> {
    options.only.iter().cloned().collect()
}

/// Its own variables are none of the command's.
fn of_command(environment: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let others = environment.iter().filter(|(name, _)| !name.starts_with(OWN));
    others.map(|(name, value)| (name.clone(), value.clone())).collect()
}

impl Wanted<'_> {
    /// Starts the command when its variables are given, and keeps it until it ends.
    async fn start(
        &self,
        relay: &mut Relay,
        (mut newest, mut giving): (watch::Receiver<Told>, Giving<'_>),
        kept: &Kept,
    ) -> Result<End, Ended> {
        let given = tokio::select! {
            given = first(&mut newest, &mut giving) => given?,
            signal = ending(relay) => return Err(stopped_by(signal)),
        };
        let command = self.command(&given)?;
        if self.options.once {
            // What has come until now would be lost with this program.
            if let Some(signal) = relay.last(keep::ends).await.map_err(|error| no_signals(&error))? {
                return Err(stopped_by(signal));
            }
            let mut command = command;
            let error = become_it(&mut command, self.cores);
            return Err(not_started(&command, &error));
        }
        let keeper = Keeper::start(command, self)?;
        match self.options.on_change.unwrap_or(kept.on_change) {
            OnRotation::None => {
                // Nothing more is asked for: what it has it keeps, and nobody else does.
                drop((given, newest, giving));
                Ok(keeper.wait(relay).await)
            }
            on_change => {
                let mut following = pin!(keeper.follow(relay, (given, newest), (on_change, kept.grace)));
                tokio::select! {
                    end = &mut following => end,
                    () = giving => {
                        tracing::error!("nothing more is heard of changes");
                        following.await
                    }
                }
            }
        }
    }

    /// The command with its variables.
    fn command(&self, given: &Given) -> Result<Command, Ended> {
        let unusable = |reason: String| Ended::new(Exit::Content, reason);
        // clap wants one at the least.
        let mut words = self.options.command.iter();
        let mut command = Command::new(words.next().map(OsStr::new).unwrap_or_default());
        command.args(words);
        for name in process::variables().filter(|name| name.as_bytes().starts_with(OWN.as_bytes())) {
            command.env_remove(name);
        }
        let identity = IDENTITY.into_iter().filter(|_| self.options.strip_identity);
        // What is optional and not there is not set.
        let unset = given.0.iter().filter(|(_, one)| one.value.is_none()).map(|(name, _)| name.as_str());
        for name in identity.chain(unset) {
            command.env_remove(name);
        }
        let tokens = self.tokens.iter().map(|(name, value)| (*name, value));
        let set = given.0.iter().filter_map(|(name, one)| Some((name.as_str(), one.value.as_ref()?)));
        for (name, value) in tokens.chain(set) {
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
}

/// Why the command could not be started, as a shell would end.
fn not_started(command: &Command, error: &std::io::Error) -> Ended {
    let code = if error.kind() == ErrorKind::NotFound { 127 } else { 126 };
    let reason = match fits(command) {
        // The kernel does not say how long they are.
        Err(lengths) if error.kind() == ErrorKind::ArgumentListTooLong => format!("{error}: {lengths}"),
        _ => error.to_string(),
    };
    let line = format!("'{}' cannot be started: {reason}", command.get_program().to_string_lossy());
    Ended { exit: Exit::Child(code), lines: vec![line] }
}
