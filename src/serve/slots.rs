//! How many connections there are at once: so many in all, and of each caller only a share of them, so that nobody can
//! keep the others out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Whose share a connection takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Share {
    /// That of a user who may call.
    Uid(u32),
    /// That of a machine, or pod.
    Address(IpAddr),
    /// The one of all who may show a token, which nobody sees before they ask.
    Anybody,
    /// The one of all whom nobody knows.
    Strangers,
}

/// How many there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    /// In all.
    pub(super) in_all: usize,
    /// Of each who is known.
    pub(super) of_each: usize,
    /// Of those whom nobody knows, together.
    pub(super) of_strangers: usize,
}

impl Most {
    /// So many for so many users, each of whom has its share whatever the others do; an eighth is for strangers.
    pub(super) fn shared(in_all: usize, users: usize) -> Self {
        let of_strangers = in_all / 8;
        let of_each = in_all.saturating_sub(of_strangers).checked_div(users).unwrap_or_default().max(1);
        Self { in_all, of_each, of_strangers }
    }
}

/// How many there are.
#[derive(Debug)]
pub(super) struct Slots {
    most: Most,
    taken: Mutex<BTreeMap<Share, usize>>,
}

/// A place among them, until it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    share: Share,
}

impl Slots {
    pub(super) fn new(most: Most) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default() })
    }

    /// A place, if there is one for it.
    pub(super) fn take(self: &Arc<Self>, share: Share) -> Option<Slot> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.values().sum::<usize>() >= self.most.in_all {
            return None;
        }
        let own = taken.entry(share).or_default();
        let most = if share == Share::Strangers { self.most.of_strangers } else { self.most.of_each };
        if *own >= most {
            return None;
        }
        *own += 1;
        Some(Slot { slots: Arc::clone(self), share })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.share) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.share);
            }
        }
    }
}

#[cfg(test)]
mod tests;
