//! RTMP over TLS, with ffmpeg at both ends and openssl looking in.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gortmp::{Client, limits};
use tempfile::TempDir;

use crate::support::media::{CLIENT_PATIENCE, Expect, WHOLE, assert_same, ffmpeg, frames, push, push_to, sample};
use crate::support::{
    self, AAC, INTER, KEY, PATIENCE, Running, Server, audio, next_media, player, publisher, settle, tls, tool, video,
    wire,
};

/// A server for both, its address for RTMPS, and the folder of its certificate and files.
struct TlsServer {
    server: Server,
    address: SocketAddr,
    dir: TempDir,
}

impl TlsServer {
    fn start(options: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        let tls = tls::options(dir.path());
        let tls = tls.each_ref().map(String::as_str);
        let server = Server::with_videos(dir.path(), &[&tls[..], &["--republish-grace", "1"], options].concat());
        let address = server.wait_for_address("rtmps");
        Self { server, address, dir }
    }

    fn url(&self, path: &str) -> String {
        format!("rtmps://{}/{path}", self.address)
    }

    /// ffmpeg recording a URL.
    fn record(&self, path: &str, more: &[&str]) -> (Running, PathBuf) {
        let file = self.dir.path().join("recorded.out");
        let mut command = ffmpeg();
        command.args(more).args(["-i", &self.url(path), "-c", "copy", "-f", "flv"]).arg(&file);
        (Running::start(command, self.dir.path().join("play.log")), file)
    }

    /// What `openssl s_client` says.
    fn openssl(&self, arguments: &[&str]) -> String {
        let mut command = tool("openssl", "openssl");
        command.args(["s_client", "-connect", &self.address.to_string()]).args(arguments);
        let output = command.stdin(Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    }
}

#[test]
fn ffmpeg_pushes_and_plays_over_tls_byte_for_byte() {
    let secured = TlsServer::start(&[]);
    let (mut playing, file) = secured.record("live/cam", &[]);
    secured.server.wait_for_log("started playing live/cam");
    let mut pushing = push_to(&secured.url("live/cam"), "h264-aac", &secured.dir);
    assert_eq!(pushing.wait(CLIENT_PATIENCE), Some(0), "{}", pushing.text());
    assert_eq!(playing.wait(CLIENT_PATIENCE), Some(0), "{}", playing.text());
    assert_same(&frames(&file), &frames(&sample("h264-aac")), WHOLE);
}

#[test]
fn browsers_and_players_get_it_over_https() {
    let secured = TlsServer::start(&["--https", "127.0.0.1:0"]);
    let line = secured.server.wait_for_log("listening on https://");
    let site = line.split_once("on ").unwrap().1.trim();
    let url = format!("{site}/live/cam.flv");
    let mut pushing = push(&secured.server, "h264-aac", "live/cam", &secured.dir);
    secured.server.wait_for_log("started publishing live/cam");
    let file = secured.dir.path().join("got.flv");
    let mut command = ffmpeg();
    command.args(["-tls_verify", "0", "-i", &url, "-c", "copy", "-f", "flv"]).arg(&file);
    let mut playing = Running::start(command, secured.dir.path().join("play.log"));
    assert_eq!(pushing.wait(CLIENT_PATIENCE), Some(0), "{}", pushing.text());
    assert_eq!(playing.wait(CLIENT_PATIENCE), Some(0), "{}", playing.text());
    let expect = Expect { missing_first: 60, ..WHOLE };
    assert_same(&frames(&file), &frames(&sample("h264-aac")), expect);

    std::fs::copy(sample("h264-aac"), secured.dir.path().join("film.flv")).unwrap();
    let mut command = ffmpeg();
    let film = format!("{site}/gortmp/film.flv");
    let whole = secured.dir.path().join("whole.flv");
    command.args(["-tls_verify", "0", "-i", &film, "-c", "copy", "-f", "flv"]).arg(&whole);
    let mut fetching = Running::start(command, secured.dir.path().join("fetch.log"));
    assert_eq!(fetching.wait(CLIENT_PATIENCE), Some(0), "{}", fetching.text());
    assert_same(&frames(&whole), &frames(&sample("h264-aac")), WHOLE);
}

#[test]
fn one_side_may_go_without() {
    let secured = TlsServer::start(&[]);
    let (mut playing, file) = secured.record("live/mixed", &[]);
    secured.server.wait_for_log("started playing live/mixed");
    let mut pushing = push(&secured.server, "h264-aac", "live/mixed", &secured.dir);
    assert_eq!(pushing.wait(CLIENT_PATIENCE), Some(0), "{}", pushing.text());
    assert_eq!(playing.wait(CLIENT_PATIENCE), Some(0), "{}", playing.text());
    assert_same(&frames(&file), &frames(&sample("h264-aac")), WHOLE);
}

#[test]
fn a_file_comes_over_tls_as_fast_as_it_is_taken() {
    let secured = TlsServer::start(&[]);
    std::fs::copy(sample("h264-aac"), secured.dir.path().join("film.flv")).unwrap();
    let (mut playing, file) = secured.record("gortmp/film", &["-rtmp_buffer", "36000000"]);
    assert_eq!(playing.wait(CLIENT_PATIENCE), Some(0), "{}", playing.text());
    assert_same(&frames(&file), &frames(&sample("h264-aac")), WHOLE);
}

#[test]
fn a_large_file_comes_whole_to_a_client_that_takes_its_time() {
    let secured = TlsServer::start(&[]);
    let dir = secured.dir.path();
    // 40 MB of video that is noise, far more than all buffers on the way hold.
    let mut make = ffmpeg();
    make.args(["-f", "lavfi", "-i", "nullsrc=s=320x240:r=25:d=20,geq=random(1)*255:128:128", "-c:v", "flv1"]);
    make.args(["-b:v", "16M", "-qmax", "3", "-f", "flv"]).arg(dir.join("large.flv"));
    assert!(make.status().unwrap().success());
    assert!(std::fs::metadata(dir.join("large.flv")).unwrap().len() > 20 << 20);
    let (mut playing, file) = secured.record("gortmp/large", &["-rtmp_buffer", "36000000", "-readrate", "4"]);
    assert_eq!(playing.wait(CLIENT_PATIENCE), Some(0), "{}", playing.text());
    assert_same(&frames(&file), &frames(&dir.join("large.flv")), WHOLE);
}

#[test]
fn openssl_accepts_it_and_a_renewed_certificate_is_used_after_sighup() {
    let secured = TlsServer::start(&[]);
    let certificate = secured.dir.path().join("cert.pem");
    let trusted = ["-CAfile", certificate.to_str().unwrap(), "-verify_return_error", "-verify_hostname", "localhost"];
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let announced = secured.openssl(&[&trusted[..], &[version]].concat());
        assert!(announced.contains("Verify return code: 0 (ok)") && announced.contains(name), "{announced}");
    }
    assert!(secured.openssl(&["-tls1_1"]).contains("no peer certificate available"), "too old");

    let mut running = publisher(&secured.server, "running");
    let (_playing, _) = secured.record("live/running", &[]);
    secured.server.wait_for_log("started playing live/running");
    tls::make_certificate(secured.dir.path());
    assert!(!secured.openssl(&trusted).contains("Verify return code: 0"), "the old one is in use");
    let pid = secured.server.pid().to_string();
    assert!(Command::new("kill").args(["-s", "HUP", &pid]).status().unwrap().success());
    secured.server.wait_for_log("reloaded the key files and the certificate");
    assert!(secured.openssl(&trusted).contains("Verify return code: 0"), "the new one is in use");

    std::fs::write(&certificate, "nonsense").unwrap();
    assert!(Command::new("kill").args(["-s", "HUP", &pid]).status().unwrap().success());
    let warning = secured.server.wait_for_log("reload failed, keeping the previous version");
    assert!(warning.contains("cert.pem"), "{warning}");
    assert!(secured.openssl(&[]).contains("BEGIN CERTIFICATE"), "it stays in use");
    let mut watching = player(&secured.server, "live", "running");
    settle(&mut watching);
    running.send(video(0, KEY)).unwrap();
    assert_eq!(next_media(&mut watching).payload, KEY, "what runs goes on");
}

#[test]
fn the_wrong_protocol_on_either_port_is_named() {
    let secured = TlsServer::start(&[]);
    let plain = wire::dial(secured.address);
    std::io::Write::write_all(&mut &plain, &wire::c0_c1()).unwrap();
    support::read_to_end(&plain);
    secured.server.wait_for_log("TLS: received corrupt message");
    let mut command = tool("openssl", "openssl");
    command.args(["s_client", "-connect", &secured.server.address.to_string()]);
    assert!(!command.stdin(Stdio::null()).output().unwrap().status.success());
    secured.server.wait_for_log("it speaks TLS");
}

#[test]
fn who_says_nothing_on_it_is_closed_like_all_others() {
    let secured = TlsServer::start(&[]);
    let began = Instant::now();
    let silent = wire::dial(secured.address);
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    support::read_to_end(&silent);
    let after = began.elapsed();
    assert!(after >= limits::HANDSHAKE_DEADLINE && after < limits::HANDSHAKE_DEADLINE + Duration::from_secs(5));
}

#[test]
fn what_is_missing_for_it_is_told() {
    let dir = TempDir::new().unwrap();
    let [cert, key] = tls::make_certificate(dir.path());
    let empty = dir.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for (cert, key, named) in [(&empty, &key, "empty.pem"), (&cert, &empty, "empty.pem"), (&key, &cert, "key.pem")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gortmp"));
        command
            .args(["--no-http", "--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0", "--video-dir"])
            .arg(dir.path());
        let output = command.arg("--tls-cert").arg(cert).arg("--tls-key").arg(key).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1));
        assert!(text.contains(named), "{text}");
    }
}

/// A client of ours by way of TLS.
fn through(bridge: &tls::Bridge) -> Client {
    let client = Client::connect(&format!("rtmp://{}/live", bridge.address)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

#[test]
fn held_audio_does_not_wait_for_the_rest_of_a_record() {
    let secured = TlsServer::start(&[]);
    let bridge = tls::Bridge::start(secured.address);
    let mut camera = through(&bridge);
    camera.publish("cam").unwrap();
    let mut watching = player(&secured.server, "live", "cam");
    settle(&mut watching);
    camera.send(video(0, KEY)).unwrap();
    assert_eq!(next_media(&mut watching).payload, KEY);
    for number in 1..10 {
        let before = bridge.forwarded.load(Ordering::Relaxed);
        camera.send(audio(number * 40, &[AAC, &[number as u8]].concat())).unwrap();
        while bridge.forwarded.load(Ordering::Relaxed) == before {
            std::thread::sleep(Duration::from_millis(1));
        }
        bridge.sends_half.store(true, Ordering::Relaxed);
        let frame = [INTER, &[number as u8; 3000]].concat();
        camera.send(video(number * 40 + 10, &frame)).unwrap();
        // The record with the video frame is completed when this has come.
        assert_eq!(next_media(&mut watching).payload, [AAC, &[number as u8]].concat());
        assert!(bridge.sends_half.swap(false, Ordering::Relaxed));
        assert_eq!(next_media(&mut watching).payload, frame);
    }
}

#[test]
fn records_without_anything_in_them_hold_nobody_up() {
    let secured = TlsServer::start(&["--lanes", "1"]);
    let bridge = tls::Bridge::start(secured.address);
    let mut camera = publisher(&secured.server, "cam");
    let (mut flooding, mut watching) = (through(&bridge), player(&secured.server, "live", "cam"));
    flooding.play("cam", None).unwrap();
    camera.send(video(0, KEY)).unwrap();
    assert_eq!([next_media(&mut flooding).payload, next_media(&mut watching).payload], [KEY, KEY]);
    bridge.floods.store(true, Ordering::Relaxed);
    let mut longest = Duration::ZERO;
    for number in 1..200 {
        let began = Instant::now();
        camera.send(video(number * 10, INTER)).unwrap();
        assert_eq!(next_media(&mut watching).timestamp.milliseconds(), number * 10);
        longest = longest.max(began.elapsed());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(longest < Duration::from_secs(2), "{longest:?}");
}
