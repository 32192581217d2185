//! Names of files on demand as real clients cut them out of a URL.

use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::media::players::{self, Player};
use crate::support::media::{CLIENT_PATIENCE, sample};
use crate::support::{Running, Server, tags};

/// A server with one video under several names, each of another length so that they can't be taken for
/// one another.
fn server(dir: &TempDir) -> Server {
    std::fs::create_dir_all(dir.path().join("videos/a/b")).unwrap();
    for (name, sample_name) in FILES {
        std::fs::copy(sample(sample_name), dir.path().join("videos").join(name)).unwrap();
    }
    Server::with_videos(&dir.path().join("videos"), &[])
}

const FILES: [(&str, &str); 4] =
    [("film.flv", "h264-aac"), ("a/b/deep.flv", "h264-mp3"), ("süß.flv", "audio-only"), ("film.mp4.flv", "video-only")];

/// The URLs, and which sample each of them stands for.
const URLS: [(&str, &str); 9] = [
    ("film", "h264-aac"),
    ("film.flv", "h264-aac"),
    ("flv:film", "h264-aac"),
    ("mp4:film.flv", "h264-aac"),
    ("film?key=1", "h264-aac"),
    ("a/b/deep", "h264-mp3"),
    ("a/b/deep.flv", "h264-mp3"),
    ("süß", "audio-only"),
    ("s%C3%BC%C3%9F.flv", "audio-only"),
];

fn finds(player: Player, urls: &[(&str, &str)], missing_last: usize) {
    let dir = TempDir::new().unwrap();
    let server = server(&dir);
    for (url, name) in urls {
        let played = dir.path().join("played.flv");
        let _ = std::fs::remove_file(&played);
        let url = server.url(&format!("gortmp/{url}"));
        let mut playing = Running::start(player(&url, &played, &dir), dir.path().join("play.log"));
        let code = playing.wait(CLIENT_PATIENCE);
        assert!(played.exists(), "{url}: nothing was played, exit code {code:?}\n{}", playing.text());
        let (got, sent) = (tags::tags(&played), tags::tags(&sample(name)));
        tags::assert_same_headers(&got, &sent);
        assert_eq!(tags::assert_run(&got, &sent, missing_last), 0, "{url}");
    }
}

#[test]
fn ffmpeg() {
    finds(players::ffmpeg, &URLS, 0);
}

#[test]
fn ffmpeg_keeps_the_ending_mp4() {
    finds(players::ffmpeg, &[("film.mp4", "video-only")], 0);
}

#[test]
fn rtmpdump() {
    finds(players::rtmpdump, &URLS, 0);
}

#[test]
fn rtmp2src() {
    finds(players::rtmp2src, &URLS, 1);
}

/// How a player takes it that there is no such file: at once, and with a failure.
fn gives_up(player: Player, says: &str) {
    let dir = TempDir::new().unwrap();
    let server = server(&dir);
    for name in ["gortmp/nothing", "gortmp/a/b", "gortmp/a/b/film"] {
        let played = dir.path().join("played.flv");
        let mut playing = Running::start(player(&server.url(name), &played, &dir), dir.path().join("play.log"));
        let since = Instant::now();
        let code = playing.wait(CLIENT_PATIENCE);
        assert!(since.elapsed() < Duration::from_secs(10), "{name}: it waited {:?}", since.elapsed());
        assert!(code.is_some_and(|code| code != 0), "{name}: exit code {code:?}\n{}", playing.text());
        assert!(playing.text().contains(says), "{name}: {}", playing.text());
        assert!(std::fs::metadata(&played).map_or(0, |file| file.len()) <= 13, "{name}: something was played");
    }
}

#[test]
fn ffmpeg_without_a_file() {
    gives_up(players::ffmpeg, "");
}

#[test]
fn rtmpdump_without_a_file() {
    gives_up(players::rtmpdump, "");
}

#[test]
fn rtmp2src_without_a_file() {
    gives_up(players::rtmp2src, "");
}
