//! The publisher's side of a live stream.

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use crossbeam_channel::{Receiver, TryRecvError};

use super::clock_watch::WrongPace;
use super::lane::Command;
use super::message::LiveMessage;
use super::metadata::DataMessage;
use super::state::State;
use super::stream::Stream;
use super::warnings::Warning;
use crate::fmp4::MuxerOutput;
use crate::guard::ClientLog;
use crate::limits;
use crate::media::{Packet, PacketKind, References};
use crate::stats::Traffic;

/// What a message takes besides its payload, in bytes, so that a flood of empty ones counts as well.
const MESSAGE_OVERHEAD: usize = 256;

/// What is said of all publishers together.
static WARNINGS: LazyLock<ClientLog> = LazyLock::new(ClientLog::default);

/// Another publisher has taken the name over.
#[derive(Debug, PartialEq, Eq)]
pub struct PublisherGone;

/// The right to send under a stream's name; dropping it frees the name at once.
#[derive(Debug)]
pub struct Publication {
    stream: Arc<Stream>,
    id: u64,
    /// When audio has waited long enough for a video frame.
    audio_due: Option<Instant>,
    /// Bytes given to the lanes since the last mark.
    under_way: usize,
    /// Ends when the lanes have come to the last mark.
    mark: Option<Receiver<()>>,
    /// Pieces up to the next key frame are left out.
    is_skipping: bool,
    references: References,
}

impl Publication {
    pub(super) fn new(stream: Arc<Stream>, id: u64) -> Self {
        Self {
            stream,
            id,
            audio_due: None,
            under_way: 0,
            mark: None,
            is_skipping: false,
            references: References::default(),
        }
    }

    /// The stream's name, application included.
    pub fn name(&self) -> &str {
        self.stream.name()
    }

    /// What has gone through the stream, under earlier publishers as well.
    pub fn traffic(&self) -> Traffic {
        self.stream.counters.traffic()
    }

    /// The stream, and when its audio that waits for a video frame has waited long enough. Who publishes has to see to
    /// [`Stream::flush_deferred_audio`] then, unless it sends something before.
    pub fn deferred_audio(&self) -> Option<(Instant, &Arc<Stream>)> {
        self.audio_due.map(|due| (due, &self.stream))
    }

    /// Relays a message; audio that comes between video frames waits for the next, see
    /// [`deferred_audio`](Self::deferred_audio). Never waits for a player; waits for the lanes only when they are behind by
    /// [`limits::LANE_CREDIT_BYTES`].
    ///
    /// # Errors
    /// [`PublisherGone`] when another publisher has taken over.
    pub fn send(&mut self, packet: Packet, now: Instant) -> Result<(), PublisherGone> {
        let bytes = packet.payload.len();
        let stream = self.stream.clone();
        let mut state = stream.state.lock();
        let (formats_before, was_outgrown) = (state.cache.configuration_changes(), state.cache.is_outgrown());
        match &mut state.publisher {
            Some(publisher) if publisher.id == self.id => publisher.last_media = now,
            _ => return Err(PublisherGone),
        }
        stream.counters.messages_in.add(1);
        stream.counters.bytes_in.add(bytes as u64);
        if packet.kind == PacketKind::Video {
            stream.counters.video_frames_in.add(1);
        }
        let Some((message, wrong)) = prepare(packet, &mut state, &mut self.references, now) else { return Ok(()) };
        let mut has_changed = state.cache.configuration_changes() != formats_before;
        if let Some(pace) = wrong {
            self.warn(&mut state, Warning::wrong_clock(pace));
            has_changed = true;
        }
        let is_key_frame = message.is_key_frame && message.packet.kind == PacketKind::Video;
        if is_key_frame || state.cache.is_outgrown() != was_outgrown {
            has_changed |= self.check_key_frames(&mut state, is_key_frame, now);
        }
        let may_wait = message.is_deferrable(state.cache.has_video());
        state.held.push(message);
        let due = *state.held_since.get_or_insert(now) + limits::AUDIO_COALESCING_WINDOW;
        self.audio_due = (may_wait && now < due).then_some(due);
        if self.audio_due.is_none() {
            stream.release(&mut state, now);
        }
        self.under_way += bytes + MESSAGE_OVERHEAD;
        let last = self.mark_if_due(&state);
        drop(state);
        if has_changed {
            stream.changes.note();
        }
        if let Some(last) = last {
            // Nothing is ever sent on it: this returns when every lane has dropped its end.
            let _ = last.recv();
        }
        Ok(())
    }

    /// Relays fragments of MP4, at once. Waits for nothing, since a lane does this: when the lanes are behind, it
    /// drops fragments up to the next key frame.
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
        let are_behind = self.mark.as_ref().is_some_and(|mark| mark.try_recv() == Err(TryRecvError::Empty));
        let is_too_much = are_behind && self.under_way > limits::LANE_CREDIT_BYTES;
        for output in outputs {
            let message = LiveMessage::from_muxer(output);
            self.is_skipping = is_too_much || (self.is_skipping && !message.is_key_frame);
            if self.is_skipping && !message.is_essential {
                stream.counters.dropped.add(1);
                continue;
            }
            let bytes = message.body().len();
            self.under_way += bytes + MESSAGE_OVERHEAD;
            let message = state.add(message, now);
            state.held.push(message);
        }
        stream.release(&mut state, now);
        if !are_behind {
            self.mark_if_due(&state);
        }
        Ok(())
    }

    /// Warns if key frames don't come as players need them. To be called at each, and when the cache has outgrown its limit.
    /// Says whether the warnings have changed.
    fn check_key_frames(&self, state: &mut State, is_key_frame: bool, now: Instant) -> bool {
        let before = state.warnings.current().to_vec();
        let is_foreseen = state.key_frames.foreseen(now).is_some();
        match state.cache.is_outgrown() {
            // With a key frame nothing shows but whether they come at intervals.
            true if is_foreseen || !is_key_frame => {
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

    /// Asks the lanes to say when they have come this far; returns what they were asked before.
    fn mark_if_due(&mut self, state: &State) -> Option<Receiver<()>> {
        if self.under_way <= limits::LANE_CREDIT_BYTES / 2 {
            return None;
        }
        self.under_way = 0;
        let (done, mark) = crossbeam_channel::bounded(0);
        state.notify_lanes(|| Command::Passed(done.clone()));
        self.mark.replace(mark)
    }
}

/// Gives a message its time in the stream and its place in the cache, and says how wrong the publisher's clock is when that
/// shows. `None` for what players don't get.
fn prepare(
    mut packet: Packet,
    state: &mut State,
    references: &mut References,
    now: Instant,
) -> Option<(Arc<LiveMessage>, Option<WrongPace>)> {
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
    let wrong;
    (packet.timestamp, wrong) = match packet.is_sequence_header() {
        true => (state.header_time(timestamp), None),
        false => state.time(packet.kind, timestamp, now),
    };
    let is_disposable = references.is_disposable(&packet);
    let mut message = LiveMessage::new(packet);
    message.is_disposable = is_disposable;
    Some((state.add(message, now), wrong))
}

impl Drop for Publication {
    fn drop(&mut self) {
        let mut state = self.stream.state.lock();
        if state.publisher.as_ref().is_some_and(|publisher| publisher.id == self.id) {
            let now = Instant::now();
            self.stream.release(&mut state, now);
            state.publisher = None;
            state.left = Some(now);
            state.cache.clear();
            drop(state);
            self.stream.changes.note();
        }
    }
}
