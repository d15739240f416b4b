//! The ways in which the environment's variables are written down, each so that its readers get the very same values.

use std::collections::BTreeMap;

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
    /// Writes the variables in the order of their names, or says of each that cannot be written why.
    pub fn write(self, variables: &BTreeMap<&str, SecretValue>) -> Result<SecretValue, Failure> {
        match self {
            Self::Dotenv => lines(variables, dotenv),
            Self::Sh => lines(variables, |name, value| Ok(sh(name, value))),
            Self::Json => json(variables),
            Self::EnvFile => env_file::write(variables),
        }
    }
}

type Line = fn(&str, &str) -> Result<String, &'static str>;

fn lines(variables: &BTreeMap<&str, SecretValue>, line: Line) -> Result<SecretValue, Failure> {
    let lines = each(variables, line)?;
    // As long as it will get, so that growing leaves no copy behind.
    let mut all = Vec::with_capacity(lines.values().map(String::len).sum());
    for line in lines.values() {
        all.extend_from_slice(line.as_bytes());
    }
    Ok(SecretValue::new(all))
}

fn json(variables: &BTreeMap<&str, SecretValue>) -> Result<SecretValue, Failure> {
    let texts = each(variables, |_, value| Ok(value.to_owned()))?;
    let mut object = serde_json::to_vec(&texts).map_err(|_| Failure("env: no JSON can be made of it".to_owned()))?;
    object.push(b'\n');
    Ok(SecretValue::new(object))
}

/// What is made of each variable, or what is wrong with all that nothing can be made of.
fn each<'v>(variables: &BTreeMap<&'v str, SecretValue>, make: Line) -> Result<BTreeMap<&'v str, String>, Failure> {
    let (mut made, mut wrong) = (BTreeMap::new(), Vec::new());
    for (name, value) in variables {
        let text = std::str::from_utf8(value.expose()).map_err(|_| "the value is not UTF-8 text");
        let text = text.and_then(|text| {
            if text.contains('\0') {
                Err("a value with a NUL character cannot be the value of a variable")
            } else {
                Ok(text)
            }
        });
        match text.and_then(|text| make(name, text)) {
            Ok(text) => drop(made.insert(*name, text)),
            Err(reason) => wrong.push(format!("env.{name}: {reason}")),
        }
    }
    if wrong.is_empty() { Ok(made) } else { Err(Failure(wrong.join("; "))) }
}

fn sh(name: &str, value: &str) -> String {
    format!("export {name}='{}'\n", value.replace('\'', r"'\''"))
}

fn dotenv(name: &str, value: &str) -> Result<String, &'static str> {
    if value.contains('\r') {
        return Err("a carriage return does not come whole out of a .env file: use -o json or sh");
    }
    // In single quotes some take a backslash before a quote or another one for an escape, and some put variables in.
    if !value.contains('\'') && !value.contains(r"\\") && !value.ends_with('\\') && !names_a_variable(value) {
        return Ok(format!("{name}='{value}'\n"));
    }
    if value.contains(['"', '\\', '$', '`']) {
        return Err(
            "quotes, backslashes or '$' in this value are not read alike by those who read .env files: use -o \
                    json or sh",
        );
    }
    Ok(format!("{name}=\"{value}\"\n"))
}

/// Whether there is something in it that those who put variables in, quotes or not, would take for one.
fn names_a_variable(value: &str) -> bool {
    value.split('$').skip(1).any(|rest| rest.starts_with(|c: char| c == '{' || c == '_' || c.is_ascii_alphabetic()))
}
