//! How many requests a plan costs in a day on which nothing changes and nothing fails: as often as the schedule asks, in
//! the way that costs less.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use super::Plan;
use crate::config::List;
use crate::reference::{IdentityName, Object, Shelf};
use crate::renewal::renew_after;
use crate::survey::{PAGE, READ_AGAIN_ABOUT, affordable};

const DAY: Duration = Duration::from_hours(24);
/// Access tokens live for an hour at the least; a managed identity's, and whose service can take them back, for a day.
const SHORTEST_LIFE: Duration = Duration::from_hours(1);
const LONGEST_LIFE: Duration = DAY;

const RESOURCE_MANAGER: &str = "Azure Resource Manager";
/// Entra, or where a platform gives the tokens of its identities.
const TOKENS: &str = "tokens";

/// The requests of a day to one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daily {
    /// Who is asked: a vault's host, `Azure Resource Manager`, or whoever gives `tokens`.
    pub of: String,
    /// At least: where a vault's list is read in place of its objects, and holds nothing else; where tokens live long.
    pub fewest: u64,
    /// At most: where each object is asked for by itself; where tokens live for an hour.
    pub most: u64,
}

#[derive(Debug, Default)]
struct Costs(BTreeMap<String, (u64, u64)>);

impl Costs {
    fn add(&mut self, of: &str, fewest: u64, most: u64) {
        let cost = self.0.entry(of.to_owned()).or_default();
        *cost = (cost.0.saturating_add(fewest), cost.1.saturating_add(most));
    }
}

/// What is signed in for: tokens are for one service each.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Audience {
    Vaults,
    ResourceManager,
}

/// What the plan costs, by service, if tokens for so many scopes are given to whoever asks. What stands by costs nothing.
pub fn daily(plan: &Plan, scopes: usize) -> Vec<Daily> {
    let mut costs = Costs::default();
    let mut shelves: BTreeMap<(Shelf, Duration), usize> = BTreeMap::new();
    let mut signing_in: BTreeMap<(&IdentityName, Audience), Duration> = BTreeMap::new();
    for (object, interval) in plan.objects.iter().filter(|(object, _)| !plan.standbys.contains(*object)) {
        let audience = match object {
            Object::Vault { vault, .. } => {
                match Shelf::of(object) {
                    Some((shelf, _)) => *shelves.entry((shelf, *interval)).or_default() += 1,
                    None => costs.add(&vault.0, times(*interval), times(*interval)),
                }
                Audience::Vaults
            }
            // Each time it is either looked at or read.
            Object::Connection { .. } => {
                costs.add(RESOURCE_MANAGER, times(*interval), times(*interval));
                Audience::ResourceManager
            }
            Object::Token { .. } => {
                costs.add(TOKENS, renewals(LONGEST_LIFE), renewals(SHORTEST_LIFE));
                continue;
            }
            Object::File(_) => continue,
        };
        let Some(identity) = object.identity() else { continue };
        match signing_in.entry((identity, audience)) {
            Entry::Vacant(vacant) => drop(vacant.insert(*interval)),
            Entry::Occupied(mut shortest) => *shortest.get_mut() = (*interval).min(*shortest.get()),
        }
    }
    for ((shelf, interval), objects) in shelves {
        let each = times(interval).saturating_mul(count(objects));
        costs.add(
            &shelf.vault.0,
            if plan.list == List::Auto { listed(interval, objects).min(each) } else { each },
            each,
        );
    }
    for interval in signing_in.into_values() {
        // Nobody makes a token anew before somebody needs it.
        let most = renewals(SHORTEST_LIFE).min(times(interval));
        costs.add(TOKENS, renewals(LONGEST_LIFE).min(most), most);
    }
    if scopes > 0 {
        costs.add(TOKENS, 0, renewals(SHORTEST_LIFE).saturating_mul(count(scopes)));
    }
    costs.0.into_iter().map(|(of, (fewest, most))| Daily { of, fewest, most }).collect()
}

/// What so many objects of a shelf cost that are due together, where its list holds nothing else: its pages, and each
/// value read again now and then; or as many GETs, where the list costs no less.
fn listed(interval: Duration, objects: usize) -> u64 {
    let pages = objects.div_ceil(PAGE);
    if u32::try_from(pages).map_or(true, |pages| pages > affordable(objects)) {
        return u64::MAX;
    }
    let read_again = DAY.as_secs().saturating_mul(count(objects)) / READ_AGAIN_ABOUT.as_secs().max(1);
    times(interval).saturating_mul(count(pages)).saturating_add(read_again)
}

/// How often a token is made anew in a day, when each lives so long.
fn renewals(life: Duration) -> u64 {
    times(renew_after(life))
}

/// How often in a day, once at the least.
fn times(interval: Duration) -> u64 {
    DAY.as_secs().checked_div(interval.as_secs().max(1)).unwrap_or_default().max(1)
}

fn count(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
