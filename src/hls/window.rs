//! The last seconds of a live stream: filled by a relay lane, read by those who ask over HTTP.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::{Condvar, Mutex};

use super::cutter::Cutter;
use super::playlist;
use super::segment::Segment;
use crate::fmp4::Piece;
use crate::guard::Share;
use crate::live::{Backlog, LiveMessage, Sink};

/// Why something can't be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotThere {
    /// It never was, or is no more.
    Gone,
    /// It is asked for too early.
    TooEarly,
    /// It was waited for in vain.
    Late,
}

/// The window of one stream.
#[derive(Debug)]
pub struct Window {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    cutter: Cutter,
    is_over: bool,
}

impl Window {
    /// An empty window, which holds no more bytes than its share lets it.
    pub fn new(share: Share) -> Self {
        let state = State { cutter: Cutter::new(share), is_over: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn wait<T>(&self, until: Instant, mut look: impl FnMut(&State) -> Option<T>) -> Result<T, NotThere> {
        let mut state = self.state.lock();
        loop {
            if let Some(found) = look(&state) {
                return Ok(found);
            }
            if state.is_over || self.changed.wait_until(&mut state, until).timed_out() {
                return Err(NotThere::Late);
            }
        }
    }

    /// The playlist to begin with, once there is something to play. `query` goes behind each name.
    ///
    /// # Errors
    /// [`NotThere::Late`].
    pub fn index(&self, query: &str, until: Instant) -> Result<String, NotThere> {
        self.wait(until, |state| playlist::index_of(&state.cutter, query))
    }

    /// The playlist of the segments. With a segment's number, and perhaps a part's in it, not before that is there
    /// (blocking playlist reload, RFC 8216bis §6.2.5.2). With `skip` it leaves out what an earlier one has told (delta
    /// update, §6.2.5.1).
    ///
    /// # Errors
    /// [`NotThere`].
    pub fn media(
        &self,
        at_least: Option<(u64, Option<u64>)>,
        skip: bool,
        query: &str,
        until: Instant,
    ) -> Result<String, NotThere> {
        if at_least.is_some_and(|at_least| self.state.lock().is_far(at_least)) {
            return Err(NotThere::TooEarly);
        }
        self.wait(until, |state| {
            let rhythm = state.cutter.rhythm()?;
            let is_there = state.cutter.segments().iter().any(|segment| !segment.parts.is_empty())
                && at_least.is_none_or(|(number, part)| state.is_over || state.has(number, part));
            is_there.then(|| playlist::media(&state.cutter, rhythm, state.is_over, skip, query))
        })
    }

    /// An initialisation segment.
    pub fn init(&self, number: u64) -> Option<Arc<Piece>> {
        let state = self.state.lock();
        state.cutter.inits().iter().find(|(known, _)| *known == number).map(|(_, init)| init.clone())
    }

    /// The pieces of a complete segment.
    pub fn segment(&self, number: u64) -> Option<Vec<Arc<Piece>>> {
        let state = self.state.lock();
        state.segment(number).filter(|segment| segment.is_complete).map(Segment::pieces)
    }

    /// The pieces of a part; the next one, which playlists hint at, is waited for.
    ///
    /// # Errors
    /// [`NotThere`].
    pub fn part(&self, number: u64, part: u64, until: Instant) -> Result<Vec<Arc<Piece>>, NotThere> {
        let found = self.wait(until, |state| {
            if !state.is_over && state.is_coming(number, part) {
                return None;
            }
            Some(state.part(number, part))
        })?;
        found.ok_or(NotThere::Gone)
    }
}

impl State {
    fn segment(&self, number: u64) -> Option<&Segment> {
        self.cutter.segments().iter().find(|segment| segment.number == number)
    }

    fn part(&self, number: u64, part: u64) -> Option<Vec<Arc<Piece>>> {
        let part = self.segment(number)?.parts.get(usize::try_from(part).ok()?)?;
        Some(part.pieces.clone())
    }

    /// Whether it is the part that comes next, or could be if a key frame comes before.
    fn is_coming(&self, number: u64, part: u64) -> bool {
        let (next, next_part) = self.cutter.hint();
        (number, part) == (next, next_part) || (number, part) == (next + 1, 0)
    }

    fn has(&self, number: u64, part: Option<u64>) -> bool {
        let (next, next_part) = self.cutter.hint();
        match part {
            // What a segment has no part for is meant to be the first of the next one.
            Some(part) if number.checked_add(1) == Some(next) => {
                next_part > 0 || self.segment(number).is_none_or(|segment| (segment.parts.len() as u64) > part)
            }
            Some(part) if number == next => next_part > part,
            _ => number < next,
        }
    }

    /// Whether nobody who knows the stream would wait for it yet.
    fn is_far(&self, (number, part): (u64, Option<u64>)) -> bool {
        let (next, next_part) = self.cutter.hint();
        // Three seconds of parts, or three parts if they are longer.
        let ahead = self.cutter.rhythm().map_or(u64::MAX, |rhythm| 3_000_u64.div_ceil(rhythm.part_ms.clamp(1, 1_000)));
        let is_far_part = |part| number == next && part >= next_part.saturating_add(ahead);
        !self.is_over && (number > next + 1 || part.is_some_and(is_far_part))
    }
}

/// Filled by the stream of fragments, of which it is one of the players.
impl Sink for Window {
    fn push(&self, _: u32, messages: &[Arc<LiveMessage>]) -> Backlog {
        let pieces = messages.iter().filter_map(|message| message.piece.as_ref());
        self.state.lock().cutter.push(pieces, SystemTime::now());
        self.changed.notify_all();
        Backlog { bytes: 0, age: Duration::ZERO }
    }

    fn skip(&self, _: u32) -> usize {
        0
    }

    fn flush(&self) -> bool {
        false
    }

    fn ended(&self, _: u32) {
        let mut state = self.state.lock();
        state.cutter.end(SystemTime::now());
        state.is_over = true;
        drop(state);
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
mod tests;
