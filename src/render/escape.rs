//! What keeps a value inside the quotes that a template writes around it, by the syntax of the file that it becomes.

use std::path::Path;

use super::env_file;

/// How values are written where a template puts them. The quotes around them are the template's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// As they are.
    None,
    /// As the inside of a JSON string (RFC 8259 §7).
    Json,
    /// As the inside of a single-quoted value of an env file, which has no escapes: what would end it is refused.
    EnvFile,
}

impl Escape {
    /// What a file of this name wants.
    pub fn of(path: &Path) -> Self {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_ascii_lowercase();
        match name.rsplit_once('.') {
            Some((_, "json")) => Self::Json,
            Some((_, "env")) => Self::EnvFile,
            // `.env.production`, `.env.local`.
            _ if name.starts_with(".env") => Self::EnvFile,
            _ => Self::None,
        }
    }

    /// What the engine calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Json => "json string",
            Self::EnvFile => "env file",
        }
    }

    /// The escape that the engine calls so.
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::None, Self::Json, Self::EnvFile].into_iter().find(|escape| escape.name() == name)
    }

    /// The text, ready to stand between the template's quotes; or why it cannot.
    pub(super) fn apply(self, text: &str) -> Result<String, &'static str> {
        match self {
            Self::None => Ok(text.to_owned()),
            Self::Json => {
                let quoted = serde_json::Value::from(text).to_string();
                let inside = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                inside.map(str::to_owned).ok_or("a value cannot be written as JSON")
            }
            Self::EnvFile => match env_file::obstacle(text) {
                None => Ok(text.to_owned()),
                Some(reason) => Err(reason),
            },
        }
    }
}
