//! Plays a file to one viewer.

mod batch;

use std::collections::VecDeque;
use std::time::Instant;

use crossbeam_channel::{RecvTimeoutError, TryRecvError};

use self::batch::Batch;
use super::source::{ReadOutcome, Source};
use super::{
    Control, ControlReceiver, Output, Pacing, PlayRequest, PlaybackEvent, PlaybackSummary, Video, is_same_position,
};
use crate::error::Result;
use crate::flv::KeyFrame;
use crate::limits;
use crate::media::{Packet, PacketKind};

/// Plays a file until the viewer stops or disconnects; dropping the [`ControlSender`](super::ControlSender) is a stop.
/// Blocks, so it needs a thread of its own. Fails only with errors of the output.
///
/// After [`PlaybackEvent::Started`] it sends the metadata (time 0), the sequence headers (time of the first frame) and
/// the frames from the key frame at or before the start. Times are relative to the start of the file, see
/// [`TimeBase`](crate::flv::TimeBase). Of the script data only `onMetaData` is sent, always with time 0: anything else
/// makes ffmpeg add a data or subtitle track. Empty tags are not sent.
///
/// Frames are sent in batches when they are due, see [`Pacing`]. At the end, which may be at damage, the player sends
/// [`PlaybackEvent::Ended`] and waits: the viewer can still seek back.
pub(crate) fn play(
    mut video: Box<Video>,
    request: PlayRequest,
    controls: ControlReceiver,
    output: &mut dyn Output,
) -> Result<PlaybackSummary> {
    let start_ms = request.start_ms.unwrap_or(0);
    let metadata = video.preamble.metadata.take();
    // Boxed, or it would occupy the stack once for each call below this one.
    let player = Box::new(Player {
        source: Source::new(video),
        start_ms,
        end_ms: request.duration_ms.map(|duration| start_ms.saturating_add(duration)),
        controls,
        queue: VecDeque::new(),
        batch: Batch::new(output),
        pacing: Pacing::new(request.buffer_ms),
        paused_at: None,
        has_ended: false,
        pending: None,
    });
    player.run(metadata, request.duration_ms == Some(0))
}

struct Player<'o> {
    source: Source,
    start_ms: u32,
    end_ms: Option<u32>,
    controls: ControlReceiver,
    /// Control requests received but not yet handled.
    queue: VecDeque<Control>,
    batch: Batch<'o>,
    pacing: Pacing,
    /// The client's position when it paused; `None` while playing.
    paused_at: Option<u32>,
    has_ended: bool,
    /// A packet that was read but isn't due.
    pending: Option<Packet>,
}

/// When to continue, unless a control request comes first.
enum Wakeup {
    Now,
    At(Instant),
    OnControl,
}

impl Player<'_> {
    fn run(mut self: Box<Self>, metadata: Option<Packet>, single_frame: bool) -> Result<PlaybackSummary> {
        self.batch.notify(PlaybackEvent::Started)?;
        metadata.into_iter().for_each(|packet| self.batch.push(packet));
        self.start(single_frame)?;
        let mut wakeup = Wakeup::Now;
        loop {
            self.receive(wakeup);
            while let Some(control) = self.queue.pop_front() {
                if !self.handle_control(control)? {
                    return Ok(self.batch.sent());
                }
            }
            wakeup = if self.has_ended || self.paused_at.is_some() { Wakeup::OnControl } else { self.advance()? };
        }
    }

    fn start(&mut self, single_frame: bool) -> Result<()> {
        match self.seek_to(self.start_ms) {
            Ok(Some(key_frame)) if single_frame => {
                self.send_single_frame(key_frame)?;
                self.end()
            }
            Ok(_) => Ok(()),
            Err(error) => {
                self.source.video().warn(&error);
                self.end()
            }
        }
    }

    /// Waits, then moves all received control requests to the queue.
    fn receive(&mut self, wakeup: Wakeup) {
        let first = match wakeup {
            _ if !self.queue.is_empty() => Err(RecvTimeoutError::Timeout),
            Wakeup::Now => Err(RecvTimeoutError::Timeout),
            Wakeup::At(deadline) => self.controls.recv(Some(deadline)),
            Wakeup::OnControl => self.controls.recv(None),
        };
        match first {
            Ok(control) => self.queue.push_back(control),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.queue.push_back(Control::Stop),
        }
        while self.queue.len() < limits::VOD_CONTROLS {
            match self.controls.try_recv() {
                Ok(control) => self.queue.push_back(control),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.queue.push_back(Control::Stop);
                    break;
                }
            }
        }
    }

    /// Handles a control request; returns whether playback continues.
    fn handle_control(&mut self, control: Control) -> Result<bool> {
        match control {
            Control::Pause { position_ms } => {
                self.pacing.pause(Instant::now());
                self.paused_at.get_or_insert(position_ms);
                self.batch.notify(PlaybackEvent::Paused)?;
            }
            Control::Resume { position_ms } => self.resume(position_ms)?,
            // Only the last of several seeks counts.
            Control::Seek { .. } if self.queue.iter().any(|next| matches!(next, Control::Seek { .. })) => {}
            Control::Seek { position_ms } => self.seek(position_ms)?,
            Control::BufferLength { ms } => self.pacing.set_buffer(ms),
            Control::ReceiveAudio(on) => self.batch.receive_audio(on),
            Control::ReceiveVideo(on) => self.batch.receive_video(on),
            Control::Stop => return Ok(false),
        }
        Ok(true)
    }

    fn resume(&mut self, position_ms: u32) -> Result<()> {
        self.pacing.resume(Instant::now());
        self.batch.notify(PlaybackEvent::Resumed)?;
        match self.paused_at.take() {
            Some(paused_at)
                if !is_same_position(position_ms, paused_at)
                    && !is_same_position(position_ms, self.source.last_ms()) =>
            {
                self.seek(position_ms)
            }
            // The client continues with its buffer and needs another notification of the end.
            _ if self.has_ended => self.end(),
            _ => Ok(()),
        }
    }

    fn seek(&mut self, position_ms: u32) -> Result<()> {
        match self.seek_to(position_ms) {
            Ok(None) => Ok(()),
            Ok(Some(key_frame)) => {
                self.batch.notify(PlaybackEvent::SeekCompleted { position_ms: key_frame.time_ms })?;
                if let Some(paused_at) = &mut self.paused_at {
                    *paused_at = position_ms;
                    self.send_single_frame(key_frame)?;
                }
                Ok(())
            }
            Err(error) => {
                self.source.video().warn(&error);
                self.batch.notify(PlaybackEvent::SeekFailed { position_ms, reason: error.to_string() })?;
                if self.has_ended { self.end() } else { Ok(()) }
            }
        }
    }

    /// Seeks to the last key frame at or before a time and adds its sequence headers to the batch; `None` when a newer
    /// seek or a stop arrived during the search. Fails when the file can't be read.
    fn seek_to(&mut self, target_ms: u32) -> Result<Option<KeyFrame>> {
        let Some(key_frame) = self.find(target_ms)? else { return Ok(None) };
        let headers = self.source.seek_to(key_frame)?;
        headers.into_iter().for_each(|header| self.batch.push(header));
        self.pending = None;
        self.has_ended = false;
        self.pacing.restart();
        Ok(Some(key_frame))
    }

    fn find(&mut self, target_ms: u32) -> Result<Option<KeyFrame>> {
        let mut scanner = self.source.scanner()?;
        loop {
            // Other viewers that search the same file get their turn after each step.
            if let Some(key_frame) = self.source.search(&mut scanner, target_ms)? {
                return Ok(Some(key_frame));
            }
            self.receive(Wakeup::Now);
            if self.queue.iter().any(|control| matches!(control, Control::Stop | Control::Seek { .. })) {
                return Ok(None);
            }
        }
    }

    /// Sends the frames that are due.
    fn advance(&mut self) -> Result<Wakeup> {
        let (now, max_bytes) = (Instant::now(), self.batch.sent().bytes + limits::VOD_BYTES_AT_ONCE as u64);
        for _ in 0..limits::FLV_TAGS_AT_ONCE {
            // Sending before reading more lets the reader reuse the memory.
            if self.pending.is_none() && !self.source.is_next_buffered() {
                self.batch.flush_before_more()?;
            }
            let packet = match self.pending.take().map_or_else(|| self.read_next(), ReadOutcome::Packet) {
                ReadOutcome::Packet(packet) => packet,
                ReadOutcome::Skipped => continue,
                ReadOutcome::End | ReadOutcome::Failed(_) => return self.end().map(|()| Wakeup::OnControl),
            };
            if is_frame(&packet) {
                let time_ms = packet.timestamp.milliseconds();
                if self.end_ms.is_some_and(|end| time_ms >= end) {
                    return self.end().map(|()| Wakeup::OnControl);
                }
                if let Some(due) = self.pacing.due(time_ms, now) {
                    self.pending = Some(packet);
                    self.batch.flush()?;
                    return Ok(Wakeup::At(due + limits::VOD_MERGE_WINDOW));
                }
            }
            self.batch.push(packet);
            if self.batch.sent().bytes + self.batch.bytes() as u64 >= max_bytes {
                break;
            }
        }
        self.batch.flush()?;
        Ok(Wakeup::Now)
    }

    /// Sends the next video frame, or an audio frame when there is no video.
    fn send_single_frame(&mut self, key_frame: KeyFrame) -> Result<()> {
        let mut audio = None;
        for _ in 0..limits::FLV_PREAMBLE_TAGS {
            match self.read_next() {
                ReadOutcome::Packet(packet) if packet.kind == PacketKind::Audio && is_frame(&packet) => {
                    audio.get_or_insert(packet);
                }
                ReadOutcome::Packet(packet) => {
                    let is_video = is_frame(&packet);
                    self.batch.push(packet);
                    if is_video || self.batch.bytes() >= limits::VOD_BATCH_BYTES {
                        self.batch.flush()?;
                    }
                    if is_video {
                        return Ok(());
                    }
                }
                ReadOutcome::Skipped => {}
                ReadOutcome::End | ReadOutcome::Failed(_) => break,
            }
        }
        self.source.seek_to(key_frame)?;
        audio.into_iter().for_each(|packet| self.batch.push(packet));
        self.batch.flush()
    }

    /// Reads the next tag; logs I/O errors.
    fn read_next(&mut self) -> ReadOutcome {
        let outcome = self.source.read_next();
        if let ReadOutcome::Failed(error) = &outcome {
            self.source.video().warn(error);
        }
        outcome
    }

    fn end(&mut self) -> Result<()> {
        self.batch.flush()?;
        // Flushing may have taken a while, and notifying the end during a seek makes ffmpeg stop.
        self.receive(Wakeup::Now);
        if self.queue.iter().any(|control| matches!(control, Control::Seek { .. } | Control::Stop)) {
            return Ok(());
        }
        self.has_ended = true;
        let end_ms = self.end_ms.unwrap_or(u32::MAX).min(self.source.last_ms());
        let duration_ms = end_ms.saturating_sub(self.start_ms);
        self.batch.notify(PlaybackEvent::Ended { duration_ms, bytes: self.batch.sent().bytes })
    }
}

/// Whether a packet is an audio or video frame: neither data nor a sequence header.
fn is_frame(packet: &Packet) -> bool {
    packet.kind != PacketKind::Data && !packet.is_sequence_header()
}

#[cfg(test)]
mod tests;
