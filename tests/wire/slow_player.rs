//! Players that read too slowly, or not at all, beside others that do.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use gortmp::amf::Value;
use gortmp::media::{Packet, PacketKind};
use gortmp::{Client, ClientEvent, limits};

use crate::support::faults::resident;
use crate::support::*;

/// Video frames between two key frames, the first of them counted.
const GOP: u32 = 10;
/// Video frames that are published before the first of them has arrived.
const UNDER_WAY: u32 = 7;
/// Bytes of a video frame. At 30 video frames a second this would be 24 Mbit/s.
const FRAME_BYTES: usize = 100_000;

/// Video frame `n` of the stream: it is full of its number, so that any cut shows.
fn frame(n: u32) -> Packet {
    let sample = if n.is_multiple_of(GOP) { KEY } else { INTER };
    let filling = vec![n as u8; FRAME_BYTES];
    video(n * 33, &numbered(&[&numbered(sample, n), &*filling].concat(), n))
}

/// The number of a video frame whose bytes are all there.
fn checked(packet: &Packet) -> u32 {
    let n = number(packet);
    assert!(*packet == frame(n), "video frame {n} is whole");
    n
}

/// Reads a stream as fast as it comes and hands its frames on, headers left out.
fn frames(mut player: Client) -> mpsc::Receiver<Packet> {
    let (seen, watching) = mpsc::channel();
    std::thread::spawn(move || {
        while let Ok(event) = player.next_event() {
            let ClientEvent::Media(packet) = event else { continue };
            let is_frame = packet.kind != PacketKind::Data && !packet.is_sequence_header();
            if is_frame && seen.send(packet).is_err() {
                return;
            }
        }
    });
    watching
}

/// Publishes video frames no faster than the watcher gets them, so that nothing depends on the machine's speed.
struct Publisher {
    client: Client,
    watching: mpsc::Receiver<Packet>,
    sent: u32,
    seen: u32,
}

impl Publisher {
    /// Publishes `count` more; the watcher has seen all of them when this returns.
    fn publish(&mut self, count: u32) {
        let until = self.sent + count;
        while self.seen < until {
            while self.sent < until && self.sent < self.seen + UNDER_WAY {
                self.client.send(frame(self.sent)).expect("the publisher is not disturbed");
                self.sent += 1;
            }
            let seen = self.watching.recv_timeout(PATIENCE).expect("the other player gets on");
            assert_eq!(checked(&seen), self.seen, "the other player gets every video frame in order");
            self.seen += 1;
        }
    }
}

/// A publisher, a player that keeps up, and one that has read nothing since it began.
fn start(server: &Server, name: &str) -> (Publisher, Client) {
    let mut client = publisher(server, name);
    client.send(video(0, AVC_HEADER)).unwrap();
    settle(&mut client);
    let mut slow = player(server, "live", name);
    assert_eq!(next_media(&mut slow).payload, AVC_HEADER);
    // A small window, so that the server's side feels it soon.
    rustix::net::sockopt::set_socket_recv_buffer_size(slow.tcp_stream(), 64 * 1024).unwrap();
    let mut other = player(server, "live", name);
    assert_eq!(next_media(&mut other).payload, AVC_HEADER);
    let watching = frames(other);
    (Publisher { client, watching, sent: 0, seen: 0 }, slow)
}

#[test]
fn a_player_that_takes_nothing_for_twenty_seconds_is_closed() {
    let server = Server::start(&[]);
    let mut publisher = publisher(&server, "dead");
    let mut dead = player(&server, "live", "dead");
    settle(&mut dead);
    rustix::net::sockopt::set_socket_recv_buffer_size(dead.tcp_stream(), 16 * 1024).unwrap();
    let mut n = 0;
    let mut publish = |count: u32| {
        for _ in 0..count {
            let sample = if n % GOP == 0 { KEY } else { INTER };
            publisher.send(video(n * 33, &numbered(&[sample, &[1; 500]].concat(), n))).unwrap();
            n += 1;
            // Each message comes to the socket alone, as in a stream of little bandwidth.
            settle(&mut publisher);
        }
    };
    let began = Instant::now();
    publish(8_000);
    let stalled = Instant::now();
    while !server.log().iter().any(|line| line.contains("it accepted no data for 20 s")) {
        assert!(stalled.elapsed() < limits::WRITE_STALL + Duration::from_secs(8), "it is still there");
        publish(1);
        std::thread::sleep(Duration::from_millis(33));
    }
    assert!(began.elapsed() > limits::WRITE_STALL, "after {:?}", began.elapsed());
    let client_log = server.log().iter().filter(|line| line.contains("too slow")).count();
    let seconds = began.elapsed().as_secs() as usize;
    assert!((1..=seconds).contains(&client_log), "{client_log} lines in the log about one player in {seconds} s");
}

/// Publishes `count` video frames; returns the most memory that the server held meanwhile.
fn publish_and_measure(server: &Server, publisher: &mut Publisher, count: u32) -> usize {
    let measure = |_| {
        publisher.publish(GOP);
        resident(server)
    };
    (0..count / GOP).map(measure).max().unwrap()
}

#[test]
fn one_that_stops_reading_disturbs_nobody_and_costs_little_memory() {
    let server = Server::start(&[]);
    let before = resident(&server);
    let (mut publisher, slow) = start(&server, "stopped");
    let most = publish_and_measure(&server, &mut publisher, 1_500);
    // Of 150 MB, no more than a full queue waits, beside the GOP that is kept for late players.
    let allowed = 2 * limits::PLAYER_QUEUE_BYTES + 8 * 1024 * 1024;
    assert!(most < before + allowed, "{} MiB became {} MiB", before >> 20, most >> 20);
    server.wait_for_log("too slow");
    drop(slow);
    server.wait_for_log("messages dropped");
    publisher.publish(GOP);
}

#[test]
fn many_that_stop_reading_share_what_waits_for_them() {
    let server = Server::start(&[]);
    let before = resident(&server);
    let (mut publisher, _slow) = start(&server, "crowd");
    let _crowd: Vec<_> = (0..20).map(|_| player(&server, "live", "crowd")).collect();
    let most = publish_and_measure(&server, &mut publisher, 500);
    // Were it not shared, it would be 20 × 4 MiB.
    let allowed = 4 * limits::PLAYER_QUEUE_BYTES + 8 * 1024 * 1024;
    assert!(most < before + allowed, "{} MiB became {} MiB", before >> 20, most >> 20);
    // Each is told of, up to what is said of all in a moment.
    server.wait_for_logs("too slow", limits::WARNINGS as usize);
}

#[test]
fn one_that_reads_again_goes_on_at_a_key_frame_with_whole_messages_and_the_newest_header() {
    let server = Server::start(&[]);
    let (mut publisher, mut slow) = start(&server, "again");
    let (read_on, told) = mpsc::channel();
    let reading = std::thread::spawn(move || {
        let mut video_frames = Vec::new();
        let mut headers = Vec::new();
        for until in told {
            while video_frames.last() < Some(&until) {
                let packet = next_media(&mut slow);
                if packet.is_sequence_header() {
                    headers.push((video_frames.len(), packet.payload));
                } else {
                    video_frames.push(checked(&packet));
                }
            }
        }
        (video_frames, headers)
    });
    publisher.publish(300);
    server.wait_for_log("too slow");
    // While video frames are left out, a header comes.
    let new_header: &[u8] = &[0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x28];
    publisher.client.send(video(300 * 33, new_header)).unwrap();
    for _ in 0..4 {
        publisher.publish(203);
        let until = publisher.sent + 50;
        read_on.send(until).unwrap();
        publisher.publish(203);
    }
    drop(read_on);
    while !reading.is_finished() {
        publisher.publish(GOP);
        assert!(publisher.sent < 5_000, "it gets on again");
    }
    let (video_frames, headers) = reading.join().unwrap();

    assert_eq!(video_frames[0], 0);
    let gaps: Vec<_> = video_frames.windows(2).filter(|pair| pair[1] != pair[0] + 1).collect();
    assert!(!gaps.is_empty(), "it was slow enough to miss something");
    for gap in gaps {
        assert!(gap[1] > gap[0], "never back: {gap:?}");
        assert_eq!(gap[1] % GOP, 0, "a key frame after a gap: {gap:?}");
    }
    let [(before, header)] = &headers[..] else { panic!("{headers:?}") };
    assert_eq!(header, new_header);
    assert!(
        video_frames[..*before].iter().all(|n| *n < 300),
        "the new header comes after the video frames of the old one"
    );
    assert!(video_frames[*before..].iter().all(|n| *n >= 300), "and before its own");
}

/// Audio frame `n`: so large that few of them fill what may wait for a player.
fn large_audio(n: u32) -> Packet {
    audio(n * 23, &numbered(&[AAC, &vec![n as u8; 50_000]].concat(), n))
}

/// Publishes on from audio frame 400, to `most` at the most, until a player that was too slow gets what is new: whole
/// frames, and never one before the last.
fn assert_hears_again(slow: Client, most: u32, mut publish: impl FnMut(u32)) {
    let reading = frames(slow);
    let mut last = None;
    let mut n = 400;
    while last < Some(400) {
        publish(n);
        n += 1;
        while let Ok(packet) = reading.recv_timeout(Duration::from_millis(20)) {
            if packet.kind == PacketKind::Audio {
                let seen = number(&packet);
                assert!(packet == large_audio(seen), "audio frame {seen} is whole");
                assert!(Some(seen) > last, "never back");
                last = Some(seen);
            }
        }
        assert!(n < most, "it gets on again");
    }
}

#[test]
fn audio_without_video_goes_on_for_a_slow_player_too() {
    let server = Server::start(&[]);
    let mut publisher = publisher(&server, "audio");
    publisher.send(audio(0, AAC_HEADER)).unwrap();
    settle(&mut publisher);
    let slow = player(&server, "live", "audio");
    for n in 0..400 {
        publisher.send(large_audio(n)).unwrap();
    }
    settle(&mut publisher);
    server.wait_for_log("too slow");

    // It reads all that waits, and then what comes next.
    assert_hears_again(slow, 1_400, |n| publisher.send(large_audio(n)).unwrap());
}

#[test]
fn one_that_wants_no_video_gets_its_audio_again() {
    let server = Server::start(&[]);
    let mut publisher = publisher(&server, "listener");
    publisher.send(audio(0, AAC_HEADER)).unwrap();
    publisher.send(video(0, KEY)).unwrap();
    settle(&mut publisher);
    let mut slow = player(&server, "live", "listener");
    slow.send_command("receiveVideo", Value::Null, vec![false.into()]).unwrap();
    settle(&mut slow);
    for n in 0..400 {
        publisher.send(large_audio(n)).unwrap();
        publisher.send(video(n * 23, KEY)).unwrap();
    }
    settle(&mut publisher);
    server.wait_for_log("too slow");

    assert_hears_again(slow, 800, |n| {
        publisher.send(large_audio(n)).unwrap();
        publisher.send(video(n * 23, KEY)).unwrap();
    });
}

#[test]
fn when_the_video_stops_a_slow_player_gets_the_audio_again() {
    let server = Server::start(&[]);
    let mut publisher = publisher(&server, "stops");
    publisher.send(frame(0)).unwrap();
    settle(&mut publisher);
    let mut slow = player(&server, "live", "stops");
    assert_eq!(checked(&next_media(&mut slow)), 0);
    wait_for("it to be too slow", || {
        publisher.send(frame(1)).unwrap();
        settle(&mut publisher);
        server.log().iter().any(|line| line.contains("too slow")).then_some(())
    });
    let reading = frames(slow);
    let mut received = 0;
    for n in 0..2 * limits::AUDIO_ONLY_AFTER as u32 {
        publisher.send(audio(n * 23, AAC)).unwrap();
        while let Ok(packet) = reading.recv_timeout(Duration::from_millis(5)) {
            received += u32::from(packet.kind == PacketKind::Audio);
        }
    }
    assert!(received > 5, "no audio any more");
}

/// A player that pauses without having read what it was sent does not get it later, nor does the server keep it.
#[test]
fn what_is_queued_at_a_pause_is_dropped() {
    let server = Server::start(&["--player-queue", "32768"]);
    let mut camera = publisher(&server, "cam");
    let mut sleeper = player(&server, "live", "cam");
    let watcher = frames(player(&server, "live", "cam"));
    settle(&mut sleeper);
    const COUNT: u32 = 120;
    for n in 0..COUNT {
        camera.send(frame(n)).unwrap();
        // The other player has it, so the lane has come so far.
        assert_eq!(checked(&watcher.recv_timeout(PATIENCE).unwrap()), n);
    }
    sleeper.send_command("pause", Value::Null, vec![true.into(), 0.0.into()]).unwrap();
    let mut got = 0;
    loop {
        match sleeper.next_event().unwrap() {
            ClientEvent::Media(packet) if packet.kind == PacketKind::Video => {
                assert_eq!(checked(&packet), got, "none was cut");
                got += 1;
            }
            ClientEvent::Status { code, .. } if code == "NetStream.Pause.Notify" => break,
            _ => {}
        }
    }
    assert!(got < COUNT / 2, "{got} of {COUNT} frames still came, which is more than sockets hold");
    let more = sleeper.set_read_timeout(Some(Duration::from_millis(300))).and_then(|()| sleeper.next_event());
    assert!(more.is_err(), "nothing follows: {more:?}");
}
