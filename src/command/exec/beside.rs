//! The variables of a keyferry that runs beside the command: whoever starts it there needs no identity.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::Method;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::given::Given;
use super::{Ended, Told, told};
use crate::command::status::answer;
use crate::exit::Exit;
use crate::local::{self, Believed, Silence};
use crate::process;
use crate::reference::Reference;
use crate::secret::SecretValue;

/// Asked again so soon at first, and so late at last.
const AGAIN: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(2)];

/// The agent.
pub(super) struct Beside {
    socket: PathBuf,
    /// The variables that are wanted; all, if none is named.
    only: BTreeSet<String>,
    believed: Believed,
}

/// Why nothing was given.
enum Refused {
    /// There may be something soon.
    NotYet(Ended),
    /// Waiting is in vain.
    Never(Ended),
}

impl From<Silence> for Refused {
    fn from(silence: Silence) -> Self {
        Self::NotYet(Ended::new(Exit::Unavailable, silence.into_reason()))
    }
}

impl Beside {
    pub(super) fn new(socket: &Path, only: &[String]) -> Self {
        Self { socket: socket.to_owned(), only: only.iter().cloned().collect(), believed: Believed::Anybody }
    }

    /// Tells the first variables that there are, or why there are none after this time; then whatever is new.
    pub(super) async fn give(mut self, patience: Duration, tell: watch::Sender<Told>) {
        let mut said = self.ended(Exit::Unavailable, "has not answered until the deadline: look into keyferry's log");
        match timeout(patience, self.first(&mut said)).await {
            Ok(Ok(given)) => told(&tell, Ok(given)),
            Ok(Err(ended)) => return told(&tell, Err(ended)),
            Err(_) => return told(&tell, Err(said)),
        }
        let [mut again, longest] = AGAIN;
        loop {
            match self.follow(&tell).await {
                Ok(()) => {
                    again = AGAIN[0];
                    said.lines.clear();
                }
                Err(Refused::NotYet(ended) | Refused::Never(ended)) => {
                    complain(ended, &mut said);
                    again = longest.min(again.saturating_mul(2));
                }
            }
            sleep(again).await;
        }
    }

    /// Waits for variables; meanwhile `said` is why there are none yet.
    async fn first(&mut self, said: &mut Ended) -> Result<Given, Ended> {
        let [mut again, longest] = AGAIN;
        loop {
            match self.look().await {
                Ok(given) => return Ok(given),
                Err(Refused::Never(ended)) => return Err(ended),
                Err(Refused::NotYet(ended)) => complain(ended, said),
            }
            sleep(again).await;
            again = longest.min(again.saturating_mul(2));
        }
    }

    /// As long as the agent can be heard.
    async fn follow(&mut self, tell: &watch::Sender<Told>) -> Result<(), Refused> {
        // Before the look: what changes between the two is looked at again.
        let mut news = local::watch(&self.socket, self.believed).await?;
        loop {
            told(tell, Ok(self.look().await?));
            if news.next().await.is_none() {
                return Ok(());
            }
        }
    }

    async fn look(&mut self) -> Result<Given, Refused> {
        // What goes into them first: a change between the two is noticed by the values, and the other way round it would be lost.
        let listing = self.ask("/v1/secrets").await?;
        let variables = self.ask("/v1/env?format=json").await?;
        let given = given(&variables, &listing, &self.only).ok_or_else(|| {
            Refused::Never(self.ended(Exit::Unavailable, "answers in another way than this version does"))
        })?;
        if given.set.is_empty() && self.only.is_empty() {
            let line = format!(
                "shows no variables to this user, uid {}: write some in its configuration, 'env: {{NAME: {{secret: <name>}}}}', and \
                 let 'allow' of 'serve.socket' show this user their secrets",
                process::uid()
            );
            return Err(Refused::Never(self.ended(Exit::Denied, &line)));
        }
        if let Some(name) = self.only.iter().find(|name| !given.set.contains_key(*name)) {
            let line = format!("shows this user, uid {}, no variable {name}, which --only names", process::uid());
            return Err(Refused::Never(self.ended(Exit::Denied, &line)));
        }
        Ok(given)
    }

    async fn ask(&mut self, target: &str) -> Result<SecretValue, Refused> {
        let reply = local::ask(&self.socket, self.believed, Method::GET, target).await?;
        if let Err(Ended { exit, lines }) = answer(&reply) {
            let ended = self.ended(exit, &format!("says: {}", lines.join("; ")));
            return Err(if [429, 503].contains(&reply.status) {
                Refused::NotYet(ended)
            } else {
                Refused::Never(ended)
            });
        }
        if let Some(uid) = reply.server.filter(|_| self.believed == Believed::Anybody) {
            tracing::info!("variables are those of {}, served by uid {uid}", self.socket.display());
            // Whoever else may make a socket there later on is not the one that was meant.
            self.believed = Believed::Only(uid);
        }
        Ok(reply.body)
    }

    fn ended(&self, exit: Exit, reason: &str) -> Ended {
        Ended::new(exit, format!("{} {reason}", self.socket.display()))
    }
}

/// Says what is wrong, once.
fn complain(ended: Ended, said: &mut Ended) {
    if said.lines != ended.lines {
        tracing::warn!("asking again for variables: {}", ended.lines.join("; "));
        *said = ended;
    }
}

/// What there is, as an agent lists it.
#[derive(Deserialize)]
struct Listing {
    secrets: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    name: String,
    reference: Option<String>,
    version: String,
    variables: Vec<String>,
}

/// The variables that are wanted of what was answered; none if it is not understood.
fn given(variables: &SecretValue, listing: &SecretValue, only: &BTreeSet<String>) -> Option<Given> {
    let is_wanted = |name: &String| only.is_empty() || only.contains(name);
    let set: BTreeMap<String, String> = serde_json::from_slice(variables.expose()).ok()?;
    let Listing { secrets } = serde_json::from_slice(listing.expose()).ok()?;
    let set = set.into_iter().filter(|(name, _)| is_wanted(name));
    let set = set.map(|(name, value)| (name, SecretValue::new(value.into_bytes()))).collect();
    let (tokens, others): (Vec<_>, Vec<_>) = secrets.into_iter().partition(|listed| {
        matches!(listed.reference.as_deref().map(Reference::parse), Some(Ok(Reference::Token { .. })))
    });
    let of_tokens: BTreeSet<String> = tokens.into_iter().flat_map(|token| token.variables).filter(is_wanted).collect();
    let is_beside = |listed: &Listed| listed.variables.iter().any(|name| of_tokens.contains(name));
    let beside_tokens = others.into_iter().filter(is_beside).map(|listed| (listed.name, listed.version)).collect();
    Some(Given { set, unset: BTreeSet::new(), of_tokens, beside_tokens })
}

#[cfg(test)]
mod tests;
