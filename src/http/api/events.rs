//! Changes as they happen, as server-sent events (HTML, server-sent events).

use std::io::IoSlice;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::streams;
use crate::error::Result;
use crate::limits;

use super::super::guest::Guest;
use super::super::{Request, Site};

/// How often it is looked whether something has changed.
const LOOK: Duration = Duration::from_millis(250);

/// How often the figures of streams go out that only grow.
const FIGURES: Duration = Duration::from_secs(2);

/// How often it is looked whether there are other files.
const FILES: Duration = Duration::from_secs(5);

/// How often somebody hears that the connection is alive.
const ALIVE: Duration = Duration::from_secs(15);

/// One client that hears of changes.
pub(in crate::http) struct News<'a> {
    pub site: &'a Site,
    pub request: &'a Request,
    pub ip: IpAddr,
    pub guest: &'a Guest,
}

impl News<'_> {
    /// Tells what is, and then what changes, until the client has gone.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when it takes nothing any more.
    pub fn tell(&self) -> Result<()> {
        let (mut names, mut videos): (_, Option<String>) = (None, None);
        let [mut told, mut looked, mut wrote] = [Instant::now(); 3];
        while !self.guest.is_asked_to_leave() && !self.guest.transport().has_hung_up() {
            let now_there = self.site.service.registry.names();
            if names.as_ref() != Some(&now_there) || (told.elapsed() >= FIGURES && !now_there.is_empty()) {
                self.send("streams", &text(&self.streams()))?;
                (names, told, wrote) = (Some(now_there), Instant::now(), Instant::now());
            }
            if videos.is_none() || looked.elapsed() >= FILES {
                looked = Instant::now();
                let list = text(&self.videos());
                if videos.as_ref() != Some(&list) {
                    self.send("videos", &list)?;
                    (videos, wrote) = (Some(list), Instant::now());
                }
            }
            if wrote.elapsed() >= ALIVE {
                self.write(": alive\n\n")?;
                wrote = Instant::now();
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    fn streams(&self) -> streams::Streams {
        streams::streams(self.site, self.request, self.ip)
    }

    fn videos(&self) -> streams::Files {
        streams::videos(self.site, self.request, self.ip)
    }

    fn send(&self, event: &str, data: &str) -> Result<()> {
        // JSON has no line breaks in it.
        self.write(&format!("event: {event}\ndata: {data}\n\n"))
    }

    fn write(&self, text: &str) -> Result<()> {
        self.guest.send(&mut [IoSlice::new(text.as_bytes())], limits::WRITE_STALL)
    }
}

fn text(value: &impl serde::Serialize) -> String {
    // Only maps with keys other than text can't be written, of which there are none.
    serde_json::to_string(value).unwrap_or_default()
}
