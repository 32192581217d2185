//! The publisher's side of a live stream.

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use crossbeam_channel::{Receiver, TryRecvError};

use super::lane::Command;
use super::message::LiveMessage;
use super::metadata::DataMessage;
use super::state::State;
use super::stream::Stream;
use super::timestamp_source::WrongRate;
use super::warnings::Warning;
use crate::fmp4::MuxerOutput;
use crate::guard::ClientLog;
use crate::limits;
use crate::media::{Packet, PacketKind, References};
use crate::stats::Traffic;

/// What a message costs besides its payload, in bytes, so that a flood of empty ones counts as well.
const MESSAGE_OVERHEAD: usize = 256;

/// Shared by all publishers.
static WARNINGS: LazyLock<ClientLog> = LazyLock::new(ClientLog::default);

/// Another publisher has taken over the name.
#[derive(Debug, PartialEq, Eq)]
pub struct PublisherGone;

/// The right to publish under a stream's name; dropping it frees the name at once.
#[derive(Debug)]
pub struct Publication {
    stream: Arc<Stream>,
    id: u64,
    /// When deferred audio has to go out at the latest.
    audio_due: Option<Instant>,
    /// Bytes sent to the lanes since the last barrier.
    in_flight: usize,
    /// Disconnects when the lanes have reached the last barrier.
    barrier: Option<Receiver<()>>,
    /// Fragments up to the next key frame are dropped.
    is_skipping: bool,
    references: References,
}

impl Publication {
    pub(super) fn new(stream: Arc<Stream>, id: u64) -> Self {
        Self {
            stream,
            id,
            audio_due: None,
            in_flight: 0,
            barrier: None,
            is_skipping: false,
            references: References::default(),
        }
    }

    /// The stream's name, application included.
    pub fn name(&self) -> &str {
        self.stream.name()
    }

    /// Returns the stream's traffic, including that of earlier publishers.
    pub fn traffic(&self) -> Traffic {
        self.stream.counters.traffic()
    }

    /// Returns the stream and when its deferred audio is due. The publisher has to call
    /// [`Stream::flush_deferred_audio`] then, unless it sends something before.
    pub fn deferred_audio(&self) -> Option<(Instant, &Arc<Stream>)> {
        self.audio_due.map(|due| (due, &self.stream))
    }

    /// Relays a message; audio between video frames is deferred until the next, see
    /// [`deferred_audio`](Self::deferred_audio). Never waits for a player; waits for the lanes only when they are
    /// behind by [`limits::LANE_CREDIT_BYTES`].
    ///
    /// # Errors
    /// [`PublisherGone`] when another publisher has taken over.
    pub fn send(&mut self, packet: Packet, now: Instant) -> Result<(), PublisherGone> {
        let bytes = packet.payload.len();
        let stream = self.stream.clone();
        let mut state = stream.state.lock();
        let (configurations_before, was_oversized) = (state.cache.configuration_changes(), state.cache.is_oversized());
        match &mut state.publisher {
            Some(publisher) if publisher.id == self.id => publisher.last_media = now,
            _ => return Err(PublisherGone),
        }
        stream.counters.messages_in.add(1);
        stream.counters.bytes_in.add(bytes as u64);
        if packet.kind == PacketKind::Video {
            stream.counters.video_frames_in.add(1);
        }
        let Some((message, wrong_rate)) = prepare(packet, &mut state, &mut self.references, now) else { return Ok(()) };
        let mut has_changed = state.cache.configuration_changes() != configurations_before;
        if let Some(pace) = wrong_rate {
            self.warn(&mut state, Warning::wrong_clock(pace));
            has_changed = true;
        }
        let is_key_frame = message.is_key_frame && message.packet.kind == PacketKind::Video;
        if is_key_frame || state.cache.is_oversized() != was_oversized {
            has_changed |= self.check_key_frames(&mut state, is_key_frame, now);
        }
        let is_deferrable = message.is_deferrable(state.cache.has_video());
        state.deferred.push(message);
        let due = *state.deferred_since.get_or_insert(now) + limits::AUDIO_COALESCING_WINDOW;
        self.audio_due = (is_deferrable && now < due).then_some(due);
        if self.audio_due.is_none() {
            stream.flush(&mut state, now);
        }
        self.in_flight += bytes + MESSAGE_OVERHEAD;
        let previous = self.insert_barrier_if_due(&state);
        drop(state);
        if has_changed {
            stream.changes.notify();
        }
        if let Some(barrier) = previous {
            // Nothing is ever sent on it: this returns when every lane has dropped its end.
            let _ = barrier.recv();
        }
        Ok(())
    }

    /// Relays fragments of MP4 at once. Never blocks, since it runs in a lane: when the lanes are behind, it drops
    /// fragments up to the next key frame.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_fragments(
        &mut self,
        outputs: impl IntoIterator<Item = MuxerOutput>,
        now: Instant,
    ) -> Result<(), PublisherGone> {
        let stream = self.stream.clone();
        let mut state = stream.state.lock();
        match &mut state.publisher {
            Some(publisher) if publisher.id == self.id => publisher.last_media = now,
            _ => return Err(PublisherGone),
        }
        let are_behind = self.barrier.as_ref().is_some_and(|barrier| barrier.try_recv() == Err(TryRecvError::Empty));
        let is_too_much = are_behind && self.in_flight > limits::LANE_CREDIT_BYTES;
        for output in outputs {
            let message = LiveMessage::from_muxer(output);
            self.is_skipping = is_too_much || (self.is_skipping && !message.is_key_frame);
            if self.is_skipping && !message.is_essential {
                stream.counters.dropped.add(1);
                continue;
            }
            let bytes = message.body().len();
            self.in_flight += bytes + MESSAGE_OVERHEAD;
            let message = state.add(message, now);
            state.deferred.push(message);
        }
        stream.flush(&mut state, now);
        if !are_behind {
            self.insert_barrier_if_due(&state);
        }
        Ok(())
    }

    /// Warns if key frames are too rare for players. Called at each, and when the cache has exceeded its limits.
    /// Returns whether the warnings have changed.
    fn check_key_frames(&self, state: &mut State, is_key_frame: bool, now: Instant) -> bool {
        let before = state.warnings.current().to_vec();
        let is_expected = state.key_frames.expected_interval(now).is_some();
        match state.cache.is_oversized() {
            // A key frame only shows whether they arrive at intervals.
            true if is_expected || !is_key_frame => {
                self.warn(state, Warning::key_frames_rare(&state.key_frames, now));
            }
            true => {}
            false => state.warnings.clear(Warning::KEY_FRAMES_RARE),
        }
        match state.key_frames.are_recovery_points() {
            true => self.warn(state, Warning::recovery_points_only()),
            false => state.warnings.clear(Warning::RECOVERY_POINTS_ONLY),
        }
        state.warnings.current() != before
    }

    fn warn(&self, state: &mut State, warning: Warning) {
        let text = warning.text.clone();
        if state.warnings.raise(warning) {
            let client = self.stream.last_publisher().map_or_else(String::new, |(_, client)| client);
            WARNINGS.warn(format_args!("{client} {}: {text}", self.stream.name().escape_debug()));
        }
    }

    /// Sends the lanes a barrier if enough bytes are in flight; returns the previous one.
    fn insert_barrier_if_due(&mut self, state: &State) -> Option<Receiver<()>> {
        if self.in_flight <= limits::LANE_CREDIT_BYTES / 2 {
            return None;
        }
        self.in_flight = 0;
        let (done, barrier) = crossbeam_channel::bounded(0);
        state.notify_lanes(|| Command::Barrier(done.clone()));
        self.barrier.replace(barrier)
    }
}

/// Maps a message onto the stream's timeline and adds it to the cache; returns the rate of the publisher's clock once
/// it has proved wrong. `None` for messages that are not relayed.
fn prepare(
    mut packet: Packet,
    state: &mut State,
    references: &mut References,
    now: Instant,
) -> Option<(Arc<LiveMessage>, Option<WrongRate>)> {
    let timestamp = packet.timestamp;
    if packet.kind == PacketKind::Data {
        return match DataMessage::new(packet) {
            DataMessage::Metadata(packet) => {
                let message = Arc::new(LiveMessage::metadata(packet));
                state.cache.set_metadata(Some(message.clone()));
                Some((message, None))
            }
            DataMessage::ClearMetadata => {
                state.cache.set_metadata(None);
                None
            }
            DataMessage::Other(mut packet) => {
                packet.timestamp = state.header_time(timestamp);
                Some((state.add(LiveMessage::new(packet), now), None))
            }
            DataMessage::Nameless => None,
        };
    }
    if packet.payload.is_empty() {
        return None;
    }
    let wrong_rate;
    (packet.timestamp, wrong_rate) = match packet.is_sequence_header() {
        true => (state.header_time(timestamp), None),
        false => state.time(packet.kind, timestamp, now),
    };
    let is_disposable = references.is_disposable(&packet);
    let mut message = LiveMessage::new(packet);
    message.is_disposable = is_disposable;
    Some((state.add(message, now), wrong_rate))
}

impl Drop for Publication {
    fn drop(&mut self) {
        let mut state = self.stream.state.lock();
        if state.publisher.as_ref().is_some_and(|publisher| publisher.id == self.id) {
            let now = Instant::now();
            self.stream.flush(&mut state, now);
            state.publisher = None;
            state.left = Some(now);
            state.cache.clear();
            drop(state);
            self.stream.changes.notify();
        }
    }
}
