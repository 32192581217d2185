//! A file opened for one viewer.

use std::fs::File;
use std::sync::Arc;

use super::FileCursor;
use super::shared_file::SharedFile;
use crate::flv::{Damage, Metadata, Preamble, Reader};
use crate::fmp4::Formats;
use crate::media::Packet;
use crate::{Error, Result, limits};

/// For hopping over tags.
const HOP_BUFFER_BYTES: usize = 1024;

/// An FLV file opened for one viewer, to be handed to [`play`](super::play).
#[derive(Debug)]
pub(crate) struct Video {
    pub(super) name: String,
    pub(super) file: Arc<File>,
    pub(super) reader: Reader<FileCursor>,
    pub(super) head: Preamble,
    /// What it shares with the other viewers of the file.
    pub(super) shared: Arc<SharedFile>,
    listed: Metadata,
}

impl Video {
    /// Reads the head of a file. `share` finds what is known of the file already. Fails with [`Error::Flv`] and [`Error::Limit`] when the file isn't FLV, and [`Error::Io`].
    pub(super) fn new(
        name: String,
        file: File,
        share: impl FnOnce(&File, &Preamble, &Metadata) -> Result<Arc<SharedFile>>,
    ) -> Result<Box<Self>> {
        let file = Arc::new(file);
        let mut reader = Reader::with_buffer(limits::VOD_BATCH_BYTES, FileCursor::new(file.clone()))?;
        let head = Preamble::read(&mut reader)?;
        let metadata = head.metadata.as_ref().and_then(|packet| Metadata::parse(&packet.payload)).unwrap_or_default();
        let shared = share(&file, &head, &metadata)?;
        Ok(Box::new(Self { name, file, reader, head, shared, listed: metadata }))
    }

    /// The file itself.
    pub(crate) fn file(&self) -> &File {
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
    pub(crate) fn status(&self) -> Result<std::fs::Metadata> {
        self.file.metadata().map_err(|error| Error::io("looking at a video file", error))
    }

    /// The file's path below the library's folder.
    #[cfg(test)]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The file's `onMetaData`, at time 0.
    pub(crate) fn metadata(&self) -> Option<&Packet> {
        self.head.metadata.as_ref()
    }

    /// How its video and audio are coded, as far as the tags around the first frame tell.
    pub(crate) fn formats(&self) -> Formats {
        let mut formats = Formats::default();
        let headers = self.shared.index.lock().sequence_headers(self.head.first_frame);
        for header in &headers {
            formats.note(header);
        }
        if let Err(error) = self.probe_frames(&mut formats) {
            log::debug!("{}: {error}", self.name.escape_debug());
        }
        formats.video = formats.video.map(|video| video.or_size(self.listed.size()));
        formats
    }

    /// Codecs without configuration show in their frames, and some encoders send an empty configuration before the real one.
    fn probe_frames(&self, formats: &mut Formats) -> Result<()> {
        let mut reader = Reader::with_buffer(HOP_BUFFER_BYTES, self.cursor())?;
        reader.seek_to(self.head.first_frame)?;
        for _ in 0..limits::FLV_PREAMBLE_TAGS {
            if formats.are_complete() {
                break;
            }
            let Some(start) = reader.next_start()? else { break };
            let Some(kind) = start.header.kind() else { continue };
            if start.is_sequence_header() && start.header.data_size as usize <= limits::FLV_SEQUENCE_HEADER_BYTES {
                reader.seek_to(start.position)?;
                if let Some(packet) = reader.next_packet()? {
                    formats.note(&packet);
                }
            } else if formats.is_open(kind) {
                let payload = start.bytes().to_vec();
                formats.note(&Packet { kind, timestamp: start.header.timestamp, payload: payload.into() });
            }
        }
        Ok(())
    }

    /// Length in seconds: the time of the last frame that can be played, whatever the metadata says. That counts for a file
    /// whose frames are all at 0. `None` when there is neither.
    pub(crate) fn duration(&self) -> Option<f64> {
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
