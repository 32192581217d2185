//! The last seconds of a live stream: filled by a relay lane, read by those who ask over HTTP.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::{Condvar, Mutex};

use super::playlist;
use super::segment::{Part, Segment};
use crate::fmp4::{Fragment, Init, Piece};
use crate::limits;
use crate::live::{Backlog, LiveMessage, Sink};
use crate::media::PacketKind;

/// How long a part is to be, in milliseconds.
const PART_MS: u64 = 200;

/// By how much parts may differ for the rounding of times, in milliseconds.
const ROUNDING_MS: u64 = 10;

/// The shortest segment, in milliseconds: the first key frame from here on ends it.
const SEGMENT_LEAST_MS: u64 = 1_000;

/// The longest, for streams with few key frames.
const SEGMENT_MOST_MS: u64 = 10_000;

/// Segments that are kept, the one that grows among them.
const SEGMENTS: usize = 8;

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
#[derive(Debug, Default)]
pub struct Window {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    inits: VecDeque<(u64, Arc<Piece>)>,
    pub segments: VecDeque<Segment>,
    /// What will be the next part of the last segment, and whether it has more than sound that rides along.
    growing: Part,
    has_frame: bool,
    /// Where the last segment and the growing part begin, and where the last frame ends.
    segment_start: u64,
    part_start: u64,
    end: u64,
    /// The longest part, in milliseconds; known from the second frame on.
    pub part_target_ms: Option<u64>,
    last_frame: Option<u64>,
    /// The longest segment, in seconds.
    pub target_seconds: u64,
    /// Segments that are no more began anew so often.
    pub discontinuities: u64,
    next_number: u64,
    next_is_discontinuous: bool,
    bytes: usize,
    pub is_over: bool,
}

impl Window {
    /// An empty window.
    pub fn new() -> Self {
        Self::default()
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
        self.wait(until, |state| {
            let Piece::Init(init) = &*state.inits.back()?.1 else { return None };
            state.part_target_ms?;
            Some(playlist::index(init, state.bits_per_second(), query))
        })
    }

    /// The playlist of the segments. With a segment's number, and perhaps a part's in it, not before that is there
    /// (blocking playlist reload).
    ///
    /// # Errors
    /// [`NotThere`].
    pub fn media(&self, at_least: Option<(u64, Option<u64>)>, query: &str, until: Instant) -> Result<String, NotThere> {
        if let Some((number, _)) = at_least {
            let state = self.state.lock();
            // A client that is two segments ahead of the stream has made that up.
            if !state.is_over && number > state.next_number + 1 {
                return Err(NotThere::TooEarly);
            }
        }
        self.wait(until, |state| {
            state.part_target_ms?;
            let is_there = state.segments.iter().any(|segment| !segment.parts.is_empty())
                && at_least.is_none_or(|(number, part)| state.is_over || state.has(number, part));
            is_there.then(|| playlist::media(state, query))
        })
    }

    /// An initialisation segment.
    pub fn init(&self, number: u64) -> Option<Arc<Piece>> {
        let state = self.state.lock();
        state.inits.iter().find(|(known, _)| *known == number).map(|(_, init)| init.clone())
    }

    /// The pieces of a complete segment.
    pub fn segment(&self, number: u64) -> Option<Vec<Arc<Piece>>> {
        let state = self.state.lock();
        state.segment(number).filter(|segment| segment.duration_ms.is_some()).map(Segment::pieces)
    }

    /// The pieces of a part; the next one, which playlists hint at, is waited for.
    ///
    /// # Errors
    /// [`NotThere`].
    pub fn part(&self, number: u64, part: u64, until: Instant) -> Result<Vec<Arc<Piece>>, NotThere> {
        let found = self.wait(until, |state| {
            if !state.is_coming(number, part) {
                return Some(state.part(number, part).map(|part| part.pieces.clone()));
            }
            None
        })?;
        found.ok_or(NotThere::Gone)
    }
}

impl State {
    fn segment(&self, number: u64) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.number == number)
    }

    fn part(&self, number: u64, part: u64) -> Option<&Part> {
        self.segment(number)?.parts.get(usize::try_from(part).ok()?)
    }

    /// Whether it is the part that comes next, or could be if a key frame does not come before.
    fn is_coming(&self, number: u64, part: u64) -> bool {
        match self.segments.back() {
            Some(last) if last.duration_ms.is_none() => {
                (number == last.number && part == last.parts.len() as u64) || (number == last.number + 1 && part == 0)
            }
            _ => number == self.next_number && part == 0,
        }
    }

    fn has(&self, number: u64, part: Option<u64>) -> bool {
        let Some(last) = self.segments.back() else { return false };
        match part {
            _ if number < last.number => true,
            _ if number > last.number => false,
            Some(part) => last.duration_ms.is_some() || (last.parts.len() as u64) > part,
            None => last.duration_ms.is_some(),
        }
    }

    /// Which part comes next: of which segment, and its number in that.
    pub fn hint(&self) -> (u64, u64) {
        match self.segments.back() {
            Some(last) if last.duration_ms.is_none() => (last.number, last.parts.len() as u64),
            _ => (self.next_number, 0),
        }
    }

    fn bits_per_second(&self) -> u64 {
        let ms: u64 = self.segments.iter().flat_map(|segment| &segment.parts).map(|part| part.duration_ms).sum();
        (self.bytes as u64 * 8000).checked_div(ms).unwrap_or(0).max(100_000)
    }

    fn push(&mut self, piece: &Arc<Piece>) {
        match &**piece {
            Piece::Init(_) => self.begin(piece),
            Piece::Fragment(fragment) => self.frame(piece, fragment),
        }
    }

    fn begin(&mut self, init: &Arc<Piece>) {
        self.end_all();
        let number = self.inits.back().map_or(0, |(number, _)| number + 1);
        self.next_is_discontinuous = number > 0;
        self.inits.push_back((number, init.clone()));
        self.last_frame = None;
        self.forget();
    }

    /// Ends the segment with all that there is, sound that waits for a picture among it.
    fn end_all(&mut self) {
        if let Some(Piece::Fragment(last)) = self.growing.pieces.last().map(|piece| &**piece) {
            self.end = self.end.max(last.time_ms + u64::from(last.duration_ms));
            self.has_frame = true;
        }
        self.end_segment(self.end);
    }

    fn frame(&mut self, piece: &Arc<Piece>, fragment: &Fragment) {
        let Some((_, init)) = self.inits.back() else { return };
        let Piece::Init(Init { has_video, .. }) = **init else { return };
        let leads = (fragment.kind == PacketKind::Video) == has_video;
        if leads {
            let time = fragment.time_ms;
            if let Some(last) = self.last_frame.filter(|_| self.part_target_ms.is_none()) {
                // As many frames in each part as come next to its length.
                let step = time.saturating_sub(last).clamp(1, SEGMENT_MOST_MS);
                let frames = ((PART_MS + step / 2) / step).max(1);
                self.part_target_ms = Some(frames * step + ROUNDING_MS);
            }
            self.last_frame = Some(time);
            let length = time.saturating_sub(self.segment_start);
            let ends = fragment.is_key_frame && length >= SEGMENT_LEAST_MS || length >= SEGMENT_MOST_MS;
            let is_large = |segment: &mut Segment| segment.bytes > limits::HLS_WINDOW_BYTES / 4;
            if self.growing_segment().is_some_and(|segment| ends || is_large(segment)) {
                self.end_segment(time);
            }
            let is_too_long =
                |target| (time + u64::from(fragment.duration_ms)).saturating_sub(self.part_start) > target;
            if self.part_target_ms.is_some_and(is_too_long) {
                self.end_part(time);
            }
            if self.growing_segment().is_none() {
                self.begin_segment(time);
            }
            if !std::mem::replace(&mut self.has_frame, true) {
                self.part_start = time;
                self.growing.is_independent = fragment.is_key_frame;
            }
            self.end = time + u64::from(fragment.duration_ms);
        }
        // Sound before the first picture leads nowhere.
        if self.growing_segment().is_some() {
            self.growing.pieces.push(piece.clone());
        }
        if let Some(target) = self.part_target_ms.filter(|_| leads) {
            // The next frame would not fit any more.
            if (self.end + u64::from(fragment.duration_ms)).saturating_sub(self.part_start) > target {
                self.end_part(self.end);
            }
        }
    }

    fn growing_segment(&mut self) -> Option<&mut Segment> {
        self.segments.back_mut().filter(|segment| segment.duration_ms.is_none())
    }

    fn begin_segment(&mut self, time: u64) {
        self.segments.push_back(Segment {
            number: self.next_number,
            init: self.inits.back().map_or(0, |(number, _)| *number),
            is_discontinuous: std::mem::take(&mut self.next_is_discontinuous),
            parts: Vec::new(),
            duration_ms: None,
            began: SystemTime::now(),
            bytes: 0,
        });
        self.next_number += 1;
        (self.segment_start, self.part_start) = (time, time);
    }

    fn end_part(&mut self, time: u64) {
        if !std::mem::take(&mut self.has_frame) {
            // Sound alone goes with the next frame.
            return;
        }
        let part = Part { duration_ms: time.saturating_sub(self.part_start), ..std::mem::take(&mut self.growing) };
        let bytes: usize = part.pieces.iter().map(|piece| piece.bytes().len()).sum();
        self.part_start = time;
        if let Some(segment) = self.growing_segment() {
            segment.bytes += bytes;
            segment.parts.push(part);
            self.bytes += bytes;
        }
        self.forget();
    }

    fn end_segment(&mut self, time: u64) {
        self.end_part(time);
        let duration_ms = time.saturating_sub(self.segment_start);
        if let Some(segment) = self.growing_segment() {
            segment.duration_ms = Some(duration_ms);
            self.target_seconds = self.target_seconds.max((duration_ms + 500) / 1000).max(2);
        }
        self.forget();
    }

    /// Forgets what is too old or too much.
    fn forget(&mut self) {
        while self.segments.len() > SEGMENTS || (self.bytes > limits::HLS_WINDOW_BYTES && self.segments.len() > 1) {
            let Some(gone) = self.segments.pop_front() else { break };
            self.bytes -= gone.bytes;
            self.discontinuities += u64::from(gone.is_discontinuous);
        }
        let oldest = self.segments.front().map(|segment| segment.init);
        let newest = self.inits.back().map(|(number, _)| *number);
        self.inits.retain(|(number, _)| oldest.is_some_and(|oldest| *number >= oldest) || Some(*number) == newest);
    }
}

/// Filled by the stream of fragments, of which it is one of the players.
impl Sink for Window {
    fn push(&self, _: u32, messages: &[Arc<LiveMessage>]) -> Backlog {
        let mut state = self.state.lock();
        messages.iter().filter_map(|message| message.piece.as_ref()).for_each(|piece| state.push(piece));
        // One frame may be more than all of a window is to hold.
        let growing: usize = state.growing.pieces.iter().map(|piece| piece.bytes().len()).sum();
        if growing > limits::HLS_WINDOW_BYTES {
            (state.growing, state.has_frame) = (Part::default(), false);
        }
        drop(state);
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
        state.end_all();
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
mod tests;
