//! The event feed: changes as server-sent events (HTML, server-sent events).

use std::io::IoSlice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::streams::SNAPSHOT_LIFETIME;
use super::videos;
use crate::access::Origin;
use crate::error::Result;
use crate::limits;
use crate::transport::ManagedConnection;

use super::super::live::POLL_INTERVAL;
use super::super::{HttpService, Request};

/// How often the streams' growing figures are sent.
const STATS_INTERVAL: Duration = Duration::from_secs(2);

/// How often a ping keeps the connection alive.
const PING_INTERVAL: Duration = Duration::from_secs(15);

/// A client of the event feed.
pub(in crate::http) struct EventStream<'a> {
    pub http: &'a HttpService,
    pub request: &'a Request,
    pub origin: Origin,
    pub client: &'a ManagedConnection,
}

impl EventStream<'_> {
    /// Sends the current state, and then changes, until the client disconnects.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when it takes nothing any more.
    pub(crate) fn run(&self) -> Result<()> {
        let changes = self.http.service.registry.changes();
        let (mut seen, mut files): (_, Option<Arc<str>>) = (None, None);
        let [mut last_streams, mut last_videos, mut last_write] = [Instant::now(); 3];
        while !self.client.should_stop() && !self.client.socket().has_hung_up() {
            let mut delay = SNAPSHOT_LIFETIME;
            if seen != Some(changes.count()) || last_streams.elapsed() >= STATS_INTERVAL {
                let snapshot = self.http.event_feed.snapshot(self.http);
                if seen.replace(snapshot.changes) != Some(snapshot.changes) || snapshot.is_live() {
                    let list = snapshot.to_json(self.http, self.request, self.origin);
                    self.send("streams", &list)?;
                    (last_write, delay) = (Instant::now(), delay_after(list.len()));
                }
                last_streams = Instant::now();
            }
            if files.is_none() || last_videos.elapsed() >= videos::LISTING_LIFETIME {
                last_videos = Instant::now();
                let list = videos::to_json(self.http, self.request, self.origin);
                if files.as_ref() != Some(&list) {
                    self.send("videos", &list)?;
                    (files, last_write) = (Some(list), Instant::now());
                }
            }
            if last_write.elapsed() >= PING_INTERVAL {
                self.write(": ping\n\n")?;
                last_write = Instant::now();
            }
            if seen.is_none_or(|seen| changes.wait(seen, POLL_INTERVAL)) {
                // Changes meanwhile are sent together, from a newer snapshot than others have requested.
                std::thread::sleep(delay);
            }
        }
        Ok(())
    }

    fn send(&self, event: &str, data: &str) -> Result<()> {
        // JSON contains no line breaks.
        self.write(&format!("event: {event}\ndata: {data}\n\n"))
    }

    fn write(&self, text: &str) -> Result<()> {
        self.client.send(&mut [IoSlice::new(text.as_bytes())], limits::WRITE_STALL)
    }
}

/// Returns how long to collect changes after a list of that many bytes: nobody reads long ones four times a second.
fn delay_after(bytes: usize) -> Duration {
    Duration::from_millis(bytes as u64 / limits::EVENT_BYTES_PER_MILLISECOND).clamp(SNAPSHOT_LIFETIME, STATS_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_sent_less_often() {
        assert_eq!(delay_after(300), SNAPSHOT_LIFETIME);
        assert_eq!(delay_after(256_000), Duration::from_secs(1));
        assert_eq!(delay_after(usize::MAX), STATS_INTERVAL);
    }
}
