//! An application's password: read at every exchange, so that a rotated one is used at once.

use std::path::PathBuf;
use std::sync::Arc;

use azure_core::http::ClientOptions;
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};

use super::file::Kept;
use super::grant;
use crate::azure::tokens::{Exchange, Token};
use crate::azure::transport::Settings;
use crate::config::cloud::Cloud;
use crate::config::identity::{CLIENT_SECRET, ClientSecret};
use crate::failure::{Blame, Code, Failure, Kind};
use crate::moment::Clock;
use crate::secret::SecretValue;

/// Signs in with the secret of one client.
#[derive(Debug)]
pub(super) struct Secret {
    tenant: String,
    client: String,
    file: Option<PathBuf>,
    variable: Option<Arc<SecretValue>>,
    options: ClientOptions,
}

impl Secret {
    pub(super) fn new(secret: &ClientSecret, cloud: &Cloud, options: &ClientOptions, settings: &Settings) -> Self {
        Self {
            tenant: secret.tenant.clone(),
            client: secret.client.clone(),
            file: secret.file.clone(),
            variable: settings.variables.get(CLIENT_SECRET).cloned(),
            options: grant::at_authority(options, cloud),
        }
    }

    fn secret(&self) -> Result<azure_core::credentials::Secret, Failure> {
        let (file, from_file);
        let bytes = match (&self.file, &self.variable) {
            (Some(path), _) => {
                file = Some(Kept { code: "secret-file", called: "client secret's file", path });
                from_file = file.map(|file| file.read()).transpose()?;
                from_file.as_ref().map(SecretValue::expose).unwrap_or_default()
            }
            (None, variable) => {
                file = None;
                variable.as_deref().map(SecretValue::expose).unwrap_or_default()
            }
        };
        // Editors end a file with a newline; no secret of Entra's has blanks around it.
        let secret = std::str::from_utf8(bytes.trim_ascii()).ok().filter(|secret| !secret.is_empty());
        secret.map(|secret| secret.to_owned().into()).ok_or_else(|| match file {
            Some(file) => file.failure(Kind::Denied, "malformed", "holds no text"),
            None => Failure::new(Blame::Identity, Kind::Misconfigured, Code::new("secret-variable"))
                .because(format!("the variable {CLIENT_SECRET} holds nothing but blanks")),
        })
    }
}

#[async_trait::async_trait]
impl Exchange for Secret {
    async fn exchange(&self, scope: &str, clock: &Clock) -> Result<Token, Failure> {
        let credential = ClientSecretCredential::new(
            &self.tenant,
            self.client.clone(),
            self.secret()?,
            Some(ClientSecretCredentialOptions { client_options: grant::read_by_us(&self.options, clock) }),
        );
        grant::token(credential, scope, clock).await
    }
}
