//! The segment boundaries of a recording.

use super::Video;
use super::fragments::{Fragments, find};
use super::source::Source;
use crate::error::Result;
use crate::flv::KeyFrame;
use crate::fmp4::MuxerOutput;

/// The start of a segment of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentBoundary {
    /// Start time in milliseconds.
    pub time_ms: u32,
    /// Whether its initialization segment differs from that of the previous segment.
    pub has_new_init: bool,
}

/// Returns the boundaries, at most `max` of them, and the end of the recording in milliseconds. Boundaries are at key
/// frames about `interval_ms` apart, and where the codec configuration changes.
///
/// # Errors
/// As [`Fragments::new`], and those of `open`.
pub(crate) fn segment_boundaries(
    open: impl Fn() -> Result<Box<Video>>,
    interval_ms: u32,
    max: usize,
) -> Result<(Vec<SegmentBoundary>, u32)> {
    let video = open()?;
    let source = Source::new(video);
    let end_ms = |source: &Source| source.video().last_frame_ms().unwrap_or(0);
    let end = end_ms(&source);
    let mut last = source.first_frame();
    let (mut known, mut distance) = (source.changes_before(last), interval_ms);
    let mut boundaries = vec![SegmentBoundary { time_ms: last.time_ms, has_new_init: false }];
    while boundaries.len() < max {
        let target = last.time_ms.saturating_add(distance).min(end);
        let found = find(&source, target)?;
        let changed = (source.changes_before(found) > known).then(|| first_change(&source, known, last, found));
        let (next, has_new_init) = match changed.transpose()? {
            Some(changed) => {
                known = source.changes_before(changed);
                if init(open()?, last)? == init(open()?, changed)? {
                    continue;
                }
                (changed, true)
            }
            None if target == end => break,
            None => (found, false),
        };
        if next.time_ms > last.time_ms {
            boundaries.push(SegmentBoundary { time_ms: next.time_ms, has_new_init });
            (last, distance) = (next, interval_ms);
        } else {
            // The GOP is longer than the interval.
            distance = distance.saturating_add(interval_ms);
        }
    }
    // The search may have found damage that was not known before.
    let end = end.min(end_ms(&source));
    Ok((boundaries, end.max(last.time_ms.saturating_add(1))))
}

/// Returns the first key frame after `from`, up to `to`, with more than `known` sequence header changes before it.
fn first_change(source: &Source, known: usize, from: KeyFrame, to: KeyFrame) -> Result<KeyFrame> {
    let (mut before, mut after) = (from.time_ms, to);
    while after.time_ms.saturating_sub(before) > 1 {
        let middle = before + (after.time_ms - before) / 2;
        let found = find(source, middle)?;
        if source.changes_before(found) > known {
            after = found;
        } else {
            before = middle;
        }
    }
    Ok(after)
}

/// Returns the initialization segment for the fragments from a key frame on.
fn init(video: Box<Video>, key_frame: KeyFrame) -> Result<Option<Vec<u8>>> {
    Ok(match Fragments::new(video, key_frame.time_ms)?.next().transpose()? {
        Some(MuxerOutput::Init(init)) => Some(init.bytes),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::fixtures;
    use crate::media::{Packet, PacketKind};
    use crate::vod::Library;

    #[test]
    fn boundaries_are_at_key_frames_and_configuration_changes() {
        let dir = tempfile::tempdir().unwrap();
        let library = Library::new(dir.path().to_owned());
        let boundaries_of = |packets: &[Packet], interval_ms, max| {
            std::fs::write(dir.path().join("a.flv"), fixtures::file(packets)).unwrap();
            let (boundaries, end) = segment_boundaries(|| library.open("a"), interval_ms, max).unwrap();
            (boundaries.into_iter().map(|boundary| (boundary.time_ms, boundary.has_new_init)).collect::<Vec<_>>(), end)
        };
        let typical = fixtures::typical(10);
        assert_eq!(boundaries_of(&typical, 4000, 100), (vec![(0, false), (4000, false), (8000, false)], 9800));
        assert_eq!(boundaries_of(&typical, 4000, 2), (vec![(0, false), (4000, false)], 9800));
        // A repeated header changes nothing, nor does one that MP4 can't carry; 48 kHz instead of 44.1 does.
        let other = fixtures::packet(PacketKind::Audio, 6000, &[0xaf, 0, 0x11, 0x90]);
        let headers = [fixtures::audio_header(3000), fixtures::video_header(5000, 2), other];
        let later = [&headers[..1], &fixtures::seconds(3000, 2), &headers[1..2], &fixtures::seconds(5000, 1)].concat();
        let packets = [fixtures::typical(3), later, headers[2..].to_vec(), fixtures::seconds(6000, 5)].concat();
        let expected = vec![(0, false), (4000, false), (6000, true), (10_000, false)];
        assert_eq!(boundaries_of(&packets, 4000, 100), (expected, 10_800));
    }
}
