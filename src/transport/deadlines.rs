//! The phases of a connection and their deadlines.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::limits;

/// What a client is doing; over RTMP, where it may do several things at once, the last of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// HTTP: it has to send a request within [`limits::HTTP_REQUEST_DEADLINE`].
    Requesting,
    /// HTTP: it receives a response, each write of which has its own deadline.
    Responding,
    /// HTTP: lanes send it a live stream: [`limits::WRITE_STALL`].
    Streaming,
    /// RTMP: it has to finish the handshake within [`limits::HANDSHAKE_DEADLINE`].
    Handshake,
    /// RTMP: it neither publishes nor plays: [`limits::IDLE_DEADLINE`].
    Idle,
    /// RTMP: it has paused playback: [`limits::PAUSE_TIMEOUT`].
    Paused,
    /// RTMP: it plays: [`limits::PING_TIMEOUT`].
    Playing,
    /// RTMP: it publishes: the publish timeout, and [`limits::PUBLISHER_MESSAGE_FACTOR`] times that for each message.
    Publishing,
}

impl Phase {
    /// Whether the client speaks HTTP.
    pub(crate) fn is_http(self) -> bool {
        self < Self::Handshake
    }
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Wait,
    /// Close the connection, for that reason.
    Close(String),
    /// End this side, once everything is sent.
    Finish,
    /// Send a ping with that time, in milliseconds.
    Ping(u32),
}

/// The deadlines of a connection. Knows no socket, and the time only from its callers.
#[derive(Debug)]
pub(super) struct Deadlines {
    phase: Phase,
    publish_timeout: Duration,
    /// When the phase began.
    since: Instant,
    /// When something was last received.
    last_received: Instant,
    /// When a publisher's message was last complete.
    last_message: Instant,
    last_ping: Instant,
    /// The number of message streams that publish or play.
    active_streams: usize,
    /// The ones whose play has ended.
    ended_streams: BTreeSet<u32>,
    /// When and why the connection is to end, unless the client does something else.
    close_at: Option<(Instant, &'static str)>,
    /// When this side ended.
    finished_at: Option<Instant>,
}

impl Deadlines {
    pub(super) fn new(phase: Phase, publish_timeout: Duration, now: Instant) -> Self {
        Self {
            phase,
            publish_timeout,
            since: now,
            last_received: now,
            last_message: now,
            last_ping: now,
            active_streams: 0,
            ended_streams: BTreeSet::new(),
            close_at: None,
            finished_at: None,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Enters a phase with its deadlines, with that many active message streams. This cancels a pending end.
    pub(super) fn enter(&mut self, phase: Phase, active_streams: usize, now: Instant) {
        (self.phase, self.since, self.last_message) = (phase, now, now);
        self.active_streams = active_streams;
        self.close_at = None;
    }

    /// Records that something arrived from the client.
    pub(super) fn record_received(&mut self, now: Instant) {
        self.last_received = now;
    }

    /// Records that a message of its publication is complete.
    pub(super) fn record_message(&mut self, now: Instant) {
        self.last_message = now;
    }

    /// Cancels the end of a message stream, which continues or does something else.
    pub(super) fn keep_open(&mut self, stream_id: u32) {
        self.ended_streams.remove(&stream_id);
        self.close_at = None;
    }

    /// Records that what the message stream plays has ended; if that was all, the connection is to end at that time.
    pub(super) fn stream_ended(&mut self, stream_id: u32, at: Instant, reason: &'static str) {
        self.ended_streams.insert(stream_id);
        if self.ended_streams.len() >= self.active_streams {
            self.close_at = Some((at, reason));
        }
    }

    /// Whether the connection is to end once everything is sent.
    pub(super) fn is_ending(&self) -> bool {
        self.close_at.is_some()
    }

    /// Records that this side has ended: from now on the client has to read what is in flight, and to close.
    pub(super) fn record_finish(&mut self, now: Instant) {
        self.finished_at.get_or_insert(now);
    }

    /// Returns what is due, given how long the socket has been `stalled`, taking nothing of the queue.
    pub(super) fn check(&mut self, now: Instant, stalled: Duration) -> Verdict {
        if let Some(reason) = self.overdue(now, stalled) {
            return Verdict::Close(reason);
        }
        if self.phase != Phase::Paused && self.close_at.is_some_and(|(at, _)| now >= at) {
            return Verdict::Finish;
        }
        let silent_since = self.last_received.max(self.last_ping);
        if self.phase == Phase::Playing && now.saturating_duration_since(silent_since) >= limits::PING_AFTER {
            self.last_ping = now;
            return Verdict::Ping(now.saturating_duration_since(self.since).as_millis() as u32);
        }
        Verdict::Wait
    }

    fn overdue(&self, now: Instant, stalled: Duration) -> Option<String> {
        let since = |time| now.saturating_duration_since(time);
        if let (Some(finished), Some((_, reason))) = (self.finished_at, self.close_at) {
            let unread = if self.phase.is_http() { limits::WRITE_STALL } else { limits::PING_TIMEOUT };
            return (since(finished) > unread).then(|| reason.to_owned());
        }
        if stalled > limits::WRITE_STALL && !matches!(self.phase, Phase::Paused | Phase::Responding) {
            return Some(format!("it accepted no data for {} s", stalled.as_secs()));
        }
        // A large frame on a slow link takes its time, but not for ever: a byte now and then is no publication.
        let message_timeout = self.publish_timeout.saturating_mul(limits::PUBLISHER_MESSAGE_FACTOR);
        if self.phase == Phase::Publishing && since(self.last_message) > message_timeout {
            return Some(format!("the publisher completed no message within {} s", message_timeout.as_secs()));
        }
        let (time, limit, what) = match self.phase {
            Phase::Requesting => (since(self.since), limits::HTTP_REQUEST_DEADLINE, "no HTTP request within"),
            Phase::Responding | Phase::Streaming => return None,
            Phase::Handshake => (since(self.since), limits::HANDSHAKE_DEADLINE, "no complete handshake within"),
            Phase::Idle => (since(self.since), limits::IDLE_DEADLINE, "neither publish nor play within"),
            Phase::Publishing => (since(self.last_received), self.publish_timeout, "no data from the publisher for"),
            Phase::Paused => (since(self.last_received), limits::PAUSE_TIMEOUT, "no data while paused for"),
            Phase::Playing => (since(self.last_received), limits::PING_TIMEOUT, "no answer to pings within"),
        };
        (time > limit).then(|| format!("{what} {} s", limit.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn deadlines(phase: Phase) -> (Deadlines, Instant) {
        let now = Instant::now();
        let mut deadlines = Deadlines::new(phase, limits::PUBLISHER_SILENCE, now);
        deadlines.enter(phase, 1, now);
        (deadlines, now)
    }

    fn closes(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Close(_))
    }

    #[test]
    fn each_phase_has_a_deadline() {
        for (phase, limit) in [
            (Phase::Requesting, limits::HTTP_REQUEST_DEADLINE),
            (Phase::Handshake, limits::HANDSHAKE_DEADLINE),
            (Phase::Idle, limits::IDLE_DEADLINE),
            (Phase::Publishing, limits::PUBLISHER_SILENCE),
            (Phase::Playing, limits::PING_TIMEOUT),
            (Phase::Paused, limits::PAUSE_TIMEOUT),
        ] {
            let (mut deadlines, now) = deadlines(phase);
            assert!(!closes(&deadlines.check(now + limit - SECOND, Duration::ZERO)), "{phase:?}");
            assert!(closes(&deadlines.check(now + limit + SECOND, Duration::ZERO)), "{phase:?}");
        }
    }

    #[test]
    fn a_response_has_no_deadline_besides_those_of_its_writes() {
        for phase in [Phase::Responding, Phase::Streaming] {
            let (mut deadlines, now) = deadlines(phase);
            assert_eq!(deadlines.check(now + limits::IDLE_DEADLINE * 100, Duration::ZERO), Verdict::Wait);
        }
    }

    #[test]
    fn a_stalled_client_is_closed_unless_paused() {
        let stalled = limits::WRITE_STALL + SECOND;
        for phase in [Phase::Streaming, Phase::Handshake, Phase::Idle, Phase::Playing, Phase::Publishing] {
            let (mut deadlines, now) = deadlines(phase);
            assert!(closes(&deadlines.check(now, stalled)), "{phase:?}");
        }
        let (mut deadlines, now) = deadlines(Phase::Paused);
        assert_eq!(deadlines.check(now, stalled), Verdict::Wait);
    }

    #[test]
    fn slow_bytes_do_not_extend_the_handshake() {
        let (mut deadlines, now) = deadlines(Phase::Handshake);
        let late = now + limits::HANDSHAKE_DEADLINE + SECOND;
        deadlines.record_received(late);
        assert_eq!(deadlines.check(late, Duration::ZERO), Verdict::Close("no complete handshake within 10 s".into()));
    }

    #[test]
    fn a_publisher_has_to_complete_messages() {
        let (mut deadlines, now) = deadlines(Phase::Publishing);
        let timeout = limits::PUBLISHER_SILENCE * limits::PUBLISHER_MESSAGE_FACTOR;
        deadlines.record_received(now + timeout);
        assert_eq!(deadlines.check(now + timeout - SECOND, Duration::ZERO), Verdict::Wait);
        deadlines.record_message(now + 2 * SECOND);
        assert_eq!(deadlines.check(now + timeout + SECOND, Duration::ZERO), Verdict::Wait);
        deadlines.record_received(now + 2 * timeout);
        let verdict = deadlines.check(now + timeout + 4 * SECOND, Duration::ZERO);
        assert!(matches!(verdict, Verdict::Close(reason) if reason.contains("completed no message")));
    }

    #[test]
    fn an_active_client_is_kept() {
        for phase in [Phase::Publishing, Phase::Playing] {
            let (mut deadlines, now) = deadlines(phase);
            let late = now + 2 * limits::PING_TIMEOUT;
            deadlines.record_received(late);
            deadlines.record_message(late);
            assert_eq!(deadlines.check(late + SECOND, Duration::ZERO), Verdict::Wait);
        }
    }

    #[test]
    fn a_silent_player_is_pinged() {
        let (mut deadlines, now) = deadlines(Phase::Playing);
        let pings = [1, 31, 32, 62, 63].map(|seconds| deadlines.check(now + seconds * SECOND, Duration::ZERO));
        assert_eq!(pings.iter().filter(|verdict| matches!(verdict, Verdict::Ping(_))).count(), 2);
    }

    #[test]
    fn an_announced_end_comes_unless_the_client_continues() {
        let (mut deadlines, now) = deadlines(Phase::Playing);
        deadlines.stream_ended(1, now, "the stream has ended");
        deadlines.enter(Phase::Playing, 1, now);
        assert_eq!(deadlines.check(now, Duration::ZERO), Verdict::Wait);
        deadlines.stream_ended(1, now, "the stream has ended");
        assert_eq!(deadlines.check(now, Duration::ZERO), Verdict::Finish);
        deadlines.record_finish(now);
        assert_eq!(deadlines.check(now + SECOND, Duration::ZERO), Verdict::Finish, "the client may still send");
        let late = now + limits::PING_TIMEOUT + SECOND;
        assert_eq!(deadlines.check(late, Duration::ZERO), Verdict::Close("the stream has ended".into()));
    }

    #[test]
    fn the_end_of_one_play_is_not_the_end_of_another() {
        let (mut deadlines, now) = deadlines(Phase::Playing);
        deadlines.enter(Phase::Playing, 2, now);
        deadlines.stream_ended(1, now, "the stream has ended");
        assert!(!deadlines.is_ending());
        deadlines.stream_ended(2, now, "the stream has ended");
        assert!(deadlines.is_ending());
        deadlines.keep_open(1);
        assert!(!deadlines.is_ending());
    }
}
