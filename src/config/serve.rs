//! The local endpoints: where values and tokens are served, and to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::reference::{Scope, SecretName};

/// What is served to processes beside this one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Serve {
    /// Values on a Unix socket.
    pub socket: Option<SocketEndpoint>,
    /// Values on loopback TCP.
    pub http: Option<HttpEndpoint>,
    /// Tokens on loopback TCP.
    pub tokens: Option<TokensEndpoint>,
    /// A token file may be on a disk.
    pub allow_disk: bool,
}

impl Serve {
    /// Whether secrets' values are served.
    pub fn has_values(&self) -> bool {
        self.socket.is_some() || self.http.is_some()
    }
}

/// Values on a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketEndpoint {
    /// The socket's absolute path.
    pub path: PathBuf,
    /// Who may call.
    pub allow: Allow,
}

/// Values on loopback TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpEndpoint {
    /// Where it listens: at loopback, port 0 is one that is free.
    pub listen: SocketAddr,
    /// Who may call.
    pub callers: Callers,
}

/// Tokens on loopback TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokensEndpoint {
    /// Where it listens: at loopback, port 0 is one that is free.
    pub listen: SocketAddr,
    /// Who may call.
    pub callers: Callers,
    /// What tokens are given for; at least one.
    pub scopes: Vec<Scope>,
}

/// How callers on TCP are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Callers {
    /// By their uid, which is the kernel's word.
    Uids(Allow),
    /// By what a file holds, which is written anew at each start: whoever can read it may call.
    Bearer(PathBuf),
}

/// Which uids may call, and what each gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allow {
    /// keyferry's own, everything.
    Own,
    /// These; at least one.
    Uids(BTreeMap<u32, Visible>),
}

/// What a caller gets to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visible {
    /// Every secret.
    All,
    /// These, and what is made of nothing else.
    Only(BTreeSet<SecretName>),
}

impl Visible {
    /// Whether the secret is among them.
    pub fn shows(&self, name: &SecretName) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name),
        }
    }
}

/// The uid that the kernel shows for one that it cannot map (`/proc/sys/kernel/overflowuid`): it could be anybody's.
pub const UNMAPPED: u32 = 65534;
