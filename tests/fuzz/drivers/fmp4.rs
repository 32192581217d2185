//! A stream as fragmented MP4.

use gortmp::amf::amf0;
use gortmp::fmp4::{AudioFormat, Muxer, MuxerOutput, VideoFormat};
use gortmp::limits;
use gortmp::media::{Packet, PacketKind, Timestamp};

use super::input::Input;
use super::{junk, messages};

/// Packets one after the other, and the end.
pub fn fmp4(input: &[u8]) {
    let mut input = Input::new(input);
    let (mut muxer, mut pieces) = (Muxer::new(), Vec::new());
    let (mut time, mut count, mut bytes) = (0, 0, 0);
    while !input.is_empty() && count < 300 {
        let what = input.u8();
        time = match what >> 2 {
            63 => input.u32(),
            62 => time.wrapping_sub(input.u16().into()),
            step => time.wrapping_add(u32::from(step) * 20),
        };
        let packet = packet(what, Timestamp::new(time), &mut input);
        count += 1;
        bytes += packet.payload.len();
        let _ = (VideoFormat::of(&packet), AudioFormat::of(&packet));
        muxer.push(&packet, &mut pieces);
    }
    muxer.finish(&mut pieces);
    hold(&pieces, count, bytes);
}

fn packet(what: u8, timestamp: Timestamp, input: &mut Input<'_>) -> Packet {
    let (kind, starts): (_, &[&[u8]]) = match what & 3 {
        0 | 1 => (
            PacketKind::Video,
            &[
                &[0x17, 0, 0, 0, 0, 1, 0x42, 0xc0, 0x1e, 0xff, 0xe0, 0],
                &[0x17, 0, 0, 0, 0],
                &[0x17, 1, 0, 0, 0],
                &[0x27, 1, 0, 0, 0x28],
                &[0x1c, 0, 0, 0, 0, 1],
                b"\x90hvc1\x01",
                b"\x91hvc1\0\0\0",
                b"\x90av01\x81\0\0\0",
                b"\x93av01",
                b"\x90vp09\x01\0\0\0",
                b"\x96\x11avc1\0\0\0\x05\0\0\0",
                b"\x97\x02\x07\xa1\x20\x01avc1",
                &[0x12],
                &[],
            ],
        ),
        2 => (
            PacketKind::Audio,
            &[
                &[0xaf, 0, 0x12, 0x10],
                &[0xaf, 0],
                &[0xaf, 1],
                &[0x2f, 0xff, 0xfb, 0x90, 0],
                &[0x2f, 0xff],
                b"\x90OpusOpusHead",
                b"\x90OpusOpusHead\x01\x02\0\0\0\0\0\0\0\0\0",
                b"\x91Opus",
                b"\x95\x00mp4a\x00",
                &[0xb2],
                &[],
            ],
        ),
        _ => {
            let payload = amf0::encode_all(&["onMetaData".into(), messages::value(input, 1)]);
            return Packet { kind: PacketKind::Data, timestamp, payload: payload.into() };
        }
    };
    let known = junk::CASES.iter().filter(|case| case.kind == kind).map(|case| case.payload);
    let starts: Vec<_> = starts.iter().copied().chain(known).collect();
    Packet { kind, timestamp, payload: [input.pick(&starts), input.bytes()].concat().into() }
}

/// The boxes are whole, times go on, and nothing is made of nothing.
fn hold(pieces: &[MuxerOutput], packets: usize, bytes: usize) {
    let mut ends = None;
    let (mut fragments, mut media_bytes) = (0, 0);
    for piece in pieces {
        match piece {
            MuxerOutput::Init(init) => {
                assert_eq!(kinds_of_boxes(&init.bytes), [*b"ftyp", *b"moov"]);
                assert!(!init.codecs.is_empty() && init.codecs.is_ascii());
                ends = Some([0; 2]);
            }
            MuxerOutput::Fragment(fragment) => {
                assert_eq!(kinds_of_boxes(&fragment.bytes), [*b"moof", *b"mdat"]);
                let ends: &mut [u64; 2] = ends.as_mut().expect("a segment comes first");
                let end = &mut ends[usize::from(fragment.kind == PacketKind::Audio)];
                assert!(fragment.time_ms >= *end && fragment.duration_ms > 0);
                *end = fragment.time_ms;
                fragments += 1;
                media_bytes += fragment.bytes.len();
            }
        }
    }
    // Frames of silence that fill a gap, at 96 kHz with 960 samples each.
    let silent = 100 * limits::FMP4_SILENCE.as_secs() as usize;
    assert!(fragments <= (1 + silent) * packets && media_bytes <= bytes + 200 * fragments);
    assert!(pieces.len() - fragments <= packets + 1);
}

fn kinds_of_boxes(mut bytes: &[u8]) -> Vec<[u8; 4]> {
    let mut kinds = Vec::new();
    while let Some((header, _)) = bytes.split_first_chunk::<8>() {
        let [s0, s1, s2, s3, kind @ ..] = *header;
        kinds.push(kind);
        let length = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
        assert!(length >= 8);
        bytes = bytes.get(length..).expect("a box ends within the bytes");
    }
    assert!(bytes.is_empty());
    kinds
}
