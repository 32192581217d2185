//! The low-water mark of a publisher's socket: how many bytes are worth waking up for.
//!
//! Audio is deferred until the next video frame anyway, so waking up for it is useless: with hundreds of publishers
//! that is most of what they cost. A low-water mark above the audio between two frames, and below the smallest frame,
//! wakes the reader once per frame.
//!
//! Unread data is not acknowledged at once, and a sender that waits for that before its next small segment (Nagle's
//! algorithm, which ffmpeg leaves on) would send its frames late. So the mark is dropped, for longer each time, when
//! frames arrive later with it than without it.

use std::time::{Duration, Instant};

use crate::media::Timestamp;

/// How long bytes below the mark may stay unread. Longer than the interval of frames at 25 in a second, so that a
/// punctual frame arrives before this ends.
pub(super) const MAX_READ_DELAY: Duration = Duration::from_millis(50);

/// Video frames of a window: the last one to two windows are evaluated.
const WINDOW_FRAMES: u32 = 256;

/// Frames before the first mark.
const MIN_FRAMES: u32 = 64;

/// The overhead of an audio message's chunks, in bytes, and room for the next to be slightly larger.
const AUDIO_OVERHEAD: usize = 32;

/// How much later than usual frames may arrive with a mark, in milliseconds on average.
const TOLERANCE_MS: f64 = 2.0;

/// Frames of the moving averages of lateness: the recent one and the usual one, since clocks drift.
const FAST_AVERAGE: f64 = 16.0;
const SLOW_AVERAGE: f64 = 256.0;

/// A step in a publisher's timestamps after which its stream is learned anew, in milliseconds.
const DISCONTINUITY_MS: f64 = 500.0;

/// Frames without a mark after it made frames late; doubled each time, up to some hours.
const MIN_BACKOFF: u32 = MIN_FRAMES;
const MAX_BACKOFF: u32 = MIN_BACKOFF << 12;

/// Punctual frames with a mark, after which the backoff is reset.
const BACKOFF_RESET: u32 = 2048;

/// Derives the mark for a stream from its messages.
#[derive(Debug)]
pub(super) struct LowWater {
    /// The current window of frames and the previous one.
    windows: [Window; 2],
    /// Bytes of audio since the last frame.
    audio: usize,
    /// The last frame's timestamp and arrival.
    last: Option<(Timestamp, Instant)>,
    /// The lateness of frames, relative to the first: of the last one, recently, usually.
    late_ms: [f64; 3],
    has_mark: bool,
    /// Frames to go without a mark.
    backoff: u32,
    next_backoff: u32,
    /// Frames with a mark since the last late one.
    punctual: u32,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    frames: u32,
    smallest_frame: usize,
    /// Bytes of the largest audio message, and of all audio between two frames.
    largest_audio: usize,
    most_audio: usize,
}

impl Window {
    const EMPTY: Self = Self { frames: 0, smallest_frame: usize::MAX, largest_audio: 0, most_audio: 0 };
}

impl LowWater {
    pub(super) fn new() -> Self {
        Self {
            windows: [Window::EMPTY; 2],
            audio: 0,
            last: None,
            late_ms: [0.0; 3],
            has_mark: false,
            backoff: 0,
            next_backoff: MIN_BACKOFF,
            punctual: 0,
        }
    }

    /// Records an audio message of that many bytes.
    pub(super) fn record_audio(&mut self, bytes: usize) {
        let bytes = bytes + AUDIO_OVERHEAD;
        self.audio = self.audio.saturating_add(bytes);
        let [current, _] = &mut self.windows;
        current.largest_audio = current.largest_audio.max(bytes);
    }

    /// Records a video frame of that many bytes.
    pub(super) fn record_frame(&mut self, bytes: usize, timestamp: Timestamp, now: Instant) {
        let (timestamp_before, then) = self.last.replace((timestamp, now)).unwrap_or((timestamp, now));
        let passed = now.saturating_duration_since(then).as_secs_f64() * 1000.0;
        let step = passed - f64::from(timestamp.since(timestamp_before));
        if step.abs() > DISCONTINUITY_MS {
            *self = Self { backoff: self.backoff, next_backoff: self.next_backoff, ..Self::new() };
            return;
        }
        let [late, recently, usually] = &mut self.late_ms;
        *late += step;
        *recently += (*late - *recently) / FAST_AVERAGE;
        *usually += (*late - *usually) / SLOW_AVERAGE;
        let is_later = *recently > *usually + TOLERANCE_MS;
        let [current, previous] = &mut self.windows;
        current.frames += 1;
        current.smallest_frame = current.smallest_frame.min(bytes);
        current.most_audio = current.most_audio.max(std::mem::take(&mut self.audio));
        if current.frames == WINDOW_FRAMES {
            (*previous, *current) = (*current, Window::EMPTY);
        }
        self.backoff = self.backoff.saturating_sub(1);
        if !self.has_mark {
            return;
        }
        self.punctual += 1;
        if is_later {
            (self.backoff, self.punctual) = (self.next_backoff, 0);
            self.next_backoff = (self.next_backoff * 2).min(MAX_BACKOFF);
        } else if self.punctual == BACKOFF_RESET {
            (self.punctual, self.next_backoff) = (0, MIN_BACKOFF);
        }
    }

    /// Returns the mark to use from now on, in bytes; `None` when every byte counts: while little is known of the
    /// stream, for streams with audio or video alone, and when a frame may be as small as two audio messages.
    pub(super) fn mark(&mut self) -> Option<usize> {
        let [current, previous] = self.windows;
        let smallest = current.smallest_frame.min(previous.smallest_frame);
        let mark = (current.most_audio.max(previous.most_audio) + 1).min(smallest / 2);
        let frames = current.frames + previous.frames;
        let has_audio = current.most_audio > 0 || (previous.most_audio > 0 && current.frames < MIN_FRAMES);
        let is_of_use = has_audio && mark > current.largest_audio.max(previous.largest_audio);
        self.has_mark = frames >= MIN_FRAMES && self.backoff == 0 && is_of_use;
        self.has_mark.then_some(mark)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    struct Arrival {
        /// In tenths of a millisecond.
        at: u64,
        is_frame: bool,
        bytes: usize,
    }

    /// Recordings of real encoders.
    fn recorded(name: &str) -> Vec<Arrival> {
        let text = include_str!("../../tests/support/arrivals.txt");
        let lines = text.lines().skip_while(|line| line.strip_suffix(':') != Some(name)).skip(1);
        let mut at = 0;
        let words = lines.take_while(|line| !line.ends_with(':')).flat_map(|line| line.split(' '));
        let arrivals = words.map(|word| {
            let kind = word.find(['a', 'v']).unwrap();
            at += word[..kind].parse::<u64>().unwrap();
            Arrival { at, is_frame: word.as_bytes()[kind] == b'v', bytes: word[kind + 1..].parse().unwrap() }
        });
        arrivals.collect()
    }

    /// Regular frames, each up to `jitter` late, and audio every 23 ms.
    fn regular(frames: &[(usize, u64)], frame_tenths: u64, audio_bytes: usize) -> Vec<Arrival> {
        let mut arrivals: Vec<_> = frames
            .iter()
            .enumerate()
            .map(|(index, &(bytes, late))| Arrival { at: index as u64 * frame_tenths + late, is_frame: true, bytes })
            .collect();
        let length = frames.len() as u64 * frame_tenths;
        arrivals.extend((1..length / 232).map(|index| Arrival {
            at: index * 232,
            is_frame: false,
            bytes: audio_bytes,
        }));
        arrivals.sort_by_key(|arrival| arrival.at);
        arrivals
    }

    /// How late each frame was read, in tenths of a millisecond, and how often the reader woke up.
    struct Run {
        delays: Vec<u64>,
        wakes: usize,
    }

    /// Reads as [`super::super::connection_reader`] does. A sender with Nagle's algorithm holds data back while
    /// something is unacknowledged, which ends when it is read or after 40 ms.
    fn run(arrivals: &[Arrival], has_nagle: bool) -> Run {
        let (mut low_water, start) = (LowWater::new(), Instant::now());
        let (mut run, mut mark) = (Run { delays: Vec::new(), wakes: 0 }, None);
        let (mut to_come, mut outbox, mut unread) = (arrivals.iter().copied().peekable(), Vec::new(), Vec::new());
        let (mut unacknowledged, mut last_wake) = (None, 0);
        for now in 0..=arrivals.last().unwrap().at + 1000 {
            outbox.extend(std::iter::from_fn(|| to_come.next_if(|arrival| arrival.at <= now)));
            if unacknowledged.is_some_and(|since| now >= since + 400) {
                unacknowledged = None;
            }
            if !outbox.is_empty() && unacknowledged.is_none() {
                unread.append(&mut outbox);
                unacknowledged = has_nagle.then_some(now);
            }
            let bytes: usize = unread.iter().map(|arrival: &Arrival| arrival.bytes).sum();
            let is_enough = bytes >= mark.unwrap_or(1);
            let is_overdue = mark.is_some() && now >= last_wake + MAX_READ_DELAY.as_millis() as u64 * 10;
            if !is_enough && !is_overdue {
                continue;
            }
            (run.wakes, last_wake, unacknowledged) = (run.wakes + 1, now, None);
            if !is_enough && unread.is_empty() {
                mark = None;
                continue;
            }
            let at = start + Duration::from_micros(now * 100);
            for arrival in unread.drain(..) {
                if arrival.is_frame {
                    run.delays.push(now - arrival.at);
                    low_water.record_frame(arrival.bytes, Timestamp::new(arrival.at as u32 / 10), at);
                } else {
                    low_water.record_audio(arrival.bytes);
                }
                mark = low_water.mark();
            }
        }
        assert_eq!(run.delays.len(), arrivals.iter().filter(|arrival| arrival.is_frame).count());
        run
    }

    fn repeat(arrivals: &[Arrival], times: u64) -> Vec<Arrival> {
        let length = arrivals.last().unwrap().at + 100;
        let again = |round| arrivals.iter().map(move |&one| Arrival { at: one.at + round * length, ..one });
        (0..times).flat_map(again).collect()
    }

    #[test]
    fn frames_of_real_encoders_are_not_delayed_and_wake_their_reader_once() {
        for (name, most_wakes) in [("static", 2.7), ("moving", 1.3), ("desk", 1.9), ("bframes", 2.8), ("gst", 1.5)] {
            let arrivals = repeat(&recorded(name), 10);
            let run = run(&arrivals, false);
            let frames = run.delays.len();
            assert!(run.delays.iter().all(|&delay| delay == 0), "{name}");
            assert!((run.wakes as f64) < most_wakes * frames as f64, "{name}: {} for {frames} frames", run.wakes);
        }
    }

    #[test]
    fn a_scene_that_becomes_still_delays_one_frame_by_less_than_an_interval() {
        let mut arrivals = recorded("moving");
        let length = arrivals.last().unwrap().at + 333;
        arrivals.extend(recorded("static").iter().map(|&one| Arrival { at: one.at + length, ..one }));
        let delays = run(&arrivals, false).delays;
        assert!(delays.iter().filter(|&&delay| delay > 0).count() <= 1, "{delays:?}");
        assert!(delays.iter().all(|&delay| delay < 400), "{delays:?}");
    }

    #[test]
    fn a_sender_with_nagles_algorithm_gets_no_mark() {
        for name in ["moving", "desk", "bframes"] {
            let arrivals = repeat(&recorded(name), 100);
            let (frames, delays) = (run(&arrivals, false).delays.len(), run(&arrivals, true).delays);
            let late = delays.iter().filter(|&&delay| delay > 20).count();
            assert!(late * 50 < frames, "{name}: {late} of {frames} frames were late");
            assert!(delays.iter().all(|&delay| delay < 500), "{name}");
        }
    }

    #[test]
    fn streams_with_audio_or_video_alone_have_no_mark() {
        let (mut low_water, start) = (LowWater::new(), Instant::now());
        for frame in 0..4 * WINDOW_FRAMES {
            low_water.record_frame(5000, Timestamp::new(frame * 40), start + Duration::from_millis(40) * frame);
            assert_eq!(low_water.mark(), None);
        }
        for _ in 0..1000 {
            low_water.record_audio(200);
        }
        assert_eq!(low_water.mark(), None);
    }

    proptest! {
        #[test]
        fn frames_of_more_than_half_the_usual_size_are_not_delayed(
            frames in prop::collection::vec((100..20_000_usize, 0..300_u64), 100..600),
            frame_tenths in 160..600_u64,
            audio_bytes in 10..400_usize,
        ) {
            let arrivals = regular(&frames, frame_tenths, audio_bytes);
            let sizes: Vec<_> = arrivals.iter().filter(|one| one.is_frame).map(|one| one.bytes).collect();
            for (index, delay) in run(&arrivals, false).delays.into_iter().enumerate() {
                let smallest = sizes[index.saturating_sub(MIN_FRAMES as usize)..index].iter().min();
                let is_small = smallest.is_some_and(|smallest| sizes[index] <= smallest / 2);
                prop_assert!(delay == 0 || is_small && delay <= 500, "frame {} waited for {}", index, delay);
            }
        }
    }
}
