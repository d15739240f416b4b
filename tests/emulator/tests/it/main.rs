//! Speaks to the emulator as any client does, over TLS, and checks what it says against the contract.

#![expect(clippy::unwrap_used, reason = "in a test a failure may as well end it where it happens")]

mod certificates;
mod client;
mod connections;
mod control;
mod domain;
mod entra;
mod faults;
mod foreign_issuer;
mod grants;
mod keys;
mod listing;
mod managed_identity;
mod material;
mod openai;
mod program;
mod resource_manager;
mod token_proxy;
mod vault;
