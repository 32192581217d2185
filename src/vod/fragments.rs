//! A file as fragmented MP4, muxed on demand.

use std::collections::VecDeque;

use super::Video;
use super::source::{ReadOutcome, Source};
use crate::error::Result;
use crate::flv::KeyFrame;
use crate::fmp4::{Fragment, Muxer, MuxerOutput};
use crate::media::PacketKind;

/// Iterates over the initialization segments and fragments of a file from a position on. Times are those of the file,
/// regardless of the start.
pub(crate) struct Fragments {
    source: Source,
    muxer: Muxer,
    output: Vec<MuxerOutput>,
    ready: VecDeque<MuxerOutput>,
    has_ended: bool,
}

impl Fragments {
    /// Starts at the last key frame at or before a time in milliseconds.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when the file can't be read, [`crate::Error::Flv`] when it is damaged.
    pub(crate) fn new(video: Box<Video>, start_ms: u32) -> Result<Self> {
        let duration_ms = video.duration().map(|seconds| (seconds * 1000.0) as u64);
        let mut source = Source::new(video);
        let key_frame = find(&source, start_ms)?;
        let (mut muxer, mut output) = (Muxer::for_file(duration_ms), Vec::new());
        if let Some(metadata) = source.video().metadata() {
            muxer.push(metadata, &mut output);
        }
        source.seek_to(key_frame)?.iter().for_each(|header| muxer.push(header, &mut output));
        Ok(Self { source, muxer, output, ready: VecDeque::new(), has_ended: false })
    }

    /// Returns the initialization segment and the first key frame, as a poster; `None` when the file has no video.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn poster(video: Box<Video>) -> Result<Option<[MuxerOutput; 2]>> {
        let (mut fragments, mut init) = (Self::new(video, 0)?, None);
        // If there is no video among the first frames, there is none.
        for output in fragments.by_ref().take(crate::limits::FLV_PREAMBLE_TAGS) {
            match output? {
                output @ MuxerOutput::Init(_) => init = Some(output),
                MuxerOutput::Fragment(fragment) if fragment.kind == PacketKind::Video && fragment.is_key_frame => {
                    return Ok(init.map(|init| [init, MuxerOutput::Fragment(fragment)]));
                }
                MuxerOutput::Fragment(_) => {}
            }
        }
        Ok(None)
    }

    /// Returns the fragments before the key frame at or after `end_ms`, without initialization segments.
    pub(crate) fn until(self, end_ms: u64) -> impl Iterator<Item = Result<Fragment>> {
        let fragments = self.filter_map(|output| match output {
            Ok(MuxerOutput::Init(_)) => None,
            Ok(MuxerOutput::Fragment(fragment)) => Some(Ok(fragment)),
            Err(error) => Some(Err(error)),
        });
        fragments.take_while(move |fragment| {
            fragment.as_ref().map_or(true, |fragment| !fragment.is_key_frame || fragment.time_ms < end_ms)
        })
    }

    /// Returns the size in bytes of [`until`](Self::until), without muxing the data.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub(crate) fn size_until(mut self, end_ms: u64) -> Result<u64> {
        self.muxer.set_size_only();
        self.until(end_ms).map(|fragment| Ok(fragment?.length as u64)).sum()
    }
}

pub(super) fn find(source: &Source, target_ms: u32) -> Result<KeyFrame> {
    let mut scanner = source.scanner()?;
    loop {
        if let Some(key_frame) = source.search(&mut scanner, target_ms)? {
            return Ok(key_frame);
        }
    }
}

/// Ends at damage, which is logged, and after an I/O error.
impl Iterator for Fragments {
    type Item = Result<MuxerOutput>;

    fn next(&mut self) -> Option<Result<MuxerOutput>> {
        while self.ready.is_empty() && !self.has_ended {
            match self.source.read_next() {
                ReadOutcome::Packet(packet) => self.muxer.push(&packet, &mut self.output),
                ReadOutcome::Skipped => {}
                ReadOutcome::End => {
                    self.has_ended = true;
                    self.muxer.finish(&mut self.output);
                }
                ReadOutcome::Failed(error) => {
                    self.has_ended = true;
                    return Some(Err(error));
                }
            }
            self.ready.extend(self.output.drain(..));
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
    fn fragments_start_at_the_key_frame_before_a_time_and_keep_file_times() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.flv"), fixtures::file(&fixtures::typical(10))).unwrap();
        let library = Library::new(dir.path().to_owned());
        let times = |start_ms| -> Vec<u64> {
            let fragments = Fragments::new(library.open("a").unwrap(), start_ms).unwrap();
            let fragments = fragments.map(Result::unwrap);
            fragments
                .filter_map(|output| if let MuxerOutput::Fragment(one) = output { Some(one.time_ms) } else { None })
                .collect()
        };
        let (whole, part) = (times(0), times(3_500));
        assert_eq!((whole[0], part[0]), (0, 3_000));
        assert!(part.is_sorted() && whole.last().unwrap().abs_diff(*part.last().unwrap()) < 30, "{part:?}");
    }
}
