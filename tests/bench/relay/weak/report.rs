//! What came over weak links, as tables.

use std::fmt::Write;

use super::cases::{Case, Viewer};
use crate::goals::{Goal, at_least, at_most, table};
use crate::scenario::median;

/// Between these lines of the guide's chapter stand the tables.
pub const BEGIN: &str = "<!-- weak links: made by scripts/bench.sh weak -->";
pub const END: &str = "<!-- end of weak links -->";

/// What somebody saw. Times in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Half of the video frames are no later, and 95 %.
    pub lag: [f64; 2],
    /// The longest time without a new one.
    pub gap: f64,
    /// Shares of what was sent; of a page they are not known.
    pub video: Option<f64>,
    pub audio: Option<f64>,
    /// For how long a page stood still in all.
    pub still: Option<f64>,
    /// Video frames that came without what they refer to.
    pub broken: f64,
}

impl Outcome {
    /// The median of each figure over several runs.
    pub fn median(runs: &[Self]) -> Self {
        let of = |figure: &dyn Fn(&Self) -> f64| median(runs, figure);
        let maybe = |figure: &dyn Fn(&Self) -> Option<f64>| {
            runs.first().and_then(figure).map(|_| of(&|run| figure(run).unwrap_or(f64::NAN)))
        };
        Self {
            lag: [of(&|run| run.lag[0]), of(&|run| run.lag[1])],
            gap: of(&|run| run.gap),
            video: maybe(&|run| run.video),
            audio: maybe(&|run| run.audio),
            still: maybe(&|run| run.still),
            broken: of(&|run| run.broken),
        }
    }
}

/// A case with what came of it: with gortmp, and with nginx where that was measured.
#[derive(Clone, Debug)]
pub struct Row {
    pub case: Case,
    pub ours: Outcome,
    pub nginx: Option<Outcome>,
}

/// The goals of a case.
fn goals(row: &Row, has_bbr: bool) -> Vec<Goal> {
    let Row { case, ours, nginx } = row;
    let (id, wanted) = (case.id, case.wanted);
    let mut goals = Vec::new();
    if !wanted.needs_bbr || has_bbr {
        goals.push(at_most(id, format!("lag p95, {}", case.title), ours.lag[1], wanted.lag, " s"));
    }
    if let Some((nginx, most)) = nginx.zip(wanted.beside_nginx) {
        goals.push(at_most(id, "the same beside nginx", ours.lag[1] / nginx.lag[1], most, " × nginx"));
    }
    goals.extend(wanted.gap.map(|most| at_most(id, "longest time without a video frame", ours.gap, most, " s")));
    let share = |what, share: Option<f64>, least: Option<f64>| {
        share.zip(least).map(|(share, least)| at_least(id, what, share, least))
    };
    goals.extend(share("video frames", ours.video, wanted.video));
    goals.extend(share("audio messages", ours.audio, wanted.audio));
    let still = ours.still.zip(wanted.still);
    goals.extend(still.map(|(still, most)| at_most(id, "stands still in all, of 30 s", still, most, " s")));
    if case.viewer == Viewer::Player {
        goals.push(at_most(id, "video frames without what they refer to", ours.broken, 0.0, ""));
    }
    goals
}

/// Everything as Markdown. `about` says how it was measured.
pub fn markdown(rows: &[Row], about: &str, has_bbr: bool) -> String {
    let mut out = format!("{BEGIN}\n\n{about}\n\n");
    out += "| | stream and link | server | lag p50 / p95, s | beside nginx | longest gap, s | video frames | \
            audio | stands still, s |\n|---|---|---|---|---|---|---|---|---|\n";
    for row in rows {
        let (mut id, mut title) = (row.case.id, row.case.title);
        let servers = [("nginx-rtmp", row.nginx.as_ref()), ("gortmp", Some(&row.ours))];
        for (server, outcome) in servers.into_iter().filter_map(|(server, outcome)| Some((server, outcome?))) {
            let share = |share: Option<f64>| share.map_or_else(String::new, |share| format!("{:.1} %", share * 100.0));
            let [p50, p95] = outcome.lag;
            let ratio = row.nginx.map_or_else(String::new, |nginx| format!("{:.2}", p95 / nginx.lag[1]));
            let still = outcome.still.map_or_else(String::new, |still| format!("{still:.1}"));
            let _ = writeln!(
                out,
                "| {id} | {title} | {server} | {p50:.2} / {p95:.2} | {ratio} | {:.2} | {} | {} | {still} |",
                outcome.gap,
                share(outcome.video),
                share(outcome.audio),
            );
            (id, title) = ("", "");
        }
    }
    let goals: Vec<Goal> = rows.iter().flat_map(|row| goals(row, has_bbr)).collect();
    out + "\n" + &table(&goals) + "\n" + END
}
