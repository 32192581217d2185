//! Good and hostile clients at the same time, for as long as one likes: what the good ones get is checked byte by
//! byte, and what the server holds is watched.

mod attacker;
mod bytes;
mod films;
mod friends;
mod greed;
mod names;
mod noise;
mod report;
mod rng;
mod tally;
mod watch;
mod web;

use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use attacker::{Attacker, Kind};
use friends::Stream;
use tally::{Fates, Group};
use watch::Watch;

use crate::content::Shape;
use crate::target::{Server, Target};

/// Published all the time but the last, which leaves and comes back.
const STREAMS: [Stream; 3] = [
    stream(0, "good", 1_000_000, false),
    stream(1, "small", 100_000, false),
    stream(2, "comes-and-goes", 300_000, true),
];

/// Players of each that are there from before the start to the end.
const STAYING: [usize; 3] = [6, 4, 4];

/// Players of the file that take it at once, and in real time.
const FILMS: [u64; 2] = [2, 3];

/// Threads for each kind of attack: what they cost the server stays below half a core.
const ATTACKERS: u64 = 2;

const fn stream(number: u32, name: &'static str, bits_per_second: u64, comes_and_goes: bool) -> Stream {
    Stream { number, name, shape: Shape { bits_per_second }, comes_and_goes }
}

/// How far the run is.
#[derive(Debug, Default)]
pub struct Stage(AtomicU8);

impl Stage {
    const ATTACKS: u8 = 1;
    const QUIET: u8 = 2;
    const OVER: u8 = 3;

    fn enter(&self, stage: u8) {
        self.0.store(stage, Relaxed);
    }

    /// For publishers and the players that stay.
    pub fn good_go_on(&self) -> bool {
        self.0.load(Relaxed) < Self::OVER
    }

    /// For attacks, and for good clients that come and go.
    pub fn others_go_on(&self) -> bool {
        self.0.load(Relaxed) == Self::ATTACKS
    }
}

/// All kinds of attacks.
fn kinds() -> impl Iterator<Item = &'static Kind> {
    [noise::KINDS, greed::KINDS, names::KINDS, web::KINDS].into_iter().flatten()
}

fn start<T: Send + 'static>(name: &str, job: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    Builder::new().name(name.to_owned()).spawn(job).expect("a thread")
}

/// Runs for so many minutes, prints the tables, and says what went wrong.
pub fn run(minutes: f64, dir: &Path) -> Vec<String> {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("video/sample.flv");
    let videos = dir.join("videos");
    std::fs::create_dir(&videos).expect("a folder of ours");
    for copy in [videos.join("sample.flv"), dir.join(names::SECRET).with_extension("flv")] {
        std::fs::copy(&sample, copy).expect("the sample is there");
    }
    std::os::unix::fs::symlink(dir, videos.join("link")).expect("a link of ours");
    // With the log that people have who set nothing.
    let server = Server::start_with(&Target::Gortmp(Vec::new()), &videos, &[]);
    let (address, http) = (server.address, server.http.expect("it speaks HTTP"));
    let mut watch = Watch::new(server, Duration::from_secs_f64(minutes * 60.0));
    let stage = Arc::new(Stage::default());

    // The good ones that stay.
    let groups = ["players that stay", "players that stay through republishes", "players that come and go"];
    let [staying, through, passing] = groups.map(|name| Arc::new(Group::new(name)));
    let films = ["file players, all at once", "file players in real time"].map(|name| Arc::new(Group::new(name)));
    let wishes = |range: std::ops::Range<usize>| -> Vec<_> {
        range.flat_map(|index| std::iter::repeat_n(STREAMS[index].wish(address), STAYING[index])).collect()
    };
    let [(tell_staying, expected_staying), (tell_through, expected_through)] = [(); 2].map(|()| mpsc::channel());
    let (group, all) = (staying.clone(), wishes(0..2));
    let staying_players = start("good stay", move || friends::stay(&group, all, &expected_staying));
    let (group, all) = (through.clone(), wishes(2..3));
    let through_players = start("good through", move || friends::stay(&group, all, &expected_through));
    // They are there first, so that they get everything.
    std::thread::sleep(Duration::from_secs(1));
    let publications = Arc::new(AtomicU64::new(0));
    let publishers = STREAMS.map(|stream| {
        let (stage, publications) = (stage.clone(), publications.clone());
        start("good publisher", move || friends::publish(address, stream, &stage, &publications))
    });
    std::thread::sleep(Duration::from_secs(1));
    watch.good_alone();

    // The others.
    stage.enter(Stage::ATTACKS);
    let mut others = Vec::new();
    let (group, its_stage) = (passing.clone(), stage.clone());
    others.push(start("good passing", move || friends::come_and_go(&group, address, &STREAMS[..2], &its_stage)));
    let file = Arc::new(films::expected(&sample));
    for (index, group) in films.iter().enumerate() {
        for _ in 0..FILMS[index] {
            let (group, file, stage) = (group.clone(), file.clone(), stage.clone());
            others.push(start("good film", move || films::watch(&group, address, &file, index == 0, &stage)));
        }
    }
    let published = [STREAMS[0].name, STREAMS[1].name];
    let target = Arc::new(attacker::Target { server: address, http, published, breaches: Default::default() });
    let fates: Vec<_> = kinds().map(|kind| (kind.name, Arc::<Fates>::default())).collect();
    for (index, (kind, (_, fates))) in kinds().zip(&fates).enumerate() {
        for copy in 0..ATTACKERS {
            let seed = index as u64 * ATTACKERS + copy;
            let mut attacker = Attacker::new(target.clone(), seed, fates.clone(), stage.clone());
            // Not in step with the other.
            attacker.rounds = copy * 7;
            others.push(start("attack", move || attacker.run(kind)));
        }
    }
    let groups = [staying, through, passing, films[0].clone(), films[1].clone()];
    watch.attacks(&groups, &fates);

    // All but the good ones that stay go, then these.
    stage.enter(Stage::QUIET);
    let mut errors: Vec<String> = others.into_iter().filter_map(|other| panicked(other.join()).err()).collect();
    watch.until_good_alone();
    stage.enter(Stage::OVER);
    let sent = publishers.map(|publisher| {
        let sent =
            panicked(publisher.join()).and_then(|sent| sent.map_err(|error| format!("a good publisher: {error}")));
        sent.map_err(|error| errors.push(error)).unwrap_or_default()
    });
    let expected = |index: usize| sent[index] * STAYING[index] as u64;
    let _ = (tell_staying.send(expected(0) + expected(1)), tell_through.send(expected(2)));
    let latencies = [staying_players, through_players].map(|players| panicked(players.join()));
    let [staying_latencies, through_latencies] =
        latencies.map(|latencies| latencies.map_err(|error| errors.push(error)));
    watch.until_nobody();

    let times = [staying_latencies.unwrap_or_default(), through_latencies.unwrap_or_default()];
    errors.extend(groups.iter().flat_map(|group| group.problems()));
    errors.extend(groups.iter().filter_map(|group| report::failed(group)));
    errors.extend(target.breaches.lock().iter().cloned());
    errors.extend(watch.verdict(report::connections(&groups, &fates)));
    println!("{}", report::markdown(&groups, &times, &fates, &watch, publications.load(Relaxed)));
    errors
}

fn panicked<T>(result: std::thread::Result<T>) -> Result<T, String> {
    result.map_err(|_| "a part of this benchmark failed".to_owned())
}

/// Whether something comes true in that time.
fn comes_true(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + patience;
    while !condition() {
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    true
}
