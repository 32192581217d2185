//! Where a client's socket meets the layers below: one thread reads, decides with the session, and acts.

mod activity;
mod file_play;
mod framing;
mod low_water;
mod outgoing;
mod peer;
mod phase;
mod playing;
mod queue;
mod reading;
mod secured;
mod socket_options;
mod transport;

use std::collections::BTreeMap;
use std::fmt;
use std::io::BufReader;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use activity::Activity;
pub use framing::{Framing, HTTP_STREAM_ID, Wrapping, web_socket_header};
pub use outgoing::Outgoing;
pub use peer::Peer;
use phase::Phase;
use reading::{Outlook, Reading, WaitingAudio};
pub use transport::Transport;

use crate::access::{Access, Proven};
use crate::error::{Error, Result};
use crate::guard::{Bucket, Budget, Complaints};
use crate::limits;
use crate::live::{LanePool, Registry, StartAt};
use crate::rtmp::chunk::{ChunkReader, RawMessage};
use crate::rtmp::handshake;
use crate::rtmp::message::Message;
use crate::session::{Action, Reply, Session, StreamPath};
use crate::stats::Refusals;
use crate::vod::Library;

/// How much is read at once, in bytes, from a client that only asks for things.
const READ_BUFFER: usize = 1024;

/// The same from a publisher: most pictures of a camera come whole.
const PUBLISHER_READ_BUFFER: usize = 32 * 1024;

/// What all connections of a server share.
#[derive(Debug)]
pub struct Service {
    /// The live streams.
    pub registry: Registry,
    /// The lanes that bring them to players.
    pub lanes: LanePool,
    /// The files.
    pub library: Library,
    /// Who may publish and play.
    pub access: Access,
    /// Applications for live streams.
    pub live_apps: Vec<String>,
    /// The application for files.
    pub vod_app: String,
    /// Start new players at the last key frame.
    pub gop_cache: bool,
    /// How long a publisher may send nothing.
    pub publish_timeout: Duration,
    /// Bytes of unfinished messages of all connections.
    pub partial: Arc<Budget>,
    /// Where warnings about clients go.
    pub complaints: Complaints,
    /// What clients were refused.
    pub refusals: Refusals,
}

impl Service {
    /// The path that is meant by one that a client named: a single component that is no application is a stream of the first
    /// live application, as in `rtmp://HOST/cam1`.
    ///
    /// # Errors
    /// The reason, when there is no such application.
    pub fn resolve(&self, path: StreamPath) -> Result<StreamPath, String> {
        match self.live_apps.first() {
            _ if self.has_app(&path.app) => Ok(path),
            Some(live) if path.name.is_empty() => Ok(path.below(live)),
            _ => Err(self.no_app(&path.app)),
        }
    }

    /// Whether there is an application of that name.
    pub fn has_app(&self, app: &str) -> bool {
        app == self.vod_app || self.live_apps.iter().any(|live| live == app)
    }

    /// Says that there is no application of that name, and which there are.
    pub fn no_app(&self, app: &str) -> String {
        let apps = self.live_apps.iter().chain([&self.vod_app]).map(String::as_str).collect::<Vec<_>>();
        format!("there is no application \"{}\" here, only {}", app.escape_debug(), apps.join(" and "))
    }

    /// Where a player begins in a live stream, which it may choose.
    pub fn start_at(&self, path: &StreamPath) -> StartAt {
        match path.query_value("gop").as_deref() {
            Some("0") => StartAt::NextKeyFrame,
            Some("1") => StartAt::LastKeyFrame,
            _ if self.gop_cache => StartAt::LastKeyFrame,
            _ => StartAt::NextKeyFrame,
        }
    }
}

/// A client's connection as the server watches over it.
pub trait Watched: fmt::Display + Send + Sync {
    /// Where the client is.
    fn ip(&self) -> IpAddr;

    /// Holds the deadlines against the clock. To be called about every half second.
    fn check(&self, now: Instant);

    /// Makes its thread, which may be waiting for the client to say something, tell it the end and leave.
    fn ask_to_leave(&self, reason: &str);

    /// Ends it now.
    fn close(&self, reason: &str);

    /// What it is and does.
    fn describe(&self) -> Description;

    /// The streams that it publishes.
    fn publishes(&self) -> Vec<String>;
}

/// A connection as others are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Where the client is.
    pub address: SocketAddr,
    /// `rtmp`, or `http`.
    pub protocol: &'static str,
    /// Whether that is within TLS.
    pub is_secured: bool,
    /// How long it has been there.
    pub age: Duration,
    /// `handshake`, `idle`, `paused`, `playing` or `publishing`; of several, the last of these.
    pub state: &'static str,
    /// The program that it says it is, of [`limits::AGENT_CHARS`] at most; empty until it has said so.
    pub agent: String,
    /// The streams that it publishes.
    pub publishes: Vec<String>,
    /// The streams and files that it plays.
    pub plays: Vec<String>,
    /// Bytes that came from it.
    pub bytes_received: u64,
    /// Bytes sent to it.
    pub bytes_sent: u64,
    /// How long the oldest of what is to be sent to it has waited.
    pub lag: Duration,
    /// Messages of live streams that it was too slow for.
    pub messages_dropped: u64,
    /// How often it went on at a later key frame for that.
    pub skips: u64,
}

/// One client, from its handshake to its end.
pub struct Connection {
    service: Arc<Service>,
    peer: Arc<Peer>,
    session: Session,
    /// Keys that it has shown to know at `connect`.
    proven: Proven,
    /// It was told to come back with a password, which is no reason to complain.
    was_asked: bool,
    started: Instant,
    /// A message of it that made no sense was passed over, which is said once.
    has_passed_over: bool,
    /// What it may ask for.
    commands: Bucket,
    /// Plays that it was refused since the last that it was not.
    refused_in_a_row: u32,
    /// Bytes that came, handshake aside.
    received: u64,
    /// What its message streams are doing.
    activities: BTreeMap<u32, Activity>,
}

impl Connection {
    /// Prepares the connection of a client at that address.
    pub fn new(service: Arc<Service>, transport: Transport, address: SocketAddr) -> Self {
        let peer = Peer::new(address, transport, service.lanes.pick(), service.publish_timeout);
        Self {
            service,
            peer,
            session: Session::new(),
            proven: Proven::default(),
            was_asked: false,
            started: Instant::now(),
            has_passed_over: false,
            commands: Bucket::new(limits::COMMANDS, limits::COMMANDS_PER_SECOND),
            refused_in_a_row: 0,
            received: 0,
            activities: BTreeMap::new(),
        }
    }

    /// The client as others see it.
    pub fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    /// Serves the client until it leaves, breaks the rules or is told to go, and logs which.
    ///
    /// Boxed: by value it would lie on the stack once for each frame below this one.
    pub fn run(mut self: Box<Self>) {
        let result = self.serve();
        self.finish(result);
    }

    // Apart, as all that a client which only connects has no need of: its thread keeps the pages of its stack that were touched.
    #[inline(never)]
    fn finish(mut self: Box<Self>, result: Result<()>) {
        let was_refused = matches!(result, Err(Error::Refused { .. }));
        let end = match (result, self.peer.closed_because()) {
            (_, Some(reason)) => format!("was closed: {reason}"),
            (Err(error), None) if !error.is_disconnect() => {
                if !self.was_asked {
                    self.service.complaints.warn(format_args!("{} {error}", self.peer));
                }
                format!("was closed: {error}")
            }
            _ => "left".to_owned(),
        };
        self.end_activities(&end);
        if was_refused || self.peer.is_asked_to_leave() {
            self.linger();
        }
        self.peer.close(&end);
        log::debug!(
            "{} {end} after {:.1} s, {} KiB received, {} KiB sent",
            self.peer,
            self.started.elapsed().as_secs_f32(),
            self.received / 1024,
            self.peer.sent() / 1024
        );
    }

    /// Does what a message asks for.
    #[inline(never)]
    fn take(&mut self, raw: RawMessage, actions: &mut Vec<Action>) -> Result<()> {
        let (now, stream_id) = (Instant::now(), raw.stream_id);
        match Message::decode(raw) {
            Ok(message) => {
                if asks_for_something(&message) && !self.commands.take(now) {
                    let limit = limits::COMMANDS_PER_SECOND.into();
                    return Err(Error::Limit { what: "commands in a second", value: limit + 1, limit });
                }
                self.session.handle(stream_id, message, actions)?;
            }
            Err(error) => self.passed_over(&error),
        }
        actions.drain(..).try_for_each(|action| self.act(action, now))
    }

    fn serve(&mut self) -> Result<()> {
        log::debug!("{} connected", self.peer);
        let (peer, outlook) = (self.peer.clone(), Outlook::default());
        let mut reader = BufReader::with_capacity(READ_BUFFER, Reading::new(&peer, &outlook));
        let kind = handshake::server::accept(&mut reader, &mut peer.transport())?;
        log::debug!("{} shook hands: {kind:?}", self.peer);
        self.peer.enter(Phase::Idle, 0);
        // The handshake and the chunks share one buffer: the first chunk may come along with C2.
        let mut chunks = ChunkReader::new(reader);
        chunks.limit_partial(limits::PARTIAL_BYTES_BEFORE_PUBLISH, None);
        let mut actions = Vec::new();
        loop {
            let message = chunks.read_chunk()?;
            if let Some(bytes) = chunks.acknowledgement_due() {
                self.peer.reply(&[Reply { stream_id: 0, message: Message::Acknowledgement(bytes) }]);
            }
            let Some(raw) = message else { continue };
            self.received = chunks.received();
            self.take(raw, &mut actions)?;
            self.look_ahead(&outlook);
            let source = chunks.source_mut();
            if source.capacity() < PUBLISHER_READ_BUFFER && self.is_publishing() {
                let reading = Reading::new(&peer, &outlook).behind(source.buffer().to_vec());
                *source = BufReader::with_capacity(PUBLISHER_READ_BUFFER, reading);
                chunks.limit_partial(limits::PARTIAL_BYTES, Some(self.service.partial.share()));
                if !peer.transport().is_secured() {
                    chunks.tell_missing(outlook.missing.clone());
                }
            }
        }
    }
}

/// Whether a message makes the server do something, so that a flood of it costs more than reading it. To answer a ping
/// costs no more.
fn asks_for_something(message: &Message) -> bool {
    use crate::rtmp::user_control::UserControl::SetBufferLength;
    match message {
        Message::Command(_) | Message::SetPeerBandwidth { .. } => true,
        Message::UserControl(event) => matches!(event, SetBufferLength { .. }),
        _ => false,
    }
}

impl Connection {
    // Apart, for the sake of the stack of those that make sense.
    #[inline(never)]
    fn passed_over(&mut self, error: &Error) {
        let text = format_args!("{} byte {}: {error}: ignored", self.peer, self.received);
        match std::mem::replace(&mut self.has_passed_over, true) {
            false => self.service.complaints.warn(text),
            true => log::debug!("{text}"),
        }
    }

    fn is_publishing(&self) -> bool {
        self.activities.values().any(|activity| matches!(activity, Activity::Publishing { .. }))
    }

    /// Lets a client that was refused something read why: closing a socket with unread bytes in it would
    /// take the answer back. librtmp stops at nothing but the end of the connection, so that comes first.
    fn linger(&self) {
        let transport = self.peer.transport();
        // Who was asked to leave has been sent all already, or does not take it.
        if !self.peer.is_asked_to_leave() {
            self.peer.flush_for(limits::CLOSE_GRACE);
        }
        transport.finish();
        if let Err(error) = transport.drain(limits::CLOSE_GRACE) {
            log::debug!("{} after its end: {error}", self.peer);
        }
    }

    /// Says what is to be expected of the client.
    fn look_ahead(&mut self, outlook: &Outlook) {
        let (mut waiting, mut mark, mut publications) = (None, None, 0);
        for activity in self.activities.values_mut() {
            let Activity::Publishing { publication, low_water, .. } = activity else { continue };
            (mark, publications) = (low_water.mark(), publications + 1);
            // Of several streams, the one whose audio has to go out first.
            let audio = publication.waiting_sound().filter(|(due, _)| waiting.is_none_or(|(first, _)| *due < first));
            waiting = audio.or(waiting);
        }
        // Few publishers cost little, however often they wake up.
        let are_many = self.service.registry.publishers() >= limits::LOW_WATER_FROM_PUBLISHERS;
        let is_of_use = publications == 1 && are_many && !self.peer.transport().is_secured();
        outlook.mark.set(mark.filter(|_| is_of_use));
        *outlook.waiting.borrow_mut() = waiting.map(|(due, stream)| WaitingAudio { due, stream: stream.clone() });
    }
}
