//! Which certificate authorities are trusted: the system's and the configured ones; compiled-in ones where there are none.
//!
//! The system's 145 roots cost milliseconds of CPU. They are read on a thread of their own while the connection opens,
//! and needed only when the server shows its certificate.
#![expect(clippy::disallowed_methods, reason = "two variables say where the system's authorities are")]

use std::fmt;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_native_certs::{load_certs_from_paths, load_native_certs};

/// Verifies as webpki does, with roots that arrive later and may be other ones tomorrow.
pub(super) struct LateRoots {
    provider: Arc<CryptoProvider>,
    roots: Mutex<Roots>,
}

enum Roots {
    Loading(Receiver<RootCertStore>),
    /// None where no verifier can be made of them: then nobody is trusted.
    Loaded(Option<Arc<WebPkiServerVerifier>>),
}

impl LateRoots {
    /// Begins to load the system's roots; `extra` are trusted besides them.
    pub(super) fn load(provider: Arc<CryptoProvider>, extra: Vec<CertificateDer<'static>>) -> Self {
        Self { provider, roots: Mutex::new(Roots::load(extra)) }
    }

    /// Trusts the system's roots as they are now, and these others besides them, from the next handshake on.
    pub(super) fn renew(&self, extra: Vec<CertificateDer<'static>>) {
        *self.roots.lock().unwrap_or_else(PoisonError::into_inner) = Roots::load(extra);
    }

    fn inner(&self) -> Result<Arc<WebPkiServerVerifier>, Error> {
        let mut roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Roots::Loading(loading) = &*roots {
            let build = |store| {
                WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(&self.provider)).build().ok()
            };
            *roots = Roots::Loaded(loading.recv().ok().and_then(build));
        }
        match &*roots {
            Roots::Loaded(Some(verifier)) => Ok(Arc::clone(verifier)),
            _ => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        }
    }
}

impl Roots {
    fn load(extra: Vec<CertificateDer<'static>>) -> Self {
        let (loaded, roots) = sync_channel(1);
        std::thread::spawn(move || {
            let mut store = RootCertStore::empty();
            let (added, _) = store.add_parsable_certificates(of_the_system());
            if added == 0 {
                store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            }
            store.add_parsable_certificates(extra);
            // Nobody waits for them when the process is ending.
            drop(loaded.send(store));
        });
        Self::Loading(roots)
    }
}

/// The system's authorities. Distributions keep them in one bundle, and each once more in a directory, by its hash for
/// OpenSSL to find: where nobody names others, the bundle alone is read, which takes a third of the time.
fn of_the_system() -> Vec<CertificateDer<'static>> {
    let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().any(|name| std::env::var_os(name).is_some());
    let bundle = openssl_probe::probe().cert_file.filter(|_| !named);
    let found = bundle.map(|bundle| load_certs_from_paths(Some(&bundle), None).certs).unwrap_or_default();
    if found.is_empty() { load_native_certs().certs } else { found }
}

impl ServerCertVerifier for LateRoots {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.inner()?.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner()?.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner()?.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl fmt::Debug for LateRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LateRoots")
    }
}
