//! The JSON of a connection: all members are there, null or not, except for credentials that its kind does not have.

use serde_json::{Map, Value, json};

use super::store::Connection;
use crate::clock;

const AI: &[&str] = &["AzureOpenAI", "CognitiveSearch", "CognitiveService", "AIServices", "OpenAI", "Serverless"];

/// A connection, with its secrets or with null in their place.
pub(crate) fn connection(workspace: &str, connection: &Connection, secrets: bool, system_data: bool) -> Value {
    let spec = &connection.spec;
    let mut properties = Map::new();
    let mut put = |name: &str, value: Value| properties.insert(name.to_owned(), value);
    put("authType", spec.auth_type.clone().into());
    spec.credentials
        .as_ref()
        .map(|credentials| put("credentials", if secrets { credentials.clone() } else { Value::Null }));
    let group = if AI.contains(&spec.category.as_str()) { "AzureAI" } else { "ServicesAndApps" };
    put("group", spec.group.as_deref().unwrap_or(group).into());
    put("category", spec.category.clone().into());
    put("expiryTime", Value::Null);
    put("target", spec.target.clone().into());
    put("createdByWorkspaceArmId", workspace.into());
    put("useWorkspaceManagedIdentity", false.into());
    put("isSharedToAll", false.into());
    put("sharedUserList", json!([]));
    put("metadata", spec.metadata.clone());
    let time = clock::arm_time(connection.modified);
    let data = json!({
        "createdAt": time,
        "createdBy": "Emulator",
        "createdByType": "Application",
        "lastModifiedAt": time,
        "lastModifiedBy": "Emulator",
        "lastModifiedByType": "Application",
    });
    json!({
        "tags": null,
        "location": null,
        "id": format!("{workspace}/connections/{}", spec.name),
        "name": spec.name,
        "type": "Microsoft.MachineLearningServices/workspaces/connections",
        "properties": properties,
        "systemData": if system_data { data } else { Value::Null },
    })
}

#[cfg(test)]
mod tests {
    use super::super::ConnectionSpec;
    use super::*;

    #[test]
    fn credentials_are_null_until_asked_for_and_absent_where_there_are_none() {
        let shown = |spec, secrets| connection("/w", &Connection { spec, modified: 0 }, secrets, false);
        let key = ConnectionSpec::api_key("c", "k");
        assert_eq!(shown(key.clone(), false)["properties"].get("credentials"), Some(&Value::Null));
        assert_eq!(shown(key, true)["properties"]["credentials"], json!({"key": "k"}));
        let aad = ConnectionSpec::without_credentials("c", "AAD");
        assert_eq!(shown(aad, true)["properties"].get("credentials"), None);
    }

    #[test]
    fn members_come_in_the_recorded_order() {
        let whole = connection("/w", &Connection { spec: ConnectionSpec::api_key("c", "k"), modified: 0 }, true, true);
        let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(members(&whole), "tags location id name type properties systemData");
        assert_eq!(
            members(&whole["properties"]),
            "authType credentials group category expiryTime target createdByWorkspaceArmId \
             useWorkspaceManagedIdentity isSharedToAll sharedUserList metadata"
        );
    }
}
