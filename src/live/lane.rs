//! Relay lanes: threads that hand live messages to players.
//!
//! Waking a thread costs several times what writing a message costs, so players have no writer threads
//! of their own. A lane drains its channel and serves all its players in turn; since no sink waits, none
//! of them can hold up the others.
//!
//! Lanes are shared by all streams and there is one for each core. Chosen by measurement, on two cores and with
//! everything sent at once (`--gather 0`); in CPU seconds for each Gbit, and 99 % of video frames within:
//!
//! | | 1 lane | 2 lanes | 4 lanes | nginx-rtmp |
//! |---|---|---|---|---|
//! | 1 stream × 1,000 players | 0.33, 31 ms | 0.33, 13 ms | 0.32, 17 ms | 0.69, 27 ms |
//! | 1 stream × 2,500 players | 0.51, 44 ms | 0.46, 45 ms | 0.45, 75 ms | 0.48, 220 ms |
//! | 200 streams × 1 player | 4.7, 0.5 ms | 4.5, 0.8 ms | 4.7, 0.6 ms | 3.4, 1.0 ms |
//!
//! A lane for each stream would be the first column where it matters. To few players a publisher sends itself, in
//! the lane's place, which took a quarter off the last row; waiting in a channel's `recv` instead of sleeping at once
//! had cost half as much again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError};
use parking_lot::Mutex;

use super::lane_subscribers::LaneSubscribers;
use super::merge_window::MergeWindow;
use super::message::LiveMessage;
use super::sink::{Sink, Wanted};
use super::subscriber::Subscriber;
use crate::error::{Error, Result};
use crate::guard::catch_panic;
use crate::limits;

/// How long what a socket did not take waits for the next try, which comes later each time that it takes nothing: a
/// player that has paused may read nothing for hours. The player's own next message is a try, too.
const RETRY: Duration = Duration::from_millis(5);
const LONGEST_RETRY: Duration = Duration::from_millis(200);

/// The same where the last try brought away half of what a live stream's player may have unsent: its link carries more.
const QUICK_RETRY: Duration = Duration::from_millis(1);

/// Commands taken from the channel before what they brought is handed over.
const COMMANDS_AT_ONCE: usize = 256;

/// How often a publisher does a lane's work in one go, when others send it more meanwhile, before it wakes the lane.
const HELPS: usize = 4;

/// What a lane is told. Streams go by their number.
pub(super) enum Command {
    /// A message of a stream, when it came, and whether the stream has video frames.
    Message { stream: u64, message: Arc<LiveMessage>, arrived: Instant, has_video: bool },
    /// A player, and what it gets first.
    Join(u64, Box<Subscriber>, Vec<Arc<LiveMessage>>),
    /// The player with that id goes.
    Leave(u64, u64),
    /// The player with that id wants these kinds only.
    SetWanted(u64, u64, Wanted),
    /// Another publisher follows: go on at a key frame.
    Restart(u64),
    /// The stream has ended for good.
    End(u64),
    /// Something waits in this sink.
    Retry(Arc<dyn Sink>),
    /// To be dropped, which tells the other end that all before it is done.
    Passed(Sender<()>),
}

/// The way into a lane: a channel of commands, and a bell that wakes the lane to look into it.
///
/// A lane does not wait in its channel's own `recv`, which yields the processor several times before it sleeps:
/// with hundreds of wake-ups a second that costs more than the work.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Dropped before the bell, which then tells the lane.
    commands: Sender<Command>,
    inbox: Arc<LaneInbox>,
    waker: Waker,
}

/// Where a lane's work is done: by its own thread, or by a publisher that has only a few players to serve.
#[derive(Debug)]
struct LaneInbox {
    commands: Receiver<Command>,
    work: Mutex<LaneState>,
}

#[derive(Clone, Debug)]
struct Waker(Thread);

impl Drop for Waker {
    fn drop(&mut self) {
        self.0.unpark();
    }
}

impl Lane {
    /// Tells the lane something. A lane ends only with the server, so there is no error to handle.
    pub(super) fn send(&self, command: Command) {
        self.send_quietly(command);
        self.waker.0.unpark();
    }

    /// The same, and does the work itself if nobody is at it: for a few players that costs less than to wake the lane.
    pub(super) fn send_and_help(&self, command: Command) {
        self.send_quietly(command);
        for _ in 0..HELPS {
            // Who is at it looks again when it is done.
            let Some(mut work) = self.inbox.work.try_lock() else { return };
            work.take_all(&self.inbox.commands);
            let wake_at = work.deliver();
            let is_sooner = wake_at.is_some_and(|at| work.sleeps_until.is_none_or(|until| at < until));
            drop(work);
            if is_sooner {
                self.waker.0.unpark();
            }
            if self.inbox.commands.is_empty() {
                return;
            }
        }
        self.waker.0.unpark();
    }

    /// The same without waking the lane: something else follows at once.
    pub(super) fn send_quietly(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    /// Asks the lane to flush `sink` until nothing waits in it any more.
    pub fn retry(&self, sink: Arc<dyn Sink>) {
        self.send(Command::Retry(sink));
    }

    /// Waits until everything sent before is done. Lanes wait for nothing, so it does not take long.
    pub(super) fn catch_up(&self) {
        let (done, passed) = crossbeam_channel::bounded(0);
        self.send(Command::Passed(done));
        // Nothing is ever sent on it: this returns when the lane has dropped its end.
        let _ = passed.recv();
    }

    /// Whether the two are the same lane.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.commands.same_channel(&other.commands)
    }
}

impl std::fmt::Debug for LaneState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").finish_non_exhaustive()
    }
}

/// All lanes.
#[derive(Debug)]
pub struct LanePool {
    lanes: Vec<Lane>,
    next: AtomicUsize,
}

impl LanePool {
    /// Starts `count` lanes, at least one. They end when the pool and every [`Lane`] are dropped.
    ///
    /// # Errors
    /// [`Error::Io`] when there is no thread to be had.
    pub fn start(count: usize, merge_window: MergeWindow) -> Result<Self> {
        let start_one = |number: usize| {
            let (sender, commands) = crossbeam_channel::unbounded();
            let work =
                Mutex::new(LaneState { subscribers: LaneSubscribers::new(merge_window), ..LaneState::default() });
            let inbox = Arc::new(LaneInbox { commands, work });
            let thread_desk = inbox.clone();
            let thread = std::thread::Builder::new()
                .name(format!("lane {number}"))
                .stack_size(limits::THREAD_STACK_BYTES)
                .spawn(move || run(&thread_desk))
                .map_err(|error| Error::io("starting a relay lane", error))?;
            Ok(Lane { commands: sender, inbox, waker: Waker(thread.thread().clone()) })
        };
        let lanes = (0..count.max(1)).map(start_one).collect::<Result<_>>()?;
        Ok(Self { lanes, next: AtomicUsize::new(0) })
    }

    /// A lane for a connection, each in turn.
    pub fn pick(&self) -> Lane {
        let index = self.next.fetch_add(1, Ordering::Relaxed) % self.lanes.len();
        self.lanes[index].clone()
    }
}

/// What a lane has to do.
#[derive(Default)]
struct LaneState {
    subscribers: LaneSubscribers,
    /// Sinks in which something waits.
    waiting: Vec<Waiting>,
    /// When they are tried again.
    retry_at: Option<Instant>,
    /// When messages have gathered long enough.
    due_at: Option<Instant>,
    /// When the lane's thread comes by itself.
    sleeps_until: Option<Instant>,
}

/// A sink in which something waits.
struct Waiting {
    sink: Arc<dyn Sink>,
    /// When it is tried again, and how long after that once more.
    at: Instant,
    pause: Duration,
    /// Bytes that it had sent at the last try.
    sent: u64,
}

impl Waiting {
    fn new(sink: Arc<dyn Sink>) -> Self {
        Self { at: Instant::now() + RETRY, pause: RETRY, sent: sink.sent(), sink }
    }

    /// Tries if it is time; says whether anything still waits.
    fn retry(&mut self, now: Instant) -> bool {
        if now < self.at {
            return true;
        }
        let still_waits = catch_panic(|| self.sink.flush()).unwrap_or_else(|| {
            self.sink.abandon("sending to it panicked");
            false
        });
        let sent = self.sink.sent();
        let moved = sent - std::mem::replace(&mut self.sent, sent);
        self.pause = match moved {
            0 => (self.pause * 2).min(LONGEST_RETRY),
            bytes if bytes < limits::LIVE_UNSENT_BYTES as u64 / 2 => RETRY,
            _ => QUICK_RETRY,
        };
        self.at = now + self.pause;
        still_waits
    }
}

fn run(inbox: &LaneInbox) {
    loop {
        let mut work = inbox.work.lock();
        // Sinks are looked after one by one; whatever else might panic here, a lane without a thread would be worse.
        let wake_at = match catch_panic(|| work.take_all(&inbox.commands).then(|| work.deliver())) {
            Some(None) => return,
            Some(Some(wake_at)) => wake_at,
            None => Some(Instant::now() + RETRY),
        };
        work.sleeps_until = wake_at;
        drop(work);
        // A bell that rang since the channel was looked into makes this return at once.
        match wake_at {
            _ if !inbox.commands.is_empty() => {}
            None => std::thread::park(),
            Some(at) => std::thread::park_timeout(at.saturating_duration_since(Instant::now())),
        }
    }
}

impl LaneState {
    /// Takes commands; says whether there can be more.
    fn take_all(&mut self, commands: &Receiver<Command>) -> bool {
        for _ in 0..COMMANDS_AT_ONCE {
            match commands.try_recv() {
                Ok(command) => self.take(command),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
        true
    }

    /// Hands over what is due and says when there is more to do.
    fn deliver(&mut self) -> Option<Instant> {
        self.subscribers.deliver_urgent();
        let now = Instant::now();
        if self.due_at.is_none_or(|due_at| now >= due_at) {
            self.due_at = self.subscribers.deliver_due(now);
        }
        // A busy lane comes by far more often than there is any use.
        if self.retry_at.is_none_or(|retry_at| now >= retry_at) {
            self.waiting.retain_mut(|waiting| waiting.retry(now));
            self.retry_at = self.waiting.iter().map(|waiting| waiting.at).min();
        }
        [self.retry_at, self.due_at].into_iter().flatten().min()
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Message { stream, message, arrived, has_video } => {
                self.subscribers.message(stream, message, arrived, has_video);
            }
            Command::Join(stream, player, start) => self.subscribers.join(stream, *player, &start),
            Command::Leave(stream, id) => self.subscribers.leave(stream, id),
            Command::SetWanted(stream, id, wanted) => self.subscribers.set_wanted(stream, id, wanted),
            Command::Restart(stream) => self.subscribers.restart(stream),
            Command::End(stream) => self.subscribers.end(stream),
            Command::Retry(sink) => {
                let waiting = Waiting::new(sink);
                self.retry_at = Some(self.retry_at.map_or(waiting.at, |at| at.min(waiting.at)));
                self.waiting.push(waiting);
            }
            Command::Passed(done) => drop(done),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::super::sink::{Backlog, Skip};
    use super::*;

    /// Counts tries; takes a byte at the last.
    struct Stuck {
        tries: AtomicUsize,
        takes_from: usize,
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
            self.tries.load(Ordering::Relaxed).saturating_sub(self.takes_from) as u64
        }

        fn ended(&self, _: u32) {}

        fn abandon(&self, _: &str) {}

        fn peer(&self) -> &str {
            "192.0.2.7:5000"
        }
    }

    /// How often a sink is tried in a second.
    fn tries(takes_from: usize) -> usize {
        let sink = Arc::new(Stuck { tries: AtomicUsize::new(0), takes_from });
        let (mut waiting, start) = (Waiting::new(sink.clone()), Instant::now());
        for millisecond in 0..1000 {
            assert!(waiting.retry(start + Duration::from_millis(millisecond)));
        }
        sink.tries.load(Ordering::Relaxed)
    }

    #[test]
    fn who_takes_nothing_is_tried_less_and_less_and_who_takes_something_soon_again() {
        assert!((5..15).contains(&tries(usize::MAX)), "{}", tries(usize::MAX));
        assert!(tries(0) > 150, "{}", tries(0));
    }
}
