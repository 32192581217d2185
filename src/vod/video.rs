//! A file opened for one viewer.

use std::fs::File;
use std::sync::Arc;

use super::FileCursor;
use super::shared_file::SharedFile;
use crate::flv::{Damage, Head, Metadata, Reader};
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
    /// What it shares with the other viewers of the file.
    pub(super) shared: Arc<SharedFile>,
    listed: Metadata,
}

impl Video {
    /// Reads the head of a file. `share` finds what is known of the file already. Fails with [`Error::Flv`] and [`Error::Limit`] when the file isn't FLV, and [`Error::Io`].
    pub(super) fn new(
        name: String,
        file: File,
        share: impl FnOnce(&File, &Head, &Metadata) -> Result<Arc<SharedFile>>,
    ) -> Result<Self> {
        let file = Arc::new(file);
        let mut reader = Reader::new(FileCursor::new(file.clone()))?;
        let head = Head::read(&mut reader)?;
        let metadata = head.metadata.as_ref().and_then(|packet| Metadata::parse(&packet.payload)).unwrap_or_default();
        let shared = share(&file, &head, &metadata)?;
        Ok(Self { name, file, reader, head, shared, listed: metadata })
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
        let headers = self.shared.index.lock().sequence_headers(self.head.first_frame);
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

    /// Length in seconds: the time of the last frame that can be played, whatever the metadata says. That counts for a file
    /// whose frames are all at 0. `None` when there is neither.
    pub fn duration(&self) -> Option<f64> {
        let last = self.last_frame_ms().filter(|milliseconds| *milliseconds > 0);
        last.map(|milliseconds| f64::from(milliseconds) / 1000.0).or(self.listed.duration)
    }

    /// The time of the last frame that can be played, in milliseconds; `None` when there is none, or it can't be read.
    pub(super) fn last_frame_ms(&self) -> Option<u32> {
        let extent = self.shared.extent(&self.name, self.cursor(), &self.head, &self.listed);
        let extent = extent.inspect_err(|error| log::debug!("{}: {error}", self.name.escape_debug())).ok()?;
        // A search may have met damage in the midst of the file.
        let damage = self.shared.index.lock().damage().filter(|(offset, _)| *offset < extent.end);
        damage.map_or(extent.last_frame_ms, |(_, last_ms)| last_ms)
    }

    /// Says in the log what is wrong with the file, and where; of damage once.
    pub(super) fn warn(&self, error: &Error) {
        match error {
            Error::Flv { offset, reason } => {
                self.shared.report(&self.name, &Damage { offset: *offset, reason: reason.to_string() });
            }
            _ => log::warn!("video \"{}\": {error}", self.name.escape_debug()),
        }
    }
}
