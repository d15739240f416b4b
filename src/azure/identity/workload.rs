//! Microsoft Entra workload identity: the pod's federated token is exchanged for an access token.
//!
//! The file is read and trimmed at every exchange, because the kubelet replaces it; the SDK's own credential would keep
//! it for ten minutes. A credential is made anew per exchange: its cache would keep a rejected token.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "this is where the token file is read")]

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use azure_core::Error;
use azure_core::cloud::CustomConfiguration;
use azure_core::credentials::TokenCredential as _;
use azure_core::error::ErrorKind;
use azure_core::http::{ClientMethodOptions, ClientOptions};
use azure_identity::{ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions};

use crate::azure::answer;
use crate::azure::entra::ReadAnswers;
use crate::azure::tokens::{Exchange, Token};
use crate::config::cloud::Cloud;
use crate::failure::{Blame, Code, Failure, Kind};
use crate::moment::{Clock, UnixTime};
use crate::secret::SecretValue;

/// A service account's token is a few hundred bytes long.
const LONGEST_TOKEN: u64 = 64 << 10;

/// Exchanges the federated token of one client.
#[derive(Debug)]
pub(in crate::azure) struct Workload {
    tenant: String,
    client: String,
    token_file: PathBuf,
    options: ClientOptions,
}

impl Workload {
    pub(in crate::azure) fn new(workload: &crate::config::Workload, cloud: &Cloud, options: ClientOptions) -> Self {
        let mut custom = CustomConfiguration::default();
        custom.authority_host.clone_from(&cloud.authority);
        Self {
            tenant: workload.tenant.clone(),
            client: workload.client.clone(),
            token_file: workload.token_file.clone(),
            // With the authority given, the SDK reads no environment variable for it.
            options: ClientOptions { cloud: Some(Arc::new(custom.into())), ..options },
        }
    }
}

#[async_trait::async_trait]
impl Exchange for Workload {
    async fn exchange(&self, scope: &str, clock: &Clock) -> Result<Token, Failure> {
        let mut client_options = self.options.clone();
        client_options.per_try_policies.push(Arc::new(ReadAnswers::new(clock)));
        let credential = ClientAssertionCredential::new(
            self.tenant.clone(),
            self.client.clone(),
            TokenFile(self.token_file.clone()),
            Some(ClientAssertionCredentialOptions { client_options }),
        );
        let blamed = |error: Error| answer::failure_in(&error).blamed_on(Blame::Identity);
        let token = credential.map_err(blamed)?.get_token(&[scope], None).await.map_err(blamed)?;
        let now = clock();
        let ends = u64::try_from(token.expires_on.unix_timestamp()).ok().and_then(UnixTime::from_seconds);
        let life = ends.map(|ends| ends.since(now.wall)).unwrap_or_default();
        Ok(Token::new(SecretValue::new(token.token.secret().as_bytes().to_vec()), life, now.tick))
    }
}

/// The file, as the SDK wants it: something that gives the assertion when asked.
#[derive(Debug)]
struct TokenFile(PathBuf);

#[async_trait::async_trait]
impl ClientAssertion for TokenFile {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        read(&self.0).map_err(|failure| Error::new(ErrorKind::Credential, failure))
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let failure = |kind, code, detail: &str| {
        Failure::new(Blame::Identity, kind, Code::new(code))
            .because(format!("the token file {} {detail}", path.display()))
    };
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => failure(Kind::Missing, "token-file-missing", "does not exist"),
        _ => failure(Kind::Denied, "token-file-unreadable", &format!("cannot be read: {error}")),
    };
    // Opening anything but a file, a FIFO say, could block for ever.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(failure(Kind::Denied, "token-file-unreadable", "is no regular file"));
    }
    let mut text = String::new();
    let malformed =
        || failure(Kind::Denied, "token-file-malformed", "holds no signed token (three parts joined by dots)");
    match File::open(path).map_err(unreadable)?.take(LONGEST_TOKEN).read_to_string(&mut text) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Err(malformed()),
        Err(error) => return Err(unreadable(error)),
    }
    let token = text.trim();
    if token.is_empty() {
        return Err(failure(Kind::Missing, "token-file-empty", "is empty"));
    }
    // RFC 7515 §7.1: three base64url parts.
    let is_base64url = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if token.split('.').count() != 3 || !token.bytes().all(is_base64url) {
        return Err(malformed());
    }
    Ok(token.to_owned())
}
