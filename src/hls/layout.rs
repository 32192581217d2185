//! Playlist layouts: how parts are grouped into the segments of a playlist. All playlists list the same parts; the
//! grouping is chosen for each player so that it can start immediately.
//!
//! Some players start at the last complete segments (ffmpeg at the third from the end, VLC 15 s before it, and not at
//! all if there is only one), hls.js a few parts before the end, and none of them displays anything before a key frame.
//! So whatever precedes a player's start is listed in complete GOPs, each as a single segment.

use std::time::SystemTime;

use super::segment::{Part, Segment};
use super::segment_timing::{MAX_GOP_SECONDS, SEGMENT_SECONDS, max_duration_ms, target_seconds};
use super::segmenter::{MIN_COMPLETE_SEGMENTS, Segmenter};

/// Players without support for parts start at most this long before the last complete segment, in milliseconds.
const START_BEFORE_LAST_MS: u64 = 15_000;

/// How a playlist groups the stored segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Each stored segment is listed by itself.
    Segments,
    /// The segments of a GOP are listed as one.
    Gops,
    /// Segments before the given number are listed per GOP, the others by themselves, with the given target duration in
    /// seconds. The segment with that number starts with a key frame, or else where the first playlist with this layout
    /// was requested.
    GopsThenSegments(u64, u64),
}

/// A segment in a playlist: one or more stored segments.
#[derive(Debug)]
pub(super) struct ListedSegment<'a> {
    pub number: u64,
    pub segments: Vec<&'a Segment>,
    /// It has all its parts.
    pub is_complete: bool,
}

impl<'a> ListedSegment<'a> {
    fn of(segment: &'a Segment) -> Self {
        Self { number: segment.number, segments: vec![segment], is_complete: segment.is_complete }
    }

    /// Returns the duration up to now, in milliseconds.
    pub(super) fn duration_ms(&self) -> u64 {
        self.segments.iter().map(|segment| segment.duration_ms()).sum()
    }

    /// Whether a player can start at it.
    pub(super) fn is_independent(&self) -> bool {
        self.segments.first().is_none_or(|segment| segment.is_independent)
    }

    pub(super) fn part_count(&self) -> u64 {
        self.segments.iter().map(|segment| segment.parts.len() as u64).sum()
    }

    /// Returns the parts, each with the number of its stored segment and its index in that.
    pub(super) fn parts(&self) -> impl Iterator<Item = (u64, usize, &Part)> {
        self.segments
            .iter()
            .flat_map(|segment| segment.parts.iter().enumerate().map(|(index, part)| (segment.number, index, part)))
    }
}

impl Layout {
    /// Groups the stored segments.
    pub(super) fn list(self, segmenter: &Segmenter) -> Vec<ListedSegment<'_>> {
        let segments = segmenter.store().segments();
        match self {
            Self::Segments => segments.iter().map(ListedSegment::of).collect(),
            Self::Gops => {
                let mut listed = group_by_gop(segments.iter(), |_, gop| gop);
                if let Some(last) = listed.last_mut() {
                    last.is_complete &= !segmenter.continues_gop();
                }
                listed
            }
            Self::GopsThenSegments(first, _) => {
                let split = segments.partition_point(|segment| segment.number < first);
                let (before, after) = (segments.range(..split), segments.range(split..));
                // Numbered from the end, since the first ones are evicted.
                group_by_gop(before, |from_end, _| first.saturating_sub(from_end))
                    .into_iter()
                    .chain(after.map(ListedSegment::of))
                    .collect()
            }
        }
    }

    /// Returns the next part in terms of the listed segments: media sequence number and part index.
    pub(super) fn next_part(self, listed: &[ListedSegment<'_>], segmenter: &Segmenter) -> (u64, u64) {
        match listed.last() {
            Some(last) if last.is_complete => (last.number.saturating_add(1), 0),
            Some(last) => (last.number, last.part_count()),
            None if self == Self::Gops => (segmenter.store().next_gop(), 0),
            None => segmenter.store().next_part(),
        }
    }

    /// Returns the target duration in seconds, given that of the stored segments.
    pub(super) fn target_seconds(self, of_segments: u64) -> u64 {
        match self {
            Self::Segments => of_segments,
            Self::Gops => MAX_GOP_SECONDS,
            Self::GopsThenSegments(_, seconds) => seconds,
        }
    }

    /// Prepares the segmenter for playlists with this layout; `false` while more fragments are needed, `None` for a
    /// layout that was never offered to a player.
    pub(super) fn prepare(self, segmenter: &mut Segmenter, now: SystemTime) -> Option<bool> {
        let has_target = segmenter.choose_target_duration(now);
        let Self::GopsThenSegments(first, seconds) = self else { return Some(has_target) };
        let (next, parts) = segmenter.store().next_part();
        if first > next.saturating_add(1) || !(SEGMENT_SECONDS..=MAX_GOP_SECONDS).contains(&seconds) {
            return None;
        }
        let listed = self.list(segmenter);
        let (mut before, after): (Vec<_>, Vec<_>) = listed.into_iter().partition(|listed| listed.number < first);
        // Irregular frames, or a layout that was never offered.
        if before.iter().any(|listed| target_seconds(listed.duration_ms()) > seconds) {
            return None;
        }
        before.retain(|listed| listed.is_complete);
        let starts_with_key_frame =
            before.len() >= MIN_COMPLETE_SEGMENTS && after.first().is_some_and(ListedSegment::is_independent);
        if first < next || segmenter.has_ended() || (first == next && starts_with_key_frame) {
            return Some(has_target);
        }
        // The segment must exist, with a single part if possible.
        if parts > 0 || first == next {
            segmenter.end_segment_for_new_player(now);
        }
        Some(has_target && segmenter.store().next_part().0 > first)
    }

    /// Returns the file name of playlists with this layout.
    pub(super) fn file_name(self) -> String {
        match self {
            Self::Segments => "media.m3u8".into(),
            Self::Gops => "gops.m3u8".into(),
            Self::GopsThenSegments(first, seconds) => format!("media-{first}-{seconds}.m3u8"),
        }
    }

    /// Chooses a layout at which a new player can start immediately.
    pub(super) fn for_new_player(segmenter: &Segmenter) -> Self {
        let plain = Self::Segments.list(segmenter);
        if segmenter.target_seconds().is_none() || are_starts_independent(&plain) {
            return Self::Segments;
        }
        let gops = Self::Gops.list(segmenter);
        let longest = gops.iter().map(ListedSegment::duration_ms).max().unwrap_or(0);
        if longest > max_duration_ms(SEGMENT_SECONDS) && are_starts_independent(&gops) {
            return Self::Gops;
        }
        let (next, _) = segmenter.store().next_part();
        let open_segment = plain.last().filter(|last| !last.is_complete);
        let has_complete_gops = gops.iter().filter(|gop| gop.is_complete).count() >= MIN_COMPLETE_SEGMENTS;
        let first =
            if has_complete_gops && open_segment.is_some_and(ListedSegment::is_independent) { next } else { next + 1 };
        Self::GopsThenSegments(first, target_seconds(longest.max(segmenter.max_gop_ms())))
    }
}

/// Groups segments into GOPs, without those that are partly evicted; `number` maps the count of GOPs up to the last and
/// the GOP's own number to the listed number.
fn group_by_gop<'a>(
    segments: impl Iterator<Item = &'a Segment>,
    number: impl Fn(u64, u64) -> u64,
) -> Vec<ListedSegment<'a>> {
    let mut gops: Vec<ListedSegment<'a>> = Vec::new();
    for segment in segments {
        match gops.last_mut().filter(|_| !segment.starts_gop) {
            Some(gop) => {
                gop.segments.push(segment);
                gop.is_complete = segment.is_complete;
            }
            None if segment.starts_gop => {
                gops.push(ListedSegment { number: segment.gop, ..ListedSegment::of(segment) });
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

/// Whether all positions at which players may start have a key frame.
fn are_starts_independent(listed: &[ListedSegment<'_>]) -> bool {
    let open = listed.iter().filter(|listed| !listed.is_complete);
    let mut complete = listed.iter().rev().filter(|listed| listed.is_complete);
    let last = complete.next();
    let mut distance_ms = 0;
    let mut starts: Vec<_> = complete
        .take_while(|listed| {
            let is_near = distance_ms < START_BEFORE_LAST_MS;
            distance_ms += listed.duration_ms();
            is_near
        })
        .collect();
    let is_sufficient = starts.len() + 1 >= MIN_COMPLETE_SEGMENTS;
    starts.extend(last.into_iter().chain(open));
    is_sufficient && starts.into_iter().all(ListedSegment::is_independent)
}
