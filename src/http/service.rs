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
    /// Responses by their class: those of 1xx come first.
    pub(super) responses: [Counter; 5],
    pub(super) started: Instant,
    /// The same by the wall clock.
    pub(super) started_at: SystemTime,
}

/// The settings of the HTTP service, and what it tells of the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct HttpSettings {
    /// The origin of other pages that may ask for things here: `*` for all.
    pub cors: Option<String>,
    /// Names by which browsers of this network may call it, besides those that are safe.
    pub hosts: Vec<String>,
    /// The key for what not everybody may see or end.
    pub admin_key: Option<Secret>,
    /// Where RTMP is spoken.
    pub rtmp_port: Option<u16>,
    /// The same within TLS.
    pub rtmps_port: Option<u16>,
    /// Whether anybody is kept from publishing.
    pub publish_restricted: bool,
    /// Whether anybody is kept from playing.
    pub play_restricted: bool,
    /// Streams published at once.
    pub max_publishers: usize,
}

impl HttpService {
    /// Makes what is served over HTTP out of what is served over RTMP.
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

    /// Stops the forms of live streams that nobody wants any more. To be called about every half second.
    pub(crate) fn tick(&self, now: Instant) {
        self.forms.tick(now);
    }
}
