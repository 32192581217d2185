//! VLC with every codec that it knows in FLV: decoded audio and video are those that were sent.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::media::{ffmpeg, not_as_root, push_fast, record_file, record_stream, sample};

/// How many of the last audio or video frames VLC loses of what it records; those next to them may be damaged.
const LOSES: usize = 12;

/// A command that records a URL; the container has to know the codecs.
fn vlc(url: &str, file: &Path, dir: &TempDir) -> Command {
    let container = file.extension().unwrap().to_str().unwrap();
    let mut command = not_as_root("vlc", "vlc-bin vlc-plugin-base", dir);
    command.args(["-I", "dummy", url, "--sout"]);
    command.arg(format!("#std{{access=file,mux={container},dst={}}}", file.display())).arg("vlc://quit");
    command
}

/// Checksums of a file's decoded audio (`a`) or video frames (`v`); none when it has no such track.
fn decoded(file: &Path, track: &str) -> Vec<String> {
    let mut command = ffmpeg();
    let map = format!("0:{track}?");
    command.arg("-i").arg(file).args(["-map", &map, "-fps_mode", "passthrough", "-f", "framemd5", "-"]);
    let output = command.output().expect("ffmpeg runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit(',').next()).map(|sum| sum.trim().to_owned()).collect()
}

/// Video frames from one key frame to the next in a sample.
const GOP: usize = 20;

/// Holds video frames with B-frames against those of the sample: VLC makes up times for the first of them, and
/// now and then loses the first GOP and the audio with it, from a disk and from nginx just as often.
fn assert_video_from_a_key_frame(played: &Path, name: &str) {
    let (got, sent) = (decoded(played, "v"), decoded(&sample(name), "v"));
    let same = |start: usize| got.iter().zip(&sent[start..]).take_while(|(got, sent)| got == sent).count();
    let (start, same) = [0, GOP].map(|start| (start, same(start))).into_iter().max_by_key(|run| run.1).unwrap();
    assert!(start + same + LOSES >= sent.len(), "{same} of {} are the same from {start} on", sent.len());
}

/// Holds both tracks against those of the sample: the same from the start to about the end.
fn assert_played(played: &Path, name: &str) {
    if name == "h264-b-frames-aac" {
        return assert_video_from_a_key_frame(played, name);
    }
    let mut tracks = 0;
    for track in ["a", "v"] {
        let (got, sent) = (decoded(played, track), decoded(&sample(name), track));
        let same = got.iter().zip(&sent).take_while(|(got, sent)| got == sent).count();
        assert!(same + LOSES >= sent.len(), "track {track}: {same} of {} are the same, {} came", sent.len(), got.len());
        assert!(got.len() <= sent.len(), "track {track}: {} came, sent were {}", got.len(), sent.len());
        tracks += usize::from(!sent.is_empty());
    }
    assert!(tracks > 0, "the sample could be decoded");
}

fn plays_file(name: &str, container: &str) {
    let (_dir, played) = record_file(vlc, name, &format!("played.{container}"), 0);
    assert_played(&played, name);
}

fn plays_stream(name: &str, container: &str) {
    let (_dir, played) = record_stream(vlc, name, &format!("played.{container}"), push_fast);
    assert_played(&played, name);
}

/// For each sample a test from a file and one from a stream.
macro_rules! with_codecs {
    ($($module:ident: $name:literal in $container:literal,)*) => {$(
        mod $module {
            #[test]
            fn file() {
                super::plays_file($name, $container);
            }

            #[test]
            fn stream() {
                super::plays_stream($name, $container);
            }
        }
    )*};
}

with_codecs! {
    h264_with_b_frames: "h264-b-frames-aac" in "ts",
    h264_and_mp3: "h264-mp3" in "ts",
    audio_only: "audio-only" in "ts",
    video_only: "video-only" in "ts",
    sorenson_and_mp3: "sorenson-mp3" in "avi",
}
