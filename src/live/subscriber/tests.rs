//! What reaches a player over a link with less bandwidth than its stream, in simulated time.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use proptest::prelude::*;

use super::*;
use crate::media::{Packet, Timestamp};

const FRAMES_PER_SECOND: u64 = 25;
const FRAME_MS: u64 = 1000 / FRAMES_PER_SECOND;
/// Bytes of an inter frame, and of an audio message: one goes with each frame, and is 4 % of it.
const FRAME_BYTES: usize = 20_000;
const AUDIO_BYTES: usize = 800;

/// A stream, and the link to its only player.
#[derive(Clone, Debug)]
struct Case {
    gop_frames: u64,
    /// The size of a key frame, in inter frames.
    key_factor: usize,
    /// Consecutive disposable frames before one that is not.
    disposable: u64,
    /// The link's bandwidth, in percent of the stream's.
    percent: u64,
    /// An outage of the link: its start and length, in milliseconds.
    stall: Option<(u64, u64)>,
    seconds: u64,
}

impl Case {
    fn is_key_frame(&self, number: u64) -> bool {
        number.is_multiple_of(self.gop_frames)
    }

    fn is_disposable(&self, number: u64) -> bool {
        !(number % self.gop_frames).is_multiple_of(self.disposable + 1)
    }

    /// Returns the bytes of a GOP.
    fn gop_bytes(&self) -> usize {
        let frames = self.gop_frames as usize;
        (frames - 1 + self.key_factor) * FRAME_BYTES + frames * AUDIO_BYTES
    }

    /// Returns the bytes that the link carries per millisecond.
    fn link(&self) -> f64 {
        self.gop_bytes() as f64 / (self.gop_frames * FRAME_MS) as f64 * self.percent as f64 / 100.0
    }

    fn is_gone(&self, now: u64) -> bool {
        self.stall.is_some_and(|(at, length)| (at..at + length).contains(&now))
    }
}

/// The player's end: each message with the millisecond in which it was complete.
#[derive(Default)]
struct Link {
    now: u64,
    waiting: VecDeque<(Arc<LiveMessage>, u64)>,
    /// Bytes of the first message that have been carried.
    begun: f64,
    arrived: Vec<(Arc<LiveMessage>, u64)>,
    skips: usize,
}

impl Link {
    fn carry(&mut self, bytes: f64) {
        self.begun += bytes;
        while let Some((message, _)) = self.waiting.front() {
            let length = message.body().len() as f64;
            if self.begun < length {
                return;
            }
            self.begun -= length;
            let (message, _) = self.waiting.pop_front().unwrap();
            self.arrived.push((message, self.now));
        }
        self.begun = 0.0;
    }
}

impl Sink for Mutex<Link> {
    fn push(&self, _: u32, messages: &[Arc<LiveMessage>]) -> Backlog {
        let mut link = self.lock();
        let now = link.now;
        link.waiting.extend(messages.iter().map(|message| (message.clone(), now)));
        drop(link);
        self.backlog()
    }

    fn skip(&self, _: u32, what: Skip) -> usize {
        let mut link = self.lock();
        link.skips += 1;
        let (before, mut index, is_begun) = (link.waiting.len(), 0, link.begun > 0.0);
        link.waiting.retain(|(message, _)| {
            index += 1;
            let is_meant = what == Skip::All || message.packet.kind == PacketKind::Video;
            (index == 1 && is_begun) || message.is_essential || !is_meant
        });
        before - link.waiting.len()
    }

    fn backlog(&self) -> Backlog {
        let link = self.lock();
        let bytes = link.waiting.iter().map(|(message, _)| message.body().len()).sum();
        let age = link.waiting.front().map_or(0, |(_, since)| link.now - since);
        Backlog { bytes, age: Duration::from_millis(age) }
    }

    fn flush(&self) -> bool {
        false
    }

    fn ended(&self, _: u32) {}

    fn abandon(&self, reason: &str) {
        panic!("{reason}");
    }

    fn peer(&self) -> &str {
        "192.0.2.7:5000"
    }
}

fn message(kind: PacketKind, first: [u8; 2], time: u64, length: usize) -> LiveMessage {
    let mut payload = vec![0; length];
    payload[..2].copy_from_slice(&first);
    LiveMessage::new(Packet { kind, timestamp: Timestamp::new(time as u32), payload: payload.into() })
}

/// Returns what arrives, when, and the number of skips.
fn play(case: &Case) -> Link {
    let link = Arc::new(Mutex::new(Link::default()));
    let queue_limits = QueueLimits::default();
    let mut player = Subscriber::new(
        1,
        link.clone(),
        1,
        SubscriptionFilter::default(),
        queue_limits,
        Arc::default(),
        Arc::default(),
    );
    for number in 0..case.seconds * FRAMES_PER_SECOND {
        let time = number * FRAME_MS;
        let is_key_frame = case.is_key_frame(number);
        let bytes = if is_key_frame { case.key_factor * FRAME_BYTES } else { FRAME_BYTES };
        let mut frame = message(PacketKind::Video, if is_key_frame { [0x17, 1] } else { [0x27, 1] }, time, bytes);
        frame.is_disposable = case.is_disposable(number);
        let mut messages = vec![frame, message(PacketKind::Audio, [0xaf, 1], time, AUDIO_BYTES)];
        if is_key_frame {
            messages.insert(0, message(PacketKind::Video, [0x17, 0], time, 40));
        }
        let messages: Vec<_> = messages.into_iter().map(Arc::new).collect();
        player.deliver(&messages, true);
        for now in time + 1..=time + FRAME_MS {
            let mut link = link.lock();
            link.now = now;
            if !case.is_gone(now) {
                link.carry(case.link());
            }
        }
    }
    drop(player);
    Arc::into_inner(link).unwrap().into_inner()
}

impl Link {
    fn of(&self, kind: PacketKind) -> impl Iterator<Item = (&LiveMessage, u64)> {
        let all = self.arrived.iter().map(|(message, at)| (&**message, *at));
        all.filter(move |(message, _)| message.packet.kind == kind && !message.is_essential)
    }

    fn numbers(&self) -> Vec<u64> {
        let number = |message: &LiveMessage| u64::from(message.packet.timestamp.milliseconds()) / FRAME_MS;
        self.of(PacketKind::Video).map(|(message, _)| number(message)).collect()
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let stall = proptest::option::of((1000..20_000_u64, 1..4000_u64));
    (5..200_u64, 1..8_usize, 0..3_u64, 25..130_u64, stall).prop_map(
        |(gop_frames, key_factor, disposable, percent, stall)| Case {
            gop_frames,
            key_factor,
            disposable,
            percent,
            stall,
            seconds: 40,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_weak_link_gets_decodable_video_near_the_live_edge_and_all_audio(case in cases()) {
        let link = play(&case);
        // No frame arrives without its reference frames.
        let numbers = link.numbers();
        let got: std::collections::HashSet<_> = numbers.iter().copied().collect();
        for number in &numbers {
            let gop = number - number % case.gop_frames;
            let missing = (gop..*number).find(|earlier| !case.is_disposable(*earlier) && !got.contains(earlier));
            prop_assert_eq!(missing, None, "frame {} came without it", number);
        }
        // The lag is at most a GOP and a second, plus the time for a key frame on such a link.
        let key_frame_ms = (case.key_factor * FRAME_BYTES) as f64 / case.link();
        let stall = case.stall.map_or(0, |(_, length)| length);
        let bound = case.gop_frames * FRAME_MS + 1000 + key_frame_ms as u64 + stall;
        for (message, at) in link.of(PacketKind::Video) {
            let lag = at - u64::from(message.packet.timestamp.milliseconds());
            prop_assert!(lag <= bound, "{} ms behind, {} allowed", lag, bound);
        }
        // All audio, except what is still in flight, and all essential messages.
        let sent = case.seconds * FRAMES_PER_SECOND;
        let waiting = |kind, is_essential| {
            let is_meant = |message: &LiveMessage| message.packet.kind == kind && message.is_essential == is_essential;
            link.waiting.iter().filter(|(message, _)| is_meant(message)).count()
        };
        prop_assert_eq!(link.of(PacketKind::Audio).count() + waiting(PacketKind::Audio, false), sent as usize);
        let essential = link.arrived.iter().filter(|(message, _)| message.is_essential).count();
        let gops = sent.div_ceil(case.gop_frames);
        prop_assert_eq!(essential + waiting(PacketKind::Video, true), gops as usize);
    }
}

fn usual(percent: u64) -> Case {
    Case { gop_frames: 50, key_factor: 5, disposable: 0, percent, stall: None, seconds: 60 }
}

#[test]
fn three_quarters_of_the_bandwidth_carry_two_thirds_of_the_frames() {
    for disposable in [0, 1, 2] {
        let link = play(&Case { disposable, ..usual(75) });
        let frames = link.of(PacketKind::Video).count() as u64 * 100 / (60 * FRAMES_PER_SECOND);
        assert!(frames >= 65, "{disposable} of {}: {frames} %", disposable + 1);
        let late =
            link.of(PacketKind::Video).map(|(message, at)| at - u64::from(message.packet.timestamp.milliseconds()));
        assert!(late.max().unwrap() < 1600);
    }
}

#[test]
fn disposable_frames_are_dropped_first() {
    let link = play(&Case { disposable: 1, ..usual(75) });
    assert_eq!(link.skips, 0, "dropping half of the frames suffices");
    let longest = link.numbers().windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest <= 2, "{longest} consecutive frames are missing");
}

#[test]
fn a_slightly_slow_link_skips_rarely() {
    let link = play(&usual(98));
    // It falls behind by 20 ms each second, and skips to the live edge at 0.6 s.
    assert!((1..=3).contains(&link.skips), "{}", link.skips);
}

#[test]
fn a_stall_of_half_a_second_skips_nothing() {
    for disposable in [0, 2] {
        let link = play(&Case { stall: Some((10_500, 500)), disposable, ..usual(150) });
        assert_eq!((link.skips, link.of(PacketKind::Video).count()), (0, 1500), "{disposable} of {}", disposable + 1);
    }
}
