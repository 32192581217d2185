//! Where a recording is cut into segments.

use super::Video;
use super::fragments::{Fragments, find};
use super::source::Source;
use crate::Result;
use crate::flv::KeyFrame;
use crate::fmp4::MuxerOutput;

/// Where a segment of a recording begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// When, in milliseconds.
    pub time_ms: u32,
    /// Whether it needs another initialisation segment than the one before it.
    pub is_other: bool,
}

/// The beginnings of segments, which are key frames about so far apart as `every_ms`, and those from which on something is
/// coded in another way; `most` of them at the most. Behind them is the end, in milliseconds.
///
/// # Errors
/// As [`Fragments::new`], and those of `open`.
pub(crate) fn cut(open: impl Fn() -> Result<Box<Video>>, every_ms: u32, most: usize) -> Result<(Vec<Cut>, u32)> {
    let video = open()?;
    let source = Source::new(video);
    let end_ms = |source: &Source| source.video().last_frame_ms().unwrap_or(0);
    let end = end_ms(&source);
    let mut last = source.first_frame();
    let (mut known, mut ahead) = (source.changes_before(last), every_ms);
    let mut cuts = vec![Cut { time_ms: last.time_ms, is_other: false }];
    while cuts.len() < most {
        let target = last.time_ms.saturating_add(ahead).min(end);
        let found = find(&source, target)?;
        let changed = (source.changes_before(found) > known).then(|| first_change(&source, known, last, found));
        let (next, is_other) = match changed.transpose()? {
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
            cuts.push(Cut { time_ms: next.time_ms, is_other });
            (last, ahead) = (next, every_ms);
        } else {
            // One GOP is longer than that.
            ahead = ahead.saturating_add(every_ms);
        }
    }
    // The search may have met damage that was not known of before.
    let end = end.min(end_ms(&source));
    Ok((cuts, end.max(last.time_ms.saturating_add(1))))
}

/// The first key frame behind `from`, up to `to`, that has more changes of sequence headers before it than are `known`.
fn first_change(source: &Source, known: usize, from: KeyFrame, to: KeyFrame) -> Result<KeyFrame> {
    let (mut without, mut with) = (from.time_ms, to);
    while with.time_ms.saturating_sub(without) > 1 {
        let middle = without + (with.time_ms - without) / 2;
        let found = find(source, middle)?;
        if source.changes_before(found) > known {
            with = found;
        } else {
            without = middle;
        }
    }
    Ok(with)
}

/// What players need before the fragments from there on.
fn init(video: Box<Video>, place: KeyFrame) -> Result<Option<Vec<u8>>> {
    Ok(match Fragments::new(video, place.time_ms)?.next().transpose()? {
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
    fn it_is_cut_at_key_frames_and_wherever_something_is_coded_in_another_way() {
        let dir = tempfile::tempdir().unwrap();
        let library = Library::new(dir.path().to_owned());
        let cuts_of = |packets: &[Packet], every_ms, most| {
            std::fs::write(dir.path().join("a.flv"), fixtures::file(packets)).unwrap();
            let (cuts, end) = cut(|| library.open("a"), every_ms, most).unwrap();
            (cuts.into_iter().map(|cut| (cut.time_ms, cut.is_other)).collect::<Vec<_>>(), end)
        };
        let usual = fixtures::typical(10);
        assert_eq!(cuts_of(&usual, 4000, 100), (vec![(0, false), (4000, false), (8000, false)], 9800));
        assert_eq!(cuts_of(&usual, 4000, 2), (vec![(0, false), (4000, false)], 9800));
        // The same header once more changes nothing, nor does one that MP4 does not know; 48 kHz for 44.1 does.
        let other = fixtures::packet(PacketKind::Audio, 6000, &[0xaf, 0, 0x11, 0x90]);
        let headers = [fixtures::audio_header(3000), fixtures::video_header(5000, 2), other];
        let later = [&headers[..1], &fixtures::seconds(3000, 2), &headers[1..2], &fixtures::seconds(5000, 1)].concat();
        let packets = [fixtures::typical(3), later, headers[2..].to_vec(), fixtures::seconds(6000, 5)].concat();
        let expected = vec![(0, false), (4000, false), (6000, true), (10_000, false)];
        assert_eq!(cuts_of(&packets, 4000, 100), (expected, 10_800));
    }
}
