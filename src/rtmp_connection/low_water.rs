//! How many bytes of a publisher are worth waking up for.
//!
//! Audio waits for the next video frame anyway, so a thread that wakes up for it wakes up for nothing: with hundreds of
//! publishers that is most of what they cost. A socket whose low-water mark is above the audio between two frames, and
//! below the smallest of the frames, wakes its reader once for each frame.
//!
//! What lies unread is not acknowledged at once, and a sender that waits for that with its next small segment (Nagle's
//! algorithm, which ffmpeg leaves on) would send its frames late. So the mark is given up, for longer each time, when
//! frames come later with it than they came without.

use std::time::{Duration, Instant};

use crate::media::Timestamp;

/// How long bytes below the mark may lie unread. Longer than a frame lasts at 25 in a second, so that a frame that comes
/// on time comes before this ends.
pub(super) const PATIENCE: Duration = Duration::from_millis(50);

/// Video frames that are looked back on: this many at least, and less than twice as many.
const FRAMES: u32 = 256;

/// Frames after which enough is known of a stream.
const FIRST_FRAMES: u32 = 64;

/// What the chunks of an audio message have besides its payload, in bytes, and room for the next to be a little larger.
const AUDIO_OVERHEAD: usize = 32;

/// How much later than usual frames may come with a mark, in milliseconds on average.
const TOLERANCE_MS: f64 = 2.0;

/// Frames over which is averaged how late they come, and how late they usually do: clocks drift.
const LATELY: f64 = 16.0;
const USUALLY: f64 = 256.0;

/// A step in a publisher's timestamps after which its stream is learned anew, in milliseconds.
const JUMP_MS: f64 = 500.0;

/// Frames for which a publisher goes without a mark when it did not do; each time twice as many, up to some hours.
const REST: u32 = FIRST_FRAMES;
const LONGEST_REST: u32 = REST << 12;

/// Frames with a mark that did, after which the next that does not is taken for the first.
const FORGIVING: u32 = 2048;

/// Finds the mark for a stream from its messages.
#[derive(Debug)]
pub(super) struct LowWater {
    /// Of this stretch of frames and the one before it.
    stretches: [Stretch; 2],
    /// Bytes of audio since the last frame.
    audio: usize,
    /// The last frame's time in the stream and on the clock.
    last: Option<(Timestamp, Instant)>,
    /// How late frames come beside the first: the last, lately, usually.
    late_ms: [f64; 3],
    has_mark: bool,
    /// Frames for which there is no mark.
    rest: u32,
    next_rest: u32,
    /// Frames with a mark since frames last came late.
    calm: u32,
}

#[derive(Clone, Copy, Debug)]
struct Stretch {
    frames: u32,
    smallest: usize,
    /// Bytes of the largest audio message, and of all between two frames.
    largest_audio: usize,
    most_audio: usize,
}

impl Stretch {
    const EMPTY: Self = Self { frames: 0, smallest: usize::MAX, largest_audio: 0, most_audio: 0 };
}

impl LowWater {
    pub(super) fn new() -> Self {
        Self {
            stretches: [Stretch::EMPTY; 2],
            audio: 0,
            last: None,
            late_ms: [0.0; 3],
            has_mark: false,
            rest: 0,
            next_rest: REST,
            calm: 0,
        }
    }

    /// An audio message of so many bytes came.
    pub(super) fn audio(&mut self, bytes: usize) {
        let bytes = bytes + AUDIO_OVERHEAD;
        self.audio = self.audio.saturating_add(bytes);
        let [this, _] = &mut self.stretches;
        this.largest_audio = this.largest_audio.max(bytes);
    }

    /// A video frame of so many bytes came.
    pub(super) fn frame(&mut self, bytes: usize, timestamp: Timestamp, now: Instant) {
        let (timestamp_before, then) = self.last.replace((timestamp, now)).unwrap_or((timestamp, now));
        let passed = now.saturating_duration_since(then).as_secs_f64() * 1000.0;
        let step = passed - f64::from(timestamp.since(timestamp_before));
        if step.abs() > JUMP_MS {
            *self = Self { rest: self.rest, next_rest: self.next_rest, ..Self::new() };
            return;
        }
        let [late, lately, usually] = &mut self.late_ms;
        *late += step;
        *lately += (*late - *lately) / LATELY;
        *usually += (*late - *usually) / USUALLY;
        let is_later = *lately > *usually + TOLERANCE_MS;
        let [this, before] = &mut self.stretches;
        this.frames += 1;
        this.smallest = this.smallest.min(bytes);
        this.most_audio = this.most_audio.max(std::mem::take(&mut self.audio));
        if this.frames == FRAMES {
            (*before, *this) = (*this, Stretch::EMPTY);
        }
        self.rest = self.rest.saturating_sub(1);
        if !self.has_mark {
            return;
        }
        self.calm += 1;
        if is_later {
            (self.rest, self.calm) = (self.next_rest, 0);
            self.next_rest = (self.next_rest * 2).min(LONGEST_REST);
        } else if self.calm == FORGIVING {
            (self.calm, self.next_rest) = (0, REST);
        }
    }

    /// The mark from here on, in bytes; `None` when every byte counts: as long as little is known of the stream, for streams
    /// of one kind, and when a frame may be as small as twice an audio message.
    pub(super) fn mark(&mut self) -> Option<usize> {
        let [this, before] = self.stretches;
        let smallest = this.smallest.min(before.smallest);
        let mark = (this.most_audio.max(before.most_audio) + 1).min(smallest / 2);
        let frames = this.frames + before.frames;
        let has_audio = this.most_audio > 0 || (before.most_audio > 0 && this.frames < FIRST_FRAMES);
        let is_of_use = has_audio && mark > this.largest_audio.max(before.largest_audio);
        self.has_mark = frames >= FIRST_FRAMES && self.rest == 0 && is_of_use;
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

    /// What real encoders sent.
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

    /// Frames regularly, each `jitter` late at most, and audio of 23 ms.
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

    /// How late each frame was read, in tenths of milliseconds, and how often the reader woke up.
    struct Run {
        delays: Vec<u64>,
        wakes: usize,
    }

    /// Reads as [`super::super::reading`] does. A sender with Nagle's algorithm keeps what it has as long as something
    /// is not acknowledged, which happens when it is read and after 40 ms.
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
            let is_overdue = mark.is_some() && now >= last_wake + PATIENCE.as_millis() as u64 * 10;
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
                    low_water.frame(arrival.bytes, Timestamp::new(arrival.at as u32 / 10), at);
                } else {
                    low_water.audio(arrival.bytes);
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
    fn frames_of_real_encoders_wait_for_nothing_and_wake_their_reader_once() {
        for (name, most_wakes) in [("static", 2.7), ("moving", 1.3), ("desk", 1.9), ("bframes", 2.8), ("gst", 1.5)] {
            let arrivals = repeat(&recorded(name), 10);
            let run = run(&arrivals, false);
            let frames = run.delays.len();
            assert!(run.delays.iter().all(|&delay| delay == 0), "{name}");
            assert!((run.wakes as f64) < most_wakes * frames as f64, "{name}: {} for {frames} frames", run.wakes);
        }
    }

    #[test]
    fn a_scene_that_turns_still_delays_one_frame_by_less_than_another_takes() {
        let mut arrivals = recorded("moving");
        let length = arrivals.last().unwrap().at + 333;
        arrivals.extend(recorded("static").iter().map(|&one| Arrival { at: one.at + length, ..one }));
        let delays = run(&arrivals, false).delays;
        assert!(delays.iter().filter(|&&delay| delay > 0).count() <= 1, "{delays:?}");
        assert!(delays.iter().all(|&delay| delay < 400), "{delays:?}");
    }

    #[test]
    fn a_sender_that_waits_to_be_acknowledged_is_left_alone() {
        for name in ["moving", "desk", "bframes"] {
            let arrivals = repeat(&recorded(name), 100);
            let (frames, delays) = (run(&arrivals, false).delays.len(), run(&arrivals, true).delays);
            let late = delays.iter().filter(|&&delay| delay > 20).count();
            assert!(late * 50 < frames, "{name}: {late} of {frames} frames were late");
            assert!(delays.iter().all(|&delay| delay < 500), "{name}");
        }
    }

    #[test]
    fn streams_of_one_kind_have_no_mark() {
        let (mut low_water, start) = (LowWater::new(), Instant::now());
        for frame in 0..4 * FRAMES {
            low_water.frame(5000, Timestamp::new(frame * 40), start + Duration::from_millis(40) * frame);
            assert_eq!(low_water.mark(), None);
        }
        for _ in 0..1000 {
            low_water.audio(200);
        }
        assert_eq!(low_water.mark(), None);
    }

    proptest! {
        #[test]
        fn no_frame_waits_that_is_half_as_large_as_those_before_it(
            frames in prop::collection::vec((100..20_000_usize, 0..300_u64), 100..600),
            frame_tenths in 160..600_u64,
            audio_bytes in 10..400_usize,
        ) {
            let arrivals = regular(&frames, frame_tenths, audio_bytes);
            let sizes: Vec<_> = arrivals.iter().filter(|one| one.is_frame).map(|one| one.bytes).collect();
            for (index, delay) in run(&arrivals, false).delays.into_iter().enumerate() {
                let smallest = sizes[index.saturating_sub(FIRST_FRAMES as usize)..index].iter().min();
                let is_small = smallest.is_some_and(|smallest| sizes[index] <= smallest / 2);
                prop_assert!(delay == 0 || is_small && delay <= 500, "frame {} waited for {}", index, delay);
            }
        }
    }
}
