//! The emulator's life: it starts, its services stop and start again, it ends.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::door::{Door, NewConnections};
use crate::listener::Listener;
use crate::log::{Counters, Logged};
use crate::world::World;
use crate::{Error, Names, Service, Settings, control};

/// Azure's services on loopback; dropping it stops everything.
#[derive(Debug)]
pub struct Emulator {
    stage: Arc<Stage>,
    control: Option<SocketAddr>,
    /// Taken when the emulator ends.
    runtime: Option<Runtime>,
}

/// The running parts, shared with the control port.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) world: Arc<World>,
    /// In the order of `Service::ALL`.
    listeners: Vec<Listener>,
    handle: tokio::runtime::Handle,
}

impl Stage {
    fn listener(&self, service: Service) -> &Listener {
        &self.listeners[service as usize]
    }

    pub(crate) fn start(&self, service: Service) -> Result<(), Error> {
        self.listener(service).start(&self.handle, &self.world)
    }

    pub(crate) fn stop(&self, service: Service) -> Result<(), Error> {
        self.listener(service).stop()
    }

    pub(crate) fn door(&self, service: Service) -> &Door {
        &self.listener(service).door
    }

    pub(crate) fn counters(&self) -> Counters {
        let log = &self.world.log;
        let accepted = |service| self.door(service).accepted();
        let handshakes = |service| self.door(service).handshakes();
        Counters {
            entra_connections: accepted(Service::Entra),
            entra_tls_connections: handshakes(Service::Entra),
            vault_connections: accepted(Service::Vault),
            vault_tls_connections: handshakes(Service::Vault),
            imds_connections: accepted(Service::Imds),
            app_service_connections: accepted(Service::AppService),
            azure_ml_connections: accepted(Service::AzureMl),
            resource_manager_connections: accepted(Service::ResourceManager),
            resource_manager_tls_connections: handshakes(Service::ResourceManager),
            token_proxy_connections: accepted(Service::TokenProxy),
            token_proxy_tls_connections: handshakes(Service::TokenProxy),
            openai_connections: accepted(Service::OpenAi),
            requests: log.arrived(),
            in_flight: log.in_flight(),
            peak_in_flight: log.peak(),
        }
    }
}

impl Emulator {
    /// Name that the token proxy's certificate is for, and no other.
    pub const TOKEN_PROXY_NAME: &str = "emulator.ests.aks";

    /// Starts all services on threads of their own; they listen when this returns.
    pub fn start(settings: Settings) -> Result<Self, Error> {
        let sockets = Service::ALL
            .iter()
            .map(|service| TcpListener::bind((settings.address, settings.port(*service))))
            .collect::<Result<Vec<_>, _>>()?;
        let control = settings.control.map(TcpListener::bind).transpose()?;
        let addresses = sockets.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?;
        let listener = |(service, address): (&Service, &SocketAddr)| Listener::new(*address, Door::of(*service));
        let listeners = Service::ALL.iter().zip(&addresses).map(listener).collect();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("keyferry-emulator")
            .enable_all()
            .build()?;
        let stage = Arc::new(Stage {
            world: Arc::new(World::new(settings, addresses)?),
            listeners,
            handle: runtime.handle().clone(),
        });
        for (listener, socket) in stage.listeners.iter().zip(sockets) {
            listener.serve(socket, runtime.handle(), &stage.world)?;
        }
        let control = control.map(|socket| control::serve(socket, runtime.handle(), &stage)).transpose()?;
        Ok(Self { stage, control, runtime: Some(runtime) })
    }

    pub(crate) fn world(&self) -> &World {
        &self.stage.world
    }

    /// The CA's certificate in PEM.
    pub fn ca_pem(&self) -> &str {
        &self.world().certificates.ca_pem
    }

    /// What the services are called.
    pub fn names(&self) -> &Names {
        &self.world().names
    }

    /// Base URL of Entra, ending in a slash.
    pub fn authority(&self) -> String {
        self.world().authority()
    }

    /// Base URL of a vault, without a slash at the end.
    pub fn vault_url(&self, vault: &str) -> String {
        self.world().vault_url(vault)
    }

    /// Base URL of the resource manager, without a slash at the end.
    pub fn management_url(&self) -> String {
        self.world().management_url()
    }

    /// Base URL of a resource of Azure OpenAI, without a slash at the end.
    pub fn openai_url(&self, resource: &str) -> String {
        format!("https://{resource}.{}:{}", self.names().openai_suffix, self.address(Service::OpenAi).port())
    }

    /// Where a service listens.
    pub fn address(&self, service: Service) -> SocketAddr {
        self.stage.listener(service).address()
    }

    /// Where the control port listens, if there is one.
    pub fn control_address(&self) -> Option<SocketAddr> {
        self.control
    }

    /// Closes a service's listener and all its connections: further ones are refused.
    pub fn stop(&self, service: Service) -> Result<(), Error> {
        self.stage.stop(service)
    }

    /// Listens for a service again, on the same port.
    pub fn start_again(&self, service: Service) -> Result<(), Error> {
        self.stage.start(service)
    }

    /// Closes Entra's listener and all its connections: further ones are refused.
    pub fn stop_entra(&self) -> Result<(), Error> {
        self.stage.stop(Service::Entra)
    }

    /// Listens for Entra again, on the same port.
    pub fn start_entra(&self) -> Result<(), Error> {
        self.stage.start(Service::Entra)
    }

    /// Closes the vaults' listener and all its connections: further ones are refused.
    pub fn stop_vaults(&self) -> Result<(), Error> {
        self.stage.stop(Service::Vault)
    }

    /// Listens for the vaults again, on the same port.
    pub fn start_vaults(&self) -> Result<(), Error> {
        self.stage.start(Service::Vault)
    }

    /// Makes the open connections of a service fall silent for ever without closing them.
    pub fn freeze_connections(&self, service: Service, new: NewConnections) {
        self.stage.door(service).freeze(new);
    }

    /// Serves new connections of a service again; the frozen ones stay dead.
    pub fn thaw(&self, service: Service) {
        self.stage.door(service).thaw();
    }

    /// Number of TCP connections a service has accepted since the start.
    pub fn connections(&self, service: Service) -> u64 {
        self.stage.door(service).accepted()
    }

    /// Number of TLS handshakes a service has completed since the start.
    pub fn tls_connections(&self, service: Service) -> u64 {
        self.stage.door(service).handshakes()
    }

    /// Most requests in flight at once since the start or the last `clear_log`.
    pub fn peak_concurrency(&self) -> u64 {
        self.world().log.peak()
    }

    /// All counts at once.
    pub fn counters(&self) -> Counters {
        self.stage.counters()
    }

    /// The requests since the start or the last `clear_log`, in order of arrival.
    pub fn requests(&self) -> Vec<Logged> {
        self.world().log.entries()
    }

    /// Blocks until the log is as wanted, or for so long; tells whether it is.
    pub fn wait_until(&self, within: Duration, wanted: impl FnMut(&[Logged]) -> bool) -> bool {
        self.world().log.wait_until(within, wanted)
    }

    /// Forgets the requests so far, and the peak.
    pub fn clear_log(&self) {
        self.world().log.clear();
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // A listener that does not close in time dies with the runtime below.
        for service in Service::ALL {
            self.stage.stop(service).unwrap_or_default();
        }
        if let Some(runtime) = self.runtime.take() {
            // Unlike a plain drop this is allowed inside another runtime.
            runtime.shutdown_background();
        }
    }
}
