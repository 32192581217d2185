//! Peers that are gone without a word, and peers that take or give a byte a second: each is found out in its time,
//! and what others have of the server stays as it was.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use gortmp::{Client, Error, limits};
use tempfile::TempDir;

use crate::support::faults::*;
use crate::support::remote::{Cut, RemoteHost};
use crate::support::wire::{self, Wire};
use crate::support::*;

/// What the machine may need beyond a deadline.
const SLACK: Duration = Duration::from_secs(12);

/// How much more memory a server may hold for a few peers that are stuck: their queues and some.
const MEMORY: usize = 32 * 1024 * 1024;

/// Waits for so many lines with that text, longer than others wait.
fn wait_long_for(server: &Server, text: &str, count: usize, patience: Duration) -> Duration {
    let began = Instant::now();
    while server.log().iter().filter(|line| line.contains(text)).count() < count {
        assert!(began.elapsed() < patience, "after {patience:?} there is no {count} × \"{text}\" in the log");
        std::thread::sleep(Duration::from_millis(20));
    }
    began.elapsed()
}

fn publish_is_refused(server: &Server, name: &str) -> bool {
    let mut client = Client::connect(&server.url("live")).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    matches!(client.publish(name), Err(Error::Refused { .. }))
}

fn a_publisher_that_vanishes(cut: Cut) {
    let (dir, remote) = (TempDir::new().unwrap(), RemoteHost::new());
    let server = Server::start(&["--listen", &remote.listen(), "--replace-publisher", "never"]);
    let address = remote.server(&server);
    let before = Resources::when_idle(&server);
    let witness = Witness::start(&server, "witness", 2, 1_000);
    let mut watching = player(&server, "live", "cam");
    let url = format!("rtmp://{address}/live/cam");
    let push = push_without_end(media::ffmpeg(), &media::sample("h264-aac"), &url);
    let pushing = Running::start(remote.command(push), dir.path().join("push.log"));
    next_medias(&mut watching, 20);

    remote.cut(cut);
    let began = Instant::now();
    std::thread::sleep(Duration::from_secs(1));
    assert!(publish_is_refused(&server, "cam"), "it may still come back");
    wait_long_for(&server, "no data from the publisher for", 1, limits::PUBLISHER_SILENCE + SLACK);
    let found_out = began.elapsed();
    assert!(found_out > limits::PUBLISHER_SILENCE - Duration::from_secs(2), "after {found_out:?}");
    server.wait_for_log("stopped publishing live/cam");
    // Those that watched go on with whoever comes.
    works_again(&server, "cam");
    while number(&next_media(&mut watching)) != 2 {}
    drop((watching, pushing));
    witness.finish();
    before.are_released(&server);
}

#[test]
fn a_publisher_whose_cable_is_pulled_loses_its_name() {
    a_publisher_that_vanishes(Cut::Cable);
}

#[test]
fn a_publisher_that_a_firewall_forgot_loses_its_name() {
    a_publisher_that_vanishes(Cut::Firewall);
}

#[test]
fn players_that_vanish_are_found_out_and_cost_the_others_nothing() {
    let (dir, remote) = (TempDir::new().unwrap(), RemoteHost::new());
    std::fs::write(dir.path().join("film.flv"), film(90, 20_000)).unwrap();
    let server = Server::with_videos(dir.path(), &["--listen", &remote.listen()]);
    let address = remote.server(&server);
    let before = Resources::when_idle(&server);
    let witness = Witness::start(&server, "witness", 2, 20_000);
    let mut players: Vec<_> = ["live/witness", "live/witness", "gortmp/film"]
        .iter()
        .enumerate()
        .map(|(n, path)| {
            let mut command = tool("rtmpdump", "rtmpdump");
            command.args(["--quiet", "--buffer", "3000", "-r", &format!("rtmp://{address}/{path}"), "-o", "/dev/null"]);
            Running::start(remote.command(command), dir.path().join(format!("play{n}.log")))
        })
        .collect();
    server.wait_for_logs("started playing live/witness", 4);
    server.wait_for_log("started playing gortmp/film");
    witness.goes_on();
    let memory = resident(&server);

    remote.cut(Cut::Firewall);
    let stalled = "it accepted no data for 2";
    let found_out = wait_long_for(&server, stalled, players.len(), limits::WRITE_STALL + SLACK);
    assert!(found_out > limits::WRITE_STALL - Duration::from_secs(2), "after {found_out:?}");
    let after = resident(&server);
    assert!(after < memory + MEMORY, "{} MiB became {} MiB", memory >> 20, after >> 20);
    server.wait_for_log("stopped playing gortmp/film");
    players.iter_mut().for_each(Running::kill);
    witness.goes_on();
    witness.finish();
    works_again(&server, "witness");
    before.are_released(&server);
}

#[test]
fn players_that_read_a_byte_a_second_are_closed_and_cost_the_others_nothing() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("film.flv"), film(90, 20_000)).unwrap();
    let server = Server::with_videos(dir.path(), &[]);
    let before = Resources::when_idle(&server);
    let witness = Witness::start(&server, "witness", 2, 20_000);
    let memory = resident(&server);
    let live = Wire::player(server.address, "witness").socket;
    let file = Wire::open(server.address, "gortmp");
    file.send(&wire::play_command("film"));
    let readers = [live, file.socket];
    readers.iter().for_each(|socket| {
        rustix::net::sockopt::set_socket_recv_buffer_size(socket, 16 * 1024).unwrap();
    });
    let (began, mut most) = (Instant::now(), 0);
    while server.log().iter().filter(|line| line.contains("it accepted no data")).count() < 2 {
        // It may be full for a while before it counts as stuck.
        assert!(began.elapsed() < 2 * limits::WRITE_STALL + SLACK, "they are still there");
        readers.iter().for_each(|mut socket| {
            socket.read_exact(&mut [0]).unwrap();
        });
        most = most.max(resident(&server));
        std::thread::sleep(Duration::from_secs(1));
    }
    assert!(most < memory + MEMORY, "{} MiB became {} MiB", memory >> 20, most >> 20);
    witness.goes_on();
    witness.finish();
    works_again(&server, "witness");
    drop(readers);
    before.are_released(&server);
}

#[test]
fn who_writes_a_byte_a_second_is_closed_in_its_time_and_cannot_keep_a_name() {
    let server = Server::start(&[]);
    let before = Resources::when_idle(&server);
    let witness = Witness::start(&server, "witness", 2, 1_000);
    let publisher = Wire::publisher(server.address, "dripping");
    publisher.send(&wire::message(6, 0, 9, 1, KEY));
    let shaking_hands = wire::dial(server.address);
    let asking = Wire::new(server.address);
    let (began, memory) = (Instant::now(), resident(&server));
    let video_frame = wire::message(6, 40, 9, 1, &[INTER, &[1; 5_000]].concat());
    let drips: [(&TcpStream, Vec<u8>); 3] = [
        (&shaking_hands, wire::c0_c1()),
        (&asking.socket, wire::connect_command("live")),
        (&publisher.socket, video_frame),
    ];
    let count = |text: &str| server.log().iter().filter(|line| line.contains(text)).count();
    let (mut shook, mut taken_over, mut second) = (None, None, 0);
    let asked = loop {
        for &(mut socket, ref bytes) in &drips {
            // Who was closed may find out here.
            let _ = socket.write_all(&bytes[second..=second]);
        }
        second += 1;
        std::thread::sleep(Duration::from_secs(1));
        if shook.is_none() && count("no complete handshake within") == 1 {
            shook = Some(began.elapsed());
        }
        if taken_over.is_none() && began.elapsed() > Duration::from_secs(8) {
            works_again(&server, "dripping");
            taken_over = Some(began.elapsed());
        }
        if count("neither publish nor play within") == 1 {
            break began.elapsed();
        }
        assert!(began.elapsed() < limits::IDLE_DEADLINE + SLACK, "it may go on dripping");
    };
    assert!(shook.is_some_and(|after| after < limits::HANDSHAKE_DEADLINE + SLACK), "{shook:?}");
    assert!(asked > limits::IDLE_DEADLINE - Duration::from_secs(2), "{asked:?}");
    assert!(taken_over.is_some());
    let after = resident(&server);
    assert!(after < memory + MEMORY, "{} MiB became {} MiB", memory >> 20, after >> 20);
    witness.finish();
    drop((publisher, asking, shaking_hands));
    before.are_released(&server);
}
