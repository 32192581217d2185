//! Who watches a live stream over HLS: whoever has sent a request for it lately, since nobody stays connected.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Instant;

use crate::limits;
use crate::live::{Stream, Viewer};

/// The viewers of one stream, by their addresses and what their programs call themselves, of which a hash is kept.
#[derive(Debug, Default)]
pub(super) struct HlsViewers(HashMap<(IpAddr, u64), (Instant, Viewer)>);

impl HlsViewers {
    /// One has sent a request. Beyond [`limits::HLS_VIEWERS`] they get it as well, and are not counted.
    pub(super) fn record(&mut self, ip: IpAddr, agent: &str, stream: &Stream, now: Instant) {
        let who = (ip, self.0.hasher().hash_one(agent));
        let has_room = self.0.len() < limits::HLS_VIEWERS;
        match self.0.entry(who) {
            Entry::Occupied(mut known) => known.get_mut().0 = now,
            Entry::Vacant(unknown) if has_room => drop(unknown.insert((now, stream.viewer()))),
            Entry::Vacant(_) => {}
        }
    }

    /// Forgets those who have not asked for a while.
    pub(super) fn tick(&mut self, now: Instant) {
        self.0.retain(|_, (seen, _)| now.saturating_duration_since(*seen) < limits::HLS_VIEWER_TIMEOUT);
    }
}
