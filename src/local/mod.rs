//! The machine itself: its files as a source, its applications, which are told over loopback, and a
//! keyferry that runs.

mod agent;
mod file;
mod post;

pub use agent::{Reply, Silence, ask, probe};
pub use file::read;
pub use post::PostHook;
