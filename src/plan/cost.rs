//! How many requests a plan costs in a day on which nothing changes and nothing fails.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Plan;
use crate::config::List;
use crate::reference::{Object, Shelf};

const DAY: Duration = Duration::from_hours(24);
/// What a list shows on a page.
const PAGE: u64 = 25;
/// Whatever lists and looks say, a value is read again so often: every 8 to 12 hours.
const READ_AGAIN: u64 = 3;
/// Access tokens live for an hour at the least, and for a day and more where the service allows it.
const LEAST_TOKENS: u64 = 1;
const MOST_TOKENS: u64 = 24;

/// The requests of a day to one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daily {
    /// Who is asked: a vault's host, Resource Manager or Entra.
    pub of: String,
    /// At least: where a vault's list is read in place of its objects, and holds nothing else; where tokens live long.
    pub fewest: u64,
    /// At most: where each object is asked for by itself.
    pub most: u64,
}

/// What the plan costs, by service. What stands by costs nothing.
pub fn daily(plan: &Plan) -> Vec<Daily> {
    let mut costs: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut add = |of: &str, fewest: u64, most: u64| {
        let cost = costs.entry(of.to_owned()).or_default();
        *cost = (cost.0.saturating_add(fewest), cost.1.saturating_add(most));
    };
    let mut shelves: BTreeMap<(Shelf, Duration), u64> = BTreeMap::new();
    let mut tokens = std::collections::BTreeSet::new();
    for (object, interval) in plan.objects.iter().filter(|(object, _)| !plan.standbys.contains(*object)) {
        match object {
            Object::Vault { identity, vault, .. } => {
                tokens.insert((identity, "vaults"));
                match Shelf::of(object) {
                    Some((shelf, _)) => *shelves.entry((shelf, *interval)).or_default() += 1,
                    None => add(&vault.0, cycles(*interval), cycles(*interval)),
                }
            }
            Object::Connection { identity, .. } => {
                tokens.insert((identity, "connections"));
                let looks = cycles(*interval).saturating_add(READ_AGAIN);
                add("Azure Resource Manager", looks, looks);
            }
            Object::Token { .. } => add("Entra", LEAST_TOKENS, MOST_TOKENS),
            Object::File(_) => {}
        }
    }
    for ((shelf, interval), objects) in shelves {
        let each = cycles(interval).saturating_mul(objects);
        let listed = cycles(interval).saturating_mul(objects.div_ceil(PAGE));
        let fewest = if plan.list == List::Auto && objects > 1 {
            listed.saturating_add(objects.saturating_mul(READ_AGAIN)).min(each)
        } else {
            each
        };
        add(&shelf.vault.0, fewest, each);
    }
    let signed_in = u64::try_from(tokens.len()).unwrap_or(u64::MAX);
    if signed_in > 0 {
        add("Entra", signed_in.saturating_mul(LEAST_TOKENS), signed_in.saturating_mul(MOST_TOKENS));
    }
    costs.into_iter().map(|(of, (fewest, most))| Daily { of, fewest, most }).collect()
}

/// How often in a day, once at the least.
fn cycles(interval: Duration) -> u64 {
    DAY.as_secs().checked_div(interval.as_secs().max(1)).unwrap_or_default().max(1)
}

#[cfg(test)]
mod tests;
