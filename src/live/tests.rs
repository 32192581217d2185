//! Publishers, lanes and players together, with sinks in place of sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;

use super::*;
use crate::limits;
use crate::media::{Packet, PacketKind, Timestamp};

/// What a player was sent: time and first two bytes, or the end.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Message(u32, [u8; 2]),
    End,
}

struct FakeSink {
    got: Sender<Got>,
    backlog: Mutex<Backlog>,
    skipped: AtomicBool,
    /// It has a defect.
    panics: bool,
    abandoned: AtomicBool,
}

impl Sink for FakeSink {
    fn push(&self, stream_id: u32, messages: &[Arc<LiveMessage>]) -> Backlog {
        assert_eq!(stream_id, 1);
        assert!(!self.panics, "a defect, on purpose");
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

struct House {
    registry: Registry,
    lanes: LanePool,
}

impl House {
    fn new(replace: ReplacePublisher, grace: Duration) -> Self {
        Self {
            registry: Registry::new(Settings { replace, grace, ..Settings::default() }),
            lanes: LanePool::start(2, MergeWindow::Auto).unwrap(),
        }
    }

    fn player(&self, start_at: StartAt) -> Player {
        self.player_that(start_at, false)
    }

    fn player_that(&self, start_at: StartAt, panics: bool) -> Player {
        let (got_in, got) = crossbeam_channel::unbounded();
        let sink = Arc::new(FakeSink {
            got: got_in,
            backlog: Mutex::default(),
            skipped: AtomicBool::new(false),
            panics,
            abandoned: AtomicBool::new(false),
        });
        let subscription = self.registry.with_stream("live/cam", |stream| {
            stream.subscribe(sink.clone(), 1, &self.lanes.pick(), start_at, Wanted::default())
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

    /// Nothing more comes: everything sent before has passed the lanes.
    fn assert_nothing_more(&self) {
        assert!(self.got.recv_timeout(Duration::from_millis(50)).is_err());
    }
}

fn default_house() -> House {
    House::new(ReplacePublisher::Idle, Duration::from_secs(10))
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
fn who_waits_gets_everything_from_the_first_key_frame() {
    let house = default_house();
    let player = house.player(StartAt::LastKeyFrame);
    let mut publication = house.publish();
    send(&mut publication, &[(0, HEADER), (0, AAC_HEADER), (0, INTER), (5, AAC), (40, KEY), (80, INTER)]);
    assert_eq!(player.take(5), [(0, HEADER), (0, AAC_HEADER), (5, AAC), (40, KEY), (80, INTER)].map(message));
    player.assert_nothing_more();
}

#[test]
fn who_comes_late_starts_at_the_last_key_frame_and_misses_nothing() {
    let house = default_house();
    let mut publication = house.publish();
    send(&mut publication, &[(0, HEADER), (0, KEY), (40, INTER), (80, KEY), (120, INTER)]);
    let player = house.player(StartAt::LastKeyFrame);
    send(&mut publication, &[(160, INTER)]);
    assert_eq!(player.take(4), [(80, HEADER), (80, KEY), (120, INTER), (160, INTER)].map(message));
}

#[test]
fn without_the_group_of_frames_the_next_key_frame_is_the_first() {
    let house = default_house();
    let mut publication = house.publish();
    send(&mut publication, &[(0, HEADER), (0, KEY), (40, INTER)]);
    let player = house.player(StartAt::NextKeyFrame);
    send(&mut publication, &[(80, INTER), (120, KEY)]);
    assert_eq!(player.take(2), [(40, HEADER), (120, KEY)].map(message));
}

#[test]
fn audio_alone_starts_at_once() {
    let house = default_house();
    let mut publication = house.publish();
    send(&mut publication, &[(0, AAC_HEADER), (10, AAC)]);
    let player = house.player(StartAt::LastKeyFrame);
    send(&mut publication, &[(33, AAC)]);
    assert_eq!(player.take(2), [(10, AAC_HEADER), (33, AAC)].map(message));
}

#[test]
fn players_stay_when_the_publisher_comes_back_and_time_goes_on() {
    let house = default_house();
    let player = house.player(StartAt::LastKeyFrame);
    let mut publication = house.publish();
    send(&mut publication, &[(5_000, HEADER), (5_000, KEY), (5_040, INTER)]);
    player.take(3);
    drop(publication);
    house.registry.tick(Instant::now());
    let mut publication = house.publish();
    send(&mut publication, &[(0, HEADER), (0, INTER), (40, KEY), (80, INTER)]);
    // The INTER that needs a lost video frame is not sent, but it sets the offset.
    assert_eq!(player.take(3), [(5_040, HEADER), (5_100, KEY), (5_140, INTER)].map(message));
    player.assert_nothing_more();
}

#[test]
fn after_the_grace_players_are_told_and_the_stream_is_forgotten() {
    let house = default_house();
    let mut player = house.player(StartAt::LastKeyFrame);
    let mut publication = house.publish();
    send(&mut publication, &[(0, KEY)]);
    player.next();
    drop(publication);
    house.registry.tick(Instant::now() + Duration::from_secs(9));
    player.assert_nothing_more();
    house.registry.tick(Instant::now() + Duration::from_secs(10));
    assert_eq!(player.next(), Got::End);
    player.subscription = None;
    assert!(house.registry.is_empty());
}

#[test]
fn who_waits_for_a_publisher_that_never_was_is_not_sent_away() {
    let house = default_house();
    let player = house.player(StartAt::LastKeyFrame);
    house.registry.tick(Instant::now() + Duration::from_secs(3600));
    player.assert_nothing_more();
    assert_eq!(house.registry.len(), 1);
}

#[test]
fn a_name_is_free_at_once_when_its_publisher_goes() {
    let house = House::new(ReplacePublisher::Never, Duration::from_secs(10));
    drop(house.publish());
    let _second = house.publish();
}

#[test]
fn a_second_publisher_under_each_setting() {
    for (replace, at_once, when_idle) in [
        (ReplacePublisher::Never, false, false),
        (ReplacePublisher::Idle, false, true),
        (ReplacePublisher::Always, true, true),
    ] {
        for (silence, granted) in [(Duration::ZERO, at_once), (limits::PUBLISHER_IDLE, when_idle)] {
            let house = House::new(replace, Duration::ZERO);
            let (evicted_in, evicted) = crossbeam_channel::bounded(1);
            let evict = Box::new(move |reason: &str| evicted_in.send(reason.to_owned()).unwrap());
            let start = Instant::now();
            let mut first = house.registry.publish("live/cam", "[192.0.2.7:5000]", start, evict).unwrap();
            let second = house.registry.publish("live/cam", "[192.0.2.7:5000]", start + silence, Box::new(|_| {}));
            assert_eq!(second.is_ok(), granted, "{replace:?}");
            assert_eq!(evicted.try_recv().is_ok(), granted, "{replace:?}");
            let packet = Packet { kind: PacketKind::Audio, timestamp: Timestamp::ZERO, payload: vec![0xaf, 1].into() };
            assert_eq!(first.send(packet, Instant::now()).is_ok(), !granted);
        }
    }
}

#[test]
fn the_replaced_publishers_end_does_not_free_the_name() {
    let house = House::new(ReplacePublisher::Always, Duration::ZERO);
    let first = house.publish();
    let mut second = house.publish();
    drop(first);
    house.registry.tick(Instant::now());
    send(&mut second, &[(0, KEY)]);
}

#[test]
fn a_slow_player_skips_to_the_next_key_frame_and_the_others_miss_nothing() {
    let house = default_house();
    let slow = house.player(StartAt::LastKeyFrame);
    let quick = house.player(StartAt::LastKeyFrame);
    let mut publication = house.publish();
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
fn a_player_that_is_late_by_time_skips_as_well() {
    let house = default_house();
    let slow = house.player(StartAt::LastKeyFrame);
    let mut publication = house.publish();
    send(&mut publication, &[(0, KEY)]);
    slow.next();
    *slow.sink.backlog.lock() = Backlog { bytes: 1, age: limits::PLAYER_QUEUE_AGE + Duration::from_millis(1) };
    send(&mut publication, &[(40, INTER)]);
    slow.next();
    while !slow.sink.skipped.load(Ordering::Relaxed) {
        std::thread::yield_now();
    }
    // While it is stuck, even a key frame would only have to be thrown away.
    send(&mut publication, &[(120, KEY)]);
    slow.assert_nothing_more();
    *slow.sink.backlog.lock() = Backlog::default();
    send(&mut publication, &[(130, INTER)]);
    slow.assert_nothing_more();
    send(&mut publication, &[(160, KEY)]);
    assert_eq!(slow.next(), Got::Message(160, KEY));
}

#[test]
fn kinds_that_are_not_wanted_are_left_out_and_frames_come_back_at_a_key_frame() {
    let house = default_house();
    let player = house.player(StartAt::LastKeyFrame);
    let mut publication = house.publish();
    send(&mut publication, &[(0, KEY)]);
    player.next();
    let subscription = player.subscription.as_ref().unwrap();
    subscription.set_wanted(Wanted { audio: true, video: false });
    send(&mut publication, &[(40, INTER), (41, AAC), (80, KEY)]);
    assert_eq!(player.next(), Got::Message(41, AAC));
    subscription.set_wanted(Wanted { audio: false, video: true });
    send(&mut publication, &[(120, INTER), (121, AAC), (160, KEY), (200, INTER)]);
    assert_eq!(player.take(2), [(160, KEY), (200, INTER)].map(message));
    player.assert_nothing_more();
}

#[test]
fn empty_messages_and_nameless_data_are_not_relayed() {
    let house = default_house();
    let player = house.player(StartAt::LastKeyFrame);
    let mut publication = house.publish();
    for kind in [PacketKind::Audio, PacketKind::Video, PacketKind::Data] {
        publication
            .send(Packet { kind, timestamp: Timestamp::ZERO, payload: Vec::new().into() }, Instant::now())
            .unwrap();
    }
    player.assert_nothing_more();
}

#[test]
fn a_publisher_waits_for_the_lanes_and_not_for_ever() {
    let house = default_house();
    let player = house.player(StartAt::LastKeyFrame);
    let mut publication = house.publish();
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
fn what_goes_through_is_counted_and_stays_counted() {
    let house = House::new(ReplacePublisher::Idle, Duration::ZERO);
    let player = house.player(StartAt::LastKeyFrame);
    let mut publication = house.publish();
    send(&mut publication, &[(0, HEADER), (0, KEY), (40, INTER)]);
    player.take(3);
    let status = house.registry.status();
    assert_eq!(
        (status.len(), &status[0].name[..], status[0].is_published, status[0].players),
        (1, "live/cam", true, 1)
    );
    drop(publication);
    drop(player);
    house.registry.tick(Instant::now());
    assert!(house.registry.is_empty());
    let traffic = house.registry.traffic();
    assert_eq!((traffic.messages_in, traffic.bytes_in), (3, 18));
    assert_eq!((traffic.messages_out, traffic.bytes_out, traffic.dropped), (3, 18, 0));
}

#[test]
fn audio_goes_out_with_the_next_frame_but_does_not_wait_too_long() {
    let house = default_house();
    let player = house.player(StartAt::LastKeyFrame);
    let mut publication = house.publish();
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
fn who_comes_while_audio_waits_gets_it_once() {
    let house = default_house();
    let mut publication = house.publish();
    let frame =
        |kind, time, first: [u8; 2]| Packet { kind, timestamp: Timestamp::new(time), payload: first.to_vec().into() };
    publication.send(frame(PacketKind::Video, 0, KEY), Instant::now()).unwrap();
    publication.send(frame(PacketKind::Audio, 5, AAC), Instant::now()).unwrap();
    let player = house.player(StartAt::LastKeyFrame);
    publication.send(frame(PacketKind::Video, 40, INTER), Instant::now()).unwrap();
    assert_eq!(player.take(3), [(0, KEY), (5, AAC), (40, INTER)].map(message));
    player.assert_nothing_more();
}

#[test]
fn a_defect_met_on_the_way_to_one_player_costs_no_other() {
    let house = default_house();
    // Both lanes have one of each, the bad one first.
    let bad: Vec<_> = (0..2).map(|_| house.player_that(StartAt::LastKeyFrame, true)).collect();
    let good: Vec<_> = (0..2).map(|_| house.player(StartAt::LastKeyFrame)).collect();
    let mut publication = house.publish();
    let frames = [(0, HEADER), (0, KEY), (40, INTER), (80, KEY)];
    send(&mut publication, &frames);
    for player in &good {
        assert_eq!(player.take(4), frames.map(message));
    }
    assert!(bad.iter().all(|player| player.sink.abandoned.load(Ordering::Relaxed)));
    drop((bad, publication));
    assert!(house.registry.publish("live/cam", "[192.0.2.7:5000]", Instant::now(), Box::new(|_| {})).is_ok());
}

#[test]
fn publishers_at_the_limit_and_one_past() {
    let registry = Registry::new(Settings { publishers: 2, replace: ReplacePublisher::Always, ..Settings::default() });
    let publish = |name: &str| registry.publish(name, "[192.0.2.7:5000]", Instant::now(), Box::new(|_| {}));
    let (first, _second) = (publish("live/1").unwrap(), publish("live/2").unwrap());
    assert!(matches!(publish("live/3"), Err(PublishRefused::TooMany(_))));
    let _successor = publish("live/1").expect("who takes over a name needs no further place");
    drop(first);
    assert!(publish("live/3").is_err());
    drop(_successor);
    assert!(publish("live/3").is_ok());
}

/// A house whose players wait that long for key frames.
fn house_that_waits(key_frame_wait: Duration) -> House {
    let patience = QueueLimits { key_frame_wait, ..QueueLimits::default() };
    // All frames have one time here.
    let registry = Registry::new(Settings { patience, times: Times::Publisher, ..Settings::default() });
    House { registry, lanes: LanePool::start(2, MergeWindow::Auto).unwrap() }
}

/// A video frame of so many bytes.
fn large(first: [u8; 2], bytes: usize) -> Packet {
    let mut payload = vec![0; bytes];
    payload[..2].copy_from_slice(&first);
    Packet { kind: PacketKind::Video, timestamp: Timestamp::ZERO, payload: payload.into() }
}

/// More video since the key frame than is kept for players to come.
fn outgrow(publication: &mut Publication, now: Instant) {
    publication.send(large(KEY, limits::MESSAGE_BYTES), now).unwrap();
    for _ in 0..limits::GOP_CACHE_BYTES / limits::MESSAGE_BYTES {
        publication.send(large(INTER, limits::MESSAGE_BYTES), now).unwrap();
    }
}

fn warnings(house: &House) -> Vec<&'static str> {
    house.registry.status()[0].warnings.iter().map(|warning| warning.code).collect()
}

#[test]
fn where_no_key_frame_comes_any_more_players_get_what_comes_after_a_while() {
    let wait = Duration::from_millis(100);
    let house = house_that_waits(wait);
    let mut publication = house.publish();
    send(&mut publication, &[(0, HEADER)]);
    outgrow(&mut publication, Instant::now());
    assert_eq!(warnings(&house), [Warning::KEY_FRAMES_RARE]);
    let player = house.player(StartAt::LastKeyFrame);
    send(&mut publication, &[(40, INTER), (60, AAC), (80, INTER)]);
    assert_eq!(player.take(2), [(0, HEADER), (60, AAC)].map(message), "it waits");
    player.assert_nothing_more();
    std::thread::sleep(wait);
    send(&mut publication, &[(120, INTER), (160, INTER)]);
    assert_eq!(player.take(2), [(120, INTER), (160, INTER)].map(message));
    // One that comes when a key frame does starts with that.
    send(&mut publication, &[(200, KEY)]);
    assert_eq!(warnings(&house), [Warning::KEY_FRAMES_RARE], "the last GOP was too much");
    assert_eq!(house.player(StartAt::LastKeyFrame).take(2), [(200, HEADER), (200, KEY)].map(message));
    send(&mut publication, &[(240, INTER), (280, KEY)]);
    assert!(warnings(&house).is_empty(), "key frames come in time");
}

#[test]
fn where_key_frames_come_regularly_players_wait_for_the_next() {
    let house = house_that_waits(Duration::ZERO);
    let mut publication = house.publish();
    let now = Instant::now();
    outgrow(&mut publication, now);
    outgrow(&mut publication, now + Duration::from_secs(10));
    let texts = house.registry.status().remove(0).warnings;
    assert!(texts.len() == 1 && texts[0].text.contains("10 s apart"), "{texts:?}");
    let player = house.player(StartAt::LastKeyFrame);
    let at = |seconds| now + Duration::from_secs(seconds);
    publication.send(large(INTER, 9), at(19)).unwrap();
    player.assert_nothing_more();
    publication.send(large(KEY, 9), at(20)).unwrap();
    assert_eq!(player.next(), message((0, KEY)));
    let player = house.player(StartAt::NextKeyFrame);
    publication.send(large(INTER, 9), at(29)).unwrap();
    player.assert_nothing_more();
    publication.send(large(INTER, 9), at(34)).unwrap();
    assert_eq!(player.next(), message((0, INTER)), "the key frame is too late to be waited for");
}

#[test]
fn players_start_at_a_recovery_point() {
    let house = default_house();
    let mut publication = house.publish();
    let frame = |time, units: &[u8]| {
        let payload = [&INTER[..], &[0, 0, 0], units].concat();
        Packet { kind: PacketKind::Video, timestamp: Timestamp::new(time), payload: payload.into() }
    };
    let recovery = frame(80, &[0, 0, 0, 4, 6, 6, 1, 0xc4, 0, 0, 0, 2, 0x41, 0x9a]);
    send(&mut publication, &[(0, HEADER), (0, KEY), (40, INTER)]);
    let waiting = house.player(StartAt::NextKeyFrame);
    publication.send(recovery, Instant::now()).unwrap();
    publication.send(frame(120, &[0, 0, 0, 2, 0x41, 0x9a]), Instant::now()).unwrap();
    assert_eq!(waiting.take(3), [(40, HEADER), (80, INTER), (120, INTER)].map(message));
    let late = house.player(StartAt::LastKeyFrame);
    assert_eq!(late.take(3), [(80, HEADER), (80, INTER), (120, INTER)].map(message));
}

#[test]
fn who_comes_when_a_clock_was_found_wrong_starts_with_times_by_arrival() {
    let house = default_house();
    let early = house.player(StartAt::LastKeyFrame);
    let mut publication = house.publish();
    let start = Instant::now();
    let mut send_by = |number: u32| {
        let payload = [&if number == 0 { KEY } else { INTER }[..], &[0, 0, 0, 9]].concat();
        // Ticks of 90 kHz, 25 frames a second.
        let timestamp = Timestamp::new(number * 3_600);
        let packet = Packet { kind: PacketKind::Video, timestamp, payload: payload.into() };
        publication.send(packet, start + Duration::from_millis(40) * number).unwrap();
    };
    (0..60).for_each(&mut send_by);
    assert_eq!(warnings(&house), [Warning::WRONG_CLOCK]);
    let late = house.player(StartAt::LastKeyFrame);
    send_by(60);
    let times = |player: &Player, count| {
        let time = |got| if let Got::Message(time, _) = got { time } else { panic!() };
        player.take(count).into_iter().map(time).collect::<Vec<_>>()
    };
    // What was sent before the judgement can't be taken back.
    let (early, late) = (times(&early, 61), times(&late, 61));
    assert!(early[..50].iter().enumerate().all(|(number, time)| *time == number as u32 * 3_600));
    for (name, times) in [("early", &early[50..]), ("late", &late[..])] {
        assert!(times.windows(2).all(|pair| (20..=60).contains(&(pair[1] - pair[0]))), "{name}: {times:?}");
    }
    assert_eq!(early[50..], late[50..]);
}

#[test]
fn a_player_that_was_too_slow_goes_on_without_a_key_frame_where_none_comes() {
    let wait = Duration::from_millis(100);
    let house = house_that_waits(wait);
    let player = house.player(StartAt::LastKeyFrame);
    let mut publication = house.publish();
    send(&mut publication, &[(0, KEY), (40, INTER)]);
    player.take(2);
    *player.sink.backlog.lock() = Backlog { bytes: 100, age: limits::PLAYER_QUEUE_AGE + Duration::from_millis(1) };
    send(&mut publication, &[(80, INTER), (120, INTER)]);
    assert_eq!(player.next(), message((80, INTER)));
    wait_until(|| player.sink.skipped.load(Ordering::Relaxed));
    std::thread::sleep(wait);
    // As long as something old waits it would only have to skip again.
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
