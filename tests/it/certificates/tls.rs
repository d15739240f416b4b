//! A server that shows what is published, and a client that trusts what is published beside it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, Stream};

use super::authority::HOST;

fn certificates(file: &Path) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(file).unwrap().map(Result::unwrap).collect()
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// One connection with the files of a directory, `tls.crt`, `tls.key` and `ca.crt`: the leaf that the client has seen
/// and verified.
pub(super) fn handshake(dir: &Path) -> CertificateDer<'static> {
    let server = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            certificates(&dir.join("tls.crt")),
            PrivateKeyDer::from_pem_file(dir.join("tls.key")).unwrap(),
        )
        .expect("the key belongs to the certificate");
    let mut roots = RootCertStore::empty();
    for root in certificates(&dir.join("ca.crt")) {
        roots.add(root).unwrap();
    }
    let client = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut socket, _) = listener.accept().unwrap();
            let mut tls = ServerConnection::new(Arc::new(server)).unwrap();
            let mut stream = Stream::new(&mut tls, &mut socket);
            stream.write_all(b"hello").unwrap();
            stream.conn.send_close_notify();
            stream.flush().unwrap();
        });
        let mut socket = TcpStream::connect(address).unwrap();
        let mut tls = ClientConnection::new(Arc::new(client), ServerName::try_from(HOST).unwrap()).unwrap();
        let mut heard = Vec::new();
        Stream::new(&mut tls, &mut socket).read_to_end(&mut heard).expect("the client trusts the server");
        assert_eq!(heard, b"hello");
        tls.peer_certificates().unwrap()[0].clone().into_owned()
    })
}

/// The leaf of a text.
pub(super) fn leaf(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// The leaf that a file shows.
pub(super) fn shown(file: &Path) -> Option<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(&fs::read(file).ok()?).ok()
}
