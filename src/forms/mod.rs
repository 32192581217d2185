//! A live stream and its forms: the one place that lists them, and makes those that somebody wants.
//!
//! | form | made from | by | goes out through | while |
//! |---|---|---|---|---|
//! | RTMP messages | what the publisher sends | [`crate::live::Publication`] | a lane, in chunks | it is published |
//! | FLV tags | RTMP messages | [`crate::transport::Framing`], per player: a tag is a header around the same payload | a lane, over HTTP or WebSocket | it is published |
//! | fragments of MP4 | RTMP messages | [`FragmentStream`], once for all players | a lane, over HTTP or WebSocket | somebody plays them, or the segments |
//! | segments of HLS | fragments | [`HlsStream`], once for all players | responses to requests | somebody has asked for one lately |
//!
//! A form that is made once for all is a subscriber of the stream that it is made from, and is listed in [`Forms`]: the
//! next one (a recording, a push to another server) is a file beside these that implements [`Form`] and [`Sink`], and a
//! table here.
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

/// A form of a live stream that is made while somebody wants it.
pub(crate) trait Form {
    /// Notes that somebody asks for it.
    fn mark_wanted(&self, now: Instant);

    /// Whether its stream has ended.
    fn is_over(&self) -> bool;

    /// Whether anybody wants it, or did a moment ago.
    fn is_wanted(&self, now: Instant) -> bool;

    /// Leaves the stream that it is made from.
    fn stop(&self);
}

/// One form of all live streams, by their names.
#[derive(Debug)]
struct FormTable<F>(Mutex<HashMap<String, Arc<F>>>);

impl<F> Default for FormTable<F> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<F: Form> FormTable<F> {
    /// That of one stream, which `start` makes if there is none, or only that of a stream that has ended.
    fn get_or_start(&self, name: &str, start: impl FnOnce() -> Option<Arc<F>>) -> Option<Arc<F>> {
        let mut forms = self.0.lock();
        let form = match forms.get(name).filter(|known| !known.is_over()) {
            Some(known) => known.clone(),
            None => start()?,
        };
        form.mark_wanted(Instant::now());
        forms.insert(name.to_owned(), form.clone());
        Some(form)
    }

    fn get(&self, name: &str) -> Option<Arc<F>> {
        self.0.lock().get(name).cloned()
    }

    /// Stops those that nobody wants any more.
    fn tick(&self, now: Instant) {
        let mut unwanted = Vec::new();
        self.0.lock().retain(|_, form| {
            let is_wanted = form.is_wanted(now);
            if !is_wanted {
                unwanted.push(form.clone());
            }
            is_wanted
        });
        // To leave a stream takes a moment, so not under the lock.
        unwanted.iter().for_each(|form| form.stop());
    }
}

/// The forms in which the live streams of a server are wanted at present.
#[derive(Debug)]
pub(crate) struct Forms {
    fragments: FormTable<FragmentStream>,
    hls: FormTable<HlsStream>,
    /// Bytes of the segments of all streams.
    hls_bytes: Arc<Budget>,
}

impl Default for Forms {
    fn default() -> Self {
        let hls_bytes = Budget::new(limits::HLS_BYTES_OF_ALL);
        Self { fragments: FormTable::default(), hls: FormTable::default(), hls_bytes }
    }
}

impl Forms {
    /// The live stream of that name as fragments; `None` if nobody publishes it.
    pub(crate) fn fragments(&self, service: &Service, name: &str) -> Option<Arc<FragmentStream>> {
        let start = || service.registry.with_published(name, |stream| FragmentStream::start(service, stream));
        self.fragments.get_or_start(name, start)
    }

    /// The live stream of that name, also one that has just ended, as segments; `None` if nobody publishes it.
    pub(crate) fn hls(&self, service: &Service, name: &str) -> Option<Arc<HlsStream>> {
        let start = || {
            let fragments = self.fragments(service, name)?;
            Some(HlsStream::start(fragments, &service.lanes.pick(), self.hls_bytes.share()))
        };
        self.hls.get_or_start(name, start).or_else(|| self.hls.get(name))
    }

    /// Stops the forms that nobody wants any more. To be called about every half second.
    pub(crate) fn tick(&self, now: Instant) {
        self.hls.tick(now);
        self.fragments.tick(now);
    }
}
