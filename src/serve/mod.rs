//! What is answered over HTTP: probes and metrics, values, tokens. Knows hyper and sockets; what is known comes as a `View`,
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
mod tokens;
mod values;

pub use admin::Admin;
pub use door::Door;
pub use listen::Listener;
pub use tokens::Tokens;
pub use values::{Publisher, Values};
