//! A keyferry that runs beside this process, asked at its socket, or at its port for probes.
#![expect(clippy::disallowed_methods, reason = "a socket is a file")]

use std::fs;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST};
use hyper::http::response::Parts;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::secret::SecretValue;

/// To connect, and from then to the end of the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// To the next sign of life of what tells news.
const QUIET: Duration = Duration::from_secs(90);
/// More than all variables of a configuration can be.
const LONGEST: usize = 32 << 20;

const NO_HTTP: &str = "gave no HTTP answer: is it keyferry's?";
const LATE: &str = "gave no answer in time: look into keyferry's log";

/// What was answered.
#[derive(Debug)]
pub struct Reply {
    /// The status (RFC 9110).
    pub status: u16,
    /// The body, which may hold secrets.
    pub body: SecretValue,
    /// Who serves, at a socket.
    pub server: Option<u32>,
}

/// Why there is no answer; a reason each, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Silence {
    /// Nobody listens there.
    Nobody(String),
    /// Nobody can ever listen there.
    Nowhere(String),
    /// Somebody does, who gives no answer.
    Mute(String),
    /// Somebody does, who is not trusted, or cannot be reached by this user.
    Strange(String),
}

impl Silence {
    /// The reason.
    pub fn into_reason(self) -> String {
        match self {
            Self::Nobody(reason) | Self::Nowhere(reason) | Self::Mute(reason) | Self::Strange(reason) => reason,
        }
    }
}

/// Whose answers at a socket are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Believed {
    /// Root's, and this user's, who asks.
    RootAnd(u32),
    /// Whoever serves at this path: whoever may make a socket there is trusted.
    Anybody,
    /// This user's, who has served there before.
    Only(u32),
}

impl Believed {
    fn check(self, uid: u32) -> Result<(), String> {
        match self {
            Self::RootAnd(own) if own != uid && uid != 0 => Err(format!(
                "is served by uid {uid}, which is neither this user nor root, and could be anybody's: run the command as that \
                 user if it is keyferry's"
            )),
            Self::Only(known) if known != uid => {
                Err(format!("is served by uid {uid} now, and was by uid {known} before: what it says is not believed"))
            }
            _ => Ok(()),
        }
    }
}

/// Asks at a socket. What is served there by somebody who is not believed could be anything, and is not read.
pub async fn ask(socket: &Path, believed: Believed, method: Method, target: &str) -> Result<Reply, Silence> {
    let (stream, server) = connect(socket, believed).await?;
    exchange(stream, method, target, &socket.display().to_string(), Some(server)).await
}

async fn connect(socket: &Path, believed: Believed) -> Result<(UnixStream, u32), Silence> {
    let shown = socket.display();
    let stream = UnixStream::connect(socket).await.map_err(|error| unconnected(socket, &error))?;
    let server = stream
        .peer_cred()
        .map_err(|error| Silence::Strange(format!("the kernel does not say who serves {shown}: {error}")))?;
    believed.check(server.uid()).map_err(|reason| Silence::Strange(format!("{shown} {reason}")))?;
    Ok((stream, server.uid()))
}

/// Why nobody can be connected with there.
fn unconnected(socket: &Path, error: &Error) -> Silence {
    let shown = socket.display();
    let nowhere = |reason: &str| Silence::Nowhere(format!("{shown} {reason}"));
    let nobody = || {
        Silence::Nobody(format!(
            "no keyferry answers at {shown}: is 'keyferry run' running, with this socket as its 'serve.socket'?"
        ))
    };
    match error.kind() {
        // Of what is no socket the kernel says the same as of one that nobody listens at any more.
        ErrorKind::ConnectionRefused if fs::metadata(socket).is_ok_and(|there| !there.file_type().is_socket()) => {
            nowhere("is there and is no socket: give the path of the agent's 'serve.socket'")
        }
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => nobody(),
        ErrorKind::NotADirectory => nowhere("leads through a file: give the path of the agent's 'serve.socket'"),
        ErrorKind::InvalidInput => nowhere("is longer than a socket's path may be, 107 bytes: choose a shorter one"),
        _ if Errno::from_io_error(error) == Some(Errno::LOOP) => {
            nowhere("leads round in a circle of links: give the path of the agent's 'serve.socket'")
        }
        _ if Errno::from_io_error(error) == Some(Errno::PROTOTYPE) => {
            nowhere("is a socket of another kind: give the path of the agent's 'serve.socket'")
        }
        _ => Silence::Strange(format!("{shown} cannot be connected with: {error}; may this user reach it?")),
    }
}

/// The news of an agent, as they come.
#[derive(Debug)]
pub struct News {
    body: Incoming,
    /// The line that has begun, as far as one must know it.
    line: Vec<u8>,
    _connection: JoinSet<hyper::Result<()>>,
}

/// What lines of an event begin with (WHATWG HTML §9.2.5): where it is, and what it is.
const PLACE: &[u8] = b"id:";
const KIND: &[u8] = b"event:";
/// The longest name that matters.
const LONGEST_FIELD: usize = KIND.len();

/// Follows what changes, until the agent or the connection to it ends.
pub async fn watch(socket: &Path, believed: Believed) -> Result<News, Silence> {
    let (stream, _) = connect(socket, believed).await?;
    let shown = socket.display();
    let asked = timeout(PATIENCE, send(stream, Method::GET, "/v1/watch")).await;
    match asked {
        Ok(Ok((head, body, connection))) if head.status == StatusCode::OK => {
            Ok(News { body, line: Vec::new(), _connection: connection })
        }
        Ok(Ok((head, ..))) => Err(Silence::Strange(format!("{shown} refuses to tell what changes: {}", head.status))),
        Ok(Err(_)) => Err(Silence::Mute(format!("{shown} {NO_HTTP}"))),
        Err(_) => Err(Silence::Mute(format!("{shown} {LATE}"))),
    }
}

impl News {
    /// Waits until the agent has said up to where it has told everything, or nothing more can be heard.
    pub async fn begun(&mut self) -> Option<()> {
        self.line_of(PLACE).await
    }

    /// Waits until something has changed, or nothing more can be heard.
    pub async fn next(&mut self) -> Option<()> {
        self.line_of(KIND).await
    }

    /// Waits for a line that begins so.
    async fn line_of(&mut self, beginning: &[u8]) -> Option<()> {
        loop {
            // What is still there says so every half minute.
            let frame = timeout(QUIET, self.body.frame()).await.ok()??.ok()?;
            let Some(bytes) = frame.data_ref() else { continue };
            let mut is_there = false;
            for byte in bytes {
                if *byte == b'\n' {
                    self.line.clear();
                } else if self.line.len() < LONGEST_FIELD {
                    self.line.push(*byte);
                    is_there |= self.line == beginning;
                }
            }
            if is_there {
                return Some(());
            }
        }
    }
}

/// Asks at a port.
pub async fn probe(address: SocketAddr, target: &str) -> Result<Reply, Silence> {
    let nobody = || Silence::Nobody(format!("no keyferry answers at {address}: is 'keyferry run' running?"));
    let connected = timeout(PATIENCE, TcpStream::connect(address)).await;
    let stream = connected.ok().and_then(Result::ok).ok_or_else(nobody)?;
    exchange(stream, Method::GET, target, &address.to_string(), None).await
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    method: Method,
    target: &str,
    shown: &str,
    server: Option<u32>,
) -> Result<Reply, Silence> {
    let answered = async {
        // The connection carries the answer as long as this lives.
        let (head, body, _connection) = send(stream, method, target).await?;
        let body = Limited::new(body, LONGEST).collect().await?.to_bytes();
        Ok::<_, Strange>((head.status.as_u16(), body))
    };
    match timeout(PATIENCE, answered).await {
        Ok(Ok((status, body))) => Ok(Reply { status, body: SecretValue::new(body.to_vec()), server }),
        Ok(Err(_)) => Err(Silence::Mute(format!("{shown} {NO_HTTP}"))),
        Err(_) => Err(Silence::Mute(format!("{shown} {LATE}"))),
    }
}

type Strange = Box<dyn std::error::Error + Send + Sync>;

/// Sends a request, and gives what comes back, with what carries it.
async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    method: Method,
    target: &str,
) -> Result<(Parts, Incoming, JoinSet<hyper::Result<()>>), Strange> {
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header(HOST, "localhost")
        .header("keyferry-request", "true")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut connections = JoinSet::new();
    connections.spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    Ok((head, body, connections))
}
