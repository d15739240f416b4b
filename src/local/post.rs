//! The hook that posts: one request to an address of this machine, on a connection of its own. There is no look-up, no
//! proxy and no redirect, because none of them is built in.

use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::nearby::Loopback;
use crate::ports::{Change, Hook, HookError, Reach};
use crate::reference::SecretName;

/// From the connection to the answer's status.
const PATIENCE: Duration = Duration::from_secs(5);
const AGENT: &str = concat!("keyferry/", env!("CARGO_PKG_VERSION"));

/// Posts when secrets have changed.
#[derive(Debug)]
pub struct PostHook {
    name: String,
    url: Loopback,
}

/// What is told: names, never values.
#[derive(Serialize)]
struct Told<'a> {
    generation: u64,
    secrets: Vec<&'a str>,
}

impl PostHook {
    /// A hook; nobody is spoken to before the first change.
    pub fn new(url: &Loopback) -> Self {
        Self { name: format!("POST {url}"), url: url.clone() }
    }

    async fn post(&self, change: &Change) -> Result<(), HookError> {
        let secrets = change.names.iter().map(SecretName::as_str).collect();
        let body = serde_json::to_string(&Told { generation: change.generation.0, secrets });
        let request = body.ok().and_then(|body| {
            Request::post(self.url.target())
                .header(HOST, self.url.authority())
                .header(USER_AGENT, AGENT)
                .header(CONTENT_TYPE, "application/json")
                .header(CONNECTION, "close")
                .body(body)
                .ok()
        });
        let request =
            request.ok_or_else(|| HookError::new("no request can be made of its url", "write another url"))?;
        let stream = TcpStream::connect(self.url.addresses()).await.map_err(|e| match e.kind() {
            ErrorKind::ConnectionRefused => {
                let fix = "the application has not started, or listens at another port or on the pod's address only";
                HookError::new("nobody listens there", fix)
            }
            _ => HookError::new(format!("it cannot be reached: {e}"), "look whether the application runs"),
        })?;
        let broken = |_| HookError::new("it gave no HTTP answer", "look whether it speaks HTTP/1.1 there, without TLS");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // It carries the request as long as this lives.
        let mut connections = JoinSet::new();
        connections.spawn(connection);
        // The answer's body is nobody's business here: it may be long, and quote anything.
        judge(sender.send_request(request).await.map_err(broken)?.status())
    }
}

impl Hook for PostHook {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "http"
    }

    /// Nobody is posted to: whoever listens there would reload.
    fn check(&self) -> Result<Reach, HookError> {
        Ok(Reach::Unknown)
    }

    fn run(&self, change: Arc<Change>) -> Pin<Box<dyn Future<Output = Result<(), HookError>> + Send + '_>> {
        Box::pin(async move {
            let told = timeout(PATIENCE, self.post(&change)).await;
            let slow = || {
                HookError::new(
                    format!("no answer came within {} seconds", PATIENCE.as_secs()),
                    "let it answer first and reload then",
                )
            };
            told.unwrap_or_else(|_| Err(slow()))
        })
    }
}

fn judge(status: StatusCode) -> Result<(), HookError> {
    let answered = format!("it answered {}", status.as_u16());
    match status.as_u16() {
        200..=299 => Ok(()),
        300..=399 => Err(HookError::new(answered, "a redirect is not followed: write the url that it leads to")),
        404 => Err(HookError::new(answered, "check the path of the url")),
        405 => Err(HookError::new(answered, "the application takes no POST there: check the path of the url")),
        401 | 403 => Err(HookError::new(
            answered,
            "a hook has no password: let the application take it from loopback without one",
        )),
        _ => Err(HookError::new(answered, "look into the application's log")),
    }
}
