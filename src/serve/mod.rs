//! What is answered over HTTP: probes and metrics. Knows hyper and sockets; what is known comes as a `View`.

mod admin;
mod body;
mod guard;
mod listen;
mod slots;

pub use admin::Admin;
pub use listen::Listener;
