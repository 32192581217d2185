//! Files that change, vanish or can't be read while they are played: each player gets what can be had and is told
//! the end, and nobody else notices.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gortmp::media::PacketKind;
use gortmp::rtmp::message::Message;
use gortmp::rtmp::user_control::UserControl;
use gortmp::{Client, ClientEvent, Error};
use tempfile::TempDir;

use crate::support::faults::*;
use crate::support::*;

/// A player's buffer: as short as the server fills, so that much of the file is still to be read.
const PACED: u32 = 1_000;
/// As rtmpdump asks for a file.
const AT_ONCE: u32 = 36_000_000;
/// Bytes of each video frame.
const FRAME_BYTES: usize = 10_000;

/// Plays a file, or says why not.
fn view(server: &Server, name: &str, buffer_ms: u32) -> Result<Client, String> {
    let mut client = Client::connect(&server.url("gortmp")).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let buffer = UserControl::SetBufferLength { stream_id: 1, buffer_ms };
    client.send_message(0, &Message::UserControl(buffer)).unwrap();
    match client.play(name, None) {
        Ok(()) => Ok(client),
        Err(Error::Refused { code, .. }) => Err(code.into_owned()),
        Err(error) => panic!("{name}: {error}"),
    }
}

/// How many video frames come up to the end that the player is told: those of the file, in order and undamaged.
fn to_the_end(client: &mut Client, bytes: usize) -> u32 {
    let mut count = 0;
    loop {
        match client.next_event().expect("the file goes on, or its end is told") {
            ClientEvent::Media(packet) if packet.kind != PacketKind::Data => {
                assert!(packet == film_frame(count, bytes), "video frame {count}");
                count += 1;
            }
            ClientEvent::Status { code, .. } if code == "NetStream.Play.Stop" => return count,
            _ => {}
        }
    }
}

/// A server, what it held before anybody came, and a live stream beside.
struct Scene {
    server: Server,
    before: Resources,
    witness: Witness,
}

impl Scene {
    fn of(server: Server) -> Self {
        let before = Resources::when_idle(&server);
        let witness = Witness::start(&server, "witness", 1, 1_000);
        Self { server, before, witness }
    }

    /// With `film.flv` of so many seconds in a folder of its own.
    fn with_film(seconds: u32) -> (Self, TempDir, PathBuf) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("film.flv");
        fs::write(&path, film(seconds, FRAME_BYTES)).unwrap();
        (Self::of(Server::with_videos(dir.path(), &[])), dir, path)
    }

    /// A player that has most of the film still before it.
    fn viewer(&self) -> Client {
        view(&self.server, "film", PACED).expect("it plays")
    }

    /// All is as if nothing had happened.
    fn ends_well(self) {
        self.witness.goes_on();
        self.witness.finish();
        works_again(&self.server, "witness");
        self.before.are_released(&self.server);
    }
}

#[test]
fn a_file_that_is_replaced_plays_on_as_it_was() {
    let (scene, dir, path) = Scene::with_film(5);
    let mut viewer = scene.viewer();
    let new = dir.path().join("new");
    fs::write(&new, film(2, FRAME_BYTES + 1)).unwrap();
    fs::rename(new, &path).unwrap();
    let mut second = view(&scene.server, "film", AT_ONCE).unwrap();
    assert_eq!(to_the_end(&mut second, FRAME_BYTES + 1), 2 * FILM_RATE, "who comes now gets the new one");
    assert_eq!(to_the_end(&mut viewer, FRAME_BYTES), 5 * FILM_RATE);
    drop((viewer, second));
    scene.ends_well();
}

#[test]
fn a_file_that_is_deleted_plays_to_its_end() {
    let (scene, _dir, path) = Scene::with_film(5);
    let mut viewer = scene.viewer();
    fs::remove_file(&path).unwrap();
    assert_eq!(view(&scene.server, "film", PACED).unwrap_err(), "NetStream.Play.StreamNotFound");
    assert_eq!(to_the_end(&mut viewer, FRAME_BYTES), 5 * FILM_RATE);
    fs::write(&path, film(1, FRAME_BYTES)).unwrap();
    assert_eq!(to_the_end(&mut view(&scene.server, "film", AT_ONCE).unwrap(), FRAME_BYTES), FILM_RATE);
    drop(viewer);
    scene.ends_well();
}

#[test]
fn a_file_that_is_cut_short_ends_there_and_one_that_is_emptied_is_refused() {
    let (scene, _dir, path) = Scene::with_film(20);
    let mut viewers: Vec<_> = (0..3).map(|_| scene.viewer()).collect();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    // In the middle of a video frame.
    let bytes = film(4, FRAME_BYTES).len() as u64 + 5_000;
    file.set_len(bytes).unwrap();
    for viewer in &mut viewers {
        assert_eq!(to_the_end(viewer, FRAME_BYTES), 4 * FILM_RATE);
    }
    assert!(scene.server.wait_for_log("film.flv").contains("byte"), "the log says where");
    assert_eq!(to_the_end(&mut view(&scene.server, "film", AT_ONCE).unwrap(), FRAME_BYTES), 4 * FILM_RATE);
    file.set_len(0).unwrap();
    assert_eq!(view(&scene.server, "film", PACED).unwrap_err(), "NetStream.Play.Failed");
    drop(viewers);
    scene.ends_well();
}

#[test]
fn a_file_that_grows_is_played_as_far_as_it_goes() {
    let (scene, _dir, path) = Scene::with_film(4);
    let mut viewer = scene.viewer();
    let (whole, old) = (film(6, FRAME_BYTES), film(4, FRAME_BYTES).len());
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    // The recorder has not finished its last video frame.
    whole[old..whole.len() - 100].chunks(7_000).for_each(|part| file.write_all(part).unwrap());
    assert_eq!(to_the_end(&mut viewer, FRAME_BYTES), 6 * FILM_RATE - 1);
    file.write_all(&whole[whole.len() - 100..]).unwrap();
    assert_eq!(to_the_end(&mut view(&scene.server, "film", AT_ONCE).unwrap(), FRAME_BYTES), 6 * FILM_RATE);
    drop(viewer);
    scene.ends_well();
}

#[test]
fn a_file_that_may_no_longer_be_read_plays_on_and_is_refused_to_others() {
    let dir = TempDir::new().unwrap();
    let videos = dir.path().join("videos");
    fs::create_dir(&videos).unwrap();
    let path = videos.join("film.flv");
    fs::write(&path, film(5, FRAME_BYTES)).unwrap();
    let allow = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    // Root may read what it likes.
    let command = unprivileged(&dir, &[]);
    let scene = Scene::of(Server::start_by(command, &["--video-dir", videos.to_str().unwrap()]));
    let mut viewer = scene.viewer();
    for (forbidden, mode) in [(&path, 0o644), (&videos, 0o755)] {
        allow(forbidden, 0o000);
        assert_eq!(view(&scene.server, "film", PACED).unwrap_err(), "NetStream.Play.Failed", "{forbidden:?}");
        allow(forbidden, mode);
        drop(view(&scene.server, "film", PACED).unwrap());
    }
    allow(&path, 0o000);
    assert_eq!(to_the_end(&mut viewer, FRAME_BYTES), 5 * FILM_RATE);
    scene.server.wait_for_log("ermission denied");
    drop(viewer);
    scene.ends_well();
}

#[test]
fn something_else_in_place_of_a_file_never_holds_anybody_up() {
    let (scene, dir, path) = Scene::with_film(1);
    let outside = TempDir::new().unwrap();
    fs::write(outside.path().join("secret.flv"), film(1, FRAME_BYTES + 7)).unwrap();
    let (stop, aside) = (Arc::new(AtomicBool::new(false)), dir.path().join(".aside"));
    let (stopped, secret) = (stop.clone(), outside.path().join("secret.flv"));
    let swapping = std::thread::spawn(move || {
        let mut swaps = 0;
        while !stopped.load(Ordering::Relaxed) {
            fs::rename(&path, &aside).unwrap();
            match swaps % 4 {
                0 => rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
                    .unwrap(),
                1 => fs::create_dir(&path).unwrap(),
                2 => std::os::unix::fs::symlink(&secret, &path).unwrap(),
                _ => std::os::unix::fs::symlink("film.flv", &path).unwrap(),
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
            if swaps % 4 == 1 { fs::remove_dir(&path) } else { fs::remove_file(&path) }.unwrap();
            fs::rename(&aside, &path).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(2));
            swaps += 1;
        }
        swaps
    });
    let mut answers = [0, 0];
    for _ in 0..300 {
        match view(&scene.server, "film", AT_ONCE) {
            Ok(mut viewer) => {
                assert_eq!(to_the_end(&mut viewer, FRAME_BYTES), FILM_RATE);
                answers[0] += 1;
            }
            Err(code) => {
                assert_eq!(code, "NetStream.Play.StreamNotFound");
                answers[1] += 1;
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    assert!(swapping.join().unwrap() > 20 && answers.iter().all(|count| *count > 20), "{answers:?}");
    assert_eq!(to_the_end(&mut view(&scene.server, "film", AT_ONCE).unwrap(), FRAME_BYTES), FILM_RATE);
    scene.ends_well();
}

/// Runs a command among the mounts of a server.
fn at_its_mounts(server: &Server, arguments: &[&str], dir: &Path) {
    let mut command = tool("nsenter", "util-linux");
    if !is_root() {
        command.args(["--user", "--preserve-credentials"]);
    }
    command.args(["--target", &server.pid().to_string(), "--mount"]).args(arguments).arg(dir);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_disk_that_is_pulled_takes_its_files_along_but_not_their_players() {
    let dir = TempDir::new().unwrap();
    let disk = dir.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mut command = in_own_mount_namespace("mount -t tmpfs tmpfs \"$1\"", &[&disk]);
    command.arg(BINARY);
    let scene = Scene::of(Server::start_by(command, &["--video-dir", disk.to_str().unwrap()]));
    let inside = PathBuf::from(format!("/proc/{}/root{}/film.flv", scene.server.pid(), disk.display()));
    fs::write(&inside, film(5, FRAME_BYTES)).unwrap();
    let mut viewer = scene.viewer();
    at_its_mounts(&scene.server, &["umount", "--lazy"], &disk);
    assert_eq!(view(&scene.server, "film", PACED).unwrap_err(), "NetStream.Play.StreamNotFound");
    assert_eq!(to_the_end(&mut viewer, FRAME_BYTES), 5 * FILM_RATE, "what is open stays");
    at_its_mounts(&scene.server, &["mount", "-t", "tmpfs", "tmpfs"], &disk);
    fs::write(&inside, film(2, FRAME_BYTES)).unwrap();
    assert_eq!(to_the_end(&mut view(&scene.server, "film", AT_ONCE).unwrap(), FRAME_BYTES), 2 * FILM_RATE);
    drop(viewer);
    scene.ends_well();
}

/// Bytes of each video frame on the disk that fails.
const BIG: usize = 40_000;

#[test]
fn a_disk_that_fails_is_the_end_of_the_file_and_nothing_more() {
    let dir = TempDir::new().unwrap();
    let content = dir.path().join("content");
    fs::create_dir(&content).unwrap();
    fs::write(content.join("film.flv"), film(20, BIG)).unwrap();
    fs::write(content.join("other.flv"), film(2, BIG)).unwrap();
    let (mut disk, server) = Disk::with_server(dir.path(), &content, &[]);
    let scene = Scene::of(server);
    let (mut viewer, mut seeking) = (scene.viewer(), scene.viewer());
    next_medias(&mut seeking, 10);
    disk.fail_from(7 << 20);
    if disk.is_real {
        seeking.send_command("seek", gortmp::amf::Value::Null, vec![18_000.0.into()]).unwrap();
        while next_status(&mut seeking) != "NetStream.Seek.Failed" {}
        // Where it was before, it plays on to what can be read.
        while next_status(&mut seeking) != "NetStream.Play.Stop" {}
        assert_eq!(view(&scene.server, "other", PACED).unwrap_err(), "NetStream.Play.Failed");
        scene.server.wait_for_log("nput/output error");
    }
    let seen = to_the_end(&mut viewer, BIG);
    assert!((2 * FILM_RATE..8 * FILM_RATE).contains(&seen), "{seen} video frames");
    drop((viewer, seeking));
    disk.mend();
    let again = to_the_end(&mut view(&scene.server, "film", AT_ONCE).unwrap(), BIG);
    assert_eq!(again, 20 * FILM_RATE, "when the disk is well again so is the film");
    scene.ends_well();
}
