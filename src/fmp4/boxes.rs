//! Writing of initialization segments and fragments.

use std::num::NonZeroU32;

use shiguredo_mp4::boxes::{
    Brand, DinfBox, FtypBox, HdlrBox, MdhdBox, MdiaBox, MediaHeader, MehdBox, MfhdBox, MinfBox, MoofBox, MoovBox,
    MvexBox, MvhdBox, SmhdBox, StblBox, StcoBox, StscBox, StsdBox, StszBox, SttsBox, TfdtBox, TfhdBox, TkhdBox,
    TrafBox, TrakBox, TrexBox, TrunBox, TrunSample, VmhdBox,
};
use shiguredo_mp4::{Either, Encode, FixedPointNumber, LanguageCode, Mp4FileTime, SampleFlags};

use super::track::{Track, VIDEO_UNITS_PER_MS};
use crate::media::PacketKind;

/// Timescale of `mvhd`.
const MOVIE_TIMESCALE: NonZeroU32 = NonZeroU32::new(1000).unwrap();

/// Size of the `mdat` box header, in bytes.
const MDAT_HEADER: usize = 8;

/// Sample flags of a sync sample (ISO/IEC 14496-12 §8.8.3.1): a random access point, or audio.
const SYNC: u32 = 0x0200_0000;

/// Sample flags of a non-sync sample (§8.8.3.1).
const NOT_SYNC: u32 = 0x0101_0000;

/// Returns the track ID of a kind.
pub(super) fn track_id(kind: PacketKind) -> u32 {
    match kind {
        PacketKind::Video => 1,
        _ => 2,
    }
}

/// Returns `ftyp` and `moov`; `None` if the boxes can't be encoded. `duration_ms` is the duration of a file.
pub(super) fn init(tracks: &[(PacketKind, &Track)], duration_ms: Option<u64>) -> Option<Vec<u8>> {
    let ftyp = FtypBox {
        major_brand: Brand::ISO6,
        minor_version: 0,
        compatible_brands: vec![Brand::ISO6, Brand::ISO5, Brand::ISOM, Brand::MP41],
    };
    let trex = |(kind, _): &(PacketKind, &Track)| TrexBox {
        track_id: track_id(*kind),
        default_sample_description_index: 1,
        default_sample_duration: 0,
        default_sample_size: 0,
        default_sample_flags: SampleFlags::new(0),
    };
    let moov = MoovBox {
        mvhd_box: MvhdBox {
            creation_time: Mp4FileTime::default(),
            modification_time: Mp4FileTime::default(),
            timescale: MOVIE_TIMESCALE,
            duration: 0,
            rate: MvhdBox::DEFAULT_RATE,
            volume: MvhdBox::DEFAULT_VOLUME,
            matrix: MvhdBox::DEFAULT_MATRIX,
            next_track_id: 3,
        },
        trak_boxes: tracks.iter().map(|(kind, track)| trak(*kind, track)).collect::<Option<_>>()?,
        mvex_box: Some(MvexBox {
            mehd_box: duration_ms.map(|fragment_duration| MehdBox { fragment_duration }),
            trex_boxes: tracks.iter().map(trex).collect(),
            unknown_boxes: Vec::new(),
        }),
        unknown_boxes: Vec::new(),
    };
    Some([ftyp.encode_to_vec().ok()?, moov.encode_to_vec().ok()?].concat())
}

fn trak(kind: PacketKind, track: &Track) -> Option<TrakBox> {
    let is_video = kind == PacketKind::Video;
    let (volume, handler_type, media_header) = match is_video {
        true => (TkhdBox::DEFAULT_VIDEO_VOLUME, HdlrBox::HANDLER_TYPE_VIDE, MediaHeader::Vmhd(VmhdBox::default())),
        false => (TkhdBox::DEFAULT_AUDIO_VOLUME, HdlrBox::HANDLER_TYPE_SOUN, MediaHeader::Smhd(SmhdBox::default())),
    };
    let time = Mp4FileTime::default();
    Some(TrakBox {
        tkhd_box: TkhdBox {
            flag_track_enabled: true,
            flag_track_in_movie: true,
            flag_track_in_preview: false,
            flag_track_size_is_aspect_ratio: false,
            creation_time: time,
            modification_time: time,
            track_id: track_id(kind),
            duration: 0,
            layer: TkhdBox::DEFAULT_LAYER,
            alternate_group: TkhdBox::DEFAULT_ALTERNATE_GROUP,
            volume,
            matrix: TkhdBox::DEFAULT_MATRIX,
            width: FixedPointNumber::new(i16::try_from(track.width).unwrap_or(0), 0),
            height: FixedPointNumber::new(i16::try_from(track.height).unwrap_or(0), 0),
        },
        edts_box: None,
        mdia_box: MdiaBox {
            mdhd_box: MdhdBox {
                creation_time: time,
                modification_time: time,
                timescale: NonZeroU32::new(track.timescale)?,
                duration: 0,
                language: LanguageCode::UNDEFINED,
            },
            hdlr_box: HdlrBox { handler_type, name: vec![0] },
            minf_box: MinfBox {
                media_header: Some(media_header),
                dinf_box: DinfBox::LOCAL_FILE,
                stbl_box: StblBox {
                    stsd_box: StsdBox { entries: vec![track.entry.clone()] },
                    stts_box: SttsBox { entries: Vec::new() },
                    ctts_box: None,
                    cslg_box: None,
                    stsc_box: StscBox { entries: Vec::new() },
                    stsz_box: StszBox::Variable { entry_sizes: Vec::new() },
                    stco_or_co64_box: Either::A(StcoBox { chunk_offsets: Vec::new() }),
                    stss_box: None,
                    sdtp_box: None,
                    unknown_boxes: Vec::new(),
                },
                unknown_boxes: Vec::new(),
            },
            unknown_boxes: Vec::new(),
        },
        unknown_boxes: Vec::new(),
    })
}

/// One sample; times are in milliseconds for video and in samples for audio.
pub(super) struct Sample<'a> {
    pub kind: PacketKind,
    pub decode_time: u64,
    pub duration: u32,
    pub composition_offset: i32,
    pub is_sync: bool,
    pub is_disposable: bool,
    pub coded: &'a [u8],
}

/// Returns the size of a [`fragment`] in bytes; `None` if the boxes can't be encoded.
pub(super) fn fragment_length(sample: &Sample<'_>) -> Option<usize> {
    Some(moof(0, sample, 0).encode_to_vec().ok()?.len() + MDAT_HEADER + sample.coded.len())
}

/// Returns `moof` and `mdat`; `None` if the boxes can't be encoded.
pub(super) fn fragment(sequence_number: u32, sample: &Sample<'_>) -> Option<Vec<u8>> {
    // The size of `moof` doesn't depend on the data offset.
    let length = moof(sequence_number, sample, 0).encode_to_vec().ok()?.len();
    let data_offset = i32::try_from(length + MDAT_HEADER).ok()?;
    let mut bytes = moof(sequence_number, sample, data_offset).encode_to_vec().ok()?;
    let mdat_length = u32::try_from(sample.coded.len() + MDAT_HEADER).ok()?;
    bytes.reserve_exact(sample.coded.len() + MDAT_HEADER);
    bytes.extend(mdat_length.to_be_bytes());
    bytes.extend(b"mdat");
    bytes.extend(sample.coded);
    Some(bytes)
}

fn moof(sequence_number: u32, sample: &Sample<'_>, data_offset: i32) -> MoofBox {
    let units = if sample.kind == PacketKind::Video { VIDEO_UNITS_PER_MS } else { 1 };
    let flags = SampleFlags::new(if sample.is_sync { SYNC } else { NOT_SYNC });
    let sample_entry = TrunSample {
        duration: Some(sample.duration.saturating_mul(units)),
        size: u32::try_from(sample.coded.len()).ok(),
        flags: Some(flags),
        composition_time_offset: (sample.kind == PacketKind::Video)
            .then_some(i64::from(sample.composition_offset.saturating_mul(units.cast_signed()))),
    };
    MoofBox {
        mfhd_box: MfhdBox { sequence_number },
        traf_boxes: vec![TrafBox {
            tfhd_box: TfhdBox {
                track_id: track_id(sample.kind),
                base_data_offset: None,
                sample_description_index: None,
                default_sample_duration: None,
                default_sample_size: None,
                default_sample_flags: None,
                duration_is_empty: false,
                default_base_is_moof: true,
            },
            tfdt_box: Some(TfdtBox {
                version: 1,
                base_media_decode_time: sample.decode_time.saturating_mul(units.into()),
            }),
            trun_boxes: vec![TrunBox {
                data_offset: Some(data_offset),
                first_sample_flags: None,
                samples: vec![sample_entry],
            }],
            unknown_boxes: Vec::new(),
        }],
        unknown_boxes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shiguredo_mp4::Decode;

    fn times(kind: PacketKind, decode_time: u64, duration: u32, composition_offset: i32) -> (u64, u32, Option<i64>) {
        let sample = Sample {
            kind,
            decode_time,
            duration,
            composition_offset,
            is_sync: true,
            is_disposable: false,
            coded: &[1],
        };
        let bytes = fragment(1, &sample).unwrap();
        let (moof, _) = MoofBox::decode(&bytes).unwrap();
        let track = &moof.traf_boxes[0];
        let written = &track.trun_boxes[0].samples[0];
        let decode_time = track.tfdt_box.as_ref().unwrap().base_media_decode_time;
        (decode_time, written.duration.unwrap(), written.composition_time_offset)
    }

    #[test]
    fn video_has_a_timescale_of_90_khz_and_audio_its_sample_rate() {
        assert_eq!(times(PacketKind::Video, 1_000, 40, -10), (90_000, 3_600, Some(-900)));
        assert_eq!(times(PacketKind::Audio, 1_024, 1_024, 0), (1_024, 1_024, None));
        let extremes = times(PacketKind::Video, u64::MAX, u32::MAX, i32::MIN);
        assert_eq!(extremes, (u64::MAX, u32::MAX, Some(i32::MIN.into())), "no time overflows");
    }
}
