//! All live streams by name.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::change_notifier::ChangeNotifier;
use super::publication::Publication;
use super::sink::QueueLimits;
use super::stream::Stream;
use super::timestamp_source::Times;
use super::warnings::Warning;
use crate::fmp4::{AudioFormat, VideoFormat};
use crate::guard::Budget;
use crate::limits;
use crate::stats::Traffic;

/// The policy for publishing under a name in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplacePublisher {
    /// The second publisher is refused.
    Never,
    /// The second publisher takes over when the first has sent nothing for [`limits::PUBLISHER_IDLE`], and is refused
    /// otherwise.
    #[default]
    Idle,
    /// The second publisher takes over.
    Always,
}

/// Why a publish was refused, with the reason for the client and the log.
#[derive(Debug, PartialEq, Eq)]
pub enum PublishRefused {
    /// The name is in use.
    Taken(String),
    /// The limit of publishers is reached.
    TooMany(String),
}

/// Settings of all live streams.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The policy for names in use.
    pub replace: ReplacePublisher,
    /// How long players are kept after their publisher has left.
    pub grace: Duration,
    /// The limits of each player's queue.
    pub queue_limits: QueueLimits,
    /// The source of timestamps.
    pub times: Times,
    /// The limit of concurrently published streams.
    pub publishers: usize,
    /// The limit of all streams' caches together, in bytes.
    pub cache: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            replace: ReplacePublisher::default(),
            grace: Duration::from_secs(10),
            queue_limits: QueueLimits::default(),
            times: Times::default(),
            publishers: limits::PUBLISHERS,
            cache: limits::CACHE_BYTES_OF_ALL,
        }
    }
}

/// The live streams of a server.
#[derive(Debug)]
pub struct Registry {
    streams: Mutex<HashMap<String, Arc<Stream>>>,
    settings: Settings,
    publishers: Arc<Budget>,
    cache: Arc<Budget>,
    changes: Arc<ChangeNotifier>,
    /// The traffic of streams that have been removed.
    past: Mutex<Traffic>,
}

/// The state of a live stream.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StreamStatus {
    /// The name, application included.
    pub name: String,
    /// Whether it has a publisher.
    pub is_published: bool,
    /// The number of players, those that wait for a publisher included.
    pub players: usize,
    /// What has passed through it.
    pub traffic: Traffic,
    /// How long its publisher has been publishing.
    pub age: Option<Duration>,
    /// The video codec configuration, if understood.
    pub video: Option<VideoFormat>,
    /// The audio codec configuration, if understood.
    pub audio: Option<AudioFormat>,
    /// Recent video frames per second.
    pub frames_per_second: f64,
    /// Recent bits per second from its publisher.
    pub bits_per_second: f64,
    /// What is wrong with its encoder's settings.
    pub warnings: Vec<Warning>,
}

impl Registry {
    /// Creates an empty registry.
    pub fn new(settings: Settings) -> Self {
        let (publishers, cache) = (Budget::new(settings.publishers), Budget::new(settings.cache));
        Self { streams: Mutex::default(), settings, publishers, cache, changes: Arc::default(), past: Mutex::default() }
    }

    /// Makes `client` the publisher of `name` if the name is free or may be taken over. `evict` is called, with a
    /// reason, if another publisher takes over later.
    ///
    /// # Errors
    /// [`PublishRefused`] when the name is in use, or there are too many publishers.
    pub fn publish(
        &self,
        name: &str,
        client: &str,
        now: Instant,
        evict: Box<dyn Fn(&str) + Send>,
    ) -> Result<Publication, PublishRefused> {
        let mut streams = self.streams.lock();
        let stream = streams.entry(name.to_owned()).or_insert_with(|| self.new_stream(name));
        let slot = if let Some(silence) = stream.silence(now) {
            let idle = limits::PUBLISHER_IDLE;
            let refused = match self.settings.replace {
                ReplacePublisher::Never => true,
                ReplacePublisher::Idle => silence < idle,
                ReplacePublisher::Always => false,
            };
            if refused {
                let hint = match self.settings.replace {
                    ReplacePublisher::Idle => {
                        format!("; it can be taken over when its publisher is silent for {} s", idle.as_secs())
                    }
                    _ => String::new(),
                };
                let name = name.escape_debug();
                return Err(PublishRefused::Taken(format!("{name} is being published already{hint}")));
            }
            // It inherits the other's slot.
            None
        } else {
            let mut slot = self.publishers.share();
            if !slot.resize(1) {
                let reason = format!("{} streams are being published already", self.publishers.held());
                return Err(PublishRefused::TooMany(reason));
            }
            Some(slot)
        };
        Ok(stream.publish(client, now, evict, slot))
    }

    /// Calls `then` with the stream of that name, creating it if needed. A stream without publisher and players is
    /// removed by the next [`tick`](Self::tick), so subscribe inside of `then`.
    pub fn with_stream<T>(&self, name: &str, then: impl FnOnce(&Arc<Stream>) -> T) -> T {
        let mut streams = self.streams.lock();
        then(streams.entry(name.to_owned()).or_insert_with(|| self.new_stream(name)))
    }

    /// Calls `then` with the stream of that name if it is published; returns `None` otherwise.
    pub fn with_published<T>(&self, name: &str, then: impl FnOnce(&Arc<Stream>) -> T) -> Option<T> {
        let streams = self.streams.lock();
        streams.get(name).filter(|stream| stream.is_published()).map(then)
    }

    /// Derives a stream that the caller publishes: it shares name and counters with `from` and is not listed.
    pub fn derive(&self, from: &Stream, now: Instant) -> (Arc<Stream>, Publication) {
        let stream = Arc::new(Stream::derived(from, self.settings.queue_limits, self.cache.share()));
        let publication = stream.publish("fragments", now, Box::new(|_| {}), None);
        (stream, publication)
    }

    fn new_stream(&self, name: &str) -> Arc<Stream> {
        Arc::new(Stream::new(name, &self.settings, self.cache.share(), self.changes.clone()))
    }

    /// Ends streams whose grace period is over and removes unused ones. To be called about every half second.
    pub fn tick(&self, now: Instant) {
        self.streams.lock().retain(|_, stream| {
            let is_of_use = stream.tick(now, self.settings.grace);
            if !is_of_use {
                *self.past.lock() += stream.counters().traffic();
                self.changes.notify();
            }
            is_of_use
        });
    }

    /// Returns the number of publishers.
    pub fn publishers(&self) -> usize {
        self.publishers.held()
    }

    /// Returns the status of all streams, by name.
    pub fn status(&self) -> Vec<StreamStatus> {
        let mut status: Vec<_> = self.streams.lock().values().map(|stream| stream.status()).collect();
        status.sort_by(|one, other| one.name.cmp(&other.name));
        status
    }

    /// Returns the notifier of changes to the streams.
    pub fn changes(&self) -> &ChangeNotifier {
        &self.changes
    }

    /// Evicts a stream's publisher for that reason; returns whether there was one.
    pub fn evict(&self, name: &str, reason: &str) -> bool {
        let stream = self.streams.lock().get(name).cloned();
        stream.is_some_and(|stream| stream.evict(reason))
    }

    /// Returns the traffic of all streams together, removed ones included.
    pub fn traffic(&self) -> Traffic {
        let streams = self.streams.lock();
        let mut total = *self.past.lock();
        streams.values().for_each(|stream| total += stream.counters().traffic());
        total
    }

    /// Returns the number of streams, those without a publisher included.
    pub fn len(&self) -> usize {
        self.streams.lock().len()
    }

    /// Whether there are no streams.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
