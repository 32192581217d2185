//! The scripts under `scripts/`: the hardware ones against a stand-in for ffmpeg that writes down how it was
//! called, those that need no hardware with the real one.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::signals::{self, with_default_signals};

const URL: &str = "rtmp://127.0.0.1/live/livestream";
const OUTPUT: &str = "-rw_timeout 8000000 -flvflags no_duration_filesize -f flv";
const BEGIN: &str = "-nostdin -hide_banner -loglevel warning -progress FILE -stats_period 3";
const ENCODE: &str = "-c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p";

/// How `ffmpeg -version` tells which it is, here 5.1.
const FFMPEG_5_1: &str = "libavformat    59. 27.100 / 59. 27.100";
const FFMPEG_6_1: &str = "libavformat    60. 16.100 / 60. 16.100";
const FFMPEG_4_4: &str = "libavformat    58. 76.100 / 58. 76.100";

/// What a stand-in does after it has written down its call: this one goes on until it is ended.
const STAYS: &str = "exec sleep 60";
/// Only KILL ends this one.
const DEAF: &str = "trap '' TERM; while :; do sleep 0.1; done";

/// A folder for one test: stand-ins, their calls, locks and logs.
struct Sandbox {
    dir: TempDir,
    path: String,
    settings: Vec<(&'static str, &'static str)>,
}

impl Sandbox {
    /// With the real tools.
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        for name in ["bin", "calls", "tmp"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self { dir, path: std::env::var("PATH").unwrap(), settings: Vec::new() }
    }

    /// With an ffmpeg that does `then`, and an ffprobe that does `probe`.
    fn with_stand_ins(then: &str, probe: &str) -> Self {
        Self::with_version(FFMPEG_5_1, then, probe)
    }

    fn with_version(version: &str, then: &str, probe: &str) -> Self {
        let mut sandbox = Self::new();
        let calls = sandbox.file("calls");
        // Answers what the scripts ask it about its options and filters without writing that down.
        let ffmpeg = format!(
            "case \" $* \" in *' -f null '*) exit 0 ;; ' -version ') echo '{version}'; exit 0 ;; esac\n\
             call={0}/$(date +%s%N)-$$\nprintf '%s\\n' \"$*\" >$call.new; mv $call.new $call\n{then}",
            calls.display()
        );
        sandbox.add_tool("ffmpeg", &ffmpeg);
        sandbox.add_tool("ffprobe", probe);
        sandbox.path = format!("{}:{}", sandbox.file("bin").display(), sandbox.path);
        sandbox
    }

    fn add_tool(&self, name: &str, body: &str) {
        // Written by another process: a file this one has open for writing could be caught by a fork of
        // another test, and would be "busy" when it is to be run.
        let tool = self.file("bin").join(name);
        let script = format!("#!/bin/sh\n{body}\n");
        let write = r#"printf %s "$1" >"$0"; chmod 755 "$0""#;
        assert!(Command::new("sh").arg("-c").arg(write).arg(&tool).arg(script).status().unwrap().success());
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn start(&self, script: &str, arguments: &[&str]) -> Running {
        let log = File::options().create(true).append(true).open(self.file("log")).unwrap();
        let mut command = with_default_signals(scripts().join(script));
        command.args(arguments).current_dir(self.dir.path()).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        command.env("PATH", &self.path).env("TMPDIR", self.file("tmp"));
        command.envs(self.settings.iter().copied());
        Running(command.spawn().unwrap())
    }

    fn run(&self, script: &str, arguments: &[&str]) -> Option<i32> {
        self.start(script, arguments).end().code()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.file("log")).unwrap_or_default()
    }

    /// The calls of the stand-in in their order: process and arguments.
    fn calls(&self) -> Vec<(u32, String)> {
        let mut names: Vec<_> = fs::read_dir(self.file("calls")).unwrap().map(|e| e.unwrap().path()).collect();
        names.retain(|name| name.extension().is_none());
        names.sort();
        let call = |name: &PathBuf| (process_of(name), call_of(&fs::read_to_string(name).unwrap()));
        names.iter().map(call).collect()
    }

    /// Waits for so many calls of the stand-in.
    fn wait_calls(&self, count: usize) -> Vec<(u32, String)> {
        wait(20, &format!("call {count} of ffmpeg"), || self.calls().len() >= count);
        self.calls()
    }
}

/// A script at work; ended with the test, however that ends.
struct Running(Child);

impl Running {
    fn signal(&self, name: &str) {
        signal(self.0.id(), name);
    }

    fn end(&mut self) -> ExitStatus {
        let mut status = None;
        wait(20, "the end of the script", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.try_wait().unwrap().is_none() {
            self.signal("TERM");
            self.end();
        }
    }
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts")
}

/// A call without the name of the file for ffmpeg's progress.
fn call_of(text: &str) -> String {
    let words = text
        .split_whitespace()
        .map(|word| if word.starts_with("file:") && word.ends_with(".progress") { "FILE" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

fn process_of(call: &Path) -> u32 {
    call.to_str().unwrap().rsplit('-').next().unwrap().parse().unwrap()
}

fn signal(process: u32, name: &str) {
    Command::new("sh").arg("-c").arg(format!("kill -{name} {process}")).status().unwrap();
}

fn is_alive(process: u32) -> bool {
    // A zombie has ended, whether or not anybody has asked for its status.
    let stat = fs::read_to_string(format!("/proc/{process}/stat"));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

fn wait(seconds: u64, what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(seconds), "waited {seconds} s for {what}");
        sleep(Duration::from_millis(20));
    }
}

fn need(tool: &str, package: &str) {
    let found = Command::new("sh").arg("-c").arg(format!("command -v {tool}")).output().unwrap();
    assert!(found.status.success(), "{tool} is missing; install it with: apt-get install {package}");
}

#[test]
fn usb_camera_is_encoded() {
    let sandbox = Sandbox::with_stand_ins("exit 0", "");
    File::create(sandbox.file("video7")).unwrap();
    assert_eq!(sandbox.run("push-usb-camera.sh", &["--once", "video7"]), Some(0));
    let options = ["--once", "--audio", "hw:1", "--size", "640x480", "--fps", "15", "--bitrate", "800k"];
    let more = ["--input-format", "mjpeg", "--loglevel", "error", "video7", "rtmp://192.0.2.1:1940/live/desk"];
    assert_eq!(sandbox.run("push-usb-camera.sh", &[options.as_slice(), &more].concat()), Some(0));
    let calls = sandbox.calls();
    let plain = format!(
        "{BEGIN} -f v4l2 -thread_queue_size 64 -framerate 30 -video_size 1280x720 \
         -i video7 -an {ENCODE} -g 60 -b:v 2500k -maxrate 2500k -bufsize 2500k {OUTPUT} {URL}"
    );
    assert_eq!(calls[0].1, plain);
    let full = format!(
        "{} -f v4l2 -thread_queue_size 64 -framerate 15 -video_size 640x480 \
         -input_format mjpeg -i video7 -f alsa -thread_queue_size 1024 -i hw:1 -c:a aac -b:a 128k -ar 44100 \
         {ENCODE} -g 30 -b:v 800k -maxrate 800k -bufsize 800k {OUTPUT} rtmp://192.0.2.1:1940/live/desk",
        BEGIN.replace("warning", "error")
    );
    assert_eq!(calls[1].1, full);

    assert_eq!(sandbox.run("push-usb-camera.sh", &["/dev/video99"]), Some(1));
    assert!(sandbox.log().contains("there is no /dev/video99; cameras here: "), "{}", sandbox.log());
}

/// Copied video whose B-frames are so far ahead, the first frame's time reckoned back by so many.
fn copy_of(reorder: u32, back: u32) -> String {
    format!(
        r"-c:v copy -bsf:v setts=pts=if(eq(PTS\,NOPTS)\,NEXT_PTS-{back}*NEXT_DURATION\,PTS):dts=if(eq(PTS\,NOPTS)\,NEXT_PTS-{}*NEXT_DURATION\,if(between(N\,1\,{reorder})\,min(DTS\,PREV_OUTDTS+DURATION)\,DTS))",
        back + reorder
    )
}

#[test]
fn ip_camera_is_transcoded_only_where_it_must_be() {
    const CAMERA: &str = "rtsp://admin:s3cret@192.0.2.7/cam?channel=1";
    const AAC: &str = "-map 0:a:0 -c:a aac -b:a 64k -ar 44100";
    let encode = format!("{ENCODE} -force_key_frames expr:gte(t,n_forced*2) -b:v 2500k -maxrate 2500k -bufsize 2500k");
    let copy = &copy_of(0, 1);
    let both = "h264,video,0,0\naac,audio,8000,0";
    let hevc = "hevc,video,2,0\npcm_alaw,audio,8000,0";
    let copies = |video: &str, audio: &str| (String::new(), format!("{video} {audio}"));
    let encodes = |audio: &str| ("-thread_type:v slice ".to_owned(), format!("{encode} {audio}"));
    for (version, streams, option, (decode, codecs), advice) in [
        (FFMPEG_5_1, both, "", copies(copy, "-map 0:a:0 -c:a copy"), ""),
        (FFMPEG_4_4, both, "", copies("-c:v copy", "-map 0:a:0 -c:a copy"), ""),
        (FFMPEG_5_1, both, "--transcode", encodes(AAC), ""),
        (FFMPEG_5_1, "h264,video,0,0", "", copies(copy, "-an"), ""),
        (FFMPEG_6_1, "h264,video,0,0", "--copy-hevc", copies(copy, "-an"), ""),
        (FFMPEG_5_1, "aac,audio,8000,0\nh264,video,0,0", "--no-audio", copies(copy, "-an"), ""),
        (FFMPEG_5_1, hevc, "", encodes(AAC), "FFmpeg 6.1 or later could copy it"),
        (FFMPEG_6_1, hevc, "", encodes(AAC), "--copy-hevc copies it, for players that support it"),
        (FFMPEG_6_1, hevc, "--copy-hevc", copies(&copy_of(2, 4), AAC), ""),
    ] {
        let (failing, probe) = ("echo \"$*: refused\" >&2; exit 7", format!("printf '{streams}\\n'"));
        let sandbox = Sandbox::with_version(version, failing, &probe);
        let arguments: Vec<&str> = ["--once", CAMERA, option].into_iter().filter(|word| !word.is_empty()).collect();
        assert_eq!(sandbox.run("push-ip-camera.sh", &arguments), Some(7), "{}", sandbox.log());
        let begin = if version == FFMPEG_4_4 { BEGIN.replace(" -stats_period 3", "") } else { BEGIN.to_owned() };
        let timeout = if version == FFMPEG_4_4 { "-stimeout" } else { "-timeout" };
        let input = format!("-rtsp_transport tcp {timeout} 8000000 {decode}-i {CAMERA} -map 0:V:0?");
        assert_eq!(sandbox.calls()[0].1, format!("{begin} {input} {codecs} {OUTPUT} {URL}"));
        let log = sandbox.log();
        assert!(log.contains("rtsp://***@192.0.2.7/cam?***") && !log.contains("s3cret"), "{log}");
        assert!(log.contains(advice) && log.contains("H.265") != advice.is_empty(), "{log}");
    }
    let sandbox = Sandbox::with_stand_ins("exit 0", "");
    assert_eq!(sandbox.run("push-ip-camera.sh", &["--copy-hevc", CAMERA]), Some(2));
    assert!(sandbox.log().contains("--copy-hevc: this ffmpeg is older than 6.1"), "{}", sandbox.log());
}

#[test]
fn file_is_transcoded_only_where_it_must_be() {
    let video = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -force_key_frames expr:gte(t,n_forced*2) \
                 -b:v 2500k -maxrate 2500k -bufsize 2500k";
    let audio = "-c:a aac -b:a 128k -ar 44100";
    for (streams, option, codecs) in [
        ("flv1,video,0,0\nmp3,audio,44100,0", "--once", "-c:v copy -c:a copy".to_owned()),
        ("flv1,video,0,0\nmp3,audio,44100,0", "--transcode", format!("{video} {audio}")),
        ("h264,video,2,0\nadpcm_swf,audio,22050,0", "--once", format!("-c:v copy {audio}")),
        ("nellymoser,audio,22050,0", "--transcode", audio.to_owned()),
        ("mp3,audio,44100,0\nmjpeg,video,0,1", "--transcode", audio.to_owned()),
    ] {
        let sandbox = Sandbox::with_stand_ins("exit 0", &format!("printf '{streams}\\n'"));
        fs::write(sandbox.file("film.flv"), "").unwrap();
        assert_eq!(sandbox.run("push-file.sh", &["--once", option, "film.flv"]), Some(0), "{}", sandbox.log());
        let input = "-re -i file:film.flv -map 0:V:0? -map 0:a:0?";
        assert_eq!(sandbox.calls()[0].1, format!("{BEGIN} {input} {codecs} {OUTPUT} {URL}"));
    }
}

#[test]
fn bbr_is_advised_once_where_it_helps() {
    let advice = "uses the congestion control bbr instead of cubic: sysctl -w net.ipv4.tcp_congestion_control=bbr";
    let pattern = |url: &'static str| ["push-test-pattern.sh", "--once", url].map(str::to_owned).to_vec();
    for (offered, used, command, times) in [
        ("reno cubic bbr", "cubic", pattern("rtmp://192.0.2.1/live/a"), 1),
        ("reno cubic bbr", "bbr", pattern("rtmp://192.0.2.1/live/a"), 0),
        ("reno cubic", "cubic", pattern("rtmp://192.0.2.1/live/a"), 0),
        ("reno cubic bbr", "cubic", pattern("rtmp://user:secret@127.0.0.1:1936/live/a"), 0),
        ("reno cubic bbr", "cubic", pattern("rtmp://[::1]:1936/live/a"), 0),
        (
            "reno cubic bbr",
            "cubic",
            ["push-cameras.sh", "--server", "rtmp://192.0.2.1/live", "list"].map(str::to_owned).to_vec(),
            1,
        ),
    ] {
        let sandbox = Sandbox::with_stand_ins(STAYS, "");
        fs::write(sandbox.file("list"), "a test\nb test").unwrap();
        let congestion = format!(
            "case $1 in *available_congestion_control) echo '{offered}' ;; *congestion_control) echo '{used}' ;; \
             *) exec /bin/cat \"$@\" ;; esac"
        );
        sandbox.add_tool("cat", &congestion);
        let arguments: Vec<&str> = command[1..].iter().map(String::as_str).collect();
        let _script = sandbox.start(&command[0], &arguments);
        sandbox.wait_calls(if command[0] == "push-cameras.sh" { 2 } else { 1 });
        assert_eq!(sandbox.log().matches(advice).count(), times, "{command:?}: {}", sandbox.log());
    }
}

#[test]
fn ffmpeg_is_restarted_with_a_growing_delay() {
    let growing = Sandbox::with_stand_ins("exit 1", "");
    let mut capped = Sandbox::with_stand_ins("exit 1", "");
    capped.settings = vec![("GORTMP_PUSH_DELAY_MAX", "2")];
    // A second is the clock's grain, so that a run of 1.1 s may count as 1 s but not as less.
    let mut steady = Sandbox::with_stand_ins("sleep 1.1", "");
    steady.settings = vec![("GORTMP_PUSH_STEADY", "1")];
    let cases = [(growing, ["1 s", "2 s", "4 s"]), (capped, ["1 s", "2 s", "2 s"]), (steady, ["1 s", "1 s", "1 s"])];
    let mut running: Vec<_> = cases.iter().map(|(sandbox, _)| sandbox.start("push-test-pattern.sh", &[])).collect();
    for ((sandbox, expected), script) in cases.iter().zip(&mut running) {
        wait(30, "the third delay", || sandbox.log().matches("restarting in ").count() >= 3);
        let asked = Instant::now();
        script.signal("TERM");
        assert_eq!(script.end().code(), Some(143));
        assert!(asked.elapsed() < Duration::from_secs(2), "a signal has to end the wait for the next start");
        let log = sandbox.log();
        let delays: Vec<_> = log.lines().filter_map(|line| line.split("restarting in ").nth(1)).collect();
        assert_eq!(delays, expected);
        assert_eq!(sandbox.calls().len(), 3);
    }
}

#[test]
fn ending_the_script_ends_ffmpeg() {
    // Ends at TERM, a second after it, and never.
    let late = "trap 'sleep 1; exit 0' TERM; while :; do sleep 0.1; done";
    let places = [STAYS, late, DEAF].map(|then| Sandbox::with_stand_ins(then, ""));
    let mut running: Vec<_> = places.iter().map(|sandbox| sandbox.start("push-test-pattern.sh", &[])).collect();
    let children: Vec<_> = places.iter().map(|sandbox| sandbox.wait_calls(1)[0].0).collect();
    for (script, name) in running.iter().zip(["HUP", "TERM", "TERM"]) {
        script.signal(name);
    }
    for ((script, child), code) in running.iter_mut().zip(children).zip([129, 143, 143]) {
        assert_eq!(script.end().code(), Some(code));
        assert!(!is_alive(child), "ffmpeg was left behind");
    }
    assert!(places.iter().all(|sandbox| sandbox.calls().len() == 1));
}

#[test]
fn ending_the_script_while_it_asks_the_camera_acts_at_once() {
    let sandbox = Sandbox::with_stand_ins("", "echo > probing; exec sleep 60");
    let mut script = sandbox.start("push-ip-camera.sh", &["rtsp://192.0.2.7/"]);
    wait(20, "ffprobe", || sandbox.file("probing").exists());
    let asked = Instant::now();
    script.signal("TERM");
    assert_eq!(script.end().code(), Some(143));
    assert!(asked.elapsed() < Duration::from_secs(2));
}

#[test]
fn whoever_runs_the_tests_may_ignore_signals() {
    signals::assert_pass_with_signals_ignored(
        module_path!(),
        &[
            "ending_the_script_ends_ffmpeg",
            "ending_the_script_while_it_asks_the_camera_acts_at_once",
            "ffmpeg_is_restarted_with_a_growing_delay",
            "camera_list_runs_one_pusher_a_line",
        ],
    );
}

#[test]
fn second_pusher_of_a_stream_is_refused() {
    let sandbox = Sandbox::with_stand_ins(STAYS, "echo h264,video,0,0");
    let mut first = sandbox.start("push-test-pattern.sh", &["rtmp://192.0.2.1/live/cam?key=1"]);
    let child = sandbox.wait_calls(1)[0].0;
    let same = ["rtsp://192.0.2.7/", "rtmp://192.0.2.1:1935/live/cam?key=2"];
    assert_eq!(sandbox.run("push-ip-camera.sh", &same), Some(3));
    let line =
        format!("192.0.2.1/live/cam is already being published by process {}: stop that one first", first.0.id());
    assert!(sandbox.log().contains(&line), "{}", sandbox.log());

    // Another stream from the same device is refused as well.
    File::create(sandbox.file("video7")).unwrap();
    let usb = sandbox.start("push-usb-camera.sh", &["video7"]);
    sandbox.wait_calls(2);
    assert_eq!(sandbox.run("push-usb-camera.sh", &["video7", "rtmp://192.0.2.1/live/other"]), Some(3));
    drop(usb);

    // Killed without a word, the first takes its ffmpeg with it and leaves the stream free.
    first.signal("KILL");
    first.end();
    wait(5, "the end of ffmpeg", || !is_alive(child));
    let _next = sandbox.start("push-ip-camera.sh", &same);
    sandbox.wait_calls(3);
}

#[test]
fn stream_of_a_killed_pusher_is_taken_over() {
    const TOOLS: &str = "sh cat id mkdir mkfifo find rm mv sed sleep date touch tr cut cksum readlink ln dirname grep";
    // Without setpriv the kernel doesn't end ffmpeg; without flock the lock is a link.
    let places = ["flock ", ""].map(|flock| {
        let mut sandbox = Sandbox::with_stand_ins(&format!("mkdir first || {STAYS}\n{DEAF}"), "");
        for tool in format!("{flock}{TOOLS}").split(' ') {
            let found = Command::new("sh").arg("-c").arg(format!("command -v {tool}")).output().unwrap();
            symlink(String::from_utf8(found.stdout).unwrap().trim(), sandbox.file("bin").join(tool)).unwrap();
        }
        sandbox.path = sandbox.file("bin").display().to_string();
        sandbox
    });
    let strays = places.each_ref().map(|sandbox| {
        let mut first = sandbox.start("push-test-pattern.sh", &[]);
        let stray = sandbox.wait_calls(1)[0].0;
        assert_eq!(sandbox.run("push-test-pattern.sh", &[]), Some(3));
        first.signal("KILL");
        first.end();
        assert!(is_alive(stray));
        stray
    });
    let _next = places.each_ref().map(|sandbox| sandbox.start("push-test-pattern.sh", &[]));
    for (sandbox, stray) in places.iter().zip(strays) {
        sandbox.wait_calls(2);
        assert!(!is_alive(stray), "two ffmpegs push one stream");
    }
}

#[test]
fn camera_list_runs_one_pusher_a_line() {
    let sandbox = Sandbox::with_stand_ins(STAYS, "echo h264,video,0,0");
    fs::write(sandbox.file("film.flv"), "").unwrap();
    fs::write(
        sandbox.file("list"),
        "# a comment\n\npattern test --fps 5 # the first\r\ndoor\trtsp://u:pw@192.0.2.7/1\n\
         rtmp://192.0.2.9/live/film?key=k film.flv --loop",
    )
    .unwrap();
    let mut script = sandbox.start("push-cameras.sh", &["--server", "rtmp://192.0.2.1/live", "list"]);
    let calls = sandbox.wait_calls(3);
    let call_of = |end: &str| calls.iter().find(|(_, call)| call.ends_with(end)).expect(end).clone();
    assert!(call_of("rtmp://192.0.2.1/live/pattern").1.contains("testsrc2=size=1280x720:rate=5"));
    assert!(call_of("rtmp://192.0.2.1/live/door").1.contains("-i rtsp://u:pw@192.0.2.7/1 "));
    assert!(call_of("rtmp://192.0.2.9/live/film?key=k").1.contains("-stream_loop -1 -i file:film.flv "));

    // A pusher's lock says which process it is. Killed, it is started again.
    let lock = fs::read_dir(sandbox.file("tmp")).unwrap().next().unwrap().unwrap().path();
    let lock = fs::read_dir(lock).unwrap().map(|e| e.unwrap().path()).find(|f| f.to_str().unwrap().contains("door-"));
    let pusher = fs::read_to_string(lock.unwrap()).unwrap().split(' ').next().unwrap().parse().unwrap();
    signal(pusher, "KILL");
    let calls = sandbox.wait_calls(4);
    assert!(calls[3].1.ends_with("rtmp://192.0.2.1/live/door"));
    assert!(
        sandbox.log().contains("[door] push-cameras.sh: push-ip-camera.sh exited with status 137, restarting in 1 s")
    );

    script.signal("TERM");
    assert_eq!(script.end().code(), Some(143));
    assert!(calls.iter().all(|call| !is_alive(call.0)));
    assert_eq!(sandbox.calls().len(), 4);
}

#[test]
fn camera_list_with_a_mistake_is_refused_as_a_whole() {
    let sandbox = Sandbox::with_stand_ins(STAYS, "");
    for (list, message) in [
        ("a test\na /dev/video0", "list line 2: 127.0.0.1/live/a is in the list twice"),
        ("a test\nrtmp://127.0.0.1:1935/live/a test", "list line 2: 127.0.0.1/live/a is in the list twice"),
        ("a test\n\nb", "list line 3: a name needs a source after it"),
        ("a missing.flv", "list line 1: missing.flv is neither a device"),
        ("# none", "there is no camera in list"),
    ] {
        fs::write(sandbox.file("list"), list).unwrap();
        assert_eq!(sandbox.run("push-cameras.sh", &["list"]), Some(2), "{list}");
        assert!(sandbox.log().contains(message), "{}", sandbox.log());
    }
    let example = scripts().join("cameras.example");
    assert_eq!(sandbox.run("push-cameras.sh", &["--only", "nobody", example.to_str().unwrap()]), Some(2));
    assert!(sandbox.log().contains("there is no nobody in "), "{}", sandbox.log());
    fs::write(sandbox.file("list"), "a test --nonsense").unwrap();
    assert_eq!(sandbox.run("push-cameras.sh", &["list"]), Some(1));
    assert!(sandbox.log().contains("[a] push-test-pattern.sh: unknown option --nonsense"), "{}", sandbox.log());
    assert!(sandbox.calls().is_empty());
}

#[test]
fn scripts_explain_themselves_and_refuse_what_they_don_t_know() {
    let sandbox = Sandbox::with_stand_ins("", "");
    let mut count = 0;
    for script in fs::read_dir(scripts()).unwrap().map(|entry| entry.unwrap().path()) {
        let name = script.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with("lib-") || !name.ends_with(".sh") {
            continue;
        }
        let help = Command::new(&script).arg("--help").output().unwrap();
        let text = String::from_utf8(help.stdout).unwrap();
        assert!(help.status.success() && text.starts_with(&format!("Usage: {name}")), "{name}: {text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{name}: wider than 80 columns");
        assert_eq!(sandbox.run(&name, &["--nonsense"]), Some(2), "{name}");
        count += 1;
    }
    assert_eq!(count, 14);
    for arguments in [
        "push-usb-camera.sh --fps 0",
        "push-usb-camera.sh --fps 08",
        "push-usb-camera.sh --audio",
        "push-usb-camera.sh /dev/null http://127.0.0.1/live/x",
        "push-ip-camera.sh",
        "push-ip-camera.sh http://192.0.2.7/",
        "push-ip-camera.sh rtsp://192.0.2.7/ --transport smoke",
        "push-ip-camera.sh rtsp://192.0.2.7/ --transcode --copy-hevc",
        "push-file.sh",
        "push-test-pattern.sh --size 1280",
        "push-test-pattern.sh --bitrate fast",
        "push-test-pattern.sh rtmp://127.0.0.1/live/x more",
    ] {
        let words: Vec<_> = arguments.split(' ').collect();
        assert_eq!(sandbox.run(words[0], &words[1..]), Some(2), "{arguments}");
    }
    assert!(sandbox.calls().is_empty());
}

#[test]
fn scripts_pass_shellcheck() {
    need("shellcheck", "shellcheck");
    let command = "shellcheck scripts/*.sh .ci/run";
    let check = Command::new("sh").arg("-c").arg(command).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
}

/// A real ffmpeg that takes what is pushed to it, once.
fn receive(url: &str, file: &Path) -> Running {
    need("ffmpeg", "ffmpeg");
    let mut command = Command::new("ffmpeg");
    command.args("-nostdin -y -loglevel error -listen 1 -i".split(' ')).arg(url);
    command.args("-c copy -flush_packets 1".split(' ')).arg(file);
    Running(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

fn free_url() -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("rtmp://127.0.0.1:{port}/live/x")
}

/// The codecs in a file and how many packets of each there are.
fn packets(file: &Path) -> Vec<(String, u32)> {
    let entries = ["-count_packets", "-show_entries", "stream=codec_name,nb_read_packets", "-of", "csv=p=0"];
    let probe = Command::new("ffprobe").args(["-v", "error"]).args(entries).arg(file).output().unwrap();
    let text = String::from_utf8(probe.stdout).unwrap();
    text.lines().map(|line| line.split_once(',').unwrap()).map(|(c, n)| (c.to_owned(), n.parse().unwrap())).collect()
}

#[test]
fn test_pattern_arrives() {
    let (sandbox, url) = (Sandbox::new(), free_url());
    let file = sandbox.file("out.flv");
    let mut receiver = receive(&url, &file);
    let options = ["--duration", "1", "--size", "320x180", "--fps", "25", &url];
    assert_eq!(sandbox.run("push-test-pattern.sh", &options), Some(0), "{}", sandbox.log());
    receiver.end();
    // 1 s: 25 video frames and 43 AAC frames, with some lead-in.
    let packets = packets(&file);
    assert!(packets[0].0 == "h264" && packets[0].1 == 25, "{packets:?}");
    assert!(packets[1].0 == "aac" && (42..=46).contains(&packets[1].1), "{packets:?}");
}

#[test]
fn file_of_other_codecs_is_transcoded_and_ends() {
    let (sandbox, url) = (Sandbox::new(), free_url());
    need("ffmpeg", "ffmpeg");
    let source = "-loglevel error -f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine -t 1 -c:v mpeg4 -c:a mp2";
    let made = Command::new("ffmpeg").args(source.split(' ')).arg(sandbox.file("a:b c.avi")).status().unwrap();
    assert!(made.success());
    let file = sandbox.file("out.flv");
    let mut receiver = receive(&url, &file);
    assert_eq!(sandbox.run("push-file.sh", &["a:b c.avi", &url]), Some(0), "{}", sandbox.log());
    receiver.end();
    let packets = packets(&file);
    assert!(packets[0].0 == "h264" && packets[0].1 == 25, "{packets:?}");
    assert!(packets[1].0 == "aac" && packets[1].1 > 40, "{packets:?}");
}

#[test]
fn file_goes_on_when_the_server_is_back() {
    let (mut sandbox, url) = (Sandbox::new(), free_url());
    sandbox.settings = vec![("GORTMP_PUSH_DELAY", "1"), ("GORTMP_PUSH_DELAY_MAX", "1")];
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("video/sample.flv");
    assert!(fs::metadata(&sample).unwrap().len() < 1_000_000);
    assert_eq!(packets(&sample)[0], ("h264".to_owned(), 300));
    let mut script = sandbox.start("push-file.sh", &["--loop", sample.to_str().unwrap(), &url]);
    for name in ["one.flv", "two.flv"] {
        let file = sandbox.file(name);
        let mut receiver = receive(&url, &file);
        wait(20, "media", || fs::metadata(&file).is_ok_and(|file| file.len() > 50_000));
        receiver.signal("KILL");
        receiver.end();
        assert_eq!(packets(&file).iter().map(|(codec, _)| codec.as_str()).collect::<Vec<_>>(), ["h264", "aac"]);
    }
    assert!(
        sandbox.log().contains("push-file.sh: ffmpeg exited with status 1, restarting in 1 s"),
        "{}",
        sandbox.log()
    );
    script.signal("TERM");
    assert_eq!(script.end().code(), Some(143));
}
