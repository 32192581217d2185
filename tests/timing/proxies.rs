//! Streams, events and playlists through nginx, with its default settings and with those that the guide gives.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gortmp::media::{Packet, PacketKind, Timestamp};
use tempfile::TempDir;

use crate::TURNS;
use crate::support::http::{Chunked, Http};
use crate::support::nginx::Nginx;
use crate::support::*;

/// A codec configuration of H.264.
const AVC: &[u8] =
    b"\x17\x00\x00\x00\x00\x01\x64\x00\x1f\xff\xe1\x00\x19\x67\x64\x00\x1f\xac\xd9\x40\x50\x05\xbb\x01\x6c\x80\
    \x00\x00\x03\x00\x80\x00\x00\x1e\x07\x8c\x18\xcb\x01\x00\x06\x68\xeb\xe3\xcb\x22\xc0\xfd\xf8\xf8\x00";

/// From one frame to the next.
const EVERY: Duration = Duration::from_millis(40);

/// A camera of 56 kbit/s: 25 frames a second of 280 bytes. Dropping it ends it.
struct Camera {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Camera {
    fn start(server: &Server, name: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut client, stops) = (publisher(server, name), stop.clone());
        client.send(video(0, AVC)).unwrap();
        let thread = std::thread::spawn(move || {
            let began = Instant::now();
            for number in (0..).take_while(|_| !stops.load(Ordering::Relaxed)) {
                std::thread::sleep((EVERY * number).saturating_sub(began.elapsed()));
                let (first, nal_type) = if number % 25 == 0 { (0x17, 0x65) } else { (0x27, 0x41) };
                let payload = [&[first, 1, 0, 0, 0, 0, 0, 1, 0x0f, nal_type][..], &[7; 270]].concat();
                let timestamp = Timestamp::new(number * EVERY.as_millis() as u32);
                client.send(Packet { kind: PacketKind::Video, timestamp, payload: payload.into() }).unwrap();
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().unwrap().join();
    }
}

/// The body behind a head, in chunks or not.
fn body(address: SocketAddr, path: &str) -> Box<dyn Read + Send> {
    let mut http = Http::at(address);
    http.request("GET", path, "");
    let head = http.head();
    assert_eq!(head.status, 200, "{path}: {head:?}");
    match head.header("transfer-encoding") {
        Some("chunked") => Box::new(Chunked::new(http.0)),
        _ => Box::new(http.0),
    }
}

/// The longest time without a byte in some seconds of a body.
fn longest_gap(mut body: Box<dyn Read + Send>) -> Duration {
    let mut buffer = vec![0; 1 << 16];
    // What has been cached comes first.
    let begins = Instant::now() + Duration::from_secs(1);
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    while last < begins + Duration::from_secs(4) {
        assert!(body.read(&mut buffer).unwrap() > 0, "it ended");
        if last > begins {
            longest = longest.max(last.elapsed());
        }
        last = Instant::now();
    }
    longest
}

/// Nothing but where it leads.
fn defaults(server: &Server) -> String {
    format!("location / {{ proxy_pass http://{}; }}", server.http.unwrap())
}

fn server() -> (TempDir, Server) {
    let dir = TempDir::new().unwrap();
    let server = Server::with_http(dir.path(), &[]);
    (dir, server)
}

#[test]
fn streams_come_evenly_through_nginx_with_its_defaults() {
    let _turn = TURNS.take();
    let (dir, server) = server();
    let nginx = Nginx::proxy(&dir, &defaults(&server));
    let _camera = Camera::start(&server, "cam");
    let longest = |address, path: &'static str| std::thread::spawn(move || longest_gap(body(address, path)));
    let paths = ["/live/cam.flv", "/live/cam.mp4"];
    let all = paths.map(|path| (path, [server.http.unwrap(), nginx.address()].map(|address| longest(address, path))));
    for (path, gaps) in all {
        let [direct, proxied] = gaps.map(|gap| gap.join().unwrap());
        // A busy machine may hold both up.
        let most = Duration::from_millis(300).max(direct + Duration::from_millis(150));
        assert!(proxied <= most, "{path}: {proxied:?} through nginx, {direct:?} without");
    }
}

#[test]
fn events_come_at_once_through_nginx_with_its_defaults() {
    let _turn = TURNS.take();
    let (dir, server) = server();
    let nginx = Nginx::proxy(&dir, &defaults(&server));
    let listen = |address| {
        let came = Arc::new(Mutex::new(None));
        let (noted, body) = (came.clone(), body(address, "/api/v1/events"));
        std::thread::spawn(move || {
            let mut lines = BufReader::new(body).lines().map_while(Result::ok);
            if lines.any(|line| line.contains("\"live/cam\"")) {
                *noted.lock().unwrap() = Some(Instant::now());
            }
        });
        came
    };
    let all = [server.http.unwrap(), nginx.address()].map(listen);
    std::thread::sleep(Duration::from_secs(1));
    let began = Instant::now();
    let _camera = Camera::start(&server, "cam");
    let [direct, proxied] =
        all.map(|came| wait_for("the event", || *came.lock().unwrap()).saturating_duration_since(began));
    let most = Duration::from_millis(500).max(direct + Duration::from_millis(150));
    assert!(proxied <= most, "{proxied:?} through nginx, {direct:?} without");
}

#[test]
fn playlists_are_waited_for_through_nginx_with_its_defaults() {
    let _turn = TURNS.take();
    let (dir, server) = server();
    let nginx = Nginx::proxy(&dir, &defaults(&server));
    let _camera = Camera::start(&server, "cam");
    let ask = |path: &str| {
        let mut http = Http::at(nginx.address());
        http.request("GET", path, "Connection: close\r\n");
        http.answer()
    };
    let list = ask("/live/cam/media.m3u8").text();
    let hint =
        list.lines().find_map(|line| line.strip_prefix("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"part-")).expect(&list);
    let (segment, part) = hint.trim_end_matches(".m4s\"").split_once('-').unwrap();
    let began = Instant::now();
    let next = ask(&format!("/live/cam/media.m3u8?_HLS_msn={segment}&_HLS_part={part}"));
    assert_eq!(next.status, 200, "{}", next.text());
    assert!(next.text().contains(&format!("part-{segment}-{part}.m4s\"")), "{}", next.text());
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let part = ask(&format!("/live/cam/part-{segment}-{part}.m4s"));
    assert_eq!(part.header("content-length").map(str::to_owned), Some(part.body.len().to_string()));
}

/// What the guide has nginx do, word by word, but for the port.
#[test]
fn the_page_and_its_web_sockets_work_behind_nginx_as_the_guide_has_it() {
    let _turn = TURNS.take();
    let chapter = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/proxy.md")).unwrap();
    let (_, rest) = chapter.split_once("```nginx\n").expect("how to set up nginx");
    let (block, _) = rest.split_once("```").unwrap();
    let dir = TempDir::new().unwrap();
    let options = ["--video-dir", dir.path().to_str().unwrap(), "--http", "127.0.0.1:0", "--host", "cams.example.org"];
    let server = Server::start(&options);
    let block = block.replace("127.0.0.1:8080", &server.http.unwrap().to_string());
    let nginx = Nginx::proxy(&dir, &block);
    let _camera = Camera::start(&server, "cam");
    let mut http = Http::at(nginx.address());
    http.say("GET / HTTP/1.1\r\nHost: cams.example.org\r\nConnection: close\r\n\r\n");
    assert_eq!(http.answer().status, 200);
    let socket = TcpStream::connect(nginx.address()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    // As a browser does it on that page.
    let request = tungstenite::http::Request::builder()
        .uri("ws://cams.example.org/live/cam.mp4")
        .header("host", "cams.example.org")
        .header("origin", "http://cams.example.org")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==")
        .body(())
        .unwrap();
    let (mut viewer, _) = tungstenite::client(request, socket).unwrap();
    let media_type = viewer.read().unwrap().into_text().unwrap();
    assert!(media_type.starts_with("video/mp4; codecs=\"avc1"), "{media_type}");
    assert!(viewer.read().unwrap().into_data().windows(4).any(|name| name == b"moov"));
    assert!((0..25).all(|_| viewer.read().unwrap().into_data().windows(4).any(|name| name == b"mdat")));
    // Addresses are for this machine alone, and whoever comes through a proxy is not taken for it.
    let mut http = Http::at(nginx.address());
    http.say("GET /api/v1/connections HTTP/1.1\r\nHost: cams.example.org\r\nConnection: close\r\n\r\n");
    assert_eq!(http.answer().status, 403);
}
