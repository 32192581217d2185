//! The codecs of a stream or file, as all parts of the server report them.

use crate::media::tag_header::Content;
use crate::media::{Codec, Packet, PacketKind};

use super::track::Track;

/// The video format of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoFormat {
    /// The RFC 6381 codecs parameter, for example `avc1.64001f`; [`CodecName::id`](crate::media::codec::CodecName::id)
    /// for codecs that MP4 doesn't carry, and before the codec configuration.
    pub codec: String,
    /// Display name: `H.264`.
    pub name: &'static str,
    /// In pixels; 0 when unknown.
    pub width: u16,
    /// In pixels; 0 when unknown.
    pub height: u16,
}

/// The audio format of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioFormat {
    /// The RFC 6381 codecs parameter, for example `mp4a.40.2`, otherwise as in [`VideoFormat::codec`].
    pub codec: String,
    /// Display name: `AAC`.
    pub name: &'static str,
    /// Samples per second; 0 when unknown.
    pub sample_rate: u32,
    /// 1 for mono, 2 for stereo; 0 when unknown.
    pub channels: u8,
}

impl VideoFormat {
    /// Returns the format from a packet: complete from a valid codec configuration, the codec alone from a frame.
    /// `None` for other packets and undefined codecs.
    pub fn of(packet: &Packet) -> Option<Self> {
        let header = packet.video_header().filter(|header| header.track == 0)?;
        let name = header.codec.video_name()?;
        match header.content {
            Content::SequenceHeader => Track::of_video(packet).map(|Track { codec, width, height, .. }| Self {
                codec,
                name: name.name,
                width,
                height,
            }),
            Content::Frame => Some(Self { codec: name.id.to_owned(), name: name.name, width: 0, height: 0 }),
            _ => None,
        }
    }

    /// Sets the size from the metadata if it is unknown.
    pub fn or_size(mut self, size: (u16, u16)) -> Self {
        if self.width == 0 || self.height == 0 {
            (self.width, self.height) = size;
        }
        self
    }
}

impl AudioFormat {
    /// Returns the format from a packet, as [`VideoFormat::of`]; MP3 frames, which need no configuration, yield it
    /// completely as well.
    pub fn of(packet: &Packet) -> Option<Self> {
        let header = packet.audio_header().filter(|header| header.track == 0)?;
        let name = header.codec.audio_name()?;
        if let Some(Track { codec, timescale, channels, .. }) = Track::of_audio(packet) {
            return Some(Self { codec, name: name.name, sample_rate: timescale, channels });
        }
        let (sample_rate, channels) = match header.content {
            Content::Frame => legacy_rate(header.codec, packet.payload.first().copied().unwrap_or_default()),
            _ => return None,
        };
        Some(Self { codec: name.id.to_owned(), name: name.name, sample_rate, channels })
    }
}

/// Returns sample rate and channels from the first byte of an audio tag (FLV 10.1 §E.4.2.1), for codecs that use it;
/// zeros for others.
fn legacy_rate(codec: Codec, first: u8) -> (u32, u8) {
    let Codec::Legacy(format) = codec else { return (0, 0) };
    let channels = 1 + (first & 1);
    match format {
        4 => (16_000, 1),
        5 => (8_000, 1),
        7 | 8 => (8_000, channels),
        10 => (0, 0),
        11 => (16_000, 1),
        _ => ([5_512, 11_025, 22_050, 44_100][usize::from(first >> 2 & 3)], channels),
    }
}

/// The formats of a stream or file, learnt from the packets seen so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Formats {
    /// The first video track.
    pub video: Option<VideoFormat>,
    /// The first audio track.
    pub audio: Option<AudioFormat>,
    /// Whether video and audio are completely known.
    is_complete: (bool, bool),
}

impl Formats {
    /// Whether the frames of a kind are still needed.
    pub(crate) fn needs_frames(&self, kind: PacketKind) -> bool {
        match kind {
            PacketKind::Video => self.video.is_none(),
            PacketKind::Audio => self.audio.is_none(),
            PacketKind::Data => false,
        }
    }

    /// Whether both kinds are completely known.
    pub(crate) fn are_complete(&self) -> bool {
        self.is_complete == (true, true)
    }

    /// Learns from a packet; returns whether the formats changed. Uses valid codec configurations, and frames while
    /// nothing is known of their kind.
    pub(crate) fn update(&mut self, packet: &Packet) -> bool {
        let is_configuration = packet.is_sequence_header();
        if !is_configuration && !self.needs_frames(packet.kind) {
            return false;
        }
        let completes = |codec: Codec| is_configuration || !codec.needs_configuration(packet.kind);
        match packet.kind {
            PacketKind::Video => VideoFormat::of(packet).is_some_and(|video| {
                self.is_complete.0 |= packet.video_header().is_some_and(|header| completes(header.codec));
                replace(&mut self.video, video)
            }),
            PacketKind::Audio => AudioFormat::of(packet).is_some_and(|audio| {
                self.is_complete.1 |= packet.audio_header().is_some_and(|header| completes(header.codec));
                replace(&mut self.audio, audio)
            }),
            PacketKind::Data => false,
        }
    }
}

fn replace<T: PartialEq>(known: &mut Option<T>, found: T) -> bool {
    let has_changed = known.as_ref() != Some(&found);
    *known = Some(found);
    has_changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Timestamp;

    fn packet(kind: PacketKind, payload: &[u8]) -> Packet {
        Packet { kind, timestamp: Timestamp::ZERO, payload: payload.to_vec().into() }
    }

    #[test]
    fn codec_names() {
        for (payload, codec, rate, channels) in [
            (&[0x72, 0xd5][..], "alaw", 8_000, 1),
            (&[0x83, 0xd5], "ulaw", 8_000, 2),
            (&[0xb6, 1], "speex", 16_000, 1),
            (&[0x56, 1], "nellymoser", 8_000, 1),
            (&[0x6e, 1], "nellymoser", 44_100, 1),
            (&[0x1b, 1], "adpcm", 22_050, 2),
            (&[0x3f, 1], "pcm", 44_100, 2),
            (&[0xaf, 0, 0x12, 0x10], "mp4a.40.2", 44_100, 2),
            (&[0xaf, 1, 0x21], "mp4a", 0, 0),
            (b"\x91fLaC\x01", "fLaC", 0, 0),
            (b"\x91ac-3\x01", "ac-3", 0, 0),
            (b"\x91ec-3\x01", "ec-3", 0, 0),
        ] {
            let audio = AudioFormat::of(&packet(PacketKind::Audio, payload)).unwrap();
            assert_eq!((&*audio.codec, audio.sample_rate, audio.channels), (codec, rate, channels));
            assert!(!audio.name.is_empty());
        }
        for (payload, codec) in [
            (&[0x12, 0][..], "flv1"),
            (&[0x13, 0], "flashsv"),
            (&[0x24, 0], "vp6f"),
            (&[0x15, 0], "vp6a"),
            (&[0x16, 0], "flashsv2"),
            (&[0x17, 1, 0, 0, 0, 9], "avc1"),
            (b"\x91vvc1\0\0\0\x01", "vvc1"),
            (b"\x93vp08\x01", "vp08"),
        ] {
            assert_eq!(VideoFormat::of(&packet(PacketKind::Video, payload)).unwrap().codec, codec);
        }
        for junk in [&b"\xff\xfe\xf7\x17\0\0\0\0"[..], b"\xff", b"\x91what\x01", b""] {
            assert_eq!(VideoFormat::of(&packet(PacketKind::Video, junk)), None, "{junk:x?}");
        }
    }

    #[test]
    fn valid_configurations_replace_frame_formats() {
        let mut formats = Formats::default();
        let codec = |formats: &Formats| formats.video.clone().map(|video| video.codec);
        assert!(!formats.update(&packet(PacketKind::Video, b"\x90av01")));
        assert_eq!(codec(&formats), None);
        assert!(formats.update(&packet(PacketKind::Video, b"\x91av01\x12\0")));
        assert_eq!((codec(&formats).as_deref(), formats.are_complete()), (Some("av01"), false));
        assert!(formats.update(&packet(PacketKind::Video, b"\x90av01\x81\x04\x0c\0")));
        assert_eq!(codec(&formats).as_deref(), Some("av01.0.04M.08"));
        assert!(!formats.update(&packet(PacketKind::Video, b"\x90av01")), "an empty one changes nothing");
        assert!(
            !formats.update(&packet(PacketKind::Video, b"\x91hvc1\0\0\0\x01")),
            "nor does a stray frame of another codec"
        );
        assert_eq!(codec(&formats).as_deref(), Some("av01.0.04M.08"));
        assert!(formats.update(&packet(PacketKind::Audio, &[0x72, 0xd5])) && formats.are_complete());
    }
}
