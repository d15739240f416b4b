//! Text made of secrets' values: templates, and the environment's variables as an env file.
//!
//! Pure. Knows which secrets a text is made of before any is there (`uses`), how they are put into it (`engine`), and
//! how each syntax keeps a value from being read as something else (`escape`, `env_file`, `syntax`). What goes wrong is
//! told by place and reason; the engine's own words are never repeated, because they quote values.
//!
//! The engine makes copies of values while it works. All of them are on the heap, where whatever is freed is wiped by
//! the binary's allocator; what comes out is a [`SecretValue`].

mod bounds;
mod engine;
mod env_file;
mod escape;
mod lines;
mod syntax;
mod uses;
mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::reference::SecretName;
use crate::secret::{Part, Secret, SecretValue};

pub use env_file::LONGEST_VARIABLE;
pub use escape::Escape;
pub use syntax::Syntax;
pub use uses::{Holds, Wrong, textual};
pub use variables::{Variable, Variables};

/// No text that is made is longer.
const LONGEST: usize = 4 << 20;

/// The values that a text is made of. A name that is not among them has no value on purpose.
pub type Values = BTreeMap<SecretName, Arc<Secret>>;

/// A template, checked: it can be read, and every secret that it names is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    name: String,
    text: String,
    escape: Escape,
    uses: Vec<Use>,
}

/// One place where a template names a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Use {
    secret: SecretName,
    part: Part,
    first_line: usize,
    last_line: usize,
}

impl Template {
    /// Reads a template, or finds everything that is wrong with it. `name` is what messages call it; `holds` knows the
    /// secrets.
    pub fn parse(
        name: String,
        text: String,
        escape: Escape,
        holds: &dyn Fn(&str) -> Holds,
    ) -> Result<Self, Vec<Wrong>> {
        let uses = uses::of(&text, holds)?;
        Ok(Self { name, text, escape, uses })
    }

    /// The secrets that it is made of, and which part of each.
    pub fn uses(&self) -> impl Iterator<Item = (&SecretName, Part)> {
        self.uses.iter().map(|used| (&used.secret, used.part))
    }

    /// Puts the values in.
    pub fn render(&self, values: &Values) -> Result<SecretValue, Failure> {
        engine::render(self, values)
    }

    fn failure(&self, line: Option<usize>, reason: &str) -> Failure {
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        Failure(format!("{}{line}: {reason}", self.name))
    }
}

/// How a file comes to be that does not hold one value as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipe {
    /// A template, with the values put in.
    Template(Template),
    /// The environment's variables, as an env file.
    EnvFile(Arc<Variables>),
}

impl Recipe {
    /// The secrets that it takes.
    pub fn secrets(&self) -> BTreeSet<&SecretName> {
        self.uses().into_iter().map(|(secret, _)| secret).collect()
    }

    /// The secrets that it takes, and which part of each.
    pub fn uses(&self) -> BTreeSet<(&SecretName, Part)> {
        match self {
            Self::Template(template) => template.uses().collect(),
            Self::EnvFile(variables) => variables.uses().collect(),
        }
    }

    /// Makes the file's content.
    pub fn make(&self, values: &Values) -> Result<SecretValue, Failure> {
        match self {
            Self::Template(template) => template.render(values),
            Self::EnvFile(variables) => env_file::write(&variables.values(values)?),
        }
    }
}

/// Why a text cannot be made: the place and the reason, never a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// A value as text; none if there is no value.
fn text<'v>(secret: &SecretName, part: Part, values: &'v Values) -> Result<Option<&'v str>, String> {
    let Some(value) = values.get(secret).and_then(|value| value.part(part)) else { return Ok(None) };
    let not_text = |_| format!("the secret '{secret}' is not UTF-8 text, so it cannot be part of one");
    std::str::from_utf8(value.expose()).map(Some).map_err(not_text)
}

#[cfg(test)]
mod tests;
