//! A TCP stream that can fall silent without closing, or end in a reset.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::door::Door;

/// The bytes of one connection.
#[derive(Debug)]
pub(crate) struct Wire {
    tcp: TcpStream,
    number: u64,
    door: Arc<Door>,
    /// Set to answer the peer with RST when this is dropped.
    reset: Arc<AtomicBool>,
}

impl Wire {
    pub(crate) fn new(tcp: TcpStream, number: u64, door: Arc<Door>, reset: Arc<AtomicBool>) -> Self {
        Self { tcp, number, door, reset }
    }

    /// A silent wire never wakes again, so no waker is kept: it lives until its task is ended.
    fn is_silent(&self) -> bool {
        self.door.is_silent(self.number)
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_silent() {
            return Poll::Pending;
        }
        Pin::new(&mut self.tcp).poll_read(cx, into)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_silent() {
            return Poll::Pending;
        }
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_silent() {
            return Poll::Pending;
        }
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.reset.load(Ordering::SeqCst) {
            // Closing with a linger of zero sends RST; if that fails the peer sees an ordinary end.
            self.tcp.set_zero_linger().unwrap_or_default();
        }
    }
}
