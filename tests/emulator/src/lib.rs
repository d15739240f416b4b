//! The Azure services that an agent for secrets speaks to, on loopback, with faults on demand.
//!
//! Built from what Azure documents and was seen to send, never from keyferry's own code:
//! an emulator that shared the agent's code would share its misreadings.
#![doc = ""]
#![doc = include_str!("../README.md")]

mod answer;
mod certificates;
mod clock;
mod connection;
mod control;
mod door;
mod emulator;
mod entra;
mod environment;
mod error;
mod exchange;
mod fault;
mod guarded;
mod listener;
mod log;
mod managed_identity;
mod misbehave;
mod names;
mod openai;
mod random;
mod resource_manager;
mod service;
mod settings;
mod steering;
mod vault;
mod wire;
mod world;

pub use clock::ExpiresOn;
pub use door::NewConnections;
pub use emulator::Emulator;
pub use entra::{
    App, Assertion, DEFAULT_AUDIENCE, DEFAULT_CLIENT, DEFAULT_ISSUER, DEFAULT_SUBJECT, DEFAULT_TENANT,
    IDENTITY_BINDING_AUDIENCE,
};
pub use environment::Environment;
pub use error::Error;
pub use fault::{Fault, FaultId, Misbehaviour, Operation};
pub use log::{Counters, Logged};
pub use managed_identity::{DEFAULT_SYSTEM_IDENTITY, DEFAULT_SYSTEM_OBJECT, ManagedIdentity};
pub use names::Names;
pub use resource_manager::{
    Bucket, ConnectionPermission, ConnectionSpec, DEFAULT_RESOURCE_GROUP, DEFAULT_SUBSCRIPTION, Workspace,
};
pub use service::Service;
pub use settings::Settings;
pub use vault::{CertificateSpec, Collection, Conversion, Jwk, KeySpec, Permission, Refusal, SecretSpec, Stored};
