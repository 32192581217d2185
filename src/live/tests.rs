//! Publishers, lanes and players together, with sinks in place of sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;

use super::*;
use crate::limits;
use crate::media::{Packet, PacketKind, Timestamp};

/// What a player received: timestamp and first two bytes, or the end.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Message(u32, [u8; 2]),
    End,
}

struct FakeSink {
    got: Sender<Got>,
    backlog: Mutex<Backlog>,
    skipped: AtomicBool,
    /// Panics in `push`.
    panics: bool,
    abandoned: AtomicBool,
}

impl Sink for FakeSink {
    fn push(&self, stream_id: u32, messages: &[Arc<LiveMessage>]) -> Backlog {
        assert_eq!(stream_id, 1);
        assert!(!self.panics, "deliberate panic");
        for message in messages {
            let Packet { timestamp, payload, .. } = &message.packet;
            let first = [payload[0], payload.get(1).copied().unwrap_or_default()];
            self.got.send(Got::Message(timestamp.milliseconds(), first)).unwrap();
        }
        *self.backlog.lock()
    }

    fn skip(&self, _: u32, _: Skip) -> usize {
        self.skipped.store(true, Ordering::Relaxed);
        7
    }

    fn backlog(&self) -> Backlog {
        *self.backlog.lock()
    }

    fn flush(&self) -> bool {
        false
    }

    fn ended(&self, _: u32) {
        self.got.send(Got::End).unwrap();
    }

    fn abandon(&self, _: &str) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    fn peer(&self) -> &str {
        "192.0.2.7:5000"
    }
}

struct Player {
    sink: Arc<FakeSink>,
    got: Receiver<Got>,
    subscription: Option<Subscription>,
}

struct TestServer {
    registry: Registry,
    lanes: LanePool,
}

impl TestServer {
    fn new(replace: ReplacePublisher, grace: Duration) -> Self {
        Self {
            registry: Registry::new(Settings { replace, grace, ..Settings::default() }),
            lanes: LanePool::start(2, MergeWindow::Auto).unwrap(),
        }
    }

    fn player(&self, start_at: StartAt) -> Player {
        self.player_with(start_at, false)
    }

    fn player_with(&self, start_at: StartAt, panics: bool) -> Player {
        let (got_in, got) = crossbeam_channel::unbounded();
        let sink = Arc::new(FakeSink {
            got: got_in,
            backlog: Mutex::default(),
            skipped: AtomicBool::new(false),
            panics,
            abandoned: AtomicBool::new(false),
        });
        let subscription = self.registry.with_stream("live/cam", |stream| {
            stream.subscribe(sink.clone(), 1, &self.lanes.pick(), start_at, SubscriptionFilter::default())
        });
        Player { sink, got, subscription: Some(subscription) }
    }

    fn publish(&self) -> Publication {
        self.registry.publish("live/cam", "[192.0.2.7:5000]", Instant::now(), Box::new(|_| {})).unwrap()
    }
}

impl Player {
    fn next(&self) -> Got {
        self.got.recv_timeout(Duration::from_secs(5)).expect("the player should have got something")
    }

    fn take(&self, count: usize) -> Vec<Got> {
        (0..count).map(|_| self.next()).collect()
    }

    /// Asserts that nothing more arrives: everything sent before has passed the lanes.
    fn assert_nothing_more(&self) {
        assert!(self.got.recv_timeout(Duration::from_millis(50)).is_err());
    }
}

fn default_server() -> TestServer {
    TestServer::new(ReplacePublisher::Idle, Duration::from_secs(10))
}

fn send(publication: &mut Publication, frames: &[(u32, [u8; 2])]) {
    for (time, first) in frames {
        let kind = if first[0] == 0xaf { PacketKind::Audio } else { PacketKind::Video };
        let payload = [&first[..], &[0, 0, 0, 9]].concat();
        publication
            .send(Packet { kind, timestamp: Timestamp::new(*time), payload: payload.into() }, Instant::now())
            .unwrap();
    }
    if let Some((_, stream)) = publication.deferred_audio() {
        stream.flush_deferred_audio(Instant::now());
    }
}

fn message((time, first): (u32, [u8; 2])) -> Got {
    Got::Message(time, first)
}

const HEADER: [u8; 2] = [0x17, 0];
const KEY: [u8; 2] = [0x17, 1];
const INTER: [u8; 2] = [0x27, 1];
const AAC_HEADER: [u8; 2] = [0xaf, 0];
const AAC: [u8; 2] = [0xaf, 1];

#[test]
fn a_waiting_player_gets_everything_from_the_first_key_frame() {
    let server = default_server();
    let player = server.player(StartAt::LastKeyFrame);
    let mut publication = server.publish();
    send(&mut publication, &[(0, HEADER), (0, AAC_HEADER), (0, INTER), (5, AAC), (40, KEY), (80, INTER)]);
    assert_eq!(player.take(5), [(0, HEADER), (0, AAC_HEADER), (5, AAC), (40, KEY), (80, INTER)].map(message));
    player.assert_nothing_more();
}

#[test]
fn a_late_player_starts_at_the_last_key_frame_without_gaps() {
    let server = default_server();
    let mut publication = server.publish();
    send(&mut publication, &[(0, HEADER), (0, KEY), (40, INTER), (80, KEY), (120, INTER)]);
    let player = server.player(StartAt::LastKeyFrame);
    send(&mut publication, &[(160, INTER)]);
    assert_eq!(player.take(4), [(80, HEADER), (80, KEY), (120, INTER), (160, INTER)].map(message));
}

#[test]
fn without_the_gop_cache_a_player_starts_at_the_next_key_frame() {
    let server = default_server();
    let mut publication = server.publish();
    send(&mut publication, &[(0, HEADER), (0, KEY), (40, INTER)]);
    let player = server.player(StartAt::NextKeyFrame);
    send(&mut publication, &[(80, INTER), (120, KEY)]);
    assert_eq!(player.take(2), [(40, HEADER), (120, KEY)].map(message));
}

#[test]
fn audio_alone_starts_at_once() {
    let server = default_server();
    let mut publication = server.publish();
    send(&mut publication, &[(0, AAC_HEADER), (10, AAC)]);
    let player = server.player(StartAt::LastKeyFrame);
    send(&mut publication, &[(33, AAC)]);
    assert_eq!(player.take(2), [(10, AAC_HEADER), (33, AAC)].map(message));
}

#[test]
fn players_are_kept_when_the_publisher_returns_and_time_continues() {
    let server = default_server();
    let player = server.player(StartAt::LastKeyFrame);
    let mut publication = server.publish();
    send(&mut publication, &[(5_000, HEADER), (5_000, KEY), (5_040, INTER)]);
    player.take(3);
    drop(publication);
    server.registry.tick(Instant::now());
    let mut publication = server.publish();
    send(&mut publication, &[(0, HEADER), (0, INTER), (40, KEY), (80, INTER)]);
    // The INTER whose reference frame is lost is not sent, but it sets the offset.
    assert_eq!(player.take(3), [(5_040, HEADER), (5_100, KEY), (5_140, INTER)].map(message));
    player.assert_nothing_more();
}

#[test]
fn after_the_grace_period_players_are_told_and_the_stream_is_removed() {
    let server = default_server();
    let mut player = server.player(StartAt::LastKeyFrame);
    let mut publication = server.publish();
    send(&mut publication, &[(0, KEY)]);
    player.next();
    drop(publication);
    server.registry.tick(Instant::now() + Duration::from_secs(9));
    player.assert_nothing_more();
    server.registry.tick(Instant::now() + Duration::from_secs(10));
    assert_eq!(player.next(), Got::End);
    player.subscription = None;
    assert!(server.registry.is_empty());
}

#[test]
fn a_player_may_wait_for_a_publisher_for_ever() {
    let server = default_server();
    let player = server.player(StartAt::LastKeyFrame);
    server.registry.tick(Instant::now() + Duration::from_secs(3600));
    player.assert_nothing_more();
    assert_eq!(server.registry.len(), 1);
}

#[test]
fn a_name_is_free_at_once_when_its_publisher_goes() {
    let server = TestServer::new(ReplacePublisher::Never, Duration::from_secs(10));
    drop(server.publish());
    let _second = server.publish();
}

#[test]
fn a_second_publisher_under_each_setting() {
    for (replace, at_once, when_idle) in [
        (ReplacePublisher::Never, false, false),
        (ReplacePublisher::Idle, false, true),
        (ReplacePublisher::Always, true, true),
    ] {
        for (silence, granted) in [(Duration::ZERO, at_once), (limits::PUBLISHER_IDLE, when_idle)] {
            let server = TestServer::new(replace, Duration::ZERO);
            let (evicted_in, evicted) = crossbeam_channel::bounded(1);
            let evict = Box::new(move |reason: &str| evicted_in.send(reason.to_owned()).unwrap());
            let start = Instant::now();
            let mut first = server.registry.publish("live/cam", "[192.0.2.7:5000]", start, evict).unwrap();
            let second = server.registry.publish("live/cam", "[192.0.2.7:5000]", start + silence, Box::new(|_| {}));
            assert_eq!(second.is_ok(), granted, "{replace:?}");
            assert_eq!(evicted.try_recv().is_ok(), granted, "{replace:?}");
            let packet = Packet { kind: PacketKind::Audio, timestamp: Timestamp::ZERO, payload: vec![0xaf, 1].into() };
            assert_eq!(first.send(packet, Instant::now()).is_ok(), !granted);
        }
    }
}

#[test]
fn the_replaced_publishers_end_does_not_free_the_name() {
    let server = TestServer::new(ReplacePublisher::Always, Duration::ZERO);
    let first = server.publish();
    let mut second = server.publish();
    drop(first);
    server.registry.tick(Instant::now());
    send(&mut second, &[(0, KEY)]);
}

#[test]
fn a_slow_player_skips_to_the_next_key_frame_without_affecting_others() {
    let server = default_server();
    let slow = server.player(StartAt::LastKeyFrame);
    let quick = server.player(StartAt::LastKeyFrame);
    let mut publication = server.publish();
    send(&mut publication, &[(0, KEY)]);
    slow.next();
    quick.next();
    *slow.sink.backlog.lock() = Backlog { bytes: limits::PLAYER_QUEUE_BYTES + 1, age: Duration::ZERO };
    send(&mut publication, &[(20, INTER)]);
    slow.next();
    quick.next();
    while !slow.sink.skipped.load(Ordering::Relaxed) {
        std::thread::yield_now();
    }
    *slow.sink.backlog.lock() = Backlog::default();
    send(&mut publication, &[(40, INTER), (50, AAC), (60, HEADER), (80, KEY), (90, AAC)]);
    assert_eq!(slow.take(4), [(50, AAC), (60, HEADER), (80, KEY), (90, AAC)].map(message));
    assert_eq!(quick.take(5).len(), 5);
    assert_eq!(slow.subscription.unwrap().dropped(), 7 + 1);
}

#[test]
fn a_player_whose_queue_is_too_old_skips_as_well() {
    let server = default_server();
    let slow = server.player(StartAt::LastKeyFrame);
    let mut publication = server.publish();
    send(&mut publication, &[(0, KEY)]);
    slow.next();
    *slow.sink.backlog.lock() = Backlog { bytes: 1, age: limits::PLAYER_QUEUE_AGE + Duration::from_millis(1) };
    send(&mut publication, &[(40, INTER)]);
    slow.next();
    while !slow.sink.skipped.load(Ordering::Relaxed) {
        std::thread::yield_now();
    }
    // While it is stuck, even a key frame would only have to be dropped.
    send(&mut publication, &[(120, KEY)]);
    slow.assert_nothing_more();
    *slow.sink.backlog.lock() = Backlog::default();
    send(&mut publication, &[(130, INTER)]);
    slow.assert_nothing_more();
    send(&mut publication, &[(160, KEY)]);
    assert_eq!(slow.next(), Got::Message(160, KEY));
}

#[test]
fn filtered_tracks_are_left_out_and_video_resumes_at_a_key_frame() {
    let server = default_server();
    let player = server.player(StartAt::LastKeyFrame);
    let mut publication = server.publish();
    send(&mut publication, &[(0, KEY)]);
    player.next();
    let subscription = player.subscription.as_ref().unwrap();
    subscription.set_filter(SubscriptionFilter { audio: true, video: false });
    send(&mut publication, &[(40, INTER), (41, AAC), (80, KEY)]);
    assert_eq!(player.next(), Got::Message(41, AAC));
    subscription.set_filter(SubscriptionFilter { audio: false, video: true });
    send(&mut publication, &[(120, INTER), (121, AAC), (160, KEY), (200, INTER)]);
    assert_eq!(player.take(2), [(160, KEY), (200, INTER)].map(message));
    player.assert_nothing_more();
}

#[test]
fn empty_messages_and_nameless_data_are_not_relayed() {
    let server = default_server();
    let player = server.player(StartAt::LastKeyFrame);
    let mut publication = server.publish();
    for kind in [PacketKind::Audio, PacketKind::Video, PacketKind::Data] {
        publication
            .send(Packet { kind, timestamp: Timestamp::ZERO, payload: Vec::new().into() }, Instant::now())
            .unwrap();
    }
    player.assert_nothing_more();
}

#[test]
fn a_publisher_waits_for_the_lanes_only_until_they_catch_up() {
    let server = default_server();
    let player = server.player(StartAt::LastKeyFrame);
    let mut publication = server.publish();
    let mut payload = vec![0; limits::LANE_CREDIT_BYTES / 4];
    payload[..2].copy_from_slice(&KEY);
    for time in 0..20 {
        let timestamp = Timestamp::new(time);
        publication
            .send(Packet { kind: PacketKind::Video, timestamp, payload: payload.clone().into() }, Instant::now())
            .unwrap();
    }
    assert_eq!(player.take(20).len(), 20);
}

#[test]
fn traffic_is_counted_beyond_the_end_of_a_stream() {
    let server = TestServer::new(ReplacePublisher::Idle, Duration::ZERO);
    let player = server.player(StartAt::LastKeyFrame);
    let mut publication = server.publish();
    send(&mut publication, &[(0, HEADER), (0, KEY), (40, INTER)]);
    player.take(3);
    let status = server.registry.status();
    assert_eq!(
        (status.len(), &status[0].name[..], status[0].is_published, status[0].players),
        (1, "live/cam", true, 1)
    );
    drop(publication);
    drop(player);
    server.registry.tick(Instant::now());
    assert!(server.registry.is_empty());
    let traffic = server.registry.traffic();
    assert_eq!((traffic.messages_in, traffic.bytes_in), (3, 18));
    assert_eq!((traffic.messages_out, traffic.bytes_out, traffic.dropped), (3, 18, 0));
}

#[test]
fn audio_is_deferred_to_the_next_frame_within_its_window() {
    let server = default_server();
    let player = server.player(StartAt::LastKeyFrame);
    let mut publication = server.publish();
    let now = Instant::now();
    let mut send_at = |after_ms: u64, first: [u8; 2]| {
        let kind = if first[0] == 0xaf { PacketKind::Audio } else { PacketKind::Video };
        let packet = Packet { kind, timestamp: Timestamp::new(after_ms as u32), payload: first.to_vec().into() };
        publication.send(packet, now + Duration::from_millis(after_ms)).unwrap();
        publication.deferred_audio().map(|(due, _)| due)
    };
    assert_eq!(send_at(0, AAC), None, "there are no video frames yet");
    assert_eq!(send_at(10, KEY), None);
    assert_eq!(player.take(2), [(0, AAC), (10, KEY)].map(message));
    let due = now + Duration::from_millis(20) + limits::AUDIO_COALESCING_WINDOW;
    assert_eq!(send_at(20, AAC), Some(due));
    assert_eq!(send_at(41, AAC), Some(due));
    player.assert_nothing_more();
    assert_eq!(send_at(50, INTER), None);
    assert_eq!(player.take(3), [(20, AAC), (41, AAC), (50, INTER)].map(message));
    assert_eq!(send_at(60, AAC), Some(now + Duration::from_millis(60) + limits::AUDIO_COALESCING_WINDOW));
    assert_eq!(send_at(60 + limits::AUDIO_COALESCING_WINDOW.as_millis() as u64, AAC), None);
    assert_eq!(player.take(2), [(60, AAC), (100, AAC)].map(message));
    send_at(110, AAC);
    drop(publication);
    assert_eq!(player.next(), message((110, AAC)));
}

#[test]
fn a_player_that_joins_during_deferred_audio_gets_it_once() {
    let server = default_server();
    let mut publication = server.publish();
    let frame =
        |kind, time, first: [u8; 2]| Packet { kind, timestamp: Timestamp::new(time), payload: first.to_vec().into() };
    publication.send(frame(PacketKind::Video, 0, KEY), Instant::now()).unwrap();
    publication.send(frame(PacketKind::Audio, 5, AAC), Instant::now()).unwrap();
    let player = server.player(StartAt::LastKeyFrame);
    publication.send(frame(PacketKind::Video, 40, INTER), Instant::now()).unwrap();
    assert_eq!(player.take(3), [(0, KEY), (5, AAC), (40, INTER)].map(message));
    player.assert_nothing_more();
}

#[test]
fn a_panic_in_one_sink_does_not_affect_others() {
    let server = default_server();
    // Both lanes have one of each, the panicking one first.
    let bad: Vec<_> = (0..2).map(|_| server.player_with(StartAt::LastKeyFrame, true)).collect();
    let good: Vec<_> = (0..2).map(|_| server.player(StartAt::LastKeyFrame)).collect();
    let mut publication = server.publish();
    let frames = [(0, HEADER), (0, KEY), (40, INTER), (80, KEY)];
    send(&mut publication, &frames);
    for player in &good {
        assert_eq!(player.take(4), frames.map(message));
    }
    assert!(bad.iter().all(|player| player.sink.abandoned.load(Ordering::Relaxed)));
    drop((bad, publication));
    assert!(server.registry.publish("live/cam", "[192.0.2.7:5000]", Instant::now(), Box::new(|_| {})).is_ok());
}

#[test]
fn publishers_at_the_limit_and_one_past() {
    let registry = Registry::new(Settings { publishers: 2, replace: ReplacePublisher::Always, ..Settings::default() });
    let publish = |name: &str| registry.publish(name, "[192.0.2.7:5000]", Instant::now(), Box::new(|_| {}));
    let (first, _second) = (publish("live/1").unwrap(), publish("live/2").unwrap());
    assert!(matches!(publish("live/3"), Err(PublishRefused::TooMany(_))));
    let _successor = publish("live/1").expect("taking over a name needs no further slot");
    drop(first);
    assert!(publish("live/3").is_err());
    drop(_successor);
    assert!(publish("live/3").is_ok());
}

/// A server whose players wait that long for a key frame.
fn server_with_key_frame_wait(key_frame_wait: Duration) -> TestServer {
    let queue_limits = QueueLimits { key_frame_wait, ..QueueLimits::default() };
    // All frames have the same timestamp here.
    let registry = Registry::new(Settings { queue_limits, times: Times::Publisher, ..Settings::default() });
    TestServer { registry, lanes: LanePool::start(2, MergeWindow::Auto).unwrap() }
}

/// Returns a video frame of that many bytes.
fn large(first: [u8; 2], bytes: usize) -> Packet {
    let mut payload = vec![0; bytes];
    payload[..2].copy_from_slice(&first);
    Packet { kind: PacketKind::Video, timestamp: Timestamp::ZERO, payload: payload.into() }
}

/// Sends more video after a key frame than the cache holds.
fn outgrow(publication: &mut Publication, now: Instant) {
    publication.send(large(KEY, limits::MESSAGE_BYTES), now).unwrap();
    for _ in 0..limits::GOP_CACHE_BYTES / limits::MESSAGE_BYTES {
        publication.send(large(INTER, limits::MESSAGE_BYTES), now).unwrap();
    }
}

fn warnings(server: &TestServer) -> Vec<&'static str> {
    server.registry.status()[0].warnings.iter().map(|warning| warning.code).collect()
}

#[test]
fn without_key_frames_players_start_at_any_frame_after_the_wait() {
    let wait = Duration::from_millis(100);
    let server = server_with_key_frame_wait(wait);
    let mut publication = server.publish();
    send(&mut publication, &[(0, HEADER)]);
    outgrow(&mut publication, Instant::now());
    assert_eq!(warnings(&server), [Warning::KEY_FRAMES_RARE]);
    let player = server.player(StartAt::LastKeyFrame);
    send(&mut publication, &[(40, INTER), (60, AAC), (80, INTER)]);
    assert_eq!(player.take(2), [(0, HEADER), (60, AAC)].map(message), "it waits for a key frame");
    player.assert_nothing_more();
    std::thread::sleep(wait);
    send(&mut publication, &[(120, INTER), (160, INTER)]);
    assert_eq!(player.take(2), [(120, INTER), (160, INTER)].map(message));
    // A player that joins at a key frame starts with it.
    send(&mut publication, &[(200, KEY)]);
    assert_eq!(warnings(&server), [Warning::KEY_FRAMES_RARE], "the last GOP exceeded the limit");
    assert_eq!(server.player(StartAt::LastKeyFrame).take(2), [(200, HEADER), (200, KEY)].map(message));
    send(&mut publication, &[(240, INTER), (280, KEY)]);
    assert!(warnings(&server).is_empty(), "key frames arrive in time");
}

#[test]
fn with_regular_key_frames_players_wait_for_the_next() {
    let server = server_with_key_frame_wait(Duration::ZERO);
    let mut publication = server.publish();
    let now = Instant::now();
    outgrow(&mut publication, now);
    outgrow(&mut publication, now + Duration::from_secs(10));
    let texts = server.registry.status().remove(0).warnings;
    assert!(texts.len() == 1 && texts[0].text.contains("10 s apart"), "{texts:?}");
    let player = server.player(StartAt::LastKeyFrame);
    let at = |seconds| now + Duration::from_secs(seconds);
    publication.send(large(INTER, 9), at(19)).unwrap();
    player.assert_nothing_more();
    publication.send(large(KEY, 9), at(20)).unwrap();
    assert_eq!(player.next(), message((0, KEY)));
    let player = server.player(StartAt::NextKeyFrame);
    publication.send(large(INTER, 9), at(29)).unwrap();
    player.assert_nothing_more();
    publication.send(large(INTER, 9), at(34)).unwrap();
    assert_eq!(player.next(), message((0, INTER)), "the key frame is overdue");
}

#[test]
fn players_start_at_a_recovery_point() {
    let server = default_server();
    let mut publication = server.publish();
    let frame = |time, units: &[u8]| {
        let payload = [&INTER[..], &[0, 0, 0], units].concat();
        Packet { kind: PacketKind::Video, timestamp: Timestamp::new(time), payload: payload.into() }
    };
    let recovery = frame(80, &[0, 0, 0, 4, 6, 6, 1, 0xc4, 0, 0, 0, 2, 0x41, 0x9a]);
    send(&mut publication, &[(0, HEADER), (0, KEY), (40, INTER)]);
    let waiting = server.player(StartAt::NextKeyFrame);
    publication.send(recovery, Instant::now()).unwrap();
    publication.send(frame(120, &[0, 0, 0, 2, 0x41, 0x9a]), Instant::now()).unwrap();
    assert_eq!(waiting.take(3), [(40, HEADER), (80, INTER), (120, INTER)].map(message));
    let late = server.player(StartAt::LastKeyFrame);
    assert_eq!(late.take(3), [(80, HEADER), (80, INTER), (120, INTER)].map(message));
}

#[test]
fn a_late_player_of_a_wrong_clock_starts_with_arrival_times() {
    let server = default_server();
    let early = server.player(StartAt::LastKeyFrame);
    let mut publication = server.publish();
    let start = Instant::now();
    let mut send_by = |number: u32| {
        let payload = [&if number == 0 { KEY } else { INTER }[..], &[0, 0, 0, 9]].concat();
        // 90 kHz ticks, 25 frames a second.
        let timestamp = Timestamp::new(number * 3_600);
        let packet = Packet { kind: PacketKind::Video, timestamp, payload: payload.into() };
        publication.send(packet, start + Duration::from_millis(40) * number).unwrap();
    };
    (0..60).for_each(&mut send_by);
    assert_eq!(warnings(&server), [Warning::WRONG_CLOCK]);
    let late = server.player(StartAt::LastKeyFrame);
    send_by(60);
    let times = |player: &Player, count| {
        let time = |got| if let Got::Message(time, _) = got { time } else { panic!() };
        player.take(count).into_iter().map(time).collect::<Vec<_>>()
    };
    // What was sent before the clock was found wrong can't be recalled.
    let (early, late) = (times(&early, 61), times(&late, 61));
    assert!(early[..50].iter().enumerate().all(|(number, time)| *time == number as u32 * 3_600));
    for (name, times) in [("early", &early[50..]), ("late", &late[..])] {
        assert!(times.windows(2).all(|pair| (20..=60).contains(&(pair[1] - pair[0]))), "{name}: {times:?}");
    }
    assert_eq!(early[50..], late[50..]);
}

#[test]
fn a_slow_player_resumes_without_a_key_frame_where_none_arrives() {
    let wait = Duration::from_millis(100);
    let server = server_with_key_frame_wait(wait);
    let player = server.player(StartAt::LastKeyFrame);
    let mut publication = server.publish();
    send(&mut publication, &[(0, KEY), (40, INTER)]);
    player.take(2);
    *player.sink.backlog.lock() = Backlog { bytes: 100, age: limits::PLAYER_QUEUE_AGE + Duration::from_millis(1) };
    send(&mut publication, &[(80, INTER), (120, INTER)]);
    assert_eq!(player.next(), message((80, INTER)));
    wait_until(|| player.sink.skipped.load(Ordering::Relaxed));
    std::thread::sleep(wait);
    // While the queue is stale, it would only have to skip again.
    send(&mut publication, &[(160, INTER)]);
    player.assert_nothing_more();
    *player.sink.backlog.lock() = Backlog::default();
    send(&mut publication, &[(200, INTER), (240, INTER)]);
    assert_eq!(player.take(2), [(200, INTER), (240, INTER)].map(message));
}

fn wait_until(mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(5);
    while !holds() {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(5));
    }
}
