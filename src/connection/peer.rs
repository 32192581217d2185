//! A connected client as others see it: the lanes that send to it, and the server that watches over it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::framing::Framing;
use super::outgoing::Outgoing;
use super::phase::Phase;
use super::transport::Transport;
use super::{Description, Watched};
use crate::error::Result;
use crate::limits;
use crate::live::{Backlog, Lane, LiveMessage, Sink, Skip};
use crate::media::Packet;
use crate::rtmp::message::Message;
use crate::rtmp::user_control::UserControl;
use crate::session::{Reply, playing};
use crate::stats::Missed;

/// A connected client.
pub struct Peer {
    address: SocketAddr,
    /// The address, for the log.
    name: String,
    /// How long it may be silent while it publishes.
    publish_timeout: Duration,
    me: Weak<Self>,
    lane: Lane,
    outgoing: Outgoing,
    vitals: Mutex<Vitals>,
    connected: Instant,
    /// How often it has begun to publish or play something.
    begun: AtomicU32,
    /// What of live streams it was too slow for.
    missed: Missed,
}

#[derive(Debug)]
struct Vitals {
    phase: Phase,
    /// When the phase began.
    since: Instant,
    received: Instant,
    /// When a message of a publisher was last complete.
    completed: Instant,
    pinged: Instant,
    /// How many of its message streams publish or play.
    activities: usize,
    /// Those of them that have told their player the end.
    ended: BTreeSet<u32>,
    /// When it shall end unless the client goes on, and why.
    close_at: Option<(Instant, &'static str)>,
    /// When this side ended.
    finished: Option<Instant>,
    /// Why the connection was ended from this side.
    reason: Option<String>,
    /// It is to tell its client the end and to go.
    leaves: bool,
    agent: String,
    publishes: Vec<String>,
    plays: Vec<String>,
}

impl Peer {
    pub(super) fn new(address: SocketAddr, transport: Transport, lane: Lane, publish_timeout: Duration) -> Arc<Self> {
        let now = Instant::now();
        // A host that vanished is found out by what stays unacknowledged, a ping at the least, and while a
        // player has paused by the system's keepalive.
        transport.set_user_timeout(Some(limits::PING_TIMEOUT));
        let (name, outgoing) = (address.to_string(), Outgoing::new(transport));
        let vitals = Vitals {
            phase: Phase::Handshake,
            since: now,
            received: now,
            completed: now,
            pinged: now,
            activities: 0,
            ended: BTreeSet::new(),
            close_at: None,
            finished: None,
            reason: None,
            leaves: false,
            agent: String::new(),
            publishes: Vec::new(),
            plays: Vec::new(),
        };
        let vitals = Mutex::new(vitals);
        Arc::new_cyclic(|me| Self {
            address,
            name,
            publish_timeout,
            me: me.clone(),
            lane,
            outgoing,
            vitals,
            connected: now,
            begun: AtomicU32::new(0),
            missed: Missed::default(),
        })
    }

    /// Its socket.
    pub(super) fn transport(&self) -> &Transport {
        self.outgoing.transport()
    }

    pub(super) fn lane(&self) -> &Lane {
        &self.lane
    }

    /// Sends replies, in order with all else.
    pub(super) fn reply(&self, replies: &[Reply]) {
        let needed = self.outgoing.reply(replies);
        self.retry_if(needed);
    }

    /// Sends packets on a message stream and waits until the socket has taken them, while `go_on` says so. With `more`, others
    /// follow at once.
    ///
    /// # Errors
    /// [`crate::Error::Disconnected`] when the connection has broken or `go_on` said no.
    pub(super) fn packets(
        &self,
        stream_id: u32,
        packets: &[Packet],
        more: bool,
        go_on: impl Fn() -> bool,
    ) -> Result<()> {
        let result = self.outgoing.packets(stream_id, packets, more, go_on);
        self.retry_if(self.outgoing.needs_flush());
        result
    }

    fn retry_if(&self, needed: bool) {
        if let (true, Some(me)) = (needed, self.me.upgrade()) {
            self.lane.retry(me);
        }
    }

    /// Throws away what waits of a live play that is over.
    pub(super) fn discard(&self, stream_id: u32) {
        self.outgoing.discard(stream_id);
    }

    /// Notes that it begins to publish or play something.
    pub(super) fn begins(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// The log level of what it begins and ends: one that does nothing else all day shall not fill the log.
    pub(super) fn news(&self) -> log::Level {
        if self.begun.load(Ordering::Relaxed) > limits::NEWS { log::Level::Debug } else { log::Level::Info }
    }

    /// Notes that something came from the client.
    pub(super) fn heard(&self, now: Instant) {
        self.vitals.lock().received = now;
    }

    /// Notes that a message of its publication is complete.
    pub(super) fn published(&self, now: Instant) {
        self.vitals.lock().completed = now;
    }

    /// Another set of deadlines holds from now on, for so many message streams in use. What the client does
    /// now is also a reason not to close the connection after an end that it was told.
    pub(super) fn enter(&self, phase: Phase, activities: usize) {
        let mut vitals = self.vitals.lock();
        if (vitals.phase == Phase::Paused) != (phase == Phase::Paused) {
            let timeout = (phase != Phase::Paused).then_some(limits::PING_TIMEOUT);
            self.transport().set_user_timeout(timeout);
        }
        vitals.phase = phase;
        vitals.since = Instant::now();
        vitals.completed = vitals.since;
        vitals.activities = activities;
        vitals.close_at = None;
    }

    /// Notes which program it says it is, for those who ask.
    pub(super) fn is_program(&self, agent: &str) {
        self.vitals.lock().agent = agent.chars().take(limits::AGENT_CHARS).collect();
    }

    /// Notes what it publishes and plays, for those who ask.
    pub(super) fn does(&self, publishes: Vec<String>, plays: Vec<String>) {
        let mut vitals = self.vitals.lock();
        (vitals.publishes, vitals.plays) = (publishes, plays);
    }

    /// The message stream goes on after all, or does something else.
    pub(super) fn stay(&self, stream_id: u32) {
        let mut vitals = self.vitals.lock();
        vitals.ended.remove(&stream_id);
        vitals.close_at = None;
    }

    /// What the message stream plays has ended. If that was all, this ends the connection in a while, when
    /// the client has been sent everything, unless it [`enter`](Self::enter)s another phase before.
    pub(super) fn play_ended(&self, stream_id: u32, delay: Duration, reason: &'static str) {
        let mut vitals = self.vitals.lock();
        vitals.ended.insert(stream_id);
        if vitals.ended.len() >= vitals.activities {
            vitals.close_at = Some((Instant::now() + delay, reason));
        }
    }

    /// Whether it was asked to.
    pub(super) fn is_asked_to_leave(&self) -> bool {
        self.vitals.lock().leaves
    }

    /// Waits until everything that it is sent has gone out, for that long at most.
    pub(super) fn flush_for(&self, at_most: Duration) {
        let until = Instant::now() + at_most;
        // Who does not read by then does not learn why.
        let _ = self.outgoing.drain(|| Instant::now() < until);
    }

    /// Why the connection was ended, if this side did it.
    pub(super) fn closed_because(&self) -> Option<String> {
        self.vitals.lock().reason.clone()
    }

    /// Bytes sent.
    pub(super) fn sent(&self) -> u64 {
        self.outgoing.sent()
    }

    fn end_is_due(&self, now: Instant) -> bool {
        let vitals = self.vitals.lock();
        vitals.phase != Phase::Paused && vitals.close_at.is_some_and(|(at, _)| now >= at)
    }

    fn overdue(&self, now: Instant) -> Option<String> {
        let stalled = self.outgoing.stalled(now);
        let vitals = self.vitals.lock();
        if let (Some(finished), Some((_, reason))) = (vitals.finished, vitals.close_at) {
            let unread = now.saturating_duration_since(finished) > limits::PING_TIMEOUT;
            return unread.then(|| reason.to_owned());
        }
        if stalled > limits::WRITE_STALL && vitals.phase != Phase::Paused {
            return Some(format!("it took nothing of what it was sent for {} s", stalled.as_secs()));
        }
        // A large picture on a slow line takes its time, but not for ever: who sends a byte now and then is no publisher.
        let incomplete = now.saturating_duration_since(vitals.completed);
        let patience = self.publish_timeout.saturating_mul(limits::PUBLISHER_MESSAGE_FACTOR);
        if vitals.phase == Phase::Publishing && incomplete > patience {
            return Some(format!("its publisher completed no message ({} s)", patience.as_secs()));
        }
        let in_phase = now.saturating_duration_since(vitals.since);
        let silent = now.saturating_duration_since(vitals.received);
        let (time, limit, what) = match vitals.phase {
            Phase::Handshake => (in_phase, limits::HANDSHAKE_DEADLINE, "the handshake took too long"),
            Phase::Idle => (in_phase, limits::IDLE_DEADLINE, "it neither published nor played"),
            Phase::Publishing => (silent, self.publish_timeout, "its publisher fell silent"),
            Phase::Paused => (silent, limits::PAUSE, "it paused and was not heard of again"),
            Phase::Playing => (silent, limits::PING_TIMEOUT, "it answered no ping"),
        };
        (time > limit).then(|| format!("{what} ({} s)", limit.as_secs()))
    }

    fn ping_due(&self, now: Instant) -> bool {
        let mut vitals = self.vitals.lock();
        let quiet_since = vitals.received.max(vitals.pinged);
        let due = vitals.phase == Phase::Playing && now.saturating_duration_since(quiet_since) >= limits::PING_AFTER;
        if due {
            vitals.pinged = now;
        }
        due
    }
}

impl Watched for Peer {
    fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// Pings who is silent, too.
    fn check(&self, now: Instant) {
        if let Some(reason) = self.overdue(now) {
            self.close(&reason);
        } else if self.end_is_due(now) {
            if self.outgoing.finish() {
                self.vitals.lock().finished.get_or_insert(now);
            }
        } else if self.ping_due(now) {
            let time = now.saturating_duration_since(self.vitals.lock().since).as_millis() as u32;
            let message = Message::UserControl(UserControl::PingRequest(time));
            self.reply(&[Reply { stream_id: 0, message }]);
        }
    }

    fn ask_to_leave(&self, reason: &str) {
        let mut vitals = self.vitals.lock();
        vitals.reason.get_or_insert_with(|| reason.to_owned());
        vitals.leaves = true;
        drop(vitals);
        self.transport().stop_reading();
    }

    fn close(&self, reason: &str) {
        self.vitals.lock().reason.get_or_insert_with(|| reason.to_owned());
        self.transport().shutdown();
    }

    fn describe(&self) -> Description {
        let vitals = self.vitals.lock();
        Description {
            address: self.address,
            protocol: "rtmp",
            is_secured: self.transport().is_secured(),
            age: self.connected.elapsed(),
            state: vitals.phase.name(),
            agent: vitals.agent.clone(),
            publishes: vitals.publishes.clone(),
            plays: vitals.plays.clone(),
            bytes_received: self.transport().received(),
            bytes_sent: self.transport().sent(),
            lag: self.outgoing.backlog().age,
            messages_dropped: self.missed.messages.get(),
            skips: self.missed.skips.get(),
        }
    }

    fn publishes(&self) -> Vec<String> {
        self.vitals.lock().publishes.clone()
    }
}

impl Sink for Peer {
    fn push(&self, stream_id: u32, messages: &[Arc<LiveMessage>]) -> Backlog {
        let (backlog, needed) = self.outgoing.live(Framing::Chunks(stream_id), messages);
        self.retry_if(needed);
        backlog
    }

    fn skip(&self, stream_id: u32, what: Skip) -> usize {
        self.outgoing.skip(stream_id, what)
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

    fn ended(&self, stream_id: u32) {
        self.reply(&playing::live_ended(stream_id));
        self.play_ended(stream_id, limits::CLOSE_GRACE, "the stream has ended");
    }

    fn abandon(&self, reason: &str) {
        self.close(reason);
    }

    fn peer(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use super::*;
    use crate::live::{Gather, LanePool};
    use crate::rtmp::chunk::ChunkReader;

    fn pair() -> (Arc<Peer>, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (here, _) = listener.accept().unwrap();
        let lane = LanePool::start(1, Gather::Auto).unwrap().pick();
        let (address, transport) = (here.peer_addr().unwrap(), Transport::new(here, None).unwrap());
        (Peer::new(address, transport, lane, limits::PUBLISHER_SILENCE), there)
    }

    #[test]
    fn who_begins_things_all_day_is_no_news() {
        let (peer, _there) = pair();
        for _ in 0..limits::NEWS {
            peer.begins();
            assert_eq!(peer.news(), log::Level::Info);
        }
        peer.begins();
        assert_eq!(peer.news(), log::Level::Debug);
    }

    #[test]
    fn each_phase_has_its_deadline() {
        let second = Duration::from_secs(1);
        for (phase, limit) in [
            (Phase::Handshake, limits::HANDSHAKE_DEADLINE),
            (Phase::Idle, limits::IDLE_DEADLINE),
            (Phase::Publishing, limits::PUBLISHER_SILENCE),
            (Phase::Playing, limits::PING_TIMEOUT),
            (Phase::Paused, limits::PAUSE),
        ] {
            let (peer, _there) = pair();
            peer.enter(phase, 1);
            let now = Instant::now();
            peer.check(now + limit - second);
            assert_eq!(peer.closed_because(), None, "{phase:?}");
            peer.check(now + limit + second);
            assert!(peer.closed_because().is_some(), "{phase:?}");
        }
    }

    #[test]
    fn bytes_that_drip_in_do_not_stretch_the_handshake() {
        let (peer, _there) = pair();
        let late = Instant::now() + limits::HANDSHAKE_DEADLINE + Duration::from_secs(1);
        peer.heard(late);
        peer.check(late);
        assert!(peer.closed_because().is_some_and(|reason| reason.contains("handshake")));
    }

    #[test]
    fn who_publishes_a_byte_now_and_then_is_no_publisher() {
        let (peer, _there) = pair();
        peer.enter(Phase::Publishing, 1);
        let patience = limits::PUBLISHER_SILENCE * limits::PUBLISHER_MESSAGE_FACTOR;
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        peer.heard(now + patience);
        peer.check(now + patience - second);
        assert_eq!(peer.closed_because(), None);
        peer.published(now + 2 * second);
        peer.check(now + patience + second);
        assert_eq!(peer.closed_because(), None);
        peer.heard(now + 2 * patience);
        peer.check(now + patience + 4 * second);
        assert!(peer.closed_because().is_some_and(|reason| reason.contains("completed no message")));
    }

    #[test]
    fn who_is_heard_stays() {
        let (peer, _there) = pair();
        for phase in [Phase::Publishing, Phase::Playing] {
            peer.enter(phase, 1);
            let late = Instant::now() + 2 * limits::PING_TIMEOUT;
            peer.heard(late);
            peer.published(late);
            peer.check(late + Duration::from_secs(1));
        }
        assert_eq!(peer.closed_because(), None);
    }

    #[test]
    fn a_silent_player_is_pinged_now_and_then() {
        let (peer, there) = pair();
        peer.enter(Phase::Playing, 1);
        let now = Instant::now();
        for seconds in [1, 31, 32, 62, 63] {
            peer.check(now + Duration::from_secs(seconds));
        }
        peer.close("enough");
        let mut reader = ChunkReader::new(std::io::BufReader::new(there));
        let pings =
            std::iter::from_fn(|| reader.read_message().ok()).filter(|m| m.payload.starts_with(&[0, 6])).count();
        assert_eq!(pings, 2);
    }

    #[test]
    fn an_announced_end_comes_unless_the_client_goes_on() {
        let (peer, mut there) = pair();
        peer.enter(Phase::Playing, 1);
        peer.play_ended(1, Duration::ZERO, "the stream has ended");
        peer.enter(Phase::Playing, 1);
        peer.check(Instant::now());
        assert_eq!(peer.closed_because(), None);
        peer.play_ended(1, Duration::ZERO, "the stream has ended");
        peer.check(Instant::now());
        let mut end = Vec::new();
        there.read_to_end(&mut end).unwrap();
        assert_eq!((end.len(), peer.closed_because()), (0, None), "it may still say something");
        peer.check(Instant::now() + limits::PING_TIMEOUT + Duration::from_secs(1));
        assert_eq!(peer.closed_because().as_deref(), Some("the stream has ended"));
    }

    #[test]
    fn the_end_of_one_play_is_not_the_end_of_another() {
        let (peer, _there) = pair();
        peer.enter(Phase::Playing, 2);
        peer.play_ended(1, Duration::ZERO, "the stream has ended");
        assert!(!peer.end_is_due(Instant::now()));
        peer.play_ended(2, Duration::ZERO, "the stream has ended");
        assert!(peer.end_is_due(Instant::now()));
        peer.stay(1);
        assert!(!peer.end_is_due(Instant::now()));
    }

    #[test]
    fn what_waits_is_sent_before_the_end() {
        let (peer, mut there) = pair();
        peer.enter(Phase::Playing, 1);
        let packets = vec![Packet {
            kind: crate::media::PacketKind::Video,
            timestamp: crate::media::Timestamp::ZERO,
            payload: vec![7; 16 << 20].into(),
        }];
        peer.outgoing.packets(1, &packets, false, || false).unwrap_err();
        assert!(peer.outgoing.needs_flush(), "it is more than the socket takes");
        peer.play_ended(1, Duration::ZERO, "the file has ended");
        peer.check(Instant::now());
        let reading = std::thread::spawn(move || std::io::copy(&mut there, &mut std::io::sink()).unwrap());
        while peer.outgoing.flush() {
            std::thread::yield_now();
        }
        peer.check(Instant::now());
        assert!(reading.join().unwrap() > 16 << 20);
    }

    #[test]
    fn who_has_paused_may_read_nothing() {
        // To queue so much may take a busy machine longer than the second below.
        let before = Instant::now();
        let (peer, _there) = pair();
        peer.enter(Phase::Paused, 1);
        let packets = vec![Packet {
            kind: crate::media::PacketKind::Video,
            timestamp: crate::media::Timestamp::ZERO,
            payload: vec![7; 16 << 20].into(),
        }];
        peer.outgoing.packets(1, &packets, false, || false).unwrap_err();
        peer.check(before + limits::PAUSE - Duration::from_secs(1));
        assert_eq!(peer.closed_because(), None);
        peer.check(Instant::now() + limits::PAUSE + Duration::from_secs(1));
        assert!(peer.closed_because().is_some());
    }
}
