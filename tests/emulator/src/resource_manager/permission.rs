//! Who may do what with which connections.

use serde::{Deserialize, Serialize};

use super::workspace::Workspace;

/// What an identity may do with connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionPermission {
    /// Read them without their secrets, and list them.
    Read,
    /// Read their secrets, which alone does not include the rest.
    ListSecrets,
}

impl ConnectionPermission {
    /// The action as a refusal names it.
    pub(crate) fn action(self) -> &'static str {
        match self {
            Self::Read => "Microsoft.MachineLearningServices/workspaces/connections/read",
            Self::ListSecrets => "Microsoft.MachineLearningServices/workspaces/connections/listsecrets/action",
        }
    }
}

/// Grants and denials; of those that match, the last one counts.
#[derive(Debug, Default)]
pub(crate) struct ConnectionRules(Vec<ConnectionRule>);

#[derive(Debug)]
pub(crate) struct ConnectionRule {
    pub(crate) client: String,
    /// None is every workspace.
    pub(crate) workspace: Option<Workspace>,
    /// None is every permission.
    pub(crate) permission: Option<ConnectionPermission>,
    /// None is the whole workspace; a rule for one connection says nothing about listing them.
    pub(crate) connection: Option<String>,
    pub(crate) allowed: bool,
}

impl ConnectionRules {
    pub(crate) fn add(&mut self, rule: ConnectionRule) {
        self.0.push(rule);
    }

    /// Lets a client do everything everywhere.
    pub(crate) fn trust(&mut self, client: &str) {
        let client = client.to_owned();
        self.add(ConnectionRule { client, workspace: None, permission: None, connection: None, allowed: true });
    }

    pub(crate) fn allow(
        &self,
        client: &str,
        workspace: &Workspace,
        permission: ConnectionPermission,
        connection: Option<&str>,
    ) -> bool {
        let applies = |rule: &&ConnectionRule| {
            rule.client.eq_ignore_ascii_case(client)
                && rule.workspace.as_ref().is_none_or(|one| one.is(workspace))
                && rule.permission.is_none_or(|one| one == permission)
                && rule
                    .connection
                    .as_deref()
                    .is_none_or(|one| connection.is_some_and(|asked| one.eq_ignore_ascii_case(asked)))
        };
        self.0.iter().rfind(applies).is_some_and(|rule| rule.allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rule_that_matches_counts_and_one_connection_is_not_the_list() {
        let mut rules = ConnectionRules::default();
        let (workspace, read) = (Workspace::from("w"), ConnectionPermission::Read);
        rules.trust("boss");
        for (client, allowed) in [("narrow", true), ("boss", false)] {
            rules.add(ConnectionRule {
                client: client.to_owned(),
                workspace: Some("W".into()),
                permission: Some(read),
                connection: Some("c".to_owned()),
                allowed,
            });
        }
        assert!(rules.allow("NARROW", &workspace, read, Some("C")));
        assert!(!rules.allow("narrow", &workspace, ConnectionPermission::ListSecrets, Some("c")));
        assert!(!rules.allow("narrow", &workspace, read, None));
        assert!(!rules.allow("boss", &workspace, read, Some("c")));
        assert!(rules.allow("boss", &workspace, read, Some("other")));
    }
}
