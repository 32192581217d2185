//! A file as fragmented MP4, as fast as it is taken.

use std::collections::VecDeque;

use super::Video;
use super::source::{Source, Step};
use crate::Result;
use crate::flv::KeyFrame;
use crate::fmp4::{Fragment, Muxer, MuxerOutput};
use crate::media::PacketKind;

/// The pieces of a file from a place on. Times are the file's own, wherever it begins.
pub(crate) struct Fragments {
    source: Source,
    muxer: Muxer,
    made: Vec<MuxerOutput>,
    ready: VecDeque<MuxerOutput>,
    has_ended: bool,
}

impl Fragments {
    /// From the last key frame at or before a time, in milliseconds.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when the file can't be read, [`crate::Error::Flv`] when it makes no sense.
    pub(crate) fn new(video: Box<Video>, start_ms: u32) -> Result<Self> {
        let duration_ms = video.duration().map(|seconds| (seconds * 1000.0) as u64);
        let mut source = Source::new(video);
        let place = find(&source, start_ms)?;
        let (mut muxer, mut made) = (Muxer::of_file(duration_ms), Vec::new());
        if let Some(metadata) = source.video().metadata() {
            muxer.push(metadata, &mut made);
        }
        source.seek_to_position(place)?.iter().for_each(|header| muxer.push(header, &mut made));
        Ok(Self { source, muxer, made, ready: VecDeque::new(), has_ended: false })
    }

    /// Whether a file has a video frame to show for itself: the initialisation segment and the first key frame.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn poster(video: Box<Video>) -> Result<Option<[MuxerOutput; 2]>> {
        let (mut pieces, mut init) = (Self::new(video, 0)?, None);
        // Where there are no video frames among the first frames there are none.
        for piece in pieces.by_ref().take(crate::limits::FLV_PREAMBLE_TAGS) {
            match piece? {
                piece @ MuxerOutput::Init(_) => init = Some(piece),
                MuxerOutput::Fragment(fragment) if fragment.kind == PacketKind::Video && fragment.is_key_frame => {
                    return Ok(init.map(|init| [init, MuxerOutput::Fragment(fragment)]));
                }
                MuxerOutput::Fragment(_) => {}
            }
        }
        Ok(None)
    }

    /// What lies before the key frame at that time, the initialisation segment left out.
    pub(crate) fn up_to(self, end_ms: u64) -> impl Iterator<Item = Result<Fragment>> {
        let fragments = self.filter_map(|piece| match piece {
            Ok(MuxerOutput::Init(_)) => None,
            Ok(MuxerOutput::Fragment(fragment)) => Some(Ok(fragment)),
            Err(error) => Some(Err(error)),
        });
        fragments.take_while(move |fragment| {
            fragment.as_ref().map_or(true, |fragment| !fragment.is_key_frame || fragment.time_ms < end_ms)
        })
    }

    /// How many bytes [`up_to`](Self::up_to) comes to, without making them.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub(crate) fn length_up_to(mut self, end_ms: u64) -> Result<u64> {
        self.muxer.leave_out_bytes();
        self.up_to(end_ms).map(|fragment| Ok(fragment?.length as u64)).sum()
    }
}

pub(super) fn find(source: &Source, target_ms: u32) -> Result<KeyFrame> {
    let mut scanner = source.scanner()?;
    loop {
        if let Some(place) = source.find_step(&mut scanner, target_ms)? {
            return Ok(place);
        }
    }
}

/// Damage goes to the log and is the end; trouble with reading is an error, and then the end.
impl Iterator for Fragments {
    type Item = Result<MuxerOutput>;

    fn next(&mut self) -> Option<Result<MuxerOutput>> {
        while self.ready.is_empty() && !self.has_ended {
            match self.source.step() {
                Step::Packet(packet) => self.muxer.push(&packet, &mut self.made),
                Step::Nothing => {}
                Step::End => {
                    self.has_ended = true;
                    self.muxer.finish(&mut self.made);
                }
                Step::Failed(error) => {
                    self.has_ended = true;
                    return Some(Err(error));
                }
            }
            self.ready.extend(self.made.drain(..));
        }
        self.ready.pop_front().map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::fixtures;
    use crate::vod::Library;

    #[test]
    fn a_file_begins_at_the_key_frame_before_a_time_with_its_own_times() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.flv"), fixtures::file(&fixtures::typical(10))).unwrap();
        let library = Library::new(dir.path().to_owned());
        let times = |start_ms| -> Vec<u64> {
            let pieces = Fragments::new(library.open("a").unwrap(), start_ms).unwrap();
            let fragments = pieces.map(Result::unwrap);
            fragments
                .filter_map(|piece| if let MuxerOutput::Fragment(one) = piece { Some(one.time_ms) } else { None })
                .collect()
        };
        let (whole, part) = (times(0), times(3_500));
        assert_eq!((whole[0], part[0]), (0, 3_000));
        assert!(part.is_sorted() && whole.last().unwrap().abs_diff(*part.last().unwrap()) < 30, "{part:?}");
    }
}
