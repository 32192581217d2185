//! The last seconds of a live stream: filled by a relay lane, read by those who ask over HTTP.

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

/// Why something can't be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotThere {
    /// It never was, or is no more.
    Gone,
    /// It is asked for too early.
    TooEarly,
    /// It was waited for in vain.
    Late,
}

/// The window of one stream.
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
    /// An empty window, which holds no more bytes than its share lets it.
    pub(crate) fn new(share: Share) -> Self {
        Self { state: Mutex::new(State { segmenter: Segmenter::new(share) }), changed: Condvar::new() }
    }

    fn wait<T>(&self, until: Instant, mut look: impl FnMut(&mut State) -> Option<T>) -> Result<T, NotThere> {
        let mut state = self.state.lock();
        loop {
            if let Some(found) = look(&mut state) {
                return Ok(found);
            }
            if state.segmenter.is_over() || self.changed.wait_until(&mut state, until).timed_out() {
                return Err(NotThere::Late);
            }
        }
    }

    /// The playlist to begin with, once there is something to play. `query` goes behind each name.
    ///
    /// # Errors
    /// [`NotThere::Late`].
    pub(crate) fn index(&self, query: &str, until: Instant) -> Result<String, NotThere> {
        self.wait(until, |state| playlist::index_of(&state.segmenter, query))
    }

    /// The playlist of the segments, listed so. With a segment's number, and perhaps a part's in it, not before that is
    /// there (blocking playlist reload, RFC 8216bis §6.2.5.2), or else not before a segment is whole. With `skip` it leaves
    /// out what an earlier one has told (delta update, §6.2.5.1).
    ///
    /// # Errors
    /// [`NotThere`].
    pub(crate) fn media(
        &self,
        layout: Layout,
        at_least: Option<(u64, Option<u64>)>,
        skip: bool,
        query: &str,
        until: Instant,
    ) -> Result<String, NotThere> {
        if at_least.is_some_and(|at_least| self.state.lock().is_far(layout, at_least)) {
            return Err(NotThere::TooEarly);
        }
        let look = |state: &mut State| {
            let before = state.segmenter.store().hint();
            let is_prepared = match layout.prepare(&mut state.segmenter, SystemTime::now()) {
                Some(is_prepared) => is_prepared,
                None => return Some(Err(NotThere::Gone)),
            };
            if state.segmenter.store().hint() != before {
                self.changed.notify_all();
            }
            let is_there = is_prepared && state.has(layout, at_least);
            is_there.then(|| playlist::media(&state.segmenter, layout, skip, query)).flatten().map(Ok)
        };
        self.wait(until, look)?
    }

    /// An initialisation segment.
    pub(crate) fn init(&self, number: u64) -> Option<Arc<MuxerOutput>> {
        let state = self.state.lock();
        state.segmenter.store().inits().iter().find(|(known, _)| *known == number).map(|(_, init)| init.clone())
    }

    /// The pieces of complete segments, from that number to that.
    pub(crate) fn segments(&self, first: u64, last: u64) -> Option<Vec<Arc<MuxerOutput>>> {
        let state = self.state.lock();
        let segments = state.segmenter.store().segments().iter();
        let segments: Vec<_> = segments.filter(|one| one.is_complete && (first..=last).contains(&one.number)).collect();
        let are_all = last.checked_sub(first).is_some_and(|more| segments.len() as u64 == more.saturating_add(1));
        are_all.then(|| segments.into_iter().flat_map(Segment::pieces).collect())
    }

    /// The pieces of a part; the next one, which playlists hint at, is waited for.
    ///
    /// # Errors
    /// [`NotThere`].
    pub(crate) fn part(&self, number: u64, part: u64, until: Instant) -> Result<Vec<Arc<MuxerOutput>>, NotThere> {
        let found = self.wait(until, |state| {
            if !state.segmenter.is_over() && state.is_coming(number, part) {
                return None;
            }
            Some(state.part(number, part))
        })?;
        found.ok_or(NotThere::Gone)
    }
}

impl State {
    fn part(&self, number: u64, part: u64) -> Option<Vec<Arc<MuxerOutput>>> {
        let segment = self.segmenter.store().segments().iter().find(|segment| segment.number == number)?;
        let part = segment.parts.get(usize::try_from(part).ok()?)?;
        Some(part.pieces.clone())
    }

    /// Whether it is the part that comes next, or could be if a key frame comes before.
    fn is_coming(&self, number: u64, part: u64) -> bool {
        let (next, next_part) = self.segmenter.store().hint();
        (number, part) == (next, next_part) || (number, part) == (next + 1, 0)
    }

    /// Whether what a client waits for is listed.
    fn has(&self, layout: Layout, at_least: Option<(u64, Option<u64>)>) -> bool {
        let listed = layout.listed(&self.segmenter);
        let (next, next_part) = layout.next_of(&listed, &self.segmenter);
        match at_least {
            _ if self.segmenter.is_over() => listed.iter().any(|one| one.part_count() > 0),
            None => listed.iter().any(|one| one.is_complete),
            // What a segment has no part for is meant to be the first of the next one.
            Some((number, Some(part))) if number.checked_add(1) == Some(next) => {
                let segment = listed.iter().find(|one| one.number == number);
                next_part > 0 || segment.is_none_or(|segment| segment.part_count() > part)
            }
            Some((number, Some(part))) if number == next => next_part > part,
            Some((number, _)) => number < next,
        }
    }

    /// Whether nobody who knows the stream would wait for it yet.
    fn is_far(&self, layout: Layout, (number, part): (u64, Option<u64>)) -> bool {
        let (next, next_part) = layout.next_of(&layout.listed(&self.segmenter), &self.segmenter);
        // Three seconds of parts, or three parts if they are longer.
        let ahead =
            self.segmenter.timing().map_or(u64::MAX, |timing| 3_000_u64.div_ceil(timing.part_ms.clamp(1, 1_000)));
        let is_far_part = |part| number == next && part >= next_part.saturating_add(ahead);
        !self.segmenter.is_over() && (number > next.saturating_add(1) || part.is_some_and(is_far_part))
    }
}

/// Filled by the stream of fragments, of which it is one of the players.
impl Sink for LiveWindow {
    fn push(&self, _: u32, messages: &[Arc<LiveMessage>]) -> Backlog {
        let outputs = messages.iter().filter_map(|message| message.muxer_output.as_ref());
        let segmenter = &mut self.state.lock().segmenter;
        let before = segmenter.store().hint();
        segmenter.push(outputs, SystemTime::now());
        // There is nothing new to tell before the next part.
        if segmenter.target_seconds().is_none() || segmenter.store().hint() != before {
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
        log::error!("a window of segments: {reason}");
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
mod newcomers;
#[cfg(test)]
mod tests;
