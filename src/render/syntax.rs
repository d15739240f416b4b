//! The ways in which the environment's variables are written down, each so that its readers get the very same values.

use std::collections::BTreeMap;

use super::lines::{Line, NUL, each, whole};
use super::{Failure, env_file};
use crate::secret::SecretValue;

/// How variables are written down. What a way cannot express is refused, never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// `NAME='value'`, as the dotenv libraries read it: those of Python, Node.js, Go, Ruby, and Docker Compose. They
    /// agree on little: in single quotes on all but quotes, backslashes and `$` before a name, in double quotes on still less.
    Dotenv,
    /// `export NAME='value'`, for `eval` in a POSIX shell.
    Sh,
    /// One object, name → text (RFC 8259).
    Json,
    /// `NAME='value'`, as Kubernetes' `fileKeyRef` reads it.
    EnvFile,
}

impl Syntax {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Dotenv, Self::Sh, Self::Json, Self::EnvFile];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dotenv => "dotenv",
            Self::Sh => "sh",
            Self::Json => "json",
            Self::EnvFile => "envfile",
        }
    }

    /// The one that people call so.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|syntax| syntax.name() == name)
    }

    /// Writes the variables in the order of their names, or says of each that cannot be written why.
    pub fn write(self, variables: &BTreeMap<&str, SecretValue>) -> Result<SecretValue, Failure> {
        match self {
            Self::Dotenv => made(variables, dotenv).map(|lines| whole(&lines)),
            Self::Sh => made(variables, |name, value| Ok(sh(name, value))).map(|lines| whole(&lines)),
            Self::Json => json(&made(variables, |name, value| Ok((name, value)))?),
            Self::EnvFile => env_file::write(variables),
        }
    }
}

/// What is made of all variables, if something can be made of each.
fn made<'v, T>(
    variables: &'v BTreeMap<&'v str, SecretValue>,
    make: impl Fn(&'v str, &'v str) -> Result<T, &'static str>,
) -> Result<Vec<T>, Failure> {
    let (made, wrong) = each(variables, |name, value| if value.contains('\0') { Err(NUL) } else { make(name, value) });
    if wrong.is_empty() { Ok(made) } else { Err(Failure(wrong.join("; "))) }
}

fn json(texts: &[(&str, &str)]) -> Result<SecretValue, Failure> {
    /// No byte is written in more than `\u0000`.
    const LONGEST_ESCAPE: usize = 6;
    let longest = |(name, value): &(&str, &str)| (name.len() + value.len() + 1) * LONGEST_ESCAPE;
    let mut object = Vec::with_capacity(texts.iter().map(longest).sum::<usize>() + "{}\n".len());
    let texts: BTreeMap<&str, &str> = texts.iter().copied().collect();
    serde_json::to_writer(&mut object, &texts).map_err(|_| Failure("env: no JSON can be made of it".to_owned()))?;
    object.push(b'\n');
    Ok(SecretValue::new(object))
}

fn sh<'v>(name: &'v str, value: &'v str) -> Line<'v> {
    let mut line = vec!["export ", name, "='"];
    for (number, piece) in value.split('\'').enumerate() {
        if number > 0 {
            line.push(r"'\''");
        }
        line.push(piece);
    }
    line.push("'\n");
    line
}

fn dotenv<'v>(name: &'v str, value: &'v str) -> Result<Line<'v>, &'static str> {
    if value.contains('\r') {
        return Err("a carriage return does not come whole out of a .env file: use -o json or sh");
    }
    // In single quotes some take a backslash before a quote or another one for an escape, and some put variables in.
    if !value.contains('\'') && !value.contains(r"\\") && !value.ends_with('\\') && !names_a_variable(value) {
        return Ok(vec![name, "='", value, "'\n"]);
    }
    if value.contains(['"', '\\', '$', '`']) {
        return Err(
            "quotes, backslashes or '$' in this value are not read alike by those who read .env files: use -o \
                    json or sh",
        );
    }
    Ok(vec![name, "=\"", value, "\"\n"])
}

/// Whether there is something in it that those who put variables in, quotes or not, would take for one.
fn names_a_variable(value: &str) -> bool {
    value.split('$').skip(1).any(|rest| rest.starts_with(|c: char| c == '{' || c == '_' || c.is_ascii_alphabetic()))
}
