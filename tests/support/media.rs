//! Sample files of every codec, what is in them, and whether a client got just that.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use gortmp::media::{Packet, PacketKind, Timestamp};
use gortmp::{Client, ClientEvent};
use tempfile::TempDir;

use super::{Running, Server, tool};

/// How long a client may take for a sample, starting and ending included.
pub const CLIENT_PATIENCE: Duration = Duration::from_secs(60);

/// Seconds of a sample.
const SECONDS: &str = "5";

/// Name, video codec and audio codec of the samples, as ffmpeg's options.
const SAMPLES: &[(&str, &str, &str)] = &[
    ("h264-aac", "-c:v libx264 -profile:v baseline -bf 0", "-c:a aac"),
    ("h264-b-frames-aac", "-c:v libx264 -profile:v main -bf 2", "-c:a aac"),
    ("h264-mp3", "-c:v libx264 -bf 0", "-c:a libmp3lame"),
    ("audio-only", "-vn", "-c:a aac"),
    ("mp3-only", "-vn", "-c:a libmp3lame"),
    ("video-only", "-c:v libx264 -bf 0", "-an"),
    ("sorenson-mp3", "-c:v flv1", "-c:a libmp3lame"),
    ("hevc-aac", "-c:v libx265 -x265-params log-level=error:bframes=2:keyint=20:scenecut=0", "-c:a aac"),
    ("av1-opus", "-c:v libaom-av1 -cpu-used 8 -usage realtime", "-c:a libopus -ar 48000"),
    ("vp9-opus", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8", "-c:a libopus -ar 48000 -frame_duration 60"),
];

/// ffmpeg from the system, or for newer codecs the recent one, which knows Enhanced RTMP.
pub fn ffmpeg_for(sample: &str) -> Command {
    if ["hevc", "av1", "vp9"].iter().any(|codec| sample.starts_with(codec)) { recent_ffmpeg() } else { ffmpeg() }
}

pub fn ffmpeg() -> Command {
    quiet(tool("ffmpeg", "ffmpeg"))
}

pub fn recent_ffmpeg() -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/ffmpeg-recent");
    assert!(path.exists(), "{} is missing: run scripts/install-test-tools.sh", path.display());
    quiet(Command::new(path))
}

fn quiet(mut ffmpeg: Command) -> Command {
    ffmpeg.args(["-nostdin", "-hide_banner", "-loglevel", "warning", "-y"]);
    ffmpeg
}

/// The sample file of that name, made when it is not there yet.
pub fn sample(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = dir.join(format!("sample-{name}.flv"));
    if path.exists() {
        return path;
    }
    let (_, video, audio) = SAMPLES.iter().find(|sample| sample.0 == name).expect("a sample of that name");
    // Under another name until it is whole: tests run side by side.
    let new = tempfile::Builder::new().suffix(".flv").tempfile_in(dir).expect("a file").into_temp_path();
    let mut command = ffmpeg_for(name);
    command.args("-f lavfi -i testsrc2=size=320x240:rate=20 -f lavfi -i sine=sample_rate=44100".split(' '));
    command
        .args(video.split(' '))
        .args("-g 20 -pix_fmt yuv420p".split(' ').filter(|_| *video != "-vn"))
        .args("-preset veryfast".split(' ').filter(|_| video.contains("libx26")));
    command.args(audio.split(' ')).args(["-t", SECONDS, "-flags", "+bitexact", "-fflags", "+bitexact"]).arg(&new);
    let output = command.output().expect("ffmpeg runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    new.persist(&path).expect("it can be renamed");
    path
}

/// A file of half a minute with a key frame every so many seconds.
pub fn with_gops_of(seconds: u32, dir: &TempDir) -> PathBuf {
    let path = dir.path().join(format!("gops-of-{seconds}.flv"));
    let mut make = ffmpeg();
    make.args(
        "-f lavfi -i testsrc2=size=320x240:rate=25 -f lavfi -i sine -t 30 -c:v libx264 -preset ultrafast".split(' '),
    );
    make.args(["-g", &(seconds * 25).to_string()]);
    make.args("-sc_threshold 0 -bf 0 -pix_fmt yuv420p -c:a aac -f flv".split(' ')).arg(&path);
    assert!(make.status().expect("ffmpeg runs").success());
    path
}

/// Audio and video of an FLV file, sequence headers left out.
pub fn frames(path: &Path) -> Vec<Packet> {
    let mut frames = packets(path);
    frames.retain(is_frame);
    frames
}

/// All messages of an FLV file. Read here and not with the library's own reader, which is one of those under test.
pub fn packets(path: &Path) -> Vec<Packet> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(bytes.starts_with(b"FLV\x01"), "{} is no FLV file", path.display());
    let mut rest = &bytes[13..];
    let mut frames = Vec::new();
    while rest.len() >= 11 {
        let length = usize::from(rest[1]) << 16 | usize::from(rest[2]) << 8 | usize::from(rest[3]);
        let time = u32::from_be_bytes([rest[7], rest[4], rest[5], rest[6]]);
        let Some(payload) = rest.get(11..11 + length) else { break };
        let kind = PacketKind::from_type_id(rest[0]).expect("audio, video or data");
        frames.push(Packet { kind, timestamp: Timestamp::new(time), payload: payload.to_vec().into() });
        rest = rest.get(11 + length + 4..).unwrap_or_default();
    }
    frames
}

/// Neither data nor a sequence header nor the empty end of a sequence, which muxers add as they like.
fn is_frame(packet: &Packet) -> bool {
    let ends_sequence =
        packet.video_header().is_some_and(|header| header.content == gortmp::media::tag_header::Content::SequenceEnd);
    packet.kind != PacketKind::Data && !packet.is_sequence_header() && !ends_sequence
}

/// How much of a stream a client has to have got.
#[derive(Clone, Copy, Debug)]
pub struct Expect {
    /// Frames of each kind that may be missing at the start: none for who was there before the publisher.
    pub missing_first: usize,
    /// The same at the end: some clients drop their last ones.
    pub missing_last: usize,
    /// By how many milliseconds a time may be off: some muxers round.
    pub rounding: i32,
}

/// Everything.
pub const WHOLE: Expect = Expect { missing_first: 0, missing_last: 0, rounding: 0 };

/// Holds what a client got against what was sent: of each kind a run without gap, equal byte for byte, all
/// times off by one and the same amount.
pub fn assert_same(got: &[Packet], sent: &[Packet], expect: Expect) {
    let mut offset = None;
    for kind in [PacketKind::Video, PacketKind::Audio] {
        let of_kind = |packets: &[Packet]| packets.iter().filter(|p| p.kind == kind).cloned().collect::<Vec<_>>();
        let (got, sent) = (of_kind(got), of_kind(sent));
        if sent.is_empty() {
            assert!(got.is_empty(), "{} {kind:?} messages out of nowhere", got.len());
            continue;
        }
        let first = got.first().unwrap_or_else(|| panic!("no {kind:?} at all"));
        let start = sent.iter().position(|packet| packet.payload == first.payload);
        let start = start.unwrap_or_else(|| panic!("the first {kind:?} was never sent"));
        assert!(start <= expect.missing_first, "{start} {kind:?} messages are missing at the start");
        let missing = (sent.len() - start).checked_sub(got.len()).expect("no more than was sent");
        assert!(missing <= expect.missing_last, "{missing} of {} {kind:?} messages are missing at the end", sent.len());
        for (index, (got, sent)) in got.iter().zip(&sent[start..]).enumerate() {
            assert!(got.payload == sent.payload, "{kind:?} {index} has other bytes");
            let now = got.timestamp.since(sent.timestamp);
            let offset = *offset.get_or_insert(now);
            assert!((now - offset).abs() <= expect.rounding, "{kind:?} {index} is off by {now} ms, not by {offset} ms");
        }
    }
}

/// Checksums of a file's decoded video frames, whatever container they are in.
pub fn video_frames(path: &Path) -> Vec<String> {
    let mut command = ffmpeg();
    command.arg("-i").arg(path).args(["-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-"]);
    let output = command.output().expect("ffmpeg runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit(',').next()).map(|sum| sum.trim().to_owned()).collect()
}

/// Holds decoded video frames against those that were sent, a few missing at the end.
pub fn assert_same_video(got: &Path, sent: &Path, missing_last: usize) {
    let (got, sent) = (video_frames(got), video_frames(sent));
    assert!(got.len() + missing_last >= sent.len(), "{} of {} video frames came", got.len(), sent.len());
    assert!(sent.starts_with(&got), "video frames are missing or damaged");
}

/// Pushes a sample at its own pace with ffmpeg, without touching the codecs.
pub fn push(server: &Server, name: &str, path: &str, dir: &TempDir) -> Running {
    push_to(&server.url(path), name, dir)
}

/// The same to any URL.
pub fn push_to(url: &str, name: &str, dir: &TempDir) -> Running {
    push_with(&["-re"], url, name, dir)
}

/// The same as fast as the server takes it.
pub fn push_fast(url: &str, name: &str, dir: &TempDir) -> Running {
    push_with(&[], url, name, dir)
}

fn push_with(options: &[&str], url: &str, name: &str, dir: &TempDir) -> Running {
    let mut command = ffmpeg_for(name);
    command.args(options).arg("-i").arg(sample(name)).args(["-c", "copy", "-f", "flv", url]);
    Running::start(command, dir.path().join("push.log"))
}

/// Lets a player record a sample as a file on demand, under a name of its own, until it ends with that exit code.
/// Returns what it recorded in a file of that name, and the folder that holds it.
pub fn record_file(player: players::Player, name: &str, file: &str, exit_code: i32) -> (TempDir, PathBuf) {
    let dir = TempDir::new().expect("a folder of ours");
    std::fs::copy(sample(name), dir.path().join("film.flv")).expect("a copy");
    let server = Server::with_videos(dir.path(), &[]);
    let file = dir.path().join(file);
    let mut playing = Running::start(player(&server.url("gortmp/film"), &file, &dir), dir.path().join("play.log"));
    assert_eq!(playing.wait(CLIENT_PATIENCE), Some(exit_code), "{}", playing.text());
    (dir, file)
}

/// Lets a player wait for a live stream, which `push` then pushes a sample to; both end by themselves, and well.
/// Returns what the player recorded in a file of that name, and the folder that holds it.
pub fn record_stream(
    player: players::Player,
    name: &str,
    file: &str,
    push: fn(&str, &str, &TempDir) -> Running,
) -> (TempDir, PathBuf) {
    let (server, dir) = (Server::start(&["--republish-grace", "1"]), TempDir::new().expect("a folder of ours"));
    let (url, file) = (server.url("live/cam"), dir.path().join(file));
    let mut playing = Running::start(player(&url, &file, &dir), dir.path().join("play.log"));
    server.wait_for_log("started playing live/cam");
    let mut pushing = push(&url, name, &dir);
    assert_eq!(pushing.wait(CLIENT_PATIENCE), Some(0), "{}", pushing.text());
    assert_eq!(playing.wait(CLIENT_PATIENCE), Some(0), "the player ends by itself, and well:\n{}", playing.text());
    (dir, file)
}

/// Audio and video that come until the server says that the stream has ended.
pub fn frames_to_the_end(client: &mut Client) -> Vec<Packet> {
    let mut got = Vec::new();
    loop {
        match client.next_event().expect("the stream goes on") {
            ClientEvent::Media(packet) if is_frame(&packet) => got.push(packet),
            ClientEvent::Status { code, .. } if code == "NetStream.Play.Stop" => return got,
            _ => {}
        }
    }
}

/// Makes a command run as somebody else than root, which VLC refuses to be; that user may write to `dir`.
pub fn not_as_root(program: &str, package: &str, dir: &TempDir) -> Command {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).expect("a folder of ours");
    let program = tool(program, package);
    let mut command = tool("setpriv", "util-linux");
    if std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    }
    command.arg(program.get_program()).env("HOME", dir.path());
    command
}

/// Real players, each as a command that records a URL.
pub mod players {
    use std::path::Path;
    use std::process::Command;

    use tempfile::TempDir;

    use super::super::tool;
    use super::{ffmpeg_for, not_as_root};

    /// A command that plays a URL into a file.
    pub type Player = fn(&str, &Path, &TempDir) -> Command;

    pub fn ffmpeg(url: &str, file: &Path, _: &TempDir) -> Command {
        let mut command = ffmpeg_for("h264");
        command.args(["-i", url, "-c", "copy", "-f", "flv"]).arg(file);
        command
    }

    pub fn recent_ffmpeg(url: &str, file: &Path, _: &TempDir) -> Command {
        let mut command = ffmpeg_for("hevc");
        command.args(["-i", url, "-c", "copy", "-f", "flv"]).arg(file);
        command
    }

    pub fn rtmpdump(url: &str, file: &Path, _: &TempDir) -> Command {
        let mut command = tool("rtmpdump", "rtmpdump");
        command.args(["--quiet", "-r", url, "-o"]).arg(file);
        command
    }

    pub fn rtmp2src(url: &str, file: &Path, _: &TempDir) -> Command {
        let mut command = tool("gst-launch-1.0", "gstreamer1.0-tools");
        command.args(["-q", "rtmp2src", &format!("location={url}"), "!", "filesink"]);
        command.arg(format!("location={}", file.display()));
        command
    }

    pub fn vlc(url: &str, file: &Path, dir: &TempDir) -> Command {
        let mut command = not_as_root("vlc", "vlc-bin vlc-plugin-base", dir);
        command.args(["-I", "dummy", url, "--sout"]);
        command.arg(format!("#std{{access=file,mux=ts,dst={}}}", file.display())).arg("vlc://quit");
        command
    }
}
