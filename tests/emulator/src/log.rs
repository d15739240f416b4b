//! What was asked, by whom and with what outcome: never a token, an assertion or a value.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

use crate::{FaultId, Service};

/// One request as the emulator saw it.
#[derive(Debug, Clone, Serialize)]
pub struct Logged {
    /// Number of the request, from 1, over all services and across `clear_log`.
    pub number: u64,
    /// The service that was asked.
    pub service: Service,
    /// Name of the vault, for requests to one.
    pub vault: Option<String>,
    /// HTTP method.
    pub method: String,
    /// Path without the query, as sent.
    pub path: String,
    /// Query without the `?`, as sent; empty if there was none.
    pub query: String,
    /// Status answered; none while, or for ever when, nothing was answered.
    pub status: Option<u16>,
    /// HTTP version, `2` or `1.1`.
    pub http: &'static str,
    /// Number of the connection within its service, from 1.
    pub connection: u64,
    /// Whether a bearer token was sent.
    pub bearer: bool,
    /// Number of the access token that was shown or issued, if the emulator knows it.
    pub token: Option<u64>,
    /// Tenant in the path of a token request.
    pub tenant: Option<String>,
    /// Client id of a token request; of the identity found, for a managed identity.
    pub client_id: Option<String>,
    /// Scope or resource of a token request.
    pub audience: Option<String>,
    /// SHA-256 of the client assertion of a token request, in hex.
    pub assertion: Option<String>,
    /// `User-Agent` header.
    pub user_agent: Option<String>,
    /// The fault that shaped the answer.
    pub fault: Option<FaultId>,
    /// When the request arrived, counted from the emulator's start.
    #[serde(serialize_with = "seconds")]
    pub at: Duration,
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// Totals since the start; the peak since the last `clear_log`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// TCP connections accepted by Entra.
    pub entra_connections: u64,
    /// TLS handshakes completed by Entra.
    pub entra_tls_connections: u64,
    /// TCP connections accepted by the vaults.
    pub vault_connections: u64,
    /// TLS handshakes completed by the vaults.
    pub vault_tls_connections: u64,
    /// TCP connections accepted by the virtual machine's managed identity endpoint.
    pub imds_connections: u64,
    /// TCP connections accepted by App Service's managed identity endpoint.
    pub app_service_connections: u64,
    /// TCP connections accepted by Azure ML's managed identity endpoint.
    pub azure_ml_connections: u64,
    /// TCP connections accepted by the resource manager.
    pub resource_manager_connections: u64,
    /// TLS handshakes completed by the resource manager.
    pub resource_manager_tls_connections: u64,
    /// TCP connections accepted by the token proxy.
    pub token_proxy_connections: u64,
    /// TLS handshakes completed by the token proxy.
    pub token_proxy_tls_connections: u64,
    /// TCP connections accepted by Azure OpenAI.
    pub openai_connections: u64,
    /// Requests that arrived.
    pub requests: u64,
    /// Requests being answered now.
    pub in_flight: u64,
    /// Most requests in flight at once.
    pub peak_in_flight: u64,
}

/// The request log and the counts of requests.
#[derive(Debug)]
pub(crate) struct Log {
    started: Instant,
    entries: Mutex<Vec<Logged>>,
    changed: Condvar,
    arrived: AtomicU64,
    in_flight: AtomicU64,
    peak: AtomicU64,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            entries: Mutex::default(),
            changed: Condvar::new(),
            arrived: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            peak: AtomicU64::new(0),
        }
    }

    pub(crate) fn since_start(&self) -> Duration {
        self.started.elapsed()
    }

    /// Takes down a request at its arrival and gives its number.
    pub(crate) fn add(&self, mut entry: Logged) -> u64 {
        let mut entries = self.lock();
        entry.number = self.arrived.fetch_add(1, Ordering::SeqCst) + 1;
        let number = entry.number;
        entries.push(entry);
        self.changed.notify_all();
        number
    }

    /// Adds to an entry what was learnt since; a cleared entry stays gone.
    pub(crate) fn amend(&self, number: u64, change: impl FnOnce(&mut Logged)) {
        let mut entries = self.lock();
        if let Ok(index) = entries.binary_search_by_key(&number, |entry| entry.number) {
            change(&mut entries[index]);
            self.changed.notify_all();
        }
    }

    pub(crate) fn entries(&self) -> Vec<Logged> {
        self.lock().clone()
    }

    /// Blocks until the log is as wanted, or for so long; tells whether it is.
    pub(crate) fn wait_until(&self, within: Duration, mut wanted: impl FnMut(&[Logged]) -> bool) -> bool {
        let unwanted = |entries: &mut Vec<Logged>| !wanted(entries);
        let waited = self.changed.wait_timeout_while(self.lock(), within, unwanted);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Logged>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
        self.peak.store(self.in_flight(), Ordering::SeqCst);
    }

    pub(crate) fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::SeqCst)
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::SeqCst)
    }

    pub(crate) fn peak(&self) -> u64 {
        self.peak.load(Ordering::SeqCst)
    }

    /// Counts a request as in flight until the guard is dropped.
    pub(crate) fn enter(&self) -> InFlight<'_> {
        let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(now, Ordering::SeqCst);
        InFlight(self)
    }
}

/// A request in flight.
#[derive(Debug)]
pub(crate) struct InFlight<'a>(&'a Log);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}
