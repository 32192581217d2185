//! Real publishers and players, and what they made of a stream compared with what was sent, frame by frame.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

/// A test for each sample that the system's ffmpeg can push and play, by a function of the sample's name.
macro_rules! ffmpeg_with_each_codec {
    ($test:expr) => {
        ffmpeg_with_each_codec! { $test;
            ffmpeg_h264_and_aac: "h264-aac",
            ffmpeg_h264_with_b_frames: "h264-b-frames-aac",
            ffmpeg_h264_and_mp3: "h264-mp3",
            ffmpeg_audio_only: "audio-only",
            ffmpeg_video_only: "video-only",
            ffmpeg_sorenson_and_mp3: "sorenson-mp3",
        }
    };
    ($test:expr; $($name:ident: $sample:literal,)*) => {
        $(
            #[test]
            fn $name() {
                let test: fn(&str) = $test;
                test($sample);
            }
        )*
    };
}

mod access;
mod clocks;
mod fmp4;
mod http;
mod late;
mod late_video;
mod names;
mod nginx_codecs;
mod play;
mod publish;
mod publish_gstreamer;
mod rtmps;
mod shutdown;
mod vlc_codecs;
mod vod;
mod whole_recordings;
