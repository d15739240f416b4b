//! Who signs in: what the configuration says, and the variables of the workload identity webhook for the rest.

use std::path::PathBuf;

use super::{Checker, absolute};
use crate::config::Workload;
use crate::config::raw::{RawIdentity, RawWorkload};
use crate::reference::is_guid;

const CLIENT: &str = "AZURE_CLIENT_ID";
const TENANT: &str = "AZURE_TENANT_ID";
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
const HELP: &str = "The workload identity webhook sets the variables in pods with the label azure.workload.identity/use: \
                    \"true\" whose service account has the annotation azure.workload.identity/client-id; or give \
                    clientId, tenantId and tokenFile in 'workload'";

impl Checker<'_> {
    /// The identity of everything that names no other; or why there is none, which matters only to who needs it.
    pub(super) fn default_identity(&mut self, raw: Option<&RawIdentity>) -> (Option<Workload>, Option<String>) {
        let path = ["identity"];
        let workload = match raw {
            None if self.tree.was_cut(&path) => return (None, None),
            None => RawWorkload::default(),
            Some(RawIdentity { workload: Some(workload) }) => workload.clone(),
            Some(RawIdentity { workload: None }) => {
                self.kindless(&path, "{workload: {}}");
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
            self.kindless(&path, "{workload: {clientId: …}}");
            return None;
        };
        let result = self.workload(&path, workload);
        self.take(&path, result).flatten()
    }

    /// An identity without a kind; not said where the kind was probably cut out.
    fn kindless(&mut self, path: &[&str], such_as: &str) {
        if !self.tree.was_cut_within(path) {
            self.problem(path, format!("an identity names its kind: {such_as}"));
        }
    }

    /// The whole identity; none when something that is written is wrong, an error when the environment lacks the rest.
    fn workload(&mut self, path: &[&str], raw: &RawWorkload) -> Result<Option<Workload>, String> {
        let mut lacking = Vec::new();
        let client = self.member(path, "clientId", raw.client_id.as_ref(), CLIENT, check_client, &mut lacking);
        let tenant = self.member(path, "tenantId", raw.tenant_id.as_ref(), TENANT, check_tenant, &mut lacking);
        let token_file = self.member(path, "tokenFile", raw.token_file.as_ref(), TOKEN_FILE, check_file, &mut lacking);
        if !lacking.is_empty() {
            return Err(format!("nobody can sign in: {}. {HELP}", lacking.join("; ")));
        }
        let (Some(client), Some(tenant), Some(token_file)) = (client, tenant, token_file) else { return Ok(None) };
        Ok(Some(Workload { tenant, client, token_file }))
    }

    /// One of them, from the configuration, else from its variable. What is wrong with a variable matters only to who
    /// needs it.
    fn member<T>(
        &mut self,
        path: &[&str],
        member: &str,
        raw: Option<&String>,
        variable: &str,
        check: fn(&str) -> Result<T, String>,
        lacking: &mut Vec<String>,
    ) -> Option<T> {
        let path = [path, &["workload", member]].concat();
        if let Some(raw) = raw {
            return self.take(&path, check(raw));
        }
        if self.tree.was_cut(&path) {
            return None;
        }
        let given = self.settings.environment.get(variable).filter(|value| !value.is_empty());
        match given.ok_or_else(|| "it is not set".to_owned()).and_then(|value| check(value)) {
            Ok(value) => Some(value),
            Err(reason) => {
                lacking.push(format!("{variable}: {reason}"));
                None
            }
        }
    }
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
    absolute(file)
}
