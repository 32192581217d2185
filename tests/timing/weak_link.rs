//! Players whose links carry half of their stream: near the present, decodable, with all audio.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use gortmp::Client;
use gortmp::media::{Packet, PacketKind};

use crate::TURNS;
use crate::support::http::{self, Http};
use crate::support::throttle::Throttle;
use crate::support::*;

const FRAME_MS: u32 = 40;
/// Frames from one key frame to the next: a second.
const GOP: u32 = 25;
const FRAME_BYTES: usize = 10_000;
const KEY_FRAME_BYTES: usize = 40_000;
const AUDIO_BYTES: usize = 400;
const BYTES_PER_SECOND: usize = (GOP as usize - 1) * FRAME_BYTES + KEY_FRAME_BYTES + GOP as usize * AUDIO_BYTES;
const SECONDS: u32 = 12;

/// Publishes the stream as a camera does; returns when each frame went out.
fn publish(server: &Server, name: &str) -> Vec<Instant> {
    let mut client = publisher(server, name);
    client.send(video(0, AVC_HEADER)).unwrap();
    client.send(audio(0, AAC_HEADER)).unwrap();
    let began = Instant::now();
    let frame = |number: u32| {
        let is_key_frame = number.is_multiple_of(GOP);
        let filling = vec![1; if is_key_frame { KEY_FRAME_BYTES } else { FRAME_BYTES } - 10];
        // A NAL unit for reference, in length-prefixed form.
        let length = (filling.len() as u32 + 5).to_be_bytes();
        let sample = if is_key_frame { [KEY, &[0]].concat() } else { [INTER, &[0]].concat() };
        let head = [&sample[..5], &length, &sample[5..6]].concat();
        video(number * FRAME_MS, &numbered(&[&head[..], &filling].concat(), number))
    };
    let send = |number: u32| {
        let due = began + Duration::from_millis((number * FRAME_MS).into());
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let at = Instant::now();
        client.send(frame(number)).unwrap();
        client.send(audio(number * FRAME_MS, &numbered(&[AAC, &[0; AUDIO_BYTES]].concat(), number))).unwrap();
        at
    };
    let sent = (0..SECONDS * GOP).map(send).collect();
    // What is under way to weak players shall come, before the end throws away what waits.
    std::thread::sleep(Duration::from_secs(3));
    sent
}

type Arrivals = Vec<(Packet, Instant)>;

/// Reads to the end, in a thread of its own.
fn watch(mut next: impl FnMut() -> Option<Packet> + Send + 'static) -> std::thread::JoinHandle<Arrivals> {
    std::thread::spawn(move || {
        let arrivals = std::iter::from_fn(|| next().map(|packet| (packet, Instant::now())));
        arrivals.filter(|(packet, _)| packet.kind != PacketKind::Data && !packet.is_sequence_header()).collect()
    })
}

fn watch_rtmp(address: std::net::SocketAddr, name: &str) -> std::thread::JoinHandle<Arrivals> {
    let mut client = Client::connect(&format!("rtmp://{address}/live")).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.play(name, None).unwrap();
    watch(move || {
        loop {
            match client.next_event() {
                Ok(gortmp::ClientEvent::Media(packet)) => return Some(packet),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    })
}

/// Holds what has come against what was sent; returns the share of frames in percent, and how late the latest was.
fn check(how: &str, arrivals: &Arrivals, sent: &[Instant]) -> (usize, Duration) {
    let numbers =
        |kind| arrivals.iter().filter(move |(packet, _)| packet.kind == kind).map(|(packet, _)| number(packet));
    let audio: Vec<u32> = numbers(PacketKind::Audio).collect();
    let expected: Vec<u32> = (0..sent.len() as u32).collect();
    assert!(audio == expected, "{how}: {} of {} audio messages, in another order perhaps", audio.len(), expected.len());
    let frames: Vec<u32> = numbers(PacketKind::Video).collect();
    let mut of_gop: HashMap<u32, Vec<u32>> = HashMap::new();
    frames.iter().for_each(|frame| of_gop.entry(frame / GOP).or_default().push(frame % GOP));
    for (gop, frames) in of_gop {
        let whole: Vec<u32> = (0..frames.len() as u32).collect();
        assert_eq!(frames, whole, "{how}: GOP {gop} has no frame without those before");
    }
    let late = |(packet, at): &(Packet, Instant)| at.saturating_duration_since(sent[number(packet) as usize]);
    let latest = arrivals.iter().map(late).max().unwrap();
    (frames.len() * 100 / sent.len(), latest)
}

#[test]
fn half_a_stream_is_near_the_present_with_all_its_audio() {
    let _turn = TURNS.take();
    let dir = tempfile::tempdir().unwrap();
    let tls = tls::options(dir.path());
    let tls = tls.each_ref().map(String::as_str);
    let server = Server::with_http(dir.path(), &[&tls[..], &["--republish-grace", "0"]].concat());
    let rtmps = server.wait_for_address("rtmps");
    let name = "weak";
    let links = [server.address, rtmps, server.http.unwrap()].map(|to| Throttle::start(to, BYTES_PER_SECOND / 2));
    let over_rtmp = watch_rtmp(links[0].address, name);
    let bridge = tls::Bridge::start(links[1].address);
    let over_tls = watch_rtmp(bridge.address, name);
    let near = watch_rtmp(server.address, name);
    let publishing = std::thread::spawn({
        let http = links[2].address;
        move || {
            // Over HTTP there must be a stream to get.
            let mut client = Http::at(http);
            std::thread::sleep(Duration::from_millis(300));
            client.request("GET", "/live/weak.flv?gop=1", "");
            let mut reader = client.flv();
            watch(move || reader.next_packet().ok().flatten())
        }
    });
    let sent = publish(&server, name);
    let over_http = publishing.join().unwrap();

    let connections = http::get(&server, "/api/v1/connections").text();
    let connections: serde_json::Value = serde_json::from_str(&connections).unwrap();
    let weak: Vec<_> = connections["connections"].as_array().unwrap().iter().filter(|one| one["skips"] != 0).collect();
    assert_eq!(weak.len(), 3, "{connections}");
    assert!(weak.iter().all(|one| one["messages_dropped"].as_u64() > Some(100)), "{connections}");
    let metrics = http::get(&server, "/metrics").text();
    assert!(metrics.contains("gortmp_stream_skips_total{stream=\"live/weak\"}"), "{metrics}");
    let lines = server.log().iter().filter(|line| line.contains("too slow: the link carried")).count();
    assert_eq!(lines, 3, "one line for each spell of weakness: {:?}", server.log());
    drop(server);

    assert_eq!(check("nearby", &near.join().unwrap(), &sent).0, 100);
    for (how, arrivals) in [("RTMP", over_rtmp), ("RTMPS", over_tls), ("HTTP", over_http)] {
        let (share, latest) = check(how, &arrivals.join().unwrap(), &sent);
        println!("{how}: {share} % of frames, {latest:?} late at most");
        assert!(share >= 35, "{how}: {share} % of frames");
        // A GOP and a second, and what a busy machine takes; 6 s it would be if all were sent.
        assert!(latest < Duration::from_millis(3000), "{how}: {latest:?}");
    }
}
