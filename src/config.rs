//! The settings of a server, checked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use crate::access::{AccessConfig, Permission, RuleKind, Secret};
use crate::error::{Error, Result};
use crate::limits;
pub use crate::live::{MergeWindow, ReplacePublisher, Times};

/// The port that RTMP has been given.
pub(crate) const DEFAULT_PORT: u16 = 1935;

/// The port of the page, unless another is asked for.
pub(crate) const DEFAULT_HTTP_PORT: u16 = 8080;

/// Everything that can be set. The defaults suit a camera or two on a LAN.
///
/// ```
/// let mut config = gortmp::Config::default();
/// assert_eq!(config.live_apps, ["live"]);
/// config.video_dir = "films".into();
/// config.access.publish.key = Some(gortmp::Secret::new("s3cret"));
/// config.check()?;
/// # Ok::<(), gortmp::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Where to listen. Empty, the default, means `[::]:1935`, which takes IPv4 as well, or
    /// `0.0.0.0:1935` on a machine without IPv6. Port 0 picks a free one.
    pub listen: Vec<SocketAddr>,
    /// The folder of the FLV files. Default: `video`.
    pub video_dir: PathBuf,
    /// Applications for live streams. Default: `live`.
    pub live_apps: Vec<String>,
    /// The application for files. Default: `gortmp`.
    pub vod_app: String,
    /// Start new players at the last key frame, which shows a video frame at once and lags behind by up to
    /// one GOP. Default: yes. A player may say otherwise by `?gop=0` or `?gop=1`.
    pub gop_cache: bool,
    /// What happens when a name is published twice. Default: [`ReplacePublisher::Idle`].
    pub replace_publisher: ReplacePublisher,
    /// How long players are kept when their publisher goes. Default: 10 s.
    pub republish_grace: Duration,
    /// How long messages may wait for others, to reach players in one send. Default: [`MergeWindow::Auto`].
    pub merge_window: MergeWindow,
    /// Bytes that may wait for a player that reads too slowly, before it skips to the next key frame. Default:
    /// [`limits::PLAYER_QUEUE_BYTES`].
    pub player_queue: usize,
    /// How far behind a player may be when a key frame comes: if more, it goes on from there. Default: [`limits::MAX_LAG`].
    pub max_lag: Duration,
    /// How connections adapt to what their links carry. Default: [`Congestion::Auto`].
    pub congestion: Congestion,
    /// Which times messages of live streams get. Default: [`Times::Auto`].
    pub times: Times,
    /// Threads that send to players. Default: none, which means one for each core.
    pub lanes: Option<usize>,
    /// Who may publish and play. Default: everybody.
    pub access: AccessConfig,
    /// A page for browsers, and streams and files over HTTP. Default: yes.
    pub http: Option<HttpConfig>,
    /// RTMPS and HTTPS as well. Default: none.
    pub tls: Option<TlsConfig>,
    /// Connections at once. Default: none, which means [`limits::CONNECTIONS`], or as many as there may be open files.
    pub max_connections: Option<usize>,
    /// Connections from one address. Default: [`limits::CONNECTIONS_PER_IP`].
    pub max_per_ip: usize,
    /// Streams published at once. Default: [`limits::PUBLISHERS`].
    pub max_publishers: usize,
    /// How long a publisher may send nothing. Default: [`limits::PUBLISHER_SILENCE`].
    pub publish_timeout: Duration,
}

/// Which congestion control connections use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Congestion {
    /// BBR where the system offers it to this program, else the system's.
    #[default]
    Auto,
    /// The system's.
    System,
    /// That one (`tcp_allowed_congestion_control` lists them).
    Named(String),
}

/// Settings for HTTP.
///
/// ```
/// let mut http = gortmp::HttpConfig::default();
/// http.listen = vec!["127.0.0.1:8080".parse()?];
/// let mut config = gortmp::Config::default();
/// config.http = Some(http);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpConfig {
    /// Where to listen. Empty, the default, means `[::]:8080`, or `0.0.0.0:8080` on a machine without IPv6, and that the
    /// server does without HTTP when the port is taken.
    pub listen: Vec<SocketAddr>,
    /// The origin of pages from elsewhere that may use the streams, such as `https://example.org`; `*` for all.
    /// Default: none.
    pub cors: Option<String>,
    /// Names by which browsers of this network may call the server, besides addresses, names without dots and such as
    /// `NAME.local`, which no page from elsewhere can take for itself; `*` for all. Default: none.
    pub hosts: Vec<String>,
    /// The key for seeing who is connected and ending connections. Default: none, which means that this machine may look
    /// and nobody may end.
    pub admin_key: Option<Secret>,
}

/// Settings for RTMPS and HTTPS.
///
/// ```
/// let mut tls = gortmp::TlsConfig::new("cert.pem", "key.pem");
/// tls.listen = vec!["[::]:443".parse()?];
/// let mut config = gortmp::Config::default();
/// config.tls = Some(tls);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsConfig {
    /// Where to listen for RTMPS.
    pub listen: Vec<SocketAddr>,
    /// Where to listen for HTTPS.
    pub https: Vec<SocketAddr>,
    /// The certificate and those it depends on, a PEM file.
    pub certificate: PathBuf,
    /// Its key, a PEM file.
    pub key: PathBuf,
}

impl TlsConfig {
    /// With those PEM files, and nowhere to listen yet.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { listen: Vec::new(), https: Vec::new(), certificate: certificate.into(), key: key.into() }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            video_dir: "video".into(),
            live_apps: vec!["live".to_owned()],
            vod_app: "gortmp".to_owned(),
            gop_cache: true,
            replace_publisher: ReplacePublisher::default(),
            republish_grace: Duration::from_secs(10),
            merge_window: MergeWindow::default(),
            player_queue: limits::PLAYER_QUEUE_BYTES,
            max_lag: limits::MAX_LAG,
            congestion: Congestion::Auto,
            times: Times::default(),
            lanes: None,
            access: AccessConfig::default(),
            http: Some(HttpConfig::default()),
            tls: None,
            max_connections: None,
            max_per_ip: limits::CONNECTIONS_PER_IP,
            max_publishers: limits::PUBLISHERS,
            publish_timeout: limits::PUBLISHER_SILENCE,
        }
    }
}

impl Config {
    /// Says what can't work, and what to do about it.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn check(&self) -> Result<()> {
        let apps = || self.live_apps.iter().chain([&self.vod_app]);
        if let Some(app) =
            apps().find(|app| app.is_empty() || app.contains(['/', '?', '%']) || app.contains(char::is_whitespace))
        {
            let hint = "an application is one part of a path, such as live";
            return Err(Error::Config(format!("\"{}\" can't be an application: {hint}", app.escape_debug()).into()));
        }
        if self.live_apps.is_empty() {
            return Err(Error::Config("there must be a live application: name one with --live-app".into()));
        }
        if self.live_apps.contains(&self.vod_app) {
            let hint = "choose another name with --live-app or --vod-app";
            return Err(Error::Config(
                format!("\"{}\" can't be for live streams and for files: {hint}", self.vod_app).into(),
            ));
        }
        if matches!(self.merge_window, MergeWindow::Window(window) if window > limits::MERGE_WINDOW_MAX) {
            let limit = limits::MERGE_WINDOW_MAX.as_millis();
            return Err(Error::Config(
                format!("messages may wait {limit} ms at most to be sent together: shorten --merge-window").into(),
            ));
        }
        let queues = limits::PLAYER_QUEUE_MIN_BYTES..=limits::PLAYER_QUEUE_CAP_BYTES / 2;
        if !queues.contains(&self.player_queue) {
            let (least, most) = (queues.start() / 1024, queues.end() / 1024);
            let reason = format!("a player's queue has {least} to {most} KiB: change --player-queue");
            return Err(Error::Config(reason.into()));
        }
        let lags = limits::MAX_LAG_RANGE;
        if !lags.contains(&self.max_lag) {
            let (least, most) = (lags.start().as_millis(), lags.end().as_millis());
            return Err(Error::Config(format!("a player may be {least} to {most} ms behind: change --max-lag").into()));
        }
        if self.lanes.is_some_and(|lanes| !(1..=limits::LANES).contains(&lanes)) {
            return Err(Error::Config(format!("there are 1 to {} lanes: change --lanes", limits::LANES).into()));
        }
        if self.tls.as_ref().is_some_and(|tls| tls.listen.is_empty() && tls.https.is_empty()) {
            let reason = "a certificate needs an address to listen on: name one with --tls-listen or --https";
            return Err(Error::Config(reason.into()));
        }
        let counts = [self.max_connections.unwrap_or(1), self.max_per_ip, self.max_publishers];
        if counts.contains(&0) {
            return Err(Error::Config("a limit of 0 lets nobody in: choose at least 1".into()));
        }
        if self.publish_timeout.is_zero() {
            return Err(Error::Config("every publisher is silent for a moment: lengthen --publish-timeout".into()));
        }
        let admin_key = self.http.as_ref().and_then(|http| http.admin_key.as_ref());
        if [self.access.publish.key.as_ref(), self.access.play.key.as_ref(), admin_key]
            .into_iter()
            .flatten()
            .any(Secret::is_empty)
        {
            return Err(Error::Config("a key can't be empty: leave the option out if none is needed".into()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_empty_key() -> Config {
        let mut config = Config::default();
        config.access.play.key = Some(Secret::new(""));
        config
    }

    #[test]
    fn what_cannot_work_is_told() {
        assert!(Config::default().check().is_ok());
        let bad = [
            Config { vod_app: "live".into(), ..Config::default() },
            Config { vod_app: String::new(), ..Config::default() },
            Config { vod_app: "a/b".into(), ..Config::default() },
            Config { live_apps: vec!["a b".into()], ..Config::default() },
            Config { live_apps: Vec::new(), ..Config::default() },
            Config {
                merge_window: MergeWindow::Window(limits::MERGE_WINDOW_MAX + Duration::from_millis(1)),
                ..Config::default()
            },
            Config { player_queue: limits::PLAYER_QUEUE_MIN_BYTES - 1, ..Config::default() },
            Config { player_queue: limits::PLAYER_QUEUE_CAP_BYTES, ..Config::default() },
            Config { lanes: Some(0), ..Config::default() },
            Config { lanes: Some(limits::LANES + 1), ..Config::default() },
            with_empty_key(),
        ];
        for config in bad {
            assert!(matches!(config.check(), Err(Error::Config(_))), "{config:?}");
        }
    }
}
