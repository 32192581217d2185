//! What a stream's lock guards.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::cache::Cache;
use super::clock_watch::{ClockWatch, Times, WrongPace};
use super::key_frames::KeyFrames;
use super::lane::{Command, Lane};
use super::message::LiveMessage;
use super::rates::Rates;
use super::timeline::Timeline;
use super::warnings::Warnings;
use crate::guard::Share;
use crate::media::{PacketKind, Timestamp};

pub(super) struct State {
    pub publisher: Option<Publisher>,
    /// When the last publisher left, until another comes.
    pub left: Option<Instant>,
    /// Which times messages get.
    times: Times,
    pub clock: ClockWatch,
    pub timeline: Timeline,
    pub cache: Cache,
    pub key_frames: KeyFrames,
    pub warnings: Warnings,
    pub players: HashMap<u64, Lane>,
    /// The lanes of the players, each once, with how many are on it.
    pub lanes: Vec<(Lane, usize)>,
    /// Audio that waits for the next video frame, and since when.
    pub held: Vec<Arc<LiveMessage>>,
    pub held_since: Option<Instant>,
    /// What came lately.
    pub rates: Rates,
}

pub(super) struct Publisher {
    pub id: u64,
    pub since: Instant,
    pub last_media: Instant,
    /// One of the places for publishers that there are.
    pub place: Option<Share>,
    /// Ends the publisher's connection, for that reason.
    pub evict: Box<dyn Fn(&str) + Send>,
}

impl State {
    /// Nobody publishes or plays; what is remembered for players to come takes from that share.
    pub fn new(cache: Share, times: Times) -> Self {
        Self {
            publisher: None,
            left: None,
            times,
            clock: ClockWatch::new(times),
            timeline: Timeline::default(),
            cache: Cache::new(cache),
            key_frames: KeyFrames::default(),
            warnings: Warnings::default(),
            players: HashMap::new(),
            lanes: Vec::new(),
            held: Vec::new(),
            held_since: None,
            rates: Rates::default(),
        }
    }

    /// Another publisher: nothing holds any more that the last one has sent.
    pub fn begin(&mut self) {
        self.left = None;
        self.cache.clear();
        self.rates = Rates::default();
        (self.key_frames, self.warnings) = (KeyFrames::default(), Warnings::default());
        if self.players.is_empty() {
            // Nobody remembers the old time.
            self.timeline = Timeline::default();
        }
        self.timeline.restart();
        self.clock = ClockWatch::new(self.times);
    }

    /// The stream's time of a frame, and how wrong its publisher's clock is when that shows.
    pub fn time(&mut self, kind: PacketKind, timestamp: Timestamp, now: Instant) -> (Timestamp, Option<WrongPace>) {
        let (timestamp, wrong) = self.clock.time(kind, timestamp, now);
        if wrong.is_some() {
            self.cache.restamp_by_arrival(self.timeline.now(), now);
            self.timeline.restart();
        }
        (self.timeline.frame(kind, timestamp), wrong)
    }

    /// The stream's time of a message that is no frame.
    pub fn header_time(&self, timestamp: Timestamp) -> Timestamp {
        // Beside frames that have their times by arrival, its own means nothing.
        if self.clock.is_by_arrival() { self.timeline.now() } else { self.timeline.header(timestamp) }
    }

    /// Gives a message its place in the cache.
    pub fn add(&mut self, mut message: LiveMessage, now: Instant) -> Arc<LiveMessage> {
        if message.packet.kind == PacketKind::Video {
            if message.is_key_frame {
                self.key_frames.note(message.packet.is_recovery_point_only(), now);
            }
            message.is_key_frame_foreseen = self.key_frames.foreseen(now).is_some();
        }
        message.arrived = Some(now);
        let message = Arc::new(message);
        self.cache.add(&message);
        message
    }

    pub fn end(&mut self, id: u64) {
        self.notify_lanes(|| Command::End(id));
        self.players.clear();
        self.lanes.clear();
    }

    pub fn notify_lanes(&self, command: impl Fn() -> Command) {
        self.lanes.iter().for_each(|(lane, _)| lane.send(command()));
    }
}
