//! The client's side of TLS: whom it trusts.

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

/// Which servers a client trusts over RTMPS.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Trust {
    /// Those whose certificate this system's authorities have signed.
    #[default]
    System,
    /// Those whose certificate is one of these, whatever name and time it is for, or was signed by one of them for the
    /// host: PEM text, such as a server's own `cert.pem`.
    Certificates(String),
    /// As a configuration of rustls says.
    Custom(Arc<ClientConfig>),
}

impl Trust {
    /// [`Certificates`](Self::Certificates) from a PEM file.
    ///
    /// # Errors
    /// [`Error::Config`] that names the file.
    pub fn file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = read_small_file(path, limits::PEM_FILE_BYTES)
            .map_err(|error| Error::Config(format!("the certificates in {}: {error}", path.display()).into()))?;
        Ok(Self::Certificates(text))
    }

    pub(super) fn config(&self) -> Result<Arc<ClientConfig>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| bad(&error))?;
        let config = match self {
            Self::Custom(config) => return Ok(config.clone()),
            Self::System => {
                let found = rustls_native_certs::load_native_certs();
                let mut roots = RootCertStore::empty();
                if roots.add_parsable_certificates(found.certs).0 == 0 {
                    return Err(bad(&"this system has none"));
                }
                builder.with_root_certificates(roots).with_no_client_auth()
            }
            Self::Certificates(pem) => {
                let verifier = Arc::new(Known::new(pem, provider)?);
                builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
            }
        };
        Ok(Arc::new(config))
    }
}

fn bad(error: &dyn std::fmt::Display) -> Error {
    Error::Config(format!("the certificates to trust: {error}").into())
}

/// Knows some certificates by themselves, and others by their signature. WebPKI alone would not do: to it a certificate
/// that signs itself is an authority, and no server.
#[derive(Debug)]
struct Known {
    certificates: Vec<CertificateDer<'static>>,
    by_signature: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Known {
    fn new(pem: &str, provider: Arc<CryptoProvider>) -> Result<Self> {
        let certificates = CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| bad(&error))?;
        if certificates.is_empty() {
            return Err(bad(&"there is none"));
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates.iter().cloned());
        let by_signature = if roots.is_empty() {
            None
        } else {
            let builder = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone());
            Some(builder.build().map_err(|error| bad(&error))?)
        };
        Ok(Self { certificates, by_signature, provider })
    }
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.certificates.iter().any(|known| known.as_ref() == certificate.as_ref()) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.by_signature {
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
