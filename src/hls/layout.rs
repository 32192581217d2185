//! How a playlist lists the segments that there are. All playlists name the same parts; which of them belong to one
//! segment is told to each player so that it can begin at once.
//!
//! Some players begin with the last whole segments (ffmpeg with the third from the end, VLC 15 s before it, and with none
//! if there is only one), hls.js a few parts before the end, and all of them show nothing before a key frame. So what came
//! before a player is listed in whole GOPs, each a single segment.

use std::time::SystemTime;

use super::segment::{Part, Segment};
use super::segment_timing::{GOP_SECONDS, SEGMENT_SECONDS, longest_ms, target_seconds};
use super::segmenter::{Segmenter, WHOLE_LEAST};

/// Players that know no parts begin no earlier than so many milliseconds before the last whole segment.
const BEGINS_BEFORE_LAST_MS: u64 = 15_000;

/// A way to list segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Each by itself.
    Plain,
    /// Those of a GOP as one.
    Gops,
    /// Those before that number by GOPs, the others each by itself, with that target duration in seconds. The segment of
    /// that number begins with a key frame, or else where the first such playlist was asked for.
    From(u64, u64),
}

/// A segment as it is listed: one of those that there are, or several.
#[derive(Debug)]
pub(super) struct Listed<'a> {
    pub number: u64,
    pub segments: Vec<&'a Segment>,
    /// There won't be more parts.
    pub is_complete: bool,
}

impl<'a> Listed<'a> {
    fn of(segment: &'a Segment) -> Self {
        Self { number: segment.number, segments: vec![segment], is_complete: segment.is_complete }
    }

    /// In milliseconds, up to now.
    pub(super) fn duration_ms(&self) -> u64 {
        self.segments.iter().map(|segment| segment.duration_ms()).sum()
    }

    /// A player can start with it.
    pub(super) fn is_independent(&self) -> bool {
        self.segments.first().is_none_or(|segment| segment.is_independent)
    }

    pub(super) fn part_count(&self) -> u64 {
        self.segments.iter().map(|segment| segment.parts.len() as u64).sum()
    }

    /// Each part with its segment's number, and its own in that.
    pub(super) fn parts(&self) -> impl Iterator<Item = (u64, usize, &Part)> {
        self.segments
            .iter()
            .flat_map(|segment| segment.parts.iter().enumerate().map(|(index, part)| (segment.number, index, part)))
    }
}

impl Layout {
    /// The segments as they are listed.
    pub(super) fn listed(self, segmenter: &Segmenter) -> Vec<Listed<'_>> {
        let segments = segmenter.store().segments();
        match self {
            Self::Plain => segments.iter().map(Listed::of).collect(),
            Self::Gops => {
                let mut listed = gops(segments.iter(), |_, gop| gop);
                if let Some(last) = listed.last_mut() {
                    last.is_complete &= !segmenter.gop_goes_on();
                }
                listed
            }
            Self::From(first, _) => {
                let split = segments.partition_point(|segment| segment.number < first);
                let (before, after) = (segments.range(..split), segments.range(split..));
                // Counted from behind, since those in front are forgotten one day.
                gops(before, |behind, _| first.saturating_sub(behind))
                    .into_iter()
                    .chain(after.map(Listed::of))
                    .collect()
            }
        }
    }

    /// Which part comes next, as the segments are listed: of which segment, and its number in that.
    pub(super) fn next_of(self, listed: &[Listed<'_>], segmenter: &Segmenter) -> (u64, u64) {
        match listed.last() {
            Some(last) if last.is_complete => (last.number.saturating_add(1), 0),
            Some(last) => (last.number, last.part_count()),
            None if self == Self::Gops => (segmenter.store().next_gop(), 0),
            None => segmenter.store().hint(),
        }
    }

    /// The target duration in seconds, if segments as they are have that one.
    pub(super) fn target_seconds(self, of_plain: u64) -> u64 {
        match self {
            Self::Plain => of_plain,
            Self::Gops => GOP_SECONDS,
            Self::From(_, seconds) => seconds,
        }
    }

    /// Sees to it that playlists can list so; says no as long as more has to come for that, and `None` to what nobody can
    /// have been told.
    pub(super) fn prepare(self, segmenter: &mut Segmenter, now: SystemTime) -> Option<bool> {
        let is_started = segmenter.start(now);
        let Self::From(first, seconds) = self else { return Some(is_started) };
        let (next, parts) = segmenter.store().hint();
        if first > next.saturating_add(1) || !(SEGMENT_SECONDS..=GOP_SECONDS).contains(&seconds) {
            return None;
        }
        let listed = self.listed(segmenter);
        let (mut before, after): (Vec<_>, Vec<_>) = listed.into_iter().partition(|listed| listed.number < first);
        // Frames that come as nobody could foresee, or a name that nobody was told.
        if before.iter().any(|listed| target_seconds(listed.duration_ms()) > seconds) {
            return None;
        }
        before.retain(|listed| listed.is_complete);
        let begins_with_key = before.len() >= WHOLE_LEAST && after.first().is_some_and(Listed::is_independent);
        if first < next || segmenter.is_over() || (first == next && begins_with_key) {
            return Some(is_started);
        }
        // That segment has to be there, and no more than a part of it, if that can be.
        if parts > 0 || first == next {
            segmenter.make_way(now);
        }
        Some(is_started && segmenter.store().hint().0 > first)
    }

    /// What its playlists are called.
    pub(super) fn file_name(self) -> String {
        match self {
            Self::Plain => "media.m3u8".into(),
            Self::Gops => "gops.m3u8".into(),
            Self::From(first, seconds) => format!("media-{first}-{seconds}.m3u8"),
        }
    }

    /// One with which a player can begin that asks for it at once.
    pub(super) fn for_newcomer(segmenter: &Segmenter) -> Self {
        let plain = Self::Plain.listed(segmenter);
        if segmenter.target_seconds().is_none() || suits(&plain) {
            return Self::Plain;
        }
        let gops = Self::Gops.listed(segmenter);
        let longest = gops.iter().map(Listed::duration_ms).max().unwrap_or(0);
        if longest > longest_ms(SEGMENT_SECONDS) && suits(&gops) {
            return Self::Gops;
        }
        let (next, _) = segmenter.store().hint();
        let growing = plain.last().filter(|last| !last.is_complete);
        let has_whole = gops.iter().filter(|gop| gop.is_complete).count() >= WHOLE_LEAST;
        let first = if has_whole && growing.is_some_and(Listed::is_independent) { next } else { next + 1 };
        Self::From(first, target_seconds(longest.max(segmenter.gop_most_ms())))
    }
}

/// GOPs of which nothing is forgotten, numbered by how many there are up to the last, and by their own number.
fn gops<'a>(segments: impl Iterator<Item = &'a Segment>, number: impl Fn(u64, u64) -> u64) -> Vec<Listed<'a>> {
    let mut gops: Vec<Listed<'a>> = Vec::new();
    for segment in segments {
        match gops.last_mut().filter(|_| !segment.begins_gop) {
            Some(gop) => {
                gop.segments.push(segment);
                gop.is_complete = segment.is_complete;
            }
            None if segment.begins_gop => {
                gops.push(Listed { number: segment.gop, ..Listed::of(segment) });
            }
            None => {}
        }
    }
    let count = gops.len() as u64;
    for (gop, before) in gops.iter_mut().zip(0..) {
        gop.number = number(count - before, gop.number);
    }
    gops
}

/// Whether players find a key frame wherever they begin.
fn suits(listed: &[Listed<'_>]) -> bool {
    let open = listed.iter().filter(|listed| !listed.is_complete);
    let mut whole = listed.iter().rev().filter(|listed| listed.is_complete);
    let last = whole.next();
    let mut behind_ms = 0;
    let mut near: Vec<_> = whole
        .take_while(|listed| {
            let is_local_address = behind_ms < BEGINS_BEFORE_LAST_MS;
            behind_ms += listed.duration_ms();
            is_local_address
        })
        .collect();
    let is_there = near.len() + 1 >= WHOLE_LEAST;
    near.extend(last.into_iter().chain(open));
    is_there && near.into_iter().all(Listed::is_independent)
}
