//! The live playlist window of a stream: filled by a relay lane, read by HTTP requests.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::{Condvar, Mutex};

use super::layout::Layout;
use super::playlist;
use super::segment::Segment;
use super::segmenter::Segmenter;
use crate::fmp4::MuxerOutput;
use crate::guard::Share;
use crate::live::{Backlog, LiveMessage, Sink, Skip};

/// The reason why a playlist or part is unavailable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// It never existed or was evicted.
    Gone,
    /// It is too far in the future.
    TooEarly,
    /// It was not available before the deadline.
    TimedOut,
}

/// The live playlist window of one stream.
#[derive(Debug)]
pub(crate) struct LiveWindow {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    segmenter: Segmenter,
}

impl LiveWindow {
    /// Creates an empty window, whose memory is limited by its share.
    pub(crate) fn new(share: Share) -> Self {
        Self { state: Mutex::new(State { segmenter: Segmenter::new(share) }), changed: Condvar::new() }
    }

    fn wait<T>(&self, deadline: Instant, mut attempt: impl FnMut(&mut State) -> Option<T>) -> Result<T, Unavailable> {
        let mut state = self.state.lock();
        loop {
            if let Some(found) = attempt(&mut state) {
                return Ok(found);
            }
            if state.segmenter.has_ended() || self.changed.wait_until(&mut state, deadline).timed_out() {
                return Err(Unavailable::TimedOut);
            }
        }
    }

    /// Returns the multivariant playlist, once there is something to play. `query` is appended to each URI.
    ///
    /// # Errors
    /// [`Unavailable::TimedOut`].
    pub(crate) fn index(&self, query: &str, deadline: Instant) -> Result<String, Unavailable> {
        self.wait(deadline, |state| playlist::live_multivariant(&state.segmenter, query))
    }

    /// Returns the media playlist with a layout. Waits for `awaited`, a media sequence number and optionally a part
    /// index (blocking playlist reload, RFC 8216bis §6.2.5.2), or else for a complete segment. With `skip` it is a
    /// delta update (§6.2.5.1).
    ///
    /// # Errors
    /// [`Unavailable`].
    pub(crate) fn media(
        &self,
        layout: Layout,
        awaited: Option<(u64, Option<u64>)>,
        skip: bool,
        query: &str,
        deadline: Instant,
    ) -> Result<String, Unavailable> {
        if awaited.is_some_and(|awaited| self.state.lock().is_too_early(layout, awaited)) {
            return Err(Unavailable::TooEarly);
        }
        let attempt = |state: &mut State| {
            let before = state.segmenter.store().next_part();
            let is_prepared = match layout.prepare(&mut state.segmenter, SystemTime::now()) {
                Some(is_prepared) => is_prepared,
                None => return Some(Err(Unavailable::Gone)),
            };
            if state.segmenter.store().next_part() != before {
                self.changed.notify_all();
            }
            let is_available = is_prepared && state.is_listed(layout, awaited);
            is_available.then(|| playlist::media(&state.segmenter, layout, skip, query)).flatten().map(Ok)
        };
        self.wait(deadline, attempt)?
    }

    /// Returns an initialization segment.
    pub(crate) fn init(&self, number: u64) -> Option<Arc<MuxerOutput>> {
        let state = self.state.lock();
        state.segmenter.store().inits().iter().find(|(known, _)| *known == number).map(|(_, init)| init.clone())
    }

    /// Returns the fragments of complete segments, from `first` to `last`.
    pub(crate) fn segments(&self, first: u64, last: u64) -> Option<Vec<Arc<MuxerOutput>>> {
        let state = self.state.lock();
        let segments = state.segmenter.store().segments().iter();
        let segments: Vec<_> = segments.filter(|one| one.is_complete && (first..=last).contains(&one.number)).collect();
        let are_all = last.checked_sub(first).is_some_and(|more| segments.len() as u64 == more.saturating_add(1));
        are_all.then(|| segments.into_iter().flat_map(Segment::fragments).collect())
    }

    /// Returns the fragments of a part; waits for the next one, which playlists announce by a preload hint.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub(crate) fn part(&self, number: u64, part: u64, deadline: Instant) -> Result<Vec<Arc<MuxerOutput>>, Unavailable> {
        let found = self.wait(deadline, |state| {
            if !state.segmenter.has_ended() && state.is_next_part(number, part) {
                return None;
            }
            Some(state.part(number, part))
        })?;
        found.ok_or(Unavailable::Gone)
    }
}

impl State {
    fn part(&self, number: u64, part: u64) -> Option<Vec<Arc<MuxerOutput>>> {
        let segment = self.segmenter.store().segments().iter().find(|segment| segment.number == number)?;
        let part = segment.parts.get(usize::try_from(part).ok()?)?;
        Some(part.fragments.clone())
    }

    /// Whether it is the next part, or may become it if a key frame comes first.
    fn is_next_part(&self, number: u64, part: u64) -> bool {
        let (next, next_part) = self.segmenter.store().next_part();
        (number, part) == (next, next_part) || (number, part) == (next + 1, 0)
    }

    /// Whether the awaited segment or part is listed.
    fn is_listed(&self, layout: Layout, awaited: Option<(u64, Option<u64>)>) -> bool {
        let listed = layout.list(&self.segmenter);
        let (next, next_part) = layout.next_part(&listed, &self.segmenter);
        match awaited {
            _ if self.segmenter.has_ended() => listed.iter().any(|one| one.part_count() > 0),
            None => listed.iter().any(|one| one.is_complete),
            // A part index past the end of a segment refers to the first part of the next one.
            Some((number, Some(part))) if number.checked_add(1) == Some(next) => {
                let segment = listed.iter().find(|one| one.number == number);
                next_part > 0 || segment.is_none_or(|segment| segment.part_count() > part)
            }
            Some((number, Some(part))) if number == next => next_part > part,
            Some((number, _)) => number < next,
        }
    }

    /// Whether a client that knows the stream would not request it yet.
    fn is_too_early(&self, layout: Layout, (number, part): (u64, Option<u64>)) -> bool {
        let (next, next_part) = layout.next_part(&layout.list(&self.segmenter), &self.segmenter);
        // Three seconds of parts, or three parts if they are longer.
        let ahead =
            self.segmenter.timing().map_or(u64::MAX, |timing| 3_000_u64.div_ceil(timing.part_ms.clamp(1, 1_000)));
        let is_far_part = |part| number == next && part >= next_part.saturating_add(ahead);
        !self.segmenter.has_ended() && (number > next.saturating_add(1) || part.is_some_and(is_far_part))
    }
}

/// The window subscribes to the fragment stream, which fills it.
impl Sink for LiveWindow {
    fn push(&self, _: u32, messages: &[Arc<LiveMessage>]) -> Backlog {
        let outputs = messages.iter().filter_map(|message| message.muxer_output.as_ref());
        let segmenter = &mut self.state.lock().segmenter;
        let before = segmenter.store().next_part();
        segmenter.push(outputs, SystemTime::now());
        // Playlists change only with the next part.
        if segmenter.target_seconds().is_none() || segmenter.store().next_part() != before {
            self.changed.notify_all();
        }
        Backlog { bytes: 0, age: Duration::ZERO }
    }

    fn skip(&self, _: u32, _: Skip) -> usize {
        0
    }

    fn flush(&self) -> bool {
        false
    }

    fn ended(&self, _: u32) {
        self.state.lock().segmenter.end(SystemTime::now());
        self.changed.notify_all();
    }

    fn abandon(&self, reason: &str) {
        log::error!("HLS window: {reason}");
        self.ended(0);
    }

    fn peer(&self) -> &str {
        "HLS"
    }

    fn is_viewer(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod checker;
#[cfg(test)]
mod new_players;
#[cfg(test)]
mod tests;
