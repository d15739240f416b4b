//! What is answered over HTTP: probes and metrics, values. Knows hyper and sockets; what is known comes as a `View`,
//! what is shown comes from the rollout.

mod admin;
mod answer;
mod body;
mod door;
mod guard;
mod kernel;
mod listen;
mod slots;
mod socket;
pub mod token_file;
mod values;

pub use admin::Admin;
pub use door::Door;
pub use listen::Listener;
pub use values::{Publisher, Values};
