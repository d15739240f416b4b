//! What a path of the resource manager means.

use super::workspace::Workspace;
use crate::Operation;

const PROVIDER: &str = "Microsoft.MachineLearningServices";

/// A workspace's connections, one of them, or its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    workspace: Workspace,
    connection: Option<String>,
    secrets: bool,
}

impl Route {
    /// Reads a path; only the names in it keep their case.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (fixed, rest) = parts.split_at_checked(9)?;
        let [subscriptions, subscription, groups, group, providers, provider, workspaces, workspace, connections] =
            fixed
        else {
            return None;
        };
        let words = [
            (subscriptions, "subscriptions"),
            (groups, "resourceGroups"),
            (providers, "providers"),
            (provider, PROVIDER),
            (workspaces, "workspaces"),
            (connections, "connections"),
        ];
        if !words.iter().all(|(had, wanted)| had.eq_ignore_ascii_case(wanted)) || parts.contains(&"") {
            return None;
        }
        let (connection, secrets) = match rest {
            [] => (None, false),
            [name] => (Some((*name).to_owned()), false),
            [name, action] if action.eq_ignore_ascii_case("listsecrets") => (Some((*name).to_owned()), true),
            _ => return None,
        };
        let workspace = Workspace {
            subscription: (*subscription).to_owned(),
            resource_group: (*group).to_owned(),
            name: (*workspace).to_owned(),
        };
        Some(Self { workspace, connection, secrets })
    }

    pub(crate) fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    pub(crate) fn connection(&self) -> Option<&str> {
        self.connection.as_deref()
    }

    pub(crate) fn wants_secrets(&self) -> bool {
        self.secrets
    }

    pub(crate) fn operation(&self) -> Operation {
        match (&self.connection, self.secrets) {
            (None, _) => Operation::ListConnections,
            (Some(_), false) => Operation::GetConnection,
            (Some(_), true) => Operation::ListSecrets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_connections_in_any_case() {
        let base = Workspace::from("w").id() + "/connections";
        let list = Route::of(&base).unwrap();
        assert_eq!((list.connection(), list.operation()), (None, Operation::ListConnections));
        assert_eq!(list.workspace(), &Workspace::from("w"));
        let one = Route::of(&format!("{}/C", base.to_lowercase())).unwrap();
        assert_eq!((one.connection(), one.operation()), (Some("C"), Operation::GetConnection));
        let secrets = Route::of(&format!("{base}/C/listSecrets")).unwrap();
        assert!(secrets.wants_secrets() && secrets.operation() == Operation::ListSecrets);
        for wrong in ["/", "/subscriptions/s", &format!("{base}/c/other"), &format!("{base}/c/listsecrets/more")] {
            assert_eq!(Route::of(wrong), None, "{wrong}");
        }
    }
}
