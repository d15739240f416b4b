//! What a vault keeps: each kind of object has commands, roles and permissions of its own.

use super::Who;
use crate::failure::{Failure, Kind};
use crate::reference::{Collection, ObjectName, VersionId};

/// So that nobody looks for it among the permissions of certificates, which give no key.
const THROUGH_ITS_SECRET: &str =
    "; key and chain come through the certificate's secret, so that secrets get is what is wanted";

/// What a vault keeps.
pub(super) struct Kept<'a> {
    pub(super) collection: Collection,
    pub(super) vault: &'a str,
    pub(super) name: &'a ObjectName,
    pub(super) version: Option<&'a VersionId>,
}

impl Kept<'_> {
    /// What `az keyvault` calls it, and messages.
    fn kind(&self) -> &'static str {
        match self.collection {
            Collection::Secret => "secret",
            Collection::Certificate => "certificate",
            Collection::Key => "key",
        }
    }

    /// What `az keyvault` calls its URL, at the end of which is the version.
    fn address(&self) -> &'static str {
        if self.collection == Collection::Key { "kid" } else { "id" }
    }

    /// A command about it.
    fn az(&self, command: &str) -> String {
        format!("az keyvault {} {command} --vault-name {} --name {}", self.kind(), self.vault, self.name.as_str())
    }
}

pub(super) fn on(failure: &Failure, kept: &Kept<'_>, who: &Who<'_>) -> String {
    let Who { called, assignee, policy, .. } = who;
    let Kept { collection, vault, version, .. } = *kept;
    match (failure.kind, failure.code.as_str()) {
        (Kind::Denied, "AccessDenied") => {
            let permissions = if collection == Collection::Key { "--key-permissions" } else { "--secret-permissions" };
            format!(
                "give {called} the permission: az keyvault set-policy --name {vault} {policy} {permissions} get{}",
                if collection == Collection::Certificate { THROUGH_ITS_SECRET } else { "" }
            )
        }
        (Kind::Denied, _) => {
            let (role, why) = match collection {
                Collection::Secret => ("Key Vault Secrets User", ""),
                Collection::Certificate => ("Key Vault Certificate User", THROUGH_ITS_SECRET),
                // Only the public half is read; a role that uses keys would give the other half away to be used.
                Collection::Key => ("Key Vault Reader", ""),
            };
            format!(
                "give {called} the role: az role assignment create --role \"{role}\" --assignee {assignee} \
                 --scope \"$(az keyvault show --name {vault} --query id --output tsv)\" (it takes minutes to work){why}"
            )
        }
        (Kind::Missing, _) => {
            let look = match version {
                Some(_) => format!("{} --query \"[].{}\"", kept.az("list-versions"), kept.address()),
                None => format!("az keyvault {} list --vault-name {vault} --query \"[].name\"", kept.kind()),
            };
            let issued = if collection == Collection::Certificate {
                format!("; if it is still being issued: {}", kept.az("pending show"))
            } else {
                String::new()
            };
            format!("look for it: {look} --output tsv; if it was deleted: {}{issued}", kept.az("recover"))
        }
        (Kind::Disabled, _) => {
            let version = version.map(|version| format!(" --version {}", version.as_str())).unwrap_or_default();
            format!("switch it on: {}{version} --enabled true", kept.az("set-attributes"))
        }
        (Kind::Content, "plain-secret") => format!(
            "write 'secrets/{name}' instead of 'certificates/{name}' in the reference, to publish it as it is; the vault's \
             certificates: az keyvault certificate list --vault-name {vault} --query \"[].name\" --output tsv",
            name = kept.name.as_str()
        ),
        (Kind::Content, "unexpected") => "correct the secret, or 'expect' in the configuration".to_owned(),
        (Kind::Content, _) => match collection {
            Collection::Secret => "correct the secret, or 'property' and 'decode' in the configuration".to_owned(),
            Collection::Certificate => format!("look at how it is made: {} --query policy", kept.az("show")),
            Collection::Key => format!("look at it: {} --query key.kty", kept.az("show")),
        },
        _ => "it is tried again by itself".to_owned(),
    }
}
