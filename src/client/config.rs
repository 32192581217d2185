//! What a client may be told.

use std::time::Duration;

use super::{Client, StreamUrl, Trust};
use crate::error::Result;
use crate::limits;

/// How a [`Client`] connects. Made by [`Client::options`] or [`Default`], then changed field by field.
///
/// ```no_run
/// use std::time::Duration;
///
/// let mut options = gortmp::Client::options();
/// options.connect_timeout = Duration::from_secs(3);
/// options.trust = gortmp::Trust::file("cert.pem")?;
/// let mut player = options.play("rtmps://192.0.2.7:1936/live/cam")?;
/// # Ok::<(), gortmp::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// How long it may take to reach the server, and then each of its answers up to the one to `connect`. Default:
    /// [`limits::CLIENT_CONNECT`].
    pub connect_timeout: Duration,
    /// How long the server may say nothing while something is waited for; for ever if `None`. Default:
    /// [`limits::CLIENT_READ`].
    pub read_timeout: Option<Duration>,
    /// How long the server may take nothing of what is sent; for ever if `None`. Default: [`limits::CLIENT_WRITE`].
    pub write_timeout: Option<Duration>,
    /// Which servers to trust over RTMPS. Default: [`Trust::System`].
    pub trust: Trust,
    /// The application, where it is more than the first part of the URL's path: of `rtmp://HOST/live/studio/cam` it may be
    /// `live/studio`. Default: none.
    pub app: Option<String>,
    /// What the client calls itself, `flashVer` in `connect`. Default: none, which means `gortmp/VERSION`, and
    /// `FMLE/3.0 (compatible; gortmp/VERSION)` for [`publish`](Self::publish), by which servers know who will.
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
    /// As [`Client::connect`].
    ///
    /// # Errors
    /// The same.
    pub fn connect(&self, url: &str) -> Result<Client> {
        let program = concat!("gortmp/", env!("CARGO_PKG_VERSION"));
        Client::open(&self.url(url)?, self, program)
    }

    /// As [`Client::publisher`].
    ///
    /// # Errors
    /// The same.
    pub fn publish(&self, url: &str) -> Result<Client> {
        let url = self.url(url)?;
        let program = concat!("FMLE/3.0 (compatible; gortmp/", env!("CARGO_PKG_VERSION"), ")");
        let mut client = Client::open(&url, self, program)?;
        client.publish(url.name())?;
        Ok(client)
    }

    /// As [`Client::player`].
    ///
    /// # Errors
    /// The same.
    pub fn play(&self, url: &str) -> Result<Client> {
        let mut client = self.connect(url)?;
        client.play(self.url(url)?.name(), None)?;
        Ok(client)
    }

    fn url(&self, text: &str) -> Result<StreamUrl> {
        let url: StreamUrl = text.parse()?;
        Ok(match &self.app {
            Some(app) => url.with_app(app),
            None => url,
        })
    }
}
