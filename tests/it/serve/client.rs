//! A small HTTP client that says exactly what it is told to: over a Unix socket or TCP, as any user.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Uid;

use crate::harness::{Running, SOON, World};

/// Where an endpoint is.
#[derive(Debug, Clone)]
pub enum Endpoint {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

/// A request that is under way.
pub struct Asked(Box<dyn Stream>);

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

impl Endpoint {
    /// The socket of [`socket`].
    pub fn of(world: &World) -> Self {
        Self::Unix(world.root.path().join("api.sock"))
    }

    /// Where values are served over TCP by a running agent.
    pub fn http(running: &Running) -> Self {
        Self::said(running, "values are served at http://")
    }

    /// Where tokens are given by a running agent.
    pub fn tokens(running: &Running) -> Self {
        Self::said(running, "tokens are given at http://")
    }

    fn said(running: &Running, words: &str) -> Self {
        running.wait_for(words, 1);
        let line = running.lines().into_iter().find(|line| line.contains(words)).unwrap();
        let (_, rest) = line.split_once("http://").unwrap();
        Self::Tcp(rest.split_once(": ").unwrap().0.parse().unwrap())
    }

    fn open(&self) -> Box<dyn Stream> {
        match self {
            Self::Unix(path) => {
                let stream = UnixStream::connect(path).unwrap();
                stream.set_read_timeout(Some(SOON)).unwrap();
                Box::new(stream)
            }
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).unwrap();
                stream.set_read_timeout(Some(SOON)).unwrap();
                Box::new(stream)
            }
        }
    }

    /// Sends these bytes, and reads until the other side closes.
    pub fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.open();
        // Whoever is refused early may find the other side closed while it still writes.
        drop(stream.write_all(bytes));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        answer
    }

    /// Sends of these bytes as many as are taken at once, and reads nothing.
    pub fn pour(&self, bytes: &[u8]) -> UnixStream {
        let Self::Unix(path) = self else { panic!("only into a socket") };
        let mut stream = UnixStream::connect(path).unwrap();
        stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        drop(stream.write_all(bytes));
        stream
    }

    /// A request with what every request needs, and these headers.
    pub fn ask(&self, method: &str, target: &str, headers: &[&str]) -> Reply {
        self.begin(method, target, headers).end()
    }

    /// The same, whose answer is read later.
    pub fn begin(&self, method: &str, target: &str, headers: &[&str]) -> Asked {
        let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let text = format!(
            "{method} {target} HTTP/1.1\r\nhost: localhost\r\nkeyferry-request: true\r\nconnection: close\r\n{more}\r\n"
        );
        let mut stream = self.open();
        stream.write_all(text.as_bytes()).unwrap();
        Asked(stream)
    }

    pub fn get(&self, target: &str) -> Reply {
        self.ask("GET", target, &[])
    }

    /// Does it as another user: the kernel keeps uids by thread.
    pub fn as_user<T: Send + 'static>(&self, uid: u32, act: impl FnOnce(&Self) -> T + Send + 'static) -> T {
        let endpoint = self.clone();
        let acting = std::thread::spawn(move || {
            rustix::thread::set_thread_uid(Uid::from_raw(uid)).unwrap();
            act(&endpoint)
        });
        acting.join().unwrap()
    }

    /// Opens a stream of events.
    pub fn watch(&self, headers: &[&str]) -> Watch {
        let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let mut stream = self.open();
        write!(stream, "GET /v1/watch HTTP/1.1\r\nhost: localhost\r\nkeyferry-request: true\r\n{more}\r\n").unwrap();
        let mut watch = Watch { stream, read: Vec::new() };
        let head = watch.until(b"\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.to_ascii_lowercase().contains("content-type: text/event-stream"), "{head}");
        watch
    }
}

impl Asked {
    /// Reads until the other side closes.
    pub fn end(mut self) -> Reply {
        let mut answer = Vec::new();
        self.0.read_to_end(&mut answer).unwrap();
        Reply::parse(&answer)
    }
}

impl Reply {
    pub fn parse(bytes: &[u8]) -> Self {
        let at = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let at = at.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8(bytes[..at].to_vec()).unwrap();
        let status = head.strip_prefix("HTTP/1.").unwrap()[2..5].parse().unwrap();
        Self { status, head, body: bytes[at + 4..].to_vec() }
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<String> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
    }

    /// The status, and the code of the error.
    pub fn refusal(&self) -> (u16, String) {
        (self.status, self.json()["error"]["code"].as_str().unwrap().to_owned())
    }
}

/// A stream of events.
pub struct Watch {
    stream: Box<dyn Stream>,
    read: Vec<u8>,
}

impl Watch {
    /// The next event, without what frames it: `event`, `data` and `id`. None when the stream ends.
    pub fn next(&mut self) -> Option<Event> {
        loop {
            // Each chunk is its length, its bytes, and CRLF on either side; events end with two line feeds.
            let text = self.until(b"\n\n")?;
            let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            let id = field("id: ");
            match (field("event: "), field("data: ")) {
                (Some(kind), Some(data)) => {
                    let data = serde_json::from_str(&data).unwrap();
                    return Some(Event { kind, data, id: id.unwrap() });
                }
                _ if id.is_some() => return Some(Event { kind: String::new(), data: ().into(), id: id.unwrap() }),
                _ => {}
            }
        }
    }

    fn until(&mut self, end: &[u8]) -> Option<String> {
        loop {
            if let Some(at) = self.read.windows(end.len()).position(|window| window == end) {
                let piece: Vec<u8> = self.read.drain(..at + end.len()).collect();
                return Some(String::from_utf8(piece).unwrap());
            }
            let mut more = [0; 4096];
            match self.stream.read(&mut more) {
                Ok(0) | Err(_) => return None,
                Ok(length) => self.read.extend_from_slice(&more[..length]),
            }
        }
    }
}

/// One event; that without a kind only says where the stream is.
#[derive(Debug, PartialEq)]
pub struct Event {
    pub kind: String,
    pub data: serde_json::Value,
    pub id: String,
}

/// The part of a configuration that opens the socket of [`Endpoint::of`].
pub fn socket(world: &World, allow: &str) -> String {
    format!("serve: {{socket: {{path: {}{allow}}}}}\n", world.root.path().join("api.sock").display())
}

/// A while in which what ends at once has ended, and what waits has not.
pub const AT_ONCE: Duration = Duration::from_secs(5);
