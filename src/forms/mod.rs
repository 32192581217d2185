//! The forms of live streams: the one place that lists them, and starts those in demand.
//!
//! | form | made from | by | delivered | as long as |
//! |---|---|---|---|---|
//! | RTMP messages | what the publisher sends | [`crate::live::Publication`] | by a lane, in chunks | it is published |
//! | FLV tags | RTMP messages | [`crate::transport::Framing`], per player: a tag is a header around the same payload | by a lane, over HTTP or WebSocket | it is published |
//! | fragments of MP4 | RTMP messages | [`FragmentStream`], once for all players | by a lane, over HTTP or WebSocket | they or the segments are played |
//! | segments of HLS | fragments | [`HlsStream`], once for all players | in responses | one has been requested lately |
//!
//! A form that is made once for all players has a [`Sink`] that subscribes to the stream it is made from, its own or, as
//! that of HLS, another module's. It is listed in [`Forms`], which starts it when it is requested and stops it when nobody
//! wants it any more. The next one is a file beside these that implements [`Form`], and a table here; one that is to run
//! whatever anyone requests (a recording, a push to another server) reports that it is in use for as long.
//!
//! [`Sink`]: crate::live::Sink

mod fragment_stream;
mod hls_stream;
mod hls_viewers;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

pub(crate) use fragment_stream::FragmentStream;
pub(crate) use hls_stream::HlsStream;

use crate::guard::Budget;
use crate::limits;
use crate::service::Service;

/// A form of a live stream, made on demand.
pub(crate) trait Form {
    /// Records a request for it.
    fn record_request(&self, now: Instant);

    /// Whether its stream has ended.
    fn has_ended(&self) -> bool;

    /// Whether it is in use, or was a moment ago.
    fn is_in_use(&self, now: Instant) -> bool;

    /// Unsubscribes from the stream that it is made from.
    fn stop(&self);
}

/// One form of all live streams, by stream name.
#[derive(Debug)]
struct FormTable<F>(Mutex<HashMap<String, Arc<F>>>);

impl<F> Default for FormTable<F> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<F: Form> FormTable<F> {
    /// Returns the form of a stream, or makes one with `start` if there is none or only that of an ended stream.
    fn get_or_start(&self, name: &str, start: impl FnOnce() -> Option<Arc<F>>) -> Option<Arc<F>> {
        let mut forms = self.0.lock();
        let form = match forms.get(name).filter(|known| !known.has_ended()) {
            Some(known) => known.clone(),
            None => {
                let form = start()?;
                forms.insert(name.to_owned(), form.clone());
                form
            }
        };
        form.record_request(Instant::now());
        Some(form)
    }

    /// Returns for how many streams that have not ended it is made.
    fn count(&self) -> usize {
        self.0.lock().values().filter(|form| !form.has_ended()).count()
    }

    fn get(&self, name: &str) -> Option<Arc<F>> {
        self.0.lock().get(name).cloned()
    }

    /// Stops unused forms.
    fn tick(&self, now: Instant) {
        let mut unused = Vec::new();
        self.0.lock().retain(|_, form| {
            let is_in_use = form.is_in_use(now);
            if !is_in_use {
                unused.push(form.clone());
            }
            is_in_use
        });
        // Unsubscribing takes a moment, so not under the lock.
        unused.iter().for_each(|form| form.stop());
    }
}

/// The forms of a server's live streams in use.
#[derive(Debug)]
pub(crate) struct Forms {
    fragments: FormTable<FragmentStream>,
    hls: FormTable<HlsStream>,
    /// The memory of all streams' segments, in bytes.
    hls_bytes: Arc<Budget>,
}

impl Default for Forms {
    fn default() -> Self {
        let hls_bytes = Budget::new(limits::HLS_BYTES_OF_ALL);
        Self { fragments: FormTable::default(), hls: FormTable::default(), hls_bytes }
    }
}

impl Forms {
    /// Returns the live stream of that name as fragments; `None` if it is not published.
    pub(crate) fn fragments(&self, service: &Service, name: &str) -> Option<Arc<FragmentStream>> {
        let start = || service.registry.with_published(name, |stream| FragmentStream::start(service, stream));
        self.fragments.get_or_start(name, start)
    }

    /// Returns the live stream of that name as HLS segments, also if it has just ended; `None` if it is not published.
    pub(crate) fn hls(&self, service: &Service, name: &str) -> Option<Arc<HlsStream>> {
        let start = || {
            let fragments = self.fragments(service, name)?;
            Some(HlsStream::start(fragments, &service.lanes.pick(), self.hls_bytes.share()))
        };
        self.hls.get_or_start(name, start).or_else(|| self.hls.get(name))
    }

    /// Returns in which forms how many published streams are wanted at present.
    pub(crate) fn counts(&self) -> [(&'static str, usize); 2] {
        [("fragments", self.fragments.count()), ("hls", self.hls.count())]
    }

    /// Stops unused forms. To be called about every half second.
    pub(crate) fn tick(&self, now: Instant) {
        self.hls.tick(now);
        self.fragments.tick(now);
    }
}
