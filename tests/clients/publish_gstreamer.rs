//! GStreamer's two publishers with every codec that its FLV muxer takes.

use tempfile::TempDir;

use crate::support::media::{CLIENT_PATIENCE, WHOLE, assert_same, frames, frames_to_the_end, sample};
use crate::support::{Running, Server, player, tool};

const H264: &str = "d.video ! queue ! h264parse ! m.";
const SORENSON: &str = "d.video ! queue ! m.";
const AAC: &str = "d.audio ! queue ! aacparse ! m.";
const MP3: &str = "d.audio ! queue ! mpegaudioparse ! m.";

/// Pushes a sample with a pipeline that ends in `sink`, its tracks by way of `tracks`. What is sent is what
/// the muxer makes of the sample: it writes B-frames' times anew, so a file takes it down behind the muxer.
fn publishes(sink: &str, name: &str, tracks: &[&str]) {
    let (server, dir) = (Server::start(&["--republish-grace", "1"]), TempDir::new().unwrap());
    let mut waiting = player(&server, "live", "cam");
    let pushed = dir.path().join("pushed.flv");
    let mut command = tool("gst-launch-1.0", "gstreamer1.0-tools");
    let pipeline = format!(
        "-q filesrc location={} ! flvdemux name=d flvmux name=m streamable=true ! tee name=t \
         t. ! queue ! {sink} sync=false location={} t. ! queue ! filesink location={} {}",
        sample(name).display(),
        server.url("live/cam"),
        pushed.display(),
        tracks.join(" "),
    );
    command.args(pipeline.split_whitespace());
    let mut pusher = Running::start(command, dir.path().join("push.log"));
    let got = frames_to_the_end(&mut waiting);
    assert_eq!(pusher.wait(CLIENT_PATIENCE), Some(0), "{}", pusher.text());
    let sent = frames(&pushed);
    assert!(sent.len() + 2 >= frames(&sample(name)).len(), "the pipeline took the sample");
    assert_same(&got, &sent, WHOLE);
}

/// For each sample one test of each sink.
macro_rules! with_codecs {
    ($($module:ident: $name:literal by $tracks:expr,)*) => {$(
        mod $module {
            use super::*;

            #[test]
            fn rtmp2sink() {
                publishes("rtmp2sink", $name, &$tracks);
            }

            #[test]
            fn rtmpsink() {
                publishes("rtmpsink", $name, &$tracks);
            }
        }
    )*};
}

with_codecs! {
    h264_with_b_frames: "h264-b-frames-aac" by [H264, AAC],
    h264_and_mp3: "h264-mp3" by [H264, MP3],
    audio_only: "audio-only" by [AAC],
    video_only: "video-only" by [H264],
    sorenson_and_mp3: "sorenson-mp3" by [SORENSON, MP3],
}
