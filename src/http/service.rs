//! The HTTP service: what all HTTP connections of a server share.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::api;
use crate::access::Secret;
use crate::forms::Forms;
use crate::service::Service;
use crate::stats::Counter;
use crate::transport::ConnectionTable;

/// What all HTTP connections of a server share.
#[derive(Debug)]
pub(crate) struct HttpService {
    pub(super) service: Arc<Service>,
    pub(super) forms: Forms,
    pub(super) connections: Arc<ConnectionTable>,
    pub(super) event_feed: api::EventFeed,
    pub(super) videos: api::Videos,
    pub(super) admin: api::Admin,
    pub(super) settings: HttpSettings,
    /// Responses by class, 1xx first.
    pub(super) responses: [Counter; 5],
    pub(super) started: Instant,
    /// The same by the wall clock.
    pub(super) started_at: SystemTime,
}

/// The settings of the HTTP service, and what the API reports of the server's.
#[derive(Clone, Debug, Default)]
pub(crate) struct HttpSettings {
    /// The origin of other pages that may send requests: `*` for all.
    pub cors: Option<String>,
    /// Names that browsers of this network may use for the server, besides those that are safe.
    pub hosts: Vec<String>,
    /// The key for restricted parts of the API.
    pub admin_key: Option<Secret>,
    /// The RTMP port.
    pub rtmp_port: Option<u16>,
    /// The RTMPS port.
    pub rtmps_port: Option<u16>,
    /// Whether publishing is restricted.
    pub publish_restricted: bool,
    /// Whether playing is restricted.
    pub play_restricted: bool,
    /// The limit of concurrently published streams.
    pub max_publishers: usize,
}

impl HttpService {
    /// Creates the HTTP service on top of what all connections share.
    pub(crate) fn new(service: Arc<Service>, connections: Arc<ConnectionTable>, settings: HttpSettings) -> Self {
        Self {
            service,
            forms: Forms::default(),
            connections,
            event_feed: api::EventFeed::default(),
            videos: api::Videos::default(),
            admin: api::Admin::new(settings.admin_key.clone()),
            settings,
            responses: Default::default(),
            started: Instant::now(),
            started_at: SystemTime::now(),
        }
    }

    /// Stops unused forms of live streams. To be called about every half second.
    pub(crate) fn tick(&self, now: Instant) {
        self.forms.tick(now);
    }
}
