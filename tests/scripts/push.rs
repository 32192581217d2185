//! The push scripts with real ffmpeg against the real server.

use std::path::Path;
use std::process::Command;

use gortmp::media::PacketKind;
use tempfile::TempDir;

use crate::support::signals::{self, with_default_signals};
use crate::support::{PATIENCE, Running, Server, next_media, player, terminate, tool, wait_for};

fn script(name: &str, dir: &TempDir) -> Command {
    // Says how to install it if it is missing.
    tool("ffmpeg", "ffmpeg");
    let mut command = with_default_signals(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name));
    command.env("TMPDIR", dir.path()).env("GORTMP_PUSH_DELAY", "0");
    command
}

fn start(command: Command, dir: &TempDir) -> Running {
    Running::start(command, dir.path().join("output"))
}

/// Both audio and video come.
fn assert_audio_and_video(server: &Server, name: &str) {
    let mut player = player(server, "live", name);
    let (mut audio, mut video) = (0, 0);
    while audio < 20 || video < 20 {
        match next_media(&mut player).kind {
            PacketKind::Audio => audio += 1,
            _ => video += 1,
        }
    }
}

#[test]
fn the_test_pattern_plays_and_ends_with_its_script() {
    let (server, dir) = (Server::start(&[]), TempDir::new().unwrap());
    let mut command = script("push-test-pattern.sh", &dir);
    command.args(["--size", "320x240", "--fps", "15"]).arg(server.url("live/pattern"));
    let mut pusher = start(command, &dir);
    assert_audio_and_video(&server, "pattern");
    terminate(pusher.pid());
    pusher.wait(PATIENCE);
    server.wait_for_log("stopped publishing live/pattern");
}

#[test]
fn a_file_plays_over_and_over_and_comes_back_after_a_crash() {
    let (server, dir) = (Server::start(&[]), TempDir::new().unwrap());
    let mut command = script("push-file.sh", &dir);
    command.arg("--loop").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("video/sample.flv"));
    command.arg(server.url("live/file"));
    let pusher = start(command, &dir);
    assert_audio_and_video(&server, "file");
    let mut player = player(&server, "live", "file");
    next_media(&mut player);

    let ffmpeg = wait_for("ffmpeg among the script's descendants", || {
        descendants(pusher.pid()).into_iter().find(|pid| command_name(*pid).as_deref() == Some("ffmpeg"))
    });
    assert!(Command::new("kill").args(["-9", &ffmpeg.to_string()]).status().unwrap().success());
    server.wait_for_logs("started publishing live/file", 2);
    let mut last = next_media(&mut player).timestamp;
    for _ in 0..100 {
        let timestamp = next_media(&mut player).timestamp;
        assert!(timestamp.since(last) > -1000, "time goes on over the restart");
        last = timestamp;
    }
}

#[test]
fn a_list_of_cameras_is_pushed_at_once() {
    let (server, dir) = (Server::start(&[]), TempDir::new().unwrap());
    let list = dir.path().join("cameras.conf");
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("video/sample.flv");
    std::fs::write(&list, format!("door test --size 320x240 --fps 15\nyard {} --loop\n", sample.display())).unwrap();
    let mut command = script("push-cameras.sh", &dir);
    command.arg("--server").arg(server.url("live")).arg(&list);
    let mut pusher = start(command, &dir);
    assert_audio_and_video(&server, "door");
    assert_audio_and_video(&server, "yard");
    terminate(pusher.pid());
    pusher.wait(PATIENCE);
    server.wait_for_log("stopped publishing live/door");
    server.wait_for_log("stopped publishing live/yard");
}

#[test]
fn whoever_runs_the_tests_may_ignore_signals() {
    signals::assert_pass_with_signals_ignored(
        module_path!(),
        &["the_test_pattern_plays_and_ends_with_its_script", "a_list_of_cameras_is_pushed_at_once"],
    );
}

fn command_name(pid: u32) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).ok().map(|name| name.trim().to_owned())
}

/// All processes that descend from one.
fn descendants(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children: Vec<u32> = children.split_whitespace().filter_map(|child| child.parse().ok()).collect();
    children.iter().flat_map(|child| descendants(*child)).chain(children.iter().copied()).collect()
}
