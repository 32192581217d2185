//! How late a network camera's video is behind the push script and the server: as messages, and as frames that a
//! player of FLV over HTTP has decoded.

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use gortmp::media::PacketKind;
use tempfile::TempDir;

use crate::support::camera::{Camera, Ffmpeg, GRAY_BYTES, Sent, frame_number, frame_numbers, push_camera};
use crate::support::{Server, next_media, player, tool};

/// Cameras by what they send, as options of `tests/support/camera.py`, and how late a player may show them for half
/// of the frames, in milliseconds.
const CAMERAS: &[(&str, &[&str], f64)] = &[
    ("H.264", &["--audio", "none"], 200.0),
    ("H.264, G.711", &["--audio", "pcma"], 200.0),
    ("H.264, AAC of 16 kHz", &["--audio", "aac"], 200.0),
    ("H.265, G.711", &["--video", "hevc", "--audio", "pcma"], 200.0),
    // A frame has to wait for the beginning of the next, and for that one's, and they are far apart.
    ("H.264, 5 frames a second", &["--audio", "none", "--fps", "5"], 500.0),
];

/// What comes before is still the start.
const START: Duration = Duration::from_secs(5);

/// Watches each camera for so many seconds and prints a table; returns which goals were missed.
pub fn run(seconds: u64) -> Vec<String> {
    println!("| camera | message p50 / p95, ms | decoded p50 / p95, ms | goal |\n|---|---|---|---|");
    let watch = |(name, options, goal): &(&str, &[&str], f64)| {
        let [message, decoded] = watch(options, START + Duration::from_secs(seconds));
        let [(message, slow_message), (decoded, slow_decoded)] = [message, decoded].map(percentiles);
        println!("| {name} | {message:.0} / {slow_message:.0} | {decoded:.0} / {slow_decoded:.0} | {goal:.0} |");
        (decoded > *goal).then(|| format!("{name}: half of the frames are later than {decoded:.0} ms"))
    };
    CAMERAS.iter().filter_map(watch).collect()
}

/// How late frames come, in milliseconds: their messages, and decoded.
fn watch(options: &[&str], time: Duration) -> [Vec<f64>; 2] {
    let dir = TempDir::new().expect("a temporary folder");
    let server = Server::with_http(dir.path(), &[]);
    let camera = Camera::start(&dir, options);
    let _pusher = push_camera(Ffmpeg::System, &camera.url, &server, &dir, &[]);
    server.wait_for_log("started publishing live/cam");
    let begun = now();
    let end = begun + time.as_secs_f64() * 1000.0;
    let [messages, decoded] = std::thread::scope(|scope| {
        let messages = scope.spawn(|| messages(&server, &dir, end));
        let decoded = scope.spawn(|| decoded(&server, end));
        [messages, decoded].map(|player| player.join().expect("it plays"))
    });
    let sent: Vec<Sent> = camera.sent().into_iter().filter(|sent| sent.kind == PacketKind::Video).collect();
    let counts = |(at, _): &&(f64, usize)| *at > begun + START.as_secs_f64() * 1000.0;
    [messages, decoded].map(|got| got.iter().filter(counts).map(|(at, number)| at - sent[*number].taken).collect())
}

/// When which frame's message came to a player of RTMP, until a time.
fn messages(server: &Server, dir: &TempDir, end: f64) -> Vec<(f64, usize)> {
    let mut player = player(server, "live", "cam");
    let (mut got, mut times) = (Vec::new(), Vec::new());
    while now() < end {
        let packet = next_media(&mut player);
        if packet.kind == PacketKind::Video {
            times.extend((!packet.is_sequence_header()).then(now));
            got.push(packet);
        }
    }
    times.into_iter().zip(frame_numbers(&got, dir)).collect()
}

/// When which frame was decoded by a player of FLV over HTTP, until a time.
fn decoded(server: &Server, end: f64) -> Vec<(f64, usize)> {
    let http = server.http.expect("a server with HTTP");
    let mut command = tool("ffmpeg", "ffmpeg");
    // One thread at either end, or each frame waits there until as many others have come.
    command.args("-v error -fflags nobuffer -analyzeduration 1000000 -threads 1 -i".split(' '));
    command.arg(format!("http://{http}/live/cam.flv"));
    command.args("-map 0:v -fps_mode passthrough -pix_fmt gray -threads 1 -f rawvideo -flush_packets 1 -".split(' '));
    let mut player = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("ffmpeg runs");
    let mut frames = player.stdout.take().expect("its frames");
    let (mut got, mut frame) = (Vec::new(), vec![0; GRAY_BYTES]);
    while now() < end {
        frames.read_exact(&mut frame).expect("a frame");
        got.push((now(), frame_number(&frame)));
    }
    player.kill().and_then(|()| player.wait()).expect("its end");
    got
}

/// Unix time in milliseconds.
fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock that is right").as_secs_f64() * 1000.0
}

/// The median, and what one in twenty exceeds.
fn percentiles(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[values.len() * 19 / 20])
}
