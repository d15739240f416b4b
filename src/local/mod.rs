//! The machine itself: its files as a source, its applications, which are told over loopback, a keyferry
//! that runs, and this program's own file.

mod agent;
mod file;
mod install;
mod post;

pub use agent::{Believed, News, Reply, Silence, ask, probe, watch};
pub use file::read;
pub use install::{NotInstalled, install};
pub use post::PostHook;
