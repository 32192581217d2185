//! What all connections of a server share, over RTMP and HTTP alike.

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
    /// The lanes that bring them to players.
    pub lanes: LanePool,
    /// The files.
    pub library: Library,
    /// Who may publish and play.
    pub access: Access,
    /// Applications for live streams.
    pub live_apps: Vec<String>,
    /// The application for files.
    pub vod_app: String,
    /// Start new players at the last key frame.
    pub gop_cache: bool,
    /// How long a publisher may send nothing.
    pub publish_timeout: Duration,
    /// Bytes of unfinished messages of all connections.
    pub partial: Arc<Budget>,
    /// Where warnings about clients go.
    pub client_log: ClientLog,
    /// What clients were refused.
    pub refusals: Refusals,
}

impl Service {
    /// The path that is meant by one that a client named: a single component that is no application is a stream of the first
    /// live application, as in `rtmp://HOST/cam1`.
    ///
    /// # Errors
    /// The reason, when there is no such application.
    pub(crate) fn resolve(&self, path: StreamPath) -> Result<StreamPath, String> {
        match self.live_apps.first() {
            _ if self.has_app(&path.app) => Ok(path),
            Some(live) if path.name.is_empty() => Ok(path.below(live)),
            _ => Err(self.no_app(&path.app)),
        }
    }

    /// Whether there is an application of that name.
    pub(crate) fn has_app(&self, app: &str) -> bool {
        app == self.vod_app || self.live_apps.iter().any(|live| live == app)
    }

    /// Says that there is no application of that name, and which there are.
    pub(crate) fn no_app(&self, app: &str) -> String {
        let apps = self.live_apps.iter().chain([&self.vod_app]).map(String::as_str).collect::<Vec<_>>();
        format!("there is no application \"{}\" here, only {}", app.escape_debug(), apps.join(" and "))
    }

    /// Where a player begins in a live stream, which it may choose.
    pub(crate) fn start_at(&self, path: &StreamPath) -> StartAt {
        match path.query_value("gop").as_deref() {
            Some("0") => StartAt::NextKeyFrame,
            Some("1") => StartAt::LastKeyFrame,
            _ if self.gop_cache => StartAt::LastKeyFrame,
            _ => StartAt::NextKeyFrame,
        }
    }
}
