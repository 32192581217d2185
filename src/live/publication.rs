//! The publisher's side of a live stream.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Receiver;

use super::cache::Cache;
use super::lane::Command;
use super::message::LiveMessage;
use super::metadata::DataMessage;
use super::stream::{State, Stream};
use super::timeline::Timeline;
use crate::limits;
use crate::media::{Packet, PacketKind};
use crate::stats::Traffic;

/// What a message takes besides its payload, in bytes, so that a flood of empty ones counts as well.
const MESSAGE_OVERHEAD: usize = 256;

/// Another publisher has taken the name over.
#[derive(Debug, PartialEq, Eq)]
pub struct PublisherGone;

/// The right to send under a stream's name; dropping it frees the name at once.
#[derive(Debug)]
pub struct Publication {
    stream: Arc<Stream>,
    id: u64,
    /// When sound has waited long enough for a picture.
    sound_due: Option<Instant>,
    /// Bytes given to the lanes since the last mark.
    under_way: usize,
    /// Ends when the lanes have come to the last mark.
    mark: Option<Receiver<()>>,
}

impl Publication {
    pub(super) fn new(stream: Arc<Stream>, id: u64) -> Self {
        Self { stream, id, sound_due: None, under_way: 0, mark: None }
    }

    /// The stream's name, application included.
    pub fn name(&self) -> &str {
        self.stream.name()
    }

    /// What has gone through the stream, under earlier publishers as well.
    pub fn traffic(&self) -> Traffic {
        self.stream.counters.traffic()
    }

    /// The stream, and when its sound that waits for a picture has waited long enough. Who publishes has to see to
    /// [`Stream::release_sound`] then, unless it sends something before.
    pub fn waiting_sound(&self) -> Option<(Instant, &Arc<Stream>)> {
        self.sound_due.map(|due| (due, &self.stream))
    }

    /// Relays a message; sound that comes between pictures waits for the next, see
    /// [`waiting_sound`](Self::waiting_sound). Never waits for a player; waits for the lanes only when they are behind by
    /// [`limits::LANE_CREDIT_BYTES`].
    ///
    /// # Errors
    /// [`PublisherGone`] when another publisher has taken over.
    pub fn send(&mut self, packet: Packet, now: Instant) -> Result<(), PublisherGone> {
        let bytes = packet.payload.len();
        let mut state = self.stream.state.lock();
        let State { publisher, timeline, cache, .. } = &mut *state;
        match publisher {
            Some(publisher) if publisher.id == self.id => publisher.last_media = now,
            _ => return Err(PublisherGone),
        }
        self.stream.counters.messages_in.add(1);
        self.stream.counters.bytes_in.add(bytes as u64);
        let Some(message) = prepare(packet, timeline, cache) else { return Ok(()) };
        let may_wait = message.rides(cache.has_video());
        state.held.push(message);
        let due = *state.held_since.get_or_insert(now) + limits::AUDIO_RIDES;
        self.sound_due = (may_wait && now < due).then_some(due);
        if self.sound_due.is_none() {
            self.stream.release(&mut state, now);
        }
        self.under_way += bytes + MESSAGE_OVERHEAD;
        let mark_due = self.under_way > limits::LANE_CREDIT_BYTES / 2;
        let mark = mark_due.then(|| {
            let (done, mark) = crossbeam_channel::bounded(0);
            state.tell_lanes(|| Command::Passed(done.clone()));
            mark
        });
        drop(state);
        if let Some(mark) = mark {
            self.under_way = 0;
            if let Some(last) = self.mark.replace(mark) {
                // Nothing is ever sent on it: this returns when every lane has dropped its end.
                let _ = last.recv();
            }
        }
        Ok(())
    }
}

/// Gives a message its time in the stream and its place in the cache. `None` for what players don't get.
fn prepare(mut packet: Packet, timeline: &mut Timeline, cache: &mut Cache) -> Option<Arc<LiveMessage>> {
    let timestamp = packet.timestamp;
    if packet.kind == PacketKind::Data {
        return match DataMessage::new(packet) {
            DataMessage::Metadata(packet) => {
                let message = Arc::new(LiveMessage::metadata(packet));
                cache.set_metadata(Some(message.clone()));
                Some(message)
            }
            DataMessage::ClearMetadata => {
                cache.set_metadata(None);
                None
            }
            DataMessage::Other(mut packet) => {
                packet.timestamp = timeline.header(timestamp);
                Some(wrap(packet, cache))
            }
            DataMessage::Nameless => None,
        };
    }
    if packet.payload.is_empty() {
        return None;
    }
    packet.timestamp = match packet.is_sequence_header() {
        true => timeline.header(timestamp),
        false => timeline.frame(packet.kind, timestamp),
    };
    Some(wrap(packet, cache))
}

fn wrap(packet: Packet, cache: &mut Cache) -> Arc<LiveMessage> {
    let message = Arc::new(LiveMessage::new(packet));
    cache.add(&message);
    message
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
        }
    }
}
