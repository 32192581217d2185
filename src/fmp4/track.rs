//! Tracks, built from sequence headers.

use shiguredo_mp4::boxes::SampleEntry;
use shiguredo_mp4::codec_string;

use super::access_unit::NalCodec;
use super::audio_entries::{aac, mp3, opus};
use super::video_entries::{av1, avc, avc_with_sets, hevc, hevc_with_sets, vp9};
use crate::media::tag_header::{AudioTagHeader, Content, VideoTagHeader};
use crate::media::{Codec, Packet, PacketKind};

/// Timescale units per millisecond of video: with a timescale of 1000, ffmpeg probes twice as many frames before it
/// plays (`avformat_find_stream_info`).
pub(super) const VIDEO_UNITS_PER_MS: u32 = 90;

/// A video or audio track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Track {
    /// The codec in its tag headers: messages of other codecs are not part of the track.
    pub wire_codec: Codec,
    pub entry: SampleEntry,
    pub codec: String,
    /// Units per second; for audio the sample rate.
    pub timescale: u32,
    pub width: u16,
    pub height: u16,
    pub channels: u8,
    /// Samples per audio frame; 0 when it varies.
    pub frame_samples: u32,
    /// A silent audio frame, for codecs for which one is known.
    pub silence: Option<&'static [u8]>,
}

impl Track {
    /// Creates the track of a video sequence header; `None` for other packets and unsupported codecs.
    pub(super) fn of_video(packet: &Packet) -> Option<Self> {
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
            wire_codec: header.codec,
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

    /// Creates the track of an audio sequence header or MP3 frame; `None` for other packets and unsupported codecs.
    pub(super) fn of_audio(packet: &Packet) -> Option<Self> {
        if packet.kind != PacketKind::Audio {
            return None;
        }
        let header = AudioTagHeader::parse(&packet.payload);
        if header.track != 0 {
            return None;
        }
        let coded = header.coded(&packet.payload)?;
        let track = match (header.codec, header.content) {
            (Codec::Legacy(10) | Codec::FourCc([b'm', b'p', b'4', b'a']), Content::SequenceHeader) => aac(coded),
            (Codec::Legacy(2 | 14) | Codec::FourCc([b'.', b'm', b'p', b'3']), Content::Frame) => mp3(coded),
            (Codec::FourCc([b'O', b'p', b'u', b's']), Content::SequenceHeader) => opus(coded),
            _ => None,
        };
        track.map(|track| Self { wire_codec: header.codec, ..track })
    }

    /// Returns the NAL unit codec and the size of its length prefixes in bytes; `None` for other codecs.
    pub(super) fn nal_units(&self) -> Option<(NalCodec, usize)> {
        match &self.entry {
            SampleEntry::Avc1(entry) => {
                Some((NalCodec::H264, 1 + usize::from(entry.avcc_box.length_size_minus_one.get())))
            }
            SampleEntry::Hvc1(entry) => {
                Some((NalCodec::H265, 1 + usize::from(entry.hvcc_box.length_size_minus_one.get())))
            }
            _ => None,
        }
    }

    /// Returns the track with in-band parameter sets in place of those of the same types; `None` if nothing changes or
    /// they are invalid.
    pub(super) fn with_parameter_sets(&self, sets: &[&[u8]]) -> Option<Self> {
        let (entry, (width, height)) = match &self.entry {
            SampleEntry::Avc1(entry) => avc_with_sets(entry, sets)?,
            SampleEntry::Hvc1(entry) => hevc_with_sets(entry, sets)?,
            _ => return None,
        };
        let codec = codec_string::from_sample_entry(&entry).ok()?;
        let track = Self { entry, codec, width, height, ..self.clone() };
        (track != *self).then_some(track)
    }

    /// Sets the size from the metadata if the sequence header has none.
    pub(super) fn or_size(mut self, (width, height): (u16, u16)) -> Self {
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
        Track::of_video(&Packet { kind: PacketKind::Video, timestamp: Timestamp::ZERO, payload: payload.into() })
    }

    #[test]
    fn non_standard_avc_records_are_accepted() {
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
