//! One service's door: it numbers the connections and knows which of them have gone silent.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Service;

/// What becomes of connections made while the older ones are frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewConnections {
    /// They are served at once.
    Served,
    /// They are accepted and stay silent too.
    Frozen,
}

/// The connections of one service, across stops and starts of its listener.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) service: Service,
    accepted: AtomicU64,
    handshakes: AtomicU64,
    /// Connections up to this number are silent for ever.
    silent_up_to: AtomicU64,
}

impl Door {
    pub(crate) fn of(service: Service) -> Self {
        Self { service, accepted: AtomicU64::new(0), handshakes: AtomicU64::new(0), silent_up_to: AtomicU64::new(0) }
    }

    /// Counts a connection and gives its number, from 1.
    pub(crate) fn enter(&self) -> u64 {
        self.accepted.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn shook_hands(&self) {
        self.handshakes.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn handshakes(&self) -> u64 {
        self.handshakes.load(Ordering::SeqCst)
    }

    pub(crate) fn freeze(&self, new: NewConnections) {
        let last = match new {
            NewConnections::Served => self.accepted(),
            NewConnections::Frozen => u64::MAX,
        };
        self.silent_up_to.store(last, Ordering::SeqCst);
    }

    /// Serves new connections again; the frozen ones stay dead, as behind a NAT that forgot them.
    pub(crate) fn thaw(&self) {
        if self.silent_up_to.load(Ordering::SeqCst) == u64::MAX {
            self.silent_up_to.store(self.accepted(), Ordering::SeqCst);
        }
    }

    pub(crate) fn is_silent(&self, connection: u64) -> bool {
        connection <= self.silent_up_to.load(Ordering::SeqCst)
    }
}
