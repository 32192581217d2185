//! Certificate verification for RTMPS clients.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::error::{Error, Result};
use crate::guard::read_small_file;
use crate::limits;

/// The certificates that a client trusts over RTMPS.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Trust {
    /// Certificates issued by the certificate authorities that the system trusts.
    #[default]
    System,
    /// These certificates themselves, whatever their names and validity period, and certificates that they have issued
    /// for the host. PEM text, such as a server's own `cert.pem`.
    Certificates(String),
    /// Whatever this rustls configuration accepts.
    Custom(Arc<ClientConfig>),
}

impl Trust {
    /// Reads [`Certificates`](Self::Certificates) from a PEM file.
    ///
    /// # Errors
    /// Returns [`Error::Config`], which names the file, if it can't be read.
    pub fn from_pem_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = read_small_file(path, limits::PEM_FILE_BYTES)
            .map_err(|error| Error::Config(format!("trusted certificates in {}: {error}", path.display()).into()))?;
        Ok(Self::Certificates(text))
    }

    pub(super) fn config(&self) -> Result<Arc<ClientConfig>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| trust_error(&error))?;
        let config = match self {
            Self::Custom(config) => return Ok(config.clone()),
            Self::System => {
                let loaded = rustls_native_certs::load_native_certs();
                let mut roots = RootCertStore::empty();
                if roots.add_parsable_certificates(loaded.certs).0 == 0 {
                    return Err(trust_error(&"the system has none"));
                }
                builder.with_root_certificates(roots).with_no_client_auth()
            }
            Self::Certificates(pem) => {
                let verifier = Arc::new(PinnedVerifier::new(pem, provider)?);
                builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
            }
        };
        Ok(Arc::new(config))
    }
}

fn trust_error(error: &dyn std::fmt::Display) -> Error {
    Error::Config(format!("trusted certificates: {error}").into())
}

/// Verifies that a server's certificate is one of the given ones or was issued by one of them. WebPKI alone does not
/// suffice: it takes a self-signed certificate for an authority and rejects it as a server's.
#[derive(Debug)]
struct PinnedVerifier {
    certificates: Vec<CertificateDer<'static>>,
    issuer_verifier: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl PinnedVerifier {
    fn new(pem: &str, provider: Arc<CryptoProvider>) -> Result<Self> {
        let certificates = CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| trust_error(&error))?;
        if certificates.is_empty() {
            return Err(trust_error(&"the PEM text holds none"));
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates.iter().cloned());
        let issuer_verifier = if roots.is_empty() {
            None
        } else {
            let builder = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone());
            Some(builder.build().map_err(|error| trust_error(&error))?)
        };
        Ok(Self { certificates, issuer_verifier, provider })
    }
}

impl ServerCertVerifier for PinnedVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.certificates.iter().any(|pinned| pinned.as_ref() == certificate.as_ref()) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.issuer_verifier {
            Some(verifier) => verifier.verify_server_cert(certificate, intermediates, name, ocsp, now),
            None => Err(rustls::CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
