//! HLS players of a camera with key frames far apart, as OBS sends them by default: all of them show something soon,
//! wherever in the GOP they come.

use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::TURNS;
use crate::support::faults::push_without_end;
use crate::support::http::get;
use crate::support::media::{ffmpeg, not_as_root, recent_ffmpeg, with_gops_of};
use crate::support::{Running, Server, wait_for};

/// From one key frame to the next, in seconds.
const GOP: u32 = 10;

/// How long a player may take to its first frame, from its own start on. On an idle machine it takes 0.1 s, or 1.1 s when
/// it comes with a key frame; on a busy one all takes longer.
const SOON: Duration = Duration::from_secs(4);

/// A program that plays a URL, and what it prints when it has a frame.
type Player = fn(&str, &TempDir) -> (Command, &'static str);

fn hashing(mut ffmpeg: Command, url: &str) -> (Command, &'static str) {
    ffmpeg.args(["-i", url, "-map", "0:v", "-fps_mode", "passthrough", "-flush_packets", "1"]);
    ffmpeg.args(["-f", "framehash", "-hash", "crc32", "-"]);
    (ffmpeg, "\n0, ")
}

fn system_ffmpeg(url: &str, _: &TempDir) -> (Command, &'static str) {
    hashing(ffmpeg(), url)
}

fn new_ffmpeg(url: &str, _: &TempDir) -> (Command, &'static str) {
    hashing(recent_ffmpeg(), url)
}

fn vlc(url: &str, dir: &TempDir) -> (Command, &'static str) {
    let mut command = not_as_root("vlc", "vlc-bin vlc-plugin-base", dir);
    command.args(["-I", "dummy", "-vv", "--no-color", "--vout", "vdummy", "--aout", "adummy", url]);
    (command, "Received first picture")
}

struct LongGops {
    server: Server,
    dir: TempDir,
    began: Instant,
    _camera: Running,
}

impl LongGops {
    /// A server that a camera with long GOPs has just begun to publish to.
    fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let file = with_gops_of(GOP, &dir);
        let server = Server::with_http(dir.path(), &[]);
        let command = push_without_end(ffmpeg(), &file, &server.url("live/cam"));
        let camera = Running::start(command, dir.path().join("camera.log"));
        server.wait_for_log("started publishing live/cam");
        Self { server, dir, began: Instant::now(), _camera: camera }
    }

    fn waits_until(&self, seconds: f32) {
        std::thread::sleep(Duration::from_secs_f32(seconds).saturating_sub(self.began.elapsed()));
    }

    /// Lets a player play on; it has to have a frame soon.
    fn plays(&self, player: Player, name: &str) -> Running {
        let url = format!("http://{}/live/cam/index.m3u8", self.server.http.unwrap());
        let (command, sign) = player(&url, &self.dir);
        let comes = self.began.elapsed();
        let playing = Running::start(command, self.dir.path().join(name));
        wait_for("a frame", || playing.text().contains(sign).then_some(()));
        let took = self.began.elapsed() - comes;
        println!("{name} comes at {comes:.1?}, and has a frame after {took:.2?}");
        assert!(took < SOON, "{name} comes at {comes:?}, and has a frame after {took:?}");
        playing
    }
}

/// The first player comes that many seconds after the first key frame, another to the same GOP, and one to a later GOP.
fn begins_soon(player: Player, comes: f32) {
    let stream = LongGops::start();
    stream.waits_until(comes);
    let _first = stream.plays(player, "first");
    let _second = stream.plays(player, "second");
    stream.waits_until(12.5);
    stream.plays(player, "third");
}

#[test]
fn ffmpeg_that_comes_with_the_camera() {
    let _turn = TURNS.take();
    begins_soon(system_ffmpeg, 0.0);
}

#[test]
fn ffmpeg_that_comes_within_a_gop() {
    let _turn = TURNS.take();
    begins_soon(system_ffmpeg, 2.7);
}

#[test]
fn a_recent_ffmpeg_that_comes_within_a_gop() {
    let _turn = TURNS.take();
    begins_soon(new_ffmpeg, 2.7);
}

#[test]
fn vlc_that_comes_with_the_camera() {
    let _turn = TURNS.take();
    begins_soon(vlc, 0.0);
}

#[test]
fn vlc_that_comes_within_a_gop() {
    let _turn = TURNS.take();
    begins_soon(vlc, 2.7);
}

#[test]
fn playlists_name_files_that_are_there() {
    let _turn = TURNS.take();
    let stream = LongGops::start();
    stream.waits_until(2.7);
    // Of the first player and another, which get lists of their own.
    for _ in 0..2 {
        let index = get(&stream.server, "/live/cam/index.m3u8").text();
        let list = get(&stream.server, &format!("/live/cam/{}", index.lines().last().unwrap())).text();
        let names = list.lines().filter_map(|line| match line.strip_prefix("#EXT-X-") {
            None if line.starts_with('#') => None,
            None => Some(line),
            Some(tag) if tag.starts_with("PRELOAD-HINT") => None,
            Some(tag) => Some(tag.split_once("URI=\"")?.1.split_once('"')?.0),
        });
        let names: Vec<_> = names.collect();
        assert!(names.len() > 10, "{list}");
        for name in names {
            assert_eq!(get(&stream.server, &format!("/live/cam/{name}")).status, 200, "{name} of {list}");
        }
    }
    let gone = get(&stream.server, "/live/cam/media-99-4.m3u8");
    assert_eq!(gone.status, 404, "{gone:?}");
}
