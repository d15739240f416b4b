//! One connection: TLS for the hosts that exist, where there is TLS, then HTTP in the version that was agreed on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_util::sync::CancellationToken;

use crate::door::Door;
use crate::exchange::exchange;
use crate::fault::Hit;
use crate::wire::Wire;
use crate::world::World;
use crate::{Emulator, Service};

/// A fatal `unrecognized_name` alert in a TLS record.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// What the requests on a connection may know and do about it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) service: Service,
    pub(crate) number: u64,
    reset: Arc<AtomicBool>,
    ending: CancellationToken,
}

impl Connection {
    /// Ends the connection, whatever is under way on it.
    pub(crate) fn end(&self) {
        self.ending.cancel();
    }

    /// Ends the connection with RST.
    pub(crate) fn reset(&self) {
        self.reset.store(true, Ordering::SeqCst);
        self.end();
    }
}

/// Serves a connection until either side ends it.
pub(crate) async fn serve(world: Arc<World>, door: Arc<Door>, tcp: TcpStream) {
    let connection = Arc::new(Connection {
        service: door.service,
        number: door.enter(),
        reset: Arc::default(),
        ending: CancellationToken::new(),
    });
    // Without it small answers wait for the peer's delayed ACK; if it fails they only come later.
    tcp.set_nodelay(true).unwrap_or_default();
    let wire = Wire::new(tcp, connection.number, door.clone(), connection.reset.clone());
    let ending = connection.ending.clone();
    tokio::select! {
        () = begin(world, &door, connection, wire) => {}
        () = ending.cancelled() => {}
    }
}

async fn begin(world: Arc<World>, door: &Door, connection: Arc<Connection>, wire: Wire) {
    if !door.service.has_tls() {
        let hit = Hit { service: door.service, vault: None, request: None };
        if world.faults.with(|faults| faults.strike(&hit)).is_some() {
            return std::future::pending().await;
        }
        return speak(world, connection, wire, false).await;
    }
    let Ok(mut start) = LazyConfigAcceptor::new(Acceptor::default(), wire).await else { return };
    let host = start.client_hello().server_name().map(str::to_ascii_lowercase).unwrap_or_default();
    let vault = world.names.vault_in(&host);
    if !exists(&world, door.service, &host, vault.as_deref()) {
        // In reality such a name does not resolve; the alert comes closest once someone has connected.
        start.io.write_all(&UNRECOGNIZED_NAME).await.unwrap_or_default();
        return start.io.shutdown().await.unwrap_or_default();
    }
    let hit = Hit { service: door.service, vault: vault.as_deref(), request: None };
    if world.faults.with(|faults| faults.strike(&hit)).is_some() {
        return std::future::pending().await;
    }
    let Ok(tls) = start.into_stream(world.tls_of(door.service)).await else { return };
    door.shook_hands();
    let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
    speak(world, connection, tls, http2).await;
}

/// Serves HTTP on whatever carries it.
async fn speak<S>(world: Arc<World>, connection: Arc<Connection>, stream: S, http2: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| exchange(world.clone(), connection.clone(), request));
    let io = TokioIo::new(stream);
    // How a connection ends is for the client to judge; a fault may have broken it on purpose.
    if http2 {
        http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await.unwrap_or_default();
    } else {
        http1::Builder::new().serve_connection(io, service).await.unwrap_or_default();
    }
}

fn exists(world: &World, service: Service, host: &str, vault: Option<&str>) -> bool {
    match service {
        Service::Entra => host == world.names.login,
        Service::Vault => vault.is_some_and(|vault| world.vaults.with(|vaults| vaults.find(vault).is_some())),
        Service::ResourceManager => host == world.names.management,
        Service::TokenProxy => host == Emulator::TOKEN_PROXY_NAME,
        Service::OpenAi => world.names.is_openai_resource(host),
        Service::Imds | Service::AppService | Service::AzureMl => true,
    }
}
