//! Fragments in, parts and segments out, of which the last seconds are kept.
//!
//! Each part begins where the one before ended, whatever the frames' own lengths, so lengths add up to decoding times.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::opening::Opening;
use super::rhythm::{Rhythm, SEGMENT_LEAST_MS};
use super::segment::{Part, Segment, weight};
use crate::fmp4::{Fragment, Init, Piece};
use crate::guard::Share;
use crate::limits;
use crate::media::PacketKind;

/// How far pictures may be behind the sound, in milliseconds, before parts go on without them.
const SOUND_AHEAD_MS: u64 = 1_000;

/// The last seconds of a stream, cut.
#[derive(Debug)]
pub(super) struct Cutter {
    share: Share,
    /// Bytes of all segments, with what grows.
    bytes: usize,
    opening: Opening,
    rhythm: Option<Rhythm>,
    inits: VecDeque<(u64, Arc<Piece>)>,
    segments: VecDeque<Segment>,
    /// What will be the next part of the last segment, and whether it has more than sound that rides along.
    growing: Part,
    has_frame: bool,
    /// Where the last segment and the growing part begin, and where the last frame ends, in milliseconds.
    segment_start: u64,
    part_start: u64,
    end: u64,
    last_frame: u64,
    /// A time in milliseconds, and when it was.
    anchor: Option<(u64, SystemTime)>,
    /// The next segment begins at a key frame.
    awaits_key_frame: bool,
    next_is_discontinuous: bool,
    next_number: u64,
    /// Segments that are no more began anew so often.
    discontinuities: u64,
}

impl Cutter {
    pub fn new(share: Share) -> Self {
        Self {
            share,
            bytes: 0,
            opening: Opening::default(),
            rhythm: None,
            inits: VecDeque::new(),
            segments: VecDeque::new(),
            growing: Part::default(),
            has_frame: false,
            segment_start: 0,
            part_start: 0,
            end: 0,
            last_frame: 0,
            anchor: None,
            awaits_key_frame: true,
            next_is_discontinuous: false,
            next_number: 0,
            discontinuities: 0,
        }
    }

    /// The lengths that hold for all segments; `None` as long as there are none.
    pub fn rhythm(&self) -> Option<Rhythm> {
        self.rhythm
    }

    pub fn inits(&self) -> &VecDeque<(u64, Arc<Piece>)> {
        &self.inits
    }

    /// Those that are kept, the one that grows among them.
    pub fn segments(&self) -> &VecDeque<Segment> {
        &self.segments
    }

    /// How often segments that are no more began anew.
    pub fn discontinuities(&self) -> u64 {
        self.discontinuities
    }

    /// Which part comes next: of which segment, and its number in that.
    pub fn hint(&self) -> (u64, u64) {
        match self.segments.back() {
            Some(last) if !last.is_complete => (last.number, last.parts.len() as u64),
            _ => (self.next_number, 0),
        }
    }

    /// Takes what came at that time.
    pub fn push<'a>(&mut self, pieces: impl IntoIterator<Item = &'a Arc<Piece>>, now: SystemTime) {
        for piece in pieces {
            match self.rhythm {
                Some(_) => self.take(piece, now),
                None => self.opening.push(piece),
            }
        }
        if self.rhythm.is_none() {
            let bytes = self.opening.bytes();
            let is_much = bytes > limits::HLS_WINDOW_BYTES / 4 || !self.share.resize(bytes);
            self.begin(is_much, now);
        }
    }

    /// Ends the last segment: nothing more comes.
    pub fn end(&mut self, now: SystemTime) {
        if self.rhythm.is_none() {
            self.begin(true, now);
        }
        self.end_all();
    }

    /// Chooses a rhythm if that can be done, and takes what waited for it.
    fn begin(&mut self, are_all: bool, now: SystemTime) {
        let frames = self.opening.frames();
        self.rhythm = Rhythm::of(&frames, are_all);
        if self.rhythm.is_none() {
            if are_all {
                self.opening.forget_frames();
            }
            return;
        }
        // Not the first frame comes now, but the last: those before come from a cache.
        self.anchor = frames.last().map(|(time, _)| (*time, now));
        for piece in self.opening.take() {
            self.take(&piece, now);
        }
    }

    fn take(&mut self, piece: &Arc<Piece>, now: SystemTime) {
        match &**piece {
            Piece::Init(_) => {
                self.end_all();
                let number = self.inits.back().map_or(0, |(number, _)| number + 1);
                self.next_is_discontinuous |= number > 0;
                self.inits.push_back((number, piece.clone()));
                self.forget();
            }
            Piece::Fragment(fragment) => self.fragment(piece, fragment, now),
        }
    }

    fn fragment(&mut self, piece: &Arc<Piece>, fragment: &Fragment, now: SystemTime) {
        let (Some(rhythm), Some((_, init))) = (self.rhythm, self.inits.back()) else { return };
        let Piece::Init(Init { has_video, .. }) = **init else { return };
        let leads = (fragment.kind == PacketKind::Video) == has_video;
        if self.awaits_key_frame && !(leads && fragment.is_key_frame) {
            return;
        }
        self.awaits_key_frame = false;
        let duration = u64::from(fragment.duration_ms);
        if leads {
            self.cut_before(fragment, rhythm, now);
            if !mem::replace(&mut self.has_frame, true) {
                self.growing.is_independent = fragment.is_key_frame;
            }
            self.last_frame = fragment.time_ms;
            self.end = fragment.time_ms.saturating_add(duration).min(self.latest(rhythm));
        } else {
            self.cut_without_picture(fragment.time_ms, rhythm, now);
        }
        self.growing.pieces.push(piece.clone());
        self.growing.bytes += weight(piece);
        self.bytes += weight(piece);
        // The next frame would not fit any more.
        if leads && self.end.saturating_add(duration).saturating_sub(self.part_start) > rhythm.part_ms {
            self.end_part(self.end);
        }
        self.forget();
    }

    /// Ends what a frame does not belong to any more, and begins what it belongs to.
    fn cut_before(&mut self, frame: &Fragment, rhythm: Rhythm, now: SystemTime) {
        let time = frame.time_ms;
        let end = time.saturating_add(u64::from(frame.duration_ms));
        if self.growing_segment().is_some() {
            let latest = self.latest(rhythm);
            let ends_group = frame.is_key_frame && time.saturating_sub(self.segment_start) >= SEGMENT_LEAST_MS;
            if time < self.last_frame || time > latest {
                // Time leaps: no length that a segment may have leads there.
                self.end_all();
                self.next_is_discontinuous = true;
                self.awaits_key_frame = false;
            } else if ends_group || end > latest || self.is_large() {
                self.end_segment(time);
            } else if end.saturating_sub(self.part_start) > rhythm.part_ms {
                self.end_part(time);
            }
        }
        if self.growing_segment().is_none() {
            let goes_on = !self.next_is_discontinuous && !self.segments.is_empty();
            self.begin_segment(if goes_on { self.part_start } else { time }, now);
        }
    }

    /// Lets sound go on when pictures don't.
    fn cut_without_picture(&mut self, time: u64, rhythm: Rhythm, now: SystemTime) {
        let part_end = self.part_start.saturating_add(rhythm.part_ms);
        if self.growing.pieces.is_empty() || time <= part_end.saturating_add(SOUND_AHEAD_MS) {
            return;
        }
        self.has_frame = true;
        let latest = self.latest(rhythm);
        if part_end >= latest || self.is_large() {
            self.end_segment(part_end.min(latest));
            self.begin_segment(self.part_start, now);
        } else {
            self.end_part(part_end);
        }
    }

    /// Where the segment that grows has to end.
    fn latest(&self, rhythm: Rhythm) -> u64 {
        self.segment_start.saturating_add(rhythm.segment_ms())
    }

    fn growing_segment(&mut self) -> Option<&mut Segment> {
        self.segments.back_mut().filter(|segment| !segment.is_complete)
    }

    fn is_large(&mut self) -> bool {
        let bytes = self.growing_segment().map_or(0, |segment| segment.bytes());
        bytes + self.growing.bytes > limits::HLS_WINDOW_BYTES / 4
    }

    fn begin_segment(&mut self, time: u64, now: SystemTime) {
        let is_discontinuous = mem::take(&mut self.next_is_discontinuous);
        if is_discontinuous {
            self.anchor = None;
        }
        let (anchored, at) = *self.anchor.get_or_insert((time, now));
        let began = match time.checked_sub(anchored) {
            Some(later) => at.checked_add(Duration::from_millis(later)),
            None => at.checked_sub(Duration::from_millis(anchored - time)),
        };
        self.segments.push_back(Segment {
            number: self.next_number,
            init: self.inits.back().map_or(0, |(number, _)| *number),
            is_discontinuous,
            parts: Vec::new(),
            is_complete: false,
            began: began.unwrap_or(now),
        });
        self.next_number += 1;
        (self.segment_start, self.part_start) = (time, time);
    }

    fn end_part(&mut self, time: u64) {
        // Sound alone goes with the next frame.
        if !self.has_frame || time <= self.part_start {
            return;
        }
        let part = Part { duration_ms: time - self.part_start, ..mem::take(&mut self.growing) };
        (self.part_start, self.has_frame) = (time, false);
        if let Some(segment) = self.growing_segment() {
            segment.parts.push(part);
        }
    }

    /// Ends the segment there, or where its last part ended if that is later.
    fn end_segment(&mut self, time: u64) {
        // No segment is without any part: where pictures are missing, sound is one.
        self.has_frame |= self.growing_segment().is_some_and(|segment| segment.parts.is_empty());
        // What has a frame takes time.
        self.end_part(time.max(self.part_start.saturating_add(1)));
        if let Some(segment) = self.growing_segment() {
            segment.is_complete = true;
        }
    }

    /// Ends the segment with all that there is, sound that waits for a picture among it.
    fn end_all(&mut self) {
        self.has_frame = !self.growing.pieces.is_empty();
        self.end_segment(self.end);
        self.awaits_key_frame = true;
    }

    /// Forgets what is too old or too much.
    fn forget(&mut self) {
        let kept_ms = self.rhythm.map_or(0, |rhythm| limits::HLS_WINDOW_TARGETS * rhythm.segment_seconds * 1000);
        let mut length_ms: u64 = self.segments.iter().map(Segment::duration_ms).sum();
        while let Some(oldest) = self.segments.front() {
            length_ms -= oldest.duration_ms();
            let is_old = length_ms >= kept_ms || self.segments.len() > limits::HLS_WINDOW_SEGMENTS;
            let is_needless = is_old && oldest.is_complete;
            if !is_needless && self.bytes <= limits::HLS_WINDOW_BYTES && self.share.resize(self.bytes) {
                break;
            }
            let is_complete = oldest.is_complete;
            self.bytes -= oldest.bytes();
            self.discontinuities += u64::from(oldest.is_discontinuous);
            self.segments.pop_front();
            if !is_complete {
                // Not even one segment may stay: another try at the next key frame.
                self.bytes -= mem::take(&mut self.growing).bytes;
                (self.has_frame, self.awaits_key_frame, self.next_is_discontinuous) = (false, true, true);
            }
        }
        // Less is always granted.
        let _ = self.share.resize(self.bytes);
        let oldest = self.segments.front().map(|segment| segment.init);
        let newest = self.inits.back().map(|(number, _)| *number);
        self.inits.retain(|(number, _)| oldest.is_some_and(|oldest| *number >= oldest) || Some(*number) == newest);
    }
}
