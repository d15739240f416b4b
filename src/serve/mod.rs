//! What is answered over HTTP: probes and metrics. Knows hyper and sockets; what is known comes as a `View`.

mod admin;
mod listen;

pub use admin::Admin;
pub use listen::Listener;
