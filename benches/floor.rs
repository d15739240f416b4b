//! The floor: as little code as it takes to fetch N secrets fast, written by hand against this one emulator. No
//! configuration, no retry, no verification of anything but TLS: what keyferry is measured against, never what it does.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "as little as it takes")]

use std::env::var;
use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::{Request, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

type Sender = SendRequest<Full<Bytes>>;

async fn connect(uri: &Uri, tls: Arc<ClientConfig>) -> Sender {
    let stream = TcpStream::connect(("127.0.0.1", uri.port_u16().unwrap())).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let name = ServerName::try_from(uri.host().unwrap().to_owned()).unwrap();
    let stream = TlsConnector::from(tls).connect(name, stream).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn ask(sender: &mut Sender, request: Request<Full<Bytes>>) -> serde_json::Value {
    sender.ready().await.unwrap();
    let body = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(
        CertificateDer::pem_file_iter(var("FLOOR_CA").unwrap()).unwrap().map(Result::unwrap),
    );
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let tls = Arc::new(tls);
    let vault: Uri = var("FLOOR_VAULT").unwrap().parse().unwrap();
    let login: Uri =
        format!("{}{}/oauth2/v2.0/token", var("AZURE_AUTHORITY_HOST").unwrap(), var("AZURE_TENANT_ID").unwrap())
            .parse()
            .unwrap();
    let token = async {
        let assertion = fs::read_to_string(var("AZURE_FEDERATED_TOKEN_FILE").unwrap()).unwrap();
        let form = format!(
            "grant_type=client_credentials&client_id={}&scope=https%3A%2F%2Fvault.localhost%2F.default&client_assertion={assertion}\
             &client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer",
            var("AZURE_CLIENT_ID").unwrap()
        );
        let request = Request::post(&login).header("content-type", "application/x-www-form-urlencoded");
        let answer = ask(&mut connect(&login, Arc::clone(&tls)).await, request.body(form.into()).unwrap()).await;
        format!("Bearer {}", answer["access_token"].as_str().unwrap())
    };
    let (token, sender) = tokio::join!(token, connect(&vault, Arc::clone(&tls)));
    let mut gets = JoinSet::new();
    for number in 0..var("FLOOR_SECRETS").unwrap().parse::<usize>().unwrap() {
        let (mut sender, token, vault) = (sender.clone(), token.clone(), vault.clone());
        gets.spawn(async move {
            let request =
                Request::get(format!("{vault}secrets/s{number}?api-version=7.6")).header("authorization", token);
            (number, ask(&mut sender, request.body(Full::default()).unwrap()).await)
        });
    }
    let out = var("FLOOR_OUT").unwrap();
    fs::create_dir(format!("{out}.new")).unwrap();
    while let Some(done) = gets.join_next().await {
        let (number, answer) = done.unwrap();
        fs::write(format!("{out}.new/s{number}"), answer["value"].as_str().unwrap()).unwrap();
    }
    fs::rename(format!("{out}.new"), out).unwrap();
}
