//! it
mod files;
