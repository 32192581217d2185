//! A client's connection as the lanes that send to it and the server that supervises it see it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::connection_info::{ConnectionInfo, Protocol};
use super::deadlines::{Deadlines, Phase, Verdict};
use super::delivery::Delivery;
use super::outgoing::Outgoing;
use super::socket::Socket;
use crate::access::Origin;
use crate::error::Result;
use crate::guard::ClientLog;
use crate::limits;
use crate::live::Lane;
use crate::rtmp::message::Message;
use crate::rtmp::user_control::UserControl;
use crate::session::Reply;
use crate::stats::DropCounters;

/// A client's connection, RTMP or HTTP.
pub(crate) struct ManagedConnection {
    address: SocketAddr,
    /// The address, for the log.
    name: String,
    protocol: Protocol,
    pub(super) weak_self: Weak<Self>,
    connected_at: Instant,
    pub(super) lane: Lane,
    pub(super) outgoing: Outgoing,
    pub(super) state: Mutex<State>,
    /// How often it has started publishing or playing.
    activity_starts: AtomicU32,
    pub(super) drops: DropCounters,
}

#[derive(Debug)]
pub(super) struct State {
    pub deadlines: Deadlines,
    /// How live messages are delivered.
    pub delivery: Delivery,
    /// Why this side ended the connection.
    pub reason: Option<String>,
    /// The connection is to tell its client the end and to close.
    is_draining: bool,
    is_closed: bool,
    agent: String,
    publishes: Vec<String>,
    plays: Vec<String>,
}

impl ManagedConnection {
    /// Manages the connection of a client at that address, whose publications may be silent for `publish_timeout`.
    pub(crate) fn new(
        protocol: Protocol,
        address: SocketAddr,
        socket: Socket,
        lane: Lane,
        publish_timeout: Duration,
    ) -> Arc<Self> {
        let now = Instant::now();
        let (phase, delivery) = match protocol {
            Protocol::Rtmp => {
                // A host that vanished is detected by unacknowledged data, at least a ping, and while a player has
                // paused by TCP keepalive.
                socket.set_user_timeout(Some(limits::PING_TIMEOUT));
                (Phase::Handshake, Delivery::Rtmp)
            }
            Protocol::Http => (Phase::Requesting, Delivery::HttpResponse),
        };
        let state = State {
            deadlines: Deadlines::new(phase, publish_timeout, now),
            delivery,
            reason: None,
            is_draining: false,
            is_closed: false,
            agent: String::new(),
            publishes: Vec::new(),
            plays: Vec::new(),
        };
        let (name, outgoing, state) = (address.to_string(), Outgoing::new(socket), Mutex::new(state));
        Arc::new_cyclic(|weak_self| Self {
            address,
            name,
            protocol,
            weak_self: weak_self.clone(),
            connected_at: now,
            lane,
            outgoing,
            state,
            activity_starts: AtomicU32::new(0),
            drops: DropCounters::default(),
        })
    }

    /// Returns its socket.
    pub(crate) fn socket(&self) -> &Socket {
        self.outgoing.socket()
    }

    /// Returns the lane that sends live streams to it.
    pub(crate) fn lane(&self) -> &Lane {
        &self.lane
    }

    /// Returns the client's address.
    pub(crate) fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// Returns the origin of its requests, for access control.
    pub(crate) fn origin(&self) -> Origin {
        Origin { ip: self.ip(), is_http: self.protocol == Protocol::Http, is_tls: self.socket().is_tls() }
    }

    /// Returns its address, for the log.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns what it publishes and plays, and its figures.
    pub(crate) fn info(&self) -> ConnectionInfo {
        let state = self.state.lock();
        ConnectionInfo {
            address: self.address,
            protocol: if self.protocol == Protocol::Rtmp { "rtmp" } else { "http" },
            is_tls: self.socket().is_tls(),
            age: self.connected_at.elapsed(),
            state: state.name(),
            agent: state.agent.clone(),
            publishes: state.publishes.clone(),
            plays: state.plays.clone(),
            bytes_received: self.socket().received(),
            bytes_sent: self.socket().sent(),
            lag: self.outgoing.backlog().age,
            messages_dropped: self.drops.messages.get(),
            skips: self.drops.skips.get(),
        }
    }

    /// Returns the names of the streams that it publishes.
    pub(crate) fn publishes(&self) -> Vec<String> {
        self.state.lock().publishes.clone()
    }

    /// Returns the client's program, as announced.
    pub(crate) fn agent(&self) -> String {
        self.state.lock().agent.clone()
    }

    /// Records the client's program; HTTP clients announce it with every request.
    pub(crate) fn set_agent(&self, agent: &str) {
        let mut state = self.state.lock();
        if state.agent.is_empty() {
            state.agent = agent.chars().take(limits::AGENT_CHARS).collect();
        }
    }

    /// Records what it publishes and plays.
    pub(crate) fn set_activities(&self, publishes: Vec<String>, plays: Vec<String>) {
        let mut state = self.state.lock();
        (state.publishes, state.plays) = (publishes, plays);
    }

    /// Records that it starts publishing or playing.
    pub(crate) fn mark_active(&self) {
        self.activity_starts.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the log level of starts and stops: a client that does nothing else all day must not fill the log.
    pub(crate) fn event_level(&self) -> log::Level {
        let is_info = self.activity_starts.load(Ordering::Relaxed) <= limits::INFO_EVENTS_PER_CONNECTION;
        if is_info { log::Level::Info } else { log::Level::Debug }
    }

    /// Enters a phase with its deadlines, with that many active message streams.
    pub(crate) fn enter(&self, phase: Phase, active_streams: usize) {
        let mut state = self.state.lock();
        if (state.deadlines.phase() == Phase::Paused) != (phase == Phase::Paused) {
            let timeout = (phase != Phase::Paused).then_some(limits::PING_TIMEOUT);
            self.socket().set_user_timeout(timeout);
        }
        state.deadlines.enter(phase, active_streams, Instant::now());
    }

    /// Records that something arrived from the client.
    pub(crate) fn record_received(&self, now: Instant) {
        self.state.lock().deadlines.record_received(now);
    }

    /// Records that a message of its publication is complete.
    pub(crate) fn record_message(&self, now: Instant) {
        self.state.lock().deadlines.record_message(now);
    }

    /// Cancels the end of a message stream, which continues or does something else.
    pub(crate) fn keep_open(&self, stream_id: u32) {
        self.state.lock().deadlines.keep_open(stream_id);
    }

    /// Records that what the message stream plays has ended. If that was all, this ends the connection after `delay`,
    /// once everything is sent, unless it [`enter`](Self::enter)s another phase before.
    pub(crate) fn stream_ended(&self, stream_id: u32, delay: Duration, reason: &'static str) {
        self.state.lock().deadlines.stream_ended(stream_id, Instant::now() + delay, reason);
    }

    /// Returns why the connection ended, and warns of a protocol error in `client_log`.
    pub(crate) fn end_reason(&self, result: Result<()>, client_log: Option<&ClientLog>) -> String {
        match (result, self.close_reason()) {
            (_, Some(reason)) => reason,
            (Err(error), None) if !error.is_disconnect() => {
                if let Some(client_log) = client_log {
                    client_log.warn(format_args!("{self} closed: {error}"));
                }
                error.to_string()
            }
            _ => "the client disconnected".to_owned(),
        }
    }

    /// Ends this side and waits briefly for the other: closing a socket with unread bytes in it would discard what is
    /// in flight.
    pub(crate) fn linger(&self) {
        self.socket().finish();
        if let Err(error) = self.socket().discard_input(limits::CLOSE_GRACE) {
            log::debug!("{self} lingering: {error}");
        }
    }

    /// Checks the deadlines: pings a silent client, and ends or closes an overdue connection. To be called about every
    /// half second.
    pub(crate) fn check(&self, now: Instant) {
        let stalled = self.outgoing.stalled(now);
        let verdict = self.state.lock().deadlines.check(now, stalled);
        match verdict {
            Verdict::Wait => {}
            Verdict::Close(reason) => self.close(&reason),
            Verdict::Finish => self.finish(now),
            Verdict::Ping(time) => {
                let message = Message::UserControl(UserControl::PingRequest(time));
                self.reply(&[Reply { stream_id: 0, message }]);
            }
        }
    }

    pub(super) fn finish(&self, now: Instant) {
        if self.outgoing.finish() {
            self.state.lock().deadlines.record_finish(now);
        }
    }

    /// Makes its thread, which may be blocked in a read, tell the client the end and close.
    pub(crate) fn start_draining(&self, reason: &str) {
        let mut state = self.state.lock();
        state.reason.get_or_insert_with(|| reason.to_owned());
        state.is_draining = true;
        drop(state);
        self.socket().stop_reading();
    }

    /// Closes it at once.
    pub(crate) fn close(&self, reason: &str) {
        let mut state = self.state.lock();
        state.reason.get_or_insert_with(|| reason.to_owned());
        state.is_closed = true;
        drop(state);
        self.socket().shutdown();
    }

    /// Whether it is draining.
    pub(crate) fn is_draining(&self) -> bool {
        self.state.lock().is_draining
    }

    /// Whether it has to stop its activities: it is draining or closed.
    pub(crate) fn should_stop(&self) -> bool {
        let state = self.state.lock();
        state.is_draining || state.is_closed
    }

    /// Returns why this side ended the connection, if it did.
    pub(crate) fn close_reason(&self) -> Option<String> {
        let reason = self.state.lock().reason.clone();
        reason.or_else(|| self.outgoing.overflow().map(str::to_owned))
    }
}

impl State {
    fn name(&self) -> &'static str {
        match self.deadlines.phase() {
            Phase::Handshake => "handshake",
            Phase::Paused => "paused",
            Phase::Playing => "playing",
            Phase::Publishing => "publishing",
            phase if phase.is_http() && !self.plays.is_empty() => "playing",
            _ => "idle",
        }
    }
}

impl fmt::Display for ManagedConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use super::*;
    use crate::live::{LanePool, MergeWindow};
    use crate::media::{Packet, PacketKind, Timestamp};

    fn pair() -> (Arc<ManagedConnection>, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (here, _) = listener.accept().unwrap();
        let lane = LanePool::start(1, MergeWindow::Auto).unwrap().pick();
        let (address, socket) = (here.peer_addr().unwrap(), Socket::new(here, None).unwrap());
        (ManagedConnection::new(Protocol::Rtmp, address, socket, lane, limits::PUBLISHER_SILENCE), there)
    }

    /// Returns more than a socket takes.
    fn large_packet() -> [Packet; 1] {
        [Packet { kind: PacketKind::Video, timestamp: Timestamp::ZERO, payload: vec![7; 16 << 20].into() }]
    }

    #[test]
    fn frequent_starts_are_logged_at_debug_level() {
        let (connection, _there) = pair();
        for _ in 0..limits::INFO_EVENTS_PER_CONNECTION {
            connection.mark_active();
            assert_eq!(connection.event_level(), log::Level::Info);
        }
        connection.mark_active();
        assert_eq!(connection.event_level(), log::Level::Debug);
    }

    #[test]
    fn an_announced_end_is_sent_at_once_and_closes_later() {
        let (connection, mut there) = pair();
        connection.enter(Phase::Playing, 1);
        connection.stream_ended(1, Duration::ZERO, "the stream has ended");
        connection.check(Instant::now());
        let mut end = Vec::new();
        there.read_to_end(&mut end).unwrap();
        assert_eq!((end.len(), connection.close_reason()), (0, None), "the client may still send");
        connection.check(Instant::now() + limits::PING_TIMEOUT + Duration::from_secs(1));
        assert_eq!(connection.close_reason().as_deref(), Some("the stream has ended"));
    }

    #[test]
    fn the_queue_is_sent_before_the_end() {
        let (connection, mut there) = pair();
        connection.enter(Phase::Playing, 1);
        connection.outgoing.send_packets(1, &large_packet(), false, || false).unwrap_err();
        assert!(connection.outgoing.needs_flush(), "the socket does not take all of it");
        connection.stream_ended(1, Duration::ZERO, "the file has ended");
        connection.check(Instant::now());
        let reading = std::thread::spawn(move || std::io::copy(&mut there, &mut std::io::sink()).unwrap());
        while connection.outgoing.flush() {
            std::thread::yield_now();
        }
        connection.check(Instant::now());
        assert!(reading.join().unwrap() > 16 << 20);
    }

    #[test]
    fn a_paused_player_may_read_nothing() {
        // Enqueuing this much may take a busy machine longer than the second below.
        let before = Instant::now();
        let (connection, _there) = pair();
        connection.enter(Phase::Paused, 1);
        connection.outgoing.send_packets(1, &large_packet(), false, || false).unwrap_err();
        connection.check(before + limits::PAUSE_TIMEOUT - Duration::from_secs(1));
        assert_eq!(connection.close_reason(), None);
        connection.check(Instant::now() + limits::PAUSE_TIMEOUT + Duration::from_secs(1));
        assert!(connection.close_reason().is_some());
    }
}
