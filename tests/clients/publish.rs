//! Real publishers: what they push arrives byte for byte.

use tempfile::TempDir;

use crate::support::media::{
    CLIENT_PATIENCE, Expect, WHOLE, assert_same, frames, frames_to_the_end, push, push_to, sample,
};
use crate::support::nginx::Nginx;
use crate::support::{self, Running, Server, player, tool};

/// Players are told the end soon after the publisher left.
const GRACE: [&str; 2] = ["--republish-grace", "1"];

/// Pushes a sample with ffmpeg to a player that waits for it.
fn ffmpeg_publishes(name: &str) {
    let (server, dir) = (Server::start(&GRACE), TempDir::new().unwrap());
    let mut waiting = player(&server, "live", "cam");
    let mut pusher = push(&server, name, "live/cam", &dir);
    let got = frames_to_the_end(&mut waiting);
    assert_eq!(pusher.wait(CLIENT_PATIENCE), Some(0));
    assert_same(&got, &frames(&sample(name)), WHOLE);
}

ffmpeg_with_each_codec!(ffmpeg_publishes);

#[test]
fn a_recent_ffmpeg_with_hevc_by_enhanced_rtmp() {
    ffmpeg_publishes("hevc-aac");
}

/// Pushes a sample with a GStreamer pipeline that ends in `sink`.
fn gstreamer_publishes(sink: &str) {
    let (server, dir) = (Server::start(&GRACE), TempDir::new().unwrap());
    let mut waiting = player(&server, "live", "cam");
    let file = sample("h264-aac");
    let mut command = tool("gst-launch-1.0", "gstreamer1.0-tools");
    let pipeline = format!(
        "-q filesrc location={} ! flvdemux name=d flvmux name=m streamable=true ! {sink} location={} \
         d.video ! queue ! h264parse ! m. d.audio ! queue ! aacparse ! m.",
        file.display(),
        server.url("live/cam"),
    );
    command.args(pipeline.split_whitespace());
    let mut pusher = Running::start(command, dir.path().join("push.log"));
    let got = frames_to_the_end(&mut waiting);
    assert_eq!(pusher.wait(CLIENT_PATIENCE), Some(0));
    // The parsers and the muxer count in nanoseconds and round on their own.
    assert_same(&got, &frames(&file), Expect { rounding: 1, ..WHOLE });
}

#[test]
fn gstreamer_rtmp2sink() {
    gstreamer_publishes("rtmp2sink");
}

#[test]
fn gstreamer_rtmpsink() {
    gstreamer_publishes("rtmpsink");
}

#[test]
fn nginx_rtmp_pushing() {
    let (server, dir) = (Server::start(&GRACE), TempDir::new().unwrap());
    let mut waiting = player(&server, "live", "relayed");
    let nginx = Nginx::start(&dir, &format!("live on; push {};", server.url("live/relayed")));
    let mut pusher = push_to(&nginx.url("cam"), "h264-aac", &dir);
    let got = frames_to_the_end(&mut waiting);
    assert_eq!(pusher.wait(CLIENT_PATIENCE), Some(0));
    // It has no cache: what came before it was connected to us and the next key frame is missing.
    assert_same(&got, &frames(&sample("h264-aac")), Expect { missing_first: 80, missing_last: 0, rounding: 0 });
    assert!(got.len() > 120, "{} frames", got.len());
}

#[test]
fn a_killed_ffmpeg_frees_the_name_at_once() {
    let (server, dir) = (Server::start(&["--replace-publisher", "never"]), TempDir::new().unwrap());
    let mut waiting = player(&server, "live", "cam");
    let mut first = push(&server, "h264-aac", "live/cam", &dir);
    support::next_media(&mut waiting);
    first.kill();
    server.wait_for_log("stopped publishing live/cam");
    let mut second = push(&server, "h264-aac", "live/cam", &dir);
    assert_eq!(second.wait(CLIENT_PATIENCE), Some(0));
}

#[test]
fn a_second_ffmpeg_is_refused_and_gives_up() {
    let (server, dir) = (Server::start(&["--replace-publisher", "never"]), TempDir::new().unwrap());
    let mut first = push(&server, "h264-aac", "live/cam", &dir);
    server.wait_for_log("started publishing live/cam");
    let other_dir = TempDir::new().unwrap();
    let mut second = push(&server, "h264-aac", "live/cam", &other_dir);
    assert_eq!(second.wait(CLIENT_PATIENCE), Some(1), "ffmpeg's answer to BadName");
    assert!(second.text().contains("is being published already"), "{}", second.text());
    assert_eq!(first.wait(CLIENT_PATIENCE), Some(0), "the first is not disturbed");
}
