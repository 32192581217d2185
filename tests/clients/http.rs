//! Players get live streams and files over HTTP.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::http::Chunked;
use crate::support::media::players::{self, Player};
use crate::support::media::{
    self, CLIENT_PATIENCE, Expect, WHOLE, assert_same, assert_same_video, frames, push, sample, video_frames,
};
use crate::support::{self, Running, Server, tool};

const SAMPLE: &str = "h264-b-frames-aac";

/// Of the other VLC loses video frames now and then, whatever it comes from.
const FOR_VLC: &str = "h264-aac";

/// VLC loses the last packets of what it records.
const LOST_BY_VLC: usize = 6;

/// How long ffprobe may look at a live stream. Without the kind that it waits for, it takes minutes.
const PROBE_PATIENCE: Duration = Duration::from_secs(12);

fn tail(mut command: Command, last: &str) -> Command {
    command.arg(last);
    command
}

fn souphttpsrc(url: &str, file: &Path, _: &TempDir) -> Command {
    let mut command = tool("gst-launch-1.0", "gstreamer1.0-tools");
    command.args(["-q", "souphttpsrc", &format!("location={url}"), "!", "filesink"]);
    command.arg(format!("location={}", file.display()));
    command
}

fn play(player: Player, server: &Server, path: &str, dir: &TempDir, name: &str) -> (Running, PathBuf) {
    let file = dir.path().join(name);
    let url = format!("http://{}{path}", server.http.unwrap());
    (Running::start(player(&url, &file, dir), dir.path().join("play.log")), file)
}

/// What a player records of a file.
fn plays(player: Player, sample_name: &str, path: &str, name: &str) -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    std::fs::copy(sample(sample_name), dir.path().join("film.flv")).unwrap();
    let server = Server::with_http(dir.path(), &[]);
    let (mut playing, file) = play(player, &server, path, &dir, name);
    assert_eq!(playing.wait(CLIENT_PATIENCE), Some(0), "{}", playing.text());
    (dir, file)
}

/// What a player records of a live stream that it comes to late.
fn pulls(player: Player, sample_name: &str, path: &str, name: &str) -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let server = Server::with_http(dir.path(), &["--republish-grace", "1"]);
    let mut pushing = push(&server, sample_name, "live/cam", &dir);
    server.wait_for_log("started publishing live/cam");
    let (mut playing, file) = play(player, &server, path, &dir, name);
    assert_eq!(pushing.wait(CLIENT_PATIENCE), Some(0));
    assert_eq!(playing.wait(CLIENT_PATIENCE), Some(0), "it ends by itself, and well:\n{}", playing.text());
    (dir, file)
}

#[test]
fn vlc_plays_files() {
    for path in ["/gortmp/film.flv", "/gortmp/film.mp4", "/gortmp/film/index.m3u8"] {
        let (_dir, file) = plays(players::vlc, FOR_VLC, path, "played.ts");
        assert_same_video(&file, &sample(FOR_VLC), LOST_BY_VLC);
    }
}

#[test]
fn ffmpeg_plays_a_file_over_hls() {
    let (_dir, file) = plays(players::ffmpeg, SAMPLE, "/gortmp/film/index.m3u8", "got.flv");
    assert_same(&frames(&file), &frames(&sample(SAMPLE)), Expect { rounding: 1, ..WHOLE });
}

/// What a player gets while ffmpeg pushes is what was pushed, from some frame on, times off by so much at the most.
fn assert_pulls(player: Player, path: &str, rounding: i32) {
    let (_dir, file) = pulls(player, SAMPLE, path, "got.flv");
    assert_same(&frames(&file), &frames(&sample(SAMPLE)), Expect { missing_first: 120, missing_last: 0, rounding });
}

#[test]
fn ffmpeg_pulls_flv() {
    assert_pulls(players::ffmpeg, "/live/cam.flv", 0);
}

#[test]
fn ffmpeg_pulls_mp4() {
    assert_pulls(players::ffmpeg, "/live/cam.mp4", 1);
}

#[test]
fn ffmpeg_pulls_hls() {
    assert_pulls(players::ffmpeg, "/live/cam/index.m3u8", 1);
}

#[test]
fn gstreamer_pulls_flv() {
    assert_pulls(souphttpsrc, "/live/cam.flv", 0);
}

/// The same of video frames decoded from what VLC recorded.
fn assert_vlc_pulls(path: &str) {
    let (_dir, file) = pulls(players::vlc, FOR_VLC, path, "played.ts");
    let (got, sent) = (video_frames(&file), video_frames(&sample(FOR_VLC)));
    let start =
        sent.iter().position(|video_frame| Some(video_frame) == got.first()).expect("the first video frame was sent");
    assert!(sent[start..].starts_with(&got), "video frames are missing or damaged");
    let missing = sent.len() - start - got.len();
    assert!(
        start <= 75 && missing <= LOST_BY_VLC,
        "{start} of {} video frames are missing, then {missing}",
        sent.len()
    );
}

#[test]
fn vlc_pulls_flv() {
    assert_vlc_pulls("/live/cam.flv");
}

#[test]
fn vlc_pulls_mp4() {
    assert_vlc_pulls("/live/cam.mp4");
}

#[test]
fn vlc_pulls_hls() {
    assert_vlc_pulls("/live/cam/index.m3u8");
}

/// ffprobe looks for what the header of an FLV stream promises until it has it.
#[test]
fn the_header_of_a_live_flv_promises_what_comes() {
    for (name, flags, kinds) in [
        ("mp3-only", 4, "audio"),
        ("audio-only", 4, "audio"),
        ("video-only", 1, "video"),
        ("h264-mp3", 5, "video audio"),
        ("sorenson-mp3", 5, "video audio"),
    ] {
        let dir = TempDir::new().unwrap();
        let server = Server::with_http(dir.path(), &[]);
        let mut pushing = media::ffmpeg();
        pushing.args(["-re", "-stream_loop", "-1", "-i"]).arg(sample(name)).args(["-c", "copy", "-f", "flv"]);
        let mut pushing = Running::start(tail(pushing, &server.url("live/cam")), dir.path().join("push.log"));
        server.wait_for_log("started publishing live/cam");
        // The metadata and the first frames have come when a player has got something.
        let mut player = support::player(&server, "live", "cam");
        support::next_medias(&mut player, 3);
        let mut http = support::http::Http::open(&server);
        http.request("GET", "/live/cam.flv", "");
        assert_eq!(http.head().status, 200);
        let mut header = [0; 5];
        Chunked::new(&mut http.0).read_exact(&mut header).unwrap();
        assert_eq!(header, [b'F', b'L', b'V', 1, flags], "{name}");
        let mut probe = tool("ffprobe", "ffmpeg");
        probe.args("-loglevel error -show_entries stream=codec_type -of csv=p=0".split(' '));
        let url = format!("http://{}/live/cam.flv", server.http.unwrap());
        let mut probing = Running::start(tail(probe, &url), dir.path().join("probe.log"));
        assert_eq!(probing.wait(PROBE_PATIENCE), Some(0), "{name}: {}", probing.text());
        assert_eq!(probing.text().split_whitespace().collect::<Vec<_>>().join(" "), kinds, "{name}");
        assert!(pushing.is_alive());
    }
}
