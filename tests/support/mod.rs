//! What the black-box tests share: the real server behind a guard, real tools, and eyes on both.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod camera;
pub mod faults;
pub mod http;
pub mod junk;
pub mod media;
pub mod nginx;
pub mod remote;
pub mod signals;
pub mod tags;
pub mod throttle;
pub mod tls;
pub mod turns;
pub mod wire;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gortmp::media::{Packet, PacketKind, Timestamp};
use gortmp::rtmp::message::Message;
use gortmp::rtmp::user_control::UserControl;
use gortmp::{Client, ClientEvent};

/// How long anything may take that takes no time on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The program under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_gortmp");

/// The real binary on a port of its own. Dropping it ends the process.
pub struct Server {
    process: Child,
    pub address: SocketAddr,
    /// Of HTTP, if it was asked for.
    pub http: Option<SocketAddr>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts `gortmp -v --listen 127.0.0.1:0 --no-http` with more options behind, and waits until it listens.
    pub fn start(options: &[&str]) -> Self {
        Self::start_by(Command::new(BINARY), options)
    }

    /// The same by a command that turns into the server, as `prlimit … gortmp` does.
    pub fn start_by(mut command: Command, options: &[&str]) -> Self {
        let has_http = options.contains(&"--http");
        let mut process = command
            .args(["-v", "--listen", "127.0.0.1:0"])
            .args((!has_http).then_some("--no-http"))
            .args(options)
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let lines = BufReader::new(process.stderr.take().expect("its log is piped")).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let writing = log.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                writing.lock().unwrap().push(line);
            }
        });
        let mut server = Self { process, address: SocketAddr::from(([127, 0, 0, 1], 0)), http: None, log };
        server.address = server.wait_for_address("rtmp");
        server.http = has_http.then(|| server.wait_for_address("http"));
        server
    }

    /// Where it listens by its log, as soon as it does.
    pub fn wait_for_address(&self, scheme: &str) -> SocketAddr {
        let line = self.wait_for_log(&format!("listening on {scheme}://"));
        let (_, address) = line.split_once("://").expect("an address");
        address.trim().parse().expect("an address")
    }

    /// The same as [`with_videos`](Self::with_videos), with HTTP on a port of its own.
    pub fn with_http(dir: &Path, options: &[&str]) -> Self {
        Self::with_videos(dir, &[&["--http", "127.0.0.1:0"], options].concat())
    }

    /// The same with a folder of files to play.
    pub fn with_videos(dir: &Path, options: &[&str]) -> Self {
        let dir = dir.to_str().expect("a plain path");
        Self::start(&[&["--video-dir", dir], options].concat())
    }

    /// `rtmp://127.0.0.1:PORT/` and the path.
    pub fn url(&self, path: &str) -> String {
        format!("rtmp://{}/{path}", self.address)
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Everything logged so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a line that contains `text`.
    pub fn wait_for_log(&self, text: &str) -> String {
        wait_for(&format!("\"{text}\" in the log"), || self.log().into_iter().find(|line| line.contains(text)))
    }

    /// Waits until `count` lines contain `text`.
    pub fn wait_for_logs(&self, text: &str, count: usize) {
        wait_for(&format!("{count} × \"{text}\" in the log"), || {
            (self.log().iter().filter(|line| line.contains(text)).count() >= count).then_some(())
        });
    }

    /// Waits for the process to end by itself; returns its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        let status = wait_for("the server to end", || self.process.try_wait().expect("it can be waited for"));
        status.code()
    }

    /// Ends the process as a service manager does; returns its exit code.
    pub fn stop(mut self) -> Option<i32> {
        terminate(self.process.id());
        self.process.wait().expect("it can be waited for").code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the server's log:\n{}\n---", self.log().join("\n"));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// SIGTERM to a process of ours.
pub fn terminate(pid: u32) {
    let _ = Command::new("kill").arg(pid.to_string()).status();
}

/// Asks again and again until there is an answer.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "waited {} s for {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A client of ours at an application, which may be written in any way.
pub fn connect(server: &Server, app: &str) -> gortmp::Result<Client> {
    let mut options = Client::options();
    options.app = Some(app.to_owned());
    options.connect(&server.url("live"))
}

/// A client of ours that publishes under `name`.
pub fn publisher(server: &Server, name: &str) -> Client {
    let mut client = Client::connect(&server.url("live")).expect("connects");
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.publish(name).expect("publishes");
    client
}

/// A client of ours that plays `name` of an application.
pub fn player(server: &Server, app: &str, name: &str) -> Client {
    let mut client = connect(server, app).expect("connects");
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.play(name, None).expect("plays");
    client
}

/// What `getStreamLength` comes to, in seconds.
pub fn stream_length(server: &Server, app: &str, name: &str) -> f64 {
    let mut client = connect(server, app).expect("connects");
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let call = gortmp::rtmp::command::Command::new("getStreamLength", vec![name.into()]);
    let call = gortmp::rtmp::command::Command { transaction_id: 9.0, ..call };
    client.send_message(0, &Message::Command(call)).unwrap();
    let ClientEvent::Command(answer) = client.next_event().expect("an answer") else { panic!("something else") };
    assert_eq!((answer.name.as_str(), answer.transaction_id), ("_result", 9.0));
    answer.argument(0).as_number().expect("a number")
}

/// The next media that is audio or video.
pub fn next_media(client: &mut Client) -> Packet {
    loop {
        match client.next_event().expect("the stream goes on") {
            ClientEvent::Media(packet) if packet.kind != PacketKind::Data => return packet,
            _ => {}
        }
    }
}

/// The next status, media ignored: its code.
pub fn next_status(client: &mut Client) -> String {
    loop {
        if let ClientEvent::Status { code, .. } = client.next_event().expect("a status") {
            return code;
        }
    }
}

pub fn video(timestamp: u32, payload: &[u8]) -> Packet {
    Packet { kind: PacketKind::Video, timestamp: Timestamp::new(timestamp), payload: payload.to_vec().into() }
}

pub fn audio(timestamp: u32, payload: &[u8]) -> Packet {
    Packet { kind: PacketKind::Audio, timestamp: Timestamp::new(timestamp), payload: payload.to_vec().into() }
}

/// An AVC sequence header, as far as a relay looks at it.
pub const AVC_HEADER: &[u8] = &[0x17, 0, 0, 0, 0, 1, 0x42, 0, 0x1e];
/// An AVC key frame.
pub const KEY: &[u8] = &[0x17, 1, 0, 0, 0, 0x65];
/// An AVC inter frame.
pub const INTER: &[u8] = &[0x27, 1, 0, 0, 0, 0x41];
/// An AAC sequence header.
pub const AAC_HEADER: &[u8] = &[0xaf, 0, 0x12, 0x10];
/// An AAC frame.
pub const AAC: &[u8] = &[0xaf, 1, 0x21, 0x10];

/// A tool on PATH, or a failure that says how to get it.
pub fn tool(name: &str, package: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    assert!(
        found,
        "{name} is missing: install it with apt-get install {package}, or run scripts/install-test-tools.sh"
    );
    Command::new(name)
}

/// A process of ours. Dropping it kills it.
pub struct Running {
    process: Child,
    pub output: PathBuf,
}

impl Running {
    /// Starts it with standard output and error going to a file that is shown if the test fails.
    pub fn start(mut command: Command, output: PathBuf) -> Self {
        let file = std::fs::File::create(&output).expect("an output file");
        let process = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { process, output }
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub fn is_alive(&mut self) -> bool {
        self.process.try_wait().expect("it can be waited for").is_none()
    }

    /// Kills it without warning, as a power cut would.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Waits for it to end by itself; returns its exit code.
    pub fn wait(&mut self, patience: Duration) -> Option<i32> {
        let until = Instant::now() + patience;
        loop {
            if let Some(status) = self.process.try_wait().expect("it can be waited for") {
                return status.code();
            }
            assert!(Instant::now() < until, "it did not end within {} s:\n{}", patience.as_secs(), self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it printed.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap_or_default()).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- {}:\n{}\n---", self.output.display(), self.text());
        }
    }
}

/// A round trip to the server: what was sent before has been handled when this returns. Media that comes
/// meanwhile is handed back.
pub fn settle(client: &mut Client) -> Vec<Packet> {
    let mut media = Vec::new();
    client.send_message(0, &Message::UserControl(UserControl::PingRequest(0x5e77))).expect("a ping goes out");
    loop {
        match client.next_event().expect("the ping is answered") {
            ClientEvent::UserControl(UserControl::PingResponse(0x5e77)) => return media,
            ClientEvent::Media(packet) if packet.kind != PacketKind::Data => media.push(packet),
            _ => {}
        }
    }
}

/// The next so many audio and video frames.
pub fn next_medias(client: &mut Client, count: usize) -> Vec<Packet> {
    (0..count).map(|_| next_media(client)).collect()
}

/// One of the samples above with a number behind it, to tell it from its like.
pub fn numbered(sample: &[u8], number: u32) -> Vec<u8> {
    [sample, &number.to_be_bytes()].concat()
}

/// What [`numbered`] put at the end.
pub fn number(packet: &Packet) -> u32 {
    u32::from_be_bytes(*packet.payload.last_chunk().expect("a number"))
}

/// Waits until the server hangs up; returns what it sent before.
pub fn read_to_end(mut socket: &std::net::TcpStream) -> Vec<u8> {
    use std::io::{ErrorKind, Read};
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let mut bytes = Vec::new();
    match socket.read_to_end(&mut bytes) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("the server did not hang up: {error}"),
        _ => bytes,
    }
}
