//! Right and wrong clocks, as frames of both tracks arrive over good and bad links.

use proptest::prelude::*;

use super::*;
use PacketKind::{Audio, Video};

/// A frame: its kind, its time in milliseconds since the start of the stream, and its arrival.
type Frame = (PacketKind, u64, u64);

/// A camera whose frames arrive at once.
#[derive(Clone, Copy, Debug)]
struct Camera {
    /// Milliseconds of a video frame and of an audio frame; 0 without any.
    video_ms: u64,
    audio_ms: u64,
}

impl Camera {
    fn frames(self, seconds: u64) -> Vec<Frame> {
        let of = |kind, step: u64| {
            let count = (seconds * 1000).checked_div(step).unwrap_or(0);
            (0..count).map(move |number| (kind, number * step, number * step))
        };
        let mut frames: Vec<_> = of(Video, self.video_ms).chain(of(Audio, self.audio_ms)).collect();
        frames.sort_by_key(|(_, time, _)| *time);
        frames
    }
}

fn cameras() -> impl Strategy<Value = Camera> {
    let video = prop::sample::select(vec![0, 8, 16, 33, 40, 66, 200, 1000]);
    let audio = prop::sample::select(vec![0, 10, 20, 23, 64, 128]);
    (video, audio)
        .prop_filter("something is sent", |(video, audio)| video + audio > 0)
        .prop_map(|(video_ms, audio_ms)| Camera { video_ms, audio_ms })
}

/// Returns the timestamps of frames with that clock, and how often the clock was found wrong.
fn run(frames: &[Frame], clock: impl Fn(u64) -> u32) -> (Vec<Timestamp>, usize) {
    let (mut watch, start, mut found) = (TimestampSource::new(Times::Auto), Instant::now(), 0);
    let times = frames.iter().map(|(kind, time, arrives)| {
        let (time, wrong) = watch.time(*kind, Timestamp::new(clock(*time)), start + Duration::from_millis(*arrives));
        found += usize::from(wrong.is_some());
        time
    });
    (times.collect(), found)
}

/// Asserts that timestamps of that clock pass unchanged.
fn assert_untouched(frames: &[Frame], clock: impl Fn(u64) -> u32) -> Result<(), TestCaseError> {
    let (times, found) = run(frames, &clock);
    prop_assert_eq!(found, 0);
    for ((_, time, _), got) in frames.iter().zip(times) {
        prop_assert_eq!(got, Timestamp::new(clock(*time)));
    }
    Ok(())
}

/// Delays frames due in an outage until its end.
fn hold_back(frames: &mut [Frame], from: u64, until: u64) {
    let held = frames.iter_mut().filter(|(.., arrives)| (from..until).contains(arrives));
    held.for_each(|(.., arrives)| *arrives = until);
}

type Clock = fn(u64) -> u32;

const WRONG: [(&str, Clock); 4] = [
    ("nothing", |_| 0),
    ("90 kHz ticks", |ms| (ms * 90) as u32),
    ("microseconds", |ms| (ms * 1000) as u32),
    ("seconds", |ms| (ms / 1000) as u32),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_right_clock_is_never_touched(
        camera in cameras(),
        jitter in proptest::collection::vec(0..400_u64, 50),
        outages in proptest::collection::vec((0..40_000_u64, 0..15_000_u64), 0..3),
        jump in proptest::option::of((0..40_000_u64, any::<u32>())),
        start: u32,
    ) {
        let mut frames = camera.frames(60);
        let mut latest = 0;
        for (number, (.., arrives)) in frames.iter_mut().enumerate() {
            latest = latest.max(*arrives + jitter[number % jitter.len()]);
            *arrives = latest;
        }
        for (from, length) in outages {
            hold_back(&mut frames, from, from + length);
        }
        let clock = |ms: u64| {
            let jumped = jump.filter(|(at, _)| ms >= *at).map_or(0, |(_, by)| by);
            start.wrapping_add(ms as u32).wrapping_add(jumped)
        };
        assert_untouched(&frames, clock)?;
    }

    #[test]
    fn a_file_pushed_faster_or_slower_than_real_time_is_never_touched(
        video_ms in 8..100_u64,
        audio_ms in 10..130_u64,
        percent in 10..20_000_u64,
        begins in 0..20_000_u64,
        lasts in 0..30_000_u64,
    ) {
        let mut frames = Camera { video_ms, audio_ms }.frames(60);
        let mut ahead = 0;
        for (_, time, arrives) in &mut frames {
            if (begins..begins + lasts).contains(time) {
                *arrives = begins + (*time - begins) * 100 / percent;
                ahead = *time as i64 - *arrives as i64;
            } else if *time >= begins {
                *arrives = (*time as i64 - ahead) as u64;
            }
        }
        assert_untouched(&frames, |ms| ms as u32)?;
    }

    #[test]
    fn a_wrong_clock_gives_way_to_arrival(
        video_ms in prop::sample::select(vec![8, 16, 33, 40, 66, 200]),
        audio_ms in prop::sample::select(vec![0, 20, 23, 64]),
        jitter in proptest::collection::vec(0..60_u64, 50),
        which in 0..WRONG.len(),
    ) {
        let mut frames = Camera { video_ms, audio_ms }.frames(20);
        let mut latest = 0;
        for (number, (.., arrives)) in frames.iter_mut().enumerate() {
            latest = latest.max(*arrives + jitter[number % jitter.len()]);
            *arrives = latest;
        }
        let (name, clock) = WRONG[which];
        let (times, found) = run(&frames, clock);
        prop_assert_eq!(found, 1, "{}", name);
        // From the evaluation on, which takes 2 s.
        let judged = frames.iter().position(|(.., arrives)| *arrives - frames[0].2 >= 2_000).unwrap();
        let untouched = frames[..judged].iter().zip(&times);
        for ((_, time, _), got) in untouched {
            prop_assert_eq!(*got, Timestamp::new(clock(*time)), "{}: too early", name);
        }
        let epoch = frames[judged].2;
        let (mut last, mut both) = ([0_u32; 2], [None; 2]);
        for ((kind, time, arrives), got) in frames[judged..].iter().zip(&times[judged..]) {
            let (got, index) = (got.milliseconds(), usize::from(*kind == Audio));
            prop_assert!(got.abs_diff((arrives - epoch) as u32) <= 100, "{}: {} at {}", name, got, arrives - epoch);
            prop_assert!(got >= last[index], "{}: it goes back from {} to {}", name, last[index], got);
            last[index] = got;
            both[index] = Some(i64::from(got) - *time as i64);
            if let [Some(video), Some(audio)] = both {
                prop_assert!((video - audio).abs() <= 100, "{}: audio and video are {} ms apart", name, video - audio);
            }
        }
    }
}

#[test]
fn rare_frames_take_longer_to_evaluate() {
    let frames = Camera { video_ms: 1000, audio_ms: 0 }.frames(30);
    for (name, clock) in WRONG {
        assert_eq!(run(&frames, clock).1, 1, "{name}");
    }
    assert_eq!(run(&frames, |ms| ms as u32).1, 0);
}

#[test]
fn a_right_audio_clock_vouches_for_video_without_one() {
    let frames = Camera { video_ms: 40, audio_ms: 23 }.frames(20);
    let mut watch = TimestampSource::new(Times::Auto);
    let start = Instant::now();
    for (kind, time, arrives) in frames {
        let stamp = Timestamp::new(if kind == Video { 0 } else { time as u32 });
        assert_eq!(watch.time(kind, stamp, start + Duration::from_millis(arrives)), (stamp, None));
    }
}

#[test]
fn either_source_can_be_configured() {
    let (start, later) = (Instant::now(), Duration::from_millis(40));
    let mut publisher = TimestampSource::new(Times::Publisher);
    let mut arrival = TimestampSource::new(Times::Arrival);
    for number in 0..200 {
        let (stamp, now) = (Timestamp::new(number), start + later * number);
        assert_eq!(publisher.time(Video, stamp, now), (stamp, None));
        assert_eq!(arrival.time(Video, stamp, now), (Timestamp::new(number * 40), None));
    }
    assert!(arrival.is_by_arrival() && !publisher.is_by_arrival());
}
