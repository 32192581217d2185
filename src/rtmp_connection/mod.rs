//! RTMP connections: a thread reads a client's messages, has the session interpret them, and applies the resulting
//! actions.

mod activity;
mod connection_reader;
mod file_play;
mod live_play;
mod low_water;
mod playing;

use std::collections::BTreeMap;
use std::io::BufReader;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use activity::Activity;
use connection_reader::{ConnectionReader, DeferredAudio, ReadHints};

use crate::access::VerifiedKeys;
use crate::error::{Error, Result};
use crate::guard::TokenBucket;
use crate::limits;
use crate::rtmp::chunk::{ChunkReader, RawMessage};
use crate::rtmp::handshake;
use crate::rtmp::message::Message;
use crate::service::Service;
use crate::session::{Action, Reply, Session};
use crate::transport::{ManagedConnection, Phase, Protocol, Socket};

/// Bytes read at once from a client that doesn't publish.
const READ_BUFFER: usize = 1024;

/// Bytes read at once from a publisher: most video frames of a camera fit.
const PUBLISHER_READ_BUFFER: usize = 32 * 1024;

/// A client's connection, from its handshake to its end.
pub(crate) struct RtmpConnection {
    service: Arc<Service>,
    client: Arc<ManagedConnection>,
    session: Session,
    /// The keys verified at `connect`.
    verified: VerifiedKeys,
    /// The refusal that ends the connection is in the log, or is a challenge, which deserves no warning.
    is_refusal_logged: bool,
    started: Instant,
    /// A malformed message was ignored, which is logged as a warning once.
    has_ignored: bool,
    /// The rate limit of its commands.
    commands: TokenBucket,
    /// Consecutive refused plays.
    consecutive_refusals: u32,
    /// Bytes received since the handshake.
    received: u64,
    /// The activities of its message streams.
    activities: BTreeMap<u32, Activity>,
}

impl RtmpConnection {
    /// Prepares the connection of a client at that address.
    pub(crate) fn new(service: Arc<Service>, socket: Socket, address: SocketAddr) -> Self {
        let client =
            ManagedConnection::new(Protocol::Rtmp, address, socket, service.lanes.pick(), service.publish_timeout);
        Self {
            service,
            client,
            session: Session::new(),
            verified: VerifiedKeys::default(),
            is_refusal_logged: false,
            started: Instant::now(),
            has_ignored: false,
            commands: TokenBucket::new(limits::COMMANDS, limits::COMMANDS_PER_SECOND),
            consecutive_refusals: 0,
            received: 0,
            activities: BTreeMap::new(),
        }
    }

    /// Returns the managed connection.
    pub(crate) fn client(&self) -> &Arc<ManagedConnection> {
        &self.client
    }

    /// Serves the client until it disconnects, violates the protocol or is told to close, and logs which.
    ///
    /// Boxed: by value it would lie on the stack once for each frame below this one.
    pub(crate) fn run(mut self: Box<Self>) {
        let result = self.serve();
        self.finish(result);
    }

    // Apart, like everything that a client which only connects has no need of: its thread keeps the pages of its stack
    // that were touched.
    #[inline(never)]
    fn finish(mut self: Box<Self>, result: Result<()>) {
        let was_refused = matches!(result, Err(Error::Refused { .. }));
        let client_log = (!self.is_refusal_logged).then_some(&self.service.client_log);
        let end = self.client.end_reason(result, client_log);
        self.end_activities(&end);
        if was_refused || self.client.is_draining() {
            self.linger();
        }
        self.client.close(&end);
        log::debug!(
            "{} closed: {end}; {:.1} s, {} KiB received, {} KiB sent",
            self.client,
            self.started.elapsed().as_secs_f32(),
            self.received / 1024,
            self.client.sent() / 1024
        );
    }

    /// Handles a message.
    #[inline(never)]
    fn handle_message(&mut self, raw: RawMessage, actions: &mut Vec<Action>) -> Result<()> {
        let (now, stream_id) = (Instant::now(), raw.stream_id);
        match Message::decode(raw) {
            Ok(message) => {
                if is_costly(&message) && !self.commands.take(now) {
                    let limit = limits::COMMANDS_PER_SECOND.into();
                    return Err(Error::Limit { what: "commands in a second", value: limit + 1, limit });
                }
                self.session.handle(stream_id, message, actions)?;
            }
            Err(error) => self.log_ignored(&error),
        }
        actions.drain(..).try_for_each(|action| self.apply(action, now))
    }

    fn serve(&mut self) -> Result<()> {
        log::debug!("{} connected", self.client);
        let (client, hints) = (self.client.clone(), ReadHints::default());
        let mut reader = BufReader::with_capacity(READ_BUFFER, ConnectionReader::new(&client, &hints));
        let kind = handshake::server::accept(&mut reader, &mut client.socket())?;
        log::debug!("{} completed the handshake: {kind:?}", self.client);
        self.client.enter(Phase::Idle, 0);
        // The handshake and the chunk reader share one buffer: the first chunk may arrive along with C2.
        let mut chunks = ChunkReader::new(reader);
        chunks.limit_partial(limits::PARTIAL_BYTES_BEFORE_PUBLISH, None);
        let mut actions = Vec::new();
        loop {
            let message = chunks.read_chunk()?;
            if let Some(bytes) = chunks.acknowledgement_due() {
                self.client.reply(&[Reply { stream_id: 0, message: Message::Acknowledgement(bytes) }]);
            }
            let Some(raw) = message else { continue };
            self.received = chunks.received();
            self.handle_message(raw, &mut actions)?;
            self.update_read_hints(&hints);
            let source = chunks.source_mut();
            if source.capacity() < PUBLISHER_READ_BUFFER && self.is_publishing() {
                let connection_reader = ConnectionReader::new(&client, &hints).with_buffered(source.buffer().to_vec());
                *source = BufReader::with_capacity(PUBLISHER_READ_BUFFER, connection_reader);
                chunks.limit_partial(limits::PARTIAL_BYTES, Some(self.service.partial_messages.share()));
                if !client.socket().is_tls() {
                    chunks.report_missing(hints.missing.clone());
                }
            }
        }
    }
}

/// Whether a message costs more to handle than to read, so that a flood of it has to be limited. Answering a ping does
/// not.
fn is_costly(message: &Message) -> bool {
    use crate::rtmp::user_control::UserControl::SetBufferLength;
    match message {
        Message::Command(_) | Message::SetPeerBandwidth { .. } => true,
        Message::UserControl(event) => matches!(event, SetBufferLength { .. }),
        _ => false,
    }
}

impl RtmpConnection {
    // Apart, for the sake of the stack of clients whose messages are well-formed.
    #[inline(never)]
    fn log_ignored(&mut self, error: &Error) {
        let text = format_args!("{} ignored the message at byte {}: {error}", self.client, self.received);
        match std::mem::replace(&mut self.has_ignored, true) {
            false => self.service.client_log.warn(text),
            true => log::debug!("{text}"),
        }
    }

    fn is_publishing(&self) -> bool {
        self.activities.values().any(|activity| matches!(activity, Activity::Publishing { .. }))
    }

    /// Lets a refused client read the reason: closing a socket with unread bytes in it would discard the reply. librtmp
    /// only stops at the end of the connection, so that comes first.
    fn linger(&self) {
        // A draining client has been sent everything already, or does not take it.
        if !self.client.is_draining() {
            self.client.flush_for(limits::CLOSE_GRACE);
        }
        self.client.linger();
    }

    /// Updates the hints about the bytes to come.
    fn update_read_hints(&mut self, hints: &ReadHints) {
        let (mut deferred, mut mark, mut publications) = (None, None, 0);
        for activity in self.activities.values_mut() {
            let Activity::Publishing { publication, low_water, .. } = activity else { continue };
            (mark, publications) = (low_water.mark(), publications + 1);
            // Of several streams, the one whose audio is due first.
            let audio = publication.deferred_audio().filter(|(due, _)| deferred.is_none_or(|(first, _)| *due < first));
            deferred = audio.or(deferred);
        }
        // Few publishers cost little, however often they wake up.
        let are_many = self.service.registry.publishers() >= limits::LOW_WATER_FROM_PUBLISHERS;
        let is_of_use = publications == 1 && are_many && !self.client.socket().is_tls();
        hints.mark.set(mark.filter(|_| is_of_use));
        *hints.deferred_audio.borrow_mut() =
            deferred.map(|(due, stream)| DeferredAudio { due, stream: stream.clone() });
    }
}
