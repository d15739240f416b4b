//! A port or a socket, and the connections to it: so many at once, each for so long, until everything ends.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutWriter;

use super::body::Body;
use super::slots::{Most, Share, Slots};
use super::socket::{self, SocketFile};
use crate::config::admin::Listen;

/// From the first byte of a connection, or the end of an answer, to the end of a request's headers.
const HEADERS: Duration = Duration::from_secs(5);
/// How long somebody may take no byte of an answer.
const STALL: Duration = Duration::from_secs(10);
/// How long what is being answered may take when everything ends.
const GRACE: Duration = Duration::from_secs(2);
/// Before another connection is accepted, after one could not be: there may be no descriptor left.
const PAUSE: Duration = Duration::from_millis(100);
/// A request's line and headers, at most, in bytes.
const LONGEST_HEAD: usize = 16 << 10;
const MOST_HEADERS: usize = 64;
/// How many are looked at, at once: where that takes long, the next ones wait, and those who are in do not.
const AT_THE_DOOR: usize = 64;
/// How many are told that there is no place for them, at once, and how long each may take to hear it. Whoever comes while so
/// many are is merely let go.
const TOLD: usize = 256;
const FAREWELL: Duration = Duration::from_secs(1);

/// Who answers the requests of a port.
pub(super) trait Answers: Send + Sync + 'static {
    /// Who is at the other end of a connection.
    type Caller: Send + Sync;

    /// Looks who that is, once for each connection, and whose share of them it takes.
    fn meet(&self, end: End<'_>) -> impl Future<Output = (Self::Caller, Share)> + Send;

    /// Answers one request.
    fn answer(&self, request: Request<Incoming>, caller: &Self::Caller) -> impl Future<Output = Response<Body>> + Send;
}

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) enum End<'a> {
    /// Over TCP.
    Tcp {
        /// This end.
        local: SocketAddr,
        /// The other one.
        peer: SocketAddr,
    },
    /// On a Unix socket.
    Unix(&'a UnixStream),
}

/// What one port bears.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How many connections there are at once.
    pub(super) connections: Most,
    /// How long each is used, whoever reads or writes slowly on it; none where an answer may take its time.
    pub(super) lifetime: Option<Duration>,
}

/// An open port, or socket.
#[derive(Debug)]
pub struct Listener(Socket);

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener, SocketAddr),
    /// The file goes when nobody listens any more.
    Unix {
        socket: UnixListener,
        _file: SocketFile,
    },
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    /// Opens a port.
    pub async fn open(listen: Listen) -> Result<Self, String> {
        let opened = match listen {
            Listen::At(address) => TcpListener::bind(address).await,
            // Both families at once, where there are both.
            Listen::Everywhere(port) => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
                // Only where this machine has no IPv6: a port that is taken must not pass for one that is open.
                Err(error) if has_no_ipv6(&error) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await,
                opened => opened,
            },
        };
        let socket = opened.map_err(|error| format!("{listen} cannot be listened at: {error}"))?;
        let address = socket.local_addr().map_err(|error| format!("{listen} has no address: {error}"))?;
        Ok(Self(Socket::Tcp(socket, address)))
    }

    /// Opens a socket, or says why not and what to do.
    pub async fn open_socket(path: &Path) -> Result<Self, String> {
        socket::open(path).await.map(|(socket, file)| Self(Socket::Unix { socket, _file: file }))
    }

    /// Looks whether a socket could be opened there, and opens none.
    pub fn inspect_socket(path: &Path) -> Result<(), String> {
        socket::inspect(path)
    }

    /// Where it listens, if that is a port.
    pub fn address(&self) -> Option<SocketAddr> {
        match self.0 {
            Socket::Tcp(_, address) => Some(address),
            Socket::Unix { .. } => None,
        }
    }

    /// Answers, on so many connections at once, until nobody holds the other end of `stopped`; and then what is under way.
    pub(super) async fn serve<A: Answers>(self, answers: Arc<A>, limits: Limits, mut stopped: watch::Receiver<()>) {
        let slots = Slots::new(limits.connections);
        let (door, told) = (Arc::new(Semaphore::new(AT_THE_DOOR)), Arc::new(Semaphore::new(TOLD)));
        let mut connections = JoinSet::new();
        loop {
            let stream = tokio::select! {
                _ = stopped.changed() => break,
                Some(_) = connections.join_next() => continue,
                accepted = self.0.accept() => match accepted {
                    Ok(stream) => stream,
                    // That whoever knocked has gone again says nothing of the next.
                    Err(error) if is_theirs(&error) => continue,
                    Err(_) => {
                        sleep(PAUSE).await;
                        continue;
                    }
                },
            };
            // It is never closed.
            let Ok(place) = Arc::clone(&door).acquire_owned().await else { break };
            let (answers, slots, told, stopped) =
                (Arc::clone(&answers), Arc::clone(&slots), Arc::clone(&told), stopped.clone());
            connections.spawn(async move {
                let Ok(end) = stream.end() else { return };
                let (caller, share) = answers.meet(end).await;
                // Whoever has reset the connection meanwhile may have left its port to another, who was then seen in its
                // place: what it has asked for is not done either.
                if stream.end().is_err() {
                    return;
                }
                drop(place);
                let Some(slot) = slots.take(share) else {
                    let Ok(_told) = told.try_acquire() else { return };
                    drop(timeout(FAREWELL, stream.refuse(&full(share))).await);
                    return;
                };
                let talk = (answers, caller, limits.lifetime);
                match stream {
                    Stream::Tcp(stream) => converse(stream, talk, stopped).await,
                    Stream::Unix(stream) => converse(stream, talk, stopped).await,
                }
                drop(slot);
            });
        }
        drop(self.0);
        while connections.join_next().await.is_some() {}
    }
}

impl Socket {
    async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(socket, _) => socket.accept().await.map(|(stream, _)| Stream::Tcp(stream)),
            Self::Unix { socket, .. } => socket.accept().await.map(|(stream, _)| Stream::Unix(stream)),
        }
    }
}

impl Stream {
    fn end(&self) -> io::Result<End<'_>> {
        Ok(match self {
            Self::Tcp(stream) => End::Tcp { local: stream.local_addr()?, peer: stream.peer_addr()? },
            Self::Unix(stream) => End::Unix(stream),
        })
    }

    /// Says this, whatever was asked for, and hears it out: what is left unread would take the words from whoever asks.
    async fn refuse(self, words: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => refuse(stream, words).await,
            Self::Unix(stream) => refuse(stream, words).await,
        }
    }
}

async fn refuse(mut stream: impl AsyncRead + AsyncWrite + Unpin, words: &[u8]) -> io::Result<()> {
    stream.write_all(words).await?;
    stream.shutdown().await?;
    let mut unread = [0; 4096];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}

/// That there is no place left, as every refusal is written.
fn full(share: Share) -> Vec<u8> {
    let uid = match share {
        Share::Uid(uid) => format!(",\"uid\":{uid}"),
        Share::Address(_) | Share::Anybody | Share::Strangers => String::new(),
    };
    let message = "there are as many connections as this caller's share is: end some, or ask again";
    let body = format!("{{\"error\":{{\"code\":\"TooManyConnections\",\"message\":\"{message}\"{uid}}}}}\n");
    let head =
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close";
    format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn is_theirs(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionAborted
}

fn has_no_ipv6(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
        || error.kind() == io::ErrorKind::AddrNotAvailable
}

async fn converse<A: Answers, S: AsyncRead + AsyncWrite + Send + 'static>(
    stream: S,
    (answers, caller, lifetime): (Arc<A>, A::Caller, Option<Duration>),
    mut stopped: watch::Receiver<()>,
) {
    let service = service_fn(|request| async {
        let mut response = answers.answer(request, &caller).await;
        if matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            // Whoever may not call holds no connection either.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok::<_, std::convert::Infallible>(response)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(LONGEST_HEAD)
        .max_headers(MOST_HEADERS)
        .half_close(false);
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(STALL));
    let mut connection = pin!(http.serve_connection(TokioIo::new(Box::pin(stream)), service));
    let worn_out = async {
        match lifetime {
            Some(lifetime) => sleep(lifetime).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopped.changed() => {}
        () = worn_out => {}
    }
    connection.as_mut().graceful_shutdown();
    drop(timeout(GRACE, connection).await);
}

#[cfg(test)]
mod tests;
