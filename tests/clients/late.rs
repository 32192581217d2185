//! Real players that come in the middle of a stream: headers first, then a run without gap from the key
//! frame that was on, audio included, to the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use gortmp::ClientEvent;
use tempfile::TempDir;

use crate::support::media::players::{self, Player};
use crate::support::media::{CLIENT_PATIENCE, push, sample};
use crate::support::{self, Running, Server, tags, wait_for};

/// When a player comes, on the stream's clock, in milliseconds. Key frames come each second.
const JOINS_AT: u32 = 2_400;

/// From one key frame to the next in a sample, in milliseconds.
const GOP_MS: u32 = 1_000;

/// Between a player's being let in and our seeing that in the log, in milliseconds.
const SLACK: u32 = 300;

/// Follows a stream and tells its time.
fn clock(server: &Server) -> Arc<AtomicU32> {
    let now = Arc::new(AtomicU32::new(0));
    let (mut client, telling) = (support::player(server, "live", "cam"), now.clone());
    std::thread::spawn(move || {
        while let Ok(event) = client.next_event() {
            if let ClientEvent::Media(packet) = event {
                telling.fetch_max(packet.timestamp.milliseconds(), Ordering::Relaxed);
            }
        }
    });
    now
}

fn joins(player: Player, name: &str, missing_last: usize) {
    let (server, dir) = (Server::start(&["--republish-grace", "1"]), TempDir::new().unwrap());
    let clock = clock(&server);
    let mut pusher = push(&server, name, "live/cam", &dir);
    wait_for("the middle of the stream", || (clock.load(Ordering::Relaxed) >= JOINS_AT).then_some(()));
    let played = dir.path().join("played.flv");
    let mut playing = Running::start(player(&server.url("live/cam"), &played, &dir), dir.path().join("play.log"));
    server.wait_for_logs("started playing live/cam", 2);
    let joined_at = clock.load(Ordering::Relaxed);
    assert_eq!(pusher.wait(CLIENT_PATIENCE), Some(0), "{}", pusher.text());
    assert_eq!(playing.wait(CLIENT_PATIENCE), Some(0), "it ends by itself, and well:\n{}", playing.text());

    let (got, sent) = (tags::tags(&played), tags::tags(&sample(name)));
    tags::assert_same_headers(&got, &sent);
    let start = tags::assert_run(&got, &sent, missing_last);
    assert!(start > 0, "it did come late");
    let first = &tags::frames(&sent)[start];
    let has_video = tags::frames(&sent).iter().any(|tag| tag.kind == tags::VIDEO);
    if has_video {
        assert!(first.is_key_frame(), "it starts with {first:?}");
    }
    let from = joined_at.saturating_sub(if has_video { GOP_MS + SLACK } else { SLACK });
    assert!((from..=joined_at + SLACK).contains(&first.time), "joined at {joined_at} ms, starts at {} ms", first.time);
}

#[test]
fn rtmpdump_h264_with_b_frames() {
    joins(players::rtmpdump, "h264-b-frames-aac", 0);
}

#[test]
fn rtmpdump_hevc_by_enhanced_rtmp() {
    joins(players::rtmpdump, "hevc-aac", 0);
}

#[test]
fn rtmpdump_sorenson_and_mp3() {
    joins(players::rtmpdump, "sorenson-mp3", 0);
}

#[test]
fn rtmpdump_audio_only() {
    joins(players::rtmpdump, "audio-only", 0);
}

#[test]
fn rtmp2src_h264_with_b_frames() {
    joins(players::rtmp2src, "h264-b-frames-aac", 1);
}

#[test]
fn rtmp2src_h264_and_mp3() {
    joins(players::rtmp2src, "h264-mp3", 1);
}
