//! A machine that runs out of descriptors or threads, or sets its clock: what runs goes on, what can't be had is
//! refused, and when there is enough again all is well.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gortmp::{Client, Error, limits};
use tempfile::TempDir;

use crate::support::faults::*;
use crate::support::wire::{self, Wire};
use crate::support::*;

/// Bytes of each video frame of the films.
const FRAME_BYTES: usize = 2_000;

/// A folder with `film.flv` of that length.
fn videos(seconds: u32) -> TempDir {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("film.flv"), film(seconds, FRAME_BYTES)).unwrap();
    dir
}

/// Reads a film to its end; every video frame of it comes.
fn watch_film(server: &Server, seconds: u32) -> std::thread::JoinHandle<Client> {
    let mut viewer = player(server, "gortmp", "film");
    std::thread::spawn(move || {
        for n in 0..seconds * FILM_RATE {
            assert!(next_media(&mut viewer) == film_frame(n, FRAME_BYTES), "video frame {n} of the film");
        }
        viewer
    })
}

fn warnings(server: &Server) -> usize {
    server.log().iter().filter(|line| line.contains("WARN")).count()
}

/// Asks for the film on a connection that is there already; the answer's code.
fn ask(client: &mut Client) -> String {
    match client.play("film", None) {
        Ok(()) => "NetStream.Play.Start".to_owned(),
        Err(Error::Refused { code, .. }) => code.into_owned(),
        Err(error) => panic!("the connection goes on: {error}"),
    }
}

/// Opens connections until no more are served, and twice as many again, for a while.
fn crowd(server: &Server, witness: &Witness) -> Vec<std::net::TcpStream> {
    let began = Instant::now();
    let (mut connections, mut before) = (Vec::new(), 0);
    while before == 0 || connections.len() < 2 * before {
        assert!(began.elapsed() < PATIENCE, "there is no end to what it takes");
        connections.extend((0..8).map(|_| wire::dial(server.address)));
        std::thread::sleep(Duration::from_millis(20));
        if before == 0 && warnings(server) > 0 {
            before = connections.len();
        }
    }
    while began.elapsed() < Duration::from_secs(3) {
        connections.push(wire::dial(server.address));
        std::thread::sleep(Duration::from_millis(20));
    }
    witness.goes_on();
    let allowed = limits::WARNINGS as usize + 2 + 2 * began.elapsed().as_secs() as usize;
    assert!(warnings(server) <= allowed, "{} warnings in {:?}", warnings(server), began.elapsed());
    connections
}

/// Those that are connected before something runs out: a stream, a viewer of a film, and one that wants that film later.
struct Clients {
    before: Resources,
    witness: Witness,
    watching: std::thread::JoinHandle<Client>,
    asking: Client,
}

impl Clients {
    fn of(server: &Server) -> Self {
        let before = Resources::when_idle(server);
        let witness = Witness::start(server, "witness", 3, 2_000);
        let watching = watch_film(server, 8);
        let asking = Client::connect(&server.url("gortmp")).unwrap();
        asking.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { before, witness, watching, asking }
    }

    /// When there is enough again the film can be had, the others have lost nothing, and nothing is left of all of them.
    fn have_what_they_want(self, server: &Server) {
        let Self { before, witness, watching, mut asking } = self;
        wait_for("the film to be had", || (ask(&mut asking) == "NetStream.Play.Start").then_some(()));
        works_again(server, "scarce");
        drop(watching.join().unwrap());
        witness.goes_on();
        witness.finish();
        drop(asking);
        before.are_released(server);
    }
}

fn out_of_descriptors(limit: u32) {
    let dir = videos(8);
    let mut command = tool("prlimit", "util-linux");
    command.arg(format!("--nofile={limit}:{limit}")).arg(BINARY);
    // By itself it takes no more clients than leave room for files.
    let options = ["--lanes", "2", "--max-connections", "1000", "--video-dir", dir.path().to_str().unwrap()];
    let server = Server::start_by(command, &options);
    let mut clients = Clients::of(&server);

    let connections = crowd(&server, &clients.witness);
    assert!(Resources::now(&server).descriptors >= limit as usize - 1, "it uses what there is");
    assert_eq!(ask(&mut clients.asking), "NetStream.Play.Failed", "a file takes a descriptor");
    let shed = wire::dial(server.address);
    read_to_end(&shed);
    drop((connections, shed));
    clients.have_what_they_want(&server);
}

#[test]
fn out_of_descriptors_new_clients_are_turned_away_and_old_ones_lose_nothing() {
    out_of_descriptors(64);
}

#[test]
fn the_last_descriptor_makes_no_difference() {
    out_of_descriptors(65);
}

#[test]
fn by_itself_it_takes_as_many_clients_as_leave_room_for_files() {
    let dir = videos(8);
    let mut command = tool("prlimit", "util-linux");
    command.arg("--nofile=64:64").arg(BINARY);
    let server = Server::start_by(command, &["--lanes", "2", "--video-dir", dir.path().to_str().unwrap()]);
    server.wait_for_log("leaves room for 40 connections");
    let mut asking = Client::connect(&server.url("gortmp")).unwrap();
    asking.set_read_timeout(Some(PATIENCE)).unwrap();
    let _connections: Vec<_> = (0..39).map(|_| wire::dial(server.address)).collect();
    read_to_end(&wire::dial(server.address));
    server.wait_for_log("the number of connections is 41, over the limit of 40");
    assert_eq!(ask(&mut asking), "NetStream.Play.Start");
}

#[test]
fn out_of_threads_new_clients_are_turned_away_and_old_ones_lose_nothing() {
    let (dir, room) = (videos(8), TempDir::new().unwrap());
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    // The system counts a user's threads, for those without rights in a namespace of its own.
    let limit = ["prlimit", "--nproc=24:24"];
    let namespace: &[&str] = if is_root() { &[] } else { &["unshare", "--user", "--map-root-user"] };
    let command = unprivileged(&room, &[namespace, &limit].concat());
    let server = Server::start_by(command, &["--lanes", "2", "--video-dir", dir.path().to_str().unwrap()]);
    let mut clients = Clients::of(&server);

    let connections = crowd(&server, &clients.witness);
    assert_eq!(Resources::now(&server).threads, 24, "it uses what there is");
    read_to_end(&wire::dial(server.address));
    assert_eq!(ask(&mut clients.asking), "NetStream.Play.Failed", "a file takes a thread");
    server.wait_for_log("denied playing gortmp/film");
    drop(connections);
    clients.have_what_they_want(&server);
}

/// The library that hands a program another time than the machine's.
fn faketime() -> PathBuf {
    let dirs = std::fs::read_dir("/usr/lib").unwrap().flatten().map(|entry| entry.path());
    let mut found = dirs.map(|dir| dir.join("faketime/libfaketime.so.1")).filter(|path| path.is_file());
    let hint = "libfaketime is missing: install it with apt-get install libfaketime, or run \
                scripts/install-test-tools.sh";
    found.next().expect(hint)
}

/// Sets the clock of who reads that file, in one step.
fn set_clock(file: &Path, offset: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, format!("{offset}\n")).unwrap();
    std::fs::rename(new, file).unwrap();
}

/// Waits for a line in the log from another day and hour than that; returns which.
fn logged_hour(server: &Server, other: &str) -> String {
    wait_for("its clock to be set", || {
        Client::connect(&server.url("live")).unwrap();
        let hour = server.log().pop()?.get(1..14)?.to_owned();
        (hour != other).then_some(hour)
    })
}

#[test]
fn a_clock_that_is_set_drops_nobody_and_holds_nothing_up() {
    let (dir, clock) = (videos(60), TempDir::new().unwrap());
    let clock = clock.path().join("clock");
    set_clock(&clock, "+0");
    let mut command = Command::new(BINARY);
    command.env("LD_PRELOAD", faketime()).env("FAKETIME_TIMESTAMP_FILE", &clock).env("FAKETIME_NO_CACHE", "1");
    // Both spellings are in use. Only the time of day is set; the time since the start can't be.
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
    let server = Server::start_by(command, &["--video-dir", dir.path().to_str().unwrap()]);
    let before = Resources::when_idle(&server);
    let witness = Witness::start(&server, "witness", 2, 2_000);
    // Those whose deadlines run meanwhile.
    let (idle, silent) = (Wire::open(server.address, "live"), Wire::publisher(server.address, "silent"));
    let mut waiting = player(&server, "live", "silent");
    let (mut viewer, began) = (player(&server, "gortmp", "film"), Instant::now());
    let leave = Arc::new(AtomicBool::new(false));
    let leaving = leave.clone();
    let viewing = std::thread::spawn(move || {
        let mut times = Vec::new();
        while !leaving.load(Ordering::Relaxed) {
            let packet = next_media(&mut viewer);
            times.push((began.elapsed(), packet.timestamp.milliseconds()));
        }
        times
    });

    let mut hour = logged_hour(&server, "");
    for offset in ["+3h", "-5h", "+26h", "-400d", "+0"] {
        set_clock(&clock, offset);
        let set = Instant::now();
        witness.goes_on();
        hour = logged_hour(&server, &hour);
        std::thread::sleep(Duration::from_millis(1_300).saturating_sub(set.elapsed()));
    }
    silent.send(&wire::message(6, 40, 9, 1, KEY));
    assert_eq!(next_media(&mut waiting).payload, KEY);
    idle.send(&wire::publish_command("idle"));
    server.wait_for_log("started publishing live/idle");
    let is_dropped = |line: &String| line.contains("] closed: ") && !line.contains("the client disconnected");
    assert!(!server.log().iter().any(is_dropped), "nobody is dropped");
    witness.finish();
    drop((idle, silent, waiting));
    let now = began.elapsed();
    leave.store(true, Ordering::Relaxed);
    let times = viewing.join().unwrap();
    works_again(&server, "silent");
    before.are_released(&server);
    // Three seconds of buffer, one more, and what gathers.
    let (last, due) = (i64::from(times[times.len() - 1].1), now.as_millis() as i64 + 4_000);
    assert!((last - due).abs() < 2_500, "the film is at {last} ms, {due} ms are due");
    let gaps = times.windows(2).map(|pair| pair[1].0 - pair[0].0);
    assert!(gaps.max().unwrap() < Duration::from_secs(3), "the film stood still");
}

/// A process that reads a server's log. Dropping it ends it.
struct LogReader(String);

impl LogReader {
    fn signal(&self, signal: &str) {
        assert!(tool("kill", "procps").args([signal, &self.0]).status().unwrap().success());
    }
}

impl Drop for LogReader {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-KILL", &self.0]).status();
    }
}

#[test]
fn a_log_that_nobody_takes_holds_nobody_up() {
    let dir = TempDir::new().unwrap();
    let mut command = Command::new("sh");
    let line = "mkfifo \"$0/log\"; cat \"$0/log\" >&2 & echo $! >\"$0/reader\"; exec \"$@\" 2>\"$0/log\"";
    command.args(["-c", line]).arg(dir.path()).arg(BINARY);
    let server = Server::start_by(command, &[]);
    let reader = LogReader(std::fs::read_to_string(dir.path().join("reader")).unwrap().trim().to_owned());
    let before = Resources::when_idle(&server);
    let witness = Witness::start(&server, "witness", 2, 2_000);

    reader.signal("-STOP");
    // More than fits into a pipe.
    (0..1_500).for_each(|_| drop(wire::dial(server.address)));
    works_again(&server, "untold");
    witness.goes_on();
    witness.finish();
    wait_for("the server to be as it was", || (Resources::now(&server) == before).then_some(()));
    reader.signal("-CONT");
    wait_for("the log to go on", || {
        drop(publisher(&server, "told"));
        server.log().iter().any(|line| line.contains("lines of the log were lost")).then_some(())
    });

    reader.signal("-STOP");
    (0..1_500).for_each(|_| drop(wire::dial(server.address)));
    let began = Instant::now();
    assert_eq!(server.stop(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10), "it ended after {:?}", began.elapsed());
}

#[test]
fn a_terminal_that_hangs_holds_nobody_up() {
    let dir = TempDir::new().unwrap();
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // A terminal whose other end is open and never read. At the end of its input it stops the server.
    let hang = "import pty, subprocess, sys; _, terminal = pty.openpty(); \
                server = subprocess.Popen(sys.argv[1:], stderr=terminal); \
                sys.stdin.read(); server.terminate(); sys.exit(server.wait(20))";
    let mut command = tool("python3", "python3");
    command.args(["-c", hang, BINARY, "-v", "--no-http", "--listen", &address.to_string(), "--video-dir"]);
    let mut process = command.arg(dir.path()).stdin(std::process::Stdio::piped()).spawn().unwrap();
    let connect = || gortmp::Client::connect(&format!("rtmp://{address}/live"));
    let mut first = wait_for("it to listen", || connect().ok());
    (0..1_500).for_each(|_| drop(wire::dial(address)));
    first.publish("cam").unwrap();
    let mut player = connect().unwrap();
    player.set_read_timeout(Some(PATIENCE)).unwrap();
    player.play("cam", None).unwrap();
    first.send(video(0, KEY)).unwrap();
    assert_eq!(next_media(&mut player).payload, KEY);
    let began = Instant::now();
    drop(process.stdin.take());
    assert!(process.wait().unwrap().success());
    assert!(began.elapsed() < Duration::from_secs(10), "it ended after {:?}", began.elapsed());
}
