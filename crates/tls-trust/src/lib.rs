//! TLS as a client, by rustls: whom we believe to be who they say they are.
//!
//! **What for.** An identity service and a database are reached over networks that are not ours alone; both are judged here
//! in the same way. **In:** a [`Trust`]. **Out:** a [`ClientConfig`] for whoever speaks TLS over its own socket.
//! **May not:** open connections, or know what is said over them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// The certificate authorities that are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorities {
    /// Those that the system believes.
    System,
    /// Those in a file of PEM, and no others.
    File(PathBuf),
}

/// What a server must show. It must hold the key of its certificate in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// A certificate by one of these, for the name or address that was called.
    Named(Authorities),
    /// A certificate by one of these, whomever it names.
    AnyName(Authorities),
    /// Any certificate: keeps out who only listens, not who stands between.
    Anybody,
}

/// Authorities that cannot be read, or of which there are none.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TrustError(String);

/// How to speak TLS with a server that is trusted so.
pub fn config(trust: &Trust) -> Result<ClientConfig, TrustError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| TrustError(format!("TLS: {error}")))?;
    let chain = match trust {
        Trust::Named(authorities) => {
            return Ok(builder.with_root_certificates(roots(authorities)?).with_no_client_auth());
        }
        Trust::AnyName(authorities) => {
            let roots = Arc::new(roots(authorities)?);
            let chain = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
            Some(chain.map_err(|error| TrustError(format!("TLS: {error}")))?)
        }
        Trust::Anybody => None,
    };
    let nameless = Arc::new(Nameless { chain, provider });
    Ok(builder.dangerous().with_custom_certificate_verifier(nameless).with_no_client_auth())
}

fn roots(authorities: &Authorities) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Authorities::File(path) => add_file(path, &mut roots)?,
        Authorities::System => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    if roots.is_empty() {
        return Err(TrustError(match authorities {
            Authorities::File(path) => format!("{} has no certificate", path.display()),
            Authorities::System => {
                "the system trusts no certificate authority: install ca-certificates, or name a file of them".to_owned()
            }
        }));
    }
    Ok(roots)
}

fn add_file(path: &Path, roots: &mut RootCertStore) -> Result<(), TrustError> {
    let failed = |error: &dyn std::fmt::Display| TrustError(format!("{}: {error}", path.display()));
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| failed(&error))? {
        let certificate = certificate.map_err(|error| failed(&error))?;
        roots.add(certificate).map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// Looks at no name; believes every certificate of `chain`'s authorities, or every certificate, but still only whoever
/// holds its key.
#[derive(Debug)]
struct Nameless {
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Nameless {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(certificate, others, name, ocsp, now) {
            // The name is looked at last, when everything else is good.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
