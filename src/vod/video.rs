//! A file opened for one viewer.

use std::fs::File;
use std::sync::Arc;

use parking_lot::Mutex;

use super::FileCursor;
use crate::flv::{self, Head, KeyframeIndex, Metadata, Reader};
use crate::fmp4::{AudioFormat, VideoFormat};
use crate::media::{Packet, PacketKind};
use crate::{Error, Result};

/// Tags from the first frame on among which sound is looked for: a picture or two come before it.
const SOUND_WITHIN: usize = 32;

/// An FLV file opened for one viewer, to be handed to [`play`](super::play).
#[derive(Debug)]
pub struct Video {
    pub(super) name: String,
    pub(super) file: Arc<File>,
    pub(super) reader: Reader<FileCursor>,
    pub(super) head: Head,
    /// Shared with the other viewers of the file.
    pub(super) index: Arc<Mutex<KeyframeIndex>>,
    listed_duration: Option<f64>,
}

impl Video {
    /// Reads the head of a file. `index` finds what is known about the file's key frames, or keeps what it
    /// is given. Fails with [`Error::Flv`] and [`Error::Limit`] when the file isn't FLV, and [`Error::Io`].
    pub(super) fn new(
        name: String,
        file: File,
        index: impl FnOnce(&File, &Head, &Metadata) -> Result<Arc<Mutex<KeyframeIndex>>>,
    ) -> Result<Self> {
        let file = Arc::new(file);
        let mut reader = Reader::new(FileCursor::new(file.clone()))?;
        let head = Head::read(&mut reader)?;
        let metadata = head.metadata.as_ref().and_then(|packet| Metadata::parse(&packet.payload)).unwrap_or_default();
        let index = index(&file, &head, &metadata)?;
        Ok(Self { name, file, reader, head, index, listed_duration: metadata.duration })
    }

    /// The file itself.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// What reads the file itself, from its start.
    pub(super) fn cursor(&self) -> FileCursor {
        FileCursor::new(self.file.clone())
    }

    /// What the system tells of the file now.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn status(&self) -> Result<std::fs::Metadata> {
        self.file.metadata().map_err(|error| Error::io("looking at a video file", error))
    }

    /// The file's path below the library's folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file's `onMetaData`, at time 0.
    pub fn metadata(&self) -> Option<&Packet> {
        self.head.metadata.as_ref()
    }

    /// How picture and sound are coded, as far as the sequence headers before the first frame tell, or, of sound that
    /// has none, one of the first frames.
    pub fn formats(&self) -> (Option<VideoFormat>, Option<AudioFormat>) {
        let headers = self.index.lock().sequence_headers(self.head.first_frame);
        let audio = headers.iter().find_map(AudioFormat::of).or_else(|| self.first_sound().ok().flatten());
        (headers.iter().find_map(VideoFormat::of), audio)
    }

    fn first_sound(&self) -> Result<Option<AudioFormat>> {
        let mut reader = Reader::new(self.cursor())?;
        reader.seek_to(self.head.first_frame)?;
        for _ in 0..SOUND_WITHIN {
            match reader.next_packet()? {
                Some(packet) if packet.kind == PacketKind::Audio => return Ok(AudioFormat::of(&packet)),
                Some(_) => {}
                None => break,
            }
        }
        Ok(None)
    }

    /// Length in seconds: what the metadata says, else the time of the last tag; `None` when the file
    /// tells neither.
    pub fn duration(&self) -> Option<f64> {
        self.listed_duration.or_else(|| self.last_tag_ms().map(|milliseconds| f64::from(milliseconds) / 1000.0))
    }

    /// The time of the last tag, in milliseconds; `None` when it can't be read, or is 0.
    pub(super) fn last_tag_ms(&self) -> Option<u32> {
        let last = flv::last_timestamp(&mut self.cursor()).ok()??;
        Some(self.head.time_base.time_ms(last)).filter(|milliseconds| *milliseconds > 0)
    }

    /// Says in the log what is wrong with the file, and where.
    pub(super) fn warn(&self, error: &Error) {
        log::warn!("video \"{}\": {error}", self.name.escape_debug());
    }
}
