//! What to do when a workspace connection cannot be read: Azure Resource Manager's codes (its common error codes) and what
//! Azure Machine Learning was seen to answer.

use super::{BY_ITSELF, CERTIFICATE, Who};
use crate::failure::{Blame, Failure, Kind};
use crate::reference::{ConnectionName, Workspace};

const ROLE: &str = "Azure Machine Learning Workspace Connection Secrets Reader";

pub(super) fn on(failure: &Failure, workspace: &Workspace, name: &ConnectionName, who: &Who<'_>) -> String {
    let (group, subscription) = (workspace.resource_group(), workspace.subscription());
    let Who { called, assignee, tenant, .. } = who;
    let name = name.as_str();
    let at =
        format!("--workspace-name {} --resource-group \"{group}\" --subscription {subscription}", workspace.name());
    match (failure.kind, failure.code.as_str()) {
        (_, "no-resource-manager") => {
            "add 'resourceManager: https://…' and 'resourceManagerAudience' to 'cloud' in the configuration".to_owned()
        }
        (_, "InvalidAuthenticationTokenTenant") => format!(
            "the subscription belongs to another tenant than {tenant}: az account show --subscription {subscription} \
             --query tenantId"
        ),
        (_, "InvalidAuthenticationTokenAudience") => {
            "Resource Manager wants tokens of another cloud: set 'cloud' to the subscription's".to_owned()
        }
        (_, "dns" | "refused" | "unreachable" | "connect" | "tls") => {
            "Azure Resource Manager must be reachable from here; see to DNS, network policies and firewalls".to_owned()
        }
        (_, "certificate") => CERTIFICATE.to_owned(),
        (Kind::Missing, "ResourceNotFound") => format!(
            "there is no such workspace: az ml workspace show --name {} --resource-group \"{group}\" --subscription \
             {subscription}",
            workspace.name()
        ),
        (Kind::Missing, "ResourceGroupNotFound") => {
            format!("there is no such resource group: az group show --name \"{group}\" --subscription {subscription}")
        }
        (Kind::Missing, "SubscriptionNotFound") => {
            format!(
                "there is no such subscription, or none in this tenant: az account show --subscription {subscription}"
            )
        }
        (Kind::Missing, _) => {
            format!("there is no connection '{name}' in workspace {}: az ml connection list {at}", workspace.name())
        }
        // Whoever is let in by another token than this one has no use for a role.
        (Kind::Denied, _) if failure.blame == Blame::Host => format!(
            "Resource Manager refuses the token of {called}, also one made anew: the subscription's tenant must be {tenant}, \
             and this machine's clock right; compare with: az account show --subscription {subscription} --query tenantId"
        ),
        (Kind::Denied, _) => format!(
            "give {called} the role: az role assignment create --role \"{ROLE}\" --assignee {assignee} --scope \
             \"{workspace}\" (it takes minutes to work)"
        ),
        (Kind::Throttled, _) => format!(
            "Resource Manager limits the requests of subscription {subscription}; it is tried again by itself, and a longer \
             refresh.connectionInterval asks less often; see who else asks: az monitor activity-log list --subscription \
             {subscription} --offset 1h --query \"[].caller\""
        ),
        (Kind::Content, "unexpected") => {
            format!("look at it: az ml connection show --name {name} {at}; and at 'expect' in the configuration")
        }
        (Kind::Content, _) => format!("look at it: az ml connection show --name {name} {at}; and at the reference"),
        _ => BY_ITSELF.to_owned(),
    }
}
