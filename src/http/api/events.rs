//! Changes as they happen, as server-sent events (HTML, server-sent events).

use std::io::IoSlice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::streams::RECENT;
use super::videos;
use crate::access::Origin;
use crate::error::Result;
use crate::limits;
use crate::transport::ManagedConnection;

use super::super::live::LOOK;
use super::super::{HttpService, Request};

/// How often the figures of streams go out that only grow.
const FIGURES: Duration = Duration::from_secs(2);

/// How often somebody hears that the connection is alive.
const ALIVE: Duration = Duration::from_secs(15);

/// One client that hears of changes.
pub(in crate::http) struct EventStream<'a> {
    pub http: &'a HttpService,
    pub request: &'a Request,
    pub origin: Origin,
    pub client: &'a ManagedConnection,
}

impl EventStream<'_> {
    /// Tells what is, and then what changes, until the client has gone.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when it takes nothing any more.
    pub(crate) fn tell(&self) -> Result<()> {
        let changes = self.http.service.registry.changes();
        let (mut seen, mut files): (_, Option<Arc<str>>) = (None, None);
        let [mut told, mut looked, mut wrote] = [Instant::now(); 3];
        while !self.client.should_stop() && !self.client.socket().has_hung_up() {
            let mut rest = RECENT;
            if seen != Some(changes.count()) || told.elapsed() >= FIGURES {
                let snapshot = self.http.event_feed.recent(self.http);
                if seen.replace(snapshot.changes) != Some(snapshot.changes) || snapshot.is_live() {
                    let list = snapshot.text(self.http, self.request, self.origin);
                    self.send("streams", &list)?;
                    (wrote, rest) = (Instant::now(), rest_after(list.len()));
                }
                told = Instant::now();
            }
            if files.is_none() || looked.elapsed() >= videos::FRESH {
                looked = Instant::now();
                let list = videos::text(self.http, self.request, self.origin);
                if files.as_ref() != Some(&list) {
                    self.send("videos", &list)?;
                    (files, wrote) = (Some(list), Instant::now());
                }
            }
            if wrote.elapsed() >= ALIVE {
                self.write(": ping\n\n")?;
                wrote = Instant::now();
            }
            if seen.is_none_or(|seen| changes.wait(seen, LOOK)) {
                // What changes in the meantime goes out together, and is in no list that others have asked for before.
                std::thread::sleep(rest);
            }
        }
        Ok(())
    }

    fn send(&self, event: &str, data: &str) -> Result<()> {
        // JSON has no line breaks in it.
        self.write(&format!("event: {event}\ndata: {data}\n\n"))
    }

    fn write(&self, text: &str) -> Result<()> {
        self.client.send(&mut [IoSlice::new(text.as_bytes())], limits::WRITE_STALL)
    }
}

/// How long changes gather after a list of so many bytes: nobody reads long ones four times a second.
fn rest_after(bytes: usize) -> Duration {
    Duration::from_millis(bytes as u64 / limits::EVENT_BYTES_PER_MILLISECOND).clamp(RECENT, FIGURES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_come_less_often() {
        assert_eq!(rest_after(300), RECENT);
        assert_eq!(rest_after(256_000), Duration::from_secs(1));
        assert_eq!(rest_after(usize::MAX), FIGURES);
    }
}
