//! Viewers at the far end of weak links: how late their video is, and what of it they get.

mod cases;
mod link;
mod page;
mod player;
mod report;
mod stream;

use std::path::Path;
use std::time::Duration;

use gortmp::Client;

use self::cases::{CASES, Case, Viewer};
use self::link::Link;
use self::player::Watched;
use self::report::{Outcome, Row};
use self::stream::Publisher;
use crate::network::{FOR_PUBLISHERS, Pair, reach};
use crate::report::put_into_guide;
use crate::target::{Server, Setup, Target};

const NAME: &str = "weak";

/// What to do.
struct Plan {
    rounds: usize,
    /// Of each run, if not as long as its case wants it.
    seconds: Option<u64>,
    only: Option<String>,
    has_disposable: bool,
    /// Options that gortmp gets.
    options: Vec<String>,
    writes: bool,
}

/// Measures, prints a table, and says what went wrong.
pub fn run(arguments: &[&str], videos: &Path) -> Vec<String> {
    let done = Plan::parse(arguments).and_then(|plan| Ok((Pair::new()?, plan)));
    match done {
        Ok((pair, plan)) => plan.run(&pair, videos),
        Err(error) => vec![error],
    }
}

impl Plan {
    fn parse(arguments: &[&str]) -> Result<Self, String> {
        let mut options = getopts::Options::new();
        options
            .optopt("", "rounds", "how often each link is measured; medians count [3]", "N")
            .optopt("", "seconds", "for how long each time [30; W4: 40]", "N")
            .optopt("", "only", "this link only", "ID")
            .optflag("", "disposable", "every other video frame is one that no other refers to")
            .optflag("", "write", "put the tables into src/guide/performance.md")
            .optflag("h", "help", "print this help");
        let usage = || options.usage("Usage: relay weak [OPTIONS] [-- OPTIONS OF GORTMP]");
        let matches = options.parse(arguments).map_err(|error| format!("{error}\n{}", usage()))?;
        if matches.opt_present("help") {
            return Err(usage());
        }
        let number =
            |name, default: u64| matches.opt_get_default(name, default).map_err(|error| format!("--{name}: {error}"));
        Ok(Self {
            rounds: number("rounds", 3)? as usize,
            seconds: matches.opt_get("seconds").map_err(|error| format!("--seconds: {error}"))?,
            only: matches.opt_str("only"),
            has_disposable: matches.opt_present("disposable"),
            writes: matches.opt_present("write"),
            options: matches.free,
        })
    }

    fn run(&self, pair: &Pair, videos: &Path) -> Vec<String> {
        let wanted = |case: &&Case| self.only.as_deref().is_none_or(|only| only == case.id);
        let rows: Vec<Row> = CASES.iter().filter(wanted).map(|case| self.row(pair, *case, videos)).collect();
        let has_bbr = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
            .is_ok_and(|allowed| allowed.split_whitespace().any(|name| name == "bbr"));
        let text = report::markdown(&rows, &self.about(has_bbr), has_bbr);
        println!("{text}");
        if self.writes {
            put_into_guide(&text, report::BEGIN, report::END);
        }
        Vec::new()
    }

    /// How it is measured.
    fn about(&self, has_bbr: bool) -> String {
        let runs = if self.rounds == 1 { "One run".to_owned() } else { format!("Medians of {} runs", self.rounds) };
        let disposable = if self.has_disposable { "; nothing refers to every other frame" } else { "" };
        let options = if self.options.is_empty() {
            String::new()
        } else {
            format!(" Options of gortmp: `{}`.", self.options.join(" "))
        };
        let bbr = if has_bbr { "BBR may be chosen" } else { "BBR may not be chosen here" };
        format!(
            "{runs} of {} each: one viewer, 25 frames/s, a key frame every 2 s unless announced{disposable}. Links have a \
             delay of 15 to 25 ms each way, 20 Mbit/s and a queue of 200 ms unless announced. Both sides have RENO; {bbr}.\
             {options}",
            self.seconds.map_or_else(|| "30 s (W4: 40 s)".to_owned(), |seconds| format!("{seconds} s"))
        )
    }

    fn row(&self, pair: &Pair, mut case: Case, videos: &Path) -> Row {
        case.stream.has_disposable = self.has_disposable;
        let with_nginx = case.viewer == Viewer::Player;
        let (mut ours, mut nginx) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            if with_nginx {
                nginx.push(self.watch(pair, &case, &Target::Nginx, videos));
            }
            ours.push(self.watch(pair, &case, &Target::Gortmp(self.options.clone()), videos));
        }
        Row { case, ours: Outcome::median(&ours), nginx: with_nginx.then(|| Outcome::median(&nginx)) }
    }

    fn seconds(&self, case: &Case) -> u64 {
        self.seconds.unwrap_or(case.seconds)
    }

    /// Once through a link.
    fn watch(&self, pair: &Pair, case: &Case, target: &Target, videos: &Path) -> Outcome {
        let link = Link::start(pair, case.link);
        let outcome = pair.among_clients(|| {
            let setup = Setup { options: &["-q"], in_pair: true, ..Setup::default() };
            let _server = Server::start_as(target, videos, setup);
            match case.viewer {
                Viewer::Player => self.watch_player(case, &link),
                Viewer::Page => self.watch_page(case, &link),
            }
        });
        eprintln!("{} {}: {outcome:?}", case.id, target.name());
        outcome
    }

    fn watch_player(&self, case: &Case, link: &Link) -> Outcome {
        let mut client =
            Client::connect(&format!("rtmp://{}/live", reach(FOR_PUBLISHERS))).expect("the server takes publishers");
        client.publish(NAME).expect("the server lets publish");
        let publisher = Publisher::start(client, case.stream);
        // Just behind the second key frame: what waits in the cache for who comes is another matter.
        publisher.wait_for(case.stream.gop * stream::FRAME_RATE + 2);
        let seen = player::watch(link.rtmp(), NAME, Duration::from_secs(self.seconds(case)));
        let Watched { lag, gap, video, audio, broken } = Watched::new(&seen, case.stream);
        Outcome { lag, gap, video: Some(video), audio: Some(audio), still: None, broken: broken as f64 }
    }

    fn watch_page(&self, case: &Case, link: &Link) -> Outcome {
        let page = page::watch(link.http(), reach(FOR_PUBLISHERS), case.stream.kbits, self.seconds(case));
        let [p50, p95, gap, still] = [page.p50, page.p95, page.longest, page.still].map(|value| value / 1000.0);
        Outcome { lag: [p50, p95], gap, still: Some(still), ..Outcome::default() }
    }
}
