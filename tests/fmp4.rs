//! Real files as fragmented MP4: ffmpeg reads in it what it reads in the FLV that it was made of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/media.rs"]
mod media;
mod support;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use gortmp::flv::Reader;
use gortmp::fmp4::{Fragment, Init, Muxer, Piece};
use gortmp::media::{Packet, PacketKind};
use tempfile::TempDir;

fn packets(flv: &Path) -> Vec<Packet> {
    let mut reader = Reader::new(File::open(flv).unwrap()).unwrap();
    std::iter::from_fn(|| reader.next_packet().unwrap()).collect()
}

fn pieces(packets: &[Packet]) -> Vec<Piece> {
    let (mut muxer, mut pieces) = (Muxer::new(), Vec::new());
    packets.iter().for_each(|packet| muxer.push(packet, &mut pieces));
    muxer.finish(&mut pieces);
    pieces
}

fn init(pieces: &[Piece]) -> &Init {
    let mut inits = pieces.iter().filter_map(|piece| match piece {
        Piece::Init(init) => Some(init),
        Piece::Fragment(_) => None,
    });
    let first = inits.next().expect("an initialisation segment");
    assert_eq!(inits.next(), None, "the tracks change on the way");
    assert!(matches!(pieces.first(), Some(Piece::Init(_))), "fragments come before it");
    first
}

fn fragments(pieces: &[Piece]) -> impl Iterator<Item = &Fragment> {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Fragment(fragment) => Some(fragment),
        Piece::Init(_) => None,
    })
}

fn mp4(pieces: &[Piece], dir: &TempDir) -> PathBuf {
    let bytes: Vec<u8> = pieces
        .iter()
        .flat_map(|piece| match piece {
            Piece::Init(init) => init.bytes.clone(),
            Piece::Fragment(fragment) => fragment.bytes.clone(),
        })
        .collect();
    let path = dir.path().join("a.mp4");
    std::fs::write(&path, bytes).unwrap();
    path
}

/// A coded frame as ffmpeg reads it, times in milliseconds.
#[derive(Clone, Debug, PartialEq)]
struct Coded {
    dts: f64,
    pts: f64,
    bytes: String,
    checksum: String,
}

/// The frames of each stream, and the streams' checksums of what configures the decoder.
fn read(path: &Path) -> (BTreeMap<String, Vec<Coded>>, Vec<String>) {
    let mut command = media::recent_ffmpeg();
    command.args(["-copyts", "-i"]).arg(path).args("-map 0 -c copy -f framehash -hash md5 -".split(' '));
    let output = command.output().expect("ffmpeg runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let trouble = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && trouble.is_empty(), "{}: {trouble}", path.display());
    let mut streams: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let mut tick_ms = BTreeMap::new();
    let kind_of: BTreeMap<_, _> = text
        .lines()
        .filter_map(|line| line.strip_prefix("#media_type "))
        .map(|line| line.split_once(": ").unwrap())
        .collect();
    for line in text.lines().filter_map(|line| line.strip_prefix("#tb ")) {
        let (stream, base) = line.split_once(": ").unwrap();
        let (one, of) = base.split_once('/').unwrap();
        tick_ms.insert(stream, one.parse::<f64>().unwrap() * 1000.0 / of.parse::<f64>().unwrap());
    }
    let extradata = text.lines().filter(|line| line.starts_with("#extradata ")).map(str::to_owned).collect();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<_> = line.split(',').map(str::trim).collect();
        let [stream, dts, pts, _, bytes, checksum, ..] = fields[..] else { panic!("{line}") };
        let ms = |ticks: &str| ticks.parse::<f64>().unwrap() * tick_ms[stream];
        let coded = Coded { dts: ms(dts), pts: ms(pts), bytes: bytes.to_owned(), checksum: checksum.to_owned() };
        streams.entry(kind_of[stream].to_owned()).or_default().push(coded);
    }
    (streams, extradata)
}

/// The same frames at the same times.
fn assert_same(mp4: &Path, flv: &Path) {
    let ((got, got_extra), (expected, mut extra)) = (read(mp4), read(flv));
    assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (kind, expected) in expected {
        let got = &got[&kind];
        assert_eq!(got.len(), expected.len(), "{kind}");
        for (index, (got, expected)) in got.iter().zip(&expected).enumerate() {
            assert_eq!((&got.bytes, &got.checksum), (&expected.bytes, &expected.checksum), "{kind} {index}");
            let off = (got.dts - expected.dts).abs().max((got.pts - expected.pts).abs());
            assert!(off <= 1.0, "{kind} {index}: {got:?} instead of {expected:?}");
        }
    }
    // In the FLV the streams may be in the other order.
    let sums = |extra: &mut [String]| {
        let mut sums: Vec<_> = extra.iter().map(|line| line.split(' ').skip(2).collect::<String>()).collect();
        sums.sort();
        sums
    };
    assert_eq!(sums(&mut got_extra.clone()), sums(&mut extra));
}

fn holds(name: &str, codecs: &str) {
    let (flv, dir) = (media::sample(name), TempDir::new().unwrap());
    let packets = packets(&flv);
    let pieces = pieces(&packets);
    let init = init(&pieces);
    assert_eq!(init.codecs, codecs);
    assert_eq!(init.has_video, name != "audio-only");
    assert_eq!(init.size, if init.has_video { (320, 240) } else { (0, 0) });
    assert_same(&mp4(&pieces, &dir), &flv);
    let is_key = |fragment: &&Fragment| fragment.is_key_frame;
    let key_frames = packets.iter().filter(|packet| packet.is_key_frame()).count();
    if init.has_video {
        assert_eq!(fragments(&pieces).filter(is_key).count(), key_frames);
    } else {
        assert!(fragments(&pieces).all(|fragment| fragment.is_key_frame && fragment.kind == PacketKind::Audio));
    }
}

#[test]
fn h264_with_b_frames_and_aac() {
    holds("h264-b-frames-aac", "avc1.4d400c,mp4a.40.2");
}

#[test]
fn sound_alone_and_pictures_alone() {
    holds("audio-only", "mp4a.40.2");
    holds("video-only", "avc1.64000c");
}

#[test]
fn h264_with_mp3() {
    holds("h264-mp3", "avc1.64000c,mp4a.6b");
}

#[test]
fn hevc_with_aac() {
    holds("hevc-aac", "hvc1.1.6.L60.90,mp4a.40.2");
}
