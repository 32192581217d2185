//! A live stream: at most one publisher, any number of players.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::change_notifier::ChangeNotifier;
use super::lane::{Command, Lane};
use super::publication::Publication;
use super::registry::{Settings, StreamStatus};
use super::sink::{QueueLimits, Sink, SubscriptionFilter};
use super::state::{Publisher, State};
use super::subscriber::Subscriber;
use super::timestamp_source::Times;
use super::viewer::Viewer;
use crate::guard::Share;
use crate::stats::{Counter, StreamCounters};

/// A publisher runs a lane itself for up to this many players, rather than wake it.
const INLINE_PLAYERS: usize = 16;

/// Ids of streams, publications and subscriptions, never reused.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

fn next_id() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

/// A stream name with its publisher, or with players waiting for one.
pub struct Stream {
    id: u64,
    name: String,
    /// The limits of each player's queue.
    queue_limits: QueueLimits,
    pub(super) counters: Arc<StreamCounters>,
    /// Shared by all streams.
    pub(super) changes: Arc<ChangeNotifier>,
    pub(super) state: Mutex<State>,
    /// The id of the last publication and its client, for the log. Not part of the state, which is locked while sinks,
    /// which may ask for this, get their messages.
    last_publisher: Mutex<Option<(u64, String)>>,
}

/// Where a player starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// At the last key frame, from the cache, at once.
    LastKeyFrame,
    /// At the next key frame, without added latency.
    NextKeyFrame,
}

impl Stream {
    pub(super) fn new(name: &str, settings: &Settings, cache: Share, changes: Arc<ChangeNotifier>) -> Self {
        let state = State::new(cache, settings.times);
        Self::with_state(name, settings.queue_limits, state, Arc::default(), changes)
    }

    pub(super) fn derived(from: &Self, queue_limits: QueueLimits, cache: Share) -> Self {
        let state = State::new(cache, Times::Publisher);
        Self::with_state(&from.name, queue_limits, state, from.counters.clone(), from.changes.clone())
    }

    fn with_state(
        name: &str,
        queue_limits: QueueLimits,
        state: State,
        counters: Arc<StreamCounters>,
        changes: Arc<ChangeNotifier>,
    ) -> Self {
        Self {
            id: next_id(),
            name: name.to_owned(),
            queue_limits,
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

    /// Returns its counters.
    pub fn counters(&self) -> &StreamCounters {
        &self.counters
    }

    /// Registers a viewer, who need not have a subscription.
    pub fn viewer(&self) -> Viewer {
        Viewer::new(self.counters.clone(), self.changes.clone())
    }

    /// Returns its status.
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

    /// Evicts the publisher; returns whether there was one.
    pub(super) fn evict(&self, reason: &str) -> bool {
        let state = self.state.lock();
        if let Some(publisher) = &state.publisher {
            (publisher.evict)(reason);
        }
        state.publisher.is_some()
    }

    /// Returns the id and client of the current or last publication; `None` if there was none. Sinks may call it.
    pub fn last_publisher(&self) -> Option<(u64, String)> {
        self.last_publisher.lock().clone()
    }

    /// Whether it has a publisher.
    pub fn is_published(&self) -> bool {
        self.state.lock().publisher.is_some()
    }

    /// Whether it has audio and video, as far as known; both while nothing is known.
    pub fn tracks(&self) -> (bool, bool) {
        self.state.lock().cache.tracks()
    }

    /// Returns the number of players, those that wait for a publisher included.
    pub fn players(&self) -> usize {
        self.state.lock().players.len()
    }

    /// Ends the stream for its players.
    pub fn end(&self) {
        self.state.lock().end(self.id);
    }

    /// Returns how long the publisher has sent nothing; `None` without a publisher.
    pub(super) fn silence(&self, now: Instant) -> Option<Duration> {
        let state = self.state.lock();
        state.publisher.as_ref().map(|publisher| now.saturating_duration_since(publisher.last_media))
    }

    /// Makes the caller the publisher. Evicts the previous one, whose slot is inherited unless `slot` is given.
    pub(super) fn publish(
        self: &Arc<Self>,
        client: &str,
        now: Instant,
        evict: Box<dyn Fn(&str) + Send>,
        slot: Option<Share>,
    ) -> Publication {
        let id = next_id();
        let mut state = self.state.lock();
        let mut replaced = state.publisher.take();
        let slot = slot.or_else(|| replaced.as_mut().and_then(|replaced| replaced.slot.take()));
        state.publisher = Some(Publisher { id, since: now, last_media: now, slot, evict });
        *self.last_publisher.lock() = Some((id, client.to_owned()));
        self.flush(&mut state, now);
        state.reset();
        state.notify_lanes(|| Command::Restart(self.id));
        drop(state);
        self.changes.notify();
        if let Some(replaced) = replaced {
            (replaced.evict)("another publisher has taken over the name");
        }
        Publication::new(self.clone(), id)
    }

    /// Sends deferred audio without waiting for a video frame.
    pub fn flush_deferred_audio(&self, now: Instant) {
        self.flush(&mut self.state.lock(), now);
    }

    /// Sends deferred messages to the lanes.
    pub(super) fn flush(&self, state: &mut State, now: Instant) {
        let (has_video, arrived) = (state.cache.has_video(), state.deferred_since.take().unwrap_or(now));
        let Some(last) = state.deferred.len().checked_sub(1) else { return };
        for (lane, players) in &state.lanes {
            for (index, message) in state.deferred.iter().enumerate() {
                let send = match index < last {
                    true => Lane::enqueue,
                    false if *players <= INLINE_PLAYERS => Lane::send_and_run,
                    false => Lane::send,
                };
                send(lane, Command::Message { stream: self.id, message: message.clone(), arrived, has_video });
            }
        }
        state.deferred.clear();
    }

    /// Subscribes a player's sink to the stream, with or without a publisher.
    pub fn subscribe(
        self: &Arc<Self>,
        sink: Arc<dyn Sink>,
        stream_id: u32,
        lane: &Lane,
        start_at: StartAt,
        filter: SubscriptionFilter,
    ) -> Subscription {
        let id = next_id();
        let (viewer, dropped) = (sink.is_viewer().then(|| self.viewer()), Arc::new(Counter::default()));
        let counters = viewer.as_ref().map_or_else(Arc::default, |viewer| viewer.counters().clone());
        let subscriber = Subscriber::new(id, sink, stream_id, filter, self.queue_limits, counters, dropped.clone());
        let mut state = self.state.lock();
        // The cache has it as well.
        self.flush(&mut state, Instant::now());
        let start = state.cache.initial_messages(start_at == StartAt::LastKeyFrame, state.timeline.now());
        state.players.insert(id, lane.clone());
        match state.lanes.iter_mut().find(|(known, _)| known.is_same(lane)) {
            Some((_, players)) => *players += 1,
            None => state.lanes.push((lane.clone(), 1)),
        }
        // Under the lock: no message may get between the cached ones and those from the lane.
        lane.send(Command::Subscribe(self.id, Box::new(subscriber), start));
        Subscription { stream: self.clone(), id, dropped, _viewer: viewer }
    }

    /// Removes a player; returns when it will get no more messages.
    fn unsubscribe(&self, id: u64) {
        let mut state = self.state.lock();
        let Some(lane) = state.players.remove(&id) else { return };
        state.lanes.retain_mut(|(known, players)| {
            *players -= usize::from(known.is_same(&lane));
            *players > 0
        });
        lane.send(Command::Unsubscribe(self.id, id));
        drop(state);
        // What comes next on the player's message stream must not mix with this.
        lane.sync();
    }

    /// Ends the stream for its players when its publisher has been gone for longer than `grace`. Returns whether the
    /// stream is still in use.
    pub(super) fn tick(&self, now: Instant, grace: Duration) -> bool {
        let mut state = self.state.lock();
        state.rates.record(now, self.counters.bytes_in.get(), self.counters.video_frames_in.get());
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

/// A player's subscription to a stream; dropping it unsubscribes.
#[derive(Debug)]
pub struct Subscription {
    stream: Arc<Stream>,
    id: u64,
    dropped: Arc<Counter>,
    _viewer: Option<Viewer>,
}

impl Subscription {
    /// Returns the stream.
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Changes which tracks the player receives.
    pub fn set_filter(&self, filter: SubscriptionFilter) {
        let state = self.stream.state.lock();
        if let Some(lane) = state.players.get(&self.id) {
            lane.send(Command::SetFilter(self.stream.id, self.id, filter));
        }
    }

    /// Returns the number of messages dropped because the player was too slow.
    pub fn dropped(&self) -> u64 {
        self.dropped.get()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.stream.unsubscribe(self.id);
    }
}
