//! A file opened for one viewer.

use std::fs::File;
use std::sync::Arc;

use super::FileCursor;
use super::shared_file::SharedFile;
use crate::error::{Error, Result};
use crate::flv::{Damage, Metadata, Preamble, Reader};
use crate::fmp4::Formats;
use crate::limits;
use crate::media::Packet;

/// Read buffer for skipping over tags.
const SCAN_BUFFER_BYTES: usize = 1024;

/// An FLV file opened for one viewer, for [`play`](super::play).
#[derive(Debug)]
pub(crate) struct Video {
    pub(super) name: String,
    pub(super) file: Arc<File>,
    pub(super) reader: Reader<FileCursor>,
    pub(super) preamble: Preamble,
    /// State shared with the other viewers of the file.
    pub(super) shared: Arc<SharedFile>,
    parsed_metadata: Metadata,
}

impl Video {
    /// Reads the preamble of a file. `share` returns its shared state. Fails with [`Error::Flv`] and [`Error::Limit`]
    /// when the file isn't FLV, and [`Error::Io`].
    pub(super) fn new(
        name: String,
        file: File,
        share: impl FnOnce(&File, &Preamble, &Metadata) -> Result<Arc<SharedFile>>,
    ) -> Result<Box<Self>> {
        let file = Arc::new(file);
        let mut reader = Reader::with_buffer(limits::VOD_BATCH_BYTES, FileCursor::new(file.clone()))?;
        let preamble = Preamble::read(&mut reader)?;
        let metadata =
            preamble.metadata.as_ref().and_then(|packet| Metadata::parse(&packet.payload)).unwrap_or_default();
        let shared = share(&file, &preamble, &metadata)?;
        Ok(Box::new(Self { name, file, reader, preamble, shared, parsed_metadata: metadata }))
    }

    /// Returns the file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Returns a cursor at the start of the file.
    pub(super) fn cursor(&self) -> FileCursor {
        FileCursor::new(self.file.clone())
    }

    /// Returns the file's current status.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn status(&self) -> Result<std::fs::Metadata> {
        self.file.metadata().map_err(|error| Error::io("reading a video file's status", error))
    }

    /// Returns the file's path below the library's folder.
    #[cfg(test)]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the file's `onMetaData`, at time 0.
    pub(crate) fn metadata(&self) -> Option<&Packet> {
        self.preamble.metadata.as_ref()
    }

    /// Returns the formats of video and audio, as far as the tags around the first frame contain them.
    pub(crate) fn formats(&self) -> Formats {
        let mut formats = Formats::default();
        let headers = self.shared.index.lock().sequence_headers(self.preamble.first_frame);
        for header in &headers {
            formats.update(header);
        }
        if let Err(error) = self.probe_frames(&mut formats) {
            log::debug!("{}: {error}", self.name.escape_debug());
        }
        formats.video = formats.video.map(|video| video.or_size(self.parsed_metadata.size()));
        formats
    }

    /// Reads the first frames: some codecs have no configuration, and some encoders send an empty one before the real
    /// one.
    fn probe_frames(&self, formats: &mut Formats) -> Result<()> {
        let mut reader = Reader::with_buffer(SCAN_BUFFER_BYTES, self.cursor())?;
        reader.seek_to(self.preamble.first_frame)?;
        for _ in 0..limits::FLV_PREAMBLE_TAGS {
            if formats.are_complete() {
                break;
            }
            let Some(start) = reader.next_start()? else { break };
            let Some(kind) = start.header.kind() else { continue };
            if start.is_sequence_header() && start.header.data_size as usize <= limits::FLV_SEQUENCE_HEADER_BYTES {
                reader.seek_to(start.position)?;
                if let Some(packet) = reader.next_packet()? {
                    formats.update(&packet);
                }
            } else if formats.needs_frames(kind) {
                let payload = start.bytes().to_vec();
                formats.update(&Packet { kind, timestamp: start.header.timestamp, payload: payload.into() });
            }
        }
        Ok(())
    }

    /// Returns the duration in seconds: the time of the last playable frame, whatever the metadata says, or the
    /// metadata's duration if all frames are at 0. `None` when there is neither.
    pub(crate) fn duration(&self) -> Option<f64> {
        let last = self.last_frame_ms().filter(|milliseconds| *milliseconds > 0);
        last.map(|milliseconds| f64::from(milliseconds) / 1000.0).or(self.parsed_metadata.duration)
    }

    /// Returns the time of the last playable frame in milliseconds; `None` without frames or when the file can't be
    /// read.
    pub(super) fn last_frame_ms(&self) -> Option<u32> {
        let extent = self.shared.extent(&self.name, self.cursor(), &self.preamble, &self.parsed_metadata);
        let extent = extent.inspect_err(|error| log::debug!("{}: {error}", self.name.escape_debug())).ok()?;
        // A search may have found damage in the middle of the file.
        let damage = self.shared.index.lock().damage().filter(|(offset, _)| *offset < extent.end);
        damage.map_or(extent.last_frame_ms, |(_, last_ms)| last_ms)
    }

    /// Logs an error of the file; damage once only.
    pub(super) fn warn(&self, error: &Error) {
        match error {
            Error::Flv { offset, reason } => {
                self.shared.report(&self.name, &Damage { offset: *offset, reason: reason.to_string() });
            }
            _ => log::warn!("video \"{}\": {error}", self.name.escape_debug()),
        }
    }
}
