//! What every command does first: read the configuration, build the edges, put the loop together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};

use super::Ended;
use super::sources::Sources;
use crate::agent::{Agent, Parts, few};
use crate::azure::{self, Azure};
use crate::cli::Global;
use crate::config::exec::Exec;
use crate::config::hooks::{Action, OnChange};
use crate::config::{self, Config, DEFAULT_IDENTITY, Directory, Identity, Problems, SecretConfig, Settings};
use crate::exit::Exit;
use crate::extract::Cut;
use crate::files::FilesSink;
use crate::metrics::Metrics;
use crate::plan::plan;
use crate::ports::{Hook, Sink};
use crate::reference::{Gate, IdentityName, Reference, SecretName};
use crate::secret::{Part, SecretValue};
use crate::{clock, local, process};

const DEFAULT_FILE: &str = "/etc/keyferry/keyferry.yaml";
const FILE: &str = "KEYFERRY_CONFIG";
pub(super) const TEXT: &str = "KEYFERRY_CONFIG_YAML";
/// What is told of a directory that may end on a disk all the same.
pub(super) const SWAPPED: &str = "is a tmpfs that this machine may write to its swap: switch swap off on the node, or mount \
                                  the tmpfs with the option noswap";
const ALLOW_CUSTOM_CLOUD: &str = "KEYFERRY_ALLOW_CUSTOM_CLOUD";

type Environment = BTreeMap<String, String>;

/// The configuration's text and what to call it in messages; none when nobody gave one and there is no default file.
pub(super) struct Written {
    pub(super) name: String,
    text: String,
    /// The file that it was read from.
    file: Option<PathBuf>,
}

/// Why a configuration cannot be used, and the files of its templates, as far as they are known: whoever goes on with
/// another one may wait for them to be mended.
#[derive(Debug)]
pub(super) struct Rejected {
    pub(super) ended: Ended,
    pub(super) template_files: BTreeSet<PathBuf>,
}

impl From<Ended> for Rejected {
    fn from(ended: Ended) -> Self {
        Self { ended, template_files: BTreeSet::new() }
    }
}

impl From<Rejected> for Ended {
    fn from(rejected: Rejected) -> Self {
        rejected.ended
    }
}

/// Finds the configuration: one of `--config`, `KEYFERRY_CONFIG_YAML`, the default file.
pub(super) fn written(global: &Global, environment: &Environment) -> Result<Option<Written>, Ended> {
    let wrong = |line: String| Err(Ended::new(Exit::Config, line));
    let file = global.config.clone().or_else(|| environment.get(FILE).map(PathBuf::from));
    match (&file, environment.get(TEXT)) {
        (Some(_), Some(_)) => {
            wrong(format!("both a configuration file (--config or {FILE}) and {TEXT} are given: keep one"))
        }
        (None, Some(text)) => Ok(Some(Written { name: TEXT.to_owned(), text: text.clone(), file: None })),
        (Some(path), None) => read(path).map(Some),
        (None, None) => {
            let path = Path::new(DEFAULT_FILE);
            if path.exists() { read(path).map(Some) } else { Ok(None) }
        }
    }
}

fn read(path: &Path) -> Result<Written, Ended> {
    let wrong = |reason: String| {
        Ended::new(Exit::Config, format!("{}: the configuration cannot be read: {reason}", path.display()))
    };
    let text = text_of(path).map_err(wrong)?;
    // Edits of it are looked for in the directories above it.
    let file = std::path::absolute(path).ok();
    Ok(Written { name: path.display().to_string(), text, file })
}

/// The text of the configuration, or of one of its templates.
fn text_of(path: &Path) -> Result<String, String> {
    let fetched = local::read(path).map_err(|failure| failure.detail.unwrap_or_default())?;
    let bytes = fetched.secret.part(Part::Value).map(|value| value.expose().to_vec()).unwrap_or_default();
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

/// Reads and checks the configuration; without one there is nothing to do. With it comes where it was read from.
pub(super) fn configuration(global: &Global, environment: &Environment) -> Result<(Config, Option<PathBuf>), Rejected> {
    given(written(global, environment)?, global, environment)
}

/// The same of what was found already.
pub(super) fn given(
    written: Option<Written>,
    global: &Global,
    environment: &Environment,
) -> Result<(Config, Option<PathBuf>), Rejected> {
    let Some(written) = written else {
        let line =
            format!("there is no configuration: give --config FILE, put its text into {TEXT}, or write {DEFAULT_FILE}");
        return Err(Ended::new(Exit::Config, line).into());
    };
    Ok((meant(&written, global, environment)?, written.file))
}

/// The configuration as meant, or all its problems.
pub(super) fn meant(written: &Written, global: &Global, environment: &Environment) -> Result<Config, Rejected> {
    config::load(&settings(written, global, environment)?).map_err(rejected)
}

/// What of it counts for a command whose variables come from an agent, and how long that is waited for; or all its problems.
pub(super) fn kept(
    written: &Written,
    global: &Global,
    environment: &Environment,
) -> Result<(Exec, Duration), Rejected> {
    config::load_kept(&settings(written, global, environment)?).map_err(rejected)
}

fn settings<'a>(written: &Written, global: &Global, environment: &'a Environment) -> Result<Settings<'a>, Ended> {
    let allow_custom_cloud = match environment.get(ALLOW_CUSTOM_CLOUD).map(String::as_str) {
        None | Some("" | "0") => global.allow_custom_cloud,
        Some("1") => true,
        Some(_) => return Err(Ended::new(Exit::Config, format!("{ALLOW_CUSTOM_CLOUD} is 1 or 0"))),
    };
    let (name, text) = (written.name.clone(), written.text.clone());
    Ok(Settings { name, text, environment, allow_custom_cloud, read: text_of })
}

fn rejected(problems: Problems) -> Rejected {
    let lines = problems.to_string().lines().map(str::to_owned).collect();
    Rejected { ended: Ended { exit: Exit::Config, lines }, template_files: problems.template_files }
}

/// The loop, and what others share with it.
pub(super) struct Started {
    pub(super) agent: Agent<Sources>,
    pub(super) source: Arc<Sources>,
    /// The one handle of a run, into which everybody counts.
    pub(super) metrics: Metrics,
}

/// Builds the edges of a configuration and the loop over them. Directories are tried here: where nothing can be
/// published, nothing needs to be fetched.
pub(super) fn agent(
    config: &Config,
    environment: &Environment,
    endpoints: Option<Box<dyn Sink>>,
) -> Result<Started, Ended> {
    let none = || Ended::new(Exit::Bug, "the kernel gives no random bytes".to_owned());
    let metrics = process::salt().map(Metrics::new).ok_or_else(none)?;
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    for directory in &config.files {
        let mut sink = FilesSink::new(directory);
        sink.check().map_err(|error| Ended::new(Exit::CannotWrite, error.to_string()))?;
        if process::may_be_swapped(&directory.dir) {
            tracing::warn!(dir = sink.name(), "{} {SWAPPED}", sink.name());
        }
        sinks.push(Box::new(sink));
    }
    sinks.extend(endpoints);
    let source = source(config, environment, &metrics)?;
    let agent = Agent::new(Parts {
        plan: plan(config),
        identities: config.identities.clone(),
        settle: config.refresh.settle,
        stale: config.stale,
        on_revoked: config.on_revoked,
        source: Arc::clone(&source),
        sinks,
        hooks: hooks(config),
        seed: seed(environment),
        clock: clock::system(),
        metrics: metrics.clone(),
    });
    Ok(Started { agent, source, metrics })
}

/// What everything is fetched by.
pub(super) fn source(config: &Config, environment: &Environment, metrics: &Metrics) -> Result<Arc<Sources>, Ended> {
    let settings = azure::Settings {
        authorities: authorities(config)?,
        proxy: one_of(environment, ["HTTPS_PROXY", "https_proxy"]),
        no_proxy: one_of(environment, ["NO_PROXY", "no_proxy"]),
        variables: variables(config, environment),
        metrics: metrics.clone(),
    };
    let azure = Azure::new(config, &settings, clock::system()).map_err(|line| Ended::new(Exit::Config, line))?;
    Ok(Arc::new(Sources { azure }))
}

pub(super) fn hooks(config: &Config) -> Vec<Arc<dyn Hook>> {
    let hook = |entry: &OnChange| -> Arc<dyn Hook> {
        match &entry.action {
            Action::Signal(whom, signal) => Arc::new(process::SignalHook::new(whom, *signal)),
            Action::Post(url) => Arc::new(local::PostHook::new(url)),
        }
    };
    config.on_change.iter().map(hook).collect()
}

/// The authorities that the configuration trusts besides the system's.
pub(super) fn authorities(config: &Config) -> Result<Vec<CertificateDer<'static>>, Ended> {
    let Some(path) = &config.ca_file else { return Ok(Vec::new()) };
    let wrong = |reason: &str| Ended::new(Exit::Config, format!("tls.caFile {}: {reason}", path.display()));
    let fetched = local::read(path).map_err(|failure| wrong(failure.detail.as_deref().unwrap_or("cannot be read")))?;
    let pem = fetched.secret.part(Part::Value).map(SecretValue::expose).unwrap_or_default();
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match parsed {
        Ok(certificates) if !certificates.is_empty() => {
            let mut store = RootCertStore::empty();
            let sound = |(number, certificate): (usize, &CertificateDer<'static>)| {
                let wrong = |_| wrong(&format!("its certificate number {} is no X.509 certificate", number + 1));
                store.add(certificate.clone()).map_err(wrong)
            };
            certificates.iter().enumerate().try_for_each(sound)?;
            Ok(certificates)
        }
        Ok(_) => Err(wrong("it holds no PEM certificate (-----BEGIN CERTIFICATE-----)")),
        Err(_) => Err(wrong("it is no valid PEM")),
    }
}

/// The secrets that identities read from variables.
fn variables(config: &Config, environment: &Environment) -> BTreeMap<&'static str, Arc<SecretValue>> {
    let named = config.identities.values().filter_map(Identity::secret_variable);
    let secret = |text: &String| Arc::new(SecretValue::new(text.clone().into_bytes()));
    named.filter_map(|name| Some((name, environment.get(name).map(secret)?))).collect()
}

/// Says who signs in and why, of those that something is fetched by.
pub(super) fn tell_identities(config: &Config) {
    let gates: BTreeSet<Gate> = config.secrets.values().flat_map(|secret| secret.object.gates()).collect();
    let gives_tokens = |name: &IdentityName| config.serve.tokens.is_some() && name.0 == DEFAULT_IDENTITY;
    let is_used = |name: &IdentityName| gates.contains(&Gate::Identity(name.clone())) || gives_tokens(name);
    for (name, identity) in config.identities.iter().filter(|(name, _)| is_used(name)) {
        let because = match name.0.as_str() {
            DEFAULT_IDENTITY => config.identity_because.as_str(),
            _ => "the vault's own 'identity' says so",
        };
        tracing::info!(identity = %name, "identity '{name}' is {identity}, because {because}");
    }
}

/// Says of what is fetched and goes nowhere. Who wants that writes `file: false`, or has hooks that wait for it.
pub(super) fn tell_unpublished(config: &Config) {
    if let Some(line) = unpublished(config) {
        tracing::warn!("{line}");
    }
}

/// What is fetched and goes nowhere, if anything is.
pub(super) fn unpublished(config: &Config) -> Option<String> {
    let shown = |directory: &'_ Directory| {
        let rendered = directory.rendered.values().flat_map(|file| file.recipe.secrets().into_iter().cloned());
        directory.include.iter().cloned().chain(rendered).collect::<Vec<SecretName>>()
    };
    let published: BTreeSet<SecretName> = config.files.iter().flat_map(shown).collect();
    // Whoever wants tokens alone has no secrets.
    let only_tokens = config.serve.tokens.is_some() && config.secrets.is_empty();
    if config.serve.has_values() || only_tokens {
        return None;
    }
    if published.is_empty() && config.on_change.is_empty() {
        let why = match (config.secrets.is_empty(), config.files.is_empty()) {
            (true, _) => "there are no 'secrets'",
            (false, true) => "there is no 'files', such as 'files: {dir: /run/keyferry}', and no 'serve'",
            (false, false) => "no directory includes a secret that has a file",
        };
        return Some(format!("the configuration publishes nothing: {why}"));
    }
    let is_lost =
        |(name, secret): &(&SecretName, &SecretConfig)| !secret.files.is_empty() && !published.contains(*name);
    let lost: Vec<&str> = config.secrets.iter().filter(is_lost).map(|(name, _)| name.as_str()).collect();
    (!lost.is_empty() && !published.is_empty()).then(|| {
        format!(
            "in no directory, so that nobody can read what is fetched: {}; include them in one, or write 'file: false'",
            few(&lost)
        )
    })
}

fn one_of(environment: &Environment, names: [&str; 2]) -> Option<String> {
    names.iter().filter_map(|name| environment.get(*name)).find(|value| !value.is_empty()).cloned()
}

/// The slot's seed: the pod's uid where the downward API gives it, else the host's name, which is the pod's.
fn seed(environment: &Environment) -> u64 {
    let identity = environment.get("POD_UID").cloned().unwrap_or_else(process::node_name);
    let digest = Sha256::digest(identity);
    digest.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

/// No configuration, for what needs none.
pub(super) fn nothing() -> Written {
    Written { name: "the environment".to_owned(), text: String::new(), file: None }
}

/// A configuration that wants one thing and publishes nothing: a name of the configuration, or a reference. For a
/// reference to a vault by its address no configuration is needed.
pub(super) fn single(global: &Global, what: &str, environment: &Environment) -> Result<Config, Ended> {
    let mut config = meant(&written(global, environment)?.unwrap_or_else(nothing), global, environment)?;
    config.files.clear();
    config.on_change.clear();
    let names: Vec<String> = config.secrets.keys().map(ToString::to_string).collect();
    config.secrets.retain(|name, _| name.as_str() == what);
    // Whoever asks for it wants it.
    for secret in config.secrets.values_mut() {
        secret.optional = false;
        if !secret.cut.parts.is_empty() {
            // One value is asked for: key and chain in one.
            secret.cut.parts = BTreeSet::from([Part::Bundle]);
        }
    }
    if config.secrets.is_empty() {
        let wrong = |line| Ended::new(Exit::Config, line);
        let has = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let neither = |line| {
            if what.contains(':') {
                line
            } else {
                format!("no secret of the configuration has this name (there are: {has}), and {line}")
            }
        };
        let reference = Reference::parse(what).map_err(|line| Ended::new(Exit::Usage, neither(line)))?;
        let object = config.object(&reference).map_err(wrong)?;
        let name = SecretName::parse("value").map_err(wrong)?;
        let (standby, cut) = (config.standby(&reference), Cut::of(&reference, std::iter::empty()));
        let (files, refresh) = (BTreeMap::new(), config.refresh.interval);
        config.secrets.insert(name, SecretConfig { reference, object, standby, cut, files, refresh, optional: false });
    }
    Ok(config)
}
