//! Streams and files over HTTP, byte by byte.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gortmp::media::{Packet, Timestamp};
use gortmp::{Client, flv};
use tempfile::TempDir;
use tungstenite::Message;

use crate::support::http::{Http, get, get_flv, packets};
use crate::support::*;

fn server(options: &[&str]) -> (TempDir, Server) {
    let dir = TempDir::new().unwrap();
    let server = Server::with_http(dir.path(), options);
    (dir, server)
}

fn send(publisher: &mut Client, packets: &[Packet]) {
    packets.iter().for_each(|packet| publisher.send(packet.clone()).unwrap());
    settle(publisher);
}

/// A GOP with audio, in the stream's order.
fn start() -> [Packet; 5] {
    [video(0, AVC_HEADER), audio(0, AAC_HEADER), video(0, KEY), audio(10, AAC), video(40, INTER)]
}

#[test]
fn a_viewer_gets_what_was_pushed_from_the_last_key_frame_on() {
    let (_dir, server) = server(&[]);
    let mut publisher = publisher(&server, "cam");
    send(&mut publisher, &start());
    let mut viewer = get_flv(&server, "/live/cam.flv");
    assert!(viewer.header().has_audio && viewer.header().has_video);
    let mut got = packets(&mut viewer, 5);
    got[..2].sort_by_key(|packet| packet.kind);
    let [avc, aac, rest @ ..] = start();
    assert_eq!(got, [&[aac, avc][..], &rest].concat());
    let more = [audio(u32::MAX, AAC), video(80, KEY), video(120, &numbered(INTER, 7))];
    send(&mut publisher, &more[1..]);
    assert_eq!(packets(&mut viewer, 2), more[1..]);
    let mut later = get_flv(&server, "/live/cam.flv?gop=0");
    assert!(packets(&mut later, 2).iter().all(Packet::is_sequence_header));
    send(&mut publisher, &[video(160, INTER), video(200, KEY)]);
    assert_eq!(packets(&mut later, 1), [video(200, KEY)]);
}

#[test]
fn a_stream_of_one_kind_says_so_in_its_header() {
    let (_dir, server) = server(&[]);
    let mut publisher = publisher(&server, "dark");
    send(&mut publisher, &[audio(0, AAC_HEADER), audio(0, AAC)]);
    let viewer = get_flv(&server, "/live/dark.flv");
    assert!(viewer.header().has_audio && !viewer.header().has_video);
}

#[test]
fn viewers_are_told_the_end_and_outlast_a_short_break() {
    let (_dir, server) = server(&["--republish-grace", "2"]);
    let mut first = publisher(&server, "cam");
    send(&mut first, &start());
    let mut viewer = get_flv(&server, "/live/cam.flv");
    packets(&mut viewer, 5);
    drop(first);
    server.wait_for_log("stopped publishing");
    assert_eq!(get(&server, "/live/cam.flv").status, 404, "nobody publishes it");
    let mut second = publisher(&server, "cam");
    send(&mut second, &start());
    assert_eq!(packets(&mut viewer, 5).last().unwrap().payload, INTER);
    drop(second);
    assert!(viewer.next_packet().unwrap().is_none(), "the end");
    drop(viewer);
    server.wait_for_log("stopped playing live/cam over HTTP");
    server.wait_for_log("closed: the stream has ended");
}

#[test]
fn each_tag_is_a_message_of_a_web_socket() {
    let (_dir, server) = server(&[]);
    let mut publisher = publisher(&server, "cam");
    send(&mut publisher, &start());
    let address = server.http.unwrap();
    let connect = || {
        let socket = TcpStream::connect(address).unwrap();
        tungstenite::client(format!("ws://{address}/live/cam.flv"), socket).unwrap().0
    };
    let mut viewer = connect();
    let mut binary = || loop {
        match viewer.read().unwrap() {
            Message::Binary(bytes) => return bytes.to_vec(),
            Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    };
    let mut file = binary();
    assert_eq!(file, flv::tag::encode_file_header(true, true));
    for _ in 0..5 {
        file.extend(binary());
    }
    let mut reader = flv::Reader::new(&file[..]).unwrap();
    assert_eq!(packets(&mut reader, 5)[4], start()[4]);

    let mut other = connect();
    other.send(Message::Ping(vec![1, 2, 3].into())).unwrap();
    let pong = std::iter::repeat_with(|| other.read().unwrap()).find(|message| message.is_pong());
    assert_eq!(pong, Some(Message::Pong(vec![1, 2, 3].into())));
    other.close(None).unwrap();
    while other.read().is_ok() {}
    server.wait_for_log("stopped playing live/cam over WebSocket");
}

#[test]
fn nothing_follows_the_end_of_a_web_socket() {
    let (_dir, server) = server(&[]);
    let mut publisher = publisher(&server, "cam");
    send(&mut publisher, &start());
    let address = server.http.unwrap();
    let stops = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for time in 0.. {
                if stops.load(Ordering::Relaxed) {
                    return;
                }
                publisher.send(video(1000 + time, INTER)).unwrap();
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        let end = |_| {
            let socket = TcpStream::connect(address).unwrap();
            let mut viewer = tungstenite::client(format!("ws://{address}/live/cam.flv"), socket).unwrap().0;
            for _ in 0..10 {
                viewer.read().unwrap();
            }
            viewer.close(None).unwrap();
            read_to_end(viewer.get_ref())
        };
        let ends: Vec<_> = (0..20).map(end).collect();
        stops.store(true, Ordering::Relaxed);
        for rest in ends {
            // An end without a reason, as the client's had none (RFC 6455 §5.5.1).
            assert!(rest.ends_with(&[0x88, 0]), "{:x?}", &rest[rest.len().saturating_sub(40)..]);
        }
    });
}

#[test]
fn pages_of_other_origins_need_leave() {
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    let status = |server: &Server, origin: &str| {
        let mut http = Http::open(server);
        http.request("GET", "/live/cam.flv", &format!("{upgrade}Origin: {origin}\r\n"));
        http.head().status
    };
    let (_dir, closed) = server(&[]);
    let _camera = publisher(&closed, "cam");
    assert_eq!([status(&closed, "http://here"), status(&closed, "http://evil")], [101, 403]);
    assert_eq!(get(&closed, "/live/none.flv").header("access-control-allow-origin"), None);
    let (_dir, open) = server(&["--cors", "http://good"]);
    let _camera = publisher(&open, "cam");
    assert_eq!([status(&open, "http://good"), status(&open, "http://evil")], [101, 403]);
    assert_eq!(get(&open, "/live/none.flv").header("access-control-allow-origin"), Some("http://good"));
    let mut asked = Http::open(&open);
    asked.request("OPTIONS", "/live/cam.flv", "Origin: http://good\r\nAccess-Control-Request-Method: GET\r\n");
    assert_eq!(asked.answer().status, 204);
}

#[test]
fn a_name_from_elsewhere_that_points_here_opens_nothing() {
    let called = |server: &Server, host: &str| {
        let mut http = Http::open(server);
        http.say(&format!("GET /api/v1/streams HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        http.answer()
    };
    let (_dir, closed) = server(&[]);
    for host in ["127.0.0.1:8080", "[::1]", "localhost", "nas", "nas.local:8080"] {
        assert_eq!(called(&closed, host).status, 200, "{host}");
    }
    let refused = called(&closed, "rebind.example.net:8080");
    assert!(refused.status == 421 && refused.text().contains("--host NAME"), "{}", refused.text());
    let (_dir, named) = server(&["--host", "cams.example.org"]);
    assert_eq!(called(&named, "cams.example.org").status, 200);
    assert_eq!(called(&named, "rebind.example.net").status, 421);
}

#[test]
fn a_file_comes_whole_or_in_parts_and_the_connection_stays() {
    let (dir, server) = server(&[]);
    let bytes: Vec<u8> = gortmp_file();
    std::fs::create_dir(dir.path().join("sub")).unwrap();
    std::fs::write(dir.path().join("sub/a b.flv"), &bytes).unwrap();
    let mut http = Http::open(&server);
    let mut ask = |method: &str, lines: &str| {
        http.request(method, "/gortmp/sub/a%20b.flv", lines);
        if method == "HEAD" { http.head() } else { http.answer() }
    };
    let whole = ask("GET", "");
    assert_eq!((whole.status, &whole.body), (200, &bytes));
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let head = ask("HEAD", "");
    assert_eq!(head.header("content-length"), Some(&bytes.len().to_string()[..]));
    let part = ask("GET", "Range: bytes=5-8\r\n");
    assert_eq!((part.status, &part.body[..]), (206, &bytes[5..9]));
    assert_eq!(part.header("content-range"), Some(&format!("bytes 5-8/{}", bytes.len())[..]));
    assert_eq!(ask("GET", "Range: bytes=-3\r\n").body, bytes[bytes.len() - 3..]);
    let beyond = ask("GET", &format!("Range: bytes={}-\r\n", bytes.len()));
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some(&format!("bytes */{}", bytes.len())[..])));
    assert_eq!(ask("GET", "Range: bytes=5-8\r\nIf-Range: \"x\"\r\n").status, 200);
    let tag = whole.header("etag").unwrap();
    assert_eq!(ask("GET", &format!("Range: bytes=5-8\r\nIf-Range: {tag}\r\n")).status, 206);
    let same = ask("GET", &format!("If-None-Match: \"x\", W/{tag}\r\n"));
    assert_eq!((same.status, same.body.len(), same.header("etag")), (304, 0, Some(tag)));
    let changed = whole.header("last-modified").unwrap();
    let unchanged = ask("GET", &format!("If-Modified-Since: {changed}\r\n"));
    assert_eq!((unchanged.status, unchanged.body.len(), unchanged.header("last-modified")), (304, 0, Some(changed)));
    assert_eq!(ask("GET", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n").status, 200);
    let other = ask("GET", &format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {changed}\r\n"));
    assert_eq!(other.status, 200, "tags come before dates");
    for name in ["date", "last-modified"] {
        assert!(whole.header(name).is_some_and(|date| date.ends_with(" GMT") && date.len() == 29), "{name}");
    }
    assert_eq!(ask("DELETE", "").status, 405);
}

#[test]
fn what_a_browser_has_of_the_page_is_not_sent_again() {
    let (_dir, server) = server(&[]);
    let mut tags = Vec::new();
    for path in ["/", "/page/style.css", "/page/wall.js", "/page/live.js", "/page/icon.svg"] {
        let mut http = Http::open(&server);
        let mut ask = |fields: &str| {
            http.request("GET", path, fields);
            http.answer()
        };
        let whole = ask("");
        let tag = whole.header("etag").unwrap().to_owned();
        let same = ask(&format!("If-None-Match: {tag}\r\n"));
        assert_eq!((same.status, same.body.len(), same.header("etag")), (304, 0, Some(&tag[..])), "{path}");
        assert_eq!(same.header("cache-control"), whole.header("cache-control"), "{path}");
        assert_eq!(ask("If-None-Match: \"x\"\r\n").body, whole.body, "{path}");
        tags.push(tag);
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 5, "each has its own");
}

/// A file of some tags.
fn gortmp_file() -> Vec<u8> {
    let mut writer = flv::Writer::new(Vec::new(), true, true).unwrap();
    start().iter().for_each(|packet| writer.write_packet(packet).unwrap());
    writer.into_inner()
}

#[test]
fn what_is_not_there_is_said_plainly() {
    let (_dir, server) = server(&[]);
    for (path, reason) in [
        ("/live/cam.flv", "nobody publishes live/cam"),
        ("/gortmp/none.flv", "no such file"),
        ("/other/cam.flv", "only live and gortmp"),
        ("/gortmp/../secret.flv", "leads out"),
        ("/live.flv", "nothing here"),
        ("/x", "nothing here"),
        ("/live/index.m3u8", "nothing here"),
        ("/cam.flv", "nobody publishes live/cam"),
        ("/cam/index.m3u8", "nobody publishes live/cam"),
    ] {
        let answer = get(&server, path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.text().contains(reason), "{path}: {}", answer.text());
    }
}

#[test]
fn files_are_found_whatever_the_case_of_their_extension() {
    let (dir, server) = server(&[]);
    let sample = std::fs::read(media::sample("h264-aac")).unwrap();
    std::fs::write(dir.path().join("UPPER.FLV"), &sample).unwrap();
    assert!(get(&server, "/api/v1/videos").text().contains("\"name\":\"UPPER\""));
    for path in ["/gortmp/UPPER.flv", "/gortmp/UPPER.FLV", "/gortmp/UPPER.Flv"] {
        assert!(get(&server, path).body == sample, "{path}");
    }
    for path in ["/gortmp/UPPER.mp4", "/gortmp/UPPER.MP4", "/gortmp/UPPER/index.m3u8"] {
        assert_eq!(get(&server, path).status, 200, "{path}");
    }
}

#[test]
fn a_key_for_playing_is_wanted_here_as_well() {
    let (dir, server) = server(&["--play-key", "s3cret"]);
    std::fs::write(dir.path().join("film.flv"), gortmp_file()).unwrap();
    let _camera = publisher(&server, "cam");
    for path in ["/live/cam.flv", "/gortmp/film.flv"] {
        for (key, status) in [("", 403), ("?key=wrong", 403), ("?key=s3cret", 200)] {
            let mut http = Http::open(&server);
            http.request("HEAD", &format!("{path}{key}"), "");
            assert_eq!(http.head().status, status, "{path}{key}");
        }
    }
    assert!(!server.log().iter().any(|line| line.contains("s3cret") || line.contains("wrong")), "no key in the log");
}

/// Whose metadata tells half of the duration, besides.
#[test]
fn a_recording_that_changes_its_codec_goes_on_over_hls() {
    let (dir, server) = server(&[]);
    let samples = ["h264-aac", "h264-b-frames-aac"].map(|name| std::fs::read(media::sample(name)).unwrap());
    let readers = samples.iter().map(|bytes| flv::Reader::new(std::io::Cursor::new(bytes)).unwrap());
    let mut joined = flv::Writer::new(Vec::new(), true, true).unwrap();
    let mut last = 0;
    for mut reader in readers {
        let start = if last == 0 { 0 } else { last + 40 };
        while let Some(mut packet) = reader.next_packet().unwrap() {
            packet.timestamp = Timestamp::new(start + packet.timestamp.milliseconds());
            last = last.max(packet.timestamp.milliseconds());
            joined.write_packet(&packet).unwrap();
        }
    }
    std::fs::write(dir.path().join("film.flv"), joined.into_inner()).unwrap();
    let list = get(&server, "/gortmp/film/media.m3u8").text();
    let (mut groups, mut maps) = (Vec::<Vec<u8>>::new(), Vec::new());
    for line in list.lines() {
        if let Some(map) = line.strip_prefix("#EXT-X-MAP:URI=\"") {
            let map = map.trim_end_matches('"').to_owned();
            groups.push(get(&server, &format!("/gortmp/film/{map}")).body);
            maps.push(map);
        } else if !line.starts_with('#') {
            groups.last_mut().unwrap().extend(get(&server, &format!("/gortmp/film/{line}")).body);
        }
    }
    assert_eq!((maps.len(), list.matches("#EXT-X-DISCONTINUITY\n").count()), (2, 1), "{list}");
    let mut got = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        let (mp4, part) = (dir.path().join(format!("{number}.mp4")), dir.path().join(format!("{number}.flv")));
        std::fs::write(&mp4, group).unwrap();
        let mut command = media::ffmpeg();
        command.args(["-copyts", "-i"]).arg(&mp4).args(["-c", "copy", "-f", "flv"]).arg(&part);
        assert!(command.status().unwrap().success());
        got.extend(media::frames(&part));
    }
    let expect = media::Expect { rounding: 1, ..media::WHOLE };
    media::assert_same(&got, &media::frames(&dir.path().join("film.flv")), expect);
}
