//! A keyferry that runs beside this process, asked at its socket, or at its port for probes.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::secret::SecretValue;

/// To connect, and from then to the end of the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than all variables of a configuration can be.
const LONGEST: usize = 32 << 20;

/// What was answered.
#[derive(Debug)]
pub struct Reply {
    /// The status (RFC 9110).
    pub status: u16,
    /// The body, which may hold secrets.
    pub body: SecretValue,
}

/// Why there is no answer; a reason each, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Silence {
    /// Nobody listens there.
    Nobody(String),
    /// Somebody does, who is not trusted or does not speak as keyferry does.
    Strange(String),
}

impl Silence {
    /// The reason.
    pub fn into_reason(self) -> String {
        match self {
            Self::Nobody(reason) | Self::Strange(reason) => reason,
        }
    }
}

/// Asks at a socket. What is served there by another user than this one or root could be anything, and is not read.
pub async fn ask(socket: &Path, own: u32, method: Method, target: &str) -> Result<Reply, Silence> {
    let shown = socket.display();
    let stream = UnixStream::connect(socket).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => Silence::Nobody(format!(
            "no keyferry answers at {shown}: is 'keyferry run' running, with this configuration?"
        )),
        _ => Silence::Strange(format!("{shown} cannot be connected with: {error}; may this user reach it?")),
    })?;
    match stream.peer_cred() {
        Ok(peer) if [own, 0].contains(&peer.uid()) => {}
        Ok(peer) => {
            let (uid, reason) = (peer.uid(), "which is neither this user nor root, and could be anybody's");
            return Err(Silence::Strange(format!(
                "{shown} is served by uid {uid}, {reason}: run the command as that user if it is keyferry's"
            )));
        }
        Err(error) => {
            return Err(Silence::Strange(format!("the kernel does not say who serves {shown}: {error}")));
        }
    }
    exchange(stream, method, target, &shown.to_string()).await
}

/// Asks at a port.
pub async fn probe(address: SocketAddr, target: &str) -> Result<Reply, Silence> {
    let nobody = || Silence::Nobody(format!("no keyferry answers at {address}: is 'keyferry run' running?"));
    let connected = timeout(PATIENCE, TcpStream::connect(address)).await;
    let stream = connected.ok().and_then(Result::ok).ok_or_else(nobody)?;
    exchange(stream, Method::GET, target, &address.to_string()).await
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    method: Method,
    target: &str,
    shown: &str,
) -> Result<Reply, Silence> {
    let strange = |reason: &str| Silence::Strange(format!("{shown} {reason}"));
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header(HOST, "localhost")
        .header("keyferry-request", "true")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|_| strange("cannot be asked so"))?;
    let answered = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It carries the request as long as this lives.
        let mut connections = JoinSet::new();
        connections.spawn(connection);
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, LONGEST).collect().await?.to_bytes();
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>((head.status.as_u16(), body))
    };
    match timeout(PATIENCE, answered).await {
        Ok(Ok((status, body))) => Ok(Reply { status, body: SecretValue::new(body.to_vec()) }),
        Ok(Err(_)) => Err(strange("gave no HTTP answer: is it keyferry's?")),
        Err(_) => Err(strange("gave no answer in time: look into keyferry's log")),
    }
}
