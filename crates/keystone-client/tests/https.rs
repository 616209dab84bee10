//! HTTPS: an authority that is trusted, one that is not, and one that nobody asks about.

#![allow(clippy::unwrap_used, clippy::panic, reason = "the configured allowance covers only functions marked as tests")]

use std::path::PathBuf;
use std::sync::Arc;

use keystone_client::{Account, CheckError, CheckerConfig, KeystoneError, Presented, Secret, TokenChecker};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/tls", name].iter().collect()
}

/// A server with the tests' certificate that answers every connection's first request with 503; its port.
async fn server() -> u16 {
    let certificates = CertificateDer::pem_file_iter(file("server.pem")).unwrap().collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await.unwrap();
            let answer = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.unwrap();
            let _ = stream.shutdown().await;
        }
    });
    port
}

async fn ask(host: &str, cafile: Option<&str>, insecure: bool) -> KeystoneError {
    let account = Account {
        auth_url: format!("https://{host}:{}", server().await),
        username: "neutron".into(),
        password: Some(Secret::new("p")),
        cafile: cafile.map(file),
        insecure,
        http_request_max_retries: 0,
        ..Account::default()
    };
    let checker = TokenChecker::new(CheckerConfig { account, ..CheckerConfig::default() });
    let presented = Presented { token: "t", service_token: None, method: "GET", path: "/" };
    match checker {
        Ok(checker) => match checker.check(presented).await {
            Err(CheckError::Unavailable(error)) => error,
            other => panic!("{other:?}"),
        },
        Err(error) => error,
    }
}

fn answered(error: &KeystoneError) -> bool {
    matches!(error, KeystoneError::Refused { status: 503, .. })
}

#[tokio::test]
async fn a_trusted_authority_opens_the_way() {
    let error = ask("127.0.0.1", Some("authority.pem"), false).await;
    assert!(answered(&error), "{error}");
    let error = ask("localhost", Some("authority.pem"), false).await;
    assert!(answered(&error), "{error}");
}

#[tokio::test]
async fn another_authority_does_not() {
    // The server's own certificate is no authority for itself.
    let error = ask("127.0.0.1", Some("server.pem"), false).await;
    assert!(matches!(&error, KeystoneError::Unreachable { reason, .. } if reason.contains("certificate")), "{error}");
}

#[tokio::test]
async fn insecure_believes_anybody() {
    let error = ask("127.0.0.1", None, true).await;
    assert!(answered(&error), "{error}");
}

#[tokio::test]
async fn a_file_without_certificates_is_refused_at_the_start() {
    let error = ask("127.0.0.1", Some("server.key"), false).await;
    assert!(matches!(&error, KeystoneError::Config(reason) if reason.contains("no certificate")), "{error}");
}
