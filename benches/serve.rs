//! Cached reads: what `keyferry run` answers at `serve.http`, beside a bare hyper server that answers the same bytes, in
//! turns; and a minute of load while secrets rotate. Prints requests per second and their ratio, the slowest percent, how
//! long a rotation took to be served, and memory.
//!
//! `cargo bench --bench serve`; after `just static` of the static build. Needs wrk.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "this is a benchmark")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads /proc")]

#[path = "sidecar/mod.rs"]
mod sidecar;

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, VARY};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use sidecar::Sidecar;

const ROUNDS: usize = 5;
const ROUND: &str = "4s";
const LOAD: Duration = Duration::from_mins(1);

fn main() {
    let bare = bare();
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sidecar = Sidecar::start(
        10,
        Duration::ZERO,
        &format!("refresh: {{interval: 1s, settle: 0s}}\nserve: {{http: {{listen: \"{listen}\"}}}}"),
    );
    println!("{}", sidecar::binary().display());
    for connections in [8, 64] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            theirs.push(rate(&wrk(bare, connections, ROUND)));
            ours.push(rate(&wrk(listen, connections, ROUND)));
        }
        let [ours, theirs] = [ours, theirs].map(median);
        println!("{connections} connections: {ours:.0} requests/s, bare hyper {theirs:.0}, ratio {:.2}", ours / theirs);
    }
    load(&sidecar, listen);
}

/// A minute of readers, while one secret rotates every second.
fn load(sidecar: &Sidecar, listen: SocketAddr) {
    let readers = start(listen, 64, &format!("{}s", LOAD.as_secs()));
    let (begun, mut waits) = (Instant::now(), Vec::new());
    for number in 0.. {
        if begun.elapsed() + Duration::from_secs(3) > LOAD {
            break;
        }
        let value = format!("rotated-{number}");
        sidecar.emulator.put_secret("demo", "s1", &value);
        let rotated = Instant::now();
        while get(listen, "s1") != value {
            assert!(rotated.elapsed() < Duration::from_secs(30), "a rotation was lost");
            std::thread::sleep(Duration::from_millis(5));
        }
        waits.push(rotated.elapsed().as_secs_f64());
    }
    let said = String::from_utf8(readers.wait_with_output().unwrap().stdout).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", sidecar.child.id())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().trim();
    let slowest = said.lines().find_map(|line| line.trim().strip_prefix("99%")).unwrap().trim();
    waits.sort_by(f64::total_cmp);
    println!(
        "{} s of 64 connections: {:.0} requests/s, 99 % within {slowest}, {} rotations served after {:.3} s (median) to \
         {:.3} s, {resident} resident; {}",
        LOAD.as_secs(),
        rate(&said),
        waits.len(),
        waits[waits.len() / 2],
        waits[waits.len() - 1],
        said.lines().find(|line| line.contains("errors") || line.contains("Non-2xx")).unwrap_or("no errors").trim(),
    );
}

fn get(listen: SocketAddr, name: &str) -> String {
    let mut stream = TcpStream::connect(listen).unwrap();
    write!(
        stream,
        "GET /v1/secrets/{name} HTTP/1.1\r\nhost: localhost\r\nkeyferry-request: true\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

fn start(address: SocketAddr, connections: u32, duration: &str) -> Child {
    let connections = connections.to_string();
    let mut command = Command::new("wrk");
    command.args(["-t1", "--latency", "-c", &connections, "-d", duration, "-H", "Keyferry-Request: true"]);
    command.arg(format!("http://{address}/v1/secrets/s0")).stdout(Stdio::piped());
    let started = command.spawn().map_err(|error| format!("wrk is needed ({error}): apt-get install wrk"));
    started.unwrap()
}

fn wrk(address: SocketAddr, connections: u32, duration: &str) -> String {
    String::from_utf8(start(address, connections, duration).wait_with_output().unwrap().stdout).unwrap()
}

fn rate(said: &str) -> f64 {
    let line = said.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    line.unwrap().trim().parse().unwrap()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A server that looks at nothing and answers as many bytes, under the same headers, on one thread as well.
fn bare() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let body = Bytes::from(vec![b'x'; 200]);
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let body = body.clone();
                tokio::spawn(async move {
                    let answer = |_: Request<hyper::body::Incoming>| {
                        let mut response = Response::new(Full::new(body.clone()));
                        let headers = response.headers_mut();
                        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
                        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                        headers.insert(ETAG, HeaderValue::from_static("\"0123456789abcdef0123456789abcdef-1\""));
                        headers.insert(VARY, HeaderValue::from_static("Accept"));
                        async { Ok::<_, Infallible>(response) }
                    };
                    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await);
                });
            }
        });
    });
    address
}
