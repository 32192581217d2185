//! What is measured: loads, and what came of them.

use std::path::Path;
use std::time::{Duration, Instant};

use super::content::{Kind, Shape, nanoseconds};
use super::crowd::Crowd;
use super::network::PUBLISHERS_THREADS;
use super::plan::Way;
use super::player::Wish;
use super::publisher::{Line, Publishing, stream_name};
use super::target::{Server, Setup, Target, Usage};

/// How long players may take to begin, the slowest server's wait for a key frame included.
const READY: Duration = Duration::from_secs(20);

/// How long the last messages may take after the publisher has stopped.
const DRAIN: Duration = Duration::from_secs(10);

/// Streams, their players, their rate.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub streams: usize,
    pub players_per_stream: usize,
    pub bits_per_second: u64,
    pub joins_per_second: u32,
    /// Of all players, those that stop reading for good when it counts.
    pub stuck: usize,
    pub seconds: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// CPU seconds of the server for each second.
    pub cpu: f64,
    /// CPU seconds of the server for each Gbit that players got.
    pub cpu_per_gbit: f64,
    /// From sending to reading, audio and video, in milliseconds: median, 99 %, longest.
    pub latency: [[f64; 3]; 2],
    /// From connecting to the first key frame, in milliseconds.
    pub join: [f64; 3],
    /// Share of the messages that came in.
    pub delivered: f64,
    /// Growth of the server's resident memory for each player, in bytes, before and while it counts.
    pub rss_per_player: f64,
    pub rss_growth: f64,
    /// Thread switches of the server for each second.
    pub switches: f64,
    /// How often a thread that reads from a publisher went to sleep for each video frame, where that can be told.
    pub wake_ups: f64,
    pub errors: Vec<String>,
}

fn wish(server: &Server, name: String, load: Load) -> Wish {
    let shape = Shape { bits_per_second: load.bits_per_second };
    let is_bare = server.target == Target::Bare;
    Wish {
        server: server.address,
        app: "live",
        name,
        shape,
        is_bare,
        over_http: None,
        is_secure: false,
        stays_idle: false,
        is_strict: false,
    }
}

/// Publishes, plays and counts.
pub fn relay(target: &Target, load: Load, way: Way, videos: &Path) -> Outcome {
    let with_tls = matches!(way, Way::Secure(_));
    let server = Server::start_as(target, videos, Setup { options: &["-q"], with_tls, in_pair: way == Way::Pair });
    // None of the others knows HTTP: they do the same over RTMP.
    let form = match way {
        Way::LiveHttp(form) => Some(form),
        Way::Secure(form) => form,
        _ => None,
    };
    let form = form.filter(|_| matches!(target, Target::Gortmp(_)));
    let address = match (form, with_tls) {
        (None, false) => Some(server.address),
        (None, true) => server.rtmps,
        (Some(_), false) => server.http,
        (Some(_), true) => server.https,
    };
    let address = address.expect("it speaks that");
    let mut crowd = Crowd::new();
    let wishes: Vec<_> = (0..load.streams * load.players_per_stream)
        .map(|player| wish(&server, stream_name(player % load.streams), load))
        .map(|wish| Wish { server: address, over_http: form, is_secure: with_tls, ..wish })
        .collect();
    let shape = Shape { bits_per_second: load.bits_per_second };
    let (publishing, before) = if *target == Target::Bare {
        let before = server.usage();
        crowd.join_all(wishes, load.joins_per_second);
        (Publishing::start(vec![Line::bare(server.address)], shape), before)
    } else {
        let lines = (0..load.streams).map(|stream| Line::rtmp(server.for_publishers, &stream_name(stream))).collect();
        let publishing = Publishing::start(lines, shape);
        crowd.read_until(Instant::now() + Duration::from_millis(2500));
        let before = server.usage();
        crowd.join_all(wishes, load.joins_per_second);
        (publishing, before)
    };
    let is_ready = crowd.wait_until_ready(READY);
    crowd.read_until(Instant::now() + Duration::from_secs(2));
    let mut outcome = measure(&server, &mut crowd, publishing, load, before);
    if !is_ready {
        outcome.errors.push(format!("after {} s some players had no key frame", READY.as_secs()));
    }
    outcome
}

fn measure(server: &Server, crowd: &mut Crowd, publishing: Publishing, load: Load, before: Usage) -> Outcome {
    let (start, sleeps) = (server.usage(), server.sleeps(PUBLISHERS_THREADS));
    let players = load.streams * load.players_per_stream;
    crowd.stop_reading(load.stuck);
    let (from, bytes_before) = (nanoseconds(), crowd.tally.bytes);
    crowd.tally.window = from..from + load.seconds * 1_000_000_000;
    let mut most_rss = start.rss;
    let started = Instant::now();
    for second in 1..=load.seconds {
        crowd.read_until(started + Duration::from_secs(second));
        most_rss = most_rss.max(server.rss());
    }
    let (end, sleeps) = (server.usage(), server.sleeps(PUBLISHERS_THREADS) - sleeps);
    let seconds = started.elapsed().as_secs_f64();
    let bits = (crowd.tally.bytes - bytes_before) as f64 * 8.0;
    // While the publisher is waited for, nobody reads: that shall not count.
    crowd.read_until(Instant::now() + Duration::from_millis(300));
    let sent = publishing.stop();
    let in_window = sent.iter().filter(|(sent, _)| crowd.tally.window.contains(sent));
    let video_frames = in_window.clone().filter(|(_, kind)| *kind == Kind::Video).count();
    let in_window = in_window.count();
    let expected = (in_window * (load.players_per_stream - load.stuck / load.streams)) as u64;
    let deadline = Instant::now() + DRAIN;
    while crowd.tally.frames.iter().sum::<u64>() < expected && Instant::now() < deadline {
        crowd.read_until(Instant::now() + Duration::from_millis(50));
    }
    let tally = &mut crowd.tally;
    let got: u64 = tally.frames.iter().sum();
    let latency = [0, 1].map(|kind| percentiles(&mut tally.latencies[kind], 1000.0));
    let errors = std::mem::take(&mut tally.errors);
    let mut joins: Vec<u32> = crowd.players().filter_map(|player| player.joined).map(|ns| (ns / 1000) as u32).collect();
    let cpu = end.cpu - start.cpu;
    Outcome {
        cpu: cpu / seconds,
        cpu_per_gbit: cpu / (bits / 1e9),
        latency,
        join: percentiles(&mut joins, 1000.0),
        delivered: got as f64 / expected as f64,
        rss_per_player: (start.rss as f64 - before.rss as f64) / players as f64,
        rss_growth: most_rss.saturating_sub(start.rss) as f64 / players as f64,
        switches: (end.switches - start.switches) as f64 / seconds,
        wake_ups: sleeps as f64 / video_frames as f64,
        errors,
    }
}

impl Outcome {
    /// The median of each figure over several runs, and the errors of all.
    pub fn median(runs: &[Self]) -> Self {
        let of = |figure: &dyn Fn(&Self) -> f64| median(runs, figure);
        let three = |figure: &dyn Fn(&Self) -> [f64; 3]| [0, 1, 2].map(|index| of(&|run| figure(run)[index]));
        Self {
            cpu: of(&|run| run.cpu),
            cpu_per_gbit: of(&|run| run.cpu_per_gbit),
            latency: [three(&|run| run.latency[0]), three(&|run| run.latency[1])],
            join: three(&|run| run.join),
            delivered: of(&|run| run.delivered),
            rss_per_player: of(&|run| run.rss_per_player),
            rss_growth: of(&|run| run.rss_growth),
            switches: of(&|run| run.switches),
            wake_ups: of(&|run| run.wake_ups),
            errors: runs.iter().flat_map(|run| run.errors.clone()).collect(),
        }
    }
}

/// Connections that never ask for anything: bytes of the server's memory for each.
pub fn idle(target: &Target, count: usize, videos: &Path) -> f64 {
    let server = Server::start(target, videos);
    let load =
        Load { streams: 1, players_per_stream: 0, bits_per_second: 1, joins_per_second: 1, stuck: 0, seconds: 0 };
    let mut crowd = Crowd::new();
    let before = server.usage();
    let wishes = (0..count).map(|_| Wish { stays_idle: true, ..wish(&server, String::new(), load) }).collect();
    crowd.join_all(wishes, 1000);
    assert!(crowd.wait_until_ready(READY), "all connections come to stand");
    assert_eq!(crowd.tally.errors, Vec::<String>::new());
    (server.usage().rss as f64 - before.rss as f64) / count as f64
}

/// Plays a file with many players.
pub fn vod(target: &Target, load: Load, name: &str, videos: &Path) -> Outcome {
    let server = Server::start(target, videos);
    let mut crowd = Crowd::new();
    let before = server.usage();
    let wishes = (0..load.players_per_stream).map(|_| Wish { app: "gortmp", ..wish(&server, name.to_owned(), load) });
    crowd.join_all(wishes.collect(), load.joins_per_second);
    let is_ready = crowd.wait_until_ready(READY);
    // Their buffers are full by then, and what is sent keeps up with real time.
    crowd.read_until(Instant::now() + Duration::from_secs(8));
    let (start, bytes_before, started) = (server.usage(), crowd.tally.bytes, Instant::now());
    crowd.read_until(started + Duration::from_secs(load.seconds));
    let (end, seconds) = (server.usage(), started.elapsed().as_secs_f64());
    let bits = (crowd.tally.bytes - bytes_before) as f64 * 8.0;
    let mut joins: Vec<u32> = crowd.players().filter_map(|player| player.joined).map(|ns| (ns / 1000) as u32).collect();
    let mut errors = std::mem::take(&mut crowd.tally.errors);
    if !is_ready {
        errors.push(format!("after {} s some players had no key frame", READY.as_secs()));
    }
    let wanted = load.bits_per_second as f64 * seconds * load.players_per_stream as f64;
    Outcome {
        cpu: (end.cpu - start.cpu) / seconds,
        cpu_per_gbit: (end.cpu - start.cpu) / (bits / 1e9),
        join: percentiles(&mut joins, 1000.0),
        delivered: bits / wanted,
        rss_per_player: (end.rss as f64 - before.rss as f64) / load.players_per_stream as f64,
        switches: (end.switches - start.switches) as f64 / seconds,
        errors,
        ..Outcome::default()
    }
}

/// The median of a figure over several runs.
pub fn median<T>(runs: &[T], figure: &dyn Fn(&T) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(figure).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Median, 99 % and the longest, in units of `unit`.
pub fn percentiles(values: &mut [u32], unit: f64) -> [f64; 3] {
    values.sort_unstable();
    let at = |share: f64| match values.len() {
        0 => f64::NAN,
        length => f64::from(values[((length - 1) as f64 * share).round() as usize]) / unit,
    };
    [at(0.5), at(0.99), at(1.0)]
}
