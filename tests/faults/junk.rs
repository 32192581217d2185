//! Messages between the frames of a live stream that are no frames: players over RTMP and of FLV get them as they came, MP4
//! and HLS go without, and it is told.

use std::path::Path;
use std::time::{Duration, Instant};

use gortmp::ClientEvent;
use gortmp::media::{Packet, PacketKind};
use tempfile::TempDir;

use crate::support::http::{get, get_flv};
use crate::support::junk::{CASES, ComesTo};
use crate::support::*;

/// The sample with a message of the table behind every frame, each in its turn, and how many of them are to be ignored: those
/// behind the first key frame, which is the first thing that anybody gets.
fn with_junk(name: &str) -> (Vec<Packet>, u64) {
    let cases: Vec<_> =
        CASES.iter().filter(|case| case.sample == name && !matches!(case.comes_to, ComesTo::Sample(_))).collect();
    let (mut all, mut ignored, mut has_begun, mut next) = (Vec::new(), 0, false, cases.iter().cycle());
    let mut reader = gortmp::flv::Reader::new(std::fs::File::open(media::sample(name)).unwrap()).unwrap();
    while let Some(packet) = reader.next_packet().unwrap() {
        let timestamp = packet.timestamp;
        has_begun |= packet.is_key_frame();
        let is_frame = packet.kind != PacketKind::Data && !packet.is_sequence_header();
        all.push(packet);
        if is_frame {
            let case = next.next().unwrap();
            all.push(Packet { kind: case.kind, timestamp, payload: case.payload.to_vec().into() });
            ignored += u64::from(has_begun && case.comes_to == ComesTo::Ignored);
        }
    }
    (all, ignored)
}

/// What ffmpeg has to say about a file, decoding all of it.
fn client_log(path: &Path) -> String {
    let mut command = media::recent_ffmpeg();
    command.arg("-i").arg(path).args(["-f", "null", "-"]);
    let output = command.output().unwrap();
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

fn plays_without_junk(name: &str) {
    let dir = TempDir::new().unwrap();
    let server = Server::with_http(dir.path(), &["--republish-grace", "1"]);
    let (all, ignored) = with_junk(name);
    let mut camera = publisher(&server, "cam");
    // Before the first frames there is nothing to be seen as MP4.
    let is_later = |packet: &Packet| packet.kind == PacketKind::Audio && packet.timestamp.milliseconds() >= 100;
    let start = all.iter().position(is_later).unwrap();
    all[..start].iter().for_each(|packet| camera.send(packet.clone()).unwrap());
    let mut rtmp = player(&server, "live", "cam");
    let rtmp = std::thread::spawn(move || {
        let mut got = Vec::new();
        loop {
            match rtmp.next_event().unwrap() {
                ClientEvent::Media(packet) if packet.kind != PacketKind::Data => got.push(packet.payload),
                ClientEvent::Status { code, .. } if code == "NetStream.Play.Stop" => return got,
                _ => {}
            }
        }
    });
    let mut flv = get_flv(&server, "/live/cam.flv");
    let flv = std::thread::spawn(move || {
        let packets = std::iter::from_fn(|| flv.next_packet().expect("FLV"));
        let media = packets.filter(|packet| packet.kind != PacketKind::Data);
        media.map(|packet| packet.payload).collect::<Vec<_>>()
    });
    wait_for("the first bytes", || get(&server, "/api/v1/streams").text().contains("\"video\":{").then_some(()));
    let pull = |path: &str, file: &str| {
        let mut command = media::recent_ffmpeg();
        command.args(["-i", &format!("http://{}{path}", server.http.unwrap()), "-c", "copy", "-f", "flv"]);
        command.arg(dir.path().join(file));
        Running::start(command, dir.path().join(format!("{file}.log")))
    };
    let mut pulling = [pull("/live/cam.mp4", "mp4.flv"), pull("/live/cam/index.m3u8", "hls.flv")];
    // Over RTMP, as FLV, and as MP4.
    server.wait_for_logs("started playing live/cam", 3);
    let began = Instant::now();
    for packet in &all[start..] {
        let due = Duration::from_millis(packet.timestamp.milliseconds().into()) / 2;
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        camera.send(packet.clone()).unwrap();
    }
    let told = wait_for("all of it to be counted", || {
        let streams: serde_json::Value = serde_json::from_slice(&get(&server, "/api/v1/streams").body).unwrap();
        let count = streams["streams"][0]["messages_ignored"].as_u64().unwrap();
        (count >= ignored).then_some(count)
    });
    assert_eq!(told, ignored, "messages ignored");
    let line = format!("gortmp_stream_ignored_messages_total{{stream=\"live/cam\"}} {ignored}\n");
    assert!(get(&server, "/metrics").text().contains(&line), "{line}");
    drop(camera);
    for client in &mut pulling {
        assert_eq!(client.wait(media::CLIENT_PATIENCE), Some(0), "{}", client.text());
        // A playlist that is loaded anew names the same initialisation segment, which ffmpeg reads once more. At the end of any
        // MP4 in chunks, by whatever server, ffmpeg 9 says the last of these.
        let usual = ["Found duplicated MOOV Atom. Skipped it", "Last message repeated", "demuxing: Input/output error"];
        let text = client.text();
        let client_log: Vec<_> = text.lines().filter(|line| !usual.iter().any(|usual| line.contains(usual))).collect();
        assert!(client_log.is_empty(), "{client_log:#?}");
    }
    let log: Vec<_> = server.log().into_iter().filter(|line| line.contains("ignored in MP4 and HLS")).collect();
    assert_eq!(log.len(), 1, "told once: {log:#?}");
    assert!(log[0].contains("live/cam") && log[0].contains("127.0.0.1:") && log[0].contains("begins with"), "{log:?}");
    let sent: Vec<_> = all[start..].iter().filter(|packet| packet.kind != PacketKind::Data).collect();
    let frames = media::frames(&media::sample(name));
    for file in ["mp4.flv", "hls.flv"] {
        let (path, expect) =
            (dir.path().join(file), media::Expect { missing_first: 120, missing_last: 0, rounding: 1 });
        assert_eq!(client_log(&path), "", "{file}");
        media::assert_same(&media::frames(&path), &frames, expect);
    }
    let sent: Vec<_> = sent.into_iter().map(|packet| packet.payload.clone()).collect();
    for (got, how) in [(rtmp.join().unwrap(), "RTMP"), (flv.join().unwrap(), "FLV")] {
        let start = got.iter().position(|payload| *payload == sent[0]).expect("what was sent first");
        assert!(got[start..] == sent, "over {how} all comes as it was");
    }
}

#[test]
fn h264_and_aac_with_junk_between() {
    plays_without_junk("h264-aac");
}

#[test]
fn hevc_and_aac_with_junk_between() {
    plays_without_junk("hevc-aac");
}
