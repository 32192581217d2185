//! What a sequence header says of a track: how it is coded, how large, how fast.

use shiguredo_mp4::bitstream::{av1, h264, h265, opus};
use shiguredo_mp4::boxes::{
    AudioSampleEntryFields, Av01Box, Av1cBox, Avc1Box, AvccBox, EsdsBox, Hvc1Box, HvccBox, Mp4aBox, OpusBox,
    SampleEntry, VisualSampleEntryFields, Vp09Box, VpccBox,
};
use shiguredo_mp4::descriptors::{DecoderConfigDescriptor, DecoderSpecificInfo, EsDescriptor, SlConfigDescriptor};
use shiguredo_mp4::{Decode, FixedPointNumber, Uint, codec_string};

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

/// Units of time of pictures: those of the wire.
pub(super) const VIDEO_TIMESCALE: u32 = 1000;

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
            timescale: VIDEO_TIMESCALE,
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

/// A box around a record, to be read as one.
fn boxed(kind: &[u8; 4], record: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(record.len() + 8).ok()?;
    Some([&length.to_be_bytes()[..], kind, record].concat())
}

fn visual((width, height): (u16, u16)) -> VisualSampleEntryFields {
    VisualSampleEntryFields {
        data_reference_index: VisualSampleEntryFields::DEFAULT_DATA_REFERENCE_INDEX,
        width,
        height,
        horizresolution: VisualSampleEntryFields::DEFAULT_HORIZRESOLUTION,
        vertresolution: VisualSampleEntryFields::DEFAULT_VERTRESOLUTION,
        frame_count: VisualSampleEntryFields::DEFAULT_FRAME_COUNT,
        compressorname: VisualSampleEntryFields::NULL_COMPRESSORNAME,
        depth: VisualSampleEntryFields::DEFAULT_DEPTH,
    }
}

type Entry = (SampleEntry, (u16, u16));

/// AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1).
fn avc(record: &[u8]) -> Option<Entry> {
    let (avcc_box, _) = AvccBox::decode(&boxed(b"avcC", &strict_avc(record)?)?).ok()?;
    let sps = avcc_box.sps_list.first().and_then(|sps| h264::parse_sps(sps).ok());
    let size = sps.map_or((0, 0), |sps| (sps.width, sps.height));
    Some((SampleEntry::Avc1(Avc1Box { visual: visual(size), avcc_box, unknown_boxes: Vec::new() }), size))
}

/// The record as it should be: with the fields at the end that High profiles have, which many encoders leave out, and
/// without what others put there.
fn strict_avc(record: &[u8]) -> Option<Vec<u8>> {
    const HIGH_PROFILES: [u8; 4] = [100, 110, 122, 144];
    /// Chroma 4:2:0, 8 bits, no extensions.
    const USUAL: [u8; 4] = [0xfd, 0xf8, 0xf8, 0];
    let mut end = 5;
    // Sequence parameter sets, then picture parameter sets.
    for mask in [0x1f, 0xff] {
        let count = *record.get(end)? & mask;
        end += 1;
        for _ in 0..count {
            let length = record.get(end..end + 2)?;
            end += 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
        }
    }
    let mut strict = record.get(..end)?.to_vec();
    if HIGH_PROFILES.contains(&record[1]) {
        let rest = record.get(end..end + USUAL.len()).filter(|rest| rest[0] >> 2 == 0x3f && rest[3] == 0);
        strict.extend(rest.unwrap_or(&USUAL));
    }
    Some(strict)
}

/// HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 §8.3.3.1).
fn hevc(record: &[u8]) -> Option<Entry> {
    let (hvcc_box, _) = HvccBox::decode(&boxed(b"hvcC", record)?).ok()?;
    let sets = hvcc_box.nalu_arrays.iter().filter(|array| array.nal_unit_type.get() == SPS);
    let sps = sets.flat_map(|array| &array.nalus).find_map(|sps| h265::parse_sps(sps).ok());
    let size = sps.map_or((0, 0), |sps| (sps.width, sps.height));
    Some((SampleEntry::Hvc1(Hvc1Box { visual: visual(size), hvcc_box, unknown_boxes: Vec::new() }), size))
}

/// The type of the NAL unit that tells the size (ITU-T H.265 §7.4.2.2).
const SPS: u8 = 33;

/// AV1CodecConfigurationRecord (AV1 ISOBMFF binding §2.3.3).
fn av1(record: &[u8]) -> Option<Entry> {
    let (av1c_box, _) = Av1cBox::decode(&boxed(b"av1C", record)?).ok()?;
    let obus = av1::parse_obus(&av1c_box.config_obus, av1::Av1ObuParseContext::ConfigObus).unwrap_or_default();
    let header = obus
        .iter()
        .find(|obu| obu.obu_type == av1::Av1ObuType::SequenceHeader)
        .and_then(|obu| av1::parse_sequence_header(obu.payload).ok());
    let pixels = |count: u32| u16::try_from(count).unwrap_or(0);
    let size = header.map_or((0, 0), |header| (pixels(header.max_frame_width), pixels(header.max_frame_height)));
    Some((SampleEntry::Av01(Av01Box { visual: visual(size), av1c_box, unknown_boxes: Vec::new() }), size))
}

/// VPCodecConfigurationRecord (VP9 ISOBMFF binding), with or without the version and flags of the box around it.
fn vp9(record: &[u8]) -> Option<Entry> {
    const VERSION: [u8; 4] = [1, 0, 0, 0];
    let has_version = record.len() >= 12 && record.starts_with(&VERSION);
    let full = if has_version { record.to_vec() } else { [&VERSION, record].concat() };
    let (vpcc_box, _) = VpccBox::decode(&boxed(b"vpcC", &full)?).ok()?;
    Some((SampleEntry::Vp09(Vp09Box { visual: visual((0, 0)), vpcc_box, unknown_boxes: Vec::new() }), (0, 0)))
}

fn audio(channels: u8, rate: u32) -> AudioSampleEntryFields {
    AudioSampleEntryFields {
        data_reference_index: AudioSampleEntryFields::DEFAULT_DATA_REFERENCE_INDEX,
        channelcount: channels.into(),
        samplesize: AudioSampleEntryFields::DEFAULT_SAMPLESIZE,
        // Rates that don't fit are told elsewhere.
        samplerate: FixedPointNumber::new(u16::try_from(rate).unwrap_or(0), 0),
    }
}

fn mp4a(object_type: u8, config: Option<&[u8]>, channels: u8, rate: u32, frame_samples: u32) -> Option<Track> {
    let dec_config_descr = DecoderConfigDescriptor {
        object_type_indication: object_type,
        stream_type: DecoderConfigDescriptor::STREAM_TYPE_AUDIO,
        up_stream: DecoderConfigDescriptor::UP_STREAM_FALSE,
        buffer_size_db: Uint::new(0),
        max_bitrate: 0,
        avg_bitrate: 0,
        dec_specific_info: config.map(|payload| DecoderSpecificInfo { payload: payload.to_vec() }),
    };
    let es = EsDescriptor {
        es_id: EsDescriptor::MIN_ES_ID,
        stream_priority: EsDescriptor::LOWEST_STREAM_PRIORITY,
        depends_on_es_id: None,
        url_string: None,
        ocr_es_id: None,
        dec_config_descr,
        sl_config_descr: SlConfigDescriptor,
    };
    let entry = Mp4aBox { audio: audio(channels, rate), esds_box: EsdsBox { es }, unknown_boxes: Vec::new() };
    let entry = SampleEntry::Mp4a(entry);
    let codec = match config {
        Some(_) => codec_string::from_sample_entry(&entry).ok()?,
        // Browsers know it in capital letters.
        None => format!("mp4a.{object_type:02X}"),
    };
    let silence: Option<&[u8]> = match (&codec[..], channels) {
        // One element without any scale factor bands (ISO/IEC 14496-3 §4.4.2.1), and the end.
        ("mp4a.40.2", 1) => Some(&[0, 0, 0, 7]),
        ("mp4a.40.2", 2) => Some(&[0x21, 0, 0, 0, 0, 0x1c]),
        _ => None,
    };
    Some(Track { entry, codec, timescale: rate, width: 0, height: 0, channels, frame_samples, silence })
}

/// Rates by their index in AudioSpecificConfig (ISO/IEC 14496-3 §1.6.3.4).
const AAC_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1). For a decoder that knows spectral band replication the rate told
/// first is half of what is heard; time is counted in it all the same.
fn aac(config: &[u8]) -> Option<Track> {
    let mut bits = Bits(config, 0);
    let object = bits.take(5)?;
    if object == 31 {
        bits.take(6)?;
    }
    let index = bits.take(4)?;
    let rate = if index == 15 { bits.take(24)? } else { *AAC_RATES.get(index as usize)? };
    let channels = match bits.take(4)? {
        7 => 8,
        channels => channels as u8,
    };
    // With these there is another rate and object in between; their frames have 1,024 samples as a rule.
    let has_short_frames = ![5, 29].contains(&object) && bits.take(1)? == 1;
    let samples = if has_short_frames { 960 } else { 1024 };
    (rate > 0).then(|| mp4a(0x40, Some(config), channels, rate, samples))?
}

/// Bits from the left.
struct Bits<'a>(&'a [u8], usize);

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.0.get(self.1 / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.1 % 8) & 1);
            self.1 += 1;
        }
        Some(value)
    }
}

/// The header of a frame (ISO/IEC 11172-3 §2.4.1.3 and 13818-3).
fn mp3(frame: &[u8]) -> Option<Track> {
    let [0xff, version, rates, channels, ..] = *frame else { return None };
    let is_layer_3 = version & 0xe6 == 0xe2;
    let (divisor, samples, object_type) = match version >> 3 & 3 {
        3 => (1, 1152, 0x6b),
        2 => (2, 576, 0x69),
        0 => (4, 576, 0x69),
        _ => return None,
    };
    let rate = [44_100, 48_000, 32_000].get(usize::from(rates >> 2 & 3)).filter(|_| is_layer_3)? / divisor;
    mp4a(object_type, None, if channels >> 6 == 3 { 1 } else { 2 }, rate, samples)
}

/// The identification header (RFC 7845 §5.1), as Enhanced RTMP has it.
fn opus(header: &[u8]) -> Option<Track> {
    let header = header.strip_prefix(b"OpusHead").unwrap_or(header);
    let [_version, channels, skip_low, skip_high, a, b, c, d, gain_low, gain_high, _family] = *header.first_chunk()?;
    let channel_count = match channels {
        1 => opus::ChannelCount::Mono,
        2 => opus::ChannelCount::Stereo,
        _ => return None,
    };
    let mut entry: OpusBox = opus::build_opus_box(&opus::OpusSampleEntryConfig {
        channel_count,
        pre_skip: u16::from_le_bytes([skip_low, skip_high]),
        input_sample_rate: u32::from_le_bytes([a, b, c, d]),
        output_gain: i16::from_le_bytes([gain_low, gain_high]),
    });
    entry.audio = audio(channels, OPUS_RATE);
    let entry = SampleEntry::Opus(entry);
    // 20 ms of full band.
    let silence: &[u8] = if channels == 1 { &[0xf8, 0xff, 0xfe] } else { &[0xfc, 0xff, 0xfe] };
    Some(Track {
        entry,
        codec: "opus".to_owned(),
        timescale: OPUS_RATE,
        width: 0,
        height: 0,
        channels,
        frame_samples: 0,
        silence: Some(silence),
    })
}

/// Opus always counts time in this rate.
const OPUS_RATE: u32 = 48_000;

/// Samples in a packet of Opus (RFC 6716 §3.1).
pub(super) fn opus_samples(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let frame = match toc >> 3 {
        config @ 0..=11 => [480, 960, 1920, 2880][usize::from(config % 4)],
        config @ 12..=15 => [480, 960][usize::from(config % 2)],
        config => [120, 240, 480, 960][usize::from(config % 4)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    Some(frame * frames)
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
