//! The workspaces and their connections.

use std::collections::BTreeMap;

use super::connection_spec::ConnectionSpec;
use super::workspace::Workspace;

/// All workspaces by lower-case resource id.
#[derive(Debug, Default)]
pub(crate) struct Workspaces(BTreeMap<String, Kept>);

/// A workspace as it is kept.
#[derive(Debug)]
pub(crate) struct Kept {
    id: String,
    /// By lower-case name.
    connections: BTreeMap<String, Connection>,
}

/// A connection as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(crate) spec: ConnectionSpec,
    /// When it was put last, in units of 100 ns; a put forgets when it was created.
    pub(crate) modified: i64,
}

impl Workspaces {
    /// Adds a workspace unless it exists.
    pub(crate) fn add(&mut self, workspace: &Workspace) -> &mut Kept {
        let id = workspace.id();
        self.0.entry(id.to_ascii_lowercase()).or_insert_with(|| Kept { id, connections: BTreeMap::new() })
    }

    pub(crate) fn find(&self, workspace: &Workspace) -> Option<&Kept> {
        self.0.get(&workspace.id().to_ascii_lowercase())
    }

    pub(crate) fn find_mut(&mut self, workspace: &Workspace) -> Option<&mut Kept> {
        self.0.get_mut(&workspace.id().to_ascii_lowercase())
    }

    pub(crate) fn has_subscription(&self, subscription: &str) -> bool {
        let prefix = format!("/subscriptions/{}/", subscription.to_ascii_lowercase());
        self.0.keys().any(|id| id.starts_with(&prefix))
    }
}

impl Kept {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Puts a connection, at a time later than that of the one it replaces.
    pub(crate) fn put(&mut self, spec: ConnectionSpec, now: i64) {
        let spec = spec.normalised();
        let key = spec.name.to_ascii_lowercase();
        let before = self.connections.get(&key).map_or(i64::MIN, |connection| connection.modified);
        self.connections.insert(key, Connection { spec, modified: now.max(before.saturating_add(1)) });
    }

    /// Deletes a connection; tells whether there was one.
    pub(crate) fn delete(&mut self, name: &str) -> bool {
        self.connections.remove(&name.to_ascii_lowercase()).is_some()
    }

    pub(crate) fn connection(&self, name: &str) -> Option<&Connection> {
        self.connections.get(&name.to_ascii_lowercase())
    }

    pub(crate) fn connections(&self) -> impl Iterator<Item = &Connection> {
        self.connections.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_put_at_the_same_time_still_moves_it() {
        let mut workspaces = Workspaces::default();
        let workspace = workspaces.add(&"W".into());
        for _ in 0..2 {
            workspace.put(ConnectionSpec::api_key("C", "same"), 5);
        }
        assert_eq!(workspaces.find(&"w".into()).unwrap().connection("c").unwrap().modified, 6);
        assert!(workspaces.has_subscription(super::super::DEFAULT_SUBSCRIPTION));
    }
}
