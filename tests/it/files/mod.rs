//! The files sink, from outside: what readers, neighbours, a full volume and SIGKILL see of it.

mod contract;
mod desk;
mod neighbour;
mod property;
mod readers;
mod refusals;
mod restarts;
mod tampering;
