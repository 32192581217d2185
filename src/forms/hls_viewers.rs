//! The viewers of a live stream over HLS: the clients that have sent a request lately, since they don't stay connected.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Instant;

use crate::limits;
use crate::live::{Stream, Viewer};

/// The viewers of one stream, by address and a hash of the user agent.
#[derive(Debug, Default)]
pub(super) struct HlsViewers(HashMap<(IpAddr, u64), (Instant, Viewer)>);

impl HlsViewers {
    /// Records a request. Beyond [`limits::HLS_VIEWERS`], viewers are served but not counted.
    pub(super) fn record(&mut self, ip: IpAddr, agent: &str, stream: &Stream, now: Instant) {
        let key = (ip, self.0.hasher().hash_one(agent));
        let has_room = self.0.len() < limits::HLS_VIEWERS;
        match self.0.entry(key) {
            Entry::Occupied(mut known) => known.get_mut().0 = now,
            Entry::Vacant(unknown) if has_room => drop(unknown.insert((now, stream.viewer()))),
            Entry::Vacant(_) => {}
        }
    }

    /// Removes viewers without a recent request.
    pub(super) fn tick(&mut self, now: Instant) {
        self.0.retain(|_, (seen, _)| now.saturating_duration_since(*seen) < limits::HLS_VIEWER_TIMEOUT);
    }
}
