//! nginx-rtmp between us and the world, with every codec that Debian's module knows: it pushes to us what it
//! gets, and pulls from us what it gives on.

use tempfile::TempDir;

use crate::support::media::{
    CLIENT_PATIENCE, Expect, assert_same, frames, frames_to_the_end, push_fast, push_to, sample,
};
use crate::support::nginx::Nginx;
use crate::support::{Server, player, tags, wait_for};

/// Frames of one kind in 2.5 s of a sample. nginx keeps nothing for later: until it is connected to us and
/// the next key frame has come, frames are lost.
const LOST_AT_FIRST: usize = 110;

/// From one to the other: ffmpeg to nginx, nginx to us.
fn pushes(name: &str) {
    let (server, dir) = (Server::start(&["--republish-grace", "1"]), TempDir::new().unwrap());
    let mut waiting = player(&server, "live", "relayed");
    let nginx = Nginx::start(&dir, &format!("live on; push {};", server.url("live/relayed")));
    let mut pusher = push_to(&nginx.url("cam"), name, &dir);
    let got = frames_to_the_end(&mut waiting);
    assert_eq!(pusher.wait(CLIENT_PATIENCE), Some(0), "{}", pusher.text());
    let expect = Expect { missing_first: LOST_AT_FIRST, missing_last: 0, rounding: 0 };
    assert_same(&got, &frames(&sample(name)), expect);
}

/// ffmpeg to us, us to nginx, which records what it pulled.
fn pulls(name: &str) {
    let (server, dir) = (Server::start(&["--republish-grace", "1"]), TempDir::new().unwrap());
    let folder = dir.path().join("records");
    std::fs::create_dir(&folder).unwrap();
    let application = format!(
        "live on; record all; record_path {}; pull {} name=cam static;",
        folder.display(),
        server.url("live/cam")
    );
    let _nginx = Nginx::start(&dir, &application);
    server.wait_for_log("started playing live/cam");
    let mut pusher = push_fast(&server.url("live/cam"), name, &dir);
    assert_eq!(pusher.wait(CLIENT_PATIENCE), Some(0), "{}", pusher.text());
    server.wait_for_log("stopped playing live/cam");
    let record = folder.join("cam.flv");
    let sent = tags::tags(&sample(name));
    wait_for("nginx to have written its record", || record.exists().then_some(()));
    let mut got = tags::tags(&record);
    // It writes the AAC header twice, also of what is pushed to it.
    got.dedup_by(|second, first| second.is_header() && first.is_header() && second.payload == first.payload);
    tags::assert_same_headers(&got, &sent);
    assert_eq!(tags::assert_run(&got, &sent, 0), 0, "frames are missing at the start");
}

/// For each sample one test of each direction.
macro_rules! with_codecs {
    ($($module:ident: $name:literal,)*) => {$(
        mod $module {
            #[test]
            fn push() {
                super::pushes($name);
            }

            #[test]
            fn pull() {
                super::pulls($name);
            }
        }
    )*};
}

with_codecs! {
    h264_with_b_frames: "h264-b-frames-aac",
    h264_and_mp3: "h264-mp3",
    sorenson_and_mp3: "sorenson-mp3",
    audio_only: "audio-only",
    video_only: "video-only",
}
