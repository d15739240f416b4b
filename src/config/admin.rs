//! The admin endpoint: where probes and metrics are answered.

use std::fmt;
use std::net::SocketAddr;

/// Probes and metrics over plain HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens.
    pub listen: Listen,
    /// Whether metrics name secrets. Else they are told apart by a digest with a salt of its own in each run.
    pub secret_names: bool,
}

/// Where a port is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// At every address of the machine, or pod.
    Everywhere(u16),
    /// At one.
    At(SocketAddr),
}

impl Listen {
    /// Reads `:8211`, `127.0.0.1:8211` or `[::1]:8211`; port 0 is one that is free.
    pub fn parse(text: &str) -> Result<Self, String> {
        let port = text.strip_prefix(':').and_then(|port| port.parse().ok()).map(Self::Everywhere);
        port.or_else(|| text.parse().ok().map(Self::At)).ok_or_else(|| {
            "expected where to listen: \":8211\", at every address, or one with its port, 127.0.0.1:8211 or \
             \"[::1]:8211\""
                .to_owned()
        })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everywhere(port) => write!(f, ":{port}"),
            Self::At(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
