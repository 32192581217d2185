//! Packets in, pieces out: each frame a fragment of its own, as soon as it comes.

use super::announced::AnnouncedTracks;
use super::audio_entries::opus_samples;
use super::boxes::{self, Sample};
use super::clock::{AudioClock, Unwrapper, VideoClock};
use super::sample::{self, Frame, Ignored, Taken};
use super::track::Track;
use super::{Fragment, Init, MuxerOutput};
use crate::limits;
use crate::media::{Packet, PacketKind, References, Timestamp};

/// How long a video frame lasts that is the first, when nobody says how many there are in a second.
const USUAL_MS: u32 = 33;

/// Audio that is this far behind the video frames is missing, in milliseconds.
const AUDIO_LATE_MS: u64 = 1_000;

/// How much stream time frames wait for a track that may still come.
const WAIT_MS: u64 = 500;

/// Makes fragmented MP4 of a stream.
#[derive(Debug, Default)]
pub struct Muxer {
    announced: AnnouncedTracks,
    video: Option<Track>,
    audio: Option<Track>,
    clock: Unwrapper,
    references: References,
    video_clock: VideoClock,
    audio_clock: AudioClock,
    /// When the first video frame is shown, of those that belong together.
    first_video_ms: Option<u64>,
    /// The tracks have changed since the last initialisation segment.
    has_new_tracks: bool,
    /// Video frames up to the next key frame can't be shown.
    awaits_key_frame: bool,
    /// The next video frame counts as one at which players can start, whatever it is.
    starts_anywhere: bool,
    /// Segments of files begin at what FLV marks as key frames only.
    is_file: bool,
    /// Frames that wait for all tracks to be known, and since when.
    held: Vec<(Timestamp, Frame<'static>)>,
    held_bytes: usize,
    held_since: Option<u64>,
    sequence_number: u32,
    /// Of a whole file, in milliseconds.
    duration_ms: Option<u64>,
    ignored: Ignored,
    /// Fragments are told without their bytes.
    leaves_out_bytes: bool,
}

impl Muxer {
    /// For a stream from its beginning, or from its metadata and sequence headers on.
    pub fn new() -> Self {
        Self { awaits_key_frame: true, ..Self::default() }
    }

    /// The same for a file that is so long.
    pub fn of_file(duration_ms: Option<u64>) -> Self {
        Self { duration_ms, is_file: true, ..Self::new() }
    }

    /// No key frame is to be expected: players start at the next video frame, whatever it is.
    pub fn start_anywhere(&mut self) {
        self.starts_anywhere = true;
    }

    /// From here on fragments have all but their bytes: to learn how long they will be.
    pub fn leave_out_bytes(&mut self) {
        self.leaves_out_bytes = true;
    }

    /// What of the stream became no samples since the last time.
    pub fn take_ignored(&mut self) -> Ignored {
        std::mem::take(&mut self.ignored)
    }

    /// Takes the stream's next packet and adds what it makes to `out`.
    pub fn push(&mut self, packet: &Packet, out: &mut Vec<MuxerOutput>) {
        match packet.kind {
            PacketKind::Data => return self.announced.read(packet),
            PacketKind::Video => {
                if let Some(track) = Track::of_video(packet).map(|track| track.or_size(self.announced.size)) {
                    self.set_video(track);
                    return;
                }
            }
            PacketKind::Audio => {
                // Frames of MP3 configure themselves, but not one that has strayed into audio of another codec.
                let is_meant = |track: &Track| {
                    packet.is_sequence_header()
                        || self.audio.as_ref().is_none_or(|audio| audio.wire_codec == track.wire_codec)
                };
                let track = Track::of_audio(packet).filter(is_meant);
                if let Some(track) = track.filter(|track| Some(track) != self.audio.as_ref()) {
                    let before = self.audio.as_ref().map_or(track.timescale, |track| track.timescale);
                    self.audio_clock.convert(before, track.timescale);
                    (self.audio, self.has_new_tracks) = (Some(track), true);
                }
            }
        }
        let track = if packet.kind == PacketKind::Video { &self.video } else { &self.audio };
        // What MP4 can't carry has no track.
        let Some(track) = track else { return };
        match sample::take(track, packet) {
            Ok(Taken::Frame(frame)) => {
                let is_disposable = self.references.is_disposable(packet);
                let is_sync = frame.is_sync || (!self.is_file && packet.is_random_access());
                let is_start = is_sync || (!self.is_file && packet.is_starting_point());
                self.frame(packet.timestamp, Frame { is_disposable, is_sync, is_start, ..frame }, out);
            }
            Ok(Taken::Parameters(sets)) => {
                if let Some(track) = track.with_parameter_sets(&sets) {
                    self.set_video(track.or_size(self.announced.size));
                }
            }
            Ok(Taken::Nothing) => {}
            Err(why) => self.ignored.add(packet, why),
        }
    }

    fn set_video(&mut self, track: Track) {
        if self.video.as_ref() != Some(&track) {
            (self.video, self.awaits_key_frame, self.has_new_tracks) = (Some(track), true, true);
        }
    }

    /// Adds what waits for tracks that don't come any more.
    pub fn finish(&mut self, out: &mut Vec<MuxerOutput>) {
        self.release(out);
    }

    fn frame(&mut self, timestamp: Timestamp, frame: Frame<'_>, out: &mut Vec<MuxerOutput>) {
        if self.has_new_tracks {
            let time_ms = u64::from(timestamp.milliseconds());
            let since = *self.held_since.get_or_insert(time_ms);
            let is_late = time_ms.abs_diff(since) >= WAIT_MS || self.held_bytes > limits::FRAGMENTS_HELD_BYTES;
            self.held_bytes += frame.coded.len();
            self.held.push((timestamp, frame.into_owned()));
            if is_late || self.has_all_tracks() {
                self.release(out);
            }
        } else {
            self.emit(timestamp, &frame, out);
        }
    }

    fn has_all_tracks(&self) -> bool {
        let (audio, video) = self.announced.kinds.unwrap_or((true, true));
        self.audio.is_some() >= audio && self.video.is_some() >= video
    }

    fn release(&mut self, out: &mut Vec<MuxerOutput>) {
        if self.has_new_tracks {
            let init = self.init();
            // What can't be written has no fragments either.
            if init.is_none() {
                (self.audio, self.video) = (None, None);
            }
            out.extend(init);
        }
        (self.has_new_tracks, self.held_since, self.held_bytes) = (false, None, 0);
        // Audio and video may come from another camera now, and begin together.
        self.first_video_ms = None;
        for (timestamp, frame) in std::mem::take(&mut self.held) {
            self.emit(timestamp, &frame, out);
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

    fn emit(&mut self, timestamp: Timestamp, frame: &Frame<'_>, out: &mut Vec<MuxerOutput>) {
        let time_ms = self.clock.time_ms(timestamp);
        if frame.kind == PacketKind::Video {
            out.extend(self.video_frame(frame, time_ms));
            // Audio may come later than video that belongs with it, but not as late as this.
            if let Some(first_ms) = self.first_video_ms {
                self.fill_silence(time_ms.saturating_sub(AUDIO_LATE_MS), first_ms, out);
            }
        } else {
            self.fill_silence(time_ms, time_ms, out);
            out.extend(self.audio_frame(&frame.coded, time_ms));
        }
    }

    fn video_frame(&mut self, frame: &Frame<'_>, time_ms: u64) -> Option<MuxerOutput> {
        self.video.as_ref()?;
        let is_start = std::mem::take(&mut self.starts_anywhere) || frame.is_start;
        self.awaits_key_frame &= !is_start;
        if self.awaits_key_frame {
            return None;
        }
        self.first_video_ms.get_or_insert(time_ms);
        let place = self.video_clock.place(time_ms, self.announced.frame_ms.unwrap_or(USUAL_MS));
        let composition_offset = place.late.saturating_add(frame.composition_ms);
        let sample = Sample {
            kind: PacketKind::Video,
            begins: place.begins,
            duration: place.duration,
            composition_offset,
            is_sync: frame.is_sync,
            is_disposable: frame.is_disposable,
            coded: &frame.coded,
        };
        self.fragment(&sample, place.begins, place.duration, is_start)
    }

    fn audio_frame(&mut self, coded: &[u8], time_ms: u64) -> Option<MuxerOutput> {
        let track = self.audio.as_ref()?;
        let samples = if track.frame_samples > 0 { track.frame_samples } else { opus_samples(coded)? };
        let (begins, duration) = self.audio_clock.place(time_ms, track.timescale, samples);
        self.audio_at(begins, duration, coded)
    }

    fn audio_at(&mut self, begins: u64, duration: u32, coded: &[u8]) -> Option<MuxerOutput> {
        let timescale = u64::from(self.audio.as_ref()?.timescale);
        let to_ms = |time: u64| time.saturating_mul(1000) / timescale;
        let sample = Sample {
            kind: PacketKind::Audio,
            begins,
            duration,
            composition_offset: 0,
            is_sync: true,
            is_disposable: false,
            coded,
        };
        self.fragment(&sample, to_ms(begins), to_ms(duration.into()) as u32, self.video.is_none())
    }

    /// Puts silence where audio is missing before a time: a browser stops where one of the tracks has a gap. `start_ms`
    /// is where audio should have begun.
    fn fill_silence(&mut self, time_ms: u64, start_ms: u64, out: &mut Vec<MuxerOutput>) {
        let Some((silence, rate, samples)) = self.audio.as_ref().and_then(|track| {
            let silence = track.silence?;
            let samples = if track.frame_samples > 0 { track.frame_samples } else { opus_samples(silence)? };
            Some((silence, track.timescale, samples))
        }) else {
            return;
        };
        let missing = self.audio_clock.missing(time_ms, start_ms, rate, samples);
        // After a longer break there is another beginning.
        if missing.saturating_mul(samples.into()) > limits::FMP4_SILENCE.as_secs() * u64::from(rate) {
            return;
        }
        for _ in 0..missing {
            let begins = self.audio_clock.next(start_ms, rate, samples);
            out.extend(self.audio_at(begins, samples, silence));
        }
    }

    /// A sample as a fragment of its own, at which players can start or not.
    fn fragment(&mut self, sample: &Sample<'_>, time_ms: u64, duration_ms: u32, is_start: bool) -> Option<MuxerOutput> {
        self.sequence_number = self.sequence_number.wrapping_add(1);
        let (length, bytes) = match self.leaves_out_bytes {
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
