//! Files on demand: pause, seek, start, duration, the end, names, damage.

use std::path::Path;
use std::time::{Duration, Instant};

use gortmp::amf::Value;
use gortmp::flv::Writer;
use gortmp::media::{Packet, PacketKind};
use gortmp::rtmp::message::Message;
use gortmp::rtmp::user_control::UserControl;
use gortmp::{Client, ClientEvent};
use tempfile::TempDir;

use crate::support::{self, AAC_HEADER, AVC_HEADER, PATIENCE, Server, audio, next_media, next_status, video, wait_for};

/// Milliseconds between the video frames of the files below; each second starts with a key frame.
const FRAME: u32 = 40;

/// A video frame that no other is equal to.
fn frame(time: u32) -> Packet {
    let first = if time.is_multiple_of(1000) { 0x17 } else { 0x27 };
    video(time, &[&[first, 1, 0, 0, 0][..], &time.to_be_bytes()].concat())
}

fn audio_frame(time: u32) -> Packet {
    audio(time, &[&[0xaf, 1][..], &time.to_be_bytes()].concat())
}

/// The packets of a file of that length, headers first.
fn packets(seconds: u32) -> Vec<Packet> {
    let mut packets = vec![video(0, AVC_HEADER), audio(0, AAC_HEADER)];
    packets.extend((0..seconds * 1000).step_by(FRAME as usize).flat_map(|time| [frame(time), audio_frame(time + 7)]));
    packets
}

fn flv(packets: &[Packet]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), true, true).unwrap();
    packets.iter().for_each(|packet| writer.write_packet(packet).unwrap());
    writer.into_inner()
}

/// A folder with `film.flv` of that length.
fn folder(seconds: u32) -> TempDir {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("film.flv"), flv(&packets(seconds))).unwrap();
    dir
}

fn connect(server: &Server, app: &str) -> Client {
    let client = crate::support::connect(server, app).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

/// A player that announces its buffer first.
fn play(server: &Server, buffer_ms: u32, arguments: Vec<Value>) -> Client {
    let mut client = connect(server, "gortmp");
    let buffer = UserControl::SetBufferLength { stream_id: 1, buffer_ms };
    client.send_message(0, &Message::UserControl(buffer)).unwrap();
    client.send_command("play", Value::Null, arguments).unwrap();
    client
}

/// As rtmpdump asks for a file: all at once.
const AT_ONCE: u32 = 36_000_000;

/// Audio and video up to Play.Stop.
fn media_to_the_end(client: &mut Client) -> Vec<Packet> {
    let mut media = Vec::new();
    loop {
        match client.next_event().expect("the file goes on") {
            ClientEvent::Media(packet) if packet.kind != PacketKind::Data => media.push(packet),
            ClientEvent::Status { code, .. } if code == "NetStream.Play.Stop" => return media,
            _ => {}
        }
    }
}

/// Passes over everything up to a status.
fn skip_to(client: &mut Client, wanted: &str) {
    while next_status(client) != wanted {}
}

/// Gives a packet so many bytes.
fn lengthen(packet: &mut Packet, length: usize) {
    let mut payload = packet.payload.to_vec();
    payload.resize(length, 0);
    packet.payload = payload.into();
}

#[test]
fn a_whole_file_comes_byte_for_byte_and_its_end_is_told() {
    let dir = folder(5);
    let server = Server::with_videos(dir.path(), &[]);
    let mut client = play(&server, AT_ONCE, vec!["film".into()]);
    let mut told = Vec::new();
    let mut media = Vec::new();
    loop {
        match client.next_event() {
            Ok(ClientEvent::Media(packet)) if packet.kind == PacketKind::Data => {
                let text = String::from_utf8_lossy(&packet.payload).into_owned();
                told.extend(text.contains("Play.Complete").then(|| "Play.Complete".to_owned()));
            }
            Ok(ClientEvent::Media(packet)) => media.push(packet),
            Ok(ClientEvent::Status { code, .. }) => told.push(code.replace("NetStream.", "")),
            Ok(ClientEvent::UserControl(event)) => told.push(format!("{event:?}")),
            Ok(_) => {}
            Err(error) => {
                assert!(error.is_disconnect(), "{error}");
                break;
            }
        }
        if told.last().is_some_and(|last| last == "Play.Stop") {
            break;
        }
    }
    assert_eq!(media, packets(5));
    let expected = [
        "StreamIsRecorded(1)",
        "StreamBegin(1)",
        "Play.Reset",
        "Play.Start",
        "StreamEof(1)",
        "Play.Complete",
        "Play.Stop",
    ];
    assert_eq!(told, expected);
}

#[test]
fn the_connection_is_closed_some_time_after_the_end() {
    let dir = folder(1);
    let server = Server::with_videos(dir.path(), &[]);
    let mut client = play(&server, 100, vec!["film".into()]);
    media_to_the_end(&mut client);
    assert!(client.next_event().unwrap_err().is_disconnect());
}

#[test]
fn a_slow_reader_gets_every_byte_before_the_connection_is_closed() {
    let dir = TempDir::new().unwrap();
    let mut packets = packets(1);
    packets.iter_mut().skip(2).for_each(|packet| lengthen(packet, 200_000));
    std::fs::write(dir.path().join("film.flv"), flv(&packets)).unwrap();
    let server = Server::with_videos(dir.path(), &[]);
    let mut client = play(&server, 100, vec!["film".into()]);
    next_media(&mut client);
    // The file has ended for the server, and the time to close the connection has come.
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(media_to_the_end(&mut client).len() + 1, packets.len());
    assert!(client.next_event().unwrap_err().is_disconnect());
}

#[test]
fn a_file_is_paced_once_the_buffer_is_full() {
    let dir = folder(8);
    let server = Server::with_videos(dir.path(), &[]);
    let mut client = play(&server, 2_000, vec!["film".into()]);
    let started = Instant::now();
    let mut at = |time| {
        while next_media(&mut client).timestamp.milliseconds() < time {}
        started.elapsed()
    };
    assert!(at(2_000) < Duration::from_millis(900), "the buffer is filled at once");
    // Buffer and a second ahead: 6 s of the file are due after 3 s.
    let late = at(6_000);
    assert!(late > Duration::from_millis(2_400) && late < Duration::from_millis(4_500), "{late:?}");
}

#[test]
fn seeking_goes_to_the_key_frame_before_with_headers_again() {
    let dir = folder(30);
    let server = Server::with_videos(dir.path(), &[]);
    let mut client = play(&server, 1_000, vec!["film".into()]);
    next_media(&mut client);
    for (target, key_frame) in [(20_500.0, 20_000), (3_999.0, 3_000), (29_000.0, 29_000), (0.0, 0), (1e9, 29_000)] {
        client.send_command("seek", Value::Null, vec![Value::Number(target)]).unwrap();
        skip_to(&mut client, "NetStream.Seek.Notify");
        skip_to(&mut client, "NetStream.Play.Start");
        let expected = [video(key_frame, AVC_HEADER), audio(key_frame, AAC_HEADER), frame(key_frame)];
        let mut got: Vec<_> = (0..3).map(|_| next_media(&mut client)).collect();
        got[..2].sort_by_key(|packet| std::cmp::Reverse(packet.kind));
        assert_eq!(got, expected, "seek to {target} ms");
    }
}

#[test]
fn a_seek_after_the_end_plays_on() {
    let dir = folder(3);
    let server = Server::with_videos(dir.path(), &[]);
    let mut client = play(&server, 30_000, vec!["film".into()]);
    media_to_the_end(&mut client);
    client.send_command("seek", Value::Null, vec![1_000.0.into()]).unwrap();
    skip_to(&mut client, "NetStream.Seek.Notify");
    let again = media_to_the_end(&mut client);
    assert_eq!(again.len(), 2 + 2 * 50, "headers and two seconds");
}

#[test]
fn a_pause_stops_and_goes_on_where_it_was() {
    let dir = folder(30);
    let server = Server::with_videos(dir.path(), &[]);
    let mut client = play(&server, 1_000, vec!["film".into()]);
    next_media(&mut client);
    client.send_command("pause", Value::Null, vec![true.into(), 500.0.into()]).unwrap();
    let mut before = Vec::new();
    loop {
        match client.next_event().unwrap() {
            ClientEvent::Media(packet) => before.push(packet),
            ClientEvent::Status { code, .. } if code == "NetStream.Pause.Notify" => break,
            _ => {}
        }
    }
    // Nothing comes for longer than the pacing would wait.
    std::thread::sleep(Duration::from_millis(1_500));
    client.send_command("pause", Value::Null, vec![false.into(), 500.0.into()]).unwrap();
    let first = client.next_event().unwrap();
    assert!(matches!(first, ClientEvent::UserControl(UserControl::StreamBegin(1))), "{first:?} during the pause");
    skip_to(&mut client, "NetStream.Unpause.Notify");
    let all = packets(30);
    let last = before.iter().rfind(|packet| packet.kind != PacketKind::Data).unwrap();
    let position = all.iter().position(|packet| packet == last).unwrap();
    assert_eq!(next_media(&mut client), all[position + 1], "no gap, nothing twice");
}

#[test]
fn start_and_duration_in_milliseconds() {
    let dir = folder(10);
    let server = Server::with_videos(dir.path(), &[]);
    let times = |start: f64, duration: f64| {
        let mut client = play(&server, AT_ONCE, vec!["film".into(), start.into(), duration.into()]);
        let media = media_to_the_end(&mut client);
        assert_eq!(media[0].payload.len().min(media[1].payload.len()), AAC_HEADER.len(), "headers first");
        let frames = &media[2..];
        (frames[0].clone(), frames.last().unwrap().timestamp.milliseconds(), frames.len())
    };
    let (first, last, _) = times(4_500.0, 2_000.0);
    assert_eq!(first, frame(4_000));
    assert!((6_400..6_500).contains(&last), "{last}");
    let (first, _, count) = times(3_000.0, 0.0);
    assert_eq!((first, count), (frame(3_000), 1), "duration 0 is one video frame");
    let (first, last, _) = times(-2_000.0, -1.0);
    assert_eq!((first, last), (frame(0), 9_967));
}

#[test]
fn the_length_of_a_file_and_of_a_live_stream() {
    let dir = folder(10);
    let server = Server::with_videos(dir.path(), &[]);
    for (app, name, expected) in [("gortmp", "film", 9.967), ("live", "camera", 0.0)] {
        let seconds = support::stream_length(&server, app, name);
        assert!((seconds - expected).abs() < 0.05, "{app}: {seconds} s");
    }
}

#[test]
fn audio_or_video_can_be_left_out() {
    let dir = folder(30);
    let server = Server::with_videos(dir.path(), &[]);
    let mut client = play(&server, 1_000, vec!["film".into()]);
    client.send_command("receiveAudio", Value::Null, vec![false.into()]).unwrap();
    client.send_command("seek", Value::Null, vec![10_000.0.into()]).unwrap();
    skip_to(&mut client, "NetStream.Seek.Notify");
    for _ in 0..40 {
        let packet = next_media(&mut client);
        assert!(packet.kind == PacketKind::Video || packet.is_sequence_header(), "{packet:?}");
    }
}

/// What a name is answered with, by its `app` and `play` parts.
fn answer(server: &Server, app: &str, name: &str) -> String {
    let mut client = connect(server, app);
    client.send_command("play", Value::Null, vec![name.into()]).unwrap();
    loop {
        let code = next_status(&mut client);
        if code != "NetStream.Play.Reset" {
            return code;
        }
    }
}

#[test]
fn names_in_all_the_forms_that_clients_send() {
    let dir = TempDir::new().unwrap();
    std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
    for name in ["film.flv", "a/b/deep.flv", "süß & neu.flv", "100%.flv"] {
        std::fs::write(dir.path().join(name), flv(&packets(1))).unwrap();
    }
    let server = Server::with_videos(dir.path(), &[]);
    for (app, name) in [
        ("gortmp", "film"),
        ("gortmp", "film.flv"),
        ("gortmp", "flv:film"),
        ("gortmp", "mp4:film.flv"),
        ("gortmp/", "/film"),
        ("gortmp", "film?key=1"),
        ("gortmp?key=1", "film"),
        ("gortmp/a", "b/deep"),
        ("gortmp/a/b", "deep.flv"),
        ("gortmp", "a//b/deep"),
        ("gortmp", "süß & neu"),
        ("gortmp", "s%C3%BC%C3%9F%20%26%20neu"),
        ("gortmp", "100%"),
        ("gortmp", "100%25.flv"),
    ] {
        assert_eq!(answer(&server, app, name), "NetStream.Play.Start", "{app} + {name}");
    }
}

#[test]
fn nothing_outside_the_folder_is_played() {
    let outer = TempDir::new().unwrap();
    let dir = outer.path().join("video");
    std::fs::create_dir_all(dir.join("folder.flv")).unwrap();
    std::fs::write(outer.path().join("secret.flv"), flv(&packets(1))).unwrap();
    std::fs::write(dir.join(".hidden.flv"), flv(&packets(1))).unwrap();
    std::os::unix::fs::symlink("../secret.flv", dir.join("link.flv")).unwrap();
    std::os::unix::fs::symlink("..", dir.join("up")).unwrap();
    let absolute = outer.path().join("secret.flv");
    let fifo = dir.join("pipe.flv");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let server = Server::with_videos(&dir, &[]);
    for (app, name) in [
        ("gortmp", "../secret"),
        ("gortmp", "%2e%2e/secret"),
        ("gortmp", "%2e%2e%2fsecret.flv"),
        ("gortmp", "folder.flv/../../secret"),
        ("gortmp/..", "secret"),
        ("gortmp", "..\\secret"),
        ("gortmp", absolute.to_str().unwrap()),
        ("gortmp", "link"),
        ("gortmp", "up/secret"),
        ("gortmp", "folder"),
        ("gortmp", "folder.flv"),
        ("gortmp", "pipe"),
        ("gortmp", ".hidden"),
        ("gortmp", "secret\0.flv"),
        ("gortmp", "nothing"),
        ("gortmp", ""),
    ] {
        assert_eq!(answer(&server, app, name), "NetStream.Play.StreamNotFound", "{app} + {name}");
    }
}

#[test]
fn a_damaged_file_plays_up_to_the_damage_and_the_log_says_where() {
    let dir = TempDir::new().unwrap();
    let whole = flv(&packets(4));
    std::fs::write(dir.path().join("cut.flv"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(dir.path().join("text.flv"), "this is no film").unwrap();
    std::fs::write(dir.path().join("empty.flv"), "").unwrap();
    let server = Server::with_videos(dir.path(), &[]);
    let media = media_to_the_end(&mut play(&server, AT_ONCE, vec!["cut".into()]));
    assert!(media.len() > 50 && media == packets(4)[..media.len()], "{} packets", media.len());
    let line = server.wait_for_log("cut.flv");
    assert!(line.contains("byte"), "{line}");
    for name in ["text", "empty"] {
        assert_eq!(answer(&server, "gortmp", name), "NetStream.Play.Failed");
        server.wait_for_log(&format!("{name}: "));
    }
}

#[test]
fn a_file_that_is_cut_short_or_grows_while_it_plays_harms_nobody() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("film.flv");
    let mut long = packets(30);
    long.iter_mut().for_each(|packet| lengthen(packet, 5_000));
    std::fs::write(&path, flv(&long)).unwrap();
    let server = Server::with_videos(dir.path(), &[]);
    let mut client = play(&server, 1_000, vec!["film".into()]);
    next_media(&mut client);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(20_000).unwrap();
    media_to_the_end(&mut client);
    std::fs::write(&path, flv(&packets(2))).unwrap();
    assert_eq!(media_to_the_end(&mut play(&server, AT_ONCE, vec!["film".into()])), packets(2));
}

#[test]
fn a_viewer_that_does_not_read_holds_up_nobody_and_leaves_nothing_behind() {
    let dir = TempDir::new().unwrap();
    let mut packets = packets(60);
    packets.iter_mut().for_each(|packet| lengthen(packet, 20_000));
    std::fs::write(dir.path().join("film.flv"), flv(&packets)).unwrap();
    let server = Server::with_videos(dir.path(), &[]);
    let threads = || std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap().count();
    let before = threads();
    let stuck = play(&server, AT_ONCE, vec!["film".into()]);
    let media = media_to_the_end(&mut play(&server, AT_ONCE, vec!["film".into()]));
    assert_eq!(media.len(), packets.len());
    drop(stuck);
    wait_for("the threads to end", || (threads() == before).then_some(()));
}

#[test]
fn the_sample_that_comes_along_plays() {
    let server = Server::with_videos(&Path::new(env!("CARGO_MANIFEST_DIR")).join("video"), &[]);
    let media = media_to_the_end(&mut play(&server, AT_ONCE, vec!["sample".into()]));
    let key_frames = media.iter().filter(|packet| packet.is_key_frame()).count();
    assert_eq!(key_frames, 12, "a video frame a second to start at");
    server.wait_for_log("/gortmp/sample");
}
