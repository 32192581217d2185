//! Collects the packets of a playback into batches and sends them.

use super::is_frame;
use crate::error::Result;
use crate::media::{Packet, PacketKind};
use crate::vod::{Output, PlaybackEvent, PlaybackSummary};

/// Initial capacity, sufficient for most batches.
const BATCH_PACKETS: usize = 16;

/// The packets to send next, without those of kinds that the viewer has turned off.
pub(super) struct Batch<'o> {
    output: &'o mut dyn Output,
    packets: Vec<Packet>,
    bytes: usize,
    /// The output expects another call.
    announced_more: bool,
    receives_audio: bool,
    receives_video: bool,
    /// Video was turned on again and resumes with the next key frame.
    awaits_key_frame: bool,
    sent: PlaybackSummary,
}

impl<'o> Batch<'o> {
    pub(super) fn new(output: &'o mut dyn Output) -> Self {
        Self {
            output,
            // Allocated up front: growing it later would fragment the heap.
            packets: Vec::with_capacity(BATCH_PACKETS),
            bytes: 0,
            announced_more: false,
            receives_audio: true,
            receives_video: true,
            awaits_key_frame: false,
            sent: PlaybackSummary::default(),
        }
    }

    /// Returns the totals of all packets sent.
    pub(super) fn sent(&self) -> PlaybackSummary {
        self.sent
    }

    /// Returns the payload bytes not sent yet.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn receive_audio(&mut self, on: bool) {
        self.receives_audio = on;
    }

    pub(super) fn receive_video(&mut self, on: bool) {
        self.awaits_key_frame = on && (self.awaits_key_frame || !self.receives_video);
        self.receives_video = on;
    }

    /// Adds a packet unless its kind is turned off.
    pub(super) fn push(&mut self, packet: Packet) {
        if self.is_received(&packet) {
            self.bytes += packet.payload.len();
            self.packets.push(packet);
        }
    }

    /// Sequence headers are always sent: they are small, and the client may turn their kind on again.
    fn is_received(&mut self, packet: &Packet) -> bool {
        match packet.kind {
            _ if !is_frame(packet) => true,
            PacketKind::Video => {
                self.awaits_key_frame = self.awaits_key_frame && !packet.is_key_frame();
                self.receives_video && !self.awaits_key_frame
            }
            _ => self.receives_audio,
        }
    }

    /// Sends all packets.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.send(false)
    }

    /// Sends all packets; the output may coalesce them with those of the next call, which follows immediately.
    pub(super) fn flush_before_more(&mut self) -> Result<()> {
        self.send(true)
    }

    fn send(&mut self, more: bool) -> Result<()> {
        if self.packets.is_empty() && (more || !self.announced_more) {
            return Ok(());
        }
        self.announced_more = more;
        self.sent.packets += self.packets.len() as u64;
        self.sent.bytes += self.bytes as u64;
        self.output.send(&self.packets, more)?;
        self.packets.clear();
        self.bytes = 0;
        Ok(())
    }

    /// Sends an event to the viewer.
    pub(super) fn notify(&mut self, event: PlaybackEvent) -> Result<()> {
        self.output.notify(event)
    }
}
