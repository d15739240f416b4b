//! Who signs in: what the configuration says, and variables for the rest.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Checker, absolute, detect};
use crate::config::identity::{
    AzureCli, CLIENT_SECRET, ClientCertificate, ClientSecret, Identity, Managed, Platform, Which, Workload,
};
use crate::config::raw::{RawAzureCli, RawClientCertificate, RawClientSecret, RawIdentity, RawManaged, RawWorkload};
use crate::reference::is_guid;

pub(super) const CLIENT: &str = "AZURE_CLIENT_ID";
pub(super) const TENANT: &str = "AZURE_TENANT_ID";
pub(super) const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
pub(super) const CERTIFICATE_FILE: &str = "AZURE_CLIENT_CERTIFICATE_PATH";
/// The client id that Azure ML gives its computes.
const AZURE_ML_CLIENT: &str = "DEFAULT_IDENTITY_CLIENT_ID";

pub(super) const WORKLOAD_HELP: &str = "The workload identity webhook sets the variables in pods with the label azure.workload.identity/use: \"true\" whose \
     service account has the annotation azure.workload.identity/client-id; or give clientId, tenantId and tokenFile in \
     'workload'";
pub(super) const SECRET_HELP: &str =
    "A client secret needs its application: give tenantId, clientId and secretFile in 'clientSecret', or the variables";
pub(super) const CERTIFICATE_HELP: &str = "A client certificate needs its application: give tenantId, clientId and certificateFile in 'clientCertificate', or \
     the variables";

pub(super) type Environment = BTreeMap<String, String>;

/// The identity of everything that names no other, and why it is that one; or why there is none, which matters only to
/// who needs it.
#[derive(Default)]
pub(super) struct Chosen {
    pub(super) identity: Option<Identity>,
    pub(super) because: String,
    pub(super) none: Option<String>,
}

/// An identity; none when something that is written is wrong, which was noted; an error when the environment lacks the
/// rest.
type Read = Result<Option<Identity>, String>;

impl Checker<'_> {
    pub(super) fn default_identity(&mut self, raw: Option<&RawIdentity>) -> Chosen {
        let path = ["identity"];
        let (read, because) = match raw {
            None if self.tree.was_cut(&path) => return Chosen::default(),
            None => match detect::detect(self.settings.environment) {
                Ok((identity, because)) => (Ok(Some(identity)), because),
                Err(lacking) => (Err(lacking), String::new()),
            },
            Some(raw) => (self.identity(&path, raw), "the configuration's 'identity' says so".to_owned()),
        };
        match read {
            Ok(identity) => Chosen { identity, because, none: None },
            Err(lacking) => Chosen { identity: None, because, none: Some(lacking) },
        }
    }

    /// A vault's own identity: one that is incomplete is a problem, because nothing else can sign in there.
    pub(super) fn own_identity(&mut self, alias: &str, raw: &RawIdentity) -> Option<Identity> {
        let path = ["vaults", alias, "identity"];
        let read = self.identity(&path, raw);
        self.take(&path, read).flatten()
    }

    fn identity(&mut self, path: &[&str], raw: &RawIdentity) -> Read {
        let RawIdentity { workload, managed, client_secret, client_certificate, azure_cli } = raw;
        let kinds = [
            workload.as_ref().map(|_| "workload"),
            managed.as_ref().map(|_| "managed"),
            client_secret.as_ref().map(|_| "clientSecret"),
            client_certificate.as_ref().map(|_| "clientCertificate"),
            azure_cli.as_ref().map(|_| "azureCli"),
        ];
        let kinds: Vec<&str> = kinds.into_iter().flatten().collect();
        if kinds.len() > 1 {
            self.problem(path, format!("an identity is of one kind: keep one of {}", kinds.join(", ")));
            return Ok(None);
        }
        match (workload, managed, client_secret, client_certificate, azure_cli) {
            (Some(workload), ..) => self.workload(path, workload),
            (_, Some(managed), ..) => self.managed(path, managed),
            (_, _, Some(secret), ..) => self.client_secret(path, secret),
            (_, _, _, Some(certificate), _) => self.client_certificate(path, certificate),
            (.., Some(cli)) => Ok(self.azure_cli(path, cli)),
            _ => {
                // Not said where the kind was probably cut out.
                if !self.tree.was_cut_within(path) {
                    let kinds =
                        "workload, managed, clientSecret, clientCertificate or azureCli, such as {workload: {}}";
                    self.problem(path, format!("an identity names its kind: {kinds}"));
                }
                Ok(None)
            }
        }
    }

    fn workload(&mut self, path: &[&str], raw: &RawWorkload) -> Read {
        let kind = [path, &["workload"]].concat();
        let mut lacking = Lacking::default();
        let client = self.member(&kind, "clientId", raw.client_id.as_ref(), CLIENT, check_client, &mut lacking);
        let tenant = self.member(&kind, "tenantId", raw.tenant_id.as_ref(), TENANT, check_tenant, &mut lacking);
        let token_file = self.member(&kind, "tokenFile", raw.token_file.as_ref(), TOKEN_FILE, check_file, &mut lacking);
        lacking.none(WORKLOAD_HELP)?;
        let (Some(client), Some(tenant), Some(token_file)) = (client, tenant, token_file) else { return Ok(None) };
        let proxy = detect::token_proxy_of(&token_file, self.settings.environment)?;
        Ok(Some(Identity::Workload(Workload { tenant, client, token_file, proxy })))
    }

    fn client_secret(&mut self, path: &[&str], raw: &RawClientSecret) -> Read {
        let kind = [path, &["clientSecret"]].concat();
        let mut lacking = Lacking::default();
        let client = self.member(&kind, "clientId", raw.client_id.as_ref(), CLIENT, check_client, &mut lacking);
        let tenant = self.member(&kind, "tenantId", raw.tenant_id.as_ref(), TENANT, check_tenant, &mut lacking);
        let member = [&kind[..], &["secretFile"]].concat();
        let file = raw.secret_file.as_ref().map(|file| self.absolute(&member, file));
        if file.is_none() && !self.tree.was_cut(&member) {
            lacking.variable(self.settings.environment, CLIENT_SECRET, |_| Ok(()));
        }
        lacking.none(SECRET_HELP)?;
        let (Some(client), Some(tenant)) = (client, tenant) else { return Ok(None) };
        // A file that is written wrong does not mean the variable.
        let identity = |file| Identity::ClientSecret(ClientSecret { tenant, client, file });
        Ok(match file {
            Some(None) => None,
            file => Some(identity(file.flatten())),
        })
    }

    fn client_certificate(&mut self, path: &[&str], raw: &RawClientCertificate) -> Read {
        let kind = [path, &["clientCertificate"]].concat();
        let mut lacking = Lacking::default();
        let client = self.member(&kind, "clientId", raw.client_id.as_ref(), CLIENT, check_client, &mut lacking);
        let tenant = self.member(&kind, "tenantId", raw.tenant_id.as_ref(), TENANT, check_tenant, &mut lacking);
        let raw = raw.certificate_file.as_ref();
        let file = self.member(&kind, "certificateFile", raw, CERTIFICATE_FILE, check_file, &mut lacking);
        lacking.none(CERTIFICATE_HELP)?;
        let (Some(client), Some(tenant), Some(file)) = (client, tenant, file) else { return Ok(None) };
        Ok(Some(Identity::ClientCertificate(ClientCertificate { tenant, client, file })))
    }

    fn managed(&mut self, path: &[&str], raw: &RawManaged) -> Read {
        let kind = [path, &["managed"]].concat();
        let given = [&raw.client_id, &raw.object_id, &raw.resource_id].into_iter().flatten().count();
        if given > 1 {
            self.problem(&kind, "a managed identity is known by one of clientId, objectId and resourceId: keep one");
            return Ok(None);
        }
        let member = |member| [&kind[..], &[member]].concat();
        let which = if let Some(id) = &raw.client_id {
            self.take(&member("clientId"), check_client(id)).map(Which::Client)
        } else if let Some(id) = &raw.object_id {
            self.take(&member("objectId"), check_object(id)).map(Which::Object)
        } else if let Some(id) = &raw.resource_id {
            self.take(&member("resourceId"), check_resource(id)).map(Which::Resource)
        } else {
            // A selector that was cut out does not mean the system-assigned identity.
            (!self.tree.was_cut_within(&kind)).then_some(Which::System)
        };
        let platform = detect::platform(self.settings.environment)?.0;
        let Some(which) = which else { return Ok(None) };
        if matches!((&platform, &which), (Platform::AzureMl(_), Which::Object(_) | Which::Resource(_))) {
            self.problem(&kind, "Azure ML knows its managed identities by clientId only");
            return Ok(None);
        }
        Ok(Some(Identity::Managed(managed(platform, which, self.settings.environment)?)))
    }

    fn azure_cli(&mut self, path: &[&str], raw: &RawAzureCli) -> Option<Identity> {
        let member = [path, &["azureCli", "tenantId"]].concat();
        let tenant = match &raw.tenant_id {
            Some(tenant) => Some(self.take(&member, check_tenant(tenant))?),
            None => None,
        };
        (!self.tree.was_cut(&member)).then_some(Identity::AzureCli(AzureCli { tenant }))
    }

    /// One of them, from the configuration, else from its variable. What is wrong with a variable matters only to who
    /// needs it.
    fn member<T>(
        &mut self,
        kind: &[&str],
        member: &str,
        raw: Option<&String>,
        variable: &str,
        check: fn(&str) -> Result<T, String>,
        lacking: &mut Lacking,
    ) -> Option<T> {
        let path = [kind, &[member]].concat();
        if let Some(raw) = raw {
            return self.take(&path, check(raw));
        }
        if self.tree.was_cut(&path) {
            return None;
        }
        lacking.variable(self.settings.environment, variable, check)
    }
}

/// The variables that are not as they must be, and why.
#[derive(Default)]
pub(super) struct Lacking(Vec<String>);

impl Lacking {
    /// What the variable says; noted if that is nothing or wrong.
    pub(super) fn variable<T>(
        &mut self,
        environment: &Environment,
        name: &str,
        check: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match detect::given(environment, name).ok_or_else(|| "it is not set".to_owned()).and_then(check) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.0.push(format!("{name}: {reason}"));
                None
            }
        }
    }

    /// An error if anything was noted.
    pub(super) fn none(self, help: &str) -> Result<(), String> {
        if self.0.is_empty() { Ok(()) } else { Err(format!("nobody can sign in: {}. {help}", self.0.join("; "))) }
    }
}

/// The managed identity; Azure ML wants a client id in every request, whichever identity it is, and says which.
pub(super) fn managed(platform: Platform, which: Which, environment: &Environment) -> Result<Managed, String> {
    let own = detect::given(environment, AZURE_ML_CLIENT);
    let which = match (&platform, which, own) {
        (Platform::AzureMl(_), Which::System, Some(client)) => {
            Which::Client(check_client(client).map_err(|reason| format!("{AZURE_ML_CLIENT}: {reason}"))?)
        }
        (_, which, _) => which,
    };
    Ok(Managed { platform, which })
}

pub(super) fn check_client(client: &str) -> Result<String, String> {
    if is_guid(client) {
        Ok(client.to_owned())
    } else {
        Err("a client id is a GUID, without blanks around it".to_owned())
    }
}

fn check_object(object: &str) -> Result<String, String> {
    if is_guid(object) {
        Ok(object.to_owned())
    } else {
        Err("an object id is a GUID, without blanks around it".to_owned())
    }
}

/// `/subscriptions/…/userAssignedIdentities/<name>`; ARM compares names without case.
fn check_resource(id: &str) -> Result<String, String> {
    let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.' | b'(' | b')');
    let steps: Vec<String> = id.split('/').map(str::to_ascii_lowercase).collect();
    let is_identity = matches!(
        steps.iter().map(String::as_str).collect::<Vec<_>>().as_slice(),
        ["", "subscriptions", subscription, "resourcegroups", group, "providers", "microsoft.managedidentity",
         "userassignedidentities", name]
            if is_guid(subscription) && !group.is_empty() && !name.is_empty()
    );
    if is_identity && id.bytes().all(ok) {
        return Ok(id.to_owned());
    }
    Err("the resource id of a user-assigned identity is /subscriptions/<id>/resourceGroups/<group>/providers/\
         Microsoft.ManagedIdentity/userAssignedIdentities/<name>: az identity show --name <name> --resource-group <group> \
         --query id"
        .to_owned())
}

pub(super) fn check_tenant(tenant: &str) -> Result<String, String> {
    if matches!(tenant, "common" | "organizations" | "consumers") {
        return Err("a workload signs in to one tenant: its GUID or domain".to_owned());
    }
    let ok = tenant.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    let is_domain =
        tenant.contains('.') && !tenant.starts_with('.') && !tenant.ends_with('.') && !tenant.contains("..");
    if ok && !tenant.starts_with('-') && (is_guid(tenant) || is_domain) {
        return Ok(tenant.to_owned());
    }
    Err("a tenant is a GUID or a domain such as contoso.onmicrosoft.com, without blanks around it".to_owned())
}

pub(super) fn check_file(file: &str) -> Result<PathBuf, String> {
    absolute(file)
}
