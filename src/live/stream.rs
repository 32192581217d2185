//! One live stream: at most one publisher, any number of players, and what lies between.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::changes::Changes;
use super::clock_watch::Times;
use super::lane::{Command, Lane};
use super::publication::Publication;
use super::registry::{Settings, StreamStatus};
use super::sink::{QueueLimits, Sink, Wanted};
use super::state::{Publisher, State};
use super::subscriber::Subscriber;
use super::viewer::Viewer;
use crate::guard::Share;
use crate::stats::{Counter, StreamCounters};

/// A publisher serves so many players of a lane itself rather than to wake the lane for them.
const HELPED_PLAYERS: usize = 16;

/// Numbers for streams, publications and subscriptions, never used twice.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

fn next_id() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

/// A name under which somebody publishes, or waits for somebody to.
pub struct Stream {
    id: u64,
    name: String,
    /// How much may wait for each player.
    patience: QueueLimits,
    pub(super) counters: Arc<StreamCounters>,
    /// Those of all streams.
    pub(super) changes: Arc<Changes>,
    pub(super) state: Mutex<State>,
    /// The number of the last publication and who it was by, for the log. Not in the state, which is locked while sinks, which
    /// may ask for this, get their messages.
    last_publisher: Mutex<Option<(u64, String)>>,
}

/// Where a player begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// At the last key frame, which is there at once.
    LastKeyFrame,
    /// At the next key frame, which has no delay.
    NextKeyFrame,
}

impl Stream {
    pub(super) fn new(name: &str, settings: &Settings, cache: Share, changes: Arc<Changes>) -> Self {
        let state = State::new(cache, settings.times);
        Self::with_state(name, settings.patience, state, Arc::default(), changes)
    }

    pub(super) fn derived(from: &Self, patience: QueueLimits, cache: Share) -> Self {
        let state = State::new(cache, Times::Publisher);
        Self::with_state(&from.name, patience, state, from.counters.clone(), from.changes.clone())
    }

    fn with_state(
        name: &str,
        patience: QueueLimits,
        state: State,
        counters: Arc<StreamCounters>,
        changes: Arc<Changes>,
    ) -> Self {
        Self {
            id: next_id(),
            name: name.to_owned(),
            patience,
            counters,
            changes,
            state: Mutex::new(state),
            last_publisher: Mutex::default(),
        }
    }

    /// The stream's name, application included.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What has gone through it.
    pub fn counters(&self) -> &StreamCounters {
        &self.counters
    }

    /// One more who watches it, without a subscription perhaps.
    pub fn viewer(&self) -> Viewer {
        Viewer::new(self.counters.clone(), self.changes.clone())
    }

    /// The stream as it stands.
    pub fn status(&self) -> StreamStatus {
        let state = self.state.lock();
        StreamStatus {
            name: self.name.clone(),
            is_published: state.publisher.is_some(),
            players: self.counters.viewers.get(),
            traffic: self.counters.traffic(),
            age: state.publisher.as_ref().map(|publisher| publisher.since.elapsed()),
            video: state.cache.video(),
            audio: state.cache.audio(),
            frames_per_second: state.rates.frames_per_second(),
            bits_per_second: state.rates.bits_per_second(),
            warnings: state.warnings.current().to_vec(),
        }
    }

    /// Ends the publisher's connection; says whether there was one.
    pub(super) fn evict(&self, reason: &str) -> bool {
        let state = self.state.lock();
        if let Some(publisher) = &state.publisher {
            (publisher.evict)(reason);
        }
        state.publisher.is_some()
    }

    /// The number of its last publication, and by whom that is or was; `None` if there was none. Sinks may ask for it.
    pub fn last_publisher(&self) -> Option<(u64, String)> {
        self.last_publisher.lock().clone()
    }

    /// Whether somebody publishes it.
    pub fn is_published(&self) -> bool {
        self.state.lock().publisher.is_some()
    }

    /// Whether it has audio and whether it has video frames, as far as is known; both as long as nothing is.
    pub fn kinds(&self) -> (bool, bool) {
        self.state.lock().cache.kinds()
    }

    /// How many play it or wait for it.
    pub fn players(&self) -> usize {
        self.state.lock().players.len()
    }

    /// Ends it for its players.
    pub fn end(&self) {
        self.state.lock().end(self.id);
    }

    /// How long the publisher has sent nothing; `None` when there is no publisher.
    pub(super) fn silence(&self, now: Instant) -> Option<Duration> {
        let state = self.state.lock();
        state.publisher.as_ref().map(|publisher| now.saturating_duration_since(publisher.last_media))
    }

    /// Makes the caller the publisher. Who was it before is told to go, and leaves its place if there is no other.
    pub(super) fn publish(
        self: &Arc<Self>,
        client: &str,
        now: Instant,
        evict: Box<dyn Fn(&str) + Send>,
        place: Option<Share>,
    ) -> Publication {
        let id = next_id();
        let mut state = self.state.lock();
        let mut replaced = state.publisher.take();
        let place = place.or_else(|| replaced.as_mut().and_then(|replaced| replaced.place.take()));
        state.publisher = Some(Publisher { id, since: now, last_media: now, place, evict });
        *self.last_publisher.lock() = Some((id, client.to_owned()));
        self.release(&mut state, now);
        state.begin();
        state.notify_lanes(|| Command::Restart(self.id));
        drop(state);
        self.changes.note();
        if let Some(replaced) = replaced {
            (replaced.evict)("another publisher has taken over the name");
        }
        Publication::new(self.clone(), id)
    }

    /// Sends audio that waits for a video frame on its way without one.
    pub fn flush_deferred_audio(&self, now: Instant) {
        self.release(&mut self.state.lock(), now);
    }

    /// Hands what is held to the lanes.
    pub(super) fn release(&self, state: &mut State, now: Instant) {
        let (has_video, arrived) = (state.cache.has_video(), state.held_since.take().unwrap_or(now));
        let Some(last) = state.held.len().checked_sub(1) else { return };
        for (lane, players) in &state.lanes {
            for (index, message) in state.held.iter().enumerate() {
                let send = match index < last {
                    true => Lane::send_quietly,
                    false if *players <= HELPED_PLAYERS => Lane::send_and_help,
                    false => Lane::send,
                };
                send(lane, Command::Message { stream: self.id, message: message.clone(), arrived, has_video });
            }
        }
        state.held.clear();
    }

    /// Makes a player's sink get the stream, now or as soon as there is a publisher.
    pub fn subscribe(
        self: &Arc<Self>,
        sink: Arc<dyn Sink>,
        stream_id: u32,
        lane: &Lane,
        start_at: StartAt,
        wanted: Wanted,
    ) -> Subscription {
        let id = next_id();
        let (viewer, dropped) = (sink.is_viewer().then(|| self.viewer()), Arc::new(Counter::default()));
        let counters = viewer.as_ref().map_or_else(Arc::default, |viewer| viewer.counters().clone());
        let subscriber = Subscriber::new(id, sink, stream_id, wanted, self.patience, counters, dropped.clone());
        let mut state = self.state.lock();
        // It is in the cache as well.
        self.release(&mut state, Instant::now());
        let start = state.cache.start(start_at == StartAt::LastKeyFrame, state.timeline.now());
        state.players.insert(id, lane.clone());
        match state.lanes.iter_mut().find(|(known, _)| known.is(lane)) {
            Some((_, players)) => *players += 1,
            None => state.lanes.push((lane.clone(), 1)),
        }
        // Under the lock: no message may get between what the cache holds and what the lane brings.
        lane.send(Command::Join(self.id, Box::new(subscriber), start));
        Subscription { stream: self.clone(), id, dropped, _viewer: viewer }
    }

    /// Returns when the player will get no more.
    fn leave(&self, id: u64) {
        let mut state = self.state.lock();
        let Some(lane) = state.players.remove(&id) else { return };
        state.lanes.retain_mut(|(known, players)| {
            *players -= usize::from(known.is(&lane));
            *players > 0
        });
        lane.send(Command::Leave(self.id, id));
        drop(state);
        // What comes next on the player's message stream must not mix with this.
        lane.catch_up();
    }

    /// Ends the stream for its players when its publisher has been gone for longer than `grace`. Says
    /// whether the stream is still of use to anybody.
    pub(super) fn tick(&self, now: Instant, grace: Duration) -> bool {
        let mut state = self.state.lock();
        state.rates.note(now, self.counters.bytes_in.get(), self.counters.video_frames_in.get());
        if state.left.is_some_and(|left| now.saturating_duration_since(left) >= grace) {
            state.left = None;
            if !state.players.is_empty() {
                log::info!(
                    "{}: not published again within {} s, ended for {} players",
                    self.name.escape_debug(),
                    grace.as_secs(),
                    state.players.len()
                );
            }
            state.end(self.id);
        }
        state.publisher.is_some() || state.left.is_some() || !state.players.is_empty()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A player's place at a stream; dropping it ends it.
#[derive(Debug)]
pub struct Subscription {
    stream: Arc<Stream>,
    id: u64,
    dropped: Arc<Counter>,
    _viewer: Option<Viewer>,
}

impl Subscription {
    /// The stream.
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Changes which kinds the player gets.
    pub fn set_wanted(&self, wanted: Wanted) {
        let state = self.stream.state.lock();
        if let Some(lane) = state.players.get(&self.id) {
            lane.send(Command::SetWanted(self.stream.id, self.id, wanted));
        }
    }

    /// Messages that the player was too slow for.
    pub fn dropped(&self) -> u64 {
        self.dropped.get()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.stream.leave(self.id);
    }
}
