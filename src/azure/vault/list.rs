//! One page of a vault's list: names and when each was changed, no value; and where the list goes on.

use azure_core::http::Url;
use serde::Deserialize;
use serde_json::Value;

use super::read;
use crate::failure::{Blame, Code, Failure, Kind};
use crate::reference::{Collection, ObjectName};
use crate::survey::Survey;

/// The most that a page holds. What an answer holds beyond is not looked at: nobody makes us keep more than we asked for.
const PAGE: usize = 25;
/// A real one has some hundred characters.
const LONGEST_LINK: usize = 8 << 10;

/// A page; entries may be anything.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    value: Vec<Value>,
    /// Null in a vault at the end, absent in others.
    #[serde(default)]
    next_link: Value,
}

impl Page {
    pub(super) fn read(body: &[u8]) -> Result<Self, Failure> {
        let bad = |_| Failure::new(Blame::Object, Kind::Outage, Code::new("bad-answer"));
        serde_json::from_slice(body).map_err(bad).map_err(|failure| failure.because("the vault's answer is no list"))
    }

    /// Adds what it shows. An entry without a name of ours shows nothing.
    pub(super) fn show(&self, collection: Collection, survey: &mut Survey) {
        // What identifies a key is called so in lists, too.
        let id = if collection == Collection::Key { "kid" } else { "id" };
        for entry in self.value.iter().take(PAGE) {
            if let Some(name) = entry.get(id).and_then(Value::as_str).and_then(|id| name_in(id, collection)) {
                survey.show(name, entry.get("attributes").and_then(read::stamp));
            }
        }
    }

    /// Where the list goes on: at the place where it began, or nowhere that a token is sent to. `first` is that place,
    /// `present` where this page is from.
    pub(super) fn next(&self, first: &Url, present: &Url) -> Result<Option<Url>, Failure> {
        let bad = || {
            Failure::new(Blame::Object, Kind::Outage, Code::new("bad-next-link"))
                .because("the vault's list says that it goes on where no list of the vault is; nobody was asked there")
        };
        let link = match &self.next_link {
            Value::Null => return Ok(None),
            Value::String(link) if link.is_empty() => return Ok(None),
            Value::String(link) if link.len() <= LONGEST_LINK => link,
            _ => return Err(bad()),
        };
        let next = Url::parse(link).map_err(|_| bad())?;
        let is_there = next.scheme() == "https"
            && (next.host_str(), next.port_or_known_default()) == (first.host_str(), first.port_or_known_default())
            && next.path() == first.path()
            && (next.username(), next.password(), next.fragment()) == ("", None, None);
        if is_there && next != *present { Ok(Some(next)) } else { Err(bad()) }
    }
}

/// The name in the identifier of a latest version: `https://<vault>/<collection>/<name>`.
fn name_in(id: &str, collection: Collection) -> Option<ObjectName> {
    let mut segments = id.rsplit('/');
    let (name, of) = (segments.next()?, segments.next()?);
    of.eq_ignore_ascii_case(collection.segment()).then(|| ObjectName::parse(name).ok())?
}

#[cfg(test)]
mod tests;
