//! The files sink, from outside: what readers, neighbours, a full volume and SIGKILL see of it.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails here fails the test; what is skipped is told"
)]

mod contract;
mod desk;
mod neighbour;
mod property;
mod readers;
mod refusals;
mod restarts;
mod tampering;
mod unknown;
