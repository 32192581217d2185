//! Real players that come late to streams whose key frames are far apart or never come.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use gortmp::flv::Reader;
use gortmp::media::{Packet, PacketKind};
use tempfile::TempDir;

use crate::support::http::get;
use crate::support::{self, Running, Server, media, wait_for};

/// More than is kept of a GOP for players to come.
const OUTGROWN: usize = 18 * 1024 * 1024;

/// So many decoded frames are looked at.
const FRAMES: usize = 50;

/// How long a player may take for them: 5 s until it gets what comes, and what it takes to begin.
const LATE: Duration = Duration::from_secs(20);

/// A file that never has a second key frame for FLV, with such options of x264.
fn film(dir: &TempDir, name: &str, options: &str) -> PathBuf {
    let path = dir.path().join(name);
    let mut make = media::ffmpeg();
    make.args("-f lavfi -i testsrc2=size=640x360:rate=25,noise=alls=12:allf=t -f lavfi -i sine -t 36".split(' '));
    make.args("-c:v libx264 -preset ultrafast -qp 24 -pix_fmt yuv420p -bf 0 -c:a aac".split(' '));
    make.args(options.split(' ')).args(["-f", "flv"]).arg(&path);
    assert!(make.status().expect("ffmpeg runs").success());
    path
}

/// Pushes what is in a file, without FLV's marks of all key frames but the first: at once until the GOP has outgrown the
/// cache, then at its own pace. Returns when that begins.
fn push(server: &Server, film: &Path) {
    let mut reader = Reader::new(File::open(film).unwrap()).unwrap();
    let mut packets: Vec<Packet> = std::iter::from_fn(|| reader.next_packet().unwrap()).collect();
    let key_frames = packets.iter_mut().filter(|packet| packet.is_key_frame()).skip(1);
    key_frames.for_each(|packet| {
        let mut payload = packet.payload.to_vec();
        payload[0] = 0x27;
        packet.payload = payload.into();
    });
    let mut client = support::publisher(server, "cam");
    let mut packets = packets.into_iter();
    let (mut sent, mut last) = (0, 0);
    while sent < OUTGROWN {
        let packet = packets.next().expect("a film of many bytes");
        sent += packet.payload.len();
        last = packet.timestamp.milliseconds();
        client.send(packet).unwrap();
    }
    std::thread::spawn(move || {
        let began = Instant::now();
        for packet in packets {
            let due = began + Duration::from_millis(u64::from(packet.timestamp.milliseconds().saturating_sub(last)));
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if client.send(packet).is_err() {
                return;
            }
        }
        std::thread::sleep(LATE);
    });
}

/// The checksums of the frames that a player decodes of a URL.
fn decodes(url: &str, options: &[&str], dir: &TempDir, name: &str) -> (Running, PathBuf) {
    let sums = dir.path().join(name);
    let mut command: Command = media::ffmpeg();
    command
        .args(options)
        .args([
            "-i",
            url,
            "-map",
            "0:v",
            "-frames:v",
            &FRAMES.to_string(),
            "-fps_mode",
            "passthrough",
            "-f",
            "framemd5",
        ])
        .arg(&sums);
    (Running::start(command, dir.path().join(format!("{name}.log"))), sums)
}

fn checksums(sums: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(sums).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit(',').next()).map(|sum| sum.trim().to_owned()).collect()
}

/// What players over every protocol decode that come when the first key frame is gone.
fn come_late(
    film: &Path,
    options: &[&str],
    dir: &TempDir,
    check: impl Fn(&Server),
) -> Vec<(&'static str, Vec<String>)> {
    let server = Server::with_http(dir.path(), &[]);
    push(&server, film);
    wait_for("what was sent at once", || {
        let bytes = server_bytes(&server);
        (bytes >= OUTGROWN as u64).then_some(())
    });
    check(&server);
    let http = format!("http://{}/live/cam", server.http.unwrap());
    let urls = [
        ("rtmp", server.url("live/cam")),
        ("flv", format!("{http}.flv")),
        ("mp4", format!("{http}.mp4")),
        ("hls", format!("{http}/index.m3u8")),
    ];
    let playing = urls.map(|(name, url)| (name, decodes(&url, options, dir, name)));
    let got = playing.into_iter().map(|(name, (mut player, sums))| {
        assert_eq!(player.wait(LATE), Some(0), "{name}: {}", player.text());
        (name, checksums(&sums))
    });
    got.collect()
}

fn server_bytes(server: &Server) -> u64 {
    let list: serde_json::Value = serde_json::from_str(&get(server, "/api/v1/streams").text()).unwrap();
    list["streams"][0]["bytes_in"].as_u64().unwrap_or(0)
}

fn warnings(server: &Server) -> Vec<serde_json::Value> {
    let list: serde_json::Value = serde_json::from_str(&get(server, "/api/v1/streams").text()).unwrap();
    list["streams"][0]["warnings"].as_array().expect("a list").clone()
}

#[test]
fn players_start_at_recovery_points() {
    let dir = TempDir::new().unwrap();
    let film = film(&dir, "refresh.flv", "-x264-params intra-refresh=1:keyint=50");
    let sent: HashSet<_> = media::video_frames(&film).into_iter().collect();
    let got = come_late(&film, &[], &dir, |server| {
        let warnings = warnings(server);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert_eq!(warnings[0]["code"], "recovery-points-only");
    });
    for (name, got) in got {
        let whole = got.iter().filter(|sum| sent.contains(*sum)).count();
        assert!((whole, got.len()) == (FRAMES, FRAMES), "{name}: {whole} of {} frames are as they were", got.len());
    }
}

#[test]
fn without_recovery_points_players_get_what_comes() {
    let dir = TempDir::new().unwrap();
    let film = film(&dir, "none.flv", "-g 9999 -sc_threshold 0");
    // Without that, ffmpeg waits for the first whole frame, which never comes.
    let options = ["-flags", "output_corrupt"];
    let got = come_late(&film, &options, &dir, |server| {
        let warnings = warnings(server);
        assert_eq!(warnings.len(), 1);
        assert_eq!(warnings[0]["code"], "key-frames-rare");
        assert!(warnings[0]["text"].as_str().unwrap().contains("every 2 s"), "{warnings:?}");
        server.wait_for_logs("set a key frame every 2 s in the encoder", 1);
    });
    for (name, got) in got {
        assert!(got.len() == FRAMES, "{name}: {} frames", got.len());
    }
}

/// The video frames of H.265 as x265 makes them with such options.
fn hevc(dir: &TempDir, options: &str) -> Vec<Packet> {
    let path = dir.path().join("hevc.flv");
    let mut make = media::recent_ffmpeg();
    make.args(
        "-f lavfi -i testsrc2=size=320x240:rate=25 -t 8 -c:v libx265 -preset ultrafast -pix_fmt yuv420p".split(' '),
    );
    make.args(["-x265-params", &format!("log-level=error:keyint=50:{options}"), "-f", "flv"]).arg(&path);
    assert!(make.status().expect("ffmpeg runs").success());
    let mut reader = Reader::new(File::open(path).unwrap()).unwrap();
    let packets = std::iter::from_fn(|| reader.next_packet().unwrap());
    let is_frame = |packet: &Packet| packet.kind == PacketKind::Video && !packet.is_sequence_header();
    packets.filter(is_frame).collect()
}

/// The same as if FLV did not say which are key frames.
fn unmarked(packet: &Packet) -> Packet {
    let mut payload = packet.payload.to_vec();
    payload[0] = payload[0] & 0x8f | 0x20;
    Packet { payload: payload.into(), ..packet.clone() }
}

#[test]
fn h265_tells_where_players_can_start() {
    let dir = TempDir::new().unwrap();
    // IDR or CRA frames, all of them key frames.
    for options in ["open-gop=0:scenecut=0", "open-gop=1:scenecut=0"] {
        let frames = hevc(&dir, options);
        let marked: Vec<_> = frames.iter().map(Packet::is_key_frame).collect();
        assert_eq!(marked.iter().filter(|is_key| **is_key).count(), 4, "{options}");
        let found: Vec<_> = frames.iter().map(|frame| unmarked(frame).is_random_access()).collect();
        assert!(found == marked && frames.iter().all(|frame| !unmarked(frame).is_key_frame()), "{options}");
    }
}
