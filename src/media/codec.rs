//! Codecs of FLV 10.1 and Enhanced RTMP v2, and their names.

use std::fmt;

use super::PacketKind;

/// The codec of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Codec {
    /// A four-bit codec number of FLV 10.1: `CodecID` of video (§E.4.3.1) or `SoundFormat` of audio (§E.4.2.1).
    Legacy(u8),
    /// A FourCC of Enhanced RTMP, such as `hvc1` or `Opus`.
    FourCc([u8; 4]),
    /// The message is too short to contain a codec.
    #[default]
    Unknown,
}

/// The names of a codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecName {
    /// Machine-readable name, as in ffmpeg or ISO/IEC 14496: `avc1`, `alaw`.
    pub id: &'static str,
    /// Display name: `H.264`, `G.711 A-law`.
    pub name: &'static str,
}

impl Codec {
    pub(super) const AVC: Self = Self::Legacy(7);
    /// HEVC as several camera makers and CDNs send it; in no specification.
    pub(super) const HEVC_LEGACY: Self = Self::Legacy(12);
    pub(super) const AAC: Self = Self::Legacy(10);

    /// Whether frames of this codec can't be decoded without a codec configuration.
    pub fn needs_configuration(self, kind: PacketKind) -> bool {
        match (self, kind) {
            (Self::Legacy(number), PacketKind::Video) => [7, 12, 13].contains(&number),
            (Self::Legacy(number), _) => number == 10,
            (Self::FourCc(code), _) => ![*b".mp3", *b"ac-3", *b"ec-3"].contains(&code),
            (Self::Unknown, _) => false,
        }
    }

    /// Returns the names of a video codec; `None` for an undefined one.
    pub fn video_name(self) -> Option<CodecName> {
        let (id, name) = match self {
            Self::Legacy(1) => ("mjpeg", "JPEG"),
            Self::Legacy(2) => ("flv1", "Sorenson H.263"),
            Self::Legacy(3) => ("flashsv", "Screen Video"),
            Self::Legacy(4) => ("vp6f", "VP6"),
            Self::Legacy(5) => ("vp6a", "VP6 with alpha"),
            Self::Legacy(6) => ("flashsv2", "Screen Video 2"),
            Self::Legacy(7) | Self::FourCc([b'a', b'v', b'c', b'1']) => ("avc1", "H.264"),
            Self::Legacy(8) => ("h263", "H.263"),
            Self::Legacy(9) => ("mp4v", "MPEG-4 Part 2"),
            Self::Legacy(12) | Self::FourCc([b'h', b'v', b'c', b'1']) => ("hvc1", "H.265"),
            Self::Legacy(13) | Self::FourCc([b'a', b'v', b'0', b'1']) => ("av01", "AV1"),
            Self::FourCc([b'v', b'v', b'c', b'1']) => ("vvc1", "H.266"),
            Self::FourCc([b'v', b'p', b'0', b'8']) => ("vp08", "VP8"),
            Self::FourCc([b'v', b'p', b'0', b'9']) => ("vp09", "VP9"),
            _ => return None,
        };
        Some(CodecName { id, name })
    }

    /// Returns the names of an audio codec; `None` for an undefined one.
    pub fn audio_name(self) -> Option<CodecName> {
        let (id, name) = match self {
            Self::Legacy(0 | 3) => ("pcm", "PCM"),
            Self::Legacy(1) => ("adpcm", "ADPCM"),
            Self::Legacy(2 | 14) | Self::FourCc([b'.', b'm', b'p', b'3']) => ("mp3", "MP3"),
            Self::Legacy(4..=6) => ("nellymoser", "Nellymoser"),
            Self::Legacy(7) => ("alaw", "G.711 A-law"),
            Self::Legacy(8) => ("ulaw", "G.711 µ-law"),
            Self::Legacy(10) | Self::FourCc([b'm', b'p', b'4', b'a']) => ("mp4a", "AAC"),
            Self::Legacy(11) => ("speex", "Speex"),
            Self::Legacy(15) => ("native", "a device's own codec"),
            Self::FourCc([b'O', b'p', b'u', b's']) => ("opus", "Opus"),
            Self::FourCc([b'f', b'L', b'a', b'C']) => ("fLaC", "FLAC"),
            Self::FourCc([b'a', b'c', b'-', b'3']) => ("ac-3", "AC-3"),
            Self::FourCc([b'e', b'c', b'-', b'3']) => ("ec-3", "E-AC-3"),
            _ => return None,
        };
        Some(CodecName { id, name })
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Legacy(number) => write!(f, "codec {number}"),
            Self::FourCc(code) => write!(f, "{}", code.escape_ascii()),
            Self::Unknown => f.write_str("unknown codec"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legacy_number_and_fourcc_have_the_same_name() {
        assert_eq!(Codec::AVC.video_name(), Codec::FourCc(*b"avc1").video_name());
        assert_eq!(Codec::AAC.audio_name(), Codec::FourCc(*b"mp4a").audio_name());
        assert_eq!(Codec::HEVC_LEGACY.video_name().map(|codec| codec.name), Some("H.265"));
        assert_eq!(Codec::Legacy(8).audio_name().map(|codec| codec.id), Some("ulaw"));
        for unknown in [Codec::FourCc(*b"\xfe\xf7\x17\0"), Codec::Legacy(0), Codec::Unknown] {
            assert_eq!(unknown.video_name(), None);
        }
    }
}
