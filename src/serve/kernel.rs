//! Who is at the other end of a connection, by the kernel's word.

use std::fmt;
use std::net::SocketAddr;

use tokio::net::UnixStream;

/// Why the kernel does not say it.
#[derive(Debug)]
pub(super) struct Unknown(&'static str);

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the socket table is not looked at yet")]
pub(super) fn uid_of_tcp(_: SocketAddr, _: SocketAddr) -> Result<u32, Unknown> {
    Err(Unknown("its socket table is not looked at yet"))
}

pub(super) fn uid_of_unix(stream: &UnixStream) -> Result<u32, Unknown> {
    stream.peer_cred().map(|cred| cred.uid()).map_err(|_| Unknown("no credentials"))
}
