//! What the environment does not say, a try does: the managed identity if IMDS answers, else the Azure CLI if it is
//! installed. Decided once, at the first exchange that gets a token by one of them.

use std::time::Duration;

use tokio::sync::Mutex;

use super::azure_cli::{AzureCli, NOT_INSTALLED};
use super::managed::Managed;
use crate::azure::tokens::{Exchange, Token};
use crate::azure::transport::Settings;
use crate::failure::{Blame, Code, Failure, Kind};
use crate::moment::Clock;

/// IMDS is beside this machine, or not there at all.
const IMDS_ANSWERS_WITHIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Detected {
    imds: Managed,
    cli: AzureCli,
    called: String,
    chosen: Mutex<Option<Choice>>,
}

#[derive(Debug, Clone, Copy)]
enum Choice {
    Imds,
    Cli,
}

impl Detected {
    pub(super) fn new(managed: &crate::config::identity::Managed, settings: &Settings) -> Result<Self, String> {
        Ok(Self {
            imds: Managed::new(managed, settings)?,
            cli: AzureCli::new(None),
            called: managed.to_string(),
            chosen: Mutex::default(),
        })
    }
}

#[async_trait::async_trait]
impl Exchange for Detected {
    async fn exchange(&self, scope: &str, clock: &Clock) -> Result<Token, Failure> {
        let mut chosen = self.chosen.lock().await;
        let choice = match *chosen {
            Some(choice) => choice,
            None if self.imds.is_there(IMDS_ANSWERS_WITHIN).await.is_ok() => {
                tracing::info!("signing in by {}, because IMDS answers here", self.called);
                *chosen.insert(Choice::Imds)
            }
            None => {
                let tried = "IMDS does not answer here";
                return match self.cli.exchange(scope, clock).await {
                    Err(failure) if failure.code.as_str() == NOT_INSTALLED => {
                        let none = Failure::new(Blame::Identity, Kind::Missing, Code::new("no-identity"));
                        let set = "the environment names no identity";
                        Err(none.because(format!("{set}, {tried}, and the Azure CLI is not installed")))
                    }
                    // Nothing is decided: IMDS may only have been slow, and be there at the next try.
                    Err(failure) => {
                        let detail = failure.detail.clone().unwrap_or_default();
                        Err(failure.because(format!("{tried}, so the Azure CLI was asked: {detail}")))
                    }
                    Ok(token) => {
                        let why = format!("{tried} and the Azure CLI is logged in");
                        tracing::info!("signing in by the Azure CLI's login, because {why}");
                        *chosen = Some(Choice::Cli);
                        Ok(token)
                    }
                };
            }
        };
        drop(chosen);
        match choice {
            Choice::Imds => self.imds.exchange(scope, clock).await,
            Choice::Cli => self.cli.exchange(scope, clock).await,
        }
    }
}
