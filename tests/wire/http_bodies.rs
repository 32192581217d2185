//! Where answers over HTTP end, and that answers that broke off can be told from those that ended.

use std::io::{self, Read};

use gortmp::media::PacketKind;
use tempfile::TempDir;

use crate::support;
use crate::support::faults::Disk;
use crate::support::http::{Answer, Http, get};
use crate::support::*;

/// A codec configuration of H.264, 1280×720.
const AVC: &[u8] =
    b"\x17\x00\x00\x00\x00\x01\x64\x00\x1f\xff\xe1\x00\x19\x67\x64\x00\x1f\xac\xd9\x40\x50\x05\xbb\x01\x6c\x80\
    \x00\x00\x03\x00\x80\x00\x00\x1e\x07\x8c\x18\xcb\x01\x00\x06\x68\xeb\xe3\xcb\x22\xc0\xfd\xf8\xf8\x00";

/// A film of H.264, 25 frames a second and a key frame in each, with so many bytes in a frame.
fn film(seconds: u32, bytes: usize) -> Vec<u8> {
    let mut writer = gortmp::flv::Writer::new(Vec::new(), false, true).unwrap();
    writer.write_packet(&video(0, AVC)).unwrap();
    for number in 0..seconds * 25 {
        let (first, nal_type) = if number % 25 == 0 { (0x17, 0x65) } else { (0x27, 0x41) };
        let length = (bytes as u32).to_be_bytes();
        let mut payload = [&[first, 1, 0, 0, 0][..], &length, &[nal_type]].concat();
        payload.resize(9 + bytes, number as u8);
        writer.write_packet(&video(number * 40, &payload)).unwrap();
    }
    writer.into_inner()
}

/// Asks on a connection that stays.
fn ask(http: &mut Http, path: &str) -> Answer {
    http.request("GET", path, "");
    let answer = http.answer();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("keep-alive")), "{path}");
    answer
}

#[test]
fn every_finite_answer_says_where_it_ends_and_another_may_follow() {
    let dir = TempDir::new().unwrap();
    std::fs::copy(media::sample("h264-b-frames-aac"), dir.path().join("film.flv")).unwrap();
    let server = Server::with_http(dir.path(), &[]);
    let mut http = Http::open(&server);
    let list = ask(&mut http, "/gortmp/film/media.m3u8").text();
    let names: Vec<_> = list.lines().filter(|line| line.starts_with("seg-")).collect();
    assert!(!names.is_empty(), "{list}");
    let mut segments = Vec::new();
    for name in names {
        let path = format!("/gortmp/film/{name}");
        let answer = ask(&mut http, &path);
        assert_eq!(answer.header("content-length"), Some(&*answer.body.len().to_string()), "{path}");
        http.request("HEAD", &path, "");
        assert_eq!(http.head().header("content-length"), answer.header("content-length"), "{path}");
        segments.extend(answer.body);
    }
    let whole = ask(&mut http, "/gortmp/film.mp4");
    assert_eq!((whole.header("transfer-encoding"), whole.header("content-length")), (Some("chunked"), None));
    http.request("HEAD", "/gortmp/film.mp4", "");
    assert_eq!(http.head().header("transfer-encoding"), Some("chunked"));
    let init = ask(&mut http, "/gortmp/film/init-0.mp4").body;
    assert!(whole.body.starts_with(&init) && whole.body.ends_with(&segments[segments.len() - 1000..]));
    for path in
        ["/", "/page/wall.js", "/metrics", "/api/v1/videos", "/gortmp/film/index.m3u8", "/gortmp/film.mp4?poster"]
    {
        let answer = ask(&mut http, path);
        assert_eq!(answer.header("content-length"), Some(&*answer.body.len().to_string()), "{path}");
    }
    // Who speaks HTTP/1.0 knows no chunks.
    let mut old = Http::open(&server);
    old.say("GET /gortmp/film.mp4 HTTP/1.0\r\n\r\n");
    let answer = old.answer();
    assert_eq!((answer.header("transfer-encoding"), answer.header("connection")), (None, Some("close")));
    assert!(answer.body == whole.body);
}

#[test]
fn ffmpeg_accepts_the_segments() {
    let dir = TempDir::new().unwrap();
    std::fs::copy(media::sample("h264-aac"), dir.path().join("film.flv")).unwrap();
    let server = Server::with_http(dir.path(), &[]);
    let mut command = media::ffmpeg();
    command.args(["-i", &format!("http://{}/gortmp/film/index.m3u8", server.http.unwrap()), "-f", "null", "-"]);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.trim().is_empty(), "{text}");
}

/// Bytes of a frame, so many that most of a film is still to be read when something happens to it.
const BYTES: usize = 60_000;

/// Asks on a connection that holds little; gives what stands before the body.
fn open(server: &Server, request: &str) -> (Http, Answer) {
    let mut http = Http::open(server);
    rustix::net::sockopt::set_socket_recv_buffer_size(http.0.get_ref(), 64 * 1024).unwrap();
    http.say(request);
    let head = http.head();
    assert_eq!(head.status, 200);
    (http, head)
}

#[test]
fn a_disk_that_fails_in_the_middle_breaks_the_answer() {
    let dir = TempDir::new().unwrap();
    let content = dir.path().join("content");
    std::fs::create_dir(&content).unwrap();
    std::fs::write(content.join("film.flv"), film(15, BYTES)).unwrap();
    let (mut disk, server) = Disk::with_server(dir.path(), &content, &["--http", "127.0.0.1:0"]);
    let (mut chunked, head) = open(&server, "GET /gortmp/film.mp4 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(head.header("transfer-encoding"), Some("chunked"));
    let (mut closed, _) = open(&server, "GET /gortmp/film.mp4 HTTP/1.0\r\n\r\n");
    disk.fail_from(11 << 20);
    if disk.is_real {
        assert_eq!(chunked.chunks().unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "no last chunk");
        let mut body = Vec::new();
        assert_eq!(closed.0.read_to_end(&mut body).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert!(body.len() > 1 << 20, "{}", body.len());
        server.wait_for_log("nput/output error");
        assert_eq!(get(&server, "/gortmp/film/seg-0-15000.m4s").status, 500, "it is not even begun");
    }
    disk.mend();
    let segment = get(&server, "/gortmp/film/seg-0-15000.m4s");
    assert!(segment.body.len() > 15 * 25 * BYTES, "when the disk is well again so is the film");
}

#[test]
fn a_file_that_is_cut_while_it_is_sent_breaks_the_answer() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("film.flv");
    std::fs::write(&path, film(15, BYTES)).unwrap();
    let server = Server::with_http(dir.path(), &[]);
    let (mut http, head) = open(&server, "GET /gortmp/film/seg-0-15000.m4s HTTP/1.1\r\nHost: x\r\n\r\n");
    let length: usize = head.header("content-length").unwrap().parse().unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(11 << 20).unwrap();
    let mut body = Vec::new();
    http.0.read_to_end(&mut body).unwrap();
    assert!((5 << 20..length).contains(&body.len()), "{} of {length} bytes", body.len());
}

/// As power cuts, full disks and killed recorders leave them: what the page, playlists, MP4 and RTMP tell of a file's length
/// is what is there.
#[test]
fn files_that_were_cut_off_have_one_length() {
    let dir = TempDir::new().unwrap();
    let sample = media::sample("h264-aac");
    let (unlisted, listed) = (dir.path().join("unlisted.flv"), dir.path().join("listed.flv"));
    let mut command = media::ffmpeg();
    command
        .arg("-i")
        .arg(&sample)
        .args(["-c", "copy", "-t", "2.4", "-flvflags", "no_duration_filesize"])
        .arg(&unlisted);
    assert!(command.status().unwrap().success());
    let mut command = media::ffmpeg();
    command.args(["-stream_loop", "7", "-i"]).arg(&sample).args(["-c", "copy"]).arg(&listed);
    assert!(command.status().unwrap().success());
    let bytes = std::fs::read(&unlisted).unwrap();
    std::fs::write(&unlisted, &bytes[..bytes.len() - 1300]).unwrap();
    let bytes = std::fs::read(&listed).unwrap();
    std::fs::write(&listed, &bytes[..bytes.len() / 40]).unwrap();
    let server = Server::with_http(dir.path(), &[]);
    let videos = get(&server, "/api/v1/videos").text();
    let videos: serde_json::Value = serde_json::from_str(&videos).unwrap();
    for (index, (name, path)) in [("listed", &listed), ("unlisted", &unlisted)].into_iter().enumerate() {
        let frames = media::frames(path);
        let last = f64::from(frames.iter().map(|frame| frame.timestamp.milliseconds()).max().unwrap()) / 1000.0;
        assert!((0.5..3.0).contains(&last), "{last}");
        let assert_near =
            |seconds: f64, what: &str| assert!((seconds - last).abs() < 0.06, "{name}, {what}: {seconds}, not {last}");
        assert_eq!(videos["videos"][index]["name"], name);
        assert_near(videos["videos"][index]["duration_seconds"].as_f64().unwrap(), "API");
        let list = get(&server, &format!("/gortmp/{name}/media.m3u8")).text();
        let lengths =
            list.lines().filter_map(|line| line.strip_prefix("#EXTINF:")?.strip_suffix(',')?.parse::<f64>().ok());
        assert_near(lengths.sum(), "HLS");
        let file = dir.path().join(format!("{name}.mp4"));
        std::fs::write(&file, get(&server, &format!("/gortmp/{name}.mp4")).body).unwrap();
        let mut command = tool("ffprobe", "ffmpeg");
        command.args(["-v", "error", "-of", "csv=p=0", "-show_entries", "format=duration"]).arg(file);
        let told = String::from_utf8(command.output().unwrap().stdout).unwrap();
        assert_near(told.trim().parse().unwrap(), "MP4");
        assert_near(stream_length(&server, "gortmp", name), "getStreamLength");
        let mut player = support::player(&server, "gortmp", name);
        let mut played = 0;
        loop {
            match player.next_event().unwrap() {
                gortmp::ClientEvent::Media(packet) if packet.kind != PacketKind::Data => {
                    played = played.max(packet.timestamp.milliseconds());
                }
                gortmp::ClientEvent::Status { code, .. } if code == "NetStream.Play.Stop" => break,
                _ => {}
            }
        }
        assert_near(f64::from(played) / 1000.0, "play");
        let told =
            server.log().iter().filter(|line| line.contains(&format!("video \"{name}.flv\": FLV, byte"))).count();
        assert_eq!(told, 1, "the log says once where the damage is");
    }
}
