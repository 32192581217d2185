//! Settings of a client.

use std::time::Duration;

use super::{Client, StreamUrl, Trust};
use crate::error::Result;
use crate::limits;

/// Settings of a [`Client`]. Start from [`Client::options`] or [`Default`] and assign the fields.
///
/// ```no_run
/// use std::time::Duration;
///
/// let mut options = gortmp::Client::options();
/// options.connect_timeout = Duration::from_secs(3);
/// options.trust = gortmp::Trust::from_pem_file("cert.pem")?;
/// let mut player = options.play("rtmps://192.0.2.7:1936/live/cam")?;
/// # Ok::<(), gortmp::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Time limit for the TCP connection, and then for each of the server's replies up to the one to `createStream`.
    /// Default: [`limits::CLIENT_CONNECT`].
    pub connect_timeout: Duration,
    /// How long a read may wait for the server; indefinitely if `None`. Default: [`limits::CLIENT_READ`].
    pub read_timeout: Option<Duration>,
    /// How long a write may wait for the server; indefinitely if `None`. Default: [`limits::CLIENT_WRITE`].
    pub write_timeout: Option<Duration>,
    /// Which servers to trust over RTMPS. Default: [`Trust::System`].
    pub trust: Trust,
    /// The application, if it is more than the first segment of the URL's path: in `rtmp://HOST/live/studio/cam` it may
    /// be `live/studio`. Default: none.
    pub app: Option<String>,
    /// The client's name and version, sent as `flashVer` in `connect`. Default: none, which means `gortmp/VERSION`, or
    /// `FMLE/3.0 (compatible; gortmp/VERSION)` for [`publish`](Self::publish), by which servers recognize publishers.
    pub program: Option<String>,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            connect_timeout: limits::CLIENT_CONNECT,
            read_timeout: Some(limits::CLIENT_READ),
            write_timeout: Some(limits::CLIENT_WRITE),
            trust: Trust::default(),
            app: None,
            program: None,
        }
    }
}

impl ClientConfig {
    /// Connects with these settings; see [`Client::connect`].
    ///
    /// # Errors
    /// The same as for [`Client::connect`].
    pub fn connect(&self, url: &str) -> Result<Client> {
        let program = concat!("gortmp/", env!("CARGO_PKG_VERSION"));
        Client::open(&self.parse_url(url)?, self, program)
    }

    /// Connects with these settings and publishes; see [`Client::publisher`].
    ///
    /// # Errors
    /// The same as for [`Client::publisher`].
    pub fn publish(&self, url: &str) -> Result<Client> {
        let url = self.parse_url(url)?;
        let program = concat!("FMLE/3.0 (compatible; gortmp/", env!("CARGO_PKG_VERSION"), ")");
        let mut client = Client::open(&url, self, program)?;
        client.publish(url.name())?;
        Ok(client)
    }

    /// Connects with these settings and plays; see [`Client::player`].
    ///
    /// # Errors
    /// The same as for [`Client::player`].
    pub fn play(&self, url: &str) -> Result<Client> {
        let mut client = self.connect(url)?;
        client.play(self.parse_url(url)?.name(), None)?;
        Ok(client)
    }

    fn parse_url(&self, text: &str) -> Result<StreamUrl> {
        let url: StreamUrl = text.parse()?;
        Ok(match &self.app {
            Some(app) => url.with_app(app),
            None => url,
        })
    }
}
