//! The machine itself: its files as a source, and its applications, which are told over loopback.

mod file;
mod post;

pub use file::read;
pub use post::PostHook;
