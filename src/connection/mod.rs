//! Where a client's socket meets the layers below: one thread reads, decides with the session, and acts.

mod activity;
mod client;
mod file_play;
mod outgoing;
mod peer;
mod playing;
mod reading;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use activity::Activity;
pub use client::{Client, ClientEvent};
pub use peer::Peer;
use peer::Phase;
use reading::{Reading, WaitingSound};

use crate::error::{Error, Result};
use crate::limits;
use crate::live::{LanePool, Registry};
use crate::rtmp::chunk::ChunkReader;
use crate::rtmp::handshake;
use crate::rtmp::message::Message;
use crate::session::{Reply, Session};
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
    /// Applications for live streams.
    pub live_apps: Vec<String>,
    /// The application for files.
    pub vod_app: String,
    /// Start new players at the last key frame.
    pub gop_cache: bool,
}

/// One client, from its handshake to its end.
pub struct Connection {
    service: Arc<Service>,
    peer: Arc<Peer>,
    session: Session,
    /// What its message streams are doing.
    activities: BTreeMap<u32, Activity>,
}

impl Connection {
    /// Prepares an accepted socket. `name` stands for the client in the log: its address.
    ///
    /// # Errors
    /// [`Error::Io`] when the socket can't be set up.
    pub fn new(service: Arc<Service>, socket: &TcpStream, name: String) -> Result<Self> {
        let setup = || {
            socket.set_nodelay(true)?;
            socket.set_write_timeout(Some(limits::WRITE_STALL))?;
            rustix::net::sockopt::set_socket_keepalive(socket, true)?;
            rustix::net::sockopt::set_socket_send_buffer_size(socket, limits::SEND_BUFFER_BYTES)?;
            socket.try_clone()
        };
        let sending = setup().map_err(|error| Error::io("setting up a connection", error))?;
        // A host that vanished is found out by what stays unacknowledged, a ping at the least, and while a
        // player has paused by the system's keepalive.
        let peer = Peer::new(name, sending, service.lanes.pick());
        Ok(Self { service, peer, session: Session::new(), activities: BTreeMap::new() })
    }

    /// The client as others see it.
    pub fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    /// Serves the client until it leaves, breaks the rules or is told to go, and logs which.
    #[expect(clippy::boxed_local, reason = "by value it would lie on the stack once for each frame below this one")]
    pub fn run(mut self: Box<Self>, socket: &TcpStream) {
        let started = Instant::now();
        let result = self.serve(socket);
        for (_, activity) in std::mem::take(&mut self.activities) {
            activity.end(&self.peer);
        }
        if let Err(Error::Refused { .. }) = &result {
            let _ = linger(socket);
        }
        let end = match (result, self.peer.closed_because()) {
            (_, Some(reason)) => format!("was closed: {reason}"),
            (Err(error), None) if !error.is_disconnect() => {
                log::warn!("{} {error}", self.peer);
                "was closed".to_owned()
            }
            _ => "left".to_owned(),
        };
        self.peer.close(&end);
        log::debug!(
            "{} {end} after {:.1} s, {} bytes sent",
            self.peer,
            started.elapsed().as_secs_f32(),
            self.peer.sent()
        );
    }

    fn serve(&mut self, socket: &TcpStream) -> Result<()> {
        log::debug!("{} connected", self.peer);
        let (peer, waiting) = (self.peer.clone(), RefCell::new(None));
        let mut reader = BufReader::with_capacity(READ_BUFFER, Reading::new(socket, &peer, &waiting));
        let kind = handshake::server::accept(&mut reader, &mut &*socket)?;
        log::debug!("{} shook hands: {kind:?}", self.peer);
        self.peer.enter(Phase::Idle, 0);
        // The handshake and the chunks share one buffer: the first chunk may come along with C2.
        let mut chunks = ChunkReader::new(reader);
        let mut actions = Vec::new();
        let mut complaint = log::Level::Warn;
        loop {
            let message = chunks.read_chunk()?;
            if let Some(bytes) = chunks.acknowledgement_due() {
                self.peer.reply(&[Reply { stream_id: 0, message: Message::Acknowledgement(bytes) }]);
            }
            let Some(raw) = message else { continue };
            let now = Instant::now();
            let stream_id = raw.stream_id;
            match Message::decode(raw) {
                Ok(message) => self.session.handle(stream_id, message, &mut actions)?,
                Err(error) => {
                    log::log!(complaint, "{} byte {}: {error}: passed over", self.peer, chunks.received());
                    complaint = log::Level::Debug;
                }
            }
            for action in actions.drain(..) {
                self.act(action, now)?;
            }
            *waiting.borrow_mut() = self.waiting_sound();
            let source = chunks.source_mut();
            if source.capacity() < PUBLISHER_READ_BUFFER && self.is_publishing() {
                let reading = Reading { unread: source.buffer().to_vec(), ..Reading::new(socket, &peer, &waiting) };
                *source = BufReader::with_capacity(PUBLISHER_READ_BUFFER, reading);
            }
        }
    }
}

impl Connection {
    fn is_publishing(&self) -> bool {
        self.activities.values().any(|activity| matches!(activity, Activity::Publishing { .. }))
    }

    /// Of the streams that the client publishes, the one whose sound has to go out first.
    fn waiting_sound(&self) -> Option<WaitingSound> {
        let waiting = self.activities.values().filter_map(|activity| match activity {
            Activity::Publishing { publication, .. } => publication.waiting_sound(),
            _ => None,
        });
        let (due, stream) = waiting.min_by_key(|(due, _)| *due)?;
        Some(WaitingSound { due, stream: stream.clone() })
    }
}

/// Lets a client that was refused something read why: closing a socket with unread bytes in it would
/// take the answer back. librtmp stops at nothing but the end of the connection, so that comes first.
fn linger(socket: &TcpStream) -> std::io::Result<()> {
    socket.shutdown(Shutdown::Write)?;
    let until = Instant::now() + limits::CLOSE_GRACE;
    let mut unread = vec![0; 4096];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        socket.set_read_timeout(Some(left))?;
        if (&*socket).read(&mut unread)? == 0 {
            return Ok(());
        }
    }
}
