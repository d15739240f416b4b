//! Env files, as Kubernetes reads them (`fileKeyRef`, KEP-3721): a subset of what a POSIX shell reads, so that `. file`
//! gives the same.
//!
//! ```text
//! NAME='value'
//! ```
//!
//! Each value is in single quotes and stands for itself, line feeds included; nothing is escaped, so that not every
//! value can be written; one that is empty the kubelet takes for missing, unless `optional: true` says that it may be. It
//! reads lines of at most 64 KiB and loses a carriage return at their end; the kernel
//! takes no variable longer than 128 KiB.

use std::collections::BTreeMap;

use super::lines::{Line, NUL, each, whole};
use super::{Failure, LONGEST};
use crate::secret::SecretValue;

/// The longest line that the kubelet reads, without its end (`bufio.MaxScanTokenSize`).
const LONGEST_LINE: usize = (64 << 10) - 1;
/// The longest `NAME=value` that the kernel takes, without the NUL at its end (`MAX_ARG_STRLEN`).
pub const LONGEST_VARIABLE: usize = (128 << 10) - 1;

/// Writes the variables in the order of their names, or says of each that cannot be written why.
pub(super) fn write(variables: &BTreeMap<&str, SecretValue>) -> Result<SecretValue, Failure> {
    let (lines, mut wrong) = each(variables, line);
    let length: usize = variables.iter().map(|(name, value)| name.len() + value.expose().len() + QUOTES).sum();
    if length > LONGEST {
        wrong.push("the env file would be longer than 4 MiB".to_owned());
    }
    if wrong.is_empty() { Ok(whole(&lines)) } else { Err(Failure(wrong.join("; "))) }
}

/// What is written around name and value.
const QUOTES: usize = "=''\n".len();

fn line<'v>(name: &'v str, value: &'v str) -> Result<Line<'v>, &'static str> {
    let around = name.len().saturating_add("=''".len());
    let is_long = |line: &str| line.len().saturating_add(around) > LONGEST_LINE;
    if let Some(reason) = obstacle(value) {
        Err(reason)
    } else if value.len().saturating_add(name.len()).saturating_add(1) > LONGEST_VARIABLE {
        Err("a variable of more than 128 KiB keeps a process from starting: let it read a file")
    } else if value.split('\n').any(is_long) {
        Err("Kubernetes reads no line of more than 64 KiB in an env file: let the application read a file")
    } else {
        Ok(vec![name, "='", value, "'\n"])
    }
}

/// What keeps a text from standing between single quotes in an env file.
pub(super) fn obstacle(text: &str) -> Option<&'static str> {
    if text.contains('\'') {
        Some("a value with a single quote cannot be written to an env file, which has no escape for it")
    } else if text.contains('\0') {
        Some(NUL)
    } else if text.contains("\r\n") {
        Some("a value with a carriage return before a line feed does not come whole out of an env file")
    } else {
        None
    }
}
