//! Relay lanes: threads that deliver live messages to players.
//!
//! Waking a thread costs several times what writing a message costs, so players have no writer threads of their own. A
//! lane drains its channel and serves all its players in turn; since no sink blocks, none of them can hold up the
//! others.
//!
//! Lanes are shared by all streams, and there is one per core. Chosen by measurement, on two cores and without a merge
//! window (`--merge-window 0`); CPU seconds per Gbit, and the 99th percentile of video frame latency:
//!
//! | | 1 lane | 2 lanes | 4 lanes | nginx-rtmp |
//! |---|---|---|---|---|
//! | 1 stream × 1,000 players | 0.33, 31 ms | 0.33, 13 ms | 0.32, 17 ms | 0.69, 27 ms |
//! | 1 stream × 2,500 players | 0.51, 44 ms | 0.46, 45 ms | 0.45, 75 ms | 0.48, 220 ms |
//! | 200 streams × 1 player | 4.7, 0.5 ms | 4.5, 0.8 ms | 4.7, 0.6 ms | 3.4, 1.0 ms |
//!
//! A lane per stream would be the first column where it matters. For few players, a publisher runs the lane's work
//! itself, which took a quarter off the last row; blocking in the channel's `recv` instead of sleeping at once had cost
//! half as much again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError};
use parking_lot::Mutex;

use super::lane_subscribers::LaneSubscribers;
use super::merge_window::MergeWindow;
use super::message::LiveMessage;
use super::sink::{Sink, SubscriptionFilter};
use super::subscriber::Subscriber;
use crate::error::{Error, Result};
use crate::guard::catch_panic;
use crate::limits;

/// How long a sink that blocked waits for its first retry; the interval doubles while it accepts nothing, since a
/// player that has paused may read nothing for hours. The player's next message is a retry, too.
const RETRY_INTERVAL: Duration = Duration::from_millis(5);
const MAX_RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// The interval when the last retry sent half of what a live player may have unsent: its link carries more.
const MIN_RETRY_INTERVAL: Duration = Duration::from_millis(1);

/// Commands taken from the channel before their messages are delivered.
const COMMAND_BATCH: usize = 256;

/// How often a publisher runs a lane in one call, when others enqueue more meanwhile, before it wakes the lane instead.
const MAX_INLINE_RUNS: usize = 4;

/// A command to a lane. Streams are identified by number.
pub(super) enum Command {
    /// A message of a stream, its arrival, and whether the stream has video.
    Message { stream: u64, message: Arc<LiveMessage>, arrived: Instant, has_video: bool },
    /// A new subscriber of a stream, and its initial messages.
    Subscribe(u64, Box<Subscriber>, Vec<Arc<LiveMessage>>),
    /// Removes the subscriber with that id.
    Unsubscribe(u64, u64),
    /// Changes the filter of the subscriber with that id.
    SetFilter(u64, u64, SubscriptionFilter),
    /// Another publisher follows: resume at a key frame.
    Restart(u64),
    /// The stream has ended for good.
    End(u64),
    /// The sink has data to flush.
    Retry(Arc<dyn Sink>),
    /// Dropped when reached, which tells the sender that all earlier commands are done.
    Barrier(Sender<()>),
}

/// A handle to a lane: its command channel, and the waker of its thread.
///
/// A lane does not block in its channel's own `recv`, which yields the processor several times before it sleeps: with
/// hundreds of wake-ups a second that costs more than the work.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Dropped before the waker, which then wakes the lane to notice.
    commands: Sender<Command>,
    inbox: Arc<LaneInbox>,
    waker: Waker,
}

/// A lane's inbox and state, run by its own thread, or by a publisher that has only a few players to serve.
#[derive(Debug)]
struct LaneInbox {
    commands: Receiver<Command>,
    state: Mutex<LaneState>,
}

#[derive(Clone, Debug)]
struct Waker(Thread);

impl Drop for Waker {
    fn drop(&mut self) {
        self.0.unpark();
    }
}

impl Lane {
    /// Sends a command and wakes the lane. A lane ends only with the server, so there is no error to handle.
    pub(super) fn send(&self, command: Command) {
        self.enqueue(command);
        self.waker.0.unpark();
    }

    /// Sends a command and runs the lane here unless it is running: for a few players that costs less than waking it.
    pub(super) fn send_and_run(&self, command: Command) {
        self.enqueue(command);
        for _ in 0..MAX_INLINE_RUNS {
            // Whoever holds the lock checks the inbox again when done.
            let Some(mut state) = self.inbox.state.try_lock() else { return };
            state.apply_all(&self.inbox.commands);
            let wake_at = state.deliver();
            let is_earlier = wake_at.is_some_and(|at| state.sleeps_until.is_none_or(|until| at < until));
            drop(state);
            if is_earlier {
                self.waker.0.unpark();
            }
            if self.inbox.commands.is_empty() {
                return;
            }
        }
        self.waker.0.unpark();
    }

    /// Sends a command without waking the lane, because another follows at once.
    pub(super) fn enqueue(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    /// Asks the lane to flush `sink` until it has nothing left.
    pub fn retry(&self, sink: Arc<dyn Sink>) {
        self.send(Command::Retry(sink));
    }

    /// Waits until all earlier commands are done. Lanes never block, so it does not take long.
    pub(super) fn sync(&self) {
        let (done, passed) = crossbeam_channel::bounded(0);
        self.send(Command::Barrier(done));
        // Nothing is ever sent on it: this returns when the lane has dropped its end.
        let _ = passed.recv();
    }

    /// Whether both are handles to the same lane.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.commands.same_channel(&other.commands)
    }
}

impl std::fmt::Debug for LaneState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LaneState").finish_non_exhaustive()
    }
}

/// The relay lanes of a server.
#[derive(Debug)]
pub struct LanePool {
    lanes: Vec<Lane>,
    next: AtomicUsize,
}

impl LanePool {
    /// Starts `count` lanes, at least one. They end when the pool and every [`Lane`] are dropped.
    ///
    /// # Errors
    /// [`Error::Io`] when a thread can't be started.
    pub fn start(count: usize, merge_window: MergeWindow) -> Result<Self> {
        let start_one = |number: usize| {
            let (sender, commands) = crossbeam_channel::unbounded();
            let state =
                Mutex::new(LaneState { subscribers: LaneSubscribers::new(merge_window), ..LaneState::default() });
            let inbox = Arc::new(LaneInbox { commands, state });
            let thread_inbox = inbox.clone();
            let thread = std::thread::Builder::new()
                .name(format!("lane {number}"))
                .stack_size(limits::THREAD_STACK_BYTES)
                .spawn(move || run(&thread_inbox))
                .map_err(|error| Error::io("starting a relay lane", error))?;
            Ok(Lane { commands: sender, inbox, waker: Waker(thread.thread().clone()) })
        };
        let lanes = (0..count.max(1)).map(start_one).collect::<Result<_>>()?;
        Ok(Self { lanes, next: AtomicUsize::new(0) })
    }

    /// Returns a lane for a new connection, round robin.
    pub fn pick(&self) -> Lane {
        let index = self.next.fetch_add(1, Ordering::Relaxed) % self.lanes.len();
        self.lanes[index].clone()
    }
}

/// The work of a lane.
#[derive(Default)]
struct LaneState {
    subscribers: LaneSubscribers,
    /// Sinks with data to flush.
    pending: Vec<PendingFlush>,
    /// When the next of them is retried.
    retry_at: Option<Instant>,
    /// When the next merge window ends.
    due_at: Option<Instant>,
    /// Until when the lane's thread sleeps.
    sleeps_until: Option<Instant>,
}

/// A sink with data to flush.
struct PendingFlush {
    sink: Arc<dyn Sink>,
    /// When it is retried, and the interval to the retry after.
    at: Instant,
    interval: Duration,
    /// Bytes sent by the last retry.
    sent: u64,
}

impl PendingFlush {
    fn new(sink: Arc<dyn Sink>) -> Self {
        Self { at: Instant::now() + RETRY_INTERVAL, interval: RETRY_INTERVAL, sent: sink.sent(), sink }
    }

    /// Flushes the sink if its retry is due; returns whether anything is left.
    fn retry(&mut self, now: Instant) -> bool {
        if now < self.at {
            return true;
        }
        let is_pending = catch_panic(|| self.sink.flush()).unwrap_or_else(|| {
            self.sink.abandon("sending to it panicked");
            false
        });
        let sent = self.sink.sent();
        let moved = sent - std::mem::replace(&mut self.sent, sent);
        self.interval = match moved {
            0 => (self.interval * 2).min(MAX_RETRY_INTERVAL),
            bytes if bytes < limits::LIVE_UNSENT_BYTES as u64 / 2 => RETRY_INTERVAL,
            _ => MIN_RETRY_INTERVAL,
        };
        self.at = now + self.interval;
        is_pending
    }
}

fn run(inbox: &LaneInbox) {
    loop {
        let mut state = inbox.state.lock();
        // Panics of sinks are caught one by one; if anything else panics here, the lane's thread survives.
        let wake_at = match catch_panic(|| state.apply_all(&inbox.commands).then(|| state.deliver())) {
            Some(None) => return,
            Some(Some(wake_at)) => wake_at,
            None => Some(Instant::now() + RETRY_INTERVAL),
        };
        state.sleeps_until = wake_at;
        drop(state);
        // A wake-up since the channel was checked makes this return at once.
        match wake_at {
            _ if !inbox.commands.is_empty() => {}
            None => std::thread::park(),
            Some(at) => std::thread::park_timeout(at.saturating_duration_since(Instant::now())),
        }
    }
}

impl LaneState {
    /// Applies a batch of commands; returns whether the channel is still connected.
    fn apply_all(&mut self, commands: &Receiver<Command>) -> bool {
        for _ in 0..COMMAND_BATCH {
            match commands.try_recv() {
                Ok(command) => self.apply(command),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
        true
    }

    /// Delivers what is due; returns when the next delivery or retry is.
    fn deliver(&mut self) -> Option<Instant> {
        self.subscribers.deliver_urgent();
        let now = Instant::now();
        if self.due_at.is_none_or(|due_at| now >= due_at) {
            self.due_at = self.subscribers.deliver_due(now);
        }
        // A busy lane gets here far more often than retries are of use.
        if self.retry_at.is_none_or(|retry_at| now >= retry_at) {
            self.pending.retain_mut(|pending| pending.retry(now));
            self.retry_at = self.pending.iter().map(|pending| pending.at).min();
        }
        [self.retry_at, self.due_at].into_iter().flatten().min()
    }

    fn apply(&mut self, command: Command) {
        match command {
            Command::Message { stream, message, arrived, has_video } => {
                self.subscribers.enqueue(stream, message, arrived, has_video);
            }
            Command::Subscribe(stream, player, start) => self.subscribers.add(stream, *player, &start),
            Command::Unsubscribe(stream, id) => self.subscribers.remove(stream, id),
            Command::SetFilter(stream, id, filter) => self.subscribers.set_filter(stream, id, filter),
            Command::Restart(stream) => self.subscribers.restart(stream),
            Command::End(stream) => self.subscribers.end(stream),
            Command::Retry(sink) => {
                let pending = PendingFlush::new(sink);
                self.retry_at = Some(self.retry_at.map_or(pending.at, |at| at.min(pending.at)));
                self.pending.push(pending);
            }
            Command::Barrier(done) => drop(done),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::super::sink::{Backlog, Skip};
    use super::*;

    /// Counts retries; accepts a byte at each from `accepts_from` on.
    struct Stuck {
        tries: AtomicUsize,
        accepts_from: usize,
    }

    impl Sink for Stuck {
        fn push(&self, _: u32, _: &[Arc<LiveMessage>]) -> Backlog {
            Backlog::default()
        }

        fn skip(&self, _: u32, _: Skip) -> usize {
            0
        }

        fn flush(&self) -> bool {
            self.tries.fetch_add(1, Ordering::Relaxed);
            true
        }

        fn sent(&self) -> u64 {
            self.tries.load(Ordering::Relaxed).saturating_sub(self.accepts_from) as u64
        }

        fn ended(&self, _: u32) {}

        fn abandon(&self, _: &str) {}

        fn peer(&self) -> &str {
            "192.0.2.7:5000"
        }
    }

    /// Returns how often a sink is retried in a second.
    fn tries(accepts_from: usize) -> usize {
        let sink = Arc::new(Stuck { tries: AtomicUsize::new(0), accepts_from });
        let (mut pending, start) = (PendingFlush::new(sink.clone()), Instant::now());
        for millisecond in 0..1000 {
            assert!(pending.retry(start + Duration::from_millis(millisecond)));
        }
        sink.tries.load(Ordering::Relaxed)
    }

    #[test]
    fn a_stalled_sink_is_retried_ever_less_often_and_a_draining_one_soon() {
        assert!((5..15).contains(&tries(usize::MAX)), "{}", tries(usize::MAX));
        assert!(tries(0) > 150, "{}", tries(0));
    }
}
