//! What the figures are held against.

use std::fmt::Write;

use super::plan::Measured;

/// A goal: what was wanted, what came of it.
#[derive(Debug)]
pub struct Goal {
    pub id: &'static str,
    pub what: String,
    pub measured: String,
    pub wanted: String,
    pub is_met: bool,
}

/// The smaller the better.
pub fn at_most(id: &'static str, what: impl Into<String>, value: f64, most: f64, unit: &str) -> Goal {
    let digits = |value: f64| if most < 3.0 { format!("{value:.2}{unit}") } else { format!("{value:.1}{unit}") };
    let (measured, wanted) = (digits(value), format!("≤ {}", digits(most)));
    Goal { id, what: what.into(), measured, wanted, is_met: value <= most }
}

/// A share, the greater the better.
pub fn at_least(id: &'static str, what: impl Into<String>, value: f64, least: f64) -> Goal {
    let [measured, wanted] = [value, least].map(|share| format!("{:.1} %", share * 100.0));
    Goal { id, what: what.into(), measured, wanted: format!("≥ {wanted}"), is_met: value >= least }
}

/// Goals as a table.
pub fn table(goals: &[Goal]) -> String {
    let mut out = "| goal | what | measured | wanted | |\n|---|---|---|---|---|\n".to_owned();
    for Goal { id, what, measured, wanted, is_met } in goals {
        let verdict = if *is_met { "met" } else { "**not met**" };
        let _ = writeln!(out, "| {id} | {what} | {measured} | {wanted} | {verdict} |");
    }
    out
}

/// Every goal for which there are figures.
pub fn goals(measured: &Measured) -> Vec<Goal> {
    let mut goals = Vec::new();
    let pair = |id| measured.outcome(id, "gortmp").zip(measured.outcome(id, "nginx-rtmp"));
    for (id, most) in [("500", 0.6), ("1000", 0.6)] {
        let Some((ours, nginx)) = pair(id) else { continue };
        let ratio = ours.cpu_per_gbit / nginx.cpu_per_gbit;
        goals.push(at_most("P1", format!("CPU per Gbit, {id} players"), ratio, most, " × nginx"));
        let (value, most) = (ours.latency[1][1], nginx.latency[1][1]);
        goals.push(at_most("P1", format!("video p99, {id} players; nginx's"), value, most, " ms"));
    }
    for id in ["20", "100"] {
        let Some((ours, nginx)) = pair(id) else { continue };
        let ratio = ours.cpu_per_gbit / nginx.cpu_per_gbit;
        goals.push(at_most("P2", format!("CPU per Gbit, {id} players"), ratio, 0.8, " × nginx"));
        let (value, most) = (ours.latency[1][0], nginx.latency[1][0]);
        goals.push(at_most("P2", format!("video p50, {id} players; nginx's"), value, most, " ms"));
        goals.push(at_most("P2", format!("video p99, {id} players"), ours.latency[1][1], 5.0, " ms"));
        goals.push(at_most("P2", format!("audio p99, {id} players"), ours.latency[0][1], 40.0, " ms"));
    }
    if let Some((ours, nginx)) = pair("gather") {
        let ratio = ours.cpu_per_gbit / nginx.cpu_per_gbit;
        goals.push(at_most("P3", "CPU-s per Gbit, 1,000 players, `--merge-window 350`", ours.cpu_per_gbit, 0.10, ""));
        goals.push(at_most("P3", "the same beside nginx; 0.75 × SRS's 0.24", ratio, 0.18, " × nginx"));
    }
    for (id, form) in [("http", "FLV"), ("mp4", "MP4")] {
        let Some((ours, nginx)) = pair(id) else { continue };
        let (ratio, what) = (ours.cpu_per_gbit / nginx.cpu_per_gbit, format!("500 players over HTTP, {form}"));
        goals.push(at_most("P10", format!("CPU per Gbit, {what}; nginx's over RTMP"), ratio, 0.6, " × nginx"));
        let (value, most) = (ours.latency[1][1], nginx.latency[1][1]);
        goals.push(at_most("P10", format!("video p99, {what}"), value, most, " ms"));
    }
    if let Some((ours, _)) = pair("2500") {
        goals.push(at_most("P4", "messages lost, 2,500 players", 1.0 - ours.delivered, 0.0, ""));
        goals.push(at_most("P4", "video p99, 2,500 players", ours.latency[1][1], 150.0, " ms"));
    }
    if let Some((ours, nginx)) = pair("200x1") {
        goals.push(at_most("P5", "CPU, 200 publishers × 1 player", ours.cpu / nginx.cpu, 0.95, " × nginx"));
        let (value, most) = (ours.latency[1][1], nginx.latency[1][1]);
        goals.push(at_most("P5", "video p99, 200 publishers × 1 player; nginx's", value, most, " ms"));
    }
    if let Some((ours, nginx)) = pair("50x2") {
        let what = "wake-ups of a publisher's thread for each video frame, 50 publishers × 2 players, MTU 1500";
        goals.push(at_most("P5b", what, ours.wake_ups, 1.5, ""));
        goals.push(at_most("P5b", "CPU of the same", ours.cpu / nginx.cpu, 0.8, " × nginx"));
    }
    if let Some((ours, _)) = pair("100") {
        goals.push(at_most("P6", "first key frame p50, 100 players join", ours.join[0], 10.0, " ms"));
        goals.push(at_most("P6", "first key frame p99, 100 players join", ours.join[1], 30.0, " ms"));
    }
    if let Some((ours, _)) = pair("1000") {
        goals.push(at_most("P7", "memory of a player", ours.rss_per_player / 1024.0, 24.0, " KB"));
    }
    if let Some([ours, _]) = measured.idle {
        goals.push(at_most("P7", "memory of an idle connection", ours / 1024.0, 16.0, " KB"));
    }
    if let Some((ours, _)) = pair("stuck") {
        let growth = ours.rss_growth / 1024.0;
        goals.push(at_most("P8", "memory growth for each of 50 players, 10 of them stuck", growth, 100.0, " KB"));
        goals.push(at_most("P8", "messages that the other 40 lost", 1.0 - ours.delivered, 0.0, ""));
        goals.push(at_most("P8", "video p99 of the other 40", ours.latency[1][1], 10.0, " ms"));
    }
    if let Some((ours, nginx)) = pair("vod") {
        let ratio = ours.cpu_per_gbit / nginx.cpu_per_gbit;
        goals.push(at_most("P9", "CPU per Gbit, 300 players of a file", ratio, 0.35, " × nginx"));
        goals.push(at_most("P9", "memory of a player of a file", ours.rss_per_player / 1024.0, 64.0, " KB"));
        goals.push(at_most("P9", "first key frame p50 of a file", ours.join[0], 15.0, " ms"));
    }
    if let Some((ours, nginx)) = pair("get-flv") {
        let ratio = ours.cpu_per_gbit / nginx.cpu_per_gbit;
        goals.push(at_most("P11", "CPU per Gbit, files over HTTP; nginx's `sendfile`", ratio, 1.5, " × nginx"));
    }
    if let Some((ours, _)) = pair("get-mp4") {
        goals.push(at_most("P11", "CPU-s per Gbit, the same as MP4", ours.cpu_per_gbit, 0.2, ""));
    }
    for (id, what) in [("rtmps", "RTMPS"), ("https", "HTTPS, FLV; nginx's over RTMPS")] {
        let Some((ours, nginx)) = pair(id) else { continue };
        goals.push(at_most("P12", format!("CPU, 200 players over {what}"), ours.cpu / nginx.cpu, 0.7, " × nginx"));
    }
    if let Some((_, later)) = &measured.seeks {
        let slowest = later.iter().copied().fold(0.0, f64::max);
        goals.push(at_most("P9", "slowest later seek in 2 GB without index", slowest, 20.0, " ms"));
    }
    goals
}
