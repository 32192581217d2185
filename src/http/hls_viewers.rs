//! Who watches a live stream over HLS: whoever has asked for something of it lately, since nobody stays connected.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use crate::limits;
use crate::live::{Stream, Viewer};

/// The viewers of one stream, by their addresses and what their programs call themselves.
#[derive(Debug, Default)]
pub(super) struct HlsViewers(HashMap<(IpAddr, String), (Instant, Viewer)>);

impl HlsViewers {
    /// One has asked for something. Beyond [`limits::HLS_VIEWERS`] they get it as well, and are not counted.
    pub fn saw(&mut self, ip: IpAddr, agent: String, stream: &Stream, now: Instant) {
        let has_room = self.0.len() < limits::HLS_VIEWERS;
        match self.0.get_mut(&(ip, agent.clone())) {
            Some((seen, _)) => *seen = now,
            None if has_room => drop(self.0.insert((ip, agent), (now, stream.viewer()))),
            None => {}
        }
    }

    /// Forgets those who have not asked for a while.
    pub fn tick(&mut self, now: Instant) {
        self.0.retain(|_, (seen, _)| now.saturating_duration_since(*seen) < limits::HLS_VIEWER_KEPT);
    }
}
