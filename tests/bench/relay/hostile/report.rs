//! What came of it, as Markdown.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::tally::{Fates, Group};
use super::watch::{Sample, Watch};

/// Everything as tables; `times` are how long messages took to the first two groups, in microseconds and sorted.
pub fn markdown(
    groups: &[Arc<Group>],
    times: &[Vec<u32>],
    fates: &[(&str, Arc<Fates>)],
    watch: &Watch,
    publications: u64,
) -> String {
    let mut out =
        String::from("\n| attack | count | closed by the server | refused | ended by us |\n|---|---|---|---|---|\n");
    let mut sums = [0; 3];
    for (name, fates) in fates {
        let [closed, refused, ended] = fates.counts();
        let _ = writeln!(out, "| {name} | {} | {closed} | {refused} | {ended} |", fates.total());
        sums = [sums[0] + closed, sums[1] + refused, sums[2] + ended];
    }
    let [closed, refused, ended] = sums;
    let _ = writeln!(out, "| all | {} | {closed} | {refused} | {ended} |", sums.iter().sum::<u64>());
    out += "\n| good clients | how many | messages checked | lost | damaged | cut off | latency p50 / p99 / most, ms |\n\
            |---|---|---|---|---|---|---|\n";
    for (index, group) in groups.iter().enumerate() {
        let [lost, damaged, cut_off] = group.failures();
        let (clients, checked) = (group.clients.load(Relaxed), group.checked.load(Relaxed));
        let latency = times.get(index).map_or(String::new(), |times| {
            let at = |share: f64| {
                let place = (times.len().saturating_sub(1) as f64 * share).round() as usize;
                times.get(place).map_or(f64::NAN, |time| f64::from(*time) / 1000.0)
            };
            format!("{:.1} / {:.1} / {:.0}", at(0.5), at(0.99), at(1.0))
        });
        let name = group.name;
        let _ = writeln!(out, "| {name} | {clients} | {checked} | {lost} | {damaged} | {cut_off} | {latency} |");
    }
    let _ = writeln!(out, "\nThree streams were published {publications} times.\n");
    out += "| the server | resident, MiB | threads | descriptors |\n|---|---|---|---|\n";
    let mut line = |when: &str, Sample { rss, threads, descriptors, .. }: Sample| {
        let _ = writeln!(out, "| {when} | {:.1} | {threads} | {descriptors} |", rss as f64 / 1_048_576.0);
    };
    line("before", watch.before);
    line("with the good clients that stay", watch.good);
    for share in [0.1, 0.5, 1.0] {
        line(&format!("{:.0} % of the attacks", share * 100.0), watch.sample_at(share));
    }
    let most = |value: fn(&Sample) -> u64| watch.during.iter().map(value).max().unwrap_or(0);
    let (rss, threads, descriptors) =
        (most(|sample| sample.rss), most(|sample| sample.threads), most(|sample| sample.descriptors));
    line("most", Sample { rss, threads, descriptors, ..Sample::default() });
    line(&format!("attacks over, after {:.0} s", watch.quiet_after.as_secs_f64()), watch.quiet);
    line("all gone", watch.after);
    let log = watch.log();
    let (lines, last) = (log.lines().count(), watch.sample_at(1.0));
    let seconds = last.at.as_secs_f64().max(1.0);
    // The level stands behind the time; clients may put the same word anywhere else.
    let of = |level: &str| log.lines().filter(|line| line.split_whitespace().nth(1) == Some(level)).count();
    let _ = writeln!(
        out,
        "\nCPU: the server {:.0} %, the attackers {:.0} % of a core. Log: {lines} lines, {:.1} MiB, {:.0} lines a minute, \
         {:.1} a connection, at most {} a minute; {} of them warnings, {} errors, {} of panics.",
        (last.cpu - watch.good.cpu) / seconds * 100.0,
        watch.attackers_cpu / seconds * 100.0,
        log.len() as f64 / 1_048_576.0,
        lines as f64 / seconds * 60.0,
        lines as f64 / connections(groups, fates) as f64,
        watch.most_lines(),
        of("WARN"),
        of("ERROR"),
        log.lines().filter(|line| line.contains("panicked")).count(),
    );
    out
}

/// Connections that were made, about.
pub fn connections(groups: &[Arc<Group>], fates: &[(&str, Arc<Fates>)]) -> u64 {
    let good = groups.iter().map(|group| group.clients.load(Relaxed));
    good.chain(fates.iter().map(|(_, fates)| fates.total())).sum::<u64>().max(1)
}

/// What is wrong with a group, if anything.
pub fn failed(group: &Group) -> Option<String> {
    let [lost, damaged, cut_off] = group.failures();
    let is_wrong = lost + damaged + cut_off > 0;
    let text = format!("{}: {lost} lost, {damaged} damaged, {cut_off} cut off", group.name);
    match group.checked.load(Relaxed) {
        0 => Some(format!("{}: nothing was checked", group.name)),
        _ => is_wrong.then_some(text),
    }
}
