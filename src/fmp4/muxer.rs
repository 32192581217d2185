//! The muxer: turns packets into fragments of one frame each, without delay.

use super::announced::AnnouncedTracks;
use super::audio_entries::opus_samples;
use super::boxes::{self, Sample};
use super::clock::{AudioClock, TimestampUnwrapper, VideoClock};
use super::sample::{self, Frame, Ignored, ParsedMessage};
use super::track::Track;
use super::{Fragment, Init, MuxerOutput};
use crate::limits;
use crate::media::{Packet, PacketKind, References, Timestamp};

/// Duration of the first video frame when the metadata has no frame rate, in milliseconds.
const DEFAULT_FRAME_MS: u32 = 33;

/// Lag behind video from which audio is considered missing, in milliseconds.
const AUDIO_LAG_MS: u64 = 1_000;

/// Stream time for which frames are held back for a track that may still come, in milliseconds.
const TRACK_WAIT_MS: u64 = 500;

/// Muxes a stream into fragmented MP4.
#[derive(Debug, Default)]
pub struct Muxer {
    announced: AnnouncedTracks,
    video: Option<Track>,
    audio: Option<Track>,
    clock: TimestampUnwrapper,
    references: References,
    video_clock: VideoClock,
    audio_clock: AudioClock,
    /// Timestamp of the first video frame since the last initialization segment.
    first_video_ms: Option<u64>,
    /// The tracks have changed since the last initialization segment.
    has_new_tracks: bool,
    /// Video frames are dropped up to the next key frame.
    awaits_key_frame: bool,
    /// Players can start at the next video frame, whatever it is.
    starts_without_key_frame: bool,
    /// Only frames marked as key frames by FLV are sync samples: files are segmented there.
    is_file: bool,
    /// Frames held back until all tracks are known, and the timestamp of the first in milliseconds.
    held: Vec<(Timestamp, Frame<'static>)>,
    held_bytes: usize,
    held_since: Option<u64>,
    sequence_number: u32,
    /// Duration of a file, in milliseconds.
    duration_ms: Option<u64>,
    ignored: Ignored,
    /// Fragments are returned without their bytes.
    is_size_only: bool,
}

impl Muxer {
    /// Creates the muxer of a live stream, to be fed from its metadata and sequence headers on.
    pub fn new() -> Self {
        Self { awaits_key_frame: true, ..Self::default() }
    }

    /// Creates the muxer of a file with this duration.
    pub fn for_file(duration_ms: Option<u64>) -> Self {
        Self { duration_ms, is_file: true, ..Self::new() }
    }

    /// Makes the next video frame a starting point, for streams without key frames.
    pub fn start_without_key_frame(&mut self) {
        self.starts_without_key_frame = true;
    }

    /// Makes the muxer return fragments without bytes, to compute their size only.
    pub fn set_size_only(&mut self) {
        self.is_size_only = true;
    }

    /// Returns and resets the messages that became no samples.
    pub fn take_ignored(&mut self) -> Ignored {
        std::mem::take(&mut self.ignored)
    }

    /// Muxes the next packet and appends the output to `out`.
    pub fn push(&mut self, packet: &Packet, out: &mut Vec<MuxerOutput>) {
        match packet.kind {
            PacketKind::Data => return self.announced.update(packet),
            PacketKind::Video => {
                if let Some(track) = Track::of_video(packet).map(|track| track.or_size(self.announced.size)) {
                    self.set_video(track);
                    return;
                }
            }
            PacketKind::Audio => {
                // MP3 frames configure themselves, except stray ones in audio of another codec.
                let is_relevant = |track: &Track| {
                    packet.is_sequence_header()
                        || self.audio.as_ref().is_none_or(|audio| audio.wire_codec == track.wire_codec)
                };
                let track = Track::of_audio(packet).filter(is_relevant);
                if let Some(track) = track.filter(|track| Some(track) != self.audio.as_ref()) {
                    let old_timescale = self.audio.as_ref().map_or(track.timescale, |track| track.timescale);
                    self.audio_clock.convert(old_timescale, track.timescale);
                    (self.audio, self.has_new_tracks) = (Some(track), true);
                }
            }
        }
        let track = if packet.kind == PacketKind::Video { &self.video } else { &self.audio };
        // Codecs that MP4 can't carry have no track.
        let Some(track) = track else { return };
        match sample::parse(track, packet) {
            Ok(ParsedMessage::Frame(frame)) => {
                let is_disposable = self.references.is_disposable(packet);
                let is_sync = frame.is_sync || (!self.is_file && packet.is_random_access());
                let is_start = is_sync || (!self.is_file && packet.is_starting_point());
                self.add_frame(packet.timestamp, Frame { is_disposable, is_sync, is_start, ..frame }, out);
            }
            Ok(ParsedMessage::Parameters(sets)) => {
                if let Some(track) = track.with_parameter_sets(&sets) {
                    self.set_video(track.or_size(self.announced.size));
                }
            }
            Ok(ParsedMessage::Other) => {}
            Err(reason) => self.ignored.add(packet, reason),
        }
    }

    fn set_video(&mut self, track: Track) {
        if self.video.as_ref() != Some(&track) {
            (self.video, self.awaits_key_frame, self.has_new_tracks) = (Some(track), true, true);
        }
    }

    /// Flushes the frames held back, at the end of the stream.
    pub fn finish(&mut self, out: &mut Vec<MuxerOutput>) {
        self.flush(out);
    }

    fn add_frame(&mut self, timestamp: Timestamp, frame: Frame<'_>, out: &mut Vec<MuxerOutput>) {
        if self.has_new_tracks {
            let time_ms = u64::from(timestamp.milliseconds());
            let since = *self.held_since.get_or_insert(time_ms);
            let has_waited = time_ms.abs_diff(since) >= TRACK_WAIT_MS || self.held_bytes > limits::FRAGMENTS_HELD_BYTES;
            self.held_bytes += frame.coded.len();
            self.held.push((timestamp, frame.into_owned()));
            if has_waited || self.has_all_tracks() {
                self.flush(out);
            }
        } else {
            self.mux_frame(timestamp, &frame, out);
        }
    }

    fn has_all_tracks(&self) -> bool {
        let (audio, video) = self.announced.kinds.unwrap_or((true, true));
        self.audio.is_some() >= audio && self.video.is_some() >= video
    }

    fn flush(&mut self, out: &mut Vec<MuxerOutput>) {
        if self.has_new_tracks {
            let init = self.init();
            // Tracks that can't be encoded have no fragments either.
            if init.is_none() {
                (self.audio, self.video) = (None, None);
            }
            out.extend(init);
        }
        (self.has_new_tracks, self.held_since, self.held_bytes) = (false, None, 0);
        // Audio and video may now come from another source and start together.
        self.first_video_ms = None;
        for (timestamp, frame) in std::mem::take(&mut self.held) {
            self.mux_frame(timestamp, &frame, out);
        }
    }

    fn init(&self) -> Option<MuxerOutput> {
        let video = self.video.as_ref().map(|track| (PacketKind::Video, track));
        let audio = self.audio.as_ref().map(|track| (PacketKind::Audio, track));
        let tracks: Vec<_> = video.into_iter().chain(audio).collect();
        let bytes = boxes::init(&tracks, self.duration_ms)?;
        let codecs = tracks.iter().map(|(_, track)| &track.codec[..]).collect::<Vec<_>>().join(",");
        let size = video.map_or((0, 0), |(_, track)| (track.width, track.height));
        Some(MuxerOutput::Init(Init { bytes, codecs, has_video: video.is_some(), size }))
    }

    fn mux_frame(&mut self, timestamp: Timestamp, frame: &Frame<'_>, out: &mut Vec<MuxerOutput>) {
        let time_ms = self.clock.time_ms(timestamp);
        if frame.kind == PacketKind::Video {
            out.extend(self.video_frame(frame, time_ms));
            // Audio is interleaved later than its video, but not by more than this.
            if let Some(first_ms) = self.first_video_ms {
                self.fill_silence(time_ms.saturating_sub(AUDIO_LAG_MS), first_ms, out);
            }
        } else {
            self.fill_silence(time_ms, time_ms, out);
            out.extend(self.audio_frame(&frame.coded, time_ms));
        }
    }

    fn video_frame(&mut self, frame: &Frame<'_>, time_ms: u64) -> Option<MuxerOutput> {
        self.video.as_ref()?;
        let is_start = std::mem::take(&mut self.starts_without_key_frame) || frame.is_start;
        self.awaits_key_frame &= !is_start;
        if self.awaits_key_frame {
            return None;
        }
        self.first_video_ms.get_or_insert(time_ms);
        let timing = self.video_clock.advance(time_ms, self.announced.frame_ms.unwrap_or(DEFAULT_FRAME_MS));
        let composition_offset = timing.timestamp_offset.saturating_add(frame.composition_ms);
        let sample = Sample {
            kind: PacketKind::Video,
            decode_time: timing.decode_time,
            duration: timing.duration,
            composition_offset,
            is_sync: frame.is_sync,
            is_disposable: frame.is_disposable,
            coded: &frame.coded,
        };
        self.fragment(&sample, timing.decode_time, timing.duration, is_start)
    }

    fn audio_frame(&mut self, coded: &[u8], time_ms: u64) -> Option<MuxerOutput> {
        let track = self.audio.as_ref()?;
        let samples = if track.frame_samples > 0 { track.frame_samples } else { opus_samples(coded)? };
        let (decode_time, duration) = self.audio_clock.advance(time_ms, track.timescale, samples);
        self.audio_fragment(decode_time, duration, coded)
    }

    fn audio_fragment(&mut self, decode_time: u64, duration: u32, coded: &[u8]) -> Option<MuxerOutput> {
        let timescale = u64::from(self.audio.as_ref()?.timescale);
        let to_ms = |time: u64| time.saturating_mul(1000) / timescale;
        let sample = Sample {
            kind: PacketKind::Audio,
            decode_time,
            duration,
            composition_offset: 0,
            is_sync: true,
            is_disposable: false,
            coded,
        };
        self.fragment(&sample, to_ms(decode_time), to_ms(duration.into()) as u32, self.video.is_none())
    }

    /// Inserts silence where audio is missing before a time: browsers stall at a gap in one track. `start_ms` is where
    /// audio should have begun.
    fn fill_silence(&mut self, time_ms: u64, start_ms: u64, out: &mut Vec<MuxerOutput>) {
        let Some((silence, rate, samples)) = self.audio.as_ref().and_then(|track| {
            let silence = track.silence?;
            let samples = if track.frame_samples > 0 { track.frame_samples } else { opus_samples(silence)? };
            Some((silence, track.timescale, samples))
        }) else {
            return;
        };
        let missing = self.audio_clock.missing(time_ms, start_ms, rate, samples);
        // A longer gap is a discontinuity.
        if missing.saturating_mul(samples.into()) > limits::FMP4_SILENCE.as_secs() * u64::from(rate) {
            return;
        }
        for _ in 0..missing {
            let decode_time = self.audio_clock.next(start_ms, rate, samples);
            out.extend(self.audio_fragment(decode_time, samples, silence));
        }
    }

    /// Wraps a sample into a fragment; `is_start` tells whether players can start at it.
    fn fragment(&mut self, sample: &Sample<'_>, time_ms: u64, duration_ms: u32, is_start: bool) -> Option<MuxerOutput> {
        self.sequence_number = self.sequence_number.wrapping_add(1);
        let (length, bytes) = match self.is_size_only {
            true => (boxes::fragment_length(sample)?, Vec::new()),
            false => boxes::fragment(self.sequence_number, sample).map(|bytes| (bytes.len(), bytes))?,
        };
        Some(MuxerOutput::Fragment(Fragment {
            kind: sample.kind,
            time_ms,
            duration_ms: duration_ms.max(1),
            is_key_frame: is_start,
            is_disposable: sample.is_disposable,
            length,
            bytes,
        }))
    }
}
