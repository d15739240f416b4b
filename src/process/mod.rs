//! The process and the kernel: what others may see of it, the signals it gets and sends, the environment it was given.

mod environment;
mod harden;
mod hook;
mod host;
mod others;
mod panic;
mod signals;

pub use environment::environment;
pub use harden::harden;
pub use hook::SignalHook;
pub use host::{is_first_process, may_be_swapped, node_name, salt, stdout_is_terminal, uid};
pub use panic::exit_on_panic;
pub use signals::{Signal, Signals};
