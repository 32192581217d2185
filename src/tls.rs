//! The server certificate for RTMPS and HTTPS, and its renewal.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::{Error, Result};
use crate::guard::read_small_file;
use crate::limits;

/// A certificate chain and its private key, read from two PEM files.
#[derive(Debug)]
pub(crate) struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    config: RwLock<Arc<ServerConfig>>,
}

impl Certificate {
    /// Reads the certificate chain, which begins with the server's own certificate, and the key.
    ///
    /// # Errors
    /// Returns [`Error::Config`], which names the file, if one can't be read or used.
    pub(crate) fn load(chain: &Path, key: &Path) -> Result<Self> {
        let config = RwLock::new(read(chain, key)?);
        Ok(Self { chain: chain.to_owned(), key: key.to_owned(), config })
    }

    /// Reads both files again, for new connections.
    ///
    /// # Errors
    /// The same as for [`load`](Self::load); the previous certificate then stays in use.
    pub(crate) fn reload(&self) -> Result<()> {
        *self.config.write() = read(&self.chain, &self.key)?;
        Ok(())
    }

    /// Returns the current configuration, for a new connection.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.config.read().clone()
    }
}

fn read(chain: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
    let bad = |what: &str, file: &Path, error: &dyn std::fmt::Display| {
        Error::Config(format!("{what} in {}: {error}", file.display()).into())
    };
    let text =
        read_small_file(chain, limits::PEM_FILE_BYTES).map_err(|error| bad("the TLS certificate", chain, &error))?;
    let certificates = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad("the TLS certificate", chain, &error))?;
    if certificates.is_empty() {
        return Err(bad("the TLS certificate", chain, &"the file holds none"));
    }
    let text = read_small_file(key, limits::PEM_FILE_BYTES).map_err(|error| bad("the TLS key", key, &error))?;
    let private_key =
        PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| bad("the TLS key", key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_no_client_auth())
        .and_then(|builder| builder.with_single_cert(certificates, private_key))
        .map_err(|error| bad("the TLS certificate and its key", chain, &error))?;
    Ok(Arc::new(config))
}
