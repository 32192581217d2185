//! All live streams by name.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::changes::Changes;
use super::clock_watch::Times;
use super::publication::Publication;
use super::sink::QueueLimits;
use super::stream::Stream;
use super::warnings::Warning;
use crate::fmp4::{AudioFormat, VideoFormat};
use crate::guard::Budget;
use crate::limits;
use crate::stats::Traffic;

/// What happens when somebody publishes under a name that is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplacePublisher {
    /// The second is refused.
    Never,
    /// The second takes over when the first has sent nothing for [`limits::PUBLISHER_IDLE`], and is
    /// refused otherwise.
    #[default]
    Idle,
    /// The second takes over.
    Always,
}

/// Why somebody may not publish: the reason, for the client and the log.
#[derive(Debug, PartialEq, Eq)]
pub enum PublishRefused {
    /// The name is in use.
    Taken(String),
    /// There are enough publishers.
    TooMany(String),
}

/// What holds for all live streams.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What happens when a name is published twice.
    pub replace: ReplacePublisher,
    /// How long players are kept when their publisher goes.
    pub grace: Duration,
    /// How much may wait for each player.
    pub patience: QueueLimits,
    /// Which times messages get.
    pub times: Times,
    /// Streams that are published at once.
    pub publishers: usize,
    /// Bytes of all that is remembered of all streams for players to come.
    pub cache: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            replace: ReplacePublisher::default(),
            grace: Duration::from_secs(10),
            patience: QueueLimits::default(),
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
    changes: Arc<Changes>,
    /// What went through streams that are forgotten.
    past: Mutex<Traffic>,
}

/// A live stream at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamStatus {
    /// Its name, application included.
    pub name: String,
    /// Whether somebody publishes it.
    pub is_published: bool,
    /// How many play it or wait for it.
    pub players: usize,
    /// What has gone through it.
    pub traffic: Traffic,
    /// How long its publisher has been there.
    pub age: Option<Duration>,
    /// Its video frame, as far as its sequence header was understood.
    pub video: Option<VideoFormat>,
    /// Its audio, the same way.
    pub audio: Option<AudioFormat>,
    /// Video frames in a second, of the last few.
    pub frames_per_second: f64,
    /// What comes from its publisher, of the last few seconds.
    pub bits_per_second: f64,
    /// What its publisher should do otherwise.
    pub warnings: Vec<Warning>,
}

impl Registry {
    /// An empty registry.
    pub fn new(settings: Settings) -> Self {
        let (publishers, cache) = (Budget::new(settings.publishers), Budget::new(settings.cache));
        Self { streams: Mutex::default(), settings, publishers, cache, changes: Arc::default(), past: Mutex::default() }
    }

    /// Makes `client` the publisher of `name`, if the name is free or may be taken over. `evict` is
    /// called, with a reason, if another publisher takes over later.
    ///
    /// # Errors
    /// [`PublishRefused`] when the name is taken, or there are too many publishers.
    pub fn publish(
        &self,
        name: &str,
        client: &str,
        now: Instant,
        evict: Box<dyn Fn(&str) + Send>,
    ) -> Result<Publication, PublishRefused> {
        let mut streams = self.streams.lock();
        let stream = streams.entry(name.to_owned()).or_insert_with(|| self.new_stream(name));
        let place = if let Some(silence) = stream.silence(now) {
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
            // It gets the place of the other.
            None
        } else {
            let mut place = self.publishers.share();
            if !place.resize(1) {
                let reason = format!("{} streams are being published already", self.publishers.held());
                return Err(PublishRefused::TooMany(reason));
            }
            Some(place)
        };
        Ok(stream.publish(client, now, evict, place))
    }

    /// The stream of that name, there or yet to come. What nobody publishes or plays is forgotten with
    /// the next [`tick`](Self::tick), so subscribe inside of `then`.
    pub fn with_stream<T>(&self, name: &str, then: impl FnOnce(&Arc<Stream>) -> T) -> T {
        let mut streams = self.streams.lock();
        then(streams.entry(name.to_owned()).or_insert_with(|| self.new_stream(name)))
    }

    /// The same for a stream that somebody publishes; `None` if nobody does.
    pub fn with_published<T>(&self, name: &str, then: impl FnOnce(&Arc<Stream>) -> T) -> Option<T> {
        let streams = self.streams.lock();
        streams.get(name).filter(|stream| stream.is_published()).map(then)
    }

    /// A stream made of another, which the caller publishes: they have name and counters in common, and no list has it.
    pub fn derive(&self, from: &Stream, now: Instant) -> (Arc<Stream>, Publication) {
        let stream = Arc::new(Stream::derived(from, self.settings.patience, self.cache.share()));
        let publication = stream.publish("fragments", now, Box::new(|_| {}), None);
        (stream, publication)
    }

    fn new_stream(&self, name: &str) -> Arc<Stream> {
        Arc::new(Stream::new(name, &self.settings, self.cache.share(), self.changes.clone()))
    }

    /// Ends streams whose grace is over and forgets those nobody needs. To be called about every half second.
    pub fn tick(&self, now: Instant) {
        self.streams.lock().retain(|_, stream| {
            let is_of_use = stream.tick(now, self.settings.grace);
            if !is_of_use {
                *self.past.lock() += stream.counters().traffic();
                self.changes.note();
            }
            is_of_use
        });
    }

    /// How many publish.
    pub fn publishers(&self) -> usize {
        self.publishers.held()
    }

    /// All streams as they stand, by name.
    pub fn status(&self) -> Vec<StreamStatus> {
        let mut status: Vec<_> = self.streams.lock().values().map(|stream| stream.status()).collect();
        status.sort_by(|one, other| one.name.cmp(&other.name));
        status
    }

    /// For those who wait for the streams to change.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Ends a stream's publisher for that reason; says whether there was one.
    pub fn evict(&self, name: &str, reason: &str) -> bool {
        let stream = self.streams.lock().get(name).cloned();
        stream.is_some_and(|stream| stream.evict(reason))
    }

    /// What has gone through all streams together, those that are no more included.
    pub fn traffic(&self) -> Traffic {
        let streams = self.streams.lock();
        let mut total = *self.past.lock();
        streams.values().for_each(|stream| total += stream.counters().traffic());
        total
    }

    /// How many names are published, waited for or kept.
    pub fn len(&self) -> usize {
        self.streams.lock().len()
    }

    /// Whether there is no stream at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
