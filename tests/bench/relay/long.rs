//! Does it last: ten hours of stream in a minute or two, and players that come and go in real time.

use std::path::Path;
use std::time::{Duration, Instant};

use super::content::{Sequence, Shape, nanoseconds, sequence_headers};
use super::crowd::Crowd;
use super::player::{Player, Wish};
use super::publisher::{Line, Publishing, stream_name};
use super::target::{Server, Target, Usage};

const SHAPE: Shape = Shape { bits_per_second: 1_000_000 };

/// Players that watch all the time.
const FAITHFUL: usize = 10;

/// Messages that may be on their way before the publisher waits for the players.
const UNDER_WAY: u64 = 80;

fn wish(server: &Server) -> Wish {
    let (app, name) = ("live", stream_name(0));
    Wish {
        server: server.address,
        app,
        name,
        shape: SHAPE,
        is_bare: false,
        over_http: None,
        is_secure: false,
        stays_idle: false,
        is_strict: false,
    }
}

fn show(what: &str, usage: &Usage) {
    let Usage { rss, threads, descriptors, .. } = usage;
    println!("{what}: {} KiB resident, {threads} threads, {descriptors} descriptors", rss / 1024);
}

/// Relays so many hours of stream to three players as fast as they read; timestamps advance as if it took so long.
pub fn simulate(hours: u32, videos: &Path) -> Vec<String> {
    let server = Server::start(&Target::Gortmp(Vec::new()), videos);
    show("before", &server.usage());
    let mut line = Line::rtmp(server.address, &stream_name(0));
    let mut crowd = Crowd::new();
    crowd.tally.window = 0..u64::MAX;
    let mut sequence = Sequence::default();
    sequence_headers().into_iter().for_each(|header| line.send(header, super::content::Kind::Audio));
    crowd.join_all((0..3).map(|_| wish(&server)).collect(), 100);
    crowd.read_until(Instant::now() + Duration::from_millis(500));
    let (mut sent, mut next_report) = (0_u64, 0);
    let end = u64::from(hours) * 3_600_000_000_000;
    while sequence.peek(SHAPE).2 < end && crowd.tally.errors.is_empty() {
        let (kind, number, due) = sequence.next(SHAPE);
        line.send(SHAPE.packet(kind, number, 0, nanoseconds()), kind);
        sent += 1;
        let deadline = Instant::now() + Duration::from_secs(10);
        while crowd.tally.frames.iter().sum::<u64>() + 3 * UNDER_WAY < 3 * sent && Instant::now() < deadline {
            crowd.read_until(Instant::now() + Duration::from_millis(1));
        }
        crowd.tally.latencies = Default::default();
        if due >= next_report {
            show(&format!("{:.1} h", due as f64 / 3.6e12), &server.usage());
            next_report += end / 10;
        }
    }
    crowd.read_until(Instant::now() + Duration::from_millis(200));
    let got: u64 = crowd.tally.frames.iter().sum();
    println!("{sent} messages sent, {:.4} of them received by each of 3 players", got as f64 / (3 * sent) as f64);
    let errors = std::mem::take(&mut crowd.tally.errors);
    drop((crowd, line));
    std::thread::sleep(Duration::from_secs(2));
    show("after", &server.usage());
    errors
}

/// Relays in real time to ten players that stay and to others of which five come and five go every second.
pub fn soak(minutes: u64, videos: &Path) -> Vec<String> {
    let server = Server::start(&Target::Gortmp(Vec::new()), videos);
    show("before", &server.usage());
    let publishing = Publishing::start(vec![Line::rtmp(server.address, &stream_name(0))], SHAPE);
    let mut crowd = Crowd::new();
    crowd.join_all((0..FAITHFUL).map(|_| wish(&server)).collect(), 100);
    let started = Instant::now();
    for second in 1..=minutes * 60 {
        crowd.join_all((0..5).map(|_| wish(&server)).collect(), 50);
        crowd.read_until(started + Duration::from_secs(second));
        if second > 10 {
            crowd.leave(5, FAITHFUL);
        }
        if second % 60 == 0 {
            show(&format!("{} min, {} players", second / 60, crowd.players().count()), &server.usage());
        }
    }
    publishing.stop();
    crowd.read_until(Instant::now() + Duration::from_secs(1));
    let last: Vec<_> = crowd.players().take(FAITHFUL).map(Player::last_video).collect();
    println!("last video frames of the {FAITHFUL} that stayed: {last:?}");
    let errors = std::mem::take(&mut crowd.tally.errors);
    drop(crowd);
    std::thread::sleep(Duration::from_secs(12));
    show("after", &server.usage());
    errors
}
