//! Network cameras that reboot, freeze, or want another password, and the script that pushes them.

use std::time::{Duration, Instant};

use gortmp::Client;
use gortmp::media::{Packet, PacketKind};
use tempfile::TempDir;

use crate::TURNS;
use crate::support::camera::{Camera, Ffmpeg, push_camera};
use crate::support::{Running, Server, next_media, player, wait_for};

/// Within this time a freeze is noticed: 13 to 17 s, and more where tests have to share the processors.
const NOTICED: Duration = Duration::from_secs(30);

/// Waits for text in a script's log.
fn wait_for_text(pusher: &Running, text: &str) {
    wait_for(&format!("\"{text}\" of the script"), || pusher.text().contains(text).then_some(()));
}

/// The next so many video frames.
fn next_frames(player: &mut Client, count: usize) -> Vec<Packet> {
    let mut frames = Vec::new();
    while frames.len() < count {
        let packet = next_media(player);
        if packet.kind == PacketKind::Video && !packet.is_sequence_header() {
            frames.push(packet);
        }
    }
    frames
}

#[test]
fn players_go_on_when_a_camera_has_rebooted() {
    let _turn = TURNS.take();
    let (server, dir) = (Server::start(&[]), TempDir::new().unwrap());
    let camera = Camera::start(&dir, &[]);
    let mut player = player(&server, "live", "cam");
    let pusher = push_camera(Ffmpeg::System, &camera.url, &server, &dir, &[]);
    let before = next_frames(&mut player, 40).pop().unwrap();

    let camera = camera.replace(&dir, &[]);
    server.wait_for_logs("started publishing live/cam", 2);
    let after = next_frames(&mut player, 80);
    let last = after.last().unwrap();
    assert!(last.timestamp.since(before.timestamp) > 0, "time goes on: {:?}", last.timestamp);
    let sent = camera.sent();
    // A slice of the last frame that came is in what the new camera sent.
    let slice = &last.payload[last.payload.len() - 40..];
    assert!(sent.iter().any(|sent| sent.bytes.ends_with(slice)), "the last frame is not the new camera's");
    wait_for_text(&pusher, "exited with status");
}

/// Freezes a camera by one signal and thaws it by another: noticed in time, and then all goes on.
fn freezes(ffmpeg: Ffmpeg, freeze: &str, thaw: &str) {
    let _turn = TURNS.take();
    let (server, dir) = (Server::start(&[]), TempDir::new().unwrap());
    let camera = Camera::start(&dir, &[]);
    let mut player = player(&server, "live", "cam");
    player.set_read_timeout(Some(2 * NOTICED)).unwrap();
    let pusher = push_camera(ffmpeg, &camera.url, &server, &dir, &[]);
    next_frames(&mut player, 40);

    camera.signal(freeze);
    let frozen = Instant::now();
    wait_for_text(&pusher, "push-ip-camera.sh: ffmpeg exited with status");
    assert!(frozen.elapsed() < NOTICED, "it took {:?}", frozen.elapsed());
    camera.signal(thaw);
    server.wait_for_logs("started publishing live/cam", 2);
    next_frames(&mut player, 80);
}

#[test]
fn a_camera_that_answers_nothing_any_more_is_noticed() {
    freezes(Ffmpeg::System, "STOP", "CONT");
}

#[test]
fn a_recent_ffmpeg_notices_a_camera_that_answers_nothing_any_more() {
    freezes(Ffmpeg::Recent, "STOP", "CONT");
}

#[test]
fn a_camera_that_sends_nothing_any_more_is_noticed() {
    freezes(Ffmpeg::System, "USR1", "USR2");
}

#[test]
fn a_recent_ffmpeg_notices_a_camera_that_sends_nothing_any_more() {
    freezes(Ffmpeg::Recent, "USR1", "USR2");
}

#[test]
fn a_camera_with_another_password_is_explained_once() {
    let _turn = TURNS.take();
    let (server, dir) = (Server::start(&[]), TempDir::new().unwrap());
    let user = ["--user", "visitor", "--password"];
    let camera = Camera::start(&dir, &[&user[..], &["first-secret"]].concat());
    let mut player = player(&server, "live", "cam");
    let pusher = push_camera(Ffmpeg::System, &camera.url_for("visitor:first-secret"), &server, &dir, &[]);
    next_frames(&mut player, 40);
    assert_eq!(pusher.text(), "");

    // It comes back with another password, and later with the old one.
    let camera = camera.replace(&dir, &[&user[..], &["second-secret"]].concat());
    wait_for_text(&pusher, "push-ip-camera.sh: the camera refuses the user visitor: check name and password");
    let so_far = pusher.text().matches("restarting in 1 s").count();
    wait_for("further attempts", || (pusher.text().matches("restarting in 1 s").count() >= so_far + 3).then_some(()));
    assert_eq!(pusher.text().matches("refuses").count(), 1, "{}", pusher.text());
    let _camera = camera.replace(&dir, &[&user[..], &["first-secret"]].concat());
    next_frames(&mut player, 80);
    assert!(!pusher.text().contains("secret"), "{}", pusher.text());
}

#[test]
fn a_camera_whose_password_was_not_given_is_explained() {
    let _turn = TURNS.take();
    let (server, dir) = (Server::start(&[]), TempDir::new().unwrap());
    let camera = Camera::start(&dir, &["--user", "visitor", "--password", "secret"]);
    let pusher = push_camera(Ffmpeg::Recent, &camera.url, &server, &dir, &[]);
    wait_for_text(&pusher, "push-ip-camera.sh: the camera asks for a user and a password, and its URL has none");
}
