//! `keyferry check`: whether everything that the configuration wants can be had, without giving or changing anything.

mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::task::JoinSet;

use super::sources::Sources;
use super::{Ended, start, stdout};
use crate::advice;
use crate::agent::few;
use crate::cli::{Global, Shape};
use crate::config::serve::Callers;
use crate::config::{Config, DEFAULT_IDENTITY};
use crate::exit::Exit;
use crate::failure::{Blame, Code, Failure, Kind};
use crate::files::FilesSink;
use crate::metrics::Metrics;
use crate::plan::{Content, Plan, Wanted, daily, plan};
use crate::ports::{Answer, Fetched, Need, Source as _};
use crate::process;
use crate::reference::{Gate, IdentityName, Object, SecretName};
use crate::render::Values;
use crate::schedule::MOST_IN_FLIGHT;
use crate::serve::{Listener, token_file};
use crate::status::rfc3339;
use report::{Checked, Report, What};

type Environment = BTreeMap<String, String>;
type Brought = BTreeMap<Object, Result<Fetched, Failure>>;

pub(super) async fn check(
    global: &Global,
    offline: bool,
    shape: Shape,
    environment: &Environment,
) -> Result<(), Ended> {
    let (config, _) = start::configuration(global, environment)?;
    let plan = plan(&config);
    let mut report = Report::new(daily(&plan, given(&config).count()));
    if !offline {
        let salt = process::salt().ok_or_else(|| Ended::new(Exit::Bug, "the kernel gives no random bytes"))?;
        let source = start::source(&config, environment, &Metrics::new(salt))?;
        let given: Vec<Object> = given(&config).collect();
        let brought = fetch(plan.objects.keys().chain(&given).cloned().collect(), &source).await;
        identities(&config, &brought, &mut report);
        let values = secrets(&config, &plan, &brought, &mut report);
        scopes(&config, &given, &brought, &mut report);
        rendered(&config, &plan, &values, &mut report);
    }
    for directory in &config.files {
        let sink = FilesSink::new(directory);
        let tried = sink.inspect().map_err(|error| (Exit::CannotWrite, error.to_string()));
        report.add(Checked::new(What::Directory, directory.dir.display(), "").which(tried));
    }
    endpoints(&config, &mut report);
    for hook in start::hooks(&config) {
        let checked = Checked::new(What::Hook, hook.name(), "");
        // Whoever is told may not have started yet: that is no failure.
        report.add(match hook.check() {
            Ok(()) => checked,
            Err(error) => checked.warns(error.to_string()),
        });
    }
    match shape {
        Shape::Table => stdout::write(&[report.table().as_bytes()])?,
        Shape::Json => stdout::write(&[report.json().as_bytes()])?,
    }
    let failed: Vec<&str> = report.failed().map(|checked| checked.name.as_str()).collect();
    match Exit::worst(report.failed().filter_map(|checked| checked.exit)) {
        None => Ok(()),
        Some(exit) => {
            let of = report.checks.len();
            Err(Ended::new(exit, format!("{} of {of} checks failed: {}", failed.len(), few(&failed))))
        }
    }
}

/// The tokens that are given to whoever asks.
fn given(config: &Config) -> impl Iterator<Item = Object> {
    let scopes = config.serve.tokens.iter().flat_map(|tokens| tokens.scopes.clone());
    scopes.map(|scope| Object::Token { identity: IdentityName(DEFAULT_IDENTITY.to_owned()), scope })
}

/// Asks for each object once, at most so many at a time.
async fn fetch(objects: BTreeSet<Object>, source: &Arc<Sources>) -> Brought {
    let mut objects = objects.into_iter();
    let (mut under_way, mut brought) = (JoinSet::new(), Brought::new());
    loop {
        while under_way.len() < MOST_IN_FLIGHT {
            let Some(object) = objects.next() else { break };
            let source = Arc::clone(source);
            under_way.spawn(async move {
                let result = source.fetch(&object, Need::Value).await;
                (object, result)
            });
        }
        // One that panicked has ended the process.
        let Some(Ok((object, result))) = under_way.join_next().await else { return brought };
        let unchanged = || Failure::new(Blame::Object, Kind::Content, Code::new("unread"));
        let result = result.and_then(|answer| match answer {
            Answer::Fetched(fetched) => Ok(fetched),
            Answer::Unchanged => Err(unchanged()),
        });
        brought.insert(object, result);
    }
}

/// Whether those can sign in by whom something is fetched.
fn identities(config: &Config, brought: &Brought, report: &mut Report) {
    let used: BTreeSet<Gate> = brought.keys().flat_map(Object::gates).collect();
    let is_used = |name: &IdentityName| used.contains(&Gate::Identity(name.clone()));
    for (name, identity) in config.identities.iter().filter(|(name, _)| is_used(name)) {
        let because = if name.0 == DEFAULT_IDENTITY { config.identity_because.as_str() } else { "its vault says so" };
        let failed = brought.iter().find_map(|(object, result)| match result {
            Err(failure) if failure.blame == Blame::Identity && object.identity() == Some(name) => {
                Some((Exit::of(failure), advice::told(failure, object, &config.identities)))
            }
            _ => None,
        });
        let about = format!("{identity}, because {because}");
        report.add(Checked::new(What::Identity, name, about).which(failed.map_or(Ok(()), Err)));
    }
}

/// Whether each secret can be had, and its standby; the values of those that can.
fn secrets(config: &Config, plan: &Plan, brought: &Brought, report: &mut Report) -> Values {
    let mut values = Values::new();
    for (name, wanted) in &plan.names {
        let mut checked = Checked::new(What::Secret, name, &wanted.reference);
        match of(wanted, &wanted.object, brought) {
            Ok((secret, fetched)) => {
                checked.version = Some(fetched.secret.version.to_string()).filter(|version| version != "-");
                checked.expires = fetched.expires.map(rfc3339);
                values.insert(name.clone(), secret);
            }
            Err(failure) if !wanted.required && matches!(failure.kind, Kind::Missing | Kind::Disabled) => {
                checked = checked.but_absent();
            }
            Err(failure) => checked = checked.which(Err(why(&failure, &wanted.object, config))),
        }
        report.add(checked);
        if let Some(standby) = &wanted.standby {
            let tried = of(wanted, standby, brought).map(drop);
            let tried = tried.map_err(|failure| why(&failure, standby, config));
            report.add(Checked::new(What::Standby, name, standby).which(tried));
        }
    }
    values
}

fn of<'a>(
    wanted: &Wanted,
    object: &Object,
    brought: &'a Brought,
) -> Result<(Arc<crate::secret::Secret>, &'a Fetched), Failure> {
    let unasked = || Failure::new(Blame::Object, Kind::Outage, Code::new("ended"));
    let fetched = brought.get(object).ok_or_else(unasked)?.as_ref().map_err(Clone::clone)?;
    let secret = wanted.cut.apply(&fetched.secret).map_err(|error| {
        Failure::new(Blame::Object, Kind::Content, Code::new(error.code())).because(error.to_string())
    })?;
    Ok((Arc::new(secret), fetched))
}

/// Whether tokens can be had for each scope that they are given for.
fn scopes(config: &Config, given: &[Object], brought: &Brought, report: &mut Report) {
    for object in given {
        let Object::Token { scope, .. } = object else { continue };
        let failed = brought.get(object).and_then(|result| result.as_ref().err());
        let tried = failed.map_or(Ok(()), |failure| Err(why(failure, object, config)));
        report.add(Checked::new(What::Scope, scope, "tokens for callers of serve.tokens").which(tried));
    }
}

/// What an identity is to blame for is told at the identity.
fn why(failure: &Failure, object: &Object, config: &Config) -> (Exit, String) {
    let told = match (failure.blame, object.identity()) {
        (Blame::Identity, Some(identity)) => format!("signing in as '{identity}' failed, see there"),
        _ => advice::told(failure, object, &config.identities),
    };
    (Exit::of(failure), told)
}

/// Whether the files of endpoints could be where they are to be. Ports are not tried: a running agent has them.
fn endpoints(config: &Config, report: &mut Report) {
    let mut add = |name: &str, tried: Result<(), String>| {
        let tried = tried.map_err(|reason| (Exit::Config, format!("{name} {reason}")));
        report.add(Checked::new(What::Endpoint, name, "").which(tried));
    };
    if let Some(socket) = &config.serve.socket {
        add("serve.socket.path", Listener::inspect_socket(&socket.path));
    }
    let http = config.serve.http.iter().map(|http| ("serve.http.tokenFile", &http.callers));
    let tokens = config.serve.tokens.iter().map(|tokens| ("serve.tokens.tokenFile", &tokens.callers));
    for (name, callers) in http.chain(tokens) {
        if let Callers::Bearer(file) = callers {
            add(name, token_file::inspect(file, config.serve.allow_disk));
        }
    }
}

/// Whether what is made of several secrets can be made, of the ones that could be had.
fn rendered(config: &Config, plan: &Plan, values: &Values, report: &mut Report) {
    let wanting = |names: BTreeSet<&SecretName>| {
        let lacking =
            |name: &&&SecretName| !values.contains_key(**name) && plan.names.get(**name).is_some_and(|it| it.required);
        names.iter().find(lacking).map(|name| format!("not tried without {name}"))
    };
    for (dir, layout) in &*plan.layouts {
        for (path, content) in layout {
            let Content::Rendered { recipe, .. } = content else { continue };
            let checked = Checked::new(What::File, dir.join(path).display(), "");
            report.add(match wanting(recipe.secrets()) {
                Some(why) => checked.warns(why),
                None => {
                    checked.which(recipe.make(values).map(drop).map_err(|failure| (Exit::Content, failure.to_string())))
                }
            });
        }
    }
    if !config.env.0.is_empty() {
        let checked = Checked::new(What::Variables, "env", "");
        report.add(match wanting(config.env.uses().map(|(name, _)| name).collect()) {
            Some(why) => checked.warns(why),
            None => checked
                .which(config.env.values(values).map(drop).map_err(|failure| (Exit::Content, failure.to_string()))),
        });
    }
}
