//! The way of a video frame from its publisher through the lanes to all players, with sinks in place of sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput};
use gortmp::internals::{
    Backlog, LanePool, LiveMessage, MergeWindow, Publication, Registry, Settings, Sink, Skip, StartAt, Subscription,
    SubscriptionFilter,
};
use gortmp::media::{Packet, Timestamp};

use super::content;

const AUDIENCES: [usize; 4] = [1, 10, 100, 1000];

/// Lanes, as on a machine of two cores.
const LANES: usize = 2;

/// Video frames in a GOP, and in a row.
const GOP: usize = 50;

pub fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("live");
    for players in AUDIENCES {
        let mut relay = Relay::new(players);
        relay.relay(2);
        relay.assert_all_have(2);
        for (name, video_frames) in [("one video frame", 1), ("video frames in a row", GOP)] {
            group.throughput(Throughput::Elements((players * video_frames) as u64));
            group.bench_function(BenchmarkId::new(name, players), |bencher| bencher.iter(|| relay.relay(video_frames)));
        }
    }
    group.finish();
}

/// A stream with its publisher and its players.
struct Relay {
    publication: Publication,
    /// A key frame and what hangs on it.
    gop: Vec<Packet>,
    players: Vec<(Arc<Player>, Subscription)>,
    left: Arc<Left>,
    sent: usize,
    _lanes: LanePool,
}

/// What still has to reach players, and who waits for it.
struct Left {
    messages: AtomicUsize,
    publisher: Thread,
}

/// A sink that counts.
struct Player {
    got: AtomicUsize,
    left: Arc<Left>,
}

impl Relay {
    fn new(players: usize) -> Self {
        let registry = Registry::new(Settings::default());
        let lanes = LanePool::start(LANES, MergeWindow::Auto).expect("threads");
        let left = Arc::new(Left { messages: AtomicUsize::new(0), publisher: thread::current() });
        let publication =
            registry.publish("live/cam", "[192.0.2.7:5000]", Instant::now(), Box::new(|_| {})).expect("a free name");
        let join = |_| {
            let player = Arc::new(Player { got: AtomicUsize::new(0), left: left.clone() });
            let subscription = registry.with_stream("live/cam", |stream| {
                stream.subscribe(player.clone(), 1, &lanes.pick(), StartAt::LastKeyFrame, SubscriptionFilter::default())
            });
            (player, subscription)
        };
        let players = (0..players).map(join).collect();
        let mut gop = vec![content::video_frame(0); GOP];
        gop[0] = content::small_key_frame(0);
        Self { publication, gop, players, left, sent: 0, _lanes: lanes }
    }

    /// Publishes video frames; returns when all players have all of them.
    fn relay(&mut self, video_frames: usize) {
        self.left.messages.store(video_frames * self.players.len(), Ordering::Release);
        for _ in 0..video_frames {
            let mut packet = self.gop[self.sent % GOP].clone();
            packet.timestamp = Timestamp::new((40 * self.sent) as u32);
            self.publication.send(packet, Instant::now()).expect("no other publisher");
            self.sent += 1;
        }
        while self.left.messages.load(Ordering::Acquire) > 0 {
            thread::park();
        }
    }

    fn assert_all_have(&self, messages: usize) {
        assert!(self.players.iter().all(|(player, _)| player.got.load(Ordering::Acquire) == messages));
    }
}

impl Sink for Player {
    fn push(&self, _: u32, messages: &[Arc<LiveMessage>]) -> Backlog {
        self.got.fetch_add(messages.len(), Ordering::AcqRel);
        if !messages.is_empty() && self.left.messages.fetch_sub(messages.len(), Ordering::AcqRel) == messages.len() {
            self.left.publisher.unpark();
        }
        Backlog::default()
    }

    fn skip(&self, _: u32, _: Skip) -> usize {
        0
    }

    fn flush(&self) -> bool {
        false
    }

    fn ended(&self, _: u32) {}

    fn abandon(&self, _: &str) {}

    fn peer(&self) -> &str {
        "192.0.2.7:5000"
    }
}
