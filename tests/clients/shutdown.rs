//! The end of the server, as real clients see it.

use std::time::{Duration, Instant};

use gortmp::{Client, Config, Server as Library};
use tempfile::TempDir;

use crate::support::faults::push_without_end;
use crate::support::media::players::{self, Player};
use crate::support::media::{CLIENT_PATIENCE, ffmpeg, frames, sample};
use crate::support::{KEY, Running, Server, player, publisher, settle, terminate, tls, video};

/// How long the whole end may take, as promised.
const PROMISED: Duration = Duration::from_secs(5);

#[test]
fn real_clients_are_told_and_end_by_themselves() {
    let dir = TempDir::new().unwrap();
    let mut server = Server::start(&tls::options(dir.path()).each_ref().map(String::as_str));
    let secured = format!("rtmps://{}/live/cam", server.wait_for_address("rtmps"));

    let command = push_without_end(ffmpeg(), &sample("h264-aac"), &server.url("live/cam"));
    let mut pushing = Running::start(command, dir.path().join("push.log"));
    server.wait_for_log("started publishing live/cam");
    let start = |player: Player, url: &str, name: &str| {
        let recorded = dir.path().join(name);
        (Running::start(player(url, &recorded, &dir), dir.path().join(format!("{name}.log"))), recorded)
    };
    let mut playing = [
        start(players::ffmpeg, &server.url("live/cam"), "ffmpeg.flv"),
        start(players::ffmpeg, &secured, "secured.flv"),
        start(players::rtmpdump, &server.url("live/cam"), "rtmpdump.flv"),
        start(players::rtmp2src, &server.url("live/cam"), "gstreamer.flv"),
    ];
    server.wait_for_logs("started playing live/cam", playing.len());
    // So that each has something to write down.
    std::thread::sleep(Duration::from_secs(3));

    let began = Instant::now();
    terminate(server.pid());
    assert_eq!(server.wait(), Some(0));
    assert!(began.elapsed() < PROMISED, "{:?}", began.elapsed());
    for (client, recorded) in &mut playing {
        assert_eq!(client.wait(CLIENT_PATIENCE), Some(0), "{}:\n{}", recorded.display(), client.text());
        assert!(frames(recorded).len() > 50, "{}: {} frames", recorded.display(), frames(recorded).len());
    }
    // It has no other way to take the end than as an error, but learns which.
    assert!(pushing.wait(CLIENT_PATIENCE).is_some_and(|code| code != 0));
    for line in ["stopped publishing live/cam", "stopped playing live/cam", "the server stops", "] stopped"] {
        server.wait_for_log(line);
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = Server::start(&[]);
    let mut camera = publisher(&server, "stuck");
    // Somebody who takes nothing makes the end take its time.
    let mut stuck = player(&server, "live", "stuck");
    settle(&mut stuck);
    for n in 0..200 {
        camera.send(video(n * 40, &[KEY, &[0; 60_000]].concat())).unwrap();
    }
    settle(&mut camera);
    let began = Instant::now();
    terminate(server.pid());
    server.wait_for_log("stopping");
    terminate(server.pid());
    assert_eq!(server.wait(), Some(1));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[test]
fn a_library_server_ends_in_time_reloads_and_can_be_dropped() {
    let dir = TempDir::new().unwrap();
    let key_file = dir.path().join("keys");
    std::fs::write(&key_file, "live/cam one\n").unwrap();
    let mut config = Config::default();
    config.listen = vec!["127.0.0.1:0".parse().unwrap()];
    config.video_dir = dir.path().to_owned();
    config.http = None;
    config.access.publish.key_file = Some(key_file.clone());
    drop(Library::bind(config.clone()).unwrap());

    let server = Library::bind(config).unwrap();
    let (address, handle) = (server.local_addr(), server.handle());
    let running = std::thread::spawn(move || server.run());
    let publish = |name: &str| {
        let mut client = Client::connect(&format!("rtmp://{address}/live")).unwrap();
        client.publish(name).map(|()| client)
    };
    let mut camera = publish("cam?key=one").unwrap();
    std::fs::write(&key_file, "live/door two\n").unwrap();
    handle.reload().unwrap();
    assert!(publish("cam?key=one").is_err());
    let _door = publish("door?key=two").unwrap();
    camera.send(video(0, KEY)).unwrap();
    std::fs::remove_file(&key_file).unwrap();
    assert!(handle.reload().unwrap_err().to_string().contains("keys"));
    let began = Instant::now();
    handle.stop();
    running.join().unwrap().unwrap();
    assert!(began.elapsed() < PROMISED, "{:?}", began.elapsed());
}
