//! What is published: the last good value of every name, and the numbered, immutable whole that is made of them.
//!
//! Knows when a new whole is due and what changed. Must not know how it is fetched or written.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::plan::Layouts;
use crate::reference::SecretName;
use crate::secret::{Part, Secret, SecretValue};

/// The number of a published whole; it moves only when content or layout moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

impl Generation {
    /// The number after this one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Everything that is published together, immutable.
#[derive(Debug)]
pub struct Snapshot {
    /// Its number.
    pub generation: Generation,
    /// The values by name; a name without a value (optional and missing, or not yet fetched) is absent.
    pub secrets: BTreeMap<SecretName, Arc<Secret>>,
    /// Which directory shows which of them as which file.
    pub layouts: Arc<Layouts>,
}

impl Snapshot {
    /// The files that the directory shall hold: relative path → content. Files whose secret has no value are left out.
    pub fn files(&self, dir: &Path) -> BTreeMap<&Path, &SecretValue> {
        let Some(layout) = self.layouts.get(dir) else { return BTreeMap::new() };
        layout
            .iter()
            .filter_map(|(path, content)| {
                let value = self.secrets.get(&content.secret)?.part(content.part)?;
                Some((path.as_path(), value))
            })
            .collect()
    }
}
