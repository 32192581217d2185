//! Clients that are killed, reset, cut off or come in crowds: the others lose nothing, and nothing is left behind.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::faults::*;
use crate::support::media::{CLIENT_PATIENCE, push, sample};
use crate::support::wire::{self, PACKET, Wire};
use crate::support::*;

#[test]
fn a_killed_player_takes_nothing_from_the_others() {
    let dir = TempDir::new().unwrap();
    let server = Server::with_videos(dir.path(), &["--republish-grace", "1"]);
    let before = Resources::when_idle(&server);
    let mut players: Vec<_> = (0..4)
        .map(|n| {
            let command = media::players::ffmpeg(&server.url("live/cam"), &dir.path().join(format!("{n}.flv")), &dir);
            Running::start(command, dir.path().join(format!("play{n}.log")))
        })
        .collect();
    server.wait_for_logs("started playing live/cam", 4);
    let mut pusher = push(&server, "h264-aac", "live/cam", &dir);
    server.wait_for_log("started publishing live/cam");
    std::thread::sleep(Duration::from_millis(1_500));
    players[1].kill();
    players[3].kill();
    server.wait_for_logs("stopped playing live/cam", 2);
    assert_eq!(pusher.wait(CLIENT_PATIENCE), Some(0), "{}", pusher.text());
    for n in [0, 2] {
        assert_eq!(players[n].wait(CLIENT_PATIENCE), Some(0), "{}", players[n].text());
        let (got, sent) = (tags::tags(&dir.path().join(format!("{n}.flv"))), tags::tags(&sample("h264-aac")));
        assert_eq!(tags::assert_run(&got, &sent, 0), 0, "nothing is missing at the start");
    }
    works_again(&server, "cam");
    before.are_released(&server);
}

#[test]
fn a_killed_publisher_frees_its_name_and_players_go_on_with_the_next() {
    let dir = TempDir::new().unwrap();
    let server = Server::with_videos(dir.path(), &["--replace-publisher", "never", "--republish-grace", "5"]);
    let before = Resources::when_idle(&server);
    let witness = Witness::start(&server, "witness", 2, 1_000);
    let file = dir.path().join("got.flv");
    let command = media::players::ffmpeg(&server.url("live/cam"), &file, &dir);
    let mut playing = Running::start(command, dir.path().join("play.log"));
    server.wait_for_log("started playing live/cam");
    let mut watching = player(&server, "live", "cam");
    settle(&mut watching);

    let sample = sample("h264-aac");
    for kill in 1..=3 {
        let command = push_without_end(media::ffmpeg(), &sample, &server.url("live/cam"));
        let mut pusher = Running::start(command, dir.path().join(format!("push{kill}.log")));
        server.wait_for_logs("started publishing live/cam", kill);
        next_medias(&mut watching, 40);
        pusher.kill();
        server.wait_for_logs("stopped publishing live/cam", kill);
    }
    let mut pusher = push(&server, "h264-aac", "live/cam", &dir);
    assert_eq!(pusher.wait(CLIENT_PATIENCE), Some(0), "{}", pusher.text());
    assert_eq!(playing.wait(CLIENT_PATIENCE), Some(0), "{}", playing.text());
    // The last publication came whole, behind what the killed ones had sent.
    let (got, sent) = (tags::frames(&tags::tags(&file)), tags::frames(&tags::tags(&sample)));
    let payloads = |tags: &[tags::Tag]| tags.iter().map(|tag| tag.payload.clone()).collect::<Vec<_>>();
    assert!(got.len() > sent.len() && payloads(&got).ends_with(&payloads(&sent)), "{} frames", got.len());
    drop(watching);
    works_again(&server, "cam");
    witness.finish();
    before.are_released(&server);
}

#[test]
fn killed_players_of_files_leave_nothing_behind() {
    let dir = TempDir::new().unwrap();
    let film = dir.path().join("film.flv");
    let mut command = media::ffmpeg();
    command.args(["-stream_loop", "11", "-i"]).arg(sample("h264-aac")).args(["-c", "copy"]).arg(&film);
    assert!(command.status().unwrap().success());
    let server = Server::with_videos(dir.path(), &[]);
    let before = Resources::when_idle(&server);
    let mut players: Vec<_> = (0..3)
        .map(|n| {
            let mut command = media::ffmpeg();
            command.args(["-re", "-i", &server.url("gortmp/film"), "-c", "copy", "-f", "flv", "/dev/null"]);
            Running::start(command, dir.path().join(format!("play{n}.log")))
        })
        .collect();
    server.wait_for_logs("started playing gortmp/film", 3);
    let mut other = player(&server, "gortmp", "film");
    let mut media = next_medias(&mut other, 100);
    assert!(server.log().iter().all(|line| !line.contains("stopped playing")), "all of them play");
    players.iter_mut().for_each(Running::kill);
    server.wait_for_logs("stopped playing gortmp/film", 3);
    media.extend(next_medias(&mut other, 400));
    let got = media.iter().filter(|packet| !packet.is_sequence_header()).map(|packet| &packet.payload);
    let sent = tags::frames(&tags::tags(&film));
    assert!(got.zip(&sent).all(|(got, sent)| *got == sent.payload), "the one that is left gets all");
    drop(other);
    before.are_released(&server);
}

#[test]
fn resets_at_any_point_free_all_and_disturb_nobody() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("film.flv"), film(30, 20_000)).unwrap();
    let server = Server::with_videos(dir.path(), &["--replace-publisher", "never"]);
    let before = Resources::when_idle(&server);
    let witness = Witness::start(&server, "witness", 2, 20_000);
    let handshake = [wire::c0_c1(), vec![0; PACKET], wire::connect_command("live")].concat();
    let video_frame = wire::message(6, 0, 9, 1, &[KEY, &[1; 3_000]].concat());
    for round in 0..15 {
        // In the middle of C1, of C2 and of connect.
        for cut in [1 + round * 100, PACKET + round * 100, 1 + 2 * PACKET + 1 + round] {
            let mut socket = wire::dial(server.address);
            socket.write_all(&handshake[..cut]).unwrap();
            reset_on_close(&socket);
        }
        // A publisher in the middle of a header or a video frame, once with an answer of the server's unread.
        let name = format!("reset {round}");
        let publisher = Wire::publisher(server.address, &name);
        publisher.send(&video_frame);
        publisher.send(&video_frame[..1 + round * 200]);
        reset_on_close(&publisher.socket);
        drop(publisher);
        // Players in the middle of what they are sent.
        let mut player = Wire::player(server.address, "witness");
        player.next_media();
        let mut part = [0; 100];
        player.socket.read_exact(&mut part).unwrap();
        reset_on_close(&player.socket);
        let mut viewer = Wire::open(server.address, "gortmp");
        viewer.send(&wire::play_command("film"));
        viewer.next_media();
        reset_on_close(&viewer.socket);
        drop((player, viewer));
        works_again(&server, &name);
    }
    witness.goes_on();
    witness.finish();
    before.are_released(&server);
}

#[test]
fn a_thousand_connections_within_a_second_come_and_go_twice() {
    let server = Server::start(&[]);
    let before = Resources::when_idle(&server);
    let witness = Witness::start(&server, "witness", 2, 5_000);
    for _ in 0..2 {
        let began = Instant::now();
        let openers: Vec<_> = (0..4)
            .map(|_| {
                let address = server.address;
                std::thread::spawn(move || {
                    let open = |n: usize| {
                        let mut socket = wire::dial(address);
                        match n % 4 {
                            0 => {}
                            1 => socket.write_all(&wire::c0_c1()[..700]).unwrap(),
                            2 => socket.write_all(&wire::c0_c1()).unwrap(),
                            _ => socket.write_all(&[wire::c0_c1(), vec![0; PACKET]].concat()).unwrap(),
                        }
                        if n % 8 > 3 {
                            reset_on_close(&socket);
                        }
                        socket
                    };
                    // Some at once, some after a moment.
                    let mut sockets: Vec<_> = (0..250).map(open).collect();
                    sockets.truncate(50);
                    std::thread::sleep(Duration::from_millis(100));
                })
            })
            .collect();
        openers.into_iter().for_each(|opener| opener.join().unwrap());
        // Each second of the server's patience with them would be one in which others wait.
        assert!(began.elapsed() < Duration::from_secs(10), "they were kept waiting for {:?}", began.elapsed());
        works_again(&server, "crowd");
    }
    witness.goes_on();
    witness.finish();
    server.wait_for_logs(" connected", 2_000);
    before.are_released(&server);
    assert!(server.log().iter().all(|line| !line.contains("WARN")), "who leaves is nothing to warn of");
}
