//! Audio sample entries, from codec configurations or frame headers.

use shiguredo_mp4::bitstream::opus;
use shiguredo_mp4::boxes::{AudioSampleEntryFields, EsdsBox, Mp4aBox, OpusBox, SampleEntry};
use shiguredo_mp4::descriptors::{DecoderConfigDescriptor, DecoderSpecificInfo, EsDescriptor, SlConfigDescriptor};
use shiguredo_mp4::{FixedPointNumber, Uint, codec_string};

use super::track::Track;
use crate::media::Codec;

fn audio(channels: u8, rate: u32) -> AudioSampleEntryFields {
    AudioSampleEntryFields {
        data_reference_index: AudioSampleEntryFields::DEFAULT_DATA_REFERENCE_INDEX,
        channelcount: channels.into(),
        samplesize: AudioSampleEntryFields::DEFAULT_SAMPLESIZE,
        // Rates over 65,535 Hz don't fit; the codec configuration carries them.
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
        // Browsers expect upper case.
        None => format!("mp4a.{object_type:02X}"),
    };
    let silence: Option<&[u8]> = match (&codec[..], channels) {
        // One channel element with max_sfb 0 (ISO/IEC 14496-3 §4.4.2.1), then ID_END.
        ("mp4a.40.2", 1) => Some(&[0, 0, 0, 7]),
        ("mp4a.40.2", 2) => Some(&[0x21, 0, 0, 0, 0, 0x1c]),
        _ => None,
    };
    let wire_codec = Codec::Unknown;
    Some(Track { wire_codec, entry, codec, timescale: rate, width: 0, height: 0, channels, frame_samples, silence })
}

/// Sampling frequencies by samplingFrequencyIndex (ISO/IEC 14496-3 §1.6.3.4).
const AAC_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// Parses an AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1). With spectral band replication the first sampling
/// frequency is half the output rate; it is the timescale all the same.
pub(super) fn aac(config: &[u8]) -> Option<Track> {
    let mut bits = Bits(config, 0);
    let object = bits.read(5)?;
    if object == 31 {
        bits.read(6)?;
    }
    let index = bits.read(4)?;
    let rate = if index == 15 { bits.read(24)? } else { *AAC_RATES.get(index as usize)? };
    let channels = match bits.read(4)? {
        7 => 8,
        channels => channels as u8,
    };
    // With SBR and PS the extension's frequency and object type come in between; their frames usually have 1,024
    // samples.
    let has_short_frames = ![5, 29].contains(&object) && bits.read(1)? == 1;
    let samples = if has_short_frames { 960 } else { 1024 };
    (rate > 0).then(|| mp4a(0x40, Some(config), channels, rate, samples))?
}

/// Strips the ADTS header (ISO/IEC 13818-7 §6.2) that some embedded encoders leave before a frame.
pub(super) fn without_adts(frame: &[u8]) -> &[u8] {
    let [0xff, second, _, high, middle, low, _, ..] = *frame else { return frame };
    let length = usize::from(high & 3) << 11 | usize::from(middle) << 3 | usize::from(low >> 5);
    let is_header = second & 0xf6 == 0xf0 && length == frame.len();
    let header = if second & 1 == 1 { 7 } else { 9 };
    frame.get(header..).filter(|_| is_header).unwrap_or(frame)
}

/// A bit reader, most significant bit first: the bytes and the position in bits.
struct Bits<'a>(&'a [u8], usize);

impl Bits<'_> {
    fn read(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.0.get(self.1 / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.1 % 8) & 1);
            self.1 += 1;
        }
        Some(value)
    }
}

/// Parses an MP3 frame header (ISO/IEC 11172-3 §2.4.1.3 and 13818-3).
pub(super) fn mp3(frame: &[u8]) -> Option<Track> {
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

/// Parses an Opus identification header (RFC 7845 §5.1), as Enhanced RTMP carries it.
pub(super) fn opus(header: &[u8]) -> Option<Track> {
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
    // 20 ms of fullband CELT.
    let silence: &[u8] = if channels == 1 { &[0xf8, 0xff, 0xfe] } else { &[0xfc, 0xff, 0xfe] };
    Some(Track {
        wire_codec: Codec::Unknown,
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

/// Timescale of all Opus tracks.
const OPUS_RATE: u32 = 48_000;

/// Returns the number of samples in an Opus packet (RFC 6716 §3.1).
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
