//! Microsoft Entra workload identity: the pod's federated token is exchanged for an access token.
//!
//! The file is read and trimmed at every exchange, because the kubelet replaces it; the SDK's own credential would keep
//! it for ten minutes.

use std::path::PathBuf;
use std::sync::Arc;

use azure_core::Error;
use azure_core::error::ErrorKind;
use azure_core::http::{ClientMethodOptions, ClientOptions, Transport};
use azure_identity::{ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions};

use super::file::Kept;
use super::token_proxy::TokenProxy;
use super::{claims, grant};
use crate::azure::roots::LateRoots;
use crate::azure::tokens::{Exchange, Token};
use crate::azure::transport::Settings;
use crate::config::cloud::Cloud;
use crate::failure::{Failure, Kind};
use crate::moment::Clock;
use crate::secret::SecretValue;

/// Exchanges the federated token of one client.
#[derive(Debug)]
pub(super) struct Workload {
    tenant: String,
    client: String,
    token_file: PathBuf,
    options: ClientOptions,
}

impl Workload {
    pub(super) fn new(
        workload: &crate::config::Workload,
        cloud: &Cloud,
        options: &ClientOptions,
        (settings, roots): (&Settings, &Arc<LateRoots>),
    ) -> Result<Self, String> {
        let mut options = grant::at_authority(options, cloud);
        if let Some(proxy) = &workload.proxy {
            options.transport = Some(Transport::new(Arc::new(TokenProxy::new(proxy, roots, &settings.metrics)?)));
        }
        let (tenant, client) = (workload.tenant.clone(), workload.client.clone());
        Ok(Self { tenant, client, token_file: workload.token_file.clone(), options })
    }
}

#[async_trait::async_trait]
impl Exchange for Workload {
    async fn exchange(&self, scope: &str, clock: &Clock) -> Result<Token, Failure> {
        let credential = ClientAssertionCredential::new(
            self.tenant.clone(),
            self.client.clone(),
            TokenFile(self.token_file.clone()),
            Some(ClientAssertionCredentialOptions { client_options: grant::read_by_us(&self.options, clock) }),
        );
        grant::token(credential, scope, clock).await.map_err(|failure| self.explained(failure))
    }
}

impl Workload {
    /// The failure with what the token says of itself, where Entra knows no credential for that.
    fn explained(&self, failure: Failure) -> Failure {
        let about = claims::about(failure.code.as_str());
        if about.is_empty() || failure.detail.is_some() {
            return failure;
        }
        let token = TokenFile(self.token_file.clone()).read();
        match token.ok().and_then(|token| claims::told(token.expose(), about)) {
            Some(told) => failure.because(told),
            None => failure,
        }
    }
}

/// The file, as the SDK wants it: something that gives the assertion when asked.
#[derive(Debug)]
struct TokenFile(PathBuf);

#[async_trait::async_trait]
impl ClientAssertion for TokenFile {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let token = self.read().map_err(|failure| Error::new(ErrorKind::Credential, failure))?;
        Ok(String::from_utf8_lossy(token.expose()).into_owned())
    }
}

impl TokenFile {
    /// The token, which is ASCII.
    fn read(&self) -> Result<SecretValue, Failure> {
        let file = Kept { code: "token-file", called: "token file", path: &self.0 };
        let bytes = file.read()?;
        let token = bytes.expose().trim_ascii();
        // RFC 7515 §7.1: three base64url parts.
        let is_base64url = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let is_signed = token.split(|b| *b == b'.').count() == 3 && token.iter().all(is_base64url);
        if is_signed {
            return Ok(SecretValue::new(token.to_vec()));
        }
        Err(file.failure(Kind::Denied, "malformed", "holds no signed token (three parts joined by dots)"))
    }
}
