//! The figures as lines, as tables and as a plot.

use std::fmt::Write;
use std::path::Path;

use plotters::prelude::*;

use super::goals::{self, Goal};
use super::plan::{Measured, Way};
use super::scenario::Outcome;

/// Between these lines of the guide's chapter stand the tables.
const BEGIN: &str = "<!-- benchmark: made by scripts/bench.sh -->";
const END: &str = "<!-- end of benchmark -->";

/// What one has to know to read the tables.
const NOTES: &str = "Within TLS nginx is its RTMP module behind its own `stream` with `ssl`, in one process, and its \
    players speak RTMPS in both rows: it has no FLV over HTTP. From another network namespace publishers' packets hold \
    1,500 bytes, as cameras' do.";

/// One run in a line.
pub fn line(name: &str, outcome: &Outcome) -> String {
    let Outcome { cpu, cpu_per_gbit, latency: [audio, video], join, delivered, switches, wake_ups, .. } = outcome;
    format!(
        "{name}: cpu {cpu:.3} cpu/gbit {cpu_per_gbit:.3} video {video:.1?} audio {audio:.1?} join {join:.1?} \
         delivered {delivered:.4} rss/player {:.1} KB growth {:.1} KB switches/s {switches:.0} publisher's wake-ups/frame {wake_ups:.2} \
         errors {} {}",
        outcome.rss_per_player / 1024.0,
        outcome.rss_growth / 1024.0,
        outcome.errors.len(),
        outcome.errors.first().map_or("", String::as_str),
    )
}

/// Everything as Markdown.
pub fn markdown(measured: &Measured, goals: &[Goal], rounds: usize, seconds: u64) -> String {
    let runs = if rounds == 1 { "One run".to_owned() } else { format!("Medians of {rounds} runs") };
    let mut out = format!("{BEGIN}\n\n{runs} of {seconds} s of each load. {NOTES}\n\n");
    out += "| load | server | CPU-s per Gbit | beside nginx | video p50 / p99, ms | audio p99, ms | \
            first key frame p50 / p99, ms | delivered | KB per player |\n|---|---|---|---|---|---|---|---|---|\n";
    let mut last_title = "";
    for row in &measured.rows {
        let Outcome { cpu_per_gbit, latency: [audio, video], join, delivered, rss_per_player, .. } = &row.outcome;
        let title = if row.scenario.title == last_title { "" } else { row.scenario.title };
        last_title = row.scenario.title;
        let nginx = measured.outcome(row.scenario.id, "nginx-rtmp").map_or(f64::NAN, |nginx| nginx.cpu_per_gbit);
        let is_live = !matches!(row.scenario.way, Way::File | Way::Download(_));
        let latency = if is_live { format!("{:.1} / {:.1}", video[0], video[1]) } else { String::new() };
        let audio_latency = if is_live { format!("{:.1}", audio[1]) } else { String::new() };
        let is_bare = row.target == "loopback baseline";
        let joins = if is_bare { String::new() } else { format!("{:.1} / {:.1}", join[0], join[1]) };
        let memory = if is_bare { String::new() } else { format!("{:.0}", rss_per_player / 1024.0) };
        let _ = writeln!(
            out,
            "| {title} | {} | {cpu_per_gbit:.3} | {:.2} | {latency} | {audio_latency} | {joins} | {:.2} % | {memory} |",
            row.target,
            cpu_per_gbit / nginx,
            delivered * 100.0,
        );
    }
    out = out + "\n" + &goals::table(goals);
    if let Some([ours, nginx]) = measured.idle {
        let _ = writeln!(out, "\nAn idle connection takes {:.1} KB (nginx {:.1}).", ours / 1024.0, nginx / 1024.0);
    }
    if let Some((first, later)) = &measured.seeks {
        let _ = writeln!(out, "Seeks in a file of 2 GB without index: first {first:.0} ms, then {later:.1?} ms.");
    }
    out + "\n" + END
}

/// Puts the tables into the guide and the plot beside this program's source.
pub fn write(measured: &Measured, goals: &[Goal], rounds: usize, seconds: u64) {
    put_into_guide(&markdown(measured, goals, rounds, seconds), BEGIN, END);
    if let Err(error) = plot(measured, &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/relay.svg")) {
        panic!("the plot: {error}");
    }
}

/// Puts a text that has these two lines around it in the place of what stands between them in the guide.
pub fn put_into_guide(text: &str, begin: &str, end: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide/performance.md");
    let chapter = std::fs::read_to_string(&path).expect("the chapter");
    let (before, rest) = chapter.split_once(begin).expect("the chapter has the place");
    let (_, after) = rest.split_once(end).expect("the chapter has the place's end");
    std::fs::write(&path, format!("{before}{text}{after}")).expect("the chapter can be written");
}

/// CPU for each Gbit, a group of bars for each load.
fn plot(measured: &Measured, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let loads = ["20", "100", "500", "1000", "gather", "2500", "vod"];
    let labels = ["20 players", "100", "500", "1,000", "--merge-window 350", "2,500", "300 of a file"];
    let targets = ["nginx-rtmp", "gortmp", "loopback baseline"];
    let colors = [RGBColor(120, 130, 140), RGBColor(0, 110, 190), RGBColor(200, 200, 200)];
    let value = |load, target| measured.outcome(load, target).map(|outcome| outcome.cpu_per_gbit);
    let most =
        loads.iter().flat_map(|load| targets.map(|target| value(load, target).unwrap_or(0.0))).fold(0.0, f64::max);
    let root = SVGBackend::new(path, (860, 360)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption("CPU seconds of the server for each Gbit delivered (less is better)", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(45)
        .build_cartesian_2d(0.0..loads.len() as f64, 0.0..most * 1.1)?;
    chart.configure_mesh().disable_x_mesh().x_labels(0).y_label_style(("sans-serif", 13)).draw()?;
    for (index, target) in targets.iter().enumerate() {
        let color = colors[index];
        let bars = loads.iter().enumerate().filter_map(|(place, load)| {
            let left = place as f64 + 0.12 + 0.26 * index as f64;
            value(load, target).map(|value| Rectangle::new([(left, 0.0), (left + 0.24, value)], color.filled()))
        });
        chart
            .draw_series(bars)?
            .label(*target)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], color.filled()));
    }
    let names = labels
        .iter()
        .enumerate()
        .map(|(place, label)| Text::new((*label).to_owned(), (place as f64 + 0.12, -most * 0.03), ("sans-serif", 13)));
    chart.plotting_area().strip_coord_spec();
    chart.draw_series(names)?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperMiddle)
        .background_style(WHITE)
        .label_font(("sans-serif", 13))
        .border_style(BLACK.mix(0.2))
        .draw()?;
    root.present()?;
    Ok(())
}
