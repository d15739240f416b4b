//! How identities sign in, each kind in its own file. All end in an access token for one scope, from one attempt: retry
//! is the schedule's.

mod azure_cli;
mod certificate;
mod claims;
mod detected;
mod expiry;
mod file;
mod grant;
mod managed;
mod nearby;
mod secret;
mod token_proxy;
mod workload;

use std::sync::Arc;

use azure_core::http::ClientOptions;

use super::roots::LateRoots;
use super::tokens::Exchange;
use super::transport::Settings;
use crate::config::cloud::Cloud;
use crate::config::identity::Identity;

/// What signs in as this identity; asks nobody yet.
pub(super) fn exchange(
    identity: &Identity,
    cloud: &Cloud,
    options: &ClientOptions,
    settings: &Settings,
    roots: &Arc<LateRoots>,
) -> Result<Arc<dyn Exchange>, String> {
    Ok(match identity {
        Identity::Workload(workload) => Arc::new(workload::Workload::new(workload, cloud, options, (settings, roots))?),
        Identity::Managed(managed) => Arc::new(managed::Managed::new(managed, settings)?),
        Identity::ClientSecret(secret) => Arc::new(secret::Secret::new(secret, cloud, options, settings)),
        Identity::ClientCertificate(certificate) => {
            Arc::new(certificate::Certificate::new(certificate, cloud, options))
        }
        Identity::AzureCli(cli) => Arc::new(azure_cli::AzureCli::new(cli.tenant.clone())),
        Identity::Detected(managed) => Arc::new(detected::Detected::new(managed, settings)?),
    })
}
