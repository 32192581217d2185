//! Publishers whose timestamps tell no time: what players over each protocol get in their place.

use std::process::Command;
use std::time::{Duration, Instant};

use gortmp::flv::Reader;
use gortmp::media::{Packet, PacketKind, Timestamp};
use tempfile::TempDir;

use crate::support::http::get;
use crate::support::{self, Server, media, wait_for};

/// From one video frame of the sample to the next, in milliseconds.
const FRAME_MS: f64 = 50.0;

/// So many video frames are looked at.
const FRAMES: usize = 40;

/// How far a time may be from the pace of arrival, in milliseconds, on a machine that has other things to do as well.
const OFF_MS: f64 = 100.0;

/// A clock: what it says at a time in milliseconds.
type Clock = fn(u64) -> u32;

/// Pushes a sample again and again at its own pace, by such a clock.
fn push(server: &Server, clock: Clock) {
    let mut reader = Reader::new(std::fs::File::open(media::sample("h264-aac")).unwrap()).unwrap();
    let packets: Vec<Packet> = std::iter::from_fn(|| reader.next_packet().unwrap()).collect();
    let mut client = support::publisher(server, "cam");
    std::thread::spawn(move || {
        let began = Instant::now();
        for round in 0.. {
            for packet in &packets {
                let time = round * 5_000 + u64::from(packet.timestamp.milliseconds());
                std::thread::sleep((began + Duration::from_millis(time)).saturating_duration_since(Instant::now()));
                let packet = Packet { timestamp: Timestamp::new(clock(time)), ..packet.clone() };
                if client.send(packet).is_err() {
                    return;
                }
            }
        }
    });
}

fn warnings(server: &Server) -> Vec<serde_json::Value> {
    let list: serde_json::Value = serde_json::from_str(&get(server, "/api/v1/streams").text()).unwrap();
    list["streams"][0]["warnings"].as_array().cloned().unwrap_or_default()
}

/// Frames with their times, in milliseconds, as a player over RTMP gets them.
fn over_rtmp(server: &Server) -> Vec<(PacketKind, f64)> {
    let mut player = support::player(server, "live", "cam");
    let mut frames = Vec::new();
    while frames.iter().filter(|(kind, _)| *kind == PacketKind::Video).count() < FRAMES {
        let packet = support::next_media(&mut player);
        if !packet.is_sequence_header() {
            frames.push((packet.kind, f64::from(packet.timestamp.milliseconds())));
        }
    }
    frames
}

/// The same as ffmpeg reads them from a URL.
fn over_http(server: &Server, path: &str) -> Vec<(PacketKind, f64)> {
    let mut probe: Command = support::tool("ffprobe", "ffmpeg");
    probe.args("-v error -show_entries packet=codec_type,dts_time -of csv=p=0 -read_intervals %+#100".split(' '));
    let output = probe.arg(format!("http://{}/live/cam{path}", server.http.unwrap())).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
    let frame = |line: &str| {
        let (kind, time) = line.trim_end_matches(',').split_once(',').expect("two fields");
        let kind = if kind == "video" { PacketKind::Video } else { PacketKind::Audio };
        (kind, time.parse::<f64>().expect("a time") * 1000.0)
    };
    text.lines().filter(|line| line.starts_with("video,") || line.starts_with("audio,")).map(frame).collect()
}

/// Times that go on at the pace of the frames, audio and video alike.
fn assert_sane(name: &str, frames: &[(PacketKind, f64)]) {
    for (kind, step) in [(PacketKind::Video, FRAME_MS), (PacketKind::Audio, 1024.0 / 44.1)] {
        let times: Vec<_> = frames.iter().filter(|frame| frame.0 == kind).map(|frame| frame.1).collect();
        assert!(times.len() >= 30, "{name}: {} frames of {kind:?}", times.len());
        assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "{name}: {kind:?} goes back: {times:?}");
        for (number, time) in times.iter().enumerate() {
            let off = time - times[0] - number as f64 * step;
            assert!(off.abs() <= OFF_MS, "{name}: {kind:?} {number} is {off} ms off: {times:?}");
        }
    }
    let first = |kind| frames.iter().find(|frame| frame.0 == kind).expect("a frame").1;
    let apart = first(PacketKind::Audio) - first(PacketKind::Video);
    assert!(apart.abs() <= OFF_MS, "{name}: audio and video are {apart} ms apart");
}

fn mends(clock: Clock, what: &str) {
    let dir = TempDir::new().unwrap();
    let server = Server::with_http(dir.path(), &[]);
    push(&server, clock);
    server.wait_for_log("started publishing live/cam");
    // It is there from the beginning.
    let mut early = support::player(&server, "live", "cam");
    let found = wait_for("a warning", || warnings(&server).into_iter().next());
    assert_eq!(found["code"], "clock-wrong");
    assert!(found["text"].as_str().unwrap().contains(what), "{found}");
    server.wait_for_logs(what, 1);
    let (rtmp, http) = std::thread::scope(|scope| {
        let paths = [".flv", ".mp4", "/index.m3u8"];
        let http = paths.map(|path| (path, scope.spawn(|| over_http(&server, path))));
        (over_rtmp(&server), http.map(|(path, thread)| (path, thread.join().unwrap())))
    });
    assert_sane("rtmp", &rtmp);
    http.iter().for_each(|(path, frames)| assert_sane(path, frames));
    // Its times have never gone back.
    let mut last = [0; 2];
    for packet in support::settle(&mut early).iter().filter(|packet| !packet.is_sequence_header()) {
        let (time, last) = (packet.timestamp.milliseconds(), &mut last[usize::from(packet.kind == PacketKind::Audio)]);
        assert!(time >= *last, "from {last} to {time}");
        *last = time;
    }
    assert_eq!(server.log().iter().filter(|line| line.contains("the publisher's timestamps")).count(), 1);
}

#[test]
fn a_clock_that_stands_still() {
    mends(|_| 0, "stand still");
}

#[test]
fn ticks_of_90_khz() {
    mends(|ms| (ms * 90) as u32, "like 90 kHz ticks");
}

#[test]
fn microseconds() {
    mends(|ms| (ms * 1000) as u32, "like microseconds");
}

#[test]
fn seconds() {
    mends(|ms| (ms / 1000) as u32, "like seconds");
}

#[test]
fn whose_times_count_can_be_set() {
    let dir = TempDir::new().unwrap();
    let server = Server::with_http(dir.path(), &["--times", "arrival"]);
    push(&server, |_| 7);
    server.wait_for_log("started publishing live/cam");
    assert_sane("from the first frame on", &over_rtmp(&server));
    let server = Server::with_http(dir.path(), &["--times", "publisher"]);
    push(&server, |_| 7);
    std::thread::sleep(Duration::from_secs(3));
    assert!(over_rtmp(&server).iter().all(|(_, time)| *time == 7.0));
    assert!(warnings(&server).is_empty());
}
