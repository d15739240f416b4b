//! Lists, page by page.

use std::sync::atomic::Ordering;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hyper::StatusCode;
use serde_json::{Value, json};

use super::refusal::VaultRefusal;
use super::shape;
use crate::answer::{self, Answer};
use crate::exchange::Arrived;
use crate::world::World;

/// Default and largest size of a page.
const PAGE: usize = 25;

/// The secrets of a vault, one entry each.
pub(crate) fn secrets(
    world: &World,
    arrived: &Arrived,
    vault: &str,
    api_version: &str,
) -> Result<Answer, VaultRefusal> {
    let base = world.vault_url(vault);
    let items = world.vaults.with(|vaults| {
        let latest = vaults.find(vault).into_iter().flat_map(super::store::Vault::latest);
        latest.map(|secret| shape::item(secret, &base, false, api_version)).collect()
    });
    page(world, arrived, vault, "/secrets", api_version, items)
}

/// The versions of a secret; a secret that does not exist has none, and that is no error.
pub(crate) fn versions(
    world: &World,
    arrived: &Arrived,
    vault: &str,
    name: &str,
    api_version: &str,
) -> Result<Answer, VaultRefusal> {
    let base = world.vault_url(vault);
    let items = world.vaults.with(|vaults| {
        let versions = vaults.find(vault).map(|vault| vault.versions(name)).unwrap_or_default();
        versions.into_iter().map(|secret| shape::item(secret, &base, true, api_version)).collect()
    });
    page(world, arrived, vault, &format!("/secrets/{name}/versions"), api_version, items)
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
