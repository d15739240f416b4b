//! The endpoints for values and tokens: what a process beside keyferry gets from them.

mod callers;
pub mod client;
mod commands;
mod hostile;
mod load;
mod tokens;
mod values;
mod waiting;
