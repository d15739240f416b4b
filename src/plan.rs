//! From the configuration to what is to be done: names and how each is cut from which object, objects and how often
//! each is asked for, layouts and which files they show.
//!
//! Pure: the same configuration gives the same plan.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::reference::SecretName;
use crate::secret::Part;

/// Directory → relative path of the file → what it holds.
pub type Layouts = BTreeMap<PathBuf, BTreeMap<PathBuf, Content>>;

/// What one file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The name of the secret.
    pub secret: SecretName,
    /// Which piece of it.
    pub part: Part,
}
