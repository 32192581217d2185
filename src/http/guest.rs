//! An HTTP client as others see it: the lanes that send to it, and the server that watches over it.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::connection::{Description, Framing, HTTP_STREAM_ID, Outgoing, Transport, Watched, Wrapping};
use crate::error::Result;
use crate::fmp4::Piece;
use crate::limits;
use crate::live::{Backlog, Lane, LiveMessage, Sink, Skip};
use crate::stats::Missed;

/// What a client is doing, for the deadlines that hold meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It has to ask for something: [`limits::HTTP_ASKING`].
    Asking,
    /// It gets something, and each write has its own deadline.
    Answering,
    /// Lanes send it a live stream: [`limits::WRITE_STALL`].
    Streaming,
}

/// A client that came over HTTP.
pub struct Guest {
    address: SocketAddr,
    /// The address, for the log.
    name: String,
    me: Weak<Self>,
    connected: Instant,
    lane: Lane,
    outgoing: Outgoing,
    state: Mutex<State>,
    /// What of live streams it was too slow for.
    missed: Missed,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// When the phase began.
    since: Instant,
    framing: Framing,
    /// The initialisation segment has gone out.
    has_init: bool,
    /// Its stream has ended: so does the connection, when all has gone out.
    ends: bool,
    /// When this side ended.
    finished: Option<Instant>,
    /// Why the connection was ended from this side.
    reason: Option<String>,
    /// It is to leave.
    leaves: bool,
    /// What it plays.
    plays: Option<String>,
    agent: String,
}

impl Guest {
    pub(super) fn new(address: SocketAddr, transport: Transport, lane: Lane) -> Arc<Self> {
        let framing = Framing::Http { as_tags: false, wrapping: Wrapping::Nothing };
        let state = State {
            phase: Phase::Asking,
            since: Instant::now(),
            framing,
            has_init: false,
            ends: false,
            finished: None,
            reason: None,
            leaves: false,
            plays: None,
            agent: String::new(),
        };
        let (name, outgoing, state) = (address.to_string(), Outgoing::new(transport), Mutex::new(state));
        Arc::new_cyclic(|me| Self {
            address,
            name,
            me: me.clone(),
            connected: Instant::now(),
            lane,
            outgoing,
            state,
            missed: Missed::default(),
        })
    }

    pub(super) fn lane(&self) -> &Lane {
        &self.lane
    }

    pub(super) fn transport(&self) -> &Transport {
        self.outgoing.transport()
    }

    /// It may ask for something, for a while.
    pub(super) fn is_asking(&self) {
        self.enter(Phase::Asking);
    }

    /// It gets an answer.
    pub(super) fn is_answered(&self) {
        self.enter(Phase::Answering);
    }

    fn enter(&self, phase: Phase) {
        let mut state = self.state.lock();
        (state.phase, state.since, state.plays) = (phase, Instant::now(), None);
    }

    /// Notes which program it says it is, for those who ask.
    pub(super) fn is_program(&self, agent: &str) {
        let mut state = self.state.lock();
        // It says so with every request.
        if state.agent.is_empty() {
            state.agent = agent.chars().take(limits::AGENT_CHARS).collect();
        }
    }

    /// Which program it says it is.
    pub(super) fn agent(&self) -> String {
        self.state.lock().agent.clone()
    }

    /// Notes what it plays, for those who ask.
    pub(super) fn plays(&self, name: String) {
        self.state.lock().plays = Some(name);
    }

    /// From here on lanes send to it, after these bytes.
    pub(super) fn streams(&self, framing: Framing, head: Vec<u8>) {
        let mut state = self.state.lock();
        (state.phase, state.since, state.framing) = (Phase::Streaming, Instant::now(), framing);
        drop(state);
        self.transport().set_user_timeout(Some(limits::PING_TIMEOUT));
        self.transport().set_live(true);
        self.queue(head);
    }

    /// Sends bytes behind all that waits.
    pub(super) fn queue(&self, bytes: Vec<u8>) {
        let needed = self.outgoing.bytes(bytes);
        self.retry_if(needed);
    }

    /// Sends an answer, waiting for room.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub(super) fn send(&self, pieces: &mut [IoSlice<'_>], patience: Duration) -> Result<()> {
        self.transport().send_all(pieces, patience)
    }

    fn retry_if(&self, needed: bool) {
        if let (true, Some(me)) = (needed, self.me.upgrade()) {
            self.lane.retry(me);
        }
    }

    /// Whether it has to go now.
    pub(super) fn is_asked_to_leave(&self) -> bool {
        self.state.lock().leaves
    }

    /// Why the connection was ended, if this side did it.
    pub(super) fn closed_because(&self) -> Option<String> {
        self.state.lock().reason.clone()
    }

    /// Bytes sent of a live stream.
    pub(super) fn sent(&self) -> u64 {
        self.outgoing.sent()
    }

    /// Ends the stream in order, and the connection when all has gone out, for that reason.
    pub(super) fn end(&self, reason: &str) {
        let mut state = self.state.lock();
        let has_ended = std::mem::replace(&mut state.ends, true);
        state.reason.get_or_insert_with(|| reason.to_owned());
        let end = match state.framing {
            Framing::Http { wrapping, .. } if !has_ended => wrapping.end(),
            _ => None,
        };
        drop(state);
        if let Some(end) = end {
            self.queue(end.to_vec());
        }
        self.finish_if_due(Instant::now());
    }

    fn finish_if_due(&self, now: Instant) {
        if self.state.lock().ends && self.outgoing.finish() {
            self.state.lock().finished.get_or_insert(now);
        }
    }

    fn overdue(&self, now: Instant) -> Option<&'static str> {
        let stalled = self.outgoing.stalled(now);
        let state = self.state.lock();
        let in_phase = now.saturating_duration_since(state.since);
        match state.phase {
            Phase::Asking => (in_phase > limits::HTTP_ASKING).then_some("it asked for nothing"),
            Phase::Answering => None,
            Phase::Streaming
                if state.finished.is_some_and(|at| now.saturating_duration_since(at) > limits::WRITE_STALL) =>
            {
                Some("its stream has ended")
            }
            Phase::Streaming => (stalled > limits::WRITE_STALL).then_some("it took nothing of what it was sent"),
        }
    }

    /// How many of these messages it gets: a second initialisation segment is for another player.
    fn fitting(&self, messages: &[Arc<LiveMessage>]) -> (Framing, usize) {
        let mut state = self.state.lock();
        let mut fitting = messages.len();
        for (index, message) in messages.iter().enumerate() {
            if matches!(message.piece.as_deref(), Some(Piece::Init(_))) && std::mem::replace(&mut state.has_init, true)
            {
                fitting = index;
                break;
            }
        }
        if state.ends {
            fitting = 0;
        }
        (state.framing, fitting)
    }
}

impl Watched for Guest {
    fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    fn check(&self, now: Instant) {
        self.finish_if_due(now);
        if let Some(reason) = self.overdue(now) {
            self.close(reason);
        }
    }

    fn ask_to_leave(&self, reason: &str) {
        let mut state = self.state.lock();
        state.reason.get_or_insert_with(|| reason.to_owned());
        state.leaves = true;
        drop(state);
        self.transport().stop_reading();
    }

    fn close(&self, reason: &str) {
        let mut state = self.state.lock();
        state.reason.get_or_insert_with(|| reason.to_owned());
        state.leaves = true;
        drop(state);
        self.transport().shutdown();
    }

    fn describe(&self) -> Description {
        let state = self.state.lock();
        Description {
            address: self.address,
            protocol: "http",
            is_secured: self.transport().is_secured(),
            age: self.connected.elapsed(),
            state: if state.plays.is_some() { "playing" } else { "idle" },
            agent: state.agent.clone(),
            publishes: Vec::new(),
            plays: state.plays.iter().cloned().collect(),
            bytes_received: self.transport().received(),
            bytes_sent: self.transport().sent(),
            lag: self.outgoing.backlog().age,
            messages_dropped: self.missed.messages.get(),
            skips: self.missed.skips.get(),
        }
    }

    fn publishes(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Sink for Guest {
    fn push(&self, _: u32, messages: &[Arc<LiveMessage>]) -> Backlog {
        let (framing, fitting) = self.fitting(messages);
        let (backlog, needed) = self.outgoing.live(framing, &messages[..fitting]);
        self.retry_if(needed);
        if fitting < messages.len() {
            self.end("its tracks have changed");
        }
        backlog
    }

    fn skip(&self, _: u32, what: Skip) -> usize {
        self.outgoing.skip(HTTP_STREAM_ID, what)
    }

    fn backlog(&self) -> Backlog {
        self.outgoing.backlog()
    }

    fn flush(&self) -> bool {
        self.outgoing.flush()
    }

    fn sent(&self) -> u64 {
        self.outgoing.sent()
    }

    fn missed(&self, messages: u64, skipped: bool) {
        self.missed.note(messages, skipped);
    }

    fn ended(&self, _: u32) {
        self.end("the stream has ended");
    }

    fn abandon(&self, reason: &str) {
        self.close(reason);
    }

    fn peer(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.name)
    }
}

/// What the client says.
pub(super) struct Reading<'a>(pub &'a Guest);

impl Read for Reading<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.transport().read(buffer)
    }
}

/// For a WebSocket, whose answers to pings go out between messages of the stream.
impl Write for Reading<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.queue(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
