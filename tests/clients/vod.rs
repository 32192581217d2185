//! Real players of files on demand: the whole file, from a place in it, to its end.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gortmp::media::Packet;
use tempfile::TempDir;

use crate::support::media::players::{self, Player};
use crate::support::media::{
    self, CLIENT_PATIENCE, Expect, WHOLE, assert_same, assert_same_video, frames, not_as_root, record_file, sample,
};
use crate::support::{Running, Server, wait_for};

fn plays(player: Player, name: &str, expect: Expect) {
    let (_dir, file) = record_file(player, name, "played.flv", 0);
    assert_same(&frames(&file), &frames(&sample(name)), expect);
}

ffmpeg_with_each_codec!(|name| plays(players::ffmpeg, name, WHOLE));

#[test]
fn a_recent_ffmpeg_with_hevc() {
    plays(players::recent_ffmpeg, "hevc-aac", WHOLE);
}

#[test]
fn rtmpdump_gets_the_file_as_it_is() {
    // It says 2, "may be incomplete", when the last video frame comes before the end of the duration that the
    // metadata tells, which it always does.
    let (_dir, file) = record_file(players::rtmpdump, "h264-b-frames-aac", "played.flv", 2);
    assert_same(&frames(&file), &frames(&sample("h264-b-frames-aac")), WHOLE);
}

#[test]
fn gstreamer_rtmp2src() {
    // It may drop the message just before StreamEOF.
    plays(players::rtmp2src, "h264-aac", Expect { missing_last: 1, ..WHOLE });
}

#[test]
fn vlc() {
    let (_dir, file) = record_file(players::vlc, "h264-aac", "played.ts", 0);
    // It loses the last packets of what it records.
    assert_same_video(&file, &sample("h264-aac"), 6);
}

/// The server with the sample that comes along.
fn server_with_sample() -> (Server, PathBuf) {
    let videos = Path::new(env!("CARGO_MANIFEST_DIR")).join("video");
    (Server::with_videos(&videos, &[]), videos.join("sample.flv"))
}

fn video_frames(packets: Vec<Packet>) -> Vec<Packet> {
    packets.into_iter().filter(|packet| packet.video_header().is_some()).collect()
}

#[test]
fn ffmpeg_seeks_to_the_key_frame_before() {
    let (server, file) = server_with_sample();
    let dir = TempDir::new().unwrap();
    let played = dir.path().join("played.flv");
    let mut command = media::ffmpeg();
    command.args(["-ss", "5.5", "-i", &server.url("gortmp/sample"), "-c", "copy", "-f", "flv"]).arg(&played);
    let mut playing = Running::start(command, dir.path().join("play.log"));
    assert_eq!(playing.wait(CLIENT_PATIENCE), Some(0), "{}", playing.text());
    let (got, sent) = (video_frames(frames(&played)), video_frames(frames(&file)));
    let first = sent.iter().position(|packet| packet.payload == got[0].payload).unwrap();
    assert!(got[0].is_key_frame());
    let time = sent[first].timestamp.since(sent[0].timestamp);
    assert!((4_000..=5_500).contains(&time), "it starts at {time} ms");
    assert_eq!(got.len(), sent.len() - first, "and goes on to the end");
    assert!(got.iter().zip(&sent[first..]).all(|(got, sent)| got.payload == sent.payload));
}

#[test]
fn rtmpdump_starts_and_stops_where_it_is_told() {
    let (server, file) = server_with_sample();
    let dir = TempDir::new().unwrap();
    let played = dir.path().join("played.flv");
    let mut command = players::rtmpdump(&server.url("gortmp/sample"), &played, &dir);
    command.args(["--start", "4", "--stop", "7"]);
    let mut playing = Running::start(command, dir.path().join("play.log"));
    playing.wait(CLIENT_PATIENCE);
    let (got, sent) = (video_frames(frames(&played)), video_frames(frames(&file)));
    assert!(got[0].is_key_frame());
    let first = sent.iter().position(|packet| packet.payload == got[0].payload).unwrap();
    assert!((3_000..=4_100).contains(&sent[first].timestamp.since(sent[0].timestamp)));
    let seconds = got[got.len() - 1].timestamp.since(got[0].timestamp) as f32 / 1000.0;
    assert!((2.5..4.1).contains(&seconds), "{seconds} s");
}

/// VLC by its remote control, as a person would use it.
struct RemoteVlc {
    _process: Running,
    control: BufReader<TcpStream>,
}

impl RemoteVlc {
    fn start(url: &str, dir: &TempDir) -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let mut command = not_as_root("vlc", "vlc-bin vlc-plugin-base", dir);
        command.args(["-I", "rc", "--rc-host", &address.to_string(), "--vout", "dummy", "--aout", "dummy", url]);
        let process = Running::start(command, dir.path().join("vlc.log"));
        let control = wait_for("VLC's remote control", || TcpStream::connect(address).ok());
        control.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        Self { _process: process, control: BufReader::new(control) }
    }

    fn tell(&mut self, command: &str) {
        self.control.get_mut().write_all(format!("{command}\n").as_bytes()).unwrap();
    }

    /// Where it is, in seconds.
    fn time(&mut self) -> Option<u32> {
        self.tell("get_time");
        let mut line = String::new();
        let mut time = None;
        while self.control.read_line(&mut line).is_ok_and(|length| length > 0) {
            time = line.trim_matches(['>', ' ', '\r', '\n']).parse().ok().or(time);
            line.clear();
        }
        time
    }

    fn wait_until(&mut self, what: &str, reached: impl Fn(u32) -> bool) {
        wait_for(what, || self.time().filter(|time| reached(*time)));
    }
}

#[test]
fn vlc_seeks_pauses_and_goes_on() {
    let (server, _) = server_with_sample();
    let dir = TempDir::new().unwrap();
    let mut vlc = RemoteVlc::start(&server.url("gortmp/sample"), &dir);
    vlc.wait_until("VLC to play", |time| time >= 1);
    vlc.tell("seek 8");
    vlc.wait_until("VLC to be at 8 s", |time| time >= 8);
    vlc.tell("seek 3");
    vlc.wait_until("VLC to be back at 3 s", |time| (2..=5).contains(&time));
    vlc.tell("pause");
    let paused_at = wait_for("VLC to pause", || vlc.time());
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(vlc.time().unwrap() <= paused_at + 1, "it stands still");
    vlc.tell("pause");
    vlc.wait_until("VLC to go on", |time| time > paused_at + 1);
}
