//! Packets in, pieces out: each frame a fragment of its own, as soon as it comes.

use super::boxes::{self, Sample};
use super::clock::{Clock, Pace};
use super::track::{Track, opus_samples};
use super::{Fragment, Init, Piece};
use crate::amf::{Value, amf0};
use crate::limits;
use crate::media::tag_header::Content;
use crate::media::{Packet, PacketKind};

/// How long a picture lasts that is the first, when nobody says how many there are in a second.
const USUAL_MS: u32 = 33;

/// How much stream time frames wait for a track that may still come.
const WAIT_MS: u64 = 500;

/// Makes fragmented MP4 of a stream.
#[derive(Debug, Default)]
pub struct Muxer {
    said: Said,
    video: Option<Track>,
    audio: Option<Track>,
    clock: Clock,
    video_pace: Pace,
    audio_pace: Pace,
    /// The tracks have changed since the last initialisation segment.
    has_new_tracks: bool,
    /// Pictures up to the next key frame can't be shown.
    awaits_key_frame: bool,
    /// Frames that wait for all tracks to be known, and since when.
    held: Vec<Packet>,
    held_bytes: usize,
    held_since: Option<u64>,
    sequence_number: u32,
    /// Of a whole file, in milliseconds.
    duration_ms: Option<u64>,
}

/// What the metadata says.
#[derive(Debug, Default)]
struct Said {
    /// Whether there is sound, and whether pictures.
    kinds: Option<(bool, bool)>,
    size: (u16, u16),
    picture_ms: Option<u32>,
}

impl Muxer {
    /// For a stream from its beginning, or from its metadata and sequence headers on.
    pub fn new() -> Self {
        Self { awaits_key_frame: true, ..Self::default() }
    }

    /// The same for a file that is so long.
    pub fn of_file(duration_ms: Option<u64>) -> Self {
        Self { duration_ms, ..Self::new() }
    }

    /// Takes the stream's next packet and adds what it makes to `out`.
    pub fn push(&mut self, packet: &Packet, out: &mut Vec<Piece>) {
        match packet.kind {
            PacketKind::Data => self.said.read(packet),
            PacketKind::Video => {
                let track = Track::of_video(packet).map(|track| track.or_size(self.said.size));
                if track.is_some() && track != self.video {
                    (self.video, self.awaits_key_frame, self.has_new_tracks) = (track, true, true);
                } else if packet
                    .video_header()
                    .is_some_and(|header| header.content == Content::Frame && header.track == 0)
                {
                    self.frame(packet, out);
                }
            }
            PacketKind::Audio => {
                let track = Track::of_audio(packet);
                if let Some(track) = track.filter(|track| Some(track) != self.audio.as_ref()) {
                    let before = self.audio.as_ref().map_or(track.timescale, |track| track.timescale);
                    self.audio_pace.recount(before, track.timescale);
                    (self.audio, self.has_new_tracks) = (Some(track), true);
                }
                if packet.audio_header().is_some_and(|header| header.content == Content::Frame && header.track == 0) {
                    self.frame(packet, out);
                }
            }
        }
    }

    /// Adds what waits for tracks that don't come any more.
    pub fn finish(&mut self, out: &mut Vec<Piece>) {
        self.release(out);
    }

    fn frame(&mut self, packet: &Packet, out: &mut Vec<Piece>) {
        if self.has_new_tracks {
            let time_ms = u64::from(packet.timestamp.milliseconds());
            let since = *self.held_since.get_or_insert(time_ms);
            let is_late = time_ms.abs_diff(since) >= WAIT_MS || self.held_bytes > limits::FRAGMENTS_HELD_BYTES;
            self.held_bytes += packet.payload.len();
            self.held.push(packet.clone());
            if is_late || self.has_all_tracks() {
                self.release(out);
            }
        } else {
            out.extend(self.fragment(packet));
        }
    }

    fn has_all_tracks(&self) -> bool {
        let (audio, video) = self.said.kinds.unwrap_or((true, true));
        self.audio.is_some() >= audio && self.video.is_some() >= video
    }

    fn release(&mut self, out: &mut Vec<Piece>) {
        if self.has_new_tracks {
            let init = self.init();
            // What can't be written has no fragments either.
            if init.is_none() {
                (self.audio, self.video) = (None, None);
            }
            out.extend(init);
        }
        (self.has_new_tracks, self.held_since, self.held_bytes) = (false, None, 0);
        for packet in std::mem::take(&mut self.held) {
            out.extend(self.fragment(&packet));
        }
    }

    fn init(&self) -> Option<Piece> {
        let video = self.video.as_ref().map(|track| (PacketKind::Video, track));
        let audio = self.audio.as_ref().map(|track| (PacketKind::Audio, track));
        let tracks: Vec<_> = video.into_iter().chain(audio).collect();
        let bytes = boxes::init(&tracks, self.duration_ms)?;
        let codecs = tracks.iter().map(|(_, track)| &track.codec[..]).collect::<Vec<_>>().join(",");
        let size = video.map_or((0, 0), |(_, track)| (track.width, track.height));
        Some(Piece::Init(Init { bytes, codecs, has_video: video.is_some(), size }))
    }

    fn fragment(&mut self, packet: &Packet) -> Option<Piece> {
        let time_ms = self.clock.time_ms(packet.timestamp);
        let sample = match packet.kind {
            PacketKind::Video => {
                self.video.as_ref()?;
                let header = packet.video_header()?;
                let is_sync = header.is_key_frame();
                self.awaits_key_frame &= !is_sync;
                if self.awaits_key_frame {
                    return None;
                }
                let (composition_offset, coded) = header.coded(&packet.payload)?;
                let usual = self.said.picture_ms.unwrap_or(USUAL_MS);
                let (begins, duration) = self.video_pace.picture(time_ms, usual);
                Sample { kind: packet.kind, begins, duration, composition_offset, is_sync, coded }
            }
            _ => {
                let track = self.audio.as_ref()?;
                let coded = packet.audio_header()?.coded(&packet.payload)?;
                let duration = if track.frame_samples > 0 { track.frame_samples } else { opus_samples(coded)? };
                let begins = self.audio_pace.sound(time_ms, track.timescale, duration);
                Sample { kind: packet.kind, begins, duration, composition_offset: 0, is_sync: true, coded }
            }
        };
        if sample.coded.is_empty() {
            return None;
        }
        self.sequence_number = self.sequence_number.wrapping_add(1);
        let bytes = boxes::fragment(self.sequence_number, &sample)?;
        let timescale = match sample.kind {
            PacketKind::Video => self.video.as_ref()?.timescale,
            _ => self.audio.as_ref()?.timescale,
        };
        let to_ms = |time: u64| time.saturating_mul(1000) / u64::from(timescale);
        Some(Piece::Fragment(Fragment {
            kind: sample.kind,
            time_ms: to_ms(sample.begins),
            duration_ms: (to_ms(sample.duration.into()) as u32).max(1),
            is_key_frame: sample.is_sync && (sample.kind == PacketKind::Video || self.video.is_none()),
            bytes,
        }))
    }
}

impl Said {
    /// Reads `onMetaData`; what makes no sense says nothing.
    fn read(&mut self, packet: &Packet) {
        let Ok(values) = amf0::decode_all(&packet.payload) else { return };
        let mut values = values.iter().skip_while(|value| value.as_str() == Some("@setDataFrame"));
        let (Some("onMetaData"), Some(object)) = (values.next().and_then(Value::as_str), values.next()) else { return };
        let Some(object) = object.as_object() else { return };
        let number = |key| object.get(key).and_then(Value::as_number);
        let has = |codec: &str, flag: &str| {
            object.get(codec).is_some() || object.get(flag).and_then(Value::as_bool).unwrap_or(false)
        };
        let kinds = (has("audiocodecid", "hasAudio"), has("videocodecid", "hasVideo"));
        self.kinds = (kinds != (false, false)).then_some(kinds);
        let pixels = |key| number(key).filter(|count| (1.0..65_536.0).contains(count)).map_or(0, |count| count as u16);
        self.size = (pixels("width"), pixels("height"));
        self.picture_ms =
            number("framerate").filter(|rate| (0.5..=500.0).contains(rate)).map(|rate| (1000.0 / rate) as u32);
    }
}
