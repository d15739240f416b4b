//! The machine itself as a source: files.

mod file;

pub use file::read;
