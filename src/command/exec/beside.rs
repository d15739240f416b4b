//! The variables of a keyferry that runs beside the command: whoever starts it there needs no identity.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::Method;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::given::{Given, One};
use super::resolve::is_wanted;
use super::{Ended, OWN, Told, told};
use crate::command::status::{answer, unanswered};
use crate::exit::Exit;
use crate::local::{self, Believed, Silence};
use crate::process;
use crate::render::Variable;
use crate::secret::SecretValue;

/// Asked again so soon at first.
const SOON: Duration = Duration::from_millis(50);
/// And so late at last.
const LATE: Duration = Duration::from_secs(2);

/// The agent.
pub(super) struct Beside {
    socket: PathBuf,
    /// The variables that are wanted; all, if none is named.
    only: BTreeSet<String>,
    believed: Believed,
    /// How often something was given.
    news: u64,
}

/// Why nothing was given.
enum Refused {
    /// Nobody was heard.
    Silent(Ended),
    /// There may be something soon, which news will tell of.
    NotYet(Ended),
    /// Waiting is in vain.
    Never(Ended),
}

impl From<Silence> for Refused {
    fn from(silence: Silence) -> Self {
        match silence {
            Silence::Nowhere(_) => Self::Never(unanswered(silence)),
            _ => Self::Silent(unanswered(silence)),
        }
    }
}

impl Beside {
    pub(super) fn new(socket: &Path, only: &[String]) -> Self {
        Self { socket: socket.to_owned(), only: only.iter().cloned().collect(), believed: Believed::Anybody, news: 0 }
    }

    /// Tells the first variables that there are, or why there are none after this time; then whatever is new.
    pub(super) async fn give(mut self, patience: Duration, tell: watch::Sender<Told>) {
        let mut said = self.ended(Exit::Unavailable, "has not answered until the deadline: look into keyferry's log");
        match timeout(patience, self.first(&mut said)).await {
            Ok(Ok(given)) => told(&tell, Ok(given)),
            Ok(Err(ended)) => return told(&tell, Err(ended)),
            Err(_) => return told(&tell, Err(said)),
        }
        let mut again = SOON;
        loop {
            let began = self.news;
            match self.follow(&tell, &mut said).await {
                Ok(()) => {}
                Err(Refused::Silent(ended) | Refused::NotYet(ended) | Refused::Never(ended)) => {
                    complain(ended, &mut said);
                }
            }
            // Whoever ends every connection at once is not asked without end.
            again = if self.news > began { SOON } else { LATE.min(again.saturating_mul(2)) };
            sleep(again).await;
        }
    }

    /// Waits for variables; meanwhile `said` is why there are none yet.
    async fn first(&mut self, said: &mut Ended) -> Result<Given, Ended> {
        let mut again = SOON;
        loop {
            match self.look().await {
                Ok(given) => return Ok(given),
                Err(Refused::Never(ended)) => return Err(ended),
                Err(Refused::Silent(ended) | Refused::NotYet(ended)) => complain(ended, said),
            }
            sleep(again).await;
            again = LATE.min(again.saturating_mul(2));
        }
    }

    /// As long as the agent can be heard.
    async fn follow(&mut self, tell: &watch::Sender<Told>, said: &mut Ended) -> Result<(), Refused> {
        let mut news = local::watch(&self.socket, self.believed).await?;
        // What changes after it has begun is told: so the look comes after that.
        let mut is_heard = news.begun().await;
        while is_heard.is_some() {
            match self.look().await {
                Ok(given) => {
                    told(tell, Ok(given));
                    said.lines.clear();
                    self.news = self.news.saturating_add(1);
                }
                Err(silent @ Refused::Silent(_)) => return Err(silent),
                // When that changes, there is news.
                Err(Refused::NotYet(ended) | Refused::Never(ended)) => complain(ended, said),
            }
            is_heard = news.next().await;
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<Given, Refused> {
        let answer = self.ask("/v1/variables").await?;
        let listing: Option<Listing> = serde_json::from_slice(answer.expose()).ok();
        let is_name = |listed: &Listed| Variable::may_be_called(&listed.name) && !listed.name.starts_with(OWN);
        let Some(Listing { variables }) = listing.filter(|listing| listing.variables.iter().all(is_name)) else {
            return Err(Refused::Never(self.ended(Exit::Unavailable, "answers in another way than this version does")));
        };
        if variables.is_empty() {
            let line = format!(
                "shows no variables to this user, uid {}: write some in its configuration, 'env: {{NAME: {{secret: <name>}}}}', and \
                 let 'allow' of 'serve.socket' show this user their secrets",
                process::uid()
            );
            return Err(Refused::Never(self.ended(Exit::Denied, &line)));
        }
        let is_shown = |name: &&String| variables.iter().any(|listed| listed.name == **name);
        if let Some(name) = self.only.iter().find(|name| !is_shown(name)) {
            let line = format!(
                "shows this user, uid {}, no variable '{name}', which --only names: correct it, or let 'env' have it and 'allow' of \
                 'serve.socket' show this user its secrets",
                process::uid()
            );
            return Err(Refused::Never(self.ended(Exit::Usage, &line)));
        }
        let mut given = Given::default();
        for listed in variables.into_iter().filter(|listed| is_wanted(&listed.name, &self.only)) {
            if let Some(Trouble { code, message }) = listed.trouble {
                let says = format!("says: {message}");
                return Err(match code.as_str() {
                    "NoValueYet" => Refused::NotYet(self.ended(Exit::Unavailable, &says)),
                    _ => Refused::Never(self.ended(Exit::Content, &says)),
                });
            }
            let value = listed.value.map(|value| SecretValue::new(value.into_bytes()));
            given.0.insert(listed.name, One { value, token: listed.token });
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

/// What an agent answers; the rest of it does not matter here.
#[derive(Deserialize)]
struct Listing {
    variables: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    name: String,
    value: Option<String>,
    token: Option<String>,
    trouble: Option<Trouble>,
}

#[derive(Deserialize)]
struct Trouble {
    code: String,
    message: String,
}
