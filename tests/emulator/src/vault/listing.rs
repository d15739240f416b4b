//! Lists, page by page.

use std::sync::atomic::Ordering;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hyper::StatusCode;
use serde_json::{Value, json};

use super::collection::Collection;
use super::object::{Object, Version};
use super::refusal::VaultRefusal;
use super::shape::{self, Frame};
use super::shelf::Shelf;
use crate::answer::{self, Answer};
use crate::exchange::Arrived;
use crate::world::World;

/// Default and largest size of a page.
const PAGE: usize = 25;

/// A collection, one entry for each name, or the versions of one name; a name that does not exist has none, and that
/// is no error.
pub(crate) fn list(
    world: &World,
    arrived: &Arrived,
    vault: &str,
    collection: Collection,
    name: Option<&str>,
    api_version: &str,
) -> Result<Answer, VaultRefusal> {
    let base = world.vault_url(vault);
    let frame = Frame { base: &base, api_version };
    let with_version = name.is_some();
    let items = world.vaults.with(|vaults| {
        let Some(vault) = vaults.find(vault) else { return Vec::new() };
        match collection {
            Collection::Secrets => {
                entries(&vault.secrets, name, |one| Some(shape::secret::item(one, frame, with_version)))
            }
            Collection::Certificates => {
                let pending = includes_pending(arrived);
                entries(&vault.certificates, name, |one| {
                    let shown = with_version || pending || !one.spec.in_creation;
                    shown.then(|| shape::certificate::item(one, frame, with_version))
                })
            }
            Collection::Keys => entries(&vault.keys, name, |one| Some(shape::key::item(one, frame, with_version))),
        }
    });
    let path = match name {
        None => format!("/{}", collection.plural()),
        Some(name) => format!("/{}/{name}/versions", collection.plural()),
    };
    page(world, arrived, vault, &path, api_version, items)
}

fn entries<S: Object>(
    shelf: &Shelf<S>,
    name: Option<&str>,
    entry: impl Fn(&Version<S>) -> Option<Value>,
) -> Vec<Value> {
    let versions = name.map_or_else(|| shelf.latest(), |name| shelf.versions(name));
    versions.into_iter().filter_map(entry).collect()
}

/// Whether a list is to show the certificates in creation too.
fn includes_pending(arrived: &Arrived) -> bool {
    arrived.parameter("includePending").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

fn page(
    world: &World,
    arrived: &Arrived,
    vault: &str,
    path: &str,
    api_version: &str,
    items: Vec<Value>,
) -> Result<Answer, VaultRefusal> {
    let asked = arrived.parameter("maxresults");
    let size = match asked.as_deref().map(str::parse::<usize>) {
        None => PAGE,
        Some(Ok(size)) if (1..=PAGE).contains(&size) => size,
        Some(_) => return Err(VaultRefusal::bad_parameter("Invalid maxresults value, it must be between 1 and 25.")),
    };
    let place = match arrived.parameter("$skiptoken") {
        None => Place::default(),
        Some(token) => Place::read(&token).ok_or_else(|| VaultRefusal::bad_parameter("Invalid skiptoken."))?,
    };
    let total = items.len();
    let (shown, next) = if place.empty {
        (Vec::new(), Some(Place { from: place.from, empty: false }))
    } else {
        let until = place.from.saturating_add(size).min(total);
        let shown = items.into_iter().skip(place.from).take(size).collect();
        let next = Place { from: until, empty: world.empty_pages.load(Ordering::Relaxed) };
        (shown, (until < total).then_some(next))
    };
    let next_link = next.map(|next| {
        let mut link = format!(
            "{}{path}?api-version={api_version}&$skiptoken={}",
            world.vault_url_with_port(vault),
            next.written()
        );
        if asked.is_some() {
            link = format!("{link}&maxresults={size}");
        }
        if includes_pending(arrived) {
            link.push_str("&includePending=true");
        }
        link
    });
    Ok(answer::json(StatusCode::OK, &json!({"value": shown, "nextLink": next_link})))
}

/// Where a page begins, and whether it is one of the empty ones.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Place {
    from: usize,
    empty: bool,
}

impl Place {
    fn written(self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}!{}", if self.empty { "empty" } else { "next" }, self.from))
    }

    fn read(token: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let (kind, from) = text.split_once('!')?;
        Some(Self { from: from.parse().ok()?, empty: kind == "empty" })
    }
}
