//! The server inside another program.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::{Duration, Instant};

use gortmp::media::{Packet, PacketKind, Timestamp};
use gortmp::{Client, ClientEvent, Config, Server};

#[test]
fn a_program_sees_what_goes_through_its_server() {
    let videos = tempfile::tempdir().unwrap();
    let listen = vec!["127.0.0.1:0".parse().unwrap()];
    let config =
        Config { listen, video_dir: videos.path().to_owned(), lanes: Some(1), http: None, ..Config::default() };
    let server = Server::bind(config).unwrap();
    let (address, handle) = (server.local_addr(), server.handle());
    let running = std::thread::spawn(move || server.run());

    let mut camera = Client::connect(&format!("rtmp://{address}/live")).unwrap();
    camera.publish("cam").unwrap();
    let mut player = Client::connect(&format!("rtmp://{address}/live")).unwrap();
    player.play("cam", None).unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while handle.streams().first().is_none_or(|stream| stream.players == 0) {
        assert!(Instant::now() < until, "nobody plays: {:?}", handle.streams());
        std::thread::sleep(Duration::from_millis(10));
    }
    camera
        .send(Packet { kind: PacketKind::Video, timestamp: Timestamp::ZERO, payload: vec![0x17, 1, 0, 0, 0].into() })
        .unwrap();
    while !matches!(player.next_event().unwrap(), ClientEvent::Media(_)) {}

    let streams = handle.streams();
    assert_eq!((streams.len(), &streams[0].name[..], streams[0].is_published), (1, "live/cam", true));
    while handle.traffic().messages_out == 0 {
        assert!(Instant::now() < until, "{:?}", handle.traffic());
        std::thread::yield_now();
    }
    let traffic = handle.traffic();
    assert_eq!((traffic.messages_in, traffic.bytes_in), (1, 5));
    assert_eq!((traffic.messages_out, traffic.bytes_out, traffic.batches, traffic.dropped), (1, 5, 1, 0));

    handle.stop();
    running.join().unwrap().unwrap();
}
