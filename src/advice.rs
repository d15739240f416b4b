//! What to do about a failure: one sentence for the person at 3 a.m., with a command that is real.
//!
//! Pure. Knows Azure's codes and roles (facts: Key Vault REST error codes, Entra AADSTS codes).

use std::collections::BTreeMap;

use crate::config::Identity;
use crate::failure::{Blame, Failure, Kind};
use crate::reference::{ConnectionName, IdentityName, Object, Workspace};

/// What to do about the failure of an object.
pub fn on(failure: &Failure, object: &Object, identities: &BTreeMap<IdentityName, Identity>) -> String {
    match object {
        Object::File(path) => on_file(failure, &path.display().to_string()),
        _ if failure.code.as_str() == "not-supported" => {
            "this version of keyferry fetches secrets of vaults and files only".to_owned()
        }
        Object::Token { identity, .. } => on_sign_in(failure, &Who::new(identity, identities)),
        Object::Connection { identity, workspace, name } => {
            let who = Who::new(identity, identities);
            match failure.blame {
                Blame::Identity => on_sign_in(failure, &who),
                Blame::Host | Blame::Object => on_connection(failure, workspace, name),
            }
        }
        Object::Vault { identity, vault, name, .. } => {
            let vault = vault.0.split('.').next().unwrap_or_default();
            let who = Who::new(identity, identities);
            match failure.blame {
                Blame::Identity => on_sign_in(failure, &who),
                Blame::Host => on_vault(failure, vault, &who),
                Blame::Object => on_secret(failure, vault, name.as_str(), &who),
            }
        }
    }
}

const CERTIFICATE: &str =
    "a proxy that opens TLS, or a cloud of one's own, needs its authority's certificate in tls.caFile";

/// Who signs in, for a message.
struct Who<'a> {
    client: &'a str,
    tenant: &'a str,
    token_file: String,
}

impl<'a> Who<'a> {
    fn new(identity: &IdentityName, identities: &'a BTreeMap<IdentityName, Identity>) -> Self {
        match identities.get(identity) {
            Some(Identity::Workload(workload)) => Self {
                client: &workload.client,
                tenant: &workload.tenant,
                token_file: workload.token_file.display().to_string(),
            },
            None => Self { client: "<client-id>", tenant: "<tenant-id>", token_file: "the token file".to_owned() },
        }
    }
}

fn on_file(failure: &Failure, path: &str) -> String {
    match failure.kind {
        Kind::Missing => format!("create {path}, or mount the volume that has it"),
        Kind::Denied => format!("let keyferry's uid read it: ls -l {path}"),
        _ => format!("look at it: ls -l {path}"),
    }
}

fn on_sign_in(failure: &Failure, who: &Who<'_>) -> String {
    let Who { client, tenant, token_file } = who;
    let code = failure.code.as_str();
    let credentials =
        "compare with: az identity federated-credential list --identity-name <identity> --resource-group <group>";
    match code {
        "token-file-missing" => format!(
            "client {client} signs in with it: label the pod azure.workload.identity/use: \"true\" and see that the workload \
             identity webhook runs, or set AZURE_FEDERATED_TOKEN_FILE"
        ),
        "token-file-empty" | "token-file-unreadable" | "token-file-malformed" => {
            format!(
                "client {client} signs in with it: it must hold one signed service-account token and be readable by \
                 keyferry's uid: ls -lL {token_file}"
            )
        }
        "AADSTS700211" => {
            format!("no federated credential of client {client} names this token's issuer; {credentials}")
        }
        "AADSTS700212" => {
            format!(
                "the token's audience is not the federated credential's (api://AzureADTokenExchange) of client {client}; {credentials}"
            )
        }
        "AADSTS70021" | "AADSTS700213" | "AADSTS7002137" | "AADSTS7002138" => format!(
            "no federated credential of client {client} matches this token's subject \
             (system:serviceaccount:<namespace>:<service account>, case counts); a new one takes minutes to work; {credentials}"
        ),
        "AADSTS700024" => format!(
            "the token of client {client} in {token_file} is not valid at this time: the file is stale, or a clock is \
             off; compare its exp with the output of: date -u +%s"
        ),
        "AADSTS700016" => {
            format!("client {client} is not an application of tenant {tenant}; look with: az ad sp show --id {client}")
        }
        "AADSTS90002" | "AADSTS900023" => {
            format!(
                "there is no tenant {tenant} in this cloud; look with: az account show --query tenantId --output tsv"
            )
        }
        "AADSTS700027" | "AADSTS50027" | "AADSTS50013" => format!(
            "Entra cannot verify the token of client {client} in {token_file}: its issuer's published keys must be \
             reachable and current; {credentials}"
        ),
        "dns" | "refused" | "unreachable" | "connect" | "tls" => format!(
            "client {client} signs in at the authority (AZURE_AUTHORITY_HOST): it must be reachable from here; see to DNS, \
             network policies and firewalls"
        ),
        "certificate" => CERTIFICATE.to_owned(),
        _ => match failure.kind {
            Kind::Outage | Kind::Throttled => "it is tried again by itself; see https://status.azure.com".to_owned(),
            _ => format!("check client {client} in tenant {tenant}: az ad sp show --id {client}"),
        },
    }
}

fn on_vault(failure: &Failure, vault: &str, who: &Who<'_>) -> String {
    let Who { client, tenant, .. } = who;
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
            Kind::Denied => {
                format!("check what client {client} may do: az role assignment list --assignee {client} --all")
            }
            _ => "it is tried again by itself; see https://status.azure.com".to_owned(),
        },
    }
}

fn on_connection(failure: &Failure, workspace: &Workspace, name: &ConnectionName) -> String {
    match failure.kind {
        Kind::Outage | Kind::Throttled => "it is tried again by itself; see https://status.azure.com".to_owned(),
        _ => format!(
            "look for it: az ml connection show --name {name} --workspace-name {} --resource-group \"{}\" --subscription {}",
            workspace.name(),
            workspace.resource_group(),
            workspace.subscription()
        ),
    }
}

fn on_secret(failure: &Failure, vault: &str, name: &str, who: &Who<'_>) -> String {
    let client = who.client;
    match (failure.kind, failure.code.as_str()) {
        (Kind::Denied, "AccessDenied") => format!(
            "give client {client} the permission: az keyvault set-policy --name {vault} --spn {client} --secret-permissions get"
        ),
        (Kind::Denied, _) => format!(
            "give client {client} the role: az role assignment create --role \"Key Vault Secrets User\" --assignee {client} \
             --scope \"$(az keyvault show --name {vault} --query id --output tsv)\" (it takes minutes to work)"
        ),
        (Kind::Missing, _) => format!(
            "look for it: az keyvault secret list --vault-name {vault} --query \"[].name\" --output tsv; if it was deleted: \
             az keyvault secret recover --vault-name {vault} --name {name}"
        ),
        (Kind::Disabled, _) => {
            format!("switch it on: az keyvault secret set-attributes --vault-name {vault} --name {name} --enabled true")
        }
        (Kind::Content, _) => "correct the secret, or 'property' and 'decode' in the configuration".to_owned(),
        _ => "it is tried again by itself".to_owned(),
    }
}

#[cfg(test)]
mod tests;
