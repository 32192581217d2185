//! Real network cameras, GStreamer's RTSP server, pushed by the script for them, and what they have sent.

use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use gortmp::flv::Writer;
use gortmp::media::{Packet, PacketKind};
use tempfile::TempDir;

use super::signals::with_default_signals;
use super::{Running, Server, tool, wait_for};

/// Video frames a second of a camera that isn't told otherwise.
pub const FRAME_RATE: usize = 25;

/// From one of them to the next, in milliseconds.
pub const FRAME_MS: f64 = 1000.0 / FRAME_RATE as f64;

const WIDTH: usize = 320;
const HEIGHT: usize = 240;

/// A video frame of a camera, decoded to its luma alone.
pub const GRAY_BYTES: usize = WIDTH * HEIGHT;

/// Width and height of the strips that tell a video frame's number, and how many there are.
const STRIP: usize = 8;
const NUMBER_BITS: usize = 16;

/// The number in a decoded video frame.
pub fn frame_number(luma: &[u8]) -> usize {
    let row = &luma[STRIP / 2 * WIDTH..];
    (0..NUMBER_BITS).filter(|bit| row[bit * STRIP + STRIP / 2] > 128).map(|bit| 1 << bit).sum()
}

/// What a player got, decoded by ffmpeg with these options.
pub fn decode(got: &[Packet], dir: &TempDir, options: &str) -> Vec<u8> {
    let path = dir.path().join("got.flv");
    let mut writer = Writer::new(File::create(&path).expect("a file"), true, true).expect("an FLV file");
    got.iter().for_each(|packet| writer.write_packet(packet).expect("a whole packet"));
    let mut command = tool("ffmpeg", "ffmpeg");
    command.args(["-v", "error", "-i"]).arg(path).args(options.split(' ')).arg("-");
    let output = command.output().expect("ffmpeg runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The numbers of the video frames that a player got.
pub fn frame_numbers(got: &[Packet], dir: &TempDir) -> Vec<usize> {
    let frames = decode(got, dir, "-map 0:v -fps_mode passthrough -pix_fmt gray -f rawvideo");
    frames.chunks_exact(GRAY_BYTES).map(frame_number).collect()
}

/// A camera. Dropping it pulls its plug.
pub struct Camera {
    process: Running,
    record: PathBuf,
    pub url: String,
}

/// An access unit or audio frame as the camera sent it.
pub struct Sent {
    pub session: u32,
    pub kind: PacketKind,
    /// Presentation time in milliseconds.
    pub time: f64,
    /// Unix time in milliseconds when its first sample was taken.
    pub taken: f64,
    pub bytes: Vec<u8>,
}

impl Camera {
    /// Starts one with options of `tests/support/camera.py`.
    pub fn start(dir: &TempDir, options: &[&str]) -> Self {
        let stem = tempfile::Builder::new().prefix("camera").tempfile_in(dir).expect("a name").into_temp_path();
        let (record, output) = (stem.with_extension("record"), stem.with_extension("output"));
        let mut command = Command::new("/usr/bin/python3");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/camera.py"));
        command.arg("--record").arg(&record).args(options);
        let mut process = Running::start(command, output);
        let url = wait_for("a camera", || {
            assert!(process.is_alive(), "no camera; run scripts/install-test-tools.sh:\n{}", process.text());
            process.text().lines().find(|line| line.starts_with("rtsp://")).map(str::to_owned)
        });
        Self { process, record, url }
    }

    /// Starts another one where this one was, which is gone.
    pub fn replace(self, dir: &TempDir, options: &[&str]) -> Self {
        let (port, _) = self.url["rtsp://127.0.0.1:".len()..].split_once('/').expect("a port");
        let port = port.to_owned();
        drop(self);
        Self::start(dir, &[&["--port", &port], options].concat())
    }

    /// Its URL with a user's name and password.
    pub fn url_for(&self, user: &str) -> String {
        self.url.replace("://", &format!("://{user}@"))
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.process.pid().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// What it has sent in its last session so far.
    pub fn sent(&self) -> Vec<Sent> {
        let text = std::fs::read_to_string(&self.record).expect("a record");
        let mut sent: Vec<Sent> = text.split_inclusive('\n').filter_map(parse_line).collect();
        let last = sent.iter().map(|sent| sent.session).max();
        sent.retain(|sent| Some(sent.session) == last);
        sent
    }
}

/// A line of the record, if it is whole.
fn parse_line(line: &str) -> Option<Sent> {
    let fields: Vec<&str> = line.strip_suffix('\n')?.split(' ').collect();
    let [session, kind, time, taken, hex] = fields[..] else { panic!("{line}") };
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
    Some(Sent {
        session: session.parse().expect("a number"),
        kind: if kind == "video" { PacketKind::Video } else { PacketKind::Audio },
        time: time.parse().expect("a time"),
        taken: taken.parse().expect("a time"),
        bytes: (0..hex.len()).step_by(2).map(byte).collect(),
    })
}

/// With which ffmpeg a camera is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ffmpeg {
    /// The system's, 5.1 on Debian 12.
    System,
    /// One that knows Enhanced RTMP.
    Recent,
}

/// Pushes a camera to `live/cam`, with more options of the script.
pub fn push_camera(ffmpeg: Ffmpeg, camera: &str, server: &Server, dir: &TempDir, options: &[&str]) -> Running {
    tool("ffmpeg", "ffmpeg");
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut command = with_default_signals(scripts.join("push-ip-camera.sh"));
    command.args(options).args([camera, &server.url("live/cam")]);
    command.env("TMPDIR", dir.path()).env("GORTMP_PUSH_DELAY_MAX", "1");
    if ffmpeg == Ffmpeg::Recent {
        let recent = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/ffmpeg-recent");
        assert!(recent.exists(), "{} is missing: run scripts/install-test-tools.sh", recent.display());
        symlink(recent, dir.path().join("ffmpeg")).expect("a link");
        let path = std::env::var("PATH").expect("a PATH");
        command.env("PATH", format!("{}:{path}", dir.path().display()));
    }
    Running::start(command, dir.path().join("push.log"))
}
