//! How the video and audio of a stream or file are coded: one answer for everybody who asks.

use crate::media::tag_header::Content;
use crate::media::{Codec, Packet, PacketKind};

use super::track::Track;

/// The video of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoFormat {
    /// As RFC 6381 names it, for example `avc1.64001f`; as [`CodecName::id`](crate::media::codec::CodecName::id) has it for
    /// codecs that MP4 does not carry, and before a codec configuration has come.
    pub codec: String,
    /// For people: `H.264`.
    pub name: &'static str,
    /// In pixels; 0 when nobody tells.
    pub width: u16,
    /// In pixels; 0 when nobody tells.
    pub height: u16,
}

/// The audio of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioFormat {
    /// As RFC 6381 names it, for example `mp4a.40.2`, or as of [`VideoFormat::codec`].
    pub codec: String,
    /// For people: `AAC`.
    pub name: &'static str,
    /// Samples a second.
    pub sample_rate: u32,
    /// 1 for mono, 2 for stereo; 0 when it is left to the frames.
    pub channels: u8,
}

impl VideoFormat {
    /// What a packet tells: a codec configuration that can be read tells all, a frame its codec. `None` for other packets, and
    /// codecs that nobody has defined.
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

    /// With the size that the metadata tells, where nothing else does.
    pub fn or_size(mut self, size: (u16, u16)) -> Self {
        if self.width == 0 || self.height == 0 {
            (self.width, self.height) = size;
        }
        self
    }
}

impl AudioFormat {
    /// The same of audio. A frame of MP3, which needs no configuration, tells all as well.
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

/// Samples a second and channels as the first byte of a message tells them (FLV 10.1 §E.4.2.1), where the codec leaves
/// them open; zeros where it tells nothing.
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

/// What is known of a stream or file from the packets seen so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Formats {
    /// The first track of video.
    pub video: Option<VideoFormat>,
    /// The first track of audio.
    pub audio: Option<AudioFormat>,
    /// Of which kinds, video and audio, all is known.
    is_certain: (bool, bool),
}

impl Formats {
    /// Whether there is more to learn of a kind from its frames.
    pub fn is_open(&self, kind: PacketKind) -> bool {
        match kind {
            PacketKind::Video => self.video.is_none(),
            PacketKind::Audio => self.audio.is_none(),
            PacketKind::Data => false,
        }
    }

    /// Whether all is known of both kinds.
    pub fn are_complete(&self) -> bool {
        self.is_certain == (true, true)
    }

    /// Takes note of a packet; says whether something is known better now. A configuration counts when it can be read; a
    /// frame as long as nothing is known of its kind.
    pub fn note(&mut self, packet: &Packet) -> bool {
        let configures = packet.is_sequence_header();
        if !configures && !self.is_open(packet.kind) {
            return false;
        }
        let is_certain = |codec: Codec| configures || !codec.needs_configuration(packet.kind);
        match packet.kind {
            PacketKind::Video => VideoFormat::of(packet).is_some_and(|video| {
                self.is_certain.0 |= packet.video_header().is_some_and(|header| is_certain(header.codec));
                replace(&mut self.video, video)
            }),
            PacketKind::Audio => AudioFormat::of(packet).is_some_and(|audio| {
                self.is_certain.1 |= packet.audio_header().is_some_and(|header| is_certain(header.codec));
                replace(&mut self.audio, audio)
            }),
            PacketKind::Data => false,
        }
    }
}

fn replace<T: PartialEq>(known: &mut Option<T>, found: T) -> bool {
    let should_report = known.as_ref() != Some(&found);
    *known = Some(found);
    should_report
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Timestamp;

    fn packet(kind: PacketKind, payload: &[u8]) -> Packet {
        Packet { kind, timestamp: Timestamp::ZERO, payload: payload.to_vec().into() }
    }

    #[test]
    fn every_codec_has_its_name() {
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
    fn a_configuration_counts_when_it_can_be_read() {
        let mut formats = Formats::default();
        let codec = |formats: &Formats| formats.video.clone().map(|video| video.codec);
        assert!(!formats.note(&packet(PacketKind::Video, b"\x90av01")));
        assert_eq!(codec(&formats), None);
        assert!(formats.note(&packet(PacketKind::Video, b"\x91av01\x12\0")));
        assert_eq!((codec(&formats).as_deref(), formats.are_complete()), (Some("av01"), false));
        assert!(formats.note(&packet(PacketKind::Video, b"\x90av01\x81\x04\x0c\0")));
        assert_eq!(codec(&formats).as_deref(), Some("av01.0.04M.08"));
        assert!(!formats.note(&packet(PacketKind::Video, b"\x90av01")), "an empty one changes nothing");
        assert!(!formats.note(&packet(PacketKind::Video, b"\x91hvc1\0\0\0\x01")), "nor does a stray frame");
        assert_eq!(codec(&formats).as_deref(), Some("av01.0.04M.08"));
        assert!(formats.note(&packet(PacketKind::Audio, &[0x72, 0xd5])) && formats.are_complete());
    }
}
