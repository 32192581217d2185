//! The part of a stream behind its lock.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::cache::Cache;
use super::key_frames::KeyFrames;
use super::lane::{Command, Lane};
use super::message::LiveMessage;
use super::rates::Rates;
use super::timeline::Timeline;
use super::timestamp_source::{Times, TimestampSource, WrongRate};
use super::warnings::Warnings;
use crate::guard::Share;
use crate::media::{PacketKind, Timestamp};

pub(super) struct State {
    pub publisher: Option<Publisher>,
    /// When the last publisher left; `None` once another has come.
    pub left: Option<Instant>,
    /// The source of timestamps.
    times: Times,
    pub clock: TimestampSource,
    pub timeline: Timeline,
    pub cache: Cache,
    pub key_frames: KeyFrames,
    pub warnings: Warnings,
    pub players: HashMap<u64, Lane>,
    /// The lanes of the players, each once, with the number of its players.
    pub lanes: Vec<(Lane, usize)>,
    /// Audio deferred until the next video frame, and since when.
    pub deferred: Vec<Arc<LiveMessage>>,
    pub deferred_since: Option<Instant>,
    /// The recent rates.
    pub rates: Rates,
}

pub(super) struct Publisher {
    pub id: u64,
    pub since: Instant,
    pub last_media: Instant,
    /// Its slot in the limit of publishers.
    pub slot: Option<Share>,
    /// Closes the publisher's connection, for that reason.
    pub evict: Box<dyn Fn(&str) + Send>,
}

impl State {
    /// A stream without publisher and players; its cache reserves memory from that share.
    pub(super) fn new(cache: Share, times: Times) -> Self {
        Self {
            publisher: None,
            left: None,
            times,
            clock: TimestampSource::new(times),
            timeline: Timeline::default(),
            cache: Cache::new(cache),
            key_frames: KeyFrames::default(),
            warnings: Warnings::default(),
            players: HashMap::new(),
            lanes: Vec::new(),
            deferred: Vec::new(),
            deferred_since: None,
            rates: Rates::default(),
        }
    }

    /// Resets what depends on the publisher, for another one.
    pub(super) fn reset(&mut self) {
        self.left = None;
        self.cache.clear();
        self.rates = Rates::default();
        (self.key_frames, self.warnings) = (KeyFrames::default(), Warnings::default());
        if self.players.is_empty() {
            // No player has seen the old time.
            self.timeline = Timeline::default();
        }
        self.timeline.restart();
        self.clock = TimestampSource::new(self.times);
    }

    /// Maps a frame's timestamp; returns the rate of the publisher's clock once it has proved wrong.
    pub(super) fn time(
        &mut self,
        kind: PacketKind,
        timestamp: Timestamp,
        now: Instant,
    ) -> (Timestamp, Option<WrongRate>) {
        let (timestamp, wrong_rate) = self.clock.time(kind, timestamp, now);
        if wrong_rate.is_some() {
            self.cache.restamp_by_arrival(self.timeline.now(), now);
            self.timeline.restart();
        }
        (self.timeline.map_frame(kind, timestamp), wrong_rate)
    }

    /// Maps the timestamp of a message that is no frame.
    pub(super) fn header_time(&self, timestamp: Timestamp) -> Timestamp {
        // Its own is meaningless among frames timed by arrival.
        if self.clock.is_by_arrival() { self.timeline.now() } else { self.timeline.map_header(timestamp) }
    }

    /// Adds a message to the cache.
    pub(super) fn add(&mut self, mut message: LiveMessage, now: Instant) -> Arc<LiveMessage> {
        if message.packet.kind == PacketKind::Video {
            if message.is_key_frame {
                self.key_frames.record(message.packet.is_recovery_point_only(), now);
            }
            message.is_key_frame_expected = self.key_frames.expected_interval(now).is_some();
        }
        message.arrived = Some(now);
        let message = Arc::new(message);
        self.cache.add(&message);
        message
    }

    pub(super) fn end(&mut self, id: u64) {
        self.notify_lanes(|| Command::End(id));
        self.players.clear();
        self.lanes.clear();
    }

    pub(super) fn notify_lanes(&self, command: impl Fn() -> Command) {
        self.lanes.iter().for_each(|(lane, _)| lane.send(command()));
    }
}
