//! A service's listening socket, which can be closed with all its connections and opened again.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::connection;
use crate::door::Door;
use crate::guarded::Guarded;
use crate::world::World;

const BACKLOG: u32 = 1024;
const CLOSING: Duration = Duration::from_secs(10);
/// Pause after a failed accept (out of descriptors, say), so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// The listener of one service.
#[derive(Debug)]
pub(crate) struct Listener {
    address: SocketAddr,
    pub(crate) door: Arc<Door>,
    open: Guarded<Option<Open>>,
    /// While it is closed: bound, so that nobody else gets the port, and not listening, so that connections are refused.
    reserved: Guarded<Option<TcpSocket>>,
}

#[derive(Debug)]
struct Open {
    ending: CancellationToken,
    /// Says so, by its sender's end, once the socket and all connections are closed.
    closed: mpsc::Receiver<()>,
}

impl Listener {
    pub(crate) fn new(address: SocketAddr, door: Door) -> Self {
        Self { address, door: Arc::new(door), open: Guarded::default(), reserved: Guarded::default() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Binds the same address as before, unless it is open already.
    pub(crate) fn start(&self, runtime: &Handle, world: &Arc<World>) -> Result<(), Error> {
        if self.open.with(|open| open.is_some()) {
            return Ok(());
        }
        let _inside = runtime.enter();
        let socket = self.reserved.with(Option::take).map_or_else(|| self.reserve(), Ok)?;
        self.accept_at(socket.listen(BACKLOG)?, runtime, world);
        Ok(())
    }

    /// Serves a socket that is bound.
    pub(crate) fn serve(&self, socket: TcpListener, runtime: &Handle, world: &Arc<World>) -> Result<(), Error> {
        socket.set_nonblocking(true)?;
        let _inside = runtime.enter();
        self.accept_at(tokio::net::TcpListener::from_std(socket)?, runtime, world);
        Ok(())
    }

    fn accept_at(&self, socket: tokio::net::TcpListener, runtime: &Handle, world: &Arc<World>) {
        let ending = CancellationToken::new();
        let (alive, closed) = mpsc::channel();
        let accepting = accept(world.clone(), self.door.clone(), socket, ending.clone());
        runtime.spawn(async move {
            accepting.await;
            drop(alive);
        });
        self.open.with(|open| *open = Some(Open { ending, closed }));
    }

    /// A child that this process has forked at this moment holds the old socket open until it has its program.
    fn reserve_soon(&self) -> Result<TcpSocket, Error> {
        let end = Instant::now() + CLOSING;
        loop {
            match self.reserve() {
                Err(_) if Instant::now() < end => std::thread::sleep(ACCEPT_PAUSE),
                reserved => return reserved,
            }
        }
    }

    fn reserve(&self) -> Result<TcpSocket, Error> {
        let socket = if self.address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // Connections of before may still linger at the port.
        socket.set_reuseaddr(true)?;
        socket.bind(self.address)?;
        Ok(socket)
    }

    /// Closes the socket and all connections, and returns when they are closed.
    pub(crate) fn stop(&self) -> Result<(), Error> {
        let Some(open) = self.open.with(Option::take) else { return Ok(()) };
        open.ending.cancel();
        match open.closed.recv_timeout(CLOSING) {
            Err(mpsc::RecvTimeoutError::Timeout) => Err(Error::NotClosed),
            Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => {
                let reserved = self.reserve_soon()?;
                self.reserved.with(|socket| *socket = Some(reserved));
                Ok(())
            }
        }
    }
}

async fn accept(world: Arc<World>, door: Arc<Door>, socket: tokio::net::TcpListener, ending: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = ending.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = socket.accept() => match accepted {
                Ok((tcp, _)) => {
                    connections.spawn(connection::serve(world.clone(), door.clone(), tcp));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    drop(socket);
    connections.shutdown().await;
}
