//! keyferry: a small secret-fetching agent for Azure.
//!
//! The floors, each of which may import only those below it (held by `tests/it/tidy.rs`):
//! 0 `secret`, `reference` · 1 the pure rooms · 2 the edges, one outside system each · 3 `agent`, the loop ·
//! 4 `cli`, `exit`, `command`: composition.

pub mod secret;

pub mod moment;
pub mod reference;

pub mod advice;
pub mod config;
pub mod extract;
pub mod failure;
pub mod plan;
pub mod ports;
pub mod rollout;
pub mod schedule;
pub mod snapshot;
pub mod status;

pub mod files;

pub mod agent;
