//! The endpoints for values: what a process beside keyferry gets from them.

mod callers;
pub mod client;
mod commands;
mod hostile;
mod load;
mod values;
mod waiting;
