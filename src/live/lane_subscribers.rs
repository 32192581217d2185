//! The subscribers of a lane by stream, and the messages pending for them.
//!
//! A send costs far more than the bytes in it, so with many players messages are merged for as long as [`MergeWindow`]
//! says, and go out together.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::merge_window::MergeWindow;
use super::message::LiveMessage;
use super::sink::SubscriptionFilter;
use super::subscriber::{Delivered, Subscriber};
use crate::guard::catch_panic;
use crate::stats::StreamCounters;

/// The subscribers of a lane.
#[derive(Default)]
pub(super) struct LaneSubscribers {
    merge_window: MergeWindow,
    streams: HashMap<u64, StreamPlayers>,
    players: usize,
    /// Streams with messages to deliver at once.
    urgent: Vec<u64>,
    /// Streams with messages in their merge window.
    merging: Vec<u64>,
}

#[derive(Default)]
struct StreamPlayers {
    players: Vec<Subscriber>,
    /// Messages since the last delivery.
    batch: Vec<Arc<LiveMessage>>,
    /// When the batch is delivered at the latest.
    due: Option<Instant>,
    has_video: bool,
    is_urgent: bool,
    is_merging: bool,
    counters: Arc<StreamCounters>,
}

impl StreamPlayers {
    fn deliver(&mut self) {
        if !self.batch.is_empty() {
            let mut delivered = Delivered::default();
            for player in &mut self.players {
                delivered += player.deliver(&self.batch, self.has_video);
            }
            delivered.count(&self.counters);
            self.batch.clear();
        }
        self.due = None;
        self.is_urgent = false;
    }
}

impl LaneSubscribers {
    pub(super) fn new(merge_window: MergeWindow) -> Self {
        Self { merge_window, ..Self::default() }
    }

    /// Adds a message to the stream's batch.
    pub(super) fn enqueue(&mut self, id: u64, message: Arc<LiveMessage>, arrived: Instant, has_video: bool) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let window = self.merge_window.window(self.players);
        stream.has_video = has_video;
        stream.batch.push(message);
        if window.is_zero() {
            if !stream.is_urgent {
                stream.is_urgent = true;
                self.urgent.push(id);
            }
        } else {
            stream.due.get_or_insert(arrived + window);
            if !stream.is_merging {
                stream.is_merging = true;
                self.merging.push(id);
            }
        }
    }

    /// Delivers the batches without a merge window.
    pub(super) fn deliver_urgent(&mut self) {
        for id in self.urgent.drain(..) {
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.deliver();
            }
        }
    }

    /// Delivers the batches whose merge window has ended; returns when the next ends.
    pub(super) fn deliver_due(&mut self, now: Instant) -> Option<Instant> {
        let (streams, mut next) = (&mut self.streams, None);
        self.merging.retain(|id| {
            let Some(stream) = streams.get_mut(id) else { return false };
            if stream.due.is_some_and(|due| due <= now) {
                stream.deliver();
            }
            next = [next, stream.due].into_iter().flatten().min();
            stream.is_merging = stream.due.is_some();
            stream.is_merging
        });
        next
    }

    /// Adds a subscriber, which starts with these messages.
    pub(super) fn add(&mut self, id: u64, mut player: Subscriber, start: &[Arc<LiveMessage>]) {
        let stream = self.streams.entry(id).or_default();
        // Pending messages are older than those it starts with.
        stream.deliver();
        stream.counters = player.counters().clone();
        player.start(start).count(&stream.counters);
        stream.players.push(player);
        self.players += 1;
    }

    /// Removes a subscriber.
    pub(super) fn remove(&mut self, id: u64, player: u64) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let before = stream.players.len();
        stream.players.retain(|one| one.id != player);
        self.players -= before - stream.players.len();
        if stream.players.is_empty() {
            self.streams.remove(&id);
        }
    }

    /// Changes a subscriber's filter.
    pub(super) fn set_filter(&mut self, id: u64, player: u64, filter: SubscriptionFilter) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.deliver();
        let player = stream.players.iter_mut().find(|one| one.id == player);
        player.into_iter().for_each(|player| player.set_filter(filter));
    }

    /// Restarts the stream's subscribers for another publisher.
    pub(super) fn restart(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.deliver();
        stream.players.iter_mut().for_each(Subscriber::restart);
    }

    /// Ends a stream for good: tells its subscribers and removes them.
    pub(super) fn end(&mut self, id: u64) {
        let Some(mut stream) = self.streams.remove(&id) else { return };
        stream.deliver();
        self.players -= stream.players.len();
        for player in &stream.players {
            if catch_panic(|| player.sink.ended(player.stream_id)).is_none() {
                player.sink.abandon("telling it the end panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use parking_lot::Mutex;

    use super::super::sink::{Backlog, QueueLimits, Sink, Skip};
    use super::*;
    use crate::media::{Packet, PacketKind, Timestamp};
    use crate::stats::Counter;

    const QUEUE_LIMITS: QueueLimits =
        QueueLimits { queue_bytes: 1000, max_lag: Duration::from_millis(700), key_frame_wait: Duration::from_secs(5) };

    /// Records the number of messages in each push.
    #[derive(Default)]
    struct Pushes(Mutex<Vec<usize>>);

    impl Sink for Pushes {
        fn push(&self, _: u32, messages: &[Arc<LiveMessage>]) -> Backlog {
            self.0.lock().push(messages.len());
            Backlog { bytes: 10 * messages.len(), age: Duration::ZERO }
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

    fn message(kind: PacketKind, payload: [u8; 2]) -> Arc<LiveMessage> {
        Arc::new(LiveMessage::new(Packet { kind, timestamp: Timestamp::ZERO, payload: payload.to_vec().into() }))
    }

    fn audio() -> Arc<LiveMessage> {
        message(PacketKind::Audio, [0xaf, 1])
    }

    fn key_frame() -> Arc<LiveMessage> {
        message(PacketKind::Video, [0x17, 1])
    }

    /// A lane with one subscriber, its pushes, its stream's counters, and the time.
    fn subscribers(merge_window: MergeWindow) -> (LaneSubscribers, Arc<Pushes>, Arc<StreamCounters>, Instant) {
        let (pushes, counters) = (Arc::new(Pushes::default()), Arc::new(StreamCounters::default()));
        let (filter, dropped) = (SubscriptionFilter::default(), Arc::new(Counter::default()));
        let player = Subscriber::new(1, pushes.clone(), 1, filter, QUEUE_LIMITS, counters.clone(), dropped);
        let mut subscribers = LaneSubscribers::new(merge_window);
        subscribers.add(7, player, &[key_frame()]);
        assert_eq!(*pushes.0.lock(), [1]);
        (subscribers, pushes, counters, Instant::now())
    }

    #[test]
    fn messages_since_the_last_delivery_go_out_together() {
        let (mut subscribers, pushes, counters, now) = subscribers(MergeWindow::Auto);
        subscribers.enqueue(7, audio(), now, true);
        subscribers.enqueue(7, key_frame(), now, true);
        subscribers.deliver_urgent();
        subscribers.deliver_urgent();
        assert_eq!(*pushes.0.lock(), [1, 2]);
        let traffic = counters.traffic();
        assert_eq!((traffic.messages_out, traffic.bytes_out, traffic.batches, traffic.queue_peak), (3, 6, 2, 20));
    }

    #[test]
    fn messages_within_a_window_are_merged() {
        let window = Duration::from_millis(350);
        let (mut subscribers, pushes, _, now) = subscribers(MergeWindow::Window(window));
        for after in [0, 33, 66] {
            subscribers.enqueue(7, key_frame(), now + Duration::from_millis(after), true);
            subscribers.enqueue(7, audio(), now + Duration::from_millis(after), true);
            subscribers.deliver_urgent();
        }
        assert_eq!(subscribers.deliver_due(now + Duration::from_millis(349)), Some(now + window));
        assert_eq!(*pushes.0.lock(), [1]);
        subscribers.deliver_due(now + window);
        assert_eq!(*pushes.0.lock(), [1, 6]);
    }

    #[test]
    fn a_pending_batch_does_not_reach_a_later_player() {
        let (mut subscribers, pushes, counters, now) = subscribers(MergeWindow::Auto);
        subscribers.enqueue(7, audio(), now, true);
        let (second, filter) = (Arc::new(Pushes::default()), SubscriptionFilter::default());
        let dropped = Arc::new(Counter::default());
        subscribers.add(
            7,
            Subscriber::new(2, second.clone(), 1, filter, QUEUE_LIMITS, counters, dropped),
            &[key_frame(), audio()],
        );
        assert_eq!((pushes.0.lock().clone(), second.0.lock().clone()), (vec![1, 1], vec![2]));
        subscribers.remove(7, 1);
        assert_eq!(subscribers.players, 1);
        subscribers.end(7);
        assert_eq!(subscribers.players, 0);
    }
}
