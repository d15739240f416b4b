//! Sends a request with a token. A token that the service rejects is dropped and asked for anew, once.

use std::sync::Arc;

use azure_core::Uuid;
use azure_core::http::headers::{ACCEPT, AUTHORIZATION, CLIENT_REQUEST_ID, CONTENT_LENGTH, Headers};
use azure_core::http::{ClientOptions, Context, Method, Pipeline, PipelineSendOptions, RawResponse, Request, Url};

use super::answer;
use super::tokens::{Token, Tokens};
use crate::failure::{Blame, Code, Failure, Kind};
use crate::reference::IdentityName;

/// What is particular about a service that takes bearer tokens.
pub(super) trait Service: Sync {
    /// What its tokens are for.
    fn scope(&self) -> &str;

    /// Whether a 401 asks for a token that may be given here at all.
    fn verify(&self, headers: &Headers) -> Result<(), Failure>;

    /// Classifies an answer that is no 200. Of a 401 this is what a second one means, after a token made anew; one that
    /// another token may mend is a denial.
    fn failure(&self, response: &RawResponse) -> Failure;
}

#[derive(Debug)]
pub(super) struct Bearer {
    tokens: Arc<Tokens>,
    pipeline: Pipeline,
}

impl Bearer {
    pub(super) fn new(tokens: Arc<Tokens>, options: ClientOptions) -> Self {
        let pipeline =
            Pipeline::new(Some("keyferry"), Some(env!("CARGO_PKG_VERSION")), options, Vec::new(), Vec::new(), None);
        Self { tokens, pipeline }
    }

    /// A token for the scope.
    pub(super) async fn sign_in(&self, identity: &IdentityName, scope: &str) -> Result<Arc<Token>, Failure> {
        self.tokens.get(identity, scope).await
    }

    /// One request as this identity, with the token it signed in with. `url` must be of this service. The answer is a
    /// 200.
    pub(super) async fn send(
        &self,
        service: &impl Service,
        identity: &IdentityName,
        token: &Arc<Token>,
        (method, url): (Method, &Url),
    ) -> Result<RawResponse, Failure> {
        let accepted = |response: RawResponse| {
            if u16::from(response.status()) == 200 { Ok(response) } else { Err(service.failure(&response)) }
        };
        let response = self.once(method, url, Some(token)).await?;
        if u16::from(response.status()) != 401 {
            return accepted(response);
        }
        service.verify(response.headers())?;
        let failure = service.failure(&response);
        if failure.kind != Kind::Denied {
            return Err(failure);
        }
        self.tokens.reject(token);
        let token = self.tokens.get(identity, service.scope()).await?;
        accepted(self.once(method, url, Some(&token)).await?)
    }

    /// One request, with or without a token, whatever the answer.
    pub(super) async fn once(
        &self,
        method: Method,
        url: &Url,
        token: Option<&Arc<Token>>,
    ) -> Result<RawResponse, Failure> {
        let mut request = Request::new(url.clone(), method);
        request.insert_header(ACCEPT, "application/json");
        // The pipeline would give it one, but first make an error of its absence, which costs a backtrace where those
        // are switched on.
        request.insert_header(CLIENT_REQUEST_ID, Uuid::new_v4().to_string());
        if method == Method::Post {
            // Without one the front end answers 411 (RFC 9110 §15.5.12).
            request.insert_header(CONTENT_LENGTH, "0");
        }
        if let Some(token) = token {
            let unusable = |_| Failure::new(Blame::Identity, Kind::Outage, Code::new("bad-token-answer"));
            let value = std::str::from_utf8(token.value.expose()).map_err(unusable)?;
            request.insert_header(AUTHORIZATION, format!("Bearer {value}"));
        }
        let options = PipelineSendOptions { skip_checks: true, ..PipelineSendOptions::default() };
        let response = self.pipeline.send(&Context::new(), &mut request, Some(options)).await;
        response.map_err(|error| answer::failure_in(&error))
    }
}
