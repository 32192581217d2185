//! Players other than ffmpeg and browsers get live streams and files over HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/media.rs"]
mod media;
mod support;

use std::path::PathBuf;
use std::process::Command;

use media::{
    CLIENT_PATIENCE, Expect, WHOLE, assert_same, assert_same_pictures, frames, pictures, players, push, sample,
};
use support::{Running, Server, tool};
use tempfile::TempDir;

const SAMPLE: &str = "h264-aac";

fn url(server: &Server, path: &str) -> String {
    format!("http://{}{path}", server.http.unwrap())
}

fn souphttpsrc(url: &str, file: &std::path::Path) -> Command {
    let mut command = tool("gst-launch-1.0", "gstreamer1.0-tools");
    command.args(["-q", "souphttpsrc", &format!("location={url}"), "!", "filesink"]);
    command.arg(format!("location={}", file.display()));
    command
}

/// What VLC records of a file.
fn vlc_plays(path: &str) {
    let dir = TempDir::new().unwrap();
    std::fs::copy(sample(SAMPLE), dir.path().join("film.flv")).unwrap();
    let server = Server::with_http(dir.path(), &[]);
    let file = dir.path().join("played.ts");
    let mut playing = Running::start(players::vlc(&url(&server, path), &file, &dir), dir.path().join("play.log"));
    assert_eq!(playing.wait(CLIENT_PATIENCE), Some(0), "{}", playing.text());
    // It loses the last packets of what it records.
    assert_same_pictures(&file, &sample(SAMPLE), 6);
}

#[test]
fn vlc_plays_a_file_as_flv() {
    vlc_plays("/gortmp/film.flv");
}

#[test]
fn vlc_plays_a_file_as_mp4() {
    vlc_plays("/gortmp/film.mp4");
}

#[test]
fn vlc_plays_a_file_over_hls() {
    vlc_plays("/gortmp/film/index.m3u8");
}

/// What a player records of a live stream that it comes to late.
fn record(
    path: &str,
    name: &str,
    player: impl FnOnce(&str, &std::path::Path, &TempDir) -> Command,
) -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let server = Server::with_http(dir.path(), &["--republish-grace", "1"]);
    let mut pushing = push(&server, SAMPLE, "live/cam", &dir);
    server.wait_for_log("publishes live/cam");
    let file = dir.path().join(name);
    let mut playing = Running::start(player(&url(&server, path), &file, &dir), dir.path().join("play.log"));
    assert_eq!(pushing.wait(CLIENT_PATIENCE), Some(0));
    assert_eq!(playing.wait(CLIENT_PATIENCE), Some(0), "it ends by itself, and well:\n{}", playing.text());
    (dir, file)
}

/// Pictures one behind the other, a few of those that were sent missing at either end.
fn assert_run(file: &std::path::Path, first: usize, last: usize) {
    let (got, sent) = (pictures(file), pictures(&sample(SAMPLE)));
    let start = sent.iter().position(|picture| Some(picture) == got.first()).expect("the first picture was sent");
    assert!(sent[start..].starts_with(&got), "pictures are missing or damaged");
    let missing = sent.len() - start - got.len();
    assert!(start <= first && missing <= last, "{start} of {} pictures are missing, then {missing}", sent.len());
}

#[test]
fn vlc_pulls_flv() {
    let (_dir, file) = record("/live/cam.flv", "played.ts", players::vlc);
    assert_run(&file, 75, 6);
}

#[test]
fn vlc_pulls_mp4() {
    let (_dir, file) = record("/live/cam.mp4", "played.ts", players::vlc);
    assert_run(&file, 75, 6);
}

#[test]
fn vlc_pulls_hls() {
    let (_dir, file) = record("/live/cam/index.m3u8", "played.ts", players::vlc);
    assert_run(&file, 75, 6);
}

#[test]
fn gstreamer_pulls_flv() {
    let (_dir, file) = record("/live/cam.flv", "got.flv", |url, file, _| souphttpsrc(url, file));
    assert_same(&frames(&file), &frames(&sample(SAMPLE)), Expect { missing_first: 120, ..WHOLE });
}
