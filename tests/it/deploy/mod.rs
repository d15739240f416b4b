//! What is to be applied to a cluster fits together, and its configurations are valid.

mod helm;
mod kubernetes;
mod pinned;
pub(crate) mod pod;
