//! The process and the kernel: what others may see of it, the signals it gets and sends, the environment it was given.

mod child;
mod environment;
mod harden;
mod hook;
mod host;
mod others;
mod panic;
mod relay;
mod signals;
mod startable;

pub use child::{Child, End, become_it};
pub use environment::{environment, variables};
pub use harden::{Cores, harden};
pub use hook::{SignalHook, of};
pub use host::{allow_descriptors, is_first_process, may_be_swapped, node_name, salt, stdout_is_terminal, uid};
pub use panic::exit_on_panic;
pub use relay::{Heard, Relay};
pub use signals::{Signal, Signals};
pub use startable::{fits, is_there};
