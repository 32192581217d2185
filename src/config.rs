//! Server settings and their validation.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use crate::access::{AccessConfig, Permission, RuleKind, Secret};
use crate::error::{Error, Result};
use crate::limits;
pub use crate::live::{MergeWindow, ReplacePublisher, Times};

/// The default RTMP port, as registered with IANA.
pub(crate) const DEFAULT_PORT: u16 = 1935;

/// The default port of the HTTP service and its web page.
pub(crate) const DEFAULT_HTTP_PORT: u16 = 8080;

/// The settings of a server. The defaults suit a camera or two on a LAN.
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
    /// Addresses to listen on for RTMP. Empty, the default, means `[::]:1935`, which accepts IPv4 as well, or
    /// `0.0.0.0:1935` on a machine without IPv6. Port 0 picks a free one.
    pub listen: Vec<SocketAddr>,
    /// The folder of the FLV files. Default: `video`.
    pub video_dir: PathBuf,
    /// Applications for live streams. Default: `live`.
    pub live_apps: Vec<String>,
    /// The application for files. Default: `gortmp`.
    pub vod_app: String,
    /// Whether new players start at the last key frame, which shows video at once, up to one GOP behind the newest
    /// frame. Default: yes. A player may override it with `?gop=0` or `?gop=1`.
    pub gop_cache: bool,
    /// What happens when a second publisher requests a name. Default: [`ReplacePublisher::Idle`].
    pub replace_publisher: ReplacePublisher,
    /// How long players are kept after their publisher leaves. Default: 10 s.
    pub republish_grace: Duration,
    /// How long messages may be held to send several to players in one write. Default: [`MergeWindow::Auto`].
    pub merge_window: MergeWindow,
    /// Bytes that may be queued for a slow player before it skips to the next key frame. Default:
    /// [`limits::PLAYER_QUEUE_BYTES`].
    pub player_queue: usize,
    /// How far a player may lag when a key frame arrives; if it lags more, it continues from that key frame. Default:
    /// [`limits::MAX_LAG`].
    pub max_lag: Duration,
    /// TCP congestion control of connections. Default: [`Congestion::Auto`].
    pub congestion: Congestion,
    /// The source of timestamps in live streams. Default: [`Times::Auto`].
    pub times: Times,
    /// Number of threads that send to players. Default: none, which means one per core.
    pub lanes: Option<usize>,
    /// Who may publish and play. Default: everyone.
    pub access: AccessConfig,
    /// The HTTP service: the web page, and streams and files over HTTP. Default: on; `None` turns it off.
    pub http: Option<HttpConfig>,
    /// RTMPS and HTTPS in addition. Default: none.
    pub tls: Option<TlsConfig>,
    /// Maximum number of connections. Default: none, which means [`limits::CONNECTIONS`], or as many as the limit of
    /// open files allows.
    pub max_connections: Option<usize>,
    /// Maximum number of connections from one address. Default: [`limits::CONNECTIONS_PER_IP`].
    pub max_per_ip: usize,
    /// Maximum number of published streams. Default: [`limits::PUBLISHERS`].
    pub max_publishers: usize,
    /// How long a publisher may be silent. Default: [`limits::PUBLISHER_SILENCE`].
    pub publish_timeout: Duration,
}

/// The TCP congestion control of connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Congestion {
    /// BBR if the system lets this program use it, otherwise the system's default.
    #[default]
    Auto,
    /// The system's default.
    System,
    /// The named algorithm, one of those in `tcp_allowed_congestion_control`.
    Named(String),
}

/// Settings of the HTTP service.
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
    /// Addresses to listen on. Empty, the default, means `[::]:8080`, or `0.0.0.0:8080` on a machine without IPv6; if
    /// that port is taken, the server runs without HTTP.
    pub listen: Vec<SocketAddr>,
    /// The origin whose pages may use the streams, such as `https://example.org`; `*` for all. Default: none.
    pub cors: Option<String>,
    /// Host names under which browsers on this network may reach the server, in addition to addresses, names without
    /// dots and names such as `NAME.local`, which no foreign page can claim; `*` for all. Default: none.
    pub hosts: Vec<String>,
    /// The key for listing and closing connections. Default: none, which means that only this machine may list them and
    /// nobody may close them.
    pub admin_key: Option<Secret>,
}

/// Settings of RTMPS and HTTPS.
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
    /// Addresses to listen on for RTMPS.
    pub listen: Vec<SocketAddr>,
    /// Addresses to listen on for HTTPS.
    pub https: Vec<SocketAddr>,
    /// The PEM file of the certificate chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The PEM file of the private key.
    pub key: PathBuf,
}

impl TlsConfig {
    /// Creates settings with these PEM files and no addresses to listen on.
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
    /// Validates the settings.
    ///
    /// # Errors
    /// Returns [`Error::Config`] if a setting is invalid. Its text names the setting and what to change.
    pub fn check(&self) -> Result<()> {
        let apps = || self.live_apps.iter().chain([&self.vod_app]);
        if let Some(app) =
            apps().find(|app| app.is_empty() || app.contains(['/', '?', '%']) || app.contains(char::is_whitespace))
        {
            let hint = "an application is a single path segment, such as live";
            return Err(Error::Config(format!("\"{}\" can't be an application: {hint}", app.escape_debug()).into()));
        }
        if self.live_apps.is_empty() {
            return Err(Error::Config("there is no live application: name one with --live-app".into()));
        }
        if self.live_apps.contains(&self.vod_app) {
            let hint = "choose another name with --live-app or --vod-app";
            return Err(Error::Config(
                format!("\"{}\" can't be the application for both live streams and files: {hint}", self.vod_app).into(),
            ));
        }
        if matches!(self.merge_window, MergeWindow::Window(window) if window > limits::MERGE_WINDOW_MAX) {
            let limit = limits::MERGE_WINDOW_MAX.as_millis();
            return Err(Error::Config(
                format!("the merge window is at most {limit} ms: shorten --merge-window").into(),
            ));
        }
        let queues = limits::PLAYER_QUEUE_MIN_BYTES..=limits::PLAYER_QUEUE_CAP_BYTES / 2;
        if !queues.contains(&self.player_queue) {
            let (min, max) = (queues.start() / 1024, queues.end() / 1024);
            let reason = format!("a player's queue holds {min} to {max} KiB: change --player-queue");
            return Err(Error::Config(reason.into()));
        }
        let lags = limits::MAX_LAG_RANGE;
        if !lags.contains(&self.max_lag) {
            let (min, max) = (lags.start().as_millis(), lags.end().as_millis());
            return Err(Error::Config(format!("the maximum lag is {min} to {max} ms: change --max-lag").into()));
        }
        if self.lanes.is_some_and(|lanes| !(1..=limits::LANES).contains(&lanes)) {
            return Err(Error::Config(format!("the number of lanes is 1 to {}: change --lanes", limits::LANES).into()));
        }
        if self.tls.as_ref().is_some_and(|tls| tls.listen.is_empty() && tls.https.is_empty()) {
            let reason = "TLS has no address to listen on: name one with --tls-listen or --https";
            return Err(Error::Config(reason.into()));
        }
        let counts = [self.max_connections.unwrap_or(1), self.max_per_ip, self.max_publishers];
        if counts.contains(&0) {
            return Err(Error::Config("a limit of 0 would refuse everyone: choose at least 1".into()));
        }
        if self.publish_timeout.is_zero() {
            return Err(Error::Config("a timeout of 0 would end every publisher: lengthen --publish-timeout".into()));
        }
        let admin_key = self.http.as_ref().and_then(|http| http.admin_key.as_ref());
        if [self.access.publish.key.as_ref(), self.access.play.key.as_ref(), admin_key]
            .into_iter()
            .flatten()
            .any(Secret::is_empty)
        {
            return Err(Error::Config("a key can't be empty: omit the option if none is needed".into()));
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
    fn invalid_settings_are_rejected() {
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
