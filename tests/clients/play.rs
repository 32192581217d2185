//! Real players of a live stream: what they record is what was pushed, and they end when it ends.

use tempfile::TempDir;

use crate::support::media::players::{self, Player};
use crate::support::media::{
    self, CLIENT_PATIENCE, Expect, WHOLE, assert_same, assert_same_video, frames, push, push_to, record_stream, sample,
};
use crate::support::nginx::Nginx;
use crate::support::{self, Running, Server};

/// Players are told the end soon after the publisher left.
const GRACE: [&str; 2] = ["--republish-grace", "1"];

fn plays(player: Player, name: &str, expect: Expect) {
    let (_dir, file) = record_stream(player, name, "played.flv", push_to);
    assert_same(&frames(&file), &frames(&sample(name)), expect);
}

ffmpeg_with_each_codec!(|name| plays(players::ffmpeg, name, WHOLE));

#[test]
fn a_recent_ffmpeg_with_hevc_by_enhanced_rtmp() {
    plays(players::recent_ffmpeg, "hevc-aac", WHOLE);
}

#[test]
fn rtmpdump_h264_and_aac() {
    plays(players::rtmpdump, "h264-aac", WHOLE);
}

#[test]
fn rtmpdump_sorenson_and_mp3() {
    plays(players::rtmpdump, "sorenson-mp3", WHOLE);
}

#[test]
fn gstreamer_rtmp2src_h264_with_b_frames() {
    // It may drop the message just before StreamEOF.
    plays(players::rtmp2src, "h264-b-frames-aac", Expect { missing_last: 1, ..WHOLE });
}

#[test]
fn vlc_h264_and_aac() {
    let (_dir, file) = record_stream(players::vlc, "h264-aac", "played.ts", push_to);
    // It loses the last packets of what it records.
    assert_same_video(&file, &sample("h264-aac"), 6);
}

#[test]
fn a_late_ffmpeg_starts_at_a_key_frame_at_once() {
    let (server, dir) = (Server::start(&GRACE), TempDir::new().unwrap());
    let mut pusher = push(&server, "h264-b-frames-aac", "live/cam", &dir);
    let mut early = support::player(&server, "live", "cam");
    while support::next_media(&mut early).timestamp.milliseconds() < 2_500 {}
    drop(early);
    let file = dir.path().join("played.flv");
    let mut playing =
        Running::start(players::ffmpeg(&server.url("live/cam"), &file, &dir), dir.path().join("play.log"));
    assert_eq!(pusher.wait(CLIENT_PATIENCE), Some(0));
    assert_eq!(playing.wait(CLIENT_PATIENCE), Some(0));
    let got = frames(&file);
    assert!(got.iter().find(|packet| packet.video_header().is_some()).is_some_and(|first| first.is_key_frame()));
    assert_same(&got, &frames(&sample("h264-b-frames-aac")), Expect { missing_first: 200, ..WHOLE });
    assert!(got.len() > 80, "{} frames", got.len());
}

#[test]
fn nginx_rtmp_pulling() {
    let (server, dir) = (Server::start(&GRACE), TempDir::new().unwrap());
    let nginx = Nginx::start(&dir, &format!("live on; pull {} name=cam static;", server.url("live/cam")));
    server.wait_for_log("started playing live/cam");
    let file = dir.path().join("played.flv");
    let mut command = media::ffmpeg();
    command.args(["-i", &nginx.url("cam"), "-c", "copy", "-flush_packets", "1", "-f", "flv"]).arg(&file);
    let mut playing = Running::start(command, dir.path().join("play.log"));
    nginx.wait_for_log("play: name='cam'");
    let mut pusher = push(&server, "h264-aac", "live/cam", &dir);
    assert_eq!(pusher.wait(CLIENT_PATIENCE), Some(0));
    // nginx keeps its own players waiting for the stream to come back.
    let sent = frames(&sample("h264-aac"));
    let before_the_last = &sent[sent.len() - 4];
    let got = support::wait_for("the last frames", || {
        let has_begun = std::fs::metadata(&file).is_ok_and(|status| status.len() > 13);
        let got = if has_begun { frames(&file) } else { Vec::new() };
        got.iter().any(|frame| frame.payload == before_the_last.payload).then_some(got)
    });
    playing.kill();
    assert_same(&got, &sent, Expect { missing_first: 45, missing_last: 3, rounding: 0 });
}

#[test]
fn a_player_survives_the_crash_and_return_of_its_publisher() {
    let (server, dir) = (Server::start(&["--republish-grace", "4"]), TempDir::new().unwrap());
    let file = dir.path().join("played.flv");
    let mut playing =
        Running::start(players::ffmpeg(&server.url("live/cam"), &file, &dir), dir.path().join("play.log"));
    server.wait_for_log("started playing live/cam");
    let mut first = push(&server, "h264-aac", "live/cam", &dir);
    let mut watching = support::player(&server, "live", "cam");
    while support::next_media(&mut watching).timestamp.milliseconds() < 2_000 {}
    first.kill();
    drop(watching);
    server.wait_for_log("stopped publishing live/cam");
    let mut second = push(&server, "h264-aac", "live/cam", &dir);
    assert_eq!(second.wait(CLIENT_PATIENCE), Some(0));
    assert_eq!(playing.wait(CLIENT_PATIENCE), Some(0), "{}", playing.text());
    let got = frames(&file);
    let sent = frames(&sample("h264-aac"));
    let video_frames = |packets: &[gortmp::media::Packet]| {
        packets.iter().filter(|packet| packet.video_header().is_some()).cloned().collect::<Vec<_>>()
    };
    let (got, sent) = (video_frames(&got), video_frames(&sent));
    assert!(got.windows(2).all(|pair| pair[1].timestamp.since(pair[0].timestamp) > 0), "time goes on");
    let again = &got[got.len() - sent.len()..];
    assert!(again.iter().zip(&sent).all(|(got, sent)| got.payload == sent.payload), "the second time is whole");
}
