//! The page in a real browser, and HLS in hls.js: what people see.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gortmp::media::{PacketKind, Timestamp};
use tempfile::TempDir;

use crate::alone;
use crate::support::faults::push_without_end;
use crate::support::{self, Running, Server, media, tool};

/// The oldest that video frames may be when they are shown, in milliseconds: in the page, and with hls.js.
const IN_PAGE_MS: &str = "400";
const WITH_HLS_MS: &str = "1000";

/// How long hls.js may take to its first frame, in milliseconds: some 400 on an idle machine.
const SOON_WITH_HLS_MS: &str = "4000";

struct Page {
    server: Server,
    dir: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Page {
    fn start() -> Self {
        let alone = alone();
        let dir = TempDir::new().unwrap();
        std::fs::copy(media::sample("h264-aac"), dir.path().join("film.flv")).unwrap();
        Self { server: Server::with_http(dir.path(), &[]), dir, _alone: alone }
    }

    fn camera(&self, name: &str) -> Running {
        self.camera_of("h264-aac", name)
    }

    fn camera_of(&self, sample: &str, name: &str) -> Running {
        let sample = media::sample(sample);
        let url = self.server.url(&format!("live/{}", name.replace(' ', "%20")));
        let command = push_without_end(media::ffmpeg(), &sample, &url);
        let running = Running::start(command, self.dir.path().join("camera.log"));
        self.server.wait_for_log(&format!("started publishing live/{name}"));
        running
    }

    /// Cameras of 640×360 from `cam1` to `cam16`, from one program.
    fn sixteen_cameras(&self) -> Running {
        let file = self.dir.path().join("camera.flv");
        let mut make = media::ffmpeg();
        make.args(
            "-f lavfi -i testsrc2=size=640x360:rate=25 -f lavfi -i sine -t 10 -c:v libx264 -bf 0 -g 50".split(' '),
        );
        make.args("-preset veryfast -b:v 700k -pix_fmt yuv420p -c:a aac".split(' ')).arg(&file);
        assert!(make.status().unwrap().success());
        let name = |number| format!("live/cam{number}");
        let outputs: Vec<_> = (1..=16).map(|number| format!("[f=flv]{}", self.server.url(&name(number)))).collect();
        let mut push = media::ffmpeg();
        push.args("-re -stream_loop -1".split(' ')).arg("-i").arg(&file);
        push.args("-map 0 -c copy -f tee".split(' ')).arg(outputs.join("|"));
        let running = Running::start(push, self.dir.path().join("camera.log"));
        for number in 1..=16 {
            self.server.wait_for_log(&format!("started publishing {}", name(number)));
        }
        running
    }

    fn base(&self) -> String {
        format!("http://{}", self.server.http.unwrap())
    }

    fn script(&self, name: &str, arguments: &[&str]) -> Command {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
        assert!(dir.join("node_modules").exists(), "its packages are missing: run scripts/install-test-tools.sh");
        tool("chromium", "chromium");
        let mut command = tool("node", "nodejs");
        command.current_dir(&dir).arg(format!("{name}.mjs")).arg(self.base()).args(arguments);
        command
    }

    /// Runs a script to its end and says what it printed.
    fn run(&self, name: &str, arguments: &[&str]) {
        let output = self.script(name, arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {text}");
        println!("{text}");
    }
}

#[test]
fn the_wall_shows_what_there_is_to_all() {
    let page = Page::start();
    for film in ["film 10.flv", "film 2.flv"] {
        std::fs::copy(media::sample("h264-aac"), page.dir.path().join(film)).unwrap();
    }
    let radio = page.camera_of("audio-only", "radio");
    let _cameras = [page.camera("cam"), page.camera("<img src=x onerror=alert(1)>"), radio];
    page.run("wall", &[]);
}

#[test]
fn a_wall_of_sixteen_cameras_plays() {
    let page = Page::start();
    let _cameras = page.sixteen_cameras();
    page.run("sixteen", &[]);
}

#[test]
fn a_device_that_drops_frames_shows_key_frames_of_some() {
    let page = Page::start();
    let _cameras = page.sixteen_cameras();
    page.run("weak_device", &[]);
}

#[test]
fn what_a_browser_cannot_play_is_called_by_its_name() {
    let page = Page::start();
    let make = |name: &str, codecs: &str| {
        let path = page.dir.path().join(format!("{name}.flv"));
        let mut make = media::ffmpeg();
        make.args("-f lavfi -i testsrc2=size=320x240:rate=20 -f lavfi -i sine -t 60 -g 20 -pix_fmt yuv420p".split(' '));
        assert!(make.args(codecs.split(' ')).arg(&path).status().unwrap().success());
        path
    };
    let doorbell = make("doorbell", "-c:v libx264 -preset ultrafast -c:a pcm_alaw -ar 8000 -ac 1");
    let attic = make("attic", "-c:v flv1 -c:a libmp3lame");
    std::fs::copy(media::sample("hevc-aac"), page.dir.path().join("roof.flv")).unwrap();
    let push = |ffmpeg, file: &Path, name: &str| {
        let command = push_without_end(ffmpeg, file, &page.server.url(&format!("live/{name}")));
        let running = Running::start(command, page.dir.path().join("camera.log"));
        page.server.wait_for_log(&format!("started publishing live/{name}"));
        running
    };
    let _cameras = [
        push(media::ffmpeg(), &doorbell, "doorbell"),
        push(media::recent_ffmpeg(), &media::sample("hevc-aac"), "roof"),
        push(media::ffmpeg(), &attic, "attic"),
    ];
    page.run("unplayable", &[]);
}

#[test]
fn cameras_of_any_frame_rate_play_without_running_dry() {
    let page = Page::start();
    let cameras =
        [("timelapse", 1, 48_000), ("night", 5, 0), ("porch", 10, 8_000), ("door", 15, 16_000), ("stage", 60, 48_000)];
    let push = |(name, fps, rate): &(&str, u32, u32)| {
        let path = page.dir.path().join(format!("{name}.flv"));
        let mut make = media::ffmpeg();
        make.args(["-f", "lavfi", "-i", &format!("testsrc2=size=320x240:rate={fps}")]);
        if *rate > 0 {
            make.args("-f lavfi -i sine -c:a aac -ar".split(' ')).arg(rate.to_string());
        }
        make.args("-t 90 -c:v libx264 -preset ultrafast -bf 0 -pix_fmt yuv420p -g".split(' '))
            .arg((fps * 2).to_string());
        assert!(make.arg(&path).status().unwrap().success());
        let command = push_without_end(media::ffmpeg(), &path, &page.server.url(&format!("live/{name}")));
        let running = Running::start(command, page.dir.path().join("camera.log"));
        page.server.wait_for_log(&format!("started publishing live/{name}"));
        running
    };
    let _cameras: Vec<_> = cameras.iter().map(push).collect();
    let told = cameras.map(|(name, fps, rate)| format!("{name}:{fps}:{rate}"));
    page.run("rates", &told.each_ref().map(|camera| &camera[..]));
}

#[test]
fn mp3_plays_in_sync_with_the_video() {
    let page = Page::start();
    let film = page.dir.path().join("mp3.flv");
    let mut make = media::ffmpeg();
    make.args(
        "-f lavfi -i testsrc2=size=320x240:rate=25 -f lavfi -i sine -t 60 -c:v libx264 -preset ultrafast".split(' '),
    );
    make.args("-bf 0 -pix_fmt yuv420p -g 50 -c:a libmp3lame".split(' ')).arg(&film);
    assert!(make.status().unwrap().success());
    let command = push_without_end(media::ffmpeg(), &film, &page.server.url("live/mp3"));
    let _camera = Running::start(command, page.dir.path().join("camera.log"));
    page.server.wait_for_log("started publishing live/mp3");
    page.run("mp3", &[]);
}

#[test]
fn audio_goes_on_while_a_telephone_sends_no_video() {
    let page = Page::start();
    let telephone = Telephone::start(&page.server, "cam");
    let mut script = Script::start(page.script("telephone", &[]));
    script.waits_for("playing");
    telephone.hides(true);
    script.go_on();
    script.waits_for("playing audio");
    telephone.hides(false);
    script.go_on();
    script.ends_well();
}

#[test]
fn audio_goes_on_through_gaps_in_the_video() {
    let page = Page::start();
    let _telephone = Telephone::start(&page.server, "cam");
    page.run("gaps", &[]);
}

#[test]
fn a_camera_that_returns_is_seen_again_without_reload() {
    let page = Page::start();
    let mut camera = page.camera("cam");
    let mut script = Script::start(page.script("returns", &[]));
    script.waits_for("playing");
    camera.kill();
    script.go_on();
    script.waits_for("waiting");
    let _cameras = [page.camera("cam"), page.camera("new")];
    script.ends_well();
}

#[test]
fn a_server_that_returns_is_found_without_reload() {
    let mut page = Page::start();
    let camera = page.camera("cam");
    let mut script = Script::start(page.script("restart", &[]));
    script.waits_for("playing");
    let http = page.server.http.unwrap().to_string();
    assert_eq!(page.server.stop(), Some(0));
    drop(camera);
    script.go_on();
    script.waits_for("waiting");
    page.server = Server::with_videos(page.dir.path(), &["--http", &http]);
    let _camera = page.camera("cam");
    script.ends_well();
}

#[test]
fn video_frames_are_shown_soon_after_they_were_captured() {
    let page = Page::start();
    page.run("latency", &[&page.server.url("live/clock"), IN_PAGE_MS]);
}

#[test]
fn hls_js_plays_close_to_the_edge() {
    let page = Page::start();
    page.run("hls", &[&page.server.url("live/clock"), WITH_HLS_MS]);
}

#[test]
fn hls_js_shows_a_frame_soon_in_a_long_gop() {
    let page = Page::start();
    let file = media::with_gops_of(10, &page.dir);
    let mut script = Script::start(page.script("start", &["/live/cam/index.m3u8", SOON_WITH_HLS_MS]));
    script.waits_for("ready");
    let command = push_without_end(media::ffmpeg(), &file, &page.server.url("live/cam"));
    let _camera = Running::start(command, page.dir.path().join("camera.log"));
    page.server.wait_for_log("started publishing live/cam");
    std::thread::sleep(Duration::from_millis(2_700));
    script.go_on();
    script.ends_well();
}

#[test]
fn mpegts_js_plays_flv_over_http_and_web_sockets() {
    let page = Page::start();
    let _camera = page.camera("cam");
    page.run("mpegts", &["/live/cam.flv"]);
}

#[test]
fn a_recording_is_played_and_sought_in() {
    let page = Page::start();
    let mut make = media::ffmpeg();
    make.args(
        "-f lavfi -i testsrc=size=320x240:rate=25 -f lavfi -i sine -t 60 -c:v libx264 -preset ultrafast".split(' '),
    );
    make.args("-pix_fmt yuv420p -g 50 -bf 2 -c:a aac -f flv".split(' ')).arg(page.dir.path().join("minute.flv"));
    assert!(make.status().unwrap().success());
    page.run("recording", &["minute"]);
}

#[test]
fn every_script_is_run_by_a_test() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let this = include_str!("chromium.rs");
    let scripts = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let scripts: Vec<PathBuf> =
        scripts.filter(|path| path.extension().is_some_and(|extension| extension == "mjs")).collect();
    assert!(scripts.len() > 5);
    for script in scripts {
        let name = script.file_stem().unwrap().to_str().unwrap().to_owned();
        // The others are for screenshots of the page and for the benchmark of weak links.
        let is_known = ["common", "screenshots", "weak"].contains(&&name[..]) || this.contains(&format!("\"{name}\""));
        assert!(is_known, "{name}.mjs");
    }
}

/// A telephone that streams a sample for ever, and while its program is in the background only the audio of it.
struct Telephone {
    is_hidden: Arc<AtomicBool>,
    stops: Arc<AtomicBool>,
    publishing: Option<JoinHandle<()>>,
}

impl Telephone {
    fn start(server: &Server, name: &str) -> Self {
        let (is_hidden, stops) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (mut client, hidden, stopped) = (support::publisher(server, name), is_hidden.clone(), stops.clone());
        let packets = media::packets(&media::sample("h264-aac"));
        let length = packets.iter().map(|packet| packet.timestamp.milliseconds()).max().unwrap() + 50;
        let publish = move || {
            let (began, mut sends_video) = (Instant::now(), true);
            for (packet, round) in (0..).flat_map(|round| packets.iter().map(move |packet| (packet, round))) {
                let mut packet = packet.clone();
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                if packet.kind == PacketKind::Data || (round > 0 && packet.is_sequence_header()) {
                    continue;
                }
                let time = packet.timestamp.milliseconds() + round * length;
                let due = began + Duration::from_millis(time.into());
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                if packet.kind == PacketKind::Video {
                    // It comes back with a key frame.
                    sends_video = !hidden.load(Ordering::Relaxed) && (sends_video || packet.is_key_frame());
                    if !sends_video {
                        continue;
                    }
                }
                packet.timestamp = Timestamp::new(time);
                client.send(packet).unwrap();
            }
        };
        Self { is_hidden, stops, publishing: Some(std::thread::spawn(publish)) }
    }

    fn hides(&self, is_hidden: bool) {
        self.is_hidden.store(is_hidden, Ordering::Relaxed);
    }
}

impl Drop for Telephone {
    fn drop(&mut self) {
        self.stops.store(true, Ordering::Relaxed);
        let _ = self.publishing.take().map(JoinHandle::join);
    }
}

/// A script that one talks with.
struct Script {
    process: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Script {
    fn start(mut command: Command) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Self { process, lines }
    }

    fn waits_for(&mut self, word: &str) {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), word);
    }

    fn go_on(&mut self) {
        self.process.stdin.as_mut().unwrap().write_all(b"go on\n").unwrap();
    }

    fn ends_well(mut self) {
        let until = std::time::Instant::now() + Duration::from_secs(120);
        while self.process.try_wait().unwrap().is_none() {
            assert!(std::time::Instant::now() < until, "the script goes on for ever");
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
