//! The loads that are measured, and on whom.

use std::path::Path;
use std::time::Instant;

use super::content::Shape;
use super::downloads;
use super::goals::goals;
use super::network::Pair;
use super::report;
use super::scenario::{self, Load, Outcome};
use super::target::Target;
use super::vod;

/// Idle connections for which memory is measured.
pub const IDLE: usize = 1000;

/// Length of the file of the seeks: 2 GB at 8 Mbit/s.
const LONG_FILE_SECONDS: u64 = 2000;

/// How players get what they play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Live,
    /// Over HTTP in that form, from those who know it; the others over RTMP.
    LiveHttp(&'static str),
    /// Within TLS: over HTTP in that form, from those who know it; the others, or all, over RTMP.
    Secure(Option<&'static str>),
    /// Over a virtual cable between two network namespaces.
    Pair,
    File,
    /// The whole file over HTTP in that form, as fast as it comes; nginx sends it as it is.
    Download(&'static str),
}

/// A load with a name.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub id: &'static str,
    pub title: &'static str,
    pub way: Way,
    pub load: Load,
    /// Options that gortmp gets beyond its defaults.
    pub options: &'static [&'static str],
    /// Whether the bare loop is measured too.
    pub with_bare: bool,
}

/// What was measured on one server.
#[derive(Clone, Debug)]
pub struct Row {
    pub scenario: Scenario,
    pub target: String,
    pub outcome: Outcome,
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub struct Measured {
    pub rows: Vec<Row>,
    /// Bytes of memory for each idle connection: gortmp's and nginx's.
    pub idle: Option<[f64; 2]>,
    /// Milliseconds of the first seek in a long file and of the later ones.
    pub seeks: Option<(f64, Vec<f64>)>,
}

impl Measured {
    pub fn outcome(&self, id: &str, target: &str) -> Option<&Outcome> {
        let row = self.rows.iter().find(|row| row.scenario.id == id && row.target == target);
        row.map(|row| &row.outcome)
    }
}

const fn load(streams: usize, players_per_stream: usize, kbits: u64, joins_per_second: u32) -> Load {
    Load { streams, players_per_stream, bits_per_second: kbits * 1000, joins_per_second, stuck: 0, seconds: 0 }
}

const fn live(id: &'static str, title: &'static str, load: Load) -> Scenario {
    Scenario { id, title, way: Way::Live, load, options: &[], with_bare: false }
}

const SCENARIOS: &[Scenario] = &[
    Scenario { with_bare: true, ..live("20", "1 stream × 20 players, 1 Mbit/s", load(1, 20, 1000, 200)) },
    Scenario { with_bare: true, ..live("100", "1 stream × 100 players, 1 Mbit/s", load(1, 100, 1000, 200)) },
    Scenario { with_bare: true, ..live("500", "1 stream × 500 players, 1 Mbit/s", load(1, 500, 1000, 500)) },
    Scenario { with_bare: true, ..live("1000", "1 stream × 1,000 players, 1 Mbit/s", load(1, 1000, 1000, 500)) },
    Scenario {
        options: &["--merge-window", "350"],
        ..live("gather", "the same with `--merge-window 350`", load(1, 1000, 1000, 500))
    },
    Scenario {
        way: Way::LiveHttp("flv"),
        ..live("http", "1 stream × 500 players over HTTP, FLV, 1 Mbit/s", load(1, 500, 1000, 500))
    },
    Scenario {
        way: Way::LiveHttp("mp4"),
        ..live("mp4", "1 stream × 500 players over HTTP, MP4, 1 Mbit/s", load(1, 500, 1000, 500))
    },
    live("2500", "1 stream × 2,500 players, 600 kbit/s", load(1, 2500, 600, 500)),
    live("200x1", "200 streams × 1 player, 500 kbit/s", load(200, 1, 500, 200)),
    Scenario {
        way: Way::Pair,
        ..live("50x2", "50 streams × 2 players, 4 Mbit/s, from another network namespace", load(50, 2, 4000, 100))
    },
    Scenario {
        way: Way::Secure(None),
        ..live("rtmps", "1 stream × 200 players over RTMPS, 1 Mbit/s", load(1, 200, 1000, 100))
    },
    Scenario {
        way: Way::Secure(Some("flv")),
        ..live("https", "1 stream × 200 players over HTTPS, FLV, 1 Mbit/s", load(1, 200, 1000, 100))
    },
    Scenario {
        load: Load { stuck: 10, ..load(1, 50, 8000, 200) },
        ..live("stuck", "50 players, 8 Mbit/s, 10 stop reading", load(1, 50, 8000, 200))
    },
    Scenario { way: Way::File, ..live("vod", "a file × 300 players, 1 Mbit/s", load(1, 300, 1000, 50)) },
    Scenario {
        way: Way::Download("flv"),
        ..live("get-flv", "a file fetched over HTTP, FLV, by 20 at full speed", load(1, 20, 1000, 200))
    },
    Scenario {
        way: Way::Download("mp4"),
        ..live("get-mp4", "the same as MP4, made on the way", load(1, 20, 1000, 200))
    },
];

/// What to do.
#[derive(Debug)]
pub struct Plan {
    rounds: usize,
    seconds: u64,
    only: Option<String>,
    peers: Vec<Target>,
    write: bool,
}

impl Plan {
    pub fn parse(arguments: &[&str]) -> Result<Self, String> {
        let mut options = getopts::Options::new();
        options
            .optopt("", "rounds", "how often each load runs; medians count [3]", "N")
            .optopt("", "seconds", "how long each load counts [10]", "N")
            .optopt("", "only", "this load only", "ID")
            .optmulti("", "peer", "another server to measure: {port} stands for its port", "NAME=COMMAND")
            .optflag("", "write", "put the tables into src/guide/performance.md and the plot beside this program")
            .optflag("h", "help", "print this help");
        let usage = || options.usage("Usage: relay [OPTIONS] | simulate HOURS | soak MINUTES | hostile MINUTES");
        let matches = options.parse(arguments).map_err(|error| format!("{error}\n{}", usage()))?;
        if matches.opt_present("help") {
            return Err(usage());
        }
        let number =
            |name, default: u64| matches.opt_get_default(name, default).map_err(|error| format!("--{name}: {error}"));
        let peers = matches.opt_strs("peer").into_iter().map(|peer| {
            let (name, command) = peer.split_once('=').ok_or("a peer is NAME=COMMAND")?;
            Ok(Target::Other(name.to_owned(), command.to_owned()))
        });
        Ok(Self {
            rounds: number("rounds", 3)? as usize,
            seconds: number("seconds", 10)?,
            only: matches.opt_str("only"),
            peers: peers.collect::<Result<_, String>>()?,
            write: matches.opt_present("write"),
        })
    }

    fn targets(&self, scenario: &Scenario) -> Vec<Target> {
        let ours = Target::Gortmp(scenario.options.iter().map(|&option| option.to_owned()).collect());
        let bare = scenario.with_bare.then_some(Target::Bare);
        let peers = self.peers.iter().filter(|_| scenario.way == Way::Live).cloned();
        [Target::Nginx, ours].into_iter().chain(bare).chain(peers).collect()
    }

    /// Measures, and says what went wrong.
    pub fn run(&self, videos: &Path) -> Vec<String> {
        let started = Instant::now();
        let mut measured = Measured::default();
        let wanted = |id: &str| self.only.as_deref().is_none_or(|only| only == id);
        let shape = Shape { bits_per_second: 1_000_000 };
        if ["vod", "get-flv", "get-mp4"].into_iter().any(wanted) {
            vod::write_file(&videos.join("bench.flv"), shape, 60 + self.seconds);
        }
        let mut problems = Vec::new();
        'scenarios: for scenario in SCENARIOS.iter().filter(|scenario| wanted(scenario.id)) {
            let load =
                Load { seconds: self.seconds.max(if scenario.load.stuck > 0 { 12 } else { 1 }), ..scenario.load };
            let targets = self.targets(scenario);
            let mut outcomes = vec![Vec::new(); targets.len()];
            for round in 1..=self.rounds {
                for (target, outcomes) in targets.iter().zip(&mut outcomes) {
                    let outcome = match scenario.way {
                        Way::Live | Way::LiveHttp(_) | Way::Secure(_) => {
                            scenario::relay(target, load, scenario.way, videos)
                        }
                        Way::Pair => match Pair::new() {
                            Ok(pair) => pair.among_clients(|| scenario::relay(target, load, Way::Pair, videos)),
                            Err(error) => {
                                problems.push(format!("{} was left out: {error}", scenario.id));
                                continue 'scenarios;
                            }
                        },
                        Way::File => scenario::vod(target, load, "bench.flv", videos),
                        Way::Download(form) => downloads::run(target, load, "bench", form, videos),
                    };
                    let at = started.elapsed().as_secs();
                    eprintln!("{at:4} s, {} ({round}): {}", scenario.id, report::line(target.name(), &outcome));
                    outcomes.push(outcome);
                }
            }
            for (target, outcomes) in targets.iter().zip(&outcomes) {
                let outcome = Outcome::median(outcomes);
                measured.rows.push(Row { scenario: *scenario, target: target.name().to_owned(), outcome });
            }
        }
        if wanted("idle") {
            let of = |target| scenario::idle(&target, IDLE, videos);
            measured.idle = Some([of(Target::Gortmp(Vec::new())), of(Target::Nginx)]);
        }
        if wanted("seek") {
            let path = videos.join("long.flv");
            vod::write_file(&path, Shape { bits_per_second: 8_000_000 }, LONG_FILE_SECONDS);
            measured.seeks = Some(vod::seek_times("long", LONG_FILE_SECONDS as u32 * 1000, videos));
        }
        let goals = goals(&measured);
        println!("{}", report::markdown(&measured, &goals, self.rounds, self.seconds));
        if self.write {
            report::write(&measured, &goals, self.rounds, self.seconds);
        }
        let ours = measured.rows.iter().filter(|row| row.target != "nginx-rtmp");
        problems.extend(
            ours.flat_map(|row| row.outcome.errors.iter().map(|error| format!("{}: {error}", row.scenario.id))),
        );
        problems
    }
}
