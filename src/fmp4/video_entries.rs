//! Video sample entries, from codec configurations.

use shiguredo_mp4::Decode;
use shiguredo_mp4::bitstream::{av1, h264, h265};
use shiguredo_mp4::boxes::{
    Av01Box, Av1cBox, Avc1Box, AvccBox, Hvc1Box, HvccBox, SampleEntry, VisualSampleEntryFields, Vp09Box, VpccBox,
};

use super::access_unit::{NalCodec, start_code_prefixed};

/// Wraps a record in a box header, for the box decoder.
fn wrap_in_box(kind: &[u8; 4], record: &[u8]) -> Option<Vec<u8>> {
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

/// A sample entry, and width and height in pixels; zeros when the record has no size.
pub(super) type Entry = (SampleEntry, (u16, u16));

/// Parses an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1), or parameter sets with start codes, which some
/// embedded encoders send instead.
pub(super) fn avc(record: &[u8]) -> Option<Entry> {
    let sets: Vec<_> = start_code_prefixed(record).collect();
    let converted = if sets.is_empty() { None } else { avc_record(&sets) };
    let (avcc_box, _) =
        AvccBox::decode(&wrap_in_box(b"avcC", &normalize_avc(converted.as_deref().unwrap_or(record))?)?).ok()?;
    let sps = avcc_box.sps_list.first().and_then(|sps| h264::parse_sps(sps).ok());
    let size = sps.map_or((0, 0), |sps| (sps.width, sps.height));
    Some((SampleEntry::Avc1(Avc1Box { visual: visual(size), avcc_box, unknown_boxes: Vec::new() }), size))
}

/// NAL unit types of the parameter sets in a record: SPS and PPS (ITU-T H.264 §7.4.1).
const AVC_SETS: [u8; 2] = [7, 8];

/// Builds the record of these parameter sets, with four-byte lengths.
fn avc_record(sets: &[&[u8]]) -> Option<Vec<u8>> {
    let of_type = |set_type| sets.iter().filter(move |set| NalCodec::H264.nal_type(set) == Some(set_type));
    let [profile, compatibility, level] = *of_type(AVC_SETS[0]).next()?.get(1..)?.first_chunk()?;
    let mut record = vec![1, profile, compatibility, level, 0xff];
    for (set_type, reserved) in AVC_SETS.into_iter().zip([0xe0, 0]) {
        // numOfSequenceParameterSets has five bits.
        let sets: Vec<_> = of_type(set_type).take(0x1f).collect();
        record.push(reserved | sets.len() as u8);
        for set in sets {
            record.extend(u16::try_from(set.len()).ok()?.to_be_bytes());
            record.extend(*set);
        }
    }
    Some(record)
}

/// Returns the entry with these parameter sets in place of those of the same types.
pub(super) fn avc_with_sets(entry: &Avc1Box, sets: &[&[u8]]) -> Option<Entry> {
    let known = &entry.avcc_box;
    let is_replaced = |set_type: u8| sets.iter().any(|set| NalCodec::H264.nal_type(set) == Some(set_type));
    let kept =
        AVC_SETS.into_iter().zip([&known.sps_list, &known.pps_list]).filter(|(set_type, _)| !is_replaced(*set_type));
    let kept = kept.flat_map(|(_, list)| list.iter().map(Vec::as_slice));
    let mut record = avc_record(&kept.chain(sets.iter().copied()).collect::<Vec<_>>())?;
    record[4] = 0xfc | known.length_size_minus_one.get();
    avc(&record)
}

/// Normalizes a record: adds the trailing fields of the High profiles, which many encoders omit, and removes trailing
/// garbage.
fn normalize_avc(record: &[u8]) -> Option<Vec<u8>> {
    const HIGH_PROFILES: [u8; 4] = [100, 110, 122, 144];
    /// Chroma 4:2:0, 8 bits, no extensions.
    const DEFAULT: [u8; 4] = [0xfd, 0xf8, 0xf8, 0];
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
    let mut normalized = record.get(..end)?.to_vec();
    if HIGH_PROFILES.contains(&record[1]) {
        let rest = record.get(end..end + DEFAULT.len()).filter(|rest| rest[0] >> 2 == 0x3f && rest[3] == 0);
        normalized.extend(rest.unwrap_or(&DEFAULT));
    }
    Some(normalized)
}

/// Parses an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 §8.3.3.1).
pub(super) fn hevc(record: &[u8]) -> Option<Entry> {
    let (hvcc_box, _) = HvccBox::decode(&wrap_in_box(b"hvcC", record)?).ok()?;
    Some(hevc_entry(hvcc_box))
}

fn hevc_entry(hvcc_box: HvccBox) -> Entry {
    let sets = hvcc_box.nalu_arrays.iter().filter(|array| array.nal_unit_type.get() == SPS);
    let sps = sets.flat_map(|array| &array.nalus).find_map(|sps| h265::parse_sps(sps).ok());
    let size = sps.map_or((0, 0), |sps| (sps.width, sps.height));
    (SampleEntry::Hvc1(Hvc1Box { visual: visual(size), hvcc_box, unknown_boxes: Vec::new() }), size)
}

/// Returns the entry with these parameter sets in place of those of the same types.
pub(super) fn hevc_with_sets(entry: &Hvc1Box, sets: &[&[u8]]) -> Option<Entry> {
    let mut hvcc_box = entry.hvcc_box.clone();
    for array in &mut hvcc_box.nalu_arrays {
        let set_type = Some(array.nal_unit_type.get());
        let sets: Vec<_> = sets.iter().filter(|set| NalCodec::H265.nal_type(set) == set_type).collect();
        if !sets.is_empty() {
            array.nalus = sets.into_iter().map(|set| set.to_vec()).collect();
        }
    }
    Some(hevc_entry(hvcc_box))
}

/// NAL unit type of a sequence parameter set (ITU-T H.265 §7.4.2.2).
const SPS: u8 = 33;

/// Parses an AV1CodecConfigurationRecord (AV1 ISOBMFF binding §2.3.3).
pub(super) fn av1(record: &[u8]) -> Option<Entry> {
    let (av1c_box, _) = Av1cBox::decode(&wrap_in_box(b"av1C", record)?).ok()?;
    let obus = av1::parse_obus(&av1c_box.config_obus, av1::Av1ObuParseContext::ConfigObus).unwrap_or_default();
    let header = obus
        .iter()
        .find(|obu| obu.obu_type == av1::Av1ObuType::SequenceHeader)
        .and_then(|obu| av1::parse_sequence_header(obu.payload).ok());
    let pixels = |count: u32| u16::try_from(count).unwrap_or(0);
    let size = header.map_or((0, 0), |header| (pixels(header.max_frame_width), pixels(header.max_frame_height)));
    Some((SampleEntry::Av01(Av01Box { visual: visual(size), av1c_box, unknown_boxes: Vec::new() }), size))
}

/// Parses a VPCodecConfigurationRecord (VP9 ISOBMFF binding), with or without the version and flags of its box.
pub(super) fn vp9(record: &[u8]) -> Option<Entry> {
    const VERSION: [u8; 4] = [1, 0, 0, 0];
    let has_version = record.len() >= 12 && record.starts_with(&VERSION);
    let full = if has_version { record.to_vec() } else { [&VERSION, record].concat() };
    let (vpcc_box, _) = VpccBox::decode(&wrap_in_box(b"vpcC", &full)?).ok()?;
    Some((SampleEntry::Vp09(Vp09Box { visual: visual((0, 0)), vpcc_box, unknown_boxes: Vec::new() }), (0, 0)))
}
