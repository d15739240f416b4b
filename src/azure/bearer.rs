//! Sends a GET with a token. A token that the vault rejects is dropped and asked for anew, once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use azure_core::http::headers::{ACCEPT, AUTHORIZATION};
use azure_core::http::{ClientOptions, Context, Method, Pipeline, PipelineSendOptions, RawResponse, Request, Url};

use super::answer;
use super::challenge::Expected;
use super::flight::Flights;
use super::tokens::{Token, Tokens};
use crate::failure::{Blame, Code, Failure, Kind};
use crate::reference::{IdentityName, VaultHost};

/// Vaults whose challenge was compared, and as whom.
type Greeted = Arc<Mutex<HashSet<(VaultHost, IdentityName)>>>;

#[derive(Debug)]
pub(super) struct Bearer {
    tokens: Tokens,
    expected: Arc<Expected>,
    scope: String,
    pipeline: Pipeline,
    greeted: Greeted,
    greetings: Flights<(VaultHost, IdentityName), Result<(), Failure>>,
}

impl Bearer {
    pub(super) fn new(tokens: Tokens, expected: Expected, options: ClientOptions) -> Self {
        let pipeline =
            Pipeline::new(Some("keyferry"), Some(env!("CARGO_PKG_VERSION")), options, Vec::new(), Vec::new(), None);
        let scope = expected.scope();
        Self {
            tokens,
            expected: Arc::new(expected),
            scope,
            pipeline,
            greeted: Greeted::default(),
            greetings: Flights::default(),
        }
    }

    /// One GET as this identity. `url` must be of this vault. The answer is a 200.
    pub(super) async fn get(
        &self,
        identity: &IdentityName,
        vault: &VaultHost,
        url: &Url,
    ) -> Result<RawResponse, Failure> {
        // While the token is made the vault's connection opens, and its challenge comes to be compared: a vault that
        // has not been heard, or asked for another's token when it was, gets none.
        let (token, greeting) = tokio::join!(self.tokens.get(identity, &self.scope), self.greet(identity, vault, url));
        let token = token?;
        greeting?;
        let response = send(&self.pipeline, url, Some(&token)).await?;
        if u16::from(response.status()) != 401 {
            return accepted(response);
        }
        self.expected.verify(response.headers(), identity).inspect_err(|_| self.forget(identity, vault))?;
        let failure = answer::failure(&response);
        if !answer::is_about_the_token(&failure) {
            return Err(failure);
        }
        self.tokens.reject(&token);
        let token = self.tokens.get(identity, &self.scope).await?;
        accepted(send(&self.pipeline, url, Some(&token)).await?)
    }

    /// The vault asks for other tokens than when it was greeted: the next words with it carry none again.
    fn forget(&self, identity: &IdentityName, vault: &VaultHost) {
        let key = (vault.clone(), identity.clone());
        self.greeted.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    /// The first words with a vault carry no token. Whoever begins them uses his own URL, and what is wrong with the
    /// answer to that alone is his own trouble: the others try with theirs.
    async fn greet(&self, identity: &IdentityName, vault: &VaultHost, url: &Url) -> Result<(), Failure> {
        let key = (vault.clone(), identity.clone());
        loop {
            if self.greeted.lock().unwrap_or_else(PoisonError::into_inner).contains(&key) {
                return Ok(());
            }
            let mut own = false;
            let flight = || {
                own = true;
                let (pipeline, url, greeted) = (self.pipeline.clone(), url.clone(), Arc::clone(&self.greeted));
                let (expected, key) = (Arc::clone(&self.expected), key.clone());
                async move {
                    let response = send(&pipeline, &url, None).await?;
                    expected.verify(response.headers(), &key.1)?;
                    greeted.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
                    Ok(())
                }
            };
            let ended = || Err(Failure::new(Blame::Host, Kind::Outage, Code::new("ended")));
            let outcome = self.greetings.join(&key, flight).await.unwrap_or_else(ended);
            if own || !outcome.as_ref().is_err_and(|failure| failure.blame == Blame::Object) {
                return outcome;
            }
        }
    }
}

fn accepted(response: RawResponse) -> Result<RawResponse, Failure> {
    if u16::from(response.status()) == 200 { Ok(response) } else { Err(answer::failure(&response)) }
}

async fn send(pipeline: &Pipeline, url: &Url, token: Option<&Arc<Token>>) -> Result<RawResponse, Failure> {
    let mut request = Request::new(url.clone(), Method::Get);
    request.insert_header(ACCEPT, "application/json");
    if let Some(token) = token {
        let unusable = |_| Failure::new(Blame::Identity, Kind::Outage, Code::new("bad-token-answer"));
        let value = std::str::from_utf8(token.value.expose()).map_err(unusable)?;
        request.insert_header(AUTHORIZATION, format!("Bearer {value}"));
    }
    let options = PipelineSendOptions { skip_checks: true, ..PipelineSendOptions::default() };
    let response = pipeline.send(&Context::new(), &mut request, Some(options)).await;
    response.map_err(|error| answer::failure_in(&error))
}
