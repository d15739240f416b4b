//! A port, and the connections to it: so many at once, each for so long, until everything ends.

use std::future::Future;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::config::admin::Listen;

/// From the first byte of a connection, or the end of an answer, to the end of a request's headers.
const HEADERS: Duration = Duration::from_secs(5);
/// How long a connection is used, whoever reads or writes slowly on it.
const CONNECTION: Duration = Duration::from_mins(1);
/// How long what is being answered may take when everything ends.
const GRACE: Duration = Duration::from_secs(2);
/// Before another connection is accepted, after one could not be: there may be no descriptor left.
const PAUSE: Duration = Duration::from_millis(100);
/// A request's line and headers, at most, in bytes.
const LONGEST_HEAD: usize = 16 << 10;
const MOST_HEADERS: usize = 64;
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nretry-after: 1\r\nconnection: close\r\n\r\n";

/// Who answers the requests of a port.
pub(super) trait Answers: Send + Sync + 'static {
    /// Answers one.
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Response<String>> + Send;
}

/// An open port.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Opens it.
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
        Ok(Self { socket, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers, on so many connections at once, until nobody holds the other end of `stopped`; and then what is under way.
    pub(super) async fn serve<A: Answers>(self, answers: Arc<A>, most: usize, mut stopped: watch::Receiver<()>) {
        let slots = Arc::new(Semaphore::new(most));
        let mut connections = JoinSet::new();
        loop {
            let stream = tokio::select! {
                _ = stopped.changed() => break,
                Some(_) = connections.join_next() => continue,
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    // That whoever knocked has gone again says nothing of the next.
                    Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => continue,
                    Err(_) => {
                        sleep(PAUSE).await;
                        continue;
                    }
                },
            };
            let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
                // Told as far as that costs nothing: nobody is waited for.
                drop(stream.try_write(FULL));
                continue;
            };
            let (answers, stopped) = (Arc::clone(&answers), stopped.clone());
            connections.spawn(async move {
                converse(stream, answers, stopped).await;
                drop(slot);
            });
        }
        drop(self.socket);
        while connections.join_next().await.is_some() {}
    }
}

fn has_no_ipv6(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
        || error.kind() == std::io::ErrorKind::AddrNotAvailable
}

async fn converse<A: Answers>(stream: TcpStream, answers: Arc<A>, mut stopped: watch::Receiver<()>) {
    let service = service_fn(|request| async { Ok::<_, std::convert::Infallible>(answers.answer(request).await) });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(LONGEST_HEAD)
        .max_headers(MOST_HEADERS)
        .half_close(false);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopped.changed() => {}
        () = sleep(CONNECTION) => {}
    }
    connection.as_mut().graceful_shutdown();
    drop(timeout(GRACE, connection).await);
}
