//! Relay lanes: threads that hand live messages to players.
//!
//! Waking a thread costs several times what writing a message costs, so players have no writer threads
//! of their own. A lane drains its channel and serves all its players in turn; since no sink waits, none
//! of them can hold up the others.
//!
//! Lanes are shared by all streams and there is one for each core: with one stream and many players the
//! cores share the players, with many streams and few players one wake-up serves several streams.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::message::LiveMessage;
use super::subscriber::{Sink, Subscriber, Wanted};
use crate::error::{Error, Result};
use crate::limits;
use crate::media::PacketKind;

/// How long what a socket did not take waits for the next try. The player's own next message is one, too.
const RETRY: Duration = Duration::from_millis(5);

/// Commands taken from the channel before what they brought is handed over.
const COMMANDS_AT_ONCE: usize = 256;

/// What a lane is told. Streams go by their number.
pub(super) enum Command {
    /// A message of a stream.
    Message(u64, Arc<LiveMessage>),
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

/// The way into a lane.
#[derive(Clone, Debug)]
pub struct Lane {
    sender: Sender<Command>,
}

impl Lane {
    /// Tells the lane something. A lane ends only with the server, so there is no error to handle.
    pub(super) fn send(&self, command: Command) {
        let _ = self.sender.send(command);
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
        self.sender.same_channel(&other.sender)
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
    pub fn start(count: usize) -> Result<Self> {
        let start_one = |number: usize| {
            let (sender, receiver) = crossbeam_channel::unbounded();
            std::thread::Builder::new()
                .name(format!("lane {number}"))
                .stack_size(limits::THREAD_STACK_BYTES)
                .spawn(move || Streams::default().run(&receiver))
                .map_err(|error| Error::io("starting a relay lane", error))?;
            Ok(Lane { sender })
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

/// What a lane knows of a stream.
struct StreamPlayers {
    players: Vec<Subscriber>,
    /// Came since the players were served last.
    batch: Vec<Arc<LiveMessage>>,
    /// Sound since the last picture; as good as endless before the first.
    audio_since_video: usize,
}

impl Default for StreamPlayers {
    fn default() -> Self {
        Self { players: Vec::new(), batch: Vec::new(), audio_since_video: usize::MAX }
    }
}

impl StreamPlayers {
    fn deliver(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        for player in &mut self.players {
            player.deliver(&self.batch, self.audio_since_video <= limits::AUDIO_ONLY_AFTER);
        }
        self.batch.clear();
    }
}

#[derive(Default)]
struct Streams {
    streams: HashMap<u64, StreamPlayers>,
    /// Streams whose batch isn't empty.
    fresh: Vec<u64>,
    /// Sinks in which something waits.
    waiting: Vec<Arc<dyn Sink>>,
    /// When they are tried again.
    retry_at: Option<Instant>,
}

impl Streams {
    fn run(mut self, receiver: &Receiver<Command>) {
        loop {
            let first = match self.retry_at {
                None => receiver.recv().map_err(RecvTimeoutError::from),
                Some(retry_at) => receiver.recv_deadline(retry_at),
            };
            match first {
                Ok(command) => {
                    self.take(command);
                    receiver.try_iter().take(COMMANDS_AT_ONCE).for_each(|command| self.take(command));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            for stream in self.fresh.drain(..) {
                if let Some(stream) = self.streams.get_mut(&stream) {
                    stream.deliver();
                }
            }
            self.retry();
        }
    }

    /// Flushes what waits, when it is time: a busy lane comes by far more often than there is any use.
    fn retry(&mut self) {
        let now = Instant::now();
        if self.retry_at.is_none_or(|retry_at| now >= retry_at) {
            self.waiting.retain(|sink| sink.flush());
            self.retry_at = (!self.waiting.is_empty()).then(|| now + RETRY);
        }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Message(stream, message) => {
                let Some(players) = self.streams.get_mut(&stream) else { return };
                match message.packet.kind {
                    PacketKind::Video => players.audio_since_video = 0,
                    PacketKind::Audio => players.audio_since_video = players.audio_since_video.saturating_add(1),
                    PacketKind::Data => {}
                }
                if players.batch.is_empty() {
                    self.fresh.push(stream);
                }
                players.batch.push(message);
            }
            Command::Join(stream, mut player, start) => {
                let players = self.streams.entry(stream).or_default();
                // What waits is older than what the player starts with.
                players.deliver();
                player.start(&start);
                players.players.push(*player);
            }
            Command::Leave(stream, id) => {
                let Some(players) = self.streams.get_mut(&stream) else { return };
                players.players.retain(|player| player.id != id);
                if players.players.is_empty() {
                    self.streams.remove(&stream);
                }
            }
            Command::SetWanted(stream, id, wanted) => {
                let Some(players) = self.streams.get_mut(&stream) else { return };
                players.deliver();
                let player = players.players.iter_mut().find(|player| player.id == id);
                player.into_iter().for_each(|player| player.set_wanted(wanted));
            }
            Command::Restart(stream) => {
                let Some(players) = self.streams.get_mut(&stream) else { return };
                players.deliver();
                players.audio_since_video = usize::MAX;
                players.players.iter_mut().for_each(Subscriber::restart);
            }
            Command::End(stream) => {
                let Some(mut players) = self.streams.remove(&stream) else { return };
                players.deliver();
                players.players.iter().for_each(|player| player.sink.ended(player.stream_id));
            }
            Command::Retry(sink) => self.waiting.push(sink),
            Command::Passed(done) => drop(done),
        }
    }
}
