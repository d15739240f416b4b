//! The names keyferry uses in a directory: which it makes, and which of those it finds are its own.
//!
//! Knows the random numbers that keep a neighbour from being there first. Must not know what is behind a name: that
//! something bears one of our names does not make it ours.

use std::ffi::{OsStr, OsString};
use std::path::{Component, Path};

use rustix::io::Errno;
use rustix::rand::GetRandomFlags;

use super::errors::Trouble;

/// The link to the generation that is shown: the name that kubelet uses, and that watchers wait for.
pub(super) const DATA: &str = "..data";

/// The file whose lock makes keyferry the only writer.
pub(super) const LOCK: &str = "..lock";

/// What stands for a link or a file that is renamed or removed in the next moment.
const TEMPORARY: &str = "..tmp-";

/// What stands for somebody else's directory that was in the way and could not be removed.
const ASIDE: &str = "..aside-";

/// A new name for a generation's directory.
pub(super) fn generation(number: u64) -> Result<OsString, Trouble> {
    Ok(format!("..g{number}-{}", random()?).into())
}

/// A new name for something that is gone in the next moment.
pub(super) fn temporary() -> Result<OsString, Trouble> {
    Ok(format!("{TEMPORARY}{}", random()?).into())
}

/// A new name for something that is in the way.
pub(super) fn aside() -> Result<OsString, Trouble> {
    Ok(format!("{ASIDE}{}", random()?).into())
}

/// A new name for what was somebody's before we came. Never one of a leftover: what bears it is not removed.
pub(super) fn aside_for_good(name: &OsStr) -> Result<OsString, Trouble> {
    // At most 25 + 4 × 48 bytes: a name has 255.
    let called: String = name.to_string_lossy().chars().take(48).collect();
    Ok(format!("{ASIDE}{}-{called}", random()?).into())
}

/// The number of the generation with this directory name; none if no generation is called so.
pub(super) fn generation_number(name: &OsStr) -> Option<u64> {
    let (number, rest) = name.to_str()?.strip_prefix("..g")?.split_once('-')?;
    (is_random(rest) && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(())?;
    number.parse().ok()
}

/// Whether it is a name that we make and do not use for long: what bears it may be a leftover.
pub(super) fn may_be_leftover(name: &OsStr) -> bool {
    let random_after = |prefix| name.to_str().and_then(|name| name.strip_prefix(prefix)).is_some_and(is_random);
    generation_number(name).is_some() || random_after(TEMPORARY) || random_after(ASIDE)
}

/// The name that users see for a file: its path's first element. None for a path that would leave the directory or
/// stand among our own names; the configuration refuses those, and this is the last door before the file system.
pub(super) fn visible(path: &Path) -> Option<&OsStr> {
    let mut elements = path.components().map(|component| match component {
        Component::Normal(name) => Some(name),
        _ => None,
    });
    let first = elements.next()??;
    let fits = elements.all(|element| element.is_some()) && !first.as_encoded_bytes().starts_with(b"..");
    fits.then_some(first)
}

/// What the link at a visible name says.
pub(super) fn visible_text(name: &OsStr) -> OsString {
    let mut text = OsString::from(DATA);
    text.push("/");
    text.push(name);
    text
}

fn random() -> Result<String, Trouble> {
    let mut bytes = [0_u8; 8];
    match rustix::rand::getrandom(&mut bytes, GetRandomFlags::empty()) {
        Ok(filled) if filled == bytes.len() => Ok(format!("{:016x}", u64::from_ne_bytes(bytes))),
        other => Err(Trouble::Call {
            doing: "get random bytes",
            path: "/dev/urandom".into(),
            errno: other.err().unwrap_or(Errno::AGAIN),
        }),
    }
}

fn is_random(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests;
