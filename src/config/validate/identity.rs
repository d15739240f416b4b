//! Who signs in: what the configuration says, and the variables of the workload identity webhook for the rest.

use std::path::PathBuf;

use super::Checker;
use crate::config::Workload;
use crate::config::raw::{RawIdentity, RawWorkload};

const CLIENT: &str = "AZURE_CLIENT_ID";
const TENANT: &str = "AZURE_TENANT_ID";
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";

impl Checker<'_> {
    /// The identity of everything that names no other; or why there is none, which matters only to who needs it.
    pub(super) fn default_identity(&mut self, raw: Option<&RawIdentity>) -> (Option<Workload>, Option<String>) {
        let path = ["identity"];
        let workload = match raw {
            None => RawWorkload::default(),
            Some(RawIdentity { workload: Some(workload) }) => workload.clone(),
            Some(RawIdentity { workload: None }) => {
                self.problem(&path, "an identity names its kind: {workload: {}}");
                return (None, None);
            }
        };
        match self.workload(&path, &workload) {
            Ok(workload) => (workload, None),
            Err(missing) => (None, Some(missing)),
        }
    }

    /// A vault's own identity: one that is incomplete is a problem, because nothing else can sign in there.
    pub(super) fn own_identity(&mut self, alias: &str, raw: &RawIdentity) -> Option<Workload> {
        let path = ["vaults", alias, "identity"];
        let Some(workload) = &raw.workload else {
            self.problem(&path, "an identity names its kind: {workload: {clientId: …}}");
            return None;
        };
        let result = self.workload(&path, workload);
        self.take(&path, result).flatten()
    }

    /// The whole identity; none when something of it is wrong, an error when something is missing.
    fn workload(&mut self, path: &[&str], raw: &RawWorkload) -> Result<Option<Workload>, String> {
        let [client_path, tenant_path, file_path] =
            ["clientId", "tenantId", "tokenFile"].map(|member| [path, &["workload", member]].concat());
        let client = self.given(raw.client_id.as_ref(), CLIENT);
        let tenant = self.given(raw.tenant_id.as_ref(), TENANT);
        let file = self.given(raw.token_file.as_ref(), TOKEN_FILE);
        let missing: Vec<&str> = [(&client, CLIENT), (&tenant, TENANT), (&file, TOKEN_FILE)]
            .into_iter()
            .filter_map(|(given, variable)| given.is_none().then_some(variable))
            .collect();
        let (Some(client), Some(tenant), Some(file)) = (client, tenant, file) else {
            return Err(format!(
                "nobody can sign in: {} not set. The workload identity webhook sets them in pods with the label \
                 azure.workload.identity/use: \"true\" whose service account has the annotation \
                 azure.workload.identity/client-id; or give identity.workload.clientId, tenantId and tokenFile",
                missing.join(" and ") + if missing.len() == 1 { " is" } else { " are" }
            ));
        };
        let client =
            self.take(&client_path, check_client(&client).map_err(|error| of(raw.client_id.as_ref(), CLIENT, error)));
        let tenant =
            self.take(&tenant_path, check_tenant(&tenant).map_err(|error| of(raw.tenant_id.as_ref(), TENANT, error)));
        let file =
            self.take(&file_path, check_file(&file).map_err(|error| of(raw.token_file.as_ref(), TOKEN_FILE, error)));
        let (Some(client), Some(tenant), Some(token_file)) = (client, tenant, file) else { return Ok(None) };
        Ok(Some(Workload { tenant, client, token_file }))
    }

    fn given(&self, raw: Option<&String>, variable: &str) -> Option<String> {
        raw.or_else(|| self.settings.environment.get(variable).filter(|value| !value.is_empty())).cloned()
    }
}

/// Says where a wrong value is from, when it is not from the configuration.
fn of(raw: Option<&String>, variable: &str, error: String) -> String {
    if raw.is_some() { error } else { format!("{variable}: {error}") }
}

fn check_client(client: &str) -> Result<String, String> {
    if is_guid(client) {
        Ok(client.to_owned())
    } else {
        Err("a client id is a GUID, without blanks around it".to_owned())
    }
}

fn check_tenant(tenant: &str) -> Result<String, String> {
    if matches!(tenant, "common" | "organizations" | "consumers") {
        return Err("a workload signs in to one tenant: its GUID or domain".to_owned());
    }
    let ok = tenant.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    let is_domain =
        tenant.contains('.') && !tenant.starts_with('.') && !tenant.ends_with('.') && !tenant.contains("..");
    if ok && (is_guid(tenant) || is_domain) {
        return Ok(tenant.to_owned());
    }
    Err("a tenant is a GUID or a domain such as contoso.onmicrosoft.com, without blanks around it".to_owned())
}

fn check_file(file: &str) -> Result<PathBuf, String> {
    if file.starts_with('/') && !file.contains('\0') {
        return Ok(file.into());
    }
    Err("the token file is named by its absolute path".to_owned())
}

fn is_guid(text: &str) -> bool {
    let mut parts = text.split('-').map(|part| (part.len(), part.bytes().all(|b| b.is_ascii_hexdigit())));
    [8, 4, 4, 4, 12].into_iter().all(|length| parts.next() == Some((length, true))) && parts.next().is_none()
}
