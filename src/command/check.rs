//! `keyferry check`: whether everything that the configuration wants can be had, without giving or changing anything.

mod fetched;
mod places;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::task::JoinSet;

use super::sources::Sources;
use super::{Ended, exec, start, stdout};
use crate::agent::few;
use crate::cli::{Global, Shape};
use crate::config::{Config, DEFAULT_IDENTITY};
use crate::exit::Exit;
use crate::failure::{Blame, Code, Failure, Kind};
use crate::metrics::Metrics;
use crate::plan::{daily, plan};
use crate::ports::{Answer, Fetched, Need, Source as _};
use crate::reference::{IdentityName, Object};
use crate::schedule::MOST_IN_FLIGHT;
use crate::{clock, process};
use fetched::Look;
use report::{Checked, Report, Trouble, What};

type Environment = BTreeMap<String, String>;
type Brought = BTreeMap<Object, Result<Fetched, Failure>>;

pub(super) async fn check(
    global: &Global,
    offline: bool,
    shape: Shape,
    environment: &Environment,
) -> Result<(), Ended> {
    // As `exec` does, which needs none where variables say what they want.
    let written = start::written(global, environment)?;
    let is_bounded = written.is_some();
    let written = written.or_else(|| exec::has_references(environment).then(start::nothing));
    let name = written.as_ref().map(|written| written.name.clone()).unwrap_or_default();
    let (config, _) = start::given(written, global, environment)?;
    let (config, wrong) = exec::with_references(config, environment, is_bounded);
    let plan = plan(&config);
    let given: Vec<Object> = given(&config).collect();
    let mut report = Report::new(daily(&plan, given.len()));
    let salt = process::salt().ok_or_else(|| Ended::new(Exit::Bug, "the kernel gives no random bytes"))?;
    // Nobody is asked by this yet.
    let source = start::source(&config, environment, &Metrics::new(salt));
    let usable = source.as_ref().map(drop).map_err(|ended| Trouble::new(ended.exit, ended.lines.join("; ")));
    let written = Checked::new(What::Configuration, name, "").which(usable);
    // Of what a wrong variable is made nothing is known.
    let nowhere = places::nowhere(&config).filter(|_| wrong.is_empty());
    report.add(nowhere.into_iter().fold(written, Checked::warns));
    for (name, reason) in wrong {
        let variable = Checked::new(What::Variables, name, "");
        report.add(if places::is_agents(&config) {
            variable.warns(format!("{reason}; an agent does not look at it, 'keyferry exec' would end for it"))
        } else {
            variable.which(Err(Trouble::new(Exit::Config, reason)))
        });
    }
    if let Some(source) = source.ok().filter(|_| !offline) {
        let brought = fetch(plan.objects.keys().chain(&given).cloned().collect(), &source).await;
        let look = Look { config: &config, plan: &plan, brought, now: clock::system()().wall };
        look.identities(&mut report);
        let had = look.secrets(&mut report);
        look.scopes(&given, &mut report);
        look.rendered(&had, &mut report);
    }
    places::directories(&config, &mut report);
    places::endpoints(&config, &mut report);
    places::hooks(&config, &mut report).await;
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
