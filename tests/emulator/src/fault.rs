//! Faults on demand: what they do, which requests they hit, and how often.

mod force;

use std::time::Duration;

use crate::{Collection, Refusal, Service};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

pub(crate) use force::{Faults, Strike};

/// What a request is for; a fault can be limited to one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A token, of Entra or of a managed identity.
    Token,
    /// One secret, certificate or key, latest or by version.
    Get,
    /// The vault's secrets, certificates or keys.
    List,
    /// The versions of one of them.
    ListVersions,
    /// One connection without its secrets.
    GetConnection,
    /// A workspace's connections.
    ListConnections,
    /// One connection with its secrets.
    ListSecrets,
    /// Anything else.
    Other,
}

/// A way to treat a request other than honestly.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Misbehaviour {
    /// 429, with `Retry-After` exactly as given, if given.
    Throttle {
        /// Text of the header: seconds, a date, or something hostile.
        retry_after: Option<String>,
    },
    /// Any status with the service's own error body.
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// 502 with an HTML page, as from a gateway.
    HtmlBadGateway,
    /// 500 in plain text, as from something on the node that stands in for the service.
    Intercepted,
    /// The honest answer after a delay.
    Slow {
        /// How long to wait; `delay_ms` in JSON.
        #[serde(rename = "delay_ms", deserialize_with = "milliseconds")]
        delay: Duration,
    },
    /// The honest answer, made once the fault is cleared: a barrier for tests.
    Hold,
    /// The request is read and never answered; the connection lives on.
    NeverAnswer,
    /// The TCP connection is accepted and nothing is ever said, not even TLS.
    NoTls,
    /// The honest headers with half of the body, then the end.
    CutBody,
    /// The connection is reset instead of an answer.
    Reset,
    /// 302 to another URL.
    Redirect {
        /// The `Location`.
        to: String,
    },
    /// Exactly this answer, without the headers the service would add.
    Raw {
        /// The HTTP status.
        status: u16,
        /// Header names and values.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// The body.
        #[serde(default)]
        body: String,
    },
    /// The honest JSON answer with one member replaced or added.
    Member {
        /// JSON pointer to the member, such as `/attributes/exp`.
        at: String,
        /// What to put there.
        value: Value,
    },
    /// 200 with a JSON body of this many bytes, sent without a length.
    HugeBody {
        /// Size of the body.
        bytes: u64,
    },
    /// 401 AKV10046 for a token that is good: a fault the service is known to have now and then.
    SigningKeyUnresolved,
    /// 403 with this inner code.
    Forbidden {
        /// Why the vault refuses.
        refusal: Refusal,
    },
    /// An error of Entra's.
    EntraError {
        /// The HTTP status.
        status: u16,
        /// The `error` member.
        error: String,
        /// The AADSTS number.
        code: u64,
        /// The text behind the number.
        message: String,
    },
}

fn milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}

/// A misbehaviour and the requests it hits.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Fault {
    /// The service it is in.
    pub service: Service,
    /// Only this vault.
    #[serde(default)]
    pub vault: Option<String>,
    /// Only secrets, certificates or keys.
    #[serde(default)]
    pub collection: Option<Collection>,
    /// Only this secret.
    #[serde(default)]
    pub secret: Option<String>,
    /// Only this certificate; the secret and the key behind it are hit by their own faults.
    #[serde(default)]
    pub certificate: Option<String>,
    /// Only this key.
    #[serde(default)]
    pub key: Option<String>,
    /// Only this workspace, by its name alone.
    #[serde(default)]
    pub workspace: Option<String>,
    /// Only this connection.
    #[serde(default)]
    pub connection: Option<String>,
    /// Only this operation.
    #[serde(default)]
    pub operation: Option<Operation>,
    /// Only requests with, or without, a bearer token.
    #[serde(default)]
    pub bearer: Option<bool>,
    /// How often it still strikes; none is until cleared.
    #[serde(default)]
    pub remaining: Option<u64>,
    /// Strikes each n-th matching request only; 0 and 1 are each one.
    #[serde(default)]
    pub every: u64,
    /// What it does.
    #[serde(flatten)]
    pub misbehaviour: Misbehaviour,
}

impl Fault {
    /// A fault of a service that strikes each request until cleared.
    pub fn new(service: Service, misbehaviour: Misbehaviour) -> Self {
        Self {
            service,
            vault: None,
            collection: None,
            secret: None,
            certificate: None,
            key: None,
            workspace: None,
            connection: None,
            operation: None,
            bearer: None,
            remaining: None,
            every: 1,
            misbehaviour,
        }
    }

    /// A fault of Entra's that strikes each request until cleared.
    pub fn entra(misbehaviour: Misbehaviour) -> Self {
        Self::new(Service::Entra, misbehaviour)
    }

    /// A fault of every vault that strikes each request until cleared.
    pub fn vault(misbehaviour: Misbehaviour) -> Self {
        Self::new(Service::Vault, misbehaviour)
    }

    /// A fault of a virtual machine's managed identity endpoint that strikes each request until cleared.
    pub fn imds(misbehaviour: Misbehaviour) -> Self {
        Self::new(Service::Imds, misbehaviour)
    }

    /// A fault of App Service's managed identity endpoint that strikes each request until cleared.
    pub fn app_service(misbehaviour: Misbehaviour) -> Self {
        Self::new(Service::AppService, misbehaviour)
    }

    /// A fault of Azure ML's managed identity endpoint that strikes each request until cleared.
    pub fn azure_ml(misbehaviour: Misbehaviour) -> Self {
        Self::new(Service::AzureMl, misbehaviour)
    }

    /// A fault of the resource manager that strikes each request until cleared.
    pub fn resource_manager(misbehaviour: Misbehaviour) -> Self {
        Self::new(Service::ResourceManager, misbehaviour)
    }

    /// A fault of the token proxy that strikes each request until cleared.
    pub fn token_proxy(misbehaviour: Misbehaviour) -> Self {
        Self::new(Service::TokenProxy, misbehaviour)
    }

    /// Limits it to one vault.
    pub fn of_vault(mut self, vault: &str) -> Self {
        self.vault = Some(vault.to_owned());
        self
    }

    /// Limits it to secrets, certificates or keys.
    pub fn of_collection(mut self, collection: Collection) -> Self {
        self.collection = Some(collection);
        self
    }

    /// Limits it to one secret, which may be the one behind a certificate.
    pub fn of_secret(mut self, secret: &str) -> Self {
        self.secret = Some(secret.to_owned());
        self
    }

    /// Limits it to one certificate, and not to the secret or the key behind it.
    pub fn of_certificate(mut self, certificate: &str) -> Self {
        self.certificate = Some(certificate.to_owned());
        self
    }

    /// Limits it to one key, which may be the one behind a certificate.
    pub fn of_key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// Limits it to one workspace, by its name alone.
    pub fn of_workspace(mut self, workspace: &str) -> Self {
        self.workspace = Some(workspace.to_owned());
        self
    }

    /// Limits it to one connection.
    pub fn of_connection(mut self, connection: &str) -> Self {
        self.connection = Some(connection.to_owned());
        self
    }

    /// Limits it to one operation.
    pub fn of_operation(mut self, operation: Operation) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Limits it to requests that carry a bearer token, or to those that do not.
    pub fn with_bearer(mut self, bearer: bool) -> Self {
        self.bearer = Some(bearer);
        self
    }

    /// Lets it strike so many times only.
    pub fn times(mut self, times: u64) -> Self {
        self.remaining = Some(times);
        self
    }

    /// Lets it strike each n-th matching request only.
    pub fn every(mut self, nth: u64) -> Self {
        self.every = nth;
        self
    }

    fn matches(&self, hit: &Hit<'_>) -> bool {
        let same = |wanted: &Option<String>, had: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| had.is_some_and(|had| wanted.eq_ignore_ascii_case(had)))
        };
        self.service == hit.service
            && same(&self.vault, hit.vault)
            && match hit.request {
                None => matches!(self.misbehaviour, Misbehaviour::NoTls),
                Some(request) => {
                    !matches!(self.misbehaviour, Misbehaviour::NoTls)
                        && self.collection.is_none_or(|collection| request.collection == Some(collection))
                        && same(&self.secret, request.named(Collection::Secrets))
                        && same(&self.certificate, request.named(Collection::Certificates))
                        && same(&self.key, request.named(Collection::Keys))
                        && same(&self.workspace, request.workspace)
                        && same(&self.connection, request.connection)
                        && self.operation.is_none_or(|operation| operation == request.operation)
                        && self.bearer.is_none_or(|bearer| bearer == request.bearer)
                }
            }
    }
}

/// Names an installed fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct FaultId(u64);

/// What a fault may hit: a new connection, or a request on one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit<'a> {
    pub(crate) service: Service,
    pub(crate) vault: Option<&'a str>,
    pub(crate) request: Option<HitRequest<'a>>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct HitRequest<'a> {
    pub(crate) operation: Operation,
    pub(crate) collection: Option<Collection>,
    pub(crate) name: Option<&'a str>,
    pub(crate) workspace: Option<&'a str>,
    pub(crate) connection: Option<&'a str>,
    pub(crate) bearer: bool,
}

impl<'a> HitRequest<'a> {
    /// The name asked for, if it is one of that collection.
    fn named(&self, collection: Collection) -> Option<&'a str> {
        self.name.filter(|_| self.collection == Some(collection))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(secret: &str) -> Hit<'_> {
        hit(Collection::Secrets, secret)
    }

    fn hit(collection: Collection, name: &str) -> Hit<'_> {
        let (collection, name) = (Some(collection), Some(name));
        let (workspace, connection) = (None, None);
        let request = HitRequest { operation: Operation::Get, collection, name, workspace, connection, bearer: true };
        Hit { service: Service::Vault, vault: Some("demo"), request: Some(request) }
    }

    #[test]
    fn a_counted_fault_strikes_that_often() {
        let mut faults = Faults::default();
        faults.install(Fault::vault(Misbehaviour::Reset).of_secret("A").times(2));
        let struck: Vec<bool> =
            ["a", "b", "a", "a"].iter().map(|secret| faults.strike(&get(secret)).is_some()).collect();
        assert_eq!(struck, [true, false, true, false]);
    }

    #[test]
    fn a_fault_of_one_collection_leaves_the_others_alone() {
        let struck = |fault: Fault, name| {
            let mut faults = Faults::default();
            faults.install(fault);
            [Collection::Secrets, Collection::Certificates, Collection::Keys]
                .map(|collection| faults.strike(&hit(collection, name)).is_some())
        };
        let reset = || Fault::vault(Misbehaviour::Reset);
        assert_eq!(struck(reset().of_secret("a"), "a"), [true, false, false]);
        assert_eq!(struck(reset().of_certificate("A"), "a"), [false, true, false]);
        assert_eq!(struck(reset().of_key("a"), "a"), [false, false, true]);
        assert_eq!(struck(reset().of_key("a"), "b"), [false, false, false]);
        assert_eq!(struck(reset().of_collection(Collection::Keys), "b"), [false, false, true]);
        assert_eq!(struck(reset().of_operation(Operation::Get), "b"), [true, true, true]);
    }

    #[test]
    fn an_nth_fault_strikes_each_nth_match() {
        let mut faults = Faults::default();
        let id = faults.install(Fault::vault(Misbehaviour::Reset).every(3));
        let mut strikes = || faults.strike(&get("a")).is_some();
        assert_eq!([strikes(), strikes(), strikes(), strikes()], [false, false, true, false]);
        faults.clear(id);
        assert!((0..3).all(|_| faults.strike(&get("a")).is_none()));
    }

    #[test]
    fn a_fault_reads_from_one_flat_json_object() {
        let fault: Fault =
            serde_json::from_str(r#"{"service":"vault","remaining":2,"kind":"slow","delay_ms":30}"#).unwrap();
        assert_eq!(
            fault,
            Fault { every: 0, ..Fault::vault(Misbehaviour::Slow { delay: Duration::from_millis(30) }).times(2) }
        );
    }
}
