//! What to do when a workspace connection cannot be read: Azure Resource Manager's codes (its common error codes) and what
//! Azure Machine Learning was seen to answer.

use super::{BY_ITSELF, CERTIFICATE, Who};
use crate::failure::{Failure, Kind};
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
        (Kind::Missing, _) => format!("look for it: az ml connection show --name {name} {at}"),
        (Kind::Denied, _) => format!(
            "give {called} the role: az role assignment create --role \"{ROLE}\" --assignee {assignee} --scope \
             \"{workspace}\" (it takes minutes to work)"
        ),
        (Kind::Throttled, _) => "the subscription's requests are limited; it is tried again by itself, and a longer \
             refresh.connectionInterval asks less often"
            .to_owned(),
        (Kind::Content, _) => format!("look at it: az ml connection show --name {name} {at}; and at the reference"),
        _ => BY_ITSELF.to_owned(),
    }
}
