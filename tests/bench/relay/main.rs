//! gortmp beside its peers: the same load on each, one after the other, in one run. `scripts/bench.sh` builds and
//! starts it.
#![allow(clippy::expect_used, clippy::panic, reason = "a benchmark that can't go on shall stop")]

mod cameras;
mod chunks;
mod content;
mod crowd;
mod downloads;
mod goals;
mod hostile;
mod http;
mod long;
mod network;
mod nginx;
mod plan;
mod player;
mod publisher;
mod report;
mod scenario;
mod secure;
#[path = "../../support/mod.rs"]
mod support;
mod target;
mod vod;
mod weak;

use std::process::ExitCode;

use plan::Plan;
use scenario::Load;
use target::Target;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    raise_file_limit();
    let videos = tempfile::tempdir().expect("a temporary folder");
    let errors = match &arguments[..] {
        ["bare-server", port] => {
            target::run_bare(port.parse().expect("a port"));
            Vec::new()
        }
        ["try", target, streams, players, kbits, seconds, options @ ..] => {
            try_one(target, [streams, players, kbits, seconds], options)
        }
        ["simulate", hours] => long::simulate(hours.parse().expect("a number of hours"), videos.path()),
        ["soak", minutes] => long::soak(minutes.parse().expect("a number of minutes"), videos.path()),
        ["idle", most] => idle(most.parse().expect("a number of KiB"), videos.path()),
        ["cameras", seconds] => cameras::run(seconds.parse().expect("a number of seconds")),
        ["weak", options @ ..] => weak::run(options, videos.path()),
        ["hostile", minutes] => hostile::run(minutes.parse().expect("a number of minutes"), videos.path()),
        options => match Plan::parse(options) {
            Ok(plan) => plan.run(videos.path()),
            Err(error) => vec![error],
        },
    };
    errors.iter().for_each(|error| eprintln!("{error}"));
    if errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What an idle connection takes of memory, and whether that is too much.
fn idle(most_kib: f64, videos: &std::path::Path) -> Vec<String> {
    let kib = scenario::idle(&Target::Gortmp(Vec::new()), plan::IDLE, videos) / 1024.0;
    println!("an idle connection takes {kib:.1} KiB");
    (kib > most_kib).then(|| format!("that is more than {most_kib} KiB")).into_iter().collect()
}

/// Thousands of players need as many descriptors, here and in the servers that inherit the limit.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("a limit up to the maximum");
}

/// One load on one server, for trying things out.
fn try_one(target: &str, numbers: [&str; 4], options: &[&str]) -> Vec<String> {
    let target = match target {
        "nginx" => Target::Nginx,
        "bare" => Target::Bare,
        "gortmp" => Target::Gortmp(options.iter().map(|&option| option.to_owned()).collect()),
        command => Target::Other("other".to_owned(), command.to_owned()),
    };
    let [streams, players_per_stream, kbits, seconds] = numbers.map(|number| number.parse::<u64>().expect("a number"));
    let load = Load {
        streams: streams as usize,
        players_per_stream: players_per_stream as usize,
        bits_per_second: kbits * 1000,
        joins_per_second: 500,
        stuck: 0,
        seconds,
    };
    let videos = tempfile::tempdir().expect("a temporary folder");
    let outcome = scenario::relay(&target, load, plan::Way::Live, videos.path());
    println!("{}", report::line(target.name(), &outcome));
    let lost = (outcome.delivered < 1.0).then(|| "some messages did not come".to_owned());
    outcome.errors.into_iter().chain(lost).collect()
}
