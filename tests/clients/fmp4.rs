//! Real files as fragmented MP4: ffmpeg reads in it what it reads in the FLV that it was made of.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use gortmp::flv::Reader;
use gortmp::fmp4::{Fragment, Init, Muxer, MuxerOutput};
use gortmp::media::{Packet, PacketKind};
use tempfile::TempDir;

use crate::support::{Server, http, junk, media};

fn packets(flv: &Path) -> Vec<Packet> {
    let mut reader = Reader::new(File::open(flv).unwrap()).unwrap();
    std::iter::from_fn(|| reader.next_packet().unwrap()).collect()
}

fn pieces(packets: &[Packet]) -> Vec<MuxerOutput> {
    let (mut muxer, mut pieces) = (Muxer::new(), Vec::new());
    packets.iter().for_each(|packet| muxer.push(packet, &mut pieces));
    muxer.finish(&mut pieces);
    pieces
}

fn init(pieces: &[MuxerOutput]) -> &Init {
    let mut inits = pieces.iter().filter_map(|piece| match piece {
        MuxerOutput::Init(init) => Some(init),
        MuxerOutput::Fragment(_) => None,
    });
    let first = inits.next().expect("an initialisation segment");
    assert_eq!(inits.next(), None, "the tracks change on the way");
    assert!(matches!(pieces.first(), Some(MuxerOutput::Init(_))), "fragments come before it");
    first
}

fn fragments(pieces: &[MuxerOutput]) -> impl Iterator<Item = &Fragment> {
    pieces.iter().filter_map(|piece| match piece {
        MuxerOutput::Fragment(fragment) => Some(fragment),
        MuxerOutput::Init(_) => None,
    })
}

/// A file of these pieces.
fn mp4(pieces: &[MuxerOutput], dir: &TempDir) -> PathBuf {
    let bytes: Vec<u8> = pieces
        .iter()
        .flat_map(|piece| match piece {
            MuxerOutput::Init(init) => init.bytes.clone(),
            MuxerOutput::Fragment(fragment) => fragment.bytes.clone(),
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
        // ffmpeg reads a packet of nothing where the FLV tells the channels of Opus.
        if coded.bytes != "0" {
            streams.entry(kind_of[stream].to_owned()).or_default().push(coded);
        }
    }
    (streams, extradata)
}

/// The same frames, so many milliseconds later. Of video frames there may be none.
fn assert_same(mp4: &Path, flv: &Path, has_video: bool, later: f64) {
    let ((got, got_extra), (mut expected, extra)) = (read(mp4), read(flv));
    expected.retain(|kind, _| kind == "audio" || has_video);
    assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (kind, expected) in expected {
        let got = &got[&kind];
        assert_eq!(got.len(), expected.len(), "{kind}");
        for (index, (got, expected)) in got.iter().zip(&expected).enumerate() {
            assert_eq!((&got.bytes, &got.checksum), (&expected.bytes, &expected.checksum), "{kind} {index}");
            let off = |got, expected| f64::abs(got - expected - later);
            let off = off(got.dts, expected.dts).max(off(got.pts, expected.pts));
            assert!(off <= 1.0, "{kind} {index}: {got:?} instead of {expected:?}");
        }
    }
    // In the FLV the streams may be in the other order.
    let sums = |extra: &[String]| {
        let sums = extra.iter().map(|line| line.split(' ').skip(2).collect::<String>());
        sums.collect::<std::collections::BTreeSet<_>>()
    };
    let (got, mut expected) = (sums(&got_extra), sums(&extra));
    // ffmpeg doesn't tell what is in a vpcC.
    expected.retain(|sum| got.contains(sum) || !sum.starts_with("12,"));
    assert_eq!(got, expected);
}

fn holds(name: &str, codecs: &str) {
    let (flv, dir) = (media::sample(name), TempDir::new().unwrap());
    let packets = packets(&flv);
    let pieces = pieces(&packets);
    let init = init(&pieces);
    assert_eq!(init.codecs, codecs);
    assert_eq!(init.has_video, !codecs.starts_with("mp4a"));
    assert_eq!(init.size, if init.has_video { (320, 240) } else { (0, 0) });
    assert_same(&mp4(&pieces, &dir), &flv, init.has_video, 0.0);
    let is_key = |fragment: &&Fragment| fragment.is_key_frame;
    let key_frames = packets.iter().filter(|packet| packet.is_key_frame()).count();
    if init.has_video {
        assert_eq!(fragments(&pieces).filter(is_key).count(), key_frames);
    } else {
        assert!(fragments(&pieces).all(|fragment| fragment.is_key_frame && fragment.kind == PacketKind::Audio));
    }
}

macro_rules! hold {
    ($($test:ident: $name:literal is $codecs:literal,)*) => {$(
        #[test]
        fn $test() {
            holds($name, $codecs);
        }
    )*};
}

hold! {
    h264_and_aac: "h264-aac" is "avc1.42c00c,mp4a.40.2",
    h264_with_b_frames_and_aac: "h264-b-frames-aac" is "avc1.4d400c,mp4a.40.2",
    h264_and_mp3: "h264-mp3" is "avc1.64000c,mp4a.6B",
    audio_only: "audio-only" is "mp4a.40.2",
    video_only: "video-only" is "avc1.64000c",
    video_that_mp4_does_not_know: "sorenson-mp3" is "mp4a.6B",
    hevc_and_aac: "hevc-aac" is "hvc1.1.6.L60.90,mp4a.40.2",
    av1_and_opus: "av1-opus" is "av01.0.00M.08,opus",
    vp9_and_opus: "vp9-opus" is "vp09.00.20.08,opus",
}

#[test]
fn times_go_on_over_32_bits() {
    let later = u32::MAX - 1999;
    let (flv, dir) = (media::sample("h264-b-frames-aac"), TempDir::new().unwrap());
    let mut packets = packets(&flv);
    packets.iter_mut().for_each(|packet| packet.timestamp = packet.timestamp + later);
    assert_same(&mp4(&pieces(&packets), &dir), &flv, true, later.into());
}

#[test]
fn a_file_from_a_time_on() {
    let (flv, dir) = (media::sample("h264-b-frames-aac"), TempDir::new().unwrap());
    let server = Server::with_http(flv.parent().unwrap(), &[]);
    let from = |query: &str| {
        let name = flv.file_stem().unwrap().to_str().unwrap();
        let file = dir.path().join("a.mp4");
        std::fs::write(&file, http::get(&server, &format!("/gortmp/{name}.mp4{query}")).body).unwrap();
        file
    };
    assert_same(&from(""), &flv, true, 0.0);
    let tail = read(&from("?start=2.7")).0;
    for (kind, whole) in read(&flv).0 {
        let tail = &tail[&kind];
        let rest = &whole[whole.len() - tail.len()..];
        assert!(tail.iter().zip(rest).all(|(got, expected)| got.checksum == expected.checksum), "{kind}");
        assert!((tail[0].dts - rest[0].dts).abs() <= 1.0, "{kind}: {tail:?} instead of {rest:?}");
        assert!((1_900.0..2_200.0).contains(&tail[0].dts), "{kind} begins at {}", tail[0].dts);
    }
}

/// Silence stands in for what is missing, and can be decoded.
fn bridges_a_gap(name: &str) {
    let (mut packets, dir) = (packets(&media::sample(name)), TempDir::new().unwrap());
    let is_lost =
        |packet: &Packet| packet.kind == PacketKind::Audio && (1_000..1_500).contains(&packet.timestamp.milliseconds());
    let whole = pieces(&packets);
    packets.retain(|packet| !is_lost(packet));
    let bridged = pieces(&packets);
    let mut ends = fragments(&bridged).filter(|fragment| fragment.kind == PacketKind::Audio);
    let first = ends.next().unwrap();
    ends.try_fold(first.time_ms + u64::from(first.duration_ms), |end, next| {
        let end_after = next.time_ms + u64::from(next.duration_ms);
        if next.time_ms.abs_diff(end) <= 45 { Ok(end_after) } else { Err(format!("{end} to {}", next.time_ms)) }
    })
    .unwrap();
    assert!(bridged.len() > whole.len() - 4, "{} pieces instead of {}", bridged.len(), whole.len());
    let mut command = media::recent_ffmpeg();
    command.arg("-i").arg(mp4(&bridged, &dir)).args(["-f", "null", "-"]);
    let output = command.output().expect("ffmpeg runs");
    let trouble = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && trouble.is_empty(), "{trouble}");
}

#[test]
fn a_gap_in_aac() {
    bridges_a_gap("audio-only");
}

#[test]
fn a_gap_in_opus() {
    bridges_a_gap("av1-opus");
}

/// What lies in the `mdat` of each fragment.
fn coded(pieces: &[MuxerOutput]) -> Vec<Vec<u8>> {
    let data = |fragment: &Fragment| {
        let moof = u32::from_be_bytes(*fragment.bytes.first_chunk().unwrap()) as usize;
        fragment.bytes[moof + 8..].to_vec()
    };
    fragments(pieces).map(data).collect()
}

#[test]
fn messages_that_are_no_frames_become_no_samples() {
    for case in junk::CASES {
        let packets = packets(&media::sample(case.sample));
        // Behind some of each kind, and before others.
        let middle = packets.len() / 2;
        let timestamp = packets[middle].timestamp;
        let (mut muxer, mut got) = (Muxer::new(), Vec::new());
        packets[..middle].iter().for_each(|packet| muxer.push(packet, &mut got));
        let before = coded(&got).len();
        muxer.push(&Packet { kind: case.kind, timestamp, payload: case.payload.to_vec().into() }, &mut got);
        let made = coded(&got).split_off(before);
        packets[middle..].iter().for_each(|packet| muxer.push(packet, &mut got));
        muxer.finish(&mut got);
        let ignored = muxer.take_ignored();
        let (name, expected) = (case.what, coded(&pieces(&packets)));
        assert_eq!(
            got.iter().filter(|piece| matches!(piece, MuxerOutput::Init(_))).count(),
            1,
            "{name}: the tracks change"
        );
        let (samples, count) = match case.comes_to {
            junk::ComesTo::Ignored => (vec![], 1),
            junk::ComesTo::Nothing => (vec![], 0),
            junk::ComesTo::Sample(sample) => (vec![sample.to_vec()], 0),
        };
        assert_eq!((made, ignored.count), (samples.clone(), count), "{}, {name}: {ignored:?}", case.sample);
        let shown = &case.payload[..case.payload.len().min(16)];
        assert!(ignored.first.is_none_or(|(kind, _, bytes)| (kind, &bytes[..]) == (case.kind, shown)), "{name}");
        let mut all = coded(&got);
        all.drain(before..before + samples.len());
        assert!(all == expected, "{}, {name}: other samples have changed", case.sample);
    }
}

/// Telephones and small cameras send them in a message of their own before each key frame.
#[test]
fn parameter_sets_alone_belong_to_the_configuration() {
    for (name, set_types) in [("h264-aac", &[7, 8][..]), ("hevc-aac", &[32, 33, 34])] {
        let (packets, dir) = (packets(&media::sample(name)), TempDir::new().unwrap());
        let sets = parameter_sets(&packets, set_types);
        let with_sets: Vec<_> = packets
            .iter()
            .flat_map(|packet| {
                let header = if name == "h264-aac" { &b"\x17\x01\0\0\0"[..] } else { b"\x93hvc1" };
                let payload = [header, &sets].concat();
                let alone = Packet { kind: PacketKind::Video, timestamp: packet.timestamp, payload: payload.into() };
                packet.is_key_frame().then_some(alone).into_iter().chain([packet.clone()])
            })
            .collect();
        assert!(with_sets.len() > packets.len());
        let (expected, got) = (pieces(&packets), pieces(&with_sets));
        assert!(got == expected, "{name}: they tell nothing new");
        read(&mp4(&got, &dir));
    }
}

#[test]
fn parameter_sets_that_say_something_new_make_a_new_configuration() {
    let (small, large) = (packets(&media::sample("h264-aac")), packets(&media::sample("h264-b-frames-aac")));
    let sets = parameter_sets(&large, &[7, 8]);
    let alone = |timestamp| Packet {
        kind: PacketKind::Video,
        timestamp,
        payload: [&b"\x17\x01\0\0\0"[..], &sets].concat().into(),
    };
    let last = small.last().unwrap().timestamp;
    let frames = large.iter().filter(|packet| !packet.is_sequence_header() && packet.kind == PacketKind::Video);
    let later =
        frames.map(|packet| Packet { timestamp: last + packet.timestamp.milliseconds() + 40, ..packet.clone() });
    let all: Vec<_> = small.iter().cloned().chain([alone(last)]).chain(later).collect();
    let inits: Vec<_> = pieces(&all)
        .iter()
        .filter_map(|piece| if let MuxerOutput::Init(init) = piece { Some(init.codecs.clone()) } else { None })
        .collect();
    assert_eq!(inits, ["avc1.42c00c,mp4a.40.2", "avc1.4d400c,mp4a.40.2"]);
}

/// NAL units of these types in the codec configuration, each behind a length of four bytes.
fn parameter_sets(packets: &[Packet], types: &[u8]) -> Vec<u8> {
    let header = packets.iter().find(|packet| packet.kind == PacketKind::Video && packet.is_sequence_header()).unwrap();
    let (record, of_type): (_, fn(u8) -> u8) = match header.payload[0] & 0x80 {
        0 => (&header.payload[5..], |first| first & 0x1f),
        _ => (&header.payload[5..], |first| first >> 1 & 0x3f),
    };
    // Wherever two bytes are the length of something that begins with such a type.
    let mut sets = Vec::new();
    let mut at = if types[0] == 7 { 6 } else { 26 };
    while at + 2 < record.len() {
        let length = usize::from(u16::from_be_bytes([record[at], record[at + 1]]));
        match record.get(at + 2..at + 2 + length) {
            Some(unit) if length > 2 && types.contains(&of_type(unit[0])) => {
                sets.extend((length as u32).to_be_bytes());
                sets.extend(unit);
                at += 2 + length;
            }
            _ => at += 1,
        }
    }
    assert!(!sets.is_empty());
    sets
}
