//! What a sequence header says of a track: how it is coded, how large, how fast.

use shiguredo_mp4::boxes::SampleEntry;
use shiguredo_mp4::codec_string;

use super::pictures::{av1, avc, hevc, vp9};
use super::sound::{aac, mp3, opus};
use crate::media::tag_header::{AudioTagHeader, Codec, Content, VideoTagHeader};
use crate::media::{Packet, PacketKind};

/// The picture of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoFormat {
    /// As RFC 6381 names it, for example `avc1.64001f`.
    pub codec: String,
    /// In pixels; 0 when the sequence header does not tell.
    pub width: u16,
    /// In pixels; 0 when the sequence header does not tell.
    pub height: u16,
}

/// The sound of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioFormat {
    /// As RFC 6381 names it, for example `mp4a.40.2`.
    pub codec: String,
    /// Samples a second.
    pub sample_rate: u32,
    /// 1 for mono, 2 for stereo; 0 when the sequence header leaves it to the frames.
    pub channels: u8,
}

impl VideoFormat {
    /// Reads a sequence header; `None` for other packets, and codecs that MP4 does not carry.
    pub fn of(packet: &Packet) -> Option<Self> {
        let Track { codec, width, height, .. } = Track::of_video(packet)?;
        Some(Self { codec, width, height })
    }
}

impl AudioFormat {
    /// Reads a sequence header, or a frame of MP3, which needs none; `None` for other packets, and codecs that MP4 does
    /// not carry.
    pub fn of(packet: &Packet) -> Option<Self> {
        let Track { codec, timescale, channels, .. } = Track::of_audio(packet)?;
        Some(Self { codec, sample_rate: timescale, channels })
    }
}

/// Units of time of video, for each millisecond. ffmpeg wants to see twice as many frames before it plays where there is
/// but one (`avformat_find_stream_info`).
pub(super) const VIDEO_UNITS_PER_MS: u32 = 90;

/// A track of pictures or of sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Track {
    pub entry: SampleEntry,
    pub codec: String,
    /// Units of time in a second; of sound, the samples.
    pub timescale: u32,
    pub width: u16,
    pub height: u16,
    pub channels: u8,
    /// Samples in a frame of sound, where they are as many in each.
    pub frame_samples: u32,
    /// A frame of sound in which nothing is heard, where one is known.
    pub silence: Option<&'static [u8]>,
}

impl Track {
    /// Reads a sequence header of pictures.
    pub fn of_video(packet: &Packet) -> Option<Self> {
        if packet.kind != PacketKind::Video {
            return None;
        }
        let header = VideoTagHeader::parse(&packet.payload);
        if header.content != Content::SequenceHeader || header.track != 0 {
            return None;
        }
        let (_, record) = header.coded(&packet.payload)?;
        let (entry, (width, height)) = match header.codec {
            Codec::Legacy(7) | Codec::FourCc([b'a', b'v', b'c', b'1']) => avc(record)?,
            Codec::Legacy(12) | Codec::FourCc([b'h', b'v', b'c', b'1']) => hevc(record)?,
            Codec::FourCc([b'a', b'v', b'0', b'1']) => av1(record)?,
            Codec::FourCc([b'v', b'p', b'0', b'9']) => vp9(record)?,
            _ => return None,
        };
        let codec = codec_string::from_sample_entry(&entry).ok()?;
        Some(Self {
            entry,
            codec,
            timescale: VIDEO_UNITS_PER_MS * 1000,
            width,
            height,
            channels: 0,
            frame_samples: 0,
            silence: None,
        })
    }

    /// Reads a sequence header of sound, or a frame of MP3.
    pub fn of_audio(packet: &Packet) -> Option<Self> {
        if packet.kind != PacketKind::Audio {
            return None;
        }
        let header = AudioTagHeader::parse(&packet.payload);
        if header.track != 0 {
            return None;
        }
        let coded = header.coded(&packet.payload)?;
        match (header.codec, header.content) {
            (Codec::Legacy(10) | Codec::FourCc([b'm', b'p', b'4', b'a']), Content::SequenceHeader) => aac(coded),
            (Codec::Legacy(2 | 14) | Codec::FourCc([b'.', b'm', b'p', b'3']), Content::Frame) => mp3(coded),
            (Codec::FourCc([b'O', b'p', b'u', b's']), Content::SequenceHeader) => opus(coded),
            _ => None,
        }
    }

    /// With the size that the metadata tells, where the sequence header does not.
    pub fn or_size(mut self, (width, height): (u16, u16)) -> Self {
        if self.width == 0 || self.height == 0 {
            (self.width, self.height) = (width, height);
            let visual = match &mut self.entry {
                SampleEntry::Vp09(entry) => Some(&mut entry.visual),
                SampleEntry::Av01(entry) => Some(&mut entry.visual),
                SampleEntry::Avc1(entry) => Some(&mut entry.visual),
                SampleEntry::Hvc1(entry) => Some(&mut entry.visual),
                _ => None,
            };
            visual.into_iter().for_each(|visual| (visual.width, visual.height) = (width, height));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Timestamp;

    fn track(record: &[u8]) -> Option<Track> {
        let payload = [&[0x17, 0, 0, 0, 0][..], record].concat();
        Track::of_video(&Packet { kind: PacketKind::Video, timestamp: Timestamp::ZERO, payload })
    }

    #[test]
    fn avc_records_as_encoders_write_them() {
        let short = b"\x01\x64\x00\x1f\xff\xe1\x00\x19\x67\x64\x00\x1f\xac\xd9\x40\x50\x05\xbb\x01\x6c\x80\
            \x00\x00\x03\x00\x80\x00\x00\x1e\x07\x8c\x18\xcb\x01\x00\x06\x68\xeb\xe3\xcb\x22\xc0";
        let whole = track(short).unwrap();
        assert_eq!((&whole.codec[..], whole.width, whole.height), ("avc1.64001f", 1280, 720));
        for more in [&b"\xfd\xf8\xf8\x00"[..], b"\xfd\xf8\xf8\x00junk", b"junk"] {
            assert_eq!(track(&[short, more].concat()).as_ref(), Some(&whole), "{more:?}");
        }
        for length in 0..short.len() {
            assert_eq!(track(&short[..length]), None, "{length}");
        }
    }
}
