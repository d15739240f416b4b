//! What to do about a failure: one sentence for the person at 3 a.m., with a command that is real.
//!
//! Pure. Knows Azure's codes and roles (facts: Key Vault REST error codes, Entra AADSTS codes).

mod connection;
mod kept;
mod sign_in;

use std::collections::BTreeMap;

use crate::config::identity::{ClientCertificate, ClientSecret, Identity, Which, Workload};
use crate::failure::{Blame, Failure, Kind};
use crate::moment::{UnixTime, roughly};
use crate::ports::{Fetched, Hint};
use crate::reference::{IdentityName, Object, Reference};
use kept::Kept;

/// What to do about the failure of an object.
pub fn on(failure: &Failure, object: &Object, identities: &BTreeMap<IdentityName, Identity>) -> String {
    let who = object.identity().map(|name| Who::new(name, object, identities));
    if let Some(advice) = on_redirect(failure).or_else(|| sign_in::on_audience(failure, object, who.as_ref()?)) {
        return advice;
    }
    match (object, &who) {
        (Object::File(path), _) => on_file(failure, &path.display().to_string()),
        (_, None) => BY_ITSELF.to_owned(),
        (Object::Token { .. }, Some(who)) => sign_in::on(failure, who),
        (Object::Connection { workspace, name, .. }, Some(who)) => match failure.blame {
            Blame::Identity => sign_in::on(failure, who),
            Blame::Host | Blame::Object => connection::on(failure, workspace, name, who),
        },
        (Object::Vault { collection, vault, name, version, .. }, Some(who)) => {
            let vault = vault.0.split('.').next().unwrap_or_default();
            match failure.blame {
                Blame::Identity => sign_in::on(failure, who),
                Blame::Host => on_vault(failure, vault, who),
                Blame::Object => {
                    kept::on(failure, &Kept { collection: *collection, vault, name, version: version.as_ref() }, who)
                }
            }
        }
    }
}

/// The failure of an object in words: what, as whom, and what to do about it.
pub fn told(failure: &Failure, object: &Object, identities: &BTreeMap<IdentityName, Identity>) -> String {
    let advice = on(failure, object, identities);
    let called = object.identity().map(|identity| Who::new(identity, object, identities).called);
    match called.filter(|called| !advice.contains(called)) {
        Some(called) => format!("{failure}; asked for as {called}; {advice}"),
        None => format!("{failure}; {advice}"),
    }
}

/// What is told of a secret that came and is probably not what was meant, or is not good any more: what, and what to do.
pub fn on_what_came(fetched: &Fetched, reference: &Reference, now: UnixTime) -> Vec<String> {
    let mut told = Vec::new();
    if fetched.hint == Some(Hint::BacksCertificate) {
        told.push(backs_certificate(reference));
    }
    told.extend(fetched.expires.filter(|expires| *expires <= now).map(|expires| expired(expires, now)));
    told
}

/// A secret that holds a certificate.
pub fn backs_certificate(reference: &Reference) -> String {
    let certificate = reference.to_string().replacen("/secrets/", "/certificates/", 1);
    format!(
        "holds a certificate: it is published as it is stored, container and all; for PEM files of key and chain write \
         {certificate}"
    )
}

/// What has ended then.
pub fn expired(expires: UnixTime, now: UnixTime) -> String {
    format!("has expired, {} ago; it is published all the same", roughly(now.since(expires)))
}

/// An answer that leads elsewhere, whoever gave it: no service of Azure's does that to these requests.
fn on_redirect(failure: &Failure) -> Option<String> {
    let (_, status) = failure.code.as_str().rsplit_once("http-")?;
    (status.len() == 3 && status.starts_with('3')).then(|| {
        "something on the way redirects, and keyferry follows no redirect, because a token could follow it: a proxy that \
         wants a login, or a name that leads elsewhere; see to HTTPS_PROXY, NO_PROXY and DNS"
            .to_owned()
    })
}

const CERTIFICATE: &str =
    "a proxy that opens TLS, or a cloud of one's own, needs its authority's certificate in tls.caFile";
const BY_ITSELF: &str = "it is tried again by itself; see https://status.azure.com";

/// Who signs in, for a message.
struct Who<'a> {
    identity: Option<&'a Identity>,
    /// What messages call it.
    called: String,
    /// What `az role assignment --assignee` takes.
    assignee: String,
    /// How `az keyvault set-policy` is told.
    policy: String,
    /// Its path in Microsoft Graph.
    graph: String,
    tenant: &'a str,
    /// What its token is asked for; none where that is Azure Resource Manager, whatever the cloud.
    scope: Option<String>,
}

impl<'a> Who<'a> {
    fn new(name: &IdentityName, wanted: &Object, identities: &'a BTreeMap<IdentityName, Identity>) -> Self {
        let identity = identities.get(name);
        let client = |id: &str| {
            (format!("client {id}"), id.to_owned(), format!("--spn {id}"), format!("servicePrincipals(appId='{id}')"))
        };
        let object = |called: String, id: String| {
            let in_quotes = id.trim_matches('"');
            (called, id.clone(), format!("--object-id {id}"), format!("servicePrincipals/{in_quotes}"))
        };
        let (called, assignee, policy, graph) = match identity {
            Some(
                Identity::Workload(Workload { client: id, .. })
                | Identity::ClientSecret(ClientSecret { client: id, .. })
                | Identity::ClientCertificate(ClientCertificate { client: id, .. }),
            ) => client(id),
            Some(Identity::Managed(managed) | Identity::Detected(managed)) => match &managed.which {
                Which::Client(id) => client(id),
                Which::Object(id) => object(format!("object {id}"), id.clone()),
                Which::Resource(id) => object(
                    format!("identity {id}"),
                    format!("\"$(az identity show --ids {id} --query principalId --output tsv)\""),
                ),
                Which::System => object("the system-assigned identity".to_owned(), "<principal-id>".to_owned()),
            },
            Some(Identity::AzureCli(_)) => {
                let user = "\"$(az ad signed-in-user show --query id --output tsv)\"";
                let (called, assignee, policy, _) = object("the Azure CLI's user".to_owned(), user.to_owned());
                (called, assignee, policy, "me".to_owned())
            }
            None => client("<client-id>"),
        };
        let tenant = identity.and_then(Identity::tenant).unwrap_or("<tenant-id>");
        let scope = match wanted {
            Object::Token { scope, .. } => Some(scope.to_string()),
            // In every cloud of Azure's the audience of vaults is their suffix.
            Object::Vault { vault, .. } => {
                let suffix = vault.0.split_once('.').map_or(vault.0.as_str(), |(_, suffix)| suffix);
                Some(format!("https://{}/.default", suffix.split(':').next().unwrap_or_default()))
            }
            Object::Connection { .. } | Object::File(_) => None,
        };
        Self { identity, called, assignee, policy, graph, tenant, scope }
    }
}

fn on_file(failure: &Failure, path: &str) -> String {
    match failure.kind {
        Kind::Missing => format!("create {path}, or mount the volume that has it"),
        Kind::Denied => format!("let keyferry's uid read it: ls -l {path}"),
        _ => format!("look at it: ls -l {path}"),
    }
}

fn on_vault(failure: &Failure, vault: &str, who: &Who<'_>) -> String {
    let Who { called, tenant, .. } = who;
    match failure.code.as_str() {
        "ForbiddenByFirewall" => format!(
            "the vault's firewall does not let this network in: az keyvault network-rule add --name {vault} --ip-address <address of this network>"
        ),
        "ForbiddenByConnection" => format!(
            "the vault is reached through its private endpoint only; check that its name resolves to a private address here, and: \
             az keyvault show --name {vault} --query properties.publicNetworkAccess"
        ),
        "dns" => format!("the name does not resolve: is the vault's name right? az keyvault show --name {vault}"),
        "refused" | "unreachable" | "connect" | "tls" => format!(
            "check that its name resolves to the vault or its private endpoint here, and that port 443 is let through: \
             az keyvault show --name {vault} --query properties.privateEndpointConnections"
        ),
        "certificate" => CERTIFICATE.to_owned(),
        "AKV10032" | "other-tenant" => format!(
            "the vault trusts another tenant than {tenant}: az keyvault show --name {vault} --query properties.tenantId"
        ),
        "AKV10022" | "other-audience" => {
            "the vault wants tokens of another cloud: set 'cloud' to the vault's".to_owned()
        }
        _ => match failure.kind {
            // A 401 is about the token, not about roles: who may do nothing gets a 403.
            Kind::Denied => format!(
                "the vault refuses the token of {called}, also one made anew: this machine's clock must be right (compare it \
                 with: date -u), and the vault's tenant {tenant}: az keyvault show --name {vault} --query \
                 properties.tenantId"
            ),
            Kind::Throttled => {
                "the vault is asked too often, by whomever: it is tried again by itself, ever less often, and a longer \
                 refresh.interval asks less often"
                    .to_owned()
            }
            _ => BY_ITSELF.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests;
