//! Packets of a file as a viewer gets them.

use super::{FileCursor, Video, is_local_address};
use crate::flv::{KeyFrame, Metadata, Reader, Search};
use crate::media::{Packet, PacketKind, Timestamp};
use crate::{Error, Result, limits};

/// For hopping over tags: room for the starts of a few.
const SCAN_BUFFER_BYTES: usize = 1024;

/// Reads a video from one place to the next, with the times that its viewer is to see.
pub(super) struct Source {
    video: Box<Video>,
    /// The time of the last frame read.
    last_ms: u32,
    /// The end, or damage; only another place brings more.
    at_end: bool,
}

/// What the next tag of a file came to.
pub(super) enum Step {
    /// Something to send. Audio and video have the file's time, data has 0.
    Packet(Packet),
    /// A tag that nobody needs.
    Nothing,
    /// There is no more.
    End,
    /// The file can't be read on; what follows is the end.
    Failed(Error),
}

impl Source {
    /// At the video's first frame.
    pub(super) fn new(video: Box<Video>) -> Self {
        Self { video, last_ms: 0, at_end: true }
    }

    pub(super) fn video(&self) -> &Video {
        &self.video
    }

    pub(super) fn first_frame(&self) -> KeyFrame {
        KeyFrame { time_ms: self.video.head.first_frame_ms, offset: self.video.head.first_frame }
    }

    /// The time of the last frame read, or of the place gone to since.
    pub(super) fn last_ms(&self) -> u32 {
        self.last_ms
    }

    /// For [`find_step`](Self::find_step).
    pub(super) fn scanner(&self) -> Result<Reader<FileCursor>> {
        Reader::with_buffer(SCAN_BUFFER_BYTES, self.video.cursor())
    }

    /// Looks for the last key frame up to a time; `None` if the search has to go on, the next step from where this one
    /// ends.
    pub(super) fn find_step(&self, scanner: &mut Reader<FileCursor>, target_ms: u32) -> Result<Option<KeyFrame>> {
        let first_frame = self.first_frame();
        if target_ms <= first_frame.time_ms {
            return Ok(Some(first_frame));
        }
        Ok(match self.video.shared.index.lock().find(scanner, target_ms)? {
            Search::Found(place) => Some(place.unwrap_or(first_frame)),
            Search::Unfinished => None,
        })
    }

    /// How many changes of sequence headers lie before a place that was found.
    pub(super) fn changes_before(&self, place: KeyFrame) -> usize {
        self.video.shared.index.lock().changes_before(place.offset)
    }

    /// Goes to a place; gives the sequence headers that belong before its first frame.
    pub(super) fn seek_to_position(&mut self, place: KeyFrame) -> Result<Vec<Packet>> {
        self.video.reader.seek_to(place.offset)?;
        self.at_end = false;
        self.last_ms = place.time_ms;
        let mut headers = self.video.shared.index.lock().sequence_headers(place.offset);
        headers.iter_mut().for_each(|header| header.timestamp = Timestamp::new(place.time_ms));
        Ok(headers)
    }

    /// Whether the next step reads nothing, and so can share memory with those before it.
    pub(super) fn is_next_buffered(&self) -> bool {
        self.video.reader.is_next_buffered()
    }

    /// Reads a tag. Damage goes to the log and is the end.
    pub(super) fn step(&mut self) -> Step {
        if self.at_end {
            return Step::End;
        }
        match self.video.reader.next_shared_packet() {
            Ok(Some(packet)) => self.stamp(packet).map_or(Step::Nothing, Step::Packet),
            Ok(None) => self.end(),
            Err(error @ Error::Flv { .. }) => {
                self.video.warn(&error);
                self.end()
            }
            Err(error) => {
                self.at_end = true;
                Step::Failed(error)
            }
        }
    }

    fn end(&mut self) -> Step {
        self.at_end = true;
        Step::End
    }

    fn stamp(&mut self, mut packet: Packet) -> Option<Packet> {
        let time_ms = self.video.head.time_base.time_ms(packet.timestamp);
        let time_ms = match packet.kind {
            PacketKind::Data => {
                let payload = Metadata::without_set_data_frame(&packet.payload);
                if !Metadata::is_in(payload) || payload.len() > limits::COMMAND_BYTES {
                    return None;
                }
                packet.payload = packet.payload.slice_ref(payload);
                0
            }
            _ if packet.payload.is_empty() => return None,
            // Some recorders write them with time 0 wherever they are.
            _ if packet.is_sequence_header() && !is_local_address(time_ms, self.last_ms) => self.last_ms,
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
