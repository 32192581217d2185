//! Players that record what comes off the wire as it is: tag by tag, headers and order included.

use crate::support::media::players::{self, Player};
use crate::support::media::{push_fast, record_file, record_stream, sample};
use crate::support::tags::{self, DATA, Tag, assert_equal, assert_run, assert_same_headers, tags as tags_of};

/// What rtmpdump ends with when the last video frame comes before the end of the metadata's duration, which is
/// always so.
const RTMPDUMP_MAY_BE_INCOMPLETE: i32 = 2;

/// Plays a sample as a file on demand; returns what the player recorded.
fn from_file(player: Player, name: &str, exit_code: i32) -> Vec<Tag> {
    let (_dir, played) = record_file(player, name, "played.flv", exit_code);
    tags_of(&played)
}

/// Lets a player wait for a stream, pushes a sample as fast as it goes, and returns what was recorded.
fn from_stream(player: Player, name: &str) -> Vec<Tag> {
    let (_dir, played) = record_stream(player, name, "played.flv", push_fast);
    tags_of(&played)
}

/// The file as it is: metadata, headers, frames, times.
fn rtmpdump_gets_the_file(name: &str) {
    let got = from_file(players::rtmpdump, name, RTMPDUMP_MAY_BE_INCOMPLETE);
    let sent = tags_of(&sample(name));
    assert_equal(&tags::media(&got), &tags::media(&sent));
    let data = |tags: &[Tag]| tags.iter().filter(|tag| tag.kind == DATA).cloned().collect::<Vec<_>>();
    assert_equal(&data(&got), &data(&sent));
}

/// It may drop the message just before StreamEOF.
fn rtmp2src_gets_the_file(name: &str) {
    let got = from_file(players::rtmp2src, name, 0);
    let sent = tags_of(&sample(name));
    assert_same_headers(&got, &sent);
    assert_eq!(assert_run(&got, &sent, 1), 0, "frames are missing at the start");
}

/// The stream as it was pushed, and nothing twice. ffmpeg writes metadata of its own.
fn records_the_stream(player: Player, name: &str, missing_last: usize) {
    let (got, sent) = (from_stream(player, name), tags_of(&sample(name)));
    assert_same_headers(&got, &sent);
    let descriptions = |tags: &[Tag]| tags.iter().filter(|tag| tag.is_description()).count();
    assert_eq!(descriptions(&got), descriptions(&sent), "Enhanced RTMP's metadata");
    assert_eq!(assert_run(&got, &sent, missing_last), 0, "frames are missing at the start");
}

/// For each sample one test of every player.
macro_rules! with_every_codec {
    ($($module:ident: $name:literal,)*) => {$(
        mod $module {
            use super::*;

            #[test]
            fn rtmpdump_file() {
                rtmpdump_gets_the_file($name);
            }

            #[test]
            fn rtmp2src_file() {
                rtmp2src_gets_the_file($name);
            }

            #[test]
            fn rtmpdump_stream() {
                records_the_stream(players::rtmpdump, $name, 0);
            }

            #[test]
            fn rtmp2src_stream() {
                records_the_stream(players::rtmp2src, $name, 1);
            }
        }
    )*};
}

with_every_codec! {
    h264_and_aac: "h264-aac",
    h264_with_b_frames: "h264-b-frames-aac",
    h264_and_mp3: "h264-mp3",
    audio_only: "audio-only",
    video_only: "video-only",
    sorenson_and_mp3: "sorenson-mp3",
    hevc_by_enhanced_rtmp: "hevc-aac",
}
