//! Reads the packets of a file with the times that viewers see.

use super::{FileCursor, Video, is_same_position};
use crate::error::{Error, Result};
use crate::flv::{KeyFrame, Metadata, Reader, Search};
use crate::limits;
use crate::media::{Packet, PacketKind, Timestamp};

/// Read buffer for skipping over tags; holds the starts of a few.
const SCAN_BUFFER_BYTES: usize = 1024;

/// Reads a video from seek positions on, with times relative to the start of the file.
pub(super) struct Source {
    video: Box<Video>,
    /// The time of the last frame read.
    last_ms: u32,
    /// The end of the file or damage was reached, or nothing was sought yet; only a seek continues.
    at_end: bool,
}

/// The result of reading a tag.
pub(super) enum ReadOutcome {
    /// A packet to send. Audio and video have file time, data has time 0.
    Packet(Packet),
    /// A tag that isn't sent to viewers.
    Skipped,
    /// The end of the file, or damage.
    End,
    /// An I/O error; the next outcome is the end.
    Failed(Error),
}

impl Source {
    /// Creates a source; it has to seek before it reads.
    pub(super) fn new(video: Box<Video>) -> Self {
        Self { video, last_ms: 0, at_end: true }
    }

    pub(super) fn video(&self) -> &Video {
        &self.video
    }

    pub(super) fn first_frame(&self) -> KeyFrame {
        KeyFrame { time_ms: self.video.preamble.first_frame_ms, offset: self.video.preamble.first_frame }
    }

    /// Returns the time of the last frame read, or of the last seek position.
    pub(super) fn last_ms(&self) -> u32 {
        self.last_ms
    }

    /// Returns a reader for [`search`](Self::search).
    pub(super) fn scanner(&self) -> Result<Reader<FileCursor>> {
        Reader::with_buffer(SCAN_BUFFER_BYTES, self.video.cursor())
    }

    /// Searches for the last key frame at or before a time, by one step; `None` if the search must be continued.
    pub(super) fn search(&self, scanner: &mut Reader<FileCursor>, target_ms: u32) -> Result<Option<KeyFrame>> {
        let first_frame = self.first_frame();
        if target_ms <= first_frame.time_ms {
            return Ok(Some(first_frame));
        }
        Ok(match self.video.shared.index.lock().find(scanner, target_ms)? {
            Search::Found(key_frame) => Some(key_frame.unwrap_or(first_frame)),
            Search::Unfinished => None,
        })
    }

    /// Returns the number of sequence header changes before a key frame that was found.
    pub(super) fn changes_before(&self, key_frame: KeyFrame) -> usize {
        self.video.shared.index.lock().changes_before(key_frame.offset)
    }

    /// Seeks to a key frame; returns the sequence headers valid there, with its time.
    pub(super) fn seek_to(&mut self, key_frame: KeyFrame) -> Result<Vec<Packet>> {
        self.video.reader.seek_to(key_frame.offset)?;
        self.at_end = false;
        self.last_ms = key_frame.time_ms;
        let mut headers = self.video.shared.index.lock().sequence_headers(key_frame.offset);
        headers.iter_mut().for_each(|header| header.timestamp = Timestamp::new(key_frame.time_ms));
        Ok(headers)
    }

    /// Whether the next tag is completely buffered, so that its payload shares memory with those before it.
    pub(super) fn is_next_buffered(&self) -> bool {
        self.video.reader.is_next_buffered()
    }

    /// Reads the next tag. Damage is logged and ends the file.
    pub(super) fn read_next(&mut self) -> ReadOutcome {
        if self.at_end {
            return ReadOutcome::End;
        }
        match self.video.reader.next_shared_packet() {
            Ok(Some(packet)) => self.with_file_time(packet).map_or(ReadOutcome::Skipped, ReadOutcome::Packet),
            Ok(None) => self.end(),
            Err(error @ Error::Flv { .. }) => {
                self.video.warn(&error);
                self.end()
            }
            Err(error) => {
                self.at_end = true;
                ReadOutcome::Failed(error)
            }
        }
    }

    fn end(&mut self) -> ReadOutcome {
        self.at_end = true;
        ReadOutcome::End
    }

    fn with_file_time(&mut self, mut packet: Packet) -> Option<Packet> {
        let time_ms = self.video.preamble.time_base.time_ms(packet.timestamp);
        let time_ms = match packet.kind {
            PacketKind::Data => {
                let payload = Metadata::without_set_data_frame(&packet.payload);
                if !Metadata::is_on_meta_data(payload) || payload.len() > limits::COMMAND_BYTES {
                    return None;
                }
                packet.payload = packet.payload.slice_ref(payload);
                0
            }
            _ if packet.payload.is_empty() => return None,
            // Some recorders write them with timestamp 0 anywhere in the file.
            _ if packet.is_sequence_header() && !is_same_position(time_ms, self.last_ms) => self.last_ms,
            _ if packet.is_sequence_header() => time_ms,
            _ => {
                self.last_ms = time_ms;
                time_ms
            }
        };
        packet.timestamp = Timestamp::new(time_ms);
        Some(packet)
    }
}
