//! What all connections of a server share, RTMP and HTTP alike.

use std::sync::Arc;
use std::time::Duration;

use crate::access::Access;
use crate::guard::{Budget, ClientLog};
use crate::live::{LanePool, Registry, StartAt};
use crate::session::StreamPath;
use crate::stats::Refusals;
use crate::vod::Library;

/// What all connections of a server share.
#[derive(Debug)]
pub(crate) struct Service {
    /// The live streams.
    pub registry: Registry,
    /// The relay lanes.
    pub lanes: LanePool,
    /// The video library.
    pub library: Library,
    /// The access control.
    pub access: Access,
    /// The applications of live streams.
    pub live_apps: Vec<String>,
    /// The application of files.
    pub vod_app: String,
    /// Whether new players start at the last key frame.
    pub gop_cache: bool,
    /// How long a publisher may send nothing.
    pub publish_timeout: Duration,
    /// The memory for unfinished messages of all connections, in bytes.
    pub partial_messages: Arc<Budget>,
    /// The rate-limited log of warnings about clients.
    pub client_log: ClientLog,
    /// The counters of refused requests.
    pub refusals: Refusals,
}

impl Service {
    /// Resolves a path: a single component that is no application is a stream of the first live application, as in
    /// `rtmp://HOST/cam1`.
    ///
    /// # Errors
    /// The reason, when there is no such application.
    pub(crate) fn resolve(&self, path: StreamPath) -> Result<StreamPath, String> {
        match self.live_apps.first() {
            _ if self.has_app(&path.app) => Ok(path),
            Some(live) if path.name.is_empty() => Ok(path.below(live)),
            _ => Err(self.unknown_app_reason(&path.app)),
        }
    }

    /// Whether there is an application of that name.
    pub(crate) fn has_app(&self, app: &str) -> bool {
        app == self.vod_app || self.live_apps.iter().any(|live| live == app)
    }

    /// Returns the text for an unknown application, which lists the known ones.
    pub(crate) fn unknown_app_reason(&self, app: &str) -> String {
        let apps = self.live_apps.iter().chain([&self.vod_app]).map(String::as_str).collect::<Vec<_>>();
        format!("there is no application \"{}\" here, only {}", app.escape_debug(), apps.join(" and "))
    }

    /// Returns where a player starts in a live stream, which its query may choose.
    pub(crate) fn start_at(&self, path: &StreamPath) -> StartAt {
        match path.query_value("gop").as_deref() {
            Some("0") => StartAt::NextKeyFrame,
            Some("1") => StartAt::LastKeyFrame,
            _ if self.gop_cache => StartAt::LastKeyFrame,
            _ => StartAt::NextKeyFrame,
        }
    }
}

#[cfg(test)]
impl Service {
    /// Creates a service with default settings and without files.
    pub(crate) fn for_tests() -> Self {
        use crate::access::AccessConfig;
        use crate::limits;
        use crate::live::{MergeWindow, Settings};

        Self {
            registry: Registry::new(Settings::default()),
            lanes: LanePool::start(1, MergeWindow::Auto).unwrap(),
            library: Library::new("nowhere".into()),
            access: Access::new(AccessConfig::default()).unwrap(),
            live_apps: vec!["live".to_owned()],
            vod_app: "gortmp".to_owned(),
            gop_cache: true,
            publish_timeout: limits::PUBLISHER_SILENCE,
            partial_messages: Budget::new(limits::PARTIAL_BYTES_OF_ALL),
            client_log: ClientLog::default(),
            refusals: Refusals::default(),
        }
    }
}
