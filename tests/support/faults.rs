//! What the tests of faults share: a stream that must not suffer, and whether all is as it was afterwards.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gortmp::Client;
use gortmp::media::Packet;

use super::*;

/// How long a video frame of a [`Witness`] may be on its way: far more than a busy machine takes, far less than the
/// server waits for a peer that is stuck.
const DISTURBED: Duration = Duration::from_secs(8);

/// From one video frame of a [`Witness`] to the next.
const FRAME_INTERVAL: Duration = Duration::from_millis(25);

/// The number of its last video frame.
const LAST: u32 = u32::MAX;

/// A live stream that runs beside a fault: none of its video frames may get lost, be damaged or come late.
pub struct Witness {
    stop: Arc<AtomicBool>,
    seen: Arc<AtomicU32>,
    publishing: JoinHandle<u32>,
    playing: Vec<JoinHandle<u32>>,
}

/// Video frame `n`: so many bytes that are all its own.
fn frame(n: u32, bytes: usize) -> Packet {
    let sample = if n.is_multiple_of(40) { KEY } else { INTER };
    video(n.wrapping_mul(25), &numbered(&[&numbered(sample, n), &*vec![n as u8; bytes]].concat(), n))
}

impl Witness {
    /// Publishes 40 video frames a second of so many bytes to so many players.
    pub fn start(server: &Server, name: &str, players: usize, bytes: usize) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let play = |_| {
            let mut client = player(server, "live", name);
            settle(&mut client);
            let seen = seen.clone();
            std::thread::spawn(move || watch(&mut client, bytes, &seen))
        };
        let playing = (0..players).map(play).collect();
        let (mut client, stopped) = (publisher(server, name), stop.clone());
        let publishing = std::thread::spawn(move || {
            let mut sent = 0;
            while !stopped.load(Ordering::Relaxed) {
                client.send(frame(sent, bytes)).expect("the witness publishes on");
                sent += 1;
                std::thread::sleep(FRAME_INTERVAL);
            }
            client.send(frame(LAST, bytes)).expect("the witness publishes to the end");
            settle(&mut client);
            sent
        });
        let witness = Self { stop, seen, publishing, playing };
        witness.goes_on();
        witness
    }

    /// Waits until more video frames have come.
    pub fn goes_on(&self) {
        let before = self.seen.load(Ordering::Relaxed);
        wait_for("more video frames of the witness", || {
            (self.seen.load(Ordering::Relaxed) > before + 20).then_some(())
        });
    }

    /// Ends the stream; every video frame of it has come to every player. Returns how many there were.
    pub fn finish(self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.publishing.join().expect("the witness publishes to the end");
        for player in self.playing {
            assert_eq!(player.join().expect("the witness sees all"), sent, "video frames of the witness");
        }
        sent
    }
}

fn watch(client: &mut Client, bytes: usize, seen: &AtomicU32) -> u32 {
    let mut expected = 0;
    let mut last = Instant::now();
    loop {
        let packet = next_media(client);
        assert!(last.elapsed() < DISTURBED, "nothing for {:?} before video frame {expected}", last.elapsed());
        last = Instant::now();
        if number(&packet) == LAST {
            return expected;
        }
        assert!(packet == frame(expected, bytes), "video frame {} instead of {expected}, or damage", number(&packet));
        expected += 1;
        seen.fetch_max(expected, Ordering::Relaxed);
    }
}

/// Threads and open descriptors of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    pub threads: usize,
    pub descriptors: usize,
}

impl Resources {
    pub fn now(server: &Server) -> Self {
        let count = |what| {
            let dir = format!("/proc/{}/{what}", server.pid());
            std::fs::read_dir(&dir).unwrap_or_else(|error| panic!("{dir}: {error}")).count()
        };
        Self { threads: count("task"), descriptors: count("fd") }
    }

    /// Those of a server that has had a client and now has none.
    pub fn when_idle(server: &Server) -> Self {
        let left = || server.log().iter().filter(|line| line.contains("] closed: ")).count();
        let before = left();
        drop(publisher(server, "first of all"));
        wait_for("the first client to be gone", || (left() > before).then_some(()));
        wait_for("a calm server", || {
            let now = Self::now(server);
            std::thread::sleep(Duration::from_millis(200));
            (now == Self::now(server)).then_some(now)
        })
    }

    /// Waits until the server holds what it held before, and no more, and has told the end of all that it told the
    /// beginning of.
    pub fn are_released(self, server: &Server) {
        let until = Instant::now() + PATIENCE;
        loop {
            let (now, untold) = (Self::now(server), untold_ends(server));
            if now == self && untold == [0; 3] {
                return;
            }
            assert!(Instant::now() < until, "{self:?} became {now:?}, {untold:?} ends are not in the log");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// How many connections, publications and plays have begun and not ended, as the log has it.
fn untold_ends(server: &Server) -> [isize; 3] {
    let log = server.log();
    let count = |text: &str| log.iter().filter(|line| line.contains(text)).count() as isize;
    // A warning of a broken rule has no figures.
    let closed = log.iter().filter(|line| line.contains("] closed: ") && line.contains(" KiB received, ")).count();
    [
        count("] connected") - closed as isize,
        count("] started publishing ") - count("] stopped publishing "),
        count("] started playing ") - count("] stopped playing "),
    ]
}

/// Bytes of memory that a server holds.
pub fn resident(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line with its size");
    line.split_whitespace().nth(1).and_then(|size| size.parse::<usize>().ok()).expect("a number") * 1024
}

/// Publishes under a name as soon as it is free, and plays that.
pub fn works_again(server: &Server, name: &str) {
    let mut publisher = wait_for(&format!("the name \"{name}\" to be free"), || {
        let mut client = Client::connect(&server.url("live")).ok()?;
        client.set_read_timeout(Some(PATIENCE)).ok()?;
        client.publish(name).ok().map(|()| client)
    });
    for packet in [video(0, AVC_HEADER), video(0, &numbered(KEY, 1)), video(40, &numbered(INTER, 2))] {
        publisher.send(packet).expect("it publishes");
    }
    settle(&mut publisher);
    let mut player = player(server, "live", name);
    let payloads: Vec<_> = next_medias(&mut player, 3).into_iter().map(|packet| packet.payload).collect();
    assert_eq!(payloads, [AVC_HEADER.to_vec(), numbered(KEY, 1), numbered(INTER, 2)], "what was published afresh");
}

/// Makes closing a connection a reset.
pub fn reset_on_close(socket: &std::net::TcpStream) {
    rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO)).expect("a socket of ours");
}

/// A command with another in front of it, such as `nsenter`.
pub fn prefixed(mut prefix: Command, command: &Command) -> Command {
    prefix.arg(command.get_program()).args(command.get_args());
    prefix
}

/// A tool that those without rights don't have on their PATH.
pub fn system_tool(name: &str, package: &str) -> Command {
    let path = Path::new("/usr/sbin").join(name);
    if path.is_file() { Command::new(path) } else { tool(name, package) }
}

/// ffmpeg pushing a file again and again, at its own pace.
pub fn push_without_end(mut ffmpeg: Command, file: &Path, url: &str) -> Command {
    ffmpeg.args(["-re", "-stream_loop", "-1", "-i"]).arg(file).args(["-c", "copy", "-f", "flv", url]);
    ffmpeg
}

/// Whether tests may change what only root may.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Video frame `n` of a [`film`].
pub fn film_frame(n: u32, bytes: usize) -> Packet {
    let sample = if n.is_multiple_of(FILM_RATE) { KEY } else { INTER };
    video(n * 1_000 / FILM_RATE, &numbered(&[sample, &vec![n as u8; bytes]].concat(), n))
}

/// Video frames of a [`film`] in a second.
pub const FILM_RATE: u32 = 25;

/// An FLV file with that many seconds of video, each frame with so many bytes of its own.
pub fn film(seconds: u32, bytes: usize) -> Vec<u8> {
    let mut writer = gortmp::flv::Writer::new(Vec::new(), false, true).expect("it can be written");
    for n in 0..seconds * FILM_RATE {
        writer.write_packet(&film_frame(n, bytes)).expect("it can be written");
    }
    writer.into_inner()
}

/// The server as a user with no rights of its own, to be started with [`Server::start_by`]; `by` may stand between.
/// That user may look into `dir`.
pub fn unprivileged(dir: &tempfile::TempDir, by: &[&str]) -> Command {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("a folder of ours");
    // Where the original lies not everyone may look. Written by another process, since one that is started by
    // another test meanwhile would hold it open, and then it can't be run.
    let binary = dir.path().join("gortmp");
    assert!(tool("cp", "coreutils").arg(BINARY).arg(&binary).status().expect("cp runs").success());
    let mut command = tool("setpriv", "util-linux");
    if is_root() {
        // A number of its own, since the system counts the threads of each user together.
        static USERS: AtomicU32 = AtomicU32::new(0);
        let user = std::process::id().wrapping_mul(8).wrapping_add(USERS.fetch_add(1, Ordering::Relaxed));
        let id = 100_000 + user % 100_000;
        command.args([&format!("--reuid={id}"), &format!("--regid={id}"), "--clear-groups"]);
    } else {
        command.arg("--no-new-privs");
    }
    command.args(by).arg(binary);
    command
}

/// A disk of 32 MiB that can be made to fail, with a server that plays its files.
pub struct Disk {
    /// The disk's image; where there are no disks to be had, the folder that stands in for it.
    medium: PathBuf,
    saved: Vec<u8>,
    /// Whether it is one: otherwise a file that is cut short stands in for what fails.
    pub is_real: bool,
}

impl Disk {
    /// A disk with the files of `content`, made and mounted in `dir`, and a server with these further options.
    pub fn with_server(dir: &Path, content: &Path, options: &[&str]) -> (Self, Server) {
        let (disk, image) = (dir.join("disk"), dir.join("image"));
        std::fs::create_dir(&disk).expect("a folder of ours");
        let mut format = system_tool("mke2fs", "e2fsprogs");
        format.args(["-q", "-F", "-t", "ext2", "-d"]).args([content, &image]).arg("32M");
        let output = format.output().expect("mke2fs runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mounted = || in_own_mount_namespace("mount -o loop,ro \"$1\" \"$2\"", &[&image, &disk]);
        let is_real = mounted().arg("true").status().is_ok_and(|status| status.success());
        if is_real {
            let mut command = mounted();
            command.arg(BINARY);
            let server =
                Server::start_by(command, &[&["--video-dir", disk.to_str().expect("a plain path")], options].concat());
            return (Self { medium: image, saved: Vec::new(), is_real }, server);
        }
        eprintln!("there are no disks to be had, so a file that is cut short stands in for one that fails");
        let medium = content.join("film.flv");
        let server = Server::start(&[&["--video-dir", content.to_str().expect("a plain path")], options].concat());
        (Self { medium, saved: Vec::new(), is_real }, server)
    }

    /// From here on it has only so many bytes: reading the others is an I/O error.
    pub fn fail_from(&mut self, bytes: u64) {
        self.saved = std::fs::read(&self.medium).expect("it was written");
        File::options().write(true).open(&self.medium).expect("it is ours").set_len(bytes).expect("it can be cut");
    }

    /// It is well again.
    pub fn mend(&self) {
        File::options()
            .write(true)
            .open(&self.medium)
            .expect("it is ours")
            .write_all_at(&self.saved, 0)
            .expect("it is written");
    }
}

/// A command that runs a shell line, then what follows, among mounts of its own, which go when it ends.
pub fn in_own_mount_namespace(line: &str, arguments: &[&Path]) -> Command {
    let mut command = tool("unshare", "util-linux");
    if !is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--mount", "--propagation", "private", "sh", "-c"]);
    command.arg(format!("{line} && shift {} && exec \"$@\"", arguments.len())).arg("sh").args(arguments);
    command
}
