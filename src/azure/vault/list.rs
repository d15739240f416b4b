//! One page of a vault's list: names and when each was changed, no value; and where the list goes on.

use std::fmt;

use azure_core::http::Url;
use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};

use super::lenient::{Attributes, Lenient, Scalar};
use crate::failure::{Blame, Code, Failure, Kind};
use crate::reference::{Collection, ObjectName};
use crate::survey::Survey;

/// The most that a page holds. What an answer holds beyond is passed over: nobody makes us keep more than we asked for.
const PAGE: usize = 25;
/// A real one has some hundred characters.
const LONGEST_LINK: usize = 8 << 10;

/// A page; entries may be anything.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    value: Entries,
    /// Null in a vault at the end, absent in others.
    #[serde(default)]
    next_link: Scalar,
}

struct Entries(Vec<Lenient<Item>>);

#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct Item {
    id: Scalar,
    /// What identifies a key is called so in lists, too.
    kid: Scalar,
    attributes: Lenient<Attributes>,
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct First;
        impl<'de> Visitor<'de> for First {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Entries, A::Error> {
                let mut kept = Vec::with_capacity(PAGE);
                while kept.len() < PAGE {
                    let Some(entry) = entries.next_element()? else { return Ok(Entries(kept)) };
                    kept.push(entry);
                }
                while entries.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Entries(kept))
            }
        }
        deserializer.deserialize_seq(First)
    }
}

impl Page {
    pub(super) fn read(body: &[u8]) -> Result<Self, Failure> {
        let bad = |_| Failure::new(Blame::Object, Kind::Outage, Code::new("bad-answer"));
        serde_json::from_slice(body).map_err(bad).map_err(|failure| failure.because("the vault's answer is no list"))
    }

    /// Adds what it shows. An entry without a name of ours shows nothing. `first` is where the list began.
    pub(super) fn show(&self, collection: Collection, first: &Url, survey: &mut Survey) {
        for item in self.value.0.iter().filter_map(Lenient::get) {
            let id = if collection == Collection::Key { &item.kid } else { &item.id };
            if let Some(name) = id.text().and_then(|id| name_in(id, collection, first)) {
                survey.show(name, item.attributes.get().and_then(Attributes::stamp));
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
            Scalar::Absent | Scalar::Null => return Ok(None),
            Scalar::Text(link) if link.is_empty() => return Ok(None),
            Scalar::Text(link) if link.len() <= LONGEST_LINK => link,
            _ => return Err(bad()),
        };
        let next = Url::parse(link).map_err(|_| bad())?;
        let is_there = is_of_the_vault(&next, first) && next.path() == first.path() && next.fragment().is_none();
        if is_there && next != *present { Ok(Some(next)) } else { Err(bad()) }
    }
}

/// Whether it is an address of the vault that `first` is of, and says no more of who asks.
fn is_of_the_vault(url: &Url, first: &Url) -> bool {
    url.scheme() == "https"
        && (url.host_str(), url.port_or_known_default()) == (first.host_str(), first.port_or_known_default())
        && (url.username(), url.password()) == ("", None)
}

/// The name in the identifier of a latest version, `https://<vault>/<collection>/<name>`; of nothing else.
fn name_in(id: &str, collection: Collection, first: &Url) -> Option<ObjectName> {
    let id = Url::parse(id).ok().filter(|id| is_of_the_vault(id, first))?;
    let mut segments = id.path_segments()?;
    let (of, name) = (segments.next()?, segments.next()?);
    let is_latest = of.eq_ignore_ascii_case(collection.segment()) && segments.next().is_none();
    is_latest.then(|| ObjectName::parse(name).ok())?
}

#[cfg(test)]
mod tests;
